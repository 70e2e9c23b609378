/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client role, sans-IO: calls, and a connection that carries them. Programs make calls on a channel (net/channel.h
 * on sockets, rpc/client_channel.h what is below it), tests also on a connection that they pump in memory. One thread.
 */
#ifndef MOTE_RPC_CLIENT_H
#define MOTE_RPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/memory.h"
#include "../base/slice.h"
#include "../base/timer_wheel.h"
#include "../telemetry/trace_context.h"
#include "../wire/compression.h"
#include "../wire/fields.h"
#include "../wire/limits.h"
#include "../wire/status.h"
#include "method.h"

MOTE_C_BEGIN

struct mote_client; /* what connections of one thread share */
struct mote_client_connection;
struct mote_client_call;

struct mote_client_options {
    const struct mote_limits *limits;
    struct mote_mem *mem;
    struct mote_timer_wheel *wheel;
};

MOTE_MUST_CHECK int mote_client_new(struct mote_client **out, const struct mote_client_options *options);
void mote_client_free(struct mote_client *client);

struct mote_client_owner {
    /* Output is waiting or the connection has ended, outside a recv. */
    void (*attention)(struct mote_client_owner *owner);
};

struct mote_tracer; /* net/trace_export.h */

/* What a connection is to. Borrowed as long as the connection. */
struct mote_client_target {
    const char *authority;            /* "localhost:50051" */
    const char *user_agent;           /* NULL: "mote" */
    bool is_secure;                   /* over TLS: the scheme is https */
    const struct mote_tracer *tracer; /* records calls; NULL: none */
};

MOTE_MUST_CHECK int mote_client_connection_new(struct mote_client_connection **out, struct mote_client *client,
                                               struct mote_client_owner *owner, const struct mote_client_target *target,
                                               uint64_t now_ns);
/* Open calls end UNAVAILABLE, their `ended` is called from here. */
void mote_client_connection_free(struct mote_client_connection *connection);
MOTE_MUST_CHECK int mote_client_connection_recv(struct mote_client_connection *connection, struct mote_slice in,
                                                uint64_t now_ns);
MOTE_MUST_CHECK int mote_client_connection_send(struct mote_client_connection *connection, uint8_t *out,
                                                size_t capacity, size_t *length, uint64_t now_ns);
bool mote_client_connection_wants_write(const struct mote_client_connection *connection);
bool mote_client_connection_is_over(const struct mote_client_connection *connection);
/* The server has said its SETTINGS, and neither side that it goes away. */
bool mote_client_connection_is_ready(const struct mote_client_connection *connection);
/* No new calls; GOAWAY when the last has ended. */
void mote_client_connection_close(struct mote_client_connection *connection, uint64_t now_ns);

/* How a call fares; borrowed until `ended`. Any may be NULL but `ended`. */
struct mote_client_call_callbacks {
    void (*headers)(struct mote_client_call *call, const struct mote_fields *fields);
    /* Before a response message is decoded: `response`, zero so far, may be given nanopb decode callbacks. */
    void (*prepare)(struct mote_client_call *call, void *response);
    /* One response message, decoded into a struct of the method's response type; valid until it returns. Where there is
     * one response only, it counts if the status that follows is OK. */
    void (*message)(struct mote_client_call *call, const void *response);
    void (*writable)(struct mote_client_call *call);
    /* Always the last, exactly once; the call is freed after it. `message` is decoded text, `trailers` may be NULL. */
    void (*ended)(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                  const struct mote_fields *trailers);
};

struct mote_client_call_options {
    const struct mote_method *method; /* path, kind and types; the handler is not looked at */
    const struct mote_client_call_callbacks *callbacks;
    void *user;
    uint64_t timeout_ns; /* relative; MOTE_REQUEST_NO_TIMEOUT (UINT64_MAX): none. Sent as grpc-timeout and kept here */
    const struct mote_field *metadata; /* copied; `-bin` values already encoded */
    size_t metadata_count;
    /* Whose trace it is part of: the call's that is being answered (mote_call_trace, mote_call_tracestate), copied.
     * Sent as traceparent and tracestate unless `metadata` has them. NULL: with a tracer it begins one. */
    const struct mote_trace_context *trace;
    struct mote_slice trace_state;
    bool wait_for_ready;         /* on a channel: a connection that fails does not end the call */
    bool once;                   /* on a channel: it is not made again; so it keeps nothing of what was sent */
    enum mote_encoding encoding; /* of the messages sent, all of them unless mote_client_call_compress says otherwise */
};

/* Starts a call. MOTE_EAGAIN at the stream limit, MOTE_ECLOSED after GOAWAY. */
MOTE_MUST_CHECK int mote_client_call_start(struct mote_client_call **out, struct mote_client_connection *connection,
                                           const struct mote_client_call_options *options, uint64_t now_ns);
/* Queues a message. MOTE_ECLOSED after half-close or the end; MOTE_EAGAIN while it waits for a connection, with too
 * much queued already. */
MOTE_MUST_CHECK int mote_client_call_send(struct mote_client_call *call, const void *request);
/* The same for a message that is encoded already. */
MOTE_MUST_CHECK int mote_client_call_send_encoded(struct mote_client_call *call, struct mote_slice encoded);
/* False while so much is queued that `writable` should be waited for. */
bool mote_client_call_may_send(const struct mote_client_call *call);
MOTE_MUST_CHECK int mote_client_call_half_close(struct mote_client_call *call);
/* Whether the messages sent from now on are compressed. Only where options.encoding is something. */
void mote_client_call_compress(struct mote_client_call *call, bool on);
/* Whether the last response message came compressed. */
bool mote_client_call_was_compressed(const struct mote_client_call *call);
/* RST_STREAM CANCEL; `ended` is called with CANCELLED before it returns. */
void mote_client_call_cancel(struct mote_client_call *call);
void *mote_client_call_user(const struct mote_client_call *call);

MOTE_C_END

#endif
