/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a worker; see worker.h for the order of a turn. */
#include "net/worker.h"

#include <unistd.h>

#include "base/assert.h"
#include "net/connection.h"

uint64_t mote_worker_now(struct mote_worker *worker)
{
    uint64_t now = uv_hrtime();
    if (worker->server_worker != NULL) {
        mote_server_worker_set_now(worker->server_worker, now);
    }
    return now;
}

/* --- tasks from other threads ------------------------------------------------------------------------------------ */

void mote_worker_post(struct mote_worker *worker, struct mote_task *task)
{
    mote_task_queue_post(&worker->queue, task);
}

static void on_woken(struct mote_task_queue *queue)
{
    (void)mote_worker_now(MOTE_CONTAINER_OF(queue, struct mote_worker, queue));
    mote_task_queue_run(queue);
}

/* --- the turn ---------------------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct mote_worker *worker = MOTE_CONTAINER_OF(timer, struct mote_worker, timer);
    uint64_t now = mote_worker_now(worker);
    mote_metrics_observe(&worker->metrics->histograms[MOTE_METRIC_HISTOGRAM_LAG],
                         now > worker->timer_due_ns ? now - worker->timer_due_ns : 0);
    worker->timer_due_ns = UINT64_MAX;
    mote_timer_wheel_advance(&worker->wheel, now);
}

/* Sets the loop's timer to the wheel's next, unless it will ring early enough: ringing early costs less than setting it
 * again for every call. */
static void set_timer(struct mote_worker *worker)
{
    uint64_t next = mote_timer_wheel_next(&worker->wheel);
    uint64_t now;
    if (next >= worker->timer_due_ns) {
        return;
    }
    now = mote_worker_now(worker);
    worker->timer_due_ns = next;
    uv_update_time(&worker->loop);
    uv_timer_start(&worker->timer, on_timer, next > now ? (next - now + 999999) / 1000000 : 0, 0);
}

/* The C library keeps what a crowd of connections has needed, as long as anything behind it is in use. */
static void trim_after_crowd(struct mote_worker *worker)
{
    if (worker->connection_count > worker->connection_peak) {
        worker->connection_peak = worker->connection_count;
    } else if (worker->connection_peak >= MOTE_WORKER_CROWD && worker->connection_count < worker->connection_peak / 8) {
        worker->connection_peak = worker->connection_count;
        mote_mem_system_trim();
    }
}

static void stop_when_drained(struct mote_worker *worker)
{
    if (worker->draining && worker->connection_count == 0 && mote_server_worker_calls(worker->server_worker) == 0) {
        mote_timer_stop(&worker->wheel, &worker->grace);
        mote_timer_stop(&worker->wheel, &worker->listeners_retry);
        mote_timer_stop(&worker->wheel, &worker->handshakes.timer);
        uv_stop(&worker->loop);
    }
}

/* Active, it keeps the loop from sleeping; there is nothing to do in it. */
static void on_no_sleep(uv_idle_t *idle)
{
    (void)idle;
}

static void on_before_sleep(uv_prepare_t *prepare)
{
    struct mote_worker *worker = MOTE_CONTAINER_OF(prepare, struct mote_worker, before_sleep);
    while (!mote_list_is_empty(&worker->dirty)) {
        mote_connection_flush(worker->dirty.next);
    }
    while (!mote_list_is_empty(&worker->paused)) {
        mote_connection_continue(worker->paused.next);
    }
    const bool more = mote_server_worker_turn(worker->server_worker, mote_worker_now(worker));
    if (mote_list_is_empty(&worker->dirty) && !more) {
        uv_idle_stop(&worker->no_sleep);
    } else {
        uv_idle_start(&worker->no_sleep, on_no_sleep);
    }
    if (worker->options->worker_end_turn != NULL) {
        worker->options->worker_end_turn(worker->user);
    }
    trim_after_crowd(worker);
    set_timer(worker);
    stop_when_drained(worker);
}

/* --- drain ------------------------------------------------------------------------------------------------------- */

