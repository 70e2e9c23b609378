/* SPDX-License-Identifier: Apache-2.0 */
/* What the connections of one thread share: the HTTP/2 context, the counters of the worker's share of the process-wide
 * limits, and a scratch buffer for replies. */
#include "base/assert.h"
#include "rpc/core.h"
#include "telemetry/metrics.h"

/* This worker's share, at least one. */
static size_t share(uint64_t limit, size_t worker_count)
{
    const uint64_t part = limit / worker_count;
    return part == 0 ? 1 : (size_t)part;
}

int mote_server_worker_new(struct mote_server_worker **out, struct mote_server *server,
                           const struct mote_server_worker_options *options)
{
    struct mote_server_worker *worker = mote_mem_allocate(options->mem, sizeof *worker);
    if (worker == NULL) {
        return MOTE_ENOMEM;
    }
    const struct mote_limits *limits = server->options.limits;
    const size_t worker_count = server->options.worker_count;
    *worker = (struct mote_server_worker){
        .server = server,
        .limits = limits,
        .mem = options->mem,
        .wheel = options->wheel,
        .user = options->user,
        .metrics = options->metrics != NULL ? options->metrics : mote_metrics_nowhere(),
        .handlers_max = share(limits->handlers_max, worker_count),
        .streams_max = share(limits->watches_max, worker_count),
        .buffered_max = share(limits->buffered_max, worker_count),
    };
    worker->decompress_left = (size_t)limits->decompressed_per_turn;
    mote_list_init(&worker->deferred);
    mote_list_init(&worker->health_watches);
    const struct mote_h2_context_options context_options = {
        .limits = limits,
        .mem = options->mem,
        .wheel = options->wheel,
        .counters = options->metrics != NULL ? &options->metrics->cells[MOTE_METRIC_GOAWAY_SENT_0] : NULL,
    };
    _Static_assert(MOTE_METRIC_VIOLATION_HEADERS - MOTE_METRIC_GOAWAY_SENT_0 + 1 == MOTE_H2_COUNTERS,
                   "the rows of the table are what h2 counts");
    const int error = mote_h2_context_new(&worker->h2_context, &context_options);
    if (error != 0) {
        mote_mem_release(options->mem, worker);
        return error;
    }
    *out = worker;
    return 0;
}

void mote_server_worker_free(struct mote_server_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    mote_assert(worker->connections == 0 && worker->handlers == 0 && worker->streams == 0 && worker->buffered == 0);
    mote_assert(mote_list_is_empty(&worker->health_watches) && mote_list_is_empty(&worker->deferred));
    mote_h2_context_free(worker->h2_context);
    mote_mem_release(worker->mem, worker);
}

struct mote_server *mote_server_worker_server(struct mote_server_worker *worker)
{
    return worker->server;
}

struct mote_timer_wheel *mote_server_worker_wheel(struct mote_server_worker *worker)
{
    return worker->wheel;
}

size_t mote_server_worker_calls(const struct mote_server_worker *worker)
{
    return worker->handlers + worker->streams;
}

void mote_server_worker_set_now(struct mote_server_worker *worker, uint64_t now_ns)
{
    worker->now_ns = now_ns;
}
