/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may call what: every registered method with every kind of credentials, against a table of this test's own; and
 * every way of giving credentials.
 */
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

#define PASSWORD "correct horse battery"

struct environment {
    struct services_fixture fixture;
    struct services_tokens admin, alice, bob, service;
};

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    struct services_fixture *fixture = &environment->fixture;
    services_open(fixture, NULL);
    services_make_user(fixture, "admin", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_make_user(fixture, "bob", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_make_user(fixture, "gateway", MOTE_ROLE_BIT_SERVICE, PASSWORD, NULL);
    services_login(fixture, "admin", PASSWORD, &environment->admin);
    services_login(fixture, "alice", PASSWORD, &environment->alice);
    services_login(fixture, "bob", PASSWORD, &environment->bob);
    services_login(fixture, "gateway", PASSWORD, &environment->service);
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

/* --- every method, every caller -------------------------------------------------------------------------------- */

enum caller { NONE, BROKEN, EXPIRED, SELF, OTHER, SERVICE, ADMIN, CALLERS };

/* Which callers pass the checks of credentials and role; the requests are about alice. */
#define EVERYONE        0x7fu
#define WITH(caller)    (1u << (caller))
#define ANY_USER        (WITH(SELF) | WITH(OTHER) | WITH(SERVICE) | WITH(ADMIN))
#define SELF_OR_ADMIN   (WITH(SELF) | WITH(ADMIN))
#define READERS         (WITH(SELF) | WITH(SERVICE) | WITH(ADMIN))
#define SERVICE_OR_MORE (WITH(SERVICE) | WITH(ADMIN))

static const struct {
    const char *path;
    unsigned allowed;
    /* The method is not there yet, so it cannot tell self from others: what it will refuse is UNIMPLEMENTED too. */
    bool to_come;
} rows[] = {
    {"/user.v1.UserService/CreateUser", WITH(ADMIN), false},
    {"/user.v1.UserService/GetUser", READERS, false},
    {"/user.v1.UserService/UpdateUser", SELF_OR_ADMIN, false},
    {"/user.v1.UserService/DeleteUser", SELF_OR_ADMIN, false},
    {"/user.v1.UserService/ListUsers", SERVICE_OR_MORE, false},
    {"/user.v1.UserService/DisableUser", WITH(ADMIN), false},
    {"/user.v1.UserService/EnableUser", WITH(ADMIN), false},
    {"/user.v1.UserService/WatchUsers", SERVICE_OR_MORE, true},
    {"/user.v1.UserService/ImportUsers", WITH(ADMIN), true},
    {"/user.v1.UserService/HealthCheck", EVERYONE, false},
    {"/auth.v1.AuthService/Login", EVERYONE, false},
    {"/auth.v1.AuthService/RefreshToken", EVERYONE, false},
    {"/auth.v1.AuthService/ValidateToken", ANY_USER, false},
    {"/auth.v1.AuthService/Logout", ANY_USER, false},
    {"/auth.v1.AuthService/RevokeToken", EVERYONE, true},
    {"/auth.v1.AuthService/ListSessions", SELF_OR_ADMIN, false},
    {"/auth.v1.AuthService/RevokeSession", ANY_USER, false},
    {"/auth.v1.AuthService/ChangePassword", ANY_USER, true},
    {"/auth.v1.AuthService/SetPassword", WITH(ADMIN), true},
};

/* A request with nothing in it but whom it is about, where the method needs that to decide. */
static const void *request_for(const struct environment *environment, const struct mote_method *method)
{
    static _Alignas(16) uint8_t request[4096];
    assert_true(method->request->size <= sizeof request);
    memset(request, 0, sizeof request);
    if (strcmp(method->name, "GetUser") == 0) {
        memcpy(((user_v1_GetUserRequest *)(void *)request)->id, environment->alice.user_id, 37);
    } else if (strcmp(method->name, "ListSessions") == 0) {
        memcpy(((auth_v1_ListSessionsRequest *)(void *)request)->user_id, environment->alice.user_id, 37);
    } else if (strcmp(method->name, "DeleteUser") == 0) {
        user_v1_DeleteUserRequest *removal = (user_v1_DeleteUserRequest *)(void *)request;
        memcpy(removal->id, environment->alice.user_id, 37);
        memcpy(removal->etag, "old", 4); /* the next caller needs alice too */
    } else if (strcmp(method->name, "UpdateUser") == 0) {
        user_v1_UpdateUserRequest *update = (user_v1_UpdateUserRequest *)(void *)request;
        update->has_user = true;
        memcpy(update->user.id, environment->alice.user_id, 37);
    }
    return request;
}

static const char *token_of(struct environment *environment, enum caller caller, char made[MOTE_JWT_LENGTH_MAX + 1])
{
    struct mote_identity old = {.issued_at = SERVICES_WALL - 1000, .not_before = SERVICES_WALL - 1000};
    switch (caller) {
    case NONE:
        return NULL;
    case BROKEN:
        memcpy(made, environment->admin.access, MOTE_JWT_LENGTH_MAX + 1);
        made[strlen(made) - 10] ^= 1;
        return made;
    case EXPIRED:
        old.expires_at = SERVICES_WALL - 100;
        old.roles = MOTE_ROLE_BIT_ADMIN;
        services_forge(&environment->fixture, &old, made);
        return made;
    case SELF:
        return environment->alice.access;
    case OTHER:
        return environment->bob.access;
    case SERVICE:
        return environment->service.access;
    case ADMIN:
        return environment->admin.access;
    case CALLERS:
        break;
    }
    return NULL;
}

static void check(struct environment *environment, const struct mote_method *method, enum caller caller, size_t row)
{
    char made[MOTE_JWT_LENGTH_MAX + 1];
    const char *token = token_of(environment, caller, made);
    struct services_answer *answer =
        services_call(&environment->fixture, method, request_for(environment, method), token);
    if ((rows[row].allowed & WITH(caller)) != 0) {
        if (rows[row].to_come) {
            assert_true(services_failed(answer, MOTE_STATUS_UNIMPLEMENTED, "NOT_IMPLEMENTED"));
        } else if (answer->status == MOTE_STATUS_UNAUTHENTICATED) {
            assert_string_equal(answer->reason, "REFRESH_TOKEN_INVALID"); /* the empty one of the request */
        } else if (strcmp(method->name, "DeleteUser") == 0) {
            assert_true(services_failed(answer, MOTE_STATUS_ABORTED, "ETAG_MISMATCH"));
        } else if (answer->status != MOTE_STATUS_OK) {
            assert_true(services_failed(answer, MOTE_STATUS_INVALID_ARGUMENT, "FIELD_INVALID"));
        }
    } else if (caller == NONE) {
        assert_true(services_failed(answer, MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_MISSING"));
        assert_string_equal(answer->message, "missing credentials");
    } else if (caller == BROKEN) {
        assert_true(services_failed(answer, MOTE_STATUS_UNAUTHENTICATED, "TOKEN_INVALID"));
        assert_string_equal(answer->message, "invalid token");
    } else if (caller == EXPIRED) {
        assert_true(services_failed(answer, MOTE_STATUS_UNAUTHENTICATED, "TOKEN_EXPIRED"));
    } else {
        assert_true(services_failed(answer, MOTE_STATUS_PERMISSION_DENIED, "PERMISSION_DENIED"));
    }
    if (strcmp(method->name, "Logout") == 0 && answer->status == MOTE_STATUS_OK) {
        services_login(&environment->fixture, "admin", PASSWORD, &environment->admin);
        services_login(&environment->fixture, "alice", PASSWORD, &environment->alice);
        services_login(&environment->fixture, "bob", PASSWORD, &environment->bob);
        services_login(&environment->fixture, "gateway", PASSWORD, &environment->service);
    }
}

static void test_every_method(void **state)
{
    struct environment *environment = *state;
    static const struct mote_service *const services[] = {&user_v1_UserService_service, &auth_v1_AuthService_service};
    size_t methods = 0;
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        for (size_t j = 0; j < services[i]->method_count; j++) {
            const struct mote_method *method = &services[i]->methods[j];
            size_t row = 0;
            while (row < sizeof rows / sizeof rows[0] && strcmp(rows[row].path, method->path) != 0) {
                row++;
            }
            assert_true(row < sizeof rows / sizeof rows[0]);
            for (enum caller caller = NONE; caller < CALLERS; caller++) {
                check(environment, method, caller, row);
            }
            methods++;
        }
    }
    assert_int_equal(methods, sizeof rows / sizeof rows[0]);
}

/* --- every way of giving credentials --------------------------------------------------------------------------- */

static struct services_answer *get_me(struct environment *environment, const char *const *values, size_t count)
{
    const user_v1_GetUserRequest request = {.id = "me"};
    return services_call_with(&environment->fixture, &user_v1_UserService_GetUser_method, &request, values, count);
}

static void test_schemes(void **state)
{
    struct environment *environment = *state;
    static const struct {
        const char *before, *behind;
        bool good;
    } cases[] = {
        {"Bearer ", "", true},    {"bearer ", "", true},   {"BEARER ", "", true},         {"bEaReR ", "", true},
        {"", "", true},           {"Bearer  ", "", false}, {"Bearer\t", "", false},       {"Bearer", "", false},
        {"Basic ", "", false},    {"Token ", "", false},   {"Bearer Bearer ", "", false}, {"Bearer ", ",b", false},
        {"Bearer ", " x", false}, {"Bearer ", ".", false}, {"Bearer ", "=", false},       {"Bearer .", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char value[MOTE_JWT_LENGTH_MAX + 64];
        const char *values[] = {value};
        snprintf(value, sizeof value, "%s%s%s", cases[i].before, environment->alice.access, cases[i].behind);
        struct services_answer *answer = get_me(environment, values, 1);
        if (cases[i].good) {
            assert_int_equal(answer->status, MOTE_STATUS_OK);
        } else {
            assert_true(services_failed(answer, MOTE_STATUS_UNAUTHENTICATED, "TOKEN_INVALID"));
        }
    }
}

static void test_empty_and_repeated(void **state)
{
    struct environment *environment = *state;
    char good[MOTE_JWT_LENGTH_MAX + 16];
    snprintf(good, sizeof good, "Bearer %s", environment->alice.access);
    const char *const twice[] = {good, good};
    const char *const empty[] = {""};
    const char *const scheme[] = {"Bearer"};
    const char *const nothing[] = {"Bearer ."};
    assert_true(services_failed(get_me(environment, twice, 2), MOTE_STATUS_UNAUTHENTICATED, "TOKEN_INVALID"));
    assert_true(services_failed(get_me(environment, empty, 1), MOTE_STATUS_UNAUTHENTICATED, "TOKEN_INVALID"));
    assert_true(services_failed(get_me(environment, scheme, 1), MOTE_STATUS_UNAUTHENTICATED, "TOKEN_INVALID"));
    assert_true(services_failed(get_me(environment, nothing, 1), MOTE_STATUS_UNAUTHENTICATED, "TOKEN_INVALID"));
    assert_true(services_failed(get_me(environment, NULL, 0), MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_MISSING"));
}

/* --- time ------------------------------------------------------------------------------------------------------ */

static struct services_answer *get_with(struct environment *environment, const char *token)
{
    const user_v1_GetUserRequest request = {.id = "me"};
    return services_call(&environment->fixture, &user_v1_UserService_GetUser_method, &request, token);
}

static void test_expiry_and_leeway(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    /* Once from the cache, once without it: a token used before and one that was not. */
    assert_int_equal(get_with(environment, environment->alice.access)->status, MOTE_STATUS_OK);
    services_pass(fixture, 900 + 29);
    assert_int_equal(get_with(environment, environment->alice.access)->status, MOTE_STATUS_OK);
    assert_int_equal(get_with(environment, environment->bob.access)->status, MOTE_STATUS_OK);
    services_pass(fixture, 1);
    assert_true(services_failed(get_with(environment, environment->alice.access), MOTE_STATUS_UNAUTHENTICATED,
                                "TOKEN_EXPIRED"));
    assert_true(services_failed(get_with(environment, environment->service.access), MOTE_STATUS_UNAUTHENTICATED,
                                "TOKEN_EXPIRED"));
    /* Turning the clock back does not bring it to life, whether by seconds or by hours. */
    services_pass(fixture, 100);
    assert_true(services_failed(get_with(environment, environment->alice.access), MOTE_STATUS_UNAUTHENTICATED,
                                "TOKEN_EXPIRED"));
    services_pass(fixture, -500);
    assert_true(services_failed(get_with(environment, environment->alice.access), MOTE_STATUS_UNAUTHENTICATED,
                                "TOKEN_EXPIRED"));
    services_pass(fixture, -3600);
    assert_true(services_failed(get_with(environment, environment->alice.access), MOTE_STATUS_UNAUTHENTICATED,
                                "TOKEN_EXPIRED"));
}

static void test_a_clock_that_was_wrong_is_followed(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    services_pass(fixture, 3 * 86400);
    assert_true(services_failed(get_with(environment, environment->alice.access), MOTE_STATUS_UNAUTHENTICATED,
                                "TOKEN_EXPIRED"));
    services_pass(fixture, -2 * 86400);
    struct services_tokens tokens;
    services_login(fixture, "alice", PASSWORD, &tokens);
    assert_int_equal(get_with(environment, tokens.access)->status, MOTE_STATUS_OK);
}

static void test_not_yet_valid(void **state)
{
    struct environment *environment = *state;
    char token[MOTE_JWT_LENGTH_MAX + 1];
    struct mote_identity identity = {.issued_at = SERVICES_WALL + 31, .not_before = SERVICES_WALL + 31};
    identity.expires_at = identity.issued_at + 900;
    identity.roles = MOTE_ROLE_BIT_USER;
    identity.epoch = 1;
    assert_int_equal(mote_uuid_parse(identity.user_id, mote_slice_text(environment->alice.user_id)), 0);
    services_forge(&environment->fixture, &identity, token);
    assert_true(services_failed(get_with(environment, token), MOTE_STATUS_UNAUTHENTICATED, "TOKEN_NOT_YET_VALID"));
    services_pass(&environment->fixture, 1);
    assert_int_equal(get_with(environment, token)->status, MOTE_STATUS_OK);
}

#define WITH_USERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_USERS(test_every_method),
        WITH_USERS(test_schemes),
        WITH_USERS(test_empty_and_repeated),
        WITH_USERS(test_expiry_and_leeway),
        WITH_USERS(test_a_clock_that_was_wrong_is_followed),
        WITH_USERS(test_not_yet_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
