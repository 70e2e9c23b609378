/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/2 connection given raw bytes (wire/h2.h). Input: a byte of flags, one that says which allocation fails (0:
 * none), one that says after how many reads a call is answered and what is done besides, then reads: two bytes of
 * length (the top bit: a second passes before), that many bytes.
 *
 * Invariants
 *  1. Memory: never more than 256 KiB and 32 times what was received; none is left in the end.
 *  2. Output: never more than 64 KiB and 8 times what was received, and what we sent of our own; it is whole frames,
 *     the first SETTINGS, and nothing follows a GOAWAY with an error.
 *  3. Events: HEADERS begin a stream, one CLOSED ends it, in between data and at most one end; every stream is closed
 *     when the connection has been aborted. DATA lies within the bytes that were given. The fields of a stream that is
 *     kept stay what they were.
 *  4. A connection that has failed stays so, and has nothing to send in the end.
 *  5. Where nothing is answered and nothing goes wrong, the streams see the same however the bytes are cut. (Not with
 *     CONTINUATION: nghttp2 up to 1.69 counts reads for such frames.)
 */
#include "fuzz.h"

#include "base/timer_wheel.h"
#include "wire/h2.h"

#define DELAY_MASK   7u
#define STREAMS_MAX  1024u
#define FIXED_MEMORY (256u * 1024u)
#define FIXED_OUTPUT (64u * 1024u)
#define START_NS     (1000 * MOTE_LIMITS_SECOND)
#define OWN_OUTPUT   64u /* a read: PING and GOAWAY of ours */
#define FRAME_HEADER 9u
#define PREFACE      24u

enum flag {
    FLAG_CLIENT = 1,      /* it is the client, and has sent two requests */
    FLAG_NOT_READING = 2, /* the peer takes no output until the end */
    FLAG_NO_CREDIT = 4,   /* bodies are not consumed */
    FLAG_EARLY = 8,       /* calls are answered at their HEADERS, with a status alone */
    FLAG_RESET = 16,      /* calls are reset instead of being answered */
    FLAG_SHUTDOWN = 32,   /* the connection is shut down after the first read */
    FLAG_SMALL_ROOM = 64, /* output is taken 10 bytes at a time */
    FLAG_LARGE = 128,     /* answers of 20,000 bytes instead of 10 */
};

/* In the third byte, above the delay: what is done behind each read (or one of them). */
enum action {
    ACTION_PING = 8,
    ACTION_TERMINATE = 16, /* behind the third */
    ACTION_NOTICE = 32,    /* the first step of a graceful shutdown */
    ACTION_BLOCKED = 64,   /* the transport takes nothing */
    ACTION_KEEP = 128,     /* fields are looked at after their streams are gone */
};

/* What a stream has seen. */
struct seen {
    int32_t id;
    struct mote_stream *stream;       /* NULL once closed */
    uint64_t hash;                    /* of its fields and data */
    const struct mote_fields *fields; /* the last ones */
    uint32_t error;                   /* of CLOSED */
    bool ended;
    bool answered;
    size_t ended_at; /* the read in which it ended */
};

struct connection {
    struct fuzz_memory memory;
    struct mote_limits limits;
    struct mote_timer_wheel wheel;
    struct mote_h2_owner owner;
    struct mote_h2_context *context;
    struct mote_h2 *h2;
    struct seen seen[STREAMS_MAX];
    size_t seen_count;
    struct mote_slice given; /* the bytes of the read in progress */
    uint64_t now_ns;
    unsigned flags;
    unsigned actions;
    size_t delay; /* reads until a call is answered */
    struct mote_stream *kept;
    const struct mote_fields *kept_fields;
    uint64_t kept_hash;
    size_t reads;
    size_t received;
    size_t answered; /* bytes of answers */
    size_t sent;
    bool failed;
    /* A scanner of our output. */
    uint8_t header[FRAME_HEADER];
    size_t header_length;
    size_t skip; /* payload, or the client's preface, still to come */
    uint8_t goaway[8];
    size_t goaway_length;
    bool in_goaway;
    bool over; /* GOAWAY with an error was sent */
    size_t frames;
};

static uint64_t hash_bytes(uint64_t hash, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ data[i]) * 1099511628211u;
    }
    return hash;
}

