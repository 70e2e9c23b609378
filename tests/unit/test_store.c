/* SPDX-License-Identifier: Apache-2.0 */
/* Users: created, found, listed, changed; what is refused; what a read sees; the queue's bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/list.h"
#include "support/store_fixture.h"

#define NOW INT64_C(1700000000000000000)

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture_make_folder(&fixture);
    fixture_open(&fixture, fixture.url);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    fixture_remove_folder(*state);
    return 0;
}

/* --- reading one ------------------------------------------------------------------------------------------------ */

struct find {
    struct mote_store_get_user read;
    int result;
};

static void found(struct mote_store_get_user *read, int result)
{
    MOTE_CONTAINER_OF(read, struct find, read)->result = result;
}

static int find_user(struct fixture *fixture, enum mote_store_user_key key, const char *text, struct mote_user *user)
{
    struct find find = {.read = {.key = key, .done = found}, .result = 1};
    snprintf(find.read.text, sizeof find.read.text, "%s", text);
    mote_store_get_user(fixture->session, &find.read);
    *user = find.read.user;
    return find.result;
}

static void test_create_and_get(void **state)
{
    struct fixture *fixture = *state;
    struct mote_user user;
    struct mote_user wanted;
    fixture_user(&wanted, 7);
    assert_int_equal(fixture_get_user(fixture, 7, &user), MOTE_ENOTFOUND);
    assert_int_equal(fixture_create_user(fixture, 7, NOW), 0);
    assert_int_equal(fixture_get_user(fixture, 7, &user), 0);
    assert_memory_equal(user.id, wanted.id, sizeof user.id);
    assert_string_equal(user.username, wanted.username);
    assert_string_equal(user.email, wanted.email);
    assert_string_equal(user.display_name, wanted.display_name);
    assert_string_equal(user.password_hash, wanted.password_hash);
    assert_int_equal(user.roles, 1);
    assert_int_equal(user.state, MOTE_USER_ACTIVE);
    assert_false(user.email_verified);
    assert_false(user.password_change_required);
    assert_true(user.create_time == NOW && user.update_time == NOW && user.last_login_time == 0);
    assert_true(user.epoch == 1 && user.version == 1);
}

static void fill(char *text, size_t length, char c)
{
    memset(text, c, length);
    text[length] = '\0';
}

/* Every text at its greatest length comes back whole, and so does what is not ASCII. */
static void test_longest_values(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_create_user create = {.taken = MOTE_STORE_TAKEN_NONE};
    struct mote_user user;
    fixture_user(&create.user, 1);
    fill(create.user.username, MOTE_USERNAME_MAX, 'n');
    fill(create.user.email, MOTE_EMAIL_MAX, 'E');
    fill(create.user.display_name, MOTE_DISPLAY_NAME_MAX, '\xff');
    fill(create.user.password_hash, MOTE_STORE_HASH_MAX - 1, '$');
    create.user.roles = UINT32_MAX;
    create.user.state = MOTE_USER_DISABLED;
    create.user.email_verified = true;
    create.user.password_change_required = true;
    assert_int_equal(fixture_write(fixture, &create.write, MOTE_STORE_CREATE_USER, INT64_MAX), 0);
    assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
    assert_string_equal(user.username, create.user.username);
    assert_string_equal(user.email, create.user.email);
    assert_string_equal(user.display_name, create.user.display_name);
    assert_string_equal(user.password_hash, create.user.password_hash);
    assert_true(user.roles == UINT32_MAX && user.state == MOTE_USER_DISABLED && user.create_time == INT64_MAX);
    assert_true(user.email_verified && user.password_change_required);
    assert_int_equal(find_user(fixture, MOTE_STORE_BY_USERNAME, create.user.username, &user), 0);
    assert_int_equal(find_user(fixture, MOTE_STORE_BY_EMAIL, create.user.email, &user), 0);
}

