/* SPDX-License-Identifier: Apache-2.0 */
/* Channels of the client role: what becomes of calls while connections come, fail and go, under a virtual clock. At the
 * other end of each link is a bare HTTP/2 server that does what the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "calculator.mote.h"
#include "rpc/client_core.h"
#include "support/failing_mem.h"
#include "wire/h2.h"

#define SECOND    ((uint64_t)MOTE_LIMITS_SECOND)
#define LINKS_MAX 8u
#define ROOM      65536u

struct wire {
    struct mote_client_link *link; /* NULL: free */
    struct mote_h2 *server;        /* NULL: not connected */
    struct mote_h2_owner owner;
    struct mote_stream *streams[4]; /* as they came */
    size_t stream_count;
    unsigned requests;
    bool closing;
};

struct fixture {
    struct mote_limits limits;
    struct mote_timer_wheel wheel;
    uint64_t now_ns;
    struct mote_client *client;
    struct mote_client_channel *channel;
    struct mote_client_transport transport;
    struct mote_h2_context *servers;
    struct wire wires[LINKS_MAX];
    size_t opened;
    bool refuses; /* to open */
    bool silent;  /* nothing is moved */
};

struct result {
    struct mote_client_call *call;
    unsigned ended;
    unsigned messages;
    enum mote_status status;
    char text[256];
};

/* --- the other ends ---------------------------------------------------------------------------------------------- */

static void server_attention(struct mote_h2_owner *owner, uint64_t now_ns)
{
    (void)owner;
    (void)now_ns;
}

static int transport_open(struct mote_client_transport *transport, struct mote_client_link *link, uint64_t deadline_ns)
{
    struct fixture *fixture = MOTE_CONTAINER_OF(transport, struct fixture, transport);
    (void)deadline_ns;
    if (fixture->refuses) {
        return MOTE_ENOMEM;
    }
    assert_true(fixture->opened < LINKS_MAX);
    struct wire *wire = &fixture->wires[fixture->opened++];
    memset(wire, 0, sizeof *wire);
    wire->link = link;
    wire->owner.attention = server_attention;
    mote_client_link_set_user(link, wire);
    return 0;
}

static void transport_attention(struct mote_client_transport *transport, struct mote_client_link *link)
{
    (void)transport;
    (void)link;
}

static void transport_close(struct mote_client_transport *transport, struct mote_client_link *link)
{
    struct wire *wire = mote_client_link_user(link);
    (void)transport;
    assert_false(wire->closing);
    wire->closing = true;
}

static void take_events(struct wire *wire)
{
    struct mote_event event;
    while (mote_h2_next_event(wire->server, &event)) {
        if (event.type == MOTE_EVENT_HEADERS) {
            wire->requests++;
            assert_true(wire->stream_count < 4);
            wire->streams[wire->stream_count++] = event.stream;
        } else if (event.type == MOTE_EVENT_DATA) {
            mote_h2_consume(event.stream, event.u.data.length);
        } else if (event.type == MOTE_EVENT_CLOSED) {
            for (size_t i = 0; i < wire->stream_count; i++) {
                wire->streams[i] = wire->streams[i] == event.stream ? NULL : wire->streams[i];
            }
        }
    }
}

static void free_wire(struct wire *wire)
{
    mote_client_link_free(wire->link);
    wire->link = NULL;
    if (wire->server != NULL) {
        mote_h2_abort(wire->server);
        take_events(wire);
        mote_h2_free(wire->server);
        wire->server = NULL;
    }
}

static bool move(struct fixture *fixture, struct wire *wire)
{
    static uint8_t room[ROOM];
    size_t to_server = 0;
    size_t to_client = 0;
    const int error = mote_client_link_send(wire->link, room, sizeof room, &to_server, fixture->now_ns);
    if (to_server > 0) {
        (void)!mote_h2_recv(wire->server, mote_slice(room, to_server), fixture->now_ns);
        take_events(wire);
    }
    (void)!mote_h2_send(wire->server, room, sizeof room, &to_client, fixture->now_ns);
    take_events(wire);
    if (to_client > 0 && !mote_client_link_is_lost(wire->link)) {
        (void)!mote_client_link_recv(wire->link, mote_slice(room, to_client), fixture->now_ns);
    }
    if (error != 0 || mote_client_link_is_over(wire->link)) {
        mote_client_link_lost(wire->link, "the server went away", fixture->now_ns);
        free_wire(wire);
        return false;
    }
    return to_server + to_client > 0;
}

