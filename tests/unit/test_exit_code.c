/* SPDX-License-Identifier: Apache-2.0 */
/* Which failure ends the program with which code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "app/exit_code.h"
#include "base/error.h"

static void test_the_store(void **state)
{
    static const struct {
        int error;
        enum mote_exit_code code;
    } rows[] = {
        {0, 0},
        {MOTE_EINVAL, 78},
        {MOTE_EBUSY, 75},
        {MOTE_EVERSION, 65},
        {MOTE_ECORRUPT, 65},
        {MOTE_EEXISTS, 65},
        {MOTE_ENOTFOUND, 73},
        {MOTE_EACCESS, 73},
        {MOTE_EREADONLY, 74},
        {MOTE_EIO, 74},
        {MOTE_EFULL, 74},
        {MOTE_ECONNECT, 69},
        {MOTE_ENOMEM, 71},
        {MOTE_EINTERNAL, 70},
        {-9999, 70},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(mote_exit_code_of_store(rows[i].error), rows[i].code);
    }
}

static void test_the_runtime(void **state)
{
    static const struct {
        int error;
        enum mote_exit_code code;
    } rows[] = {{0, 0},         {MOTE_EINVAL, 78}, {MOTE_EBUSY, 75},     {MOTE_EACCESS, 77},
                {MOTE_EIO, 71}, {MOTE_ENOMEM, 71}, {MOTE_EINTERNAL, 70}, {-9999, 70}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(mote_exit_code_of_runtime(rows[i].error), rows[i].code);
    }
}

/* No failure ends with 0, and none with a code that nobody knows. */
static void test_every_error_has_a_code(void **state)
{
    (void)state;
    for (int error = -1; error > -64; error--) {
        const enum mote_exit_code codes[] = {mote_exit_code_of_store(error), mote_exit_code_of_runtime(error)};
        for (size_t i = 0; i < 2; i++) {
            const struct mote_exit_description *row = NULL;
            for (size_t k = 0; (row = mote_exit_code_describe(k)) != NULL && row->code != codes[i]; k++) {
            }
            assert_non_null(row);
            assert_int_not_equal(codes[i], MOTE_EXIT_OK);
            assert_true(strlen(row->meaning) > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_store),
        cmocka_unit_test(test_the_runtime),
        cmocka_unit_test(test_every_error_has_a_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
