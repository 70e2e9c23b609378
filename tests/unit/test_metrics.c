/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: what shards count is summed, at the edges of buckets too; texts are found again and bounded; and the
 * exposition, line by line, in both formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "support/failing_mem.h"
#include "telemetry/metrics_internal.h"

static const struct mote_metric_method methods[] = {{1, "a.B", "C", "unary"}, {0, "other", "other", "unary"}};

static const char *code_name(unsigned code)
{
    static const char *const names[MOTE_METRIC_CODES] = {"OK", "Canceled", "Unknown"};
    return names[code] != NULL ? names[code] : "Some";
}

static const char *status_name(unsigned code)
{
    return code == 1 ? "CANCELLED" : "SOME";
}

static struct mote_metrics_options options_of(enum mote_metric_preregister preregister)
{
    return (struct mote_metrics_options){.shards = 2,
                                         .methods = methods,
                                         .method_count = 2,
                                         .indices = 2,
                                         .code_name = code_name,
                                         .status_name = status_name,
                                         .flavors = MOTE_METRIC_FLAVOR_REQUESTS | MOTE_METRIC_FLAVOR_PROMETHEUS |
                                                    MOTE_METRIC_FLAVOR_OTEL,
                                         .preregister = preregister};
}

static struct mote_metrics *make(enum mote_metric_preregister preregister)
{
    struct mote_metrics *metrics;
    const struct mote_metrics_options options = options_of(preregister);
    assert_int_equal(mote_metrics_new(&metrics, mote_mem_system(), &options), 0);
    return metrics;
}

static void end_call(struct mote_metrics_shard *shard, size_t method, unsigned code, uint64_t duration_ns,
                     uint64_t received, uint64_t sent)
{
    mote_metrics_end_call(
        shard, method,
        &(const struct mote_metric_call){.code = code, .duration_ns = duration_ns, .received = received, .sent = sent});
}

/* Valid until the next call. */
static const char *expose(const struct mote_metrics *metrics, double values[MOTE_METRIC_COUNT], bool is_openmetrics)
{
    static char text[131072];
    struct mote_buffer out;
    mote_buffer_init(&out, mote_mem_system(), sizeof text - 1);
    assert_int_equal(mote_metrics_write(metrics, values, "a=\"b\"", is_openmetrics, &out), 0);
    memcpy(text, out.data, out.end);
    text[out.end] = '\0';
    mote_buffer_dispose(&out);
    return text;
}

static void has(const char *text, const char *line)
{
    char whole[512];
    (void)snprintf(whole, sizeof whole, "\n%s\n", line);
    if (strstr(text, whole) == NULL) {
        fail_msg("not there: %s", line);
    }
}

static void lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) {
        fail_msg("is there: %s", part);
    }
}

static void test_buckets(void **state)
{
    static const uint64_t bounds[] = {
#define X(bound, text) UINT64_C(bound),
        MOTE_METRIC_BUCKET_MAP(X)
#undef X
    };
    (void)state;
    struct mote_metrics *metrics = make(MOTE_METRIC_PREREGISTER_OK);
    struct mote_metrics_shard *shard = mote_metrics_shard(metrics, 0);
    struct mote_metric_calls calls;
    for (size_t i = 0; i < MOTE_METRIC_BUCKETS; i++) {
        end_call(shard, 1, 0, bounds[i], 0, 0); /* a bound belongs to its bucket */
        mote_metrics_sum_calls(metrics, 1, &calls);
        assert_int_equal(mote_counter_read(&calls.time.buckets[i]), i == 0 ? 1 : 2);
        end_call(shard, 1, 0, bounds[i] + 1, 0, 0);
        mote_metrics_sum_calls(metrics, 1, &calls);
        assert_int_equal(mote_counter_read(&calls.time.buckets[i + 1]), 1);
    }
    mote_metrics_free(metrics);
}

