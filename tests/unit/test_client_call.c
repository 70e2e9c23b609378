/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the client role: the four kinds against the library's server, and odd answers from a bare HTTP/2 server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "call_test.h"
#include "rpc/core.h"

/* What a call's callbacks saw, in order: "h" headers, "m<number>" a message, "w" writable, then the end. */
struct seen {
    char text[512];
    enum mote_status status;
    char message[128];
    char trailer[32]; /* the value of x-trailer */
    bool ended;
    struct mote_client_call *call;
    bool cancels; /* at its first message */
};

static void append(struct seen *seen, const char *text)
{
    (void)strncat(seen->text, text, sizeof seen->text - strlen(seen->text) - 1);
}

static void note_headers(struct mote_client_call *call, const struct mote_fields *fields)
{
    assert_true(mote_slice_equals_text(fields->known[MOTE_FIELD_STATUS], "200"));
    append(mote_client_call_user(call), "h ");
}

/* All responses of the calculator begin with a number. */
static void note_message(struct mote_client_call *call, const void *response)
{
    struct seen *seen = mote_client_call_user(call);
    int64_t number;
    char text[32];
    assert_false(seen->ended);
    memcpy(&number, response, sizeof number);
    (void)snprintf(text, sizeof text, "m%lld ", (long long)number);
    append(seen, text);
    if (seen->cancels) {
        mote_client_call_cancel(call);
        assert_true(seen->ended);
        mote_client_call_cancel(call); /* once more is harmless while it is being handled */
    }
}

static void note_writable(struct mote_client_call *call)
{
    append(mote_client_call_user(call), "w ");
}

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct seen *seen = mote_client_call_user(call);
    assert_false(seen->ended);
    seen->ended = true;
    seen->status = status;
    (void)snprintf(seen->message, sizeof seen->message, "%.*s", (int)message.length, (const char *)message.data);
    if (trailers != NULL) {
        const struct mote_slice value = mote_fields_find(trailers, mote_slice_text("x-trailer"));
        (void)snprintf(seen->trailer, sizeof seen->trailer, "%.*s", (int)value.length, (const char *)value.data);
    }
}

static const struct mote_client_call_callbacks callbacks = {
    .headers = note_headers, .message = note_message, .writable = note_writable, .ended = note_end};

static void start(struct seen *seen, struct mote_client_connection *connection, const struct mote_method *method,
                  uint64_t timeout_ns, uint64_t now_ns)
{
    memset(seen, 0, sizeof *seen);
    const struct mote_client_call_options options = {
        .method = method, .callbacks = &callbacks, .user = seen, .timeout_ns = timeout_ns};
    assert_int_equal(mote_client_call_start(&seen->call, connection, &options, now_ns), 0);
}

static void start_method(struct seen *seen, struct mote_rpc_pair *pair, const struct mote_method *method)
{
    start(seen, pair->client_connection, method, UINT64_MAX, pair->now_ns);
}

static void send_number(struct seen *seen, int64_t number)
{
    const calculator_v1_SumRequest request = {.number = number};
    assert_int_equal(mote_client_call_send(seen->call, &request), 0);
}

static void test_kinds(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    struct seen seen;
    start_method(&seen, pair, &calculator_v1_Calculator_Add_method);
    const calculator_v1_AddRequest add = {.a = 2, .b = 40};
    assert_int_equal(mote_client_call_send(seen.call, &add), 0);
    assert_int_equal(mote_client_call_half_close(seen.call), 0);
    assert_int_equal(mote_client_call_half_close(seen.call), MOTE_ECLOSED);
    assert_int_equal(mote_client_call_send(seen.call, &add), MOTE_ECLOSED);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "h m42 ");
    assert_int_equal(seen.status, MOTE_STATUS_OK);

    start_method(&seen, pair, &calculator_v1_Calculator_Count_method);
    const calculator_v1_CountRequest count = {.from = -1, .to = 2};
    assert_int_equal(mote_client_call_send(seen.call, &count), 0);
    assert_int_equal(mote_client_call_half_close(seen.call), 0);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "h m-1 m0 m1 m2 ");
    assert_int_equal(seen.status, MOTE_STATUS_OK);

    start_method(&seen, pair, &calculator_v1_Calculator_Sum_method);
    send_number(&seen, 5);
    send_number(&seen, 6);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "");
    assert_int_equal(mote_client_call_half_close(seen.call), 0);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "h m11 ");

    start_method(&seen, pair, &calculator_v1_Calculator_RunningTotal_method);
    send_number(&seen, 5);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "h m5 ");
    send_number(&seen, 6);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "h m5 m11 ");
    assert_false(seen.ended);
    assert_int_equal(mote_client_call_half_close(seen.call), 0);
    mote_rpc_pair_pump(pair);
    assert_true(seen.ended);
    assert_int_equal(seen.status, MOTE_STATUS_OK);
    mote_rpc_pair_dispose(pair);
}

