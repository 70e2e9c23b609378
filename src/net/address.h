/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in text and as sockets: what LISTEN and --addr take. */
#ifndef MOTE_NET_ADDRESS_H
#define MOTE_NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/slice.h"

#define MOTE_ADDRESS_TEXT_MAX    128u
#define MOTE_ADDRESS_RESOLVE_MAX 8u /* of the addresses that one name has, more are not looked at */

struct mote_address {
    struct sockaddr_storage storage;
    socklen_t length;
};

/* "127.0.0.1:50051", "[::1]:50051", "localhost:50051" (looked up, may block), "unix:/path", "unix-abstract:name": the
 * first of its addresses. MOTE_EINVAL with *problem (static text). */
MOTE_MUST_CHECK int mote_address_parse(struct mote_address *out, struct mote_slice text, const char **problem);
/* As above, and never blocks: MOTE_EAGAIN where a name has to be looked up. */
MOTE_MUST_CHECK int mote_address_parse_number(struct mote_address *out, struct mote_slice text, const char **problem);
/* The same with all addresses of a name, up to `room`; *count is at least 1. */
MOTE_MUST_CHECK int mote_address_resolve(struct mote_address *out, size_t room, size_t *count, struct mote_slice text,
                                         const char **problem);
/* NUL-terminated "127.0.0.1:40000" (also of IPv4 that came over IPv6), "[::1]:40000", "unix:/path", "unix:" for an
 * unnamed one. */
void mote_address_format(char out[MOTE_ADDRESS_TEXT_MAX], const struct mote_address *address);
bool mote_address_is_unix(const struct mote_address *address);
/* Loopback or a unix socket: what it carries does not leave the machine. */
bool mote_address_is_local(const struct mote_address *address);

#endif
