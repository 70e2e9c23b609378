/* SPDX-License-Identifier: Apache-2.0 */
/* Values of options in text: numbers, sizes, durations, truth, one of some words. Pure functions. */
#ifndef MOTE_APP_OPTION_VALUE_H
#define MOTE_APP_OPTION_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

/* All: MOTE_EINVAL for text that is none of the kind, MOTE_ELIMIT for what does not fit into 64 bits. */

/* "100"; no sign, no leading zeros. */
MOTE_MUST_CHECK int mote_option_value_count(uint64_t *out, struct mote_slice text);
/* "4MiB", "64KiB", "1GiB", "512B", "512": bytes. */
MOTE_MUST_CHECK int mote_option_value_size(uint64_t *out, struct mote_slice text);
/* "500ms", "30s", "15m", "24h", "7d", "1h30m": nanoseconds. A bare number counts `bare_unit_ns`; with 0 only "0" may be
 * bare. */
MOTE_MUST_CHECK int mote_option_value_duration(uint64_t *out, struct mote_slice text, uint64_t bare_unit_ns);
/* true/false, yes/no, on/off, 1/0, in any case. */
MOTE_MUST_CHECK int mote_option_value_bool(bool *out, struct mote_slice text);
/* The index of `text` in "auto|on|off". */
MOTE_MUST_CHECK int mote_option_value_choice(unsigned *out, struct mote_slice text, const char *words);

/* The same backwards, for help and messages: "4MiB", "30s", exact. Return the length. */
#define MOTE_OPTION_VALUE_TEXT_MAX 32u
size_t mote_option_value_format_size(char out[MOTE_OPTION_VALUE_TEXT_MAX], uint64_t bytes);
size_t mote_option_value_format_duration(char out[MOTE_OPTION_VALUE_TEXT_MAX], uint64_t ns);

/* How many single characters must be added, removed or changed to make one of the other; without case. */
size_t mote_option_value_distance(const char *a, const char *b);

#endif
