/* SPDX-License-Identifier: Apache-2.0 */
/* The samplers: their names, whom they follow, and how many of a thousand they take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "telemetry/sampler.h"

/* Ids whose last seven bytes are spread evenly. */
static size_t taken_of_1000(const struct mote_sampler *sampler, const struct mote_trace_context *parent)
{
    size_t taken = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        uint8_t id[MOTE_TRACE_ID_LENGTH] = {0xff, 0xff};
        const uint64_t value = (UINT64_C(1) << 56) / 1000 * i + 1000;
        for (unsigned byte = 0; byte < 7; byte++) {
            id[15 - byte] = (uint8_t)(value >> 8 * byte);
        }
        taken += mote_sampler_decide(sampler, parent, id);
    }
    return taken;
}

static void test_samplers(void **state)
{
    static const struct {
        const char *name;
        double ratio;
        size_t root, child, sampled_child;
    } rows[] = {
        {"always_on", 0, 1000, 1000, 1000},
        {"always_off", 1, 0, 0, 0},
        {"traceidratio", 0, 0, 0, 0},
        {"traceidratio", 0.25, 250, 250, 250},
        {"traceidratio", 1, 1000, 1000, 1000},
        {"parentbased_always_on", 0, 1000, 0, 1000},
        {"parentbased_always_off", 0, 0, 0, 1000},
        {"parentbased_traceidratio", 0.01, 10, 0, 1000},
    };
    const struct mote_trace_context parent = {.flags = MOTE_TRACE_RANDOM};
    const struct mote_trace_context sampled = {.flags = MOTE_TRACE_RANDOM | MOTE_TRACE_SAMPLED};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mote_sampler sampler;
        assert_true(mote_sampler_find(&sampler, rows[i].name, rows[i].ratio));
        assert_int_equal(taken_of_1000(&sampler, NULL), rows[i].root);
        assert_int_equal(taken_of_1000(&sampler, &parent), rows[i].child);
        assert_int_equal(taken_of_1000(&sampler, &sampled), rows[i].sampled_child);
    }
}

static void test_unknown_names(void **state)
{
    static const char *const names[] = {"", "always", "parentbased_", "parentbased_parentbased_always_on", "ALWAYS_ON"};
    struct mote_sampler sampler;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_false(mote_sampler_find(&sampler, names[i], 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_samplers), cmocka_unit_test(test_unknown_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
