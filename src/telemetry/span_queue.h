/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans on their way from the workers to the exporter, encoded, in one ring of bytes. A call never waits: what does not
 * fit is dropped, the newest first, and counted. Any thread.
 */
#ifndef MOTE_TELEMETRY_SPAN_QUEUE_H
#define MOTE_TELEMETRY_SPAN_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/slice.h"

struct mote_span_queue;

/* What became of a span in the end. */
enum mote_span_fate {
    MOTE_SPAN_EXPORTED,
    MOTE_SPAN_QUEUE_FULL,
    MOTE_SPAN_UNDELIVERED, /* its export was given up */
    MOTE_SPAN_REJECTED,    /* by the collector */
    MOTE_SPAN_FATES,
};

struct mote_span_queue_counts {
    uint64_t taken_in, dropped; /* ever */
    uint64_t fates[MOTE_SPAN_FATES];
    size_t waiting, bytes;
};

struct mote_span_queue_options {
    size_t bytes_max, spans_max;
    /* Called, on the thread that puts a span, each time that so many have come together, or half of the bytes are
     * taken; may be NULL. */
    void (*on_batch)(void *context);
    void *context;
    size_t batch;
};

MOTE_MUST_CHECK int mote_span_queue_new(struct mote_span_queue **out, struct mote_mem *mem,
                                        const struct mote_span_queue_options *options);
void mote_span_queue_free(struct mote_span_queue *queue);
/* Copies the span, at most 65535 bytes. False: it was dropped. */
bool mote_span_queue_put(struct mote_span_queue *queue, struct mote_slice span);
/* Whether it is time to send some: a batch of them waits, or half of the bytes are taken. */
bool mote_span_queue_is_due(struct mote_span_queue *queue);
/* How many bytes the oldest spans have, at most `most` of them; *count is how many they are. */
size_t mote_span_queue_look(struct mote_span_queue *queue, size_t most, size_t *count);
/* Takes the oldest `count` spans, of `bytes` as look said, one behind the other. For one thread at a time, and nobody
 * else waits while they are copied. */
void mote_span_queue_take(struct mote_span_queue *queue, size_t count, size_t bytes, uint8_t *out);
/* Spans that have been taken: what became of them. */
void mote_span_queue_count(struct mote_span_queue *queue, enum mote_span_fate fate, size_t spans);
struct mote_span_queue_counts mote_span_queue_counts(struct mote_span_queue *queue);

#endif
