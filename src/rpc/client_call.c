/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call of the client role (PROTOCOL-HTTP2): request headers, messages, half-close; then the response's headers,
 * messages and trailers, or why there are none. The status is decided once, and `ended` is the last that is heard of
 * the call: trailers with grpc-status; a reset's or the HTTP status' equivalent; the deadline; cancellation; the
 * connection's end. A call of a channel keeps what it has sent until the server has answered something, or it is too
 * much: so it can wait for its connection, and go to another one when the first server never looked at it (gRFC A6).
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "codec/codec.h"
#include "rpc/client_core.h"
#include "wire/timeout.h"

#define STATIC_FIELD(name_, value_)                                                                                    \
    {                                                                                                                  \
        .name = MOTE_SLICE_LITERAL(name_), .value = MOTE_SLICE_LITERAL(value_), .flags = MOTE_FIELD_STATIC             \
    }

static bool has_single_response(const struct mote_client_call *call)
{
    return call->method->kind == MOTE_CALL_UNARY || call->method->kind == MOTE_CALL_CLIENT_STREAM;
}

/* --- the end --------------------------------------------------------------------------------------------------- */

static void release(struct mote_client_call *call)
{
    call->busy--;
    if (call->ended && call->busy == 0) {
        struct mote_mem *mem = call->client->mem;
        mote_mem_wipe(call, call->size);
        mote_mem_release(mem, call);
    }
}

static void stop_keeping(struct mote_client_call *call)
{
    call->keeps = false;
    mote_buffer_dispose(&call->kept);
}

static bool is_waiting(const struct mote_client_call *call)
{
    return call->connection == NULL;
}

/* Out of the list it is in, with no time running. */
static void unlink_call(struct mote_client_call *call)
{
    mote_timer_stop(call->client->wheel, &call->timer);
    mote_list_remove(&call->node);
    if (is_waiting(call)) {
        call->channel->waiting_count--;
    }
}

/* Everything of the call goes but the memory of the struct, which waits for callbacks further up. */
static void end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                const struct mote_fields *trailers)
{
    struct mote_client_connection *connection = call->connection;
    mote_assert(!call->ended);
    call->ended = true;
    call->busy++;
    if (call->trace != NULL) {
        mote_client_trace_end(call, status, message);
    }
    unlink_call(call);
    mote_deframer_dispose(&call->deframer);
    stop_keeping(call);
    if (call->stream != NULL) {
        call->stream->user = NULL;
        if (!call->half_closed) {
            mote_h2_reset(call->stream, MOTE_H2_CANCEL); /* nobody reads on at the other end */
        }
    }
    call->callbacks->ended(call, status, message, trailers);
    release(call);
    if (connection != NULL) {
        mote_client_connection_call_ended(connection);
    }
}

static void end_text(struct mote_client_call *call, enum mote_status status, const char *message)
{
    end(call, status, mote_slice_text(message), NULL);
}

void mote_client_call_give_up(struct mote_client_call *call, enum mote_status status, const char *message)
{
    if (call->stream != NULL && call->half_closed) {
        mote_h2_reset(call->stream, MOTE_H2_CANCEL); /* otherwise `end` does it */
    }
    end_text(call, status, message);
}

static void end_by_trailers(struct mote_client_call *call, const struct mote_fields *trailers)
{
    const struct mote_slice text = trailers->known[MOTE_FIELD_GRPC_MESSAGE];
    char buffer[1024]; /* longer messages are cut off */
    const size_t used = text.length < sizeof buffer ? text.length : sizeof buffer;
    const size_t length = mote_status_decode_message(buffer, mote_slice(text.data, used));
    enum mote_status status;
    /* A malformed grpc-status is UNKNOWN. */
    (void)!mote_status_parse(&status, trailers->known[MOTE_FIELD_GRPC_STATUS]);
    if (status == MOTE_STATUS_OK && mote_deframer_is_inside(&call->deframer)) {
        end_text(call, MOTE_STATUS_INTERNAL, "the response ended inside a message");
    } else if (status == MOTE_STATUS_OK && has_single_response(call) && call->messages != 1) {
        end_text(call, MOTE_STATUS_UNIMPLEMENTED, "not exactly one response message");
    } else {
        end(call, status, mote_slice(buffer, length), trailers);
    }
}

