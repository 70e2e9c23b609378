/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state machine over the bytes of one direction: preface, frame header, payload. Only headers and pad lengths are
 * looked at. Costs and rates are those of struct mote_limits; the rules about stream identifiers are RFC 9113 §5.1 and
 * §5.1.1, which nghttp2 does not enforce for streams it has forgotten.
 */
#include "wire/meter.h"

#include <string.h>

#define HEADER_LENGTH 9u
#define NS_PER_MS     1000000u
/* A bucket is refilled for no more than this, so that the arithmetic cannot overflow. */
#define REFILL_MAX_NS (3600u * MOTE_LIMITS_SECOND)
/* PINGs that answers earn are saved up to this many bursts. */
#define EARNED_BURSTS 10u
/* Without calls a PING is welcome this often (gRFC A8). */
#define PING_INTERVAL_IDLE_NS (7200u * MOTE_LIMITS_SECOND)
/* WINDOW_UPDATE frames that a fresh connection may send. */
#define WINDOW_UPDATES_FREE 5u
/* Padding this many times the data is a glitch. */
#define PADDING_RATIO 100u

static const uint8_t preface[] = {'P', 'R', 'I',  ' ',  '*',  ' ',  'H', 'T', 'T',  'P',  '/',  '2',
                                  '.', '0', '\r', '\n', '\r', '\n', 'S', 'M', '\r', '\n', '\r', '\n'};

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_PRIORITY = 2,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PUSH_PROMISE = 5,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8,
    FRAME_CONTINUATION = 9,
};

enum frame_flag {
    FLAG_ACK = 0x1,
    FLAG_END_STREAM = 0x1,
    FLAG_END_HEADERS = 0x4,
    FLAG_PADDED = 0x8,
};

struct frame {
    uint32_t length;
    uint32_t stream_id;
    uint8_t type;
    uint8_t flags;
};

static const struct mote_meter_verdict fine = {MOTE_H2_NO_ERROR, NULL};

static struct mote_meter_verdict verdict(enum mote_h2_error error, const char *debug)
{
    return (struct mote_meter_verdict){error, debug};
}

static void bucket_init(struct mote_bucket *bucket, uint64_t burst, uint64_t now_ns)
{
    *bucket = (struct mote_bucket){.tokens = burst * 1000, .last_ns = now_ns};
}

/* False when there are not `cost` tokens left. */
static bool bucket_take(struct mote_bucket *bucket, uint64_t cost, uint64_t burst, uint64_t rate, uint64_t now_ns)
{
    const uint64_t most = burst * 1000;
    if (now_ns > bucket->last_ns && bucket->tokens < most) {
        const uint64_t elapsed = now_ns - bucket->last_ns < REFILL_MAX_NS ? now_ns - bucket->last_ns : REFILL_MAX_NS;
        const uint64_t added = elapsed * rate / NS_PER_MS;
        if (added != 0) {
            bucket->tokens = bucket->tokens + added < most ? bucket->tokens + added : most;
            bucket->last_ns = now_ns;
        }
    } else if (bucket->tokens >= most) {
        bucket->last_ns = now_ns;
    }
    if (bucket->tokens < cost * 1000) {
        return false;
    }
    bucket->tokens -= cost * 1000;
    return true;
}

void mote_meter_init(struct mote_meter *meter, const struct mote_limits *limits, bool server, uint64_t now_ns)
{
    *meter = (struct mote_meter){
        .limits = limits,
        .server = server,
        .preface_left = server ? (uint8_t)sizeof preface : 0,
    };
    bucket_init(&meter->glitches, limits->glitch_burst, now_ns);
    bucket_init(&meter->settings, limits->settings_burst + 1, now_ns); /* the one of the preface is free */
    bucket_init(&meter->pings, limits->ping_burst, now_ns);
    bucket_init(&meter->resets, limits->resets_burst, now_ns);
}

struct mote_meter_verdict mote_meter_glitch(struct mote_meter *meter, uint32_t cost, uint64_t now_ns)
{
    const struct mote_limits *limits = meter->limits;
    if (bucket_take(&meter->glitches, cost, limits->glitch_burst, limits->glitch_rate, now_ns)) {
        return fine;
    }
    return verdict(MOTE_H2_ENHANCE_YOUR_CALM, "too many glitches");
}

