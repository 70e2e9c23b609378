/* SPDX-License-Identifier: Apache-2.0 */
/* The end of single tokens, and keys that change under the services. */
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
#include "services/worker.h"

#define PASSWORD "correct horse battery"
#define REVOKE   &auth_v1_AuthService_RevokeToken_method
#define VALIDATE &auth_v1_AuthService_ValidateToken_method

struct environment {
    struct services_fixture fixture;
    struct services_tokens alice, service;
};

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    struct services_fixture *fixture = &environment->fixture;
    services_open(fixture, NULL);
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_make_user(fixture, "gateway", MOTE_ROLE_BIT_SERVICE, PASSWORD, NULL);
    services_login(fixture, "alice", PASSWORD, &environment->alice);
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

/* The reason that GetUser refuses this token for; NULL: it does not. */
static const char *refused(struct environment *environment, const char *token)
{
    const user_v1_GetUserRequest request = {.id = "me"};
    struct services_answer *answer =
        services_call(&environment->fixture, &user_v1_UserService_GetUser_method, &request, token);
    if (answer->status == MOTE_STATUS_OK) {
        return NULL;
    }
    assert_true(services_failed(answer, MOTE_STATUS_UNAUTHENTICATED, answer->reason));
    return answer->reason;
}

static void revoke(struct environment *environment, const char *token, auth_v1_TokenTypeHint hint)
{
    auth_v1_RevokeTokenRequest request = {.token_type_hint = hint};
    snprintf(request.token, sizeof request.token, "%s", token);
    assert_int_equal(services_call(&environment->fixture, REVOKE, &request, NULL)->status, MOTE_STATUS_OK);
}

/* --- RevokeToken ------------------------------------------------------------------------------------------------- */

static void test_an_access_token_ends_alone(void **state)
{
    for (int hint = 0; hint < 4; hint++) { /* every hint, and one that nobody knows */
        struct environment *environment = *state;
        struct services_tokens tokens;
        struct services_tokens other;
        services_login(&environment->fixture, "alice", PASSWORD, &tokens);
        other = tokens;
        assert_null(refused(environment, tokens.access)); /* it is in the cache of verified tokens now */
        revoke(environment, tokens.access, (auth_v1_TokenTypeHint)hint);
        assert_string_equal(refused(environment, tokens.access), "TOKEN_REVOKED");
        revoke(environment, tokens.access, (auth_v1_TokenTypeHint)hint);
        auth_v1_ValidateTokenRequest request = {.access_token = ""};
        snprintf(request.access_token, sizeof request.access_token, "%s", tokens.access);
        struct services_answer *answer =
            services_call(&environment->fixture, VALIDATE, &request, environment->service.access);
        const auth_v1_ValidateTokenResponse *response = (const void *)answer->response;
        assert_false(response->active);
        assert_int_equal(response->inactive_reason, auth_v1_InactiveReason_INACTIVE_REASON_REVOKED);
        /* The session goes on. */
        assert_int_equal(services_refresh(&environment->fixture, &other)->status, MOTE_STATUS_OK);
        assert_null(refused(environment, other.access));
        assert_string_equal(refused(environment, tokens.access), "TOKEN_REVOKED");
    }
}

static void test_a_refresh_token_ends_its_session(void **state)
{
    for (int hint = 0; hint < 4; hint++) {
        for (unsigned old = 0; old < 2; old++) { /* one that was used belongs to the session too */
            struct environment *environment = *state;
            struct services_tokens first;
            services_login(&environment->fixture, "alice", PASSWORD, &first);
            struct services_tokens tokens = first;
            assert_int_equal(services_refresh(&environment->fixture, &tokens)->status, MOTE_STATUS_OK);
            revoke(environment, old ? first.refresh : tokens.refresh, (auth_v1_TokenTypeHint)hint);
            assert_string_equal(refused(environment, first.access), "SESSION_REVOKED");
            assert_string_equal(refused(environment, tokens.access), "SESSION_REVOKED");
            assert_true(services_failed(services_refresh(&environment->fixture, &tokens), MOTE_STATUS_UNAUTHENTICATED,
                                        "REFRESH_TOKEN_INVALID"));
            revoke(environment, tokens.refresh, (auth_v1_TokenTypeHint)hint);
        }
    }
    struct environment *environment = *state;
    assert_null(refused(environment, environment->alice.access));
}

static void test_what_is_no_token_is_nothing(void **state)
{
    struct environment *environment = *state;
    struct services_tokens tokens = environment->alice;
    char longest[MOTE_JWT_LENGTH_MAX + 1];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *const texts[] = {"",
                                 ".",
                                 "..",
                                 "a.b.c",
                                 "Bearer",
                                 longest,
                                 "0123456789012345678901234567890123456789012",
                                 environment->alice.session_id};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        revoke(environment, texts[i], auth_v1_TokenTypeHint_TOKEN_TYPE_HINT_UNSPECIFIED);
    }
    tokens.access[strlen(tokens.access) - 1] ^= 1; /* a wrong MAC, or a spelling that is not canonical */
    revoke(environment, tokens.access, auth_v1_TokenTypeHint_TOKEN_TYPE_HINT_ACCESS);
    assert_null(refused(environment, environment->alice.access));
    assert_int_equal(services_refresh(&environment->fixture, &environment->alice)->status, MOTE_STATUS_OK);
}

