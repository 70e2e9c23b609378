/* SPDX-License-Identifier: Apache-2.0 */
/* Logins, rotation of refresh tokens at every bound, reuse, revocation, and what is told of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/list.h"
#include "support/store_fixture.h"

#define NOW    INT64_C(1700000000000000000)
#define SECOND INT64_C(1000000000)
#define DAY    (86400 * SECOND)
#define GRACE  (10 * SECOND)

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

static void reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture, fixture->url);
}

static void hash_of(uint8_t hash[32], uint32_t number)
{
    memset(hash, 0xab, 32);
    fixture_id(hash, 'h', number);
}

static void prepare_login(struct mote_store_create_session *login, uint32_t user, uint32_t session, uint32_t token)
{
    memset(login, 0, sizeof *login);
    fixture_id(login->record.id, 's', session);
    fixture_id(login->record.user_id, 'u', user);
    login->record.create_time = NOW;
    login->record.last_use_time = NOW;
    login->record.expire_time = NOW + 30 * DAY;
    snprintf(login->record.user_agent, sizeof login->record.user_agent, "grpcurl/1.9");
    snprintf(login->record.peer_address, sizeof login->record.peer_address, "192.0.2.7");
    login->user_epoch = 1;
    hash_of(login->refresh_hash, token);
    snprintf(login->refresh_kid, sizeof login->refresh_kid, "0a1b2c3d");
    login->refresh_expire_time = NOW + 7 * DAY;
}

static int log_in(struct fixture *fixture, uint32_t user, uint32_t session, uint32_t token)
{
    struct mote_store_create_session login;
    prepare_login(&login, user, session, token);
    return fixture_write(fixture, &login.write, MOTE_STORE_CREATE_SESSION, NOW);
}

struct session_read {
    struct mote_store_get_session read;
    int result;
};

static void got_session(struct mote_store_get_session *read, int result)
{
    MOTE_CONTAINER_OF(read, struct session_read, read)->result = result;
}

static int get_session(struct fixture *fixture, uint32_t session, struct session_read *get)
{
    memset(get, 0, sizeof *get);
    fixture_id(get->read.id, 's', session);
    get->read.done = got_session;
    mote_store_get_session(fixture->session, &get->read);
    return get->result;
}

static bool is_revoked(struct fixture *fixture, uint32_t session)
{
    struct session_read get;
    assert_int_equal(get_session(fixture, session, &get), 0);
    return get.read.revoked;
}

/* --- logins ----------------------------------------------------------------------------------------------------- */

static void test_login(void **state)
{
    struct fixture *fixture = *state;
    struct session_read get;
    struct mote_user user;
    assert_int_equal(get_session(fixture, 1, &get), MOTE_ENOTFOUND);
    assert_int_equal(log_in(fixture, 1, 1, 1), 0);
    assert_int_equal(get_session(fixture, 1, &get), 0);
    struct mote_store_create_session login;
    prepare_login(&login, 1, 1, 1);
    assert_memory_equal(get.read.record.id, login.record.id, 16);
    assert_memory_equal(get.read.record.user_id, login.record.user_id, 16);
    assert_true(get.read.record.create_time == NOW && get.read.record.last_use_time == NOW);
    assert_true(get.read.record.expire_time == NOW + 30 * DAY);
    assert_string_equal(get.read.record.user_agent, "grpcurl/1.9");
    assert_string_equal(get.read.record.peer_address, "192.0.2.7");
    assert_false(get.read.revoked);
    assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
    assert_true(user.last_login_time == NOW && user.version == 1 && user.update_time == NOW);
}

