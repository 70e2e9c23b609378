/* SPDX-License-Identifier: Apache-2.0 */
/* Password hashes set, changed and made anew: what each act does to the epoch, the sessions and the requirement of a
 * change, what is told of it at once, and what the next process is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/store_fixture.h"

#define NOW    INT64_C(1700000000000000000)
#define SECOND INT64_C(1000000000)
#define DAY    (86400 * SECOND)
#define KINDS  (MOTE_STORE_CHANGE_SESSION_REVOKED + 1)

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture_make_folder(&fixture);
    fixture_open(&fixture, fixture.url);
    assert_int_equal(fixture_create_user(&fixture, 1, NOW), 0);
    assert_int_equal(fixture_create_user(&fixture, 2, NOW), 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    fixture_remove_folder(*state);
    return 0;
}

static int log_in(struct fixture *fixture, uint32_t user, uint32_t session, uint64_t epoch)
{
    struct mote_store_create_session login = {.user_epoch = epoch, .refresh_expire_time = NOW + DAY};
    fixture_id(login.record.id, 's', session);
    fixture_id(login.record.user_id, 'u', user);
    fixture_id(login.refresh_hash, 'h', session);
    login.record.expire_time = NOW + DAY;
    return fixture_write(fixture, &login.write, MOTE_STORE_CREATE_SESSION, NOW);
}

static bool lives(struct fixture *fixture, uint32_t session)
{
    struct mote_store_rotate_refresh rotation = {.grace = 10 * SECOND, .successor_expire_time = NOW + DAY};
    fixture_id(rotation.hash, 'h', session);
    fixture_id(rotation.successor_hash, 'h', session + 1000);
    assert_int_equal(fixture_write(fixture, &rotation.write, MOTE_STORE_ROTATE_REFRESH, NOW + 3 * SECOND), 0);
    return rotation.outcome != MOTE_STORE_INVALID;
}

/* Of user 1, whose session 1 calls; `set` is filled but for the act. */
static int write_password(struct fixture *fixture, enum mote_store_password_act act,
                          struct mote_store_set_password *set)
{
    set->act = act;
    set->revoked_count = 99;
    fixture_id(set->user_id, 'u', 1);
    fixture_id(set->session_id, 's', 1);
    snprintf(set->password_hash, sizeof set->password_hash, "hash of act %d", (int)act);
    return fixture_write(fixture, &set->write, MOTE_STORE_SET_PASSWORD, NOW + SECOND);
}

static void get(struct fixture *fixture, struct mote_user *user)
{
    assert_int_equal(fixture_get_user(fixture, 1, user), 0);
    assert_int_equal(user->version, 1); /* nobody sees the hash */
    assert_true(user->update_time == NOW);
}

struct told {
    unsigned count[KINDS];
    uint64_t epoch[KINDS];
};

static void note(void *context, const struct mote_store_change *change)
{
    struct told *told = context;
    told->count[change->kind]++;
    told->epoch[change->kind] = change->epoch;
}

static struct told load(struct fixture *fixture)
{
    struct told told = {.count = {0}};
    uint64_t position = 0;
    assert_int_equal(mote_store_load_revocations(fixture->session, NOW, &position, note, &told), 0);
    return told;
}

/* What was told since `position`. */
static struct told follow(struct fixture *fixture, uint64_t position)
{
    struct told told = {.count = {0}};
    struct mote_store_change changes[8];
    size_t count = 0;
    assert_int_equal(mote_store_read_changes(fixture->store, &position, changes, 8, &count), 0);
    for (size_t i = 0; i < count; i++) {
        note(&told, &changes[i]);
    }
    return told;
}

static void test_set(void **state)
{
    struct fixture *fixture = *state;
    struct mote_user user;
    struct mote_store_set_password set = {.require_change = true, .user_epoch = 77};
    assert_int_equal(log_in(fixture, 1, 1, 1), 0);
    assert_int_equal(log_in(fixture, 1, 2, 1), 0);
    assert_int_equal(log_in(fixture, 2, 3, 1), 0);
    const uint64_t position = mote_store_commit_number(fixture->store);
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_SET, &set), 0);
    assert_int_equal(set.revoked_count, 2);
    get(fixture, &user);
    assert_string_equal(user.password_hash, "hash of act 0");
    assert_true(user.epoch == 2 && user.password_change_required);
    assert_false(lives(fixture, 1) || lives(fixture, 2));
    assert_true(lives(fixture, 3));
    const struct told told = follow(fixture, position);
    assert_true(told.count[MOTE_STORE_CHANGE_USER_EPOCH] == 1 && told.epoch[MOTE_STORE_CHANGE_USER_EPOCH] == 2);
    assert_int_equal(told.count[MOTE_STORE_CHANGE_SESSION_REVOKED], 0); /* the epoch says it for all of them */
    /* A login that looked at the hash before is refused. */
    assert_int_equal(log_in(fixture, 1, 4, 1), MOTE_ECONFLICT);
    assert_int_equal(log_in(fixture, 1, 4, 2), 0);
    set.require_change = false;
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_SET, &set), 0);
    get(fixture, &user);
    assert_true(user.epoch == 3 && !user.password_change_required);
}

