/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the server share: the structs behind rpc/server.h and rpc/call.h, and the calls between the files.
 * Not public; nothing outside src/rpc includes it. Who owns what: a server its registry; a worker its counters; a
 * connection its h2 and its calls; a call its arena. A call lives until its last reference is dropped, which may be
 * after its stream and its connection: the connection's memory (who its peer is) lives as long as any of its calls.
 * `inside` counts how deep we are in a connection: while it is not 0 the owner is not called, because whoever entered
 * takes the output himself.
 */
#ifndef MOTE_RPC_CORE_H
#define MOTE_RPC_CORE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/timer_wheel.h"
#include "rpc/call.h"
#include "rpc/server.h"
#include "wire/h2.h"
#include "wire/message.h"
#include "wire/request.h"

/* Metadata a handler may add to each of headers and trailers: what a well-behaved client accepts by default. */
#define MOTE_CALL_METADATA_MAX       64u
#define MOTE_CALL_METADATA_BYTES_MAX 8192u
/* Memory a handler may take from its call: a bug in a handler, not an attack, reaches it. */
#define MOTE_CALL_ARENA_MAX 1048576u
/* A decoded request up to this size lies in the call's own block; larger ones are allocated once their bytes are there,
 * so that a stream without a body costs little. */
#define MOTE_CALL_INLINE_MAX 1024u
/* Replies up to this size are encoded without allocating. */
#define MOTE_SERVER_SCRATCH 8192u
/* Bytes of google.rpc.Status before base64: with the message they stay under 8 KiB of trailers. */
#define MOTE_DETAILS_MAX 3072u

#define MOTE_STATIC_FIELD(name_, value_)                                                                               \
    {                                                                                                                  \
        .name = MOTE_SLICE_LITERAL(name_), .value = MOTE_SLICE_LITERAL(value_), .flags = MOTE_FIELD_STATIC             \
    }

/* --- registry -------------------------------------------------------------------------------------------------- */

struct mote_method_entry {
    struct mote_slice path;
    const struct mote_method *method;
    const struct mote_service *service; /* NULL for the pseudo-method */
    void *context;
    uint32_t who; /* of enum mote_access, or-ed */
    uint32_t message_max;
    uint32_t block_size, index; /* of the call, with its request where that is inline; of its method in the metrics */
    bool request_inline;
    bool single_request;  /* unary and server-stream */
    bool single_response; /* unary and client-stream */
};

struct mote_registered_service {
    const struct mote_service *service;
    struct mote_method_entry *entries; /* service->method_count of them */
};

struct mote_method_slot {
    uint64_t hash;
    const struct mote_method_entry *entry; /* NULL: free */
};

struct mote_server {
    struct mote_mem *mem;
    struct mote_server_options options;
    bool observed;                            /* some stage wants to know how calls end */
    struct mote_registered_service *services; /* sorted by name */
    size_t service_count;
    const struct mote_proto_file **files; /* added by hand, for reflection */
    size_t file_count;
    struct mote_method_slot *slots; /* a power of two, at most half full */
    size_t slot_count;
    size_t method_count;
    uint64_t connections_made; /* by all workers: atomic */
};

/* The stand-in for what was never registered; its `method->name` is "other". */
extern const struct mote_method_entry mote_server_other;

/* The entry of exactly this path, or &mote_server_other. */
const struct mote_method_entry *mote_server_find(const struct mote_server *server, struct mote_slice path);
bool mote_server_has_service(const struct mote_server *server, struct mote_slice name);

/* --- worker ---------------------------------------------------------------------------------------------------- */