static void pump(struct fixture *fixture)
{
    bool moved = true;
    while (moved) {
        moved = false;
        mote_timer_wheel_advance(&fixture->wheel, fixture->now_ns);
        for (size_t i = 0; i < fixture->opened; i++) {
            struct wire *wire = &fixture->wires[i];
            if (wire->link != NULL && wire->closing) {
                free_wire(wire);
            } else if (wire->link != NULL && wire->server != NULL && !fixture->silent) {
                moved |= move(fixture, wire);
            }
        }
    }
}

static void pass(struct fixture *fixture, uint64_t duration_ns)
{
    const uint64_t end_ns = fixture->now_ns + duration_ns;
    while (fixture->now_ns < end_ns) {
        fixture->now_ns += end_ns - fixture->now_ns < SECOND / 100 ? end_ns - fixture->now_ns : SECOND / 100;
        pump(fixture);
    }
}

/* The newest link is connected, to a server with this many streams. */
static struct wire *connect_newest(struct fixture *fixture, unsigned streams)
{
    struct wire *wire = &fixture->wires[fixture->opened - 1];
    fixture->limits.concurrent_streams_max = streams;
    assert_int_equal(mote_h2_new(&wire->server, fixture->servers, MOTE_ROLE_SERVER, &wire->owner, fixture->now_ns), 0);
    assert_int_equal(mote_client_link_connected(wire->link, fixture->now_ns), 0);
    pump(fixture);
    return wire;
}

static void fail_newest(struct fixture *fixture)
{
    struct wire *wire = &fixture->wires[fixture->opened - 1];
    mote_client_link_lost(wire->link, "refused", fixture->now_ns);
    free_wire(wire);
    pump(fixture);
}

/* GOAWAY as bytes, so that its last stream is the test's choice. */
static void send_goaway(struct fixture *fixture, struct wire *wire, uint8_t last, uint8_t error)
{
    const uint8_t frame[] = {0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, error};
    (void)!mote_client_link_recv(wire->link, mote_slice(frame, sizeof frame), fixture->now_ns);
}

static const struct mote_field head[] = {
    {MOTE_SLICE_LITERAL(":status"), MOTE_SLICE_LITERAL("200"), MOTE_FIELD_STATIC},
    {MOTE_SLICE_LITERAL("content-type"), MOTE_SLICE_LITERAL("application/grpc"), MOTE_FIELD_STATIC}};

static void answer(struct fixture *fixture, struct mote_stream *stream)
{
    static const struct mote_field trailer = {MOTE_SLICE_LITERAL("grpc-status"), MOTE_SLICE_LITERAL("0"),
                                              MOTE_FIELD_STATIC};
    static const uint8_t message[] = {0, 0, 0, 0, 2, 8, 42};
    assert_non_null(stream);
    assert_int_equal(mote_h2_respond(stream, head, 2, false), 0);
    assert_int_equal(mote_h2_write(stream, mote_slice(message, sizeof message), mote_slice(NULL, 0)), 0);
    assert_int_equal(mote_h2_write_trailers(stream, &trailer, 1), 0);
    pump(fixture);
}

/* --- the client -------------------------------------------------------------------------------------------------- */

static int fill_zero(void *context, void *out, size_t length)
{
    (void)context;
    memset(out, 0, length);
    return 0;
}

static const struct mote_random no_jitter_up = {.fill = fill_zero}; /* each wait is a fifth shorter */
static int try_setup(struct fixture *fixture, struct mote_mem *mem, const struct mote_client_channel_options *given)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->now_ns = 1000 * SECOND;
    mote_limits_init(&fixture->limits);
    mote_timer_wheel_init(&fixture->wheel, fixture->now_ns);
    fixture->transport = (struct mote_client_transport){
        .open = transport_open, .attention = transport_attention, .close = transport_close};
    const struct mote_h2_context_options servers = {
        .limits = &fixture->limits, .mem = mote_mem_system(), .wheel = &fixture->wheel};
    assert_int_equal(mote_h2_context_new(&fixture->servers, &servers), 0);
    const struct mote_client_options client = {.limits = &fixture->limits, .mem = mem, .wheel = &fixture->wheel};
    int error = mote_client_new(&fixture->client, &client);
    if (error == 0) {
        struct mote_client_channel_options options = *given;
        options.target.authority = "example:1";
        options.name = "example:1";
        options.transport = &fixture->transport;
        options.random = &no_jitter_up;
        error = mote_client_channel_new(&fixture->channel, fixture->client, &options, fixture->now_ns);
    }
    return error;
}

