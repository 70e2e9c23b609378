/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ImportUsers: a user a message, many on the way at once. Users are handed to the writer in the order of the stream,
 * whatever their passwords cost, so that of two with one name the first is created; passwords of several are hashed
 * meanwhile. When enough are on the way the call pauses, and flow control holds the client.
 *
 * What is wrong with a user, be it a bound of its fields, is counted and does not stop the others. What is wrong with
 * the store stops everything: the call fails when the writes on the way have been answered, and says how many users
 * there are now. The same for the hashing. When the call ends early, what was handed to the writer is created, and
 * nothing else.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "security/secret.h"
#include "services/audit.h"
#include "services/failure.h"
#include "services/rules.h"
#include "services/spans.h"
#include "services/tokens.h"
#include "services/worker.h"
#include "user/v1/user.mote.h"

#define SLOTS_MAX    64u /* users on the way: as many share a commit; about 1.5 KiB each */
#define HASHING_MAX  2u  /* of them in the pool of password hashes, which logins need too */
#define FAILURES_MAX (sizeof((user_v1_ImportUsersResponse){0}.failures) / sizeof(user_v1_ImportFailure))

_Static_assert(SLOTS_MAX * 8 <= MOTE_STORE_WRITES_MAX, "some imports at once do not fill the writer's queue");

struct slot {
    struct mote_store_create_user create;
    struct mote_password_job job;
    uint64_t start_ns; /* of the job */
    struct import *import;
    struct slot *next; /* among those that are not with the writer yet */
    int32_t index;
    bool is_hashing;
};

struct import {
    struct mote_call *call;
    struct slot *first; /* not with the writer yet, in the order of the stream */
    struct slot **last;
    unsigned slots;
    unsigned hashing;
    int32_t index; /* of the next message */
    bool is_complete;
    bool is_recorded;
    enum mote_failure_id failure; /* of the whole call; MOTE_FAILURE_COUNT: none */
    user_v1_ImportUsersResponse response;
};

static void advance(struct import *import);

/* --- counting -------------------------------------------------------------------------------------------------- */

/* Users are not refused in the order of the stream; kept are the first of the stream. */
static void count_failure(struct import *import, int32_t index, enum mote_failure_id id)
{
    user_v1_ImportUsersResponse *response = &import->response;
    const struct mote_failure *row = mote_failure_row(id);
    size_t place = response->failures_count;
    response->failed_count++;
    while (place > 0 && response->failures[place - 1].index > index) {
        place--;
    }
    if (place == FAILURES_MAX) {
        return;
    }
    if (response->failures_count < FAILURES_MAX) {
        response->failures_count++;
    }
    user_v1_ImportFailure *failure = &response->failures[place];
    memmove(failure + 1, failure, (response->failures_count - 1 - place) * sizeof *failure);
    *failure = (user_v1_ImportFailure){.index = index, .code = (int32_t)row->status};
    memcpy(failure->reason, row->reason, strlen(row->reason));
}

static void fail_whole(struct import *import)
{
    struct mote_failure failure = *mote_failure_row(import->failure);
    const char *message = mote_arena_format(mote_call_arena(import->call), "%s (%d users were created)",
                                            failure.message, (int)import->response.created_count);
    if (message != NULL) {
        failure.message = message;
    }
    mote_call_fail_details(import->call, &failure);
}

/* One row for all of them, when the last has been answered. */
static void record(struct import *import)
{
    struct mote_store_audit entry;
    char text[64];
    if (import->is_recorded || import->slots > 0) {
        return;
    }
    import->is_recorded = true;
    (void)snprintf(text, sizeof text, "created %d, refused %d", (int)import->response.created_count,
                   (int)import->response.failed_count);
    mote_audit_init(&entry, import->call, MOTE_STORE_AUDIT_IMPORT_USERS, NULL);
    entry.detail = mote_slice_text(text);
    if (import->failure != MOTE_FAILURE_COUNT) {
        entry.result = mote_failure_row(import->failure)->reason;
    }
    mote_audit_append(import->call, &entry);
}

