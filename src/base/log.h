/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log records as data: a constant message, an event name and typed fields. Formatting (JSON, logfmt, text), levels
 * and the sink are behind `struct mote_log`; app/log_sink.c has the real one, tests capture records. Values that come
 * from a peer are escaped by the sink, never by the caller. No secret is ever a field.
 */
#ifndef MOTE_BASE_LOG_H
#define MOTE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "linkage.h"
#include "slice.h"

MOTE_C_BEGIN

enum mote_log_level {
    MOTE_LOG_DEBUG,
    MOTE_LOG_INFO,
    MOTE_LOG_WARN,
    MOTE_LOG_ERROR,
};

enum mote_log_field_type {
    MOTE_LOG_TEXT,
    MOTE_LOG_INT,
    MOTE_LOG_UINT,
    MOTE_LOG_BOOL,
};

struct mote_log_field {
    const char *name; /* constant, lower_snake_case */
    enum mote_log_field_type type;
    union {
        struct mote_slice text;
        int64_t integer;
        uint64_t unsigned_integer;
        bool boolean;
    } value;
};

struct mote_log_record {
    enum mote_log_level level;
    const char *logger;  /* the layer: "net", "store" */
    const char *event;   /* stable identifier: "rpc.finished" */
    const char *message; /* constant text */
    const struct mote_log_field *fields;
    size_t field_count;
};

struct mote_log {
    /* Any thread; must not block for long. Everything passed is borrowed until it returns. */
    void (*write)(struct mote_log *log, const struct mote_log_record *record);
    /* Records below it are dropped by mote_log_write. A signal changes it while the workers log: mote_log_level,
     * mote_log_set_level. */
    enum mote_log_level level;
};

/* A sink that drops everything. Borrowed for ever. */
struct mote_log *mote_log_none(void);

/* By the compiler's own atomics: C++ has no _Atomic. */
static inline enum mote_log_level mote_log_level(const struct mote_log *log)
{
    return __atomic_load_n(&log->level, __ATOMIC_RELAXED);
}

static inline void mote_log_set_level(struct mote_log *log, enum mote_log_level level)
{
    __atomic_store_n(&log->level, level, __ATOMIC_RELAXED);
}

static inline bool mote_log_enabled(const struct mote_log *log, enum mote_log_level level)
{
    return level >= mote_log_level(log);
}

void mote_log_write(struct mote_log *log, const struct mote_log_record *record);
/* The same, of its parts. Neither it nor what makes fields is inline: each place that logs is smaller for it. */
void mote_log_write_parts(struct mote_log *log, enum mote_log_level level, const char *logger, const char *event,
                          const char *message, const struct mote_log_field *fields, size_t field_count);

struct mote_log_field mote_log_slice(const char *name, struct mote_slice text);
struct mote_log_field mote_log_text(const char *name, const char *text);
struct mote_log_field mote_log_int(const char *name, int64_t integer);
struct mote_log_field mote_log_uint(const char *name, uint64_t integer);
struct mote_log_field mote_log_bool(const char *name, bool boolean);

/* mote_log(log, MOTE_LOG_INFO, "net", "net.listening", "listening", mote_log_text("address", "…")) */
#define mote_log(log_, level_, logger_, event_, message_, ...)                                                         \
    do {                                                                                                               \
        if (mote_log_enabled((log_), (level_))) {                                                                      \
            const struct mote_log_field mote_log_fields_[] = {__VA_ARGS__};                                            \
            mote_log_write_parts((log_), (level_), (logger_), (event_), (message_), mote_log_fields_,                  \
                                 sizeof mote_log_fields_ / sizeof mote_log_fields_[0]);                                \
        }                                                                                                              \
    } while (0)

MOTE_C_END

#endif