static void test_failures(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    struct seen seen;
    start_method(&seen, pair, &calculator_v1_Calculator_Add_method);
    const calculator_v1_AddRequest add = {.a = INT64_MAX, .b = 1};
    assert_int_equal(mote_client_call_send(seen.call, &add), 0);
    assert_int_equal(mote_client_call_half_close(seen.call), 0);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "");
    assert_int_equal(seen.status, MOTE_STATUS_OUT_OF_RANGE);
    assert_string_equal(seen.message, "the sum does not fit into 64 bits");
    /* In the middle of a stream that goes on. */
    start_method(&seen, pair, &calculator_v1_Calculator_RunningTotal_method);
    send_number(&seen, INT64_MAX);
    send_number(&seen, 1);
    send_number(&seen, 1);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "h m9223372036854775807 ");
    assert_int_equal(seen.status, MOTE_STATUS_OUT_OF_RANGE);
    mote_rpc_pair_dispose(pair);
}

static void test_deadline(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    struct seen seen;
    start(&seen, pair->client_connection, &calculator_v1_Calculator_RunningTotal_method, 100 * 1000000, pair->now_ns);
    send_number(&seen, 1);
    mote_rpc_pair_pass(pair, 90 * 1000000);
    assert_false(seen.ended);
    mote_rpc_pair_pass(pair, 20 * 1000000);
    assert_int_equal(seen.status, MOTE_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(fixture.observed.ended, 1);
    mote_rpc_pair_dispose(pair);
}

static void test_cancel(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    struct seen seen;
    start_method(&seen, pair, &calculator_v1_Calculator_Count_method);
    seen.cancels = true;
    const calculator_v1_CountRequest count = {.from = 1, .to = 1000, .padding = 1000};
    assert_int_equal(mote_client_call_send(seen.call, &count), 0);
    assert_int_equal(mote_client_call_half_close(seen.call), 0);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "h m1 ");
    assert_int_equal(seen.status, MOTE_STATUS_CANCELLED);
    assert_int_equal(fixture.observed.summary.status, MOTE_STATUS_CANCELLED);
    assert_int_equal(mote_server_worker_calls(pair->worker), 0);
    mote_rpc_pair_dispose(pair);
}

/* Megabytes either way through windows of 64 KiB. */
static void cancel_prepared(struct mote_client_call *call, void *response)
{
    assert_int_equal(((calculator_v1_CountResponse *)response)->number, 0);
    mote_client_call_cancel(call);
}

/* The end is the last that is heard, also when it comes before a message is decoded. */
static void test_cancel_before_decoding(void **state)
{
    (void)state;
    static const struct mote_client_call_callbacks cancelling = {
        .headers = note_headers, .prepare = cancel_prepared, .message = note_message, .ended = note_end};
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    struct seen seen = {.ended = false};
    const struct mote_client_call_options options = {.method = &calculator_v1_Calculator_Count_method,
                                                     .callbacks = &cancelling,
                                                     .user = &seen,
                                                     .timeout_ns = UINT64_MAX};
    assert_int_equal(mote_client_call_start(&seen.call, pair->client_connection, &options, pair->now_ns), 0);
    assert_int_equal(mote_client_call_send(seen.call, &(calculator_v1_CountRequest){.from = 1, .to = 3}), 0);
    assert_int_equal(mote_client_call_half_close(seen.call), 0);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "h ");
    assert_int_equal(seen.status, MOTE_STATUS_CANCELLED);
    teardown(&fixture);
}

