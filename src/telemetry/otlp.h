/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes around spans in an export (opentelemetry.proto.trace.v1.ResourceSpans): the resource, which is made once,
 * and the instrumentation scope.
 */
#ifndef MOTE_TELEMETRY_OTLP_H
#define MOTE_TELEMETRY_OTLP_H

#include "base/buffer.h"
#include "base/error.h"
#include "telemetry/attribute.h"

/* Appends the resource, a field of ResourceSpans. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_otlp_put_resource(struct mote_buffer *out, const struct mote_attribute *attributes,
                                           size_t count);
/* Appends a ResourceSpans: `resource` as above, `spans` as mote_span_encode makes them. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_otlp_put_resource_spans(struct mote_buffer *out, struct mote_slice resource,
                                                 struct mote_slice scope_name, struct mote_slice scope_version,
                                                 struct mote_slice spans);

#endif
