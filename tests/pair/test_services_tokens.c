/* SPDX-License-Identifier: Apache-2.0 */
/* auth.v1.AuthService by calls: passwords, sessions, rotation of refresh tokens, and the end of tokens. */
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
#define DAY      86400

#define LOGIN    &auth_v1_AuthService_Login_method
#define VALIDATE &auth_v1_AuthService_ValidateToken_method
#define LOGOUT   &auth_v1_AuthService_Logout_method

struct environment {
    struct services_fixture fixture;
    struct services_tokens admin, alice, service;
};

static void open_with(void **state, const struct services_options *options)
{
    struct environment *environment = calloc(1, sizeof *environment);
    struct services_fixture *fixture = &environment->fixture;
    services_open(fixture, options);
    services_make_user(fixture, "admin", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_make_user(fixture, "gateway", MOTE_ROLE_BIT_SERVICE, PASSWORD, NULL);
    services_login(fixture, "admin", PASSWORD, &environment->admin);
    services_login(fixture, "alice", PASSWORD, &environment->alice);
    services_login(fixture, "gateway", PASSWORD, &environment->service);
    *state = environment;
}

static int set_up(void **state)
{
    open_with(state, NULL);
    return 0;
}

/* Hashes that take as long as real ones. */
static int set_up_slow(void **state)
{
    open_with(state, &(struct services_options){.settings = {.memory_kib = 19456, .iterations = 2, .parallelism = 1}});
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
    return services_call(&environment->fixture, &user_v1_UserService_GetUser_method, &request, token);
}

static struct mote_identity identity_of(struct environment *environment, const char *token)
{
    struct mote_identity identity;
    struct services_fixture *fixture = &environment->fixture;
    assert_int_equal(mote_jwt_verify(&identity, fixture->keyring, &fixture->services.policy, mote_slice_text(token),
                                     fixture->wall_ns / (int64_t)MOTE_NS_PER_SECOND),
                     0);
    return identity;
}

/* --- Login ----------------------------------------------------------------------------------------------------- */

static void assert_uuid(const char *text, const uint8_t id[16])
{
    char expected[MOTE_UUID_TEXT_LENGTH + 1] = {0};
    mote_uuid_format(expected, id);
    assert_string_equal(text, expected);
}

struct session_read {
    struct mote_store_get_session read;
    bool done;
};

static void session_done(struct mote_store_get_session *read, int result)
{
    assert_int_equal(result, 0);
    MOTE_CONTAINER_OF(read, struct session_read, read)->done = true;
}

static void test_login(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    services_pass(fixture, 3);
    struct services_answer *answer = services_try_login(fixture, "ALICE", PASSWORD);
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    const auth_v1_LoginResponse *response = (const auth_v1_LoginResponse *)(const void *)answer->response;
    assert_string_equal(response->user_id, environment->alice.user_id);
    assert_string_not_equal(response->session_id, environment->alice.session_id);
    assert_false(response->password_change_required);
    assert_string_equal(response->tokens.token_type, "Bearer");
    assert_int_equal(response->tokens.expires_in.seconds, 900);
    assert_int_equal(strlen(response->tokens.refresh_token), 43);
    assert_int_equal(response->tokens.refresh_expire_time.seconds, SERVICES_WALL + 3 + 7 * DAY);
    struct mote_identity identity = identity_of(environment, response->tokens.access_token);
    assert_uuid(response->user_id, identity.user_id);
    assert_uuid(response->session_id, identity.session_id);
    assert_int_equal(identity.issued_at, SERVICES_WALL + 3);
    assert_int_equal(identity.not_before, SERVICES_WALL + 3);
    assert_int_equal(identity.expires_at, SERVICES_WALL + 903);
    assert_int_equal(identity.roles, MOTE_ROLE_BIT_USER);
    /* What the store keeps of it. */
    struct session_read session = {.read.done = session_done};
    struct mote_store_session *reader;
    memcpy(session.read.id, identity.session_id, 16);
    assert_int_equal(mote_store_session_open(&reader, fixture->store, &fixture->mailbox), 0);
    mote_store_get_session(reader, &session.read);
    assert_true(session.done);
    mote_store_session_close(reader);
    assert_string_equal(session.read.record.peer_address, "192.0.2.1");
    assert_int_equal(session.read.record.expire_time / (int64_t)MOTE_NS_PER_SECOND, SERVICES_WALL + 3 + 30 * DAY);
    assert_false(session.read.revoked);
}

static void test_login_by_email(void **state)
{
    struct environment *environment = *state;
    auth_v1_LoginRequest request = {.which_identifier = auth_v1_LoginRequest_email_tag, .password = PASSWORD};
    static const struct {
        const char *email;
        bool good;
    } cases[] = {{"alice@Example.org", true}, {"ALICE@EXAMPLE.ORG", true}, {"alice", false}, {"x@example.org", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(request.identifier.email, sizeof request.identifier.email, "%s", cases[i].email);
        struct services_answer *answer = services_call(&environment->fixture, LOGIN, &request, NULL);
        if (cases[i].good) {
            assert_int_equal(answer->status, MOTE_STATUS_OK);
        } else {
            assert_true(services_failed(answer, MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_INVALID"));
        }
    }
}

static void test_login_refused_with_one_text(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    services_make_user(fixture, "nopassword", MOTE_ROLE_BIT_USER, NULL, NULL);
    services_make_disabled_user(fixture, "gone", PASSWORD);
    static const char *const cases[][2] = {
        {"alice", "correct horse batterz"},
        {"alice", "x"},
        {"alice", "correct horse battery "},
        {"nobody", PASSWORD},
        {"1", PASSWORD},
        {"alice'--", PASSWORD},
        {"nopassword", PASSWORD},
        {"gone", PASSWORD},
        {"alice@Example.org", PASSWORD},
    };
    char text[sizeof((struct services_answer *)0)->message] = "";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct services_answer *answer = services_try_login(fixture, cases[i][0], cases[i][1]);
        assert_true(services_failed(answer, MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_INVALID"));
        assert_true(i == 0 || strcmp(answer->message, text) == 0);
        memcpy(text, answer->message, sizeof text);
    }
}

static void test_login_incomplete(void **state)
{
    struct environment *environment = *state;
    auth_v1_LoginRequest request = {.password = ""};
    struct services_answer *answer = services_call(&environment->fixture, LOGIN, &request, NULL);
    assert_true(services_names(answer, "username") && services_names(answer, "password"));
    request.which_identifier = auth_v1_LoginRequest_email_tag;
    answer = services_call(&environment->fixture, LOGIN, &request, NULL);
    assert_true(services_names(answer, "email") && services_names(answer, "password"));
    request.which_identifier = auth_v1_LoginRequest_username_tag;
    answer = services_call(&environment->fixture, LOGIN, &request, NULL);
    assert_true(services_names(answer, "username") && services_names(answer, "password"));
}

/* Without random bytes no token is made, and nothing is told of why. */
static void test_login_without_random(void **state)
{
    struct environment *environment = *state;
    environment->fixture.random_error = MOTE_ERANDOM;
    struct services_answer *answer = services_try_login(&environment->fixture, "alice", PASSWORD);
    assert_true(services_failed(answer, MOTE_STATUS_INTERNAL, "INTERNAL_ERROR"));
    assert_string_equal(answer->message, "internal error");
    struct services_tokens tokens = environment->alice;
    assert_true(
        services_failed(services_refresh(&environment->fixture, &tokens), MOTE_STATUS_INTERNAL, "INTERNAL_ERROR"));
    environment->fixture.random_error = 0;
}

static struct services_answer *start_login(struct environment *environment, size_t index, const char *username)
{
    auth_v1_LoginRequest request = {.which_identifier = auth_v1_LoginRequest_username_tag, .password = PASSWORD};
    snprintf(request.identifier.username, sizeof request.identifier.username, "%s", username);
    return services_start(&environment->fixture, index, LOGIN, &request, NULL);
}

static void test_hash_queue_full(void **state)
{
    struct environment *environment = *state;
    enum { LOGINS = 60 };
    for (size_t i = 0; i < LOGINS; i++) {
        /* Each unknown name once, so that no throttle is in the way. */
        char nobody[16];
        snprintf(nobody, sizeof nobody, "nobody%zu", i);
        start_login(environment, i, i % 3 != 0 ? "alice" : nobody);
    }
    size_t refused = 0;
    for (size_t i = 0; i < LOGINS; i++) {
        struct services_answer *answer = &environment->fixture.answers[i];
        services_wait(&environment->fixture, answer);
        if (answer->status == MOTE_STATUS_UNAVAILABLE) {
            assert_true(services_failed(answer, MOTE_STATUS_UNAVAILABLE, "HASH_QUEUE_FULL"));
            assert_int_equal(answer->retry_ms, 1000);
            refused++;
        } else if (i % 3 != 0) {
            assert_int_equal(answer->status, MOTE_STATUS_OK);
        } else {
            assert_true(services_failed(answer, MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_INVALID"));
        }
    }
    /* 32 wait, one runs perhaps, and a few more may have been done while the last were coming in. */
    assert_in_range(refused, 1, LOGINS - 32);
}

static void test_hash_queue_wait(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    enum { LOGINS = 10 };
    for (size_t i = 0; i < LOGINS; i++) {
        start_login(environment, i, "alice");
    }
    services_turn(fixture, false);
    fixture->monotonic_ns += 5 * (uint64_t)MOTE_NS_PER_SECOND;
    size_t refused = 0;
    for (size_t i = 0; i < LOGINS; i++) {
        struct services_answer *answer = &fixture->answers[i];
        services_wait(fixture, answer);
        if (answer->status != MOTE_STATUS_OK) {
            assert_true(services_failed(answer, MOTE_STATUS_UNAVAILABLE, "HASH_QUEUE_FULL"));
            refused++;
        }
    }
    assert_in_range(refused, 1, LOGINS);
}

/* A call that ends while its password is being hashed leaves nothing behind, and the next ones are answered. */
static void test_login_cancelled(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    for (size_t i = 0; i < 30; i++) {
        start_login(environment, i, "alice");
    }
    services_turn(fixture, false);
    for (size_t i = 0; i < 29; i++) {
        mote_client_call_cancel(fixture->answers[i].call);
        assert_int_equal(fixture->answers[i].status, MOTE_STATUS_CANCELLED);
    }
    /* Those that were waiting are gone at once; one or two had come to the hash. */
    mote_rpc_pair_pump(&fixture->pair);
    assert_in_range(mote_server_worker_calls(fixture->pair.worker), 1, 5);
    services_wait(fixture, &fixture->answers[29]);
    assert_int_equal(fixture->answers[29].status, MOTE_STATUS_OK);
    while (mote_server_worker_calls(fixture->pair.worker) > 0) {
        services_turn(fixture, true);
    }
}

/* --- RefreshToken ---------------------------------------------------------------------------------------------- */

static void assert_invalid(struct environment *environment, const struct services_tokens *tokens)
{
    struct services_tokens copy = *tokens;
    assert_true(services_failed(services_refresh(&environment->fixture, &copy), MOTE_STATUS_UNAUTHENTICATED,
                                "REFRESH_TOKEN_INVALID"));
}

static void assert_reused(struct environment *environment, const struct services_tokens *tokens)
{
    struct services_tokens copy = *tokens;
    assert_true(services_failed(services_refresh(&environment->fixture, &copy), MOTE_STATUS_UNAUTHENTICATED,
                                "REFRESH_TOKEN_REUSED"));
}

static void assert_refreshed(struct environment *environment, struct services_tokens *tokens)
{
    struct services_answer *answer = services_refresh(&environment->fixture, tokens);
    assert_int_equal(answer->status, MOTE_STATUS_OK);
}

static void test_rotation(void **state)
{
    struct environment *environment = *state;
    struct services_tokens first = environment->alice;
    struct services_tokens tokens = first;
    services_pass(&environment->fixture, 100);
    struct services_answer *answer = services_refresh(&environment->fixture, &tokens);
    const auth_v1_RefreshTokenResponse *response = (const auth_v1_RefreshTokenResponse *)(const void *)answer->response;
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    assert_string_not_equal(tokens.refresh, first.refresh);
    assert_string_not_equal(tokens.access, first.access);
    assert_int_equal(response->tokens.expires_in.seconds, 900);
    assert_int_equal(response->tokens.refresh_expire_time.seconds, SERVICES_WALL + 100 + 7 * DAY);
    struct mote_identity before = identity_of(environment, first.access);
    struct mote_identity after = identity_of(environment, tokens.access);
    assert_memory_equal(before.session_id, after.session_id, 16);
    assert_memory_equal(before.user_id, after.user_id, 16);
    assert_memory_not_equal(before.token_id, after.token_id, 16);
    assert_int_equal(after.issued_at, SERVICES_WALL + 100);
    assert_int_equal(get_me(environment, tokens.access)->status, MOTE_STATUS_OK);
    assert_int_equal(get_me(environment, first.access)->status, MOTE_STATUS_OK);
    for (size_t i = 0; i < 5; i++) {
        assert_refreshed(environment, &tokens);
    }
}

/* The successor is the HMAC of its parent, so a lost answer can be asked for again. */
static void test_lost_answer(void **state)
{
    struct environment *environment = *state;
    struct services_tokens once = environment->alice;
    assert_refreshed(environment, &once);
    services_pass(&environment->fixture, 10);
    struct services_tokens again = environment->alice;
    assert_refreshed(environment, &again);
    assert_string_equal(again.refresh, once.refresh);
    uint8_t parent[34], mac[32];
    size_t length;
    char expected[44] = {0};
    assert_int_equal(
        mote_base64_decode(parent, &length, mote_slice_text(environment->alice.refresh), MOTE_BASE64_URL_UNPADDED), 0);
    assert_int_equal(mote_keyring_mac(environment->fixture.keyring, NULL, MOTE_KEY_REFRESH_SUCCESSOR,
                                      mote_slice(parent, length), mac),
                     0);
    mote_base64_encode(expected, mote_slice(mac, 32), MOTE_BASE64_URL_UNPADDED);
    assert_string_equal(once.refresh, expected);
    assert_refreshed(environment, &again);
}

static void assert_family_is_dead(struct environment *environment, const struct services_tokens *newest)
{
    assert_invalid(environment, newest);
    assert_true(services_failed(get_me(environment, newest->access), MOTE_STATUS_UNAUTHENTICATED, "SESSION_REVOKED"));
    assert_true(services_failed(get_me(environment, environment->alice.access), MOTE_STATUS_UNAUTHENTICATED,
                                "SESSION_REVOKED"));
}

static void test_reuse_after_the_grace(void **state)
{
    struct environment *environment = *state;
    struct services_tokens other;
    services_login(&environment->fixture, "alice", PASSWORD, &other);
    struct services_tokens tokens = environment->alice;
    assert_refreshed(environment, &tokens);
    services_pass(&environment->fixture, 11);
    assert_reused(environment, &environment->alice);
    assert_family_is_dead(environment, &tokens);
    /* Another session of the same user lives on. */
    assert_int_equal(get_me(environment, other.access)->status, MOTE_STATUS_OK);
    assert_refreshed(environment, &other);
}

static void test_reuse_within_the_grace_of_a_used_successor(void **state)
{
    struct environment *environment = *state;
    struct services_tokens tokens = environment->alice;
    assert_refreshed(environment, &tokens);
    assert_refreshed(environment, &tokens);
    assert_reused(environment, &environment->alice);
    assert_family_is_dead(environment, &tokens);
}

static void test_concurrent_refreshes(void **state)
{
    struct environment *environment = *state;
    enum { REFRESHES = 50 };
    auth_v1_RefreshTokenRequest request = {.refresh_token = ""};
    snprintf(request.refresh_token, sizeof request.refresh_token, "%s", environment->alice.refresh);
    for (size_t i = 0; i < REFRESHES; i++) {
        services_start(&environment->fixture, i, &auth_v1_AuthService_RefreshToken_method, &request, NULL);
    }
    const auth_v1_RefreshTokenResponse *first =
        (const auth_v1_RefreshTokenResponse *)(const void *)environment->fixture.answers[0].response;
    for (size_t i = 0; i < REFRESHES; i++) {
        struct services_answer *answer = &environment->fixture.answers[i];
        services_wait(&environment->fixture, answer);
        assert_int_equal(answer->status, MOTE_STATUS_OK);
        const auth_v1_RefreshTokenResponse *response =
            (const auth_v1_RefreshTokenResponse *)(const void *)answer->response;
        assert_string_equal(response->tokens.refresh_token, first->tokens.refresh_token);
    }
}

static void test_refresh_token_malformed_or_unknown(void **state)
{
    struct environment *environment = *state;
    static const char *const bad[] = {
        "",
        "x",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* nobody's */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", /* not canonical */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    struct services_tokens tokens = {.refresh = ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(tokens.refresh, sizeof tokens.refresh, "%s", bad[i]);
        assert_invalid(environment, &tokens);
    }
    /* An access token is none, and a refresh token is no access token. */
    auth_v1_RefreshTokenRequest request = {.refresh_token = ""};
    snprintf(request.refresh_token, sizeof request.refresh_token, "%s", environment->alice.access);
    assert_true(
        services_failed(services_call(&environment->fixture, &auth_v1_AuthService_RefreshToken_method, &request, NULL),
                        MOTE_STATUS_UNAUTHENTICATED, "REFRESH_TOKEN_INVALID"));
    assert_true(
        services_failed(get_me(environment, environment->alice.refresh), MOTE_STATUS_UNAUTHENTICATED, "TOKEN_INVALID"));
}

static void test_refresh_expiry(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct services_tokens idle = environment->admin;
    struct services_tokens tokens = environment->alice;
    for (int day = 6; day <= 24; day += 6) {
        services_pass(fixture, 6 * DAY);
        assert_refreshed(environment, &tokens);
    }
    assert_invalid(environment, &idle);
    /* The session's absolute end cuts both tokens. */
    services_pass(fixture, 6 * DAY - 60);
    struct services_answer *answer = services_refresh(fixture, &tokens);
    const auth_v1_RefreshTokenResponse *response = (const auth_v1_RefreshTokenResponse *)(const void *)answer->response;
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    assert_int_equal(response->tokens.refresh_expire_time.seconds, SERVICES_WALL + 30 * DAY);
    assert_int_equal(response->tokens.expires_in.seconds, 60);
    assert_int_equal(identity_of(environment, tokens.access).expires_at, SERVICES_WALL + 30 * DAY);
    services_pass(fixture, 60);
    assert_invalid(environment, &tokens);
}

static void test_refresh_with_other_keys(void **state)
{
    static const struct mote_slice secrets[] = {
        MOTE_SLICE_LITERAL("pL7x2Wc9vB4nM6kJ1hG8fD3sA5qZ0tRy-second"),
        MOTE_SLICE_LITERAL(SERVICES_SECRET),
    };
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct mote_keyring *both, *second;
    assert_int_equal(mote_keyring_new_list(&both, mote_mem_system(), secrets, 2), 0);
    assert_int_equal(mote_keyring_new_list(&second, mote_mem_system(), secrets, 1), 0);
    struct services_tokens tokens = environment->alice;
    assert_refreshed(environment, &tokens);
    /* A new key signs: what the old one derived can still be given again. */
    mote_keyring_slot_publish(&fixture->keys, both);
    struct services_tokens again = environment->alice;
    assert_refreshed(environment, &again);
    assert_string_equal(again.refresh, tokens.refresh);
    assert_refreshed(environment, &tokens);
    assert_int_equal(get_me(environment, tokens.access)->status, MOTE_STATUS_OK);
    /* The old key is gone: a token whose successor it would derive rotates with the new one, but an answer lost
     * meanwhile is lost. */
    struct services_tokens admin = environment->admin;
    assert_refreshed(environment, &admin);
    mote_keyring_slot_publish(&fixture->keys, second);
    assert_invalid(environment, &environment->admin);
    struct services_tokens service = environment->service;
    assert_refreshed(environment, &service);
    assert_refreshed(environment, &service);
}

/* --- ValidateToken --------------------------------------------------------------------------------------------- */

static const auth_v1_ValidateTokenResponse *validate(struct environment *environment, const char *token,
                                                     user_v1_Role role, const char *caller)
{
    auth_v1_ValidateTokenRequest request = {.required_role = role};
    snprintf(request.access_token, sizeof request.access_token, "%s", token);
    struct services_answer *answer = services_call(&environment->fixture, VALIDATE, &request, caller);
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    return (const auth_v1_ValidateTokenResponse *)(const void *)answer->response;
}

static void assert_inactive(const auth_v1_ValidateTokenResponse *response, auth_v1_InactiveReason reason)
{
    const auth_v1_ValidateTokenResponse expected = {.inactive_reason = reason};
    assert_memory_equal(response, &expected, sizeof expected);
}

static void test_validate(void **state)
{
    struct environment *environment = *state;
    const char *token = environment->alice.access;
    const char *const callers[] = {environment->alice.access, environment->service.access, environment->admin.access};
    struct mote_identity identity = identity_of(environment, token);
    for (size_t i = 0; i < 3; i++) {
        const auth_v1_ValidateTokenResponse *response = validate(environment, token, 0, callers[i]);
        assert_true(response->active);
        assert_int_equal(response->inactive_reason, 0);
        assert_string_equal(response->user_id, environment->alice.user_id);
        assert_string_equal(response->session_id, environment->alice.session_id);
        assert_uuid(response->token_id, identity.token_id);
        assert_string_equal(response->username, "alice");
        assert_int_equal(response->roles_count, 1);
        assert_int_equal(response->roles[0], user_v1_Role_ROLE_USER);
        assert_int_equal(response->issue_time.seconds, SERVICES_WALL);
        assert_int_equal(response->expire_time.seconds, SERVICES_WALL + 900);
    }
    assert_true(validate(environment, token, user_v1_Role_ROLE_USER, callers[1])->active);
    assert_inactive(validate(environment, token, user_v1_Role_ROLE_ADMIN, callers[1]),
                    auth_v1_InactiveReason_INACTIVE_REASON_ROLE_MISSING);
    auth_v1_ValidateTokenRequest request = {.required_role = (user_v1_Role)4};
    assert_true(services_names(services_call(&environment->fixture, VALIDATE, &request, callers[1]), "required_role"));
}

static void test_validate_for_strangers(void **state)
{
    struct environment *environment = *state;
    const char *alice = environment->alice.access;
    const auth_v1_InactiveReason invalid = auth_v1_InactiveReason_INACTIVE_REASON_INVALID;
    assert_inactive(validate(environment, environment->service.access, 0, alice), invalid);
    assert_inactive(validate(environment, environment->service.access, user_v1_Role_ROLE_ADMIN, alice), invalid);
    assert_inactive(validate(environment, "no.good.token", 0, alice), invalid);
    assert_inactive(validate(environment, "", 0, alice), invalid);
    struct mote_identity old = {.issued_at = SERVICES_WALL - 1000, .not_before = SERVICES_WALL - 1000};
    old.expires_at = SERVICES_WALL - 100;
    old.roles = MOTE_ROLE_BIT_USER;
    char token[MOTE_JWT_LENGTH_MAX + 1];
    services_forge(&environment->fixture, &old, token);
    assert_inactive(validate(environment, token, 0, alice), invalid);
    assert_inactive(validate(environment, token, 0, environment->admin.access),
                    auth_v1_InactiveReason_INACTIVE_REASON_EXPIRED);
}

static void test_validate_of_bad_tokens(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    const char *service = environment->service.access;
    char token[MOTE_JWT_LENGTH_MAX + 1];
    assert_inactive(validate(environment, "no.good.token", 0, service), auth_v1_InactiveReason_INACTIVE_REASON_INVALID);
    struct mote_identity early = {.issued_at = SERVICES_WALL + 100, .not_before = SERVICES_WALL + 100};
    early.expires_at = SERVICES_WALL + 200;
    early.roles = MOTE_ROLE_BIT_USER;
    services_forge(fixture, &early, token);
    assert_inactive(validate(environment, token, 0, service), auth_v1_InactiveReason_INACTIVE_REASON_NOT_YET_VALID);
    /* Its user is gone, or never was. */
    struct mote_identity nobody = {.issued_at = SERVICES_WALL, .not_before = SERVICES_WALL};
    nobody.expires_at = SERVICES_WALL + 900;
    nobody.roles = MOTE_ROLE_BIT_USER;
    services_forge(fixture, &nobody, token);
    assert_inactive(validate(environment, token, 0, service), auth_v1_InactiveReason_INACTIVE_REASON_REVOKED);
    /* Logged out. */
    const auth_v1_LogoutRequest logout = {.scope = auth_v1_LogoutScope_LOGOUT_SCOPE_LOCAL};
    assert_true(validate(environment, environment->alice.access, 0, service)->active);
    assert_int_equal(services_call(fixture, LOGOUT, &logout, environment->alice.access)->status, MOTE_STATUS_OK);
    assert_inactive(validate(environment, environment->alice.access, 0, service),
                    auth_v1_InactiveReason_INACTIVE_REASON_REVOKED);
}

/* --- Logout ---------------------------------------------------------------------------------------------------- */

static int32_t logout(struct environment *environment, auth_v1_LogoutScope scope, const char *token)
{
    const auth_v1_LogoutRequest request = {.scope = scope};
    struct services_answer *answer = services_call(&environment->fixture, LOGOUT, &request, token);
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    return ((const auth_v1_LogoutResponse *)(const void *)answer->response)->revoked_session_count;
}

static void assert_over(struct environment *environment, const struct services_tokens *tokens)
{
    assert_true(services_failed(get_me(environment, tokens->access), MOTE_STATUS_UNAUTHENTICATED, "SESSION_REVOKED"));
    assert_invalid(environment, tokens);
}

static void assert_alive(struct environment *environment, const struct services_tokens *tokens)
{
    assert_int_equal(get_me(environment, tokens->access)->status, MOTE_STATUS_OK);
}

static void test_logout(void **state)
{
    struct environment *environment = *state;
    struct services_tokens sessions[5];
    for (size_t i = 0; i < 5; i++) {
        services_login(&environment->fixture, "alice", PASSWORD, &sessions[i]);
        assert_alive(environment, &sessions[i]);
    }
    assert_int_equal(logout(environment, 0, sessions[0].access), 1);
    assert_over(environment, &sessions[0]);
    assert_alive(environment, &sessions[1]);
    assert_int_equal(logout(environment, auth_v1_LogoutScope_LOGOUT_SCOPE_LOCAL, sessions[1].access), 1);
    assert_over(environment, &sessions[1]);
    assert_alive(environment, &sessions[2]);
    assert_int_equal(logout(environment, auth_v1_LogoutScope_LOGOUT_SCOPE_OTHERS, sessions[2].access), 3);
    assert_over(environment, &sessions[3]);
    assert_over(environment, &sessions[4]);
    assert_over(environment, &environment->alice);
    assert_alive(environment, &sessions[2]);
    services_login(&environment->fixture, "alice", PASSWORD, &sessions[3]);
    assert_int_equal(logout(environment, auth_v1_LogoutScope_LOGOUT_SCOPE_GLOBAL, sessions[2].access), 2);
    assert_over(environment, &sessions[2]);
    assert_over(environment, &sessions[3]);
    /* Others' sessions never. */
    assert_alive(environment, &environment->admin);
    assert_alive(environment, &environment->service);
    const auth_v1_LogoutRequest request = {.scope = (auth_v1_LogoutScope)4};
    assert_true(
        services_names(services_call(&environment->fixture, LOGOUT, &request, environment->admin.access), "scope"));
}

#define WITH_USERS(test)  cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define SLOW_HASHES(test) cmocka_unit_test_setup_teardown(test, set_up_slow, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_USERS(test_login),
        WITH_USERS(test_login_by_email),
        WITH_USERS(test_login_refused_with_one_text),
        WITH_USERS(test_login_incomplete),
        WITH_USERS(test_login_without_random),
        SLOW_HASHES(test_hash_queue_full),
        SLOW_HASHES(test_hash_queue_wait),
        SLOW_HASHES(test_login_cancelled),
        WITH_USERS(test_rotation),
        WITH_USERS(test_lost_answer),
        WITH_USERS(test_reuse_after_the_grace),
        WITH_USERS(test_reuse_within_the_grace_of_a_used_successor),
        WITH_USERS(test_concurrent_refreshes),
        WITH_USERS(test_refresh_token_malformed_or_unknown),
        WITH_USERS(test_refresh_expiry),
        WITH_USERS(test_refresh_with_other_keys),
        WITH_USERS(test_validate),
        WITH_USERS(test_validate_for_strangers),
        WITH_USERS(test_validate_of_bad_tokens),
        WITH_USERS(test_logout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
