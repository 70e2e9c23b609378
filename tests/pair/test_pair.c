/* SPDX-License-Identifier: Apache-2.0 */
/* What a client and a server of the library do with each other: all kinds of exchange, flow control, resets, the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pair/pair.h"
#include "pair/peer.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int set_up(void **state)
{
    struct mote_pair *pair = malloc(sizeof *pair);
    if (pair == NULL || mote_pair_init(pair) != 0) {
        return -1;
    }
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

/* Answers a request with its own body, when the client has ended it. */
static void echo(struct mote_end *end, const struct mote_event *event)
{
    const bool carries_end = event->type == MOTE_EVENT_HEADERS || event->type == MOTE_EVENT_DATA;
    if (event->type != MOTE_EVENT_END && !(carries_end && event->end_stream)) {
        return;
    }
    assert_int_equal(mote_pair_respond(event->stream), 0);
    assert_int_equal(mote_h2_write(event->stream, mote_slice_text(""), mote_buffer_slice(&end->body)), 0);
    assert_int_equal(mote_pair_write_ok(event->stream), 0);
}

static void test_unary(void **state)
{
    static const size_t chunks[] = {65536, 1, 2, 7, 9, 10, 100};
    struct mote_pair *pair = *state;
    pair->server.on_event = echo;
    connect_pair(pair);
    for (size_t i = 0; i < COUNT(chunks); i++) {
        pair->chunk = chunks[i];
        struct mote_stream *stream = mote_pair_request(pair, "/a.B/C", false);
        assert_non_null(stream);
        assert_int_equal(mote_h2_write(stream, mote_slice_text("he"), mote_slice_text("llo")), 0);
        assert_int_equal(mote_h2_write_end(stream), 0);
        mote_pair_pump(pair);
        const struct mote_slice body = mote_buffer_slice(&pair->client.body);
        assert_int_equal(body.length, 5);
        assert_memory_equal(body.data, "hello", 5);
        mote_buffer_clear(&pair->client.body);
        mote_buffer_clear(&pair->server.body);
        if (chunks[i] == 65536) {
            assert_string_equal(mote_end_take_log(&pair->server), "headers 1\ndata 1 5 end\nclosed 1 NO_ERROR\n");
            assert_string_equal(mote_end_take_log(&pair->client),
                                "headers 1\ndata 1 5\ntrailers 1 end\nclosed 1 NO_ERROR\n");
        }
        assert_int_equal(mote_h2_stream_count(pair->server.h2), 0);
        assert_int_equal(mote_h2_stream_count(pair->client.h2), 0);
    }
    assert_int_equal(mote_h2_last_stream_id(pair->server.h2), 13);
}

