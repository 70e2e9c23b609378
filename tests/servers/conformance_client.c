/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of connectrpc's conformance suite. Its runner says on standard input which calls are to be made, and is
 * told on standard output how they went: a message each, behind its length in four bytes, big endian. One call after
 * the other, each on a channel of its own, until standard input ends.
 */
#include <mote/net/channel.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance_client.mote.h"
#include "conformance_list.h"
#include "google/rpc/status.mote.h"

#define REQUEST_MAX (64u << 20)
#define FIELDS_MAX  56u
#define FULL_DUPLEX 5 /* of the suite's stream types */

typedef connectrpc_conformance_v1_ClientCompatRequest compat_request;
typedef connectrpc_conformance_v1_ClientCompatResponse compat_response;

struct exchange {
    const compat_request *request;
    struct mote_arena arena;
    struct mote_field fields[FIELDS_MAX];
    size_t field_count;
    struct list messages; /* to be sent */
    struct mote_loop *loop;
    struct mote_channel *channel;
    struct mote_client_call *call; /* NULL once it has ended */
    struct list payloads;
    size_t message_count;
    struct list headers; /* names are in type_url */
    struct list trailers;
    struct list details;
    int32_t unsent;
    bool news;
    bool ended;
    enum mote_status status;
    char message[sizeof((connectrpc_conformance_v1_Error){0}.message)];
};

/* --- what comes back --------------------------------------------------------------------------------------------- */

static void keep_fields(struct list *list, const struct mote_fields *fields)
{
    for (size_t i = 0; i < fields->other_count; i++) {
        struct item *item = list_append(list, fields->others[i].value);
        const char *name = mote_arena_copy_text(list->arena, fields->others[i].name);
        if (item == NULL || name == NULL) {
            abort();
        }
        item->type_url = mote_slice_text(name);
    }
}

static void note_headers(struct mote_client_call *call, const struct mote_fields *fields)
{
    struct exchange *exchange = mote_client_call_user(call);
    keep_fields(&exchange->headers, fields);
}

static void prepare(struct mote_client_call *call, void *response)
{
    struct exchange *exchange = mote_client_call_user(call);
    ((connectrpc_conformance_v1_EncodedResponse *)response)->payload =
        (pb_callback_t){.funcs.decode = list_take_value, .arg = &exchange->payloads};
}

static void note_message(struct mote_client_call *call, const void *response)
{
    struct exchange *exchange = mote_client_call_user(call);
    const compat_request *request = exchange->request;
    (void)response;
    exchange->news = true;
    exchange->message_count++;
    if (exchange->payloads.count < exchange->message_count && /* it was empty */
        list_append(&exchange->payloads, mote_slice(NULL, 0)) == NULL) {
        abort();
    }
    if (request->has_cancel && request->cancel.after_num_responses != 0 &&
        exchange->payloads.count == request->cancel.after_num_responses) {
        mote_client_call_cancel(call);
    }
}

static void keep_details(struct exchange *exchange, struct mote_slice encoded)
{
    uint8_t *bytes = mote_arena_allocate(&exchange->arena, encoded.length + 1);
    size_t length;
    google_rpc_Status status = {.details = {.funcs.decode = list_take_any, .arg = &exchange->details}};
    if (bytes != NULL && mote_fields_decode_binary(bytes, &length, encoded) == 0) {
        (void)!mote_codec_decode_prepared(&google_rpc_Status_type, mote_slice(bytes, length), &status, NULL);
    }
}

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct exchange *exchange = mote_client_call_user(call);
    exchange->call = NULL;
    exchange->ended = true;
    exchange->news = true;
    exchange->status = status;
    (void)snprintf(exchange->message, sizeof exchange->message, "%.*s", (int)message.length,
                   (const char *)message.data);
    if (trailers != NULL) {
        keep_fields(&exchange->trailers, trailers);
        if (mote_slice_is_present(trailers->known[MOTE_FIELD_GRPC_STATUS_DETAILS])) {
            keep_details(exchange, trailers->known[MOTE_FIELD_GRPC_STATUS_DETAILS]);
        }
    }
}

/* --- the call ---------------------------------------------------------------------------------------------------- */

