/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verified access tokens, remembered: an HMAC over a token costs more than the whole call around it. One cache a
 * worker, bounded. Look-up is by a keyed hash (the key is random for each start), the comparison is constant-time over
 * the whole token. Only tokens that passed the whole pipeline are entered; an entry is not found any more at its
 * expiry. The caller checks revocation and epoch on each hit, and clears the cache when the keys change.
 */
#ifndef MOTE_SECURITY_TOKEN_CACHE_H
#define MOTE_SECURITY_TOKEN_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/slice.h"
#include "security/jwt.h"

#define MOTE_TOKEN_CACHE_ENTRIES 512u /* a worker's; the oldest of its set goes first */

struct mote_token_cache;

MOTE_MUST_CHECK int mote_token_cache_new(struct mote_token_cache **out, struct mote_mem *mem,
                                         const struct mote_random *random);
/* Wipes. */
void mote_token_cache_free(struct mote_token_cache *cache);
/* NULL when unknown or expired (`now` in seconds, with the leeway already subtracted). Valid until the next change. */
const struct mote_identity *mote_token_cache_find(struct mote_token_cache *cache, struct mote_slice token, int64_t now);
/* An empty token or one longer than MOTE_JWT_LENGTH_MAX is not entered; one entered again gets the new identity.
 * Failure to allocate only means that it is not remembered. */
void mote_token_cache_add(struct mote_token_cache *cache, struct mote_slice token,
                          const struct mote_identity *identity);
void mote_token_cache_clear(struct mote_token_cache *cache);

#endif