static void test_flow_control(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    struct seen seen;
    start_method(&seen, pair, &calculator_v1_Calculator_Count_method);
    const calculator_v1_CountRequest count = {.from = 1, .to = 60, .padding = 65536};
    assert_int_equal(mote_client_call_send(seen.call, &count), 0);
    assert_int_equal(mote_client_call_half_close(seen.call), 0);
    mote_rpc_pair_pump(pair);
    assert_int_equal(seen.status, MOTE_STATUS_OK);
    assert_int_equal(fixture.observed.summary.response_messages, 60);
    assert_true(fixture.observed.summary.response_bytes > 60 * 65536);
    start_method(&seen, pair, &calculator_v1_Calculator_Sum_method);
    for (int i = 0; i < 50000; i++) {
        send_number(&seen, INT64_C(1) << 40);
    }
    assert_int_equal(mote_client_call_half_close(seen.call), 0);
    mote_rpc_pair_pump(pair);
    assert_int_equal(seen.status, MOTE_STATUS_OK);
    assert_non_null(strstr(seen.text, "w "));
    assert_non_null(strstr(seen.text, "m54975581388800000 "));
    mote_rpc_pair_dispose(pair);
}

/* --- a bare server --------------------------------------------------------------------------------------------- */

struct bare {
    struct mote_limits limits;
    struct mote_timer_wheel wheel;
    struct mote_client *client;
    struct mote_client_connection *connection;
    struct mote_client_owner owner;
    struct mote_h2_context *context;
    struct mote_h2 *h2;
    struct mote_h2_owner h2_owner;
    struct mote_stream *stream;
    char request[512]; /* its header fields */
};

static void no_attention(struct mote_client_owner *owner)
{
    (void)owner;
}

static void no_h2_attention(struct mote_h2_owner *owner, uint64_t now_ns)
{
    (void)owner;
    (void)now_ns;
}

static void take_events(struct bare *bare)
{
    struct mote_event event;
    while (mote_h2_next_event(bare->h2, &event)) {
        if (event.type == MOTE_EVENT_HEADERS) {
            const struct mote_slice *known = event.u.fields->known;
            bare->stream = event.stream;
            (void)snprintf(bare->request, sizeof bare->request, "%.*s %.*s %.*s %.*s %.*s %.*s %.*s %.*s",
                           (int)known[MOTE_FIELD_SCHEME].length, (const char *)known[MOTE_FIELD_SCHEME].data,
                           (int)known[MOTE_FIELD_USER_AGENT].length, (const char *)known[MOTE_FIELD_USER_AGENT].data,
                           (int)known[MOTE_FIELD_METHOD].length, (const char *)known[MOTE_FIELD_METHOD].data,
                           (int)known[MOTE_FIELD_PATH].length, (const char *)known[MOTE_FIELD_PATH].data,
                           (int)known[MOTE_FIELD_AUTHORITY].length, (const char *)known[MOTE_FIELD_AUTHORITY].data,
                           (int)known[MOTE_FIELD_CONTENT_TYPE].length,
                           (const char *)known[MOTE_FIELD_CONTENT_TYPE].data, (int)known[MOTE_FIELD_TE].length,
                           (const char *)known[MOTE_FIELD_TE].data, (int)known[MOTE_FIELD_GRPC_TIMEOUT].length,
                           (const char *)known[MOTE_FIELD_GRPC_TIMEOUT].data);
        }
        if (event.type == MOTE_EVENT_CLOSED) {
            bare->stream = NULL;
        }
    }
}

static void pump(struct bare *bare)
{
    static uint8_t room[65536];
    bool moved = true;
    while (moved) {
        size_t length;
        moved = false;
        assert_int_equal(mote_client_connection_send(bare->connection, room, sizeof room, &length, 0), 0);
        take_events(bare);
        if (length != 0) {
            assert_int_equal(mote_h2_recv(bare->h2, mote_slice(room, length), 0), 0);
            take_events(bare);
            moved = true;
        }
        assert_int_equal(mote_h2_send(bare->h2, room, sizeof room, &length, 0), 0);
        take_events(bare);
        if (length != 0) {
            assert_int_equal(mote_client_connection_recv(bare->connection, mote_slice(room, length), 0), 0);
            moved = true;
        }
    }
}

