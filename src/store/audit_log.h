/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the audit record, beside a server too. One thread. */
#ifndef MOTE_STORE_AUDIT_LOG_H
#define MOTE_STORE_AUDIT_LOG_H

#include "store/store.h"

struct mote_audit_log;

/* Texts are "" where there is nothing; ids are UUIDs in text. Valid until the row function returns. */
struct mote_audit_log_row {
    int64_t id;
    int64_t time;
    const char *action;
    const char *actor;      /* a user's id, "local", "system", or "" */
    const char *actor_name; /* of the user, if there still is one */
    const char *address;
    const char *user_id;
    const char *user_name;
    const char *session_id;
    const char *result;
    const char *detail;
};

/* What is not set (0, NULL) does not narrow. */
struct mote_audit_log_query {
    int64_t after; /* rows with a greater number */
    int64_t since; /* wall time */
    const char *action;
    const uint8_t *user_id; /* who did it, or whom it was done to */
    int64_t limit;          /* of the newest that fit; they come in the order of their numbers */
    void (*row)(void *context, const struct mote_audit_log_row *row);
    void *context;
};

/* Results and `problem` as mote_store_open; MOTE_EVERSION also for a store from before there was a record. */
MOTE_MUST_CHECK int mote_audit_log_open(struct mote_audit_log **out, const char *url,
                                        char problem[MOTE_STORE_PROBLEM_MAX]);
MOTE_MUST_CHECK int mote_audit_log_read(struct mote_audit_log *log, const struct mote_audit_log_query *query);
/* The id behind a UUID, a username or an address. MOTE_ENOTFOUND. */
MOTE_MUST_CHECK int mote_audit_log_find_user(struct mote_audit_log *log, const char *text, uint8_t id[16]);
void mote_audit_log_close(struct mote_audit_log *log);

#endif
