/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations that write, each a struct that begins with `struct mote_store_write`. The caller owns it, fills it,
 * and gives its head to mote_store_submit (store.h), which includes this file.
 */
#ifndef MOTE_STORE_WRITE_H
#define MOTE_STORE_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/task.h"
#include "store/audit.h"
#include "store/record.h"

struct mote_store_session;

/* X(constant, "name"): as spans name them. */
#define MOTE_STORE_WRITE_MAP(X)                                                                                        \
    X(CREATE_USER, "create_user")                                                                                      \
    X(UPDATE_USER, "update_user")                                                                                      \
    X(CREATE_SESSION, "create_session")                                                                                \
    X(ROTATE_REFRESH, "rotate_refresh")                                                                                \
    X(REVOKE_SESSIONS, "revoke_sessions")                                                                              \
    X(SET_USER_STATE, "set_user_state")                                                                                \
    X(DELETE_USER, "delete_user")                                                                                      \
    X(APPEND_AUDIT, "append_audit") /* the head alone: its audit is all that is written */                             \
    X(SET_PASSWORD, "set_password")                                                                                    \
    X(REVOKE_TOKEN, "revoke_token")

enum mote_store_write_kind {
#define X(constant, name) MOTE_STORE_##constant,
    MOTE_STORE_WRITE_MAP(X)
#undef X
};

/* Who wants to know how long a read takes; told before its `done`. */
struct mote_store_observer {
    void (*tell)(struct mote_store_observer *observer, const char *name, int result); /* NULL: nobody */
    void *context;
    uint64_t start_ns; /* the observer's own */
};

/* Of the next read of this session. The session's thread. */
void mote_store_session_observe(struct mote_store_session *session, const struct mote_store_observer *observer);

/* The head of each write. */
struct mote_store_write {
    struct mote_task task; /* the store's, as the two below */
    struct mote_store_session *session;
    struct mote_store_write *next;
    enum mote_store_write_kind kind;
    int result;
    int64_t now; /* set by the caller: wall time of the request */
    /* NULL, or what is recorded in the same transaction if the write changes something; borrowed. A refresh is recorded
     * when it is a reuse, whose user and session the store fills in, as it does the user of a session that is revoked.
     */
    struct mote_store_audit *audit;
    void (*done)(struct mote_store_write *write);
    /* NULL, or called before `done`, for who wants to know how long it took. */
    void (*observe)(struct mote_store_write *write);
    void *observer;
    uint64_t submitted_ns; /* monotonic; the observer's own */
    uint64_t begun_ns;     /* when the writer took it up */
};

/* Which unique field was taken, when MOTE_EEXISTS. */
enum mote_store_taken {
    MOTE_STORE_TAKEN_NONE,
    MOTE_STORE_TAKEN_USERNAME,
    MOTE_STORE_TAKEN_EMAIL,
};

/* MOTE_ECONFLICT when the request is known, whatever it asked for; MOTE_EEXISTS with `taken`. id, username, email,
 * display_name, roles, state, password_hash… come from `user`; create_time, update_time, epoch (1) and version (1) are
 * set by the store in `user`. */
struct mote_store_create_user {
    struct mote_store_write write;
    bool keep_times; /* a restore: create_time, update_time and last_login_time come from `user` too */
    bool check_only; /* tell what would be refused, write nothing */
    struct mote_store_request *request; /* NULL, or what to know it by: borrowed, user_id is set by the store */
    struct mote_user user;
    enum mote_store_taken taken;
};

enum mote_store_user_field {
    MOTE_STORE_SET_USERNAME = 1,
    MOTE_STORE_SET_EMAIL = 2, /* clears email_verified unless that is set too */
    MOTE_STORE_SET_DISPLAY_NAME = 4,
    MOTE_STORE_SET_ROLES = 8, /* another value raises the epoch: change USER_ROLES */
    MOTE_STORE_SET_EMAIL_VERIFIED = 16,
};

/* Why, when MOTE_ECONFLICT. */
enum mote_store_conflict {
    MOTE_STORE_CONFLICT_NONE,
    MOTE_STORE_CONFLICT_STATE,              /* it is in that state already */
    MOTE_STORE_CONFLICT_LAST_ADMINISTRATOR, /* no active administrator would be left */
    MOTE_STORE_CONFLICT_VERSION,            /* somebody has changed the user */
};

/* MOTE_ENOTFOUND; MOTE_ECONFLICT with `conflict` VERSION (looked at when `has_version`) or LAST_ADMINISTRATOR (would
 * lose the role); MOTE_EEXISTS with `taken`. `user.id` and the fields of `set` go in, the whole record after the change
 * comes out. Nothing to change: no commit, the record as it is. */
struct mote_store_update_user {
    struct mote_store_write write;
    bool check_only; /* tell what would be refused or come out, write nothing: version and update_time stay */
    bool has_version;
    uint64_t version;
    uint32_t set; /* of enum mote_store_user_field */
    struct mote_user user;
    enum mote_store_taken taken;
    enum mote_store_conflict conflict;
};

