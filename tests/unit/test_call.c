/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a call: what may come in place of a good request and what it gets, streams that pause, cancellation, and
 * calls that outlive their streams. Deadlines and slowness are in test_call_time.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call_test.h"
#include "rpc/core.h"

/* --- good requests --------------------------------------------------------------------------------------------- */

static void test_unary(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    assert_string_equal(call_fixture_whole(pair, ADD, NULL, TWO_PLUS_40, 9), "1" HEADERS "\n"
                                                                             "1 data 0000000002082a\n"
                                                                             "1 trailers grpc-status=0\n"
                                                                             "1 closed NO_ERROR\n");
    assert_string_equal(call_fixture_whole(pair, ADD, "content-type: application/grpc+proto", TWO_PLUS_40, 9),
                        "3 headers :status=200 content-type=application/grpc+proto\n"
                        "3 data 0000000002082a\n"
                        "3 trailers grpc-status=0\n"
                        "3 closed NO_ERROR\n");
    assert_int_equal(fixture.observed.started, 2);
    assert_int_equal(fixture.observed.ended, 2);
    assert_int_equal(fixture.observed.summary.status, MOTE_STATUS_OK);
    assert_string_equal(fixture.observed.method, "Add");
    assert_int_equal(fixture.observed.summary.request_bytes, 4);
    assert_int_equal(fixture.observed.summary.request_messages, 1);
    assert_int_equal(fixture.observed.summary.response_bytes, 2);
    assert_int_equal(fixture.observed.summary.response_messages, 1);
    assert_string_equal(fixture.observed.summary.service->name, "calculator.v1.Calculator");
    assert_int_equal(mote_server_worker_calls(pair->worker), 0);
    teardown(&fixture);
}

static void test_empty_message(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    assert_contains(call_fixture_whole(pair, ADD, NULL, "\0\0\0\0\0", 5),
                    "1 data 0000000000\n1 trailers grpc-status=0\n");
    teardown(&fixture);
}

/* The prefix and the body cut at every byte, the end with the last byte or behind it. */
static void test_splits(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    for (size_t cut = 1; cut < 9; cut++) {
        for (int late_end = 0; late_end < 2; late_end++) {
            struct mote_stream *stream = mote_rpc_pair_request(pair, ADD, NULL, false);
            mote_rpc_pair_pump(pair);
            mote_rpc_pair_write(stream, TWO_PLUS_40, cut, false);
            mote_rpc_pair_pump(pair);
            mote_rpc_pair_write(stream, TWO_PLUS_40 + cut, 9 - cut, late_end == 0);
            mote_rpc_pair_pump(pair);
            if (late_end != 0) {
                assert_string_equal(mote_rpc_pair_take_log(pair), "");
                mote_rpc_pair_write(stream, NULL, 0, true);
            }
            const char *log = call_fixture_answer(pair);
            assert_contains(log, " data 0000000002082a\n");
            assert_contains(log, " trailers grpc-status=0\n");
        }
    }
    teardown(&fixture);
}

static void test_all_bytes_alone(void **state)
{
    (void)state;
    struct call_fixture fixture;
    assert_int_equal(call_fixture_prepare(&fixture, mote_mem_system()), 0);
    fixture.pair.chunk = 1;
    assert_int_equal(mote_rpc_pair_connect_raw(&fixture.pair), 0);
    assert_contains(call_fixture_whole(&fixture.pair, ADD, NULL, TWO_PLUS_40, 9), "trailers grpc-status=0\n");
    teardown(&fixture);
}

/* --- the decision table ---------------------------------------------------------------------------------------- */

struct refusal_case {
    const char *path;
    const char *fields;
    const char *answer; /* behind "N headers :status=" */
    const char *method; /* the observers' */
};

