/* SPDX-License-Identifier: Apache-2.0 */
/* Reflection v1 and v1alpha: every kind of request, byte by byte where it matters, and what a stream has been sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/rpc/error_details.mote.h"
#include "pair/call_fixture.h"
#include "rpc/core.h"
#include "rpc/health.h"
#include "rpc/reflection.h"

#define V1      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define V1ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

/* Fields of the request and of the response, and of what is in it. */
enum {
    FILE_BY_FILENAME = 3,
    FILE_CONTAINING_SYMBOL = 4,
    FILE_CONTAINING_EXTENSION = 5,
    ALL_EXTENSION_NUMBERS = 6,
    LIST_SERVICES = 7,
};

/* A proto2 file with extensions, and files that import each other in a diamond. */
static const char *const option_symbols[] = {"opt.Options", "opt.level", "opt.name"};
static const struct mote_proto_extension option_extensions[] = {
    {"google.protobuf.FieldOptions", 50001}, {"opt.Options", 100}, {"google.protobuf.FieldOptions", 300}};
static const struct mote_proto_file base_file = {.name = "base.proto", .descriptor = MOTE_SLICE_LITERAL("BASE")};
static const struct mote_proto_file *const on_base[] = {&base_file};
static const struct mote_proto_file left_file = {
    .name = "left.proto", .descriptor = MOTE_SLICE_LITERAL("LEFT"), .dependencies = on_base, .dependency_count = 1};
static const struct mote_proto_file right_file = {
    .name = "right.proto", .descriptor = MOTE_SLICE_LITERAL("RIGHT"), .dependencies = on_base, .dependency_count = 1};
static const struct mote_proto_file *const on_both[] = {&left_file, &right_file};
static const struct mote_proto_file option_file = {
    .name = "opt.proto",
    .descriptor = MOTE_SLICE_LITERAL("OPT"),
    .dependencies = on_both,
    .dependency_count = 2,
    .symbols = option_symbols,
    .symbol_count = 3,
    .extensions = option_extensions,
    .extension_count = 3,
};

struct fixture {
    struct call_fixture call;
    struct mote_stream *stream;
    struct mote_buffer replies; /* the bytes of DATA */
};

static struct mote_rpc_pair *setup(struct fixture *fixture)
{
    assert_int_equal(call_fixture_prepare(&fixture->call, mote_mem_system()), 0);
    struct mote_server *server = fixture->call.pair.server;
    assert_int_equal(mote_reflection_register(server), 0);
    assert_int_equal(mote_server_add_file(server, &option_file), 0);
    assert_int_equal(mote_server_add_file(server, &google_rpc_error_details_proto_file), 0);
    return &fixture->call.pair;
}

/* --- asking ---------------------------------------------------------------------------------------------------- */

/* Length-delimited fields below 128 bytes. */
static size_t put(uint8_t *out, unsigned number, const void *data, size_t length)
{
    assert_true(length < 128);
    out[0] = (uint8_t)(number << 3 | 2);
    out[1] = (uint8_t)length;
    memcpy(out + 2, data, length);
    return length + 2;
}

static size_t make_request(uint8_t *out, unsigned kind, const char *text)
{
    const size_t host = put(out, 1, "h", 1);
    return host + put(out + host, kind, text, strlen(text));
}

struct reply {
    uint8_t bytes[65536];
    unsigned kind;          /* of message_response */
    struct mote_slice body; /* of it */
};

static uint64_t take_varint(struct mote_slice *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_true(in->length != 0);
        const uint8_t byte = in->data[0];
        in->data++;
        in->length--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
}

/* The next field: length-delimited in *value, or a number in *number. */
static unsigned take_field(struct mote_slice *in, struct mote_slice *value, uint64_t *number)
{
    const uint64_t tag = take_varint(in);
    const uint64_t content = take_varint(in);
    *number = content;
    if ((tag & 7) == 2) {
        assert_true(content <= in->length);
        *value = mote_slice(in->data, (size_t)content);
        in->data += content;
        in->length -= (size_t)content;
    } else {
        assert_int_equal(tag & 7, 0);
    }
    return (unsigned)(tag >> 3);
}

