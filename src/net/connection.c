/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading: libuv reads into the worker's one scratch buffer, and rpc consumes all of it before the next read, so an
 * idle connection owns no buffer. Writing: output is pulled into the worker's write scratch and written at once; only
 * what the socket does not take is copied and waits, and nothing more is pulled until it is gone. All replies of one
 * read leave in one write, before the next connection is read; late ones once a turn, before the loop sleeps. Bytes
 * are wiped when they have been taken or written: passwords and tokens are among them.
 *
 * With TLS there is a step more in each direction, through the worker's two other scratch buffers. Handshakes cost
 * milliseconds of CPU, so they are let in by a token bucket: who finds none is not read from until one is there, and
 * those who are through are not kept waiting.
 *
 * The process ignores SIGPIPE: a write to a peer that is gone is an error like any other.
 */
#include "net/connection.h"

#include <unistd.h>

#include "base/assert.h"
#include "rpc/server.h"
#include "security/tls.h"

enum state {
    STATE_OPEN,
    STATE_CLOSING,
    STATE_LINGER,
    STATE_CLOSED,
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
    struct mote_tls *tls;      /* NULL: in the clear */
    struct mote_list node;     /* worker->connections */
    struct mote_list unopened; /* worker->unopened */
    struct mote_list dirty;    /* worker->dirty */
    struct mote_list paused;   /* worker->paused */
    struct mote_list waiting;  /* worker->handshakes.waiting */
    struct mote_timer timer;   /* how long CLOSING and LINGER may take */
    struct mote_peers *peers;
    struct mote_peer peer;
    enum state state;
    bool opened; /* the peer's preface is here */
    bool reading;
    bool admitted;    /* in the clear, or its handshake may be worked on */
    unsigned writing; /* uv_writes under way */
    size_t pending;   /* bytes in them */
};

/* Bytes that the socket did not take at once. */
struct pending {
    uv_write_t request;
    size_t length;
    uint8_t bytes[];
};

static void set_state(struct mote_connection *connection, enum state state)
{
    mote_assert(state > connection->state);
    connection->state = state;
}

