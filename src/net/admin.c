/* SPDX-License-Identifier: Apache-2.0 */
/* See admin.h. Sockets are accepted by hand, for the reasons of listener.c. */
#include "net/admin.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/list.h"
#include "net/binding.h"

#define RETRY_MS 100u /* no descriptor left: so long until the next accept */

enum state {
    STATE_READING,
    STATE_WRITING,
    STATE_LINGER,
    STATE_CLOSED,
};

struct client {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct mote_admin *admin;
    struct mote_list node; /* admin->clients, who was served last at the end */
    struct mote_buffer in, head, body;
    enum state state;
    unsigned pipelined; /* requests since the input was empty */
    unsigned closing;   /* handles not closed yet */
    bool keep_alive;
    bool head_began; /* its time runs */
};

struct mote_admin {
    struct mote_mem *mem;
    struct mote_admin_options options;
    struct mote_binding binding;
    int fd;
    uv_loop_t loop;
    uv_async_t stop;
    uv_poll_t poll;
    uv_timer_t retry;
    pthread_t thread;
    struct mote_list clients;
    size_t client_count;
    size_t pending; /* bytes of bodies being written */
    bool stopping;
    char dropped[4096]; /* what a lingering client still says */
};

/* --- the end of a client ----------------------------------------------------------------------------------------- */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    if (--client->closing > 0) {
        return;
    }
    struct mote_admin *admin = client->admin;
    admin->pending -= mote_buffer_length(&client->body);
    mote_buffer_dispose(&client->in);
    mote_buffer_dispose(&client->head);
    mote_buffer_dispose(&client->body);
    mote_mem_release(admin->mem, client);
    admin->client_count--;
    if (!admin->stopping) {
        uv_poll_start(&admin->poll, UV_READABLE, on_acceptable);
    }
}

static void close_client(struct client *client)
{
    if (client->state != STATE_CLOSED) {
        client->state = STATE_CLOSED;
        mote_list_remove(&client->node);
        client->closing = 2;
        client->uv.handle.data = client;
        client->timer.data = client;
        uv_close(&client->uv.handle, on_closed);
        uv_close((uv_handle_t *)&client->timer, on_closed);
    }
}

static void on_time_over(uv_timer_t *timer)
{
    close_client(MOTE_CONTAINER_OF(timer, struct client, timer));
}

static void set_timer(struct client *client, unsigned milliseconds)
{
    uv_timer_start(&client->timer, on_time_over, milliseconds, 0);
}

/* --- answering --------------------------------------------------------------------------------------------------- */

static void serve(struct client *client);
static void read_more(struct client *client);

/* The peer may still be sending; closing now would reset what it has not read yet. */
static void linger(struct client *client)
{
    client->state = STATE_LINGER;
    set_timer(client, MOTE_ADMIN_LINGER_MS);
    if (uv_shutdown(&client->shutdown, &client->uv.stream, NULL) != 0) {
        close_client(client);
        return;
    }
    read_more(client);
}

static void on_written(uv_write_t *write, int status)
{
    struct client *client = MOTE_CONTAINER_OF(write, struct client, write);
    if (client->state == STATE_CLOSED) {
        return;
    }
    client->admin->pending -= mote_buffer_length(&client->body);
    mote_buffer_dispose(&client->body);
    mote_buffer_dispose(&client->head);
    if (status != 0) {
        close_client(client);
    } else if (client->keep_alive) {
        client->state = STATE_READING;
        serve(client);
    } else {
        linger(client);
    }
}

/* `is_head`: the body is left out. */
static void send_reply(struct client *client, const struct mote_admin_reply *reply, bool is_head)
{
    struct mote_admin *admin = client->admin;
    const struct mote_clock *clock = admin->options.clock;
    const struct mote_http1_response response = {
        .status = reply->status,
        .content_type = reply->content_type,
        .content_length = mote_buffer_length(&client->body),
        .date = clock->wall_ns(clock->context) / (int64_t)MOTE_NS_PER_SECOND,
        .extra = reply->extra,
        .keep_alive = client->keep_alive,
    };
    client->state = STATE_WRITING;
    uv_read_stop(&client->uv.stream);
    const int error = mote_http1_write_head(&client->head, &response);
    if (is_head) {
        mote_buffer_clear(&client->body);
    }
    admin->pending += mote_buffer_length(&client->body);
    const struct mote_slice head = mote_buffer_slice(&client->head);
    const struct mote_slice body = mote_buffer_slice(&client->body);
    const uv_buf_t parts[] = {uv_buf_init((char *)head.data, (unsigned)head.length),
                              uv_buf_init((char *)body.data, (unsigned)body.length)};
    set_timer(client, MOTE_ADMIN_WRITE_MS);
    if (error != 0 || uv_write(&client->write, &client->uv.stream, parts, body.length > 0 ? 2 : 1, on_written) != 0) {
        close_client(client);
    }
}

