/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open-addressing table of addresses, never more than half full; it grows with the number of addresses, which is at
 * most the number of connections, and never shrinks. The hash is keyed, because whoever has many addresses chooses
 * them. Removal shifts the entries behind back, so that no marks of removed ones pile up.
 */
#include "net/peers.h"

#include <netinet/in.h>
#include <pthread.h>

#include "base/assert.h"
#include "security/siphash.h"

#define SLOTS_MIN 64u

struct entry {
    uint64_t key[2]; /* family and address */
    uint64_t count;  /* 0: empty */
};

struct mote_peers {
    struct mote_mem *mem;
    uint64_t connections_max;
    uint64_t per_address_max;
    struct mote_siphash_key hash_key;
    pthread_mutex_t lock;
    uint64_t total;
    size_t used; /* entries that are not empty */
    size_t mask;
    struct entry *entries;
};

/* --- the table --------------------------------------------------------------------------------------------------- */

static size_t slot_of(const struct mote_peers *peers, const uint64_t key[2])
{
    return (size_t)mote_siphash(peers->hash_key, mote_slice(key, 2 * sizeof key[0])) & peers->mask;
}

/* The entry with this key, or the empty one where it belongs. */
static size_t find(const struct mote_peers *peers, const uint64_t key[2])
{
    size_t slot = slot_of(peers, key);
    while (peers->entries[slot].count != 0 &&
           (peers->entries[slot].key[0] != key[0] || peers->entries[slot].key[1] != key[1])) {
        slot = (slot + 1) & peers->mask;
    }
    return slot;
}

static int grow(struct mote_peers *peers)
{
    size_t old_size = peers->entries != NULL ? peers->mask + 1 : 0;
    size_t size = old_size != 0 ? 2 * old_size : SLOTS_MIN;
    struct entry *old = peers->entries;
    struct entry *entries = mote_mem_allocate_zeroed(peers->mem, size * sizeof *entries);
    if (entries == NULL) {
        return MOTE_ENOMEM;
    }
    peers->entries = entries;
    peers->mask = size - 1;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].count != 0) {
            entries[find(peers, old[i].key)] = old[i];
        }
    }
    mote_mem_release(peers->mem, old);
    return 0;
}

/* Closes the gap at `slot`: entries behind it that would not be found any more move into it. */
static void close_gap(struct mote_peers *peers, size_t slot)
{
    size_t next = slot;
    for (;;) {
        next = (next + 1) & peers->mask;
        if (peers->entries[next].count == 0) {
            return;
        }
        size_t home = slot_of(peers, peers->entries[next].key);
        if (((next - home) & peers->mask) >= ((next - slot) & peers->mask)) {
            peers->entries[slot] = peers->entries[next];
            peers->entries[next].count = 0;
            slot = next;
        }
    }
}

static int count_address(struct mote_peers *peers, const uint64_t key[2])
{
    if (2 * (peers->used + 1) > peers->mask + 1) {
        int error = grow(peers);
        if (error != 0) {
            return error;
        }
    }
    struct entry *entry = &peers->entries[find(peers, key)];
    if (entry->count == peers->per_address_max) {
        return MOTE_ELIMIT;
    }
    peers->used += entry->count == 0;
    entry->key[0] = key[0];
    entry->key[1] = key[1];
    entry->count++;
    return 0;
}

static void uncount_address(struct mote_peers *peers, const uint64_t key[2])
{
    size_t slot = find(peers, key);
    mote_assert(peers->entries[slot].count > 0);
    if (--peers->entries[slot].count == 0) {
        peers->used--;
        close_gap(peers, slot);
    }
}

/* --- places ------------------------------------------------------------------------------------------------------ */

/* False for unix sockets: their clients have no address to tell them apart, and are bounded by the total only. */
static bool make_key(uint64_t key[2], const struct mote_address *address)
{
    key[0] = address->storage.ss_family;
    key[1] = 0;
    if (address->storage.ss_family == AF_INET) {
        key[1] = ((const struct sockaddr_in *)&address->storage)->sin_addr.s_addr;
        return true;
    }
    if (address->storage.ss_family != AF_INET6) {
        return false;
    }
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)&address->storage)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6)) {
        uint32_t v4;
        memcpy(&v4, v6->s6_addr + 12, sizeof v4);
        key[0] = AF_INET;
        key[1] = v4;
    } else {
        memcpy(&key[1], v6->s6_addr, sizeof key[1]);
    }
    return true;
}

int mote_peers_new(struct mote_peers **out, struct mote_mem *mem, uint64_t connections_max, uint64_t per_address_max,
                   const struct mote_random *random)
{
    uint8_t seed[16];
    struct mote_peers *peers = mote_mem_allocate_zeroed(mem, sizeof *peers);
    if (peers == NULL) {
        return MOTE_ENOMEM;
    }
    peers->mem = mem;
    peers->connections_max = connections_max;
    peers->per_address_max = per_address_max;
    int error = random->fill(random->context, seed, sizeof seed);
    if (error == 0) {
        peers->hash_key = mote_siphash_key_read(seed);
        error = grow(peers);
    }
    if (error != 0) {
        mote_mem_release(mem, peers);
        return error;
    }
    pthread_mutex_init(&peers->lock, NULL);
    *out = peers;
    return 0;
}

void mote_peers_free(struct mote_peers *peers)
{
    if (peers != NULL) {
        mote_assert(peers->total == 0 && peers->used == 0);
        pthread_mutex_destroy(&peers->lock);
        mote_mem_release(peers->mem, peers->entries);
        mote_mem_release(peers->mem, peers);
    }
}

int mote_peers_reserve(struct mote_peers *peers, struct mote_peer *peer)
{
    *peer = (struct mote_peer){.reserved = false};
    pthread_mutex_lock(&peers->lock);
    if (peers->total < peers->connections_max) {
        peers->total++;
        peer->reserved = true;
    }
    pthread_mutex_unlock(&peers->lock);
    return peer->reserved ? 0 : MOTE_EAGAIN;
}

int mote_peers_identify(struct mote_peers *peers, struct mote_peer *peer, const struct mote_address *address)
{
    uint64_t key[2];
    mote_assert(peer->reserved && !peer->identified);
    if (!make_key(key, address)) {
        return 0;
    }
    pthread_mutex_lock(&peers->lock);
    int error = count_address(peers, key);
    pthread_mutex_unlock(&peers->lock);
    if (error == 0) {
        peer->family = key[0];
        peer->address = key[1];
        peer->identified = true;
    }
    return error;
}

void mote_peers_release(struct mote_peers *peers, struct mote_peer *peer)
{
    const uint64_t key[2] = {peer->family, peer->address};
    if (!peer->reserved) {
        return;
    }
    pthread_mutex_lock(&peers->lock);
    mote_assert(peers->total > 0);
    peers->total--;
    if (peer->identified) {
        uncount_address(peers, key);
    }
    pthread_mutex_unlock(&peers->lock);
    *peer = (struct mote_peer){.reserved = false};
}

size_t mote_peers_count(struct mote_peers *peers)
{
    pthread_mutex_lock(&peers->lock);
    size_t total = (size_t)peers->total;
    pthread_mutex_unlock(&peers->lock);
    return total;
}
