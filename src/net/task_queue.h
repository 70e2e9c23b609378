/* SPDX-License-Identifier: Apache-2.0 */
/* A loop's mailbox (base/task.h): tasks from any thread, which run on the loop's, in order. Internal to net. */
#ifndef MOTE_NET_TASK_QUEUE_H
#define MOTE_NET_TASK_QUEUE_H

#include <pthread.h>
#include <uv.h>

#include "base/error.h"
#include "base/task.h"

struct mote_task_queue {
    struct mote_mailbox mailbox;
    void (*woken)(struct mote_task_queue *queue); /* on the loop's thread: runs them */
    uv_async_t wake;
    pthread_mutex_t lock;
    struct mote_task *first;
    struct mote_task *last;
};

MOTE_MUST_CHECK int mote_task_queue_init(struct mote_task_queue *queue, uv_loop_t *loop,
                                         void (*woken)(struct mote_task_queue *queue));
/* Closes its handle: the loop has to run once more. */
void mote_task_queue_close(struct mote_task_queue *queue);
/* After that. What came since has to be run before, if it is to run. */
void mote_task_queue_dispose(struct mote_task_queue *queue);
void mote_task_queue_run(struct mote_task_queue *queue);
/* Any thread. */
void mote_task_queue_post(struct mote_task_queue *queue, struct mote_task *task);

#endif
