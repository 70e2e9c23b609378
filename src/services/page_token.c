/* SPDX-License-Identifier: Apache-2.0 */
#include "services/page_token.h"

#include <string.h>

#include "base/text.h"
#include "security/secret.h"

#define VERSION      1u
#define DIGEST       32u
#define EXPIRY_BYTES 8u

/* MAC of `length` bytes at `raw`, bound to the scope. */
static int compute_mac(uint8_t out[DIGEST], const struct mote_keyring *keyring, const char *kid,
                       struct mote_slice scope, struct mote_slice raw)
{
    uint8_t input[DIGEST + MOTE_PAGE_TOKEN_RAW_MAX];
    mote_sha256(input, scope);
    memcpy(input + DIGEST, raw.data, raw.length);
    return mote_keyring_mac(keyring, kid, MOTE_KEY_PAGE_TOKEN, mote_slice(input, DIGEST + raw.length), out);
}

int mote_page_token_make(char *out, const struct mote_keyring *keyring, struct mote_slice scope,
                         struct mote_slice cursor, int64_t now)
{
    const char *kid = mote_keyring_signing_kid(keyring);
    size_t kid_length = strlen(kid);
    if (cursor.length > MOTE_PAGE_CURSOR_MAX || kid_length > MOTE_JWT_KID_MAX) {
        return MOTE_ELIMIT;
    }
    uint8_t raw[MOTE_PAGE_TOKEN_RAW_MAX];
    size_t length = 0;
    raw[length++] = VERSION;
    raw[length++] = (uint8_t)kid_length;
    memcpy(raw + length, kid, kid_length);
    length += kid_length;
    uint64_t expiry = (uint64_t)(now == MOTE_PAGE_TOKEN_NO_END ? now : now + MOTE_PAGE_TOKEN_LIFETIME);
    for (size_t i = 0; i < EXPIRY_BYTES; i++) {
        raw[length++] = (uint8_t)(expiry >> (8 * (EXPIRY_BYTES - 1 - i)));
    }
    if (cursor.length > 0) {
        memcpy(raw + length, cursor.data, cursor.length);
        length += cursor.length;
    }
    int result = compute_mac(raw + length, keyring, kid, scope, mote_slice(raw, length));
    if (result != 0) {
        return result;
    }
    length += DIGEST;
    mote_base64_encode(out, mote_slice(raw, length), MOTE_BASE64_URL_UNPADDED);
    out[mote_base64_encoded_length(length, MOTE_BASE64_URL_UNPADDED)] = '\0';
    return 0;
}

int mote_page_token_read(uint8_t *cursor, size_t *length, const struct mote_keyring *keyring, struct mote_slice scope,
                         struct mote_slice token, int64_t now)
{
    uint8_t raw[MOTE_PAGE_TOKEN_RAW_MAX + 3];
    size_t raw_length = 0;
    if (token.length > MOTE_PAGE_TOKEN_MAX ||
        mote_base64_decode(raw, &raw_length, token, MOTE_BASE64_URL_UNPADDED) != 0) {
        return MOTE_EAUTH;
    }
    if (raw_length < 2 + EXPIRY_BYTES + DIGEST || raw_length > MOTE_PAGE_TOKEN_RAW_MAX || raw[0] != VERSION ||
        raw[1] > MOTE_JWT_KID_MAX) {
        return MOTE_EAUTH;
    }
    size_t kid_length = raw[1];
    size_t body = 2 + kid_length + EXPIRY_BYTES;
    if (raw_length < body + DIGEST || raw_length - body - DIGEST > MOTE_PAGE_CURSOR_MAX) {
        return MOTE_EAUTH;
    }
    char kid[MOTE_JWT_KID_MAX + 1] = {0};
    memcpy(kid, raw + 2, kid_length);
    uint8_t mac[DIGEST];
    size_t signed_length = raw_length - DIGEST;
    if (compute_mac(mac, keyring, kid, scope, mote_slice(raw, signed_length)) != 0 ||
        !mote_secret_equals(mac, raw + signed_length, DIGEST)) {
        return MOTE_EAUTH;
    }
    uint64_t expiry = 0;
    for (size_t i = 0; i < EXPIRY_BYTES; i++) {
        expiry = expiry << 8 | raw[2 + kid_length + i];
    }
    if ((int64_t)expiry <= now) {
        return MOTE_EEXPIRED;
    }
    *length = signed_length - body;
    memcpy(cursor, raw + body, *length);
    return 0;
}
