/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which call goes where, and when to connect. Whatever may change that (a start, bytes, a link that is ready or gone,
 * the backoff's end) ends in `pump`, which places calls as long as there is room and connects when there is none. The
 * state is not kept but read off the links and the timer.
 */
#include "rpc/client_channel.h"

#include <stdio.h>

#include "base/assert.h"
#include "rpc/client_core.h"

static void on_retry(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_client_channel *channel = MOTE_CONTAINER_OF(timer, struct mote_client_channel, retry);
    channel->client->now_ns = now_ns;
    mote_client_channel_pump(channel);
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

int mote_client_channel_new(struct mote_client_channel **out, struct mote_client *client,
                            const struct mote_client_channel_options *options, uint64_t now_ns)
{
    struct mote_client_channel *channel = mote_mem_allocate_zeroed(client->mem, sizeof *channel);
    if (channel == NULL) {
        return MOTE_ENOMEM;
    }
    client->now_ns = now_ns;
    channel->client = client;
    channel->options = *options;
    channel->options.connect_timeout_ns = or_default(options->connect_timeout_ns, MOTE_CLIENT_CHANNEL_CONNECT_MIN_NS);
    channel->options.keepalive_timeout_ns = or_default(options->keepalive_timeout_ns, MOTE_CLIENT_KEEPALIVE_TIMEOUT_NS);
    channel->options.max_connections = or_default(options->max_connections, 1);
    channel->backoff.initial_ns = or_default(options->backoff.initial_ns, MOTE_BACKOFF_INITIAL_NS);
    channel->backoff.max_ns = or_default(options->backoff.max_ns, MOTE_BACKOFF_MAX_NS);
    mote_list_init(&channel->links);
    mote_list_init(&channel->waiting);
    mote_timer_init(&channel->retry, on_retry);
    *out = channel;
    return 0;
}

void mote_client_channel_free(struct mote_client_channel *channel)
{
    if (channel != NULL) {
        mote_assert(channel->closed && !mote_client_channel_has_links(channel));
        mote_mem_release(channel->client->mem, channel);
    }
}

bool mote_client_channel_has_links(const struct mote_client_channel *channel)
{
    return !mote_list_is_empty(&channel->links);
}

const char *mote_client_channel_problem(const struct mote_client_channel *channel)
{
    return channel->problem;
}

static struct mote_client_call *call_of(struct mote_list *node)
{
    return MOTE_CONTAINER_OF(node, struct mote_client_call, node);
}

/* --- links ------------------------------------------------------------------------------------------------------- */

static struct mote_client_link *link_of(struct mote_list *node)
{
    return MOTE_CONTAINER_OF(node, struct mote_client_link, node);
}

static bool is_opening(const struct mote_client_link *link)
{
    return !link->was_ready && !link->lost && !link->closing;
}

static bool is_usable(const struct mote_client_link *link)
{
    return link->was_ready && !link->lost && !link->closing && mote_client_connection_is_ready(link->connection);
}

static size_t count_links(const struct mote_client_channel *channel, bool (*is)(const struct mote_client_link *link))
{
    size_t count = 0;
    MOTE_LIST_FOR_EACH(node, &channel->links)
    {
        count += is(link_of(node));
    }
    return count;
}

enum mote_client_channel_state mote_client_channel_state(const struct mote_client_channel *channel)
{
    return channel->closed                        ? MOTE_CHANNEL_SHUTDOWN
           : count_links(channel, is_usable) > 0  ? MOTE_CHANNEL_READY
           : count_links(channel, is_opening) > 0 ? MOTE_CHANNEL_CONNECTING
           : channel->retry.active                ? MOTE_CHANNEL_TRANSIENT_FAILURE
                                                  : MOTE_CHANNEL_IDLE;
}

static struct mote_client_link *find_room(const struct mote_client_channel *channel)
{
    MOTE_LIST_FOR_EACH(node, &channel->links)
    {
        struct mote_client_link *link = link_of(node);
        if (is_usable(link) && mote_h2_check_request(link->connection->h2) == 0) {
            return link;
        }
    }
    return NULL;
}

static void open_another(struct mote_client_channel *channel)
{
    if (channel->closed || channel->retry.active || count_links(channel, is_opening) > 0 ||
        count_links(channel, is_usable) >= channel->options.max_connections) {
        return;
    }
    const uint64_t now_ns = channel->client->now_ns;
    const uint64_t wait_ns = mote_backoff_next(&channel->backoff, channel->options.random);
    const uint64_t timeout_ns = channel->options.connect_timeout_ns;
    channel->retry_ns = now_ns + wait_ns;
    const int error = mote_client_link_open(channel, now_ns + (wait_ns > timeout_ns ? wait_ns : timeout_ns));
    if (error != 0) {
        mote_client_channel_link_failed(channel, mote_error_text(error));
    }
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

void mote_client_channel_enqueue(struct mote_client_channel *channel, struct mote_client_call *call, bool in_front)
{
    mote_list_append(in_front ? channel->waiting.next : &channel->waiting, &call->node);
    channel->waiting_count++;
    if (call->due_ns != UINT64_MAX) {
        mote_timer_start(channel->client->wheel, &call->timer, call->due_ns);
    }
}

/* It ends by its timer: not from inside of whatever goes on now. */
static void fail_later(struct mote_client_call *call, int failure)
{
    call->failure = failure;
    mote_timer_start(call->client->wheel, &call->timer, call->client->now_ns);
}

/* The oldest that is not about to fail. */
static struct mote_client_call *next_call(struct mote_client_channel *channel)
{
    MOTE_LIST_FOR_EACH(node, &channel->waiting)
    {
        if (call_of(node)->failure == 0) {
            return call_of(node);
        }
    }
    return NULL;
}

static void place(struct mote_client_channel *channel, struct mote_client_call *call, struct mote_client_link *link)
{
    mote_list_remove(&call->node);
    const int error = mote_client_call_place(call, link->connection);
    if (error == 0) {
        channel->waiting_count--;
        return;
    }
    mote_list_append(channel->waiting.next, &call->node);
    if (error == MOTE_ECLOSED) { /* such as: its stream identifiers have run out */
        mote_client_connection_close(link->connection, channel->client->now_ns);
    } else {
        fail_later(call, error);
    }
}

void mote_client_channel_pump(struct mote_client_channel *channel)
{
    struct mote_client_call *call;
    while ((call = next_call(channel)) != NULL) {
        struct mote_client_link *link = find_room(channel);
        if (link == NULL) {
            open_another(channel);
            return;
        }
        place(channel, call, link);
    }
}

void mote_client_channel_link_failed(struct mote_client_channel *channel, const char *why)
{
    (void)snprintf(channel->problem, sizeof channel->problem, "cannot connect to %s: %s", channel->options.name, why);
    if (channel->closed) {
        return;
    }
    if (channel->retry_ns > channel->client->now_ns) {
        mote_timer_start(channel->client->wheel, &channel->retry, channel->retry_ns);
    }
    if (count_links(channel, is_usable) > 0) {
        return; /* they wait for a stream there */
    }
    MOTE_LIST_FOR_EACH(node, &channel->waiting)
    {
        if (!call_of(node)->wait_for_ready) {
            fail_later(call_of(node), MOTE_ECONNECT);
        }
    }
    mote_client_channel_pump(channel);
}

int mote_client_channel_start(struct mote_client_call **out, struct mote_client_channel *channel,
                              const struct mote_client_call_options *options, uint64_t now_ns)
{
    channel->client->now_ns = now_ns;
    if (channel->closed) {
        return MOTE_ECLOSED;
    }
    if (channel->waiting_count >= MOTE_CLIENT_CHANNEL_WAITING_MAX) {
        return MOTE_EAGAIN;
    }
    const int error = mote_client_call_new(out, channel->client, &channel->options.target, options);
    if (error != 0) {
        return error;
    }
    struct mote_client_call *call = *out;
    call->channel = channel;
    call->keeps = true;
    mote_client_channel_enqueue(channel, call, false);
    if (!call->wait_for_ready && mote_client_channel_state(channel) == MOTE_CHANNEL_TRANSIENT_FAILURE) {
        fail_later(call, MOTE_ECONNECT);
    } else {
        mote_client_channel_pump(channel);
    }
    return 0;
}

void mote_client_channel_connect(struct mote_client_channel *channel, uint64_t now_ns)
{
    channel->client->now_ns = now_ns;
    if (mote_client_channel_state(channel) == MOTE_CHANNEL_IDLE) {
        open_another(channel);
    }
}

void mote_client_channel_close(struct mote_client_channel *channel)
{
    channel->closed = true;
    mote_timer_stop(channel->client->wheel, &channel->retry);
    while (!mote_list_is_empty(&channel->waiting)) {
        mote_client_call_give_up(call_of(channel->waiting.next), MOTE_STATUS_CANCELLED, "the channel was closed");
    }
    MOTE_LIST_FOR_EACH_SAFE(node, following, &channel->links)
    {
        mote_client_link_close(link_of(node));
    }
}
