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

#define PASSWORD       "correct horse battery"
#define OTHER_PASSWORD "another horse's battery"

struct environment {
    struct services_fixture fixture;
    struct services_tokens admin, alice, bob, service;
    struct services_tokens logged_out, revoked, disabled, deleted, demoted; /* of administrators, until then */
    struct services_tokens held_up; /* of an administrator who must change the password first */
    bool has_held_up;
};

static void login_all(struct environment *environment)
{
    struct services_fixture *fixture = &environment->fixture;
    services_login(fixture, "admin", PASSWORD, &environment->admin);
    services_login(fixture, "alice", PASSWORD, &environment->alice);
    services_login(fixture, "bob", PASSWORD, &environment->bob);
    services_login(fixture, "gateway", PASSWORD, &environment->service);
    if (environment->has_held_up) {
        services_login(fixture, "held.up", OTHER_PASSWORD, &environment->held_up);
    }
}

static int open_environment(void **state, bool signup_open)
{
    struct environment *environment = calloc(1, sizeof *environment);
    const struct services_options options = {.signup_open = signup_open};
    struct services_fixture *fixture = &environment->fixture;
    services_open(fixture, &options);
    services_make_user(fixture, "admin", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_make_user(fixture, "bob", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_make_user(fixture, "gateway", MOTE_ROLE_BIT_SERVICE, PASSWORD, NULL);
    login_all(environment);
    *state = environment;
    return 0;
}

static int set_up(void **state)
{
    return open_environment(state, false);
}

static int set_up_open_signup(void **state)
{
    return open_environment(state, true);
}

static int tear_down(void **state)
{
    struct environment *environment = *state;
    services_close(&environment->fixture);
    free(environment);
    return 0;
}

/* --- every method, every caller -------------------------------------------------------------------------------- */

/* Those before SELF have nothing, or a token of an administrator that is good for nothing. */
enum caller {
    NONE,
    BROKEN,
    FOREIGN,
    EXPIRED,
    EARLY,
    LOGGED_OUT,
    REVOKED,
    DISABLED,
    DELETED,
    DEMOTED,
    SELF,
    OTHER,
    SERVICE,
    ADMIN,
    HELD_UP,
    CALLERS,
};

/* What they are told by every method that is not public. */
static const struct {
    const char *reason, *message;
} refusals[] = {
    [NONE] = {"CREDENTIALS_MISSING", "missing credentials"},
    [BROKEN] = {"TOKEN_INVALID", "invalid token"},
    [FOREIGN] = {"TOKEN_INVALID", "invalid token"},
    [EXPIRED] = {"TOKEN_EXPIRED", NULL},
    [EARLY] = {"TOKEN_NOT_YET_VALID", NULL},
    [LOGGED_OUT] = {"SESSION_REVOKED", NULL},
    [REVOKED] = {"TOKEN_REVOKED", NULL},
    [DISABLED] = {"SESSION_REVOKED", NULL},
    [DELETED] = {"SESSION_REVOKED", NULL},
    [DEMOTED] = {"TOKEN_STALE", NULL},
};

/* Which callers pass the checks of credentials and role; the requests are about alice. */
#define WITH(caller)    (1u << (caller))
#define EVERYONE        (WITH(CALLERS) - 1)
#define ANY_USER        (WITH(SELF) | WITH(OTHER) | WITH(SERVICE) | WITH(ADMIN))
#define SELF_OR_ADMIN   (WITH(SELF) | WITH(ADMIN))
#define READERS         (WITH(SELF) | WITH(SERVICE) | WITH(ADMIN))
#define SERVICE_OR_MORE (WITH(SERVICE) | WITH(ADMIN))

#define OK            MOTE_STATUS_OK, NULL
#define FIELD_INVALID MOTE_STATUS_INVALID_ARGUMENT, "FIELD_INVALID"

static const struct row {
    const char *path;
    unsigned allowed;
    /* What those get: the requests are so that nothing changes which the next caller needs. */
    enum mote_status status;
    const char *reason;
} rows[] = {
    {"/user.v1.UserService/CreateUser", WITH(ADMIN), FIELD_INVALID},
    {"/user.v1.UserService/GetUser", READERS, OK},
    {"/user.v1.UserService/UpdateUser", SELF_OR_ADMIN, OK},
    {"/user.v1.UserService/DeleteUser", SELF_OR_ADMIN, MOTE_STATUS_ABORTED, "ETAG_MISMATCH"},
    {"/user.v1.UserService/ListUsers", SERVICE_OR_MORE, OK},
    {"/user.v1.UserService/DisableUser", WITH(ADMIN), FIELD_INVALID},
    {"/user.v1.UserService/EnableUser", WITH(ADMIN), FIELD_INVALID},
    {"/user.v1.UserService/WatchUsers", SERVICE_OR_MORE, FIELD_INVALID},
    {"/user.v1.UserService/ImportUsers", WITH(ADMIN), OK},
    {"/user.v1.UserService/HealthCheck", EVERYONE, OK},
    {"/auth.v1.AuthService/Login", EVERYONE, FIELD_INVALID},
    {"/auth.v1.AuthService/RefreshToken", EVERYONE, MOTE_STATUS_UNAUTHENTICATED, "REFRESH_TOKEN_INVALID"},
    {"/auth.v1.AuthService/ValidateToken", ANY_USER, OK},
    {"/auth.v1.AuthService/Logout", ANY_USER | WITH(HELD_UP), OK},
    {"/auth.v1.AuthService/RevokeToken", EVERYONE, OK},
    {"/auth.v1.AuthService/ListSessions", SELF_OR_ADMIN, OK},
    {"/auth.v1.AuthService/RevokeSession", ANY_USER, OK},
    {"/auth.v1.AuthService/ChangePassword", ANY_USER | WITH(HELD_UP), FIELD_INVALID},
    {"/auth.v1.AuthService/SetPassword", WITH(ADMIN), FIELD_INVALID},
};

/* A request with nothing in it but whom it is about, where the method needs that to decide. */
static const void *request_for(const struct environment *environment, const struct mote_method *method)
{
    static _Alignas(16) uint8_t request[8192];
    void *const any = request;
    assert_true(method->request->size <= sizeof request);
    memset(request, 0, sizeof request);
    if (strcmp(method->name, "GetUser") == 0) {
        memcpy(((user_v1_GetUserRequest *)any)->id, environment->alice.user_id, 37);
    } else if (strcmp(method->name, "ListSessions") == 0) {
        memcpy(((auth_v1_ListSessionsRequest *)any)->user_id, environment->alice.user_id, 37);
    } else if (strcmp(method->name, "RevokeSession") == 0) {
        memcpy(((auth_v1_RevokeSessionRequest *)any)->session_id, environment->alice.session_id, 37);
    } else if (strcmp(method->name, "DeleteUser") == 0) {
        memcpy(((user_v1_DeleteUserRequest *)any)->id, environment->alice.user_id, 37);
        memcpy(((user_v1_DeleteUserRequest *)any)->etag, "old", 4);
    } else if (strcmp(method->name, "UpdateUser") == 0) {
        ((user_v1_UpdateUserRequest *)any)->has_user = true;
        memcpy(((user_v1_UpdateUserRequest *)any)->user.id, environment->alice.user_id, 37);
    } else if (strcmp(method->name, "WatchUsers") == 0) {
        memcpy(((user_v1_WatchUsersRequest *)any)->resume_token, "x", 2); /* an open stream would not end */
    }
    return request;
}

/* A token of an administrator that a server with this secret would issue, for these seconds from now. */
static void forge(struct environment *environment, const char *secret, int64_t from, int64_t to,
                  char token[MOTE_JWT_LENGTH_MAX + 1])
{
    struct mote_identity identity = {.issued_at = SERVICES_WALL + from, .not_before = SERVICES_WALL + from};
    identity.expires_at = SERVICES_WALL + to;
    identity.roles = MOTE_ROLE_BIT_ADMIN;
    identity.epoch = 1;
    assert_int_equal(mote_uuid_parse(identity.user_id, mote_slice_text(environment->admin.user_id)), 0);
    struct mote_keyring *keyring;
    size_t length = 0;
    assert_int_equal(mote_keyring_new(&keyring, mote_mem_system(), mote_slice_text(secret)), 0);
    assert_int_equal(mote_jwt_issue(token, &length, keyring, &environment->fixture.services.policy, &identity), 0);
    token[length] = '\0';
    mote_keyring_free(keyring);
}

static const char *token_of(struct environment *environment, enum caller caller, char made[MOTE_JWT_LENGTH_MAX + 1])
{
    switch (caller) {
    case NONE:
        return NULL;
    case BROKEN:
        memcpy(made, environment->admin.access, MOTE_JWT_LENGTH_MAX + 1);
        made[strlen(made) - 10] ^= 1;
        return made;
    case FOREIGN:
        forge(environment, "qT5xW2vB8nM4kL7jH1gF3dS6aP9oZyRe-other", 0, 900, made);
        return made;
    case EXPIRED:
        forge(environment, SERVICES_SECRET, -1000, -100, made);
        return made;
    case EARLY:
        forge(environment, SERVICES_SECRET, 100, 1000, made);
        return made;
    case LOGGED_OUT:
        return environment->logged_out.access;
    case REVOKED:
        return environment->revoked.access;
    case DISABLED:
        return environment->disabled.access;
    case DELETED:
        return environment->deleted.access;
    case DEMOTED:
        return environment->demoted.access;
    case SELF:
        return environment->alice.access;
    case OTHER:
        return environment->bob.access;
    case SERVICE:
        return environment->service.access;
    case ADMIN:
        return environment->admin.access;
    case HELD_UP:
        return environment->held_up.access;
    case CALLERS:
        break;
    }
    return NULL;
}

static bool expected(const struct services_answer *answer, const struct row *row, unsigned allowed, enum caller caller)
{
    if ((allowed & WITH(caller)) == 0) {
        if (caller == HELD_UP) {
            return services_failed(answer, MOTE_STATUS_FAILED_PRECONDITION, "PASSWORD_CHANGE_REQUIRED");
        }
        if (caller >= SELF) {
            return services_failed(answer, MOTE_STATUS_PERMISSION_DENIED, "PERMISSION_DENIED");
        }
        return services_failed(answer, MOTE_STATUS_UNAUTHENTICATED, refusals[caller].reason) &&
               (refusals[caller].message == NULL || strcmp(answer->message, refusals[caller].message) == 0);
    }
    if (strcmp(answer->method->name, "RevokeSession") == 0 && (caller == OTHER || caller == SERVICE)) {
        return services_failed(answer, MOTE_STATUS_NOT_FOUND, "SESSION_NOT_FOUND");
    }
    if (row->reason != NULL) {
        return services_failed(answer, row->status, row->reason);
    }
    return answer->status == MOTE_STATUS_OK;
}

static void make_former_and_future_administrators(struct environment *environment)
{
    struct services_fixture *fixture = &environment->fixture;
    const char *admin = environment->admin.access;
    static const char *const names[] = {"former.a", "former.b", "former.c", "former.d", "former.e", "held.up"};
    struct services_tokens *const tokens[] = {&environment->logged_out, &environment->revoked, &environment->disabled,
                                              &environment->deleted,    &environment->demoted, &environment->held_up};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        services_make_user(fixture, names[i], MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
        services_login(fixture, names[i], PASSWORD, tokens[i]);
    }
    const auth_v1_LogoutRequest logout = {0};
    auth_v1_RevokeTokenRequest revocation = {0};
    user_v1_DisableUserRequest disable = {0};
    user_v1_DeleteUserRequest removal = {0};
    auth_v1_SetPasswordRequest change = {.new_password = OTHER_PASSWORD, .require_change = true};
    user_v1_UpdateUserRequest demotion = {.has_user = true, .user = {.roles_count = 1}};
    memcpy(revocation.token, environment->revoked.access, sizeof environment->revoked.access);
    memcpy(change.user_id, environment->held_up.user_id, 37);
    memcpy(disable.id, environment->disabled.user_id, 37);
    memcpy(removal.id, environment->deleted.user_id, 37);
    memcpy(demotion.user.id, environment->demoted.user_id, 37);
    demotion.user.roles[0] = user_v1_Role_ROLE_USER;
    const struct {
        const struct mote_method *method;
        const void *request;
        const char *token;
    } acts[] = {
        {&auth_v1_AuthService_Logout_method, &logout, environment->logged_out.access},
        {&auth_v1_AuthService_RevokeToken_method, &revocation, NULL},
        {&user_v1_UserService_DisableUser_method, &disable, admin},
        {&user_v1_UserService_DeleteUser_method, &removal, admin},
        {&user_v1_UserService_UpdateUser_method, &demotion, admin},
        {&auth_v1_AuthService_SetPassword_method, &change, admin},
    };
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        assert_int_equal(services_call(fixture, acts[i].method, acts[i].request, acts[i].token)->status,
                         MOTE_STATUS_OK);
    }
    environment->has_held_up = true;
    login_all(environment);
}

/* Calls the method as every caller. */
static void check(struct environment *environment, const struct mote_method *method, bool signup_open)
{
    const struct row *row = rows;
    while (row < rows + sizeof rows / sizeof rows[0] && strcmp(row->path, method->path) != 0) {
        row++;
    }
    assert_true(row < rows + sizeof rows / sizeof rows[0]);
    /* Credentials are not needed to sign up, but whoever shows some wants them to count. */
    bool is_signup = signup_open && strcmp(method->name, "CreateUser") == 0;
    unsigned allowed = is_signup ? ANY_USER | WITH(NONE) : row->allowed;
    for (enum caller caller = NONE; caller < CALLERS; caller++) {
        char made[MOTE_JWT_LENGTH_MAX + 1];
        const char *token = token_of(environment, caller, made);
        const struct services_answer *answer =
            services_call(&environment->fixture, method, request_for(environment, method), token);
        if (!expected(answer, row, allowed, caller)) {
            fail_msg("%s as caller %d: %s %s", method->path, (int)caller, mote_status_name(answer->status),
                     answer->reason);
        }
        bool ended = strcmp(method->name, "Logout") == 0 || strcmp(method->name, "RevokeSession") == 0;
        if (ended && answer->status == MOTE_STATUS_OK) {
            login_all(environment);
        }
    }
}

static void check_all(struct environment *environment, bool signup_open)
{
    static const struct mote_service *const services[] = {&user_v1_UserService_service, &auth_v1_AuthService_service};
    size_t methods = 0;
    make_former_and_future_administrators(environment);
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        for (size_t j = 0; j < services[i]->method_count; j++) {
            check(environment, &services[i]->methods[j], signup_open);
            methods++;
        }
    }
    assert_int_equal(methods, sizeof rows / sizeof rows[0]);
}

static void test_every_method(void **state)
{
    check_all(*state, false);
}

static void test_every_method_with_open_signup(void **state)
{
    check_all(*state, true);
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
        cmocka_unit_test_setup_teardown(test_every_method_with_open_signup, set_up_open_signup, tear_down),
        WITH_USERS(test_schemes),
        WITH_USERS(test_empty_and_repeated),
        WITH_USERS(test_expiry_and_leeway),
        WITH_USERS(test_a_clock_that_was_wrong_is_followed),
        WITH_USERS(test_not_yet_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
