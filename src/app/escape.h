/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that somebody else chose, made harmless for terminals, logs and JSON: control characters and characters that
 * turn the direction of text become \uXXXX, bytes that are no UTF-8 become U+FFFD, and on request quotes and
 * backslashes are escaped, which makes it the inside of a JSON string.
 */
#ifndef MOTE_APP_ESCAPE_H
#define MOTE_APP_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

#define MOTE_ESCAPE_MAX 8u /* bytes that one character becomes, with room for a NUL */

/* Takes the first character off `*text`, which is not empty, and writes what stands for it, without a NUL. The length
 * written. */
size_t mote_escape_next(char out[MOTE_ESCAPE_MAX], struct mote_slice *text, bool quotes);

#endif
