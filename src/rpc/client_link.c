/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a channel: until the server's SETTINGS are here it is an attempt that may fail; then calls are put
 * on it, until one side goes away. It stays in the channel's list until it is freed.
 */
#include "base/assert.h"
#include "rpc/client_core.h"

#define DAY_NS (86400 * MOTE_LIMITS_SECOND)

static void tell_transport(struct mote_client_link *link)
{
    struct mote_client_transport *transport = link->channel->options.transport;
    if (!link->closing) {
        link->closing = true;
        transport->close(transport, link);
    }
}

static void on_attention(struct mote_client_owner *owner)
{
    struct mote_client_link *link = MOTE_CONTAINER_OF(owner, struct mote_client_link, owner);
    struct mote_client_transport *transport = link->channel->options.transport;
    if (!link->lost && !link->closing) {
        transport->attention(transport, link);
    }
}

/* --- time -------------------------------------------------------------------------------------------------------- */

static void start_timer(struct mote_client_link *link, uint64_t due_ns)
{
    mote_timer_start(link->channel->client->wheel, &link->timer, due_ns);
}

static void fail(struct mote_client_link *link, const char *why, uint64_t now_ns)
{
    mote_client_link_lost(link, why, now_ns);
    tell_transport(link);
}

/* The server has been silent for long (gRFC A8); without a call it may be. */
static void keep_alive(struct mote_client_link *link, uint64_t now_ns)
{
    static const uint8_t ping[8] = {'m', 'o', 't', 'e', 'p', 'i', 'n', 'g'};
    const struct mote_client_channel_options *options = &link->channel->options;
    if (link->pinged) {
        fail(link, "keepalive: no answer to a ping", now_ns);
        return;
    }
    if (now_ns - link->read_ns < options->keepalive_time_ns) {
        start_timer(link, link->read_ns + options->keepalive_time_ns);
        return;
    }
    if (mote_list_is_empty(&link->connection->calls) || mote_h2_ping(link->connection->h2, ping) != 0) {
        start_timer(link, now_ns + options->keepalive_time_ns);
        return;
    }
    link->pinged = true;
    start_timer(link, now_ns + options->keepalive_timeout_ns);
    on_attention(&link->owner);
}

static void ring(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_client_link *link = MOTE_CONTAINER_OF(timer, struct mote_client_link, timer);
    link->channel->client->now_ns = now_ns;
    if (link->was_ready) {
        keep_alive(link, now_ns);
    } else {
        fail(link, "no answer in time", now_ns);
    }
}

/* --- life -------------------------------------------------------------------------------------------------------- */

int mote_client_link_open(struct mote_client_channel *channel, uint64_t deadline_ns)
{
    struct mote_client_transport *transport = channel->options.transport;
    struct mote_client_link *link = mote_mem_allocate_zeroed(channel->client->mem, sizeof *link);
    if (link == NULL) {
        return MOTE_ENOMEM;
    }
    link->owner.attention = on_attention;
    link->channel = channel;
    mote_timer_init(&link->timer, ring);
    mote_list_append(&channel->links, &link->node);
    const int error = transport->open(transport, link, deadline_ns);
    if (error != 0) {
        mote_list_remove(&link->node);
        mote_mem_release(channel->client->mem, link);
        return error;
    }
    start_timer(link, deadline_ns);
    return 0;
}

struct mote_client_channel *mote_client_link_channel(const struct mote_client_link *link)
{
    return link->channel;
}

void mote_client_link_set_user(struct mote_client_link *link, void *user)
{
    link->user = user;
}

void *mote_client_link_user(const struct mote_client_link *link)
{
    return link->user;
}

int mote_client_link_connected(struct mote_client_link *link, uint64_t now_ns)
{
    struct mote_client_channel *channel = link->channel;
    const int error =
        mote_client_connection_new(&link->connection, channel->client, &link->owner, &channel->options.target, now_ns);
    if (error == 0) {
        link->connection->link = link;
    }
    return error;
}

static void become_ready(struct mote_client_link *link)
{
    struct mote_client_channel *channel = link->channel;
    link->was_ready = true;
    channel->problem[0] = '\0';
    mote_backoff_reset(&channel->backoff);
    mote_timer_stop(channel->client->wheel, &link->timer);
    if (channel->options.keepalive_time_ns != 0) {
        start_timer(link, channel->client->now_ns + channel->options.keepalive_time_ns);
    }
}

void mote_client_link_settle(struct mote_client_link *link)
{
    if (link->lost || link->closing) {
        return;
    }
    if (!link->was_ready && mote_client_connection_is_ready(link->connection)) {
        become_ready(link);
    }
    mote_client_channel_pump(link->channel);
}

/* Who is told that it pings too often does so half as often, down to once a day or so. */
void mote_client_link_went_away(struct mote_client_link *link, uint32_t error)
{
    if (error == MOTE_H2_ENHANCE_YOUR_CALM && link->channel->options.keepalive_time_ns < DAY_NS) {
        link->channel->options.keepalive_time_ns *= 2;
    }
}

int mote_client_link_recv(struct mote_client_link *link, struct mote_slice in, uint64_t now_ns)
{
    link->read_ns = now_ns;
    if (link->pinged) {
        link->pinged = false;
        start_timer(link, now_ns + link->channel->options.keepalive_time_ns);
    }
    const int error = mote_client_connection_recv(link->connection, in, now_ns);
    mote_client_link_settle(link);
    return error;
}

int mote_client_link_send(struct mote_client_link *link, uint8_t *out, size_t capacity, size_t *length, uint64_t now_ns)
{
    const int error = mote_client_connection_send(link->connection, out, capacity, length, now_ns);
    mote_client_link_settle(link);
    return error;
}

bool mote_client_link_wants_write(const struct mote_client_link *link)
{
    return link->connection != NULL && mote_client_connection_wants_write(link->connection);
}

bool mote_client_link_is_over(const struct mote_client_link *link)
{
    return link->connection != NULL && mote_client_connection_is_over(link->connection);
}

bool mote_client_link_is_lost(const struct mote_client_link *link)
{
    return link->lost;
}

void mote_client_link_lost(struct mote_client_link *link, const char *why, uint64_t now_ns)
{
    struct mote_client_channel *channel = link->channel;
    if (link->lost) {
        return;
    }
    channel->client->now_ns = now_ns;
    link->lost = true;
    mote_timer_stop(channel->client->wheel, &link->timer);
    if (link->connection != NULL) {
        mote_client_connection_abort(link->connection, why);
    }
    if (link->was_ready) {
        mote_client_channel_pump(channel);
    } else {
        mote_client_channel_link_failed(channel, why);
    }
}

void mote_client_link_close(struct mote_client_link *link)
{
    mote_timer_stop(link->channel->client->wheel, &link->timer);
    if (link->connection != NULL && !link->lost) {
        struct mote_list *calls = &link->connection->calls;
        while (!mote_list_is_empty(calls)) {
            mote_client_call_give_up(MOTE_CONTAINER_OF(calls->next, struct mote_client_call, node),
                                     MOTE_STATUS_CANCELLED, "the channel was closed");
        }
        mote_client_connection_close(link->connection, link->channel->client->now_ns);
    }
    tell_transport(link);
}

void mote_client_link_free(struct mote_client_link *link)
{
    struct mote_client_channel *channel = link->channel;
    mote_client_link_lost(link, "the connection was closed", channel->client->now_ns);
    mote_client_connection_free(link->connection);
    mote_list_remove(&link->node);
    mote_mem_release(channel->client->mem, link);
}
