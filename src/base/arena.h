/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that goes all at once. Allocations are 16-byte aligned (as far as `mem`'s are) and live until dispose.
 * Chunks come from `mem`; `limit` bounds their sum.
 */
#ifndef MOTE_BASE_ARENA_H
#define MOTE_BASE_ARENA_H

#include <stddef.h>

#include "error.h"
#include "linkage.h"
#include "memory.h"
#include "slice.h"

MOTE_C_BEGIN

#define MOTE_ARENA_CHUNK 1024u

struct mote_arena_chunk;

struct mote_arena {
    struct mote_mem *mem;
    struct mote_arena_chunk *chunks;
    size_t allocated; /* bytes of all chunks */
    size_t limit;     /* 0 = no bound */
};

void mote_arena_init(struct mote_arena *arena, struct mote_mem *mem, size_t limit);
/* Wipes what was in use and releases all; the arena is then as after init and may be used again. Works on a zeroed
 * struct too. */
void mote_arena_dispose(struct mote_arena *arena);
/* NULL when memory or the limit runs out. */
void *mote_arena_allocate(struct mote_arena *arena, size_t size);
void *mote_arena_allocate_zeroed(struct mote_arena *arena, size_t size);
/* NUL-terminated copies; NULL when memory runs out. */
char *mote_arena_copy_text(struct mote_arena *arena, struct mote_slice text);
char *mote_arena_format(struct mote_arena *arena, const char *format, ...) MOTE_PRINTF(2, 3);

MOTE_C_END

#endif
