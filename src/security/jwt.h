/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tokens: JWT with HS256 and nothing else (RFC 7515, RFC 7519, RFC 8725, typ of RFC 9068). The header is exactly
 * the one mote issues; the MAC is checked before anything of the payload is parsed; claims are strict. docs/security.md
 * numbers what holds.
 */
#ifndef MOTE_SECURITY_JWT_H
#define MOTE_SECURITY_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/slice.h"

MOTE_C_BEGIN

#define MOTE_JWT_LENGTH_MAX 2048u
#define MOTE_JWT_KID_MAX    32u
#define MOTE_JWT_NAME_MAX   256u /* bytes of an issuer or an audience, so that every token fits */

enum mote_role_bit {
    MOTE_ROLE_BIT_USER = 1,
    MOTE_ROLE_BIT_SERVICE = 2,
    MOTE_ROLE_BIT_ADMIN = 4,
};

/* What a verified token says. Times in whole seconds since 1970. */
struct mote_identity {
    uint8_t user_id[16];
    uint8_t session_id[16];
    uint8_t token_id[16]; /* jti */
    int64_t issued_at;
    int64_t not_before;
    int64_t expires_at;
    uint32_t roles;                /* of enum mote_role_bit */
    uint64_t epoch;                /* the user's token epoch when it was issued */
    bool password_change_required; /* it was when the token was issued; false is not written */
};

struct mote_keyring; /* security/keyring.h */

/* 1 to MOTE_JWT_KID_MAX of [A-Za-z0-9_-]. */
bool mote_jwt_is_kid(struct mote_slice kid);

/* What verification holds a token against. `issuer` and `audience` are borrowed, UTF-8. */
struct mote_jwt_policy {
    const char *issuer;
    const char *audience;
    int64_t leeway;       /* seconds */
    int64_t lifetime_max; /* seconds: exp - iat */
};

/*
 * The whole pipeline, in this order: length, shape, alphabet, signature's length and canonical form, header, key by
 * kid, MAC (constant-time), payload, claims, time. MOTE_EAUTH for every defect; MOTE_EEXPIRED and MOTE_ENOTYET only for
 * a token that is proper in all but its time, *out is then filled in too; MOTE_ENOMEM. `now`: seconds since 1970. Any
 * thread; allocates only inside jansson.
 */
MOTE_MUST_CHECK int mote_jwt_verify(struct mote_identity *out, const struct mote_keyring *keyring,
                                    const struct mote_jwt_policy *policy, struct mote_slice token, int64_t now);

/*
 * Makes a token with the signing key. `out` takes MOTE_JWT_LENGTH_MAX bytes, no NUL is written. MOTE_EINVAL for an
 * identity or names that verification would refuse, MOTE_ELIMIT for a token over MOTE_JWT_LENGTH_MAX, MOTE_ENOMEM.
 */
MOTE_MUST_CHECK int mote_jwt_issue(char *out, size_t *length, const struct mote_keyring *keyring,
                                   const struct mote_jwt_policy *policy, const struct mote_identity *identity);

MOTE_C_END

#endif
