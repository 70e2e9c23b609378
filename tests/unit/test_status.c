/* SPDX-License-Identifier: Apache-2.0 */
/* The code tables row by row, and the percent-encoding of grpc-message with its cut, repair and way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "wire/status.h"

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(mote_status_name(MOTE_STATUS_OK), "OK");
    assert_string_equal(mote_status_name(MOTE_STATUS_CANCELLED), "CANCELLED");
    assert_string_equal(mote_status_camel_name(MOTE_STATUS_CANCELLED), "Canceled");
    assert_string_equal(mote_status_name(MOTE_STATUS_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(mote_status_camel_name(MOTE_STATUS_UNAUTHENTICATED), "Unauthenticated");
    assert_string_equal(mote_status_name((enum mote_status)MOTE_STATUS_COUNT), "UNKNOWN");
    assert_string_equal(mote_status_camel_name((enum mote_status)99), "Unknown");
    for (unsigned code = 0; code < MOTE_STATUS_COUNT; code++) {
        char text[8];
        (void)snprintf(text, sizeof(text), "%u", code);
        assert_true(mote_slice_equals_text(mote_status_decimal((enum mote_status)code), text));
        assert_true(code == MOTE_STATUS_UNKNOWN || strcmp(mote_status_name((enum mote_status)code), "UNKNOWN") != 0);
        enum mote_status back;
        assert_int_equal(mote_status_parse(&back, mote_slice_text(text)), 0);
        assert_int_equal(back, code);
    }
    assert_true(mote_slice_equals_text(mote_status_decimal((enum mote_status)MOTE_STATUS_COUNT), "2"));
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "17", "00", "01", "-1", "+1", " 1", "1 ", "1.0", "0x1", "99999999999999999999", "OK"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        enum mote_status status = MOTE_STATUS_OK;
        assert_int_equal(mote_status_parse(&status, mote_slice_text(texts[i])), MOTE_EDECODE);
        assert_int_equal(status, MOTE_STATUS_UNKNOWN);
    }
    enum mote_status status = MOTE_STATUS_OK;
    assert_int_equal(mote_status_parse(&status, mote_slice(NULL, 0)), MOTE_EDECODE);
    assert_int_equal(status, MOTE_STATUS_UNKNOWN);
}

struct message_case {
    const char *message;
    const char *encoded;
};

static const struct message_case message_cases[] = {
    {"", ""},
    {"user not found", "user not found"},
    {" leading and trailing ", "%20leading and trailing%20"}, /* no field value may begin or end with a space */
    {" ", "%20"},
    {"  ", "%20%20"},
    {"  a  ", "%20 a %20"},
    {"a\xff ", "a%EF%BF%BD%20"},
    {"100%", "100%25"},
    {"%41", "%2541"},
    {"a\r\nb\tc", "a%0D%0Ab%09c"},
    {"\x1f \x7e\x7f", "%1F ~%7F"},
    {"Gr\xc3\xbc\xc3\x9f", "Gr%C3%BC%C3%9F"},
    {"\xf0\x9f\x98\x88!", "%F0%9F%98%88!"},
    {"\xff", "%EF%BF%BD"},
    {"a\xc3", "a%EF%BF%BD"},
    {"\xc3(", "%EF%BF%BD("},
    {"\xed\xa0\x80", "%EF%BF%BD%EF%BF%BD%EF%BF%BD"}, /* a surrogate: each byte is wrong */
    {"\xe2\x82", "%EF%BF%BD%EF%BF%BD"},
    {"\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP \xf0\x9f\x98\x88\t\n",
     "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A"},
};

static void test_encode(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(message_cases) / sizeof(message_cases[0]); i++) {
        char out[MOTE_STATUS_ENCODED_MAX];
        const size_t length = mote_status_encode_message(out, mote_slice_text(message_cases[i].message));
        assert_int_equal(length, strlen(message_cases[i].encoded));
        assert_memory_equal(out, message_cases[i].encoded, length);
    }
    char out[MOTE_STATUS_ENCODED_MAX];
    assert_int_equal(mote_status_encode_message(out, mote_slice(NULL, 0)), 0);
    assert_int_equal(mote_status_encode_message(out, mote_slice("a\0b", 3)), 5);
    assert_memory_equal(out, "a%00b", 5);
}

/* What a receiver of encode(message) must see, made the slow way. Returns its length. */
static size_t repair(uint8_t *out, struct mote_slice message)
{
    size_t length = 0;
    while (message.length != 0) {
        const size_t valid = mote_utf8_next(message, NULL);
        const size_t count = valid != 0 ? valid : 3;
        if (length + count > MOTE_STATUS_MESSAGE_MAX) {
            break;
        }
        memcpy(out + length, valid != 0 ? message.data : (const uint8_t *)"\xef\xbf\xbd", count);
        length += count;
        message = mote_slice(message.data + (valid != 0 ? valid : 1), message.length - (valid != 0 ? valid : 1));
    }
    return length;
}

