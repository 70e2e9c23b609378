/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As with the server's connections, bytes go through scratch buffers that all share; only what a socket does not take
 * is copied. What was read or written is wiped: it may hold passwords and tokens.
 */
#include "net/connector.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/address.h"
#include "net/lookup.h"

enum state {
    STATE_RESOLVING,
    STATE_CONNECTING,
    STATE_HANDSHAKE,
    STATE_OPEN,
    STATE_CLOSED,
};

struct mote_connector {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    uv_connect_t connect;
    struct mote_loop *loop;
    struct mote_connector_owner *owner;
    struct mote_client_link *link;
    struct mote_tls *tls;
    struct mote_lookup *lookup; /* under way */
    struct mote_list dirty;     /* loop->dirty */
    struct mote_timer timer;    /* RESOLVING: to begin; CONNECTING: how long this address may take */
    struct mote_address addresses[MOTE_ADDRESS_RESOLVE_MAX];
    size_t count;
    size_t next;
    uint64_t deadline_ns;
    unsigned writing; /* uv_writes under way */
    int problem;      /* of libuv, with the last address */
    enum state state;
    bool has_stream; /* uv is initialised */
    bool closing;
};

/* Bytes that the socket did not take at once. */
struct pending {
    uv_write_t request;
    uint8_t bytes[];
};

static void set_state(struct mote_connector *connector, enum state state)
{
    mote_assert(state > connector->state);
    connector->state = state;
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

void mote_connector_notify(struct mote_connector *connector)
{
    if (mote_list_is_empty(&connector->dirty) && connector->state != STATE_CLOSED) {
        mote_list_append(&connector->loop->dirty, &connector->dirty);
    }
}

void mote_connector_close(struct mote_connector *connector)
{
    if (!connector->closing) {
        connector->closing = true;
        if (connector->has_stream && !uv_is_closing(&connector->uv.handle)) {
            uv_read_stop(&connector->uv.stream);
        }
        mote_connector_notify(connector);
    }
}

static void fail(struct mote_connector *connector, const char *why)
{
    mote_client_link_lost(connector->link, why, uv_hrtime());
    mote_connector_close(connector);
}

static void fail_tls(struct mote_connector *connector, const char *otherwise)
{
    char why[MOTE_CLIENT_CHANNEL_PROBLEM_MAX];
    const char *problem = mote_tls_problem(connector->tls);
    (void)snprintf(why, sizeof why, "TLS: %s", problem[0] != '\0' ? problem : otherwise);
    fail(connector, why);
}

static void destroy(struct mote_connector *connector)
{
    struct mote_connector_owner *owner = connector->owner;
    struct mote_loop *loop = connector->loop;
    mote_client_link_free(connector->link);
    mote_tls_free(connector->tls);
    mote_mem_release(loop->mem, connector);
    loop->connectors--;
    owner->gone(owner);
}

static void connect_next(struct mote_connector *connector);

static void on_stream_closed(uv_handle_t *handle)
{
    struct mote_connector *connector = MOTE_CONTAINER_OF(handle, struct mote_connector, uv.handle);
    connector->has_stream = false;
    if (connector->state == STATE_CLOSED) {
        destroy(connector);
    } else if (!connector->closing) {
        connect_next(connector);
    }
}

static void close_stream(struct mote_connector *connector)
{
    if (!uv_is_closing(&connector->uv.handle)) {
        uv_close(&connector->uv.handle, on_stream_closed);
    }
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *request, int status)
{
    struct mote_connector *connector = MOTE_CONTAINER_OF(request->handle, struct mote_connector, uv.stream);
    mote_mem_release_wiped(connector->loop->mem, MOTE_CONTAINER_OF(request, struct pending, request));
    connector->writing--;
    if (connector->closing || connector->state == STATE_CLOSED) {
        return;
    }
    if (status != 0) {
        fail(connector, uv_strerror(status));
    } else {
        mote_connector_notify(connector);
    }
}

static int write_later(struct mote_connector *connector, const uint8_t *bytes, size_t length)
{
    struct pending *pending = mote_mem_allocate(connector->loop->mem, sizeof *pending + length);
    if (pending == NULL) {
        return MOTE_ENOMEM;
    }
    memcpy(pending->bytes, bytes, length);
    uv_buf_t buffer = uv_buf_init((char *)pending->bytes, (unsigned)length);
    if (uv_write(&pending->request, &connector->uv.stream, &buffer, 1, on_written) != 0) {
        mote_mem_release_wiped(connector->loop->mem, pending);
        return MOTE_EIO;
    }
    connector->writing++;
    return 0;
}

/* Wipes them too. */
static int write_out(struct mote_connector *connector, uint8_t *bytes, size_t length)
{
    uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)length);
    int error = 0;
    if (length == 0) {
        return 0;
    }
    const int written = connector->writing == 0 ? uv_try_write(&connector->uv.stream, &buffer, 1) : UV_EAGAIN;
    if (written < 0 && written != UV_EAGAIN) {
        error = MOTE_EIO;
    } else {
        const size_t taken = written > 0 ? (size_t)written : 0;
        error = taken == length ? 0 : write_later(connector, bytes + taken, length - taken);
    }
    mote_mem_wipe(bytes, length);
    return error;
}

