/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: widths by code points, the edge of the terminal, hostile cells, more rows than are held back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/table.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const titles[] = {"NAME", "EMAIL", "ROLES"};

static void expect(size_t edge, const char *const rows[][3], size_t count, const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    struct mote_table table;
    assert_non_null(out);
    assert_int_equal(mote_table_init(&table, out, titles, 3), 0);
    table.edge = edge;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(mote_table_add(&table, rows[i]), 0);
    }
    mote_table_finish(&table);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void test_columns_are_aligned(void **state)
{
    static const char *const rows[][3] = {
        {"ada", "ada@example.com", "ADMIN"}, {"b", "", "USER"}, {"caf\xc3\xa9-owner", NULL, NULL}};
    (void)state;
    expect(0, rows, COUNT(rows),
           "NAME        EMAIL            ROLES\n"
           "ada         ada@example.com  ADMIN\n"
           "b                            USER\n"
           "caf\xc3\xa9-owner\n");
    expect(0, NULL, 0, "NAME  EMAIL  ROLES\n");
}

static void test_a_line_ends_at_the_edge(void **state)
{
    static const char *const rows[][3] = {{"\xc3\xa9\xc3\xa9\xc3\xa9", "1234567", "x"}};
    (void)state;
    expect(16, rows, 1, "NAME  EMAIL    \xe2\x80\xa6\n\xc3\xa9\xc3\xa9\xc3\xa9   1234567  \xe2\x80\xa6\n");
    expect(9, rows, 1, "NAME  EM\xe2\x80\xa6\n\xc3\xa9\xc3\xa9\xc3\xa9   12\xe2\x80\xa6\n");
    expect(1, rows, 1, "\xe2\x80\xa6\n\xe2\x80\xa6\n");
}

static void test_hostile_cells_are_escaped(void **state)
{
    static const char *const rows[][3] = {{"\x1b[2Jx", "a\nb", "\xff\xe2\x80\xae\xc2\x9b\\\""}};
    (void)state;
    expect(0, rows, 1,
           "NAME        EMAIL     ROLES\n"
           "\\u001b[2Jx  a\\u000ab  \xef\xbf\xbd\\u202e\\u009b\\\"\n");
}

/* A page's widths hold for the next one, which is not known yet when the first is written. */
static void test_more_rows_than_are_held_back(void **state)
{
    static const char *const narrow[] = {"a", "b", "c"};
    static const char *const wide[] = {"abcdefgh", "b", "c"};
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    struct mote_table table;
    (void)state;
    assert_int_equal(mote_table_init(&table, out, titles, 3), 0);
    for (size_t i = 0; i < MOTE_TABLE_ROWS_MAX - 1; i++) {
        assert_int_equal(mote_table_add(&table, narrow), 0);
    }
    fflush(out);
    assert_int_equal(length, 0);
    assert_int_equal(mote_table_add(&table, wide), 0);
    fflush(out);
    assert_int_equal(length, strlen("NAME  EMAIL  ROLES\n") + (MOTE_TABLE_ROWS_MAX - 1) * strlen("a     b      c\n"));
    assert_int_equal(table.rows, 1);
    assert_int_equal(mote_table_add(&table, narrow), 0);
    mote_table_finish(&table);
    fclose(out);
    assert_string_equal(text + length - 34, "abcdefgh  b      c\na         b      c\n" + 4);
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_aligned),
        cmocka_unit_test(test_a_line_ends_at_the_edge),
        cmocka_unit_test(test_hostile_cells_are_escaped),
        cmocka_unit_test(test_more_rows_than_are_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
