/* SPDX-License-Identifier: Apache-2.0 */
/* See trace_export.h. All but starting, stopping and waking happens on the export's own thread. */
#include "app/trace_export.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/trace_settings.h"
#include "app/tracing.h"
#include "base/text.h"
#include "codec/element.h"
#include "net/channel.h"
#include "net/tls_files.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.mote.h"
#include "telemetry/otlp.h"

#define PREFIX(name)       opentelemetry_proto_collector_trace_v1_##name
#define SYSTEM_AUTHORITIES "/etc/ssl/certs/ca-certificates.crt"
#define LOOK_NS            (100 * (uint64_t)MOTE_NS_PER_MS) /* at a call under way, and at the time */
#define TELL_NS            (60 * (uint64_t)MOTE_NS_PER_SECOND)
#define RESOURCE_OWN       8u
#define RETRY_INFO         "google.rpc.RetryInfo"
#define DETAILS_MAX        4096u

struct mote_trace_export {
    const struct mote_options *options;
    struct mote_log *log;
    struct mote_tracing tracing;
    struct mote_loop *loop;
    struct mote_channel *channel;
    struct mote_buffer resource;
    struct mote_slice version;
    struct mote_trace_pairs headers;
    struct mote_field metadata[MOTE_TRACE_PAIRS_MAX];
    pthread_t thread;
    /* Waking it. */
    struct mote_task wake;
    atomic_bool wake_posted, stopping;
    atomic_uint_fast64_t stop_ns; /* when stopping: not later than that */
    bool awake;
    /* The call under way. */
    struct mote_buffer request;
    bool call_ended, may_retry;
    enum mote_status status;
    char message[MOTE_CHANNEL_PROBLEM_MAX];
    int64_t rejected;
    /* What was told last. */
    uint64_t told_ns;
    bool was_told, is_failing;
};

static const struct mote_method export_method = {
    .name = "Export",
    .path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    .kind = MOTE_CALL_UNARY,
    .request = &PREFIX(ExportTraceServiceRequest_type),
    .response = &PREFIX(ExportTraceServiceResponse_type),
};

/* --- telling ----------------------------------------------------------------------------------------------------- */

static void tell_of_failure(struct mote_trace_export *exporter, const char *why)
{
    const uint64_t now = mote_loop_now(exporter->loop);
    exporter->is_failing = true;
    if (!exporter->was_told || now - exporter->told_ns >= TELL_NS) {
        exporter->was_told = true;
        exporter->told_ns = now;
        mote_log(exporter->log, MOTE_LOG_WARN, "trace", "trace.export_failed",
                 "spans could not be sent to the collector", mote_log_text("code", mote_status_name(exporter->status)),
                 mote_log_text("err", why),
                 mote_log_uint("dropped", mote_span_queue_counts(exporter->tracing.queue).dropped));
    }
}

static void tell_of_success(struct mote_trace_export *exporter)
{
    if (exporter->is_failing) {
        exporter->is_failing = false;
        exporter->was_told = false;
        mote_log(exporter->log, MOTE_LOG_INFO, "trace", "trace.export_resumed", "the collector takes spans again",
                 mote_log_uint("dropped", mote_span_queue_counts(exporter->tracing.queue).dropped));
    }
}

/* --- one call ---------------------------------------------------------------------------------------------------- */

static bool put_resource_spans(pb_ostream_t *stream, const pb_field_iter_t *field, void *const *argument)
{
    const struct mote_trace_export *exporter = *argument;
    return mote_element_encode(stream, field, mote_buffer_slice(&exporter->request));
}

static void on_message(struct mote_client_call *call, const void *response)
{
    struct mote_trace_export *exporter = mote_client_call_user(call);
    const PREFIX(ExportTraceServiceResponse) *answer = response;
    exporter->rejected = answer->has_partial_success ? answer->partial_success.rejected_spans : 0;
}

/* A collector that is short of something says with RetryInfo that it will not be for long. */
static bool has_retry_info(const struct mote_fields *trailers)
{
    const struct mote_slice text =
        trailers != NULL ? trailers->known[MOTE_FIELD_GRPC_STATUS_DETAILS] : mote_slice(NULL, 0);
    uint8_t details[DETAILS_MAX];
    size_t length;
    return mote_slice_is_present(text) && mote_base64_decoded_max(text.length) <= sizeof details &&
           mote_fields_decode_binary(details, &length, text) == 0 &&
           memmem(details, length, RETRY_INFO, sizeof RETRY_INFO - 1) != NULL;
}