static void setup(struct fixture *fixture, const struct mote_client_channel_options *options)
{
    static const struct mote_client_channel_options none = {.max_connections = 0};
    assert_int_equal(try_setup(fixture, mote_mem_system(), options != NULL ? options : &none), 0);
}

static void teardown(struct fixture *fixture)
{
    if (fixture->channel != NULL) {
        mote_client_channel_close(fixture->channel);
    }
    for (size_t i = 0; i < fixture->opened; i++) {
        if (fixture->wires[i].link != NULL) {
            free_wire(&fixture->wires[i]);
        }
    }
    mote_client_channel_free(fixture->channel);
    mote_client_free(fixture->client);
    mote_h2_context_free(fixture->servers);
    mote_timer_wheel_dispose(&fixture->wheel);
}

static void note_message(struct mote_client_call *call, const void *response)
{
    struct result *result = mote_client_call_user(call);
    (void)response;
    result->messages++;
}

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct result *result = mote_client_call_user(call);
    (void)trailers;
    result->ended++;
    result->status = status;
    (void)snprintf(result->text, sizeof result->text, "%.*s", (int)message.length, (const char *)message.data);
}

static const struct mote_client_call_callbacks callbacks = {.message = note_message, .ended = note_end};

static int begin(struct fixture *fixture, struct result *result, bool wait_for_ready, uint64_t timeout_ns)
{
    static const struct mote_field metadata = {MOTE_SLICE_LITERAL("key"), MOTE_SLICE_LITERAL("value"), 0};
    memset(result, 0, sizeof *result);
    const struct mote_client_call_options options = {
        .method = &calculator_v1_Calculator_Add_method,
        .callbacks = &callbacks,
        .user = result,
        .timeout_ns = timeout_ns,
        .metadata = &metadata,
        .metadata_count = 1,
        .wait_for_ready = wait_for_ready,
    };
    const calculator_v1_AddRequest request = {.a = 2, .b = 40};
    int error = mote_client_channel_start(&result->call, fixture->channel, &options, fixture->now_ns);
    if (error != 0) {
        return error;
    }
    error = mote_client_call_send(result->call, &request);
    if (error == 0) {
        error = mote_client_call_half_close(result->call);
    }
    if (error != 0) {
        mote_client_call_cancel(result->call);
        assert_int_equal(result->ended, 1);
    }
    return error;
}

static void start(struct fixture *fixture, struct result *result)
{
    assert_int_equal(begin(fixture, result, false, UINT64_MAX), 0);
    assert_int_equal(result->ended, 0);
}

static void assert_state(const struct fixture *fixture, enum mote_client_channel_state state)
{
    assert_int_equal(mote_client_channel_state(fixture->channel), state);
}

static void assert_answered(const struct result *result)
{
    assert_int_equal(result->ended, 1);
    assert_int_equal(result->status, MOTE_STATUS_OK);
    assert_int_equal(result->messages, 1);
}

static void assert_failed(const struct result *result, enum mote_status status, const char *text)
{
    assert_int_equal(result->ended, 1);
    assert_int_equal(result->status, status);
    assert_string_equal(result->text, text);
}

/* --- connecting -------------------------------------------------------------------------------------------------- */

static void test_wait_for_connection(void **state)
{
    struct fixture fixture;
    struct result results[2];
    (void)state;
    setup(&fixture, NULL);
    assert_state(&fixture, MOTE_CHANNEL_IDLE);
    start(&fixture, &results[0]);
    start(&fixture, &results[1]);
    assert_state(&fixture, MOTE_CHANNEL_CONNECTING);
    struct wire *wire = connect_newest(&fixture, 100);
    assert_state(&fixture, MOTE_CHANNEL_READY);
    assert_int_equal(wire->requests, 2);
    answer(&fixture, wire->streams[0]);
    answer(&fixture, wire->streams[1]);
    assert_answered(&results[0]);
    assert_answered(&results[1]);
    teardown(&fixture);
}

