/* SPDX-License-Identifier: Apache-2.0 */
/* The audit record: in the transaction of the act, append-only, numbered without a gap, pruned from its old end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/apply.h"
#include "store/schema.h"
#include "support/store_fixture.h"

#define NOW    INT64_C(1700000000000000000)
#define SECOND INT64_C(1000000000)
#define YEAR   (MOTE_STORE_AUDIT_KEEP_SECONDS * SECOND)

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture_make_folder(&fixture);
    fixture_open(&fixture, fixture.url);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    fixture_remove_folder(*state);
    return 0;
}

/* The first row of `sql` as text; "" when there is none. */
static const char *query(sqlite3 *db, const char *sql)
{
    static char out[256];
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    out[0] = '\0';
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL) {
        snprintf(out, sizeof out, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    return out;
}

static struct mote_store_audit entry_of(enum mote_store_audit_action action, uint32_t number)
{
    struct mote_store_audit entry = {.action = action, .actor = MOTE_STORE_ACTOR_USER, .address = "192.0.2.1"};
    fixture_id(entry.actor_id, 'u', 77);
    fixture_id(entry.user_id, 'u', number);
    return entry;
}

static int create_audited(struct fixture *fixture, uint32_t number)
{
    struct mote_store_create_user create = {.taken = MOTE_STORE_TAKEN_NONE};
    struct mote_store_audit entry = entry_of(MOTE_STORE_AUDIT_CREATE_USER, number);
    fixture_user(&create.user, number);
    entry.detail = mote_slice_text("role USER");
    create.write.audit = &entry;
    return fixture_write(fixture, &create.write, MOTE_STORE_CREATE_USER, NOW);
}

static void test_row_of_a_write(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(create_audited(fixture, 1), 0);
    assert_int_equal(create_audited(fixture, 1), MOTE_EEXISTS); /* refused: nothing to record */
    sqlite3 *db = fixture_open_file(fixture);
    assert_string_equal(query(db, "SELECT count(*) FROM audit"), "1");
    assert_string_equal(query(db,
                              "SELECT id || ' ' || time || ' ' || action || ' ' || address || ' ' || result || ' ' || "
                              "detail FROM audit"),
                        "1 1700000000000000000 CreateUser 192.0.2.1 OK role USER");
    assert_string_equal(query(db, "SELECT 1 FROM audit JOIN users ON users.id = audit.user_id "
                                  "WHERE typeof(actor) = 'blob' AND session_id IS NULL"),
                        "1");
    sqlite3_close(db);
}

/* An update that changes nothing has no row, as it has no commit. */
static void test_nothing_changed(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    struct mote_store_update_user update = {.set = MOTE_STORE_SET_DISPLAY_NAME};
    struct mote_store_audit entry = entry_of(MOTE_STORE_AUDIT_UPDATE_USER, 1);
    fixture_user(&update.user, 1);
    update.write.audit = &entry;
    assert_int_equal(fixture_write(fixture, &update.write, MOTE_STORE_UPDATE_USER, NOW), 0);
    sqlite3 *db = fixture_open_file(fixture);
    assert_string_equal(query(db, "SELECT count(*) FROM audit"), "0");
    snprintf(update.user.display_name, sizeof update.user.display_name, "Another");
    assert_int_equal(fixture_write(fixture, &update.write, MOTE_STORE_UPDATE_USER, NOW), 0);
    assert_string_equal(query(db, "SELECT count(*) FROM audit"), "1");
    sqlite3_close(db);
}

/* Actors, and texts at and over their bound. */
static void test_lone_rows(void **state)
{
    struct fixture *fixture = *state;
    char text[MOTE_STORE_AUDIT_DETAIL_MAX + 2];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct mote_store_audit entry = {.action = MOTE_STORE_AUDIT_CHANGE_KEYS, .actor = MOTE_STORE_ACTOR_SYSTEM};
    entry.detail = mote_slice(text, MOTE_STORE_AUDIT_DETAIL_MAX);
    mote_store_append_audit(fixture->store, &entry);
    entry.actor = MOTE_STORE_ACTOR_LOCAL;
    entry.detail = mote_slice_text(text);
    mote_store_append_audit(fixture->store, &entry);
    entry = (struct mote_store_audit){.action = MOTE_STORE_AUDIT_LOGIN, .result = "LOGIN_THROTTLED"};
    mote_store_append_audit(fixture->store, &entry);
    fixture_close(fixture); /* writes what is queued */
    fixture_open(fixture, fixture->url);
    sqlite3 *db = fixture_open_file(fixture);
    assert_string_equal(query(db,
                              "SELECT group_concat(actor || ':' || action || ':' || result || ':' || length(detail), "
                              "' ') FROM audit"),
                        "system:ChangeKeys:OK:256 local:ChangeKeys:OK:256 :Login:LOGIN_THROTTLED:0");
    sqlite3_close(db);
}

static const char *const changes[] = {
    "UPDATE audit SET detail = 'x'",
    "DELETE FROM audit WHERE id = 1",
    "DELETE FROM audit",
    "REPLACE INTO audit (id, time, action, actor, address, result, detail) VALUES (1, 0, '', '', '', '', '')",
    "INSERT INTO audit (time, action, actor, address, result, detail) VALUES (0, '', x'00', '', '', '')",
};

static void test_append_only(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(create_audited(fixture, 1), 0);
    sqlite3 *db = fixture_open_file(fixture);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_int_equal(sqlite3_exec(db, changes[i], NULL, NULL, NULL), SQLITE_CONSTRAINT);
        assert_string_equal(query(db, "SELECT count(*) FROM audit WHERE detail = 'role USER'"), "1");
    }
    sqlite3_close(db);
}

