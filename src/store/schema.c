/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema. A step is never changed after a release; a new version is a new step at the end.
 *
 * Keys are 16 or 32 bytes that come from outside, so most tables have no row ids: one look-up finds the row. Inner
 * pages of such a tree hold whole rows, though, so it is deep where rows are wide: users, the widest and the most read,
 * have a row id made from the id. STRICT tables refuse values of another type. A partial index keeps what is rare
 * (revoked sessions, administrators) in a few pages. Times are nanoseconds since 1970, 0 is never.
 */
#include "store/schema.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

/* What every version has had since these came, made again when the table is. */
#define COUNT_TRIGGERS                                                                                                 \
    "CREATE TRIGGER users_inserted AFTER INSERT ON users BEGIN"                                                        \
    " UPDATE counters SET value = value + 1 WHERE name = 'users'; END;"                                                \
    "CREATE TRIGGER users_deleted AFTER DELETE ON users BEGIN"                                                         \
    " UPDATE counters SET value = value - 1 WHERE name = 'users'; END;"
#define FEED_TRIGGERS                                                                                                  \
    "CREATE TRIGGER feed_created AFTER INSERT ON users BEGIN"                                                          \
    " INSERT INTO feed (time, kind, user_id) VALUES (new.update_time, 1, new.id); END;"                                \
    "CREATE TRIGGER feed_updated AFTER UPDATE ON users WHEN new.version <> old.version BEGIN"                          \
    " INSERT INTO feed (time, kind, user_id) VALUES (new.update_time, 2, new.id); END;"
#define HASH_TRIGGERS                                                                                                  \
    "CREATE TRIGGER hashes_inserted AFTER INSERT ON users BEGIN " COUNT_HASH " END;"                                   \
    "CREATE TRIGGER hashes_deleted AFTER DELETE ON users BEGIN " UNCOUNT_HASH " END;"                                  \
    "CREATE TRIGGER hashes_changed AFTER UPDATE OF password_hash ON users WHEN new.password_hash <> old.password_hash" \
    " BEGIN " UNCOUNT_HASH COUNT_HASH " END;"

/* For triggers on users. */
#define OLD_COUNTER MOTE_SCHEMA_HASH_COUNTER("old.password_hash")
#define NEW_COUNTER MOTE_SCHEMA_HASH_COUNTER("new.password_hash")
#define ANY_COUNTER MOTE_SCHEMA_HASH_COUNTER("password_hash")
#define COUNT_HASH                                                                                                     \
    "INSERT INTO counters (name, value) SELECT " NEW_COUNTER ", 1 WHERE new.password_hash <> ''"                       \
    " ON CONFLICT (name) DO UPDATE SET value = value + 1;"
#define UNCOUNT_HASH                                                                                                   \
    "UPDATE counters SET value = value - 1 WHERE name = " OLD_COUNTER ";"                                              \
    "DELETE FROM counters WHERE name = " OLD_COUNTER " AND value = 0;"

#define USER_KEY "mote_user_key"
#define OLD_COLUMNS                                                                                                    \
    "id, username, email, display_name, roles, state, email_verified, password_change_required, create_time, "         \
    "update_time, last_login_time, epoch, epoch_time, version, password_hash, state_reason, over_epoch, stale_epoch, " \
    "unlock_epoch"

