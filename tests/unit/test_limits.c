/* SPDX-License-Identifier: Apache-2.0 */
/* The table of limits: defaults, order between them, and the table as data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/limits.h"

static void test_defaults(void **state)
{
    struct mote_limits limits;
    (void)state;
    memset(&limits, 0xff, sizeof limits);
    mote_limits_init(&limits);
    assert_int_equal(limits.preface_timeout, 5000000000u);
    assert_int_equal(limits.concurrent_streams_max, 100);
    assert_int_equal(limits.message_receive_max, 4u << 20);
    assert_int_equal(limits.keepalive_strikes, 2);
    assert_true(limits.metadata_size_soft < limits.metadata_size_hard);
    assert_true(limits.metadata_size_hard < limits.metadata_size_kill);
    assert_true(limits.metadata_count_soft < limits.metadata_count_hard);
    assert_true(limits.metadata_count_hard < limits.metadata_count_kill);
    assert_true(limits.output_low < limits.output_high);
    assert_true(limits.cancelled_max <= limits.cancelled_window);
}

static void test_description(void **state)
{
    struct mote_limits limits;
    const uint64_t *values = (const uint64_t *)&limits;
    const size_t count = sizeof limits / sizeof values[0];
    (void)state;
    mote_limits_init(&limits);
    for (size_t i = 0; i < count; i++) {
        const struct mote_limit_description *row = mote_limits_describe(i);
        assert_non_null(row);
        assert_int_equal(row->standard, values[i]);
        assert_true(strlen(row->name) > 0 && strlen(row->stops) > 0);
        assert_true(strcmp(row->unit, "ns") == 0 || strcmp(row->unit, "bytes") == 0 ||
                    strcmp(row->unit, "count") == 0 || strcmp(row->unit, "per_second") == 0);
    }
    assert_null(mote_limits_describe(count));
    assert_string_equal(mote_limits_describe(0)->name, "preface_timeout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
