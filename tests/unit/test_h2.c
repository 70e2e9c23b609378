/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's connection under its limits: windows, metadata, identifiers; and what honest clients do that looks like
 * abuse. Time is in test_h2_timers.c, floods and malformed frames in test_h2_abuse.c, connections that behave in
 * tests/pair.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pair/raw.h"
#include "wire/meter.h"

#define SECOND       MOTE_LIMITS_SECOND
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void expect_over(struct mote_raw *raw, const char *goaway)
{
    assert_true(mote_raw_is_over(raw));
    assert_string_equal(raw->goaway, goaway);
}

/* A client that cancels a tenth of its calls, or whose deadlines pass, is honest. */
static void test_honest_cancellations(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    for (uint32_t n = 0; n < 12000; n++) {
        mote_peer_request(&raw->in, mote_peer_id(n), true);
        mote_raw_feed(raw);
        if (n % 10 == 0) {
            mote_peer_rst_stream(&raw->in, mote_peer_id(n), MOTE_H2_CANCEL);
            mote_raw_feed(raw);
        } else {
            assert_int_equal(mote_pair_respond(raw->stream), 0);
            assert_int_equal(mote_pair_write_ok(raw->stream), 0);
        }
        (void)mote_raw_collect(raw);
        raw->pair.now_ns += SECOND / 200;
    }
    for (uint32_t n = 12000; n < 13000; n++) {
        mote_raw_request_with(&raw->in, mote_peer_id(n), PEER_END_STREAM, "grpc-timeout", "5m");
        mote_raw_feed(raw);
        raw->pair.now_ns += 5000000;
        mote_peer_rst_stream(&raw->in, mote_peer_id(n), MOTE_H2_CANCEL);
        mote_raw_feed(raw);
        (void)mote_raw_collect(raw);
    }
    assert_int_equal(raw->pair.server.error, 0);
    assert_string_equal(raw->goaway, "");
    /* Resets long before the deadline are not excused. */
    for (uint32_t n = 13000; n < 13250; n++) {
        mote_raw_request_with(&raw->in, mote_peer_id(n), PEER_END_STREAM, "grpc-timeout", "5S");
        mote_peer_rst_stream(&raw->in, mote_peer_id(n), MOTE_H2_CANCEL);
        mote_raw_feed(raw);
    }
    expect_over(raw, "26499 ENHANCE_YOUR_CALM too many cancelled calls");
}

static void test_bad_preface(void **state)
{
    static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\t", "\x16\x03\x01"};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        void *inner;
        assert_int_equal(mote_raw_set_up(&inner), 0);
        struct mote_raw *raw = inner;
        assert_int_equal(mote_pair_connect_server(&raw->pair), 0);
        mote_end_feed(&raw->pair.server, mote_slice_text(texts[i]));
        assert_int_equal(raw->pair.server.error, MOTE_EPROTO);
        assert_string_equal(mote_raw_collect(raw), ""); /* it does not speak HTTP/2: nothing to tell it */
        expect_over(raw, "");
        assert_string_equal(mote_h2_end_reason(raw->pair.server.h2), "not an HTTP/2 preface");
        assert_int_equal(mote_raw_tear_down(&inner), 0);
    }
}

/* Nor is a GOAWAY that was to be sent let out to one that turns out to speak something else. */
static void test_bad_preface_behind_a_notice(void **state)
{
    struct mote_raw *raw = *state;
    assert_int_equal(mote_pair_connect_server(&raw->pair), 0);
    assert_int_equal(mote_h2_shutdown_notice(raw->pair.server.h2, "soon"), 0);
    mote_end_feed(&raw->pair.server, mote_slice_text("GET /"));
    assert_string_equal(mote_raw_collect(raw), "");
    expect_over(raw, "");
}

/* Before our SETTINGS are out, a GOAWAY may not be the first frame. */
static void test_killed_before_our_settings(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start(raw);
    for (int i = 0; i < 11; i++) {
        mote_peer_setting(&raw->in, 4, 1);
    }
    mote_raw_feed(raw);
    assert_int_equal(raw->pair.server.error, MOTE_ELIMIT);
    assert_string_equal(mote_raw_collect(raw), "SETTINGS\nGOAWAY 0 ENHANCE_YOUR_CALM too many SETTINGS frames\n");
    expect_over(raw, "0 ENHANCE_YOUR_CALM too many SETTINGS frames");
}

