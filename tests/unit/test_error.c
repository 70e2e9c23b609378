/* SPDX-License-Identifier: Apache-2.0 */
/* Every number of the list has its own name, text and class; every other number has the fallback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

#define ROW(name, number, class, text) {#name, text, -number, name, MOTE_ERROR_CLASS_##class},

static const struct {
    const char *name;
    const char *text;
    int number;
    int value;
    enum mote_error_class class;
} rows[] = {MOTE_ERROR_MAP(ROW)};

#define ROWS (sizeof rows / sizeof rows[0])

static void each_error_has_its_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(rows[i].value, rows[i].number);
        assert_string_equal(mote_error_name(rows[i].number), rows[i].name);
        assert_string_equal(mote_error_text(rows[i].number), rows[i].text);
        assert_int_equal(mote_error_classify(rows[i].number), rows[i].class);
    }
}

static void names_and_numbers_are_unique_and_without_gaps(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(rows[i].number, -(int)(i + 1));
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(rows[i].name, rows[j].name);
            assert_string_not_equal(rows[i].text, rows[j].text);
        }
    }
}

static void known_examples(void **state)
{
    (void)state;
    assert_string_equal(mote_error_name(MOTE_EINVAL), "MOTE_EINVAL");
    assert_string_equal(mote_error_text(MOTE_EINVAL), "invalid argument");
    assert_int_equal(mote_error_classify(MOTE_EINVAL), MOTE_ERROR_CLASS_usage);
    assert_int_equal(mote_error_classify(MOTE_EDECODE), MOTE_ERROR_CLASS_peer);
    assert_int_equal(mote_error_classify(MOTE_ENOMEM), MOTE_ERROR_CLASS_system);
    assert_int_equal(mote_error_classify(MOTE_EINTERNAL), MOTE_ERROR_CLASS_fatal);
}

static void foreign_numbers_have_the_fallback(void **state)
{
    static const int foreign[] = {0, 1, -(int)ROWS - 1, INT32_MIN, INT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        assert_string_equal(mote_error_name(foreign[i]), "unknown error");
        assert_string_equal(mote_error_text(foreign[i]), "unknown error");
        assert_int_equal(mote_error_classify(foreign[i]), MOTE_ERROR_CLASS_fatal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_its_row),
        cmocka_unit_test(names_and_numbers_are_unique_and_without_gaps),
        cmocka_unit_test(known_examples),
        cmocka_unit_test(foreign_numbers_have_the_fallback),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
