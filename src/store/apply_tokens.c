/* SPDX-License-Identifier: Apache-2.0 */
/* The revocation of single access tokens. */
#include "store/apply_internal.h"

#include <string.h>

static int count_revoked(const struct mote_apply *apply, const struct mote_store_revoke_token *revoke, int64_t *count)
{
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_COUNT_REVOKED_TOKENS);
    mote_sqlite_bind_bytes(statement, 1, revoke->session_id, sizeof revoke->session_id);
    mote_sqlite_bind_int(statement, 2, apply->now);
    mote_sqlite_bind_int(statement, 3, MOTE_STORE_REVOKED_TOKENS_MAX);
    int result = mote_sqlite_step(statement);
    if (result == 1) {
        *count = sqlite3_column_int64(statement, 0);
        result = 0;
    } else if (result == 0) {
        result = MOTE_ECORRUPT;
    }
    mote_sqlite_reset(statement);
    return result;
}

int mote_apply_revoke_token(const struct mote_apply *apply, const struct mote_store_revoke_token *revoke)
{
    int64_t count = 0;
    int result = count_revoked(apply, revoke, &count);
    if (result == 0 && count == MOTE_STORE_REVOKED_TOKENS_MAX) {
        struct mote_store_revoke_sessions session = {.scope = MOTE_STORE_SCOPE_ONE};
        memcpy(session.session_id, revoke->session_id, sizeof session.session_id);
        result = mote_apply_end_sessions(apply, &session, true);
        if (result != 0 || session.revoked_count > 0) {
            return result;
        }
    }
    if (result == 0) {
        sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_INSERT_REVOKED_TOKEN);
        mote_sqlite_bind_bytes(statement, 1, revoke->session_id, sizeof revoke->session_id);
        mote_sqlite_bind_bytes(statement, 2, revoke->token_id, sizeof revoke->token_id);
        mote_sqlite_bind_int(statement, 3, revoke->expire_time);
        result = mote_sqlite_run(statement);
    }
    if (result == 0 && sqlite3_changes(apply->sqlite->db) > 0) {
        struct mote_store_change change = {.kind = MOTE_STORE_CHANGE_TOKEN_REVOKED, .time = revoke->expire_time};
        memcpy(change.token_id, revoke->token_id, sizeof change.token_id);
        mote_changes_stage(apply->changes, &change);
    }
    return result;
}
