/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel's whole life with each allocation of the client's side failing in turn: calls that wait for a connection,
 * streams with metadata and compressed messages, responses with decode callbacks, a server that goes away, a connection
 * that is lost, a channel that is closed. Whatever fails, each call that was started ends once, OK only with all that
 * the server sent, and nothing is left. The server, the library's, has memory of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pb_decode.h>
#include <string.h>

#include "pair/call_fixture.h"
#include "rpc/client_channel.h"
#include "support/failing_mem.h"

#define WIRES_MAX 8u
#define CALLS_MAX 8u
#define ROOM      65536u
#define PADDING   20000u
#define COUNTED   3

struct wire {
    struct mote_client_link *link;         /* NULL: gone */
    struct mote_server_connection *server; /* NULL: not connected */
    struct mote_server_connection_owner owner;
    bool closing;
};

struct result {
    struct mote_client_call *call; /* NULL: it could not be started */
    enum mote_status expected, status;
    int started; /* what starting returned */
    unsigned ended, messages;
    int64_t sum; /* of all numbers that came */
    struct mote_buffer padding;
};

struct scene {
    struct call_fixture fixture;
    struct mote_mem *mem;
    struct mote_client *client;
    struct mote_client_channel *channel;
    struct mote_client_transport transport;
    struct wire wires[WIRES_MAX];
    size_t opened;
    struct result results[CALLS_MAX];
    size_t calls;
};

/* --- the transport ----------------------------------------------------------------------------------------------- */

static int transport_open(struct mote_client_transport *transport, struct mote_client_link *link, uint64_t deadline_ns)
{
    struct scene *scene = MOTE_CONTAINER_OF(transport, struct scene, transport);
    (void)deadline_ns;
    if (scene->opened == WIRES_MAX) {
        return MOTE_ENOMEM;
    }
    struct wire *wire = &scene->wires[scene->opened++];
    wire->link = link;
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
    wire->closing = true;
}

static void server_attention(struct mote_server_connection_owner *owner)
{
    (void)owner;
}

static void free_wire(struct wire *wire)
{
    mote_client_link_free(wire->link);
    mote_server_connection_free(wire->server);
    wire->link = NULL;
    wire->server = NULL;
}

static void lose(struct scene *scene, struct wire *wire)
{
    if (wire->link != NULL) {
        mote_client_link_lost(wire->link, "gone", scene->fixture.pair.now_ns);
        free_wire(wire);
    }
}

static bool move(struct scene *scene, struct wire *wire)
{
    static uint8_t room[ROOM];
    const uint64_t now_ns = scene->fixture.pair.now_ns;
    size_t sent = 0;
    size_t answered = 0;
    const int error = mote_client_link_send(wire->link, room, sizeof room, &sent, now_ns);
    if (sent > 0) {
        (void)!mote_server_connection_recv(wire->server, mote_slice(room, sent), now_ns);
    }
    (void)mote_server_worker_turn(scene->fixture.pair.worker, now_ns);
    (void)!mote_server_connection_send(wire->server, room, sizeof room, &answered, now_ns);
    if (answered > 0 && !mote_client_link_is_lost(wire->link)) {
        (void)!mote_client_link_recv(wire->link, mote_slice(room, answered), now_ns);
    }
    if (error != 0 || mote_client_link_is_over(wire->link)) {
        lose(scene, wire);
        return true;
    }
    return sent + answered > 0;
}

/* Moves bytes until all is quiet. */
static void pump(struct scene *scene)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < scene->opened; i++) {
            struct wire *wire = &scene->wires[i];
            if (wire->link != NULL && wire->closing) {
                free_wire(wire);
                moved = true;
            } else if (wire->link != NULL && wire->server != NULL) {
                moved |= move(scene, wire);
            }
        }
    }
}