/* The user is gone, what was done stays. */
static void test_outlives_the_user(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(create_audited(fixture, 1), 0);
    struct mote_store_delete_user removal = {.has_version = false};
    struct mote_store_audit entry = entry_of(MOTE_STORE_AUDIT_DELETE_USER, 1);
    fixture_id(removal.user_id, 'u', 1);
    removal.write.audit = &entry;
    assert_int_equal(fixture_write(fixture, &removal.write, MOTE_STORE_DELETE_USER, NOW), 0);
    sqlite3 *db = fixture_open_file(fixture);
    assert_string_equal(query(db, "SELECT group_concat(action) FROM audit"), "CreateUser,DeleteUser");
    sqlite3_close(db);
}

/* --- upkeep ------------------------------------------------------------------------------------------------------ */

static struct mote_sqlite open_writer(const struct fixture *fixture)
{
    struct mote_sqlite sqlite;
    assert_int_equal(mote_sqlite_open(&sqlite, fixture->path, MOTE_STATEMENT_OF_WRITER), 0);
    assert_int_equal(mote_sqlite_prepare(&sqlite, MOTE_STATEMENT_OF_WRITER), 0);
    return sqlite;
}

static void fill(sqlite3 *db, unsigned count, int64_t first_time)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %u) INSERT INTO audit "
             "(time, action, actor, address, result, detail) SELECT %lld + i, 'Login', '', '', 'OK', '' FROM n",
             count, (long long)first_time);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static unsigned prune(struct mote_sqlite *sqlite, int64_t now, unsigned limit)
{
    unsigned deleted = 0;
    assert_int_equal(mote_apply_upkeep(sqlite, now, limit, &deleted), 0);
    return deleted;
}

/* The requests that created users are forgotten by the same upkeep. */
static void test_requests_are_forgotten(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_request request = {.id = {1}, .kid = "kid"};
    struct mote_store_create_user create = {.request = &request};
    fixture_user(&create.user, 1);
    assert_int_equal(fixture_write(fixture, &create.write, MOTE_STORE_CREATE_USER, NOW), 0);
    struct mote_sqlite sqlite = open_writer(fixture);
    assert_int_equal(prune(&sqlite, NOW + MOTE_STORE_REQUEST_KEEP_NS, 100), 0);
    assert_int_equal(prune(&sqlite, NOW + MOTE_STORE_REQUEST_KEEP_NS + 1, 100), 1);
    assert_string_equal(query(sqlite.db, "SELECT count(*) || '' FROM requests"), "0");
    mote_sqlite_close(&sqlite);
}

/* Rows of a time below the bound go, batch by batch; the newest stays whatever its age. */
static void test_pruned_by_age(void **state)
{
    struct fixture *fixture = *state;
    struct mote_sqlite sqlite = open_writer(fixture);
    fill(sqlite.db, 10, NOW); /* NOW to NOW + 9 */
    assert_int_equal(prune(&sqlite, NOW + YEAR, 100), 0);
    assert_int_equal(prune(&sqlite, NOW + YEAR + 1, 100), 1);
    assert_int_equal(prune(&sqlite, NOW + YEAR + 5, 3), 3);
    assert_string_equal(query(sqlite.db, "SELECT min(id) || ' ' || count(*) FROM audit"), "5 6");
    assert_int_equal(prune(&sqlite, NOW + 2 * YEAR, 100), 5);
    assert_int_equal(prune(&sqlite, NOW + 2 * YEAR, 100), 0);
    assert_string_equal(query(sqlite.db, "SELECT group_concat(id) FROM audit"), "10");
    assert_int_equal(sqlite3_exec(sqlite.db, "DELETE FROM audit", NULL, NULL, NULL), SQLITE_CONSTRAINT_TRIGGER);
    mote_sqlite_close(&sqlite);
}

static void test_pruned_by_number(void **state)
{
    struct fixture *fixture = *state;
    struct mote_sqlite sqlite = open_writer(fixture);
    fill(sqlite.db, MOTE_STORE_AUDIT_ROWS_MAX, NOW);
    assert_int_equal(prune(&sqlite, NOW, 100), 0);
    fill(sqlite.db, 5, NOW);
    assert_int_equal(prune(&sqlite, NOW, 3), 3);
    assert_int_equal(prune(&sqlite, NOW, 100), 2);
    assert_int_equal(prune(&sqlite, NOW, 100), 0);
    assert_string_equal(query(sqlite.db, "SELECT min(id) || ' ' || count(*) FROM audit"), "6 1000000");
    mote_sqlite_close(&sqlite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_row_of_a_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lone_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_append_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_outlives_the_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_requests_are_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pruned_by_age, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pruned_by_number, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
