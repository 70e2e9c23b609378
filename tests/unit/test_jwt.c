/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope of a token: everything that is looked at before its payload is parsed. Forgeries that need a proper MAC
 * get one from the same keyring. That the parser never sees bytes without a proper MAC is tested by counting its
 * allocations. The claims have their own test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "security/jwt.h"
#include "security/keyring.h"

#define NOW      1700000000
#define LIFETIME 900
#define KID      "857bb19a"
#define PROPER   "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}"

static const char *const secrets[] = {"correct-horse-battery-staple-4711", "Zk4v8Q2xW7nR1tY5uB9cD3fG6hJ0mLpX"};
static const struct mote_jwt_policy policy = {
    .issuer = "mote", .audience = "mote", .leeway = 30, .lifetime_max = LIFETIME};
static const struct mote_identity identity_proper = {
    .user_id = {1, 2, 3},
    .session_id = {4, 5, 6},
    .token_id = {7, 8, 9},
    .issued_at = NOW,
    .not_before = NOW,
    .expires_at = NOW + LIFETIME,
    .roles = MOTE_ROLE_BIT_USER,
    .epoch = 5,
};

/* jansson has no context for its allocator. */
static size_t parser_allocations;

static void *counting_allocate(size_t size)
{
    parser_allocations++;
    return malloc(size);
}

static struct mote_keyring *make_keyring(const char *secret)
{
    struct mote_keyring *keyring;
    assert_int_equal(mote_keyring_new(&keyring, mote_mem_system(), mote_slice_text(secret)), 0);
    return keyring;
}

static int set_up(void **state)
{
    json_set_alloc_funcs(counting_allocate, free);
    *state = make_keyring(secrets[0]);
    return 0;
}

static int tear_down(void **state)
{
    mote_keyring_free(*state);
    json_set_alloc_funcs(malloc, free);
    return 0;
}

struct token {
    char text[16384];
    size_t length;
};

static struct token issue(const struct mote_keyring *keyring)
{
    struct token token;
    assert_int_equal(mote_jwt_issue(token.text, &token.length, keyring, &policy, &identity_proper), 0);
    return token;
}

static int verify(const struct mote_keyring *keyring, const char *text, size_t length)
{
    /* An exact copy, so that a read over the end is found. */
    char *copy = malloc(length == 0 ? 1 : length);
    struct mote_identity identity;
    assert_non_null(copy);
    memcpy(copy, text, length);
    parser_allocations = 0;
    const int result = mote_jwt_verify(&identity, keyring, &policy, mote_slice(copy, length), NOW);
    free(copy);
    return result;
}

/* Refused before the parser was called. */
static void assert_unparsed(const struct mote_keyring *keyring, const char *text, size_t length, const char *what)
{
    const int result = verify(keyring, text, length);
    if (result != MOTE_EAUTH || parser_allocations != 0) {
        fail_msg("%s: %d, %zu allocations of the parser", what, result, parser_allocations);
    }
}

static void append(struct token *token, struct mote_slice bytes)
{
    mote_base64_encode(token->text + token->length, bytes, MOTE_BASE64_URL_UNPADDED);
    token->length += mote_base64_encoded_length(bytes.length, MOTE_BASE64_URL_UNPADDED);
    assert_true(token->length < sizeof token->text);
}

static void sign(struct token *token, const struct mote_keyring *keyring)
{
    uint8_t mac[32];
    assert_int_equal(mote_keyring_sign(keyring, mote_slice_text(mote_keyring_signing_kid(keyring)),
                                       mote_slice(token->text, token->length), mac),
                     0);
    token->text[token->length++] = '.';
    append(token, mote_slice(mac, sizeof mac));
}

/* A token with this header and payload and a MAC that holds under the signing key. */
static struct token forge(const struct mote_keyring *keyring, struct mote_slice header, struct mote_slice payload)
{
    struct token token = {.length = 0};
    append(&token, header);
    token.text[token.length++] = '.';
    append(&token, payload);
    sign(&token, keyring);
    return token;
}

/* The payload of a token of ours, decoded. */
static struct mote_slice payload_of(const struct token *token, uint8_t *out)
{
    const char *first = memchr(token->text, '.', token->length);
    const char *second = memchr(first + 1, '.', token->length - (size_t)(first + 1 - token->text));
    size_t length;
    assert_int_equal(
        mote_base64_decode(out, &length, mote_slice(first + 1, (size_t)(second - first - 1)), MOTE_BASE64_URL_UNPADDED),
        0);
    return mote_slice(out, length);
}