/* The transport takes the last words piece by piece, and the second come while the first are on their way. */
static void test_goaways_in_pieces(void **state)
{
    (void)state;
    for (size_t first = 1; first <= 40; first++) {
        for (size_t piece = 1; piece <= 40; piece++) {
            void *inner;
            assert_int_equal(mote_raw_set_up(&inner), 0);
            struct mote_raw *raw = inner;
            uint8_t sent[128];
            size_t length;
            mote_raw_start_and_settle(raw);
            struct mote_h2 *h2 = raw->pair.server.h2;
            assert_int_equal(mote_h2_shutdown_notice(h2, "soon"), 0);
            assert_int_equal(mote_h2_send(h2, sent, first, &length, raw->pair.now_ns), 0);
            assert_int_equal(length, first < 21 ? first : 21);
            size_t total = length;
            mote_h2_terminate(h2, MOTE_H2_ENHANCE_YOUR_CALM, "now");
            while (mote_h2_wants_write(h2)) {
                assert_int_equal(mote_h2_send(h2, sent + total, piece, &length, raw->pair.now_ns), 0);
                assert_true(length != 0 && total + length <= sizeof sent - 40);
                total += length;
            }
            assert_int_equal(total, 21 + 20);
            mote_buffer_clear(&raw->text);
            mote_peer_describe(&raw->text, mote_slice(sent, total));
            assert_true(mote_slice_equals_text(mote_buffer_slice(&raw->text),
                                               "GOAWAY 2147483647 NO_ERROR soon\nGOAWAY 0 ENHANCE_YOUR_CALM now\n"));
            assert_int_equal(mote_raw_tear_down(&inner), 0);
        }
    }
}

/* What comes on a stream that we ended early was on its way, and is forgiven; not on one that the peer broke. */
static void test_frames_on_their_way(void **state)
{
    struct mote_raw *raw = *state;
    raw->pair.limits.glitch_burst = 2;
    mote_raw_start_and_settle(raw);
    mote_peer_request(&raw->in, 1, false);
    mote_raw_feed(raw);
    mote_h2_reset(raw->stream, MOTE_H2_CANCEL);
    (void)mote_raw_collect(raw);
    for (uint32_t i = 0; i < MOTE_METER_FORGIVEN; i++) {
        mote_peer_data(&raw->in, 1, 100, false);
    }
    mote_raw_feed(raw);
    (void)mote_raw_collect(raw);
    assert_string_equal(raw->goaway, "");
    mote_peer_request(&raw->in, 3, false);
    mote_peer_frame(&raw->in, PEER_HEADERS, PEER_END_HEADERS, 3, mote_slice("\0\1t\1v", 5));
    mote_raw_feed(raw);
    assert_string_equal(mote_raw_collect(raw), "RST_STREAM 3 PROTOCOL_ERROR\n");
    mote_peer_data(&raw->in, 3, 100, false);
    mote_raw_feed(raw);
    expect_over(raw, "3 ENHANCE_YOUR_CALM too many glitches");
}

/* A call that both sides have ended is over: nghttp2 has forgotten it, the meter has not. */
static void test_frames_behind_a_whole_call(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    mote_peer_request(&raw->in, 1, true);
    mote_raw_feed(raw);
    mote_raw_reply(raw, 10);
    (void)mote_raw_collect(raw);
    assert_int_equal(mote_h2_stream_count(raw->pair.server.h2), 0);
    mote_peer_data(&raw->in, 1, 1, false);
    mote_raw_feed(raw);
    expect_over(raw, "1 STREAM_CLOSED DATA on a closed stream");
}