/* Entry n leads from version n to n + 1. */
static const char *const steps[MOTE_SCHEMA_VERSION] = {
    "CREATE TABLE users ("
    " id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),"
    " username TEXT NOT NULL,"
    " email TEXT NOT NULL,"
    " display_name TEXT NOT NULL,"
    " roles INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " email_verified INTEGER NOT NULL,"
    " password_change_required INTEGER NOT NULL,"
    " create_time INTEGER NOT NULL,"
    " update_time INTEGER NOT NULL,"
    " last_login_time INTEGER NOT NULL DEFAULT 0,"
    " epoch INTEGER NOT NULL DEFAULT 1,"
    " epoch_time INTEGER NOT NULL DEFAULT 0,"
    " version INTEGER NOT NULL DEFAULT 1,"
    " password_hash TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX users_username ON users (username);"
    "CREATE UNIQUE INDEX users_email ON users (email COLLATE NOCASE) WHERE email <> '';"
    "CREATE INDEX users_create_time ON users (create_time);"
    "CREATE INDEX users_epoch_time ON users (epoch_time) WHERE epoch_time <> 0;"
    "CREATE INDEX users_administrators ON users (id) WHERE state = 1 AND (roles & 4) <> 0;"

    "CREATE TABLE counters (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO counters (name, value) VALUES ('users', 0), ('probes', 0);" COUNT_TRIGGERS

    "CREATE TABLE sessions ("
    " id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),"
    " user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,"
    " create_time INTEGER NOT NULL,"
    " last_use_time INTEGER NOT NULL,"
    " expire_time INTEGER NOT NULL,"
    " revoke_time INTEGER NOT NULL DEFAULT 0,"
    " user_agent TEXT NOT NULL,"
    " peer_address TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX sessions_user_id ON sessions (user_id);"
    "CREATE INDEX sessions_expire_time ON sessions (expire_time);"
    "CREATE INDEX sessions_revoke_time ON sessions (revoke_time) WHERE revoke_time <> 0;"

    "CREATE TABLE refresh_tokens ("
    " hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),"
    " session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,"
    " parent BLOB,"
    " kid TEXT NOT NULL,"
    " create_time INTEGER NOT NULL,"
    " expire_time INTEGER NOT NULL,"
    " use_time INTEGER NOT NULL DEFAULT 0"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX refresh_tokens_session_id ON refresh_tokens (session_id);"
    "CREATE INDEX refresh_tokens_expire_time ON refresh_tokens (expire_time);",

    /* Access tokens of a user who is gone must be known as long as they may live, with the user's sessions gone too.
     * Columns stand in the order of the key: else quick_check of SQLite 3.40 finds NULLs where there are none. */
    "ALTER TABLE users ADD COLUMN state_reason TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE deleted_users ("
    " delete_time INTEGER NOT NULL,"
    " id BLOB NOT NULL CHECK (length(id) = 16),"
    " PRIMARY KEY (delete_time, id)"
    ") STRICT, WITHOUT ROWID;",

    /* The audit record, numbered without a gap: rows are added at one end and deleted at the other by upkeep alone,
     * which says first how far. It refers to no other table: it outlives whom it tells of. */
    "CREATE TABLE audit ("
    " id INTEGER PRIMARY KEY,"
    " time INTEGER NOT NULL,"
    " action TEXT NOT NULL,"
    " actor ANY NOT NULL CHECK (typeof(actor) = 'text' OR length(actor) = 16),"
    " address TEXT NOT NULL,"
    " user_id BLOB,"
    " session_id BLOB,"
    " result TEXT NOT NULL,"
    " detail TEXT NOT NULL"
    ") STRICT;"
    "INSERT INTO counters (name, value) VALUES ('audit_pruned', 0);"
    "CREATE TRIGGER audit_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) BEGIN"
    " SELECT RAISE(ABORT, 'the audit record is not changed'); END;"
    "CREATE TRIGGER audit_updated BEFORE UPDATE ON audit BEGIN"
    " SELECT RAISE(ABORT, 'the audit record is not changed'); END;"
    "CREATE TRIGGER audit_deleted BEFORE DELETE ON audit"
    " WHEN OLD.id > (SELECT value FROM counters WHERE name = 'audit_pruned') BEGIN"
    " SELECT RAISE(ABORT, 'the audit record is not changed'); END;",

    /* Which of the raised epochs did what; until now the last one alone was known. */
    "ALTER TABLE users ADD COLUMN over_epoch INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE users ADD COLUMN stale_epoch INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE users ADD COLUMN unlock_epoch INTEGER NOT NULL DEFAULT 0;"
    "UPDATE users SET over_epoch = CASE state WHEN 1 THEN 0 ELSE epoch END, stale_epoch = epoch"
    " WHERE epoch_time <> 0;",

    /* The change feed, filled by whatever changes a user: the version is raised by every change that somebody made.
     * Kinds: 1 created, 2 updated, 3 deleted. */
    "CREATE TABLE feed ("
    " sequence INTEGER PRIMARY KEY,"
    " time INTEGER NOT NULL,"
    " kind INTEGER NOT NULL,"
    " user_id BLOB NOT NULL CHECK (length(user_id) = 16)"
    ") STRICT;" FEED_TRIGGERS "CREATE TRIGGER feed_deleted AFTER INSERT ON deleted_users BEGIN"
    " INSERT INTO feed (time, kind, user_id) VALUES (new.delete_time, 3, new.id); END;",

    "CREATE TABLE revoked_tokens ("
    " session_id BLOB NOT NULL,"
    " id BLOB NOT NULL CHECK (length(id) = 16),"
    " expire_time INTEGER NOT NULL,"
    " PRIMARY KEY (session_id, id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX revoked_tokens_expire_time ON revoked_tokens (expire_time);",

    /* For lists of those in a state or with a role, in the order of time. */
    "CREATE INDEX users_state ON users (state, roles, create_time);",

    /* Requests that created a user, so that a retry does not. A row outlives the user. */
    "CREATE TABLE requests ("
    " caller BLOB NOT NULL CHECK (length(caller) = 16),"
    " id BLOB NOT NULL CHECK (length(id) = 16),"
    " user_id BLOB NOT NULL CHECK (length(user_id) = 16),"
    " digest BLOB NOT NULL CHECK (length(digest) = 32),"
    " kid TEXT NOT NULL,"
    " create_time INTEGER NOT NULL,"
    " PRIMARY KEY (caller, id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX requests_create_time ON requests (create_time);",

    /* How many hashes there are of which settings: the text up to the salt. Both kinds have a head of 15 bytes. */
    HASH_TRIGGERS "INSERT INTO counters (name, value) SELECT " ANY_COUNTER
                  ", count(*) FROM users WHERE password_hash <> ''"
                  " GROUP BY 1;",

    /* Users by a row id that mote_schema_user_key makes; those whose key another has get any. References to users lead
     * to the table of that name, whichever it is. */
    "CREATE TABLE keyed_users ("
    " key INTEGER PRIMARY KEY,"
    " id BLOB NOT NULL CHECK (length(id) = 16),"
    " username TEXT NOT NULL,"
    " email TEXT NOT NULL,"
    " display_name TEXT NOT NULL,"
    " roles INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " email_verified INTEGER NOT NULL,"
    " password_change_required INTEGER NOT NULL,"
    " create_time INTEGER NOT NULL,"
    " update_time INTEGER NOT NULL,"
    " last_login_time INTEGER NOT NULL DEFAULT 0,"
    " epoch INTEGER NOT NULL DEFAULT 1,"
    " epoch_time INTEGER NOT NULL DEFAULT 0,"
    " version INTEGER NOT NULL DEFAULT 1,"
    " password_hash TEXT NOT NULL,"
    " state_reason TEXT NOT NULL DEFAULT '',"
    " over_epoch INTEGER NOT NULL DEFAULT 0,"
    " stale_epoch INTEGER NOT NULL DEFAULT 0,"
    " unlock_epoch INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "INSERT OR IGNORE INTO keyed_users (key, " OLD_COLUMNS ") SELECT " USER_KEY "(id), " OLD_COLUMNS " FROM users;"
    "INSERT INTO keyed_users (" OLD_COLUMNS ") SELECT " OLD_COLUMNS " FROM users AS u"
    " WHERE NOT EXISTS (SELECT 1 FROM keyed_users AS k WHERE k.key = " USER_KEY "(u.id) AND k.id = u.id);"
    "DROP TABLE users;"
    "ALTER TABLE keyed_users RENAME TO users;"
    "CREATE UNIQUE INDEX users_id ON users (id);"
    "CREATE UNIQUE INDEX users_username ON users (username);"
    "CREATE UNIQUE INDEX users_email ON users (email COLLATE NOCASE) WHERE email <> '';"
    "CREATE INDEX users_create_time ON users (create_time, id);"
    "CREATE INDEX users_epoch_time ON users (epoch_time) WHERE epoch_time <> 0;"
    "CREATE INDEX users_administrators ON users (id) WHERE state = 1 AND (roles & 4) <> 0;"
    "CREATE INDEX users_state ON users (state, roles, create_time, id);" COUNT_TRIGGERS FEED_TRIGGERS HASH_TRIGGERS,
};

