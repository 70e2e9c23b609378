/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of users, with filters, against a list of all users that the test filters and sorts by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"
#include "support/store_fixture.h"

#define FEW      400u
#define MANY     (2 * MOTE_STORE_LOOKED_MAX + 2000u)
#define ANY_TIME .created_from = INT64_MIN, .created_before = INT64_MAX

struct environment {
    struct fixture fixture;
    uint32_t count;
    struct mote_user *users;
};

struct listing {
    struct mote_store_list_users read;
    uint32_t count;
    uint32_t on_page;
    struct mote_user *users; /* as many as there are */
    int result;
};

static void take(struct mote_store_list_users *read, const struct mote_user *user)
{
    struct listing *listing = MOTE_CONTAINER_OF(read, struct listing, read);
    assert_true(listing->on_page < read->limit);
    listing->on_page++;
    listing->users[listing->count++] = *user;
}

static void done(struct mote_store_list_users *read, int result)
{
    MOTE_CONTAINER_OF(read, struct listing, read)->result = result;
}

static void read_page(struct environment *environment, struct listing *listing)
{
    listing->read.row = take;
    listing->read.done = done;
    listing->on_page = 0;
    listing->result = 1;
    mote_store_list_users(environment->fixture.session, &listing->read);
    while (listing->result == 1) {
        mote_store_session_end_turn(environment->fixture.session);
        fixture_pump(&environment->fixture);
    }
    mote_store_session_end_turn(environment->fixture.session);
    assert_int_equal(listing->result, 0);
}

/* --- the users ------------------------------------------------------------------------------------------------- */

static void insert(sqlite3 *db, struct mote_user *user)
{
    static const char sql[] = "INSERT INTO users (id, username, email, display_name, roles, state, email_verified, "
                              "password_change_required, create_time, update_time, password_hash) "
                              "VALUES (?1, ?2, ?3, '', ?4, ?5, 0, 0, ?6, ?6, '')";
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_blob(statement, 1, user->id, 16, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, user->username, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, user->email, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, user->roles);
    sqlite3_bind_int64(statement, 5, user->state);
    sqlite3_bind_int64(statement, 6, user->create_time);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
}

static void make_users(struct environment *environment, uint32_t count,
                       void (*make)(struct mote_user *user, uint32_t i))
{
    struct fixture *fixture = &environment->fixture;
    environment->count = count;
    environment->users = calloc(count, sizeof *environment->users);
    fixture_make_folder(fixture);
    fixture_open(fixture, fixture->url);
    fixture_close(fixture);
    sqlite3 *db = fixture_open_file(fixture);
    assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct mote_user *user = &environment->users[i];
        fixture_id(user->id, 1, i * 7919 % count);
        user->state = MOTE_USER_ACTIVE;
        user->roles = 1;
        make(user, i);
        insert(db, user);
    }
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    fixture_open(fixture, fixture->url);
}

/* All kinds, several in the same nanosecond, in an order of its own for each field. */
static void make_mixed(struct mote_user *user, uint32_t i)
{
    snprintf(user->username, sizeof user->username, "%s%03u",
             i % 4 == 0   ? "ali"
             : i % 4 == 1 ? "alj"
                          : "user",
             i * 37 % FEW);
    if (i % 3 != 0) {
        snprintf(user->email, sizeof user->email, "%sAb%u@example.org", i % 2 == 0 ? "x" : "\xc3\xa9", i * 11 % FEW);
    }
    user->roles = i % 7 + 1;
    user->state = i % 5 == 0 ? MOTE_USER_DISABLED : MOTE_USER_ACTIVE;
    user->create_time = 1000 + i * 3 / 10;
}

static int set_up_few(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    make_users(environment, FEW, make_mixed);
    *state = environment;
    return 0;
}

/* Of two halves one is active with addresses in 'a', behind it in the order of names one that is disabled, in 'b'. */
static void make_halves(struct mote_user *user, uint32_t i)
{
    bool second = i >= MANY / 2;
    snprintf(user->username, sizeof user->username, "user%05u", i);
    snprintf(user->email, sizeof user->email, "%c%u@x.org", second ? 'b' : 'a', i);
    /* Of the second half as many as are collected are services; one more is one of the two kinds. */
    uint32_t from_end = MANY - 1 - i;
    user->roles = from_end < MOTE_STORE_LOOKED_MAX ? 2 : from_end == MOTE_STORE_LOOKED_MAX ? 6 : 1;
    user->state = second ? MOTE_USER_DISABLED : MOTE_USER_ACTIVE;
    user->create_time = 1000 + i;
}

static int set_up_many(void **state)
{
    struct environment *environment = calloc(1, sizeof *environment);
    make_users(environment, MANY, make_halves);
    *state = environment;
    return 0;
}

