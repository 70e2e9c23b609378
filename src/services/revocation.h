/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has ended access tokens before their time, in memory: revoked sessions and tokens, and the epochs below which a
 * user's tokens are over, or no longer held up by a password that had to be changed. One set a worker, fed from the
 * store's changes; while nothing was committed a check costs one atomic load and two look-ups. An entry goes when the
 * last token it can concern has expired.
 *
 * Invariant: it errs on the safe side. When an entry cannot be kept (memory, MOTE_REVOCATION_MAX), every token issued
 * up to then counts as stale, and its holder refreshes; when the store cannot be read, checks fail.
 */
#ifndef MOTE_SERVICES_REVOCATION_H
#define MOTE_SERVICES_REVOCATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "security/jwt.h"
#include "store/store.h"

/* Entries of a worker. Each costs whoever wants to fill it a login, whose password hash takes tens of milliseconds: a
 * quarter of this is what one hash thread allows in the life of an access token. A login may then revoke 32 tokens. */
#define MOTE_REVOCATION_MAX 65536u

/* A session (all its tokens: `revoked_below` is UINT64_MAX), a user or a token. Ids are random, so they never meet. */
struct mote_revocation_entry {
    uint8_t id[16];
    uint64_t revoked_below;  /* a token with an epoch below it: its session is revoked */
    uint64_t stale_below;    /* a token with an epoch below it: refresh it */
    uint64_t unlocked_below; /* a token with an epoch below it: the password has been changed as required */
    int64_t until;           /* seconds since 1970; 0: a free slot */
};

struct mote_revocation {
    struct mote_mem *mem;
    struct mote_store *store;
    struct mote_store_session *session;
    int64_t keep;      /* seconds: life of an access token and the leeway */
    uint64_t position; /* commits up to here are in */
    bool loaded;
    struct mote_revocation_entry *slots; /* open addressing, a power of two, at most 3/4 full */
    size_t capacity;
    size_t count;
    int64_t full_at;     /* when it was last found full: it is not searched for room twice a second */
    int64_t stale_until; /* tokens issued at or before it are stale: something could not be kept */
};

/* `store` and `session` are borrowed until dispose. Loads what is in force at `now` (seconds). */
MOTE_MUST_CHECK int mote_revocation_init(struct mote_revocation *set, struct mote_mem *mem, struct mote_store *store,
                                         struct mote_store_session *session, int64_t keep, int64_t now);
/* Works on a zeroed struct. */
void mote_revocation_dispose(struct mote_revocation *set);

enum mote_revocation_verdict {
    MOTE_REVOCATION_NONE,
    MOTE_REVOCATION_REVOKED,       /* its session, or its user */
    MOTE_REVOCATION_TOKEN_REVOKED, /* it alone */
    MOTE_REVOCATION_STALE,
    MOTE_REVOCATION_LOCKED, /* good, for whoever must change their password first */
};

/* Catches up with the store, then judges the token. Errors are the store's; then nothing is known of the token. */
MOTE_MUST_CHECK int mote_revocation_check(struct mote_revocation *set, const struct mote_identity *identity,
                                          int64_t now, enum mote_revocation_verdict *verdict);
/* Takes one change in, as the store hands them out. */
void mote_revocation_apply(struct mote_revocation *set, const struct mote_store_change *change, int64_t now);

#endif
