/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf written by hand, for the few messages of the library's own that are nested strings and bytes whose sizes
 * must be known before they are written: error details, reflection's answers, spans. Field numbers are below 16. Sizes
 * are counted first; writing more than the room that was given is a bug.
 */
#ifndef MOTE_CODEC_PROTOBUF_H
#define MOTE_CODEC_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct mote_protobuf {
    uint8_t *at;
    size_t room;
};

size_t mote_protobuf_varint_size(uint64_t value);
/* Of a string, bytes or message field with `length` bytes in it, its tag and length included. */
size_t mote_protobuf_field_size(size_t length);
void mote_protobuf_put_varint(struct mote_protobuf *writer, uint64_t value);
void mote_protobuf_put_number(struct mote_protobuf *writer, unsigned number, uint64_t value);
/* fixed64, nine bytes with its tag. */
void mote_protobuf_put_fixed64(struct mote_protobuf *writer, unsigned number, uint64_t value);
/* The beginning of a field whose `length` bytes are to follow. */
void mote_protobuf_put_length(struct mote_protobuf *writer, unsigned number, size_t length);
void mote_protobuf_put_bytes(struct mote_protobuf *writer, unsigned number, struct mote_slice bytes);

#endif
