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
#include "store/record.h"
#include "store/write.h"

#define MOTE_STORE_WRITES_MAX   1024u /* queued for the writer; more are refused: a slow disk must not fill memory */
#define MOTE_STORE_LOOKED_MAX   5000u /* rows that a page looks at: what is wanted may be rare among what is not */
#define MOTE_STORE_PAGE_MAX     200u
#define MOTE_STORE_CHANGES_MAX  4096u /* changes kept in memory for sessions that lag */
#define MOTE_STORE_FEED_MAX     10000 /* changes of users kept in the feed, however old */
#define MOTE_STORE_FEED_KEEP_NS (3600 * (int64_t)MOTE_NS_PER_SECOND) /* and for how long, however many */

struct mote_store;
struct mote_store_session;

/* --- opening --------------------------------------------------------------------------------------------------- */

struct mote_store_options {
    const char *url;                /* "sqlite:PATH"; "memory:" for tests: gone after close */
    struct mote_log *log;           /* borrowed until close, as the two below */
    const struct mote_clock *clock; /* its wall time says which sessions and tokens are over */
    struct mote_mem *mem;           /* called from any thread */
    bool must_exist;                /* none is made where there is none: MOTE_ENOTFOUND, and nothing is touched */
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
void mote_store_close(struct mote_store *store); /* after all sessions; queued writes are finished first */
/* False after an error that makes answers doubtful, and until a large store is checked after opening. Any thread. */
bool mote_store_is_healthy(const struct mote_store *store);
/* For an observer: writes that are not answered yet, and the sizes of the files. Any thread. */
void mote_store_figures(struct mote_store *store, unsigned *waiting, int64_t *database, int64_t *log);

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
    MOTE_STORE_BY_ID_WITHOUT_HASH, /* cheaper: for who only shows the user or looks whether it is there */
    MOTE_STORE_BY_USERNAME,
    MOTE_STORE_BY_EMAIL,
};

struct mote_store_get_user {
    enum mote_store_user_key key;
    uint8_t id[16];
    char text[MOTE_EMAIL_MAX + 1]; /* username or email */
    bool picks_settings;           /* by name: wants `settings` */
    uint64_t pick;                 /* of them, a hash of `text` */
    struct mote_user user;         /* the answer */
    char settings[64]; /* of somebody's hash, its text up to the salt; empty: there is none. Also with MOTE_ENOTFOUND */
    void (*done)(struct mote_store_get_user *read, int result); /* MOTE_ENOTFOUND */
};

void mote_store_get_user(struct mote_store_session *session, struct mote_store_get_user *read);

enum mote_store_order { MOTE_STORE_ORDER_CREATE_TIME, MOTE_STORE_ORDER_USERNAME };

enum mote_store_match {
    MOTE_STORE_MATCH_ANY,
    MOTE_STORE_MATCH_EXACT,
    MOTE_STORE_MATCH_PREFIX,
};

/* Which users: those for whom all of it holds. All zero: everybody. */
struct mote_store_filter {
    bool is_set;    /* false: the rest is not looked at */
    uint32_t state; /* of enum mote_user_state; 0: any */
    uint32_t roles; /* of enum mote_role_bit: all of these */
    enum mote_store_match username_match;
    enum mote_store_match email_match;    /* without ASCII case; matches nobody without an address */
    char username[MOTE_USERNAME_MAX + 1]; /* lower case */
    char email[MOTE_EMAIL_MAX + 1];
    int64_t created_from;
    int64_t created_before; /* INT64_MAX: any */
};

struct mote_store_position {
    int64_t create_time;
    uint8_t id[16];
    char username[MOTE_USERNAME_MAX + 1];
};

/*
 * A page of users: what follows `after` in the order, up to `limit`; the caller's row function is called in order. At
 * most MOTE_STORE_LOOKED_MAX rows are read for it, by the index that leaves the fewest to look at; so with a filter a
 * page may be short, or empty, with more to come. One that looks at many is done in a later turn, the rest behind it.
 */
struct mote_store_list_users {
    struct mote_store_filter filter;
    enum mote_store_order order;
    bool descending;
    bool has_after;
    struct mote_store_position after; /* afterwards, where there is more: where the next page goes on */
    uint32_t limit;                   /* MOTE_STORE_PAGE_MAX at most */
    /* `user` is without password_hash and valid until the function returns, which must not read on the same session. */
    void (*row)(struct mote_store_list_users *read, const struct mote_user *user);
    bool more;     /* the answer: something follows, or may with a filter */
    int64_t total; /* all users, a kept counter; -1 with a filter */
    void (*done)(struct mote_store_list_users *read, int result);
    struct mote_store_list_users *next; /* the store's, as the one below */
    struct mote_store_observer observer;
};

void mote_store_list_users(struct mote_store_session *session, struct mote_store_list_users *read);

struct mote_store_get_session {
    uint8_t id[16];
    struct mote_store_session_record record; /* the answer; expire_time is for the caller to look at */
    bool revoked;
    void (*done)(struct mote_store_get_session *read, int result); /* MOTE_ENOTFOUND */
};

