/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel, sans-IO: calls to one target, whichever connection carries them. It asks its transport for a connection
 * when there is a call for one, again after a failure (gRPC's connection-backoff.md), and a new one when the server
 * goes away: calls that run there finish there, and those that never left, or that the server says it never looked
 * at (a GOAWAY below them, REFUSED_STREAM; once), are made again on the next connection, as gRFC A6 allows unasked. One
 * thread.
 *
 * A call waits while a connection is being made, or all have as many streams as their server takes. While the channel
 * is in TRANSIENT_FAILURE a call ends UNAVAILABLE at once, and so do those that waited for the connection that failed;
 * calls with `wait_for_ready` wait for a better one until their deadline. Nothing connects without a call that waits:
 * after the backoff the state is IDLE.
 *
 * The transport (net/channel.h; memory in tests) carries links: `open` makes it connect one; it says
 * mote_client_link_connected once bytes can go both ways, moves them, and says mote_client_link_lost when that is over.
 */
#ifndef MOTE_RPC_CLIENT_CHANNEL_H
#define MOTE_RPC_CLIENT_CHANNEL_H

#include "../base/clock.h"
#include "../base/linkage.h"
#include "client.h"

MOTE_C_BEGIN

#define MOTE_CLIENT_CHANNEL_PROBLEM_MAX    256u
#define MOTE_CLIENT_CHANNEL_WAITING_MAX    256u                                /* calls that wait */
#define MOTE_CLIENT_CHANNEL_CONNECT_MIN_NS (20 * (uint64_t)MOTE_NS_PER_SECOND) /* an attempt has at least that */
#define MOTE_CLIENT_KEEPALIVE_TIMEOUT_NS   (20 * (uint64_t)MOTE_NS_PER_SECOND)

struct mote_client_channel;
struct mote_client_link; /* one connection, or the attempt at one */

enum mote_client_channel_state {
    MOTE_CHANNEL_IDLE,
    MOTE_CHANNEL_CONNECTING,
    MOTE_CHANNEL_READY,
    MOTE_CHANNEL_TRANSIENT_FAILURE, /* the backoff runs */
    MOTE_CHANNEL_SHUTDOWN,
};

struct mote_client_transport {
    /* Begins to connect `link`. Nothing is called back from in here. An error: as if it had failed at once. */
    int (*open)(struct mote_client_transport *transport, struct mote_client_link *link, uint64_t deadline_ns);
    /* Outside of recv and send: output waits, or the connection is over. */
    void (*attention)(struct mote_client_transport *transport, struct mote_client_link *link);
    /* Nothing more is wanted of it: what output there is may be sent, then mote_client_link_free, but not from in
     * here. */
    void (*close)(struct mote_client_transport *transport, struct mote_client_link *link);
};

struct mote_backoff_bounds {
    uint64_t initial_ns, max_ns; /* MOTE_BACKOFF_INITIAL_NS, MOTE_BACKOFF_MAX_NS */
};

/* All borrowed as long as the channel; 0 where nothing is said: the default. */
struct mote_client_channel_options {
    struct mote_client_target target;
    const char *name; /* of the target, in problems */
    struct mote_client_transport *transport;
    const struct mote_random *random;
    uint64_t
        connect_timeout_ns; /* of an attempt; it has longer when the backoff is. MOTE_CLIENT_CHANNEL_CONNECT_MIN_NS */
    struct mote_backoff_bounds backoff;
    uint64_t keepalive_time_ns; /* silence after which the server is pinged while calls run; never */
    uint64_t keepalive_timeout_ns;
    size_t max_connections; /* opened when those there are have no room for a stream (gRFC A105); 1 */
};

MOTE_MUST_CHECK int mote_client_channel_new(struct mote_client_channel **out, struct mote_client *client,
                                            const struct mote_client_channel_options *options, uint64_t now_ns);
/* Ends its calls, CANCELLED, and closes its links; starts fail with MOTE_ECLOSED. From anywhere. */
void mote_client_channel_close(struct mote_client_channel *channel);
/* After close and all its links. */
void mote_client_channel_free(struct mote_client_channel *channel);

/* As mote_client_call_start, but it may wait; so may its messages: MOTE_EAGAIN when too many do. */
MOTE_MUST_CHECK int mote_client_channel_start(struct mote_client_call **out, struct mote_client_channel *channel,
                                              const struct mote_client_call_options *options, uint64_t now_ns);
/* Connects without a call, if it is IDLE. */
void mote_client_channel_connect(struct mote_client_channel *channel, uint64_t now_ns);
enum mote_client_channel_state mote_client_channel_state(const struct mote_client_channel *channel);
/* Why the last attempt failed, "" when the last one went well. */
const char *mote_client_channel_problem(const struct mote_client_channel *channel);
bool mote_client_channel_has_links(const struct mote_client_channel *channel);

/* --- for the transport ------------------------------------------------------------------------------------------- */

struct mote_client_channel *mote_client_link_channel(const struct mote_client_link *link);
/* What the transport wants to find again. */
void mote_client_link_set_user(struct mote_client_link *link, void *user);
void *mote_client_link_user(const struct mote_client_link *link);
/* Bytes can be moved. After an error the link is lost. */
MOTE_MUST_CHECK int mote_client_link_connected(struct mote_client_link *link, uint64_t now_ns);
/* As mote_client_connection_recv and _send. */
MOTE_MUST_CHECK int mote_client_link_recv(struct mote_client_link *link, struct mote_slice in, uint64_t now_ns);
MOTE_MUST_CHECK int mote_client_link_send(struct mote_client_link *link, uint8_t *out, size_t capacity, size_t *length,
                                          uint64_t now_ns);
bool mote_client_link_wants_write(const struct mote_client_link *link);
/* The last bytes have been sent: close the transport. */
bool mote_client_link_is_over(const struct mote_client_link *link);
bool mote_client_link_is_lost(const struct mote_client_link *link);
/* It could not be connected, or is connected no more; `why` without a line end. Its calls end here; only free may be
 * called afterwards. Harmless a second time. */
void mote_client_link_lost(struct mote_client_link *link, const char *why, uint64_t now_ns);
/* Not from inside of any function of a link. */
void mote_client_link_free(struct mote_client_link *link);

MOTE_C_END

#endif
