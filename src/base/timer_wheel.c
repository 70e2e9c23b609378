/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level l has 64 slots of 64^l ticks each. A timer is on the level of the highest 6-bit digit in which its due tick
 * differs from the wheel's tick, in the slot of that digit. When the wheel's tick reaches the beginning of a slot of a
 * higher level, the slot's timers are placed again, lower. `occupied` has a bit for each slot that is not empty, so
 * that the next slot is found without looking at the empty ones: advancing costs what fires and what moves, not how
 * long ago the last advance was. A timer moves at most once a level, and once more for each turn of the top level
 * (2^30 ticks, twelve days) that it is away.
 *
 * Invariants: all timers in slots are due after the wheel's tick; a level's slot that holds the wheel's tick is empty;
 * all timers on a level are due before all on the next. Only the top level is circular.
 */
#include "base/timer_wheel.h"

#include <stddef.h>

#include "base/assert.h"

#define DIGIT_BITS 6u
#define TOP        (MOTE_TIMER_LEVELS - 1u)

_Static_assert(1u << DIGIT_BITS == MOTE_TIMER_SLOTS, "a slot for each value of a digit");

void mote_timer_wheel_init(struct mote_timer_wheel *wheel, uint64_t now_ns)
{
    for (unsigned level = 0; level < MOTE_TIMER_LEVELS; level++) {
        for (unsigned slot = 0; slot < MOTE_TIMER_SLOTS; slot++) {
            mote_list_init(&wheel->slots[level][slot]);
        }
        wheel->occupied[level] = 0;
    }
    mote_list_init(&wheel->overdue);
    mote_list_init(&wheel->firing);
    wheel->tick = now_ns / MOTE_TIMER_TICK_NS;
    wheel->count = 0;
}

void mote_timer_wheel_dispose(struct mote_timer_wheel *wheel)
{
    mote_assert(wheel->count == 0);
}

void mote_timer_init(struct mote_timer *timer, mote_timer_cb *fire)
{
    *timer = (struct mote_timer){.fire = fire};
    mote_list_init(&timer->node);
}

/* Puts a timer that is due after the wheel's tick into its slot. */
static void place(struct mote_timer_wheel *wheel, struct mote_timer *timer)
{
    const uint64_t difference = timer->due_tick ^ wheel->tick;
    unsigned level = (63u - (unsigned)__builtin_clzll(difference)) / DIGIT_BITS;
    level = level < TOP ? level : TOP;
    uint64_t position = timer->due_tick >> (level * DIGIT_BITS);
    const uint64_t last = (wheel->tick >> (level * DIGIT_BITS)) + MOTE_TIMER_SLOTS - 1;
    /* Only on the top level: out of reach, it is placed again from the last slot. */
    position = position < last ? position : last;
    const unsigned slot = (unsigned)(position % MOTE_TIMER_SLOTS);
    mote_list_append(&wheel->slots[level][slot], &timer->node);
    wheel->occupied[level] |= (uint64_t)1 << slot;
    timer->level = (uint8_t)level;
    timer->slot = (uint8_t)slot;
}

static void remove_timer(struct mote_timer_wheel *wheel, struct mote_timer *timer)
{
    mote_list_remove(&timer->node);
    if (timer->level < MOTE_TIMER_LEVELS && mote_list_is_empty(&wheel->slots[timer->level][timer->slot])) {
        wheel->occupied[timer->level] &= ~((uint64_t)1 << timer->slot);
    }
}

void mote_timer_start(struct mote_timer_wheel *wheel, struct mote_timer *timer, uint64_t due_ns)
{
    if (timer->active) {
        remove_timer(wheel, timer);
    } else {
        timer->active = true;
        wheel->count++;
    }
    timer->due_tick = due_ns / MOTE_TIMER_TICK_NS + (due_ns % MOTE_TIMER_TICK_NS != 0);
    if (timer->due_tick > wheel->tick) {
        place(wheel, timer);
        return;
    }
    timer->due_tick = wheel->tick;
    timer->level = MOTE_TIMER_LEVELS;
    mote_list_append(&wheel->overdue, &timer->node);
}

