/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 (Aumasson and Bernstein, 2012): a short keyed hash, so that nobody can choose what falls into one set. */
#ifndef MOTE_SECURITY_SIPHASH_H
#define MOTE_SECURITY_SIPHASH_H

#include <stdint.h>

#include "base/slice.h"

struct mote_siphash_key {
    uint64_t low;
    uint64_t high;
};

struct mote_siphash_key mote_siphash_key_read(const uint8_t bytes[16]);
uint64_t mote_siphash(struct mote_siphash_key key, struct mote_slice data);

#endif
