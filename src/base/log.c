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