static void test_login_refused(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_create_session login;
    struct mote_store_create_user disabled = {.taken = MOTE_STORE_TAKEN_NONE};
    fixture_user(&disabled.user, 9);
    disabled.user.state = MOTE_USER_DISABLED;
    assert_int_equal(fixture_write(fixture, &disabled.write, MOTE_STORE_CREATE_USER, NOW), 0);
    assert_int_equal(log_in(fixture, 1, 1, 1), 0);
    uint64_t number = mote_store_commit_number(fixture->store);
    assert_int_equal(log_in(fixture, 99, 2, 2), MOTE_ENOTFOUND);
    assert_int_equal(log_in(fixture, 9, 2, 2), MOTE_ECONFLICT);
    assert_int_equal(log_in(fixture, 1, 1, 2), MOTE_EEXISTS); /* the session's id */
    assert_int_equal(log_in(fixture, 1, 2, 1), MOTE_EEXISTS); /* the token's hash */
    static const uint64_t epochs[] = {0, 2};
    for (size_t i = 0; i < 2; i++) {
        prepare_login(&login, 1, 2, 2);
        login.user_epoch = epochs[i];
        assert_int_equal(fixture_write(fixture, &login.write, MOTE_STORE_CREATE_SESSION, NOW), MOTE_ECONFLICT);
    }
    assert_int_equal(mote_store_commit_number(fixture->store), number); /* nothing was left behind */
    assert_int_equal(log_in(fixture, 1, 2, 2), 0);
}

struct find_refresh {
    struct mote_store_find_refresh read;
    int result;
};

static void found_refresh(struct mote_store_find_refresh *read, int result)
{
    MOTE_CONTAINER_OF(read, struct find_refresh, read)->result = result;
}

static void test_find_refresh(void **state)
{
    struct fixture *fixture = *state;
    struct find_refresh find = {.read.done = found_refresh};
    struct mote_store_create_session login;
    prepare_login(&login, 1, 1, 1);
    memset(login.refresh_kid, 'k', sizeof login.refresh_kid - 1);
    assert_int_equal(fixture_write(fixture, &login.write, MOTE_STORE_CREATE_SESSION, NOW), 0);
    hash_of(find.read.hash, 1);
    mote_store_find_refresh(fixture->session, &find.read);
    assert_int_equal(find.result, 0);
    assert_string_equal(find.read.kid, login.refresh_kid);
    find.read.hash[31] ^= 1;
    mote_store_find_refresh(fixture->session, &find.read);
    assert_int_equal(find.result, MOTE_ENOTFOUND);
}

/* --- rotation --------------------------------------------------------------------------------------------------- */

static void prepare_rotation(struct mote_store_rotate_refresh *rotate, uint32_t token, uint32_t successor)
{
    memset(rotate, 0, sizeof *rotate);
    hash_of(rotate->hash, token);
    hash_of(rotate->successor_hash, successor);
    snprintf(rotate->successor_kid, sizeof rotate->successor_kid, "ffff0000");
    rotate->grace = GRACE;
    rotate->successor_expire_time = NOW + 8 * DAY;
}

static enum mote_store_rotation rotate_at(struct fixture *fixture, uint32_t token, uint32_t successor, int64_t now)
{
    struct mote_store_rotate_refresh rotate;
    prepare_rotation(&rotate, token, successor);
    assert_int_equal(fixture_write(fixture, &rotate.write, MOTE_STORE_ROTATE_REFRESH, now), 0);
    return rotate.outcome;
}

static void test_rotate(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_rotate_refresh rotate;
    struct find_refresh find = {.read.done = found_refresh};
    assert_int_equal(log_in(fixture, 2, 1, 1), 0);
    prepare_rotation(&rotate, 1, 2);
    assert_int_equal(fixture_write(fixture, &rotate.write, MOTE_STORE_ROTATE_REFRESH, NOW + SECOND), 0);
    assert_int_equal(rotate.outcome, MOTE_STORE_ROTATED);
    assert_string_equal(rotate.user.username, "user2");
    assert_int_equal(rotate.record.id[0], 's');
    assert_true(rotate.refresh_expire_time == NOW + 8 * DAY);
    hash_of(find.read.hash, 2);
    mote_store_find_refresh(fixture->session, &find.read);
    assert_int_equal(find.result, 0);
    assert_string_equal(find.read.kid, "ffff0000");
    prepare_rotation(&rotate, 1, 2);
    rotate.successor_expire_time = NOW + 9 * DAY;
    assert_int_equal(fixture_write(fixture, &rotate.write, MOTE_STORE_ROTATE_REFRESH, NOW + 2 * SECOND), 0);
    assert_int_equal(rotate.outcome, MOTE_STORE_REPEATED);
    assert_string_equal(rotate.user.username, "user2");
    assert_true(rotate.refresh_expire_time == NOW + 8 * DAY); /* as stored the first time */
    assert_int_equal(rotate_at(fixture, 2, 3, NOW + 3 * SECOND), MOTE_STORE_ROTATED);
    assert_int_equal(rotate_at(fixture, 3, 4, NOW + 4 * SECOND), MOTE_STORE_ROTATED);
    assert_int_equal(rotate_at(fixture, 77, 78, NOW + 4 * SECOND), MOTE_STORE_INVALID);
}

