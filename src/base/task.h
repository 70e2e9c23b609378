/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that comes back to a worker. Another thread (the store's writer, the password pool) finishes something and
 * posts a task; it runs on the thread that owns the mailbox. Tasks are intrusive: posting never fails and never
 * allocates. A task must not be posted again before it has run.
 */
#ifndef MOTE_BASE_TASK_H
#define MOTE_BASE_TASK_H

#include "linkage.h"

MOTE_C_BEGIN

struct mote_task {
    struct mote_task *next; /* the mailbox's */
    void (*run)(struct mote_task *task);
};

struct mote_mailbox {
    /* Any thread. `task` is the mailbox's until `run` is called. */
    void (*post)(struct mote_mailbox *mailbox, struct mote_task *task);
};

MOTE_C_END

#endif