static const struct refusal_case refusal_cases[] = {
    {ADD, "content-type: application/json", "415\n", "Add"},
    {ADD, "content-type:", "415\n", "Add"},
    {ADD, "content-type: application/grpc-web", "415\n", "Add"},
    {ADD, "content-type: application/grpc+json",
     "200 content-type=application/grpc grpc-status=12 grpc-message=only the content-subtype proto is supported\n",
     "Add"},
    {ADD, ":method: GET",
     "405 content-type=application/grpc grpc-status=13 grpc-message=the method of a gRPC request is POST\n", "Add"},
    {ADD, "grpc-timeout: 1", "200 content-type=application/grpc grpc-status=13 grpc-message=malformed grpc-timeout\n",
     "Add"},
    {ADD, "x-bin: !!!", "200 content-type=application/grpc grpc-status=13 grpc-message=malformed binary metadata\n",
     "Add"},
    {ADD, "grpc-timeout: 0n", "200 content-type=application/grpc grpc-status=4 grpc-message=deadline exceeded\n",
     "Add"},
    {ADD, "grpc-encoding: snappy",
     "200 content-type=application/grpc grpc-accept-encoding=identity,deflate,gzip grpc-status=12 "
     "grpc-message=unsupported grpc-encoding\n",
     "Add"},
    {"/", NULL, "200 content-type=application/grpc grpc-status=12 grpc-message=malformed method name\n", "other"},
    {"//s/m", NULL, "200 content-type=application/grpc grpc-status=12 grpc-message=malformed method name\n", "other"},
    {"/s", NULL, "200 content-type=application/grpc grpc-status=12 grpc-message=malformed method name\n", "other"},
    {"/s/", NULL, "200 content-type=application/grpc grpc-status=12 grpc-message=malformed method name\n", "other"},
    {ADD "/", NULL, "200 content-type=application/grpc grpc-status=12 grpc-message=malformed method name\n", "other"},
    {ADD "?x", NULL,
     "200 content-type=application/grpc grpc-status=12 "
     "grpc-message=unknown method Add?x for service calculator.v1.Calculator\n",
     "other"},
    {"/calculator.v1.calculator/Add", NULL,
     "200 content-type=application/grpc grpc-status=12 grpc-message=unknown service calculator.v1.calculator\n",
     "other"},
    {"/calculator.v1.Calculator/add", NULL,
     "200 content-type=application/grpc grpc-status=12 "
     "grpc-message=unknown method add for service calculator.v1.Calculator\n",
     "other"},
    {"/no.such.Service/Method", NULL,
     "200 content-type=application/grpc grpc-status=12 grpc-message=unknown service no.such.Service\n", "other"},
    {"/no%25such/Method", NULL,
     "200 content-type=application/grpc grpc-status=12 grpc-message=unknown service no%2525such\n", "other"},
    {ABSENT, NULL, "200 content-type=application/grpc grpc-status=12 grpc-message=method Absent is not implemented\n",
     "Absent"},
};

/* Each at HEADERS, with the body still to come, and with none. */
static void test_refusals(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    for (size_t i = 0; i < sizeof refusal_cases / sizeof refusal_cases[0]; i++) {
        const struct refusal_case *row = &refusal_cases[i];
        for (int whole = 0; whole < 2; whole++) {
            const struct mote_stream *stream = mote_rpc_pair_request(pair, row->path, row->fields, whole != 0);
            char expected[512];
            (void)snprintf(expected, sizeof expected, "%d headers :status=%s%d closed NO_ERROR\n", stream->id,
                           row->answer, stream->id);
            assert_string_equal(call_fixture_answer(pair), expected);
            assert_string_equal(fixture.observed.method, row->method);
            assert_int_equal(fixture.observed.started, fixture.observed.ended);
        }
        assert_usable(pair);
    }
    assert_int_equal(fixture.handled, 0);
    assert_int_equal(pair->server_error, 0);
    teardown(&fixture);
}

static void test_metadata_over_limit(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    char fields[9000];
    memset(fields, 'x', sizeof fields);
    memcpy(fields, "x-large: ", 9);
    fields[sizeof fields - 1] = '\0';
    assert_contains(call_fixture_whole(pair, ADD, fields, TWO_PLUS_40, 9),
                    "grpc-status=8 grpc-message=received metadata size exceeds the limit\n");
    assert_usable(pair);
    teardown(&fixture);
}

static void test_path_length(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    char path[258];
    memset(path, 'm', sizeof path);
    memcpy(path, "/s/", 3);
    path[256] = '\0';
    assert_contains(call_fixture_whole(pair, path, NULL, "", 0), "grpc-message=unknown service s\n");
    path[256] = 'm';
    path[257] = '\0';
    assert_contains(call_fixture_whole(pair, path, NULL, "", 0), "grpc-message=method name too long\n");
    teardown(&fixture);
}

struct body_case {
    const char *path;
    const char *bytes;
    size_t length;
    const char *answer; /* of the trailers-only block behind content-type */
};

