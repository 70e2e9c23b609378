/* SPDX-License-Identifier: Apache-2.0 */
/* Spans as bytes, against a span written out by hand; what no length can hold; texts that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "telemetry/span.h"

#define TEXT(literal) mote_slice((literal), sizeof(literal) - 1)

static struct mote_span make_span(void)
{
    struct mote_span span = {
        .name = TEXT("a.B/C"),
        .kind = MOTE_SPAN_SERVER,
        .start_ns = 0x0102030405060708,
        .end_ns = 0x0102030405060709,
        .context.flags = MOTE_TRACE_SAMPLED,
    };
    memset(span.context.trace_id, 0x11, sizeof span.context.trace_id);
    memset(span.context.span_id, 0x22, sizeof span.context.span_id);
    memset(span.parent_id, 0x33, sizeof span.parent_id);
    return span;
}

static void assert_encodes(const struct mote_span *span, struct mote_slice expected)
{
    uint8_t out[MOTE_SPAN_ENCODED_MAX];
    assert_int_equal(mote_span_encode(span, out, sizeof out), expected.length);
    assert_memory_equal(out, expected.data, expected.length);
    assert_int_equal(mote_span_encode(span, out, expected.length), expected.length);
    assert_int_equal(mote_span_encode(span, out, expected.length - 1), 0);
}

#define IDS                                                                                                            \
    "\x0a\x10\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"                                         \
    "\x12\x08\x22\x22\x22\x22\x22\x22\x22\x22"
#define NAME_AND_TIMES                                                                                                 \
    "\x2a\x05"                                                                                                         \
    "a.B/C"                                                                                                            \
    "\x30\x02"                                                                                                         \
    "\x39\x08\x07\x06\x05\x04\x03\x02\x01"                                                                             \
    "\x41\x09\x07\x06\x05\x04\x03\x02\x01"

static void test_least(void **state)
{
    (void)state;
    const struct mote_span span = make_span();
    assert_encodes(&span, TEXT("\x12\x3d" IDS NAME_AND_TIMES "\x85\x01\x01\x01\x00\x00"));
}

static void test_all(void **state)
{
    (void)state;
    struct mote_span span = make_span();
    struct mote_trace_context link = {.flags = 0};
    memset(link.trace_id, 0x44, sizeof link.trace_id);
    memset(link.span_id, 0x55, sizeof link.span_id);
    span.has_parent = span.parent_is_remote = true;
    span.trace_state = TEXT("a=1");
    span.link = &link;
    span.is_error = true;
    mote_span_add_text(&span, MOTE_SPAN_RPC_SYSTEM, TEXT("grpc"));
    mote_span_add_number(&span, MOTE_SPAN_PEER_PORT, 300);
    assert_encodes(&span, TEXT("\x12\xa3\x01" IDS "\x1a\x03"
                               "a=1"
                               "\x22\x08\x33\x33\x33\x33\x33\x33\x33\x33" NAME_AND_TIMES "\x4a\x19"
                               "\x0a\x0frpc.system.name"
                               "\x12\x06\x0a\x04grpc"
                               "\x4a\x18"
                               "\x0a\x11network.peer.port"
                               "\x12\x03\x18\xac\x02"
                               "\x6a\x1c"
                               "\x0a\x10\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44"
                               "\x12\x08\x55\x55\x55\x55\x55\x55\x55\x55"
                               "\x7a\x02\x18\x02"
                               "\x85\x01\x01\x03\x00\x00"));
}

static void test_texts_that_are_none(void **state)
{
    (void)state;
    struct mote_span span = make_span();
    mote_span_add_text(&span, MOTE_SPAN_SERVER_ADDRESS, TEXT("\xff"));
    assert_int_equal(span.attribute_count, 0);
    mote_span_add_text(&span, MOTE_SPAN_SERVER_ADDRESS, TEXT(""));
    assert_int_equal(span.attribute_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_texts_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
