/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets as configured: decoding at its bounds, what is refused as weak, and that generated ones are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/text.h"
#include "security/secret_text.h"

#define TOO_SHORT   "too short (need at least 32 bytes)"
#define TOO_LONG    "too long (at most 1024 bytes)"
#define NOT_BASE64  "not valid base64 after \"base64:\""
#define REPETITION  "one piece repeated"
#define SEQUENCE    "a sequence of characters"
#define WORD        "one word"
#define PLACEHOLDER "a placeholder, not a secret"

static void weak_ones_are_refused(void **state)
{
    static const struct {
        const char *secret;
        const char *weakness;
    } cases[] = {
        {"", TOO_SHORT},
        {"secret", TOO_SHORT},
        {"changeme", TOO_SHORT},
        {"Zk4v8Q2xW7nR1tY5uB9cD3fG6hJ0mLp", TOO_SHORT}, /* 31 */
        {"Zk4v8Q2xW7nR1tY5uB9cD3fG6hJ0mLpX", NULL},     /* 32 */
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", REPETITION},
        {"secretsecretsecretsecretsecretsecret", REPETITION},
        {"secretsecretsecretsecretsecretse", REPETITION},
        {"0123456789abcdef0123456789abcdef", REPETITION},
        {"change-me-change-me-change-me-cha", REPETITION},
        {"Zk4v8Q2xW7nR1tY5Zk4v8Q2xW7nR1tY5", REPETITION},
        {"abcdefghijklmnopqrstuvwxyz012345", SEQUENCE},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", SEQUENCE},
        {"zyxwvutsrqponmlkjihgfedcba987654", SEQUENCE},
        {"00000000000000000000000000000001", SEQUENCE},
        {"donaudampfschifffahrtsgesellschaft", WORD},
        {"Donaudampfschifffahrtsgesellschaft", WORD},
        {"DONAUDAMPFSCHIFFFAHRTSGESELLSCHAFT", WORD},
        {"ZUGSPITZBAHNHOFSWAERMEVERZEICHNIZ", WORD},
        {"zugspitzbahnhofswaermeverzeichniz", WORD},
        {"qWmZrTyBnKpLsDfGhJcVxQwErTyUiOpAs", NULL},
        {"Donaudampfschifffahrtsgesellschaf{", NULL},
        /* 16 and 17 steps of 32 characters */
        {"abcdefghijklmnopq7Kx2Vm9Qw4Zt1Ry", NULL},
        {"abcdefghijklmnopqr7Kx2Vm9Qw4Zt1R", SEQUENCE},
        /* 15 and 16 characters beside the words */
        {"secret-password-token-k9x2m7q4w1z8v5t", PLACEHOLDER},
        {"secret-password-token-k9x2m7q4w1z8v5tp", NULL},
        {"secret password token k9x2m7q4w1z8v5t", PLACEHOLDER},
        {"k9x2m7q4w1z8v5t secret password token", PLACEHOLDER},
        {"your-256-bit-secret-your-256-bit!", PLACEHOLDER},
        {"a-string-secret-at-least-256-bits-long", PLACEHOLDER},
        {"your-super-secret-jwt-key-change-this-in-production", PLACEHOLDER},
        {"my_super_secret_key_that_is_long_enough", PLACEHOLDER},
        {"ChangeMeInProductionPlease_32Chars!!", PLACEHOLDER},
        {"this-must-be-at-least-32-characters-long", PLACEHOLDER},
        {"CHANGE_ME_TO_A_RANDOM_STRING_OF_64_BYTES", PLACEHOLDER},
        {"correct-horse-battery-staple-4711", NULL},
        {"prod-secret-4f1c9a7be2d85630", TOO_SHORT},
        {"prod-secret-4f1c9a7be2d856301122", NULL},
        /* openssl rand -hex 32, -base64 32, uuidgen */
        {"9f2c4e8a1b7d3f6058c9e2a4b6d81f307c5e9a2b4d6f8013579bdf2468ace024", NULL},
        {"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRXeJA=", NULL},
        {"5f0c9b1e-7a44-4a8e-9b53-0d7c1f2e6a90", NULL},
        /* The bytes behind the prefix count. */
        {"base64:", TOO_SHORT},
        {"base64:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", REPETITION},
        {"base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", SEQUENCE},
        {"base64:8TGwb3FJ7QmZyPLqcK0bY2nCzR5A4XUe6hVd9kJtWg==", TOO_SHORT}, /* 31 */
        {"base64:8TGwb3FJ7QmZyPLqcK0bY2nCzR5A4XUe6hVd9kJtWgE=", NULL},      /* 32 */
        {"base64:8TGwb3FJ7QmZyPLqcK0bY2nCzR5A4XUe6hVd9kJtWgE", NULL},
        {"base64:8TGwb3FJ7QmZyPLqcK0bY2nCzR5A4XUe6hVd9kJtW-_AAAAA", NULL},
        {"base64:c2VjcmV0LXNlY3JldA==", TOO_SHORT},
        {"base64:8TGwb3FJ7QmZyPLqcK0bY2nCzR5A4XUe6hVd9kJtWgF=", NOT_BASE64},
        {"base64:8TGwb3FJ7QmZyPLqcK0bY2nCzR5A4XUe 6hVd9kJtWg=", NOT_BASE64},
        {"base64:8TGwb3FJ7QmZyPLqcK0bY2nCzR5A4XUe+hVd9kJtW-==", NOT_BASE64},
        {"base64:not base64 at all, but long enough", NOT_BASE64},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *weakness = mote_secret_weakness(mote_slice_text(cases[i].secret));
        if (weakness == NULL ? cases[i].weakness != NULL
                             : cases[i].weakness == NULL || strcmp(weakness, cases[i].weakness) != 0) {
            fail_msg("\"%s\": %s instead of %s", cases[i].secret, weakness == NULL ? "fine" : weakness,
                     cases[i].weakness == NULL ? "fine" : cases[i].weakness);
        }
    }
}

