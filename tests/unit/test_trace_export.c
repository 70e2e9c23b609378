/* SPDX-License-Identifier: Apache-2.0 */
/* What an exporter can be told, at its bounds and one above; nothing is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "net/trace_export.h"
#include "telemetry/tracer.h"

static int start_and_stop(const struct mote_trace_export_options *options, char problem[MOTE_TRACE_PROBLEM_MAX])
{
    struct mote_trace_export *exporter = NULL;
    const int error = mote_trace_export_start(&exporter, options, problem);
    if (error == 0) {
        assert_non_null(mote_trace_export_tracer(exporter)->queue);
        mote_trace_export_stop(exporter, 0);
    }
    mote_trace_export_free(exporter);
    return error;
}

static void test_bounds(void **state)
{
    static struct mote_field fields[MOTE_TRACE_RESOURCE_MAX + 1];
    static const struct {
        struct mote_trace_export_options options;
        int result;
    } rows[] = {
        {{.target = NULL}, 0},
        {{.headers = fields, .header_count = MOTE_TRACE_HEADERS_MAX}, 0},
        {{.headers = fields, .header_count = MOTE_TRACE_HEADERS_MAX + 1}, MOTE_EINVAL},
        {{.resource = fields, .resource_count = MOTE_TRACE_RESOURCE_MAX}, 0},
        {{.resource = fields, .resource_count = MOTE_TRACE_RESOURCE_MAX + 1}, MOTE_EINVAL},
        {{.spans_max = MOTE_TRACE_SPANS_MAX}, 0},
        {{.spans_max = MOTE_TRACE_SPANS_MAX + 1}, MOTE_EINVAL},
        {{.sampler = "traceidratio", .ratio = 0.5}, 0},
        {{.sampler = "often"}, MOTE_EINVAL},
        {{.target = "[::1"}, MOTE_EINVAL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        fields[i] = (struct mote_field){.name = mote_slice_text("name"), .value = mote_slice_text("value")};
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char problem[MOTE_TRACE_PROBLEM_MAX] = "";
        assert_int_equal(start_and_stop(&rows[i].options, problem), rows[i].result);
        assert_true(rows[i].result == 0 || problem[0] != '\0');
    }
    mote_trace_export_stop(NULL, 0);
    mote_trace_export_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
