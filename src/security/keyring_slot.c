/* SPDX-License-Identifier: Apache-2.0 */
#include "security/keyring_slot.h"

void mote_keyring_slot_init(struct mote_keyring_slot *slot, struct mote_keyring *keyring)
{
    pthread_mutex_init(&slot->mutex, NULL);
    atomic_init(&slot->current, keyring);
}

void mote_keyring_slot_dispose(struct mote_keyring_slot *slot)
{
    struct mote_keyring *current = atomic_load(&slot->current);
    if (current != NULL) {
        mote_keyring_free(current);
        pthread_mutex_destroy(&slot->mutex);
        atomic_store(&slot->current, NULL);
    }
}

void mote_keyring_slot_publish(struct mote_keyring_slot *slot, struct mote_keyring *keyring)
{
    pthread_mutex_lock(&slot->mutex);
    struct mote_keyring *before = atomic_exchange(&slot->current, keyring);
    pthread_mutex_unlock(&slot->mutex);
    mote_keyring_free(before);
}

void mote_keyring_slot_take(struct mote_keyring_slot *slot, struct mote_keyring **held)
{
    mote_keyring_free(*held);
    pthread_mutex_lock(&slot->mutex);
    *held = mote_keyring_ref(atomic_load(&slot->current));
    pthread_mutex_unlock(&slot->mutex);
}
