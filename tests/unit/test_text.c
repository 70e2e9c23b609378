/* SPDX-License-Identifier: Apache-2.0 */
/* Text encodings: each by table, exhaustively where the space is small, and against a naive reader at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A copy of exactly the right size on the heap, so that AddressSanitizer sees a read behind the end. */
static struct mote_slice exact(const void *data, size_t length)
{
    uint8_t *copy = malloc(length != 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, data, length);
    return mote_slice(copy, length);
}

static void drop(struct mote_slice slice)
{
    free((void *)(uintptr_t)slice.data);
}

static const struct {
    const char *bytes;
    size_t count; /* code points; 0: not valid */
    uint32_t first;
} utf8_cases[] = {
    {"a", 1, 'a'},
    {"\x7f", 1, 0x7f},
    {"\xc2\x80", 1, 0x80},
    {"\xdf\xbf", 1, 0x7ff},
    {"\xe0\xa0\x80", 1, 0x800},
    {"\xed\x9f\xbf", 1, 0xd7ff},
    {"\xee\x80\x80", 1, 0xe000},
    {"\xef\xbf\xbf", 1, 0xffff},
    {"\xf0\x90\x80\x80", 1, 0x10000},
    {"\xf4\x8f\xbf\xbf", 1, 0x10ffff},
    {"gr\xc3\xbc\xc3\x9f dich, \xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\x98\x80", 15, 'g'},
    {"\x80", 0, 0},
    {"\xbf", 0, 0},
    {"\xc0\x80", 0, 0},
    {"\xc1\xbf", 0, 0},
    {"\xc2", 0, 0},
    {"\xc2\x7f", 0, 0},
    {"\xc2\xc0", 0, 0},
    {"\xe0\x9f\xbf", 0, 0},
    {"\xe0\xa0", 0, 0},
    {"\xe0\xa0\x7f", 0, 0},
    {"\xed\xa0\x80", 0, 0},
    {"\xed\xbf\xbf", 0, 0},
    {"\xf0\x8f\xbf\xbf", 0, 0},
    {"\xf0\x90\x80", 0, 0},
    {"\xf4\x90\x80\x80", 0, 0},
    {"\xf5\x80\x80\x80", 0, 0},
    {"\xf8\x88\x80\x80\x80", 0, 0},
    {"\xfe", 0, 0},
    {"\xff", 0, 0},
};

static void utf8_by_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(utf8_cases); i++) {
        const struct mote_slice text = exact(utf8_cases[i].bytes, strlen(utf8_cases[i].bytes));
        const bool valid = utf8_cases[i].count != 0;
        uint32_t code_point = 1;
        assert_int_equal(mote_utf8_is_valid(text), valid);
        assert_int_equal(mote_utf8_next(text, &code_point) != 0, valid);
        assert_int_equal(mote_utf8_next(text, NULL) != 0, valid);
        if (valid) {
            assert_int_equal(code_point, utf8_cases[i].first);
            assert_int_equal(mote_utf8_count(text), utf8_cases[i].count);
        } else {
            assert_int_equal(code_point, 1);
        }
        drop(text);
    }
    assert_true(mote_utf8_is_valid((struct mote_slice){0}));
    assert_int_equal(mote_utf8_count((struct mote_slice){0}), 0);
    assert_int_equal(mote_utf8_next((struct mote_slice){0}, NULL), 0);
    assert_true(mote_utf8_is_valid(mote_slice("a\0b", 3)));
}

/* RFC 3629's encoder. */
static size_t utf8_encode(uint8_t out[4], uint32_t code_point)
{
    if (code_point < 0x80) {
        out[0] = (uint8_t)code_point;
        return 1;
    }
    const size_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    out[0] = (uint8_t)((0xf00u >> length & 0xf0u) | code_point);
    return length;
}

static void every_code_point_is_read_back(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point < 0x110800; code_point++) {
        uint8_t bytes[4];
        const size_t length = utf8_encode(bytes, code_point);
        const bool scalar = code_point < 0xd800 || (code_point > 0xdfff && code_point <= 0x10ffff);
        uint32_t read = 0;
        assert_int_equal(mote_utf8_next(mote_slice(bytes, length), &read), scalar ? length : 0);
        assert_true(!scalar || read == code_point);
    }
}

/* All sequences of three bytes: as many are valid as the three lengths allow. */
static void exactly_the_right_sequences_are_valid(void **state)
{
    (void)state;
    size_t valid = 0;
    for (uint32_t i = 0; i < 1u << 24; i++) {
        const uint8_t bytes[3] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        valid += mote_utf8_is_valid(mote_slice(bytes, 3));
    }
    const size_t one = 128, two = 1920, three = 61440;
    assert_int_equal(valid, one * one * one + 2 * one * two + three);
}

