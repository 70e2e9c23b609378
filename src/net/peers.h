/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections counted: in all, and for each peer address (an IPv4 address or an IPv6 /64), so that one cannot take all.
 * Shared by the workers; touched only when a connection comes or goes. Any thread.
 */
#ifndef MOTE_NET_PEERS_H
#define MOTE_NET_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "net/address.h"

struct mote_peers;

/* A connection's place; zeroed, it has none. */
struct mote_peer {
    uint64_t family; /* with `address`, what is counted together */
    uint64_t address;
    bool reserved;
    bool identified;
};

/* `mem` must be safe from any thread. MOTE_ENOMEM, MOTE_ERANDOM. */
MOTE_MUST_CHECK int mote_peers_new(struct mote_peers **out, struct mote_mem *mem, uint64_t connections_max,
                                   uint64_t per_address_max, const struct mote_random *random);
/* Every place must have been given back (asserted). */
void mote_peers_free(struct mote_peers *peers);
/* Takes a place before anybody is accepted to it. MOTE_EAGAIN when there is none: not now. */
MOTE_MUST_CHECK int mote_peers_reserve(struct mote_peers *peers, struct mote_peer *peer);
/* Whose place it is. MOTE_ELIMIT when this address has its share already, MOTE_ENOMEM; release it then. */
MOTE_MUST_CHECK int mote_peers_identify(struct mote_peers *peers, struct mote_peer *peer,
                                        const struct mote_address *address);
/* Gives the place back. Harmless on one that was not reserved. */
void mote_peers_release(struct mote_peers *peers, struct mote_peer *peer);
size_t mote_peers_count(struct mote_peers *peers);

#endif
