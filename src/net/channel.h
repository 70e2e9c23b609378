/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An outgoing channel: calls to one target, over sockets of a loop (net/loop.h). It connects when there is a call,
 * again with backoff after a failure, and anew when the server goes away; rpc/client_channel.h says what becomes of
 * calls meanwhile. Names are looked up by a thread of their own, again for each attempt; each address that a name has
 * gets its share of the attempt's time. On the loop's thread.
 */
#ifndef MOTE_NET_CHANNEL_H
#define MOTE_NET_CHANNEL_H

#include "../base/linkage.h"
#include "../rpc/client_channel.h"
#include "../security/tls.h"
#include "loop.h"

MOTE_C_BEGIN

#define MOTE_CHANNEL_PROBLEM_MAX MOTE_CLIENT_CHANNEL_PROBLEM_MAX

struct mote_channel;

struct mote_channel_options {
    const char *target;           /* "host:port", "[::1]:port", "unix:/path", "unix-abstract:name" */
    struct mote_tls_context *tls; /* a client's, a reference is taken; NULL: in the clear */
    const char *server_name;      /* what the server's certificate must be for; NULL: any that `tls` trusts */
    const char *authority;        /* NULL: the target; "localhost" on a unix socket */
    const char *user_agent;       /* NULL: "mote" */
    /* As in mote_client_channel_options. */
    uint64_t connect_timeout_ns;
    struct mote_backoff_bounds backoff;
    uint64_t keepalive_time_ns, keepalive_timeout_ns;
    size_t max_connections;
    const struct mote_tracer *tracer; /* records its calls, borrowed until they have ended; NULL: none */
};

/* Everything in `options` is copied. Connects nothing yet. MOTE_EINVAL with a line in `problem`: the target is not one;
 * MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_channel_open(struct mote_channel **out, struct mote_loop *loop,
                                      const struct mote_channel_options *options,
                                      char problem[MOTE_CHANNEL_PROBLEM_MAX]);
/* Ends its calls, CANCELLED, and says goodbye to the server; the memory goes when the sockets have. NULL is fine. */
void mote_channel_close(struct mote_channel *channel);

/* Starts a call; rpc/client.h has what can be done with it. MOTE_EAGAIN: too many wait already. */
MOTE_MUST_CHECK int mote_channel_start(struct mote_client_call **out, struct mote_channel *channel,
                                       const struct mote_client_call_options *options);
/* Connects without a call. */
void mote_channel_connect(struct mote_channel *channel);
enum mote_client_channel_state mote_channel_state(const struct mote_channel *channel);
/* Why the last attempt failed: "cannot connect to …"; "" when it went well. */
const char *mote_channel_problem(const struct mote_channel *channel);

MOTE_C_END

#endif
