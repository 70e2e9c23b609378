/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChangePassword and SetPassword: the user is read, because the new password must not be a name of theirs; a change
 * checks the current password as a login does; then the new one is hashed and written. The write is refused when
 * anything has raised the user's epoch since the read, so a password that was taken away in between sets no new one.
 */
#include <string.h>

#include "auth/v1/auth.mote.h"
#include "base/list.h"
#include "base/text.h"
#include "security/secret.h"
#include "services/audit.h"
#include "services/authenticate.h"
#include "services/failure.h"
#include "services/hashing.h"
#include "services/password_attempt.h"
#include "services/rules.h"
#include "services/spans.h"
#include "services/worker.h"

struct password_operation {
    struct mote_hashing hashing;
    struct mote_store_get_user read;
    struct mote_store_set_password set;
    struct mote_store_audit audit;
    struct mote_throttle_attempt attempt;
    char current_password[MOTE_PASSWORD_MAX + 1]; /* CHANGE */
    char new_password[MOTE_PASSWORD_MAX + 1];
    bool has_bad_id; /* SET: of no user there could be; told with what else is wrong */
};

static void finish(struct password_operation *operation)
{
    struct mote_call *call = operation->hashing.call;
    mote_secret_wipe(operation, sizeof *operation);
    mote_call_unref(call);
}

static void reply(const struct password_operation *operation)
{
    const int32_t count = (int32_t)operation->set.revoked_count;
    if (operation->set.act == MOTE_STORE_PASSWORD_CHANGE) {
        const auth_v1_ChangePasswordResponse response = {.revoked_session_count = count};
        mote_call_reply(operation->hashing.call, &response);
    } else {
        const auth_v1_SetPasswordResponse response = {.revoked_session_count = count};
        mote_call_reply(operation->hashing.call, &response);
    }
}

/* Of a change whose user has been changed since the read: the caller's token may be over with it; if it is not, another
 * change of the password was quicker, and the current one is another now. */
static enum mote_failure_id judge_conflict(struct mote_call *call)
{
    const enum mote_failure_id failure =
        mote_authenticate_again(mote_services_worker_of(call), mote_call_identity(call));
    return failure == MOTE_FAILURE_COUNT || failure == MOTE_FAILURE_PASSWORD_CHANGE_REQUIRED
               ? MOTE_FAILURE_CURRENT_PASSWORD_INVALID
               : failure;
}

static void written(struct mote_store_write *write)
{
    struct mote_store_set_password *set = MOTE_CONTAINER_OF(write, struct mote_store_set_password, write);
    struct password_operation *operation = MOTE_CONTAINER_OF(set, struct password_operation, set);
    struct mote_call *call = operation->hashing.call;
    if (write->result == 0) {
        reply(operation);
    } else if (write->result == MOTE_ENOTFOUND && set->act == MOTE_STORE_PASSWORD_SET) {
        mote_failure_answer(call, MOTE_FAILURE_USER_NOT_FOUND);
    } else if (write->result == MOTE_ENOTFOUND || write->result == MOTE_ECONFLICT) {
        mote_failure_answer(call, judge_conflict(call));
    } else {
        mote_failure_answer_store(call, write->result);
    }
    finish(operation);
}

static void hashed(struct mote_hashing *hashing, int result)
{
    struct password_operation *operation = MOTE_CONTAINER_OF(hashing, struct password_operation, hashing);
    struct mote_services_worker *worker = mote_services_worker_of(hashing->call);
    struct mote_store_set_password *set = &operation->set;
    if (result != 0 || mote_call_is_over(hashing->call)) {
        if (result != 0) {
            mote_failure_answer_password(hashing->call, result);
        }
        finish(operation);
        return;
    }
    memcpy(set->user_id, operation->read.user.id, sizeof set->user_id);
    memcpy(set->password_hash, hashing->job.hash, sizeof set->password_hash);
    set->user_epoch = operation->read.user.epoch;
    set->write.kind = MOTE_STORE_SET_PASSWORD;
    set->write.done = written;
    set->write.audit = &operation->audit;
    mote_audit_init(&operation->audit, hashing->call,
                    set->act == MOTE_STORE_PASSWORD_SET ? MOTE_STORE_AUDIT_SET_PASSWORD
                                                        : MOTE_STORE_AUDIT_CHANGE_PASSWORD,
                    set->user_id);
    set->write.now = mote_services_worker_wall(worker);
    result = mote_spans_submit(hashing->call, &set->write);
    if (result != 0) {
        mote_failure_answer_store(hashing->call, result);
        finish(operation);
    }
}

static void hash_new(struct password_operation *operation)
{
    operation->hashing.job.kind = MOTE_PASSWORD_HASH;
    operation->hashing.done = hashed;
    mote_hashing_start(&operation->hashing, mote_slice_text(operation->new_password));
}

