/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the client role share. A connection owns its h2 and its calls, a channel the calls that wait; a
 * call is freed after its `ended`, but not while one of its own callbacks is further up (`busy`).
 */
#ifndef MOTE_RPC_CLIENT_CORE_H
#define MOTE_RPC_CLIENT_CORE_H

#include "base/backoff.h"
#include "base/list.h"
#include "rpc/client_channel.h"
#include "telemetry/span.h"
#include "wire/h2.h"
#include "wire/message.h"

#define MOTE_CLIENT_SCRATCH 8192u
/* Fields of a request besides the metadata. */
#define MOTE_CLIENT_FIELDS 12u
/* Metadata fields of a call: with the others they fit into a default server's limit. */
#define MOTE_CLIENT_METADATA_MAX 52u
/* Bytes of messages that a call keeps for a second try once they are on their way: with more it has none. */
#define MOTE_CLIENT_KEPT_MAX 262144u

struct mote_client {
    const struct mote_limits *limits;
    struct mote_mem *mem;
    struct mote_timer_wheel *wheel;
    struct mote_h2_context *h2_context;
    size_t connections;
    uint64_t now_ns; /* as last heard */
    uint8_t scratch[MOTE_CLIENT_SCRATCH];
};

struct mote_client_connection {
    struct mote_h2_owner h2_owner;
    struct mote_client *client;
    struct mote_h2 *h2;
    struct mote_client_owner *owner;
    struct mote_client_link *link; /* NULL: of no channel */
    struct mote_client_target target;
    struct mote_list calls;
    unsigned inside;
    bool lost;       /* being freed: what is open ends UNAVAILABLE */
    bool closing;    /* no new calls */
    const char *why; /* it was lost */
};

struct mote_client_link {
    struct mote_client_owner owner;
    struct mote_client_channel *channel;
    struct mote_client_connection *connection; /* NULL until it is connected */
    struct mote_list node;
    struct mote_timer timer; /* until it is ready: how long that may take; then the keepalive's */
    uint64_t read_ns;
    void *user;
    bool was_ready;
    bool pinged;
    bool closing; /* the transport was told */
    bool lost;
};

struct mote_client_channel {
    struct mote_client *client;
    struct mote_client_channel_options options;
    struct mote_list links;
    struct mote_list waiting; /* calls, the oldest first */
    size_t waiting_count;
    struct mote_backoff backoff;
    uint64_t retry_ns;       /* not before that, after a failure */
    struct mote_timer retry; /* set: TRANSIENT_FAILURE */
    bool closed;
    char problem[MOTE_CLIENT_CHANNEL_PROBLEM_MAX];
};

/* A call's place in its trace, and what its span tells. In the call's block. */
struct mote_client_trace {
    const struct mote_tracer *tracer; /* NULL: the trace is passed on as it is */
    const char *authority;            /* the target's */
    struct mote_trace_context context;
    uint8_t parent_id[MOTE_SPAN_ID_LENGTH];
    bool has_parent;
    struct mote_slice state;
    uint64_t start_ns;
    struct mote_span_messages messages;
    char parent_text[MOTE_TRACE_PARENT_LENGTH];
};

struct mote_client_call {
    struct mote_stream *stream; /* NULL before there is one, and once it is closed */
    struct mote_client *client;
    struct mote_client_channel *channel;       /* NULL: made on its connection, where it stays */
    struct mote_client_connection *connection; /* NULL while it waits for one */
    const struct mote_method *method;
    const struct mote_client_call_callbacks *callbacks;
    void *user;
    struct mote_list node;
    struct mote_timer timer;
    struct mote_deframer deframer;
    struct mote_buffer kept; /* all messages sent, framed, while `keeps` */
    struct mote_field *metadata;
    size_t metadata_count;
    struct mote_client_trace *trace; /* NULL: none */
    size_t size;                     /* of the call's block, with metadata and response */
    uint64_t due_ns;                 /* the deadline; UINT64_MAX: none */
    uint64_t messages;
    int failure; /* why it ends when its timer rings; 0: for its deadline */
    unsigned busy;
    bool keeps;       /* it waits, or may have to be made again */
    bool was_refused; /* once: the next time it ends */
    bool wait_for_ready;
    bool once;
    bool half_closed;
    bool ended;
    bool compresses;        /* messages from now on */
    bool compressed;        /* the message last received was */
    uint8_t encoding;       /* of enum mote_encoding: of our messages, … */
    uint8_t their_encoding; /* … and of the server's; MOTE_ENCODING_COUNT: one we do not know */
    void *response;         /* of the method's type, in the call's block */
};

/* client.c: ends the calls, UNAVAILABLE for that reason (static text, or as long as the connection). */
void mote_client_connection_abort(struct mote_client_connection *connection, const char *why);
/* Tells the owner unless someone who takes the output is further up; ends a connection that waited for its
 * last call. */
void mote_client_connection_notify(struct mote_client_connection *connection);
void mote_client_connection_call_ended(struct mote_client_connection *connection);

/* client_channel.c */
void mote_client_channel_pump(struct mote_client_channel *channel);
/* To wait, behind the others or in front of them. */
void mote_client_channel_enqueue(struct mote_client_channel *channel, struct mote_client_call *call, bool in_front);
void mote_client_channel_link_failed(struct mote_client_channel *channel, const char *why);

/* client_link.c: connects a new one. */
MOTE_MUST_CHECK int mote_client_link_open(struct mote_client_channel *channel, uint64_t deadline_ns);
/* The channel is done with it. */
void mote_client_link_close(struct mote_client_link *link);
/* After events, outside of them: what follows for the link and the channel. */
void mote_client_link_settle(struct mote_client_link *link);
void mote_client_link_went_away(struct mote_client_link *link, uint32_t error);

/* client_call.c */
MOTE_MUST_CHECK int mote_client_call_new(struct mote_client_call **out, struct mote_client *client,
                                         const struct mote_client_target *target,
                                         const struct mote_client_call_options *options);
/* Sends what there is of it on this connection. MOTE_EAGAIN, MOTE_ECLOSED: not on this one. */
MOTE_MUST_CHECK int mote_client_call_place(struct mote_client_call *call, struct mote_client_connection *connection);
/* Ends it here and now, the server is told. */
void mote_client_call_give_up(struct mote_client_call *call, enum mote_status status, const char *message);
void mote_client_call_take_event(struct mote_client_call *call, const struct mote_event *event);

/* client_trace.c. Bytes for the call's trace and a copy of its state; 0: it has none. */
size_t mote_client_trace_size(const struct mote_client_target *target, const struct mote_client_call_options *options);
/* NULL: it has none after all. */
struct mote_client_trace *mote_client_trace_init(void *block, const struct mote_client_target *target,
                                                 const struct mote_client_call_options *options);
void mote_client_trace_message(struct mote_client_call *call, bool is_sent, size_t size);
void mote_client_trace_end(const struct mote_client_call *call, enum mote_status status, struct mote_slice message);

#endif