/* Without the hash, all else is the same. */
static void test_get_without_hash(void **state)
{
    struct fixture *fixture = *state;
    struct find find = {.read = {.key = MOTE_STORE_BY_ID_WITHOUT_HASH, .done = found}, .result = 1};
    struct mote_store_create_user create = {.taken = MOTE_STORE_TAKEN_NONE};
    struct mote_user *user = &find.read.user;
    struct mote_user whole;
    fixture_id(find.read.id, 'u', 7);
    mote_store_get_user(fixture->session, &find.read);
    assert_int_equal(find.result, MOTE_ENOTFOUND);
    fixture_user(&create.user, 7);
    create.user.roles = 6;
    create.user.state = MOTE_USER_DISABLED;
    create.user.password_change_required = true;
    assert_int_equal(fixture_write(fixture, &create.write, MOTE_STORE_CREATE_USER, NOW), 0);
    assert_int_equal(fixture_get_user(fixture, 7, &whole), 0);
    memset(user, 0x7f, sizeof *user);
    mote_store_get_user(fixture->session, &find.read);
    assert_int_equal(find.result, 0);
    assert_string_not_equal(whole.password_hash, "");
    assert_string_equal(user->password_hash, "");
    assert_memory_equal(user->id, whole.id, sizeof user->id);
    assert_string_equal(user->username, whole.username);
    assert_string_equal(user->email, whole.email);
    assert_string_equal(user->display_name, whole.display_name);
    assert_true(user->roles == whole.roles && user->state == whole.state && user->epoch == whole.epoch);
    assert_true(user->email_verified == whole.email_verified && user->version == whole.version);
    assert_true(user->password_change_required == whole.password_change_required);
    assert_true(user->create_time == whole.create_time && user->update_time == whole.update_time);
    assert_true(user->last_login_time == whole.last_login_time);
}

static void test_find(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum mote_store_user_key key;
        const char *text;
        int result;
    } cases[] = {
        {MOTE_STORE_BY_USERNAME, "user7", 0},
        {MOTE_STORE_BY_USERNAME, "User7", MOTE_ENOTFOUND}, /* callers lower names */
        {MOTE_STORE_BY_USERNAME, "user", MOTE_ENOTFOUND},
        {MOTE_STORE_BY_USERNAME, "", MOTE_ENOTFOUND},
        {MOTE_STORE_BY_USERNAME, "' OR 1=1 --", MOTE_ENOTFOUND},
        {MOTE_STORE_BY_EMAIL, "User7@example.org", 0},
        {MOTE_STORE_BY_EMAIL, "uSER7@EXAMPLE.ORG", 0},
        {MOTE_STORE_BY_EMAIL, "user7@example.or", MOTE_ENOTFOUND},
        {MOTE_STORE_BY_EMAIL, "", MOTE_ENOTFOUND}, /* user 8 has none, and is not found by it */
    };
    struct mote_store_create_user create = {.taken = MOTE_STORE_TAKEN_NONE};
    assert_int_equal(fixture_create_user(fixture, 7, NOW), 0);
    fixture_user(&create.user, 8);
    create.user.email[0] = '\0';
    assert_int_equal(fixture_write(fixture, &create.write, MOTE_STORE_CREATE_USER, NOW), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_user user;
        assert_int_equal(find_user(fixture, cases[i].key, cases[i].text, &user), cases[i].result);
        if (cases[i].result == 0) {
            assert_string_equal(user.username, "user7");
        }
    }
}

/* --- creating --------------------------------------------------------------------------------------------------- */

static void test_taken(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint32_t id;
        const char *username;
        const char *email;
        int result;
        enum mote_store_taken taken;
    } cases[] = {
        {1, "ann", "Ann@Example.org", 0, MOTE_STORE_TAKEN_NONE},
        {2, "ann", "other@example.org", MOTE_EEXISTS, MOTE_STORE_TAKEN_USERNAME},
        {2, "bob", "aNN@eXAMPLE.ORG", MOTE_EEXISTS, MOTE_STORE_TAKEN_EMAIL},
        {2, "ann", "ann@example.org", MOTE_EEXISTS, MOTE_STORE_TAKEN_USERNAME}, /* both: the name is told */
        {1, "bob", "bob@example.org", MOTE_EEXISTS, MOTE_STORE_TAKEN_NONE},     /* the id */
        {2, "bob", "", 0, MOTE_STORE_TAKEN_NONE},
        {3, "cy", "", 0, MOTE_STORE_TAKEN_NONE}, /* no address is no conflict */
        {4, "dan", "ann@example.or", 0, MOTE_STORE_TAKEN_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_store_create_user create = {.taken = MOTE_STORE_TAKEN_EMAIL};
        uint64_t number = mote_store_commit_number(fixture->store);
        fixture_user(&create.user, cases[i].id);
        snprintf(create.user.username, sizeof create.user.username, "%s", cases[i].username);
        snprintf(create.user.email, sizeof create.user.email, "%s", cases[i].email);
        assert_int_equal(fixture_write(fixture, &create.write, MOTE_STORE_CREATE_USER, NOW), cases[i].result);
        assert_int_equal(create.taken, cases[i].taken);
        assert_int_equal(mote_store_commit_number(fixture->store), number + (cases[i].result == 0 ? 1 : 0));
    }
}

