/* SPDX-License-Identifier: Apache-2.0 */
/* Binding addresses, starting and ending workers; see runtime.h. */
#include "net/runtime.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/binding.h"
#include "net/peers.h"
#include "net/worker.h"

struct mote_runtime {
    struct mote_mem *mem;
    struct mote_runtime_options options;
    struct mote_peers *peers;
    struct mote_peers *health_peers; /* of those that only ask for health */
    pthread_mutex_t tls_lock;        /* guards the pointer below */
    struct mote_tls_context *tls;    /* NULL: in the clear */
    struct mote_binding bindings[MOTE_RUNTIME_LISTENERS_MAX];
    size_t binding_count;
    size_t health_from; /* the first binding that serves health only */
    struct mote_worker *workers;
    size_t initialised; /* workers that must be disposed */
    size_t started;     /* threads that must be joined */
    atomic_size_t running;
};

/* --- sockets ----------------------------------------------------------------------------------------------------- */

static bool is_taken(const struct mote_runtime *runtime, int fd)
{
    for (size_t i = 0; i < runtime->binding_count; i++) {
        if (runtime->bindings[i].fd == fd) {
            return true;
        }
    }
    return false;
}

/* Room for one more. */
static int next_binding(struct mote_runtime *runtime, struct mote_binding **out, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    if (runtime->binding_count == MOTE_RUNTIME_LISTENERS_MAX) {
        snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "more than %u addresses to listen on", MOTE_RUNTIME_LISTENERS_MAX);
        return MOTE_EINVAL;
    }
    *out = &runtime->bindings[runtime->binding_count];
    return 0;
}

/* All that were handed over under this name and are not taken. */
static int adopt_all(struct mote_runtime *runtime, struct mote_slice name, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    const size_t before = runtime->binding_count;
    struct mote_binding *binding;
    int fd;
    for (size_t i = 0; (fd = mote_listen_address_inherited(name, i)) >= 0; i++) {
        if (is_taken(runtime, fd)) {
            continue;
        }
        int error = next_binding(runtime, &binding, problem);
        if (error == 0) {
            error = mote_binding_adopt(binding, fd, problem);
        }
        if (error != 0) {
            return error;
        }
        runtime->binding_count++;
    }
    if (runtime->binding_count == before) {
        snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX,
                 "cannot listen on systemd:%.*s: no such socket was handed over to this process (LISTEN_PID, "
                 "LISTEN_FDS, LISTEN_FDNAMES)",
                 (int)name.length, (const char *)name.data);
        return MOTE_EINVAL;
    }
    return 0;
}

static int bind_one(struct mote_runtime *runtime, struct mote_slice item, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    struct mote_listen_address listen;
    struct mote_binding *binding;
    const char *why;
    if (mote_listen_address_parse(&listen, item, &why) != 0) {
        snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "cannot listen on %.*s: %s", (int)item.length,
                 (const char *)item.data, why);
        return MOTE_EINVAL;
    }
    if (listen.is_inherited) {
        return adopt_all(runtime, listen.name, problem);
    }
    int error = next_binding(runtime, &binding, problem);
    if (error == 0) {
        error = mote_binding_open(binding, &listen, problem);
    }
    runtime->binding_count += error == 0;
    return error;
}

static int bind_list(struct mote_runtime *runtime, const char *list, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    const size_t before = runtime->binding_count;
    struct mote_slice item;
    while (mote_listen_address_next(&list, &item)) {
        int error = bind_one(runtime, item, problem);
        if (error != 0) {
            return error;
        }
    }
    if (runtime->binding_count == before) {
        snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "no address to listen on");
        return MOTE_EINVAL;
    }
    return 0;
}

static int bind_all(struct mote_runtime *runtime, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    int error = bind_list(runtime, runtime->options.listen, problem);
    runtime->health_from = runtime->binding_count;
    if (error == 0 && runtime->options.health_listen != NULL) {
        error = bind_list(runtime, runtime->options.health_listen, problem);
    }
    return error;
}

static void unbind_all(struct mote_runtime *runtime)
{
    for (size_t i = 0; i < runtime->binding_count; i++) {
        mote_binding_close(&runtime->bindings[i]);
    }
}

/* --- workers ----------------------------------------------------------------------------------------------------- */

static int init_worker(struct mote_runtime *runtime, size_t index, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    struct mote_worker *worker = &runtime->workers[index];
    struct mote_worker_socket sockets[MOTE_RUNTIME_LISTENERS_MAX];
    for (size_t count = 0; count < runtime->binding_count; count++) {
        int error = mote_binding_take(&runtime->bindings[count], &sockets[count].fd, problem);
        if (error != 0) {
            while (count > 0) {
                close(sockets[--count].fd);
            }
            return error;
        }
        sockets[count].health_only = count >= runtime->health_from;
        sockets[count].peers = sockets[count].health_only ? runtime->health_peers : runtime->peers;
    }
    worker->options = &runtime->options;
    worker->metrics =
        runtime->options.metrics != NULL ? mote_metrics_shard(runtime->options.metrics, index) : mote_metrics_nowhere();
    int error = mote_worker_init(worker, runtime, runtime->mem, sockets, runtime->binding_count);
    if (error != 0) {
        snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "cannot start a worker: %s", mote_error_text(error));
        return error;
    }
    runtime->initialised++;
    return 0;
}

static void *run_worker(void *argument)
{
    struct mote_worker *worker = argument;
    struct mote_runtime *runtime = worker->runtime;
    mote_worker_run(worker);
    if (atomic_fetch_sub(&runtime->running, 1) == 1 && runtime->options.on_drained != NULL) {
        runtime->options.on_drained(runtime->options.context);
    }
    return NULL;
}

