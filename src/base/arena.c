/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of chunks, the first of which is being filled. An allocation too large to share a chunk gets one of its own,
 * put behind the first, so that the room left in the first is not lost.
 *
 * Invariant: allocated is the sum of the chunks' sizes, headers included, and never over the limit.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ALIGNMENT     16u
#define OWN_CHUNK_MIN (MOTE_ARENA_CHUNK / 4u) /* larger ones do not start a new shared chunk */

struct mote_arena_chunk {
    struct mote_arena_chunk *next;
    size_t used; /* of size */
    size_t size; /* header included */
    size_t unused_;
};

_Static_assert(sizeof(struct mote_arena_chunk) % ALIGNMENT == 0, "what follows the header is aligned");

void mote_arena_init(struct mote_arena *arena, struct mote_mem *mem, size_t limit)
{
    *arena = (struct mote_arena){.mem = mem, .limit = limit};
}

void mote_arena_dispose(struct mote_arena *arena)
{
    while (arena->chunks != NULL) {
        struct mote_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        mote_mem_wipe(chunk, chunk->used);
        mote_mem_release(arena->mem, chunk);
    }
    arena->allocated = 0;
}

/* A chunk of at least `least` bytes, header included; of `wish` if the limit has room for that. */
static struct mote_arena_chunk *chunk_new(struct mote_arena *arena, size_t least, size_t wish)
{
    const size_t room = arena->limit != 0 ? arena->limit - arena->allocated : SIZE_MAX - arena->allocated;
    if (least > room) {
        return NULL;
    }
    size_t size = least > wish ? least : wish;
    if (size > room) {
        size = room;
    }
    struct mote_arena_chunk *chunk = mote_mem_allocate(arena->mem, size);
    if (chunk == NULL) {
        return NULL;
    }
    *chunk = (struct mote_arena_chunk){.used = sizeof *chunk, .size = size};
    arena->allocated += size;
    return chunk;
}

static void *chunk_take(struct mote_arena_chunk *chunk, size_t size)
{
    void *pointer = (uint8_t *)chunk + chunk->used;
    chunk->used += size;
    return pointer;
}

void *mote_arena_allocate(struct mote_arena *arena, size_t size)
{
    struct mote_arena_chunk *first = arena->chunks;
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (first != NULL && size <= first->size - first->used) {
        return chunk_take(first, size);
    }
    const bool own = first != NULL && size >= OWN_CHUNK_MIN;
    struct mote_arena_chunk *chunk = chunk_new(arena, sizeof *chunk + size, own ? 0 : MOTE_ARENA_CHUNK);
    if (chunk == NULL) {
        return NULL;
    }
    if (own) {
        chunk->next = first->next;
        first->next = chunk;
    } else {
        chunk->next = first;
        arena->chunks = chunk;
    }
    return chunk_take(chunk, size);
}

void *mote_arena_allocate_zeroed(struct mote_arena *arena, size_t size)
{
    void *pointer = mote_arena_allocate(arena, size);
    if (pointer != NULL) {
        memset(pointer, 0, size);
    }
    return pointer;
}

char *mote_arena_copy_text(struct mote_arena *arena, struct mote_slice text)
{
    if (text.length == SIZE_MAX) {
        return NULL;
    }
    char *copy = mote_arena_allocate(arena, text.length + 1);
    if (copy == NULL) {
        return NULL;
    }
    if (text.length != 0) {
        memcpy(copy, text.data, text.length);
    }
    copy[text.length] = '\0';
    return copy;
}

char *mote_arena_format(struct mote_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return NULL;
    }
    char *text = mote_arena_allocate(arena, (size_t)length + 1);
    if (text == NULL) {
        return NULL;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}
