/* SPDX-License-Identifier: Apache-2.0 */
/* Whose traces are continued, what is sampled, and what stands in the span of a call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "app/tracing.h"
#include "pair/rpc_pair.h"
#include "rpc/health.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00-" TRACE "-00f067aa0ba902b7-"

struct fixture {
    struct mote_tracing tracing;
    struct mote_clock clock;
    struct mote_random random;
    uint8_t next_random;
    bool random_fails;
    struct mote_health *health;
    struct mote_rpc_pair pair;
    struct mote_buffer spans;
};

#define WALL_NS        INT64_C(0x0101010101010101)
#define INSIDE_PASS_NS UINT64_C(0x0101)

static uint64_t monotonic(void *context)
{
    const struct fixture *fixture = context;
    return fixture->pair.now_ns + INSIDE_PASS_NS;
}

static int64_t wall(void *context)
{
    (void)context;
    return WALL_NS;
}

static int fill(void *context, void *out, size_t length)
{
    struct fixture *fixture = context;
    memset(out, ++fixture->next_random, length);
    return fixture->random_fails ? MOTE_ERANDOM : 0;
}

static void start(struct fixture *fixture, const char *sampler, bool trusts_callers)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->clock = (struct mote_clock){.monotonic_ns = monotonic, .wall_ns = wall, .context = fixture};
    fixture->random = (struct mote_random){.fill = fill, .context = fixture};
    fixture->tracing =
        (struct mote_tracing){.clock = &fixture->clock, .random = &fixture->random, .trusts_callers = trusts_callers};
    assert_true(mote_sampler_find(&fixture->tracing.sampler, sampler, 0.5));
    const struct mote_span_queue_options bounds = {.bytes_max = 4096, .spans_max = 16};
    assert_int_equal(mote_span_queue_new(&fixture->tracing.queue, mote_mem_system(), &bounds), 0);
    mote_buffer_init(&fixture->spans, mote_mem_system(), 0);
    struct mote_server_options options = {.clock = &fixture->clock};
    options.stages[MOTE_STAGE_TRACE] = mote_tracing_stage(&fixture->tracing);
    assert_int_equal(mote_rpc_pair_init(&fixture->pair, mote_mem_system(), &options), 0);
    assert_int_equal(mote_health_new(&fixture->health, mote_mem_system()), 0);
    assert_int_equal(mote_health_register(fixture->health, fixture->pair.server), 0);
    assert_int_equal(mote_rpc_pair_connect_raw(&fixture->pair), 0);
}

static void stop(struct fixture *fixture)
{
    mote_rpc_pair_dispose(&fixture->pair);
    mote_health_free(fixture->health);
    mote_span_queue_free(fixture->tracing.queue);
    mote_buffer_dispose(&fixture->spans);
}

/* The spans of one call. */
static size_t call(struct fixture *fixture, const char *path, const char *fields)
{
    struct mote_stream *request = mote_rpc_pair_request(&fixture->pair, path, fields, false);
    assert_non_null(request);
    mote_rpc_pair_message(request, "", 0, true);
    mote_rpc_pair_pump(&fixture->pair);
    mote_buffer_clear(&fixture->spans);
    return mote_span_queue_take(fixture->tracing.queue, 16, &fixture->spans);
}

static bool has_bytes(const struct fixture *fixture, const char *bytes, size_t length)
{
    const struct mote_slice spans = mote_buffer_slice(&fixture->spans);
    return memmem(spans.data, spans.length, bytes, length) != NULL;
}

#define HAS(fixture, literal) has_bytes((fixture), (literal), sizeof(literal) - 1)
#define CHECK                 "/grpc.health.v1.Health/Check"
/* As the span has it: the caller's trace and span. */
#define CALLERS_TRACE "\x0a\x10\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36"
#define CALLERS_SPAN  "\x00\xf0\x67\xaa\x0b\xa9\x02\xb7"

static void test_a_span(void **state)
{
    static struct fixture fixture;
    (void)state;
    start(&fixture, "parentbased_always_on", true);
    assert_int_equal(call(&fixture, CHECK, "traceparent: " PARENT "01\ntracestate: a=1,b=2\nx-note: private"), 1);
    assert_true(HAS(&fixture, CALLERS_TRACE));
    assert_true(HAS(&fixture, "\x22\x08" CALLERS_SPAN));
    assert_true(HAS(&fixture, "\x1a\x07"
                              "a=1,b=2"));
    assert_true(HAS(&fixture, "\x2a\x1bgrpc.health.v1.Health/Check\x30\x02"));
    assert_true(HAS(&fixture, "\x39\x00\x00\x01\x01\x01\x01\x01\x01\x41\x01\x01\x01\x01\x01\x01\x01\x01"));
    assert_true(HAS(&fixture, "\x0a\x0frpc.system.name\x12\x06\x0a\x04grpc"));
    assert_true(HAS(&fixture, "\x0a\x0arpc.method\x12\x1d\x0a\x1bgrpc.health.v1.Health/Check"));
    assert_true(HAS(&fixture, "rpc.response.status_code\x12\x04\x0a\x02OK"));
    assert_true(HAS(&fixture, "\x85\x01\x01\x03\x00\x00"));
    assert_false(HAS(&fixture, "error.type"));
    assert_false(HAS(&fixture, "private"));
    stop(&fixture);
}

