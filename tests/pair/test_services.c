/* SPDX-License-Identifier: Apache-2.0 */
/* user.v1.UserService by calls: what each method does, and each of its failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "pair/services_fixture.h"

#define ADMIN_PASSWORD "correct horse battery"
#define ALICE_PASSWORD "tr0ub4dor and three"
#define ABSENT         "0197a000-0000-7000-8000-00000000dead"

#define CREATE &user_v1_UserService_CreateUser_method
#define GET    &user_v1_UserService_GetUser_method
#define UPDATE &user_v1_UserService_UpdateUser_method

struct environment {
    struct services_fixture fixture;
    struct services_tokens admin, alice, service;
};

static void populate(struct environment *environment)
{
    struct services_fixture *fixture = &environment->fixture;
    services_make_user(fixture, "admin", MOTE_ROLE_BIT_ADMIN, ADMIN_PASSWORD, NULL);
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, ALICE_PASSWORD, NULL);
    services_make_user(fixture, "gateway", MOTE_ROLE_BIT_SERVICE, ALICE_PASSWORD, NULL);
    services_login(fixture, "admin", ADMIN_PASSWORD, &environment->admin);
    services_login(fixture, "alice", ALICE_PASSWORD, &environment->alice);
    services_login(fixture, "gateway", ALICE_PASSWORD, &environment->service);
}

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    services_open(&environment->fixture, NULL);
    populate(environment);
    *state = environment;
    return 0;
}

static int set_up_open_signup(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    services_open(&environment->fixture, &(struct services_options){.signup_open = true});
    populate(environment);
    *state = environment;
    return 0;
}

static int tear_down(void **state)
{
    struct environment *environment = *state;
    services_close(&environment->fixture);
    free(environment);
    return 0;
}

static const user_v1_User *user_of(const struct services_answer *answer)
{
    /* CreateUser, GetUser and UpdateUser answer alike. */
    const user_v1_GetUserResponse *response = (const user_v1_GetUserResponse *)(const void *)answer->response;
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    assert_true(response->has_user);
    return &response->user;
}

static struct services_answer *get(struct environment *environment, const char *id, const char *token)
{
    user_v1_GetUserRequest request = {.id = ""};
    snprintf(request.id, sizeof request.id, "%s", id);
    return services_call(&environment->fixture, GET, &request, token);
}

static user_v1_CreateUserRequest new_user(const char *username)
{
    user_v1_CreateUserRequest request = {.has_user = true, .has_initial_password = true};
    snprintf(request.user.username, sizeof request.user.username, "%s", username);
    snprintf(request.initial_password, sizeof request.initial_password, "%s", "a fine password");
    return request;
}

/* --- GetUser --------------------------------------------------------------------------------------------------- */

static void test_get(void **state)
{
    struct environment *environment = *state;
    const user_v1_User *user = user_of(get(environment, "me", environment->alice.access));
    assert_string_equal(user->id, environment->alice.user_id);
    assert_string_equal(user->username, "alice");
    assert_string_equal(user->email, "alice@Example.org");
    assert_int_equal(user->roles_count, 1);
    assert_int_equal(user->roles[0], user_v1_Role_ROLE_USER);
    assert_int_equal(user->state, user_v1_UserState_USER_STATE_ACTIVE);
    assert_int_equal(user->create_time.seconds, SERVICES_WALL);
    assert_int_equal(strlen(user->etag), 16);
    user_of(get(environment, environment->alice.user_id, environment->alice.access));
    user_of(get(environment, environment->alice.user_id, environment->service.access));
    user = user_of(get(environment, environment->alice.user_id, environment->admin.access));
    assert_string_equal(user->username, "alice");
}

static void test_get_failures(void **state)
{
    struct environment *environment = *state;
    const char *alice = environment->alice.access;
    const char *admin = environment->admin.access;
    const enum mote_status denied = MOTE_STATUS_PERMISSION_DENIED;
    /* Someone else's record, existing or not, or no id at all: all the same to someone who may not. */
    assert_true(services_failed(get(environment, environment->admin.user_id, alice), denied, "PERMISSION_DENIED"));
    assert_true(services_failed(get(environment, ABSENT, alice), denied, "PERMISSION_DENIED"));
    assert_true(services_failed(get(environment, "nobody", alice), denied, "PERMISSION_DENIED"));
    assert_true(services_failed(get(environment, ABSENT, admin), MOTE_STATUS_NOT_FOUND, "USER_NOT_FOUND"));
    assert_true(services_failed(get(environment, ABSENT, environment->service.access), MOTE_STATUS_NOT_FOUND,
                                "USER_NOT_FOUND"));
    assert_true(services_names(get(environment, "nobody", admin), "id"));
    assert_true(services_names(get(environment, "", admin), "id"));
}

