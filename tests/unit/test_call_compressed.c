/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed requests: what is taken and what is not, their bound, and a turn's share of decompressing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "call_test.h"
#include "rpc/core.h"
#include "wire/message.h"

struct compressed_case {
    const char *path;
    const char *fields;
    enum mote_encoding encoding;
    const char *message; /* before it is compressed */
    size_t length;
    size_t cut;         /* bytes left out at the end of what came out */
    const char *answer; /* NULL: the sum */
};

#define FAILS(text) "200 content-type=application/grpc grpc-status=" text "\n"

static const struct compressed_case compressed_cases[] = {
    {ADD, "grpc-encoding: gzip", MOTE_ENCODING_GZIP, "\x08\x02\x10\x28", 4, 0, NULL},
    {ADD, "grpc-encoding: deflate", MOTE_ENCODING_DEFLATE, "\x08\x02\x10\x28", 4, 0, NULL},
    {ADD, "grpc-encoding: gzip", MOTE_ENCODING_DEFLATE, "\x08\x02\x10\x28", 4, 0,
     FAILS("13 grpc-message=the message cannot be decompressed")},
    {ADD, "grpc-encoding: gzip", MOTE_ENCODING_GZIP, "\x08\x02\x10\x28", 4, 1,
     FAILS("13 grpc-message=the message cannot be decompressed")},
    {ADD, "grpc-encoding: identity", MOTE_ENCODING_GZIP, "\x08\x02\x10\x28", 4, 0,
     FAILS("13 grpc-message=a compressed message without a grpc-encoding")},
    {ADD, "grpc-encoding: gzip", MOTE_ENCODING_GZIP, "\x08", 1, 0,
     FAILS("13 grpc-message=the request cannot be decoded")},
};

/* The request whose message, compressed, is `message`, less `cut` bytes. */
static const char *compressed_whole(struct mote_rpc_pair *pair, const struct compressed_case *row,
                                    struct mote_slice message)
{
    struct mote_buffer bytes;
    uint8_t *prefix;
    mote_buffer_init(&bytes, mote_mem_system(), 0);
    assert_int_equal(mote_buffer_reserve(&bytes, MOTE_MESSAGE_PREFIX, &prefix), 0);
    mote_buffer_commit(&bytes, MOTE_MESSAGE_PREFIX);
    assert_int_equal(mote_compression_compress(row->encoding, message, &bytes), 0);
    const struct mote_slice all = mote_buffer_slice(&bytes);
    const size_t length = all.length - row->cut;
    mote_message_prefix((uint8_t *)(uintptr_t)all.data, true, (uint32_t)(length - MOTE_MESSAGE_PREFIX));
    const char *log = call_fixture_whole(pair, row->path, row->fields, (const char *)all.data, length);
    mote_buffer_dispose(&bytes);
    return log;
}

static void test_compressed_requests(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    for (size_t i = 0; i < sizeof compressed_cases / sizeof compressed_cases[0]; i++) {
        const struct compressed_case *row = &compressed_cases[i];
        const char *log = compressed_whole(pair, row, mote_slice((const uint8_t *)row->message, row->length));
        if (row->answer == NULL) {
            assert_contains(log, HEADERS "\n");
            assert_contains(log, " data 0000000002082a\n");
        } else {
            assert_contains(log, row->answer);
        }
        assert_usable(pair);
    }
    /* Who tells what it reads is told what the server reads; an answer is not compressed unasked. */
    const char *log = call_fixture_whole(pair, ADD, "grpc-accept-encoding: gzip", TWO_PLUS_40, 9);
    assert_contains(log, HEADERS " grpc-accept-encoding=identity,deflate,gzip\n");
    assert_contains(log, " data 0000000002082a\n");
    assert_int_equal(pair->worker->buffered, 0);
    teardown(&fixture);
}

/* The bound is of what comes out: some 4 KiB come in. */
static void test_compressed_bound(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    const size_t bound = 4194304;
    uint8_t *body = calloc(1, bound + 1);
    assert_non_null(body);
    memcpy(body, "\x7a\xfb\xff\xff\x01", 5); /* an unknown field with all the rest, at the bound */
    assert_contains(compressed_whole(pair, &compressed_cases[0], mote_slice(body, bound)), "trailers grpc-status=0\n");
    body[1] = 0xfc;
    assert_contains(compressed_whole(pair, &compressed_cases[0], mote_slice(body, bound + 1)),
                    FAILS("8 grpc-message=received message larger than the limit"));
    free(body);
    assert_usable(pair);
    teardown(&fixture);
}

