/* SPDX-License-Identifier: Apache-2.0 */
/* Binding addresses, starting and ending workers; see runtime.h. */
#include "net/runtime.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/address.h"
#include "net/peers.h"
#include "net/worker.h"

struct bound {
    struct mote_address address;
    char text[MOTE_ADDRESS_TEXT_MAX]; /* as it really is */
    int shared_fd;                    /* a unix socket, one for all workers; -1 for TCP */
};

struct mote_runtime {
    struct mote_mem *mem;
    struct mote_runtime_options options;
    struct mote_peers *peers;
    struct bound bound[MOTE_RUNTIME_LISTENERS_MAX];
    size_t bound_count;
    struct mote_worker *workers;
    size_t initialised; /* workers that must be disposed */
    size_t started;     /* threads that must be joined */
    atomic_size_t running;
};

/* --- sockets ----------------------------------------------------------------------------------------------------- */

static int problem_of(char problem[MOTE_RUNTIME_PROBLEM_MAX], const char *address, int number)
{
    const char *hint = "";
    int error = MOTE_EIO;
    if (number == EADDRINUSE) {
        hint = "; another program listens there";
        error = MOTE_EBUSY;
    } else if (number == EACCES || number == EPERM) {
        hint = "; ports below 1024 and foreign folders need a permission";
        error = MOTE_EACCESS;
    }
    snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "cannot listen on %s: %s%s", address, strerror(number), hint);
    return error;
}

/* A bound TCP socket, or -1 with errno. With `shared` the port may be bound by the other workers too. */
static int bind_tcp(const struct mote_address *address, bool shared)
{
    int on = 1;
    int off = 0;
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->storage.ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if ((shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        bind(fd, (const struct sockaddr *)&address->storage, address->length) != 0) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

/* SO_REUSEPORT would let two servers of one user share a port unnoticed: bind once without it first, and learn the port
 * that was chosen for 0. */
static int claim_tcp(struct bound *bound)
{
    int fd = bind_tcp(&bound->address, false);
    if (fd < 0) {
        return errno;
    }
    bound->address.length = sizeof bound->address.storage;
    if (getsockname(fd, (struct sockaddr *)&bound->address.storage, &bound->address.length) != 0) {
        int number = errno;
        close(fd);
        return number;
    }
    /* bind without listen takes no connections, but it does refuse another program's listen */
    if (listen(fd, 1) != 0) {
        int number = errno;
        close(fd);
        return number;
    }
    close(fd);
    return 0;
}

/* A socket file that nobody listens on is a left-over of a crash. */
static void remove_stale_socket(const struct mote_address *address)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)&address->storage;
    struct stat status;
    int fd;
    if (name->sun_path[0] == '\0' || stat(name->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0 && errno == ECONNREFUSED) {
        (void)unlink(name->sun_path);
    }
    close(fd);
}

static int claim_unix(struct bound *bound)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    remove_stale_socket(&bound->address);
    if (bind(fd, (const struct sockaddr *)&bound->address.storage, bound->address.length) != 0) {
        int number = errno;
        close(fd);
        return number;
    }
    bound->shared_fd = fd;
    return 0;
}

static int claim(struct mote_runtime *runtime, struct mote_slice text, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    struct bound *bound = &runtime->bound[runtime->bound_count];
    const char *why;
    int number;
    if (runtime->bound_count == MOTE_RUNTIME_LISTENERS_MAX) {
        snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "more than %u addresses to listen on", MOTE_RUNTIME_LISTENERS_MAX);
        return MOTE_EINVAL;
    }
    bound->shared_fd = -1;
    if (mote_address_parse(&bound->address, text, &why) != 0) {
        snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "cannot listen on %.*s: %s", (int)text.length, text.data, why);
        return MOTE_EINVAL;
    }
    number = mote_address_is_unix(&bound->address) ? claim_unix(bound) : claim_tcp(bound);
    mote_address_format(bound->text, &bound->address);
    if (number != 0) {
        return problem_of(problem, bound->text, number);
    }
    runtime->bound_count++;
    return 0;
}

