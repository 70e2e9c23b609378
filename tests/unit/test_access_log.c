/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls get a line, at which level, and what stands in it: never metadata or credentials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "app/access_log.h"
#include "base/list.h"
#include "pair/rpc_pair.h"
#include "rpc/health.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* --- the policy -------------------------------------------------------------------------------------------------- */

static const struct mote_method unary = {.name = "Get", .kind = MOTE_CALL_UNARY};
static const struct mote_method stream = {.name = "Watch", .kind = MOTE_CALL_SERVER_STREAM};

static void test_policies(void **state)
{
    static const struct {
        const struct mote_method *method;
        enum mote_status status;
        uint64_t duration_ns;
        bool errors; /* has a line under LOG_ACCESS=errors */
    } rows[] = {
        {&unary, MOTE_STATUS_OK, 0, false},
        {&unary, MOTE_STATUS_OK, MOTE_ACCESS_LOG_SLOW_NS - 1, false},
        {&unary, MOTE_STATUS_OK, MOTE_ACCESS_LOG_SLOW_NS, true},
        {&stream, MOTE_STATUS_OK, 1000 * MOTE_ACCESS_LOG_SLOW_NS, false},
        {&unary, MOTE_STATUS_NOT_FOUND, 0, true},
        {&stream, MOTE_STATUS_CANCELLED, 0, true},
        {NULL, MOTE_STATUS_UNIMPLEMENTED, 0, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct mote_call_summary summary = {
            .method = rows[i].method, .status = rows[i].status, .duration_ns = rows[i].duration_ns};
        struct mote_access_log log = {.policy = MOTE_LOG_ACCESS_OFF, .sample_ok = 1};
        assert_false(mote_access_log_wants(&log, &summary));
        log.policy = MOTE_LOG_ACCESS_ERRORS;
        assert_int_equal(mote_access_log_wants(&log, &summary), rows[i].errors);
        log.policy = MOTE_LOG_ACCESS_ALL;
        assert_true(mote_access_log_wants(&log, &summary));
    }
}

static void test_one_of_so_many(void **state)
{
    struct mote_access_log log = {.policy = MOTE_LOG_ACCESS_ALL, .sample_ok = 10};
    const struct mote_call_summary ok = {.method = &unary, .status = MOTE_STATUS_OK};
    const struct mote_call_summary failed = {.method = &unary, .status = MOTE_STATUS_INTERNAL};
    unsigned lines = 0;
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        lines += mote_access_log_wants(&log, &ok);
        assert_true(mote_access_log_wants(&log, &failed)); /* they are all told, and not counted */
    }
    assert_int_equal(lines, 10);
}

static void test_levels(void **state)
{
    static const enum mote_status servers_fault[] = {MOTE_STATUS_UNKNOWN,       MOTE_STATUS_DEADLINE_EXCEEDED,
                                                     MOTE_STATUS_UNIMPLEMENTED, MOTE_STATUS_INTERNAL,
                                                     MOTE_STATUS_UNAVAILABLE,   MOTE_STATUS_DATA_LOSS};
    (void)state;
    for (unsigned status = 0; status < MOTE_STATUS_COUNT; status++) {
        bool is_error = false;
        for (size_t i = 0; i < COUNT(servers_fault); i++) {
            is_error = is_error || servers_fault[i] == status;
        }
        assert_int_equal(mote_access_log_level((enum mote_status)status), is_error ? MOTE_LOG_ERROR : MOTE_LOG_INFO);
    }
}

/* --- the line ---------------------------------------------------------------------------------------------------- */

/* The last line as "name=value " of its fields. */
struct capture {
    struct mote_log log;
    unsigned lines;
    enum mote_log_level level;
    char text[2048];
};

static void keep(struct mote_log *log, const struct mote_log_record *record)
{
    struct capture *capture = MOTE_CONTAINER_OF(log, struct capture, log);
    size_t length = 0;
    assert_string_equal(record->logger, "access");
    assert_string_equal(record->event, "rpc.finished");
    capture->lines++;
    capture->level = record->level;
    capture->text[0] = '\0';
    for (size_t i = 0; i < record->field_count; i++) {
        const struct mote_log_field *field = &record->fields[i];
        char *out = capture->text + length;
        size_t room = sizeof capture->text - length;
        if (field->type == MOTE_LOG_TEXT) {
            length += (size_t)snprintf(out, room, "%s=%.*s ", field->name, (int)field->value.text.length,
                                       (const char *)field->value.text.data);
        } else {
            length +=
                (size_t)snprintf(out, room, "%s=%llu ", field->name, (unsigned long long)field->value.unsigned_integer);
        }
        assert_in_range(length, 1, sizeof capture->text - 1);
    }
}

struct fixture {
    struct capture capture;
    struct mote_access_log access_log;
    struct mote_interceptor authentication;
    struct mote_health *health;
    struct mote_rpc_pair pair;
    struct mote_clock clock;
};

static const struct mote_identity caller = {.user_id = {0x01, 0x9a, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}};

/* The clock of the machine is this much further than the pass that answers. */
#define INSIDE_PASS_NS 250000u

static uint64_t later(void *context)
{
    const struct mote_rpc_pair *pair = context;
    return pair->now_ns + INSIDE_PASS_NS;
}

static void authenticate(void *context, struct mote_call *call)
{
    (void)context;
    mote_call_set_identity(call, &caller);
}

