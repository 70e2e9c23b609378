/* SPDX-License-Identifier: Apache-2.0 */
/* google.rpc.Status as it is written for grpc-status-details-bin, byte by byte, and its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "pair/call_fixture.h"
#include "rpc/core.h"
#include "rpc/details.h"

#define ERROR_INFO  "type.googleapis.com/google.rpc.ErrorInfo"
#define RETRY_INFO  "type.googleapis.com/google.rpc.RetryInfo"
#define BAD_REQUEST "type.googleapis.com/google.rpc.BadRequest"

static uint8_t out[MOTE_DETAILS_MAX];

static struct mote_slice encode(const struct mote_failure *failure, const char *domain)
{
    size_t length = 0;
    assert_int_equal(mote_details_encode(out, sizeof out, &length, failure, domain), 0);
    return mote_slice(out, length);
}

static void assert_bytes(struct mote_slice actual, const char *expected, size_t length)
{
    assert_int_equal(actual.length, length);
    assert_memory_equal(actual.data, expected, length);
}

#define ASSERT_BYTES(actual, literal) assert_bytes((actual), (literal), sizeof(literal) - 1)

static void test_error_info(void **state)
{
    (void)state;
    const struct mote_failure failure = {.status = MOTE_STATUS_NOT_FOUND, .message = "no user", .reason = "GONE"};
    ASSERT_BYTES(encode(&failure, "user.v1"), "\x08\x05\x12\x07no user"
                                              "\x1a\x3b\x0a\x28" ERROR_INFO "\x12\x0f\x0a\x04GONE\x12\x07user.v1");
}

static void test_without_reason(void **state)
{
    (void)state;
    const struct mote_failure failure = {.status = MOTE_STATUS_INTERNAL, .message = ""};
    ASSERT_BYTES(encode(&failure, "p"), "\x08\x0d\x12\x00");
}

static void test_retry_info(void **state)
{
    (void)state;
    struct mote_failure failure = {
        .status = MOTE_STATUS_UNAVAILABLE, .message = "m", .reason = "R", .retry_after_ms = 1500};
    ASSERT_BYTES(encode(&failure, "d"),
                 "\x08\x0e\x12\x01m\x1a\x32\x0a\x28" ERROR_INFO "\x12\x06\x0a\x01R\x12\x01"
                 "d\x1a\x36\x0a\x28" RETRY_INFO "\x12\x0a\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01");
    failure.retry_after_ms = 60000;
    ASSERT_BYTES(encode(&failure, "d"), "\x08\x0e\x12\x01m\x1a\x32\x0a\x28" ERROR_INFO "\x12\x06\x0a\x01R\x12\x01"
                                        "d\x1a\x30\x0a\x28" RETRY_INFO "\x12\x04\x0a\x02\x08\x3c");
}

static void test_bad_request(void **state)
{
    (void)state;
    static const struct mote_violation violations[] = {{"user.name", "too long"}, {"a", "b"}};
    const struct mote_failure failure = {
        .status = MOTE_STATUS_INVALID_ARGUMENT,
        .message = "m",
        .reason = "F",
        .violations = violations,
        .violation_count = 2,
    };
    ASSERT_BYTES(encode(&failure, "d"),
                 "\x08\x03\x12\x01m\x1a\x32\x0a\x28" ERROR_INFO "\x12\x06\x0a\x01"
                 "F\x12\x01"
                 "d\x1a\x4c\x0a\x29" BAD_REQUEST "\x12\x1f\x0a\x15\x0a\x09user.name\x12\x08too long"
                 "\x0a\x06\x0a\x01"
                 "a\x12\x01"
                 "b");
}

/* Details of any type, each whole or not at all. */
static void test_more_details(void **state)
{
    (void)state;
    static uint8_t large[MOTE_DETAILS_MAX];
    const struct mote_detail details[] = {
        {MOTE_SLICE_LITERAL("t/a.B"), MOTE_SLICE_LITERAL("\x08\x01")},
        {MOTE_SLICE_LITERAL("t/L"), {large, sizeof large}},
        {MOTE_SLICE_LITERAL("t/C"), {NULL, 0}},
    };
    const struct mote_failure failure = {
        .status = MOTE_STATUS_ABORTED, .message = "m", .details = details, .detail_count = 3};
    ASSERT_BYTES(encode(&failure, "d"), "\x08\x0a\x12\x01m\x1a\x0b\x0a\x05t/a.B\x12\x02\x08\x01"
                                        "\x1a\x07\x0a\x03t/C\x12\x00");
    /* One byte less, and it fits. */
    const struct mote_detail most = {MOTE_SLICE_LITERAL("t/L"), {large, sizeof large - 5 - 3 - 5 - 3}};
    const struct mote_failure full = {
        .status = MOTE_STATUS_ABORTED, .message = "m", .details = &most, .detail_count = 1};
    assert_int_equal(encode(&full, "d").length, sizeof large);
    const struct mote_detail more = {MOTE_SLICE_LITERAL("t/LL"), most.value};
    const struct mote_failure over = {
        .status = MOTE_STATUS_ABORTED, .message = "m", .details = &more, .detail_count = 1};
    assert_int_equal(encode(&over, "d").length, 5);
}

