/* SPDX-License-Identifier: Apache-2.0 */
/* See peer.h. Field lengths stay under 127, so that each takes one byte in HPACK. */
#include "pair/peer.h"

#include <string.h>

#include "base/assert.h"
#include "wire/status.h"

#define HEADER 9u

static const char *const type_names[] = {"DATA",         "HEADERS", "PRIORITY", "RST_STREAM",    "SETTINGS",
                                         "PUSH_PROMISE", "PING",    "GOAWAY",   "WINDOW_UPDATE", "CONTINUATION"};

static void append(struct mote_buffer *out, const void *data, size_t length)
{
    const int error = mote_buffer_append(out, data, length);
    mote_assert(error == 0);
}

static void put_u32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static uint32_t get_u32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

void mote_peer_frame(struct mote_buffer *out, unsigned type, unsigned flags, uint32_t stream_id,
                     struct mote_slice payload)
{
    uint8_t header[HEADER] = {0};
    put_u32(header, (uint32_t)payload.length << 8);
    header[3] = (uint8_t)type;
    header[4] = (uint8_t)flags;
    put_u32(header + 5, stream_id);
    append(out, header, sizeof header);
    append(out, payload.data, payload.length);
}

void mote_peer_preface(struct mote_buffer *out)
{
    append(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    mote_peer_frame(out, PEER_SETTINGS, 0, 0, mote_slice_text(""));
}

void mote_peer_settings_ack(struct mote_buffer *out)
{
    mote_peer_frame(out, PEER_SETTINGS, PEER_ACK, 0, mote_slice_text(""));
}

void mote_peer_setting(struct mote_buffer *out, uint16_t identifier, uint32_t value)
{
    uint8_t payload[6] = {(uint8_t)(identifier >> 8), (uint8_t)identifier};
    put_u32(payload + 2, value);
    mote_peer_frame(out, PEER_SETTINGS, 0, 0, mote_slice(payload, sizeof payload));
}

void mote_peer_ping(struct mote_buffer *out, bool ack)
{
    mote_peer_frame(out, PEER_PING, ack ? PEER_ACK : 0, 0, mote_slice_text("12345678"));
}

void mote_peer_rst_stream(struct mote_buffer *out, uint32_t stream_id, uint32_t error)
{
    uint8_t payload[4];
    put_u32(payload, error);
    mote_peer_frame(out, PEER_RST_STREAM, 0, stream_id, mote_slice(payload, sizeof payload));
}

void mote_peer_window_update(struct mote_buffer *out, uint32_t stream_id, uint32_t increment)
{
    uint8_t payload[4];
    put_u32(payload, increment);
    mote_peer_frame(out, PEER_WINDOW_UPDATE, 0, stream_id, mote_slice(payload, sizeof payload));
}

void mote_peer_goaway(struct mote_buffer *out, uint32_t last_stream_id, uint32_t error)
{
    uint8_t payload[8];
    put_u32(payload, last_stream_id);
    put_u32(payload + 4, error);
    mote_peer_frame(out, PEER_GOAWAY, 0, 0, mote_slice(payload, sizeof payload));
}

void mote_peer_data(struct mote_buffer *out, uint32_t stream_id, size_t length, bool end_stream)
{
    uint8_t body[16384];
    mote_assert(length <= sizeof body);
    memset(body, 'x', length);
    mote_peer_frame(out, PEER_DATA, end_stream ? PEER_END_STREAM : 0, stream_id, mote_slice(body, length));
}

void mote_peer_field(struct mote_buffer *block, const char *name, const char *value)
{
    const uint8_t name_head[2] = {0, (uint8_t)strlen(name)};
    const uint8_t value_head = (uint8_t)strlen(value);
    mote_assert(strlen(name) < 127 && strlen(value) < 127);
    append(block, name_head, sizeof name_head);
    append(block, name, strlen(name));
    append(block, &value_head, 1);
    append(block, value, strlen(value));
}

void mote_peer_request_fields(struct mote_buffer *block)
{
    mote_peer_field(block, ":method", "POST");
    mote_peer_field(block, ":scheme", "http");
    mote_peer_field(block, ":path", "/a.B/C");
    mote_peer_field(block, ":authority", "test");
    mote_peer_field(block, "te", "trailers");
    mote_peer_field(block, "content-type", "application/grpc");
}

void mote_peer_request(struct mote_buffer *out, uint32_t stream_id, bool end_stream)
{
    struct mote_buffer block;
    mote_buffer_init(&block, mote_mem_system(), 0);
    mote_peer_request_fields(&block);
    mote_peer_frame(out, PEER_HEADERS, PEER_END_HEADERS | (end_stream ? PEER_END_STREAM : 0u), stream_id,
                    mote_buffer_slice(&block));
    mote_buffer_dispose(&block);
}

static void describe_payload(struct mote_buffer *text, unsigned type, unsigned flags, struct mote_slice payload)
{
    int error = 0;
    switch (type) {
    case PEER_DATA:
        error = mote_buffer_append_format(text, " %zu%s", payload.length, (flags & PEER_END_STREAM) ? " end" : "");
        break;
    case PEER_HEADERS:
        error = mote_buffer_append_format(text, "%s", (flags & PEER_END_STREAM) ? " end" : "");
        break;
    case PEER_RST_STREAM:
        error = mote_buffer_append_format(text, " %s", mote_h2_error_name((enum mote_h2_error)get_u32(payload.data)));
        break;
    case PEER_SETTINGS:
    case PEER_PING:
        error = mote_buffer_append_format(text, "%s", (flags & PEER_ACK) ? " ack" : "");
        break;
    case PEER_GOAWAY:
        error = mote_buffer_append_format(text, " %u %s%s%.*s", get_u32(payload.data),
                                          mote_h2_error_name((enum mote_h2_error)get_u32(payload.data + 4)),
                                          payload.length > 8 ? " " : "", (int)(payload.length - 8),
                                          (const char *)payload.data + 8);
        break;
    case PEER_WINDOW_UPDATE:
        error = mote_buffer_append_format(text, " %u", get_u32(payload.data));
        break;
    default:
        break;
    }
    mote_assert(error == 0);
}

void mote_peer_describe(struct mote_buffer *text, struct mote_slice bytes)
{
    mote_peer_describe_with(text, bytes, NULL, NULL);
}

void mote_peer_describe_with(struct mote_buffer *text, struct mote_slice bytes, mote_peer_fields_cb *fields,
                             void *context)
{
    while (bytes.length >= HEADER) {
        const size_t length = get_u32(bytes.data) >> 8;
        const unsigned type = bytes.data[3];
        const uint32_t stream_id = get_u32(bytes.data + 5);
        mote_assert(bytes.length >= HEADER + length);
        int error = type <= PEER_CONTINUATION ? mote_buffer_append_text(text, type_names[type])
                                              : mote_buffer_append_format(text, "TYPE(%u)", type);
        if (error == 0 && stream_id != 0) {
            error = mote_buffer_append_format(text, " %u", stream_id);
        }
        mote_assert(error == 0);
        describe_payload(text, type, bytes.data[4], mote_slice(bytes.data + HEADER, length));
        if (type == PEER_HEADERS && fields != NULL) {
            fields(context, text, mote_slice(bytes.data + HEADER, length));
        }
        append(text, "\n", 1);
        bytes = mote_slice(bytes.data + HEADER + length, bytes.length - HEADER - length);
    }
    mote_assert(bytes.length == 0);
}
