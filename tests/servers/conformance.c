/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connectrpc.conformance.v1.ConformanceService: the first request of a call defines how it is answered; the answers
 * tell what was received. What is defined is read while the request is decoded: headers and trailers go straight into
 * the call's, all else into an exchange.
 */
#include <mote/base/clock.h>
#include <mote/rpc/call.h>
#include <mote/wire/fields.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>

#include "conformance.mote.h"
#include "conformance_list.h"
#include "flow.h"

#define TYPE_PREFIX   "type.googleapis.com/"
#define TYPE_URL_MAX  128u
#define INFO_TYPE_URL TYPE_PREFIX "connectrpc.conformance.v1.ConformancePayload.RequestInfo"

typedef connectrpc_conformance_v1_ConformancePayload_RequestInfo info_message;

struct exchange {
    struct flow flow;
    struct list requests; /* since the last answer: Any messages */
    struct list data;     /* of the answers still to be given */
    struct list details;  /* of the error: Any messages */
    connectrpc_conformance_v1_Error error;
    bool has_error;
    bool is_defined; /* by the first request */
    bool is_full_duplex;
    bool client_is_done;
    bool waited; /* the delay before the next answer is over */
    size_t answered;
    uint64_t delay_ns;
};

/* --- what was received ------------------------------------------------------------------------------------------- */

struct received_header {
    struct mote_call *call;
    const char *name; /* NUL-terminated */
};

static bool put_values(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct received_header *header = *arg;
    struct mote_slice value;
    for (size_t i = 0; value = mote_call_metadata_at(header->call, header->name, i), mote_slice_is_present(value);
         i++) {
        if (!pb_encode_tag_for_field(stream, field) || !pb_encode_string(stream, value.data, value.length)) {
            return false;
        }
    }
    return true;
}

/* A name that comes again has its values with the first. */
static bool came_before(const struct mote_call *call, size_t index, struct mote_slice name)
{
    struct mote_slice other;
    struct mote_slice value;
    for (size_t i = 0; i < index && mote_call_metadata_field(call, i, &other, &value); i++) {
        if (mote_slice_equals(other, name)) {
            return true;
        }
    }
    return false;
}

static bool put_headers(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    struct mote_call *call = *arg;
    struct mote_slice name;
    struct mote_slice value;
    for (size_t i = 0; mote_call_metadata_field(call, i, &name, &value); i++) {
        struct received_header received = {.call = call, .name = mote_arena_copy_text(mote_call_arena(call), name)};
        const connectrpc_conformance_v1_Header header = {
            .name = {.funcs.encode = list_put_slice, .arg = &name},
            .value = {.funcs.encode = put_values, .arg = &received},
        };
        if (came_before(call, i, name)) {
            continue;
        }
        if (received.name == NULL || !pb_encode_tag_for_field(stream, field) ||
            !pb_encode_submessage(stream, connectrpc_conformance_v1_Header_fields, &header)) {
            return false;
        }
    }
    return true;
}

/* With `whole` also the headers and the time that is left. */
static info_message info_of(struct exchange *exchange, bool whole)
{
    struct mote_call *call = exchange->flow.call;
    info_message info = {.requests = {.funcs.encode = list_put_anys, .arg = &exchange->requests}};
    if (whole) {
        const uint64_t deadline = mote_call_deadline(call);
        info.request_headers = (pb_callback_t){.funcs.encode = put_headers, .arg = call};
        info.has_timeout_ms = deadline != UINT64_MAX;
        info.timeout_ms = (int64_t)((deadline - mote_call_now(call)) / MOTE_NS_PER_MS);
    }
    return info;
}

/* --- answering --------------------------------------------------------------------------------------------------- */