/* Writes that meet in one group see each other: of two equal names in the queue exactly one wins. */
static void test_taken_within_a_group(void **state)
{
    enum { COUNT = 50 };
    struct fixture *fixture = *state;
    static struct mote_store_create_user creates[COUNT];
    unsigned created = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        memset(&creates[i], 0, sizeof creates[i]);
        fixture_user(&creates[i].user, i);
        snprintf(creates[i].user.username, sizeof creates[i].user.username, "same");
        assert_int_equal(fixture_submit(fixture, &creates[i].write, MOTE_STORE_CREATE_USER, NOW), 0);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        fixture_wait(fixture, &creates[i].write);
        if (creates[i].write.result == 0) {
            created++;
        } else {
            assert_int_equal(creates[i].write.result, MOTE_EEXISTS);
            assert_int_equal(creates[i].taken, MOTE_STORE_TAKEN_USERNAME);
        }
    }
    assert_int_equal(created, 1);
}

/* --- requests --------------------------------------------------------------------------------------------------- */

#define KEEP MOTE_STORE_REQUEST_KEEP_NS

static struct mote_store_request request_of(uint32_t caller, uint32_t id)
{
    struct mote_store_request request = {.kid = "kid"};
    fixture_id(request.caller, 'c', caller);
    fixture_id(request.id, 'r', id);
    memset(request.digest, (int)id, sizeof request.digest);
    return request;
}

static int create_requested(struct fixture *fixture, uint32_t user, struct mote_store_request request, int64_t now)
{
    struct mote_store_create_user create = {.request = &request};
    fixture_user(&create.user, user);
    return fixture_write(fixture, &create.write, MOTE_STORE_CREATE_USER, now);
}

struct find_request {
    struct mote_store_find_request read;
    int result;
};

static void request_found(struct mote_store_find_request *read, int result)
{
    MOTE_CONTAINER_OF(read, struct find_request, read)->result = result;
}

/* Whom the request created; -1: it is not known. */
static int find_request(struct fixture *fixture, uint32_t caller, uint32_t id, int64_t now)
{
    struct find_request find = {.read = {.now = now, .done = request_found}, .result = 1};
    const struct mote_store_request wanted = request_of(caller, id);
    memcpy(find.read.request.caller, wanted.caller, sizeof wanted.caller);
    memcpy(find.read.request.id, wanted.id, sizeof wanted.id);
    mote_store_find_request(fixture->session, &find.read);
    if (find.result == MOTE_ENOTFOUND) {
        return -1;
    }
    assert_int_equal(find.result, 0);
    assert_memory_equal(find.read.request.digest, wanted.digest, sizeof wanted.digest);
    assert_string_equal(find.read.request.kid, wanted.kid);
    for (uint32_t user = 0;; user++) {
        uint8_t user_id[16];
        fixture_id(user_id, 'u', user);
        if (memcmp(user_id, find.read.request.user_id, sizeof user_id) == 0) {
            return (int)user;
        }
        assert_true(user < 100);
    }
}

/* Known to its caller, for ten minutes, over a restart; and only where the user was created. */
static void test_requests(void **state)
{
    struct fixture *fixture = *state;
    struct mote_user user;
    assert_int_equal(find_request(fixture, 1, 1, NOW), -1);
    assert_int_equal(create_requested(fixture, 1, request_of(1, 1), NOW), 0);
    assert_int_equal(create_requested(fixture, 1, request_of(1, 2), NOW), MOTE_EEXISTS);
    assert_int_equal(find_request(fixture, 1, 2, NOW), -1);
    assert_int_equal(create_requested(fixture, 1, request_of(1, 1), NOW), MOTE_ECONFLICT); /* before the username */
    assert_int_equal(create_requested(fixture, 2, request_of(2, 1), NOW), 0);
    fixture_close(fixture);
    fixture_open(fixture, fixture->url);
    assert_int_equal(find_request(fixture, 1, 1, NOW + KEEP), 1);
    assert_int_equal(find_request(fixture, 2, 1, NOW + KEEP), 2);
    assert_int_equal(create_requested(fixture, 3, request_of(1, 1), NOW + KEEP), MOTE_ECONFLICT);
    assert_int_equal(fixture_get_user(fixture, 3, &user), MOTE_ENOTFOUND);
    assert_int_equal(find_request(fixture, 1, 1, NOW + KEEP + 1), -1);
    assert_int_equal(create_requested(fixture, 3, request_of(1, 1), NOW + KEEP + 1), 0);
    assert_int_equal(find_request(fixture, 1, 1, NOW + KEEP + 1), 3);
}

