/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed messages: there and back, what zlib itself makes, every cut and every flipped bit, the bound to the byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "support/failing_mem.h"
#include "wire/compression.h"

#define LARGE 300000u

static const enum mote_encoding encodings[] = {MOTE_ENCODING_GZIP, MOTE_ENCODING_DEFLATE};

/* Text that can be compressed, but not to nothing. */
static uint8_t *make_message(size_t length)
{
    uint8_t *message = malloc(length + 1);
    uint32_t random = 1;
    assert_non_null(message);
    for (size_t i = 0; i < length; i++) {
        random = random * 1103515245u + 12345u;
        message[i] = (uint8_t)('a' + (random >> 24) % 11);
    }
    return message;
}

/* By zlib alone, with the largest window. */
static size_t pack(uint8_t *out, size_t room, const void *message, size_t length, int window)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)message, .avail_in = (uInt)length, .next_out = out};
    stream.avail_out = (uInt)room;
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(deflateEnd(&stream), Z_OK);
    return stream.total_out;
}

static int unpack(enum mote_encoding encoding, const void *bytes, size_t length, size_t limit, struct mote_buffer *out)
{
    mote_buffer_init(out, mote_mem_system(), limit);
    return mote_compression_decompress(encoding, mote_slice(bytes, length), out);
}

static int try_unpack(enum mote_encoding encoding, const void *bytes, size_t length, size_t limit)
{
    struct mote_buffer out;
    const int error = unpack(encoding, bytes, length, limit, &out);
    mote_buffer_dispose(&out);
    return error;
}

static void test_round_trip_and_bound(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 5, 1023, 1024, 1025, 4096, 70000, LARGE};
    uint8_t *message = make_message(LARGE);
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof lengths[0]; i++) {
        const enum mote_encoding encoding = encodings[i % 2];
        const size_t length = lengths[i / 2];
        struct mote_buffer packed;
        struct mote_buffer plain;
        mote_buffer_init(&packed, mote_mem_system(), 0);
        assert_int_equal(mote_compression_compress(encoding, mote_slice(message, length), &packed), 0);
        const struct mote_slice bytes = mote_buffer_slice(&packed);
        assert_true(length < 1000 || bytes.length < length * 3 / 4);
        assert_int_equal(unpack(encoding, bytes.data, bytes.length, length != 0 ? length : 1, &plain), 0);
        assert_int_equal(mote_buffer_length(&plain), length);
        assert_true(length == 0 || memcmp(mote_buffer_slice(&plain).data, message, length) == 0);
        mote_buffer_dispose(&plain);
        if (length > 1) {
            assert_int_equal(try_unpack(encoding, bytes.data, bytes.length, length - 1), MOTE_ELIMIT);
        }
        assert_int_equal(try_unpack(encodings[(i + 1) % 2], bytes.data, bytes.length, LARGE), MOTE_EDECODE);
        mote_buffer_dispose(&packed);
    }
    free(message);
}

/* From a window larger than ours; cut anywhere; with a byte behind; with any bit flipped behind gzip's header, which
 * says when and on what system. */
