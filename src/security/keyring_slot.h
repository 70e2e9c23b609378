/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyring in force, for all threads. Each thread holds one of its own and asks before it uses it whether that is
 * still the one in force: one atomic load, a lock only when it is not. A token that a thread signed with a new key is
 * known to every other that asks after it: the key was published before.
 */
#ifndef MOTE_SECURITY_KEYRING_SLOT_H
#define MOTE_SECURITY_KEYRING_SLOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "security/keyring.h"

struct mote_keyring_slot {
    pthread_mutex_t mutex; /* a keyring must not go between its being looked up and its being held */
    _Atomic(struct mote_keyring *) current;
};

/* Takes `keyring`. */
void mote_keyring_slot_init(struct mote_keyring_slot *slot, struct mote_keyring *keyring);
/* After the last thread has given up its own. Works on a zeroed struct. */
void mote_keyring_slot_dispose(struct mote_keyring_slot *slot);
/* Takes `keyring`; whoever holds the one before may go on using it. Any thread. */
void mote_keyring_slot_publish(struct mote_keyring_slot *slot, struct mote_keyring *keyring);
/* The slow half of the next. */
void mote_keyring_slot_take(struct mote_keyring_slot *slot, struct mote_keyring **held);

/* Brings *held (NULL: none yet) up to date; true when it changed. The caller owns what it holds: mote_keyring_free. */
static inline bool mote_keyring_slot_follow(struct mote_keyring_slot *slot, struct mote_keyring **held)
{
    if (atomic_load_explicit(&slot->current, memory_order_acquire) == *held) {
        return false;
    }
    mote_keyring_slot_take(slot, held);
    return true;
}

#endif