/* Of two with the same id in one group exactly one creates. */
static void test_requests_within_a_group(void **state)
{
    enum { COUNT = 50 };
    struct fixture *fixture = *state;
    static struct mote_store_create_user creates[COUNT];
    static struct mote_store_request requests[COUNT];
    unsigned created = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        memset(&creates[i], 0, sizeof creates[i]);
        requests[i] = request_of(1, 1);
        creates[i].request = &requests[i];
        fixture_user(&creates[i].user, i);
        assert_int_equal(fixture_submit(fixture, &creates[i].write, MOTE_STORE_CREATE_USER, NOW), 0);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        fixture_wait(fixture, &creates[i].write);
        assert_true(creates[i].write.result == 0 || creates[i].write.result == MOTE_ECONFLICT);
        created += creates[i].write.result == 0;
    }
    assert_int_equal(created, 1);
    assert_true(find_request(fixture, 1, 1, NOW) >= 0);
}

/* --- listing ---------------------------------------------------------------------------------------------------- */

#define LISTED_MAX 64u

struct listing {
    struct mote_store_list_users read;
    int result;
    unsigned count;
    struct mote_user users[LISTED_MAX];
};

static void listed_row(struct mote_store_list_users *read, const struct mote_user *user)
{
    struct listing *listing = MOTE_CONTAINER_OF(read, struct listing, read);
    assert_true(listing->count < LISTED_MAX);
    listing->users[listing->count++] = *user;
}

static void listed(struct mote_store_list_users *read, int result)
{
    MOTE_CONTAINER_OF(read, struct listing, read)->result = result;
}

static void list_page(struct fixture *fixture, struct listing *listing)
{
    listing->count = 0;
    listing->result = 1;
    listing->read.row = listed_row;
    listing->read.done = listed;
    mote_store_list_users(fixture->session, &listing->read);
    assert_int_equal(listing->result, 0);
}

/* Users 0 to 19; five share each time, and names do not follow the times. */
static void create_listed(struct fixture *fixture)
{
    for (uint32_t i = 0; i < 20; i++) {
        struct mote_store_create_user create = {.taken = MOTE_STORE_TAKEN_NONE};
        fixture_user(&create.user, i);
        snprintf(create.user.username, sizeof create.user.username, "%c%02u", (char)('a' + (i * 7) % 20), i);
        assert_int_equal(fixture_write(fixture, &create.write, MOTE_STORE_CREATE_USER, NOW + i / 5), 0);
    }
}

static int compare(const struct mote_store_list_users *read, const struct mote_user *a, const struct mote_user *b)
{
    int order = 0;
    if (read->order == MOTE_STORE_ORDER_USERNAME) {
        order = strcmp(a->username, b->username);
    } else if (a->create_time != b->create_time) {
        order = a->create_time < b->create_time ? -1 : 1;
    } else {
        order = memcmp(a->id, b->id, sizeof a->id);
    }
    return read->descending ? -order : order;
}

/* Walks all pages of one size and checks that each user comes once, in order. */
static void walk(struct fixture *fixture, struct listing *listing, uint32_t limit)
{
    struct mote_user last;
    unsigned seen = 0;
    listing->read.has_after = false;
    listing->read.limit = limit;
    do {
        list_page(fixture, listing);
        assert_int_equal(listing->read.total, 20);
        assert_true(listing->count <= limit);
        assert_true(listing->count == limit || !listing->read.more);
        for (unsigned i = 0; i < listing->count; i++) {
            assert_true(seen == 0 || compare(&listing->read, &last, &listing->users[i]) < 0);
            assert_string_equal(listing->users[i].password_hash, "");
            last = listing->users[i];
            seen++;
        }
        listing->read.has_after = true;
        listing->read.after.create_time = last.create_time;
        memcpy(listing->read.after.id, last.id, sizeof last.id);
        memcpy(listing->read.after.username, last.username, sizeof last.username);
    } while (listing->read.more);
    assert_int_equal(seen, 20);
}