static void test_calls(void **state)
{
    (void)state;
    struct mote_metrics *metrics = make(MOTE_METRIC_PREREGISTER_OK);
    double values[MOTE_METRIC_COUNT] = {0};
    for (size_t i = 0; i < 2; i++) {
        struct mote_metrics_shard *shard = mote_metrics_shard(metrics, i);
        mote_counter_add(&shard->calls[1].started, 2);
        end_call(shard, 1, 0, 1500000, 3, 4);
        end_call(shard, 1, 1, 500000000, 1, 0);
    }
    end_call(mote_metrics_shard(metrics, 1), 0, 99, 11000000000, 0, 0); /* no code there is */
    const char *text = expose(metrics, values, false);
    has(text, "grpc_requests_total{code=\"OK\",method=\"C\",service=\"a.B\"} 2");
    has(text, "grpc_requests_total{code=\"Canceled\",method=\"C\",service=\"a.B\"} 2");
    has(text, "grpc_server_started_total{grpc_method=\"C\",grpc_service=\"a.B\",grpc_type=\"unary\"} 4");
    has(text, "grpc_server_handled_total{grpc_code=\"Unknown\",grpc_method=\"other\",grpc_service=\"other\",grpc_type="
              "\"unary\"} 1");
    has(text, "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"other\",grpc_service=\"other\",grpc_type="
              "\"unary\"} 0");
    has(text, "grpc_server_msg_received_total{grpc_method=\"C\",grpc_service=\"a.B\",grpc_type=\"unary\"} 8");
    has(text, "grpc_server_msg_sent_total{grpc_method=\"C\",grpc_service=\"a.B\",grpc_type=\"unary\"} 8");
#define SECONDS(part) "grpc_server_handling_seconds" part
#define LABELS        "grpc_method=\"C\",grpc_service=\"a.B\",grpc_type=\"unary\""
    has(text, "# TYPE grpc_server_handling_seconds histogram");
    has(text, SECONDS("_bucket{" LABELS ",le=\"0.001\"} 0"));
    has(text, SECONDS("_bucket{" LABELS ",le=\"0.0025\"} 2"));
    has(text, SECONDS("_bucket{" LABELS ",le=\"0.25\"} 2"));
    has(text, SECONDS("_bucket{" LABELS ",le=\"0.5\"} 4"));
    has(text, SECONDS("_bucket{" LABELS ",le=\"1\"} 4"));
    has(text, SECONDS("_bucket{" LABELS ",le=\"+Inf\"} 4"));
    has(text, SECONDS("_sum{" LABELS "} 1.003"));
    has(text, SECONDS("_count{" LABELS "} 4"));
    has(text, SECONDS("_bucket{grpc_method=\"other\",grpc_service=\"other\",grpc_type=\"unary\",le=\"10\"} 0"));
    lacks(text, "# EOF");
    text = expose(metrics, values, true);
    has(text, SECONDS("_bucket{" LABELS ",le=\"1.0\"} 4"));
    has(text, "# TYPE grpc_server_started counter");
    has(text, "# TYPE mote_connections gauge");
    has(text, "# TYPE mote_connections_total unknown"); /* the name without _total is the gauge's */
    assert_string_equal(text + strlen(text) - 7, "\n# EOF\n");
    mote_metrics_free(metrics);
}

/* gRFC A66: a histogram for each code that was met, bytes with bounds of their own; what is not registered is one
 * method, whose name has no service. */
