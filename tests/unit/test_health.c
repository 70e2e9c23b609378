/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1: the table and its bounds; Check, List and Watch as a client sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pair/call_fixture.h"
#include "rpc/core.h"
#include "rpc/health.h"
#include "support/failing_mem.h"

#define CHECK "/grpc.health.v1.Health/Check"
#define LIST  "/grpc.health.v1.Health/List"
#define WATCH "/grpc.health.v1.Health/Watch"

struct fixture {
    struct call_fixture call;
    struct mote_health *health;
};

static struct mote_rpc_pair *setup(struct fixture *fixture)
{
    assert_int_equal(call_fixture_prepare(&fixture->call, mote_mem_system()), 0);
    assert_int_equal(mote_health_new(&fixture->health, mote_mem_system()), 0);
    assert_int_equal(mote_health_register(fixture->health, fixture->call.pair.server), 0);
    assert_int_equal(mote_rpc_pair_connect_raw(&fixture->call.pair), 0);
    return &fixture->call.pair;
}

static void teardown(struct fixture *fixture)
{
    mote_rpc_pair_dispose(&fixture->call.pair);
    mote_health_free(fixture->health);
    assert_int_equal(fixture->call.observed.started, fixture->call.observed.ended);
}

static void test_table(void **state)
{
    (void)state;
    struct mote_health *health;
    assert_int_equal(mote_health_new(&health, mote_mem_system()), 0);
    assert_int_equal(mote_health_get(health, ""), MOTE_HEALTH_NOT_SERVING);
    assert_int_equal(mote_health_get(health, "a"), MOTE_HEALTH_SERVICE_UNKNOWN);
    char name[MOTE_HEALTH_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[MOTE_HEALTH_NAME_MAX + 1] = '\0';
    assert_int_equal(mote_health_set(health, name, MOTE_HEALTH_SERVING), MOTE_EINVAL);
    name[MOTE_HEALTH_NAME_MAX] = '\0';
    assert_int_equal(mote_health_set(health, name, MOTE_HEALTH_SERVING), 0);
    for (unsigned i = 2; i < MOTE_HEALTH_SERVICES_MAX; i++) {
        char number[8];
        (void)snprintf(number, sizeof number, "%u", i);
        assert_int_equal(mote_health_set(health, number, MOTE_HEALTH_UNKNOWN), 0);
    }
    assert_int_equal(mote_health_set(health, "more", MOTE_HEALTH_SERVING), MOTE_ELIMIT);
    assert_int_equal(mote_health_set(health, "2", MOTE_HEALTH_SERVING), 0);
    assert_int_equal(mote_health_get(health, "2"), MOTE_HEALTH_SERVING);
    assert_int_equal(mote_health_get(health, "3"), MOTE_HEALTH_UNKNOWN);
    mote_health_set_all(health, MOTE_HEALTH_NOT_SERVING);
    assert_int_equal(mote_health_get(health, "2"), MOTE_HEALTH_NOT_SERVING);
    assert_int_equal(mote_health_get(health, name), MOTE_HEALTH_NOT_SERVING);
    mote_health_free(health);
    mote_health_free(NULL);
}

static int make_table(struct mote_mem *mem, void *context)
{
    (void)context;
    struct mote_health *health;
    int error = mote_health_new(&health, mem);
    if (error != 0) {
        return error;
    }
    error = mote_health_set(health, "a", MOTE_HEALTH_SERVING);
    assert_int_equal(mote_health_get(health, "a"), error == 0 ? MOTE_HEALTH_SERVING : MOTE_HEALTH_SERVICE_UNKNOWN);
    mote_health_free(health);
    return error;
}

static void test_table_without_memory(void **state)
{
    (void)state;
    assert_true(mote_failing_mem_check(make_table, NULL) > 0);
}

static void test_check(void **state)
{
    (void)state;
    struct fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture);
    assert_string_equal(call_fixture_whole(pair, CHECK, NULL, "\0\0\0\0\0", 5),
                        "1" HEADERS "\n1 data 00000000020802\n1 trailers grpc-status=0\n1 closed NO_ERROR\n");
    assert_int_equal(mote_health_set(fixture.health, "", MOTE_HEALTH_SERVING), 0);
    assert_int_equal(mote_health_set(fixture.health, "a.B", MOTE_HEALTH_NOT_SERVING), 0);
    assert_string_equal(call_fixture_whole(pair, CHECK, NULL, "\0\0\0\0\0", 5),
                        "3" HEADERS "\n3 data 00000000020801\n3 trailers grpc-status=0\n3 closed NO_ERROR\n");
    assert_string_equal(call_fixture_whole(pair, CHECK, NULL,
                                           "\0\0\0\0\5\x0a\x03"
                                           "a.B",
                                           10),
                        "5" HEADERS "\n5 data 00000000020802\n5 trailers grpc-status=0\n5 closed NO_ERROR\n");
    assert_string_equal(call_fixture_whole(pair, CHECK, NULL,
                                           "\0\0\0\0\5\x0a\x03"
                                           "a.C",
                                           10),
                        "7" HEADERS " grpc-status=5 grpc-message=unknown service\n7 closed NO_ERROR\n");
    teardown(&fixture);
}

