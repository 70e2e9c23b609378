/* SPDX-License-Identifier: Apache-2.0 */
/* The decision table at HEADERS, row by row and in its order: what is accepted, and the exact answer to what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "wire/request.h"

/* Stands for a status that is not sent. */
#define NONE ((enum mote_status) - 1)
#define OK   MOTE_STATUS_OK

static struct mote_fields usual_fields(void)
{
    struct mote_fields fields = {0};
    fields.known[MOTE_FIELD_METHOD] = mote_slice_text("POST");
    fields.known[MOTE_FIELD_SCHEME] = mote_slice_text("http");
    fields.known[MOTE_FIELD_PATH] = mote_slice_text("/user.v1.UserService/GetUser");
    fields.known[MOTE_FIELD_AUTHORITY] = mote_slice_text("localhost:50051");
    fields.known[MOTE_FIELD_CONTENT_TYPE] = mote_slice_text("application/grpc");
    fields.known[MOTE_FIELD_TE] = mote_slice_text("trailers");
    return fields;
}

static const struct mote_limits limits = {.path_length_max = 256};

static void check_refused(const char *what, const struct mote_fields *fields, unsigned http, enum mote_status status,
                          const char *message)
{
    struct mote_request request;
    struct mote_refusal refusal;
    memset(&refusal, 0xa5, sizeof(refusal));
    if (mote_request_parse(fields, &limits, &request, &refusal)) {
        fail_msg("%s: accepted", what);
    }
    if (refusal.http_status != http || refusal.has_status != (status != NONE) ||
        (status != NONE && refusal.status != status)) {
        fail_msg("%s: HTTP %u, status %d", what, refusal.http_status, refusal.has_status ? (int)refusal.status : -1);
    }
    assert_int_equal(refusal.accept_encoding, message != NULL && strcmp(message, "unsupported grpc-encoding") == 0);
    if (message == NULL) {
        assert_null(refusal.message);
    } else {
        assert_string_equal(refusal.message, message);
    }
}

static struct mote_request check_accepted(const char *what, const struct mote_fields *fields)
{
    struct mote_request request;
    struct mote_refusal refusal;
    memset(&request, 0xa5, sizeof(request));
    if (!mote_request_parse(fields, &limits, &request, &refusal)) {
        fail_msg("%s: refused with HTTP %u: %s", what, refusal.http_status,
                 refusal.message != NULL ? refusal.message : "-");
    }
    return request;
}

static void test_usual(void **state)
{
    (void)state;
    struct mote_fields fields = usual_fields();
    struct mote_request request = check_accepted("usual", &fields);
    assert_true(mote_slice_equals_text(request.path, "/user.v1.UserService/GetUser"));
    assert_true(mote_slice_equals_text(request.service, "user.v1.UserService"));
    assert_true(mote_slice_equals_text(request.method, "GetUser"));
    assert_true(mote_slice_equals_text(request.authority, "localhost:50051"));
    assert_true(request.timeout_ns == MOTE_REQUEST_NO_TIMEOUT);
    assert_int_equal(request.encoding, MOTE_ENCODING_IDENTITY);
    assert_false(request.proto_subtype);
    fields.known[MOTE_FIELD_HOST] = mote_slice_text("other");
    assert_true(mote_slice_equals_text(check_accepted("both", &fields).authority, "localhost:50051"));
    fields.known[MOTE_FIELD_AUTHORITY] = mote_slice(NULL, 0);
    assert_true(mote_slice_equals_text(check_accepted("host", &fields).authority, "other"));
    fields.known[MOTE_FIELD_HOST] = mote_slice(NULL, 0);
    assert_false(mote_slice_is_present(check_accepted("neither", &fields).authority));
    fields.known[MOTE_FIELD_TE] = mote_slice(NULL, 0); /* not asked for, as in grpc-go */
    (void)check_accepted("no te", &fields);
}

static void test_overflow(void **state)
{
    (void)state;
    static const char message[] = "received metadata size exceeds the limit";
    struct mote_fields fields = usual_fields();
    fields.overflow = MOTE_FIELDS_OVER_SOFT;
    check_refused("soft", &fields, 200, MOTE_STATUS_RESOURCE_EXHAUSTED, message);
    fields.overflow = MOTE_FIELDS_OVER_HARD;
    check_refused("hard", &fields, 200, MOTE_STATUS_RESOURCE_EXHAUSTED, message);
}

