/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: their life, the fields they hold, their output and credit. Output waits in a buffer of the stream until
 * nghttp2 asks for DATA; trailers are submitted with the last of it. The header blocks a stream
 * received are its until it is freed.
 */
#include <string.h>

#include "base/assert.h"
#include "wire/h2_internal.h"

struct mote_h2_stream *mote_h2_stream_new(struct mote_h2 *h2, int32_t id)
{
    struct mote_h2_stream *stream = mote_mem_allocate(h2->context->mem, sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    memset(stream, 0, offsetof(struct mote_h2_stream, trailers_out));
    stream->public.id = id;
    stream->public.h2 = h2;
    mote_buffer_init(&stream->output, h2->context->mem, 0);
    mote_buffer_lend(&stream->output, stream->output_inline, sizeof stream->output_inline);
    stream->created_ns = h2->now_ns;
    stream->headers_node = (struct mote_h2_node){.embedded = true};
    stream->data_node = (struct mote_h2_node){.embedded = true};
    stream->closed_node = (struct mote_h2_node){.embedded = true};
    mote_list_append(&h2->streams, &stream->node);
    h2->stream_count++;
    return stream;
}

void mote_h2_stream_drop_output(struct mote_h2_stream *stream)
{
    struct mote_h2 *h2 = stream->public.h2;
    h2->queued -= mote_buffer_length(&stream->output);
    mote_buffer_dispose(&stream->output);
    if (stream->deferral == MOTE_H2_DEFERRED_CRUMB) {
        h2->crumbs--;
        stream->deferral = MOTE_H2_DEFERRED_EMPTY;
    }
    stream->stall_since_ns = 0;
}

/* The memory, once nothing knows the stream any more. */
static void release_memory(struct mote_mem *mem, struct mote_h2_stream *stream)
{
    mote_h2_block_unref(stream->headers);
    mote_h2_block_unref(stream->trailers);
    mote_mem_release(mem, stream->trailers_out_heap);
    mote_mem_release(mem, stream);
}

static void unlink_stream(struct mote_h2_stream *stream)
{
    struct mote_h2 *h2 = stream->public.h2;
    if (!stream->closed) {
        mote_h2_stream_drop_output(stream);
        h2->stream_count--;
    }
    if (stream->reset_due) {
        h2->resets_due--;
    }
    if (h2->current == stream) {
        h2->current = NULL;
    }
    mote_h2_block_leave_room(h2, &stream->derived);
    mote_list_remove(&stream->node);
}

void mote_h2_stream_free(struct mote_h2_stream *stream)
{
    struct mote_mem *mem = stream->public.h2->context->mem;
    unlink_stream(stream);
    release_memory(mem, stream);
}

/* Its header blocks need neither the connection nor nghttp2's session. */
void mote_h2_keep(struct mote_stream *stream)
{
    struct mote_h2 *h2 = stream->h2;
    mote_assert(h2->taken == mote_h2_stream_of(stream));
    h2->taken = NULL;
    unlink_stream(mote_h2_stream_of(stream));
    stream->h2 = NULL;
}

void mote_h2_drop(struct mote_h2_context *context, struct mote_stream *stream)
{
    release_memory(context->mem, mote_h2_stream_of(stream));
}

void mote_h2_stream_close(struct mote_h2_stream *stream, uint32_t error, bool by_peer)
{
    struct mote_h2 *h2 = stream->public.h2;
    mote_h2_stream_drop_output(stream);
    stream->closed = true;
    h2->stream_count--;
    if (stream->announced) {
        mote_h2_events_append_closed(h2, stream, error, by_peer);
    } else {
        mote_h2_stream_free(stream);
    }
}

_Static_assert((unsigned)MOTE_FIELD_SENSITIVE == NGHTTP2_NV_FLAG_NO_INDEX &&
                   (unsigned)MOTE_FIELD_STATIC == (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE),
               "the flags of fields are nghttp2's");

/* What a field to be sent is to nghttp2. It only reads, whatever its types say. */
static nghttp2_nv nv_of(const struct mote_field *field)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)field->name.data,
        .value = (uint8_t *)(uintptr_t)field->value.data,
        .namelen = field->name.length,
        .valuelen = field->value.length,
        .flags = field->flags,
    };
}

