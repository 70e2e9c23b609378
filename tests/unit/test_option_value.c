/* SPDX-License-Identifier: Apache-2.0 */
/* Values of options: every form that is taken, and what is close to one and is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "app/option_value.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define S            UINT64_C(1000000000)

struct number_row {
    const char *text;
    int result;
    uint64_t value;
};

static void check_row(const struct number_row *row, int result, uint64_t value)
{
    if (result != row->result || (result == 0 && value != row->value)) {
        fail_msg("\"%s\": result %d, value %llu", row->text, result, (unsigned long long)value);
    }
}

static void test_counts(void **state)
{
    static const struct number_row rows[] = {
        {"0", 0, 0},
        {"1", 0, 1},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", MOTE_ELIMIT, 0},
        {"", MOTE_EINVAL, 0},
        {"-1", MOTE_EINVAL, 0},
        {"+1", MOTE_EINVAL, 0},
        {"01", MOTE_EINVAL, 0},
        {" 1", MOTE_EINVAL, 0},
        {"1 ", MOTE_EINVAL, 0},
        {"0x10", MOTE_EINVAL, 0},
        {"1e3", MOTE_EINVAL, 0},
        {"auto", MOTE_EINVAL, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t value = 0;
        int result = mote_option_value_count(&value, mote_slice_text(rows[i].text));
        check_row(&rows[i], result, value);
    }
}

static void test_sizes(void **state)
{
    static const struct number_row rows[] = {
        {"0", 0, 0},
        {"512", 0, 512},
        {"512B", 0, 512},
        {"64KiB", 0, 65536},
        {"4MiB", 0, 4194304},
        {"3GiB", 0, UINT64_C(3221225472)},
        {"17179869183GiB", 0, UINT64_C(17179869183) << 30},
        {"17179869184GiB", MOTE_ELIMIT, 0},
        {"4MB", MOTE_EINVAL, 0}, /* a thousand or 1024? */
        {"4M", MOTE_EINVAL, 0},
        {"4mib", MOTE_EINVAL, 0},
        {"4 MiB", MOTE_EINVAL, 0},
        {"4MiB ", MOTE_EINVAL, 0},
        {"4MiB4", MOTE_EINVAL, 0},
        {"4.5MiB", MOTE_EINVAL, 0},
        {"-4MiB", MOTE_EINVAL, 0},
        {"MiB", MOTE_EINVAL, 0},
        {"", MOTE_EINVAL, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t value = 0;
        int result = mote_option_value_size(&value, mote_slice_text(rows[i].text));
        check_row(&rows[i], result, value);
    }
}

