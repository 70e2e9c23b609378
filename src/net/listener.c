/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets of a worker. When all connections are taken, nothing is accepted: libuv stops polling the listener
 * until uv_accept is called, so a full server does not spin, and clients wait in the kernel's queue.
 */
#include <unistd.h>

#include "net/connection.h"
#include "net/worker.h"

#define BACKLOG 1024

static bool has_room(struct mote_worker *worker)
{
    return mote_peers_count(worker->peers) < worker->options->limits->connections_max;
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct mote_listener *listener = MOTE_CONTAINER_OF(stream, struct mote_listener, uv.stream);
    if (status != 0) {
        mote_log(listener->worker->options->log, MOTE_LOG_WARN, "net", "net.accept_failed", "cannot accept",
                 mote_log_text("err", uv_strerror(status)));
        return;
    }
    if (!has_room(listener->worker)) {
        listener->waits = true;
        return;
    }
    mote_connection_accept(listener);
}

int mote_listener_init(struct mote_listener *listener, struct mote_worker *worker, int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int error;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        return MOTE_EIO;
    }
    listener->worker = worker;
    if (address.ss_family == AF_UNIX) {
        uv_pipe_init(&worker->loop, &listener->uv.pipe, 0);
        error = uv_pipe_open(&listener->uv.pipe, fd);
    } else {
        uv_tcp_init(&worker->loop, &listener->uv.tcp);
        error = uv_tcp_open(&listener->uv.tcp, fd);
    }
    listener->is_open = true;
    if (error == 0) {
        error = uv_listen(&listener->uv.stream, BACKLOG, on_connection);
    }
    return error == 0 ? 0 : MOTE_EIO;
}

void mote_listener_resume(struct mote_listener *listener)
{
    if (listener->is_open && listener->waits && has_room(listener->worker)) {
        listener->waits = false;
        mote_connection_accept(listener);
    }
}

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
}

void mote_listener_drain(struct mote_listener *listener)
{
    uv_os_fd_t fd;
    if (!listener->is_open) {
        return;
    }
    listener->is_open = false;
    if (listener->waits && has_room(listener->worker)) {
        listener->waits = false;
        mote_connection_accept(listener);
    }
    /* Clients whose connection the kernel has made already would be reset by the close. */
    if (uv_fileno(&listener->uv.handle, &fd) == 0) {
        while (has_room(listener->worker)) {
            int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (accepted < 0) {
                break;
            }
            mote_connection_adopt(listener->worker, accepted, listener->uv.handle.type == UV_NAMED_PIPE);
        }
    }
    uv_close(&listener->uv.handle, on_closed);
}