static struct mote_tls_room cipher_room(struct mote_loop *loop)
{
    return (struct mote_tls_room){.bytes = loop->cipher_scratch, .size = MOTE_LOOP_CIPHER};
}

/* With nothing to encrypt the handshake goes on. */
static int encrypt_and_write(struct mote_connector *connector, const uint8_t *bytes, size_t length)
{
    struct mote_slice plain = mote_slice(bytes, length);
    do {
        struct mote_tls_room out = cipher_room(connector->loop);
        if (mote_tls_send(connector->tls, &plain, &out) != 0 || (plain.length > 0 && out.length == 0) ||
            write_out(connector, out.bytes, out.length) != 0) {
            return MOTE_EIO;
        }
    } while (plain.length > 0);
    return 0;
}

/* Sends what there is, as far as the socket takes it; an error when there will be no more. */
static int send_output(struct mote_connector *connector)
{
    struct mote_loop *loop = connector->loop;
    size_t length = 1;
    int error = 0;
    while (error == 0 && length > 0 && connector->writing == 0) {
        error = mote_client_link_send(connector->link, loop->write_scratch, sizeof loop->write_scratch, &length,
                                      uv_hrtime());
        if (error == 0 && length > 0 && connector->tls != NULL) {
            error = encrypt_and_write(connector, loop->write_scratch, length);
            mote_mem_wipe(loop->write_scratch, length);
        } else if (error == 0) {
            error = write_out(connector, loop->write_scratch, length);
        }
    }
    return error;
}

static void say_goodbye(struct mote_connector *connector)
{
    if (send_output(connector) == 0 && connector->tls != NULL) {
        struct mote_tls_room out = cipher_room(connector->loop);
        mote_tls_goodbye(connector->tls, &out);
        (void)!write_out(connector, out.bytes, out.length);
    }
}

static void finish(struct mote_connector *connector, bool was_lost)
{
    if (connector->state == STATE_OPEN && !was_lost) {
        say_goodbye(connector);
    }
    mote_timer_stop(&connector->loop->wheel, &connector->timer);
    mote_lookup_abandon(connector->lookup);
    set_state(connector, STATE_CLOSED);
    mote_list_remove(&connector->dirty);
    if (connector->has_stream) {
        close_stream(connector);
    } else {
        destroy(connector);
    }
}

void mote_connector_flush(struct mote_list *dirty_node)
{
    struct mote_connector *connector = MOTE_CONTAINER_OF(dirty_node, struct mote_connector, dirty);
    mote_list_remove(dirty_node);
    if (connector->closing) {
        finish(connector, mote_client_link_is_lost(connector->link));
    } else if (connector->state == STATE_OPEN) {
        const int error = send_output(connector);
        if (error != 0 || mote_client_link_is_over(connector->link)) {
            fail(connector, error == MOTE_EIO ? "the connection was lost" : "the server went away");
        }
    }
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct mote_loop *loop = MOTE_CONTAINER_OF(handle, struct mote_connector, uv.handle)->loop;
    (void)suggested;
    *buffer = uv_buf_init((char *)loop->read_scratch, sizeof loop->read_scratch);
}

