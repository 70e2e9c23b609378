/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of spans: order around the ring's end, both bounds at max and max + 1, and no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "support/failing_mem.h"
#include "telemetry/span_queue.h"

static size_t batches;

static void count_batch(void *context)
{
    (*(size_t *)context)++;
}

static int make(struct mote_span_queue **out, struct mote_mem *mem, size_t bytes, size_t spans)
{
    const struct mote_span_queue_options options = {
        .bytes_max = bytes, .spans_max = spans, .on_batch = count_batch, .context = &batches, .batch = 2};
    batches = 0;
    return mote_span_queue_new(out, mem, &options);
}

static bool put(struct mote_span_queue *queue, const char *text)
{
    return mote_span_queue_put(queue, mote_slice_text(text));
}

static void assert_takes(struct mote_span_queue *queue, size_t most, size_t taken, const char *text)
{
    uint8_t out[128];
    size_t count;
    const size_t bytes = mote_span_queue_look(queue, most, &count);
    assert_int_equal(count, taken);
    assert_in_range(bytes, 0, sizeof out);
    mote_span_queue_take(queue, count, bytes, out);
    assert_true(mote_slice_equals_text(mote_slice(out, bytes), text));
}

static void test_bounds(void **state)
{
    struct mote_span_queue *queue;
    (void)state;
    assert_int_equal(make(&queue, mote_mem_system(), 12, 3), 0);
    assert_takes(queue, 10, 0, "");
    assert_true(put(queue, "abcd"));
    assert_false(mote_span_queue_is_due(queue));
    assert_true(put(queue, "efgh"));
    assert_true(mote_span_queue_is_due(queue));
    assert_true(put(queue, "ijkl"));
    assert_int_equal(batches, 1);
    assert_false(put(queue, ""));
    assert_takes(queue, 1, 1, "abcd");
    assert_false(put(queue, "mnopq"));
    assert_true(put(queue, "mnop"));
    assert_takes(queue, 10, 3, "efghijklmnop");
    assert_false(put(queue, "0123456789012"));
    assert_true(put(queue, "012345678901"));
    mote_span_queue_count(queue, MOTE_SPAN_REJECTED, 2);
    mote_span_queue_count(queue, MOTE_SPAN_EXPORTED, 3);
    const struct mote_span_queue_counts counts = mote_span_queue_counts(queue);
    assert_int_equal(counts.taken_in, 5);
    assert_int_equal(counts.dropped, 5);
    assert_int_equal(counts.fates[MOTE_SPAN_QUEUE_FULL], 3);
    assert_int_equal(counts.fates[MOTE_SPAN_REJECTED], 2);
    assert_int_equal(counts.fates[MOTE_SPAN_EXPORTED], 3);
    assert_int_equal(counts.waiting, 1);
    assert_int_equal(counts.bytes, 12);
    mote_span_queue_free(queue);
    mote_span_queue_free(NULL);
}

/* Half of the bytes are as good as a batch. */
static void test_large_spans(void **state)
{
    struct mote_span_queue *queue;
    (void)state;
    assert_int_equal(make(&queue, mote_mem_system(), 20, 8), 0);
    assert_true(put(queue, "012345678"));
    assert_int_equal(batches, 0);
    assert_takes(queue, 1, 1, "012345678");
    assert_true(put(queue, "0123456789"));
    assert_int_equal(batches, 1);
    assert_true(mote_span_queue_is_due(queue));
    mote_span_queue_free(queue);
}

/* Every offset in the ring is come across. */
static void test_around(void **state)
{
    struct mote_span_queue *queue;
    (void)state;
    assert_int_equal(make(&queue, mote_mem_system(), 29, 8), 0);
    for (int i = 0; i < 200; i++) {
        assert_true(put(queue, "abcde") && put(queue, "fghijklmn"));
        assert_takes(queue, 2, 2, "abcdefghijklmn");
    }
    mote_span_queue_free(queue);
}

static void test_without_memory(void **state)
{
    struct mote_failing_mem failing;
    struct mote_span_queue *queue;
    (void)state;
    mote_failing_mem_init(&failing);
    failing.fail_at = 1;
    assert_int_equal(make(&queue, &failing.mem, 64, 8), MOTE_ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_large_spans),
        cmocka_unit_test(test_around),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
