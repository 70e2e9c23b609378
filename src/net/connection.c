/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading: libuv reads into the worker's one scratch buffer, and rpc consumes all of it before the next read, so an
 * idle connection owns no buffer. Writing: output is pulled into the worker's write scratch and written at once; only
 * what the socket does not take is copied and waits, and nothing more is pulled until it is gone. All replies of one
 * turn leave in one write, before the loop sleeps.
 */
#include "net/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/assert.h"
#include "rpc/server.h"
#include "wire/h2.h"

enum state {
    STATE_OPEN,
    STATE_CLOSING, /* the last output is being written */
    STATE_LINGER,  /* our side is shut down */
    STATE_CLOSED,  /* uv_close was called */
};

struct mote_connection {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct mote_worker *worker;
    struct mote_server_connection_owner owner;
    struct mote_server_connection *server_connection;
    struct mote_list node;   /* worker->connections */
    struct mote_list dirty;  /* worker->dirty */
    struct mote_list paused; /* worker->paused */
    struct mote_timer linger;
    struct mote_address peer;
    enum state state;
    bool counted; /* in worker->peers */
    bool reading;
    bool writing; /* a uv_write is under way */
};

/* Bytes that the socket did not take at once. */
struct pending {
    uv_write_t request;
    size_t length;
    uint8_t bytes[];
};

static void start_reading(struct mote_connection *connection);
static void close_now(struct mote_connection *connection);

static void set_state(struct mote_connection *connection, enum state state)
{
    mote_assert(state > connection->state);
    connection->state = state;
}

static void mark_dirty(struct mote_connection *connection)
{
    if (mote_list_is_empty(&connection->dirty)) {
        mote_list_append(&connection->worker->dirty, &connection->dirty);
    }
}

static void on_attention(struct mote_server_connection_owner *owner)
{
    mark_dirty(MOTE_CONTAINER_OF(owner, struct mote_connection, owner));
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(handle, struct mote_connection, uv.handle);
    struct mote_worker *worker = connection->worker;
    mote_mem_release(worker->mem, connection);
    for (size_t i = 0; i < worker->listener_count; i++) {
        mote_listener_resume(&worker->listeners[i]);
    }
}

static void close_now(struct mote_connection *connection)
{
    struct mote_worker *worker = connection->worker;
    if (connection->state == STATE_CLOSED) {
        return;
    }
    set_state(connection, STATE_CLOSED);
    mote_timer_stop(&worker->wheel, &connection->linger);
    mote_server_connection_free(connection->server_connection);
    connection->server_connection = NULL;
    mote_list_remove(&connection->dirty);
    mote_list_remove(&connection->paused);
    mote_list_remove(&connection->node);
    worker->connection_count--;
    if (connection->counted) {
        mote_peers_remove(worker->peers, &connection->peer);
    }
    uv_close(&connection->uv.handle, on_closed);
}

static void on_linger_over(struct mote_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    close_now(MOTE_CONTAINER_OF(timer, struct mote_connection, linger));
}

/* All output is out: half-close, and give the peer time to read it. */
static void begin_linger(struct mote_connection *connection)
{
    uv_os_fd_t fd;
    set_state(connection, STATE_LINGER);
    if (uv_fileno(&connection->uv.handle, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
        close_now(connection);
        return;
    }
    mote_timer_start(&connection->worker->wheel, &connection->linger,
                     mote_worker_now(connection->worker) + MOTE_CONNECTION_LINGER_NS);
    start_reading(connection);
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *request, int status)
{
    struct pending *pending = MOTE_CONTAINER_OF(request, struct pending, request);
    struct mote_connection *connection = MOTE_CONTAINER_OF(request->handle, struct mote_connection, uv.stream);
    struct mote_worker *worker = connection->worker;
    mote_mem_release(worker->mem, pending);
    connection->writing = false;
    if (connection->state == STATE_CLOSED) {
        return;
    }
    if (status != 0) {
        close_now(connection);
        return;
    }
    mote_server_connection_set_pending_output(connection->server_connection, 0, mote_worker_now(worker));
    mark_dirty(connection);
}

/* Copies what is left and has libuv write it when the socket can. */
static int write_later(struct mote_connection *connection, const uint8_t *bytes, size_t length)
{
    struct mote_worker *worker = connection->worker;
    struct pending *pending = mote_mem_allocate(worker->mem, sizeof *pending + length);
    uv_buf_t buffer;
    if (pending == NULL) {
        return MOTE_ENOMEM;
    }
    pending->length = length;
    memcpy(pending->bytes, bytes, length);
    buffer = uv_buf_init((char *)pending->bytes, (unsigned)length);
    if (uv_write(&pending->request, &connection->uv.stream, &buffer, 1, on_written) != 0) {
        mote_mem_release(worker->mem, pending);
        return MOTE_EIO;
    }
    connection->writing = true;
    mote_server_connection_set_pending_output(connection->server_connection, length, mote_worker_now(worker));
    return 0;
}

static int write_out(struct mote_connection *connection, const uint8_t *bytes, size_t length)
{
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)length);
    int written = uv_try_write(&connection->uv.stream, &buffer, 1);
    if (written < 0 && written != UV_EAGAIN) {
        return MOTE_EIO;
    }
    written = written > 0 ? written : 0;
    if ((size_t)written == length) {
        return 0;
    }
    return write_later(connection, bytes + written, length - (size_t)written);
}

