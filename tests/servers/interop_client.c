/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC's interoperability test client (grpc/grpc, doc/interop-test-descriptions.md), with the flags that all of them
 * have. Exit code 0: the case went as it should; otherwise 1 and a line that says what did not.
 *
 *   interop-client --server_host=H --server_port=N --test_case=NAME
 *                  [--use_tls --ca_file=FILE --server_host_override=NAME] [--soak_…]
 */
#include <mote/net/tls_files.h>
#include <pb_encode.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"

#define SECOND MOTE_LIMITS_SECOND

struct program {
    const char *host, *port, *test_case, *use_tls, *ca_file, *override;
    const char *soak_iterations, *soak_max_failures, *soak_timeout_seconds, *soak_latency_ms;
    struct mote_tls_context *tls;
};

static struct program program;

#define BEGIN(talk, name, how, ...)                                                                                    \
    talk_begin(talk, (struct mote_client_call_options){.method = &grpc_testing_TestService_##name##_method,            \
                                                       .callbacks = &(talk_##how),                                     \
                                                       __VA_ARGS__})

static void call_unary(struct talk *talk, const grpc_testing_SimpleRequest *request,
                       const struct mote_client_call_options *like)
{
    struct mote_client_call_options options = *like;
    options.method = &grpc_testing_TestService_UnaryCall_method;
    options.callbacks = &talk_simple;
    talk_begin(talk, options);
    if (options.encoding != MOTE_ENCODING_IDENTITY && request->has_expect_compressed) {
        mote_client_call_compress(talk->call, request->expect_compressed.value);
    }
    talk_send(talk, request);
    talk_half_close(talk);
}

static const struct mote_client_call_options usual = {.wait_for_ready = false};

/* --- requests for streams of answers ----------------------------------------------------------------------------- */

struct wanted {
    size_t count;
    grpc_testing_ResponseParameters items[4];
};

static bool encode_wanted(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct wanted *wanted = *arg;
    bool fits = true;
    for (size_t i = 0; i < wanted->count && fits; i++) {
        fits = pb_encode_tag_for_field(stream, field) &&
               pb_encode_submessage(stream, grpc_testing_ResponseParameters_fields, &wanted->items[i]);
    }
    return fits;
}

static void ask_for(struct talk *talk, struct wanted wanted, int32_t payload)
{
    grpc_testing_StreamingOutputCallRequest request = grpc_testing_StreamingOutputCallRequest_init_zero;
    request.response_parameters = (pb_callback_t){.funcs.encode = encode_wanted, .arg = &wanted};
    if (payload != 0) {
        request.has_payload = true;
        request.payload = payload_of(&payload);
    }
    talk_send(talk, &request);
}

#define ONE(size_)                                                                                                     \
    (struct wanted)                                                                                                    \
    {                                                                                                                  \
        .count = 1, .items = { {.size = (size_)} }                                                                     \
    }

/* --- the cases --------------------------------------------------------------------------------------------------- */

static void empty_unary(void)
{
    const grpc_testing_Empty request = grpc_testing_Empty_init_zero;
    struct talk talk;
    BEGIN(&talk, EmptyCall, plain);
    talk_send(&talk, &request);
    talk_half_close(&talk);
    talk_expect(&talk, 0);
    talk_expect_end(&talk, MOTE_STATUS_OK);
}

static void begin_large(struct talk *talk)
{
    int32_t size = 271828;
    const grpc_testing_SimpleRequest request = {
        .response_size = 314159, .has_payload = true, .payload = payload_of(&size)};
    call_unary(talk, &request, &usual);
}

static void large_unary(void)
{
    struct talk talk;
    begin_large(&talk);
    talk_expect(&talk, 314159);
    talk_expect_end(&talk, MOTE_STATUS_OK);
}

static void client_compressed_unary(void)
{
    static const struct {
        bool expect;
        enum mote_encoding encoding;
        enum mote_status status;
    } steps[] = {
        {true, MOTE_ENCODING_IDENTITY, MOTE_STATUS_INVALID_ARGUMENT}, /* the probe */
        {true, MOTE_ENCODING_GZIP, MOTE_STATUS_OK},
        {false, MOTE_ENCODING_GZIP, MOTE_STATUS_OK},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct talk talk;
        int32_t size = 271828;
        const grpc_testing_SimpleRequest request = {.has_expect_compressed = true,
                                                    .expect_compressed = {.value = steps[i].expect},
                                                    .response_size = 314159,
                                                    .has_payload = true,
                                                    .payload = payload_of(&size)};
        call_unary(&talk, &request, &(struct mote_client_call_options){.encoding = steps[i].encoding});
        if (steps[i].status == MOTE_STATUS_OK) {
            talk_expect(&talk, 314159);
        }
        talk_expect_end(&talk, steps[i].status);
    }
}

static void server_compressed_unary(void)
{
    for (int compressed = 1; compressed >= 0; compressed--) {
        struct talk talk;
        int32_t size = 271828;
        const grpc_testing_SimpleRequest request = {.has_response_compressed = true,
                                                    .response_compressed = {.value = compressed != 0},
                                                    .response_size = 314159,
                                                    .has_payload = true,
                                                    .payload = payload_of(&size)};
        call_unary(&talk, &request, &usual);
        talk_expect_compressed(&talk, 314159, compressed != 0);
        talk_expect_end(&talk, MOTE_STATUS_OK);
    }
}

static void client_streaming(void)
{
    static const int32_t sizes[] = {27182, 8, 1828, 45904};
    struct talk talk;
    BEGIN(&talk, StreamingInputCall, input);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int32_t size = sizes[i];
        const grpc_testing_StreamingInputCallRequest request = {.has_payload = true, .payload = payload_of(&size)};
        talk_send(&talk, &request);
    }
    talk_half_close(&talk);
    talk_expect(&talk, 74922);
    talk_expect_end(&talk, MOTE_STATUS_OK);
}