/* Each bound of time, one nanosecond to either side. Token 1 is used at NOW + 1 s, its successor is 2. */
static void test_rotation_bounds(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        bool is_used;
        int64_t now;
        enum mote_store_rotation outcome;
    } cases[] = {
        {false, NOW + 7 * DAY - 1, MOTE_STORE_ROTATED}, /* idle expiry of the token */
        {false, NOW + 7 * DAY, MOTE_STORE_INVALID},
        {false, NOW + 7 * DAY + 1, MOTE_STORE_INVALID},
        {true, NOW + SECOND + GRACE - 1, MOTE_STORE_REPEATED}, /* grace */
        {true, NOW + SECOND + GRACE, MOTE_STORE_REPEATED},
        {true, NOW + SECOND + GRACE + 1, MOTE_STORE_REUSED},
        {true, NOW + SECOND, MOTE_STORE_REPEATED},
        {true, NOW + SECOND - GRACE, MOTE_STORE_REPEATED}, /* a clock that is behind */
        {true, NOW + SECOND - GRACE - 1, MOTE_STORE_REUSED},
        {true, NOW + 7 * DAY, MOTE_STORE_INVALID}, /* expired counts before reuse */
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t token = 100 * (i + 1);
        assert_int_equal(log_in(fixture, 1, i, token), 0);
        if (cases[i].is_used) {
            assert_int_equal(rotate_at(fixture, token, token + 1, NOW + SECOND), MOTE_STORE_ROTATED);
        }
        assert_int_equal(rotate_at(fixture, token, token + 1, cases[i].now), cases[i].outcome);
        assert_int_equal(is_revoked(fixture, i), cases[i].outcome == MOTE_STORE_REUSED);
    }
}

/* The session's absolute end cuts tokens, and ends them. */
static void test_session_end(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_create_session login;
    struct mote_store_rotate_refresh rotate;
    prepare_login(&login, 1, 1, 1);
    login.record.expire_time = NOW + DAY;
    assert_int_equal(fixture_write(fixture, &login.write, MOTE_STORE_CREATE_SESSION, NOW), 0);
    assert_true(login.refresh_expire_time == NOW + DAY);
    prepare_rotation(&rotate, 1, 2);
    assert_int_equal(fixture_write(fixture, &rotate.write, MOTE_STORE_ROTATE_REFRESH, NOW + DAY - 1), 0);
    assert_int_equal(rotate.outcome, MOTE_STORE_ROTATED);
    assert_true(rotate.refresh_expire_time == NOW + DAY);
    assert_int_equal(rotate_at(fixture, 2, 3, NOW + DAY), MOTE_STORE_INVALID);
    assert_int_equal(rotate_at(fixture, 2, 3, NOW + DAY - 1), MOTE_STORE_ROTATED);
}

/* Within the grace, but the successor was used already: somebody else has it. */
static void test_used_successor(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(log_in(fixture, 1, 1, 1), 0);
    assert_int_equal(rotate_at(fixture, 1, 2, NOW + 1), MOTE_STORE_ROTATED);
    assert_int_equal(rotate_at(fixture, 2, 3, NOW + 2), MOTE_STORE_ROTATED);
    assert_int_equal(rotate_at(fixture, 2, 3, NOW + 3), MOTE_STORE_REPEATED);
    assert_int_equal(rotate_at(fixture, 1, 2, NOW + 4), MOTE_STORE_REUSED);
    assert_true(is_revoked(fixture, 1));
    for (uint32_t token = 1; token <= 3; token++) { /* the whole family is over, and says no more than that */
        assert_int_equal(rotate_at(fixture, token, token + 1, NOW + 5), MOTE_STORE_INVALID);
    }
}

