/* SPDX-License-Identifier: Apache-2.0 */
/* Shards, and what counts in them; see metrics.h. exposition.c reads them. */
#include "telemetry/metrics_internal.h"

#include <string.h>

int mote_metrics_new(struct mote_metrics **out, struct mote_mem *mem, const struct mote_metrics_options *options)
{
    struct mote_metrics *metrics = mote_mem_allocate_zeroed(mem, sizeof *metrics + options->shards * sizeof(void *));
    if (metrics == NULL) {
        return MOTE_ENOMEM;
    }
    metrics->mem = mem;
    metrics->options = *options;
    for (size_t i = 0; i < options->shards; i++) {
        const size_t calls = options->indices * sizeof(struct mote_metric_calls);
        struct mote_metrics_shard *shard = mote_mem_allocate_zeroed(mem, sizeof *shard + calls);
        if (shard == NULL) {
            mote_metrics_free(metrics);
            return MOTE_ENOMEM;
        }
        shard->calls = (struct mote_metric_calls *)(shard + 1);
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
        mote_mem_release(metrics->mem, metrics->shards[i]);
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

void mote_metrics_observe(struct mote_metric_histogram *histogram, uint64_t nanoseconds)
{
    static const uint64_t bounds[] = {
#define X(bound, text) UINT64_C(bound),
        MOTE_METRIC_BUCKET_MAP(X)
#undef X
    };
    size_t bucket = 0;
    while (bucket < MOTE_METRIC_BUCKETS && nanoseconds > bounds[bucket]) {
        bucket++;
    }
    mote_counter_add(&histogram->nanoseconds, nanoseconds);
    mote_counter_add(&histogram->buckets[bucket], 1);
}

void mote_metrics_end_call(struct mote_metrics_shard *shard, size_t method, unsigned code, uint64_t duration_ns,
                           uint64_t received, uint64_t sent)
{
    struct mote_metric_calls *calls = &shard->calls[method];
    mote_counter_add(&calls->received, received);
    mote_counter_add(&calls->sent, sent);
    mote_metrics_observe(&calls->time, duration_ns);
    mote_counter_add(&calls->handled[code < MOTE_METRIC_CODES ? code : 2], 1);
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

void mote_metrics_sum_histogram(const struct mote_metrics *metrics, enum mote_metric_histogram_id id,
                                struct mote_metric_histogram *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < metrics->options.shards; i++) {
        add_all(out, &metrics->shards[i]->histograms[id], sizeof *out);
    }
}
