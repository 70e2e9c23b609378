/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the audit record; see audit_log.h. Each reading is one statement, so no read transaction stays open. */
#include "store/audit_log.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/database.h"
#include "store/problem.h"
#include "store/schema.h"

#define LOOKED_UP "(SELECT username FROM users WHERE users.id = newest."

enum column { ID, TIME, ACTION, ACTOR, ADDRESS, USER_ID, SESSION_ID, RESULT, DETAIL, ACTOR_NAME, USER_NAME, COLUMNS };

static const char sql[] =
    "SELECT *, " LOOKED_UP "actor), " LOOKED_UP "user_id) FROM (SELECT id, time, action, actor, address, user_id, "
    "session_id, result, detail FROM audit WHERE id > ?1 AND time >= ?2 AND (?3 IS NULL OR action = ?3) "
    "AND (?4 IS NULL OR user_id = ?4 OR actor = ?4) ORDER BY id DESC LIMIT ?5) AS newest ORDER BY id";

struct mote_audit_log {
    struct mote_sqlite sqlite;
    sqlite3_stmt *read;
};

int mote_audit_log_open(struct mote_audit_log **out, const char *url, char problem[MOTE_STORE_PROBLEM_MAX])
{
    struct mote_audit_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return mote_problem_tell(problem, MOTE_ENOMEM, "store: out of memory");
    }
    int64_t version = 0;
    struct mote_database database;
    int result = mote_database_find_existing(&database, url, problem);
    if (result == 0) {
        result = mote_database_look(&log->sqlite, database.path, &version, problem);
    }
    if (result == 0 && version < MOTE_SCHEMA_VERSION) {
        result = mote_problem_tell(problem, MOTE_EVERSION,
                                   "sqlite: %s is of an older mote: a server of this one brings "
                                   "it up to date when it starts",
                                   mote_problem_shown(database.path));
    }
    if (result == 0) {
        result = mote_sqlite_error(sqlite3_prepare_v2(log->sqlite.db, sql, -1, &log->read, NULL)); /* fixed: below */
        if (result != 0) {
            (void)mote_problem_of_database(problem, result, "read", database.path);
        }
    }
    if (result != 0) {
        mote_audit_log_close(log);
        return result;
    }
    *out = log;
    return 0;
}

/* Ids are bytes, all else is text. The result lies in `out` or is the statement's. */
static const char *column_text(sqlite3_stmt *statement, enum column column, char out[MOTE_UUID_TEXT_LENGTH + 1])
{
    const void *bytes = sqlite3_column_blob(statement, column);
    if (sqlite3_column_type(statement, column) == SQLITE_BLOB) {
        bool is_id = sqlite3_column_bytes(statement, column) == 16;
        mote_uuid_format(out, is_id ? bytes : (const uint8_t[16]){0});
        out[MOTE_UUID_TEXT_LENGTH] = '\0';
        return out;
    }
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text != NULL ? text : "";
}

static void hand_out(sqlite3_stmt *statement, const struct mote_audit_log_query *query)
{
    char ids[COLUMNS][MOTE_UUID_TEXT_LENGTH + 1];
    const char *texts[COLUMNS] = {NULL};
    for (int i = ACTION; i < COLUMNS; i++) {
        texts[i] = column_text(statement, (enum column)i, ids[i]);
    }
    const struct mote_audit_log_row row = {
        .id = sqlite3_column_int64(statement, ID),
        .time = sqlite3_column_int64(statement, TIME),
        .action = texts[ACTION],
        .actor = texts[ACTOR],
        .actor_name = texts[ACTOR_NAME],
        .address = texts[ADDRESS],
        .user_id = texts[USER_ID],
        .user_name = texts[USER_NAME],
        .session_id = texts[SESSION_ID],
        .result = texts[RESULT],
        .detail = texts[DETAIL],
    };
    query->row(query->context, &row);
}

int mote_audit_log_read(struct mote_audit_log *log, const struct mote_audit_log_query *query)
{
    mote_sqlite_bind_int(log->read, 1, query->after);
    mote_sqlite_bind_int(log->read, 2, query->since);
    mote_sqlite_bind_text(log->read, 3, query->action);
    mote_sqlite_bind_bytes(log->read, 4, query->user_id, query->user_id != NULL ? 16 : 0);
    mote_sqlite_bind_int(log->read, 5, query->limit > 0 ? query->limit : -1);
    int result = mote_sqlite_step(log->read);
    while (result == 1) {
        hand_out(log->read, query);
        result = mote_sqlite_step(log->read);
    }
    mote_sqlite_reset(log->read);
    return result;
}

int mote_audit_log_find_user(struct mote_audit_log *log, const char *text, uint8_t id[16])
{
    sqlite3_stmt *statement = NULL;
    if (mote_uuid_parse(id, mote_slice_text(text)) == 0) {
        return 0;
    }
    int result = mote_sqlite_error(sqlite3_prepare_v2(
        log->sqlite.db,
        "SELECT id FROM users WHERE username = lower(?1) UNION ALL SELECT id FROM users WHERE email <> '' AND "
        "email = ?1 COLLATE NOCASE",
        -1, &statement, NULL));
    if (result != 0) {
        return result;
    }
    mote_sqlite_bind_text(statement, 1, text);
    result = mote_sqlite_step(statement);
    if (result == 1) {
        result = mote_sqlite_column_bytes(statement, 0, id, 16);
    } else if (result == 0) {
        result = MOTE_ENOTFOUND;
    }
    (void)sqlite3_finalize(statement);
    return result;
}

void mote_audit_log_close(struct mote_audit_log *log)
{
    if (log == NULL) {
        return;
    }
    (void)sqlite3_finalize(log->read);
    mote_sqlite_close(&log->sqlite);
    free(log);
}
