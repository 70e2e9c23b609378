/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span as OTLP has it (opentelemetry.proto.trace.v1.Span), written once, when it ends, from front to back: begin,
 * what is told of it, end. What does not fit any more is left out. Names are those of OpenTelemetry's semantic
 * conventions; they are in the tables here.
 */
#ifndef MOTE_TELEMETRY_SPAN_H
#define MOTE_TELEMETRY_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "telemetry/trace_context.h"

#define MOTE_SPAN_SCHEMA_URL   "https://opentelemetry.io/schemas/1.44.0"
#define MOTE_SPAN_ENCODED_MAX  4096u /* bytes of a span */
#define MOTE_SPAN_TEXT_MAX     255u  /* bytes of a text in it; longer ones are cut off */
#define MOTE_SPAN_MESSAGES_MAX 16u   /* messages of a call that have an event; further ones are counted */

/* X(constant, "name", "of which spans", "what it says") */
#define MOTE_SPAN_ATTRIBUTE_MAP(X)                                                                                     \
    X(RPC_SYSTEM, "rpc.system.name", "calls", "`grpc`")                                                                \
    X(RPC_METHOD, "rpc.method", "calls",                                                                               \
      "`user.v1.UserService/GetUser`, which is also the span's name; `_OTHER` for a method that does not exist, "      \
      "whose "                                                                                                         \
      "span is called `grpc`")                                                                                         \
    X(RPC_METHOD_ORIGINAL, "rpc.method_original", "calls", "what was asked for then, as far as 128 bytes go")          \
    X(RPC_STATUS, "rpc.response.status_code", "calls", "`OK`, `NOT_FOUND` …")                                          \
    X(ERROR_TYPE, "error.type", "all",                                                                                 \
      "when the span's status is an error: of a call its status, of other work what went wrong")                       \
    X(SERVER_ADDRESS, "server.address", "calls", "the host of `:authority`")                                           \
    X(SERVER_PORT, "server.port", "calls", "its port, where it names one")                                             \
    X(PEER_ADDRESS, "network.peer.address", "calls that came", "where the connection comes from")                      \
    X(PEER_PORT, "network.peer.port", "calls that came", "its port")                                                   \
    X(DB_SYSTEM, "db.system.name", "reads and writes", "`sqlite`")                                                     \
    X(DB_OPERATION, "db.operation.name", "reads and writes", "the span's name")                                        \
    X(MESSAGE_TYPE, "rpc.message.type", "the event `rpc.message`", "`RECEIVED` or `SENT`")                             \
    X(MESSAGE_ID, "rpc.message.id", "the event `rpc.message`", "1 for the first in its direction")                     \
    X(MESSAGE_SIZE, "rpc.message.uncompressed_size", "the event `rpc.message`", "its bytes")

enum mote_span_attribute_id {
#define X(constant, name, spans, says) MOTE_SPAN_##constant,
    MOTE_SPAN_ATTRIBUTE_MAP(X)
#undef X
        MOTE_SPAN_ATTRIBUTE_COUNT,
};

/* X(constant, "name", "when") */
#define MOTE_SPAN_EVENT_MAP(X)                                                                                         \
    X(MESSAGE, "rpc.message", "a message of a call came, or went out; the first 16 have one")                          \
    X(BEGUN, "begun", "what a call waits for had waited in its own queue until then")

enum mote_span_event_id {
#define X(constant, name, when) MOTE_SPAN_EVENT_##constant,
    MOTE_SPAN_EVENT_MAP(X)
#undef X
};

enum mote_span_kind {
    MOTE_SPAN_INTERNAL = 1,
    MOTE_SPAN_SERVER = 2,
    MOTE_SPAN_CLIENT = 3,
};

struct mote_span {
    struct mote_trace_context context;
    bool has_parent, parent_is_remote;
    uint8_t parent_id[MOTE_SPAN_ID_LENGTH];
    struct mote_slice trace_state;
    struct mote_slice name;
    enum mote_span_kind kind;
    uint64_t start_ns, end_ns; /* since 1970 */
};

/* To be begun, written, ended; then it may be begun anew. */
struct mote_span_writer {
    uint8_t *at;
    struct mote_span_limits left; /* of texts, how long they may be */
    uint32_t attributes_dropped;
    uint8_t bytes[MOTE_SPAN_ENCODED_MAX];
};

/* The messages of a call, as they come and go. */
struct mote_span_messages {
    uint32_t seen;
    struct {
        uint64_t time_ns;
        uint32_t size;
        bool is_sent;
    } first[MOTE_SPAN_MESSAGES_MAX];
};

void mote_span_begin(struct mote_span_writer *writer, const struct mote_span *span,
                     const struct mote_span_limits *limits);
/* A text of ours, which is UTF-8. */
void mote_span_put_known(struct mote_span_writer *writer, enum mote_span_attribute_id id, struct mote_slice text);
/* Anybody's; what is not UTF-8 is left out. */
void mote_span_put_text(struct mote_span_writer *writer, enum mote_span_attribute_id id, struct mote_slice text);
void mote_span_put_number(struct mote_span_writer *writer, enum mote_span_attribute_id id, uint64_t number);
/* Under a name of somebody else's. */
void mote_span_put_named(struct mote_span_writer *writer, struct mote_slice name, struct mote_slice text);
/* So many attributes as another span has them: what stands in its writer from one place to another. False: they do not
 * fit, and nothing was written. */
bool mote_span_put_copy(struct mote_span_writer *writer, struct mote_slice attributes, uint32_t count);
void mote_span_put_event(struct mote_span_writer *writer, enum mote_span_event_id id, uint64_t time_ns);
/* Events, and how many there are no events of. `offset_ns` is added to their times, `end_ns` stands for 0. */
void mote_span_put_messages(struct mote_span_writer *writer, const struct mote_span_messages *messages,
                            uint64_t offset_ns, uint64_t end_ns);
/* Another trace that this one has to do with. */
void mote_span_put_link(struct mote_span_writer *writer, const struct mote_trace_context *other);
/* The span's status: an error, with a description where there is one. */
void mote_span_put_error(struct mote_span_writer *writer, struct mote_slice description);
/* The span as an element of ScopeSpans.spans, its tag and length included; valid until the next begin. */
struct mote_slice mote_span_end(struct mote_span_writer *writer);

static inline void mote_span_note_message(struct mote_span_messages *messages, uint64_t time_ns, bool is_sent,
                                          size_t size)
{
    if (messages->seen < MOTE_SPAN_MESSAGES_MAX) {
        messages->first[messages->seen].time_ns = time_ns;
        messages->first[messages->seen].size = (uint32_t)size;
        messages->first[messages->seen].is_sent = is_sent;
    }
    messages->seen++;
}

#endif