static void test_content_type(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        unsigned http;
        enum mote_status status;
        bool subtype;
    } cases[] = {
        {"application/grpc", 200, OK, false},
        {"application/grpc+proto", 200, OK, true},
        {"application/grpc;charset=x", 200, OK, false},
        {"application/grpc;", 200, OK, false},
        {"application/grpc; charset=utf-8", 200, OK, false},
        {"application/grpc;+json", 200, OK, false},
        {"application/grpc+proto;charset=x", 200, OK, true},
        {"application/grpc+proto;", 200, OK, true},
        {"application/grpc+", 200, OK, false}, /* names no codec, as in grpc-go */
        {"application/grpc+;a=b", 200, OK, false},
        {"application/grpc+json", 200, MOTE_STATUS_UNIMPLEMENTED, false},
        {"application/grpc+foo", 200, MOTE_STATUS_UNIMPLEMENTED, false},
        {"application/grpc+prot", 200, MOTE_STATUS_UNIMPLEMENTED, false},
        {"application/grpc+proto2", 200, MOTE_STATUS_UNIMPLEMENTED, false},
        {"application/grpc+Proto", 200, MOTE_STATUS_UNIMPLEMENTED, false},
        {"application/grpc+proto x", 200, MOTE_STATUS_UNIMPLEMENTED, false},
        {"application/grpc+json;proto", 200, MOTE_STATUS_UNIMPLEMENTED, false},
        {"application/GRPC", 415, NONE, false}, /* only lower case, as in grpc-go */
        {"Application/grpc", 415, NONE, false},
        {"application/grpcfoo", 415, NONE, false},
        {"application/grpc-web", 415, NONE, false},
        {"application/grpc-web+proto", 415, NONE, false},
        {"application/grpc ;a=b", 415, NONE, false},
        {"application/grpc,application/grpc", 415, NONE, false},
        {" application/grpc", 415, NONE, false},
        {"application/grp", 415, NONE, false},
        {"application/json", 415, NONE, false},
        {"image/jpeg", 415, NONE, false},
        {"", 415, NONE, false},
        {NULL, 415, NONE, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mote_fields fields = usual_fields();
        fields.known[MOTE_FIELD_CONTENT_TYPE] = mote_slice_text(cases[i].type);
        const char *what = cases[i].type != NULL ? cases[i].type : "(absent)";
        if (cases[i].status == OK) {
            assert_int_equal(check_accepted(what, &fields).proto_subtype, cases[i].subtype);
        } else {
            check_refused(what, &fields, cases[i].http, cases[i].status,
                          cases[i].status == NONE ? NULL : "only the content-subtype proto is supported");
        }
    }
    struct mote_fields fields = usual_fields();
    fields.repeated = 1u << MOTE_FIELD_CONTENT_TYPE;
    check_refused("two", &fields, 415, NONE, NULL);
}

static void test_method(void **state)
{
    (void)state;
    static const char *const methods[] = {"GET", "HEAD", "DELETE", "CONNECT", "post", "POST ", "POS", "", NULL};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct mote_fields fields = usual_fields();
        fields.known[MOTE_FIELD_METHOD] = mote_slice_text(methods[i]);
        check_refused("method", &fields, 405, MOTE_STATUS_INTERNAL, "the method of a gRPC request is POST");
    }
}

