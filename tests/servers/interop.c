/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.testing.TestService as its clients' test cases want it (grpc/grpc, doc/interop-test-descriptions.md). Payloads
 * never lie in memory as a whole: they are counted as they come, and written as zeros.
 *
 * Answers of the streaming calls wait in a queue of chunks; a client that sends without reading is held.
 */
#include <mote/wire/fields.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flow.h"
#include "interop.mote.h"
#include "orca.h"

#define ZEROS          16384u
#define NS_PER_US      1000u
#define ECHO_BYTES_MAX 256u

/* --- payloads -------------------------------------------------------------------------------------------------- */

/* `arg` is the number of bytes: an int32_t. */
static bool encode_zeros(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    static const pb_byte_t zeros[ZEROS];
    size_t left = (size_t) * (const int32_t *)*arg;
    if (!pb_encode_tag_for_field(stream, field) || !pb_encode_varint(stream, left)) {
        return false;
    }
    while (left > 0) {
        const size_t piece = left < ZEROS ? left : ZEROS;
        if (!pb_write(stream, zeros, piece)) {
            return false;
        }
        left -= piece;
    }
    return true;
}

/* `size` is borrowed until the message is encoded. */
static grpc_testing_Payload payload_of(int32_t *size)
{
    grpc_testing_Payload payload = {.type = grpc_testing_PayloadType_COMPRESSABLE};
    if (*size > 0) {
        payload.body = (pb_callback_t){.funcs.encode = encode_zeros, .arg = size};
    }
    return payload;
}

/* --- what several methods do ----------------------------------------------------------------------------------- */

/* Sends back what the client asks for by its metadata; before the first answer. */
static void echo_metadata(struct mote_call *call)
{
    static const char initial[] = "x-grpc-test-echo-initial";
    static const char trailing[] = "x-grpc-test-echo-trailing-bin";
    uint8_t bytes[ECHO_BYTES_MAX];
    size_t length;
    struct mote_slice value = mote_call_metadata(call, initial);
    int error = 0;
    if (mote_slice_is_present(value)) {
        error = mote_call_add_header(call, initial, value);
    }
    value = mote_call_metadata(call, trailing);
    if (error == 0 && mote_slice_is_present(value) && value.length <= sizeof bytes) {
        error = mote_fields_decode_binary(bytes, &length, value);
        if (error == 0) {
            error = mote_call_add_trailer(call, trailing, mote_slice(bytes, length));
        }
    }
    if (error == 0 && mote_slice_is_present(mote_call_metadata(call, "x-grpc-test-echo-useragent"))) {
        error = mote_call_add_header(call, "x-grpc-test-echo-useragent", mote_call_user_agent(call));
    }
    if (error != 0) {
        mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "metadata cannot be sent back: %s",
                       mote_error_text(error));
    }
}

/* True when the call has been ended with the status that the request wants. */
static bool echo_status(struct mote_call *call, bool wanted, const grpc_testing_EchoStatus *status)
{
    if (!wanted || status->code == 0) {
        return false;
    }
    if (status->code < 0 || status->code > MOTE_STATUS_UNAUTHENTICATED) {
        mote_call_fail(call, MOTE_STATUS_INVALID_ARGUMENT, "there is no status %d", (int)status->code);
    } else {
        mote_call_fail(call, (enum mote_status)status->code, "%s", status->message);
    }
    return true;
}

/* Probes whether a server knows how messages came. */
static bool is_as_expected(struct mote_call *call, bool expects, const grpc_testing_BoolValue *compressed)
{
    if (expects && compressed->value != mote_call_was_compressed(call)) {
        mote_call_fail(call, MOTE_STATUS_INVALID_ARGUMENT, "the request came %s",
                       compressed->value ? "uncompressed" : "compressed");
        return false;
    }
    return true;
}

static bool is_payload(struct mote_call *call, int type, int32_t size)
{
    if (type != grpc_testing_PayloadType_COMPRESSABLE || size < 0) {
        mote_call_fail(call, MOTE_STATUS_INVALID_ARGUMENT, "unsupported payload: type %d, %d bytes", type, (int)size);
        return false;
    }
    return true;
}

/* --- unary ----------------------------------------------------------------------------------------------------- */

void grpc_testing_test_service_empty_call(struct mote_call *call, const grpc_testing_Empty *request)
{
    (void)request;
    mote_call_reply(call, &(grpc_testing_Empty)grpc_testing_Empty_init_zero);
}

