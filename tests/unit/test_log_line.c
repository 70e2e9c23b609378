/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log line from whatever a peer sent: one line, valid UTF-8, nothing in it that moves a terminal or ends a field, and
 * what JSON readers get is the value, repaired and cut off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "app/log_line.h"
#include "base/text.h"

#define WALL_NS INT64_C(1700000000123456789)

static const struct mote_log_style styles[] = {
    {.format = MOTE_LOG_FORMAT_JSON},
    {.format = MOTE_LOG_FORMAT_LOGFMT},
    {.format = MOTE_LOG_FORMAT_TEXT},
};

static size_t format_fields(char *out, const struct mote_log_style *style, const struct mote_log_field *fields,
                            size_t count)
{
    const struct mote_log_record record = {.level = MOTE_LOG_WARN,
                                           .logger = "net",
                                           .event = "net.test",
                                           .message = "a test",
                                           .fields = fields,
                                           .field_count = count};
    const size_t length = mote_log_line_format(out, style, WALL_NS, &record, 0);
    assert_in_range(length, 1, MOTE_LOG_LINE_MAX);
    return length;
}

/* One line that is safe to print. */
static void assert_harmless(const char *line, size_t length)
{
    assert_int_equal(line[length - 1], '\n');
    struct mote_slice rest = mote_slice(line, length - 1);
    while (rest.length != 0) {
        uint32_t code_point;
        const size_t taken = mote_utf8_next(rest, &code_point);
        assert_true(taken != 0);
        assert_true(code_point >= 0x20 && !(code_point >= 0x7f && code_point < 0xa0));
        assert_true(code_point != 0x2028 && code_point != 0x2029);  /* lines end there for some readers */
        assert_false(code_point >= 0x202a && code_point <= 0x202e); /* text that turns its direction */
        assert_false(code_point >= 0x2066 && code_point <= 0x2069);
        rest = mote_slice(rest.data + taken, rest.length - taken);
    }
}

/* The line of one value in each format; in JSON it is read back. */
static void check_value(struct mote_slice value, struct mote_slice expected)
{
    const struct mote_log_field field = mote_log_slice("value", value);
    char line[MOTE_LOG_LINE_MAX];
    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++) {
        const size_t length = format_fields(line, &styles[i], &field, 1);
        assert_harmless(line, length);
        if (styles[i].format != MOTE_LOG_FORMAT_JSON) {
            continue;
        }
        json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        assert_non_null(object);
        const json_t *read = json_object_get(object, "value");
        assert_int_equal(json_object_size(object), 6);
        assert_int_equal(json_string_length(read), expected.length);
        assert_memory_equal(json_string_value(read), expected.data, expected.length);
        json_decref(object);
    }
}

static void values_come_out_as_they_are(void **state)
{
    static const char *const values[] = {"",
                                         "plain",
                                         "two words",
                                         "a=b",
                                         "\"",
                                         "\\",
                                         "\\u0041",
                                         "}",
                                         "\",\"level\":\"error",
                                         "a\nb",
                                         "a\r\nts=x",
                                         "\x1b[31mred",
                                         "\t",
                                         "\x7f",
                                         "\xc2\x85",
                                         "\xc3\xa9",
                                         "\xe2\x80\xa8",
                                         "\xe2\x80\xae",
                                         "\xe2\x81\xa6",
                                         "\xf0\x9f\x98\x80"};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        check_value(mote_slice_text(values[i]), mote_slice_text(values[i]));
    }
    check_value(mote_slice("a\0b", 3), mote_slice("a\0b", 3));
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"\xff", "\xef\xbf\xbd"},
        {"a\xc3", "a\xef\xbf\xbd"},
        {"\xc3(", "\xef\xbf\xbd("},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\x8a", "\xef\xbf\xbd\xef\xbf\xbd"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_value(mote_slice_text(cases[i].value), mote_slice_text(cases[i].expected));
    }
}

/* Any bytes at all, in all formats. */
static void any_bytes_are_harmless(void **state)
{
    static uint8_t bytes[MOTE_LOG_VALUE_MAX + 64];
    char line[MOTE_LOG_LINE_MAX];
    uint64_t random = 1;
    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        const size_t length = round % 7 == 0 ? sizeof bytes : round % 40;
        for (size_t i = 0; i < length; i++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            bytes[i] = (uint8_t)(random >> 33);
        }
        const struct mote_log_field field = mote_log_slice("value", mote_slice(bytes, length));
        for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++) {
            assert_harmless(line, format_fields(line, &styles[i], &field, 1));
        }
    }
}

static void long_values_are_cut_off(void **state)
{
    static char value[MOTE_LOG_VALUE_MAX + 2];
    static char expected[MOTE_LOG_VALUE_MAX + 4];
    (void)state;
    memset(value, 'a', sizeof value);
    memcpy(expected, value, MOTE_LOG_VALUE_MAX);
    memcpy(expected + MOTE_LOG_VALUE_MAX, "\xe2\x80\xa6", 3);
    check_value(mote_slice(value, MOTE_LOG_VALUE_MAX), mote_slice(value, MOTE_LOG_VALUE_MAX));
    check_value(mote_slice(value, MOTE_LOG_VALUE_MAX + 1), mote_slice(expected, MOTE_LOG_VALUE_MAX + 3));
    /* Not in the middle of a character. */
    memcpy(value + MOTE_LOG_VALUE_MAX - 1, "\xc3\xa9", 2);
    memcpy(expected + MOTE_LOG_VALUE_MAX - 1, "\xe2\x80\xa6", 3);
    check_value(mote_slice(value, MOTE_LOG_VALUE_MAX + 1), mote_slice(expected, MOTE_LOG_VALUE_MAX + 2));
}

/* Fields that do not fit are left out whole, and the line says so; values of every size around the end of the line. */
static void a_line_is_bounded(void **state)
{
    static char value[MOTE_LOG_VALUE_MAX];
    char line[MOTE_LOG_LINE_MAX];
    struct mote_log_field fields[3];
    (void)state;
    memset(value, 1, sizeof value); /* six characters each */
    unsigned cut = 0;
    for (size_t last = 0; last <= MOTE_LOG_VALUE_MAX; last++) {
        fields[0] = mote_log_slice("first", mote_slice(value, MOTE_LOG_VALUE_MAX));
        fields[1] = mote_log_slice("second", mote_slice(value, last));
        fields[2] = mote_log_text("third", "3");
        for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++) {
            const size_t length = format_fields(line, &styles[i], fields, 3);
            assert_harmless(line, length);
            if (styles[i].format == MOTE_LOG_FORMAT_JSON) {
                json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
                assert_non_null(object);
                const bool whole = json_object_get(object, "truncated") == NULL;
                assert_true((json_object_get(object, "third") != NULL) == whole);
                cut += whole ? 0 : 1;
                json_decref(object);
            }
        }
    }
    assert_true(cut > 0 && cut <= MOTE_LOG_VALUE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_out_as_they_are), cmocka_unit_test(bytes_that_are_no_utf8_are_replaced),
        cmocka_unit_test(any_bytes_are_harmless),      cmocka_unit_test(long_values_are_cut_off),
        cmocka_unit_test(a_line_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
