/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of freed blocks in front of another allocator: one per worker, so that the steady state of a
 * call allocates nothing. Blocks up to MOTE_POOL_BLOCK_MAX are rounded up to a size class and kept on
 * that class's free list; the total kept is bounded by `keep_max`, what is over goes back. Larger blocks
 * pass through; under AddressSanitizer all do, so that it sees them. One thread.
 */
#ifndef MOTE_BASE_POOL_H
#define MOTE_BASE_POOL_H

#include "base/error.h"
#include "base/memory.h"

#define MOTE_POOL_BLOCK_MAX 16384u

/* Whether blocks are kept at all: not under AddressSanitizer, but in the pool's own test, which defines it. */
#ifndef MOTE_POOL_KEEPS
#if defined(__SANITIZE_ADDRESS__)
#define MOTE_POOL_KEEPS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MOTE_POOL_KEEPS 0
#endif
#endif
#endif
#ifndef MOTE_POOL_KEEPS
#define MOTE_POOL_KEEPS 1
#endif

struct mote_pool;

/* `parent` is borrowed until free. `keep_max` in bytes: free blocks kept at most. */
MOTE_MUST_CHECK int mote_pool_new(struct mote_pool **out, struct mote_mem *parent, size_t keep_max);
/* Every block must have been released (asserted). */
void mote_pool_free(struct mote_pool *pool);
/* The pool as an allocator; valid until mote_pool_free. */
struct mote_mem *mote_pool_mem(struct mote_pool *pool);
/* Bytes of the blocks now handed out, and of those kept free: rounded up and with their headers. */
size_t mote_pool_in_use(const struct mote_pool *pool);
size_t mote_pool_kept(const struct mote_pool *pool);

#endif
