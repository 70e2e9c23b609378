/* SPDX-License-Identifier: Apache-2.0 */
/* The registry, access as data, and the stages in their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pair/call_fixture.h"
#include "rpc/core.h"
#include "support/failing_mem.h"

/* --- the registry ---------------------------------------------------------------------------------------------- */

static struct mote_server *new_server(struct mote_mem *mem, const struct mote_access_row *access, size_t count)
{
    static struct mote_limits limits;
    mote_limits_init(&limits);
    const struct mote_server_options options = {
        .limits = &limits, .access = access, .access_count = count, .log = mote_log_none(), .worker_count = 1};
    struct mote_server *server;
    assert_int_equal(mote_server_new(&server, mem, &options), 0);
    return server;
}

static void test_services(void **state)
{
    (void)state;
    struct mote_server *server = new_server(mote_mem_system(), NULL, 0);
    assert_null(mote_server_service_at(server, 0));
    assert_ptr_equal(mote_server_find(server, mote_slice_text(ADD)), &mote_server_other);
    assert_int_equal(mote_server_add_service(server, &call_fixture_service, NULL), 0);
    assert_int_equal(mote_server_add_service(server, &calculator_v1_Calculator_service, server), 0);
    assert_int_equal(mote_server_add_service(server, &call_fixture_service, NULL), MOTE_EEXISTS);
    assert_ptr_equal(mote_server_service_at(server, 0), &calculator_v1_Calculator_service);
    assert_ptr_equal(mote_server_service_at(server, 1), &call_fixture_service);
    assert_null(mote_server_service_at(server, 2));
    assert_true(mote_server_has_service(server, mote_slice_text("test.v1.Test")));
    assert_false(mote_server_has_service(server, mote_slice_text("test.v1.Tes")));
    assert_false(mote_server_has_service(server, mote_slice_text("test.v1.Test2")));
    for (size_t i = 0; i < calculator_v1_Calculator_service.method_count; i++) {
        const struct mote_method *method = &calculator_v1_Calculator_service.methods[i];
        const struct mote_method_entry *entry = mote_server_find(server, mote_slice_text(method->path));
        assert_ptr_equal(entry->method, method);
        assert_ptr_equal(entry->context, server);
        assert_int_equal(entry->who, MOTE_ACCESS_PUBLIC);
    }
    static const char *const unknown[] = {"", "/", "x", ADD "x", "/calculator.v1.Calculator/Ad", "other"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_ptr_equal(mote_server_find(server, mote_slice_text(unknown[i])), &mote_server_other);
    }
    mote_server_free(server);
}

/* More methods than the first table has slots: all are found after it has grown, and no other. */
static void test_many_methods(void **state)
{
    (void)state;
    enum { METHODS = 100, SERVICES = 7 };
    static char paths[SERVICES][METHODS][40];
    static char names[SERVICES][16];
    static struct mote_method methods[SERVICES][METHODS];
    static struct mote_service services[SERVICES];
    struct mote_server *server = new_server(mote_mem_system(), NULL, 0);
    for (size_t i = 0; i < SERVICES; i++) {
        (void)snprintf(names[i], sizeof names[i], "s%zu", (i * 3) % SERVICES);
        services[i] =
            (struct mote_service){.name = names[i], .package = "", .methods = methods[i], .method_count = METHODS};
        for (size_t j = 0; j < METHODS; j++) {
            (void)snprintf(paths[i][j], sizeof paths[i][j], "/%s/m%zu", names[i], j);
            methods[i][j] = (struct mote_method){.name = "m",
                                                 .path = paths[i][j],
                                                 .request = &calculator_v1_AddRequest_type,
                                                 .response = &calculator_v1_AddResponse_type};
        }
        assert_int_equal(mote_server_add_service(server, &services[i], NULL), 0);
    }
    for (size_t i = 0; i < SERVICES; i++) {
        assert_int_equal(mote_server_service_at(server, i)->name[1], '0' + (int)i);
        for (size_t j = 0; j < METHODS; j++) {
            assert_ptr_equal(mote_server_find(server, mote_slice_text(paths[i][j]))->method, &methods[i][j]);
        }
    }
    assert_ptr_equal(mote_server_find(server, mote_slice_text("/s0/m100")), &mote_server_other);
    assert_in_range(server->slot_count, 2 * METHODS * SERVICES, 4 * METHODS * SERVICES);
    mote_server_free(server);
}