static void check_round_trip(struct mote_slice message)
{
    char encoded[MOTE_STATUS_ENCODED_MAX];
    const size_t encoded_length = mote_status_encode_message(encoded, message);
    assert_true(encoded_length <= 3 * MOTE_STATUS_MESSAGE_MAX);
    for (size_t i = 0; i < encoded_length; i++) {
        assert_in_range((uint8_t)encoded[i], 0x20, 0x7e);
    }
    assert_true(encoded_length == 0 || (encoded[0] != ' ' && encoded[encoded_length - 1] != ' '));
    char *decoded = malloc(encoded_length + 1);
    assert_non_null(decoded);
    const size_t length = mote_status_decode_message(decoded, mote_slice(encoded, encoded_length));
    uint8_t expected[MOTE_STATUS_MESSAGE_MAX];
    const size_t expected_length = repair(expected, message);
    assert_int_equal(length, expected_length);
    assert_memory_equal(decoded, expected, length);
    assert_true(mote_utf8_is_valid(mote_slice(decoded, length)));
    free(decoded);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (unsigned next = 0; next < 256; next++) {
            const uint8_t pair[4] = {'x', (uint8_t)byte, (uint8_t)next, 'y'};
            check_round_trip(mote_slice(pair, 4));
            check_round_trip(mote_slice(pair + 1, 2));
        }
    }
}

/* Each byte at each place of a message that is copied in words of eight. */
static void test_round_trip_of_long_messages(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 20; at++) {
            uint8_t message[20];
            memset(message, 'a', sizeof(message));
            message[at] = (uint8_t)byte;
            check_round_trip(mote_slice(message, sizeof(message)));
        }
    }
}

/* The cut at 1,024 bytes, at and around the bound, for code points of every length and in plain text. */
static void test_cut(void **state)
{
    (void)state;
    static const char *const ends[] = {"z", " ", "\xc3\xbc", "\xe2\x98\xba", "\xf0\x9f\x98\x88", "\xff", "%"};
    static const uint8_t repaired_lengths[] = {1, 1, 2, 3, 4, 3, 1};
    uint8_t message[70000];
    memset(message, 'a', sizeof(message));
    for (size_t at = MOTE_STATUS_MESSAGE_MAX - 5; at <= MOTE_STATUS_MESSAGE_MAX + 1; at++) {
        for (size_t end = 0; end < sizeof(ends) / sizeof(ends[0]); end++) {
            memset(message, 'a', sizeof(message));
            memcpy(message + at, ends[end], strlen(ends[end]));
            check_round_trip(mote_slice(message, at + strlen(ends[end])));
            check_round_trip(mote_slice(message, sizeof(message)));
            char encoded[MOTE_STATUS_ENCODED_MAX];
            char decoded[MOTE_STATUS_ENCODED_MAX];
            const struct mote_slice whole = mote_slice(message, at + strlen(ends[end]));
            const size_t length =
                mote_status_decode_message(decoded, mote_slice(encoded, mote_status_encode_message(encoded, whole)));
            const size_t with_end = at + repaired_lengths[end];
            const size_t without = at < MOTE_STATUS_MESSAGE_MAX ? at : MOTE_STATUS_MESSAGE_MAX;
            assert_int_equal(length, with_end <= MOTE_STATUS_MESSAGE_MAX ? with_end : without);
        }
    }
    char encoded[MOTE_STATUS_ENCODED_MAX];
    memset(message, 0xff, sizeof(message));
    assert_int_equal(mote_status_encode_message(encoded, mote_slice(message, sizeof(message))), 3 * 1023);
    memset(message, '%', sizeof(message));
    assert_int_equal(mote_status_encode_message(encoded, mote_slice(message, sizeof(message))), 3 * 1024);
}

static const struct message_case decode_cases[] = {
    /* encoded, then decoded */
    {"", ""},
    {"plain", "plain"},
    {"%41%62%7a%7A", "Abzz"},
    {"%", "%"},
    {"%4", "%4"},
    {"a%4", "a%4"},
    {"%zz", "%zz"},
    {"%4z", "%4z"},
    {"%z4", "%z4"},
    {"%%41", "%A"},
    {"%25%32%35", "%25"},
    {"%C3%BC", "\xc3\xbc"},
    {"%ff", "\xff"},
    {"%/0%:0%@0%G0%g0%`0", "%/0%:0%@0%G0%g0%`0"},
};

