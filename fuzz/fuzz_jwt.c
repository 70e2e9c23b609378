/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tokens (security/jwt.h) and the cache of verified ones. Input: a byte that picks the time, one that picks how
 * the rest makes a token: the rest as it is, or a token that the harness made and edits of it (see edit).
 *
 * Invariants
 *  1. A token is accepted if and only if it is, byte for byte, one that was issued under a key of the keyring with
 *     this issuer and audience, and its time has come and not passed. The error for one that was issued tells which;
 *     for every other it tells nothing.
 *  2. The JSON parser allocates nothing unless the token was signed by a key of the keyring.
 *  3. The answer is the same without the cache, with an empty one, with the token in it, and with every token in it
 *     that was valid a while ago.
 */
#include "fuzz.h"

#include <jansson.h>

#include "security/jwt.h"
#include "security/keyring.h"
#include "security/token_cache.h"

#define NOW       1700000000
#define LEEWAY    30
#define LIFETIME  900
#define TOKEN_MAX 4096u

static const char *const secrets[] = {
    "correct-horse-battery-staple-4711",
    "Zk4v8Q2xW7nR1tY5uB9cD3fG6hJ0mLpX",
    "9f2c4e8a1b7d3f6058c9e2a4b6d81f307c5e9a2b4d6f8013579bdf2468ace024",
};
static const struct mote_jwt_policy policy = {
    .issuer = "mote", .audience = "mote", .leeway = LEEWAY, .lifetime_max = LIFETIME};
static const struct mote_jwt_policy other_issuer = {
    .issuer = "other", .audience = "mote", .leeway = LEEWAY, .lifetime_max = LIFETIME};
static const struct mote_jwt_policy other_audience = {
    .issuer = "mote", .audience = "other", .leeway = LEEWAY, .lifetime_max = LIFETIME};
static const struct mote_jwt_policy longer = {
    .issuer = "mote", .audience = "mote", .leeway = LEEWAY, .lifetime_max = 10 * LIFETIME};

/* The tokens that exist. */
static const struct mint {
    size_t secret;
    const struct mote_jwt_policy *policy;
    int64_t issued_at;
    int64_t lifetime;
    uint32_t roles;
} mints[] = {
    {0, &policy, NOW, LIFETIME, MOTE_ROLE_BIT_USER},
    {0, &policy, NOW, LIFETIME, MOTE_ROLE_BIT_USER | MOTE_ROLE_BIT_ADMIN},
    {1, &policy, NOW - 10, LIFETIME, MOTE_ROLE_BIT_SERVICE},
    {0, &policy, NOW - LIFETIME - LEEWAY - 1, LIFETIME, MOTE_ROLE_BIT_USER},
    {0, &policy, NOW + LEEWAY + 1, 1, MOTE_ROLE_BIT_USER},
    /* Those from here on are not ours. */
    {2, &policy, NOW, LIFETIME, MOTE_ROLE_BIT_ADMIN},
    {0, &other_issuer, NOW, LIFETIME, MOTE_ROLE_BIT_ADMIN},
    {0, &other_audience, NOW, LIFETIME, MOTE_ROLE_BIT_ADMIN},
    {1, &longer, NOW, LIFETIME + 1, MOTE_ROLE_BIT_ADMIN},
};

#define MINT_COUNT (sizeof(mints) / sizeof(mints[0]))
#define OURS       5u
#define UNSIGNED   5u /* the one whose key is not in the keyring */

struct token {
    uint8_t bytes[TOKEN_MAX];
    size_t length;
};

static struct mote_keyring *keyring; /* secrets 0 and 1; made once, never changed */
static struct token minted[MINT_COUNT];
static size_t parser_allocations;

static void *count_allocate(size_t size)
{
    parser_allocations++;
    return malloc(size);
}

static int fill_fixed(void *context, void *out, size_t length)
{
    (void)context;
    memset(out, 0x5a, length);
    return 0;
}

static void mint(size_t index)
{
    const struct mint *kind = &mints[index];
    const struct mote_identity identity = {
        .user_id = {(uint8_t)index},
        .issued_at = kind->issued_at,
        .not_before = kind->issued_at,
        .expires_at = kind->issued_at + kind->lifetime,
        .roles = kind->roles,
        .epoch = index,
    };
    struct mote_keyring *single;
    char text[MOTE_JWT_LENGTH_MAX];
    fuzz_require(mote_keyring_new(&single, mote_mem_system(), mote_slice_text(secrets[kind->secret])) == 0);
    fuzz_require(mote_jwt_issue(text, &minted[index].length, single, kind->policy, &identity) == 0);
    memcpy(minted[index].bytes, text, minted[index].length);
    mote_keyring_free(single);
}

static void make_world(void)
{
    const struct mote_slice list[] = {mote_slice_text(secrets[0]), mote_slice_text(secrets[1])};
    json_set_alloc_funcs(count_allocate, free);
    fuzz_require(mote_keyring_new_list(&keyring, mote_mem_system(), list, 2) == 0);
    for (size_t i = 0; i < MINT_COUNT; i++) {
        mint(i);
    }
}

/* Where a part of a token begins: header, payload, signature, and (3) one past the end and a dot. */
static size_t part_start(const struct token *token, unsigned part)
{
    size_t position = 0;
    for (unsigned dots = 0; dots < part; dots++) {
        const uint8_t *dot = memchr(token->bytes + position, '.', token->length - position);
        position = dot == NULL ? token->length + 1 : (size_t)(dot - token->bytes) + 1;
        if (dot == NULL) {
            break;
        }
    }
    return position;
}

