/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server, sans-IO: services registered once, then for each worker thread a `mote_server_worker`, and on it
 * connections that take bytes and give bytes. It puts calls on top of wire/h2: method look-up, interceptors, deadlines,
 * messages, answers. `net` moves the bytes; tests pump them in memory.
 *
 * The order at HEADERS is fixed: limits · start (metrics, trace, log) · method · deadline · drain · authentication ·
 * authorisation · rate limit · handler.
 */
#ifndef MOTE_RPC_SERVER_H
#define MOTE_RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/clock.h"
#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../base/slice.h"
#include "../base/timer_wheel.h"
#include "../wire/limits.h"
#include "access.h"
#include "call.h"
#include "method.h"

MOTE_C_BEGIN

struct mote_event; /* wire/h2.h */
struct mote_server;
struct mote_server_worker;
struct mote_metrics_shard;
struct mote_server_connection;
struct mote_tracer; /* net/trace_export.h */

/* What a finished call was: given to the end observers, once for every call that was started. */
struct mote_call_summary {
    const struct mote_service
        *service; /* NULL for an unknown one: a static pseudo-method named "other" stands for it */
    const struct mote_method *method;
    enum mote_status status;
    uint64_t started_ns;                    /* when its HEADERS were read */
    uint64_t duration_ns;                   /* until now, by the server's clock; without one as of this pass */
    uint64_t request_bytes, response_bytes; /* of messages as they are carried: compressed, without their prefixes */
    uint64_t request_messages, response_messages;
};

/* A place in the chain. Both may be NULL. They are called on the worker's thread. */
struct mote_interceptor {
    const char *name;
    void *context;
    /* At HEADERS. To refuse, end the call (mote_call_fail…) before returning. */
    void (*start)(void *context, struct mote_call *call);
    /* When the call has ended. */
    void (*end)(void *context, struct mote_call *call, const struct mote_call_summary *summary);
};

enum mote_stage {
    MOTE_STAGE_METRICS,
    MOTE_STAGE_TRACE,
    MOTE_STAGE_LOG,
    MOTE_STAGE_AUTHENTICATION, /* not run for public methods */
    MOTE_STAGE_RATE_LIMIT,
    MOTE_STAGE_COUNT,
};

/* Takes the streams whose requests are no gRPC, which would get 415: every event of theirs, HEADERS first, CLOSED last.
 * It answers with the functions of wire/h2.h, and gives DATA's credit back; a stream's `user` is its own. Worker's
 * thread. */
struct mote_http_handler {
    void *context;
    void (*on_event)(void *context, const struct mote_event *event);
};

struct mote_server_options {
    const struct mote_limits *limits;     /* borrowed until free */
    const struct mote_access_row *access; /* NULL: everything registered is public */
    size_t access_count;
    struct mote_interceptor stages[MOTE_STAGE_COUNT];
    struct mote_http_handler http; /* without on_event there is none */
    struct mote_log *log;
    const struct mote_tracer *tracer; /* records calls, as MOTE_STAGE_TRACE; NULL: none. Borrowed until free */
    const struct mote_clock *clock;   /* for durations; NULL: a call that is answered as it comes took no time */
    size_t worker_count;              /* process-wide limits are divided among them */
};

/* The registry is filled, then never changes. `options` is copied. */
MOTE_MUST_CHECK int mote_server_new(struct mote_server **out, struct mote_mem *mem,
                                    const struct mote_server_options *options);
void mote_server_free(struct mote_server *server);
/* `context` is given to handlers (mote_call_context). MOTE_EEXISTS for a name twice. Before the first worker. */
MOTE_MUST_CHECK int mote_server_add_service(struct mote_server *server, const struct mote_service *service,
                                            void *context);
/* Files that reflection shall know though no service needs them. */
MOTE_MUST_CHECK int mote_server_add_file(struct mote_server *server, const struct mote_proto_file *file);
/* Checks that every row of the access table names something registered; MOTE_EINVAL names it in the log. */
MOTE_MUST_CHECK int mote_server_check(const struct mote_server *server);
/* Registered services, sorted by name; NULL past the end. */
const struct mote_service *mote_server_service_at(const struct mote_server *server, size_t index);
/* The stage for MOTE_STAGE_METRICS, where the workers have shards. */
struct mote_interceptor mote_call_metrics_stage(void);
/* Where a shard counts this method; 0 for what is not registered. */
size_t mote_server_method_index(const struct mote_server *server, const char *path);
/* The row for this method: enum mote_access or-ed, 0 = denied. */
uint32_t mote_server_access(const struct mote_server *server, const char *path);