static void test_large_bodies(void **state)
{
    struct mote_pair *pair = *state;
    const size_t length = 3000001;
    uint8_t *body = malloc(length);
    assert_non_null(body);
    for (size_t i = 0; i < length; i++) {
        body[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    pair->server.on_event = echo;
    connect_pair(pair);
    struct mote_stream *stream = mote_pair_request(pair, "/a.B/C", false);
    assert_int_equal(mote_h2_write(stream, mote_slice(body, 5), mote_slice(body + 5, length - 5)), 0);
    assert_int_equal(mote_h2_queued(stream), length);
    assert_int_equal(mote_h2_write_end(stream), 0);
    mote_pair_pump(pair);
    assert_int_equal(mote_buffer_length(&pair->server.body), length);
    assert_int_equal(mote_buffer_length(&pair->client.body), length);
    assert_memory_equal(mote_buffer_slice(&pair->client.body).data, body, length);
    assert_int_equal(mote_h2_stream_count(pair->server.h2), 0);
    assert_int_equal(mote_h2_stream_count(pair->client.h2), 0);
    free(body);
}

/* A server that does not return credit gets one window and no more; credit of ended streams is not lost. */
static void test_flow_control(void **state)
{
    static const uint8_t zeros[200000];
    struct mote_pair *pair = *state;
    pair->server.consumes = false;
    connect_pair(pair);
    struct mote_stream *first = mote_pair_request(pair, "/a.B/C", false);
    assert_int_equal(mote_h2_write(first, mote_slice(zeros, sizeof zeros), mote_slice_text("")), 0);
    mote_pair_pump(pair);
    assert_int_equal(mote_buffer_length(&pair->server.body), 65535);
    assert_int_equal(mote_h2_queued(first), sizeof zeros - 65535);
    /* The connection's credit was returned on receipt: another stream is not held up. */
    struct mote_stream *second = mote_pair_request(pair, "/a.B/C", false);
    assert_int_equal(mote_h2_write(second, mote_slice(zeros, 1000), mote_slice_text("")), 0);
    mote_pair_pump(pair);
    assert_int_equal(mote_buffer_length(&pair->server.body), 66535);
    for (int i = 0; i < 100; i++) { /* streams that are given up with everything unconsumed */
        struct mote_stream *stream = mote_pair_request(pair, "/a.B/C", false);
        assert_non_null(stream);
        assert_int_equal(mote_h2_write(stream, mote_slice(zeros, sizeof zeros), mote_slice_text("")), 0);
        mote_pair_pump(pair);
        mote_h2_reset(stream, MOTE_H2_CANCEL);
        mote_pair_pump(pair);
    }
    assert_int_equal(mote_buffer_length(&pair->server.body), 66535 + 100 * 65535);
    mote_buffer_clear(&pair->server.body);
    pair->server.consumes = true;
    struct mote_stream *last = mote_pair_request(pair, "/a.B/C", false);
    assert_int_equal(mote_h2_write(last, mote_slice(zeros, sizeof zeros), mote_slice_text("")), 0);
    mote_pair_pump(pair);
    assert_int_equal(mote_buffer_length(&pair->server.body), sizeof zeros);
}

static struct mote_stream *server_stream;
static const struct mote_fields *server_fields;

/* Notes the stream of a HEADERS event for the test to answer. */
static void note_stream(struct mote_end *end, const struct mote_event *event)
{
    (void)end;
    if (event->type == MOTE_EVENT_HEADERS) {
        server_stream = event->stream;
        server_fields = event->u.fields;
    }
}

static void test_streaming(void **state)
{
    struct mote_pair *pair = *state;
    pair->server.on_event = note_stream;
    connect_pair(pair);
    struct mote_stream *stream = mote_pair_request(pair, "/a.B/C", false);
    mote_pair_pump(pair);
    assert_int_equal(mote_pair_respond(server_stream), 0);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "headers 1\n");
    assert_string_equal(mote_end_take_log(&pair->client), "headers 1\n");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mote_h2_write(stream, mote_slice_text("a"), mote_slice_text("sk")), 0);
        mote_pair_pump(pair);
        assert_string_equal(mote_end_take_log(&pair->server), "data 1 3\n");
        assert_int_equal(mote_h2_write(server_stream, mote_slice_text("an"), mote_slice_text("swer")), 0);
        mote_pair_pump(pair);
        assert_string_equal(mote_end_take_log(&pair->client), "data 1 6\n");
    }
    assert_int_equal(mote_h2_write_end(stream), 0);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "end 1\n");
    assert_int_equal(mote_h2_write(stream, mote_slice_text("a"), mote_slice_text("")), MOTE_ECLOSED);
    assert_int_equal(mote_h2_write_end(stream), MOTE_ECLOSED);
    assert_int_equal(mote_pair_write_ok(server_stream), 0);
    assert_int_equal(mote_pair_write_ok(server_stream), MOTE_ECLOSED);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->client), "trailers 1 end\nclosed 1 NO_ERROR\n");
    assert_string_equal(mote_end_take_log(&pair->server), "closed 1 NO_ERROR\n");
}

static void test_writable(void **state)
{
    static const uint8_t zeros[65536];
    struct mote_pair *pair = *state;
    pair->client.consumes = false;
    pair->server.on_event = note_stream;
    connect_pair(pair);
    (void)mote_pair_request(pair, "/a.B/C", true);
    mote_pair_pump(pair);
    mote_end_take_log(&pair->server);
    assert_int_equal(mote_pair_respond(server_stream), 0);
    assert_int_equal(mote_h2_write(server_stream, mote_slice(zeros, sizeof zeros), mote_slice_text("")), 0);
    mote_pair_pump(pair);
    assert_int_equal(mote_h2_queued(server_stream), 1);
    assert_string_equal(mote_end_take_log(&pair->server), ""); /* it was never over the mark */
    assert_int_equal(mote_h2_write(server_stream, mote_slice(zeros, sizeof zeros), mote_slice_text("")), 0);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "");
    assert_int_equal(mote_h2_queued(server_stream), sizeof zeros + 1);
    mote_h2_reset(server_stream, MOTE_H2_CANCEL);
    assert_int_equal(mote_h2_queued(server_stream), 0);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "closed 1 CANCEL\n");

    pair->client.consumes = true;
    (void)mote_pair_request(pair, "/a.B/C", true);
    mote_pair_pump(pair);
    mote_end_take_log(&pair->server);
    assert_int_equal(mote_pair_respond(server_stream), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mote_h2_write(server_stream, mote_slice(zeros, sizeof zeros), mote_slice_text("")), 0);
    }
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "writable 3\n");
    assert_int_equal(mote_h2_queued(server_stream), 0);
}

