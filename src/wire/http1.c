/* SPDX-License-Identifier: Apache-2.0 */
/* See http1.h. Every byte is looked at in order, and what is wrong is said at the first byte that makes it so. */
#include "wire/http1.h"

#include <time.h>

struct reader {
    struct mote_slice in;
    size_t at;
    unsigned status;
    unsigned hosts, lengths; /* how often these fields came */
    bool is_old;             /* HTTP/1.0 */
};

static int refuse(struct reader *reader, unsigned status)
{
    reader->status = status;
    return MOTE_EPROTO;
}

/* The next line, without its end, of `max` bytes at most; above it `status`. */
static int read_line(struct reader *reader, size_t max, unsigned status, struct mote_slice *line)
{
    const size_t start = reader->at;
    for (size_t i = start;; i++) {
        if (i - start >= max + 2) {
            return refuse(reader, status);
        }
        if (i >= MOTE_HTTP1_HEAD_MAX) {
            return refuse(reader, 431);
        }
        if (i >= reader->in.length) {
            return MOTE_EAGAIN;
        }
        const uint8_t byte = reader->in.data[i];
        if (byte == '\n' && i > start && reader->in.data[i - 1] == '\r') {
            *line = mote_slice(reader->in.data + start, i - 1 - start);
            reader->at = i + 1;
            return 0;
        }
        if ((i > start && reader->in.data[i - 1] == '\r') || (byte < 0x20 && byte != '\t' && byte != '\r') ||
            byte == 0x7f) {
            return refuse(reader, 400);
        }
    }
}

/* RFC 9110 §5.6.2 */
static bool is_token(struct mote_slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        const uint8_t byte = text.data[i];
        if (byte <= 0x20 || byte >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", byte) != NULL) {
            return false;
        }
    }
    return text.length > 0;
}

static size_t index_of(struct mote_slice text, char byte)
{
    const uint8_t *found = text.length > 0 ? memchr(text.data, byte, text.length) : NULL;
    return found != NULL ? (size_t)(found - text.data) : text.length;
}

static struct mote_slice from(struct mote_slice text, size_t start)
{
    return start < text.length ? mote_slice(text.data + start, text.length - start)
                               : mote_slice(text.data + text.length, 0);
}

static struct mote_slice trim(struct mote_slice text)
{
    while (text.length > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = from(text, 1);
    }
    while (text.length > 0 && (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t')) {
        text.length--;
    }
    return text;
}

/* Origin form, or absolute form, whose authority goes before the field Host (RFC 9112 §3.2). */
static int read_target(struct reader *reader, struct mote_http1_request *request, struct mote_slice target)
{
    static const struct mote_slice scheme = MOTE_SLICE_LITERAL("http://");
    for (size_t i = 0; i < target.length; i++) {
        if (target.data[i] <= 0x20 || target.data[i] >= 0x7f) {
            return refuse(reader, 400);
        }
    }
    if (mote_slice_starts_with(target, scheme)) {
        target = from(target, scheme.length);
        request->host = mote_slice(target.data, index_of(target, '/'));
        target = from(target, request->host.length);
    }
    if (target.length == 0 || target.data[0] != '/') {
        return refuse(reader, 400);
    }
    const size_t end = index_of(target, '?');
    request->path = mote_slice(target.data, end);
    if (end < target.length) {
        request->query = from(target, end + 1);
    }
    return 0;
}

static int read_request_line(struct reader *reader, struct mote_http1_request *request)
{
    struct mote_slice line;
    int error = read_line(reader, MOTE_HTTP1_LINE_MAX, 414, &line);
    if (error == 0 && line.length == 0) { /* one empty line is passed over: RFC 9112 §2.2 */
        error = read_line(reader, MOTE_HTTP1_LINE_MAX, 414, &line);
    }
    if (error != 0) {
        return error;
    }
    request->method = mote_slice(line.data, index_of(line, ' '));
    struct mote_slice rest = from(line, request->method.length + 1);
    const struct mote_slice target = mote_slice(rest.data, index_of(rest, ' '));
    const struct mote_slice version = from(rest, target.length + 1);
    static const struct mote_slice protocol = MOTE_SLICE_LITERAL("HTTP/");
    if (!is_token(request->method) || !mote_slice_starts_with(version, protocol)) {
        return refuse(reader, 400);
    }
    reader->is_old = mote_slice_equals_text(version, "HTTP/1.0");
    if (!reader->is_old && !mote_slice_equals_text(version, "HTTP/1.1")) {
        return refuse(reader, 505);
    }
    request->keep_alive = !reader->is_old;
    return read_target(reader, request, target);
}

/* Takes the next member off the front of a list. */
static struct mote_slice next_member(struct mote_slice *list, char separator)
{
    const struct mote_slice member = mote_slice(list->data, index_of(*list, separator));
    *list = from(*list, member.length + 1);
    return trim(member);
}

static void read_connection(struct mote_http1_request *request, struct mote_slice value)
{
    while (value.length > 0) {
        const struct mote_slice option = next_member(&value, ',');
        if (mote_slice_equals_ignore_case(option, mote_slice_text("close"))) {
            request->keep_alive = false;
        }
    }
}

static void take(struct mote_slice *field, struct mote_slice value)
{
    if (!mote_slice_is_present(*field)) {
        *field = value;
    }
}

static int read_field(struct reader *reader, struct mote_http1_request *request, struct mote_slice line)
{
    const struct mote_slice name = mote_slice(line.data, index_of(line, ':'));
    if (!is_token(name) || name.length == line.length) {
        return refuse(reader, 400);
    }
    const struct mote_slice value = trim(from(line, name.length + 1));
    const struct {
        const char *name;
        struct mote_slice *field;
    } taken[] = {{"host", &request->host},
                 {"authorization", &request->authorization},
                 {"accept", &request->accept},
                 {"accept-encoding", &request->accept_encoding}};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        if (mote_slice_equals_ignore_case(name, mote_slice_text(taken[i].name))) {
            take(taken[i].field, value);
            reader->hosts += i == 0;
            return reader->hosts > 1 ? refuse(reader, 400) : 0;
        }
    }
    if (mote_slice_equals_ignore_case(name, mote_slice_text("connection"))) {
        read_connection(request, value);
    } else if (mote_slice_equals_ignore_case(name, mote_slice_text("transfer-encoding"))) {
        return refuse(reader, 413);
    } else if (mote_slice_equals_ignore_case(name, mote_slice_text("content-length"))) {
        bool is_number = value.length > 0;
        bool is_zero = true;
        for (size_t i = 0; i < value.length; i++) {
            is_number = is_number && value.data[i] >= '0' && value.data[i] <= '9';
            is_zero = is_zero && value.data[i] == '0';
        }
        if (++reader->lengths > 1 || !is_number || !is_zero) {
            return refuse(reader, is_number && reader->lengths == 1 ? 413 : 400);
        }
    }
    return 0;
}

