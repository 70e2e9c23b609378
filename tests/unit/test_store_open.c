/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that can be wrong when a store is opened: each with its own error and one line that says what to do. */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/assert.h"
#include "store/schema.h"
#include "support/failing_mem.h"
#include "support/store_fixture.h"

#define NOW     INT64_C(1700000000000000000)
#define SKIPPED 77

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture_make_folder(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_remove_folder(*state);
    return 0;
}

/* Opening fails with this error; the line names the file and has the words. */
static void assert_refused(struct fixture *fixture, const char *url, int error, const char *words)
{
    int result = fixture_try_open(fixture, url);
    if (result != error || strstr(fixture->problem, words) == NULL) {
        fail_msg("%s: %s, \"%s\"", url, mote_error_name(result), fixture->problem);
    }
    for (const char *c = fixture->problem; *c != '\0'; c++) {
        assert_true((unsigned char)*c >= 0x20);
    }
}

static void write_file(const char *path, const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(length == 0 || fwrite(bytes, length, 1, file) == 1);
    assert_int_equal(fclose(file), 0);
}

static void beside(char out[160], const struct fixture *fixture, const char *suffix)
{
    snprintf(out, 160, "%s%s", fixture->path, suffix);
}

/* A good store with one user, closed. */
static void make_store(struct fixture *fixture)
{
    fixture_open(fixture, fixture->url);
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    fixture_close(fixture);
}

static void run_sql(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db = fixture_open_file(fixture);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* --- names ------------------------------------------------------------------------------------------------------ */

static void test_urls(void **state)
{
    static const char *const urls[] = {"",        "sqlite:", "sqlite",   "SQLITE:x",
                                       "mote.db", "memory",  "memory:x", "postgres://user:secret@host/db"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct fixture *fixture = *state;
        assert_refused(fixture, urls[i], MOTE_EINVAL, "sqlite:PATH");
        assert_null(strstr(fixture->problem, "secret"));
    }
}

static void test_odd_paths(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"a b", "q?mode=memory", "100%20.db", "#", ":memory:", "\xc3\xa9", "it's", "-x"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char url[160];
        struct stat status;
        snprintf(url, sizeof url, "sqlite:%s/%s", fixture->folder, names[i]);
        fixture_open(fixture, url);
        fixture_close(fixture);
        assert_int_equal(stat(url + strlen("sqlite:"), &status), 0);
        assert_true(status.st_size > 4096);
    }
    char url[PATH_MAX + 16];
    memset(url, 'x', sizeof url);
    memcpy(url, "sqlite:/", strlen("sqlite:/"));
    url[sizeof url - 1] = '\0';
    assert_refused(fixture, url, MOTE_EINVAL, "too long");
    snprintf(url, sizeof url, "sqlite:%s/no\nfolder\x7f/mote.db", fixture->folder);
    assert_refused(fixture, url, MOTE_ENOTFOUND, "no?folder?/mote.db");
}

static void test_folder(void **state)
{
    struct fixture *fixture = *state;
    char url[160];
    snprintf(url, sizeof url, "sqlite:%s/missing/mote.db", fixture->folder);
    assert_refused(fixture, url, MOTE_ENOTFOUND, "does not exist");
    make_store(fixture);
    snprintf(url, sizeof url, "%s/mote.db", fixture->url); /* a file where the folder should be */
    assert_refused(fixture, url, MOTE_ENOTFOUND, "does not exist");
    snprintf(url, sizeof url, "sqlite:%s/folder", fixture->folder);
    assert_int_equal(mkdir(url + strlen("sqlite:"), 0700), 0);
    assert_refused(fixture, url, MOTE_ECORRUPT, "not a regular file");
}

