/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The claims of a token, behind the MAC: each case is a proper set of claims with one of them replaced, left out or
 * added. Numbers and times at their last accepted and first refused value.
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

#include "security/claims.h"

#define NOW      1700000000
#define LEEWAY   30
#define LIFETIME 900
#define USER     "\"0190a000-0000-7000-8000-000000000001\""
#define SESSION  "\"0190a000-0000-7000-8000-000000000002\""
#define TOKEN    "\"0190a000-0000-7000-8000-000000000003\""

static const struct mote_jwt_policy policy = {
    .issuer = "mote", .audience = "mote", .leeway = LEEWAY, .lifetime_max = LIFETIME};

struct member {
    const char *name;
    const char *value;
};

static const struct member proper[] = {
    {"iss", "\"mote\""},   {"aud", "\"mote\""},   {"sub", USER},         {"sid", SESSION},        {"jti", TOKEN},
    {"iat", "1700000000"}, {"nbf", "1700000000"}, {"exp", "1700000900"}, {"roles", "[\"USER\"]"}, {"ep", "7"},
};

#define PROPER_COUNT (sizeof proper / sizeof proper[0])

static int parse_at(struct mote_identity *out, const char *json, size_t length, int64_t now)
{
    /* An exact copy, so that a read over the end is found. */
    uint8_t *copy = malloc(length == 0 ? 1 : length);
    assert_non_null(copy);
    memcpy(copy, json, length);
    const struct mote_claims_verified verified = {.json = mote_slice(copy, length)};
    const int result = mote_claims_parse(out, &policy, verified, now);
    free(copy);
    return result;
}

/* The proper claims, with `name` having `value` (NULL: without it), and `extra` behind them. */
static size_t make(char *out, size_t size, const char *name, const char *value, const char *extra)
{
    size_t length = 0;
    out[length++] = '{';
    for (size_t i = 0; i < PROPER_COUNT; i++) {
        const bool replaced = name != NULL && strcmp(proper[i].name, name) == 0;
        const char *used = replaced ? value : proper[i].value;
        if (used != NULL) {
            length += (size_t)snprintf(out + length, size - length, "%s\"%s\":%s", length > 1 ? "," : "",
                                       proper[i].name, used);
        }
    }
    length += (size_t)snprintf(out + length, size - length, "%s}", extra);
    assert_true(length < size);
    return length;
}

static int parse_with(const char *name, const char *value, const char *extra)
{
    char json[8192];
    struct mote_identity identity;
    const size_t length = make(json, sizeof json, name, value, extra);
    return parse_at(&identity, json, length, NOW);
}

static void a_proper_set_is_read(void **state)
{
    char json[1024];
    struct mote_identity identity;
    (void)state;
    const size_t length = make(json, sizeof json, "roles", "[\"ADMIN\",\"USER\",\"SERVICE\"]", "");
    assert_int_equal(parse_at(&identity, json, length, NOW), 0);
    static const uint8_t user[16] = {0x01, 0x90, 0xa0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1};
    assert_memory_equal(identity.user_id, user, 15);
    assert_int_equal(identity.user_id[15], 1);
    assert_int_equal(identity.session_id[15], 2);
    assert_int_equal(identity.token_id[15], 3);
    assert_int_equal(identity.issued_at, 1700000000);
    assert_int_equal(identity.not_before, 1700000000);
    assert_int_equal(identity.expires_at, 1700000900);
    assert_int_equal(identity.roles, MOTE_ROLE_BIT_USER | MOTE_ROLE_BIT_SERVICE | MOTE_ROLE_BIT_ADMIN);
    assert_int_equal(identity.epoch, 7);
}

static void each_claim_is_required(void **state)
{
    (void)state;
    assert_int_equal(parse_with(NULL, NULL, ""), 0);
    for (size_t i = 0; i < PROPER_COUNT; i++) {
        assert_int_equal(parse_with(proper[i].name, NULL, ""), MOTE_EAUTH);
        assert_int_equal(parse_with(proper[i].name, "null", ""), MOTE_EAUTH);
        assert_int_equal(parse_with(proper[i].name, "true", ""), MOTE_EAUTH);
        assert_int_equal(parse_with(proper[i].name, "{}", ""), MOTE_EAUTH);
        assert_int_equal(parse_with(proper[i].name, "[]", ""), MOTE_EAUTH);
        assert_int_equal(parse_with(proper[i].name, "\"\"", ""), MOTE_EAUTH);
        assert_int_equal(parse_with(proper[i].name, "1.5", ""), MOTE_EAUTH);
    }
}

