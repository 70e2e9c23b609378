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
