/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/backoff.h"

#define SECOND ((uint64_t)MOTE_NS_PER_SECOND)

static int fill_with(void *context, void *out, size_t length)
{
    memset(out, 0, length);
    memcpy(out, context, sizeof(uint64_t));
    return 0;
}

static int fill_nothing(void *context, void *out, size_t length)
{
    (void)context;
    (void)out;
    (void)length;
    return MOTE_ERANDOM;
}

static void test_steps(void **state)
{
    static const uint64_t waits_ms[] = {1000,  1600,  2560,  4096,   6553,   10485, 16777,
                                        26843, 42949, 68719, 109951, 120000, 120000};
    struct mote_backoff backoff = {.initial_ns = MOTE_BACKOFF_INITIAL_NS, .max_ns = MOTE_BACKOFF_MAX_NS};
    const struct mote_random none = {.fill = fill_nothing};
    (void)state;
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        assert_int_equal(mote_backoff_next(&backoff, &none) / MOTE_NS_PER_MS, waits_ms[i]);
    }
    mote_backoff_reset(&backoff);
    assert_int_equal(mote_backoff_next(&backoff, &none), SECOND);
}

/* A fifth less to a fifth more, at the ends and in between. */
static void test_jitter(void **state)
{
    static const struct {
        uint64_t random;
        uint64_t wait_ns;
    } rows[] = {
        {0, SECOND * 4 / 5},
        {SECOND / 5, SECOND},
        {SECOND * 2 / 5, SECOND * 6 / 5},
        {SECOND * 2 / 5 + 1, SECOND * 4 / 5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mote_backoff backoff = {.initial_ns = SECOND, .max_ns = 2 * SECOND};
        uint64_t value = rows[i].random;
        const struct mote_random random = {.fill = fill_with, .context = &value};
        assert_int_equal(mote_backoff_next(&backoff, &random), rows[i].wait_ns);
        assert_int_equal(backoff.next_ns, SECOND / 5 * 8);
    }
    for (uint64_t value = 1; value != 0; value *= 2) {
        struct mote_backoff backoff = {.initial_ns = MOTE_BACKOFF_MAX_NS, .max_ns = MOTE_BACKOFF_MAX_NS};
        const struct mote_random random = {.fill = fill_with, .context = &value};
        const uint64_t wait_ns = mote_backoff_next(&backoff, &random);
        assert_true(wait_ns >= MOTE_BACKOFF_MAX_NS / 5 * 4 && wait_ns <= MOTE_BACKOFF_MAX_NS / 5 * 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
