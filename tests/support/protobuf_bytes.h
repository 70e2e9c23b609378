/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: protobuf messages written by hand, byte by byte, also wrong ones. */
#ifndef MOTE_SUPPORT_PROTOBUF_BYTES_H
#define MOTE_SUPPORT_PROTOBUF_BYTES_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"

enum wire { VARINT = 0, FIXED64 = 1, LENGTH = 2, START_GROUP = 3, END_GROUP = 4, FIXED32 = 5 };

struct bytes {
    uint8_t data[4096];
    size_t length;
};

static inline void put(struct bytes *out, const void *data, size_t length)
{
    assert(length <= sizeof(out->data) - out->length);
    if (length > 0) {
        memcpy(out->data + out->length, data, length);
    }
    out->length += length;
}

static inline void put_varint(struct bytes *out, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        put(out, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static inline void put_tag(struct bytes *out, uint64_t number, enum wire wire)
{
    put_varint(out, number << 3 | (uint64_t)wire);
}

static inline void put_number(struct bytes *out, uint32_t number, uint64_t value)
{
    put_tag(out, number, VARINT);
    put_varint(out, value);
}

static inline void put_bytes(struct bytes *out, uint32_t number, const void *data, size_t length)
{
    put_tag(out, number, LENGTH);
    put_varint(out, length);
    put(out, data, length);
}

static inline void put_text(struct bytes *out, uint32_t number, const char *text)
{
    put_bytes(out, number, text, strlen(text));
}

static inline void put_message(struct bytes *out, uint32_t number, const struct bytes *message)
{
    put_bytes(out, number, message->data, message->length);
}

static inline struct mote_slice slice_of(const struct bytes *bytes)
{
    return mote_slice(bytes->data, bytes->length);
}

#endif
