/* SPDX-License-Identifier: Apache-2.0 */
/* See effective.h. */
#include "app/effective.h"

#include <sys/resource.h>

#include "app/cgroup.h"
#include "net/runtime.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void set_connections(struct mote_effective *out, const struct mote_options *options,
                            const struct mote_machine *machine)
{
    struct mote_limits *limits = &out->limits;
    uint64_t reserve = larger(MOTE_EFFECTIVE_DESCRIPTORS_MIN, out->workers * MOTE_EFFECTIVE_DESCRIPTORS_PER_WORKER);
    uint64_t by_descriptors = machine->descriptors > reserve ? machine->descriptors - reserve : 1;
    uint64_t cost = MOTE_EFFECTIVE_CONNECTION_COST + (options->tls_cert_file != NULL ? MOTE_EFFECTIVE_TLS_COST : 0);
    uint64_t by_memory = larger(out->memory / 2 / cost, 1);
    limits->connections_max = options->max_connections;
    out->connections_bound = "MAX_CONNECTIONS";
    if (by_descriptors < limits->connections_max) {
        limits->connections_max = by_descriptors;
        out->connections_bound = "RLIMIT_NOFILE";
    }
    if (by_memory < limits->connections_max) {
        limits->connections_max = by_memory;
        out->connections_bound = "MEMORY_BUDGET";
    }
    limits->connections_per_address_max = options->max_connections_per_address;
    limits->connections_unopened_max = smaller(limits->connections_unopened_max, limits->connections_max);
}

static void set_messages(struct mote_effective *out, const struct mote_options *options)
{
    struct mote_limits *limits = &out->limits;
    limits->message_receive_max = options->max_recv_message_size;
    /* A connection may have the largest message in hand, and another call's beside it. */
    limits->buffered_per_connection_max =
        larger(limits->buffered_per_connection_max, 2 * options->max_recv_message_size);
    limits->buffered_max = smaller(out->memory / 4, MOTE_EFFECTIVE_BUFFERED_MAX);
}

static void set_metadata(struct mote_limits *limits, uint64_t size)
{
    /* The distances between the three limits stay those of the defaults, at least. */
    limits->metadata_size_soft = size;
    limits->metadata_size_hard = larger(limits->metadata_size_hard, 2 * size);
    limits->metadata_size_kill = larger(limits->metadata_size_kill, 4 * size);
}

void mote_effective_compute(struct mote_effective *out, const struct mote_options *options,
                            const struct mote_machine *machine)
{
    struct mote_limits *limits = &out->limits;
    mote_limits_init(limits);
    out->workers =
        (size_t)smaller(options->workers > 0 ? options->workers : machine->processors, MOTE_RUNTIME_WORKERS_MAX);
    out->memory = options->memory_budget > 0 ? options->memory_budget : machine->memory;
    set_connections(out, options, machine);
    set_messages(out, options);
    set_metadata(limits, options->max_metadata_size);
    limits->concurrent_streams_max = options->max_concurrent_streams;
    limits->handlers_per_connection_max = larger(limits->handlers_per_connection_max, options->max_concurrent_streams);
    limits->call_duration_max = options->max_call_duration;
    limits->keepalive_time = options->keepalive_time;
    limits->keepalive_timeout = options->keepalive_timeout;
    limits->connection_idle = options->max_connection_idle;
    limits->connection_age = options->max_connection_age;
    limits->connection_age_grace = options->max_connection_age_grace;
    limits->keepalive_min_time = options->keepalive_min_time;
    limits->keepalive_without_calls = options->keepalive_permit_without_calls;
}

void mote_effective_measure(struct mote_machine *out)
{
    struct rlimit files;
    out->processors = mote_cgroup_processors("");
    out->memory = mote_cgroup_memory("");
    out->descriptors = 1024;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        struct rlimit raised = {.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};
        out->descriptors = setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : files.rlim_cur;
    }
}
