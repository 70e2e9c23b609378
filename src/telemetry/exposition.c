/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics as text: Prometheus' format 0.0.4 and OpenMetrics 1.0, which wants counters' families named without "_total",
 * bounds with a point, and "# EOF". Labels in the order of their names. What cannot be written because the buffer
 * is full fails once, at the end.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "telemetry/metrics_internal.h"

struct writer {
    struct mote_buffer *out;
    bool is_openmetrics;
    int error;
    const char *family; /* the last one, to see where one begins */
    char before[128];   /* its name in OpenMetrics */
};

MOTE_PRINTF(2, 3) static void put(struct writer *writer, const char *format, ...)
{
    char text[1024];
    va_list values;
    va_start(values, format);
    const int length = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (writer->error == 0) {
        writer->error = length >= 0 && (size_t)length < sizeof text
                            ? mote_buffer_append(writer->out, text, (size_t)length)
                            : MOTE_ELIMIT;
    }
}

/* The shortest that is read back the same. */
static void put_value(struct writer *writer, double value)
{
    char text[32];
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*g", precision, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    put(writer, " %s\n", text);
}

static void put_family(struct writer *writer, const char *name, const char *type, const char *help)
{
    int length = (int)strlen(name);
    if (writer->family != NULL && strcmp(writer->family, name) == 0) {
        return;
    }
    writer->family = name;
    if (writer->is_openmetrics && strcmp(type, "counter") == 0) {
        length -= (int)strlen("_total");
        if (strncmp(writer->before, name, (size_t)length) == 0 && writer->before[length] == '\0') {
            length = (int)strlen(name); /* a gauge has that name: no counter can */
            type = "unknown";
        }
    }
    (void)snprintf(writer->before, sizeof writer->before, "%.*s", length, name);
    put(writer, "# HELP %.*s %s\n# TYPE %.*s %s\n", length, name, help, length, name, type);
}

/* --- single series ----------------------------------------------------------------------------------------------- */

static const char *const types[] = {"counter", "gauge", "histogram"};
enum type {
    COUNTER,
    GAUGE,
    HISTOGRAM,
};

static const struct cell {
    const char *name;
    enum type type;
    const char *label, *value, *help;
} cells[] = {
#define X(id, name, type, label, value, help) {name, type, label, value, help},
    MOTE_METRIC_MAP(X)
#undef X
};

static void put_cells(struct writer *writer, const double values[MOTE_METRIC_COUNT])
{
    for (size_t i = 0; i < MOTE_METRIC_COUNT; i++) {
        const struct cell *cell = &cells[i];
        if (isnan(values[i])) {
            continue;
        }
        put_family(writer, cell->name, types[cell->type], cell->help);
        if (cell->label[0] != '\0') {
            put(writer, "%s{%s=\"%s\"}", cell->name, cell->label, cell->value);
        } else {
            put(writer, "%s", cell->name);
        }
        put_value(writer, values[i]);
    }
}

/* --- series by text ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *label, *help;
} texts[] = {
#define X(id, name, label, help) {name, label, help},
    MOTE_METRIC_TEXT_MAP(X)
#undef X
};

/* A text's count on all workers; 0 when an earlier place has told of it. */
static uint64_t sum_text(const struct mote_metrics *metrics, size_t family, const char *text, size_t shard,
                         size_t place)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < metrics->options.shards; i++) {
        for (size_t j = 0; j < MOTE_METRIC_TEXTS_MAX; j++) {
            const char *other = atomic_load_explicit(&metrics->shards[i]->texts[j].text, memory_order_acquire);
            if (other == NULL) {
                break;
            }
            if (metrics->shards[i]->texts[j].family == family && strcmp(other, text) == 0) {
                if (i < shard || (i == shard && j < place)) {
                    return 0;
                }
                sum += mote_counter_read(&metrics->shards[i]->texts[j].count);
            }
        }
    }
    return sum;
}

