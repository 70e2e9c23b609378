/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes held are data[start..end). What is consumed, and what is left behind when the buffer moves or goes, is
 * wiped: messages with passwords and tokens pass through here, and nobody has to know which. Appending behind the
 * capacity moves them to the front when at least as many bytes were consumed as are to be moved, and grows otherwise:
 * either way a byte is moved O(1) times on average.
 *
 * Limits: end - start never exceeds `limit`, and the capacity stays within the limit, or twice the limit in a buffer
 * that is consumed while it is filled (plus the NUL that formatting needs).
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define CAPACITY_MIN 256u

void mote_buffer_init(struct mote_buffer *buffer, struct mote_mem *mem, size_t limit)
{
    *buffer = (struct mote_buffer){.mem = mem, .limit = limit};
}

void mote_buffer_lend(struct mote_buffer *buffer, uint8_t *room, size_t capacity)
{
    mote_assert(buffer->data == NULL);
    buffer->data = room;
    buffer->capacity = capacity;
    buffer->is_lent = true;
}

static void release(struct mote_buffer *buffer)
{
    mote_buffer_clear(buffer);
    if (buffer->data != NULL && !buffer->is_lent) {
        mote_mem_release(buffer->mem, buffer->data);
    }
}

void mote_buffer_dispose(struct mote_buffer *buffer)
{
    release(buffer);
    mote_buffer_init(buffer, buffer->mem, buffer->limit);
}

/* The capacity to grow to for `needed` bytes from the front. */
static size_t grown_capacity(const struct mote_buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity < CAPACITY_MIN / 2 ? CAPACITY_MIN / 2 : buffer->capacity;
    do {
        if (capacity > SIZE_MAX / 2) {
            return needed;
        }
        capacity *= 2;
    } while (capacity < needed);
    if (buffer->limit != 0 && buffer->limit <= SIZE_MAX / 2) {
        const size_t most = buffer->start == 0 ? buffer->limit : 2 * buffer->limit;
        capacity = capacity < most ? capacity : most;
    }
    return capacity > needed ? capacity : needed;
}

static int grow(struct mote_buffer *buffer, size_t needed)
{
    const size_t held = mote_buffer_length(buffer);
    const size_t capacity = grown_capacity(buffer, needed);
    uint8_t *data = mote_mem_allocate(buffer->mem, capacity); /* reallocating would leave the bytes where they were */
    if (data == NULL) {
        return MOTE_ENOMEM;
    }
    if (held != 0) {
        memcpy(data, buffer->data + buffer->start, held);
    }
    release(buffer);
    buffer->is_lent = false;
    buffer->data = data;
    buffer->capacity = capacity;
    buffer->start = 0;
    buffer->end = held;
    return 0;
}

/* Room for `length` bytes, which count against the limit, and `slack` more, which do not. */
static int make_room(struct mote_buffer *buffer, size_t length, size_t slack)
{
    const size_t held = mote_buffer_length(buffer);
    if (length > SIZE_MAX - slack - held) {
        return buffer->limit != 0 ? MOTE_ELIMIT : MOTE_ENOMEM;
    }
    if (buffer->limit != 0 && held + length > buffer->limit) {
        return MOTE_ELIMIT;
    }
    if (length + slack <= buffer->capacity - buffer->end) {
        return 0;
    }
    if (held + length + slack <= buffer->capacity && buffer->start >= held) {
        memcpy(buffer->data, buffer->data + buffer->start, held);
        mote_mem_wipe(buffer->data + buffer->start, held);
        buffer->start = 0;
        buffer->end = held;
        return 0;
    }
    return grow(buffer, held + length + slack);
}

int mote_buffer_append(struct mote_buffer *buffer, const void *data, size_t length)
{
    if (length == 0) {
        return 0;
    }
    const int error = make_room(buffer, length, 0);
    if (error != 0) {
        return error;
    }
    memcpy(buffer->data + buffer->end, data, length);
    buffer->end += length;
    return 0;
}

int mote_buffer_append_text(struct mote_buffer *buffer, const char *text)
{
    return mote_buffer_append(buffer, text, strlen(text));
}

int mote_buffer_append_format(struct mote_buffer *buffer, const char *format, ...)
{
    const size_t room = buffer->capacity - buffer->end;
    char *const out = room != 0 ? (char *)buffer->data + buffer->end : NULL;
    va_list arguments;
    va_start(arguments, format);
    const int printed = vsnprintf(out, room, format, arguments);
    va_end(arguments);
    if (printed < 0) {
        return MOTE_EINVAL;
    }
    const size_t length = (size_t)printed;
    const int error = make_room(buffer, length, 1);
    if (error != 0) {
        return error;
    }
    if (length >= room) {
        va_start(arguments, format);
        (void)vsnprintf((char *)buffer->data + buffer->end, length + 1, format, arguments);
        va_end(arguments);
    }
    buffer->end += length;
    return 0;
}

int mote_buffer_reserve(struct mote_buffer *buffer, size_t length, uint8_t **out)
{
    const int error = make_room(buffer, length, 0);
    if (error != 0) {
        return error;
    }
    *out = buffer->data != NULL ? buffer->data + buffer->end : NULL;
    return 0;
}

void mote_buffer_commit(struct mote_buffer *buffer, size_t length)
{
    mote_assert(length <= buffer->capacity - buffer->end);
    mote_assert(buffer->limit == 0 || length <= buffer->limit - mote_buffer_length(buffer));
    buffer->end += length;
}

void mote_buffer_consume(struct mote_buffer *buffer, size_t length)
{
    mote_assert(length <= mote_buffer_length(buffer));
    if (length == 0) {
        return;
    }
    mote_mem_wipe(buffer->data + buffer->start, length);
    buffer->start += length;
    if (buffer->start == buffer->end) {
        buffer->start = 0;
        buffer->end = 0;
    }
}

void mote_buffer_clear(struct mote_buffer *buffer)
{
    mote_buffer_consume(buffer, mote_buffer_length(buffer));
}

struct mote_slice mote_buffer_slice(const struct mote_buffer *buffer)
{
    return mote_slice(buffer->data != NULL ? buffer->data + buffer->start : NULL, mote_buffer_length(buffer));
}