/* --- slots ----------------------------------------------------------------------------------------------------- */

static void release(struct slot *slot)
{
    struct import *import = slot->import;
    struct mote_call *call = import->call;
    import->slots--;
    mote_secret_wipe(slot, sizeof *slot);
    mote_mem_release(mote_services_worker_of(call)->mem, slot);
    if (mote_call_is_over(call)) {
        record(import);
    }
    mote_call_unref(call);
}

static struct slot *take_first(struct import *import)
{
    struct slot *slot = import->first;
    import->first = slot->next;
    if (import->first == NULL) {
        import->last = &import->first;
    }
    return slot;
}

/* Drops what is not with the writer; a job that runs is dropped when it is done. */
static void drop(struct import *import)
{
    struct mote_password_pool *passwords = mote_services_worker_of(import->call)->services->passwords;
    while (import->first != NULL) {
        struct slot *slot = take_first(import);
        if (!slot->is_hashing) {
            release(slot);
        } else if (mote_password_pool_withdraw(passwords, &slot->job)) {
            import->hashing--;
            release(slot);
        }
    }
}

static void stop(struct import *import, enum mote_failure_id failure)
{
    if (import->failure == MOTE_FAILURE_COUNT) {
        import->failure = failure;
    }
    drop(import);
}

static void ended(struct mote_call *call, enum mote_status status)
{
    (void)status;
    mote_call_ref(call);
    drop(mote_call_data(call));
    record(mote_call_data(call));
    mote_call_unref(call);
}

static void created(struct mote_store_write *write)
{
    struct mote_store_create_user *create = MOTE_CONTAINER_OF(write, struct mote_store_create_user, write);
    struct slot *slot = MOTE_CONTAINER_OF(create, struct slot, create);
    struct import *import = slot->import;
    mote_call_ref(import->call);
    if (write->result == 0) {
        import->response.created_count++;
    } else {
        enum mote_failure_id id = mote_failure_of_write(write->result, create->taken, MOTE_STORE_CONFLICT_NONE);
        if (write->result == MOTE_EEXISTS && create->taken != MOTE_STORE_TAKEN_NONE) {
            count_failure(import, slot->index, id);
        } else {
            stop(import, id);
        }
    }
    struct mote_call *call = import->call;
    release(slot);
    advance(import);
    mote_call_unref(call);
}

static void submit(struct slot *slot)
{
    struct import *import = slot->import;
    struct mote_services_worker *worker = mote_services_worker_of(import->call);
    struct mote_store_write *write = &slot->create.write;
    write->kind = MOTE_STORE_CREATE_USER;
    write->done = created;
    write->now = mote_services_worker_wall(worker);
    int result = mote_tokens_new_id(worker, slot->create.user.id);
    if (result == 0) {
        result = mote_spans_submit(import->call, write);
    }
    if (result != 0) {
        release(slot);
        stop(import, mote_failure_of_store(result));
    }
}

/* Hands on what can be, and ends or goes on. The caller holds a reference to the call. */
static void advance(struct import *import)
{
    struct mote_call *call = import->call;
    if (mote_call_is_over(call)) {
        return;
    }
    while (import->first != NULL && !import->first->is_hashing) {
        submit(take_first(import));
    }
    bool is_full = import->slots == SLOTS_MAX || import->hashing == HASHING_MAX;
    if (import->slots == 0 && import->failure != MOTE_FAILURE_COUNT) {
        record(import);
        fail_whole(import);
    } else if (import->slots == 0 && import->is_complete) {
        record(import);
        mote_call_reply(call, &import->response);
    } else if (is_full || import->failure != MOTE_FAILURE_COUNT) {
        mote_call_pause(call);
    } else {
        mote_call_resume(call);
    }
}

