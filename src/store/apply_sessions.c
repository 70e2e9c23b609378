/* SPDX-License-Identifier: Apache-2.0 */
/* Writes of sessions and their refresh tokens. */
#include "store/apply_internal.h"

#include <string.h>

#define SESSION_TOUCH_NS (60 * (int64_t)MOTE_NS_PER_SECOND) /* times of last use are as exact as that */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int insert_session(const struct mote_apply *apply, const struct mote_store_session_record *record)
{
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_INSERT_SESSION);
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

static int insert_refresh(const struct mote_apply *apply, const struct refresh_row *row)
{
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_INSERT_REFRESH);
    mote_sqlite_bind_bytes(statement, 1, row->hash, 32);
    mote_sqlite_bind_bytes(statement, 2, row->session_id, 16);
    mote_sqlite_bind_bytes(statement, 3, row->parent, row->parent != NULL ? 32 : 0);
    mote_sqlite_bind_text(statement, 4, row->kid);
    mote_sqlite_bind_int(statement, 5, apply->now);
    mote_sqlite_bind_int(statement, 6, row->expire_time);
    return mote_sqlite_run(statement);
}

/* MOTE_EEXISTS when the hash is in the table. */
static int check_hash(const struct mote_apply *apply, const uint8_t hash[32])
{
    struct mote_sqlite_refresh refresh;
    int result = mote_sqlite_get_refresh(apply->sqlite, hash, &refresh);
    if (result == MOTE_ENOTFOUND) {
        return 0;
    }
    return result == 0 ? MOTE_EEXISTS : result;
}

static int check_login(const struct mote_apply *apply, const struct mote_store_create_session *create)
{
    struct mote_user user;
    int result = mote_apply_get_user(apply, create->record.user_id, &user);
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

int mote_apply_create_session(const struct mote_apply *apply, struct mote_store_create_session *create)
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
        sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_TOUCH_LOGIN);
        mote_sqlite_bind_bytes(statement, 1, create->record.user_id, sizeof create->record.user_id);
        mote_sqlite_bind_int(statement, 2, apply->now);
        result = mote_sqlite_run(statement);
    }
    return result;
}

/* `tell`: each of them is a change. */
int mote_apply_end_sessions(const struct mote_apply *apply, struct mote_store_revoke_sessions *revoke, bool tell)
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
    sqlite3_stmt *statement = mote_apply_statement(apply, name);
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
            if (revoke->write.audit != NULL && revoke->scope == MOTE_STORE_SCOPE_ONE) {
                memcpy(revoke->write.audit->user_id, change.user_id, sizeof change.user_id);
            }
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

/* --- refresh --------------------------------------------------------------------------------------------------- */

static int touch_session(const struct mote_apply *apply, struct mote_store_session_record *record)
{
    if (apply->now - record->last_use_time < SESSION_TOUCH_NS) {
        return 0;
    }
    record->last_use_time = apply->now;
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_TOUCH_SESSION);
    mote_sqlite_bind_bytes(statement, 1, record->id, sizeof record->id);
    mote_sqlite_bind_int(statement, 2, record->last_use_time);
    return mote_sqlite_run(statement);
}

/* The first use: the one that changes a row. */
static int use_refresh(const struct mote_apply *apply, struct mote_store_rotate_refresh *rotate)
{
    int result = check_hash(apply, rotate->successor_hash);
    if (result != 0) {
        return result;
    }
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_USE_REFRESH);
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

static int revoke_reused(const struct mote_apply *apply, struct mote_store_rotate_refresh *rotate)
{
    struct mote_store_revoke_sessions revocation = {.scope = MOTE_STORE_SCOPE_ONE};
    memcpy(revocation.session_id, rotate->record.id, sizeof revocation.session_id);
    rotate->outcome = MOTE_STORE_REUSED;
    if (rotate->write.audit != NULL) {
        memcpy(rotate->write.audit->user_id, rotate->record.user_id, sizeof rotate->record.user_id);
        memcpy(rotate->write.audit->session_id, rotate->record.id, sizeof rotate->record.id);
    }
    return mote_apply_end_sessions(apply, &revocation, true);
}

/* Wall clocks of two workers' requests may be the other way round, so the distance counts in both directions. */
static bool is_within(int64_t a, int64_t b, int64_t distance)
{
    return (a > b ? a - b : b - a) <= distance;
}

static int repeat_refresh(const struct mote_apply *apply, struct mote_store_rotate_refresh *rotate, int64_t use_time)
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

int mote_apply_rotate_refresh(const struct mote_apply *apply, struct mote_store_rotate_refresh *rotate)
{
    struct mote_sqlite_refresh refresh;
    int64_t revoke_time = 0;
    rotate->outcome = MOTE_STORE_INVALID;
    int result = mote_sqlite_get_refresh(apply->sqlite, rotate->hash, &refresh);
    if (result == 0) {
        result = mote_sqlite_get_session(apply->sqlite, refresh.session_id, &rotate->record, &revoke_time);
    }
    if (result == 0) {
        result = mote_apply_get_user(apply, rotate->record.user_id, &rotate->user);
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