/* Every link that waits for it is connected. */
static void connect_all(struct scene *scene)
{
    const struct mote_rpc_pair *pair = &scene->fixture.pair;
    for (size_t i = 0; i < scene->opened; i++) {
        struct wire *wire = &scene->wires[i];
        if (wire->link != NULL && wire->server == NULL && !wire->closing) {
            const struct mote_server_connection_options options = {.owner = &wire->owner, .peer = "192.0.2.1:1"};
            wire->owner.attention = server_attention;
            assert_int_equal(mote_server_connection_new(&wire->server, pair->worker, &options, pair->now_ns), 0);
            if (mote_client_link_connected(wire->link, pair->now_ns) != 0) {
                lose(scene, wire);
            }
        }
    }
    pump(scene);
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

static bool take_padding(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct result *result = *arg;
    uint8_t *room;
    const size_t length = stream->bytes_left;
    (void)field;
    if (mote_buffer_reserve(&result->padding, length, &room) != 0 || !pb_read(stream, room, length)) {
        return false;
    }
    mote_buffer_commit(&result->padding, length);
    return true;
}

static void prepare(struct mote_client_call *call, void *response)
{
    calculator_v1_CountResponse *counted = response;
    counted->padding = (pb_callback_t){.funcs.decode = take_padding, .arg = mote_client_call_user(call)};
}

/* All responses of the calculator begin with a number. */
static void note_message(struct mote_client_call *call, const void *response)
{
    struct result *result = mote_client_call_user(call);
    int64_t number;
    memcpy(&number, response, sizeof number);
    result->messages++;
    result->sum += number;
}

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct result *result = mote_client_call_user(call);
    (void)message;
    (void)trailers;
    result->ended++;
    result->status = status;
    result->call = NULL;
}

static struct result *start(struct scene *scene, const struct mote_method *method, enum mote_encoding encoding,
                            enum mote_status expected)
{
    static const struct mote_client_call_callbacks plain = {.message = note_message, .ended = note_end};
    static const struct mote_client_call_callbacks prepared = {
        .prepare = prepare, .message = note_message, .ended = note_end};
    static const struct mote_field metadata[] = {{MOTE_SLICE_LITERAL("x-one"), MOTE_SLICE_LITERAL("1"), 0},
                                                 {MOTE_SLICE_LITERAL("x-two-bin"), MOTE_SLICE_LITERAL("qqqq"), 0}};
    struct result *result = &scene->results[scene->calls++];
    const struct mote_client_call_options options = {
        .method = method,
        .callbacks = method == &calculator_v1_Calculator_Count_method ? &prepared : &plain,
        .user = result,
        .timeout_ns = 60 * SECOND,
        .metadata = metadata,
        .metadata_count = 2,
        .encoding = encoding,
    };
    mote_buffer_init(&result->padding, scene->mem, 0);
    result->expected = expected;
    result->started = mote_client_channel_start(&result->call, scene->channel, &options, scene->fixture.pair.now_ns);
    if (result->started != 0) {
        result->call = NULL;
    }
    return result;
}

/* One that cannot be sent is given up, as a program would. */
static void send(const struct result *result, const void *request)
{
    if (result->call != NULL && mote_client_call_send(result->call, request) != 0) {
        mote_client_call_cancel(result->call);
    }
}

static void half_close(const struct result *result)
{
    if (result->call != NULL && mote_client_call_half_close(result->call) != 0) {
        mote_client_call_cancel(result->call);
    }
}

static struct result *add(struct scene *scene, enum mote_status expected)
{
    static const calculator_v1_AddRequest request = {.a = 2, .b = 40};
    struct result *result = start(scene, &calculator_v1_Calculator_Add_method, MOTE_ENCODING_IDENTITY, expected);
    send(result, &request);
    half_close(result);
    return result;
}

static void send_numbers(const struct result *result)
{
    for (int64_t number = 1; number <= 3; number++) {
        send(result, &(calculator_v1_RunningTotalRequest){.number = number});
    }
}

/* --- the scenario ------------------------------------------------------------------------------------------------ */

