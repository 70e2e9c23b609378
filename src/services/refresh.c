/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RefreshToken (RFC 9700 §4.14.2). The successor is an HMAC of its parent, so it is known before the write, and can be
 * given again when an answer was lost; the store decides which of the four things has happened.
 */
#include <string.h>

#include "auth/v1/auth.mote.h"
#include "base/list.h"
#include "security/secret.h"
#include "services/audit.h"
#include "services/failure.h"
#include "services/spans.h"
#include "services/tokens.h"
#include "services/worker.h"

#define GRACE_SECONDS 10

struct refresh_operation {
    struct mote_store_find_refresh find;
    struct mote_store_rotate_refresh rotate;
    struct mote_store_audit audit;
    struct mote_call *call;
    uint8_t token_id[16];
    uint8_t parent[MOTE_TOKENS_REFRESH_BYTES];
    uint8_t successor[MOTE_TOKENS_REFRESH_BYTES];
};

static void finish(struct refresh_operation *operation)
{
    mote_secret_wipe(operation->parent, sizeof operation->parent);
    mote_secret_wipe(operation->successor, sizeof operation->successor);
    mote_call_unref(operation->call);
}

static void reply(struct refresh_operation *operation)
{
    struct mote_services_worker *worker = mote_services_worker_of(operation->call);
    const struct mote_tokens_grant grant = {
        .token_id = operation->token_id,
        .user = &operation->rotate.user,
        .session = &operation->rotate.record,
        .refresh = operation->successor,
        .refresh_expire_time = operation->rotate.refresh_expire_time,
    };
    auth_v1_RefreshTokenResponse response = {.has_tokens = true};
    int result = mote_tokens_issue(worker, &response.tokens, &grant);
    if (result == 0) {
        mote_call_reply(operation->call, &response);
    } else {
        mote_failure_answer_store(operation->call, result);
    }
    mote_secret_wipe(&response.tokens, sizeof response.tokens);
}

static void answer(struct refresh_operation *operation)
{
    switch (operation->rotate.outcome) {
    case MOTE_STORE_ROTATED:
    case MOTE_STORE_REPEATED:
        reply(operation);
        return;
    case MOTE_STORE_REUSED:
        mote_failure_answer(operation->call, MOTE_FAILURE_REFRESH_TOKEN_REUSED);
        return;
    case MOTE_STORE_INVALID:
        mote_failure_answer(operation->call, MOTE_FAILURE_REFRESH_TOKEN_INVALID);
        return;
    }
}

static void rotated(struct mote_store_write *write)
{
    struct mote_store_rotate_refresh *rotate = MOTE_CONTAINER_OF(write, struct mote_store_rotate_refresh, write);
    struct refresh_operation *operation = MOTE_CONTAINER_OF(rotate, struct refresh_operation, rotate);
    if (write->result == 0) {
        answer(operation);
    } else {
        mote_failure_answer_store(operation->call, write->result);
    }
    finish(operation);
}

static int derive_successor(struct refresh_operation *operation, const struct mote_keyring *keyring)
{
    struct mote_slice parent = mote_slice(operation->parent, sizeof operation->parent);
    int result =
        mote_keyring_mac(keyring, operation->find.kid, MOTE_KEY_REFRESH_SUCCESSOR, parent, operation->successor);
    if (result == MOTE_ENOTFOUND) {
        /* Its key is gone. If the first use was with the present one, the answer is the same again; if not, the store
         * does not know the successor. */
        result = mote_keyring_mac(keyring, NULL, MOTE_KEY_REFRESH_SUCCESSOR, parent, operation->successor);
    }
    return result;
}

static int submit(struct refresh_operation *operation)
{
    struct mote_services_worker *worker = mote_services_worker_of(operation->call);
    const struct mote_services *services = worker->services;
    struct mote_store_rotate_refresh *rotate = &operation->rotate;
    int result = derive_successor(operation, mote_services_worker_keyring(worker));
    if (result == 0) {
        result = mote_tokens_new_id(worker, operation->token_id);
    }
    if (result != 0) {
        return result;
    }
    int64_t second = (int64_t)MOTE_NS_PER_SECOND;
    memcpy(rotate->hash, operation->find.hash, sizeof rotate->hash);
    mote_sha256(rotate->successor_hash, mote_slice(operation->successor, sizeof operation->successor));
    strncpy(rotate->successor_kid, mote_keyring_signing_kid(mote_services_worker_keyring(worker)),
            sizeof rotate->successor_kid - 1);
    rotate->grace = GRACE_SECONDS * second;
    mote_audit_init(&operation->audit, operation->call, MOTE_STORE_AUDIT_REFRESH, NULL);
    operation->audit.result = mote_failure_row(MOTE_FAILURE_REFRESH_TOKEN_REUSED)->reason;
    rotate->write.audit = &operation->audit;
    rotate->write.kind = MOTE_STORE_ROTATE_REFRESH;
    rotate->write.done = rotated;
    rotate->write.now = mote_services_worker_wall(worker);
    rotate->successor_expire_time = rotate->write.now + services->refresh_idle * second;
    return mote_spans_submit(operation->call, &rotate->write);
}

static void found(struct mote_store_find_refresh *find, int result)
{
    struct refresh_operation *operation = MOTE_CONTAINER_OF(find, struct refresh_operation, find);
    if (result == 0) {
        result = submit(operation);
    }
    if (result == MOTE_ENOTFOUND) {
        mote_failure_answer(operation->call, MOTE_FAILURE_REFRESH_TOKEN_INVALID);
        finish(operation);
    } else if (result != 0) {
        mote_failure_answer_store(operation->call, result);
        finish(operation);
    }
}

static void refresh(struct mote_call *call, const auth_v1_RefreshTokenRequest *request)
{
    struct refresh_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    if (!mote_tokens_read_refresh(operation->parent, mote_slice_text(request->refresh_token))) {
        mote_failure_answer(call, MOTE_FAILURE_REFRESH_TOKEN_INVALID);
        return;
    }
    operation->call = call;
    operation->find.done = found;
    mote_sha256(operation->find.hash, mote_slice(operation->parent, sizeof operation->parent));
    mote_call_ref(call);
    mote_store_find_refresh(mote_spans_session(call), &operation->find);
}

void auth_v1_auth_service_refresh_token(struct mote_call *call, const auth_v1_RefreshTokenRequest *request)
{
    refresh(call, request);
    mote_secret_wipe((void *)(uintptr_t)request->refresh_token, sizeof request->refresh_token);
}