/* Pulls and writes until there is no output or the socket is full. */
static int pull_and_write(struct mote_connection *connection)
{
    struct mote_worker *worker = connection->worker;
    while (!connection->writing) {
        size_t length = 0;
        int error = mote_server_connection_send(connection->server_connection, worker->write_scratch,
                                                MOTE_WORKER_SCRATCH, &length, mote_worker_now(worker));
        if (length > 0) {
            int written = write_out(connection, worker->write_scratch, length);
            if (written != 0) {
                return written;
            }
        }
        if (error != 0) {
            if (connection->state == STATE_OPEN) {
                set_state(connection, STATE_CLOSING);
            }
            return 0;
        }
        if (length == 0) {
            return 0;
        }
    }
    return 0;
}

static void flush(struct mote_connection *connection)
{
    if (connection->state == STATE_CLOSED || connection->state == STATE_LINGER) {
        return;
    }
    if (pull_and_write(connection) != 0) {
        close_now(connection);
        return;
    }
    if (connection->state == STATE_OPEN && mote_server_connection_is_over(connection->server_connection)) {
        set_state(connection, STATE_CLOSING);
    }
    if (connection->state == STATE_CLOSING) {
        uv_read_stop(&connection->uv.stream);
        connection->reading = false;
        if (!connection->writing) {
            begin_linger(connection);
        }
        return;
    }
    if (mote_server_connection_wants_read(connection->server_connection)) {
        if (mote_list_is_empty(&connection->paused)) {
            start_reading(connection);
        }
    } else if (connection->reading) {
        uv_read_stop(&connection->uv.stream);
        connection->reading = false;
    }
}

void mote_connection_flush(struct mote_list *dirty_node)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(dirty_node, struct mote_connection, dirty);
    mote_list_remove(&connection->dirty);
    flush(connection);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(handle, struct mote_connection, uv.handle);
    struct mote_worker *worker = connection->worker;
    const uint64_t share = worker->options->limits->read_per_turn;
    (void)suggested;
    *buffer =
        uv_buf_init((char *)worker->read_scratch, share < MOTE_WORKER_SCRATCH ? (unsigned)share : MOTE_WORKER_SCRATCH);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(stream, struct mote_connection, uv.stream);
    struct mote_worker *worker = connection->worker;
    if (length == 0) {
        return;
    }
    if (length < 0) {
        close_now(connection);
        return;
    }
    if (connection->state != STATE_OPEN) {
        return; /* lingering: dropped */
    }
    if (mote_server_connection_recv(connection->server_connection, mote_slice(buffer->base, (size_t)length),
                                    uv_hrtime()) != 0) {
        set_state(connection, STATE_CLOSING);
    }
    mark_dirty(connection);
    if (connection->state == STATE_OPEN && (size_t)length == buffer->len) {
        /* More is there, and libuv would go on reading: this connection had its share of the turn. */
        uv_read_stop(stream);
        connection->reading = false;
        mote_list_append(&worker->paused, &connection->paused);
    }
}

static void start_reading(struct mote_connection *connection)
{
    if (!connection->reading && uv_read_start(&connection->uv.stream, on_allocate, on_read) == 0) {
        connection->reading = true;
    }
}