static void test_timeout(void **state)
{
    (void)state;
    static const struct {
        const char *timeout;
        uint64_t ns;
        const char *message;
    } cases[] = {
        {"1S", 1000000000, NULL},
        {"1n", 1, NULL},
        {"99999999H", INT64_MAX, NULL},
        {"0n", 0, "deadline exceeded"},
        {"0m", 0, "deadline exceeded"},
        {"00000000H", 0, "deadline exceeded"},
        {"100000000S", 0, "malformed grpc-timeout"},
        {"1", 0, "malformed grpc-timeout"},
        {"-1S", 0, "malformed grpc-timeout"},
        {"", 0, "malformed grpc-timeout"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mote_fields fields = usual_fields();
        fields.known[MOTE_FIELD_GRPC_TIMEOUT] = mote_slice_text(cases[i].timeout);
        if (cases[i].message == NULL) {
            assert_true(check_accepted(cases[i].timeout, &fields).timeout_ns == cases[i].ns);
        } else {
            const bool expired = strcmp(cases[i].message, "deadline exceeded") == 0;
            check_refused(cases[i].timeout, &fields, 200,
                          expired ? MOTE_STATUS_DEADLINE_EXCEEDED : MOTE_STATUS_INTERNAL, cases[i].message);
        }
    }
    struct mote_fields fields = usual_fields();
    fields.known[MOTE_FIELD_GRPC_TIMEOUT] = mote_slice_text("1S");
    fields.repeated = 1u << MOTE_FIELD_GRPC_TIMEOUT;
    check_refused("two", &fields, 200, MOTE_STATUS_INTERNAL, "malformed grpc-timeout");
}

static void test_binary_metadata(void **state)
{
    (void)state;
    struct mote_field others[2] = {
        {.name = MOTE_SLICE_LITERAL("x-text"), .value = MOTE_SLICE_LITERAL("!!!\x80")},
        {.name = MOTE_SLICE_LITERAL("x-data-bin"), .value = MOTE_SLICE_LITERAL("AQ==,AQI")},
    };
    struct mote_fields fields = usual_fields();
    fields.others = others;
    fields.other_count = 2;
    (void)check_accepted("good", &fields);
    others[1].value = mote_slice_text("AQ==,!");
    check_refused("bad", &fields, 200, MOTE_STATUS_INTERNAL, "malformed binary metadata");
    /* A request has no use for this name: it is ignored, whatever it holds. */
    fields.other_count = 1;
    fields.known[MOTE_FIELD_GRPC_STATUS_DETAILS] = mote_slice_text("!");
    (void)check_accepted("ignored", &fields);
}

static void test_encoding(void **state)
{
    (void)state;
    static const char *const refused[] = {"GZIP",      "snappy", "foo", "", "Identity", "identity,identity",
                                          "identity ", "identit"};
    struct mote_fields fields = usual_fields();
    fields.known[MOTE_FIELD_GRPC_ENCODING] = mote_slice_text("identity");
    assert_int_equal(check_accepted("identity", &fields).encoding, MOTE_ENCODING_IDENTITY);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        fields.known[MOTE_FIELD_GRPC_ENCODING] = mote_slice_text(refused[i]);
        check_refused(refused[i], &fields, 200, MOTE_STATUS_UNIMPLEMENTED, "unsupported grpc-encoding");
    }
    fields.known[MOTE_FIELD_GRPC_ENCODING] = mote_slice_text("identity");
    fields.repeated = 1u << MOTE_FIELD_GRPC_ENCODING;
    check_refused("two", &fields, 200, MOTE_STATUS_UNIMPLEMENTED, "unsupported grpc-encoding");
    fields.repeated = 0;
    fields.known[MOTE_FIELD_GRPC_ENCODING] = mote_slice_text("gzip");
    assert_int_equal(check_accepted("gzip", &fields).encoding, MOTE_ENCODING_GZIP);
    fields.known[MOTE_FIELD_GRPC_ENCODING] = mote_slice_text("deflate");
    assert_int_equal(check_accepted("deflate", &fields).encoding, MOTE_ENCODING_DEFLATE);
}

static void test_path(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *service; /* NULL: malformed */
        const char *method;
    } cases[] = {
        {"/s/m", "s", "m"},
        {"/S/M", "S", "M"},
        {"/s/m?x", "s", "m?x"},
        {"/s/m#x", "s", "m#x"},
        {"/a.b.C/D", "a.b.C", "D"},
        {"/ / ", " ", " "},
        {"", NULL, NULL},
        {"/", NULL, NULL},
        {"//", NULL, NULL},
        {"///", NULL, NULL},
        {"//m", NULL, NULL},
        {"//s/m", NULL, NULL},
        {"s/m", NULL, NULL},
        {"as/m", NULL, NULL},
        {"/s", NULL, NULL},
        {"/s/", NULL, NULL},
        {"/s//", NULL, NULL},
        {"/s//m", NULL, NULL},
        {"/s/m/", NULL, NULL},
        {"/a/b/c", NULL, NULL},
        {"/s%2Fm", NULL, NULL},
        {"*", NULL, NULL},
        {"http://x/s/m", NULL, NULL},
        {NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mote_fields fields = usual_fields();
        fields.known[MOTE_FIELD_PATH] = mote_slice_text(cases[i].path);
        const char *what = cases[i].path != NULL ? cases[i].path : "(absent)";
        if (cases[i].service == NULL) {
            check_refused(what, &fields, 200, MOTE_STATUS_UNIMPLEMENTED, "malformed method name");
        } else {
            const struct mote_request request = check_accepted(what, &fields);
            assert_true(mote_slice_equals_text(request.path, cases[i].path));
            assert_true(mote_slice_equals_text(request.service, cases[i].service));
            assert_true(mote_slice_equals_text(request.method, cases[i].method));
        }
    }
}

