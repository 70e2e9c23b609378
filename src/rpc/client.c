/* SPDX-License-Identifier: Apache-2.0 */
/* The client role's connections: what client_call.c's calls live on. Events are handled as the server's are: all of one
 * read, then the output. */
#include "rpc/client.h"

#include "base/assert.h"
#include "rpc/client_core.h"

int mote_client_new(struct mote_client **out, const struct mote_client_options *options)
{
    struct mote_client *client = mote_mem_allocate_zeroed(options->mem, sizeof *client);
    if (client == NULL) {
        return MOTE_ENOMEM;
    }
    client->limits = options->limits;
    client->mem = options->mem;
    client->wheel = options->wheel;
    const struct mote_h2_context_options context_options = {
        .limits = options->limits,
        .mem = options->mem,
        .wheel = options->wheel,
    };
    const int error = mote_h2_context_new(&client->h2_context, &context_options);
    if (error != 0) {
        mote_mem_release(options->mem, client);
        return error;
    }
    *out = client;
    return 0;
}

void mote_client_free(struct mote_client *client)
{
    if (client == NULL) {
        return;
    }
    mote_assert(client->connections == 0);
    mote_h2_context_free(client->h2_context);
    mote_mem_release(client->mem, client);
}

void mote_client_connection_notify(struct mote_client_connection *connection)
{
    if (connection->inside == 0 && connection->owner != NULL) {
        connection->owner->attention(connection->owner);
    }
}

static void take_goaway(struct mote_client_connection *connection, uint32_t error)
{
    if (connection->link != NULL) {
        mote_client_link_went_away(connection->link, error);
    }
    mote_client_connection_close(connection, connection->client->now_ns);
}

static void drain_events(struct mote_client_connection *connection)
{
    struct mote_event event;
    while (mote_h2_next_event(connection->h2, &event)) {
        if (event.stream != NULL && event.stream->user != NULL) {
            mote_client_call_take_event(event.stream->user, &event);
        } else if (event.type == MOTE_EVENT_DATA && !event.end_stream) {
            mote_h2_consume(event.stream, event.u.data.length);
        } else if (event.type == MOTE_EVENT_GOAWAY) {
            take_goaway(connection, event.u.end.error);
        }
    }
}

static void h2_attention(struct mote_h2_owner *owner, uint64_t now_ns)
{
    struct mote_client_connection *connection = MOTE_CONTAINER_OF(owner, struct mote_client_connection, h2_owner);
    connection->client->now_ns = now_ns;
    connection->inside++;
    drain_events(connection);
    connection->inside--;
    mote_client_connection_notify(connection);
}

int mote_client_connection_new(struct mote_client_connection **out, struct mote_client *client,
                               struct mote_client_owner *owner, const struct mote_client_target *target,
                               uint64_t now_ns)
{
    struct mote_client_connection *connection = mote_mem_allocate_zeroed(client->mem, sizeof *connection);
    if (connection == NULL) {
        return MOTE_ENOMEM;
    }
    connection->h2_owner.attention = h2_attention;
    connection->client = client;
    connection->owner = owner;
    mote_list_init(&connection->calls);
    connection->target = *target;
    connection->why = "the connection was lost";
    client->now_ns = now_ns;
    const int error = mote_h2_new(&connection->h2, client->h2_context, MOTE_ROLE_CLIENT, &connection->h2_owner, now_ns);
    if (error != 0) {
        mote_mem_release(client->mem, connection);
        return error;
    }
    client->connections++;
    *out = connection;
    return 0;
}

void mote_client_connection_abort(struct mote_client_connection *connection, const char *why)
{
    connection->lost = true;
    connection->why = why;
    connection->inside++;
    mote_h2_abort(connection->h2);
    drain_events(connection);
    connection->inside--;
    mote_assert(mote_list_is_empty(&connection->calls));
}

void mote_client_connection_free(struct mote_client_connection *connection)
{
    if (connection == NULL) {
        return;
    }
    struct mote_client *client = connection->client;
    mote_client_connection_abort(connection, connection->why);
    mote_h2_free(connection->h2);
    client->connections--;
    mote_mem_release(client->mem, connection);
}

int mote_client_connection_recv(struct mote_client_connection *connection, struct mote_slice in, uint64_t now_ns)
{
    connection->client->now_ns = now_ns;
    connection->inside++;
    drain_events(connection); /* what a call made without memory has left */
    const int error = mote_h2_recv(connection->h2, in, now_ns);
    drain_events(connection);
    connection->inside--;
    return error;
}

int mote_client_connection_send(struct mote_client_connection *connection, uint8_t *out, size_t capacity,
                                size_t *length, uint64_t now_ns)
{
    int error;
    connection->client->now_ns = now_ns;
    connection->inside++;
    do {
        error = mote_h2_send(connection->h2, out, capacity, length, now_ns);
        drain_events(connection);
    } while (error == 0 && *length == 0 && mote_h2_wants_write(connection->h2));
    connection->inside--;
    return error;
}

bool mote_client_connection_wants_write(const struct mote_client_connection *connection)
{
    return mote_h2_wants_write(connection->h2);
}

bool mote_client_connection_is_over(const struct mote_client_connection *connection)
{
    return mote_h2_is_over(connection->h2);
}

bool mote_client_connection_is_ready(const struct mote_client_connection *connection)
{
    return !connection->closing && !connection->lost && mote_h2_is_open(connection->h2) &&
           mote_h2_check_request(connection->h2) != MOTE_ECLOSED;
}

static void say_goodbye(struct mote_client_connection *connection)
{
    mote_h2_terminate(connection->h2, MOTE_H2_NO_ERROR, "");
    mote_client_connection_notify(connection);
}

void mote_client_connection_call_ended(struct mote_client_connection *connection)
{
    if (connection->closing && !connection->lost && mote_list_is_empty(&connection->calls)) {
        say_goodbye(connection);
    } else {
        mote_client_connection_notify(connection);
    }
}

void mote_client_connection_close(struct mote_client_connection *connection, uint64_t now_ns)
{
    connection->client->now_ns = now_ns;
    if (!connection->closing) {
        connection->closing = true;
        if (mote_list_is_empty(&connection->calls)) {
            say_goodbye(connection);
        }
    }
}
