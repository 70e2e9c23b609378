/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Context and connection: their life, receiving, sending and the end. See h2_internal.h for the map of the files and
 * for how a connection ends.
 */
#include "wire/h2.h"

#include <string.h>

#include "base/assert.h"
#include "base/counter.h"
#include "wire/h2_internal.h"

#define GOAWAY_LENGTH       8u
#define NGHTTP2_ACKS_MAX    128u
#define NGHTTP2_ENTRIES_MAX 16u
#define STREAM_ID_LAST      0x7fffffff

static int options_new(nghttp2_option **out)
{
    nghttp2_option *options;
    if (nghttp2_option_new(&options) != 0) {
        return MOTE_ENOMEM;
    }
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_max_settings(options, NGHTTP2_ENTRIES_MAX);
    nghttp2_option_set_max_outbound_ack(options, NGHTTP2_ACKS_MAX);
    nghttp2_option_set_max_send_header_block_length(options, 2 * MOTE_H2_SEND_BLOCK_MAX);
    /* The meter counts resets, on our clock; nghttp2's own limiter reads the system's. */
    nghttp2_option_set_stream_reset_rate_limit(options, UINT64_MAX / 2, UINT64_MAX / 2);
    *out = options;
    return 0;
}

int mote_h2_context_new(struct mote_h2_context **out, const struct mote_h2_context_options *given)
{
    struct mote_h2_context *context = mote_mem_allocate_zeroed(given->mem, sizeof *context);
    if (context == NULL) {
        return MOTE_ENOMEM;
    }
    context->limits = given->limits;
    context->mem = given->mem;
    context->wheel = given->wheel;
    context->counters = given->counters;
    mote_h2_memory_init(context);
    if (mote_h2_callbacks_new(&context->callbacks) != 0) {
        goto fail_callbacks;
    }
    if (options_new(&context->options) != 0) {
        goto fail_options;
    }
    *out = context;
    return 0;

fail_options:
    nghttp2_session_callbacks_del(context->callbacks);
fail_callbacks:
    mote_mem_release(given->mem, context);
    return MOTE_ENOMEM;
}

void mote_h2_context_free(struct mote_h2_context *context)
{
    if (context == NULL) {
        return;
    }
    mote_assert(context->connections == 0);
    mote_h2_events_free_nodes(context);
    nghttp2_option_del(context->options);
    nghttp2_session_callbacks_del(context->callbacks);
    mote_mem_release(context->mem, context);
}

static int submit_settings(struct mote_h2 *h2)
{
    const struct mote_limits *limits = h2->context->limits;
    const nghttp2_settings_entry server[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)limits->concurrent_streams_max},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->metadata_size_soft},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    const nghttp2_settings_entry client[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->metadata_size_soft},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    mote_meter_expect_ack(&h2->meter);
    if (h2->role == MOTE_ROLE_SERVER) {
        return nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, server, sizeof server / sizeof server[0]);
    }
    return nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, client, sizeof client / sizeof client[0]);
}

int mote_h2_new(struct mote_h2 **out, struct mote_h2_context *context, enum mote_role role, struct mote_h2_owner *owner,
                uint64_t now_ns)
{
    struct mote_h2 *h2 = mote_mem_allocate_zeroed(context->mem, sizeof *h2);
    if (h2 == NULL) {
        return MOTE_ENOMEM;
    }
    h2->context = context;
    h2->owner = owner;
    h2->role = role;
    h2->now_ns = now_ns;
    h2->since_ns = now_ns;
    mote_list_init(&h2->streams);
    mote_h2_block_init(&h2->builder);
    mote_meter_init(&h2->meter, context->limits, role == MOTE_ROLE_SERVER, now_ns);
    const int result = role == MOTE_ROLE_SERVER ? nghttp2_session_server_new3(&h2->session, context->callbacks, h2,
                                                                              context->options, &context->nghttp2_mem)
                                                : nghttp2_session_client_new3(&h2->session, context->callbacks, h2,
                                                                              context->options, &context->nghttp2_mem);
    if (result != 0) {
        goto fail_session;
    }
    if (submit_settings(h2) != 0) {
        goto fail_settings;
    }
    context->connections++;
    mote_h2_timers_init(h2);
    mote_h2_timers_watch(h2);
    *out = h2;
    return 0;

fail_settings:
    nghttp2_session_del(h2->session);
fail_session:
    mote_mem_release(context->mem, h2);
    return MOTE_ENOMEM;
}

