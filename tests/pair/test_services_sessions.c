/* SPDX-License-Identifier: Apache-2.0 */
/* ListSessions and RevokeSession by calls: what is shown to whom, pages, and each failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pair/services_fixture.h"
#include "support/failing_mem.h"

#define PASSWORD "correct horse battery"
#define ABSENT   "0197a000-0000-7000-8000-00000000dead"
#define SESSIONS 5u

#define REVOKE &auth_v1_AuthService_RevokeSession_method

struct environment {
    struct services_fixture fixture;
    struct mote_failing_mem mem;
    struct services_tokens admin, bob, alice[SESSIONS];
    struct mote_method list; /* with an answer that can be read */
};

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    struct services_fixture *fixture = &environment->fixture;
    mote_failing_mem_init(&environment->mem);
    services_open(fixture, &(struct services_options){.mem = &environment->mem.mem});
    environment->list = auth_v1_AuthService_ListSessions_method;
    environment->list.response = &services_test_SessionPage_type;
    services_make_user(fixture, "admin", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_make_user(fixture, "bob", MOTE_ROLE_BIT_USER, PASSWORD, NULL);
    services_login(fixture, "admin", PASSWORD, &environment->admin);
    services_login(fixture, "bob", PASSWORD, &environment->bob);
    for (size_t i = 0; i < SESSIONS; i++) {
        services_pass(fixture, 1); /* ids of one millisecond have no order */
        services_login(fixture, "alice", PASSWORD, &environment->alice[i]);
    }
    *state = environment;
    return 0;
}

static int tear_down(void **state)
{
    struct environment *environment = *state;
    services_close(&environment->fixture);
    assert_int_equal(environment->mem.live_count, 0);
    free(environment);
    return 0;
}

static struct services_answer *list(struct environment *environment, const char *user_id, int32_t page_size,
                                    const char *page_token, const char *token)
{
    auth_v1_ListSessionsRequest request = {.page_size = page_size};
    snprintf(request.user_id, sizeof request.user_id, "%s", user_id);
    snprintf(request.page_token, sizeof request.page_token, "%s", page_token);
    return services_call(&environment->fixture, &environment->list, &request, token);
}

static const services_test_SessionPage *page_of(const struct services_answer *answer)
{
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    return (const services_test_SessionPage *)(const void *)answer->response;
}

static struct services_answer *revoke(struct environment *environment, const char *session_id, const char *token)
{
    auth_v1_RevokeSessionRequest request = {.session_id = ""};
    snprintf(request.session_id, sizeof request.session_id, "%s", session_id);
    return services_call(&environment->fixture, REVOKE, &request, token);
}

static struct services_answer *get_me(struct environment *environment, const struct services_tokens *tokens)
{
    const user_v1_GetUserRequest request = {.id = "me"};
    return services_call(&environment->fixture, &user_v1_UserService_GetUser_method, &request, tokens->access);
}

static void test_list(void **state)
{
    struct environment *environment = *state;
    services_pass(&environment->fixture, 100);
    assert_int_equal(services_refresh(&environment->fixture, &environment->alice[1])->status, MOTE_STATUS_OK);
    const char *const ids[] = {"me", environment->alice[0].user_id};
    for (size_t i = 0; i < 2; i++) {
        const services_test_SessionPage *page = page_of(list(environment, ids[i], 0, "", environment->alice[1].access));
        assert_int_equal(page->sessions_count, SESSIONS);
        assert_string_equal(page->next_page_token, "");
        for (size_t j = 0; j < SESSIONS; j++) {
            const services_test_PageSession *session = &page->sessions[j];
            int64_t began = SERVICES_WALL + 1 + (int64_t)j;
            assert_string_equal(session->id, environment->alice[j].session_id);
            assert_int_equal(session->create_time.seconds, began);
            assert_int_equal(session->last_use_time.seconds, j == 1 ? SERVICES_WALL + SESSIONS + 100 : began);
            assert_int_equal(session->expire_time.seconds, began + environment->fixture.services.refresh_absolute);
            assert_int_equal(session->current, j == 1);
            assert_true(strlen(session->peer_address) > 0);
        }
    }
    /* An administrator sees the same, but none of them is the caller's. */
    const services_test_SessionPage *page = page_of(list(environment, ids[1], 0, "", environment->admin.access));
    assert_int_equal(page->sessions_count, SESSIONS);
    for (size_t j = 0; j < SESSIONS; j++) {
        assert_false(page->sessions[j].current);
    }
}

static void test_pages(void **state)
{
    struct environment *environment = *state;
    const char *alice = environment->alice[0].access;
    for (int32_t size = 1; size <= (int32_t)SESSIONS + 1; size++) {
        char token[513] = "";
        size_t seen = 0;
        do {
            const services_test_SessionPage *page = page_of(list(environment, "me", size, token, alice));
            for (size_t i = 0; i < page->sessions_count; i++) {
                assert_string_equal(page->sessions[i].id, environment->alice[seen++].session_id);
            }
            snprintf(token, sizeof token, "%s", page->next_page_token);
            assert_true(page->sessions_count == (size_t)size || token[0] == '\0');
        } while (token[0] != '\0');
        assert_int_equal(seen, SESSIONS);
    }
    /* "me" and the id are one request, another user's is not; neither is what was not made here. */
    char token[513];
    snprintf(token, sizeof token, "%s", page_of(list(environment, "me", 2, "", alice))->next_page_token);
    assert_int_equal(page_of(list(environment, environment->alice[0].user_id, 2, token, alice))->sessions_count, 2);
    assert_true(services_names(list(environment, "me", 2, token, environment->bob.access), "page_token"));
    assert_true(services_names(list(environment, "me", 2, "x", alice), "page_token"));
    token[30] = token[30] == 'A' ? 'B' : 'A';
    assert_true(services_names(list(environment, "me", 2, token, alice), "page_token"));
}

