/* SPDX-License-Identifier: Apache-2.0 */
/* What ends tokens: by changes given by hand, by the store's own, after a restart, and when there is no room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "services/revocation.h"
#include "support/failing_mem.h"
#include "support/store_fixture.h"

#define NOW    INT64_C(1750000000)
#define KEEP   INT64_C(930)
#define SECOND ((int64_t)MOTE_NS_PER_SECOND)

struct environment {
    struct fixture fixture;
    struct mote_failing_mem mem;
    struct mote_revocation set;
};

/* The store's upkeep would otherwise delete what is long over by now. */
static int64_t wall_of_store(void *context)
{
    (void)context;
    return NOW * SECOND;
}

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    static struct mote_clock clock;
    clock = *mote_clock_system();
    clock.wall_ns = wall_of_store;
    fixture_open_with_clock(&environment->fixture, "memory:", &clock);
    mote_failing_mem_init(&environment->mem);
    assert_int_equal(mote_revocation_init(&environment->set, &environment->mem.mem, environment->fixture.store,
                                          environment->fixture.session, KEEP, NOW),
                     0);
    mote_store_session_end_turn(environment->fixture.session);
    *state = environment;
    return 0;
}

static int tear_down(void **state)
{
    struct environment *environment = *state;
    mote_revocation_dispose(&environment->set);
    assert_int_equal(environment->mem.live_count, 0);
    fixture_close(&environment->fixture);
    free(environment);
    return 0;
}

static struct mote_identity token(uint32_t user, uint32_t session, uint64_t epoch)
{
    struct mote_identity identity = {.issued_at = NOW, .expires_at = NOW + 900, .epoch = epoch};
    fixture_id(identity.user_id, 1, user);
    fixture_id(identity.session_id, 2, session);
    return identity;
}

static enum mote_revocation_verdict judge_at(struct environment *environment, struct mote_identity identity,
                                             int64_t now)
{
    enum mote_revocation_verdict verdict;
    assert_int_equal(mote_revocation_check(&environment->set, &identity, now, &verdict), 0);
    return verdict;
}

static enum mote_revocation_verdict judge(struct environment *environment, struct mote_identity identity)
{
    return judge_at(environment, identity, NOW);
}

static void apply(struct environment *environment, enum mote_store_change_kind kind, uint32_t user, uint32_t session,
                  uint64_t epoch)
{
    struct mote_store_change change = {.kind = kind, .epoch = epoch, .time = NOW * SECOND};
    fixture_id(change.user_id, 1, user);
    fixture_id(change.session_id, 2, session);
    mote_revocation_apply(&environment->set, &change, NOW);
}

static void what_each_change_does(void **state)
{
    static const struct {
        enum mote_store_change_kind kind;
        uint64_t epoch;
        enum mote_revocation_verdict same, below, other_session, other_user;
    } cases[] = {
        {MOTE_STORE_CHANGE_USER_CREATED, 5, MOTE_REVOCATION_NONE, MOTE_REVOCATION_NONE, MOTE_REVOCATION_NONE,
         MOTE_REVOCATION_NONE},
        {MOTE_STORE_CHANGE_USER_UPDATED, 5, MOTE_REVOCATION_NONE, MOTE_REVOCATION_NONE, MOTE_REVOCATION_NONE,
         MOTE_REVOCATION_NONE},
        {MOTE_STORE_CHANGE_USER_DELETED, 0, MOTE_REVOCATION_REVOKED, MOTE_REVOCATION_REVOKED, MOTE_REVOCATION_REVOKED,
         MOTE_REVOCATION_NONE},
        {MOTE_STORE_CHANGE_USER_EPOCH, 5, MOTE_REVOCATION_NONE, MOTE_REVOCATION_REVOKED, MOTE_REVOCATION_REVOKED,
         MOTE_REVOCATION_NONE},
        {MOTE_STORE_CHANGE_USER_ROLES, 5, MOTE_REVOCATION_NONE, MOTE_REVOCATION_STALE, MOTE_REVOCATION_STALE,
         MOTE_REVOCATION_NONE},
        {MOTE_STORE_CHANGE_USER_UNLOCKED, 5, MOTE_REVOCATION_NONE, MOTE_REVOCATION_NONE, MOTE_REVOCATION_NONE,
         MOTE_REVOCATION_NONE},
        {MOTE_STORE_CHANGE_SESSION_REVOKED, 0, MOTE_REVOCATION_REVOKED, MOTE_REVOCATION_REVOKED, MOTE_REVOCATION_NONE,
         MOTE_REVOCATION_NONE},
    };
    struct environment *environment = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t user = 10 * (uint32_t)i;
        uint32_t session = user + 5;
        assert_int_equal(judge(environment, token(user, session, 4)), MOTE_REVOCATION_NONE);
        apply(environment, cases[i].kind, user, session, cases[i].epoch);
        assert_int_equal(judge(environment, token(user, session, 5)), cases[i].same);
        assert_int_equal(judge(environment, token(user, session, 4)), cases[i].below);
        assert_int_equal(judge(environment, token(user, session + 1, 4)), cases[i].other_session);
        assert_int_equal(judge(environment, token(user + 1, session + 1, 4)), cases[i].other_user);
    }
}