static void count(const struct mote_connection *connection, enum mote_metric_id id, uint64_t amount)
{
    mote_metrics_add(connection->worker->metrics, id, amount);
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

/* --- reading ----------------------------------------------------------------------------------------------------- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer);

static void start_reading(struct mote_connection *connection)
{
    if (!connection->reading && uv_read_start(&connection->uv.stream, on_allocate, on_read) == 0) {
        connection->reading = true;
    }
}

static void stop_reading(struct mote_connection *connection)
{
    if (connection->reading) {
        uv_read_stop(&connection->uv.stream);
        connection->reading = false;
    }
}

/* It had its share of this turn. */
static void pause_reading(struct mote_connection *connection)
{
    stop_reading(connection);
    if (mote_list_is_empty(&connection->paused)) {
        mote_list_append(&connection->worker->paused, &connection->paused);
    }
}

/* --- peers that say nothing -------------------------------------------------------------------------------------- */

static void close_now(struct mote_connection *connection);

static void set_opened(struct mote_connection *connection)
{
    if (!connection->opened) {
        connection->opened = true;
        mote_list_remove(&connection->unopened);
        connection->worker->unopened_count--;
    }
}

/* A client sends its preface at once. Whoever opens many connections and sends nothing loses the oldest for each new
 * one, and nobody else has to wait for the preface's timeout. */
static void add_unopened(struct mote_connection *connection)
{
    struct mote_worker *worker = connection->worker;
    if (worker->unopened_count >= worker->unopened_max && !mote_list_is_empty(&worker->unopened)) {
        struct mote_connection *oldest = MOTE_CONTAINER_OF(worker->unopened.next, struct mote_connection, unopened);
        mote_log(worker->options->log, MOTE_LOG_WARN, "net", "net.silent_connection_closed",
                 "too many connections without a preface: the oldest was closed",
                 mote_log_text("peer", mote_server_connection_peer(oldest->server_connection)));
        count(oldest, MOTE_METRIC_REFUSED_SILENT, 1);
        close_now(oldest);
    }
    connection->opened = false;
    mote_list_append(&worker->unopened, &connection->unopened);
    worker->unopened_count++;
}

/* --- handshakes -------------------------------------------------------------------------------------------------- */

static bool take_handshake_token(struct mote_handshakes *handshakes, uint64_t now_ns)
{
    uint64_t earned = (now_ns - handshakes->counted_at) / handshakes->interval_ns;
    if (earned > 0) {
        handshakes->counted_at += earned * handshakes->interval_ns;
        earned += handshakes->tokens;
        handshakes->tokens = earned < MOTE_HANDSHAKES_BURST ? (unsigned)earned : MOTE_HANDSHAKES_BURST;
    }
    if (handshakes->tokens == 0) {
        return false;
    }
    handshakes->tokens--;
    return true;
}

/* The oldest first. */
void mote_connection_admit(struct mote_worker *worker)
{
    struct mote_handshakes *handshakes = &worker->handshakes;
    uint64_t now_ns = mote_worker_now(worker);
    while (!mote_list_is_empty(&handshakes->waiting) && take_handshake_token(handshakes, now_ns)) {
        struct mote_connection *connection =
            MOTE_CONTAINER_OF(handshakes->waiting.next, struct mote_connection, waiting);
        mote_list_remove(&connection->waiting);
        connection->admitted = true;
        start_reading(connection);
    }
    if (!mote_list_is_empty(&handshakes->waiting)) {
        mote_timer_start(&worker->wheel, &handshakes->timer, handshakes->counted_at + handshakes->interval_ns);
    }
}

/* Its first bytes are there: a client that sends none costs no token. */
static bool may_shake_hands(struct mote_connection *connection)
{
    struct mote_worker *worker = connection->worker;
    if (!connection->admitted && mote_list_is_empty(&worker->handshakes.waiting)) {
        connection->admitted = take_handshake_token(&worker->handshakes, mote_worker_now(worker));
    }
    return connection->admitted;
}

static void wait_for_handshake(struct mote_connection *connection)
{
    stop_reading(connection);
    mote_list_append(&connection->worker->handshakes.waiting, &connection->waiting);
    mote_connection_admit(connection->worker);
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

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
    connection->reading = false;
    mote_timer_stop(&worker->wheel, &connection->timer);
    mote_server_connection_free(connection->server_connection);
    connection->server_connection = NULL;
    mote_list_remove(&connection->waiting);
    if (connection->tls != NULL && !mote_tls_is_established(connection->tls)) {
        count(connection, MOTE_METRIC_HANDSHAKES_FAILED, 1);
    }
    mote_tls_free(connection->tls);
    connection->tls = NULL;
    mote_list_remove(&connection->dirty);
    mote_list_remove(&connection->paused);
    mote_list_remove(&connection->node);
    worker->connection_count--;
    count(connection, MOTE_METRIC_CONNECTIONS, (uint64_t)-1);
    set_opened(connection);
    mote_peers_release(connection->peers, &connection->peer);
    uv_close(&connection->uv.handle, on_closed);
}

static void on_time_over(struct mote_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    close_now(MOTE_CONTAINER_OF(timer, struct mote_connection, timer));
}

static void start_timer(struct mote_connection *connection, uint64_t patience_ns)
{
    struct mote_worker *worker = connection->worker;
    mote_timer_start(&worker->wheel, &connection->timer, mote_worker_now(worker) + patience_ns);
}

static const char *end_reason(const struct mote_connection *connection)
{
    if (connection->tls != NULL && mote_tls_problem(connection->tls)[0] != '\0') {
        return mote_tls_problem(connection->tls);
    }
    return mote_server_connection_end_reason(connection->server_connection);
}

/* Nothing more is taken from the peer; what rpc still has for it goes out. */
static void begin_closing(struct mote_connection *connection)
{
    const char *reason = end_reason(connection);
    if (connection->state != STATE_OPEN) {
        return;
    }
    set_state(connection, STATE_CLOSING);
    stop_reading(connection);
    start_timer(connection, MOTE_CONNECTION_GOODBYE_NS);
    mark_dirty(connection);
    if (reason != NULL && !connection->worker->draining) {
        mote_metrics_add_text(connection->worker->metrics, MOTE_METRIC_TEXT_CONNECTION_ENDS,
                              connection->tls != NULL && reason == mote_tls_problem(connection->tls) ? "TLS" : reason);
        mote_log(connection->worker->options->log, MOTE_LOG_WARN, "net", "net.connection_ended",
                 "a connection was ended",
                 mote_log_text("peer", mote_server_connection_peer(connection->server_connection)),
                 mote_log_text("because", reason));
    }
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
    start_timer(connection, MOTE_CONNECTION_LINGER_NS);
    start_reading(connection);
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *request, int status)
{
    struct pending *pending = MOTE_CONTAINER_OF(request, struct pending, request);
    struct mote_connection *connection = MOTE_CONTAINER_OF(request->handle, struct mote_connection, uv.stream);
    struct mote_worker *worker = connection->worker;
    connection->pending -= pending->length;
    connection->writing--;
    mote_mem_release_wiped(worker->mem, pending);
    if (connection->state == STATE_CLOSED) {
        return;
    }
    if (status != 0) {
        close_now(connection);
        return;
    }
    mote_server_connection_set_pending_output(connection->server_connection, connection->pending,
                                              mote_worker_now(worker));
    mark_dirty(connection);
}

/* Copies what is left and has libuv write it when the socket can. */
static int write_later(struct mote_connection *connection, const uint8_t *bytes, size_t length)
{
    struct mote_worker *worker = connection->worker;
    struct pending *pending = mote_mem_allocate(worker->mem, sizeof *pending + length);
    if (pending == NULL) {
        return MOTE_ENOMEM;
    }
    pending->length = length;
    memcpy(pending->bytes, bytes, length);
    uv_buf_t buffer = uv_buf_init((char *)pending->bytes, (unsigned)length);
    if (uv_write(&pending->request, &connection->uv.stream, &buffer, 1, on_written) != 0) {
        mote_mem_release_wiped(worker->mem, pending);
        return MOTE_EIO;
    }
    connection->writing++;
    connection->pending += length;
    mote_server_connection_set_pending_output(connection->server_connection, connection->pending,
                                              mote_worker_now(worker));
    return 0;
}

static int write_out(struct mote_connection *connection, uint8_t *bytes, size_t length)
{
    if (length == 0) {
        return 0;
    }
    count(connection, MOTE_METRIC_SENT_BYTES, length);
    uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)length);
    int written = uv_try_write(&connection->uv.stream, &buffer, 1);
    if (written < 0 && written != UV_EAGAIN) {
        return MOTE_EIO;
    }
    size_t taken = written > 0 ? (size_t)written : 0;
    return taken == length ? 0 : write_later(connection, bytes + taken, length - taken);
}

