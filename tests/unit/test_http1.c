/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the admin port, whole and cut at every byte: what is taken, what each refusal is, every bound at its
 * maximum and one above; what lists want; and the head of an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "wire/http1.h"

#define HOST "Host: localhost:9464\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST

/* status 0: taken; 1: more is needed */
static const struct {
    const char *text;
    unsigned status;
    const char *path;
    const char *host;
    bool keep_alive;
} cases[] = {
    {GET "\r\n", 0, "/", "localhost:9464", true},
    {"\r\n" GET "\r\n", 0, "/", "localhost:9464", true},
    {"\r\n\r\n" GET "\r\n", 400, NULL, NULL, false},
    {"HEAD /livez?verbose HTTP/1.0\r\n\r\n", 0, "/livez", NULL, false},
    {"GET http://[::1]:9464/a HTTP/1.1\r\n" HOST "\r\n", 0, "/a", "[::1]:9464", true},
    {"GET http://a HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, false},
    {GET "Connection: keep-alive, Close\r\n\r\n", 0, "/", "localhost:9464", false},
    {GET "Content-Length: 0\r\n\r\n", 0, "/", "localhost:9464", true},
    {GET "a:\tb \r\n\r\n", 0, "/", "localhost:9464", true},
    {GET, 1, NULL, NULL, false},
    {"", 1, NULL, NULL, false},
    {"GET / HTTP/1.1\r\n\r\n", 400, NULL, NULL, false}, /* no host */
    {GET "host: b\r\n\r\n", 400, NULL, NULL, false},
    {GET "Content-Length: 1\r\n\r\n", 413, NULL, NULL, false},
    {GET "Content-Length: x\r\n\r\n", 400, NULL, NULL, false},
    {GET "Content-Length:\r\n\r\n", 400, NULL, NULL, false},
    {GET "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, NULL, NULL, false},
    {GET "Transfer-Encoding: chunked\r\n\r\n", 413, NULL, NULL, false},
    {GET " folded\r\n\r\n", 400, NULL, NULL, false},
    {GET "a : b\r\n\r\n", 400, NULL, NULL, false},
    {GET ": b\r\n\r\n", 400, NULL, NULL, false},
    {GET "a\r\n\r\n", 400, NULL, NULL, false},
    {GET "a: b\rc\r\n\r\n", 400, NULL, NULL, false},
    {GET "a: \x7f\r\n\r\n", 400, NULL, NULL, false},
    {"GET / HTTP/1.1\n" HOST "\n", 400, NULL, NULL, false},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", 505, NULL, NULL, false},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, NULL, NULL, false},
    {"GET / FTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, false},
    {"GET /\r\n" HOST "\r\n", 400, NULL, NULL, false},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, false},
    {"GET /\xc3 HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, false},
    {"GET metrics HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, false},
    {"G(T / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, false},
    {" / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, false},
    {"\x16\x03\x01", 400, NULL, NULL, false}, /* TLS */
};

static unsigned read_status(struct mote_http1_request *request, const char *text, size_t size, size_t *length)
{
    unsigned status = 0;
    const int error = mote_http1_read(request, mote_slice(text, size), length, &status);
    assert_true(error == 0 || error == MOTE_EAGAIN || error == MOTE_EPROTO);
    assert_int_equal(status != 0, error == MOTE_EPROTO);
    return error == MOTE_EAGAIN ? 1 : status;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_http1_request request;
        const size_t size = strlen(cases[i].text);
        size_t length;
        print_message("%zu: %s\n", i, cases[i].text);
        for (size_t cut = 0; cut < size; cut++) {
            const unsigned said = read_status(&request, cases[i].text, cut, &length);
            assert_true(said == 1 || said == cases[i].status);
        }
        assert_int_equal(read_status(&request, cases[i].text, size, &length), cases[i].status);
        if (cases[i].status == 0) {
            assert_int_equal(length, size);
            assert_true(mote_slice_equals_text(request.path, cases[i].path));
            assert_true(mote_slice_equals(request.host, mote_slice_text(cases[i].host)));
            assert_int_equal(request.keep_alive, cases[i].keep_alive);
        }
    }
}

static void test_fields(void **state)
{
    static const char text[] = "GET /a?b=c&d HTTP/1.1\r\n" HOST "ACCEPT: x\r\nAccept: y\r\nAccept-Encoding: gzip\r\n"
                               "Authorization: Bearer t\r\n\r\nGET ";
    struct mote_http1_request request;
    size_t length;
    (void)state;
    assert_int_equal(read_status(&request, text, sizeof text - 1, &length), 0);
    assert_int_equal(length, sizeof text - 1 - 4);
    assert_true(mote_slice_equals_text(request.method, "GET"));
    assert_true(mote_slice_equals_text(request.query, "b=c&d"));
    assert_true(mote_slice_equals_text(request.accept, "x"));
    assert_true(mote_slice_equals_text(request.accept_encoding, "gzip"));
    assert_true(mote_slice_equals_text(request.authorization, "Bearer t"));
}

static size_t fill(char *text, const char *before, size_t count, const char *after)
{
    const size_t start = strlen(before);
    memcpy(text, before, start);
    memset(text + start, 'a', count);
    strcpy(text + start + count, after);
    return start + count + strlen(after);
}

static void test_bounds(void **state)
{
    static char text[3 * MOTE_HTTP1_HEAD_MAX];
    struct mote_http1_request request;
    size_t length;
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        size_t size = fill(text, "GET /", MOTE_HTTP1_LINE_MAX - 14 + more, " HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(read_status(&request, text, size, &length), more == 0 ? 0 : 414);
        size = fill(text, GET "a: ", MOTE_HTTP1_HEAD_MAX - strlen(GET "a: \r\n\r\n") + more, "\r\n\r\n");
        assert_int_equal(size, MOTE_HTTP1_HEAD_MAX + more);
        assert_int_equal(read_status(&request, text, size, &length), more == 0 ? 0 : 431);
        size = fill(text, GET, 0, "");
        for (size_t i = 1; i < MOTE_HTTP1_FIELDS_MAX + more; i++) {
            size += (size_t)sprintf(text + size, "a: b\r\n");
        }
        size += (size_t)sprintf(text + size, "\r\n");
        assert_int_equal(read_status(&request, text, size, &length), more == 0 ? 0 : 431);
    }
    /* It is not waited for what cannot come. */
    memset(text, 'a', sizeof text);
    assert_int_equal(read_status(&request, text, MOTE_HTTP1_LINE_MAX + 1, &length), 1);
    assert_int_equal(read_status(&request, text, MOTE_HTTP1_LINE_MAX + 3, &length), 414);
    (void)fill(text, GET "a: ", MOTE_HTTP1_HEAD_MAX, "");
    assert_int_equal(read_status(&request, text, MOTE_HTTP1_HEAD_MAX - 1, &length), 1);
    assert_int_equal(read_status(&request, text, MOTE_HTTP1_HEAD_MAX, &length), 431);
}

static void test_quality(void **state)
{
    static const struct {
        const char *list;
        unsigned quality;
    } rows[] = {
        {"text/plain", 1000},
        {" TEXT/plain ;charset=utf-8", 1000},
        {"a, text/plain;version=0.0.4;q=0.5,*/*;q=0.1", 500},
        {"text/plain;q=0.25, text/plain;Q=0.125", 250},
        {"text/plain; q=0", 0},
        {"text/plain;q=0.0", 0},
        {"text/plain;q=1.0", 1000},
        {"text/plainer", 0},
        {"*/*", 0},
        {"", 0},
        {",;,", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(mote_http1_quality(mote_slice_text(rows[i].list), "text/plain"), rows[i].quality);
    }
}

static void test_host_name(void **state)
{
    static const char *const rows[][2] = {
        {"localhost:9464", "localhost"}, {"[::1]:9464", "::1"}, {"a", "a"}, {"", ""}, {"[", ""}, {"[::1", "::1"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(mote_slice_equals_text(mote_http1_host_name(mote_slice_text(rows[i][0])), rows[i][1]));
    }
}

static void test_response(void **state)
{
    struct mote_buffer out;
    struct mote_http1_response response = {
        .status = 200, .content_type = "text/plain", .content_length = 3, .extra = "A: b\r\n", .keep_alive = true};
    (void)state;
    mote_buffer_init(&out, mote_mem_system(), 0);
    assert_int_equal(mote_http1_write_head(&out, &response), 0);
    assert_true(
        mote_slice_equals_text(mote_buffer_slice(&out),
                               "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 3\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                               "A: b\r\n\r\n"));
    mote_buffer_clear(&out);
    response.keep_alive = false;
    response.status = 431;
    assert_int_equal(mote_http1_write_head(&out, &response), 0);
    assert_non_null(memmem(out.data, out.end, "431 Request Header Fields Too Large\r\n", 37));
    assert_non_null(memmem(out.data, out.end, "Connection: close\r\n\r\n", 21));
    assert_string_equal(mote_http1_reason(299), "Internal Server Error");
    mote_buffer_dispose(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),   cmocka_unit_test(test_fields),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_quality), cmocka_unit_test(test_host_name), cmocka_unit_test(test_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