/* What the server sends, as frames. */
static const char *collect_frames(struct mote_pair *pair, struct mote_buffer *text)
{
    struct mote_buffer bytes;
    mote_buffer_init(&bytes, mote_mem_system(), 0);
    mote_buffer_clear(text);
    mote_end_collect(&pair->server, &bytes);
    mote_peer_describe(text, mote_buffer_slice(&bytes));
    assert_int_equal(mote_buffer_append(text, "", 1), 0);
    mote_buffer_dispose(&bytes);
    return (const char *)mote_buffer_slice(text).data;
}

/* The frames of an answer: no DATA where there is no body, RST_STREAM only behind the end of an early answer. */
static void test_answer_frames(void **state)
{
    static const struct mote_field only[] = {
        {MOTE_SLICE_LITERAL(":status"), MOTE_SLICE_LITERAL("200"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL("grpc-status"), MOTE_SLICE_LITERAL("7"), 0},
    };
    struct mote_pair *pair = *state;
    struct mote_buffer in;
    struct mote_buffer text;
    mote_buffer_init(&in, mote_mem_system(), 0);
    mote_buffer_init(&text, mote_mem_system(), 0);
    pair->server.on_event = note_stream;
    assert_int_equal(mote_pair_connect_server(pair), 0);
    mote_peer_preface(&in);
    mote_peer_settings_ack(&in);
    mote_peer_request(&in, 1, true);
    mote_end_feed(&pair->server, mote_buffer_slice(&in));
    assert_string_equal(collect_frames(pair, &text), "SETTINGS\nSETTINGS ack\n");

    assert_int_equal(mote_h2_respond(server_stream, only, COUNT(only), true), 0);
    assert_string_equal(collect_frames(pair, &text), "HEADERS 1 end\n");

    mote_buffer_clear(&in);
    mote_peer_request(&in, 3, true);
    mote_end_feed(&pair->server, mote_buffer_slice(&in));
    assert_int_equal(mote_pair_respond(server_stream), 0);
    assert_int_equal(mote_pair_write_ok(server_stream), 0);
    assert_string_equal(collect_frames(pair, &text), "HEADERS 3\nHEADERS 3 end\n");

    mote_buffer_clear(&in);
    mote_peer_request(&in, 5, true);
    mote_end_feed(&pair->server, mote_buffer_slice(&in));
    assert_int_equal(mote_pair_respond(server_stream), 0);
    assert_string_equal(collect_frames(pair, &text), "HEADERS 5\n");
    assert_int_equal(mote_h2_write(server_stream, mote_slice_text("12345"), mote_slice_text("678")), 0);
    assert_string_equal(collect_frames(pair, &text), "DATA 5 8\n");
    assert_int_equal(mote_h2_write_end(server_stream), 0);
    assert_string_equal(collect_frames(pair, &text), "DATA 5 0 end\n");

    mote_buffer_clear(&in);
    mote_peer_request(&in, 7, false);
    mote_end_feed(&pair->server, mote_buffer_slice(&in));
    mote_end_take_log(&pair->server);
    assert_int_equal(mote_h2_respond(server_stream, only, COUNT(only), true), 0);
    mote_h2_reset(server_stream, MOTE_H2_NO_ERROR);
    assert_string_equal(collect_frames(pair, &text), "HEADERS 7 end\nRST_STREAM 7 NO_ERROR\n");
    assert_string_equal(mote_end_take_log(&pair->server), "closed 7 NO_ERROR\n");

    mote_buffer_clear(&in);
    mote_peer_request(&in, 9, false);
    mote_end_feed(&pair->server, mote_buffer_slice(&in));
    assert_int_equal(mote_h2_respond(server_stream, only, COUNT(only), true), 0);
    assert_string_equal(collect_frames(pair, &text), "HEADERS 9 end\n");
    mote_h2_reset(server_stream, MOTE_H2_NO_ERROR); /* the answer is out already */
    assert_string_equal(collect_frames(pair, &text), "RST_STREAM 9 NO_ERROR\n");

    mote_buffer_clear(&in);
    mote_peer_request(&in, 11, false);
    mote_end_feed(&pair->server, mote_buffer_slice(&in));
    mote_end_take_log(&pair->server);
    assert_int_equal(mote_h2_respond(server_stream, only, COUNT(only), true), 0);
    mote_h2_reset(server_stream, MOTE_H2_NO_ERROR);
    mote_buffer_clear(&in);
    mote_peer_data(&in, 11, 10, true); /* the client ends before the answer is out: no reset is needed */
    mote_end_feed(&pair->server, mote_buffer_slice(&in));
    assert_string_equal(collect_frames(pair, &text), "HEADERS 11 end\n");
    assert_string_equal(mote_end_take_log(&pair->server), "closed 11 NO_ERROR\n");
    mote_buffer_dispose(&in);
    mote_buffer_dispose(&text);
}

static void test_resets(void **state)
{
    struct mote_pair *pair = *state;
    pair->server.on_event = note_stream;
    connect_pair(pair);
    struct mote_stream *stream = mote_pair_request(pair, "/a.B/C", false);
    mote_pair_pump(pair);
    mote_end_take_log(&pair->server);
    mote_h2_reset(stream, MOTE_H2_CANCEL);
    assert_int_equal(mote_h2_write(stream, mote_slice_text("a"), mote_slice_text("")), MOTE_ECLOSED);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "closed 1 CANCEL by-peer\n");
    assert_string_equal(mote_end_take_log(&pair->client), "closed 1 CANCEL\n");

    stream = mote_pair_request(pair, "/a.B/C", false); /* never sent */
    mote_h2_reset(stream, MOTE_H2_CANCEL);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "");
    assert_string_equal(mote_end_take_log(&pair->client), "closed 3 CANCEL\n");

    stream = mote_pair_request(pair, "/a.B/C", false);
    mote_pair_pump(pair);
    mote_end_take_log(&pair->server);
    mote_h2_reset(server_stream, MOTE_H2_REFUSED_STREAM);
    assert_int_equal(mote_pair_respond(server_stream), MOTE_ECLOSED);
    assert_int_equal(mote_h2_write(stream, mote_slice_text("on its way"), mote_slice_text("")), 0);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "closed 5 REFUSED_STREAM\n");
    assert_string_equal(mote_end_take_log(&pair->client), "closed 5 REFUSED_STREAM by-peer\n");
}