void mote_h2_free(struct mote_h2 *h2)
{
    if (h2 == NULL) {
        return;
    }
    mote_h2_timers_stop(h2);
    mote_h2_events_clear(h2);
    MOTE_LIST_FOR_EACH_SAFE(node, following, &h2->streams)
    {
        mote_h2_stream_free(MOTE_CONTAINER_OF(node, struct mote_h2_stream, node));
    }
    mote_h2_block_clear(h2);
    nghttp2_session_del(h2->session);
    mote_h2_memory_release_held(h2);
    h2->context->connections--;
    mote_mem_release(h2->context->mem, h2);
}

void mote_h2_count(const struct mote_h2 *h2, enum mote_h2_counted kind, uint32_t error)
{
    if (h2->context->counters != NULL) {
        const uint32_t place = error < MOTE_H2_ERRORS - 1 ? error : MOTE_H2_ERRORS - 1;
        mote_counter_add(&h2->context->counters[(unsigned)kind * MOTE_H2_ERRORS + place], 1);
    }
}

void mote_h2_kill(struct mote_h2 *h2, int failure, enum mote_h2_error error, const char *debug)
{
    if (h2->killed) {
        return;
    }
    h2->killed = true;
    h2->failure = failure;
    h2->kill_error = error;
    h2->reason = debug;
    if (failure == MOTE_EPROTO && debug != NULL) {
        mote_h2_count(h2, MOTE_H2_VIOLATION, MOTE_H2_VIOLATION_CONNECTION);
    }
}

bool mote_h2_judge(struct mote_h2 *h2, struct mote_meter_verdict verdict)
{
    if (verdict.error == MOTE_H2_NO_ERROR) {
        return false;
    }
    mote_h2_kill(h2, verdict.error == MOTE_H2_ENHANCE_YOUR_CALM ? MOTE_ELIMIT : MOTE_EPROTO, verdict.error,
                 verdict.debug);
    return true;
}

static void put_u32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

/* One that waits unsent makes way. */
static void prepare_goaway(struct mote_h2 *h2, uint32_t last_stream_id, enum mote_h2_error error, const char *debug)
{
    mote_h2_count(h2, MOTE_H2_GOAWAY_SENT, error);
    h2->notice = (struct mote_h2_notice){
        .debug = debug,
        .last_stream_id = last_stream_id,
        .error = error,
        .behind_settings = h2->killed && !h2->sent_anything,
    };
    h2->notice_waits = true;
}

/* Writes the GOAWAY frame (RFC 9113 §6.8), and returns its length. */
static size_t write_notice(uint8_t out[MOTE_H2_NOTICE_MAX], const struct mote_h2_notice *notice)
{
    const size_t text = notice->debug != NULL ? strlen(notice->debug) : 0;
    const size_t length = text < MOTE_H2_DEBUG_MAX ? text : MOTE_H2_DEBUG_MAX;
    uint8_t *at = out;
    memset(out, 0, MOTE_H2_NOTICE_MAX);
    if (notice->behind_settings) {
        at[3] = NGHTTP2_SETTINGS;
        at += MOTE_H2_FRAME_HEADER;
    }
    at[2] = (uint8_t)(GOAWAY_LENGTH + length);
    at[3] = NGHTTP2_GOAWAY;
    put_u32(at + MOTE_H2_FRAME_HEADER, notice->last_stream_id);
    put_u32(at + MOTE_H2_FRAME_HEADER + 4, notice->error);
    if (length != 0) {
        memcpy(at + MOTE_H2_FRAME_HEADER + GOAWAY_LENGTH, notice->debug, length);
    }
    return (size_t)(at - out) + MOTE_H2_FRAME_HEADER + GOAWAY_LENGTH + length;
}

/* Every stream gets its CLOSED event; nghttp2 is not called any more. */
static void close_streams(struct mote_h2 *h2, enum mote_h2_error error, bool by_peer)
{
    MOTE_LIST_FOR_EACH_SAFE(node, following, &h2->streams)
    {
        struct mote_h2_stream *stream = MOTE_CONTAINER_OF(node, struct mote_h2_stream, node);
        if (!stream->closed) {
            mote_h2_stream_close(stream, error, by_peer);
        }
    }
}

void mote_h2_bury(struct mote_h2 *h2)
{
    if (!h2->killed || h2->buried) {
        return;
    }
    h2->buried = true;
    mote_h2_timers_stop(h2);
    h2->notice_waits = false;
    if (!h2->silent) {
        prepare_goaway(h2, (uint32_t)nghttp2_session_get_last_proc_stream_id(h2->session), h2->kill_error, h2->reason);
    }
    close_streams(h2, h2->kill_error, false);
}

