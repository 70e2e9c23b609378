/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame meter: a scanner of 9-byte HTTP/2 frame headers that sits in front of nghttp2, because nghttp2 calls
 * nobody for frames it ignores. It counts, keeps the token buckets of struct mote_limits and says which frame is
 * one too many; it never changes bytes. Server role: it expects the client preface first. RFC 9113 §4.1, §5.1.
 *
 * Frames that nghttp2 ignores are found by the difference: the meter notes each DATA frame and header block it has seen
 * whole, the connection reports those that nghttp2 delivered, and mote_meter_settle charges what is left over.
 */
#ifndef MOTE_WIRE_METER_H
#define MOTE_WIRE_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/linkage.h"
#include "../base/slice.h"
#include "limits.h"
#include "status.h"

MOTE_C_BEGIN

#define MOTE_METER_CLOSED_IDS       64u  /* recently closed streams remembered, a power of two */
#define MOTE_METER_SKIPPED_RANGES   16u  /* ranges of identifiers a client skipped */
#define MOTE_METER_CANCELLED_WINDOW 512u /* calls looked back at, at most: cancelled_window is clipped to it */
#define MOTE_METER_EMPTY_COST       5u   /* glitches of a frame that carries and ends nothing */
/* What a stream that we ended early forgives: frames its client sent before it knew. A window of 64 KiB is 20. */
#define MOTE_METER_FORGIVEN     40u
#define MOTE_METER_FORGIVEN_MAX 400u
#define MOTE_METER_FREE_GOAWAYS 2u

struct mote_bucket {
    uint64_t tokens; /* in thousandths */
    uint64_t last_ns;
};

struct mote_meter {
    const struct mote_limits *limits;
    bool server;
    uint8_t preface_left; /* bytes of the client preface still to come */
    uint8_t header[9];
    uint8_t header_length;
    uint32_t payload_left; /* of the frame we are in */
    bool pad_next;         /* its next byte is a pad length */
    bool block_open;       /* a header block has begun and not ended */
    bool block_ends;       /* with this frame */
    bool sent_since_ping;
    bool has_pinged;
    uint32_t frame_cost; /* what the frame costs if nghttp2 ignores it; added to `seen` at its end */
    uint64_t frame_since_ns;
    uint64_t block_since_ns;
    uint64_t seen;      /* cost of DATA frames and header blocks scanned whole */
    uint64_t delivered; /* of those that nghttp2 delivered */
    uint64_t forgiven;
    struct mote_bucket glitches;
    struct mote_bucket settings;
    struct mote_bucket pings;
    struct mote_bucket resets;
    uint64_t last_ping_ns;
    uint64_t ping_strikes;
    uint32_t acks_expected; /* of SETTINGS and PING frames we sent */
    uint32_t goaways;
    uint64_t open_streams; /* kept by the connection */
    uint64_t streams;      /* opened in all */
    uint64_t frames_sent;  /* HEADERS and DATA */
    uint64_t frames_sent_at_ping;
    uint64_t data_sent;
    uint64_t window_updates;
    uint32_t last_stream_id; /* highest opened by the peer */
    uint32_t skipped_count;
    struct {
        uint32_t first, last;
    } skipped[MOTE_METER_SKIPPED_RANGES];
    uint32_t closed[MOTE_METER_CLOSED_IDS]; /* 2 × identifier, + 1: closed by the peer; where (identifier / 2) says */
    uint32_t ended_next;
    uint32_t cancelled;
    uint64_t ended[MOTE_METER_CANCELLED_WINDOW / 64]; /* a bit for each of the last calls: cancelled early */
};

/* What the meter wants done: nothing (no_error) or the connection ended with this code and debug text. */
struct mote_meter_verdict {
    enum mote_h2_error error;
    const char *debug; /* static text for GOAWAY and the log; NULL with NO_ERROR */
};

/* `limits` is borrowed for as long as the meter is used. */
void mote_meter_init(struct mote_meter *meter, const struct mote_limits *limits, bool server, uint64_t now_ns);
/*
 * Scans `in`, which must then be given to nghttp2. *accepted is how many of its bytes may be: all of them, or those in
 * front of the frame that broke a limit.
 */
struct mote_meter_verdict mote_meter_scan(struct mote_meter *meter, struct mote_slice in, uint64_t now_ns,
                                          size_t *accepted);
/* nghttp2 delivered a DATA frame with a payload of `length` bytes, or (0) a header block. */
static inline void mote_meter_delivered(struct mote_meter *meter, size_t length)
{
    meter->delivered += 1 + length / 4096;
}
/* After nghttp2 has taken the scanned bytes: charges the frames it ignored. */
struct mote_meter_verdict mote_meter_settle(struct mote_meter *meter, uint64_t now_ns);
/* The connection sent HEADERS or DATA: earns PINGs and WINDOW_UPDATEs. */
static inline void mote_meter_sent(struct mote_meter *meter, bool data)
{
    meter->frames_sent++;
    meter->data_sent += data;
    meter->sent_since_ping = true;
}
/* We sent a SETTINGS or PING frame: one acknowledgement is no glitch. */
static inline void mote_meter_expect_ack(struct mote_meter *meter)
{
    meter->acks_expected++;
}
/* A stream was closed; `by_peer`: the peer has ended or reset its side, and may send no more on it. */
void mote_meter_stream_closed(struct mote_meter *meter, uint32_t id, bool by_peer);
/* We ended a stream early without the peer's fault: frames on their way are forgiven. */
void mote_meter_forgive(struct mote_meter *meter);
/* A call is over; `cancelled`: by the peer, or reset for the peer's fault, before it had an answer. */
struct mote_meter_verdict mote_meter_call_ended(struct mote_meter *meter, bool cancelled);
/* Costs the connection `cost` glitches (a reset it provoked, an invalid frame). */
struct mote_meter_verdict mote_meter_glitch(struct mote_meter *meter, uint32_t cost, uint64_t now_ns);
/* True inside a frame header or a header block; *since_ns is when it began. */
bool mote_meter_is_waiting(const struct mote_meter *meter, uint64_t *since_ns);

MOTE_C_END

#endif