int64_t mote_schema_user_key(const uint8_t id[16])
{
    uint64_t half[2];
    memcpy(half, id, sizeof half);
    const uint64_t first = be64toh(half[0]); /* 48 bits of the time, 4 of the version */
    const uint64_t last = be64toh(half[1]);  /* 2 of the variant */
    return (int64_t)((first >> 16 << 21 | (first & 0xfff) << 9 | (last >> 53 & 0x1ff)) & INT64_MAX);
}

static void run_user_key(sqlite3_context *context, int count, sqlite3_value **values)
{
    const uint8_t *id = sqlite3_value_blob(values[0]);
    (void)count;
    if (id != NULL && sqlite3_value_bytes(values[0]) == 16) {
        sqlite3_result_int64(context, mote_schema_user_key(id));
    }
}

static int run_step(sqlite3 *db, int version)
{
    int code = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        return code;
    }
    code = sqlite3_exec(db, steps[version], NULL, NULL, NULL);
    if (code == SQLITE_OK) {
        char text[64];
        snprintf(text, sizeof text, "PRAGMA user_version = %d; COMMIT", version + 1);
        code = sqlite3_exec(db, text, NULL, NULL, NULL); /* fixed: a number of ours */
    }
    if (code != SQLITE_OK && sqlite3_get_autocommit(db) == 0) {
        /* The error that counts is the one above. */
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return code;
}

int mote_schema_migrate(sqlite3 *db, int version, int target)
{
    int enforced = 0;
    int code = sqlite3_create_function_v2(db, USER_KEY, 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, run_user_key, NULL,
                                          NULL, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &enforced);
    }
    if (code == SQLITE_OK) {
        /* What refers to a table that is made anew must not go with the old one. */
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, (int *)NULL);
    }
    for (; version < target && code == SQLITE_OK; version++) {
        code = run_step(db, version);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, enforced, (int *)NULL);
    }
    return code;
}
