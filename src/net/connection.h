/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection on a socket: bytes between libuv and a mote_server_connection. Internal to net.
 *
 * Life: OPEN → (GOAWAY and the last bytes are written) CLOSING → shutdown(WR), what still comes is read and dropped for
 * at most MOTE_CONNECTION_LINGER_NS, so that the peer can read the last bytes before a TCP reset → uv_close → freed in
 * its callback.
 */
#ifndef MOTE_NET_CONNECTION_H
#define MOTE_NET_CONNECTION_H

#include "net/worker.h"

#define MOTE_CONNECTION_LINGER_NS 1000000000u

struct mote_connection;

/* Accepts what waits on `listener` into a new connection. */
void mote_connection_accept(struct mote_listener *listener);
/* Takes the accepted descriptor `fd`. */
void mote_connection_adopt(struct mote_worker *worker, int fd, bool is_unix);
/* For the lists of the worker. */
void mote_connection_flush(struct mote_list *dirty_node);
void mote_connection_continue(struct mote_list *paused_node);
void mote_connection_drain(struct mote_list *node);
void mote_connection_cut(struct mote_list *node);

#endif
