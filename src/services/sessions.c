/* SPDX-License-Identifier: Apache-2.0 */
/* ListSessions and RevokeSession. */
#include <stdio.h>
#include <string.h>

#include "auth/v1/auth.mote.h"
#include "base/list.h"
#include "base/text.h"
#include "services/audit.h"
#include "services/convert.h"
#include "services/failure.h"
#include "services/page.h"
#include "services/rules.h"
#include "services/spans.h"
#include "services/target.h"
#include "services/worker.h"

#define SCOPE_METHOD "ListSessions "
/* Encoded rows of a page: 200 sessions with every field at its bound take 60 KB. */
#define ROWS_MAX 131072u

_Static_assert(sizeof((auth_v1_Session){0}.user_agent) > sizeof((struct mote_store_session_record){0}.user_agent) &&
                   sizeof((auth_v1_Session){0}.peer_address) >=
                       sizeof((struct mote_store_session_record){0}.peer_address),
               "every record fits");
_Static_assert(MOTE_PAGE_TOKEN_MAX < sizeof((auth_v1_ListSessionsResponse){0}.next_page_token), "every token fits");

/* --- ListSessions ---------------------------------------------------------------------------------------------- */

struct list_operation {
    struct mote_store_get_user user;
    struct mote_store_list_sessions read;
    struct mote_page page;
    char scope[sizeof SCOPE_METHOD + MOTE_UUID_TEXT_LENGTH];
};

static void convert_session(auth_v1_Session *out, const struct mote_store_session_record *record,
                            const struct mote_identity *caller)
{
    *out = (auth_v1_Session){.has_create_time = true, .has_last_use_time = true, .has_expire_time = true};
    mote_uuid_format(out->id, record->id);
    out->create_time = mote_convert_time(record->create_time);
    out->last_use_time = mote_convert_time(record->last_use_time);
    out->expire_time = mote_convert_time(record->expire_time);
    memcpy(out->user_agent, record->user_agent, strlen(record->user_agent));
    memcpy(out->peer_address, record->peer_address, strlen(record->peer_address));
    out->current = memcmp(record->id, caller->session_id, sizeof record->id) == 0;
}

static void take_row(struct mote_store_list_sessions *read, const struct mote_store_session_record *record)
{
    struct mote_page *page = &MOTE_CONTAINER_OF(read, struct list_operation, read)->page;
    auth_v1_Session message;
    convert_session(&message, record, mote_call_identity(page->call));
    mote_page_add(page, &auth_v1_Session_type, &message);
}

static int reply(struct mote_page *page)
{
    const struct mote_store_list_sessions *read = &MOTE_CONTAINER_OF(page, struct list_operation, page)->read;
    auth_v1_ListSessionsResponse response = {.sessions = {.funcs.encode = mote_page_encode, .arg = page}};
    if (read->more) {
        int result = mote_page_write_token(page, response.next_page_token, mote_slice(read->after, sizeof read->after));
        if (result != 0) {
            return result;
        }
    }
    mote_call_reply(page->call, &response);
    return 0;
}

static void list_done(struct mote_store_list_sessions *read, int result)
{
    mote_page_finish(&MOTE_CONTAINER_OF(read, struct list_operation, read)->page, result, reply);
}

static void user_read(struct mote_store_get_user *read, int result)
{
    struct list_operation *operation = MOTE_CONTAINER_OF(read, struct list_operation, user);
    struct mote_call *call = operation->page.call;
    if (result == 0) {
        mote_store_list_sessions(mote_spans_session(call), &operation->read);
        return;
    }
    if (result == MOTE_ENOTFOUND) {
        mote_failure_answer(call, MOTE_FAILURE_USER_NOT_FOUND);
    } else {
        mote_failure_answer_store(call, result);
    }
    mote_call_unref(call); /* no row was taken: the page has nothing to give back */
}

/* The reason a token is refused, or NULL. */
static const char *read_page_token(struct list_operation *operation, const char *token)
{
    uint8_t cursor[MOTE_PAGE_CURSOR_MAX];
    size_t length = 0;
    const char *reason = mote_page_read_token(&operation->page, token, cursor, &length);
    if (reason != NULL || length == 0) {
        return reason;
    }
    if (length != sizeof operation->read.after) {
        return MOTE_PAGE_TOKEN_FOREIGN;
    }
    memcpy(operation->read.after, cursor, length);
    return NULL;
}

