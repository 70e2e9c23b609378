/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel whose servers send any bytes (rpc/client_channel.h). Input: a byte of flags, one that says which allocation
 * fails (0: none), then reads: two bytes of length (the top bit: a second passes before; the next one: the connection
 * is lost before, and the bytes go to the one that follows), that many bytes. Calls of all kinds wait from the start;
 * each that ends is followed by another.
 *
 * Invariants
 *  1. A call ends exactly once, at the latest when the channel is closed, with a status that gRPC has; nothing is heard
 *     of it afterwards.
 *  2. Where one message is due, OK comes with exactly one.
 *  3. A call is sent twice at most: no more header blocks go out than twice the calls.
 *  4. Memory: never more than 1 MiB and 32 times what was received; none is left in the end.
 */
#include "fuzz.h"

#include "grpc/health/v1/health.mote.h"
#include "rpc/client_channel.h"
#include "wire/h2.h"

#define CALLS_MAX    24u
#define LINKS_MAX    64u
#define FIXED_MEMORY (1024u * 1024u)
#define MESSAGE_MAX  65536u
#define START_NS     (1000 * MOTE_LIMITS_SECOND)
#define TYPE_AT      3u /* in a frame's header */
#define HEADER       9u
#define PREFACE      24u

enum flag {
    FLAG_TWO_CONNECTIONS = 1,
    FLAG_KEEPALIVE = 2,
    FLAG_DEADLINES = 4,
    FLAG_WAITS = 8,   /* for a connection, whatever fails */
    FLAG_CANCEL = 16, /* a call for each read */
    FLAG_COMPRESS = 32,
    FLAG_REFUSED = 64, /* every third attempt cannot even begin */
};

struct call {
    struct mote_client_call *call; /* NULL once it has ended */
    enum mote_call_kind kind;
    unsigned messages;
    bool started;
    bool ended;
};

struct harness {
    struct fuzz_memory memory;
    struct mote_limits limits;
    struct mote_timer_wheel wheel;
    uint64_t now_ns;
    unsigned flags;
    struct mote_client *client;
    struct mote_client_channel *channel;
    struct mote_client_transport transport;
    struct mote_client_link *links[LINKS_MAX]; /* open ones; NULL: gone */
    bool connected[LINKS_MAX];
    bool closing[LINKS_MAX];
    size_t link_count;
    struct call calls[CALLS_MAX];
    size_t call_count;
    size_t received;
    size_t header_blocks;
};

/* --- calls ------------------------------------------------------------------------------------------------------- */

static void note_message(struct mote_client_call *call, const void *response)
{
    struct call *record = mote_client_call_user(call);
    (void)response;
    fuzz_require(!record->ended);
    record->messages++;
}

static void note_writable(struct mote_client_call *call)
{
    fuzz_require(!((struct call *)mote_client_call_user(call))->ended);
}

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct call *record = mote_client_call_user(call);
    const bool is_single = record->kind == MOTE_CALL_UNARY || record->kind == MOTE_CALL_CLIENT_STREAM;
    (void)message;
    (void)trailers;
    fuzz_require(!record->ended);
    fuzz_require((int)status >= 0 && status < MOTE_STATUS_COUNT);
    fuzz_require(!is_single || status != MOTE_STATUS_OK || record->messages == 1);
    record->ended = true;
    record->call = NULL;
}

static const struct mote_client_call_callbacks callbacks = {
    .message = note_message, .writable = note_writable, .ended = note_end};

#define METHOD(kind_)                                                                                                  \
    {                                                                                                                  \
        .name = "M", .path = "/a.B/M", .kind = (kind_), .request = &grpc_health_v1_HealthCheckRequest_type,            \
        .response = &grpc_health_v1_HealthCheckResponse_type                                                           \
    }