void mote_metrics_each_text(const struct mote_metrics *metrics, enum mote_metric_text family,
                            void (*each)(void *context, const char *text, uint64_t count), void *context)
{
    for (size_t i = 0; i < metrics->options.shards; i++) {
        for (size_t j = 0; j < MOTE_METRIC_TEXTS_MAX; j++) {
            const char *text = atomic_load_explicit(&metrics->shards[i]->texts[j].text, memory_order_acquire);
            if (text == NULL) {
                break;
            }
            const bool is_of_it = metrics->shards[i]->texts[j].family == family;
            const uint64_t sum = is_of_it ? sum_text(metrics, family, text, i, j) : 0;
            if (sum > 0) {
                each(context, text, sum);
            }
        }
    }
}

struct family_writer {
    struct writer *writer;
    size_t family;
};

static void put_text(void *context, const char *text, uint64_t count)
{
    const struct family_writer *of = context;
    put(of->writer, "%s{%s=\"%s\"} %llu\n", texts[of->family].name, texts[of->family].label, text,
        (unsigned long long)count);
}

static void put_texts(struct writer *writer, const struct mote_metrics *metrics)
{
    for (size_t family = 0; family < sizeof texts / sizeof texts[0]; family++) {
        struct family_writer of = {writer, family};
        put_family(writer, texts[family].name, "counter", texts[family].help);
        mote_metrics_each_text(metrics, (enum mote_metric_text)family, put_text, &of);
    }
}

/* --- series by method -------------------------------------------------------------------------------------------- */

enum by_method {
#define X(id, name, type, flavor, labels, help) METHOD_##id,
    MOTE_METRIC_METHOD_MAP(X)
#undef X
};

static const struct method_row {
    const char *name;
    enum type type;
    unsigned flavor;
    const char *labels, *help;
} method_rows[] = {
#define X(id, name, type, flavor, labels, help) {name, type, MOTE_METRIC_FLAVOR_##flavor, labels, help},
    MOTE_METRIC_METHOD_MAP(X)
#undef X
};

static unsigned long long read(const struct mote_counter *counter)
{
    return mote_counter_read(counter);
}

/* Code 0 is OK. */
static bool is_wanted(const struct mote_metrics *metrics, unsigned code, uint64_t count)
{
    const enum mote_metric_preregister preregister = metrics->options.preregister;
    return count > 0 || preregister == MOTE_METRIC_PREREGISTER_ALL ||
           (preregister == MOTE_METRIC_PREREGISTER_OK && code == 0);
}

static void put_codes(struct writer *writer, const struct mote_metrics *metrics, const struct method_row *row,
                      const struct mote_metric_method *method, const struct mote_metric_calls *calls)
{
    for (unsigned code = 0; code < MOTE_METRIC_CODES; code++) {
        const unsigned long long count = read(&calls->handled[code]);
        if (!is_wanted(metrics, code, count)) {
            continue;
        }
        if (row == &method_rows[METHOD_REQUESTS]) {
            put(writer, "%s{code=\"%s\",method=\"%s\",service=\"%s\"} %llu\n", row->name,
                metrics->options.code_name(code), method->method, method->service, count);
        } else {
            put(writer, "%s{grpc_code=\"%s\",grpc_method=\"%s\",grpc_service=\"%s\",grpc_type=\"%s\"} %llu\n",
                row->name, metrics->options.code_name(code), method->method, method->service, method->type, count);
        }
    }
}

/* OpenMetrics alone has them. */
static void put_exemplar(struct writer *writer, const struct mote_metrics *metrics, size_t method, size_t bucket)
{
    struct mote_metric_call call;
    uint8_t id[16];
    char hex[2 * sizeof id];
    if (mote_metrics_read_exemplar(metrics, method, bucket, &call, id)) {
        mote_hex_encode(hex, mote_slice(id, sizeof id));
        put(writer, " # {trace_id=\"%.*s\"} %.9g %.3f", (int)sizeof hex, hex, (double)call.duration_ns / 1e9,
            (double)call.at_ns / 1e9);
    }
}