static void a_token_ends_alone(void **state)
{
    struct environment *environment = *state;
    struct mote_store_change change = {.kind = MOTE_STORE_CHANGE_TOKEN_REVOKED, .time = (NOW + 100) * SECOND};
    struct mote_identity over = token(1, 1, 1);
    struct mote_identity other = token(1, 1, 1);
    fixture_id(over.token_id, 3, 1);
    fixture_id(other.token_id, 3, 2);
    memcpy(change.token_id, over.token_id, sizeof change.token_id);
    mote_revocation_apply(&environment->set, &change, NOW);
    assert_int_equal(judge(environment, over), MOTE_REVOCATION_TOKEN_REVOKED);
    assert_int_equal(judge(environment, other), MOTE_REVOCATION_NONE);
    /* `time` is when nobody takes it any more: as long it is remembered, and no longer. */
    change.time = NOW * SECOND;
    memcpy(change.token_id, other.token_id, sizeof change.token_id);
    mote_revocation_apply(&environment->set, &change, NOW);
    assert_int_equal(judge(environment, other), MOTE_REVOCATION_TOKEN_REVOKED);
    size_t before = environment->set.count;
    change.time = (NOW - 1) * SECOND;
    fixture_id(change.token_id, 3, 3);
    mote_revocation_apply(&environment->set, &change, NOW);
    assert_int_equal(environment->set.count, before);
    /* A session that is over says more. */
    apply(environment, MOTE_STORE_CHANGE_SESSION_REVOKED, 1, 1, 0);
    assert_int_equal(judge(environment, over), MOTE_REVOCATION_REVOKED);
}

/* What does not fit makes stale what was issued so far, not what will be. */
static void a_token_that_does_not_fit(void **state)
{
    struct environment *environment = *state;
    struct mote_store_change change = {.kind = MOTE_STORE_CHANGE_TOKEN_REVOKED, .time = (NOW + 900) * SECOND};
    struct mote_identity later = token(1, 1, 1);
    later.issued_at = NOW + 1;
    mote_failing_mem_arm(&environment->mem, 1, true);
    mote_revocation_apply(&environment->set, &change, NOW);
    assert_int_equal(judge(environment, token(1, 1, 1)), MOTE_REVOCATION_STALE);
    assert_int_equal(judge_at(environment, later, NOW + 1), MOTE_REVOCATION_NONE);
    mote_failing_mem_arm(&environment->mem, 0, false);
}

