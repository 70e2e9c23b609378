/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the last commits changed: a ring that the writer fills and any thread reads. The writer stages the changes of a
 * group while it applies it, and publishes them after the commit or discards them. Every change has a number of its
 * own, so that a reader can stop between two changes of one commit; a commit without changes takes one number too,
 * because readers of the database compare the number to know whether what they see is old.
 */
#ifndef MOTE_STORE_CHANGES_H
#define MOTE_STORE_CHANGES_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/store.h"

struct mote_changes {
    _Atomic uint64_t number; /* of the last commit */
    pthread_mutex_t mutex;   /* guards what follows */
    uint64_t first;          /* index of the oldest change kept */
    uint64_t published;      /* index after the last one published */
    uint64_t staged;         /* index after the last one staged */
    uint64_t dropped;        /* the highest number that is not kept any more */
    struct mote_store_change *ring;
    struct mote_mem *mem;
};

/* MOTE_ENOMEM. `mem` is borrowed until dispose. */
MOTE_MUST_CHECK int mote_changes_init(struct mote_changes *changes, struct mote_mem *mem);
void mote_changes_dispose(struct mote_changes *changes);

/* The writer's thread. `change` is copied; its number is set here. */
void mote_changes_stage(struct mote_changes *changes, const struct mote_store_change *change);
void mote_changes_publish(struct mote_changes *changes);
void mote_changes_discard(struct mote_changes *changes);

/* Any thread. */
static inline uint64_t mote_changes_number(const struct mote_changes *changes)
{
    return atomic_load_explicit(&changes->number, memory_order_acquire);
}

/* As mote_store_read_changes. */
MOTE_MUST_CHECK int mote_changes_read(struct mote_changes *changes, uint64_t *position, struct mote_store_change *out,
                                      size_t max, size_t *count);

#endif
