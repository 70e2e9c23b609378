/* SPDX-License-Identifier: Apache-2.0 */
/* Writes of password hashes. What each act changes besides stands in one place: the epoch, who is logged out, and
 * whether the next password must be the user's own. */
#include "store/apply_internal.h"

#include <string.h>

/* Which of the row's epochs becomes the new one, as the statement has it. */
enum raised {
    RAISED_NONE = 0,
    RAISED_OVER = 1,
    RAISED_UNLOCK = 2,
};

static int store_password(const struct mote_apply *apply, const struct mote_user *user, enum raised raised)
{
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_SET_PASSWORD);
    mote_sqlite_bind_bytes(statement, 1, user->id, sizeof user->id);
    mote_sqlite_bind_text(statement, 2, user->password_hash);
    mote_sqlite_bind_int(statement, 3, user->password_change_required);
    mote_sqlite_bind_int(statement, 4, (int64_t)user->epoch);
    mote_sqlite_bind_int(statement, 5, raised);
    mote_sqlite_bind_int(statement, 6, apply->now);
    return mote_sqlite_run(statement);
}

static int end_sessions(const struct mote_apply *apply, struct mote_store_set_password *set)
{
    bool by_owner = set->act == MOTE_STORE_PASSWORD_CHANGE;
    struct mote_store_revoke_sessions revocation = {.scope = by_owner ? MOTE_STORE_SCOPE_OTHERS : MOTE_STORE_SCOPE_ALL};
    memcpy(revocation.user_id, set->user_id, sizeof revocation.user_id);
    memcpy(revocation.session_id, set->session_id, sizeof revocation.session_id);
    int result = mote_apply_end_sessions(apply, &revocation, by_owner);
    set->revoked_count = revocation.revoked_count;
    return result;
}

static int set_password(const struct mote_apply *apply, struct mote_store_set_password *set, struct mote_user *user)
{
    bool unlocks = set->act == MOTE_STORE_PASSWORD_CHANGE && user->password_change_required;
    bool ends = set->act == MOTE_STORE_PASSWORD_SET || (set->act == MOTE_STORE_PASSWORD_CHANGE && !set->keep_others);
    enum raised raised = unlocks ? RAISED_UNLOCK : RAISED_NONE;
    if (set->act != MOTE_STORE_PASSWORD_REHASH) {
        user->epoch++;
        user->password_change_required = set->act == MOTE_STORE_PASSWORD_SET && set->require_change;
    }
    if (set->act == MOTE_STORE_PASSWORD_SET) {
        raised = RAISED_OVER;
        mote_apply_stage_user(apply, MOTE_STORE_CHANGE_USER_EPOCH, user);
    } else if (unlocks) {
        mote_apply_stage_user(apply, MOTE_STORE_CHANGE_USER_UNLOCKED, user);
    }
    memcpy(user->password_hash, set->password_hash, sizeof user->password_hash);
    int result = store_password(apply, user, raised);
    return result == 0 && ends ? end_sessions(apply, set) : result;
}

int mote_apply_set_password(const struct mote_apply *apply, struct mote_store_set_password *set)
{
    struct mote_user user;
    set->revoked_count = 0;
    int result = mote_apply_get_user(apply, set->user_id, &user);
    if (result == 0 && set->act != MOTE_STORE_PASSWORD_SET && user.epoch != set->user_epoch) {
        result = MOTE_ECONFLICT;
    }
    return result == 0 ? set_password(apply, set, &user) : result;
}