static void test_list(void **state)
{
    struct fixture *fixture = *state;
    static struct listing listing;
    static const uint32_t limits[] = {1, 2, 3, 7, 19, 20, 21, 64};
    memset(&listing, 0, sizeof listing);
    create_listed(fixture);
    for (unsigned kind = 0; kind < 4; kind++) {
        listing.read.order = kind < 2 ? MOTE_STORE_ORDER_CREATE_TIME : MOTE_STORE_ORDER_USERNAME;
        listing.read.descending = kind % 2 == 1;
        for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
            walk(fixture, &listing, limits[i]);
        }
    }
}

static void test_list_edges(void **state)
{
    struct fixture *fixture = *state;
    static struct listing listing;
    memset(&listing, 0, sizeof listing);
    listing.read.limit = 10;
    list_page(fixture, &listing);
    assert_true(listing.count == 0 && !listing.read.more && listing.read.total == 0);
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    listing.read.limit = 0;
    list_page(fixture, &listing);
    assert_true(listing.count == 0 && listing.read.more && listing.read.total == 1);
    listing.read.limit = UINT32_MAX;
    list_page(fixture, &listing);
    assert_true(listing.count == 1 && !listing.read.more);
}

/* --- changing --------------------------------------------------------------------------------------------------- */

static int update(struct fixture *fixture, struct mote_store_update_user *change, uint32_t id, uint32_t set)
{
    fixture_id(change->user.id, 'u', id);
    change->set = set;
    return fixture_write(fixture, &change->write, MOTE_STORE_UPDATE_USER, NOW + 1);
}

static void test_update_fields(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_update_user change = {.set = 0};
    struct mote_user before;
    struct mote_user after;
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    assert_int_equal(fixture_get_user(fixture, 1, &before), 0);
    snprintf(change.user.display_name, sizeof change.user.display_name, "Somebody");
    snprintf(change.user.username, sizeof change.user.username, "never-used");
    assert_int_equal(update(fixture, &change, 1, MOTE_STORE_SET_DISPLAY_NAME), 0);
    assert_int_equal(fixture_get_user(fixture, 1, &after), 0);
    assert_string_equal(change.user.username, after.username);
    assert_string_equal(change.user.email, after.email);
    assert_true(change.user.version == after.version && change.user.update_time == after.update_time);
    assert_string_equal(after.display_name, "Somebody");
    assert_string_equal(after.username, before.username);
    assert_string_equal(after.password_hash, before.password_hash);
    assert_true(after.version == 2 && after.epoch == 1);
    assert_true(after.create_time == NOW && after.update_time == NOW + 1);
    snprintf(change.user.username, sizeof change.user.username, "renamed");
    assert_int_equal(update(fixture, &change, 1, MOTE_STORE_SET_USERNAME), 0);
    assert_int_equal(find_user(fixture, MOTE_STORE_BY_USERNAME, "user1", &after), MOTE_ENOTFOUND);
    assert_int_equal(find_user(fixture, MOTE_STORE_BY_USERNAME, "renamed", &after), 0);
    assert_true(after.version == 3);
    assert_int_equal(update(fixture, &change, 99, MOTE_STORE_SET_USERNAME), MOTE_ENOTFOUND);
}

static void test_update_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_update_user change = {.set = 0};
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    uint64_t number = mote_store_commit_number(fixture->store);
    assert_int_equal(update(fixture, &change, 1, 0), 0);
    assert_string_equal(change.user.username, "user1"); /* the record as it is comes out */
    uint32_t all = MOTE_STORE_SET_USERNAME | MOTE_STORE_SET_EMAIL | MOTE_STORE_SET_DISPLAY_NAME | MOTE_STORE_SET_ROLES |
                   MOTE_STORE_SET_EMAIL_VERIFIED;
    assert_int_equal(update(fixture, &change, 1, all), 0);
    assert_true(change.user.version == 1 && change.user.update_time == NOW);
    assert_int_equal(mote_store_commit_number(fixture->store), number);
}

