/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of one header block (request headers, response headers or trailers), matched against the names gRPC
 * knows without copying. Known fields have a slot; all others are metadata, kept in order. Fields that are
 * hop-by-hop or reserved (`grpc-` names that are not known, `te`) are dropped.
 * Binary metadata (`-bin`) is kept as received: mote_fields_next_binary and mote_fields_decode_binary read it.
 */
#ifndef MOTE_WIRE_FIELDS_H
#define MOTE_WIRE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/slice.h"

MOTE_C_BEGIN

/* X(constant, "name") */
#define MOTE_FIELD_MAP(X)                                                                                              \
    X(MOTE_FIELD_METHOD, ":method")                                                                                    \
    X(MOTE_FIELD_SCHEME, ":scheme")                                                                                    \
    X(MOTE_FIELD_AUTHORITY, ":authority")                                                                              \
    X(MOTE_FIELD_PATH, ":path")                                                                                        \
    X(MOTE_FIELD_STATUS, ":status")                                                                                    \
    X(MOTE_FIELD_HOST, "host")                                                                                         \
    X(MOTE_FIELD_CONTENT_TYPE, "content-type")                                                                         \
    X(MOTE_FIELD_TE, "te")                                                                                             \
    X(MOTE_FIELD_USER_AGENT, "user-agent")                                                                             \
    X(MOTE_FIELD_AUTHORIZATION, "authorization")                                                                       \
    X(MOTE_FIELD_GRPC_TIMEOUT, "grpc-timeout")                                                                         \
    X(MOTE_FIELD_GRPC_ENCODING, "grpc-encoding")                                                                       \
    X(MOTE_FIELD_GRPC_ACCEPT_ENCODING, "grpc-accept-encoding")                                                         \
    X(MOTE_FIELD_GRPC_STATUS, "grpc-status")                                                                           \
    X(MOTE_FIELD_GRPC_MESSAGE, "grpc-message")                                                                         \
    X(MOTE_FIELD_GRPC_STATUS_DETAILS, "grpc-status-details-bin")                                                       \
    X(MOTE_FIELD_TRACEPARENT, "traceparent")                                                                           \
    X(MOTE_FIELD_TRACESTATE, "tracestate")

enum mote_field_id {
#define X(constant, name) constant,
    MOTE_FIELD_MAP(X)
#undef X
        MOTE_FIELD_OTHER, /* also the number of known ones */
};

/* Numbered as nghttp2 numbers its own, so that nothing has to be translated. */
enum mote_field_flag {
    MOTE_FIELD_SENSITIVE = 1, /* never indexed by HPACK */
    MOTE_FIELD_STATIC = 6,    /* name and value outlive the connection: they are not copied */
};

struct mote_field {
    struct mote_slice name; /* lower case */
    struct mote_slice value;
    uint8_t flags; /* of enum mote_field_flag; only for fields to be sent */
};

/* How far over the limits a block was (struct mote_limits, metadata_*). */
enum mote_fields_overflow {
    MOTE_FIELDS_FIT,
    MOTE_FIELDS_OVER_SOFT, /* fields past the limit were dropped */
    MOTE_FIELDS_OVER_HARD, /* the stream has been reset */
};

struct mote_fields {
    struct mote_slice known[MOTE_FIELD_OTHER]; /* absent: data is NULL; the first one where repeated */
    uint32_t repeated;                         /* bit (1 << id) for a known field that came more than once */
    enum mote_fields_overflow overflow;
    const struct mote_field *others;
    size_t other_count;
    size_t list_size; /* RFC 9113 §6.5.2: names + values + 32 each */
};

/* Which known field this is; MOTE_FIELD_OTHER if none. */
enum mote_field_id mote_fields_identify(struct mote_slice name);
/* True for "grpc-…" names, pseudo-header fields and hop-by-hop names: never metadata, never set by a handler. */
bool mote_fields_is_reserved(struct mote_slice name);
/* Lower-case letters, digits, '_', '-', '.', not empty, not reserved: a name a handler may send. */
bool mote_fields_is_metadata_name(struct mote_slice name);
/* Printable ASCII 0x20-0x7e without space at either end. Binary values are encoded before. */
bool mote_fields_is_metadata_value(struct mote_slice value);
bool mote_fields_is_binary(struct mote_slice name);
/* The first metadata value of that name, {NULL, 0} if there is none. */
struct mote_slice mote_fields_find(const struct mote_fields *fields, struct mote_slice name);
/* A `-bin` field may hold several values joined with commas. Takes the first one off the front of *rest, without the
 * spaces around it; false when none is left. An empty field holds one empty value, an absent slice none. */
bool mote_fields_next_binary(struct mote_slice *rest, struct mote_slice *value);
/* Decodes one such value, padded or not; `out` takes mote_base64_decoded_max(value.length) bytes. MOTE_EDECODE. */
MOTE_MUST_CHECK int mote_fields_decode_binary(uint8_t *out, size_t *out_length, struct mote_slice value);
/* Checks that every value of every `-bin` metadata field decodes; MOTE_EDECODE. */
MOTE_MUST_CHECK int mote_fields_check_binary(const struct mote_fields *fields);

MOTE_C_END

#endif
