/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one thread that writes: it takes all writes that are queued, commits them in one transaction, publishes what
 * changed and answers. In between it checkpoints, deletes what is over, checks the file and recovers from errors.
 */
#ifndef MOTE_STORE_WRITER_H
#define MOTE_STORE_WRITER_H

#include "store/changes.h"
#include "store/database.h"
#include "store/feed.h"

struct mote_writer {
    /* Set before the thread begins, unchanged after. */
    struct mote_database *database;
    struct mote_changes *changes;
    struct mote_feed *feed;
    struct mote_log *log;
    const struct mote_clock *clock;
    void (*answer)(struct mote_store_write *write); /* called in the writer's thread for each write when it is done */

    pthread_t thread;
    pthread_mutex_t mutex; /* guards the queue, is_closing and suspect */
    pthread_cond_t wake;
    struct mote_store_write *head;
    struct mote_store_write **tail;
    unsigned outstanding; /* taken and not answered yet */
    bool is_closing;
    int suspect; /* 0, or the error that a reader met: check the file */
    _Atomic bool is_healthy;
    _Atomic bool is_stopping; /* as is_closing, for a check that is running */

    /* The thread's own. */
    struct mote_sqlite sqlite;
    int broken;    /* 0, or the error after which the connection is not to be trusted */
    int reported;  /* the error told last, so that a full disk does not fill the log too */
    int wal_pages; /* pages in the log after the last commit */
    bool check_due;
    bool is_lost;      /* the file is not in its place: the connection is kept, for what it has not written there yet */
    ino_t log_inode;   /* of the write-ahead log */
    uint64_t retry_at; /* monotonic, as the two below; UINT64_MAX: not planned */
    uint64_t checkpoint_at;
    uint64_t wait_again_at; /* a checkpoint may wait for readers */
    bool warned_of_log;
    uint64_t upkeep_at;
    uint64_t look_at; /* when to see whether the file is still there */
};

/* `sqlite` is moved into the writer, whose thread uses it from now on. On failure it is closed. All else is borrowed
 * until close. */
MOTE_MUST_CHECK int mote_writer_open(struct mote_writer *writer, struct mote_sqlite *sqlite,
                                     char problem[MOTE_STORE_PROBLEM_MAX]);
/* Writes what is queued, then ends the thread and closes the connection. */
void mote_writer_close(struct mote_writer *writer);

/* Any thread. MOTE_ELIMIT; MOTE_ECANCELLED. */
MOTE_MUST_CHECK int mote_writer_submit(struct mote_writer *writer, struct mote_store_write *write);
/* Any thread: a reader's answer makes the file doubtful. */
void mote_writer_suspect(struct mote_writer *writer, int error);

static inline bool mote_writer_is_healthy(const struct mote_writer *writer)
{
    return atomic_load_explicit(&writer->is_healthy, memory_order_relaxed);
}

#endif
