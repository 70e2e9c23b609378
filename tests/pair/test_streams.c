/* SPDX-License-Identifier: Apache-2.0 */
/* Streams in detail: what is copied when, single bytes, large header blocks, informational responses, events not taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pair/raw.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct mote_stream *server_stream;
static const struct mote_fields *seen; /* of the last HEADERS or TRAILERS event; gone with its stream */
static size_t seen_other_count;

static void note(struct mote_end *end, const struct mote_event *event)
{
    if (event->type == MOTE_EVENT_HEADERS || event->type == MOTE_EVENT_TRAILERS) {
        seen = event->u.fields;
        seen_other_count = seen->other_count;
        server_stream = end == &end->pair->server ? event->stream : server_stream;
    }
}

static int set_up(void **state)
{
    struct mote_pair *pair = malloc(sizeof *pair);
    if (pair == NULL || mote_pair_init(pair) != 0) {
        return -1;
    }
    pair->server.on_event = note;
    *state = pair;
    return 0;
}

static int tear_down(void **state)
{
    struct mote_pair *pair = *state;
    const size_t leaked = mote_pair_dispose(pair);
    free(pair);
    return leaked == 0 ? 0 : -1;
}

static void connect_pair(struct mote_pair *pair)
{
    assert_int_equal(mote_pair_connect(pair), 0);
    mote_pair_pump(pair);
}

static void test_single_bytes(void **state)
{
    struct mote_pair *pair = *state;
    connect_pair(pair);
    struct mote_stream *stream = mote_pair_request(pair, "/a.B/C", false);
    mote_pair_pump(pair);
    mote_end_take_log(&pair->server);
    assert_int_equal(mote_h2_write(stream, mote_slice_text("a"), mote_slice_text("b")), 0);
    mote_pair_pump(pair);
    assert_int_equal(mote_h2_write(stream, mote_slice_text(""), mote_slice_text("c")), 0);
    mote_pair_pump(pair);
    assert_int_equal(mote_h2_write(stream, mote_slice_text("d"), mote_slice_text("")), 0);
    mote_pair_pump(pair);
    assert_int_equal(mote_h2_write(stream, mote_slice_text(""), mote_slice_text("")), 0);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "data 1 2\ndata 1 1\ndata 1 1\n");
    assert_memory_equal(mote_buffer_slice(&pair->server.body).data, "abcd", 4);
}

/* A body that comes a byte a read, each consumed alone, leaves no credit behind. */
static void test_upload_byte_by_byte(void **state)
{
    static const uint8_t zeros[70000];
    struct mote_pair *pair = *state;
    connect_pair(pair);
    pair->chunk = 1;
    for (int i = 0; i < 2; i++) {
        mote_buffer_clear(&pair->server.body);
        struct mote_stream *stream = mote_pair_request(pair, "/a.B/C", false);
        assert_int_equal(mote_h2_write(stream, mote_slice(zeros, sizeof zeros), mote_slice_text("")), 0);
        assert_int_equal(mote_h2_write_end(stream), 0);
        mote_pair_pump(pair);
        assert_int_equal(mote_buffer_length(&pair->server.body), sizeof zeros);
    }
}

/* Fields that are not static are copied when they are given; those that are, need not be. */
static void test_fields_are_copied(void **state)
{
    struct mote_pair *pair = *state;
    pair->client.on_event = note;
    connect_pair(pair);
    char name[] = "name-1";
    char value[] = "value-1";
    struct mote_field fields[] = {
        mote_pair_field("static", "one"),
        mote_pair_field(name, value),
        mote_pair_field("static", ""),
        mote_pair_field(name, ""),
    };
    fields[0].flags = MOTE_FIELD_STATIC;
    fields[2].flags = MOTE_FIELD_STATIC;
    for (size_t count = 1; count <= COUNT(fields); count++) {
        (void)mote_pair_request(pair, "/a.B/C", true);
        mote_pair_pump(pair);
        memcpy(name, "name-1", sizeof name);
        memcpy(value, "value-1", sizeof value);
        assert_int_equal(mote_pair_respond(server_stream), 0);
        assert_int_equal(mote_h2_write_trailers(server_stream, fields, count), 0);
        memset(name, 'x', sizeof name - 1);
        memset(value, 'x', sizeof value - 1);
        mote_pair_pump(pair);
        assert_int_equal(seen->other_count, count);
        for (size_t i = 0; i < count; i++) {
            assert_true(mote_slice_equals_text(seen->others[i].name, i % 2 == 0 ? "static" : "name-1"));
            assert_true(mote_slice_equals_text(seen->others[i].value, i == 0 ? "one" : i == 1 ? "value-1" : ""));
        }
    }
}

/* A sensitive field is sent as one that nobody may index, so the other end keeps no template of it. */
static void test_sensitive_fields(void **state)
{
    struct mote_pair *pair = *state;
    connect_pair(pair);
    for (int sensitive = 0; sensitive < 2; sensitive++) {
        const struct mote_field *before = NULL;
        for (int i = 0; i < 3; i++) {
            struct mote_field fields[] = {
                mote_pair_field(":method", "POST"), mote_pair_field(":scheme", "http"),
                mote_pair_field(":path", "/a.B/C"), mote_pair_field(":authority", "test"),
                mote_pair_field("key", "value"),
            };
            struct mote_stream *stream;
            fields[4].flags = sensitive ? MOTE_FIELD_SENSITIVE : 0;
            assert_int_equal(mote_h2_request(pair->client.h2, fields, COUNT(fields), true, NULL, &stream), 0);
            mote_pair_pump(pair);
            assert_int_equal(seen->other_count, 1);
            assert_int_equal(i == 2 && seen->others == before, i == 2 && !sensitive);
            before = seen->others;
        }
    }
}

