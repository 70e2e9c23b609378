/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is full, fails, lies or is slow while the store is open: what is answered, what stays, what comes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/assert.h"
#include "base/list.h"
#include "support/fault_vfs.h"
#include "support/store_fixture.h"

#define NOW         INT64_C(1700000000000000000)
#define RECOVERY_MS 5000
#define SKIPPED     77

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture_make_folder(&fixture);
    fixture_open(&fixture, fixture.url);
    assert_int_equal(fixture_create_user(&fixture, 1, NOW), 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fault_vfs_heal();
    fixture_close(*state);
    fixture_remove_folder(*state);
    return 0;
}

static int64_t milliseconds(void)
{
    const struct mote_clock *clock = mote_clock_system();
    return (int64_t)(clock->monotonic_ns(clock->context) / MOTE_NS_PER_MS);
}

/* Tries until a write succeeds; the time is bounded. */
static void assert_recovers(struct fixture *fixture, uint32_t number)
{
    int64_t start = milliseconds();
    int result = fixture_create_user(fixture, number, NOW);
    while (result != 0 && milliseconds() - start < RECOVERY_MS) {
        usleep(50000);
        result = fixture_create_user(fixture, number, NOW);
    }
    assert_int_equal(result, 0);
    assert_true(mote_store_is_healthy(fixture->store));
}

static void assert_there(struct fixture *fixture, uint32_t number, bool is_there)
{
    struct mote_user user;
    assert_int_equal(fixture_get_user(fixture, number, &user), is_there ? 0 : MOTE_ENOTFOUND);
    mote_store_session_end_turn(fixture->session); /* an open turn would hold the log's checkpoints up */
}

/* --- errors of writing ------------------------------------------------------------------------------------------ */

struct failing {
    struct fault *fault;
    int code;
    int number;
    int result;
    bool is_healthy; /* meanwhile */
};

static const struct failing failings[] = {
    {&fault_disk.on_write, SQLITE_FULL, ENOSPC, MOTE_EFULL, true},
    {&fault_disk.on_write, SQLITE_IOERR_WRITE, EIO, MOTE_EIO, false},
    {&fault_disk.on_write, SQLITE_IOERR_WRITE, EDQUOT, MOTE_EFULL, false},
    {&fault_disk.on_write, SQLITE_IOERR_WRITE, EROFS, MOTE_EREADONLY, false},
    {&fault_disk.on_sync, SQLITE_IOERR_FSYNC, EIO, MOTE_EIO, false},
    {&fault_disk.on_sync, SQLITE_IOERR_FSYNC, ENOSPC, MOTE_EFULL, false},
};

/* The write is refused with its error, reads go on, and all is well again when the cause has gone, without a restart.
 */
static void test_failing_disk(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof failings / sizeof failings[0]; i++) {
        const struct failing *failing = &failings[i];
        uint32_t number = 100 * (uint32_t)(i + 1);
        uint64_t commit = mote_store_commit_number(fixture->store);
        fault_set(failing->fault, FAULT_BOTH, failing->code, failing->number, -1);
        for (uint32_t attempt = 0; attempt < 3; attempt++) {
            assert_int_equal(fixture_create_user(fixture, number + attempt, NOW), failing->result);
            assert_there(fixture, number + attempt, false);
            assert_there(fixture, 1, true);
            assert_int_equal(mote_store_is_healthy(fixture->store), failing->is_healthy);
        }
        assert_int_equal(mote_store_commit_number(fixture->store), commit);
        fault_vfs_heal();
        assert_recovers(fixture, number + 3);
        assert_there(fixture, number + 3, true);
        assert_there(fixture, number, false);
        fixture_close(fixture);
        fixture_open(fixture, fixture->url);
        assert_there(fixture, number + 3, true);
        assert_there(fixture, number, false);
    }
}

/* One failed sync is enough to distrust the connection, though the next would say that all is well. */
static void test_one_failed_sync(void **state)
{
    struct fixture *fixture = *state;
    fault_set(&fault_disk.on_sync, FAULT_LOG, SQLITE_IOERR_FSYNC, EIO, 1);
    assert_int_equal(fixture_create_user(fixture, 2, NOW), MOTE_EIO);
    assert_false(mote_store_is_healthy(fixture->store));
    assert_recovers(fixture, 3);
    assert_there(fixture, 3, true);
}

/* It recovers without being asked, too. */
static void test_recovers_when_idle(void **state)
{
    struct fixture *fixture = *state;
    fault_set(&fault_disk.on_sync, FAULT_BOTH, SQLITE_IOERR_FSYNC, EIO, 1);
    assert_int_equal(fixture_create_user(fixture, 2, NOW), MOTE_EIO);
    int64_t start = milliseconds();
    while (!mote_store_is_healthy(fixture->store) && milliseconds() - start < RECOVERY_MS) {
        usleep(20000);
    }
    assert_true(mote_store_is_healthy(fixture->store));
}

