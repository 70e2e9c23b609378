/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile or broken world does to the services, by calls: randomness that fails at any of its uses, clocks that
 * jump, tokens of one kind in the place of another, passwords sprayed over accounts and accounts over passwords.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pair/services_fixture.h"
#include "services/worker.h"

#define PASSWORD "correct horse battery"
#define FRESH    "a fresh horse battery"
#define DAY      86400

#define USER_METHOD(name) (&user_v1_UserService_##name##_method)
#define AUTH_METHOD(name) (&auth_v1_AuthService_##name##_method)

struct environment {
    struct services_fixture fixture;
    struct services_tokens admin, alice;
};

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    services_open(&environment->fixture, NULL);
    services_make_user(&environment->fixture, "admin", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    services_make_user(&environment->fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_login(&environment->fixture, "admin", PASSWORD, &environment->admin);
    services_login(&environment->fixture, "alice", PASSWORD, &environment->alice);
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

static struct services_answer *get_me(struct environment *environment, const char *token)
{
    const user_v1_GetUserRequest request = {.id = "me"};
    return services_call(&environment->fixture, USER_METHOD(GetUser), &request, token);
}

/* --- randomness ------------------------------------------------------------------------------------------------ */

static struct services_answer *act_login(struct environment *environment)
{
    return services_try_login(&environment->fixture, "alice", PASSWORD);
}

static struct services_answer *act_refresh(struct environment *environment)
{
    return services_refresh(&environment->fixture, &environment->alice);
}

static struct services_answer *act_create(struct environment *environment)
{
    const user_v1_CreateUserRequest request = {
        .has_user = true, .user.username = "bob", .has_initial_password = true, .initial_password = PASSWORD};
    return services_call(&environment->fixture, USER_METHOD(CreateUser), &request, environment->admin.access);
}

static struct services_answer *act_create_without(struct environment *environment)
{
    const user_v1_CreateUserRequest request = {.has_user = true, .user.username = "carol"};
    return services_call(&environment->fixture, USER_METHOD(CreateUser), &request, environment->admin.access);
}

static struct services_answer *act_set(struct environment *environment)
{
    auth_v1_SetPasswordRequest request = {.new_password = FRESH};
    memcpy(request.user_id, environment->alice.user_id, 37);
    return services_call(&environment->fixture, AUTH_METHOD(SetPassword), &request, environment->admin.access);
}

static struct services_answer *act_change(struct environment *environment)
{
    const auth_v1_ChangePasswordRequest request = {.current_password = PASSWORD, .new_password = FRESH};
    return services_call(&environment->fixture, AUTH_METHOD(ChangePassword), &request, environment->alice.access);
}

/* What there is: users, alice's sessions, and whether her password is the first. */
static void assert_nothing_was_made(struct environment *environment)
{
    struct services_fixture *fixture = &environment->fixture;
    const user_v1_ListUsersRequest list = {.page_size = 1};
    const auth_v1_ListSessionsRequest sessions = {.user_id = "me", .page_size = 1};
    const user_v1_ListUsersResponse *users = (const void *)fixture->answers[0].response;
    services_call(fixture, USER_METHOD(ListUsers), &list, environment->admin.access);
    assert_int_equal(users->total_size, 2);
    struct services_answer *answer =
        services_call(fixture, AUTH_METHOD(ListSessions), &sessions, environment->alice.access);
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    const auth_v1_ListSessionsResponse *listed = (const void *)answer->response;
    assert_string_equal(listed->next_page_token, "");
}

/* Fails the first use, the second, and so on: nothing is told but that, nothing is made, and the server goes on. */
static void test_without_randomness(void **state)
{
    static const struct {
        struct services_answer *(*act)(struct environment *environment);
        int uses; /* ids, refresh tokens, salts */
    } cases[] = {{act_login, 3},          {act_refresh, 1}, {act_create, 2},
                 {act_create_without, 1}, {act_set, 1},     {act_change, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *fresh = NULL;
        set_up(&fresh);
        struct environment *environment = fresh;
        struct services_fixture *fixture = &environment->fixture;
        for (int passes = 0; passes < cases[i].uses; passes++) {
            fixture->random_passes = passes;
            fixture->random_error = MOTE_ERANDOM;
            struct services_answer *answer = cases[i].act(environment);
            fixture->random_error = 0;
            assert_true(services_failed(answer, MOTE_STATUS_INTERNAL, "INTERNAL_ERROR"));
            assert_string_equal(answer->message, "internal error");
            for (size_t j = 0; j < sizeof answer->response; j++) {
                assert_int_equal(answer->response[j], 0);
            }
            assert_nothing_was_made(environment);
            services_pass(fixture, 11); /* beyond the time in which an answer may be asked for again */
        }
        /* Not one use more, and all is well again; a token that was to be rotated has not been. */
        fixture->random_passes = cases[i].uses;
        fixture->random_error = MOTE_ERANDOM;
        assert_int_equal(cases[i].act(environment)->status, MOTE_STATUS_OK);
        assert_true(fixture->random_passes >= 0);
        fixture->random_error = 0;
        tear_down(&fresh);
    }
}

/* --- clocks ---------------------------------------------------------------------------------------------------- */

static void assert_reason(struct services_answer *answer, const char *reason)
{
    assert_true(services_failed(answer, MOTE_STATUS_UNAUTHENTICATED, reason));
}

/* Turned back by anything up to a day, at once or in steps: what was expired stays so, on every worker, for all kinds
 * of token, and time goes on. */
static void test_clock_turned_back(void **state)
{
    static const int64_t steps[] = {61, 3600, DAY - 31, 10};
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        void *fresh = NULL;
        set_up(&fresh);
        struct environment *environment = fresh;
        struct services_fixture *fixture = &environment->fixture;
        struct mote_services_worker *idle = NULL;
        assert_int_equal(mote_services_worker_new(&idle, &fixture->services, mote_mem_system(), &fixture->mailbox), 0);
        services_pass(fixture, 7 * DAY + 60);
        assert_reason(get_me(environment, environment->alice.access), "TOKEN_EXPIRED");
        assert_reason(services_refresh(fixture, &environment->alice), "REFRESH_TOKEN_INVALID");
        const int64_t seen = mote_services_worker_seconds(fixture->worker);
        services_pass(fixture, -steps[i]);
        assert_reason(get_me(environment, environment->alice.access), "TOKEN_EXPIRED");
        assert_reason(services_refresh(fixture, &environment->alice), "REFRESH_TOKEN_INVALID");
        const int64_t least = steps[i] < 30 ? seen - steps[i] : seen - 31;
        assert_in_range(mote_services_worker_seconds(fixture->worker), least, seen - (steps[i] < 30 ? steps[i] : 30));
        /* One that had seen nothing yet. */
        assert_int_equal(mote_services_worker_seconds(idle), mote_services_worker_seconds(fixture->worker));
        /* It goes on, at half the speed where it is ahead of the clock: new tokens end. */
        struct services_tokens tokens;
        services_login(fixture, "alice", PASSWORD, &tokens);
        assert_int_equal(get_me(environment, tokens.access)->status, MOTE_STATUS_OK);
        services_pass(fixture, 1800);
        services_wait_out(fixture, 1800 * 1000);
        assert_in_range(mote_services_worker_seconds(idle), seen - 31 + 900, seen + 1800);
        services_pass(fixture, 100);
        services_wait_out(fixture, 100 * 1000);
        assert_reason(get_me(environment, tokens.access), "TOKEN_EXPIRED");
        mote_services_worker_free(idle);
        tear_down(&fresh);
    }
}

/* Ahead by an hour, then right again: after two hours the time in use is the clock's. */
static void test_clock_that_was_ahead(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    services_pass(fixture, 3600);
    (void)mote_services_worker_seconds(fixture->worker);
    services_pass(fixture, -3600);
    for (int64_t passed = 0; passed < 2 * 3600; passed += 60) {
        const int64_t ahead = mote_services_worker_seconds(fixture->worker) - (SERVICES_WALL + passed);
        assert_in_range(ahead + 32, 3600 - passed / 2, 3600 - passed / 2 + 33);
        services_pass(fixture, 60);
        services_wait_out(fixture, 60000);
    }
    assert_int_equal(mote_services_worker_seconds(fixture->worker), SERVICES_WALL + 2 * 3600);
}

/* A box that woke up in the past, and one whose clock was wrong by more than a day: followed, once. */
static void test_clock_that_was_wrong(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct services_tokens tokens;
    services_pass(fixture, 365 * DAY);
    assert_reason(get_me(environment, environment->alice.access), "TOKEN_EXPIRED");
    services_pass(fixture, -2 * DAY);
    assert_int_equal(mote_services_worker_seconds(fixture->worker), SERVICES_WALL + 363 * DAY);
    services_login(fixture, "alice", PASSWORD, &tokens);
    assert_int_equal(get_me(environment, tokens.access)->status, MOTE_STATUS_OK);
    services_pass(fixture, -29);
    assert_int_equal(mote_services_worker_seconds(fixture->worker), SERVICES_WALL + 363 * DAY - 29);
}

/* --- one kind of token in the place of another ----------------------------------------------------------------- */

static void assert_refresh_invalid(struct environment *environment, const char *token)
{
    auth_v1_RefreshTokenRequest request = {.refresh_token = ""};
    snprintf(request.refresh_token, sizeof request.refresh_token, "%s", token);
    assert_reason(services_call(&environment->fixture, AUTH_METHOD(RefreshToken), &request, NULL),
                  "REFRESH_TOKEN_INVALID");
}

static void test_cross_use(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    const char *admin = environment->admin.access;
    user_v1_ListUsersRequest list = {.page_size = 1};
    auth_v1_ListSessionsRequest sessions = {.user_id = "me", .page_size = 1};
    user_v1_WatchUsersRequest watch = {.resume_token = ""};
    struct services_tokens second;
    services_login(fixture, "admin", PASSWORD, &second);
    char users_page[513];
    char sessions_page[513];
    struct services_answer *answer = services_call(fixture, USER_METHOD(ListUsers), &list, admin);
    snprintf(users_page, sizeof users_page, "%s",
             ((const user_v1_ListUsersResponse *)(const void *)answer->response)->next_page_token);
    answer = services_call(fixture, AUTH_METHOD(ListSessions), &sessions, admin);
    snprintf(sessions_page, sizeof sessions_page, "%s",
             ((const auth_v1_ListSessionsResponse *)(const void *)answer->response)->next_page_token);
    assert_true(users_page[0] != '\0' && sessions_page[0] != '\0');
    const char *const others[] = {users_page, sessions_page, environment->alice.session_id, environment->alice.user_id};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_reason(get_me(environment, others[i]), "TOKEN_INVALID");
        assert_refresh_invalid(environment, others[i]);
    }
    assert_reason(get_me(environment, environment->alice.refresh), "TOKEN_INVALID");
    assert_refresh_invalid(environment, environment->alice.access);
    /* In each field for a page or a place, the tokens of the other two, and those of callers. */
    const char *const tokens[] = {users_page, sessions_page, environment->alice.refresh, environment->alice.session_id};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        snprintf(list.page_token, sizeof list.page_token, "%s", tokens[i]);
        snprintf(sessions.page_token, sizeof sessions.page_token, "%s", tokens[i]);
        snprintf(watch.resume_token, sizeof watch.resume_token, "%s", tokens[i]);
        answer = services_call(fixture, USER_METHOD(ListUsers), &list, admin);
        assert_true(tokens[i] == users_page ? answer->status == MOTE_STATUS_OK : services_names(answer, "page_token"));
        answer = services_call(fixture, AUTH_METHOD(ListSessions), &sessions, admin);
        assert_true(tokens[i] == sessions_page ? answer->status == MOTE_STATUS_OK
                                               : services_names(answer, "page_token"));
        assert_true(services_names(services_call(fixture, USER_METHOD(WatchUsers), &watch, admin), "resume_token"));
    }
    /* A page of one's sessions is no page of another's. */
    memcpy(sessions.page_token, sessions_page, sizeof sessions_page);
    assert_true(services_names(services_call(fixture, AUTH_METHOD(ListSessions), &sessions, environment->alice.access),
                               "page_token"));
    assert_int_equal(get_me(environment, environment->alice.access)->status, MOTE_STATUS_OK);
}