/* An invalid or a multi-byte sequence at every place of texts around the size of the fast path's step. */
static void every_place_is_looked_at(void **state)
{
    (void)state;
    for (size_t length = 1; length < 40; length++) {
        for (size_t place = 0; place < length; place++) {
            uint8_t bytes[40];
            memset(bytes, 'a', sizeof bytes);
            bytes[place] = 0x80;
            struct mote_slice text = exact(bytes, length);
            assert_false(mote_utf8_is_valid(text));
            drop(text);
            bytes[place] = 0xc3;
            bytes[place + 1] = 0xa4;
            text = exact(bytes, length);
            assert_int_equal(mote_utf8_is_valid(text), place + 1 < length);
            assert_int_equal(mote_utf8_count(text), place + 1 < length ? length - 1 : length);
            drop(text);
        }
    }
}

static const struct {
    const char *bytes;
    const char *text[3]; /* for each variant */
} base64_cases[] = {
    {"", {"", "", ""}},
    {"f", {"Zg==", "Zg", "Zg"}},
    {"fo", {"Zm8=", "Zm8", "Zm8"}},
    {"foo", {"Zm9v", "Zm9v", "Zm9v"}},
    {"foob", {"Zm9vYg==", "Zm9vYg", "Zm9vYg"}},
    {"fooba", {"Zm9vYmE=", "Zm9vYmE", "Zm9vYmE"}},
    {"foobar", {"Zm9vYmFy", "Zm9vYmFy", "Zm9vYmFy"}},
    {"\xff\xff\xfe", {"///+", "///+", "___-"}},
    {"\xfb\xff", {"+/8=", "+/8", "-_8"}},
};

static void base64_by_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(base64_cases); i++) {
        const struct mote_slice bytes = mote_slice_text(base64_cases[i].bytes);
        for (enum mote_base64 variant = MOTE_BASE64_PADDED; variant <= MOTE_BASE64_URL_UNPADDED; variant++) {
            const char *text = base64_cases[i].text[variant];
            char encoded[64];
            uint8_t decoded[64];
            size_t length = 99;
            assert_int_equal(mote_base64_encoded_length(bytes.length, variant), strlen(text));
            memset(encoded, 'x', sizeof encoded);
            mote_base64_encode(encoded, bytes, variant);
            assert_memory_equal(encoded, text, strlen(text));
            assert_int_equal(encoded[strlen(text)], 'x');
            assert_int_equal(mote_base64_decode(decoded, &length, mote_slice_text(text), variant), 0);
            assert_true(mote_slice_equals(mote_slice(decoded, length), bytes));
        }
    }
}

enum takes {
    NEITHER = 0,
    STANDARD = 1,
    URL = 2,
};

static const struct {
    const char *text;
    unsigned takes;
} base64_strict[] = {
    {"Zg", STANDARD | URL},  {"Zg==", STANDARD},  {"Zg=", NEITHER},    {"Zg===", NEITHER},        {"Zm8=", STANDARD},
    {"Zm8==", NEITHER},      {"Zm9v=", NEITHER},  {"Zm9v==", NEITHER}, {"Zm9v===", NEITHER},      {"Zm9v====", NEITHER},
    {"=", NEITHER},          {"==", NEITHER},     {"===", NEITHER},    {"====", NEITHER},         {"Z", NEITHER},
    {"Z===", NEITHER},       {"Z=", NEITHER},     {"Zm9vZ", NEITHER},  {"Z=g=", NEITHER},         {"=Zg=", NEITHER},
    {"Zg==Zg==", NEITHER},   {"Zh", NEITHER},     {"Zh==", NEITHER},   {"Zm9", NEITHER},          {"Zm9=", NEITHER},
    {"Zn8", STANDARD | URL}, {"Zm9v\n", NEITHER}, {"Zm 9v", NEITHER},  {" Zg", NEITHER},          {"Zg ", NEITHER},
    {"+/+/", STANDARD},      {"-_-_", URL},       {"+_+_", NEITHER},   {"Zm9v\xc3\xa4", NEITHER},
};

static void base64_is_strict(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(base64_strict); i++) {
        const struct mote_slice text = exact(base64_strict[i].text, strlen(base64_strict[i].text));
        for (enum mote_base64 variant = MOTE_BASE64_PADDED; variant <= MOTE_BASE64_URL_UNPADDED; variant++) {
            const unsigned needs = variant == MOTE_BASE64_URL_UNPADDED ? URL : STANDARD;
            uint8_t out[64];
            size_t length = 0;
            const int expected = (base64_strict[i].takes & needs) != 0 ? 0 : MOTE_EDECODE;
            assert_int_equal(mote_base64_decode(out, &length, text, variant), expected);
        }
        drop(text);
    }
}

