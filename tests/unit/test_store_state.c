/* SPDX-License-Identifier: Apache-2.0 */
/* Users disabled, enabled and deleted, what ends with it and what is told of it; the list of a user's sessions. */
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
#include "support/store_fixture.h"

#define NOW    INT64_C(1700000000000000000)
#define SECOND INT64_C(1000000000)
#define DAY    (86400 * SECOND)

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture_make_folder(&fixture);
    fixture_open(&fixture, fixture.url);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(fixture_create_user(&fixture, i, NOW), 0);
    }
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    fixture_remove_folder(*state);
    return 0;
}

static void make_administrator(struct fixture *fixture, uint32_t user)
{
    struct mote_store_update_user update = {.set = MOTE_STORE_SET_ROLES, .user.roles = 4};
    fixture_id(update.user.id, 'u', user);
    assert_int_equal(fixture_write(fixture, &update.write, MOTE_STORE_UPDATE_USER, NOW), 0);
}

/* A session whose token has its number; it ends at `expire_time`. */
static int log_in(struct fixture *fixture, uint32_t user, uint32_t session, uint64_t epoch, int64_t expire_time)
{
    struct mote_store_create_session login = {.user_epoch = epoch};
    fixture_id(login.record.id, 's', session);
    fixture_id(login.record.user_id, 'u', user);
    login.record.create_time = NOW;
    login.record.last_use_time = NOW;
    login.record.expire_time = expire_time;
    snprintf(login.record.user_agent, sizeof login.record.user_agent, "agent %u", (unsigned)session);
    fixture_id(login.refresh_hash, 'h', session);
    login.refresh_expire_time = expire_time;
    return fixture_write(fixture, &login.write, MOTE_STORE_CREATE_SESSION, NOW);
}

static enum mote_store_rotation rotate(struct fixture *fixture, uint32_t session)
{
    struct mote_store_rotate_refresh rotation = {.grace = 10 * SECOND, .successor_expire_time = NOW + DAY};
    fixture_id(rotation.hash, 'h', session);
    fixture_id(rotation.successor_hash, 'h', session + 1000);
    assert_int_equal(fixture_write(fixture, &rotation.write, MOTE_STORE_ROTATE_REFRESH, NOW + 3 * SECOND), 0);
    return rotation.outcome;
}

static int set_state(struct fixture *fixture, uint32_t user, enum mote_user_state state, const char *reason,
                     struct mote_store_set_user_state *set)
{
    *set = (struct mote_store_set_user_state){.state = state, .revoked_count = 99};
    fixture_id(set->user.id, 'u', user);
    snprintf(set->reason, sizeof set->reason, "%s", reason);
    return fixture_write(fixture, &set->write, MOTE_STORE_SET_USER_STATE, NOW + SECOND);
}

static int remove_user(struct fixture *fixture, uint32_t user, uint64_t version, struct mote_store_delete_user *removal)
{
    *removal = (struct mote_store_delete_user){.has_version = version != 0, .version = version};
    fixture_id(removal->user_id, 'u', user);
    return fixture_write(fixture, &removal->write, MOTE_STORE_DELETE_USER, NOW + 2 * SECOND);
}

/* What a query of another program says, as a number. */
static int64_t query(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db = fixture_open_file(fixture);
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return value;
}

/* --- state ------------------------------------------------------------------------------------------------------ */

static void test_disable(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_set_user_state set;
    struct mote_user user;
    char reason[MOTE_STORE_REASON_MAX + 1];
    memset(reason, 'r', MOTE_STORE_REASON_MAX);
    reason[MOTE_STORE_REASON_MAX] = '\0';
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(log_in(fixture, 1, i, 1, NOW + DAY), 0);
    }
    assert_int_equal(log_in(fixture, 1, 4, 1, NOW + SECOND), 0); /* over when it comes to it */
    assert_int_equal(log_in(fixture, 2, 5, 1, NOW + DAY), 0);
    assert_int_equal(set_state(fixture, 1, MOTE_USER_DISABLED, reason, &set), 0);
    assert_int_equal(set.revoked_count, 3);
    assert_int_equal(set.conflict, MOTE_STORE_CONFLICT_NONE);
    assert_string_equal(set.user.username, "user1");
    assert_true(set.user.state == MOTE_USER_DISABLED && set.user.epoch == 2 && set.user.version == 2);
    assert_true(set.user.update_time == NOW + SECOND);
    assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
    assert_true(user.state == MOTE_USER_DISABLED && user.epoch == 2 && user.version == 2);
    assert_int_equal(query(fixture, "SELECT length(state_reason) FROM users WHERE username = 'user1'"), 256);
    assert_int_equal(log_in(fixture, 1, 6, 2, NOW + DAY), MOTE_ECONFLICT);
    assert_int_equal(rotate(fixture, 1), MOTE_STORE_INVALID);
    assert_int_equal(rotate(fixture, 5), MOTE_STORE_ROTATED);
    /* Enabled again: the old sessions stay over, old epochs too. */
    assert_int_equal(set_state(fixture, 1, MOTE_USER_ACTIVE, "", &set), 0);
    assert_true(set.user.state == MOTE_USER_ACTIVE && set.user.epoch == 2 && set.user.version == 3);
    assert_int_equal(set.revoked_count, 0);
    assert_int_equal(query(fixture, "SELECT length(state_reason) FROM users WHERE username = 'user1'"), 0);
    assert_int_equal(rotate(fixture, 2), MOTE_STORE_INVALID);
    assert_int_equal(log_in(fixture, 1, 7, 1, NOW + DAY), MOTE_ECONFLICT);
    assert_int_equal(log_in(fixture, 1, 7, 2, NOW + DAY), 0);
}

