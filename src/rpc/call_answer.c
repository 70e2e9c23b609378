/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a call answers (PROTOCOL-HTTP2, "Responses"): headers, messages, trailers, or trailers only. The blocks that all
 * calls send are static; a unary reply is one respond, one write, one write_trailers.
 *
 * An answer that comes before the client has half-closed is followed by RST_STREAM NO_ERROR (RFC 9113 §8.1). One that
 * cannot be submitted for want of memory becomes a reset that clients take for RESOURCE_EXHAUSTED. What belongs to a
 * call is let go at once when its status is decided; the stream sends the rest without it.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/text.h"
#include "codec/codec.h"
#include "rpc/call_trace.h"
#include "rpc/core.h"
#include "rpc/details.h"
#include "telemetry/metrics.h"

#define PLAIN_HEADERS 2u
/* Content of a block of ours: the headers, grpc-status and its companions, and what the handler added. */
#define BLOCK_MAX        (10u + MOTE_CALL_METADATA_MAX)
#define DETAILS_TEXT_MAX ((MOTE_DETAILS_MAX + 2) / 3 * 4)

/* The last is for clients that told what they can read. */
static const struct mote_field plain_headers[PLAIN_HEADERS + 1] = {
    MOTE_STATIC_FIELD(":status", "200"),
    MOTE_STATIC_FIELD("content-type", "application/grpc"),
    MOTE_STATIC_FIELD("grpc-accept-encoding", MOTE_ENCODING_NAMES),
};
static const struct mote_field proto_headers[PLAIN_HEADERS + 1] = {
    MOTE_STATIC_FIELD(":status", "200"),
    MOTE_STATIC_FIELD("content-type", "application/grpc+proto"),
    MOTE_STATIC_FIELD("grpc-accept-encoding", MOTE_ENCODING_NAMES),
};
static const struct mote_field ok_trailers[] = {MOTE_STATIC_FIELD("grpc-status", "0")};
static const struct mote_field status_405 = MOTE_STATIC_FIELD(":status", "405");
static const struct mote_field status_415 = MOTE_STATIC_FIELD(":status", "415");

struct block {
    struct mote_field fields[BLOCK_MAX];
    size_t count;
};

static void block_add(struct block *block, struct mote_field field)
{
    mote_assert(block->count < BLOCK_MAX);
    block->fields[block->count++] = field;
}

static void block_add_metadata(struct block *block, const struct mote_call_metadata *metadata)
{
    for (size_t i = 0; i < metadata->count; i++) {
        block_add(block, metadata->fields[i]);
    }
}

static const struct mote_field *headers_of(const struct mote_call *call)
{
    return call->proto_subtype ? proto_headers : plain_headers;
}

/* --- submitting ------------------------------------------------------------------------------------------------ */

/* The header block with the initial metadata, if it is not out yet. */
static int submit_headers(struct mote_call *call)
{
    if (call->state == MOTE_CALL_RESPONDING) {
        return 0;
    }
    const size_t count = PLAIN_HEADERS + call->tells_encodings;
    if (call->headers.count == 0 && call->answer_encoding == MOTE_ENCODING_IDENTITY) {
        return mote_h2_respond(call->stream, headers_of(call), count, false);
    }
    struct block block = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        block_add(&block, headers_of(call)[i]);
    }
    if (call->answer_encoding != MOTE_ENCODING_IDENTITY) {
        static const struct mote_slice name = MOTE_SLICE_LITERAL("grpc-encoding");
        const struct mote_slice value = mote_compression_name((enum mote_encoding)call->answer_encoding);
        block_add(&block, (struct mote_field){.name = name, .value = value, .flags = MOTE_FIELD_STATIC});
    }
    block_add_metadata(&block, &call->headers);
    return mote_h2_respond(call->stream, block.fields, block.count, false);
}

/* Puts *body, compressed, into `compressed`, to be disposed. */
static __attribute__((cold)) int compress(struct mote_call *call, struct mote_buffer *compressed,
                                          struct mote_slice *body)
{
    mote_buffer_init(compressed, mote_call_worker_of(call)->mem, 0);
    const int error = mote_compression_compress((enum mote_encoding)call->answer_encoding, *body, compressed);
    *body = mote_buffer_slice(compressed);
    return error;
}