/*
 * A login: a session with its first refresh token, and the user's last_login_time (which raises no version and makes no
 * change: it is not something that somebody edited). MOTE_ENOTFOUND when the user is gone, MOTE_ECONFLICT when disabled
 * or its epoch is not `user_epoch` any more (something changed since the password was looked at); MOTE_EEXISTS when the
 * session's id or the token's hash is in use.
 */
struct mote_store_create_session {
    struct mote_store_write write;
    struct mote_store_session_record record; /* complete */
    uint64_t user_epoch;
    uint8_t refresh_hash[32];    /* SHA-256 of the refresh token */
    char refresh_kid[33];        /* of the key that its successors are derived from */
    int64_t refresh_expire_time; /* the store cuts it at the session's absolute end */
};

enum mote_store_rotation {
    MOTE_STORE_ROTATED,  /* the successor is valid now */
    MOTE_STORE_REPEATED, /* again within the grace, its successor unused: answer the same successor once more */
    MOTE_STORE_REUSED,   /* used before: the session is revoked now */
    MOTE_STORE_INVALID,  /* unknown, expired, revoked, or its user is gone or disabled */
};

/*
 * Uses a refresh token. The successor is a keyed hash of it, so the caller can compute it beforehand. One row count
 * decides: of any number of concurrent uses exactly one rotates. `refresh_kid` of the parent is in `kid` when the
 * caller does not know it: see mote_store_find_refresh.
 */
struct mote_store_rotate_refresh {
    struct mote_store_write write;
    uint8_t hash[32]; /* of the token presented */
    uint8_t successor_hash[32];
    char successor_kid[33];
    int64_t grace;                 /* ns: 10 s */
    int64_t successor_expire_time; /* the store cuts it at the session's absolute end */
    enum mote_store_rotation outcome;
    struct mote_user user; /* ROTATED, REPEATED: for the new access token */
    struct mote_store_session_record record;
    int64_t refresh_expire_time; /* of the successor, as stored */
};

enum mote_store_scope {
    MOTE_STORE_SCOPE_ONE,    /* session_id, whoever's it is */
    MOTE_STORE_SCOPE_OTHERS, /* all of user_id but session_id */
    MOTE_STORE_SCOPE_ALL,    /* all of user_id */
};

/* Ends the sessions that live; a session that is gone or over counts as nothing, and is no error. */
struct mote_store_revoke_sessions {
    struct mote_store_write write;
    enum mote_store_scope scope;
    uint8_t user_id[16];
    uint8_t session_id[16];
    uint32_t revoked_count;
};

/*
 * Disables or enables `user.id`. Disabling raises the epoch and ends the sessions that live: one change USER_EPOCH for
 * all of them. MOTE_ENOTFOUND; MOTE_ECONFLICT with `conflict` STATE or LAST_ADMINISTRATOR. The whole record after the
 * change comes out in `user`.
 */
struct mote_store_set_user_state {
    struct mote_store_write write;
    enum mote_user_state state;
    char reason[MOTE_STORE_REASON_MAX + 1]; /* kept until the next change of the state */
    struct mote_user user;
    uint32_t revoked_count; /* sessions */
    enum mote_store_conflict conflict;
};

enum mote_store_password_act {
    MOTE_STORE_PASSWORD_SET,    /* by an administrator: all sessions end, one change USER_EPOCH for them */
    MOTE_STORE_PASSWORD_CHANGE, /* by its owner: the other sessions end, unless `keep_others`, a change
                                   SESSION_REVOKED each; USER_UNLOCKED where the change was required */
    MOTE_STORE_PASSWORD_REHASH, /* the same password, other parameters: nothing else changes */
};

/*
 * Another password hash for `user_id`. SET and CHANGE raise the epoch, so that a login, a change or a rehash that
 * looked at the hash before is refused by `user_epoch`; they raise no version, because nobody sees the hash.
 * MOTE_ENOTFOUND; MOTE_ECONFLICT when the epoch is not `user_epoch` any more (not looked at for SET).
 */
struct mote_store_set_password {
    struct mote_store_write write;
    enum mote_store_password_act act;
    uint8_t user_id[16];
    char password_hash[MOTE_STORE_HASH_MAX];
    uint64_t user_epoch;
    bool require_change;    /* SET */
    bool keep_others;       /* CHANGE */
    uint8_t session_id[16]; /* CHANGE: lives on */
    uint32_t revoked_count; /* sessions */
};

/* With the sessions and refresh tokens. MOTE_ENOTFOUND; MOTE_ECONFLICT with `conflict` VERSION (looked at when
 * `has_version`) or LAST_ADMINISTRATOR. */
struct mote_store_delete_user {
    struct mote_store_write write;
    uint8_t user_id[16];
    bool has_version;
    uint64_t version;
    enum mote_store_conflict conflict;
};

#define MOTE_STORE_REVOKED_TOKENS_MAX 32u /* of one session: who revokes more ends the session by it */

/* Ends one access token. Once more: no change. */
struct mote_store_revoke_token {
    struct mote_store_write write;
    uint8_t token_id[16];
    uint8_t session_id[16]; /* its own; it need not exist */
    int64_t expire_time;    /* when nobody takes it any more */
};

#endif
