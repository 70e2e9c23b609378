/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/filter.h"

#define NANO     INT64_C(1000000000)
#define ANY_TIME INT64_MIN, INT64_MAX

#define ANY    MOTE_STORE_MATCH_ANY
#define EXACT  MOTE_STORE_MATCH_EXACT
#define PREFIX MOTE_STORE_MATCH_PREFIX

static void understood(void **state)
{
    static const struct {
        const char *text;
        struct mote_store_filter filter;
    } cases[] = {
        {"", {false, 0, 0, ANY, ANY, "", "", ANY_TIME}},
        {"   ", {false, 0, 0, ANY, ANY, "", "", ANY_TIME}},
        {"state = ACTIVE", {true, 1, 0, ANY, ANY, "", "", ANY_TIME}},
        {"state = LOCKED", {true, 2, 0, ANY, ANY, "", "", ANY_TIME}},
        {"  state=DISABLED ", {true, 3, 0, ANY, ANY, "", "", ANY_TIME}},
        {"role = USER", {true, 0, 1, ANY, ANY, "", "", ANY_TIME}},
        {"role = SERVICE AND role = ADMIN", {true, 0, 6, ANY, ANY, "", "", ANY_TIME}},
        {"username = \"Al\"", {true, 0, 0, EXACT, ANY, "al", "", ANY_TIME}},
        {"username = \"Al*\"", {true, 0, 0, PREFIX, ANY, "al", "", ANY_TIME}},
        {"username = \"*\"", {true, 0, 0, PREFIX, ANY, "", "", ANY_TIME}},
        {"username = \"a AND b\"", {true, 0, 0, EXACT, ANY, "a and b", "", ANY_TIME}},
        {"username = \"abcdefghijklmnopqrstuvwxyz012345\"",
         {true, 0, 0, EXACT, ANY, "abcdefghijklmnopqrstuvwxyz012345", "", ANY_TIME}},
        {"username = \"abcdefghijklmnopqrstuvwxyz012345*\"",
         {true, 0, 0, PREFIX, ANY, "abcdefghijklmnopqrstuvwxyz012345", "", ANY_TIME}},
        {"email = \"A\\*\\\"\\\\*\"", {true, 0, 0, ANY, PREFIX, "", "a*\"\\", ANY_TIME}},
        {"email = \"J\xc3\x96@x.org\"", {true, 0, 0, ANY, EXACT, "", "j\xc3\x96@x.org", ANY_TIME}},
        {"create_time >= \"1970-01-01T00:00:01Z\"", {true, 0, 0, ANY, ANY, "", "", NANO, INT64_MAX}},
        {"create_time<\"1970-01-01T00:00:01.5z\"", {true, 0, 0, ANY, ANY, "", "", INT64_MIN, NANO + NANO / 2}},
        {"create_time < \"2000-03-01t00:00:00+00:00\" AND create_time >= \"2000-02-29T23:59:60-00:30\"",
         {true, 0, 0, ANY, ANY, "", "", 951870600 * NANO, 951868800 * NANO}},
        {"create_time >= \"2026-11-21T12:34:56.123456789+05:30\"",
         {true, 0, 0, ANY, ANY, "", "", 1795244696 * NANO + 123456789, INT64_MAX}},
        {"create_time >= \"1969-12-31T23:59:59.999Z\"", {true, 0, 0, ANY, ANY, "", "", -1000000, INT64_MAX}},
        {"create_time >= \"0001-01-01T00:00:00Z\"", {true, 0, 0, ANY, ANY, "", "", INT64_MIN + 1, INT64_MAX}},
        {"create_time < \"9999-12-31T23:59:59Z\"", {true, 0, 0, ANY, ANY, "", "", INT64_MIN, INT64_MAX - 1}},
        {"create_time >= \"1678-01-01T00:00:00+23:59\" AND create_time < \"2261-12-31T23:59:59.999999999-23:59\"",
         {true, 0, 0, ANY, ANY, "", "", -9214646340 * NANO, 9214732739 * NANO + 999999999}},
        {"state = ACTIVE AND role = USER  AND username = \"a\" AND email = \"b\"",
         {true, 1, 1, EXACT, EXACT, "a", "b", ANY_TIME}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_store_filter filter;
        const struct mote_store_filter *wanted = &cases[i].filter;
        const char *problem = mote_filter_parse(&filter, cases[i].text);
        if (problem != NULL) {
            fail_msg("%s: %s", cases[i].text, problem);
        }
        if (filter.created_from != wanted->created_from || filter.created_before != wanted->created_before) {
            fail_msg("%s: %lld %lld", cases[i].text, (long long)filter.created_from, (long long)filter.created_before);
        }
        assert_int_equal(filter.is_set, wanted->is_set);
        assert_int_equal(filter.state, wanted->state);
        assert_int_equal(filter.roles, wanted->roles);
        assert_int_equal(filter.username_match, wanted->username_match);
        assert_int_equal(filter.email_match, wanted->email_match);
        assert_string_equal(filter.username, wanted->username);
        assert_string_equal(filter.email, wanted->email);
    }
}

static void refused(void **state)
{
    static const char field[] = "must be about state, role, username, email or create_time";
    static const char compare[] = "must compare with '=', and create_time with '>=' or '<'";
    static const char join[] = "must join terms with ' AND '";
    static const char time[] = "must give create_time like \"2026-01-31T12:00:00Z\", in quotes";
    static const char quotes[] = "must give texts and times in double quotes";
    static const char star[] = "must have '*' at the end of a text only";
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        {"x", field},
        {"State = ACTIVE", field},
        {"states = ACTIVE", field},
        {"id = \"x\"", field},
        {"= ACTIVE", field},
        {"NOT state = ACTIVE", field},
        {"(state = ACTIVE)", field},
        {"state", compare},
        {"state != ACTIVE", compare},
        {"state >= ACTIVE", compare},
        {"state : ACTIVE", compare},
        {"username < \"a\"", compare},
        {"create_time = \"2026-01-31T12:00:00Z\"", compare},
        {"create_time > \"2026-01-31T12:00:00Z\"", compare},
        {"state = active", "must name the state ACTIVE, LOCKED or DISABLED"},
        {"state = ACTIVES", "must name the state ACTIVE, LOCKED or DISABLED"},
        {"state = \"ACTIVE\"", "must name the state ACTIVE, LOCKED or DISABLED"},
        {"state == ACTIVE", "must name the state ACTIVE, LOCKED or DISABLED"},
        {"state =", "must name the state ACTIVE, LOCKED or DISABLED"},
        {"role = ROOT", "must name the role USER, SERVICE or ADMIN"},
        {"create_time <= \"2026-01-31T12:00:00Z\"", time},
        {"state = ACTIVE AND state = ACTIVE", "must ask for one state"},
        {"username = \"a\" AND username = \"a\"", "must ask for one username"},
        {"email = \"a\" AND email = \"b*\"", "must ask for one email"},
        {"create_time < \"2026-01-31T12:00:00Z\" AND create_time < \"2027-01-31T12:00:00Z\"",
         "must have one '>=' and one '<' at most"},
        {"username = al", quotes},
        {"email = 'al'", quotes},
        {"username = \"al", "must end a text with a double quote"},
        {"username = \"al\\", "must end a text with a double quote"},
        {"username = \"a\\l\"", "must have '\\', '\"' or '*' behind a '\\'"},
        {"username = \"a*l\"", star},
        {"username = \"a**\"", star},
        {"username = \"\"", "must not look for an empty text"},
        {"username = \"abcdefghijklmnopqrstuvwxyz0123456\"",
         "must not look for a text that is longer than any there can be"},
        {"state = ACTIVE and role = USER", join},
        {"state = ACTIVE OR role = USER", join},
        {"state = ACTIVE role = USER", join},
        {"state = ACTIVE AND", join},
        {"state = ACTIVE ANDrole = USER", join},
        {"username = \"a\"AND role = USER", join},
        {"state = ACTIVE AND ", field},
        {"state = ACTIVE, role = USER", join},
        {"role = USER AND role = USER AND role = USER AND role = USER AND role = USER", "must have at most 4 terms"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_store_filter filter;
        const char *problem = mote_filter_parse(&filter, cases[i].text);
        if (problem == NULL || strcmp(problem, cases[i].problem) != 0) {
            fail_msg("%s: %s", cases[i].text, problem != NULL ? problem : "understood");
        }
    }
}

static void times_refused(void **state)
{
    static const char *const cases[] = {
        "create_time < 2026-01-31T12:00:00Z",
        "create_time < \"2026-01-31\"",
        "create_time < \"2026-01-31 12:00:00Z\"",
        "create_time < \"2026-01-31T12:00:00\"",
        "create_time < \"2026-01-31T12:00Z\"",
        "create_time < \"2026-01-31T12:00:00Z*\"",
        "create_time < \"2026-02-29T12:00:00Z\"",
        "create_time < \"1900-02-29T12:00:00Z\"",
        "create_time < \"2026-13-01T12:00:00Z\"",
        "create_time < \"2026-00-01T12:00:00Z\"",
        "create_time < \"2026-01-32T12:00:00Z\"",
        "create_time < \"2026-01-00T12:00:00Z\"",
        "create_time < \"2026-01-01T24:00:00Z\"",
        "create_time < \"2026-01-01T12:60:00Z\"",
        "create_time < \"2026-01-01T12:00:61Z\"",
        "create_time < \"2026-01-01T12:00:00.Z\"",
        "create_time < \"2026-01-01T12:00:00.1234567890Z\"",
        "create_time < \"2026-01-01T12:00:00+24:00\"",
        "create_time < \"2026-01-01T12:00:00+00:60\"",
        "create_time < \"2026-01-01T12:00:00+0000\"",
        "create_time < \"2026-01-01T12:00:00ZZ\"",
        "create_time < \"12026-01-01T12:00:00Z\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_store_filter filter;
        const char *problem = mote_filter_parse(&filter, cases[i]);
        if (problem == NULL || strcmp(problem, "must give create_time like \"2026-01-31T12:00:00Z\", in quotes") != 0) {
            fail_msg("%s: %s", cases[i], problem != NULL ? problem : "understood");
        }
    }
}

/* Any text that is cut off or has any byte in it changed ends in an answer. */
static void any_text(void **state)
{
    static const char whole[] =
        "create_time >= \"2026-01-31T12:00:00.5+01:00\" AND email = \"a\\*b*\" AND state = ACTIVE";
    (void)state;
    for (size_t at = 0; at < sizeof whole - 1; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char text[sizeof whole];
            struct mote_store_filter filter;
            memcpy(text, whole, sizeof whole);
            text[at] = (char)byte;
            const char *problem = mote_filter_parse(&filter, text);
            assert_true(problem != NULL || !filter.is_set || filter.created_before == INT64_MAX || byte == '<');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understood),
        cmocka_unit_test(refused),
        cmocka_unit_test(times_refused),
        cmocka_unit_test(any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