static void test_change(void **state)
{
    struct fixture *fixture = *state;
    struct mote_user user;
    struct mote_store_set_password set = {.user_epoch = 1, .keep_others = true, .require_change = true};
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(log_in(fixture, 1, i, 1), 0);
    }
    uint64_t position = mote_store_commit_number(fixture->store);
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_CHANGE, &set), 0);
    assert_int_equal(set.revoked_count, 0);
    get(fixture, &user);
    assert_string_equal(user.password_hash, "hash of act 1");
    assert_true(user.epoch == 2 && !user.password_change_required);
    struct told told = follow(fixture, position);
    for (size_t i = 0; i < KINDS; i++) {
        assert_int_equal(told.count[i], 0);
    }
    set.keep_others = false;
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_CHANGE, &set), MOTE_ECONFLICT);
    set.user_epoch = 2;
    position = mote_store_commit_number(fixture->store);
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_CHANGE, &set), 0);
    assert_int_equal(set.revoked_count, 2);
    assert_true(lives(fixture, 1));
    assert_false(lives(fixture, 2) || lives(fixture, 3));
    told = follow(fixture, position);
    assert_int_equal(told.count[MOTE_STORE_CHANGE_SESSION_REVOKED], 2);
    assert_int_equal(told.count[MOTE_STORE_CHANGE_USER_EPOCH], 0);
    assert_int_equal(told.count[MOTE_STORE_CHANGE_USER_UNLOCKED], 0);
}

static void test_rehash(void **state)
{
    struct fixture *fixture = *state;
    struct mote_user user;
    struct mote_store_set_password set = {.require_change = true};
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_SET, &set), 0);
    assert_int_equal(log_in(fixture, 1, 1, 2), 0);
    assert_int_equal(log_in(fixture, 1, 2, 2), 0);
    const uint64_t position = mote_store_commit_number(fixture->store);
    set.user_epoch = 1;
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_REHASH, &set), MOTE_ECONFLICT);
    set.user_epoch = 2;
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_REHASH, &set), 0);
    assert_int_equal(set.revoked_count, 0);
    get(fixture, &user);
    assert_string_equal(user.password_hash, "hash of act 2");
    assert_true(user.epoch == 2 && user.password_change_required);
    assert_true(lives(fixture, 1) && lives(fixture, 2));
    const struct told told = follow(fixture, position);
    for (size_t i = 0; i < KINDS; i++) {
        assert_int_equal(told.count[i], 0);
    }
}

static void test_unknown(void **state)
{
    struct fixture *fixture = *state;
    for (int act = MOTE_STORE_PASSWORD_SET; act <= MOTE_STORE_PASSWORD_REHASH; act++) {
        struct mote_store_set_password set = {.act = (enum mote_store_password_act)act, .user_epoch = 1};
        fixture_id(set.user_id, 'u', 9);
        assert_int_equal(fixture_write(fixture, &set.write, MOTE_STORE_SET_PASSWORD, NOW), MOTE_ENOTFOUND);
    }
}

/* Which epoch did what, whatever came after it; the same to the next process. */
static void test_load(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_set_password set = {.require_change = true};
    struct mote_store_update_user roles = {.set = MOTE_STORE_SET_ROLES, .user.roles = 3};
    fixture_id(roles.user.id, 'u', 1);
    assert_int_equal(fixture_write(fixture, &roles.write, MOTE_STORE_UPDATE_USER, NOW), 0); /* 2: done away with */
    set.user_epoch = 2;
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_SET, &set), 0); /* 3 */
    roles.user.roles = 1;
    assert_int_equal(fixture_write(fixture, &roles.write, MOTE_STORE_UPDATE_USER, NOW), 0); /* 4 */
    set.user_epoch = 4;
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_CHANGE, &set), 0); /* 5 */
    set.user_epoch = 5;
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_CHANGE, &set), 0); /* 6: nothing to tell */
    for (unsigned pass = 0; pass < 2; pass++) {
        const struct told told = load(fixture);
        assert_true(told.count[MOTE_STORE_CHANGE_USER_EPOCH] == 1 && told.epoch[MOTE_STORE_CHANGE_USER_EPOCH] == 3);
        assert_true(told.count[MOTE_STORE_CHANGE_USER_ROLES] == 1 && told.epoch[MOTE_STORE_CHANGE_USER_ROLES] == 4);
        assert_true(told.count[MOTE_STORE_CHANGE_USER_UNLOCKED] == 1);
        assert_true(told.epoch[MOTE_STORE_CHANGE_USER_UNLOCKED] == 5);
        fixture_close(fixture);
        fixture_open(fixture, fixture->url);
    }
    assert_int_equal(write_password(fixture, MOTE_STORE_PASSWORD_SET, &set), 0); /* 7 does away with all of them */
    const struct told told = load(fixture);
    assert_true(told.count[MOTE_STORE_CHANGE_USER_EPOCH] == 1 && told.epoch[MOTE_STORE_CHANGE_USER_EPOCH] == 7);
    assert_int_equal(told.count[MOTE_STORE_CHANGE_USER_ROLES] + told.count[MOTE_STORE_CHANGE_USER_UNLOCKED], 0);
}

