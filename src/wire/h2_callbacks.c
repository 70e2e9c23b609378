/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nghttp2 tells. Nothing is decided here: callbacks append events, count, and note what is to be done when nghttp2
 * has returned. The exceptions that nghttp2 allows: a header field may be dropped, and a connection that was killed
 * stops the parser with NGHTTP2_ERR_CALLBACK_FAILURE.
 */
#include "wire/h2_internal.h"
#include "wire/timeout.h"

/* A call reset by its client when its deadline had passed is no abuse; latencies differ by this much. */
#define DEADLINE_SLACK_NS 1000000u

static struct mote_h2_stream *find(struct mote_h2 *h2, int32_t id)
{
    if (h2->current != NULL && h2->current->public.id == id) {
        return h2->current;
    }
    struct mote_h2_stream *stream = nghttp2_session_get_stream_user_data(h2->session, id);
    if (stream != NULL) {
        h2->current = stream;
    }
    return stream;
}

/* What a callback returns: parsing stops once the connection is killed. */
static int outcome(const struct mote_h2 *h2)
{
    return h2->killed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int out_of_memory(struct mote_h2 *h2)
{
    mote_h2_kill(h2, MOTE_ENOMEM, MOTE_H2_INTERNAL_ERROR, "out of memory");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void reset_later(struct mote_h2_stream *stream, enum mote_h2_error error)
{
    if (!stream->reset_due) {
        stream->reset_due = true;
        stream->reset_error = error;
        stream->public.h2->resets_due++;
    }
}

/* Charges the peer for a stream it broke, once. */
static void charge(struct mote_h2 *h2, struct mote_h2_stream *stream)
{
    if (stream != NULL) {
        if (stream->faulty) {
            return;
        }
        stream->faulty = true;
    }
    (void)mote_h2_judge(h2, mote_meter_glitch(&h2->meter, 1, h2->now_ns));
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct mote_h2 *h2 = user_data;
    struct mote_h2_stream *stream;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        stream = find(h2, frame->hd.stream_id);
        if (stream != NULL && !stream->headers_done) {
            mote_h2_block_begin(h2, MOTE_H2_BLOCK_HEADERS, &stream->derived);
        } else {
            mote_h2_block_begin(h2, h2->role == MOTE_ROLE_CLIENT ? MOTE_H2_BLOCK_TRAILERS : MOTE_H2_BLOCK_DISCARDED,
                                NULL);
        }
        return 0;
    }
    stream = mote_h2_stream_new(h2, frame->hd.stream_id);
    if (stream == NULL) {
        return out_of_memory(h2);
    }
    if (nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream) != 0) {
        mote_h2_stream_free(stream);
        return out_of_memory(h2);
    }
    h2->current = stream;
    mote_h2_block_begin(h2, MOTE_H2_BLOCK_HEADERS, &stream->derived);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                     uint8_t flags, void *user_data)
{
    struct mote_h2 *h2 = user_data;
    (void)session;
    (void)frame;
    if (mote_h2_block_matches(&h2->builder, name, value)) {
        return 0;
    }
    const bool sensitive = (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0;
    return mote_h2_block_differ(h2, name, value, sensitive) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void on_end_stream(struct mote_h2 *h2, struct mote_h2_stream *stream)
{
    stream->peer_ended = true;
    if (stream->last_node != NULL) {
        stream->last_node->event.end_stream = true;
    } else if (stream->announced && !stream->reset) {
        (void)mote_h2_events_append(h2, stream, MOTE_EVENT_END);
    }
}

/* A client sees informational responses before the final one (RFC 9110 §15.2): they are dropped. */
static bool is_informational(const struct mote_h2 *h2, const struct mote_h2_block *block)
{
    const struct mote_slice status = block->fields.known[MOTE_FIELD_STATUS];
    return h2->role == MOTE_ROLE_CLIENT && status.length == 3 && status.data[0] == '1';
}

/* Announces a whole header block, whose reference it takes. */
static void announce(struct mote_h2_stream *stream, struct mote_h2_block *block)
{
    struct mote_h2 *h2 = stream->public.h2;
    const bool trailers = stream->headers_done;
    if (!trailers && is_informational(h2, block)) {
        mote_h2_block_unref(block);
        return;
    }
    if (trailers) {
        stream->trailers = block;
    } else {
        stream->headers = block;
        stream->headers_done = true;
    }
    if (stream->reset) {
        return;
    }
    struct mote_event *event = mote_h2_events_append(h2, stream, trailers ? MOTE_EVENT_TRAILERS : MOTE_EVENT_HEADERS);
    if (event != NULL) {
        event->u.fields = &block->fields;
        stream->announced = true;
    }
}

static void on_headers_complete(struct mote_h2 *h2, struct mote_h2_stream *stream, bool end_stream)
{
    if (h2->builder.overflow == MOTE_FIELDS_OVER_HARD) {
        charge(h2, stream);
        reset_later(stream, MOTE_H2_ENHANCE_YOUR_CALM);
        return;
    }
    if (!h2->builder.discards && stream->trailers == NULL) {
        struct mote_h2_block *block = mote_h2_block_finish(h2);
        if (block == NULL) {
            return;
        }
        announce(stream, block);
    }
    if (end_stream) {
        on_end_stream(h2, stream);
    }
}

static void on_ping_ack(struct mote_h2 *h2)
{
    if (h2->pings_sent != 0) {
        h2->pings_sent--;
        (void)mote_h2_events_append(h2, NULL, MOTE_EVENT_PING_ACK);
    }
}

static void on_goaway(struct mote_h2 *h2, const nghttp2_goaway *frame)
{
    struct mote_event *event = mote_h2_events_append(h2, NULL, MOTE_EVENT_GOAWAY);
    if (event != NULL) {
        event->u.end.error = frame->error_code;
        event->u.end.last_stream_id = frame->last_stream_id;
    }
}

static void on_settings(struct mote_h2 *h2, bool ack)
{
    if (ack) {
        h2->settings_acknowledged = true;
    } else {
        h2->settings_received = true;
        h2->windows_changed = true;
    }
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct mote_h2 *h2 = user_data;
    struct mote_h2_stream *stream;
    const bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        mote_meter_delivered(&h2->meter, frame->hd.length);
        stream = find(h2, frame->hd.stream_id);
        if (stream != NULL && end_stream) {
            on_end_stream(h2, stream);
        }
        break;
    case NGHTTP2_HEADERS:
        mote_meter_delivered(&h2->meter, 0);
        stream = find(h2, frame->hd.stream_id);
        if (stream != NULL) {
            on_headers_complete(h2, stream, end_stream);
        }
        break;
    case NGHTTP2_RST_STREAM:
        mote_h2_count(h2, MOTE_H2_RESET_RECEIVED, frame->rst_stream.error_code);
        stream = find(h2, frame->hd.stream_id);
        if (stream != NULL) {
            stream->peer_reset = true;
        }
        break;
    case NGHTTP2_SETTINGS:
        on_settings(h2, (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0);
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
            on_ping_ack(h2);
        }
        break;
    case NGHTTP2_GOAWAY:
        on_goaway(h2, &frame->goaway);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        h2->windows_changed = true;
        break;
    default:
        break;
    }
    return outcome(h2);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t length,
                         void *user_data)
{
    struct mote_h2 *h2 = user_data;
    struct mote_h2_stream *stream = find(h2, id);
    (void)session;
    (void)flags;
    h2->received += length;
    if (stream == NULL || stream->reset || !stream->announced) {
        return 0;
    }
    struct mote_event *event = mote_h2_events_append(h2, stream, MOTE_EVENT_DATA);
    if (event != NULL) {
        event->u.data = mote_slice(data, length);
        stream->unconsumed += length;
    }
    return outcome(h2);
}

/* nghttp2 answers with RST_STREAM, or ends the connection. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user_data)
{
    struct mote_h2 *h2 = user_data;
    (void)session;
    mote_h2_count(h2, MOTE_H2_VIOLATION,
                  error == NGHTTP2_ERR_HTTP_HEADER || error == NGHTTP2_ERR_HTTP_MESSAGING ? MOTE_H2_VIOLATION_HEADERS
                                                                                          : MOTE_H2_VIOLATION_FRAME);
    h2->left_badly |= frame->hd.type == NGHTTP2_GOAWAY;
    charge(h2, frame->hd.stream_id != 0 ? find(h2, frame->hd.stream_id) : NULL);
    return outcome(h2);
}

/* A server's call that its client gave up before there was an answer, or that the client broke. */
static bool is_cancelled_early(const struct mote_h2_stream *stream)
{
    const struct mote_h2 *h2 = stream->public.h2;
    if (stream->faulty) {
        return true;
    }
    if (!stream->peer_reset || stream->responded || stream->reset) {
        return false;
    }
    const struct mote_slice text =
        stream->headers != NULL ? stream->headers->fields.known[MOTE_FIELD_GRPC_TIMEOUT] : mote_slice(NULL, 0);
    uint64_t timeout_ns;
    if (text.data == NULL || mote_timeout_parse(&timeout_ns, text) != 0) {
        return true;
    }
    const uint64_t lived_ns = h2->now_ns - stream->created_ns;
    return lived_ns + lived_ns / 8 + DEADLINE_SLACK_NS < timeout_ns;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user_data)
{
    struct mote_h2 *h2 = user_data;
    if (h2->buried) {
        return 0; /* see on_frame_send */
    }
    struct mote_h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream == NULL || stream->closed) {
        return outcome(h2);
    }
    if (h2->current == stream) {
        h2->current = NULL;
    }
    if (h2->role == MOTE_ROLE_SERVER) {
        if (!stream->peer_reset) { /* of its resets the meter knows */
            mote_meter_stream_closed(&h2->meter, (uint32_t)id, stream->peer_ended);
            if (!stream->peer_ended && !stream->faulty) {
                mote_meter_forgive(&h2->meter);
            }
        }
        (void)mote_h2_judge(h2, mote_meter_call_ended(&h2->meter, is_cancelled_early(stream)));
    }
    const bool refused = h2->role == MOTE_ROLE_CLIENT && error == NGHTTP2_REFUSED_STREAM;
    mote_h2_stream_close(stream, stream->reset_due ? stream->reset_error : error, stream->peer_reset || refused);
    return outcome(h2);
}

