/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker has of the services. One thread. */
#ifndef MOTE_SERVICES_WORKER_H
#define MOTE_SERVICES_WORKER_H

#include <stdint.h>

#include "base/memory.h"
#include "base/task.h"
#include "rpc/call.h"
#include "security/token_cache.h"
#include "services/revocation.h"
#include "services/services.h"
#include "services/watch.h"
#include "store/store.h"

struct mote_services_worker {
    struct mote_services *services;
    struct mote_mem *mem;
    struct mote_mailbox *mailbox;
    struct mote_store_session *session;
    struct mote_keyring *held; /* by mote_services_worker_keyring */
    struct mote_token_cache *cache;
    int64_t turn_seconds;         /* the time that tokens are judged by; 0: not looked at in this turn */
    struct mote_counter *lookups; /* [2]: found, not found; NULL: not counted */
    struct mote_revocation revocation;
    struct mote_watches watches;
};

static inline struct mote_services_worker *mote_services_worker_of(const struct mote_call *call)
{
    return mote_call_worker_user(call);
}

/* The keys in force; the cache of verified tokens goes with those before. Valid until the end of this loop turn. */
const struct mote_keyring *mote_services_worker_keyring(struct mote_services_worker *worker);

/*
 * Wall time in ns, for tokens and for what is written. It never falls back by more than the tokens' leeway (and a
 * second), so that turning the clock back cannot bring an expired token to life; until the clock has caught up it runs
 * at half speed. A step back of more than a day is a clock that was wrong before: it is followed, and logged.
 */
int64_t mote_services_worker_wall(struct mote_services_worker *worker);
/* The same in whole seconds. */
int64_t mote_services_worker_seconds(struct mote_services_worker *worker);

/* What a call keeps while it waits: zeroed, in its arena. NULL without memory: the call has been answered. */
void *mote_services_operation(struct mote_call *call, size_t size);

#endif
