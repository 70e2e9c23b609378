/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: the events of its h2 become calls, in passes. A pass takes all events of one read, so that the answers
 * of all calls in it leave in one write; nothing is sent inside it. Behind the pass come the calls whose handlers
 * resumed, and the timers of those calls that were not answered within it: a call that is, never touches the wheel.
 *
 * The order at HEADERS: what the header fields alone decide and the method are looked up first, without effect; then
 * the observers' stages start, so that each start has its end; then the refusals, in the order of docs/answers.md.
 */
#include <string.h>

#include "base/assert.h"
#include "rpc/connection_life.h"

/* The second GOAWAY follows the first by a round trip, but not later than this (grpc-go's bound too). */
#define DRAIN_ROUND_TRIP_MAX_NS (5 * MOTE_LIMITS_SECOND)

#define HEALTH "grpc.health.v1.Health"

static const uint8_t drain_ping[8] = {'m', 'o', 't', 'e', 'd', 'r', 'a', 'n'};

static void h2_attention(struct mote_h2_owner *owner, uint64_t now_ns);
static void drain_waited(struct mote_timer *timer, uint64_t now_ns);

int mote_server_connection_new(struct mote_server_connection **out, struct mote_server_worker *worker,
                               const struct mote_server_connection_options *options, uint64_t now_ns)
{
    const size_t peer_size = strlen(options->peer) + 1;
    struct mote_server_connection *connection = mote_mem_allocate_zeroed(worker->mem, sizeof *connection + peer_size);
    if (connection == NULL) {
        return MOTE_ENOMEM;
    }
    connection->h2_owner.attention = h2_attention;
    connection->worker = worker;
    connection->owner = options->owner;
    connection->health_only = options->health_only;
    mote_list_init(&connection->fresh);
    mote_list_init(&connection->open);
    mote_list_init(&connection->resumed);
    mote_list_init(&connection->deferred);
    mote_list_init(&connection->deferred_node);
    mote_timer_init(&connection->drain_timer, drain_waited);
    memcpy(connection->peer, options->peer, peer_size);
    const int error = mote_h2_new(&connection->h2, worker->h2_context, MOTE_ROLE_SERVER, &connection->h2_owner, now_ns);
    if (error != 0) {
        mote_mem_release(worker->mem, connection);
        return error;
    }
    worker->connections++;
    connection->facts.id = __atomic_add_fetch(&worker->server->connections_made, 1, __ATOMIC_RELAXED);
    mote_connection_life_begin(connection, now_ns);
    *out = connection;
    return 0;
}

/* Closed, and no call left that knows it. */
static void free_if_unused(struct mote_server_connection *connection)
{
    if (connection->h2 == NULL && connection->calls == 0 && connection->inside == 0) {
        struct mote_server_worker *worker = connection->worker;
        mote_assert(connection->handlers == 0 && connection->buffered == 0);
        worker->connections--;
        mote_mem_release(worker->mem, connection->certificate);
        mote_mem_release(worker->mem, connection);
    }
}

void mote_server_connection_release(struct mote_server_connection *connection)
{
    connection->calls--;
    free_if_unused(connection);
}

void mote_server_connection_notify(struct mote_server_connection *connection)
{
    if (connection->inside == 0 && connection->owner != NULL) {
        connection->owner->attention(connection->owner);
    }
}

/* --- HEADERS --------------------------------------------------------------------------------------------------- */

static void run_stage(struct mote_call *call, enum mote_stage stage)
{
    const struct mote_interceptor *interceptor = &mote_call_worker_of(call)->server->options.stages[stage];
    if (interceptor->start != NULL && call->state != MOTE_CALL_ENDED) {
        interceptor->start(interceptor->context, call);
    }
}

static bool is_served(const struct mote_server_connection *connection, struct mote_slice service)
{
    return (!connection->health_only || mote_slice_equals_text(service, HEALTH)) &&
           mote_server_has_service(connection->worker->server, service);
}

static void refuse_unknown(struct mote_call *call, const struct mote_request *request)
{
    const struct mote_slice service = request->service;
    const struct mote_slice method = request->method;
    if (is_served(call->connection, service)) {
        mote_call_fail(call, MOTE_STATUS_UNIMPLEMENTED, "unknown method %.*s for service %.*s", (int)method.length,
                       (const char *)method.data, (int)service.length, (const char *)service.data);
    } else {
        mote_call_fail(call, MOTE_STATUS_UNIMPLEMENTED, "unknown service %.*s", (int)service.length,
                       (const char *)service.data);
    }
}

