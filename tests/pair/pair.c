/* SPDX-License-Identifier: Apache-2.0 */
/* See pair.h. Out of memory in the harness itself is fatal: only the code under test gets the failing allocator. */
#include "pair/pair.h"

#include <stdlib.h>

#include "base/assert.h"
#include "wire/status.h"

#define ROOM       65536u
#define STEP_NS    100000000u
#define ROUNDS_MAX 100000u

static const char *const event_names[] = {
    [MOTE_EVENT_HEADERS] = "headers",   [MOTE_EVENT_TRAILERS] = "trailers", [MOTE_EVENT_DATA] = "data",
    [MOTE_EVENT_END] = "end",           [MOTE_EVENT_WRITABLE] = "writable", [MOTE_EVENT_CLOSED] = "closed",
    [MOTE_EVENT_PING_ACK] = "ping-ack", [MOTE_EVENT_GOAWAY] = "goaway",
};

static void must(int error)
{
    mote_assert(error == 0);
}

static void log_event(struct mote_end *end, const struct mote_event *event)
{
    struct mote_buffer *log = &end->log;
    must(mote_buffer_append_text(log, event_names[event->type]));
    if (event->stream != NULL) {
        must(mote_buffer_append_format(log, " %d", event->stream->id));
    }
    switch (event->type) {
    case MOTE_EVENT_DATA:
        must(mote_buffer_append_format(log, " %zu", event->u.data.length));
        break;
    case MOTE_EVENT_CLOSED:
        must(mote_buffer_append_format(log, " %s%s", mote_h2_error_name((enum mote_h2_error)event->u.end.error),
                                       event->by_peer ? " by-peer" : ""));
        break;
    case MOTE_EVENT_GOAWAY:
        must(mote_buffer_append_format(log, " %s %d", mote_h2_error_name((enum mote_h2_error)event->u.end.error),
                                       event->u.end.last_stream_id));
        break;
    case MOTE_EVENT_HEADERS:
    case MOTE_EVENT_TRAILERS:
        if (event->u.fields->overflow != MOTE_FIELDS_FIT) {
            must(mote_buffer_append_text(log, " overflow"));
        }
        break;
    case MOTE_EVENT_END:
    case MOTE_EVENT_WRITABLE:
    case MOTE_EVENT_PING_ACK:
        break;
    }
    must(mote_buffer_append_text(log, event->end_stream ? " end\n" : "\n"));
}

void mote_end_drain(struct mote_end *end)
{
    struct mote_event event;
    while (mote_h2_next_event(end->h2, &event)) {
        log_event(end, &event);
        if (event.type == MOTE_EVENT_DATA) {
            must(mote_buffer_append(&end->body, event.u.data.data, event.u.data.length));
            if (end->consumes) {
                mote_h2_consume(event.stream, event.u.data.length);
            }
        }
        if (end->on_event != NULL) {
            end->on_event(end, &event);
        }
    }
}

void mote_end_feed(struct mote_end *end, struct mote_slice bytes)
{
    while (bytes.length != 0 && end->error == 0) {
        const size_t taken = bytes.length < end->pair->chunk ? bytes.length : end->pair->chunk;
        /* A copy of exact size, so that the sanitizer sees what is read behind its end or kept too long. */
        uint8_t *copy = malloc(taken);
        mote_assert(copy != NULL);
        memcpy(copy, bytes.data, taken);
        end->error = mote_h2_recv(end->h2, mote_slice(copy, taken), end->pair->now_ns);
        mote_end_drain(end);
        free(copy);
        bytes = mote_slice(bytes.data + taken, bytes.length - taken);
    }
}

void mote_end_collect(struct mote_end *end, struct mote_buffer *out)
{
    const size_t capacity = end->pair->chunk < ROOM ? end->pair->chunk : ROOM;
    uint8_t *room = malloc(capacity);
    size_t length;
    mote_assert(room != NULL);
    do {
        if (mote_h2_send(end->h2, room, capacity, &length, end->pair->now_ns) != 0) {
            mote_assert(length == 0);
        }
        must(mote_buffer_append(out, room, length));
        mote_end_drain(end);
    } while (length != 0);
    free(room);
}

static bool deliver(struct mote_end *from, struct mote_end *to)
{
    if (from->h2 == NULL || to->h2 == NULL) {
        return false;
    }
    const size_t before = mote_buffer_length(&to->inbox);
    mote_end_collect(from, &to->inbox);
    if (mote_buffer_length(&to->inbox) == 0) {
        return false;
    }
    const bool moved = mote_buffer_length(&to->inbox) != before || before != 0;
    struct mote_buffer inbox = to->inbox;
    mote_buffer_init(&to->inbox, mote_mem_system(), 0);
    mote_end_feed(to, mote_buffer_slice(&inbox));
    mote_buffer_dispose(&inbox);
    return moved;
}

void mote_pair_pump(struct mote_pair *pair)
{
    for (size_t round = 0; round < ROUNDS_MAX; round++) {
        const bool there = deliver(&pair->client, &pair->server);
        const bool back = deliver(&pair->server, &pair->client);
        if (!there && !back) {
            return;
        }
    }
    mote_assert(!"the pair comes to rest");
}

