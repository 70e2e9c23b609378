/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.health.v1: Check, Watch and List from one table of service names and their status. The table is the process's:
 * one thread at a time changes it, any thread reads it. Watchers are each worker's own: after a change
 * mote_health_notify is to be called on the thread of every worker.
 */
#ifndef MOTE_RPC_HEALTH_H
#define MOTE_RPC_HEALTH_H

#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/memory.h"
#include "server.h"

MOTE_C_BEGIN

#define MOTE_HEALTH_SERVICES_MAX 16u
#define MOTE_HEALTH_NAME_MAX     256u /* bytes, as the .proto bounds it */

/* The numbers of grpc.health.v1.HealthCheckResponse.ServingStatus. */
enum mote_health_status {
    MOTE_HEALTH_UNKNOWN = 0,
    MOTE_HEALTH_SERVING = 1,
    MOTE_HEALTH_NOT_SERVING = 2,
    MOTE_HEALTH_SERVICE_UNKNOWN = 3, /* not in the table */
};

struct mote_health;

/* The name "" (the whole server) is there from the start, NOT_SERVING. */
MOTE_MUST_CHECK int mote_health_new(struct mote_health **out, struct mote_mem *mem);
/* After the last worker. */
void mote_health_free(struct mote_health *health);
/* Adds a name or changes its status. One thread at a time. MOTE_ELIMIT when the table is full, MOTE_EINVAL for a name
 * that is too long, MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_health_set(struct mote_health *health, const char *name, enum mote_health_status status);
/* Changes the status of all names; never fails. One thread at a time. */
void mote_health_set_all(struct mote_health *health, enum mote_health_status status);
/* Any thread. */
enum mote_health_status mote_health_get(const struct mote_health *health, const char *name);
/* Registers the service; `health` is borrowed until the last worker is gone. */
MOTE_MUST_CHECK int mote_health_register(struct mote_health *health, struct mote_server *server);
/* Tells this worker's watchers what has changed for them. Its thread only. */
void mote_health_notify(struct mote_server_worker *worker);

MOTE_C_END

#endif
