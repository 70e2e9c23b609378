/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and time, under a clock that only the test moves: deadlines, requests that stall or trickle, idle streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "call_test.h"
#include "rpc/core.h"

static void test_deadline(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    mote_rpc_pair_write(mote_rpc_pair_request(pair, UNARY, "grpc-timeout: 100m", false), TWO_PLUS_40, 9, true);
    mote_rpc_pair_pass(pair, 90 * 1000000);
    assert_string_equal(mote_rpc_pair_take_log(pair), "");
    mote_rpc_pair_pass(pair, 20 * 1000000);
    assert_string_equal(mote_rpc_pair_take_log(pair),
                        "1" HEADERS " grpc-status=4 grpc-message=deadline exceeded\n1 closed NO_ERROR\n");
    assert_int_equal(fixture.cancelled, 1);
    assert_int_equal(fixture.cancel_status, MOTE_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(pair->server_attentions, 1);
    /* It still counts until its handler lets go. */
    assert_int_equal(mote_server_worker_calls(pair->worker), 1);
    call_fixture_reply_42(fixture.call, NULL);
    mote_call_unref(fixture.call);
    assert_int_equal(mote_server_worker_calls(pair->worker), 0);
    assert_string_equal(call_fixture_answer(pair), "");
    assert_int_equal(fixture.observed.summary.duration_ns / 1000000, 100);
    teardown(&fixture);
}

/* The server's own bound holds for a client without a deadline and for one with a later one, not for an earlier one. */
static void test_call_duration_max(void **state)
{
    (void)state;
    static const struct {
        const char *path, *fields;
        uint64_t ends_ms; /* 0: not by this */
    } rows[] = {
        {UNARY, NULL, 2000},
        {UNARY, "grpc-timeout: 1H", 2000},
        {UNARY, "grpc-timeout: 1S", 1000},
        {SERVER_STREAM, NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct call_fixture fixture;
        struct mote_rpc_pair *pair =
            call_fixture_setup(&fixture, rows[i].ends_ms != 0 ? call_fixture_hold : call_fixture_hold_stream);
        pair->limits.call_duration_max = 2 * SECOND;
        call_fixture_start(pair, rows[i].path, rows[i].fields);
        mote_rpc_pair_pass(pair, (rows[i].ends_ms != 0 ? rows[i].ends_ms : 60000) * 1000000 - 10000000);
        assert_false(mote_call_is_over(fixture.call));
        mote_rpc_pair_pass(pair, 30 * 1000000);
        assert_int_equal(mote_call_is_over(fixture.call), rows[i].ends_ms != 0);
        if (rows[i].ends_ms != 0) {
            assert_contains(mote_rpc_pair_take_log(pair), "grpc-status=4 grpc-message=deadline exceeded\n");
            mote_call_unref(fixture.call);
        }
        teardown(&fixture);
    }
}

static void test_deadline_in_stream(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold_stream);
    call_fixture_start(pair, SERVER_STREAM, "grpc-timeout: 1S");
    const calculator_v1_AddResponse response = {.sum = 1};
    assert_int_equal(mote_call_send(fixture.call, &response), 0);
    mote_rpc_pair_pass(pair, 2 * SECOND);
    assert_string_equal(mote_rpc_pair_take_log(pair), "1" HEADERS "\n"
                                                      "1 data 00000000020801\n"
                                                      "1 trailers grpc-status=4 grpc-message=deadline exceeded\n"
                                                      "1 closed NO_ERROR\n");
    assert_int_equal(fixture.cancelled, 1);
    teardown(&fixture);
}

/* A unary request that stalls, that trickles, and one that is just fast enough. */
static void test_slow_requests(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_reply_42);
    const struct mote_stream *stalled = mote_rpc_pair_request(pair, UNARY, NULL, false);
    char expected[160];
    (void)snprintf(expected, sizeof expected,
                   "%d" HEADERS " grpc-status=4 grpc-message=the request came too slowly\n%d closed NO_ERROR\n",
                   stalled->id, stalled->id);
    mote_rpc_pair_pass(pair, 9900 * 1000000ull);
    assert_string_equal(mote_rpc_pair_take_log(pair), "");
    mote_rpc_pair_pass(pair, 200 * 1000000ull);
    assert_string_equal(mote_rpc_pair_take_log(pair), expected);

    struct mote_stream *trickling = mote_rpc_pair_request(pair, UNARY, NULL, false);
    mote_rpc_pair_write(trickling, "\0\0\x10\0\0", 5, false);
    for (int i = 0; i < 99; i++) {
        mote_rpc_pair_write(trickling, "x", 1, false);
        mote_rpc_pair_pass(pair, SECOND / 10);
    }
    assert_string_equal(mote_rpc_pair_take_log(pair), "");
    mote_rpc_pair_pass(pair, SECOND / 2);
    assert_contains(mote_rpc_pair_take_log(pair), "grpc-message=the request came too slowly\n");

    struct mote_stream *steady = mote_rpc_pair_request(pair, UNARY, NULL, false);
    static const uint8_t part[4200];
    mote_rpc_pair_write(steady, "\0\0\x10\0\0", 5, false);
    for (int i = 0; i < 30; i++) {
        mote_rpc_pair_write(steady, part, sizeof part, false);
        mote_rpc_pair_pass(pair, SECOND);
    }
    assert_string_equal(mote_rpc_pair_take_log(pair), "");
    mote_rpc_pair_pass(pair, 11 * SECOND);
    assert_contains(mote_rpc_pair_take_log(pair), "grpc-message=the request came too slowly\n");
    teardown(&fixture);
}

/* A request that is whole is not slow, however its end came. */
static void test_slow_handler(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    struct mote_stream *stream = mote_rpc_pair_request(pair, UNARY, NULL, false);
    mote_rpc_pair_write(stream, TWO_PLUS_40, 9, false);
    mote_rpc_pair_pump(pair);
    mote_rpc_pair_write(stream, NULL, 0, true);
    mote_rpc_pair_pass(pair, 400 * SECOND);
    assert_string_equal(mote_rpc_pair_take_log(pair), "");
    call_fixture_reply_42(fixture.call, NULL);
    mote_call_unref(fixture.call);
    assert_contains(call_fixture_answer(pair), "trailers grpc-status=0\n");
    teardown(&fixture);
}

static void test_idle_stream(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_note_messages);
    struct mote_stream *stream = mote_rpc_pair_request(pair, BIDI, NULL, false);
    mote_rpc_pair_message(stream, "\x08\x02", 2, false);
    mote_rpc_pair_pass(pair, 200 * SECOND);
    mote_rpc_pair_message(stream, "\x08\x02", 2, false);
    mote_rpc_pair_pass(pair, 299 * SECOND);
    assert_false(mote_call_is_over(fixture.call));
    /* A handler that pauses is not the client's silence. */
    mote_rpc_pair_message(stream, "\x08\x01", 2, false);
    mote_rpc_pair_pass(pair, 700 * SECOND);
    assert_false(mote_call_is_over(fixture.call));
    mote_call_resume(fixture.call);
    mote_rpc_pair_pass(pair, 299 * SECOND);
    assert_false(mote_call_is_over(fixture.call));
    mote_rpc_pair_pass(pair, 2 * SECOND);
    assert_contains(mote_rpc_pair_take_log(pair), "grpc-status=4 grpc-message=the request came too slowly\n");
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadline),      cmocka_unit_test(test_deadline_in_stream),
        cmocka_unit_test(test_slow_requests), cmocka_unit_test(test_slow_handler),
        cmocka_unit_test(test_idle_stream),   cmocka_unit_test(test_call_duration_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
