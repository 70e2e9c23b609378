/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where log records go: to a descriptor, as a rule standard error, one write(2) for each line.
 *
 * Whoever logs never waits: lines go into a ring of MOTE_LOG_SINK_RING bytes, and a thread of the sink writes them.
 * When nobody reads the other end, the ring fills up, further lines are dropped and counted, and the count is logged
 * once there is room again. The descriptor's flags are left as they are: O_NONBLOCK would also hold for every other
 * process that has it.
 *
 * Warnings and errors that repeat are written MOTE_LOG_SINK_BURST times, then once a second, with the number of those
 * left out. Lines of the logger "access" are not counted: LOG_ACCESS says how many there shall be.
 */
#ifndef MOTE_APP_LOG_SINK_H
#define MOTE_APP_LOG_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "app/log_line.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#define MOTE_LOG_SINK_RING  65536u
#define MOTE_LOG_SINK_BURST 10u

struct mote_log_sink;

struct mote_log_sink_options {
    int fd; /* borrowed until close */
    struct mote_log_style style;
    enum mote_log_level level;
    const struct mote_clock *clock; /* borrowed until close */
};

/* Starts the thread. MOTE_ENOMEM, MOTE_EAGAIN when the system gives no thread. */
MOTE_MUST_CHECK int mote_log_sink_open(struct mote_log_sink **out, const struct mote_log_sink_options *options);
/* Writes what is in the ring, for at most `patience_ns`, and ends the thread. When the descriptor takes nothing until
 * then, the thread is left behind, and frees the sink if it ever comes to the end. NULL is fine. */
void mote_log_sink_close(struct mote_log_sink *sink, uint64_t patience_ns);
/* The sink as a log; valid until close. */
struct mote_log *mote_log_sink_log(struct mote_log_sink *sink);
/* One step towards debug (positive) or towards error; returns the new level. Any thread. */
enum mote_log_level mote_log_sink_move_level(struct mote_log_sink *sink, int steps);
/* Lines dropped so far, because the ring was full or the descriptor failed. Any thread. */
uint64_t mote_log_sink_dropped(struct mote_log_sink *sink);

/* What LOG_FORMAT=auto, or the named format, means for this descriptor: a terminal gets text, in colour unless NO_COLOR
 * is set; the journal (JOURNAL_STREAM names the descriptor's file) text with priorities; everything else JSON. */
struct mote_log_style mote_log_sink_style_auto(int fd, const char *journal_stream, const char *no_color);
struct mote_log_style mote_log_sink_style_of(enum mote_log_format format, int fd, const char *journal_stream,
                                             const char *no_color);

#endif
