/* SPDX-License-Identifier: Apache-2.0 */
/* Field numbers are those of opentelemetry-proto 1.11: trace.proto, resource.proto and common.proto. */
#include "telemetry/otlp.h"

#include "base/assert.h"
#include "telemetry/span.h"

static int reserve(struct mote_buffer *out, size_t size, struct mote_protobuf *writer)
{
    writer->room = size;
    return mote_buffer_reserve(out, size, &writer->at);
}

int mote_otlp_put_resource(struct mote_buffer *out, const struct mote_attribute *attributes, size_t count)
{
    struct mote_protobuf writer;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += mote_attribute_size(&attributes[i]);
    }
    const size_t whole = mote_protobuf_field_size(size);
    const int error = reserve(out, whole, &writer);
    if (error != 0) {
        return error;
    }
    mote_protobuf_put_length(&writer, 1, size);
    for (size_t i = 0; i < count; i++) {
        mote_attribute_put(&writer, 1, &attributes[i]);
    }
    mote_assert(writer.room == 0);
    mote_buffer_commit(out, whole);
    return 0;
}

int mote_otlp_put_resource_spans(struct mote_buffer *out, struct mote_slice resource, struct mote_slice scope_name,
                                 struct mote_slice scope_version, struct mote_slice spans)
{
    static const struct mote_slice schema = MOTE_SLICE_LITERAL(MOTE_SPAN_SCHEMA_URL);
    struct mote_protobuf writer;
    const size_t scope = mote_protobuf_field_size(scope_name.length) + mote_protobuf_field_size(scope_version.length);
    const size_t scope_spans = mote_protobuf_field_size(scope) + spans.length + mote_protobuf_field_size(schema.length);
    const size_t head = mote_protobuf_field_size(scope_spans) - mote_protobuf_field_size(schema.length) - spans.length;
    const size_t tail = mote_protobuf_field_size(schema.length);
    int error = mote_buffer_append(out, resource.data, resource.length);
    if (error != 0) {
        return error;
    }
    error = reserve(out, head + spans.length + tail, &writer);
    if (error != 0) {
        return error;
    }
    mote_protobuf_put_length(&writer, 2, scope_spans);
    mote_protobuf_put_length(&writer, 1, scope);
    mote_protobuf_put_bytes(&writer, 1, scope_name);
    mote_protobuf_put_bytes(&writer, 2, scope_version);
    mote_assert(writer.room == spans.length + tail);
    memcpy(writer.at, spans.data, spans.length);
    writer = (struct mote_protobuf){.at = writer.at + spans.length, .room = tail};
    mote_protobuf_put_bytes(&writer, 3, schema);
    mote_assert(writer.room == 0);
    mote_buffer_commit(out, head + spans.length + tail);
    return 0;
}