/* A generator with a fixed seed stands for random bytes. */
static uint64_t next_random(uint64_t *seed)
{
    *seed += 0x9e3779b97f4a7c15u;
    uint64_t value = *seed;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

static void random_ones_pass(void **state)
{
    uint64_t seed = 1;
    (void)state;
    for (unsigned round = 0; round < 5000; round++) {
        uint8_t bytes[32];
        char text[72] = "base64:";
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t)next_random(&seed);
        }
        const struct mote_slice raw = mote_slice(bytes, sizeof bytes);
        assert_null(mote_secret_weakness(raw));
        mote_base64_encode(text + 7, raw, MOTE_BASE64_PADDED);
        assert_null(mote_secret_weakness(mote_slice(text, 51)));
        assert_null(mote_secret_weakness(mote_slice(text + 7, 44)));
        mote_hex_encode(text, raw);
        assert_null(mote_secret_weakness(mote_slice(text, 64)));
        /* 16 bytes in hexadecimal are just long enough. */
        assert_null(mote_secret_weakness(mote_slice(text, 32)));
    }
}

static void length_is_bounded(void **state)
{
    uint8_t text[8 + 4 * MOTE_SECRET_MAX];
    uint8_t bytes[MOTE_SECRET_MAX + 4];
    uint8_t out[MOTE_SECRET_TEXT_ROOM];
    size_t length;
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * i * 31 + i / 7 + 128);
    }
    assert_int_equal(mote_secret_text_decode(out, &length, mote_slice(bytes, MOTE_SECRET_MAX)), 0);
    assert_int_equal(length, MOTE_SECRET_MAX);
    assert_memory_equal(out, bytes, MOTE_SECRET_MAX);
    assert_int_equal(mote_secret_text_decode(out, &length, mote_slice(bytes, MOTE_SECRET_MAX + 1)), MOTE_ELIMIT);
    assert_string_equal(mote_secret_weakness(mote_slice(bytes, MOTE_SECRET_MAX + 1)), TOO_LONG);
    assert_int_equal(mote_secret_length(mote_slice(bytes, MOTE_SECRET_MAX + 1)), MOTE_SECRET_MAX + 1);
    memcpy(text, "base64:", 7);
    for (size_t count = MOTE_SECRET_MAX - 2; count <= sizeof bytes; count++) {
        mote_base64_encode((char *)text + 7, mote_slice(bytes, count), MOTE_BASE64_PADDED);
        const struct mote_slice secret = mote_slice(text, 7 + mote_base64_encoded_length(count, MOTE_BASE64_PADDED));
        const bool fits = count <= MOTE_SECRET_MAX;
        assert_int_equal(mote_secret_text_decode(out, &length, secret), fits ? 0 : MOTE_ELIMIT);
        if (fits) {
            assert_int_equal(length, count);
            assert_memory_equal(out, bytes, count);
            assert_int_equal(mote_secret_length(secret), count);
        }
    }
    memset(text + 7, 'A', sizeof text - 7);
    assert_string_equal(mote_secret_weakness(mote_slice(text, sizeof text)), TOO_LONG);
}

static void length_is_of_the_bytes(void **state)
{
    (void)state;
    assert_int_equal(mote_secret_length(mote_slice(NULL, 0)), 0);
    assert_int_equal(mote_secret_length(mote_slice_text("twelve bytes")), 12);
    assert_int_equal(mote_secret_length(mote_slice_text("base64:c2VjcmV0")), 6);
    assert_int_equal(mote_secret_length(mote_slice_text("base64:c2VjcmU")), 5);
    assert_int_equal(mote_secret_length(mote_slice_text("base64:c2VjcmV0!")), 0);
    assert_int_equal(mote_secret_length(mote_slice_text("base64")), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weak_ones_are_refused),
        cmocka_unit_test(random_ones_pass),
        cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(length_is_of_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
