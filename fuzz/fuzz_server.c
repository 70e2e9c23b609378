/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to a server (rpc/server.h), whose client keeps to HTTP/2 and to nothing else. Input: a byte of flags, one that
 * says which allocation of the server's fails (0: none), then acts: a byte for what (enum act; the top bit: nothing is
 * moved before the next), one for which of eight streams and how, and what it needs. Handlers do what the message says;
 * some pause, some answer later.
 *
 * Invariants
 *  1. Each call that an observer saw begin ends once, and no handler is called behind that.
 *  2. A stream that the server ends has exactly one grpc-status.
 *  3. Once everybody has had enough turns, nothing waits for one.
 *  4. Memory: never more than 2 MiB and 32 times what was received; none is left in the end.
 */
#include "fuzz.h"

#include "grpc/health/v1/health.mote.h"
#include "rpc/server.h"
#include "wire/compression.h"
#include "wire/h2.h"
#include "wire/message.h"

#define SLOTS        8u
#define KEPT         16u
#define MESSAGE_MAX  65536u
#define TURN_BYTES   4096u
#define TURNS_MAX    10000u
#define FIXED_MEMORY (2048u * 1024u)
#define ROOM         65536u

enum act {
    ACT_REQUEST, /* how: the method, END_STREAM, the encoding */
    ACT_BYTES,   /* a length, bytes; how: END_STREAM behind them */
    ACT_MESSAGE, /* a length, a number of times, bytes: a message of them so often; how: compressed, END_STREAM */
    ACT_RESET,
    ACT_TURN,
    ACT_TIME, /* how: in tenths of a second */
    ACT_RESUME,
    ACT_ANSWER, /* calls that were kept */
    ACT_DRAIN,
    ACT_CUT,
    ACT_COUNT,
};

#define TOGETHER       0x80u
#define HOW_END        0x80u
#define HOW_COMPRESSED 0x40u

enum flag {
    FLAG_SMALL_WINDOW = 1,
    FLAG_TURNS = 2,    /* one behind each act */
    FLAG_PERSISTS = 4, /* all allocations behind the one that fails do, too */
};

struct slot {
    struct mote_stream *stream; /* NULL: closed */
    unsigned statuses;
    bool ended;
};

struct harness {
    struct fuzz_memory memory;
    struct mote_limits limits;
    struct mote_limits client_limits;
    struct mote_timer_wheel wheel;
    uint64_t now_ns;
    struct mote_server *server;
    struct mote_server_worker *worker;
    struct mote_server_connection *connection;
    struct mote_server_connection_owner owner;
    struct mote_h2_context *client_context;
    struct mote_h2 *client;
    struct mote_h2_owner client_owner;
    struct slot slots[SLOTS];
    struct mote_call *kept[KEPT]; /* references */
    size_t kept_count;
    size_t begun, over;
    size_t received;
    bool dead;
};

/* --- the server -------------------------------------------------------------------------------------------------- */

static void count_begin(void *context, struct mote_call *call)
{
    (void)call;
    ((struct harness *)context)->begun++;
}

static void count_end(void *context, struct mote_call *call, const struct mote_call_summary *summary)
{
    fuzz_require((int)summary->status >= 0 && summary->status < MOTE_STATUS_COUNT);
    fuzz_require(mote_call_is_over(call));
    ((struct harness *)context)->over++;
}

static bool keep(struct harness *harness, struct mote_call *call)
{
    if (harness->kept_count == KEPT) {
        return false;
    }
    mote_call_ref(call);
    harness->kept[harness->kept_count++] = call;
    return true;
}

static void answer(struct mote_call *call, bool is_end)
{
    static const grpc_health_v1_HealthCheckResponse response = {.status = 1};
    const enum mote_call_kind kind = mote_call_method(call)->kind;
    if (kind == MOTE_CALL_UNARY || (kind == MOTE_CALL_CLIENT_STREAM && is_end)) {
        mote_call_reply(call, &response);
    } else if (kind != MOTE_CALL_CLIENT_STREAM) {
        const int error = !mote_call_is_over(call) ? mote_call_send(call, &response) : 0;
        if (error != 0 || is_end || kind == MOTE_CALL_SERVER_STREAM) {
            mote_call_finish(call);
        }
    }
}

