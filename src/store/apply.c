/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes. Everything that may be refused is looked at before the first statement that changes something: the
 * transaction belongs to the writer alone, so nothing can come in between, and no savepoint is needed. A constraint
 * that fails all the same is a bug or a damaged file, and fails the group.
 */
#include "store/apply.h"

#include <string.h>

#include "base/list.h"

#define SESSION_TOUCH_NS (60 * (int64_t)MOTE_NS_PER_SECOND) /* times of last use are as exact as that */
/* Revoked sessions must be known as long as an access token of theirs may live; a week is far beyond that. */
#define SESSION_KEEP_NS (7 * 24 * 3600 * (int64_t)MOTE_NS_PER_SECOND)
#define ROLE_ADMIN      4u

struct apply {
    struct mote_sqlite *sqlite;
    struct mote_changes *changes;
    int64_t now;
};

bool mote_apply_is_own_result(int result)
{
    return result == 0 || result == MOTE_ENOTFOUND || result == MOTE_EEXISTS || result == MOTE_ECONFLICT;
}

static sqlite3_stmt *statement_of(const struct apply *apply, enum mote_statement name)
{
    return mote_sqlite_statement(apply->sqlite, name);
}

/* Runs a statement that must find no row (0) or finds one (1). */
static int run_exists(sqlite3_stmt *statement)
{
    int result = mote_sqlite_step(statement);
    mote_sqlite_reset(statement);
    return result;
}

static void stage_user(const struct apply *apply, enum mote_store_change_kind kind, const struct mote_user *user)
{
    struct mote_store_change change = {.kind = kind, .epoch = user->epoch, .time = apply->now};
    memcpy(change.user_id, user->id, sizeof change.user_id);
    mote_changes_stage(apply->changes, &change);
}

static int get_user(const struct apply *apply, const uint8_t id[16], struct mote_user *user)
{
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_GET_USER_BY_ID);
    mote_sqlite_bind_bytes(statement, 1, id, 16);
    return mote_sqlite_get_user(statement, user);
}

/* --- users ----------------------------------------------------------------------------------------------------- */

static int check_username(const struct apply *apply, const char *username, enum mote_store_taken *taken)
{
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_USERNAME_TAKEN);
    mote_sqlite_bind_text(statement, 1, username);
    int result = run_exists(statement);
    if (result != 1) {
        return result;
    }
    *taken = MOTE_STORE_TAKEN_USERNAME;
    return MOTE_EEXISTS;
}

/* The user's own address in another case is not taken. */
static int check_email(const struct apply *apply, const struct mote_user *user, enum mote_store_taken *taken)
{
    if (user->email[0] == '\0') {
        return 0;
    }
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_EMAIL_TAKEN);
    mote_sqlite_bind_text(statement, 1, user->email);
    mote_sqlite_bind_bytes(statement, 2, user->id, sizeof user->id);
    int result = run_exists(statement);
    if (result != 1) {
        return result;
    }
    *taken = MOTE_STORE_TAKEN_EMAIL;
    return MOTE_EEXISTS;
}

static int check_id(const struct apply *apply, const struct mote_user *user)
{
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_ID_TAKEN);
    mote_sqlite_bind_bytes(statement, 1, user->id, sizeof user->id);
    int result = run_exists(statement);
    return result == 1 ? MOTE_EEXISTS : result;
}

static int insert_user(const struct apply *apply, const struct mote_user *user)
{
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_INSERT_USER);
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
    return mote_sqlite_run(statement);
}