static void test_connect_without_call(void **state)
{
    struct fixture fixture;
    setup(&fixture, NULL);
    (void)state;
    mote_client_channel_connect(fixture.channel, fixture.now_ns);
    mote_client_channel_connect(fixture.channel, fixture.now_ns);
    connect_newest(&fixture, 100);
    mote_client_channel_connect(fixture.channel, fixture.now_ns);
    assert_int_equal(fixture.opened, 1);
    assert_state(&fixture, MOTE_CHANNEL_READY);
    teardown(&fixture);
}

/* A second, then 1.6 times as long, each a fifth less; after a success a second again. */
static void test_backoff(void **state)
{
    struct fixture fixture;
    struct result fast;
    struct result waiting;
    (void)state;
    setup(&fixture, NULL);
    start(&fixture, &fast);
    assert_int_equal(begin(&fixture, &waiting, true, UINT64_MAX), 0);
    fail_newest(&fixture);
    assert_failed(&fast, MOTE_STATUS_UNAVAILABLE, "cannot connect to example:1: refused");
    assert_string_equal(mote_client_channel_problem(fixture.channel), "cannot connect to example:1: refused");
    assert_int_equal(waiting.ended, 0);
    assert_state(&fixture, MOTE_CHANNEL_TRANSIENT_FAILURE);
    start(&fixture, &fast); /* ends, but not from inside of the start */
    pump(&fixture);
    assert_failed(&fast, MOTE_STATUS_UNAVAILABLE, "cannot connect to example:1: refused");
    pass(&fixture, SECOND * 79 / 100);
    assert_int_equal(fixture.opened, 1);
    pass(&fixture, SECOND * 2 / 100);
    assert_int_equal(fixture.opened, 2);
    fail_newest(&fixture);
    pass(&fixture, SECOND * 126 / 100);
    assert_int_equal(fixture.opened, 2);
    pass(&fixture, SECOND * 2 / 100);
    assert_int_equal(fixture.opened, 3);
    struct wire *wire = connect_newest(&fixture, 100);
    assert_string_equal(mote_client_channel_problem(fixture.channel), "");
    answer(&fixture, wire->streams[0]);
    assert_answered(&waiting);
    mote_client_link_lost(wire->link, "gone", fixture.now_ns);
    assert_state(&fixture, MOTE_CHANNEL_IDLE);
    assert_int_equal(begin(&fixture, &waiting, true, UINT64_MAX), 0);
    fail_newest(&fixture);
    pass(&fixture, SECOND * 81 / 100);
    assert_int_equal(fixture.opened, 5);
    teardown(&fixture);
}

/* Nobody waits: nothing is tried until somebody does. */
static void test_idle_after_backoff(void **state)
{
    struct fixture fixture;
    struct result result;
    (void)state;
    setup(&fixture, NULL);
    start(&fixture, &result);
    fail_newest(&fixture);
    pass(&fixture, 10 * SECOND);
    assert_int_equal(fixture.opened, 1);
    assert_state(&fixture, MOTE_CHANNEL_IDLE);
    start(&fixture, &result);
    assert_int_equal(fixture.opened, 2);
    mote_client_call_cancel(result.call);
    fail_newest(&fixture);
    pass(&fixture, 10 * SECOND);
    fixture.refuses = true; /* the transport cannot even begin */
    start(&fixture, &result);
    pump(&fixture);
    assert_failed(&result, MOTE_STATUS_UNAVAILABLE, "cannot connect to example:1: out of memory");
    teardown(&fixture);
}

/* An attempt has 20 seconds, also until the server's SETTINGS. */
static void test_connect_timeout(void **state)
{
    (void)state;
    for (int connected = 0; connected < 2; connected++) {
        struct fixture fixture;
        struct result result;
        setup(&fixture, NULL);
        fixture.limits.preface_timeout = UINT64_MAX;
        fixture.limits.settings_ack_timeout = UINT64_MAX;
        start(&fixture, &result);
        fixture.silent = true;
        if (connected != 0) {
            connect_newest(&fixture, 100);
        }
        pass(&fixture, 20 * SECOND - SECOND / 100);
        assert_int_equal(result.ended, 0);
        assert_state(&fixture, MOTE_CHANNEL_CONNECTING);
        pass(&fixture, SECOND / 50);
        assert_failed(&result, MOTE_STATUS_UNAVAILABLE, "cannot connect to example:1: no answer in time");
        assert_null(fixture.wires[0].link);
        assert_state(&fixture, MOTE_CHANNEL_IDLE); /* the backoff ran out meanwhile */
        teardown(&fixture);
    }
}

