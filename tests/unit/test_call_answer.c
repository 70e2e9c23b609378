/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: replies, failures, streams to readers that are slow or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "call_test.h"
#include "codec/element.h"
#include "rpc/core.h"
#include "support/failing_mem.h"

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
    struct mote_stream *stream = call_fixture_start(pair, SERVER_STREAM, NULL);
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
    call_fixture_start(pair, SERVER_STREAM, NULL);
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

/* Replies around the size of the worker's scratch, and a callback that cannot be encoded. */
#define PADDING_MAX (2 * MOTE_SERVER_SCRATCH - 1)

static size_t padding;

static bool encode_padding(pb_ostream_t *stream, const pb_field_t *field, void *const *argument)
{
    static const uint8_t zeros[PADDING_MAX];
    (void)argument;
    return padding <= sizeof zeros && mote_element_encode(stream, field, mote_slice(zeros, padding));
}

static void reply_large(struct mote_call *call, const void *request)
{
    (void)request;
    const calculator_v1_CountResponse response = {.padding.funcs.encode = encode_padding};
    mote_call_reply(call, &response);
}

static void test_reply_sizes(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, reply_large);
    static const size_t sizes[] = {0, 1, MOTE_SERVER_SCRATCH - 3, MOTE_SERVER_SCRATCH - 2, PADDING_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        padding = sizes[i];
        assert_contains(call_fixture_whole(pair, LARGE, NULL, TWO_PLUS_40, 9), "trailers grpc-status=0\n");
        assert_int_equal(fixture.observed.summary.response_bytes, padding + (padding < 128 ? 2 : 3));
    }
    padding++;
    assert_contains(call_fixture_whole(pair, LARGE, NULL, TWO_PLUS_40, 9),
                    "grpc-status=13 grpc-message=the response cannot be encoded\n");
    padding = PADDING_MAX;
    pair->limits.message_send_max = padding + 3;
    assert_contains(call_fixture_whole(pair, LARGE, NULL, TWO_PLUS_40, 9), "trailers grpc-status=0\n");
    pair->limits.message_send_max--;
    assert_contains(call_fixture_whole(pair, LARGE, NULL, TWO_PLUS_40, 9),
                    "grpc-status=8 grpc-message=response larger than the limit\n");
    teardown(&fixture);
}

/* Initial metadata before there is any message, from outside of a pass. */
static void test_send_headers(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold_stream);
    assert_string_equal(call_fixture_whole(pair, SERVER_STREAM, NULL, TWO_PLUS_40, 9), "");
    assert_int_equal(mote_call_add_header(fixture.call, "x-a", mote_slice_text("b")), 0);
    mote_call_send_headers(fixture.call);
    mote_call_send_headers(fixture.call);
    assert_int_equal(pair->server_attentions, 1);
    assert_string_equal(call_fixture_answer(pair), "1" HEADERS " x-a=b\n");
    assert_int_equal(mote_call_add_header(fixture.call, "x-a", mote_slice_text("b")), MOTE_ECLOSED);
    mote_call_fail(fixture.call, MOTE_STATUS_ABORTED, "late");
    assert_int_equal(pair->server_attentions, 2);
    assert_string_equal(call_fixture_answer(pair), "1 trailers grpc-status=10 grpc-message=late\n1 closed NO_ERROR\n");
    assert_int_equal(fixture.cancelled, 0);
    teardown(&fixture);
}

static void test_finish_without_message(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold_stream);
    assert_string_equal(call_fixture_whole(pair, SERVER_STREAM, NULL, TWO_PLUS_40, 9), "");
    mote_call_finish(fixture.call);
    assert_string_equal(call_fixture_answer(pair), "1" HEADERS " grpc-status=0\n1 closed NO_ERROR\n");
    teardown(&fixture);
}

/* With each allocation of a call failed in turn: an answer, RESOURCE_EXHAUSTED, a reset, or the end of the connection.
 */
static void test_without_memory(void **state)
{
    (void)state;
    unsigned answered = 0, exhausted = 0, other = 0;
    for (size_t fail_at = 1; answered < 3; fail_at++) {
        struct mote_failing_mem failing;
        struct call_fixture fixture;
        mote_failing_mem_init(&failing);
        assert_int_equal(call_fixture_prepare(&fixture, &failing.mem), 0);
        fixture.handler = reply_large;
        padding = PADDING_MAX;
        assert_int_equal(mote_rpc_pair_connect_raw(&fixture.pair), 0);
        struct mote_stream *stream = mote_rpc_pair_request(&fixture.pair, LARGE, NULL, false);
        mote_rpc_pair_write(stream, TWO_PLUS_40, 9, true);
        mote_failing_mem_arm(&failing, fail_at, false);
        const char *log = call_fixture_answer(&fixture.pair);
        answered += strstr(log, "trailers grpc-status=0\n") != NULL;
        exhausted += strstr(log, HEADERS " grpc-status=8 grpc-message=out of memory\n") != NULL ||
                     strstr(log, "closed ENHANCE_YOUR_CALM\n") != NULL;
        other += log[0] == '\0' || strstr(log, "goaway INTERNAL_ERROR") != NULL;
        assert_int_equal(answered + exhausted + other, fail_at);
        teardown(&fixture);
        assert_int_equal(failing.live_count, 0);
    }
    assert_true(exhausted >= 2);
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
        cmocka_unit_test(test_reply_sizes),
        cmocka_unit_test(test_send_headers),
        cmocka_unit_test(test_finish_without_message),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