/* Reads one reply and checks what they have in common: valid_host and original_request. */
static void read_reply(struct reply *reply, struct mote_slice message, struct mote_slice request)
{
    struct mote_slice value;
    uint64_t number;
    assert_true(message.length <= sizeof reply->bytes);
    memcpy(reply->bytes, message.data, message.length);
    struct mote_slice rest = mote_slice(reply->bytes, message.length);
    assert_int_equal(take_field(&rest, &value, &number), 1);
    assert_true(mote_slice_equals_text(value, "h"));
    assert_int_equal(take_field(&rest, &value, &number), 2);
    assert_true(mote_slice_equals(value, request));
    reply->kind = take_field(&rest, &reply->body, &number);
    assert_int_equal(rest.length, 0);
}

static struct mote_buffer *sink;

static void note_data(struct mote_h2 *h2)
{
    struct mote_event event;
    while (mote_h2_next_event(h2, &event)) {
        if (event.type == MOTE_EVENT_DATA) {
            assert_int_equal(mote_buffer_append(sink, event.u.data.data, event.u.data.length), 0);
            mote_h2_consume(event.stream, event.u.data.length);
        }
    }
}

/* Moves bytes by hand, keeping all DATA. */
static void exchange(struct fixture *fixture)
{
    struct mote_rpc_pair *pair = &fixture->call.pair;
    static uint8_t room[65536];
    bool moved = true;
    sink = &fixture->replies;
    while (moved) {
        size_t length;
        moved = false;
        assert_int_equal(mote_h2_send(pair->raw, room, sizeof room, &length, pair->now_ns), 0);
        note_data(pair->raw);
        if (length != 0) {
            assert_int_equal(mote_server_connection_recv(pair->connection, mote_slice(room, length), pair->now_ns), 0);
            moved = true;
        }
        assert_int_equal(mote_server_connection_send(pair->connection, room, sizeof room, &length, pair->now_ns), 0);
        if (length != 0) {
            assert_int_equal(mote_h2_recv(pair->raw, mote_slice(room, length), pair->now_ns), 0);
            note_data(pair->raw);
            moved = true;
        }
    }
}

static void open_stream(struct fixture *fixture, const char *path)
{
    assert_int_equal(mote_rpc_pair_connect_raw(&fixture->call.pair), 0);
    mote_buffer_init(&fixture->replies, mote_mem_system(), 0);
    fixture->stream = mote_rpc_pair_request(&fixture->call.pair, path, NULL, false);
}

static void teardown(struct fixture *fixture)
{
    mote_buffer_dispose(&fixture->replies);
    mote_rpc_pair_dispose(&fixture->call.pair);
    assert_int_equal(fixture->call.observed.started, fixture->call.observed.ended);
}

static void ask_bytes(struct fixture *fixture, struct reply *reply, const uint8_t *request, size_t length)
{
    mote_rpc_pair_message(fixture->stream, request, length, false);
    exchange(fixture);
    const struct mote_slice got = mote_buffer_slice(&fixture->replies);
    assert_true(got.length > 5);
    assert_int_equal(((size_t)got.data[2] << 16) + ((size_t)got.data[3] << 8) + got.data[4], got.length - 5);
    read_reply(reply, mote_slice(got.data + 5, got.length - 5), mote_slice(request, length));
    mote_buffer_clear(&fixture->replies);
}

static void ask(struct fixture *fixture, struct reply *reply, unsigned kind, const char *text)
{
    uint8_t request[256];
    ask_bytes(fixture, reply, request, make_request(request, kind, text));
}

/* The descriptors in a FileDescriptorResponse, in order, NULL at the end. */
static void assert_files(const struct reply *reply, const struct mote_proto_file *const *files)
{
    struct mote_slice rest = reply->body;
    assert_int_equal(reply->kind, 4);
    for (; *files != NULL; files++) {
        struct mote_slice value;
        uint64_t number;
        assert_int_equal(take_field(&rest, &value, &number), 1);
        assert_true(mote_slice_equals(value, (*files)->descriptor));
    }
    assert_int_equal(rest.length, 0);
}

#define ASSERT_FILES(reply, ...) assert_files((reply), (const struct mote_proto_file *const[]){__VA_ARGS__, NULL})