static void test_state_refused(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_set_user_state set;
    struct mote_user user;
    uint64_t number = mote_store_commit_number(fixture->store);
    assert_int_equal(set_state(fixture, 9, MOTE_USER_DISABLED, "", &set), MOTE_ENOTFOUND);
    assert_int_equal(set.conflict, MOTE_STORE_CONFLICT_NONE);
    assert_int_equal(set_state(fixture, 1, MOTE_USER_ACTIVE, "", &set), MOTE_ECONFLICT);
    assert_int_equal(set.conflict, MOTE_STORE_CONFLICT_STATE);
    assert_int_equal(mote_store_commit_number(fixture->store), number); /* nothing changed */
    assert_int_equal(set_state(fixture, 1, MOTE_USER_DISABLED, "", &set), 0);
    assert_int_equal(set_state(fixture, 1, MOTE_USER_DISABLED, "", &set), MOTE_ECONFLICT);
    assert_int_equal(set.conflict, MOTE_STORE_CONFLICT_STATE);
    make_administrator(fixture, 1); /* who is not active */
    make_administrator(fixture, 2);
    assert_int_equal(set_state(fixture, 2, MOTE_USER_DISABLED, "", &set), MOTE_ECONFLICT);
    assert_int_equal(set.conflict, MOTE_STORE_CONFLICT_LAST_ADMINISTRATOR);
    assert_int_equal(fixture_get_user(fixture, 2, &user), 0);
    assert_true(user.state == MOTE_USER_ACTIVE && user.epoch == 2);
    assert_int_equal(set_state(fixture, 1, MOTE_USER_ACTIVE, "", &set), 0);
    assert_int_equal(set_state(fixture, 2, MOTE_USER_DISABLED, "", &set), 0);
}

/* --- deletion --------------------------------------------------------------------------------------------------- */

static void test_delete(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_delete_user removal;
    struct mote_user user;
    assert_int_equal(log_in(fixture, 1, 1, 1, NOW + DAY), 0);
    assert_int_equal(log_in(fixture, 2, 2, 1, NOW + DAY), 0);
    assert_int_equal(remove_user(fixture, 1, 2, &removal), MOTE_ECONFLICT);
    assert_int_equal(removal.conflict, MOTE_STORE_CONFLICT_VERSION);
    assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
    assert_int_equal(remove_user(fixture, 1, 1, &removal), 0);
    assert_int_equal(fixture_get_user(fixture, 1, &user), MOTE_ENOTFOUND);
    assert_int_equal(rotate(fixture, 1), MOTE_STORE_INVALID);
    assert_int_equal(query(fixture, "SELECT count(*) FROM sessions"), 1);
    assert_int_equal(query(fixture, "SELECT count(*) FROM refresh_tokens"), 1);
    assert_int_equal(query(fixture, "SELECT value FROM counters WHERE name = 'users'"), 2);
    assert_int_equal(remove_user(fixture, 1, 0, &removal), MOTE_ENOTFOUND);
    assert_int_equal(removal.conflict, MOTE_STORE_CONFLICT_NONE);
    make_administrator(fixture, 2);
    assert_int_equal(remove_user(fixture, 2, 0, &removal), MOTE_ECONFLICT);
    assert_int_equal(removal.conflict, MOTE_STORE_CONFLICT_LAST_ADMINISTRATOR);
    make_administrator(fixture, 3);
    assert_int_equal(remove_user(fixture, 2, 0, &removal), 0);
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0); /* the names are free again */
}

