/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's connection against peers that misbehave. Each case is a peer that sends the same again and again, or one
 * thing once; what it gets, when, and at what cost in memory is compared.
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

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/*
 * Floods: what is sent in each round (`n` from 0), and what must become of it.
 */
typedef void flood_cb(struct mote_buffer *out, uint32_t n);

static void flood_rapid_reset(struct mote_buffer *out, uint32_t n)
{
    mote_peer_request(out, mote_peer_id(n), true);
    mote_peer_rst_stream(out, mote_peer_id(n), MOTE_H2_CANCEL);
}

static void flood_rapid_reset_without_sense(struct mote_buffer *out, uint32_t n)
{
    mote_raw_request_with(out, mote_peer_id(n), PEER_END_STREAM, "grpc-timeout", "soon");
    mote_peer_rst_stream(out, mote_peer_id(n), MOTE_H2_CANCEL);
}

static void flood_window_overflow(struct mote_buffer *out, uint32_t n)
{
    mote_peer_request(out, mote_peer_id(n), true);
    mote_peer_window_update(out, mote_peer_id(n), 0x7fffffff);
}

static void flood_initial_window(struct mote_buffer *out, uint32_t n)
{
    if (n % 100 == 0) {
        mote_peer_setting(out, 4, 0);
    }
    mote_peer_request(out, mote_peer_id(n), true);
    mote_peer_window_update(out, mote_peer_id(n), 0x7fffffff);
    if (n % 100 == 99) {
        mote_peer_setting(out, 4, 1);
    }
}

static void flood_content_length(struct mote_buffer *out, uint32_t n)
{
    mote_raw_request_with(out, mote_peer_id(n), 0, "content-length", "9");
    mote_peer_data(out, mote_peer_id(n), 2, true);
}

static void flood_bad_trailers(struct mote_buffer *out, uint32_t n)
{
    mote_peer_request(out, mote_peer_id(n), false);
    mote_peer_frame(out, PEER_HEADERS, PEER_END_HEADERS, mote_peer_id(n), mote_slice("\x00\x01t\x01v", 5));
}

static void flood_connection_header(struct mote_buffer *out, uint32_t n)
{
    mote_raw_request_with(out, mote_peer_id(n), PEER_END_STREAM, "connection", "x");
}

static void flood_requests(struct mote_buffer *out, uint32_t n)
{
    mote_peer_request(out, mote_peer_id(n), true);
}

static void flood_pings(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_ping(out, false);
}

static void flood_settings(struct mote_buffer *out, uint32_t n)
{
    mote_peer_setting(out, 4, n % 2 == 0 ? 1 : 65535);
}

static void flood_empty_data(struct mote_buffer *out, uint32_t n)
{
    if (n == 0) {
        mote_peer_request(out, 1, false);
    }
    mote_peer_data(out, 1, 0, false);
}

static void flood_unknown(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_frame(out, 0x42, 0, 0, mote_slice_text("x"));
}

static void flood_priority(struct mote_buffer *out, uint32_t n)
{
    mote_peer_frame(out, PEER_PRIORITY, 0, mote_peer_id(n), mote_slice("\0\0\0\0\1", 5));
}

static void flood_priority_update(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_frame(out, 0x10, 0, 0, mote_slice("\0\0\0\1u=1", 7));
}

static void flood_closed_stream(struct mote_buffer *out, uint32_t n)
{
    if (n == 0) { /* the server resets it, for its broken trailers */
        flood_bad_trailers(out, 0);
    }
    mote_peer_data(out, 1, 10000, false);
}

static void flood_window_updates(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_window_update(out, 0, 1);
}

static void flood_padding(struct mote_buffer *out, uint32_t n)
{
    static const uint8_t payload[257] = {255};
    if (n == 0) {
        mote_peer_request(out, 1, false);
    }
    mote_peer_frame(out, PEER_DATA, PEER_PADDED, 1, mote_slice(payload, sizeof payload));
}

static void flood_goaway(struct mote_buffer *out, uint32_t n)
{
    if (n == 0) { /* something to stay for */
        mote_peer_request(out, 1, false);
    }
    mote_peer_goaway(out, 0, 0);
}

