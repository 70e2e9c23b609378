/* SPDX-License-Identifier: Apache-2.0 */
/* Users: created, found, listed, changed; what is refused; what a read sees. */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "support/store_fixture.h"

#define NOW 1700000000000000000

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    fixture_open(&fixture, "memory:");
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    return 0;
}

static void test_create_and_get(void **state)
{
    struct fixture *fixture = *state;
    struct mote_user user;
    struct mote_user wanted;
    fixture_user(&wanted, 7);
    assert_int_equal(fixture_get_user(fixture, 7, &user), MOTE_ENOTFOUND);
    assert_int_equal(fixture_create_user(fixture, 7, NOW), 0);
    assert_int_equal(fixture_get_user(fixture, 7, &user), 0);
    assert_memory_equal(user.id, wanted.id, sizeof user.id);
    assert_string_equal(user.username, wanted.username);
    assert_string_equal(user.email, wanted.email);
    assert_string_equal(user.display_name, wanted.display_name);
    assert_string_equal(user.password_hash, wanted.password_hash);
    assert_int_equal(user.roles, 1);
    assert_int_equal(user.state, MOTE_USER_ACTIVE);
    assert_false(user.email_verified);
    assert_false(user.password_change_required);
    assert_true(user.create_time == NOW && user.update_time == NOW && user.last_login_time == 0);
    assert_true(user.epoch == 1 && user.version == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_and_get, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
