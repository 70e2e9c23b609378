/* SPDX-License-Identifier: Apache-2.0 */
/* Backup beside a writing server, check, restore, and the copy before a migration: what they refuse and what they leave
 * behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/backup.h"
#include "store/schema.h"
#include "store/sqlite.h"
#include "support/fault_vfs.h"
#include "support/store_fixture.h"

#define NOW INT64_C(1700000000000000000)

struct environment {
    struct fixture fixture;
    char copy[128];
    char problem[MOTE_STORE_PROBLEM_MAX];
    char kept[PATH_MAX];
    char findings[2048];
};

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    fixture_make_folder(&environment->fixture);
    snprintf(environment->copy, sizeof environment->copy, "%s/copy.db", environment->fixture.folder);
    *state = environment;
    return 0;
}

static int tear_down(void **state)
{
    struct environment *environment = *state;
    fault_vfs_heal();
    fixture_remove_folder(&environment->fixture);
    free(environment);
    return 0;
}

static void open_with_users(struct environment *environment, uint32_t first, uint32_t count)
{
    fixture_open(&environment->fixture, environment->fixture.url);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(fixture_create_user(&environment->fixture, first + i, NOW), 0);
    }
}

static int make(struct environment *environment, bool replace)
{
    const struct mote_backup backup = {.url = environment->fixture.url, .path = environment->copy, .replace = replace};
    return mote_backup_make(&backup, environment->problem);
}

static int restore_from(struct environment *environment, const char *path)
{
    const struct mote_backup backup = {.url = environment->fixture.url, .path = path};
    return mote_backup_restore(&backup, NOW, environment->kept, environment->problem);
}

static void note_finding(void *context, const char *finding)
{
    struct environment *environment = context;
    size_t length = strlen(environment->findings);
    snprintf(environment->findings + length, sizeof environment->findings - length, "%s\n", finding);
}

static int check(struct environment *environment)
{
    environment->findings[0] = '\0';
    return mote_backup_check(environment->fixture.url, note_finding, environment, environment->problem);
}

static void assert_users(struct environment *environment, uint32_t count)
{
    struct mote_user user;
    struct fixture *fixture = &environment->fixture;
    fixture_open(fixture, fixture->url);
    for (uint32_t i = 1; i <= count; i++) {
        assert_int_equal(fixture_get_user(fixture, i, &user), 0);
    }
    assert_int_equal(fixture_get_user(fixture, count + 1, &user), MOTE_ENOTFOUND);
    fixture_close(fixture);
}

static void run_sql(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db = fixture_open_file(fixture);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The name of a file in the store's folder that begins like this; false: none. */
static bool find_file(const struct environment *environment, const char *beginning, char out[PATH_MAX])
{
    DIR *folder = opendir(environment->fixture.folder);
    bool is_found = false;
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (strncmp(entry->d_name, beginning, strlen(beginning)) == 0) {
            is_found = true;
            snprintf(out, PATH_MAX, "%s/%s", environment->fixture.folder, entry->d_name);
        }
    }
    closedir(folder);
    return is_found;
}

/* --- backup ------------------------------------------------------------------------------------------------------ */

