/* SPDX-License-Identifier: Apache-2.0 */
/* See progress.h. */
#include "app/progress.h"

#include <inttypes.h>
#include <string.h>

#include "app/table.h"

#define BAR_MAX  40u
#define TEXT_MAX 120u

void mote_progress_start(struct mote_progress *progress, FILE *out, const struct mote_clock *clock, const char *what,
                         const char *unit, uint64_t total)
{
    uint64_t now = clock->monotonic_ns(clock->context);
    *progress = (struct mote_progress){.out = out,
                                       .edge = mote_table_terminal_width(out),
                                       .clock = clock,
                                       .what = what,
                                       .unit = unit,
                                       .total = total,
                                       .began_ns = now,
                                       .told_ns = now};
}

/* "importing: 4500 of 10000 users, 45 %, 1200/s, 4 s left" */
static int describe(char out[TEXT_MAX], const struct mote_progress *progress, uint64_t done, uint64_t now)
{
    double seconds = (double)(now - progress->began_ns) / MOTE_NS_PER_SECOND;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    if (progress->total == 0 || done > progress->total) {
        return snprintf(out, TEXT_MAX, "%s: %" PRIu64 " %s, %.0f/s", progress->what, done, progress->unit, rate);
    }
    double left = rate > 0 ? (double)(progress->total - done) / rate : 0;
    return snprintf(out, TEXT_MAX, "%s: %" PRIu64 " of %" PRIu64 " %s, %d %%, %.0f/s, %.0f s left", progress->what,
                    done, progress->total, progress->unit, (int)(100.0 * (double)done / (double)progress->total), rate,
                    left);
}

static void draw(struct mote_progress *progress, const char *text, uint64_t done)
{
    static const char full[] = "########################################";
    static const char empty[] = "........................................";
    size_t used = strlen(text) + 4; /* with the brackets, a space, and the last column, which stays free */
    size_t room = progress->edge > used ? progress->edge - used : 0;
    size_t bar = progress->total == 0 || done > progress->total ? 0 : room < BAR_MAX ? room : BAR_MAX;
    fputs("\r\x1b[K", progress->out);
    if (bar > 0) {
        int filled = (int)((double)bar * (double)done / (double)progress->total);
        fprintf(progress->out, "[%.*s%.*s] ", filled, full, (int)bar - filled, empty);
    }
    fprintf(progress->out, "%.*s", (int)progress->edge - 1, text);
    progress->shown = true;
}

void mote_progress_move(struct mote_progress *progress, uint64_t done)
{
    char text[TEXT_MAX];
    uint64_t now = progress->clock->monotonic_ns(progress->clock->context);
    if (now - progress->told_ns < (progress->edge > 0 ? MOTE_PROGRESS_REDRAW_NS : MOTE_PROGRESS_LINE_NS)) {
        return;
    }
    progress->told_ns = now;
    describe(text, progress, done, now);
    if (progress->edge > 0) {
        draw(progress, text, done);
    } else {
        fprintf(progress->out, "%s\n", text);
    }
    fflush(progress->out);
}

void mote_progress_hide(struct mote_progress *progress)
{
    if (progress->shown) {
        fputs("\r\x1b[K", progress->out);
        fflush(progress->out);
        progress->shown = false;
    }
}