/* --- the response ---------------------------------------------------------------------------------------------- */

static bool is_grpc(struct mote_slice content_type)
{
    static const struct mote_slice prefix = MOTE_SLICE_LITERAL("application/grpc");
    return mote_slice_starts_with(content_type, prefix);
}

static unsigned http_status_of(const struct mote_fields *fields)
{
    unsigned status = 0;
    const struct mote_slice text = fields->known[MOTE_FIELD_STATUS];
    for (size_t i = 0; i < text.length && i < 3; i++) {
        status = status * 10 + (unsigned)(text.data[i] - '0');
    }
    return status;
}

static void take_headers(struct mote_client_call *call, const struct mote_fields *fields, bool end_stream)
{
    const unsigned http_status = http_status_of(fields);
    stop_keeping(call); /* the server has looked at it */
    const bool has_status = mote_slice_is_present(fields->known[MOTE_FIELD_GRPC_STATUS]);
    if (end_stream && has_status) {
        end_by_trailers(call, fields);
    } else if (http_status != 200) {
        char message[64];
        (void)snprintf(message, sizeof message, "unexpected HTTP status %u", http_status);
        mote_client_call_give_up(call, mote_status_from_http(http_status), message);
    } else if (!is_grpc(fields->known[MOTE_FIELD_CONTENT_TYPE])) {
        mote_client_call_give_up(call, MOTE_STATUS_UNKNOWN, "the response is not gRPC");
    } else if (end_stream) {
        end_text(call, MOTE_STATUS_INTERNAL, "the response has no status");
    } else {
        const struct mote_slice encoding = fields->known[MOTE_FIELD_GRPC_ENCODING];
        if (mote_slice_is_present(encoding)) {
            call->their_encoding = (uint8_t)mote_compression_find(encoding);
        }
        if (call->callbacks->headers != NULL) {
            call->callbacks->headers(call, fields);
        }
    }
}

static void take_body(struct mote_client_call *call, struct mote_slice body)
{
    call->messages++;
    if (call->trace != NULL) {
        mote_client_trace_message(call, false, body.length);
    }
    if (has_single_response(call) && call->messages > 1) {
        mote_client_call_give_up(call, MOTE_STATUS_UNIMPLEMENTED, "more than one response message");
        return;
    }
    memset(call->response, 0, call->method->response->size);
    if (call->callbacks->prepare != NULL) {
        call->callbacks->prepare(call, call->response);
    }
    if (!call->ended && mote_codec_decode_prepared(call->method->response, body, call->response, NULL) != 0 &&
        !call->ended) {
        mote_client_call_give_up(call, MOTE_STATUS_INTERNAL, "the response cannot be decoded");
    }
    if (!call->ended && call->callbacks->message != NULL) {
        call->callbacks->message(call, call->response);
    }
}

static void take_compressed(struct mote_client_call *call, struct mote_slice compressed)
{
    if (call->their_encoding == MOTE_ENCODING_IDENTITY || call->their_encoding == MOTE_ENCODING_COUNT) {
        mote_client_call_give_up(call, MOTE_STATUS_INTERNAL,
                                 call->their_encoding == MOTE_ENCODING_IDENTITY
                                     ? "a compressed message without a grpc-encoding"
                                     : "a message with an unknown grpc-encoding");
        return;
    }
    struct mote_buffer plain;
    mote_buffer_init(&plain, call->client->mem, call->deframer.limit);
    const int error = mote_compression_decompress((enum mote_encoding)call->their_encoding, compressed, &plain);
    if (error == 0) {
        take_body(call, mote_buffer_slice(&plain));
    } else if (error == MOTE_ELIMIT) {
        mote_client_call_give_up(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "received message larger than the limit");
    } else {
        mote_client_call_give_up(call, error == MOTE_EDECODE ? MOTE_STATUS_INTERNAL : mote_status_from_error(error),
                                 "the message cannot be decompressed");
    }
    mote_buffer_dispose(&plain);
}

static void take_message(struct mote_client_call *call, const struct mote_message *message)
{
    call->compressed = message->compressed;
    if (message->compressed) {
        take_compressed(call, message->body);
    } else {
        take_body(call, message->body);
    }
}

