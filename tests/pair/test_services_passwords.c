/* SPDX-License-Identifier: Apache-2.0 */
/* ChangePassword and SetPassword by calls: what ends with them, what is held up until the password has been changed, at
 * once and after a restart; hashes made anew at login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/list.h"
#include "pair/services_fixture.h"
#include "services/worker.h"

#define PASSWORD "correct horse battery"
#define FRESH    "a fresh staple of mine"
#define ABSENT   "0197a000-0000-7000-8000-00000000dead"

#define CHANGE &auth_v1_AuthService_ChangePassword_method
#define SET    &auth_v1_AuthService_SetPassword_method
#define GET    &user_v1_UserService_GetUser_method

struct environment {
    struct services_fixture fixture;
    struct services_tokens admin, alice, other; /* the last is alice's too */
    char folder[32];
    char url[64];
};

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    struct services_fixture *fixture = &environment->fixture;
    snprintf(environment->folder, sizeof environment->folder, "/tmp/mote-passwords-XXXXXX");
    assert_non_null(mkdtemp(environment->folder));
    snprintf(environment->url, sizeof environment->url, "sqlite:%s/mote.db", environment->folder);
    services_open(fixture, &(struct services_options){.url = environment->url});
    services_make_user(fixture, "admin", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_login(fixture, "admin", PASSWORD, &environment->admin);
    services_login(fixture, "alice", PASSWORD, &environment->alice);
    services_login(fixture, "alice", PASSWORD, &environment->other);
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

static void restart_with(struct environment *environment, struct mote_password_settings settings)
{
    services_close(&environment->fixture);
    services_open(&environment->fixture, &(struct services_options){.url = environment->url, .settings = settings});
}

static void restart(struct environment *environment)
{
    restart_with(environment, (struct mote_password_settings){.memory_kib = 0});
}

static struct services_answer *get_me(struct environment *environment, const struct services_tokens *tokens)
{
    const user_v1_GetUserRequest request = {.id = "me"};
    return services_call(&environment->fixture, GET, &request, tokens->access);
}

static struct services_answer *change_keeping(struct environment *environment, const char *current, const char *fresh,
                                              bool keep, const char *token)
{
    auth_v1_ChangePasswordRequest request = {.keep_other_sessions = keep};
    snprintf(request.current_password, sizeof request.current_password, "%s", current);
    snprintf(request.new_password, sizeof request.new_password, "%s", fresh);
    return services_call(&environment->fixture, CHANGE, &request, token);
}

static struct services_answer *change(struct environment *environment, const char *current, const char *fresh,
                                      const char *token)
{
    return change_keeping(environment, current, fresh, false, token);
}

static struct services_answer *set(struct environment *environment, const char *id, const char *fresh, bool require,
                                   const char *token)
{
    auth_v1_SetPasswordRequest request = {.require_change = require};
    snprintf(request.user_id, sizeof request.user_id, "%s", id);
    snprintf(request.new_password, sizeof request.new_password, "%s", fresh);
    return services_call(&environment->fixture, SET, &request, token);
}

static int32_t revoked(const struct services_answer *answer)
{
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    return answer->method == CHANGE
               ? ((const auth_v1_ChangePasswordResponse *)(const void *)answer->response)->revoked_session_count
               : ((const auth_v1_SetPasswordResponse *)(const void *)answer->response)->revoked_session_count;
}

static void assert_over(struct environment *environment, struct services_tokens *tokens)
{
    assert_true(services_failed(get_me(environment, tokens), MOTE_STATUS_UNAUTHENTICATED, "SESSION_REVOKED"));
    assert_true(services_failed(services_refresh(&environment->fixture, tokens), MOTE_STATUS_UNAUTHENTICATED,
                                "REFRESH_TOKEN_INVALID"));
}

static void assert_good(struct environment *environment, struct services_tokens *tokens)
{
    assert_int_equal(get_me(environment, tokens)->status, MOTE_STATUS_OK);
    assert_int_equal(services_refresh(&environment->fixture, tokens)->status, MOTE_STATUS_OK);
    assert_int_equal(get_me(environment, tokens)->status, MOTE_STATUS_OK);
}

static void assert_no_login(struct environment *environment, const char *password)
{
    assert_true(services_failed(services_try_login(&environment->fixture, "alice", password),
                                MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_INVALID"));
}

/* Whether the answer to a login says that the password must be changed. */
static bool login_requires_change(struct environment *environment, const char *password, struct services_tokens *tokens)
{
    services_login(&environment->fixture, "alice", password, tokens);
    return ((const auth_v1_LoginResponse *)(const void *)environment->fixture.answers[0].response)
        ->password_change_required;
}

/* --- ChangePassword --------------------------------------------------------------------------------------------- */

static void test_change(void **state)
{
    struct environment *environment = *state;
    assert_int_equal(get_me(environment, &environment->other)->status, MOTE_STATUS_OK); /* it is in the cache now */
    assert_int_equal(revoked(change(environment, PASSWORD, FRESH, environment->alice.access)), 1);
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_good(environment, &environment->alice);
        assert_over(environment, &environment->other);
        assert_no_login(environment, PASSWORD);
        restart(environment);
    }
    services_login(&environment->fixture, "alice", FRESH, &environment->other);
    assert_good(environment, &environment->other);
}

static void test_change_keeps_others(void **state)
{
    struct environment *environment = *state;
    assert_int_equal(revoked(change_keeping(environment, PASSWORD, FRESH, true, environment->alice.access)), 0);
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_good(environment, &environment->alice);
        assert_good(environment, &environment->other);
        restart(environment);
    }
    assert_no_login(environment, PASSWORD);
}

static void test_change_refused(void **state)
{
    struct environment *environment = *state;
    const char *token = environment->alice.access;
    struct services_answer *answer = change(environment, "", "short", token);
    assert_true(services_names(answer, "current_password"));
    assert_true(services_names(answer, "new_password"));
    static const char *const refused[] = {"", "7 bytes", "password1", "ALICE@example.org", PASSWORD};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_true(services_names(change(environment, PASSWORD, refused[i], token), "new_password"));
    }
    answer = change(environment, "wrong horse battery", FRESH, token);
    assert_true(services_failed(answer, MOTE_STATUS_INVALID_ARGUMENT, "CURRENT_PASSWORD_INVALID"));
    assert_int_equal(answer->violations.field_violations_count, 0);
    assert_good(environment, &environment->alice);
    assert_good(environment, &environment->other);
    services_login(&environment->fixture, "alice", PASSWORD, &environment->other);
}

