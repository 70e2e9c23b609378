/* SPDX-License-Identifier: Apache-2.0 */
/* Writes of users: their fields, their state, their end. */
#include "store/apply_internal.h"

#include <string.h>

#include "store/schema.h"

#define ROLE_ADMIN 4u

/* Runs a statement that must find no row (0) or finds one (1). */
static int run_exists(sqlite3_stmt *statement)
{
    int result = mote_sqlite_step(statement);
    mote_sqlite_reset(statement);
    return result;
}

static int check_username(const struct mote_apply *apply, const char *username, enum mote_store_taken *taken)
{
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_USERNAME_TAKEN);
    mote_sqlite_bind_text(statement, 1, username);
    int result = run_exists(statement);
    if (result != 1) {
        return result;
    }
    *taken = MOTE_STORE_TAKEN_USERNAME;
    return MOTE_EEXISTS;
}

/* The user's own address in another case is not taken. */
static int check_email(const struct mote_apply *apply, const struct mote_user *user, enum mote_store_taken *taken)
{
    if (user->email[0] == '\0') {
        return 0;
    }
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_EMAIL_TAKEN);
    mote_sqlite_bind_text(statement, 1, user->email);
    mote_sqlite_bind_bytes(statement, 2, user->id, sizeof user->id);
    int result = run_exists(statement);
    if (result != 1) {
        return result;
    }
    *taken = MOTE_STORE_TAKEN_EMAIL;
    return MOTE_EEXISTS;
}

static int check_id(const struct mote_apply *apply, const struct mote_user *user)
{
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_ID_TAKEN);
    mote_sqlite_bind_bytes(statement, 1, user->id, sizeof user->id);
    int result = run_exists(statement);
    return result == 1 ? MOTE_EEXISTS : result;
}

static int insert_user(const struct mote_apply *apply, const struct mote_user *user)
{
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_INSERT_USER);
    mote_sqlite_bind_text(statement, 1, user->username);
    mote_sqlite_bind_text(statement, 2, user->email);
    mote_sqlite_bind_text(statement, 3, user->display_name);
    mote_sqlite_bind_int(statement, 4, user->roles);
    mote_sqlite_bind_int(statement, 5, user->state);
    mote_sqlite_bind_int(statement, 6, user->email_verified);
    mote_sqlite_bind_int(statement, 7, user->password_change_required);
    mote_sqlite_bind_int(statement, 8, user->create_time);
    mote_sqlite_bind_int(statement, 9, user->update_time);
    mote_sqlite_bind_int(statement, 10, user->last_login_time);
    mote_sqlite_bind_int(statement, 11, (int64_t)user->epoch);
    mote_sqlite_bind_int(statement, 12, (int64_t)user->version);
    mote_sqlite_bind_bytes(statement, 13, user->id, sizeof user->id);
    mote_sqlite_bind_text(statement, 14, user->password_hash);
    mote_sqlite_bind_int(statement, 15, mote_schema_user_key(user->id));
    return mote_sqlite_run(statement);
}

/* MOTE_ECONFLICT when it is known. */
static int check_request(const struct mote_apply *apply, const struct mote_store_request *request)
{
    if (request == NULL) {
        return 0;
    }
    struct mote_store_request known = *request;
    int result = mote_sqlite_find_request(apply->sqlite, apply->now, &known);
    if (result == MOTE_ENOTFOUND) {
        return 0;
    }
    return result == 0 ? MOTE_ECONFLICT : result;
}

static int insert_request(const struct mote_apply *apply, struct mote_store_request *request, const uint8_t user_id[16])
{
    if (request == NULL) {
        return 0;
    }
    memcpy(request->user_id, user_id, sizeof request->user_id);
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_INSERT_REQUEST);
    mote_sqlite_bind_bytes(statement, 1, request->caller, sizeof request->caller);
    mote_sqlite_bind_bytes(statement, 2, request->id, sizeof request->id);
    mote_sqlite_bind_bytes(statement, 3, request->user_id, sizeof request->user_id);
    mote_sqlite_bind_bytes(statement, 4, request->digest, sizeof request->digest);
    mote_sqlite_bind_text(statement, 5, request->kid);
    mote_sqlite_bind_int(statement, 6, apply->now);
    return mote_sqlite_run(statement);
}

