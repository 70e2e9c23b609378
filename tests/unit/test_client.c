/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the client role: life, limits, closing, memory that runs out. Calls are in test_client_call.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "call_test.h"
#include "grpc/health/v1/health.mote.h"
#include "grpc/reflection/v1/reflection.mote.h"
#include "rpc/core.h"
#include "rpc/health.h"
#include "rpc/reflection.h"
#include "support/failing_mem.h"

struct result {
    unsigned ended;
    unsigned messages;
    int64_t sum;
    enum mote_status status;
    char text[128];
};

static void note_message(struct mote_client_call *call, const void *response)
{
    struct result *result = mote_client_call_user(call);
    result->messages++;
    result->sum = ((const calculator_v1_AddResponse *)response)->sum;
}

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct result *result = mote_client_call_user(call);
    (void)trailers;
    result->ended++;
    result->status = status;
    const size_t length = message.length < sizeof result->text ? message.length : sizeof result->text - 1;
    memcpy(result->text, message.data, length);
    result->text[length] = '\0';
}

static const struct mote_client_call_callbacks callbacks = {.message = note_message, .ended = note_end};

static const struct mote_client_call_callbacks end_only = {.ended = note_end};

static int start(struct mote_rpc_pair *pair, struct result *result)
{
    memset(result, 0, sizeof *result);
    const struct mote_client_call_options options = {
        .method = &calculator_v1_Calculator_Add_method,
        .callbacks = &callbacks,
        .user = result,
        .timeout_ns = UINT64_MAX,
    };
    const calculator_v1_AddRequest request = {.a = 2, .b = 40};
    struct mote_client_call *call;
    int error = mote_client_call_start(&call, pair->client_connection, &options, pair->now_ns);
    if (error != 0) {
        return error;
    }
    error = mote_client_call_send(call, &request);
    if (error == 0) {
        error = mote_client_call_half_close(call);
    }
    if (error != 0) {
        mote_client_call_cancel(call);
        assert_int_equal(result->ended, 1);
    }
    return error;
}

static void test_many_calls(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    static struct result results[100];
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < 100; i++) {
            assert_int_equal(start(pair, &results[i]), 0);
        }
        struct result more;
        assert_int_equal(start(pair, &more), MOTE_EAGAIN);
        assert_true(mote_client_connection_wants_write(pair->client_connection));
        mote_rpc_pair_pump(pair);
        for (size_t i = 0; i < 100; i++) {
            assert_int_equal(results[i].ended, 1);
            assert_int_equal(results[i].status, MOTE_STATUS_OK);
            assert_int_equal(results[i].messages, 1);
            assert_int_equal(results[i].sum, 42);
        }
    }
    assert_int_equal(fixture.observed.ended, 500);
    mote_rpc_pair_dispose(pair);
}

static void test_close(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    struct result result;
    assert_int_equal(start(pair, &result), 0);
    mote_client_connection_close(pair->client_connection, pair->now_ns);
    mote_client_connection_close(pair->client_connection, pair->now_ns);
    struct result late;
    assert_int_equal(start(pair, &late), MOTE_ECLOSED);
    assert_false(mote_client_connection_is_over(pair->client_connection));
    mote_rpc_pair_pump(pair);
    assert_int_equal(result.status, MOTE_STATUS_OK);
    assert_int_equal(result.ended, 1);
    assert_true(mote_client_connection_is_over(pair->client_connection));
    mote_rpc_pair_dispose(pair);
}

static void test_close_idle(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    mote_client_connection_close(pair->client_connection, pair->now_ns);
    mote_rpc_pair_pump(pair);
    assert_true(mote_client_connection_is_over(pair->client_connection));
    assert_true(mote_server_connection_is_over(pair->connection));
    mote_rpc_pair_dispose(pair);
}

static void test_connection_lost(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    struct result results[3];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(start(pair, &results[i]), 0);
    }
    mote_rpc_pair_close_client(pair);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(results[i].ended, 1);
        assert_int_equal(results[i].status, MOTE_STATUS_UNAVAILABLE);
        assert_string_equal(results[i].text, "the connection was lost");
    }
    mote_rpc_pair_dispose(pair);
}

static void test_server_goes_away(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = setup_client(&fixture);
    struct result result;
    assert_int_equal(start(pair, &result), 0);
    mote_server_connection_drain(pair->connection, pair->now_ns);
    mote_rpc_pair_pump(pair);
    assert_int_equal(result.status, MOTE_STATUS_OK);
    assert_int_equal(start(pair, &result), MOTE_ECLOSED);
    mote_rpc_pair_dispose(pair);
}

/* --- memory that runs out -------------------------------------------------------------------------------------- */

/* A call to be made, with one request, of which the type is the method's. */
struct errand {
    const struct mote_method *method;
    const void *request;
    bool stays; /* not half-closed: it is open when the server is shut down */
};

