/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's connection under its limits: time, windows, metadata, identifiers; and what honest clients do that looks
 * like abuse. Floods and malformed frames are in test_h2_abuse.c, connections that behave in tests/pair.
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

/* Time limits: what was sent, when nothing more comes, and when that is the end (a second's grace). */
static void test_timeouts(void **state)
{
    static const struct {
        const char *what;
        size_t preface; /* bytes of it that come */
        bool settles;   /* acknowledges our SETTINGS */
        const char *rest;
        size_t rest_length;
        unsigned seconds;
        const char *goaway;
    } rows[] = {
        {"nothing", 0, false, "", 0, 5, ""},
        {"half a preface", 20, false, "", 0, 5, ""},
        {"half of SETTINGS", 30, false, "", 0, 5, "0 SETTINGS_TIMEOUT no preface in time"},
        {"no acknowledgement", 33, false, "", 0, 10, "0 SETTINGS_TIMEOUT SETTINGS not acknowledged in time"},
        {"half a frame header", 33, true, "\0\0\x10\1", 4, 5, "0 ENHANCE_YOUR_CALM header block too slow"},
        {"half a HEADERS frame", 33, true, "\0\0\x10\1\4\0\0\0\1\x83", 10, 5,
         "1 ENHANCE_YOUR_CALM header block too slow"},
        {"a block without end", 33, true, "\0\0\1\1\0\0\0\0\1\x83", 10, 5, "1 ENHANCE_YOUR_CALM header block too slow"},
        {"half a DATA frame", 33, true, "\0\0\3\1\4\0\0\0\1\x83\x86\x84\0\0\x10\0\0\0\0\0\1x", 22, 0, ""},
        {"idle", 33, true, "", 0, 0, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        void *inner;
        assert_int_equal(mote_raw_set_up(&inner), 0);
        struct mote_raw *raw = inner;
        mote_raw_start(raw);
        mote_end_feed(&raw->pair.server, mote_slice(mote_buffer_slice(&raw->in).data, rows[i].preface));
        mote_buffer_clear(&raw->in);
        if (rows[i].settles) {
            mote_peer_settings_ack(&raw->in);
            mote_raw_feed(raw);
        }
        (void)mote_raw_collect(raw);
        mote_end_feed(&raw->pair.server, mote_slice(rows[i].rest, rows[i].rest_length));
        const uint64_t limit_ns = (rows[i].seconds != 0 ? rows[i].seconds : 600) * SECOND;
        mote_raw_pass(raw, limit_ns - SECOND / 10);
        if (mote_h2_is_over(raw->pair.server.h2)) {
            fail_msg("%s: over too early, %s", rows[i].what, raw->goaway);
        }
        mote_raw_pass(raw, SECOND + SECOND / 5);
        if (mote_h2_is_over(raw->pair.server.h2) != (rows[i].seconds != 0) ||
            strcmp(raw->goaway, rows[i].goaway) != 0) {
            fail_msg("%s: in the end \"%s\"", rows[i].what, raw->goaway);
        }
        assert_int_equal(raw->pair.server.attention_count != 0, rows[i].seconds != 0);
        assert_int_equal(mote_raw_tear_down(&inner), 0);
    }
}

/* A header block that trickles is over after five seconds, however often a byte comes. */
static void test_trickling_headers(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    mote_peer_request(&raw->in, 1, true);
    const struct mote_slice bytes = mote_buffer_slice(&raw->in);
    size_t sent = 0;
    while (sent < bytes.length && !mote_h2_is_over(raw->pair.server.h2)) {
        mote_end_feed(&raw->pair.server, mote_slice(bytes.data + sent++, 1));
        mote_raw_pass(raw, SECOND);
    }
    assert_in_range(sent, 5, 7);
    expect_over(raw, "0 ENHANCE_YOUR_CALM header block too slow");
}

/* An idle connection runs no timer. */
static void test_idle_costs_no_timer(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    mote_raw_pass(raw, 2 * SECOND);
    assert_int_equal(raw->pair.wheel.count, 0);
    mote_peer_request(&raw->in, 1, true);
    mote_raw_feed(raw);
    assert_int_equal(mote_pair_respond(raw->stream), 0);
    assert_int_equal(mote_h2_write(raw->stream, mote_slice_text("12345"), mote_slice_text("x")), 0);
    assert_int_equal(mote_pair_write_ok(raw->stream), 0);
    assert_string_equal(mote_raw_collect(raw), "HEADERS 1\nDATA 1 6\nHEADERS 1 end\n");
    assert_int_equal(raw->pair.wheel.count, 0);
    mote_peer_request(&raw->in, 3, true); /* a stream that has nothing to say for a while */
    mote_raw_feed(raw);
    assert_int_equal(mote_pair_respond(raw->stream), 0);
    assert_string_equal(mote_raw_collect(raw), "HEADERS 3\n");
    assert_int_equal(mote_h2_write(raw->stream, mote_slice_text("1"), mote_slice_text("")), 0);
    assert_string_equal(mote_raw_collect(raw), "DATA 3 1\n");
    assert_int_equal(raw->pair.wheel.count, 0);
}

/* The timers run for a connection that is given bytes and asked for nothing. */
static void test_timers_without_output(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    mote_raw_pass(raw, 2 * SECOND);
    mote_end_feed(&raw->pair.server, mote_slice("\0\0\x10\1\4\0\0\0\1\x83", 10));
    for (int i = 0; i < 7; i++) {
        raw->pair.now_ns += SECOND;
        mote_timer_wheel_advance(&raw->pair.wheel, raw->pair.now_ns);
    }
    assert_int_equal(raw->pair.server.attention_count, 1);
    expect_over(raw, "1 ENHANCE_YOUR_CALM header block too slow");
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

static void request_large_reply(struct mote_raw *raw, uint32_t id)
{
    mote_peer_request(&raw->in, id, true);
    mote_raw_feed(raw);
    assert_non_null(raw->stream);
    mote_raw_reply(raw, 10000);
}

/* With a window of nothing a reply waits half a minute; the third time in a minute is the last. */
static void test_stalled_replies(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start(raw);
    mote_peer_setting(&raw->in, 4, 0);
    mote_peer_settings_ack(&raw->in);
    for (uint32_t n = 0; n < 50; n++) {
        request_large_reply(raw, mote_peer_id(n));
    }
    mote_raw_pass(raw, 30 * SECOND);
    assert_int_equal(raw->resets_sent, 0);
    mote_raw_pass(raw, 2 * SECOND);
    assert_int_equal(raw->resets_sent, 50);
    assert_int_equal(mote_h2_stream_count(raw->pair.server.h2), 0);
    assert_string_equal(raw->goaway, "");
    request_large_reply(raw, mote_peer_id(50));
    mote_raw_pass(raw, 10 * SECOND);
    request_large_reply(raw, mote_peer_id(51));
    mote_raw_pass(raw, 22 * SECOND);
    assert_int_equal(raw->resets_sent, 51);
    assert_string_equal(raw->goaway, "");
    mote_raw_pass(raw, 10 * SECOND);
    expect_over(raw, "103 ENHANCE_YOUR_CALM replies stalled again and again");
}

/* Stalls that are further apart than a minute are no strikes. */
static void test_rare_stalls(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start(raw);
    mote_peer_setting(&raw->in, 4, 0);
    mote_peer_settings_ack(&raw->in);
    for (uint32_t n = 0; n < 6; n++) {
        request_large_reply(raw, mote_peer_id(n));
        mote_raw_pass(raw, 62 * SECOND);
        assert_int_equal(raw->resets_sent, n + 1);
    }
    assert_string_equal(raw->goaway, "");
}

/* What went out before the window was used up does not count for the time behind it. */
static void test_stall_behind_a_full_window(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start_and_settle(raw);
    mote_peer_request(&raw->in, 1, true);
    mote_raw_feed(raw);
    mote_raw_reply(raw, 100000);
    mote_raw_pass(raw, 32 * SECOND);
    assert_int_equal(raw->resets_sent, 1);
}

/* While the transport has not taken what it was given, a small window is not what holds a reply up. */
static void test_slow_transport_is_no_stall(void **state)
{
    struct mote_raw *raw = *state;
    size_t pending = 200000;
    mote_raw_start(raw);
    mote_peer_setting(&raw->in, 4, 0);
    mote_peer_settings_ack(&raw->in);
    request_large_reply(raw, 1);
    for (int i = 0; i < 60; i++) {
        pending -= 2000;
        mote_h2_set_pending_output(raw->pair.server.h2, pending, raw->pair.now_ns);
        mote_raw_pass(raw, SECOND);
    }
    assert_int_equal(raw->resets_sent, 0);
    mote_h2_set_pending_output(raw->pair.server.h2, 0, raw->pair.now_ns);
    mote_raw_pass(raw, 32 * SECOND);
    assert_int_equal(raw->resets_sent, 1);
}

/* A window opened by drops does not help; one opened at a fair rate does. */
static void test_dripping_windows(void **state)
{
    static const struct {
        uint32_t increment;
        bool survives;
    } rows[] = {{1, false}, {900, false}, {1500, true}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        void *inner;
        assert_int_equal(mote_raw_set_up(&inner), 0);
        struct mote_raw *raw = inner;
        raw->pair.limits.window_updates_per_data = 1000;
        mote_raw_start(raw);
        mote_peer_setting(&raw->in, 4, 0);
        mote_peer_settings_ack(&raw->in);
        mote_peer_request(&raw->in, 1, true);
        mote_raw_feed(raw);
        mote_raw_reply(raw, 200000);
        for (int seconds = 0; seconds < 40; seconds++) {
            mote_peer_window_update(&raw->in, 1, rows[i].increment);
            mote_raw_feed(raw);
            mote_raw_pass(raw, SECOND);
        }
        assert_int_equal(raw->resets_sent, rows[i].survives ? 0 : 1);
        assert_int_equal(mote_raw_tear_down(&inner), 0);
    }
}

/* Windows of one byte do not make frames of one byte, but once in a while. */
static void test_crumbs(void **state)
{
    struct mote_raw *raw = *state;
    raw->pair.limits.window_updates_per_data = 1000;
    mote_raw_start(raw);
    mote_peer_setting(&raw->in, 4, 1);
    mote_peer_settings_ack(&raw->in);
    mote_peer_request(&raw->in, 1, true);
    mote_raw_feed(raw);
    mote_raw_reply(raw, 1000);
    assert_string_equal(mote_raw_collect(raw), "SETTINGS\nSETTINGS ack\nSETTINGS ack\nHEADERS 1\n");
    assert_true(mote_timer_wheel_next(&raw->pair.wheel) > raw->pair.now_ns + SECOND / 20);
    raw->pair.now_ns += SECOND / 20;
    mote_timer_wheel_advance(&raw->pair.wheel, raw->pair.now_ns);
    mote_peer_window_update(&raw->in, 1, 1);
    mote_raw_feed(raw);
    assert_string_equal(mote_raw_collect(raw), "");
    raw->pair.now_ns += SECOND / 20 + 2000000;
    assert_int_equal(raw->pair.server.attention_count, 0);
    mote_timer_wheel_advance(&raw->pair.wheel, raw->pair.now_ns);
    assert_int_equal(raw->pair.server.attention_count, 1);
    assert_string_equal(mote_raw_collect(raw), "DATA 1 2\n");
    mote_peer_window_update(&raw->in, 1, 511);
    mote_raw_feed(raw);
    assert_string_equal(mote_raw_collect(raw), "");
    mote_peer_window_update(&raw->in, 1, 1); /* 512 are worth a frame */
    mote_raw_feed(raw);
    assert_string_equal(mote_raw_collect(raw), "DATA 1 512\n");
    mote_peer_window_update(&raw->in, 1, 486); /* and so is the rest, whatever its size */
    mote_raw_feed(raw);
    assert_string_equal(mote_raw_collect(raw), "DATA 1 486\nHEADERS 1 end\n");
    mote_raw_pass(raw, 2 * SECOND);
    assert_int_equal(raw->pair.wheel.count, 0);
}

/* A crumb that is never taken away by a reset or an end. */
static void test_crumbs_and_the_end(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start(raw);
    mote_peer_setting(&raw->in, 4, 1);
    mote_peer_settings_ack(&raw->in);
    request_large_reply(raw, 1);
    (void)mote_raw_collect(raw);
    request_large_reply(raw, 3);
    (void)mote_raw_collect(raw);
    mote_h2_reset(raw->stream, MOTE_H2_CANCEL);
    assert_string_equal(mote_raw_collect(raw), "RST_STREAM 3 CANCEL\n");
    mote_peer_rst_stream(&raw->in, 1, MOTE_H2_CANCEL);
    mote_raw_feed(raw);
    mote_raw_pass(raw, 3 * SECOND);
    assert_int_equal(raw->pair.wheel.count, 0);
}

/* The transport does not take our output: reading stops, and after 20 seconds that is the end. */
static void test_blocked_transport(void **state)
{
    struct mote_raw *raw = *state;
    struct mote_h2 *h2;
    const size_t high = (size_t)raw->pair.limits.output_high;
    const size_t low = (size_t)raw->pair.limits.output_low;
    mote_raw_start_and_settle(raw);
    h2 = raw->pair.server.h2;
    mote_raw_pass(raw, 2 * SECOND);
    mote_h2_set_pending_output(h2, high, raw->pair.now_ns);
    assert_true(mote_h2_wants_read(h2));
    mote_h2_set_pending_output(h2, high + 1, raw->pair.now_ns);
    assert_false(mote_h2_wants_read(h2));
    mote_h2_set_pending_output(h2, low + 1, raw->pair.now_ns);
    assert_false(mote_h2_wants_read(h2));
    mote_h2_set_pending_output(h2, low, raw->pair.now_ns);
    assert_true(mote_h2_wants_read(h2));
    mote_h2_set_pending_output(h2, 0, raw->pair.now_ns);
    mote_raw_pass(raw, 60 * SECOND);
    assert_false(mote_h2_is_over(h2));
    size_t pending = 1000000;
    mote_h2_set_pending_output(h2, pending, raw->pair.now_ns);
    for (int i = 0; i < 60; i++) { /* a slow reader */
        mote_raw_pass(raw, SECOND);
        pending -= 1200;
        mote_h2_set_pending_output(h2, pending, raw->pair.now_ns);
    }
    assert_false(mote_h2_is_over(h2));
    for (int i = 0; i < 45; i++) { /* one that reads for show */
        mote_raw_pass(raw, SECOND);
        pending -= 500;
        mote_h2_set_pending_output(h2, pending, raw->pair.now_ns);
    }
    expect_over(raw, "0 ENHANCE_YOUR_CALM output stalled");
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
        cmocka_unit_test_setup_teardown(test_killed_before_our_settings, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test_setup_teardown(test_trickling_headers, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_timers_without_output, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_idle_costs_no_timer, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_stalled_replies, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_slow_transport_is_no_stall, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_stall_behind_a_full_window, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_rare_stalls, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test(test_dripping_windows),
        cmocka_unit_test_setup_teardown(test_crumbs, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_crumbs_and_the_end, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_blocked_transport, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test(test_metadata_limits),
        cmocka_unit_test_setup_teardown(test_request_trailers, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_shared_header_blocks_and_limits, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_shared_header_blocks, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_stream_gone_inside_shared_block, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test(test_identifiers_run_out),
        cmocka_unit_test_setup_teardown(test_goaway_from_client, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_goaway_as_grpc_go_sends_it, mote_raw_set_up, mote_raw_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