static void fail_with_reason(struct mote_call *call, enum mote_status status, const char *message, const char *reason)
{
    mote_call_fail_details(call, &(struct mote_failure){.status = status, .message = message, .reason = reason});
}

/* Who may call is data; "self" is decided by the handler, on the decoded id. */
static void authorise(struct mote_call *call)
{
    const uint32_t who = call->entry->who;
    if (call->state == MOTE_CALL_ENDED) {
        return;
    }
    if (!call->has_identity) {
        fail_with_reason(call, MOTE_STATUS_UNAUTHENTICATED, "missing credentials", "CREDENTIALS_MISSING");
        return;
    }
    const uint32_t roles = call->identity.roles;
    const bool allowed = (who & (MOTE_ACCESS_USER | MOTE_ACCESS_SELF)) != 0 ||
                         ((who & MOTE_ACCESS_SERVICE) != 0 && (roles & MOTE_ROLE_BIT_SERVICE) != 0) ||
                         ((who & MOTE_ACCESS_ADMIN) != 0 && (roles & MOTE_ROLE_BIT_ADMIN) != 0);
    if (!allowed) {
        fail_with_reason(call, MOTE_STATUS_PERMISSION_DENIED, "permission denied", "PERMISSION_DENIED");
    }
}

static bool handlers_are_many(const struct mote_call *call)
{
    const struct mote_server_worker *worker = mote_call_worker_of(call);
    return call->connection->handlers >= worker->limits->handlers_per_connection_max ||
           (call->entry->single_response ? worker->handlers >= worker->handlers_max
                                         : worker->streams >= worker->streams_max);
}

/* Everything between the start of the observers and the request; the call has ended if one of them refused. */
static void admit(struct mote_call *call, const struct mote_request *request)
{
    if (handlers_are_many(call)) {
        mote_call_abort(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "too many calls in progress");
    } else if (call->entry == &mote_server_other) {
        refuse_unknown(call, request);
    } else if (call->connection->drain == MOTE_DRAIN_CUT) {
        mote_call_shut_down(call);
    } else if ((call->entry->who & MOTE_ACCESS_PUBLIC) == 0) {
        run_stage(call, MOTE_STAGE_AUTHENTICATION);
        authorise(call);
    }
    run_stage(call, MOTE_STAGE_RATE_LIMIT);
    if (call->state != MOTE_CALL_ENDED && call->entry->method->handler == NULL) {
        mote_call_fail(call, MOTE_STATUS_UNIMPLEMENTED, "method %s is not implemented", call->entry->method->name);
    }
}

static const struct mote_method_entry *find_entry(const struct mote_server_connection *connection,
                                                  struct mote_slice path)
{
    static const struct mote_slice health = MOTE_SLICE_LITERAL("/" HEALTH "/");
    return connection->health_only && !mote_slice_starts_with(path, health)
               ? &mote_server_other
               : mote_server_find(connection->worker->server, path);
}

/* The method that a refused request named, for the observers' labels. */
static const struct mote_method_entry *find_refused(const struct mote_server_connection *connection,
                                                    const struct mote_fields *fields)
{
    const struct mote_slice path = fields->known[MOTE_FIELD_PATH];
    if (!mote_slice_is_present(path) || path.length > connection->worker->limits->path_length_max) {
        return &mote_server_other;
    }
    return find_entry(connection, path);
}

/* The way in of what is no gRPC. */
static void give_to_http(const struct mote_server_worker *worker, const struct mote_event *event)
{
    const struct mote_http_handler *handler = &worker->server->options.http;
    handler->on_event(handler->context, event);
}

