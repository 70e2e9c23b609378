/* SPDX-License-Identifier: Apache-2.0 */
/* The frame meter: every budget at its last allowed frame and the one too many, the rules about identifiers, any split.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pair/peer.h"
#include "wire/meter.h"

#define SECOND       MOTE_LIMITS_SECOND
#define START        1000 /* ns: so early that no bucket has been refilled */
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct fixture {
    struct mote_limits limits;
    struct mote_meter meter;
    struct mote_buffer bytes; /* of the next scan */
    uint64_t now_ns;
    size_t accepted;
    const char *debug;
};

static struct fixture fixture;

/* A server's meter behind the preface. */
static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    mote_limits_init(&fixture.limits);
    mote_buffer_init(&fixture.bytes, mote_mem_system(), 0);
    fixture.now_ns = START;
    mote_meter_init(&fixture.meter, &fixture.limits, true, START);
    fixture.meter.preface_left = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mote_buffer_dispose(&fixture.bytes);
    return 0;
}

/* Scans what was built and forgets it. */
static enum mote_h2_error scan(void)
{
    const struct mote_slice bytes = mote_buffer_slice(&fixture.bytes);
    const struct mote_meter_verdict verdict = mote_meter_scan(&fixture.meter, bytes, fixture.now_ns, &fixture.accepted);
    assert_true(fixture.accepted <= bytes.length);
    assert_int_equal(verdict.error == MOTE_H2_NO_ERROR, fixture.accepted == bytes.length);
    assert_int_equal(verdict.error == MOTE_H2_NO_ERROR, verdict.debug == NULL);
    fixture.debug = verdict.debug;
    if (verdict.error != MOTE_H2_NO_ERROR) {
        fixture.meter.payload_left = 0; /* a connection would be over; here the frame never came */
        fixture.meter.block_open = false;
    }
    mote_buffer_clear(&fixture.bytes);
    return verdict.error;
}

/* Everything seen so far was delivered by nghttp2. */
static void deliver_all(void)
{
    fixture.meter.delivered = fixture.meter.seen;
}

static enum mote_h2_error frame(unsigned type, unsigned flags, uint32_t id, size_t length)
{
    static const uint8_t zeros[16384];
    mote_peer_frame(&fixture.bytes, type, flags, id, mote_slice(zeros, length));
    return scan();
}

static void expect_refills(enum mote_h2_error (*send)(void), uint64_t per_second)
{
    fixture.now_ns += SECOND / per_second - 1000000;
    assert_int_equal(send(), MOTE_H2_ENHANCE_YOUR_CALM);
    fixture.now_ns += 1000000;
    assert_int_equal(send(), MOTE_H2_NO_ERROR);
    assert_int_equal(send(), MOTE_H2_ENHANCE_YOUR_CALM);
}