void mote_store_get_session(struct mote_store_session *session, struct mote_store_get_session *read);

/* The sessions of a user that live at `now`, in the order of their ids, which is that of their beginning. */
struct mote_store_list_sessions {
    uint8_t user_id[16];
    int64_t now;
    uint8_t after[16]; /* all zero: from the first. Afterwards the last one looked at: where the next page goes on */
    uint32_t limit;
    /* `record` is valid until the function returns, which must not read on the same session. */
    void (*row)(struct mote_store_list_sessions *read, const struct mote_store_session_record *record);
    bool more; /* the answer: something may follow. Sessions that are over cost time too, so a page may be short */
    void (*done)(struct mote_store_list_sessions *read, int result);
};

void mote_store_list_sessions(struct mote_store_session *session, struct mote_store_list_sessions *read);

/* Read: the kid that a refresh token's successors are derived with, and its session. MOTE_ENOTFOUND. */
struct mote_store_find_refresh {
    uint8_t hash[32];
    char kid[33];
    uint8_t session_id[16];
    void (*done)(struct mote_store_find_refresh *read, int result);
};

void mote_store_find_refresh(struct mote_store_session *session, struct mote_store_find_refresh *read);

void mote_store_find_request(struct mote_store_session *session, struct mote_store_find_request *read);

/* Where somebody stands in the feed of changes of users: behind the change of that number, 0 before the first. The time
 * is that change's, and tells one feed from another. It stays good when the process ends. */
struct mote_store_feed_position {
    int64_t sequence;
    int64_t time;
};

/*
 * The changes of users behind `position` in order, up to `limit` of them, as far as they are kept: the last
 * MOTE_STORE_FEED_MAX, and all of the last hour. MOTE_EEXPIRED: some that follow are not kept any more; MOTE_ENOTFOUND:
 * it is no position of this feed.
 */
struct mote_store_read_feed {
    struct mote_store_feed_position position; /* moves on with each change */
    uint32_t limit;                           /* 0: only looks whether the position is good */
    bool from_end;                            /* instead: only finds the position behind the last change */
    /* USER_CREATED, USER_UPDATED or USER_DELETED; `user` as it is now, without password_hash, of one who is deleted
     * only the id. What was told of one who is gone by now is passed over, but for the deletion. Valid until the
     * function returns, which must not read on the same session. */
    void (*row)(struct mote_store_read_feed *read, enum mote_store_change_kind kind, const struct mote_user *user);
    void (*done)(struct mote_store_read_feed *read, int result);
};

void mote_store_read_feed(struct mote_store_session *session, struct mote_store_read_feed *read);
/* The number of the last change of users that was committed. Any thread, one atomic load. */
int64_t mote_store_feed_sequence(const struct mote_store *store);
/*
 * From now on `changed` is called on the session's thread when that number has grown: once for all that came meanwhile.
 * NULL: no more. To be ended before the session closes; a task of it may then still lie in the mailbox, which must not
 * run it after the session is gone.
 */
void mote_store_follow_feed(struct mote_store_session *session, void (*changed)(void *context), void *context);

/* --- writing --------------------------------------------------------------------------------------------------- */

/* `write` is the head of one of the structs of write.h, kind, now and done set. MOTE_ELIMIT or MOTE_ECANCELLED: nothing
 * was taken and done is not called. */
MOTE_MUST_CHECK int mote_store_submit(struct mote_store_session *session, struct mote_store_write *write);

/* Records what is no write otherwise. Copies the entry and returns at once; what cannot be recorded is logged. Any
 * thread.
 */
void mote_store_append_audit(struct mote_store *store, const struct mote_store_audit *audit);

/* --- changes --------------------------------------------------------------------------------------------------- */

/* The number of the last commit: published before any of its answers leaves. It counts from 1 in each process. Not
 * every commit has changes to tell. Any thread, one atomic load. */
uint64_t mote_store_commit_number(const struct mote_store *store);
/* Copies up to `max` changes of commits after `*position` in order, and moves *position on. MOTE_ENOTFOUND when the
 * oldest wanted are not kept any more: start again from mote_store_load_revocations. Any thread. */
MOTE_MUST_CHECK int mote_store_read_changes(struct mote_store *store, uint64_t *position, struct mote_store_change *out,
                                            size_t max, size_t *count);
/* What ended access tokens since `since` (wall time): SESSION_REVOKED, USER_EPOCH, USER_ROLES, USER_UNLOCKED,
 * USER_DELETED and TOKEN_REVOKED changes from the store itself, handed to `each`. *position gets the commit number they
 * are complete up to. The session's thread; at start and after falling behind. */
MOTE_MUST_CHECK int mote_store_load_revocations(struct mote_store_session *session, int64_t since, uint64_t *position,
                                                void (*each)(void *context, const struct mote_store_change *change),
                                                void *context);

#endif