static void flood_large_blocks(struct mote_buffer *out, uint32_t n)
{
    struct mote_buffer block;
    mote_buffer_init(&block, mote_mem_system(), 0);
    mote_peer_request_fields(&block);
    for (int i = 0; i < 140; i++) {
        mote_peer_field(&block, "a", "");
    }
    mote_peer_frame(out, PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, mote_peer_id(n), mote_buffer_slice(&block));
    mote_buffer_dispose(&block);
}

static const struct flood {
    const char *what;
    flood_cb *round;
    bool acknowledges;  /* our SETTINGS */
    bool reads;         /* our output, after each round */
    size_t rounds_max;  /* it must be over by then */
    size_t calls_max;   /* HEADERS events */
    size_t resets_max;  /* RST_STREAM frames sent */
    const char *goaway; /* ends with */
} floods[] = {
    {"rapid reset", flood_rapid_reset, true, true, 250, 250, 0, "too many cancelled calls"},
    {"rapid reset, not reading", flood_rapid_reset, true, false, 250, 250, 0, "too many cancelled calls"},
    {"rapid reset, deadlines without sense", flood_rapid_reset_without_sense, true, true, 250, 250, 0,
     "too many cancelled calls"},
    {"window overflow", flood_window_overflow, true, true, 260, 260, 250, "too many cancelled calls"},
    {"initial window", flood_initial_window, true, true, 600, 600, 500, "too many cancelled calls"},
    {"content-length", flood_content_length, true, true, 251, 250, 250, "too many cancelled calls"},
    {"trailers that do not end", flood_bad_trailers, true, true, 251, 250, 250, "too many cancelled calls"},
    {"connection header", flood_connection_header, true, true, 251, 0, 250, "too many cancelled calls"},
    {"large header blocks", flood_large_blocks, true, true, 251, 0, 250, "too many cancelled calls"},
    {"requests without ACK", flood_requests, false, true, 700, 100, 600, "too many glitches"},
    {"requests without ACK, not reading", flood_requests, false, false, 700, 100, 0, "too many glitches"},
    {"requests over the limit", flood_requests, true, true, 101, 100, 0, "max concurrent streams exceeded"},
    {"PING", flood_pings, true, true, 4, 0, 0, "too_many_pings"},
    {"PING, not reading", flood_pings, true, false, 4, 0, 0, "too_many_pings"},
    {"SETTINGS", flood_settings, true, true, 11, 0, 0, "too many SETTINGS frames"},
    {"SETTINGS, not reading", flood_settings, true, false, 11, 0, 0, "too many SETTINGS frames"},
    {"empty DATA", flood_empty_data, true, true, 101, 1, 0, "too many glitches"},
    {"unknown frames", flood_unknown, true, true, 501, 0, 0, "too many glitches"},
    {"PRIORITY", flood_priority, true, true, 501, 0, 0, "too many glitches"},
    {"PRIORITY_UPDATE", flood_priority_update, true, true, 501, 0, 0, "too many glitches"},
    {"DATA on a closed stream", flood_closed_stream, true, true, 180, 1, 1, "too many glitches"},
    {"WINDOW_UPDATE", flood_window_updates, true, true, 6, 0, 0, "too many WINDOW_UPDATE frames"},
    {"padding", flood_padding, true, true, 501, 1, 0, "too many glitches"},
    {"GOAWAY", flood_goaway, true, true, 503, 1, 0, "too many glitches"},
};

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static void run_flood(const struct flood *flood)
{
    void *state;
    assert_int_equal(mote_raw_set_up(&state), 0);
    struct mote_raw *raw = state;
    mote_raw_start(raw);
    if (flood->acknowledges) {
        mote_peer_settings_ack(&raw->in);
    }
    mote_raw_feed(raw);
    (void)mote_raw_collect(raw);
    const size_t before = raw->pair.mem.live_bytes;
    raw->pair.mem.peak_bytes = before;
    size_t rounds = 0;
    while (rounds < flood->rounds_max + 10 && raw->pair.server.error == 0 && !mote_h2_is_over(raw->pair.server.h2)) {
        flood->round(&raw->in, (uint32_t)rounds++);
        mote_raw_feed(raw);
        if (flood->reads) {
            (void)mote_raw_collect(raw);
        }
    }
    const size_t peak = raw->pair.mem.peak_bytes;
    (void)mote_raw_collect(raw);
    if (rounds > flood->rounds_max || raw->calls > flood->calls_max || raw->resets_sent > flood->resets_max ||
        !ends_with(raw->goaway, flood->goaway) || !mote_h2_is_over(raw->pair.server.h2) || peak > before + 384 * 1024) {
        fail_msg("%s: %zu rounds, %zu calls, %zu resets sent, GOAWAY \"%s\", %zu bytes", flood->what, rounds,
                 raw->calls, raw->resets_sent, raw->goaway, peak - before);
    }
    assert_int_equal(mote_raw_tear_down(&state), 0);
}

