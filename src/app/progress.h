/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a command has come, on standard error: a bar that is drawn over itself on a terminal, elsewhere a line now
 * and then. A command that is done before the first is due shows nothing.
 */
#ifndef MOTE_APP_PROGRESS_H
#define MOTE_APP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"

#define MOTE_PROGRESS_REDRAW_NS (100ull * MOTE_NS_PER_MS)
#define MOTE_PROGRESS_LINE_NS   (5ull * MOTE_NS_PER_SECOND)

struct mote_progress {
    FILE *out;
    size_t edge; /* columns of the terminal; 0: none */
    const struct mote_clock *clock;
    const char *what; /* "importing" */
    const char *unit; /* "users" */
    uint64_t total;   /* 0: not known */
    uint64_t began_ns, told_ns;
    bool shown; /* a bar stands there */
};

/* All borrowed until end. */
void mote_progress_start(struct mote_progress *progress, FILE *out, const struct mote_clock *clock, const char *what,
                         const char *unit, uint64_t total);
/* `done` of the total. Cheap enough for each user; written only when it is time. */
void mote_progress_move(struct mote_progress *progress, uint64_t done);
/* Takes the bar away: before anything else is written there, and at the end. The next move draws it again. */
void mote_progress_hide(struct mote_progress *progress);

#endif
