/* SPDX-License-Identifier: Apache-2.0 */
/* The end of connections: what their timers and their drain need of each other. Internal to rpc. */
#ifndef MOTE_RPC_CONNECTION_LIFE_H
#define MOTE_RPC_CONNECTION_LIFE_H

#include "rpc/core.h"

/* Around everything that happens in a connection from outside: leave runs what follows from it. */
void mote_connection_enter(struct mote_server_connection *connection, uint64_t now_ns);
void mote_connection_leave(struct mote_server_connection *connection);
/* The first GOAWAY, with this debug text (static). */
void mote_connection_begin_drain(struct mote_server_connection *connection, const char *debug, uint64_t now_ns);
/* Ends all calls, UNAVAILABLE; true when there were any. */
bool mote_connection_cut_calls(struct mote_server_connection *connection);

/* connection_life.c: its timer is set as long as it lives. */
void mote_connection_life_begin(struct mote_server_connection *connection, uint64_t now_ns);
void mote_connection_life_end(struct mote_server_connection *connection);

#endif