static void receive(struct mote_connector *connector, uint8_t *bytes, size_t length)
{
    if (length == 0 || connector->closing) {
        return;
    }
    const int error = mote_client_link_recv(connector->link, mote_slice(bytes, length), uv_hrtime());
    mote_mem_wipe(bytes, length);
    if (error != 0 && !connector->closing) {
        (void)!send_output(connector); /* why */
        fail(connector, "the server does not speak HTTP/2 as it should");
    }
}

static void open_link(struct mote_connector *connector)
{
    mote_timer_stop(&connector->loop->wheel, &connector->timer);
    set_state(connector, STATE_OPEN);
    const int error = mote_client_link_connected(connector->link, uv_hrtime());
    if (error != 0) {
        fail(connector, mote_error_text(error));
    } else {
        mote_connector_notify(connector);
    }
}

static void decrypt(struct mote_connector *connector, struct mote_slice in)
{
    struct mote_loop *loop = connector->loop;
    do {
        struct mote_tls_room plain = {.bytes = loop->plain_scratch, .size = sizeof loop->plain_scratch};
        struct mote_tls_room out = cipher_room(loop);
        const int result = mote_tls_recv(connector->tls, &in, &plain, &out);
        const int error = write_out(connector, out.bytes, out.length);
        if (connector->state == STATE_HANDSHAKE && mote_tls_is_established(connector->tls)) {
            open_link(connector);
        }
        receive(connector, plain.bytes, plain.length);
        if ((result != 0 || error != 0) && !connector->closing) {
            fail_tls(connector, "the connection was closed");
        }
    } while (!connector->closing && (in.length > 0 || mote_tls_has_plain(connector->tls)));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct mote_connector *connector = MOTE_CONTAINER_OF(stream, struct mote_connector, uv.stream);
    if (length < 0 && !connector->closing) {
        const char *why = length == UV_EOF ? "the server closed the connection" : uv_strerror((int)length);
        if (connector->state == STATE_HANDSHAKE) {
            fail_tls(connector, why);
        } else {
            fail(connector, why);
        }
    } else if (length > 0 && connector->tls != NULL) {
        decrypt(connector, mote_slice(buffer->base, (size_t)length));
    } else if (length > 0) {
        receive(connector, (uint8_t *)buffer->base, (size_t)length);
    }
    mote_connector_notify(connector);
}

/* --- connecting -------------------------------------------------------------------------------------------------- */

static void begin_talk(struct mote_connector *connector)
{
    if (uv_read_start(&connector->uv.stream, on_allocate, on_read) != 0) {
        fail(connector, "cannot read");
        return;
    }
    if (connector->owner->tls == NULL) {
        open_link(connector);
        return;
    }
    mote_timer_stop(&connector->loop->wheel, &connector->timer);
    set_state(connector, STATE_HANDSHAKE);
    if (mote_tls_new(&connector->tls, connector->owner->tls, connector->owner->server_name) != 0) {
        fail(connector, "not enough memory for TLS");
    } else if (encrypt_and_write(connector, NULL, 0) != 0) {
        fail_tls(connector, "the connection was lost");
    }
}

static void on_connected(uv_connect_t *request, int status)
{
    struct mote_connector *connector = MOTE_CONTAINER_OF(request, struct mote_connector, connect);
    if (connector->closing || uv_is_closing(&connector->uv.handle)) {
        return;
    }
    if (status == 0) {
        begin_talk(connector);
    } else {
        connector->problem = status;
        close_stream(connector);
    }
}

/* Here and not by uv_pipe_connect: libuv 1.44 knows no abstract names. */
static int connect_unix(struct mote_connector *connector, const struct mote_address *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    if (fd < 0) {
        return -errno;
    }
    /* A unix socket connects at once, or its queue is full. */
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0) {
        error = -errno;
    }
    if (error == 0) {
        error = uv_pipe_open(&connector->uv.pipe, fd);
    }
    if (error != 0) {
        close(fd);
    }
    return error;
}

