/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin port's transport: a thread of its own with a loop, which reads requests (wire/http1.h), asks the caller for
 * the answer, and writes it. No request of the service waits for it, and it waits for none.
 *
 * A connection has MOTE_ADMIN_HEAD_MS to send a head and MOTE_ADMIN_WRITE_MS to take an answer, else it is closed;
 * while an answer is being written nothing is read. Who comes when all places are taken gets that of whoever has been
 * idle longest, or waits in the kernel's queue.
 */
#ifndef MOTE_NET_ADMIN_H
#define MOTE_NET_ADMIN_H

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "net/runtime.h"
#include "wire/http1.h"

#define MOTE_ADMIN_CONNECTIONS_MAX 32u
#define MOTE_ADMIN_PIPELINE_MAX    8u       /* requests sent without waiting for an answer: 400 above */
#define MOTE_ADMIN_PENDING_MAX     4194304u /* bytes of answers that clients have not taken: 503 above */
#define MOTE_ADMIN_HEAD_MS         5000u
#define MOTE_ADMIN_WRITE_MS        30000u
#define MOTE_ADMIN_IDLE_MS         30000u
#define MOTE_ADMIN_LINGER_MS       1000u /* after the last answer: so long the peer may go on talking */

struct mote_admin;

struct mote_admin_reply {
    unsigned status;          /* 200 */
    const char *content_type; /* "text/plain; charset=utf-8" */
    const char *extra;        /* further fields, each with its CR LF: ""; static text */
    struct mote_buffer *body; /* empty and bounded */
};

struct mote_admin_options {
    const char *listen; /* one address, as in LISTEN */
    /* On the admin thread; everything is borrowed until it returns. An error is told as 503. */
    int (*answer)(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply);
    void *context;
    struct mote_log *log; /* borrowed until stop, as the clock */
    const struct mote_clock *clock;
};

/* Binds and starts the thread. Errors and `problem` as in mote_runtime_start. */
MOTE_MUST_CHECK int mote_admin_start(struct mote_admin **out, struct mote_mem *mem,
                                     const struct mote_admin_options *options, char problem[MOTE_RUNTIME_PROBLEM_MAX]);
/* As it really is, the chosen port too. Valid until stop. */
const char *mote_admin_address(const struct mote_admin *admin);
/* Closes what is open and ends the thread. NULL is fine. */
void mote_admin_stop(struct mote_admin *admin);

#endif
