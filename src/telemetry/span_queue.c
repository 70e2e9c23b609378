/* SPDX-License-Identifier: Apache-2.0 */
/* Two rings: the bytes of the spans without anything between them, and their lengths. */
#include "telemetry/span_queue.h"

#include <pthread.h>
#include <string.h>

#include "base/assert.h"

struct mote_span_queue {
    struct mote_mem *mem;
    pthread_mutex_t lock;
    struct mote_span_queue_options options;
    size_t first;        /* byte of the oldest */
    size_t first_length; /* its place among the lengths */
    struct mote_span_queue_counts counts;
    uint16_t *lengths; /* behind the bytes */
    uint8_t ring[];
};

int mote_span_queue_new(struct mote_span_queue **out, struct mote_mem *mem,
                        const struct mote_span_queue_options *options)
{
    const size_t ring = (options->bytes_max + 1) & ~(size_t)1;
    struct mote_span_queue *queue =
        mote_mem_allocate(mem, sizeof *queue + ring + options->spans_max * sizeof queue->lengths[0]);
    if (queue == NULL) {
        return MOTE_ENOMEM;
    }
    *queue = (struct mote_span_queue){.mem = mem, .options = *options};
    queue->lengths = (uint16_t *)(void *)(queue->ring + ring);
    const int error = pthread_mutex_init(&queue->lock, NULL);
    mote_assert(error == 0);
    *out = queue;
    return 0;
}

void mote_span_queue_free(struct mote_span_queue *queue)
{
    if (queue != NULL) {
        pthread_mutex_destroy(&queue->lock);
        mote_mem_release(queue->mem, queue);
    }
}

static void write_ring(struct mote_span_queue *queue, struct mote_slice span)
{
    size_t at = queue->first + queue->counts.bytes;
    at -= at >= queue->options.bytes_max ? queue->options.bytes_max : 0;
    const size_t room = queue->options.bytes_max - at;
    const size_t before_end = room < span.length ? room : span.length;
    memcpy(queue->ring + at, span.data, before_end);
    memcpy(queue->ring, span.data + before_end, span.length - before_end);
}

static size_t length_at(const struct mote_span_queue *queue, size_t index)
{
    return (queue->first_length + index) % queue->options.spans_max;
}

static void add_fate(struct mote_span_queue *queue, enum mote_span_fate fate, size_t spans)
{
    queue->counts.fates[fate] += spans;
    queue->counts.dropped += fate != MOTE_SPAN_EXPORTED ? spans : 0;
}

bool mote_span_queue_put(struct mote_span_queue *queue, struct mote_slice span)
{
    const size_t half = queue->options.bytes_max / 2;
    mote_assert(span.length <= UINT16_MAX);
    pthread_mutex_lock(&queue->lock);
    const bool fits = queue->counts.waiting < queue->options.spans_max &&
                      queue->options.bytes_max - queue->counts.bytes >= span.length;
    bool is_time = false;
    if (fits) {
        const bool was_below = queue->counts.bytes < half;
        write_ring(queue, span);
        queue->lengths[length_at(queue, queue->counts.waiting)] = (uint16_t)span.length;
        queue->counts.waiting++;
        queue->counts.taken_in++;
        queue->counts.bytes += span.length;
        is_time = queue->options.on_batch != NULL &&
                  (queue->counts.waiting % queue->options.batch == 0 || (was_below && queue->counts.bytes >= half));
    } else {
        add_fate(queue, MOTE_SPAN_QUEUE_FULL, 1);
    }
    pthread_mutex_unlock(&queue->lock);
    if (is_time) {
        queue->options.on_batch(queue->options.context);
    }
    return fits;
}

bool mote_span_queue_is_due(struct mote_span_queue *queue)
{
    const struct mote_span_queue_counts counts = mote_span_queue_counts(queue);
    return counts.waiting >= queue->options.batch || counts.bytes >= queue->options.bytes_max / 2;
}

size_t mote_span_queue_look(struct mote_span_queue *queue, size_t most, size_t *count)
{
    size_t bytes = 0;
    pthread_mutex_lock(&queue->lock);
    *count = queue->counts.waiting < most ? queue->counts.waiting : most;
    for (size_t i = 0; i < *count; i++) {
        bytes += queue->lengths[length_at(queue, i)];
    }
    pthread_mutex_unlock(&queue->lock);
    return bytes;
}

void mote_span_queue_take(struct mote_span_queue *queue, size_t count, size_t bytes, uint8_t *out)
{
    /* Without the lock: what is taken is written by nobody until it is given free below. */
    const size_t room = queue->options.bytes_max - queue->first;
    const size_t before_end = room < bytes ? room : bytes;
    memcpy(out, queue->ring + queue->first, before_end);
    memcpy(out + before_end, queue->ring, bytes - before_end);
    pthread_mutex_lock(&queue->lock);
    mote_assert(count <= queue->counts.waiting && bytes <= queue->counts.bytes);
    queue->first = (queue->first + bytes) % queue->options.bytes_max;
    queue->first_length = length_at(queue, count);
    queue->counts.waiting -= count;
    queue->counts.bytes -= bytes;
    pthread_mutex_unlock(&queue->lock);
}

void mote_span_queue_count(struct mote_span_queue *queue, enum mote_span_fate fate, size_t spans)
{
    pthread_mutex_lock(&queue->lock);
    add_fate(queue, fate, spans);
    pthread_mutex_unlock(&queue->lock);
}

struct mote_span_queue_counts mote_span_queue_counts(struct mote_span_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    const struct mote_span_queue_counts counts = queue->counts;
    pthread_mutex_unlock(&queue->lock);
    return counts;
}