static void refuse(struct client *client, unsigned status, bool is_head)
{
    struct mote_admin_reply reply = {.status = status, .content_type = "text/plain; charset=utf-8", .extra = ""};
    mote_buffer_clear(&client->body);
    if (mote_buffer_append_format(&client->body, "%s\n", mote_http1_reason(status)) != 0) {
        close_client(client);
        return;
    }
    client->keep_alive = false;
    send_reply(client, &reply, is_head);
}

static void answer(struct client *client, const struct mote_http1_request *request)
{
    struct mote_admin *admin = client->admin;
    struct mote_admin_reply reply = {
        .status = 200, .content_type = "text/plain; charset=utf-8", .extra = "", .body = &client->body};
    const bool is_head = mote_slice_equals_text(request->method, "HEAD");
    client->keep_alive = request->keep_alive;
    client->body.limit = MOTE_ADMIN_PENDING_MAX - admin->pending;
    if (client->body.limit < 1024 || admin->options.answer(admin->options.context, request, &reply) != 0) {
        client->body.limit = 0;
        refuse(client, 503, is_head);
        return;
    }
    send_reply(client, &reply, is_head);
}

/* Answers the next request, or waits for it. */
static void serve(struct client *client)
{
    struct mote_http1_request request;
    size_t length;
    unsigned status;
    const bool is_empty = mote_buffer_length(&client->in) == 0;
    const int error = mote_http1_read(&request, mote_buffer_slice(&client->in), &length, &status);
    client->pipelined = is_empty ? 0 : client->pipelined + (error == 0);
    if (error == MOTE_EAGAIN) {
        if (is_empty) {
            mote_buffer_dispose(&client->in); /* who is idle has no memory */
        }
        if (is_empty && client->keep_alive) {
            set_timer(client, MOTE_ADMIN_IDLE_MS);
        } else if (!client->head_began) {
            client->head_began = true;
            set_timer(client, MOTE_ADMIN_HEAD_MS);
        }
        read_more(client);
        return;
    }
    client->head_began = false;
    mote_list_remove(&client->node);
    mote_list_append(&client->admin->clients, &client->node);
    if (error != 0) {
        refuse(client, status, false);
    } else if (client->pipelined > MOTE_ADMIN_PIPELINE_MAX) {
        refuse(client, 400, false);
    } else {
        answer(client, &request);
        mote_buffer_consume(&client->in, length);
    }
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct client *client = MOTE_CONTAINER_OF(handle, struct client, uv.handle);
    const size_t room = MOTE_HTTP1_HEAD_MAX - mote_buffer_length(&client->in);
    uint8_t *bytes = NULL;
    (void)suggested;
    if (client->state == STATE_LINGER) {
        *buffer = uv_buf_init(client->admin->dropped, sizeof client->admin->dropped);
    } else if (mote_buffer_reserve(&client->in, room, &bytes) == 0) {
        *buffer = uv_buf_init((char *)bytes, (unsigned)room);
    } else {
        *buffer = uv_buf_init(NULL, 0);
    }
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct client *client = MOTE_CONTAINER_OF(stream, struct client, uv.stream);
    (void)buffer;
    if (length < 0) {
        close_client(client);
    } else if (length > 0 && client->state == STATE_READING) {
        mote_buffer_commit(&client->in, (size_t)length);
        uv_read_stop(stream);
        serve(client);
    }
}

static void read_more(struct client *client)
{
    if (uv_read_start(&client->uv.stream, on_allocate, on_read) != 0) {
        close_client(client);
    }
}

/* --- accepting --------------------------------------------------------------------------------------------------- */

static void on_retry(uv_timer_t *timer)
{
    struct mote_admin *admin = MOTE_CONTAINER_OF(timer, struct mote_admin, retry);
    uv_poll_start(&admin->poll, UV_READABLE, on_acceptable);
}

/* Takes `fd`. */
static void open_client(struct mote_admin *admin, int fd)
{
    struct client *client = mote_mem_allocate_zeroed(admin->mem, sizeof *client);
    int error;
    if (client == NULL) {
        close(fd);
        return;
    }
    client->admin = admin;
    mote_buffer_init(&client->in, admin->mem, MOTE_HTTP1_HEAD_MAX);
    mote_buffer_init(&client->head, admin->mem, 0);
    mote_buffer_init(&client->body, admin->mem, 0);
    mote_list_append(&admin->clients, &client->node);
    admin->client_count++;
    uv_timer_init(&admin->loop, &client->timer);
    if (mote_address_is_unix(&admin->binding.address)) {
        uv_pipe_init(&admin->loop, &client->uv.pipe, 0);
        error = uv_pipe_open(&client->uv.pipe, fd);
    } else {
        uv_tcp_init(&admin->loop, &client->uv.tcp);
        error = uv_tcp_open(&client->uv.tcp, fd);
    }
    if (error != 0) {
        close(fd);
        close_client(client);
        return;
    }
    serve(client);
}