static const struct {
    const char *name;
    const char *value;
    int result;
} value_cases[] = {
    {"iss", "\"mote2\"", MOTE_EAUTH},
    {"iss", "\"mot\"", MOTE_EAUTH},
    {"iss", "\"Mote\"", MOTE_EAUTH},
    {"iss", "\"\\u006dote\"", 0},
    {"iss", "\"\\\\u006dote\"", MOTE_EAUTH},
    {"iss", "\"mote\\u0000\"", MOTE_EAUTH},
    {"iss", "[\"mote\"]", MOTE_EAUTH},
    {"aud", "\"other\"", MOTE_EAUTH},
    {"aud", "[\"mote\"]", 0},
    {"aud", "[\"other\",\"mote\"]", 0},
    {"aud", "[\"other\"]", MOTE_EAUTH},
    {"aud", "[\"mote\",7]", MOTE_EAUTH},
    {"aud", "[[\"mote\"]]", MOTE_EAUTH},
    {"aud", "[\"mote\",{}]", MOTE_EAUTH},
    {"aud", "[\"mote\",1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]", MOTE_EAUTH},
    {"aud", "[\"mote\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]", 0},
    {"aud", "[\"mote\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]", MOTE_EAUTH},
    {"sub", "\"0190a000-0000-7000-8000-00000000000\"", MOTE_EAUTH},
    {"sub", "\"0190a000-0000-7000-8000-0000000000011\"", MOTE_EAUTH},
    {"sub", "\"0190a000-0000-7000-8000-00000000000g\"", MOTE_EAUTH},
    {"sub", "\"0190a000000070008000000000000001\"", MOTE_EAUTH},
    {"sub", "\"admin\"", MOTE_EAUTH},
    {"sub", "1", MOTE_EAUTH},
    {"sid", "\"1\"", MOTE_EAUTH},
    {"jti", "\"1\"", MOTE_EAUTH},
    {"exp", "\"1700000900\"", MOTE_EAUTH},
    {"exp", "1700000900.0", MOTE_EAUTH},
    {"exp", "17000009e2", MOTE_EAUTH},
    {"exp", "1.7000009E9", MOTE_EAUTH},
    {"exp", "1e400", MOTE_EAUTH},
    {"exp", "-1", MOTE_EAUTH},
    {"exp", "+1700000900", MOTE_EAUTH},
    {"exp", "01700000900", MOTE_EAUTH},
    {"exp", "0x6553f100", MOTE_EAUTH},
    {"exp", "NaN", MOTE_EAUTH},
    {"exp", "9007199254740993", MOTE_EAUTH},
    {"exp", "9223372036854775807", MOTE_EAUTH},
    {"exp", "9223372036854775808", MOTE_EAUTH},
    {"exp", "18446744073709551616", MOTE_EAUTH},
    {"exp", "[1700000900]", MOTE_EAUTH},
    {"iat", "1e9", MOTE_EAUTH},
    {"iat", "-0", MOTE_EAUTH},
    {"nbf", "-0", MOTE_EAUTH},
    {"nbf", "0", 0},
    {"nbf", "00", MOTE_EAUTH},
    {"ep", "-0", MOTE_EAUTH},
    {"ep", "-1", MOTE_EAUTH},
    {"ep", "0", 0},
    {"ep", "9007199254740992", 0},
    {"ep", "9007199254740993", MOTE_EAUTH},
    {"ep", "7.0", MOTE_EAUTH},
    {"ep", "\"7\"", MOTE_EAUTH},
    {"roles", "[\"ADMIN\"]", 0},
    {"roles", "[\"SERVICE\"]", 0},
    {"roles", "[\"USER\",\"USER\"]", MOTE_EAUTH},
    {"roles", "[\"USER\",\"ADMIN\",\"USER\"]", MOTE_EAUTH},
    {"roles", "[\"user\"]", MOTE_EAUTH},
    {"roles", "[\"USERS\"]", MOTE_EAUTH},
    {"roles", "[\"ROOT\"]", MOTE_EAUTH},
    {"roles", "[\"\"]", MOTE_EAUTH},
    {"roles", "[1]", MOTE_EAUTH},
    {"roles", "[null]", MOTE_EAUTH},
    {"roles", "[[\"USER\"]]", MOTE_EAUTH},
    {"roles", "\"ADMIN\"", MOTE_EAUTH},
    {"roles", "7", MOTE_EAUTH},
    {"roles", "{\"0\":\"ADMIN\"}", MOTE_EAUTH},
    {"roles", "[\"USER\",]", MOTE_EAUTH},
};