static void test_floods(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(floods); i++) {
        run_flood(&floods[i]);
    }
}

/* The same floods in reads as large as they come: no more work is done than frame by frame. */
static void test_floods_in_large_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(floods); i++) {
        void *inner;
        assert_int_equal(mote_raw_set_up(&inner), 0);
        struct mote_raw *raw = inner;
        mote_raw_start(raw);
        if (floods[i].acknowledges) {
            mote_peer_settings_ack(&raw->in);
        }
        for (uint32_t n = 0; n < 10000; n++) {
            floods[i].round(&raw->in, n);
        }
        mote_raw_feed(raw);
        (void)mote_raw_collect(raw);
        if (raw->calls > floods[i].calls_max || raw->resets_sent > floods[i].resets_max + 1 ||
            !mote_h2_is_over(raw->pair.server.h2) || raw->pair.mem.peak_bytes > 1024 * 1024) {
            fail_msg("%s: %zu calls, %zu resets sent, GOAWAY \"%s\", %zu bytes at most", floods[i].what, raw->calls,
                     raw->resets_sent, raw->goaway, raw->pair.mem.peak_bytes);
        }
        assert_int_equal(mote_raw_tear_down(&inner), 0);
    }
}

/* One thing, once: the frames it is answered with. */
struct single {
    const char *what;
    flood_cb *build;
    const char *answer;
};

static void one_garbled_type(struct mote_buffer *out, unsigned type, uint32_t id, size_t length)
{
    static const uint8_t zeros[64];
    mote_peer_frame(out, type, 0, id, mote_slice(zeros, length));
}

#define FRAME_ONCE(name, type, id, length)                                                                             \
    static void name(struct mote_buffer *out, uint32_t n)                                                              \
    {                                                                                                                  \
        (void)n;                                                                                                       \
        one_garbled_type(out, type, id, length);                                                                       \
    }

FRAME_ONCE(one_ping_of_7, PEER_PING, 0, 7)
FRAME_ONCE(one_ping_on_a_stream, PEER_PING, 1, 8)
FRAME_ONCE(one_settings_of_5, PEER_SETTINGS, 0, 5)
FRAME_ONCE(one_settings_on_a_stream, PEER_SETTINGS, 1, 6)
FRAME_ONCE(one_window_update_of_3, PEER_WINDOW_UPDATE, 0, 3)
FRAME_ONCE(one_window_update_of_zero, PEER_WINDOW_UPDATE, 0, 4)
FRAME_ONCE(one_goaway_of_7, PEER_GOAWAY, 0, 7)
FRAME_ONCE(one_reset_on_idle, PEER_RST_STREAM, 1, 4)
FRAME_ONCE(one_data_on_idle, PEER_DATA, 1, 1)
FRAME_ONCE(one_data_on_zero, PEER_DATA, 0, 1)
FRAME_ONCE(one_continuation, PEER_CONTINUATION, 1, 1)
FRAME_ONCE(one_push_promise, PEER_PUSH_PROMISE, 1, 4)

static void one_oversized_frame(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    assert_int_equal(mote_buffer_append(out, "\xff\xff\xff\x00\x00\x00\x00\x00\x01", 9), 0);
}

static void one_even_stream(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_request(out, 2, true);
}