static void on_grace_over(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_worker *worker = MOTE_CONTAINER_OF(timer, struct mote_worker, grace);
    (void)now_ns;
    MOTE_LIST_FOR_EACH_SAFE(node, next, &worker->connections)
    {
        worker->was_cut |= mote_connection_cut(node);
    }
}

static void on_listeners_retry(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_worker *worker = MOTE_CONTAINER_OF(timer, struct mote_worker, listeners_retry);
    (void)now_ns;
    for (size_t i = 0; i < worker->listener_count; i++) {
        mote_listener_resume(&worker->listeners[i]);
    }
}

static void on_handshake_token(struct mote_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    mote_connection_admit(MOTE_CONTAINER_OF(timer, struct mote_worker, handshakes.timer));
}

static void init_handshakes(struct mote_worker *worker)
{
    const struct mote_limits *limits = worker->options->limits;
    struct mote_handshakes *handshakes = &worker->handshakes;
    mote_list_init(&handshakes->waiting);
    mote_timer_init(&handshakes->timer, on_handshake_token);
    handshakes->interval_ns = MOTE_NS_PER_SECOND / limits->handshakes_per_second;
    handshakes->counted_at = uv_hrtime();
    handshakes->tokens = MOTE_HANDSHAKES_BURST;
}

static void run_drain(struct mote_task *task)
{
    struct mote_worker *worker = MOTE_CONTAINER_OF(task, struct mote_worker, drain_task);
    worker->draining = true;
    for (size_t i = 0; i < worker->listener_count; i++) {
        mote_listener_drain(&worker->listeners[i]);
    }
    MOTE_LIST_FOR_EACH_SAFE(node, next, &worker->connections)
    {
        mote_connection_drain(node);
    }
    mote_timer_start(&worker->wheel, &worker->grace, mote_worker_now(worker) + worker->options->drain_grace_ns);
}

static void run_visit(struct mote_task *task)
{
    struct mote_worker *worker = MOTE_CONTAINER_OF(task, struct mote_worker, visit_task);
    atomic_store(&worker->visit_posted, false);
    worker->options->visit(worker->server_worker);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static int init_loop(struct mote_worker *worker)
{
    if (uv_loop_init(&worker->loop) != 0) {
        return MOTE_ENOMEM;
    }
    if (mote_task_queue_init(&worker->queue, &worker->loop, on_woken) != 0) {
        (void)uv_loop_close(&worker->loop);
        return MOTE_EIO;
    }
    uv_prepare_init(&worker->loop, &worker->before_sleep);
    uv_prepare_start(&worker->before_sleep, on_before_sleep);
    uv_idle_init(&worker->loop, &worker->no_sleep);
    uv_timer_init(&worker->loop, &worker->timer);
    worker->timer_due_ns = UINT64_MAX;
    return 0;
}

static void dispose_loop(struct mote_worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++) {
        mote_listener_close(&worker->listeners[i]);
    }
    mote_task_queue_close(&worker->queue);
    uv_close((uv_handle_t *)&worker->before_sleep, NULL);
    uv_close((uv_handle_t *)&worker->no_sleep, NULL);
    uv_close((uv_handle_t *)&worker->timer, NULL);
    while (uv_run(&worker->loop, UV_RUN_DEFAULT) != 0) {
    }
    mote_assert(uv_loop_close(&worker->loop) == 0);
}

static void dispose_memory(struct mote_worker *worker)
{
    mote_mem_release(worker->parent_mem, worker->read_scratch);
    mote_mem_release(worker->parent_mem, worker->write_scratch);
    mote_mem_release(worker->parent_mem, worker->plain_scratch);
    mote_mem_release(worker->parent_mem, worker->cipher_scratch);
    mote_pool_free(worker->pool);
}

