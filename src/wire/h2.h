/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/2 connection, in either role, sans-IO: bytes and the time go in, events and bytes come out. It never sees a
 * socket, a thread or a clock. Below it are the frame meter and nghttp2; nothing is decided inside an nghttp2
 * callback: callbacks append events, and the events are handled after the bytes have been parsed.
 *
 * Use, on one thread:
 *   mote_h2_recv(h2, bytes, now)               at most MOTE_H2_RECV_MAX bytes, and all events of before were taken
 *   while (mote_h2_next_event(h2, &event))     at once afterwards: slices in events point into `bytes`
 *       … submit answers …
 *   mote_h2_send(h2, room, …)                  until it has nothing; then take events again: sending makes some
 *                                              (CLOSED, WRITABLE), and answering those makes output
 *   mote_h2_is_over(h2)                        then close the transport, mote_h2_abort, take events, mote_h2_free
 * The timers of a connection (preface, header block, stalled output …) run on the wheel of its context; when one
 * fires the owner's `attention` is called, and it takes events and output as above.
 */
#ifndef MOTE_WIRE_H2_H
#define MOTE_WIRE_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/memory.h"
#include "../base/slice.h"
#include "../base/timer_wheel.h"
#include "fields.h"
#include "limits.h"
#include "status.h"

MOTE_C_BEGIN

#define MOTE_H2_RECV_MAX 65536u

struct mote_h2;
struct mote_counter;
struct mote_h2_context;

enum mote_role {
    MOTE_ROLE_SERVER,
    MOTE_ROLE_CLIENT,
};

/*
 * One stream. It exists from its HEADERS event (or mote_h2_request) until its CLOSED event has been taken by the
 * following mote_h2_next_event; after that every pointer to it is dead. `user` is the upper layer's.
 */
struct mote_stream {
    int32_t id;
    bool is_http; /* the upper layer's too: whose stream it is */
    void *user;
    struct mote_h2 *h2;
};

enum mote_event_type {
    MOTE_EVENT_HEADERS,  /* a request's (server) or a response's (client) header block; `fields` */
    MOTE_EVENT_TRAILERS, /* client: the trailing block; `fields`. Trailers of requests are checked and dropped */
    MOTE_EVENT_DATA,     /* bytes of the body; `data`; return the credit with mote_h2_consume */
    MOTE_EVENT_END,      /* the peer half-closed, when no HEADERS, TRAILERS or DATA event carried the flag */
    MOTE_EVENT_WRITABLE, /* output queued, once over stream_output_high, fell to half of it or below */
    MOTE_EVENT_CLOSED,   /* the stream is gone; `error` tells how; always its last event */
    MOTE_EVENT_PING_ACK, /* the answer to mote_h2_ping; no stream */
    MOTE_EVENT_GOAWAY,   /* the peer goes away; `error`, `last_stream_id`; no stream */
};

struct mote_event {
    enum mote_event_type type;
    bool end_stream; /* HEADERS, TRAILERS, DATA: the peer half-closed with it */
    bool by_peer;    /* CLOSED: reset by the peer (false: by us, or both sides ended) */
    struct mote_stream *stream;
    union {
        const struct mote_fields *fields; /* valid until the stream's CLOSED event has been taken */
        struct mote_slice data;           /* borrows the bytes given to mote_h2_recv */
        struct {
            uint32_t error; /* an HTTP/2 error code; NO_ERROR for an orderly end */
            int32_t last_stream_id;
        } end;
    } u;
};

/* Who looks after a connection. */
struct mote_h2_owner {
    /* A timer made events or output, or ended the connection. Called from mote_timer_wheel_advance, never from inside a
     * mote_h2_* call. It may free the connection. */
    void (*attention)(struct mote_h2_owner *owner, uint64_t now_ns);
};

/* What connections of one thread share: callbacks, options, the event queue. All borrowed until context_free. */
struct mote_h2_context_options {
    const struct mote_limits *limits;
    struct mote_mem *mem; /* also behind nghttp2's allocator */
    struct mote_timer_wheel *wheel;
    struct mote_counter *counters; /* MOTE_H2_COUNTERS of them, borrowed until free; NULL: nothing is counted */
};

/* Frames by their error, of each kind MOTE_H2_ERRORS counters; one for the codes there are not. */
#define MOTE_H2_ERRORS   15u
#define MOTE_H2_COUNTERS (3 * MOTE_H2_ERRORS + MOTE_H2_VIOLATIONS)
enum mote_h2_counted {
    MOTE_H2_GOAWAY_SENT,
    MOTE_H2_RESET_SENT,
    MOTE_H2_RESET_RECEIVED,
    MOTE_H2_VIOLATION, /* by enum mote_h2_violation */
};
/* Breaches of HTTP/2: connections that ended for one, frames and header blocks that were refused. */
enum mote_h2_violation {
    MOTE_H2_VIOLATION_CONNECTION,
    MOTE_H2_VIOLATION_FRAME,
    MOTE_H2_VIOLATION_HEADERS,
    MOTE_H2_VIOLATIONS,
};

MOTE_MUST_CHECK int mote_h2_context_new(struct mote_h2_context **out, const struct mote_h2_context_options *options);
/* After all its connections. */
void mote_h2_context_free(struct mote_h2_context *context);

/* Queues the preface (client) and SETTINGS. `owner` is borrowed until free. */
MOTE_MUST_CHECK int mote_h2_new(struct mote_h2 **out, struct mote_h2_context *context, enum mote_role role,
                                struct mote_h2_owner *owner, uint64_t now_ns);
/* Streams still open get no event: call mote_h2_abort and drain first where they matter. */
void mote_h2_free(struct mote_h2 *h2);