static void test_deadline_while_waiting(void **state)
{
    struct fixture fixture;
    struct result result;
    (void)state;
    setup(&fixture, NULL);
    assert_int_equal(begin(&fixture, &result, true, 2 * SECOND), 0);
    pass(&fixture, SECOND);
    fail_newest(&fixture);
    pass(&fixture, SECOND + SECOND / 50);
    assert_failed(&result, MOTE_STATUS_DEADLINE_EXCEEDED,
                  "deadline exceeded while waiting for a connection: cannot connect to example:1: refused");
    teardown(&fixture);
}

static void test_cancel_while_waiting(void **state)
{
    struct fixture fixture;
    struct result result;
    (void)state;
    setup(&fixture, NULL);
    start(&fixture, &result);
    mote_client_call_cancel(result.call);
    assert_failed(&result, MOTE_STATUS_CANCELLED, "cancelled");
    const struct wire *wire = connect_newest(&fixture, 100);
    assert_int_equal(wire->requests, 0);
    teardown(&fixture);
}

static void test_queue_is_bounded(void **state)
{
    struct fixture fixture;
    static struct result results[MOTE_CLIENT_CHANNEL_WAITING_MAX + 1];
    (void)state;
    setup(&fixture, NULL);
    for (size_t i = 0; i < MOTE_CLIENT_CHANNEL_WAITING_MAX; i++) {
        start(&fixture, &results[i]);
    }
    assert_int_equal(begin(&fixture, &results[MOTE_CLIENT_CHANNEL_WAITING_MAX], false, UINT64_MAX), MOTE_EAGAIN);
    mote_client_call_cancel(results[7].call);
    start(&fixture, &results[MOTE_CLIENT_CHANNEL_WAITING_MAX]);
    mote_client_channel_close(fixture.channel);
    struct result late;
    assert_int_equal(begin(&fixture, &late, false, UINT64_MAX), MOTE_ECLOSED);
    assert_state(&fixture, MOTE_CHANNEL_SHUTDOWN);
    for (size_t i = 0; i <= MOTE_CLIENT_CHANNEL_WAITING_MAX; i++) {
        assert_int_equal(results[i].ended, 1);
    }
    teardown(&fixture);
}

/* --- servers that go away ---------------------------------------------------------------------------------------- */

static void test_goaway_lets_calls_finish(void **state)
{
    struct fixture fixture;
    struct result running;
    struct result fresh;
    (void)state;
    setup(&fixture, NULL);
    start(&fixture, &running);
    struct wire *old = connect_newest(&fixture, 100);
    send_goaway(&fixture, old, 1, 0);
    start(&fixture, &fresh);
    assert_int_equal(fixture.opened, 2);
    struct wire *new = connect_newest(&fixture, 100);
    assert_int_equal(new->requests, 1);
    answer(&fixture, new->streams[0]);
    assert_answered(&fresh);
    assert_int_equal(running.ended, 0);
    answer(&fixture, old->streams[0]);
    assert_answered(&running);
    pump(&fixture);
    assert_null(old->link); /* nothing held it any longer */
    teardown(&fixture);
}

/* The server never looked at it: it is made again, and nobody sees that; but only once. */
static void test_unprocessed_is_made_again(void **state)
{
    struct fixture fixture;
    struct result result;
    (void)state;
    setup(&fixture, NULL);
    start(&fixture, &result);
    struct wire *wire = connect_newest(&fixture, 100);
    assert_int_equal(wire->requests, 1);
    send_goaway(&fixture, wire, 0, 0);
    assert_int_equal(result.ended, 0);
    assert_int_equal(fixture.opened, 2);
    pump(&fixture);
    assert_null(wire->link);
    wire = connect_newest(&fixture, 100);
    assert_int_equal(wire->requests, 1);
    answer(&fixture, wire->streams[0]);
    assert_answered(&result);
    start(&fixture, &result);
    pump(&fixture);
    send_goaway(&fixture, wire, 1, 0);
    wire = connect_newest(&fixture, 100);
    send_goaway(&fixture, wire, 0, 0);
    assert_failed(&result, MOTE_STATUS_UNAVAILABLE, "stream reset: REFUSED_STREAM");
    teardown(&fixture);
}

