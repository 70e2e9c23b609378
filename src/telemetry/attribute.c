/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/attribute.h"

static size_t value_size(const struct mote_attribute *attribute)
{
    return mote_slice_is_present(attribute->text) ? mote_protobuf_field_size(attribute->text.length)
                                                  : 1 + mote_protobuf_varint_size(attribute->number);
}

/* Without its own tag and length. */
static size_t inner_size(const struct mote_attribute *attribute)
{
    return mote_protobuf_field_size(attribute->name.length) + mote_protobuf_field_size(value_size(attribute));
}

size_t mote_attribute_size(const struct mote_attribute *attribute)
{
    return mote_protobuf_field_size(inner_size(attribute));
}

void mote_attribute_put(struct mote_protobuf *writer, unsigned number, const struct mote_attribute *attribute)
{
    mote_protobuf_put_length(writer, number, inner_size(attribute));
    mote_protobuf_put_bytes(writer, 1, attribute->name);
    mote_protobuf_put_length(writer, 2, value_size(attribute));
    if (mote_slice_is_present(attribute->text)) {
        mote_protobuf_put_bytes(writer, 1, attribute->text);
    } else {
        mote_protobuf_put_number(writer, 3, attribute->number);
    }
}