/* A wrong current password counts as a failed login, and the throttle of logins holds it up. */
static void test_change_is_throttled(void **state)
{
    struct environment *environment = *state;
    const char *token = environment->alice.access;
    for (unsigned i = 0; i < 5; i++) {
        assert_true(services_failed(change(environment, "wrong", FRESH, token), MOTE_STATUS_INVALID_ARGUMENT,
                                    "CURRENT_PASSWORD_INVALID"));
    }
    struct services_answer *answer = change(environment, PASSWORD, FRESH, token);
    assert_true(services_failed(answer, MOTE_STATUS_RESOURCE_EXHAUSTED, "LOGIN_THROTTLED"));
    assert_int_equal(answer->retry_ms, 60000);
    answer = services_try_login(&environment->fixture, "alice", PASSWORD);
    assert_true(services_failed(answer, MOTE_STATUS_RESOURCE_EXHAUSTED, "LOGIN_THROTTLED"));
    services_wait_out(&environment->fixture, answer->retry_ms);
    assert_int_equal(change(environment, PASSWORD, FRESH, token)->status, MOTE_STATUS_OK);
}

/* What happens to the user while the hashes are computed: the store looks once more. */
static void test_change_overtaken(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    auth_v1_ChangePasswordRequest request = {.current_password = PASSWORD, .new_password = FRESH};
    /* Of two changes at once, one is first; for the other the current password is another then. */
    struct services_answer *first = services_start(fixture, 1, CHANGE, &request, environment->alice.access);
    struct services_answer *second = services_start(fixture, 2, CHANGE, &request, environment->alice.access);
    services_wait(fixture, first);
    services_wait(fixture, second);
    assert_int_equal(first->status, MOTE_STATUS_OK);
    assert_true(services_failed(second, MOTE_STATUS_INVALID_ARGUMENT, "CURRENT_PASSWORD_INVALID"));
    /* Set by an administrator before the change is written: the change is not made. */
    snprintf(request.current_password, sizeof request.current_password, "%s", FRESH);
    snprintf(request.new_password, sizeof request.new_password, "%s", PASSWORD);
    auth_v1_SetPasswordRequest other = {.new_password = "of the administrator"};
    snprintf(other.user_id, sizeof other.user_id, "%s", environment->alice.user_id);
    second = services_start(fixture, 2, SET, &other, environment->admin.access);
    first = services_start(fixture, 1, CHANGE, &request, environment->alice.access);
    services_wait(fixture, first);
    services_wait(fixture, second);
    assert_int_equal(second->status, MOTE_STATUS_OK);
    assert_true(services_failed(first, MOTE_STATUS_UNAUTHENTICATED, "SESSION_REVOKED"));
    services_login(fixture, "alice", "of the administrator", &environment->other);
}