void mote_h2_abort(struct mote_h2 *h2)
{
    if (h2->aborted) {
        return;
    }
    h2->aborted = true;
    mote_h2_timers_stop(h2);
    close_streams(h2, MOTE_H2_CANCEL, true);
}

void mote_h2_terminate(struct mote_h2 *h2, enum mote_h2_error error, const char *debug)
{
    mote_h2_kill(h2, MOTE_ECLOSED, error, debug);
    mote_h2_bury(h2);
}

void mote_h2_submit_resets(struct mote_h2 *h2)
{
    if (h2->resets_due == 0) {
        return;
    }
    MOTE_LIST_FOR_EACH_SAFE(node, following, &h2->streams)
    {
        struct mote_h2_stream *stream = MOTE_CONTAINER_OF(node, struct mote_h2_stream, node);
        if (!stream->reset_due) {
            continue;
        }
        stream->reset_due = false;
        h2->resets_due--;
        if (!stream->closed &&
            nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->public.id, stream->reset_error) != 0) {
            mote_h2_kill(h2, MOTE_ENOMEM, MOTE_H2_INTERNAL_ERROR, "out of memory");
        }
    }
}

/* Fatal errors of nghttp2; it sends no GOAWAY for them. Where a callback killed the connection, that stands. */
static void fail(struct mote_h2 *h2, ssize_t error)
{
    switch (error) {
    case NGHTTP2_ERR_NOMEM:
        mote_h2_kill(h2, MOTE_ENOMEM, MOTE_H2_INTERNAL_ERROR, "out of memory");
        break;
    case NGHTTP2_ERR_FLOODED:
        mote_h2_kill(h2, MOTE_ELIMIT, MOTE_H2_ENHANCE_YOUR_CALM, "too many frames to acknowledge");
        break;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        mote_h2_kill(h2, MOTE_ELIMIT, MOTE_H2_ENHANCE_YOUR_CALM, "header block in too many frames");
        break;
    default:
        mote_h2_kill(h2, MOTE_EINTERNAL, MOTE_H2_INTERNAL_ERROR, "internal error");
        break;
    }
}

static void begin_shutdown(struct mote_h2 *h2, const char *debug)
{
    h2->shutting_down = true;
    h2->shutdown_due = true;
    h2->shutdown_debug = debug;
}

/* What nghttp2 has taken in has consequences of its own. */
static void settle(struct mote_h2 *h2)
{
    const struct mote_limits *limits = h2->context->limits;
    if (!h2->failed_by_nghttp2) {
        (void)mote_h2_judge(h2, mote_meter_settle(&h2->meter, h2->now_ns));
    }
    mote_h2_submit_resets(h2);
    if (h2->received != 0) {
        if (nghttp2_session_consume_connection(h2->session, h2->received) != 0) {
            mote_h2_kill(h2, MOTE_ENOMEM, MOTE_H2_INTERNAL_ERROR, "out of memory");
        }
        h2->received = 0;
    }
    if (h2->windows_changed) {
        h2->windows_changed = false;
        mote_h2_timers_resume_crumbs(h2, false);
    }
    if (h2->role == MOTE_ROLE_SERVER && !h2->shutting_down && h2->meter.last_stream_id >= limits->stream_id_max) {
        begin_shutdown(h2, "stream identifiers run out");
    }
}

int mote_h2_recv(struct mote_h2 *h2, struct mote_slice in, uint64_t now_ns)
{
    mote_assert(in.length <= MOTE_H2_RECV_MAX && h2->first == NULL);
    if (h2->killed || h2->aborted) {
        return h2->failure != 0 ? h2->failure : MOTE_ECLOSED;
    }
    if (in.length == 0) {
        return 0;
    }
    h2->now_ns = now_ns;
    h2->meter.open_streams = h2->stream_count;
    size_t accepted;
    const struct mote_meter_verdict verdict = mote_meter_scan(&h2->meter, in, now_ns, &accepted);
    if (accepted != 0) {
        const ssize_t taken = nghttp2_session_mem_recv(h2->session, in.data, accepted);
        if (taken < 0) {
            fail(h2, taken);
        }
    }
    if (mote_h2_judge(h2, verdict)) {
        h2->silent = h2->meter.preface_left != 0;
    }
    if (!h2->killed) {
        settle(h2);
    }
    mote_h2_bury(h2);
    mote_h2_timers_watch(h2);
    return h2->killed ? h2->failure : 0;
}