/* The first letter of a message says what becomes of it; NULL: the client has half-closed. */
static void handle(struct mote_call *call, const void *message)
{
    const grpc_health_v1_HealthCheckRequest *request = message;
    struct harness *harness = mote_call_worker_user(call);
    fuzz_require(!mote_call_is_over(call));
    switch (request != NULL ? request->service[0] : '\0') {
    case 'k':
        if (keep(harness, call)) {
            return;
        }
        break;
    case 'p':
        if (keep(harness, call)) {
            mote_call_pause(call);
        }
        break;
    case 'f':
        mote_call_fail(call, MOTE_STATUS_ABORTED, "%s", request->service);
        return;
    case 'c':
        (void)mote_call_compress(call, true);
        break;
    case 'h':
        (void)!mote_call_add_trailer(call, "x-service", mote_slice_text(request->service));
        mote_call_send_headers(call);
        break;
    default:
        break;
    }
    answer(call, request == NULL);
}

/* Before a message is decoded: one whose length is odd takes memory of the call, one that ends in 'x' is refused. */
static void prepare(struct mote_call *call, void *request, struct mote_slice encoded)
{
    (void)request;
    if (encoded.length % 2 != 0) {
        (void)mote_call_make_data(call, encoded.length);
    }
    if (encoded.length != 0 && encoded.data[encoded.length - 1] == 'x') {
        mote_call_fail(call, MOTE_STATUS_OUT_OF_RANGE, "x");
        fuzz_require(encoded.data[encoded.length - 1] == 'x'); /* it is there until it has been decoded */
    }
}

static void go_on(struct mote_call *call)
{
    answer(call, false);
}

#define METHOD(name_, kind_)                                                                                           \
    .name = (name_), .path = "/a.B/" name_, .kind = (kind_), .request = &grpc_health_v1_HealthCheckRequest_type,       \
    .response = &grpc_health_v1_HealthCheckResponse_type, .handler = handle

static const struct mote_method methods[] = {
    {METHOD("Unary", MOTE_CALL_UNARY)},
    {METHOD("Client", MOTE_CALL_CLIENT_STREAM), .prepare = prepare},
    {METHOD("Server", MOTE_CALL_SERVER_STREAM)},
    {METHOD("Bidi", MOTE_CALL_BIDI_STREAM), .refused = go_on},
    {METHOD("Prepared", MOTE_CALL_UNARY), .prepare = prepare},
    {METHOD("Small", MOTE_CALL_BIDI_STREAM), .request_max = 8},
};
static const struct mote_service service = {
    .name = "a.B", .package = "a", .methods = methods, .method_count = sizeof methods / sizeof methods[0]};

static void attention(struct mote_server_connection_owner *owner)
{
    (void)owner;
}

static int open_server(struct harness *harness)
{
    const struct mote_server_options options = {
        .limits = &harness->limits,
        .stages[MOTE_STAGE_LOG] = {.context = harness, .start = count_begin, .end = count_end},
        .log = mote_log_none(),
        .worker_count = 1};
    int error = mote_server_new(&harness->server, &harness->memory.mem, &options);
    if (error == 0) {
        error = mote_server_add_service(harness->server, &service, NULL);
    }
    if (error == 0) {
        const struct mote_server_worker_options worker = {
            .mem = &harness->memory.mem, .wheel = &harness->wheel, .user = harness};
        error = mote_server_worker_new(&harness->worker, harness->server, &worker);
    }
    if (error == 0) {
        const struct mote_server_connection_options connection = {.owner = &harness->owner, .peer = "192.0.2.1:1"};
        harness->owner.attention = attention;
        error = mote_server_connection_new(&harness->connection, harness->worker, &connection, harness->now_ns);
    }
    return error;
}

/* --- the client -------------------------------------------------------------------------------------------------- */

static void client_attention(struct mote_h2_owner *owner, uint64_t now_ns)
{
    (void)owner;
    (void)now_ns;
}

static void open_client(struct harness *harness)
{
    const struct mote_h2_context_options options = {
        .limits = &harness->client_limits, .mem = mote_mem_system(), .wheel = &harness->wheel};
    harness->client_owner.attention = client_attention;
    fuzz_require(mote_h2_context_new(&harness->client_context, &options) == 0);
    fuzz_require(mote_h2_new(&harness->client, harness->client_context, MOTE_ROLE_CLIENT, &harness->client_owner,
                             harness->now_ns) == 0);
}

