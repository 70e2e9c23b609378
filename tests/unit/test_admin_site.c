/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets what from the admin port: routes, methods, hosts, tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "app/admin_site.h"

#define TOKEN "0123456789abcdef"

static int answer(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply)
{
    (void)request;
    return mote_admin_site_text(reply, 200, context);
}

static const struct mote_admin_route routes[] = {
    {"/open", MOTE_ADMIN_OPEN, answer}, {"/page", 0, answer}, {"/set", MOTE_ADMIN_PUT, answer}};

static const struct {
    const char *method, *path, *host, *authorization;
    bool has_token; /* the site */
    unsigned status;
} rows[] = {
    {"GET", "/page", "127.0.0.1:9464", NULL, false, 200},
    {"HEAD", "/page", "[::1]:9464", NULL, false, 200},
    {"GET", "/page", "localhost", NULL, false, 200},
    {"GET", "/page", "a.LocalHost:1", NULL, false, 200},
    {"GET", "/page", "app:9464", NULL, false, 200},
    {"GET", "/page", NULL, NULL, false, 200}, /* HTTP/1.0 */
    {"GET", "/page", "mote.example:9464", NULL, false, 200},
    {"GET", "/page", "MOTE.example", NULL, false, 200},
    {"GET", "/page", "last.example", NULL, false, 200},
    {"GET", "/page", "mote.example.evil.example", NULL, false, 403},
    {"GET", "/page", "example", NULL, false, 200},
    {"GET", "/page", ".example", NULL, false, 403},
    {"GET", "/page", "127.0.0.1.evil.example", NULL, false, 403},
    {"GET", "/page", "evil.example", NULL, false, 403},
    {"GET", "/page", "localhost.", NULL, false, 403},
    {"GET", "/open", "evil.example", NULL, false, 403},
    {"GET", "/nowhere", "localhost", NULL, false, 404},
    {"GET", "/page/", "localhost", NULL, false, 404},
    {"POST", "/page", "localhost", NULL, false, 405},
    {"PUT", "/page", "localhost", NULL, false, 405},
    {"get", "/page", "localhost", NULL, false, 405},
    {"PUT", "/set", "localhost", NULL, false, 200},
    {"DELETE", "/set", "localhost", NULL, false, 405},
    {"GET", "/page", "localhost", NULL, true, 401},
    {"GET", "/nowhere", "localhost", NULL, true, 401},
    {"GET", "/open", "localhost", NULL, true, 200},
    {"GET", "/open", "evil.example", NULL, true, 403},
    {"GET", "/page", "localhost", "Bearer " TOKEN, true, 200},
    {"GET", "/page", "evil.example", "bearer " TOKEN, true, 200}, /* no browser shows it to another's page */
    {"GET", "/page", "localhost", "Bearer " TOKEN "0", true, 401},
    {"GET", "/page", "localhost", "Bearer ", true, 401},
    {"GET", "/page", "localhost", TOKEN, true, 401},
    {"GET", "/page", "localhost", "Basic bWU6MDEyMzQ1Njc4OWFiY2RlZg==", true, 200}, /* me: */
    {"GET", "/page", "localhost", "Basic bWU6MDEyMzQ1Njc4OWFiY2RlZw==", true, 401},
    {"GET", "/page", "localhost", "Basic MDEyMzQ1Njc4OWFiY2RlZg==", true, 401}, /* no colon */
    {"GET", "/page", "localhost", "Basic !", true, 401},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mote_admin_site site = {.routes = routes,
                                       .route_count = 3,
                                       .token = rows[i].has_token ? TOKEN : NULL,
                                       .hosts = "mote.example,last.example",
                                       .context = (void *)(uintptr_t) "here"};
        const struct mote_http1_request request = {.method = mote_slice_text(rows[i].method),
                                                   .path = mote_slice_text(rows[i].path),
                                                   .host = mote_slice_text(rows[i].host),
                                                   .authorization = mote_slice_text(rows[i].authorization)};
        struct mote_buffer body;
        mote_buffer_init(&body, mote_mem_system(), 256);
        struct mote_admin_reply reply = {.status = 200, .content_type = "", .extra = "", .body = &body};
        print_message("%zu: %s %s\n", i, rows[i].method, rows[i].path);
        assert_int_equal(mote_admin_site_answer(&site, &request, &reply), 0);
        assert_int_equal(reply.status, rows[i].status);
        assert_int_equal(mote_slice_equals_text(mote_buffer_slice(&body), "here\n"), rows[i].status == 200);
        assert_int_equal(strstr(reply.extra, "WWW-Authenticate: ") != NULL, rows[i].status == 401);
        assert_int_equal(strstr(reply.extra, "Allow: GET, HEAD") != NULL, rows[i].status == 405);
        mote_buffer_dispose(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
