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
    mote_metrics_end_call(mote_call_worker_of(call)->metrics, call->entry->index, (unsigned)summary->status,
                          summary->duration_ns, summary->request_messages, summary->response_messages);
}

struct mote_interceptor mote_call_metrics_stage(void)
{
    return (struct mote_interceptor){.name = "metrics", .start = start_call, .end = end_call};
}