static void changes_of_one_user_add_up(void **state)
{
    struct environment *environment = *state;
    apply(environment, MOTE_STORE_CHANGE_USER_ROLES, 1, 0, 9);
    apply(environment, MOTE_STORE_CHANGE_USER_EPOCH, 1, 0, 5);
    apply(environment, MOTE_STORE_CHANGE_USER_ROLES, 1, 0, 7);
    assert_int_equal(judge(environment, token(1, 1, 4)), MOTE_REVOCATION_REVOKED);
    assert_int_equal(judge(environment, token(1, 1, 5)), MOTE_REVOCATION_STALE);
    assert_int_equal(judge(environment, token(1, 1, 8)), MOTE_REVOCATION_STALE);
    assert_int_equal(judge(environment, token(1, 1, 9)), MOTE_REVOCATION_NONE);
}

/* A token of a user who must change the password says so; what lifts it is an epoch, so that it lifts nothing that
 * comes after it. */
static void a_required_change_holds_up_until_it_is_made(void **state)
{
    struct environment *environment = *state;
    struct mote_identity before = token(1, 1, 4);
    struct mote_identity after = token(1, 1, 5);
    struct mote_identity other = token(2, 2, 4);
    before.password_change_required = after.password_change_required = other.password_change_required = true;
    assert_int_equal(judge(environment, before), MOTE_REVOCATION_LOCKED);
    apply(environment, MOTE_STORE_CHANGE_USER_UNLOCKED, 1, 0, 5);
    assert_int_equal(judge(environment, before), MOTE_REVOCATION_NONE);
    assert_int_equal(judge(environment, after), MOTE_REVOCATION_LOCKED);
    assert_int_equal(judge(environment, other), MOTE_REVOCATION_LOCKED);
    apply(environment, MOTE_STORE_CHANGE_USER_ROLES, 1, 0, 5);
    assert_int_equal(judge(environment, before), MOTE_REVOCATION_STALE);
    apply(environment, MOTE_STORE_CHANGE_USER_EPOCH, 1, 0, 6);
    assert_int_equal(judge(environment, before), MOTE_REVOCATION_REVOKED);
    assert_int_equal(judge(environment, after), MOTE_REVOCATION_REVOKED);
}

static void thousands_are_kept_and_then_forgotten(void **state)
{
    struct environment *environment = *state;
    for (uint32_t i = 0; i < 5000; i++) {
        apply(environment, MOTE_STORE_CHANGE_SESSION_REVOKED, 1, i, 0);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(judge(environment, token(1, i, 4)), MOTE_REVOCATION_REVOKED);
        assert_int_equal(judge(environment, token(1, i + 5000, 4)), MOTE_REVOCATION_NONE);
    }
    size_t bytes = environment->mem.live_bytes;
    /* Later ones take the place of those that are over. */
    int64_t later = NOW + KEEP + 1;
    for (uint32_t i = 0; i < 20000; i++) {
        struct mote_store_change change = {.kind = MOTE_STORE_CHANGE_SESSION_REVOKED};
        change.time = (later + i) * SECOND;
        fixture_id(change.session_id, 2, 100000 + i);
        mote_revocation_apply(&environment->set, &change, later + i);
    }
    assert_true(environment->mem.live_bytes <= bytes);
}

static void an_entry_lasts_as_long_as_a_token_can(void **state)
{
    struct environment *environment = *state;
    apply(environment, MOTE_STORE_CHANGE_SESSION_REVOKED, 1, 1, 0);
    for (uint32_t i = 100; i < 400; i++) {
        struct mote_store_change change = {.kind = MOTE_STORE_CHANGE_SESSION_REVOKED, .time = (NOW + KEEP) * SECOND};
        fixture_id(change.session_id, 2, i);
        mote_revocation_apply(&environment->set, &change, NOW + KEEP);
    }
    assert_int_equal(judge_at(environment, token(1, 1, 4), NOW + KEEP), MOTE_REVOCATION_REVOKED);
    /* One that could concern no token any more is not taken at all. */
    size_t count = environment->set.count;
    struct mote_store_change old = {.kind = MOTE_STORE_CHANGE_SESSION_REVOKED, .time = (NOW - KEEP - 1) * SECOND};
    mote_revocation_apply(&environment->set, &old, NOW);
    assert_int_equal(environment->set.count, count);
}

