/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of changes. Indices count up for ever and are taken modulo the ring's size. A staged change may push out an
 * old published one even if its group is discarded later: whoever wanted the old one then starts again from the store.
 */
#include "store/changes.h"

/* Numbers begin at 1: position 0 is before everything, so that whoever begins with it is told to load first. */
#define FIRST_NUMBER 1u

static struct mote_store_change *slot(const struct mote_changes *changes, uint64_t index)
{
    return &changes->ring[index % MOTE_STORE_CHANGES_MAX];
}

int mote_changes_init(struct mote_changes *changes, struct mote_mem *mem)
{
    *changes = (struct mote_changes){.dropped = FIRST_NUMBER, .mem = mem};
    atomic_init(&changes->number, FIRST_NUMBER);
    changes->ring = mote_mem_allocate(mem, MOTE_STORE_CHANGES_MAX * sizeof *changes->ring);
    if (changes->ring == NULL) {
        return MOTE_ENOMEM;
    }
    if (pthread_mutex_init(&changes->mutex, NULL) != 0) {
        mote_mem_release(mem, changes->ring);
        changes->ring = NULL;
        return MOTE_ENOMEM;
    }
    return 0;
}

void mote_changes_dispose(struct mote_changes *changes)
{
    if (changes->ring != NULL) {
        pthread_mutex_destroy(&changes->mutex);
        mote_mem_release(changes->mem, changes->ring);
        changes->ring = NULL;
    }
}

void mote_changes_stage(struct mote_changes *changes, const struct mote_store_change *change)
{
    pthread_mutex_lock(&changes->mutex);
    if (changes->staged - changes->first == MOTE_STORE_CHANGES_MAX) {
        changes->dropped = slot(changes, changes->first)->commit;
        changes->first++;
        if (changes->published < changes->first) {
            changes->published = changes->first;
        }
    }
    struct mote_store_change *staged = slot(changes, changes->staged);
    *staged = *change;
    uint64_t last = changes->staged == changes->first ? changes->dropped : slot(changes, changes->staged - 1)->commit;
    uint64_t number = mote_changes_number(changes);
    staged->commit = (last > number ? last : number) + 1;
    changes->staged++;
    pthread_mutex_unlock(&changes->mutex);
}

void mote_changes_publish(struct mote_changes *changes)
{
    pthread_mutex_lock(&changes->mutex);
    uint64_t number = mote_changes_number(changes) + 1;
    if (changes->staged != changes->published) {
        number = slot(changes, changes->staged - 1)->commit;
    }
    changes->published = changes->staged;
    atomic_store_explicit(&changes->number, number, memory_order_release);
    pthread_mutex_unlock(&changes->mutex);
}

void mote_changes_discard(struct mote_changes *changes)
{
    pthread_mutex_lock(&changes->mutex);
    uint64_t number = mote_changes_number(changes);
    if (changes->dropped > number) {
        /* The group alone was larger than the ring and pushed out changes of its own, which never came to be. */
        changes->dropped = number;
    }
    changes->staged = changes->published;
    pthread_mutex_unlock(&changes->mutex);
}

/* The index of the first published change with a number above `position`: the ring is in order. */
static uint64_t find_after(const struct mote_changes *changes, uint64_t position)
{
    uint64_t low = changes->first;
    uint64_t high = changes->published;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (slot(changes, middle)->commit > position) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

int mote_changes_read(struct mote_changes *changes, uint64_t *position, struct mote_store_change *out, size_t max,
                      size_t *count)
{
    *count = 0;
    pthread_mutex_lock(&changes->mutex);
    uint64_t number = mote_changes_number(changes);
    /* A group being staged may have pushed out changes of its own, which nobody can miss yet. */
    uint64_t dropped = changes->dropped < number ? changes->dropped : number;
    if (*position < dropped || *position > number) {
        pthread_mutex_unlock(&changes->mutex);
        return MOTE_ENOTFOUND;
    }
    uint64_t index = find_after(changes, *position);
    while (index < changes->published && *count < max) {
        out[(*count)++] = *slot(changes, index++);
    }
    if (index == changes->published) {
        *position = number;
    } else if (*count > 0) {
        *position = out[*count - 1].commit;
    }
    pthread_mutex_unlock(&changes->mutex);
    return 0;
}
