/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each key is kept as HMAC states only: of the secret itself, and of one derived key a purpose. The secret's text is
 * not kept. With a handful of keys a look-up is a walk. Keyrings share the states of a key that they have in common.
 */
#include "security/keyring.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "security/hmac.h"
#include "security/secret.h"
#include "security/secret_text.h"

#define KID_BYTES    4u
#define KID_LABEL    "mote kid v1"
#define PURPOSE_LAST MOTE_KEY_REQUEST_DIGEST

#define STATES (PURPOSE_LAST + 2) /* one a purpose, and that of the secret itself */
#define ROOM   (MOTE_KEYRING_KEYS_MAX + MOTE_KEYRING_RETIRING_MAX)

struct key {
    char kid[MOTE_JWT_KID_MAX + 1];
    uint64_t until;
    struct mote_hmac *states[STATES]; /* of the purposes, then of the secret */
};

struct mote_keyring {
    struct mote_mem *mem;
    atomic_uint owners;
    size_t count;
    struct key keys[ROOM];
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
    case MOTE_KEY_REQUEST_DIGEST:
        label = "mote request digest v1";
        break;
    }
    return label;
}

static const struct key *find_key(const struct mote_keyring *keyring, struct mote_slice kid)
{
    for (size_t i = 0; i < keyring->count; i++) {
        if (mote_slice_equals_text(kid, keyring->keys[i].kid)) { /* public: kids */
            return &keyring->keys[i];
        }
    }
    return NULL;
}

static void dispose_key(struct key *key)
{
    for (size_t i = 0; i < STATES; i++) {
        mote_hmac_free(key->states[i]);
    }
}

static int init_states(struct key *key, struct mote_mem *mem, struct mote_slice bytes)
{
    int result = mote_hmac_new(&key->states[STATES - 1], mem, bytes);
    uint8_t derived[32];
    for (int purpose = 0; purpose <= (int)PURPOSE_LAST && result == 0; purpose++) {
        mote_hmac_derive(derived, mote_slice(NULL, 0), bytes,
                         mote_slice_text(purpose_label((enum mote_key_purpose)purpose)));
        result = mote_hmac_new(&key->states[purpose], mem, mote_slice(derived, sizeof derived));
    }
    mote_secret_wipe(derived, sizeof derived);
    return result;
}

/* A key that failed half-way is disposed of with the keyring. MOTE_EEXISTS: a kid or a secret that is there. */
static int add_key(struct mote_keyring *keyring, struct mote_slice kid, struct mote_slice bytes)
{
    struct key *key = &keyring->keys[keyring->count];
    uint8_t derived[32];
    if (keyring->count == MOTE_KEYRING_KEYS_MAX) {
        return MOTE_ELIMIT;
    }
    *key = (struct key){.until = MOTE_KEYRING_NEVER};
    mote_hmac_derive(derived, mote_slice(NULL, 0), bytes, mote_slice_text(KID_LABEL));
    mote_hex_encode(key->kid, mote_slice(derived, KID_BYTES));
    mote_secret_wipe(derived, sizeof derived);
    if (kid.length > 0) {
        memset(key->kid, 0, sizeof key->kid);
        memcpy(key->kid, kid.data, kid.length);
    }
    if (find_key(keyring, mote_slice_text(key->kid)) != NULL) {
        return MOTE_EEXISTS;
    }
    keyring->count++;
    return init_states(key, keyring->mem, bytes);
}

static int add_secret(struct mote_keyring *keyring, struct mote_slice kid, struct mote_slice secret,
                      const char **weakness)
{
    *weakness = mote_secret_weakness(secret);
    if (*weakness != NULL) {
        return MOTE_EINVAL;
    }
    uint8_t bytes[MOTE_SECRET_TEXT_ROOM];
    size_t length;
    int result = mote_secret_text_decode(bytes, &length, secret);
    if (result == 0) {
        result = add_key(keyring, kid, mote_slice(bytes, length));
    }
    mote_secret_wipe(bytes, sizeof bytes);
    return result;
}

static struct mote_keyring *allocate(struct mote_mem *mem)
{
    struct mote_keyring *keyring = mote_mem_allocate_zeroed(mem, sizeof *keyring);
    if (keyring != NULL) {
        keyring->mem = mem;
        atomic_init(&keyring->owners, 1);
    }
    return keyring;
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
    struct mote_keyring *keyring = allocate(mem);
    if (keyring == NULL) {
        return MOTE_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const char *weakness;
        const int result = add_secret(keyring, mote_slice(NULL, 0), secrets[i], &weakness);
        if (result != 0) {
            mote_keyring_free(keyring);
            return result == MOTE_EEXISTS ? MOTE_EINVAL : result;
        }
    }
    *out = keyring;
    return 0;
}

/* --- key files --------------------------------------------------------------------------------------------------- */

/* Takes the next line off the text. */
static struct mote_slice next_line(struct mote_slice *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->length);
    struct mote_slice line = mote_slice(text->data, end != NULL ? (size_t)(end - text->data) : text->length);
    const size_t taken = line.length + (end != NULL ? 1 : 0);
    *text = mote_slice(text->data + taken, text->length - taken);
    line.length -= line.length > 0 && line.data[line.length - 1] == '\r' ? 1 : 0;
    return line;
}