static void values_are_strict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof value_cases / sizeof value_cases[0]; i++) {
        const int result = parse_with(value_cases[i].name, value_cases[i].value, "");
        if (result != value_cases[i].result) {
            fail_msg("%s = %s: %d instead of %d", value_cases[i].name, value_cases[i].value, result,
                     value_cases[i].result);
        }
    }
}

static void other_members_are_bounded(void **state)
{
    static const struct {
        const char *extra;
        int result;
    } cases[] = {
        {",\"x\":1", 0},
        {",\"x\":\"-1\"", 0},
        {",\"pwd_change\":true", 0},
        {",\"pwd_change\":false", MOTE_EAUTH},
        {",\"pwd_change\":null", MOTE_EAUTH},
        {",\"pwd_change\":1", MOTE_EAUTH},
        {",\"pwd_change\":\"true\"", MOTE_EAUTH},
        {",\"pwd_change\":[]", MOTE_EAUTH},
        {",\"pwd_change\":true,\"pwd_change\":true", MOTE_EAUTH},
        {",\"x\":\"[[[{{{\"", 0},
        {",\"x\":\"\\\"-[[\"", 0},
        {",\"x\":null,\"y\":true,\"z\":1.5", 0},
        {",\"x\":-1", MOTE_EAUTH},
        {",\"x\":[]", MOTE_EAUTH},
        {",\"x\":{}", MOTE_EAUTH},
        {",\"x\":[[]]", MOTE_EAUTH},
        {",\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1", 0},
        {",\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1", MOTE_EAUTH},
        /* Duplicates, also of names that are not ours and with escapes (RFC 7519 §4). */
        {",\"sub\":" USER, MOTE_EAUTH},
        {",\"s\\u0075b\":" USER, MOTE_EAUTH},
        {",\"\\u0065xp\":1700000900", MOTE_EAUTH},
        {",\"roles\":[\"ADMIN\"]", MOTE_EAUTH},
        {",\"x\":1,\"x\":1", MOTE_EAUTH},
        {",\"x\":1,\"\\u0078\":1", MOTE_EAUTH},
        {",\"a/b\":1,\"a\\/b\":1", MOTE_EAUTH},
        {",\"x\\u0000\":1", MOTE_EAUTH},
        {",\"x\":\"\\u0000\"", MOTE_EAUTH},
        {",\"x\":\"\\ud800\"", MOTE_EAUTH},
        {",\"x\":\"\xff\"", MOTE_EAUTH},
        {",\"x\":\"\xc0\x80\"", MOTE_EAUTH},
        {",\"x\":\"\n\"", MOTE_EAUTH},
        {",\"x\":'1'", MOTE_EAUTH},
        {",x:1", MOTE_EAUTH},
        {",\"x\":1,", MOTE_EAUTH},
        {",\"x\":1}", MOTE_EAUTH},
        {",\"x\":1 /* */", MOTE_EAUTH},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int result = parse_with(NULL, NULL, cases[i].extra);
        if (result != cases[i].result) {
            fail_msg("%s: %d instead of %d", cases[i].extra, result, cases[i].result);
        }
    }
}

/* jansson has no context for its allocator. */
static size_t allocations;
static size_t fail_at;

