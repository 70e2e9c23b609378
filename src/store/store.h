/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users, sessions and refresh tokens behind one interface; no caller sees SQL. SQLite is the embedded implementation.
 *
 * Threads: a `mote_store` is one for the process. Each worker opens a `mote_store_session` for its own thread: reads
 * run on the session's connection, writes go to the one writer thread, which commits many in one transaction (group
 * commit) and answers after the commit is durable.
 *
 * Every operation is a struct that the caller owns and keeps alive until `done` is called, on the session's thread.
 * `done` of a read may be called before the function returns; `done` of a write comes later, through the session's
 * mailbox.
 *
 * Consistency: a read sees every write that was answered before it, on any session. Reads of one loop turn share one
 * transaction; the worker calls mote_store_session_end_turn at the end of each turn.
 *
 * Changes: every commit has a number and its changes are published in order. Whoever keeps something derived from the
 * store (revoked tokens, watches) compares mote_store_commit_number, one atomic load, and fetches what is new.
 *
 * Times are wall-clock nanoseconds since 1970. Results: 0; MOTE_ENOTFOUND, MOTE_EEXISTS, MOTE_ECONFLICT as each
 * operation says; MOTE_EFULL, MOTE_EBUSY, MOTE_EIO, MOTE_EREADONLY, MOTE_ECORRUPT, MOTE_ELIMIT (write queue full),
 * MOTE_ECANCELLED (closing).
 */
#ifndef MOTE_STORE_STORE_H
#define MOTE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/slice.h"
#include "base/task.h"

#define MOTE_USERNAME_MAX      32u
#define MOTE_EMAIL_MAX         254u
#define MOTE_DISPLAY_NAME_MAX  256u
#define MOTE_STORE_HASH_MAX    160u
#define MOTE_STORE_WRITES_MAX  1024u /* queued for the writer; more are refused: a slow disk must not fill memory */
#define MOTE_STORE_CHANGES_MAX 4096u /* changes kept in memory for sessions that lag */

enum mote_user_state {
    MOTE_USER_ACTIVE = 1,
    MOTE_USER_DISABLED = 3,
};

struct mote_user {
    uint8_t id[16];
    char username[MOTE_USERNAME_MAX + 1]; /* lower case */
    char email[MOTE_EMAIL_MAX + 1];       /* as given; "" = none; unique without case */
    char display_name[MOTE_DISPLAY_NAME_MAX + 1];
    uint32_t roles; /* of enum mote_role_bit: USER 1, SERVICE 2, ADMIN 4 */
    enum mote_user_state state;
    bool email_verified;
    bool password_change_required;
    int64_t create_time;
    int64_t update_time;
    int64_t last_login_time;                 /* 0 = never */
    uint64_t epoch;                          /* raised when all access tokens must end */
    uint64_t version;                        /* raised by every change; the etag is made from it */
    char password_hash[MOTE_STORE_HASH_MAX]; /* "" = cannot log in */
};

struct mote_store_session_record {
    uint8_t id[16];
    uint8_t user_id[16];
    int64_t create_time;
    int64_t last_use_time;
    int64_t expire_time; /* absolute end */
    char user_agent[129];
    char peer_address[64];
};

struct mote_store;
struct mote_store_session;

/* --- opening --------------------------------------------------------------------------------------------------- */

struct mote_store_options {
    const char *url;                /* "sqlite:PATH"; "memory:" for tests: gone after close */
    struct mote_log *log;           /* borrowed until close, as the two below */
    const struct mote_clock *clock; /* its wall time says which sessions and tokens are over */
    struct mote_mem *mem;           /* called from any thread */
};

#define MOTE_STORE_PROBLEM_MAX 256u

/*
 * Opens, locks and migrates; starts the writer. On failure `problem` gets one line for the user ("sqlite: mote.db is
 * locked by another mote (pid 123)"), and the result tells which: MOTE_EINVAL (url), MOTE_EBUSY (locked), MOTE_EVERSION
 * (newer schema), MOTE_ECORRUPT, MOTE_ENOTFOUND (folder missing), MOTE_EACCESS (folder not writable), MOTE_EREADONLY,
 * MOTE_EIO, MOTE_EFULL.
 */
