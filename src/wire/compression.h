/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages compressed and back (gRPC's compression.md): gzip is RFC 1952, deflate is RFC 1950, "zlib", as everybody has
 * it. A message is compressed whole and alone, so there is nothing to be kept for a call or a connection: a stream is
 * made for a message, from the worker's pool, and is wiped and gone after it.
 */
#ifndef MOTE_WIRE_COMPRESSION_H
#define MOTE_WIRE_COMPRESSION_H

#include <stdbool.h>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/slice.h"

MOTE_C_BEGIN

/* What the messages of a call may be compressed with: X(constant, "name in grpc-encoding"), the worst first. */
#define MOTE_ENCODING_MAP(X)                                                                                           \
    X(MOTE_ENCODING_IDENTITY, "identity")                                                                              \
    X(MOTE_ENCODING_DEFLATE, "deflate")                                                                                \
    X(MOTE_ENCODING_GZIP, "gzip")
/* The value of grpc-accept-encoding: all of them. */
#define MOTE_ENCODING_NAMES "identity,deflate,gzip"

enum mote_encoding {
#define X(constant, name) constant,
    MOTE_ENCODING_MAP(X)
#undef X
        MOTE_ENCODING_COUNT,
};

/* The one of this name; MOTE_ENCODING_COUNT where there is none. */
enum mote_encoding mote_compression_find(struct mote_slice name);
/* Static. */
struct mote_slice mote_compression_name(enum mote_encoding encoding);
/* What to answer with for a peer whose grpc-accept-encoding this is (may be absent): the best that both know, identity
 * where that is all. */
enum mote_encoding mote_compression_choose(struct mote_slice accepted);

/* Appends the compressed message to `out`. Not for identity. MOTE_ENOMEM, or MOTE_ELIMIT of the buffer. */
MOTE_MUST_CHECK int mote_compression_compress(enum mote_encoding encoding, struct mote_slice message,
                                              struct mote_buffer *out);
/* Appends the message to `out`, an empty buffer whose limit is the bound. Not for identity. MOTE_ELIMIT for a message
 * over the bound, as soon as a byte more than that comes out; MOTE_EDECODE for anything but whole gzip members, or one
 * whole zlib stream, and nothing behind; MOTE_ENOMEM. `out` holds rubbish after an error. */
MOTE_MUST_CHECK int mote_compression_decompress(enum mote_encoding encoding, struct mote_slice compressed,
                                                struct mote_buffer *out);

MOTE_C_END

#endif
