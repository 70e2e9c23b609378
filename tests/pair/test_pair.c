/* SPDX-License-Identifier: Apache-2.0 */
/* What a client and a server of the library do with each other: all kinds of exchange, flow control, resets, the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pair/pair.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unary, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
