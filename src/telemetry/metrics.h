/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of metrics: a shard a worker, which that worker alone counts in, and which a scrape sums. A call takes
 * no lock and shares no cache line for it. What there is stands in metric_table.h.
 */
#ifndef MOTE_TELEMETRY_METRICS_H
#define MOTE_TELEMETRY_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/counter.h"
#include "base/error.h"
#include "base/memory.h"
#include "telemetry/metric_table.h"

#define MOTE_METRIC_CODES     17u  /* of gRPC status */
#define MOTE_METRIC_TEXTS_MAX 144u /* texts a worker counts: they are constants of the program, which has fewer */

enum mote_metric_id {
#define X(id, name, type, label, value, help) MOTE_METRIC_##id,
    MOTE_METRIC_MAP(X)
#undef X
        MOTE_METRIC_COUNT,
};

enum mote_metric_text {
#define X(id, name, label, help) MOTE_METRIC_TEXT_##id,
    MOTE_METRIC_TEXT_MAP(X)
#undef X
};

enum {
#define X(bound, text) MOTE_METRIC_BUCKET_##bound,
    MOTE_METRIC_BUCKET_MAP(X)
#undef X
        MOTE_METRIC_BUCKETS, /* and one for what is above them all */
};

enum {
#define X(bound, text) MOTE_METRIC_CALL_SECOND_##bound,
    MOTE_METRIC_CALL_SECONDS_MAP(X)
#undef X
        MOTE_METRIC_CALL_SECONDS,
};

enum {
#define X(bound, text) MOTE_METRIC_CALL_BYTE_##bound,
    MOTE_METRIC_CALL_BYTES_MAP(X)
#undef X
        MOTE_METRIC_CALL_BYTES,
};

enum mote_metric_flavor {
    MOTE_METRIC_FLAVOR_REQUESTS = 1,
    MOTE_METRIC_FLAVOR_PROMETHEUS = 2,
    MOTE_METRIC_FLAVOR_OTEL = 4,
    MOTE_METRIC_FLAVOR_OFF = 8, /* alone: calls are not counted */
};

enum mote_metric_preregister {
    MOTE_METRIC_PREREGISTER_OK,
    MOTE_METRIC_PREREGISTER_ALL,
    MOTE_METRIC_PREREGISTER_NONE,
};

enum mote_metric_histogram_id {
#define X(id, name, help) MOTE_METRIC_HISTOGRAM_##id,
    MOTE_METRIC_HISTOGRAM_MAP(X)
#undef X
        MOTE_METRIC_HISTOGRAM_COUNT,
};

/* Every histogram is the sum of what was observed, then the buckets. */
struct mote_metric_histogram {
    struct mote_counter nanoseconds;
    struct mote_counter buckets[MOTE_METRIC_BUCKETS + 1]; /* each its own, not with those below */
};

/* What is counted for a method; of a shard's the first cache line and a bit is what most calls touch. */
struct mote_metric_calls {
    struct mote_counter started, received, sent;
    struct mote_metric_histogram time;
    struct mote_counter handled[MOTE_METRIC_CODES];
};

/* What gRFC A66 wants for each method and code. */
struct mote_metric_outcome {
    struct mote_counter seconds[MOTE_METRIC_CALL_SECONDS + 2];
    struct mote_counter sent[MOTE_METRIC_CALL_BYTES + 2], received[MOTE_METRIC_CALL_BYTES + 2];
};

/* A call in a bucket whose trace was sampled, the last there was. The sequence is odd while it is written: who reads
 * the same even number before and after has read one call's. */
struct mote_metric_exemplar {
    _Atomic uint64_t sequence, trace_id[2], nanoseconds, at_ns;
};

