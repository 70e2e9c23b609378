/* SPDX-License-Identifier: Apache-2.0 */
/* grpc-timeout: every accepted and refused form, the clamp, and that what is formatted is read back, rounded up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "wire/timeout.h"

#define SECOND UINT64_C(1000000000)

struct parse_case {
    const char *text;
    int error;
    uint64_t ns;
};

static const struct parse_case parse_cases[] = {
    {"1n", 0, 1},
    {"1u", 0, 1000},
    {"1m", 0, 1000000},
    {"1S", 0, SECOND},
    {"1M", 0, 60 * SECOND},
    {"1H", 0, 3600 * SECOND},
    {"0n", 0, 0},
    {"0m", 0, 0},
    {"0H", 0, 0},
    {"00000000S", 0, 0},
    {"00000001S", 0, SECOND},
    {"99999999n", 0, 99999999},
    {"99999999u", 0, UINT64_C(99999999000)},
    {"99999999m", 0, UINT64_C(99999999000000)},
    {"99999999S", 0, 99999999 * SECOND},
    {"99999999M", 0, 99999999 * (60 * SECOND)},
    {"99999999H", 0, INT64_MAX},
    {"2562047H", 0, 2562047 * (3600 * SECOND)}, /* the last number of hours that fits */
    {"2562048H", 0, INT64_MAX},
    {"100000000S", MOTE_EDECODE, 0},
    {"000000001S", MOTE_EDECODE, 0},
    {"", MOTE_EDECODE, 0},
    {"1", MOTE_EDECODE, 0},
    {"12345678", MOTE_EDECODE, 0},
    {"S", MOTE_EDECODE, 0},
    {"SS", MOTE_EDECODE, 0},
    {"-1S", MOTE_EDECODE, 0},
    {"+1S", MOTE_EDECODE, 0},
    {" 1S", MOTE_EDECODE, 0},
    {"1 S", MOTE_EDECODE, 0},
    {"1S ", MOTE_EDECODE, 0},
    {"1s", MOTE_EDECODE, 0},
    {"1h", MOTE_EDECODE, 0},
    {"1N", MOTE_EDECODE, 0},
    {"1U", MOTE_EDECODE, 0},
    {"1.5S", MOTE_EDECODE, 0},
    {"1,5S", MOTE_EDECODE, 0},
    {"0x1S", MOTE_EDECODE, 0},
    {"1S,1S", MOTE_EDECODE, 0},
    {"1/S", MOTE_EDECODE, 0},
    {"1:S", MOTE_EDECODE, 0},
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(parse_cases) / sizeof(parse_cases[0]); i++) {
        const struct parse_case *row = &parse_cases[i];
        uint64_t ns = 12345;
        const int error = mote_timeout_parse(&ns, mote_slice_text(row->text));
        if (error != row->error || (error == 0 && ns != row->ns)) {
            fail_msg("\"%s\": %d, %llu ns", row->text, error, (unsigned long long)ns);
        }
    }
}

/* Any one or two bytes: exactly a digit and a unit are accepted. */
static void test_parse_every_short_text(void **state)
{
    (void)state;
    int accepted = 0;
    for (unsigned pair = 0; pair < 65536; pair++) {
        const uint8_t text[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
        uint64_t ns;
        accepted += mote_timeout_parse(&ns, mote_slice(text, 2)) == 0;
        assert_int_equal(mote_timeout_parse(&ns, mote_slice(text, 1)), MOTE_EDECODE);
    }
    assert_int_equal(accepted, 10 * 6);
    uint64_t ns;
    const uint8_t with_nul[] = {'1', 0, 'S'};
    assert_int_equal(mote_timeout_parse(&ns, mote_slice(with_nul, sizeof(with_nul))), MOTE_EDECODE);
    assert_int_equal(mote_timeout_parse(&ns, mote_slice(NULL, 0)), MOTE_EDECODE);
}

struct format_case {
    uint64_t ns;
    const char *text;
};

static const struct format_case format_cases[] = {
    {0, "0n"},
    {1, "1n"},
    {99999999, "99999999n"},
    {100000000, "100000u"},
    {100000001, "100001u"},
    {UINT64_C(99999999000), "99999999u"},
    {UINT64_C(99999999001), "100000m"},
    {5 * SECOND, "5000000u"},
    {99999999 * SECOND, "99999999S"},
    {99999999 * SECOND + 1, "1666667M"},
    {INT64_MAX, "2562048H" /* more than 99999999 minutes */},
    {UINT64_MAX, "5124096H"},
};

static void test_format(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(format_cases) / sizeof(format_cases[0]); i++) {
        char out[MOTE_TIMEOUT_TEXT_MAX + 1];
        memset(out, '#', sizeof(out));
        const size_t length = mote_timeout_format(out, format_cases[i].ns);
        assert_true(length <= MOTE_TIMEOUT_TEXT_MAX);
        assert_int_equal(out[length], '#');
        out[length] = 0;
        assert_string_equal(out, format_cases[i].text);
    }
}

/* Read back, a timeout is never shorter, and longer by less than one step of its unit. */
static void test_round_trip(void **state)
{
    (void)state;
    for (uint64_t base = 1; base < INT64_MAX / 10; base = base * 3 + 7) {
        for (uint64_t ns = base > 2 ? base - 2 : 0; ns <= base + 2; ns++) {
            char out[MOTE_TIMEOUT_TEXT_MAX];
            const size_t length = mote_timeout_format(out, ns);
            uint64_t back;
            assert_int_equal(mote_timeout_parse(&back, mote_slice(out, length)), 0);
            assert_true(back >= ns);
            assert_true(back - ns <= ns / 100000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_every_short_text),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