static void pass(struct exchange *exchange, uint32_t duration_ms)
{
    static const bool never = false;
    (void)mote_loop_run(exchange->loop, &never, duration_ms * (uint64_t)MOTE_NS_PER_MS);
}

static void wait_for_payloads(struct exchange *exchange, size_t count)
{
    while (!exchange->ended && exchange->payloads.count < count) {
        exchange->news = false;
        (void)mote_loop_run(exchange->loop, &exchange->news, UINT64_MAX);
    }
}

static void send_all(struct exchange *exchange)
{
    const compat_request *request = exchange->request;
    size_t sent = 0;
    for (const struct item *item = exchange->messages.first; item != NULL; item = item->next) {
        if (request->request_delay_ms != 0) {
            pass(exchange, request->request_delay_ms);
        }
        if (exchange->call == NULL || mote_client_call_send_encoded(exchange->call, item->value) != 0) {
            exchange->unsent++;
            continue;
        }
        sent++;
        if (request->stream_type == FULL_DUPLEX) {
            wait_for_payloads(exchange, sent);
        }
    }
}

static void cancel(struct exchange *exchange)
{
    if (exchange->call != NULL) {
        mote_client_call_cancel(exchange->call);
    }
}

static void carry_out(struct exchange *exchange)
{
    const compat_request *request = exchange->request;
    send_all(exchange);
    if (request->has_cancel && request->cancel.has_before_close_send) {
        cancel(exchange);
    }
    if (exchange->call != NULL) {
        (void)!mote_client_call_half_close(exchange->call);
    }
    if (request->has_cancel && request->cancel.has_after_close_send_ms) {
        pass(exchange, request->cancel.after_close_send_ms);
        cancel(exchange);
    }
    wait_for_payloads(exchange, SIZE_MAX);
}

static enum mote_encoding encoding_of(int32_t compression)
{
    return compression == 2 ? MOTE_ENCODING_GZIP : compression == 5 ? MOTE_ENCODING_DEFLATE : MOTE_ENCODING_IDENTITY;
}

static enum mote_call_kind kind_of(int32_t stream_type)
{
    return stream_type == 1   ? MOTE_CALL_UNARY
           : stream_type == 2 ? MOTE_CALL_CLIENT_STREAM
           : stream_type == 3 ? MOTE_CALL_SERVER_STREAM
                              : MOTE_CALL_BIDI_STREAM;
}

static int start(struct exchange *exchange)
{
    static const struct mote_client_call_callbacks callbacks = {
        .headers = note_headers, .prepare = prepare, .message = note_message, .ended = note_end};
    const compat_request *request = exchange->request;
    const struct mote_method method = {
        .name = request->method,
        .path = mote_arena_format(&exchange->arena, "/%s/%s", request->service, request->method),
        .kind = kind_of(request->stream_type),
        .request = &connectrpc_conformance_v1_EncodedResponse_type,
        .response = &connectrpc_conformance_v1_EncodedResponse_type,
    };
    struct mote_method *kept = mote_arena_allocate(&exchange->arena, sizeof *kept);
    if (kept == NULL || method.path == NULL) {
        return MOTE_ENOMEM;
    }
    memcpy(kept, &method, sizeof *kept);
    const struct mote_client_call_options options = {
        .method = kept,
        .callbacks = &callbacks,
        .user = exchange,
        .timeout_ns = request->has_timeout_ms ? request->timeout_ms * (uint64_t)MOTE_NS_PER_MS : UINT64_MAX,
        .metadata = exchange->fields,
        .metadata_count = exchange->field_count,
        .encoding = encoding_of(request->compression),
    };
    return mote_channel_start(&exchange->call, exchange->channel, &options);
}

/* The server's certificate is its own authority. */
static int make_tls(const compat_request *request, struct mote_tls_context **out, char problem[MOTE_TLS_PROBLEM_MAX])
{
    const struct mote_tls_identity identity = {
        .certificate = {"client_tls_creds.cert",
                        {request->client_tls_creds.cert.bytes, request->client_tls_creds.cert.size}},
        .key = {"client_tls_creds.key", {request->client_tls_creds.key.bytes, request->client_tls_creds.key.size}},
    };
    const struct mote_tls_options options = {
        .is_client = true,
        .identities = &identity,
        .identity_count = request->client_tls_creds.cert.size != 0,
        .authorities = {"server_tls_cert", {request->server_tls_cert.bytes, request->server_tls_cert.size}},
        .is_pinned = true,
        .random = mote_random_system(),
        .mem = mote_mem_system(),
    };
    return mote_tls_context_new(out, &options, problem);
}