/* The statuses that OTLP lets a client try again. */
static bool is_retryable(enum mote_status status)
{
    const unsigned retryable = 1u << MOTE_STATUS_CANCELLED | 1u << MOTE_STATUS_DEADLINE_EXCEEDED |
                               1u << MOTE_STATUS_ABORTED | 1u << MOTE_STATUS_OUT_OF_RANGE |
                               1u << MOTE_STATUS_UNAVAILABLE | 1u << MOTE_STATUS_DATA_LOSS;
    return (retryable >> status & 1) != 0;
}

static void on_ended(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct mote_trace_export *exporter = mote_client_call_user(call);
    exporter->status = status;
    exporter->may_retry =
        is_retryable(status) || (status == MOTE_STATUS_RESOURCE_EXHAUSTED && has_retry_info(trailers));
    snprintf(exporter->message, sizeof exporter->message, "%.*s", (int)message.length, (const char *)message.data);
    exporter->call_ended = true;
}

static bool is_stopping(const struct mote_trace_export *exporter)
{
    return atomic_load(&exporter->stopping);
}

/* While it stops there is less time. */
static uint64_t time_left(const struct mote_trace_export *exporter, uint64_t until_ns)
{
    const uint64_t now = mote_loop_now(exporter->loop);
    const uint64_t stop_ns = is_stopping(exporter) ? atomic_load(&exporter->stop_ns) : UINT64_MAX;
    const uint64_t end = stop_ns < until_ns ? stop_ns : until_ns;
    return end > now ? end - now : 0;
}

static int start_call(struct mote_trace_export *exporter, struct mote_client_call **call)
{
    static const struct mote_client_call_callbacks callbacks = {.message = on_message, .ended = on_ended};
    const uint64_t timeout = exporter->options->otel_exporter_otlp_timeout;
    const struct mote_client_call_options options = {
        .method = &export_method,
        .callbacks = &callbacks,
        .user = exporter,
        .timeout_ns = timeout != 0 ? timeout : UINT64_MAX,
        .metadata = exporter->metadata,
        .metadata_count = exporter->headers.count,
        .encoding = exporter->options->otel_exporter_otlp_compression == MOTE_OTLP_GZIP ? MOTE_ENCODING_GZIP
                                                                                        : MOTE_ENCODING_IDENTITY,
    };
    const PREFIX(ExportTraceServiceRequest)
        request = {.resource_spans = {.funcs.encode = put_resource_spans, .arg = exporter}};
    int error = mote_channel_start(call, exporter->channel, &options);
    if (error != 0) {
        return error;
    }
    error = mote_client_call_send(*call, &request);
    if (error == 0) {
        error = mote_client_call_half_close(*call);
    }
    if (error != 0) {
        mote_client_call_cancel(*call);
    }
    return error;
}

/* One try; its outcome is in status, message and may_retry. */
static void call_collector(struct mote_trace_export *exporter)
{
    struct mote_client_call *call;
    exporter->call_ended = false;
    exporter->rejected = 0;
    const int error = start_call(exporter, &call);
    if (error != 0) {
        exporter->status = mote_status_from_error(error);
        exporter->may_retry = true;
        snprintf(exporter->message, sizeof exporter->message, "%s", mote_error_text(error));
        return;
    }
    while (!mote_loop_run(exporter->loop, &exporter->call_ended, LOOK_NS)) {
        if (time_left(exporter, UINT64_MAX) == 0) {
            mote_client_call_cancel(call); /* on_ended is called by it */
        }
    }
}

/* --- batches ----------------------------------------------------------------------------------------------------- */

/* Half of it to one and a half times: so that many servers do not come together. */
static uint64_t with_jitter(uint64_t duration_ns)
{
    const struct mote_random *random = mote_random_system();
    uint16_t chance = 0;
    (void)!random->fill(random->context, &chance, sizeof chance);
    return duration_ns / 2 + duration_ns / UINT16_MAX * chance;
}

/* Sleeps, unless it is to stop; false: there is no time for another try. */
static bool pause_before_retry(struct mote_trace_export *exporter, uint64_t pause_ns, uint64_t until_ns)
{
    const uint64_t due = mote_loop_now(exporter->loop) + with_jitter(pause_ns);
    if (due >= until_ns) {
        return false;
    }
    while (!is_stopping(exporter) && mote_loop_now(exporter->loop) < due) {
        exporter->awake = false;
        (void)mote_loop_run(exporter->loop, &exporter->awake, time_left(exporter, due));
    }
    return !is_stopping(exporter);
}

