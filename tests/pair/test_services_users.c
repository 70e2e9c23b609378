/* SPDX-License-Identifier: Apache-2.0 */
/* What guards changes of users: etags, requests that only check, imports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pair/services_fixture.h"
#include "security/jwt.h"
#include "support/failing_mem.h"

#define ADMIN_PASSWORD "correct horse battery"
#define ALICE_PASSWORD "a fine password"
#define HASH           "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk"

#define CREATE &user_v1_UserService_CreateUser_method
#define UPDATE &user_v1_UserService_UpdateUser_method
#define IMPORT &user_v1_UserService_ImportUsers_method

struct environment {
    struct services_fixture fixture;
    struct services_tokens admin, alice;
    struct mote_failing_mem mem;
};

static int set_up_with(void **state, bool signup_open)
{
    struct environment *environment = calloc(1, sizeof *environment);
    struct services_fixture *fixture = &environment->fixture;
    mote_failing_mem_init(&environment->mem);
    services_open(fixture, &(struct services_options){.signup_open = signup_open, .mem = &environment->mem.mem});
    services_make_user(fixture, "admin", MOTE_ROLE_BIT_ADMIN, ADMIN_PASSWORD, NULL);
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, ALICE_PASSWORD, NULL);
    services_login(fixture, "admin", ADMIN_PASSWORD, &environment->admin);
    services_login(fixture, "alice", ALICE_PASSWORD, &environment->alice);
    *state = environment;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, false);
}

static int tear_down(void **state)
{
    struct environment *environment = *state;
    services_close(&environment->fixture);
    assert_int_equal(environment->mem.live_count, 0);
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

static user_v1_User get(struct environment *environment, const char *id)
{
    user_v1_GetUserRequest request = {.id = ""};
    snprintf(request.id, sizeof request.id, "%s", id);
    return *user_of(
        services_call(&environment->fixture, &user_v1_UserService_GetUser_method, &request, environment->admin.access));
}

static user_v1_CreateUserRequest new_user(const char *username)
{
    user_v1_CreateUserRequest request = {.has_user = true, .has_initial_password = true};
    snprintf(request.user.username, sizeof request.user.username, "%s", username);
    snprintf(request.initial_password, sizeof request.initial_password, "%s", "a fine password");
    return request;
}

static user_v1_UpdateUserRequest rename_alice(const struct environment *environment, const char *display_name)
{
    user_v1_UpdateUserRequest request = {.has_user = true};
    snprintf(request.user.id, sizeof request.user.id, "%s", environment->alice.user_id);
    snprintf(request.user.display_name, sizeof request.user.display_name, "%s", display_name);
    return request;
}

/* --- etag ------------------------------------------------------------------------------------------------------ */

static void test_etag(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    const char *admin = environment->admin.access;
    user_v1_UpdateUserRequest request = rename_alice(environment, "one");
    memcpy(request.user.etag, get(environment, environment->alice.user_id).etag, sizeof request.user.etag);
    char fresh[65];
    snprintf(fresh, sizeof fresh, "%s", user_of(services_call(fixture, UPDATE, &request, admin))->etag);
    assert_string_not_equal(fresh, request.user.etag);
    /* Now it is old; and what never was an etag is no present one either. */
    assert_true(services_failed(services_call(fixture, UPDATE, &request, admin), MOTE_STATUS_ABORTED, "ETAG_MISMATCH"));
    static const char *const others[] = {"x", "0000000000000000", "ffffffffffffffff", "000000000000002 ", "2"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(request.user.etag, sizeof request.user.etag, "%s", others[i]);
        assert_true(
            services_failed(services_call(fixture, UPDATE, &request, admin), MOTE_STATUS_ABORTED, "ETAG_MISMATCH"));
    }
    memcpy(request.user.etag, fresh, sizeof fresh);
    user_of(services_call(fixture, UPDATE, &request, admin));
    assert_string_equal(get(environment, environment->alice.user_id).etag, fresh); /* nothing was changed */
}

