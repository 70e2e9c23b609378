/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call of the client role (PROTOCOL-HTTP2): request headers, messages, half-close; then the response's headers,
 * messages and trailers, or why there are none. The status is decided once, and `ended` is the last that is heard of
 * the call: trailers with grpc-status; a reset's or the HTTP status' equivalent; the deadline; cancellation; the
 * connection's end.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "codec/codec.h"
#include "rpc/client_core.h"
#include "wire/timeout.h"

#define USER_AGENT "mote"

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
        mote_mem_wipe(call->response, call->method->response->size);
        mote_mem_release(call->connection->client->mem, call);
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
    mote_timer_stop(connection->client->wheel, &call->timer);
    mote_list_remove(&call->node);
    mote_deframer_dispose(&call->deframer);
    if (call->stream != NULL) {
        call->stream->user = NULL;
        if (!call->half_closed) {
            mote_h2_reset(call->stream, MOTE_H2_CANCEL); /* nobody reads on at the other end */
        }
    }
    call->callbacks->ended(call, status, message, trailers);
    release(call);
    mote_client_connection_call_ended(connection);
}

static void end_text(struct mote_client_call *call, enum mote_status status, const char *message)
{
    end(call, status, mote_slice_text(message), NULL);
}

/* Ends the call from our side: the server is told by a reset. */
static void give_up(struct mote_client_call *call, enum mote_status status, const char *message)
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
    const bool has_status = mote_slice_is_present(fields->known[MOTE_FIELD_GRPC_STATUS]);
    if (end_stream && has_status) {
        end_by_trailers(call, fields);
    } else if (http_status != 200) {
        char message[64];
        (void)snprintf(message, sizeof message, "unexpected HTTP status %u", http_status);
        give_up(call, mote_status_from_http(http_status), message);
    } else if (!is_grpc(fields->known[MOTE_FIELD_CONTENT_TYPE])) {
        give_up(call, MOTE_STATUS_UNKNOWN, "the response is not gRPC");
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
    if (has_single_response(call) && call->messages > 1) {
        give_up(call, MOTE_STATUS_UNIMPLEMENTED, "more than one response message");
        return;
    }
    if (mote_codec_decode(call->method->response, body, call->response, NULL) != 0) {
        give_up(call, MOTE_STATUS_INTERNAL, "the response cannot be decoded");
        return;
    }
    if (call->callbacks->message != NULL) {
        call->callbacks->message(call, call->response);
    }
}

static void take_compressed(struct mote_client_call *call, struct mote_slice compressed)
{
    if (call->their_encoding == MOTE_ENCODING_IDENTITY || call->their_encoding == MOTE_ENCODING_COUNT) {
        give_up(call, MOTE_STATUS_INTERNAL,
                call->their_encoding == MOTE_ENCODING_IDENTITY ? "a compressed message without a grpc-encoding"
                                                               : "a message with an unknown grpc-encoding");
        return;
    }
    struct mote_buffer plain;
    mote_buffer_init(&plain, call->connection->client->mem, call->deframer.limit);
    const int error = mote_compression_decompress((enum mote_encoding)call->their_encoding, compressed, &plain);
    if (error == 0) {
        take_body(call, mote_buffer_slice(&plain));
    } else if (error == MOTE_ELIMIT) {
        give_up(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "received message larger than the limit");
    } else {
        give_up(call, error == MOTE_EDECODE ? MOTE_STATUS_INTERNAL : mote_status_from_error(error),
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
            give_up(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "received message larger than the limit");
        } else if (error != 0) {
            give_up(call, error == MOTE_EDECODE ? MOTE_STATUS_INTERNAL : mote_status_from_error(error),
                    "the response cannot be read");
        } else if (ready) {
            take_message(call, &message);
        } else {
            return;
        }
    }
}