/* A text that is no UTF-8 is left out: the rest must decode. */
static void test_bad_text(void **state)
{
    (void)state;
    const struct mote_failure failure = {.status = MOTE_STATUS_ABORTED, .message = "\xff", .reason = "R"};
    ASSERT_BYTES(encode(&failure, "d"), "\x08\x0a\x12\x00\x1a\x32\x0a\x28" ERROR_INFO "\x12\x06\x0a\x01R\x12\x01"
                                        "d");
}

/* At every capacity: what comes out is a prefix of the whole in units of violations, or nothing. */
static void test_capacities(void **state)
{
    (void)state;
    static const struct mote_violation violations[] = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
    const struct mote_failure failure = {
        .status = MOTE_STATUS_INVALID_ARGUMENT,
        .message = "m",
        .reason = "F",
        .violations = violations,
        .violation_count = 3,
    };
    const size_t whole = encode(&failure, "d").length;
    const size_t least = 5 + 2 + 0x32;
    size_t before = 0;
    for (size_t capacity = 0; capacity <= whole; capacity++) {
        uint8_t *room = malloc(capacity + 1);
        assert_non_null(room);
        room[capacity] = 0x5a;
        size_t length = 0;
        const int error = mote_details_encode(room, capacity, &length, &failure, "d");
        assert_int_equal(error, capacity < least ? MOTE_ELIMIT : 0);
        assert_true(length <= capacity && length >= before);
        assert_true(error != 0 || length == least || (length - least - 2 - 45) % 8 == 0);
        assert_int_equal(room[capacity], 0x5a);
        before = length;
        free(room);
    }
    assert_int_equal(before, whole);
}

/* All that a request can break at once is named, and the block of trailers stays under 8 KiB. */
static void test_largest(void **state)
{
    (void)state;
    char field[MOTE_CODEC_PATH_MAX];
    char text[64];
    memset(field, 'f', sizeof field);
    memset(text, 't', sizeof text);
    field[sizeof field - 1] = '\0';
    text[sizeof text - 1] = '\0';
    struct mote_violation violations[MOTE_CODEC_VIOLATIONS_MAX];
    for (size_t i = 0; i < MOTE_CODEC_VIOLATIONS_MAX; i++) {
        violations[i] = (struct mote_violation){field, text};
    }
    const struct mote_failure failure = {
        .status = MOTE_STATUS_INVALID_ARGUMENT,
        .message = "short",
        .reason = "FIELD_INVALID",
        .violations = violations,
        .violation_count = MOTE_CODEC_VIOLATIONS_MAX,
    };
    size_t length;
    assert_int_equal(mote_details_encode(out, sizeof out, &length, &failure, "user.v1"), 0);
    assert_true(length > MOTE_CODEC_VIOLATIONS_MAX * (sizeof field + sizeof text));
    assert_true(MOTE_STATUS_ENCODED_MAX + (MOTE_DETAILS_MAX + 2) / 3 * 4 < 8192);
}

/* As a client sees it. */
static void fail_with_details(struct mote_call *call, const void *request)
{
    (void)request;
    mote_call_fail_details(call, &(struct mote_failure){
                                     .status = MOTE_STATUS_RESOURCE_EXHAUSTED,
                                     .message = "m",
                                     .reason = "R",
                                     .retry_after_ms = 2000,
                                 });
}

static void test_on_the_wire(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, fail_with_details);
    const char *log = call_fixture_whole(pair, UNARY, NULL, TWO_PLUS_40, 9);
    assert_non_null(strstr(log, "grpc-status=8 grpc-message=m "
                                "grpc-status-details-bin=CAgSAW0aOAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkVycm9y"
                                "SW5mbxIMCgFSEgd0ZXN0LnYxGjAKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SBA"
                                "oCCAI\n"));
    mote_rpc_pair_dispose(pair);
}

/* Clients of gRPC hide this field from their callers, as the library's own does: it is read from the frame. */
static void test_pushback(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, fail_with_details);
    mote_rpc_pair_write(mote_rpc_pair_request(pair, UNARY, NULL, false), TWO_PLUS_40, 9, true);
    pair->reads = false;
    mote_rpc_pair_pump(pair);
    uint8_t frame[4096];
    size_t length;
    assert_int_equal(mote_server_connection_send(pair->connection, frame, sizeof frame, &length, pair->now_ns), 0);
    assert_int_equal(frame[3], NGHTTP2_HEADERS);
    assert_true(length > 9);
    nghttp2_hd_inflater *inflater;
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    const uint8_t *in = frame + 9;
    size_t left = (size_t)frame[1] << 8 | frame[2];
    bool found = false;
    while (left != 0) {
        nghttp2_nv nv;
        int flags = 0;
        const ssize_t taken = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, in, left, 1);
        assert_true(taken >= 0);
        in += taken;
        left -= (size_t)taken;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0 &&
            mote_slice_equals_text(mote_slice(nv.name, nv.namelen), "grpc-retry-pushback-ms")) {
            found = mote_slice_equals_text(mote_slice(nv.value, nv.valuelen), "2000");
        }
    }
    assert_true(found);
    nghttp2_hd_inflate_del(inflater);
    mote_rpc_pair_dispose(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_info),  cmocka_unit_test(test_without_reason), cmocka_unit_test(test_retry_info),
        cmocka_unit_test(test_bad_request), cmocka_unit_test(test_more_details),   cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_capacities),  cmocka_unit_test(test_largest),        cmocka_unit_test(test_on_the_wire),
        cmocka_unit_test(test_pushback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
