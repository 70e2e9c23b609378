/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a connection lives (gRFC A8, A9): it is pinged when nothing has come for a while, and ended when the ping is
 * not answered, when it has had no call for long, or when it is old. One timer a connection, set for the earliest of
 * these; what happens in between only notes the time, and the timer, when it rings, looks again.
 */
#include <string.h>

#include "rpc/connection_life.h"

static const uint8_t keepalive_ping[8] = {'m', 'o', 't', 'e', 'p', 'i', 'n', 'g'};

/* The age with up to a tenth more or less, so that connections that came together do not leave together. Nobody gains
 * by knowing it beforehand: the peer's address decides. */
static uint64_t age_of(const struct mote_server_connection *connection, uint64_t now_ns)
{
    const uint64_t age = connection->worker->limits->connection_age;
    uint64_t hash = now_ns * 0x9e3779b97f4a7c15u;
    for (const char *at = connection->peer; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 0x100000001b3u;
    }
    return age - age / 10 + (hash >> 8) % (age / 5 + 1);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t keepalive_due(const struct mote_server_connection *connection)
{
    const struct mote_limits *limits = connection->worker->limits;
    if (limits->keepalive_time == 0) {
        return UINT64_MAX;
    }
    return connection->pinged_ns != 0 ? connection->pinged_ns + limits->keepalive_timeout
                                      : connection->read_ns + limits->keepalive_time;
}

static uint64_t idle_due(const struct mote_server_connection *connection)
{
    const struct mote_limits *limits = connection->worker->limits;
    if (limits->connection_idle == 0 || connection->drain != MOTE_DRAIN_NONE ||
        mote_h2_stream_count(connection->h2) > 0) {
        return UINT64_MAX;
    }
    return connection->active_ns + limits->connection_idle;
}

static void set_timer(struct mote_server_connection *connection, uint64_t now_ns)
{
    const struct mote_limits *limits = connection->worker->limits;
    uint64_t due = earlier(keepalive_due(connection), connection->age_due_ns);
    due = earlier(due, idle_due(connection));
    if (due == UINT64_MAX && limits->connection_idle != 0 && connection->drain == MOTE_DRAIN_NONE) {
        due = now_ns + limits->connection_idle; /* calls are open: they may end meanwhile */
    }
    if (due != UINT64_MAX) {
        mote_timer_start(connection->worker->wheel, &connection->life_timer, due);
    }
}

static void keep_alive(struct mote_server_connection *connection, uint64_t now_ns)
{
    if (connection->pinged_ns != 0) {
        mote_h2_terminate(connection->h2, MOTE_H2_NO_ERROR, "keepalive: no answer to a ping");
    } else if (mote_h2_ping(connection->h2, keepalive_ping) == 0) {
        connection->pings++;
        connection->pinged_ns = now_ns;
    } else {
        connection->read_ns = now_ns; /* no memory for a ping: later */
    }
}

static void grow_old(struct mote_server_connection *connection, uint64_t now_ns)
{
    if (connection->drain == MOTE_DRAIN_NONE) {
        mote_connection_begin_drain(connection, "max_age", now_ns);
        connection->age_due_ns = now_ns + connection->worker->limits->connection_age_grace;
    } else {
        connection->age_due_ns = UINT64_MAX;
        mote_connection_cut_calls(connection);
    }
}

static void look(struct mote_server_connection *connection, uint64_t now_ns)
{
    if (now_ns >= keepalive_due(connection)) {
        keep_alive(connection, now_ns);
    }
    if (now_ns >= connection->age_due_ns) {
        grow_old(connection, now_ns);
    } else if (now_ns >= idle_due(connection)) {
        mote_connection_begin_drain(connection, "max_idle", now_ns);
    }
}

static void ring(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_server_connection *connection = MOTE_CONTAINER_OF(timer, struct mote_server_connection, life_timer);
    mote_connection_enter(connection, now_ns);
    if (mote_h2_is_open(connection->h2)) { /* before that, the preface has its own time */
        look(connection, now_ns);
    }
    set_timer(connection, now_ns);
    mote_connection_leave(connection);
    if (mote_h2_wants_write(connection->h2)) {
        mote_server_connection_notify(connection);
    }
}

void mote_connection_life_begin(struct mote_server_connection *connection, uint64_t now_ns)
{
    connection->read_ns = now_ns;
    connection->active_ns = now_ns;
    connection->age_due_ns =
        connection->worker->limits->connection_age != 0 ? now_ns + age_of(connection, now_ns) : UINT64_MAX;
    mote_timer_init(&connection->life_timer, ring);
    set_timer(connection, now_ns);
}

void mote_connection_life_end(struct mote_server_connection *connection)
{
    mote_timer_stop(connection->worker->wheel, &connection->life_timer);
}