static void live(struct scene *scene)
{
    static const calculator_v1_CountRequest count = {.from = 1, .to = COUNTED, .padding = PADDING};
    const struct mote_method *const totals = &calculator_v1_Calculator_RunningTotal_method;
    const struct mote_rpc_pair *pair = &scene->fixture.pair;
    /* All wait for the connection. */
    add(scene, MOTE_STATUS_OK);
    struct result *counting =
        start(scene, &calculator_v1_Calculator_Count_method, MOTE_ENCODING_IDENTITY, MOTE_STATUS_OK);
    send(counting, &count);
    half_close(counting);
    struct result *stream = start(scene, totals, MOTE_ENCODING_GZIP, MOTE_STATUS_OK);
    send_numbers(stream);
    connect_all(scene);
    /* The server goes away: what runs there finishes there, what begins goes to the next one. */
    if (scene->wires[0].server != NULL) {
        mote_server_connection_drain(scene->wires[0].server, pair->now_ns);
    }
    pump(scene);
    add(scene, MOTE_STATUS_OK);
    connect_all(scene);
    half_close(stream);
    pump(scene);
    /* That one is lost. */
    struct result *lost = start(scene, totals, MOTE_ENCODING_DEFLATE, MOTE_STATUS_UNAVAILABLE);
    send_numbers(lost);
    pump(scene);
    add(scene, MOTE_STATUS_OK);          /* of which nothing has left */
    const size_t opened = scene->opened; /* another follows */
    for (size_t i = 0; i < opened; i++) {
        lose(scene, &scene->wires[i]);
    }
    connect_all(scene);
    struct result *late = start(scene, totals, MOTE_ENCODING_GZIP, MOTE_STATUS_CANCELLED);
    send_numbers(late);
    pump(scene);
    mote_client_channel_close(scene->channel);
    pump(scene);
}

static int check(struct scene *scene)
{
    bool all_well = true;
    for (size_t i = 0; i < scene->calls; i++) {
        struct result *result = &scene->results[i];
        assert_int_equal(result->ended, result->started == 0 ? 1 : 0);
        all_well = all_well && result->started == 0 && result->status == result->expected;
        if (result->ended == 1 && result->status == MOTE_STATUS_OK) {
            const bool is_count = i == 1;
            const bool is_stream = i == 2;
            assert_int_equal(result->messages, is_count ? COUNTED : is_stream ? 3 : 1);
            assert_int_equal(result->sum, is_count ? 6 : is_stream ? 1 + 3 + 6 : 42);
            assert_int_equal(mote_buffer_length(&result->padding), is_count ? COUNTED * PADDING : 0);
        }
        mote_buffer_dispose(&result->padding);
    }
    return all_well && scene->calls == 7 ? 0 : MOTE_ENOMEM;
}

static int scenario(struct mote_mem *mem, void *context)
{
    static struct scene scene;
    memset(&scene, 0, sizeof scene);
    (void)context;
    scene.mem = mem;
    scene.transport = (struct mote_client_transport){
        .open = transport_open, .attention = transport_attention, .close = transport_close};
    assert_int_equal(call_fixture_prepare(&scene.fixture, mote_mem_system()), 0);
    struct mote_rpc_pair *pair = &scene.fixture.pair;
    assert_int_equal(mote_rpc_pair_connect_server(pair), 0);
    const struct mote_client_options client = {.limits = &pair->limits, .mem = mem, .wheel = &pair->wheel};
    int error = mote_client_new(&scene.client, &client);
    if (error == 0) {
        const struct mote_client_channel_options options = {.target = {.authority = "example:1"},
                                                            .name = "example:1",
                                                            .transport = &scene.transport,
                                                            .random = mote_random_system()};
        error = mote_client_channel_new(&scene.channel, scene.client, &options, pair->now_ns);
    }
    if (error == 0) {
        live(&scene);
        error = check(&scene);
    }
    for (size_t i = 0; i < scene.opened; i++) {
        lose(&scene, &scene.wires[i]);
    }
    mote_client_channel_free(scene.channel);
    mote_client_free(scene.client);
    mote_rpc_pair_dispose(pair);
    assert_int_equal(scene.fixture.observed.started, scene.fixture.observed.ended);
    return error;
}

static void test_channel(void **state)
{
    (void)state;
    assert_true(mote_failing_mem_check(scenario, NULL) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_channel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
