/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets of a worker. They are polled, and accepted from by hand: libuv's own uv_listen spins when the
 * process has no descriptor left (1.44.2), and stays deaf after a failed uv_accept. When all places are taken, or the
 * system gives no descriptor, polling stops; it begins again when a connection ends, and tries every
 * MOTE_LISTENER_RETRY_NS, because the place may have come free on another worker. Clients wait in the kernel's queue.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "net/connection.h"
#include "net/worker.h"

#define BACKLOG          1024 /* the kernel takes less where net.core.somaxconn is lower */
#define ACCEPTS_PER_TURN 64u  /* then the connections that are there get their turn */

static void wait_for_room(struct mote_listener *listener, enum mote_metric_id reason)
{
    struct mote_worker *worker = listener->worker;
    mote_metrics_add(worker->metrics, reason, 1);
    uv_poll_stop(&listener->poll);
    listener->waits = true;
    mote_timer_start(&worker->wheel, &worker->listeners_retry, mote_worker_now(worker) + MOTE_LISTENER_RETRY_NS);
}

/* What accept failed with: true when the next connection may do better. Linux passes on what went wrong with a
 * connection while it waited. */
static bool survives(struct mote_listener *listener, int number)
{
    switch (number) {
    case EAGAIN:
        return false;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
        return true;
    default: /* no descriptor, no memory */
        mote_log(listener->worker->options->log, MOTE_LOG_WARN, "net", "net.accept_failed",
                 "cannot accept connections now", mote_log_text("err", strerror(number)));
        wait_for_room(listener, MOTE_METRIC_PAUSED_ERROR);
        return false;
    }
}

/* True when it is worth to go on. */
static bool accept_one(struct mote_listener *listener)
{
    struct mote_worker *worker = listener->worker;
    struct mote_accepted accepted = {
        .is_unix = listener->is_unix, .health_only = listener->socket.health_only, .peers = listener->socket.peers};
    accepted.address.length = sizeof accepted.address.storage;
    if (mote_peers_reserve(accepted.peers, &accepted.peer) != 0) {
        wait_for_room(listener, MOTE_METRIC_PAUSED_FULL);
        return false;
    }
    accepted.fd = accept4(listener->socket.fd, (struct sockaddr *)&accepted.address.storage, &accepted.address.length,
                          SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted.fd < 0) {
        int number = errno;
        mote_peers_release(accepted.peers, &accepted.peer);
        return survives(listener, number);
    }
    mote_connection_open(worker, &accepted);
    return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct mote_listener *listener = MOTE_CONTAINER_OF(poll, struct mote_listener, poll);
    (void)events;
    if (status != 0) {
        mote_log(listener->worker->options->log, MOTE_LOG_ERROR, "net", "net.listen_failed",
                 "a listening socket failed", mote_log_text("err", uv_strerror(status)));
        wait_for_room(listener, MOTE_METRIC_PAUSED_ERROR);
        return;
    }
    for (unsigned i = 0; i < ACCEPTS_PER_TURN && accept_one(listener); i++) {
    }
}

int mote_listener_init(struct mote_listener *listener, struct mote_worker *worker,
                       const struct mote_worker_socket *listening)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(listening->fd, (struct sockaddr *)&address, &length) != 0 || listen(listening->fd, BACKLOG) != 0) {
        return errno == EADDRINUSE ? MOTE_EBUSY : MOTE_EIO;
    }
    *listener = (struct mote_listener){.worker = worker, .socket = *listening, .is_unix = address.ss_family == AF_UNIX};
    if (uv_poll_init(&worker->loop, &listener->poll, listening->fd) != 0) {
        return MOTE_EIO;
    }
    listener->is_open = true;
    if (uv_poll_start(&listener->poll, UV_READABLE, on_readable) != 0) {
        listener->is_open = false;
        uv_close((uv_handle_t *)&listener->poll, NULL);
        return MOTE_EIO;
    }
    return 0;
}

void mote_listener_resume(struct mote_listener *listener)
{
    if (listener->is_open && listener->waits) {
        listener->waits = false;
        if (uv_poll_start(&listener->poll, UV_READABLE, on_readable) != 0) {
            wait_for_room(listener, MOTE_METRIC_PAUSED_ERROR);
        }
    }
}

void mote_listener_close(struct mote_listener *listener)
{
    if (listener->is_open) {
        listener->is_open = false;
        uv_close((uv_handle_t *)&listener->poll, NULL);
        close(listener->socket.fd);
    }
}

void mote_listener_drain(struct mote_listener *listener)
{
    /* Clients whose connection the kernel has made already would be reset by the close. */
    while (listener->is_open && accept_one(listener)) {
    }
    mote_listener_close(listener);
}