/*
 * Consumes all of `in`. A negative return means the connection is over: MOTE_EPROTO (a protocol error; GOAWAY is queued
 * where RFC 9113 wants one), MOTE_ELIMIT (a limit; GOAWAY ENHANCE_YOUR_CALM is queued), MOTE_ENOMEM. Drain events and
 * output, then close. After an error it must not be called again.
 */
MOTE_MUST_CHECK int mote_h2_recv(struct mote_h2 *h2, struct mote_slice in, uint64_t now_ns);
/* False when there is none left. It also frees the stream whose CLOSED event was taken before. */
bool mote_h2_next_event(struct mote_h2 *h2, struct mote_event *event);
/* Writes up to `capacity` (at least 1) bytes of output to `out`; *length 0: nothing to write now. A negative return,
 * with *length 0: the connection was ended by an error (or by mote_h2_abort) and its last output has been taken. */
MOTE_MUST_CHECK int mote_h2_send(struct mote_h2 *h2, uint8_t *out, size_t capacity, size_t *length, uint64_t now_ns);
/* True once the peer's preface and its first SETTINGS are here. */
bool mote_h2_is_open(const struct mote_h2 *h2);
/* False while so much output waits that nothing more should be read. */
bool mote_h2_wants_read(const struct mote_h2 *h2);
/* True when mote_h2_send has something. */
bool mote_h2_wants_write(const struct mote_h2 *h2);
/* True when both directions are done: all output taken, nothing more to come. Close the transport. */
bool mote_h2_is_over(const struct mote_h2 *h2);
/* The transport is gone (or shall be): every open stream gets its CLOSED event (error CANCEL, by_peer). Only events may
 * be taken afterwards. */
void mote_h2_abort(struct mote_h2 *h2);
/* Tells how the transport fares: `pending` bytes of output taken by mote_h2_send wait to be written. Counts for
 * wants_read and the output stall limit. */
void mote_h2_set_pending_output(struct mote_h2 *h2, size_t pending, uint64_t now_ns);

/* Ends the connection: GOAWAY with `error` and `debug` (static text), streams abandoned. From anywhere but callbacks.
 */
void mote_h2_terminate(struct mote_h2 *h2, enum mote_h2_error error, const char *debug);
/* Graceful shutdown, first step: GOAWAY with last id 2^31-1 and `debug` (static text); streams are still accepted. RFC
 * 9113 §6.8. */
MOTE_MUST_CHECK int mote_h2_shutdown_notice(struct mote_h2 *h2, const char *debug);
/* Second step: GOAWAY with the last stream accepted; later ones are ignored. The connection is over when no stream is
 * left. */
MOTE_MUST_CHECK int mote_h2_shutdown(struct mote_h2 *h2, const char *debug);
MOTE_MUST_CHECK int mote_h2_ping(struct mote_h2 *h2, const uint8_t payload[8]);

/* Client: 0 when a stream may be opened now; as below. */
MOTE_MUST_CHECK int mote_h2_check_request(const struct mote_h2 *h2);
/* Client: opens a stream. MOTE_EAGAIN at the peer's stream limit, MOTE_ECLOSED after GOAWAY. `fields` start with the
 * pseudo-header fields. With `end_stream` nothing follows. */
MOTE_MUST_CHECK int mote_h2_request(struct mote_h2 *h2, const struct mote_field *fields, size_t count, bool end_stream,
                                    void *user, struct mote_stream **out);
/* Client: the request has been given to the transport, or a part of it. Also while its CLOSED event is handled. */
bool mote_h2_was_requested(const struct mote_stream *stream);
/* Server: the response's header block; `fields` start with :status. With `end_stream` it is the whole answer. Fields
 * that are not MOTE_FIELD_STATIC are copied. */
MOTE_MUST_CHECK int mote_h2_respond(struct mote_stream *stream, const struct mote_field *fields, size_t count,
                                    bool end_stream);
/* Queues body bytes behind what is queued; `head` and `body` are copied, one behind the other. MOTE_ECLOSED after the
 * end or a reset. Only after mote_h2_respond or mote_h2_request. */
MOTE_MUST_CHECK int mote_h2_write(struct mote_stream *stream, struct mote_slice head, struct mote_slice body);
/* Server: ends the stream with trailers once the queued bytes are out. Copied as in mote_h2_respond; MOTE_ELIMIT for
 * more than 128 fields or 32 KiB of them, as there. */
MOTE_MUST_CHECK int mote_h2_write_trailers(struct mote_stream *stream, const struct mote_field *fields, size_t count);
/* Ends our side without trailers once the queued bytes are out. */
MOTE_MUST_CHECK int mote_h2_write_end(struct mote_stream *stream);
/* Resets the stream now; queued bytes are dropped. With NO_ERROR after an early answer the reset waits until the answer
 * is out (RFC 9113 §8.1). */
void mote_h2_reset(struct mote_stream *stream, enum mote_h2_error error);
/* Body bytes queued and not yet given to the transport. */
size_t mote_h2_queued(const struct mote_stream *stream);
/* Returns `length` bytes of stream credit for DATA received (connection credit is returned on receipt). */
void mote_h2_consume(struct mote_stream *stream, size_t length);
/* While its CLOSED event is handled: the stream is the caller's from then on, for its `fields` alone, which stay valid
 * until mote_h2_drop, also after the connection is freed (but not the context). */
void mote_h2_keep(struct mote_stream *stream);
void mote_h2_drop(struct mote_h2_context *context, struct mote_stream *stream);

/* Open streams, and the highest id the peer opened. */
size_t mote_h2_stream_count(const struct mote_h2 *h2);
int32_t mote_h2_last_stream_id(const struct mote_h2 *h2);
/* Why the connection was ended by us: static text for the log, or NULL. */
const char *mote_h2_end_reason(const struct mote_h2 *h2);

MOTE_C_END

#endif