/* --- SetPassword ------------------------------------------------------------------------------------------------ */

static void test_set(void **state)
{
    struct environment *environment = *state;
    struct services_tokens later;
    assert_int_equal(get_me(environment, &environment->other)->status, MOTE_STATUS_OK); /* it is in the cache now */
    services_pass(&environment->fixture, 5);
    assert_int_equal(revoked(set(environment, environment->alice.user_id, FRESH, false, environment->admin.access)), 2);
    assert_false(login_requires_change(environment, FRESH, &later));
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_over(environment, &environment->alice);
        assert_over(environment, &environment->other);
        assert_good(environment, &later);
        assert_no_login(environment, PASSWORD);
        restart(environment);
        services_pass(&environment->fixture, 5);
    }
}

/* A role change after it makes newer tokens stale, but older ones stay over, also after a restart. */
static void test_set_then_roles(void **state)
{
    struct environment *environment = *state;
    struct services_tokens later;
    assert_int_equal(revoked(set(environment, environment->alice.user_id, FRESH, false, environment->admin.access)), 2);
    services_login(&environment->fixture, "alice", FRESH, &later);
    user_v1_UpdateUserRequest update = {.has_user = true, .has_update_mask = true};
    snprintf(update.user.id, sizeof update.user.id, "%s", later.user_id);
    update.user.roles[update.user.roles_count++] = user_v1_Role_ROLE_SERVICE;
    update.update_mask.paths_count = 1;
    snprintf(update.update_mask.paths[0], sizeof update.update_mask.paths[0], "roles");
    assert_int_equal(
        services_call(&environment->fixture, &user_v1_UserService_UpdateUser_method, &update, environment->admin.access)
            ->status,
        MOTE_STATUS_OK);
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_over(environment, &environment->alice);
        assert_true(services_failed(get_me(environment, &later), MOTE_STATUS_UNAUTHENTICATED, "TOKEN_STALE"));
        restart(environment);
    }
    assert_int_equal(services_refresh(&environment->fixture, &later)->status, MOTE_STATUS_OK);
    assert_good(environment, &later);
}

static void test_set_refused(void **state)
{
    struct environment *environment = *state;
    const char *admin = environment->admin.access;
    const char *alice = environment->alice.user_id;
    assert_true(
        services_failed(set(environment, ABSENT, FRESH, false, admin), MOTE_STATUS_NOT_FOUND, "USER_NOT_FOUND"));
    struct services_answer *answer = set(environment, "me", "short", false, admin);
    assert_true(services_names(answer, "user_id"));
    assert_true(services_names(answer, "new_password"));
    assert_true(services_names(set(environment, ABSENT, "short", false, admin), "new_password"));
    assert_true(services_names(set(environment, alice, "alice@EXAMPLE.org", false, admin), "new_password"));
    assert_true(services_names(set(environment, alice, "password1", false, admin), "new_password"));
    assert_true(services_failed(set(environment, alice, FRESH, false, environment->alice.access),
                                MOTE_STATUS_PERMISSION_DENIED, "PERMISSION_DENIED"));
    assert_good(environment, &environment->alice);
    assert_good(environment, &environment->other);
}

/* --- a change that is required ---------------------------------------------------------------------------------- */

static void assert_held_up(struct environment *environment, const struct services_tokens *tokens)
{
    assert_true(
        services_failed(get_me(environment, tokens), MOTE_STATUS_FAILED_PRECONDITION, "PASSWORD_CHANGE_REQUIRED"));
}