static void start_call(struct harness *harness)
{
    static const struct mote_method methods[] = {METHOD(MOTE_CALL_UNARY), METHOD(MOTE_CALL_CLIENT_STREAM),
                                                 METHOD(MOTE_CALL_SERVER_STREAM), METHOD(MOTE_CALL_BIDI_STREAM)};
    static const grpc_health_v1_HealthCheckRequest request = {.service = "s"};
    struct call *record = &harness->calls[harness->call_count++];
    const struct mote_method *method = &methods[harness->call_count % 4];
    const struct mote_client_call_options options = {
        .method = method,
        .callbacks = &callbacks,
        .user = record,
        .timeout_ns = (harness->flags & FLAG_DEADLINES) != 0 ? 3 * MOTE_LIMITS_SECOND : UINT64_MAX,
        .encoding = (harness->flags & FLAG_COMPRESS) != 0 ? MOTE_ENCODING_GZIP : MOTE_ENCODING_IDENTITY,
        .wait_for_ready = (harness->flags & FLAG_WAITS) != 0,
    };
    record->kind = method->kind;
    record->started = mote_client_channel_start(&record->call, harness->channel, &options, harness->now_ns) == 0;
    record->ended = !record->started;
    if (record->started && mote_client_call_send(record->call, &request) == 0 &&
        method->kind != MOTE_CALL_BIDI_STREAM) {
        (void)!mote_client_call_half_close(record->call);
    }
}

static size_t count_open(const struct harness *harness)
{
    size_t count = 0;
    for (size_t i = 0; i < harness->call_count; i++) {
        count += !harness->calls[i].ended;
    }
    return count;
}

static void cancel_one(struct harness *harness)
{
    for (size_t i = 0; i < harness->call_count; i++) {
        if (!harness->calls[i].ended) {
            mote_client_call_cancel(harness->calls[i].call);
            fuzz_require(harness->calls[i].ended);
            return;
        }
    }
}

/* --- links ------------------------------------------------------------------------------------------------------- */

static int transport_open(struct mote_client_transport *transport, struct mote_client_link *link, uint64_t deadline_ns)
{
    struct harness *harness = MOTE_CONTAINER_OF(transport, struct harness, transport);
    (void)deadline_ns;
    if (harness->link_count == LINKS_MAX ||
        ((harness->flags & FLAG_REFUSED) != 0 && harness->link_count % 3 == 2 && harness->now_ns / 7 % 2 == 0)) {
        return MOTE_EIO;
    }
    mote_client_link_set_user(link, &harness->links[harness->link_count]);
    harness->links[harness->link_count++] = link;
    return 0;
}

static void transport_attention(struct mote_client_transport *transport, struct mote_client_link *link)
{
    (void)transport;
    (void)link;
}

static void transport_close(struct mote_client_transport *transport, struct mote_client_link *link)
{
    struct harness *harness = MOTE_CONTAINER_OF(transport, struct harness, transport);
    harness->closing[(struct mote_client_link **)mote_client_link_user(link) - harness->links] = true;
}

static void drop_link(struct harness *harness, size_t index)
{
    struct mote_client_link *link = harness->links[index];
    mote_client_link_lost(link, "lost", harness->now_ns);
    mote_client_link_free(link);
    harness->links[index] = NULL;
}

/* Header blocks in whole frames, behind the preface at the beginning of a connection. */
static void count_blocks(struct harness *harness, const uint8_t *bytes, size_t length)
{
    size_t at = length >= PREFACE && memcmp(bytes, "PRI ", 4) == 0 ? PREFACE : 0;
    while (at + HEADER <= length) {
        const size_t payload = (size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2];
        harness->header_blocks += bytes[at + TYPE_AT] == 1;
        at += HEADER + payload;
    }
    fuzz_require(at == length);
}

/* False: there will be no more. */
static bool take_output(struct harness *harness, size_t index)
{
    static uint8_t room[1 << 20]; /* more than all calls together: frames come whole */
    size_t length;
    const int error = mote_client_link_send(harness->links[index], room, sizeof room, &length, harness->now_ns);
    count_blocks(harness, room, length);
    return error == 0 && !mote_client_link_is_over(harness->links[index]);
}

static void settle(struct harness *harness)
{
    mote_timer_wheel_advance(&harness->wheel, harness->now_ns);
    for (size_t i = 0; i < harness->link_count; i++) {
        if (harness->links[i] == NULL) {
            continue;
        }
        if (!harness->connected[i] && !harness->closing[i]) {
            harness->connected[i] = mote_client_link_connected(harness->links[i], harness->now_ns) == 0;
            harness->closing[i] = !harness->connected[i];
        }
        if (harness->closing[i] || !take_output(harness, i)) {
            drop_link(harness, i);
        }
    }
    mote_timer_wheel_advance(&harness->wheel, harness->now_ns);
}

