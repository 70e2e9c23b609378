/* SPDX-License-Identifier: Apache-2.0 */
/* Whose traces are continued, what is sampled, and what stands in the spans of calls, on both ends and below them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pair/call_fixture.h"
#include "rpc/health.h"
#include "telemetry/tracer.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00-" TRACE "-00f067aa0ba902b7-"

struct fixture {
    struct mote_tracer tracer;
    struct mote_clock clock;
    struct mote_random random;
    uint8_t next_random;
    bool random_fails;
    struct mote_health *health;
    struct call_fixture call; /* its pair is the one below */
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

static void prepare(struct fixture *fixture, const char *sampler, bool trusts_callers)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->clock = (struct mote_clock){.monotonic_ns = monotonic, .wall_ns = wall, .context = fixture};
    fixture->random = (struct mote_random){.fill = fill, .context = fixture};
    fixture->tracer = (struct mote_tracer){.clock = &fixture->clock,
                                           .random = &fixture->random,
                                           .limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX},
                                           .trusts_callers = trusts_callers};
    assert_true(mote_sampler_find(&fixture->tracer.sampler, sampler, 0.5));
    const struct mote_span_queue_options bounds = {.bytes_max = 65536, .spans_max = 16, .batch = 16};
    assert_int_equal(mote_span_queue_new(&fixture->tracer.queue, mote_mem_system(), &bounds), 0);
    mote_buffer_init(&fixture->spans, mote_mem_system(), 0);
    const struct mote_server_options options = {.clock = &fixture->clock, .tracer = &fixture->tracer};
    assert_int_equal(mote_rpc_pair_init(&fixture->pair, mote_mem_system(), &options), 0);
    assert_int_equal(mote_health_new(&fixture->health, mote_mem_system()), 0);
    assert_int_equal(mote_health_register(fixture->health, fixture->pair.server), 0);
    assert_int_equal(mote_server_add_service(fixture->pair.server, &call_fixture_service, NULL), 0);
    fixture->pair.worker_user = &fixture->call;
}

static void start(struct fixture *fixture, const char *sampler, bool trusts_callers)
{
    prepare(fixture, sampler, trusts_callers);
    assert_int_equal(mote_rpc_pair_connect_raw(&fixture->pair), 0);
}

static void stop(struct fixture *fixture)
{
    mote_rpc_pair_dispose(&fixture->pair);
    mote_health_free(fixture->health);
    mote_span_queue_free(fixture->tracer.queue);
    mote_buffer_dispose(&fixture->spans);
}

/* Takes all spans; how many. */
static size_t take(struct fixture *fixture)
{
    uint8_t *room;
    size_t count;
    const size_t bytes = mote_span_queue_look(fixture->tracer.queue, 100, &count);
    mote_buffer_clear(&fixture->spans);
    assert_int_equal(mote_buffer_reserve(&fixture->spans, bytes + 1, &room), 0);
    mote_span_queue_take(fixture->tracer.queue, count, bytes, room);
    mote_buffer_commit(&fixture->spans, bytes);
    return count;
}

/* The spans of one call. */
static size_t call(struct fixture *fixture, const char *path, const char *fields)
{
    struct mote_stream *request = mote_rpc_pair_request(&fixture->pair, path, fields, false);
    assert_non_null(request);
    mote_rpc_pair_message(request, "", 0, true);
    mote_rpc_pair_pump(&fixture->pair);
    return take(fixture);
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
    assert_int_equal(take(&fixture), 1);
    assert_true(HAS(&fixture, "\x0a\x09NOT_FOUND"));
    assert_false(HAS(&fixture, "error.type"));
    assert_false(HAS(&fixture, "\x7a\x02\x18\x02"));
    /* A method that does not exist has no name of its own. */
    memset(path, 'm', sizeof path);
    memcpy(path, "/no.such.Service/", 17);
    path[200] = '\0';
    assert_int_equal(call(&fixture, path, NULL), 1);
    path[1 + 128] = '\0';
    assert_true(HAS(&fixture, "\x2a\x04grpc\x30\x02"));
    assert_true(HAS(&fixture, "\x0a\x06_OTHER"));
    assert_true(HAS(&fixture, "rpc.method_original\x12\x83\x01\x0a\x80\x01no.such.Service/mm"));
    assert_true(has_bytes(&fixture, path + 1, 128));
    assert_true(HAS(&fixture, "error.type\x12\x0f\x0a\x0dUNIMPLEMENTED"));
    assert_true(HAS(&fixture, "\x7a\x23\x12\x1funknown service no.such.Service\x18\x02"));
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
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0];
         i++) { /* each twice: the second has what is known by then */
        assert_int_equal(call(&fixture, CHECK, rows[i / 2].authority), 1);
        assert_true(has_bytes(&fixture, rows[i / 2].bytes, rows[i / 2].length));
        assert_true(HAS(&fixture, "network.peer.address"));
    }
    stop(&fixture);
}

