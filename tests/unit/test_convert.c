/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "security/jwt.h"
#include "services/convert.h"

static void times_count_forward_on_both_sides_of_1970(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        int64_t seconds;
        int32_t nanos;
    } cases[] = {
        {0, 0, 0},
        {1, 0, 1},
        {999999999, 0, 999999999},
        {1000000000, 1, 0},
        {-1, -1, 999999999},
        {-999999999, -1, 1},
        {-1000000000, -1, 0},
        {-1000000001, -2, 999999999},
        {INT64_MAX, 9223372036, 854775807},
        {INT64_MIN, -9223372037, 145224192},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        google_protobuf_Timestamp time = mote_convert_time(cases[i].ns);
        assert_int_equal(time.seconds, cases[i].seconds);
        assert_int_equal(time.nanos, cases[i].nanos);
    }
}

static void roles_come_in_order(void **state)
{
    (void)state;
    user_v1_Role roles[MOTE_CONVERT_ROLES_MAX];
    assert_int_equal(mote_convert_roles(roles, 0), 0);
    assert_int_equal(mote_convert_roles(roles, UINT32_MAX), 3);
    assert_int_equal(roles[0], user_v1_Role_ROLE_USER);
    assert_int_equal(roles[1], user_v1_Role_ROLE_SERVICE);
    assert_int_equal(roles[2], user_v1_Role_ROLE_ADMIN);
    assert_int_equal(mote_convert_roles(roles, MOTE_ROLE_BIT_ADMIN), 1);
    assert_int_equal(roles[0], user_v1_Role_ROLE_ADMIN);
}

static void a_user_with_every_field_at_its_bound(void **state)
{
    (void)state;
    struct mote_user user = {
        .roles = MOTE_ROLE_BIT_SERVICE,
        .state = MOTE_USER_DISABLED,
        .email_verified = true,
        .create_time = 1000000001,
        .update_time = 2000000002,
        .last_login_time = 3000000003,
        .version = 0xfedcba9876543210,
        .password_hash = "$argon2id$secret",
    };
    memset(user.id, 0xab, sizeof user.id);
    memset(user.username, 'u', MOTE_USERNAME_MAX);
    memset(user.email, 'e', MOTE_EMAIL_MAX);
    memset(user.display_name, 'd', MOTE_DISPLAY_NAME_MAX);
    user_v1_User out;
    memset(&out, 0xff, sizeof out);
    mote_convert_user(&out, &user);
    assert_string_equal(out.id, "abababab-abab-abab-abab-abababababab");
    assert_string_equal(out.username, user.username);
    assert_string_equal(out.email, user.email);
    assert_string_equal(out.display_name, user.display_name);
    assert_int_equal(out.roles_count, 1);
    assert_int_equal(out.state, user_v1_UserState_USER_STATE_DISABLED);
    assert_true(out.email_verified);
    assert_true(out.has_create_time && out.has_update_time && out.has_last_login_time);
    assert_int_equal(out.create_time.nanos, 1);
    assert_int_equal(out.update_time.nanos, 2);
    assert_int_equal(out.last_login_time.nanos, 3);
    assert_string_equal(out.etag, "fedcba9876543210");
}

static void a_user_with_nothing(void **state)
{
    (void)state;
    struct mote_user user = {.state = MOTE_USER_ACTIVE, .version = 1};
    user_v1_User out;
    memset(&out, 0xff, sizeof out);
    mote_convert_user(&out, &user);
    assert_string_equal(out.username, "");
    assert_int_equal(out.roles_count, 0);
    assert_int_equal(out.state, user_v1_UserState_USER_STATE_ACTIVE);
    assert_false(out.has_last_login_time);
    assert_string_equal(out.etag, "0000000000000001");
}

/* What mote_convert_user makes is read back; anything else is the version that no user has. */
static void test_etag(void **state)
{
    (void)state;
    static const struct {
        const char *etag;
        uint64_t version;
    } cases[] = {
        {"0000000000000001", 1},
        {"0123456789abcdef", UINT64_C(0x0123456789abcdef)},
        {"ffffffffffffffff", UINT64_MAX},
        {"", 0},
        {"1", 0},
        {"000000000000001", 0},
        {"00000000000000001", 0},
        {"000000000000000A", 0},
        {"000000000000000g", 0},
        {"-000000000000001", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(mote_convert_etag(cases[i].etag) == cases[i].version);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_etag),           cmocka_unit_test(times_count_forward_on_both_sides_of_1970),
        cmocka_unit_test(roles_come_in_order), cmocka_unit_test(a_user_with_every_field_at_its_bound),
        cmocka_unit_test(a_user_with_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