/* Whether a block is sent at all, or is too large. */
static bool is_sendable(size_t count, size_t bytes)
{
    return count <= MOTE_H2_SEND_FIELDS_MAX && bytes + 32 * count <= MOTE_H2_SEND_BLOCK_MAX;
}

/* `out` has room for MOTE_H2_SEND_FIELDS_MAX. MOTE_ELIMIT for more fields, or a larger block, than are sent. */
static int nvs_of(nghttp2_nv *out, const struct mote_field *fields, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count && i < MOTE_H2_SEND_FIELDS_MAX; i++) {
        bytes += fields[i].name.length + fields[i].value.length;
        out[i] = nv_of(&fields[i]);
    }
    return is_sendable(count, bytes) ? 0 : MOTE_ELIMIT;
}

static int error_of(ssize_t result)
{
    switch (result) {
    case NGHTTP2_ERR_NOMEM:
        return MOTE_ENOMEM;
    case NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE:
    case NGHTTP2_ERR_STREAM_CLOSED:
    case NGHTTP2_ERR_STREAM_CLOSING:
    case NGHTTP2_ERR_SESSION_CLOSING:
        return MOTE_ECLOSED;
    default:
        return MOTE_EINVAL;
    }
}

/* Bytes went out: consumes them, and tells the writer that waits. */
static void output_sent(struct mote_h2_stream *stream, size_t length)
{
    struct mote_h2 *h2 = stream->public.h2;
    mote_buffer_consume(&stream->output, length);
    h2->queued -= length;
    stream->stall_sent += length;
    const size_t queued = mote_buffer_length(&stream->output);
    if (queued == 0) {
        stream->stall_since_ns = 0;
    }
    if (stream->writer_waits && queued <= h2->context->limits->stream_output_high / 2) {
        stream->writer_waits = false;
        (void)mote_h2_events_append(h2, stream, MOTE_EVENT_WRITABLE);
    }
}

/* Submits the trailers that were queued; 0 or an error of nghttp2. */
static int submit_trailers(struct mote_h2_stream *stream)
{
    const nghttp2_nv *fields = stream->trailers_out_heap != NULL ? stream->trailers_out_heap : stream->trailers_out;
    return nghttp2_submit_trailer(stream->public.h2->session, stream->public.id, fields, stream->trailers_out_count);
}

/* True while only a crumb of what is queued would fit into the window and a larger window may still come. */
static bool waits_for_window(struct mote_h2_stream *stream, size_t allowed)
{
    struct mote_h2 *h2 = stream->public.h2;
    const size_t queued = mote_buffer_length(&stream->output);
    if (allowed >= queued || allowed >= MOTE_H2_CRUMB) {
        stream->crumb_since_ns = 0;
        return false;
    }
    if (stream->crumb_since_ns == 0) {
        stream->crumb_since_ns = h2->now_ns + 1; /* never 0 */
    }
    if (h2->now_ns >= stream->crumb_since_ns + MOTE_H2_CRUMB_WAIT_NS) {
        stream->crumb_since_ns = 0;
        return false;
    }
    return true;
}

static ssize_t defer(struct mote_h2_stream *stream, enum mote_h2_deferral deferral)
{
    stream->deferral = deferral;
    if (deferral == MOTE_H2_DEFERRED_CRUMB) {
        stream->public.h2->crumbs++;
    }
    return NGHTTP2_ERR_DEFERRED;
}