static void test_update_email(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *email;
        bool verified;
        uint32_t set;
        int result;
        bool verified_after;
    } cases[] = {
        {"", true, MOTE_STORE_SET_EMAIL_VERIFIED, 0, true},
        {"USER1@example.org", false, MOTE_STORE_SET_EMAIL, 0, false}, /* its own in another case is not taken */
        {"", true, MOTE_STORE_SET_EMAIL_VERIFIED, 0, true},
        {"USER1@example.org", false, MOTE_STORE_SET_EMAIL, 0, true}, /* not changed: still verified */
        {"new@example.org", true, MOTE_STORE_SET_EMAIL | MOTE_STORE_SET_EMAIL_VERIFIED, 0, true},
        {"user2@EXAMPLE.org", false, MOTE_STORE_SET_EMAIL, MOTE_EEXISTS, true},
        {"", false, MOTE_STORE_SET_EMAIL, 0, false},
    };
    struct mote_user user;
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    assert_int_equal(fixture_create_user(fixture, 2, NOW), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_store_update_user change = {.user.email_verified = cases[i].verified};
        snprintf(change.user.email, sizeof change.user.email, "%s", cases[i].email);
        assert_int_equal(update(fixture, &change, 1, cases[i].set), cases[i].result);
        assert_int_equal(change.taken, cases[i].result == 0 ? MOTE_STORE_TAKEN_NONE : MOTE_STORE_TAKEN_EMAIL);
        assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
        assert_int_equal(user.email_verified, cases[i].verified_after);
    }
    assert_string_equal(user.email, "");
    struct mote_store_update_user change = {.set = 0};
    snprintf(change.user.username, sizeof change.user.username, "user2");
    assert_int_equal(update(fixture, &change, 1, MOTE_STORE_SET_USERNAME), MOTE_EEXISTS);
    assert_int_equal(change.taken, MOTE_STORE_TAKEN_USERNAME);
}

static int set_roles(struct fixture *fixture, uint32_t id, uint32_t roles)
{
    struct mote_store_update_user change = {.user.roles = roles};
    return update(fixture, &change, id, MOTE_STORE_SET_ROLES);
}

static void test_last_administrator(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_create_user disabled = {.taken = MOTE_STORE_TAKEN_NONE};
    struct mote_user user;
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    assert_int_equal(fixture_create_user(fixture, 2, NOW), 0);
    fixture_user(&disabled.user, 3);
    disabled.user.roles = 4;
    disabled.user.state = MOTE_USER_DISABLED;
    assert_int_equal(fixture_write(fixture, &disabled.write, MOTE_STORE_CREATE_USER, NOW), 0);
    assert_int_equal(set_roles(fixture, 1, 5), 0);
    assert_int_equal(set_roles(fixture, 1, 1), MOTE_ECONFLICT); /* 3 is no active one */
    assert_int_equal(set_roles(fixture, 1, 4), 0);              /* still one */
    assert_int_equal(set_roles(fixture, 3, 1), 0);              /* was none */
    assert_int_equal(set_roles(fixture, 2, 4), 0);
    assert_int_equal(set_roles(fixture, 1, 0), 0);
    assert_int_equal(set_roles(fixture, 2, 3), MOTE_ECONFLICT);
    assert_int_equal(fixture_get_user(fixture, 2, &user), 0);
    assert_true(user.roles == 4 && user.epoch == 2 && user.version == 2);
    assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
    assert_true(user.roles == 0 && user.epoch == 4 && user.version == 4);
}

/* --- reads and turns -------------------------------------------------------------------------------------------- */

/* Two sessions of one store: what one was answered, the other sees at once, in an open turn too. */
static void test_read_after_write(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other;
    struct mote_user user;
    fixture_share(&other, fixture);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(fixture_get_user(&other, i, &user), MOTE_ENOTFOUND); /* opens the turn */
        assert_int_equal(fixture_create_user(fixture, i, NOW), 0);
        assert_int_equal(fixture_get_user(&other, i, &user), 0);
        if (i % 3 == 0) {
            mote_store_session_end_turn(other.session);
            mote_store_session_end_turn(other.session);
        }
    }
    fixture_close_shared(&other);
}