static int claim_all(struct mote_runtime *runtime, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    const char *rest = runtime->options.listen;
    while (*rest != '\0') {
        size_t length = strcspn(rest, ",");
        if (length > 0) {
            int error = claim(runtime, mote_slice(rest, length), problem);
            if (error != 0) {
                return error;
            }
        }
        rest += length + (rest[length] == ',');
    }
    if (runtime->bound_count == 0) {
        snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "no address to listen on");
        return MOTE_EINVAL;
    }
    return 0;
}

static void release_sockets(struct mote_runtime *runtime)
{
    for (size_t i = 0; i < runtime->bound_count; i++) {
        struct bound *bound = &runtime->bound[i];
        const struct sockaddr_un *name = (const struct sockaddr_un *)&bound->address.storage;
        if (bound->shared_fd >= 0) {
            close(bound->shared_fd);
            if (name->sun_path[0] != '\0') {
                (void)unlink(name->sun_path);
            }
        }
    }
}

/* --- workers ----------------------------------------------------------------------------------------------------- */

static int init_worker(struct mote_runtime *runtime, size_t index, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    struct mote_worker *worker = &runtime->workers[index];
    int fds[MOTE_RUNTIME_LISTENERS_MAX];
    size_t count = 0;
    int error = 0;
    for (; count < runtime->bound_count; count++) {
        struct bound *bound = &runtime->bound[count];
        fds[count] = bound->shared_fd >= 0 ? dup(bound->shared_fd) : bind_tcp(&bound->address, true);
        if (fds[count] < 0) {
            error = problem_of(problem, bound->text, errno);
            goto fail_sockets;
        }
    }
    worker->options = &runtime->options;
    worker->peers = runtime->peers;
    error = mote_worker_init(worker, runtime, runtime->mem, fds, count);
    if (error != 0) {
        snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "cannot start a worker: %s", mote_error_text(error));
        goto fail_sockets;
    }
    runtime->initialised++;
    return 0;
fail_sockets:
    while (count > 0) {
        close(fds[--count]);
    }
    return error;
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
    release_sockets(runtime);
    mote_peers_free(runtime->peers);
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
        runtime->started++;
    }
    return 0;
}

int mote_runtime_start(struct mote_runtime **out, struct mote_mem *mem, const struct mote_runtime_options *options,
                       char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    struct mote_runtime *runtime = mote_mem_allocate_zeroed(mem, sizeof *runtime);
    int error = MOTE_ENOMEM;
    mote_assert(options->workers >= 1 && options->workers <= MOTE_RUNTIME_WORKERS_MAX);
    snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "out of memory");
    if (runtime == NULL) {
        return MOTE_ENOMEM;
    }
    runtime->mem = mem;
    runtime->options = *options;
    runtime->workers = mote_mem_allocate_zeroed(mem, options->workers * sizeof *runtime->workers);
    if (runtime->workers == NULL || mote_peers_new(&runtime->peers, mem, options->limits->connections_max,
                                                   options->limits->connections_per_address_max) != 0) {
        goto fail;
    }
    error = claim_all(runtime, problem);
    if (error != 0) {
        goto fail;
    }
    for (size_t i = 0; i < options->workers; i++) {
        error = init_worker(runtime, i, problem);
        if (error != 0) {
            goto fail;
        }
    }
    error = start_threads(runtime, problem);
    if (error != 0) {
        goto fail;
    }
    *out = runtime;
    return 0;
fail:
    free_runtime(runtime);
    return error;
}

const char *mote_runtime_address(const struct mote_runtime *runtime, size_t index)
{
    return index < runtime->bound_count ? runtime->bound[index].text : NULL;
}

void mote_runtime_each_worker(struct mote_runtime *runtime, void (*visit)(struct mote_server_worker *worker))
{
    for (size_t i = 0; i < runtime->started; i++) {
        struct mote_worker *worker = &runtime->workers[i];
        if (!atomic_exchange(&worker->visit_posted, true)) {
            worker->visit = visit;
            mote_worker_post(worker, &worker->visit_task);
        }
    }
}

void mote_runtime_drain(struct mote_runtime *runtime)
{
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