/* nghttp2 asks for up to `allowed` bytes of DATA. */
static ssize_t read_output(nghttp2_session *session, int32_t id, uint8_t *out, size_t allowed, uint32_t *flags,
                           nghttp2_data_source *source, void *user_data)
{
    struct mote_h2_stream *stream = source->ptr;
    struct mote_h2 *h2 = user_data;
    const struct mote_slice queued = mote_buffer_slice(&stream->output);
    (void)session;
    (void)id;
    if (queued.length == 0 && !stream->ending) {
        return defer(stream, MOTE_H2_DEFERRED_EMPTY);
    }
    if (queued.length > allowed && waits_for_window(stream, allowed)) {
        return defer(stream, MOTE_H2_DEFERRED_CRUMB);
    }
    const size_t taken = queued.length < allowed ? queued.length : allowed;
    if (taken == queued.length && stream->ending) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->has_trailers) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            const int result = submit_trailers(stream);
            if (result != 0) {
                return nghttp2_is_fatal(result) ? NGHTTP2_ERR_CALLBACK_FAILURE : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
            }
        }
    }
    if (taken == 0) {
        return 0;
    }
    if (h2->out_capacity - h2->out_length >= MOTE_H2_FRAME_HEADER + taken) {
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY; /* straight into the caller's room, by mote_h2_stream_send_data */
        return (ssize_t)taken;
    }
    memcpy(out, queued.data, taken);
    h2->rest_is_wiped = true;
    output_sent(stream, taken);
    return (ssize_t)taken;
}

int mote_h2_stream_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t length,
                             nghttp2_data_source *source, void *user_data)
{
    struct mote_h2_stream *stream = source->ptr;
    struct mote_h2 *h2 = user_data;
    (void)session;
    (void)frame;
    uint8_t *out = h2->out + h2->out_length;
    mote_assert(h2->out_capacity - h2->out_length >= MOTE_H2_FRAME_HEADER + length);
    memcpy(out, header, MOTE_H2_FRAME_HEADER);
    memcpy(out + MOTE_H2_FRAME_HEADER, mote_buffer_slice(&stream->output).data, length);
    h2->out_length += MOTE_H2_FRAME_HEADER + length;
    output_sent(stream, length);
    return 0;
}

void mote_h2_stream_resume(struct mote_h2_stream *stream)
{
    struct mote_h2 *h2 = stream->public.h2;
    if (stream->deferral == MOTE_H2_NOT_DEFERRED || stream->closed) {
        return;
    }
    if (stream->deferral == MOTE_H2_DEFERRED_CRUMB) {
        h2->crumbs--;
    }
    stream->deferral = MOTE_H2_NOT_DEFERRED;
    /* It fails where the stream is being reset, and then there is nothing to resume; or for lack of memory. */
    if (nghttp2_session_resume_data(h2->session, stream->public.id) == NGHTTP2_ERR_NOMEM) {
        mote_h2_kill(h2, MOTE_ENOMEM, MOTE_H2_INTERNAL_ERROR, "out of memory");
        mote_h2_bury(h2);
    }
}

static nghttp2_data_provider provider_of(struct mote_h2_stream *stream)
{
    return (nghttp2_data_provider){.source.ptr = stream, .read_callback = read_output};
}

int mote_h2_check_request(const struct mote_h2 *h2)
{
    if (h2->killed || h2->aborted || nghttp2_session_check_request_allowed(h2->session) == 0) {
        return MOTE_ECLOSED;
    }
    if (h2->stream_count >= nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)) {
        return MOTE_EAGAIN;
    }
    return 0;
}

int mote_h2_request(struct mote_h2 *h2, const struct mote_field *fields, size_t count, bool end_stream, void *user,
                    struct mote_stream **out)
{
    nghttp2_nv nvs[MOTE_H2_SEND_FIELDS_MAX];
    int error = mote_h2_check_request(h2);
    if (error == 0) {
        error = nvs_of(nvs, fields, count);
    }
    if (error != 0) {
        return error;
    }
    struct mote_h2_stream *stream = mote_h2_stream_new(h2, 0);
    if (stream == NULL) {
        return MOTE_ENOMEM;
    }
    const nghttp2_data_provider provider = provider_of(stream);
    const int32_t id = nghttp2_submit_request(h2->session, NULL, nvs, count, end_stream ? NULL : &provider, stream);
    if (id < 0) {
        mote_h2_stream_free(stream);
        return error_of(id);
    }
    stream->public.id = id;
    stream->public.user = user;
    stream->announced = true;
    stream->responded = true;
    stream->ending = end_stream;
    *out = &stream->public;
    return 0;
}