static void *counting_allocate(size_t size)
{
    return ++allocations == fail_at ? NULL : malloc(size);
}

/* Found before the parser recurses: it allocates nothing. */
static void deep_nesting_is_not_parsed(void **state)
{
    static const struct {
        const char *json;
        bool parsed;
    } cases[] = {
        {"{\"x\":[1]}", true},         {"[[1]]", true},   {"[[[1]]]", false},   {"{\"x\":[[1]]}", false},
        {"{\"x\":{\"y\":{}}}", false}, {"[{},{}]", true}, {"[{},[{}]]", false}, {"[[],[],[]]", true},
        {"[\"[[[[\"]", true},          {"[-1]", false},
    };
    char json[1500];
    struct mote_identity identity;
    (void)state;
    json_set_alloc_funcs(counting_allocate, free);
    fail_at = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        allocations = 0;
        assert_int_equal(parse_at(&identity, cases[i].json, strlen(cases[i].json), NOW), MOTE_EAUTH);
        if ((allocations != 0) != cases[i].parsed) {
            fail_msg("%s: %zu allocations", cases[i].json, allocations);
        }
    }
    memset(json, '[', sizeof json);
    allocations = 0;
    assert_int_equal(parse_at(&identity, json, sizeof json, NOW), MOTE_EAUTH);
    assert_int_equal(allocations, 0);
    json_set_alloc_funcs(malloc, free);
}

static void other_texts_are_refused(void **state)
{
    static const char *const cases[] = {
        "", " ", "{}", "[]", "null", "\"mote\"", "1", "{", "}", "[[[[", "\\", "{\"", "{\"\\", "{\"a\":\"\\",
    };
    struct mote_identity identity;
    char json[4096];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse_at(&identity, cases[i], strlen(cases[i]), NOW), MOTE_EAUTH);
    }
    /* Cut anywhere, followed by anything but white space, a NUL anywhere, a mark of UTF-8 in front. */
    const size_t length = make(json, sizeof json, NULL, NULL, "");
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(parse_at(&identity, json, i, NOW), MOTE_EAUTH);
        const char kept = json[i];
        json[i] = '\0';
        assert_int_equal(parse_at(&identity, json, length, NOW), MOTE_EAUTH);
        json[i] = kept;
    }
    json[length] = '\n';
    assert_int_equal(parse_at(&identity, json, length + 1, NOW), 0);
    json[length] = '\0';
    assert_int_equal(parse_at(&identity, json, length + 1, NOW), MOTE_EAUTH);
    json[length] = '{';
    assert_int_equal(parse_at(&identity, json, length + 1, NOW), MOTE_EAUTH);
    memmove(json + 3, json, length);
    memcpy(json, "\xef\xbb\xbf", 3);
    assert_int_equal(parse_at(&identity, json, length + 3, NOW), MOTE_EAUTH);
}

static void time_is_held_to_the_second(void **state)
{
    static const struct {
        const char *issued_at;
        const char *not_before;
        const char *expires_at;
        int64_t now;
        int result;
    } cases[] = {
        {"1000", "1000", "1900", 1000, 0},
        /* exp ≤ now − leeway */
        {"1000", "1000", "1900", 1929, 0},
        {"1000", "1000", "1900", 1930, MOTE_EEXPIRED},
        {"1000", "1000", "1900", 1931, MOTE_EEXPIRED},
        /* iat, nbf > now + leeway */
        {"1000", "1000", "1900", 970, 0},
        {"1000", "1000", "1900", 969, MOTE_ENOTYET},
        {"1000", "900", "1900", 969, MOTE_ENOTYET},
        {"1000", "1030", "1900", 1000, 0},
        {"1000", "1031", "1900", 1000, MOTE_ENOTYET},
        /* both: expired tells more */
        {"1000", "9000", "1900", 1930, MOTE_EEXPIRED},
        /* the lifetime */
        {"1000", "1000", "1901", 1000, MOTE_EAUTH},
        {"1000", "1000", "1001", 1000, 0},
        {"1000", "1000", "1000", 1000, MOTE_EAUTH},
        {"1000", "1000", "999", 900, MOTE_EAUTH},
        {"0", "0", "900", 0, 0},
        {"0", "0", "9007199254740992", 0, MOTE_EAUTH},
        {"9007199254740000", "0", "9007199254740900", 9007199254740000, 0},
        {"9007199254740992", "0", "9007199254740993", 9007199254740992, MOTE_EAUTH},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[1024];
        const int length =
            snprintf(json, sizeof json,
                     "{\"iss\":\"mote\",\"aud\":\"mote\",\"sub\":" USER ",\"sid\":" SESSION ",\"jti\":" TOKEN
                     ",\"roles\":[\"USER\"],\"ep\":1,\"iat\":%s,\"nbf\":%s,\"exp\":%s}",
                     cases[i].issued_at, cases[i].not_before, cases[i].expires_at);
        struct mote_identity identity = {.epoch = 99};
        const int result = parse_at(&identity, json, (size_t)length, cases[i].now);
        if (result != cases[i].result) {
            fail_msg("case %zu: %d instead of %d", i, result, cases[i].result);
        }
        /* Who it was is known for all but a defect. */
        assert_int_equal(identity.epoch, result == MOTE_EAUTH ? 99 : 1);
    }
}