static void assert_error(const struct reply *reply, const char *text)
{
    struct mote_slice rest = reply->body;
    struct mote_slice value;
    uint64_t number;
    assert_int_equal(reply->kind, 7);
    assert_int_equal(take_field(&rest, &value, &number), 1);
    assert_int_equal(number, 5);
    assert_int_equal(take_field(&rest, &value, &number), 2);
    assert_true(mote_slice_equals_text(value, text));
    assert_int_equal(rest.length, 0);
}

/* --- tests ----------------------------------------------------------------------------------------------------- */

static void test_list_services(void **state)
{
    (void)state;
    static const char *const paths[] = {V1, V1ALPHA};
    for (size_t i = 0; i < 2; i++) {
        struct fixture fixture;
        static struct reply reply;
        setup(&fixture);
        open_stream(&fixture, paths[i]);
        ask(&fixture, &reply, LIST_SERVICES, "*");
        assert_int_equal(reply.kind, 6);
        static const char *const names[] = {"calculator.v1.Calculator", "grpc.reflection.v1.ServerReflection",
                                            "grpc.reflection.v1alpha.ServerReflection", "test.v1.Test"};
        struct mote_slice rest = reply.body;
        for (size_t j = 0; j < 4; j++) {
            struct mote_slice service;
            struct mote_slice name;
            uint64_t number;
            assert_int_equal(take_field(&rest, &service, &number), 1);
            assert_int_equal(take_field(&service, &name, &number), 1);
            assert_true(mote_slice_equals_text(name, names[j]));
            assert_int_equal(service.length, 0);
        }
        assert_int_equal(rest.length, 0);
        teardown(&fixture);
    }
}

static void test_symbols(void **state)
{
    (void)state;
    static const char *const symbols[] = {
        "calculator.v1.Calculator",   "calculator.v1.Calculator.Add", "calculator.v1.AddRequest",
        "calculator.v1.AddRequest.a", "calculator.v1.CountResponse",  "calculator.v1.CountResponse.padding",
    };
    struct fixture fixture;
    static struct reply reply;
    setup(&fixture);
    open_stream(&fixture, V1);
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        ask(&fixture, &reply, FILE_CONTAINING_SYMBOL, symbols[i]);
        ASSERT_FILES(&reply, calculator_v1_Calculator_service.file);
    }
    static const char *const absent[] = {"calculator.v1", "calculator.v1.Calculator.add", "x", "", "Calculator"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        char text[80];
        (void)snprintf(text, sizeof text, "Symbol not found: %s", absent[i]);
        ask(&fixture, &reply, FILE_CONTAINING_SYMBOL, absent[i]);
        assert_error(&reply, text);
    }
    /* Nested messages, enums and their values, oneofs. */
    static const char *const more[] = {"google.rpc.BadRequest.FieldViolation",
                                       "google.rpc.BadRequest.FieldViolation.field",
                                       "grpc.reflection.v1.ServerReflectionRequest.message_request"};
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        ask(&fixture, &reply, FILE_CONTAINING_SYMBOL, more[i]);
        assert_int_equal(reply.kind, 4);
    }
    teardown(&fixture);
}

/* The file asked for first, then what it imports, each once; and on the same stream only what is new. */
static void test_dependencies(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct reply reply;
    setup(&fixture);
    open_stream(&fixture, V1ALPHA);
    ask(&fixture, &reply, FILE_BY_FILENAME, "right.proto");
    ASSERT_FILES(&reply, &right_file, &base_file);
    ask(&fixture, &reply, FILE_BY_FILENAME, "opt.proto");
    ASSERT_FILES(&reply, &option_file, &left_file);
    ask(&fixture, &reply, FILE_BY_FILENAME, "opt.proto");
    ASSERT_FILES(&reply, &option_file);
    ask(&fixture, &reply, FILE_BY_FILENAME, "base.proto");
    ASSERT_FILES(&reply, &base_file);
    ask(&fixture, &reply, FILE_BY_FILENAME, "opt");
    assert_error(&reply, "File not found: opt");
    teardown(&fixture);
    setup(&fixture);
    open_stream(&fixture, V1ALPHA);
    ask(&fixture, &reply, FILE_CONTAINING_SYMBOL, "opt.Options");
    ASSERT_FILES(&reply, &option_file, &left_file, &right_file, &base_file);
    teardown(&fixture);
}