static int create_user(const struct apply *apply, struct mote_store_create_user *create)
{
    struct mote_user *user = &create->user;
    create->taken = MOTE_STORE_TAKEN_NONE;
    int result = check_username(apply, user->username, &create->taken);
    if (result == 0) {
        result = check_email(apply, user, &create->taken);
    }
    if (result == 0) {
        result = check_id(apply, user);
    }
    if (result != 0) {
        return result;
    }
    user->create_time = apply->now;
    user->update_time = apply->now;
    user->last_login_time = 0;
    user->epoch = 1;
    user->version = 1;
    result = insert_user(apply, user);
    if (result == 0) {
        stage_user(apply, MOTE_STORE_CHANGE_USER_CREATED, user);
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
static int check_last_administrator(const struct apply *apply, const struct mote_user *before,
                                    const struct mote_user *after)
{
    bool was = before->state == MOTE_USER_ACTIVE && (before->roles & ROLE_ADMIN) != 0;
    bool is = after->state == MOTE_USER_ACTIVE && (after->roles & ROLE_ADMIN) != 0;
    if (!was || is) {
        return 0;
    }
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_COUNT_ADMINISTRATORS);
    int result = mote_sqlite_step(statement);
    int64_t count = result == 1 ? sqlite3_column_int64(statement, 0) : 0;
    mote_sqlite_reset(statement);
    if (result < 0) {
        return result;
    }
    return count >= 2 ? 0 : MOTE_ECONFLICT;
}

static int store_user(const struct apply *apply, const struct mote_user *user)
{
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_UPDATE_USER);
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

static int update_user(const struct apply *apply, struct mote_store_update_user *update)
{
    struct mote_user before;
    update->taken = MOTE_STORE_TAKEN_NONE;
    int result = get_user(apply, update->user.id, &before);
    if (result != 0) {
        return result;
    }
    struct mote_user after = before;
    uint32_t changed = merge_user(&after, &update->user, update->set);
    if ((changed & MOTE_STORE_SET_USERNAME) != 0) {
        result = check_username(apply, after.username, &update->taken);
    }
    if (result == 0 && (changed & MOTE_STORE_SET_EMAIL) != 0) {
        result = check_email(apply, &after, &update->taken);
    }
    if (result == 0) {
        result = check_last_administrator(apply, &before, &after);
    }
    if (result == 0 && changed != 0) {
        after.update_time = apply->now;
        after.version++;
        result = store_user(apply, &after);
        if (result == 0) {
            stage_user(apply, MOTE_STORE_CHANGE_USER_UPDATED, &after);
            if (after.epoch != before.epoch) {
                stage_user(apply, MOTE_STORE_CHANGE_USER_ROLES, &after);
            }
        }
    }
    if (result == 0) {
        update->user = after;
    }
    return result;
}

/* --- sessions -------------------------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int insert_session(const struct apply *apply, const struct mote_store_session_record *record)
{
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_INSERT_SESSION);
    mote_sqlite_bind_bytes(statement, 1, record->id, sizeof record->id);
    mote_sqlite_bind_bytes(statement, 2, record->user_id, sizeof record->user_id);
    mote_sqlite_bind_int(statement, 3, record->create_time);
    mote_sqlite_bind_int(statement, 4, record->last_use_time);
    mote_sqlite_bind_int(statement, 5, record->expire_time);
    mote_sqlite_bind_text(statement, 6, record->user_agent);
    mote_sqlite_bind_text(statement, 7, record->peer_address);
    return mote_sqlite_run(statement);
}

struct refresh_row {
    const uint8_t *hash;
    const uint8_t *session_id;
    const uint8_t *parent; /* NULL: the first of its session */
    const char *kid;
    int64_t expire_time;
};

static int insert_refresh(const struct apply *apply, const struct refresh_row *row)
{
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_INSERT_REFRESH);
    mote_sqlite_bind_bytes(statement, 1, row->hash, 32);
    mote_sqlite_bind_bytes(statement, 2, row->session_id, 16);
    mote_sqlite_bind_bytes(statement, 3, row->parent, row->parent != NULL ? 32 : 0);
    mote_sqlite_bind_text(statement, 4, row->kid);
    mote_sqlite_bind_int(statement, 5, apply->now);
    mote_sqlite_bind_int(statement, 6, row->expire_time);
    return mote_sqlite_run(statement);
}

/* MOTE_EEXISTS when the hash is in the table. */
static int check_hash(const struct apply *apply, const uint8_t hash[32])
{
    struct mote_sqlite_refresh refresh;
    int result = mote_sqlite_get_refresh(apply->sqlite, hash, &refresh);
    if (result == MOTE_ENOTFOUND) {
        return 0;
    }
    return result == 0 ? MOTE_EEXISTS : result;
}

static int check_login(const struct apply *apply, const struct mote_store_create_session *create)
{
    struct mote_user user;
    int result = get_user(apply, create->record.user_id, &user);
    if (result != 0) {
        return result;
    }
    if (user.state != MOTE_USER_ACTIVE || user.epoch != create->user_epoch) {
        return MOTE_ECONFLICT;
    }
    struct mote_store_session_record record;
    int64_t revoke_time;
    result = mote_sqlite_get_session(apply->sqlite, create->record.id, &record, &revoke_time);
    if (result != MOTE_ENOTFOUND) {
        return result == 0 ? MOTE_EEXISTS : result;
    }
    return check_hash(apply, create->refresh_hash);
}