static const struct mote_identity identity_proper = {
    .user_id = {1},
    .session_id = {2},
    .token_id = {3},
    .issued_at = NOW,
    .not_before = NOW,
    .expires_at = NOW + LIFETIME,
    .roles = MOTE_ROLE_BIT_USER | MOTE_ROLE_BIT_ADMIN,
    .epoch = 5,
};

static void the_text_is_this(void **state)
{
    char json[1024];
    size_t length;
    (void)state;
    assert_int_equal(mote_claims_format(json, sizeof json - 1, &length, &policy, &identity_proper), 0);
    json[length] = '\0';
    assert_string_equal(json, "{\"iss\":\"mote\",\"aud\":\"mote\",\"sub\":\"01000000-0000-0000-0000-000000000000\","
                              "\"sid\":\"02000000-0000-0000-0000-000000000000\","
                              "\"jti\":\"03000000-0000-0000-0000-000000000000\","
                              "\"iat\":1700000000,\"nbf\":1700000000,\"exp\":1700000900,"
                              "\"roles\":[\"USER\",\"ADMIN\"],\"ep\":5}");
    struct mote_identity identity = identity_proper;
    identity.password_change_required = true;
    assert_int_equal(mote_claims_format(json, sizeof json - 1, &length, &policy, &identity), 0);
    json[length] = '\0';
    assert_non_null(strstr(json, ",\"ep\":5,\"pwd_change\":true}"));
    assert_int_equal(
        mote_claims_parse(&identity, &policy, (struct mote_claims_verified){mote_slice(json, length)}, NOW), 0);
    assert_true(identity.password_change_required);
    assert_int_equal(mote_claims_format(json, sizeof json - 1, &length, &policy, &identity_proper), 0);
    assert_int_equal(
        mote_claims_parse(&identity, &policy, (struct mote_claims_verified){mote_slice(json, length)}, NOW), 0);
    assert_false(identity.password_change_required);
    size_t other;
    assert_int_equal(mote_claims_format(json, length, &other, &policy, &identity_proper), 0);
    assert_int_equal(other, length);
    assert_int_equal(mote_claims_format(json, length - 1, &other, &policy, &identity_proper), MOTE_ELIMIT);
    assert_int_equal(mote_claims_format(json, 0, &other, &policy, &identity_proper), MOTE_ELIMIT);
}

/* Names with quotes, escapes and other scripts come back as they were. */
static void names_are_escaped(void **state)
{
    static const char *const names[] = {"https://issuer.example/", "a\"b", "a\\b\n\t", "\xc3\xbc\xe2\x82\xac", ""};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct mote_jwt_policy named = {
            .issuer = names[i], .audience = names[i], .leeway = LEEWAY, .lifetime_max = LIFETIME};
        char json[1024];
        size_t length;
        struct mote_identity identity;
        assert_int_equal(mote_claims_format(json, sizeof json, &length, &named, &identity_proper), 0);
        const struct mote_claims_verified verified = {.json = mote_slice(json, length)};
        assert_int_equal(mote_claims_parse(&identity, &named, verified, NOW), 0);
        assert_memory_equal(identity.user_id, identity_proper.user_id, 16);
        assert_int_equal(identity.roles, identity_proper.roles);
    }
}

