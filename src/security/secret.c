/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The comparison goes by words, because it runs over a whole token on each call; mbedtls 2.28 goes by bytes, which
 * takes ten times the instructions.
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

#define BLOCK 64u

/* Two words at once; every compiler for us has them, also where the processor has not. */
typedef uint64_t lanes __attribute__((vector_size(16)));

static inline lanes difference_of_lanes(const uint8_t *a, const uint8_t *b)
{
    lanes left;
    lanes right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left ^ right;
}

static inline uint64_t difference_of_words(const uint8_t *a, const uint8_t *b)
{
    uint64_t left;
    uint64_t right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left ^ right;
}

static inline uint64_t difference_of_blocks(const uint8_t *a, const uint8_t *b)
{
    const lanes difference = difference_of_lanes(a, b) | difference_of_lanes(a + 16, b + 16) |
                             difference_of_lanes(a + 32, b + 32) | difference_of_lanes(a + 48, b + 48);
    return difference[0] | difference[1];
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
    for (; length - i >= BLOCK; i += BLOCK) {
        difference = opaque(difference | difference_of_blocks(left + i, right + i));
    }
    if (i != 0) {
        /* What is left, with some of what was before it. */
        return opaque(difference | difference_of_blocks(left + length - BLOCK, right + length - BLOCK)) == 0;
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
