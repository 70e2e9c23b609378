/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may not last for ever: preface, acknowledgement of SETTINGS, a header block, output that the transport or a
 * window does not take. One timer a connection sweeps over all of it, once a second, and runs only while something can
 * stall: a connection that keeps up, or is idle, has none. A limit is therefore noticed up to a second late.
 */
#include "wire/h2_internal.h"

/* Stalls count against a connection for so long. */
#define STRIKES_NS (60u * MOTE_LIMITS_SECOND)

static bool is_expired(uint64_t since_ns, uint64_t limit_ns, uint64_t now_ns)
{
    return now_ns >= since_ns && now_ns - since_ns >= limit_ns;
}

/* Whether `amount` bytes in that time are fewer than the rate (bytes a second) asks for. */
static bool is_too_slow(uint64_t amount, uint64_t rate, uint64_t elapsed_ns)
{
    return amount < rate * (elapsed_ns / MOTE_LIMITS_SECOND);
}

static void sweep_opening(struct mote_h2 *h2, uint64_t now_ns)
{
    const struct mote_limits *limits = h2->context->limits;
    if (!h2->settings_received && is_expired(h2->since_ns, limits->preface_timeout, now_ns)) {
        mote_h2_kill(h2, MOTE_ETIMEOUT, MOTE_H2_SETTINGS_TIMEOUT, "no preface in time");
        h2->silent = h2->meter.preface_left != 0;
    }
    if (!h2->settings_acknowledged && is_expired(h2->since_ns, limits->settings_ack_timeout, now_ns)) {
        mote_h2_kill(h2, MOTE_ETIMEOUT, MOTE_H2_SETTINGS_TIMEOUT, "SETTINGS not acknowledged in time");
    }
}

static void sweep_header_block(struct mote_h2 *h2, uint64_t now_ns)
{
    uint64_t since_ns;
    if (mote_meter_is_waiting(&h2->meter, &since_ns) &&
        is_expired(since_ns, h2->context->limits->header_block_timeout, now_ns)) {
        mote_h2_kill(h2, MOTE_ETIMEOUT, MOTE_H2_ENHANCE_YOUR_CALM, "header block too slow");
    }
}

/* The transport takes nothing, or next to nothing. */
static void sweep_transport(struct mote_h2 *h2, uint64_t now_ns)
{
    const struct mote_limits *limits = h2->context->limits;
    if (h2->pending == 0 || !is_expired(h2->stall_since_ns, limits->output_stall_timeout, now_ns)) {
        return;
    }
    const uint64_t written = h2->taken_total - h2->pending - h2->stall_written;
    if (written == 0 || is_too_slow(written, limits->response_min_rate, now_ns - h2->stall_since_ns)) {
        mote_h2_kill(h2, MOTE_ETIMEOUT, MOTE_H2_ENHANCE_YOUR_CALM, "output stalled");
        return;
    }
    h2->stall_since_ns = now_ns;
    h2->stall_written += written;
}

/* Output of a stream that its window, or the connection's, does not let out. True when it was reset. */
static bool sweep_stream(struct mote_h2_stream *stream, uint64_t now_ns)
{
    struct mote_h2 *h2 = stream->public.h2;
    const struct mote_limits *limits = h2->context->limits;
    if (mote_buffer_length(&stream->output) == 0 || h2->pending != 0 || stream->stall_since_ns == 0) {
        stream->stall_since_ns = now_ns;
        stream->stall_sent = 0;
        return false;
    }
    if (!is_expired(stream->stall_since_ns, limits->response_stall_timeout, now_ns)) {
        return false;
    }
    const bool slow = stream->stall_sent == 0 ||
                      is_too_slow(stream->stall_sent, limits->response_min_rate, now_ns - stream->stall_since_ns);
    stream->stall_since_ns = now_ns;
    stream->stall_sent = 0;
    if (!slow) {
        return false;
    }
    mote_h2_reset(&stream->public, MOTE_H2_CANCEL);
    return true;
}

static void sweep_streams(struct mote_h2 *h2, uint64_t now_ns)
{
    const struct mote_limits *limits = h2->context->limits;
    bool stalled = false;
    if (h2->queued == 0) {
        return;
    }
    MOTE_LIST_FOR_EACH_SAFE(node, following, &h2->streams)
    {
        struct mote_h2_stream *stream = MOTE_CONTAINER_OF(node, struct mote_h2_stream, node);
        if (!stream->closed && !stream->reset && sweep_stream(stream, now_ns)) {
            stalled = true;
        }
    }
    if (!stalled) {
        return;
    }
    if (h2->strikes == 0 || now_ns - h2->strikes_since_ns > STRIKES_NS) {
        h2->strikes = 0;
        h2->strikes_since_ns = now_ns;
    }
    if (++h2->strikes >= limits->response_stall_strikes) {
        mote_h2_kill(h2, MOTE_ELIMIT, MOTE_H2_ENHANCE_YOUR_CALM, "replies stalled again and again");
    }
}

void mote_h2_timers_resume_crumbs(struct mote_h2 *h2, bool expired)
{
    if (h2->crumbs == 0) {
        return;
    }
    MOTE_LIST_FOR_EACH_SAFE(node, following, &h2->streams)
    {
        struct mote_h2_stream *stream = MOTE_CONTAINER_OF(node, struct mote_h2_stream, node);
        if (stream->deferral == MOTE_H2_DEFERRED_CRUMB &&
            (!expired || is_expired(stream->crumb_since_ns, MOTE_H2_CRUMB_WAIT_NS, h2->now_ns))) {
            mote_h2_stream_resume(stream);
        }
    }
}

static bool can_stall(const struct mote_h2 *h2)
{
    uint64_t since_ns;
    return !h2->settings_received || !h2->settings_acknowledged || h2->pending != 0 || h2->queued != 0 ||
           mote_meter_is_waiting(&h2->meter, &since_ns);
}

void mote_h2_timers_watch(struct mote_h2 *h2)
{
    if (h2->crumbs != 0) {
        if (!h2->timer_is_short) {
            h2->timer_is_short = true;
            mote_timer_start(h2->context->wheel, &h2->timer, h2->now_ns + MOTE_H2_CRUMB_WAIT_NS);
        }
        return;
    }
    if (!h2->timer.active && can_stall(h2) && !h2->killed && !h2->aborted) {
        mote_timer_start(h2->context->wheel, &h2->timer, h2->now_ns + MOTE_H2_SWEEP_NS);
    }
}

void mote_h2_timers_stop(struct mote_h2 *h2)
{
    mote_timer_stop(h2->context->wheel, &h2->timer);
}

static void sweep(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_h2 *h2 = MOTE_CONTAINER_OF(timer, struct mote_h2, timer);
    h2->now_ns = now_ns;
    h2->timer_is_short = false;
    if (h2->killed || h2->aborted) {
        return;
    }
    sweep_opening(h2, now_ns);
    sweep_header_block(h2, now_ns);
    sweep_transport(h2, now_ns);
    if (!h2->killed) {
        sweep_streams(h2, now_ns);
        mote_h2_timers_resume_crumbs(h2, true);
    }
    mote_h2_bury(h2);
    mote_h2_timers_watch(h2);
    if (h2->first != NULL || mote_h2_wants_write(h2) || h2->killed) {
        h2->owner->attention(h2->owner, now_ns);
    }
}

void mote_h2_timers_init(struct mote_h2 *h2)
{
    mote_timer_init(&h2->timer, sweep);
}