/* A token of the same key for another server: its names differ, and so does what signed nothing here. */
static void test_names_of_others(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    static const struct mote_jwt_policy others[] = {{"other", "mote", 30, 900}, {"mote", "other", 30, 900}};
    struct mote_identity identity = {.issued_at = SERVICES_WALL, .not_before = SERVICES_WALL};
    identity.expires_at = SERVICES_WALL + 900;
    identity.roles = MOTE_ROLE_BIT_ADMIN;
    identity.epoch = 1;
    char token[MOTE_JWT_LENGTH_MAX + 1];
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        size_t length = 0;
        assert_int_equal(mote_jwt_issue(token, &length, fixture->keyring, &others[i], &identity), 0);
        token[length] = '\0';
        assert_reason(get_me(environment, token), "TOKEN_INVALID");
        auth_v1_ValidateTokenRequest request = {.access_token = ""};
        memcpy(request.access_token, token, length + 1);
        const auth_v1_ValidateTokenResponse *response =
            (const void *)services_call(fixture, AUTH_METHOD(ValidateToken), &request, environment->admin.access)
                ->response;
        assert_false(response->active);
        assert_int_equal(response->inactive_reason, auth_v1_InactiveReason_INACTIVE_REASON_INVALID);
    }
}

/* --- guessing --------------------------------------------------------------------------------------------------- */