static uint64_t hash_fields(uint64_t hash, const struct mote_fields *fields)
{
    for (size_t i = 0; i < MOTE_FIELD_OTHER; i++) {
        hash = hash_bytes(hash ^ i, fields->known[i].data, fields->known[i].length);
    }
    for (size_t i = 0; i < fields->other_count; i++) {
        hash = hash_bytes(hash, fields->others[i].name.data, fields->others[i].name.length);
        hash = hash_bytes(hash ^ 1, fields->others[i].value.data, fields->others[i].value.length);
    }
    return hash ^ fields->list_size ^ fields->repeated ^ (uint64_t)fields->overflow << 32;
}

static struct seen *find_seen(struct connection *connection, const struct mote_stream *stream)
{
    for (size_t i = 0; i < connection->seen_count; i++) {
        if (connection->seen[i].stream == stream) {
            return &connection->seen[i];
        }
    }
    return NULL;
}

static struct seen *add_seen(struct connection *connection, struct mote_stream *stream)
{
    fuzz_require(connection->seen_count < STREAMS_MAX);
    struct seen *seen = &connection->seen[connection->seen_count++];
    *seen = (struct seen){.id = stream->id, .stream = stream};
    return seen;
}

static void answer(struct connection *connection, struct seen *seen)
{
    static const struct mote_field headers[] = {
        {MOTE_SLICE_LITERAL(":status"), MOTE_SLICE_LITERAL("200"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL("grpc-status"), MOTE_SLICE_LITERAL("0"), 0},
    };
    static const uint8_t body[20000];
    const size_t length = (connection->flags & FLAG_LARGE) != 0 ? sizeof body : 10;
    seen->answered = true;
    if ((connection->flags & FLAG_RESET) != 0) {
        mote_h2_reset(seen->stream, MOTE_H2_CANCEL);
        return;
    }
    const bool alone = (connection->flags & FLAG_EARLY) != 0;
    int error = mote_h2_respond(seen->stream, headers, alone ? 2 : 1, alone);
    if (alone) {
        mote_h2_reset(seen->stream, MOTE_H2_NO_ERROR);
        return;
    }
    if (error == 0) {
        error = mote_h2_write(seen->stream, mote_slice_text(""), mote_slice(body, length));
    }
    if (error == 0) {
        connection->answered += length;
        error = mote_h2_write_trailers(seen->stream, headers + 1, 1);
    }
    fuzz_require(error == 0 || error == MOTE_ECLOSED || error == MOTE_ENOMEM);
}

static void on_data(struct connection *connection, struct seen *seen, const struct mote_event *event)
{
    const struct mote_slice data = event->u.data;
    const struct mote_slice given = connection->given;
    fuzz_require(!seen->ended);
    fuzz_require(data.data >= given.data && data.data + data.length <= given.data + given.length);
    seen->hash = hash_bytes(seen->hash, data.data, data.length);
    if ((connection->flags & FLAG_NO_CREDIT) == 0) {
        mote_h2_consume(event->stream, data.length);
    }
}

/* Fields of a kept stream are what they were. */
static void drop_kept(struct connection *connection)
{
    if (connection->kept != NULL) {
        fuzz_require(hash_fields(0, connection->kept_fields) == connection->kept_hash);
        mote_h2_drop(connection->context, connection->kept);
        connection->kept = NULL;
    }
}

/* Keeps a stream whose CLOSED event was just taken, until the next one. */
static void keep(struct connection *connection, const struct seen *seen, struct mote_stream *stream)
{
    if ((connection->actions & ACTION_KEEP) == 0 || seen->fields == NULL) {
        return;
    }
    drop_kept(connection);
    mote_h2_keep(stream);
    connection->kept = stream;
    connection->kept_fields = seen->fields;
    connection->kept_hash = hash_fields(0, seen->fields);
}

static void on_stream_event(struct connection *connection, const struct mote_event *event)
{
    struct seen *seen = find_seen(connection, event->stream);
    const bool server = (connection->flags & FLAG_CLIENT) == 0;
    if (event->type == MOTE_EVENT_HEADERS && server) {
        fuzz_require(seen == NULL);
        seen = add_seen(connection, event->stream);
    }
    fuzz_require(seen != NULL && seen->id == event->stream->id);
    switch (event->type) {
    case MOTE_EVENT_HEADERS:
    case MOTE_EVENT_TRAILERS:
        fuzz_require(!seen->ended);
        seen->fields = event->u.fields;
        seen->hash = hash_fields(seen->hash, event->u.fields);
        break;
    case MOTE_EVENT_DATA:
        on_data(connection, seen, event);
        break;
    case MOTE_EVENT_END:
        fuzz_require(!seen->ended);
        seen->ended = true;
        seen->ended_at = connection->reads;
        break;
    case MOTE_EVENT_CLOSED:
        seen->error = event->u.end.error;
        seen->stream = NULL;
        keep(connection, seen, event->stream);
        return;
    case MOTE_EVENT_WRITABLE:
    case MOTE_EVENT_PING_ACK:
    case MOTE_EVENT_GOAWAY:
        break;
    }
    if (event->end_stream) {
        fuzz_require(!seen->ended);
        seen->ended = true;
        seen->ended_at = connection->reads;
    }
    if (server && event->type == MOTE_EVENT_HEADERS && (connection->flags & FLAG_EARLY) != 0) {
        answer(connection, seen);
    }
}

static void take_events(struct connection *connection)
{
    struct mote_event event;
    while (mote_h2_next_event(connection->h2, &event)) {
        if (event.stream != NULL) {
            on_stream_event(connection, &event);
        } else {
            fuzz_require(event.type == MOTE_EVENT_PING_ACK || event.type == MOTE_EVENT_GOAWAY);
        }
    }
}

/* The output as frames: see invariant 2. */
static void scan_output(struct connection *connection, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        fuzz_require(!connection->over);
        if (connection->skip != 0) {
            connection->skip--;
            if (connection->in_goaway && connection->goaway_length < sizeof connection->goaway) {
                connection->goaway[connection->goaway_length++] = bytes[i];
            }
        } else {
            connection->header[connection->header_length++] = bytes[i];
        }
        if (connection->header_length == FRAME_HEADER) {
            const uint8_t *header = connection->header;
            connection->skip = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
            fuzz_require(connection->skip <= 16384 && header[3] <= 9 && header[3] != 5);
            fuzz_require(connection->frames != 0 || (header[3] == 4 && header[4] == 0));
            connection->frames++;
            connection->header_length = 0;
            connection->in_goaway = header[3] == 7;
            connection->goaway_length = 0;
        }
        if (connection->in_goaway && connection->skip == 0) {
            connection->over =
                (connection->goaway[4] | connection->goaway[5] | connection->goaway[6] | connection->goaway[7]) != 0;
        }
    }
    connection->sent += length;
    fuzz_require(connection->sent <=
                 FIXED_OUTPUT + 8 * connection->received + 2 * connection->answered + OWN_OUTPUT * connection->reads);
}