/* Copies what is left of a GOAWAY of ours: it is written anew each time, so that none has to be kept. */
static __attribute__((noinline)) void copy_notice(const struct mote_h2 *h2, uint8_t *out, size_t taken)
{
    uint8_t bytes[MOTE_H2_NOTICE_MAX];
    const size_t length = write_notice(bytes, &h2->notice_out);
    memcpy(out, bytes + length - h2->rest_length, taken);
}

/* Copies what is left of a frame; false when the room does not suffice. */
static bool send_rest(struct mote_h2 *h2)
{
    const size_t room = h2->out_capacity - h2->out_length;
    const size_t taken = h2->rest_length < room ? h2->rest_length : room;
    if (taken == 0) {
        return h2->rest_length == 0;
    }
    if (h2->rest != NULL) {
        memcpy(h2->out + h2->out_length, h2->rest, taken);
        if (h2->rest_is_wiped) {
            mote_mem_wipe((void *)(uintptr_t)h2->rest, taken); /* nghttp2 does not read it again */
            h2->rest_is_wiped = taken != h2->rest_length;
        }
        h2->rest += taken;
    } else {
        copy_notice(h2, h2->out + h2->out_length, taken);
    }
    h2->out_length += taken;
    h2->rest_length -= taken;
    return h2->rest_length == 0;
}

static __attribute__((noinline)) void begin_notice(struct mote_h2 *h2)
{
    uint8_t bytes[MOTE_H2_NOTICE_MAX];
    h2->notice_out = h2->notice;
    h2->notice_waits = false;
    h2->rest = NULL;
    h2->rest_length = write_notice(bytes, &h2->notice_out);
}

/* True when a GOAWAY of ours is the next frame to be sent. */
static bool next_is_notice(struct mote_h2 *h2)
{
    if (!h2->notice_waits || h2->inside_block || (!h2->sent_anything && !h2->killed)) {
        return false;
    }
    begin_notice(h2);
    return true;
}

/* The last step of a graceful shutdown, as late as possible: streams that came until now are served. */
static void submit_shutdown(struct mote_h2 *h2)
{
    const char *debug = h2->shutdown_debug;
    h2->shutdown_due = false;
    if (nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h2->session),
                              NGHTTP2_NO_ERROR, (const uint8_t *)debug, debug != NULL ? strlen(debug) : 0) != 0) {
        mote_h2_kill(h2, MOTE_ENOMEM, MOTE_H2_INTERNAL_ERROR, "out of memory");
        mote_h2_bury(h2);
    }
}

/* The next frame from nghttp2; false when there is none now. */
static bool next_frame(struct mote_h2 *h2)
{
    const size_t before = h2->out_length;
    const uint8_t *data;
    mote_h2_memory_begin_send(h2);
    const ssize_t length = nghttp2_session_mem_send(h2->session, &data);
    if (!mote_h2_memory_end_send(h2) || length < 0) {
        fail(h2, length < 0 ? length : NGHTTP2_ERR_NOMEM);
        mote_h2_bury(h2);
        if (h2->inside_block) { /* it broke off: nothing that the peer could read may follow */
            h2->inside_block = false;
            h2->notice_waits = false;
        }
        return false;
    }
    h2->rest = data;
    h2->rest_length = (size_t)length;
    if (length >= (ssize_t)MOTE_H2_FRAME_HEADER) {
        const uint8_t type = data[3];
        h2->inside_block =
            (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION) && (data[4] & NGHTTP2_FLAG_END_HEADERS) == 0;
        h2->rest_is_wiped |= h2->role == MOTE_ROLE_CLIENT && (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION);
    }
    h2->sent_anything |= length != 0;
    const bool killed = h2->killed;
    const bool resets = h2->resets_due != 0;
    mote_h2_submit_resets(h2);
    if (killed) {
        mote_h2_bury(h2);
    }
    return length != 0 || h2->out_length != before || resets;
}

/* True when nghttp2 has nothing more to say: it was stopped, or ended the connection. */
static bool is_silenced(const struct mote_h2 *h2)
{
    return (h2->killed && !h2->inside_block) || h2->failed_by_nghttp2;
}