void mote_pair_pass(struct mote_pair *pair, uint64_t duration_ns)
{
    const uint64_t until = pair->now_ns + duration_ns;
    while (pair->now_ns < until) {
        pair->now_ns += STEP_NS;
        mote_timer_wheel_advance(&pair->wheel, pair->now_ns);
        mote_pair_pump(pair);
    }
}

static void attention(struct mote_h2_owner *owner, uint64_t now_ns)
{
    struct mote_end *end = MOTE_CONTAINER_OF(owner, struct mote_end, owner);
    (void)now_ns;
    end->attention_count++;
    mote_end_drain(end);
}

static void end_init(struct mote_end *end, struct mote_pair *pair)
{
    *end = (struct mote_end){.owner.attention = attention, .pair = pair, .consumes = true};
    mote_buffer_init(&end->inbox, mote_mem_system(), 0);
    mote_buffer_init(&end->log, mote_mem_system(), 0);
    mote_buffer_init(&end->body, mote_mem_system(), 0);
}

int mote_pair_init(struct mote_pair *pair)
{
    return mote_pair_init_with(pair, NULL);
}

int mote_pair_init_with(struct mote_pair *pair, struct mote_mem *mem)
{
    memset(pair, 0, sizeof *pair);
    pair->now_ns = MOTE_PAIR_START_NS;
    pair->chunk = MOTE_H2_RECV_MAX;
    mote_failing_mem_init(&pair->mem);
    mote_limits_init(&pair->limits);
    mote_timer_wheel_init(&pair->wheel, pair->now_ns);
    end_init(&pair->client, pair);
    end_init(&pair->server, pair);
    const struct mote_h2_context_options options = {
        .limits = &pair->limits, .mem = mem != NULL ? mem : &pair->mem.mem, .wheel = &pair->wheel};
    return mote_h2_context_new(&pair->context, &options);
}

int mote_pair_connect(struct mote_pair *pair)
{
    const int error = mote_h2_new(&pair->client.h2, pair->context, MOTE_ROLE_CLIENT, &pair->client.owner, pair->now_ns);
    if (error != 0) {
        return error;
    }
    return mote_h2_new(&pair->server.h2, pair->context, MOTE_ROLE_SERVER, &pair->server.owner, pair->now_ns);
}

int mote_pair_connect_server(struct mote_pair *pair)
{
    return mote_h2_new(&pair->server.h2, pair->context, MOTE_ROLE_SERVER, &pair->server.owner, pair->now_ns);
}

static void end_dispose(struct mote_end *end)
{
    mote_h2_free(end->h2);
    mote_buffer_dispose(&end->inbox);
    mote_buffer_dispose(&end->log);
    mote_buffer_dispose(&end->body);
}

size_t mote_pair_dispose(struct mote_pair *pair)
{
    end_dispose(&pair->client);
    end_dispose(&pair->server);
    mote_h2_context_free(pair->context);
    mote_timer_wheel_dispose(&pair->wheel);
    return pair->mem.live_count;
}

const char *mote_end_take_log(struct mote_end *end)
{
    must(mote_buffer_append(&end->log, "", 1));
    const char *text = (const char *)mote_buffer_slice(&end->log).data;
    end->log.start = end->log.end = 0; /* not cleared: the bytes stay where they are */
    return text;
}

struct mote_field mote_pair_field(const char *name, const char *value)
{
    return (struct mote_field){.name = mote_slice_text(name), .value = mote_slice_text(value)};
}

struct mote_stream *mote_pair_request(struct mote_pair *pair, const char *path, bool end_stream)
{
    const struct mote_field fields[] = {
        mote_pair_field(":method", "POST"),    mote_pair_field(":scheme", "http"),
        mote_pair_field(":path", path),        mote_pair_field(":authority", "test"),
        mote_pair_field("te", "trailers"),     mote_pair_field("content-type", "application/grpc"),
        mote_pair_field("user-agent", "pair"),
    };
    struct mote_stream *stream = NULL;
    const int error =
        mote_h2_request(pair->client.h2, fields, sizeof fields / sizeof fields[0], end_stream, NULL, &stream);
    return error == 0 ? stream : NULL;
}

int mote_pair_respond(struct mote_stream *stream)
{
    static const struct mote_field fields[] = {
        {MOTE_SLICE_LITERAL(":status"), MOTE_SLICE_LITERAL("200"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL("content-type"), MOTE_SLICE_LITERAL("application/grpc"), MOTE_FIELD_STATIC},
    };
    return mote_h2_respond(stream, fields, sizeof fields / sizeof fields[0], false);
}

int mote_pair_write_ok(struct mote_stream *stream)
{
    static const struct mote_field fields[] = {
        {MOTE_SLICE_LITERAL("grpc-status"), MOTE_SLICE_LITERAL("0"), MOTE_FIELD_STATIC},
    };
    return mote_h2_write_trailers(stream, fields, 1);
}
