/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and randomness as interfaces, so that tests run on virtual time and known bytes. Layers below `net`
 * get monotonic time as an argument and use these only where wall time or random bytes are the point (tokens,
 * records). Implementations are safe from any thread.
 */
#ifndef MOTE_BASE_CLOCK_H
#define MOTE_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "linkage.h"

MOTE_C_BEGIN

#define MOTE_NS_PER_SECOND 1000000000u
#define MOTE_NS_PER_MS     1000000u

struct mote_clock {
    uint64_t (*monotonic_ns)(void *context);
    int64_t (*wall_ns)(void *context); /* since 1970-01-01T00:00:00Z, without leap seconds */
    void *context;
};

struct mote_random {
    /* Fills `length` bytes or fails with MOTE_ERANDOM. */
    int (*fill)(void *context, void *out, size_t length);
    void *context;
};

/* CLOCK_MONOTONIC and CLOCK_REALTIME; getrandom(2). Borrowed for ever. */
const struct mote_clock *mote_clock_system(void);
const struct mote_random *mote_random_system(void);

/* "2026-01-31T23:59:59.000123Z": `digits` of the fraction 0, 3, 6 or 9, cut off, not rounded; returns the length
 * written without the NUL, 0 if `size` is too small. Every wall_ns has a year of four digits (1677 to 2262). */
#define MOTE_TIME_TEXT_SIZE 31u /* of the longest, with the NUL */
size_t mote_time_format(char *out, size_t size, int64_t wall_ns, unsigned digits);
/* RFC 3339 §5.6, with any offset and at most nine digits of a fraction; false for anything else. A leap second is the
 * first of the next minute. Before 1678 is INT64_MIN + 1, behind 2261 INT64_MAX - 1: beyond every time we make. */
bool mote_time_parse(int64_t *wall_ns, const char *text);

MOTE_C_END

#endif