static const struct body_case body_cases[] = {
    {ADD, "", 0, "grpc-status=12 grpc-message=no request message\n"},
    {COUNT, "", 0, "grpc-status=12 grpc-message=no request message\n"},
    {ADD, "\0\0\0\0\0\0\0\0\0\0", 10, "grpc-status=12 grpc-message=more than one request message\n"},
    {COUNT, "\0\0\0\0\0\0\0\0\0\0", 10, "grpc-status=12 grpc-message=more than one request message\n"},
    {ADD, "\0", 1, "grpc-status=13 grpc-message=the request ended inside a message\n"},
    {ADD, "\0\0\0\0", 4, "grpc-status=13 grpc-message=the request ended inside a message\n"},
    {ADD, "\0\0\0\0\4\x08\x02", 7, "grpc-status=13 grpc-message=the request ended inside a message\n"},
    {ADD, "\0\0\0\0\0\0", 6, "grpc-status=13 grpc-message=the request ended inside a message\n"},
    {SUM, "\0\0\0\0\2\x08\x02\0\0", 9, "grpc-status=13 grpc-message=the request ended inside a message\n"},
    {ADD, "\0\x00\x40\x00\x01", 5, "grpc-status=8 grpc-message=received message larger than the limit\n"},
    {ADD, "\0\xff\xff\xff\xff", 5, "grpc-status=8 grpc-message=received message larger than the limit\n"},
    {SUM, "\0\x7f\xff\xff\xff", 5, "grpc-status=8 grpc-message=received message larger than the limit\n"},
    {SMALL, "\0\0\0\0\x09", 5, "grpc-status=8 grpc-message=received message larger than the limit\n"},
    {ADD, "\2\0\0\0\0", 5, "grpc-status=13 grpc-message=malformed message flag\n"},
    {ADD, "\xff\0\0\0\1x", 6, "grpc-status=13 grpc-message=malformed message flag\n"},
    {ADD, "\1\0\0\0\0", 5, "grpc-status=13 grpc-message=a compressed message without a grpc-encoding\n"},
    {ADD, "\0\0\0\0\1\x08", 6, "grpc-status=13 grpc-message=the request cannot be decoded\n"},
    {SUM, "\0\0\0\0\1\xff", 6, "grpc-status=13 grpc-message=the request cannot be decoded\n"},
};

/* Whole, byte by byte, and with the end of the stream held back where the answer does not need it. */
static void test_bodies(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    for (size_t i = 0; i < sizeof body_cases / sizeof body_cases[0]; i++) {
        const struct body_case *row = &body_cases[i];
        char expected[512];
        (void)snprintf(expected, sizeof expected, HEADERS " %s", row->answer);
        assert_contains(call_fixture_whole(pair, row->path, NULL, row->bytes, row->length), expected);
        struct mote_stream *stream = mote_rpc_pair_request(pair, row->path, NULL, false);
        mote_rpc_pair_pump(pair);
        bool answered = false;
        for (size_t j = 0; j < row->length && !answered; j++) {
            mote_rpc_pair_write(stream, row->bytes + j, 1, false);
            const char *log = call_fixture_answer(pair);
            answered = log[0] != '\0';
            if (answered) {
                assert_contains(log, expected);
                assert_contains(log, " closed NO_ERROR\n");
            }
        }
        if (!answered) {
            mote_rpc_pair_write(stream, NULL, 0, true);
            assert_contains(call_fixture_answer(pair), expected);
        }
        assert_usable(pair);
    }
    assert_int_equal(pair->server_error, 0);
    assert_int_equal(pair->worker->buffered, 0);
    teardown(&fixture);
}

static void test_message_at_bound(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    fixture.handler = NULL;
    /* Eight bytes of an unknown field are at the bound of eight; then the handler would be called. */
    struct mote_stream *stream = mote_rpc_pair_request(pair, SMALL, NULL, false);
    mote_rpc_pair_message(stream, "\x7a\x06xxxxxx", 8, false);
    assert_string_equal(call_fixture_answer(pair), "");
    mote_h2_reset(stream, MOTE_H2_CANCEL);
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.observed.summary.status, MOTE_STATUS_CANCELLED);
    teardown(&fixture);
}

