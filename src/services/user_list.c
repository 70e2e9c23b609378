/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListUsers: a page at a time, filtered, in one of four orders.
 */
#include <string.h>

#include "base/list.h"
#include "services/convert.h"
#include "services/failure.h"
#include "services/filter.h"
#include "services/page.h"
#include "services/rules.h"
#include "services/spans.h"
#include "services/worker.h"
#include "user/v1/user.mote.h"

/* A cursor: create time (8 bytes, big endian) · id (16) · username. */
#define CURSOR_FIXED 24u
/* Encoded rows of a page: 200 users with every field at its bound take 150 KB. */
#define ROWS_MAX 262144u

_Static_assert(CURSOR_FIXED + MOTE_USERNAME_MAX <= MOTE_PAGE_CURSOR_MAX, "every cursor fits");
_Static_assert(MOTE_PAGE_TOKEN_MAX < sizeof((user_v1_ListUsersResponse){0}.next_page_token), "every token fits");

struct list_operation {
    struct mote_store_list_users read;
    struct mote_page page;
};

static size_t write_cursor(uint8_t out[CURSOR_FIXED + MOTE_USERNAME_MAX], const struct mote_store_position *position)
{
    uint64_t time = (uint64_t)position->create_time;
    for (size_t i = 0; i < 8; i++) {
        out[i] = (uint8_t)(time >> (8 * (7 - i)));
    }
    memcpy(out + 8, position->id, sizeof position->id);
    size_t length = strlen(position->username);
    memcpy(out + CURSOR_FIXED, position->username, length);
    return CURSOR_FIXED + length;
}

/* What a page token is bound to: the order and the filter, however they were spelled. NULL without memory. */
static const char *make_scope(struct mote_arena *arena, const struct mote_store_list_users *read)
{
    const struct mote_store_filter *filter = &read->filter;
    return mote_arena_format(arena, "ListUsers %d %d %d %u %u %d:%zu:%s %d:%zu:%s %lld %lld", (int)read->order,
                             read->descending, filter->is_set, filter->state, filter->roles,
                             (int)filter->username_match, strlen(filter->username), filter->username,
                             (int)filter->email_match, strlen(filter->email), filter->email,
                             (long long)filter->created_from, (long long)filter->created_before);
}

/* The MAC has held, so these are bytes of our own; their number is checked all the same. */
static bool read_cursor(struct mote_store_list_users *read, const uint8_t *cursor, size_t length)
{
    if (length < CURSOR_FIXED || length > CURSOR_FIXED + MOTE_USERNAME_MAX) {
        return false;
    }
    uint64_t time = 0;
    for (size_t i = 0; i < 8; i++) {
        time = time << 8 | cursor[i];
    }
    read->after.create_time = (int64_t)time;
    memcpy(read->after.id, cursor + 8, sizeof read->after.id);
    memcpy(read->after.username, cursor + CURSOR_FIXED, length - CURSOR_FIXED);
    read->after.username[length - CURSOR_FIXED] = '\0';
    read->has_after = true;
    return true;
}

/* The reason a token is refused, or NULL. */
static const char *read_page_token(struct list_operation *operation, const char *token)
{
    uint8_t cursor[MOTE_PAGE_CURSOR_MAX];
    size_t length = 0;
    const char *reason = mote_page_read_token(&operation->page, token, cursor, &length);
    if (reason == NULL && length > 0 && !read_cursor(&operation->read, cursor, length)) {
        reason = MOTE_PAGE_TOKEN_FOREIGN;
    }
    return reason;
}

static void take_row(struct mote_store_list_users *read, const struct mote_user *user)
{
    user_v1_User message;
    mote_convert_user(&message, user);
    mote_page_add(&MOTE_CONTAINER_OF(read, struct list_operation, read)->page, &user_v1_User_type, &message);
}

static int reply(struct mote_page *page)
{
    const struct mote_store_list_users *read = &MOTE_CONTAINER_OF(page, struct list_operation, page)->read;
    user_v1_ListUsersResponse response = {.users = {.funcs.encode = mote_page_encode, .arg = page},
                                          .total_size = read->total > INT32_MAX ? INT32_MAX : (int32_t)read->total};
    if (read->more) {
        uint8_t cursor[CURSOR_FIXED + MOTE_USERNAME_MAX];
        size_t length = write_cursor(cursor, &read->after);
        int result = mote_page_write_token(page, response.next_page_token, mote_slice(cursor, length));
        if (result != 0) {
            return result;
        }
    }
    mote_call_reply(page->call, &response);
    return 0;
}

static void list_done(struct mote_store_list_users *read, int result)
{
    mote_page_finish(&MOTE_CONTAINER_OF(read, struct list_operation, read)->page, result, reply);
}

/* Notes what is wrong with it. MOTE_ENOMEM. */
static int read_request(struct list_operation *operation, struct mote_rules *rules,
                        const user_v1_ListUsersRequest *request)
{
    struct mote_store_list_users *read = &operation->read;
    const char *order = mote_filter_parse_order(&read->order, &read->descending, request->order_by);
    const char *filter = mote_filter_parse(&read->filter, request->filter);
    mote_rules_note(rules, "page_size", mote_rules_page_size(&read->limit, request->page_size));
    mote_rules_note(rules, "filter", filter);
    mote_rules_note(rules, "order_by", order);
    if (order != NULL || filter != NULL) {
        return 0; /* a token belongs to both */
    }
    operation->page.scope = make_scope(mote_call_arena(operation->page.call), read);
    if (operation->page.scope == NULL) {
        return MOTE_ENOMEM;
    }
    mote_rules_note(rules, "page_token", read_page_token(operation, request->page_token));
    return 0;
}

void user_v1_user_service_list_users(struct mote_call *call, const user_v1_ListUsersRequest *request)
{
    struct list_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    operation->page.call = call;
    struct mote_rules rules = {0};
    if (read_request(operation, &rules, request) != 0) {
        mote_failure_answer(call, MOTE_FAILURE_INTERNAL_ERROR);
        return;
    }
    if (mote_rules_refuse(&rules, call)) {
        return;
    }
    mote_page_open(&operation->page, ROWS_MAX);
    operation->read.row = take_row;
    operation->read.done = list_done;
    mote_store_list_users(mote_spans_session(call), &operation->read);
}