static void send_compressed(struct talk *talk, int32_t size, bool compressed, bool expect)
{
    const grpc_testing_StreamingInputCallRequest request = {.has_expect_compressed = true,
                                                            .expect_compressed = {.value = expect},
                                                            .has_payload = true,
                                                            .payload = payload_of(&size)};
    if (talk->call != NULL) {
        mote_client_call_compress(talk->call, compressed);
    }
    talk_send(talk, &request);
}

static void client_compressed_streaming(void)
{
    struct talk talk;
    BEGIN(&talk, StreamingInputCall, input, .encoding = MOTE_ENCODING_GZIP);
    send_compressed(&talk, 27182, false, true); /* the probe */
    talk_half_close(&talk);
    talk_expect_end(&talk, MOTE_STATUS_INVALID_ARGUMENT);
    BEGIN(&talk, StreamingInputCall, input, .encoding = MOTE_ENCODING_GZIP);
    send_compressed(&talk, 27182, true, true);
    send_compressed(&talk, 45904, false, false);
    talk_half_close(&talk);
    talk_expect(&talk, 73086);
    talk_expect_end(&talk, MOTE_STATUS_OK);
}

static void server_streaming(void)
{
    struct talk talk;
    BEGIN(&talk, StreamingOutputCall, output);
    ask_for(&talk, (struct wanted){4, {{.size = 31415}, {.size = 9}, {.size = 2653}, {.size = 58979}}}, 0);
    talk_half_close(&talk);
    talk_expect(&talk, 31415);
    talk_expect(&talk, 9);
    talk_expect(&talk, 2653);
    talk_expect(&talk, 58979);
    talk_expect_end(&talk, MOTE_STATUS_OK);
}

static void server_compressed_streaming(void)
{
    struct talk talk;
    BEGIN(&talk, StreamingOutputCall, output);
    ask_for(&talk,
            (struct wanted){2,
                            {{.size = 31415, .has_compressed = true, .compressed = {.value = true}},
                             {.size = 92653, .has_compressed = true, .compressed = {.value = false}}}},
            0);
    talk_half_close(&talk);
    talk_expect_compressed(&talk, 31415, true);
    talk_expect_compressed(&talk, 92653, false);
    talk_expect_end(&talk, MOTE_STATUS_OK);
}

static void ping_pong(void)
{
    static const int32_t sizes[][2] = {{27182, 31415}, {8, 9}, {1828, 2653}, {45904, 58979}};
    struct talk talk;
    BEGIN(&talk, FullDuplexCall, output);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ask_for(&talk, ONE(sizes[i][1]), sizes[i][0]);
        talk_expect(&talk, sizes[i][1]);
    }
    talk_half_close(&talk);
    talk_expect_end(&talk, MOTE_STATUS_OK);
}

static void half_duplex(void)
{
    static const int32_t sizes[] = {31415, 9, 2653, 58979};
    struct talk talk;
    BEGIN(&talk, HalfDuplexCall, output);
    for (size_t i = 0; i < 4; i++) {
        ask_for(&talk, ONE(sizes[i]), 0);
    }
    talk_half_close(&talk);
    for (size_t i = 0; i < 4; i++) {
        talk_expect(&talk, sizes[i]);
    }
    talk_expect_end(&talk, MOTE_STATUS_OK);
}