/* Of many changes that all began with the same record one is made. */
static void test_etag_of_many_at_once(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    user_v1_User before = get(environment, environment->alice.user_id);
    struct services_answer *answers[16];
    size_t changed = 0;
    for (size_t i = 0; i < 16; i++) {
        char text[16];
        snprintf(text, sizeof text, "name %zu", i);
        user_v1_UpdateUserRequest request = rename_alice(environment, text);
        memcpy(request.user.etag, before.etag, sizeof before.etag);
        answers[i] = services_start(fixture, i + 1, UPDATE, &request, environment->admin.access);
    }
    for (size_t i = 0; i < 16; i++) {
        services_wait(fixture, answers[i]);
        if (answers[i]->status == MOTE_STATUS_OK) {
            changed++;
        } else {
            assert_true(services_failed(answers[i], MOTE_STATUS_ABORTED, "ETAG_MISMATCH"));
        }
    }
    assert_int_equal(changed, 1);
}

/* --- validate_only --------------------------------------------------------------------------------------------- */

static void test_create_validate_only(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    const char *admin = environment->admin.access;
    uint64_t commit = mote_store_commit_number(fixture->store);
    user_v1_CreateUserRequest request = new_user("Bob");
    request.validate_only = true;
    const user_v1_User *user = user_of(services_call(fixture, CREATE, &request, admin));
    assert_string_equal(user->username, "bob");
    assert_int_equal(user->roles_count, 1);
    assert_int_equal(user->state, user_v1_UserState_USER_STATE_ACTIVE);
    assert_string_equal(user->id, "");
    assert_string_equal(user->etag, "");
    assert_false(user->has_create_time || user->has_update_time || user->has_last_login_time);
    assert_int_equal(mote_store_commit_number(fixture->store), commit);
    snprintf(request.user.username, sizeof request.user.username, "alice");
    assert_true(
        services_failed(services_call(fixture, CREATE, &request, admin), MOTE_STATUS_ALREADY_EXISTS, "USERNAME_TAKEN"));
    snprintf(request.user.username, sizeof request.user.username, "bob");
    snprintf(request.user.email, sizeof request.user.email, "ALICE@example.org");
    assert_true(
        services_failed(services_call(fixture, CREATE, &request, admin), MOTE_STATUS_ALREADY_EXISTS, "EMAIL_TAKEN"));
    snprintf(request.initial_password, sizeof request.initial_password, "short");
    assert_true(services_names(services_call(fixture, CREATE, &request, admin), "initial_password"));
    assert_int_equal(mote_store_commit_number(fixture->store), commit);
}

static void test_update_validate_only(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    const char *admin = environment->admin.access;
    user_v1_User before = get(environment, environment->alice.user_id);
    uint64_t commit = mote_store_commit_number(fixture->store);
    user_v1_UpdateUserRequest request = rename_alice(environment, "would be");
    request.validate_only = true;
    services_pass(fixture, 60);
    const user_v1_User *user = user_of(services_call(fixture, UPDATE, &request, admin));
    assert_string_equal(user->display_name, "would be");
    assert_string_equal(user->etag, before.etag); /* good for the change itself */
    assert_int_equal(user->update_time.seconds, before.update_time.seconds);
    assert_string_equal(get(environment, environment->alice.user_id).display_name, before.display_name);
    snprintf(request.user.etag, sizeof request.user.etag, "0000000000000009");
    assert_true(services_failed(services_call(fixture, UPDATE, &request, admin), MOTE_STATUS_ABORTED, "ETAG_MISMATCH"));
    request = rename_alice(environment, "");
    request.validate_only = true;
    snprintf(request.user.username, sizeof request.user.username, "admin");
    assert_true(
        services_failed(services_call(fixture, UPDATE, &request, admin), MOTE_STATUS_ALREADY_EXISTS, "USERNAME_TAKEN"));
    user_v1_UpdateUserRequest demotion = {.has_user = true, .validate_only = true};
    snprintf(demotion.user.id, sizeof demotion.user.id, "me");
    demotion.user.roles_count = 1;
    demotion.user.roles[0] = user_v1_Role_ROLE_USER;
    assert_true(services_failed(services_call(fixture, UPDATE, &demotion, admin), MOTE_STATUS_FAILED_PRECONDITION,
                                "LAST_ADMIN"));
    snprintf(demotion.user.id, sizeof demotion.user.id, "00000000-0000-7000-8000-000000000000");
    assert_true(
        services_failed(services_call(fixture, UPDATE, &demotion, admin), MOTE_STATUS_NOT_FOUND, "USER_NOT_FOUND"));
    assert_int_equal(mote_store_commit_number(fixture->store), commit);
}