static void test_concurrency(void **state)
{
    struct mote_pair *pair = *state;
    struct mote_stream *streams[100];
    connect_pair(pair);
    for (size_t i = 0; i < COUNT(streams); i++) {
        streams[i] = mote_pair_request(pair, "/a.B/C", false);
        assert_non_null(streams[i]);
    }
    struct mote_stream *one_more = NULL;
    const struct mote_field field = mote_pair_field(":method", "POST");
    assert_int_equal(mote_h2_request(pair->client.h2, &field, 1, true, NULL, &one_more), MOTE_EAGAIN);
    mote_pair_pump(pair);
    assert_int_equal(mote_h2_stream_count(pair->server.h2), 100);
    mote_h2_reset(streams[50], MOTE_H2_CANCEL);
    mote_pair_pump(pair);
    assert_non_null(mote_pair_request(pair, "/a.B/C", false));
    mote_pair_pump(pair);
    assert_int_equal(mote_h2_stream_count(pair->server.h2), 100);
    mote_h2_abort(pair->server.h2);
    mote_end_drain(&pair->server);
    assert_int_equal(mote_h2_stream_count(pair->server.h2), 0);
    assert_true(mote_h2_is_over(pair->server.h2));
}

static void test_graceful_shutdown(void **state)
{
    struct mote_pair *pair = *state;
    pair->server.on_event = note_stream;
    connect_pair(pair);
    struct mote_stream *stream = mote_pair_request(pair, "/a.B/C", false);
    mote_pair_pump(pair);
    assert_int_equal(mote_h2_shutdown_notice(pair->server.h2, "bye"), 0);
    (void)mote_pair_request(pair, "/a.B/C", true); /* crosses the notice */
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->client), "goaway NO_ERROR 2147483647\n");
    assert_string_equal(mote_end_take_log(&pair->server), "headers 1\nheaders 3 end\n");
    assert_null(mote_pair_request(pair, "/a.B/C", true));
    assert_int_equal(mote_h2_shutdown(pair->server.h2, "bye"), 0);
    assert_int_equal(mote_h2_shutdown(pair->server.h2, "bye"), 0);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->client), "goaway NO_ERROR 3\n");
    assert_int_equal(mote_h2_shutdown(pair->server.h2, "bye"), 0);
    assert_false(mote_h2_wants_write(pair->server.h2));
    assert_int_equal(mote_h2_recv(pair->server.h2, mote_slice_text(""), pair->now_ns), 0);
    assert_false(mote_h2_is_over(pair->server.h2));
    assert_int_equal(mote_pair_respond(server_stream), 0);
    assert_int_equal(mote_pair_write_ok(server_stream), 0);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->client), "headers 3\ntrailers 3 end\nclosed 3 NO_ERROR\n");
    assert_false(mote_h2_is_over(pair->server.h2));
    mote_h2_reset(stream, MOTE_H2_CANCEL);
    mote_pair_pump(pair);
    assert_true(mote_h2_is_over(pair->server.h2));
    assert_true(mote_h2_is_over(pair->client.h2));
    assert_null(mote_h2_end_reason(pair->server.h2));
}