void auth_v1_auth_service_list_sessions(struct mote_call *call, const auth_v1_ListSessionsRequest *request)
{
    struct mote_services_worker *worker = mote_services_worker_of(call);
    struct list_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    operation->page.call = call;
    int result =
        mote_target_find(operation->read.user_id, mote_call_identity(call), request->user_id, MOTE_ROLE_BIT_ADMIN);
    if (result == MOTE_EAUTH) {
        mote_failure_answer(call, MOTE_FAILURE_PERMISSION_DENIED);
        return;
    }
    struct mote_rules rules = {0};
    mote_rules_note(&rules, "user_id", result != 0 ? "must be a UUID or 'me'" : NULL);
    mote_rules_note(&rules, "page_size", mote_rules_page_size(&operation->read.limit, request->page_size));
    if (result == 0) {
        /* A token is one user's, whatever the user is called in the request. */
        memcpy(operation->scope, SCOPE_METHOD, sizeof SCOPE_METHOD - 1);
        mote_uuid_format(operation->scope + sizeof SCOPE_METHOD - 1, operation->read.user_id);
        operation->page.scope = operation->scope;
        mote_rules_note(&rules, "page_token", read_page_token(operation, request->page_token));
    }
    if (mote_rules_refuse(&rules, call)) {
        return;
    }
    mote_page_open(&operation->page, ROWS_MAX);
    operation->read.now = mote_services_worker_wall(worker);
    operation->read.row = take_row;
    operation->read.done = list_done;
    operation->user.key = MOTE_STORE_BY_ID_WITHOUT_HASH;
    memcpy(operation->user.id, operation->read.user_id, sizeof operation->user.id);
    operation->user.done = user_read;
    mote_store_get_user(mote_spans_session(call), &operation->user);
}

/* --- RevokeSession --------------------------------------------------------------------------------------------- */

struct revoke_operation {
    struct mote_store_get_session read;
    struct mote_store_revoke_sessions revoke;
    struct mote_store_audit audit;
    struct mote_call *call;
};

static void revoked(struct mote_store_write *write)
{
    struct mote_store_revoke_sessions *revoke = MOTE_CONTAINER_OF(write, struct mote_store_revoke_sessions, write);
    struct mote_call *call = MOTE_CONTAINER_OF(revoke, struct revoke_operation, revoke)->call;
    if (write->result != 0) {
        mote_failure_answer_store(call, write->result);
    } else if (revoke->revoked_count == 0) {
        mote_failure_answer(call, MOTE_FAILURE_SESSION_NOT_FOUND); /* it was over already */
    } else {
        const auth_v1_RevokeSessionResponse response = {0};
        mote_call_reply(call, &response);
    }
    mote_call_unref(call);
}

/* Whose it is never changes, so it is safe to look first and write later. */
static void session_read(struct mote_store_get_session *read, int result)
{
    struct revoke_operation *operation = MOTE_CONTAINER_OF(read, struct revoke_operation, read);
    struct mote_call *call = operation->call;
    struct mote_services_worker *worker = mote_services_worker_of(call);
    const struct mote_identity *caller = mote_call_identity(call);
    bool may = result == 0 && ((caller->roles & MOTE_ROLE_BIT_ADMIN) != 0 ||
                               memcmp(read->record.user_id, caller->user_id, sizeof caller->user_id) == 0);
    if (result == MOTE_ENOTFOUND || (result == 0 && !may)) {
        mote_failure_answer(call, MOTE_FAILURE_SESSION_NOT_FOUND);
        mote_call_unref(call);
        return;
    }
    if (result == 0) {
        operation->revoke.scope = MOTE_STORE_SCOPE_ONE;
        memcpy(operation->revoke.session_id, read->id, sizeof operation->revoke.session_id);
        if (memcmp(read->record.user_id, caller->user_id, sizeof caller->user_id) != 0) {
            mote_audit_attach_admin(&operation->revoke.write, &operation->audit, call, MOTE_STORE_AUDIT_REVOKE_SESSION,
                                    read->record.user_id);
            memcpy(operation->audit.session_id, read->id, sizeof read->id);
        }
        operation->revoke.write.kind = MOTE_STORE_REVOKE_SESSIONS;
        operation->revoke.write.done = revoked;
        operation->revoke.write.now = mote_services_worker_wall(worker);
        result = mote_spans_submit(call, &operation->revoke.write);
    }
    if (result != 0) {
        mote_failure_answer_store(call, result);
        mote_call_unref(call);
    }
}

void auth_v1_auth_service_revoke_session(struct mote_call *call, const auth_v1_RevokeSessionRequest *request)
{
    struct revoke_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    if (mote_uuid_parse(operation->read.id, mote_slice_text(request->session_id)) != 0) {
        const struct mote_violation violation = {.field = "session_id", .text = "must be a UUID"};
        mote_failure_answer_fields(call, &violation, 1);
        return;
    }
    operation->call = call;
    operation->read.done = session_read;
    mote_call_ref(call);
    mote_store_get_session(mote_spans_session(call), &operation->read);
}
