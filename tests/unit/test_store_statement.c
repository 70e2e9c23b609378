/* SPDX-License-Identifier: Apache-2.0 */
/* Every statement finds its rows by an index: none walks a table, none sorts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/schema.h"
#include "store/statement.h"

static void check_step(const char *statement, const char *step)
{
    /* The subquery has two rows at most, the partial index of administrators is walked for two. */
    bool is_harmless = strstr(step, "subquery") != NULL || strstr(step, "users_administrators") != NULL;
    if ((strstr(step, "SCAN") != NULL && !is_harmless) || strstr(step, "TEMP B-TREE") != NULL) {
        fail_msg("%s: %s", statement, step);
    }
}

static void ignore(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)context;
    (void)count;
    (void)values;
}

static void test_plans(void **state)
{
    sqlite3 *db = NULL;
    unsigned steps = 0;
    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(mote_schema_migrate(db, 0, MOTE_SCHEMA_VERSION), SQLITE_OK);
    assert_int_equal(sqlite3_create_function(db, MOTE_STATEMENT_USER, -1, SQLITE_UTF8, NULL, ignore, NULL, NULL),
                     SQLITE_OK);
    for (int i = 0; i < MOTE_STATEMENT_COUNT; i++) {
        const char *text = mote_statement_text((enum mote_statement)i);
        sqlite3_stmt *plan = NULL;
        char sql[1024];
        assert_non_null(text);
        assert_int_not_equal(mote_statement_roles((enum mote_statement)i), 0);
        assert_true(snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", text) < (int)sizeof sql);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &plan, NULL), SQLITE_OK);
        while (sqlite3_step(plan) == SQLITE_ROW) {
            check_step(text, (const char *)sqlite3_column_text(plan, 3));
            steps++;
        }
        assert_int_equal(sqlite3_finalize(plan), SQLITE_OK);
    }
    assert_true(steps > MOTE_STATEMENT_COUNT / 2);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
