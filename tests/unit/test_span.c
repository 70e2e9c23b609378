/* SPDX-License-Identifier: Apache-2.0 */
/* Spans as bytes, against spans written out by hand; what does not fit; texts that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "telemetry/span.h"

#define TEXT(literal) mote_slice((literal), sizeof(literal) - 1)

static struct mote_span_writer writer;
static const struct mote_span_limits none = {UINT32_MAX, UINT32_MAX, UINT32_MAX};

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

static void begin(void)
{
    const struct mote_span span = make_span();
    mote_span_begin(&writer, &span, &none);
}

static void assert_ends(struct mote_slice expected)
{
    const struct mote_slice got = mote_span_end(&writer);
    assert_int_equal(got.length, expected.length);
    assert_memory_equal(got.data, expected.data, expected.length);
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
#define FLAGS "\x85\x01\x01\x01\x00\x00"

static void test_least(void **state)
{
    (void)state;
    begin();
    assert_ends(TEXT("\x12\x3d" IDS NAME_AND_TIMES FLAGS));
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
    mote_span_begin(&writer, &span, &none);
    mote_span_put_known(&writer, MOTE_SPAN_RPC_SYSTEM, TEXT("grpc"));
    mote_span_put_number(&writer, MOTE_SPAN_PEER_PORT, 300);
    mote_span_put_event(&writer, MOTE_SPAN_EVENT_BEGUN, 0x0102030405060708);
    mote_span_put_link(&writer, &link);
    mote_span_put_error(&writer, TEXT("why"));
    assert_ends(TEXT("\x12\xba\x01" IDS "\x1a\x03"
                     "a=1"
                     "\x22\x08\x33\x33\x33\x33\x33\x33\x33\x33" NAME_AND_TIMES "\x85\x01\x01\x03\x00\x00"
                     "\x4a\x19"
                     "\x0a\x0frpc.system.name"
                     "\x12\x06\x0a\x04grpc"
                     "\x4a\x18"
                     "\x0a\x11network.peer.port"
                     "\x12\x03\x18\xac\x02"
                     "\x5a\x10\x09\x08\x07\x06\x05\x04\x03\x02\x01\x12\x05"
                     "begun"
                     "\x6a\x1c"
                     "\x0a\x10\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44"
                     "\x12\x08\x55\x55\x55\x55\x55\x55\x55\x55"
                     "\x7a\x07\x12\x03why\x18\x02"));
}

static void test_messages(void **state)
{
    struct mote_span_messages messages = {.seen = 0};
    (void)state;
    mote_span_note_message(&messages, 1, false, 300);
    begin();
    mote_span_put_messages(&writer, &messages, 0x10, 0);
    assert_ends(TEXT("\x12\xb1\x01" IDS NAME_AND_TIMES FLAGS "\x5a\x72\x09\x11\x00\x00\x00\x00\x00\x00\x00"
                     "\x12\x0brpc.message"
                     "\x1a\x1e\x0a\x10rpc.message.type\x12\x0a\x0a\x08RECEIVED"
                     "\x1a\x14\x0a\x0erpc.message.id\x12\x02\x18\x01"
                     "\x1a\x24\x0a\x1drpc.message.uncompressed_size\x12\x03\x18\xac\x02"));
    /* The last that has an event, and one more. */
    for (uint32_t i = 1; i < MOTE_SPAN_MESSAGES_MAX; i++) {
        mote_span_note_message(&messages, 1, true, 1);
    }
    begin();
    mote_span_put_messages(&writer, &messages, 0, 1);
    struct mote_slice span = mote_span_end(&writer);
    assert_null(memmem(span.data + span.length - 2, 2, "\x60", 1));
    mote_span_note_message(&messages, 1, true, 1);
    begin();
    mote_span_put_messages(&writer, &messages, 0, 1);
    span = mote_span_end(&writer);
    assert_memory_equal(span.data + span.length - 2, "\x60\x01", 2);
}

