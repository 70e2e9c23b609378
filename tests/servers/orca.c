/* SPDX-License-Identifier: Apache-2.0 */
#include "orca.h"

#include <mote/base/clock.h>
#include <string.h>

#include "flow.h"
#include "orca.mote.h"

#define INTERVAL_MIN_NS MOTE_NS_PER_SECOND /* production servers take 30 s (gRFC A51); tests cannot wait so long */
#define REPORT_MAX      4096u

static xds_data_orca_v3_OrcaLoadReport reported;

static void convert(xds_data_orca_v3_OrcaLoadReport *out, const grpc_testing_TestOrcaReport *in)
{
    *out = (xds_data_orca_v3_OrcaLoadReport){
        .cpu_utilization = in->cpu_utilization,
        .mem_utilization = in->memory_utilization,
        .request_cost_count = in->request_cost_count,
        .utilization_count = in->utilization_count,
    };
    for (size_t i = 0; i < in->request_cost_count; i++) {
        out->request_cost[i].value = in->request_cost[i].value;
        memcpy(out->request_cost[i].key, in->request_cost[i].key, sizeof in->request_cost[i].key);
    }
    for (size_t i = 0; i < in->utilization_count; i++) {
        out->utilization[i].value = in->utilization[i].value;
        memcpy(out->utilization[i].key, in->utilization[i].key, sizeof in->utilization[i].key);
    }
}

int orca_report_call(struct mote_call *call, const grpc_testing_TestOrcaReport *report)
{
    xds_data_orca_v3_OrcaLoadReport converted;
    uint8_t encoded[REPORT_MAX];
    size_t length;
    convert(&converted, report);
    const int error =
        mote_codec_encode_into(&xds_data_orca_v3_OrcaLoadReport_type, &converted, encoded, sizeof encoded, &length);
    return error != 0 ? error : mote_call_add_trailer(call, "endpoint-load-metrics-bin", mote_slice(encoded, length));
}

void orca_set_report(const grpc_testing_TestOrcaReport *report)
{
    convert(&reported, report);
}

struct reports {
    struct flow flow;
    uint64_t interval_ns;
};

static void step_reports(struct flow *flow)
{
    const struct reports *reports = MOTE_CONTAINER_OF(flow, struct reports, flow);
    if (!mote_call_writable(flow->call)) {
        return;
    }
    if (mote_call_send(flow->call, &reported) != 0) {
        flow_end(flow);
    } else {
        flow_wait(flow, reports->interval_ns);
    }
}

void xds_service_orca_v3_open_rca_service_stream_core_metrics(struct mote_call *call,
                                                              const xds_service_orca_v3_OrcaLoadReportRequest *request)
{
    struct reports *reports = flow_of(call, sizeof *reports, step_reports);
    if (reports == NULL) {
        return;
    }
    const int64_t seconds = request->report_interval.seconds;
    const bool is_long = seconds > 0 && seconds < INT32_MAX;
    reports->interval_ns = is_long ? (uint64_t)seconds * MOTE_NS_PER_SECOND : INTERVAL_MIN_NS;
    mote_call_set_endless(call);
    flow_go_on(&reports->flow);
}
