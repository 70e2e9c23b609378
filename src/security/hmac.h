/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HMAC-SHA-256 (RFC 2104) with the key's share of the work done once, and HKDF-SHA-256 (RFC 5869). A key is immutable
 * and may be used by any thread.
 */
#ifndef MOTE_SECURITY_HMAC_H
#define MOTE_SECURITY_HMAC_H

#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/slice.h"

struct mote_hmac;

/* Returns owned in *out; `key` is borrowed until the call ends. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_hmac_new(struct mote_hmac **out, struct mote_mem *mem, struct mote_slice key);
/* One more owner. Any thread; `hmac` is returned. */
struct mote_hmac *mote_hmac_ref(struct mote_hmac *hmac);
/* Of the last owner: wipes. Any thread. */
void mote_hmac_free(struct mote_hmac *hmac);
void mote_hmac_compute(const struct mote_hmac *hmac, struct mote_slice data, uint8_t out[32]);

/* The first 32 bytes of HKDF's output: a key derived from `secret` for the purpose that `info` names. */
void mote_hmac_derive(uint8_t out[32], struct mote_slice salt, struct mote_slice secret, struct mote_slice info);

/* PBKDF2 with HMAC-SHA-256 (RFC 8018 §5.2): the first block, which is all that a digest of 32 bytes needs. */
void mote_hmac_stretch(uint8_t out[32], struct mote_slice password, struct mote_slice salt, uint32_t iterations);

#endif
