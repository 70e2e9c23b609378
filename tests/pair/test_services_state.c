/* SPDX-License-Identifier: Apache-2.0 */
/* DisableUser, EnableUser and DeleteUser by calls: what ends with them, at once and after a restart, and each failure.
 */
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

#define PASSWORD "correct horse battery"
#define ABSENT   "0197a000-0000-7000-8000-00000000dead"

#define DELETE  &user_v1_UserService_DeleteUser_method
#define DISABLE &user_v1_UserService_DisableUser_method
#define ENABLE  &user_v1_UserService_EnableUser_method
#define GET     &user_v1_UserService_GetUser_method

struct environment {
    struct services_fixture fixture;
    struct services_tokens admin, alice, bob;
    char folder[32];
    char url[64];
};

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    struct services_fixture *fixture = &environment->fixture;
    snprintf(environment->folder, sizeof environment->folder, "/tmp/mote-state-XXXXXX");
    assert_non_null(mkdtemp(environment->folder));
    snprintf(environment->url, sizeof environment->url, "sqlite:%s/mote.db", environment->folder);
    services_open(fixture, &(struct services_options){.url = environment->url});
    services_make_user(fixture, "admin", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_make_user(fixture, "bob", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_login(fixture, "admin", PASSWORD, &environment->admin);
    services_login(fixture, "alice", PASSWORD, &environment->alice);
    services_login(fixture, "bob", PASSWORD, &environment->bob);
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

static void restart(struct environment *environment)
{
    services_close(&environment->fixture);
    services_open(&environment->fixture, &(struct services_options){.url = environment->url});
}

static struct services_answer *get_me(struct environment *environment, const struct services_tokens *tokens)
{
    const user_v1_GetUserRequest request = {.id = "me"};
    return services_call(&environment->fixture, GET, &request, tokens->access);
}

static struct services_answer *disable(struct environment *environment, const char *id, const char *token)
{
    user_v1_DisableUserRequest request = {.reason = "left the company"};
    snprintf(request.id, sizeof request.id, "%s", id);
    return services_call(&environment->fixture, DISABLE, &request, token);
}

static struct services_answer *enable(struct environment *environment, const char *id, const char *token)
{
    user_v1_EnableUserRequest request = {.id = ""};
    snprintf(request.id, sizeof request.id, "%s", id);
    return services_call(&environment->fixture, ENABLE, &request, token);
}

static struct services_answer *remove_user(struct environment *environment, const char *id, const char *etag,
                                           bool allow_missing, const char *token)
{
    user_v1_DeleteUserRequest request = {.allow_missing = allow_missing};
    snprintf(request.id, sizeof request.id, "%s", id);
    snprintf(request.etag, sizeof request.etag, "%s", etag);
    return services_call(&environment->fixture, DELETE, &request, token);
}

static void assert_over(struct environment *environment, struct services_tokens *tokens)
{
    assert_true(services_failed(get_me(environment, tokens), MOTE_STATUS_UNAUTHENTICATED, "SESSION_REVOKED"));
    assert_true(services_failed(services_refresh(&environment->fixture, tokens), MOTE_STATUS_UNAUTHENTICATED,
                                "REFRESH_TOKEN_INVALID"));
}

static void assert_no_login(struct environment *environment, const char *username)
{
    assert_true(services_failed(services_try_login(&environment->fixture, username, PASSWORD),
                                MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_INVALID"));
}

static void test_disable(void **state)
{
    struct environment *environment = *state;
    struct services_tokens second;
    services_login(&environment->fixture, "alice", PASSWORD, &second);
    assert_int_equal(get_me(environment, &second)->status, MOTE_STATUS_OK); /* its token is in the cache now */
    services_pass(&environment->fixture, 5);
    struct services_answer *answer = disable(environment, environment->alice.user_id, environment->admin.access);
    const user_v1_DisableUserResponse *response = (const user_v1_DisableUserResponse *)(const void *)answer->response;
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    assert_true(response->has_user);
    assert_string_equal(response->user.id, environment->alice.user_id);
    assert_int_equal(response->user.state, user_v1_UserState_USER_STATE_DISABLED);
    assert_int_equal(response->user.update_time.seconds, SERVICES_WALL + 5);
    assert_int_equal(response->revoked_session_count, 2);
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_over(environment, &environment->alice);
        assert_over(environment, &second);
        assert_no_login(environment, "alice");
        assert_int_equal(get_me(environment, &environment->bob)->status, MOTE_STATUS_OK);
        restart(environment);
    }
    answer = enable(environment, environment->alice.user_id, environment->admin.access);
    const user_v1_EnableUserResponse *enabled = (const user_v1_EnableUserResponse *)(const void *)answer->response;
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    assert_int_equal(enabled->user.state, user_v1_UserState_USER_STATE_ACTIVE);
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_over(environment, &environment->alice); /* what has ended stays so */
        assert_over(environment, &second);
        struct services_tokens fresh;
        services_login(&environment->fixture, "alice", PASSWORD, &fresh);
        assert_int_equal(get_me(environment, &fresh)->status, MOTE_STATUS_OK);
        assert_int_equal(services_refresh(&environment->fixture, &fresh)->status, MOTE_STATUS_OK);
        restart(environment);
    }
}

static void test_state_failures(void **state)
{
    struct environment *environment = *state;
    const char *admin = environment->admin.access;
    const char *alice = environment->alice.user_id;
    const enum mote_status precondition = MOTE_STATUS_FAILED_PRECONDITION;
    static const char *const bad[] = {"", "me", "nobody"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(services_names(disable(environment, bad[i], admin), "id"));
        assert_true(services_names(enable(environment, bad[i], admin), "id"));
    }
    assert_true(services_failed(disable(environment, ABSENT, admin), MOTE_STATUS_NOT_FOUND, "USER_NOT_FOUND"));
    assert_true(services_failed(enable(environment, ABSENT, admin), MOTE_STATUS_NOT_FOUND, "USER_NOT_FOUND"));
    assert_true(services_failed(enable(environment, alice, admin), precondition, "USER_STATE_CONFLICT"));
    assert_true(services_failed(disable(environment, environment->admin.user_id, admin), precondition, "LAST_ADMIN"));
    assert_int_equal(disable(environment, alice, admin)->status, MOTE_STATUS_OK);
    assert_true(services_failed(disable(environment, alice, admin), precondition, "USER_STATE_CONFLICT"));
    assert_true(services_failed(disable(environment, alice, environment->bob.access), MOTE_STATUS_PERMISSION_DENIED,
                                "PERMISSION_DENIED"));
    assert_int_equal(get_me(environment, &environment->admin)->status, MOTE_STATUS_OK);
    /* With another one an administrator may end their own work. */
    services_make_user(&environment->fixture, "admin2", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    assert_int_equal(disable(environment, environment->admin.user_id, admin)->status, MOTE_STATUS_OK);
    assert_over(environment, &environment->admin);
}

static void test_reason_bound(void **state)
{
    struct environment *environment = *state;
    user_v1_DisableUserRequest request = {.id = ""};
    memcpy(request.id, environment->alice.user_id, 37);
    memset(request.reason, 'r', 256);
    assert_int_equal(services_call(&environment->fixture, DISABLE, &request, environment->admin.access)->status,
                     MOTE_STATUS_OK);
}

static void test_delete(void **state)
{
    struct environment *environment = *state;
    const char *admin = environment->admin.access;
    assert_int_equal(get_me(environment, &environment->alice)->status, MOTE_STATUS_OK);
    assert_int_equal(remove_user(environment, environment->alice.user_id, "", false, admin)->status, MOTE_STATUS_OK);
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_over(environment, &environment->alice);
        assert_no_login(environment, "alice");
        assert_int_equal(get_me(environment, &environment->bob)->status, MOTE_STATUS_OK);
        restart(environment);
    }
    const char *id = environment->alice.user_id;
    assert_true(
        services_failed(remove_user(environment, id, "", false, admin), MOTE_STATUS_NOT_FOUND, "USER_NOT_FOUND"));
    assert_int_equal(remove_user(environment, id, "", true, admin)->status, MOTE_STATUS_OK);
    /* Themselves; and the name is free again, for someone else. */
    assert_int_equal(remove_user(environment, "me", "", false, environment->bob.access)->status, MOTE_STATUS_OK);
    assert_over(environment, &environment->bob);
    services_make_user(&environment->fixture, "bob", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    assert_over(environment, &environment->bob);
}

static void test_delete_failures(void **state)
{
    struct environment *environment = *state;
    const char *admin = environment->admin.access;
    const char *bob = environment->bob.access;
    const enum mote_status denied = MOTE_STATUS_PERMISSION_DENIED;
    static const char *const bad[] = {"", "nobody"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(services_names(remove_user(environment, bad[i], "", true, admin), "id"));
        assert_true(services_failed(remove_user(environment, bad[i], "", true, bob), denied, "PERMISSION_DENIED"));
    }
    assert_true(services_failed(remove_user(environment, ABSENT, "", true, bob), denied, "PERMISSION_DENIED"));
    assert_true(services_failed(remove_user(environment, environment->alice.user_id, "", true, bob), denied,
                                "PERMISSION_DENIED"));
    assert_true(services_failed(remove_user(environment, "me", "", false, admin), MOTE_STATUS_FAILED_PRECONDITION,
                                "LAST_ADMIN"));
    assert_int_equal(get_me(environment, &environment->admin)->status, MOTE_STATUS_OK);
    char etag[17];
    struct services_answer *answer = get_me(environment, &environment->alice);
    snprintf(etag, sizeof etag, "%.16s", ((const user_v1_GetUserResponse *)(const void *)answer->response)->user.etag);
    static const char *const old[] = {"0000000000000000", "0000000000000002",  "1",
                                      "000000000000000x", "00000000000000010", "*"};
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++) {
        assert_true(services_failed(remove_user(environment, environment->alice.user_id, old[i], true, admin),
                                    MOTE_STATUS_ABORTED, "ETAG_MISMATCH"));
    }
    assert_int_equal(remove_user(environment, environment->alice.user_id, etag, false, admin)->status, MOTE_STATUS_OK);
}

#define WITH_USERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_USERS(test_disable), WITH_USERS(test_state_failures),  WITH_USERS(test_reason_bound),
        WITH_USERS(test_delete),  WITH_USERS(test_delete_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