struct mote_meter_verdict mote_meter_settle(struct mote_meter *meter, uint64_t now_ns)
{
    if (meter->seen <= meter->delivered) {
        return fine;
    }
    uint64_t ignored = meter->seen - meter->delivered;
    meter->delivered = meter->seen;
    if (meter->forgiven >= ignored) {
        meter->forgiven -= ignored;
        return fine;
    }
    ignored -= meter->forgiven;
    meter->forgiven = 0;
    return mote_meter_glitch(meter, (uint32_t)ignored, now_ns);
}

static void note_closed(struct mote_meter *meter, uint32_t id, bool by_peer)
{
    uint32_t *closed = &meter->closed[(id >> 1) & (MOTE_METER_CLOSED_IDS - 1)];
    const uint32_t known = *closed >> 1;
    if (known == id) {
        *closed |= by_peer;
    } else if (known < id) {
        *closed = id << 1 | by_peer;
    }
}

void mote_meter_stream_closed(struct mote_meter *meter, uint32_t id, bool by_peer)
{
    note_closed(meter, id, by_peer);
}

void mote_meter_forgive(struct mote_meter *meter)
{
    const uint64_t forgiven = meter->forgiven + MOTE_METER_FORGIVEN;
    meter->forgiven = forgiven < MOTE_METER_FORGIVEN_MAX ? forgiven : MOTE_METER_FORGIVEN_MAX;
}

struct mote_meter_verdict mote_meter_call_ended(struct mote_meter *meter, bool cancelled)
{
    const uint64_t configured = meter->limits->cancelled_window;
    const uint64_t window = configured < MOTE_METER_CANCELLED_WINDOW ? configured : MOTE_METER_CANCELLED_WINDOW;
    if (window == 0) {
        return fine;
    }
    uint64_t *word = &meter->ended[meter->ended_next / 64];
    const uint64_t bit = (uint64_t)1 << (meter->ended_next % 64);
    meter->cancelled -= (*word & bit) != 0;
    meter->cancelled += cancelled;
    *word = cancelled ? *word | bit : *word & ~bit;
    meter->ended_next = meter->ended_next + 1 < window ? meter->ended_next + 1 : 0;
    if (cancelled && meter->cancelled >= meter->limits->cancelled_max) {
        return verdict(MOTE_H2_ENHANCE_YOUR_CALM, "too many cancelled calls");
    }
    return fine;
}

bool mote_meter_is_waiting(const struct mote_meter *meter, uint64_t *since_ns)
{
    if (meter->block_open) {
        *since_ns = meter->block_since_ns;
        return true;
    }
    *since_ns = meter->frame_since_ns;
    return meter->header_length != 0;
}

/* True when the peer has ended or reset this stream and it is closed. */
static bool is_closed_by_peer(const struct mote_meter *meter, uint32_t id)
{
    return meter->closed[(id >> 1) & (MOTE_METER_CLOSED_IDS - 1)] == (id << 1 | 1u);
}

static bool is_skipped(const struct mote_meter *meter, uint32_t id)
{
    const uint32_t count =
        meter->skipped_count < MOTE_METER_SKIPPED_RANGES ? meter->skipped_count : MOTE_METER_SKIPPED_RANGES;
    for (uint32_t i = 0; i < count; i++) {
        if (id >= meter->skipped[i].first && id <= meter->skipped[i].last) {
            return true;
        }
    }
    return false;
}

static void note_skipped(struct mote_meter *meter, uint32_t first, uint32_t last)
{
    const uint32_t slot = meter->skipped_count++ % MOTE_METER_SKIPPED_RANGES;
    meter->skipped[slot].first = first;
    meter->skipped[slot].last = last;
}