static void take_data(struct mote_client_call *call, struct mote_slice data)
{
    while (!call->ended) {
        struct mote_message message;
        bool ready;
        const int error = mote_deframer_next(&call->deframer, &data, &message, &ready);
        if (error == MOTE_ELIMIT) {
            mote_client_call_give_up(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "received message larger than the limit");
        } else if (error != 0) {
            mote_client_call_give_up(call, error == MOTE_EDECODE ? MOTE_STATUS_INTERNAL : mote_status_from_error(error),
                                     "the response cannot be read");
        } else if (ready) {
            take_message(call, &message);
        } else {
            return;
        }
    }
}

/* The server never looked at it: with everything still at hand it is made again; once, if it has seen the server. */
static bool try_again(struct mote_client_call *call, bool was_requested)
{
    if (call->channel == NULL || !call->keeps || (was_requested && call->was_refused) || call->channel->closed) {
        return false;
    }
    unlink_call(call);
    call->was_refused |= was_requested;
    call->connection = NULL;
    mote_client_channel_enqueue(call->channel, call, true);
    return true;
}

static void take_closed(struct mote_client_call *call, const struct mote_event *event)
{
    struct mote_client_connection *connection = call->connection;
    const uint32_t error = event->u.end.error;
    call->stream = NULL;
    const bool was_requested = mote_h2_was_requested(event->stream);
    const bool was_refused = error == MOTE_H2_REFUSED_STREAM && event->by_peer;
    if ((was_refused || (connection->lost && !was_requested)) && try_again(call, was_requested)) {
        return;
    }
    if (connection->lost) {
        end_text(call, MOTE_STATUS_UNAVAILABLE, connection->why);
    } else if (error == MOTE_H2_NO_ERROR) {
        end_text(call, MOTE_STATUS_INTERNAL, "the stream ended without a status");
    } else if (error == MOTE_H2_CANCEL && event->by_peer && call->due_ns <= call->client->now_ns) {
        /* A server that knows the deadline too may be a little faster. */
        end_text(call, MOTE_STATUS_DEADLINE_EXCEEDED, "deadline exceeded");
    } else {
        char message[64];
        (void)snprintf(message, sizeof message, "stream reset: %s", mote_h2_error_name((enum mote_h2_error)error));
        end_text(call, mote_status_from_h2_error(error), message);
    }
}

void mote_client_call_take_event(struct mote_client_call *call, const struct mote_event *event)
{
    call->busy++;
    switch (event->type) {
    case MOTE_EVENT_HEADERS:
        take_headers(call, event->u.fields, event->end_stream);
        break;
    case MOTE_EVENT_TRAILERS:
        end_by_trailers(call, event->u.fields);
        break;
    case MOTE_EVENT_DATA:
        take_data(call, event->u.data);
        if (!event->end_stream) {
            mote_h2_consume(event->stream, event->u.data.length);
        } else if (!call->ended) {
            end_text(call, MOTE_STATUS_INTERNAL, "the response has no trailers");
        }
        break;
    case MOTE_EVENT_END:
        end_text(call, MOTE_STATUS_INTERNAL, "the response has no trailers");
        break;
    case MOTE_EVENT_WRITABLE:
        if (call->callbacks->writable != NULL) {
            call->callbacks->writable(call);
        }
        break;
    case MOTE_EVENT_CLOSED:
        take_closed(call, event);
        break;
    case MOTE_EVENT_PING_ACK: /* of connections, not of calls */
    case MOTE_EVENT_GOAWAY:
        break;
    }
    release(call);
}

/* --- the request ----------------------------------------------------------------------------------------------- */

static void fire(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_client_call *call = MOTE_CONTAINER_OF(timer, struct mote_client_call, timer);
    char message[MOTE_CLIENT_CHANNEL_PROBLEM_MAX + 64] = "deadline exceeded";
    const char *problem = call->channel != NULL ? call->channel->problem : "";
    call->client->now_ns = now_ns;
    if (call->failure != 0) {
        end_text(call, mote_status_from_error(call->failure),
                 call->failure == MOTE_ECONNECT ? problem : mote_error_text(call->failure));
        return;
    }
    if (is_waiting(call)) {
        (void)snprintf(message, sizeof message, "deadline exceeded while waiting for a connection%s%s",
                       problem[0] != '\0' ? ": " : "", problem);
    }
    mote_client_call_give_up(call, MOTE_STATUS_DEADLINE_EXCEEDED, message);
}