/* As it stands in the span, behind the event's time and name. */
#define MESSAGE(type, id, size)                                                                                        \
    "\x12\x0brpc.message\x1a" type "\x1a\x14\x0a\x0erpc.message.id\x12\x02\x18" id                                     \
    "\x1a\x23\x0a\x1drpc.message.uncompressed_size\x12\x02\x18" size
#define RECEIVED "\x1e\x0a\x10rpc.message.type\x12\x0a\x0a\x08RECEIVED"
#define SENT     "\x1a\x0a\x10rpc.message.type\x12\x06\x0a\x04SENT"

static void note_messages(struct mote_call *call, const void *request)
{
    if (request == NULL) {
        mote_call_finish(call);
    } else {
        assert_int_equal(mote_call_send(call, &(const calculator_v1_AddResponse){.sum = 42}), 0);
    }
}

static void test_messages(void **state)
{
    static struct fixture fixture;
    (void)state;
    start(&fixture, "always_on", true);
    fixture.call.handler = note_messages;
    struct mote_stream *request = mote_rpc_pair_request(&fixture.pair, BIDI, NULL, false);
    for (int i = 0; i < 9; i++) {
        mote_rpc_pair_message(request, "\x08\x02\x10\x28", 4, i == 8);
    }
    mote_rpc_pair_pump(&fixture.pair);
    assert_int_equal(take(&fixture), 1);
    assert_true(HAS(&fixture, MESSAGE(RECEIVED, "\x01", "\x04")));
    assert_true(HAS(&fixture, MESSAGE(SENT, "\x01", "\x02")));
    assert_true(HAS(&fixture, MESSAGE(RECEIVED, "\x08", "\x04")));
    assert_true(HAS(&fixture, MESSAGE(SENT, "\x08", "\x02")));
    assert_false(HAS(&fixture, MESSAGE(RECEIVED, "\x09", "\x04")));
    assert_true(HAS(&fixture, "\x60\x02"));
    stop(&fixture);
}

#define SPANS 70 /* more than a call may have */

static void do_work(struct mote_call *call, const void *request)
{
    (void)request;
    assert_true(mote_call_is_recorded(call));
    mote_call_add_span(call, &(const struct mote_call_span){.name = "work",
                                                            .is_client = true,
                                                            .start_ns = mote_call_now(call),
                                                            .begun_ns = mote_call_now(call) + 1,
                                                            .error = "EIO",
                                                            .attributes = {{"a", "b"}, {NULL, NULL}}});
    const struct mote_call_span plain = {.name = "more", .start_ns = mote_call_now(call)};
    for (int i = 0; i < SPANS; i++) {
        mote_call_add_span(call, &plain);
    }
    call_fixture_reply_42(call, request);
}

static void test_work_below(void **state)
{
    static struct fixture fixture;
    (void)state;
    start(&fixture, "parentbased_always_on", true);
    fixture.call.handler = do_work;
    /* What the queue has no room for is gone; the call's own span is the last. */
    assert_int_equal(call(&fixture, UNARY, "traceparent: " PARENT "01"), 16);
    const struct mote_slice spans = mote_buffer_slice(&fixture.spans);
    const uint8_t *work = memmem(spans.data, spans.length, "\x2a\x04work\x30\x03", 8);
    assert_non_null(work);
    assert_true(HAS(&fixture, "\x39\x00\x00\x01\x01\x01\x01\x01\x01\x41\x01\x01\x01\x01\x01\x01\x01\x01"));
    assert_true(HAS(&fixture, "\x4a\x08\x0a\x01"
                              "a\x12\x03\x0a\x01"
                              "b"));
    assert_true(HAS(&fixture, "\x5a\x10\x09\x01\x00\x01\x01\x01\x01\x01\x01\x12\x05"
                              "begun"));
    assert_true(HAS(&fixture, "error.type\x12\x05\x0a\x03"
                              "EIO"));
    assert_true(HAS(&fixture, "\x2a\x04more\x30\x01"));
    const struct mote_span_queue_counts counts = mote_span_queue_counts(fixture.tracer.queue);
    assert_int_equal(counts.taken_in + counts.dropped, 65);
    stop(&fixture);
}