MOTE_MUST_CHECK int mote_store_open(struct mote_store **out, const struct mote_store_options *options,
                                    char problem[MOTE_STORE_PROBLEM_MAX]);
/* After all sessions. Queued writes are finished first. */
void mote_store_close(struct mote_store *store);
/* False after an error that makes its answers doubtful, until it has recovered, and until a large store has been
 * checked after it was opened. Any thread. */
bool mote_store_is_healthy(const struct mote_store *store);

/* `mailbox` is borrowed until close. */
MOTE_MUST_CHECK int mote_store_session_open(struct mote_store_session **out, struct mote_store *store,
                                            struct mote_mailbox *mailbox);
/* After the last of its operations is done. */
void mote_store_session_close(struct mote_store_session *session);
/* Ends the read transaction of this turn, if one is open. Cheap when not. */
void mote_store_session_end_turn(struct mote_store_session *session);

/* --- reading --------------------------------------------------------------------------------------------------- */

enum mote_store_user_key {
    MOTE_STORE_BY_ID,
    MOTE_STORE_BY_USERNAME,
    MOTE_STORE_BY_EMAIL,
};

struct mote_store_get_user {
    enum mote_store_user_key key;
    uint8_t id[16];
    char text[MOTE_EMAIL_MAX + 1];                              /* username or email */
    struct mote_user user;                                      /* the answer */
    void (*done)(struct mote_store_get_user *read, int result); /* MOTE_ENOTFOUND */
};

void mote_store_get_user(struct mote_store_session *session, struct mote_store_get_user *read);

enum mote_store_order {
    MOTE_STORE_ORDER_CREATE_TIME,
    MOTE_STORE_ORDER_USERNAME,
};

/* A page of users: what follows `after` in the order, up to `limit`; the caller's row function is called in order. */
struct mote_store_list_users {
    enum mote_store_order order;
    bool descending;
    bool has_after;
    struct {
        int64_t create_time;
        uint8_t id[16];
        char username[MOTE_USERNAME_MAX + 1];
    } after;
    uint32_t limit;
    /* `user` is without password_hash and valid until the function returns, which must not read on the same session. */
    void (*row)(struct mote_store_list_users *read, const struct mote_user *user);
    bool more;     /* the answer: something follows the last row */
    int64_t total; /* all users, a kept counter */
    void (*done)(struct mote_store_list_users *read, int result);
};

void mote_store_list_users(struct mote_store_session *session, struct mote_store_list_users *read);

struct mote_store_get_session {
    uint8_t id[16];
    struct mote_store_session_record record;
    bool revoked;
    void (*done)(struct mote_store_get_session *read, int result); /* MOTE_ENOTFOUND */
};

void mote_store_get_session(struct mote_store_session *session, struct mote_store_get_session *read);

/* --- writing --------------------------------------------------------------------------------------------------- */

enum mote_store_write_kind {
    MOTE_STORE_CREATE_USER,
    MOTE_STORE_UPDATE_USER,
    MOTE_STORE_CREATE_SESSION,
    MOTE_STORE_ROTATE_REFRESH,
    MOTE_STORE_REVOKE_SESSIONS,
};

/* The head of each write. */
struct mote_store_write {
    struct mote_task task; /* the store's, as the two below */
    struct mote_store_session *session;
    struct mote_store_write *next;
    enum mote_store_write_kind kind;
    int result;
    int64_t now; /* set by the caller: wall time of the request */
    void (*done)(struct mote_store_write *write);
};

/* Which unique field was taken, when MOTE_EEXISTS. */
enum mote_store_taken {
    MOTE_STORE_TAKEN_NONE,
    MOTE_STORE_TAKEN_USERNAME,
    MOTE_STORE_TAKEN_EMAIL,
};

/* MOTE_EEXISTS with `taken`. id, username, email, display_name, roles, state, password_hash… come from `user`;
 * create_time, update_time, epoch (1) and version (1) are set by the store in `user`. */