/* A request that was on its way when the server took its last. */
static void test_refused_by_goaway(void **state)
{
    struct mote_pair *pair = *state;
    connect_pair(pair);
    assert_int_equal(mote_h2_shutdown(pair->server.h2, "full"), 0);
    assert_true(mote_h2_wants_write(pair->server.h2));
    mote_end_collect(&pair->server, &pair->client.inbox);
    struct mote_stream *stream = mote_pair_request(pair, "/a.B/C", false);
    assert_non_null(stream);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "");
    assert_string_equal(mote_end_take_log(&pair->client), "goaway NO_ERROR 0\nclosed 1 REFUSED_STREAM by-peer\n");
    assert_true(mote_h2_is_over(pair->server.h2));
}

static void test_terminate(void **state)
{
    static const size_t chunks[] = {65536, 1};
    struct mote_pair *pair = *state;
    pair->server.on_event = note_stream;
    connect_pair(pair);
    (void)mote_pair_request(pair, "/a.B/C", false);
    (void)mote_pair_request(pair, "/a.B/C", false);
    mote_pair_pump(pair);
    mote_end_take_log(&pair->server);
    assert_int_equal(mote_pair_respond(server_stream), 0);
    /* A frame has begun to leave: it is finished first. */
    uint8_t first_byte;
    size_t length;
    assert_int_equal(mote_h2_send(pair->server.h2, &first_byte, 1, &length, pair->now_ns), 0);
    assert_int_equal(length, 1);
    mote_h2_terminate(pair->server.h2, MOTE_H2_ENHANCE_YOUR_CALM, "too much");
    mote_h2_terminate(pair->server.h2, MOTE_H2_NO_ERROR, "again");
    mote_end_feed(&pair->client, mote_slice(&first_byte, 1));
    pair->chunk = chunks[1];
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "closed 1 ENHANCE_YOUR_CALM\nclosed 3 ENHANCE_YOUR_CALM\n");
    assert_string_equal(mote_end_take_log(&pair->client), "headers 3\ngoaway ENHANCE_YOUR_CALM 3\n");
    assert_string_equal(mote_h2_end_reason(pair->server.h2), "too much");
    assert_true(mote_h2_is_over(pair->server.h2));
    mote_h2_terminate(pair->server.h2, MOTE_H2_NO_ERROR, "and again");
    assert_false(mote_h2_wants_write(pair->server.h2));
    assert_int_equal(mote_h2_recv(pair->server.h2, mote_slice_text("x"), pair->now_ns), MOTE_ECLOSED);
    assert_int_equal(mote_h2_shutdown(pair->server.h2, NULL), MOTE_ECLOSED);
    assert_int_equal(mote_h2_shutdown_notice(pair->server.h2, NULL), MOTE_ECLOSED);
    mote_h2_abort(pair->client.h2);
    mote_end_drain(&pair->client);
    assert_string_equal(mote_end_take_log(&pair->client), "closed 1 CANCEL by-peer\nclosed 3 CANCEL by-peer\n");
}