/* A successor derived with another key than the first time is not handed out: it is not in the table. */
static void test_other_successor(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_rotate_refresh rotate;
    assert_int_equal(log_in(fixture, 1, 1, 1), 0);
    assert_int_equal(log_in(fixture, 1, 2, 50), 0);
    assert_int_equal(rotate_at(fixture, 1, 2, NOW + 1), MOTE_STORE_ROTATED);
    assert_int_equal(rotate_at(fixture, 1, 3, NOW + 2), MOTE_STORE_INVALID);
    assert_int_equal(rotate_at(fixture, 1, 50, NOW + 2), MOTE_STORE_INVALID); /* there, but no child of it */
    assert_false(is_revoked(fixture, 1));
    prepare_rotation(&rotate, 2, 50);
    assert_int_equal(fixture_write(fixture, &rotate.write, MOTE_STORE_ROTATE_REFRESH, NOW + 2), MOTE_EEXISTS);
    assert_int_equal(rotate_at(fixture, 2, 4, NOW + 3), MOTE_STORE_ROTATED); /* the refusal used nothing up */
}

static void test_last_use_time(void **state)
{
    struct fixture *fixture = *state;
    struct session_read get;
    static const struct {
        int64_t now;
        int64_t last_use_time;
    } cases[] = {
        {NOW + 60 * SECOND - 1, NOW}, /* once a minute at most */
        {NOW + 60 * SECOND, NOW + 60 * SECOND},
        {NOW + 61 * SECOND, NOW + 60 * SECOND},
        {NOW + 120 * SECOND, NOW + 120 * SECOND},
    };
    assert_int_equal(log_in(fixture, 1, 1, 0), 0);
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(rotate_at(fixture, i, i + 1, cases[i].now), MOTE_STORE_ROTATED);
        assert_int_equal(get_session(fixture, 1, &get), 0);
        assert_true(get.read.record.last_use_time == cases[i].last_use_time);
    }
}

/* --- rotation raced --------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 40 };

struct racer {
    struct fixture fixture;
    pthread_t thread;
    pthread_barrier_t *start;
    enum mote_store_rotation outcomes[ROUNDS];
};

static void *race(void *context)
{
    struct racer *racer = context;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct mote_store_rotate_refresh rotate;
        prepare_rotation(&rotate, round, round + 1);
        pthread_barrier_wait(racer->start);
        if (fixture_write(&racer->fixture, &rotate.write, MOTE_STORE_ROTATE_REFRESH, NOW + round) != 0) {
            rotate.outcome = MOTE_STORE_INVALID;
        }
        racer->outcomes[round] = rotate.outcome;
    }
    return NULL;
}

static void test_raced(void **state)
{
    static struct racer racers[THREADS];
    pthread_barrier_t start;
    struct fixture *fixture = *state;
    assert_int_equal(log_in(fixture, 1, 1, 0), 0);
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        racers[i].start = &start;
        fixture_share(&racers[i].fixture, fixture);
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(racers[i].thread, NULL);
        fixture_close_shared(&racers[i].fixture);
    }
    pthread_barrier_destroy(&start);
    for (size_t round = 0; round < ROUNDS; round++) {
        unsigned rotated = 0;
        for (size_t i = 0; i < THREADS; i++) {
            rotated += racers[i].outcomes[round] == MOTE_STORE_ROTATED ? 1 : 0;
            assert_true(racers[i].outcomes[round] == MOTE_STORE_ROTATED ||
                        racers[i].outcomes[round] == MOTE_STORE_REPEATED);
        }
        assert_int_equal(rotated, 1);
    }
    assert_false(is_revoked(fixture, 1));
}

/* --- revocation ------------------------------------------------------------------------------------------------- */

static uint32_t revoke_sessions(struct fixture *fixture, enum mote_store_scope scope, uint32_t user, uint32_t session)
{
    struct mote_store_revoke_sessions revoke = {.scope = scope, .revoked_count = 99};
    fixture_id(revoke.user_id, 'u', user);
    fixture_id(revoke.session_id, 's', session);
    assert_int_equal(fixture_write(fixture, &revoke.write, MOTE_STORE_REVOKE_SESSIONS, NOW + SECOND), 0);
    return revoke.revoked_count;
}