/* --- request_id ------------------------------------------------------------------------------------------------ */

#define REQUEST_ID "6f1c1b52-0d0c-4c1f-9a51-3f6a5d0f2b11"

static user_v1_CreateUserRequest new_request(const char *username)
{
    user_v1_CreateUserRequest request = new_user(username);
    snprintf(request.request_id, sizeof request.request_id, REQUEST_ID);
    return request;
}

/* The first answer, without a hash or an id: there is no randomness for one. */
static void test_request_is_answered_again(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    const char *admin = environment->admin.access;
    user_v1_CreateUserRequest request = new_request("bob");
    user_v1_User first = *user_of(services_call(fixture, CREATE, &request, admin));
    services_pass(fixture, 599);
    fixture->random_error = MOTE_ERANDOM;
    snprintf(request.user.username, sizeof request.user.username, "BOB");
    user_v1_User second = *user_of(services_call(fixture, CREATE, &request, admin));
    fixture->random_error = 0;
    assert_string_equal(second.id, first.id);
    assert_string_equal(second.etag, first.etag);
    assert_int_equal(second.create_time.seconds, first.create_time.seconds);
    request.validate_only = true; /* the id is not looked at */
    assert_true(
        services_failed(services_call(fixture, CREATE, &request, admin), MOTE_STATUS_ALREADY_EXISTS, "USERNAME_TAKEN"));
    request.validate_only = false;
    services_pass(fixture, 2);
    assert_true(
        services_failed(services_call(fixture, CREATE, &request, admin), MOTE_STATUS_ALREADY_EXISTS, "USERNAME_TAKEN"));
}

static void test_request_of_a_user_who_is_gone(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    const char *admin = environment->admin.access;
    user_v1_CreateUserRequest request = new_request("bob");
    user_v1_DeleteUserRequest removal = {.id = ""};
    snprintf(removal.id, sizeof removal.id, "%s", user_of(services_call(fixture, CREATE, &request, admin))->id);
    assert_int_equal(services_call(fixture, &user_v1_UserService_DeleteUser_method, &removal, admin)->status,
                     MOTE_STATUS_OK);
    assert_true(
        services_failed(services_call(fixture, CREATE, &request, admin), MOTE_STATUS_NOT_FOUND, "USER_NOT_FOUND"));
}

static void test_request_with_other_content(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    const char *admin = environment->admin.access;
    const user_v1_CreateUserRequest first = new_request("bob");
    user_of(services_call(fixture, CREATE, &first, admin));
    user_v1_CreateUserRequest others[6];
    for (size_t i = 0; i < 6; i++) {
        others[i] = first;
    }
    snprintf(others[0].user.username, sizeof others[0].user.username, "carol");
    snprintf(others[1].user.email, sizeof others[1].user.email, "bob@example.org");
    snprintf(others[2].user.display_name, sizeof others[2].user.display_name, "Bob");
    others[3].user.email_verified = true;
    snprintf(others[3].user.email, sizeof others[3].user.email, "bob@example.org");
    snprintf(others[4].initial_password, sizeof others[4].initial_password, "another fine password");
    others[5].has_initial_password = false;
    for (size_t i = 0; i < 6; i++) {
        assert_true(services_names(services_call(fixture, CREATE, &others[i], admin), "request_id"));
    }
    static const char *const malformed[] = {"x", "6f1c1b52-0d0c-4c1f-9a51-3f6a5d0f2b1", REQUEST_ID "0"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(others[0].request_id, sizeof others[0].request_id, "%s", malformed[i]);
        assert_true(services_names(services_call(fixture, CREATE, &others[0], admin), "request_id"));
    }
}