static int fill(struct mote_mem *mem, void *context)
{
    (void)context;
    struct mote_limits limits;
    mote_limits_init(&limits);
    const struct mote_server_options options = {.limits = &limits, .log = mote_log_none(), .worker_count = 1};
    struct mote_server *server;
    int error = mote_server_new(&server, mem, &options);
    if (error != 0) {
        return error;
    }
    error = mote_server_add_service(server, &calculator_v1_Calculator_service, NULL);
    if (error == 0) {
        error = mote_server_add_service(server, &call_fixture_service, NULL);
    }
    if (error == 0) {
        error = mote_server_add_file(server, calculator_v1_Calculator_service.file);
    }
    mote_server_free(server);
    return error;
}

static void test_registry_without_memory(void **state)
{
    (void)state;
    assert_true(mote_failing_mem_check(fill, NULL) > 0);
}

static void test_options(void **state)
{
    (void)state;
    struct mote_limits limits;
    mote_limits_init(&limits);
    const struct mote_server_options options = {.limits = &limits, .log = mote_log_none(), .worker_count = 0};
    struct mote_server *server;
    assert_int_equal(mote_server_new(&server, mote_mem_system(), &options), MOTE_EINVAL);
    mote_server_free(NULL);
}

/* --- access ---------------------------------------------------------------------------------------------------- */

struct captured_log {
    struct mote_log log;
    unsigned records;
    char path[64];
};

static void capture(struct mote_log *log, const struct mote_log_record *record)
{
    struct captured_log *captured = (struct captured_log *)(void *)log;
    captured->records++;
    (void)snprintf(captured->path, sizeof captured->path, "%.*s", (int)record->fields[0].value.text.length,
                   (const char *)record->fields[0].value.text.data);
}

static void test_access_rows(void **state)
{
    (void)state;
    static const struct mote_access_row rows[] = {
        {"/test.v1.Test/*", MOTE_ACCESS_ADMIN},
        {UNARY, MOTE_ACCESS_SELF | MOTE_ACCESS_SERVICE},
        {ADD, MOTE_ACCESS_PUBLIC},
    };
    struct mote_server *server = new_server(mote_mem_system(), rows, 3);
    assert_int_equal(mote_server_access(server, UNARY), MOTE_ACCESS_SELF | MOTE_ACCESS_SERVICE);
    assert_int_equal(mote_server_access(server, BIDI), MOTE_ACCESS_ADMIN);
    assert_int_equal(mote_server_access(server, ADD), MOTE_ACCESS_PUBLIC);
    assert_int_equal(mote_server_access(server, COUNT), 0);
    assert_int_equal(mote_server_access(server, "/test.v1.Test2/Unary"), 0);
    assert_int_equal(mote_server_check(server), MOTE_EINVAL);
    assert_int_equal(mote_server_add_service(server, &call_fixture_service, NULL), 0);
    assert_int_equal(mote_server_check(server), MOTE_EINVAL);
    struct captured_log captured = {.log = {.write = capture, .level = MOTE_LOG_DEBUG}};
    server->options.log = &captured.log;
    assert_int_equal(mote_server_check(server), MOTE_EINVAL);
    assert_int_equal(captured.records, 1);
    assert_string_equal(captured.path, ADD);
    assert_int_equal(mote_server_add_service(server, &calculator_v1_Calculator_service, NULL), 0);
    assert_int_equal(mote_server_check(server), 0);
    mote_server_free(server);
}

/* The order of the stages as they run, one letter each. */
struct stage_log {
    char text[32];
    struct mote_identity identity;
    bool authentic;
    char refused_by; /* the stage of this letter refuses */
};

static struct stage_log stages;

static void run(const char *letter, struct mote_call *call)
{
    (void)strncat(stages.text, letter, sizeof stages.text - strlen(stages.text) - 1);
    if (stages.refused_by == letter[0]) {
        mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "refused by %s", letter);
    }
    if (letter[0] == 'A' && stages.authentic) {
        mote_call_set_identity(call, &stages.identity);
    }
}

static void start(void *context, struct mote_call *call)
{
    run(context, call);
}

static void end(void *context, struct mote_call *call, const struct mote_call_summary *summary)
{
    (void)call;
    (void)summary;
    const char letter[] = {(char)(*(const char *)context | 0x20), '\0'};
    (void)strncat(stages.text, letter, sizeof stages.text - strlen(stages.text) - 1);
}

static char metrics[] = "M", trace[] = "T", log_letter[] = "L", authentication[] = "A", rate[] = "R";

static void stage_handler(struct mote_call *call, const void *request)
{
    (void)request;
    (void)strncat(stages.text, "H", sizeof stages.text - strlen(stages.text) - 1);
    const calculator_v1_AddResponse response = {.sum = 1};
    mote_call_reply(call, &response);
}

#define ROLE_METHOD(method)                                                                                            \
    {                                                                                                                  \
        .name = method, .path = "/r.R/" method, .request = &calculator_v1_AddRequest_type,                             \
        .response = &calculator_v1_AddResponse_type, .handler = stage_handler                                          \
    }