static int connect_tcp(struct mote_connector *connector, const struct mote_address *address)
{
    const uint64_t now_ns = uv_hrtime();
    const uint64_t left_ns = connector->deadline_ns > now_ns ? connector->deadline_ns - now_ns : 0;
    mote_timer_start(&connector->loop->wheel, &connector->timer,
                     now_ns + left_ns / (connector->count - connector->next + 1));
    (void)uv_tcp_nodelay(&connector->uv.tcp, 1);
    return uv_tcp_connect(&connector->connect, &connector->uv.tcp, (const struct sockaddr *)&address->storage,
                          on_connected);
}

/* A name may have several addresses ("localhost" mostly has two), and a server on one of them: the first that takes us
 * it is. */
static void connect_next(struct mote_connector *connector)
{
    if (connector->next == connector->count) {
        fail(connector, connector->problem == UV_ETIMEDOUT ? "no answer in time" : uv_strerror(connector->problem));
        return;
    }
    const struct mote_address *address = &connector->addresses[connector->next++];
    const bool is_unix = mote_address_is_unix(address);
    if (is_unix) {
        uv_pipe_init(&connector->loop->loop, &connector->uv.pipe, 0);
        connector->has_stream = true;
        connector->problem = connect_unix(connector, address);
    } else {
        uv_tcp_init(&connector->loop->loop, &connector->uv.tcp);
        connector->has_stream = true;
        connector->problem = connect_tcp(connector, address);
    }
    if (connector->problem != 0) {
        close_stream(connector);
    } else if (is_unix) {
        begin_talk(connector);
    }
}

static void begin_to_connect(struct mote_connector *connector)
{
    set_state(connector, STATE_CONNECTING);
    connect_next(connector);
}

static void on_looked_up(struct mote_lookup *lookup)
{
    struct mote_connector *connector = lookup->user;
    connector->lookup = NULL;
    if (connector->closing) {
        return;
    }
    if (lookup->count == 0) {
        fail(connector, lookup->problem);
        return;
    }
    memcpy(connector->addresses, lookup->addresses, sizeof connector->addresses);
    connector->count = lookup->count;
    begin_to_connect(connector);
}

static void resolve(struct mote_connector *connector)
{
    const char *target = connector->owner->target;
    const char *problem;
    int error = mote_address_parse_number(&connector->addresses[0], mote_slice_text(target), &problem);
    if (error == 0) {
        connector->count = 1;
        begin_to_connect(connector);
        return;
    }
    error = mote_lookup_start(&connector->lookup, target, &connector->loop->queue.mailbox, on_looked_up, connector);
    if (error != 0) {
        connector->lookup = NULL;
        fail(connector, mote_error_text(error));
    }
}

static void ring(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_connector *connector = MOTE_CONTAINER_OF(timer, struct mote_connector, timer);
    (void)now_ns;
    if (connector->closing) {
        return;
    }
    if (connector->state == STATE_RESOLVING) {
        resolve(connector);
    } else if (connector->state == STATE_CONNECTING && connector->has_stream) {
        connector->problem = UV_ETIMEDOUT;
        close_stream(connector);
    }
}

int mote_connector_open(struct mote_loop *loop, struct mote_connector_owner *owner, struct mote_client_link *link,
                        uint64_t deadline_ns)
{
    struct mote_connector *connector = mote_mem_allocate_zeroed(loop->mem, sizeof *connector);
    if (connector == NULL) {
        return MOTE_ENOMEM;
    }
    connector->loop = loop;
    connector->owner = owner;
    connector->link = link;
    connector->deadline_ns = deadline_ns;
    mote_list_init(&connector->dirty);
    mote_timer_init(&connector->timer, ring);
    mote_timer_start(&loop->wheel, &connector->timer, 0); /* from the loop: nobody is called back from in here */
    mote_client_link_set_user(link, connector);
    loop->connectors++;
    return 0;
}
