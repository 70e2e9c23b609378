/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests whose handler gives them decode callbacks (method.prepare), with each allocation of the server's side
 * failing in turn, those of the callbacks among them. The call ends once; OK means that every byte came through, and
 * nothing is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pb_decode.h>
#include <stdlib.h>
#include <string.h>

#include "pair/call_fixture.h"
#include "support/failing_mem.h"
#include "wire/compression.h"
#include "wire/message.h"

#define PADDING  20000u
#define MESSAGES 3u

/* What the callbacks of a call have taken: in its arena. */
struct taken {
    size_t bytes;
};

static bool take_padding(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct mote_call *call = *arg;
    const size_t length = stream->bytes_left;
    uint8_t *room = mote_arena_allocate(mote_call_arena(call), length);
    (void)field;
    if (room == NULL) {
        mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "no room for the padding");
        return false;
    }
    struct taken *taken = mote_call_data(call);
    taken->bytes += length;
    return pb_read(stream, room, length) && room[0] == 'x' && room[length - 1] == 'x';
}

static void prepare(struct mote_call *call, void *message, struct mote_slice encoded)
{
    calculator_v1_CountResponse *request = message;
    (void)encoded;
    if (mote_call_make_data(call, sizeof(struct taken)) != NULL) {
        request->padding = (pb_callback_t){.funcs.decode = take_padding, .arg = call};
    }
}

static void reply_with_taken(struct mote_call *call, const void *request)
{
    if (request == NULL) {
        const struct taken *taken = mote_call_data(call);
        mote_call_reply(call, &(calculator_v1_AddResponse){.sum = (int64_t)taken->bytes});
    }
}

/* A message with the padding, gzipped or not. */
static void put_message(struct mote_buffer *out, bool compressed)
{
    static uint8_t body[PADDING + 4] = {0x12, 0xa0, 0x9c, 0x01}; /* the length: 20,000 */
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    struct mote_buffer bytes;
    memset(body + 4, 'x', PADDING);
    mote_buffer_init(&bytes, mote_mem_system(), 0);
    struct mote_slice message = mote_slice(body, sizeof body);
    if (compressed) {
        assert_int_equal(mote_compression_compress(MOTE_ENCODING_GZIP, message, &bytes), 0);
        message = mote_buffer_slice(&bytes);
    }
    mote_message_prefix(prefix, compressed, (uint32_t)message.length);
    assert_int_equal(mote_buffer_append(out, prefix, sizeof prefix), 0);
    assert_int_equal(mote_buffer_append(out, message.data, message.length), 0);
    mote_buffer_dispose(&bytes);
}

/* The call with its `fail_at`th allocation failing, alone or with all after it; false when there were not so many. */
static bool call_prepared(size_t fail_at, bool persistent, const struct mote_buffer *bytes, bool compressed)
{
    struct mote_failing_mem failing;
    struct call_fixture fixture;
    mote_failing_mem_init(&failing);
    assert_int_equal(call_fixture_prepare(&fixture, &failing.mem), 0);
    fixture.handler = reply_with_taken;
    fixture.prepare = prepare;
    assert_int_equal(mote_rpc_pair_connect_raw(&fixture.pair), 0);
    const struct mote_slice all = mote_buffer_slice(bytes);
    struct mote_stream *stream =
        mote_rpc_pair_request(&fixture.pair, PREPARED, compressed ? "grpc-encoding: gzip" : NULL, false);
    mote_rpc_pair_write(stream, all.data, all.length, true);
    mote_failing_mem_arm(&failing, fail_at, persistent);
    const char *log = call_fixture_answer(&fixture.pair);
    const bool is_ok = strstr(log, "grpc-status=0\n") != NULL;
    const bool is_whole = strstr(log, " data 000000000408e0d403\n") != NULL; /* 60,000 */
    assert_true(!is_ok || is_whole);
    assert_true(is_ok || failing.failures != 0);
    const bool was_hit = failing.failures != 0;
    mote_failing_mem_arm(&failing, 0, false);
    mote_rpc_pair_dispose(&fixture.pair);
    assert_int_equal(fixture.observed.started, fixture.observed.ended);
    assert_int_equal(failing.live_count, 0);
    return was_hit;
}

static void test_prepared_requests(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        struct mote_buffer bytes;
        mote_buffer_init(&bytes, mote_mem_system(), 0);
        for (unsigned i = 0; i < MESSAGES; i++) {
            put_message(&bytes, kind >= 2);
        }
        size_t fail_at = 1;
        while (call_prepared(fail_at, kind % 2 != 0, &bytes, kind >= 2)) {
            fail_at++;
        }
        assert_true(fail_at > 10);
        mote_buffer_dispose(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prepared_requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