/* A message larger than the window comes in whole: its credit is returned as its bytes enter. */
static void test_message_larger_than_window(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    const size_t length = 4194304;
    uint8_t *body = malloc(length);
    assert_non_null(body);
    memset(body, 0, length);
    memcpy(body, "\x7a\xfb\xff\xff\x01", 5); /* an unknown field with all the rest */
    struct mote_stream *stream = mote_rpc_pair_request(pair, ADD, NULL, false);
    mote_rpc_pair_message(stream, body, length, true);
    assert_contains(call_fixture_answer(pair), "trailers grpc-status=0\n");
    assert_int_equal(pair->worker->buffered, 0);
    free(body);
    teardown(&fixture);
}

static void test_buffered_limits(void **state)
{
    (void)state;
    struct call_fixture fixture;
    for (int process_wide = 0; process_wide < 2; process_wide++) {
        assert_int_equal(call_fixture_prepare(&fixture, mote_mem_system()), 0);
        if (process_wide != 0) {
            fixture.pair.limits.buffered_max = 1000;
        } else {
            fixture.pair.limits.buffered_per_connection_max = 1000;
        }
        struct mote_rpc_pair *pair = &fixture.pair;
        assert_int_equal(mote_rpc_pair_connect_raw(pair), 0);
        static const uint8_t zeros[1001];
        struct mote_stream *first = mote_rpc_pair_request(pair, ADD, NULL, false);
        mote_rpc_pair_write(first, "\0\0\0\x10\0", 5, false);
        mote_rpc_pair_write(first, zeros, 1000, false);
        assert_string_equal(call_fixture_answer(pair), "");
        assert_int_equal(pair->worker->buffered, 1000);
        struct mote_stream *second = mote_rpc_pair_request(pair, ADD, NULL, false);
        mote_rpc_pair_write(second, "\0\0\0\x10\0x", 6, false);
        assert_contains(call_fixture_answer(pair), "grpc-status=8 grpc-message=too many request bytes buffered\n");
        assert_int_equal(pair->worker->buffered, 1000);
        mote_h2_reset(first, MOTE_H2_CANCEL);
        mote_rpc_pair_pump(pair);
        assert_int_equal(pair->worker->buffered, 0);
        assert_usable(pair);
        teardown(&fixture);
    }
}

/* --- streams --------------------------------------------------------------------------------------------------- */

static void test_streams(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, NULL);
    assert_string_equal(call_fixture_whole(pair, COUNT, NULL, "\0\0\0\0\4\x08\x05\x10\x07", 9),
                        "1" HEADERS "\n"
                        "1 data 0000000002080500000000020806000000000208"
                        "07\n"
                        "1 trailers grpc-status=0\n"
                        "1 closed NO_ERROR\n");
    assert_string_equal(call_fixture_whole(pair, SUM, NULL, "\0\0\0\0\2\x08\x05\0\0\0\0\2\x08\x06", 14),
                        "3" HEADERS "\n"
                        "3 data 0000000004080b1002\n"
                        "3 trailers grpc-status=0\n"
                        "3 closed NO_ERROR\n");
    /* Each message is answered before the next one comes. */
    struct mote_stream *stream = mote_rpc_pair_request(pair, RUNNING_TOTAL, NULL, false);
    assert_string_equal(call_fixture_answer(pair), "");
    mote_rpc_pair_message(stream, "\x08\x05", 2, false);
    assert_string_equal(call_fixture_answer(pair), "5" HEADERS "\n5 data 00000000020805\n");
    mote_rpc_pair_message(stream, "\x08\x06", 2, false);
    assert_string_equal(call_fixture_answer(pair), "5 data 0000000002080b\n");
    mote_rpc_pair_write(stream, NULL, 0, true);
    assert_string_equal(call_fixture_answer(pair), "5 trailers grpc-status=0\n5 closed NO_ERROR\n");
    assert_int_equal(fixture.observed.summary.request_messages, 2);
    assert_int_equal(fixture.observed.summary.response_messages, 2);
    /* No message at all is a stream too. */
    assert_string_equal(call_fixture_whole(pair, RUNNING_TOTAL, NULL, "", 0),
                        "7" HEADERS " grpc-status=0\n7 closed NO_ERROR\n");
    assert_string_equal(call_fixture_whole(pair, SUM, NULL, "", 0), "9" HEADERS "\n9 data 0000000000\n"
                                                                    "9 trailers grpc-status=0\n9 closed NO_ERROR\n");
    teardown(&fixture);
}