void mote_timer_stop(struct mote_timer_wheel *wheel, struct mote_timer *timer)
{
    if (timer->active) {
        remove_timer(wheel, timer);
        timer->active = false;
        wheel->count--;
    }
}

/* The first slot that is not empty, and the tick at which it begins. */
struct next_slot {
    unsigned level;
    unsigned slot;
    uint64_t tick;
};

static bool find_next_slot(const struct mote_timer_wheel *wheel, struct next_slot *next)
{
    for (unsigned level = 0; level < MOTE_TIMER_LEVELS; level++) {
        const uint64_t occupied = wheel->occupied[level];
        if (occupied != 0) {
            const uint64_t position = wheel->tick >> (level * DIGIT_BITS);
            const unsigned here = (unsigned)(position % MOTE_TIMER_SLOTS);
            const uint64_t from_here = occupied >> here | occupied << ((MOTE_TIMER_SLOTS - here) % MOTE_TIMER_SLOTS);
            const uint64_t found = position + (unsigned)__builtin_ctzll(from_here);
            next->level = level;
            next->slot = (unsigned)(found % MOTE_TIMER_SLOTS);
            next->tick = found << (level * DIGIT_BITS);
            return true;
        }
    }
    return false;
}

static struct mote_timer *first_timer(struct mote_list *list)
{
    return MOTE_CONTAINER_OF(list->next, struct mote_timer, node);
}

/* Callbacks may stop those that are still in the list, and start others, which never go into it. */
static void fire_all(struct mote_timer_wheel *wheel, uint64_t now_ns)
{
    while (!mote_list_is_empty(&wheel->firing)) {
        struct mote_timer *timer = first_timer(&wheel->firing);
        mote_timer_stop(wheel, timer);
        timer->fire(timer, now_ns);
    }
}

/* Before the first callback runs, so that what it sees of the wheel is in order. */
static void empty_slot(struct mote_timer_wheel *wheel, struct mote_list *slot)
{
    while (!mote_list_is_empty(slot)) {
        struct mote_timer *timer = first_timer(slot);
        remove_timer(wheel, timer);
        if (timer->due_tick > wheel->tick) {
            place(wheel, timer);
        } else {
            timer->level = MOTE_TIMER_LEVELS;
            mote_list_append(&wheel->firing, &timer->node);
        }
    }
}

void mote_timer_wheel_advance(struct mote_timer_wheel *wheel, uint64_t now_ns)
{
    const uint64_t target = now_ns / MOTE_TIMER_TICK_NS;
    struct next_slot next;
    mote_assert(mote_list_is_empty(&wheel->firing)); /* not from inside a callback */
    /* Those that callbacks add meanwhile wait for the next advance: a timer that starts itself cannot hold this one. */
    if (!mote_list_is_empty(&wheel->overdue)) {
        mote_list_append(&wheel->overdue, &wheel->firing);
        mote_list_remove(&wheel->overdue);
        fire_all(wheel, now_ns);
    }
    while (find_next_slot(wheel, &next) && next.tick <= target) {
        wheel->tick = next.tick;
        empty_slot(wheel, &wheel->slots[next.level][next.slot]);
        fire_all(wheel, now_ns);
    }
    wheel->tick = target > wheel->tick ? target : wheel->tick;
}

uint64_t mote_timer_wheel_next(const struct mote_timer_wheel *wheel)
{
    struct next_slot next;
    if (!mote_list_is_empty(&wheel->overdue) || !mote_list_is_empty(&wheel->firing)) {
        return wheel->tick * MOTE_TIMER_TICK_NS;
    }
    if (!find_next_slot(wheel, &next) || next.tick > UINT64_MAX / MOTE_TIMER_TICK_NS) {
        return UINT64_MAX;
    }
    return next.tick * MOTE_TIMER_TICK_NS;
}