static int tear_down(void **state)
{
    struct environment *environment = *state;
    fixture_close(&environment->fixture);
    fixture_remove_folder(&environment->fixture);
    free(environment->users);
    free(environment);
    return 0;
}

/* --- what should come ------------------------------------------------------------------------------------------ */

static bool begins(enum mote_store_match match, const char *wanted, const char *text)
{
    if (match == MOTE_STORE_MATCH_ANY) {
        return true;
    }
    size_t length = match == MOTE_STORE_MATCH_EXACT ? strlen(text) + 1 : strlen(wanted);
    return text[0] != '\0' && strncasecmp(wanted, text, length) == 0;
}

static bool is_wanted(const struct mote_store_filter *filter, const struct mote_user *user)
{
    if (!filter->is_set) {
        return true;
    }
    return (filter->state == 0 || filter->state == (uint32_t)user->state) && (~user->roles & filter->roles) == 0 &&
           begins(filter->username_match, filter->username, user->username) &&
           begins(filter->email_match, filter->email, user->email) && user->create_time >= filter->created_from &&
           user->create_time < filter->created_before;
}

static int by_time(const void *a, const void *b)
{
    const struct mote_user *left = a;
    const struct mote_user *right = b;
    if (left->create_time != right->create_time) {
        return left->create_time < right->create_time ? -1 : 1;
    }
    return memcmp(left->id, right->id, 16);
}

static int by_name(const void *a, const void *b)
{
    const struct mote_user *left = a;
    const struct mote_user *right = b;
    return strcmp(left->username, right->username);
}

static void check(struct environment *environment, const struct mote_store_filter *filter, enum mote_store_order order,
                  bool descending, uint32_t limit)
{
    qsort(environment->users, environment->count, sizeof *environment->users,
          order == MOTE_STORE_ORDER_USERNAME ? by_name : by_time);
    struct listing listing = {
        .read = {.filter = *filter, .order = order, .descending = descending, .limit = limit},
        .users = calloc(environment->count + 1, sizeof *listing.users),
    };
    uint32_t pages = 0;
    do {
        read_page(environment, &listing);
        listing.read.has_after = true;
        assert_int_equal(listing.read.total, filter->is_set ? -1 : (int64_t)environment->count);
        /* Only a filter makes a page short, and every page gets on: by its rows or by those it looked at. */
        assert_true(filter->is_set || !listing.read.more || listing.on_page == limit);
        pages++;
        assert_true(pages <= environment->count / limit + environment->count / MOTE_STORE_LOOKED_MAX + 1);
    } while (listing.read.more);
    uint32_t expected = 0;
    for (uint32_t i = 0; i < environment->count; i++) {
        const struct mote_user *user = &environment->users[descending ? environment->count - 1 - i : i];
        if (is_wanted(filter, user)) {
            assert_true(expected < listing.count);
            assert_memory_equal(listing.users[expected].id, user->id, 16);
            assert_string_equal(listing.users[expected].username, user->username);
            assert_string_equal(listing.users[expected].password_hash, "");
            expected++;
        }
    }
    assert_int_equal(listing.count, expected);
    free(listing.users);
}

static void check_all(struct environment *environment, const struct mote_store_filter *filter, const uint32_t *limits,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check(environment, filter, MOTE_STORE_ORDER_CREATE_TIME, false, limits[i]);
        check(environment, filter, MOTE_STORE_ORDER_CREATE_TIME, true, limits[i]);
        check(environment, filter, MOTE_STORE_ORDER_USERNAME, false, limits[i]);
        check(environment, filter, MOTE_STORE_ORDER_USERNAME, true, limits[i]);
    }
}

/* --- tests ----------------------------------------------------------------------------------------------------- */

