/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a call on the server: its state, what the client sends, its timer, its references.
 *
 *   OPENING → RECEIVING → RUNNING → RESPONDING → ENDED, and from each of them to ENDED
 *
 * What comes in goes through the deframer; a message is decoded as soon as it is whole. Unary and server-stream
 * handlers start at the client's half-close, so that a request of no or of two messages is answered before they run;
 * the others get each message. While a handler pauses, bytes wait in `held` and their flow-control credit is kept back,
 * so a window of them is the most there can be; so they do when the turn's share of decompressing is used up. All other
 * credit is returned as bytes are taken.
 *
 * Time: one timer, armed after the pass in which the call came, if it is not answered by then; it looks what is due
 * when it fires, and nobody stops or moves it in between.
 */
#include "rpc/call.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "codec/codec.h"
#include "rpc/call_trace.h"
#include "rpc/core.h"

/* For each state the set of those it may become. */
static const uint8_t legal_edges[] = {
    [MOTE_CALL_OPENING] = 1u << MOTE_CALL_RECEIVING | 1u << MOTE_CALL_ENDED,
    [MOTE_CALL_RECEIVING] = 1u << MOTE_CALL_RUNNING | 1u << MOTE_CALL_ENDED,
    [MOTE_CALL_RUNNING] = 1u << MOTE_CALL_RESPONDING | 1u << MOTE_CALL_ENDED,
    [MOTE_CALL_RESPONDING] = 1u << MOTE_CALL_ENDED,
    [MOTE_CALL_ENDED] = 0,
};

void mote_call_set_state(struct mote_call *call, enum mote_call_state state)
{
    mote_assert((legal_edges[call->state] >> state & 1u) != 0);
    call->state = (uint8_t)state;
}

static uint64_t later_by(uint64_t from, uint64_t duration)
{
    return duration < UINT64_MAX - from ? from + duration : UINT64_MAX;
}

static void fire(struct mote_timer *timer, uint64_t now_ns);

/* What its client allows, or the server where that is less. Streams of answers end when their clients want. */
static uint64_t allowed_time(const struct mote_limits *limits, const struct mote_method_entry *entry,
                             uint64_t timeout_ns)
{
    const uint64_t most = limits->call_duration_max;
    return most != 0 && entry->single_response && most < timeout_ns ? most : timeout_ns;
}

struct mote_call *mote_call_open(struct mote_server_connection *connection, struct mote_stream *stream,
                                 const struct mote_method_entry *entry, const struct mote_fields *fields,
                                 uint64_t timeout_ns)
{
    struct mote_server_worker *worker = connection->worker;
    struct mote_call *call = mote_mem_allocate(worker->mem, entry->block_size);
    if (call == NULL) {
        return NULL;
    }
    memset(call, 0, offsetof(struct mote_call, node));
    call->stream = stream;
    call->connection = connection;
    call->entry = entry;
    call->fields = fields;
    call->request = entry->request_inline ? call + 1 : NULL;
    call->refs = 1;
    call->stream_id = (uint32_t)stream->id;
    call->started_ns = worker->now_ns;
    call->progress_ns = worker->now_ns;
    call->deadline_ns = later_by(worker->now_ns, allowed_time(worker->limits, entry, timeout_ns));
    mote_deframer_init(&call->deframer, worker->mem, entry->message_max);
    mote_buffer_init(&call->held, worker->mem, 0);
    mote_timer_init(&call->timer, fire);
    mote_arena_init(&call->arena, worker->mem, MOTE_CALL_ARENA_MAX);
    mote_list_init(&call->resumed_node);
    mote_list_append(&connection->fresh, &call->node);
    connection->calls++;
    return call;
}

void mote_call_accept(struct mote_call *call)
{
    mote_call_set_state(call, MOTE_CALL_RECEIVING);
}

/* --- references ------------------------------------------------------------------------------------------------ */

static void count_handler(struct mote_call *call)
{
    struct mote_server_worker *worker = mote_call_worker_of(call);
    call->counted = true;
    call->connection->handlers++;
    if (call->entry->single_response) {
        worker->handlers++;
    } else {
        worker->streams++;
    }
}