static void test_texts_that_are_none(void **state)
{
    (void)state;
    begin();
    mote_span_put_text(&writer, MOTE_SPAN_SERVER_ADDRESS, TEXT("\xff"));
    assert_ends(TEXT("\x12\x3d" IDS NAME_AND_TIMES FLAGS));
    begin();
    mote_span_put_error(&writer, TEXT("\xff"));
    assert_ends(TEXT("\x12\x41" IDS NAME_AND_TIMES FLAGS "\x7a\x02\x18\x02"));
}

/* Long texts are cut between characters. */
static void test_long_texts(void **state)
{
    char text[MOTE_SPAN_TEXT_MAX + 1];
    static const struct {
        size_t length, kept;
        bool is_wide; /* its last character goes across the end */
    } rows[] = {
        {MOTE_SPAN_TEXT_MAX, MOTE_SPAN_TEXT_MAX, false},
        {MOTE_SPAN_TEXT_MAX + 1, MOTE_SPAN_TEXT_MAX, false},
        {MOTE_SPAN_TEXT_MAX + 1, MOTE_SPAN_TEXT_MAX - 1, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(text, 'x', sizeof text);
        if (rows[i].is_wide) {
            memcpy(text + MOTE_SPAN_TEXT_MAX - 1, "\xc3\xa4", 2);
        }
        begin();
        const size_t before = mote_span_end(&writer).length;
        mote_span_put_text(&writer, MOTE_SPAN_SERVER_ADDRESS, mote_slice(text, rows[i].length));
        /* Tag, length, key; tag, length of the value, tag, length of the text; one byte more in the length of it all.
         */
        const size_t around = 3 + 16 + 3 + 3;
        assert_int_equal(mote_span_end(&writer).length, before + around + rows[i].kept + 1);
    }
}

/* Limits below the bounds; what is left out is counted. */
static void test_limits(void **state)
{
    const struct mote_span_limits limits = {.text_max = 2, .attributes_max = 1, .messages_max = 0};
    const struct mote_span span = make_span();
    struct mote_span_messages messages = {.seen = 0};
    (void)state;
    mote_span_note_message(&messages, 1, false, 1);
    mote_span_begin(&writer, &span, &limits);
    mote_span_put_text(&writer, MOTE_SPAN_SERVER_ADDRESS, TEXT("abc"));
    mote_span_put_number(&writer, MOTE_SPAN_SERVER_PORT, 1);
    mote_span_put_known(&writer, MOTE_SPAN_RPC_SYSTEM, TEXT("grpc"));
    mote_span_put_messages(&writer, &messages, 0, 1);
    assert_ends(TEXT("\x12\x59" IDS NAME_AND_TIMES FLAGS "\x4a\x16\x0a\x0eserver.address\x12\x04\x0a\x02"
                     "ab\x60\x01\x50\x02"));
}

/* What there is no room for is left out, and the span stays whole. */
static void test_room(void **state)
{
    static const struct mote_trace_context link = {.flags = 0};
    struct mote_span_messages messages = {.seen = UINT32_MAX};
    char text[200];
    (void)state;
    memset(messages.first, 0, sizeof messages.first);
    memset(text, 'x', sizeof text);
    for (size_t first = 0; first < sizeof text; first++) { /* so that the end is come to in every way */
        begin();
        mote_span_put_named(&writer, TEXT("name"), mote_slice(text, first));
        for (size_t i = 0; i < 40; i++) {
            mote_span_put_named(&writer, TEXT("name"), mote_slice(text, sizeof text - i));
            mote_span_put_number(&writer, MOTE_SPAN_PEER_PORT, UINT64_MAX);
            mote_span_put_event(&writer, MOTE_SPAN_EVENT_BEGUN, 1);
            mote_span_put_link(&writer, &link);
        }
        mote_span_put_error(&writer, mote_slice(text, sizeof text));
        writer.attributes_dropped = UINT32_MAX;
        mote_span_put_messages(&writer, &messages, 0, 1);
        const struct mote_slice span = mote_span_end(&writer);
        assert_in_range(span.length, MOTE_SPAN_ENCODED_MAX / 2, MOTE_SPAN_ENCODED_MAX);
        assert_true(span.data + span.length <= writer.bytes + sizeof writer.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least),      cmocka_unit_test(test_all),
        cmocka_unit_test(test_messages),   cmocka_unit_test(test_texts_that_are_none),
        cmocka_unit_test(test_long_texts), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
