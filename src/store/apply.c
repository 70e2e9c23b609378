/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes. Everything that may be refused is looked at before the first statement that changes something: the
 * transaction belongs to the writer alone, so nothing can come in between, and no savepoint is needed. A constraint
 * that fails all the same is a bug or a damaged file, and fails the group.
 */
#include "store/apply_internal.h"

#include <string.h>

#include "base/list.h"
#include "store/feed.h"

/* Revoked sessions must be known as long as an access token of theirs may live; a week is far beyond that. */
#define SESSION_KEEP_NS (7 * 24 * 3600 * (int64_t)MOTE_NS_PER_SECOND)

bool mote_apply_is_own_result(int result)
{
    return result == 0 || result == MOTE_ENOTFOUND || result == MOTE_EEXISTS || result == MOTE_ECONFLICT;
}

void mote_apply_stage_user(const struct mote_apply *apply, enum mote_store_change_kind kind,
                           const struct mote_user *user)
{
    struct mote_store_change change = {.kind = kind, .epoch = user->epoch, .time = apply->now};
    memcpy(change.user_id, user->id, sizeof change.user_id);
    mote_changes_stage(apply->changes, &change);
}

int mote_apply_get_user(const struct mote_apply *apply, const uint8_t id[16], struct mote_user *user)
{
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_GET_USER_BY_ID);
    mote_sqlite_bind_user(statement, id);
    return mote_sqlite_get_user(apply->sqlite, statement, user);
}

/* A rotation is no event, a reuse is. */
static bool is_reuse_or_no_refresh(const struct mote_store_write *write)
{
    return write->kind != MOTE_STORE_ROTATE_REFRESH ||
           MOTE_CONTAINER_OF(write, const struct mote_store_rotate_refresh, write)->outcome == MOTE_STORE_REUSED;
}

static int apply_kind(struct mote_sqlite *sqlite, struct mote_changes *changes, struct mote_store_write *write)
{
    struct mote_apply apply = {.sqlite = sqlite, .changes = changes, .now = write->now};
    switch (write->kind) {
    case MOTE_STORE_CREATE_USER:
        return mote_apply_create_user(&apply, MOTE_CONTAINER_OF(write, struct mote_store_create_user, write));
    case MOTE_STORE_UPDATE_USER:
        return mote_apply_update_user(&apply, MOTE_CONTAINER_OF(write, struct mote_store_update_user, write));
    case MOTE_STORE_CREATE_SESSION:
        return mote_apply_create_session(&apply, MOTE_CONTAINER_OF(write, struct mote_store_create_session, write));
    case MOTE_STORE_ROTATE_REFRESH:
        return mote_apply_rotate_refresh(&apply, MOTE_CONTAINER_OF(write, struct mote_store_rotate_refresh, write));
    case MOTE_STORE_REVOKE_SESSIONS:
        return mote_apply_end_sessions(&apply, MOTE_CONTAINER_OF(write, struct mote_store_revoke_sessions, write),
                                       true);
    case MOTE_STORE_SET_USER_STATE:
        return mote_apply_set_user_state(&apply, MOTE_CONTAINER_OF(write, struct mote_store_set_user_state, write));
    case MOTE_STORE_DELETE_USER:
        return mote_apply_delete_user(&apply, MOTE_CONTAINER_OF(write, struct mote_store_delete_user, write));
    case MOTE_STORE_APPEND_AUDIT:
        return mote_apply_append_audit(&apply, write->audit);
    case MOTE_STORE_SET_PASSWORD:
        return mote_apply_set_password(&apply, MOTE_CONTAINER_OF(write, struct mote_store_set_password, write));
    case MOTE_STORE_REVOKE_TOKEN:
        return mote_apply_revoke_token(&apply, MOTE_CONTAINER_OF(write, struct mote_store_revoke_token, write));
    }
    return MOTE_EINVAL;
}

int mote_apply(struct mote_sqlite *sqlite, struct mote_changes *changes, struct mote_store_write *write)
{
    const struct mote_apply apply = {.sqlite = sqlite, .changes = changes, .now = write->now};
    int before = sqlite3_total_changes(sqlite->db);
    int result = apply_kind(sqlite, changes, write);
    if (result != 0 || write->audit == NULL || write->kind == MOTE_STORE_APPEND_AUDIT ||
        sqlite3_total_changes(sqlite->db) == before || !is_reuse_or_no_refresh(write)) {
        return result;
    }
    return mote_apply_append_audit(&apply, write->audit);
}

int mote_apply_upkeep(struct mote_sqlite *sqlite, int64_t now, unsigned limit, unsigned *deleted)
{
    static const struct {
        enum mote_statement name;
        int64_t keep;
    } tables[] = {{MOTE_STATEMENT_DELETE_REFRESH, 0},
                  {MOTE_STATEMENT_DELETE_SESSIONS, SESSION_KEEP_NS},
                  {MOTE_STATEMENT_FORGET_DELETED_USERS, SESSION_KEEP_NS},
                  {MOTE_STATEMENT_FORGET_REVOKED_TOKENS, SESSION_KEEP_NS},
                  {MOTE_STATEMENT_FORGET_REQUESTS, MOTE_STORE_REQUEST_KEEP_NS}};
    int result = 0;
    *deleted = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && result == 0; i++) {
        sqlite3_stmt *statement = mote_sqlite_statement(sqlite, tables[i].name);
        mote_sqlite_bind_int(statement, 1, now - tables[i].keep);
        mote_sqlite_bind_int(statement, 2, limit - *deleted);
        result = mote_sqlite_run(statement);
        *deleted += result == 0 ? (unsigned)sqlite3_changes(sqlite->db) : 0;
    }
    if (result == 0) {
        result = mote_apply_prune_audit(sqlite, now, limit - *deleted, deleted);
    }
    if (result == 0) {
        result = mote_feed_prune(sqlite, now, limit - *deleted, deleted);
    }
    return result;
}