/* The place of who has been idle longest comes free; false when nobody is. */
static bool make_room(struct mote_admin *admin)
{
    MOTE_LIST_FOR_EACH_SAFE(node, next, &admin->clients)
    {
        struct client *client = MOTE_CONTAINER_OF(node, struct client, node);
        if (client->state == STATE_READING && mote_buffer_length(&client->in) == 0) {
            close_client(client);
            return true;
        }
    }
    return false;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct mote_admin *admin = MOTE_CONTAINER_OF(poll, struct mote_admin, poll);
    (void)status;
    (void)events;
    if (admin->client_count >= MOTE_ADMIN_CONNECTIONS_MAX) {
        (void)make_room(admin);
        uv_poll_stop(poll); /* until one has gone */
        return;
    }
    const int fd = accept4(admin->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        open_client(admin, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        uv_poll_stop(poll);
        uv_timer_start(&admin->retry, on_retry, RETRY_MS, 0);
    }
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static void on_stop(uv_async_t *async)
{
    struct mote_admin *admin = MOTE_CONTAINER_OF(async, struct mote_admin, stop);
    admin->stopping = true;
    uv_close((uv_handle_t *)&admin->stop, NULL);
    uv_close((uv_handle_t *)&admin->poll, NULL);
    uv_close((uv_handle_t *)&admin->retry, NULL);
    MOTE_LIST_FOR_EACH_SAFE(node, next, &admin->clients)
    {
        close_client(MOTE_CONTAINER_OF(node, struct client, node));
    }
}

static void *run(void *argument)
{
    struct mote_admin *admin = argument;
    uv_run(&admin->loop, UV_RUN_DEFAULT);
    return NULL;
}

static int init_loop(struct mote_admin *admin)
{
    if (uv_loop_init(&admin->loop) != 0) {
        return MOTE_ENOMEM;
    }
    if (uv_async_init(&admin->loop, &admin->stop, on_stop) != 0) {
        mote_assert(uv_loop_close(&admin->loop) == 0);
        return MOTE_EIO;
    }
    uv_timer_init(&admin->loop, &admin->retry);
    if (uv_poll_init(&admin->loop, &admin->poll, admin->fd) != 0 ||
        uv_poll_start(&admin->poll, UV_READABLE, on_acceptable) != 0 ||
        pthread_create(&admin->thread, NULL, run, admin) != 0) {
        on_stop(&admin->stop);
        (void)run(admin);
        mote_assert(uv_loop_close(&admin->loop) == 0);
        return MOTE_EIO;
    }
    return 0;
}

static void free_admin(struct mote_admin *admin)
{
    if (admin->fd >= 0) {
        close(admin->fd);
    }
    mote_binding_close(&admin->binding);
    mote_mem_release(admin->mem, admin);
}

int mote_admin_start(struct mote_admin **out, struct mote_mem *mem, const struct mote_admin_options *options,
                     char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    struct mote_admin *admin = mote_mem_allocate_zeroed(mem, sizeof *admin);
    if (admin == NULL) {
        (void)snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "out of memory");
        return MOTE_ENOMEM;
    }
    admin->mem = mem;
    admin->options = *options;
    admin->fd = -1;
    mote_list_init(&admin->clients);
    struct mote_listen_address listen;
    const char *why;
    int error = mote_listen_address_parse(&listen, mote_slice_text(options->listen), &why);
    if (error != 0) {
        (void)snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "cannot listen on %s: %s", options->listen, why);
    } else {
        error = mote_binding_open(&admin->binding, &listen, problem);
    }
    if (error != 0) {
        mote_mem_release(mem, admin);
        return error;
    }
    error = mote_binding_take(&admin->binding, &admin->fd, problem);
    if (error == 0) {
        (void)snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "cannot start a thread");
        error = init_loop(admin);
    }
    if (error != 0) {
        free_admin(admin);
        return error;
    }
    *out = admin;
    return 0;
}

const char *mote_admin_address(const struct mote_admin *admin)
{
    return admin->binding.text;
}

void mote_admin_stop(struct mote_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    uv_async_send(&admin->stop);
    pthread_join(admin->thread, NULL);
    mote_assert(uv_loop_close(&admin->loop) == 0 && admin->client_count == 0);
    free_admin(admin);
}