static int submit_message(struct mote_call *call, struct mote_slice body)
{
    const size_t length = body.length;
    const bool compresses = call->compresses;
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    struct mote_buffer compressed;
    int error = compresses ? compress(call, &compressed, &body) : 0;
    if (error == 0) {
        mote_message_prefix(prefix, compresses, (uint32_t)body.length);
        error = mote_h2_write(call->stream, mote_slice(prefix, sizeof prefix), body);
    }
    if (compresses) {
        mote_buffer_dispose(&compressed);
    }
    if (error == 0) {
        call->response_messages++;
        call->response_bytes += body.length; /* of what was disposed only the length */
        if (call->record != NULL) {
            mote_call_record_message(call, true, length);
        }
    }
    return error;
}

static int submit_ok_trailers(struct mote_call *call)
{
    if (call->trailers.count == 0) {
        return mote_h2_write_trailers(call->stream, ok_trailers, 1);
    }
    struct block block = {.count = 0};
    block_add(&block, ok_trailers[0]);
    block_add_metadata(&block, &call->trailers);
    return mote_h2_write_trailers(call->stream, block.fields, block.count);
}

/* The beginning of a trailers-only answer. */
static void block_add_headers(struct block *block, const struct mote_call *call, const struct mote_refusal *refusal)
{
    const bool refused = refusal != NULL && refusal->http_status != 200;
    if (refused) {
        block_add(block, refusal->http_status == 405 ? status_405 : status_415);
    } else {
        block_add(block, headers_of(call)[0]);
    }
    if (!refused || refusal->has_status) {
        block_add(block, headers_of(call)[1]);
    }
    if (refusal != NULL && refusal->accept_encoding) {
        block_add(block, headers_of(call)[PLAIN_HEADERS]);
    }
}

struct outcome_texts {
    char message[MOTE_STATUS_ENCODED_MAX];
    char details[DETAILS_TEXT_MAX];
    char pushback[12];
};

static void block_add_outcome(struct block *block, const struct mote_call_outcome *outcome, struct outcome_texts *texts)
{
    static const struct mote_slice status_name = MOTE_SLICE_LITERAL("grpc-status");
    static const struct mote_slice message_name = MOTE_SLICE_LITERAL("grpc-message");
    static const struct mote_slice details_name = MOTE_SLICE_LITERAL("grpc-status-details-bin");
    static const struct mote_slice pushback_name = MOTE_SLICE_LITERAL("grpc-retry-pushback-ms");
    block_add(block, (struct mote_field){
                         .name = status_name,
                         .value = mote_status_decimal(outcome->status),
                         .flags = MOTE_FIELD_STATIC,
                     });
    if (outcome->message.length != 0) {
        const size_t length = mote_status_encode_message(texts->message, outcome->message);
        block_add(block, (struct mote_field){.name = message_name, .value = mote_slice(texts->message, length)});
    }
    if (outcome->details.length != 0) {
        const size_t length = mote_base64_encoded_length(outcome->details.length, MOTE_BASE64_UNPADDED);
        mote_assert(length <= sizeof texts->details);
        mote_base64_encode(texts->details, outcome->details, MOTE_BASE64_UNPADDED);
        block_add(block, (struct mote_field){.name = details_name, .value = mote_slice(texts->details, length)});
    }
    if (outcome->retry_after_ms != 0) {
        const uint64_t most = INT32_MAX;
        const uint64_t wait = outcome->retry_after_ms < most ? outcome->retry_after_ms : most;
        const int length = snprintf(texts->pushback, sizeof texts->pushback, "%u", (unsigned)wait);
        block_add(block,
                  (struct mote_field){.name = pushback_name, .value = mote_slice(texts->pushback, (size_t)length)});
    }
}

