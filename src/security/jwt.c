/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compact serialisation (RFC 7515 §7.1) around the claims of claims.c. The header is compared, not parsed: it never
 * selects anything but one of our few keys. Everything before the MAC looks at single bytes only.
 */
#include "security/jwt.h"

#include <string.h>

#include "base/text.h"
#include "security/claims.h"
#include "security/keyring.h"
#include "security/secret.h"

#define MAC_LENGTH         32u
#define SIGNATURE_LENGTH   43u /* of a MAC in base64url */
#define HEADER_PREFIX      "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\""
#define HEADER_SUFFIX      "\"}"
#define HEADER_FIXED       (sizeof HEADER_PREFIX + sizeof HEADER_SUFFIX - 2)
#define HEADER_MAX         (HEADER_FIXED + MOTE_JWT_KID_MAX)
#define HEADER_ENCODED_MAX ((HEADER_MAX * 4 + 2) / 3)
#define PAYLOAD_MAX        (MOTE_JWT_LENGTH_MAX * 3 / 4)

struct parts {
    struct mote_slice header;
    struct mote_slice payload;
    struct mote_slice signature;
    struct mote_slice signing_input; /* header and payload with the dot between them */
};

static bool is_base64url(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '_';
}

bool mote_jwt_is_kid(struct mote_slice kid)
{
    for (size_t i = 0; i < kid.length; i++) {
        if (!is_base64url(kid.data[i])) {
            return false;
        }
    }
    return kid.length >= 1 && kid.length <= MOTE_JWT_KID_MAX;
}

/* Length, exactly two dots, none of the parts empty, nothing but the alphabet in them, a signature's length. */
static bool split(struct parts *out, struct mote_slice token)
{
    if (token.length > MOTE_JWT_LENGTH_MAX) {
        return false;
    }
    size_t dots[2] = {0, 0};
    size_t dot_count = 0;
    for (size_t i = 0; i < token.length; i++) {
        if (token.data[i] == '.') {
            if (dot_count == 2) {
                return false;
            }
            dots[dot_count++] = i;
        } else if (!is_base64url(token.data[i])) {
            return false;
        }
    }
    if (dot_count != 2 || dots[0] == 0 || dots[1] == dots[0] + 1 || token.length - dots[1] - 1 != SIGNATURE_LENGTH) {
        return false;
    }
    out->header = mote_slice(token.data, dots[0]);
    out->payload = mote_slice(token.data + dots[0] + 1, dots[1] - dots[0] - 1);
    out->signature = mote_slice(token.data + dots[1] + 1, SIGNATURE_LENGTH);
    out->signing_input = mote_slice(token.data, dots[1]);
    return true;
}

/* Writes the kid of a header that is exactly one that we issue. */
static bool read_header(char kid[MOTE_JWT_KID_MAX], size_t *kid_length, struct mote_slice encoded)
{
    uint8_t header[HEADER_MAX + 2];
    size_t length;
    if (encoded.length > HEADER_ENCODED_MAX ||
        mote_base64_decode(header, &length, encoded, MOTE_BASE64_URL_UNPADDED) != 0) {
        return false;
    }
    static const struct mote_slice begin = MOTE_SLICE_LITERAL(HEADER_PREFIX);
    static const struct mote_slice end = MOTE_SLICE_LITERAL(HEADER_SUFFIX);
    if (length <= HEADER_FIXED || !mote_slice_starts_with(mote_slice(header, length), begin) ||
        !mote_slice_equals(mote_slice(header + length - end.length, end.length),
                           end)) { /* public: every token has it */
        return false;
    }
    *kid_length = length - HEADER_FIXED;
    if (!mote_jwt_is_kid(mote_slice(header + begin.length, *kid_length))) {
        return false;
    }
    memcpy(kid, header + begin.length, *kid_length);
    return true;
}

static int check_mac(const struct mote_keyring *keyring, const struct parts *parts)
{
    uint8_t given[MAC_LENGTH + 1];
    size_t given_length;
    char kid[MOTE_JWT_KID_MAX];
    size_t kid_length;
    if (mote_base64_decode(given, &given_length, parts->signature, MOTE_BASE64_URL_UNPADDED) != 0 ||
        given_length != MAC_LENGTH || !read_header(kid, &kid_length, parts->header)) {
        return MOTE_EAUTH;
    }
    uint8_t computed[MAC_LENGTH];
    if (mote_keyring_sign(keyring, mote_slice(kid, kid_length), parts->signing_input, computed) != 0) {
        return MOTE_EAUTH;
    }
    const bool equal = mote_secret_equals(computed, given, MAC_LENGTH);
    mote_secret_wipe(computed, sizeof computed);
    return equal ? 0 : MOTE_EAUTH;
}

int mote_jwt_verify(struct mote_identity *out, const struct mote_keyring *keyring, const struct mote_jwt_policy *policy,
                    struct mote_slice token, int64_t now)
{
    struct parts parts;
    if (!split(&parts, token) || check_mac(keyring, &parts) != 0) {
        return MOTE_EAUTH;
    }
    uint8_t payload[PAYLOAD_MAX];
    size_t length;
    if (mote_base64_decode(payload, &length, parts.payload, MOTE_BASE64_URL_UNPADDED) != 0) {
        return MOTE_EAUTH;
    }
    const struct mote_claims_verified verified = {.json = mote_slice(payload, length)};
    return mote_claims_parse(out, policy, verified, now);
}

/* Appends base64url of `in`; the caller has made sure of the room. */
static size_t append_encoded(char *out, size_t length, struct mote_slice in)
{
    mote_base64_encode(out + length, in, MOTE_BASE64_URL_UNPADDED);
    return length + mote_base64_encoded_length(in.length, MOTE_BASE64_URL_UNPADDED);
}

int mote_jwt_issue(char *out, size_t *length, const struct mote_keyring *keyring, const struct mote_jwt_policy *policy,
                   const struct mote_identity *identity)
{
    const struct mote_slice kid = mote_slice_text(mote_keyring_signing_kid(keyring));
    char header[HEADER_MAX];
    memcpy(header, HEADER_PREFIX, sizeof HEADER_PREFIX - 1);
    memcpy(header + sizeof HEADER_PREFIX - 1, kid.data, kid.length);
    memcpy(header + sizeof HEADER_PREFIX - 1 + kid.length, HEADER_SUFFIX, sizeof HEADER_SUFFIX - 1);

    char payload[PAYLOAD_MAX];
    size_t payload_length;
    const int formatted = mote_claims_format(payload, sizeof payload, &payload_length, policy, identity);
    if (formatted != 0) {
        return formatted;
    }
    const struct mote_slice header_slice = mote_slice(header, HEADER_FIXED + kid.length);
    const struct mote_slice payload_slice = mote_slice(payload, payload_length);
    if (mote_base64_encoded_length(header_slice.length, MOTE_BASE64_URL_UNPADDED) +
            mote_base64_encoded_length(payload_length, MOTE_BASE64_URL_UNPADDED) + 2 + SIGNATURE_LENGTH >
        MOTE_JWT_LENGTH_MAX) {
        return MOTE_ELIMIT;
    }
    size_t end = append_encoded(out, 0, header_slice);
    out[end++] = '.';
    end = append_encoded(out, end, payload_slice);
    uint8_t mac[MAC_LENGTH];
    const int signed_result = mote_keyring_sign(keyring, kid, mote_slice(out, end), mac);
    if (signed_result != 0) {
        return signed_result;
    }
    out[end++] = '.';
    *length = append_encoded(out, end, mote_slice(mac, sizeof mac));
    mote_secret_wipe(mac, sizeof mac);
    return 0;
}
