/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes around spans in an export (opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest): the resource,
 * which is made once, and the instrumentation scope.
 */
#ifndef MOTE_TELEMETRY_OTLP_H
#define MOTE_TELEMETRY_OTLP_H

#include "base/buffer.h"
#include "base/error.h"
#include "telemetry/attribute.h"

/* X(constant, "name", "what it says"): what the resource tells of this process; what its user gives goes before it. */
#define MOTE_OTLP_RESOURCE_MAP(X)                                                                                      \
    X(SERVICE_NAME, "service.name", "`OTEL_SERVICE_NAME`, or `mote`")                                                  \
    X(SERVICE_VERSION, "service.version", "of mote")                                                                   \
    X(INSTANCE_ID, "service.instance.id", "a random UUID, another one at each start")                                  \
    X(SDK_NAME, "telemetry.sdk.name", "`mote`")                                                                        \
    X(SDK_LANGUAGE, "telemetry.sdk.language", "`c`")                                                                   \
    X(HOST_NAME, "host.name", "what the machine calls itself")                                                         \
    X(PID, "process.pid", "the process")

enum mote_otlp_resource {
#define X(constant, name, says) MOTE_OTLP_##constant,
    MOTE_OTLP_RESOURCE_MAP(X)
#undef X
        MOTE_OTLP_RESOURCE_COUNT,
};

/* Appends the resource, a field of ResourceSpans. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_otlp_put_resource(struct mote_buffer *out, const struct mote_attribute *attributes,
                                           size_t count);
struct mote_otlp_source {
    struct mote_slice resource; /* as above */
    struct mote_slice scope_name, scope_version;
};

/* Appends a request for so many bytes of spans, as mote_span_end gives them, up to where those go: *room is for them,
 * and committed. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_otlp_put_request(struct mote_buffer *out, const struct mote_otlp_source *source, size_t spans,
                                          uint8_t **room);

#endif
