/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user and auth services: what the program registers and what each worker needs. Business rules only; no HTTP/2, no
 * sockets, no threads of its own.
 */
#ifndef MOTE_SERVICES_SERVICES_H
#define MOTE_SERVICES_SERVICES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/network.h"
#include "base/task.h"
#include "rpc/server.h"
#include "security/jwt.h"
#include "security/keyring_slot.h"
#include "security/password.h"
#include "services/throttle.h"
#include "store/store.h"

#define MOTE_SERVICES_ACCESS_MAX     32u /* rows */
#define MOTE_SERVICES_AUDIT_REFUSALS 16u /* rows a minute in the audit record about failures that anyone can cause */

/* One for the process; everything is borrowed until the last worker is gone. */
struct mote_services {
    struct mote_store *store;
    struct mote_keyring_slot *keys;
    struct mote_password_pool *passwords;
    struct mote_throttle *throttle;
    const struct mote_clock *clock;
    const struct mote_random *random;
    struct mote_log *log;
    struct mote_jwt_policy policy;
    int64_t access_lifetime;  /* seconds */
    int64_t refresh_idle;     /* seconds: 7 days */
    int64_t refresh_absolute; /* seconds: 30 days */
    bool signup_open;
    struct mote_networks trusted_proxies; /* whose x-forwarded-for is believed */
    bool reflection;                      /* reflection services are registered, and public */
    bool (*is_serving)(void *context);    /* what HealthCheck answers; NULL: as healthy as the store */
    void *is_serving_context;
    _Atomic int64_t wall_floor;                                  /* mote_services_worker_wall */
    _Atomic int64_t audit_minutes[MOTE_SERVICES_AUDIT_REFUSALS]; /* services/audit.c */
    _Atomic unsigned audit_left_out;
    struct mote_access_row access[MOTE_SERVICES_ACCESS_MAX]; /* filled by mote_services_access */
};

struct mote_services_worker;

/* `mailbox` runs tasks on this worker's thread. The result is what mote_server_worker_options.user must be. */
MOTE_MUST_CHECK int mote_services_worker_new(struct mote_services_worker **out, struct mote_services *services,
                                             struct mote_mem *mem, struct mote_mailbox *mailbox);
void mote_services_worker_free(struct mote_services_worker *worker);
/* Where to count look-ups of tokens that were in the cache, and behind it those that were not: borrowed until free. */
void mote_services_worker_count(struct mote_services_worker *worker, struct mote_counter lookups[2]);
/* At the end of each loop turn. */
void mote_services_worker_end_turn(struct mote_services_worker *worker);

/* The access table of everything the program serves with these settings (sign-up, reflection). Borrowed from
 * `services`. */
const struct mote_access_row *mote_services_access(struct mote_services *services, size_t *count);
/* The authentication stage. */
struct mote_interceptor mote_services_authentication(struct mote_services *services);
/* Registers user.v1.UserService and auth.v1.AuthService. */
MOTE_MUST_CHECK int mote_services_register(struct mote_services *services, struct mote_server *server);

/* The field rules, for the commands too: the reason a value is refused (static text), or NULL. */
const char *mote_rules_username(struct mote_slice username);
const char *mote_rules_email(struct mote_slice email);
const char *mote_rules_display_name(struct mote_slice display_name);
const char *mote_rules_password(struct mote_slice password, struct mote_slice username, struct mote_slice email);

#endif
