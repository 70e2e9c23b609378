/* SPDX-License-Identifier: Apache-2.0 */
/* The audit record by calls: which act leaves which row, and which leaves none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "pair/services_fixture.h"
#include "store/audit_log.h"

#define PASSWORD "correct horse battery"

struct environment {
    struct services_fixture fixture;
    struct services_tokens admin, alice;
    char folder[32];
    char url[64];
    int64_t seen; /* the last row that was looked at */
    unsigned rows;
    char last[1024];
};

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    struct services_fixture *fixture = &environment->fixture;
    snprintf(environment->folder, sizeof environment->folder, "/tmp/mote-audit-XXXXXX");
    assert_non_null(mkdtemp(environment->folder));
    snprintf(environment->url, sizeof environment->url, "sqlite:%s/mote.db", environment->folder);
    services_open(fixture, &(struct services_options){.url = environment->url});
    services_make_user(fixture, "admin", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_login(fixture, "admin", PASSWORD, &environment->admin);
    *state = environment;
    return 0;
}

static int tear_down(void **state)
{
    struct environment *environment = *state;
    static const char *const names[] = {"", "-wal", "-shm", ".lock"};
    services_close(&environment->fixture);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/mote.db%s", environment->folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(environment->folder), 0);
    free(environment);
    return 0;
}

static void take_row(void *context, const struct mote_audit_log_row *row)
{
    struct environment *environment = context;
    environment->rows++;
    environment->seen = row->id;
    snprintf(environment->last, sizeof environment->last, "%s %s %s %s [%s]%s%s", row->action, row->result,
             row->actor_name[0] != '\0' ? row->actor_name : row->actor, row->user_name, row->detail,
             row->session_id[0] != '\0' ? " session" : "", row->address[0] != '\0' ? "" : " no address");
}

/* How many rows are new; the last of them is in environment->last. */
static unsigned read_new(struct environment *environment)
{
    struct mote_audit_log *log;
    char problem[MOTE_STORE_PROBLEM_MAX];
    struct mote_audit_log_query query = {.after = environment->seen, .row = take_row, .context = environment};
    environment->rows = 0;
    assert_int_equal(mote_audit_log_open(&log, environment->url, problem), 0);
    assert_int_equal(mote_audit_log_read(log, &query), 0);
    mote_audit_log_close(log);
    return environment->rows;
}

/* Rows that nobody waits for come a little later. */
static unsigned wait_for_new(struct environment *environment)
{
    unsigned rows = read_new(environment);
    for (unsigned i = 0; rows == 0 && i < 500; i++) {
        usleep(10000);
        rows = read_new(environment);
    }
    return rows;
}

static void assert_row(struct environment *environment, const char *row)
{
    assert_int_equal(wait_for_new(environment), 1);
    assert_string_equal(environment->last, row);
}

static const char *as_admin(struct environment *environment, const struct mote_method *method, const void *request)
{
    struct services_answer *answer = services_call(&environment->fixture, method, request, environment->admin.access);
    return answer->status == SERVICES_PASSED ? NULL : answer->reason;
}

static void get_ready(struct environment *environment)
{
    services_login(&environment->fixture, "alice", PASSWORD, &environment->alice);
    assert_int_equal(read_new(environment), 2);
}