struct mote_server_worker {
    struct mote_server *server;
    const struct mote_limits *limits;
    struct mote_mem *mem;
    struct mote_timer_wheel *wheel;
    void *user;
    struct mote_h2_context *h2_context;
    struct mote_metrics_shard *metrics;
    uint64_t now_ns;
    size_t handlers, handlers_max; /* of single_response calls: running, or ended but still referenced */
    size_t streams, streams_max;   /* the same of the others */
    size_t buffered, buffered_max; /* request bytes in incomplete or waiting messages */
    size_t connections;
    size_t decompress_left;    /* of this turn's bytes */
    struct mote_list deferred; /* connections with calls that wait for the next turn, the longest first */
    struct mote_list health_watches;
    uint8_t scratch[MOTE_SERVER_SCRATCH];
};

/* --- connection ------------------------------------------------------------------------------------------------ */

enum mote_drain {
    MOTE_DRAIN_NONE,
    MOTE_DRAIN_NOTICE, /* the first GOAWAY is out, streams are still taken */
    MOTE_DRAIN_LAST,   /* the second is out */
    MOTE_DRAIN_CUT,    /* nothing is served any more */
};

struct mote_server_connection {
    struct mote_h2_owner h2_owner;
    struct mote_server_worker *worker;
    struct mote_h2 *h2; /* NULL once closed */
    struct mote_server_connection_owner *owner;
    struct mote_list fresh; /* calls started in this pass: their timers are not armed yet */
    struct mote_list open;
    struct mote_list resumed;                 /* calls whose held-back messages are to be delivered */
    struct mote_list deferred, deferred_node; /* the same in the next turn; in the worker's list of such connections */
    size_t handlers;                          /* running or referenced, of any kind */
    size_t buffered;
    size_t calls; /* call objects: each keeps this struct alive */
    unsigned inside;
    enum mote_drain drain;
    bool health_only;        /* other services are unknown here */
    bool shutting_down;      /* the process is: watches end with the second GOAWAY */
    const char *drain_debug; /* of the GOAWAYs; static text */
    struct mote_connection_facts facts;
    struct mote_timer drain_timer, life_timer; /* the latter and what follows is connection_life.c's */
    uint64_t read_ns;                          /* when bytes last came */
    uint64_t active_ns;                        /* when a call last began or ended */
    uint64_t pinged_ns;                        /* when the keepalive ping was sent that is not answered yet; 0: none */
    uint64_t age_due_ns;                       /* the end of its age, then of the grace; UINT64_MAX: none */
    unsigned pings;                            /* of any kind, not acknowledged */
    struct mote_certificate *certificate;      /* owned; NULL: none */
    char peer[];
};

/* The owner is told that there is output, unless someone who will take it is further up. */
void mote_server_connection_notify(struct mote_server_connection *connection);
void mote_server_connection_release(struct mote_server_connection *connection); /* a call was freed */
void mote_server_connection_defer(struct mote_call *call); /* what it holds back comes in the worker's next turn */

/* --- call ------------------------------------------------------------------------------------------------------ */

enum mote_call_state {
    MOTE_CALL_OPENING,    /* the stages run */
    MOTE_CALL_RECEIVING,  /* accepted; the handler has not been called */
    MOTE_CALL_RUNNING,    /* the handler has been called */
    MOTE_CALL_RESPONDING, /* our headers are out */
    MOTE_CALL_ENDED,      /* the status is decided; the object lives on while it is referenced */
};

struct mote_call_metadata {
    struct mote_field *fields; /* in the arena; room for MOTE_CALL_METADATA_MAX */
    size_t count;
    size_t bytes;
};