static int create_session(const struct apply *apply, struct mote_store_create_session *create)
{
    int result = check_login(apply, create);
    if (result == 0) {
        result = insert_session(apply, &create->record);
    }
    if (result == 0) {
        create->refresh_expire_time = earlier(create->refresh_expire_time, create->record.expire_time);
        result = insert_refresh(apply, &(struct refresh_row){.hash = create->refresh_hash,
                                                             .session_id = create->record.id,
                                                             .kid = create->refresh_kid,
                                                             .expire_time = create->refresh_expire_time});
    }
    if (result == 0) {
        sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_TOUCH_LOGIN);
        mote_sqlite_bind_bytes(statement, 1, create->record.user_id, sizeof create->record.user_id);
        mote_sqlite_bind_int(statement, 2, apply->now);
        result = mote_sqlite_run(statement);
    }
    return result;
}

/* `tell`: each of them is a change. */
static int end_sessions(const struct apply *apply, struct mote_store_revoke_sessions *revoke, bool tell)
{
    enum mote_statement name = MOTE_STATEMENT_REVOKE_ONE;
    switch (revoke->scope) {
    case MOTE_STORE_SCOPE_ONE:
        break;
    case MOTE_STORE_SCOPE_OTHERS:
        name = MOTE_STATEMENT_REVOKE_OTHERS;
        break;
    case MOTE_STORE_SCOPE_ALL:
        name = MOTE_STATEMENT_REVOKE_ALL;
        break;
    }
    sqlite3_stmt *statement = statement_of(apply, name);
    mote_sqlite_bind_int(statement, 1, apply->now);
    if (revoke->scope != MOTE_STORE_SCOPE_ONE) {
        mote_sqlite_bind_bytes(statement, 2, revoke->user_id, sizeof revoke->user_id);
    }
    if (revoke->scope != MOTE_STORE_SCOPE_ALL) {
        mote_sqlite_bind_bytes(statement, 3, revoke->session_id, sizeof revoke->session_id);
    }
    revoke->revoked_count = 0;
    int result = mote_sqlite_step(statement);
    while (result == 1) {
        struct mote_store_change change = {.kind = MOTE_STORE_CHANGE_SESSION_REVOKED, .time = apply->now};
        result = mote_sqlite_column_bytes(statement, 0, change.session_id, sizeof change.session_id);
        if (result == 0) {
            result = mote_sqlite_column_bytes(statement, 1, change.user_id, sizeof change.user_id);
        }
        if (result == 0) {
            if (tell) {
                mote_changes_stage(apply->changes, &change);
            }
            revoke->revoked_count++;
            result = mote_sqlite_step(statement);
        }
    }
    mote_sqlite_reset(statement);
    return result;
}

/* --- state ----------------------------------------------------------------------------------------------------- */

static int store_state(const struct apply *apply, const struct mote_user *user, const char *reason)
{
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_SET_USER_STATE);
    mote_sqlite_bind_bytes(statement, 1, user->id, sizeof user->id);
    mote_sqlite_bind_int(statement, 2, user->state);
    mote_sqlite_bind_text(statement, 3, reason);
    mote_sqlite_bind_int(statement, 4, user->update_time);
    mote_sqlite_bind_int(statement, 5, (int64_t)user->version);
    mote_sqlite_bind_int(statement, 6, (int64_t)user->epoch);
    return mote_sqlite_run(statement);
}

static int check_state(const struct apply *apply, struct mote_store_set_user_state *set, const struct mote_user *before,
                       const struct mote_user *after)
{
    if (before->state == after->state) {
        set->conflict = MOTE_STORE_CONFLICT_STATE;
        return MOTE_ECONFLICT;
    }
    int result = check_last_administrator(apply, before, after);
    set->conflict = result == MOTE_ECONFLICT ? MOTE_STORE_CONFLICT_LAST_ADMINISTRATOR : MOTE_STORE_CONFLICT_NONE;
    return result;
}

static int set_user_state(const struct apply *apply, struct mote_store_set_user_state *set)
{
    struct mote_user before;
    set->revoked_count = 0;
    set->conflict = MOTE_STORE_CONFLICT_NONE;
    int result = get_user(apply, set->user.id, &before);
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
        stage_user(apply, MOTE_STORE_CHANGE_USER_UPDATED, &after);
        set->user = after;
    }
    if (result == 0 && disable) {
        struct mote_store_revoke_sessions revocation = {.scope = MOTE_STORE_SCOPE_ALL};
        memcpy(revocation.user_id, after.id, sizeof revocation.user_id);
        stage_user(apply, MOTE_STORE_CHANGE_USER_EPOCH, &after);
        result = end_sessions(apply, &revocation, false);
        set->revoked_count = revocation.revoked_count;
    }
    return result;
}

