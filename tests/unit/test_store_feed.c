/* SPDX-License-Identifier: Apache-2.0 */
/* The feed of changes of users: what is in it and in which order, how long it is kept, positions in it, its bell. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/list.h"
#include "store/feed.h"
#include "support/fault_vfs.h"
#include "support/store_fixture.h"

#define NOW    INT64_C(1700000000000000000)
#define SECOND INT64_C(1000000000)
#define HOUR   (3600 * SECOND)

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
    fault_vfs_heal();
    fixture_close(*state);
    fixture_remove_folder(*state);
    return 0;
}

static void reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture, fixture->url);
}

static void run_sql(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db = fixture_open_file(fixture);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

struct reading {
    struct mote_store_read_feed read;
    int result;
    char text[512]; /* "created user1 v1, deleted 2" */
    unsigned rows;
};

static void take_row(struct mote_store_read_feed *read, enum mote_store_change_kind kind, const struct mote_user *user)
{
    static const char *const kinds[] = {"created", "updated", "deleted"};
    struct reading *reading = MOTE_CONTAINER_OF(read, struct reading, read);
    char *end = reading->text + strlen(reading->text);
    size_t room = sizeof reading->text - strlen(reading->text);
    const char *comma = reading->rows++ > 0 ? ", " : "";
    assert_true(kind <= MOTE_STORE_CHANGE_USER_DELETED && user->password_hash[0] == '\0');
    if (room < 64) {
        return;
    }
    if (kind == MOTE_STORE_CHANGE_USER_DELETED) {
        assert_true(user->username[0] == '\0' && user->email[0] == '\0' && user->version == 0);
        snprintf(end, room, "%sdeleted %u", comma, (unsigned)user->id[15]);
    } else {
        assert_int_equal(user->id[0], 'u');
        snprintf(end, room, "%s%s %s v%u", comma, kinds[kind], user->username, (unsigned)user->version);
    }
}

static void read_done(struct mote_store_read_feed *read, int result)
{
    MOTE_CONTAINER_OF(read, struct reading, read)->result = result;
}

static int read_feed(struct fixture *fixture, struct reading *reading, struct mote_store_feed_position position,
                     uint32_t limit)
{
    *reading = (struct reading){.read = {.position = position, .limit = limit}, .result = 1};
    reading->read.row = take_row;
    reading->read.done = read_done;
    mote_store_read_feed(fixture->session, &reading->read);
    mote_store_session_end_turn(fixture->session);
    return reading->result;
}

static struct mote_store_feed_position end_of_feed(struct fixture *fixture)
{
    struct reading reading = {.read = {.from_end = true, .done = read_done}, .result = 1};
    mote_store_read_feed(fixture->session, &reading.read);
    mote_store_session_end_turn(fixture->session);
    assert_int_equal(reading.result, 0);
    return reading.read.position;
}

static const struct mote_store_feed_position beginning;

static void assert_feed(struct fixture *fixture, struct mote_store_feed_position position, const char *text)
{
    struct reading reading;
    assert_int_equal(read_feed(fixture, &reading, position, 100), 0);
    assert_string_equal(reading.text, text);
}

/* --- changes ----------------------------------------------------------------------------------------------------- */

static int rename_user(struct fixture *fixture, uint32_t number, const char *name, int64_t now)
{
    struct mote_store_update_user update = {.set = MOTE_STORE_SET_DISPLAY_NAME};
    fixture_id(update.user.id, 'u', number);
    snprintf(update.user.display_name, sizeof update.user.display_name, "%s", name);
    return fixture_write(fixture, &update.write, MOTE_STORE_UPDATE_USER, now);
}

static int disable_user(struct fixture *fixture, uint32_t number, int64_t now)
{
    struct mote_store_set_user_state set = {.state = MOTE_USER_DISABLED};
    fixture_id(set.user.id, 'u', number);
    return fixture_write(fixture, &set.write, MOTE_STORE_SET_USER_STATE, now);
}

static int delete_user(struct fixture *fixture, uint32_t number, int64_t now)
{
    struct mote_store_delete_user removal = {.has_version = false};
    fixture_id(removal.user_id, 'u', number);
    return fixture_write(fixture, &removal.write, MOTE_STORE_DELETE_USER, now);
}

static int log_in(struct fixture *fixture, uint32_t number)
{
    struct mote_store_create_session login = {.user_epoch = 1};
    fixture_id(login.record.id, 's', number);
    fixture_id(login.record.user_id, 'u', number);
    login.record.expire_time = NOW + HOUR;
    fixture_id(login.refresh_hash, 'h', number);
    login.refresh_expire_time = NOW + HOUR;
    return fixture_write(fixture, &login.write, MOTE_STORE_CREATE_SESSION, NOW);
}