/* Health, but not public, so that there is a caller. */
static void start(struct fixture *fixture, bool user_id)
{
    static const struct mote_access_row access[] = {{"/grpc.health.v1.Health/*", MOTE_ACCESS_USER}};
    memset(fixture, 0, sizeof *fixture);
    fixture->capture.log.write = keep;
    fixture->clock = (struct mote_clock){.monotonic_ns = later, .context = &fixture->pair};
    fixture->access_log = (struct mote_access_log){
        .log = &fixture->capture.log, .policy = MOTE_LOG_ACCESS_ALL, .sample_ok = 1, .user_id = user_id};
    struct mote_server_options options = {.access = access, .access_count = COUNT(access), .clock = &fixture->clock};
    options.stages[MOTE_STAGE_LOG] = mote_access_log_stage(&fixture->access_log);
    options.stages[MOTE_STAGE_AUTHENTICATION] = (struct mote_interceptor){.start = authenticate};
    assert_int_equal(mote_rpc_pair_init(&fixture->pair, mote_mem_system(), &options), 0);
    assert_int_equal(mote_health_new(&fixture->health, mote_mem_system()), 0);
    assert_int_equal(mote_health_register(fixture->health, fixture->pair.server), 0);
    assert_int_equal(mote_rpc_pair_connect_raw(&fixture->pair), 0);
}

static void stop(struct fixture *fixture)
{
    mote_rpc_pair_dispose(&fixture->pair);
    mote_health_free(fixture->health);
}

static bool has(const struct fixture *fixture, const char *part)
{
    return strstr(fixture->capture.text, part) != NULL;
}

static void call(struct fixture *fixture, const char *path, const char *fields)
{
    struct mote_stream *request = mote_rpc_pair_request(&fixture->pair, path, fields, false);
    assert_non_null(request);
    mote_rpc_pair_message(request, "", 0, true);
    mote_rpc_pair_pump(&fixture->pair);
}

static void test_a_line(void **state)
{
    static struct fixture fixture;
    (void)state;
    start(&fixture, false);
    call(&fixture, "/grpc.health.v1.Health/Check",
         "user-agent: probe/1\nauthorization: Bearer s3cr3t\nx-note: private\ngrpc-timeout: 2S");
    assert_int_equal(fixture.capture.lines, 1);
    assert_int_equal(fixture.capture.level, MOTE_LOG_INFO);
    assert_true(has(&fixture, "rpc_service=grpc.health.v1.Health rpc_method=Check rpc_type=unary grpc_code=OK "
                              "grpc_code_num=0 duration_us=250 "));
    assert_true(has(&fixture, "user_agent=probe/1 req_bytes=0 resp_bytes=2 req_msgs=1 resp_msgs=1 "));
    assert_true(has(&fixture, "deadline_us=2000000 "));
    assert_true(has(&fixture, " peer="));
    assert_true(has(&fixture, " conn_id=1 http2_stream=1 authority="));
    assert_false(has(&fixture, "tls="));
    assert_true(has(&fixture, " authority="));
    assert_false(has(&fixture, "s3cr3t"));
    assert_false(has(&fixture, "private"));
    assert_false(has(&fixture, "sub="));
    stop(&fixture);
}

static void test_the_user_when_it_is_wanted(void **state)
{
    static struct fixture fixture;
    (void)state;
    start(&fixture, true);
    call(&fixture, "/grpc.health.v1.Health/Check", "");
    assert_true(has(&fixture, "sub=019a0000-0000-7000-8000-000000000001 "));
    assert_false(has(&fixture, "deadline_us="));
    stop(&fixture);
}

/* A scanner's inventions are not in the log: names come from what is registered. */
static void test_an_unknown_method(void **state)
{
    static struct fixture fixture;
    (void)state;
    start(&fixture, true);
    call(&fixture, "/made.up/Method", "");
    assert_int_equal(fixture.capture.level, MOTE_LOG_ERROR);
    assert_true(has(&fixture, "rpc_service=other rpc_method=other rpc_type=unary grpc_code=Unimplemented "));
    assert_false(has(&fixture, "made.up"));
    assert_false(has(&fixture, "sub="));
    stop(&fixture);
}

static void test_a_long_user_agent_is_cut(void **state)
{
    static struct fixture fixture;
    char fields[256] = "user-agent: ";
    char expected[160];
    (void)state;
    start(&fixture, false);
    memset(fields + strlen(fields), 'u', MOTE_ACCESS_LOG_AGENT_MAX + 1);
    call(&fixture, "/grpc.health.v1.Health/Check", fields);
    snprintf(expected, sizeof expected, "user_agent=%.*s req_bytes=", (int)MOTE_ACCESS_LOG_AGENT_MAX,
             fields + strlen("user-agent: "));
    assert_true(has(&fixture, expected));
    stop(&fixture);
}

static void test_no_stage_without_lines(void **state)
{
    struct mote_access_log log = {.policy = MOTE_LOG_ACCESS_OFF};
    (void)state;
    assert_null(mote_access_log_stage(&log).end);
    log.policy = MOTE_LOG_ACCESS_ERRORS;
    assert_non_null(mote_access_log_stage(&log).end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_one_of_so_many),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_a_line),
        cmocka_unit_test(test_the_user_when_it_is_wanted),
        cmocka_unit_test(test_an_unknown_method),
        cmocka_unit_test(test_a_long_user_agent_is_cut),
        cmocka_unit_test(test_no_stage_without_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