/* --- CreateUser ------------------------------------------------------------------------------------------------ */

static void test_create(void **state)
{
    struct environment *environment = *state;
    user_v1_CreateUserRequest request = new_user("Bob.Smith");
    snprintf(request.user.id, sizeof request.user.id, "%s", ABSENT); /* output only: ignored */
    snprintf(request.user.email, sizeof request.user.email, "%s", "Bob@Example.org");
    snprintf(request.user.display_name, sizeof request.user.display_name, "%s", "Bob \xc3\x9f");
    request.user.roles_count = 2;
    request.user.roles[0] = user_v1_Role_ROLE_SERVICE;
    request.user.roles[1] = user_v1_Role_ROLE_USER;
    request.user.email_verified = true;
    request.user.state = user_v1_UserState_USER_STATE_DISABLED;
    services_pass(&environment->fixture, 5);
    struct services_answer *answer = services_call(&environment->fixture, CREATE, &request, environment->admin.access);
    const user_v1_User *user = user_of(answer);
    assert_string_equal(user->username, "bob.smith");
    assert_string_equal(user->email, "Bob@Example.org");
    assert_string_equal(user->display_name, "Bob \xc3\x9f");
    assert_int_equal(user->roles_count, 2);
    assert_int_equal(user->roles[1], user_v1_Role_ROLE_SERVICE);
    assert_int_equal(user->state, user_v1_UserState_USER_STATE_ACTIVE);
    assert_true(user->email_verified);
    assert_string_not_equal(user->id, ABSENT);
    assert_int_equal(user->id[14], '7');
    assert_int_equal(user->create_time.seconds, SERVICES_WALL + 5);
    struct services_tokens bob;
    services_login(&environment->fixture, "BOB.Smith", "a fine password", &bob);
    user_of(get(environment, "me", bob.access));
}