static void take_closed(struct mote_client_call *call, const struct mote_event *event)
{
    struct mote_client_connection *connection = call->connection;
    const uint32_t error = event->u.end.error;
    call->stream = NULL;
    if (connection->lost) {
        end_text(call, MOTE_STATUS_UNAVAILABLE, "the connection was lost");
    } else if (error == MOTE_H2_NO_ERROR) {
        end_text(call, MOTE_STATUS_INTERNAL, "the stream ended without a status");
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
    (void)now_ns;
    give_up(MOTE_CONTAINER_OF(timer, struct mote_client_call, timer), MOTE_STATUS_DEADLINE_EXCEEDED,
            "deadline exceeded");
}

static int submit_request(struct mote_client_call *call, const struct mote_client_call_options *options)
{
    static const struct mote_field method = STATIC_FIELD(":method", "POST");
    static const struct mote_field scheme = STATIC_FIELD(":scheme", "http");
    static const struct mote_field te = STATIC_FIELD("te", "trailers");
    static const struct mote_field content_type = STATIC_FIELD("content-type", "application/grpc");
    static const struct mote_field user_agent = STATIC_FIELD("user-agent", USER_AGENT);
    static const struct mote_slice path_name = MOTE_SLICE_LITERAL(":path");
    static const struct mote_slice authority_name = MOTE_SLICE_LITERAL(":authority");
    static const struct mote_field accepted = STATIC_FIELD("grpc-accept-encoding", MOTE_ENCODING_NAMES);
    static const struct mote_slice encoding_name = MOTE_SLICE_LITERAL("grpc-encoding");
    static const struct mote_slice timeout_name = MOTE_SLICE_LITERAL("grpc-timeout");
    struct mote_client_connection *connection = call->connection;
    struct mote_field fields[MOTE_CLIENT_FIELDS + MOTE_CLIENT_METADATA_MAX];
    char timeout[MOTE_TIMEOUT_TEXT_MAX];
    size_t count = 0;
    fields[count++] = method;
    fields[count++] = scheme;
    fields[count++] = (struct mote_field){path_name, mote_slice_text(call->method->path), MOTE_FIELD_STATIC};
    fields[count++] = (struct mote_field){authority_name, mote_slice_text(connection->authority), 0};
    fields[count++] = te;
    fields[count++] = content_type;
    fields[count++] = user_agent;
    fields[count++] = accepted;
    if (options->encoding != MOTE_ENCODING_IDENTITY) {
        fields[count++] =
            (struct mote_field){encoding_name, mote_compression_name(options->encoding), MOTE_FIELD_STATIC};
    }
    if (options->timeout_ns != UINT64_MAX) {
        const size_t length = mote_timeout_format(timeout, options->timeout_ns);
        fields[count++] = (struct mote_field){timeout_name, mote_slice(timeout, length), 0};
    }
    mote_assert(count <= MOTE_CLIENT_FIELDS);
    for (size_t i = 0; i < options->metadata_count; i++) {
        fields[count++] = options->metadata[i];
    }
    return mote_h2_request(connection->h2, fields, count, false, call, &call->stream);
}

int mote_client_call_start(struct mote_client_call **out, struct mote_client_connection *connection,
                           const struct mote_client_call_options *options, uint64_t now_ns)
{
    struct mote_client *client = connection->client;
    if (connection->closing || connection->lost) {
        return MOTE_ECLOSED;
    }
    if (options->metadata_count > MOTE_CLIENT_METADATA_MAX) {
        return MOTE_ELIMIT;
    }
    struct mote_client_call *call = mote_mem_allocate(client->mem, sizeof *call + options->method->response->size);
    if (call == NULL) {
        return MOTE_ENOMEM;
    }
    *call = (struct mote_client_call){
        .connection = connection,
        .method = options->method,
        .callbacks = options->callbacks,
        .user = options->user,
        .response = call + 1,
        .encoding = (uint8_t)options->encoding,
        .compresses = options->encoding != MOTE_ENCODING_IDENTITY,
    };
    const uint64_t limit = client->limits->message_receive_max;
    mote_deframer_init(&call->deframer, client->mem, limit < UINT32_MAX ? (size_t)limit : UINT32_MAX);
    mote_timer_init(&call->timer, fire);
    const int error = submit_request(call, options);
    if (error != 0) {
        mote_mem_release(client->mem, call);
        return error;
    }
    mote_list_append(&connection->calls, &call->node);
    if (options->timeout_ns < UINT64_MAX - now_ns) {
        mote_timer_start(client->wheel, &call->timer, now_ns + options->timeout_ns);
    }
    mote_client_connection_notify(connection);
    *out = call;
    return 0;
}

static int write_message(struct mote_client_call *call, bool compressed, struct mote_slice body)
{
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    mote_message_prefix(prefix, compressed, (uint32_t)body.length);
    return mote_h2_write(call->stream, mote_slice(prefix, sizeof prefix), body);
}

static int write_compressed(struct mote_client_call *call, struct mote_slice body)
{
    struct mote_buffer compressed;
    mote_buffer_init(&compressed, call->connection->client->mem, 0);
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

int mote_client_call_send(struct mote_client_call *call, const void *request)
{
    struct mote_client *client = call->connection->client;
    const struct mote_message_type *type = call->method->request;
    if (call->ended || call->half_closed || call->stream == NULL) {
        return MOTE_ECLOSED;
    }
    struct mote_buffer large;
    mote_buffer_init(&large, client->mem, client->limits->message_send_max);
    struct mote_slice body = {.data = client->scratch};
    int error = mote_codec_encode_into(type, request, client->scratch, sizeof client->scratch, &body.length);
    if (error == MOTE_ELIMIT) {
        error = mote_codec_encode(type, request, &large);
        body = mote_buffer_slice(&large);
    }
    if (error == 0) {
        error = call->compresses ? write_compressed(call, body) : write_message(call, false, body);
    }
    mote_buffer_dispose(&large);
    mote_mem_wipe(client->scratch, sizeof client->scratch);
    if (error == 0) {
        mote_client_connection_notify(call->connection);
    }
    return error;
}

int mote_client_call_half_close(struct mote_client_call *call)
{
    if (call->ended || call->half_closed || call->stream == NULL) {
        return MOTE_ECLOSED;
    }
    const int error = mote_h2_write_end(call->stream);
    if (error == 0) {
        call->half_closed = true;
        mote_client_connection_notify(call->connection);
    }
    return error;
}

void mote_client_call_cancel(struct mote_client_call *call)
{
    if (!call->ended) {
        give_up(call, MOTE_STATUS_CANCELLED, "cancelled");
    }
}

void *mote_client_call_user(const struct mote_client_call *call)
{
    return call->user;
}
