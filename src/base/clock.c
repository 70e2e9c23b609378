/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's clocks and randomness, and RFC 3339 text. The calendar is the proleptic Gregorian one. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"

#define SECONDS_PER_DAY 86400
#define DAYS_PER_ERA    146097 /* 400 years */
#define DAYS_TO_1970    719468 /* from 0000-03-01 */
#define YEAR_FIRST      1678u  /* those whose nanoseconds fit */
#define YEAR_LAST       2261u
#define FRACTION_DIGITS 9

static uint64_t system_monotonic_ns(void *context)
{
    struct timespec now;
    (void)context;
    const int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    mote_assert(!failed);
    return (uint64_t)now.tv_sec * MOTE_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static int64_t system_wall_ns(void *context)
{
    struct timespec now;
    (void)context;
    const int failed = clock_gettime(CLOCK_REALTIME, &now);
    mote_assert(!failed);
    return (int64_t)now.tv_sec * MOTE_NS_PER_SECOND + now.tv_nsec;
}

static int system_fill(void *context, void *out, size_t length)
{
    (void)context;
    uint8_t *bytes = out;
    while (length != 0) {
        const ssize_t filled = getrandom(bytes, length, 0);
        if (filled < 0 && errno == EINTR) {
            continue;
        }
        if (filled <= 0) {
            return MOTE_ERANDOM;
        }
        bytes += filled;
        length -= (size_t)filled;
    }
    return 0;
}

const struct mote_clock *mote_clock_system(void)
{
    static const struct mote_clock system_clock = {.monotonic_ns = system_monotonic_ns, .wall_ns = system_wall_ns};
    return &system_clock;
}

const struct mote_random *mote_random_system(void)
{
    static const struct mote_random system_random = {.fill = system_fill};
    return &system_random;
}

struct date {
    unsigned year;
    unsigned month;
    unsigned day;
};

/* Counts in years that begin in March, so that the leap day is a year's last. */
static struct date date_of(int64_t days_since_1970)
{
    const uint32_t days = (uint32_t)(days_since_1970 + DAYS_TO_1970);
    const uint32_t era = days / DAYS_PER_ERA;
    const uint32_t day_of_era = days % DAYS_PER_ERA;
    const uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const uint32_t march_month = (5 * day_of_year + 2) / 153;
    const uint32_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    return (struct date){
        .year = era * 400 + year_of_era + (month <= 2),
        .month = month,
        .day = day_of_year - (153 * march_month + 2) / 5 + 1,
    };
}

size_t mote_time_format(char *out, size_t size, int64_t wall_ns, unsigned digits)
{
    mote_assert(digits == 0 || digits == 3 || digits == 6 || digits == 9);
    int64_t seconds = wall_ns / MOTE_NS_PER_SECOND;
    int64_t fraction = wall_ns % MOTE_NS_PER_SECOND;
    if (fraction < 0) {
        fraction += MOTE_NS_PER_SECOND;
        seconds--;
    }
    int64_t days = seconds / SECONDS_PER_DAY;
    int64_t second_of_day = seconds % SECONDS_PER_DAY;
    if (second_of_day < 0) {
        second_of_day += SECONDS_PER_DAY;
        days--;
    }
    for (unsigned i = digits; i < 9; i++) {
        fraction /= 10;
    }
    const struct date date = date_of(days);
    const unsigned of_day = (unsigned)second_of_day;
    char text[64]; /* the compiler cannot know that the year has four digits */
    int length = snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02u", date.year, date.month, date.day,
                          of_day / 3600, of_day / 60 % 60, of_day % 60);
    if (digits != 0) {
        length += snprintf(text + length, sizeof text - (size_t)length, ".%0*u", (int)digits, (unsigned)fraction);
    }
    text[length++] = 'Z';
    if ((size_t)length >= size) {
        return 0;
    }
    memcpy(out, text, (size_t)length);
    out[length] = '\0';
    return (size_t)length;
}

/* `count` digits, and `behind` behind them (unless that is NUL). */
static bool take_number(const char **at, size_t count, char behind, unsigned *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9') {
            return false;
        }
        *out = *out * 10 + (unsigned)(**at - '0');
    }
    if (behind != '\0') {
        return *(*at)++ == behind;
    }
    return true;
}

/* Days from 1970-01-01; years are counted from March, as above. */
static int64_t days_of(unsigned year, unsigned month, unsigned day)
{
    int64_t from_march = month > 2 ? year : (int64_t)year - 1;
    int64_t months = month > 2 ? month - 3 : month + 9;
    return from_march * 365 + from_march / 4 - from_march / 100 + from_march / 400 + (months * 153 + 2) / 5 + day - 1 -
           DAYS_TO_1970;
}

static bool is_date(unsigned year, unsigned month, unsigned day)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (month == 2 && is_leap ? 1u : 0u);
}

/* ".5", with at least one digit and at most nine; nothing is no fraction. */
static bool take_fraction(const char **at, int64_t *nanoseconds)
{
    *nanoseconds = 0;
    if (**at != '.') {
        return true;
    }
    (*at)++;
    int digits = 0;
    for (; **at >= '0' && **at <= '9' && digits < FRACTION_DIGITS; digits++, (*at)++) {
        *nanoseconds = *nanoseconds * 10 + (**at - '0');
    }
    for (int i = digits; i < FRACTION_DIGITS; i++) {
        *nanoseconds *= 10;
    }
    return digits > 0;
}

/* "Z" or "+02:00" */
static bool take_zone(const char **at, int64_t *seconds)
{
    char sign = *(*at)++;
    unsigned hours = 0;
    unsigned minutes = 0;
    *seconds = 0;
    if (sign == 'Z' || sign == 'z') {
        return true;
    }
    if ((sign != '+' && sign != '-') || !take_number(at, 2, ':', &hours) || !take_number(at, 2, '\0', &minutes) ||
        hours > 23 || minutes > 59) {
        return false;
    }
    *seconds = (int64_t)(hours * 3600 + minutes * 60) * (sign == '+' ? 1 : -1);
    return true;
}

bool mote_time_parse(int64_t *wall_ns, const char *text)
{
    unsigned year;
    unsigned month;
    unsigned day;
    unsigned hour;
    unsigned minute;
    unsigned second;
    int64_t nanoseconds;
    int64_t zone;
    if (!take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) ||
        !take_number(&text, 2, '\0', &day) || (*text != 'T' && *text != 't')) {
        return false;
    }
    text++;
    if (!take_number(&text, 2, ':', &hour) || !take_number(&text, 2, ':', &minute) ||
        !take_number(&text, 2, '\0', &second) || !take_fraction(&text, &nanoseconds) || !take_zone(&text, &zone) ||
        *text != '\0' || !is_date(year, month, day) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    if (year < YEAR_FIRST || year > YEAR_LAST) {
        *wall_ns = year < YEAR_FIRST ? INT64_MIN + 1 : INT64_MAX - 1;
        return true;
    }
    int64_t seconds = days_of(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - zone;
    *wall_ns = seconds * (int64_t)MOTE_NS_PER_SECOND + nanoseconds;
    return true;
}