static void test_list(void **state)
{
    (void)state;
    struct fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture);
    assert_int_equal(mote_health_set(fixture.health, "a", MOTE_HEALTH_SERVING), 0);
    /* An entry of the map is {key = 1, value = 2: {status = 1}}. */
    assert_string_equal(call_fixture_whole(pair, LIST, NULL, "\0\0\0\0\0", 5),
                        "1" HEADERS "\n1 data 000000000f0a04120208020a070a016112020801\n"
                        "1 trailers grpc-status=0\n1 closed NO_ERROR\n");
    teardown(&fixture);
}

static void test_watch(void **state)
{
    (void)state;
    struct fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture);
    struct mote_stream *whole = mote_rpc_pair_request(pair, WATCH, NULL, false);
    mote_rpc_pair_message(whole, "", 0, true);
    struct mote_stream *unknown = mote_rpc_pair_request(pair, WATCH, NULL, false);
    mote_rpc_pair_message(unknown, "\x0a\x01z", 3, true);
    assert_string_equal(call_fixture_answer(pair),
                        "1" HEADERS "\n3" HEADERS "\n1 data 00000000020802\n3 data 00000000020803\n");
    mote_health_notify(pair->worker);
    assert_string_equal(call_fixture_answer(pair), "");
    assert_int_equal(mote_health_set(fixture.health, "", MOTE_HEALTH_SERVING), 0);
    mote_health_notify(pair->worker);
    mote_health_notify(pair->worker);
    assert_string_equal(call_fixture_answer(pair), "1 data 00000000020801\n");
    assert_int_equal(mote_health_set(fixture.health, "z", MOTE_HEALTH_SERVING), 0);
    mote_health_notify(pair->worker);
    assert_string_equal(call_fixture_answer(pair), "3 data 00000000020801\n");
    /* One leaves, the other is still told. */
    mote_h2_reset(whole, MOTE_H2_CANCEL);
    mote_rpc_pair_pump(pair);
    (void)mote_rpc_pair_take_log(pair);
    mote_health_set_all(fixture.health, MOTE_HEALTH_NOT_SERVING);
    mote_health_notify(pair->worker);
    assert_string_equal(call_fixture_answer(pair), "3 data 00000000020802\n");
    assert_int_equal(mote_server_worker_calls(pair->worker), 1);
    /* A shutdown does not wait for it. */
    mote_server_connection_drain(pair->connection, pair->now_ns);
    assert_non_null(strstr(call_fixture_answer(pair), "3 trailers grpc-status=14 "));
    assert_true(mote_server_connection_is_over(pair->connection));
    mote_health_notify(pair->worker);
    teardown(&fixture);
}

/* A watcher that does not read costs one window and stream_output_high, and gets the newest status at last. */
static void test_slow_watcher(void **state)
{
    (void)state;
    struct fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture);
    pair->raw_consumes = false;
    struct mote_stream *stream = mote_rpc_pair_request(pair, WATCH, NULL, false);
    mote_rpc_pair_message(stream, "", 0, true);
    mote_rpc_pair_pump(pair);
    pair->reads = false;
    for (int i = 0; i < 40000; i++) {
        assert_int_equal(mote_health_set(fixture.health, "", i % 2 == 0 ? MOTE_HEALTH_SERVING : MOTE_HEALTH_UNKNOWN),
                         0);
        mote_health_notify(pair->worker);
    }
    assert_int_equal(fixture.call.observed.ended, 0);
    assert_int_equal(mote_health_set(fixture.health, "", MOTE_HEALTH_NOT_SERVING), 0);
    mote_health_notify(pair->worker);
    pair->reads = true;
    pair->raw_consumes = true;
    mote_rpc_pair_pump(pair);
    const char *log = mote_rpc_pair_take_log(pair);
    const size_t length = strlen(log);
    assert_true(length > 10);
    /* What was queued, then the last status. */
    assert_string_equal(log + length - 6, "20802\n");
    assert_true(length < 1000000);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_table_without_memory),
        cmocka_unit_test(test_check), cmocka_unit_test(test_list),
        cmocka_unit_test(test_watch), cmocka_unit_test(test_slow_watcher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