static void deliver(struct mote_trace_export *exporter, size_t spans)
{
    const uint64_t until_ns = mote_loop_now(exporter->loop) + MOTE_TRACE_RETRY_TOTAL_NS;
    uint64_t pause_ns = MOTE_TRACE_RETRY_FIRST_NS;
    for (;;) {
        call_collector(exporter);
        if (exporter->status == MOTE_STATUS_OK) {
            break;
        }
        tell_of_failure(exporter, exporter->message);
        if (!exporter->may_retry || !pause_before_retry(exporter, pause_ns, until_ns)) {
            mote_span_queue_count(exporter->tracing.queue, MOTE_SPAN_UNDELIVERED, spans);
            return;
        }
        pause_ns = 2 * pause_ns < MOTE_TRACE_RETRY_MAX_NS ? 2 * pause_ns : MOTE_TRACE_RETRY_MAX_NS;
    }
    const uint64_t told = exporter->rejected > 0 ? (uint64_t)exporter->rejected : 0;
    const size_t rejected = told < spans ? (size_t)told : spans;
    mote_span_queue_count(exporter->tracing.queue, MOTE_SPAN_REJECTED, rejected);
    mote_span_queue_count(exporter->tracing.queue, MOTE_SPAN_EXPORTED, spans - rejected);
    if (rejected > 0) {
        tell_of_failure(exporter, "the collector rejected some of them");
    } else {
        tell_of_success(exporter);
    }
}

/* Full batches; with `all` also what is left of those that wait now. */
static void deliver_waiting(struct mote_trace_export *exporter, bool all)
{
    static const struct mote_slice scope = MOTE_SLICE_LITERAL("mote");
    struct mote_buffer spans;
    const size_t batch = exporter->options->otel_bsp_max_export_batch_size;
    size_t left = all ? mote_span_queue_counts(exporter->tracing.queue).waiting : 0;
    mote_buffer_init(&spans, mote_mem_system(), 0);
    while (time_left(exporter, UINT64_MAX) != 0 &&
           (left != 0 || mote_span_queue_counts(exporter->tracing.queue).waiting >= batch)) {
        const size_t count = mote_span_queue_take(exporter->tracing.queue, batch, &spans);
        if (count == 0) {
            break; /* without memory */
        }
        left -= left < count ? left : count;
        mote_buffer_init(&exporter->request, mote_mem_system(), 0);
        if (mote_otlp_put_resource_spans(&exporter->request, mote_buffer_slice(&exporter->resource), scope,
                                         exporter->version, mote_buffer_slice(&spans)) == 0) {
            deliver(exporter, count);
        } else {
            mote_span_queue_count(exporter->tracing.queue, MOTE_SPAN_UNDELIVERED, count);
        }
        mote_buffer_dispose(&exporter->request);
        mote_buffer_clear(&spans);
    }
    mote_buffer_dispose(&spans);
}

/* --- the thread -------------------------------------------------------------------------------------------------- */

static void run_wake(struct mote_task *task)
{
    struct mote_trace_export *exporter = MOTE_CONTAINER_OF(task, struct mote_trace_export, wake);
    atomic_store(&exporter->wake_posted, false);
    exporter->awake = true;
}

static void wake_up(void *context)
{
    struct mote_trace_export *exporter = context;
    if (!atomic_exchange(&exporter->wake_posted, true)) {
        mote_loop_post(exporter->loop, &exporter->wake);
    }
}

static void *run(void *context)
{
    struct mote_trace_export *exporter = context;
    while (!is_stopping(exporter)) {
        exporter->awake = false;
        const bool is_woken =
            mote_loop_run(exporter->loop, &exporter->awake, exporter->options->otel_bsp_schedule_delay);
        deliver_waiting(exporter, !is_woken);
    }
    deliver_waiting(exporter, true);
    return NULL;
}

/* --- making it --------------------------------------------------------------------------------------------------- */

bool mote_trace_export_is_wanted(const struct mote_options *options)
{
    const bool has_endpoint =
        options->otel_exporter_otlp_endpoint != NULL || options->otel_exporter_otlp_traces_endpoint != NULL;
    return !options->otel_sdk_disabled && (options->otel_traces_exporter == MOTE_TRACES_OTLP ||
                                           (options->otel_traces_exporter == MOTE_TRACES_AUTO && has_endpoint));
}