static void empty_stream(void)
{
    struct talk talk;
    BEGIN(&talk, FullDuplexCall, output);
    talk_half_close(&talk);
    talk_expect_end(&talk, MOTE_STATUS_OK);
}

static void expect_echo(const struct talk *talk)
{
    if (strcmp(talk->initial, "test_initial_metadata_value") != 0 || talk->trailing_length != 3 ||
        memcmp(talk->trailing, "\xab\xab\xab", 3) != 0) {
        fail("the metadata did not come back");
    }
}

static void custom_metadata(void)
{
    static const struct mote_field fields[] = {
        {MOTE_SLICE_LITERAL("x-grpc-test-echo-initial"), MOTE_SLICE_LITERAL("test_initial_metadata_value"), 0},
        {MOTE_SLICE_LITERAL("x-grpc-test-echo-trailing-bin"), MOTE_SLICE_LITERAL("q6ur"), 0}};
    int32_t size = 271828;
    const grpc_testing_SimpleRequest request = {
        .response_size = 314159, .has_payload = true, .payload = payload_of(&size)};
    struct talk talk;
    call_unary(&talk, &request, &(struct mote_client_call_options){.metadata = fields, .metadata_count = 2});
    talk_expect(&talk, 314159);
    talk_expect_end(&talk, MOTE_STATUS_OK);
    expect_echo(&talk);
    BEGIN(&talk, FullDuplexCall, output, .metadata = fields, .metadata_count = 2);
    ask_for(&talk, ONE(314159), 271828);
    talk_half_close(&talk);
    talk_expect(&talk, 314159);
    talk_expect_end(&talk, MOTE_STATUS_OK);
    expect_echo(&talk);
}

static void expect_status(struct talk *talk, const char *message)
{
    talk_expect_end(talk, MOTE_STATUS_UNKNOWN);
    if (strcmp(talk->message, message) != 0) {
        fail("\"%s\" instead of \"%s\"", talk->message, message);
    }
}

static void unary_status(const char *message)
{
    grpc_testing_SimpleRequest request = {.has_response_status = true, .response_status = {.code = 2}};
    struct talk talk;
    (void)snprintf(request.response_status.message, sizeof request.response_status.message, "%s", message);
    call_unary(&talk, &request, &usual);
    expect_status(&talk, message);
}

static void status_code_and_message(void)
{
    const grpc_testing_StreamingOutputCallRequest request = {
        .has_response_status = true, .response_status = {.code = 2, .message = "test status message"}};
    struct talk talk;
    unary_status("test status message");
    BEGIN(&talk, FullDuplexCall, output);
    talk_send(&talk, &request);
    talk_half_close(&talk);
    expect_status(&talk, "test status message");
}

static void special_status_message(void)
{
    unary_status("\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP \xf0\x9f\x98\x88\t\n");
}

static void call_unimplemented(const char *path)
{
    const struct mote_method method = {.name = "UnimplementedCall",
                                       .path = path,
                                       .kind = MOTE_CALL_UNARY,
                                       .request = &grpc_testing_Empty_type,
                                       .response = &grpc_testing_Empty_type};
    const grpc_testing_Empty request = grpc_testing_Empty_init_zero;
    struct talk talk;
    talk_begin(&talk, (struct mote_client_call_options){.method = &method, .callbacks = &talk_plain});
    talk_send(&talk, &request);
    talk_half_close(&talk);
    talk_expect_end(&talk, MOTE_STATUS_UNIMPLEMENTED);
}

static void unimplemented_method(void)
{
    call_unimplemented("/grpc.testing.TestService/UnimplementedCall");
}

static void unimplemented_service(void)
{
    call_unimplemented("/grpc.testing.UnimplementedService/UnimplementedCall");
}

static void cancel_after_begin(void)
{
    struct talk talk;
    BEGIN(&talk, StreamingInputCall, input);
    mote_client_call_cancel(talk.call);
    talk_expect_end(&talk, MOTE_STATUS_CANCELLED);
}

static void cancel_after_first_response(void)
{
    struct talk talk;
    BEGIN(&talk, FullDuplexCall, output);
    ask_for(&talk, ONE(31415), 27182);
    talk_expect(&talk, 31415);
    mote_client_call_cancel(talk.call);
    talk_expect_end(&talk, MOTE_STATUS_CANCELLED);
}

static void timeout_on_sleeping_server(void)
{
    struct talk talk;
    BEGIN(&talk, FullDuplexCall, output, .timeout_ns = MOTE_NS_PER_MS);
    ask_for(&talk, (struct wanted){1, {{.size = 31415, .interval_us = 10000}}}, 27182);
    while (!talk.ended) {
        talk_wait(&talk);
    }
    talk.taken = talk.got_count;
    talk_expect_end(&talk, MOTE_STATUS_DEADLINE_EXCEEDED);
}

