/* SPDX-License-Identifier: Apache-2.0 */
#include "talk.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mote_loop *talk_loop;
struct mote_channel *talk_channel;
const char *talk_name;

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "interop-client: %s: ", talk_name);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

void must(int error, const char *what)
{
    if (error != 0) {
        fail("%s: %s", what, mote_error_text(error));
    }
}

/* --- payloads ---------------------------------------------------------------------------------------------------- */

/* `arg` is the number of bytes: an int32_t. */
static bool encode_zeros(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    static const pb_byte_t zeros[1024];
    size_t left = (size_t) * (const int32_t *)*arg;
    bool fits = pb_encode_tag_for_field(stream, field) && pb_encode_varint(stream, left);
    while (fits && left > 0) {
        const size_t piece = left < sizeof zeros ? left : sizeof zeros;
        fits = pb_write(stream, zeros, piece);
        left -= piece;
    }
    return fits;
}

grpc_testing_Payload payload_of(int32_t *size)
{
    return (grpc_testing_Payload){.body = {.funcs.encode = encode_zeros, .arg = size}};
}

static bool count_bytes(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    int32_t *size = *arg;
    (void)field;
    *size = (int32_t)stream->bytes_left;
    return pb_read(stream, NULL, stream->bytes_left);
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

static void note_headers(struct mote_client_call *call, const struct mote_fields *fields)
{
    static const struct mote_slice name = MOTE_SLICE_LITERAL("x-grpc-test-echo-initial");
    struct talk *talk = mote_client_call_user(call);
    const struct mote_slice value = mote_fields_find(fields, name);
    (void)snprintf(talk->initial, sizeof talk->initial, "%.*s", (int)value.length, (const char *)value.data);
}

static void prepare_simple(struct mote_client_call *call, void *response)
{
    struct talk *talk = mote_client_call_user(call);
    talk->size = 0;
    ((grpc_testing_SimpleResponse *)response)->payload.body =
        (pb_callback_t){.funcs.decode = count_bytes, .arg = &talk->size};
}

static void prepare_output(struct mote_client_call *call, void *response)
{
    struct talk *talk = mote_client_call_user(call);
    talk->size = 0;
    ((grpc_testing_StreamingOutputCallResponse *)response)->payload.body =
        (pb_callback_t){.funcs.decode = count_bytes, .arg = &talk->size};
}

static void note_message(struct mote_client_call *call, const void *response)
{
    struct talk *talk = mote_client_call_user(call);
    (void)response;
    if (talk->got_count == TALK_GOT_MAX) {
        fail("too many messages");
    }
    talk->got[talk->got_count].size = talk->size;
    talk->got[talk->got_count++].compressed = mote_client_call_was_compressed(call);
    talk->news = true;
}

static void note_sum(struct mote_client_call *call, const void *response)
{
    struct talk *talk = mote_client_call_user(call);
    talk->size = ((const grpc_testing_StreamingInputCallResponse *)response)->aggregated_payload_size;
    note_message(call, response);
}

static void note_report(struct mote_client_call *call, const void *response)
{
    struct talk *talk = mote_client_call_user(call);
    memcpy(&talk->report, response, sizeof talk->report);
    talk->news = true;
}

static void take_trailers(struct talk *talk, const struct mote_fields *trailers)
{
    static const struct mote_slice echo = MOTE_SLICE_LITERAL("x-grpc-test-echo-trailing-bin");
    static const struct mote_slice load = MOTE_SLICE_LITERAL("endpoint-load-metrics-bin");
    const struct mote_slice value = mote_fields_find(trailers, echo);
    const struct mote_slice report = mote_fields_find(trailers, load);
    uint8_t bytes[512];
    size_t length;
    if (mote_slice_is_present(value) && value.length <= sizeof talk->trailing) {
        must(mote_fields_decode_binary(talk->trailing, &talk->trailing_length, value), "the echoed trailer");
    }
    if (mote_slice_is_present(report) && report.length <= sizeof bytes) {
        must(mote_fields_decode_binary(bytes, &length, report), "the load report");
        must(mote_codec_decode(&xds_data_orca_v3_OrcaLoadReport_type, mote_slice(bytes, length), &talk->report, NULL),
             "the load report");
    }
}

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct talk *talk = mote_client_call_user(call);
    talk->call = NULL;
    talk->ended = true;
    talk->news = true;
    talk->status = status;
    (void)snprintf(talk->message, sizeof talk->message, "%.*s", (int)message.length, (const char *)message.data);
    if (trailers != NULL) {
        take_trailers(talk, trailers);
    }
}

const struct mote_client_call_callbacks talk_plain = {
    .headers = note_headers, .message = note_message, .ended = note_end};
const struct mote_client_call_callbacks talk_simple = {
    .headers = note_headers, .prepare = prepare_simple, .message = note_message, .ended = note_end};
const struct mote_client_call_callbacks talk_output = {
    .headers = note_headers, .prepare = prepare_output, .message = note_message, .ended = note_end};
const struct mote_client_call_callbacks talk_input = {.headers = note_headers, .message = note_sum, .ended = note_end};
const struct mote_client_call_callbacks talk_reports = {.message = note_report, .ended = note_end};

void talk_begin(struct talk *talk, struct mote_client_call_options options)
{
    memset(talk, 0, sizeof *talk);
    options.user = talk;
    options.timeout_ns = options.timeout_ns != 0 ? options.timeout_ns : TALK_PATIENCE_NS;
    must(mote_channel_start(&talk->call, talk_channel, &options), "the call does not start");
}

void talk_send(struct talk *talk, const void *request)
{
    if (talk->call != NULL) {
        must(mote_client_call_send(talk->call, request), "a message is not sent");
    }
}

void talk_half_close(struct talk *talk)
{
    if (talk->call != NULL) {
        must(mote_client_call_half_close(talk->call), "half-close");
    }
}

void talk_wait(struct talk *talk)
{
    if (!mote_loop_run(talk_loop, &talk->news, TALK_PATIENCE_NS + MOTE_LIMITS_SECOND)) {
        fail("nothing comes");
    }
    talk->news = false;
}

/* False when the call has ended. */
static bool next_message(struct talk *talk, int32_t *size, bool *compressed)
{
    while (talk->taken == talk->got_count && !talk->ended) {
        talk_wait(talk);
    }
    if (talk->taken == talk->got_count) {
        return false;
    }
    *size = talk->got[talk->taken].size;
    *compressed = talk->got[talk->taken++].compressed;
    return true;
}

void talk_expect(struct talk *talk, int32_t size)
{
    int32_t got;
    bool compressed;
    if (!next_message(talk, &got, &compressed)) {
        fail("%s: %s instead of a message", mote_status_name(talk->status), talk->message);
    }
    if (got != size) {
        fail("%d instead of %d", (int)got, (int)size);
    }
}

void talk_expect_compressed(struct talk *talk, int32_t size, bool wanted)
{
    talk_expect(talk, size);
    if (talk->got[talk->taken - 1].compressed != wanted) {
        fail("a message came %s", wanted ? "uncompressed" : "compressed");
    }
}

void talk_expect_end(struct talk *talk, enum mote_status status)
{
    int32_t size;
    bool compressed;
    if (next_message(talk, &size, &compressed)) {
        fail("a message more");
    }
    if (talk->status != status) {
        fail("%s (%s) instead of %s", mote_status_name(talk->status), talk->message, mote_status_name(status));
    }
}