void grpc_testing_test_service_unary_call(struct mote_call *call, const grpc_testing_SimpleRequest *request)
{
    grpc_testing_SimpleResponse response = grpc_testing_SimpleResponse_init_zero;
    int32_t size = request->response_size;
    if (!is_as_expected(call, request->has_expect_compressed, &request->expect_compressed)) {
        return;
    }
    echo_metadata(call);
    if (mote_call_is_over(call) || echo_status(call, request->has_response_status, &request->response_status) ||
        !is_payload(call, (int)request->response_type, size)) {
        return;
    }
    if (request->has_orca_per_query_report && orca_report_call(call, &request->orca_per_query_report) != 0) {
        mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "the load report cannot be sent");
        return;
    }
    (void)mote_call_compress(call, request->has_response_compressed && request->response_compressed.value);
    response.has_payload = true;
    response.payload = payload_of(&size);
    if (request->fill_server_id) {
        (void)snprintf(response.server_id, sizeof response.server_id, "mote-%d", (int)getpid());
    }
    (void)gethostname(response.hostname, sizeof response.hostname - 1);
    mote_call_reply(call, &response);
}

void grpc_testing_test_service_cacheable_unary_call(struct mote_call *call, const grpc_testing_SimpleRequest *request)
{
    const struct mote_slice control = MOTE_SLICE_LITERAL("max-age=60, public");
    if (mote_call_add_header(call, "cache-control", control) != 0) {
        mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    grpc_testing_test_service_unary_call(call, request);
}

/* --- client stream --------------------------------------------------------------------------------------------- */

/* `arg` is the call; its data is the sum, in the arena. */
static bool count_bytes(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    int32_t *sum = *arg;
    (void)field;
    return !__builtin_add_overflow(*sum, (int32_t)stream->bytes_left, sum) && pb_read(stream, NULL, stream->bytes_left);
}

static int32_t *sum_of(struct mote_call *call)
{
    int32_t *sum = mote_call_data(call);
    if (sum == NULL) {
        sum = mote_arena_allocate_zeroed(mote_call_arena(call), sizeof *sum);
        mote_call_set_data(call, sum);
        if (sum == NULL) {
            mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        }
    }
    return sum;
}

void grpc_testing_test_service_streaming_input_call_prepare(struct mote_call *call,
                                                            grpc_testing_StreamingInputCallRequest *request,
                                                            struct mote_slice encoded)
{
    int32_t *sum = sum_of(call);
    (void)encoded;
    if (sum != NULL) {
        request->payload.body = (pb_callback_t){.funcs.decode = count_bytes, .arg = sum};
    }
}

void grpc_testing_test_service_streaming_input_call(struct mote_call *call,
                                                    const grpc_testing_StreamingInputCallRequest *request)
{
    if (request == NULL) {
        const int32_t *sum = sum_of(call);
        if (sum != NULL) {
            mote_call_reply(call, &(grpc_testing_StreamingInputCallResponse){.aggregated_payload_size = *sum});
        }
        return;
    }
    (void)is_as_expected(call, request->has_expect_compressed, &request->expect_compressed);
}

/* --- streams of answers ---------------------------------------------------------------------------------------- */

struct chunk {
    struct chunk *next;
    int32_t size;
    uint32_t interval_us;
    bool compressed;
    bool waited; /* the interval has begun */
};

struct output {
    struct flow flow;
    struct chunk *first, *last;
    struct chunk *spare; /* used before */
    bool client_is_done;
    bool begun;
};

static void take_chunk(struct output *output)
{
    struct chunk *chunk = output->first;
    output->first = chunk->next;
    if (output->first == NULL) {
        output->last = NULL;
    }
    chunk->next = output->spare;
    output->spare = chunk;
}

static int send_chunk(struct mote_call *call, const struct chunk *chunk)
{
    grpc_testing_StreamingOutputCallResponse response = grpc_testing_StreamingOutputCallResponse_init_zero;
    int32_t size = chunk->size;
    response.has_payload = true;
    response.payload = payload_of(&size);
    (void)mote_call_compress(call, chunk->compressed);
    return mote_call_send(call, &response);
}

static void step_output(struct flow *flow)
{
    struct output *output = MOTE_CONTAINER_OF(flow, struct output, flow);
    struct mote_call *call = flow->call;
    while (output->first != NULL && mote_call_writable(call)) {
        struct chunk *chunk = output->first;
        if (chunk->interval_us != 0 && !chunk->waited) {
            chunk->waited = true;
            flow_wait(flow, (uint64_t)chunk->interval_us * NS_PER_US);
            return;
        }
        if (send_chunk(call, chunk) != 0) {
            flow_end(flow); /* the call has ended by it */
            return;
        }
        take_chunk(output);
    }
    if (output->first != NULL) {
        return;
    }
    if (output->client_is_done) {
        mote_call_finish(call);
        flow_end(flow);
    } else {
        mote_call_resume(call);
    }
}

static struct output *output_of(struct mote_call *call)
{
    return flow_of(call, sizeof(struct output), step_output);
}

/* `arg` is the call. */
static bool queue_chunk(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct mote_call *call = *arg;
    struct output *output = output_of(call);
    grpc_testing_ResponseParameters parameters = grpc_testing_ResponseParameters_init_zero;
    (void)field;
    if (output == NULL || !pb_decode(stream, grpc_testing_ResponseParameters_fields, &parameters)) {
        return false;
    }
    struct chunk *chunk = output->spare;
    if (chunk != NULL) {
        output->spare = chunk->next;
    } else {
        chunk = mote_arena_allocate(mote_call_arena(call), sizeof *chunk);
    }
    if (chunk == NULL) {
        mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "too many answers");
        return false;
    }
    *chunk = (struct chunk){
        .size = parameters.size,
        .interval_us = parameters.interval_us > 0 ? (uint32_t)parameters.interval_us : 0,
        .compressed = parameters.has_compressed && parameters.compressed.value,
    };
    if (output->last != NULL) {
        output->last->next = chunk;
    } else {
        output->first = chunk;
    }
    output->last = chunk;
    return is_payload(call, grpc_testing_PayloadType_COMPRESSABLE, chunk->size);
}

