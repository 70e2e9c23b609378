/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log record as one line of text: JSON, logfmt, or text for people. What a peer sent is made harmless here: control
 * characters, characters that turn the direction of text and quotes are escaped, bytes that are no UTF-8 become U+FFFD,
 * long values are cut off.
 */
#ifndef MOTE_APP_LOG_LINE_H
#define MOTE_APP_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

#define MOTE_LOG_LINE_MAX  4096u /* with the line end: what a pipe takes in one piece (PIPE_BUF) */
#define MOTE_LOG_VALUE_MAX 512u  /* bytes of one value before escaping; a peer chooses how long they are */

/* X(constant, "name", "what it says"): of every line but text for people, beside its event's own fields */
#define MOTE_LOG_LINE_FIELD_MAP(X)                                                                                     \
    X(TIME, "ts", "RFC 3339, UTC, with microseconds")                                                                  \
    X(LEVEL, "level", "`debug`, `info`, `warn` or `error`")                                                            \
    X(LOGGER, "logger", "the part of mote that says it")                                                               \
    X(EVENT, "event", "what happened: these do not change from version to version")                                    \
    X(MESSAGE, "msg", "the same for people; always the same text for an event")                                        \
    X(SUPPRESSED, "suppressed", "how many like it were not written before it; absent when none")                       \
    X(TRUNCATED, "truncated", "`true` where fields were left out, for the line would have been over 4096 bytes")

enum mote_log_format {
    MOTE_LOG_FORMAT_JSON,
    MOTE_LOG_FORMAT_LOGFMT,
    MOTE_LOG_FORMAT_TEXT,
};

struct mote_log_style {
    enum mote_log_format format;
    bool color;    /* TEXT: the level in colour */
    bool priority; /* TEXT: "<6>" in front and no time, as the journal wants it */
};

/* Writes the record with its line end, no NUL; returns the length. Fields that do not fit any more are left out, and
 * `truncated` says so. `suppressed`: how many like it were not written before it, 0 for none. */
size_t mote_log_line_format(char out[MOTE_LOG_LINE_MAX], const struct mote_log_style *style, int64_t wall_ns,
                            const struct mote_log_record *record, uint64_t suppressed);
/* "debug", "info", "warn", "error". Static. */
const char *mote_log_line_level(enum mote_log_level level);

#endif