static void test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(decode_cases) / sizeof(decode_cases[0]); i++) {
        const size_t text_length = strlen(decode_cases[i].message);
        char *text = malloc(text_length + 1); /* the text is its end, so that reading on is seen */
        char *out = malloc(text_length + 1);
        assert_non_null(text);
        assert_non_null(out);
        memcpy(text + 1, decode_cases[i].message, text_length);
        const size_t length = mote_status_decode_message(out, mote_slice(text + 1, text_length));
        assert_int_equal(length, strlen(decode_cases[i].encoded));
        assert_memory_equal(out, decode_cases[i].encoded, length);
        free(text);
        free(out);
    }
}

static void test_h2_errors(void **state)
{
    (void)state;
    static const enum mote_status expected[] = {
        MOTE_STATUS_INTERNAL,          MOTE_STATUS_INTERNAL, MOTE_STATUS_INTERNAL, MOTE_STATUS_INTERNAL,
        MOTE_STATUS_INTERNAL,          MOTE_STATUS_UNKNOWN,  MOTE_STATUS_INTERNAL, MOTE_STATUS_UNAVAILABLE,
        MOTE_STATUS_CANCELLED,         MOTE_STATUS_INTERNAL, MOTE_STATUS_INTERNAL, MOTE_STATUS_RESOURCE_EXHAUSTED,
        MOTE_STATUS_PERMISSION_DENIED, MOTE_STATUS_INTERNAL,
    };
    for (uint32_t code = 0; code < sizeof(expected) / sizeof(expected[0]); code++) {
        assert_int_equal(mote_status_from_h2_error(code), expected[code]);
    }
    assert_int_equal(mote_status_from_h2_error(0xe), MOTE_STATUS_UNKNOWN);
    assert_int_equal(mote_status_from_h2_error(UINT32_MAX), MOTE_STATUS_UNKNOWN);
    assert_string_equal(mote_h2_error_name(MOTE_H2_NO_ERROR), "NO_ERROR");
    assert_string_equal(mote_h2_error_name(MOTE_H2_HTTP_1_1_REQUIRED), "HTTP_1_1_REQUIRED");
    assert_string_equal(mote_h2_error_name((enum mote_h2_error)0xe), "UNKNOWN");
}

static void test_http(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 1000; code++) {
        enum mote_status expected = MOTE_STATUS_UNKNOWN;
        expected = code == 400 ? MOTE_STATUS_INTERNAL : expected;
        expected = code == 401 ? MOTE_STATUS_UNAUTHENTICATED : expected;
        expected = code == 403 ? MOTE_STATUS_PERMISSION_DENIED : expected;
        expected = code == 404 ? MOTE_STATUS_UNIMPLEMENTED : expected;
        expected = code == 429 || (code >= 502 && code <= 504) ? MOTE_STATUS_UNAVAILABLE : expected;
        assert_int_equal(mote_status_from_http(code), expected);
    }
}

/* The codes that belong to services never come from the library (gRFC A54). */
static void test_errors(void **state)
{
    (void)state;
    assert_int_equal(mote_status_from_error(0), MOTE_STATUS_OK);
    assert_int_equal(mote_status_from_error(MOTE_ENOMEM), MOTE_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(mote_status_from_error(MOTE_ELIMIT), MOTE_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(mote_status_from_error(MOTE_EDECODE), MOTE_STATUS_INTERNAL);
    assert_int_equal(mote_status_from_error(MOTE_EAUTH), MOTE_STATUS_UNAUTHENTICATED);
    assert_int_equal(mote_status_from_error(MOTE_ETIMEOUT), MOTE_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(mote_status_from_error(MOTE_ECANCELLED), MOTE_STATUS_CANCELLED);
    assert_int_equal(mote_status_from_error(MOTE_EBUSY), MOTE_STATUS_UNAVAILABLE);
    for (int error = -100; error <= 100; error++) {
        switch (mote_status_from_error(error)) {
        case MOTE_STATUS_OK:
            assert_int_equal(error, 0);
            break;
        case MOTE_STATUS_INVALID_ARGUMENT:
        case MOTE_STATUS_NOT_FOUND:
        case MOTE_STATUS_ALREADY_EXISTS:
        case MOTE_STATUS_FAILED_PRECONDITION:
        case MOTE_STATUS_ABORTED:
        case MOTE_STATUS_OUT_OF_RANGE:
        case MOTE_STATUS_DATA_LOSS:
            fail_msg("error %d became a service's status", error);
            break;
        case MOTE_STATUS_CANCELLED:
        case MOTE_STATUS_UNKNOWN:
        case MOTE_STATUS_DEADLINE_EXCEEDED:
        case MOTE_STATUS_PERMISSION_DENIED:
        case MOTE_STATUS_RESOURCE_EXHAUSTED:
        case MOTE_STATUS_UNIMPLEMENTED:
        case MOTE_STATUS_INTERNAL:
        case MOTE_STATUS_UNAVAILABLE:
        case MOTE_STATUS_UNAUTHENTICATED:
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_round_trip_of_long_messages),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_h2_errors),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
