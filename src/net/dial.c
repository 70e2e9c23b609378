/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking client for commands: a private loop, one connection, one call at a time. */
#include "net/dial.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/memory.h"
#include "net/address.h"
#include "wire/h2.h"
#include "wire/request.h"

#define TICK_MS    5u          /* how late a deadline may be noticed */
#define GOODBYE_NS 1000000000u /* for what is not worth waiting for any longer */

struct mote_dial {
    uv_loop_t loop;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    uv_timer_t timer;
    uv_connect_t connect;
    bool has_stream;  /* uv is initialised */
    unsigned writing; /* uv_writes under way */
    bool is_over;     /* the transport is gone */
    bool connected;
    bool call_ended;
    int connect_status;
    struct mote_timer_wheel wheel;
    struct mote_limits limits;
    struct mote_client *client;
    struct mote_client_connection *connection;
    struct mote_client_owner owner;
    const struct mote_method *method; /* of the call under way */
    void *response;
    bool got_response;
    struct mote_dial_result *result;
    struct mote_tls *tls; /* NULL: in the clear */
    uint8_t read_scratch[MOTE_H2_RECV_MAX];
    uint8_t write_scratch[MOTE_H2_RECV_MAX];
    uint8_t plain_scratch[MOTE_H2_RECV_MAX];
    uint8_t cipher_scratch[5u * MOTE_TLS_RECORD_MAX];
};

struct pending {
    uv_write_t request;
    uint8_t bytes[];
};

static void pump(struct mote_dial *dial);

static void on_attention(struct mote_client_owner *owner)
{
    (void)owner; /* the loop below pumps after each turn */
}

static void on_written(uv_write_t *request, int status)
{
    struct mote_dial *dial = MOTE_CONTAINER_OF(request->handle, struct mote_dial, uv.stream);
    mote_mem_release(mote_mem_system(), MOTE_CONTAINER_OF(request, struct pending, request));
    dial->writing--;
    if (status != 0) {
        dial->is_over = true;
        return;
    }
    pump(dial);
}

static void write_bytes(struct mote_dial *dial, const uint8_t *bytes, size_t length)
{
    if (length == 0) {
        return;
    }
    struct pending *pending = mote_mem_allocate(mote_mem_system(), sizeof *pending + length);
    if (pending == NULL) {
        dial->is_over = true;
        return;
    }
    memcpy(pending->bytes, bytes, length);
    uv_buf_t buffer = uv_buf_init((char *)pending->bytes, (unsigned)length);
    if (uv_write(&pending->request, &dial->uv.stream, &buffer, 1, on_written) == 0) {
        dial->writing++;
    } else {
        mote_mem_release(mote_mem_system(), pending);
        dial->is_over = true;
    }
}

static struct mote_tls_room cipher_room(struct mote_dial *dial)
{
    return (struct mote_tls_room){.bytes = dial->cipher_scratch, .size = sizeof dial->cipher_scratch};
}

/* Nothing to encrypt: the handshake goes on. */
static void encrypt_and_write(struct mote_dial *dial, const uint8_t *bytes, size_t length)
{
    struct mote_slice plain = mote_slice(bytes, length);
    struct mote_tls_room out;
    do {
        out = cipher_room(dial);
        if (mote_tls_send(dial->tls, &plain, &out) != 0) {
            dial->is_over = true;
        }
        write_bytes(dial, out.bytes, out.length);
    } while (plain.length > 0 && out.length > 0 && !dial->is_over);
}

static void pump(struct mote_dial *dial)
{
    size_t length = 0;
    if (dial->writing > 0 || dial->is_over || dial->connection == NULL) {
        return;
    }
    if (dial->tls != NULL && !mote_tls_is_established(dial->tls)) {
        encrypt_and_write(dial, NULL, 0);
        return;
    }
    if (mote_client_connection_send(dial->connection, dial->write_scratch, sizeof dial->write_scratch, &length,
                                    uv_hrtime()) != 0) {
        dial->is_over = true;
    }
    if (dial->tls != NULL && length > 0) {
        encrypt_and_write(dial, dial->write_scratch, length);
    } else {
        write_bytes(dial, dial->write_scratch, length);
    }
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct mote_dial *dial = MOTE_CONTAINER_OF(handle, struct mote_dial, uv.handle);
    (void)suggested;
    *buffer = uv_buf_init((char *)dial->read_scratch, sizeof dial->read_scratch);
}