static void test_ping(void **state)
{
    static const uint8_t payload[8] = "pingpong";
    struct mote_pair *pair = *state;
    connect_pair(pair);
    assert_int_equal(mote_h2_ping(pair->server.h2, payload), 0);
    assert_true(mote_h2_wants_write(pair->server.h2));
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->server), "ping-ack\n");
    assert_string_equal(mote_end_take_log(&pair->client), "");
    assert_int_equal(mote_h2_ping(pair->client.h2, payload), 0);
    mote_pair_pump(pair);
    assert_string_equal(mote_end_take_log(&pair->client), "ping-ack\n");
    assert_false(mote_h2_wants_write(pair->server.h2));
}

static struct mote_fields seen;
static char seen_text[4096];

/* Notes metadata as "name=value;". */
static void note_fields(struct mote_end *end, const struct mote_event *event)
{
    (void)end;
    if (event->type != MOTE_EVENT_HEADERS && event->type != MOTE_EVENT_TRAILERS) {
        return;
    }
    seen = *event->u.fields;
    size_t length = 0;
    for (size_t i = 0; i < seen.other_count; i++) {
        length += (size_t)snprintf(seen_text + length, sizeof seen_text - length, "%.*s=%.*s;",
                                   (int)seen.others[i].name.length, (const char *)seen.others[i].name.data,
                                   (int)seen.others[i].value.length, (const char *)seen.others[i].value.data);
    }
    seen_text[length] = '\0';
    if (event->type == MOTE_EVENT_HEADERS) {
        server_stream = event->stream;
    }
}

static void test_fields(void **state)
{
    struct mote_pair *pair = *state;
    pair->server.on_event = note_fields;
    connect_pair(pair);
    for (size_t count = 0; count <= 20; count++) {
        struct mote_field fields[32] = {
            mote_pair_field(":method", "POST"),     mote_pair_field(":scheme", "http"),
            mote_pair_field(":path", "/a.B/C"),     mote_pair_field(":authority", "test"),
            mote_pair_field("grpc-timeout", "1S"),  mote_pair_field("grpc-unheard-of", "x"),
            mote_pair_field("grpc-timeout", "17S"),
        };
        char expected[1024] = "";
        char values[20][8];
        for (size_t i = 0; i < count; i++) {
            snprintf(values[i], sizeof values[i], "v%zu", i);
            fields[7 + i] = mote_pair_field("key", values[i]);
            fields[7 + i].flags = i % 2 == 0 ? MOTE_FIELD_SENSITIVE : 0;
            strcat(strcat(strcat(expected, "key="), values[i]), ";");
        }
        struct mote_stream *stream;
        assert_int_equal(mote_h2_request(pair->client.h2, fields, 7 + count, true, NULL, &stream), 0);
        mote_pair_pump(pair);
        assert_string_equal(seen_text, expected);
        assert_true(mote_slice_equals_text(seen.known[MOTE_FIELD_PATH], "/a.B/C"));
        assert_true(mote_slice_equals_text(seen.known[MOTE_FIELD_GRPC_TIMEOUT], "1S"));
        assert_null(seen.known[MOTE_FIELD_HOST].data);
        assert_int_equal(seen.repeated, 1u << MOTE_FIELD_GRPC_TIMEOUT);
        assert_int_equal(seen.overflow, MOTE_FIELDS_FIT);
        /* The same metadata back, as trailers. */
        pair->client.on_event = note_fields;
        pair->server.on_event = NULL;
        struct mote_stream *answered = server_stream;
        assert_int_equal(mote_pair_respond(answered), 0);
        assert_int_equal(mote_h2_write_trailers(answered, fields + 7, count), 0);
        seen_text[0] = 'x';
        mote_pair_pump(pair);
        assert_string_equal(seen_text, expected);
        pair->client.on_event = NULL;
        pair->server.on_event = note_fields;
    }
}

/* All of a header block as text. */
static void render(char *out, size_t size, const struct mote_fields *fields)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < MOTE_FIELD_OTHER; i++) {
        if (fields->known[i].data != NULL) {
            length += (size_t)snprintf(out + length, size - length, "%zu=%.*s;", i, (int)fields->known[i].length,
                                       (const char *)fields->known[i].data);
        }
    }
    for (size_t i = 0; i < fields->other_count; i++) {
        length += (size_t)snprintf(out + length, size - length, "%.*s=%.*s;", (int)fields->others[i].name.length,
                                   (const char *)fields->others[i].name.data, (int)fields->others[i].value.length,
                                   (const char *)fields->others[i].value.data);
    }
    snprintf(out + length, size - length, "%x,%zu", fields->repeated, fields->list_size);
}

