/* SPDX-License-Identifier: Apache-2.0 */
/* A channel's two halves: what is decided (rpc/client_channel.h) and its sockets (net/connector.h). */
#include "net/channel.h"

#include <stdio.h>

#include "base/assert.h"
#include "net/address.h"
#include "net/connector.h"

struct mote_channel {
    struct mote_loop *loop;
    struct mote_client_transport transport;
    struct mote_connector_owner owner;
    struct mote_client_channel *core;
    bool closing;
};

static int transport_open(struct mote_client_transport *transport, struct mote_client_link *link, uint64_t deadline_ns)
{
    struct mote_channel *channel = MOTE_CONTAINER_OF(transport, struct mote_channel, transport);
    return mote_connector_open(channel->loop, &channel->owner, link, deadline_ns);
}

static void transport_attention(struct mote_client_transport *transport, struct mote_client_link *link)
{
    (void)transport;
    mote_connector_notify(mote_client_link_user(link));
}

static void transport_close(struct mote_client_transport *transport, struct mote_client_link *link)
{
    (void)transport;
    mote_connector_close(mote_client_link_user(link));
}

static void free_when_done(struct mote_channel *channel)
{
    if (channel->closing && !mote_client_channel_has_links(channel->core)) {
        mote_client_channel_free(channel->core);
        mote_tls_context_unref(channel->owner.tls);
        mote_mem_release(channel->loop->mem, channel);
    }
}

static void on_gone(struct mote_connector_owner *owner)
{
    free_when_done(MOTE_CONTAINER_OF(owner, struct mote_channel, owner));
}

/* Copies a text to *room, and moves that behind it; NULL stays NULL. */
static const char *copy(char **room, const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    char *out = *room;
    const size_t size = strlen(text) + 1;
    memcpy(out, text, size);
    *room += size;
    return out;
}

static size_t size_of(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static int check_target(const char *target, char problem[MOTE_CHANNEL_PROBLEM_MAX])
{
    struct mote_address address;
    const char *why;
    const int error = mote_address_parse_number(&address, mote_slice_text(target), &why);
    (void)snprintf(problem, MOTE_CHANNEL_PROBLEM_MAX, "out of memory");
    if (error == MOTE_EINVAL) {
        (void)snprintf(problem, MOTE_CHANNEL_PROBLEM_MAX, "%s: %s", target, why);
    }
    return error == MOTE_EINVAL ? MOTE_EINVAL : 0;
}

static int make_core(struct mote_channel *channel, const struct mote_channel_options *options)
{
    char *room = (char *)(channel + 1);
    const char *authority = options->authority;
    if (authority == NULL) {
        authority = strncmp(options->target, "unix", 4) == 0 ? "localhost" : options->target;
    }
    channel->owner = (struct mote_connector_owner){
        .target = copy(&room, options->target), .server_name = copy(&room, options->server_name), .gone = on_gone};
    const struct mote_client_channel_options core = {
        .target = {.authority = copy(&room, authority),
                   .user_agent = copy(&room, options->user_agent),
                   .is_secure = options->tls != NULL,
                   .tracer = options->tracer},
        .name = channel->owner.target,
        .transport = &channel->transport,
        .random = mote_random_system(),
        .connect_timeout_ns = options->connect_timeout_ns,
        .backoff = options->backoff,
        .keepalive_time_ns = options->keepalive_time_ns,
        .keepalive_timeout_ns = options->keepalive_timeout_ns,
        .max_connections = options->max_connections,
    };
    return mote_client_channel_new(&channel->core, channel->loop->client, &core, uv_hrtime());
}

int mote_channel_open(struct mote_channel **out, struct mote_loop *loop, const struct mote_channel_options *options,
                      char problem[MOTE_CHANNEL_PROBLEM_MAX])
{
    int error = check_target(options->target, problem);
    if (error != 0) {
        return error;
    }
    struct mote_channel *channel = mote_mem_allocate_zeroed(
        loop->mem, sizeof *channel + 2 * size_of(options->target) + sizeof "localhost" + size_of(options->authority) +
                       size_of(options->server_name) + size_of(options->user_agent));
    if (channel == NULL) {
        return MOTE_ENOMEM;
    }
    channel->loop = loop;
    channel->transport = (struct mote_client_transport){
        .open = transport_open, .attention = transport_attention, .close = transport_close};
    error = make_core(channel, options);
    if (error != 0) {
        mote_mem_release(loop->mem, channel);
        return error;
    }
    channel->owner.tls = options->tls != NULL ? mote_tls_context_ref(options->tls) : NULL;
    *out = channel;
    return 0;
}

void mote_channel_close(struct mote_channel *channel)
{
    if (channel != NULL && !channel->closing) {
        channel->closing = true;
        mote_client_channel_close(channel->core);
        free_when_done(channel);
    }
}

int mote_channel_start(struct mote_client_call **out, struct mote_channel *channel,
                       const struct mote_client_call_options *options)
{
    return mote_client_channel_start(out, channel->core, options, uv_hrtime());
}

void mote_channel_connect(struct mote_channel *channel)
{
    mote_client_channel_connect(channel->core, uv_hrtime());
}

enum mote_client_channel_state mote_channel_state(const struct mote_channel *channel)
{
    return mote_client_channel_state(channel->core);
}

const char *mote_channel_problem(const struct mote_channel *channel)
{
    return mote_client_channel_problem(channel->core);
}