static struct mote_tls_room cipher_room(const struct mote_worker *worker)
{
    return (struct mote_tls_room){.bytes = worker->cipher_scratch, .size = MOTE_WORKER_CIPHER_SCRATCH};
}

static int encrypt_and_write(struct mote_connection *connection, const uint8_t *bytes, size_t length)
{
    struct mote_slice plain = mote_slice(bytes, length);
    while (plain.length > 0) {
        struct mote_tls_room out = cipher_room(connection->worker);
        if (mote_tls_send(connection->tls, &plain, &out) != 0 || out.length == 0 ||
            write_out(connection, out.bytes, out.length) != 0) {
            return MOTE_EIO;
        }
    }
    return 0;
}

/* Before the handshake is over there is nobody to tell. */
static bool wants_write(const struct mote_connection *connection)
{
    bool is_ready = connection->tls == NULL ||
                    (mote_tls_is_established(connection->tls) && mote_tls_problem(connection->tls)[0] == '\0');
    return is_ready && mote_server_connection_wants_write(connection->server_connection);
}

/* True when it has to be waited for. */
static bool say_goodbye(struct mote_connection *connection)
{
    if (connection->tls == NULL) {
        return false;
    }
    struct mote_tls_room out = cipher_room(connection->worker);
    mote_tls_goodbye(connection->tls, &out);
    return out.length > 0 && write_out(connection, out.bytes, out.length) == 0 && connection->writing > 0;
}

