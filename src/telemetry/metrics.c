/* SPDX-License-Identifier: Apache-2.0 */
/* Shards, and what counts in them; see metrics.h. exposition.c reads them. */
#include "telemetry/metrics_internal.h"

#include <string.h>

#define SCALE(name, map, of)                                                                                           \
    static const struct mote_metric_bound name##_bounds[] = {map(X)};                                                  \
    const struct mote_metric_scale mote_metrics_##name = {name##_bounds,                                               \
                                                          sizeof name##_bounds / sizeof(name##_bounds[0]), of}
#define X(bound, text) {UINT64_C(bound), text},
SCALE(latency, MOTE_METRIC_BUCKET_MAP, 1e9);
SCALE(call_seconds, MOTE_METRIC_CALL_SECONDS_MAP, 1e9);
SCALE(call_bytes, MOTE_METRIC_CALL_BYTES_MAP, 1);
#undef X

int mote_metrics_new(struct mote_metrics **out, struct mote_mem *mem, const struct mote_metrics_options *options)
{
    struct mote_metrics *metrics = mote_mem_allocate_zeroed(mem, sizeof *metrics + options->shards * sizeof(void *));
    if (metrics == NULL) {
        return MOTE_ENOMEM;
    }
    metrics->mem = mem;
    metrics->options = *options;
    for (size_t i = 0; i < options->shards; i++) {
        struct mote_metrics_shard *shard;
        const size_t calls = options->indices * sizeof *shard->calls;
        const size_t exemplars = options->indices * sizeof *shard->exemplars;
        const bool has_outcomes = (options->flavors & MOTE_METRIC_FLAVOR_OTEL) != 0;
        const size_t outcomes = has_outcomes ? options->indices * sizeof *shard->outcomes : 0;
        shard = mote_mem_allocate_zeroed(mem, sizeof *shard + calls + exemplars + outcomes);
        if (shard == NULL) {
            mote_metrics_free(metrics);
            return MOTE_ENOMEM;
        }
        shard->calls = (void *)(shard + 1);
        shard->exemplars = (void *)(shard->calls + options->indices);
        shard->outcomes = has_outcomes ? (void *)(shard->exemplars + options->indices) : NULL;
        shard->mem = mem;
        metrics->shards[i] = shard;
    }
    *out = metrics;
    return 0;
}

void mote_metrics_free(struct mote_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->options.shards; i++) {
        struct mote_metrics_shard *shard = metrics->shards[i];
        const size_t rows = shard != NULL && shard->outcomes != NULL ? metrics->options.indices : 0;
        for (size_t j = 0; j < rows * MOTE_METRIC_CODES; j++) {
            mote_mem_release(metrics->mem,
                             atomic_load(&shard->outcomes[j / MOTE_METRIC_CODES].of[j % MOTE_METRIC_CODES]));
        }
        mote_mem_release(metrics->mem, shard);
    }
    mote_mem_release(metrics->mem, metrics);
}

struct mote_metrics_shard *mote_metrics_shard(struct mote_metrics *metrics, size_t index)
{
    return metrics->shards[index];
}

struct mote_metrics_shard *mote_metrics_nowhere(void)
{
    static struct mote_metrics_shard shard;
    return &shard;
}

void mote_metrics_add_text(struct mote_metrics_shard *shard, enum mote_metric_text family, const char *text)
{
    size_t i = 0;
    for (; i < MOTE_METRIC_TEXTS_MAX - 1; i++) {
        const char *known = atomic_load_explicit(&shard->texts[i].text, memory_order_relaxed);
        if (known == NULL || (known == text && shard->texts[i].family == family)) {
            break;
        }
    }
    if (atomic_load_explicit(&shard->texts[i].text, memory_order_relaxed) == NULL) {
        shard->texts[i].family = (uint8_t)family;
        atomic_store_explicit(&shard->texts[i].text, i < MOTE_METRIC_TEXTS_MAX - 1 ? text : "other",
                              memory_order_release);
    }
    mote_counter_add(&shard->texts[i].count, 1);
}

/* Returns the bucket. */
static size_t observe(struct mote_counter *histogram, const struct mote_metric_scale *scale, uint64_t value)
{
    size_t bucket = 0;
    while (bucket < scale->count && value > scale->bounds[bucket].value) {
        bucket++;
    }
    mote_counter_add(&histogram[0], value);
    mote_counter_add(&histogram[1 + bucket], 1);
    return bucket;
}

void mote_metrics_observe(struct mote_metric_histogram *histogram, uint64_t nanoseconds)
{
    (void)observe(&histogram->nanoseconds, &mote_metrics_latency, nanoseconds);
}

/* Each store releases those before it, and each load acquires: whoever reads a value of a later call reads a later
 * sequence too. */
