/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ValidateToken: for services that got a token and cannot check it themselves. Whoever is neither service nor
 * administrator learns nothing of the tokens of others: they look like broken ones.
 */
#include <string.h>

#include "auth/v1/auth.mote.h"
#include "base/list.h"
#include "base/text.h"
#include "security/secret.h"
#include "services/authenticate.h"
#include "services/convert.h"
#include "services/failure.h"
#include "services/rules.h"
#include "services/spans.h"
#include "services/worker.h"

struct validate_operation {
    struct mote_store_get_user read;
    struct mote_call *call;
    struct mote_identity identity; /* what the token says */
};

static void answer_inactive(struct mote_call *call, auth_v1_InactiveReason reason)
{
    auth_v1_ValidateTokenResponse response = {.inactive_reason = reason};
    mote_call_reply(call, &response);
}

static void answer_active(struct validate_operation *operation)
{
    const struct mote_identity *identity = &operation->identity;
    const int64_t second = (int64_t)MOTE_NS_PER_SECOND;
    auth_v1_ValidateTokenResponse response = {.active = true, .has_issue_time = true, .has_expire_time = true};
    mote_uuid_format(response.user_id, identity->user_id);
    mote_uuid_format(response.token_id, identity->token_id);
    mote_uuid_format(response.session_id, identity->session_id);
    memcpy(response.username, operation->read.user.username, sizeof response.username);
    response.roles_count = mote_convert_roles(response.roles, identity->roles);
    response.issue_time = mote_convert_time(identity->issued_at * second);
    response.expire_time = mote_convert_time(identity->expires_at * second);
    mote_call_reply(operation->call, &response);
}

static void user_read(struct mote_store_get_user *read, int result)
{
    struct validate_operation *operation = MOTE_CONTAINER_OF(read, struct validate_operation, read);
    struct mote_call *call = operation->call;
    if (result == 0) {
        answer_active(operation);
    } else if (result == MOTE_ENOTFOUND) {
        answer_inactive(call, auth_v1_InactiveReason_INACTIVE_REASON_REVOKED);
    } else {
        mote_failure_answer_store(call, result);
    }
    mote_call_unref(call);
}

/* The reason of a token that `failure` tells is not good; UNSPECIFIED where it is not the token's fault. */
static auth_v1_InactiveReason reason_of(enum mote_failure_id failure)
{
    static const struct {
        enum mote_failure_id failure;
        auth_v1_InactiveReason reason;
    } reasons[] = {
        {MOTE_FAILURE_TOKEN_EXPIRED, auth_v1_InactiveReason_INACTIVE_REASON_EXPIRED},
        {MOTE_FAILURE_TOKEN_NOT_YET_VALID, auth_v1_InactiveReason_INACTIVE_REASON_NOT_YET_VALID},
        {MOTE_FAILURE_SESSION_REVOKED, auth_v1_InactiveReason_INACTIVE_REASON_REVOKED},
        {MOTE_FAILURE_TOKEN_REVOKED, auth_v1_InactiveReason_INACTIVE_REASON_REVOKED},
        {MOTE_FAILURE_TOKEN_STALE, auth_v1_InactiveReason_INACTIVE_REASON_REVOKED},
        {MOTE_FAILURE_PASSWORD_CHANGE_REQUIRED, auth_v1_InactiveReason_INACTIVE_REASON_ROLE_MISSING},
        {MOTE_FAILURE_TOKEN_INVALID, auth_v1_InactiveReason_INACTIVE_REASON_INVALID},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].failure == failure) {
            return reasons[i].reason;
        }
    }
    return auth_v1_InactiveReason_INACTIVE_REASON_UNSPECIFIED;
}

static bool may_know(const struct mote_identity *caller, const struct mote_identity *owner)
{
    return (caller->roles & (MOTE_ROLE_BIT_SERVICE | MOTE_ROLE_BIT_ADMIN)) != 0 ||
           memcmp(caller->user_id, owner->user_id, sizeof caller->user_id) == 0;
}

static bool read_role(struct mote_call *call, user_v1_Role role, uint32_t *required)
{
    *required = 0;
    if (role == user_v1_Role_ROLE_UNSPECIFIED) {
        return true;
    }
    struct mote_rules rules = {0};
    const char *refused = mote_rules_roles(required, &role, 1);
    mote_rules_note(&rules, "required_role", refused != NULL ? "must be a known role" : NULL);
    return !mote_rules_refuse(&rules, call);
}

static void validate(struct mote_call *call, const auth_v1_ValidateTokenRequest *request)
{
    struct mote_services_worker *worker = mote_services_worker_of(call);
    uint32_t required;
    if (!read_role(call, request->required_role, &required)) {
        return;
    }
    struct validate_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    struct mote_identity *identity = &operation->identity;
    enum mote_failure_id failure = mote_authenticate_token(worker, mote_slice_text(request->access_token), identity);
    auth_v1_InactiveReason reason = auth_v1_InactiveReason_INACTIVE_REASON_UNSPECIFIED;
    if (failure != MOTE_FAILURE_COUNT) {
        reason = reason_of(failure);
        if (reason == auth_v1_InactiveReason_INACTIVE_REASON_UNSPECIFIED) {
            mote_failure_answer(call, failure);
            return;
        }
    } else if ((identity->roles & required) != required) {
        reason = auth_v1_InactiveReason_INACTIVE_REASON_ROLE_MISSING;
    }
    if (!may_know(mote_call_identity(call), identity)) {
        reason = auth_v1_InactiveReason_INACTIVE_REASON_INVALID;
    }
    if (reason != auth_v1_InactiveReason_INACTIVE_REASON_UNSPECIFIED) {
        answer_inactive(call, reason);
        return;
    }
    operation->call = call;
    operation->read.key = MOTE_STORE_BY_ID_WITHOUT_HASH;
    operation->read.done = user_read;
    memcpy(operation->read.id, identity->user_id, sizeof operation->read.id);
    mote_call_ref(call);
    mote_store_get_user(mote_spans_session(call), &operation->read);
}

void auth_v1_auth_service_validate_token(struct mote_call *call, const auth_v1_ValidateTokenRequest *request)
{
    validate(call, request);
    mote_secret_wipe((void *)(uintptr_t)request->access_token, sizeof request->access_token);
}
