/* SPDX-License-Identifier: Apache-2.0 */
/* What settings come to on machines of all sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "app/effective.h"
#include "net/runtime.h"

#define MIB UINT64_C(1048576)

static const struct mote_machine roomy = {.processors = 4, .memory = 8192 * MIB, .descriptors = 1048576};

static struct mote_options defaults(void)
{
    return (struct mote_options){.max_connections = 10000,
                                 .max_connections_per_address = 256,
                                 .max_concurrent_streams = 100,
                                 .max_recv_message_size = 4 * MIB,
                                 .max_metadata_size = 8192,
                                 .keepalive_time = 60 * MOTE_OPTION_SECOND,
                                 .keepalive_timeout = 20 * MOTE_OPTION_SECOND,
                                 .max_connection_idle = 300 * MOTE_OPTION_SECOND,
                                 .max_connection_age_grace = 30 * MOTE_OPTION_SECOND,
                                 .keepalive_min_time = 300 * MOTE_OPTION_SECOND};
}

static void test_defaults_on_a_roomy_machine_are_the_limits_defaults(void **state)
{
    struct mote_options options = defaults();
    struct mote_effective effective;
    struct mote_limits standard;
    (void)state;
    mote_limits_init(&standard);
    standard.buffered_max = 1024 * MIB;
    mote_effective_compute(&effective, &options, &roomy);
    assert_memory_equal(&effective.limits, &standard, sizeof standard);
    assert_int_equal(effective.workers, 4);
    assert_int_equal(effective.memory, 8192 * MIB);
    assert_string_equal(effective.connections_bound, "MAX_CONNECTIONS");
}

static void test_connections(void **state)
{
    static const struct {
        uint64_t wanted, descriptors, memory;
        size_t workers;
        uint64_t connections;
        const char *bound;
        bool has_tls;
    } rows[] = {
        {10000, 10128, 8192 * MIB, 1, 10000, "MAX_CONNECTIONS", false},
        {10000, 10127, 8192 * MIB, 1, 9999, "RLIMIT_NOFILE", false},
        {10000, 1024, 8192 * MIB, 1, 896, "RLIMIT_NOFILE", false},
        {10000, 1024, 8192 * MIB, 64, 1, "RLIMIT_NOFILE", false}, /* each worker needs some itself */
        {10000, 129, 8192 * MIB, 1, 1, "RLIMIT_NOFILE", false},
        {10000, 1, 8192 * MIB, 1, 1, "RLIMIT_NOFILE", false},
        {10000, 1048576, 64 * MIB, 1, 1024, "MEMORY_BUDGET", false},
        {1024, 1048576, 64 * MIB, 1, 1024, "MAX_CONNECTIONS", false},
        {1025, 1048576, 64 * MIB, 1, 1024, "MEMORY_BUDGET", false},
        {10000, 1048576, 1, 1, 1, "MEMORY_BUDGET", false},
        {3, 1048576, 8192 * MIB, 1, 3, "MAX_CONNECTIONS", false},
        {10000, 1048576, 64 * MIB, 1, 512, "MEMORY_BUDGET", true},
        {10000, 10127, 8192 * MIB, 1, 9999, "RLIMIT_NOFILE", true},
    };
    static char certificate[] = "server.pem";
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mote_options options = defaults();
        struct mote_effective effective;
        const struct mote_machine machine = {
            .processors = 1, .memory = rows[i].memory, .descriptors = rows[i].descriptors};
        options.max_connections = rows[i].wanted;
        options.workers = rows[i].workers;
        options.tls_cert_file = rows[i].has_tls ? certificate : NULL;
        mote_effective_compute(&effective, &options, &machine);
        assert_int_equal(effective.limits.connections_max, rows[i].connections);
        assert_string_equal(effective.connections_bound, rows[i].bound);
        assert_in_range(effective.limits.connections_unopened_max, 1, rows[i].connections);
    }
}

static void test_workers(void **state)
{
    struct mote_options options = defaults();
    struct mote_effective effective;
    struct mote_machine machine = roomy;
    (void)state;
    machine.processors = 1000;
    mote_effective_compute(&effective, &options, &machine);
    assert_int_equal(effective.workers, MOTE_RUNTIME_WORKERS_MAX);
    options.workers = 7;
    mote_effective_compute(&effective, &options, &machine);
    assert_int_equal(effective.workers, 7);
}

static void test_memory_is_divided(void **state)
{
    static const struct {
        uint64_t budget, machine, memory, buffered;
    } rows[] = {
        {0, 64 * MIB, 64 * MIB, 16 * MIB},         {32 * MIB, 64 * MIB, 32 * MIB, 8 * MIB},
        {0, 4096 * MIB, 4096 * MIB, 1024 * MIB},   {0, 4096 * MIB - 4, 4096 * MIB - 4, 1024 * MIB - 1},
        {0, 65536 * MIB, 65536 * MIB, 1024 * MIB},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mote_options options = defaults();
        struct mote_effective effective;
        struct mote_machine machine = roomy;
        machine.memory = rows[i].machine;
        options.memory_budget = rows[i].budget;
        mote_effective_compute(&effective, &options, &machine);
        assert_int_equal(effective.memory, rows[i].memory);
        assert_int_equal(effective.limits.buffered_max, rows[i].buffered);
    }
}

/* Limits that must not be smaller than one another move along. */
static void test_limits_keep_their_order(void **state)
{
    struct mote_options options = defaults();
    struct mote_effective effective;
    (void)state;
    options.max_concurrent_streams = 500;
    options.max_recv_message_size = 16 * MIB;
    options.max_metadata_size = 65536;
    options.keepalive_min_time = 7;
    options.keepalive_permit_without_calls = true;
    options.max_connections_per_address = 11;
    mote_effective_compute(&effective, &options, &roomy);
    assert_int_equal(effective.limits.concurrent_streams_max, 500);
    assert_int_equal(effective.limits.handlers_per_connection_max, 500);
    assert_int_equal(effective.limits.message_receive_max, 16 * MIB);
    assert_int_equal(effective.limits.buffered_per_connection_max, 32 * MIB);
    assert_int_equal(effective.limits.metadata_size_soft, 65536);
    assert_int_equal(effective.limits.metadata_size_hard, 131072);
    assert_int_equal(effective.limits.metadata_size_kill, 262144);
    assert_int_equal(effective.limits.keepalive_min_time, 7);
    assert_int_equal(effective.limits.keepalive_without_calls, 1);
    assert_int_equal(effective.limits.connections_per_address_max, 11);
    options.max_concurrent_streams = 5;
    mote_effective_compute(&effective, &options, &roomy);
    assert_int_equal(effective.limits.concurrent_streams_max, 5);
    assert_int_equal(effective.limits.handlers_per_connection_max, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_on_a_roomy_machine_are_the_limits_defaults),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_memory_is_divided),
        cmocka_unit_test(test_limits_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
