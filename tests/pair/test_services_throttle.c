/* SPDX-License-Identifier: Apache-2.0 */
/* Logins that are throttled, by calls, under a clock that only the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pair/services_fixture.h"

#define PASSWORD "correct horse battery"
#define WRONG    "wrong horse battery"
#define LOGIN    &auth_v1_AuthService_Login_method

static int set_up_with(void **state, uint32_t memory_kib)
{
    struct services_fixture *fixture = calloc(1, sizeof *fixture);
    services_open(
        fixture, &(struct services_options){.settings = {.memory_kib = memory_kib, .iterations = 1, .parallelism = 1}});
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_make_disabled_user(fixture, "gone", PASSWORD);
    *state = fixture;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, 64);
}

/* So slow that the queue fills faster than it is worked off. */
static int set_up_slow(void **state)
{
    return set_up_with(state, 4096);
}

static int tear_down(void **state)
{
    services_close(*state);
    free(*state);
    return 0;
}

static void assert_wrong(struct services_fixture *fixture, const char *username, const char *password)
{
    assert_true(services_failed(services_try_login(fixture, username, password), MOTE_STATUS_UNAUTHENTICATED,
                                "CREDENTIALS_INVALID"));
}

static void assert_throttled(const struct services_answer *answer, uint64_t milliseconds)
{
    assert_true(services_failed(answer, MOTE_STATUS_RESOURCE_EXHAUSTED, "LOGIN_THROTTLED"));
    assert_int_equal(answer->retry_ms, milliseconds);
}

/* Who exists, who is disabled and who does not exist: counted and told alike. */
static void test_account_from_one_address(void **state)
{
    struct services_fixture *fixture = *state;
    static const struct {
        const char *username, *password;
    } cases[] = {{"alice", WRONG}, {"gone", PASSWORD}, {"nobody", WRONG}, {"not a name at all!", WRONG}};
    static const uint64_t pauses[] = {60000, 120000, 240000, 480000, 900000, 900000};
    char text[sizeof fixture->answers->message] = "";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned k = 0; k < 4; k++) {
            assert_wrong(fixture, cases[i].username, cases[i].password);
        }
        for (size_t k = 0; k < sizeof pauses / sizeof pauses[0]; k++) {
            assert_wrong(fixture, cases[i].username, cases[i].password);
            struct services_answer *answer = services_try_login(fixture, cases[i].username, PASSWORD);
            assert_throttled(answer, pauses[k]);
            assert_true(text[0] == '\0' || strcmp(text, answer->message) == 0);
            memcpy(text, answer->message, sizeof text);
            services_wait_out(fixture, pauses[k] - 1);
            assert_throttled(services_try_login(fixture, cases[i].username, cases[i].password), 1);
            services_wait_out(fixture, 1);
        }
    }
    /* The owner gets in when the pause is over, and the count is set back. */
    struct services_tokens tokens;
    services_login(fixture, "alice", PASSWORD, &tokens);
    for (unsigned k = 0; k < 4; k++) {
        assert_wrong(fixture, "alice", WRONG);
    }
    services_login(fixture, "alice", PASSWORD, &tokens);
}

/* The pause of one account holds up no other; capitals make no other account; what is not whole counts as nothing. */
static void test_what_counts(void **state)
{
    struct services_fixture *fixture = *state;
    auth_v1_LoginRequest request = {
        .which_identifier = auth_v1_LoginRequest_email_tag, .identifier.email = "ALICE@example.ORG", .password = WRONG};
    const auth_v1_LoginRequest incomplete = {.which_identifier = auth_v1_LoginRequest_username_tag,
                                             .identifier.username = "alice"};
    for (unsigned i = 0; i < 5; i++) {
        assert_true(services_names(services_call(fixture, LOGIN, &incomplete, NULL), "password"));
        request.identifier.email[0] = i % 2 == 0 ? 'a' : 'A';
        assert_true(services_failed(services_call(fixture, LOGIN, &request, NULL), MOTE_STATUS_UNAUTHENTICATED,
                                    "CREDENTIALS_INVALID"));
    }
    memcpy(request.password, PASSWORD, sizeof PASSWORD);
    assert_throttled(services_call(fixture, LOGIN, &request, NULL), 60000);
    struct services_tokens tokens;
    services_login(fixture, "alice", PASSWORD, &tokens);
}

static void test_address(void **state)
{
    struct services_fixture *fixture = *state;
    for (unsigned i = 0; i < 30; i++) {
        char name[16];
        snprintf(name, sizeof name, "name%u", i);
        assert_wrong(fixture, name, WRONG);
    }
    services_wait_out(fixture, 20000);
    assert_throttled(services_try_login(fixture, "alice", PASSWORD), 40000);
    services_wait_out(fixture, 40000);
    struct services_tokens tokens;
    services_login(fixture, "alice", PASSWORD, &tokens);
}

static struct services_answer *start(struct services_fixture *fixture, size_t index, const char *username,
                                     const char *password)
{
    auth_v1_LoginRequest request = {.which_identifier = auth_v1_LoginRequest_username_tag};
    snprintf(request.identifier.username, sizeof request.identifier.username, "%s", username);
    snprintf(request.password, sizeof request.password, "%s", password);
    return services_start(fixture, index, LOGIN, &request, NULL);
}

/* Guesses under way together: five are told that they are wrong, and of the rest nothing, whatever they are. */
static void test_at_once(void **state)
{
    struct services_fixture *fixture = *state;
    struct services_answer *answers[30];
    unsigned wrong = 0;
    for (size_t i = 0; i < 30; i++) {
        answers[i] = start(fixture, i, "alice", i < 20 ? WRONG : PASSWORD);
    }
    for (size_t i = 0; i < 30; i++) {
        services_wait(fixture, answers[i]);
        if (answers[i]->status == MOTE_STATUS_UNAUTHENTICATED) {
            wrong++;
        } else {
            assert_throttled(answers[i], 60000);
        }
    }
    assert_int_equal(wrong, 5);
}

/* It is told before anything is hashed: also when the queue of the hashes has no room. */
static void test_before_hashing(void **state)
{
    struct services_fixture *fixture = *state;
    for (unsigned k = 0; k < 5; k++) {
        assert_wrong(fixture, "nobody", WRONG);
    }
    size_t full = 0;
    size_t throttled = 0;
    for (size_t i = 0; i < SERVICES_CALLS; i++) {
        start(fixture, i, i % 4 == 3 ? "nobody" : "alice", PASSWORD);
    }
    for (size_t i = 0; i < SERVICES_CALLS; i++) {
        struct services_answer *answer = &fixture->answers[i];
        services_wait(fixture, answer);
        full += answer->status == MOTE_STATUS_UNAVAILABLE ? 1u : 0u;
        throttled += answer->status == MOTE_STATUS_RESOURCE_EXHAUSTED ? 1u : 0u;
        if (i % 4 == 3) {
            assert_throttled(answer, 60000);
        }
    }
    assert_int_equal(throttled, SERVICES_CALLS / 4);
    assert_true(full > 0);
}

#define WITH_USERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_USERS(test_account_from_one_address),
        WITH_USERS(test_what_counts),
        WITH_USERS(test_address),
        WITH_USERS(test_at_once),
        cmocka_unit_test_setup_teardown(test_before_hashing, set_up_slow, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
