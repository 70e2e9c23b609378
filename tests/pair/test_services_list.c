/* SPDX-License-Identifier: Apache-2.0 */
/* ListUsers by calls: every order read to its end by pages of several sizes, and every page token that must be refused.
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
#include "support/failing_mem.h"

#define PASSWORD "correct horse battery"
#define USERS    230u /* with the administrator */

struct environment {
    struct services_fixture fixture;
    struct mote_failing_mem mem;
    struct services_tokens admin;
    struct mote_method list; /* with an answer that can be read */
};

static int set_up(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    struct services_fixture *fixture = &environment->fixture;
    mote_failing_mem_init(&environment->mem);
    services_open(fixture, &(struct services_options){.mem = &environment->mem.mem});
    environment->list = user_v1_UserService_ListUsers_method;
    environment->list.response = &services_test_Page_type;
    services_make_user(fixture, "mia", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    fixture->wall_ns += 1;
    for (unsigned i = 1; i < USERS; i++) {
        char username[16];
        /* Neither in the order of time nor against it; some in the same nanosecond. */
        snprintf(username, sizeof username, "user%03u", i * 7 % USERS);
        if (i % 3 == 0) {
            fixture->wall_ns += 1;
        }
        services_make_user(fixture, username, MOTE_ROLE_BIT_USER, NULL, NULL);
    }
    services_login(fixture, "mia", PASSWORD, &environment->admin);
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

static struct services_answer *list(struct environment *environment, int32_t page_size, const char *order_by,
                                    const char *page_token)
{
    user_v1_ListUsersRequest request = {.page_size = page_size};
    snprintf(request.order_by, sizeof request.order_by, "%s", order_by);
    snprintf(request.page_token, sizeof request.page_token, "%s", page_token);
    return services_call(&environment->fixture, &environment->list, &request, environment->admin.access);
}

static const services_test_Page *page_of(const struct services_answer *answer)
{
    assert_int_equal(answer->status, MOTE_STATUS_OK);
    return (const services_test_Page *)(const void *)answer->response;
}

struct listing {
    size_t count;
    services_test_PageUser users[USERS + 10];
};

/* Reads all pages; the sizes alternate. */
static void read_all(struct environment *environment, const char *order_by, const int32_t sizes[2],
                     struct listing *listing)
{
    char token[513] = "";
    size_t pages = 0;
    listing->count = 0;
    do {
        size_t size = (size_t)sizes[pages++ % 2];
        const services_test_Page *page = page_of(list(environment, (int32_t)size, order_by, token));
        assert_int_equal(page->total_size, USERS);
        assert_true(page->users_count == size || page->next_page_token[0] == '\0');
        assert_true(listing->count + page->users_count <= USERS + 10);
        memcpy(&listing->users[listing->count], page->users, page->users_count * sizeof page->users[0]);
        listing->count += page->users_count;
        snprintf(token, sizeof token, "%s", page->next_page_token);
    } while (token[0] != '\0');
}

static void test_every_order_by_pages_of_every_kind(void **state)
{
    struct environment *environment = *state;
    static const char *const orders[] = {"", "create_time", "create_time desc", "username", "username desc"};
    static const int32_t sizes[][2] = {{200, 200}, {50, 50}, {1, 50}, {23, 10}, {USERS / 2, USERS / 2}};
    struct listing *whole = calloc(1, sizeof *whole);
    struct listing *listing = calloc(1, sizeof *listing);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        read_all(environment, orders[i], sizes[0], whole);
        assert_int_equal(whole->count, USERS);
        for (size_t j = 1; j < whole->count; j++) {
            if (strncmp(orders[i], "username", 8) == 0) {
                int order = strcmp(whole->users[j - 1].username, whole->users[j].username);
                assert_true(strcmp(orders[i], "username") == 0 ? order < 0 : order > 0);
            }
        }
        for (size_t j = 1; j < sizeof sizes / sizeof sizes[0]; j++) {
            read_all(environment, orders[i], sizes[j], listing);
            assert_int_equal(listing->count, whole->count);
            assert_memory_equal(listing->users, whole->users, whole->count * sizeof whole->users[0]);
        }
    }
    /* In the order of time the first is the administrator, and descending is the reverse. */
    read_all(environment, "create_time", sizes[0], whole);
    read_all(environment, "create_time desc", sizes[0], listing);
    assert_string_equal(whole->users[0].username, "mia");
    for (size_t j = 0; j < USERS; j++) {
        assert_string_equal(whole->users[j].id, listing->users[USERS - 1 - j].id);
    }
    free(whole);
    free(listing);
}

static void test_page_sizes(void **state)
{
    struct environment *environment = *state;
    static const struct {
        int32_t page_size;
        size_t count;
    } cases[] = {{0, 50}, {1, 1}, {199, 199}, {200, 200}, {201, 200}, {INT32_MAX, 200}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(page_of(list(environment, cases[i].page_size, "", ""))->users_count, cases[i].count);
    }
    assert_true(services_names(list(environment, -1, "", ""), "page_size"));
}

static void test_users_that_come_between_pages(void **state)
{
    struct environment *environment = *state;
    char token[513];
    const services_test_Page *page = page_of(list(environment, 200, "username", ""));
    snprintf(token, sizeof token, "%s", page->next_page_token);
    char last[33];
    snprintf(last, sizeof last, "%s", page->users[199].username);
    services_make_user(&environment->fixture, "aaa", MOTE_ROLE_BIT_USER, NULL, NULL);
    services_make_user(&environment->fixture, "zzz", MOTE_ROLE_BIT_USER, NULL, NULL);
    page = page_of(list(environment, 200, "username", token));
    assert_int_equal(page->users_count, USERS - 200 + 1);
    assert_true(strcmp(page->users[0].username, last) > 0);
    assert_string_equal(page->users[USERS - 200].username, "zzz");
    assert_int_equal(page->total_size, USERS + 2);
    assert_string_equal(page->next_page_token, "");
}

static void test_page_tokens_refused(void **state)
{
    struct environment *environment = *state;
    char token[513];
    snprintf(token, sizeof token, "%s", page_of(list(environment, 10, "username", ""))->next_page_token);
    assert_int_equal(page_of(list(environment, 10, "username", token))->users_count, 10);
    static const char *const others[] = {"", "create_time", "username desc", "create_time desc"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(services_names(list(environment, 10, others[i], token), "page_token"));
    }
    assert_true(services_names(list(environment, 10, "username", "x"), "page_token"));
    char changed[513];
    snprintf(changed, sizeof changed, "%s", token);
    changed[20] = changed[20] == 'A' ? 'B' : 'A';
    assert_true(services_names(list(environment, 10, "username", changed), "page_token"));
    /* The default order is create_time, said or not. */
    char by_time[513];
    snprintf(by_time, sizeof by_time, "%s", page_of(list(environment, 10, "", ""))->next_page_token);
    assert_int_equal(page_of(list(environment, 10, "create_time", by_time))->users_count, 10);
    /* The access token of the fixture does not live that long. */
    services_pass(&environment->fixture, 3599);
    services_login(&environment->fixture, "mia", PASSWORD, &environment->admin);
    assert_int_equal(page_of(list(environment, 10, "username", token))->users_count, 10);
    services_pass(&environment->fixture, 1);
    assert_true(services_names(list(environment, 10, "username", token), "page_token"));
}

static void test_what_is_not_understood(void **state)
{
    struct environment *environment = *state;
    static const char *const orders[] = {"id",        "username asc", "username  desc",
                                         " username", "Username",     "username,id"};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        assert_true(services_names(list(environment, 10, orders[i], ""), "order_by"));
    }
    user_v1_ListUsersRequest request = {.page_size = -1, .filter = "state = NEW", .order_by = "x"};
    struct services_answer *answer =
        services_call(&environment->fixture, &environment->list, &request, environment->admin.access);
    assert_true(services_names(answer, "page_size"));
    assert_true(services_names(answer, "filter"));
    assert_true(services_names(answer, "order_by"));
}

