/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to the database file with its prepared statements, used by one thread. The helpers here are all that
 * the rest of the layer calls of SQLite at run time, so that errors become MOTE_E* in one place.
 */
#ifndef MOTE_STORE_SQLITE_H
#define MOTE_STORE_SQLITE_H

#include <sqlite3.h>

#include "store/statement.h"
#include "store/store.h"

struct mote_sqlite {
    sqlite3 *db;
    struct mote_user **user;                        /* where the function MOTE_STATEMENT_USER puts what a row holds */
    sqlite3_stmt *statements[MOTE_STATEMENT_COUNT]; /* NULL where the role has no use for it */
};

/* Global settings of the library, before any other use of it; safe to call again. */
void mote_sqlite_set_up(void);

/* Opens an existing file at an absolute path and sets what every connection of mote has. */
MOTE_MUST_CHECK int mote_sqlite_open(struct mote_sqlite *sqlite, const char *path, enum mote_statement_role role);
/* The same for looking only, beside a server too: it neither writes nor checkpoints. A log that a killed server left is
 * read. */
MOTE_MUST_CHECK int mote_sqlite_open_for_looking(struct mote_sqlite *sqlite, const char *path);
/* Prepares the statements of the role. MOTE_ECORRUPT when the tables are not what they should be. */
MOTE_MUST_CHECK int mote_sqlite_prepare(struct mote_sqlite *sqlite, enum mote_statement_role role);
/* One statement, whatever its role; the caller finalizes it. */
MOTE_MUST_CHECK int mote_sqlite_prepare_one(struct mote_sqlite *sqlite, enum mote_statement name, unsigned flags,
                                            sqlite3_stmt **out);
/* Fine on a zeroed struct and twice. */
void mote_sqlite_close(struct mote_sqlite *sqlite);

/* The MOTE_E* of an SQLite result code, 0 for SQLITE_OK. For errors of input and output errno tells more (set it to 0
 * before): SQLite's own sqlite3_system_errno does not know of a COMMIT that failed. */
int mote_sqlite_error(int code);

/* The first column of the first row of `sql`, which is constant. */
MOTE_MUST_CHECK int mote_sqlite_query_int(sqlite3 *db, const char *sql, int64_t *out);

static inline sqlite3_stmt *mote_sqlite_statement(struct mote_sqlite *sqlite, enum mote_statement statement)
{
    return sqlite->statements[statement];
}

/* Parameters. The bytes are borrowed until the statement has been reset; binding a borrowed value cannot fail. */
void mote_sqlite_bind_bytes(sqlite3_stmt *statement, int parameter, const uint8_t *bytes, size_t length);
void mote_sqlite_bind_text(sqlite3_stmt *statement, int parameter, const char *text);
void mote_sqlite_bind_int(sqlite3_stmt *statement, int parameter, int64_t value);
/* Of the statements that find a user by its id. */
void mote_sqlite_bind_user(sqlite3_stmt *statement, const uint8_t id[16]);

/* 1: a row is there; 0: no more; or an error. The statement must be reset afterwards. */
MOTE_MUST_CHECK int mote_sqlite_step(sqlite3_stmt *statement);
/* As mote_sqlite_step, of the statements that read users, whose rows are checked. What a statement does not select
 * stays as it is (id) or becomes empty (password_hash). */
MOTE_MUST_CHECK int mote_sqlite_step_user(struct mote_sqlite *sqlite, sqlite3_stmt *statement, struct mote_user *user);
void mote_sqlite_reset(sqlite3_stmt *statement);
/* Runs a statement to its end and resets it. */
MOTE_MUST_CHECK int mote_sqlite_run(sqlite3_stmt *statement);

/* Columns of the present row. MOTE_ECORRUPT when the value does not fit: it was not mote that wrote it. */
MOTE_MUST_CHECK int mote_sqlite_column_bytes(sqlite3_stmt *statement, int column, uint8_t *out, size_t length);
MOTE_MUST_CHECK int mote_sqlite_column_text(sqlite3_stmt *statement, int column, char *out, size_t size);
MOTE_MUST_CHECK int mote_sqlite_column_session(sqlite3_stmt *statement, struct mote_store_session_record *record,
                                               int64_t *revoke_time);

/* Finds one row by its key and resets the statement: 0, MOTE_ENOTFOUND or another error. */
MOTE_MUST_CHECK int mote_sqlite_get_user(struct mote_sqlite *sqlite, sqlite3_stmt *statement, struct mote_user *user);
MOTE_MUST_CHECK int mote_sqlite_get_session(struct mote_sqlite *sqlite, const uint8_t id[16],
                                            struct mote_store_session_record *record, int64_t *revoke_time);

struct mote_sqlite_refresh {
    uint8_t session_id[16];
    bool has_parent;
    uint8_t parent[32];
    char kid[33];
    int64_t expire_time;
    int64_t use_time; /* 0: unused */
};

MOTE_MUST_CHECK int mote_sqlite_get_refresh(struct mote_sqlite *sqlite, const uint8_t hash[32],
                                            struct mote_sqlite_refresh *refresh);
/* By caller and id, unless it is too old at `now`. */
MOTE_MUST_CHECK int mote_sqlite_find_request(struct mote_sqlite *sqlite, int64_t now,
                                             struct mote_store_request *request);

#endif
