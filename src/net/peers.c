/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open-addressing table of address keys, never more than half full, since there are at most as many addresses as
 * connections. Removal shifts the entries behind back, so that no marks of removed ones pile up.
 */
#include "net/peers.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/assert.h"

struct entry {
    uint64_t key[2]; /* family and address; count 0 means empty */
    uint32_t count;
};

struct mote_peers {
    struct mote_mem *mem;
    pthread_mutex_t lock;
    size_t total;
    size_t total_max;
    size_t per_address_max;
    size_t mask;
    struct entry entries[];
};

/* Unix sockets share one key: their clients are on this machine, and have no address to tell them apart. They are
 * bounded by the total only. */
static bool make_key(uint64_t key[2], const struct mote_address *address)
{
    key[0] = address->storage.ss_family;
    key[1] = 0;
    if (address->storage.ss_family == AF_INET) {
        key[1] = ((const struct sockaddr_in *)&address->storage)->sin_addr.s_addr;
        return true;
    }
    if (address->storage.ss_family == AF_INET6) {
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
    return false;
}

static size_t slot_of(const struct mote_peers *peers, const uint64_t key[2])
{
    uint64_t hash = (key[0] * 0x9e3779b97f4a7c15u) ^ (key[1] * 0xc2b2ae3d27d4eb4fu);
    hash ^= hash >> 29;
    return (size_t)((hash * 0x9e3779b97f4a7c15u) >> 32) & peers->mask;
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

int mote_peers_new(struct mote_peers **out, struct mote_mem *mem, size_t connections_max, size_t per_address_max)
{
    size_t size = 16;
    struct mote_peers *peers;
    while (size < 2 * connections_max) {
        size *= 2;
    }
    peers = mote_mem_allocate_zeroed(mem, sizeof *peers + size * sizeof peers->entries[0]);
    if (peers == NULL) {
        return MOTE_ENOMEM;
    }
    peers->mem = mem;
    peers->mask = size - 1;
    peers->total_max = connections_max;
    peers->per_address_max = per_address_max;
    pthread_mutex_init(&peers->lock, NULL);
    *out = peers;
    return 0;
}

void mote_peers_free(struct mote_peers *peers)
{
    if (peers != NULL) {
        mote_assert(peers->total == 0);
        pthread_mutex_destroy(&peers->lock);
        mote_mem_release(peers->mem, peers);
    }
}

int mote_peers_add(struct mote_peers *peers, const struct mote_address *address)
{
    uint64_t key[2];
    bool keyed = make_key(key, address);
    int error = 0;
    pthread_mutex_lock(&peers->lock);
    if (peers->total == peers->total_max) {
        error = MOTE_EAGAIN;
    } else if (keyed) {
        struct entry *entry = &peers->entries[find(peers, key)];
        if (entry->count == peers->per_address_max) {
            error = MOTE_ELIMIT;
        } else {
            entry->key[0] = key[0];
            entry->key[1] = key[1];
            entry->count++;
        }
    }
    peers->total += error == 0;
    pthread_mutex_unlock(&peers->lock);
    return error;
}

/* Closes the gap at `slot`: entries behind it that would not be found any more move into it. */
static void close_gap(struct mote_peers *peers, size_t slot)
{
    size_t next = slot;
    for (;;) {
        size_t home;
        next = (next + 1) & peers->mask;
        if (peers->entries[next].count == 0) {
            break;
        }
        home = slot_of(peers, peers->entries[next].key);
        if (((next - home) & peers->mask) >= ((next - slot) & peers->mask)) {
            peers->entries[slot] = peers->entries[next];
            peers->entries[next].count = 0;
            slot = next;
        }
    }
}

void mote_peers_remove(struct mote_peers *peers, const struct mote_address *address)
{
    uint64_t key[2];
    bool keyed = make_key(key, address);
    pthread_mutex_lock(&peers->lock);
    mote_assert(peers->total > 0);
    peers->total--;
    if (keyed) {
        size_t slot = find(peers, key);
        mote_assert(peers->entries[slot].count > 0);
        if (--peers->entries[slot].count == 0) {
            close_gap(peers, slot);
        }
    }
    pthread_mutex_unlock(&peers->lock);
}

size_t mote_peers_count(struct mote_peers *peers)
{
    size_t total;
    pthread_mutex_lock(&peers->lock);
    total = peers->total;
    pthread_mutex_unlock(&peers->lock);
    return total;
}
