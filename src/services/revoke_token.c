/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RevokeToken (RFC 7009): whoever has a token may end it, and learns nothing else by it. A refresh token ends its
 * session; an access token ends alone, by its id, and so in every spelling. The two differ in shape, so nothing hangs
 * on the hint.
 */
#include <string.h>

#include "auth/v1/auth.mote.h"
#include "base/list.h"
#include "security/secret.h"
#include "services/audit.h"
#include "services/authenticate.h"
#include "services/failure.h"
#include "services/spans.h"
#include "services/tokens.h"
#include "services/worker.h"

struct revoke_operation {
    struct mote_store_find_refresh find;
    struct mote_store_revoke_sessions session;
    struct mote_store_revoke_token token;
    struct mote_store_audit audit;
    struct mote_call *call;
};

static void reply(struct mote_call *call)
{
    const auth_v1_RevokeTokenResponse response = {0};
    mote_call_reply(call, &response);
}

static void answer(struct mote_call *call, int result)
{
    if (result == 0 || result == MOTE_ENOTFOUND) {
        reply(call);
    } else {
        mote_failure_answer_store(call, result);
    }
    mote_call_unref(call);
}

static void session_revoked(struct mote_store_write *write)
{
    struct mote_store_revoke_sessions *session = MOTE_CONTAINER_OF(write, struct mote_store_revoke_sessions, write);
    answer(MOTE_CONTAINER_OF(session, struct revoke_operation, session)->call, write->result);
}

static void token_revoked(struct mote_store_write *write)
{
    struct mote_store_revoke_token *token = MOTE_CONTAINER_OF(write, struct mote_store_revoke_token, write);
    answer(MOTE_CONTAINER_OF(token, struct revoke_operation, token)->call, write->result);
}

/* Answers only when it cannot be submitted. */
static void submit(struct revoke_operation *operation, struct mote_store_write *write)
{
    struct mote_services_worker *worker = mote_services_worker_of(operation->call);
    write->now = mote_services_worker_wall(worker);
    write->audit = &operation->audit;
    int result = mote_spans_submit(operation->call, write);
    if (result != 0) {
        answer(operation->call, result);
    }
}

static void found(struct mote_store_find_refresh *find, int result)
{
    struct revoke_operation *operation = MOTE_CONTAINER_OF(find, struct revoke_operation, find);
    if (result != 0) {
        answer(operation->call, result);
        return;
    }
    mote_audit_init(&operation->audit, operation->call, MOTE_STORE_AUDIT_REVOKE_TOKEN, NULL);
    memcpy(operation->audit.session_id, find->session_id, sizeof find->session_id);
    operation->session.scope = MOTE_STORE_SCOPE_ONE;
    memcpy(operation->session.session_id, find->session_id, sizeof find->session_id);
    operation->session.write.kind = MOTE_STORE_REVOKE_SESSIONS;
    operation->session.write.done = session_revoked;
    submit(operation, &operation->session.write);
}

static void revoke_access(struct revoke_operation *operation, struct mote_slice text)
{
    struct mote_services_worker *worker = mote_services_worker_of(operation->call);
    struct mote_store_revoke_token *token = &operation->token;
    struct mote_identity identity;
    enum mote_failure_id failure = mote_authenticate_token(worker, text, &identity);
    if (failure == MOTE_FAILURE_TOKEN_INVALID || failure == MOTE_FAILURE_TOKEN_EXPIRED ||
        failure == MOTE_FAILURE_SESSION_REVOKED || failure == MOTE_FAILURE_TOKEN_REVOKED) {
        reply(operation->call);
        return;
    }
    /* A stale one may be so to this worker only, and until it ends. */
    if (failure != MOTE_FAILURE_COUNT && failure != MOTE_FAILURE_TOKEN_NOT_YET_VALID &&
        failure != MOTE_FAILURE_TOKEN_STALE && failure != MOTE_FAILURE_PASSWORD_CHANGE_REQUIRED) {
        mote_failure_answer(operation->call, failure);
        return;
    }
    mote_audit_init(&operation->audit, operation->call, MOTE_STORE_AUDIT_REVOKE_TOKEN, identity.user_id);
    memcpy(operation->audit.session_id, identity.session_id, sizeof identity.session_id);
    memcpy(token->token_id, identity.token_id, sizeof token->token_id);
    memcpy(token->session_id, identity.session_id, sizeof token->session_id);
    token->expire_time = (identity.expires_at + worker->services->policy.leeway) * (int64_t)MOTE_NS_PER_SECOND;
    token->write.kind = MOTE_STORE_REVOKE_TOKEN;
    token->write.done = token_revoked;
    mote_call_ref(operation->call);
    submit(operation, &token->write);
}

static void revoke(struct mote_call *call, struct mote_slice text)
{
    uint8_t refresh[MOTE_TOKENS_REFRESH_BYTES];
    struct revoke_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    operation->call = call;
    if (!mote_tokens_read_refresh(refresh, text)) {
        revoke_access(operation, text);
        return;
    }
    mote_sha256(operation->find.hash, mote_slice(refresh, sizeof refresh));
    mote_secret_wipe(refresh, sizeof refresh);
    operation->find.done = found;
    mote_call_ref(call);
    mote_store_find_refresh(mote_spans_session(call), &operation->find);
}

void auth_v1_auth_service_revoke_token(struct mote_call *call, const auth_v1_RevokeTokenRequest *request)
{
    revoke(call, mote_slice_text(request->token));
    mote_secret_wipe((void *)(uintptr_t)request->token, sizeof request->token);
}