static struct mote_meter_verdict on_data(struct mote_meter *meter, const struct frame *frame, uint64_t now_ns)
{
    meter->frame_cost = 1 + frame->length / 4096;
    meter->pad_next = (frame->flags & FLAG_PADDED) != 0;
    if (meter->server) {
        if (is_closed_by_peer(meter, frame->stream_id)) {
            return verdict(MOTE_H2_STREAM_CLOSED, "DATA on a closed stream");
        }
        if (meter->skipped_count != 0 && is_skipped(meter, frame->stream_id)) {
            return verdict(MOTE_H2_STREAM_CLOSED, "DATA on a skipped stream");
        }
    }
    if (frame->length == 0 && (frame->flags & FLAG_END_STREAM) == 0) {
        return mote_meter_glitch(meter, MOTE_METER_EMPTY_COST, now_ns);
    }
    return fine;
}

static struct mote_meter_verdict on_headers(struct mote_meter *meter, const struct frame *frame, uint64_t now_ns)
{
    const uint32_t id = frame->stream_id;
    meter->frame_cost = 1;
    meter->pad_next = (frame->flags & FLAG_PADDED) != 0;
    meter->block_open = true;
    meter->block_since_ns = meter->frame_since_ns;
    meter->block_ends = (frame->flags & FLAG_END_HEADERS) != 0;
    if (meter->server && id > meter->last_stream_id) {
        if (id > meter->last_stream_id + 2 && (id & 1) != 0) {
            note_skipped(meter, meter->last_stream_id + 1, id - 2);
        }
        meter->last_stream_id = id;
        meter->streams++;
        meter->open_streams++;
    } else if (meter->server) {
        if (is_closed_by_peer(meter, id)) {
            return verdict(MOTE_H2_STREAM_CLOSED, "HEADERS on a closed stream");
        }
        if (is_skipped(meter, id)) {
            return verdict(MOTE_H2_PROTOCOL_ERROR, "stream identifiers must increase");
        }
    }
    if (frame->length == 0 && (frame->flags & FLAG_END_STREAM) == 0) {
        return mote_meter_glitch(meter, MOTE_METER_EMPTY_COST, now_ns);
    }
    return fine;
}

static struct mote_meter_verdict on_continuation(struct mote_meter *meter, const struct frame *frame, uint64_t now_ns)
{
    meter->block_ends = (frame->flags & FLAG_END_HEADERS) != 0;
    if (frame->length == 0 && !meter->block_ends) {
        return mote_meter_glitch(meter, MOTE_METER_EMPTY_COST, now_ns);
    }
    return fine;
}

static struct mote_meter_verdict on_rst_stream(struct mote_meter *meter, const struct frame *frame, uint64_t now_ns)
{
    const struct mote_limits *limits = meter->limits;
    if (!meter->server) {
        return fine;
    }
    if (frame->stream_id <= meter->last_stream_id) {
        note_closed(meter, frame->stream_id, true);
    }
    if (!bucket_take(&meter->resets, 1, limits->resets_burst, limits->resets_rate, now_ns)) {
        return verdict(MOTE_H2_ENHANCE_YOUR_CALM, "too many RST_STREAM frames");
    }
    return fine;
}

static struct mote_meter_verdict on_ack(struct mote_meter *meter, uint64_t now_ns)
{
    if (meter->acks_expected != 0) {
        meter->acks_expected--;
        return fine;
    }
    return mote_meter_glitch(meter, 1, now_ns);
}

static struct mote_meter_verdict on_settings(struct mote_meter *meter, const struct frame *frame, uint64_t now_ns)
{
    const struct mote_limits *limits = meter->limits;
    if ((frame->flags & FLAG_ACK) != 0) {
        return on_ack(meter, now_ns);
    }
    if (!bucket_take(&meter->settings, 1, limits->settings_burst, limits->settings_rate, now_ns)) {
        return verdict(MOTE_H2_ENHANCE_YOUR_CALM, "too many SETTINGS frames");
    }
    return fine;
}

