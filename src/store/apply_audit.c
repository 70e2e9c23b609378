/* SPDX-License-Identifier: Apache-2.0 */
/* The audit record: rows are appended, and the oldest deleted when they have been kept long enough. */
#include "store/apply_internal.h"

#include <string.h>

const char *mote_store_audit_action_name(enum mote_store_audit_action action)
{
    static const char *const names[] = {
#define X(constant, name) name,
        MOTE_STORE_AUDIT_MAP(X)
#undef X
    };
    return names[action];
}

/* All zero: none. */
static void bind_id(sqlite3_stmt *statement, int parameter, const uint8_t id[16])
{
    static const uint8_t none[16];
    mote_sqlite_bind_bytes(statement, parameter, memcmp(id, none, sizeof none) == 0 ? NULL : id, 16);
}

static void bind_detail(sqlite3_stmt *statement, int parameter, struct mote_slice text)
{
    size_t length = text.length < MOTE_STORE_AUDIT_DETAIL_MAX ? text.length : MOTE_STORE_AUDIT_DETAIL_MAX;
    (void)sqlite3_bind_text(statement, parameter, length > 0 ? (const char *)text.data : "", (int)length,
                            SQLITE_STATIC);
}

int mote_apply_append_audit(const struct mote_apply *apply, const struct mote_store_audit *audit)
{
    static const char *const actors[] = {
        [MOTE_STORE_ACTOR_NOBODY] = "",
        [MOTE_STORE_ACTOR_USER] = NULL,
        [MOTE_STORE_ACTOR_LOCAL] = "local",
        [MOTE_STORE_ACTOR_SYSTEM] = "system",
    };
    sqlite3_stmt *statement = mote_apply_statement(apply, MOTE_STATEMENT_INSERT_AUDIT);
    mote_sqlite_bind_int(statement, 1, apply->now);
    mote_sqlite_bind_text(statement, 2, mote_store_audit_action_name(audit->action));
    if (actors[audit->actor] != NULL) {
        mote_sqlite_bind_text(statement, 3, actors[audit->actor]);
    } else {
        mote_sqlite_bind_bytes(statement, 3, audit->actor_id, sizeof audit->actor_id);
    }
    mote_sqlite_bind_text(statement, 4, audit->address);
    bind_id(statement, 5, audit->user_id);
    bind_id(statement, 6, audit->session_id);
    mote_sqlite_bind_text(statement, 7, audit->result != NULL ? audit->result : "OK");
    bind_detail(statement, 8, audit->detail);
    return mote_sqlite_run(statement);
}

/* The number of the last row to delete; 0: none. */
static int find_old(struct mote_sqlite *sqlite, int64_t now, unsigned limit, int64_t *last)
{
    sqlite3_stmt *statement = mote_sqlite_statement(sqlite, MOTE_STATEMENT_FIND_OLD_AUDIT);
    mote_sqlite_bind_int(statement, 1, now - MOTE_STORE_AUDIT_KEEP_SECONDS * (int64_t)MOTE_NS_PER_SECOND);
    mote_sqlite_bind_int(statement, 2, limit);
    mote_sqlite_bind_int(statement, 3, MOTE_STORE_AUDIT_ROWS_MAX);
    int result = mote_sqlite_step(statement);
    *last = result == 1 ? sqlite3_column_int64(statement, 0) : 0;
    mote_sqlite_reset(statement);
    return result < 0 ? result : 0;
}

int mote_apply_prune_audit(struct mote_sqlite *sqlite, int64_t now, unsigned limit, unsigned *deleted)
{
    static const enum mote_statement steps[] = {MOTE_STATEMENT_ALLOW_PRUNING_AUDIT, MOTE_STATEMENT_PRUNE_AUDIT};
    int64_t last = 0;
    int result = find_old(sqlite, now, limit, &last);
    for (size_t i = 0; result == 0 && last > 0 && i < sizeof steps / sizeof steps[0]; i++) {
        sqlite3_stmt *statement = mote_sqlite_statement(sqlite, steps[i]);
        mote_sqlite_bind_int(statement, 1, last);
        result = mote_sqlite_run(statement);
    }
    if (result == 0 && last > 0) {
        *deleted += (unsigned)sqlite3_changes(sqlite->db);
    }
    return result;
}
