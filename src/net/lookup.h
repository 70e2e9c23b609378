/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up a name without holding up a loop: by a thread of its own, since nothing ends getaddrinfo before its time,
 * and nobody shall have to wait for it who has lost interest. Internal to net. */
#ifndef MOTE_NET_LOOKUP_H
#define MOTE_NET_LOOKUP_H

#include "base/task.h"
#include "net/address.h"

struct mote_lookup {
    struct mote_address addresses[MOTE_ADDRESS_RESOLVE_MAX];
    size_t count;        /* 0: nothing was found, and … */
    const char *problem; /* … why (static text) */
    void *user;
};

/* `done` runs as a task of the mailbox; the lookup is valid until it returns. MOTE_ENOMEM: no memory, or no thread. */
MOTE_MUST_CHECK int mote_lookup_start(struct mote_lookup **out, const char *target, struct mote_mailbox *mailbox,
                                      void (*done)(struct mote_lookup *lookup), void *user);
/* On the mailbox' thread, before `done`: it will not run. NULL is fine. */
void mote_lookup_abandon(struct mote_lookup *lookup);

#endif