static void do_nothing(struct mote_call *call, const void *request)
{
    assert_false(mote_call_is_recorded(call));
    mote_call_add_span(call, &(const struct mote_call_span){.name = "work"});
    call_fixture_reply_42(call, request);
}

static void test_nothing_below_what_is_not_sampled(void **state)
{
    static struct fixture fixture;
    (void)state;
    start(&fixture, "always_off", true);
    fixture.call.handler = do_nothing;
    assert_int_equal(call(&fixture, UNARY, NULL), 0);
    assert_int_equal(fixture.call.handled, 1);
    stop(&fixture);
}

/* --- the client's end -------------------------------------------------------------------------------------------- */

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    (void)message;
    (void)trailers;
    *(enum mote_status *)mote_client_call_user(call) = status;
}

static enum mote_status call_as_client(struct fixture *fixture, struct mote_client_call_options *options)
{
    static const struct mote_client_call_callbacks callbacks = {.ended = note_end};
    struct mote_client_call *call;
    enum mote_status status = MOTE_STATUS_UNKNOWN;
    options->method = &call_fixture_service.methods[0];
    options->callbacks = &callbacks;
    options->user = &status;
    options->timeout_ns = UINT64_MAX;
    assert_int_equal(mote_client_call_start(&call, fixture->pair.client_connection, options, fixture->pair.now_ns), 0);
    assert_int_equal(mote_client_call_send(call, &(const calculator_v1_AddRequest){.a = 2}), 0);
    assert_int_equal(mote_client_call_half_close(call), 0);
    mote_rpc_pair_pump(&fixture->pair);
    return status;
}

static const struct mote_trace_context caller = {
    .trace_id = {0x4b, 0xf9}, .span_id = {0x77, 0x78}, .flags = MOTE_TRACE_SAMPLED};
static char parent_seen[MOTE_TRACE_PARENT_LENGTH + 1], state_seen[32];

static void see_trace(struct mote_call *call, const void *request)
{
    const struct mote_slice parent = mote_call_traceparent(call);
    const struct mote_slice trace_state = mote_call_tracestate(call);
    (void)snprintf(parent_seen, sizeof parent_seen, "%.*s", (int)parent.length, (const char *)parent.data);
    (void)snprintf(state_seen, sizeof state_seen, "%.*s", (int)trace_state.length, (const char *)trace_state.data);
    if (request != NULL && ((const calculator_v1_AddRequest *)request)->b == 0) {
        call_fixture_reply_42(call, request);
    }
}

/* The server's span is below the client's, which is below the call that is being answered. */
static void test_a_clients_span(void **state)
{
    static struct fixture fixture;
    (void)state;
    prepare(&fixture, "parentbased_always_on", true);
    fixture.pair.target.tracer = &fixture.tracer;
    assert_int_equal(mote_rpc_pair_connect(&fixture.pair), 0);
    fixture.call.handler = see_trace;
    assert_int_equal(
        call_as_client(&fixture,
                       &(struct mote_client_call_options){.trace = &caller, .trace_state = mote_slice_text("a=1")}),
        MOTE_STATUS_OK);
    assert_string_equal(state_seen, "a=1");
    struct mote_trace_context seen;
    assert_true(mote_trace_context_parse(&seen, mote_slice_text(parent_seen)));
    assert_memory_equal(seen.trace_id, caller.trace_id, sizeof seen.trace_id);
    assert_memory_not_equal(seen.span_id, caller.span_id, sizeof seen.span_id);
    assert_int_equal(take(&fixture), 2);
    uint8_t bytes[2 + MOTE_SPAN_ID_LENGTH] = {0x22, MOTE_SPAN_ID_LENGTH};
    memcpy(bytes + 2, seen.span_id, MOTE_SPAN_ID_LENGTH);
    assert_true(has_bytes(&fixture, (const char *)bytes, sizeof bytes)); /* the parent of the server's */
    memcpy(bytes + 2, caller.span_id, MOTE_SPAN_ID_LENGTH);
    assert_true(has_bytes(&fixture, (const char *)bytes, sizeof bytes)); /* the parent of the client's */
    bytes[0] = 0x12;
    memcpy(bytes + 2, seen.span_id, MOTE_SPAN_ID_LENGTH);
    assert_true(has_bytes(&fixture, (const char *)bytes, sizeof bytes)); /* the client's own */
    assert_true(HAS(&fixture, "\x2a\x12test.v1.Test/Unary\x30\x03"));
    assert_true(HAS(&fixture, "server.address\x12\x0b\x0a\x09localhost"));
    assert_true(HAS(&fixture, MESSAGE(SENT, "\x01", "\x02")));
    stop(&fixture);
}