static void prepare_output(struct mote_call *call, grpc_testing_StreamingOutputCallRequest *request)
{
    request->response_parameters = (pb_callback_t){.funcs.decode = queue_chunk, .arg = call};
}

/* `request` is NULL at the half-close. */
static void go_on_with(struct mote_call *call, const grpc_testing_StreamingOutputCallRequest *request, bool holds_all)
{
    struct output *output = output_of(call);
    if (output == NULL) {
        return;
    }
    if (!output->begun) {
        output->begun = true;
        echo_metadata(call);
        (void)mote_call_compress(call, true); /* so that the headers say with what, whichever answers are */
    }
    if (request == NULL) {
        output->client_is_done = true;
    } else if (echo_status(call, request->has_response_status, &request->response_status)) {
        flow_end(&output->flow);
    } else if (request->has_orca_oob_report) {
        orca_set_report(&request->orca_oob_report);
    }
    if (mote_call_is_over(call)) {
        return;
    }
    if (request != NULL && !holds_all) {
        mote_call_pause(call); /* until the answers are out */
    }
    if (request == NULL || !holds_all) {
        flow_go_on(&output->flow);
    }
}

void grpc_testing_test_service_streaming_output_call_prepare(struct mote_call *call,
                                                             grpc_testing_StreamingOutputCallRequest *request,
                                                             struct mote_slice encoded)
{
    (void)encoded;
    prepare_output(call, request);
}

void grpc_testing_test_service_streaming_output_call(struct mote_call *call,
                                                     const grpc_testing_StreamingOutputCallRequest *request)
{
    struct output *output = output_of(call);
    if (output != NULL) {
        output->client_is_done = true;
        go_on_with(call, request, false);
    }
}

void grpc_testing_test_service_full_duplex_call_prepare(struct mote_call *call,
                                                        grpc_testing_StreamingOutputCallRequest *request,
                                                        struct mote_slice encoded)
{
    (void)encoded;
    prepare_output(call, request);
}

void grpc_testing_test_service_full_duplex_call(struct mote_call *call,
                                                const grpc_testing_StreamingOutputCallRequest *request)
{
    go_on_with(call, request, false);
}

void grpc_testing_test_service_half_duplex_call_prepare(struct mote_call *call,
                                                        grpc_testing_StreamingOutputCallRequest *request,
                                                        struct mote_slice encoded)
{
    (void)encoded;
    prepare_output(call, request);
}

void grpc_testing_test_service_half_duplex_call(struct mote_call *call,
                                                const grpc_testing_StreamingOutputCallRequest *request)
{
    go_on_with(call, request, true);
}