/* The server is open, and what it wrote last is in its log only. */
static void test_backup_and_restore(void **state)
{
    struct environment *environment = *state;
    struct fixture *fixture = &environment->fixture;
    struct stat status;
    char found[PATH_MAX];
    open_with_users(environment, 1, 20);
    assert_int_equal(make(environment, false), 0);
    assert_int_equal(stat(environment->copy, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_false(find_file(environment, "copy.db.", found)); /* neither a partial one nor a log */
    assert_false(find_file(environment, "copy.db-", found));
    assert_int_equal(fixture_create_user(fixture, 21, NOW), 0); /* the server has not noticed */
    assert_int_equal(restore_from(environment, environment->copy), MOTE_EBUSY);
    fixture_close(fixture);
    assert_users(environment, 21);
    assert_int_equal(restore_from(environment, environment->copy), 0);
    assert_string_equal(strstr(environment->kept, ".before-restore-"), ".before-restore-20231114T221320Z");
    assert_users(environment, 20);
    assert_int_equal(rename(environment->kept, environment->copy), 0); /* what was replaced is a store as good */
    assert_int_equal(restore_from(environment, environment->copy), 0);
    assert_users(environment, 21);
}

static void test_backup_replaces_only_when_told(void **state)
{
    struct environment *environment = *state;
    open_with_users(environment, 1, 1);
    assert_int_equal(make(environment, false), 0);
    assert_int_equal(make(environment, false), MOTE_EEXISTS);
    assert_int_equal(make(environment, true), 0);
    fixture_close(&environment->fixture);
}

static void test_backup_over_the_store(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    struct environment *environment = *state;
    open_with_users(environment, 1, 1);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(environment->copy, sizeof environment->copy, "%s%s", environment->fixture.path, suffixes[i]);
        assert_int_equal(make(environment, true), MOTE_EEXISTS);
    }
    snprintf(environment->copy, sizeof environment->copy, "%s/link", environment->fixture.folder);
    assert_int_equal(symlink(environment->fixture.path, environment->copy), 0);
    assert_int_equal(make(environment, true), MOTE_EEXISTS);
    assert_int_equal(unlink(environment->copy), 0);
    fixture_close(&environment->fixture);
    assert_users(environment, 1);
}

static void note_progress(void *context, uint64_t done, uint64_t total)
{
    uint64_t *last = context;
    assert_true(done >= *last && done <= total);
    *last = done;
}

/* Larger than one step, with somebody writing in between. */
static void test_backup_while_writing(void **state)
{
    struct environment *environment = *state;
    uint64_t last = 0;
    open_with_users(environment, 1, 1);
    run_sql(&environment->fixture, "CREATE TABLE ballast (x BLOB)");
    run_sql(&environment->fixture, "INSERT INTO ballast VALUES (zeroblob(8000000))");
    const struct mote_backup backup = {.url = environment->fixture.url,
                                       .path = environment->copy,
                                       .progress = {.move = note_progress, .context = &last}};
    assert_int_equal(mote_backup_make(&backup, environment->problem), 0);
    assert_true(last > 4000000);
    fixture_close(&environment->fixture);
}

static void test_backup_without_space(void **state)
{
    struct environment *environment = *state;
    char found[PATH_MAX];
    open_with_users(environment, 1, 1);
    fault_set(&fault_disk.on_write, FAULT_BOTH, SQLITE_FULL, ENOSPC, -1);
    assert_int_equal(make(environment, false), MOTE_EFULL);
    fault_vfs_heal();
    assert_false(find_file(environment, "copy.db", found));
    assert_int_equal(make(environment, false), 0);
    fixture_close(&environment->fixture);
}

static void test_backup_of_nothing(void **state)
{
    struct environment *environment = *state;
    char found[PATH_MAX];
    assert_int_equal(make(environment, false), MOTE_ENOTFOUND);
    assert_false(find_file(environment, "", found) && strstr(found, "mote.db") != NULL);
    assert_int_equal(check(environment), MOTE_ENOTFOUND);
}

/* --- restore ----------------------------------------------------------------------------------------------------- */

static void write_bytes(const char *path, const char *bytes, size_t length, long offset)
{
    int descriptor = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(descriptor >= 0);
    assert_int_equal(pwrite(descriptor, bytes, length, offset), length);
    close(descriptor);
}

/* What is no backup changes nothing. */
static void test_restore_refuses(void **state)
{
    struct environment *environment = *state;
    char noise[4096];
    sqlite3 *db = NULL;
    memset(noise, 0xa5, sizeof noise);
    open_with_users(environment, 1, 30);
    assert_int_equal(make(environment, false), 0);
    fixture_close(&environment->fixture);
    assert_int_equal(restore_from(environment, "/nonexistent/copy.db"), MOTE_ENOTFOUND);
    assert_int_equal(restore_from(environment, environment->fixture.path), MOTE_EEXISTS);
    assert_int_equal(restore_from(environment, environment->fixture.folder), MOTE_EEXISTS);
    write_bytes(environment->copy, noise, sizeof noise, 3 * 4096); /* a damaged page */
    assert_int_equal(restore_from(environment, environment->copy), MOTE_ECORRUPT);
    write_bytes(environment->copy, noise, 100, 0); /* a damaged header */
    assert_int_equal(restore_from(environment, environment->copy), MOTE_ECORRUPT);
    assert_int_equal(truncate(environment->copy, 0), 0);
    assert_int_equal(restore_from(environment, environment->copy), MOTE_ECORRUPT);
    assert_int_equal(sqlite3_open(environment->copy, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(restore_from(environment, environment->copy), MOTE_ECORRUPT);
    assert_non_null(strstr(environment->problem, "another program"));
    assert_int_equal(
        sqlite3_exec(db, "PRAGMA application_id = 1836020837; PRAGMA user_version = 9999", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(restore_from(environment, environment->copy), MOTE_EVERSION);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_string_equal(environment->kept, "");
    assert_users(environment, 30);
}

/* The store is gone or damaged, with or without its log: that is what backups are for. */
static void test_restore_over_ruins(void **state)
{
    struct environment *environment = *state;
    struct fixture *fixture = &environment->fixture;
    char log[PATH_MAX];
    open_with_users(environment, 1, 5);
    assert_int_equal(make(environment, false), 0);
    fixture_close(fixture);
    snprintf(log, sizeof log, "%s-wal", fixture->path);

    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(restore_from(environment, environment->copy), 0);
    assert_string_equal(environment->kept, "");
    assert_users(environment, 5);

    assert_int_equal(truncate(fixture->path, 5000), 0);
    write_bytes(log, "rubbish", 7, 0);
    assert_int_equal(restore_from(environment, environment->copy), 0);
    assert_int_equal(access(environment->kept, F_OK), 0);
    assert_users(environment, 5);
    assert_int_equal(unlink(environment->kept), 0);

    assert_int_equal(unlink(fixture->path), 0);
    write_bytes(log, "rubbish", 7, 0);
    assert_int_equal(restore_from(environment, environment->copy), 0);
    assert_users(environment, 5);
}

/* --- check ------------------------------------------------------------------------------------------------------- */

static const struct breakage {
    const char *sql;
    const char *finding;
} breakages[] = {
    {"UPDATE counters SET value = value + 1 WHERE name = 'users'", "number of users"},
    {"INSERT INTO counters VALUES ('hash $argon2id$v=19$m=8,t=1,p=1', 1)", "numbers of hashes"},
    {"INSERT INTO sessions (id, user_id, create_time, last_use_time, expire_time, user_agent, peer_address) "
     "VALUES (randomblob(16), randomblob(16), 1, 1, 1, '', '')",
     "rows that are not there"},
    {"INSERT INTO sessions (id, user_id, create_time, last_use_time, expire_time, user_agent, peer_address) "
     "SELECT zeroblob(16), id, 1, 1, 9, '', '' FROM users LIMIT 1;"
     "INSERT INTO refresh_tokens (hash, session_id, kid, create_time, expire_time) VALUES (randomblob(32), "
     "zeroblob(16), "
     "'', 1, 9), (randomblob(32), zeroblob(16), '', 1, 9)",
     "more than one unused"},
    {"INSERT INTO sessions (id, user_id, create_time, last_use_time, expire_time, user_agent, peer_address) "
     "SELECT zeroblob(16), id, 1, 1, 9, '', '' FROM users LIMIT 1;"
     "INSERT INTO refresh_tokens (hash, session_id, parent, kid, create_time, expire_time, use_time) VALUES "
     "(zeroblob(32), zeroblob(16), NULL, '', 1, 9, 0), (randomblob(32), zeroblob(16), zeroblob(32), '', 1, 9, 5)",
     "one that was not used"},
    {"UPDATE users SET state = 2", "state that does not exist"},
    {"INSERT INTO deleted_users SELECT 1, id FROM users LIMIT 1", "there and deleted"},
    {"INSERT INTO audit (id, time, action, actor, address, result, detail) VALUES (6, 1, '', '', '', '', '')",
     "missing in the audit record: 4"}, /* the first row is the restore of what is broken above */
};

static void test_check_finds(void **state)
{
    struct environment *environment = *state;
    struct fixture *fixture = &environment->fixture;
    open_with_users(environment, 1, 3);
    assert_int_equal(check(environment), 0); /* beside the server */
    assert_int_equal(make(environment, false), 0);
    fixture_close(fixture);
    for (size_t i = 0; i < sizeof breakages / sizeof breakages[0]; i++) {
        assert_int_equal(check(environment), 0);
        assert_string_equal(environment->findings, "");
        run_sql(fixture, breakages[i].sql);
        assert_int_equal(check(environment), MOTE_ECORRUPT);
        assert_non_null(strstr(environment->findings, breakages[i].finding));
        assert_int_equal(restore_from(environment, environment->copy), 0);
        assert_int_equal(unlink(environment->kept), 0);
    }
}

static void test_check_finds_damage(void **state)
{
    struct environment *environment = *state;
    char noise[4096];
    memset(noise, 0x5a, sizeof noise);
    open_with_users(environment, 1, 30);
    fixture_close(&environment->fixture);
    write_bytes(environment->fixture.path, noise, sizeof noise, 2 * 4096);
    assert_int_equal(check(environment), MOTE_ECORRUPT);
    assert_true(environment->findings[0] != '\0');
    assert_non_null(strstr(environment->problem, "restore it from a backup"));
}

/* --- migration --------------------------------------------------------------------------------------------------- */

static void make_old_store(const struct fixture *fixture, int version)
{
    char header[96];
    sqlite3 *db = NULL;
    snprintf(header, sizeof header, "PRAGMA application_id = %d; PRAGMA journal_mode = WAL",
             MOTE_SCHEMA_APPLICATION_ID);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, header, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(mote_schema_migrate(db, 0, version), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO users (id, username, email, display_name, roles, state, email_verified, "
                                  "password_change_required, create_time, update_time, password_hash) VALUES "
                                  "(zeroblob(16), 'old', '', '', 1, 1, 0, 0, 1, 1, '')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t version_of(const char *path)
{
    int64_t version = -1;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(mote_sqlite_query_int(db, "PRAGMA user_version", &version), 0);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return version;
}

static void test_copy_before_migration(void **state)
{
    struct environment *environment = *state;
    struct fixture *fixture = &environment->fixture;
    for (int version = 1; version < MOTE_SCHEMA_VERSION; version++) {
        struct stat status;
        char kept[PATH_MAX];
        make_old_store(fixture, version);
        fixture_open(fixture, fixture->url);
        fixture_close(fixture);
        assert_int_equal(version_of(fixture->path), MOTE_SCHEMA_VERSION);
        assert_true(find_file(environment, "mote.db.before-v", kept));
        assert_int_equal(stat(kept, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_equal(version_of(kept), version);
        assert_int_equal(restore_from(environment, kept), 0);
        assert_int_equal(version_of(fixture->path), version);
        assert_int_equal(check(environment), 0); /* an old version has nothing wrong with it */
        assert_int_equal(unlink(fixture->path), 0);
        assert_int_equal(unlink(environment->kept), 0);
        assert_int_equal(unlink(kept), 0);
    }
    fixture_open(fixture, fixture->url); /* a new one, and one of this version, need no copy */
    fixture_close(fixture);
    fixture_open(fixture, fixture->url);
    fixture_close(fixture);
    char found[PATH_MAX];
    assert_false(find_file(environment, "mote.db.before", found));
}

/* No space for the copy: nothing has changed. */
static void test_no_space_for_migration(void **state)
{
    struct environment *environment = *state;
    char found[PATH_MAX];
    make_old_store(&environment->fixture, 1);
    fault_set(&fault_disk.on_write, FAULT_BOTH, SQLITE_FULL, ENOSPC, -1);
    assert_int_equal(fixture_try_open(&environment->fixture, environment->fixture.url), MOTE_EFULL);
    assert_non_null(strstr(environment->fixture.problem, "no space left"));
    fault_vfs_heal();
    assert_int_equal(version_of(environment->fixture.path), 1);
    assert_false(find_file(environment, "mote.db.copy", found));
    assert_false(find_file(environment, "mote.db.before", found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_backup_and_restore, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_backup_replaces_only_when_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_backup_over_the_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_backup_while_writing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_backup_without_space, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_backup_of_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restore_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restore_over_ruins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_finds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_finds_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_copy_before_migration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_space_for_migration, set_up, tear_down),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