static void call_free(struct mote_call *call)
{
    struct mote_server_connection *connection = call->connection;
    struct mote_server_worker *worker = connection->worker;
    mote_assert(call->state == MOTE_CALL_ENDED && !call->timer.active && call->buffered == 0);
    if (call->stream != NULL) {
        call->stream->user = NULL;
    }
    if (call->kept_stream != NULL) {
        mote_h2_drop(worker->h2_context, call->kept_stream);
    }
    if (call->counted) {
        connection->handlers--;
        if (call->entry->single_response) {
            worker->handlers--;
        } else {
            worker->streams--;
        }
    }
    if (call->request != NULL) {
        mote_mem_wipe(call->request, call->entry->method->request->size);
    }
    if (call->record != NULL) {
        mote_call_record_free(call);
    }
    mote_arena_dispose(&call->arena);
    mote_mem_release(worker->mem, call);
    mote_server_connection_release(connection);
}

void mote_call_ref(struct mote_call *call)
{
    call->refs++;
}

void mote_call_unref(struct mote_call *call)
{
    mote_assert(call->refs > 0);
    call->refs--;
    if (call->refs == 0) {
        call_free(call);
    }
}

/* Keeps the accounts of buffered request bytes; false when a limit is crossed. */
static bool account(struct mote_call *call, size_t buffered)
{
    struct mote_server_connection *connection = call->connection;
    struct mote_server_worker *worker = connection->worker;
    if (buffered == call->buffered) {
        return true;
    }
    connection->buffered = connection->buffered - call->buffered + buffered;
    worker->buffered = worker->buffered - call->buffered + buffered;
    const bool grown = buffered > call->buffered;
    call->buffered = buffered;
    return !grown || (connection->buffered <= worker->limits->buffered_per_connection_max &&
                      worker->buffered <= worker->buffered_max);
}

static void tell_observers(struct mote_call *call, enum mote_status status)
{
    const struct mote_server_worker *worker = mote_call_worker_of(call);
    const struct mote_clock *clock = worker->server->options.clock;
    const uint64_t now_ns = clock != NULL ? clock->monotonic_ns(clock->context) : worker->now_ns;
    const struct mote_call_summary summary = {
        .service = call->entry->service,
        .method = call->entry->method,
        .status = status,
        .started_ns = call->started_ns,
        .duration_ns = now_ns > call->started_ns ? now_ns - call->started_ns : 0,
        .request_bytes = call->request_bytes,
        .response_bytes = call->response_bytes,
        .request_messages = call->request_messages,
        .response_messages = call->response_messages,
    };
    const struct mote_interceptor *stages = worker->server->options.stages;
    for (size_t i = 0; i < MOTE_STAGE_COUNT; i++) {
        if (stages[i].end != NULL) {
            stages[i].end(stages[i].context, call, &summary);
        }
    }
}

static void release_bytes(struct mote_call *call)
{
    if (call->deframer.body.data != NULL || call->held.data != NULL || call->buffered != 0) {
        mote_deframer_dispose(&call->deframer);
        mote_buffer_dispose(&call->held);
        (void)account(call, 0);
    }
}

void mote_call_close(struct mote_call *call, enum mote_status status)
{
    struct mote_server_worker *worker = mote_call_worker_of(call);
    mote_call_set_state(call, MOTE_CALL_ENDED);
    if (call->timer.active) {
        mote_timer_stop(worker->wheel, &call->timer);
    }
    mote_list_remove(&call->node);
    mote_list_remove(&call->resumed_node);
    if (worker->server->observed) {
        tell_observers(call, status);
    }
    if (!call->delivering) {
        release_bytes(call);
    }
    mote_call_unref(call);
}

void mote_call_stream_closed(struct mote_call *call)
{
    const uint64_t now_ns = mote_call_worker_of(call)->now_ns;
    mote_call_ref(call);
    struct mote_stream *stream = call->stream;
    call->stream = NULL;
    if (call->state != MOTE_CALL_ENDED) {
        mote_call_abort(call, now_ns >= call->deadline_ns ? MOTE_STATUS_DEADLINE_EXCEEDED : MOTE_STATUS_CANCELLED, "");
    }
    if (call->refs > 1) {
        mote_h2_keep(stream);
        call->kept_stream = stream;
    }
    mote_call_unref(call);
}

