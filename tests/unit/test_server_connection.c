/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's end: graceful shutdown in two steps, the cut, the lists of calls while handlers act on each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "call_test.h"
#include "rpc/core.h"

#define SHUTTING_DOWN "grpc-status=14 grpc-message=the server is shutting down grpc-status-details-bin="

static void watch(struct mote_call *call, const void *request)
{
    call_fixture_hold_stream(call, request);
    mote_call_set_endless(call);
}

static void test_drain_idle(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    mote_server_connection_drain(pair->connection, pair->now_ns);
    assert_int_equal(pair->server_attentions, 1);
    assert_true(mote_server_connection_wants_write(pair->connection));
    /* This client has nothing to stay for: it does not answer the PING. */
    assert_string_equal(call_fixture_answer(pair), "goaway NO_ERROR 2147483647\n");
    mote_rpc_pair_pass(pair, 5010 * 1000000ull);
    assert_true(mote_server_connection_is_over(pair->connection));
    assert_null(mote_server_connection_end_reason(pair->connection));
    mote_rpc_pair_dispose(pair);
}

/* Open calls end in peace, watches are ended at the second GOAWAY, and the connection goes with the last call. */
static void test_drain(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, watch);
    call_fixture_start(pair, SERVER_STREAM, NULL);
    fixture.handler = call_fixture_hold;
    call_fixture_start(pair, UNARY, NULL);
    struct mote_call *held = fixture.call;
    mote_server_connection_drain(pair->connection, pair->now_ns);
    mote_server_connection_drain(pair->connection, pair->now_ns);
    const char *log = call_fixture_answer(pair);
    assert_contains(log, "goaway NO_ERROR 2147483647\n");
    assert_contains(log, "goaway NO_ERROR 3\n");
    assert_contains(log, "1" HEADERS " " SHUTTING_DOWN);
    assert_null(strstr(log, "3 "));
    assert_int_equal(fixture.cancelled, 1);
    assert_int_equal(fixture.cancel_status, MOTE_STATUS_UNAVAILABLE);
    assert_false(mote_server_connection_is_over(pair->connection));
    mote_rpc_pair_pass(pair, 6 * SECOND);
    assert_string_equal(mote_rpc_pair_take_log(pair), "");
    call_fixture_reply_42(held, NULL);
    mote_call_unref(held);
    assert_contains(call_fixture_answer(pair), "3 trailers grpc-status=0\n");
    assert_true(mote_server_connection_is_over(pair->connection));
    assert_int_equal(fixture.observed.started, fixture.observed.ended);
    mote_rpc_pair_dispose(pair);
}

/* A client that does not answer the PING holds the second GOAWAY up for 5 s, and its streams until then are served. */
static void test_drain_without_ack(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, watch);
    call_fixture_start(pair, SERVER_STREAM, NULL);
    pair->reads = false;
    mote_server_connection_drain(pair->connection, pair->now_ns);
    call_fixture_start(pair, ADD, NULL);
    assert_int_equal(fixture.observed.started, 2);
    assert_int_equal(fixture.observed.summary.status, MOTE_STATUS_OK);
    mote_rpc_pair_pass(pair, 4990 * 1000000ull);
    assert_int_equal(fixture.cancelled, 0);
    const size_t before = pair->server_attentions;
    mote_rpc_pair_pass(pair, 20 * 1000000ull);
    assert_int_equal(fixture.cancelled, 1);
    assert_true(pair->server_attentions > before);
    pair->reads = true;
    const char *log = call_fixture_answer(pair);
    assert_contains(log, "goaway NO_ERROR 2147483647\n");
    assert_contains(log, "goaway NO_ERROR 3\n");
    assert_true(mote_server_connection_is_over(pair->connection));
    mote_rpc_pair_dispose(pair);
}

/* A watch that comes in one read with the PING's ACK: before it or behind it, it does not hold the drain. */
static void test_drain_late_watch(void **state)
{
    (void)state;
    for (int behind = 0; behind < 2; behind++) {
        struct call_fixture fixture;
        struct mote_rpc_pair *pair = call_fixture_setup(&fixture, watch);
        uint8_t bytes[2048];
        size_t request = 0;
        size_t farewell = 0;
        size_t ack = 0;
        mote_rpc_pair_write(mote_rpc_pair_request(pair, SERVER_STREAM, NULL, false), TWO_PLUS_40, 9, true);
        assert_int_equal(mote_h2_send(pair->raw, bytes, 1024, &request, pair->now_ns), 0);
        mote_server_connection_drain(pair->connection, pair->now_ns);
        uint8_t room[1024];
        assert_int_equal(mote_server_connection_send(pair->connection, room, 1024, &farewell, pair->now_ns), 0);
        assert_int_equal(mote_h2_recv(pair->raw, mote_slice(room, farewell), pair->now_ns), 0);
        struct mote_event event;
        while (mote_h2_next_event(pair->raw, &event)) {
            assert_int_equal(event.type, MOTE_EVENT_GOAWAY);
        }
        assert_int_equal(mote_h2_send(pair->raw, room, 1024, &ack, pair->now_ns), 0);
        assert_true(request != 0 && ack != 0);
        memmove(bytes + (behind != 0 ? ack : 0), bytes, request);
        memcpy(bytes + (behind != 0 ? 0 : request), room, ack);
        assert_int_equal(mote_server_connection_recv(pair->connection, mote_slice(bytes, request + ack), pair->now_ns),
                         0);
        assert_int_equal(fixture.handled, 1);
        assert_int_equal(fixture.cancelled, 1);
        assert_contains(call_fixture_answer(pair), "1" HEADERS " " SHUTTING_DOWN);
        assert_true(mote_server_connection_is_over(pair->connection));
        mote_rpc_pair_dispose(pair);
    }
}

