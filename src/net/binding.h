/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address to listen on, and its sockets: for TCP one for each worker, by SO_REUSEPORT; for a unix socket one that
 * all workers share. Internal to net.
 */
#ifndef MOTE_NET_BINDING_H
#define MOTE_NET_BINDING_H

#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"
#include "net/address.h"
#include "net/runtime.h"

struct mote_binding {
    struct mote_address address;
    char text[MOTE_ADDRESS_TEXT_MAX]; /* as it really is, the chosen port too */
    int fd;                           /* the first socket, listening; -1: none */
    size_t taken;                     /* sockets handed out; of TCP the first of them is `fd`, the worker's now */
};

/* Binds and listens, and fails with MOTE_EBUSY when anybody else listens there, be it with SO_REUSEPORT. `problem` as
 * in mote_runtime_start. */
MOTE_MUST_CHECK int mote_binding_open(struct mote_binding *out, struct mote_slice text,
                                      char problem[MOTE_RUNTIME_PROBLEM_MAX]);
/* A socket for the next worker, owned by the caller. The same errors. */
MOTE_MUST_CHECK int mote_binding_take(struct mote_binding *binding, int *fd, char problem[MOTE_RUNTIME_PROBLEM_MAX]);
/* What was taken stays. Removes the file of a unix socket, so that nobody comes any more. */
void mote_binding_close(struct mote_binding *binding);

#endif