/* Replaces `removed` bytes at `position` with these. */
static void replace(struct token *token, size_t position, size_t removed, struct mote_slice with)
{
    if (position + removed > token->length || token->length - removed + with.length > TOKEN_MAX) {
        return;
    }
    memmove(token->bytes + position + with.length, token->bytes + position + removed,
            token->length - position - removed);
    if (with.length != 0) {
        memcpy(token->bytes + position, with.data, with.length);
    }
    token->length = token->length - removed + with.length;
}

/* A minted token, and edits of four bytes: what, the place (two), a value. */
static struct token edit(struct mote_slice *input)
{
    struct token token = minted[fuzz_take_byte(input) % MINT_COUNT];
    while (input->length >= 4 && token.length != 0) {
        const uint8_t what = fuzz_take_byte(input);
        const size_t high = fuzz_take_byte(input);
        const size_t position = (high << 8 | fuzz_take_byte(input)) % token.length;
        const uint8_t value = fuzz_take_byte(input);
        const struct token *other = &minted[value % MINT_COUNT];
        switch (what % 5) {
        case 0:
            token.bytes[position] = value;
            break;
        case 1:
            token.bytes[position] ^= value;
            break;
        case 2:
            replace(&token, position, 0, mote_slice(&value, 1));
            break;
        case 3:
            replace(&token, position, value, mote_slice(NULL, 0));
            break;
        case 4: {
            const unsigned part = (unsigned)position % 3;
            const size_t start = part_start(&token, part);
            const size_t other_start = part_start(other, part);
            const size_t end = part_start(&token, part + 1);
            const size_t other_end = part_start(other, part + 1);
            if (end > start && end - 1 <= token.length) {
                replace(&token, start, end - 1 - start,
                        mote_slice(other->bytes + other_start, other_end - 1 - other_start));
            }
            break;
        }
        }
    }
    return token;
}

/* What a token is by the list of those that exist; *index is MINT_COUNT when it is not on it. */
static int expected_result(struct mote_slice token, int64_t now, size_t *index)
{
    *index = 0;
    while (*index < MINT_COUNT && !mote_slice_equals(token, mote_slice(minted[*index].bytes, minted[*index].length))) {
        (*index)++;
    }
    if (*index >= OURS) {
        return MOTE_EAUTH;
    }
    const struct mint *kind = &mints[*index];
    if (now - LEEWAY >= kind->issued_at + kind->lifetime) {
        return MOTE_EEXPIRED;
    }
    return now + LEEWAY < kind->issued_at ? MOTE_ENOTYET : 0;
}

/* As a server does it. */
static int verify_cached(struct mote_token_cache *cache, struct mote_slice token, int64_t now, uint64_t *epoch)
{
    const struct mote_identity *found = mote_token_cache_find(cache, token, now - LEEWAY);
    if (found != NULL) {
        *epoch = found->epoch;
        return 0;
    }
    struct mote_identity identity;
    const int result = mote_jwt_verify(&identity, keyring, &policy, token, now);
    if (result == 0) {
        *epoch = identity.epoch;
        mote_token_cache_add(cache, token, &identity);
    }
    return result;
}

static void check(struct mote_slice token, int64_t now)
{
    static const struct mote_random fixed = {.fill = fill_fixed};
    size_t index;
    const int expected = expected_result(token, now, &index);
    struct mote_identity identity;
    parser_allocations = 0;
    fuzz_require(mote_jwt_verify(&identity, keyring, &policy, token, now) == expected);
    fuzz_require((parser_allocations != 0) == (index != MINT_COUNT && index != UNSIGNED));
    fuzz_require(expected != 0 || identity.epoch == index);

    struct mote_token_cache *cache;
    uint64_t epoch = index;
    fuzz_require(mote_token_cache_new(&cache, mote_mem_system(), &fixed) == 0);
    fuzz_require(verify_cached(cache, token, now, &epoch) == expected);
    fuzz_require(verify_cached(cache, token, now, &epoch) == expected);
    fuzz_require(epoch == index);
    for (int64_t earlier = NOW - 500; earlier <= now; earlier += 500) {
        for (size_t i = 0; i < OURS; i++) {
            uint64_t ignored;
            (void)verify_cached(cache, mote_slice(minted[i].bytes, minted[i].length), earlier, &ignored);
        }
    }
    fuzz_require(verify_cached(cache, token, now, &epoch) == expected);
    fuzz_require(epoch == index);
    mote_token_cache_free(cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t times[] = {
        NOW,
        NOW - LEEWAY - 1,
        NOW - LEEWAY,
        NOW + 1,
        NOW + LIFETIME + LEEWAY - 1,
        NOW + LIFETIME + LEEWAY,
        NOW + LEEWAY + 2,
    };
    if (keyring == NULL) {
        make_world();
    }
    struct mote_slice input = mote_slice(data, size);
    const int64_t now = times[fuzz_take_byte(&input) % (sizeof(times) / sizeof(times[0]))];
    struct token token = {.length = 0};
    if (fuzz_take_byte(&input) % 2 == 0) {
        const struct mote_slice raw = fuzz_take(&input, TOKEN_MAX);
        replace(&token, 0, 0, raw);
    } else {
        token = edit(&input);
    }
    uint8_t *copy = fuzz_copy(mote_slice(token.bytes, token.length));
    check(mote_slice(copy, token.length), now);
    free(copy);
    return 0;
}