static int submit_request(struct mote_client_call *call, struct mote_client_connection *connection)
{
    static const struct mote_field method = STATIC_FIELD(":method", "POST");
    static const struct mote_field schemes[] = {STATIC_FIELD(":scheme", "http"), STATIC_FIELD(":scheme", "https")};
    static const struct mote_field te = STATIC_FIELD("te", "trailers");
    static const struct mote_field content_type = STATIC_FIELD("content-type", "application/grpc");
    static const struct mote_slice user_agent_name = MOTE_SLICE_LITERAL("user-agent");
    static const struct mote_slice path_name = MOTE_SLICE_LITERAL(":path");
    static const struct mote_slice authority_name = MOTE_SLICE_LITERAL(":authority");
    static const struct mote_field accepted = STATIC_FIELD("grpc-accept-encoding", MOTE_ENCODING_NAMES);
    static const struct mote_slice encoding_name = MOTE_SLICE_LITERAL("grpc-encoding");
    static const struct mote_slice timeout_name = MOTE_SLICE_LITERAL("grpc-timeout");
    static const struct mote_slice trace_parent_name = MOTE_SLICE_LITERAL("traceparent");
    static const struct mote_slice trace_state_name = MOTE_SLICE_LITERAL("tracestate");
    const struct mote_client_target *target = &connection->target;
    const char *user_agent = target->user_agent != NULL ? target->user_agent : "mote";
    struct mote_field fields[MOTE_CLIENT_FIELDS + MOTE_CLIENT_METADATA_MAX];
    char timeout[MOTE_TIMEOUT_TEXT_MAX];
    size_t count = 0;
    fields[count++] = method;
    fields[count++] = schemes[target->is_secure];
    fields[count++] = (struct mote_field){path_name, mote_slice_text(call->method->path), MOTE_FIELD_STATIC};
    fields[count++] = (struct mote_field){authority_name, mote_slice_text(target->authority), 0};
    fields[count++] = te;
    fields[count++] = content_type;
    fields[count++] = (struct mote_field){user_agent_name, mote_slice_text(user_agent), 0};
    fields[count++] = accepted;
    if (call->encoding != MOTE_ENCODING_IDENTITY) {
        const struct mote_slice name = mote_compression_name((enum mote_encoding)call->encoding);
        fields[count++] = (struct mote_field){encoding_name, name, MOTE_FIELD_STATIC};
    }
    if (call->due_ns != UINT64_MAX) {
        const uint64_t now_ns = call->client->now_ns;
        const size_t length = mote_timeout_format(timeout, call->due_ns > now_ns ? call->due_ns - now_ns : 0);
        fields[count++] = (struct mote_field){timeout_name, mote_slice(timeout, length), 0};
    }
    if (call->trace != NULL) {
        const struct mote_slice parent = mote_slice(call->trace->parent_text, MOTE_TRACE_PARENT_LENGTH);
        fields[count++] = (struct mote_field){trace_parent_name, parent, 0};
        if (call->trace->state.length != 0) {
            fields[count++] = (struct mote_field){trace_state_name, call->trace->state, 0};
        }
    }
    mote_assert(count <= MOTE_CLIENT_FIELDS);
    memcpy(&fields[count], call->metadata, call->metadata_count * sizeof fields[0]);
    count += call->metadata_count;
    return mote_h2_request(connection->h2, fields, count, false, call, &call->stream);
}

/* Copies a slice to *text, and moves that behind it. */
static struct mote_slice copy_slice(char **text, struct mote_slice slice)
{
    char *copy = *text;
    if (slice.length != 0) {
        memcpy(copy, slice.data, slice.length);
        *text += slice.length;
    }
    return mote_slice(copy, slice.length);
}

static void copy_metadata(struct mote_client_call *call, const struct mote_client_call_options *options)
{
    char *text = (char *)call->response + options->method->response->size;
    for (size_t i = 0; i < options->metadata_count; i++) {
        const struct mote_field *field = &options->metadata[i];
        call->metadata[i] = (struct mote_field){
            .name = copy_slice(&text, field->name), .value = copy_slice(&text, field->value), .flags = field->flags};
    }
}

