/* SPDX-License-Identifier: Apache-2.0 */
/* The server of a golden case: a connection of wire/h2 with answers of its own, or of rpc with a service. */
#ifndef MOTE_GOLDEN_SERVER_H
#define MOTE_GOLDEN_SERVER_H

#include <stdbool.h>

#include "base/buffer.h"

enum golden_answers {
    GOLDEN_ANSWERS_NOTHING,
    GOLDEN_ANSWERS_UNARY,
    GOLDEN_ANSWERS_EARLY,
    GOLDEN_ANSWERS_CALLS, /* rpc's */
};

struct golden_server;

/* All of them abort when memory runs out. */
struct golden_server *golden_server_new(enum golden_answers answers);
/* Every byte of memory must be back. */
void golden_server_free(struct golden_server *server);
/* Gives it bytes, and appends what it sends to `frames`, a line for each. False once the connection is over. */
bool golden_server_feed(struct golden_server *server, struct mote_slice bytes, struct mote_buffer *frames);
/* Appends what happened. */
void golden_server_take_events(struct golden_server *server, struct mote_buffer *events);

#endif
