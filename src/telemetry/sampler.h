/* SPDX-License-Identifier: Apache-2.0 */
/* Which traces are recorded: the samplers that OTEL_TRACES_SAMPLER names. Any thread. */
#ifndef MOTE_TELEMETRY_SAMPLER_H
#define MOTE_TELEMETRY_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "telemetry/trace_context.h"

struct mote_sampler {
    bool follows_parent; /* a caller's own decision stands */
    uint64_t threshold;  /* of 2^56: traces whose id's last seven bytes are below it; 2^56 takes all */
};

/* "always_on", "traceidratio", "parentbased_always_off" and so on; `ratio` (0 to 1) is for those that take one. False
 * for a name that is none. */
bool mote_sampler_find(struct mote_sampler *out, const char *name, double ratio);
/* `parent` may be NULL. */
bool mote_sampler_decide(const struct mote_sampler *sampler, const struct mote_trace_context *parent,
                         const uint8_t trace_id[MOTE_TRACE_ID_LENGTH]);

#endif