static void test_page_token_expiry(void **state)
{
    struct environment *environment = *state;
    char token[513];
    struct services_tokens fresh;
    services_login(&environment->fixture, "alice", PASSWORD, &fresh);
    snprintf(token, sizeof token, "%s", page_of(list(environment, "me", 2, "", fresh.access))->next_page_token);
    services_pass(&environment->fixture, 3599);
    services_login(&environment->fixture, "alice", PASSWORD, &fresh);
    assert_int_equal(page_of(list(environment, "me", 2, token, fresh.access))->sessions_count, 2);
    services_pass(&environment->fixture, 1);
    assert_true(services_names(list(environment, "me", 2, token, fresh.access), "page_token"));
}

static void test_list_failures(void **state)
{
    struct environment *environment = *state;
    const char *bob = environment->bob.access;
    const char *admin = environment->admin.access;
    const enum mote_status denied = MOTE_STATUS_PERMISSION_DENIED;
    static const char *const ids[] = {"", "nobody", ABSENT};
    for (size_t i = 0; i < 3; i++) {
        assert_true(services_failed(list(environment, ids[i], 0, "", bob), denied, "PERMISSION_DENIED"));
    }
    assert_true(
        services_failed(list(environment, environment->alice[0].user_id, 0, "", bob), denied, "PERMISSION_DENIED"));
    assert_true(services_failed(list(environment, ABSENT, 0, "", admin), MOTE_STATUS_NOT_FOUND, "USER_NOT_FOUND"));
    assert_true(services_names(list(environment, "", 0, "", admin), "user_id"));
    struct services_answer *answer = list(environment, "nobody", -1, "", admin);
    assert_true(services_names(answer, "user_id"));
    assert_true(services_names(answer, "page_size"));
    answer = list(environment, "me", -1, "x", admin);
    assert_true(services_names(answer, "page_size"));
    assert_true(services_names(answer, "page_token"));
}

static void test_revoke(void **state)
{
    struct environment *environment = *state;
    struct services_tokens *alice = environment->alice;
    const enum mote_status over = MOTE_STATUS_UNAUTHENTICATED;
    assert_int_equal(get_me(environment, &alice[1])->status, MOTE_STATUS_OK);
    assert_int_equal(revoke(environment, alice[1].session_id, alice[0].access)->status, MOTE_STATUS_OK);
    assert_int_equal(revoke(environment, alice[2].session_id, environment->admin.access)->status, MOTE_STATUS_OK);
    assert_int_equal(revoke(environment, alice[3].session_id, alice[3].access)->status, MOTE_STATUS_OK);
    for (size_t i = 1; i <= 3; i++) {
        assert_true(services_failed(get_me(environment, &alice[i]), over, "SESSION_REVOKED"));
        assert_true(services_failed(services_refresh(&environment->fixture, &alice[i]), over, "REFRESH_TOKEN_INVALID"));
    }
    assert_int_equal(get_me(environment, &alice[4])->status, MOTE_STATUS_OK);
    const services_test_SessionPage *page = page_of(list(environment, "me", 0, "", alice[0].access));
    assert_int_equal(page->sessions_count, 2);
    assert_string_equal(page->sessions[1].id, alice[4].session_id);
}

static void test_revoke_failures(void **state)
{
    struct environment *environment = *state;
    const struct services_tokens *alice = environment->alice;
    const char *admin = environment->admin.access;
    const enum mote_status absent = MOTE_STATUS_NOT_FOUND;
    const char *const callers[] = {environment->bob.access, admin};
    for (size_t i = 0; i < 2; i++) {
        assert_true(services_names(revoke(environment, "", callers[i]), "session_id"));
        assert_true(services_names(revoke(environment, "me", callers[i]), "session_id"));
        assert_true(services_failed(revoke(environment, ABSENT, callers[i]), absent, "SESSION_NOT_FOUND"));
    }
    assert_true(services_failed(revoke(environment, alice[0].session_id, callers[0]), absent, "SESSION_NOT_FOUND"));
    assert_int_equal(get_me(environment, &alice[0])->status, MOTE_STATUS_OK);
    /* Over already. */
    assert_int_equal(revoke(environment, alice[1].session_id, admin)->status, MOTE_STATUS_OK);
    assert_true(services_failed(revoke(environment, alice[1].session_id, admin), absent, "SESSION_NOT_FOUND"));
    assert_true(
        services_failed(revoke(environment, alice[1].session_id, alice[0].access), absent, "SESSION_NOT_FOUND"));
}

/* Each of the allocations for the rows fails in turn. */
static void test_without_memory(void **state)
{
    struct environment *environment = *state;
    const char *alice = environment->alice[0].access;
    page_of(list(environment, "me", 0, "", alice));
    size_t live = environment->mem.live_count;
    size_t failures = 0;
    for (;;) {
        mote_failing_mem_arm(&environment->mem, failures + 1, false);
        struct services_answer *answer = list(environment, "me", 0, "", alice);
        assert_int_equal(environment->mem.live_count, live);
        if (environment->mem.failures == 0) {
            page_of(answer);
            break;
        }
        assert_true(services_failed(answer, MOTE_STATUS_INTERNAL, "INTERNAL_ERROR"));
        failures++;
    }
    assert_in_range(failures, 1, 100);
    mote_failing_mem_arm(&environment->mem, 0, false);
}

#define WITH_USERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_USERS(test_list),           WITH_USERS(test_pages),  WITH_USERS(test_page_token_expiry),
        WITH_USERS(test_list_failures),  WITH_USERS(test_revoke), WITH_USERS(test_revoke_failures),
        WITH_USERS(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