static const struct mote_method role_methods[] = {
    ROLE_METHOD("Public"),  ROLE_METHOD("User"),  ROLE_METHOD("Self"),
    ROLE_METHOD("Service"), ROLE_METHOD("Admin"), ROLE_METHOD("Denied"),
};
static const struct mote_service role_service = {
    .name = "r.R", .package = "r", .methods = role_methods, .method_count = 6};
static const struct mote_access_row role_rows[] = {
    {"/r.R/Public", MOTE_ACCESS_PUBLIC},
    {"/r.R/User", MOTE_ACCESS_USER},
    {"/r.R/Self", MOTE_ACCESS_SELF | MOTE_ACCESS_ADMIN},
    {"/r.R/Service", MOTE_ACCESS_SERVICE | MOTE_ACCESS_ADMIN},
    {"/r.R/Admin", MOTE_ACCESS_ADMIN},
};

static void setup_roles(struct mote_rpc_pair *pair)
{
    const struct mote_server_options options = {
        .access = role_rows,
        .access_count = sizeof role_rows / sizeof role_rows[0],
        .stages =
            {
                [MOTE_STAGE_METRICS] = {.context = metrics, .start = start, .end = end},
                [MOTE_STAGE_TRACE] = {.context = trace, .start = start, .end = end},
                [MOTE_STAGE_LOG] = {.context = log_letter, .start = start, .end = end},
                [MOTE_STAGE_AUTHENTICATION] = {.context = authentication, .start = start},
                [MOTE_STAGE_RATE_LIMIT] = {.context = rate, .start = start},
            },
    };
    memset(&stages, 0, sizeof stages);
    assert_int_equal(mote_rpc_pair_init(pair, mote_mem_system(), &options), 0);
    assert_int_equal(mote_server_add_service(pair->server, &role_service, NULL), 0);
    assert_int_equal(mote_server_check(pair->server), 0);
    assert_int_equal(mote_rpc_pair_connect_raw(pair), 0);
}

static const char *ask(struct mote_rpc_pair *pair, const char *path)
{
    stages.text[0] = '\0';
    return call_fixture_whole(pair, path, NULL, TWO_PLUS_40, 9);
}

static void test_stages(void **state)
{
    (void)state;
    struct mote_rpc_pair pair;
    setup_roles(&pair);
    assert_non_null(strstr(ask(&pair, "/r.R/Public"), "grpc-status=0"));
    assert_string_equal(stages.text, "MTLRHmtl");
    stages.authentic = true;
    assert_non_null(strstr(ask(&pair, "/r.R/User"), "grpc-status=0"));
    assert_string_equal(stages.text, "MTLARHmtl");
    /* Whoever refuses: none after it starts, all observers end. */
    static const char *const expected[] = {"Mmtl", "MTmtl", "MTLmtl", "MTLAmtl", "MTLARmtl"};
    for (size_t i = 0; i < 5; i++) {
        stages.refused_by = "MTLAR"[i];
        assert_non_null(strstr(ask(&pair, "/r.R/User"), "grpc-status=8 grpc-message=refused by "));
        assert_string_equal(stages.text, expected[i]);
    }
    stages.refused_by = '\0';
    assert_non_null(strstr(ask(&pair, "/r.R/Nothing"), "grpc-status=12"));
    assert_string_equal(stages.text, "MTLmtl");
    mote_rpc_pair_dispose(&pair);
}

struct role_case {
    const char *path;
    bool authentic;
    uint32_t roles;
    const char *answer;
};

#define UNAUTHENTICATED "grpc-status=16 grpc-message=missing credentials grpc-status-details-bin="
#define DENIED          "grpc-status=7 grpc-message=permission denied grpc-status-details-bin="
#define OK              "trailers grpc-status=0"

static const struct role_case role_cases[] = {
    {"/r.R/Public", false, 0, OK},
    {"/r.R/User", false, 0, UNAUTHENTICATED},
    {"/r.R/User", true, MOTE_ROLE_BIT_USER, OK},
    {"/r.R/User", true, 0, OK},
    {"/r.R/Self", false, 0, UNAUTHENTICATED},
    {"/r.R/Self", true, MOTE_ROLE_BIT_USER, OK},
    {"/r.R/Service", false, 0, UNAUTHENTICATED},
    {"/r.R/Service", true, MOTE_ROLE_BIT_USER, DENIED},
    {"/r.R/Service", true, MOTE_ROLE_BIT_SERVICE, OK},
    {"/r.R/Service", true, MOTE_ROLE_BIT_ADMIN, OK},
    {"/r.R/Admin", true, MOTE_ROLE_BIT_USER | MOTE_ROLE_BIT_SERVICE, DENIED},
    {"/r.R/Admin", true, MOTE_ROLE_BIT_ADMIN, OK},
    {"/r.R/Denied", false, 0, UNAUTHENTICATED},
    {"/r.R/Denied", true, MOTE_ROLE_BIT_USER | MOTE_ROLE_BIT_SERVICE | MOTE_ROLE_BIT_ADMIN, DENIED},
};

