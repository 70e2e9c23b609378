/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison without case. ASCII only, whatever the locale: HTTP's and gRPC's names are ASCII. */
#include "base/slice.h"

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

bool mote_slice_equals_ignore_case(struct mote_slice a, struct mote_slice b)
{
    if (a.length != b.length) {
        return false;
    }
    for (size_t i = 0; i < a.length; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}
