/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection on a socket: bytes between libuv and a mote_server_connection. Internal to net.
 *
 * Life: OPEN → (ended, by either side or by a limit) CLOSING: the last bytes, a GOAWAY mostly, are written, for at most
 * MOTE_CONNECTION_GOODBYE_NS → LINGER: shutdown(WR), what still comes is read and dropped for at most
 * MOTE_CONNECTION_LINGER_NS, so that the peer can read the last bytes before a TCP reset → CLOSED: uv_close, freed in
 * its callback. A lost connection goes to CLOSED from anywhere.
 */
#ifndef MOTE_NET_CONNECTION_H
#define MOTE_NET_CONNECTION_H

#include "net/worker.h"

#define MOTE_CONNECTION_GOODBYE_NS     2000000000u
#define MOTE_CONNECTION_LINGER_NS      1000000000u
#define MOTE_CONNECTION_WRITE_PER_TURN 262144u /* bytes; then the other connections get their turn */

struct mote_connection;

/* What a listener hands over. */
struct mote_accepted {
    int fd;
    bool is_unix;
    bool health_only;
    struct mote_address address;
    struct mote_peers *peers;
    struct mote_peer peer; /* reserved */
};

/* Takes the descriptor and the place in any case; what cannot be served is closed. */
void mote_connection_open(struct mote_worker *worker, struct mote_accepted *accepted);
/* For the lists of the worker. */
void mote_connection_flush(struct mote_list *dirty_node);
void mote_connection_continue(struct mote_list *paused_node);
void mote_connection_drain(struct mote_list *node);
/* Lets in those who wait for their handshake, as far as there is room. */
void mote_connection_admit(struct mote_worker *worker);
/* True when a call was cut off. */
bool mote_connection_cut(struct mote_list *node);

#endif