/* Takes `kid:` off the line; an empty kid where there is none. */
static struct mote_slice split_kid(struct mote_slice *line)
{
    size_t length = 0;
    while (length < line->length && mote_jwt_is_kid(mote_slice(line->data, length + 1))) {
        length++;
    }
    const struct mote_slice kid = mote_slice(line->data, length);
    if (length == 0 || length == line->length || line->data[length] != ':' ||
        mote_slice_equals_text(kid, "base64")) { /* public: a prefix */
        return mote_slice(NULL, 0);
    }
    *line = mote_slice(line->data + length + 1, line->length - length - 1);
    return kid;
}

static int read_lines(struct mote_keyring *keyring, struct mote_slice text, struct mote_keyring_problem *problem)
{
    *problem = (struct mote_keyring_problem){.line = 0};
    while (text.length > 0) {
        struct mote_slice line = next_line(&text);
        problem->line++;
        if (line.length == 0 || line.data[0] == '#') {
            continue;
        }
        const struct mote_slice kid = split_kid(&line);
        const int result = add_secret(keyring, kid, line, &problem->text);
        problem->is_weak = problem->text != NULL;
        problem->length = problem->is_weak ? mote_secret_length(line) : 0;
        if (result == MOTE_ELIMIT) {
            problem->text = "too many keys: at most 4";
        } else if (result == MOTE_EEXISTS) {
            problem->text = "a key or a kid that is there already";
        }
        if (result != 0) {
            return result == MOTE_ENOMEM ? result : MOTE_EINVAL;
        }
    }
    *problem = (struct mote_keyring_problem){.text = "there is no key in it"};
    return keyring->count > 0 ? 0 : MOTE_EINVAL;
}

int mote_keyring_read(struct mote_keyring **out, struct mote_mem *mem, struct mote_slice text,
                      struct mote_keyring_problem *problem)
{
    struct mote_keyring *keyring = allocate(mem);
    if (keyring == NULL) {
        return MOTE_ENOMEM;
    }
    const int result = read_lines(keyring, text, problem);
    if (result != 0) {
        mote_keyring_free(keyring);
        return result;
    }
    *out = keyring;
    return 0;
}

/* --- rotation ---------------------------------------------------------------------------------------------------- */

static void share_key(struct mote_keyring *keyring, size_t at, const struct key *key)
{
    keyring->keys[at] = *key;
    for (size_t i = 0; i < STATES; i++) {
        (void)mote_hmac_ref(key->states[i]);
    }
}

/* Where one more that retires at `until` goes: to the end or, when there is no room, in the place of the one that
 * retires first; ROOM: that would be itself. */
static size_t place_of(struct mote_keyring *keyring, uint64_t until)
{
    size_t given = 0;
    size_t first = ROOM;
    for (size_t i = 0; i < keyring->count; i++) {
        if (keyring->keys[i].until == MOTE_KEYRING_NEVER) {
            given++;
        } else if (keyring->keys[i].until < until &&
                   (first == ROOM || keyring->keys[i].until < keyring->keys[first].until)) {
            first = i;
        }
    }
    if (keyring->count - given < MOTE_KEYRING_RETIRING_MAX) {
        return keyring->count++;
    }
    if (first != ROOM) {
        dispose_key(&keyring->keys[first]);
    }
    return first;
}

void mote_keyring_take_over(struct mote_keyring *keyring, const struct mote_keyring *before, uint64_t until)
{
    for (size_t i = 0; i < before->count; i++) {
        struct key key = before->keys[i];
        if (i == 0) {
            key.until = until;
        }
        if (key.until == MOTE_KEYRING_NEVER || find_key(keyring, mote_slice_text(key.kid)) != NULL) {
            continue;
        }
        const size_t at = place_of(keyring, key.until);
        if (at != ROOM) {
            share_key(keyring, at, &key);
        }
    }
}

uint64_t mote_keyring_next_end(const struct mote_keyring *keyring)
{
    uint64_t end = MOTE_KEYRING_NEVER;
    for (size_t i = 0; i < keyring->count; i++) {
        end = keyring->keys[i].until < end ? keyring->keys[i].until : end;
    }
    return end;
}

int mote_keyring_without_retired(struct mote_keyring **out, const struct mote_keyring *keyring, uint64_t now)
{
    struct mote_keyring *rest = allocate(keyring->mem);
    if (rest == NULL) {
        return MOTE_ENOMEM;
    }
    for (size_t i = 0; i < keyring->count; i++) {
        if (keyring->keys[i].until > now) {
            share_key(rest, rest->count++, &keyring->keys[i]);
        }
    }
    *out = rest;
    return 0;
}

struct mote_keyring *mote_keyring_ref(struct mote_keyring *keyring)
{
    atomic_fetch_add(&keyring->owners, 1);
    return keyring;
}

void mote_keyring_free(struct mote_keyring *keyring)
{
    if (keyring == NULL || atomic_fetch_sub(&keyring->owners, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < keyring->count; i++) {
        dispose_key(&keyring->keys[i]);
    }
    mote_mem_release(keyring->mem, keyring);
}

const char *mote_keyring_kid(const struct mote_keyring *keyring, size_t index)
{
    return index < keyring->count ? keyring->keys[index].kid : NULL;
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
    mote_hmac_compute(key->states[purpose], data, out);
    return 0;
}

int mote_keyring_sign(const struct mote_keyring *keyring, struct mote_slice kid, struct mote_slice data,
                      uint8_t out[32])
{
    const struct key *key = find_key(keyring, kid);
    if (key == NULL) {
        return MOTE_ENOTFOUND;
    }
    mote_hmac_compute(key->states[STATES - 1], data, out);
    return 0;
}