static void take_output(struct connection *connection)
{
    uint8_t room[4096];
    const size_t capacity = (connection->flags & FLAG_SMALL_ROOM) != 0 ? 10 : sizeof room;
    size_t length;
    do {
        const int error = mote_h2_send(connection->h2, room, capacity, &length, connection->now_ns);
        fuzz_require(error == 0 || length == 0);
        scan_output(connection, room, length);
        take_events(connection);
    } while (length != 0);
    fuzz_require(!mote_h2_wants_write(connection->h2));
}

static void answer_what_is_due(struct connection *connection)
{
    if ((connection->flags & (FLAG_CLIENT | FLAG_EARLY)) != 0) {
        return;
    }
    for (size_t i = 0; i < connection->seen_count; i++) {
        struct seen *seen = &connection->seen[i];
        if (seen->stream != NULL && seen->ended && !seen->answered &&
            connection->reads >= seen->ended_at + connection->delay) {
            answer(connection, seen);
        }
    }
}

static void attention(struct mote_h2_owner *owner, uint64_t now_ns)
{
    struct connection *connection = MOTE_CONTAINER_OF(owner, struct connection, owner);
    fuzz_require(now_ns == connection->now_ns);
    take_events(connection);
}

/* What is done besides. */
static void act(struct connection *connection)
{
    struct mote_h2 *h2 = connection->h2;
    int error = 0;
    if ((connection->actions & ACTION_PING) != 0) {
        error = mote_h2_ping(h2, (const uint8_t *)"12345678");
    }
    fuzz_require(error == 0 || error == MOTE_ECLOSED || error == MOTE_ENOMEM);
    if ((connection->actions & ACTION_NOTICE) != 0) {
        error = mote_h2_shutdown_notice(h2, "soon");
        fuzz_require(error == 0 || error == MOTE_ECLOSED);
    }
    if ((connection->actions & ACTION_BLOCKED) != 0) {
        mote_h2_set_pending_output(h2, connection->sent, connection->now_ns);
    }
    if ((connection->actions & ACTION_TERMINATE) != 0 && connection->reads == 3) {
        mote_h2_terminate(h2, MOTE_H2_NO_ERROR, "enough");
        connection->failed = true;
        take_events(connection);
    }
}