static void test_refused_stream_is_made_again(void **state)
{
    struct fixture fixture;
    struct result result;
    (void)state;
    setup(&fixture, NULL);
    start(&fixture, &result);
    struct wire *wire = connect_newest(&fixture, 100);
    mote_h2_reset(wire->streams[0], MOTE_H2_REFUSED_STREAM);
    pump(&fixture);
    assert_int_equal(result.ended, 0);
    assert_int_equal(wire->requests, 2);
    mote_h2_reset(wire->streams[1], MOTE_H2_REFUSED_STREAM);
    pump(&fixture);
    assert_failed(&result, MOTE_STATUS_UNAVAILABLE, "stream reset: REFUSED_STREAM");
    assert_int_equal(fixture.opened, 1);
    teardown(&fixture);
}

/* After a header block the server has looked at it; and what was too much to keep cannot be sent again. */
static void test_not_made_again(void **state)
{
    struct fixture fixture;
    struct result result = {.ended = 0};
    (void)state;
    setup(&fixture, NULL);
    start(&fixture, &result);
    struct wire *wire = connect_newest(&fixture, 100);
    assert_int_equal(mote_h2_respond(wire->streams[0], head, 2, false), 0);
    pump(&fixture);
    mote_h2_reset(wire->streams[0], MOTE_H2_REFUSED_STREAM);
    pump(&fixture);
    assert_failed(&result, MOTE_STATUS_UNAVAILABLE, "stream reset: REFUSED_STREAM");

    memset(&result, 0, sizeof result);
    const struct mote_client_call_options options = {.method = &calculator_v1_Calculator_RunningTotal_method,
                                                     .callbacks = &callbacks,
                                                     .user = &result,
                                                     .timeout_ns = UINT64_MAX};
    const calculator_v1_RunningTotalRequest request = {.number = 1};
    assert_int_equal(mote_client_channel_start(&result.call, fixture.channel, &options, fixture.now_ns), 0);
    for (size_t kept = 0; kept + 7 <= MOTE_CLIENT_KEPT_MAX; kept += 7) {
        assert_int_equal(mote_client_call_send(result.call, &request), 0);
        assert_true(result.call->keeps);
    }
    assert_int_equal(mote_client_call_send(result.call, &request), 0);
    assert_false(result.call->keeps);
    pump(&fixture);
    mote_h2_reset(wire->streams[1], MOTE_H2_REFUSED_STREAM);
    pump(&fixture);
    assert_failed(&result, MOTE_STATUS_UNAVAILABLE, "stream reset: REFUSED_STREAM");
    teardown(&fixture);
}

static void test_lost_connection(void **state)
{
    struct fixture fixture;
    struct result result;
    (void)state;
    setup(&fixture, NULL);
    start(&fixture, &result);
    struct wire *wire = connect_newest(&fixture, 100);
    mote_client_link_lost(wire->link, "cable cut", fixture.now_ns);
    assert_failed(&result, MOTE_STATUS_UNAVAILABLE, "cable cut");
    assert_state(&fixture, MOTE_CHANNEL_IDLE);
    start(&fixture, &result);
    assert_int_equal(fixture.opened, 2); /* at once: the last attempt went well */
    connect_newest(&fixture, 100);
    mote_client_call_cancel(result.call);
    start(&fixture, &result); /* and before it has left the client */
    mote_client_link_lost(fixture.wires[1].link, "cable cut again", fixture.now_ns);
    assert_int_equal(result.ended, 0);
    wire = connect_newest(&fixture, 100);
    answer(&fixture, wire->streams[0]);
    assert_answered(&result);
    teardown(&fixture);
}

/* --- streams and time -------------------------------------------------------------------------------------------- */

static void test_stream_limit(void **state)
{
    struct fixture fixture;
    struct result results[3];
    (void)state;
    const struct mote_client_channel_options options = {.max_connections = 2};
    setup(&fixture, &options);
    start(&fixture, &results[0]);
    struct wire *first = connect_newest(&fixture, 1);
    start(&fixture, &results[1]);
    assert_int_equal(fixture.opened, 2);
    struct wire *second = connect_newest(&fixture, 1);
    start(&fixture, &results[2]);
    pump(&fixture);
    assert_int_equal(fixture.opened, 2);
    assert_int_equal(first->requests + second->requests, 2);
    answer(&fixture, second->streams[0]);
    assert_answered(&results[1]);
    assert_int_equal(second->requests, 2);
    answer(&fixture, second->streams[1]);
    assert_answered(&results[2]);
    answer(&fixture, first->streams[0]);
    assert_answered(&results[0]);
    teardown(&fixture);
}