/* Each of the 256 characters at each place of a group: accepted exactly if it is of the alphabet. */
static void base64_knows_its_alphabet(void **state)
{
    static const char *const alphabets[3] = {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    };
    (void)state;
    for (enum mote_base64 variant = MOTE_BASE64_PADDED; variant <= MOTE_BASE64_URL_UNPADDED; variant++) {
        for (unsigned character = 0; character < 256; character++) {
            const char *found = character != 0 ? strchr(alphabets[variant], (int)character) : NULL;
            for (size_t place = 0; place < 4; place++) {
                /* In front, so that '=' is not padding. */
                uint8_t text[8] = {'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A'};
                uint8_t out[6];
                size_t length;
                text[place] = (uint8_t)character;
                const int result = mote_base64_decode(out, &length, mote_slice(text, 8), variant);
                assert_int_equal(result, found != NULL ? 0 : MOTE_EDECODE);
                if (found != NULL) {
                    const uint32_t bits = (uint32_t)out[0] << 16 | (uint32_t)out[1] << 8 | out[2];
                    assert_int_equal(bits, (uint32_t)(found - alphabets[variant]) << (18 - 6 * place));
                }
            }
        }
    }
}

static void base64_reads_back_what_it_wrote(void **state)
{
    (void)state;
    srand(3);
    for (size_t length = 0; length < 200; length++) {
        for (enum mote_base64 variant = MOTE_BASE64_PADDED; variant <= MOTE_BASE64_URL_UNPADDED; variant++) {
            uint8_t bytes[200];
            for (size_t i = 0; i < length; i++) {
                bytes[i] = (uint8_t)rand();
            }
            const size_t encoded_length = mote_base64_encoded_length(length, variant);
            char *encoded = malloc(encoded_length + 1);
            uint8_t *decoded = malloc(mote_base64_decoded_max(encoded_length) + 1);
            size_t decoded_length;
            assert_true(encoded != NULL && decoded != NULL);
            mote_base64_encode(encoded, mote_slice(bytes, length), variant);
            assert_int_equal(mote_base64_decode(decoded, &decoded_length, mote_slice(encoded, encoded_length), variant),
                             0);
            assert_true(decoded_length <= mote_base64_decoded_max(encoded_length));
            assert_true(mote_slice_equals(mote_slice(decoded, decoded_length), mote_slice(bytes, length)));
            free(encoded);
            free(decoded);
        }
    }
}

/* One text, one value: whatever decodes is what encoding gives back. All texts of two and of three characters. */
static void base64_has_one_text_for_each_value(void **state)
{
    (void)state;
    for (size_t text_length = 2; text_length <= 3; text_length++) {
        size_t accepted = 0;
        for (uint32_t i = 0; i < 1u << (8 * text_length); i++) {
            const uint8_t text[3] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)};
            uint8_t out[3];
            size_t length;
            if (mote_base64_decode(out, &length, mote_slice(text, text_length), MOTE_BASE64_URL_UNPADDED) == 0) {
                char again[4];
                accepted++;
                assert_int_equal(length, text_length - 1);
                mote_base64_encode(again, mote_slice(out, length), MOTE_BASE64_URL_UNPADDED);
                assert_memory_equal(again, text, text_length);
            }
        }
        assert_int_equal(accepted, 1u << (8 * (text_length - 1)));
    }
}

static void hexadecimal(void **state)
{
    (void)state;
    char out[8] = "xxxxxxxx";
    mote_hex_encode(out, mote_slice("\x00\x9f\xab", 3));
    assert_memory_equal(out, "009fabxx", 8);
    mote_hex_encode(out, (struct mote_slice){0});
    assert_memory_equal(out, "009fabxx", 8);
}

static const uint8_t uuid_bytes[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                       0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
#define UUID_TEXT "01234567-89ab-cdef-fedc-ba9876543210"

static void uuids_are_formatted_and_parsed(void **state)
{
    (void)state;
    char text[MOTE_UUID_TEXT_LENGTH + 1] = {0};
    uint8_t parsed[16];
    text[MOTE_UUID_TEXT_LENGTH] = 'x';
    mote_uuid_format(text, uuid_bytes);
    assert_memory_equal(text, UUID_TEXT "x", MOTE_UUID_TEXT_LENGTH + 1);
    assert_int_equal(mote_uuid_parse(parsed, mote_slice_text(UUID_TEXT)), 0);
    assert_memory_equal(parsed, uuid_bytes, 16);
    assert_int_equal(mote_uuid_parse(parsed, mote_slice_text("01234567-89AB-CDEF-FEDC-BA9876543210")), 0);
    assert_memory_equal(parsed, uuid_bytes, 16);
}

static void other_texts_are_not_uuids(void **state)
{
    static const char *const texts[] = {
        "",
        "01234567-89ab-cdef-fedc-ba987654321",
        "01234567-89ab-cdef-fedc-ba98765432100",
        "0123456789abcdeffedcba9876543210",
        "{01234567-89ab-cdef-fedc-ba98765432}",
        "01234567-89ab-cdeffedc--ba9876543210",
        "0123456-789ab-cdef-fedc-ba9876543210",
    };
    uint8_t parsed[16] = {7};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(mote_uuid_parse(parsed, mote_slice_text(texts[i])), MOTE_EDECODE);
    }
    /* Each place takes its kind of character only. */
    for (size_t place = 0; place < MOTE_UUID_TEXT_LENGTH; place++) {
        for (unsigned character = 0; character < 256; character++) {
            char text[] = UUID_TEXT;
            const bool hyphen = text[place] == '-';
            const bool digit = character != 0 && strchr("0123456789abcdefABCDEF", (int)character) != NULL;
            text[place] = (char)character;
            const int expected = (hyphen ? character == '-' : digit) ? 0 : MOTE_EDECODE;
            uint8_t ignored[16];
            assert_int_equal(mote_uuid_parse(ignored, mote_slice(text, MOTE_UUID_TEXT_LENGTH)), expected);
        }
    }
    assert_int_equal(parsed[0], 7);
}