static void on_headers(struct mote_server_connection *connection, const struct mote_event *event)
{
    struct mote_server_worker *worker = connection->worker;
    const struct mote_fields *fields = event->u.fields;
    struct mote_request request;
    struct mote_refusal refusal;
    const bool stands = mote_request_parse(fields, worker->limits, &request, &refusal);
    if (!stands && refusal.http_status == 415 && worker->server->options.http.on_event != NULL) {
        event->stream->is_http = true;
        give_to_http(worker, event);
        return;
    }
    const struct mote_method_entry *entry =
        stands ? find_entry(connection, request.path) : find_refused(connection, fields);
    struct mote_call *call =
        mote_call_open(connection, event->stream, entry, fields, stands ? request.timeout_ns : MOTE_REQUEST_NO_TIMEOUT);
    event->stream->user = call;
    if (call == NULL) {
        mote_call_answer_without_memory(event->stream, event->end_stream);
        return;
    }
    call->half_closed = event->end_stream;
    call->proto_subtype = stands && request.proto_subtype;
    call->encoding = stands ? (uint8_t)request.encoding : MOTE_ENCODING_IDENTITY;
    call->tells_encodings = mote_slice_is_present(fields->known[MOTE_FIELD_GRPC_ACCEPT_ENCODING]);
    mote_call_ref(call);
    run_stage(call, MOTE_STAGE_METRICS);
    run_stage(call, MOTE_STAGE_TRACE);
    run_stage(call, MOTE_STAGE_LOG);
    if (!stands) {
        mote_call_refuse(call, &refusal);
    } else if (call->state != MOTE_CALL_ENDED) {
        admit(call, &request);
    }
    if (call->state != MOTE_CALL_ENDED) {
        mote_call_accept(call);
        if (event->end_stream) {
            mote_call_receive_end(call);
        }
    }
    mote_call_unref(call);
}

/* --- passes ---------------------------------------------------------------------------------------------------- */

static void on_data(const struct mote_event *event)
{
    struct mote_call *call = event->stream->user;
    if (call != NULL && !mote_call_is_over(call)) {
        mote_call_receive(call, event->u.data, event->end_stream);
    } else if (!event->end_stream) {
        mote_h2_consume(event->stream, event->u.data.length); /* of a call that was answered early */
    }
}

static void second_goaway(struct mote_server_connection *connection);

static void on_event(struct mote_server_connection *connection, const struct mote_event *event)
{
    if (event->stream != NULL && event->stream->is_http) {
        connection->active_ns = connection->worker->now_ns;
        give_to_http(connection->worker, event);
        return;
    }
    struct mote_call *call = event->stream != NULL ? event->stream->user : NULL;
    switch (event->type) {
    case MOTE_EVENT_HEADERS:
        connection->active_ns = connection->worker->now_ns;
        on_headers(connection, event);
        break;
    case MOTE_EVENT_DATA:
        on_data(event);
        break;
    case MOTE_EVENT_END:
        if (call != NULL && !mote_call_is_over(call)) {
            mote_call_receive_end(call);
        }
        break;
    case MOTE_EVENT_WRITABLE:
        if (call != NULL) {
            mote_call_stream_writable(call);
        }
        break;
    case MOTE_EVENT_CLOSED:
        connection->active_ns = connection->worker->now_ns;
        if (call != NULL) {
            mote_call_stream_closed(call);
        }
        break;
    case MOTE_EVENT_PING_ACK:
        connection->pings -= connection->pings > 0;
        if (connection->drain == MOTE_DRAIN_NOTICE && connection->pings == 0) {
            second_goaway(connection);
        }
        break;
    case MOTE_EVENT_TRAILERS: /* the client role's */
    case MOTE_EVENT_GOAWAY:   /* the client opens no more streams; those open go on */
        break;
    }
}

static void deliver_resumed(struct mote_server_connection *connection)
{
    while (!mote_list_is_empty(&connection->resumed)) {
        struct mote_list *node = connection->resumed.next;
        mote_list_remove(node);
        mote_call_deliver_held(MOTE_CONTAINER_OF(node, struct mote_call, resumed_node));
    }
}

static void drain_events(struct mote_server_connection *connection)
{
    struct mote_event event;
    while (mote_h2_next_event(connection->h2, &event)) {
        on_event(connection, &event);
    }
}

static void arm_fresh(struct mote_server_connection *connection)
{
    while (!mote_list_is_empty(&connection->fresh)) {
        struct mote_list *node = connection->fresh.next;
        mote_list_remove(node);
        mote_list_append(&connection->open, node);
        mote_call_arm(MOTE_CONTAINER_OF(node, struct mote_call, node));
    }
}

static void pass(struct mote_server_connection *connection)
{
    drain_events(connection);
    deliver_resumed(connection);
    arm_fresh(connection);
}

void mote_connection_enter(struct mote_server_connection *connection, uint64_t now_ns)
{
    connection->worker->now_ns = now_ns;
    connection->inside++;
}

void mote_connection_leave(struct mote_server_connection *connection)
{
    pass(connection);
    connection->inside--;
}

