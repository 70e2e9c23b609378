/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where spans go: a thread that takes them from a queue in batches and sends them to a collector, by OTLP over gRPC on
 * a channel of its own. No call waits for it. A collector that is away or slow costs the queue and one batch; what does
 * not fit is dropped, counted and told of, at most once a minute.
 *
 * Its tracer, given to a server (struct mote_server_options) or a channel (struct mote_channel_options), makes a span
 * of each call there.
 */
#ifndef MOTE_NET_TRACE_EXPORT_H
#define MOTE_NET_TRACE_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/clock.h"
#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/log.h"
#include "../security/tls.h"
#include "../telemetry/trace_context.h"
#include "../wire/fields.h"

MOTE_C_BEGIN

#define MOTE_TRACE_QUEUE_BYTES (512u * 1024u) /* nearly a thousand spans of unary calls */
/* Pauses between tries (OTLP asks for exponential ones with jitter), and when a batch is given up. */
#define MOTE_TRACE_RETRY_FIRST_NS (5 * (uint64_t)MOTE_NS_PER_SECOND)
#define MOTE_TRACE_RETRY_MAX_NS   (30 * (uint64_t)MOTE_NS_PER_SECOND)
#define MOTE_TRACE_RETRY_TOTAL_NS (300 * (uint64_t)MOTE_NS_PER_SECOND)
#define MOTE_TRACE_PROBLEM_MAX    512u
#define MOTE_TRACE_HEADERS_MAX    32u
#define MOTE_TRACE_RESOURCE_MAX   32u
#define MOTE_TRACE_SPANS_MAX      65536u /* of the queue */

struct mote_trace_export;
struct mote_tracer;

/* All borrowed until stop. Zero is the default of every field, and what it is stands beside it. */
struct mote_trace_export_options {
    const char *target;               /* the collector, as in mote_channel_options; localhost:4317 */
    struct mote_tls_context *tls;     /* a client's, a reference is taken; in the clear */
    const char *server_name;          /* what the collector's certificate must be for; any */
    const char *user_agent;           /* "mote" */
    const struct mote_field *headers; /* metadata of each export, up to MOTE_TRACE_HEADERS_MAX */
    size_t header_count;
    const char *service_name; /* "unknown_service" */
    const char *service_version;
    const struct mote_field *resource; /* more attributes of it, up to MOTE_TRACE_RESOURCE_MAX; they go before ours */
    size_t resource_count;
    const char *sampler;                   /* as OTEL_TRACES_SAMPLER names them; "parentbased_always_on" */
    double ratio;                          /* for those that take one */
    bool distrusts_callers;                /* their traces are not continued, only linked to */
    bool ignores_callers;                  /* not even that */
    bool compresses;                       /* exports, with gzip */
    const struct mote_span_limits *limits; /* none */
    uint64_t timeout_ns;                   /* of an export; 10 s */
    uint64_t delay_ns;                     /* how long spans wait for others to be sent with; 5 s */
    size_t spans_max;                      /* in the queue, beside MOTE_TRACE_QUEUE_BYTES; 2048 */
    size_t batch_max;                      /* in an export; 512 */
    struct mote_log *log;                  /* none */
};

/* Starts the thread, which takes no signals. MOTE_EINVAL, MOTE_ENOMEM, with one line in `problem`. */
MOTE_MUST_CHECK int mote_trace_export_start(struct mote_trace_export **out,
                                            const struct mote_trace_export_options *options,
                                            char problem[MOTE_TRACE_PROBLEM_MAX]);
/* Valid until free. */
const struct mote_tracer *mote_trace_export_tracer(const struct mote_trace_export *exporter);
/* Sends what is left, for so long at most, and ends the thread. No call that is recorded runs any more. Once; NULL is
 * fine. */
void mote_trace_export_stop(struct mote_trace_export *exporter, uint64_t patience_ns);
/* After stop. NULL is fine. */
void mote_trace_export_free(struct mote_trace_export *exporter);

MOTE_C_END

#endif