static void test_durations(void **state)
{
    static const struct number_row rows[] = {
        {"0", 0, 0},
        {"0s", 0, 0},
        {"1ns", 0, 1},
        {"1us", 0, 1000},
        {"500ms", 0, S / 2},
        {"30s", 0, 30 * S},
        {"15m", 0, 900 * S},
        {"24h", 0, 86400 * S},
        {"7d", 0, 7 * 86400 * S},
        {"1h30m", 0, 5400 * S},
        {"213503d", 0, UINT64_C(213503) * 86400 * S},
        {"213504d", MOTE_ELIMIT, 0},
        {"213503d24h", MOTE_ELIMIT, 0},
        {"18446744073709551616s", MOTE_ELIMIT, 0},
        {"30", MOTE_EINVAL, 0},
        {"-30s", MOTE_EINVAL, 0},
        {"+30s", MOTE_EINVAL, 0},
        {"1.5s", MOTE_EINVAL, 0},
        {"30 s", MOTE_EINVAL, 0},
        {"30s ", MOTE_EINVAL, 0},
        {"30S", MOTE_EINVAL, 0},
        {"30sec", MOTE_EINVAL, 0},
        {"1h30", MOTE_EINVAL, 0},
        {"s", MOTE_EINVAL, 0},
        {"", MOTE_EINVAL, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t value = 0;
        int result = mote_option_value_duration(&value, mote_slice_text(rows[i].text), 0);
        check_row(&rows[i], result, value);
    }
}

static void test_bare_numbers_have_the_unit_that_is_given(void **state)
{
    static const struct number_row rows[] = {
        {"15", 0, 900 * S}, {"0", 0, 0}, {"90s", 0, 90 * S}, {"307445735", MOTE_ELIMIT, 0}, {"1h5", MOTE_EINVAL, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t value = 0;
        int result = mote_option_value_duration(&value, mote_slice_text(rows[i].text), 60 * S);
        check_row(&rows[i], result, value);
    }
}

static void test_truth(void **state)
{
    static const char *const yes[] = {"true", "yes", "on", "1", "TRUE", "On"};
    static const char *const no[] = {"false", "no", "off", "0", "False"};
    static const char *const neither[] = {"", "2", "t", "y", "true ", "enabled", "-1"};
    bool value;
    (void)state;
    for (size_t i = 0; i < COUNT(yes); i++) {
        value = false;
        assert_int_equal(mote_option_value_bool(&value, mote_slice_text(yes[i])), 0);
        assert_true(value);
    }
    for (size_t i = 0; i < COUNT(no); i++) {
        value = true;
        assert_int_equal(mote_option_value_bool(&value, mote_slice_text(no[i])), 0);
        assert_false(value);
    }
    for (size_t i = 0; i < COUNT(neither); i++) {
        assert_int_equal(mote_option_value_bool(&value, mote_slice_text(neither[i])), MOTE_EINVAL);
    }
}

static void test_choices(void **state)
{
    static const struct {
        const char *text, *words;
        int result;
        unsigned index;
    } rows[] = {
        {"auto", "auto|on|off", 0, 0},
        {"on", "auto|on|off", 0, 1},
        {"OFF", "auto|on|off", 0, 2},
        {"of", "auto|on|off", MOTE_EINVAL, 0},
        {"offf", "auto|on|off", MOTE_EINVAL, 0},
        {"", "auto|on|off", MOTE_EINVAL, 0},
        {"on|off", "auto|on|off", MOTE_EINVAL, 0},
        {"one", "one", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned index = 99;
        assert_int_equal(mote_option_value_choice(&index, mote_slice_text(rows[i].text), rows[i].words),
                         rows[i].result);
        if (rows[i].result == 0) {
            assert_int_equal(index, rows[i].index);
        }
    }
}

/* What is printed is read back as the same value. */
static void test_printing(void **state)
{
    static const struct {
        uint64_t value;
        const char *text;
    } sizes[] = {{0, "0B"}, {1, "1B"}, {1023, "1023B"}, {1024, "1KiB"}, {1025, "1025B"}, {4194304, "4MiB"}},
      durations[] = {{0, "0s"},        {1, "1ns"},       {S / 2, "500ms"},      {90 * S, "90s"},
                     {900 * S, "15m"}, {7200 * S, "2h"}, {7 * 86400 * S, "7d"}, {S + 1, "1000000001ns"}};
    char text[MOTE_OPTION_VALUE_TEXT_MAX];
    uint64_t value;
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(mote_option_value_format_size(text, sizes[i].value), strlen(sizes[i].text));
        assert_string_equal(text, sizes[i].text);
        assert_int_equal(mote_option_value_size(&value, mote_slice_text(text)), 0);
        assert_int_equal(value, sizes[i].value);
    }
    for (size_t i = 0; i < COUNT(durations); i++) {
        assert_int_equal(mote_option_value_format_duration(text, durations[i].value), strlen(durations[i].text));
        assert_string_equal(text, durations[i].text);
        assert_int_equal(mote_option_value_duration(&value, mote_slice_text(text), 0), 0);
        assert_int_equal(value, durations[i].value);
    }
    assert_in_range(mote_option_value_format_duration(text, UINT64_MAX), 1, sizeof text - 1);
    assert_in_range(mote_option_value_format_size(text, UINT64_MAX), 1, sizeof text - 1);
}

static void test_distance(void **state)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"abc", "abc", 0},
        {"ABC", "abc", 0},
        {"JWT_SECRT", "JWT_SECRET", 1},
        {"JWT_SERCET", "JWT_SECRET", 2},
        {"MAX_CONNECTION", "MAX_CONNECTIONS", 1},
        {"kitten", "sitting", 3},
    };
    char longest[65];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(mote_option_value_distance(rows[i].a, rows[i].b), rows[i].distance);
        assert_int_equal(mote_option_value_distance(rows[i].b, rows[i].a), rows[i].distance);
    }
    /* Names up to 63 characters are compared. */
    memset(longest, 'x', sizeof longest);
    longest[63] = '\0';
    assert_int_equal(mote_option_value_distance(longest, longest), 0);
    longest[63] = 'x';
    longest[64] = '\0';
    assert_int_equal(mote_option_value_distance(longest, longest), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),    cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_durations), cmocka_unit_test(test_bare_numbers_have_the_unit_that_is_given),
        cmocka_unit_test(test_truth),     cmocka_unit_test(test_choices),
        cmocka_unit_test(test_printing),  cmocka_unit_test(test_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
