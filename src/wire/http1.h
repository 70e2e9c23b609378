/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little of HTTP/1.1 (RFC 9112) that the admin port speaks, sans-IO: heads of requests without a body are read,
 * heads of answers written. It is strict: lines end with CR LF, nothing is folded or repaired, a body is refused.
 *
 * The reader has no state: it is given what has come so far, from the head's first byte. What it says of the beginning
 * of some bytes, other than "more", it says of them all, so that it does not matter how they were cut.
 */
#ifndef MOTE_WIRE_HTTP1_H
#define MOTE_WIRE_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

#define MOTE_HTTP1_HEAD_MAX   8192u /* bytes of a request's head: 431 above */
#define MOTE_HTTP1_LINE_MAX   2048u /* bytes of the request line: 414 above */
#define MOTE_HTTP1_FIELDS_MAX 32u   /* 431 above */

/* Slices are of the bytes given. An absent field is absent; of one that is repeated the first counts. */
struct mote_http1_request {
    struct mote_slice method;
    struct mote_slice path;  /* starts with '/' */
    struct mote_slice query; /* behind the '?'; absent without */
    struct mote_slice host;  /* of the target where that names one */
    struct mote_slice authorization;
    struct mote_slice accept;
    struct mote_slice accept_encoding;
    bool keep_alive; /* the connection may serve another request */
};

/* 0: a whole head of *length bytes. MOTE_EAGAIN: more is needed; never said of MOTE_HTTP1_HEAD_MAX bytes. MOTE_EPROTO:
 * answer with *status (400, 413, 414, 431, 505) and close. */
MOTE_MUST_CHECK int mote_http1_read(struct mote_http1_request *request, struct mote_slice in, size_t *length,
                                    unsigned *status);
/* How much a list such as Accept's wants `name`, in thousandths: 0 where it does not name it. No wildcards. */
unsigned mote_http1_quality(struct mote_slice list, const char *name);
/* The host of a Host field without its port and without the brackets of an IPv6 address. */
struct mote_slice mote_http1_host_name(struct mote_slice host);

struct mote_http1_response {
    unsigned status;
    const char *content_type;
    size_t content_length;
    int64_t date;      /* seconds since 1970 */
    const char *extra; /* further fields, each with its CR LF; "" for none */
    bool keep_alive;
};

/* The words of a status this server gives; static. */
const char *mote_http1_reason(unsigned status);
MOTE_MUST_CHECK int mote_http1_write_head(struct mote_buffer *out, const struct mote_http1_response *response);

#endif
