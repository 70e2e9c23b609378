/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span for each call (OpenTelemetry's conventions for RPC): the caller's trace is continued, or a new one begun; what
 * the sampler takes is encoded when the call ends and put into the queue, from where the exporter takes it. Spans hold
 * nothing of messages and nobody's user id.
 */
#ifndef MOTE_APP_TRACING_H
#define MOTE_APP_TRACING_H

#include <stdbool.h>

#include "base/clock.h"
#include "rpc/server.h"
#include "telemetry/sampler.h"
#include "telemetry/span_queue.h"

#define MOTE_TRACING_ORIGINAL_MAX 128u /* bytes that are told of a method that does not exist */

/* All borrowed until the server is gone. */
struct mote_tracing {
    const struct mote_clock *clock;
    const struct mote_random *random;
    struct mote_span_queue *queue;
    struct mote_sampler sampler;
    bool trusts_callers; /* false: their traces are not continued, only linked to */
};

/* The stage for MOTE_STAGE_TRACE. */
struct mote_interceptor mote_tracing_stage(struct mote_tracing *tracing);

#endif