/* --- the request ----------------------------------------------------------------------------------------------- */

static bool limit_is_reached(const struct mote_call *call)
{
    const struct mote_server_worker *worker = mote_call_worker_of(call);
    if (call->connection->handlers >= worker->limits->handlers_per_connection_max) {
        return true;
    }
    return call->entry->single_response ? worker->handlers >= worker->handlers_max
                                        : worker->streams >= worker->streams_max;
}

/* Whether anybody can still answer: a handler that has returned must have left a way. */
static bool is_abandoned(const struct mote_call *call)
{
    if (call->state == MOTE_CALL_ENDED || call->refs > 2 || !call->half_closed) {
        return false;
    }
    if (!call->entry->single_request && !call->end_delivered) {
        return false;
    }
    return call->entry->single_response || (call->on_cancel == NULL && call->on_writable == NULL);
}

static const char refused;

/* `request` is `&refused` for a message that the method's own callback takes. The caller holds a reference. */
static void run_handler(struct mote_call *call, const void *request)
{
    if (call->state == MOTE_CALL_RECEIVING) {
        if (mote_call_worker_of(call)->now_ns >= call->deadline_ns) {
            mote_call_abort(call, MOTE_STATUS_DEADLINE_EXCEEDED, "deadline exceeded");
            return;
        }
        if (limit_is_reached(call)) {
            mote_call_abort(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "too many calls in progress");
            return;
        }
        count_handler(call);
        mote_call_set_state(call, MOTE_CALL_RUNNING);
    }
    if (request == &refused) {
        call->entry->method->refused(call);
    } else {
        call->entry->method->handler(call, request);
    }
    if (call->endless && call->connection->drain >= MOTE_DRAIN_LAST) {
        mote_call_shut_down(call); /* it came in with the last bytes before the second GOAWAY */
    } else if (is_abandoned(call)) {
        mote_log(mote_call_worker_of(call)->server->options.log, MOTE_LOG_ERROR, "rpc", "rpc.handler_without_answer",
                 "a handler returned without an answer and without a reference",
                 mote_log_text("method", call->entry->method->path));
        mote_call_abort(call, MOTE_STATUS_UNKNOWN, "the handler ended without a status");
    }
}

static void fail_framing(struct mote_call *call, int error)
{
    if (error == MOTE_ELIMIT) {
        mote_call_abort(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "received message larger than the limit");
    } else if (error == MOTE_EDECODE) {
        mote_call_abort(call, MOTE_STATUS_INTERNAL, "malformed message flag");
    } else {
        mote_call_abort(call, mote_status_from_error(error), "the request cannot be held");
    }
}

static void fail_decoding(struct mote_call *call, int error, const struct mote_codec_failure *failure)
{
    if (error != MOTE_EFIELD) {
        const bool peer = error == MOTE_EDECODE;
        mote_call_abort(call, peer ? MOTE_STATUS_INTERNAL : mote_status_from_error(error),
                        peer ? "the request cannot be decoded" : "the request cannot be held");
        return;
    }
    struct mote_violation violations[MOTE_CODEC_VIOLATIONS_MAX];
    for (size_t i = 0; i < failure->count; i++) {
        violations[i].field = failure->violations[i].field;
        violations[i].text = failure->violations[i].text;
    }
    char message[256];
    (void)snprintf(message, sizeof message, "invalid field: %s %s", failure->count != 0 ? violations[0].field : "?",
                   failure->count != 0 ? violations[0].text : "");
    mote_call_abort_details(call, &(struct mote_failure){
                                      .status = MOTE_STATUS_INVALID_ARGUMENT,
                                      .message = message,
                                      .reason = "FIELD_INVALID",
                                      .violations = violations,
                                      .violation_count = failure->count,
                                  });
}

