/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lock guards the ring and the buckets; it is held for copying a line of at most 4 KiB, never while formatting or
 * writing. The writer copies a line out and writes it without the lock.
 */
#include "app/log_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/memory.h"

#define BUCKETS       64u /* events that repeat at one time; more share */
#define BUCKET_REFILL MOTE_NS_PER_SECOND
#define THREAD_STACK  131072u
#define LENGTH_PREFIX 2u

/* A token bucket for one event. */
struct bucket {
    uint64_t key; /* hash of the event; 0: free */
    uint64_t since_ns;
    uint32_t tokens;
    uint64_t suppressed;
};

struct mote_log_sink {
    struct mote_log log;
    struct mote_log_sink_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled;  /* the writer waits for it */
    pthread_cond_t emptied; /* close waits for it */
    bool closing;
    bool abandoned; /* the thread frees it */
    bool writing;   /* the writer has a line in hand */
    bool sleeping;  /* the writer waits */
    uint64_t dropped;
    uint64_t dropped_told;
    size_t head; /* of the oldest line: its length in two bytes, then its bytes */
    size_t length;
    struct bucket buckets[BUCKETS];
    uint8_t ring[MOTE_LOG_SINK_RING];
};

/* --- the ring ---------------------------------------------------------------------------------------------------- */

static void ring_write(struct mote_log_sink *sink, const void *bytes, size_t length)
{
    size_t at = (sink->head + sink->length) % MOTE_LOG_SINK_RING;
    size_t first = MOTE_LOG_SINK_RING - at < length ? MOTE_LOG_SINK_RING - at : length;
    memcpy(sink->ring + at, bytes, first);
    memcpy(sink->ring, (const uint8_t *)bytes + first, length - first);
    sink->length += length;
}

static void ring_read(struct mote_log_sink *sink, void *bytes, size_t length)
{
    size_t first = MOTE_LOG_SINK_RING - sink->head < length ? MOTE_LOG_SINK_RING - sink->head : length;
    memcpy(bytes, sink->ring + sink->head, first);
    memcpy((uint8_t *)bytes + first, sink->ring, length - first);
    sink->head = (sink->head + length) % MOTE_LOG_SINK_RING;
    sink->length -= length;
}

static void push(struct mote_log_sink *sink, const char *line, size_t length)
{
    const uint8_t prefix[LENGTH_PREFIX] = {(uint8_t)(length & 0xffu), (uint8_t)(length >> 8)};
    pthread_mutex_lock(&sink->lock);
    if (MOTE_LOG_SINK_RING - sink->length < length + LENGTH_PREFIX) {
        sink->dropped++;
    } else {
        ring_write(sink, prefix, LENGTH_PREFIX);
        ring_write(sink, line, length);
        if (sink->sleeping) {
            pthread_cond_signal(&sink->filled);
        }
    }
    pthread_mutex_unlock(&sink->lock);
}

static size_t pop(struct mote_log_sink *sink, char line[MOTE_LOG_LINE_MAX])
{
    uint8_t prefix[LENGTH_PREFIX];
    ring_read(sink, prefix, LENGTH_PREFIX);
    size_t length = (size_t)prefix[0] | (size_t)prefix[1] << 8;
    ring_read(sink, line, length);
    return length;
}

/* --- repeats ----------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(const char *event)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *event != '\0'; event++) {
        hash = (hash ^ (uint8_t)*event) * 0x100000001b3u;
    }
    return hash != 0 ? hash : 1;
}

static void refill(struct bucket *bucket, uint64_t now_ns)
{
    uint64_t earned = (now_ns - bucket->since_ns) / BUCKET_REFILL;
    if (earned == 0) {
        return;
    }
    bucket->since_ns += earned * BUCKET_REFILL;
    bucket->tokens =
        earned < MOTE_LOG_SINK_BURST - bucket->tokens ? bucket->tokens + (uint32_t)earned : MOTE_LOG_SINK_BURST;
}

/* True when this record may be written; *suppressed is then how many like it were not. */
static bool admit(struct mote_log_sink *sink, const struct mote_log_record *record, uint64_t *suppressed)
{
    uint64_t key = hash_of(record->event);
    struct bucket *bucket = &sink->buckets[key % BUCKETS];
    uint64_t now_ns = sink->options.clock->monotonic_ns(sink->options.clock->context);
    bool admitted = true;
    *suppressed = 0;
    pthread_mutex_lock(&sink->lock);
    if (bucket->key != key) {
        *bucket = (struct bucket){.key = key, .since_ns = now_ns, .tokens = MOTE_LOG_SINK_BURST};
    }
    refill(bucket, now_ns);
    if (bucket->tokens > 0) {
        bucket->tokens--;
        *suppressed = bucket->suppressed;
        bucket->suppressed = 0;
    } else {
        bucket->suppressed++;
        admitted = false;
    }
    pthread_mutex_unlock(&sink->lock);
    return admitted;
}