/* One creates; the others get its user, or are told that theirs was another request. */
static void test_requests_at_once(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct services_answer *answers[8];
    size_t created[2] = {0};
    char id[65] = "";
    for (size_t i = 0; i < 8; i++) {
        user_v1_CreateUserRequest request = new_request(i % 2 == 0 ? "bob" : "carol");
        answers[i] = services_start(fixture, i + 1, CREATE, &request, environment->admin.access);
    }
    for (size_t i = 0; i < 8; i++) {
        services_wait(fixture, answers[i]);
        if (answers[i]->status != MOTE_STATUS_OK) {
            assert_true(services_names(answers[i], "request_id"));
            continue;
        }
        created[i % 2]++;
        assert_true(id[0] == '\0' || strcmp(id, user_of(answers[i])->id) == 0);
        snprintf(id, sizeof id, "%s", user_of(answers[i])->id);
    }
    assert_true(created[0] + created[1] == 4 && (created[0] == 0 || created[1] == 0));
}

/* --- ImportUsers ----------------------------------------------------------------------------------------------- */

static struct services_answer *begin_import(struct environment *environment)
{
    return services_start(&environment->fixture, 1, IMPORT, NULL, environment->admin.access);
}

static void send(struct environment *environment, struct services_answer *answer, const char *username,
                 const char *password)
{
    user_v1_ImportUsersRequest request = {.has_user = true, .has_initial_password = password != NULL};
    snprintf(request.user.username, sizeof request.user.username, "%s", username);
    snprintf(request.initial_password, sizeof request.initial_password, "%s", password != NULL ? password : "");
    assert_int_equal(mote_client_call_send(answer->call, &request), 0);
    services_turn(&environment->fixture, false);
}

static const user_v1_ImportUsersResponse *end_import(struct environment *environment, struct services_answer *answer)
{
    assert_int_equal(mote_client_call_half_close(answer->call), 0);
    services_wait(&environment->fixture, answer);
    return (const user_v1_ImportUsersResponse *)(const void *)answer->response;
}

