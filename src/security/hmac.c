/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of SHA-256 after the inner and the outer padded key is kept and cloned for each message: two of the seven
 * or so compressions of a token's MAC are saved.
 */
#include "security/hmac.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "security/secret.h"
#include "security/sha256.h"

#define BLOCK 64u

struct states {
    mbedtls_sha256_context inner;
    mbedtls_sha256_context outer;
};

struct mote_hmac {
    struct mote_mem *mem;
    atomic_uint owners;
    struct states states;
};

static void start_padded(mbedtls_sha256_context *context, const uint8_t key[BLOCK], uint8_t pad)
{
    uint8_t padded[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        padded[i] = key[i] ^ pad;
    }
    mote_sha256_start(context);
    mote_sha256_update(context, mote_slice(padded, sizeof padded));
    mote_secret_wipe(padded, sizeof padded);
}

static void init_states(struct states *states, struct mote_slice key)
{
    uint8_t block[BLOCK] = {0};
    if (key.length > BLOCK) {
        mote_sha256(block, key);
    } else if (key.length != 0) {
        memcpy(block, key.data, key.length);
    }
    start_padded(&states->inner, block, 0x36);
    start_padded(&states->outer, block, 0x5c);
    mote_secret_wipe(block, sizeof block);
}

static void dispose_states(struct states *states)
{
    mbedtls_sha256_free(&states->inner);
    mbedtls_sha256_free(&states->outer);
}

/* The MAC of `first` followed by `second`. */
static void compute(const struct states *states, struct mote_slice first, struct mote_slice second, uint8_t out[32])
{
    mbedtls_sha256_context context;
    uint8_t digest[32];
    mbedtls_sha256_init(&context);
    mbedtls_sha256_clone(&context, &states->inner);
    mote_sha256_update(&context, first);
    mote_sha256_update(&context, second);
    mote_sha256_finish(&context, digest);
    mbedtls_sha256_init(&context);
    mbedtls_sha256_clone(&context, &states->outer);
    mote_sha256_update(&context, mote_slice(digest, sizeof digest));
    mote_sha256_finish(&context, out);
    mote_secret_wipe(digest, sizeof digest);
}

int mote_hmac_new(struct mote_hmac **out, struct mote_mem *mem, struct mote_slice key)
{
    struct mote_hmac *hmac = mote_mem_allocate(mem, sizeof *hmac);
    if (hmac == NULL) {
        return MOTE_ENOMEM;
    }
    hmac->mem = mem;
    atomic_init(&hmac->owners, 1);
    init_states(&hmac->states, key);
    *out = hmac;
    return 0;
}

struct mote_hmac *mote_hmac_ref(struct mote_hmac *hmac)
{
    atomic_fetch_add(&hmac->owners, 1);
    return hmac;
}

void mote_hmac_free(struct mote_hmac *hmac)
{
    if (hmac != NULL && atomic_fetch_sub(&hmac->owners, 1) == 1) {
        dispose_states(&hmac->states);
        mote_mem_release(hmac->mem, hmac);
    }
}

void mote_hmac_compute(const struct mote_hmac *hmac, struct mote_slice data, uint8_t out[32])
{
    compute(&hmac->states, data, mote_slice(NULL, 0), out);
}

void mote_hmac_derive(uint8_t out[32], struct mote_slice salt, struct mote_slice secret, struct mote_slice info)
{
    static const uint8_t first_block[1] = {1};
    struct states states;
    uint8_t extracted[32];
    init_states(&states, salt);
    compute(&states, secret, mote_slice(NULL, 0), extracted);
    dispose_states(&states);
    init_states(&states, mote_slice(extracted, sizeof extracted));
    compute(&states, info, mote_slice(first_block, sizeof first_block), out);
    dispose_states(&states);
    mote_secret_wipe(extracted, sizeof extracted);
}

void mote_hmac_stretch(uint8_t out[32], struct mote_slice password, struct mote_slice salt, uint32_t iterations)
{
    static const uint8_t first_block[4] = {0, 0, 0, 1};
    struct states states;
    uint8_t link[32];
    init_states(&states, password);
    compute(&states, salt, mote_slice(first_block, sizeof first_block), link);
    memcpy(out, link, sizeof link);
    for (uint32_t i = 1; i < iterations; i++) {
        compute(&states, mote_slice(link, sizeof link), mote_slice(NULL, 0), link);
        for (size_t k = 0; k < sizeof link; k++) {
            out[k] ^= link[k];
        }
    }
    dispose_states(&states);
    mote_secret_wipe(link, sizeof link);
}