void mote_server_connection_defer(struct mote_call *call)
{
    struct mote_server_connection *connection = call->connection;
    if (!mote_list_is_empty(&call->resumed_node)) {
        return; /* about to be delivered: it is deferred then */
    }
    mote_list_append(&connection->deferred, &call->resumed_node);
    if (mote_list_is_empty(&connection->deferred_node)) {
        mote_list_append(&connection->worker->deferred, &connection->deferred_node);
    }
}

/* What is left when the share is used up goes behind the others that wait. */
static void deliver_deferred(struct mote_server_connection *connection)
{
    struct mote_server_worker *worker = connection->worker;
    mote_list_remove(&connection->deferred_node);
    while (!mote_list_is_empty(&connection->deferred) && worker->decompress_left > 0) {
        struct mote_list *node = connection->deferred.next;
        mote_list_remove(node);
        mote_call_deliver_held(MOTE_CONTAINER_OF(node, struct mote_call, resumed_node));
    }
    if (!mote_list_is_empty(&connection->deferred) && mote_list_is_empty(&connection->deferred_node)) {
        mote_list_append(&worker->deferred, &connection->deferred_node);
    }
}

bool mote_server_worker_turn(struct mote_server_worker *worker, uint64_t now_ns)
{
    worker->decompress_left = (size_t)worker->limits->decompressed_per_turn;
    while (!mote_list_is_empty(&worker->deferred) && worker->decompress_left > 0) {
        struct mote_server_connection *connection =
            MOTE_CONTAINER_OF(worker->deferred.next, struct mote_server_connection, deferred_node);
        mote_connection_enter(connection, now_ns);
        deliver_deferred(connection);
        mote_connection_leave(connection);
        mote_server_connection_notify(connection);
    }
    return !mote_list_is_empty(&worker->deferred);
}

int mote_server_connection_recv(struct mote_server_connection *connection, struct mote_slice in, uint64_t now_ns)
{
    mote_connection_enter(connection, now_ns);
    connection->read_ns = now_ns;
    connection->pinged_ns = 0;
    drain_events(connection); /* what a late answer without memory has left */
    const int error = mote_h2_recv(connection->h2, in, now_ns);
    mote_connection_leave(connection);
    return error;
}

int mote_server_connection_send(struct mote_server_connection *connection, uint8_t *out, size_t capacity,
                                size_t *length, uint64_t now_ns)
{
    mote_connection_enter(connection, now_ns);
    deliver_resumed(connection);
    int error;
    do {
        error = mote_h2_send(connection->h2, out, capacity, length, now_ns);
        pass(connection);
        /* A handler that was waiting to write may have written. */
    } while (error == 0 && *length == 0 && mote_h2_wants_write(connection->h2));
    connection->inside--;
    return error;
}

static void h2_attention(struct mote_h2_owner *owner, uint64_t now_ns)
{
    struct mote_server_connection *connection = MOTE_CONTAINER_OF(owner, struct mote_server_connection, h2_owner);
    mote_connection_enter(connection, now_ns);
    mote_connection_leave(connection);
    mote_server_connection_notify(connection);
}

void mote_server_connection_free(struct mote_server_connection *connection)
{
    if (connection == NULL) {
        return;
    }
    connection->inside++;
    mote_h2_abort(connection->h2);
    drain_events(connection);
    mote_timer_stop(connection->worker->wheel, &connection->drain_timer);
    mote_connection_life_end(connection);
    mote_list_remove(&connection->deferred_node);
    mote_h2_free(connection->h2);
    connection->h2 = NULL;
    connection->owner = NULL;
    connection->inside--;
    free_if_unused(connection);
}

void mote_server_connection_set_tls(struct mote_server_connection *connection, const char *version, const char *suite)
{
    connection->facts.tls_version = version;
    connection->facts.tls_suite = suite;
}

void mote_server_connection_set_certificate(struct mote_server_connection *connection,
                                            struct mote_certificate *certificate)
{
    mote_assert(connection->certificate == NULL && connection->calls == 0);
    connection->certificate = certificate;
}

bool mote_server_connection_is_open(const struct mote_server_connection *connection)
{
    return mote_h2_is_open(connection->h2);
}

bool mote_server_connection_wants_read(const struct mote_server_connection *connection)
{
    return mote_h2_wants_read(connection->h2) && mote_list_is_empty(&connection->deferred);
}

bool mote_server_connection_wants_write(const struct mote_server_connection *connection)
{
    return mote_h2_wants_write(connection->h2) || !mote_list_is_empty(&connection->resumed);
}