/* Its last character has two bits that count for nothing: none of the other spellings is another token. */
static void test_other_spellings_of_a_revoked_token(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct environment *environment = *state;
    struct services_tokens tokens = environment->alice;
    char *last = &tokens.access[strlen(tokens.access) - 1];
    const unsigned value = (unsigned)(strchr(alphabet, *last) - alphabet);
    assert_int_equal(value % 4, 0);
    revoke(environment, tokens.access, auth_v1_TokenTypeHint_TOKEN_TYPE_HINT_ACCESS);
    assert_string_equal(refused(environment, tokens.access), "TOKEN_REVOKED");
    for (unsigned bits = 1; bits < 4; bits++) {
        *last = alphabet[value + bits];
        assert_string_equal(refused(environment, tokens.access), "TOKEN_INVALID");
    }
}

/* What is expired needs no revocation, what is still taken because of the leeway does; and so does what is to come. */
static void test_times_of_revoked_tokens(void **state)
{
    static const struct {
        int64_t issued, expires;
        const char *before, *behind; /* reasons */
    } cases[] = {
        {-900, 0, NULL, "TOKEN_REVOKED"},
        {-900, -29, NULL, "TOKEN_REVOKED"},
        {-900, -30, "TOKEN_EXPIRED", "TOKEN_EXPIRED"},
        {30, 900, NULL, "TOKEN_REVOKED"},
    };
    struct environment *environment = *state;
    char token[MOTE_JWT_LENGTH_MAX + 1];
    struct mote_identity identity = {.roles = MOTE_ROLE_BIT_USER, .epoch = 1};
    const char *reason;
    assert_int_equal(mote_uuid_parse(identity.user_id, mote_slice_text(environment->alice.user_id)), 0);
    assert_int_equal(mote_uuid_parse(identity.session_id, mote_slice_text(environment->alice.session_id)), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        identity.token_id[0]++;
        identity.issued_at = identity.not_before = SERVICES_WALL + cases[i].issued;
        identity.expires_at = SERVICES_WALL + cases[i].expires;
        services_forge(&environment->fixture, &identity, token);
        for (unsigned pass = 0; pass < 2; pass++) {
            const char *expected = pass == 0 ? cases[i].before : cases[i].behind;
            reason = refused(environment, token);
            assert_true(reason == NULL ? expected == NULL : expected != NULL && strcmp(reason, expected) == 0);
            revoke(environment, token, auth_v1_TokenTypeHint_TOKEN_TYPE_HINT_UNSPECIFIED);
        }
    }
    identity.token_id[0]++;
    identity.issued_at = identity.not_before = SERVICES_WALL + 40;
    identity.expires_at = SERVICES_WALL + 900;
    services_forge(&environment->fixture, &identity, token);
    assert_string_equal(refused(environment, token), "TOKEN_NOT_YET_VALID");
    revoke(environment, token, auth_v1_TokenTypeHint_TOKEN_TYPE_HINT_UNSPECIFIED);
    services_pass(&environment->fixture, 10);
    assert_string_equal(refused(environment, token), "TOKEN_REVOKED");
}

/* Up to the last moment at which the token would be taken, and in a set that is loaded anew. */
static void test_a_revoked_token_stays_so(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    revoke(environment, environment->alice.access, auth_v1_TokenTypeHint_TOKEN_TYPE_HINT_ACCESS);
    services_pass(fixture, 929);
    assert_string_equal(refused(environment, environment->alice.access), "TOKEN_REVOKED");
    struct mote_services_worker *worker = fixture->worker;
    struct mote_revocation *set = &worker->revocation;
    mote_revocation_dispose(set);
    assert_int_equal(mote_revocation_init(set, worker->mem, fixture->store, worker->session, 930, SERVICES_WALL + 929),
                     0);
    mote_services_worker_end_turn(worker);
    assert_true(set->count > 0);
    assert_string_equal(refused(environment, environment->alice.access), "TOKEN_REVOKED");
    services_pass(fixture, 1);
    assert_string_equal(refused(environment, environment->alice.access), "TOKEN_EXPIRED");
}

/* So many tokens of a session are remembered one by one; then the session ends, and nobody else is touched. */
static void test_revoked_tokens_of_a_session_are_bounded(void **state)
{
    struct environment *environment = *state;
    struct services_tokens tokens = environment->alice;
    for (unsigned i = 0; i < MOTE_STORE_REVOKED_TOKENS_MAX; i++) {
        revoke(environment, tokens.access, auth_v1_TokenTypeHint_TOKEN_TYPE_HINT_ACCESS);
        assert_int_equal(services_refresh(&environment->fixture, &tokens)->status, MOTE_STATUS_OK);
        assert_null(refused(environment, tokens.access));
    }
    revoke(environment, tokens.access, auth_v1_TokenTypeHint_TOKEN_TYPE_HINT_ACCESS);
    assert_string_equal(refused(environment, tokens.access), "SESSION_REVOKED");
    assert_true(services_failed(services_refresh(&environment->fixture, &tokens), MOTE_STATUS_UNAUTHENTICATED,
                                "REFRESH_TOKEN_INVALID"));
    assert_null(refused(environment, environment->service.access));
}

#define WITH_USERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_USERS(test_an_access_token_ends_alone),
        WITH_USERS(test_a_refresh_token_ends_its_session),
        WITH_USERS(test_what_is_no_token_is_nothing),
        WITH_USERS(test_other_spellings_of_a_revoked_token),
        WITH_USERS(test_times_of_revoked_tokens),
        WITH_USERS(test_a_revoked_token_stays_so),
        WITH_USERS(test_revoked_tokens_of_a_session_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
