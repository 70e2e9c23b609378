/* SPDX-License-Identifier: Apache-2.0 */
/* See option_value.h. */
#include "app/option_value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/text.h"

#define SECOND_NS ((uint64_t)MOTE_NS_PER_SECOND)

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"d", 86400 * SECOND_NS},
    {"h", 3600 * SECOND_NS},
    {"m", 60 * SECOND_NS},
    {"s", SECOND_NS},
    {"ms", MOTE_NS_PER_MS},
    {"us", 1000},
    {"ns", 1},
};

static const struct unit size_units[] = {
    {"GiB", 1024ull * 1024 * 1024},
    {"MiB", 1024ull * 1024},
    {"KiB", 1024},
    {"B", 1},
};

int mote_option_value_count(uint64_t *out, struct mote_slice text)
{
    int error = mote_decimal_parse(out, text, UINT64_MAX);
    return error == 0 || error == MOTE_ELIMIT ? error : MOTE_EINVAL;
}

/* Takes a number and its unit off the front of *text. Without a unit *factor is 0. */
static int take_number(struct mote_slice *text, const struct unit *units, size_t unit_count, uint64_t *number,
                       uint64_t *factor)
{
    size_t digits = 0;
    size_t letters = 0;
    while (digits < text->length && isdigit(text->data[digits])) {
        digits++;
    }
    while (digits + letters < text->length && isalpha(text->data[digits + letters])) {
        letters++;
    }
    int error = mote_option_value_count(number, mote_slice(text->data, digits));
    if (error != 0) {
        return error;
    }
    struct mote_slice name = mote_slice(text->data + digits, letters);
    *factor = 0;
    for (size_t i = 0; i < unit_count; i++) {
        if (mote_slice_equals_text(name, units[i].name)) {
            *factor = units[i].factor;
        }
    }
    *text = mote_slice(text->data + digits + letters, text->length - digits - letters);
    return letters > 0 && *factor == 0 ? MOTE_EINVAL : 0;
}

int mote_option_value_size(uint64_t *out, struct mote_slice text)
{
    uint64_t number, factor;
    int error = take_number(&text, size_units, sizeof size_units / sizeof size_units[0], &number, &factor);
    if (error != 0) {
        return error;
    }
    if (text.length > 0) {
        return MOTE_EINVAL;
    }
    return __builtin_mul_overflow(number, factor != 0 ? factor : 1, out) ? MOTE_ELIMIT : 0;
}

int mote_option_value_duration(uint64_t *out, struct mote_slice text, uint64_t bare_unit_ns)
{
    uint64_t total = 0;
    bool first = true;
    do {
        uint64_t number, factor, part;
        int error =
            take_number(&text, duration_units, sizeof duration_units / sizeof duration_units[0], &number, &factor);
        if (error != 0) {
            return error;
        }
        if (factor == 0) {
            if (!first || text.length > 0 || (bare_unit_ns == 0 && number != 0)) {
                return MOTE_EINVAL;
            }
            factor = bare_unit_ns;
        }
        if (__builtin_mul_overflow(number, factor, &part) || __builtin_add_overflow(total, part, &total)) {
            return MOTE_ELIMIT;
        }
        first = false;
    } while (text.length > 0);
    *out = total;
    return 0;
}

int mote_option_value_bool(bool *out, struct mote_slice text)
{
    static const char *const words[] = {"false", "no", "off", "0", "true", "yes", "on", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (mote_slice_equals_ignore_case(text, mote_slice_text(words[i]))) {
            *out = i >= sizeof words / sizeof words[0] / 2;
            return 0;
        }
    }
    return MOTE_EINVAL;
}

int mote_option_value_choice(unsigned *out, struct mote_slice text, const char *words)
{
    for (unsigned index = 0; *words != '\0'; index++) {
        size_t length = strcspn(words, "|");
        if (mote_slice_equals_ignore_case(text, mote_slice(words, length))) {
            *out = index;
            return 0;
        }
        words += length + (words[length] == '|');
    }
    return MOTE_EINVAL;
}

static size_t format(char *out, uint64_t number, const struct unit *units, size_t unit_count)
{
    const struct unit *unit = &units[unit_count - 1];
    for (size_t i = unit_count; i > 0; i--) {
        if (number != 0 && number % units[i - 1].factor == 0 && units[i - 1].factor > unit->factor) {
            unit = &units[i - 1];
        }
    }
    return (size_t)snprintf(out, MOTE_OPTION_VALUE_TEXT_MAX, "%" PRIu64 "%s", number / unit->factor, unit->name);
}

size_t mote_option_value_format_size(char out[MOTE_OPTION_VALUE_TEXT_MAX], uint64_t bytes)
{
    return format(out, bytes, size_units, sizeof size_units / sizeof size_units[0]);
}

size_t mote_option_value_format_duration(char out[MOTE_OPTION_VALUE_TEXT_MAX], uint64_t ns)
{
    if (ns == 0) {
        return (size_t)snprintf(out, MOTE_OPTION_VALUE_TEXT_MAX, "0s");
    }
    return format(out, ns, duration_units, sizeof duration_units / sizeof duration_units[0]);
}

/* Levenshtein's distance, one row at a time; names longer than a row count as far away. */
size_t mote_option_value_distance(const char *a, const char *b)
{
    size_t row[64];
    size_t width = strlen(b);
    if (width >= sizeof row / sizeof row[0]) {
        return width;
    }
    for (size_t i = 0; i <= width; i++) {
        row[i] = i;
    }
    for (size_t line = 1; *a != '\0'; a++, line++) {
        size_t diagonal = row[0];
        row[0] = line;
        for (size_t i = 1; i <= width; i++) {
            size_t above = row[i];
            bool same = tolower((unsigned char)*a) == tolower((unsigned char)b[i - 1]);
            size_t best = diagonal + (same ? 0 : 1);
            best = above + 1 < best ? above + 1 : best;
            best = row[i - 1] + 1 < best ? row[i - 1] + 1 : best;
            diagonal = above;
            row[i] = best;
        }
    }
    return row[width];
}