bool mote_server_connection_is_over(const struct mote_server_connection *connection)
{
    return mote_h2_is_over(connection->h2);
}

void mote_server_connection_set_pending_output(struct mote_server_connection *connection, size_t pending,
                                               uint64_t now_ns)
{
    mote_h2_set_pending_output(connection->h2, pending, now_ns);
}

const char *mote_server_connection_peer(const struct mote_server_connection *connection)
{
    return connection->peer;
}

const char *mote_server_connection_end_reason(const struct mote_server_connection *connection)
{
    return mote_h2_end_reason(connection->h2);
}

/* --- shutdown -------------------------------------------------------------------------------------------------- */

/* Ends the open calls of which `which` is true; true if there were any. Their handlers may end other calls meanwhile:
 * begin anew each time. */
static bool shut_down_calls(struct mote_server_connection *connection, bool (*which)(const struct mote_call *call))
{
    bool any = false;
    struct mote_list *node = connection->open.next;
    while (node != &connection->open) {
        struct mote_call *call = MOTE_CONTAINER_OF(node, struct mote_call, node);
        if (which(call)) {
            mote_call_shut_down(call);
            node = connection->open.next;
            any = true;
        } else {
            node = node->next;
        }
    }
    return any;
}

static bool is_endless(const struct mote_call *call)
{
    return call->endless;
}

static bool is_any(const struct mote_call *call)
{
    (void)call;
    return true;
}

/* Out of memory here: without GOAWAY the client learns of the end by the connection's. */
static void second_goaway(struct mote_server_connection *connection)
{
    mote_timer_stop(connection->worker->wheel, &connection->drain_timer);
    connection->drain = MOTE_DRAIN_LAST;
    arm_fresh(connection); /* so that all calls are in `open` */
    if (connection->shutting_down) {
        (void)shut_down_calls(connection, is_endless);
    }
    if (mote_h2_shutdown(connection->h2, connection->drain_debug) != 0) {
        mote_h2_terminate(connection->h2, MOTE_H2_NO_ERROR, connection->drain_debug);
    }
}

static void drain_waited(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_server_connection *connection = MOTE_CONTAINER_OF(timer, struct mote_server_connection, drain_timer);
    mote_connection_enter(connection, now_ns);
    second_goaway(connection);
    mote_connection_leave(connection);
    mote_server_connection_notify(connection);
}

void mote_connection_begin_drain(struct mote_server_connection *connection, const char *debug, uint64_t now_ns)
{
    connection->drain = MOTE_DRAIN_NOTICE;
    connection->drain_debug = debug;
    if (mote_h2_shutdown_notice(connection->h2, debug) != 0 || mote_h2_ping(connection->h2, drain_ping) != 0) {
        second_goaway(connection);
    } else {
        connection->pings++;
        mote_timer_start(connection->worker->wheel, &connection->drain_timer, now_ns + DRAIN_ROUND_TRIP_MAX_NS);
    }
}

void mote_server_connection_drain(struct mote_server_connection *connection, uint64_t now_ns)
{
    if (connection->shutting_down) {
        return;
    }
    connection->shutting_down = true;
    mote_connection_enter(connection, now_ns);
    if (connection->drain == MOTE_DRAIN_NONE) {
        mote_connection_begin_drain(connection, "graceful_stop", now_ns);
    } else if (connection->drain == MOTE_DRAIN_LAST) {
        (void)shut_down_calls(connection, is_endless);
    }
    mote_connection_leave(connection);
    mote_server_connection_notify(connection);
}

bool mote_connection_cut_calls(struct mote_server_connection *connection)
{
    if (connection->drain == MOTE_DRAIN_NONE) {
        connection->drain_debug = "graceful_stop";
    }
    if (connection->drain < MOTE_DRAIN_LAST) {
        second_goaway(connection);
    }
    connection->drain = MOTE_DRAIN_CUT;
    arm_fresh(connection);
    return shut_down_calls(connection, is_any);
}

bool mote_server_connection_cut(struct mote_server_connection *connection, uint64_t now_ns)
{
    mote_connection_enter(connection, now_ns);
    /* Answered perhaps, but the client has not taken all of it. */
    const bool unfinished = connection->drain == MOTE_DRAIN_LAST && mote_h2_stream_count(connection->h2) > 0;
    const bool cut = mote_connection_cut_calls(connection);
    mote_connection_leave(connection);
    mote_server_connection_notify(connection);
    return cut || unfinished;
}
