/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feed of what happened to users: a table that triggers fill in the transaction of each change (schema.c), its
 * reading, its pruning, and the bell that rings for sessions that follow it.
 *
 * Invariant: the numbers in the table have no gap. They are given in the order of commits, a transaction that is rolled
 * back takes its numbers with it, and rows go from the front only.
 */
#ifndef MOTE_STORE_FEED_H
#define MOTE_STORE_FEED_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "store/reader.h"

/* Who wants to know of new changes: part of a session. */
struct mote_feed_follower {
    struct mote_task task;
    struct mote_list node;
    struct mote_mailbox *mailbox;
    atomic_bool is_posted; /* the bell rings once, however much there is to read */
    void (*changed)(void *context);
    void *context;
};

struct mote_feed {
    _Atomic int64_t sequence; /* of the last change that was published */
    pthread_mutex_t mutex;    /* guards the list */
    struct mote_list followers;
};

MOTE_MUST_CHECK int mote_feed_init(struct mote_feed *feed);
void mote_feed_dispose(struct mote_feed *feed);

/* The writer's thread. The last number in the table, as the present transaction sees it. */
MOTE_MUST_CHECK int mote_feed_last(struct mote_sqlite *sqlite, int64_t *sequence);
/* The writer's thread, after the commit has its number: tells it to all, and rings for who follows if it is new. */
void mote_feed_publish(struct mote_feed *feed, int64_t sequence);
/* Deletes up to `limit` rows that need not be kept any more; *deleted grows by how many. */
MOTE_MUST_CHECK int mote_feed_prune(struct mote_sqlite *sqlite, int64_t now, unsigned limit, unsigned *deleted);

/* The follower's thread. `follower` is borrowed until the other, and until its task, if it was posted, has run. */
void mote_feed_follow(struct mote_feed *feed, struct mote_feed_follower *follower);
void mote_feed_unfollow(struct mote_feed *feed, struct mote_feed_follower *follower);

/* As mote_store_read_feed, with the result returned instead of `done` called. */
MOTE_MUST_CHECK int mote_feed_read(struct mote_reader *reader, struct mote_store_read_feed *read);

#endif
