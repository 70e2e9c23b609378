/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer with a read end: bytes are appended behind and consumed in front. Capacity
 * doubles; a buffer that becomes empty starts again at its beginning. `limit` bounds its length. It keeps no copy of
 * what it no longer holds: those bytes are wiped.
 */
#ifndef MOTE_BASE_BUFFER_H
#define MOTE_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "linkage.h"
#include "memory.h"
#include "slice.h"

MOTE_C_BEGIN

struct mote_buffer {
    struct mote_mem *mem;
    uint8_t *data; /* the allocation, or what was lent */
    size_t start;  /* first byte not consumed */
    size_t end;    /* one past the last byte */
    size_t capacity;
    size_t limit; /* bytes it may hold; 0 = no bound */
    bool is_lent; /* `data` */
};

/* Allocates nothing. `mem` is borrowed until dispose. */
void mote_buffer_init(struct mote_buffer *buffer, struct mote_mem *mem, size_t limit);
/* Room that an unused buffer borrows, until it has outgrown it or is disposed. */
void mote_buffer_lend(struct mote_buffer *buffer, uint8_t *room, size_t capacity);
/* Works on a zeroed struct too. */
void mote_buffer_dispose(struct mote_buffer *buffer);
/* MOTE_ELIMIT over the limit, MOTE_ENOMEM; the bytes held are then unchanged. `data` is not the buffer's own. */
MOTE_MUST_CHECK int mote_buffer_append(struct mote_buffer *buffer, const void *data, size_t length);
MOTE_MUST_CHECK int mote_buffer_append_text(struct mote_buffer *buffer, const char *text);
MOTE_MUST_CHECK int mote_buffer_append_format(struct mote_buffer *buffer, const char *format, ...) MOTE_PRINTF(2, 3);
/* Room for `length` bytes behind the end: `*out` is valid until the next call that appends; commit with
 * mote_buffer_commit(length actually written). What is written and not committed is not wiped. */
MOTE_MUST_CHECK int mote_buffer_reserve(struct mote_buffer *buffer, size_t length, uint8_t **out);
void mote_buffer_commit(struct mote_buffer *buffer, size_t length);
/* Drops `length` bytes in front; at most the length held. */
void mote_buffer_consume(struct mote_buffer *buffer, size_t length);
void mote_buffer_clear(struct mote_buffer *buffer);
/* The bytes held; valid until the next call that changes the buffer. Absent when nothing was ever allocated
 * or lent. */
struct mote_slice mote_buffer_slice(const struct mote_buffer *buffer);

static inline size_t mote_buffer_length(const struct mote_buffer *buffer)
{
    return buffer->end - buffer->start;
}

MOTE_C_END

#endif