/* One read. */
static void give(struct connection *connection, struct mote_slice bytes)
{
    uint8_t *copy = fuzz_copy(bytes);
    connection->given = mote_slice(copy, bytes.length);
    connection->received += bytes.length;
    connection->reads++;
    const int error = mote_h2_recv(connection->h2, connection->given, connection->now_ns);
    fuzz_require(!connection->failed || error != 0);
    connection->failed |= error != 0;
    take_events(connection);
    free(copy);
    answer_what_is_due(connection);
    act(connection);
    if ((connection->flags & FLAG_NOT_READING) == 0) {
        take_output(connection);
    }
    const size_t answers = (connection->flags & FLAG_LARGE) != 0 ? 100u * 65536u : 0;
    fuzz_require(connection->memory.peak <= FIXED_MEMORY + 32 * connection->received + answers);
}

static void pass_time(struct connection *connection)
{
    connection->now_ns += MOTE_LIMITS_SECOND;
    mote_timer_wheel_advance(&connection->wheel, connection->now_ns);
}

static void send_requests(struct connection *connection)
{
    static const struct mote_field fields[] = {
        {MOTE_SLICE_LITERAL(":method"), MOTE_SLICE_LITERAL("POST"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL(":scheme"), MOTE_SLICE_LITERAL("http"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL(":path"), MOTE_SLICE_LITERAL("/a.B/C"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL(":authority"), MOTE_SLICE_LITERAL("a"), 0},
    };
    for (int i = 0; i < 2; i++) {
        struct mote_stream *stream;
        if (mote_h2_request(connection->h2, fields, 4, i == 1, NULL, &stream) == 0) {
            (void)add_seen(connection, stream);
        }
    }
    connection->skip = PREFACE;
    take_output(connection);
}

/* False when memory ran out. */
static bool open_connection(struct connection *connection, unsigned flags, size_t fail_at)
{
    memset(connection, 0, sizeof *connection);
    fuzz_memory_init(&connection->memory, fail_at);
    connection->owner.attention = attention;
    connection->flags = flags;
    connection->now_ns = START_NS;
    mote_limits_init(&connection->limits);
    mote_timer_wheel_init(&connection->wheel, START_NS);
    const struct mote_h2_context_options options = {
        .limits = &connection->limits, .mem = &connection->memory.mem, .wheel = &connection->wheel};
    if (mote_h2_context_new(&connection->context, &options) != 0) {
        return false;
    }
    const bool client = (flags & FLAG_CLIENT) != 0;
    if (mote_h2_new(&connection->h2, connection->context, client ? MOTE_ROLE_CLIENT : MOTE_ROLE_SERVER,
                    &connection->owner, START_NS) != 0) {
        return false;
    }
    if (client) {
        send_requests(connection);
    }
    return true;
}

static void close_connection(struct connection *connection)
{
    if (connection->h2 != NULL) {
        take_output(connection);
        fuzz_require(!connection->failed || mote_h2_is_over(connection->h2));
        mote_h2_abort(connection->h2);
        take_events(connection);
        fuzz_require(mote_h2_stream_count(connection->h2) == 0 && mote_h2_is_over(connection->h2));
        for (size_t i = 0; i < connection->seen_count; i++) {
            fuzz_require(connection->seen[i].stream == NULL);
        }
    }
    mote_h2_free(connection->h2);
    drop_kept(connection);
    mote_h2_context_free(connection->context);
    mote_timer_wheel_dispose(&connection->wheel);
    fuzz_require(connection->memory.held == 0);
}

static struct connection as_given, whole, in_bytes;

static void run_reads(struct connection *connection, struct mote_slice input)
{
    while (input.length >= 2 && !connection->over) {
        const unsigned high = fuzz_take_byte(&input);
        const unsigned low = fuzz_take_byte(&input);
        const struct mote_slice bytes = fuzz_take(&input, (high & 0x7f) << 8 | low);
        if ((high & 0x80) != 0) {
            pass_time(connection);
        }
        give(connection, bytes);
        if (connection->reads == 1 && (connection->flags & FLAG_SHUTDOWN) != 0) {
            const int error = mote_h2_shutdown(connection->h2, "bye");
            fuzz_require(error == 0 || error == MOTE_ECLOSED);
        }
    }
}

/* The bytes of all reads, without their lengths. Returns owned memory. */
static struct mote_slice join(struct mote_slice input, uint8_t **owned)
{
    uint8_t *bytes = malloc(input.length + 1);
    size_t length = 0;
    fuzz_require(bytes != NULL);
    while (input.length >= 2) {
        const unsigned high = fuzz_take_byte(&input);
        const unsigned low = fuzz_take_byte(&input);
        const struct mote_slice part = fuzz_take(&input, (high & 0x7f) << 8 | low);
        memcpy(bytes + length, part.data, part.length);
        length += part.length;
    }
    *owned = bytes;
    return mote_slice(bytes, length);
}

/* CONTINUATION, or a block that wants one. */
static bool has_continuation(struct mote_slice bytes, bool server)
{
    size_t at = server ? PREFACE : 0;
    while (at + FRAME_HEADER <= bytes.length) {
        const uint8_t *header = bytes.data + at;
        if (header[3] == 9 || (header[3] == 1 && (header[4] & 4) == 0)) {
            return true;
        }
        at += FRAME_HEADER + ((size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2]);
    }
    return false;
}

/* Invariant 5. */
static void compare_cuts(struct mote_slice bytes, unsigned flags)
{
    if (bytes.length == 0 || bytes.length > MOTE_H2_RECV_MAX || has_continuation(bytes, (flags & FLAG_CLIENT) == 0)) {
        return;
    }
    fuzz_require(open_connection(&whole, flags, 0) && open_connection(&in_bytes, flags, 0));
    whole.delay = SIZE_MAX / 2;
    in_bytes.delay = SIZE_MAX / 2;
    give(&whole, bytes);
    for (size_t i = 0; i < bytes.length; i++) {
        give(&in_bytes, mote_slice(bytes.data + i, 1));
    }
    take_output(&in_bytes);
    /* A connection may also be over because the peer went away: what comes behind its GOAWAY is read or not. */
    const bool comparable = !whole.failed && !in_bytes.failed && !mote_h2_is_over(in_bytes.h2);
    close_connection(&whole);
    close_connection(&in_bytes);
    if (!comparable || whole.over || in_bytes.over) {
        return;
    }
    fuzz_require(whole.seen_count == in_bytes.seen_count);
    for (size_t i = 0; i < whole.seen_count; i++) {
        const struct seen *one = &whole.seen[i];
        const struct seen *other = &in_bytes.seen[i];
        fuzz_require(one->id == other->id && one->error == other->error);
        /* Of a body longer than its content-length, the more is seen the smaller the pieces are. */
        fuzz_require(one->error == MOTE_H2_PROTOCOL_ERROR || (one->hash == other->hash && one->ended == other->ended));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mote_slice input = mote_slice(data, size);
    const unsigned flags = fuzz_take_byte(&input);
    const size_t fail_at = fuzz_take_byte(&input);
    const unsigned third = fuzz_take_byte(&input);
    uint8_t *owned;
    if (open_connection(&as_given, flags, fail_at)) {
        as_given.delay = third & DELAY_MASK;
        as_given.actions = third & ~DELAY_MASK;
        run_reads(&as_given, input);
    }
    close_connection(&as_given);
    compare_cuts(join(input, &owned), (flags & FLAG_CLIENT) | FLAG_NOT_READING | FLAG_NO_CREDIT);
    free(owned);
    return 0;
}
