/* SPDX-License-Identifier: Apache-2.0 */
/* The values that a scrape finds out by itself; what cannot be found is NaN, and then not exposed. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/observe.h"
#include "telemetry/tracer.h"

static double limit_of(__rlimit_resource_t resource)
{
    struct rlimit limit;
    return getrlimit(resource, &limit) != 0 ? NAN : limit.rlim_cur == RLIM_INFINITY ? -1 : (double)limit.rlim_cur;
}

static double count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = -3; /* itself and two dots */
    if (folder == NULL) {
        return NAN;
    }
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

/* proc(5): fields 20, 23 and 24 of the line, behind the name, which may hold anything. */
static void read_stat(double values[MOTE_METRIC_COUNT])
{
    char text[1024];
    long threads;
    unsigned long virtual_bytes;
    long resident;
    FILE *file = fopen("/proc/self/stat", "re");
    const size_t length = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[length] = '\0';
    if (file != NULL) {
        (void)fclose(file);
    }
    const char *rest = strrchr(text, ')');
    if (rest != NULL && sscanf(rest,
                               ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %*u %lu "
                               "%ld",
                               &threads, &virtual_bytes, &resident) == 3) {
        values[MOTE_METRIC_THREADS] = (double)threads;
        values[MOTE_METRIC_VIRTUAL_BYTES] = (double)virtual_bytes;
        values[MOTE_METRIC_RESIDENT_BYTES] = (double)resident * (double)sysconf(_SC_PAGESIZE);
    }
}

static void read_process(const struct mote_observe *observe, double values[MOTE_METRIC_COUNT])
{
    struct rusage usage;
    static const enum mote_metric_id from_stat[] = {MOTE_METRIC_THREADS, MOTE_METRIC_VIRTUAL_BYTES,
                                                    MOTE_METRIC_RESIDENT_BYTES};
    for (size_t i = 0; i < sizeof from_stat / sizeof from_stat[0]; i++) {
        values[from_stat[i]] = NAN;
    }
    read_stat(values);
    values[MOTE_METRIC_CPU_SECONDS] = getrusage(RUSAGE_SELF, &usage) != 0
                                          ? NAN
                                          : (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                                                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    values[MOTE_METRIC_OPEN_FDS] = count_descriptors();
    values[MOTE_METRIC_MAX_FDS] = limit_of(RLIMIT_NOFILE);
    values[MOTE_METRIC_VIRTUAL_MAX_BYTES] = limit_of(RLIMIT_AS);
    values[MOTE_METRIC_START_TIME] = (double)observe->started;
}

bool mote_observe_is_ready(const struct mote_observe *observe)
{
    return atomic_load(&observe->listening) && atomic_load(observe->serving) && mote_store_is_healthy(observe->store);
}

void mote_observe_values(const struct mote_observe *observe, double values[MOTE_METRIC_COUNT])
{
    const int64_t expiry = atomic_load(&observe->certificate_expiry);
    unsigned writes;
    unsigned waiting;
    int64_t database;
    int64_t log;
    uint64_t hashed;
    memset(values, 0, MOTE_METRIC_COUNT * sizeof *values);
    read_process(observe, values);
    mote_store_figures(observe->store, &writes, &database, &log);
    mote_password_pool_figures(observe->passwords, &waiting, &hashed);
    _Static_assert(MOTE_METRIC_SPANS_REJECTED - MOTE_METRIC_SPANS_EXPORTED + 1 == MOTE_SPAN_FATES,
                   "the rows of the table are what becomes of spans");
    if (observe->tracer != NULL) {
        const struct mote_span_queue_counts spans = mote_span_queue_counts(observe->tracer->queue);
        for (size_t i = 0; i < MOTE_SPAN_FATES; i++) {
            values[MOTE_METRIC_SPANS_EXPORTED + i] = (double)spans.fates[i];
        }
        values[MOTE_METRIC_SPANS_WAITING] = (double)spans.waiting;
    }
    values[MOTE_METRIC_CERTIFICATE_EXPIRY] = expiry == INT64_MAX ? NAN : (double)expiry;
    values[MOTE_METRIC_CONNECTIONS_MAX] = (double)observe->effective->limits.connections_max;
    values[MOTE_METRIC_HASH_QUEUE] = waiting;
    values[MOTE_METRIC_HASHES] = (double)hashed;
    values[MOTE_METRIC_STORE_HEALTHY] = mote_store_is_healthy(observe->store);
    values[MOTE_METRIC_STORE_COMMITS] = (double)mote_store_commit_number(observe->store);
    values[MOTE_METRIC_STORE_QUEUE] = writes;
    values[MOTE_METRIC_STORE_BYTES] = (double)database;
    values[MOTE_METRIC_STORE_LOG_BYTES] = (double)log;
    values[MOTE_METRIC_LOG_DROPPED] = (double)mote_log_sink_dropped(observe->sink);
    values[MOTE_METRIC_READY] = mote_observe_is_ready(observe);
    values[MOTE_METRIC_WORKERS] = (double)observe->effective->workers;
    mote_metrics_sum(observe->metrics, values);
}