static void test_import(void **state)
{
    struct environment *environment = *state;
    struct services_answer *answer = begin_import(environment);
    send(environment, answer, "Bob", "a fine password");
    send(environment, answer, "alice", NULL);
    send(environment, answer, "carol", HASH);
    send(environment, answer, "bob", NULL); /* the first is hashed still, and is the one who is created */
    send(environment, answer, "me", NULL);
    send(environment, answer, "dave", "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$ZGlnZXN0ZGlnZXN0ZGlnZXN0");
    send(environment, answer, "dave", "pbkdf2-sha256$nonsense");
    send(environment, answer, "dave", "Dave");
    send(environment, answer, "dave", NULL);
    send(environment, answer, "erin",
         "$pbkdf2-sha256$i=1000$c29tZXNhbHRzb21lc2FsdA$s5LQUeAEZUMuFVrnmF3OMNPXs3QWnF8SO/5BXmCj6QQ");
    send(environment, answer, "frank", "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW"); /* bcrypt */
    const user_v1_ImportUsersResponse *response = end_import(environment, answer);
    static const user_v1_ImportFailure failures[] = {
        {1, 6, "USERNAME_TAKEN"}, {3, 6, "USERNAME_TAKEN"}, {4, 3, "FIELD_INVALID"},  {5, 3, "FIELD_INVALID"},
        {6, 3, "FIELD_INVALID"},  {7, 3, "FIELD_INVALID"},  {10, 3, "FIELD_INVALID"},
    };
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    assert_int_equal(response->created_count, 4);
    assert_int_equal(response->failed_count, 7);
    assert_int_equal(response->failures_count, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(response->failures[i].index, failures[i].index);
        assert_int_equal(response->failures[i].code, failures[i].code);
        assert_string_equal(response->failures[i].reason, failures[i].reason);
    }
    struct services_tokens tokens;
    services_login(&environment->fixture, "bob", "a fine password", &tokens);
    services_login(&environment->fixture, "erin", "password", &tokens);
    assert_true(services_failed(services_try_login(&environment->fixture, "carol", "a fine password"),
                                MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_INVALID"));
}

/* More than the 32 that are told, with those of the store among them; more than are on the way at once. */
static void test_import_of_many(void **state)
{
    struct environment *environment = *state;
    struct services_answer *answer = begin_import(environment);
    for (int i = 0; i < 300; i++) {
        char username[16];
        snprintf(username, sizeof username, "many%d", i / 2);
        send(environment, answer, i % 6 == 5 ? "?" : username, i % 10 == 0 ? "a fine password" : HASH);
    }
    const user_v1_ImportUsersResponse *response = end_import(environment, answer);
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    assert_int_equal(response->created_count, 150);
    assert_int_equal(response->failed_count, 150);
    assert_int_equal(response->failures_count, 32);
    for (int i = 0; i < 32; i++) {
        assert_int_equal(response->failures[i].index, 2 * i + 1);
        assert_string_equal(response->failures[i].reason, i % 3 == 2 ? "FIELD_INVALID" : "USERNAME_TAKEN");
    }
    assert_int_equal(end_import(environment, begin_import(environment))->created_count, 0);
}

/* Whoever goes away in the middle leaves what the writer had, and nothing else. */
static void test_import_cancelled(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    for (int round = 0; round < 20; round++) {
        struct services_answer *answer = begin_import(environment);
        for (int i = 0; i < 1 + round; i++) {
            char username[16];
            snprintf(username, sizeof username, "c%d-%d", round, i);
            send(environment, answer, username, i % 3 == 1 ? "a fine password" : NULL);
        }
        mote_client_call_cancel(answer->call);
        assert_int_equal(answer->status, MOTE_STATUS_CANCELLED);
        services_turn(fixture, false);
        /* Others are served, behind what is left of it. */
        user_v1_User admin = get(environment, "me");
        assert_string_equal(admin.username, "admin");
    }
}

static void test_import_without_memory(void **state)
{
    struct environment *environment = *state;
    struct services_answer *answer = begin_import(environment);
    send(environment, answer, "bob", NULL);
    /* Answered behind the other write. */
    user_v1_UpdateUserRequest other = rename_alice(environment, "x");
    user_of(services_call(&environment->fixture, UPDATE, &other, environment->admin.access));
    mote_failing_mem_arm(&environment->mem, 1, false);
    send(environment, answer, "carol", NULL);
    mote_failing_mem_arm(&environment->mem, 0, false);
    services_wait(&environment->fixture, answer);
    assert_true(services_failed(answer, MOTE_STATUS_INTERNAL, "INTERNAL_ERROR"));
    assert_string_equal(answer->message, "internal error (1 users were created)");
}

#define WITH_USERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_USERS(test_etag),
        WITH_USERS(test_etag_of_many_at_once),
        WITH_USERS(test_create_validate_only),
        WITH_USERS(test_update_validate_only),
        WITH_USERS(test_request_is_answered_again),
        WITH_USERS(test_request_of_a_user_who_is_gone),
        WITH_USERS(test_request_with_other_content),
        WITH_USERS(test_requests_at_once),
        WITH_USERS(test_import),
        WITH_USERS(test_import_of_many),
        WITH_USERS(test_import_cancelled),
        WITH_USERS(test_import_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