static int init_memory(struct mote_worker *worker, struct mote_mem *mem)
{
    int error = mote_pool_new(&worker->pool, mem, MOTE_WORKER_POOL_KEEP);
    if (error != 0) {
        return error;
    }
    worker->parent_mem = mem;
    worker->mem = mote_pool_mem(worker->pool);
    worker->read_scratch = mote_mem_allocate(mem, MOTE_WORKER_SCRATCH);
    worker->write_scratch = mote_mem_allocate(mem, MOTE_WORKER_SCRATCH);
    bool complete = worker->read_scratch != NULL && worker->write_scratch != NULL;
    if (worker->options->tls != NULL) {
        worker->plain_scratch = mote_mem_allocate(mem, MOTE_WORKER_SCRATCH);
        worker->cipher_scratch = mote_mem_allocate(mem, MOTE_WORKER_CIPHER_SCRATCH);
        complete = complete && worker->plain_scratch != NULL && worker->cipher_scratch != NULL;
    }
    if (!complete) {
        dispose_memory(worker);
        return MOTE_ENOMEM;
    }
    return 0;
}

static int init_server_worker(struct mote_worker *worker)
{
    const struct mote_runtime_options *options = worker->options;
    struct mote_server_worker_options worker_options = {
        .mem = worker->mem, .wheel = &worker->wheel, .metrics = worker->metrics};
    int error = 0;
    if (options->worker_start != NULL) {
        error = options->worker_start(options->context, worker->mem, &worker->queue.mailbox, &worker->user);
    }
    if (error != 0) {
        return error;
    }
    worker_options.user = worker->user;
    error = mote_server_worker_new(&worker->server_worker, options->server, &worker_options);
    if (error != 0 && options->worker_stop != NULL) {
        options->worker_stop(worker->user);
    }
    return error;
}

/* Takes `sockets`, whatever it returns. */
static int init_listeners(struct mote_worker *worker, const struct mote_worker_socket *sockets, size_t socket_count)
{
    int error = 0;
    for (size_t i = 0; i < socket_count; i++) {
        if (error == 0) {
            error = mote_listener_init(&worker->listeners[i], worker, &sockets[i]);
            worker->listener_count += error == 0;
        }
        if (error != 0) {
            close(sockets[i].fd);
        }
    }
    return error;
}

static int init_parts(struct mote_worker *worker, struct mote_mem *mem)
{
    int error = init_loop(worker);
    if (error != 0) {
        return error;
    }
    error = init_memory(worker, mem);
    if (error == 0) {
        error = init_server_worker(worker);
        if (error != 0) {
            dispose_memory(worker);
        }
    }
    if (error != 0) {
        dispose_loop(worker);
        mote_task_queue_dispose(&worker->queue);
    }
    return error;
}

int mote_worker_init(struct mote_worker *worker, struct mote_runtime *runtime, struct mote_mem *mem,
                     const struct mote_worker_socket *sockets, size_t socket_count)
{
    worker->runtime = runtime;
    worker->drain_task.run = run_drain;
    worker->visit_task.run = run_visit;
    mote_list_init(&worker->connections);
    mote_list_init(&worker->unopened);
    worker->unopened_max = (size_t)(worker->options->limits->connections_unopened_max / worker->options->workers);
    mote_list_init(&worker->dirty);
    mote_list_init(&worker->paused);
    mote_timer_wheel_init(&worker->wheel, uv_hrtime());
    mote_timer_init(&worker->grace, on_grace_over);
    mote_timer_init(&worker->listeners_retry, on_listeners_retry);
    init_handshakes(worker);
    int error = init_parts(worker, mem);
    if (error != 0) {
        for (size_t i = 0; i < socket_count; i++) {
            close(sockets[i].fd);
        }
        return error;
    }
    error = init_listeners(worker, sockets, socket_count);
    if (error != 0) {
        mote_worker_dispose(worker);
    }
    return error;
}

void mote_worker_dispose(struct mote_worker *worker)
{
    mote_timer_stop(&worker->wheel, &worker->listeners_retry);
    mote_timer_stop(&worker->wheel, &worker->handshakes.timer);
    dispose_loop(worker);
    mote_task_queue_run(
        &worker->queue); /* answers that came after the last turn: their calls are over, they only free */
    mote_server_worker_free(worker->server_worker);
    if (worker->options->worker_stop != NULL) {
        worker->options->worker_stop(worker->user);
    }
    mote_timer_wheel_dispose(&worker->wheel);
    dispose_memory(worker);
    mote_task_queue_dispose(&worker->queue);
}

void mote_worker_run(struct mote_worker *worker)
{
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    mote_worker_dispose(worker);
}