static void take_events(struct harness *harness)
{
    struct mote_event event;
    while (mote_h2_next_event(harness->client, &event)) {
        struct slot *slot = event.stream != NULL ? event.stream->user : NULL;
        if (slot == NULL) {
            continue;
        }
        const bool is_block = event.type == MOTE_EVENT_HEADERS || event.type == MOTE_EVENT_TRAILERS;
        if (is_block && mote_slice_is_present(event.u.fields->known[MOTE_FIELD_GRPC_STATUS])) {
            slot->statuses++;
        }
        if (event.type == MOTE_EVENT_DATA) {
            mote_h2_consume(event.stream, event.u.data.length);
        }
        slot->ended |=
            event.type == MOTE_EVENT_END || ((is_block || event.type == MOTE_EVENT_DATA) && event.end_stream);
        if (event.type == MOTE_EVENT_CLOSED) {
            fuzz_require(!slot->ended || slot->statuses == 1);
            slot->stream = NULL;
        }
    }
}

static void pump(struct harness *harness)
{
    static uint8_t room[ROOM];
    size_t sent;
    size_t answered;
    do {
        sent = answered = 0;
        (void)!mote_h2_send(harness->client, room, sizeof room, &sent, harness->now_ns);
        take_events(harness);
        if (sent != 0 && !harness->dead) {
            uint8_t *copy = fuzz_copy(mote_slice(room, sent));
            harness->dead =
                mote_server_connection_recv(harness->connection, mote_slice(copy, sent), harness->now_ns) != 0;
            free(copy);
            harness->received += sent;
        }
        if (mote_server_connection_send(harness->connection, room, sizeof room, &answered, harness->now_ns) != 0) {
            harness->dead = true;
        }
        if (answered != 0) {
            (void)!mote_h2_recv(harness->client, mote_slice(room, answered), harness->now_ns);
            take_events(harness);
        }
    } while ((sent != 0 && !harness->dead) || answered != 0);
}

static void request(struct harness *harness, unsigned how)
{
    static const char *const encodings[] = {NULL, "gzip", "deflate", "identity"};
    struct slot *slot = &harness->slots[how % SLOTS];
    const unsigned method = how / SLOTS % (sizeof methods / sizeof methods[0]);
    const char *encoding = encodings[(how >> 6 & 1u) + (how % SLOTS == 7 ? 2u : 0u)];
    const struct mote_field fields[] = {
        {MOTE_SLICE_LITERAL(":method"), MOTE_SLICE_LITERAL("POST"), 0},
        {MOTE_SLICE_LITERAL(":scheme"), MOTE_SLICE_LITERAL("http"), 0},
        {.name = MOTE_SLICE_LITERAL(":path"), .value = mote_slice_text(methods[method].path)},
        {MOTE_SLICE_LITERAL(":authority"), MOTE_SLICE_LITERAL("a"), 0},
        {MOTE_SLICE_LITERAL("content-type"), MOTE_SLICE_LITERAL("application/grpc"), 0},
        {MOTE_SLICE_LITERAL("grpc-accept-encoding"), MOTE_SLICE_LITERAL("deflate"), 0},
        {MOTE_SLICE_LITERAL("grpc-timeout"), MOTE_SLICE_LITERAL("5S"), 0},
        {.name = MOTE_SLICE_LITERAL("grpc-encoding"), .value = mote_slice_text(encoding != NULL ? encoding : "")},
    };
    if (slot->stream == NULL) {
        *slot = (struct slot){.stream = NULL};
        if (mote_h2_request(harness->client, fields, encoding != NULL ? 8 : 7, (how & HOW_END) != 0, slot,
                            &slot->stream) != 0) {
            slot->stream = NULL;
        }
    }
}

static void send(const struct slot *slot, struct mote_slice head, struct mote_slice bytes, unsigned how)
{
    if (slot->stream != NULL && mote_h2_write(slot->stream, head, bytes) == 0 && (how & HOW_END) != 0) {
        (void)!mote_h2_write_end(slot->stream);
    }
}

static void send_message(const struct slot *slot, struct mote_slice part, unsigned times, unsigned how)
{
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    struct mote_buffer plain;
    struct mote_buffer packed;
    mote_buffer_init(&plain, mote_mem_system(), 0);
    mote_buffer_init(&packed, mote_mem_system(), 0);
    for (unsigned i = 0; i <= times; i++) {
        fuzz_require(mote_buffer_append(&plain, part.data, part.length) == 0);
    }
    struct mote_slice body = mote_buffer_slice(&plain);
    const bool compressed = (how & HOW_COMPRESSED) != 0;
    if (compressed) {
        fuzz_require(mote_compression_compress(how % SLOTS == 7 ? MOTE_ENCODING_DEFLATE : MOTE_ENCODING_GZIP, body,
                                               &packed) == 0);
        body = mote_buffer_slice(&packed);
    }
    mote_message_prefix(prefix, compressed, (uint32_t)body.length);
    send(slot, mote_slice(prefix, sizeof prefix), body, how);
    mote_buffer_dispose(&plain);
    mote_buffer_dispose(&packed);
}