/* False: the connection is over. */
static bool receive(struct mote_dial *dial, struct mote_slice bytes)
{
    return bytes.length == 0 || mote_client_connection_recv(dial->connection, bytes, uv_hrtime()) == 0;
}

static bool decrypt_and_receive(struct mote_dial *dial, struct mote_slice in)
{
    do {
        struct mote_tls_room plain = {.bytes = dial->plain_scratch, .size = sizeof dial->plain_scratch};
        struct mote_tls_room out = cipher_room(dial);
        int result = mote_tls_recv(dial->tls, &in, &plain, &out);
        write_bytes(dial, out.bytes, out.length);
        if (!receive(dial, mote_slice(plain.bytes, plain.length)) || result != 0) {
            return false;
        }
    } while (in.length > 0 || mote_tls_has_plain(dial->tls));
    return true;
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct mote_dial *dial = MOTE_CONTAINER_OF(stream, struct mote_dial, uv.stream);
    bool goes_on = length >= 0;
    if (length > 0) {
        struct mote_slice bytes = mote_slice(buffer->base, (size_t)length);
        goes_on = dial->tls != NULL ? decrypt_and_receive(dial, bytes) : receive(dial, bytes);
    }
    if (!goes_on) {
        uv_read_stop(stream);
        dial->is_over = true;
        return;
    }
    pump(dial);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct mote_dial *dial = MOTE_CONTAINER_OF(request, struct mote_dial, connect);
    dial->connected = true;
    dial->connect_status = status;
}

static void on_tick(uv_timer_t *timer)
{
    struct mote_dial *dial = MOTE_CONTAINER_OF(timer, struct mote_dial, timer);
    mote_timer_wheel_advance(&dial->wheel, uv_hrtime());
}

/* Runs the loop until *done or the time is up. */
static void run_until(struct mote_dial *dial, const bool *done, uint64_t until_ns)
{
    uv_timer_start(&dial->timer, on_tick, 1, TICK_MS);
    while (!*done && !dial->is_over && uv_hrtime() < until_ns) {
        pump(dial);
        uv_run(&dial->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&dial->timer);
}

static uint64_t deadline_of(uint64_t timeout_ns)
{
    uint64_t now = uv_hrtime();
    return timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
}

/* --- connecting -------------------------------------------------------------------------------------------------- */

/* Here and not by uv_pipe_connect: libuv 1.44 knows no abstract names. */
static int connect_unix(struct mote_dial *dial, const struct mote_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    if (fd < 0) {
        return -errno;
    }
    /* A unix socket connects at once, or its queue is full. */
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0) {
        error = -errno;
    }
    if (error == 0) {
        error = uv_pipe_open(&dial->uv.pipe, fd);
    }
    if (error != 0) {
        close(fd);
    }
    dial->connected = true;
    return error;
}

static void on_stream_closed(uv_handle_t *handle)
{
    MOTE_CONTAINER_OF(handle, struct mote_dial, uv.handle)->has_stream = false;
}

static void close_stream(struct mote_dial *dial)
{
    if (dial->has_stream) {
        uv_close(&dial->uv.handle, on_stream_closed);
        while (dial->has_stream) {
            uv_run(&dial->loop, UV_RUN_ONCE);
        }
    }
}

/* 0, or an error of libuv. */
static int connect_one(struct mote_dial *dial, const struct mote_address *address, uint64_t until_ns)
{
    int error;
    dial->connected = false;
    dial->connect_status = 0;
    if (mote_address_is_unix(address)) {
        uv_pipe_init(&dial->loop, &dial->uv.pipe, 0);
        dial->has_stream = true;
        error = connect_unix(dial, address);
    } else {
        uv_tcp_init(&dial->loop, &dial->uv.tcp);
        dial->has_stream = true;
        error = uv_tcp_connect(&dial->connect, &dial->uv.tcp, (const struct sockaddr *)&address->storage, on_connected);
    }
    if (error == 0) {
        run_until(dial, &dial->connected, until_ns);
        error = dial->connected ? dial->connect_status : UV_ETIMEDOUT;
    }
    if (error != 0) {
        close_stream(dial);
    }
    return error;
}

/* A name may have several addresses ("localhost" mostly has two), and a server on one of them: the first that takes us
 * it is. */