/* More PINGs in one read than nghttp2 may queue answers to, though they were earned. */
static void test_answers_to_pings_in_one_read(void **state)
{
    (void)state;
    for (size_t count = 128; count <= 129; count++) {
        void *inner;
        assert_int_equal(mote_raw_set_up(&inner), 0);
        struct mote_raw *raw = inner;
        raw->pair.limits.keepalive_min_time = 0;
        raw->pair.limits.ping_burst = 1000;
        mote_raw_start_and_settle(raw);
        for (size_t i = 0; i < count; i++) {
            mote_peer_ping(&raw->in, false);
        }
        mote_raw_feed(raw);
        if (count == 128) {
            assert_int_equal(strlen(mote_raw_collect(raw)), 128 * strlen("PING ack\n"));
            assert_int_equal(raw->pair.server.error, 0);
        } else {
            expect_over(raw, "0 ENHANCE_YOUR_CALM too many frames to acknowledge");
        }
        assert_int_equal(mote_raw_tear_down(&inner), 0);
    }
}

/* Large replies take turns, and a small one does not wait for them. */
static void test_replies_take_turns(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start(raw);
    mote_peer_setting(&raw->in, 4, 1000000);
    mote_peer_window_update(&raw->in, 0, 1000000);
    mote_peer_settings_ack(&raw->in);
    for (uint32_t id = 1; id <= 5; id += 2) {
        mote_peer_request(&raw->in, id, true);
        mote_raw_feed(raw);
        mote_raw_reply(raw, id == 5 ? 100 : 50000);
    }
    const char *text = mote_raw_collect(raw);
    assert_non_null(strstr(text, "DATA 1 16384\nDATA 3 16384\nDATA 5 100\n"));
    assert_non_null(strstr(text, "DATA 1 16384\nDATA 3 16384\nDATA 1 16384\nDATA 3 16384\n"));
}

#define REPLY (1u << 20)

static uint8_t pattern(uint32_t stream_id, size_t offset)
{
    return (uint8_t)(stream_id * 97 + offset + offset / 251);
}

/* Checks the DATA that the server sent last; how much each stream has had. */
static void take_data(struct mote_raw *raw, size_t got[2])
{
    (void)mote_raw_collect(raw);
    struct mote_slice out = mote_buffer_slice(&raw->out);
    while (out.length != 0) {
        const uint8_t *frame = out.data;
        const size_t length = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
        const uint32_t id = frame[8];
        for (size_t i = 0; frame[3] == PEER_DATA && i < length; i++) {
            assert_int_equal(frame[9 + i], pattern(id, got[id / 2]));
            got[id / 2]++;
        }
        out = mote_slice(frame + 9 + length, out.length - 9 - length);
    }
}

/* Two large replies through windows of a byte, and then of any size: each stream gets its own bytes, in order, and
 * never more than its window. */
static void test_replies_do_not_mix(void **state)
{
    struct mote_raw *raw = *state;
    size_t got[2] = {0, 0};
    size_t window[2] = {1, 1};
    uint8_t *reply = malloc(REPLY);
    assert_non_null(reply);
    mote_raw_start(raw);
    mote_peer_setting(&raw->in, 4, 1);
    mote_peer_window_update(&raw->in, 0, 3 * REPLY);
    mote_peer_settings_ack(&raw->in);
    for (uint32_t id = 1; id <= 3; id += 2) {
        mote_peer_request(&raw->in, id, true);
        mote_raw_feed(raw);
        for (size_t i = 0; i < REPLY; i++) {
            reply[i] = pattern(id, i);
        }
        assert_int_equal(mote_pair_respond(raw->stream), 0);
        assert_int_equal(mote_h2_write(raw->stream, mote_slice(reply, 5), mote_slice(reply + 5, REPLY - 5)), 0);
    }
    free(reply);
    for (uint32_t step = 0; got[0] < REPLY || got[1] < REPLY; step++) {
        const uint32_t which = step * 7 / 5 % 2;
        const uint32_t more = step < 100 ? 1 : step * 7919 % 40000 + 1;
        mote_peer_window_update(&raw->in, 2 * which + 1, more);
        window[which] += more;
        mote_raw_feed(raw);
        take_data(raw, got);
        mote_timer_wheel_advance(&raw->pair.wheel, raw->pair.now_ns += SECOND / 5);
        assert_true(got[0] <= window[0] && got[1] <= window[1]);
        assert_true(step < 2000);
    }
    assert_int_equal(got[0], REPLY);
    assert_int_equal(got[1], REPLY);
}