static void test_malformed(void **state)
{
    (void)state;
    static uint8_t bytes[LARGE];
    uint8_t *message = make_message(90000);
    for (size_t i = 0; i < 2; i++) {
        const bool gzip = encodings[i] == MOTE_ENCODING_GZIP;
        size_t length = pack(bytes, sizeof bytes, message, 90000, gzip ? 31 : 15);
        assert_int_equal(try_unpack(encodings[i], bytes, length, 90000), 0);
        length = pack(bytes, sizeof bytes, message, 100, gzip ? 31 : 15);
        assert_int_equal(try_unpack(encodings[i], bytes, length, 100), 0);
        for (size_t cut = 0; cut < length; cut++) {
            assert_int_equal(try_unpack(encodings[i], bytes, cut, 100), MOTE_EDECODE);
        }
        bytes[length] = 0;
        assert_int_equal(try_unpack(encodings[i], bytes, length + 1, 100), MOTE_EDECODE);
        size_t unnoticed = 0; /* what fills the last byte in front of the checksum */
        for (size_t bit = gzip ? 80 : 0; bit < 8 * length; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            struct mote_buffer plain;
            const int error = unpack(encodings[i], bytes, length, 100, &plain);
            if (error == 0) {
                assert_int_equal(mote_buffer_length(&plain), 100);
                assert_memory_equal(mote_buffer_slice(&plain).data, message, 100);
                unnoticed++;
            } else {
                assert_true(error == MOTE_EDECODE || error == MOTE_ELIMIT);
            }
            mote_buffer_dispose(&plain);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_true(unnoticed < 8);
        /* Raw deflate is what some call "deflate", and is none of both. */
        length = pack(bytes, sizeof bytes, message, 100, -15);
        assert_int_equal(try_unpack(encodings[i], bytes, length, 100), MOTE_EDECODE);
    }
    free(message);
}

/* RFC 1952 §2.2: members follow one another; zlib streams do not. */
static void test_members(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct mote_buffer plain;
    size_t length = pack(bytes, sizeof bytes, "one ", 4, 31);
    length += pack(bytes + length, sizeof bytes - length, "", 0, 31);
    length += pack(bytes + length, sizeof bytes - length, "two", 3, 31);
    assert_int_equal(unpack(MOTE_ENCODING_GZIP, bytes, length, 7, &plain), 0);
    assert_true(mote_slice_equals_text(mote_buffer_slice(&plain), "one two"));
    mote_buffer_dispose(&plain);
    assert_int_equal(try_unpack(MOTE_ENCODING_GZIP, bytes, length, 6), MOTE_ELIMIT);
    assert_int_equal(try_unpack(MOTE_ENCODING_GZIP, bytes, length - 1, 7), MOTE_EDECODE);
    length = pack(bytes, sizeof bytes, "one", 3, 15);
    length += pack(bytes + length, sizeof bytes - length, "two", 3, 15);
    assert_int_equal(try_unpack(MOTE_ENCODING_DEFLATE, bytes, length, 100), MOTE_EDECODE);
}

/* A thousandfold: costs no more than the bound, and zlib's own 40 KB. */
static void test_bomb(void **state)
{
    (void)state;
    const size_t size = 64u << 20;
    uint8_t *zeros = calloc(1, size);
    uint8_t *bytes = malloc(1u << 20);
    assert_true(zeros != NULL && bytes != NULL);
    const size_t length = pack(bytes, 1u << 20, zeros, size, 31);
    assert_true(length < 70000);
    struct mote_failing_mem mem;
    struct mote_buffer out;
    mote_failing_mem_init(&mem);
    mote_buffer_init(&out, &mem.mem, 65536);
    assert_int_equal(mote_compression_decompress(MOTE_ENCODING_GZIP, mote_slice(bytes, length), &out), MOTE_ELIMIT);
    assert_true(mem.peak_bytes < 2 * 65536 + 50000);
    mote_buffer_dispose(&out);
    assert_int_equal(mem.live_count, 0);
    free(bytes);
    free(zeros);
}

static int there_and_back(struct mote_mem *mem, void *context)
{
    static const struct mote_slice message = MOTE_SLICE_LITERAL("a message, a message, a message");
    const enum mote_encoding encoding = *(const enum mote_encoding *)context;
    struct mote_buffer packed;
    struct mote_buffer plain;
    mote_buffer_init(&packed, mem, 0);
    mote_buffer_init(&plain, mem, 1000);
    int error = mote_compression_compress(encoding, message, &packed);
    if (error == 0) {
        error = mote_compression_decompress(encoding, mote_buffer_slice(&packed), &plain);
    }
    mote_buffer_dispose(&packed);
    mote_buffer_dispose(&plain);
    return error;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        enum mote_encoding encoding = encodings[i];
        assert_true(mote_failing_mem_check(there_and_back, &encoding) > 5);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *accepted;
        enum mote_encoding chosen;
    } cases[] = {
        {"", MOTE_ENCODING_IDENTITY},         {"identity", MOTE_ENCODING_IDENTITY},
        {"gzip", MOTE_ENCODING_GZIP},         {"identity, deflate, gzip", MOTE_ENCODING_GZIP},
        {"gzip,deflate", MOTE_ENCODING_GZIP}, {"br,deflate ,zstd", MOTE_ENCODING_DEFLATE},
        {" deflate", MOTE_ENCODING_DEFLATE},  {"GZIP,gzip;q=1,gzi,gzipp", MOTE_ENCODING_IDENTITY},
        {",, ,", MOTE_ENCODING_IDENTITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mote_compression_choose(mote_slice_text(cases[i].accepted)), cases[i].chosen);
    }
    assert_int_equal(mote_compression_choose(mote_slice(NULL, 0)), MOTE_ENCODING_IDENTITY);
    assert_int_equal(mote_compression_find(mote_slice_text("deflate")), MOTE_ENCODING_DEFLATE);
    assert_int_equal(mote_compression_find(mote_slice_text("snappy")), MOTE_ENCODING_COUNT);
    assert_true(mote_slice_equals_text(mote_compression_name(MOTE_ENCODING_GZIP), "gzip"));
    char names[64];
    size_t length = 0;
    for (int i = 0; i < MOTE_ENCODING_COUNT; i++) {
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i == 0 ? "" : ",",
                                   (const char *)mote_compression_name((enum mote_encoding)i).data);
    }
    assert_string_equal(names, MOTE_ENCODING_NAMES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_and_bound),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
