/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chained buckets over a fixed array, under one lock that is held for a few look-ups. The whole array is walked only
 * for a new entry in a full table, which costs whoever causes it a password hash.
 */
#include "services/throttle.h"

#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/network.h"
#include "security/siphash.h"

#define ACCOUNT_MAX  255u /* more of a name is not looked at; requests are bounded by less */
#define ADDRESS_MAX  64u
#define PREFIX_BYTES 8u /* of an IPv6 address */

enum scope {
    SCOPE_PAIR,
    SCOPE_ACCOUNT, /* mote_throttle_account_id */
    SCOPE_ADDRESS,
    SCOPE_COUNT,
};

static const struct rule {
    uint64_t window_ns;
    uint32_t failures;
} rules[SCOPE_COUNT] = {
    [SCOPE_PAIR] = {MOTE_THROTTLE_FORGET_NS, MOTE_THROTTLE_PAIR_FAILURES},
    [SCOPE_ACCOUNT] = {MOTE_THROTTLE_ACCOUNT_NS, MOTE_THROTTLE_ACCOUNT_FAILURES},
    [SCOPE_ADDRESS] = {MOTE_THROTTLE_ADDRESS_NS, MOTE_THROTTLE_ADDRESS_FAILURES},
};

struct entry {
    uint64_t id;
    uint64_t failed_at; /* last */
    uint64_t expires;   /* from then on the failures count as none */
    uint64_t until;     /* refused before */
    uint32_t failures;
    uint32_t next; /* of the bucket; places count from 1, 0 is the end */
};

struct mote_throttle {
    struct mote_mem *mem;
    struct mote_siphash_key key;
    pthread_mutex_t lock; /* of what follows */
    uint32_t used;
    uint32_t buckets[MOTE_THROTTLE_ENTRIES];
    struct entry entries[MOTE_THROTTLE_ENTRIES];
};

int mote_throttle_new(struct mote_throttle **out, struct mote_mem *mem, const struct mote_random *random)
{
    uint8_t key[16];
    int result = random->fill(random->context, key, sizeof key);
    if (result != 0) {
        return result;
    }
    struct mote_throttle *throttle = mote_mem_allocate_zeroed(mem, sizeof *throttle);
    if (throttle == NULL) {
        return MOTE_ENOMEM;
    }
    throttle->mem = mem;
    throttle->key = mote_siphash_key_read(key);
    result = pthread_mutex_init(&throttle->lock, NULL);
    mote_assert(result == 0);
    *out = throttle;
    return 0;
}

void mote_throttle_free(struct mote_throttle *throttle)
{
    if (throttle != NULL) {
        (void)pthread_mutex_destroy(&throttle->lock);
        mote_mem_release(throttle->mem, throttle);
    }
}

/* --- who --------------------------------------------------------------------------------------------------------- */

/* What counts of an address, to `out`; its length. */
static size_t reduce_address(uint8_t out[ADDRESS_MAX], const char *address)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}; /* RFC 4291 §2.5.5.2 */
    const struct mote_slice text = mote_slice_text(address);
    struct mote_ip ip;
    if (mote_ip_parse(&ip, text) == 0) {
        memcpy(out, ip.bytes, sizeof ip.bytes);
        return memcmp(ip.bytes, mapped, sizeof mapped) == 0 ? sizeof ip.bytes : PREFIX_BYTES;
    }
    const size_t length = text.length < ADDRESS_MAX ? text.length : ADDRESS_MAX;
    memcpy(out, text.data, length);
    return length;
}

void mote_throttle_attempt_init(struct mote_throttle_attempt *attempt, const struct mote_throttle *throttle,
                                struct mote_slice account, const char *address)
{
    uint8_t bytes[1 + ACCOUNT_MAX + 1 + ADDRESS_MAX];
    const size_t length = account.length < ACCOUNT_MAX ? account.length : ACCOUNT_MAX;
    for (size_t i = 0; i < length; i++) {
        const uint8_t byte = account.data[i];
        bytes[1 + i] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
    }
    bytes[1 + length] = '\0';
    const size_t address_length = reduce_address(bytes + length + 2, address);
    const struct mote_slice parts[SCOPE_COUNT] = {
        [SCOPE_PAIR] = mote_slice(bytes, length + 2 + address_length),
        [SCOPE_ACCOUNT] = mote_slice(bytes, length + 1),
        [SCOPE_ADDRESS] = mote_slice(bytes + length + 1, 1 + address_length),
    };
    for (uint8_t scope = 0; scope < SCOPE_COUNT; scope++) {
        bytes[scope == SCOPE_ADDRESS ? length + 1 : 0] = scope;
        attempt->ids[scope] = mote_siphash(throttle->key, parts[scope]);
    }
}