/* --- a turn's share --------------------------------------------------------------------------------------------- */

#define SHARE 100u

/* Adds a message whose `a` is this, gzipped, of `size` bytes before that, 5 to 127. */
static void put_message(struct mote_buffer *out, uint8_t a, size_t size)
{
    uint8_t plain[127] = {0x08, a, 0x7a, (uint8_t)(size - 4)}; /* `a`, and an unknown field */
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    struct mote_buffer bytes;
    mote_buffer_init(&bytes, mote_mem_system(), 0);
    assert_int_equal(mote_compression_compress(MOTE_ENCODING_GZIP, mote_slice(plain, size), &bytes), 0);
    const struct mote_slice body = mote_buffer_slice(&bytes);
    mote_message_prefix(prefix, true, (uint32_t)body.length);
    assert_int_equal(mote_buffer_append(out, prefix, sizeof prefix), 0);
    assert_int_equal(mote_buffer_append(out, body.data, body.length), 0);
    mote_buffer_dispose(&bytes);
}

/* A call with `count` messages, whose `a` are 2, 3, …; not pumped. */
static struct mote_stream *start_compressed(struct mote_rpc_pair *pair, const char *path, size_t size, unsigned count)
{
    struct mote_buffer bytes;
    mote_buffer_init(&bytes, mote_mem_system(), 0);
    for (unsigned i = 0; i < count; i++) {
        put_message(&bytes, (uint8_t)(2 + i), size);
    }
    struct mote_stream *stream = mote_rpc_pair_request(pair, path, "grpc-encoding: gzip", false);
    const struct mote_slice all = mote_buffer_slice(&bytes);
    mote_rpc_pair_write(stream, all.data, all.length, true);
    mote_buffer_dispose(&bytes);
    return stream;
}

/* Turns of the loop come only when the test says so. */
static struct mote_rpc_pair *setup_share(struct call_fixture *fixture, mote_handler_cb *handler)
{
    struct mote_rpc_pair *pair = call_fixture_setup(fixture, handler);
    pair->limits.decompressed_per_turn = SHARE;
    pair->has_no_turns = true;
    assert_false(mote_server_worker_turn(pair->worker, pair->now_ns));
    return pair;
}

static bool turn(struct mote_rpc_pair *pair)
{
    const bool more = mote_server_worker_turn(pair->worker, pair->now_ns);
    mote_rpc_pair_pump(pair);
    return more;
}

/* One byte below its end, the share still lets the next message through; at its end it does not. */
static void test_share_of_a_turn(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_share(&fixture, NULL);
    start_compressed(pair, ADD, SHARE - 1, 1);
    start_compressed(pair, ADD, SHARE, 1);
    const char *log = call_fixture_answer(pair);
    assert_contains(log, "1 trailers grpc-status=0");
    assert_contains(log, "3 trailers grpc-status=0");
    assert_true(mote_server_connection_wants_read(pair->connection));
    assert_false(turn(pair));
    start_compressed(pair, ADD, SHARE, 1);
    start_compressed(pair, ADD, 5, 1);
    log = call_fixture_answer(pair);
    assert_contains(log, "5 trailers grpc-status=0");
    assert_null(strstr(log, "7 "));
    /* Meanwhile nothing more is read of this connection; what comes in without compression is answered. */
    assert_false(mote_server_connection_wants_read(pair->connection));
    assert_true(pair->worker->buffered > 0);
    assert_contains(call_fixture_whole(pair, ADD, NULL, TWO_PLUS_40, 9), "9 trailers grpc-status=0");
    const size_t attentions = pair->server_attentions;
    assert_false(turn(pair));
    assert_int_equal(pair->server_attentions, attentions + 1);
    assert_contains(mote_rpc_pair_take_log(pair), "7 trailers grpc-status=0");
    assert_true(mote_server_connection_wants_read(pair->connection));
    assert_int_equal(pair->worker->buffered, 0);
    teardown(&fixture);
}

