/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of statements. Parameters are numbered in the order of the text. A limit is always a parameter, a literal
 * condition repeats the one of a partial index word for word, so that the planner takes the index.
 */
#include "store/statement.h"

/* In the order that the function reads: what every reading of a user has, then what only some have, because each
 * column costs and because a password hash is best where it is needed only. */
#define USER_COLUMNS                                                                                                   \
    "username, email, display_name, roles, state, email_verified, password_change_required, create_time, "             \
    "update_time, last_login_time, epoch, version"
#define LISTED_COLUMNS USER_COLUMNS ", id"
#define ALL_COLUMNS    LISTED_COLUMNS ", password_hash"
#define USER(columns)  MOTE_STATEMENT_USER "(" columns ")"

#define SESSION_COLUMNS "id, user_id, create_time, last_use_time, expire_time, user_agent, peer_address, revoke_time"

/* At the place that the id tells; where another is, or nobody, by the index. The first row is the answer. */
#define BY_ID(user)                                                                                                    \
    "SELECT " user " FROM users WHERE key = ?2 AND +id = ?1 UNION ALL "                                                \
    "SELECT " user " FROM users WHERE id = ?1"

/* The ranges of users that filters ask for. The index is named: which one is the cheapest, the caller has counted. */
#define BY_USERNAME "FROM users INDEXED BY users_username WHERE username >= ?1 AND username <= ?2 LIMIT ?3"
#define BY_EMAIL                                                                                                       \
    "FROM users INDEXED BY users_email WHERE email >= ?1 COLLATE NOCASE AND email <= ?2 COLLATE NOCASE AND "           \
    "email <> '' LIMIT ?3"
#define OF_STATE         "FROM users INDEXED BY users_state WHERE state = ?1 AND roles = ?2 "
#define BY_STATE         OF_STATE "LIMIT ?3"
#define BY_TIME          "FROM users INDEXED BY users_create_time WHERE create_time >= ?1 AND create_time < ?2 LIMIT ?3"
#define COUNT_OF(range)  "SELECT count(*) FROM (SELECT 1 " range ")"
#define LISTED_OF(range) "SELECT " USER(LISTED_COLUMNS) " " range

#define READER MOTE_STATEMENT_OF_READER
#define DEMAND MOTE_STATEMENT_ON_DEMAND
#define WRITER MOTE_STATEMENT_OF_WRITER