static int log_out(struct fixture *fixture, uint32_t number)
{
    struct mote_store_revoke_sessions revoke = {.scope = MOTE_STORE_SCOPE_ALL};
    fixture_id(revoke.user_id, 'u', number);
    return fixture_write(fixture, &revoke.write, MOTE_STORE_REVOKE_SESSIONS, NOW);
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

/* What somebody did to an account, and nothing else; at each step as it is then. */
static void test_order(void **state)
{
    struct fixture *fixture = *state;
    assert_feed(fixture, beginning, "");
    assert_int_equal(end_of_feed(fixture).sequence, 0);
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    assert_feed(fixture, beginning, "created user1 v1");
    assert_int_equal(fixture_create_user(fixture, 1, NOW), MOTE_EEXISTS);
    assert_int_equal(log_in(fixture, 1), 0);
    assert_int_equal(log_out(fixture, 1), 0);
    assert_int_equal(mote_store_feed_sequence(fixture->store), 1);
    struct mote_store_feed_position first = end_of_feed(fixture);
    assert_true(first.sequence == 1 && first.time == NOW);
    assert_int_equal(rename_user(fixture, 1, "other", NOW + 1), 0);
    assert_int_equal(rename_user(fixture, 1, "other", NOW + 2), 0); /* nothing changes */
    assert_feed(fixture, first, "updated user1 v2");
    assert_int_equal(disable_user(fixture, 1, NOW + 3), 0);
    assert_feed(fixture, first, "updated user1 v3, updated user1 v3");
    assert_int_equal(fixture_create_user(fixture, 2, NOW + 4), 0);
    assert_feed(fixture, beginning, "created user1 v3, updated user1 v3, updated user1 v3, created user2 v1");
    /* Who is gone is passed over. */
    assert_int_equal(delete_user(fixture, 1, NOW + 5), 0);
    assert_int_equal(delete_user(fixture, 1, NOW + 6), MOTE_ENOTFOUND);
    assert_feed(fixture, beginning, "created user2 v1, deleted 1");
    struct mote_store_feed_position last = end_of_feed(fixture);
    assert_true(last.sequence == 5 && last.time == NOW + 5);
    assert_feed(fixture, last, "");
}

/* A reader that takes some at a time sees the same, also when all of a part is passed over. */
static void test_parts(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 1; i <= 9; i++) {
        assert_int_equal(fixture_create_user(fixture, i, NOW + i), 0);
    }
    for (uint32_t i = 3; i <= 5; i++) {
        assert_int_equal(delete_user(fixture, i, NOW + 20), 0);
    }
    for (uint32_t limit = 1; limit <= 13; limit++) {
        struct mote_store_feed_position position = beginning;
        struct reading reading;
        char all[1024] = "";
        while (position.sequence < 12) {
            int64_t before = position.sequence;
            assert_int_equal(read_feed(fixture, &reading, position, limit), 0);
            strcat(strcat(all, reading.text), " "); /* nine changes in all */
            position = reading.read.position;
            assert_int_equal(position.sequence, before + limit < 12 ? before + limit : 12);
        }
        assert_non_null(strstr(all, "created user2 v1"));
        assert_null(strstr(all, "user3"));
        assert_non_null(strstr(all, "created user9 v1"));
        assert_non_null(strstr(all, "deleted 5"));
    }
    struct reading reading;
    assert_int_equal(read_feed(fixture, &reading, beginning, 0), 0);
    assert_int_equal(reading.read.position.sequence, 0);
}

static void test_positions(void **state)
{
    struct fixture *fixture = *state;
    struct reading reading;
    static const struct {
        int64_t sequence, time;
        int result;
    } cases[] = {
        {0, 0, 0},
        {3, NOW + 3, 0},
        {4, NOW + 4, 0},
        {3, NOW + 2, MOTE_ENOTFOUND}, /* another store's, or one that was set back */
        {5, NOW + 4, MOTE_ENOTFOUND}, /* to come */
        {5, 0, MOTE_ENOTFOUND},
        {INT64_MAX, 0, MOTE_ENOTFOUND},
        {-1, 0, MOTE_EEXPIRED},
        {INT64_MIN, 0, MOTE_EEXPIRED},
    };
    assert_int_equal(read_feed(fixture, &reading, (struct mote_store_feed_position){.sequence = 1}, 1), MOTE_ENOTFOUND);
    for (uint32_t i = 1; i <= 4; i++) {
        assert_int_equal(fixture_create_user(fixture, i, NOW + i), 0);
    }
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct mote_store_feed_position position = {.sequence = cases[i].sequence, .time = cases[i].time};
            for (uint32_t limit = 0; limit < 3; limit++) {
                assert_int_equal(read_feed(fixture, &reading, position, limit), cases[i].result);
                assert_true(cases[i].result == 0 || reading.rows == 0);
            }
        }
        reopen(fixture);
    }
    run_sql(fixture, "DELETE FROM feed WHERE sequence <= 2");
    struct mote_store_feed_position position = {.sequence = 2, .time = NOW + 2}; /* its own row need not be there */
    assert_feed(fixture, position, "created user3 v1, created user4 v1");
    position.sequence = 1;
    assert_int_equal(read_feed(fixture, &reading, position, 1), MOTE_EEXPIRED);
    assert_int_equal(read_feed(fixture, &reading, beginning, 1), MOTE_EEXPIRED);
}