struct histogram {
    const char *name, *labels;
    const struct mote_counter *counters; /* the sum, and the buckets */
    const struct mote_metric_scale *scale;
    const struct mote_metrics *exemplars; /* NULL: none */
    size_t method;
};

static void put_histogram(struct writer *writer, const struct histogram *of)
{
    const bool has_labels = of->labels[0] != '\0';
    const char *comma = has_labels ? "," : "";
    unsigned long long count = 0;
    for (size_t i = 0; i <= of->scale->count; i++) {
        const char *bound = i < of->scale->count ? of->scale->bounds[i].text : "+Inf";
        const bool is_whole = writer->is_openmetrics && i < of->scale->count && strpbrk(bound, ".e") == NULL;
        count += read(&of->counters[1 + i]);
        put(writer, "%s_bucket{%s%sle=\"%s%s\"} %llu", of->name, of->labels, comma, bound, is_whole ? ".0" : "", count);
        if (writer->is_openmetrics && of->exemplars != NULL) {
            put_exemplar(writer, of->exemplars, of->method, i);
        }
        put(writer, "\n");
    }
    put(writer, "%s_sum%s%s%s", of->name, has_labels ? "{" : "", of->labels, has_labels ? "}" : "");
    put_value(writer, (double)read(of->counters) / of->scale->unit);
    put(writer, "%s_count%s%s%s %llu\n", of->name, has_labels ? "{" : "", of->labels, has_labels ? "}" : "", count);
}

/* "other", or as in a path. */
static void put_full_name(char *out, size_t size, const struct mote_metric_method *method)
{
    const bool is_other = strcmp(method->service, "other") == 0;
    (void)snprintf(out, size, "%s%s%s", is_other ? "" : method->service, is_other ? "" : "/", method->method);
}

/* These are many lines: only codes that were met. */
static void put_outcomes(struct writer *writer, const struct mote_metrics *metrics, enum by_method id,
                         const struct mote_metric_method *method, const struct mote_metric_calls *calls)
{
    char full[384];
    char labels[448];
    put_full_name(full, sizeof full, method);
    for (unsigned code = 0; code < MOTE_METRIC_CODES; code++) {
        struct mote_metric_outcome outcome;
        if (read(&calls->handled[code]) == 0) {
            continue;
        }
        mote_metrics_sum_outcome(metrics, method->index, code, &outcome);
        (void)snprintf(labels, sizeof labels, "grpc_method=\"%s\",grpc_status=\"%s\"", full,
                       metrics->options.status_name(code));
        put_histogram(writer,
                      &(const struct histogram){
                          .name = method_rows[id].name,
                          .labels = labels,
                          .counters = id == METHOD_CALL_DURATION ? outcome.seconds
                                      : id == METHOD_CALL_SENT   ? outcome.sent
                                                                 : outcome.received,
                          .scale = id == METHOD_CALL_DURATION ? &mote_metrics_call_seconds : &mote_metrics_call_bytes,
                      });
    }
}

static void put_method(struct writer *writer, const struct mote_metrics *metrics, enum by_method id,
                       const struct mote_metric_method *method)
{
    const struct method_row *row = &method_rows[id];
    struct mote_metric_calls calls;
    char labels[512];
    mote_metrics_sum_calls(metrics, method->index, &calls);
    if (metrics->options.preregister == MOTE_METRIC_PREREGISTER_NONE && read(&calls.started) == 0) {
        return;
    }
    (void)snprintf(labels, sizeof labels, "grpc_method=\"%s\",grpc_service=\"%s\",grpc_type=\"%s\"", method->method,
                   method->service, method->type);
    switch (id) {
    case METHOD_REQUESTS:
    case METHOD_HANDLED:
        put_codes(writer, metrics, row, method, &calls);
        break;
    case METHOD_STARTED:
        put(writer, "%s{%s} %llu\n", row->name, labels, read(&calls.started));
        break;
    case METHOD_MESSAGES_RECEIVED:
        put(writer, "%s{%s} %llu\n", row->name, labels, read(&calls.received));
        break;
    case METHOD_MESSAGES_SENT:
        put(writer, "%s{%s} %llu\n", row->name, labels, read(&calls.sent));
        break;
    case METHOD_HANDLING:
        put_histogram(writer, &(const struct histogram){row->name, labels, &calls.time.nanoseconds,
                                                        &mote_metrics_latency, metrics, method->index});
        break;
    case METHOD_CALL_STARTED:
        put_full_name(labels, sizeof labels, method);
        put(writer, "%s{grpc_method=\"%s\"} %llu\n", row->name, labels, read(&calls.started));
        break;
    case METHOD_CALL_DURATION:
    case METHOD_CALL_SENT:
    case METHOD_CALL_RECEIVED:
        put_outcomes(writer, metrics, id, method, &calls);
        break;
    }
}