static void without_memory_everything_issued_so_far_is_stale(void **state)
{
    struct environment *environment = *state;
    struct mote_identity before = token(7, 7, 4);
    struct mote_identity after = token(7, 7, 4);
    after.issued_at = NOW + 1;
    assert_int_equal(judge(environment, before), MOTE_REVOCATION_NONE);
    mote_failing_mem_arm(&environment->mem, 1, true);
    for (uint32_t i = 0; i < 100; i++) {
        apply(environment, MOTE_STORE_CHANGE_SESSION_REVOKED, 1, i, 0);
    }
    assert_int_equal(judge(environment, before), MOTE_REVOCATION_STALE);
    assert_int_equal(judge(environment, after), MOTE_REVOCATION_NONE);
    mote_failing_mem_arm(&environment->mem, 0, false);
}

static void the_set_is_bounded(void **state)
{
    struct environment *environment = *state;
    for (uint32_t i = 0; i < MOTE_REVOCATION_MAX; i++) {
        apply(environment, MOTE_STORE_CHANGE_SESSION_REVOKED, 1, i, 0);
    }
    assert_int_equal(judge(environment, token(7, MOTE_REVOCATION_MAX, 4)), MOTE_REVOCATION_NONE);
    assert_int_equal(judge(environment, token(7, MOTE_REVOCATION_MAX - 1, 4)), MOTE_REVOCATION_REVOKED);
    size_t bytes = environment->mem.live_bytes;
    for (uint32_t i = 0; i < MOTE_REVOCATION_MAX; i++) {
        apply(environment, MOTE_STORE_CHANGE_SESSION_REVOKED, 1, MOTE_REVOCATION_MAX + i, 0);
    }
    assert_true(environment->set.count <= MOTE_REVOCATION_MAX);
    assert_int_equal(environment->mem.live_bytes, bytes);
    assert_int_not_equal(judge(environment, token(7, 2 * MOTE_REVOCATION_MAX - 1, 4)), MOTE_REVOCATION_NONE);
}

/* A session in the store, made and revoked through it. */
static void make_session(struct environment *environment, uint32_t user, uint32_t session)
{
    struct mote_store_create_session create = {.user_epoch = 1, .refresh_kid = "k"};
    fixture_id(create.record.id, 2, session);
    struct mote_user record;
    fixture_user(&record, user);
    memcpy(create.record.user_id, record.id, 16);
    create.record.create_time = NOW * SECOND;
    create.record.expire_time = (NOW + 86400) * SECOND;
    memset(create.refresh_hash, (int)session, sizeof create.refresh_hash);
    create.refresh_expire_time = create.record.expire_time;
    assert_int_equal(fixture_write(&environment->fixture, &create.write, MOTE_STORE_CREATE_SESSION, NOW * SECOND), 0);
}

static void revoke(struct environment *environment, uint32_t user, uint32_t session)
{
    struct mote_store_revoke_sessions write = {.scope = MOTE_STORE_SCOPE_ONE};
    struct mote_user record;
    fixture_user(&record, user);
    memcpy(write.user_id, record.id, 16);
    fixture_id(write.session_id, 2, session);
    assert_int_equal(fixture_write(&environment->fixture, &write.write, MOTE_STORE_REVOKE_SESSIONS, NOW * SECOND), 0);
    assert_int_equal(write.revoked_count, 1);
}

static struct mote_identity token_of_stored(uint32_t user, uint32_t session, uint64_t epoch)
{
    struct mote_identity identity = token(user, session, epoch);
    struct mote_user record;
    fixture_user(&record, user);
    memcpy(identity.user_id, record.id, 16);
    return identity;
}

static void change_roles(struct environment *environment, uint32_t user)
{
    struct mote_store_update_user update = {.set = MOTE_STORE_SET_ROLES};
    fixture_user(&update.user, user);
    update.user.roles = MOTE_ROLE_BIT_SERVICE;
    assert_int_equal(fixture_write(&environment->fixture, &update.write, MOTE_STORE_UPDATE_USER, NOW * SECOND), 0);
}