/* Who only reads makes no store, not even the files beside one. */
static void test_must_exist(void **state)
{
    struct fixture *fixture = *state;
    char lock[160];
    beside(lock, fixture, ".lock");
    assert_int_equal(fixture_try_open_existing(fixture, fixture->url), MOTE_ENOTFOUND);
    assert_non_null(strstr(fixture->problem, "there is no"));
    assert_non_null(strstr(fixture->problem, fixture->path));
    assert_int_not_equal(access(fixture->path, F_OK), 0);
    assert_int_not_equal(access(lock, F_OK), 0);
    make_store(fixture);
    assert_int_equal(fixture_try_open_existing(fixture, fixture->url), 0);
    fixture_close(fixture);
}

/* Temporary stores have nothing to do with one another. */
static void test_memory(void **state)
{
    struct fixture other;
    struct fixture *fixture = *state;
    struct mote_user user;
    memset(&other, 0, sizeof other);
    fixture_open(fixture, "memory:");
    fixture_open(&other, "memory:");
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    assert_int_equal(fixture_get_user(&other, 1, &user), MOTE_ENOTFOUND);
    fixture_close(&other);
    fixture_close(fixture);
    fixture_open(fixture, "memory:");
    assert_int_equal(fixture_get_user(fixture, 1, &user), MOTE_ENOTFOUND);
    fixture_close(fixture);
}

static void test_private_files(void **state)
{
    struct fixture *fixture = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    mode_t before = umask(0);
    fixture_open(fixture, fixture->url);
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[160];
        struct stat status;
        beside(path, fixture, suffixes[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
    }
    fixture_close(fixture);
    umask(before);
}

/* --- lock ------------------------------------------------------------------------------------------------------- */

static void test_locked(void **state)
{
    struct fixture *fixture = *state;
    struct fixture second;
    char pid[64];
    char link[160];
    char url[200];
    memset(&second, 0, sizeof second);
    fixture_open(fixture, fixture->url);
    snprintf(pid, sizeof pid, "is locked by another mote (pid %ld)", (long)getpid());
    assert_refused(&second, fixture->url, MOTE_EBUSY, pid);
    beside(link, fixture, ".link"); /* another name for the same file */
    assert_int_equal(symlink(fixture->path, link), 0);
    snprintf(url, sizeof url, "sqlite:%s", link);
    assert_refused(&second, url, MOTE_EBUSY, pid);
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0); /* and the first one is none the worse */
    fixture_close(fixture);
    char path[160];
    beside(path, fixture, ".lock"); /* a file that is left behind locks nothing */
    write_file(path, "1\n", 2);
    fixture_open(&second, url);
    fixture_close(&second);
}

static int open_and_wait(struct fixture *fixture, int ready)
{
    fixture_open(fixture, fixture->url);
    mote_assert(write(ready, "x", 1) == 1);
    for (;;) {
        pause();
    }
}

/* The lock of a process that is killed is free at once. */
static void test_locked_by_other_process(void **state)
{
    struct fixture *fixture = *state;
    int ready[2];
    char byte;
    char words[64];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(open_and_wait(fixture, ready[1]));
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    snprintf(words, sizeof words, "(pid %ld)", (long)child);
    assert_refused(fixture, fixture->url, MOTE_EBUSY, words);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    fixture_open(fixture, fixture->url);
    fixture_close(fixture);
    close(ready[0]);
    close(ready[1]);
}

/* --- content ---------------------------------------------------------------------------------------------------- */

static void test_empty_file(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture->path, "", 0);
    assert_refused(fixture, fixture->url, MOTE_ECORRUPT, "is empty");
}

static void test_no_database(void **state)
{
    struct fixture *fixture = *state;
    static const size_t lengths[] = {1, 15, 16, 100, 4095, 4096, 10000};
    char bytes[10000];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * 31 + 7);
    }
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        write_file(fixture->path, bytes, lengths[i]);
        assert_refused(fixture, fixture->url, MOTE_ECORRUPT, "damaged or no database");
    }
}

