/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that writes its frames by hand: whatever a peer may send, right or wrong. And what the server answered, as
 * text: one line a frame.
 */
#ifndef MOTE_PAIR_PEER_H
#define MOTE_PAIR_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

enum mote_peer_type {
    PEER_DATA,
    PEER_HEADERS,
    PEER_PRIORITY,
    PEER_RST_STREAM,
    PEER_SETTINGS,
    PEER_PUSH_PROMISE,
    PEER_PING,
    PEER_GOAWAY,
    PEER_WINDOW_UPDATE,
    PEER_CONTINUATION,
};

enum mote_peer_flag {
    PEER_ACK = 0x1,
    PEER_END_STREAM = 0x1,
    PEER_END_HEADERS = 0x4,
    PEER_PADDED = 0x8,
};

/* The identifier of a client's stream number `n`, from 0. */
static inline uint32_t mote_peer_id(uint32_t n)
{
    return 2 * n + 1;
}

/* All of these append to `out`, and abort when memory runs out. */
void mote_peer_frame(struct mote_buffer *out, unsigned type, unsigned flags, uint32_t stream_id,
                     struct mote_slice payload);
/* The connection preface and an empty SETTINGS frame. */
void mote_peer_preface(struct mote_buffer *out);
/* An acknowledgement of the server's SETTINGS. */
void mote_peer_settings_ack(struct mote_buffer *out);
/* A setting: one identifier and value. */
void mote_peer_setting(struct mote_buffer *out, uint16_t identifier, uint32_t value);
void mote_peer_ping(struct mote_buffer *out, bool ack);
void mote_peer_rst_stream(struct mote_buffer *out, uint32_t stream_id, uint32_t error);
void mote_peer_window_update(struct mote_buffer *out, uint32_t stream_id, uint32_t increment);
void mote_peer_goaway(struct mote_buffer *out, uint32_t last_stream_id, uint32_t error);
/* DATA of `length` bytes 'x'. */
void mote_peer_data(struct mote_buffer *out, uint32_t stream_id, size_t length, bool end_stream);
/* One field of a header block: a literal that is not indexed (RFC 7541 §6.2.2). */
void mote_peer_field(struct mote_buffer *block, const char *name, const char *value);
/* The fields of a gRPC request, as mote_peer_field makes them. */
void mote_peer_request_fields(struct mote_buffer *block);
/* HEADERS with these fields. */
void mote_peer_request(struct mote_buffer *out, uint32_t stream_id, bool end_stream);

/* Appends to `text` a line for each frame in `bytes`: "RST_STREAM 1 CANCEL". */
void mote_peer_describe(struct mote_buffer *text, struct mote_slice bytes);
/* The same, where `fields` adds what is in a header block (of one frame). */
typedef void mote_peer_fields_cb(void *context, struct mote_buffer *text, struct mote_slice block);
void mote_peer_describe_with(struct mote_buffer *text, struct mote_slice bytes, mote_peer_fields_cb *fields,
                             void *context);

#endif