int mote_apply_create_user(const struct mote_apply *apply, struct mote_store_create_user *create)
{
    struct mote_user *user = &create->user;
    create->taken = MOTE_STORE_TAKEN_NONE;
    int result = check_request(apply, create->request);
    if (result == 0) {
        result = check_username(apply, user->username, &create->taken);
    }
    if (result == 0) {
        result = check_email(apply, user, &create->taken);
    }
    if (result == 0) {
        result = check_id(apply, user);
    }
    if (result != 0 || create->check_only) {
        return result;
    }
    if (!create->keep_times) {
        user->create_time = apply->now;
        user->update_time = apply->now;
        user->last_login_time = 0;
    }
    user->epoch = 1;
    user->version = 1;
    result = insert_user(apply, user);
    if (result == 0) {
        result = insert_request(apply, create->request, user->id);
    }
    if (result == 0) {
        mote_apply_stage_user(apply, MOTE_STORE_CHANGE_USER_CREATED, user);
    }
    return result;
}

/* The wanted values over the present ones; returns the fields that really change. */
static uint32_t merge_user(struct mote_user *user, const struct mote_user *wanted, uint32_t set)
{
    uint32_t changed = 0;
    if ((set & MOTE_STORE_SET_USERNAME) != 0 && strcmp(user->username, wanted->username) != 0) {
        memcpy(user->username, wanted->username, sizeof user->username);
        changed |= MOTE_STORE_SET_USERNAME;
    }
    if ((set & MOTE_STORE_SET_EMAIL) != 0 && strcmp(user->email, wanted->email) != 0) {
        memcpy(user->email, wanted->email, sizeof user->email);
        user->email_verified = false;
        changed |= MOTE_STORE_SET_EMAIL;
    }
    if ((set & MOTE_STORE_SET_DISPLAY_NAME) != 0 && strcmp(user->display_name, wanted->display_name) != 0) {
        memcpy(user->display_name, wanted->display_name, sizeof user->display_name);
        changed |= MOTE_STORE_SET_DISPLAY_NAME;
    }
    if ((set & MOTE_STORE_SET_ROLES) != 0 && user->roles != wanted->roles) {
        user->roles = wanted->roles;
        user->epoch++;
        changed |= MOTE_STORE_SET_ROLES;
    }
    if ((set & MOTE_STORE_SET_EMAIL_VERIFIED) != 0 && user->email_verified != wanted->email_verified) {
        user->email_verified = wanted->email_verified;
        changed |= MOTE_STORE_SET_EMAIL_VERIFIED;
    }
    return changed;
}

/* MOTE_ECONFLICT when `before` is the last active administrator and would not be one any more. */
static int check_last_administrator(const struct mote_apply *apply, const struct mote_user *before,
                                    const struct mote_user *after, enum mote_store_conflict *conflict)
{
    bool was = before->state == MOTE_USER_ACTIVE && (before->roles & ROLE_ADMIN) != 0;
    bool is = after->state == MOTE_USER_ACTIVE && (after->roles & ROLE_ADMIN) != 0;
    if (!was || is) {
        return 0;
    }
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_COUNT_ADMINISTRATORS);
    int result = mote_sqlite_step(statement);
    int64_t count = result == 1 ? sqlite3_column_int64(statement, 0) : 0;
    mote_sqlite_reset(statement);
    if (result < 0) {
        return result;
    }
    if (count >= 2) {
        return 0;
    }
    *conflict = MOTE_STORE_CONFLICT_LAST_ADMINISTRATOR;
    return MOTE_ECONFLICT;
}

static int store_user(const struct mote_apply *apply, const struct mote_user *user)
{
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_UPDATE_USER);
    mote_sqlite_bind_bytes(statement, 1, user->id, sizeof user->id);
    mote_sqlite_bind_text(statement, 2, user->username);
    mote_sqlite_bind_text(statement, 3, user->email);
    mote_sqlite_bind_text(statement, 4, user->display_name);
    mote_sqlite_bind_int(statement, 5, user->roles);
    mote_sqlite_bind_int(statement, 6, user->email_verified);
    mote_sqlite_bind_int(statement, 7, user->update_time);
    mote_sqlite_bind_int(statement, 8, (int64_t)user->version);
    mote_sqlite_bind_int(statement, 9, (int64_t)user->epoch);
    return mote_sqlite_run(statement);
}

/* Whether the change from one record to the other may be. */
static int check_update(const struct mote_apply *apply, struct mote_store_update_user *update, uint32_t changed,
                        const struct mote_user *before, const struct mote_user *after)
{
    int result = 0;
    if ((changed & MOTE_STORE_SET_USERNAME) != 0) {
        result = check_username(apply, after->username, &update->taken);
    }
    if (result == 0 && (changed & MOTE_STORE_SET_EMAIL) != 0) {
        result = check_email(apply, after, &update->taken);
    }
    if (result == 0) {
        result = check_last_administrator(apply, before, after, &update->conflict);
    }
    return result;
}

