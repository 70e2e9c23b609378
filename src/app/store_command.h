/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as a command uses it: opened with its lock, so that no server runs beside it, and used by one thread that
 * waits for each answer. Several writes may be under way at once; the store commits them together.
 */
#ifndef MOTE_APP_STORE_COMMAND_H
#define MOTE_APP_STORE_COMMAND_H

#include <pthread.h>

#include "app/command.h"
#include "security/password.h"
#include "services/rules.h"
#include "store/store.h"

/* Options that mote_store_command_open needs. */
#define MOTE_STORE_COMMAND_GROUPS (1u << MOTE_OPTION_GROUP_STORE | 1u << MOTE_OPTION_GROUP_LOG)

struct mote_store_command {
    struct mote_options options;
    struct mote_log_sink *sink;
    struct mote_store *store;
    struct mote_store_session *session;
    struct mote_mailbox mailbox;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct mote_task *first; /* what came back and was not run yet, in that order */
    struct mote_task **last;
};

/* Loads the options of the command's groups and opens. 0, or the exit code with a line on standard error: where a
 * server holds the store it names `method`, which does the same through the server. `method`
 * NULL: the store stays closed. Close in any case. */
int mote_store_command_open(struct mote_store_command *store, const struct mote_command_call *call, const char *method);
void mote_store_command_close(struct mote_store_command *store);

int64_t mote_store_command_now(void); /* wall time */
/* A new UUIDv7 of this time. MOTE_ERANDOM. */
MOTE_MUST_CHECK int mote_store_command_new_id(uint8_t id[16], int64_t now);

/* Hashes as the options say; blocks for as long as that takes. */
MOTE_MUST_CHECK int mote_store_command_hash(struct mote_store_command *store, char out[MOTE_PASSWORD_HASH_MAX],
                                            const char *password);

/* The audit record's row of what a command does to `user_id`; `detail` is borrowed, "" for none. */
struct mote_store_audit mote_store_command_audit(enum mote_store_audit_action action, const uint8_t user_id[16],
                                                 const char *detail);
/* Submits the write, sets its time, and waits for its result. It is recorded as `audit` says. */
MOTE_MUST_CHECK int mote_store_command_write(struct mote_store_command *store, struct mote_store_write *write,
                                             struct mote_store_audit audit);
/* Runs one thing that has come back, after waiting for it: for who submits several writes with `done`s of their own. */
void mote_store_command_wait(struct mote_store_command *store);

/* Finds who is meant by a username, an email address or an id. MOTE_ENOTFOUND. The caller wipes user->password_hash. */
MOTE_MUST_CHECK int mote_store_command_find_user(struct mote_store_command *store, const char *text,
                                                 struct mote_user *user);

/* Tells on standard error what an operation of the store came to, in the service's words where it would refuse the
 * same, and returns the exit code; 0 for 0. `what` says on what: a username, a line. */
int mote_store_command_tell(const char *what, int error, enum mote_store_taken taken,
                            enum mote_store_conflict conflict);
/* Tells each violation behind `where`, without the "user." of its field. True when there is one. */
bool mote_store_command_refuse(const char *where, const struct mote_rules *rules);

#endif