static void test_create_without_password(void **state)
{
    struct environment *environment = *state;
    user_v1_CreateUserRequest request = new_user("bob");
    request.has_initial_password = false;
    user_of(services_call(&environment->fixture, CREATE, &request, environment->admin.access));
    static const char *const passwords[] = {"a fine password", "x"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(services_failed(services_try_login(&environment->fixture, "bob", passwords[i]),
                                    MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_INVALID"));
    }
}

static void test_create_taken(void **state)
{
    struct environment *environment = *state;
    user_v1_CreateUserRequest request = new_user("ALICE");
    assert_true(services_failed(services_call(&environment->fixture, CREATE, &request, environment->admin.access),
                                MOTE_STATUS_ALREADY_EXISTS, "USERNAME_TAKEN"));
    request = new_user("bob");
    snprintf(request.user.email, sizeof request.user.email, "%s", "ALICE@example.ORG");
    assert_true(services_failed(services_call(&environment->fixture, CREATE, &request, environment->admin.access),
                                MOTE_STATUS_ALREADY_EXISTS, "EMAIL_TAKEN"));
}

static void test_create_names_every_violation(void **state)
{
    struct environment *environment = *state;
    user_v1_CreateUserRequest request = new_user("1");
    snprintf(request.user.email, sizeof request.user.email, "%s", "no address");
    snprintf(request.user.display_name, sizeof request.user.display_name, "%s", " ");
    request.user.roles_count = 2;
    request.user.roles[0] = request.user.roles[1] = user_v1_Role_ROLE_USER;
    snprintf(request.initial_password, sizeof request.initial_password, "%s", "short");
    snprintf(request.request_id, sizeof request.request_id, "%.35s", ABSENT);
    struct services_answer *answer = services_call(&environment->fixture, CREATE, &request, environment->admin.access);
    static const char *const fields[] = {"user.username", "user.email", "user.display_name",
                                         "user.roles",    "request_id", "initial_password"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        assert_true(services_names(answer, fields[i]));
    }
    assert_int_equal(answer->violations.field_violations_count, sizeof fields / sizeof fields[0]);
    request = (user_v1_CreateUserRequest){0};
    answer = services_call(&environment->fixture, CREATE, &request, environment->admin.access);
    assert_true(services_names(answer, "user"));
    /* Nothing was made. */
    assert_true(services_failed(services_try_login(&environment->fixture, "1", "short"), MOTE_STATUS_UNAUTHENTICATED,
                                "CREDENTIALS_INVALID"));
}

static void test_open_signup(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    user_v1_CreateUserRequest request = new_user("bob");
    request.user.roles_count = 1;
    request.user.roles[0] = user_v1_Role_ROLE_ADMIN;
    request.user.email_verified = true;
    const user_v1_User *user = user_of(services_call(fixture, CREATE, &request, NULL));
    assert_int_equal(user->roles_count, 1);
    assert_int_equal(user->roles[0], user_v1_Role_ROLE_USER);
    assert_false(user->email_verified);
    /* Not an administrator: the same. */
    request = new_user("carol");
    request.user.roles_count = 1;
    request.user.roles[0] = user_v1_Role_ROLE_ADMIN;
    user = user_of(services_call(fixture, CREATE, &request, environment->alice.access));
    assert_int_equal(user->roles[0], user_v1_Role_ROLE_USER);
    /* An administrator still gives roles. */
    request = new_user("dave");
    request.user.roles_count = 1;
    request.user.roles[0] = user_v1_Role_ROLE_ADMIN;
    user = user_of(services_call(fixture, CREATE, &request, environment->admin.access));
    assert_int_equal(user->roles[0], user_v1_Role_ROLE_ADMIN);
    /* Without a password nobody could log in; and who shows credentials wants them to count. */
    request = new_user("erin");
    request.has_initial_password = false;
    assert_true(services_names(services_call(fixture, CREATE, &request, NULL), "initial_password"));
    request = new_user("erin");
    assert_true(services_failed(services_call(fixture, CREATE, &request, "no.good.token"), MOTE_STATUS_UNAUTHENTICATED,
                                "TOKEN_INVALID"));
}

/* Who asks what is taken, with or without creating anybody, gets five answers for a name and thirty in a minute. */
static void test_open_signup_is_throttled(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    user_v1_CreateUserRequest request = new_user("Alice");
    for (unsigned i = 0; i < 5; i++) {
        request.validate_only = i % 2 == 0;
        assert_true(services_failed(services_call(fixture, CREATE, &request, NULL), MOTE_STATUS_ALREADY_EXISTS,
                                    "USERNAME_TAKEN"));
    }
    const struct services_answer *answer = services_call(fixture, CREATE, &request, NULL);
    assert_true(services_failed(answer, MOTE_STATUS_RESOURCE_EXHAUSTED, "LOGIN_THROTTLED"));
    assert_int_equal(answer->retry_ms, 60000);
    /* Whose name it is can log in. */
    struct services_tokens tokens;
    services_login(fixture, "alice", ALICE_PASSWORD, &tokens);
    for (unsigned i = 0; i < 25; i++) {
        request = new_user("fresh");
        snprintf(request.user.username, sizeof request.user.username, "fresh%u", i);
        snprintf(request.user.email, sizeof request.user.email, "ALICE@example.org");
        request.validate_only = true;
        assert_true(
            services_failed(services_call(fixture, CREATE, &request, NULL), MOTE_STATUS_ALREADY_EXISTS, "EMAIL_TAKEN"));
    }
    /* Now for names that are free, too, and by any user; not by an administrator. */
    request = new_user("bob");
    assert_true(services_failed(services_call(fixture, CREATE, &request, NULL), MOTE_STATUS_RESOURCE_EXHAUSTED,
                                "LOGIN_THROTTLED"));
    assert_true(services_failed(services_call(fixture, CREATE, &request, environment->alice.access),
                                MOTE_STATUS_RESOURCE_EXHAUSTED, "LOGIN_THROTTLED"));
    user_of(services_call(fixture, CREATE, &request, environment->admin.access));
    services_wait_out(fixture, 60000);
    request = new_user("carol");
    user_of(services_call(fixture, CREATE, &request, NULL));
}

/* --- UpdateUser ------------------------------------------------------------------------------------------------ */

static user_v1_UpdateUserRequest change(const char *id)
{
    user_v1_UpdateUserRequest request = {.has_user = true};
    snprintf(request.user.id, sizeof request.user.id, "%s", id);
    return request;
}

static void mask(user_v1_UpdateUserRequest *request, const char *path)
{
    request->has_update_mask = true;
    snprintf(request->update_mask.paths[request->update_mask.paths_count++], 65, "%s", path);
}

static struct services_answer *update(struct environment *environment, const user_v1_UpdateUserRequest *request,
                                      const char *token)
{
    return services_call(&environment->fixture, UPDATE, request, token);
}

static void test_update_self(void **state)
{
    struct environment *environment = *state;
    const char *alice = environment->alice.access;
    services_pass(&environment->fixture, 60);
    user_v1_UpdateUserRequest request = change("me");
    snprintf(request.user.display_name, sizeof request.user.display_name, "%s", "Alice A.");
    const user_v1_User *user = user_of(update(environment, &request, alice));
    assert_string_equal(user->display_name, "Alice A.");
    assert_string_equal(user->email, "alice@Example.org");
    assert_int_equal(user->update_time.seconds, SERVICES_WALL + 60);
    char etag[17];
    snprintf(etag, sizeof etag, "%.16s", user->etag);
    /* By a mask: what is empty is cleared, what is not named stays, output-only paths are ignored. */
    request = change(environment->alice.user_id);
    mask(&request, "email");
    mask(&request, "state");
    mask(&request, "etag");
    snprintf(request.user.display_name, sizeof request.user.display_name, "%s", "ignored");
    user = user_of(update(environment, &request, alice));
    assert_string_equal(user->email, "");
    assert_string_equal(user->display_name, "Alice A.");
    assert_string_not_equal(user->etag, etag);
    /* Everything this caller may change. */
    request = change("me");
    mask(&request, "*");
    snprintf(request.user.username, sizeof request.user.username, "%s", "mallory");
    snprintf(request.user.email, sizeof request.user.email, "%s", "new@example.org");
    user = user_of(update(environment, &request, alice));
    assert_string_equal(user->username, "alice");
    assert_string_equal(user->email, "new@example.org");
    assert_string_equal(user->display_name, "");
    /* Nothing. */
    request = change("me");
    snprintf(etag, sizeof etag, "%.16s", user->etag);
    user = user_of(update(environment, &request, alice));
    assert_string_equal(user->etag, etag);
}

static void test_update_by_admin(void **state)
{
    struct environment *environment = *state;
    const char *admin = environment->admin.access;
    user_v1_UpdateUserRequest request = change(environment->alice.user_id);
    snprintf(request.user.username, sizeof request.user.username, "%s", "Alicia");
    request.user.email_verified = true;
    const user_v1_User *user = user_of(update(environment, &request, admin));
    assert_string_equal(user->username, "alicia");
    assert_true(user->email_verified);
    /* A new email is not verified. */
    request = change(environment->alice.user_id);
    snprintf(request.user.email, sizeof request.user.email, "%s", "alicia@example.org");
    user = user_of(update(environment, &request, admin));
    assert_false(user->email_verified);
    /* Unless both are said. */
    request = change(environment->alice.user_id);
    snprintf(request.user.email, sizeof request.user.email, "%s", "alicia2@example.org");
    request.user.email_verified = true;
    user = user_of(update(environment, &request, admin));
    assert_true(user->email_verified);
    struct services_tokens alicia;
    services_login(&environment->fixture, "alicia", ALICE_PASSWORD, &alicia);
}

static void test_update_permissions(void **state)
{
    struct environment *environment = *state;
    const char *alice = environment->alice.access;
    const enum mote_status denied = MOTE_STATUS_PERMISSION_DENIED;
    static const char *const paths[] = {"username", "roles", "email_verified"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        user_v1_UpdateUserRequest request = change("me");
        mask(&request, paths[i]);
        assert_true(services_failed(update(environment, &request, alice), denied, "PERMISSION_DENIED"));
    }
    user_v1_UpdateUserRequest request = change("me");
    request.user.roles_count = 1;
    request.user.roles[0] = user_v1_Role_ROLE_ADMIN;
    assert_true(services_failed(update(environment, &request, alice), denied, "PERMISSION_DENIED"));
    static const char *const ids[] = {ABSENT, "nobody", ""};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        request = change(ids[i]);
        assert_true(services_failed(update(environment, &request, alice), denied, "PERMISSION_DENIED"));
        assert_true(
            services_failed(update(environment, &request, environment->service.access), denied, "PERMISSION_DENIED"));
    }
    request = change(ABSENT);
    mask(&request, "display_name");
    assert_true(services_failed(update(environment, &request, environment->admin.access), MOTE_STATUS_NOT_FOUND,
                                "USER_NOT_FOUND"));
}

static void test_update_violations(void **state)
{
    struct environment *environment = *state;
    const char *admin = environment->admin.access;
    user_v1_UpdateUserRequest request = change("nobody");
    mask(&request, "username");
    mask(&request, "email");
    mask(&request, "display_name");
    mask(&request, "roles");
    mask(&request, "*");
    mask(&request, "password");
    snprintf(request.user.email, sizeof request.user.email, "%s", "x");
    snprintf(request.user.display_name, sizeof request.user.display_name, "%s", "\x01");
    request.user.roles_count = 1;
    struct services_answer *answer = update(environment, &request, admin);
    static const char *const fields[] = {"user.id",           "user.username", "user.email",
                                         "user.display_name", "user.roles",    "update_mask"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        assert_true(services_names(answer, fields[i]));
    }
    request = change("me");
    for (size_t i = 0; i < 8; i++) {
        mask(&request, "display_name");
    }
    user_of(update(environment, &request, admin));
}

static void test_update_taken(void **state)
{
    struct environment *environment = *state;
    user_v1_UpdateUserRequest request = change(environment->alice.user_id);
    snprintf(request.user.username, sizeof request.user.username, "%s", "gateway");
    assert_true(services_failed(update(environment, &request, environment->admin.access), MOTE_STATUS_ALREADY_EXISTS,
                                "USERNAME_TAKEN"));
    request = change("me");
    snprintf(request.user.email, sizeof request.user.email, "%s", "ADMIN@example.org");
    assert_true(services_failed(update(environment, &request, environment->alice.access), MOTE_STATUS_ALREADY_EXISTS,
                                "EMAIL_TAKEN"));
}

static void test_the_last_admin_is_kept(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    user_v1_UpdateUserRequest demotion = change("me");
    mask(&demotion, "roles");
    assert_true(services_failed(update(environment, &demotion, environment->admin.access),
                                MOTE_STATUS_FAILED_PRECONDITION, "LAST_ADMIN"));
    services_make_user(fixture, "admin2", MOTE_ROLE_BIT_ADMIN, ADMIN_PASSWORD, NULL);
    const user_v1_User *user = user_of(update(environment, &demotion, environment->admin.access));
    assert_int_equal(user->roles[0], user_v1_Role_ROLE_USER);
    /* The old token is over at once; a refresh gives one with the new roles. */
    assert_true(
        services_failed(get(environment, "me", environment->admin.access), MOTE_STATUS_UNAUTHENTICATED, "TOKEN_STALE"));
    assert_int_equal(services_refresh(fixture, &environment->admin)->status, MOTE_STATUS_OK);
    user_of(get(environment, "me", environment->admin.access));
    assert_true(services_failed(get(environment, environment->alice.user_id, environment->admin.access),
                                MOTE_STATUS_PERMISSION_DENIED, "PERMISSION_DENIED"));
}

/* --- HealthCheck and the rest ---------------------------------------------------------------------------------- */

static bool is_not_serving(void *context)
{
    (void)context;
    return false;
}

static void test_health_check(void **state)
{
    struct environment *environment = *state;
    google_protobuf_Empty request = {0};
    services_pass(&environment->fixture, 7);
    struct services_answer *answer =
        services_call(&environment->fixture, &user_v1_UserService_HealthCheck_method, &request, NULL);
    const user_v1_HealthCheckResponse *response = (const user_v1_HealthCheckResponse *)(const void *)answer->response;
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    assert_string_equal(response->status, "SERVING");
    assert_true(response->has_timestamp);
    assert_int_equal(response->timestamp.seconds, SERVICES_WALL + 7);
    environment->fixture.services.is_serving = is_not_serving;
    services_call(&environment->fixture, &user_v1_UserService_HealthCheck_method, &request, "nonsense");
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    assert_string_equal(response->status, "NOT_SERVING");
}

#define WITH_USERS(test)  cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define OPEN_SIGNUP(test) cmocka_unit_test_setup_teardown(test, set_up_open_signup, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_USERS(test_get),
        WITH_USERS(test_get_failures),
        WITH_USERS(test_create),
        WITH_USERS(test_create_without_password),
        WITH_USERS(test_create_taken),
        WITH_USERS(test_create_names_every_violation),
        OPEN_SIGNUP(test_open_signup),
        OPEN_SIGNUP(test_open_signup_is_throttled),
        WITH_USERS(test_update_self),
        WITH_USERS(test_update_by_admin),
        WITH_USERS(test_update_permissions),
        WITH_USERS(test_update_violations),
        WITH_USERS(test_update_taken),
        WITH_USERS(test_the_last_admin_is_kept),
        WITH_USERS(test_health_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
