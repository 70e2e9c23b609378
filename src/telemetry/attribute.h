/* SPDX-License-Identifier: Apache-2.0 */
/* A name with a value, as OTLP has it (opentelemetry.proto.common.v1.KeyValue): of spans and of the resource. */
#ifndef MOTE_TELEMETRY_ATTRIBUTE_H
#define MOTE_TELEMETRY_ATTRIBUTE_H

#include "base/slice.h"
#include "codec/protobuf.h"

/* A text, or a number where the text is absent. */
struct mote_attribute {
    struct mote_slice name;
    struct mote_slice text;
    uint64_t number;
};

/* As field `number` of a message, its tag and length included. */
size_t mote_attribute_size(const struct mote_attribute *attribute);
void mote_attribute_put(struct mote_protobuf *writer, unsigned number, const struct mote_attribute *attribute);

#endif