static void an_issued_token_is_verified(void **state)
{
    const struct token token = issue(*state);
    struct mote_identity identity;
    parser_allocations = 0;
    assert_int_equal(mote_jwt_verify(&identity, *state, &policy, mote_slice(token.text, token.length), NOW + 100), 0);
    assert_true(parser_allocations > 0);
    assert_memory_equal(identity.user_id, identity_proper.user_id, 16);
    assert_memory_equal(identity.session_id, identity_proper.session_id, 16);
    assert_memory_equal(identity.token_id, identity_proper.token_id, 16);
    assert_int_equal(identity.issued_at, NOW);
    assert_int_equal(identity.not_before, NOW);
    assert_int_equal(identity.expires_at, NOW + LIFETIME);
    assert_int_equal(identity.roles, MOTE_ROLE_BIT_USER);
    assert_int_equal(identity.epoch, 5);
}

/* The whole text, against another implementation of JWT. */
static void the_text_is_this(void **state)
{
    static const char expected[] =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ijg1N2JiMTlhIn0.eyJpc3MiOiJtb3RlIiwiYXVkIj"
        "oibW90ZSIsInN1YiI6IjAxMDIwMzAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMCIsInNpZCI6IjA0MDUwNjAw"
        "LTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMCIsImp0aSI6IjA3MDgwOTAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMD"
        "AwMDAwMCIsImlhdCI6MTcwMDAwMDAwMCwibmJmIjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDA5MDAsInJvbGVzIjpb"
        "IlVTRVIiXSwiZXAiOjV9.XLy70OKfLqbZJxGth0CsySK176oDYHs9x1P73vTtl9M";
    const struct token token = issue(*state);
    assert_int_equal(token.length, sizeof expected - 1);
    assert_memory_equal(token.text, expected, token.length);
}

static void time_is_told_only_for_proper_tokens(void **state)
{
    struct token token = issue(*state);
    const struct mote_slice text = mote_slice(token.text, token.length);
    static const struct {
        int64_t now;
        int result;
    } cases[] = {
        {NOW - 31, MOTE_ENOTYET},
        {NOW - 30, 0},
        {NOW, 0},
        {NOW + LIFETIME + 29, 0},
        {NOW + LIFETIME + 30, MOTE_EEXPIRED},
    };
    struct mote_identity identity;
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            assert_int_equal(mote_jwt_verify(&identity, *state, &policy, text, cases[i].now),
                             round == 0 ? cases[i].result : MOTE_EAUTH);
        }
        /* The second round with a MAC that does not hold. */
        token.text[token.length - 2] = token.text[token.length - 2] == 'A' ? 'B' : 'A';
    }
}

static const struct {
    const char *header;
    bool accepted;
} header_cases[] = {
    {PROPER, true},
    /* alg */
    {"{\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"None\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"NONE\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"nOnE\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"hs256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"HS256 \",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"HS384\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"HS512\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"PS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":[\"HS256\"],\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":256,\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":null,\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"\\u0048S256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    /* typ */
    {"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"AT+JWT\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"application/at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"HS256\",\"kid\":\"" KID "\"}", false},
    /* kid */
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"857BB19A\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"857bb19\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"857bb19a \"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"../../dev/null\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"' OR 1\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"857bb19a\\u0000\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"abcdefghijklmnopqrstuvwxyz012345\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"abcdefghijklmnopqrstuvwxyz0123456\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"abcdefghijklmnopqrstuvwxyz01234567\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":857}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":[\"" KID "\"]}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":null}", false},
    /* other members, repeated ones, another order, other spaces */
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"crit\":[\"exp\"]}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"jku\":\"https://x/\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"jwk\":{}}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"x5u\":\"x\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"x5c\":[]}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"zip\":\"DEF\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"b64\":false}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"enc\":\"A128GCM\"}", false},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"HS256\",\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {"{\"typ\":\"at+jwt\",\"alg\":\"HS256\",\"kid\":\"" KID "\"}", false},
    {"{\"alg\":\"HS256\", \"typ\":\"at+jwt\",\"kid\":\"" KID "\"}", false},
    {" " PROPER, false},
    {PROPER " ", false},
    {PROPER PROPER, false},
    {"[" PROPER "]", false},
    {"\xef\xbb\xbf" PROPER, false},
    {"{}", false},
    {"{", false},
    {"null", false},
};

