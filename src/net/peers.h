/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections counted, in all and for each peer address (an IPv4 address or an IPv6 /64), so that one address cannot
 * take all of them. Shared by the workers; touched only when a connection comes or goes.
 */
#ifndef MOTE_NET_PEERS_H
#define MOTE_NET_PEERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "net/address.h"

struct mote_peers;

/* Room for `connections_max` addresses is taken at once (24 bytes each). */
MOTE_MUST_CHECK int mote_peers_new(struct mote_peers **out, struct mote_mem *mem, size_t connections_max,
                                   size_t per_address_max);
void mote_peers_free(struct mote_peers *peers);
/* MOTE_EAGAIN when all are taken, MOTE_ELIMIT when this address has its share. Any thread. */
MOTE_MUST_CHECK int mote_peers_add(struct mote_peers *peers, const struct mote_address *address);
void mote_peers_remove(struct mote_peers *peers, const struct mote_address *address);
size_t mote_peers_count(struct mote_peers *peers);

#endif
