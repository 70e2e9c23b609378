/* SPDX-License-Identifier: Apache-2.0 */
/* Whole numbers only: 1.6 is 8/5. */
#include "base/backoff.h"

uint64_t mote_backoff_next(struct mote_backoff *backoff, const struct mote_random *random)
{
    uint64_t wait_ns = backoff->next_ns != 0 ? backoff->next_ns : backoff->initial_ns;
    const uint64_t longer_ns = wait_ns / 5 * 8;
    backoff->next_ns = longer_ns < backoff->max_ns ? longer_ns : backoff->max_ns;
    const uint64_t fifth_ns = wait_ns / 5;
    uint64_t part;
    if (random->fill(random->context, &part, sizeof part) == 0) {
        wait_ns = wait_ns - fifth_ns + part % (2 * fifth_ns + 1);
    }
    return wait_ns;
}

void mote_backoff_reset(struct mote_backoff *backoff)
{
    backoff->next_ns = 0;
}
