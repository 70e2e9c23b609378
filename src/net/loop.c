/* SPDX-License-Identifier: Apache-2.0 */
/* One turn: bytes, tasks and due timers; then what they left to be written, and the loop's
 * timer is set to the wheel's next. */
#include "base/assert.h"
#include "base/clock.h"
#include "net/connector.h"

uint64_t mote_loop_now(const struct mote_loop *loop)
{
    (void)loop;
    return uv_hrtime();
}

static void on_timer(uv_timer_t *timer)
{
    struct mote_loop *loop = MOTE_CONTAINER_OF(timer, struct mote_loop, timer);
    mote_timer_wheel_advance(&loop->wheel, uv_hrtime());
    uv_stop(&loop->loop); /* timers run before libuv sleeps: not before the turn has been ended */
}

/* Not in a handle of libuv's: what is done here may be what somebody waits for, and then the loop must not sleep. */
static void end_turn(struct mote_loop *loop)
{
    while (!mote_list_is_empty(&loop->dirty)) {
        mote_connector_flush(loop->dirty.next);
    }
    const uint64_t next = mote_timer_wheel_next(&loop->wheel);
    const uint64_t now = uv_hrtime();
    if (next != UINT64_MAX) {
        uv_update_time(&loop->loop);
        uv_timer_start(&loop->timer, on_timer, next > now ? (next - now + MOTE_NS_PER_MS - 1) / MOTE_NS_PER_MS : 0, 0);
    } else {
        uv_timer_stop(&loop->timer);
    }
}

static void on_woken(struct mote_task_queue *queue)
{
    mote_task_queue_run(queue);
}

static void close_loop(struct mote_loop *loop)
{
    uv_close((uv_handle_t *)&loop->timer, NULL);
    while (uv_run(&loop->loop, UV_RUN_DEFAULT) != 0) {
    }
    mote_assert(uv_loop_close(&loop->loop) == 0);
}

static int init_loop(struct mote_loop *loop)
{
    if (uv_loop_init(&loop->loop) != 0) {
        return MOTE_ENOMEM;
    }
    uv_timer_init(&loop->loop, &loop->timer);
    const int error = mote_task_queue_init(&loop->queue, &loop->loop, on_woken);
    if (error != 0) {
        close_loop(loop);
    }
    return error;
}

int mote_loop_new(struct mote_loop **out, struct mote_mem *mem, const struct mote_limits *limits)
{
    struct mote_loop *loop = mote_mem_allocate(mem, sizeof *loop);
    if (loop == NULL) {
        return MOTE_ENOMEM;
    }
    memset(loop, 0, offsetof(struct mote_loop, read_scratch)); /* pages of scratch that nobody uses are never there */
    loop->mem = mem;
    mote_limits_init(&loop->limits);
    if (limits != NULL) {
        loop->limits = *limits;
    }
    loop->limits.preface_timeout = UINT64_MAX; /* channels have a time of their own for that */
    mote_list_init(&loop->dirty);
    const struct mote_client_options options = {.limits = &loop->limits, .mem = mem, .wheel = &loop->wheel};
    mote_timer_wheel_init(&loop->wheel, uv_hrtime());
    int error = mote_client_new(&loop->client, &options);
    if (error == 0) {
        error = init_loop(loop);
    }
    if (error != 0) {
        mote_client_free(loop->client);
        mote_mem_release(mem, loop);
        return error;
    }
    *out = loop;
    return 0;
}

void mote_loop_free(struct mote_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    end_turn(loop);
    while (loop->connectors > 0) {
        uv_run(&loop->loop, UV_RUN_ONCE);
        end_turn(loop);
    }
    mote_task_queue_close(&loop->queue);
    close_loop(loop);
    mote_task_queue_run(&loop->queue); /* answers to what has been abandoned: they only free */
    mote_task_queue_dispose(&loop->queue);
    mote_client_free(loop->client);
    mote_timer_wheel_dispose(&loop->wheel);
    mote_mem_release(loop->mem, loop);
}

static void on_time_over(struct mote_timer *timer, uint64_t now_ns)
{
    (void)timer; /* that it is active no more says it */
    (void)now_ns;
}

bool mote_loop_run(struct mote_loop *loop, const bool *done, uint64_t timeout_ns)
{
    struct mote_timer limit;
    const uint64_t now = uv_hrtime();
    const uint64_t due = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
    mote_timer_init(&limit, on_time_over);
    if (due != UINT64_MAX) {
        mote_timer_start(&loop->wheel, &limit, due);
    }
    end_turn(loop);
    while (!*done && (due == UINT64_MAX || limit.active)) {
        uv_run(&loop->loop, UV_RUN_ONCE);
        end_turn(loop);
    }
    mote_timer_stop(&loop->wheel, &limit);
    return *done;
}

struct mote_timer_wheel *mote_loop_wheel(struct mote_loop *loop)
{
    return &loop->wheel;
}

struct mote_mailbox *mote_loop_mailbox(struct mote_loop *loop)
{
    return &loop->queue.mailbox;
}

void mote_loop_post(struct mote_loop *loop, struct mote_task *task)
{
    mote_task_queue_post(&loop->queue, task);
}
