/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call as its handler sees it. The handler answers now or later, from the thread of its worker; the call outlives its
 * stream: an answer to a call that was cancelled, timed out or cut off is dropped without harm.
 *
 * Ownership: a call is the server's. A handler that answers after it has returned holds a reference (mote_call_ref)
 * until it has answered; everything it got from the call (request, metadata, identity, arena) is valid as long. All
 * functions: the worker's thread only.
 */
#ifndef MOTE_RPC_CALL_H
#define MOTE_RPC_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/arena.h"
#include "../base/certificate.h"
#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/slice.h"
#include "../security/jwt.h"
#include "../telemetry/trace_context.h"
#include "../wire/status.h"
#include "method.h"

MOTE_C_BEGIN

struct mote_server_worker;

/* --- answering ------------------------------------------------------------------------------------------------- */

/* Unary and client-stream: the response, then OK. A response that cannot be encoded or is over message_send_max becomes
 * INTERNAL or RESOURCE_EXHAUSTED. `response` is borrowed until it returns. */
void mote_call_reply(struct mote_call *call, const void *response);
/* Ends the call with a status; the message is a printf format, percent-encoded on the wire. Never put secrets in it. */
void mote_call_fail(struct mote_call *call, enum mote_status status, const char *format, ...) MOTE_PRINTF(3, 4);
/* Server-stream and bidirectional: one message. It is taken even when the call is not writable; a handler that goes on
 * regardless is cut off at output_high (RESOURCE_EXHAUSTED). MOTE_ECLOSED when the call was over before; after any
 * other error (a response that cannot be encoded or is over message_send_max too) it has ended by it, and `on_cancel`
 * has been called. */
MOTE_MUST_CHECK int mote_call_send(struct mote_call *call, const void *response);
/* Server-stream and bidirectional: the end, OK. */
void mote_call_finish(struct mote_call *call);
/* Sends the initial metadata now, before the first message. Otherwise it goes with the first message. */
void mote_call_send_headers(struct mote_call *call);

/* What a service's refusal carries in google.rpc.Status (grpc-status-details-bin). */
struct mote_violation {
    const char *field; /* a path from the request: "user.username" */
    const char *text;  /* "must be 3 to 32 characters long" */
};

/* A google.protobuf.Any: "type.googleapis.com/google.rpc.Help", and a message of that type, encoded. */
struct mote_detail {
    struct mote_slice type_url;
    struct mote_slice value;
};

struct mote_failure {
    enum mote_status status;
    const char *message; /* for people; no secrets */
    const char *reason;  /* ErrorInfo.reason: "USER_NOT_FOUND"; the domain is the service's package; NULL: none */
    const struct mote_violation *violations; /* BadRequest; INVALID_ARGUMENT only */
    size_t violation_count;
    uint64_t retry_after_ms;           /* RetryInfo and grpc-retry-pushback-ms; 0: none */
    const struct mote_detail *details; /* more of them, of any type */
    size_t detail_count;
};

/* Ends the call with this status and its details. Details that do not fit into 3 KiB together are left out. Borrowed
 * until it returns. */
void mote_call_fail_details(struct mote_call *call, const struct mote_failure *failure);

/* --- compression ----------------------------------------------------------------------------------------------- */

/* Whether the messages sent from now on are compressed: gzip or deflate, what the client can read. Off at first. True
 * when they will be: not for a client that reads neither, nor when the headers went out before anybody had asked. */
bool mote_call_compress(struct mote_call *call, bool on);
/* Whether the message that the handler was given came compressed. */
bool mote_call_was_compressed(const struct mote_call *call);

/* --- metadata -------------------------------------------------------------------------------------------------- */

/* Adds a field to the initial metadata (before it is sent) or the trailers (before the end). `-bin` values are given
 * raw and encoded here. Copies. MOTE_EINVAL for a reserved or malformed name or value, MOTE_ECLOSED when too late,
 * MOTE_ELIMIT, MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_call_add_header(struct mote_call *call, const char *name, struct mote_slice value);
MOTE_MUST_CHECK int mote_call_add_trailer(struct mote_call *call, const char *name, struct mote_slice value);
/* The first value of a metadata field of the request, as it came; {NULL, 0} where there is none. */
struct mote_slice mote_call_metadata(const struct mote_call *call, const char *name);
/* The `index`th value of that name over all (0, 1, …); {NULL, 0} past the last. */
struct mote_slice mote_call_metadata_at(const struct mote_call *call, const char *name, size_t index);
/* The `index`th field of the request's own metadata (0, 1, …), without what HTTP/2 and gRPC define; false past the
 * last.
 */
bool mote_call_metadata_field(const struct mote_call *call, size_t index, struct mote_slice *name,
                              struct mote_slice *value);