static void test_required_change(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct services_tokens first;
    struct services_tokens second;
    const char *admin = environment->admin.access;
    assert_int_equal(revoked(set(environment, environment->alice.user_id, FRESH, true, admin)), 2);
    assert_true(login_requires_change(environment, FRESH, &first));
    assert_true(login_requires_change(environment, FRESH, &second));
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_held_up(environment, &first);
        assert_int_equal(services_refresh(fixture, &first)->status, MOTE_STATUS_OK);
        assert_held_up(environment, &first); /* a refresh does not get around it */
        restart(environment);
    }
    const auth_v1_LogoutRequest logout = {.scope = auth_v1_LogoutScope_LOGOUT_SCOPE_OTHERS};
    assert_int_equal(services_call(fixture, &auth_v1_AuthService_Logout_method, &logout, first.access)->status,
                     MOTE_STATUS_OK);
    assert_true(services_names(change(environment, FRESH, FRESH, first.access), "new_password"));
    services_login(fixture, "alice", FRESH, &second);
    assert_int_equal(revoked(change_keeping(environment, FRESH, PASSWORD, true, first.access)), 0);
    /* The tokens issued before are good at once, on this server and on the next. */
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_int_equal(get_me(environment, &first)->status, MOTE_STATUS_OK);
        assert_int_equal(get_me(environment, &second)->status, MOTE_STATUS_OK);
        restart(environment);
    }
    assert_good(environment, &first);
    assert_false(login_requires_change(environment, PASSWORD, &second));
    /* Required anew: neither the old tokens nor the ones to come are free by the change before. */
    assert_int_equal(revoked(set(environment, first.user_id, FRESH, true, admin)), 3);
    assert_over(environment, &first);
    assert_true(login_requires_change(environment, FRESH, &second));
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_held_up(environment, &second);
        restart(environment);
    }
    /* Set without the requirement, it is gone. */
    assert_int_equal(revoked(set(environment, first.user_id, PASSWORD, false, admin)), 1);
    assert_false(login_requires_change(environment, PASSWORD, &second));
    assert_good(environment, &second);
}

/* Every method but ChangePassword, Logout and the public ones. */
static void test_required_change_of_an_administrator(void **state)
{
    struct environment *environment = *state;
    static const struct mote_service *const services[] = {&user_v1_UserService_service, &auth_v1_AuthService_service};
    static const char *const left[] = {"HealthCheck", "Login",  "RefreshToken",
                                       "RevokeToken", "Logout", "ChangePassword"};
    static const uint8_t empty[8192]; /* a request of any type with nothing set */
    assert_int_equal(revoked(set(environment, environment->admin.user_id, FRESH, true, environment->admin.access)), 1);
    services_login(&environment->fixture, "admin", FRESH, &environment->admin);
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < services[i]->method_count; k++) {
            const struct mote_method *method = &services[i]->methods[k];
            bool is_left = false;
            for (size_t n = 0; n < sizeof left / sizeof left[0]; n++) {
                is_left = is_left || strcmp(left[n], method->name) == 0;
            }
            assert_true(method->request->size <= sizeof empty);
            struct services_answer *answer =
                services_call(&environment->fixture, method, empty, environment->admin.access);
            assert_int_equal(strcmp(answer->reason, "PASSWORD_CHANGE_REQUIRED") != 0, is_left);
            if (strcmp(method->name, "Logout") == 0) {
                services_login(&environment->fixture, "admin", FRESH, &environment->admin);
            }
        }
    }
}

/* To another service that asks, such a token is not one to let in. */
static void test_validate_of_one_held_up(void **state)
{
    struct environment *environment = *state;
    struct services_tokens tokens;
    auth_v1_ValidateTokenRequest request = {.access_token = ""};
    assert_int_equal(revoked(set(environment, environment->alice.user_id, FRESH, true, environment->admin.access)), 2);
    services_login(&environment->fixture, "alice", FRESH, &tokens);
    snprintf(request.access_token, sizeof request.access_token, "%s", tokens.access);
    for (unsigned pass = 0; pass < 2; pass++) {
        struct services_answer *answer = services_call(&environment->fixture, &auth_v1_AuthService_ValidateToken_method,
                                                       &request, environment->admin.access);
        const auth_v1_ValidateTokenResponse *response =
            (const auth_v1_ValidateTokenResponse *)(const void *)answer->response;
        assert_int_equal(answer->status, MOTE_STATUS_OK);
        assert_int_equal(response->active, pass == 1);
        assert_int_equal(response->inactive_reason,
                         pass == 0 ? auth_v1_InactiveReason_INACTIVE_REASON_ROLE_MISSING : 0);
        if (pass == 0) {
            assert_int_equal(change(environment, FRESH, PASSWORD, tokens.access)->status, MOTE_STATUS_OK);
        }
    }
}

