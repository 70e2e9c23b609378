/* SPDX-License-Identifier: Apache-2.0 */
/* See trace_export.h. All but starting, stopping and waking happens on the export's own thread. */
#include "net/trace_export.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "net/channel.h"
#include "rpc/trace_service.h"
#include "telemetry/otlp.h"
#include "telemetry/tracer.h"

#define LOOK_NS     (100 * (uint64_t)MOTE_NS_PER_MS) /* at a call under way, and at the time */
#define TELL_NS     (60 * (uint64_t)MOTE_NS_PER_SECOND)
#define RETRY_INFO  "google.rpc.RetryInfo"
#define DETAILS_MAX 4096u

struct mote_trace_export {
    struct mote_trace_export_options options; /* with the defaults filled in */
    struct mote_tracer tracer;
    struct mote_loop *loop;
    struct mote_channel *channel;
    struct mote_buffer resource;
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

/* --- telling ----------------------------------------------------------------------------------------------------- */

static void tell_of_failure(struct mote_trace_export *exporter, const char *why)
{
    const uint64_t now = mote_loop_now(exporter->loop);
    exporter->is_failing = true;
    if (!exporter->was_told || now - exporter->told_ns >= TELL_NS) {
        exporter->was_told = true;
        exporter->told_ns = now;
        mote_log(exporter->options.log, MOTE_LOG_WARN, "trace", "trace.export_failed",
                 "spans could not be sent to the collector", mote_log_text("code", mote_status_name(exporter->status)),
                 mote_log_text("err", why),
                 mote_log_uint("dropped", mote_span_queue_counts(exporter->tracer.queue).dropped));
    }
}

static void tell_of_success(struct mote_trace_export *exporter)
{
    if (exporter->is_failing) {
        exporter->is_failing = false;
        exporter->was_told = false;
        mote_log(exporter->options.log, MOTE_LOG_INFO, "trace", "trace.export_resumed",
                 "the collector takes spans again",
                 mote_log_uint("dropped", mote_span_queue_counts(exporter->tracer.queue).dropped));
    }
}

/* --- one call ---------------------------------------------------------------------------------------------------- */

static void on_message(struct mote_client_call *call, const void *response)
{
    struct mote_trace_export *exporter = mote_client_call_user(call);
    exporter->rejected = mote_trace_service_rejected(response);
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
    const struct mote_client_call_options options = {
        .method = &mote_trace_service_export,
        .callbacks = &callbacks,
        .user = exporter,
        .timeout_ns = exporter->options.timeout_ns,
        .once = true, /* pauses before another try are ours */
        .metadata = exporter->options.headers,
        .metadata_count = exporter->options.header_count,
        .encoding = exporter->options.compresses ? MOTE_ENCODING_GZIP : MOTE_ENCODING_IDENTITY,
    };
    int error = mote_channel_start(call, exporter->channel, &options);
    if (error != 0) {
        return error;
    }
    error = mote_client_call_send_encoded(*call, mote_buffer_slice(&exporter->request));
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
            mote_span_queue_count(exporter->tracer.queue, MOTE_SPAN_UNDELIVERED, spans);
            return;
        }
        pause_ns = 2 * pause_ns < MOTE_TRACE_RETRY_MAX_NS ? 2 * pause_ns : MOTE_TRACE_RETRY_MAX_NS;
    }
    const uint64_t told = exporter->rejected > 0 ? (uint64_t)exporter->rejected : 0;
    const size_t rejected = told < spans ? (size_t)told : spans;
    mote_span_queue_count(exporter->tracer.queue, MOTE_SPAN_REJECTED, rejected);
    mote_span_queue_count(exporter->tracer.queue, MOTE_SPAN_EXPORTED, spans - rejected);
    if (rejected > 0) {
        tell_of_failure(exporter, "the collector rejected some of them");
    } else {
        tell_of_success(exporter);
    }
}

/* The oldest spans as a request; how many, 0 without memory or without any. */
static size_t take_batch(struct mote_trace_export *exporter)
{
    const struct mote_otlp_source source = {.resource = mote_buffer_slice(&exporter->resource),
                                            .scope_name = mote_slice_text("mote"),
                                            .scope_version = mote_slice_text(exporter->options.service_version)};
    uint8_t *room;
    size_t count;
    const size_t bytes = mote_span_queue_look(exporter->tracer.queue, exporter->options.batch_max, &count);
    if (count == 0 || mote_otlp_put_request(&exporter->request, &source, bytes, &room) != 0) {
        return 0;
    }
    mote_span_queue_take(exporter->tracer.queue, count, bytes, room);
    return count;
}

