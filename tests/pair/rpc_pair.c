/* SPDX-License-Identifier: Apache-2.0 */
/* See rpc_pair.h. */
#include "pair/rpc_pair.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "wire/message.h"

#define ROOM       65536u
#define STEP_NS    10000000u
#define FIELDS_MAX 160u

static void must(int error)
{
    mote_assert(error == 0);
}

static void server_attention(struct mote_server_connection_owner *owner)
{
    MOTE_CONTAINER_OF(owner, struct mote_rpc_pair, server_owner)->server_attentions++;
}

static void client_attention(struct mote_client_owner *owner)
{
    (void)owner;
}

static void raw_attention(struct mote_h2_owner *owner, uint64_t now_ns)
{
    (void)owner;
    (void)now_ns;
}

int mote_rpc_pair_init(struct mote_rpc_pair *pair, struct mote_mem *mem, const struct mote_server_options *options)
{
    memset(pair, 0, sizeof *pair);
    pair->mem = mem;
    pair->server_mem = mem;
    pair->now_ns = MOTE_RPC_PAIR_START_NS;
    pair->chunk = ROOM;
    pair->reads = true;
    pair->raw_consumes = true;
    pair->server_owner.attention = server_attention;
    pair->client_owner.attention = client_attention;
    pair->raw_owner.attention = raw_attention;
    mote_limits_init(&pair->limits);
    mote_timer_wheel_init(&pair->wheel, pair->now_ns);
    mote_buffer_init(&pair->log, mote_mem_system(), 0);
    struct mote_server_options filled = options != NULL ? *options : (struct mote_server_options){0};
    filled.limits = &pair->limits;
    filled.log = filled.log != NULL ? filled.log : mote_log_none();
    filled.worker_count = filled.worker_count != 0 ? filled.worker_count : 1;
    return mote_server_new(&pair->server, mem, &filled);
}

int mote_rpc_pair_connect_server(struct mote_rpc_pair *pair)
{
    const struct mote_server_worker_options worker = {
        .mem = pair->server_mem, .wheel = &pair->wheel, .user = pair->worker_user};
    int error = mote_server_worker_new(&pair->worker, pair->server, &worker);
    if (error != 0) {
        return error;
    }
    const struct mote_server_connection_options options = {.owner = &pair->server_owner, .peer = "192.0.2.1:40000"};
    return mote_server_connection_new(&pair->connection, pair->worker, &options, pair->now_ns);
}

int mote_rpc_pair_connect(struct mote_rpc_pair *pair)
{
    int error = mote_rpc_pair_connect_server(pair);
    if (error != 0) {
        return error;
    }
    const struct mote_client_options options = {.limits = &pair->limits, .mem = pair->mem, .wheel = &pair->wheel};
    error = mote_client_new(&pair->client, &options);
    if (error != 0) {
        return error;
    }
    pair->target.authority = "localhost:50051";
    error = mote_client_connection_new(&pair->client_connection, pair->client, &pair->client_owner, &pair->target,
                                       pair->now_ns);
    if (error == 0) {
        mote_rpc_pair_pump(pair);
    }
    return error;
}

int mote_rpc_pair_connect_raw(struct mote_rpc_pair *pair)
{
    int error = mote_rpc_pair_connect_server(pair);
    if (error != 0) {
        return error;
    }
    const struct mote_h2_context_options options = {
        .limits = &pair->limits, .mem = mote_mem_system(), .wheel = &pair->wheel};
    must(mote_h2_context_new(&pair->raw_context, &options));
    must(mote_h2_new(&pair->raw, pair->raw_context, MOTE_ROLE_CLIENT, &pair->raw_owner, pair->now_ns));
    mote_rpc_pair_pump(pair);
    return 0;
}

void mote_rpc_pair_close_server(struct mote_rpc_pair *pair)
{
    mote_server_connection_free(pair->connection);
    pair->connection = NULL;
}

void mote_rpc_pair_close_client(struct mote_rpc_pair *pair)
{
    mote_client_connection_free(pair->client_connection);
    pair->client_connection = NULL;
    if (pair->raw != NULL) {
        mote_h2_free(pair->raw);
        pair->raw = NULL;
    }
}

void mote_rpc_pair_dispose(struct mote_rpc_pair *pair)
{
    mote_rpc_pair_close_client(pair);
    mote_rpc_pair_close_server(pair);
    mote_client_free(pair->client);
    if (pair->raw_context != NULL) {
        mote_h2_context_free(pair->raw_context);
    }
    mote_server_worker_free(pair->worker);
    mote_server_free(pair->server);
    mote_timer_wheel_dispose(&pair->wheel);
    mote_buffer_dispose(&pair->log);
}