static const calculator_v1_AddRequest add = {.a = 1, .b = 2};
static const calculator_v1_CountRequest count = {.from = 1, .to = 20, .padding = 9000};
static const calculator_v1_SumRequest sum = {.number = 1};
static const calculator_v1_RunningTotalRequest total = {.number = 1};
static const calculator_v1_AddRequest overflow = {.a = INT64_MAX, .b = 1};
static const grpc_health_v1_HealthCheckRequest whole_server = {.service = ""};
static const grpc_reflection_v1_ServerReflectionRequest symbol = {
    .which_message_request = grpc_reflection_v1_ServerReflectionRequest_file_containing_symbol_tag,
    .message_request.file_containing_symbol = "calculator.v1.Calculator",
};
static const grpc_reflection_v1_ServerReflectionRequest services = {
    .which_message_request = grpc_reflection_v1_ServerReflectionRequest_list_services_tag,
};
static const struct errand errands[] = {
    {&calculator_v1_Calculator_Add_method, &add, false},
    {&calculator_v1_Calculator_Count_method, &count, false},
    {&calculator_v1_Calculator_Sum_method, &sum, false},
    {&calculator_v1_Calculator_RunningTotal_method, &total, false},
    {&calculator_v1_Calculator_Add_method, &overflow, false},
    {&grpc_health_v1_Health_Check_method, &whole_server, false},
    {&grpc_health_v1_Health_Watch_method, &whole_server, false},
    {&grpc_reflection_v1_ServerReflection_ServerReflectionInfo_method, &symbol, false},
    {&grpc_reflection_v1_ServerReflection_ServerReflectionInfo_method, &services, true},
};
#define ERRANDS (sizeof errands / sizeof errands[0])
#define FAILS   4u /* the one that ends OUT_OF_RANGE */
#define WATCHES 6u /* the one that ends UNAVAILABLE */
#define STAYS   8u

static int run_errand(struct mote_rpc_pair *pair, const struct errand *errand, struct result *result)
{
    static const struct mote_field metadata = {MOTE_SLICE_LITERAL("x-a"), MOTE_SLICE_LITERAL("b"), 0};
    const struct mote_client_call_options options = {
        .method = errand->method,
        .callbacks = &end_only,
        .user = result,
        .timeout_ns = SECOND,
        .metadata = &metadata,
        .metadata_count = 1,
    };
    struct mote_client_call *call;
    const int error = mote_client_call_start(&call, pair->client_connection, &options, pair->now_ns);
    if (error != 0) {
        return error;
    }
    if (mote_client_call_send(call, errand->request) != 0 ||
        (!errand->stays && mote_client_call_half_close(call) != 0)) {
        mote_client_call_cancel(call);
    }
    mote_rpc_pair_pump(pair);
    return 0;
}

static enum mote_status expected_status(size_t errand)
{
    return errand == FAILS     ? MOTE_STATUS_OUT_OF_RANGE
           : errand == WATCHES ? MOTE_STATUS_UNAVAILABLE
           : errand == STAYS   ? MOTE_STATUS_DEADLINE_EXCEEDED
                               : MOTE_STATUS_OK;
}

static bool run_errands(struct call_fixture *fixture, struct mote_health *health)
{
    struct mote_rpc_pair *pair = &fixture->pair;
    struct result results[ERRANDS] = {{0}};
    int started[ERRANDS];
    for (size_t i = 0; i < ERRANDS; i++) {
        started[i] = run_errand(pair, &errands[i], &results[i]);
    }
    mote_health_set_all(health, MOTE_HEALTH_SERVING);
    mote_health_notify(pair->worker);
    mote_rpc_pair_pump(pair);
    mote_server_connection_drain(pair->connection, pair->now_ns);
    mote_rpc_pair_pass(pair, 2 * SECOND);
    bool all_well = true;
    for (size_t i = 0; i < ERRANDS; i++) {
        assert_int_equal(results[i].ended, started[i] == 0 ? 1 : 0);
        assert_int_not_equal(results[i].status, MOTE_STATUS_UNKNOWN); /* no handler forgets to answer */
        all_well = all_well && started[i] == 0 && results[i].status == expected_status(i);
    }
    return all_well;
}

/* Calls of each kind, failures, health, reflection, a shutdown: whatever fails, every call has one end and nothing is
 * lost. Whether the calls themselves succeed is not asked. */
static int scenario(struct mote_mem *mem, void *context)
{
    struct call_fixture fixture;
    struct mote_health *health = NULL;
    (void)context;
    int error = call_fixture_prepare(&fixture, mem);
    if (error == 0) {
        error = mote_health_new(&health, mem);
    }
    if (error == 0) {
        error = mote_health_register(health, fixture.pair.server);
    }
    if (error == 0) {
        error = mote_reflection_register(fixture.pair.server);
    }
    if (error == 0) {
        error = mote_rpc_pair_connect(&fixture.pair);
    }
    const bool all_well = error == 0 && run_errands(&fixture, health);
    mote_rpc_pair_dispose(&fixture.pair);
    mote_health_free(health);
    assert_int_equal(fixture.observed.started, fixture.observed.ended);
    return all_well ? 0 : MOTE_ENOMEM;
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_true(mote_failing_mem_check(scenario, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_calls),       cmocka_unit_test(test_close),
        cmocka_unit_test(test_close_idle),       cmocka_unit_test(test_connection_lost),
        cmocka_unit_test(test_server_goes_away), cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