/* As long as it is due; with `all` also what is left of those that wait now. */
static void deliver_waiting(struct mote_trace_export *exporter, bool all)
{
    size_t left = all ? mote_span_queue_counts(exporter->tracer.queue).waiting : 0;
    while (time_left(exporter, UINT64_MAX) != 0 && (left != 0 || mote_span_queue_is_due(exporter->tracer.queue))) {
        mote_buffer_init(&exporter->request, mote_mem_system(), 0);
        const size_t count = take_batch(exporter);
        if (count != 0) {
            deliver(exporter, count);
        }
        mote_buffer_dispose(&exporter->request);
        if (count == 0) {
            break; /* they wait on */
        }
        left -= left < count ? left : count;
    }
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
        const bool is_woken = mote_loop_run(exporter->loop, &exporter->awake, exporter->options.delay_ns);
        deliver_waiting(exporter, !is_woken);
    }
    deliver_waiting(exporter, true);
    return NULL;
}

/* --- making it --------------------------------------------------------------------------------------------------- */

static void make_instance_id(char out[MOTE_UUID_TEXT_LENGTH])
{
    const struct mote_random *random = mote_random_system();
    uint8_t uuid[16] = {0};
    (void)!random->fill(random->context, uuid, sizeof uuid);
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* RFC 9562 §5.4 */
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
    mote_uuid_format(out, uuid);
}

/* What its user says first, then what he says nothing of. */
static int make_resource(struct mote_trace_export *exporter)
{
    char host[256] = "";
    char instance[MOTE_UUID_TEXT_LENGTH];
    const struct mote_trace_export_options *options = &exporter->options;
    struct mote_attribute attributes[MOTE_TRACE_RESOURCE_MAX + MOTE_OTLP_RESOURCE_COUNT];
    size_t count = 0;
    if (options->resource_count > MOTE_TRACE_RESOURCE_MAX) {
        return MOTE_EINVAL;
    }
    (void)gethostname(host, sizeof host - 1);
    make_instance_id(instance);
    struct mote_attribute own[MOTE_OTLP_RESOURCE_COUNT] = {
#define X(constant, name_, says) [MOTE_OTLP_##constant] = {.name = MOTE_SLICE_LITERAL(name_)},
        MOTE_OTLP_RESOURCE_MAP(X)
#undef X
    };
    own[MOTE_OTLP_SERVICE_NAME].text = mote_slice_text(options->service_name);
    own[MOTE_OTLP_SERVICE_VERSION].text = mote_slice_text(options->service_version);
    own[MOTE_OTLP_INSTANCE_ID].text = mote_slice(instance, sizeof instance);
    own[MOTE_OTLP_SDK_NAME].text = mote_slice_text("mote");
    own[MOTE_OTLP_SDK_LANGUAGE].text = mote_slice_text("c");
    own[MOTE_OTLP_HOST_NAME].text = mote_slice_text(host);
    own[MOTE_OTLP_PID].number = (uint64_t)getpid();
    for (size_t i = 0; i < options->resource_count; i++) {
        attributes[count++] =
            (struct mote_attribute){.name = options->resource[i].name, .text = options->resource[i].value};
    }
    for (size_t i = 0; i < MOTE_OTLP_RESOURCE_COUNT; i++) {
        bool is_given = false;
        for (size_t j = 0; j < options->resource_count && !is_given; j++) {
            is_given = mote_slice_equals(options->resource[j].name, own[i].name);
        }
        if (!is_given) {
            attributes[count++] = own[i];
        }
    }
    return mote_otlp_put_resource(&exporter->resource, attributes, count);
}

