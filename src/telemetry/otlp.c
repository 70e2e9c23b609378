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

int mote_otlp_put_request(struct mote_buffer *out, const struct mote_otlp_source *source, size_t spans, uint8_t **room)
{
    static const struct mote_slice schema = MOTE_SLICE_LITERAL(MOTE_SPAN_SCHEMA_URL);
    struct mote_protobuf writer;
    const size_t scope =
        mote_protobuf_field_size(source->scope_name.length) + mote_protobuf_field_size(source->scope_version.length);
    const size_t scope_spans = mote_protobuf_field_size(scope) + mote_protobuf_field_size(schema.length) + spans;
    const size_t resource_spans = source->resource.length + mote_protobuf_field_size(scope_spans);
    const size_t whole = mote_protobuf_field_size(resource_spans);
    const int error = reserve(out, whole, &writer);
    if (error != 0) {
        return error;
    }
    mote_protobuf_put_length(&writer, 1, resource_spans);
    mote_assert(source->resource.length <= writer.room);
    memcpy(writer.at, source->resource.data, source->resource.length);
    writer.at += source->resource.length;
    writer.room -= source->resource.length;
    mote_protobuf_put_length(&writer, 2, scope_spans);
    mote_protobuf_put_length(&writer, 1, scope);
    mote_protobuf_put_bytes(&writer, 1, source->scope_name);
    mote_protobuf_put_bytes(&writer, 2, source->scope_version);
    mote_protobuf_put_bytes(&writer, 3, schema);
    mote_assert(writer.room == spans);
    *room = writer.at;
    mote_buffer_commit(out, whole);
    return 0;
}