static void test_preface(void **state)
{
    static const char text[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    (void)state;
    for (size_t split = 0; split <= 24; split++) {
        size_t accepted;
        mote_meter_init(&fixture.meter, &fixture.limits, true, START);
        assert_int_equal(mote_meter_scan(&fixture.meter, mote_slice(text, split), START, &accepted).error, 0);
        assert_int_equal(accepted, split);
        assert_int_equal(mote_meter_scan(&fixture.meter, mote_slice(text + split, 24 - split), START, &accepted).error,
                         0);
        assert_int_equal(fixture.meter.preface_left, 0);
        char wrong[24];
        memcpy(wrong, text, sizeof wrong);
        if (split < 24) {
            wrong[split] = 'x';
            mote_meter_init(&fixture.meter, &fixture.limits, true, START);
            assert_int_equal(mote_meter_scan(&fixture.meter, mote_slice(wrong, 24), START, &accepted).error,
                             MOTE_H2_PROTOCOL_ERROR);
            assert_int_equal(accepted, 0);
        }
    }
    mote_meter_init(&fixture.meter, &fixture.limits, false, START);
    assert_int_equal(fixture.meter.preface_left, 0);
}

static enum mote_h2_error send_unknown(void)
{
    return frame(0x42, 0, 0, 0);
}

static void test_glitches(void **state)
{
    (void)state;
    for (size_t i = 0; i < fixture.limits.glitch_burst; i++) {
        assert_int_equal(send_unknown(), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(send_unknown(), MOTE_H2_ENHANCE_YOUR_CALM);
    assert_string_equal(fixture.debug, "too many glitches");
    expect_refills(send_unknown, fixture.limits.glitch_rate);
    /* However long it is quiet, there is no more than the burst. */
    fixture.now_ns += 100000 * SECOND;
    assert_int_equal(mote_meter_glitch(&fixture.meter, (uint32_t)fixture.limits.glitch_burst + 1, fixture.now_ns).error,
                     MOTE_H2_ENHANCE_YOUR_CALM);
    assert_int_equal(mote_meter_glitch(&fixture.meter, (uint32_t)fixture.limits.glitch_burst, fixture.now_ns).error, 0);
    assert_int_equal(send_unknown(), MOTE_H2_ENHANCE_YOUR_CALM);
    fixture.now_ns += 100000 * SECOND;
    for (size_t i = 0; i < fixture.limits.glitch_burst; i++) {
        assert_int_equal(send_unknown(), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(send_unknown(), MOTE_H2_ENHANCE_YOUR_CALM);
}

/* A bucket that was never touched was never more than full. */
static void test_quiet_start(void **state)
{
    (void)state;
    fixture.now_ns += 100000 * SECOND;
    for (size_t i = 0; i < fixture.limits.glitch_burst; i++) {
        assert_int_equal(send_unknown(), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(send_unknown(), MOTE_H2_ENHANCE_YOUR_CALM);
}

/* Frames and how often each may come before the budget of 500 is spent. */
static void test_costs(void **state)
{
    static const struct {
        const char *what;
        unsigned type, flags;
        uint32_t id;
        size_t length;
        size_t allowed; /* 0: any number */
    } rows[] = {
        {"unknown", 0x42, 0, 0, 0, 500},
        {"unknown, just under 4 KiB", 0x42, 0, 0, 4095, 500},
        {"unknown, 4 KiB", 0x42, 0, 0, 4096, 250},
        {"unknown, 16 KiB", 0x42, 0, 0, 16384, 100},
        {"ALTSVC", 0xa, 0, 0, 10, 500},
        {"PRIORITY_UPDATE", 0x10, 0, 0, 10, 500},
        {"PRIORITY", PEER_PRIORITY, 0, 1, 5, 500},
        {"empty DATA", PEER_DATA, 0, 1, 0, 100},
        {"empty DATA that ends", PEER_DATA, PEER_END_STREAM, 1, 0, 0},
        {"DATA", PEER_DATA, 0, 1, 1, 0},
        {"empty HEADERS", PEER_HEADERS, PEER_END_HEADERS, 1, 0, 100},
        {"empty HEADERS that end", PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, 1, 0, 0},
        {"empty CONTINUATION", PEER_CONTINUATION, 0, 1, 0, 100},
        {"empty CONTINUATION that ends", PEER_CONTINUATION, PEER_END_HEADERS, 1, 0, 0},
        {"GOAWAY", PEER_GOAWAY, 0, 0, 8, 502},
        {"SETTINGS acknowledged unasked", PEER_SETTINGS, PEER_ACK, 0, 0, 500},
        {"PING acknowledged unasked", PEER_PING, PEER_ACK, 0, 8, 500},
        {"PUSH_PROMISE", PEER_PUSH_PROMISE, 0, 1, 4, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tear_down(state);
        set_up(state);
        const size_t times = rows[i].allowed != 0 ? rows[i].allowed : 2000;
        for (size_t n = 0; n < times; n++) {
            const enum mote_h2_error error = frame(rows[i].type, rows[i].flags, rows[i].id, rows[i].length);
            if (error != MOTE_H2_NO_ERROR) {
                fail_msg("%s number %zu", rows[i].what, n);
            }
        }
        if (rows[i].allowed != 0 &&
            frame(rows[i].type, rows[i].flags, rows[i].id, rows[i].length) != MOTE_H2_ENHANCE_YOUR_CALM) {
            fail_msg("%s may come too often", rows[i].what);
        }
    }
}

static void test_acknowledgements_we_expect(void **state)
{
    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        mote_meter_expect_ack(&fixture.meter);
        assert_int_equal(frame(PEER_PING, PEER_ACK, 0, 8), MOTE_H2_NO_ERROR);
    }
}

static enum mote_h2_error send_settings(void)
{
    return frame(PEER_SETTINGS, 0, 0, 6);
}

static void test_settings(void **state)
{
    (void)state;
    for (size_t i = 0; i < 1 + fixture.limits.settings_burst; i++) { /* the one of the preface is free */
        assert_int_equal(send_settings(), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(send_settings(), MOTE_H2_ENHANCE_YOUR_CALM);
    assert_string_equal(fixture.debug, "too many SETTINGS frames");
    expect_refills(send_settings, fixture.limits.settings_rate);
}

static enum mote_h2_error send_ping(void)
{
    return frame(PEER_PING, 0, 0, 8);
}

static void test_pings(void **state)
{
    (void)state;
    fixture.limits.keepalive_min_time = 0; /* the bucket alone */
    for (size_t i = 0; i < fixture.limits.ping_burst; i++) {
        assert_int_equal(send_ping(), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(send_ping(), MOTE_H2_ENHANCE_YOUR_CALM);
    assert_string_equal(fixture.debug, "too_many_pings");
    expect_refills(send_ping, fixture.limits.ping_rate);
    /* Each frame we send earns one, and they are saved up to ten bursts. */
    for (size_t i = 0; i < 5000; i++) {
        mote_meter_sent(&fixture.meter, i % 2 == 0);
    }
    for (size_t i = 0; i < 10 * fixture.limits.ping_burst; i++) {
        assert_int_equal(send_ping(), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(send_ping(), MOTE_H2_ENHANCE_YOUR_CALM);
    for (size_t i = 0; i < 10000; i++) { /* a busy client that measures its bandwidth with each answer */
        mote_meter_sent(&fixture.meter, true);
        assert_int_equal(send_ping(), MOTE_H2_NO_ERROR);
    }
}

/* gRFC A8: intervals between PINGs, and which of them ends the connection (0: none of them). */
static void test_ping_strikes(void **state)
{
    static const struct {
        const char *what;
        uint64_t interval_ns;
        uint64_t open_streams;
        uint64_t without_calls;
        bool sends; /* we send DATA between them */
        size_t fatal;
    } rows[] = {
        {"idle, every second", SECOND, 0, 0, false, 3},
        {"a call, every second", SECOND, 1, 0, false, 3},
        {"a call, just too often", 300 * SECOND - 1, 1, 0, false, 3},
        {"a call, every five minutes", 300 * SECOND, 1, 0, false, 0},
        {"idle, every five minutes", 300 * SECOND, 0, 0, false, 3},
        {"idle, every five minutes, permitted", 300 * SECOND, 0, 1, false, 0},
        {"idle, every two hours", 7200 * SECOND, 0, 0, false, 0},
        {"answers between", SECOND, 1, 0, true, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tear_down(state);
        set_up(state);
        fixture.limits.keepalive_without_calls = rows[i].without_calls;
        fixture.meter.open_streams = rows[i].open_streams;
        size_t fatal = 0;
        for (size_t n = 1; n <= 20 && fatal == 0; n++) {
            if (rows[i].sends) {
                mote_meter_sent(&fixture.meter, true);
            }
            if (send_ping() != MOTE_H2_NO_ERROR) {
                assert_string_equal(fixture.debug, "too_many_pings");
                fatal = n;
            }
            fixture.now_ns += rows[i].interval_ns;
        }
        if (fatal != rows[i].fatal) {
            fail_msg("%s: ended by PING %zu, not %zu", rows[i].what, fatal, rows[i].fatal);
        }
    }
}

/* What we send forgives the strikes before it, and not those behind it. */
static void test_ping_strikes_forgiven(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        assert_int_equal(send_ping(), MOTE_H2_NO_ERROR);
        assert_int_equal(send_ping(), MOTE_H2_NO_ERROR); /* a strike */
        mote_meter_sent(&fixture.meter, false);
    }
    assert_int_equal(send_ping(), MOTE_H2_NO_ERROR);
    assert_int_equal(send_ping(), MOTE_H2_NO_ERROR);
    assert_int_equal(send_ping(), MOTE_H2_ENHANCE_YOUR_CALM);
}

/* What is earned is added to what is left, frame for frame. */
static void test_pings_earned(void **state)
{
    (void)state;
    fixture.limits.keepalive_min_time = 0;
    for (size_t i = 0; i < fixture.limits.ping_burst - 1; i++) {
        assert_int_equal(send_ping(), MOTE_H2_NO_ERROR);
    }
    for (size_t i = 0; i < 7; i++) {
        mote_meter_sent(&fixture.meter, true);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(send_ping(), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(send_ping(), MOTE_H2_ENHANCE_YOUR_CALM);
}

static void test_window_updates(void **state)
{
    static const struct {
        size_t streams, data, allowed;
    } rows[] = {{0, 0, 5}, {1, 0, 7}, {3, 0, 11}, {1, 1, 27}, {2, 5, 109}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        tear_down(state);
        set_up(state);
        for (size_t n = 0; n < rows[i].streams; n++) {
            assert_int_equal(frame(PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, (uint32_t)(2 * n + 1), 1),
                             MOTE_H2_NO_ERROR);
            mote_meter_sent(&fixture.meter, false);
        }
        for (size_t n = 0; n < rows[i].data; n++) {
            mote_meter_sent(&fixture.meter, true);
        }
        for (size_t n = 0; n < rows[i].allowed; n++) {
            assert_int_equal(frame(PEER_WINDOW_UPDATE, 0, 0, 4), MOTE_H2_NO_ERROR);
        }
        assert_int_equal(frame(PEER_WINDOW_UPDATE, 0, 0, 4), MOTE_H2_ENHANCE_YOUR_CALM);
    }
}

/* A client's meter goes by the requests it sent. */
static void test_window_updates_for_a_client(void **state)
{
    (void)state;
    mote_meter_init(&fixture.meter, &fixture.limits, false, START);
    mote_meter_sent(&fixture.meter, false);
    mote_meter_sent(&fixture.meter, true);
    for (size_t n = 0; n < 5 + 2 * (1 + 10); n++) {
        assert_int_equal(frame(PEER_WINDOW_UPDATE, 0, 0, 4), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(frame(PEER_WINDOW_UPDATE, 0, 0, 4), MOTE_H2_ENHANCE_YOUR_CALM);
}

static enum mote_h2_error send_reset(void)
{
    return frame(PEER_RST_STREAM, 0, 1, 4);
}

static void test_resets(void **state)
{
    (void)state;
    for (size_t i = 0; i < fixture.limits.resets_burst; i++) {
        assert_int_equal(send_reset(), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(send_reset(), MOTE_H2_ENHANCE_YOUR_CALM);
    fixture.now_ns += 1000000; /* a thousandth of a second brings one back */
    assert_int_equal(send_reset(), MOTE_H2_NO_ERROR);
    assert_int_equal(send_reset(), MOTE_H2_ENHANCE_YOUR_CALM);
}

static enum mote_h2_error send_headers(uint32_t id)
{
    return frame(PEER_HEADERS, PEER_END_HEADERS, id, 10);
}

static void test_identifiers(void **state)
{
    (void)state;
    assert_int_equal(send_headers(1), MOTE_H2_NO_ERROR);
    assert_int_equal(send_headers(9), MOTE_H2_NO_ERROR); /* 3, 5 and 7 are gone with it */
    assert_int_equal(fixture.meter.last_stream_id, 9);
    assert_int_equal(send_headers(1), MOTE_H2_NO_ERROR); /* trailers */
    assert_int_equal(send_headers(9), MOTE_H2_NO_ERROR);
    assert_int_equal(send_headers(3), MOTE_H2_PROTOCOL_ERROR);
    assert_int_equal(send_headers(7), MOTE_H2_PROTOCOL_ERROR);
    assert_int_equal(frame(PEER_DATA, 0, 5, 10), MOTE_H2_STREAM_CLOSED);
    assert_int_equal(fixture.accepted, 0);
    /* Closed by the peer: nothing more may come on it. Closed by us: what comes was on its way. */
    mote_meter_stream_closed(&fixture.meter, 1, true);
    mote_meter_stream_closed(&fixture.meter, 9, false);
    assert_int_equal(send_headers(1), MOTE_H2_STREAM_CLOSED);
    assert_int_equal(frame(PEER_DATA, 0, 1, 1), MOTE_H2_STREAM_CLOSED);
    assert_int_equal(frame(PEER_WINDOW_UPDATE, 0, 1, 4), MOTE_H2_NO_ERROR);
    assert_int_equal(frame(PEER_RST_STREAM, 0, 1, 4), MOTE_H2_NO_ERROR);
    assert_int_equal(frame(PEER_DATA, 0, 9, 1), MOTE_H2_NO_ERROR);
    assert_int_equal(frame(PEER_RST_STREAM, 0, 9, 4), MOTE_H2_NO_ERROR);
    assert_int_equal(frame(PEER_DATA, 0, 9, 1), MOTE_H2_STREAM_CLOSED);
    /* RST_STREAM for a stream that was never opened closes nothing: nghttp2 ends the connection. */
    assert_int_equal(frame(PEER_RST_STREAM, 0, 11, 4), MOTE_H2_NO_ERROR);
    assert_int_equal(send_headers(11), MOTE_H2_NO_ERROR);
    assert_int_equal(fixture.meter.skipped_count, 1); /* 11 follows 9 */
    /* Who closed it first is remembered, and the newer of two streams in one place. */
    mote_meter_stream_closed(&fixture.meter, 11, true);
    mote_meter_stream_closed(&fixture.meter, 11, false);
    assert_int_equal(frame(PEER_DATA, 0, 11, 1), MOTE_H2_STREAM_CLOSED);
    mote_meter_stream_closed(&fixture.meter, 11 + 2 * MOTE_METER_CLOSED_IDS, true);
    mote_meter_stream_closed(&fixture.meter, 11, true);
    assert_int_equal(frame(PEER_DATA, 0, 11, 1), MOTE_H2_NO_ERROR);
    assert_int_equal(frame(PEER_DATA, 0, 11 + 2 * MOTE_METER_CLOSED_IDS, 1), MOTE_H2_STREAM_CLOSED);
    assert_int_equal(send_headers(0x7fffffff), MOTE_H2_NO_ERROR);
    assert_int_equal(send_headers(0x7ffffffd), MOTE_H2_PROTOCOL_ERROR);
}

/* RFC 9113 §6.3; nghttp2 ignores it. */
static void test_priority_of_the_connection(void **state)
{
    (void)state;
    assert_int_equal(frame(PEER_PRIORITY, 0, 1, 5), MOTE_H2_NO_ERROR);
    assert_int_equal(frame(PEER_PRIORITY, 0, 0, 5), MOTE_H2_PROTOCOL_ERROR);
    assert_int_equal(fixture.accepted, 0);
}

static void test_closed_streams_remembered(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2 * MOTE_METER_CLOSED_IDS; i++) {
        assert_int_equal(send_headers(2 * i + 1), MOTE_H2_NO_ERROR);
        mote_meter_stream_closed(&fixture.meter, 2 * i + 1, true);
    }
    const uint32_t last = 2 * (2 * MOTE_METER_CLOSED_IDS - 1) + 1;
    const uint32_t oldest = last - 2 * (MOTE_METER_CLOSED_IDS - 1);
    assert_int_equal(frame(PEER_DATA, 0, last, 1), MOTE_H2_STREAM_CLOSED);
    assert_int_equal(frame(PEER_DATA, 0, oldest, 1), MOTE_H2_STREAM_CLOSED);
    assert_int_equal(frame(PEER_DATA, 0, oldest - 2, 1), MOTE_H2_NO_ERROR); /* forgotten: it will be ignored */
    assert_int_equal(mote_meter_settle(&fixture.meter, START).error, MOTE_H2_NO_ERROR);
}

static void test_skipped_ranges_remembered(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= MOTE_METER_SKIPPED_RANGES + 1; i++) {
        assert_int_equal(send_headers(100 * i + 1), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(send_headers(99), MOTE_H2_NO_ERROR); /* the oldest is forgotten */
    assert_int_equal(send_headers(103), MOTE_H2_PROTOCOL_ERROR);
    assert_int_equal(send_headers(199), MOTE_H2_PROTOCOL_ERROR);
    assert_int_equal(send_headers(201), MOTE_H2_NO_ERROR);
    assert_int_equal(send_headers(100 * (MOTE_METER_SKIPPED_RANGES + 1) - 1), MOTE_H2_PROTOCOL_ERROR);
}

/* Frames that nghttp2 did not deliver are charged, but for those that a stream we ended early forgives. */
static void test_ignored_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(frame(PEER_DATA, 0, 1, 16384), MOTE_H2_NO_ERROR);
        assert_int_equal(mote_meter_settle(&fixture.meter, START).error, MOTE_H2_NO_ERROR);
    }
    assert_int_equal(frame(PEER_DATA, 0, 1, 1), MOTE_H2_NO_ERROR);
    assert_int_equal(mote_meter_settle(&fixture.meter, START).error, MOTE_H2_ENHANCE_YOUR_CALM);
    for (size_t i = 0; i < 1000; i++) { /* delivered ones cost nothing, whole or in parts */
        assert_int_equal(frame(PEER_DATA, 0, 1, 16384), MOTE_H2_NO_ERROR);
        mote_meter_delivered(&fixture.meter, 16384);
        assert_int_equal(send_headers(1), MOTE_H2_NO_ERROR);
        mote_meter_delivered(&fixture.meter, 0);
        assert_int_equal(mote_meter_settle(&fixture.meter, START).error, MOTE_H2_NO_ERROR);
    }
    for (size_t i = 0; i < 100; i++) {
        mote_meter_forgive(&fixture.meter);
    }
    assert_int_equal(fixture.meter.forgiven, MOTE_METER_FORGIVEN_MAX);
    for (size_t i = 0; i < MOTE_METER_FORGIVEN_MAX; i++) {
        assert_int_equal(frame(PEER_DATA, 0, 1, 1), MOTE_H2_NO_ERROR);
        assert_int_equal(mote_meter_settle(&fixture.meter, START).error, MOTE_H2_NO_ERROR);
    }
    assert_int_equal(frame(PEER_DATA, 0, 1, 1), MOTE_H2_NO_ERROR);
    assert_int_equal(mote_meter_settle(&fixture.meter, START).error, MOTE_H2_ENHANCE_YOUR_CALM);
}

static void test_forgiveness(void **state)
{
    (void)state;
    fixture.limits.glitch_burst = 0; /* whatever is not forgiven is one too many */
    mote_meter_forgive(&fixture.meter);
    assert_int_equal(fixture.meter.forgiven, MOTE_METER_FORGIVEN);
    for (size_t i = 0; i < MOTE_METER_FORGIVEN; i++) { /* all at once, to the last */
        assert_int_equal(frame(PEER_DATA, 0, 1, 1), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(mote_meter_settle(&fixture.meter, START).error, MOTE_H2_NO_ERROR);
    assert_int_equal(fixture.meter.forgiven, 0);
    fixture.limits.glitch_burst = 3;
    mote_meter_init(&fixture.meter, &fixture.limits, true, START);
    fixture.meter.preface_left = 0;
    mote_meter_forgive(&fixture.meter);
    for (size_t i = 0; i < MOTE_METER_FORGIVEN + 3; i++) { /* the rest is charged, and only that */
        assert_int_equal(frame(PEER_DATA, 0, 1, 1), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(mote_meter_settle(&fixture.meter, START).error, MOTE_H2_NO_ERROR);
    assert_int_equal(frame(PEER_DATA, 0, 1, 1), MOTE_H2_NO_ERROR);
    assert_int_equal(mote_meter_settle(&fixture.meter, START).error, MOTE_H2_ENHANCE_YOUR_CALM);
}

/* Frames without a payload are whole at once. */
static void test_empty_frames_end(void **state)
{
    uint64_t since;
    (void)state;
    assert_int_equal(frame(PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, 1, 0), MOTE_H2_NO_ERROR);
    assert_false(mote_meter_is_waiting(&fixture.meter, &since));
    assert_int_equal(fixture.meter.seen, 1);
    assert_int_equal(frame(PEER_DATA, PEER_END_STREAM, 1, 0), MOTE_H2_NO_ERROR);
    assert_int_equal(fixture.meter.seen, 2);
    assert_int_equal(frame(PEER_HEADERS, PEER_END_STREAM, 3, 0), MOTE_H2_NO_ERROR);
    assert_true(mote_meter_is_waiting(&fixture.meter, &since));
    assert_int_equal(frame(PEER_CONTINUATION, PEER_END_HEADERS, 3, 0), MOTE_H2_NO_ERROR);
    assert_false(mote_meter_is_waiting(&fixture.meter, &since));
    assert_int_equal(fixture.meter.seen, 3);
}

static void test_partial_frames_are_not_ignored_ones(void **state)
{
    size_t accepted;
    (void)state;
    mote_peer_data(&fixture.bytes, 1, 5000, false);
    const struct mote_slice bytes = mote_buffer_slice(&fixture.bytes);
    for (size_t i = 0; i < bytes.length; i++) {
        assert_int_equal(mote_meter_scan(&fixture.meter, mote_slice(bytes.data + i, 1), START, &accepted).error, 0);
        assert_int_equal(fixture.meter.seen, i + 1 == bytes.length ? 2 : 0);
    }
}

static enum mote_h2_error padded(unsigned type, size_t data, uint8_t pad)
{
    uint8_t payload[600] = {pad};
    mote_peer_frame(&fixture.bytes, type, PEER_PADDED | PEER_END_HEADERS, 1, mote_slice(payload, 1 + data + pad));
    const enum mote_h2_error error = scan();
    deliver_all();
    return error;
}

static void test_padding(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2000; i++) { /* one byte of data for each hundred of padding is honest */
        assert_int_equal(padded(PEER_DATA, 3, 255), MOTE_H2_NO_ERROR);
        assert_int_equal(padded(PEER_DATA, 1, 100), MOTE_H2_NO_ERROR);
        assert_int_equal(padded(PEER_DATA, 0, 0), MOTE_H2_NO_ERROR);
        assert_int_equal(padded(PEER_HEADERS, 3, 255), MOTE_H2_NO_ERROR);
        assert_int_equal(frame(PEER_HEADERS, PEER_END_HEADERS, 1, 1), MOTE_H2_NO_ERROR); /* its byte is no pad length */
        mote_peer_frame(&fixture.bytes, PEER_DATA, 0, 1, mote_slice_text("\xff"));
        assert_int_equal(scan(), MOTE_H2_NO_ERROR);
        mote_peer_frame(&fixture.bytes, PEER_HEADERS, PEER_END_HEADERS, 1, mote_slice_text("\xff"));
        assert_int_equal(scan(), MOTE_H2_NO_ERROR);
        deliver_all();
    }
    for (size_t i = 0; i < fixture.limits.glitch_burst; i++) {
        const unsigned type = i % 3 == 0 ? PEER_HEADERS : PEER_DATA;
        assert_int_equal(i % 2 == 0 ? padded(type, 1, 101) : padded(type, 2, 255), MOTE_H2_NO_ERROR);
    }
    assert_int_equal(padded(PEER_DATA, 1, 255), MOTE_H2_ENHANCE_YOUR_CALM);
}

/* A padded frame without the pad length is the peer's fault, but the next frame's first byte is none. */
static void test_padding_without_a_length(void **state)
{
    (void)state;
    fixture.limits.glitch_burst = 0;
    assert_int_equal(frame(PEER_DATA, PEER_PADDED | PEER_END_STREAM, 1, 0), MOTE_H2_NO_ERROR);
    mote_peer_frame(&fixture.bytes, PEER_RST_STREAM, 0, 1, mote_slice_text("\xff\xff\xff\xff"));
    assert_int_equal(scan(), MOTE_H2_NO_ERROR);
}

static void test_cancelled_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < 249; i++) {
        assert_int_equal(mote_meter_call_ended(&fixture.meter, true).error, MOTE_H2_NO_ERROR);
    }
    struct mote_meter other = fixture.meter;
    assert_int_equal(mote_meter_call_ended(&other, true).error, MOTE_H2_ENHANCE_YOUR_CALM);
    /* Half of the last 500: those before them are forgotten. */
    for (size_t i = 0; i < 251; i++) {
        assert_int_equal(mote_meter_call_ended(&fixture.meter, false).error, MOTE_H2_NO_ERROR);
    }
    assert_int_equal(fixture.meter.cancelled, 249);
    for (size_t i = 0; i < 249; i++) {
        assert_int_equal(mote_meter_call_ended(&fixture.meter, true).error, MOTE_H2_NO_ERROR);
    }
    assert_int_equal(mote_meter_call_ended(&fixture.meter, true).error, MOTE_H2_ENHANCE_YOUR_CALM);
    set_up(state);
    for (size_t i = 0; i < 10000; i++) { /* a tenth cancelled, for ever */
        assert_int_equal(mote_meter_call_ended(&fixture.meter, i % 10 == 0).error, MOTE_H2_NO_ERROR);
    }
    fixture.limits.cancelled_window = 0; /* switched off */
    for (size_t i = 0; i < 10000; i++) {
        assert_int_equal(mote_meter_call_ended(&fixture.meter, true).error, MOTE_H2_NO_ERROR);
    }
}

static void test_waiting(void **state)
{
    uint64_t since;
    size_t accepted;
    (void)state;
    mote_peer_frame(&fixture.bytes, PEER_HEADERS, 0, 1, mote_slice_text("abc"));
    mote_peer_frame(&fixture.bytes, PEER_CONTINUATION, PEER_END_HEADERS, 1, mote_slice_text("def"));
    const struct mote_slice bytes = mote_buffer_slice(&fixture.bytes);
    assert_false(mote_meter_is_waiting(&fixture.meter, &since));
    for (size_t i = 0; i < bytes.length; i++) {
        assert_int_equal(mote_meter_scan(&fixture.meter, mote_slice(bytes.data + i, 1), START + i, &accepted).error, 0);
        assert_int_equal(mote_meter_is_waiting(&fixture.meter, &since), i + 1 != bytes.length);
        if (i + 1 != bytes.length) {
            assert_int_equal(since, START);
        }
    }
    mote_buffer_clear(&fixture.bytes);
    mote_peer_data(&fixture.bytes, 1, 100, false); /* a body may take its time; its header may not */
    const struct mote_slice data = mote_buffer_slice(&fixture.bytes);
    assert_int_equal(mote_meter_scan(&fixture.meter, mote_slice(data.data, 8), START + 100, &accepted).error, 0);
    assert_true(mote_meter_is_waiting(&fixture.meter, &since));
    assert_int_equal(since, START + 100);
    assert_int_equal(mote_meter_scan(&fixture.meter, mote_slice(data.data + 8, 50), START + 101, &accepted).error, 0);
    assert_false(mote_meter_is_waiting(&fixture.meter, &since));
}

/* The bytes before the frame that breaks a limit are good. */
static void test_accepted(void **state)
{
    (void)state;
    mote_peer_ping(&fixture.bytes, false);
    assert_int_equal(send_headers(5), MOTE_H2_NO_ERROR);
    mote_peer_ping(&fixture.bytes, false);
    mote_peer_request(&fixture.bytes, 7, true);
    const size_t good = mote_buffer_length(&fixture.bytes);
    mote_peer_request(&fixture.bytes, 3, true);
    mote_peer_request(&fixture.bytes, 9, true);
    assert_int_equal(scan(), MOTE_H2_PROTOCOL_ERROR);
    assert_int_equal(fixture.accepted, good);
}

/* However the bytes are cut, the same frame is the one too many. */
static void test_any_split(void **state)
{
    (void)state;
    struct mote_buffer bytes;
    mote_buffer_init(&bytes, mote_mem_system(), 0);
    mote_peer_preface(&bytes);
    mote_peer_settings_ack(&bytes);
    mote_peer_request(&bytes, 1, false);
    mote_peer_data(&bytes, 1, 300, false);
    mote_peer_frame(&bytes, PEER_DATA, PEER_PADDED, 1, mote_slice_text("\005abcde12345"));
    mote_peer_ping(&bytes, false);
    mote_peer_request(&bytes, 5, true);
    const size_t good = mote_buffer_length(&bytes);
    mote_peer_request(&bytes, 3, true);
    const struct mote_slice all = mote_buffer_slice(&bytes);
    for (size_t chunk = 1; chunk <= all.length; chunk++) {
        mote_meter_init(&fixture.meter, &fixture.limits, true, START);
        enum mote_h2_error error = MOTE_H2_NO_ERROR;
        size_t at = 0;
        while (at < all.length && error == MOTE_H2_NO_ERROR) {
            const size_t length = all.length - at < chunk ? all.length - at : chunk;
            size_t accepted;
            error = mote_meter_scan(&fixture.meter, mote_slice(all.data + at, length), START, &accepted).error;
            at += accepted;
        }
        assert_int_equal(error, MOTE_H2_PROTOCOL_ERROR);
        assert_true(at >= good && at < good + 9);
        assert_int_equal(fixture.meter.seen, 4);
        assert_int_equal(fixture.meter.last_stream_id, 5);
    }
    mote_buffer_dispose(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_preface, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_glitches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_quiet_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_costs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_acknowledgements_we_expect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pings_earned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ping_strikes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ping_strikes_forgiven, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_window_updates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_window_updates_for_a_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_resets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_identifiers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_priority_of_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closed_streams_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_skipped_ranges_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ignored_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty_frames_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forgiveness, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_partial_frames_are_not_ignored_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_padding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_padding_without_a_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancelled_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_split, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