static const struct {
    unsigned roles;
    const char *text;
} statements[MOTE_STATEMENT_COUNT] = {
    [MOTE_STATEMENT_BEGIN] = {READER, "BEGIN"},
    [MOTE_STATEMENT_BEGIN_IMMEDIATE] = {WRITER, "BEGIN IMMEDIATE"},
    [MOTE_STATEMENT_COMMIT] = {READER | WRITER, "COMMIT"},
    [MOTE_STATEMENT_ROLLBACK] = {READER | WRITER, "ROLLBACK"},
    [MOTE_STATEMENT_GET_USER_BY_ID] = {READER | WRITER, BY_ID(USER(ALL_COLUMNS))},
    [MOTE_STATEMENT_SHOW_USER_BY_ID] = {READER, BY_ID(USER(USER_COLUMNS))},
    [MOTE_STATEMENT_GET_USER_BY_USERNAME] = {READER, "SELECT " USER(ALL_COLUMNS) " FROM users WHERE username = ?1"},
    [MOTE_STATEMENT_GET_USER_BY_EMAIL] = {READER,
                                          "SELECT " USER(ALL_COLUMNS) " FROM users WHERE email = ?1 COLLATE NOCASE "
                                                                      "AND email <> ''"},
    [MOTE_STATEMENT_COUNT_HASHES] = {READER, "SELECT value, substr(name, 6) FROM counters "
                                             "WHERE name > 'hash ' AND name < 'hash!'"},
    [MOTE_STATEMENT_LIST_BY_CREATE_TIME] = {READER, "SELECT " USER(LISTED_COLUMNS) " FROM users "
                                                                                   "WHERE (create_time, id) > (?1, ?2) "
                                                                                   "ORDER BY create_time, id LIMIT ?3"},
    [MOTE_STATEMENT_LIST_BY_CREATE_TIME_DESCENDING] =
        {READER, "SELECT " USER(LISTED_COLUMNS) " FROM users "
                                                "WHERE (create_time, id) < (?1, ?2) "
                                                "ORDER BY create_time DESC, id DESC LIMIT ?3"},
    [MOTE_STATEMENT_LIST_BY_USERNAME] = {READER, "SELECT " USER(LISTED_COLUMNS) " FROM users WHERE username > ?1 "
                                                                                "ORDER BY username LIMIT ?3"},
    [MOTE_STATEMENT_LIST_BY_USERNAME_DESCENDING] = {READER,
                                                    "SELECT " USER(LISTED_COLUMNS) " FROM users WHERE username < ?1 "
                                                                                   "ORDER BY username DESC LIMIT ?3"},
    [MOTE_STATEMENT_COUNT_BY_USERNAME] = {DEMAND, COUNT_OF(BY_USERNAME)},
    [MOTE_STATEMENT_COUNT_BY_EMAIL] = {DEMAND, COUNT_OF(BY_EMAIL)},
    [MOTE_STATEMENT_COUNT_BY_STATE] = {DEMAND, COUNT_OF(BY_STATE)},
    [MOTE_STATEMENT_COUNT_BY_TIME] = {DEMAND, COUNT_OF(BY_TIME)},
    [MOTE_STATEMENT_FIND_BY_USERNAME] = {DEMAND, LISTED_OF(BY_USERNAME)},
    [MOTE_STATEMENT_FIND_BY_EMAIL] = {DEMAND, LISTED_OF(BY_EMAIL)},
    [MOTE_STATEMENT_FIND_BY_STATE] = {DEMAND, LISTED_OF(BY_STATE)},
    [MOTE_STATEMENT_FIND_BY_TIME] = {DEMAND, LISTED_OF(BY_TIME)},
    [MOTE_STATEMENT_NEXT_BY_STATE] = {DEMAND, LISTED_OF(OF_STATE "AND (create_time, id) > (?4, ?5) "
                                                                 "ORDER BY create_time, id LIMIT ?3")},
    [MOTE_STATEMENT_NEXT_BY_STATE_DESCENDING] = {DEMAND,
                                                 LISTED_OF(OF_STATE "AND (create_time, id) < (?4, ?5) "
                                                                    "ORDER BY create_time DESC, id DESC LIMIT ?3")},
    [MOTE_STATEMENT_COUNT_USERS] = {READER, "SELECT value FROM counters WHERE name = 'users'"},
    [MOTE_STATEMENT_GET_SESSION] = {READER | WRITER, "SELECT " SESSION_COLUMNS " FROM sessions WHERE id = ?1"},
    [MOTE_STATEMENT_LIST_SESSIONS] = {READER, "SELECT " SESSION_COLUMNS " FROM sessions "
                                              "WHERE user_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3"},
    [MOTE_STATEMENT_GET_REFRESH] = {READER | WRITER, "SELECT session_id, parent, kid, expire_time, use_time "
                                                     "FROM refresh_tokens WHERE hash = ?1"},
    [MOTE_STATEMENT_REVOKED_SESSIONS] = {READER, "SELECT id, user_id, revoke_time FROM sessions "
                                                 "WHERE revoke_time <> 0 AND revoke_time >= ?1"},
    [MOTE_STATEMENT_RAISED_EPOCHS] = {READER, "SELECT id, epoch_time, over_epoch, stale_epoch, unlock_epoch FROM users "
                                              "WHERE epoch_time <> 0 AND epoch_time >= ?1"},
    [MOTE_STATEMENT_DELETED_USERS] = {READER, "SELECT id, delete_time FROM deleted_users WHERE delete_time >= ?1"},
    [MOTE_STATEMENT_READ_FEED] = {READER, "SELECT sequence, time, kind, user_id FROM feed WHERE sequence >= ?1 "
                                          "ORDER BY sequence LIMIT ?2"},
    [MOTE_STATEMENT_LAST_OF_FEED] = {READER | WRITER, "SELECT sequence, time FROM feed "
                                                      "WHERE sequence = (SELECT max(sequence) FROM feed)"},
    [MOTE_STATEMENT_REVOKED_TOKENS] = {READER, "SELECT id, expire_time FROM revoked_tokens WHERE expire_time >= ?1"},
    [MOTE_STATEMENT_FIND_REQUEST] = {DEMAND | WRITER, "SELECT user_id, digest, kid FROM requests "
                                                      "WHERE caller = ?1 AND id = ?2 AND create_time >= ?3"},
    [MOTE_STATEMENT_ID_TAKEN] = {WRITER, "SELECT 1 FROM users WHERE id = ?1"},
    [MOTE_STATEMENT_USERNAME_TAKEN] = {WRITER, "SELECT 1 FROM users WHERE username = ?1"},
    [MOTE_STATEMENT_EMAIL_TAKEN] = {WRITER, "SELECT 1 FROM users WHERE email = ?1 COLLATE NOCASE AND email <> '' "
                                            "AND id <> ?2"},
    [MOTE_STATEMENT_INSERT_USER] = {WRITER, "INSERT INTO users (" ALL_COLUMNS ", key) "
                                            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
                                            "CASE WHEN EXISTS (SELECT 1 FROM users WHERE key = ?15) THEN NULL "
                                            "ELSE ?15 END)"},
    [MOTE_STATEMENT_UPDATE_USER] = {WRITER, "UPDATE users SET username = ?2, email = ?3, display_name = ?4, "
                                            "roles = ?5, email_verified = ?6, update_time = ?7, version = ?8, "
                                            "epoch_time = CASE WHEN epoch = ?9 THEN epoch_time ELSE ?7 END, "
                                            "stale_epoch = CASE WHEN epoch = ?9 THEN stale_epoch ELSE ?9 END, "
                                            "epoch = ?9 WHERE id = ?1"},
    [MOTE_STATEMENT_SET_USER_STATE] = {WRITER, "UPDATE users SET state = ?2, state_reason = ?3, update_time = ?4, "
                                               "version = ?5, "
                                               "epoch_time = CASE WHEN epoch = ?6 THEN epoch_time ELSE ?4 END, "
                                               "over_epoch = CASE WHEN epoch = ?6 THEN over_epoch ELSE ?6 END, "
                                               "epoch = ?6 WHERE id = ?1"},
    [MOTE_STATEMENT_SET_PASSWORD] = {WRITER, "UPDATE users SET password_hash = ?2, password_change_required = ?3, "
                                             "epoch = ?4, "
                                             "over_epoch = CASE ?5 WHEN 1 THEN ?4 ELSE over_epoch END, "
                                             "unlock_epoch = CASE ?5 WHEN 2 THEN ?4 ELSE unlock_epoch END, "
                                             "epoch_time = CASE ?5 WHEN 0 THEN epoch_time ELSE ?6 END WHERE id = ?1"},
    [MOTE_STATEMENT_DELETE_USER] = {WRITER, "DELETE FROM users WHERE id = ?1"},
    [MOTE_STATEMENT_INSERT_DELETED_USER] = {WRITER, "INSERT OR REPLACE INTO deleted_users (id, delete_time) "
                                                    "VALUES (?1, ?2)"},
    [MOTE_STATEMENT_COUNT_ADMINISTRATORS] = {WRITER, "SELECT count(*) FROM (SELECT 1 FROM users "
                                                     "WHERE state = 1 AND (roles & 4) <> 0 LIMIT 2)"},
    [MOTE_STATEMENT_INSERT_SESSION] = {WRITER, "INSERT INTO sessions (id, user_id, create_time, last_use_time, "
                                               "expire_time, user_agent, peer_address) "
                                               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
    [MOTE_STATEMENT_TOUCH_SESSION] = {WRITER, "UPDATE sessions SET last_use_time = ?2 WHERE id = ?1"},
    [MOTE_STATEMENT_TOUCH_LOGIN] = {WRITER, "UPDATE users SET last_login_time = ?2 WHERE id = ?1"},
    [MOTE_STATEMENT_INSERT_REFRESH] = {WRITER, "INSERT INTO refresh_tokens (hash, session_id, parent, kid, "
                                               "create_time, expire_time) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
    [MOTE_STATEMENT_USE_REFRESH] = {WRITER, "UPDATE refresh_tokens SET use_time = ?2 WHERE hash = ?1 "
                                            "AND use_time = 0"},
    [MOTE_STATEMENT_REVOKE_ONE] = {WRITER, "UPDATE sessions SET revoke_time = ?1 WHERE id = ?3 AND revoke_time = 0 "
                                           "AND expire_time > ?1 RETURNING id, user_id"},
    [MOTE_STATEMENT_REVOKE_OTHERS] = {WRITER, "UPDATE sessions SET revoke_time = ?1 WHERE user_id = ?2 AND id <> ?3 "
                                              "AND revoke_time = 0 AND expire_time > ?1 RETURNING id, user_id"},
    [MOTE_STATEMENT_REVOKE_ALL] = {WRITER, "UPDATE sessions SET revoke_time = ?1 WHERE user_id = ?2 "
                                           "AND revoke_time = 0 AND expire_time > ?1 RETURNING id, user_id"},
    [MOTE_STATEMENT_DELETE_REFRESH] = {WRITER, "DELETE FROM refresh_tokens WHERE hash IN "
                                               "(SELECT hash FROM refresh_tokens WHERE expire_time < ?1 LIMIT ?2)"},
    [MOTE_STATEMENT_DELETE_SESSIONS] = {WRITER, "DELETE FROM sessions WHERE id IN "
                                                "(SELECT id FROM sessions WHERE expire_time < ?1 LIMIT ?2)"},
    [MOTE_STATEMENT_FORGET_DELETED_USERS] = {WRITER, "DELETE FROM deleted_users WHERE (delete_time, id) IN "
                                                     "(SELECT delete_time, id FROM deleted_users "
                                                     "WHERE delete_time < ?1 LIMIT ?2)"},
    [MOTE_STATEMENT_INSERT_AUDIT] = {WRITER, "INSERT INTO audit (time, action, actor, address, user_id, session_id, "
                                             "result, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"},
    /* The newest row stays for ever: its number tells that none was lost. */
    [MOTE_STATEMENT_FIND_OLD_AUDIT] = {WRITER, "SELECT max(id) FROM (SELECT id, time FROM audit WHERE id > "
                                               "(SELECT value FROM counters WHERE name = 'audit_pruned') "
                                               "ORDER BY id LIMIT ?2) WHERE id < (SELECT max(id) FROM audit) AND "
                                               "(time < ?1 OR id <= (SELECT max(id) FROM audit) - ?3)"},
    [MOTE_STATEMENT_ALLOW_PRUNING_AUDIT] = {WRITER, "UPDATE counters SET value = ?1 WHERE name = 'audit_pruned'"},
    [MOTE_STATEMENT_PRUNE_AUDIT] = {WRITER, "DELETE FROM audit WHERE id <= ?1"},
    [MOTE_STATEMENT_FRONT_OF_FEED] = {WRITER, "SELECT sequence, time FROM feed "
                                              "WHERE sequence <= (SELECT max(sequence) FROM feed) - ?1 "
                                              "ORDER BY sequence LIMIT ?2"},
    [MOTE_STATEMENT_FORGET_FEED] = {WRITER, "DELETE FROM feed WHERE sequence <= ?1"},
    [MOTE_STATEMENT_COUNT_REVOKED_TOKENS] = {WRITER, "SELECT count(*) FROM (SELECT 1 FROM revoked_tokens "
                                                     "WHERE session_id = ?1 AND expire_time >= ?2 LIMIT ?3)"},
    [MOTE_STATEMENT_INSERT_REVOKED_TOKEN] = {WRITER,
                                             "INSERT OR IGNORE INTO revoked_tokens (session_id, id, expire_time) "
                                             "VALUES (?1, ?2, ?3)"},
    [MOTE_STATEMENT_FORGET_REVOKED_TOKENS] = {WRITER, "DELETE FROM revoked_tokens WHERE (session_id, id) IN "
                                                      "(SELECT session_id, id FROM revoked_tokens "
                                                      "WHERE expire_time < ?1 LIMIT ?2)"},
    [MOTE_STATEMENT_INSERT_REQUEST] = {WRITER, "INSERT OR REPLACE INTO requests "
                                               "(caller, id, user_id, digest, kid, create_time) "
                                               "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
    [MOTE_STATEMENT_FORGET_REQUESTS] = {WRITER, "DELETE FROM requests WHERE (caller, id) IN "
                                                "(SELECT caller, id FROM requests WHERE create_time < ?1 LIMIT ?2)"},
    [MOTE_STATEMENT_PROBE] = {WRITER, "UPDATE counters SET value = value + 1 WHERE name = 'probes'"},
};

const char *mote_statement_text(enum mote_statement statement)
{
    return statements[statement].text;
}

unsigned mote_statement_roles(enum mote_statement statement)
{
    return statements[statement].roles;
}
