/* SPDX-License-Identifier: Apache-2.0 */
/* A number that one thread counts and any may read. Without a lock and without a locked instruction: the writer alone
 * changes it, so that it need not read and write in one step. */
#ifndef MOTE_BASE_COUNTER_H
#define MOTE_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct mote_counter {
    _Atomic uint64_t value;
};

static inline uint64_t mote_counter_read(const struct mote_counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

static inline void mote_counter_add(struct mote_counter *counter, uint64_t amount)
{
    atomic_store_explicit(&counter->value, mote_counter_read(counter) + amount, memory_order_relaxed);
}

#endif