static void test_outcomes(void **state)
{
    double values[MOTE_METRIC_COUNT] = {0};
    (void)state;
    struct mote_metrics *metrics = make(MOTE_METRIC_PREREGISTER_OK);
    for (size_t i = 0; i < 2; i++) {
        const struct mote_metric_call call = {
            .code = 1, .duration_ns = 10000 + i, .received_bytes = 1048576, .sent_bytes = 1048577 * i};
        mote_metrics_end_call(mote_metrics_shard(metrics, i), 1, &call);
    }
    end_call(mote_metrics_shard(metrics, 0), 0, 3, 101000000000, 0, 0);
    const char *text = expose(metrics, values, false);
#define OTEL   "grpc_server_call_"
#define STATUS "{grpc_method=\"a.B/C\",grpc_status=\"CANCELLED\""
    has(text, OTEL "started_total{grpc_method=\"a.B/C\"} 0");
    has(text, OTEL "duration_seconds_bucket" STATUS ",le=\"0\"} 0");
    has(text, OTEL "duration_seconds_bucket" STATUS ",le=\"1e-05\"} 1");
    has(text, OTEL "duration_seconds_bucket" STATUS ",le=\"5e-05\"} 2");
    has(text, OTEL "duration_seconds_sum" STATUS "} 2.0001e-05");
    has(text, OTEL "duration_seconds_bucket{grpc_method=\"other\",grpc_status=\"SOME\",le=\"100\"} 0");
    has(text, OTEL "duration_seconds_bucket{grpc_method=\"other\",grpc_status=\"SOME\",le=\"+Inf\"} 1");
    has(text, OTEL "sent_total_compressed_message_size_bytes_bucket" STATUS ",le=\"0\"} 1");
    has(text, OTEL "sent_total_compressed_message_size_bytes_bucket" STATUS ",le=\"1.048576e+06\"} 1");
    has(text, OTEL "sent_total_compressed_message_size_bytes_bucket" STATUS ",le=\"4.194304e+06\"} 2");
    has(text, OTEL "rcvd_total_compressed_message_size_bytes_bucket" STATUS ",le=\"1.048576e+06\"} 2");
    has(text, OTEL "rcvd_total_compressed_message_size_bytes_sum" STATUS "} 2097152");
    lacks(text, "grpc_status=\"OK\"");
    text = expose(metrics, values, true);
    has(text, OTEL "duration_seconds_bucket" STATUS ",le=\"0.0\"} 0");
    has(text, OTEL "duration_seconds_bucket" STATUS ",le=\"1e-05\"} 1");
    mote_metrics_free(metrics);
}

/* The newest of all workers, at its bucket alone, and only in OpenMetrics. */
static void test_exemplars(void **state)
{
    static const uint8_t ids[2][16] = {{0x4b, 0xf9, [15] = 0x36}, {0xff, [15] = 1}};
    double values[MOTE_METRIC_COUNT] = {0};
    (void)state;
    struct mote_metrics *metrics = make(MOTE_METRIC_PREREGISTER_OK);
    struct mote_metric_call call = {.duration_ns = 1500000, .trace_id = ids[0], .at_ns = 1795276303250000000};
    mote_metrics_end_call(mote_metrics_shard(metrics, 0), 1, &call);
    call = (struct mote_metric_call){.duration_ns = 2400000, .trace_id = ids[1], .at_ns = 1795276303249000000};
    mote_metrics_end_call(mote_metrics_shard(metrics, 1), 1, &call);
    end_call(mote_metrics_shard(metrics, 1), 1, 0, 1600000, 0, 0);
    lacks(expose(metrics, values, false), "trace_id");
    const char *text = expose(metrics, values, true);
    has(text, SECONDS("_bucket{" LABELS ",le=\"0.0025\"} 3 # {trace_id=\"4bf90000000000000000000000000036\"} 0.0015 "
                      "1795276303.250"));
    assert_null(strstr(strstr(text, "trace_id") + 1, "trace_id"));
    call.at_ns += 2000000;
    mote_metrics_end_call(mote_metrics_shard(metrics, 1), 1, &call);
    has(expose(metrics, values, true),
        SECONDS("_bucket{" LABELS ",le=\"0.0025\"} 4 # {trace_id=\"ff000000000000000000000000000001\"} 0.0024 "
                "1795276303.251"));
    mote_metrics_free(metrics);
}