static void test_pause(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_note_messages);
    struct mote_stream *stream = mote_rpc_pair_request(pair, BIDI, NULL, false);
    mote_rpc_pair_message(stream, "\x08\x01", 2, false);
    mote_rpc_pair_message(stream, "\x08\x02", 2, false);
    mote_rpc_pair_pump(pair);
    mote_rpc_pair_message(stream, "\x08\x01", 2, false);
    mote_rpc_pair_message(stream, "\x08\x03", 2, true);
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.got_count, 1);
    assert_int_equal(pair->worker->buffered, 3 * 7);
    mote_call_resume(fixture.call);
    assert_int_equal(fixture.got_count, 1); /* never from inside */
    assert_int_equal(pair->server_attentions, 1);
    mote_call_resume(fixture.call);
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.got_count, 3);
    assert_int_equal(fixture.got[1], 2);
    assert_int_equal(fixture.got[2], 1);
    assert_int_equal(pair->worker->buffered, 7);
    mote_call_resume(fixture.call);
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.got_count, 5);
    assert_int_equal(fixture.got[3], 3);
    assert_true(fixture.got[4] == INT64_MIN);
    assert_int_equal(pair->worker->buffered, 0);
    assert_contains(mote_rpc_pair_take_log(pair), "grpc-status=0\n");
    teardown(&fixture);
}

/* The end that came with the message after which the handler pauses waits with it. */
static void test_pause_at_end(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_note_messages);
    for (int late_end = 0; late_end < 2; late_end++) {
        fixture.got_count = 0;
        struct mote_stream *stream = mote_rpc_pair_request(pair, BIDI, NULL, false);
        mote_rpc_pair_message(stream, "\x08\x01", 2, late_end == 0);
        mote_rpc_pair_pump(pair);
        if (late_end != 0) {
            mote_rpc_pair_write(stream, NULL, 0, true);
        }
        assert_string_equal(call_fixture_answer(pair), "");
        assert_int_equal(fixture.got_count, 1);
        mote_call_resume(fixture.call);
        assert_contains(call_fixture_answer(pair), "grpc-status=0\n");
        assert_int_equal(fixture.got_count, 2);
    }
    teardown(&fixture);
}

/* What a client can make us hold while a handler pauses is one window. */
static void test_pause_is_bounded(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_note_messages);
    struct mote_stream *stream = mote_rpc_pair_request(pair, BIDI, NULL, false);
    mote_rpc_pair_message(stream, "\x08\x01", 2, false);
    static const uint8_t body[1000] = {0x08, 0x02, 0x7a, 0xe3, 0x07};
    for (int i = 0; i < 1000; i++) {
        mote_rpc_pair_message(stream, body, sizeof body, false);
    }
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.got_count, 1);
    assert_in_range(pair->worker->buffered, 1, 65535);
    /* The connection is not held up by it. */
    assert_usable(pair);
    mote_call_resume(fixture.call);
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.got_count, 1001);
    assert_int_equal(pair->worker->buffered, 0);
    mote_rpc_pair_write(stream, NULL, 0, true);
    assert_contains(call_fixture_answer(pair), "grpc-status=0\n");
    teardown(&fixture);
}

/* It stays one window while the handler takes one message at a time. */
static void test_pause_again_and_again(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_note_messages);
    struct mote_stream *stream = mote_rpc_pair_request(pair, BIDI, NULL, false);
    static const uint8_t body[1000] = {0x08, 0x01, 0x7a, 0xe3, 0x07};
    for (size_t i = 0; i < 500; i++) {
        mote_rpc_pair_message(stream, body, sizeof body, i == 499);
    }
    mote_rpc_pair_pump(pair);
    for (size_t i = 1; i <= 500; i++) {
        assert_int_equal(fixture.got_count, i);
        assert_true(pair->worker->buffered <= 65535);
        mote_call_resume(fixture.call);
        mote_rpc_pair_pump(pair);
    }
    assert_int_equal(fixture.got_count, 501);
    assert_contains(call_fixture_answer(pair), "grpc-status=0\n");
    teardown(&fixture);
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static void test_cancel(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    struct mote_stream *stream = call_fixture_start(pair, UNARY, "x-keep: this\nuser-agent: agent/7");
    const struct mote_slice kept = mote_call_metadata(fixture.call, "x-keep");
    mote_h2_reset(stream, MOTE_H2_CANCEL);
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.cancelled, 1);
    assert_int_equal(fixture.cancel_status, MOTE_STATUS_CANCELLED);
    assert_int_equal(fixture.observed.summary.status, MOTE_STATUS_CANCELLED);
    assert_usable(pair);
    /* All that the handler got lives on, after the connection too. */
    mote_rpc_pair_close_client(pair);
    mote_rpc_pair_close_server(pair);
    assert_true(mote_slice_equals_text(kept, "this"));
    assert_ptr_equal(mote_call_metadata(fixture.call, "x-keep").data, kept.data);
    assert_true(mote_slice_equals_text(mote_call_user_agent(fixture.call), "agent/7"));
    assert_string_equal(mote_call_peer(fixture.call), "192.0.2.1:40000");
    assert_non_null(mote_arena_allocate(mote_call_arena(fixture.call), 10));
    call_fixture_reply_42(fixture.call, NULL);
    mote_call_unref(fixture.call);
    assert_int_equal(fixture.cancelled, 1);
    teardown(&fixture);
}