/* gRFC A8: a PING too soon after the one before is a strike, unless we sent HEADERS or DATA in between. */
static bool is_ping_strike(struct mote_meter *meter, uint64_t now_ns)
{
    const struct mote_limits *limits = meter->limits;
    const bool first = !meter->has_pinged;
    const uint64_t before_ns = meter->last_ping_ns;
    meter->has_pinged = true;
    meter->last_ping_ns = now_ns;
    if (meter->sent_since_ping) {
        meter->sent_since_ping = false;
        meter->ping_strikes = 0;
        return false;
    }
    if (first || limits->keepalive_min_time == 0) {
        return false;
    }
    const bool idle = meter->open_streams == 0 && limits->keepalive_without_calls == 0;
    const uint64_t interval =
        idle && limits->keepalive_min_time < PING_INTERVAL_IDLE_NS ? PING_INTERVAL_IDLE_NS : limits->keepalive_min_time;
    return now_ns - before_ns < interval;
}

static struct mote_meter_verdict on_ping(struct mote_meter *meter, const struct frame *frame, uint64_t now_ns)
{
    const struct mote_limits *limits = meter->limits;
    if ((frame->flags & FLAG_ACK) != 0) {
        return on_ack(meter, now_ns);
    }
    const uint64_t earned = (meter->frames_sent - meter->frames_sent_at_ping) * 1000;
    const uint64_t most = limits->ping_burst * EARNED_BURSTS * 1000;
    meter->frames_sent_at_ping = meter->frames_sent;
    if (meter->pings.tokens < most) {
        meter->pings.tokens = meter->pings.tokens + earned < most ? meter->pings.tokens + earned : most;
    }
    if (!bucket_take(&meter->pings, 1, limits->ping_burst, limits->ping_rate, now_ns)) {
        return verdict(MOTE_H2_ENHANCE_YOUR_CALM, "too_many_pings");
    }
    if (meter->server && is_ping_strike(meter, now_ns) && ++meter->ping_strikes >= limits->keepalive_strikes) {
        return verdict(MOTE_H2_ENHANCE_YOUR_CALM, "too_many_pings");
    }
    return fine;
}

static struct mote_meter_verdict on_window_update(struct mote_meter *meter)
{
    const uint64_t streams = meter->server ? meter->streams : meter->frames_sent - meter->data_sent;
    const uint64_t earned = streams + meter->limits->window_updates_per_data * meter->data_sent;
    if (++meter->window_updates > WINDOW_UPDATES_FREE + 2 * earned) {
        return verdict(MOTE_H2_ENHANCE_YOUR_CALM, "too many WINDOW_UPDATE frames");
    }
    return fine;
}

static struct mote_meter_verdict on_frame(struct mote_meter *meter, const struct frame *frame, uint64_t now_ns)
{
    meter->pad_next = false;
    meter->frame_cost = 0;
    switch (frame->type) {
    case FRAME_DATA:
        return on_data(meter, frame, now_ns);
    case FRAME_HEADERS:
        return on_headers(meter, frame, now_ns);
    case FRAME_CONTINUATION:
        return on_continuation(meter, frame, now_ns);
    case FRAME_RST_STREAM:
        return on_rst_stream(meter, frame, now_ns);
    case FRAME_SETTINGS:
        return on_settings(meter, frame, now_ns);
    case FRAME_PING:
        return on_ping(meter, frame, now_ns);
    case FRAME_WINDOW_UPDATE:
        return on_window_update(meter);
    case FRAME_PUSH_PROMISE:
        return fine;
    case FRAME_GOAWAY:
        if (++meter->goaways <= MOTE_METER_FREE_GOAWAYS) {
            return fine;
        }
        break;
    case FRAME_PRIORITY:
        if (frame->stream_id == 0) { /* RFC 9113 §6.3 */
            return verdict(MOTE_H2_PROTOCOL_ERROR, "PRIORITY without a stream");
        }
        break;
    default: /* extensions and unknown types: nghttp2 ignores them, as it is told to do with PRIORITY */
        break;
    }
    return mote_meter_glitch(meter, 1 + frame->length / 4096, now_ns);
}

static void end_frame(struct mote_meter *meter)
{
    if (meter->block_open) {
        if (meter->block_ends) {
            meter->block_open = false;
            meter->seen++;
        }
        return;
    }
    meter->seen += meter->frame_cost;
}