/* A writer that went over the mark is told at half of it, and not before. */
static void test_writable_at_half(void **state)
{
    static const uint8_t zeros[2001];
    (void)state;
    for (uint32_t window = 1000; window <= 1001; window++) {
        void *inner;
        assert_int_equal(mote_raw_set_up(&inner), 0);
        struct mote_raw *raw = inner;
        raw->pair.limits.stream_output_high = 2000;
        mote_raw_start(raw);
        mote_peer_setting(&raw->in, 4, window);
        mote_peer_request(&raw->in, 1, true);
        mote_raw_feed(raw);
        mote_end_take_log(&raw->pair.server);
        assert_int_equal(mote_pair_respond(raw->stream), 0);
        assert_int_equal(mote_h2_write(raw->stream, mote_slice(zeros, sizeof zeros), mote_slice_text("")), 0);
        (void)mote_raw_collect(raw);
        assert_int_equal(mote_h2_queued(raw->stream), 2001 - window);
        assert_string_equal(mote_end_take_log(&raw->pair.server), window == 1001 ? "writable 1\n" : "");
        assert_int_equal(mote_raw_tear_down(&inner), 0);
    }
}

/* Metadata at each limit and one over it. A field `a` with a value of n bytes counts n + 33. */
static void test_metadata_limits(void **state)
{
    static const struct {
        size_t size;  /* of the whole list */
        size_t count; /* of all fields */
        const char *log;
        const char *sent;
    } rows[] = {
        {8192, 10, "headers 1 end\n", ""},
        {8193, 10, "headers 1 overflow end\n", ""},
        {16384, 10, "headers 1 overflow end\n", ""},
        {16385, 10, "", "RST_STREAM 1 ENHANCE_YOUR_CALM\n"},
        {65536, 10, "", "RST_STREAM 1 ENHANCE_YOUR_CALM\n"},
        {65537, 10, "", "GOAWAY 1 ENHANCE_YOUR_CALM header block too large\n"},
        {5000, 64, "headers 1 end\n", ""},
        {5000, 65, "headers 1 overflow end\n", ""},
        {7000, 128, "headers 1 overflow end\n", ""},
        {7000, 129, "", "RST_STREAM 1 ENHANCE_YOUR_CALM\n"},
        {20000, 512, "", "RST_STREAM 1 ENHANCE_YOUR_CALM\n"},
        {20000, 513, "", "GOAWAY 1 ENHANCE_YOUR_CALM header block too large\n"},
    };
    static char value[65536];
    (void)state;
    memset(value, 'v', sizeof value - 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        void *inner;
        assert_int_equal(mote_raw_set_up(&inner), 0);
        struct mote_raw *raw = inner;
        struct mote_buffer block;
        mote_buffer_init(&block, mote_mem_system(), 0);
        mote_raw_start_and_settle(raw);
        mote_end_take_log(&raw->pair.server);
        mote_peer_request_fields(&block); /* 6 fields */
        const size_t fixed = 7 + 4 + 7 + 4 + 5 + 6 + 10 + 4 + 2 + 8 + 12 + 16 + 6 * 32;
        size_t left = rows[i].size - fixed;
        for (size_t n = 6; n < rows[i].count; n++) {
            const size_t fields_left = rows[i].count - n;
            size_t length = fields_left == 1 ? left - 33 : left / fields_left - 33;
            left -= length + 33;
            /* A literal whose length takes as many bytes as it needs (RFC 7541 §5.1). */
            uint8_t head[8] = {0, 1, 'a', length < 127 ? (uint8_t)length : 127};
            size_t head_length = 4;
            for (size_t rest = length - 127; length >= 127; rest >>= 7) {
                head[head_length++] = (uint8_t)(rest < 128 ? rest : (rest & 127) | 128);
                if (rest < 128) {
                    break;
                }
            }
            assert_int_equal(mote_buffer_append(&block, head, head_length), 0);
            assert_int_equal(mote_buffer_append(&block, value, length), 0);
        }
        struct mote_slice rest = mote_buffer_slice(&block);
        unsigned type = PEER_HEADERS;
        while (rest.length != 0) {
            const size_t taken = rest.length < 16384 ? rest.length : 16384;
            const unsigned flags =
                (type == PEER_HEADERS ? PEER_END_STREAM : 0u) | (taken == rest.length ? PEER_END_HEADERS : 0u);
            mote_peer_frame(&raw->in, type, flags, 1, mote_slice(rest.data, taken));
            rest = mote_slice(rest.data + taken, rest.length - taken);
            type = PEER_CONTINUATION;
        }
        mote_raw_feed(raw);
        const char *log = mote_end_take_log(&raw->pair.server);
        const char *sent = mote_raw_collect(raw);
        if (strcmp(log, rows[i].log) != 0 || strcmp(sent, rows[i].sent) != 0) {
            fail_msg("%zu bytes, %zu fields: %s| %s", rows[i].size, rows[i].count, log, sent);
        }
        mote_buffer_dispose(&block);
        assert_int_equal(mote_raw_tear_down(&inner), 0);
    }
}