static void uuids_of_version_7_follow_time(void **state)
{
    static const uint8_t ones[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t zeros[10];
    static const struct {
        int64_t wall_ns;
        const uint8_t *random;
        const char *text;
    } cases[] = {
        {0, zeros, "00000000-0000-7000-8000-000000000000"},
        {-5000000, zeros, "00000000-0000-7000-8000-000000000000"},
        {0, ones, "00000000-0000-7fff-bfff-ffffffffffff"},
        {1999999, zeros, "00000000-0001-7000-8000-000000000000"},
        /* RFC 9562, appendix A.6: 2022-02-22 14:22:22.00 -05:00 */
        {INT64_C(1645557742000000000), zeros, "017f22e2-79b0-7000-8000-000000000000"},
        {INT64_MAX, ones, "08637bd0-5af6-7fff-bfff-ffffffffffff"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t uuid[16];
        char text[MOTE_UUID_TEXT_LENGTH + 1] = {0};
        mote_uuid_make_v7(uuid, cases[i].wall_ns, cases[i].random);
        mote_uuid_format(text, uuid);
        assert_string_equal(text, cases[i].text);
    }
}

static void decimals(void **state)
{
    static const struct {
        const char *text;
        uint64_t maximum;
        int result;
        uint64_t value;
    } cases[] = {
        {"0", 0, 0, 0},
        {"1", 0, MOTE_ELIMIT, 0},
        {"1", 1, 0, 1},
        {"65535", 65535, 0, 65535},
        {"65536", 65535, MOTE_ELIMIT, 0},
        {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, MOTE_ELIMIT, 0},
        {"18446744073709551620", UINT64_MAX, MOTE_ELIMIT, 0},
        {"99999999999999999999999999", UINT64_MAX, MOTE_ELIMIT, 0},
        {"36893488147419103232", UINT64_MAX, MOTE_ELIMIT, 0}, /* 2^65 */
        {"", 9, MOTE_EDECODE, 0},
        {"00", 9, MOTE_EDECODE, 0},
        {"01", 9, MOTE_EDECODE, 0},
        {"+1", 9, MOTE_EDECODE, 0},
        {"-1", 9, MOTE_EDECODE, 0},
        {" 1", 9, MOTE_EDECODE, 0},
        {"1 ", 9, MOTE_EDECODE, 0},
        {"1/", 99, MOTE_EDECODE, 0},
        {"1:", 99, MOTE_EDECODE, 0},
        {"0x1", 9, MOTE_EDECODE, 0},
        {"1.0", 9, MOTE_EDECODE, 0},
        {"99999999999999999999999999x", UINT64_MAX, MOTE_EDECODE, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t value = 77;
        const struct mote_slice text = exact(cases[i].text, strlen(cases[i].text));
        assert_int_equal(mote_decimal_parse(&value, text, cases[i].maximum), cases[i].result);
        assert_true(value == (cases[i].result == 0 ? cases[i].value : 77));
        drop(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_by_table),
        cmocka_unit_test(every_code_point_is_read_back),
        cmocka_unit_test(exactly_the_right_sequences_are_valid),
        cmocka_unit_test(every_place_is_looked_at),
        cmocka_unit_test(base64_by_table),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(base64_knows_its_alphabet),
        cmocka_unit_test(base64_reads_back_what_it_wrote),
        cmocka_unit_test(base64_has_one_text_for_each_value),
        cmocka_unit_test(hexadecimal),
        cmocka_unit_test(uuids_are_formatted_and_parsed),
        cmocka_unit_test(other_texts_are_not_uuids),
        cmocka_unit_test(uuids_of_version_7_follow_time),
        cmocka_unit_test(decimals),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