static void test_restart(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    struct mote_store_feed_position position = end_of_feed(fixture);
    assert_int_equal(fixture_create_user(fixture, 2, NOW), 0);
    reopen(fixture);
    assert_int_equal(mote_store_feed_sequence(fixture->store), 2);
    assert_int_equal(fixture_create_user(fixture, 3, NOW), 0);
    assert_int_equal(mote_store_feed_sequence(fixture->store), 3);
    assert_feed(fixture, position, "created user2 v1, created user3 v1");
}

/* A group that fails leaves neither a change nor a gap. */
static void test_failed_group(void **state)
{
    struct fixture *fixture = *state;
    struct reading reading;
    static const struct {
        struct fault *fault;
        int code, number, result;
    } cases[] = {
        {&fault_disk.on_write, SQLITE_FULL, ENOSPC, MOTE_EFULL},  /* passes by itself */
        {&fault_disk.on_sync, SQLITE_IOERR_FSYNC, EIO, MOTE_EIO}, /* the connection is opened anew */
    };
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t before = mote_store_feed_sequence(fixture->store);
        fault_set(cases[i].fault, FAULT_LOG, cases[i].code, cases[i].number, 1);
        assert_int_equal(fixture_create_user(fixture, 9, NOW), cases[i].result);
        assert_int_equal(mote_store_feed_sequence(fixture->store), before);
        fault_vfs_heal();
        for (unsigned n = 0; n < 100 && !mote_store_is_healthy(fixture->store); n++) {
            usleep(50000);
        }
        assert_int_equal(fixture_create_user(fixture, (uint32_t)i + 2, NOW), 0);
        assert_int_equal(mote_store_feed_sequence(fixture->store), before + 1);
    }
    assert_int_equal(read_feed(fixture, &reading, beginning, 10), 0);
    assert_string_equal(reading.text, "created user1 v1, created user2 v1, created user3 v1");
}

/* --- pruning ----------------------------------------------------------------------------------------------------- */

/* Rows number `first` to `last` of that time. */
static void fill(struct mote_sqlite *sqlite, int first, int last, int64_t time)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
             "INSERT INTO feed SELECT i, %lld, 3, zeroblob(16) FROM n",
             first, last, (long long)time);
    assert_int_equal(sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void test_prune(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        int rows;
        int64_t age;    /* of all but one */
        int fresh;      /* this one is of now; 0: none */
        int deleted[3]; /* by batches of 200 */
    } cases[] = {
        {10000, HOUR + 1, 0, {0, 0, 0}},      {10001, HOUR + 1, 0, {1, 0, 0}},     {10001, HOUR, 0, {0, 0, 0}},
        {10300, HOUR + 1, 0, {200, 100, 0}},  {10300, HOUR, 0, {0, 0, 0}},         {10300, -HOUR, 0, {0, 0, 0}},
        {10300, -HOUR - 1, 0, {200, 100, 0}}, {10300, HOUR + 1, 151, {150, 0, 0}}, {1, 1000 * HOUR, 0, {0, 0, 0}},
    };
    struct mote_sqlite sqlite;
    fixture_close(fixture);
    assert_int_equal(mote_sqlite_open(&sqlite, fixture->path, MOTE_STATEMENT_OF_WRITER), 0);
    assert_int_equal(mote_sqlite_prepare(&sqlite, MOTE_STATEMENT_OF_WRITER), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "UPDATE feed SET time = %lld WHERE sequence = %d", (long long)NOW, cases[i].fresh);
        fill(&sqlite, 1, cases[i].rows, NOW - cases[i].age);
        assert_int_equal(sqlite3_exec(sqlite.db, sql, NULL, NULL, NULL), SQLITE_OK);
        int64_t first = 1;
        for (unsigned batch = 0; batch < 3; batch++) {
            unsigned deleted = 0;
            int64_t found = 0;
            assert_int_equal(mote_feed_prune(&sqlite, NOW, 200, &deleted), 0);
            assert_int_equal(deleted, cases[i].deleted[batch]);
            first += deleted;
            assert_int_equal(mote_sqlite_query_int(sqlite.db, "SELECT min(sequence) FROM feed", &found), 0);
            assert_int_equal(found, first);
            assert_int_equal(mote_sqlite_query_int(sqlite.db, "SELECT count(*) FROM feed", &found), 0);
            assert_int_equal(found, cases[i].rows - first + 1);
        }
        assert_int_equal(sqlite3_exec(sqlite.db, "DELETE FROM feed", NULL, NULL, NULL), SQLITE_OK);
    }
    unsigned deleted = 7;
    assert_int_equal(mote_feed_prune(&sqlite, NOW, 200, &deleted), 0); /* an empty one */
    assert_int_equal(deleted, 7);                                      /* none more */
    mote_sqlite_close(&sqlite);
    fixture_open(fixture, fixture->url);
}