static void setup_bare(struct bare *bare)
{
    memset(bare, 0, sizeof *bare);
    mote_limits_init(&bare->limits);
    mote_timer_wheel_init(&bare->wheel, 0);
    bare->owner.attention = no_attention;
    bare->h2_owner.attention = no_h2_attention;
    const struct mote_client_options options = {
        .limits = &bare->limits, .mem = mote_mem_system(), .wheel = &bare->wheel};
    const struct mote_h2_context_options context_options = {
        .limits = &bare->limits, .mem = mote_mem_system(), .wheel = &bare->wheel};
    assert_int_equal(mote_client_new(&bare->client, &options), 0);
    static const struct mote_client_target target = {.authority = "example:1"};
    assert_int_equal(mote_client_connection_new(&bare->connection, bare->client, &bare->owner, &target, 0), 0);
    assert_int_equal(mote_h2_context_new(&bare->context, &context_options), 0);
    assert_int_equal(mote_h2_new(&bare->h2, bare->context, MOTE_ROLE_SERVER, &bare->h2_owner, 0), 0);
    pump(bare);
}

static void teardown_bare(struct bare *bare)
{
    mote_client_connection_free(bare->connection);
    mote_client_free(bare->client);
    mote_h2_free(bare->h2);
    mote_h2_context_free(bare->context);
    mote_timer_wheel_dispose(&bare->wheel);
}

static void test_request(void **state)
{
    (void)state;
    struct bare bare;
    setup_bare(&bare);
    struct seen seen;
    start(&seen, bare.connection, &calculator_v1_Calculator_Add_method, 1500000000, 0);
    pump(&bare);
    assert_string_equal(bare.request,
                        "http mote POST /calculator.v1.Calculator/Add example:1 application/grpc trailers 1500000u");
    mote_client_call_cancel(seen.call);
    pump(&bare);
    assert_null(bare.stream);
    teardown_bare(&bare);
}

/* Over TLS, by a program that says what it is. */
static void test_secure_request(void **state)
{
    static const struct mote_client_target target = {
        .authority = "example:1", .user_agent = "other/1.0", .is_secure = true};
    (void)state;
    struct bare bare;
    setup_bare(&bare);
    mote_client_connection_free(bare.connection);
    assert_int_equal(mote_client_connection_new(&bare.connection, bare.client, &bare.owner, &target, 0), 0);
    mote_h2_free(bare.h2);
    assert_int_equal(mote_h2_new(&bare.h2, bare.context, MOTE_ROLE_SERVER, &bare.h2_owner, 0), 0);
    struct seen seen;
    start(&seen, bare.connection, &calculator_v1_Calculator_Add_method, UINT64_MAX, 0);
    pump(&bare);
    assert_string_equal(bare.request,
                        "https other/1.0 POST /calculator.v1.Calculator/Add example:1 application/grpc trailers ");
    teardown_bare(&bare);
}

/* A server that knows the deadline and is a little faster resets the call: that is the deadline all the same. */
static void test_cancelled_at_the_deadline(void **state)
{
    (void)state;
    for (uint64_t now_ns = 999999999; now_ns <= 1000000000; now_ns++) {
        static uint8_t room[65536];
        size_t length;
        struct bare bare;
        struct seen seen;
        setup_bare(&bare);
        start(&seen, bare.connection, &calculator_v1_Calculator_Add_method, 1000000000, 0);
        pump(&bare);
        mote_h2_reset(bare.stream, MOTE_H2_CANCEL);
        assert_int_equal(mote_h2_send(bare.h2, room, sizeof room, &length, 0), 0);
        take_events(&bare);
        assert_int_equal(mote_client_connection_recv(bare.connection, mote_slice(room, length), now_ns), 0);
        assert_true(seen.ended);
        assert_int_equal(seen.status, now_ns == 1000000000 ? MOTE_STATUS_DEADLINE_EXCEEDED : MOTE_STATUS_CANCELLED);
        teardown_bare(&bare);
    }
}

