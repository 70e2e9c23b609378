/* SPDX-License-Identifier: Apache-2.0 */
/* What may not last for ever on a server's connection, and what may: each limit of time at its last moment and behind
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pair/raw.h"

#define SECOND       MOTE_LIMITS_SECOND
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void expect_over(struct mote_raw *raw, const char *goaway)
{
    assert_true(mote_raw_is_over(raw));
    assert_string_equal(raw->goaway, goaway);
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

/* Each time output has to wait is a time of its own. */
static void test_transport_blocked_again(void **state)
{
    struct mote_raw *raw = *state;
    mote_raw_start(raw);
    mote_peer_setting(&raw->in, 4, 1000000);
    mote_peer_window_update(&raw->in, 0, 1000000);
    mote_peer_settings_ack(&raw->in);
    mote_peer_request(&raw->in, 1, true);
    mote_raw_feed(raw);
    mote_raw_reply(raw, 500000);
    (void)mote_raw_collect(raw);
    struct mote_h2 *h2 = raw->pair.server.h2;
    mote_raw_pass(raw, 2 * SECOND);
    for (int i = 0; i < 3; i++) {
        mote_h2_set_pending_output(h2, 100000, raw->pair.now_ns);
        mote_raw_pass(raw, 19 * SECOND);
        assert_false(mote_h2_is_over(h2));
        mote_h2_set_pending_output(h2, 0, raw->pair.now_ns);
        mote_raw_pass(raw, 60 * SECOND);
    }
    assert_int_equal(raw->pair.wheel.count, 0);
    mote_h2_set_pending_output(h2, 100000, raw->pair.now_ns);
    mote_raw_pass(raw, 22 * SECOND);
    expect_over(raw, "1 ENHANCE_YOUR_CALM output stalled");
}

/* A stream that had nothing to send does not begin to stall before it has. */
static void test_stall_begins_with_output(void **state)
{
    static const uint8_t zeros[5000];
    struct mote_raw *raw = *state;
    mote_raw_start(raw);
    mote_peer_setting(&raw->in, 4, 1000);
    mote_peer_settings_ack(&raw->in);
    mote_peer_request(&raw->in, 1, true);
    mote_raw_feed(raw);
    assert_int_equal(mote_pair_respond(raw->stream), 0);
    assert_int_equal(mote_h2_write(raw->stream, mote_slice(zeros, 1000), mote_slice_text("")), 0);
    mote_raw_pass(raw, 40 * SECOND);
    assert_int_equal(mote_h2_write(raw->stream, mote_slice(zeros, sizeof zeros), mote_slice_text("")), 0);
    mote_raw_pass(raw, 29 * SECOND);
    assert_int_equal(raw->resets_sent, 0);
    mote_raw_pass(raw, 4 * SECOND);
    assert_int_equal(raw->resets_sent, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test_setup_teardown(test_trickling_headers, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_timers_without_output, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_idle_costs_no_timer, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_stalled_replies, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_stall_begins_with_output, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_slow_transport_is_no_stall, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_stall_behind_a_full_window, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_rare_stalls, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test(test_dripping_windows),
        cmocka_unit_test_setup_teardown(test_crumbs, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_crumbs_and_the_end, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_blocked_transport, mote_raw_set_up, mote_raw_tear_down),
        cmocka_unit_test_setup_teardown(test_transport_blocked_again, mote_raw_set_up, mote_raw_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
