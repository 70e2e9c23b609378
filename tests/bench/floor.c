/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: the least that nghttp2 and libuv can do for a unary gRPC call. It answers every request with the same
 * canned message (HEADERS, DATA, trailers) once the request has ended; nothing is parsed, matched, counted or bounded.
 * What mote costs is told as a ratio to it. One loop, one thread: floor PORT [empty], the latter for an empty message.
 */
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define READ_SIZE        65536u
#define WRITE_SIZE       65536u
#define COLLECTOR_WINDOW (1 << 22) /* grpc-go's grow to that */

struct connection {
    uv_tcp_t tcp;
    nghttp2_session *session;
};

struct pending_write {
    uv_write_t request;
    uint8_t bytes[];
};

static uv_loop_t loop;
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;
static char read_buffer[READ_SIZE];
static uint8_t write_buffer[WRITE_SIZE];

/* An Add of the calculator: one field, a varint. */
static uint8_t answer[] = {0, 0, 0, 0, 2, 0x08, 0x2a};
static size_t answer_length = sizeof answer;

#define NV(name_, value_)                                                                                              \
    {                                                                                                                  \
        .name = (uint8_t *)(name_), .value = (uint8_t *)(value_), .namelen = sizeof(name_) - 1,                        \
        .valuelen = sizeof(value_) - 1, .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE          \
    }

static ssize_t read_answer(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t length, uint32_t *flags,
                           nghttp2_data_source *source, void *user)
{
    static const nghttp2_nv trailers[] = {NV("grpc-status", "0")};
    (void)source;
    (void)user;
    if (length < answer_length) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    memcpy(out, answer, answer_length);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(session, stream_id, trailers, 1);
    return (ssize_t)answer_length;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    static const nghttp2_nv headers[] = {NV(":status", "200"), NV("content-type", "application/grpc")};
    nghttp2_data_provider provider = {.read_callback = read_answer};
    (void)user;
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        return nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &provider);
    }
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    nghttp2_session_del(connection->session);
    free(connection);
}

static void close_connection(struct connection *connection)
{
    if (!uv_is_closing((uv_handle_t *)&connection->tcp)) {
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct connection *connection = request->data;
    free(request);
    if (status < 0) {
        close_connection(connection);
    }
}

static void write_out(struct connection *connection, size_t length)
{
    uv_buf_t buffer = uv_buf_init((char *)write_buffer, (unsigned)length);
    int written = uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1);
    size_t done = written > 0 ? (size_t)written : 0;
    struct pending_write *pending;
    if (done == length) {
        return;
    }
    pending = malloc(sizeof *pending + length - done);
    if (pending == NULL) {
        close_connection(connection);
        return;
    }
    memcpy(pending->bytes, write_buffer + done, length - done);
    pending->request.data = connection;
    buffer = uv_buf_init((char *)pending->bytes, (unsigned)(length - done));
    uv_write(&pending->request, (uv_stream_t *)&connection->tcp, &buffer, 1, on_written);
}

static void flush(struct connection *connection)
{
    size_t length = 0;
    for (;;) {
        const uint8_t *bytes;
        ssize_t got = nghttp2_session_mem_send(connection->session, &bytes);
        if (got < 0) {
            close_connection(connection);
            return;
        }
        if (got == 0) {
            break;
        }
        if (length + (size_t)got > WRITE_SIZE) {
            write_out(connection, length);
            length = 0;
        }
        memcpy(write_buffer + length, bytes, (size_t)got);
        length += (size_t)got;
    }
    if (length > 0) {
        write_out(connection, length);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(read_buffer, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    if (length < 0 ||
        nghttp2_session_mem_recv(connection->session, (const uint8_t *)buffer->base, (size_t)length) != length) {
        close_connection(connection);
        return;
    }
    flush(connection);
}

static void on_connection(uv_stream_t *listener, int status)
{
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100},
                                         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, COLLECTOR_WINDOW}};
    struct connection *connection = status == 0 ? calloc(1, sizeof *connection) : NULL;
    if (connection == NULL) {
        return;
    }
    uv_tcp_init(&loop, &connection->tcp);
    connection->tcp.data = connection;
    if (nghttp2_session_server_new2(&connection->session, callbacks, connection, options) != 0 ||
        uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0) {
        close_connection(connection);
        return;
    }
    uv_tcp_nodelay(&connection->tcp, 1);
    nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings, answer_length == sizeof answer ? 1 : 2);
    if (answer_length != sizeof answer) {
        nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0, COLLECTOR_WINDOW);
    }
    uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read);
    flush(connection);
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)signal;
    (void)number;
    exit(0);
}

int main(int argc, char **argv)
{
    static uv_tcp_t listener;
    static uv_signal_t terminate;
    struct sockaddr_in address;
    if (argc < 2) {
        fprintf(stderr, "usage: floor PORT [empty]\n");
        return 64;
    }
    if (argc > 2) {
        answer[4] = 0;
        answer_length = 5;
    }
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_option_new(&options);
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &listener);
    uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address);
    if (uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0) != 0 ||
        uv_listen((uv_stream_t *)&listener, 1024, on_connection) != 0) {
        fprintf(stderr, "floor: cannot listen on port %s\n", argv[1]);
        return 75;
    }
    uv_signal_init(&loop, &terminate);
    uv_signal_start(&terminate, on_signal, SIGTERM);
    return uv_run(&loop, UV_RUN_DEFAULT);
}
