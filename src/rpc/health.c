/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table grows only: a name is written before the count that publishes it, so readers need no lock. A watcher hangs
 * in its worker's list from its first answer to its end; it has no end of its own, so a graceful shutdown ends it. A
 * watcher that does not read is not sent more than it takes: it gets the newest status when it can.
 */
#include "rpc/health.h"

#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "codec/element.h"
#include "grpc/health/v1/health.mote.h"
#include "rpc/core.h"

struct health_row {
    char *name; /* owned */
    atomic_int status;
};

struct mote_health {
    struct mote_mem *mem;
    atomic_size_t count;
    struct health_row rows[MOTE_HEALTH_SERVICES_MAX];
};

/* The state of a Watch, in its call's arena. */
struct health_watch {
    struct mote_list node; /* in the worker's health_watches */
    struct mote_call *call;
    const char *service;
    int sent; /* the status sent last, -1: none */
};

int mote_health_new(struct mote_health **out, struct mote_mem *mem)
{
    struct mote_health *health = mote_mem_allocate_zeroed(mem, sizeof *health);
    if (health == NULL) {
        return MOTE_ENOMEM;
    }
    health->mem = mem;
    const int error = mote_health_set(health, "", MOTE_HEALTH_NOT_SERVING);
    if (error != 0) {
        mote_mem_release(mem, health);
        return error;
    }
    *out = health;
    return 0;
}

void mote_health_free(struct mote_health *health)
{
    if (health == NULL) {
        return;
    }
    for (size_t i = 0; i < health->count; i++) {
        mote_mem_release(health->mem, health->rows[i].name);
    }
    mote_mem_release(health->mem, health);
}

static size_t row_count(const struct mote_health *health)
{
    return atomic_load_explicit(&health->count, memory_order_acquire);
}

/* The row of that name, or row_count. */
static size_t find(const struct mote_health *health, const char *name)
{
    const size_t count = row_count(health);
    size_t i = 0;
    while (i < count && strcmp(health->rows[i].name, name) != 0) {
        i++;
    }
    return i;
}

int mote_health_set(struct mote_health *health, const char *name, enum mote_health_status status)
{
    const size_t count = row_count(health);
    const size_t position = find(health, name);
    const size_t length = strlen(name);
    if (position == count) {
        if (length > MOTE_HEALTH_NAME_MAX) {
            return MOTE_EINVAL;
        }
        if (count == MOTE_HEALTH_SERVICES_MAX) {
            return MOTE_ELIMIT;
        }
        health->rows[count].name = mote_mem_copy_text(health->mem, name, length);
        if (health->rows[count].name == NULL) {
            return MOTE_ENOMEM;
        }
    }
    atomic_store_explicit(&health->rows[position].status, (int)status, memory_order_relaxed);
    if (position == count) {
        atomic_store_explicit(&health->count, count + 1, memory_order_release);
    }
    return 0;
}

static enum mote_health_status status_at(const struct mote_health *health, size_t index)
{
    return (enum mote_health_status)atomic_load_explicit(&health->rows[index].status, memory_order_relaxed);
}

void mote_health_set_all(struct mote_health *health, enum mote_health_status status)
{
    const size_t count = row_count(health);
    for (size_t i = 0; i < count; i++) {
        atomic_store_explicit(&health->rows[i].status, (int)status, memory_order_relaxed);
    }
}

enum mote_health_status mote_health_get(const struct mote_health *health, const char *name)
{
    const size_t position = find(health, name);
    return position < row_count(health) ? status_at(health, position) : MOTE_HEALTH_SERVICE_UNKNOWN;
}

int mote_health_register(struct mote_health *health, struct mote_server *server)
{
    return mote_server_add_service(server, &grpc_health_v1_Health_service, health);
}

/* --- Check ----------------------------------------------------------------------------------------------------- */

static grpc_health_v1_HealthCheckResponse response_of(enum mote_health_status status)
{
    return (grpc_health_v1_HealthCheckResponse){
        .status = (grpc_health_v1_HealthCheckResponse_ServingStatus)status,
    };
}

void grpc_health_v1_health_check(struct mote_call *call, const grpc_health_v1_HealthCheckRequest *request)
{
    const struct mote_health *health = mote_call_context(call);
    const enum mote_health_status status = mote_health_get(health, request->service);
    if (status == MOTE_HEALTH_SERVICE_UNKNOWN) {
        mote_call_fail(call, MOTE_STATUS_NOT_FOUND, "unknown service");
        return;
    }
    const grpc_health_v1_HealthCheckResponse response = response_of(status);
    mote_call_reply(call, &response);
}

/* --- List ------------------------------------------------------------------------------------------------------ */

static bool encode_statuses(pb_ostream_t *stream, const pb_field_t *field, void *const *argument)
{
    const struct mote_health *health = *argument;
    const size_t count = row_count(health);
    for (size_t i = 0; i < count; i++) {
        grpc_health_v1_HealthListResponse_StatusesEntry entry = {
            .has_value = true,
            .value = response_of(status_at(health, i)),
        };
        _Static_assert(sizeof entry.key > MOTE_HEALTH_NAME_MAX, "every name fits");
        memcpy(entry.key, health->rows[i].name, strlen(health->rows[i].name) + 1);
        uint8_t bytes[sizeof entry + 16];
        size_t length;
        if (mote_codec_encode_into(&grpc_health_v1_HealthListResponse_StatusesEntry_type, &entry, bytes, sizeof bytes,
                                   &length) != 0 ||
            !mote_element_encode(stream, field, mote_slice(bytes, length))) {
            return false;
        }
    }
    return true;
}

void grpc_health_v1_health_list(struct mote_call *call, const grpc_health_v1_HealthListRequest *request)
{
    (void)request;
    grpc_health_v1_HealthListResponse response = {
        .statuses = {.funcs.encode = encode_statuses, .arg = mote_call_context(call)},
    };
    mote_call_reply(call, &response);
}

/* --- Watch ----------------------------------------------------------------------------------------------------- */

static void watch_ended(struct mote_call *call, enum mote_status status)
{
    struct health_watch *watch = mote_call_data(call);
    (void)status;
    mote_list_remove(&watch->node);
}

/* Sends the status if it is another than the one sent last. */
static void watch_send(struct mote_call *call)
{
    struct health_watch *watch = mote_call_data(call);
    const enum mote_health_status status = mote_health_get(mote_call_context(call), watch->service);
    if ((int)status == watch->sent || !mote_call_writable(call)) {
        return;
    }
    const grpc_health_v1_HealthCheckResponse response = response_of(status);
    watch->sent = (int)status;
    /* After an error the call is over and the watch has left its list. */
    (void)!mote_call_send(call, &response);
}

void grpc_health_v1_health_watch(struct mote_call *call, const grpc_health_v1_HealthCheckRequest *request)
{
    struct health_watch *watch = mote_call_make_data(call, sizeof *watch);
    if (watch == NULL) {
        return;
    }
    *watch = (struct health_watch){.call = call, .service = request->service, .sent = -1};
    mote_list_append(&mote_call_worker(call)->health_watches, &watch->node);
    mote_call_set_endless(call);
    mote_call_on_cancel(call, watch_ended);
    mote_call_on_writable(call, watch_send);
    watch_send(call);
}

/* Sending may end a call and so take its watch from the list, but no other: each watch belongs to one call. */
void mote_health_notify(struct mote_server_worker *worker)
{
    MOTE_LIST_FOR_EACH_SAFE(node, following, &worker->health_watches)
    {
        watch_send(MOTE_CONTAINER_OF(node, struct health_watch, node)->call);
    }
}