static uint32_t dice(uint32_t *seed, uint32_t sides)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 16) % sides;
}

#define OPEN_CALLS 20

/* A request with fields by chance; returns how many. `known` fields are in the order of their identifiers. */
static size_t make_fields(uint32_t *seed, struct mote_field *fields, struct mote_fields *expected,
                          struct mote_field *others)
{
    static const char *const values[] = {"a", "bb", "", "0123456789012345678901234567890123456789"};
    static const char *const paths[] = {"/a.B/C", "/a.B/D", "/e.F/G"};
    static const struct {
        enum mote_field_id id;
        const char *name;
    } optional[] = {{MOTE_FIELD_USER_AGENT, "user-agent"},     {MOTE_FIELD_AUTHORIZATION, "authorization"},
                    {MOTE_FIELD_GRPC_TIMEOUT, "grpc-timeout"}, {MOTE_FIELD_OTHER, "key"},
                    {MOTE_FIELD_OTHER, "other-key"},           {MOTE_FIELD_OTHER, "grpc-not-known"},
                    {MOTE_FIELD_GRPC_TIMEOUT, "grpc-timeout"}};
    size_t count = 4;
    fields[0] = mote_pair_field(":method", "POST");
    fields[1] = mote_pair_field(":scheme", "http");
    fields[2] = mote_pair_field(":path", paths[dice(seed, 3)]);
    fields[3] = mote_pair_field(":authority", "test");
    *expected = (struct mote_fields){.others = others};
    expected->known[MOTE_FIELD_METHOD] = fields[0].value;
    expected->known[MOTE_FIELD_SCHEME] = fields[1].value;
    expected->known[MOTE_FIELD_PATH] = fields[2].value;
    expected->known[MOTE_FIELD_AUTHORITY] = fields[3].value;
    for (size_t i = 0; i < COUNT(optional); i++) {
        if (dice(seed, 4) == 0) {
            continue;
        }
        struct mote_field *field = &fields[count++];
        *field = mote_pair_field(optional[i].name, values[dice(seed, 3) == 0 ? dice(seed, COUNT(values)) : 0]);
        field->flags = dice(seed, 20) == 0 ? MOTE_FIELD_SENSITIVE : 0;
        if (optional[i].id == MOTE_FIELD_OTHER) {
            if (strncmp(optional[i].name, "grpc-", 5) != 0) {
                others[expected->other_count++] = *field;
            }
        } else if (expected->known[optional[i].id].data != NULL) {
            expected->repeated |= 1u << optional[i].id;
        } else {
            expected->known[optional[i].id] = field->value;
        }
    }
    for (size_t i = 0; i < count; i++) {
        expected->list_size += fields[i].name.length + fields[i].value.length + 32;
    }
    return count;
}

/* Header blocks that resemble each other more or less, each as it was sent, also while others come and go. */
static void test_fields_by_chance(void **state)
{
    struct mote_pair *pair = *state;
    struct {
        struct mote_stream *client;
        const struct mote_fields *fields;
        char text[1024];
    } calls[OPEN_CALLS] = {0};
    uint32_t seed = 1;
    pair->limits.cancelled_window = 0; /* it cancels all its calls */
    pair->server.on_event = note_stream;
    connect_pair(pair);
    for (size_t n = 0; n < 4000; n++) {
        struct mote_field fields[16];
        struct mote_field others[16];
        struct mote_fields expected;
        char text[1024];
        const size_t at = dice(&seed, OPEN_CALLS);
        if (calls[at].client != NULL) {
            render(text, sizeof text, calls[at].fields);
            assert_string_equal(text, calls[at].text);
            mote_h2_reset(calls[at].client, MOTE_H2_CANCEL);
        }
        const size_t count = make_fields(&seed, fields, &expected, others);
        assert_int_equal(mote_h2_request(pair->client.h2, fields, count, true, NULL, &calls[at].client), 0);
        server_fields = NULL;
        mote_pair_pump(pair);
        assert_non_null(server_fields);
        calls[at].fields = server_fields;
        render(calls[at].text, sizeof calls[at].text, &expected);
        render(text, sizeof text, server_fields);
        assert_string_equal(text, calls[at].text);
        mote_end_take_log(&pair->server);
        mote_end_take_log(&pair->client);
        pair->now_ns += MOTE_LIMITS_SECOND / 100;
    }
}