/* Pulls and writes until there is no output, the socket is full, or the share of this turn is used up. */
static int pull_and_write(struct mote_connection *connection)
{
    struct mote_worker *worker = connection->worker;
    const uint64_t now_ns = mote_worker_now(worker);
    size_t total = 0;
    while (connection->writing == 0 && wants_write(connection)) {
        size_t length = 0;
        if (total >= MOTE_CONNECTION_WRITE_PER_TURN) {
            pause_reading(connection);
            return 0;
        }
        int error = mote_server_connection_send(connection->server_connection, worker->write_scratch,
                                                MOTE_WORKER_SCRATCH, &length, now_ns);
        total += length;
        int failed = connection->tls == NULL ? write_out(connection, worker->write_scratch, length)
                                             : encrypt_and_write(connection, worker->write_scratch, length);
        mote_mem_wipe(worker->write_scratch, length);
        if (failed != 0) {
            return MOTE_EIO;
        }
        if (error != 0) {
            begin_closing(connection);
            return 0;
        }
        if (length == 0) {
            return 0;
        }
    }
    return 0;
}

static void update_reading(struct mote_connection *connection)
{
    if (!mote_server_connection_wants_read(connection->server_connection)) {
        stop_reading(connection);
    } else if (mote_list_is_empty(&connection->paused) && mote_list_is_empty(&connection->waiting)) {
        start_reading(connection);
    }
}

static void flush(struct mote_connection *connection)
{
    struct mote_server_connection *server_connection = connection->server_connection;
    if (connection->state == STATE_CLOSED || connection->state == STATE_LINGER) {
        return;
    }
    if (pull_and_write(connection) != 0) {
        close_now(connection);
        return;
    }
    /* One that a limit ended takes no more input, though its peer may not take the goodbye either. */
    if (mote_server_connection_is_over(server_connection) ||
        mote_server_connection_end_reason(server_connection) != NULL) {
        begin_closing(connection);
    }
    if (connection->state == STATE_OPEN) {
        update_reading(connection);
    } else if (connection->writing == 0 && !wants_write(connection) && !say_goodbye(connection)) {
        begin_linger(connection);
    }
}

void mote_connection_flush(struct mote_list *dirty_node)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(dirty_node, struct mote_connection, dirty);
    mote_list_remove(&connection->dirty);
    flush(connection);
}

/* --- what came --------------------------------------------------------------------------------------------------- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(handle, struct mote_connection, uv.handle);
    uint64_t share = connection->worker->options->limits->read_per_turn;
    (void)suggested;
    if (!may_shake_hands(connection)) {
        *buffer = uv_buf_init(NULL, 0); /* the bytes stay in the kernel; on_read is told */
        return;
    }
    *buffer = uv_buf_init((char *)connection->worker->read_scratch,
                          share < MOTE_WORKER_SCRATCH ? (unsigned)share : MOTE_WORKER_SCRATCH);
}

static void receive(struct mote_connection *connection, uint8_t *bytes, size_t length)
{
    struct mote_worker *worker = connection->worker;
    int error =
        mote_server_connection_recv(connection->server_connection, mote_slice(bytes, length), mote_worker_now(worker));
    mote_mem_wipe(bytes, length);
    if (!connection->opened && mote_server_connection_is_open(connection->server_connection)) {
        set_opened(connection);
    }
    mark_dirty(connection);
    if (error != 0) {
        begin_closing(connection);
    }
}

