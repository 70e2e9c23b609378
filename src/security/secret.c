/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The comparison goes by words, because it runs over a whole token on each call; mbedtls 2.28 goes by bytes, which
 * takes seven times the instructions.
 */
#include "security/secret.h"

#include <mbedtls/platform_util.h>
#include <string.h>

#include "security/sha256.h"

void mote_secret_wipe(void *secret, size_t length)
{
    if (length != 0) {
        mbedtls_platform_zeroize(secret, length);
    }
}

static inline uint64_t difference_of_words(const uint8_t *a, const uint8_t *b)
{
    uint64_t left;
    uint64_t right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left ^ right;
}

/* The compiler must take the value as unknown, and so cannot leave a loop early because of it. */
static inline uint64_t opaque(uint64_t value)
{
    __asm__ volatile("" : "+r"(value));
    return value;
}

bool mote_secret_equals(const void *a, const void *b, size_t length)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    uint64_t difference = 0;
    size_t i = 0;
    for (; length - i >= 32; i += 32) {
        difference |= difference_of_words(left + i, right + i);
        difference |= difference_of_words(left + i + 8, right + i + 8);
        difference |= difference_of_words(left + i + 16, right + i + 16);
        difference |= difference_of_words(left + i + 24, right + i + 24);
        difference = opaque(difference);
    }
    for (; length - i >= 8; i += 8) {
        difference = opaque(difference | difference_of_words(left + i, right + i));
    }
    for (; i < length; i++) {
        difference = opaque(difference | (uint64_t)(left[i] ^ right[i]));
    }
    return difference == 0;
}

void mote_sha256(uint8_t out[32], struct mote_slice data)
{
    mbedtls_sha256_context context;
    mote_sha256_start(&context);
    mote_sha256_update(&context, data);
    mote_sha256_finish(&context, out);
}