static void test_fields_too_many_to_send(void **state)
{
    static char large[40000];
    struct mote_pair *pair = *state;
    struct mote_field fields[129];
    struct mote_stream *stream;
    memset(large, 'x', sizeof large - 1);
    pair->server.on_event = note_stream;
    connect_pair(pair);
    for (size_t i = 0; i < COUNT(fields); i++) {
        fields[i] = mote_pair_field("k", "v");
    }
    assert_int_equal(mote_h2_request(pair->client.h2, fields, 129, true, NULL, &stream), MOTE_ELIMIT);
    (void)mote_pair_request(pair, "/a.B/C", true);
    mote_pair_pump(pair);
    assert_int_equal(mote_pair_respond(server_stream), 0);
    assert_int_equal(mote_h2_write_trailers(server_stream, fields, 129), MOTE_ELIMIT);
    fields[0].value = mote_slice(large, 32768 - 32 - 1 - 127 * 34 + 1);
    assert_int_equal(mote_h2_write_trailers(server_stream, fields, 128), MOTE_ELIMIT);
    fields[0].value.length--;
    assert_int_equal(mote_h2_write_trailers(server_stream, fields, 128), 0);
    /* The client's own limits are smaller: it drops what is too much, then resets. */
    mote_pair_pump(pair);
    mote_end_take_log(&pair->server);
    assert_string_equal(mote_end_take_log(&pair->client), "headers 1\nclosed 1 ENHANCE_YOUR_CALM\n");
}

/* A whole exchange with each of its allocations failing in turn: nothing is lost, nothing crashes. */
static int exchange(struct mote_mem *mem, void *context)
{
    static const uint8_t body[20000];
    struct mote_pair pair;
    struct mote_stream *stream;
    (void)context;
    int error = mote_pair_init_with(&pair, mem);
    if (error != 0) {
        mote_end_take_log(&pair.client);
        mote_buffer_dispose(&pair.client.log);
        return error;
    }
    pair.server.on_event = note_fields;
    server_stream = NULL;
    error = mote_pair_connect(&pair);
    if (error == 0) {
        const struct mote_field fields[] = {
            mote_pair_field(":method", "POST"),    mote_pair_field(":scheme", "http"),
            mote_pair_field(":path", "/a.B/C"),    mote_pair_field(":authority", "test"),
            mote_pair_field("a", "0123456789abc"), mote_pair_field("b", "0123456789abc"),
            mote_pair_field("c", "0123456789abc"), mote_pair_field("d", "0123456789abc"),
            mote_pair_field("e", "0123456789abc"), mote_pair_field("f", "0123456789abc"),
        };
        error = mote_h2_request(pair.client.h2, fields, COUNT(fields), false, NULL, &stream);
    }
    if (error == 0) {
        error = mote_h2_write(stream, mote_slice(body, 5), mote_slice(body, sizeof body));
    }
    if (error == 0) {
        error = mote_h2_write_end(stream);
    }
    if (error == 0) {
        mote_pair_pump(&pair);
        error = pair.server.error != 0 ? pair.server.error : pair.client.error;
    }
    if (error == 0 && server_stream != NULL) {
        const struct mote_field message = mote_pair_field("grpc-message", "made up");
        error = mote_pair_respond(server_stream);
        error = error != 0 ? error : mote_h2_write(server_stream, mote_slice(body, 5), mote_slice(body, sizeof body));
        error = error != 0 ? error : mote_h2_write_trailers(server_stream, &message, 1);
        mote_pair_pump(&pair);
        error = error != 0 ? error : pair.server.error != 0 ? pair.server.error : pair.client.error;
    }
    /* Without an error nothing is missing. */
    if (error == 0 && mote_h2_end_reason(pair.server.h2) == NULL && mote_h2_end_reason(pair.client.h2) == NULL &&
        (mote_buffer_length(&pair.server.body) != 5 + sizeof body ||
         mote_buffer_length(&pair.client.body) != 5 + sizeof body)) {
        error = MOTE_ECORRUPT;
    }
    mote_pair_dispose(&pair);
    /* nghttp2 tells some of its failures to allocate as others, and the other end sees only GOAWAY. */
    return error == MOTE_ECLOSED || error == MOTE_EINTERNAL ? MOTE_ENOMEM : error;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(mote_failing_mem_check(exchange, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unary, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large_bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flow_control, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_streaming, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_writable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answer_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_resets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_concurrency, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_graceful_shutdown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_by_goaway, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_terminate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fields_by_chance, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fields_too_many_to_send, set_up, tear_down),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
