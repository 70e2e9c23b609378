/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame meter: a scanner of 9-byte HTTP/2 frame headers that sits in front of nghttp2, because nghttp2 calls
 * nobody for frames it ignores. It counts, keeps the token buckets of struct mote_limits and says which frame is
 * one too many; it never changes bytes. Server role: it expects the client preface first. RFC 9113 §4.1, §5.1.
 */
#ifndef MOTE_WIRE_METER_H
#define MOTE_WIRE_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "wire/limits.h"
#include "wire/status.h"

#define MOTE_METER_CLOSED_IDS 64u     /* recently closed streams remembered */
#define MOTE_METER_SKIPPED_RANGES 16u /* ranges of identifiers a client skipped */

struct mote_bucket {
    uint64_t tokens;  /* in thousandths */
    uint64_t last_ns;
};

struct mote_meter_closed {
    uint32_t id;
    bool by_peer;
};

struct mote_meter {
    const struct mote_limits *limits;
    bool expects_preface;
    uint8_t header[9];
    uint8_t header_length;
    uint8_t preface_length;
    uint8_t pad_pending;        /* the next payload byte is a pad length */
    uint32_t payload_left;
    uint32_t last_stream_id;    /* highest opened by the peer */
    bool inside_header_block;   /* HEADERS or CONTINUATION without END_HEADERS is open */
    uint64_t header_block_since_ns;
    struct mote_bucket glitches;
    struct mote_bucket settings;
    struct mote_bucket pings;
    uint64_t window_updates;
    uint64_t window_updates_allowed;
    uint64_t goaways;
    struct mote_meter_closed closed[MOTE_METER_CLOSED_IDS];
    uint32_t closed_next;
    struct {
        uint32_t first, last;
    } skipped[MOTE_METER_SKIPPED_RANGES];
    uint32_t skipped_count;
};

/* What the meter wants done: nothing (no_error) or the connection ended with this code and debug text. */
struct mote_meter_verdict {
    enum mote_h2_error error;
    const char *debug; /* static text for GOAWAY and the log; NULL with NO_ERROR */
};

void mote_meter_init(struct mote_meter *meter, const struct mote_limits *limits, bool server, uint64_t now_ns);
/*
 * Scans `in`, which must then be given to nghttp2. *accepted is how many of its bytes may be: all of them, or those in
 * front of the frame that broke a limit.
 */
struct mote_meter_verdict mote_meter_scan(struct mote_meter *meter, struct mote_slice in, uint64_t now_ns,
                                          size_t *accepted);
/* The connection sent HEADERS or DATA: earns PINGs and WINDOW_UPDATEs. */
void mote_meter_sent(struct mote_meter *meter, bool data);
/* A stream was closed; `by_peer`: its last act was the peer's END_STREAM or RST_STREAM. */
void mote_meter_stream_closed(struct mote_meter *meter, uint32_t id, bool by_peer);
/* Costs the connection `cost` glitches (a reset it provoked, an invalid frame). */
struct mote_meter_verdict mote_meter_glitch(struct mote_meter *meter, uint32_t cost, uint64_t now_ns);

#endif