/* All writes of a group that fails get the error; none of them is there. */
static void test_group_fails_whole(void **state)
{
    enum { COUNT = 20 };
    static struct mote_store_create_user creates[COUNT];
    struct mote_store_create_user first = {.taken = MOTE_STORE_TAKEN_NONE};
    struct fixture *fixture = *state;
    fault_disk.sync_delay_ms = 100; /* while the first is synced the others gather */
    fault_disk.syncs = 0;
    fixture_user(&first.user, 9);
    assert_int_equal(fixture_submit(fixture, &first.write, MOTE_STORE_CREATE_USER, NOW), 0);
    while (fault_disk.syncs == 0) {
        usleep(100);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        memset(&creates[i], 0, sizeof creates[i]);
        fixture_user(&creates[i].user, 10 + i);
        assert_int_equal(fixture_submit(fixture, &creates[i].write, MOTE_STORE_CREATE_USER, NOW), 0);
    }
    fixture_wait(fixture, &first.write);
    assert_int_equal(first.write.result, 0);
    fault_set(&fault_disk.on_sync, FAULT_LOG, SQLITE_IOERR_FSYNC, EIO, 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        fixture_wait(fixture, &creates[i].write);
        assert_int_equal(creates[i].write.result, MOTE_EIO);
    }
    fault_vfs_heal();
    assert_recovers(fixture, 99);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_there(fixture, 10 + i, false);
    }
    assert_there(fixture, 9, true);
}

/* The database cannot be written, but the log can: what is acknowledged is in the log and stays. */
static void test_failing_checkpoint(void **state)
{
    enum { COUNT = 600 };
    static bool acknowledged[COUNT];
    struct fixture *fixture = *state;
    static const int codes[] = {SQLITE_FULL, SQLITE_IOERR_WRITE};
    for (size_t round = 0; round < 2; round++) {
        uint32_t first = 1000 * (uint32_t)(round + 1);
        unsigned count = 0;
        fault_set(&fault_disk.on_write, FAULT_DATABASE, codes[round], EIO, -1);
        for (uint32_t i = 0; i < COUNT; i++) { /* more pages than the log holds without a checkpoint */
            acknowledged[i] = fixture_create_user(fixture, first + i, NOW) == 0;
            count += acknowledged[i] ? 1 : 0;
        }
        assert_true(count > 50);
        assert_int_equal(count == COUNT, codes[round] == SQLITE_FULL); /* a full disk stops no write that has room */
        fault_vfs_heal();
        assert_recovers(fixture, first + COUNT);
        fixture_close(fixture);
        fixture_open(fixture, fixture->url);
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_there(fixture, first + i, acknowledged[i]);
        }
    }
}

/* --- errors of reading ------------------------------------------------------------------------------------------ */

static void test_failing_read(void **state)
{
    struct fixture *fixture = *state;
    struct mote_user user;
    for (uint32_t i = 0; i < 300; i++) { /* more than is cached */
        assert_int_equal(fixture_create_user(fixture, 10 + i, NOW), 0);
    }
    fault_set(&fault_disk.on_read, FAULT_BOTH, SQLITE_IOERR_READ, EIO, -1);
    assert_int_equal(fixture_get_user(fixture, 10, &user), MOTE_EIO);
    assert_int_equal(fixture_get_user(fixture, 10, &user), MOTE_EIO);
    int64_t start = milliseconds();
    while (mote_store_is_healthy(fixture->store) && milliseconds() - start < RECOVERY_MS) {
        usleep(1000);
    }
    assert_false(mote_store_is_healthy(fixture->store));
    fault_vfs_heal();
    assert_int_equal(fixture_get_user(fixture, 10, &user), 0); /* the session needs nobody's help */
    assert_recovers(fixture, 9999);
}

/* --- a slow disk ------------------------------------------------------------------------------------------------ */

