/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where spans go: a thread that takes them from the queue in batches and sends them to a collector, by OTLP over gRPC
 * on a channel of its own. No call waits for it. A collector that is away or slow costs the queue and one batch; what
 * does not fit is dropped, counted and told of, at most once a minute.
 */
#ifndef MOTE_APP_TRACE_EXPORT_H
#define MOTE_APP_TRACE_EXPORT_H

#include "app/options.h"
#include "base/clock.h"
#include "base/log.h"
#include "rpc/server.h"
#include "telemetry/span_queue.h"

#define MOTE_TRACE_QUEUE_BYTES (256u * 1024u)
/* Pauses between tries (OTLP asks for exponential ones with jitter), and when a batch is given up. */
#define MOTE_TRACE_RETRY_FIRST_NS (5 * (uint64_t)MOTE_NS_PER_SECOND)
#define MOTE_TRACE_RETRY_MAX_NS   (30 * (uint64_t)MOTE_NS_PER_SECOND)
#define MOTE_TRACE_RETRY_TOTAL_NS (300 * (uint64_t)MOTE_NS_PER_SECOND)
#define MOTE_TRACE_PROBLEM_MAX    512u

struct mote_trace_export;

/* Whether these options, which have been checked, ask for traces. */
bool mote_trace_export_is_wanted(const struct mote_options *options);
/* Starts the thread; options and log are borrowed until stop. MOTE_EINVAL, MOTE_ENOTFOUND (the certificate),
 * MOTE_ENOMEM, with one line in `problem`. */
MOTE_MUST_CHECK int mote_trace_export_start(struct mote_trace_export **out, const struct mote_options *options,
                                            const char *version, struct mote_log *log,
                                            char problem[MOTE_TRACE_PROBLEM_MAX]);
/* The stage for MOTE_STAGE_TRACE. */
struct mote_interceptor mote_trace_export_stage(struct mote_trace_export *exporter);
/* Any thread. */
struct mote_span_queue_counts mote_trace_export_counts(const struct mote_trace_export *exporter);
/* Sends what is left, for so long at most, and ends the thread. No call runs any more. Once; NULL is fine. */
void mote_trace_export_stop(struct mote_trace_export *exporter, uint64_t patience_ns);
/* After stop. NULL is fine. */
void mote_trace_export_free(struct mote_trace_export *exporter);

#endif