/* --- pumping --------------------------------------------------------------------------------------------------- */

static void log_fields(struct mote_buffer *log, const struct mote_fields *fields)
{
    static const char *const names[MOTE_FIELD_OTHER] = {
#define X(constant, name) [constant] = (name),
        MOTE_FIELD_MAP(X)
#undef X
    };
    for (size_t i = 0; i < MOTE_FIELD_OTHER; i++) {
        if (mote_slice_is_present(fields->known[i])) {
            must(mote_buffer_append_format(log, " %s=%.*s", names[i], (int)fields->known[i].length,
                                           (const char *)fields->known[i].data));
        }
    }
    for (size_t i = 0; i < fields->other_count; i++) {
        must(mote_buffer_append_format(log, " %.*s=%.*s", (int)fields->others[i].name.length,
                                       (const char *)fields->others[i].name.data, (int)fields->others[i].value.length,
                                       (const char *)fields->others[i].value.data));
    }
}

static void log_event(struct mote_rpc_pair *pair, const struct mote_event *event)
{
    struct mote_buffer *log = &pair->log;
    const int id = event->stream != NULL ? event->stream->id : 0;
    switch (event->type) {
    case MOTE_EVENT_HEADERS:
        must(mote_buffer_append_format(log, "%d headers", id));
        log_fields(log, event->u.fields);
        break;
    case MOTE_EVENT_TRAILERS:
        must(mote_buffer_append_format(log, "%d trailers", id));
        log_fields(log, event->u.fields);
        break;
    case MOTE_EVENT_DATA:
        must(mote_buffer_append_format(log, "%d data ", id));
        for (size_t i = 0; i < event->u.data.length && i < 32; i++) {
            must(mote_buffer_append_format(log, "%02x", event->u.data.data[i]));
        }
        if (event->u.data.length > 32) {
            must(mote_buffer_append_format(log, "… %zu", event->u.data.length));
        }
        if (pair->raw_consumes) {
            mote_h2_consume(event->stream, event->u.data.length);
        }
        break;
    case MOTE_EVENT_CLOSED:
        must(mote_buffer_append_format(log, "%d closed %s", id,
                                       mote_h2_error_name((enum mote_h2_error)event->u.end.error)));
        break;
    case MOTE_EVENT_GOAWAY:
        must(mote_buffer_append_format(log, "goaway %s %d", mote_h2_error_name((enum mote_h2_error)event->u.end.error),
                                       event->u.end.last_stream_id));
        break;
    case MOTE_EVENT_END:
        must(mote_buffer_append_format(log, "%d end", id));
        break;
    case MOTE_EVENT_WRITABLE:
    case MOTE_EVENT_PING_ACK:
        return;
    }
    must(mote_buffer_append_text(log, "\n"));
}

static void drain_raw(struct mote_rpc_pair *pair)
{
    struct mote_event event;
    while (mote_h2_next_event(pair->raw, &event)) {
        log_event(pair, &event);
    }
}

/* Bytes to the client; an exact copy, so that the sanitizer sees what is kept too long. */
static void give_client(struct mote_rpc_pair *pair, const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length);
    mote_assert(copy != NULL);
    memcpy(copy, bytes, length);
    if (pair->raw != NULL) {
        (void)!mote_h2_recv(pair->raw, mote_slice(copy, length), pair->now_ns);
        drain_raw(pair);
    } else if (pair->client_connection != NULL) {
        (void)!mote_client_connection_recv(pair->client_connection, mote_slice(copy, length), pair->now_ns);
    }
    free(copy);
}

static size_t take_client(struct mote_rpc_pair *pair, uint8_t *out)
{
    size_t length = 0;
    if (pair->raw != NULL) {
        (void)!mote_h2_send(pair->raw, out, pair->chunk, &length, pair->now_ns);
        drain_raw(pair);
    } else if (pair->client_connection != NULL) {
        (void)!mote_client_connection_send(pair->client_connection, out, pair->chunk, &length, pair->now_ns);
    }
    return length;
}

static void give_server(struct mote_rpc_pair *pair, const uint8_t *bytes, size_t length)
{
    if (pair->server_error != 0) {
        return;
    }
    uint8_t *copy = malloc(length);
    mote_assert(copy != NULL);
    memcpy(copy, bytes, length);
    pair->server_error = mote_server_connection_recv(pair->connection, mote_slice(copy, length), pair->now_ns);
    free(copy);
}