/* --- what is told ----------------------------------------------------------------------------------------------- */

struct told {
    unsigned count[MOTE_STORE_CHANGE_SESSION_REVOKED + 1];
    struct mote_store_change last[MOTE_STORE_CHANGE_SESSION_REVOKED + 1];
};

static void note(void *context, const struct mote_store_change *change)
{
    struct told *told = context;
    told->count[change->kind]++;
    told->last[change->kind] = *change;
}

static void test_changes(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_set_user_state set;
    struct mote_store_delete_user removal;
    struct mote_store_change changes[8];
    size_t count = 0;
    assert_int_equal(log_in(fixture, 1, 1, 1, NOW + DAY), 0);
    uint64_t position = mote_store_commit_number(fixture->store);
    assert_int_equal(set_state(fixture, 1, MOTE_USER_DISABLED, "", &set), 0);
    assert_int_equal(set_state(fixture, 1, MOTE_USER_ACTIVE, "", &set), 0);
    assert_int_equal(remove_user(fixture, 1, 0, &removal), 0);
    assert_int_equal(mote_store_read_changes(fixture->store, &position, changes, 8, &count), 0);
    static const enum mote_store_change_kind kinds[] = {MOTE_STORE_CHANGE_USER_UPDATED, MOTE_STORE_CHANGE_USER_EPOCH,
                                                        MOTE_STORE_CHANGE_USER_UPDATED, MOTE_STORE_CHANGE_USER_DELETED};
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(changes[i].kind, kinds[i]);
        assert_memory_equal(changes[i].user_id, removal.user_id, sizeof removal.user_id);
        assert_int_equal(changes[i].epoch, 2);
    }
}

static void test_load_revocations(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_set_user_state set;
    struct mote_store_delete_user removal;
    static const struct {
        int64_t since;
        unsigned epochs, sessions, deleted;
    } cases[] = {{NOW, 1, 1, 1}, {NOW + SECOND, 1, 1, 1}, {NOW + SECOND + 1, 0, 0, 1}, {NOW + 2 * SECOND + 1, 0, 0, 0}};
    assert_int_equal(log_in(fixture, 1, 1, 1, NOW + DAY), 0);
    assert_int_equal(set_state(fixture, 1, MOTE_USER_DISABLED, "", &set), 0);
    assert_int_equal(remove_user(fixture, 2, 0, &removal), 0);
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct told told = {.count = {0}};
            uint64_t position = 0;
            assert_int_equal(mote_store_load_revocations(fixture->session, cases[i].since, &position, note, &told), 0);
            assert_int_equal(told.count[MOTE_STORE_CHANGE_USER_EPOCH], cases[i].epochs);
            assert_int_equal(told.count[MOTE_STORE_CHANGE_USER_ROLES], 0);
            assert_int_equal(told.count[MOTE_STORE_CHANGE_SESSION_REVOKED], cases[i].sessions);
            assert_int_equal(told.count[MOTE_STORE_CHANGE_USER_DELETED], cases[i].deleted);
            if (cases[i].epochs > 0) {
                assert_int_equal(told.last[MOTE_STORE_CHANGE_USER_EPOCH].epoch, 2);
            }
            if (cases[i].deleted > 0) {
                const struct mote_store_change *last = &told.last[MOTE_STORE_CHANGE_USER_DELETED];
                assert_memory_equal(last->user_id, removal.user_id, sizeof removal.user_id);
                assert_true(last->time == NOW + 2 * SECOND);
            }
        }
        fixture_close(fixture); /* the second pass: all the same in the next process */
        fixture_open(fixture, fixture->url);
    }
}

static int64_t wall_of_upkeep(void *context)
{
    return *(const int64_t *)context;
}

/* A deleted user is forgotten after a week, not before. */
static void test_upkeep(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_delete_user removal;
    struct mote_clock clock = *mote_clock_system();
    int64_t wall = NOW + 2 * SECOND + 7 * DAY;
    clock.wall_ns = wall_of_upkeep;
    clock.context = &wall;
    assert_int_equal(remove_user(fixture, 1, 0, &removal), 0);
    removal = (struct mote_store_delete_user){.has_version = false};
    fixture_id(removal.user_id, 'u', 2);
    assert_int_equal(fixture_write(fixture, &removal.write, MOTE_STORE_DELETE_USER, NOW + 2 * SECOND - 1), 0);
    fixture_close(fixture);
    fixture_open_with_clock(fixture, fixture->url, &clock);
    for (unsigned i = 0; i < 100 && query(fixture, "SELECT count(*) FROM deleted_users") > 1; i++) {
        usleep(100000);
    }
    assert_int_equal(query(fixture, "SELECT count(*) FROM deleted_users"), 1);
    fixture_close(fixture);
    fixture_open(fixture, fixture->url);
}