static int connect_to(struct mote_dial *dial, const char *address, uint64_t timeout_ns,
                      char problem[MOTE_DIAL_TEXT_MAX])
{
    struct mote_address resolved[MOTE_ADDRESS_RESOLVE_MAX];
    const uint64_t until_ns = deadline_of(timeout_ns);
    const char *why;
    size_t count;
    int error = UV_ENOENT;
    if (mote_address_resolve(resolved, MOTE_ADDRESS_RESOLVE_MAX, &count, mote_slice_text(address), &why) != 0) {
        snprintf(problem, MOTE_DIAL_TEXT_MAX, "%s: %s", address, why);
        return MOTE_EINVAL;
    }
    for (size_t i = 0; i < count && error != 0; i++) {
        error = connect_one(dial, &resolved[i], until_ns);
    }
    if (error == UV_ETIMEDOUT) {
        snprintf(problem, MOTE_DIAL_TEXT_MAX, "cannot connect to %s: no answer in time", address);
        return MOTE_ETIMEOUT;
    }
    if (error != 0) {
        snprintf(problem, MOTE_DIAL_TEXT_MAX, "cannot connect to %s: %s", address, uv_strerror(error));
        return MOTE_ECONNECT;
    }
    return 0;
}

static int shake_hands(struct mote_dial *dial, const char *address, uint64_t until_ns, char problem[MOTE_DIAL_TEXT_MAX])
{
    while (!mote_tls_is_established(dial->tls) && !dial->is_over && uv_hrtime() < until_ns) {
        bool never = false;
        uint64_t soon = uv_hrtime() + TICK_MS * (uint64_t)MOTE_NS_PER_MS;
        run_until(dial, &never, soon < until_ns ? soon : until_ns);
    }
    if (mote_tls_is_established(dial->tls)) {
        return 0;
    }
    const char *why = mote_tls_problem(dial->tls);
    snprintf(problem, MOTE_DIAL_TEXT_MAX, "cannot connect to %s: TLS: %s", address,
             why[0] != '\0'  ? why
             : dial->is_over ? "the connection was lost"
                             : "no answer in time");
    return dial->is_over ? MOTE_ECONNECT : MOTE_ETIMEOUT;
}

static int open_client(struct mote_dial *dial, const char *address)
{
    struct mote_client_options options = {.limits = &dial->limits, .mem = mote_mem_system(), .wheel = &dial->wheel};
    int error = mote_client_new(&dial->client, &options);
    if (error != 0) {
        return error;
    }
    dial->owner.attention = on_attention;
    error = mote_client_connection_new(&dial->connection, dial->client, &dial->owner,
                                       strncmp(address, "unix", 4) == 0 ? "localhost" : address, uv_hrtime());
    if (error != 0) {
        return error;
    }
    return uv_read_start(&dial->uv.stream, on_allocate, on_read) == 0 ? 0 : MOTE_EIO;
}

static int open_all(struct mote_dial *dial, const char *address, struct mote_tls_context *tls, const char *server_name,
                    uint64_t timeout_ns, char problem[MOTE_DIAL_TEXT_MAX])
{
    const uint64_t until_ns = deadline_of(timeout_ns);
    int error = connect_to(dial, address, timeout_ns, problem);
    if (error == 0 && tls != NULL) {
        error = mote_tls_new(&dial->tls, tls, server_name);
    }
    if (error == 0) {
        error = open_client(dial, address);
    }
    if (error == 0 && tls != NULL) {
        error = shake_hands(dial, address, until_ns, problem);
    }
    return error;
}

int mote_dial_open(struct mote_dial **out, const char *address, struct mote_tls_context *tls, const char *server_name,
                   uint64_t timeout_ns, char problem[MOTE_DIAL_TEXT_MAX])
{
    struct mote_dial *dial = mote_mem_allocate_zeroed(mote_mem_system(), sizeof *dial);
    snprintf(problem, MOTE_DIAL_TEXT_MAX, "out of memory");
    if (dial == NULL || uv_loop_init(&dial->loop) != 0) {
        mote_mem_release(mote_mem_system(), dial);
        return MOTE_ENOMEM;
    }
    uv_timer_init(&dial->loop, &dial->timer);
    mote_timer_wheel_init(&dial->wheel, uv_hrtime());
    mote_limits_init(&dial->limits);
    int error = open_all(dial, address, tls, server_name, timeout_ns, problem);
    if (error != 0) {
        mote_dial_close(dial);
        return error;
    }
    *out = dial;
    return 0;
}