/* --- hashes ----------------------------------------------------------------------------------------------------- */

struct reading {
    struct mote_store_get_user read;
    int result;
};

static void read_done(struct mote_store_get_user *read, int result)
{
    MOTE_CONTAINER_OF(read, struct reading, read)->result = result;
}

static void read_hash(struct environment *environment, char hash[MOTE_STORE_HASH_MAX])
{
    struct reading reading = {.read = {.key = MOTE_STORE_BY_USERNAME, .text = "alice", .done = read_done}};
    mote_store_get_user(environment->fixture.worker->session, &reading.read);
    assert_int_equal(reading.result, 0);
    memcpy(hash, reading.read.user.password_hash, MOTE_STORE_HASH_MAX);
    mote_services_worker_end_turn(environment->fixture.worker);
}

/* A login with another setting than that of the hash makes it anew, after its answer; the sessions stay. */
static void test_rehash(void **state)
{
    struct environment *environment = *state;
    static const struct {
        struct mote_password_settings settings;
        const char *prefix;
    } cases[] = {
        {{.memory_kib = 72, .iterations = 1, .parallelism = 1}, "$argon2id$v=19$m=72,t=1,p=1$"},
        {{.memory_kib = 0, .iterations = 1000}, "$pbkdf2-sha256$i=1000$"},
        {{.memory_kib = 64, .iterations = 1, .parallelism = 1}, "$argon2id$v=19$m=64,t=1,p=1$"},
    };
    char before[MOTE_STORE_HASH_MAX];
    char after[MOTE_STORE_HASH_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        restart_with(environment, cases[i].settings);
        assert_no_login(environment, "wrong horse battery");
        read_hash(environment, before);
        assert_int_not_equal(strncmp(before, cases[i].prefix, strlen(cases[i].prefix)), 0);
        services_login(&environment->fixture, "alice", PASSWORD, &environment->other);
        while (mote_server_worker_calls(environment->fixture.pair.worker) > 0) {
            services_turn(&environment->fixture, true);
        }
        read_hash(environment, after);
        assert_int_equal(strncmp(after, cases[i].prefix, strlen(cases[i].prefix)), 0);
        services_login(&environment->fixture, "alice", PASSWORD, &environment->other);
        read_hash(environment, before);
        assert_string_equal(before, after); /* once is enough */
        assert_good(environment, &environment->alice);
    }
}

/* The password is changed while the old one is being hashed anew: the new one stays. */
static void test_rehash_overtaken(void **state)
{
    struct environment *environment = *state;
    auth_v1_ChangePasswordRequest request = {.current_password = PASSWORD, .new_password = FRESH};
    auth_v1_LoginRequest login = {
        .which_identifier = auth_v1_LoginRequest_username_tag, .identifier.username = "alice", .password = PASSWORD};
    restart_with(environment, (struct mote_password_settings){.memory_kib = 72, .iterations = 1, .parallelism = 1});
    struct services_fixture *fixture = &environment->fixture;
    struct services_answer *answers[20];
    for (size_t i = 0; i < 20; i++) {
        answers[i] = i == 10 ? services_start(fixture, i, CHANGE, &request, environment->alice.access)
                             : services_start(fixture, i, &auth_v1_AuthService_Login_method, &login, NULL);
    }
    for (size_t i = 0; i < 20; i++) {
        services_wait(fixture, answers[i]);
    }
    while (mote_server_worker_calls(fixture->pair.worker) > 0) {
        services_turn(fixture, true);
    }
    assert_int_equal(answers[10]->status, MOTE_STATUS_OK);
    assert_no_login(environment, PASSWORD);
    services_login(fixture, "alice", FRESH, &environment->other);
}

#define WITH_USERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_USERS(test_change),
        WITH_USERS(test_change_keeps_others),
        WITH_USERS(test_change_refused),
        WITH_USERS(test_change_is_throttled),
        WITH_USERS(test_change_overtaken),
        WITH_USERS(test_set),
        WITH_USERS(test_set_then_roles),
        WITH_USERS(test_set_refused),
        WITH_USERS(test_required_change),
        WITH_USERS(test_required_change_of_an_administrator),
        WITH_USERS(test_validate_of_one_held_up),
        WITH_USERS(test_rehash),
        WITH_USERS(test_rehash_overtaken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