static int read_head(struct reader *reader, struct mote_http1_request *request)
{
    int error = read_request_line(reader, request);
    for (unsigned count = 0; error == 0; count++) {
        struct mote_slice line;
        error = read_line(reader, MOTE_HTTP1_HEAD_MAX, 431, &line);
        if (error == 0 && line.length == 0) {
            return reader->is_old || reader->hosts == 1 ? 0 : refuse(reader, 400);
        }
        if (error == 0) {
            error = count < MOTE_HTTP1_FIELDS_MAX ? read_field(reader, request, line) : refuse(reader, 431);
        }
    }
    return error;
}

int mote_http1_read(struct mote_http1_request *request, struct mote_slice in, size_t *length, unsigned *status)
{
    struct reader reader = {.in = in};
    *request = (struct mote_http1_request){.keep_alive = false};
    const int error = read_head(&reader, request);
    *length = reader.at;
    *status = reader.status;
    return error;
}

/* "0.25" as 250; anything else is 1. */
static unsigned parse_quality(struct mote_slice text)
{
    unsigned value = 0;
    if (text.length == 0 || text.data[0] != '0') {
        return 1000;
    }
    for (size_t i = 2, unit = 100; i < text.length && i < 5; i++, unit /= 10) {
        value += text.data[i] >= '0' && text.data[i] <= '9' ? (unsigned)(unit * (unsigned)(text.data[i] - '0')) : 0;
    }
    return value;
}

unsigned mote_http1_quality(struct mote_slice list, const char *name)
{
    unsigned best = 0;
    while (list.length > 0) {
        struct mote_slice member = next_member(&list, ',');
        if (!mote_slice_equals_ignore_case(next_member(&member, ';'), mote_slice_text(name))) {
            continue;
        }
        unsigned quality = 1000;
        while (member.length > 0) {
            const struct mote_slice parameter = next_member(&member, ';');
            if (parameter.length >= 2 && (parameter.data[0] | 0x20) == 'q' && parameter.data[1] == '=') {
                quality = parse_quality(from(parameter, 2));
            }
        }
        best = quality > best ? quality : best;
    }
    return best;
}

struct mote_slice mote_http1_host_name(struct mote_slice host)
{
    if (host.length > 0 && host.data[0] == '[') {
        const size_t end = index_of(host, ']');
        return mote_slice(host.data + 1, end - 1);
    }
    return mote_slice(host.data, index_of(host, ':'));
}

const char *mote_http1_reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } rows[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {431, "Request Header Fields Too Large"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].status == status) {
            return rows[i].reason;
        }
    }
    return "Internal Server Error";
}

int mote_http1_write_head(struct mote_buffer *out, const struct mote_http1_response *response)
{
    char date[40];
    const time_t seconds = (time_t)response->date;
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL || strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts) == 0) {
        return MOTE_EINVAL;
    }
    return mote_buffer_append_format(out,
                                     "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                                     "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s%s\r\n",
                                     response->status, mote_http1_reason(response->status), date,
                                     response->content_type, response->content_length, response->extra,
                                     response->keep_alive ? "" : "Connection: close\r\n");
}