static void test_whom_it_follows(void **state)
{
    static const struct {
        const char *sampler;
        bool trusts;
        const char *fields;
        size_t spans;
        bool continued, linked;
    } rows[] = {
        {"parentbased_always_on", true, NULL, 1, false, false},
        {"parentbased_always_on", true, "traceparent: " PARENT "01", 1, true, false},
        {"parentbased_always_on", true, "traceparent: " PARENT "00", 0, false, false},
        {"parentbased_always_on", true, "traceparent: " PARENT "0x", 1, false, false},
        {"parentbased_always_on", true, "traceparent: " PARENT "00\ntraceparent: " PARENT "00", 1, false, false},
        {"parentbased_always_on", false, "traceparent: " PARENT "00", 1, false, true},
        {"parentbased_always_off", true, NULL, 0, false, false},
        {"parentbased_always_off", true, "traceparent: " PARENT "01", 1, true, false},
        {"parentbased_always_off", false, "traceparent: " PARENT "01", 0, false, false},
        {"always_off", true, "traceparent: " PARENT "01", 0, false, false},
        {"always_on", true, "traceparent: " PARENT "00", 1, true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static struct fixture fixture;
        start(&fixture, rows[i].sampler, rows[i].trusts);
        assert_int_equal(call(&fixture, CHECK, rows[i].fields), rows[i].spans);
        if (rows[i].spans != 0) {
            assert_int_equal(HAS(&fixture, "\x12\x08" CALLERS_SPAN), rows[i].linked);
            assert_int_equal(HAS(&fixture, CALLERS_TRACE), rows[i].continued || rows[i].linked);
            assert_int_equal(HAS(&fixture, "\x22\x08" CALLERS_SPAN), rows[i].continued);
        }
        stop(&fixture);
    }
}

static void test_failures(void **state)
{
    static struct fixture fixture;
    char path[300];
    (void)state;
    start(&fixture, "always_on", true);
    /* Not known: the service's own answer, not the server's fault. */
    struct mote_stream *request = mote_rpc_pair_request(&fixture.pair, CHECK, NULL, false);
    mote_rpc_pair_message(request, "\x0a\x01x", 3, true);
    mote_rpc_pair_pump(&fixture.pair);
    mote_buffer_clear(&fixture.spans);
    assert_int_equal(mote_span_queue_take(fixture.tracing.queue, 16, &fixture.spans), 1);
    assert_true(HAS(&fixture, "\x0a\x09NOT_FOUND"));
    assert_false(HAS(&fixture, "error.type"));
    assert_false(HAS(&fixture, "\x7a\x02\x18\x02"));
    /* A method that does not exist has no name of its own. */
    memset(path, 'm', sizeof path);
    memcpy(path, "/no.such.Service/", 17);
    path[200] = '\0';
    assert_int_equal(call(&fixture, path, NULL), 1);
    path[1 + MOTE_TRACING_ORIGINAL_MAX] = '\0';
    assert_true(HAS(&fixture, "\x2a\x04grpc\x30\x02"));
    assert_true(HAS(&fixture, "\x0a\x06_OTHER"));
    assert_true(HAS(&fixture, "rpc.method_original\x12\x83\x01\x0a\x80\x01no.such.Service/mm"));
    assert_true(has_bytes(&fixture, path + 1, MOTE_TRACING_ORIGINAL_MAX));
    assert_true(HAS(&fixture, "error.type\x12\x0f\x0a\x0dUNIMPLEMENTED"));
    assert_true(HAS(&fixture, "\x7a\x02\x18\x02"));
    stop(&fixture);
}

static void test_addresses(void **state)
{
    static const struct {
        const char *authority, *bytes;
        size_t length;
    } rows[] = {
#define ROW(authority, bytes) {":authority: " authority, bytes, sizeof(bytes) - 1}
        ROW("example.com:443", "server.address\x12\x0d\x0a\x0b"
                               "example.com\x4a\x12\x0a\x0bserver.port\x12\x03\x18\xbb\x03"),
        ROW("example.com", "server.address\x12\x0d\x0a\x0b"
                           "example.com"),
        ROW("[::1]:1", "server.address\x12\x05\x0a\x03::1"),
        ROW("[::1]", "server.address\x12\x05\x0a\x03::1"),
        ROW("a:99999", "server.address\x12\x09\x0a\x07"
                       "a:99999"),
#undef ROW
    };
    static struct fixture fixture;
    (void)state;
    start(&fixture, "always_on", true);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(call(&fixture, CHECK, rows[i].authority), 1);
        assert_true(has_bytes(&fixture, rows[i].bytes, rows[i].length));
    }
    stop(&fixture);
}

/* Without random bytes calls are answered as ever; the queue's end is theirs neither. */
static void test_without_random_or_room(void **state)
{
    static struct fixture fixture;
    (void)state;
    start(&fixture, "always_on", true);
    for (int i = 0; i < 100; i++) {
        fixture.random_fails = i >= 50; /* what was fetched before is used up */
        (void)call(&fixture, CHECK, NULL);
        assert_non_null(strstr(mote_rpc_pair_take_log(&fixture.pair), "grpc-status=0"));
    }
    assert_int_equal(mote_buffer_length(&fixture.spans), 0);
    fixture.random_fails = false;
    for (int i = 0; i < 20; i++) {
        struct mote_stream *request = mote_rpc_pair_request(&fixture.pair, CHECK, NULL, false);
        mote_rpc_pair_message(request, "", 0, true);
        mote_rpc_pair_pump(&fixture.pair);
    }
    const struct mote_span_queue_counts counts = mote_span_queue_counts(fixture.tracing.queue);
    assert_true(counts.dropped >= 4 && counts.waiting <= 16);
    assert_int_equal(counts.dropped + counts.waiting, 20);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_span),
        cmocka_unit_test(test_whom_it_follows),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_without_random_or_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