static int open_channel(struct exchange *exchange, char problem[MOTE_CHANNEL_PROBLEM_MAX])
{
    const compat_request *request = exchange->request;
    struct mote_channel_options options = {.user_agent = "conformance-client mote"};
    struct mote_limits limits;
    char target[sizeof request->host + 16];
    int error = 0;
    mote_limits_init(&limits);
    if (request->message_receive_limit != 0) {
        limits.message_receive_max = request->message_receive_limit;
    }
    (void)snprintf(target, sizeof target, strchr(request->host, ':') != NULL ? "[%s]:%u" : "%s:%u", request->host,
                   (unsigned)request->port);
    options.target = target;
    if (request->server_tls_cert.size != 0) {
        error = make_tls(request, &options.tls, problem);
    }
    if (error == 0) {
        error = mote_loop_new(&exchange->loop, mote_mem_system(), &limits);
    }
    if (error == 0) {
        error = mote_channel_open(&exchange->channel, exchange->loop, &options, problem);
    }
    mote_tls_context_unref(options.tls);
    return error;
}

/* --- the runner -------------------------------------------------------------------------------------------------- */

static bool take_header(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct exchange *exchange = *arg;
    struct list name = {.arena = &exchange->arena};
    struct list values = {.arena = &exchange->arena};
    connectrpc_conformance_v1_Header header = {
        .name = {.funcs.decode = list_take_value, .arg = &name},
        .value = {.funcs.decode = list_take_value, .arg = &values},
    };
    (void)field;
    if (!pb_decode(stream, connectrpc_conformance_v1_Header_fields, &header) || name.last == NULL) {
        return false;
    }
    uint8_t *letters = (uint8_t *)(uintptr_t)name.last->value.data;
    for (size_t i = 0; i < name.last->value.length; i++) {
        letters[i] |= letters[i] >= 'A' && letters[i] <= 'Z' ? 0x20 : 0;
    }
    for (const struct item *item = values.first; item != NULL && exchange->field_count < FIELDS_MAX;
         item = item->next) {
        exchange->fields[exchange->field_count++] = (struct mote_field){.name = name.last->value, .value = item->value};
    }
    return true;
}

/* The values of the items with the name of `arg`, from it on. */
static bool put_values(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct item *first = *arg;
    for (const struct item *item = first; item != NULL; item = item->next) {
        if (mote_slice_equals(item->type_url, first->type_url) &&
            !(pb_encode_tag_for_field(stream, field) &&
              pb_encode_string(stream, item->value.data, item->value.length))) {
            return false;
        }
    }
    return true;
}

static bool put_fields(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct list *list = *arg;
    for (struct item *item = list->first; item != NULL; item = item->next) {
        const struct item *same = list->first;
        while (!mote_slice_equals(same->type_url, item->type_url)) {
            same = same->next;
        }
        const connectrpc_conformance_v1_Header header = {
            .name = {.funcs.encode = list_put_slice, .arg = &item->type_url},
            .value = {.funcs.encode = put_values, .arg = item},
        };
        if (same == item && !(pb_encode_tag_for_field(stream, field) &&
                              pb_encode_submessage(stream, connectrpc_conformance_v1_Header_fields, &header))) {
            return false;
        }
    }
    return true;
}

static bool put_payloads(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct list *list = *arg;
    for (const struct item *item = list->first; item != NULL; item = item->next) {
        if (!pb_encode_tag_for_field(stream, field) ||
            !pb_encode_string(stream, item->value.data, item->value.length)) {
            return false;
        }
    }
    return true;
}

