/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are given decode callbacks before they are decoded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pb_decode.h>
#include <string.h>

#include "call_test.h"
#include "rpc/core.h"

static bool take_padding(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct mote_call *call = *arg;
    struct call_fixture *fixture = call_fixture_of(call);
    (void)field;
    fixture->got[fixture->got_count++] = (int64_t)stream->bytes_left;
    if (stream->bytes_left == 3) {
        mote_call_fail(call, MOTE_STATUS_OUT_OF_RANGE, "three");
    }
    return stream->bytes_left != 4 && pb_read(stream, NULL, stream->bytes_left);
}

static void prepare_padding(struct mote_call *call, void *message, struct mote_slice encoded)
{
    calculator_v1_CountResponse *request = message;
    assert_int_equal(request->number, 0);
    if (encoded.length == 0) {
        mote_call_fail(call, MOTE_STATUS_ABORTED, "nothing");
    }
    request->padding = (pb_callback_t){.funcs.decode = take_padding, .arg = call};
}

static void count_prepared(struct mote_call *call, const void *request)
{
    struct call_fixture *fixture = call_fixture_of(call);
    if (request == NULL) {
        call_fixture_reply_42(call, NULL);
    } else {
        fixture->got[fixture->got_count++] = ((const calculator_v1_CountResponse *)request)->number;
    }
}

/* Callbacks run before the handler, which does not run for a request that was refused while it was read. */
static void test_prepared(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *answer;
        int64_t got[4];
    } rows[] = {
        {"\0\0\0\0\5\x12\1x\x08\7\0\0\0\0\2\x08\x08", 17, " trailers grpc-status=0\n", {1, 7, 8}},
        {"\0\0\0\0\2\x08\7\0\0\0\0\5\x12\3xxx", 17, "grpc-status=11 grpc-message=three\n", {7, 3}},
        {"\0\0\0\0\6\x12\4xxxx", 11, "grpc-status=13 grpc-message=the request cannot be decoded\n", {4}},
        {"\0\0\0\0\0", 5, "grpc-status=10 grpc-message=nothing\n", {0}},
    };
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, count_prepared);
    fixture.prepare = prepare_padding;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fixture.got_count = 0;
        memset(fixture.got, 0, sizeof fixture.got);
        assert_contains(call_fixture_whole(pair, PREPARED, NULL, rows[i].bytes, rows[i].length), rows[i].answer);
        assert_memory_equal(fixture.got, rows[i].got, sizeof rows[i].got);
        assert_usable(pair);
    }
    teardown(&fixture);
}

/* The message is collected from pieces; a callback ends the call by it, and what is left of it can still be read. */
static void test_refused_while_it_is_read(void **state)
{
    (void)state;
    static const char bytes[] = "\0\0\0\0\7\x12\3xxx\x08\7";
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, count_prepared);
    fixture.prepare = prepare_padding;
    for (size_t cut = 6; cut < 12; cut++) {
        struct mote_stream *stream = mote_rpc_pair_request(pair, PREPARED, NULL, false);
        mote_rpc_pair_write(stream, bytes, cut, false);
        mote_rpc_pair_pump(pair);
        mote_rpc_pair_write(stream, bytes + cut, 12 - cut, true);
        assert_contains(call_fixture_answer(pair), "grpc-status=11 grpc-message=three\n");
        assert_int_equal(pair->worker->buffered, 0);
    }
    assert_usable(pair);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_refused_while_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