static const struct mote_store_filter filters[] = {
    {.is_set = false},
    {.is_set = true, ANY_TIME},
    {.is_set = true, ANY_TIME, .state = 1},
    {.is_set = true, ANY_TIME, .state = 2},
    {.is_set = true, ANY_TIME, .state = 3},
    {.is_set = true, ANY_TIME, .roles = 1},
    {.is_set = true, ANY_TIME, .roles = 6},
    {.is_set = true, ANY_TIME, .roles = 4, .state = 3},
    {.is_set = true, ANY_TIME, .username_match = MOTE_STORE_MATCH_EXACT, .username = "ali000"},
    {.is_set = true, ANY_TIME, .username_match = MOTE_STORE_MATCH_EXACT, .username = "ali"},
    {.is_set = true, ANY_TIME, .username_match = MOTE_STORE_MATCH_PREFIX, .username = "ali"},
    {.is_set = true, ANY_TIME, .username_match = MOTE_STORE_MATCH_PREFIX, .username = "ali000"},
    {.is_set = true, ANY_TIME, .username_match = MOTE_STORE_MATCH_PREFIX, .username = ""},
    {.is_set = true, ANY_TIME, .username_match = MOTE_STORE_MATCH_PREFIX, .username = "\x01"},
    {.is_set = true, ANY_TIME, .username_match = MOTE_STORE_MATCH_PREFIX, .username = "\xff"},
    {.is_set = true, ANY_TIME, .username_match = MOTE_STORE_MATCH_PREFIX, .username = "user", .state = 3},
    {.is_set = true, ANY_TIME, .email_match = MOTE_STORE_MATCH_PREFIX, .email = "xab1"},
    {.is_set = true,
     ANY_TIME,
     .email_match = MOTE_STORE_MATCH_PREFIX,
     .email = "\xc3\xa9"
              "a"},
    {.is_set = true, ANY_TIME, .email_match = MOTE_STORE_MATCH_PREFIX, .email = ""},
    {.is_set = true, ANY_TIME, .email_match = MOTE_STORE_MATCH_EXACT, .email = "xab22@example.org"},
    {.is_set = true, .created_from = 1010, .created_before = 1050},
    {.is_set = true, .created_from = 1010, .created_before = INT64_MAX, .state = 1},
    {.is_set = true, .created_from = INT64_MIN, .created_before = 1050, .roles = 1},
    {.is_set = true, .created_from = 1050, .created_before = 1010},
    {.is_set = true, .created_from = 1011, .created_before = 1012, .email_match = MOTE_STORE_MATCH_PREFIX},
};

static void test_every_filter_and_order(void **state)
{
    static const uint32_t limits[] = {1, 7, 50, 200};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        check_all(*state, &filters[i], limits, sizeof limits / sizeof limits[0]);
    }
}

static void test_every_filter_in_a_large_store(void **state)
{
    static const uint32_t limits[] = {200};
    static const struct mote_store_filter large[] = {
        {.is_set = true, ANY_TIME, .state = 3},
        {.is_set = true, ANY_TIME, .roles = 2},
        {.is_set = true, ANY_TIME, .roles = 2, .email_match = MOTE_STORE_MATCH_PREFIX, .email = "b"},
        {.is_set = true, ANY_TIME, .state = 3, .email_match = MOTE_STORE_MATCH_PREFIX, .email = "a"},
        {.is_set = true, ANY_TIME, .username_match = MOTE_STORE_MATCH_PREFIX, .username = "user", .roles = 6},
        {.is_set = true, .created_from = 1500, .created_before = 8000, .email_match = MOTE_STORE_MATCH_PREFIX},
    };
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        check_all(*state, &large[i], limits, 1);
    }
}

/* 5,000 rows are looked at, the 5,001st is not: what is rare is found at once, what is just too much by walking there,
 * and a page without a row says where it is. */
static void test_looked_at(void **state)
{
    struct environment *environment = *state;
    struct listing listing = {
        .read = {.filter = {.is_set = true, ANY_TIME, .roles = 2}, .order = MOTE_STORE_ORDER_USERNAME, .limit = 200},
        .users = calloc(1000, sizeof *listing.users),
    };
    /* One too many. */
    read_page(environment, &listing);
    assert_int_equal(listing.on_page, 0);
    assert_true(listing.read.more);
    assert_string_equal(listing.read.after.username, "user04999");
    listing.read.has_after = true;
    read_page(environment, &listing);
    assert_int_equal(listing.on_page, 200);
    assert_string_equal(listing.users[0].username, "user06999");
    /* Without that one. */
    sqlite3 *db = fixture_open_file(&environment->fixture);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM users WHERE roles = 6", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    listing.count = 0;
    listing.read.has_after = false;
    read_page(environment, &listing);
    assert_int_equal(listing.on_page, 200);
    assert_string_equal(listing.users[0].username, "user07000");
    assert_true(listing.read.more);
    /* Nothing at all, of which neither term says so. */
    listing.read = (struct mote_store_list_users){
        .filter = {.is_set = true, ANY_TIME, .state = 3, .email_match = MOTE_STORE_MATCH_PREFIX, .email = "a"},
        .order = MOTE_STORE_ORDER_CREATE_TIME,
        .descending = true,
        .limit = 1,
    };
    static const int64_t looked[] = {1000 + MANY - 5000, 1000 + MANY - 10000 - 1};
    for (size_t i = 0; i < 3; i++) {
        read_page(environment, &listing);
        assert_int_equal(listing.on_page, 0);
        assert_int_equal(listing.read.more, i < 2);
        assert_true(i == 2 || listing.read.after.create_time == looked[i]);
        listing.read.has_after = true;
    }
    free(listing.users);
}