/* As it is, up to the bound of what is sent. */
static void test_encoded_message(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    struct seen seen;
    pair->limits.message_send_max = 4;
    start_method(&seen, pair, &calculator_v1_Calculator_Add_method);
    assert_int_equal(mote_client_call_send_encoded(seen.call, mote_slice("\x08\x02\x10\x28\x18", 5)), MOTE_ELIMIT);
    assert_int_equal(mote_client_call_send_encoded(seen.call, mote_slice("\x08\x02\x10\x28", 4)), 0);
    assert_int_equal(mote_client_call_half_close(seen.call), 0);
    assert_int_equal(mote_client_call_send_encoded(seen.call, mote_slice("", 0)), MOTE_ECLOSED);
    mote_rpc_pair_pump(pair);
    assert_string_equal(seen.text, "h m42 ");
    mote_rpc_pair_dispose(pair);
}

/* One line a frame: "H name=value …", "D hex", "T name=value …", "E" the end; a block in capitals "HE" ends the stream.
 */
struct answer_case {
    const char *headers; /* space-separated name=value; NULL: none */
    bool only;           /* and nothing else */
    const char *body;
    size_t body_length;
    const char *trailers; /* NULL: END_STREAM on DATA */
    int reset;            /* instead of trailers, -1: not */
    enum mote_status status;
    const char *message;
    const char *text;
};

#define GOOD "content-type=application/grpc"

static const struct answer_case answer_cases[] = {
    {GOOD, false, "\0\0\0\0\2\x08\x2a", 7, "grpc-status=0 x-trailer=t", -1, MOTE_STATUS_OK, "", "h m42 "},
    {GOOD, false, "\0\0\0\0\2\x08\x2a", 7, "grpc-status=5 grpc-message=a%20b%C3%A9%zz", -1, MOTE_STATUS_NOT_FOUND,
     "a b\xc3\xa9%zz", "h m42 "},
    {GOOD " grpc-status=7", true, "", 0, NULL, -1, MOTE_STATUS_PERMISSION_DENIED, "", ""},
    {GOOD " grpc-status=0", true, "", 0, NULL, -1, MOTE_STATUS_UNIMPLEMENTED, "not exactly one response message", ""},
    {GOOD " grpc-status=07", true, "", 0, NULL, -1, MOTE_STATUS_UNKNOWN, "", ""},
    {GOOD " grpc-status=17", true, "", 0, NULL, -1, MOTE_STATUS_UNKNOWN, "", ""},
    {GOOD, true, "", 0, NULL, -1, MOTE_STATUS_INTERNAL, "the response has no status", ""},
    {GOOD, false, "\0\0\0\0\2\x08\x2a", 7, NULL, -1, MOTE_STATUS_INTERNAL, "the response has no trailers", "h m42 "},
    {GOOD, false, "", 0, "x-other=1", -1, MOTE_STATUS_UNKNOWN, "", "h "},
    {GOOD, false, "", 0, "grpc-status=0", -1, MOTE_STATUS_UNIMPLEMENTED, "not exactly one response message", "h "},
    {GOOD, false, "\0\0\0\0\0\0\0\0\0\0", 10, "grpc-status=0", -1, MOTE_STATUS_UNIMPLEMENTED,
     "more than one response message", "h m0 "},
    {GOOD, false, "\0\0\0\0\2\x08", 6, "grpc-status=0", -1, MOTE_STATUS_INTERNAL, "the response ended inside a message",
     "h "},
    {GOOD, false, "\1\0\0\0\0", 5, "grpc-status=0", -1, MOTE_STATUS_INTERNAL,
     "a compressed message without a grpc-encoding", "h "},
    {GOOD, false, "\2\0\0\0\0", 5, "grpc-status=0", -1, MOTE_STATUS_INTERNAL, "the response cannot be read", "h "},
    {GOOD, false, "\0\xff\0\0\0", 5, "grpc-status=0", -1, MOTE_STATUS_RESOURCE_EXHAUSTED,
     "received message larger than the limit", "h "},
    {GOOD, false, "\0\0\0\0\1\x08", 6, "grpc-status=0", -1, MOTE_STATUS_INTERNAL, "the response cannot be decoded",
     "h "},
    {"content-type=text/html", false, "", 0, "grpc-status=0", -1, MOTE_STATUS_UNKNOWN, "the response is not gRPC", ""},
    {":status=404 content-type=text/html", true, "", 0, NULL, -1, MOTE_STATUS_UNIMPLEMENTED,
     "unexpected HTTP status 404", ""},
    {":status=503", true, "", 0, NULL, -1, MOTE_STATUS_UNAVAILABLE, "unexpected HTTP status 503", ""},
    {":status=405 " GOOD " grpc-status=13 grpc-message=x", true, "", 0, NULL, -1, MOTE_STATUS_INTERNAL, "x", ""},
    {NULL, false, "", 0, NULL, MOTE_H2_REFUSED_STREAM, MOTE_STATUS_UNAVAILABLE, "stream reset: REFUSED_STREAM", ""},
    {NULL, false, "", 0, NULL, MOTE_H2_CANCEL, MOTE_STATUS_CANCELLED, "stream reset: CANCEL", ""},
    {GOOD, false, "", 0, NULL, MOTE_H2_ENHANCE_YOUR_CALM, MOTE_STATUS_RESOURCE_EXHAUSTED,
     "stream reset: ENHANCE_YOUR_CALM", ""},
    {NULL, false, "", 0, NULL, MOTE_H2_INTERNAL_ERROR, MOTE_STATUS_INTERNAL, "stream reset: INTERNAL_ERROR", ""},
};

