/* SPDX-License-Identifier: Apache-2.0 */
/* How long a connection lives: pings to dead peers, idleness, age and its grace (gRFC A8, A9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "call_test.h"
#include "rpc/core.h"

#define NOTICE "goaway NO_ERROR 2147483647\n"

/* Limits in seconds; 0: off. */
static struct mote_rpc_pair *setup(struct call_fixture *fixture, mote_handler_cb *handler, uint64_t keepalive,
                                   uint64_t idle, uint64_t age)
{
    assert_int_equal(call_fixture_prepare(fixture, mote_mem_system()), 0);
    fixture->handler = handler;
    fixture->pair.limits.keepalive_time = keepalive * SECOND;
    fixture->pair.limits.keepalive_timeout = 20 * SECOND;
    fixture->pair.limits.connection_idle = idle * SECOND;
    fixture->pair.limits.connection_age = age * SECOND;
    fixture->pair.limits.connection_age_grace = 30 * SECOND;
    assert_int_equal(mote_rpc_pair_connect_raw(&fixture->pair), 0);
    (void)call_fixture_answer(&fixture->pair);
    return &fixture->pair;
}

static bool is_over(const struct mote_rpc_pair *pair)
{
    return mote_server_connection_is_over(pair->connection);
}

static void test_nothing_ends_it(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture, NULL, 0, 0, 0);
    mote_rpc_pair_pass(pair, 3600 * SECOND);
    assert_string_equal(call_fixture_answer(pair), "");
    assert_usable(pair);
    teardown(&fixture);
}

static void test_idle(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture, NULL, 0, 300, 0);
    mote_rpc_pair_pass(pair, 299 * SECOND);
    assert_string_equal(call_fixture_answer(pair), "");
    mote_rpc_pair_pass(pair, 2 * SECOND);
    assert_string_equal(call_fixture_answer(pair), NOTICE);
    mote_rpc_pair_pass(pair, 6 * SECOND);
    assert_true(is_over(pair));
    assert_null(mote_server_connection_end_reason(pair->connection));
    teardown(&fixture);
}

/* It counts from the end of the last call, and not while one is open. */
static void test_idle_after_calls(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture, call_fixture_hold, 0, 300, 0);
    mote_rpc_pair_pass(pair, 200 * SECOND);
    call_fixture_start(pair, UNARY, NULL);
    mote_rpc_pair_pass(pair, 1000 * SECOND);
    assert_string_equal(call_fixture_answer(pair), "");
    call_fixture_reply_42(fixture.call, NULL);
    mote_call_unref(fixture.call);
    assert_contains(call_fixture_answer(pair), "1 trailers grpc-status=0\n");
    mote_rpc_pair_pass(pair, 298 * SECOND);
    assert_string_equal(call_fixture_answer(pair), "");
    mote_rpc_pair_pass(pair, 4 * SECOND);
    assert_string_equal(call_fixture_answer(pair), NOTICE);
    teardown(&fixture);
}

/* A call that comes between the two GOAWAYs is served. */
static void test_call_at_the_end(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture, NULL, 0, 300, 0);
    mote_rpc_pair_pass(pair, 299 * SECOND);
    pair->reads = false;
    mote_rpc_pair_pass(pair, 2 * SECOND);
    assert_int_equal(pair->connection->drain, MOTE_DRAIN_NOTICE);
    call_fixture_start(pair, ADD, NULL);
    pair->reads = true;
    assert_contains(call_fixture_answer(pair), "1 trailers grpc-status=0\n");
    teardown(&fixture);
}

/* A peer that is gone: no bytes, and no answer to the ping. */
static void test_dead_peer(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture, call_fixture_hold, 60, 0, 0);
    call_fixture_start(pair, UNARY, NULL);
    pair->reads = false;
    mote_rpc_pair_pass(pair, 79 * SECOND);
    assert_null(mote_server_connection_end_reason(pair->connection));
    assert_int_equal(pair->connection->pings, 1);
    mote_rpc_pair_pass(pair, 2 * SECOND);
    assert_string_equal(mote_server_connection_end_reason(pair->connection), "keepalive: no answer to a ping");
    mote_rpc_pair_close_server(pair);
    assert_int_equal(fixture.cancelled, 1);
    mote_call_unref(fixture.call);
    teardown(&fixture);
}

/* One that answers is pinged for ever, and no more often than that. */
static void test_live_peer(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture, call_fixture_hold, 60, 0, 0);
    call_fixture_start(pair, UNARY, NULL);
    for (unsigned i = 0; i < 20; i++) {
        const uint64_t due = pair->connection->read_ns + 60 * SECOND;
        mote_rpc_pair_pass(pair, due - pair->now_ns + SECOND / 10);
        assert_null(mote_server_connection_end_reason(pair->connection));
        assert_int_equal(pair->connection->pings, 0);
        assert_true(pair->connection->read_ns >= due);
    }
    call_fixture_reply_42(fixture.call, NULL);
    mote_call_unref(fixture.call);
    assert_contains(call_fixture_answer(pair), "1 trailers grpc-status=0\n");
    teardown(&fixture);
}