/* Before the first call, who the peer is. */
static int identify(struct mote_connection *connection)
{
    struct mote_certificate *certificate;
    int error = mote_tls_certificate_read(&certificate, connection->tls, connection->worker->mem);
    mote_server_connection_set_tls(connection->server_connection, mote_tls_version(connection->tls),
                                   mote_tls_suite(connection->tls));
    if (error == 0 && certificate != NULL) {
        mote_server_connection_set_certificate(connection->server_connection, certificate);
    }
    return error;
}

static void decrypt_and_receive(struct mote_connection *connection, struct mote_slice in)
{
    struct mote_worker *worker = connection->worker;
    do {
        struct mote_tls_room plain = {.bytes = worker->plain_scratch, .size = MOTE_WORKER_SCRATCH};
        struct mote_tls_room out = cipher_room(worker);
        bool was_established = mote_tls_is_established(connection->tls);
        int result = mote_tls_recv(connection->tls, &in, &plain, &out);
        bool is_through = !was_established && mote_tls_is_established(connection->tls);
        count(connection, MOTE_METRIC_HANDSHAKES_OK, is_through);
        if (write_out(connection, out.bytes, out.length) != 0 || (is_through && identify(connection) != 0)) {
            close_now(connection);
            return;
        }
        if (plain.length > 0) {
            receive(connection, plain.bytes, plain.length);
        }
        if (result == MOTE_ECLOSED) {
            close_now(connection);
        } else if (result != 0) {
            begin_closing(connection);
        }
    } while (connection->state == STATE_OPEN && (in.length > 0 || mote_tls_has_plain(connection->tls)));
    if (connection->state != STATE_CLOSED) {
        mark_dirty(connection);
    }
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(stream, struct mote_connection, uv.stream);
    if (length == UV_ENOBUFS && !connection->admitted) {
        wait_for_handshake(connection);
        return;
    }
    if (length < 0) {
        close_now(connection);
        return;
    }
    count(connection, MOTE_METRIC_RECEIVED_BYTES, (uint64_t)length);
    if (length > 0 && connection->state == STATE_OPEN && connection->tls != NULL) {
        decrypt_and_receive(connection, mote_slice(buffer->base, (size_t)length));
    } else if (length > 0 && connection->state == STATE_OPEN) {
        receive(connection, (uint8_t *)buffer->base, (size_t)length);
    }
    if ((size_t)length == buffer->len && (connection->state == STATE_OPEN || connection->state == STATE_LINGER)) {
        pause_reading(connection); /* more is there, and libuv would go on reading */
    }
    /* Answers leave before the next connection is read: what they needed is free again, and still in the cache. */
    if (!mote_list_is_empty(&connection->dirty)) {
        mote_connection_flush(&connection->dirty);
    }
}

void mote_connection_continue(struct mote_list *paused_node)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(paused_node, struct mote_connection, paused);
    mote_list_remove(&connection->paused);
    if (connection->state == STATE_LINGER) {
        start_reading(connection);
        return;
    }
    if (connection->state == STATE_OPEN) {
        update_reading(connection);
    }
    if (connection->writing == 0 && (connection->state == STATE_CLOSING || wants_write(connection))) {
        mark_dirty(connection);
    }
}

/* --- the beginning ----------------------------------------------------------------------------------------------- */

