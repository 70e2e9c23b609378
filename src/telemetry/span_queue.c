/* SPDX-License-Identifier: Apache-2.0 */
/* In the ring each span stands behind its length, in the machine's own order; both may go around its end. */
#include "telemetry/span_queue.h"

#include <pthread.h>
#include <string.h>

#include "base/assert.h"

struct mote_span_queue {
    struct mote_mem *mem;
    pthread_mutex_t lock;
    struct mote_span_queue_options options;
    size_t first, used; /* bytes */
    struct mote_span_queue_counts counts;
    uint8_t ring[];
};

int mote_span_queue_new(struct mote_span_queue **out, struct mote_mem *mem,
                        const struct mote_span_queue_options *options)
{
    struct mote_span_queue *queue = mote_mem_allocate(mem, sizeof *queue + options->bytes_max);
    if (queue == NULL) {
        return MOTE_ENOMEM;
    }
    *queue = (struct mote_span_queue){.mem = mem, .options = *options};
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

static void write_ring(struct mote_span_queue *queue, const void *bytes, size_t length)
{
    const size_t at = (queue->first + queue->used) % queue->options.bytes_max;
    const size_t before_end = queue->options.bytes_max - at < length ? queue->options.bytes_max - at : length;
    memcpy(queue->ring + at, bytes, before_end);
    memcpy(queue->ring, (const uint8_t *)bytes + before_end, length - before_end);
    queue->used += length;
}

static void read_ring(struct mote_span_queue *queue, void *bytes, size_t length)
{
    const size_t before_end =
        queue->options.bytes_max - queue->first < length ? queue->options.bytes_max - queue->first : length;
    memcpy(bytes, queue->ring + queue->first, before_end);
    memcpy((uint8_t *)bytes + before_end, queue->ring, length - before_end);
    queue->first = (queue->first + length) % queue->options.bytes_max;
    queue->used -= length;
}

static void add_fate(struct mote_span_queue *queue, enum mote_span_fate fate, size_t spans)
{
    queue->counts.fates[fate] += spans;
    queue->counts.dropped += fate != MOTE_SPAN_EXPORTED ? spans : 0;
}

bool mote_span_queue_put(struct mote_span_queue *queue, struct mote_slice span)
{
    const uint32_t length = (uint32_t)span.length;
    pthread_mutex_lock(&queue->lock);
    const bool fits = queue->counts.waiting < queue->options.spans_max &&
                      queue->options.bytes_max - queue->used >= sizeof length + span.length;
    if (fits) {
        write_ring(queue, &length, sizeof length);
        write_ring(queue, span.data, span.length);
        queue->counts.waiting++;
        queue->counts.taken_in++;
    } else {
        add_fate(queue, MOTE_SPAN_QUEUE_FULL, 1);
    }
    const bool is_batch = fits && queue->options.on_batch != NULL && queue->counts.waiting % queue->options.batch == 0;
    pthread_mutex_unlock(&queue->lock);
    if (is_batch) {
        queue->options.on_batch(queue->options.context);
    }
    return fits;
}

size_t mote_span_queue_take(struct mote_span_queue *queue, size_t most, struct mote_buffer *out)
{
    size_t taken = 0;
    pthread_mutex_lock(&queue->lock);
    while (taken < most && queue->counts.waiting != 0) {
        uint8_t *room;
        uint32_t length;
        const size_t first = queue->first;
        read_ring(queue, &length, sizeof length);
        if (mote_buffer_reserve(out, length, &room) != 0) {
            queue->first = first;
            queue->used += sizeof length;
            break;
        }
        read_ring(queue, room, length);
        mote_buffer_commit(out, length);
        queue->counts.waiting--;
        taken++;
    }
    pthread_mutex_unlock(&queue->lock);
    return taken;
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