static void write_record(struct mote_log *log, const struct mote_log_record *record)
{
    struct mote_log_sink *sink = MOTE_CONTAINER_OF(log, struct mote_log_sink, log);
    char line[MOTE_LOG_LINE_MAX];
    uint64_t suppressed = 0;
    if (record->level >= MOTE_LOG_WARN && strcmp(record->logger, "access") != 0 && !admit(sink, record, &suppressed)) {
        return;
    }
    int64_t wall_ns = sink->options.clock->wall_ns(sink->options.clock->context);
    push(sink, line, mote_log_line_format(line, &sink->options.style, wall_ns, record, suppressed));
}

/* --- the writer -------------------------------------------------------------------------------------------------- */

/* False when the descriptor takes nothing any more. Another process may have made it non-blocking: then wait here. */
static bool write_line(int fd, const char *line, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, line, length);
        if (written > 0) {
            line += written;
            length -= (size_t)written;
        } else if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            if (poll(&wait, 1, -1) < 0 && errno != EINTR) {
                return false;
            }
        } else if (written == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

static size_t format_dropped(struct mote_log_sink *sink, char line[MOTE_LOG_LINE_MAX], uint64_t count)
{
    const struct mote_log_field field = mote_log_uint("dropped", count);
    const struct mote_log_record record = {.level = MOTE_LOG_WARN,
                                           .logger = "log",
                                           .event = "log.dropped",
                                           .message = "log lines were dropped: nobody read them in time",
                                           .fields = &field,
                                           .field_count = 1};
    return mote_log_line_format(line, &sink->options.style, sink->options.clock->wall_ns(sink->options.clock->context),
                                &record, 0);
}

/* The next line to write, with the lock held; 0: the sink closes and all is written. */
static size_t next_line(struct mote_log_sink *sink, char line[MOTE_LOG_LINE_MAX])
{
    while (sink->length == 0 && sink->dropped == sink->dropped_told) {
        pthread_cond_broadcast(&sink->emptied);
        if (sink->closing) {
            return 0;
        }
        sink->sleeping = true;
        pthread_cond_wait(&sink->filled, &sink->lock);
        sink->sleeping = false;
    }
    if (sink->dropped != sink->dropped_told) {
        uint64_t count = sink->dropped - sink->dropped_told;
        sink->dropped_told = sink->dropped;
        return format_dropped(sink, line, count);
    }
    return pop(sink, line);
}

static void free_sink(struct mote_log_sink *sink)
{
    pthread_cond_destroy(&sink->emptied);
    pthread_cond_destroy(&sink->filled);
    pthread_mutex_destroy(&sink->lock);
    mote_mem_release(mote_mem_system(), sink);
}

static void *run_writer(void *argument)
{
    struct mote_log_sink *sink = argument;
    char line[MOTE_LOG_LINE_MAX];
    size_t length;
    pthread_mutex_lock(&sink->lock);
    while ((length = next_line(sink, line)) > 0) {
        sink->writing = true;
        pthread_mutex_unlock(&sink->lock);
        bool written = write_line(sink->options.fd, line, length);
        pthread_mutex_lock(&sink->lock);
        sink->writing = false;
        if (!written) {
            sink->dropped++;
            sink->dropped_told = sink->dropped; /* who could read that? */
        }
    }
    bool abandoned = sink->abandoned;
    pthread_mutex_unlock(&sink->lock);
    if (abandoned) {
        free_sink(sink);
    }
    return NULL;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static int start_writer(struct mote_log_sink *sink)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return MOTE_ENOMEM;
    }
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
    int number = pthread_create(&sink->thread, &attributes, run_writer, sink);
    pthread_attr_destroy(&attributes);
    return number == 0 ? 0 : MOTE_EAGAIN;
}

