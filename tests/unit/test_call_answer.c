/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: replies, failures, streams to readers that are slow or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair/call_fixture.h"
#include "rpc/core.h"

static void teardown(struct call_fixture *fixture)
{
    mote_rpc_pair_dispose(&fixture->pair);
    assert_int_equal(fixture->observed.started, fixture->observed.ended);
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        print_message("expected \"%s\" in:\n%s\n", part, text);
        fail();
    }
}

/* Other calls go on as if nothing had been. */
static void assert_usable(struct mote_rpc_pair *pair)
{
    const char *log = call_fixture_whole(pair, ADD, NULL, TWO_PLUS_40, 9);
    assert_contains(log, " data 0000000002082a\n");
    assert_contains(log, " trailers grpc-status=0\n");
}

/* --- answers --------------------------------------------------------------------------------------------------- */

static void fail_odd_text(struct mote_call *call, const void *request)
{
    (void)request;
    mote_call_fail(call, MOTE_STATUS_NOT_FOUND, "100%% \xc3\xa9 %s", "\n\xff");
    mote_call_fail(call, MOTE_STATUS_INTERNAL, "a second answer is dropped");
    const calculator_v1_AddResponse response = {.sum = 42};
    mote_call_reply(call, &response);
}

static void test_fail(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, fail_odd_text);
    assert_string_equal(call_fixture_whole(pair, UNARY, NULL, TWO_PLUS_40, 9),
                        "1" HEADERS " grpc-status=5 grpc-message=100%25 %C3%A9 %0A%EF%BF%BD\n1 closed NO_ERROR\n");
    assert_int_equal(fixture.cancelled, 0);
    teardown(&fixture);
}

static void reply_nothing(struct mote_call *call, const void *request)
{
    (void)call;
    (void)request;
}

static void test_handler_without_answer(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, reply_nothing);
    static const char *const paths[] = {UNARY, SERVER_STREAM, CLIENT_STREAM, BIDI};
    for (size_t i = 0; i < 4; i++) {
        assert_contains(call_fixture_whole(pair, paths[i], NULL, TWO_PLUS_40, 9),
                        "grpc-status=2 grpc-message=the handler ended without a status\n");
    }
    assert_int_equal(mote_server_worker_calls(pair->worker), 0);
    teardown(&fixture);
}

static void test_response_over_limit(void **state)
{
    (void)state;
    struct call_fixture fixture;
    assert_int_equal(call_fixture_prepare(&fixture, mote_mem_system()), 0);
    fixture.handler = call_fixture_reply_42;
    fixture.pair.limits.message_send_max = 2;
    struct mote_rpc_pair *pair = &fixture.pair;
    assert_int_equal(mote_rpc_pair_connect_raw(pair), 0);
    assert_contains(call_fixture_whole(pair, UNARY, NULL, TWO_PLUS_40, 9), "trailers grpc-status=0\n");
    pair->limits.message_send_max = 1;
    assert_contains(call_fixture_whole(pair, UNARY, NULL, TWO_PLUS_40, 9),
                    "grpc-status=8 grpc-message=response larger than the limit\n");
    assert_int_equal(fixture.observed.summary.status, MOTE_STATUS_RESOURCE_EXHAUSTED);
    teardown(&fixture);
}

/* A reader that stops: the handler is told to wait, and cut off if it does not. */
static void test_slow_reader(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold_stream);
    pair->raw_consumes = false;
    struct mote_stream *stream = mote_rpc_pair_request(pair, SERVER_STREAM, NULL, false);
    mote_rpc_pair_write(stream, TWO_PLUS_40, 9, true);
    mote_rpc_pair_pump(pair);
    struct mote_call *call = fixture.call;
    static const uint8_t body[16000];
    size_t sent = 0;
    while (mote_call_writable(call)) {
        assert_int_equal(mote_call_send_encoded(call, mote_slice(body, sizeof body)), 0);
        mote_rpc_pair_pump(pair);
        sent++;
    }
    /* One window at the client and stream_output_high here. */
    assert_in_range(sent, (65535 + 65536) / 16005, (65535 + 65536) / 16005 + 2);
    assert_int_equal(fixture.writable, 0);
    mote_h2_consume(stream, 65535);
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.writable, 1);
    assert_true(mote_call_writable(call));
    int error = 0;
    mote_call_ref(call);
    for (sent = 0; error == 0; sent++) {
        error = mote_call_send_encoded(call, mote_slice(body, sizeof body));
        assert_in_range(sent, 0, 20);
    }
    assert_int_equal(error, MOTE_ELIMIT);
    assert_int_equal(fixture.cancelled, 1);
    assert_int_equal(fixture.cancel_status, MOTE_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(mote_call_send_encoded(call, mote_slice(body, 1)), MOTE_ECLOSED);
    assert_false(mote_call_writable(call));
    mote_call_unref(call);
    mote_rpc_pair_pump(pair);
    teardown(&fixture);
}

/* A message larger than the output's bound is not cut off by it. */
static void test_large_message(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold_stream);
    mote_rpc_pair_write(mote_rpc_pair_request(pair, SERVER_STREAM, NULL, false), TWO_PLUS_40, 9, true);
    mote_rpc_pair_pump(pair);
    static const uint8_t body[1000000];
    assert_int_equal(mote_call_send_encoded(fixture.call, mote_slice(body, sizeof body)), 0);
    assert_false(mote_call_writable(fixture.call));
    mote_call_finish(fixture.call);
    assert_contains(call_fixture_answer(pair), "1 trailers grpc-status=0\n");
    teardown(&fixture);
}

/* A request stream is refused in its middle: what came before was handled, what comes after is dropped. */
static void test_early_answer(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, fail_odd_text);
    struct mote_stream *stream = mote_rpc_pair_request(pair, CLIENT_STREAM, NULL, false);
    for (int i = 0; i < 3; i++) {
        mote_rpc_pair_message(stream, "\x08\x05", 2, false);
    }
    const char *log = call_fixture_answer(pair);
    assert_contains(log, "1" HEADERS " grpc-status=5");
    assert_contains(log, "1 closed NO_ERROR\n");
    assert_int_equal(fixture.handled, 1);
    assert_usable(pair);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_handler_without_answer),
        cmocka_unit_test(test_response_over_limit),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_large_message),
        cmocka_unit_test(test_early_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