/* A header block in two frames is not torn apart by a GOAWAY of ours. */
static void test_goaway_behind_a_whole_block(void **state)
{
    static char large[30000];
    (void)state;
    memset(large, 'v', sizeof large - 1);
    const struct mote_field fields[] = {mote_pair_field(":status", "200"), mote_pair_field("large", large)};
    for (int way = 0; way < 4; way++) {
        void *inner;
        assert_int_equal(mote_raw_set_up(&inner), 0);
        struct mote_raw *raw = inner;
        struct mote_h2 *h2;
        uint8_t room[100];
        size_t length;
        mote_raw_start_and_settle(raw);
        h2 = raw->pair.server.h2;
        mote_peer_request(&raw->in, 1, true);
        mote_raw_feed(raw);
        assert_int_equal(mote_h2_respond(raw->stream, fields, COUNT(fields), way == 3), 0);
        assert_int_equal(mote_h2_send(h2, room, sizeof room, &length, raw->pair.now_ns), 0);
        assert_int_equal(length, sizeof room);
        if (way == 0 || way == 3) {
            mote_h2_terminate(h2, MOTE_H2_INTERNAL_ERROR, "x");
            mote_end_drain(&raw->pair.server); /* the stream is gone before its block is out */
        } else if (way == 1) {
            assert_int_equal(mote_h2_shutdown_notice(h2, "x"), 0);
        } else {
            assert_int_equal(mote_h2_shutdown(h2, "x"), 0);
        }
        struct mote_buffer bytes;
        struct mote_buffer text;
        mote_buffer_init(&bytes, mote_mem_system(), 0);
        mote_buffer_init(&text, mote_mem_system(), 0);
        assert_int_equal(mote_buffer_append(&bytes, room, length), 0);
        mote_end_collect(&raw->pair.server, &bytes);
        mote_peer_describe(&text, mote_buffer_slice(&bytes));
        assert_int_equal(mote_buffer_append(&text, "", 1), 0);
        assert_string_equal((const char *)mote_buffer_slice(&text).data,
                            way == 3   ? "HEADERS 1 end\nCONTINUATION 1\nGOAWAY 1 INTERNAL_ERROR x\n"
                            : way == 0 ? "HEADERS 1\nCONTINUATION 1\nGOAWAY 1 INTERNAL_ERROR x\n"
                            : way == 1 ? "HEADERS 1\nCONTINUATION 1\nGOAWAY 2147483647 NO_ERROR x\n"
                                       : "HEADERS 1\nCONTINUATION 1\nGOAWAY 1 NO_ERROR x\n");
        mote_buffer_dispose(&bytes);
        mote_buffer_dispose(&text);
        assert_int_equal(mote_raw_tear_down(&inner), 0);
    }
}

/* Informational responses (RFC 9110 §15.2) are not told of: the first HEADERS event is the final response. */
static void test_informational_responses(void **state)
{
    struct mote_pair *pair = *state;
    pair->server.on_event = NULL;
    pair->client.on_event = note;
    assert_int_equal(mote_h2_new(&pair->client.h2, pair->context, MOTE_ROLE_CLIENT, &pair->client.owner, pair->now_ns),
                     0);
    assert_non_null(mote_pair_request(pair, "/a.B/C", true));
    struct mote_buffer bytes;
    mote_buffer_init(&bytes, mote_mem_system(), 0);
    mote_end_collect(&pair->client, &bytes);
    mote_buffer_clear(&bytes);
    mote_peer_frame(&bytes, PEER_SETTINGS, 0, 0, mote_slice_text(""));
    for (int i = 0; i < 2; i++) {
        mote_peer_frame(&bytes, PEER_HEADERS, PEER_END_HEADERS, 1,
                        mote_slice("\x08\x03"
                                   "103\0\1k\1v",
                                   10));
    }
    mote_peer_frame(&bytes, PEER_HEADERS, PEER_END_HEADERS, 1, mote_slice("\x88", 1));
    mote_peer_data(&bytes, 1, 5, false);
    mote_peer_frame(&bytes, PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, 1, mote_slice("\0\1t\1v", 5));
    mote_end_feed(&pair->client, mote_buffer_slice(&bytes));
    assert_string_equal(mote_end_take_log(&pair->client), "headers 1\ndata 1 5\ntrailers 1 end\nclosed 1 NO_ERROR\n");
    assert_int_equal(seen_other_count, 1);
    mote_buffer_dispose(&bytes);
}

/* Events that nobody took are no leak. */
static void test_events_not_taken(void **state)
{
    void *inner;
    (void)state;
    assert_int_equal(mote_raw_set_up(&inner), 0);
    struct mote_raw *raw = inner;
    mote_raw_start_and_settle(raw);
    mote_peer_request(&raw->in, 1, false);
    for (int i = 0; i < 5; i++) {
        mote_peer_data(&raw->in, 1, 10, false);
    }
    mote_peer_request(&raw->in, 3, true);
    assert_int_equal(mote_h2_recv(raw->pair.server.h2, mote_buffer_slice(&raw->in), raw->pair.now_ns), 0);
    assert_int_equal(mote_raw_tear_down(&inner), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_single_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upload_byte_by_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fields_are_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sensitive_fields, set_up, tear_down),
        cmocka_unit_test(test_goaway_behind_a_whole_block),
        cmocka_unit_test_setup_teardown(test_informational_responses, set_up, tear_down),
        cmocka_unit_test(test_events_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