/* NULL: the call has been failed. */
static const void *decode(struct mote_call *call, struct mote_slice body)
{
    const struct mote_message_type *type = call->entry->method->request;
    if (call->request == NULL) {
        call->request = mote_arena_allocate(&call->arena, type->size);
        if (call->request == NULL) {
            fail_decoding(call, MOTE_ENOMEM, NULL);
            return NULL;
        }
    }
    struct mote_codec_failure failure;
    memset(call->request, 0, type->size);
    if (call->entry->method->prepare != NULL) {
        call->entry->method->prepare(call, call->request, body);
    }
    if (call->state == MOTE_CALL_ENDED) {
        return NULL; /* by that */
    }
    const int error = mote_codec_decode_prepared(type, body, call->request, &failure);
    if (error == MOTE_EFIELD && call->entry->method->refused != NULL) {
        return &refused;
    }
    if (error != 0) {
        fail_decoding(call, error, &failure);
        return NULL;
    }
    return call->state != MOTE_CALL_ENDED ? call->request : NULL;
}

/* Makes *body what it was before it was compressed, in `plain`, to be disposed; false when the call has ended by it. */
static __attribute__((cold)) bool decompress(struct mote_call *call, struct mote_buffer *plain, struct mote_slice *body)
{
    int error = MOTE_EDECODE;
    mote_buffer_init(plain, mote_call_worker_of(call)->mem, call->entry->message_max);
    if (call->encoding != MOTE_ENCODING_IDENTITY) {
        error = mote_compression_decompress((enum mote_encoding)call->encoding, *body, plain);
    }
    struct mote_server_worker *worker = mote_call_worker_of(call);
    const size_t made = mote_buffer_length(plain);
    worker->decompress_left -= made < worker->decompress_left ? made : worker->decompress_left;
    if (error == 0) {
        *body = mote_buffer_slice(plain);
        return true;
    }
    if (error == MOTE_EDECODE) {
        mote_call_abort(call, MOTE_STATUS_INTERNAL,
                        call->encoding != MOTE_ENCODING_IDENTITY ? "the message cannot be decompressed"
                                                                 : "a compressed message without a grpc-encoding");
    } else {
        fail_framing(call, error);
    }
    mote_buffer_dispose(plain);
    return false;
}

/* The caller holds a reference. */
static void take_message(struct mote_call *call, const struct mote_message *message)
{
    struct mote_slice body = message->body;
    struct mote_buffer plain;
    if (call->entry->single_request && call->request_messages != 0) {
        mote_call_abort(call, MOTE_STATUS_UNIMPLEMENTED, "more than one request message");
        return;
    }
    call->compressed = message->compressed;
    if (message->compressed && !decompress(call, &plain, &body)) {
        return;
    }
    call->request_messages++;
    call->request_bytes += message->body.length;
    if (call->record != NULL) {
        mote_call_record_message(call, false, body.length);
    }
    const void *request = decode(call, body);
    if (message->compressed) {
        mote_buffer_dispose(&plain);
    }
    if (request != NULL && !call->entry->single_request) {
        run_handler(call, request);
    }
}

/* A few bytes can become a large message: when the turn's share of that is used up, others come first. */
static bool must_wait(const struct mote_call *call, struct mote_slice input)
{
    return call->encoding != MOTE_ENCODING_IDENTITY && input.length != 0 &&
           mote_call_worker_of(call)->decompress_left == 0;
}

static void deliver_some(struct mote_call *call, struct mote_slice *input)
{
    while (!call->paused && call->state != MOTE_CALL_ENDED) {
        if (must_wait(call, *input)) {
            mote_server_connection_defer(call);
            return;
        }
        struct mote_message message;
        bool ready;
        const int error = mote_deframer_next(&call->deframer, input, &message, &ready);
        if (error != 0) {
            fail_framing(call, error);
            return;
        }
        if (!ready) {
            return;
        }
        take_message(call, &message);
    }
}

/* Takes what there is from the front of *input, until the handler pauses or the call ends, or has to wait. A call may
 * end while a message is decoded, by its callbacks: its bytes stay until then. */
static void deliver(struct mote_call *call, struct mote_slice *input)
{
    call->delivering = true;
    deliver_some(call, input);
    call->delivering = false;
    if (call->state == MOTE_CALL_ENDED) {
        release_bytes(call);
    }
}

/* All that the client sent has been delivered. */
static void deliver_end(struct mote_call *call)
{
    if (call->end_delivered) {
        return;
    }
    call->end_delivered = true;
    if (mote_deframer_is_inside(&call->deframer)) {
        mote_call_abort(call, MOTE_STATUS_INTERNAL, "the request ended inside a message");
    } else if (!call->entry->single_request) {
        run_handler(call, NULL);
    } else if (call->request_messages == 0) {
        mote_call_abort(call, MOTE_STATUS_UNIMPLEMENTED, "no request message");
    } else {
        run_handler(call, call->request);
    }
}