/* One password over 1,000 names: 30 are looked at in a minute. */
static void test_spray_over_accounts(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    unsigned judged = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "name%u", i);
        const struct services_answer *answer = services_try_login(fixture, i == 500 ? "alice" : name, PASSWORD);
        judged += answer->status == MOTE_STATUS_UNAUTHENTICATED ? 1u : 0u;
        assert_true(answer->status == MOTE_STATUS_UNAUTHENTICATED || strcmp(answer->reason, "LOGIN_THROTTLED") == 0);
    }
    assert_int_equal(judged, 30);
    services_wait_out(fixture, 60000);
    struct services_tokens tokens;
    services_login(fixture, "alice", PASSWORD, &tokens);
}

/* 1,000 passwords for one name, each as soon as it is allowed: 5, then one more a minute, two, four, eight, fifteen. */
static void test_spray_over_passwords(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    unsigned judged = 0;
    uint64_t waited = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char password[32];
        snprintf(password, sizeof password, "a wrong password %u", i);
        const struct services_answer *answer = services_try_login(fixture, "alice", password);
        if (answer->status == MOTE_STATUS_UNAUTHENTICATED) {
            judged++;
            continue;
        }
        assert_string_equal(answer->reason, "LOGIN_THROTTLED");
        assert_in_range(answer->retry_ms, 1, 15 * 60000);
        waited += answer->retry_ms;
        services_wait_out(fixture, answer->retry_ms);
    }
    assert_int_equal(judged, 502); /* every other one was told to wait */
    assert_true(waited >= UINT64_C(490) * 15 * 60000);
    /* The victim is held up for as long as it says, and no longer. */
    const struct services_answer *answer = services_try_login(fixture, "alice", PASSWORD);
    if (answer->status != MOTE_STATUS_OK) {
        services_wait_out(fixture, answer->retry_ms);
    }
    struct services_tokens tokens;
    services_login(fixture, "alice", PASSWORD, &tokens);
    /* The success has cleared the account. */
    for (unsigned i = 0; i < 5; i++) {
        assert_reason(services_try_login(fixture, "alice", "wrong horse battery"), "CREDENTIALS_INVALID");
    }
}

#define WITH_USERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_randomness),
        cmocka_unit_test(test_clock_turned_back),
        WITH_USERS(test_clock_that_was_ahead),
        WITH_USERS(test_clock_that_was_wrong),
        WITH_USERS(test_cross_use),
        WITH_USERS(test_names_of_others),
        WITH_USERS(test_spray_over_accounts),
        WITH_USERS(test_spray_over_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