/* HEADERS with an HPACK block; the fields that come of it. */
static const struct mote_fields *fields_of(struct mote_raw *raw, uint32_t id, const char *block, size_t length)
{
    mote_peer_frame(&raw->in, PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, id, mote_slice(block, length));
    mote_raw_feed(raw);
    assert_non_null(raw->fields);
    return raw->fields;
}

/* Blocks that are the same, or nearly, share what is the same: that is what makes them cheap. */
static void test_shared_header_blocks(void **state)
{
    /* POST, http, and into the dynamic table: path, authority, key1, grpc-timeout; see RFC 7541 §6. */
    static const char first[] = "\x83\x86\x44\x06/a.B/C\x41\x01"
                                "a\x40\x04key1\x03one\x40\x0cgrpc-timeout\x02"
                                "1S";
    static const char same[] = "\x83\x86\xc1\xc0\xbf\xbe";
    static const char other_path[] = "\x83\x86\x04\x06/a.B/D\xc0\xbf\xbe";
    static const char other_path_and_timeout[] = "\x83\x86\x04\x06/a.B/E\xc0\xbf\x0f\x2f\x02"
                                                 "2S";
    static const char other_key[] = "\x83\x86\xc1\xc0\x0f\x30\x03two\xbe";
    static const char shorter[] = "\x83\x86\xc1\xc0";
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    const struct mote_fields *one = fields_of(raw, 1, first, sizeof first - 1);
    assert_ptr_equal(fields_of(raw, 3, same, sizeof same - 1), one);
    const struct mote_fields *two = fields_of(raw, 5, other_path, sizeof other_path - 1);
    assert_ptr_not_equal(two, one);
    assert_ptr_equal(two->others, one->others);
    assert_true(mote_slice_equals_text(two->known[MOTE_FIELD_PATH], "/a.B/D"));
    assert_true(mote_slice_equals_text(one->known[MOTE_FIELD_PATH], "/a.B/C"));
    assert_int_equal(two->list_size, one->list_size);
    const struct mote_fields *three = fields_of(raw, 7, other_path_and_timeout, sizeof other_path_and_timeout - 1);
    assert_ptr_equal(three->others, one->others);
    assert_true(mote_slice_equals_text(three->known[MOTE_FIELD_PATH], "/a.B/E"));
    assert_true(mote_slice_equals_text(three->known[MOTE_FIELD_GRPC_TIMEOUT], "2S"));
    assert_ptr_equal(fields_of(raw, 9, same, sizeof same - 1), one);
    const struct mote_fields *four = fields_of(raw, 11, other_key, sizeof other_key - 1);
    assert_ptr_not_equal(four->others, one->others);
    assert_true(mote_slice_equals_text(four->others[0].value, "two"));
    assert_true(mote_slice_equals_text(one->others[0].value, "one"));
    const struct mote_fields *five = fields_of(raw, 13, shorter, sizeof shorter - 1);
    assert_int_equal(five->other_count, 0);
    assert_null(five->known[MOTE_FIELD_GRPC_TIMEOUT].data);
    assert_ptr_equal(fields_of(raw, 15, shorter, sizeof shorter - 1), five); /* the template now */
}

