/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed run of bytes. Not NUL-terminated. {NULL, 0} means absent; {non-NULL, 0} is empty. */
#ifndef MOTE_BASE_SLICE_H
#define MOTE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "linkage.h"

MOTE_C_BEGIN

struct mote_slice {
    const uint8_t *data;
    size_t length;
};

static inline struct mote_slice mote_slice(const void *data, size_t length)
{
    const struct mote_slice slice = {(const uint8_t *)data, length};
    return slice;
}

static inline struct mote_slice mote_slice_text(const char *text)
{
    return mote_slice(text, text != NULL ? strlen(text) : 0);
}

/* A slice of a string literal, usable in static tables. */
#define MOTE_SLICE_LITERAL(literal)                                                                                    \
    {                                                                                                                  \
        .data = (const uint8_t *)("" literal), .length = sizeof(literal) - 1                                           \
    }

static inline bool mote_slice_is_present(struct mote_slice slice)
{
    return slice.data != NULL;
}

/* Not constant-time: never for secrets. */
static inline bool mote_slice_equals(struct mote_slice a, struct mote_slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool mote_slice_equals_text(struct mote_slice slice, const char *text)
{
    return mote_slice_equals(slice, mote_slice_text(text));
}

static inline bool mote_slice_starts_with(struct mote_slice slice, struct mote_slice prefix)
{
    return slice.length >= prefix.length && (prefix.length == 0 || memcmp(slice.data, prefix.data, prefix.length) == 0);
}

/* ASCII letters compared without case. */
bool mote_slice_equals_ignore_case(struct mote_slice a, struct mote_slice b);

MOTE_C_END

#endif