int mote_client_call_new(struct mote_client_call **out, struct mote_client *client,
                         const struct mote_client_target *target, const struct mote_client_call_options *options)
{
    const size_t trace_size = mote_client_trace_size(target, options);
    size_t size = sizeof(struct mote_client_call) + trace_size + options->metadata_count * sizeof options->metadata[0] +
                  options->method->response->size;
    if (options->metadata_count > MOTE_CLIENT_METADATA_MAX) {
        return MOTE_ELIMIT;
    }
    for (size_t i = 0; i < options->metadata_count; i++) {
        size += options->metadata[i].name.length + options->metadata[i].value.length;
    }
    struct mote_client_call *call = mote_mem_allocate(client->mem, size);
    if (call == NULL) {
        return MOTE_ENOMEM;
    }
    *call = (struct mote_client_call){
        .client = client,
        .method = options->method,
        .callbacks = options->callbacks,
        .user = options->user,
        .trace = trace_size != 0 ? mote_client_trace_init(call + 1, target, options) : NULL,
        .metadata = (struct mote_field *)(void *)((char *)(call + 1) + trace_size),
        .metadata_count = options->metadata_count,
        .size = size,
        .due_ns = options->timeout_ns < UINT64_MAX - client->now_ns ? client->now_ns + options->timeout_ns : UINT64_MAX,
        .encoding = (uint8_t)options->encoding,
        .compresses = options->encoding != MOTE_ENCODING_IDENTITY,
        .wait_for_ready = options->wait_for_ready,
        .once = options->once,
    };
    call->response = call->metadata + call->metadata_count;
    copy_metadata(call, options);
    const uint64_t limit = client->limits->message_receive_max;
    mote_deframer_init(&call->deframer, client->mem, limit < UINT32_MAX ? (size_t)limit : UINT32_MAX);
    mote_buffer_init(&call->kept, client->mem,
                     client->limits->message_send_max + MOTE_MESSAGE_PREFIX + client->limits->stream_output_high);
    mote_list_init(&call->node);
    mote_timer_init(&call->timer, fire);
    *out = call;
    return 0;
}

/* What was sent before there was a stream. */
static int send_kept(struct mote_client_call *call)
{
    const struct mote_slice kept = mote_buffer_slice(&call->kept);
    int error = kept.length != 0 ? mote_h2_write(call->stream, kept, mote_slice(NULL, 0)) : 0;
    if (error == 0 && call->half_closed) {
        error = mote_h2_write_end(call->stream);
    }
    if (error != 0) {
        call->stream->user = NULL;
        mote_h2_reset(call->stream, MOTE_H2_CANCEL);
        call->stream = NULL;
    }
    return error;
}

int mote_client_call_place(struct mote_client_call *call, struct mote_client_connection *connection)
{
    int error = submit_request(call, connection);
    if (error == 0) {
        error = send_kept(call);
    }
    if (error != 0) {
        return error;
    }
    if (call->once) {
        stop_keeping(call);
    }
    call->connection = connection;
    mote_list_append(&connection->calls, &call->node);
    if (call->due_ns != UINT64_MAX) {
        mote_timer_start(call->client->wheel, &call->timer, call->due_ns);
    }
    mote_client_connection_notify(connection);
    return 0;
}

int mote_client_call_start(struct mote_client_call **out, struct mote_client_connection *connection,
                           const struct mote_client_call_options *options, uint64_t now_ns)
{
    struct mote_client *client = connection->client;
    client->now_ns = now_ns;
    if (connection->closing || connection->lost) {
        return MOTE_ECLOSED;
    }
    int error = mote_client_call_new(out, client, &connection->target, options);
    if (error == 0) {
        error = mote_client_call_place(*out, connection);
        if (error != 0) {
            mote_mem_wipe(*out, (*out)->size);
            mote_mem_release(client->mem, *out);
        }
    }
    return error;
}