static void describe(struct exchange *exchange, compat_response *response)
{
    const enum mote_call_kind kind = kind_of(exchange->request->stream_type);
    if (exchange->status != MOTE_STATUS_OK && (kind == MOTE_CALL_UNARY || kind == MOTE_CALL_CLIENT_STREAM)) {
        exchange->payloads = (struct list){.arena = &exchange->arena}; /* an answer is a message or an error */
    }
    response->has_response = true;
    response->response.response_headers = (pb_callback_t){.funcs.encode = put_fields, .arg = &exchange->headers};
    response->response.response_trailers = (pb_callback_t){.funcs.encode = put_fields, .arg = &exchange->trailers};
    response->response.payloads = (pb_callback_t){.funcs.encode = put_payloads, .arg = &exchange->payloads};
    response->response.num_unsent_requests = exchange->unsent;
    if (exchange->status != MOTE_STATUS_OK) {
        response->response.has_error = true;
        response->response.error.code = (int32_t)exchange->status;
        memcpy(response->response.error.message, exchange->message, sizeof exchange->message);
        response->response.error.details = (pb_callback_t){.funcs.encode = list_put_anys, .arg = &exchange->details};
    }
}

static bool tell(const compat_response *response)
{
    struct mote_buffer out;
    mote_buffer_init(&out, mote_mem_system(), 0);
    const int error = mote_codec_encode(&connectrpc_conformance_v1_ClientCompatResponse_type, response, &out);
    const struct mote_slice bytes = mote_buffer_slice(&out);
    const uint8_t prefix[4] = {(uint8_t)(bytes.length >> 24), (uint8_t)(bytes.length >> 16),
                               (uint8_t)(bytes.length >> 8), (uint8_t)bytes.length};
    const bool told = error == 0 && fwrite(prefix, 1, sizeof prefix, stdout) == sizeof prefix &&
                      fwrite(bytes.data, 1, bytes.length, stdout) == bytes.length && fflush(stdout) == 0;
    mote_buffer_dispose(&out);
    return told;
}

static bool answer(struct exchange *exchange)
{
    static compat_response response;
    char problem[MOTE_CHANNEL_PROBLEM_MAX] = "";
    memset(&response, 0, sizeof response);
    memcpy(response.test_name, exchange->request->test_name, sizeof response.test_name);
    int error = open_channel(exchange, problem);
    if (error == 0) {
        error = start(exchange);
    }
    if (error == 0) {
        carry_out(exchange);
        describe(exchange, &response);
    } else {
        response.has_error = true;
        (void)snprintf(response.error.message, sizeof response.error.message, "%s: %s", mote_error_text(error),
                       problem);
    }
    const bool told = tell(&response);
    mote_channel_close(exchange->channel);
    mote_loop_free(exchange->loop);
    return told;
}

static bool serve(struct mote_slice encoded)
{
    static compat_request request;
    static struct exchange exchange;
    memset(&request, 0, sizeof request);
    memset(&exchange, 0, sizeof exchange);
    mote_arena_init(&exchange.arena, mote_mem_system(), 0);
    exchange.request = &request;
    const struct list list = {.arena = &exchange.arena};
    exchange.messages = exchange.payloads = exchange.headers = exchange.trailers = exchange.details = list;
    request.request_headers = (pb_callback_t){.funcs.decode = take_header, .arg = &exchange};
    request.request_messages = (pb_callback_t){.funcs.decode = list_take_any, .arg = &exchange.messages};
    const bool good =
        mote_codec_decode_prepared(&connectrpc_conformance_v1_ClientCompatRequest_type, encoded, &request, NULL) == 0 &&
        answer(&exchange);
    mote_arena_dispose(&exchange.arena);
    return good;
}

int main(void)
{
    uint8_t prefix[4];
    signal(SIGPIPE, SIG_IGN);
    while (fread(prefix, 1, sizeof prefix, stdin) == sizeof prefix) {
        const size_t length =
            (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 | (size_t)prefix[2] << 8 | (size_t)prefix[3];
        uint8_t *bytes = length <= REQUEST_MAX ? malloc(length + 1) : NULL;
        const bool good = bytes != NULL && fread(bytes, 1, length, stdin) == length && serve(mote_slice(bytes, length));
        free(bytes);
        if (!good) {
            fprintf(stderr, "conformance-client: a request that cannot be answered\n");
            return 1;
        }
    }
    return 0;
}