bool mote_h2_was_requested(const struct mote_stream *public)
{
    return MOTE_CONTAINER_OF(public, const struct mote_h2_stream, public)->requested;
}

/* MOTE_ECLOSED when nothing may be written to it any more. */
static int check_open(const struct mote_h2_stream *stream)
{
    const struct mote_h2 *h2 = stream->public.h2;
    return stream->closed || stream->reset || stream->ending || h2->killed || h2->aborted ? MOTE_ECLOSED : 0;
}

int mote_h2_respond(struct mote_stream *public, const struct mote_field *fields, size_t count, bool end_stream)
{
    struct mote_h2_stream *stream = mote_h2_stream_of(public);
    mote_assert(!stream->responded && public->h2->role == MOTE_ROLE_SERVER);
    int error = check_open(stream);
    if (error != 0) {
        return error;
    }
    nghttp2_nv nvs[MOTE_H2_SEND_FIELDS_MAX];
    error = nvs_of(nvs, fields, count);
    if (error != 0) {
        return error;
    }
    const nghttp2_data_provider provider = provider_of(stream);
    const int result =
        nghttp2_submit_response(public->h2->session, public->id, nvs, count, end_stream ? NULL : &provider);
    if (result != 0) {
        return error_of(result);
    }
    stream->responded = true;
    stream->ending = end_stream;
    return 0;
}

/* So much output that it should not hold up the streams behind it: they take turns, RFC 9218 §10. */
static void interleave(struct mote_h2_stream *stream)
{
    const nghttp2_extpri priority = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    stream->interleaved = true;
    if (stream->public.h2->role == MOTE_ROLE_SERVER) {
        (void)nghttp2_session_change_extpri_stream_priority(stream->public.h2->session, stream->public.id, &priority,
                                                            1);
    }
}

int mote_h2_write(struct mote_stream *public, struct mote_slice head, struct mote_slice body)
{
    struct mote_h2_stream *stream = mote_h2_stream_of(public);
    struct mote_h2 *h2 = public->h2;
    int error = check_open(stream);
    if (error != 0) {
        return error;
    }
    mote_assert(stream->responded);
    uint8_t *room;
    error = mote_buffer_reserve(&stream->output, head.length + body.length, &room);
    if (error != 0) {
        return error;
    }
    if (head.length != 0) {
        memcpy(room, head.data, head.length);
    }
    if (body.length != 0) {
        memcpy(room + head.length, body.data, body.length);
    }
    mote_buffer_commit(&stream->output, head.length + body.length);
    h2->queued += head.length + body.length;
    const size_t queued = mote_buffer_length(&stream->output);
    if (queued > h2->context->limits->stream_output_high) {
        stream->writer_waits = true;
    }
    if (queued > MOTE_H2_FRAME_MAX && !stream->interleaved) {
        interleave(stream);
    }
    if (stream->deferral == MOTE_H2_DEFERRED_EMPTY && queued != 0) {
        mote_h2_stream_resume(stream);
    }
    return 0;
}

/* Copies the strings of a field to *text, and moves it behind them. */
static void keep_strings(nghttp2_nv *field, uint8_t **text)
{
    memcpy(*text, field->name, field->namelen);
    field->name = *text;
    *text += field->namelen;
    if (field->valuelen != 0) {
        memcpy(*text, field->value, field->valuelen);
    }
    field->value = *text;
    *text += field->valuelen;
}