struct mote_store_create_user {
    struct mote_store_write write;
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

/* MOTE_ENOTFOUND; MOTE_EEXISTS with `taken`; MOTE_ECONFLICT: the last active administrator would lose the role.
 * `user.id` and the fields of `set` go in, the whole record after the change comes out. Nothing to change: no commit,
 * the record as it is. */
struct mote_store_update_user {
    struct mote_store_write write;
    uint32_t set; /* of enum mote_store_user_field */
    struct mote_user user;
    enum mote_store_taken taken;
};

/* A login: a session with its first refresh token, and the user's last_login_time. MOTE_ENOTFOUND when the user is
 * gone, MOTE_ECONFLICT when disabled or its epoch is not `user_epoch` any more (the password was changed meanwhile). */
struct mote_store_create_session {
    struct mote_store_write write;
    struct mote_store_session_record record; /* complete */
    uint64_t user_epoch;
    uint8_t refresh_hash[32]; /* SHA-256 of the refresh token */
    char refresh_kid[33];     /* of the key that its successors are derived from */
    int64_t refresh_expire_time;
};

enum mote_store_rotation {
    MOTE_STORE_ROTATED,  /* the successor is valid now */
    MOTE_STORE_REPEATED, /* within the grace after its use, and its successor is unused: answer the same successor again
                          */
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

/* Read: the kid that a refresh token's successors are derived with. MOTE_ENOTFOUND. */
struct mote_store_find_refresh {
    uint8_t hash[32];
    char kid[33];
    void (*done)(struct mote_store_find_refresh *read, int result);
};

void mote_store_find_refresh(struct mote_store_session *session, struct mote_store_find_refresh *read);

enum mote_store_scope {
    MOTE_STORE_SCOPE_ONE,    /* session_id */
    MOTE_STORE_SCOPE_OTHERS, /* all of user_id but session_id */
    MOTE_STORE_SCOPE_ALL,    /* all of user_id */
};

struct mote_store_revoke_sessions {
    struct mote_store_write write;
    enum mote_store_scope scope;
    uint8_t user_id[16];
    uint8_t session_id[16];
    uint32_t revoked_count;
};

/* `write` is the head of one of the structs above, kind and done set. MOTE_ELIMIT or MOTE_ECANCELLED: nothing was taken
 * and done is not called. */
MOTE_MUST_CHECK int mote_store_submit(struct mote_store_session *session, struct mote_store_write *write);

/* --- changes --------------------------------------------------------------------------------------------------- */

enum mote_store_change_kind {
    MOTE_STORE_CHANGE_USER_CREATED,
    MOTE_STORE_CHANGE_USER_UPDATED,
    MOTE_STORE_CHANGE_USER_DELETED,
    MOTE_STORE_CHANGE_USER_EPOCH, /* tokens of user_id with an epoch below `epoch` are over, and so are its sessions:
                                     disabled, deleted, password set by an administrator */
    MOTE_STORE_CHANGE_USER_ROLES, /* the same for tokens, but the sessions live: the roles changed, a refresh gives a
                                     token with the new ones. Also told by mote_store_load_revocations */
    MOTE_STORE_CHANGE_SESSION_REVOKED, /* session_id of user_id */
};

struct mote_store_change {
    uint64_t commit; /* number of the commit it belongs to; numbers rise, without gaps */
    enum mote_store_change_kind kind;
    uint8_t user_id[16];
    uint8_t session_id[16];
    uint64_t epoch;
    int64_t time; /* wall time of the change */
};

/* The number of the last commit: published before any of its answers leaves. Any thread, one atomic load. */
uint64_t mote_store_commit_number(const struct mote_store *store);
/* Copies up to `max` changes of commits after `*position` in order, and moves *position on. MOTE_ENOTFOUND when the
 * oldest wanted are not kept any more: start again from mote_store_load_revocations. Any thread. */
MOTE_MUST_CHECK int mote_store_read_changes(struct mote_store *store, uint64_t *position, struct mote_store_change *out,
                                            size_t max, size_t *count);
/* What ended access tokens since `since` (wall time): SESSION_REVOKED, USER_EPOCH and USER_ROLES changes from the store
 * itself, handed to `each`. *position gets the commit number they are complete up to. The session's thread; at start
 * and after falling behind. */
MOTE_MUST_CHECK int mote_store_load_revocations(struct mote_store_session *session, int64_t since, uint64_t *position,
                                                void (*each)(void *context, const struct mote_store_change *change),
                                                void *context);

#endif
