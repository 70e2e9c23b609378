/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers: new ones each time, taken over where a trace goes on, none without randomness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "telemetry/tracer.h"

static int fill(void *context, void *out, size_t length)
{
    memset(out, 0, length);
    return *(const int *)context;
}

static void test_identifiers(void **state)
{
    int result = MOTE_ERANDOM;
    const struct mote_random random = {.fill = fill, .context = &result};
    struct mote_tracer tracer = {.random = &random};
    struct mote_trace_context contexts[64], child, other;
    (void)state;
    assert_true(mote_sampler_find(&tracer.sampler, "parentbased_always_on", 1));
    assert_false(mote_tracer_begin(&tracer, &contexts[0], NULL));
    assert_false(mote_tracer_begin_child(&tracer, &contexts[0], &child));
    result = 0; /* with a seed of zeros */
    for (size_t i = 0; i < 64; i++) {
        assert_true(mote_tracer_begin(&tracer, &contexts[i], NULL));
        assert_int_equal(contexts[i].flags, MOTE_TRACE_SAMPLED | MOTE_TRACE_RANDOM);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(contexts[i].trace_id, contexts[j].trace_id, MOTE_TRACE_ID_LENGTH);
            assert_memory_not_equal(contexts[i].span_id, contexts[j].span_id, MOTE_SPAN_ID_LENGTH);
        }
    }
    assert_true(mote_tracer_begin_child(&tracer, &child, &contexts[0]));
    assert_memory_equal(child.trace_id, contexts[0].trace_id, MOTE_TRACE_ID_LENGTH);
    assert_memory_not_equal(child.span_id, contexts[0].span_id, MOTE_SPAN_ID_LENGTH);
    assert_int_equal(child.flags, contexts[0].flags);
    child.flags = 0; /* a caller's decision stands, and what it says of its identifier */
    assert_true(mote_tracer_begin(&tracer, &other, &child));
    assert_int_equal(other.flags, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_identifiers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
