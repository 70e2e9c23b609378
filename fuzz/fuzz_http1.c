/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the admin port (wire/http1.h): any bytes. What holds:
 *  1. What is said of some bytes, other than "more is needed", is said of whatever they are the beginning of.
 *  2. "More is needed" is never said of MOTE_HTTP1_HEAD_MAX bytes, nor of a head that has its end.
 *  3. A head that is taken ends with an empty line, is made of lines that end with CR LF, has no other control
 *     characters, one Host where it is HTTP/1.1, and no body; its parts lie inside it.
 *  4. Its path without the query is written and read back the same.
 */
#include "fuzz.h"

#include <strings.h>

#include "wire/http1.h"

static const char end_of_head[] = "\r\n\r\n";

static bool is_inside(struct mote_slice part, struct mote_slice whole)
{
    return part.data == NULL || (part.data >= whole.data && part.data + part.length <= whole.data + whole.length);
}

static size_t count_lines(struct mote_slice head, const char *name)
{
    size_t count = 0;
    for (size_t i = 2; i + strlen(name) <= head.length; i++) {
        count += memcmp(head.data + i - 2, "\r\n", 2) == 0 &&
                 strncasecmp((const char *)head.data + i, name, strlen(name)) == 0;
    }
    return count;
}

static void check_head(const struct mote_http1_request *request, struct mote_slice head)
{
    fuzz_require(head.length <= MOTE_HTTP1_HEAD_MAX && head.length >= 4);
    fuzz_require(memcmp(head.data + head.length - 4, end_of_head, 4) == 0);
    for (size_t i = 0; i < head.length; i++) {
        const uint8_t byte = head.data[i];
        fuzz_require(byte != '\n' || (i > 0 && head.data[i - 1] == '\r'));
        fuzz_require(byte != '\r' || (i + 1 < head.length && head.data[i + 1] == '\n'));
        fuzz_require((byte >= 0x20 && byte != 0x7f) || byte == '\r' || byte == '\n' || byte == '\t');
    }
    const struct mote_slice parts[] = {request->method, request->path,          request->query,          request->host,
                                       request->accept, request->authorization, request->accept_encoding};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        fuzz_require(is_inside(parts[i], head));
    }
    fuzz_require(request->method.length > 0 && request->path.length > 0 && request->path.data[0] == '/');
    fuzz_require(count_lines(head, "transfer-encoding:") == 0 && count_lines(head, "host:") <= 1);
    fuzz_require(!request->keep_alive || count_lines(head, "host:") == 1);
    fuzz_require(mote_http1_quality(request->accept, "text/plain") <= 1000);
    fuzz_require(is_inside(mote_http1_host_name(request->host), head));
}

static void check_again(const struct mote_http1_request *request)
{
    struct mote_http1_request again;
    char text[MOTE_HTTP1_HEAD_MAX + 64];
    size_t length = 0;
    unsigned status = 0;
    const int size = snprintf(text, sizeof(text), "GET %.*s HTTP/1.0\r\n\r\n", (int)request->path.length,
                              (const char *)request->path.data);
    fuzz_require(mote_http1_read(&again, mote_slice(text, (size_t)size), &length, &status) == 0);
    fuzz_require(mote_slice_equals(again.path, request->path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mote_http1_request request;
    struct mote_http1_request part;
    size_t length = 0;
    unsigned status = 0;
    uint8_t *copy = fuzz_copy(mote_slice(data, size));
    const struct mote_slice whole = mote_slice(copy, size);
    const int error = mote_http1_read(&request, whole, &length, &status);
    for (size_t cut = 0; cut < size; cut += size < 600 ? 1 : 97) {
        size_t part_length = 0;
        unsigned part_status = 0;
        uint8_t *beginning = fuzz_copy(mote_slice(data, cut));
        const int said = mote_http1_read(&part, mote_slice(beginning, cut), &part_length, &part_status);
        fuzz_require(said == MOTE_EAGAIN || (said == error && part_status == status));
        fuzz_require(said != 0 || (part_length == length && mote_slice_equals(part.path, request.path)));
        free(beginning);
    }
    if (error == 0) {
        fuzz_require(length <= size);
        check_head(&request, mote_slice(copy, length));
        check_again(&request);
    } else if (error == MOTE_EAGAIN) {
        fuzz_require(size < MOTE_HTTP1_HEAD_MAX);
        fuzz_require(size < 6 || memmem(copy + 2, size - 2, end_of_head, 4) == NULL);
    } else {
        fuzz_require(error == MOTE_EPROTO && mote_http1_reason(status)[0] != 'I');
    }
    free(copy);
    return 0;
}
