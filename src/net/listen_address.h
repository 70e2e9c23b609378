/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What LISTEN and HEALTH_LISTEN take, an item at a time: an address; unix:/path with ?mode=0660&owner=NAME&group=NAME
 * behind it; or "systemd:", sockets that the service manager has opened (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES:
 * sd_listen_fds(3)), "systemd:NAME" those of that name.
 */
#ifndef MOTE_NET_LISTEN_ADDRESS_H
#define MOTE_NET_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/slice.h"
#include "net/address.h"

#define MOTE_LISTEN_ADDRESS_KEEP UINT32_MAX /* mode, owner, group: as the system makes it */

struct mote_listen_address {
    bool is_inherited;
    struct mote_slice name;      /* of inherited sockets, borrowed from the text; empty: of any name */
    struct mote_address address; /* of others */
    uint32_t mode, owner, group; /* of the file of a unix socket */
};

/* The next item of a comma-separated list, moving *rest on; false at the end. */
bool mote_listen_address_next(const char **rest, struct mote_slice *item);
/* MOTE_EINVAL with *problem (static text). */
MOTE_MUST_CHECK int mote_listen_address_parse(struct mote_listen_address *out, struct mote_slice item,
                                              const char **problem);
/* As mote_address_is_local; of inherited sockets, all that fit the name are. */
bool mote_listen_address_is_local(const struct mote_listen_address *listen);

/* The descriptor of the `index`th inherited socket of this name (empty: of any); -1 past the last, and when the sockets
 * are for another process. */
int mote_listen_address_inherited(struct mote_slice name, size_t index);

#endif