/* What came out of a message that is refused counts as well. */
static void test_share_of_bombs(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_share(&fixture, NULL);
    const size_t bound = 4194304;
    uint8_t *body = calloc(1, bound + 1);
    assert_non_null(body);
    pair->limits.decompressed_per_turn = bound;
    assert_false(turn(pair));
    assert_contains(compressed_whole(pair, &compressed_cases[0], mote_slice(body, bound + 1)),
                    FAILS("8 grpc-message=received message larger than the limit"));
    free(body);
    start_compressed(pair, ADD, 5, 1);
    assert_string_equal(call_fixture_answer(pair), "");
    assert_false(turn(pair));
    assert_contains(mote_rpc_pair_take_log(pair), "3 trailers grpc-status=0");
    teardown(&fixture);
}

/* Two streams of messages that each take the whole share get their turns one after the other, in order, to the end. */
static void test_turns_of_streams(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_share(&fixture, call_fixture_note_messages);
    start_compressed(pair, BIDI, SHARE, 3);
    mote_rpc_pair_pump(pair);
    start_compressed(pair, BIDI, SHARE, 3);
    mote_rpc_pair_pump(pair);
    for (int i = 0; i < 4; i++) {
        assert_true(turn(pair));
    }
    assert_false(turn(pair));
    static const int64_t expected[] = {2, 3, 2, 4, INT64_MIN, 3, 4, INT64_MIN};
    assert_int_equal(fixture.got_count, sizeof expected / sizeof expected[0]);
    assert_memory_equal(fixture.got, expected, sizeof expected);
    teardown(&fixture);
}

/* A handler that pauses while its call waits is given nothing before it has resumed. */
static void test_pause_and_turns(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_share(&fixture, call_fixture_hold);
    fixture.handler = call_fixture_note_messages;
    start_compressed(pair, BIDI, SHARE, 2);
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.got_count, 1);
    struct mote_call *call = MOTE_CONTAINER_OF(pair->connection->deferred.next, struct mote_call, resumed_node);
    mote_call_pause(call);
    assert_false(turn(pair));
    assert_int_equal(fixture.got_count, 1);
    start_compressed(pair, ADD, SHARE, 1); /* uses the share up */
    mote_rpc_pair_pump(pair);
    mote_call_resume(call);
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.got_count, 1);
    assert_false(turn(pair));
    assert_int_equal(fixture.got_count, 3);
    teardown(&fixture);
}

/* A call that waits may be reset, may run into its deadline, and may lose its connection. */
static void test_ends_while_waiting(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct call_fixture fixture;
        struct mote_rpc_pair *pair = setup_share(&fixture, NULL);
        struct mote_stream *stream = mote_rpc_pair_request(pair, ADD, "grpc-encoding: gzip\ngrpc-timeout: 50m", false);
        struct mote_buffer bytes;
        start_compressed(pair, ADD, SHARE, 1);
        mote_rpc_pair_pump(pair);
        mote_buffer_init(&bytes, mote_mem_system(), 0);
        put_message(&bytes, 2, SHARE);
        mote_rpc_pair_write(stream, mote_buffer_slice(&bytes).data, mote_buffer_length(&bytes), false);
        mote_buffer_dispose(&bytes);
        mote_rpc_pair_pump(pair);
        assert_false(mote_server_connection_wants_read(pair->connection));
        if (how == 0) {
            mote_h2_reset(stream, MOTE_H2_CANCEL);
            mote_rpc_pair_pump(pair);
        } else if (how == 1) {
            mote_rpc_pair_pass(pair, 60 * 1000000);
            assert_contains(mote_rpc_pair_take_log(pair), "grpc-status=4");
        } else {
            mote_rpc_pair_close_server(pair);
        }
        assert_int_equal(pair->worker->buffered, 0);
        assert_int_equal(fixture.observed.ended, 2);
        assert_false(mote_server_worker_turn(pair->worker, pair->now_ns));
        teardown(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compressed_requests), cmocka_unit_test(test_compressed_bound),
        cmocka_unit_test(test_share_of_a_turn),     cmocka_unit_test(test_share_of_bombs),
        cmocka_unit_test(test_turns_of_streams),    cmocka_unit_test(test_pause_and_turns),
        cmocka_unit_test(test_ends_while_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