struct mote_server_worker_options {
    struct mote_mem *mem;               /* the worker's pool; borrowed until worker_free */
    struct mote_timer_wheel *wheel;     /* driven by the caller */
    void *user;                         /* mote_call_worker_user */
    struct mote_metrics_shard *metrics; /* this worker's alone, borrowed until free; NULL: nothing is counted */
};

MOTE_MUST_CHECK int mote_server_worker_new(struct mote_server_worker **out, struct mote_server *server,
                                           const struct mote_server_worker_options *options);
/* After all its connections and all references to its calls. */
void mote_server_worker_free(struct mote_server_worker *worker);
/* The time of this loop turn, for what runs in it outside of connections: late answers measure by it. */
void mote_server_worker_set_now(struct mote_server_worker *worker, uint64_t now_ns);
/* Once in each turn of the loop, after its input: what had to wait for it because the last one's share of decompressing
 * was used up goes on, connection by connection. True when some still wait for the next turn: do not sleep before. */
bool mote_server_worker_turn(struct mote_server_worker *worker, uint64_t now_ns);
struct mote_server *mote_server_worker_server(struct mote_server_worker *worker);
/* For the timers of handlers that wait. */
struct mote_timer_wheel *mote_server_worker_wheel(struct mote_server_worker *worker);
/* Handlers running (or held by references) on this worker. */
size_t mote_server_worker_calls(const struct mote_server_worker *worker);

/* Who looks after a connection: told when it has output or has ended outside a recv. */
struct mote_server_connection_owner {
    /* Never called from inside mote_server_connection_recv or _send; must not free the connection. */
    void (*attention)(struct mote_server_connection_owner *owner);
};

struct mote_server_connection_options {
    struct mote_server_connection_owner *owner; /* borrowed until free */
    const char *peer;                           /* "192.0.2.1:40000"; copied */
    bool health_only;                           /* every service but grpc.health.v1 is unknown here */
};

MOTE_MUST_CHECK int mote_server_connection_new(struct mote_server_connection **out, struct mote_server_worker *worker,
                                               const struct mote_server_connection_options *options, uint64_t now_ns);
/* How it is secured, before its first bytes are given to recv: static texts. */
void mote_server_connection_set_tls(struct mote_server_connection *connection, const char *version, const char *suite);
/* Who the peer is, before its first bytes are given to recv: takes what was allocated from the worker's `mem`. */
void mote_server_connection_set_certificate(struct mote_server_connection *connection,
                                            struct mote_certificate *certificate);
/* Calls still running are cancelled. */
void mote_server_connection_free(struct mote_server_connection *connection);
/* Consumes all of `in` (at most MOTE_H2_RECV_MAX bytes) and runs what follows from it. A negative return: the
 * connection is over; send what mote_server_connection_send still gives, then close. */
MOTE_MUST_CHECK int mote_server_connection_recv(struct mote_server_connection *connection, struct mote_slice in,
                                                uint64_t now_ns);
/* As mote_h2_send: fills `out`, *length 0 when there is nothing (now). */
MOTE_MUST_CHECK int mote_server_connection_send(struct mote_server_connection *connection, uint8_t *out,
                                                size_t capacity, size_t *length, uint64_t now_ns);
/* As mote_h2_is_open. */
bool mote_server_connection_is_open(const struct mote_server_connection *connection);
bool mote_server_connection_wants_read(const struct mote_server_connection *connection);
bool mote_server_connection_wants_write(const struct mote_server_connection *connection);
/* Nothing more to come in either direction: close. */
bool mote_server_connection_is_over(const struct mote_server_connection *connection);
/* As mote_h2_set_pending_output. */
void mote_server_connection_set_pending_output(struct mote_server_connection *connection, size_t pending,
                                               uint64_t now_ns);
/* Graceful shutdown: GOAWAY twice with a PING between (or 5 s), open calls end in peace, watches are ended with
 * UNAVAILABLE · SHUTTING_DOWN at the second GOAWAY. Idempotent. */
void mote_server_connection_drain(struct mote_server_connection *connection, uint64_t now_ns);
/* The grace period is over: every open call is answered UNAVAILABLE · SHUTTING_DOWN, or reset. True when
 * there was one, or its answer was not out yet. */
bool mote_server_connection_cut(struct mote_server_connection *connection, uint64_t now_ns);
/* Its peer's address, as it was given. Valid until free. */
const char *mote_server_connection_peer(const struct mote_server_connection *connection);
/* Why it ended: static text for the log, or NULL. */
const char *mote_server_connection_end_reason(const struct mote_server_connection *connection);

MOTE_C_END

#endif