static size_t parse_fields(struct mote_field *fields, const char *text, bool status)
{
    size_t count = 0;
    if (status && strncmp(text, ":status=", 8) != 0) {
        fields[count++] = (struct mote_field){MOTE_SLICE_LITERAL(":status"), MOTE_SLICE_LITERAL("200"), 0};
    }
    while (*text != '\0') {
        const size_t length = strcspn(text, " ");
        const size_t name = strcspn(text, "=");
        fields[count++] =
            (struct mote_field){mote_slice(text, name), mote_slice(text + name + 1, length - name - 1), 0};
        text += length + (text[length] == ' ');
    }
    return count;
}

static void give_answer(struct bare *bare, const struct answer_case *row)
{
    struct mote_field fields[8];
    if (row->headers != NULL) {
        const size_t count = parse_fields(fields, row->headers, true);
        assert_int_equal(mote_h2_respond(bare->stream, fields, count, row->only), 0);
    }
    if (row->body_length != 0) {
        assert_int_equal(mote_h2_write(bare->stream, mote_slice(row->body, row->body_length), mote_slice(NULL, 0)), 0);
    }
    if (row->reset >= 0) {
        mote_h2_reset(bare->stream, (enum mote_h2_error)row->reset);
    } else if (row->trailers != NULL) {
        const size_t count = parse_fields(fields, row->trailers, false);
        assert_int_equal(mote_h2_write_trailers(bare->stream, fields, count), 0);
    } else if (!row->only) {
        assert_int_equal(mote_h2_write_end(bare->stream), 0);
    }
}

static void test_answers(void **state)
{
    (void)state;
    struct bare bare;
    setup_bare(&bare);
    for (size_t i = 0; i < sizeof answer_cases / sizeof answer_cases[0]; i++) {
        const struct answer_case *row = &answer_cases[i];
        for (int half_closed = 0; half_closed < 2; half_closed++) {
            struct seen seen;
            start(&seen, bare.connection, &calculator_v1_Calculator_Add_method, UINT64_MAX, 0);
            if (half_closed != 0) {
                assert_int_equal(mote_client_call_half_close(seen.call), 0);
            }
            pump(&bare);
            assert_non_null(bare.stream);
            give_answer(&bare, row);
            pump(&bare);
            if (!seen.ended || seen.status != row->status || strcmp(seen.message, row->message) != 0 ||
                strcmp(seen.text, row->text) != 0) {
                print_message("case %zu: %d \"%s\" \"%s\"\n", i, (int)seen.status, seen.message, seen.text);
                fail();
            }
            assert_string_equal(seen.trailer, i == 0 ? "t" : "");
            assert_null(bare.stream); /* the server is rid of it too */
        }
    }
    teardown_bare(&bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_before_decoding),
        cmocka_unit_test(test_flow_control),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_secure_request),
        cmocka_unit_test(test_cancelled_at_the_deadline),
        cmocka_unit_test(test_encoded_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