/* Reads of one turn see one state, whatever another connection commits without mote's knowledge. */
static void test_turn_is_one_snapshot(void **state)
{
    struct fixture *fixture = *state;
    struct mote_user user;
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
    sqlite3 *db = fixture_open_file(fixture);
    assert_int_equal(sqlite3_exec(db, "UPDATE users SET display_name = 'x'", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
    assert_string_equal(user.display_name, "User 1");
    mote_store_session_end_turn(fixture->session);
    assert_int_equal(fixture_get_user(fixture, 1, &user), 0);
    assert_string_equal(user.display_name, "x");
}

enum { THREADS = 4, EACH = 150 };

struct worker {
    struct fixture fixture;
    pthread_t thread;
    uint32_t first;
    _Atomic uint32_t *answered; /* the last number that anybody was told is stored */
    unsigned failures;
};

/* Creates users of its own, and finds the one that another thread was answered about last. */
static void *work(void *context)
{
    struct worker *worker = context;
    for (uint32_t i = 0; i < EACH; i++) {
        struct mote_user user;
        uint32_t other = *worker->answered;
        if (other != 0 && fixture_get_user(&worker->fixture, other, &user) != 0) {
            worker->failures++;
        }
        if (fixture_create_user(&worker->fixture, worker->first + i, NOW) != 0 ||
            fixture_get_user(&worker->fixture, worker->first + i, &user) != 0) {
            worker->failures++;
        }
        *worker->answered = worker->first + i;
        if (i % 5 == 0) {
            mote_store_session_end_turn(worker->fixture.session);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    static struct worker workers[THREADS];
    static struct listing listing;
    _Atomic uint32_t answered = 0;
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i].first = 1000 * (i + 1);
        workers[i].answered = &answered;
        workers[i].failures = 0;
        fixture_share(&workers[i].fixture, fixture);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        fixture_close_shared(&workers[i].fixture);
        assert_int_equal(workers[i].failures, 0);
    }
    memset(&listing, 0, sizeof listing);
    list_page(fixture, &listing);
    assert_int_equal(listing.read.total, THREADS * EACH);
}

/* A value that mote would never write is not handed on. */
static void test_foreign_values(void **state)
{
    struct fixture *fixture = *state;
    static const char *const damages[] = {
        "UPDATE users SET state = 2",
        "UPDATE users SET username = printf('%.33c', 'x')",
        "UPDATE users SET display_name = printf('%.257c', 'x')",
        "UPDATE users SET email = CAST(x'610062' AS TEXT)",
    };
    struct mote_user user;
    assert_int_equal(fixture_create_user(fixture, 1, NOW), 0);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        sqlite3 *db = fixture_open_file(fixture);
        assert_int_equal(sqlite3_exec(db, damages[i], NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(fixture_get_user(fixture, 1, &user), MOTE_ECORRUPT);
        assert_int_equal(sqlite3_exec(db,
                                      "UPDATE users SET state = 1, username = 'user1', email = 'User1@example.org',"
                                      "display_name = 'User 1'",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        assert_int_equal(fixture_get_user(fixture, 1, &user), 0); /* the session has recovered */
        mote_store_session_end_turn(fixture->session);
    }
    assert_int_equal(fixture_create_user(fixture, 2, NOW), 0);
    assert_true(mote_store_is_healthy(fixture->store));
}

/* --- queue ------------------------------------------------------------------------------------------------------ */

/* While another program holds the file, the queue fills to its bound and no further; nothing is half done. */
static void test_queue_bound(void **state)
{
    struct fixture *fixture = *state;
    struct mote_store_create_user *creates = calloc(MOTE_STORE_WRITES_MAX + 1, sizeof *creates);
    sqlite3 *db = fixture_open_file(fixture);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    for (uint32_t i = 0; i <= MOTE_STORE_WRITES_MAX; i++) {
        fixture_user(&creates[i].user, i);
        assert_int_equal(fixture_submit(fixture, &creates[i].write, MOTE_STORE_CREATE_USER, NOW),
                         i < MOTE_STORE_WRITES_MAX ? 0 : MOTE_ELIMIT);
    }
    for (uint32_t i = 0; i < MOTE_STORE_WRITES_MAX; i++) {
        struct mote_user user;
        fixture_wait(fixture, &creates[i].write);
        assert_int_equal(creates[i].write.result, MOTE_EBUSY);
        assert_int_equal(fixture_get_user(fixture, i, &user), MOTE_ENOTFOUND); /* reads go on */
    }
    assert_true(mote_store_is_healthy(fixture->store)); /* busy is not broken */
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(fixture_create_user(fixture, 5, NOW), 0);
    free(creates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_and_get, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_longest_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_get_without_hash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_taken_within_a_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_requests_within_a_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list_edges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_update_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_update_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_update_email, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_administrator, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_after_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_turn_is_one_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queue_bound, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