/* Bytes put the ping off. */
static void test_busy_peer(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture, NULL, 60, 0, 0);
    for (unsigned i = 0; i < 5; i++) {
        mote_rpc_pair_pass(pair, 59 * SECOND);
        const uint64_t before = pair->connection->read_ns;
        assert_usable(pair);
        assert_true(pair->connection->read_ns > before);
        assert_int_equal(pair->connection->pinged_ns, 0);
    }
    teardown(&fixture);
}

static void test_age(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture, call_fixture_hold, 0, 0, 1000);
    call_fixture_start(pair, UNARY, NULL);
    mote_rpc_pair_pass(pair, pair->connection->age_due_ns - pair->now_ns - SECOND);
    assert_string_equal(call_fixture_answer(pair), "");
    mote_rpc_pair_pass(pair, SECOND + SECOND / 10);
    assert_string_equal(call_fixture_answer(pair), NOTICE "goaway NO_ERROR 1\n");
    assert_false(is_over(pair));
    /* Its call may end in peace. */
    call_fixture_reply_42(fixture.call, NULL);
    mote_call_unref(fixture.call);
    assert_contains(call_fixture_answer(pair), "1 trailers grpc-status=0\n");
    assert_true(is_over(pair));
    teardown(&fixture);
}

static void test_age_grace(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture, call_fixture_hold, 0, 0, 1000);
    call_fixture_start(pair, UNARY, NULL);
    const uint64_t due = pair->connection->age_due_ns;
    mote_rpc_pair_pass(pair, due - pair->now_ns + SECOND / 10);
    (void)call_fixture_answer(pair);
    mote_rpc_pair_pass(pair, 29 * SECOND);
    assert_string_equal(call_fixture_answer(pair), "");
    mote_rpc_pair_pass(pair, 2 * SECOND);
    assert_contains(call_fixture_answer(pair), "grpc-status=14");
    assert_int_equal(fixture.cancelled, 1);
    assert_true(is_over(pair));
    mote_call_unref(fixture.call);
    teardown(&fixture);
}

/* Connections that come together do not leave together, and none is more than a tenth off. */
static void test_age_differs(void **state)
{
    (void)state;
    uint64_t lowest = UINT64_MAX;
    uint64_t highest = 0;
    for (unsigned i = 0; i < 50; i++) {
        struct call_fixture fixture;
        assert_int_equal(call_fixture_prepare(&fixture, mote_mem_system()), 0);
        fixture.pair.limits.connection_age = 1000 * SECOND;
        fixture.pair.now_ns += i * 1000003;
        assert_int_equal(mote_rpc_pair_connect_raw(&fixture.pair), 0);
        const uint64_t age = fixture.pair.connection->age_due_ns - (MOTE_RPC_PAIR_START_NS + i * 1000003);
        assert_in_range(age / SECOND, 900, 1100);
        lowest = age < lowest ? age : lowest;
        highest = age > highest ? age : highest;
        teardown(&fixture);
    }
    assert_true(highest - lowest > 100 * SECOND);
}

static void watch(struct mote_call *call, const void *request)
{
    call_fixture_hold_stream(call, request);
    mote_call_set_endless(call);
}

/* A watch goes on in the grace of age, but not when the process ends meanwhile. */
static void test_age_then_shutdown(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture, watch, 0, 0, 1000);
    call_fixture_start(pair, SERVER_STREAM, NULL);
    mote_rpc_pair_pass(pair, pair->connection->age_due_ns - pair->now_ns + SECOND / 10);
    assert_contains(call_fixture_answer(pair), NOTICE "goaway NO_ERROR 1\n");
    assert_int_equal(fixture.cancelled, 0);
    mote_server_connection_drain(pair->connection, pair->now_ns);
    assert_contains(call_fixture_answer(pair), "grpc-status=14");
    assert_int_equal(fixture.cancelled, 1);
    assert_true(is_over(pair));
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_ends_it),   cmocka_unit_test(test_idle),
        cmocka_unit_test(test_idle_after_calls),  cmocka_unit_test(test_call_at_the_end),
        cmocka_unit_test(test_dead_peer),         cmocka_unit_test(test_live_peer),
        cmocka_unit_test(test_busy_peer),         cmocka_unit_test(test_age),
        cmocka_unit_test(test_age_grace),         cmocka_unit_test(test_age_differs),
        cmocka_unit_test(test_age_then_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
