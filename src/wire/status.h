/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC status: codes, text as it crosses the wire, and the only place where one code space becomes another
 * (mote's errors, gRPC status, HTTP/2 error codes, HTTP status). Sources: gRPC over HTTP/2 (PROTOCOL-HTTP2),
 * statuscodes.md of gRPC.
 */
#ifndef MOTE_WIRE_STATUS_H
#define MOTE_WIRE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/slice.h"

MOTE_C_BEGIN

/* X(constant, number, "UPPER_SNAKE", "CamelCase as grpc-go spells it") */
#define MOTE_STATUS_MAP(X)                                                                                             \
    X(MOTE_STATUS_OK, 0, "OK", "OK")                                                                                   \
    X(MOTE_STATUS_CANCELLED, 1, "CANCELLED", "Canceled")                                                               \
    X(MOTE_STATUS_UNKNOWN, 2, "UNKNOWN", "Unknown")                                                                    \
    X(MOTE_STATUS_INVALID_ARGUMENT, 3, "INVALID_ARGUMENT", "InvalidArgument")                                          \
    X(MOTE_STATUS_DEADLINE_EXCEEDED, 4, "DEADLINE_EXCEEDED", "DeadlineExceeded")                                       \
    X(MOTE_STATUS_NOT_FOUND, 5, "NOT_FOUND", "NotFound")                                                               \
    X(MOTE_STATUS_ALREADY_EXISTS, 6, "ALREADY_EXISTS", "AlreadyExists")                                                \
    X(MOTE_STATUS_PERMISSION_DENIED, 7, "PERMISSION_DENIED", "PermissionDenied")                                       \
    X(MOTE_STATUS_RESOURCE_EXHAUSTED, 8, "RESOURCE_EXHAUSTED", "ResourceExhausted")                                    \
    X(MOTE_STATUS_FAILED_PRECONDITION, 9, "FAILED_PRECONDITION", "FailedPrecondition")                                 \
    X(MOTE_STATUS_ABORTED, 10, "ABORTED", "Aborted")                                                                   \
    X(MOTE_STATUS_OUT_OF_RANGE, 11, "OUT_OF_RANGE", "OutOfRange")                                                      \
    X(MOTE_STATUS_UNIMPLEMENTED, 12, "UNIMPLEMENTED", "Unimplemented")                                                 \
    X(MOTE_STATUS_INTERNAL, 13, "INTERNAL", "Internal")                                                                \
    X(MOTE_STATUS_UNAVAILABLE, 14, "UNAVAILABLE", "Unavailable")                                                       \
    X(MOTE_STATUS_DATA_LOSS, 15, "DATA_LOSS", "DataLoss")                                                              \
    X(MOTE_STATUS_UNAUTHENTICATED, 16, "UNAUTHENTICATED", "Unauthenticated")

enum mote_status {
#define X(constant, number, upper, camel) constant = number,
    MOTE_STATUS_MAP(X)
#undef X
};

#define MOTE_STATUS_COUNT       17
#define MOTE_STATUS_MESSAGE_MAX 1024u /* bytes of a message before encoding; longer ones are cut at a code point */

/* "NOT_FOUND"; "CODE(99)" is not made: a number out of range gives "UNKNOWN". Static. */
const char *mote_status_name(enum mote_status status);
/* "NotFound", as grpc-go and its metrics spell it. Static. */
const char *mote_status_camel_name(enum mote_status status);
/* True for what OpenTelemetry counts as an error of a server: not what its caller is to blame for. */
bool mote_status_is_servers_fault(enum mote_status status);
/* The decimal text of a code for the grpc-status field. Static. */
struct mote_slice mote_status_decimal(enum mote_status status);
/* grpc-status as received: plain decimal 0-16 without leading zeros; anything else is UNKNOWN with MOTE_EDECODE. */
MOTE_MUST_CHECK int mote_status_parse(enum mote_status *out, struct mote_slice text);

/*
 * grpc-message: bytes 0x20-0x7e but '%' stand as they are, all others, and a space at either end, as %XX (upper case).
 * Each byte that is not UTF-8 becomes U+FFFD first; the message is cut at MOTE_STATUS_MESSAGE_MAX bytes on a
 * code-point boundary. `out` takes MOTE_STATUS_ENCODED_MAX bytes; returns the length.
 */
#define MOTE_STATUS_ENCODED_MAX (3u * MOTE_STATUS_MESSAGE_MAX)
size_t mote_status_encode_message(char *out, struct mote_slice message);
/* The reverse, lenient as gRPC asks: a '%' that is not followed by two digits stands for itself. `out` takes as many
 * bytes as `text` has; returns the length. */
size_t mote_status_decode_message(char *out, struct mote_slice text);

/* HTTP/2 error codes (RFC 9113 §7). */
#define MOTE_H2_ERROR_MAP(X)                                                                                           \
    X(MOTE_H2_NO_ERROR, 0x0)                                                                                           \
    X(MOTE_H2_PROTOCOL_ERROR, 0x1)                                                                                     \
    X(MOTE_H2_INTERNAL_ERROR, 0x2)                                                                                     \
    X(MOTE_H2_FLOW_CONTROL_ERROR, 0x3)                                                                                 \
    X(MOTE_H2_SETTINGS_TIMEOUT, 0x4)                                                                                   \
    X(MOTE_H2_STREAM_CLOSED, 0x5)                                                                                      \
    X(MOTE_H2_FRAME_SIZE_ERROR, 0x6)                                                                                   \
    X(MOTE_H2_REFUSED_STREAM, 0x7)                                                                                     \
    X(MOTE_H2_CANCEL, 0x8)                                                                                             \
    X(MOTE_H2_COMPRESSION_ERROR, 0x9)                                                                                  \
    X(MOTE_H2_CONNECT_ERROR, 0xa)                                                                                      \
    X(MOTE_H2_ENHANCE_YOUR_CALM, 0xb)                                                                                  \
    X(MOTE_H2_INADEQUATE_SECURITY, 0xc)                                                                                \
    X(MOTE_H2_HTTP_1_1_REQUIRED, 0xd)

enum mote_h2_error {
#define X(constant, number) constant = number,
    MOTE_H2_ERROR_MAP(X)
#undef X
};

const char *mote_h2_error_name(enum mote_h2_error error);
/* What a client reports when its stream was reset with this code before a status came. */
enum mote_status mote_status_from_h2_error(uint32_t error);
/* What a client reports for a response without grpc-status. */
enum mote_status mote_status_from_http(unsigned http_status);
/* What a server answers when the library itself fails with a MOTE_E* while serving a call. Never one of the codes that
 * belong to services. */
enum mote_status mote_status_from_error(int error);

MOTE_C_END

#endif
