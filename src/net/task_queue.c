/* SPDX-License-Identifier: Apache-2.0 */
/* The loop is woken for the first task only: it takes all that are there. */
#include "net/task_queue.h"

#include "base/list.h"

void mote_task_queue_post(struct mote_task_queue *queue, struct mote_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&queue->lock);
    const bool was_empty = queue->first == NULL;
    if (was_empty) {
        queue->first = task;
    } else {
        queue->last->next = task;
    }
    queue->last = task;
    pthread_mutex_unlock(&queue->lock);
    if (was_empty) {
        uv_async_send(&queue->wake);
    }
}

static void post(struct mote_mailbox *mailbox, struct mote_task *task)
{
    mote_task_queue_post(MOTE_CONTAINER_OF(mailbox, struct mote_task_queue, mailbox), task);
}

void mote_task_queue_run(struct mote_task_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct mote_task *task = queue->first;
    queue->first = NULL;
    queue->last = NULL;
    pthread_mutex_unlock(&queue->lock);
    while (task != NULL) {
        struct mote_task *next = task->next;
        task->run(task);
        task = next;
    }
}

static void on_wake(uv_async_t *async)
{
    struct mote_task_queue *queue = MOTE_CONTAINER_OF(async, struct mote_task_queue, wake);
    queue->woken(queue);
}

int mote_task_queue_init(struct mote_task_queue *queue, uv_loop_t *loop, void (*woken)(struct mote_task_queue *queue))
{
    queue->mailbox.post = post;
    queue->woken = woken;
    queue->first = NULL;
    queue->last = NULL;
    if (uv_async_init(loop, &queue->wake, on_wake) != 0) {
        return MOTE_EIO;
    }
    pthread_mutex_init(&queue->lock, NULL);
    return 0;
}

void mote_task_queue_close(struct mote_task_queue *queue)
{
    uv_close((uv_handle_t *)&queue->wake, NULL);
}

void mote_task_queue_dispose(struct mote_task_queue *queue)
{
    pthread_mutex_destroy(&queue->lock);
}