static void verified(struct mote_hashing *hashing, int result)
{
    struct password_operation *operation = MOTE_CONTAINER_OF(hashing, struct password_operation, hashing);
    if (mote_password_attempt_end(hashing->call, &operation->attempt, result, MOTE_FAILURE_CURRENT_PASSWORD_INVALID)) {
        hash_new(operation);
    } else {
        finish(operation);
    }
}

/* False with the call ended. */
static bool verify_current(struct password_operation *operation)
{
    struct mote_hashing *hashing = &operation->hashing;
    if (!mote_password_attempt_begin(hashing->call, &operation->attempt, operation->read.user.username)) {
        return false;
    }
    hashing->job.kind = MOTE_PASSWORD_VERIFY;
    memcpy(hashing->job.hash, operation->read.user.password_hash, sizeof hashing->job.hash);
    hashing->done = verified;
    mote_hashing_start(hashing, mote_slice_text(operation->current_password));
    return true;
}

static bool is_allowed(const struct password_operation *operation)
{
    const struct mote_user *user = &operation->read.user;
    const struct mote_slice new_password = mote_slice_text(operation->new_password);
    const char *refused =
        mote_rules_password(new_password, mote_slice_text(user->username), mote_slice_text(user->email));
    struct mote_rules rules = {0};
    if (operation->set.act == MOTE_STORE_PASSWORD_CHANGE) {
        mote_rules_note(&rules, "current_password", operation->current_password[0] == '\0' ? "is required" : NULL);
        if (refused == NULL && mote_slice_equals_text(new_password, operation->current_password)) {
            refused = "must not be the current password";
        }
    }
    mote_rules_note(&rules, "user_id", operation->has_bad_id ? "must be a UUID" : NULL);
    mote_rules_note(&rules, "new_password", refused);
    return !mote_rules_refuse(&rules, operation->hashing.call);
}

static void user_read(struct mote_store_get_user *read, int result)
{
    struct password_operation *operation = MOTE_CONTAINER_OF(read, struct password_operation, read);
    struct mote_call *call = operation->hashing.call;
    const bool is_change = operation->set.act == MOTE_STORE_PASSWORD_CHANGE;
    if (result != 0 && result != MOTE_ENOTFOUND) {
        mote_failure_answer_store(call, result);
    } else if (is_allowed(operation)) {
        if (result != 0) {
            mote_failure_answer(call, is_change ? MOTE_FAILURE_SESSION_REVOKED : MOTE_FAILURE_USER_NOT_FOUND);
        } else if (!is_change) {
            hash_new(operation);
            return;
        } else if (verify_current(operation)) {
            return;
        }
    }
    finish(operation);
}

/* NULL with the call ended. */
static struct password_operation *new_operation(struct mote_call *call, enum mote_store_password_act act,
                                                const char *new_password)
{
    struct password_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return NULL;
    }
    operation->hashing.call = call;
    operation->read.key = MOTE_STORE_BY_ID;
    operation->read.done = user_read;
    operation->set.act = act;
    memcpy(operation->new_password, new_password, sizeof operation->new_password);
    mote_call_ref(call);
    return operation;
}

void auth_v1_auth_service_change_password(struct mote_call *call, const auth_v1_ChangePasswordRequest *request)
{
    const struct mote_identity *caller = mote_call_identity(call);
    struct password_operation *operation = new_operation(call, MOTE_STORE_PASSWORD_CHANGE, request->new_password);
    if (operation != NULL) {
        memcpy(operation->current_password, request->current_password, sizeof operation->current_password);
        memcpy(operation->read.id, caller->user_id, sizeof operation->read.id);
        memcpy(operation->set.session_id, caller->session_id, sizeof operation->set.session_id);
        operation->set.keep_others = request->keep_other_sessions;
        mote_store_get_user(mote_spans_session(call), &operation->read);
    }
    mote_secret_wipe((void *)(uintptr_t)request, sizeof *request);
}

void auth_v1_auth_service_set_password(struct mote_call *call, const auth_v1_SetPasswordRequest *request)
{
    struct password_operation *operation = new_operation(call, MOTE_STORE_PASSWORD_SET, request->new_password);
    if (operation != NULL) {
        operation->set.require_change = request->require_change;
        operation->has_bad_id = mote_uuid_parse(operation->read.id, mote_slice_text(request->user_id)) != 0;
        if (operation->has_bad_id) {
            user_read(&operation->read, MOTE_ENOTFOUND);
        } else {
            mote_store_get_user(mote_spans_session(call), &operation->read);
        }
    }
    mote_secret_wipe((void *)(uintptr_t)request, sizeof *request);
}
