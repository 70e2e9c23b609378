/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signing keys and what is derived from them. The first key signs, the others only verify. JWT_SECRET itself signs
 * tokens; every other purpose has a key of its own, derived by HKDF-SHA-256 (RFC 5869) with a label.
 *
 * A keyring is immutable once it is published (keyring_slot.h), and lives until its last owner gives it up. When keys
 * are rotated, a key that was signing and is not in the new set retires: it goes on verifying for a while.
 */
#ifndef MOTE_SECURITY_KEYRING_H
#define MOTE_SECURITY_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/slice.h"
#include "security/jwt.h"

#define MOTE_KEYRING_KEYS_MAX     4u /* given */
#define MOTE_KEYRING_RETIRING_MAX 4u /* besides them; of more, those that would end first end at once */
#define MOTE_SECRET_MIN           32u
#define MOTE_SECRET_MAX           1024u
#define MOTE_KEYRING_NEVER        UINT64_MAX

struct mote_keyring;

/* What a derived key is for; each has its own HKDF label. */
enum mote_key_purpose {
    MOTE_KEY_PAGE_TOKEN,
    MOTE_KEY_REFRESH_SUCCESSOR,
    MOTE_KEY_CACHE_LOOKUP,
    MOTE_KEY_REQUEST_DIGEST,
};

/* Bytes of a secret, its `base64:` prefix decoded; 0 when that is not base64. Of one that is too long: those of the
 * text. */
size_t mote_secret_length(struct mote_slice secret);
/*
 * Why a secret is refused: static text, NULL when it is fine. Checks: length after decoding a `base64:` prefix, a
 * sequence or a repetition, placeholders, one ASCII word. A caller that says how short it is takes the length from
 * mote_secret_length.
 */
const char *mote_secret_weakness(struct mote_slice secret);

/* One key; `secret` as configured (a `base64:` prefix is decoded). Its kid is the first 8 hex digits of an HKDF output.
 * MOTE_EINVAL for a weak one. Copies into memory that is wiped on free. */
MOTE_MUST_CHECK int mote_keyring_new(struct mote_keyring **out, struct mote_mem *mem, struct mote_slice secret);
/* The same with 1 to MOTE_KEYRING_KEYS_MAX secrets, of which the first signs; MOTE_EINVAL also for one given twice. */
MOTE_MUST_CHECK int mote_keyring_new_list(struct mote_keyring **out, struct mote_mem *mem,
                                          const struct mote_slice *secrets, size_t count);

/* What is wrong with the text of a key file. */
struct mote_keyring_problem {
    size_t line;      /* from 1; 0: of the whole */
    const char *text; /* static; no secret */
    bool is_weak;     /* that of mote_secret_weakness, of a secret of `length` bytes */
    size_t length;
};

/*
 * The text of a key file: a key a line, the first signs. A line is a secret as above, or `kid:secret` with a kid of 1
 * to 32 of [A-Za-z0-9_-] (not `base64`). Empty lines and those that begin with `#` are skipped; a line may end in CR
 * LF. MOTE_EINVAL with *problem; MOTE_ENOMEM.
 */
MOTE_MUST_CHECK int mote_keyring_read(struct mote_keyring **out, struct mote_mem *mem, struct mote_slice text,
                                      struct mote_keyring_problem *problem);

/* Before `keyring` is published in the place of `before`: takes over from it the key that signs, which retires at
 * `until`, and those that are retiring, unless their kid is in `keyring` already. */
void mote_keyring_take_over(struct mote_keyring *keyring, const struct mote_keyring *before, uint64_t until);
/* When the next key retires; MOTE_KEYRING_NEVER: none does. */
uint64_t mote_keyring_next_end(const struct mote_keyring *keyring);
/* The same keyring without those that retire up to `now`. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_keyring_without_retired(struct mote_keyring **out, const struct mote_keyring *keyring,
                                                 uint64_t now);

/* One more owner; `keyring` is returned. Any thread. */
struct mote_keyring *mote_keyring_ref(struct mote_keyring *keyring);
/* Gives one up; the last wipes. Any thread. */
void mote_keyring_free(struct mote_keyring *keyring);
/* The kid of a key, in order, those that retire last; NULL past the end. NUL-terminated, valid until free. */
const char *mote_keyring_kid(const struct mote_keyring *keyring, size_t index);
/* The kid of the signing key; NUL-terminated, valid until free. */
const char *mote_keyring_signing_kid(const struct mote_keyring *keyring);
/* HMAC-SHA-256 with the key for this purpose derived from key `kid` (NULL: the signing key). MOTE_ENOTFOUND for an
 * unknown kid. */
MOTE_MUST_CHECK int mote_keyring_mac(const struct mote_keyring *keyring, const char *kid, enum mote_key_purpose purpose,
                                     struct mote_slice data, uint8_t out[32]);
/* HMAC-SHA-256 under the key itself, for JWT. MOTE_ENOTFOUND for an unknown kid. */
MOTE_MUST_CHECK int mote_keyring_sign(const struct mote_keyring *keyring, struct mote_slice kid, struct mote_slice data,
                                      uint8_t out[32]);

#endif
