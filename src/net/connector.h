/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket of a channel's link: looks the name up, connects to one address after the other, shakes hands, and moves
 * bytes. Internal to net.
 *
 * Life: RESOLVING → CONNECTING (a socket for each address) → HANDSHAKE (with TLS) → OPEN. It is closed from anywhere by
 * a note in the loop's list: at the end of a turn, last bytes are sent if the socket takes them, and it is freed when
 * libuv has let go.
 */
#ifndef MOTE_NET_CONNECTOR_H
#define MOTE_NET_CONNECTOR_H

#include "net/loop_core.h"
#include "rpc/client_channel.h"

struct mote_connector;

/* Whose it is; outlives it. */
struct mote_connector_owner {
    const char *target;
    struct mote_tls_context *tls; /* NULL: in the clear */
    const char *server_name;
    void (*gone)(struct mote_connector_owner *owner); /* one was freed, and its link before */
};

/* Becomes the link's user. */
MOTE_MUST_CHECK int mote_connector_open(struct mote_loop *loop, struct mote_connector_owner *owner,
                                        struct mote_client_link *link, uint64_t deadline_ns);
/* There is output. */
void mote_connector_notify(struct mote_connector *connector);
void mote_connector_close(struct mote_connector *connector);
/* For the loop's list. */
void mote_connector_flush(struct mote_list *dirty_node);

#endif