static void hashed(struct mote_task *task)
{
    struct mote_password_job *job = MOTE_CONTAINER_OF(task, struct mote_password_job, done);
    struct slot *slot = MOTE_CONTAINER_OF(job, struct slot, job);
    struct import *import = slot->import;
    struct mote_call *call = import->call;
    mote_call_ref(call);
    import->hashing--;
    slot->is_hashing = false;
    mote_spans_end_job(call, job, slot->start_ns);
    memcpy(slot->create.user.password_hash, job->hash, sizeof job->hash);
    if (mote_call_is_over(call) || import->failure != MOTE_FAILURE_COUNT) {
        release(slot); /* dropped before */
    } else if (job->result != 0) {
        stop(import, mote_failure_of_password(job->result));
    }
    advance(import);
    mote_call_unref(call);
}

/* --- messages -------------------------------------------------------------------------------------------------- */

static void hash(struct slot *slot, struct mote_slice password)
{
    struct import *import = slot->import;
    struct mote_services_worker *worker = mote_services_worker_of(import->call);
    struct mote_password_job *job = &slot->job;
    job->kind = MOTE_PASSWORD_HASH;
    job->is_patient = true;
    job->done.run = hashed;
    job->mailbox = worker->mailbox;
    job->deadline_ns = mote_call_deadline(import->call);
    job->password_length = password.length;
    memcpy(job->password, password.data, password.length);
    slot->is_hashing = true;
    slot->start_ns = mote_spans_begin(import->call);
    import->hashing++;
    const int result = mote_password_pool_submit(worker->services->passwords, job);
    mote_assert(result == 0); /* a patient job is taken */
}

static void take(struct import *import, const user_v1_ImportUsersRequest *request)
{
    struct mote_services_worker *worker = mote_services_worker_of(import->call);
    struct slot *slot = mote_mem_allocate_zeroed(worker->mem, sizeof *slot);
    if (slot == NULL) {
        stop(import, MOTE_FAILURE_INTERNAL_ERROR);
        return;
    }
    slot->import = import;
    slot->index = import->index++;
    import->slots++;
    mote_call_ref(import->call);
    struct mote_rules rules = {0};
    bool is_hash = false;
    mote_rules_new_user(&rules, &slot->create.user, &request->user, true);
    if (request->has_initial_password) {
        mote_rules_note(&rules, "initial_password",
                        mote_rules_password_or_hash(&is_hash, mote_slice_text(request->initial_password),
                                                    mote_slice_text(request->user.username),
                                                    mote_slice_text(request->user.email)));
    }
    if (rules.count > 0) {
        count_failure(import, slot->index, MOTE_FAILURE_FIELD_INVALID);
        release(slot);
        return;
    }
    *import->last = slot;
    import->last = &slot->next;
    if (is_hash) {
        memcpy(slot->create.user.password_hash, request->initial_password, strlen(request->initial_password));
    } else if (request->has_initial_password) {
        hash(slot, mote_slice_text(request->initial_password));
    }
}

static struct import *import_of(struct mote_call *call)
{
    struct import *import = mote_call_data(call);
    if (import == NULL) {
        import = mote_services_operation(call, sizeof *import);
        if (import == NULL) {
            return NULL;
        }
        import->call = call;
        import->last = &import->first;
        import->failure = MOTE_FAILURE_COUNT;
        mote_call_set_data(call, import);
        mote_call_on_cancel(call, ended);
    }
    return import;
}

void user_v1_user_service_import_users_refused(struct mote_call *call)
{
    struct import *import = import_of(call);
    if (import != NULL) {
        count_failure(import, import->index++, MOTE_FAILURE_FIELD_INVALID);
    }
}

void user_v1_user_service_import_users(struct mote_call *call, const user_v1_ImportUsersRequest *request)
{
    struct import *import = import_of(call);
    if (import == NULL) {
        return;
    }
    if (request == NULL) {
        import->is_complete = true;
    } else {
        take(import, request);
        mote_secret_wipe((void *)(uintptr_t)request->initial_password, sizeof request->initial_password);
    }
    advance(import);
}