static void test_roles(void **state)
{
    (void)state;
    struct mote_rpc_pair pair;
    setup_roles(&pair);
    for (size_t i = 0; i < sizeof role_cases / sizeof role_cases[0]; i++) {
        stages.authentic = role_cases[i].authentic;
        stages.identity.roles = role_cases[i].roles;
        const char *log = ask(&pair, role_cases[i].path);
        if (strstr(log, role_cases[i].answer) == NULL) {
            print_message("case %zu: %s", i, log);
            fail();
        }
        assert_int_equal(strchr(stages.text, 'H') != NULL, strcmp(role_cases[i].answer, OK) == 0);
    }
    mote_rpc_pair_dispose(&pair);
}

/* --- requests that are no gRPC --------------------------------------------------------------------------------- */

struct pages {
    char events[64]; /* a letter each: H, D, E, C */
    bool holds;      /* does not answer */
};

static void answer_with_page(void *context, const struct mote_event *event)
{
    static const struct mote_field status = {MOTE_SLICE_LITERAL(":status"), MOTE_SLICE_LITERAL("200"),
                                             MOTE_FIELD_STATIC};
    static const char letters[] = {
        [MOTE_EVENT_HEADERS] = 'H', [MOTE_EVENT_DATA] = 'D', [MOTE_EVENT_END] = 'E', [MOTE_EVENT_CLOSED] = 'C'};
    struct pages *pages = context;
    pages->events[strlen(pages->events)] = letters[event->type];
    if (event->type == MOTE_EVENT_HEADERS) {
        assert_null(event->stream->user);
        event->stream->user = pages;
    }
    assert_ptr_equal(event->stream->user, pages);
    if (event->type == MOTE_EVENT_DATA) {
        mote_h2_consume(event->stream, event->u.data.length);
    }
    const bool ended = event->type == MOTE_EVENT_END || (event->type != MOTE_EVENT_CLOSED && event->end_stream);
    if (ended && !pages->holds) {
        assert_int_equal(mote_h2_respond(event->stream, &status, 1, false), 0);
        assert_int_equal(mote_h2_write(event->stream, mote_slice_text(""), mote_slice_text("page")), 0);
        assert_int_equal(mote_h2_write_end(event->stream), 0);
    }
}

/* They go to the handler, whole, where there is one; gRPC's own do not. */
static void test_http_handler(void **state)
{
    (void)state;
    for (int with = 0; with < 2; with++) {
        struct pages pages = {.holds = false};
        struct mote_rpc_pair pair;
        const struct mote_server_options options = {
            .http = {.context = &pages, .on_event = with != 0 ? answer_with_page : NULL}};
        assert_int_equal(mote_rpc_pair_init(&pair, mote_mem_system(), &options), 0);
        assert_int_equal(mote_rpc_pair_connect_raw(&pair), 0);
        (void)mote_rpc_pair_request(&pair, "/", ":method: GET\ncontent-type:\nte:\n", true);
        mote_rpc_pair_pump(&pair);
        const char *log = mote_rpc_pair_take_log(&pair);
        assert_non_null(strstr(log, with != 0 ? ":status=200" : ":status=415"));
        assert_int_equal(strstr(log, "1 data 70616765\n") != NULL, with);
        struct mote_stream *post = mote_rpc_pair_request(&pair, "/a", "content-type: text/plain\n", false);
        mote_rpc_pair_write(post, "body", 4, false);
        mote_rpc_pair_pump(&pair);
        assert_string_equal(pages.events, with != 0 ? "HCHD" : "");
        if (with != 0) {
            mote_rpc_pair_write(post, "", 0, true);
            mote_rpc_pair_pump(&pair);
            assert_string_equal(pages.events, "HCHDEC");
            pages.holds = true;
            (void)mote_rpc_pair_request(&pair, "/b", "content-type: text/plain\n", true);
        }
        (void)mote_rpc_pair_request(&pair, "/a.A/B", "", true);
        mote_rpc_pair_pump(&pair);
        assert_non_null(strstr(mote_rpc_pair_take_log(&pair), "grpc-status=12"));
        mote_rpc_pair_dispose(&pair); /* the one that is held learns of the end */
        assert_string_equal(pages.events, with != 0 ? "HCHDECHC" : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_many_methods),
        cmocka_unit_test(test_registry_without_memory),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_access_rows),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_http_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