static struct services_answer *filter(struct environment *environment, const char *text, const char *order_by,
                                      const char *page_token)
{
    user_v1_ListUsersRequest request = {.page_size = 10};
    snprintf(request.filter, sizeof request.filter, "%s", text);
    snprintf(request.order_by, sizeof request.order_by, "%s", order_by);
    snprintf(request.page_token, sizeof request.page_token, "%s", page_token);
    return services_call(&environment->fixture, &environment->list, &request, environment->admin.access);
}

static void test_filters(void **state)
{
    struct environment *environment = *state;
    static const struct {
        const char *filter;
        size_t count; /* on the first page of 10 */
    } cases[] = {
        {"role = ADMIN", 1},
        {"role = USER AND state = ACTIVE", 10},
        {"state = DISABLED", 0},
        {"state = LOCKED", 0},
        {"username = \"User0*\"", 10},
        {"username = \"user001\"", 1},
        {"username = \"mia\" AND role = ADMIN", 1},
        {"username = \"mia\" AND role = SERVICE", 0},
        {"create_time < \"1999-12-31T23:59:59Z\"", 0},
        {"create_time >= \"1999-12-31T23:59:59Z\"", 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const services_test_Page *page = page_of(filter(environment, cases[i].filter, "username", ""));
        assert_int_equal(page->users_count, cases[i].count);
        assert_int_equal(page->total_size, -1);
        assert_int_equal(page->next_page_token[0] != '\0', cases[i].count == 10);
    }
    assert_true(services_names(filter(environment, "state = NEW", "", ""), "filter"));
}

/* A token belongs to what the filter means, not to how it was written. */
static void test_page_token_of_a_filter(void **state)
{
    struct environment *environment = *state;
    char token[513];
    const services_test_Page *page =
        page_of(filter(environment, "username = \"user*\" AND state = ACTIVE", "username", ""));
    snprintf(token, sizeof token, "%s", page->next_page_token);
    char last[33];
    snprintf(last, sizeof last, "%s", page->users[9].username);
    page = page_of(filter(environment, "state=ACTIVE AND username=\"USER*\"", "username", token));
    assert_int_equal(page->users_count, 10);
    assert_true(strcmp(page->users[0].username, last) > 0);
    static const char *const others[] = {
        "",
        "state = ACTIVE",
        "state = DISABLED AND username = \"user*\"",
        "state = ACTIVE AND username = \"user\"",
        "state = ACTIVE AND username = \"use*\"",
        "state = ACTIVE AND email = \"user*\"",
        "state = ACTIVE AND username = \"user*\" AND role = USER",
        "state = ACTIVE AND username = \"user*\" AND create_time < \"2099-12-31T23:59:59Z\"",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(services_names(filter(environment, others[i], "username", token), "page_token"));
    }
    assert_true(services_names(filter(environment, "state=ACTIVE AND username=\"user*\"", "username desc", token),
                               "page_token"));
}

/* Each of the allocations for the rows fails in turn. */
static void test_without_memory(void **state)
{
    struct environment *environment = *state;
    page_of(list(environment, 200, "", ""));
    size_t live = environment->mem.live_count;
    size_t failures = 0;
    for (;;) {
        mote_failing_mem_arm(&environment->mem, failures + 1, false);
        struct services_answer *answer = list(environment, 200, "", "");
        assert_int_equal(environment->mem.live_count, live);
        if (environment->mem.failures == 0) {
            page_of(answer);
            break;
        }
        assert_true(services_failed(answer, MOTE_STATUS_INTERNAL, "INTERNAL_ERROR"));
        failures++;
    }
    assert_in_range(failures, 2, 100);
    mote_failing_mem_arm(&environment->mem, 0, false);
}

#define WITH_USERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_USERS(test_every_order_by_pages_of_every_kind),
        WITH_USERS(test_page_sizes),
        WITH_USERS(test_users_that_come_between_pages),
        WITH_USERS(test_page_tokens_refused),
        WITH_USERS(test_what_is_not_understood),
        WITH_USERS(test_filters),
        WITH_USERS(test_page_token_of_a_filter),
        WITH_USERS(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