static void test_extensions(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct reply reply;
    setup(&fixture);
    open_stream(&fixture, V1);
    uint8_t extension[64];
    uint8_t request[128];
    size_t length = put(extension, 1, "opt.Options", 11);
    memcpy(extension + length, "\x10\x64", 2); /* extension_number = 100 */
    size_t total = put(request, 1, "h", 1);
    total += put(request + total, FILE_CONTAINING_EXTENSION, extension, length + 2);
    ask_bytes(&fixture, &reply, request, total);
    ASSERT_FILES(&reply, &option_file, &left_file, &right_file, &base_file);
    extension[length + 1] = 0x65;
    total = put(request, 1, "h", 1);
    total += put(request + total, FILE_CONTAINING_EXTENSION, extension, length + 2);
    ask_bytes(&fixture, &reply, request, total);
    assert_error(&reply, "Extension not found: opt.Options");
    /* A negative number takes ten bytes, and is echoed so. */
    memcpy(extension + length, "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    total = put(request, 1, "h", 1);
    total += put(request + total, FILE_CONTAINING_EXTENSION, extension, length + 11);
    ask_bytes(&fixture, &reply, request, total);
    assert_error(&reply, "Extension not found: opt.Options");

    ask(&fixture, &reply, ALL_EXTENSION_NUMBERS, "opt.Options");
    assert_int_equal(reply.kind, 5);
    assert_int_equal(reply.body.length, 2 + 11 + 3);
    assert_memory_equal(reply.body.data, "\x0a\x0bopt.Options\x12\x01\x64", 16);
    ask(&fixture, &reply, ALL_EXTENSION_NUMBERS, "calculator.v1.AddRequest"); /* there, without extensions */
    assert_int_equal(reply.kind, 5);
    assert_int_equal(reply.body.length, 2 + 24);
    ask(&fixture, &reply, ALL_EXTENSION_NUMBERS, "no.Such");
    assert_error(&reply, "Type not found: no.Such");
    teardown(&fixture);
}

/* The stream ends as soon as the client half-closes; a request without a question fails. */
static void test_ends(void **state)
{
    (void)state;
    struct fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture);
    open_stream(&fixture, V1);
    mote_rpc_pair_message(fixture.stream, "\x3a\x01*", 3, true);
    const char *log = call_fixture_answer(pair);
    assert_non_null(strstr(log, "1 data "));
    assert_non_null(strstr(log, "1 trailers grpc-status=0\n1 closed NO_ERROR\n"));
    fixture.stream = mote_rpc_pair_request(pair, V1, NULL, false);
    mote_rpc_pair_message(fixture.stream, "\x0a\x01h", 3, false);
    assert_string_equal(call_fixture_answer(pair),
                        "3" HEADERS " grpc-status=3 grpc-message=invalid MessageRequest\n3 closed NO_ERROR\n");
    teardown(&fixture);
}

/* Thousands of questions to a client that does not read: the server stops taking them. */
static void test_slow_reader(void **state)
{
    (void)state;
    struct fixture fixture;
    struct mote_rpc_pair *pair = setup(&fixture);
    open_stream(&fixture, V1);
    uint8_t request[64];
    const size_t length = make_request(request, FILE_CONTAINING_SYMBOL, "calculator.v1.Calculator");
    pair->reads = false;
    for (int i = 0; i < 1000; i++) {
        mote_rpc_pair_message(fixture.stream, request, length, i == 999);
    }
    mote_rpc_pair_pump(pair);
    assert_true(pair->worker->buffered > 1000);
    assert_true(pair->worker->buffered <= 65535);
    assert_int_equal(fixture.call.observed.ended, 0);
    pair->reads = true;
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.call.observed.summary.request_messages, 1000);
    assert_int_equal(fixture.call.observed.summary.response_messages, 1000);
    assert_int_equal(fixture.call.observed.summary.status, MOTE_STATUS_OK);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_services), cmocka_unit_test(test_symbols), cmocka_unit_test(test_dependencies),
        cmocka_unit_test(test_extensions),    cmocka_unit_test(test_ends),    cmocka_unit_test(test_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