/* --- sessions --------------------------------------------------------------------------------------------------- */

struct listing {
    struct mote_store_list_sessions read;
    int result;
    unsigned count;
    unsigned numbers[16];
};

static void take_row(struct mote_store_list_sessions *read, const struct mote_store_session_record *record)
{
    struct listing *listing = MOTE_CONTAINER_OF(read, struct listing, read);
    assert_true(listing->count < 16);
    assert_memory_equal(record->user_id, read->user_id, 16);
    assert_int_equal(sscanf(record->user_agent, "agent %u", &listing->numbers[listing->count++]), 1);
}

static void list_done(struct mote_store_list_sessions *read, int result)
{
    MOTE_CONTAINER_OF(read, struct listing, read)->result = result;
}

static void list(struct fixture *fixture, struct listing *listing, uint32_t user, uint32_t limit)
{
    listing->read.limit = limit;
    listing->read.now = NOW + SECOND;
    listing->read.row = take_row;
    listing->read.done = list_done;
    listing->count = 0;
    listing->result = 1;
    fixture_id(listing->read.user_id, 'u', user);
    mote_store_list_sessions(fixture->session, &listing->read);
    assert_int_equal(listing->result, 0);
}

static void test_list_sessions(void **state)
{
    struct fixture *fixture = *state;
    struct listing listing = {.count = 0};
    list(fixture, &listing, 1, 10);
    assert_true(listing.count == 0 && !listing.read.more);
    for (uint32_t i = 1; i <= 10; i++) {
        /* 3 and 10 are over by themselves, the former just so */
        int64_t expire_time = i == 3 ? NOW + SECOND : i == 10 ? NOW : NOW + SECOND + 1;
        assert_int_equal(log_in(fixture, 1, i, 1, expire_time), 0);
        assert_int_equal(log_in(fixture, 2, 100 + i, 1, NOW + DAY), 0);
    }
    struct mote_store_revoke_sessions revoke = {.scope = MOTE_STORE_SCOPE_ONE};
    fixture_id(revoke.session_id, 's', 5);
    assert_int_equal(fixture_write(fixture, &revoke.write, MOTE_STORE_REVOKE_SESSIONS, NOW), 0);
    static const unsigned wanted[] = {1, 2, 4, 6, 7, 8, 9};
    for (uint32_t limit = 1; limit <= 8; limit++) {
        listing = (struct listing){.count = 0};
        unsigned seen = 0;
        do {
            list(fixture, &listing, 1, limit);
            assert_true(listing.count == limit || !listing.read.more);
            assert_memory_equal(listing.numbers, wanted + seen, listing.count * sizeof wanted[0]);
            seen += listing.count;
        } while (listing.read.more);
        assert_int_equal(seen, 7); /* and no page behind the last that lives */
        assert_int_equal(listing.count, limit == 8 ? 7 : 7 % limit == 0 ? limit : 7 % limit);
    }
}

/* What is over is passed by, but only so much of it at a time. */
static void test_list_bound(void **state)
{
    struct fixture *fixture = *state;
    struct listing listing = {.count = 0};
    sqlite3 *db = NULL;
    char sql[512];
    fixture_close(fixture);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    for (unsigned extra = 0; extra < 2; extra++) {
        snprintf(sql, sizeof sql,
                 "WITH RECURSIVE n (i) AS (SELECT %u UNION ALL SELECT i + 1 FROM n WHERE i < %u) "
                 "INSERT INTO sessions SELECT CAST(printf('%%016d', i) AS BLOB), "
                 "(SELECT id FROM users WHERE username = 'user1'), 0, 0, 1, 0, 'agent 1', '' FROM n",
                 extra == 0 ? 1 : MOTE_STORE_LOOKED_MAX + 1, MOTE_STORE_LOOKED_MAX + extra);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        fixture_open(fixture, fixture->url);
        listing = (struct listing){.count = 0};
        list(fixture, &listing, 1, 10);
        assert_int_equal(listing.read.more, extra == 1);
        if (extra == 1) {
            list(fixture, &listing, 1, 10);
            assert_false(listing.read.more);
        }
        fixture_close(fixture);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    fixture_open(fixture, fixture->url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_disable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delete, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_load_revocations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upkeep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list_sessions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list_bound, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