void mote_connection_continue(struct mote_list *paused_node)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(paused_node, struct mote_connection, paused);
    mote_list_remove(&connection->paused);
    if (connection->state == STATE_OPEN && mote_server_connection_wants_read(connection->server_connection)) {
        start_reading(connection);
    }
}

/* --- the beginning ---------------------------------------------------------------------------------------------- */

static struct mote_connection *allocate(struct mote_worker *worker, bool is_unix)
{
    struct mote_connection *connection = mote_mem_allocate_zeroed(worker->mem, sizeof *connection);
    if (connection == NULL) {
        return NULL;
    }
    if (is_unix) {
        uv_pipe_init(&worker->loop, &connection->uv.pipe, 0);
    } else {
        uv_tcp_init(&worker->loop, &connection->uv.tcp);
    }
    connection->worker = worker;
    connection->owner.attention = on_attention;
    mote_list_init(&connection->dirty);
    mote_list_init(&connection->paused);
    mote_list_append(&worker->connections, &connection->node);
    mote_timer_init(&connection->linger, on_linger_over);
    worker->connection_count++;
    return connection;
}

/* Dead peers are noticed by the kernel too: unanswered data after 20 s, silence after the usual keepalive. */
static void set_socket_options(int fd)
{
    unsigned user_timeout_ms = 20000;
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

/* The socket is there: count it, and let rpc have it. */
static void open_connection(struct mote_connection *connection)
{
    struct mote_worker *worker = connection->worker;
    struct mote_server_connection_options options = {.owner = &connection->owner};
    char text[MOTE_ADDRESS_TEXT_MAX];
    uv_os_fd_t fd;
    if (uv_fileno(&connection->uv.handle, &fd) != 0) {
        close_now(connection);
        return;
    }
    connection->peer.length = sizeof connection->peer.storage;
    if (getpeername(fd, (struct sockaddr *)&connection->peer.storage, &connection->peer.length) != 0) {
        close_now(connection);
        return;
    }
    if (!mote_address_is_unix(&connection->peer)) {
        set_socket_options(fd);
    }
    if (mote_peers_add(worker->peers, &connection->peer) != 0) {
        close_now(connection);
        return;
    }
    connection->counted = true;
    mote_address_format(text, &connection->peer);
    options.peer = text;
    if (mote_server_connection_new(&connection->server_connection, worker->server_worker, &options, uv_hrtime()) != 0) {
        close_now(connection);
        return;
    }
    if (worker->draining) {
        mote_server_connection_drain(connection->server_connection, uv_hrtime());
    }
    start_reading(connection);
    mark_dirty(connection);
}

void mote_connection_accept(struct mote_listener *listener)
{
    struct mote_worker *worker = listener->worker;
    bool is_unix = listener->uv.handle.type == UV_NAMED_PIPE;
    struct mote_connection *connection = allocate(worker, is_unix);
    if (connection == NULL) {
        listener->waits = true;
        return;
    }
    if (uv_accept(&listener->uv.stream, &connection->uv.stream) != 0) {
        close_now(connection);
        return;
    }
    open_connection(connection);
}

void mote_connection_adopt(struct mote_worker *worker, int fd, bool is_unix)
{
    struct mote_connection *connection = allocate(worker, is_unix);
    int error;
    if (connection == NULL) {
        close(fd);
        return;
    }
    error = is_unix ? uv_pipe_open(&connection->uv.pipe, fd) : uv_tcp_open(&connection->uv.tcp, fd);
    if (error != 0) {
        close(fd);
        close_now(connection);
        return;
    }
    open_connection(connection);
}

/* --- drain ------------------------------------------------------------------------------------------------------ */

void mote_connection_drain(struct mote_list *node)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(node, struct mote_connection, node);
    if (connection->state == STATE_OPEN) {
        mote_server_connection_drain(connection->server_connection, mote_worker_now(connection->worker));
        mark_dirty(connection);
    }
}

void mote_connection_cut(struct mote_list *node)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(node, struct mote_connection, node);
    if (connection->state == STATE_OPEN) {
        mote_server_connection_cut(connection->server_connection, mote_worker_now(connection->worker));
        flush(connection);
        if (connection->state == STATE_OPEN) {
            set_state(connection, STATE_CLOSING);
            mark_dirty(connection);
        }
    } else if (connection->state == STATE_CLOSING) {
        close_now(connection); /* its peer does not even take the goodbye */
    }
}