static void fail_call(struct mote_call *call, const void *request)
{
    (void)request;
    mote_call_fail(call, MOTE_STATUS_NOT_FOUND, "no such thing");
}

static void test_what_a_client_does_otherwise(void **state)
{
    static struct fixture fixture;
    static const char own[] = "00-" TRACE "-00f067aa0ba902b7-00";
    const struct mote_field metadata = {.name = mote_slice_text("traceparent"), .value = mote_slice_text(own)};
    struct mote_trace_context seen;
    (void)state;
    prepare(&fixture, "parentbased_always_on", true);
    assert_int_equal(mote_rpc_pair_connect(&fixture.pair), 0);
    fixture.call.handler = see_trace;
    /* Without a tracer the trace is passed on as it is. */
    (void)call_as_client(&fixture, &(struct mote_client_call_options){.trace = &caller});
    assert_true(mote_trace_context_parse(&seen, mote_slice_text(parent_seen)));
    assert_memory_equal(&seen, &caller, sizeof seen);
    assert_int_equal(take(&fixture), 1);
    stop(&fixture);
    /* Who says it himself is not contradicted. */
    prepare(&fixture, "parentbased_always_on", true);
    fixture.pair.target.tracer = &fixture.tracer;
    assert_int_equal(mote_rpc_pair_connect(&fixture.pair), 0);
    fixture.call.handler = see_trace;
    (void)call_as_client(
        &fixture, &(struct mote_client_call_options){.trace = &caller, .metadata = &metadata, .metadata_count = 1});
    assert_string_equal(parent_seen, own);
    assert_int_equal(take(&fixture), 0);
    /* A trace begins at a client; to it every other status is an error. */
    fixture.call.handler = fail_call;
    assert_int_equal(call_as_client(&fixture, &(struct mote_client_call_options){.trace = NULL}),
                     MOTE_STATUS_NOT_FOUND);
    assert_int_equal(take(&fixture), 2);
    assert_true(HAS(&fixture, "error.type\x12\x0b\x0a\x09NOT_FOUND"));
    assert_true(HAS(&fixture, "\x7a\x11\x12\x0dno such thing\x18\x02"));
    /* What the sampler leaves out is still passed on, and nobody below records it. */
    assert_true(mote_sampler_find(&fixture.tracer.sampler, "parentbased_always_off", 0));
    fixture.call.handler = see_trace;
    (void)call_as_client(&fixture, &(struct mote_client_call_options){.trace = NULL});
    assert_true(mote_trace_context_parse(&seen, mote_slice_text(parent_seen)));
    assert_int_equal(seen.flags, MOTE_TRACE_RANDOM);
    assert_int_equal(take(&fixture), 0);
    stop(&fixture);
}

/* Without random bytes calls are answered as ever; the queue's end is theirs neither. */
static void test_without_random_or_room(void **state)
{
    static struct fixture fixture; /* no thread has randomness of this tracer yet */
    (void)state;
    start(&fixture, "always_on", true);
    fixture.random_fails = true;
    assert_int_equal(call(&fixture, CHECK, NULL), 0);
    assert_non_null(strstr(mote_rpc_pair_take_log(&fixture.pair), "grpc-status=0"));
    fixture.random_fails = false;
    for (int i = 0; i < 20; i++) {
        struct mote_stream *request = mote_rpc_pair_request(&fixture.pair, CHECK, NULL, false);
        mote_rpc_pair_message(request, "", 0, true);
        mote_rpc_pair_pump(&fixture.pair);
    }
    const struct mote_span_queue_counts counts = mote_span_queue_counts(fixture.tracer.queue);
    assert_int_equal(counts.dropped, 4);
    assert_int_equal(counts.waiting, 16);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_span),
        cmocka_unit_test(test_whom_it_follows),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_work_below),
        cmocka_unit_test(test_nothing_below_what_is_not_sampled),
        cmocka_unit_test(test_a_clients_span),
        cmocka_unit_test(test_what_a_client_does_otherwise),
        cmocka_unit_test(test_without_random_or_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
