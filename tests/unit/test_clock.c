/* SPDX-License-Identifier: Apache-2.0 */
/* The text of times, against known ones and against the C library's calendar; the system's sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define SECOND INT64_C(1000000000)

static const struct {
    int64_t wall_ns;
    unsigned digits;
    const char *text;
} cases[] = {
    {0, 0, "1970-01-01T00:00:00Z"},
    {0, 3, "1970-01-01T00:00:00.000Z"},
    {0, 6, "1970-01-01T00:00:00.000000Z"},
    {0, 9, "1970-01-01T00:00:00.000000000Z"},
    {1, 9, "1970-01-01T00:00:00.000000001Z"},
    {999999999, 0, "1970-01-01T00:00:00Z"},
    {999999999, 3, "1970-01-01T00:00:00.999Z"},
    {999999999, 6, "1970-01-01T00:00:00.999999Z"},
    {-1, 9, "1969-12-31T23:59:59.999999999Z"},
    {-1, 0, "1969-12-31T23:59:59Z"},
    {-SECOND, 0, "1969-12-31T23:59:59Z"},
    {-86400 * SECOND, 0, "1969-12-31T00:00:00Z"},
    {-86400 * SECOND - 1, 0, "1969-12-30T23:59:59Z"},
    {951782399 * SECOND, 0, "2000-02-28T23:59:59Z"},
    {951782400 * SECOND, 0, "2000-02-29T00:00:00Z"},
    {951868800 * SECOND, 0, "2000-03-01T00:00:00Z"},
    {4107542399 * SECOND, 0, "2100-02-28T23:59:59Z"},
    {4107542400 * SECOND, 0, "2100-03-01T00:00:00Z"},
    {1769903999 * SECOND + 123000, 6, "2026-01-31T23:59:59.000123Z"},
    {INT64_MAX, 9, "2262-04-11T23:47:16.854775807Z"},
    {INT64_MIN, 9, "1677-09-21T00:12:43.145224192Z"},
};

static void known_times(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        const size_t length = strlen(cases[i].text);
        assert_int_equal(mote_time_format(text, sizeof text, cases[i].wall_ns, cases[i].digits), length);
        assert_string_equal(text, cases[i].text);
    }
}

static void the_room_is_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        const size_t length = strlen(cases[i].text);
        assert_true(length < MOTE_TIME_TEXT_SIZE);
        memset(text, 'x', sizeof text);
        assert_int_equal(mote_time_format(text, length + 1, cases[i].wall_ns, cases[i].digits), length);
        assert_int_equal(text[length + 1], 'x');
        memset(text, 'x', sizeof text);
        assert_int_equal(mote_time_format(text, length, cases[i].wall_ns, cases[i].digits), 0);
        assert_int_equal(mote_time_format(text, 0, cases[i].wall_ns, cases[i].digits), 0);
        assert_int_equal(text[length], 'x');
    }
}

static void times_are_read(void **state)
{
    static const struct {
        const char *text;
        bool valid;
        int64_t wall_ns;
    } rows[] = {
        {"1970-01-01T00:00:00Z", true, 0},
        {"1970-01-01t00:00:01.5z", true, SECOND * 3 / 2},
        {"1970-01-01T01:00:00.000000001+01:00", true, 1},
        {"1969-12-31T23:59:59.999999999Z", true, -1},
        {"1970-01-01T00:00:60Z", true, 60 * SECOND},
        {"2024-02-29T00:00:00Z", true, 1709164800 * SECOND},
        {"1677-12-31T00:00:00Z", true, INT64_MIN + 1},
        {"2262-01-01T00:00:00Z", true, INT64_MAX - 1},
        {"2023-02-29T00:00:00Z", false, 0},
        {"2026-13-01T00:00:00Z", false, 0},
        {"2026-01-31T24:00:00Z", false, 0},
        {"2026-01-31T00:00:00", false, 0},
        {"2026-01-31T00:00:00.Z", false, 0},
        {"2026-01-31T00:00:00.1234567890Z", false, 0},
        {"2026-01-31T00:00:00Zx", false, 0},
        {"2026-01-31 00:00:00Z", false, 0},
        {"2026-01-31T00:00:00+24:00", false, 0},
        {"2026-1-31T00:00:00Z", false, 0},
        {"", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t wall_ns = 0;
        assert_int_equal(mote_time_parse(&wall_ns, rows[i].text), rows[i].valid);
        assert_true(!rows[i].valid || wall_ns == rows[i].wall_ns);
    }
}

/* Every day of the whole range, at a changing time of day. */
static void the_calendar_is_the_c_librarys(void **state)
{
    (void)state;
    unsigned step = 0;
    for (int64_t seconds = -9223372036; seconds < 9223372036; seconds += 86400 - 7) {
        char text[64];
        char expected[128];
        struct tm fields;
        const time_t time = (time_t)seconds;
        step++;
        assert_non_null(gmtime_r(&time, &fields));
        assert_int_not_equal(strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &fields), 0);
        assert_int_equal(mote_time_format(text, sizeof text, seconds * SECOND + step % 1000000000, 0), 20);
        assert_string_equal(text, expected);
    }
    assert_true(step > 200000);
}

static void the_systems_clocks_run(void **state)
{
    (void)state;
    const struct mote_clock *clock = mote_clock_system();
    const uint64_t first = clock->monotonic_ns(clock->context);
    const int64_t wall = clock->wall_ns(clock->context);
    struct timespec pause = {.tv_nsec = 2 * MOTE_NS_PER_MS};
    while (nanosleep(&pause, &pause) != 0) {
    }
    assert_true(clock->monotonic_ns(clock->context) - first >= 2 * MOTE_NS_PER_MS);
    const int64_t now = (int64_t)time(NULL);
    assert_true(wall / SECOND >= now - 60 && wall / SECOND <= now + 60);
}

static void the_systems_randomness_fills_all(void **state)
{
    (void)state;
    const struct mote_random *random = mote_random_system();
    static uint8_t a[100000];
    static uint8_t b[100000];
    unsigned seen[256] = {0};
    assert_int_equal(random->fill(random->context, a, 0), 0);
    assert_int_equal(random->fill(random->context, a, sizeof a), 0);
    assert_int_equal(random->fill(random->context, b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + sizeof a - 32, b + sizeof b - 32, 32);
    for (size_t i = 0; i < sizeof a; i++) {
        seen[a[i]]++;
    }
    for (size_t i = 0; i < 256; i++) {
        assert_true(seen[i] > 200 && seen[i] < 600);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times),
        cmocka_unit_test(the_room_is_checked),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(the_calendar_is_the_c_librarys),
        cmocka_unit_test(the_systems_clocks_run),
        cmocka_unit_test(the_systems_randomness_fills_all),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