static void put_methods(struct writer *writer, const struct mote_metrics *metrics)
{
    for (size_t row = 0; row < sizeof method_rows / sizeof method_rows[0]; row++) {
        if ((metrics->options.flavors & method_rows[row].flavor) == 0) {
            continue;
        }
        put_family(writer, method_rows[row].name, types[method_rows[row].type], method_rows[row].help);
        for (size_t i = 0; i < metrics->options.method_count; i++) {
            put_method(writer, metrics, (enum by_method)row, &metrics->options.methods[i]);
        }
    }
}

static const struct {
    const char *name, *help;
} histograms[] = {
#define X(id, name, help) {name, help},
    MOTE_METRIC_HISTOGRAM_MAP(X)
#undef X
};

static void put_histograms(struct writer *writer, const struct mote_metrics *metrics)
{
    for (size_t i = 0; i < MOTE_METRIC_HISTOGRAM_COUNT; i++) {
        struct mote_metric_histogram sum;
        mote_metrics_sum_histogram(metrics, (enum mote_metric_histogram_id)i, &sum);
        put_family(writer, histograms[i].name, types[HISTOGRAM], histograms[i].help);
        put_histogram(writer, &(const struct histogram){.name = histograms[i].name,
                                                        .labels = "",
                                                        .counters = &sum.nanoseconds,
                                                        .scale = &mote_metrics_latency});
    }
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

int mote_metrics_write(const struct mote_metrics *metrics, const double values[MOTE_METRIC_COUNT], const char *build,
                       bool is_openmetrics, struct mote_buffer *out)
{
    struct writer writer = {.out = out, .is_openmetrics = is_openmetrics};
    put_family(&writer, "mote_build_info", "gauge", "The build, as labels.");
    put(&writer, "mote_build_info{%s} 1\n", build);
    put_methods(&writer, metrics);
    put_cells(&writer, values);
    put_histograms(&writer, metrics);
    put_texts(&writer, metrics);
    if (is_openmetrics) {
        put(&writer, "# EOF\n");
    }
    return writer.error;
}

bool mote_metrics_describe(size_t index, struct mote_metric_description *row)
{
    const size_t methods = sizeof method_rows / sizeof method_rows[0];
    if (index < methods) {
        const struct method_row *from = &method_rows[index];
        *row = (struct mote_metric_description){from->name, types[from->type], from->labels, "", from->help};
        return true;
    }
    index -= methods;
    if (index < MOTE_METRIC_COUNT) {
        const struct cell *from = &cells[index];
        *row = (struct mote_metric_description){from->name, types[from->type], from->label, from->value, from->help};
        return true;
    }
    index -= MOTE_METRIC_COUNT;
    if (index < MOTE_METRIC_HISTOGRAM_COUNT) {
        *row =
            (struct mote_metric_description){histograms[index].name, types[HISTOGRAM], "", "", histograms[index].help};
        return true;
    }
    index -= MOTE_METRIC_HISTOGRAM_COUNT;
    if (index < sizeof texts / sizeof texts[0]) {
        *row =
            (struct mote_metric_description){texts[index].name, "counter", texts[index].label, "", texts[index].help};
        return true;
    }
    return false;
}
