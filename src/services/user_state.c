/* SPDX-License-Identifier: Apache-2.0 */
/* DisableUser, EnableUser and DeleteUser: one write each, which ends what the user holds with it. */
#include <string.h>

#include "base/list.h"
#include "base/text.h"
#include "services/audit.h"
#include "services/convert.h"
#include "services/failure.h"
#include "services/spans.h"
#include "services/target.h"
#include "services/worker.h"
#include "user/v1/user.mote.h"

_Static_assert(sizeof((user_v1_DisableUserRequest){0}.reason) ==
                   sizeof((struct mote_store_set_user_state){.revoked_count = 0}).reason,
               "copied whole");

/* --- DisableUser, EnableUser ----------------------------------------------------------------------------------- */

struct state_operation {
    struct mote_store_set_user_state set;
    struct mote_store_audit audit;
    struct mote_call *call;
};

static void state_set(struct mote_store_write *write)
{
    struct mote_store_set_user_state *set = MOTE_CONTAINER_OF(write, struct mote_store_set_user_state, write);
    struct mote_call *call = MOTE_CONTAINER_OF(set, struct state_operation, set)->call;
    if (write->result != 0) {
        mote_failure_answer_write(call, write->result, MOTE_STORE_TAKEN_NONE, set->conflict);
    } else if (set->state == MOTE_USER_DISABLED) {
        user_v1_DisableUserResponse response = {.has_user = true};
        mote_convert_user(&response.user, &set->user);
        response.revoked_session_count = (int32_t)set->revoked_count;
        mote_call_reply(call, &response);
    } else {
        user_v1_EnableUserResponse response = {.has_user = true};
        mote_convert_user(&response.user, &set->user);
        mote_call_reply(call, &response);
    }
    mote_call_unref(call);
}

static void set_state(struct mote_call *call, const char *id, enum mote_user_state state, const char *reason)
{
    struct mote_services_worker *worker = mote_services_worker_of(call);
    struct state_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    struct mote_store_set_user_state *set = &operation->set;
    if (mote_uuid_parse(set->user.id, mote_slice_text(id)) != 0) {
        const struct mote_violation violation = {.field = "id", .text = "must be a UUID"};
        mote_failure_answer_fields(call, &violation, 1);
        return;
    }
    set->state = state;
    memcpy(set->reason, reason, strlen(reason));
    mote_audit_init(&operation->audit, call,
                    state == MOTE_USER_DISABLED ? MOTE_STORE_AUDIT_DISABLE_USER : MOTE_STORE_AUDIT_ENABLE_USER,
                    set->user.id);
    operation->audit.detail = mote_slice_text(set->reason);
    set->write.audit = &operation->audit;
    set->write.kind = MOTE_STORE_SET_USER_STATE;
    set->write.done = state_set;
    set->write.now = mote_services_worker_wall(worker);
    operation->call = call;
    mote_call_ref(call);
    int result = mote_spans_submit(call, &set->write);
    if (result != 0) {
        mote_failure_answer_store(call, result);
        mote_call_unref(call);
    }
}

void user_v1_user_service_disable_user(struct mote_call *call, const user_v1_DisableUserRequest *request)
{
    set_state(call, request->id, MOTE_USER_DISABLED, request->reason);
}

void user_v1_user_service_enable_user(struct mote_call *call, const user_v1_EnableUserRequest *request)
{
    set_state(call, request->id, MOTE_USER_ACTIVE, "");
}

/* --- DeleteUser ------------------------------------------------------------------------------------------------ */

struct delete_operation {
    struct mote_store_delete_user removal;
    struct mote_store_audit audit;
    struct mote_call *call;
    bool allow_missing;
};

static void deleted(struct mote_store_write *write)
{
    struct mote_store_delete_user *removal = MOTE_CONTAINER_OF(write, struct mote_store_delete_user, write);
    struct delete_operation *operation = MOTE_CONTAINER_OF(removal, struct delete_operation, removal);
    struct mote_call *call = operation->call;
    if (write->result == 0 || (write->result == MOTE_ENOTFOUND && operation->allow_missing)) {
        const user_v1_DeleteUserResponse response = {0};
        mote_call_reply(call, &response);
    } else {
        mote_failure_answer_write(call, write->result, MOTE_STORE_TAKEN_NONE, removal->conflict);
    }
    mote_call_unref(call);
}

void user_v1_user_service_delete_user(struct mote_call *call, const user_v1_DeleteUserRequest *request)
{
    struct mote_services_worker *worker = mote_services_worker_of(call);
    struct delete_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    struct mote_store_delete_user *removal = &operation->removal;
    int result = mote_target_find(removal->user_id, mote_call_identity(call), request->id, MOTE_ROLE_BIT_ADMIN);
    if (result == MOTE_EAUTH) {
        mote_failure_answer(call, MOTE_FAILURE_PERMISSION_DENIED);
        return;
    }
    if (result != 0) {
        const struct mote_violation violation = {.field = "id", .text = "must be a UUID or 'me'"};
        mote_failure_answer_fields(call, &violation, 1);
        return;
    }
    removal->has_version = request->etag[0] != '\0';
    removal->version = mote_convert_etag(request->etag);
    mote_audit_init(&operation->audit, call, MOTE_STORE_AUDIT_DELETE_USER, removal->user_id);
    removal->write.audit = &operation->audit;
    removal->write.kind = MOTE_STORE_DELETE_USER;
    removal->write.done = deleted;
    removal->write.now = mote_services_worker_wall(worker);
    operation->allow_missing = request->allow_missing;
    operation->call = call;
    mote_call_ref(call);
    result = mote_spans_submit(call, &removal->write);
    if (result != 0) {
        mote_failure_answer_store(call, result);
        mote_call_unref(call);
    }
}