/* Keeps fields until the queued bytes are out; the strings of those that are not static are copied. */
static int keep_trailers(struct mote_h2_stream *stream, const struct mote_field *fields, size_t count)
{
    size_t bytes = 0;
    size_t copied = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t length = fields[i].name.length + fields[i].value.length;
        bytes += length;
        copied += (fields[i].flags & MOTE_FIELD_STATIC) != 0 ? 0 : length;
    }
    if (!is_sendable(count, bytes)) {
        return MOTE_ELIMIT;
    }
    nghttp2_nv *kept = stream->trailers_out;
    if (count > MOTE_H2_TRAILERS_INLINE || copied != 0) {
        kept = mote_mem_allocate(stream->public.h2->context->mem, count * sizeof *kept + copied);
        if (kept == NULL) {
            return MOTE_ENOMEM;
        }
        stream->trailers_out_heap = kept;
    }
    uint8_t *text = (uint8_t *)(kept + count);
    for (size_t i = 0; i < count; i++) {
        kept[i] = nv_of(&fields[i]);
        if ((fields[i].flags & MOTE_FIELD_STATIC) == 0) {
            keep_strings(&kept[i], &text);
        }
    }
    stream->trailers_out_count = count;
    return 0;
}

int mote_h2_write_trailers(struct mote_stream *public, const struct mote_field *fields, size_t count)
{
    struct mote_h2_stream *stream = mote_h2_stream_of(public);
    int error = check_open(stream);
    if (error != 0) {
        return error;
    }
    mote_assert(stream->responded);
    error = keep_trailers(stream, fields, count);
    if (error != 0) {
        return error;
    }
    stream->has_trailers = true;
    stream->ending = true;
    if (stream->deferral == MOTE_H2_DEFERRED_EMPTY) {
        mote_h2_stream_resume(stream);
    }
    return 0;
}

int mote_h2_write_end(struct mote_stream *public)
{
    struct mote_h2_stream *stream = mote_h2_stream_of(public);
    const int error = check_open(stream);
    if (error != 0) {
        return error;
    }
    mote_assert(stream->responded);
    stream->ending = true;
    if (stream->deferral == MOTE_H2_DEFERRED_EMPTY) {
        mote_h2_stream_resume(stream);
    }
    return 0;
}

void mote_h2_reset(struct mote_stream *public, enum mote_h2_error error)
{
    struct mote_h2_stream *stream = mote_h2_stream_of(public);
    struct mote_h2 *h2 = public->h2;
    if (stream->closed || (stream->reset && !stream->reset_at_end) || h2->killed || h2->aborted) {
        return;
    }
    stream->reset = true;
    if (error == MOTE_H2_NO_ERROR && stream->ending && !stream->ended) {
        stream->reset_at_end = true;
        return;
    }
    stream->reset_at_end = false;
    mote_h2_stream_drop_output(stream);
    if (nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, public->id, error) != 0) {
        mote_h2_kill(h2, MOTE_ENOMEM, MOTE_H2_INTERNAL_ERROR, "out of memory");
        mote_h2_bury(h2);
    }
}

size_t mote_h2_queued(const struct mote_stream *public)
{
    return mote_buffer_length(&MOTE_CONTAINER_OF(public, const struct mote_h2_stream, public)->output);
}

void mote_h2_consume(struct mote_stream *public, size_t length)
{
    struct mote_h2_stream *stream = mote_h2_stream_of(public);
    struct mote_h2 *h2 = public->h2;
    mote_assert(length <= stream->unconsumed);
    stream->unconsumed -= length;
    /* A peer that has ended its side needs no window. */
    if (stream->peer_ended || stream->closed || h2->killed || h2->aborted) {
        return;
    }
    if (nghttp2_session_consume_stream(h2->session, public->id, length) != 0) {
        mote_h2_kill(h2, MOTE_ENOMEM, MOTE_H2_INTERNAL_ERROR, "out of memory");
        mote_h2_bury(h2);
    }
}
