/* SPDX-License-Identifier: Apache-2.0 */
/* What is going on, as JSON. Every string in it is one of the program's own and needs no escapes. */
#include "wire/status.h"
#include <stdlib.h>

#include "app/command.h"
#include "app/observe.h"

static const uint8_t page[] = {
#include "status_page.h"
};

struct mote_slice mote_observe_page(void)
{
    return mote_slice(page, sizeof page);
}

/* Seconds below which a share of the values lies: between the bounds of its bucket as if they were even. */
static double quantile(const struct mote_metric_histogram *histogram, double share)
{
    static const double bounds[] = {0,
#define X(bound, text) (double)(bound) / 1e9,
                                    MOTE_METRIC_BUCKET_MAP(X)
#undef X
    };
    double rank = 0;
    for (size_t i = 0; i <= MOTE_METRIC_BUCKETS; i++) {
        rank += share * (double)mote_counter_read(&histogram->buckets[i]);
    }
    for (size_t i = 0; i < MOTE_METRIC_BUCKETS; i++) {
        const double count = (double)mote_counter_read(&histogram->buckets[i]);
        if (count > 0 && rank <= count) {
            return bounds[i] + (bounds[i + 1] - bounds[i]) * rank / count;
        }
        rank -= count;
    }
    return bounds[MOTE_METRIC_BUCKETS];
}

static uint64_t count_errors(const struct mote_metric_calls *calls)
{
    uint64_t errors = 0;
    for (unsigned code = 0; code < MOTE_METRIC_CODES; code++) {
        errors += mote_status_is_servers_fault((enum mote_status)code) ? mote_counter_read(&calls->handled[code]) : 0;
    }
    return errors;
}

static void print_method(FILE *out, const struct mote_observe *observe, const struct mote_metric_method *method,
                         const char **comma)
{
    struct mote_metric_calls calls;
    uint64_t handled = 0;
    mote_metrics_sum_calls(observe->metrics, method->index, &calls);
    for (unsigned code = 0; code < MOTE_METRIC_CODES; code++) {
        handled += mote_counter_read(&calls.handled[code]);
    }
    const uint64_t started = mote_counter_read(&calls.started);
    if (started > 0) {
        fprintf(out,
                "%s{\"service\":\"%s\",\"method\":\"%s\",\"type\":\"%s\",\"started\":%llu,\"handled\":%llu,\"ok\":%llu,"
                "\"server_errors\":%llu,\"p50\":%.6g,\"p90\":%.6g,\"p99\":%.6g}",
                *comma, method->service, method->method, method->type, (unsigned long long)started,
                (unsigned long long)handled, (unsigned long long)mote_counter_read(&calls.handled[MOTE_STATUS_OK]),
                (unsigned long long)count_errors(&calls), quantile(&calls.time, 0.5), quantile(&calls.time, 0.9),
                quantile(&calls.time, 0.99));
        *comma = ",";
    }
}

struct list {
    FILE *out;
    const char *comma;
};

static void print_text(void *context, const char *text, uint64_t count)
{
    struct list *list = context;
    fprintf(list->out, "%s\"%s\":%llu", list->comma, text, (unsigned long long)count);
    list->comma = ",";
}

static void print_texts(FILE *out, const struct mote_observe *observe, const char *name, enum mote_metric_text family)
{
    struct list list = {out, ""};
    fprintf(out, ",\"%s\":{", name);
    mote_metrics_each_text(observe->metrics, family, print_text, &list);
    fputc('}', out);
}