static void test_revoke(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_create_session expired;
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(log_in(fixture, i < 8 ? 1 : 2, i, i), 0);
    }
    prepare_login(&expired, 1, 20, 20);
    expired.record.expire_time = NOW + SECOND;
    assert_int_equal(fixture_write(fixture, &expired.write, MOTE_STORE_CREATE_SESSION, NOW), 0);
    assert_int_equal(revoke_sessions(fixture, MOTE_STORE_SCOPE_ONE, 1, 0), 1);
    uint64_t number = mote_store_commit_number(fixture->store);
    assert_int_equal(revoke_sessions(fixture, MOTE_STORE_SCOPE_ONE, 1, 0), 0); /* once more */
    assert_int_equal(revoke_sessions(fixture, MOTE_STORE_SCOPE_ONE, 1, 55), 0);
    assert_int_equal(revoke_sessions(fixture, MOTE_STORE_SCOPE_ALL, 3, 0), 0);
    assert_int_equal(mote_store_commit_number(fixture->store), number); /* nothing changed, no commit */
    assert_int_equal(revoke_sessions(fixture, MOTE_STORE_SCOPE_OTHERS, 1, 3), 6);
    assert_false(is_revoked(fixture, 3));
    assert_true(is_revoked(fixture, 2));
    assert_int_equal(revoke_sessions(fixture, MOTE_STORE_SCOPE_ALL, 1, 0), 1);
    assert_true(is_revoked(fixture, 3));
    assert_false(is_revoked(fixture, 20)); /* over anyway, and not counted */
    assert_false(is_revoked(fixture, 8));
    assert_int_equal(rotate_at(fixture, 3, 33, NOW + SECOND), MOTE_STORE_INVALID);
    assert_int_equal(rotate_at(fixture, 8, 38, NOW + SECOND), MOTE_STORE_ROTATED);
}

/* --- what is told ----------------------------------------------------------------------------------------------- */

struct told {
    unsigned sessions;
    unsigned roles;
    struct mote_store_change last;
};

static void note(void *context, const struct mote_store_change *change)
{
    struct told *told = context;
    told->sessions += change->kind == MOTE_STORE_CHANGE_SESSION_REVOKED ? 1 : 0;
    told->roles += change->kind == MOTE_STORE_CHANGE_USER_ROLES ? 1 : 0;
    told->last = *change;
}

static void test_changes(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_change changes[8];
    struct mote_store_update_user update = {.set = MOTE_STORE_SET_ROLES, .user.roles = 3};
    struct told told = {.sessions = 0};
    uint64_t position = 0;
    size_t count = 9;
    assert_int_equal(mote_store_read_changes(fixture->store, &position, changes, 8, &count), MOTE_ENOTFOUND);
    assert_int_equal(count, 0);
    assert_int_equal(mote_store_load_revocations(fixture->session, 0, &position, note, &told), 0);
    assert_true(told.sessions == 0 && told.roles == 0);
    assert_int_equal(position, mote_store_commit_number(fixture->store));
    assert_int_equal(log_in(fixture, 1, 1, 1), 0); /* a commit without a change */
    assert_int_equal(log_in(fixture, 1, 2, 2), 0);
    assert_int_equal(mote_store_read_changes(fixture->store, &position, changes, 8, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(position, mote_store_commit_number(fixture->store));
    fixture_id(update.user.id, 'u', 2);
    assert_int_equal(fixture_write(fixture, &update.write, MOTE_STORE_UPDATE_USER, NOW + 1), 0);
    assert_int_equal(revoke_sessions(fixture, MOTE_STORE_SCOPE_ALL, 1, 0), 2);
    assert_int_equal(fixture_create_user(fixture, 5, NOW + 2), 0);
    static const enum mote_store_change_kind kinds[] = {
        MOTE_STORE_CHANGE_USER_UPDATED, MOTE_STORE_CHANGE_USER_ROLES, MOTE_STORE_CHANGE_SESSION_REVOKED,
        MOTE_STORE_CHANGE_SESSION_REVOKED, MOTE_STORE_CHANGE_USER_CREATED};
    uint64_t last = position;
    for (size_t i = 0; i < 5; i++) { /* one at a time: a reader may stop inside a commit */
        assert_int_equal(mote_store_read_changes(fixture->store, &position, changes, 1, &count), 0);
        assert_int_equal(count, 1);
        assert_int_equal(changes[0].kind, kinds[i]);
        assert_true(changes[0].commit > last && position == changes[0].commit);
        last = position;
    }
    assert_int_equal(position, mote_store_commit_number(fixture->store));
    assert_int_equal(mote_store_read_changes(fixture->store, &position, changes, 8, &count), 0);
    assert_int_equal(count, 0);
    position++; /* nothing there yet, so it cannot be somebody's place */
    assert_int_equal(mote_store_read_changes(fixture->store, &position, changes, 8, &count), MOTE_ENOTFOUND);
}

static void test_load_revocations(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        int64_t since;
        unsigned sessions;
        unsigned roles;
    } cases[] = {
        {0, 1, 1}, {NOW + 5, 1, 1}, {NOW + 6, 1, 0}, {NOW + SECOND, 1, 0}, {NOW + SECOND + 1, 0, 0},
    };
    struct mote_store_update_user update = {.set = MOTE_STORE_SET_ROLES, .user.roles = 3};
    fixture_id(update.user.id, 'u', 2);
    assert_int_equal(fixture_write(fixture, &update.write, MOTE_STORE_UPDATE_USER, NOW + 5), 0);
    assert_int_equal(log_in(fixture, 1, 1, 1), 0);
    assert_int_equal(log_in(fixture, 1, 2, 2), 0);
    assert_int_equal(revoke_sessions(fixture, MOTE_STORE_SCOPE_ONE, 1, 2), 1);
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct told told = {.sessions = 0};
            uint64_t position = 0;
            assert_int_equal(mote_store_load_revocations(fixture->session, cases[i].since, &position, note, &told), 0);
            assert_int_equal(told.sessions, cases[i].sessions);
            assert_int_equal(told.roles, cases[i].roles);
            assert_int_equal(position, mote_store_commit_number(fixture->store));
        }
        struct told told = {.sessions = 0};
        uint64_t position = 0;
        assert_int_equal(mote_store_load_revocations(fixture->session, NOW, &position, note, &told), 0);
        assert_true(told.last.kind == MOTE_STORE_CHANGE_USER_ROLES && told.last.epoch == 2);
        assert_true(told.last.time == NOW + 5 && told.last.user_id[15] == 2);
        reopen(fixture); /* the second pass: all the same in the next process */
    }
}

