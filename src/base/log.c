/* SPDX-License-Identifier: Apache-2.0 */
/* The level check in one place, and the sink for those who want no log. */
#include "base/log.h"

static void drop(struct mote_log *log, const struct mote_log_record *record)
{
    (void)log;
    (void)record;
}

struct mote_log *mote_log_none(void)
{
    static struct mote_log none = {.write = drop, .level = MOTE_LOG_ERROR};
    return &none;
}

void mote_log_write(struct mote_log *log, const struct mote_log_record *record)
{
    if (mote_log_enabled(log, record->level)) {
        log->write(log, record);
    }
}

void mote_log_write_parts(struct mote_log *log, enum mote_log_level level, const char *logger, const char *event,
                          const char *message, const struct mote_log_field *fields, size_t field_count)
{
    const struct mote_log_record record = {.level = level,
                                           .logger = logger,
                                           .event = event,
                                           .message = message,
                                           .fields = fields,
                                           .field_count = field_count};
    mote_log_write(log, &record);
}

/* Link-time optimisation would take these for inline too. */
__attribute__((noinline)) struct mote_log_field mote_log_slice(const char *name, struct mote_slice text)
{
    return (struct mote_log_field){.name = name, .type = MOTE_LOG_TEXT, .value.text = text};
}

__attribute__((noinline)) struct mote_log_field mote_log_text(const char *name, const char *text)
{
    return mote_log_slice(name, mote_slice_text(text));
}

__attribute__((noinline)) struct mote_log_field mote_log_int(const char *name, int64_t integer)
{
    return (struct mote_log_field){.name = name, .type = MOTE_LOG_INT, .value.integer = integer};
}

__attribute__((noinline)) struct mote_log_field mote_log_uint(const char *name, uint64_t integer)
{
    return (struct mote_log_field){.name = name, .type = MOTE_LOG_UINT, .value.unsigned_integer = integer};
}

__attribute__((noinline)) struct mote_log_field mote_log_bool(const char *name, bool boolean)
{
    return (struct mote_log_field){.name = name, .type = MOTE_LOG_BOOL, .value.boolean = boolean};
}
