/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC request as its header fields tell it, or the answer it gets instead: the decision table of
 * docs/answers.md for everything that can be decided before the method is known.
 */
#ifndef MOTE_WIRE_REQUEST_H
#define MOTE_WIRE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/linkage.h"
#include "../base/slice.h"
#include "compression.h"
#include "fields.h"
#include "limits.h"
#include "status.h"

MOTE_C_BEGIN

#define MOTE_REQUEST_NO_TIMEOUT UINT64_MAX

struct mote_request {
    struct mote_slice path;      /* "/package.Service/Method" */
    struct mote_slice service;   /* "package.Service" */
    struct mote_slice method;    /* "Method" */
    struct mote_slice authority; /* :authority, or host where there is none; may be absent */
    uint64_t timeout_ns;         /* MOTE_REQUEST_NO_TIMEOUT where there is none, never 0 */
    enum mote_encoding encoding; /* of messages whose compressed flag is set; with identity there may be none */
    bool proto_subtype;          /* content-type was application/grpc+proto: the answer echoes it */
};

/* What to answer instead of running a call. */
struct mote_refusal {
    uint16_t http_status; /* 200 for a trailers-only gRPC answer; 415, 405 */
    bool has_status;      /* false: no grpc-status at all (415) */
    bool accept_encoding; /* add grpc-accept-encoding */
    enum mote_status status;
    const char *message; /* static text; NULL where has_status is false */
};

/* True when the request stands (then *out is filled in, slices borrowed from `fields`), false when *refusal is the
 * answer. Rows in the order of the table: overflow, content-type, :method, timeout and -bin, expired, encoding, path.
 */
bool mote_request_parse(const struct mote_fields *fields, const struct mote_limits *limits, struct mote_request *out,
                        struct mote_refusal *refusal);

MOTE_C_END

#endif