/* The first payload byte of a padded frame: nearly all padding is a glitch. */
static struct mote_meter_verdict on_pad_length(struct mote_meter *meter, uint32_t pad, uint64_t now_ns)
{
    const uint32_t rest = meter->payload_left - 1;
    const uint32_t data = rest > pad ? rest - pad : 0;
    meter->pad_next = false;
    return data * PADDING_RATIO < pad ? mote_meter_glitch(meter, 1, now_ns) : fine;
}

static struct mote_meter_verdict scan_payload(struct mote_meter *meter, struct mote_slice *in, uint64_t now_ns)
{
    if (meter->pad_next) {
        const struct mote_meter_verdict result = on_pad_length(meter, in->data[0], now_ns);
        if (result.error != MOTE_H2_NO_ERROR) {
            return result;
        }
    }
    const uint32_t taken = in->length < meter->payload_left ? (uint32_t)in->length : meter->payload_left;
    *in = mote_slice(in->data + taken, in->length - taken);
    meter->payload_left -= taken;
    if (meter->payload_left == 0) {
        end_frame(meter);
    }
    return fine;
}

/* NULL while the header is incomplete. */
static const uint8_t *scan_header(struct mote_meter *meter, struct mote_slice *in, uint64_t now_ns)
{
    const uint8_t *bytes = in->data;
    if (meter->header_length == 0) {
        meter->frame_since_ns = now_ns;
        if (in->length >= HEADER_LENGTH) {
            *in = mote_slice(in->data + HEADER_LENGTH, in->length - HEADER_LENGTH);
            return bytes;
        }
    }
    const size_t missing = HEADER_LENGTH - meter->header_length;
    const size_t taken = in->length < missing ? in->length : missing;
    memcpy(meter->header + meter->header_length, bytes, taken);
    *in = mote_slice(bytes + taken, in->length - taken);
    meter->header_length = (uint8_t)(meter->header_length + taken);
    if (meter->header_length < HEADER_LENGTH) {
        return NULL;
    }
    meter->header_length = 0;
    return meter->header;
}

static struct mote_meter_verdict scan_preface(struct mote_meter *meter, struct mote_slice *in)
{
    const size_t taken = in->length < meter->preface_left ? in->length : meter->preface_left;
    if (memcmp(preface + sizeof preface - meter->preface_left, in->data, taken) != 0) {
        return verdict(MOTE_H2_PROTOCOL_ERROR, "not an HTTP/2 preface");
    }
    meter->preface_left = (uint8_t)(meter->preface_left - taken);
    *in = mote_slice(in->data + taken, in->length - taken);
    return fine;
}

static struct mote_meter_verdict begin_frame(struct mote_meter *meter, const uint8_t *bytes, uint64_t now_ns)
{
    const struct frame frame = {
        .length = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2],
        .type = bytes[3],
        .flags = bytes[4],
        .stream_id =
            ((uint32_t)bytes[5] << 24 | (uint32_t)bytes[6] << 16 | (uint32_t)bytes[7] << 8 | bytes[8]) & 0x7fffffffu,
    };
    const struct mote_meter_verdict result = on_frame(meter, &frame, now_ns);
    meter->payload_left = frame.length;
    if (frame.length == 0 && result.error == MOTE_H2_NO_ERROR) {
        end_frame(meter);
    }
    return result;
}

struct mote_meter_verdict mote_meter_scan(struct mote_meter *meter, struct mote_slice in, uint64_t now_ns,
                                          size_t *accepted)
{
    struct mote_slice rest = in;
    struct mote_meter_verdict result = fine;
    while (rest.length != 0) {
        const size_t done = in.length - rest.length;
        if (meter->payload_left != 0) {
            result = scan_payload(meter, &rest, now_ns);
        } else if (meter->preface_left != 0) {
            result = scan_preface(meter, &rest);
        } else {
            const uint8_t *header = scan_header(meter, &rest, now_ns);
            if (header != NULL) {
                result = begin_frame(meter, header, now_ns);
            }
        }
        if (result.error != MOTE_H2_NO_ERROR) {
            *accepted = done;
            return result;
        }
    }
    *accepted = in.length;
    return fine;
}