static void headers_are_exact(void **state)
{
    const struct token token = issue(*state);
    uint8_t bytes[MOTE_JWT_LENGTH_MAX];
    const struct mote_slice payload = payload_of(&token, bytes);
    for (size_t i = 0; i < sizeof header_cases / sizeof header_cases[0]; i++) {
        const struct token forged = forge(*state, mote_slice_text(header_cases[i].header), payload);
        if (header_cases[i].accepted) {
            assert_int_equal(verify(*state, forged.text, forged.length), 0);
        } else {
            assert_unparsed(*state, forged.text, forged.length, header_cases[i].header);
        }
    }
    /* A kid, and a header, of any length up to far too long. */
    for (size_t length = 0; length < 1200; length++) {
        char header[1300];
        char kid[1201];
        memset(kid, 'k', length);
        kid[length] = '\0';
        (void)snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", kid);
        const struct token forged = forge(*state, mote_slice_text(header), payload);
        assert_unparsed(*state, forged.text, forged.length, "long kid");
    }
}

/* Every byte of a token changed to every other byte, each with one of 256 values (RFC 8725 §2.6). */
static void every_byte_counts(void **state)
{
    struct token token = issue(*state);
    for (size_t i = 0; i < token.length; i++) {
        const char kept = token.text[i];
        for (unsigned value = 0; value < 256; value++) {
            token.text[i] = (char)value;
            if (token.text[i] != kept) {
                assert_unparsed(*state, token.text, token.length, "changed byte");
            }
        }
        token.text[i] = kept;
    }
    assert_int_equal(verify(*state, token.text, token.length), 0);
}

static void every_length_counts(void **state)
{
    const struct token token = issue(*state);
    for (size_t i = 0; i < token.length; i++) {
        assert_unparsed(*state, token.text, i, "cut");
        assert_unparsed(*state, token.text + token.length - i, i, "cut in front");
        struct token without = token;
        memmove(without.text + i, without.text + i + 1, without.length - i - 1);
        assert_unparsed(*state, without.text, without.length - 1, "a byte left out");
        static const char inserted[] = ".A= \n+/\0";
        for (size_t j = 0; j < sizeof inserted - 1; j++) {
            struct token with = token;
            memmove(with.text + i + 1, with.text + i, with.length - i);
            with.text[i] = inserted[j];
            assert_unparsed(*state, with.text, with.length + 1, "a byte inserted");
        }
    }
}

static void shapes_are_refused(void **state)
{
    const struct token token = issue(*state);
    const char *first = memchr(token.text, '.', token.length);
    const size_t header = (size_t)(first - token.text);
    const size_t signature = 43;
    char text[16384];
    static const char *const cases[] = {"", ".", "..", "...", "a.b.c", "a.b", "....", "a..c", "Bearer a.b.c", "\xff"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_unparsed(*state, cases[i], strlen(cases[i]), cases[i]);
    }
    /* Five parts (an encrypted token), one with an empty fourth, the payload left out, the signature left out. */
    int length = snprintf(text, sizeof text, "%.*s.AA.AA", (int)token.length, token.text);
    assert_unparsed(*state, text, (size_t)length, "five parts");
    length = snprintf(text, sizeof text, "%.*s.", (int)token.length, token.text);
    assert_unparsed(*state, text, (size_t)length, "four parts");
    length = snprintf(text, sizeof text, "%.*s..%.*s", (int)header, token.text, (int)signature,
                      token.text + token.length - signature);
    assert_unparsed(*state, text, (size_t)length, "no payload");
    assert_unparsed(*state, token.text, token.length - signature, "empty signature");
    assert_unparsed(*state, token.text, token.length - signature - 1, "no signature");
    /* Two tokens at once. */
    length = snprintf(text, sizeof text, "%.*s,%.*s", (int)token.length, token.text, (int)token.length, token.text);
    assert_unparsed(*state, text, (size_t)length, "two tokens");
}

static void signatures_have_one_length(void **state)
{
    static const size_t lengths[] = {0, 1, 16, 31, 33, 48, 64};
    const struct token token = issue(*state);
    const size_t signed_length = token.length - 43 - 1;
    uint8_t mac[64] = {0};
    assert_int_equal(mote_keyring_sign(*state, mote_slice_text(KID), mote_slice(token.text, signed_length), mac), 0);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct token other = token;
        other.length = signed_length + 1;
        append(&other, mote_slice(mac, lengths[i]));
        assert_unparsed(*state, other.text, other.length, "length of the MAC");
    }
}