/* Made once, zeroed; over what a call may take, it ends the call. */
static void test_made_data(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    call_fixture_start(pair, UNARY, NULL);
    uint64_t *data = mote_call_make_data(fixture.call, sizeof *data);
    assert_non_null(data);
    assert_int_equal(*data, 0);
    *data = 42;
    assert_ptr_equal(mote_call_make_data(fixture.call, sizeof *data), data);
    assert_ptr_equal(mote_call_data(fixture.call), data);
    assert_int_equal(*data, 42);
    call_fixture_reply_42(fixture.call, NULL);
    mote_call_unref(fixture.call);
    call_fixture_answer(pair);
    call_fixture_start(pair, UNARY, NULL);
    assert_null(mote_call_make_data(fixture.call, 2 * MOTE_CALL_ARENA_MAX));
    assert_true(mote_call_is_over(fixture.call));
    mote_call_unref(fixture.call);
    assert_contains(call_fixture_answer(pair), " grpc-status=8 grpc-message=out of memory\n");
    teardown(&fixture);
}

static void test_cancel_before_start(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    struct mote_stream *stream = mote_rpc_pair_request(pair, UNARY, NULL, false);
    mote_rpc_pair_write(stream, TWO_PLUS_40, 7, false);
    mote_rpc_pair_pump(pair);
    mote_h2_reset(stream, MOTE_H2_CANCEL);
    mote_rpc_pair_pump(pair);
    assert_int_equal(fixture.handled, 0);
    assert_int_equal(fixture.cancelled, 0);
    assert_int_equal(fixture.observed.summary.status, MOTE_STATUS_CANCELLED);
    teardown(&fixture);
}

static void test_connection_lost(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    mote_rpc_pair_write(mote_rpc_pair_request(pair, UNARY, NULL, false), TWO_PLUS_40, 9, true);
    mote_rpc_pair_request(pair, UNARY, NULL, false);
    mote_rpc_pair_pump(pair);
    mote_rpc_pair_close_server(pair);
    assert_int_equal(fixture.cancelled, 1);
    assert_int_equal(fixture.cancel_status, MOTE_STATUS_CANCELLED);
    assert_int_equal(fixture.observed.ended, 2);
    mote_call_unref(fixture.call);
    teardown(&fixture);
}

static void test_late_answer(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
    call_fixture_start(pair, UNARY, NULL);
    mote_rpc_pair_pass(pair, SECOND);
    assert_string_equal(mote_rpc_pair_take_log(pair), "");
    mote_server_worker_set_now(pair->worker, pair->now_ns);
    call_fixture_reply_42(fixture.call, NULL);
    assert_int_equal(pair->server_attentions, 1);
    assert_int_equal(fixture.observed.summary.duration_ns, SECOND);
    assert_string_equal(call_fixture_answer(pair), "1" HEADERS "\n1 data 0000000002082a\n1 trailers grpc-status=0\n"
                                                   "1 closed NO_ERROR\n");
    mote_call_unref(fixture.call);
    assert_int_equal(fixture.cancelled, 0);
    teardown(&fixture);
}