/* --- the settings that hashes have ------------------------------------------------------------------------------- */

#define ARGON2 "$argon2id$v=19$m=19456,t=2,p=1"
#define PBKDF2 "$pbkdf2-sha256$i=1000"

static void ignore(struct mote_store_get_user *read, int result)
{
    (void)read;
    (void)result;
}

/* Of what names that nobody has are told, as many have each settings as users have. */
static void assert_settings(struct fixture *fixture, unsigned argon2, unsigned pbkdf2)
{
    unsigned counts[2] = {0};
    const unsigned rounds = argon2 + pbkdf2 == 0 ? 1 : argon2 + pbkdf2;
    for (uint64_t pick = 0; pick < 5 * rounds; pick++) {
        struct mote_store_get_user read = {.key = MOTE_STORE_BY_USERNAME, .text = "nobody", .done = ignore};
        read.picks_settings = true;
        read.pick = pick + UINT64_MAX / rounds * rounds / 2;
        mote_store_get_user(fixture->session, &read);
        counts[0] += strcmp(read.settings, ARGON2) == 0 ? 1u : 0u;
        counts[1] += strcmp(read.settings, PBKDF2) == 0 ? 1u : 0u;
        assert_true(rounds > 1 || argon2 + pbkdf2 > 0 || read.settings[0] == '\0');
    }
    assert_int_equal(counts[0], 5 * argon2);
    assert_int_equal(counts[1], 5 * pbkdf2);
}

static void test_settings(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_set_password set = {.user_epoch = 1};
    struct mote_store_create_user create = {.write.now = NOW};
    struct mote_store_delete_user removal = {.write.now = NOW};
    assert_settings(fixture, 2, 0);
    for (uint32_t number = 3; number <= 5; number++) {
        fixture_user(&create.user, number);
        snprintf(create.user.password_hash, sizeof create.user.password_hash, "%s",
                 number == 3 ? "" : PBKDF2 "$salt$hash");
        assert_int_equal(fixture_write(fixture, &create.write, MOTE_STORE_CREATE_USER, NOW), 0);
    }
    assert_settings(fixture, 2, 2);
    set.act = MOTE_STORE_PASSWORD_REHASH;
    fixture_id(set.user_id, 'u', 1);
    snprintf(set.password_hash, sizeof set.password_hash, PBKDF2 "$other salt$other hash");
    assert_int_equal(fixture_write(fixture, &set.write, MOTE_STORE_SET_PASSWORD, NOW), 0);
    assert_settings(fixture, 1, 3);
    fixture_id(set.user_id, 'u', 3); /* the first hash of this one */
    set.act = MOTE_STORE_PASSWORD_SET;
    snprintf(set.password_hash, sizeof set.password_hash, ARGON2 "$salt$hash");
    assert_int_equal(fixture_write(fixture, &set.write, MOTE_STORE_SET_PASSWORD, NOW), 0);
    assert_settings(fixture, 2, 3);
    snprintf(set.password_hash, sizeof set.password_hash, ARGON2 "$another salt$hash");
    assert_int_equal(fixture_write(fixture, &set.write, MOTE_STORE_SET_PASSWORD, NOW), 0);
    assert_settings(fixture, 2, 3);
    static const unsigned left[][2] = {{0, 0}, {0, 1}, {1, 1}, {2, 1}, {2, 2}};
    for (uint32_t number = 5; number > 0; number--) {
        fixture_id(removal.user_id, 'u', number);
        assert_int_equal(fixture_write(fixture, &removal.write, MOTE_STORE_DELETE_USER, NOW), 0);
        assert_settings(fixture, left[number - 1][0], left[number - 1][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rehash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_load, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settings, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