static void the_store_is_followed(void **state)
{
    struct environment *environment = *state;
    assert_int_equal(fixture_create_user(&environment->fixture, 1, NOW * SECOND), 0);
    make_session(environment, 1, 1);
    make_session(environment, 1, 2);
    assert_int_equal(judge(environment, token_of_stored(1, 1, 1)), MOTE_REVOCATION_NONE);
    revoke(environment, 1, 1);
    assert_int_equal(judge(environment, token_of_stored(1, 1, 1)), MOTE_REVOCATION_REVOKED);
    assert_int_equal(judge(environment, token_of_stored(1, 2, 1)), MOTE_REVOCATION_NONE);
    change_roles(environment, 1);
    assert_int_equal(judge(environment, token_of_stored(1, 2, 1)), MOTE_REVOCATION_STALE);
    assert_int_equal(judge(environment, token_of_stored(1, 2, 2)), MOTE_REVOCATION_NONE);
    /* The session itself counts more than the roles. */
    assert_int_equal(judge(environment, token_of_stored(1, 1, 1)), MOTE_REVOCATION_REVOKED);
}

static void a_new_set_knows_it_from_the_store(void **state)
{
    struct environment *environment = *state;
    assert_int_equal(fixture_create_user(&environment->fixture, 1, NOW * SECOND), 0);
    make_session(environment, 1, 1);
    make_session(environment, 1, 2);
    revoke(environment, 1, 1);
    change_roles(environment, 1);
    mote_revocation_dispose(&environment->set);
    assert_int_equal(mote_revocation_init(&environment->set, &environment->mem.mem, environment->fixture.store,
                                          environment->fixture.session, KEEP, NOW + 1),
                     0);
    assert_int_equal(judge(environment, token_of_stored(1, 1, 1)), MOTE_REVOCATION_REVOKED);
    assert_int_equal(judge(environment, token_of_stored(1, 2, 1)), MOTE_REVOCATION_STALE);
    assert_int_equal(judge(environment, token_of_stored(1, 2, 2)), MOTE_REVOCATION_NONE);
    /* What no token can be concerned by any more is not loaded. */
    mote_revocation_dispose(&environment->set);
    assert_int_equal(mote_revocation_init(&environment->set, &environment->mem.mem, environment->fixture.store,
                                          environment->fixture.session, KEEP, NOW + KEEP + 2),
                     0);
    assert_int_equal(environment->set.count, 0);
}

static void a_set_that_fell_behind_loads_again(void **state)
{
    struct environment *environment = *state;
    assert_int_equal(fixture_create_user(&environment->fixture, 1, NOW * SECOND), 0);
    make_session(environment, 1, 1);
    revoke(environment, 1, 1);
    mote_store_session_end_turn(environment->fixture.session);
    struct mote_store_update_user update = {.set = MOTE_STORE_SET_DISPLAY_NAME};
    for (uint32_t i = 0; i < MOTE_STORE_CHANGES_MAX + 10; i++) {
        fixture_user(&update.user, 1);
        update.user.display_name[0] = i % 2 == 0 ? 'a' : 'b';
        update.user.display_name[1] = '\0';
        assert_int_equal(fixture_write(&environment->fixture, &update.write, MOTE_STORE_UPDATE_USER, NOW * SECOND), 0);
    }
    assert_int_equal(judge(environment, token_of_stored(1, 1, 1)), MOTE_REVOCATION_REVOKED);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(what_each_change_does),
        WITH_STORE(a_token_ends_alone),
        WITH_STORE(a_token_that_does_not_fit),
        WITH_STORE(changes_of_one_user_add_up),
        WITH_STORE(a_required_change_holds_up_until_it_is_made),
        WITH_STORE(thousands_are_kept_and_then_forgotten),
        WITH_STORE(an_entry_lasts_as_long_as_a_token_can),
        WITH_STORE(without_memory_everything_issued_so_far_is_stale),
        WITH_STORE(the_set_is_bounded),
        WITH_STORE(the_store_is_followed),
        WITH_STORE(a_new_set_knows_it_from_the_store),
        WITH_STORE(a_set_that_fell_behind_loads_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