static int make_tracer(struct mote_trace_export *exporter)
{
    const struct mote_trace_export_options *options = &exporter->options;
    const struct mote_span_queue_options queue = {.bytes_max = MOTE_TRACE_QUEUE_BYTES,
                                                  .spans_max = options->spans_max,
                                                  .on_batch = wake_up,
                                                  .context = exporter,
                                                  .batch = options->batch_max};
    static const struct mote_span_limits none = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    exporter->tracer = (struct mote_tracer){.clock = mote_clock_system(),
                                            .random = mote_random_system(),
                                            .limits = options->limits != NULL ? *options->limits : none,
                                            .trusts_callers = !options->distrusts_callers,
                                            .ignores_callers = options->ignores_callers};
    if (!mote_sampler_find(&exporter->tracer.sampler, options->sampler, options->ratio) ||
        options->spans_max > MOTE_TRACE_SPANS_MAX || options->header_count > MOTE_TRACE_HEADERS_MAX) {
        return MOTE_EINVAL;
    }
    return mote_span_queue_new(&exporter->tracer.queue, mote_mem_system(), &queue);
}

static void fill_in(struct mote_trace_export_options *options)
{
    options->target = options->target != NULL ? options->target : "localhost:4317";
    options->service_name = options->service_name != NULL ? options->service_name : "unknown_service";
    options->service_version = options->service_version != NULL ? options->service_version : "";
    options->sampler = options->sampler != NULL ? options->sampler : "parentbased_always_on";
    options->timeout_ns = options->timeout_ns != 0 ? options->timeout_ns : 10 * (uint64_t)MOTE_NS_PER_SECOND;
    options->delay_ns = options->delay_ns != 0 ? options->delay_ns : 5 * (uint64_t)MOTE_NS_PER_SECOND;
    options->spans_max = options->spans_max != 0 ? options->spans_max : 2048;
    options->batch_max = options->batch_max != 0 ? options->batch_max : 512;
    options->log = options->log != NULL ? options->log : mote_log_none();
}

static int open_channel(struct mote_trace_export *exporter, char problem[MOTE_TRACE_PROBLEM_MAX])
{
    const struct mote_channel_options options = {.target = exporter->options.target,
                                                 .tls = exporter->options.tls,
                                                 .server_name = exporter->options.server_name,
                                                 .user_agent = exporter->options.user_agent};
    return mote_channel_open(&exporter->channel, exporter->loop, &options, problem);
}

void mote_trace_export_free(struct mote_trace_export *exporter)
{
    if (exporter == NULL) {
        return;
    }
    mote_channel_close(exporter->channel);
    mote_loop_free(exporter->loop);
    mote_span_queue_free(exporter->tracer.queue);
    mote_buffer_dispose(&exporter->resource);
    mote_mem_release(mote_mem_system(), exporter);
}

/* Signals are for others. */
static int start_thread(struct mote_trace_export *exporter)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int number = pthread_create(&exporter->thread, NULL, run, exporter);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return number == 0 ? 0 : MOTE_ENOMEM;
}

int mote_trace_export_start(struct mote_trace_export **out, const struct mote_trace_export_options *options,
                            char problem[MOTE_TRACE_PROBLEM_MAX])
{
    struct mote_trace_export *exporter = mote_mem_allocate_zeroed(mote_mem_system(), sizeof *exporter);
    snprintf(problem, MOTE_TRACE_PROBLEM_MAX, "out of memory");
    if (exporter == NULL) {
        return MOTE_ENOMEM;
    }
    exporter->options = *options;
    fill_in(&exporter->options);
    exporter->wake.run = run_wake;
    mote_buffer_init(&exporter->resource, mote_mem_system(), 0);
    int error = mote_loop_new(&exporter->loop, mote_mem_system(), NULL);
    if (error == 0) {
        error = make_tracer(exporter);
    }
    if (error == 0) {
        error = make_resource(exporter);
    }
    if (error == MOTE_EINVAL) {
        snprintf(problem, MOTE_TRACE_PROBLEM_MAX, "no such sampler, or too many headers, attributes or spans");
    }
    if (error == 0) {
        error = open_channel(exporter, problem);
    }
    if (error == 0) {
        error = start_thread(exporter);
    }
    if (error != 0) {
        mote_trace_export_free(exporter);
        return error;
    }
    *out = exporter;
    return 0;
}

const struct mote_tracer *mote_trace_export_tracer(const struct mote_trace_export *exporter)
{
    return &exporter->tracer;
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
    const struct mote_span_queue_counts counts = mote_span_queue_counts(exporter->tracer.queue);
    if (counts.waiting + counts.dropped != 0) {
        mote_log(exporter->options.log, MOTE_LOG_WARN, "trace", "trace.lost", "spans did not get to the collector",
                 mote_log_uint("spans", counts.waiting + counts.dropped));
    }
}