/* The sessions and their tokens go with the row. */
static int delete_user(const struct apply *apply, struct mote_store_delete_user *removal)
{
    static const struct mote_user nobody;
    struct mote_user before;
    removal->conflict = MOTE_STORE_CONFLICT_NONE;
    int result = get_user(apply, removal->user_id, &before);
    if (result != 0) {
        return result;
    }
    if (removal->has_version && removal->version != before.version) {
        removal->conflict = MOTE_STORE_CONFLICT_VERSION;
        return MOTE_ECONFLICT;
    }
    result = check_last_administrator(apply, &before, &nobody);
    if (result == MOTE_ECONFLICT) {
        removal->conflict = MOTE_STORE_CONFLICT_LAST_ADMINISTRATOR;
    }
    if (result == 0) {
        sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_DELETE_USER);
        mote_sqlite_bind_bytes(statement, 1, before.id, sizeof before.id);
        result = mote_sqlite_run(statement);
    }
    if (result == 0) {
        sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_INSERT_DELETED_USER);
        mote_sqlite_bind_bytes(statement, 1, before.id, sizeof before.id);
        mote_sqlite_bind_int(statement, 2, apply->now);
        result = mote_sqlite_run(statement);
    }
    if (result == 0) {
        stage_user(apply, MOTE_STORE_CHANGE_USER_DELETED, &before);
    }
    return result;
}

/* --- refresh --------------------------------------------------------------------------------------------------- */

static int touch_session(const struct apply *apply, struct mote_store_session_record *record)
{
    if (apply->now - record->last_use_time < SESSION_TOUCH_NS) {
        return 0;
    }
    record->last_use_time = apply->now;
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_TOUCH_SESSION);
    mote_sqlite_bind_bytes(statement, 1, record->id, sizeof record->id);
    mote_sqlite_bind_int(statement, 2, record->last_use_time);
    return mote_sqlite_run(statement);
}

/* The first use: the one that changes a row. */
static int use_refresh(const struct apply *apply, struct mote_store_rotate_refresh *rotate)
{
    int result = check_hash(apply, rotate->successor_hash);
    if (result != 0) {
        return result;
    }
    sqlite3_stmt *statement = statement_of(apply, MOTE_STATEMENT_USE_REFRESH);
    mote_sqlite_bind_bytes(statement, 1, rotate->hash, sizeof rotate->hash);
    mote_sqlite_bind_int(statement, 2, apply->now);
    result = mote_sqlite_run(statement);
    if (result == 0 && sqlite3_changes(apply->sqlite->db) != 1) {
        result = MOTE_ECORRUPT; /* the row was read a moment ago, in this transaction */
    }
    if (result == 0) {
        rotate->refresh_expire_time = earlier(rotate->successor_expire_time, rotate->record.expire_time);
        result = insert_refresh(apply, &(struct refresh_row){.hash = rotate->successor_hash,
                                                             .session_id = rotate->record.id,
                                                             .parent = rotate->hash,
                                                             .kid = rotate->successor_kid,
                                                             .expire_time = rotate->refresh_expire_time});
    }
    if (result == 0) {
        rotate->outcome = MOTE_STORE_ROTATED;
        result = touch_session(apply, &rotate->record);
    }
    return result;
}

static int revoke_reused(const struct apply *apply, struct mote_store_rotate_refresh *rotate)
{
    struct mote_store_revoke_sessions revocation = {.scope = MOTE_STORE_SCOPE_ONE};
    memcpy(revocation.session_id, rotate->record.id, sizeof revocation.session_id);
    rotate->outcome = MOTE_STORE_REUSED;
    return end_sessions(apply, &revocation, true);
}

/* Wall clocks of two workers' requests may be the other way round, so the distance counts in both directions. */
static bool is_within(int64_t a, int64_t b, int64_t distance)
{
    return (a > b ? a - b : b - a) <= distance;
}