/* 43 characters carry 258 bits: three more spellings of the same MAC decode to it if one is lax. */
static void other_spellings_are_refused(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct token token = issue(*state);
    char *last = &token.text[token.length - 1];
    const size_t value = (size_t)(strchr(alphabet, *last) - alphabet);
    assert_int_equal(value % 4, 0);
    for (size_t i = 1; i < 4; i++) {
        *last = alphabet[value + i];
        assert_unparsed(*state, token.text, token.length, "unused bits of the MAC");
    }
    /* The same of header and payload, under a MAC that holds for exactly that text. */
    static const char header_text[] = PROPER;
    assert_true((sizeof header_text - 1) % 3 != 0);
    struct token spelt = {.length = 0};
    append(&spelt, mote_slice_text(PROPER));
    spelt.text[spelt.length - 1]++;
    spelt.text[spelt.length++] = '.';
    uint8_t bytes[MOTE_JWT_LENGTH_MAX];
    token = issue(*state);
    append(&spelt, payload_of(&token, bytes));
    sign(&spelt, *state);
    assert_unparsed(*state, spelt.text, spelt.length, "unused bits of the header");
    /* A payload of one byte has four unused bits; a lone character is no base64 at all. */
    static const char *const payloads[] = {"eB", "e", "eyJhI", "A"};
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        struct token lax = {.length = 0};
        append(&lax, mote_slice_text(PROPER));
        lax.length += (size_t)snprintf(lax.text + lax.length, 16, ".%s", payloads[i]);
        sign(&lax, *state);
        assert_unparsed(*state, lax.text, lax.length, payloads[i]);
    }
}

/* Padded to any length with a claim that is not ours; refused for nothing but its length. */
static void length_is_bounded(void **state)
{
    const struct token token = issue(*state);
    uint8_t bytes[8192];
    const struct mote_slice payload = payload_of(&token, bytes);
    bool longest = false;
    for (size_t filled = 0; filled < 4000; filled += filled < 800 || filled > 1400 ? 97 : 1) {
        const int rest = snprintf((char *)bytes + payload.length - 1, sizeof bytes - payload.length, ",\"x\":\"%0*d\"}",
                                  (int)filled + 1, 0);
        const struct token forged =
            forge(*state, mote_slice_text(PROPER), mote_slice(bytes, payload.length - 1 + (size_t)rest));
        if (forged.length <= MOTE_JWT_LENGTH_MAX) {
            assert_int_equal(verify(*state, forged.text, forged.length), 0);
            longest = longest || forged.length == MOTE_JWT_LENGTH_MAX;
        } else {
            assert_unparsed(*state, forged.text, forged.length, "too long");
        }
    }
    assert_true(longest);
    char text[7168];
    memset(text, 'A', sizeof text);
    assert_unparsed(*state, text, MOTE_JWT_LENGTH_MAX, "no dots");
    assert_unparsed(*state, text, MOTE_JWT_LENGTH_MAX + 1, "no dots, too long");
    assert_unparsed(*state, text, sizeof text, "7 KiB");
}

/* What the MAC holds for and is no token. */
static void payloads_are_checked(void **state)
{
    static const char *const payloads[] = {"{}", "x", "null", "{\"sub\":\"a\",\"sub\":\"b\"}", "\xff"};
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        const struct token forged = forge(*state, mote_slice_text(PROPER), mote_slice_text(payloads[i]));
        assert_int_equal(verify(*state, forged.text, forged.length), MOTE_EAUTH);
        assert_true(parser_allocations > 0);
    }
}

/* Tokens of one server at another, and keys that come and go. */
static void keys_rotate(void **state)
{
    const struct mote_keyring *old_only = *state;
    struct mote_keyring *new_only = make_keyring(secrets[1]);
    const struct mote_slice both[] = {mote_slice_text(secrets[1]), mote_slice_text(secrets[0])};
    struct mote_keyring *rotated;
    assert_int_equal(mote_keyring_new_list(&rotated, mote_mem_system(), both, 2), 0);
    const struct token old_token = issue(old_only);
    const struct token new_token = issue(rotated);
    assert_int_equal(verify(rotated, old_token.text, old_token.length), 0);
    assert_int_equal(verify(rotated, new_token.text, new_token.length), 0);
    assert_int_equal(verify(new_only, new_token.text, new_token.length), 0);
    assert_unparsed(new_only, old_token.text, old_token.length, "retired key");
    assert_unparsed(old_only, new_token.text, new_token.length, "unknown key");
    /* The kid of one key over the MAC of another. */
    uint8_t bytes[MOTE_JWT_LENGTH_MAX];
    const struct token crossed = forge(new_only, mote_slice_text(PROPER), payload_of(&old_token, bytes));
    assert_unparsed(rotated, crossed.text, crossed.length, "kid of another key");
    mote_keyring_free(rotated);
    mote_keyring_free(new_only);
}

