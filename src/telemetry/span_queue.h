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

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/slice.h"

struct mote_span_queue;

/* What became of a span in the end. */
enum mote_span_fate {
    MOTE_SPAN_EXPORTED,
    MOTE_SPAN_QUEUE_FULL,
    MOTE_SPAN_TOO_LARGE,
    MOTE_SPAN_UNDELIVERED, /* its export was given up */
    MOTE_SPAN_REJECTED,    /* by the collector */
    MOTE_SPAN_FATES,
};

struct mote_span_queue_counts {
    uint64_t taken_in, dropped; /* ever */
    uint64_t fates[MOTE_SPAN_FATES];
    size_t waiting;
};

struct mote_span_queue_options {
    size_t bytes_max, spans_max;
    /* Called, on the thread that puts a span, each time that so many have come together; may be NULL. */
    void (*on_batch)(void *context);
    void *context;
    size_t batch;
};

MOTE_MUST_CHECK int mote_span_queue_new(struct mote_span_queue **out, struct mote_mem *mem,
                                        const struct mote_span_queue_options *options);
void mote_span_queue_free(struct mote_span_queue *queue);
/* Copies the span. False: it was dropped. */
bool mote_span_queue_put(struct mote_span_queue *queue, struct mote_slice span);
/* Appends the oldest spans, one behind the other, to `out`: at most `most` of them; how many. 0 also without memory,
 * and then they wait on. */
size_t mote_span_queue_take(struct mote_span_queue *queue, size_t most, struct mote_buffer *out);
/* Spans that have been taken: what became of them. */
void mote_span_queue_count(struct mote_span_queue *queue, enum mote_span_fate fate, size_t spans);
struct mote_span_queue_counts mote_span_queue_counts(struct mote_span_queue *queue);

#endif
