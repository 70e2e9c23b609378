/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope of spans, against one written out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "support/failing_mem.h"
#include "telemetry/otlp.h"
#include "telemetry/span.h"

#define TEXT(literal) mote_slice((literal), sizeof(literal) - 1)

static int make(struct mote_mem *mem, void *context)
{
    const struct mote_attribute attributes[] = {{.name = MOTE_SLICE_LITERAL("a"), .text = MOTE_SLICE_LITERAL("b")},
                                                {.name = MOTE_SLICE_LITERAL("c"), .number = 300}};
    struct mote_buffer resource, out;
    bool *is_right = context;
    mote_buffer_init(&resource, mem, 0);
    mote_buffer_init(&out, mem, 0);
    int error = mote_otlp_put_resource(&resource, attributes, 2);
    if (error == 0) {
        const struct mote_otlp_source source = {
            .resource = mote_buffer_slice(&resource), .scope_name = TEXT("mote"), .scope_version = TEXT("1")};
        uint8_t *room;
        error = mote_otlp_put_request(&out, &source, 6, &room);
        if (error == 0) {
            memcpy(room, "\x12\x01x\x12\x01y", 6);
            *is_right =
                mote_slice_equals(mote_buffer_slice(&out), TEXT("\x0a\x52\x0a\x14\x0a\x08\x0a\x01"
                                                                "a\x12\x03\x0a\x01"
                                                                "b\x0a\x08\x0a\x01"
                                                                "c\x12\x03\x18\xac\x02"
                                                                "\x12\x3a\x0a\x09\x0a\x04mote\x12\x01"
                                                                "1\x1a\x27" MOTE_SPAN_SCHEMA_URL "\x12\x01x\x12\x01y"));
        }
    }
    mote_buffer_dispose(&resource);
    mote_buffer_dispose(&out);
    return error;
}

static void test_envelope(void **state)
{
    bool is_right = false;
    (void)state;
    assert_int_equal(make(mote_mem_system(), &is_right), 0);
    assert_true(is_right);
    assert_true(mote_failing_mem_check(make, &is_right) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_envelope)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
