/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The claims of an access token as JSON (RFC 7519 §4). Reading takes a struct that only jwt.c makes, after the MAC
 * held: the JSON parser never sees bytes that anybody else wrote. All claims are required (but `pwd_change`, which is
 * true or absent) and each has one type; names may not occur twice, however they are spelt. Names that are not ours may
 * be there with a scalar value.
 */
#ifndef MOTE_SECURITY_CLAIMS_H
#define MOTE_SECURITY_CLAIMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "security/jwt.h"

#define MOTE_CLAIMS_MEMBERS_MAX  16u /* names of the object */
#define MOTE_CLAIMS_ELEMENTS_MAX 16u /* of an array */
#define MOTE_CLAIMS_DEPTH_MAX    2u  /* the object, and an array in it */

/* JSON whose MAC held. */
struct mote_claims_verified {
    struct mote_slice json;
};

/* MOTE_EAUTH for every defect, then MOTE_EEXPIRED, then MOTE_ENOTYET (*out is filled in for both), MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_claims_parse(struct mote_identity *out, const struct mote_jwt_policy *policy,
                                      struct mote_claims_verified verified, int64_t now);
/* Writes the JSON, no NUL. MOTE_EINVAL for an identity that mote_claims_parse would refuse, MOTE_ELIMIT over `size`. */
MOTE_MUST_CHECK int mote_claims_format(char *out, size_t size, size_t *length, const struct mote_jwt_policy *policy,
                                       const struct mote_identity *identity);

#endif