static void fail_buffered(struct mote_call *call)
{
    mote_call_abort(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "too many request bytes buffered");
}

static void hold(struct mote_call *call, struct mote_slice data)
{
    const int error = mote_buffer_append(&call->held, data.data, data.length);
    if (error != 0) {
        fail_framing(call, error);
    } else if (!account(call, mote_buffer_length(&call->held) + mote_deframer_buffered(&call->deframer))) {
        fail_buffered(call);
    }
}

void mote_call_receive(struct mote_call *call, struct mote_slice data, bool end_stream)
{
    const size_t arrived = data.length;
    call->progress_ns = mote_call_worker_of(call)->now_ns;
    call->received_bytes += arrived;
    call->half_closed = end_stream;
    mote_call_ref(call);
    if (mote_buffer_length(&call->held) == 0) {
        deliver(call, &data);
    }
    if (call->state != MOTE_CALL_ENDED) {
        if (!call->paused && data.length == 0) {
            if (!account(call, mote_deframer_buffered(&call->deframer))) {
                fail_buffered(call);
            } else if (end_stream) {
                deliver_end(call);
            }
        } else if (data.length != 0) {
            hold(call, data);
        }
    } else {
        data.length = 0; /* nobody wants the rest */
    }
    /* Without the stream, or when the client has half-closed, nobody needs credit. */
    if (!end_stream && call->stream != NULL && arrived != data.length) {
        mote_h2_consume(call->stream, arrived - data.length);
    }
    mote_call_unref(call);
}

void mote_call_receive_end(struct mote_call *call)
{
    call->half_closed = true;
    if (!call->paused && mote_buffer_length(&call->held) == 0) {
        mote_call_ref(call);
        deliver_end(call);
        mote_call_unref(call);
    }
}

void mote_call_deliver_held(struct mote_call *call)
{
    mote_call_ref(call);
    call->progress_ns = mote_call_worker_of(call)->now_ns;
    struct mote_slice waiting = mote_buffer_slice(&call->held);
    const size_t length = waiting.length;
    deliver(call, &waiting);
    if (call->state != MOTE_CALL_ENDED) {
        mote_buffer_consume(&call->held, length - waiting.length);
        if (!account(call, waiting.length + mote_deframer_buffered(&call->deframer))) {
            fail_buffered(call);
        } else if (!call->paused && waiting.length == 0 && call->half_closed) {
            deliver_end(call);
        }
    }
    if (call->stream != NULL && !call->half_closed && length != waiting.length) {
        mote_h2_consume(call->stream, length - waiting.length);
    }
    mote_call_unref(call);
}

void mote_call_pause(struct mote_call *call)
{
    call->paused = !call->entry->single_request;
}

void mote_call_resume(struct mote_call *call)
{
    if (!call->paused || call->state == MOTE_CALL_ENDED) {
        return;
    }
    call->paused = false;
    if (mote_list_is_empty(&call->resumed_node)) {
        mote_list_append(&call->connection->resumed, &call->resumed_node);
        mote_server_connection_notify(call->connection);
    }
}

/* --- output ---------------------------------------------------------------------------------------------------- */

bool mote_call_writable(const struct mote_call *call)
{
    return call->state != MOTE_CALL_ENDED && call->stream != NULL &&
           mote_h2_queued(call->stream) <= mote_call_worker_of(call)->limits->stream_output_high;
}

void mote_call_on_writable(struct mote_call *call, void (*ready)(struct mote_call *call))
{
    call->on_writable = ready;
}

void mote_call_stream_writable(struct mote_call *call)
{
    if (call->state != MOTE_CALL_ENDED && call->blocked) {
        call->blocked = false;
        if (call->on_writable != NULL) {
            mote_call_ref(call);
            call->on_writable(call);
            mote_call_unref(call);
        }
    }
}

/* --- time ------------------------------------------------------------------------------------------------------ */