/* --- load reports ------------------------------------------------------------------------------------------------ */

static bool is_report(const xds_data_orca_v3_OrcaLoadReport *report, const grpc_testing_TestOrcaReport *wanted)
{
    return report->cpu_utilization == wanted->cpu_utilization &&
           report->mem_utilization == wanted->memory_utilization &&
           report->request_cost_count == wanted->request_cost_count &&
           (wanted->request_cost_count == 0 || (strcmp(report->request_cost[0].key, wanted->request_cost[0].key) == 0 &&
                                                report->request_cost[0].value == wanted->request_cost[0].value)) &&
           report->utilization_count == wanted->utilization_count &&
           strcmp(report->utilization[0].key, wanted->utilization[0].key) == 0 &&
           report->utilization[0].value == wanted->utilization[0].value;
}

static void orca_per_rpc(void)
{
    const grpc_testing_SimpleRequest request = {.has_orca_per_query_report = true,
                                                .orca_per_query_report = {.cpu_utilization = 0.8210,
                                                                          .memory_utilization = 0.5847,
                                                                          .request_cost_count = 1,
                                                                          .request_cost = {{"cost", 3456.32}},
                                                                          .utilization_count = 1,
                                                                          .utilization = {{"util", 0.30499}}}};
    struct talk talk;
    call_unary(&talk, &request, &usual);
    talk_expect(&talk, 0);
    talk_expect_end(&talk, MOTE_STATUS_OK);
    if (!is_report(&talk.report, &request.orca_per_query_report)) {
        fail("the load report is another one");
    }
}

static void orca_oob(void)
{
    static const grpc_testing_TestOrcaReport wanted[] = {
        {.cpu_utilization = 0.8210,
         .memory_utilization = 0.5847,
         .utilization_count = 1,
         .utilization = {{"util", 0.30499}}},
        {.cpu_utilization = 0.29309,
         .memory_utilization = 0.2,
         .utilization_count = 1,
         .utilization = {{"util", 0.2039}}},
    };
    const xds_service_orca_v3_OrcaLoadReportRequest listen = {.has_report_interval = true,
                                                              .report_interval = {.seconds = 1}};
    struct talk stream;
    struct talk listener;
    talk_begin(&listener,
               (struct mote_client_call_options){.method = &xds_service_orca_v3_OpenRcaService_StreamCoreMetrics_method,
                                                 .callbacks = &talk_reports});
    talk_send(&listener, &listen);
    talk_half_close(&listener);
    BEGIN(&stream, FullDuplexCall, output);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct wanted one = ONE(1);
        grpc_testing_StreamingOutputCallRequest request = grpc_testing_StreamingOutputCallRequest_init_zero;
        request.has_orca_oob_report = true;
        request.orca_oob_report = wanted[i];
        request.response_parameters = (pb_callback_t){.funcs.encode = encode_wanted, .arg = &one};
        talk_send(&stream, &request);
        talk_expect(&stream, 1);
        while (!is_report(&listener.report, &wanted[i])) {
            if (listener.ended) {
                fail("load reports end: %s", listener.message);
            }
            talk_wait(&listener);
        }
    }
    talk_half_close(&stream);
    talk_expect_end(&stream, MOTE_STATUS_OK);
    mote_client_call_cancel(listener.call);
}

/* --- soak -------------------------------------------------------------------------------------------------------- */

static void open_channel(void)
{
    char target[300];
    char problem[MOTE_CHANNEL_PROBLEM_MAX];
    const char *name = program.override != NULL ? program.override : program.host;
    const bool is_ipv6 = strchr(program.host, ':') != NULL;
    (void)snprintf(target, sizeof target, is_ipv6 ? "[%s]:%s" : "%s:%s", program.host, program.port);
    const struct mote_channel_options options = {.target = target,
                                                 .tls = program.tls,
                                                 .server_name = program.tls != NULL ? name : NULL,
                                                 .authority = program.override,
                                                 .user_agent = "interop-client mote"};
    if (mote_channel_open(&talk_channel, talk_loop, &options, problem) != 0) {
        fail("%s", problem);
    }
}

