/* SPDX-License-Identifier: Apache-2.0 */
#include "services/services.h"

#include "auth/v1/auth.mote.h"
#include "services/access.h"
#include "services/authenticate.h"
#include "services/failure.h"
#include "services/worker.h"
#include "user/v1/user.mote.h"

#define DAY_NS ((int64_t)86400 * (int64_t)MOTE_NS_PER_SECOND)

int mote_services_worker_new(struct mote_services_worker **out, struct mote_services *services, struct mote_mem *mem,
                             struct mote_mailbox *mailbox)
{
    struct mote_services_worker *worker = mote_mem_allocate_zeroed(mem, sizeof *worker);
    if (worker == NULL) {
        return MOTE_ENOMEM;
    }
    worker->services = services;
    worker->mem = mem;
    worker->mailbox = mailbox;
    mote_watches_init(&worker->watches);
    int result = mote_store_session_open(&worker->session, services->store, mailbox);
    if (result != 0) {
        goto fail_worker;
    }
    result = mote_token_cache_new(&worker->cache, mem, services->random);
    if (result != 0) {
        goto fail_session;
    }
    result =
        mote_revocation_init(&worker->revocation, mem, services->store, worker->session,
                             services->access_lifetime + services->policy.leeway, mote_services_worker_seconds(worker));
    if (result != 0) {
        goto fail_cache;
    }
    *out = worker;
    return 0;

fail_cache:
    mote_token_cache_free(worker->cache);
fail_session:
    mote_store_session_close(worker->session);
fail_worker:
    mote_mem_release(mem, worker);
    return result;
}

void mote_services_worker_free(struct mote_services_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    mote_revocation_dispose(&worker->revocation);
    mote_token_cache_free(worker->cache);
    mote_store_session_close(worker->session);
    mote_keyring_free(worker->held);
    mote_mem_release(worker->mem, worker);
}

void mote_services_worker_count(struct mote_services_worker *worker, struct mote_counter lookups[2])
{
    worker->lookups = lookups;
}

const struct mote_keyring *mote_services_worker_keyring(struct mote_services_worker *worker)
{
    if (mote_keyring_slot_follow(worker->services->keys, &worker->held)) {
        mote_token_cache_clear(worker->cache);
    }
    return worker->held;
}

void mote_services_worker_end_turn(struct mote_services_worker *worker)
{
    (void)mote_services_worker_keyring(worker); /* keys that are out of force go, also where no call comes */
    mote_store_session_end_turn(worker->session);
    worker->turn_seconds = 0;
}

/*
 * The floor is a line over the monotonic clock, of half its slope, so that time goes on while it holds and the wall
 * clock catches up. All workers share it: one that was idle knows what another has seen, and they agree on what is
 * expired. It is raised a second at a time, about every two, so that calls do not write to what they share.
 */
int64_t mote_services_worker_wall(struct mote_services_worker *worker)
{
    struct mote_services *services = worker->services;
    const int64_t second = (int64_t)MOTE_NS_PER_SECOND;
    const int64_t wall = services->clock->wall_ns(services->clock->context);
    const int64_t slope = (int64_t)(services->clock->monotonic_ns(services->clock->context) / 2);
    const int64_t lowest = wall - services->policy.leeway * second - slope;
    int64_t floor = atomic_load_explicit(&services->wall_floor, memory_order_relaxed);
    const int64_t back = floor + slope - wall;
    if (back <= DAY_NS && lowest - floor < second) {
        return back > 0 ? wall + back : wall;
    }
    if (atomic_compare_exchange_strong_explicit(&services->wall_floor, &floor, lowest, memory_order_relaxed,
                                                memory_order_relaxed) &&
        back > DAY_NS) {
        mote_log(services->log, MOTE_LOG_WARN, "services", "services.clock_stepped_back",
                 "the clock was set back by more than a day: tokens are judged by the new time",
                 mote_log_int("seconds", back / second));
    }
    return wall;
}

int64_t mote_services_worker_seconds(struct mote_services_worker *worker)
{
    return mote_services_worker_wall(worker) / (int64_t)MOTE_NS_PER_SECOND;
}

void *mote_services_operation(struct mote_call *call, size_t size)
{
    void *operation = mote_arena_allocate_zeroed(mote_call_arena(call), size);
    if (operation == NULL) {
        mote_failure_answer(call, MOTE_FAILURE_INTERNAL_ERROR);
    }
    return operation;
}

const struct mote_access_row *mote_services_access(struct mote_services *services, size_t *count)
{
    *count = mote_access_fill(services->access, services->signup_open, services->reflection);
    return services->access;
}

struct mote_interceptor mote_services_authentication(struct mote_services *services)
{
    return (struct mote_interceptor){
        .name = "authentication", .context = services, .start = mote_authenticate_start, .end = NULL};
}

int mote_services_register(struct mote_services *services, struct mote_server *server)
{
    int result = mote_server_add_service(server, &user_v1_UserService_service, services);
    if (result == 0) {
        result = mote_server_add_service(server, &auth_v1_AuthService_service, services);
    }
    return result;
}