/* The oldest that is there, which calls are on first. */
static size_t find_link(const struct harness *harness)
{
    size_t index = 0;
    while (index < harness->link_count && (harness->links[index] == NULL || !harness->connected[index])) {
        index++;
    }
    return index;
}

static void give(struct harness *harness, struct mote_slice bytes, bool loses)
{
    size_t index = find_link(harness);
    if (loses && index < harness->link_count) {
        drop_link(harness, index);
        settle(harness);
        index = find_link(harness);
    }
    if (index < harness->link_count && bytes.length != 0) {
        uint8_t *copy = fuzz_copy(bytes);
        const int error = mote_client_link_recv(harness->links[index], mote_slice(copy, bytes.length), harness->now_ns);
        free(copy);
        harness->received += bytes.length;
        if (error != 0) {
            (void)take_output(harness, index);
            drop_link(harness, index);
        }
    }
}

static int open_channel(struct harness *harness)
{
    const struct mote_client_options client = {
        .limits = &harness->limits, .mem = &harness->memory.mem, .wheel = &harness->wheel};
    const struct mote_client_channel_options channel = {
        .target = {.authority = "a:1"},
        .name = "a:1",
        .transport = &harness->transport,
        .random = mote_random_system(),
        .keepalive_time_ns = (harness->flags & FLAG_KEEPALIVE) != 0 ? 2 * MOTE_LIMITS_SECOND : 0,
        .backoff = {.initial_ns = 1, .max_ns = 1}, /* without jitter: no randomness here */
        .max_connections = (harness->flags & FLAG_TWO_CONNECTIONS) != 0 ? 2 : 1,
    };
    const int error = mote_client_new(&harness->client, &client);
    return error == 0 ? mote_client_channel_new(&harness->channel, harness->client, &channel, harness->now_ns) : error;
}

static void run(struct harness *harness, struct mote_slice input)
{
    for (size_t i = 0; i < 4; i++) {
        start_call(harness);
    }
    settle(harness);
    while (input.length > 0) {
        const unsigned length = (unsigned)fuzz_take_byte(&input) << 8 | fuzz_take_byte(&input);
        harness->now_ns += (length & 0x8000) != 0 ? MOTE_LIMITS_SECOND : 1;
        give(harness, fuzz_take(&input, length & 0x3fff), (length & 0x4000) != 0);
        if ((harness->flags & FLAG_CANCEL) != 0) {
            cancel_one(harness);
        }
        settle(harness);
        while (harness->call_count < CALLS_MAX && count_open(harness) < 4) {
            start_call(harness);
        }
        settle(harness);
        fuzz_require(harness->memory.peak <= FIXED_MEMORY + 32 * harness->received);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mote_slice input = mote_slice(data, size);
    static struct harness harness;
    memset(&harness, 0, sizeof harness);
    harness.flags = fuzz_take_byte(&input);
    harness.now_ns = START_NS;
    fuzz_memory_init(&harness.memory, fuzz_take_byte(&input));
    mote_limits_init(&harness.limits);
    harness.limits.message_receive_max = MESSAGE_MAX;
    mote_timer_wheel_init(&harness.wheel, harness.now_ns);
    harness.transport = (struct mote_client_transport){
        .open = transport_open, .attention = transport_attention, .close = transport_close};
    if (open_channel(&harness) == 0) {
        run(&harness, input);
        mote_client_channel_close(harness.channel);
    }
    for (size_t i = 0; i < harness.link_count; i++) {
        if (harness.links[i] != NULL) {
            drop_link(&harness, i);
        }
    }
    fuzz_require(count_open(&harness) == 0);
    fuzz_require(harness.header_blocks <= 2 * harness.call_count);
    mote_client_channel_free(harness.channel);
    mote_client_free(harness.client);
    fuzz_require(harness.memory.held == 0);
    mote_timer_wheel_dispose(&harness.wheel);
    return 0;
}