/* When the client must have said more, UINT64_MAX: never. */
static uint64_t silence_ends(const struct mote_call *call)
{
    const struct mote_limits *limits = mote_call_worker_of(call)->limits;
    if (call->half_closed || call->state == MOTE_CALL_ENDED) {
        return UINT64_MAX;
    }
    return later_by(call->progress_ns,
                    call->entry->single_request ? limits->request_stall_timeout : limits->stream_idle_timeout);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the bytes of a single request are too few if no more come: bytes / rate after its start, but not before the
 * stall timeout has passed once. */
static uint64_t trickle_ends(const struct mote_call *call)
{
    const struct mote_limits *limits = mote_call_worker_of(call)->limits;
    if (call->half_closed || !call->entry->single_request || limits->request_min_rate == 0) {
        return UINT64_MAX;
    }
    const uint64_t paid_for = call->received_bytes * MOTE_LIMITS_SECOND / limits->request_min_rate;
    const uint64_t least = limits->request_stall_timeout;
    return later_by(call->started_ns, paid_for > least ? paid_for : least);
}

void mote_call_arm(struct mote_call *call)
{
    const uint64_t due = earlier(call->deadline_ns, earlier(silence_ends(call), trickle_ends(call)));
    if (due != UINT64_MAX) {
        mote_timer_start(mote_call_worker_of(call)->wheel, &call->timer, due);
    }
}

static void check_time(struct mote_call *call, uint64_t now_ns)
{
    if (call->paused) {
        call->progress_ns = now_ns; /* it is not the client who is slow */
    }
    if (now_ns >= call->deadline_ns) {
        mote_call_abort(call, MOTE_STATUS_DEADLINE_EXCEEDED, "deadline exceeded");
    } else if (now_ns >= silence_ends(call) || now_ns >= trickle_ends(call)) {
        mote_call_abort(call, MOTE_STATUS_DEADLINE_EXCEEDED, "the request came too slowly");
    } else {
        mote_call_arm(call);
    }
}

static void fire(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_call *call = MOTE_CONTAINER_OF(timer, struct mote_call, timer);
    mote_call_worker_of(call)->now_ns = now_ns;
    check_time(call, now_ns);
}

/* --- small ones ------------------------------------------------------------------------------------------------ */

void mote_call_on_cancel(struct mote_call *call, void (*ended)(struct mote_call *call, enum mote_status status))
{
    call->on_cancel = ended;
}

void mote_call_set_endless(struct mote_call *call)
{
    call->endless = true;
}

bool mote_call_was_compressed(const struct mote_call *call)
{
    return call->compressed;
}

bool mote_call_is_over(const struct mote_call *call)
{
    return call->state == MOTE_CALL_ENDED;
}

uint64_t mote_call_deadline(const struct mote_call *call)
{
    return call->deadline_ns;
}

const struct mote_method *mote_call_method(const struct mote_call *call)
{
    return call->entry->method;
}

const struct mote_service *mote_call_service(const struct mote_call *call)
{
    return call->entry->service;
}

const struct mote_identity *mote_call_identity(const struct mote_call *call)
{
    return call->has_identity ? &call->identity : NULL;
}

void mote_call_set_identity(struct mote_call *call, const struct mote_identity *identity)
{
    call->has_identity = identity != NULL;
    if (identity != NULL) {
        call->identity = *identity;
    }
}

void *mote_call_context(const struct mote_call *call)
{
    return call->entry->context;
}

void *mote_call_worker_user(const struct mote_call *call)
{
    return mote_call_worker_of(call)->user;
}

struct mote_server_worker *mote_call_worker(const struct mote_call *call)
{
    return mote_call_worker_of(call);
}

void *mote_call_data(const struct mote_call *call)
{
    return call->data;
}

void mote_call_set_data(struct mote_call *call, void *data)
{
    call->data = data;
}

void *mote_call_make_data(struct mote_call *call, size_t size)
{
    if (call->data == NULL) {
        call->data = mote_arena_allocate_zeroed(&call->arena, size);
        if (call->data == NULL) {
            mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        }
    }
    return call->data;
}

struct mote_arena *mote_call_arena(struct mote_call *call)
{
    return &call->arena;
}

uint64_t mote_call_now(const struct mote_call *call)
{
    return mote_call_worker_of(call)->now_ns;
}
