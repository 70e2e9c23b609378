/* SPDX-License-Identifier: Apache-2.0 */
#include "app/traces.h"

#include <stdio.h>

#include "net/tls_files.h"
#include "security/secret.h"

#define SYSTEM_AUTHORITIES "/etc/ssl/certs/ca-certificates.crt"

static bool is_wanted(const struct mote_options *options)
{
    const bool has_endpoint = options->otel_exporter_otlp_endpoint != NULL;
    return !options->otel_sdk_disabled && (options->otel_traces_exporter == MOTE_TRACES_OTLP ||
                                           (options->otel_traces_exporter == MOTE_TRACES_AUTO && has_endpoint));
}

static int load_tls(struct mote_tls_context **tls, const struct mote_traces *traces, const struct mote_options *options,
                    char problem[MOTE_TRACE_PROBLEM_MAX])
{
    const struct mote_tls_client_files files = {
        .authorities = options->otel_exporter_otlp_certificate != NULL ? options->otel_exporter_otlp_certificate
                                                                       : SYSTEM_AUTHORITIES,
        .certificate = options->otel_exporter_otlp_client_certificate,
        .key = options->otel_exporter_otlp_client_key,
    };
    if (!traces->endpoint.is_tls && (traces->endpoint.has_scheme || options->otel_exporter_otlp_insecure)) {
        return 0;
    }
    return mote_tls_files_load_client(tls, &files, problem);
}

/* The pairs of a list as fields, but for those of this name; how many. */
static int parse_fields(struct mote_field *out, size_t *count, struct mote_trace_pairs *pairs, const char *list,
                        const char *without)
{
    const char *problem;
    const int error = mote_trace_pairs_parse(pairs, list, &problem);
    *count = 0;
    for (size_t i = 0; i < pairs->count; i++) {
        if (without == NULL || !mote_slice_equals_text(pairs->pairs[i].name, without)) {
            out[(*count)++] = (struct mote_field){
                .name = pairs->pairs[i].name, .value = pairs->pairs[i].value, .flags = MOTE_FIELD_SENSITIVE};
        }
    }
    return error;
}

static int fill_in(struct mote_trace_export_options *out, struct mote_traces *traces,
                   const struct mote_options *options, char problem[MOTE_TRACE_PROBLEM_MAX])
{
    const char *given = options->otel_exporter_otlp_endpoint;
    const char *text = given != NULL ? given : "http://localhost:4317";
    const char *why = "";
    int error = mote_trace_endpoint_parse(&traces->endpoint, text, &why);
    snprintf(problem, MOTE_TRACE_PROBLEM_MAX, "%s: %s", text, why);
    if (error == 0) {
        error = parse_fields(traces->headers, &out->header_count, &traces->header_pairs,
                             options->otel_exporter_otlp_headers, NULL);
    }
    if (error == 0) {
        error =
            parse_fields(traces->resource, &out->resource_count, &traces->resource_pairs,
                         options->otel_resource_attributes, options->otel_service_name != NULL ? "service.name" : NULL);
    }
    bool looks = true;
    if (error == 0 && !mote_trace_propagators_parse(&looks, options->otel_propagators)) {
        error = MOTE_EINVAL;
    }
    if (!looks) {
        out->ignores_callers = out->distrusts_callers = true;
    }
    if (error == 0) {
        error = mote_trace_ratio_parse(&out->ratio, options->otel_traces_sampler_arg);
    }
    return error != 0 ? error : load_tls(&out->tls, traces, options, problem);
}

int mote_traces_start(struct mote_traces *traces, const struct mote_options *options, const char *version,
                      struct mote_log *log, char problem[MOTE_TRACE_PROBLEM_MAX])
{
    const uint64_t timeout = options->otel_exporter_otlp_timeout;
    struct mote_trace_export_options out = {
        .target = traces->endpoint.target,
        .user_agent = traces->user_agent,
        .headers = traces->headers,
        .service_name = options->otel_service_name != NULL ? options->otel_service_name : "mote",
        .service_version = version,
        .resource = traces->resource,
        .sampler = options->otel_traces_sampler,
        .distrusts_callers = !options->trace_trust_incoming,
        .limits = &traces->limits,
        .compresses = options->otel_exporter_otlp_compression == MOTE_OTLP_GZIP,
        .timeout_ns = timeout != 0 ? timeout : UINT64_MAX,
        .delay_ns = options->otel_bsp_schedule_delay,
        .spans_max = (size_t)options->otel_bsp_max_queue_size,
        .batch_max = (size_t)options->otel_bsp_max_export_batch_size,
        .log = log,
    };
    if (!is_wanted(options)) {
        return 0;
    }
    traces->limits = (struct mote_span_limits){.text_max = (uint32_t)options->otel_attribute_value_length_limit,
                                               .attributes_max = (uint32_t)options->otel_span_attribute_count_limit,
                                               .messages_max = (uint32_t)options->otel_span_event_count_limit};
    int error = fill_in(&out, traces, options, problem);
    if (error == 0) {
        out.server_name = out.tls != NULL ? traces->endpoint.host : NULL;
        snprintf(traces->user_agent, sizeof traces->user_agent, "mote/%s OTel-OTLP-Exporter-C/%s", version, version);
        error = mote_trace_export_start(&traces->exporter, &out, problem);
    }
    mote_tls_context_unref(out.tls);
    return error;
}

void mote_traces_dispose(struct mote_traces *traces)
{
    mote_trace_export_free(traces->exporter);
    mote_secret_wipe(traces, sizeof *traces);
}