int mote_apply_update_user(const struct mote_apply *apply, struct mote_store_update_user *update)
{
    struct mote_user before;
    update->taken = MOTE_STORE_TAKEN_NONE;
    update->conflict = MOTE_STORE_CONFLICT_NONE;
    int result = mote_apply_get_user(apply, update->user.id, &before);
    if (result != 0) {
        return result;
    }
    if (update->has_version && update->version != before.version) {
        update->conflict = MOTE_STORE_CONFLICT_VERSION;
        return MOTE_ECONFLICT;
    }
    struct mote_user after = before;
    uint32_t changed = merge_user(&after, &update->user, update->set);
    result = check_update(apply, update, changed, &before, &after);
    if (result == 0 && changed != 0 && !update->check_only) {
        after.update_time = apply->now;
        after.version++;
        result = store_user(apply, &after);
        if (result == 0) {
            mote_apply_stage_user(apply, MOTE_STORE_CHANGE_USER_UPDATED, &after);
            if (after.epoch != before.epoch) {
                mote_apply_stage_user(apply, MOTE_STORE_CHANGE_USER_ROLES, &after);
            }
        }
    }
    if (result == 0) {
        update->user = after;
    }
    return result;
}

/* --- state ----------------------------------------------------------------------------------------------------- */

static int store_state(const struct mote_apply *apply, const struct mote_user *user, const char *reason)
{
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_SET_USER_STATE);
    mote_sqlite_bind_bytes(statement, 1, user->id, sizeof user->id);
    mote_sqlite_bind_int(statement, 2, user->state);
    mote_sqlite_bind_text(statement, 3, reason);
    mote_sqlite_bind_int(statement, 4, user->update_time);
    mote_sqlite_bind_int(statement, 5, (int64_t)user->version);
    mote_sqlite_bind_int(statement, 6, (int64_t)user->epoch);
    return mote_sqlite_run(statement);
}

static int check_state(const struct mote_apply *apply, struct mote_store_set_user_state *set,
                       const struct mote_user *before, const struct mote_user *after)
{
    if (before->state == after->state) {
        set->conflict = MOTE_STORE_CONFLICT_STATE;
        return MOTE_ECONFLICT;
    }
    return check_last_administrator(apply, before, after, &set->conflict);
}

int mote_apply_set_user_state(const struct mote_apply *apply, struct mote_store_set_user_state *set)
{
    struct mote_user before;
    set->revoked_count = 0;
    set->conflict = MOTE_STORE_CONFLICT_NONE;
    int result = mote_apply_get_user(apply, set->user.id, &before);
    if (result != 0) {
        return result;
    }
    struct mote_user after = before;
    bool disable = set->state == MOTE_USER_DISABLED;
    after.state = set->state;
    after.epoch += disable ? 1u : 0u;
    after.update_time = apply->now;
    after.version++;
    result = check_state(apply, set, &before, &after);
    if (result == 0) {
        result = store_state(apply, &after, set->reason);
    }
    if (result == 0) {
        mote_apply_stage_user(apply, MOTE_STORE_CHANGE_USER_UPDATED, &after);
        set->user = after;
    }
    if (result == 0 && disable) {
        struct mote_store_revoke_sessions revocation = {.scope = MOTE_STORE_SCOPE_ALL};
        memcpy(revocation.user_id, after.id, sizeof revocation.user_id);
        mote_apply_stage_user(apply, MOTE_STORE_CHANGE_USER_EPOCH, &after);
        result = mote_apply_end_sessions(apply, &revocation, false);
        set->revoked_count = revocation.revoked_count;
    }
    return result;
}

/* The sessions and their tokens go with the row. */
int mote_apply_delete_user(const struct mote_apply *apply, struct mote_store_delete_user *removal)
{
    static const struct mote_user nobody;
    struct mote_user before;
    removal->conflict = MOTE_STORE_CONFLICT_NONE;
    int result = mote_apply_get_user(apply, removal->user_id, &before);
    if (result != 0) {
        return result;
    }
    if (removal->has_version && removal->version != before.version) {
        removal->conflict = MOTE_STORE_CONFLICT_VERSION;
        return MOTE_ECONFLICT;
    }
    result = check_last_administrator(apply, &before, &nobody, &removal->conflict);
    if (result == 0) {
        sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_DELETE_USER);
        mote_sqlite_bind_bytes(statement, 1, before.id, sizeof before.id);
        result = mote_sqlite_run(statement);
    }
    if (result == 0) {
        sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_INSERT_DELETED_USER);
        mote_sqlite_bind_bytes(statement, 1, before.id, sizeof before.id);
        mote_sqlite_bind_int(statement, 2, apply->now);
        result = mote_sqlite_run(statement);
    }
    if (result == 0) {
        mote_apply_stage_user(apply, MOTE_STORE_CHANGE_USER_DELETED, &before);
    }
    return result;
}