/* --- acts -------------------------------------------------------------------------------------------------------- */

static void release_kept(struct harness *harness, bool answers)
{
    const size_t count = harness->kept_count;
    harness->kept_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct mote_call *call = harness->kept[i];
        mote_call_resume(call);
        if (answers) {
            answer(call, true);
        }
        mote_call_unref(call);
    }
}

static void pass_time(struct harness *harness, uint64_t duration_ns)
{
    harness->now_ns += duration_ns;
    mote_server_worker_set_now(harness->worker, harness->now_ns);
    mote_timer_wheel_advance(&harness->wheel, harness->now_ns);
}

/* False: what comes next leaves together with this. */
static bool act(struct harness *harness, struct mote_slice *input)
{
    const unsigned byte = fuzz_take_byte(input);
    const enum act what = (enum act)(byte % TOGETHER % ACT_COUNT);
    const unsigned how = fuzz_take_byte(input);
    struct slot *slot = &harness->slots[how % SLOTS];
    switch (what) {
    case ACT_REQUEST:
        request(harness, how);
        break;
    case ACT_BYTES:
        send(slot, mote_slice(NULL, 0), fuzz_take(input, fuzz_take_byte(input)), how);
        break;
    case ACT_MESSAGE: {
        const unsigned length = fuzz_take_byte(input);
        const unsigned times = fuzz_take_byte(input);
        send_message(slot, fuzz_take(input, length), times, how);
        break;
    }
    case ACT_RESET:
        if (slot->stream != NULL) {
            mote_h2_reset(slot->stream, MOTE_H2_CANCEL);
        }
        break;
    case ACT_TURN:
        (void)mote_server_worker_turn(harness->worker, harness->now_ns);
        break;
    case ACT_TIME:
        pass_time(harness, how * (MOTE_LIMITS_SECOND / 10));
        break;
    case ACT_RESUME:
        release_kept(harness, false);
        break;
    case ACT_ANSWER:
        release_kept(harness, true);
        break;
    case ACT_DRAIN:
        mote_server_connection_drain(harness->connection, harness->now_ns);
        break;
    case ACT_CUT:
        (void)mote_server_connection_cut(harness->connection, harness->now_ns);
        break;
    case ACT_COUNT:
        break;
    }
    return byte < TOGETHER;
}

static void run(struct harness *harness, struct mote_slice input, unsigned flags)
{
    pump(harness);
    while (input.length > 0) {
        if (!act(harness, &input)) {
            continue;
        }
        if ((flags & FLAG_TURNS) != 0) {
            (void)mote_server_worker_turn(harness->worker, harness->now_ns);
        }
        pump(harness);
        fuzz_require(harness->memory.peak <= FIXED_MEMORY + 32 * harness->received);
    }
    size_t turns = 0;
    while (mote_server_worker_turn(harness->worker, harness->now_ns)) {
        pump(harness);
        fuzz_require(++turns < TURNS_MAX);
    }
    pump(harness);
}

static void close_all(struct harness *harness)
{
    release_kept(harness, (harness->received & 1) != 0);
    mote_h2_abort(harness->client);
    take_events(harness);
    mote_h2_free(harness->client);
    mote_h2_context_free(harness->client_context);
    mote_server_connection_free(harness->connection);
    release_kept(harness, true);
    fuzz_require(harness->begun == harness->over);
    mote_server_worker_free(harness->worker);
    mote_server_free(harness->server);
    fuzz_require(harness->memory.held == 0);
    mote_timer_wheel_dispose(&harness->wheel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mote_slice input = mote_slice(data, size);
    static struct harness harness;
    const unsigned flags = fuzz_take_byte(&input);
    memset(&harness, 0, sizeof harness);
    harness.now_ns = 1000 * MOTE_LIMITS_SECOND;
    fuzz_memory_init(&harness.memory, fuzz_take_byte(&input));
    harness.memory.persists = (flags & FLAG_PERSISTS) != 0;
    mote_limits_init(&harness.limits);
    mote_limits_init(&harness.client_limits);
    harness.limits.message_receive_max = MESSAGE_MAX;
    harness.limits.decompressed_per_turn = TURN_BYTES;
    harness.limits.buffered_per_connection_max = (flags & FLAG_SMALL_WINDOW) != 0 ? 4096 : 8 * MESSAGE_MAX;
    mote_timer_wheel_init(&harness.wheel, harness.now_ns);
    open_client(&harness);
    if (open_server(&harness) == 0) {
        run(&harness, input, flags);
    }
    close_all(&harness);
    return 0;
}