static void test_cut(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    call_fixture_start(pair, UNARY, NULL);
    struct mote_call *held = fixture.call;
    mote_rpc_pair_request(pair, UNARY, NULL, false); /* still sends its body */
    fixture.handler = call_fixture_hold_stream;
    call_fixture_start(pair, SERVER_STREAM, NULL);
    const calculator_v1_AddResponse response = {.sum = 1};
    assert_int_equal(mote_call_send(fixture.call, &response), 0);
    assert_true(mote_server_connection_cut(pair->connection, pair->now_ns));
    assert_int_equal(fixture.cancelled, 2);
    assert_int_equal(fixture.observed.ended, 3);
    assert_true(pair->server_attentions > 0);
    const char *log = call_fixture_answer(pair);
    assert_contains(log, "1" HEADERS " " SHUTTING_DOWN);
    assert_contains(log, "3" HEADERS " " SHUTTING_DOWN);
    assert_contains(log, "5 trailers " SHUTTING_DOWN);
    assert_contains(log, "goaway NO_ERROR 5\n");
    assert_true(mote_server_connection_is_over(pair->connection));
    call_fixture_reply_42(held, NULL);
    mote_call_unref(held);
    mote_rpc_pair_dispose(pair);
}

/* Without a call there is nothing to cut off: the end is an orderly one. */
static void test_cut_of_an_idle_connection(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_reply_42);
    call_fixture_start(pair, UNARY, NULL);
    assert_int_equal(fixture.observed.ended, 1);
    assert_false(mote_server_connection_cut(pair->connection, pair->now_ns));
    mote_rpc_pair_pump(pair);
    assert_true(mote_server_connection_is_over(pair->connection));
    mote_rpc_pair_dispose(pair);
}

/* A handler that, when its call is cut off, ends others. */
static struct mote_call *others[3];

static void end_others(struct mote_call *call, enum mote_status status)
{
    call_fixture_note_cancel(call, status);
    for (size_t i = 0; i < 3; i++) {
        mote_call_fail(others[i], MOTE_STATUS_ABORTED, "by another");
    }
}

static void test_cut_with_entangled_calls(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    for (size_t i = 0; i < 3; i++) {
        call_fixture_start(pair, UNARY, NULL);
        others[i] = fixture.call;
        mote_call_on_cancel(fixture.call, end_others);
    }
    mote_server_connection_cut(pair->connection, pair->now_ns);
    assert_int_equal(fixture.cancelled, 1);
    assert_int_equal(fixture.observed.ended, 3);
    const char *log = call_fixture_answer(pair);
    assert_contains(log, "1" HEADERS " " SHUTTING_DOWN);
    assert_contains(log, "3" HEADERS " grpc-status=10 grpc-message=by another\n");
    assert_contains(log, "5" HEADERS " grpc-status=10 grpc-message=by another\n");
    for (size_t i = 0; i < 3; i++) {
        mote_call_unref(others[i]);
    }
    mote_rpc_pair_dispose(pair);
}

/* Identifiers run out: the client is sent away in time. */
static void test_stream_ids(void **state)
{
    (void)state;
    struct call_fixture fixture;
    assert_int_equal(call_fixture_prepare(&fixture, mote_mem_system()), 0);
    fixture.pair.limits.stream_id_max = 5;
    struct mote_rpc_pair *pair = &fixture.pair;
    assert_int_equal(mote_rpc_pair_connect_raw(pair), 0);
    call_fixture_start(pair, ADD, NULL);
    call_fixture_start(pair, ADD, NULL);
    assert_null(strstr(call_fixture_answer(pair), "goaway"));
    call_fixture_start(pair, ADD, NULL);
    const char *log = call_fixture_answer(pair);
    assert_contains(log, "5 trailers grpc-status=0\n");
    assert_contains(log, "goaway NO_ERROR 5\n");
    assert_true(mote_server_connection_is_over(pair->connection));
    mote_rpc_pair_dispose(pair);
}

static void test_protocol_error(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    call_fixture_start(pair, UNARY, NULL);
    static const uint8_t frame[] = {0, 0, 1, 0, 0, 0, 0, 0, 0, 'x'}; /* DATA on stream 0 */
    (void)!mote_server_connection_recv(pair->connection, mote_slice(frame, sizeof frame), pair->now_ns);
    assert_contains(call_fixture_answer(pair), "goaway PROTOCOL_ERROR");
    assert_true(mote_server_connection_is_over(pair->connection));
    mote_rpc_pair_close_server(pair);
    assert_int_equal(fixture.cancelled, 1);
    mote_call_unref(fixture.call);
    mote_rpc_pair_dispose(pair);
}

/* What sending brings about is handled in the send: the stream's end here. */
static void test_events_of_sending(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    call_fixture_start(pair, UNARY, NULL);
    call_fixture_reply_42(fixture.call, NULL);
    assert_non_null(fixture.call->stream);
    uint8_t out[1024];
    size_t length;
    assert_int_equal(mote_server_connection_send(pair->connection, out, sizeof out, &length, pair->now_ns), 0);
    assert_true(length != 0);
    assert_null(fixture.call->stream);
    mote_call_unref(fixture.call);
    mote_rpc_pair_dispose(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_idle),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_without_ack),
        cmocka_unit_test(test_drain_late_watch),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_of_an_idle_connection),
        cmocka_unit_test(test_cut_with_entangled_calls),
        cmocka_unit_test(test_stream_ids),
        cmocka_unit_test(test_protocol_error),
        cmocka_unit_test(test_events_of_sending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