/* Has a handle for the descriptor, or has closed it. */
static struct mote_connection *allocate(struct mote_worker *worker, struct mote_accepted *accepted)
{
    struct mote_connection *connection = mote_mem_allocate_zeroed(worker->mem, sizeof *connection);
    int error;
    if (connection == NULL) {
        close(accepted->fd);
        mote_peers_release(accepted->peers, &accepted->peer);
        return NULL;
    }
    connection->worker = worker;
    connection->owner.attention = on_attention;
    connection->peers = accepted->peers;
    connection->peer = accepted->peer;
    connection->opened = true; /* until it stands in the list of those that are not */
    mote_list_init(&connection->unopened);
    mote_list_init(&connection->dirty);
    mote_list_init(&connection->paused);
    mote_list_init(&connection->waiting);
    mote_list_append(&worker->connections, &connection->node);
    mote_timer_init(&connection->timer, on_time_over);
    worker->connection_count++;
    count(connection, MOTE_METRIC_CONNECTIONS, 1);
    count(connection, MOTE_METRIC_CONNECTIONS_TOTAL, 1);
    if (accepted->is_unix) {
        uv_pipe_init(&worker->loop, &connection->uv.pipe, 0);
        error = uv_pipe_open(&connection->uv.pipe, accepted->fd);
    } else {
        uv_tcp_init(&worker->loop, &connection->uv.tcp);
        error = uv_tcp_open(&connection->uv.tcp, accepted->fd);
    }
    if (error != 0) {
        close(accepted->fd);
        close_now(connection);
        return NULL;
    }
    return connection;
}

/* Unix sockets are in the clear: who may connect is the file's business. So is health where nothing else is served. */
static int set_up_tls(struct mote_connection *connection, const struct mote_accepted *accepted)
{
    struct mote_tls_context *context =
        accepted->is_unix || accepted->health_only ? NULL : mote_runtime_ref_tls(connection->worker->runtime);
    if (context == NULL) {
        return 0;
    }
    int error = mote_tls_new(&connection->tls, context, NULL);
    mote_tls_context_unref(context);
    return error;
}

void mote_connection_open(struct mote_worker *worker, struct mote_accepted *accepted)
{
    struct mote_server_connection_options options = {.owner = NULL};
    char text[MOTE_ADDRESS_TEXT_MAX];
    struct mote_connection *connection = allocate(worker, accepted);
    if (connection == NULL) {
        return;
    }
    mote_address_format(text, &accepted->address);
    int error = mote_peers_identify(connection->peers, &connection->peer, &accepted->address);
    if (error != 0) {
        count(connection, error == MOTE_ELIMIT ? MOTE_METRIC_REFUSED_ADDRESS : MOTE_METRIC_REFUSED_MEMORY, 1);
        mote_log(worker->options->log, MOTE_LOG_WARN, "net", "net.connection_refused", "a connection was refused",
                 mote_log_text("peer", text),
                 mote_log_text("because", error == MOTE_ELIMIT ? "too many from this address" : "out of memory"));
        close_now(connection);
        return;
    }
    options.owner = &connection->owner;
    options.peer = text;
    options.health_only = accepted->health_only;
    if (set_up_tls(connection, accepted) != 0 ||
        mote_server_connection_new(&connection->server_connection, worker->server_worker, &options,
                                   mote_worker_now(worker)) != 0) {
        close_now(connection);
        return;
    }
    if (!accepted->health_only) { /* who crowds the other addresses does not push out probes */
        add_unopened(connection);
    }
    if (worker->draining) {
        mote_server_connection_drain(connection->server_connection, mote_worker_now(worker));
    }
    connection->admitted = connection->tls == NULL;
    start_reading(connection);
    mark_dirty(connection);
}

/* --- drain ------------------------------------------------------------------------------------------------------- */

void mote_connection_drain(struct mote_list *node)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(node, struct mote_connection, node);
    if (connection->state == STATE_OPEN) {
        mote_server_connection_drain(connection->server_connection, mote_worker_now(connection->worker));
        mark_dirty(connection);
    }
}

bool mote_connection_cut(struct mote_list *node)
{
    struct mote_connection *connection = MOTE_CONTAINER_OF(node, struct mote_connection, node);
    bool cut = false;
    if (connection->state == STATE_OPEN) {
        cut = mote_server_connection_cut(connection->server_connection, mote_worker_now(connection->worker));
        begin_closing(connection);
    }
    return cut;
}