static void test_path_length(void **state)
{
    (void)state;
    char path[300];
    memset(path, 'a', sizeof(path));
    memcpy(path, "/s/", 3);
    struct mote_fields fields = usual_fields();
    fields.known[MOTE_FIELD_PATH] = mote_slice(path, 256);
    assert_int_equal(check_accepted("256", &fields).method.length, 253);
    fields.known[MOTE_FIELD_PATH] = mote_slice(path, 257);
    check_refused("257", &fields, 200, MOTE_STATUS_UNIMPLEMENTED, "method name too long");
}

/* With every row violated, repairing them one by one gives the answers in the table's order. */
static void test_order(void **state)
{
    (void)state;
    struct mote_field bad = {.name = MOTE_SLICE_LITERAL("x-bin"), .value = MOTE_SLICE_LITERAL("!")};
    struct mote_fields fields = usual_fields();
    fields.overflow = MOTE_FIELDS_OVER_SOFT;
    fields.known[MOTE_FIELD_CONTENT_TYPE] = mote_slice_text("text/plain");
    fields.known[MOTE_FIELD_METHOD] = mote_slice_text("GET");
    fields.known[MOTE_FIELD_GRPC_TIMEOUT] = mote_slice_text("x");
    fields.known[MOTE_FIELD_GRPC_ENCODING] = mote_slice_text("br");
    fields.known[MOTE_FIELD_PATH] = mote_slice_text("/");
    fields.others = &bad;
    fields.other_count = 1;
    check_refused("1", &fields, 200, MOTE_STATUS_RESOURCE_EXHAUSTED, "received metadata size exceeds the limit");
    fields.overflow = MOTE_FIELDS_FIT;
    check_refused("2", &fields, 415, NONE, NULL);
    fields.known[MOTE_FIELD_CONTENT_TYPE] = mote_slice_text("application/grpc+json");
    check_refused("3", &fields, 200, MOTE_STATUS_UNIMPLEMENTED, "only the content-subtype proto is supported");
    fields.known[MOTE_FIELD_CONTENT_TYPE] = mote_slice_text("application/grpc");
    check_refused("4", &fields, 405, MOTE_STATUS_INTERNAL, "the method of a gRPC request is POST");
    fields.known[MOTE_FIELD_METHOD] = mote_slice_text("POST");
    check_refused("5", &fields, 200, MOTE_STATUS_INTERNAL, "malformed grpc-timeout");
    fields.known[MOTE_FIELD_GRPC_TIMEOUT] = mote_slice_text("0S");
    check_refused("6", &fields, 200, MOTE_STATUS_INTERNAL, "malformed binary metadata");
    fields.other_count = 0;
    check_refused("7", &fields, 200, MOTE_STATUS_DEADLINE_EXCEEDED, "deadline exceeded");
    fields.known[MOTE_FIELD_GRPC_TIMEOUT] = mote_slice_text("1S");
    check_refused("8", &fields, 200, MOTE_STATUS_UNIMPLEMENTED, "unsupported grpc-encoding");
    fields.known[MOTE_FIELD_GRPC_ENCODING] = mote_slice_text("identity");
    check_refused("9", &fields, 200, MOTE_STATUS_UNIMPLEMENTED, "malformed method name");
    fields.known[MOTE_FIELD_PATH] = mote_slice_text("/s/m");
    (void)check_accepted("10", &fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),    cmocka_unit_test(test_overflow), cmocka_unit_test(test_content_type),
        cmocka_unit_test(test_method),   cmocka_unit_test(test_timeout),  cmocka_unit_test(test_binary_metadata),
        cmocka_unit_test(test_encoding), cmocka_unit_test(test_path),     cmocka_unit_test(test_path_length),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