/* A second connection that fails is no reason to end calls that wait for a stream of the first. */
static void test_extra_connection_fails(void **state)
{
    struct fixture fixture;
    struct result results[2];
    (void)state;
    const struct mote_client_channel_options options = {.max_connections = 2};
    setup(&fixture, &options);
    start(&fixture, &results[0]);
    struct wire *first = connect_newest(&fixture, 1);
    start(&fixture, &results[1]);
    fail_newest(&fixture);
    assert_int_equal(results[1].ended, 0);
    assert_state(&fixture, MOTE_CHANNEL_READY);
    answer(&fixture, first->streams[0]);
    answer(&fixture, first->streams[1]);
    assert_answered(&results[1]);
    teardown(&fixture);
}

static void test_keepalive(void **state)
{
    struct fixture fixture;
    struct result result;
    (void)state;
    const struct mote_client_channel_options options = {.keepalive_time_ns = 10 * SECOND,
                                                        .keepalive_timeout_ns = 2 * SECOND};
    setup(&fixture, &options);
    fixture.limits.keepalive_min_time = SECOND; /* the server allows that many */
    start(&fixture, &result);
    connect_newest(&fixture, 100);
    pass(&fixture, 60 * SECOND); /* answered */
    assert_int_equal(result.ended, 0);
    fixture.silent = true;
    pass(&fixture, 11 * SECOND);
    assert_int_equal(result.ended, 0);
    pass(&fixture, 3 * SECOND);
    assert_failed(&result, MOTE_STATUS_UNAVAILABLE, "keepalive: no answer to a ping");
    assert_null(fixture.wires[0].link);
    teardown(&fixture);
}

/* Who pings too often is told so, and pings half as often from then on. */
static void test_too_many_pings(void **state)
{
    struct fixture fixture;
    const struct mote_client_channel_options options = {.keepalive_time_ns = 10 * SECOND};
    (void)state;
    setup(&fixture, &options);
    mote_client_channel_connect(fixture.channel, fixture.now_ns);
    struct wire *wire = connect_newest(&fixture, 100);
    send_goaway(&fixture, wire, 0, MOTE_H2_ENHANCE_YOUR_CALM);
    assert_int_equal(fixture.channel->options.keepalive_time_ns, 20 * SECOND);
    for (int i = 0; i < 70; i++) {
        mote_client_link_went_away(wire->link, MOTE_H2_ENHANCE_YOUR_CALM);
    }
    assert_int_equal(fixture.channel->options.keepalive_time_ns / SECOND, 163840); /* once a day */
    teardown(&fixture);
}

/* A call, from the first allocation to the answer. */
static int call_with(struct mote_mem *mem, void *context)
{
    static const struct mote_client_channel_options none = {.max_connections = 0};
    struct fixture fixture;
    struct result result = {.ended = 0};
    (void)context;
    int error = try_setup(&fixture, mem, &none);
    if (error == 0) {
        error = begin(&fixture, &result, false, UINT64_MAX);
    }
    if (error == 0 && fixture.opened > 0) {
        struct wire *wire = &fixture.wires[0];
        assert_int_equal(mote_h2_new(&wire->server, fixture.servers, MOTE_ROLE_SERVER, &wire->owner, fixture.now_ns),
                         0);
        if (mote_client_link_connected(wire->link, fixture.now_ns) != 0) {
            fail_newest(&fixture);
        }
        pump(&fixture);
        if (result.ended == 0 && wire->link != NULL && wire->requests == 1) {
            answer(&fixture, wire->streams[0]);
        }
    }
    const bool was_answered = result.ended == 1 && result.status == MOTE_STATUS_OK;
    teardown(&fixture);
    assert_true(error != 0 || result.ended == 1);
    return was_answered ? 0 : MOTE_ENOMEM;
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_true(mote_failing_mem_check(call_with, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait_for_connection),
        cmocka_unit_test(test_connect_without_call),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_idle_after_backoff),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_deadline_while_waiting),
        cmocka_unit_test(test_cancel_while_waiting),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_goaway_lets_calls_finish),
        cmocka_unit_test(test_unprocessed_is_made_again),
        cmocka_unit_test(test_refused_stream_is_made_again),
        cmocka_unit_test(test_not_made_again),
        cmocka_unit_test(test_lost_connection),
        cmocka_unit_test(test_stream_limit),
        cmocka_unit_test(test_extra_connection_fails),
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_too_many_pings),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
