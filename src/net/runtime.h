/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server on sockets: workers, each a thread with its own libuv loop, its own listening sockets (SO_REUSEPORT) and its
 * own connections, moving bytes for a `mote_server`. The program and the test servers use it alike.
 *
 *   mote_runtime_start → (the process's own business: signals) → mote_runtime_drain → mote_runtime_join
 */
#ifndef MOTE_NET_RUNTIME_H
#define MOTE_NET_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../base/task.h"
#include "../rpc/server.h"
#include "../security/tls.h"
#include "../wire/limits.h"

MOTE_C_BEGIN

#define MOTE_RUNTIME_WORKERS_MAX   64u
#define MOTE_RUNTIME_LISTENERS_MAX 8u
#define MOTE_RUNTIME_PROBLEM_MAX   256u

struct mote_runtime;
struct mote_metrics;

struct mote_runtime_options {
    struct mote_server *server;       /* borrowed until join */
    const struct mote_limits *limits; /* the same as the server's */
    const char *listen;               /* "127.0.0.1:50051,unix:/run/mote.sock"; port 0: any free one */
    const char *health_listen;        /* as `listen`: in the clear, and serving health only; NULL: none */
    size_t workers;                   /* 1 to MOTE_RUNTIME_WORKERS_MAX */
    uint64_t drain_grace_ns;          /* from drain until open calls are cut off */
    struct mote_tls_context *tls;     /* NULL: in the clear; a reference is taken. Unix sockets are in any case */
    struct mote_log *log;
    struct mote_metrics *metrics; /* with a shard a worker; NULL: none */
    /* What the services keep for each worker; all may be NULL. worker_start runs before the worker's thread, the others
     * on it.
     * `*user` becomes mote_call_worker_user; `mailbox` brings tasks to the thread. end_turn runs once in each turn of
     * the loop. */
    void *context;
    int (*worker_start)(void *context, struct mote_mem *mem, struct mote_mailbox *mailbox, void **user);
    void (*worker_end_turn)(void *user);
    void (*worker_stop)(void *user);
    /* What mote_runtime_visit runs on each worker's thread. */
    void (*visit)(struct mote_server_worker *worker);
    /* Called from the last worker's thread when all have ended, with `context`; for a main thread that waits. May be
     * NULL. */
    void (*on_drained)(void *context);
};

/* Binds, then starts the threads. The process must ignore SIGPIPE; the threads inherit the caller's signal mask. On
 * failure `problem` is one line for the user; MOTE_EINVAL (address), MOTE_EBUSY
 * (address in use), MOTE_EACCESS, MOTE_EIO, MOTE_ENOMEM, or what worker_start returned. */
MOTE_MUST_CHECK int mote_runtime_start(struct mote_runtime **out, struct mote_mem *mem,
                                       const struct mote_runtime_options *options,
                                       char problem[MOTE_RUNTIME_PROBLEM_MAX]);
/* The address that listener `index` really has ("127.0.0.1:40213"); NULL past the last. Those of health_listen come
 * last. Valid until join. */
const char *mote_runtime_address(const struct mote_runtime *runtime, size_t index);
/* Connections accepted from now on have this one; the others keep theirs. A reference is taken. Only for a runtime that
 * was started with TLS. Any thread. */
void mote_runtime_set_tls(struct mote_runtime *runtime, struct mote_tls_context *tls);
/* Runs options->visit once on each worker's thread, soon; several requests may become one visit. One thread, not after
 * drain. */
void mote_runtime_visit(struct mote_runtime *runtime);
/* False when a worker has not come round to what the last call of this or of mote_runtime_visit has asked of it. Called
 * at times that are far apart for a loop, it tells a stuck worker. As mote_runtime_visit otherwise. */
bool mote_runtime_is_alive(struct mote_runtime *runtime);
/* Once: stops listening and ends connections gracefully; calls still open after the grace are cut off. */
void mote_runtime_drain(struct mote_runtime *runtime);
/* Waits for all threads and frees. 0, or MOTE_ETIMEOUT when calls were cut off. */
int mote_runtime_join(struct mote_runtime *runtime);

MOTE_C_END

#endif
