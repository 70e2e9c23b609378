/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to bytes: by the field rules (plain.c) where they suffice, by nanopb where not. nanopb says why it failed
 * only in words, so a second, sizing pass tells a message that cannot be encoded from one that does not fit; it runs
 * only where the first has failed, or where the size must be known.
 */
#include <pb_encode.h>

#include "codec/plain.h"

int mote_codec_encode_into(const struct mote_message_type *type, const void *message, uint8_t *out, size_t capacity,
                           size_t *length)
{
    if (mote_plain_encode(type, message, out, capacity, length)) {
        return 0;
    }
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    if (pb_encode(&stream, type->descriptor, message)) {
        *length = stream.bytes_written;
        return 0;
    }
    size_t needed = 0;
    if (!pb_get_encoded_size(&needed, type->descriptor, message) || needed <= capacity) {
        return MOTE_EINVAL;
    }
    return MOTE_ELIMIT;
}

/* Into what room the buffer has, without an allocation. */
static bool encode_into_room(const struct mote_message_type *type, const void *message, struct mote_buffer *out)
{
    size_t free_room = out->capacity - out->end;
    size_t allowed = out->limit != 0 ? out->limit - mote_buffer_length(out) : free_room;
    size_t length = 0;
    if (free_room == 0 ||
        !mote_plain_encode(type, message, out->data + out->end, free_room < allowed ? free_room : allowed, &length)) {
        return false;
    }
    mote_buffer_commit(out, length);
    return true;
}

int mote_codec_encode(const struct mote_message_type *type, const void *message, struct mote_buffer *out)
{
    size_t size = 0;
    size_t length = 0;
    uint8_t *room = NULL;
    if (encode_into_room(type, message, out)) {
        return 0;
    }
    if (!pb_get_encoded_size(&size, type->descriptor, message)) {
        return MOTE_EINVAL;
    }
    if (size == 0) {
        return 0;
    }
    int error = mote_buffer_reserve(out, size, &room);
    if (error != 0) {
        return error;
    }
    error = mote_codec_encode_into(type, message, room, size, &length);
    if (error != 0) {
        /* More than the sizing pass counted: a callback that does not give the same twice. */
        mote_mem_wipe(room, size);
        return MOTE_EINVAL;
    }
    mote_buffer_commit(out, length);
    return 0;
}
