/* SPDX-License-Identifier: Apache-2.0 */
#include "services/revocation.h"

#include <string.h>

#include "base/clock.h"

#define FIRST_CAPACITY  64u
#define CHANGES_AT_ONCE 64u

/* Ids are UUIDs of our own making whose last 8 bytes are random (RFC 9562 §5.7), and reach us inside a MAC: nobody can
 * choose them to collide. The product spreads those that are counted up too. */
static size_t hash_of(const uint8_t id[16])
{
    uint64_t tail;
    memcpy(&tail, id + 8, sizeof tail);
    return (size_t)((tail ^ tail >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

/* The slot of `id`, or the free one where it belongs. There is always a free one. */
static struct mote_revocation_entry *find_slot(struct mote_revocation_entry *slots, size_t capacity,
                                               const uint8_t id[16])
{
    size_t at = hash_of(id) & (capacity - 1);
    while (slots[at].until != 0 && memcmp(slots[at].id, id, sizeof slots[at].id) != 0) {
        at = (at + 1) & (capacity - 1);
    }
    return &slots[at];
}

/* Makes room for one more: drops what is over, and grows when that is not enough. */
static int make_room(struct mote_revocation *set, int64_t now)
{
    if (set->count < MOTE_REVOCATION_MAX && set->count + 1 <= set->capacity / 4 * 3) {
        return 0;
    }
    if (set->full_at == now) {
        return MOTE_ELIMIT;
    }
    size_t live = 0;
    for (size_t i = 0; i < set->capacity; i++) {
        live += set->slots[i].until > now ? 1u : 0u;
    }
    if (live >= MOTE_REVOCATION_MAX) {
        set->full_at = now;
        return MOTE_ELIMIT;
    }
    /* At most half full after it, so that this happens rarely. */
    size_t capacity = FIRST_CAPACITY;
    while (capacity / 2 < live + 1) {
        capacity *= 2;
    }
    struct mote_revocation_entry *slots = mote_mem_allocate_zeroed(set->mem, capacity * sizeof *slots);
    if (slots == NULL) {
        return MOTE_ENOMEM;
    }
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->slots[i].until > now) {
            *find_slot(slots, capacity, set->slots[i].id) = set->slots[i];
        }
    }
    mote_mem_release(set->mem, set->slots);
    set->slots = slots;
    set->capacity = capacity;
    set->count = live;
    return 0;
}

static void raise_to(uint64_t *value, uint64_t to)
{
    if (*value < to) {
        *value = to;
    }
}

void mote_revocation_apply(struct mote_revocation *set, const struct mote_store_change *change, int64_t now)
{
    const uint8_t *id = change->user_id;
    uint64_t revoked_below = 0;
    uint64_t stale_below = 0;
    uint64_t unlocked_below = 0;
    switch (change->kind) {
    case MOTE_STORE_CHANGE_USER_CREATED:
    case MOTE_STORE_CHANGE_USER_UPDATED:
        return;
    case MOTE_STORE_CHANGE_USER_DELETED:
        revoked_below = UINT64_MAX;
        break;
    case MOTE_STORE_CHANGE_USER_EPOCH:
        revoked_below = change->epoch;
        break;
    case MOTE_STORE_CHANGE_USER_ROLES:
        stale_below = change->epoch;
        break;
    case MOTE_STORE_CHANGE_USER_UNLOCKED:
        unlocked_below = change->epoch;
        break;
    case MOTE_STORE_CHANGE_SESSION_REVOKED:
        id = change->session_id;
        revoked_below = UINT64_MAX;
        break;
    case MOTE_STORE_CHANGE_TOKEN_REVOKED:
        id = change->token_id;
        break;
    }
    int64_t time = change->time / (int64_t)MOTE_NS_PER_SECOND;
    int64_t until = time + 1;
    if (change->kind == MOTE_STORE_CHANGE_TOKEN_REVOKED) {
        time = now < time ? now : time; /* it was issued by now, if ever */
    } else {
        until += set->keep;
    }
    if (until <= now) {
        return;
    }
    if (make_room(set, now) != 0) {
        set->stale_until = set->stale_until < time ? time : set->stale_until;
        return;
    }
    struct mote_revocation_entry *entry = find_slot(set->slots, set->capacity, id);
    if (entry->until == 0) {
        memcpy(entry->id, id, sizeof entry->id);
        set->count++;
    }
    entry->until = entry->until < until ? until : entry->until;
    raise_to(&entry->revoked_below, revoked_below);
    raise_to(&entry->stale_below, stale_below);
    raise_to(&entry->unlocked_below, unlocked_below);
}

struct loading {
    struct mote_revocation *set;
    int64_t now;
};

static void take_loaded(void *context, const struct mote_store_change *change)
{
    const struct loading *loading = context;
    mote_revocation_apply(loading->set, change, loading->now);
}

static int load(struct mote_revocation *set, int64_t now)
{
    struct loading loading = {.set = set, .now = now};
    int64_t since = (now - set->keep - 1) * (int64_t)MOTE_NS_PER_SECOND;
    int result = mote_store_load_revocations(set->session, since, &set->position, take_loaded, &loading);
    set->loaded = result == 0;
    return result;
}

static int catch_up(struct mote_revocation *set, int64_t now)
{
    if (!set->loaded) {
        return load(set, now);
    }
    struct mote_store_change changes[CHANGES_AT_ONCE];
    size_t count;
    do {
        count = 0;
        int result = mote_store_read_changes(set->store, &set->position, changes, CHANGES_AT_ONCE, &count);
        if (result == MOTE_ENOTFOUND) {
            return load(set, now);
        }
        if (result != 0) {
            return result;
        }
        for (size_t i = 0; i < count; i++) {
            mote_revocation_apply(set, &changes[i], now);
        }
    } while (count == CHANGES_AT_ONCE);
    return 0;
}

int mote_revocation_init(struct mote_revocation *set, struct mote_mem *mem, struct mote_store *store,
                         struct mote_store_session *session, int64_t keep, int64_t now)
{
    *set = (struct mote_revocation){.mem = mem, .store = store, .session = session, .keep = keep};
    set->stale_until = INT64_MIN;
    int result = load(set, now);
    if (result != 0) {
        mote_revocation_dispose(set);
    }
    return result;
}

void mote_revocation_dispose(struct mote_revocation *set)
{
    if (set->mem != NULL) {
        mote_mem_release(set->mem, set->slots);
    }
    *set = (struct mote_revocation){0};
}

static const struct mote_revocation_entry *find(const struct mote_revocation *set, const uint8_t id[16])
{
    if (set->count == 0) {
        return NULL;
    }
    const struct mote_revocation_entry *entry = find_slot(set->slots, set->capacity, id);
    return entry->until != 0 ? entry : NULL;
}

int mote_revocation_check(struct mote_revocation *set, const struct mote_identity *identity, int64_t now,
                          enum mote_revocation_verdict *verdict)
{
    if (!set->loaded || mote_store_commit_number(set->store) != set->position) {
        int result = catch_up(set, now);
        if (result != 0) {
            return result;
        }
    }
    *verdict = MOTE_REVOCATION_NONE;
    const struct mote_revocation_entry *session = find(set, identity->session_id);
    const struct mote_revocation_entry *user = find(set, identity->user_id);
    if (session != NULL || (user != NULL && identity->epoch < user->revoked_below)) {
        *verdict = MOTE_REVOCATION_REVOKED;
    } else if (find(set, identity->token_id) != NULL) {
        *verdict = MOTE_REVOCATION_TOKEN_REVOKED;
    } else if ((user != NULL && identity->epoch < user->stale_below) || identity->issued_at <= set->stale_until) {
        *verdict = MOTE_REVOCATION_STALE;
    } else if (identity->password_change_required && (user == NULL || identity->epoch >= user->unlocked_below)) {
        *verdict = MOTE_REVOCATION_LOCKED;
    }
    return 0;
}