static void test_logins(void **state)
{
    struct environment *environment = *state;
    assert_row(environment, "Login OK admin admin [] session");
    services_login(&environment->fixture, "alice", PASSWORD, &environment->alice);
    assert_row(environment, "Login OK alice alice [] session");
    assert_true(services_failed(services_try_login(&environment->fixture, "alice", "wrong password"),
                                MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_INVALID"));
    assert_int_equal(read_new(environment), 0);
}

static void test_acts_of_administrators(void **state)
{
    struct environment *environment = *state;
    get_ready(environment);
    user_v1_CreateUserRequest create = {.has_user = true, .user.username = "carol"};
    create.user.roles_count = 2;
    create.user.roles[0] = user_v1_Role_ROLE_SERVICE;
    create.user.roles[1] = user_v1_Role_ROLE_USER;
    assert_null(as_admin(environment, &user_v1_UserService_CreateUser_method, &create));
    assert_row(environment, "CreateUser OK admin carol [roles: USER SERVICE]");
    assert_string_equal(as_admin(environment, &user_v1_UserService_CreateUser_method, &create), "USERNAME_TAKEN");

    user_v1_UpdateUserRequest update = {.has_user = true, .user = {.username = "alicia", .display_name = "A"}};
    memcpy(update.user.id, environment->alice.user_id, sizeof update.user.id);
    update.user.roles_count = 1;
    update.user.roles[0] = user_v1_Role_ROLE_ADMIN;
    update.validate_only = true;
    assert_null(as_admin(environment, &user_v1_UserService_UpdateUser_method, &update));
    assert_int_equal(read_new(environment), 0); /* the refusal before it, and what only validates */
    update.validate_only = false;
    assert_null(as_admin(environment, &user_v1_UserService_UpdateUser_method, &update));
    assert_row(environment, "UpdateUser OK admin alicia [username display_name roles: ADMIN]");
    assert_null(as_admin(environment, &user_v1_UserService_UpdateUser_method, &update));
    assert_int_equal(read_new(environment), 0); /* nothing changed */

    user_v1_DisableUserRequest disable = {.reason = "left the company"};
    memcpy(disable.id, environment->alice.user_id, sizeof disable.id);
    assert_null(as_admin(environment, &user_v1_UserService_DisableUser_method, &disable));
    assert_row(environment, "DisableUser OK admin alicia [left the company]");
    user_v1_EnableUserRequest enable = {.id = ""};
    memcpy(enable.id, environment->alice.user_id, sizeof enable.id);
    assert_null(as_admin(environment, &user_v1_UserService_EnableUser_method, &enable));
    assert_row(environment, "EnableUser OK admin alicia []");
    auth_v1_SetPasswordRequest set = {.new_password = "another long secret"};
    memcpy(set.user_id, environment->alice.user_id, sizeof set.user_id);
    assert_null(as_admin(environment, &auth_v1_AuthService_SetPassword_method, &set));
    assert_row(environment, "SetPassword OK admin alicia []");
    user_v1_DeleteUserRequest removal = {.id = ""};
    memcpy(removal.id, environment->alice.user_id, sizeof removal.id);
    assert_null(as_admin(environment, &user_v1_UserService_DeleteUser_method, &removal));
    assert_row(environment, "DeleteUser OK admin  []"); /* the name has gone with the user */
}

static void test_sessions(void **state)
{
    struct environment *environment = *state;
    get_ready(environment);
    auth_v1_RevokeSessionRequest revoke = {.session_id = ""};
    memcpy(revoke.session_id, environment->alice.session_id, sizeof revoke.session_id);
    assert_null(as_admin(environment, &auth_v1_AuthService_RevokeSession_method, &revoke));
    assert_row(environment, "RevokeSession OK admin alice [] session");
    services_login(&environment->fixture, "alice", PASSWORD, &environment->alice);
    assert_row(environment, "Login OK alice alice [] session");
    memcpy(revoke.session_id, environment->alice.session_id, sizeof revoke.session_id);
    struct services_answer *answer = services_call(&environment->fixture, &auth_v1_AuthService_RevokeSession_method,
                                                   &revoke, environment->alice.access);
    assert_int_equal(answer->status, SERVICES_PASSED);
    assert_int_equal(read_new(environment), 0); /* her own */
}

/* A rotation leaves nothing, a reuse does. */
static void test_refresh(void **state)
{
    struct environment *environment = *state;
    get_ready(environment);
    struct services_tokens old = environment->alice;
    assert_int_equal(services_refresh(&environment->fixture, &environment->alice)->status, SERVICES_PASSED);
    assert_int_equal(read_new(environment), 0);
    services_pass(&environment->fixture, 11);
    assert_true(services_failed(services_refresh(&environment->fixture, &old), MOTE_STATUS_UNAUTHENTICATED,
                                "REFRESH_TOKEN_REUSED"));
    assert_row(environment, "RefreshToken REFRESH_TOKEN_REUSED  alice [] session");
}

/* Either kind of token, once: the second time there is nothing to revoke. */
static void test_revoked_tokens(void **state)
{
    struct environment *environment = *state;
    get_ready(environment);
    auth_v1_RevokeTokenRequest revoke = {.token = ""};
    for (unsigned round = 0; round < 2; round++) {
        const char *token = round == 0 ? environment->alice.access : environment->alice.refresh;
        memcpy(revoke.token, token, strlen(token) + 1);
        for (unsigned i = 0; i < 2; i++) {
            const struct services_answer *answer =
                services_call(&environment->fixture, &auth_v1_AuthService_RevokeToken_method, &revoke, NULL);
            assert_int_equal(answer->status, SERVICES_PASSED);
        }
        assert_row(environment, "RevokeToken OK  alice [] session");
    }
}

static void test_own_acts(void **state)
{
    struct environment *environment = *state;
    get_ready(environment);
    struct services_fixture *fixture = &environment->fixture;
    user_v1_UpdateUserRequest update = {.has_user = true, .user = {.id = "me", .display_name = "Alice"}};
    struct services_answer *answer =
        services_call(fixture, &user_v1_UserService_UpdateUser_method, &update, environment->alice.access);
    assert_int_equal(answer->status, SERVICES_PASSED);
    assert_int_equal(read_new(environment), 0);
    auth_v1_ChangePasswordRequest change = {.current_password = PASSWORD, .new_password = "another long secret"};
    answer = services_call(fixture, &auth_v1_AuthService_ChangePassword_method, &change, environment->alice.access);
    assert_int_equal(answer->status, SERVICES_PASSED);
    assert_row(environment, "ChangePassword OK alice alice []");
    const user_v1_DeleteUserRequest removal = {.id = "me"};
    services_login(fixture, "alice", "another long secret", &environment->alice);
    answer = services_call(fixture, &user_v1_UserService_DeleteUser_method, &removal, environment->alice.access);
    assert_int_equal(answer->status, SERVICES_PASSED);
    assert_int_equal(read_new(environment), 2);
    assert_non_null(strstr(environment->last, "DeleteUser OK"));
}

/* However many are refused, there is one row a minute, and the next tells how many there were. */
static void test_throttled(void **state)
{
    enum { TRIES = 25 };
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    unsigned refused = 0;
    get_ready(environment);
    atomic_store(&fixture->monotonic_ns, (uint64_t)60 * MOTE_NS_PER_SECOND);
    for (unsigned i = 0; i < TRIES; i++) {
        const struct services_answer *answer = services_try_login(fixture, "nobody", "wrong password");
        refused += strcmp(answer->reason, "LOGIN_THROTTLED") == 0 ? 1 : 0;
    }
    assert_true(refused > 10);
    assert_row(environment, "Login LOGIN_THROTTLED   []");
    usleep(50000);
    assert_int_equal(read_new(environment), 0);
    atomic_fetch_add(&fixture->monotonic_ns, (uint64_t)59 * MOTE_NS_PER_SECOND); /* the pause lasts a minute more */
    (void)services_try_login(fixture, "nobody", "wrong password");
    atomic_fetch_add(&fixture->monotonic_ns, (uint64_t)2 * MOTE_NS_PER_SECOND);
    (void)services_try_login(fixture, "nobody", "wrong password");
    (void)services_try_login(fixture, "nobody", "wrong password");
    char row[96];
    assert_int_equal(wait_for_new(environment), 1);
    snprintf(row, sizeof row, "Login LOGIN_THROTTLED   [%u more were not recorded]", refused);
    assert_string_equal(environment->last, row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_acts_of_administrators, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sessions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refresh, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_revoked_tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_acts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_throttled, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
