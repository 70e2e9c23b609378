/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each key is kept as HMAC states only: of the secret itself, and of one derived key a purpose. The secret's text is
 * not kept. With at most four keys a look-up is a walk.
 */
#include "security/keyring.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "security/hmac.h"
#include "security/secret.h"
#include "security/secret_text.h"

#define KID_BYTES    4u
#define KID_LENGTH   (2 * KID_BYTES)
#define KID_LABEL    "mote kid v1"
#define PURPOSE_LAST MOTE_KEY_CACHE_LOOKUP

struct key {
    char kid[MOTE_JWT_KID_MAX + 1];
    struct mote_hmac *token;
    struct mote_hmac *purposes[PURPOSE_LAST + 1];
};

struct mote_keyring {
    struct mote_mem *mem;
    size_t count;
    struct key keys[MOTE_KEYRING_KEYS_MAX];
};

static const char *purpose_label(enum mote_key_purpose purpose)
{
    const char *label = NULL;
    switch (purpose) {
    case MOTE_KEY_PAGE_TOKEN:
        label = "mote page token v1";
        break;
    case MOTE_KEY_REFRESH_SUCCESSOR:
        label = "mote refresh successor v1";
        break;
    case MOTE_KEY_CACHE_LOOKUP:
        label = "mote cache lookup v1";
        break;
    }
    return label;
}

static const struct key *find_key(const struct mote_keyring *keyring, struct mote_slice kid)
{
    for (size_t i = 0; i < keyring->count; i++) {
        if (mote_slice_equals_text(kid, keyring->keys[i].kid)) {
            return &keyring->keys[i];
        }
    }
    return NULL;
}

static void dispose_key(struct key *key)
{
    mote_hmac_free(key->token);
    for (size_t i = 0; i <= PURPOSE_LAST; i++) {
        mote_hmac_free(key->purposes[i]);
    }
}

static int init_purposes(struct key *key, struct mote_mem *mem, struct mote_slice bytes)
{
    int result = 0;
    uint8_t derived[32];
    for (int purpose = 0; purpose <= (int)PURPOSE_LAST && result == 0; purpose++) {
        mote_hmac_derive(derived, mote_slice(NULL, 0), bytes,
                         mote_slice_text(purpose_label((enum mote_key_purpose)purpose)));
        result = mote_hmac_new(&key->purposes[purpose], mem, mote_slice(derived, sizeof derived));
    }
    mote_secret_wipe(derived, sizeof derived);
    return result;
}

/* A key that failed half-way is disposed of with the keyring. */
static int add_key(struct mote_keyring *keyring, struct mote_slice bytes)
{
    struct key *key = &keyring->keys[keyring->count];
    uint8_t derived[32];
    mote_hmac_derive(derived, mote_slice(NULL, 0), bytes, mote_slice_text(KID_LABEL));
    mote_hex_encode(key->kid, mote_slice(derived, KID_BYTES));
    mote_secret_wipe(derived, sizeof derived);
    if (find_key(keyring, mote_slice(key->kid, KID_LENGTH)) != NULL) {
        return MOTE_EINVAL;
    }
    keyring->count++;
    const int result = mote_hmac_new(&key->token, keyring->mem, bytes);
    return result == 0 ? init_purposes(key, keyring->mem, bytes) : result;
}

static int add_secret(struct mote_keyring *keyring, struct mote_slice secret)
{
    if (mote_secret_weakness(secret) != NULL) {
        return MOTE_EINVAL;
    }
    uint8_t bytes[MOTE_SECRET_TEXT_ROOM];
    size_t length;
    int result = mote_secret_text_decode(bytes, &length, secret);
    if (result == 0) {
        result = add_key(keyring, mote_slice(bytes, length));
    }
    mote_secret_wipe(bytes, sizeof bytes);
    return result;
}

int mote_keyring_new(struct mote_keyring **out, struct mote_mem *mem, struct mote_slice secret)
{
    return mote_keyring_new_list(out, mem, &secret, 1);
}

int mote_keyring_new_list(struct mote_keyring **out, struct mote_mem *mem, const struct mote_slice *secrets,
                          size_t count)
{
    if (count == 0 || count > MOTE_KEYRING_KEYS_MAX) {
        return MOTE_EINVAL;
    }
    struct mote_keyring *keyring = mote_mem_allocate_zeroed(mem, sizeof *keyring);
    if (keyring == NULL) {
        return MOTE_ENOMEM;
    }
    keyring->mem = mem;
    for (size_t i = 0; i < count; i++) {
        const int result = add_secret(keyring, secrets[i]);
        if (result != 0) {
            mote_keyring_free(keyring);
            return result;
        }
    }
    *out = keyring;
    return 0;
}

void mote_keyring_free(struct mote_keyring *keyring)
{
    if (keyring == NULL) {
        return;
    }
    for (size_t i = 0; i < keyring->count; i++) {
        dispose_key(&keyring->keys[i]);
    }
    mote_mem_release(keyring->mem, keyring);
}

const char *mote_keyring_signing_kid(const struct mote_keyring *keyring)
{
    return keyring->keys[0].kid;
}

int mote_keyring_mac(const struct mote_keyring *keyring, const char *kid, enum mote_key_purpose purpose,
                     struct mote_slice data, uint8_t out[32])
{
    const struct key *key = kid == NULL ? &keyring->keys[0] : find_key(keyring, mote_slice_text(kid));
    if (key == NULL) {
        return MOTE_ENOTFOUND;
    }
    mote_hmac_compute(key->purposes[purpose], data, out);
    return 0;
}

int mote_keyring_sign(const struct mote_keyring *keyring, struct mote_slice kid, struct mote_slice data,
                      uint8_t out[32])
{
    const struct key *key = find_key(keyring, kid);
    if (key == NULL) {
        return MOTE_ENOTFOUND;
    }
    mote_hmac_compute(key->token, data, out);
    return 0;
}