struct mote_call {
    struct mote_stream *stream;      /* NULL once it is closed */
    struct mote_stream *kept_stream; /* then this, for its fields, if the call is still referenced */
    struct mote_server_connection *connection;
    const struct mote_method_entry *entry;
    const struct mote_fields *fields;
    void *request; /* decoded; NULL until then, except where it is inline */
    uint32_t refs, stream_id;
    uint8_t state;        /* of enum mote_call_state */
    bool half_closed;     /* the client has said all, though perhaps not all is delivered */
    bool end_delivered;   /* the handler of a request stream knows it */
    bool counted;         /* in the numbers of handlers */
    bool paused, blocked; /* by the handler; the handler, which was told to wait */
    bool delivering;      /* messages in its buffers are being read */
    bool endless;         /* a watch: does not hold up a drain */
    bool proto_subtype;
    bool has_identity, has_trace;
    bool continues_trace;                         /* of its caller */
    bool compressed, compresses, tells_encodings; /* what the handler has; answers from now on; the headers */
    uint8_t encoding, answer_encoding;            /* of enum mote_encoding */
    uint64_t started_ns;
    uint64_t deadline_ns;
    uint64_t progress_ns;    /* when the last request bytes came */
    uint64_t received_bytes; /* of DATA */
    uint64_t request_bytes, response_bytes, request_messages, response_messages;
    size_t buffered; /* what this call has in the accounts of connection and worker */
    void (*on_writable)(struct mote_call *call);
    void (*on_cancel)(struct mote_call *call, enum mote_status status);
    void *data;
    struct mote_call_metadata headers, trailers;
    struct mote_call_record *record; /* for the span of one that is sampled: call_trace.c; NULL: none */
    /* From here on each member has an initialiser of its own; the rest is cleared by mote_call_open. */
    struct mote_list node;         /* in the connection's fresh or open */
    struct mote_list resumed_node; /* in the connection's resumed or deferred */
    struct mote_deframer deframer;
    struct mote_buffer held; /* bytes that came while the handler paused; their credit has not been returned */
    struct mote_timer timer;
    struct mote_arena arena;
    struct mote_identity identity;   /* if has_identity */
    struct mote_trace_context trace; /* if has_trace */
};

/* How a call ends. */
struct mote_call_outcome {
    enum mote_status status;
    struct mote_slice message, details; /* an encoded google.rpc.Status; may be absent */
    uint64_t retry_after_ms;            /* 0: none */
    const struct mote_refusal *refusal; /* for answers that are not plain 200; may be NULL */
};

/* call.c. Returns a call in OPENING with one reference, or NULL without memory. */
struct mote_call *mote_call_open(struct mote_server_connection *connection, struct mote_stream *stream,
                                 const struct mote_method_entry *entry, const struct mote_fields *fields,
                                 uint64_t timeout_ns);
/* One place changes the state; the edges are checked. */
void mote_call_set_state(struct mote_call *call, enum mote_call_state state);
void mote_call_accept(struct mote_call *call); /* what comes now is the request */
void mote_call_receive(struct mote_call *call, struct mote_slice data, bool end_stream);
void mote_call_receive_end(struct mote_call *call);
void mote_call_deliver_held(struct mote_call *call); /* what was held back */
void mote_call_stream_writable(struct mote_call *call);
void mote_call_stream_closed(struct mote_call *call);
/* Starts the timer if there is anything to wait for. */
void mote_call_arm(struct mote_call *call);
/* The books of a call that has an outcome: summary, timer, lists, the server's reference. The answer has been given. */
void mote_call_close(struct mote_call *call, enum mote_status status);

/* call_answer.c. As the handler's own answers, but the handler is told by on_cancel if it runs. */
/* `message` is static. */
void mote_call_abort(struct mote_call *call, enum mote_status status, const char *message);
void mote_call_abort_details(struct mote_call *call, const struct mote_failure *failure);
void mote_call_refuse(struct mote_call *call, const struct mote_refusal *refusal);
/* A response that is encoded already, in the place of mote_call_send's. */
MOTE_MUST_CHECK int mote_call_send_encoded(struct mote_call *call, struct mote_slice body);
/* "shutting down", UNAVAILABLE · SHUTTING_DOWN. */
void mote_call_shut_down(struct mote_call *call);
/* Answers a stream for which there is no memory for a call. */
void mote_call_answer_without_memory(struct mote_stream *stream, bool end_stream);

static inline struct mote_server_worker *mote_call_worker_of(const struct mote_call *call)
{
    return call->connection->worker;
}

#endif
