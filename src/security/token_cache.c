/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of four slots; the slot's tag is a keyed hash of the token's end, where its signature is. Tokens that were
 * entered differ there, because their MACs differ; a forgery with another's signature gets that one's tag and is told
 * apart by the comparison, which goes over all bytes. So a look-up hashes 24 bytes instead of 400. The slots of a set
 * are one cache line; token and identity are in a block of their own, made when the token is entered and wiped when it
 * goes. At most MOTE_TOKEN_CACHE_ENTRIES × (MOTE_JWT_LENGTH_MAX + about 120) bytes.
 */
#include "security/token_cache.h"

#include <stdbool.h>
#include <string.h>

#include "security/secret.h"
#include "security/siphash.h"

#define WAYS      4u
#define SET_COUNT (MOTE_TOKEN_CACHE_ENTRIES / WAYS)
#define TAIL      24u /* hashed: 144 bits of the signature */

_Static_assert((SET_COUNT & (SET_COUNT - 1)) == 0, "a set is chosen by the bits of the hash");

struct entry {
    struct mote_identity identity;
    uint64_t number; /* of its entering: the smallest of a full set goes */
    size_t length;
    uint8_t token[];
};

struct slot {
    uint64_t tag;
    struct entry *entry; /* NULL: free */
};

struct mote_token_cache {
    struct mote_mem *mem;
    struct mote_siphash_key key;
    uint64_t entered;
    struct slot sets[SET_COUNT][WAYS];
};

static uint64_t tag_of(const struct mote_token_cache *cache, struct mote_slice token)
{
    const size_t skipped = token.length > TAIL ? token.length - TAIL : 0;
    return mote_siphash(cache->key, mote_slice(token.data + skipped, token.length - skipped));
}

static void drop(struct mote_token_cache *cache, struct slot *slot)
{
    if (slot->entry != NULL) {
        mote_secret_wipe(slot->entry, sizeof *slot->entry + slot->entry->length);
        mote_mem_release(cache->mem, slot->entry);
        *slot = (struct slot){0};
    }
}

static struct slot *find_slot(struct slot set[WAYS], uint64_t tag, struct mote_slice token)
{
    for (size_t i = 0; i < WAYS; i++) {
        const struct entry *entry = set[i].entry;
        if (set[i].tag == tag && entry != NULL && entry->length == token.length &&
            mote_secret_equals(entry->token, token.data, token.length)) {
            return &set[i];
        }
    }
    return NULL;
}

/* A free slot, or the one whose entry was entered first. */
static struct slot *choose_slot(struct slot set[WAYS])
{
    struct slot *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].entry == NULL) {
            return &set[i];
        }
        if (set[i].entry->number < oldest->entry->number) {
            oldest = &set[i];
        }
    }
    return oldest;
}

int mote_token_cache_new(struct mote_token_cache **out, struct mote_mem *mem, const struct mote_random *random)
{
    uint8_t key[16];
    const int filled = random->fill(random->context, key, sizeof key);
    if (filled != 0) {
        return filled;
    }
    struct mote_token_cache *cache = mote_mem_allocate_zeroed(mem, sizeof *cache);
    if (cache == NULL) {
        return MOTE_ENOMEM;
    }
    cache->mem = mem;
    cache->key = mote_siphash_key_read(key);
    mote_secret_wipe(key, sizeof key);
    *out = cache;
    return 0;
}

void mote_token_cache_free(struct mote_token_cache *cache)
{
    if (cache != NULL) {
        mote_token_cache_clear(cache);
        struct mote_mem *mem = cache->mem;
        mote_secret_wipe(cache, sizeof *cache);
        mote_mem_release(mem, cache);
    }
}

const struct mote_identity *mote_token_cache_find(struct mote_token_cache *cache, struct mote_slice token, int64_t now)
{
    if (token.length == 0) {
        return NULL;
    }
    const uint64_t tag = tag_of(cache, token);
    struct slot *slot = find_slot(cache->sets[tag % SET_COUNT], tag, token);
    if (slot == NULL) {
        return NULL;
    }
    if (slot->entry->identity.expires_at <= now) {
        drop(cache, slot);
        return NULL;
    }
    return &slot->entry->identity;
}

void mote_token_cache_add(struct mote_token_cache *cache, struct mote_slice token, const struct mote_identity *identity)
{
    if (token.length == 0 || token.length > MOTE_JWT_LENGTH_MAX) {
        return;
    }
    const uint64_t tag = tag_of(cache, token);
    struct slot *slot = find_slot(cache->sets[tag % SET_COUNT], tag, token);
    if (slot != NULL) {
        slot->entry->identity = *identity;
        return;
    }
    struct entry *entry = mote_mem_allocate(cache->mem, sizeof *entry + token.length);
    if (entry == NULL) {
        return;
    }
    entry->identity = *identity;
    entry->number = cache->entered++;
    entry->length = token.length;
    memcpy(entry->token, token.data, token.length);
    slot = choose_slot(cache->sets[tag % SET_COUNT]);
    drop(cache, slot);
    *slot = (struct slot){.tag = tag, .entry = entry};
}

void mote_token_cache_clear(struct mote_token_cache *cache)
{
    for (size_t set = 0; set < SET_COUNT; set++) {
        for (size_t i = 0; i < WAYS; i++) {
            drop(cache, &cache->sets[set][i]);
        }
    }
}