/* GOAWAY, if it can be had at once. */
static void say_goodbye(struct mote_dial *dial)
{
    const uint64_t until_ns = deadline_of(GOODBYE_NS);
    mote_client_connection_close(dial->connection, uv_hrtime());
    if (!dial->is_over) {
        pump(dial);
    }
    if (!dial->is_over && dial->tls != NULL) {
        struct mote_tls_room out = cipher_room(dial);
        mote_tls_goodbye(dial->tls, &out);
        write_bytes(dial, out.bytes, out.length);
    }
    uv_timer_start(&dial->timer, on_tick, 1, TICK_MS);
    while (dial->writing > 0 && !dial->is_over && uv_hrtime() < until_ns) {
        uv_run(&dial->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&dial->timer);
}

void mote_dial_close(struct mote_dial *dial)
{
    if (dial == NULL) {
        return;
    }
    if (dial->connection != NULL) {
        say_goodbye(dial);
        mote_client_connection_free(dial->connection);
        dial->connection = NULL;
    }
    mote_client_free(dial->client);
    close_stream(dial);
    mote_tls_free(dial->tls);
    uv_close((uv_handle_t *)&dial->timer, NULL);
    while (uv_run(&dial->loop, UV_RUN_DEFAULT) != 0) {
    }
    mote_assert(uv_loop_close(&dial->loop) == 0);
    mote_timer_wheel_dispose(&dial->wheel);
    mote_mem_release(mote_mem_system(), dial);
}

/* --- a call ------------------------------------------------------------------------------------------------------ */

static void on_message(struct mote_client_call *call, const void *response)
{
    struct mote_dial *dial = mote_client_call_user(call);
    memcpy(dial->response, response, dial->method->response->size);
    dial->got_response = true;
}

static void on_ended(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct mote_dial *dial = mote_client_call_user(call);
    size_t length = message.length < MOTE_DIAL_TEXT_MAX - 1 ? message.length : MOTE_DIAL_TEXT_MAX - 1;
    (void)trailers;
    dial->result->status = status;
    if (length > 0) {
        memcpy(dial->result->message, message.data, length);
    }
    dial->result->message[length] = '\0';
    dial->call_ended = true;
}

int mote_dial_unary(struct mote_dial *dial, const struct mote_method *method, const void *request, void *response,
                    const struct mote_field *metadata, size_t metadata_count, uint64_t timeout_ns,
                    struct mote_dial_result *result)
{
    static const struct mote_client_call_callbacks callbacks = {.message = on_message, .ended = on_ended};
    struct mote_client_call_options options = {.method = method,
                                               .callbacks = &callbacks,
                                               .user = dial,
                                               .timeout_ns = timeout_ns,
                                               .metadata = metadata,
                                               .metadata_count = metadata_count};
    struct mote_client_call *call;
    int error;
    dial->method = method;
    dial->response = response;
    dial->result = result;
    dial->got_response = false;
    dial->call_ended = false;
    error = mote_client_call_start(&call, dial->connection, &options, uv_hrtime());
    if (error != 0) {
        return error;
    }
    error = mote_client_call_send(call, request);
    if (error == 0) {
        error = mote_client_call_half_close(call);
    }
    if (error != 0) {
        mote_client_call_cancel(call);
        return error;
    }
    /* The call has its own deadline; a little more lets it report that itself. */
    const uint64_t now = uv_hrtime();
    run_until(dial, &dial->call_ended,
              timeout_ns > UINT64_MAX - now - GOODBYE_NS ? UINT64_MAX : now + timeout_ns + GOODBYE_NS);
    if (!dial->call_ended) {
        bool was_lost = dial->is_over;
        mote_client_call_cancel(call); /* ends it here and now: `result` is the caller's */
        result->status = was_lost ? MOTE_STATUS_UNAVAILABLE : MOTE_STATUS_DEADLINE_EXCEEDED;
        snprintf(result->message, sizeof result->message, "%s",
                 was_lost ? "the connection was lost" : "no answer in time");
    } else if (result->status == MOTE_STATUS_OK && !dial->got_response) {
        result->status = MOTE_STATUS_INTERNAL;
        snprintf(result->message, sizeof result->message, "an answer without a message");
    }
    return 0;
}