static void an_improper_identity_is_not_written(void **state)
{
    static const char long_name[MOTE_JWT_NAME_MAX + 2] = {[0 ... MOTE_JWT_NAME_MAX] = 'n'};
    char json[4096];
    size_t length;
    (void)state;
#define REFUSED(...)                                                                                                   \
    do {                                                                                                               \
        struct mote_identity identity = identity_proper;                                                               \
        struct mote_jwt_policy used = policy;                                                                          \
        __VA_ARGS__;                                                                                                   \
        assert_int_equal(mote_claims_format(json, sizeof json, &length, &used, &identity), MOTE_EINVAL);               \
    } while (0)
    REFUSED(identity.roles = 0);
    REFUSED(identity.roles = 8);
    REFUSED(identity.roles = 9);
    REFUSED(identity.epoch = (UINT64_C(1) << 53) + 1);
    REFUSED(identity.epoch = UINT64_MAX);
    REFUSED(identity.issued_at = -1);
    REFUSED(identity.not_before = -1);
    REFUSED(identity.not_before = (INT64_C(1) << 53) + 1);
    REFUSED(identity.expires_at = identity.issued_at);
    REFUSED(identity.expires_at++);
    REFUSED(identity.expires_at = INT64_MAX);
    REFUSED(identity.expires_at = INT64_MAX; identity.issued_at = INT64_MAX - 1);
    REFUSED(used.issuer = "\xff");
    REFUSED(used.audience = "\xc3");
    REFUSED(used.issuer = long_name);
    REFUSED(used.audience = long_name);
#undef REFUSED
    struct mote_identity at_bounds = identity_proper;
    at_bounds.issued_at = 0;
    at_bounds.not_before = 0;
    at_bounds.expires_at = 1;
    at_bounds.epoch = 0;
    assert_int_equal(mote_claims_format(json, sizeof json, &length, &policy, &at_bounds), 0);
    at_bounds.expires_at = INT64_C(1) << 53;
    at_bounds.issued_at = at_bounds.expires_at - 1;
    at_bounds.not_before = at_bounds.expires_at;
    at_bounds.epoch = UINT64_C(1) << 53;
    assert_int_equal(mote_claims_format(json, sizeof json, &length, &policy, &at_bounds), 0);
    const struct mote_jwt_policy longest = {
        .issuer = long_name + 1, .audience = long_name + 1, .leeway = LEEWAY, .lifetime_max = LIFETIME};
    assert_int_equal(mote_claims_format(json, sizeof json, &length, &longest, &identity_proper), 0);
}

static void memory_runs_out(void **state)
{
    char json[1024];
    char made[1024];
    size_t made_length;
    struct mote_identity identity;
    (void)state;
    const size_t length = make(json, sizeof json, NULL, NULL, "");
    size_t failures[2] = {0, 0};
    json_set_alloc_funcs(counting_allocate, free);
    for (unsigned kind = 0; kind < 2; kind++) {
        for (fail_at = 1;; fail_at++) {
            allocations = 0;
            const int result = kind == 0
                                   ? parse_at(&identity, json, length, NOW)
                                   : mote_claims_format(made, sizeof made, &made_length, &policy, &identity_proper);
            if (allocations < fail_at) {
                assert_int_equal(result, 0);
                break;
            }
            assert_int_not_equal(result, 0);
            failures[kind]++;
        }
        assert_true(failures[kind] > 10);
    }
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proper_set_is_read),
        cmocka_unit_test(each_claim_is_required),
        cmocka_unit_test(values_are_strict),
        cmocka_unit_test(other_members_are_bounded),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(deep_nesting_is_not_parsed),
        cmocka_unit_test(time_is_held_to_the_second),
        cmocka_unit_test(the_text_is_this),
        cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(an_improper_identity_is_not_written),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
