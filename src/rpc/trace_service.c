/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/trace_service.h"

#include "opentelemetry/proto/collector/trace/v1/trace_service.mote.h"

#define PREFIX(name) opentelemetry_proto_collector_trace_v1_##name

const struct mote_method mote_trace_service_export = {
    .name = "Export",
    .path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    .kind = MOTE_CALL_UNARY,
    .request = &PREFIX(ExportTraceServiceRequest_type),
    .response = &PREFIX(ExportTraceServiceResponse_type),
};

int64_t mote_trace_service_rejected(const void *response)
{
    const PREFIX(ExportTraceServiceResponse) *answer = response;
    return answer->has_partial_success ? answer->partial_success.rejected_spans : 0;
}