#define EXEMPLARS 4000000u

struct exemplar_writer {
    struct mote_metrics_shard *shard;
    atomic_bool stop;
};

static void *write_exemplars(void *context)
{
    struct exemplar_writer *writer = context;
    for (uint64_t i = 1; !atomic_load(&writer->stop); i++) {
        const uint64_t id[2] = {i, ~i};
        mote_metrics_end_call(writer->shard, 1,
                              &(const struct mote_metric_call){
                                  .duration_ns = i % 90000, .trace_id = (const uint8_t *)id, .at_ns = (int64_t)i});
    }
    return NULL;
}

/* While a worker writes: what is read is of one call, never of two. */
static void test_exemplars_are_never_torn(void **state)
{
    (void)state;
    struct mote_metrics *metrics = make(MOTE_METRIC_PREREGISTER_OK);
    struct exemplar_writer writer = {.shard = mote_metrics_shard(metrics, 1)};
    struct mote_metric_call call = {0};
    uint64_t id[2] = {0};
    size_t torn = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_exemplars, &writer), 0);
    for (size_t seen = 0; seen < EXEMPLARS;) {
        if (mote_metrics_read_exemplar(metrics, 1, 0, &call, (uint8_t *)id)) {
            torn += id[0] != ~id[1] || (uint64_t)call.at_ns != id[0] || call.duration_ns != id[0] % 90000;
            seen++;
        }
    }
    atomic_store(&writer.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(torn, 0);
    mote_metrics_free(metrics);
}

static void test_preregister(void **state)
{
    double values[MOTE_METRIC_COUNT] = {0};
    (void)state;
    struct mote_metrics *metrics = make(MOTE_METRIC_PREREGISTER_NONE);
    lacks(expose(metrics, values, false), "a.B");
    mote_counter_add(&mote_metrics_shard(metrics, 1)->calls[1].started, 1);
    has(expose(metrics, values, false), "grpc_server_started_total{" LABELS "} 1");
    mote_metrics_free(metrics);
    metrics = make(MOTE_METRIC_PREREGISTER_ALL);
    has(expose(metrics, values, false), "grpc_requests_total{code=\"Canceled\",method=\"C\",service=\"a.B\"} 0");
    mote_metrics_free(metrics);
}

static void test_values(void **state)
{
    double values[MOTE_METRIC_COUNT] = {0};
    (void)state;
    struct mote_metrics *metrics = make(MOTE_METRIC_PREREGISTER_OK);
    mote_metrics_add(mote_metrics_shard(metrics, 0), MOTE_METRIC_CONNECTIONS, 3);
    mote_metrics_add(mote_metrics_shard(metrics, 1), MOTE_METRIC_CONNECTIONS, (uint64_t)-1);
    mote_metrics_add(mote_metrics_shard(metrics, 1), MOTE_METRIC_REFUSED_MEMORY, 7);
    mote_metrics_observe(&mote_metrics_shard(metrics, 1)->histograms[MOTE_METRIC_HISTOGRAM_LAG], 2000000);
    values[MOTE_METRIC_START_TIME] = 1795276303.25;
    values[MOTE_METRIC_CPU_SECONDS] = 0.1;
    values[MOTE_METRIC_OPEN_FDS] = NAN;
    mote_metrics_sum(metrics, values);
    const char *text = expose(metrics, values, false);
    has(text, "mote_connections 2");
    has(text,
        "mote_connections_refused_total{reason=\"address\"} 0\nmote_connections_refused_total{reason=\"memory\"} 7");
    has(text, "process_start_time_seconds 1795276303.25");
    has(text, "process_cpu_seconds_total 0.1");
    has(text, "mote_http2_rst_stream_total{direction=\"received\",error=\"CANCEL\"} 0");
    has(text, "mote_event_loop_lag_seconds_bucket{le=\"+Inf\"} 1");
    has(text, "mote_event_loop_lag_seconds_sum 0.002");
    lacks(text, "process_open_fds");
    mote_metrics_free(metrics);
}