/* --- what is over ----------------------------------------------------------------------------------------------- */

static int64_t far_future(void *context)
{
    (void)context;
    return NOW + 30 * DAY + 8 * DAY;
}

/* Rows of what has been over for long go away by themselves, what lives stays. */
static void test_upkeep(void **state)
{
    struct fixture *fixture = *state;
    struct mote_clock clock = *mote_clock_system();
    struct mote_store_create_session living;
    struct session_read get;
    clock.wall_ns = far_future;
    for (uint32_t i = 0; i < 500; i++) { /* more than one batch */
        struct mote_store_create_session login;
        prepare_login(&login, 1, i, i);
        assert_int_equal(fixture_write(fixture, &login.write, MOTE_STORE_CREATE_SESSION, NOW), 0);
    }
    prepare_login(&living, 1, 1000, 1000);
    living.record.expire_time = NOW + 31 * DAY + 1; /* over, but for less than a week */
    assert_int_equal(fixture_write(fixture, &living.write, MOTE_STORE_CREATE_SESSION, NOW), 0);
    fixture_close(fixture);
    fixture_open_with_clock(fixture, fixture->url, &clock);
    for (unsigned i = 0; i < 100 && get_session(fixture, 0, &get) == 0; i++) {
        usleep(100000);
        mote_store_session_end_turn(fixture->session);
    }
    for (unsigned i = 0; i < 100 && get_session(fixture, 499, &get) == 0; i++) {
        usleep(100000);
        mote_store_session_end_turn(fixture->session);
    }
    assert_int_equal(get_session(fixture, 0, &get), MOTE_ENOTFOUND);
    assert_int_equal(get_session(fixture, 499, &get), MOTE_ENOTFOUND);
    assert_int_equal(get_session(fixture, 1000, &get), 0);
    struct find_refresh find = {.read.done = found_refresh};
    hash_of(find.read.hash, 1000);
    mote_store_find_refresh(fixture->session, &find.read);
    assert_int_equal(find.result, MOTE_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_login, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_login_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_find_refresh, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_session_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_used_successor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_successor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_use_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_raced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_revoke, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_load_revocations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upkeep, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
