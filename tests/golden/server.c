/* SPDX-License-Identifier: Apache-2.0 */
/* See server.h. */
#include "server.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "calculator.mote.h"
#include "pair/raw.h"
#include "pair/rpc_pair.h"

#define ROOM 65536u

struct golden_server {
    enum golden_answers answers;
    struct mote_raw *raw;
    struct mote_rpc_pair pair; /* GOLDEN_ANSWERS_CALLS: only the server's end is there */
    nghttp2_hd_inflater *inflater;
    struct mote_failing_mem mem;
    struct mote_buffer events;
    bool over;
};

static void must(int error)
{
    mote_assert(error == 0);
}

/* --- wire/h2 ----------------------------------------------------------------------------------------------------- */

static void answer(struct mote_end *end, const struct mote_event *event)
{
    static const struct mote_field alone[] = {
        {MOTE_SLICE_LITERAL(":status"), MOTE_SLICE_LITERAL("200"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL("content-type"), MOTE_SLICE_LITERAL("application/grpc"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL("grpc-status"), MOTE_SLICE_LITERAL("16"), MOTE_FIELD_STATIC},
    };
    const struct golden_server *server = ((struct mote_raw *)end->user)->user;
    const bool may_end = event->type == MOTE_EVENT_HEADERS || event->type == MOTE_EVENT_DATA;
    if (server->answers == GOLDEN_ANSWERS_EARLY && event->type == MOTE_EVENT_HEADERS) {
        must(mote_h2_respond(event->stream, alone, 3, true));
        mote_h2_reset(event->stream, MOTE_H2_NO_ERROR);
    }
    if (server->answers == GOLDEN_ANSWERS_UNARY && (event->type == MOTE_EVENT_END || (may_end && event->end_stream))) {
        must(mote_pair_respond(event->stream));
        must(mote_h2_write(event->stream, mote_slice("\0\0\0\0\5", 5), mote_slice_text("hello")));
        must(mote_pair_write_ok(event->stream));
    }
}

static void open_h2(struct golden_server *server)
{
    void *state;
    must(mote_raw_set_up(&state));
    server->raw = state;
    server->raw->user = server;
    server->raw->pair.server.on_event = answer;
    must(mote_pair_connect_server(&server->raw->pair));
}

/* --- rpc --------------------------------------------------------------------------------------------------------- */

static void handle(struct mote_call *call, const void *request)
{
    const calculator_v1_AddRequest *add = request;
    const calculator_v1_AddResponse response = {.sum = add->a + add->b};
    mote_call_reply(call, &response);
}

static const struct mote_method methods[] = {
    {.name = "bar",
     .path = "/foo/bar",
     .kind = MOTE_CALL_UNARY,
     .request = &calculator_v1_AddRequest_type,
     .response = &calculator_v1_AddResponse_type,
     .handler = handle},
};
static const struct mote_service service = {.name = "foo", .package = "foo", .methods = methods, .method_count = 1};

static void note_start(void *context, struct mote_call *call)
{
    struct golden_server *server = context;
    must(mote_buffer_append_format(&server->events, "call %s\n", mote_call_method(call)->name));
}

static void note_end(void *context, struct mote_call *call, const struct mote_call_summary *summary)
{
    struct golden_server *server = context;
    (void)call;
    must(mote_buffer_append_format(&server->events, "%s %s\n", summary->method->name,
                                   mote_status_name(summary->status)));
}

static void open_calls(struct golden_server *server)
{
    const struct mote_server_options options = {
        .stages[MOTE_STAGE_LOG] = {.context = server, .start = note_start, .end = note_end},
    };
    mote_failing_mem_init(&server->mem);
    must(mote_rpc_pair_init(&server->pair, &server->mem.mem, &options));
    must(mote_server_add_service(server->pair.server, &service, NULL));
    must(mote_rpc_pair_connect_server(&server->pair));
    must(nghttp2_hd_inflate_new(&server->inflater));
}

/* The fields of a header block of ours. */
static void describe_fields(void *context, struct mote_buffer *text, struct mote_slice block)
{
    struct golden_server *server = context;
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        const ssize_t taken = nghttp2_hd_inflate_hd2(server->inflater, &field, &flags, block.data, block.length, 1);
        mote_assert(taken >= 0);
        block = mote_slice(block.data + taken, block.length - (size_t)taken);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            must(mote_buffer_append_format(text, " %.*s=%.*s", (int)field.namelen, (const char *)field.name,
                                           (int)field.valuelen, (const char *)field.value));
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            must(nghttp2_hd_inflate_end_headers(server->inflater));
            return;
        }
    }
}