static int64_t wall_of_upkeep(void *context)
{
    (void)context;
    return NOW + HOUR + 1;
}

/* The writer does it by itself, and the numbers go on. */
static void test_upkeep(void **state)
{
    struct fixture *fixture = *state;
    struct mote_clock clock = *mote_clock_system();
    struct mote_sqlite sqlite;
    struct reading reading = {.result = 0};
    clock.wall_ns = wall_of_upkeep;
    fixture_close(fixture);
    assert_int_equal(mote_sqlite_open(&sqlite, fixture->path, MOTE_STATEMENT_OF_WRITER), 0);
    fill(&sqlite, 1, MOTE_STORE_FEED_MAX + 2, NOW);
    mote_sqlite_close(&sqlite);
    fixture_open_with_clock(fixture, fixture->url, &clock);
    for (unsigned i = 0; i < 100 && read_feed(fixture, &reading, beginning, 1) == 0; i++) {
        usleep(100000);
    }
    assert_int_equal(reading.result, MOTE_EEXPIRED);
    struct mote_store_feed_position position = {.sequence = 1, .time = NOW};
    assert_int_equal(read_feed(fixture, &reading, position, 1), MOTE_EEXPIRED);
    position.sequence = 2;
    assert_int_equal(read_feed(fixture, &reading, position, 1), 0);
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    assert_int_equal(mote_store_feed_sequence(fixture->store), MOTE_STORE_FEED_MAX + 3);
}

/* --- the bell ---------------------------------------------------------------------------------------------------- */

struct listener {
    struct fixture *fixture;
    unsigned rung;
    int64_t heard; /* the number then */
};

static void ring(void *context)
{
    struct listener *listener = context;
    listener->rung++;
    listener->heard = mote_store_feed_sequence(listener->fixture->store);
}

static void wait_for(struct fixture *fixture, const struct listener *listener, int64_t sequence)
{
    while (listener->heard < sequence) {
        fixture_pump(fixture);
    }
}

static void test_bell(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other; /* another worker's, which writes nothing */
    struct listener listener = {.fixture = fixture};
    fixture_share(&other, fixture);
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    mote_store_follow_feed(other.session, ring, &listener);
    assert_int_equal(listener.rung, 0); /* what was before is no news */
    assert_int_equal(fixture_create_user(fixture, 2, NOW), 0);
    wait_for(&other, &listener, 2);
    assert_int_equal(listener.rung, 1);
    /* Once for all that happens before it is heard; not for what is no change of a user. */
    for (uint32_t i = 3; i <= 9; i++) {
        assert_int_equal(fixture_create_user(fixture, i, NOW), 0);
    }
    assert_int_equal(log_in(fixture, 1), 0);
    wait_for(&other, &listener, 9);
    assert_true(listener.rung >= 2 && listener.rung <= 3);
    /* Followed by another function, then by none. */
    struct listener second = {.fixture = fixture};
    mote_store_follow_feed(other.session, ring, &second);
    unsigned rung = listener.rung;
    assert_int_equal(fixture_create_user(fixture, 10, NOW), 0);
    wait_for(&other, &second, 10);
    assert_int_equal(listener.rung, rung);
    assert_int_equal(fixture_create_user(fixture, 11, NOW), 0);
    mote_store_follow_feed(other.session, NULL, NULL);
    mote_store_follow_feed(other.session, NULL, NULL);
    rung = second.rung;
    assert_int_equal(fixture_create_user(fixture, 12, NOW), 0);
    mote_store_follow_feed(other.session, ring, &listener);
    assert_int_equal(fixture_create_user(fixture, 13, NOW), 0);
    wait_for(&other, &listener, 13);
    assert_int_equal(second.rung, rung);
    mote_store_follow_feed(other.session, NULL, NULL);
    fixture_close_shared(&other);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_order),        WITH_STORE(test_parts), WITH_STORE(test_positions), WITH_STORE(test_restart),
        WITH_STORE(test_failed_group), WITH_STORE(test_prune), WITH_STORE(test_upkeep),    WITH_STORE(test_bell),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