/* A stream can go in the middle of a header block that is nearly another's: its answer is out before the rest comes. */
static void test_stream_gone_inside_shared_block(void **state)
{
    static const char first[] = "\x83\x86\x44\x06/a.B/C\x41\x01"
                                "a";
    static const char other_path[] = "\x83\x86\x04\x06/a.B/D\xbe";
    static const char malformed[] = "\x83\x86\x04\x06/a.B/D\x00\x01X\x01x";
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    const struct mote_fields *one = fields_of(raw, 1, first, sizeof first - 1);
    mote_peer_frame(&raw->in, PEER_HEADERS, PEER_END_STREAM, 3, mote_slice(malformed, sizeof malformed - 1));
    mote_raw_feed(raw);
    assert_string_equal(mote_raw_collect(raw), "RST_STREAM 3 PROTOCOL_ERROR\n");
    assert_int_equal(mote_h2_stream_count(raw->pair.server.h2), 1);
    mote_peer_frame(&raw->in, PEER_CONTINUATION, PEER_END_HEADERS, 3, mote_slice("\xbe", 1));
    mote_raw_feed(raw);
    assert_string_equal(mote_raw_collect(raw), "");
    const struct mote_fields *two = fields_of(raw, 5, other_path, sizeof other_path - 1);
    assert_true(mote_slice_equals_text(two->known[MOTE_FIELD_PATH], "/a.B/D"));
    assert_true(mote_slice_equals_text(two->known[MOTE_FIELD_AUTHORITY], "a"));
    assert_ptr_equal(fields_of(raw, 7, "\x83\x86\xbf\xbe", 4), one);
    assert_int_equal(raw->calls, 3);
}

/* Bytes that a call leaves behind when its connection is idle again. The last field of its request is indexed, not
 * indexed or never to be (RFC 7541 §6.2). */
static size_t left_by_call(struct mote_raw *raw, uint32_t id, uint8_t representation)
{
    const size_t before = raw->pair.mem.live_bytes;
    struct mote_buffer block;
    mote_buffer_init(&block, mote_mem_system(), 0);
    mote_peer_request_fields(&block);
    mote_peer_field(&block, "x", "y");
    block.data[block.end - 5] = representation;
    mote_peer_frame(&raw->in, PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, id, mote_buffer_slice(&block));
    mote_buffer_dispose(&block);
    mote_raw_feed(raw);
    mote_raw_reply(raw, 10);
    (void)mote_raw_collect(raw);
    assert_null(raw->stream);
    return raw->pair.mem.live_bytes - before;
}

/* What an idle connection keeps: nothing of a client that does not use HPACK's table, its last block otherwise. */
static void test_idle_connection_keeps_little(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    (void)left_by_call(raw, 1, 0x10); /* nghttp2's own tables */
    assert_int_equal(left_by_call(raw, 3, 0x00), 0);
    assert_int_equal(left_by_call(raw, 5, 0x10), 0);
    const size_t kept = left_by_call(raw, 7, 0x40);
    assert_true(kept != 0 && kept < 2048);
}

/* A value that makes the whole too large counts like any other, also where the rest is known from before. */
static void test_shared_header_blocks_and_limits(void **state)
{
    static const char first[] = "\x83\x86\x44\x06/a.B/C\x41\x01"
                                "a";
    struct mote_raw *raw = *state;
    char block[9100] = "\x83\x86\x04\x7f";
    const size_t length = 9000;
    block[4] = (char)(((length - 127) & 127) | 128);
    block[5] = (char)((length - 127) >> 7);
    memset(block + 6, '/', length);
    block[6 + length] = '\xbe';
    mote_raw_start_and_settle(raw);
    const struct mote_fields *one = fields_of(raw, 1, first, sizeof first - 1);
    assert_int_equal(one->overflow, MOTE_FIELDS_FIT);
    const struct mote_fields *two = fields_of(raw, 3, block, 6 + length + 1);
    assert_int_equal(two->overflow, MOTE_FIELDS_OVER_SOFT);
    assert_null(two->known[MOTE_FIELD_PATH].data);
    assert_ptr_equal(fields_of(raw, 5, "\x83\x86\xbf\xbe", 4), one);
}

