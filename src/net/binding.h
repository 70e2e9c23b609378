/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address to listen on, and its sockets: for TCP one for each worker, by SO_REUSEPORT; a unix socket, or one that
 * was inherited, all workers share. Internal to net.
 */
#ifndef MOTE_NET_BINDING_H
#define MOTE_NET_BINDING_H

#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"
#include "net/address.h"
#include "net/listen_address.h"
#include "net/runtime.h"

struct mote_binding {
    struct mote_address address;
    char text[MOTE_ADDRESS_TEXT_MAX]; /* as it really is, the chosen port too */
    int fd;                           /* the first socket, listening; -1: none */
    size_t taken;   /* sockets handed out; of those that are not shared the first is `fd`, the worker's now */
    bool is_shared; /* the workers have duplicates of `fd` */
    bool has_file;  /* of a unix socket, made by us: */
    dev_t device;
    ino_t inode;
};

/* Binds and listens, and fails with MOTE_EBUSY when anybody else listens there, be it with SO_REUSEPORT. Not for
 * inherited sockets. `problem` as in mote_runtime_start. */
MOTE_MUST_CHECK int mote_binding_open(struct mote_binding *out, const struct mote_listen_address *listen,
                                      char problem[MOTE_RUNTIME_PROBLEM_MAX]);
/* Takes an inherited socket, which must be listening, on success. */
MOTE_MUST_CHECK int mote_binding_adopt(struct mote_binding *out, int fd, char problem[MOTE_RUNTIME_PROBLEM_MAX]);
/* A socket for the next worker, owned by the caller. The same errors. */
MOTE_MUST_CHECK int mote_binding_take(struct mote_binding *binding, int *fd, char problem[MOTE_RUNTIME_PROBLEM_MAX]);
/* What was taken stays. Removes the file of a unix socket that was made here, so that nobody comes any more. */
void mote_binding_close(struct mote_binding *binding);

#endif