static void test_texts(void **state)
{
    static char names[MOTE_METRIC_TEXTS_MAX + 8][8];
    static const char again[] = "n1"; /* the same words at another place */
    double values[MOTE_METRIC_COUNT] = {0};
    (void)state;
    struct mote_metrics *metrics = make(MOTE_METRIC_PREREGISTER_NONE);
    struct mote_metrics_shard *shard = mote_metrics_shard(metrics, 0);
    mote_metrics_add_text(mote_metrics_shard(metrics, 1), MOTE_METRIC_TEXT_FAILURES, again);
    mote_metrics_add_text(mote_metrics_shard(metrics, 1), MOTE_METRIC_TEXT_AUTH_FAILURES, again);
    mote_metrics_add_text(shard, MOTE_METRIC_TEXT_FAILURES, again);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%zu", i);
        mote_metrics_add_text(shard, MOTE_METRIC_TEXT_FAILURES, names[i]);
        mote_metrics_add_text(shard, MOTE_METRIC_TEXT_FAILURES, names[0]);
    }
    const char *text = expose(metrics, values, false);
    has(text, "mote_failures_total{reason=\"n1\"} 3");
    has(text, "mote_auth_failures_total{reason=\"n1\"} 1");
    char line[64];
    (void)snprintf(line, sizeof line, "mote_failures_total{reason=\"n0\"} %zu", sizeof names / sizeof names[0] + 1);
    has(text, line);                                       /* one more for the first time, none lost */
    has(text, "mote_failures_total{reason=\"other\"} 10"); /* who found no place */
    assert_ptr_equal(strstr(strstr(text, "reason=\"n1\"") + 1, "mote_failures_total{reason=\"n1\"}"), NULL);
    mote_metrics_free(metrics);
}

static int make_and_free(struct mote_mem *mem, void *context)
{
    struct mote_metrics *metrics = NULL;
    const struct mote_metrics_options options = options_of(MOTE_METRIC_PREREGISTER_OK);
    (void)context;
    const int error = mote_metrics_new(&metrics, mem, &options);
    if (error == 0) {
        mote_metrics_free(metrics);
    }
    return error;
}

static void test_memory(void **state)
{
    (void)state;
    assert_int_equal(mote_failing_mem_check(make_and_free, NULL), 3);
    struct mote_metrics *metrics = make(MOTE_METRIC_PREREGISTER_OK);
    double values[MOTE_METRIC_COUNT] = {0};
    struct mote_buffer out;
    mote_buffer_init(&out, mote_mem_system(), 100);
    assert_int_equal(mote_metrics_write(metrics, values, "", false, &out), MOTE_ELIMIT);
    mote_buffer_dispose(&out);
    mote_metrics_free(metrics);
    mote_metrics_free(NULL);
    mote_metrics_add(mote_metrics_nowhere(), MOTE_METRIC_CONNECTIONS, 1);
}

/* Names as Prometheus wants them: the page and the rules below hold for every row. */
static void test_table(void **state)
{
    struct mote_metric_description row;
    (void)state;
    for (size_t i = 0; mote_metrics_describe(i, &row); i++) {
        const size_t length = strlen(row.name);
        const bool is_total = length > 6 && strcmp(row.name + length - 6, "_total") == 0;
        assert_int_equal(is_total, strcmp(row.type, "counter") == 0);
        assert_null(strpbrk(row.help, "\\\n"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),     cmocka_unit_test(test_calls),
        cmocka_unit_test(test_preregister), cmocka_unit_test(test_values),
        cmocka_unit_test(test_texts),       cmocka_unit_test(test_memory),
        cmocka_unit_test(test_table),       cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_exemplars),   cmocka_unit_test(test_exemplars_are_never_torn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