/* --- the table --------------------------------------------------------------------------------------------------- */

static uint32_t *bucket_of(struct mote_throttle *throttle, uint64_t id)
{
    return &throttle->buckets[id % MOTE_THROTTLE_ENTRIES];
}

static struct entry *find(struct mote_throttle *throttle, uint64_t id)
{
    uint32_t place = *bucket_of(throttle, id);
    while (place != 0 && throttle->entries[place - 1].id != id) {
        place = throttle->entries[place - 1].next;
    }
    return place != 0 ? &throttle->entries[place - 1] : NULL;
}

/* Whether `a` goes before `b`: over, not refused at present, failed longer ago. */
static bool goes_before(const struct entry *a, const struct entry *b, uint64_t now)
{
    if ((a->until > now) != (b->until > now)) {
        return b->until > now;
    }
    if ((a->expires > now) != (b->expires > now)) {
        return b->expires > now;
    }
    return a->failed_at < b->failed_at;
}

static struct entry *take_place(struct mote_throttle *throttle, uint64_t now)
{
    if (throttle->used < MOTE_THROTTLE_ENTRIES) {
        return &throttle->entries[throttle->used++];
    }
    struct entry *first = &throttle->entries[0];
    for (struct entry *entry = first + 1; entry < throttle->entries + MOTE_THROTTLE_ENTRIES; entry++) {
        first = goes_before(entry, first, now) ? entry : first;
    }
    const uint32_t place = (uint32_t)(first - throttle->entries) + 1;
    uint32_t *link = bucket_of(throttle, first->id);
    while (*link != place) {
        link = &throttle->entries[*link - 1].next;
    }
    *link = first->next;
    return first;
}

static struct entry *find_or_add(struct mote_throttle *throttle, uint64_t id, uint64_t now)
{
    struct entry *entry = find(throttle, id);
    if (entry == NULL) {
        entry = take_place(throttle, now);
        uint32_t *bucket = bucket_of(throttle, id);
        *entry = (struct entry){.id = id, .next = *bucket};
        *bucket = (uint32_t)(entry - throttle->entries) + 1;
    }
    return entry;
}

/* --- counting ---------------------------------------------------------------------------------------------------- */

static void count_failure(struct entry *entry, enum scope scope, uint64_t now)
{
    const struct rule *rule = &rules[scope];
    const bool is_new = entry->expires <= now;
    entry->failures = is_new ? 1 : entry->failures + 1;
    entry->failed_at = now;
    if (is_new || scope == SCOPE_PAIR) {
        entry->expires = now + rule->window_ns;
    }
    if (entry->failures < rule->failures) {
        return;
    }
    entry->until = entry->expires;
    if (scope == SCOPE_PAIR) {
        uint64_t pause = MOTE_THROTTLE_PAUSE_NS;
        for (uint32_t i = rule->failures; i < entry->failures && pause < MOTE_THROTTLE_PAUSE_MAX_NS; i++) {
            pause *= 2;
        }
        entry->until = now + (pause < MOTE_THROTTLE_PAUSE_MAX_NS ? pause : MOTE_THROTTLE_PAUSE_MAX_NS);
    }
}

static uint64_t refused_for(struct mote_throttle *throttle, const struct mote_throttle_attempt *attempt, uint64_t now)
{
    uint64_t wait = 0;
    for (unsigned scope = 0; scope < SCOPE_COUNT; scope++) {
        const struct entry *entry = find(throttle, attempt->ids[scope]);
        if (entry != NULL && entry->until > now && entry->until - now > wait) {
            wait = entry->until - now;
        }
    }
    return wait;
}

uint64_t mote_throttle_check(struct mote_throttle *throttle, const struct mote_throttle_attempt *attempt, uint64_t now)
{
    (void)pthread_mutex_lock(&throttle->lock);
    const uint64_t wait = refused_for(throttle, attempt, now);
    (void)pthread_mutex_unlock(&throttle->lock);
    return wait;
}

uint64_t mote_throttle_end(struct mote_throttle *throttle, const struct mote_throttle_attempt *attempt, bool succeeded,
                           uint64_t now)
{
    (void)pthread_mutex_lock(&throttle->lock);
    const uint64_t wait = refused_for(throttle, attempt, now);
    if (wait == 0 && succeeded) {
        struct entry *entry = find(throttle, attempt->ids[SCOPE_PAIR]);
        if (entry != NULL) {
            entry->expires = 0;
        }
    } else if (wait == 0) {
        for (unsigned scope = 0; scope < SCOPE_COUNT; scope++) {
            count_failure(find_or_add(throttle, attempt->ids[scope], now), (enum scope)scope, now);
        }
    }
    (void)pthread_mutex_unlock(&throttle->lock);
    return wait;
}
