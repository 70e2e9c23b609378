/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before the next try (gRPC's connection-backoff.md): each wait is 1.6 times the one before, up to a
 * maximum, and a fifth more or less than that, so that those who lost the same server do not come back together.
 */
#ifndef MOTE_BASE_BACKOFF_H
#define MOTE_BASE_BACKOFF_H

#include <stdint.h>

#include "base/clock.h"

#define MOTE_BACKOFF_INITIAL_NS (1 * (uint64_t)MOTE_NS_PER_SECOND)
#define MOTE_BACKOFF_MAX_NS     (120 * (uint64_t)MOTE_NS_PER_SECOND)

struct mote_backoff {
    uint64_t initial_ns;
    uint64_t max_ns;
    uint64_t next_ns; /* without jitter; 0: `initial_ns` */
};

/* The wait, and the step to the next. Without random bytes there is no jitter. */
uint64_t mote_backoff_next(struct mote_backoff *backoff, const struct mote_random *random);
/* It went well: the next wait is the first. */
void mote_backoff_reset(struct mote_backoff *backoff);

#endif
