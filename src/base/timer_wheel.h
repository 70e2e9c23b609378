/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hierarchical timer wheel: one per worker, for every deadline, keepalive and limit on its connections.
 * Resolution is MOTE_TIMER_TICK_NS; a timer never fires early and at most one tick late (plus the time until
 * mote_timer_wheel_advance is called). Start and stop cost O(1) and never fail. One thread, no clock of its own.
 */
#ifndef MOTE_BASE_TIMER_WHEEL_H
#define MOTE_BASE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "linkage.h"
#include "list.h"

MOTE_C_BEGIN

#define MOTE_TIMER_TICK_NS 1000000u
#define MOTE_TIMER_LEVELS  5u
#define MOTE_TIMER_SLOTS   64u

struct mote_timer;
typedef void mote_timer_cb(struct mote_timer *timer, uint64_t now_ns);

struct mote_timer {
    struct mote_list node;
    uint64_t due_tick;
    mote_timer_cb *fire;
    bool active;
    uint8_t level; /* where it is in the wheel; MOTE_TIMER_LEVELS: overdue or firing */
    uint8_t slot;
};

struct mote_timer_wheel {
    struct mote_list slots[MOTE_TIMER_LEVELS][MOTE_TIMER_SLOTS];
    uint64_t occupied[MOTE_TIMER_LEVELS]; /* a bit for each slot with a timer */
    struct mote_list overdue;             /* started when already due */
    struct mote_list firing;              /* taken out by the advance that is running */
    uint64_t tick;                        /* all timers due at or before it have fired */
    uint64_t count;
};

void mote_timer_wheel_init(struct mote_timer_wheel *wheel, uint64_t now_ns);
/* Asserts that no timer is active. */
void mote_timer_wheel_dispose(struct mote_timer_wheel *wheel);
void mote_timer_init(struct mote_timer *timer, mote_timer_cb *fire);
/* Restarts it if active. `due_ns` is absolute; a past one fires at the next advance. */
void mote_timer_start(struct mote_timer_wheel *wheel, struct mote_timer *timer, uint64_t due_ns);
/* Harmless on an inactive one. */
void mote_timer_stop(struct mote_timer_wheel *wheel, struct mote_timer *timer);
/* Fires what is due, in order of due tick; callbacks may start and stop any timer, but not advance. */
void mote_timer_wheel_advance(struct mote_timer_wheel *wheel, uint64_t now_ns);
/* When advance should next be called (absolute ns, may be early); UINT64_MAX with no timer. */
uint64_t mote_timer_wheel_next(const struct mote_timer_wheel *wheel);

MOTE_C_END

#endif
