/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints, pairs and ratios: what is taken, as what, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "app/trace_settings.h"

static void test_endpoints(void **state)
{
    static const struct {
        const char *text, *target, *host; /* target NULL: refused */
        bool is_tls, has_scheme;
    } rows[] = {
        {"http://collector:4317", "collector:4317", "collector", false, true},
        {"https://collector.example:4317/", "collector.example:4317", "collector.example", true, true},
        {"http://192.0.2.1", "192.0.2.1:80", "192.0.2.1", false, true},
        {"https://h", "h:443", "h", true, true},
        {"collector:4317", "collector:4317", "collector", false, false},
        {"http://[::1]:4317", "[::1]:4317", "::1", false, true},
        {"http://[::1]", "[::1]:80", "::1", false, true},
        {"unix:/run/otel.sock", "unix:/run/otel.sock", "", false, true},
        {"", NULL, NULL, false, false},
        {"http://", NULL, NULL, false, false},
        {"http://:4317", NULL, NULL, false, false},
        {"ftp://h:1", NULL, NULL, false, false},
        {"http://h:0", NULL, NULL, false, false},
        {"http://h:65536", NULL, NULL, false, false},
        {"http://h:", NULL, NULL, false, false},
        {"http://h:4317/v1/traces", NULL, NULL, false, false},
        {"http://h:4317?x", NULL, NULL, false, false},
        {"http://::1:4317", NULL, NULL, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mote_trace_endpoint endpoint;
        const char *problem = "";
        const int error = mote_trace_endpoint_parse(&endpoint, rows[i].text, &problem);
        if ((error == 0) != (rows[i].target != NULL)) {
            fail_msg("%s: %s", rows[i].text, problem);
        }
        if (error == 0) {
            assert_string_equal(endpoint.target, rows[i].target);
            assert_string_equal(endpoint.host, rows[i].host);
            assert_int_equal(endpoint.is_tls, rows[i].is_tls);
            assert_int_equal(endpoint.has_scheme, rows[i].has_scheme);
        } else {
            assert_string_not_equal(problem, "");
        }
    }
}

static void test_long_hosts(void **state)
{
    char text[600];
    (void)state;
    for (size_t length = MOTE_TRACE_TARGET_MAX - 10; length < MOTE_TRACE_TARGET_MAX + 10; length++) {
        struct mote_trace_endpoint endpoint;
        const char *problem;
        memset(text, 'h', length);
        memcpy(text + length, ":65535", 7);
        const int error = mote_trace_endpoint_parse(&endpoint, text, &problem);
        assert_int_equal(error == 0, length < MOTE_TRACE_TARGET_MAX - 7);
        if (error == 0) {
            assert_string_equal(endpoint.target, text);
        }
    }
}

static void test_pairs(void **state)
{
    static const struct {
        const char *list, *seen; /* seen NULL: refused */
    } rows[] = {
        {NULL, ""},
        {"", ""},
        {" , ,", ""},
        {"a=b", "a:b;"},
        {"a=b,c=d", "a:b;c:d;"},
        {" a = b\t, c = ", "a:b;c:;"},
        {"a=b=c", "a:b=c;"},
        {"key=Bearer%20x%2Cy", "key:Bearer x,y;"},
        {"a=%c3%A4", "a:\xc3\xa4;"},
        {"a", NULL},
        {"=b", NULL},
        {"a=%", NULL},
        {"a=%4", NULL},
        {"a=%4g", NULL},
        {"a=%ff", NULL},
        {"a=b%00c", NULL},
        {"a=b,c", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mote_trace_pairs pairs;
        const char *problem = "";
        char seen[256] = "";
        size_t length = 0;
        const int error = mote_trace_pairs_parse(&pairs, rows[i].list, &problem);
        for (size_t j = 0; j < pairs.count; j++) {
            length += (size_t)snprintf(seen + length, sizeof seen - length, "%.*s:%.*s;",
                                       (int)pairs.pairs[j].name.length, (const char *)pairs.pairs[j].name.data,
                                       (int)pairs.pairs[j].value.length, (const char *)pairs.pairs[j].value.data);
        }
        assert_int_equal(error == 0, rows[i].seen != NULL);
        assert_string_equal(seen, error == 0 ? rows[i].seen : "");
        assert_int_equal(problem[0] != '\0', error != 0);
    }
}

static void test_many_pairs(void **state)
{
    char list[MOTE_TRACE_LIST_MAX + 2];
    struct mote_trace_pairs pairs;
    const char *problem;
    (void)state;
    list[0] = '\0';
    for (unsigned i = 0; i < MOTE_TRACE_PAIRS_MAX; i++) {
        strcat(list, "a=b,");
    }
    assert_int_equal(mote_trace_pairs_parse(&pairs, list, &problem), 0);
    assert_int_equal(pairs.count, MOTE_TRACE_PAIRS_MAX);
    assert_true(mote_slice_equals_text(mote_trace_pairs_find(&pairs, "a"), "b"));
    assert_false(mote_slice_is_present(mote_trace_pairs_find(&pairs, "b")));
    strcat(list, "a=b");
    assert_int_equal(mote_trace_pairs_parse(&pairs, list, &problem), MOTE_EINVAL);
    memset(list, 'x', sizeof list);
    memcpy(list, "a=", 2);
    list[MOTE_TRACE_LIST_MAX] = '\0';
    assert_int_equal(mote_trace_pairs_parse(&pairs, list, &problem), 0);
    list[MOTE_TRACE_LIST_MAX] = 'x';
    list[MOTE_TRACE_LIST_MAX + 1] = '\0';
    assert_int_equal(mote_trace_pairs_parse(&pairs, list, &problem), MOTE_EINVAL);
}

static void test_ratios(void **state)
{
    static const char *const good[] = {"0", "1", "0.5", "1e-3", "1.0"};
    static const char *const bad[] = {"", " 0", "1.1", "-0.1", "nan", "inf", "0x1", "1,0", "0.5 ", "."};
    double ratio;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(mote_trace_ratio_parse(&ratio, good[i]), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mote_trace_ratio_parse(&ratio, bad[i]), MOTE_EINVAL);
    }
}

static void test_propagators(void **state)
{
    static const struct {
        const char *list;
        bool is_list, looks;
    } rows[] = {
        {"tracecontext,baggage", true, true},
        {"tracecontext", true, true},
        {"baggage", true, false},
        {"none", true, false},
        {"baggage,tracecontext", true, true},
        {"", false, false},
        {"b3", false, false},
        {"none,baggage", false, false},
        {"tracecontext,", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool looks;
        assert_int_equal(mote_trace_propagators_parse(&looks, rows[i].list), rows[i].is_list);
        assert_true(!rows[i].is_list || looks == rows[i].looks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_propagators), cmocka_unit_test(test_endpoints),  cmocka_unit_test(test_long_hosts),
        cmocka_unit_test(test_pairs),       cmocka_unit_test(test_many_pairs), cmocka_unit_test(test_ratios),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
