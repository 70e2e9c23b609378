/* SPDX-License-Identifier: Apache-2.0 */
/* grpc-timeout (PROTOCOL-HTTP2): 1-8 digits and one of H M S m u n. */
#ifndef MOTE_WIRE_TIMEOUT_H
#define MOTE_WIRE_TIMEOUT_H

#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/slice.h"

MOTE_C_BEGIN

#define MOTE_TIMEOUT_TEXT_MAX 9u

/* Nanoseconds, clamped to INT64_MAX; MOTE_EDECODE when malformed. "0n" is valid and 0. */
MOTE_MUST_CHECK int mote_timeout_parse(uint64_t *out_ns, struct mote_slice text);
/* The finest unit that fits in 8 digits, rounded up. Writes at most MOTE_TIMEOUT_TEXT_MAX bytes and no NUL; returns the
 * length. */
size_t mote_timeout_format(char *out, uint64_t timeout_ns);

MOTE_C_END

#endif