/* Trailers, behind the headers if there is initial metadata, or all in one block. */
static int submit_outcome(struct mote_call *call, const struct mote_call_outcome *outcome)
{
    struct outcome_texts texts;
    struct block block = {.count = 0};
    const struct mote_refusal *refusal = outcome->refusal;
    const bool only = call->state < MOTE_CALL_RESPONDING && call->headers.count == 0;
    if (only) {
        block_add_headers(&block, call, refusal);
    } else {
        const int error = submit_headers(call);
        if (error != 0) {
            return error;
        }
    }
    if (refusal == NULL || refusal->has_status) {
        block_add_outcome(&block, outcome, &texts);
    }
    block_add_metadata(&block, &call->trailers);
    return only ? mote_h2_respond(call->stream, block.fields, block.count, true)
                : mote_h2_write_trailers(call->stream, block.fields, block.count);
}

/* --- ending ---------------------------------------------------------------------------------------------------- */

/* The answer was submitted, or `error` says why it could not be. */
static void conclude(struct mote_call *call, int error, enum mote_status status)
{
    struct mote_stream *stream = call->stream;
    if (stream != NULL) {
        if (error != 0) {
            mote_h2_reset(stream, error == MOTE_ENOMEM ? MOTE_H2_ENHANCE_YOUR_CALM : MOTE_H2_INTERNAL_ERROR);
            status = mote_status_from_error(error);
        } else if (!call->half_closed) {
            mote_h2_reset(stream, MOTE_H2_NO_ERROR);
        }
    }
    /* Notified first: closing may free the call, and the owner only notes that there is output. */
    mote_server_connection_notify(call->connection);
    mote_call_close(call, status);
}

static void end(struct mote_call *call, const struct mote_call_outcome *outcome)
{
    const int error = call->stream != NULL ? submit_outcome(call, outcome) : 0;
    if (call->record != NULL) {
        mote_call_record_outcome(call, outcome->message);
    }
    conclude(call, error, outcome->status);
}

/* `on_cancel` is for a handler that did not ask for this end. */
static void end_unasked(struct mote_call *call, const struct mote_call_outcome *outcome)
{
    if (call->state == MOTE_CALL_ENDED) {
        return;
    }
    const bool started = call->state >= MOTE_CALL_RUNNING;
    mote_call_ref(call);
    end(call, outcome);
    if (started && call->on_cancel != NULL) {
        call->on_cancel(call, outcome->status);
    }
    mote_call_unref(call);
}

static void outcome_of_failure(struct mote_call_outcome *outcome, const struct mote_call *call,
                               const struct mote_failure *failure, uint8_t details[MOTE_DETAILS_MAX])
{
    const struct mote_service *service = call->entry->service;
    size_t length = 0;
    if (failure->reason != NULL) {
        struct mote_metrics_shard *metrics = mote_call_worker_of(call)->metrics;
        mote_metrics_add_text(metrics, MOTE_METRIC_TEXT_FAILURES, failure->reason);
        if (failure->status == MOTE_STATUS_UNAUTHENTICATED) {
            mote_metrics_add_text(metrics, MOTE_METRIC_TEXT_AUTH_FAILURES, failure->reason);
        }
    }
    *outcome = (struct mote_call_outcome){
        .status = failure->status,
        .message = mote_slice_text(failure->message),
        .retry_after_ms = failure->retry_after_ms,
    };
    if (mote_details_encode(details, MOTE_DETAILS_MAX, &length, failure, service != NULL ? service->package : "") ==
        0) {
        outcome->details = mote_slice(details, length);
    }
}

static void count_aborted(const struct mote_call *call, const char *message)
{
    if (call->state != MOTE_CALL_ENDED && message != NULL && message[0] != '\0') {
        mote_metrics_add_text(mote_call_worker_of(call)->metrics, MOTE_METRIC_TEXT_CALLS_ABORTED, message);
    }
}

void mote_call_abort(struct mote_call *call, enum mote_status status, const char *message)
{
    count_aborted(call, message);
    end_unasked(call, &(struct mote_call_outcome){.status = status, .message = mote_slice_text(message)});
}

void mote_call_abort_details(struct mote_call *call, const struct mote_failure *failure)
{
    uint8_t details[MOTE_DETAILS_MAX];
    struct mote_call_outcome outcome;
    outcome_of_failure(&outcome, call, failure, details);
    end_unasked(call, &outcome);
}