static void make_instance_id(char out[MOTE_UUID_TEXT_LENGTH])
{
    const struct mote_random *random = mote_random_system();
    uint8_t uuid[16] = {0};
    (void)!random->fill(random->context, uuid, sizeof uuid);
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* RFC 9562 §5.4 */
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
    mote_uuid_format(out, uuid);
}

/* What the operator says first, then what it says nothing of. */
static int make_resource(struct mote_trace_export *exporter)
{
    char host[256] = "";
    char instance[MOTE_UUID_TEXT_LENGTH];
    const char *problem;
    struct mote_trace_pairs given;
    struct mote_attribute attributes[MOTE_TRACE_PAIRS_MAX + RESOURCE_OWN];
    size_t count = 0;
    int error = mote_trace_pairs_parse(&given, exporter->options->otel_resource_attributes, &problem);
    if (error != 0) {
        return error;
    }
    (void)gethostname(host, sizeof host - 1);
    make_instance_id(instance);
    const struct {
        const char *name;
        struct mote_slice text;
        bool is_first; /* before what was given */
    } own[RESOURCE_OWN - 1] = {
        {"service.name", mote_slice_text(exporter->options->otel_service_name),
         exporter->options->otel_service_name != NULL},
        {"service.name", mote_slice_text("mote"), false},
        {"service.version", exporter->version, false},
        {"service.instance.id", mote_slice(instance, sizeof instance), false},
        {"telemetry.sdk.name", mote_slice_text("mote"), true},
        {"telemetry.sdk.language", mote_slice_text("c"), true},
        {"host.name", mote_slice_text(host), false},
    };
    for (size_t i = 0; i < given.count; i++) {
        const bool is_replaced =
            exporter->options->otel_service_name != NULL && mote_slice_equals_text(given.pairs[i].name, "service.name");
        if (!is_replaced) {
            attributes[count++] = (struct mote_attribute){.name = given.pairs[i].name, .text = given.pairs[i].value};
        }
    }
    for (size_t i = 0; i < RESOURCE_OWN - 1; i++) {
        const bool is_second_name = i == 1 && own[0].is_first;
        if (mote_slice_is_present(own[i].text) && !is_second_name &&
            (own[i].is_first || !mote_slice_is_present(mote_trace_pairs_find(&given, own[i].name)))) {
            attributes[count++] = (struct mote_attribute){.name = mote_slice_text(own[i].name), .text = own[i].text};
        }
    }
    attributes[count++] = (struct mote_attribute){.name = mote_slice_text("process.pid"), .number = (uint64_t)getpid()};
    return mote_otlp_put_resource(&exporter->resource, attributes, count);
}

static int make_headers(struct mote_trace_export *exporter)
{
    const char *problem;
    const int error =
        mote_trace_pairs_parse(&exporter->headers, exporter->options->otel_exporter_otlp_headers, &problem);
    for (size_t i = 0; i < exporter->headers.count; i++) {
        exporter->metadata[i] = (struct mote_field){.name = exporter->headers.pairs[i].name,
                                                    .value = exporter->headers.pairs[i].value,
                                                    .flags = MOTE_FIELD_SENSITIVE};
    }
    return error;
}

static int open_channel(struct mote_trace_export *exporter, char problem[MOTE_TRACE_PROBLEM_MAX])
{
    const struct mote_options *options = exporter->options;
    const char *text = options->otel_exporter_otlp_traces_endpoint != NULL ? options->otel_exporter_otlp_traces_endpoint
                                                                           : options->otel_exporter_otlp_endpoint;
    char user_agent[64];
    const char *why;
    struct mote_trace_endpoint endpoint;
    struct mote_tls_context *tls = NULL;
    int error = mote_trace_endpoint_parse(&endpoint, text != NULL ? text : "http://localhost:4317", &why);
    if (error != 0) {
        snprintf(problem, MOTE_TRACE_PROBLEM_MAX, "%s: %s", text, why);
        return error;
    }
    if (endpoint.is_tls || (!endpoint.has_scheme && !options->otel_exporter_otlp_insecure)) {
        const char *authorities = options->otel_exporter_otlp_certificate;
        const struct mote_tls_client_files files = {.authorities =
                                                        authorities != NULL ? authorities : SYSTEM_AUTHORITIES};
        error = mote_tls_files_load_client(&tls, &files, problem);
    }
    if (error == 0) {
        snprintf(user_agent, sizeof user_agent, "mote/%.*s OTel-OTLP-Exporter-C/%.*s", (int)exporter->version.length,
                 (const char *)exporter->version.data, (int)exporter->version.length,
                 (const char *)exporter->version.data);
        const struct mote_channel_options channel = {.target = endpoint.target,
                                                     .tls = tls,
                                                     .server_name = tls != NULL ? endpoint.host : NULL,
                                                     .user_agent = user_agent};
        error = mote_channel_open(&exporter->channel, exporter->loop, &channel, problem);
    }
    mote_tls_context_unref(tls);
    return error;
}

