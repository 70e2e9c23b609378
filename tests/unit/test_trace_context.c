/* SPDX-License-Identifier: Apache-2.0 */
/* traceparent and tracestate: every accepted and refused form of W3C Trace Context. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "telemetry/trace_context.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"

static const struct {
    const char *text;
    int flags; /* -1: refused */
} parents[] = {
    {"00-" TRACE "-" SPAN "-01", 1},
    {"00-" TRACE "-" SPAN "-00", 0},
    {"00-" TRACE "-" SPAN "-03", 3},
    {"00-" TRACE "-" SPAN "-ff", 3},
    {"01-" TRACE "-" SPAN "-01", 1},
    {"01-" TRACE "-" SPAN "-01-", 1},
    {"cc-" TRACE "-" SPAN "-01-what the future will be like", 1},
    {"", -1},
    {"00", -1},
    {"ff-" TRACE "-" SPAN "-01", -1},
    {"00-" TRACE "-" SPAN "-01-", -1},
    {"00-" TRACE "-" SPAN "-010", -1},
    {"01-" TRACE "-" SPAN "-010", -1},
    {"00-" TRACE "-" SPAN "-0", -1},
    {"00-" TRACE "-" SPAN "-0g", -1},
    {"00-" TRACE "-" SPAN "-0A", -1},
    {"0g-" TRACE "-" SPAN "-01", -1},
    {" 00-" TRACE "-" SPAN "-01", -1},
    {"00_" TRACE "-" SPAN "-01", -1},
    {"00-" TRACE "_" SPAN "-01", -1},
    {"00-" TRACE "-" SPAN "_01", -1},
    {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", -1},
    {"00-" TRACE "-00F067AA0BA902B7-01", -1},
    {"00-00000000000000000000000000000000-" SPAN "-01", -1},
    {"00-" TRACE "-0000000000000000-01", -1},
};

static void test_parent(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
        struct mote_trace_context context;
        const bool good = mote_trace_context_parse(&context, mote_slice_text(parents[i].text));
        if (good != (parents[i].flags >= 0)) {
            fail_msg("%s", parents[i].text);
        }
        if (good) {
            char text[MOTE_TRACE_PARENT_LENGTH];
            assert_int_equal(context.flags, parents[i].flags);
            mote_trace_context_format(text, &context);
            assert_memory_equal(text, "00-" TRACE "-" SPAN "-0", 54);
            assert_int_equal(text[54], '0' + parents[i].flags);
        }
    }
    struct mote_trace_context context;
    assert_false(mote_trace_context_parse(&context, mote_slice(NULL, 0)));
}

static void test_state(void **state)
{
    static const struct {
        const char *text;
        size_t kept;
    } rows[] = {
        {"a=1", 3},
        {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", 39},
        {"a=1,b=2", 7},
        {"a=1 , b=2\t", 9},
        {"a=1,", 3},
        {"", 0},
        {",", 0},
        {"a=1,,b=2", 8},
        {"0a@b/c*d_e-f=!", 14},
        {"a= b", 4},
        {"a", 0},
        {"a=", 0},
        {"=1", 0},
        {"A=1", 0},
        {"a=1,B=2", 0},
        {"_a=1", 0},
        {"a=1=2", 0},
        {"a=\x7f", 0},
        {"a=\xc3\xa4", 0},
        {"a b=1", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mote_slice kept = mote_trace_state_keep(mote_slice_text(rows[i].text));
        if (kept.length != rows[i].kept) {
            fail_msg("%s: %zu", rows[i].text, kept.length);
        }
        assert_int_equal(mote_slice_is_present(kept), rows[i].kept != 0);
    }
}

/* A list of `count` entries "aaaa…=b", whose keys are so long. */
static struct mote_slice make_state(char *out, size_t count, size_t key)
{
    char *at = out;
    for (size_t i = 0; i < count; i++) {
        memset(at, 'a', key);
        memcpy(at + key, "=b,", 3);
        at += key + 3;
    }
    return mote_slice(out, (size_t)(at - out) - 1);
}

static void test_state_limits(void **state)
{
    static char text[8192];
    (void)state;
    assert_int_equal(mote_trace_state_keep(make_state(text, 32, 1)).length, 127);
    assert_int_equal(mote_trace_state_keep(make_state(text, 33, 1)).length, 0);
    assert_int_equal(mote_trace_state_keep(make_state(text, 1, 256)).length, 258);
    assert_int_equal(mote_trace_state_keep(make_state(text, 1, 257)).length, 0);
    /* Four entries of 127 and their commas are 511; the fifth is beyond what is kept. */
    assert_int_equal(mote_trace_state_keep(make_state(text, 4, 125)).length, 511);
    assert_int_equal(mote_trace_state_keep(make_state(text, 5, 125)).length, 511);
    assert_int_equal(mote_trace_state_keep(make_state(text, 2, 254)).length, 256);
    memset(text, 'b', sizeof text);
    memcpy(text, "a=", 2);
    assert_int_equal(mote_trace_state_keep(mote_slice(text, 258)).length, 258);
    assert_int_equal(mote_trace_state_keep(mote_slice(text, 259)).length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parent),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_state_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
