/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Timeout production of PROTOCOL-HTTP2: 1*8DIGIT followed by a unit. Strict on what comes in: no sign, no space, no
 * fraction, units in their one case. Eight digits of hours do not fit in 63 bits of nanoseconds; such values, which
 * clients use for "never", are clamped instead of refused.
 */
#include "wire/timeout.h"

#include <stddef.h>

#define DIGITS_MAX 8u
#define VALUE_MAX  99999999u

/* From the finest to the coarsest: the order in which the formatter tries them. */
static const struct unit {
    char letter;
    uint64_t ns;
} units[] = {
    {'n', 1}, {'u', 1000}, {'m', 1000000}, {'S', 1000000000}, {'M', 60000000000}, {'H', 3600000000000},
};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

/* Nanoseconds of a unit, 0 for a letter that is none. */
static uint64_t unit_ns(uint8_t letter)
{
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if ((uint8_t)units[i].letter == letter) {
            return units[i].ns;
        }
    }
    return 0;
}

int mote_timeout_parse(uint64_t *out_ns, struct mote_slice text)
{
    if (text.length < 2 || text.length > DIGITS_MAX + 1) {
        return MOTE_EDECODE;
    }
    const size_t digits = text.length - 1;
    uint64_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        const unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9) {
            return MOTE_EDECODE;
        }
        value = value * 10 + digit;
    }
    const uint64_t ns = unit_ns(text.data[digits]);
    if (ns == 0) {
        return MOTE_EDECODE;
    }
    *out_ns = value > INT64_MAX / ns ? INT64_MAX : value * ns;
    return 0;
}

size_t mote_timeout_format(char *out, uint64_t timeout_ns)
{
    uint64_t value = timeout_ns;
    size_t unit = 0;
    while (value > VALUE_MAX) { /* ends: UINT64_MAX is about five million hours */
        unit++;
        value = timeout_ns / units[unit].ns + (timeout_ns % units[unit].ns != 0);
    }
    char reversed[DIGITS_MAX];
    size_t digits = 0;
    do {
        reversed[digits++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < digits; i++) {
        out[i] = reversed[digits - 1 - i];
    }
    out[digits] = units[unit].letter;
    return digits + 1;
}