/* MOTE_EAGAIN: it waits, with as much as it may have. */
static int keep(struct mote_client_call *call, struct mote_slice prefix, struct mote_slice body)
{
    const size_t before = mote_buffer_length(&call->kept);
    if (!is_waiting(call) && before + prefix.length + body.length > MOTE_CLIENT_KEPT_MAX) {
        stop_keeping(call);
        return 0;
    }
    uint8_t *room;
    const int error = mote_buffer_reserve(&call->kept, prefix.length + body.length, &room);
    if (error != 0) {
        return error == MOTE_ELIMIT && before != 0 ? MOTE_EAGAIN : error;
    }
    memcpy(room, prefix.data, prefix.length);
    if (body.length != 0) {
        memcpy(room + prefix.length, body.data, body.length);
    }
    mote_buffer_commit(&call->kept, prefix.length + body.length);
    return 0;
}

static int write_message(struct mote_client_call *call, bool compressed, struct mote_slice body)
{
    uint8_t bytes[MOTE_MESSAGE_PREFIX];
    const struct mote_slice prefix = mote_slice(bytes, sizeof bytes);
    mote_message_prefix(bytes, compressed, (uint32_t)body.length);
    const int error = call->keeps ? keep(call, prefix, body) : 0;
    return error == 0 && !is_waiting(call) ? mote_h2_write(call->stream, prefix, body) : error;
}

static int write_compressed(struct mote_client_call *call, struct mote_slice body)
{
    struct mote_buffer compressed;
    mote_buffer_init(&compressed, call->client->mem, 0);
    int error = mote_compression_compress((enum mote_encoding)call->encoding, body, &compressed);
    if (error == 0) {
        error = write_message(call, true, mote_buffer_slice(&compressed));
    }
    mote_buffer_dispose(&compressed);
    return error;
}

void mote_client_call_compress(struct mote_client_call *call, bool on)
{
    call->compresses = on && call->encoding != MOTE_ENCODING_IDENTITY;
}

bool mote_client_call_was_compressed(const struct mote_client_call *call)
{
    return call->compressed;
}

/* Messages may still be sent. */
static bool is_open(const struct mote_client_call *call)
{
    return !call->ended && !call->half_closed && (is_waiting(call) || call->stream != NULL);
}

int mote_client_call_send_encoded(struct mote_client_call *call, struct mote_slice encoded)
{
    if (!is_open(call)) {
        return MOTE_ECLOSED;
    }
    if (encoded.length > call->client->limits->message_send_max) {
        return MOTE_ELIMIT;
    }
    const int error = call->compresses ? write_compressed(call, encoded) : write_message(call, false, encoded);
    if (error == 0 && call->trace != NULL) {
        mote_client_trace_message(call, true, encoded.length);
    }
    if (error == 0 && !is_waiting(call)) {
        mote_client_connection_notify(call->connection);
    }
    return error;
}

int mote_client_call_send(struct mote_client_call *call, const void *request)
{
    struct mote_client *client = call->client;
    const struct mote_message_type *type = call->method->request;
    struct mote_buffer large;
    mote_buffer_init(&large, client->mem, client->limits->message_send_max);
    struct mote_slice body = {.data = client->scratch};
    int error = mote_codec_encode_into(type, request, client->scratch, sizeof client->scratch, &body.length);
    if (error == MOTE_ELIMIT) {
        error = mote_codec_encode(type, request, &large);
        body = mote_buffer_slice(&large);
    }
    if (error == 0) {
        error = mote_client_call_send_encoded(call, body);
    }
    mote_buffer_dispose(&large);
    mote_mem_wipe(client->scratch, sizeof client->scratch);
    return error;
}

bool mote_client_call_may_send(const struct mote_client_call *call)
{
    const size_t queued = is_waiting(call)       ? mote_buffer_length(&call->kept)
                          : call->stream != NULL ? mote_h2_queued(call->stream)
                                                 : 0;
    return queued <= call->client->limits->stream_output_high;
}

int mote_client_call_half_close(struct mote_client_call *call)
{
    if (!is_open(call)) {
        return MOTE_ECLOSED;
    }
    const int error = is_waiting(call) ? 0 : mote_h2_write_end(call->stream);
    if (error == 0) {
        call->half_closed = true;
        if (!is_waiting(call)) {
            mote_client_connection_notify(call->connection);
        }
    }
    return error;
}

void mote_client_call_cancel(struct mote_client_call *call)
{
    if (!call->ended) {
        mote_client_call_give_up(call, MOTE_STATUS_CANCELLED, "cancelled");
    }
}

void *mote_client_call_user(const struct mote_client_call *call)
{
    return call->user;
}
