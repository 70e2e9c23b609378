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

#endif