void mote_rpc_pair_pump(struct mote_rpc_pair *pair)
{
    static uint8_t room[ROOM];
    bool moved = true;
    while (moved) {
        moved = false;
        size_t length = take_client(pair, room);
        if (length != 0 && pair->connection != NULL) {
            give_server(pair, room, length);
            moved = true;
        }
        if (pair->connection != NULL && !pair->has_no_turns) {
            moved = mote_server_worker_turn(pair->worker, pair->now_ns) || moved;
        }
        if (pair->connection != NULL && pair->reads) {
            const int error = mote_server_connection_send(pair->connection, room, pair->chunk, &length, pair->now_ns);
            pair->server_error = pair->server_error != 0 ? pair->server_error : error;
            if (length != 0) {
                give_client(pair, room, length);
                moved = true;
            }
        }
    }
}

void mote_rpc_pair_pass(struct mote_rpc_pair *pair, uint64_t duration_ns)
{
    const uint64_t end_ns = pair->now_ns + duration_ns;
    while (pair->now_ns < end_ns) {
        pair->now_ns += end_ns - pair->now_ns < STEP_NS ? end_ns - pair->now_ns : STEP_NS;
        mote_timer_wheel_advance(&pair->wheel, pair->now_ns);
        mote_rpc_pair_pump(pair);
    }
}

/* --- the bare client ------------------------------------------------------------------------------------------- */

static size_t name_length(const char *line)
{
    return strcspn(line + 1, ":") + 1; /* a pseudo-header field begins with a colon */
}

static void set_field(struct mote_field *fields, size_t *count, const char *line, size_t length)
{
    const size_t name = name_length(line);
    const char *value = line + name + 1;
    const struct mote_slice name_slice = mote_slice(line, name);
    size_t i = 0;
    while (i < *count && !mote_slice_equals(fields[i].name, name_slice)) {
        i++;
    }
    if (name + 1 == length) {
        mote_assert(i < *count);
        memmove(&fields[i], &fields[i + 1], (*count - i - 1) * sizeof fields[0]);
        (*count)--;
        return;
    }
    mote_assert(value[0] == ' ' && i < FIELDS_MAX);
    /* A field already there is replaced, unless it came from a line of the test: then it is repeated. */
    if (i < *count && fields[i].flags == 0) {
        i = *count;
    }
    fields[i] = (struct mote_field){.name = name_slice, .value = mote_slice(value + 1, length - name - 2)};
    *count = i == *count ? i + 1 : *count;
}

struct mote_stream *mote_rpc_pair_request(struct mote_rpc_pair *pair, const char *path, const char *lines,
                                          bool end_stream)
{
    static const struct mote_field usual[] = {
        {MOTE_SLICE_LITERAL(":method"), MOTE_SLICE_LITERAL("POST"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL(":scheme"), MOTE_SLICE_LITERAL("http"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL(":path"), MOTE_SLICE_LITERAL("/"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL(":authority"), MOTE_SLICE_LITERAL("localhost"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL("te"), MOTE_SLICE_LITERAL("trailers"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL("content-type"), MOTE_SLICE_LITERAL("application/grpc"), MOTE_FIELD_STATIC},
    };
    struct mote_field fields[FIELDS_MAX];
    size_t count = sizeof usual / sizeof usual[0];
    memcpy(fields, usual, sizeof usual);
    fields[2].value = mote_slice_text(path);
    while (lines != NULL && *lines != '\0') {
        const size_t length = strcspn(lines, "\n");
        set_field(fields, &count, lines, length);
        lines += length + (lines[length] == '\n');
    }
    struct mote_stream *stream;
    for (size_t i = 0; i < count; i++) {
        fields[i].flags = 0;
    }
    must(mote_h2_request(pair->raw, fields, count, end_stream, NULL, &stream));
    return stream;
}

void mote_rpc_pair_write(struct mote_stream *stream, const void *data, size_t length, bool end_stream)
{
    if (length != 0) {
        must(mote_h2_write(stream, mote_slice(data, length), mote_slice(NULL, 0)));
    }
    if (end_stream) {
        must(mote_h2_write_end(stream));
    }
}

void mote_rpc_pair_message(struct mote_stream *stream, const void *data, size_t length, bool end_stream)
{
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    mote_message_prefix(prefix, false, (uint32_t)length);
    must(mote_h2_write(stream, mote_slice(prefix, sizeof prefix), mote_slice(data, length)));
    if (end_stream) {
        must(mote_h2_write_end(stream));
    }
}

const char *mote_rpc_pair_take_log(struct mote_rpc_pair *pair)
{
    must(mote_buffer_append(&pair->log, "", 1));
    const char *text = (const char *)mote_buffer_slice(&pair->log).data;
    pair->log.start = pair->log.end = 0; /* not cleared: the bytes stay where they are */
    return text;
}