struct mote_slice mote_call_authorization(const struct mote_call *call);
/* True when `authorization` came more than once. */
bool mote_call_authorization_is_repeated(const struct mote_call *call);
/* The path of the request, "/service/method", as it came: also of one that does not exist. */
struct mote_slice mote_call_path(const struct mote_call *call);
struct mote_slice mote_call_user_agent(const struct mote_call *call);
struct mote_slice mote_call_authority(const struct mote_call *call);
/* Where the peer is: "192.0.2.1:40000", "[2001:db8::1]:40000", "unix:". Valid as long as the call. */
const char *mote_call_peer(const struct mote_call *call);
/* The connection it came on, and its stream there. Valid as long as the call. */
struct mote_connection_facts {
    uint64_t id;                         /* counted from 1 in this process */
    const char *tls_version, *tls_suite; /* "TLSv1.3", "TLS1-3-AES-128-GCM-SHA256"; NULL in the clear */
};

const struct mote_connection_facts *mote_call_connection(const struct mote_call *call);
uint32_t mote_call_stream(const struct mote_call *call);
/* Which machine the peer is, by the certificate it has shown and that one of the server's authorities for clients has
 * signed; NULL without TLS, and where none is asked for or a client shows none (TLS_CLIENT_AUTH=optional). Never one
 * that was not verified. Also for interceptors. Valid as long as the call. */
const struct mote_certificate *mote_call_certificate(const struct mote_call *call);

/* --- streams --------------------------------------------------------------------------------------------------- */

/* False while more than stream_output_high bytes wait. */
bool mote_call_writable(const struct mote_call *call);
/* `ready` is called (from the loop, never from inside a mote_call_* function) each time the call becomes writable
 * again. */
void mote_call_on_writable(struct mote_call *call, void (*ready)(struct mote_call *call));
/* Stops and starts the delivery of messages to the handler; while paused the client is held by flow control. */
void mote_call_pause(struct mote_call *call);
void mote_call_resume(struct mote_call *call);

/* --- life ------------------------------------------------------------------------------------------------------ */

/* `ended` is called once when the call ends otherwise than by its handler's answer: reset or connection lost
 * (CANCELLED), the deadline (DEADLINE_EXCEEDED), a limit, shutdown (UNAVAILABLE). */
void mote_call_on_cancel(struct mote_call *call, void (*ended)(struct mote_call *call, enum mote_status status));
/* True once the call has ended, in whatever way. */
bool mote_call_is_over(const struct mote_call *call);
/* This call has no end of its own (a watch): a graceful shutdown ends it, UNAVAILABLE · SHUTTING_DOWN, instead of
 * waiting. */
void mote_call_set_endless(struct mote_call *call);
void mote_call_ref(struct mote_call *call);
void mote_call_unref(struct mote_call *call);
/* Absolute monotonic ns; UINT64_MAX without a deadline. */
uint64_t mote_call_deadline(const struct mote_call *call);

/* --- traces ---------------------------------------------------------------------------------------------------- */

/* What the request says of its trace; {NULL, 0} where it says nothing, says it twice, or, of the state, is not trusted.
 */
struct mote_slice mote_call_traceparent(const struct mote_call *call);
struct mote_slice mote_call_tracestate(const struct mote_call *call);
/* Where the call stands in its trace: `trace` of the calls that are made for it (rpc/client.h). NULL: the server does
 * not trace. */
const struct mote_trace_context *mote_call_trace(const struct mote_call *call);
/* Whether its trace is recorded: only then are spans below the call's own. */
bool mote_call_is_recorded(const struct mote_call *call);

/* Work that was done for the call, and ends now. Texts are UTF-8 and borrowed; times are monotonic. */
struct mote_call_span {
    const char *name; /* one of few: "create_user", never with data in it */
    bool is_client;   /* another system was asked */
    uint64_t start_ns;
    uint64_t begun_ns; /* when it had waited in its queue, which is told by an event; 0: there was none */
    const char *error; /* error.type; NULL: it went well */
    struct {
        const char *name, *value; /* attributes; NULL: none */
    } attributes[2];
};

/* Nothing for a call that is not recorded, or has 64 of them. Also when the call has ended, while it is referenced. */
void mote_call_add_span(struct mote_call *call, const struct mote_call_span *span);

/* --- surroundings ---------------------------------------------------------------------------------------------- */

const struct mote_method *mote_call_method(const struct mote_call *call);
const struct mote_service *mote_call_service(const struct mote_call *call);
/* Who is calling; NULL on a public method without credentials. */
const struct mote_identity *mote_call_identity(const struct mote_call *call);
void mote_call_set_identity(struct mote_call *call, const struct mote_identity *identity);
/* What was registered with the service. */
void *mote_call_context(const struct mote_call *call);
/* The worker's own `user` pointer (struct mote_server_worker_options). */
void *mote_call_worker_user(const struct mote_call *call);
struct mote_server_worker *mote_call_worker(const struct mote_call *call);
/* The handler's own pointer, NULL at first. */
void *mote_call_data(const struct mote_call *call);
void mote_call_set_data(struct mote_call *call, void *data);
/* The same, made at its first use: `size` zeroed bytes that live as long as the call. NULL: there is no memory, and the
 * call has been failed. */
void *mote_call_make_data(struct mote_call *call, size_t size);
/* Memory that lives as long as the call. */
struct mote_arena *mote_call_arena(struct mote_call *call);
/* Monotonic time of this loop turn. */
uint64_t mote_call_now(const struct mote_call *call);

MOTE_C_END

#endif