int mote_h2_send(struct mote_h2 *h2, uint8_t *out, size_t capacity, size_t *length, uint64_t now_ns)
{
    mote_assert(capacity != 0);
    *length = 0;
    if (h2->aborted) {
        return h2->failure != 0 ? h2->failure : MOTE_ECLOSED;
    }
    h2->now_ns = now_ns;
    h2->out = out;
    h2->out_length = 0;
    h2->out_capacity = capacity;
    if (h2->shutdown_due && !h2->killed) {
        submit_shutdown(h2);
    }
    while (send_rest(h2) && h2->out_length < capacity) {
        if (!next_is_notice(h2) && (is_silenced(h2) || !next_frame(h2))) {
            break;
        }
    }
    if (h2->failed_by_nghttp2 && !h2->killed) {
        const bool internal =
            h2->nghttp2_error == NGHTTP2_INTERNAL_ERROR; /* such as no memory to compress a header block */
        /* grpc-go's clients leave with a GOAWAY that names a stream of their own, which nghttp2 does not like (RFC 9113
         * §6.8 has no such identifiers): a usual end, and nothing to tell anybody. */
        const char *reason = internal ? "internal error" : h2->left_badly ? NULL : "protocol error";
        mote_h2_kill(h2, internal ? MOTE_EINTERNAL : MOTE_EPROTO, (enum mote_h2_error)h2->nghttp2_error, reason);
        h2->silent = true; /* its GOAWAY is out */
        mote_h2_bury(h2);
    }
    h2->taken_total += h2->out_length;
    *length = h2->out_length;
    mote_h2_timers_watch(h2);
    return *length == 0 && h2->killed ? h2->failure : 0;
}

bool mote_h2_wants_write(const struct mote_h2 *h2)
{
    if (h2->aborted) {
        return false;
    }
    if (h2->rest_length != 0 || h2->notice_waits || (h2->shutdown_due && !h2->killed)) {
        return true;
    }
    return !is_silenced(h2) && nghttp2_session_want_write(h2->session) != 0;
}

bool mote_h2_is_open(const struct mote_h2 *h2)
{
    return h2->settings_received;
}

bool mote_h2_wants_read(const struct mote_h2 *h2)
{
    const struct mote_limits *limits = h2->context->limits;
    return !h2->killed && !h2->aborted && !h2->output_blocked &&
           nghttp2_session_get_outbound_queue_size(h2->session) <= limits->output_frames_max;
}

bool mote_h2_is_over(const struct mote_h2 *h2)
{
    if (h2->aborted) {
        return true;
    }
    if (mote_h2_wants_write(h2)) {
        return false;
    }
    return h2->killed || (nghttp2_session_want_read(h2->session) == 0 && h2->stream_count == 0);
}

void mote_h2_set_pending_output(struct mote_h2 *h2, size_t pending, uint64_t now_ns)
{
    const struct mote_limits *limits = h2->context->limits;
    if (h2->pending == 0 && pending != 0) {
        h2->stall_since_ns = now_ns;
        h2->stall_written = h2->taken_total - pending;
    }
    h2->pending = pending;
    if (pending > limits->output_high) {
        h2->output_blocked = true;
    } else if (pending <= limits->output_low) {
        h2->output_blocked = false;
    }
    if (pending != 0) {
        h2->now_ns = now_ns;
        mote_h2_timers_watch(h2);
    }
}

int mote_h2_shutdown_notice(struct mote_h2 *h2, const char *debug)
{
    if (h2->killed || h2->aborted) {
        return MOTE_ECLOSED;
    }
    if (!h2->shutting_down) {
        prepare_goaway(h2, STREAM_ID_LAST, MOTE_H2_NO_ERROR, debug);
    }
    return 0;
}

int mote_h2_shutdown(struct mote_h2 *h2, const char *debug)
{
    if (h2->killed || h2->aborted) {
        return MOTE_ECLOSED;
    }
    if (!h2->shutting_down) {
        begin_shutdown(h2, debug);
    }
    return 0;
}

int mote_h2_ping(struct mote_h2 *h2, const uint8_t payload[8])
{
    if (h2->killed || h2->aborted) {
        return MOTE_ECLOSED;
    }
    if (nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, payload) != 0) {
        return MOTE_ENOMEM;
    }
    mote_meter_expect_ack(&h2->meter);
    h2->pings_sent++;
    return 0;
}

size_t mote_h2_stream_count(const struct mote_h2 *h2)
{
    return h2->stream_count;
}

int32_t mote_h2_last_stream_id(const struct mote_h2 *h2)
{
    return nghttp2_session_get_last_proc_stream_id(h2->session);
}

const char *mote_h2_end_reason(const struct mote_h2 *h2)
{
    return h2->reason;
}