static void print_values(FILE *out, const struct mote_observe *observe)
{
    static const struct {
        const char *name;
        enum mote_metric_id id;
    } rows[] = {
        {"connections", MOTE_METRIC_CONNECTIONS},
        {"connections_max", MOTE_METRIC_CONNECTIONS_MAX},
        {"connections_total", MOTE_METRIC_CONNECTIONS_TOTAL},
        {"received_bytes", MOTE_METRIC_RECEIVED_BYTES},
        {"sent_bytes", MOTE_METRIC_SENT_BYTES},
        {"store_healthy", MOTE_METRIC_STORE_HEALTHY},
        {"store_bytes", MOTE_METRIC_STORE_BYTES},
        {"store_log_bytes", MOTE_METRIC_STORE_LOG_BYTES},
        {"store_commits", MOTE_METRIC_STORE_COMMITS},
        {"store_queue", MOTE_METRIC_STORE_QUEUE},
        {"hashes", MOTE_METRIC_HASHES},
        {"hash_queue", MOTE_METRIC_HASH_QUEUE},
        {"token_hits", MOTE_METRIC_TOKEN_HITS},
        {"token_misses", MOTE_METRIC_TOKEN_MISSES},
        {"log_dropped", MOTE_METRIC_LOG_DROPPED},
        {"workers", MOTE_METRIC_WORKERS},
        {"cpu_seconds", MOTE_METRIC_CPU_SECONDS},
        {"resident_bytes", MOTE_METRIC_RESIDENT_BYTES},
        {"open_fds", MOTE_METRIC_OPEN_FDS},
        {"started", MOTE_METRIC_START_TIME},
        {"certificate_expiry", MOTE_METRIC_CERTIFICATE_EXPIRY},
    };
    double values[MOTE_METRIC_COUNT];
    mote_observe_values(observe, values);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const double value = values[rows[i].id];
        if (value == value) { /* not NaN */
            fprintf(out, ",\"%s\":%.15g", rows[i].name, value);
        }
    }
}

void mote_observe_tick(struct mote_observe *observe)
{
    const struct mote_clock *clock = mote_clock_system();
    struct mote_observe_sample sample = {.at = clock->wall_ns(clock->context) / (int64_t)MOTE_NS_PER_SECOND};
    double values[MOTE_METRIC_COUNT] = {0};
    if (observe->sampled > 0 && llabs(sample.at - observe->history[(observe->sampled - 1) % MOTE_OBSERVE_HISTORY].at) <
                                    MOTE_OBSERVE_HISTORY_EVERY) {
        return;
    }
    for (size_t i = 0; i < observe->method_count; i++) {
        struct mote_metric_calls calls;
        mote_metrics_sum_calls(observe->metrics, observe->methods[i].index, &calls);
        sample.calls += mote_counter_read(&calls.started);
        sample.server_errors += count_errors(&calls);
    }
    mote_metrics_sum(observe->metrics, values);
    sample.connections = (uint64_t)values[MOTE_METRIC_CONNECTIONS];
    pthread_mutex_lock(&observe->lock);
    observe->history[observe->sampled++ % MOTE_OBSERVE_HISTORY] = sample;
    pthread_mutex_unlock(&observe->lock);
}

/* The oldest first. */
static void print_history(FILE *out, struct mote_observe *observe)
{
    const char *comma = "";
    fputs(",\"history\":[", out);
    pthread_mutex_lock(&observe->lock);
    for (size_t i = 0; i < MOTE_OBSERVE_HISTORY; i++) {
        const struct mote_observe_sample *sample = &observe->history[(observe->sampled + i) % MOTE_OBSERVE_HISTORY];
        if (sample->at != 0) {
            fprintf(out, "%s[%lld,%llu,%llu,%llu]", comma, (long long)sample->at, (unsigned long long)sample->calls,
                    (unsigned long long)sample->server_errors, (unsigned long long)sample->connections);
            comma = ",";
        }
    }
    pthread_mutex_unlock(&observe->lock);
    fputc(']', out);
}

void mote_observe_print_status(FILE *out, void *of)
{
    struct mote_observe *observe = of;
    const struct mote_clock *clock = mote_clock_system();
    const char *comma = "";
    fprintf(out, "{\"state\":\"%s\",\"ready\":%s,\"now\":%.3f,\"build\":\"%s\"",
            !atomic_load(&observe->listening) ? "starting"
            : atomic_load(observe->serving)   ? "serving"
                                              : "stopping",
            mote_observe_is_ready(observe) ? "true" : "false", (double)clock->wall_ns(clock->context) / 1e9,
            mote_command_version_text());
    print_values(out, observe);
    fputs(",\"methods\":[", out);
    for (size_t i = 0; i < observe->method_count; i++) {
        print_method(out, observe, &observe->methods[i], &comma);
    }
    fputc(']', out);
    print_texts(out, observe, "connections_ended", MOTE_METRIC_TEXT_CONNECTION_ENDS);
    print_texts(out, observe, "calls_aborted", MOTE_METRIC_TEXT_CALLS_ABORTED);
    print_texts(out, observe, "failures", MOTE_METRIC_TEXT_FAILURES);
    print_history(out, observe);
    fputs("}\n", out);
}
