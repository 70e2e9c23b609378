/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/protobuf.h"

#include <string.h>

#include "base/assert.h"

#define VARINT           0u
#define FIXED64          1u
#define LENGTH_DELIMITED 2u

size_t mote_protobuf_varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

size_t mote_protobuf_field_size(size_t length)
{
    return 1 + mote_protobuf_varint_size(length) + length;
}

static void put_byte(struct mote_protobuf *writer, uint64_t byte)
{
    mote_assert(writer->room != 0);
    *writer->at++ = (uint8_t)byte;
    writer->room--;
}

void mote_protobuf_put_varint(struct mote_protobuf *writer, uint64_t value)
{
    while (value >= 0x80) {
        put_byte(writer, (value & 0x7f) | 0x80);
        value >>= 7;
    }
    put_byte(writer, value);
}

static void put_tag(struct mote_protobuf *writer, unsigned number, unsigned wire_type)
{
    mote_assert(number < 16);
    put_byte(writer, number << 3 | wire_type);
}

void mote_protobuf_put_number(struct mote_protobuf *writer, unsigned number, uint64_t value)
{
    put_tag(writer, number, VARINT);
    mote_protobuf_put_varint(writer, value);
}

void mote_protobuf_put_fixed64(struct mote_protobuf *writer, unsigned number, uint64_t value)
{
    put_tag(writer, number, FIXED64);
    for (int i = 0; i < 8; i++) {
        put_byte(writer, value >> 8 * i & 0xff);
    }
}

void mote_protobuf_put_length(struct mote_protobuf *writer, unsigned number, size_t length)
{
    put_tag(writer, number, LENGTH_DELIMITED);
    mote_protobuf_put_varint(writer, length);
}

void mote_protobuf_put_bytes(struct mote_protobuf *writer, unsigned number, struct mote_slice bytes)
{
    mote_protobuf_put_length(writer, number, bytes.length);
    mote_assert(bytes.length <= writer->room);
    if (bytes.length != 0) {
        memcpy(writer->at, bytes.data, bytes.length);
        writer->at += bytes.length;
        writer->room -= bytes.length;
    }
}
