/* SPDX-License-Identifier: Apache-2.0 */
/* What makes spans: who takes part in which trace, and where finished spans go. Any thread. */
#ifndef MOTE_TELEMETRY_TRACER_H
#define MOTE_TELEMETRY_TRACER_H

#include <stdbool.h>

#include "base/clock.h"
#include "telemetry/sampler.h"
#include "telemetry/span.h"
#include "telemetry/span_queue.h"

/* All borrowed until the last call that it records is gone. */
struct mote_tracer {
    const struct mote_clock *clock;
    const struct mote_random *random;
    struct mote_span_queue *queue;
    struct mote_sampler sampler;
    struct mote_span_limits limits;
    bool trusts_callers;  /* false: their traces are not continued, only linked to */
    bool ignores_callers; /* not even that: what they say of traces is not looked at */
};

/* A new span in the trace of a caller elsewhere, or with `parent` NULL in a new one, as the sampler decides. False,
 * also below: there is no randomness. */
bool mote_tracer_begin(const struct mote_tracer *tracer, struct mote_trace_context *out,
                       const struct mote_trace_context *parent);
/* A new span below one of this process. */
bool mote_tracer_begin_child(const struct mote_tracer *tracer, struct mote_trace_context *out,
                             const struct mote_trace_context *parent);
/* What to add to a monotonic time for the time since 1970, by the clocks of now or a tenth of a second before: `now_ns`
 * is the monotonic time now. */
uint64_t mote_tracer_offset(const struct mote_tracer *tracer, uint64_t now_ns);
/* Ends the span and queues it. */
void mote_tracer_take(const struct mote_tracer *tracer, struct mote_span_writer *writer);

/* What spans of either end of a call say alike: the host and port of "192.0.2.1:40000", "[::1]:40000", "example.com".
 */
void mote_tracer_put_address(struct mote_span_writer *writer, struct mote_slice text,
                             enum mote_span_attribute_id address, enum mote_span_attribute_id port);

#endif