static void test_handlers_in_flight(void **state)
{
    (void)state;
    struct call_fixture fixture;
    for (int of_process = 0; of_process < 2; of_process++) {
        assert_int_equal(call_fixture_prepare(&fixture, mote_mem_system()), 0);
        fixture.handler = call_fixture_hold;
        if (of_process != 0) {
            fixture.pair.limits.handlers_max = 3;
        } else {
            fixture.pair.limits.handlers_per_connection_max = 3;
        }
        struct mote_rpc_pair *pair = &fixture.pair;
        assert_int_equal(mote_rpc_pair_connect_raw(pair), 0);
        struct mote_call *calls[3];
        for (int i = 0; i < 3; i++) {
            struct mote_stream *stream = call_fixture_start(pair, UNARY, NULL);
            calls[i] = fixture.call;
            mote_h2_reset(stream, MOTE_H2_CANCEL); /* the handler goes on */
        }
        mote_rpc_pair_pump(pair);
        (void)mote_rpc_pair_take_log(pair);
        assert_int_equal(mote_server_worker_calls(pair->worker), 3);
        assert_contains(call_fixture_whole(pair, UNARY, NULL, TWO_PLUS_40, 9),
                        "grpc-status=8 grpc-message=too many calls in progress\n");
        assert_int_equal(fixture.handled, 3);
        mote_call_unref(calls[0]);
        assert_usable(pair);
        mote_call_unref(calls[1]);
        mote_call_unref(calls[2]);
        assert_int_equal(mote_server_worker_calls(pair->worker), 0);
        teardown(&fixture);
    }
}

/* Let in at HEADERS, when there was room: the bound holds when their bodies come, too. */
static void test_handlers_started_late(void **state)
{
    (void)state;
    struct call_fixture fixture;
    assert_int_equal(call_fixture_prepare(&fixture, mote_mem_system()), 0);
    fixture.handler = call_fixture_hold;
    fixture.pair.limits.handlers_max = 2;
    struct mote_rpc_pair *pair = &fixture.pair;
    assert_int_equal(mote_rpc_pair_connect_raw(pair), 0);
    struct mote_stream *streams[3];
    struct mote_call *calls[3];
    for (size_t i = 0; i < 3; i++) {
        streams[i] = mote_rpc_pair_request(pair, UNARY, NULL, false);
    }
    assert_string_equal(call_fixture_answer(pair), "");
    for (size_t i = 0; i < 3; i++) {
        mote_rpc_pair_write(streams[i], TWO_PLUS_40, 9, true);
        mote_rpc_pair_pump(pair);
        calls[i] = fixture.call;
    }
    assert_int_equal(fixture.handled, 2);
    assert_contains(mote_rpc_pair_take_log(pair),
                    "5" HEADERS " grpc-status=8 grpc-message=too many calls in progress\n");
    for (size_t i = 0; i < 2; i++) {
        call_fixture_reply_42(calls[i], NULL);
        mote_call_unref(calls[i]);
    }
    mote_rpc_pair_pump(pair);
    teardown(&fixture);
}

static void test_streams_in_flight(void **state)
{
    (void)state;
    struct call_fixture fixture;
    assert_int_equal(call_fixture_prepare(&fixture, mote_mem_system()), 0);
    fixture.handler = call_fixture_hold_stream;
    fixture.pair.limits.watches_max = 2;
    struct mote_rpc_pair *pair = &fixture.pair;
    assert_int_equal(mote_rpc_pair_connect_raw(pair), 0);
    for (int i = 0; i < 2; i++) {
        mote_rpc_pair_write(mote_rpc_pair_request(pair, SERVER_STREAM, NULL, false), TWO_PLUS_40, 9, true);
    }
    assert_string_equal(call_fixture_answer(pair), "");
    assert_contains(call_fixture_whole(pair, SERVER_STREAM, NULL, TWO_PLUS_40, 9),
                    "grpc-status=8 grpc-message=too many calls in progress\n");
    assert_usable(pair); /* unary calls have a bound of their own */
    mote_rpc_pair_close_server(pair);
    assert_int_equal(fixture.cancelled, 2);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_empty_message),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_all_bytes_alone),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_metadata_over_limit),
        cmocka_unit_test(test_path_length),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_message_at_bound),
        cmocka_unit_test(test_message_larger_than_window),
        cmocka_unit_test(test_buffered_limits),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_pause_at_end),
        cmocka_unit_test(test_pause_is_bounded),
        cmocka_unit_test(test_pause_again_and_again),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_made_data),
        cmocka_unit_test(test_cancel_before_start),
        cmocka_unit_test(test_connection_lost),
        cmocka_unit_test(test_late_answer),
        cmocka_unit_test(test_handlers_in_flight),
        cmocka_unit_test(test_handlers_started_late),
        cmocka_unit_test(test_streams_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
