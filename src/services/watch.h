/* SPDX-License-Identifier: Apache-2.0 */
/* The open WatchUsers calls of a worker. */
#ifndef MOTE_SERVICES_WATCH_H
#define MOTE_SERVICES_WATCH_H

#include "base/list.h"
#include "base/timer_wheel.h"
#include "store/store.h"

/* A stream that has been silent so long gets a heartbeat, within a look. */
#define MOTE_WATCH_HEARTBEAT_NS (30 * (uint64_t)MOTE_NS_PER_SECOND)
/* Every watch is looked at so often: a heartbeat may be due, its caller may have lost access. */
#define MOTE_WATCH_LOOK_NS (2 * (uint64_t)MOTE_NS_PER_SECOND)
/* What a turn of the loop does at most, so that other calls are not held up by many watches. */
#define MOTE_WATCH_GROUP_MAX   128u /* watches that share a read */
#define MOTE_WATCH_CHANGES_MAX 16u  /* changes of a read */
#define MOTE_WATCH_LOOKED_MAX  512u /* watches looked at */

/* Each watch is in one of the lists. */
struct mote_watches {
    struct mote_list quiet;           /* they know all there is, or do not take more */
    struct mote_list waiting;         /* there may be something to tell */
    struct mote_list group;           /* those that the read under way is for, all at one position */
    size_t count;                     /* 0: nothing of the below is at work */
    struct mote_store_read_feed read; /* for the group */
    int result;                       /* of telling what it found */
    struct mote_timer timer;          /* the next look */
    struct mote_timer_wheel *wheel;
    struct mote_task task; /* the next round, in the next turn */
    bool is_posted;
};

void mote_watches_init(struct mote_watches *watches);

#endif