/* A MAC of the same text under a derived key is none (each purpose has its own). */
static void other_purposes_do_not_sign(void **state)
{
    const struct token token = issue(*state);
    for (int purpose = MOTE_KEY_PAGE_TOKEN; purpose <= MOTE_KEY_REQUEST_DIGEST; purpose++) {
        struct token other = token;
        uint8_t mac[32];
        other.length -= 43;
        assert_int_equal(mote_keyring_mac(*state, NULL, (enum mote_key_purpose)purpose,
                                          mote_slice(other.text, other.length - 1), mac),
                         0);
        append(&other, mote_slice(mac, sizeof mac));
        assert_unparsed(*state, other.text, other.length, "derived key");
    }
}

static void names_of_the_policy_count(void **state)
{
    const struct token token = issue(*state);
    const struct mote_slice text = mote_slice(token.text, token.length);
    struct mote_identity identity;
    struct mote_jwt_policy other = policy;
    other.issuer = "another";
    assert_int_equal(mote_jwt_verify(&identity, *state, &other, text, NOW), MOTE_EAUTH);
    other = policy;
    other.audience = "another";
    assert_int_equal(mote_jwt_verify(&identity, *state, &other, text, NOW), MOTE_EAUTH);
    other = policy;
    other.lifetime_max = LIFETIME - 1;
    assert_int_equal(mote_jwt_verify(&identity, *state, &other, text, NOW), MOTE_EAUTH);
}

/* Names of any length that are accepted give a token that fits. */
static void issuing_is_bounded(void **state)
{
    char name[MOTE_JWT_NAME_MAX + 1] = {0};
    struct token token;
    struct mote_identity identity = identity_proper;
    struct mote_jwt_policy named = policy;
    identity.roles = MOTE_ROLE_BIT_USER | MOTE_ROLE_BIT_SERVICE | MOTE_ROLE_BIT_ADMIN;
    identity.epoch = UINT64_C(1) << 53;
    named.issuer = name;
    named.audience = name;
    memset(name, '"', MOTE_JWT_NAME_MAX);
    assert_int_equal(mote_jwt_issue(token.text, &token.length, *state, &named, &identity), 0);
    assert_true(token.length <= MOTE_JWT_LENGTH_MAX);
    assert_int_equal(mote_jwt_verify(&identity, *state, &named, mote_slice(token.text, token.length), NOW), 0);
    /* Control characters take six bytes each: beyond what fits, a byte at a time. */
    char other[MOTE_JWT_NAME_MAX + 1] = {0};
    named.audience = other;
    memset(name, 1, 160);
    name[160] = '\0';
    size_t longest = 0;
    unsigned refused = 0;
    for (size_t count = 0; count <= MOTE_JWT_NAME_MAX; count++) {
        memset(other, 'a', count);
        const int result = mote_jwt_issue(token.text, &token.length, *state, &named, &identity);
        assert_int_equal(result, refused != 0 ? MOTE_ELIMIT : result);
        if (result == 0) {
            assert_true(token.length <= MOTE_JWT_LENGTH_MAX);
            longest = token.length;
        } else {
            assert_int_equal(result, MOTE_ELIMIT);
            refused++;
        }
    }
    assert_true(refused != 0 && longest != 0);
    assert_int_equal(longest, MOTE_JWT_LENGTH_MAX);
    identity.roles = 0;
    assert_int_equal(mote_jwt_issue(token.text, &token.length, *state, &policy, &identity), MOTE_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_issued_token_is_verified),
        cmocka_unit_test(the_text_is_this),
        cmocka_unit_test(time_is_told_only_for_proper_tokens),
        cmocka_unit_test(headers_are_exact),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(every_length_counts),
        cmocka_unit_test(shapes_are_refused),
        cmocka_unit_test(signatures_have_one_length),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(payloads_are_checked),
        cmocka_unit_test(keys_rotate),
        cmocka_unit_test(other_purposes_do_not_sign),
        cmocka_unit_test(names_of_the_policy_count),
        cmocka_unit_test(issuing_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
