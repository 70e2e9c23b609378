/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of the library with one worker and one connection, and at its other end either the library's client or a
 * bare HTTP/2 client that sends what it is told, pumped in memory under a clock that only tests move. What the bare
 * client gets is logged as text, one line an event. Knows nothing of the test framework.
 */
#ifndef MOTE_PAIR_RPC_PAIR_H
#define MOTE_PAIR_RPC_PAIR_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/timer_wheel.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "wire/h2.h"

#define MOTE_RPC_PAIR_START_NS (1000 * MOTE_LIMITS_SECOND)

struct mote_rpc_pair {
    struct mote_mem *mem;
    struct mote_mem *server_mem; /* of the server's worker; may be set before connecting */
    struct mote_limits limits;
    struct mote_timer_wheel wheel;
    uint64_t now_ns;
    size_t chunk; /* bytes of one send and one receive */
    struct mote_server *server;
    struct mote_server_worker *worker;
    void *worker_user;
    struct mote_server_connection *connection;
    struct mote_server_connection_owner server_owner;
    size_t server_attentions;
    int server_error;  /* what recv or send of the server's end returned */
    bool reads;        /* the client takes what the server sends */
    bool has_no_turns; /* pumping: mote_server_worker_turn is the test's to call */

    struct mote_client *client;
    struct mote_client_target target; /* may be changed before connecting */
    struct mote_client_connection *client_connection;
    struct mote_client_owner client_owner;

    struct mote_h2_context *raw_context;
    struct mote_h2 *raw;
    struct mote_h2_owner raw_owner;
    struct mote_buffer log;
    bool raw_consumes; /* returns stream credit at once */
};

/* Limits, and a server without services. Change `limits` and `chunk` before mote_rpc_pair_connect. `options` may be
 * NULL; its limits, log and worker_count are filled in where they are absent. */
MOTE_MUST_CHECK int mote_rpc_pair_init(struct mote_rpc_pair *pair, struct mote_mem *mem,
                                       const struct mote_server_options *options);
/* Makes the worker and both ends, and pumps until they know each other. */
MOTE_MUST_CHECK int mote_rpc_pair_connect(struct mote_rpc_pair *pair);
MOTE_MUST_CHECK int mote_rpc_pair_connect_raw(struct mote_rpc_pair *pair);
/* The worker and the server's end alone. */
MOTE_MUST_CHECK int mote_rpc_pair_connect_server(struct mote_rpc_pair *pair);
/* The server's end alone. */
void mote_rpc_pair_close_server(struct mote_rpc_pair *pair);
void mote_rpc_pair_close_client(struct mote_rpc_pair *pair);
/* Works on whatever there is. */
void mote_rpc_pair_dispose(struct mote_rpc_pair *pair);
/* Moves bytes until both ends are quiet. */
void mote_rpc_pair_pump(struct mote_rpc_pair *pair);
/* Lets time pass, pumping every 10 ms. */
void mote_rpc_pair_pass(struct mote_rpc_pair *pair, uint64_t duration_ns);

/* The bare client. Fields are "name: value" lines, in place of the usual ones of that name ("name:" alone leaves it
 * out). */
struct mote_stream *mote_rpc_pair_request(struct mote_rpc_pair *pair, const char *path, const char *fields,
                                          bool end_stream);
void mote_rpc_pair_write(struct mote_stream *stream, const void *data, size_t length, bool end_stream);
/* A message with its prefix. */
void mote_rpc_pair_message(struct mote_stream *stream, const void *data, size_t length, bool end_stream);
/* The log so far as text, valid until the next event; the log is then empty. */
const char *mote_rpc_pair_take_log(struct mote_rpc_pair *pair);

#endif