/* Trailers of a request are checked and dropped; their size counts on its own. */
static void test_request_trailers(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    mote_end_take_log(&raw->pair.server);
    mote_peer_request(&raw->in, 1, false);
    mote_peer_data(&raw->in, 1, 5, false);
    mote_peer_frame(&raw->in, PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, 1, mote_slice("\0\1t\1v", 5));
    mote_raw_feed(raw);
    assert_string_equal(mote_end_take_log(&raw->pair.server), "headers 1\ndata 1 5 end\n");
    mote_peer_request(&raw->in, 3, false);
    mote_raw_feed(raw);
    struct mote_buffer block;
    mote_buffer_init(&block, mote_mem_system(), 0);
    for (int i = 0; i < 129; i++) {
        mote_peer_field(&block, "t", "");
    }
    mote_peer_frame(&raw->in, PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, 3, mote_buffer_slice(&block));
    mote_buffer_dispose(&block);
    mote_end_take_log(&raw->pair.server);
    mote_raw_feed(raw);
    assert_string_equal(mote_raw_collect(raw), "RST_STREAM 3 ENHANCE_YOUR_CALM\n");
    assert_string_equal(mote_end_take_log(&raw->pair.server), "closed 3 ENHANCE_YOUR_CALM\n");
}

/* Identifiers near their end: the calls are served, and the client is told to go elsewhere. */
static void test_identifiers_run_out(void **state)
{
    static const uint32_t ids[] = {0x60000001, 0x7fffffff};
    (void)state;
    for (size_t i = 0; i < COUNT(ids); i++) {
        void *inner;
        assert_int_equal(mote_raw_set_up(&inner), 0);
        struct mote_raw *raw = inner;
        char expected[128];
        mote_raw_start_and_settle(raw);
        mote_peer_request(&raw->in, 0x5fffffff, true);
        mote_raw_feed(raw);
        assert_string_equal(mote_raw_collect(raw), "");
        mote_raw_reply(raw, 10);
        (void)mote_raw_collect(raw);
        mote_peer_request(&raw->in, ids[i], true);
        mote_raw_feed(raw);
        mote_raw_reply(raw, 10);
        (void)mote_raw_collect(raw);
        snprintf(expected, sizeof expected, "%u NO_ERROR stream identifiers run out", ids[i]);
        expect_over(raw, expected);
        snprintf(expected, sizeof expected,
                 "headers 1610612735 end\nclosed 1610612735 NO_ERROR\nheaders %u end\nclosed %u NO_ERROR\n", ids[i],
                 ids[i]);
        assert_string_equal(mote_end_take_log(&raw->pair.server), expected);
        assert_int_equal(mote_raw_tear_down(&inner), 0);
    }
}

/* A client's GOAWAY: calls in progress complete, then the connection is over. */
static void test_goaway_from_client(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    mote_peer_request(&raw->in, 1, true);
    mote_peer_goaway(&raw->in, 0, 0);
    mote_raw_feed(raw);
    assert_false(mote_h2_is_over(raw->pair.server.h2));
    assert_non_null(raw->stream);
    mote_raw_reply(raw, 10);
    assert_string_equal(mote_raw_collect(raw), "HEADERS 1\nDATA 1 10\nHEADERS 1 end\n");
    assert_true(mote_h2_is_over(raw->pair.server.h2));
}

/* grpc-go's clients close with a GOAWAY whose last identifier is of a stream of their own: no reason to complain of. */
static void test_goaway_as_grpc_go_sends_it(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    mote_peer_goaway(&raw->in, 1, 0);
    mote_raw_feed(raw);
    (void)mote_raw_collect(raw);
    assert_true(mote_h2_is_over(raw->pair.server.h2));
    assert_null(mote_h2_end_reason(raw->pair.server.h2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_honest_cancellations, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_frames_behind_a_whole_call, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_frames_on_their_way, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test(test_bad_preface),
        cmocka_unit_test_setup_teardown(test_bad_preface_behind_a_notice, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_killed_before_our_settings, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test(test_goaways_in_pieces),
        cmocka_unit_test_setup_teardown(test_replies_take_turns, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_replies_do_not_mix, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test(test_answers_to_pings_in_one_read),
        cmocka_unit_test(test_writable_at_half),
        cmocka_unit_test(test_metadata_limits),
        cmocka_unit_test_setup_teardown(test_request_trailers, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_shared_header_blocks_and_limits, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_idle_connection_keeps_little, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_shared_header_blocks, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_stream_gone_inside_shared_block, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test(test_identifiers_run_out),
        cmocka_unit_test_setup_teardown(test_goaway_from_client, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_goaway_as_grpc_go_sends_it, mote_raw_set_up, mote_raw_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