static void free_runtime(struct mote_runtime *runtime)
{
    for (size_t i = runtime->started; i < runtime->initialised; i++) {
        mote_worker_dispose(&runtime->workers[i]);
    }
    unbind_all(runtime); /* for a start that failed */
    mote_peers_free(runtime->peers);
    mote_peers_free(runtime->health_peers);
    mote_tls_context_unref(runtime->tls);
    pthread_mutex_destroy(&runtime->tls_lock);
    mote_mem_release(runtime->mem, runtime->workers);
    mote_mem_release(runtime->mem, runtime);
}

static int start_threads(struct mote_runtime *runtime, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    atomic_store(&runtime->running, runtime->options.workers);
    while (runtime->started < runtime->options.workers) {
        struct mote_worker *worker = &runtime->workers[runtime->started];
        int number = pthread_create(&worker->thread, NULL, run_worker, worker);
        if (number != 0) {
            snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "cannot start a thread: %s", strerror(number));
            atomic_fetch_sub(&runtime->running, runtime->options.workers - runtime->started);
            mote_runtime_drain(runtime);
            for (size_t i = 0; i < runtime->started; i++) {
                pthread_join(runtime->workers[i].thread, NULL);
            }
            return MOTE_ENOMEM;
        }
        (void)pthread_setname_np(worker->thread, "mote-worker");
        runtime->started++;
    }
    return 0;
}

static int start(struct mote_runtime *runtime, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    const struct mote_limits *limits = runtime->options.limits;
    size_t count = runtime->options.workers;
    runtime->workers = mote_mem_allocate_zeroed(runtime->mem, count * sizeof *runtime->workers);
    if (runtime->workers == NULL) {
        return MOTE_ENOMEM;
    }
    int error = mote_peers_new(&runtime->peers, runtime->mem, limits->connections_max,
                               limits->connections_per_address_max, mote_random_system());
    if (error == 0) {
        error = mote_peers_new(&runtime->health_peers, runtime->mem, limits->health_connections_max,
                               limits->health_connections_per_address_max, mote_random_system());
    }
    if (error == 0) {
        error = bind_all(runtime, problem);
    }
    for (size_t i = 0; i < count && error == 0; i++) {
        error = init_worker(runtime, i, problem);
    }
    return error != 0 ? error : start_threads(runtime, problem);
}

int mote_runtime_start(struct mote_runtime **out, struct mote_mem *mem, const struct mote_runtime_options *options,
                       char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    struct mote_runtime *runtime = mote_mem_allocate_zeroed(mem, sizeof *runtime);
    mote_assert(options->workers >= 1 && options->workers <= MOTE_RUNTIME_WORKERS_MAX);
    snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "not enough memory, or no random bytes from the system");
    if (runtime == NULL) {
        return MOTE_ENOMEM;
    }
    runtime->mem = mem;
    runtime->options = *options;
    pthread_mutex_init(&runtime->tls_lock, NULL);
    runtime->tls = options->tls != NULL ? mote_tls_context_ref(options->tls) : NULL;
    int error = start(runtime, problem);
    if (error != 0) {
        free_runtime(runtime);
        return error;
    }
    *out = runtime;
    return 0;
}

struct mote_tls_context *mote_runtime_ref_tls(struct mote_runtime *runtime)
{
    pthread_mutex_lock(&runtime->tls_lock);
    struct mote_tls_context *tls = runtime->tls != NULL ? mote_tls_context_ref(runtime->tls) : NULL;
    pthread_mutex_unlock(&runtime->tls_lock);
    return tls;
}

void mote_runtime_set_tls(struct mote_runtime *runtime, struct mote_tls_context *tls)
{
    (void)mote_tls_context_ref(tls);
    pthread_mutex_lock(&runtime->tls_lock);
    struct mote_tls_context *before = runtime->tls;
    runtime->tls = tls;
    pthread_mutex_unlock(&runtime->tls_lock);
    mote_tls_context_unref(before);
}

const char *mote_runtime_address(const struct mote_runtime *runtime, size_t index)
{
    return index < runtime->binding_count ? runtime->bindings[index].text : NULL;
}

void mote_runtime_visit(struct mote_runtime *runtime)
{
    for (size_t i = 0; i < runtime->started; i++) {
        struct mote_worker *worker = &runtime->workers[i];
        if (!atomic_exchange(&worker->visit_posted, true)) {
            mote_worker_post(worker, &worker->visit_task);
        }
    }
}

bool mote_runtime_is_alive(struct mote_runtime *runtime)
{
    bool is_alive = true;
    for (size_t i = 0; i < runtime->started; i++) {
        is_alive = is_alive && !atomic_load(&runtime->workers[i].visit_posted);
    }
    mote_runtime_visit(runtime);
    return is_alive;
}

void mote_runtime_drain(struct mote_runtime *runtime)
{
    unbind_all(runtime); /* the workers have descriptors of their own, and take what waits there */
    for (size_t i = 0; i < runtime->started; i++) {
        mote_worker_post(&runtime->workers[i], &runtime->workers[i].drain_task);
    }
}

int mote_runtime_join(struct mote_runtime *runtime)
{
    bool was_cut = false;
    for (size_t i = 0; i < runtime->started; i++) {
        pthread_join(runtime->workers[i].thread, NULL);
        was_cut = was_cut || runtime->workers[i].was_cut;
    }
    free_runtime(runtime);
    return was_cut ? MOTE_ETIMEOUT : 0;
}