static int repeat_refresh(const struct apply *apply, struct mote_store_rotate_refresh *rotate, int64_t use_time)
{
    if (!is_within(apply->now, use_time, rotate->grace)) {
        return revoke_reused(apply, rotate);
    }
    struct mote_sqlite_refresh successor;
    int result = mote_sqlite_get_refresh(apply->sqlite, rotate->successor_hash, &successor);
    if (result == MOTE_ENOTFOUND) {
        return 0; /* derived with another key than the first time: it cannot be answered again */
    }
    if (result != 0) {
        return result;
    }
    bool is_child = successor.has_parent && memcmp(successor.parent, rotate->hash, sizeof successor.parent) == 0;
    if (!is_child || successor.expire_time <= apply->now) {
        return 0;
    }
    if (successor.use_time != 0) {
        return revoke_reused(apply, rotate);
    }
    rotate->refresh_expire_time = successor.expire_time;
    rotate->outcome = MOTE_STORE_REPEATED;
    return 0;
}

static int rotate_refresh(const struct apply *apply, struct mote_store_rotate_refresh *rotate)
{
    struct mote_sqlite_refresh refresh;
    int64_t revoke_time = 0;
    rotate->outcome = MOTE_STORE_INVALID;
    int result = mote_sqlite_get_refresh(apply->sqlite, rotate->hash, &refresh);
    if (result == 0) {
        result = mote_sqlite_get_session(apply->sqlite, refresh.session_id, &rotate->record, &revoke_time);
    }
    if (result == 0) {
        result = get_user(apply, rotate->record.user_id, &rotate->user);
    }
    if (result == MOTE_ENOTFOUND) {
        return 0;
    }
    if (result != 0) {
        return result;
    }
    if (refresh.expire_time <= apply->now || rotate->record.expire_time <= apply->now || revoke_time != 0 ||
        rotate->user.state != MOTE_USER_ACTIVE) {
        return 0;
    }
    return refresh.use_time == 0 ? use_refresh(apply, rotate) : repeat_refresh(apply, rotate, refresh.use_time);
}

/* --- all ------------------------------------------------------------------------------------------------------- */

int mote_apply(struct mote_sqlite *sqlite, struct mote_changes *changes, struct mote_store_write *write)
{
    struct apply apply = {.sqlite = sqlite, .changes = changes, .now = write->now};
    switch (write->kind) {
    case MOTE_STORE_CREATE_USER:
        return create_user(&apply, MOTE_CONTAINER_OF(write, struct mote_store_create_user, write));
    case MOTE_STORE_UPDATE_USER:
        return update_user(&apply, MOTE_CONTAINER_OF(write, struct mote_store_update_user, write));
    case MOTE_STORE_CREATE_SESSION:
        return create_session(&apply, MOTE_CONTAINER_OF(write, struct mote_store_create_session, write));
    case MOTE_STORE_ROTATE_REFRESH:
        return rotate_refresh(&apply, MOTE_CONTAINER_OF(write, struct mote_store_rotate_refresh, write));
    case MOTE_STORE_REVOKE_SESSIONS:
        return end_sessions(&apply, MOTE_CONTAINER_OF(write, struct mote_store_revoke_sessions, write), true);
    case MOTE_STORE_SET_USER_STATE:
        return set_user_state(&apply, MOTE_CONTAINER_OF(write, struct mote_store_set_user_state, write));
    case MOTE_STORE_DELETE_USER:
        return delete_user(&apply, MOTE_CONTAINER_OF(write, struct mote_store_delete_user, write));
    }
    return MOTE_EINVAL;
}

static int delete_before(struct mote_sqlite *sqlite, enum mote_statement name, int64_t time, unsigned limit)
{
    sqlite3_stmt *statement = mote_sqlite_statement(sqlite, name);
    mote_sqlite_bind_int(statement, 1, time);
    mote_sqlite_bind_int(statement, 2, limit);
    return mote_sqlite_run(statement);
}

int mote_apply_upkeep(struct mote_sqlite *sqlite, int64_t now, unsigned limit, unsigned *deleted)
{
    *deleted = 0;
    int result = delete_before(sqlite, MOTE_STATEMENT_DELETE_REFRESH, now, limit);
    if (result == 0) {
        *deleted = (unsigned)sqlite3_changes(sqlite->db);
        result = delete_before(sqlite, MOTE_STATEMENT_DELETE_SESSIONS, now - SESSION_KEEP_NS, limit - *deleted);
    }
    if (result == 0) {
        *deleted += (unsigned)sqlite3_changes(sqlite->db);
        result = delete_before(sqlite, MOTE_STATEMENT_FORGET_DELETED_USERS, now - SESSION_KEEP_NS, limit - *deleted);
    }
    if (result == 0) {
        *deleted += (unsigned)sqlite3_changes(sqlite->db);
    }
    return result;
}
