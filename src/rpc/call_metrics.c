/* SPDX-License-Identifier: Apache-2.0 */
/* The stage that counts calls in their worker's shard: each that is started is ended once, whatever becomes of it. */
#include "rpc/core.h"
#include "telemetry/metrics.h"

static void start_call(void *context, struct mote_call *call)
{
    (void)context;
    mote_counter_add(&mote_call_worker_of(call)->metrics->calls[call->entry->index].started, 1);
}

static void end_call(void *context, struct mote_call *call, const struct mote_call_summary *summary)
{
    (void)context;
    const struct mote_server_worker *worker = mote_call_worker_of(call);
    const struct mote_trace_context *trace = mote_call_trace(call);
    struct mote_metric_call ended = {.code = (unsigned)summary->status,
                                     .duration_ns = summary->duration_ns,
                                     .received = summary->request_messages,
                                     .sent = summary->response_messages,
                                     .received_bytes = summary->request_bytes,
                                     .sent_bytes = summary->response_bytes};
    const struct mote_clock *clock = worker->server->options.clock;
    if (trace != NULL && (trace->flags & MOTE_TRACE_SAMPLED) != 0 && clock != NULL) {
        ended.trace_id = trace->trace_id;
        ended.at_ns = clock->wall_ns(clock->context);
    }
    mote_metrics_end_call(worker->metrics, call->entry->index, &ended);
}

struct mote_interceptor mote_call_metrics_stage(void)
{
    return (struct mote_interceptor){.name = "metrics", .start = start_call, .end = end_call};
}