struct mote_metrics_shard {
    struct mote_counter cells[MOTE_METRIC_COUNT];
    struct mote_metric_histogram histograms[MOTE_METRIC_HISTOGRAM_COUNT];
    struct {
        _Atomic(const char *) text;
        uint8_t family;
        struct mote_counter count;
    } texts[MOTE_METRIC_TEXTS_MAX];
    struct mote_metric_calls *calls; /* by the method's index */
    struct mote_metric_exemplar (*exemplars)[MOTE_METRIC_BUCKETS + 1];
    /* NULL without MOTE_METRIC_FLAVOR_OTEL. Each is made by the first call that ends so. */
    struct mote_metric_outcomes {
        _Atomic(struct mote_metric_outcome *) of[MOTE_METRIC_CODES];
    } * outcomes;
    struct mote_mem *mem;
};

struct mote_metric_method {
    size_t index; /* in `calls` */
    const char *service, *method, *type;
};

struct mote_metrics_options {
    size_t shards;
    const struct mote_metric_method *methods; /* borrowed until free; in the order of the exposition */
    size_t method_count;
    size_t indices;                            /* one above the highest index */
    const char *(*code_name)(unsigned code);   /* "Canceled" */
    const char *(*status_name)(unsigned code); /* "CANCELLED" */
    unsigned flavors;                          /* of enum mote_metric_flavor, or-ed */
    enum mote_metric_preregister preregister;
};

struct mote_metrics;

MOTE_MUST_CHECK int mote_metrics_new(struct mote_metrics **out, struct mote_mem *mem,
                                     const struct mote_metrics_options *options);
void mote_metrics_free(struct mote_metrics *metrics);
/* Valid until free. */
struct mote_metrics_shard *mote_metrics_shard(struct mote_metrics *metrics, size_t index);
/* One that nobody reads: for who counts where there are no metrics. It has no methods. */
struct mote_metrics_shard *mote_metrics_nowhere(void);

static inline void mote_metrics_add(struct mote_metrics_shard *shard, enum mote_metric_id id, uint64_t amount)
{
    mote_counter_add(&shard->cells[id], amount);
}

/* `text` is static. */
void mote_metrics_add_text(struct mote_metrics_shard *shard, enum mote_metric_text family, const char *text);
void mote_metrics_observe(struct mote_metric_histogram *histogram, uint64_t nanoseconds);
struct mote_metric_call {
    unsigned code;
    uint64_t duration_ns;
    uint64_t received, sent, received_bytes, sent_bytes; /* messages */
    const uint8_t *trace_id;                             /* 16 bytes; NULL: nobody will find it */
    int64_t at_ns;                                       /* wall time of the end, if it has a trace */
};
void mote_metrics_end_call(struct mote_metrics_shard *shard, size_t method, const struct mote_metric_call *call);

/* Adds what the shards have counted to `values`. Any thread, as the rest. */
void mote_metrics_sum(const struct mote_metrics *metrics, double values[MOTE_METRIC_COUNT]);
void mote_metrics_sum_calls(const struct mote_metrics *metrics, size_t method, struct mote_metric_calls *out);
void mote_metrics_sum_histogram(const struct mote_metrics *metrics, enum mote_metric_histogram_id id,
                                struct mote_metric_histogram *out);

/* Every text that was counted, once, with how often on all workers. */
void mote_metrics_each_text(const struct mote_metrics *metrics, enum mote_metric_text family,
                            void (*each)(void *context, const char *text, uint64_t count), void *context);

/* All of it as text, version 0.0.4 of Prometheus' format, or OpenMetrics 1.0. `values` is what
 * mote_metrics_sum left; NaN: that series is left out. `build` is the labels of mote_build_info. */
MOTE_MUST_CHECK int mote_metrics_write(const struct mote_metrics *metrics, const double values[MOTE_METRIC_COUNT],
                                       const char *build, bool is_openmetrics, struct mote_buffer *out);

/* The tables as data, for documentation: row `index`, false past the end. */
struct mote_metric_description {
    const char *name, *type, *labels, *value, *help; /* `value` of the last label; "": it has none, or many */
};
bool mote_metrics_describe(size_t index, struct mote_metric_description *row);

#endif
