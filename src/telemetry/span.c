/* SPDX-License-Identifier: Apache-2.0 */
/* Field numbers are those of opentelemetry-proto 1.11: trace.proto and common.proto. */
#include "telemetry/span.h"

#include "base/assert.h"
#include "base/text.h"

#define FLAGS_HAVE_REMOTE 0x100u
#define FLAGS_REMOTE      0x200u
#define FLAGS_SIZE        6u /* field 16, whose tag takes two bytes: a fixed32 */
#define STATUS_ERROR      2u
#define STATUS_SIZE       2u
#define FIXED64_SIZE      9u

static const char *const attribute_names[MOTE_SPAN_ATTRIBUTE_COUNT] = {
#define X(constant, name) [MOTE_SPAN_##constant] = name,
    MOTE_SPAN_ATTRIBUTE_MAP(X)
#undef X
};

static struct mote_slice name_of(enum mote_span_attribute_id id)
{
    return mote_slice_text(attribute_names[id]);
}

void mote_span_add_text(struct mote_span *span, enum mote_span_attribute_id id, struct mote_slice text)
{
    mote_assert(span->attribute_count < MOTE_SPAN_ATTRIBUTE_MAX && mote_slice_is_present(text));
    if (mote_utf8_is_valid(text)) {
        span->attributes[span->attribute_count++] = (struct mote_attribute){.name = name_of(id), .text = text};
    }
}

void mote_span_add_number(struct mote_span *span, enum mote_span_attribute_id id, uint64_t number)
{
    mote_assert(span->attribute_count < MOTE_SPAN_ATTRIBUTE_MAX);
    span->attributes[span->attribute_count++] = (struct mote_attribute){.name = name_of(id), .number = number};
}

/* --- sizes ------------------------------------------------------------------------------------------------------- */

static size_t link_size(void)
{
    return mote_protobuf_field_size(MOTE_TRACE_ID_LENGTH) + mote_protobuf_field_size(MOTE_SPAN_ID_LENGTH);
}

static size_t span_size(const struct mote_span *span)
{
    size_t size = mote_protobuf_field_size(MOTE_TRACE_ID_LENGTH) + mote_protobuf_field_size(MOTE_SPAN_ID_LENGTH) +
                  (span->trace_state.length != 0 ? mote_protobuf_field_size(span->trace_state.length) : 0) +
                  (span->has_parent ? mote_protobuf_field_size(MOTE_SPAN_ID_LENGTH) : 0) +
                  mote_protobuf_field_size(span->name.length) + 2 + 2 * FIXED64_SIZE + FLAGS_SIZE;
    for (size_t i = 0; i < span->attribute_count; i++) {
        size += mote_attribute_size(&span->attributes[i]);
    }
    size += span->link != NULL ? mote_protobuf_field_size(link_size()) : 0;
    return size + (span->is_error ? mote_protobuf_field_size(STATUS_SIZE) : 0);
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

/* Span.flags is field 16: its tag is 0x85 0x01. */
static void put_flags(struct mote_protobuf *writer, uint32_t flags)
{
    mote_protobuf_put_varint(writer, 16u << 3 | 5u);
    for (int i = 0; i < 4; i++) {
        mote_assert(writer->room != 0);
        *writer->at++ = (uint8_t)(flags >> 8 * i);
        writer->room--;
    }
}

size_t mote_span_encode(const struct mote_span *span, uint8_t *out, size_t capacity)
{
    const size_t size = span_size(span);
    const size_t whole = mote_protobuf_field_size(size);
    if (whole > capacity) {
        return 0;
    }
    struct mote_protobuf writer = {.at = out, .room = whole};
    mote_protobuf_put_length(&writer, 2, size);
    mote_protobuf_put_bytes(&writer, 1, mote_slice(span->context.trace_id, MOTE_TRACE_ID_LENGTH));
    mote_protobuf_put_bytes(&writer, 2, mote_slice(span->context.span_id, MOTE_SPAN_ID_LENGTH));
    if (span->trace_state.length != 0) {
        mote_protobuf_put_bytes(&writer, 3, span->trace_state);
    }
    if (span->has_parent) {
        mote_protobuf_put_bytes(&writer, 4, mote_slice(span->parent_id, MOTE_SPAN_ID_LENGTH));
    }
    mote_protobuf_put_bytes(&writer, 5, span->name);
    mote_protobuf_put_number(&writer, 6, span->kind);
    mote_protobuf_put_fixed64(&writer, 7, span->start_ns);
    mote_protobuf_put_fixed64(&writer, 8, span->end_ns);
    for (size_t i = 0; i < span->attribute_count; i++) {
        mote_attribute_put(&writer, 9, &span->attributes[i]);
    }
    if (span->link != NULL) {
        mote_protobuf_put_length(&writer, 13, link_size());
        mote_protobuf_put_bytes(&writer, 1, mote_slice(span->link->trace_id, MOTE_TRACE_ID_LENGTH));
        mote_protobuf_put_bytes(&writer, 2, mote_slice(span->link->span_id, MOTE_SPAN_ID_LENGTH));
    }
    if (span->is_error) {
        mote_protobuf_put_length(&writer, 15, STATUS_SIZE);
        mote_protobuf_put_number(&writer, 3, STATUS_ERROR);
    }
    put_flags(&writer, span->context.flags | FLAGS_HAVE_REMOTE | (span->parent_is_remote ? FLAGS_REMOTE : 0));
    mote_assert(writer.room == 0);
    return whole;
}
