/* SPDX-License-Identifier: Apache-2.0 */
/* Logout: one write, which ends this session, the others or all of the caller's. */
#include <string.h>

#include "auth/v1/auth.mote.h"
#include "base/list.h"
#include "services/failure.h"
#include "services/spans.h"
#include "services/worker.h"

struct logout_operation {
    struct mote_store_revoke_sessions revoke;
    struct mote_call *call;
};

static void logged_out(struct mote_store_write *write)
{
    struct mote_store_revoke_sessions *revoke = MOTE_CONTAINER_OF(write, struct mote_store_revoke_sessions, write);
    struct logout_operation *operation = MOTE_CONTAINER_OF(revoke, struct logout_operation, revoke);
    struct mote_call *call = operation->call;
    if (write->result == 0) {
        auth_v1_LogoutResponse response = {.revoked_session_count = (int32_t)revoke->revoked_count};
        mote_call_reply(call, &response);
    } else {
        mote_failure_answer_store(call, write->result);
    }
    mote_call_unref(call);
}

static bool read_scope(enum mote_store_scope *out, auth_v1_LogoutScope scope)
{
    switch (scope) {
    case auth_v1_LogoutScope_LOGOUT_SCOPE_UNSPECIFIED:
    case auth_v1_LogoutScope_LOGOUT_SCOPE_LOCAL:
        *out = MOTE_STORE_SCOPE_ONE;
        return true;
    case auth_v1_LogoutScope_LOGOUT_SCOPE_OTHERS:
        *out = MOTE_STORE_SCOPE_OTHERS;
        return true;
    case auth_v1_LogoutScope_LOGOUT_SCOPE_GLOBAL:
        *out = MOTE_STORE_SCOPE_ALL;
        return true;
    }
    return false;
}

void auth_v1_auth_service_logout(struct mote_call *call, const auth_v1_LogoutRequest *request)
{
    struct mote_services_worker *worker = mote_services_worker_of(call);
    const struct mote_identity *caller = mote_call_identity(call);
    struct logout_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    struct mote_store_revoke_sessions *revoke = &operation->revoke;
    if (!read_scope(&revoke->scope, request->scope)) {
        const struct mote_violation violation = {.field = "scope", .text = "must be a known scope"};
        mote_failure_answer_fields(call, &violation, 1);
        return;
    }
    memcpy(revoke->user_id, caller->user_id, sizeof revoke->user_id);
    memcpy(revoke->session_id, caller->session_id, sizeof revoke->session_id);
    revoke->write.kind = MOTE_STORE_REVOKE_SESSIONS;
    revoke->write.done = logged_out;
    revoke->write.now = mote_services_worker_wall(worker);
    operation->call = call;
    mote_call_ref(call);
    int result = mote_spans_submit(call, &revoke->write);
    if (result != 0) {
        mote_failure_answer_store(call, result);
        mote_call_unref(call);
    }
}