int mote_log_sink_open(struct mote_log_sink **out, const struct mote_log_sink_options *options)
{
    struct mote_log_sink *sink = mote_mem_allocate(mote_mem_system(), sizeof *sink);
    if (sink == NULL) {
        return MOTE_ENOMEM;
    }
    memset(sink, 0, offsetof(struct mote_log_sink, ring)); /* pages of the ring cost nothing before they are used */
    sink->options = *options;
    sink->log.write = write_record;
    mote_log_set_level(&sink->log, options->level);
    pthread_mutex_init(&sink->lock, NULL);
    pthread_cond_init(&sink->filled, NULL);
    pthread_cond_init(&sink->emptied, NULL);
    int error = start_writer(sink);
    if (error != 0) {
        mote_mem_release(mote_mem_system(), sink);
        return error;
    }
    *out = sink;
    return 0;
}

void mote_log_sink_close(struct mote_log_sink *sink, uint64_t patience_ns)
{
    struct timespec until;
    if (sink == NULL) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t end_ns = (uint64_t)until.tv_nsec + patience_ns;
    until.tv_sec += (time_t)(end_ns / MOTE_NS_PER_SECOND);
    until.tv_nsec = (long)(end_ns % MOTE_NS_PER_SECOND);
    pthread_mutex_lock(&sink->lock);
    sink->closing = true;
    pthread_cond_signal(&sink->filled);
    int waited = 0;
    while (waited == 0 && (sink->length > 0 || sink->writing || sink->dropped != sink->dropped_told)) {
        waited = pthread_cond_timedwait(&sink->emptied, &sink->lock, &until);
    }
    sink->abandoned = waited != 0;
    pthread_t thread = sink->thread;
    pthread_mutex_unlock(&sink->lock);
    if (waited != 0) {
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    free_sink(sink);
}

struct mote_log *mote_log_sink_log(struct mote_log_sink *sink)
{
    return &sink->log;
}

enum mote_log_level mote_log_sink_move_level(struct mote_log_sink *sink, int steps)
{
    int level = (int)mote_log_level(&sink->log) - steps;
    level = level < (int)MOTE_LOG_DEBUG ? (int)MOTE_LOG_DEBUG : level;
    level = level > (int)MOTE_LOG_ERROR ? (int)MOTE_LOG_ERROR : level;
    mote_log_set_level(&sink->log, (enum mote_log_level)level);
    return (enum mote_log_level)level;
}

uint64_t mote_log_sink_dropped(struct mote_log_sink *sink)
{
    pthread_mutex_lock(&sink->lock);
    uint64_t dropped = sink->dropped;
    pthread_mutex_unlock(&sink->lock);
    return dropped;
}

/* --- style ------------------------------------------------------------------------------------------------------- */

static bool is_journal(int fd, const char *journal_stream)
{
    struct stat status;
    uintmax_t device, inode;
    return journal_stream != NULL && sscanf(journal_stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) == 2 &&
           fstat(fd, &status) == 0 && (uintmax_t)status.st_dev == device && (uintmax_t)status.st_ino == inode;
}

struct mote_log_style mote_log_sink_style_of(enum mote_log_format format, int fd, const char *journal_stream,
                                             const char *no_color)
{
    bool is_text = format == MOTE_LOG_FORMAT_TEXT;
    return (struct mote_log_style){
        .format = format,
        .priority = is_text && is_journal(fd, journal_stream),
        .color = is_text && isatty(fd) && (no_color == NULL || no_color[0] == '\0'),
    };
}

struct mote_log_style mote_log_sink_style_auto(int fd, const char *journal_stream, const char *no_color)
{
    bool is_text = isatty(fd) || is_journal(fd, journal_stream);
    return mote_log_sink_style_of(is_text ? MOTE_LOG_FORMAT_TEXT : MOTE_LOG_FORMAT_JSON, fd, journal_stream, no_color);
}