static int make_tracing(struct mote_trace_export *exporter)
{
    const struct mote_options *options = exporter->options;
    const struct mote_span_queue_options queue = {.bytes_max = MOTE_TRACE_QUEUE_BYTES,
                                                  .spans_max = options->otel_bsp_max_queue_size,
                                                  .on_batch = wake_up,
                                                  .context = exporter,
                                                  .batch = options->otel_bsp_max_export_batch_size};
    double ratio = 1;
    exporter->tracing.clock = mote_clock_system();
    exporter->tracing.random = mote_random_system();
    exporter->tracing.trusts_callers = options->trace_trust_incoming;
    int error = mote_trace_ratio_parse(&ratio, options->otel_traces_sampler_arg);
    if (error == 0 && !mote_sampler_find(&exporter->tracing.sampler, options->otel_traces_sampler, ratio)) {
        error = MOTE_EINVAL;
    }
    return error != 0 ? error : mote_span_queue_new(&exporter->tracing.queue, mote_mem_system(), &queue);
}

void mote_trace_export_free(struct mote_trace_export *exporter)
{
    if (exporter == NULL) {
        return;
    }
    mote_channel_close(exporter->channel);
    mote_loop_free(exporter->loop);
    mote_span_queue_free(exporter->tracing.queue);
    mote_buffer_dispose(&exporter->resource);
    mote_mem_release_wiped(mote_mem_system(), exporter);
}

int mote_trace_export_start(struct mote_trace_export **out, const struct mote_options *options, const char *version,
                            struct mote_log *log, char problem[MOTE_TRACE_PROBLEM_MAX])
{
    struct mote_trace_export *exporter = mote_mem_allocate_zeroed(mote_mem_system(), sizeof *exporter);
    snprintf(problem, MOTE_TRACE_PROBLEM_MAX, "out of memory");
    if (exporter == NULL) {
        return MOTE_ENOMEM;
    }
    exporter->options = options;
    exporter->version = mote_slice_text(version);
    exporter->log = log;
    exporter->wake.run = run_wake;
    mote_buffer_init(&exporter->resource, mote_mem_system(), 0);
    int error = mote_loop_new(&exporter->loop, mote_mem_system(), NULL);
    if (error == 0) {
        error = make_tracing(exporter);
    }
    if (error == 0) {
        error = make_resource(exporter);
    }
    if (error == 0) {
        error = make_headers(exporter);
    }
    if (error == 0) {
        error = open_channel(exporter, problem);
    }
    if (error == 0 && pthread_create(&exporter->thread, NULL, run, exporter) != 0) {
        error = MOTE_ENOMEM;
    }
    if (error != 0) {
        mote_trace_export_free(exporter);
        return error;
    }
    *out = exporter;
    return 0;
}

struct mote_interceptor mote_trace_export_stage(struct mote_trace_export *exporter)
{
    return mote_tracing_stage(&exporter->tracing);
}

struct mote_span_queue_counts mote_trace_export_counts(const struct mote_trace_export *exporter)
{
    return mote_span_queue_counts(exporter->tracing.queue);
}

void mote_trace_export_stop(struct mote_trace_export *exporter, uint64_t patience_ns)
{
    if (exporter == NULL) {
        return;
    }
    const struct mote_clock *clock = mote_clock_system();
    atomic_store(&exporter->stop_ns, clock->monotonic_ns(clock->context) + patience_ns);
    atomic_store(&exporter->stopping, true);
    wake_up(exporter);
    pthread_join(exporter->thread, NULL);
    const struct mote_span_queue_counts counts = mote_span_queue_counts(exporter->tracing.queue);
    if (counts.waiting + counts.dropped != 0) {
        mote_log(exporter->log, MOTE_LOG_WARN, "trace", "trace.lost", "spans did not get to the collector",
                 mote_log_uint("spans", counts.waiting + counts.dropped));
    }
}