static void one_lower_stream(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_request(out, 5, true);
    mote_peer_request(out, 3, true);
}

static void one_headers_on_half_closed(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_request(out, 1, true);
    mote_peer_request(out, 1, true);
}

static void one_data_on_half_closed(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_request(out, 1, true);
    mote_peer_data(out, 1, 1, true);
}

static void one_data_after_reset(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_request(out, 1, false);
    mote_peer_rst_stream(out, 1, MOTE_H2_CANCEL);
    mote_peer_data(out, 1, 1, true);
}

static void one_initial_window_too_large(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_setting(out, 4, 0x80000000u);
}

static void one_frame_size_too_small(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_setting(out, 5, 100);
}

static void one_large_settings(struct mote_buffer *out, uint32_t n)
{
    uint8_t payload[17 * 6];
    (void)n;
    for (size_t i = 0; i < sizeof payload; i += 6) {
        memcpy(payload + i, "\0\x08\0\0\0\0", 6);
    }
    mote_peer_frame(out, PEER_SETTINGS, 0, 0, mote_slice(payload, sizeof payload));
}

static void one_table_size_too_large(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_frame(out, PEER_HEADERS, PEER_END_HEADERS, 1, mote_slice("\x3f\xe2\x1f", 3)); /* 4097 */
}

static void one_bad_index(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_frame(out, PEER_HEADERS, PEER_END_HEADERS, 1, mote_slice("\xff\x7f", 2));
}

static void one_padding_too_long(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_request(out, 1, false);
    mote_peer_frame(out, PEER_DATA, PEER_PADDED, 1, mote_slice("\x05xxxxx", 5));
}

static void one_upper_case_name(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_raw_request_with(out, 1, PEER_END_STREAM, "Key", "v");
}

static void one_line_break(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_raw_request_with(out, 1, PEER_END_STREAM, "key", "v\r\nx: y");
}

static void one_pseudo_behind(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_raw_request_with(out, 1, PEER_END_STREAM, ":path", "/x");
}

static void one_te_gzip(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_raw_request_with(out, 1, PEER_END_STREAM, "te", "gzip");
}

static void one_pseudo_in_trailers(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_request(out, 1, false);
    mote_peer_frame(out, PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, 1, mote_slice("\x82", 1));
}

static void one_window_exceeded(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_request(out, 1, false);
    for (int i = 0; i < 5; i++) {
        mote_peer_data(out, 1, 14000, false);
    }
}

static void one_headers_in_a_block(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_frame(out, PEER_HEADERS, 0, 1, mote_slice("\x83", 1));
    mote_peer_request(out, 3, true);
}

static void one_block_of_nine(struct mote_buffer *out, uint32_t n)
{
    (void)n;
    mote_peer_frame(out, PEER_HEADERS, 0, 1, mote_slice("\x83", 1));
    for (int i = 0; i < 9; i++) {
        mote_peer_frame(out, PEER_CONTINUATION, 0, 1, mote_slice("\x84", 1));
    }
}

static void one_hpack_bomb(struct mote_buffer *out, uint32_t n)
{
    /* One entry of 3 KiB in the dynamic table, named by one byte 1,000 times. */
    static uint8_t block[3 + 1 + 3 + 3000 + 1000];
    (void)n;
    memcpy(block, "\x40\x01x\x7f\xb9\x16", 6); /* x: a value of 2,873 + 127 bytes */
    memset(block + 6, 'v', 3000 - 64);
    memset(block + 6 + 2936, 0xbe, 1000);
    block[4] = 0xf9; /* 2936 = 127 + 2809; 2809 = 0x15f9 - … low seven bits 0x79 */
    mote_peer_frame(out, PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, 1, mote_slice(block, 6 + 2936 + 1000));
}

static void one_field_bomb(struct mote_buffer *out, uint32_t n)
{
    static uint8_t block[513];
    (void)n;
    memset(block, 0x90, sizeof block); /* accept-encoding: gzip, deflate */
    mote_peer_frame(out, PEER_HEADERS, PEER_END_HEADERS | PEER_END_STREAM, 1, mote_slice(block, sizeof block));
}