static connectrpc_conformance_v1_Response next_answer(struct exchange *exchange)
{
    static struct mote_slice nothing;
    struct item *item = exchange->data.first;
    connectrpc_conformance_v1_Response response = {.has_payload = true};
    response.payload.data =
        (pb_callback_t){.funcs.encode = list_put_slice, .arg = item != NULL ? &item->value : &nothing};
    response.payload.has_request_info = exchange->answered == 0 || exchange->requests.count != 0;
    response.payload.request_info = info_of(exchange, exchange->answered == 0);
    return response;
}

static void forget_answered(struct exchange *exchange)
{
    exchange->data.first = exchange->data.first->next;
    exchange->requests = (struct list){.arena = exchange->requests.arena};
    exchange->answered++;
    exchange->waited = false;
}

/* The defined error; where there was no answer, what was received is a detail of it. */
static void fail(struct exchange *exchange)
{
    struct mote_call *call = exchange->flow.call;
    struct mote_arena *arena = mote_call_arena(call);
    struct mote_detail *details = mote_arena_allocate(arena, (exchange->details.count + 1) * sizeof *details);
    uint8_t encoded[4096];
    size_t count = 0;
    size_t length = 0;
    if (details == NULL) {
        mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    for (const struct item *item = exchange->details.first; item != NULL; item = item->next) {
        details[count++] = (struct mote_detail){.type_url = item->type_url, .value = item->value};
    }
    if (exchange->answered == 0) {
        const info_message info = info_of(exchange, true);
        if (mote_codec_encode_into(&connectrpc_conformance_v1_ConformancePayload_RequestInfo_type, &info, encoded,
                                   sizeof encoded, &length) == 0) {
            details[count++] = (struct mote_detail){MOTE_SLICE_LITERAL(INFO_TYPE_URL), mote_slice(encoded, length)};
        }
    }
    mote_call_fail_details(call, &(struct mote_failure){.status = (enum mote_status)exchange->error.code,
                                                        .message = exchange->error.message,
                                                        .details = details,
                                                        .detail_count = count});
}

/* True when the delay before an answer has still to pass. */
static bool waits(struct exchange *exchange)
{
    if (exchange->delay_ns == 0 || exchange->waited) {
        return false;
    }
    exchange->waited = true;
    flow_wait(&exchange->flow, exchange->delay_ns);
    return true;
}

/* Methods with one answer. */
static void step_single(struct flow *flow)
{
    struct exchange *exchange = MOTE_CONTAINER_OF(flow, struct exchange, flow);
    if (waits(exchange)) {
        return;
    }
    if (exchange->has_error) {
        fail(exchange);
    } else {
        const connectrpc_conformance_v1_Response response = next_answer(exchange);
        mote_call_reply(flow->call, &response);
    }
    flow_end(flow);
}

/* Methods with many. */
static void step_stream(struct flow *flow)
{
    struct exchange *exchange = MOTE_CONTAINER_OF(flow, struct exchange, flow);
    while (mote_call_writable(flow->call)) {
        if (!exchange->client_is_done && exchange->requests.count == 0) {
            mote_call_resume(flow->call);
            return;
        }
        if (exchange->data.first == NULL) {
            if (exchange->has_error) {
                fail(exchange);
            } else {
                mote_call_finish(flow->call);
            }
            flow_end(flow);
            return;
        }
        if (waits(exchange)) {
            return;
        }
        const connectrpc_conformance_v1_Response response = next_answer(exchange);
        if (mote_call_send(flow->call, &response) != 0) {
            flow_end(flow);
            return;
        }
        forget_answered(exchange);
    }
}

/* --- reading the definition -------------------------------------------------------------------------------------- */

static int add_value(struct mote_call *call, const char *name, struct mote_slice value, bool is_trailer)
{
    if (mote_fields_is_binary(mote_slice_text(name))) { /* it is in the definition as it shall be on the wire */
        uint8_t *bytes = mote_arena_allocate(mote_call_arena(call), value.length + 1);
        if (bytes == NULL || mote_fields_decode_binary(bytes, &value.length, value) != 0) {
            return MOTE_EDECODE;
        }
        value.data = bytes;
    }
    return is_trailer ? mote_call_add_trailer(call, name, value) : mote_call_add_header(call, name, value);
}

static bool take_field(pb_istream_t *stream, struct mote_call *call, bool is_trailer)
{
    struct list name = {.arena = mote_call_arena(call)};
    struct list values = {.arena = mote_call_arena(call)};
    connectrpc_conformance_v1_Header header = {
        .name = {.funcs.decode = list_take_value, .arg = &name},
        .value = {.funcs.decode = list_take_value, .arg = &values},
    };
    if (!pb_decode(stream, connectrpc_conformance_v1_Header_fields, &header) || name.last == NULL) {
        return false;
    }
    for (struct item *item = values.first; item != NULL; item = item->next) {
        if (add_value(call, (const char *)name.last->value.data, item->value, is_trailer) != 0) {
            return false;
        }
    }
    return true;
}

static bool take_header(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    return take_field(stream, *arg, false);
}

static bool take_trailer(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    return take_field(stream, *arg, true);
}

static struct exchange *exchange_of(struct mote_call *call)
{
    const enum mote_call_kind kind = mote_call_method(call)->kind;
    const bool is_single = kind == MOTE_CALL_UNARY || kind == MOTE_CALL_CLIENT_STREAM;
    struct exchange *exchange = flow_of(call, sizeof *exchange, is_single ? step_single : step_stream);
    if (exchange != NULL && exchange->requests.arena == NULL) {
        const struct list list = {.arena = mote_call_arena(call)};
        exchange->requests = exchange->data = exchange->details = list;
        (void)mote_call_compress(call, true);
    }
    return exchange;
}

/* Keeps the request; the exchange if it is the first, whose definition counts. */
static struct exchange *begin_request(struct mote_call *call, struct mote_slice encoded)
{
    struct exchange *exchange = exchange_of(call);
    if (exchange == NULL) {
        return NULL;
    }
    struct item *item = list_append(&exchange->requests, encoded);
    const char *type_url =
        mote_arena_format(mote_call_arena(call), TYPE_PREFIX "%s", mote_call_method(call)->request->name);
    if (item == NULL || type_url == NULL) {
        mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        return NULL;
    }
    item->type_url = mote_slice_text(type_url);
    return exchange->is_defined ? NULL : exchange;
}

static void prepare_single(struct mote_call *call, connectrpc_conformance_v1_UnaryResponseDefinition *definition,
                           struct mote_slice encoded)
{
    struct exchange *exchange = begin_request(call, encoded);
    if (exchange != NULL) {
        definition->response_headers = (pb_callback_t){.funcs.decode = take_header, .arg = call};
        definition->response_trailers = (pb_callback_t){.funcs.decode = take_trailer, .arg = call};
        definition->response_data = (pb_callback_t){.funcs.decode = list_take_value, .arg = &exchange->data};
        definition->error.details = (pb_callback_t){.funcs.decode = list_take_any, .arg = &exchange->details};
    }
}

static void prepare_stream(struct mote_call *call, connectrpc_conformance_v1_StreamResponseDefinition *definition,
                           struct mote_slice encoded)
{
    struct exchange *exchange = begin_request(call, encoded);
    if (exchange != NULL) {
        definition->response_headers = (pb_callback_t){.funcs.decode = take_header, .arg = call};
        definition->response_trailers = (pb_callback_t){.funcs.decode = take_trailer, .arg = call};
        definition->response_data = (pb_callback_t){.funcs.decode = list_take_value, .arg = &exchange->data};
        definition->error.details = (pb_callback_t){.funcs.decode = list_take_any, .arg = &exchange->details};
    }
}

static struct exchange *define(struct mote_call *call, uint32_t delay_ms, const connectrpc_conformance_v1_Error *error)
{
    struct exchange *exchange = exchange_of(call);
    if (exchange != NULL && !exchange->is_defined) {
        exchange->is_defined = true;
        exchange->delay_ns = delay_ms * (uint64_t)MOTE_NS_PER_MS;
        exchange->has_error = error != NULL;
        if (error != NULL) {
            exchange->error = *error;
        }
    }
    return exchange;
}

/* --- the methods ------------------------------------------------------------------------------------------------- */

void connectrpc_conformance_v1_conformance_service_unary_prepare(struct mote_call *call,
                                                                 connectrpc_conformance_v1_UnaryRequest *request,
                                                                 struct mote_slice encoded)
{
    prepare_single(call, &request->response_definition, encoded);
}

static void answer_single(struct mote_call *call, const connectrpc_conformance_v1_UnaryResponseDefinition *definition,
                          bool client_is_done)
{
    struct exchange *exchange = definition != NULL ? define(call, definition->response_delay_ms,
                                                            definition->has_error ? &definition->error : NULL)
                                                   : exchange_of(call);
    if (exchange != NULL && client_is_done) {
        flow_go_on(&exchange->flow);
    }
}

void connectrpc_conformance_v1_conformance_service_unary(struct mote_call *call,
                                                         const connectrpc_conformance_v1_UnaryRequest *request)
{
    answer_single(call, &request->response_definition, true);
}

void connectrpc_conformance_v1_conformance_service_client_stream_prepare(
    struct mote_call *call, connectrpc_conformance_v1_ClientStreamRequest *request, struct mote_slice encoded)
{
    prepare_single(call, &request->response_definition, encoded);
}

void connectrpc_conformance_v1_conformance_service_client_stream(
    struct mote_call *call, const connectrpc_conformance_v1_ClientStreamRequest *request)
{
    answer_single(call, request != NULL ? &request->response_definition : NULL, request == NULL);
}

/* Its headers go out at once, whenever the first answer does. */
static struct exchange *begin_stream(struct mote_call *call,
                                     const connectrpc_conformance_v1_StreamResponseDefinition *definition)
{
    struct exchange *exchange =
        define(call, definition->response_delay_ms, definition->has_error ? &definition->error : NULL);
    if (exchange != NULL) {
        mote_call_send_headers(call);
    }
    return exchange;
}

void connectrpc_conformance_v1_conformance_service_server_stream_prepare(
    struct mote_call *call, connectrpc_conformance_v1_ServerStreamRequest *request, struct mote_slice encoded)
{
    prepare_stream(call, &request->response_definition, encoded);
}

void connectrpc_conformance_v1_conformance_service_server_stream(
    struct mote_call *call, const connectrpc_conformance_v1_ServerStreamRequest *request)
{
    struct exchange *exchange = begin_stream(call, &request->response_definition);
    if (exchange != NULL) {
        exchange->client_is_done = true;
        flow_go_on(&exchange->flow);
    }
}

void connectrpc_conformance_v1_conformance_service_bidi_stream_prepare(
    struct mote_call *call, connectrpc_conformance_v1_BidiStreamRequest *request, struct mote_slice encoded)
{
    prepare_stream(call, &request->response_definition, encoded);
}

void connectrpc_conformance_v1_conformance_service_bidi_stream(
    struct mote_call *call, const connectrpc_conformance_v1_BidiStreamRequest *request)
{
    struct exchange *exchange = exchange_of(call);
    if (exchange == NULL) {
        return;
    }
    if (request == NULL) {
        exchange->client_is_done = true;
    } else if (!exchange->is_defined) {
        exchange->is_full_duplex = request->full_duplex;
        exchange = begin_stream(call, &request->response_definition);
    }
    if (exchange->is_full_duplex && request != NULL) {
        mote_call_pause(call); /* until this one is answered */
    }
    if (exchange->is_full_duplex || request == NULL) {
        flow_go_on(&exchange->flow);
    }
}
