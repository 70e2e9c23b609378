/* SPDX-License-Identifier: Apache-2.0 */
/* What test_walk.c and test_codec.c share: decoding a codec_test.v1.Bounded and what is expected of it. */
#ifndef MOTE_UNIT_CODEC_FIXTURE_H
#define MOTE_UNIT_CODEC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "codec_test.mote.h"
#include "support/protobuf_bytes.h"

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

static codec_test_v1_Bounded bounded; /* what the last decode gave */
static struct mote_codec_failure failure;

static inline int decode_bounded(const struct bytes *in)
{
    memset(&bounded, 0xa5, sizeof(bounded));
    memset(&failure, 0xa5, sizeof(failure));
    return mote_codec_decode(&codec_test_v1_Bounded_type, slice_of(in), &bounded, &failure);
}

static inline void assert_zero(const void *data, size_t length)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(bytes[i], 0);
    }
}

static inline void assert_decodes(const struct bytes *in)
{
    assert_int_equal(decode_bounded(in), 0);
    assert_int_equal(failure.count, 0);
}

/* Refused as no protobuf; the struct is zero. */
static inline void assert_malformed(const struct bytes *in)
{
    assert_int_equal(decode_bounded(in), MOTE_EDECODE);
    assert_zero(&bounded, sizeof(bounded));
}

/* Refused for this one field. */
static inline void assert_violation(const struct bytes *in, const char *field, const char *text)
{
    assert_int_equal(decode_bounded(in), MOTE_EFIELD);
    assert_int_equal(failure.count, 1);
    assert_string_equal(failure.violations[0].field, field);
    assert_string_equal(failure.violations[0].text, text);
    assert_zero(&bounded, sizeof(bounded));
}

/* Writes `count` numbers as the wire type of the field: 4 int32, 5 fixed32, 6 fixed64. */
static inline void put_elements(struct bytes *out, uint32_t number, size_t count, bool packed)
{
    static const uint8_t zeros[8] = {0};
    size_t width = number == codec_test_v1_Bounded_numbers_tag ? 1 : number == codec_test_v1_Bounded_words_tag ? 4 : 8;
    enum wire wire = width == 1 ? VARINT : width == 4 ? FIXED32 : FIXED64;
    if (packed) {
        put_tag(out, number, LENGTH);
        put_varint(out, count * width);
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t element = (uint8_t)(i + 1);
        if (!packed) {
            put_tag(out, number, wire);
        }
        put(out, &element, 1);
        put(out, zeros, width - 1);
    }
}

#endif