static const struct single singles[] = {
    {"PING of 7 bytes", one_ping_of_7, "GOAWAY 0 FRAME_SIZE_ERROR"},
    {"PING on a stream", one_ping_on_a_stream, "GOAWAY 0 PROTOCOL_ERROR PING: stream_id != 0"},
    {"SETTINGS of 5 bytes", one_settings_of_5, "GOAWAY 0 FRAME_SIZE_ERROR"},
    {"SETTINGS on a stream", one_settings_on_a_stream, "GOAWAY 0 PROTOCOL_ERROR SETTINGS: stream_id != 0"},
    {"WINDOW_UPDATE of 3 bytes", one_window_update_of_3, "GOAWAY 0 FRAME_SIZE_ERROR"},
    {"WINDOW_UPDATE of zero", one_window_update_of_zero,
     "GOAWAY 0 PROTOCOL_ERROR WINDOW_UPDATE: window_size_increment == 0"},
    {"GOAWAY of 7 bytes", one_goaway_of_7, "GOAWAY 0 FRAME_SIZE_ERROR"},
    {"RST_STREAM on an idle stream", one_reset_on_idle, "GOAWAY 0 PROTOCOL_ERROR RST_STREAM: stream in idle"},
    {"DATA on an idle stream", one_data_on_idle, "GOAWAY 0 PROTOCOL_ERROR DATA: stream in idle"},
    {"DATA on stream 0", one_data_on_zero, "GOAWAY 0 PROTOCOL_ERROR DATA: stream_id == 0"},
    {"CONTINUATION alone", one_continuation, "GOAWAY 0 PROTOCOL_ERROR CONTINUATION: unexpected"},
    {"PUSH_PROMISE", one_push_promise, "GOAWAY 0 PROTOCOL_ERROR PUSH_PROMISE: push disabled"},
    {"frame of 16 MiB", one_oversized_frame, "GOAWAY 0 FRAME_SIZE_ERROR too large frame size"},
    {"even stream", one_even_stream, "GOAWAY 0 PROTOCOL_ERROR request HEADERS: invalid stream_id"},
    {"lower stream", one_lower_stream, "GOAWAY 5 PROTOCOL_ERROR stream identifiers must increase"},
    {"HEADERS on a half-closed stream", one_headers_on_half_closed, "GOAWAY 1 STREAM_CLOSED HEADERS: stream closed"},
    {"DATA on a half-closed stream", one_data_on_half_closed,
     "GOAWAY 1 STREAM_CLOSED DATA: stream in half-closed(remote)"},
    {"DATA after RST_STREAM", one_data_after_reset, "GOAWAY 1 STREAM_CLOSED DATA on a closed stream"},
    {"INITIAL_WINDOW_SIZE 2^31", one_initial_window_too_large,
     "GOAWAY 0 FLOW_CONTROL_ERROR SETTINGS: too large SETTINGS_INITIAL_WINDOW_SIZE"},
    {"MAX_FRAME_SIZE 100", one_frame_size_too_small,
     "GOAWAY 0 PROTOCOL_ERROR SETTINGS: invalid SETTINGS_MAX_FRAME_SIZE"},
    {"SETTINGS of 17 entries", one_large_settings, "GOAWAY 0 ENHANCE_YOUR_CALM SETTINGS: too many setting entries"},
    {"dynamic table over 4,096", one_table_size_too_large, "GOAWAY 1 COMPRESSION_ERROR"},
    {"index out of range", one_bad_index, "GOAWAY 1 COMPRESSION_ERROR"},
    {"padding longer than the frame", one_padding_too_long, "GOAWAY 1 PROTOCOL_ERROR DATA: invalid padding"},
    {"upper-case name", one_upper_case_name, "RST_STREAM 1 PROTOCOL_ERROR"},
    {"line break in a value", one_line_break, "RST_STREAM 1 PROTOCOL_ERROR"},
    {"pseudo-header behind the others", one_pseudo_behind, "RST_STREAM 1 PROTOCOL_ERROR"},
    {"te: gzip", one_te_gzip, "RST_STREAM 1 PROTOCOL_ERROR"},
    {"pseudo-header in trailers", one_pseudo_in_trailers, "RST_STREAM 1 PROTOCOL_ERROR"},
    {"window exceeded", one_window_exceeded, "RST_STREAM 1 FLOW_CONTROL_ERROR"},
    {"HEADERS inside a block", one_headers_in_a_block,
     "GOAWAY 1 PROTOCOL_ERROR unexpected non-CONTINUATION frame or stream_id is invalid"},
    {"nine CONTINUATIONs", one_block_of_nine, "GOAWAY 1 ENHANCE_YOUR_CALM header block in too many frames"},
    {"HPACK bomb of bytes", one_hpack_bomb, "GOAWAY 1 ENHANCE_YOUR_CALM header block too large"},
    {"HPACK bomb of fields", one_field_bomb, "GOAWAY 1 ENHANCE_YOUR_CALM header block too large"},
};