/* A file is not touched unless it is mote's. */
static void test_other_program(void **state)
{
    struct fixture *fixture = *state;
    struct stat before;
    struct stat after;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE users (name TEXT)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(stat(fixture->path, &before), 0);
    assert_refused(fixture, fixture->url, MOTE_ECORRUPT, "another program");
    assert_int_equal(stat(fixture->path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

static void set_version(const struct fixture *fixture, int version)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", version);
    run_sql(fixture, sql);
}

static void test_version(void **state)
{
    struct fixture *fixture = *state;
    make_store(fixture);
    set_version(fixture, MOTE_SCHEMA_VERSION + 1);
    assert_refused(fixture, fixture->url, MOTE_EVERSION, "schema version ");
    assert_non_null(strstr(fixture->problem, "use the newer mote"));
    run_sql(fixture, "PRAGMA user_version = 2147483647");
    assert_refused(fixture, fixture->url, MOTE_EVERSION, "version 2147483647");
    run_sql(fixture, "PRAGMA user_version = -1");
    assert_refused(fixture, fixture->url, MOTE_ECORRUPT, "damaged");
    for (int version = 0; version < 9; version++) { /* tables would be made a second time */
        set_version(fixture, version);
        assert_refused(fixture, fixture->url, MOTE_ECORRUPT, "damaged");
    }
    set_version(fixture, MOTE_SCHEMA_VERSION);
    fixture_open(fixture, fixture->url);
    fixture_close(fixture);
}

static void note_user(struct mote_store_get_user *read, int result)
{
    (void)read;
    assert_int_equal(result, 0);
}

static void note_session(struct mote_store_get_session *read, int result)
{
    (void)read;
    assert_int_equal(result, 0);
}

/* A store as the mote of that schema version left it, with a user and a session. */
static void make_old_store(const struct fixture *fixture, int version)
{
    static const char rows[] =
        "INSERT INTO users (id, username, email, display_name, roles, state, email_verified, password_change_required, "
        "create_time, update_time, password_hash) VALUES (zeroblob(16), 'old', '', '', 1, 1, 0, 0, 1, 1, '');"
        "INSERT INTO sessions (id, user_id, create_time, last_use_time, expire_time, user_agent, peer_address) "
        "VALUES (zeroblob(16), zeroblob(16), 1, 1, 4000000000000000000, '', '');";
    char header[64];
    sqlite3 *db = NULL;
    snprintf(header, sizeof header, "PRAGMA application_id = %d; PRAGMA journal_mode = WAL",
             MOTE_SCHEMA_APPLICATION_ID);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, header, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(mote_schema_migrate(db, 0, version), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* From every older version: its users stay, and what the steps brought works. */
static void test_migration(void **state)
{
    struct fixture *fixture = *state;
    for (int version = 1; version < MOTE_SCHEMA_VERSION; version++) {
        struct mote_store_get_user read = {.key = MOTE_STORE_BY_USERNAME, .text = "old", .done = note_user};
        struct mote_store_set_user_state set = {.state = MOTE_USER_DISABLED, .reason = "left"};
        struct mote_store_delete_user removal = {.has_version = false};
        struct mote_store_audit entry = {.action = MOTE_STORE_AUDIT_DELETE_USER};
        make_old_store(fixture, version);
        fixture_open(fixture, fixture->url);
        mote_store_get_user(fixture->session, &read);
        assert_string_equal(read.user.username, "old");
        assert_int_equal(fixture_write(fixture, &set.write, MOTE_STORE_SET_USER_STATE, 1), 0);
        assert_int_equal(set.revoked_count, 1);
        removal.write.audit = &entry;
        assert_int_equal(fixture_write(fixture, &removal.write, MOTE_STORE_DELETE_USER, 1), 0);
        fixture_close(fixture);
        assert_int_equal(unlink(fixture->path), 0);
    }
}

/* The tenth step makes the table of users anew. Each is found by its id, those of one key too, and nothing that belongs
 * to them is lost. */
static void test_migration_to_keys(void **state)
{
    struct fixture *fixture = *state;
    static const char users[] =
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) "
        "INSERT INTO users (id, username, email, display_name, roles, state, email_verified, password_change_required, "
        "create_time, update_time, password_hash) "
        /* Of four each one key. */
        "SELECT CAST(printf('%06d89%08d', i / 4, i) AS BLOB), 'user' || i, 'e' || i, '', 1, 1, 0, 0, i, i, '' FROM n;"
        "INSERT INTO sessions (id, user_id, create_time, last_use_time, expire_time, user_agent, peer_address) "
        "SELECT id, id, 1, 1, 4000000000000000000, '', '' FROM users WHERE username <> 'old';";
    make_old_store(fixture, 9);
    run_sql(fixture, users);
    fixture_open(fixture, fixture->url);
    for (int i = 0; i < 1000; i++) {
        char text[32];
        struct mote_store_get_user read = {.key = MOTE_STORE_BY_ID, .done = note_user};
        struct mote_store_get_session session = {.done = note_session};
        snprintf(text, sizeof text, "%06d89%08d", i / 4, i);
        memcpy(read.id, text, 16);
        memcpy(session.id, text, 16);
        mote_store_get_user(fixture->session, &read);
        snprintf(text, sizeof text, "user%d", i);
        assert_string_equal(read.user.username, text);
        mote_store_get_session(fixture->session, &session);
        assert_memory_equal(session.record.user_id, read.id, 16);
    }
    fixture_close(fixture);
}

static void note_kind(void *context, const struct mote_store_change *change)
{
    unsigned *kinds = context;
    *kinds |= 1u << change->kind;
    assert_true(change->epoch == 2 && change->time == NOW);
}

/* Of the epochs in a file of the third version only the last is known: of one who is disabled it ended the sessions, of
 * the others it may have been the roles. */
static void test_migration_of_epochs(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *sql;
        unsigned kinds;
    } cases[] = {
        {"UPDATE users SET epoch = 2, epoch_time = 1700000000000000000", 1u << MOTE_STORE_CHANGE_USER_ROLES},
        {"UPDATE users SET epoch = 2, epoch_time = 1700000000000000000, state = 3", 1u << MOTE_STORE_CHANGE_USER_EPOCH},
        {"UPDATE users SET epoch = 2", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned kinds = 0;
        uint64_t position = 0;
        make_old_store(fixture, 3);
        run_sql(fixture, cases[i].sql);
        fixture_open(fixture, fixture->url);
        assert_int_equal(mote_store_load_revocations(fixture->session, 0, &position, note_kind, &kinds), 0);
        assert_int_equal(kinds, cases[i].kinds);
        fixture_close(fixture);
        assert_int_equal(unlink(fixture->path), 0);
    }
}

static void test_missing_table(void **state)
{
    struct fixture *fixture = *state;
    make_store(fixture);
    run_sql(fixture, "DROP TABLE refresh_tokens");
    assert_refused(fixture, fixture->url, MOTE_ECORRUPT, "damaged");
}

/* Every page of the file overwritten in turn: found at the latest by the check, never a crash. */
static void test_damaged_pages(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    unsigned char page[4096];
    fixture_open(fixture, fixture->url);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(fixture_create_user(fixture, i, NOW), 0);
    }
    fixture_close(fixture);
    assert_int_equal(stat(fixture->path, &status), 0);
    for (off_t offset = 0; offset < status.st_size; offset += (off_t)sizeof page) {
        int file = open(fixture->path, O_RDWR);
        unsigned char damaged[sizeof page];
        assert_int_equal(pread(file, page, sizeof page, offset), sizeof page);
        for (size_t i = 0; i < sizeof damaged; i++) {
            damaged[i] = (unsigned char)(page[i] ^ 0xff);
        }
        assert_int_equal(pwrite(file, damaged, sizeof damaged, offset), sizeof damaged);
        assert_refused(fixture, fixture->url, MOTE_ECORRUPT, "damaged");
        assert_int_equal(pwrite(file, page, sizeof page, offset), sizeof page);
        close(file);
    }
    assert_int_equal(truncate(fixture->path, status.st_size - 4096), 0);
    assert_refused(fixture, fixture->url, MOTE_ECORRUPT, "damaged");
}

/* A log without its database is somebody's data: it is not made part of a new one. */
static void test_orphans(void **state)
{
    struct fixture *fixture = *state;
    static const char *const suffixes[] = {"-wal", "-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[160];
        struct stat status;
        beside(path, fixture, suffixes[i]);
        write_file(path, "something", 9);
        assert_refused(fixture, fixture->url, MOTE_ECORRUPT, suffixes[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_size, 9);
        assert_int_equal(unlink(path), 0);
    }
    char path[160];
    beside(path, fixture, ".new"); /* what a killed first start leaves behind is of no use to anybody */
    write_file(path, "half made", 9);
    fixture_open(fixture, fixture->url);
    fixture_close(fixture);
    assert_int_equal(access(path, F_OK), -1);
}

/* A large store is opened at once and checked behind: not healthy until then, and never when it is damaged. */
static void test_large_store(void **state)
{
    enum { USERS = 6000, GROUP = 500 };
    struct fixture *fixture = *state;
    struct mote_store_create_user *creates = calloc(GROUP, sizeof *creates);
    struct mote_user user;
    fixture_open(fixture, fixture->url);
    for (uint32_t first = 0; first < USERS; first += GROUP) {
        memset(creates, 0, GROUP * sizeof *creates);
        for (uint32_t i = 0; i < GROUP; i++) {
            fixture_user(&creates[i].user, first + i);
            assert_int_equal(fixture_submit(fixture, &creates[i].write, MOTE_STORE_CREATE_USER, NOW), 0);
        }
        for (uint32_t i = 0; i < GROUP; i++) {
            fixture_wait(fixture, &creates[i].write);
            assert_int_equal(creates[i].write.result, 0);
        }
    }
    free(creates);
    fixture_close(fixture);
    fixture_open(fixture, fixture->url);
    fixture_close(fixture); /* a check that is running does not hold up the end */
    fixture_open(fixture, fixture->url);
    assert_int_equal(fixture_create_user(fixture, USERS, NOW), 0); /* the check comes before or after it */
    for (unsigned i = 0; i < 5000 && !mote_store_is_healthy(fixture->store); i++) {
        usleep(1000);
    }
    assert_true(mote_store_is_healthy(fixture->store));
    fixture_close(fixture);

    int file = open(fixture->path, O_RDWR); /* a page far from those that opening needs */
    assert_int_equal(pwrite(file, "damaged", 7, 4096 * 300), 7);
    close(file);
    fixture_open(fixture, fixture->url);
    int result = fixture_create_user(fixture, USERS + 1, NOW);
    for (unsigned i = 0; i < 5000 && result == 0; i++) {
        usleep(1000);
        result = fixture_create_user(fixture, USERS + 2 + i, NOW);
    }
    assert_int_equal(result, MOTE_ECORRUPT); /* nothing is written to a damaged file */
    assert_false(mote_store_is_healthy(fixture->store));
    assert_int_equal(fixture_get_user(fixture, 1, &user), 0); /* what can be read still is */
    fixture_close(fixture);
}

/* Another program may hold the file for itself, before or after. */
static void test_held_by_other_program(void **state)
{
    struct fixture *fixture = *state;
    make_store(fixture);
    sqlite3 *db = fixture_open_file(fixture);
    assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_refused(fixture, fixture->url, MOTE_EBUSY, "in use by another program");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    fixture_open(fixture, fixture->url);
    fixture_close(fixture);
}

/* --- memory ----------------------------------------------------------------------------------------------------- */

static void post_nothing(struct mote_mailbox *mailbox, struct mote_task *task)
{
    (void)mailbox;
    (void)task;
}

static int open_all(struct mote_mem *mem, void *context)
{
    struct mote_store *store = NULL;
    struct mote_store_session *session = NULL;
    struct mote_mailbox mailbox = {.post = post_nothing};
    char problem[MOTE_STORE_PROBLEM_MAX];
    struct mote_store_options options = {
        .url = context, .log = mote_log_none(), .clock = mote_clock_system(), .mem = mem};
    int result = mote_store_open(&store, &options, problem);
    if (result == 0) {
        result = mote_store_session_open(&session, store, &mailbox);
        mote_store_session_close(session);
        mote_store_close(store);
    }
    return result;
}

static void test_no_memory(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mote_failing_mem_check(open_all, fixture->url), 3);
    fixture_open(fixture, fixture->url); /* the lock was given back each time */
    fixture_close(fixture);
}

/* --- what the system refuses: in a child, which may give up its rights or get file systems of its own ------------- */

static int run_child(int (*body)(struct fixture *fixture), struct fixture *fixture)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(body(fixture));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void drop_rights(void)
{
    if (geteuid() == 0) {
        mote_assert(setgid(65534) == 0 && setuid(65534) == 0);
    }
}

/* The exit status of a child: 0 when the error and the words are there. */
static int check_refused(struct fixture *fixture, int error, const char *words)
{
    int result = fixture_try_open(fixture, fixture->url);
    if (result == error && strstr(fixture->problem, words) != NULL) {
        return 0;
    }
    fprintf(stderr, "%s: %s\n", mote_error_name(result), fixture->problem);
    return 1;
}

static int open_in_closed_folder(struct fixture *fixture)
{
    drop_rights();
    return check_refused(fixture, MOTE_EACCESS, "permission denied");
}

static void test_folder_not_writable(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(chmod(fixture->folder, 0555), 0);
    assert_int_equal(run_child(open_in_closed_folder, fixture), 0);
    assert_int_equal(chmod(fixture->folder, 0700), 0);
}

static void test_file_not_writable(void **state)
{
    struct fixture *fixture = *state;
    make_store(fixture);
    char path[160];
    beside(path, fixture, ".lock");
    assert_int_equal(chmod(fixture->folder, 0777), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(chmod(fixture->path, 0444), 0);
    assert_int_equal(run_child(open_in_closed_folder, fixture), 0);
}

/* A small file system of the child's own over the folder. */
static bool mount_own(const struct fixture *fixture)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", fixture->folder, "tmpfs", 0, "size=1m") == 0;
}

static int open_read_only(struct fixture *fixture)
{
    if (!mount_own(fixture)) {
        return SKIPPED;
    }
    fixture_open(fixture, fixture->url);
    fixture_close(fixture);
    mote_assert(mount("none", fixture->folder, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    return check_refused(fixture, MOTE_EREADONLY, "read-only");
}

static int open_full(struct fixture *fixture)
{
    static char zeros[4096];
    if (!mount_own(fixture)) {
        return SKIPPED;
    }
    char path[160];
    beside(path, fixture, ".filler");
    int filler = open(path, O_WRONLY | O_CREAT, 0600);
    while (write(filler, zeros, sizeof zeros) > 0) {
    }
    if (check_refused(fixture, MOTE_EFULL, "no space left") != 0 || access(fixture->path, F_OK) == 0) {
        return 1;
    }
    mote_assert(ftruncate(filler, 0) == 0);
    fixture_open(fixture, fixture->url);
    fixture_close(fixture);
    return 0;
}

static void run_mounted(int (*body)(struct fixture *fixture), struct fixture *fixture)
{
    int status = run_child(body, fixture);
    if (status == SKIPPED) {
        print_message("skipped: this user cannot mount a file system\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void test_read_only(void **state)
{
    run_mounted(open_read_only, *state);
}

static void test_full(void **state)
{
    run_mounted(open_full, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_urls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_odd_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_must_exist, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_private_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_locked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_locked_by_other_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_program, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_migration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_migration_to_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_migration_of_epochs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_orphans, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_held_by_other_program, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folder_not_writable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_not_writable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