static void soak(bool new_channels)
{
    const long iterations = strtol(program.soak_iterations, NULL, 10);
    const long failures_max = strtol(program.soak_max_failures, NULL, 10);
    const uint64_t latency_ns = strtoull(program.soak_latency_ms, NULL, 10) * MOTE_NS_PER_MS;
    const uint64_t until_ns = mote_loop_now(talk_loop) + strtoull(program.soak_timeout_seconds, NULL, 10) * SECOND;
    long failures = 0;
    for (long i = 0; i < iterations; i++) {
        struct talk talk;
        const uint64_t started_ns = mote_loop_now(talk_loop);
        if (started_ns >= until_ns) {
            fail("%ld of %ld calls in the time", i, iterations);
        }
        if (new_channels) {
            mote_channel_close(talk_channel);
            open_channel();
        }
        begin_large(&talk);
        while (!talk.ended) {
            talk_wait(&talk);
        }
        const bool good = talk.status == MOTE_STATUS_OK && talk.got_count == 1 && talk.got[0].size == 314159;
        failures += !good || mote_loop_now(talk_loop) - started_ns > latency_ns;
    }
    printf("%s: %ld calls, %ld failures\n", program.test_case, iterations, failures);
    if (failures > failures_max) {
        fail("%ld failures", failures);
    }
}

static void rpc_soak(void)
{
    soak(false);
}

static void channel_soak(void)
{
    soak(true);
}

/* --- the program ------------------------------------------------------------------------------------------------- */

#define CASE(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    CASE(empty_unary),
    CASE(large_unary),
    CASE(client_compressed_unary),
    CASE(server_compressed_unary),
    CASE(client_streaming),
    CASE(client_compressed_streaming),
    CASE(server_streaming),
    CASE(server_compressed_streaming),
    CASE(ping_pong),
    CASE(half_duplex),
    CASE(empty_stream),
    CASE(custom_metadata),
    CASE(status_code_and_message),
    CASE(special_status_message),
    CASE(unimplemented_method),
    CASE(unimplemented_service),
    CASE(cancel_after_begin),
    CASE(cancel_after_first_response),
    CASE(timeout_on_sleeping_server),
    CASE(orca_per_rpc),
    CASE(orca_oob),
    CASE(rpc_soak),
    CASE(channel_soak),
};

/* "--name=value", or "--name" alone, which is "true". */
static bool parse(char **argv)
{
    struct {
        const char *name;
        const char **value;
    } const rows[] = {
        {"--server_host", &program.host},
        {"--server_port", &program.port},
        {"--test_case", &program.test_case},
        {"--use_tls", &program.use_tls},
        {"--ca_file", &program.ca_file},
        {"--server_host_override", &program.override},
        {"--soak_iterations", &program.soak_iterations},
        {"--soak_max_failures", &program.soak_max_failures},
        {"--soak_overall_timeout_seconds", &program.soak_timeout_seconds},
        {"--soak_per_iteration_max_acceptable_latency_ms", &program.soak_latency_ms},
    };
    for (int i = 1; argv[i] != NULL; i++) {
        const size_t length = strcspn(argv[i], "=");
        size_t row = 0;
        while (row < sizeof rows / sizeof rows[0] &&
               (strlen(rows[row].name) != length || strncmp(rows[row].name, argv[i], length) != 0)) {
            row++;
        }
        if (row == sizeof rows / sizeof rows[0]) {
            return false;
        }
        *rows[row].value = argv[i][length] == '=' ? argv[i] + length + 1 : "true";
    }
    return true;
}

static void run_case(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(cases[i].name, program.test_case) == 0) {
            cases[i].run();
            return;
        }
    }
    fail("there is no such case");
}

int main(int argc, char **argv)
{
    char problem[MOTE_TLS_FILES_PROBLEM_MAX];
    (void)argc;
    program = (struct program){.host = "127.0.0.1",
                               .port = "10000",
                               .test_case = "empty_unary",
                               .use_tls = "false",
                               .soak_iterations = "10",
                               .soak_max_failures = "0",
                               .soak_timeout_seconds = "60",
                               .soak_latency_ms = "1000"};
    if (!parse(argv)) {
        fprintf(stderr, "usage: interop-client --server_host=H --server_port=N --test_case=NAME\n"
                        "                      [--use_tls --ca_file=FILE --server_host_override=NAME] [--soak_...]\n");
        return 64;
    }
    talk_name = program.test_case;
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(program.use_tls, "false") != 0 &&
        mote_tls_files_load_client(&program.tls, &(struct mote_tls_client_files){.authorities = program.ca_file},
                                   problem) != 0) {
        fail("%s", problem);
    }
    must(mote_loop_new(&talk_loop, mote_mem_system(), NULL), "the loop");
    open_channel();
    run_case();
    mote_channel_close(talk_channel);
    mote_loop_free(talk_loop);
    mote_tls_context_unref(program.tls);
    return 0;
}