void mote_call_refuse(struct mote_call *call, const struct mote_refusal *refusal)
{
    count_aborted(call, refusal->message);
    end_unasked(call, &(struct mote_call_outcome){
                          .status = refusal->status,
                          .message = mote_slice_text(refusal->message),
                          .refusal = refusal,
                      });
}

void mote_call_shut_down(struct mote_call *call)
{
    mote_call_abort_details(call, &(struct mote_failure){
                                      .status = MOTE_STATUS_UNAVAILABLE,
                                      .message = "the server is shutting down",
                                      .reason = "SHUTTING_DOWN",
                                  });
}

void mote_call_answer_without_memory(struct mote_stream *stream, bool end_stream)
{
    static const struct mote_field fields[] = {
        MOTE_STATIC_FIELD(":status", "200"),
        MOTE_STATIC_FIELD("content-type", "application/grpc"),
        MOTE_STATIC_FIELD("grpc-status", "8"),
        MOTE_STATIC_FIELD("grpc-message", "out of memory"),
    };
    if (mote_h2_respond(stream, fields, sizeof fields / sizeof fields[0], true) != 0) {
        mote_h2_reset(stream, MOTE_H2_ENHANCE_YOUR_CALM);
    } else if (!end_stream) {
        mote_h2_reset(stream, MOTE_H2_NO_ERROR);
    }
}

/* --- what handlers call ---------------------------------------------------------------------------------------- */

/* Most replies fit into the worker's scratch; `large` is for the others. Both are wiped by forget_encoded. */
static int encode(struct mote_call *call, const void *response, struct mote_buffer *large, struct mote_slice *body)
{
    struct mote_server_worker *worker = mote_call_worker_of(call);
    const struct mote_message_type *type = call->entry->method->response;
    const uint64_t most = worker->limits->message_send_max;
    size_t length;
    int error = mote_codec_encode_into(type, response, worker->scratch, sizeof worker->scratch, &length);
    if (error == 0) {
        *body = mote_slice(worker->scratch, length);
        return length <= most ? 0 : MOTE_ELIMIT;
    }
    if (error != MOTE_ELIMIT) {
        return error;
    }
    mote_buffer_init(large, worker->mem, most);
    error = mote_codec_encode(type, response, large);
    if (error == 0) {
        *body = mote_buffer_slice(large);
    }
    return error;
}

/* After an error nobody knows how much of the scratch was used. */
static void forget_encoded(struct mote_server_worker *worker, struct mote_buffer *large, int error,
                           struct mote_slice body)
{
    mote_mem_wipe(worker->scratch, error == 0 && body.data == worker->scratch ? body.length : sizeof worker->scratch);
    if (large->data != NULL) {
        mote_buffer_dispose(large);
    }
}

static void abort_encoding(struct mote_call *call, int error)
{
    if (error == MOTE_ELIMIT) {
        mote_call_abort(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "response larger than the limit");
    } else if (error == MOTE_ENOMEM) {
        mote_call_abort(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "out of memory");
    } else {
        mote_log(mote_call_worker_of(call)->server->options.log, MOTE_LOG_ERROR, "rpc", "rpc.response_not_encodable",
                 "a handler's response cannot be encoded", mote_log_text("method", call->entry->method->path));
        mote_call_abort(call, MOTE_STATUS_INTERNAL, "the response cannot be encoded");
    }
}

void mote_call_reply(struct mote_call *call, const void *response)
{
    mote_assert(call->entry->single_response);
    if (call->state == MOTE_CALL_ENDED) {
        return;
    }
    struct mote_server_worker *worker = mote_call_worker_of(call);
    struct mote_buffer large = {.data = NULL};
    struct mote_slice body;
    const int encoding_error = encode(call, response, &large, &body);
    if (encoding_error != 0) {
        call->on_cancel = NULL; /* it is its own answer that fails */
        abort_encoding(call, encoding_error);
    } else {
        int error = submit_headers(call);
        if (error == 0) {
            error = submit_message(call, body);
        }
        if (error == 0) {
            error = submit_ok_trailers(call);
        }
        conclude(call, error, MOTE_STATUS_OK);
    }
    forget_encoded(worker, &large, encoding_error, body);
}

