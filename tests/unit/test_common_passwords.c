/* SPDX-License-Identifier: Apache-2.0 */
/* The list is found by binary search, so it must be sorted: its first, last and some in between are looked up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/common_passwords.c" /* for the table itself */
#include "services/common_passwords.h"

static void the_list_is_sorted_lower_case_and_long_enough(void **state)
{
    (void)state;
    size_t count = sizeof passwords / sizeof passwords[0];
    assert_true(count >= 100);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(passwords[i]);
        assert_in_range(length, 8, LONGEST);
        assert_true(i == 0 || strcmp(passwords[i - 1], passwords[i]) < 0);
        for (size_t j = 0; j < length; j++) {
            assert_false(passwords[i][j] >= 'A' && passwords[i][j] <= 'Z');
        }
    }
}

static void every_entry_is_found_in_any_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof passwords / sizeof passwords[0]; i++) {
        char upper[LONGEST + 1] = {0};
        size_t length = strlen(passwords[i]);
        for (size_t j = 0; j < length; j++) {
            char c = passwords[i][j];
            upper[j] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        }
        assert_true(mote_common_passwords_contain(mote_slice_text(passwords[i])));
        assert_true(mote_common_passwords_contain(mote_slice_text(upper)));
    }
}

static void others_are_not(void **state)
{
    (void)state;
    static const char *const others[] = {
        "", "!", "~~~~~~~~~", "passwor", "passwordx", "mmmmmmmm", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(mote_common_passwords_contain(mote_slice_text(others[i])));
    }
    assert_false(mote_common_passwords_contain(mote_slice("password\0", 9)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_is_sorted_lower_case_and_long_enough),
        cmocka_unit_test(every_entry_is_found_in_any_case),
        cmocka_unit_test(others_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
