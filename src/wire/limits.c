/* SPDX-License-Identifier: Apache-2.0 */
/* The table of limits.h as initial values and as data. */
#include "wire/limits.h"

void mote_limits_init(struct mote_limits *limits)
{
    *limits = (struct mote_limits){
#define X(field, value, unit, text) .field = (value),
        MOTE_LIMITS_MAP(X)
#undef X
    };
}

const struct mote_limit_description *mote_limits_describe(size_t index)
{
    static const struct mote_limit_description rows[] = {
#define X(field, value, unit, text) {#field, (value), #unit, text},
        MOTE_LIMITS_MAP(X)
#undef X
    };
    return index < sizeof rows / sizeof rows[0] ? &rows[index] : NULL;
}