bool mote_call_compress(struct mote_call *call, bool on)
{
    if (on && call->answer_encoding == MOTE_ENCODING_IDENTITY && call->state < MOTE_CALL_RESPONDING) {
        /* What the client sends it can read. */
        call->answer_encoding =
            call->encoding != MOTE_ENCODING_IDENTITY
                ? call->encoding
                : (uint8_t)mote_compression_choose(call->fields->known[MOTE_FIELD_GRPC_ACCEPT_ENCODING]);
        call->tells_encodings |= call->answer_encoding != MOTE_ENCODING_IDENTITY;
    }
    call->compresses = on && call->answer_encoding != MOTE_ENCODING_IDENTITY;
    return call->compresses;
}

void mote_call_fail(struct mote_call *call, enum mote_status status, const char *format, ...)
{
    if (call->state == MOTE_CALL_ENDED) {
        return;
    }
    char message[MOTE_STATUS_MESSAGE_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    mote_assert(status != MOTE_STATUS_OK);
    const size_t held = length < 0 ? 0 : (size_t)length < sizeof message ? (size_t)length : sizeof message - 1;
    end(call, &(struct mote_call_outcome){.status = status, .message = mote_slice(message, held)});
}

void mote_call_fail_details(struct mote_call *call, const struct mote_failure *failure)
{
    if (call->state == MOTE_CALL_ENDED) {
        return;
    }
    uint8_t details[MOTE_DETAILS_MAX];
    struct mote_call_outcome outcome;
    mote_assert(failure->status != MOTE_STATUS_OK);
    outcome_of_failure(&outcome, call, failure, details);
    end(call, &outcome);
}

/* Ends the call after a submission that failed in the middle of it. */
static void break_off(struct mote_call *call, int error)
{
    mote_call_ref(call);
    conclude(call, error, MOTE_STATUS_INTERNAL);
    if (call->on_cancel != NULL) {
        call->on_cancel(call, mote_status_from_error(error));
    }
    mote_call_unref(call);
}

void mote_call_send_headers(struct mote_call *call)
{
    if (call->state != MOTE_CALL_RUNNING) {
        return;
    }
    const int error = submit_headers(call);
    if (error != 0) {
        break_off(call, error);
        return;
    }
    mote_call_set_state(call, MOTE_CALL_RESPONDING);
    mote_server_connection_notify(call->connection);
}

int mote_call_send_encoded(struct mote_call *call, struct mote_slice body)
{
    const struct mote_limits *limits = mote_call_worker_of(call)->limits;
    if (call->state == MOTE_CALL_ENDED) {
        return MOTE_ECLOSED;
    }
    if (mote_h2_queued(call->stream) > limits->output_high) {
        mote_call_abort(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "the client does not take its responses");
        return MOTE_ELIMIT;
    }
    if (body.length > limits->message_send_max) {
        abort_encoding(call, MOTE_ELIMIT);
        return MOTE_ELIMIT;
    }
    int error = submit_headers(call);
    if (error == 0) {
        if (call->state != MOTE_CALL_RESPONDING) {
            mote_call_set_state(call, MOTE_CALL_RESPONDING);
        }
        error = submit_message(call, body);
    }
    if (error != 0) {
        break_off(call, error);
        return error;
    }
    call->blocked = mote_h2_queued(call->stream) > limits->stream_output_high;
    mote_server_connection_notify(call->connection);
    return 0;
}

int mote_call_send(struct mote_call *call, const void *response)
{
    mote_assert(!call->entry->single_response);
    if (call->state == MOTE_CALL_ENDED) {
        return MOTE_ECLOSED;
    }
    struct mote_server_worker *worker = mote_call_worker_of(call);
    struct mote_buffer large = {.data = NULL};
    struct mote_slice body;
    int error = encode(call, response, &large, &body);
    const int encoding_error = error;
    if (error != 0) {
        abort_encoding(call, error);
    } else {
        error = mote_call_send_encoded(call, body);
    }
    forget_encoded(worker, &large, encoding_error, body);
    return error;
}

void mote_call_finish(struct mote_call *call)
{
    mote_assert(!call->entry->single_response);
    if (call->state != MOTE_CALL_ENDED) {
        end(call, &(struct mote_call_outcome){.status = MOTE_STATUS_OK});
    }
}
