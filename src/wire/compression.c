/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zlib behind two calls. What is compressed here has a small window and small tables: 39 KB instead of 269 KB, and
 * messages are small; what peers compressed may have the largest window. Output grows with what has come out, never
 * with what a header announces, and stops at the buffer's limit.
 */
#include "wire/compression.h"

#include <string.h>
#include <zlib.h>

#include "base/assert.h"

#define GZIP_BITS     16 /* added to windowBits: gzip's header and trailer in place of zlib's */
#define OUR_WINDOW    12
#define OUR_MEM_LEVEL 5
#define FIRST_ROOM    1024u

static const struct mote_slice names[MOTE_ENCODING_COUNT] = {
#define X(constant, name) [constant] = MOTE_SLICE_LITERAL(name),
    MOTE_ENCODING_MAP(X)
#undef X
};

enum mote_encoding mote_compression_find(struct mote_slice name)
{
    size_t i = 0;
    while (i < MOTE_ENCODING_COUNT && !mote_slice_equals(name, names[i])) {
        i++;
    }
    return (enum mote_encoding)i;
}

struct mote_slice mote_compression_name(enum mote_encoding encoding)
{
    return names[encoding];
}

enum mote_encoding mote_compression_choose(struct mote_slice accepted)
{
    enum mote_encoding best = MOTE_ENCODING_IDENTITY;
    while (accepted.length != 0) {
        const uint8_t *comma = memchr(accepted.data, ',', accepted.length);
        const size_t length = comma != NULL ? (size_t)(comma - accepted.data) : accepted.length;
        struct mote_slice name = mote_slice(accepted.data, length);
        while (name.length != 0 && name.data[0] == ' ') {
            name = mote_slice(name.data + 1, name.length - 1);
        }
        while (name.length != 0 && name.data[name.length - 1] == ' ') {
            name.length--;
        }
        const enum mote_encoding found = mote_compression_find(name);
        if (found != MOTE_ENCODING_COUNT && found > best) {
            best = found;
        }
        const size_t taken = comma != NULL ? length + 1 : length;
        accepted = mote_slice(accepted.data + taken, accepted.length - taken);
    }
    return best;
}

/* --- zlib's memory ----------------------------------------------------------------------------------------------- */

static voidpf allocate(voidpf mem, uInt count, uInt size)
{
    return mote_mem_allocate(mem, (size_t)count * size);
}

static void release(voidpf mem, voidpf pointer)
{
    mote_mem_release_wiped(mem, pointer);
}

/* zlib only reads the input, whatever its type says. */
static z_stream stream_of(struct mote_mem *mem, struct mote_slice in)
{
    return (z_stream){
        .zalloc = allocate,
        .zfree = release,
        .opaque = mem,
        .next_in = (Bytef *)(uintptr_t)in.data,
        .avail_in = (uInt)in.length,
    };
}

/* --- there and back ---------------------------------------------------------------------------------------------- */

int mote_compression_compress(enum mote_encoding encoding, struct mote_slice message, struct mote_buffer *out)
{
    const int window = encoding == MOTE_ENCODING_GZIP ? OUR_WINDOW + GZIP_BITS : OUR_WINDOW;
    mote_assert(encoding != MOTE_ENCODING_IDENTITY && message.length <= UINT32_MAX / 2);
    z_stream stream = stream_of(out->mem, message);
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window, OUR_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        return MOTE_ENOMEM;
    }
    const size_t most = deflateBound(&stream, (uLong)message.length);
    int error = mote_buffer_reserve(out, most, &stream.next_out);
    if (error == 0) {
        stream.avail_out = (uInt)most;
        const int result = deflate(&stream, Z_FINISH);
        mote_assert(result == Z_STREAM_END);
        mote_buffer_commit(out, stream.total_out);
    }
    (void)deflateEnd(&stream);
    return error;
}

/* Lets zlib write behind what `out` holds. At the limit there is one byte of room, which must stay empty. */
static int inflate_some(z_stream *stream, struct mote_buffer *out)
{
    const size_t held = mote_buffer_length(out);
    const size_t most = out->limit - held;
    const size_t wanted = held < FIRST_ROOM ? FIRST_ROOM : held;
    const size_t room = wanted < most ? wanted : most;
    uint8_t beyond;
    if (room != 0) {
        const int error = mote_buffer_reserve(out, room, &stream->next_out);
        if (error != 0) {
            return error;
        }
    } else {
        stream->next_out = &beyond;
    }
    const uInt offered = room != 0 ? (uInt)room : 1;
    stream->avail_out = offered;
    const int result = inflate(stream, Z_NO_FLUSH);
    const size_t written = offered - stream->avail_out;
    if (room != 0) {
        mote_buffer_commit(out, written);
    } else if (written != 0) {
        return MOTE_ELIMIT;
    }
    if (result == Z_MEM_ERROR) {
        return MOTE_ENOMEM;
    }
    /* Z_BUF_ERROR: it could neither read nor write, so the end is missing. */
    return result == Z_OK || result == Z_STREAM_END ? result : MOTE_EDECODE;
}

int mote_compression_decompress(enum mote_encoding encoding, struct mote_slice compressed, struct mote_buffer *out)
{
    const bool gzip = encoding == MOTE_ENCODING_GZIP;
    if (compressed.length == 0) {
        return MOTE_EDECODE;
    }
    mote_assert(encoding != MOTE_ENCODING_IDENTITY && out->limit != 0 && compressed.length <= UINT32_MAX);
    z_stream stream = stream_of(out->mem, compressed);
    if (inflateInit2(&stream, gzip ? MAX_WBITS + GZIP_BITS : MAX_WBITS) != Z_OK) {
        return MOTE_ENOMEM;
    }
    int result;
    do {
        result = inflate_some(&stream, out);
        /* RFC 1952 §2.2: members follow one another. */
        if (result == Z_STREAM_END && gzip && stream.avail_in != 0) {
            result = inflateReset(&stream);
        }
    } while (result == Z_OK);
    (void)inflateEnd(&stream);
    if (result == Z_STREAM_END) {
        return stream.avail_in == 0 ? 0 : MOTE_EDECODE;
    }
    return result;
}