static void run_single(const struct single *single, size_t chunk)
{
    void *state;
    assert_int_equal(mote_raw_set_up(&state), 0);
    struct mote_raw *raw = state;
    mote_raw_start_and_settle(raw);
    raw->pair.server.consumes = false;
    raw->pair.chunk = chunk;
    single->build(&raw->in, 0);
    mote_raw_feed(raw);
    raw->pair.chunk = MOTE_H2_RECV_MAX;
    const char *text = mote_raw_collect(raw);
    const char *line = strstr(text, single->answer);
    const bool reset_only = single->answer[0] == 'R';
    if (line == NULL || line[strlen(single->answer)] != '\n' || mote_h2_is_over(raw->pair.server.h2) == reset_only) {
        fail_msg("%s in pieces of %zu: answered\n%s", single->what, chunk, text);
    }
    if (reset_only) { /* the connection lives on */
        mote_peer_request(&raw->in, 11, true);
        mote_raw_feed(raw);
        assert_non_null(raw->stream);
        assert_int_equal(raw->stream->id, 11);
    }
    assert_int_equal(mote_raw_tear_down(&state), 0);
}

static void test_singles(void **state)
{
    static const size_t chunks[] = {MOTE_H2_RECV_MAX, 7, 1};
    (void)state;
    for (size_t i = 0; i < COUNT(singles); i++) {
        for (size_t c = 0; c < COUNT(chunks); c++) {
            /* nghttp2 1.52 and 1.64 count reads as CONTINUATION frames: where the block is cut, it may end earlier. */
            if (c == 0 || (singles[i].build != one_block_of_nine && singles[i].build != one_headers_in_a_block)) {
                run_single(&singles[i], chunks[c]);
            }
        }
    }
}

/*
 * nghttp2 1.52 and 1.64 abort the process when the session is terminated inside a callback and a frame of a wrong size
 * follows in the same read. Here every way a callback can end the connection is followed by such frames.
 */
static void test_wrong_sizes_behind_the_end(void **state)
{
    static flood_cb *const ends[] = {flood_rapid_reset,       flood_content_length, flood_bad_trailers,
                                     flood_connection_header, flood_large_blocks,   one_field_bomb,
                                     one_hpack_bomb,          flood_empty_data,     one_data_on_half_closed};
    static flood_cb *const behind[] = {one_ping_of_7, one_settings_of_5, one_window_update_of_3, one_goaway_of_7,
                                       one_oversized_frame};
    (void)state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        for (size_t k = 0; k < COUNT(behind); k++) {
            void *inner;
            assert_int_equal(mote_raw_set_up(&inner), 0);
            struct mote_raw *raw = inner;
            raw->pair.limits.cancelled_max = 2;
            raw->pair.limits.glitch_burst = 2;
            mote_raw_start_and_settle(raw);
            for (uint32_t n = 0; n < 4; n++) {
                ends[i](&raw->in, n);
                behind[k](&raw->in, n);
            }
            mote_raw_feed(raw);
            (void)mote_raw_collect(raw);
            assert_true(mote_h2_is_over(raw->pair.server.h2));
            assert_int_equal(mote_raw_tear_down(&inner), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_floods_in_large_reads),
        cmocka_unit_test(test_singles),
        cmocka_unit_test(test_wrong_sizes_behind_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