static void keep_exemplar(struct mote_metric_exemplar *exemplar, const struct mote_metric_call *call)
{
    const uint64_t sequence = atomic_load_explicit(&exemplar->sequence, memory_order_relaxed);
    uint64_t trace_id[2];
    memcpy(trace_id, call->trace_id, sizeof trace_id);
    atomic_store_explicit(&exemplar->sequence, sequence + 1, memory_order_relaxed);
    atomic_store_explicit(&exemplar->trace_id[0], trace_id[0], memory_order_release);
    atomic_store_explicit(&exemplar->trace_id[1], trace_id[1], memory_order_release);
    atomic_store_explicit(&exemplar->nanoseconds, call->duration_ns, memory_order_release);
    atomic_store_explicit(&exemplar->at_ns, (uint64_t)call->at_ns, memory_order_release);
    atomic_store_explicit(&exemplar->sequence, sequence + 2, memory_order_release);
}

bool mote_metrics_read_exemplar(const struct mote_metrics *metrics, size_t method, size_t bucket,
                                struct mote_metric_call *call, uint8_t trace_id[16])
{
    call->at_ns = INT64_MIN;
    for (size_t i = 0; i < metrics->options.shards; i++) {
        const struct mote_metric_exemplar *exemplar = &metrics->shards[i]->exemplars[method][bucket];
        const uint64_t sequence = atomic_load_explicit(&exemplar->sequence, memory_order_acquire);
        const uint64_t id[2] = {atomic_load_explicit(&exemplar->trace_id[0], memory_order_acquire),
                                atomic_load_explicit(&exemplar->trace_id[1], memory_order_acquire)};
        const uint64_t nanoseconds = atomic_load_explicit(&exemplar->nanoseconds, memory_order_acquire);
        const int64_t at_ns = (int64_t)atomic_load_explicit(&exemplar->at_ns, memory_order_acquire);
        if (sequence != 0 && sequence % 2 == 0 && at_ns > call->at_ns &&
            atomic_load_explicit(&exemplar->sequence, memory_order_relaxed) == sequence) {
            call->at_ns = at_ns;
            call->duration_ns = nanoseconds;
            memcpy(trace_id, id, sizeof id);
        }
    }
    return call->at_ns != INT64_MIN;
}

/* Without memory the call is not in these. */
static void add_outcome(const struct mote_metrics_shard *shard, _Atomic(struct mote_metric_outcome *) *of,
                        const struct mote_metric_call *call)
{
    struct mote_metric_outcome *outcome = atomic_load_explicit(of, memory_order_relaxed);
    if (outcome == NULL) {
        outcome = mote_mem_allocate_zeroed(shard->mem, sizeof *outcome);
        if (outcome == NULL) {
            return;
        }
        atomic_store_explicit(of, outcome, memory_order_release);
    }
    (void)observe(outcome->seconds, &mote_metrics_call_seconds, call->duration_ns);
    (void)observe(outcome->sent, &mote_metrics_call_bytes, call->sent_bytes);
    (void)observe(outcome->received, &mote_metrics_call_bytes, call->received_bytes);
}

void mote_metrics_end_call(struct mote_metrics_shard *shard, size_t method, const struct mote_metric_call *call)
{
    struct mote_metric_calls *calls = &shard->calls[method];
    const unsigned code = call->code < MOTE_METRIC_CODES ? call->code : 2;
    mote_counter_add(&calls->received, call->received);
    mote_counter_add(&calls->sent, call->sent);
    const size_t bucket = observe(&calls->time.nanoseconds, &mote_metrics_latency, call->duration_ns);
    mote_counter_add(&calls->handled[code], 1);
    if (call->trace_id != NULL) {
        keep_exemplar(&shard->exemplars[method][bucket], call);
    }
    if (shard->outcomes != NULL) {
        add_outcome(shard, &shard->outcomes[method].of[code], call);
    }
}

void mote_metrics_sum(const struct mote_metrics *metrics, double values[MOTE_METRIC_COUNT])
{
    for (size_t i = 0; i < MOTE_METRIC_COUNT; i++) {
        uint64_t sum = 0; /* a gauge goes down on another worker than it went up on: the sum is right again */
        for (size_t j = 0; j < metrics->options.shards; j++) {
            sum += mote_counter_read(&metrics->shards[j]->cells[i]);
        }
        values[i] += (double)sum;
    }
}

static void add_all(void *out, const void *in, size_t size)
{
    struct mote_counter *sums = out;
    const struct mote_counter *counters = in;
    for (size_t i = 0; i < size / sizeof *sums; i++) {
        mote_counter_add(&sums[i], mote_counter_read(&counters[i]));
    }
}

void mote_metrics_sum_calls(const struct mote_metrics *metrics, size_t method, struct mote_metric_calls *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < metrics->options.shards; i++) {
        add_all(out, &metrics->shards[i]->calls[method], sizeof *out);
    }
}

void mote_metrics_sum_outcome(const struct mote_metrics *metrics, size_t method, unsigned code,
                              struct mote_metric_outcome *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < metrics->options.shards; i++) {
        const struct mote_metric_outcome *outcome =
            atomic_load_explicit(&metrics->shards[i]->outcomes[method].of[code], memory_order_acquire);
        if (outcome != NULL) {
            add_all(out, outcome, sizeof *out);
        }
    }
}

void mote_metrics_sum_histogram(const struct mote_metrics *metrics, enum mote_metric_histogram_id id,
                                struct mote_metric_histogram *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < metrics->options.shards; i++) {
        add_all(out, &metrics->shards[i]->histograms[id], sizeof *out);
    }
}