/* Reads do not wait for the writer's sync, and writes that wait share one. */
static void test_slow_disk(void **state)
{
    enum { COUNT = 200, DELAY_MS = 200 };
    static struct mote_store_create_user creates[COUNT];
    struct fixture *fixture = *state;
    struct mote_user user;
    memset(creates, 0, sizeof creates);
    fault_disk.sync_delay_ms = DELAY_MS;
    fault_disk.syncs = 0;
    int64_t start = milliseconds();
    for (uint32_t i = 0; i < COUNT; i++) {
        fixture_user(&creates[i].user, 10 + i);
        assert_int_equal(fixture_submit(fixture, &creates[i].write, MOTE_STORE_CREATE_USER, NOW), 0);
        assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
        mote_store_session_end_turn(fixture->session);
    }
    assert_true(milliseconds() - start < DELAY_MS); /* 200 reads in less than one sync */
    for (uint32_t i = 0; i < COUNT; i++) {
        fixture_wait(fixture, &creates[i].write);
        assert_int_equal(creates[i].write.result, 0);
        assert_there(fixture, 10 + i, true);
    }
    assert_true(fault_disk.syncs <= 4);
}

/* --- power loss ------------------------------------------------------------------------------------------------- */

static unsigned random_number(void)
{
    return (unsigned)rand();
}

static void assert_sound(const struct fixture *fixture)
{
    sqlite3_stmt *statement = NULL;
    sqlite3 *db = fixture_open_file(fixture);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* What the disk holds when the power fails: everything up to the last sync, any part of the rest. */
static void test_power_loss(void **state)
{
    enum { LOSSES = 40, WIDTH = 8 };
    static struct mote_store_create_user creates[WIDTH];
    struct fixture *fixture = *state;
    uint32_t next = 100;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    fixture_close(fixture);
    fault_vfs_remember(fixture->folder);
    fixture_open(fixture, fixture->url);
    for (unsigned loss = 0; loss < LOSSES; loss++) {
        struct fixture after;
        uint32_t first = next;
        for (unsigned round = 0; round < 1 + random_number() % 8; round++) {
            for (uint32_t i = 0; i < WIDTH; i++) {
                memset(&creates[i], 0, sizeof creates[i]);
                fixture_user(&creates[i].user, next++);
                assert_int_equal(fixture_submit(fixture, &creates[i].write, MOTE_STORE_CREATE_USER, NOW), 0);
            }
            for (uint32_t i = 0; i < WIDTH; i++) {
                fixture_wait(fixture, &creates[i].write);
                assert_int_equal(creates[i].write.result, 0);
            }
        }
        struct mote_store_create_user unanswered = {.taken = MOTE_STORE_TAKEN_NONE};
        fixture_user(&unanswered.user, next);
        assert_int_equal(fixture_submit(fixture, &unanswered.write, MOTE_STORE_CREATE_USER, NOW), 0);
        usleep(random_number() % 300);
        fixture_make_folder(&after);
        fault_vfs_power_loss(after.folder, random_number);
        fixture_open(&after, after.url);
        for (uint32_t number = first; number < next; number++) {
            assert_there(&after, number, true);
        }
        fixture_close(&after);
        assert_sound(&after);
        fixture_remove_folder(&after);
        fixture_wait(fixture, &unanswered.write);
        next++;
    }
}

/* --- a real full disk: in a child with a file system of its own -------------------------------------------------- */

static int fill_and_free(struct fixture *fixture)
{
    static char zeros[4096];
    char path[160];
    uint32_t created = 0;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", fixture->folder, "tmpfs", 0, "size=2m") != 0) {
        return SKIPPED;
    }
    fixture_open(fixture, fixture->url);
    snprintf(path, sizeof path, "%s/filler", fixture->folder);
    int filler = open(path, O_WRONLY | O_CREAT, 0600);
    while (write(filler, zeros, sizeof zeros) > 0) {
    }
    int result = 0;
    while (result == 0 && created < 100000) {
        result = fixture_create_user(fixture, created, NOW);
        created += result == 0 ? 1 : 0;
    }
    mote_assert(result == MOTE_EFULL);
    for (uint32_t i = 0; i < created; i++) {
        struct mote_user user;
        mote_assert(fixture_get_user(fixture, i, &user) == 0);
    }
    mote_assert(ftruncate(filler, 0) == 0);
    assert_recovers(fixture, created);
    fixture_close(fixture);
    assert_sound(fixture);
    fixture_open(fixture, fixture->url);
    for (uint32_t i = 0; i <= created; i++) {
        assert_there(fixture, i, true);
    }
    fixture_close(fixture);
    return 0;
}