static void on_reset_sent(struct mote_h2 *h2, const nghttp2_frame *frame)
{
    struct mote_h2_stream *stream = find(h2, frame->hd.stream_id);
    if (stream != NULL && !stream->reset) {
        charge(h2, stream);
    }
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct mote_h2 *h2 = user_data;
    (void)session;
    if (h2->buried) {
        return 0; /* the rest of a header block, whose stream may be gone, is let out before GOAWAY */
    }
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        mote_meter_sent(&h2->meter, frame->hd.type == NGHTTP2_DATA);
        if (h2->role == MOTE_ROLE_CLIENT && frame->hd.type == NGHTTP2_HEADERS) {
            struct mote_h2_stream *stream = find(h2, frame->hd.stream_id);
            if (stream != NULL) {
                stream->requested = true;
            }
        }
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            struct mote_h2_stream *stream = find(h2, frame->hd.stream_id);
            if (stream != NULL) {
                stream->ended = true;
                if (stream->reset_at_end && !stream->peer_ended) {
                    reset_later(stream, MOTE_H2_NO_ERROR);
                }
            }
        }
        break;
    case NGHTTP2_RST_STREAM:
        mote_h2_count(h2, MOTE_H2_RESET_SENT, frame->rst_stream.error_code);
        on_reset_sent(h2, frame);
        break;
    case NGHTTP2_GOAWAY:
        mote_h2_count(h2, MOTE_H2_GOAWAY_SENT, frame->goaway.error_code);
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR) {
            h2->failed_by_nghttp2 = true;
            h2->nghttp2_error = frame->goaway.error_code;
        }
        break;
    default:
        break;
    }
    return outcome(h2);
}

int mote_h2_callbacks_new(nghttp2_session_callbacks **out)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return MOTE_ENOMEM;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, mote_h2_stream_send_data);
    *out = callbacks;
    return 0;
}
