/* SPDX-License-Identifier: Apache-2.0 */
/* The struct behind metrics.h; for the files of this folder. */
#ifndef MOTE_TELEMETRY_METRICS_INTERNAL_H
#define MOTE_TELEMETRY_METRICS_INTERNAL_H

#include "telemetry/metrics.h"

struct mote_metrics {
    struct mote_mem *mem;
    struct mote_metrics_options options;
    struct mote_metrics_shard *shards[];
};

struct mote_metric_scale {
    const struct mote_metric_bound {
        uint64_t value;
        const char *text;
    } * bounds;
    size_t count;
    double unit; /* what is one of the exposed */
};
extern const struct mote_metric_scale mote_metrics_latency, mote_metrics_call_seconds, mote_metrics_call_bytes;

void mote_metrics_sum_outcome(const struct mote_metrics *metrics, size_t method, unsigned code,
                              struct mote_metric_outcome *out);
/* The newest exemplar of a bucket. False: there is none. */
bool mote_metrics_read_exemplar(const struct mote_metrics *metrics, size_t method, size_t bucket,
                                struct mote_metric_call *call, uint8_t trace_id[16]);

#endif