static void test_full_file_system(void **state)
{
    struct fixture fixture;
    int status = 0;
    (void)state;
    fixture_make_folder(&fixture);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(fill_and_free(&fixture));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    fixture_remove_folder(&fixture);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED) {
        print_message("skipped: this user cannot mount a file system\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- the file goes away ------------------------------------------------------------------------------------------ */

static void beside(char out[160], const struct fixture *fixture, const char *suffix)
{
    snprintf(out, 160, "%s%s", fixture->path, suffix);
}

static void move_file(const struct fixture *fixture, const char *from, const char *to)
{
    char paths[2][160];
    beside(paths[0], fixture, from);
    beside(paths[1], fixture, to);
    assert_int_equal(rename(paths[0], paths[1]), 0);
}

static void assert_not_healthy_soon(struct fixture *fixture)
{
    int64_t start = milliseconds();
    while (mote_store_is_healthy(fixture->store) && milliseconds() - start < RECOVERY_MS) {
        usleep(20000);
    }
    assert_false(mote_store_is_healthy(fixture->store));
}

/* What is acknowledged before and after is there, also after a restart; what was refused may be. */
static void assert_kept(struct fixture *fixture, uint32_t first, uint32_t last)
{
    for (unsigned round = 0; round < 2; round++) {
        assert_there(fixture, first, true);
        assert_there(fixture, last, true);
        fixture_close(fixture);
        fixture_open(fixture, fixture->url);
    }
}

static void test_moved_away_and_back(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_create_user(fixture, 2, NOW), 0);
    move_file(fixture, "", ".away");
    assert_int_equal(fixture_create_user(fixture, 3, NOW), MOTE_EIO);
    assert_false(mote_store_is_healthy(fixture->store));
    assert_there(fixture, 2, true); /* reads go on, on the file that was opened */
    move_file(fixture, ".away", "");
    assert_recovers(fixture, 4);
    assert_kept(fixture, 2, 4);
}

/* Nobody writes: it is noticed all the same. */
static void test_moved_away_while_idle(void **state)
{
    struct fixture *fixture = *state;
    move_file(fixture, "", ".away");
    assert_not_healthy_soon(fixture);
    move_file(fixture, ".away", "");
    assert_recovers(fixture, 2);
    assert_kept(fixture, 1, 2);
}

/* Another store in its place is not taken for it, however good it is. */
static void test_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other;
    fixture_make_folder(&other);
    fixture_open(&other, other.url);
    assert_int_equal(fixture_create_user(&other, 50, NOW), 0);
    fixture_close(&other);
    assert_int_equal(fixture_create_user(fixture, 2, NOW), 0);
    move_file(fixture, "", ".away");
    char path[160];
    beside(path, fixture, "");
    assert_int_equal(rename(other.path, path), 0);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(fixture_create_user(fixture, 3 + i, NOW), MOTE_EIO);
        assert_there(fixture, 2, true);
        assert_there(fixture, 50, false);
        usleep(150000); /* it tries to recover in between */
    }
    assert_false(mote_store_is_healthy(fixture->store));
    move_file(fixture, ".away", "");
    assert_recovers(fixture, 10);
    assert_there(fixture, 50, false);
    assert_kept(fixture, 2, 10);
    fixture_remove_folder(&other);
}

/* The log is deleted, with acknowledged writes in it: they are still in the file that is open, and saved. */
static void test_log_deleted(void **state)
{
    struct fixture *fixture = *state;
    struct fixture second = {.store = NULL};
    struct mote_user user;
    char path[160];
    fixture_share(&second, fixture);
    assert_int_equal(fixture_create_user(fixture, 2, NOW), 0);
    assert_int_equal(fixture_get_user(&second, 2, &user), 0);
    mote_store_session_end_turn(second.session);
    beside(path, fixture, "-wal");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fixture_create_user(fixture, 3, NOW), MOTE_EIO);
    assert_recovers(fixture, 4);
    assert_there(fixture, 2, true);
    assert_there(fixture, 4, true);
    assert_int_equal(fixture_get_user(&second, 4, &user), 0); /* a session that slept goes over to the new log */
    mote_store_session_end_turn(second.session);
    fixture_close_shared(&second);
    assert_kept(fixture, 2, 4);
}

/* The whole folder, as when a file system is unmounted. */
static void test_folder_away_and_back(void **state)
{
    struct fixture *fixture = *state;
    char away[96];
    snprintf(away, sizeof away, "%s.away", fixture->folder);
    assert_int_equal(fixture_create_user(fixture, 2, NOW), 0);
    assert_int_equal(rename(fixture->folder, away), 0);
    assert_int_equal(fixture_create_user(fixture, 3, NOW), MOTE_EIO);
    assert_there(fixture, 2, true);
    assert_int_equal(rename(away, fixture->folder), 0);
    assert_recovers(fixture, 4);
    assert_kept(fixture, 2, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_file_system), /* forks, so before any thread */
        cmocka_unit_test_setup_teardown(test_failing_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_failed_sync, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_recovers_when_idle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_group_fails_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_moved_away_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_moved_away_while_idle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_deleted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folder_away_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_power_loss, set_up, tear_down),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
