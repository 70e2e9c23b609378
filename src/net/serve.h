/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole server in one call, for a program that serves its own services: registry, health, reflection, TLS from files,
 * signals, the graceful end. It is made of what rpc/server.h, rpc/health.h, rpc/reflection.h and net/runtime.h offer to
 * those who want it otherwise.
 */
#ifndef MOTE_NET_SERVE_H
#define MOTE_NET_SERVE_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../rpc/health.h"
#include "../rpc/server.h"
#include "runtime.h"
#include "tls_files.h"

MOTE_C_BEGIN

#define MOTE_SERVE_SERVICES_MAX (MOTE_HEALTH_SERVICES_MAX - 1u) /* health also has a row for the server as a whole */

struct mote_serve_service {
    const struct mote_service *service; /* as protoc-gen-mote wrote it; the list ends with NULL */
    void *context;                      /* mote_call_context of its calls */
};

/* Zero is the default of every field but `runtime.listen`. */
struct mote_serve_options {
    const char *name; /* of the program, before what goes to standard error */
    struct mote_serve_service services[MOTE_SERVE_SERVICES_MAX];
    bool without_reflection;
    struct mote_tls_files tls; /* without certificates: runtime.tls, if there is one */
    /* Access, interceptors, log. `limits` NULL: the defaults; worker_count is set. */
    struct mote_server_options server;
    /* Where to listen, what each worker keeps. `workers` 0: one, so that no handler runs beside another;
     * `drain_grace_ns` 0: ten seconds. server, limits, log, visit and on_drained are set. */
    struct mote_runtime_options runtime;
    /* When it listens, with runtime.context. NULL: each address is printed, as "listening on 127.0.0.1:50051". Both
     * live until mote_serve returns; after a change to `health` comes mote_runtime_visit, from this thread. */
    void (*started)(void *context, struct mote_runtime *runtime, struct mote_health *health);
};

/*
 * Serves until SIGTERM or SIGINT, then ends gracefully; either signal once more ends the process. All services are
 * SERVING until then. Certificates are loaded anew on SIGHUP and when their files change; files that cannot be used are
 * told of, and those before are kept. Before any other thread is started, as threads inherit its signal mask; it
 * ignores SIGPIPE and raises the limit of descriptors for good. What goes wrong is one line on standard error. 0, or
 * MOTE_ETIMEOUT when calls were cut off at the end; before that what mote_server_new, mote_runtime_start and so on
 * return.
 */
MOTE_MUST_CHECK int mote_serve(const struct mote_serve_options *options);

MOTE_C_END

#endif