/* More rows than there is room for are not asked for. */
static void test_page_size(void **state)
{
    struct environment *environment = *state;
    struct listing listing = {
        .read = {.filter = {.is_set = true, ANY_TIME, .roles = 1}, .limit = MOTE_STORE_PAGE_MAX + 1},
        .users = calloc(FEW, sizeof *listing.users),
    };
    read_page(environment, &listing);
    assert_int_equal(listing.on_page, MOTE_STORE_PAGE_MAX);
    free(listing.users);
}

/* Whoever is in 'b' of the second half, in the order of names: collected, or walked past the first half. */
static void ask_for_much(struct fixture *fixture, struct listing *listing, uint32_t roles)
{
    listing->read = (struct mote_store_list_users){
        .filter = {.is_set = true, ANY_TIME, .roles = roles, .email_match = MOTE_STORE_MATCH_PREFIX, .email = "b"},
        .order = MOTE_STORE_ORDER_USERNAME,
        .limit = 200,
        .row = take,
        .done = done,
    };
    listing->users = calloc(200, sizeof *listing->users);
    listing->count = listing->on_page = 0;
    listing->result = 1;
    mote_store_list_users(fixture->session, &listing->read);
}

/* Pages that look at much are read 500 rows a turn, one after the other in the order they came. */
static void test_turns(void **state)
{
    struct environment *environment = *state;
    struct fixture *fixture = &environment->fixture;
    struct listing listings[4];
    unsigned turns[4] = {0};
    memset(listings, 0, sizeof listings);
    for (size_t i = 0; i < 4; i++) {
        ask_for_much(fixture, &listings[i], i < 2 ? 1 : i == 2 ? 2 : 6); /* the last one finds what is rare */
    }
    for (unsigned turn = 1; listings[3].result == 1; turn++) {
        for (size_t i = 0; i < 4; i++) {
            assert_true(i == 0 || listings[i].result == 1 || listings[i - 1].result == 0);
            turns[i] += listings[i].result == 1;
        }
        mote_store_session_end_turn(fixture->session);
        fixture_pump(fixture);
    }
    /* 5,001 rows to see that they are too many, then the walk to the first page. */
    static const uint32_t counts[] = {0, 0, 0, 1};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(listings[i].result, 0);
        assert_int_equal(listings[i].count, counts[i]);
        free(listings[i].users);
    }
    assert_true(turns[0] >= 9 && turns[0] <= 11);
    assert_true(turns[1] - turns[0] >= 9 && turns[1] - turns[0] <= 11);
    assert_int_equal(turns[3] - turns[2], 1);
    /* Nothing waits any more. */
    ask_for_much(fixture, &listings[3], 6);
    assert_int_equal(listings[3].result, 0);
    free(listings[3].users);
}

/* A page is one state of the store, whatever is committed while it is read; other reads see that at once. */
static void test_page_is_one_snapshot(void **state)
{
    struct environment *environment = *state;
    struct fixture *fixture = &environment->fixture;
    struct listing listing = {.count = 0};
    struct mote_user user = environment->users[MANY - 1];
    sqlite3 *db = fixture_open_file(fixture);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM users WHERE roles = 6", NULL, NULL, NULL), SQLITE_OK);
    ask_for_much(fixture, &listing, 2); /* 5,000, collected */
    assert_int_equal(listing.result, 1);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM users WHERE username = 'user07001'", NULL, NULL, NULL), SQLITE_OK);
    memcpy(user.username, "user07000a", sizeof "user07000a");
    memcpy(user.email, "b@x", sizeof "b@x");
    fixture_id(user.id, 'u', 1);
    insert(db, &user);
    sqlite3_close(db);
    mote_store_session_end_turn(fixture->session);
    while (listing.result == 1) {
        assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
        mote_store_session_end_turn(fixture->session);
        fixture_pump(fixture);
    }
    assert_int_equal(listing.count, 200);
    assert_string_equal(listing.users[0].username, "user07000");
    assert_string_equal(listing.users[1].username, "user07001");
    assert_string_equal(listing.users[2].username, "user07002");
    free(listing.users);
    ask_for_much(fixture, &listing, 2);
    while (listing.result == 1) {
        fixture_pump(fixture);
    }
    assert_string_equal(listing.users[1].username, "user07000a");
    free(listing.users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_filter_and_order, set_up_few, tear_down),
        cmocka_unit_test_setup_teardown(test_page_size, set_up_few, tear_down),
        cmocka_unit_test_setup_teardown(test_every_filter_in_a_large_store, set_up_many, tear_down),
        cmocka_unit_test_setup_teardown(test_looked_at, set_up_many, tear_down),
        cmocka_unit_test_setup_teardown(test_turns, set_up_many, tear_down),
        cmocka_unit_test_setup_teardown(test_page_is_one_snapshot, set_up_many, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