static void feed_calls(struct golden_server *server, struct mote_slice bytes, struct mote_buffer *frames)
{
    struct mote_rpc_pair *pair = &server->pair;
    struct mote_buffer sent;
    uint8_t *room = malloc(ROOM);
    uint8_t *copy = malloc(bytes.length + 1);
    size_t length;
    mote_assert(room != NULL && copy != NULL);
    /* Up to its end, so that the sanitizer sees what is read behind it. */
    memcpy(copy + 1, bytes.data, bytes.length);
    mote_buffer_init(&sent, mote_mem_system(), 0);
    server->over = mote_server_connection_recv(pair->connection, mote_slice(copy + 1, bytes.length), pair->now_ns) != 0;
    do {
        (void)!mote_server_connection_send(pair->connection, room, ROOM, &length, pair->now_ns);
        must(mote_buffer_append(&sent, room, length));
    } while (length != 0);
    mote_peer_describe_with(frames, mote_buffer_slice(&sent), describe_fields, server);
    mote_buffer_dispose(&sent);
    free(copy);
    free(room);
}

/* --- both -------------------------------------------------------------------------------------------------------- */

struct golden_server *golden_server_new(enum golden_answers answers)
{
    struct golden_server *server = calloc(1, sizeof *server);
    mote_assert(server != NULL);
    server->answers = answers;
    mote_buffer_init(&server->events, mote_mem_system(), 0);
    if (answers == GOLDEN_ANSWERS_CALLS) {
        open_calls(server);
    } else {
        open_h2(server);
    }
    return server;
}

void golden_server_free(struct golden_server *server)
{
    if (server->answers == GOLDEN_ANSWERS_CALLS) {
        mote_rpc_pair_dispose(&server->pair);
        nghttp2_hd_inflate_del(server->inflater);
        mote_assert(server->mem.live_count == 0);
    } else {
        void *state = server->raw;
        must(mote_raw_tear_down(&state));
    }
    mote_buffer_dispose(&server->events);
    free(server);
}

bool golden_server_feed(struct golden_server *server, struct mote_slice bytes, struct mote_buffer *frames)
{
    do { /* also without bytes: it has something to say first */
        const size_t taken = bytes.length < MOTE_H2_RECV_MAX ? bytes.length : MOTE_H2_RECV_MAX;
        const struct mote_slice piece = mote_slice(bytes.data, taken);
        if (server->answers == GOLDEN_ANSWERS_CALLS) {
            feed_calls(server, piece, frames);
        } else {
            mote_end_feed(&server->raw->pair.server, piece);
            must(mote_buffer_append_text(frames, mote_raw_collect(server->raw)));
            server->over = server->raw->pair.server.error != 0;
        }
        bytes = mote_slice(bytes.data + taken, bytes.length - taken);
    } while (bytes.length != 0 && !server->over);
    return !server->over;
}

void golden_server_take_events(struct golden_server *server, struct mote_buffer *events)
{
    if (server->answers == GOLDEN_ANSWERS_CALLS) {
        must(mote_buffer_append(events, mote_buffer_slice(&server->events).data, mote_buffer_length(&server->events)));
    } else {
        must(mote_buffer_append_text(events, mote_end_take_log(&server->raw->pair.server)));
    }
}
