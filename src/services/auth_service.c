/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.v1.AuthService: Login and Logout. A login reads the user, checks the password in the pool and writes the
 * session. A name that nobody has, an account that cannot log in and a wrong password take the same way and the same
 * time, and get the same answer.
 */
#include <string.h>

#include "auth/v1/auth.mote.h"
#include "base/list.h"
#include "base/text.h"
#include "security/secret.h"
#include "services/audit.h"
#include "services/caller_address.h"
#include "services/failure.h"
#include "services/hashing.h"
#include "services/rules.h"
#include "services/tokens.h"
#include "services/worker.h"

struct login_operation {
    struct mote_hashing hashing;
    struct mote_store_get_user read;
    struct mote_store_create_session create;
    struct mote_store_audit audit;
    char password[MOTE_PASSWORD_MAX + 1];
    uint8_t refresh[MOTE_TOKENS_REFRESH_BYTES];
};

static void finish_login(struct login_operation *operation)
{
    struct mote_call *call = operation->hashing.call;
    mote_secret_wipe(operation->password, sizeof operation->password);
    mote_secret_wipe(operation->refresh, sizeof operation->refresh);
    mote_secret_wipe(operation->hashing.job.hash, sizeof operation->hashing.job.hash);
    mote_secret_wipe(operation->read.user.password_hash, sizeof operation->read.user.password_hash);
    mote_call_unref(call);
}

static void reply_to_login(struct login_operation *operation)
{
    struct mote_call *call = operation->hashing.call;
    struct mote_services_worker *worker = mote_services_worker_of(call);
    const struct mote_tokens_grant grant = {
        .user = &operation->read.user,
        .session = &operation->create.record,
        .refresh = operation->refresh,
        .refresh_expire_time = operation->create.refresh_expire_time,
    };
    auth_v1_LoginResponse response = {.has_tokens = true};
    int result = mote_tokens_issue(worker, &response.tokens, &grant);
    if (result == 0) {
        mote_uuid_format(response.user_id, operation->read.user.id);
        mote_uuid_format(response.session_id, operation->create.record.id);
        response.password_change_required = operation->read.user.password_change_required;
        mote_call_reply(call, &response);
    } else {
        mote_failure_answer_store(call, result);
    }
    mote_secret_wipe(&response.tokens, sizeof response.tokens);
}

static void session_created(struct mote_store_write *write)
{
    struct mote_store_create_session *create = MOTE_CONTAINER_OF(write, struct mote_store_create_session, write);
    struct login_operation *operation = MOTE_CONTAINER_OF(create, struct login_operation, create);
    struct mote_call *call = operation->hashing.call;
    if (write->result == 0) {
        reply_to_login(operation);
    } else if (write->result == MOTE_ENOTFOUND || write->result == MOTE_ECONFLICT) {
        mote_failure_answer(call, MOTE_FAILURE_CREDENTIALS_INVALID);
    } else {
        mote_failure_answer_store(call, write->result);
    }
    finish_login(operation);
}

/* Whatever the client says of itself, as printable ASCII. */
static void copy_user_agent(char *out, size_t size, struct mote_slice user_agent)
{
    size_t length = user_agent.length < size ? user_agent.length : size - 1;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = user_agent.data[i];
        out[i] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
    }
    out[length] = '\0';
}

static int fill_in_session(struct login_operation *operation, struct mote_services_worker *worker)
{
    const struct mote_services *services = worker->services;
    struct mote_store_create_session *create = &operation->create;
    struct mote_store_session_record *record = &create->record;
    int64_t second = (int64_t)MOTE_NS_PER_SECOND;
    int64_t now = services->clock->wall_ns(services->clock->context);
    int result = mote_tokens_new_id(worker, record->id);
    if (result == 0) {
        result = services->random->fill(services->random->context, operation->refresh, sizeof operation->refresh);
    }
    if (result != 0) {
        return result;
    }
    memcpy(record->user_id, operation->read.user.id, sizeof record->user_id);
    record->create_time = now;
    record->last_use_time = now;
    record->expire_time = now + services->refresh_absolute * second;
    copy_user_agent(record->user_agent, sizeof record->user_agent, mote_call_user_agent(operation->hashing.call));
    mote_caller_address(operation->hashing.call, record->peer_address);
    create->user_epoch = operation->read.user.epoch;
    mote_sha256(create->refresh_hash, mote_slice(operation->refresh, sizeof operation->refresh));
    strncpy(create->refresh_kid, mote_keyring_signing_kid(mote_services_worker_keyring(worker)),
            sizeof create->refresh_kid - 1);
    create->refresh_expire_time = now + services->refresh_idle * second;
    if (create->refresh_expire_time > record->expire_time) {
        create->refresh_expire_time = record->expire_time;
    }
    mote_audit_init(&operation->audit, operation->hashing.call, MOTE_STORE_AUDIT_LOGIN, record->user_id);
    operation->audit.actor = MOTE_STORE_ACTOR_USER;
    memcpy(operation->audit.actor_id, record->user_id, sizeof operation->audit.actor_id);
    memcpy(operation->audit.session_id, record->id, sizeof operation->audit.session_id);
    create->write.audit = &operation->audit;
    create->write.kind = MOTE_STORE_CREATE_SESSION;
    create->write.now = now;
    create->write.done = session_created;
    return 0;
}

static void verified(struct mote_hashing *hashing, int result)
{
    struct login_operation *operation = MOTE_CONTAINER_OF(hashing, struct login_operation, hashing);
    struct mote_call *call = hashing->call;
    struct mote_services_worker *worker = mote_services_worker_of(call);
    if (result != 0 || mote_call_is_over(call)) {
        if (result != 0) {
            mote_failure_answer_password(call, result);
        }
        finish_login(operation);
        return;
    }
    result = fill_in_session(operation, worker);
    if (result == 0) {
        result = mote_store_submit(worker->session, &operation->create.write);
    }
    if (result != 0) {
        mote_failure_answer_store(call, result);
        finish_login(operation);
    }
}

static void user_read(struct mote_store_get_user *read, int result)
{
    struct login_operation *operation = MOTE_CONTAINER_OF(read, struct login_operation, read);
    struct mote_call *call = operation->hashing.call;
    if (result != 0 && result != MOTE_ENOTFOUND) {
        mote_failure_answer_store(call, result);
        finish_login(operation);
        return;
    }
    /* An empty hash is checked against a dummy, and never fits. */
    struct mote_password_job *job = &operation->hashing.job;
    job->kind = MOTE_PASSWORD_VERIFY;
    job->hash[0] = '\0';
    if (result == 0 && read->user.state == MOTE_USER_ACTIVE) {
        memcpy(job->hash, read->user.password_hash, sizeof job->hash);
    }
    operation->hashing.done = verified;
    struct mote_slice password = mote_slice_text(operation->password);
    mote_hashing_start(&operation->hashing, password);
}

static bool is_login_complete(struct mote_call *call, const auth_v1_LoginRequest *request)
{
    struct mote_rules rules = {0};
    switch (request->which_identifier) {
    case auth_v1_LoginRequest_username_tag:
        mote_rules_note(&rules, "username", request->identifier.username[0] == '\0' ? "is required" : NULL);
        break;
    case auth_v1_LoginRequest_email_tag:
        mote_rules_note(&rules, "email", request->identifier.email[0] == '\0' ? "is required" : NULL);
        break;
    default:
        mote_rules_note(&rules, "username", "is required, or an email");
        break;
    }
    mote_rules_note(&rules, "password", request->password[0] == '\0' ? "is required" : NULL);
    return !mote_rules_refuse(&rules, call);
}

static void login(struct mote_call *call, const auth_v1_LoginRequest *request)
{
    if (!is_login_complete(call, request)) {
        return;
    }
    struct login_operation *operation = mote_arena_allocate_zeroed(mote_call_arena(call), sizeof *operation);
    if (operation == NULL) {
        mote_failure_answer(call, MOTE_FAILURE_INTERNAL_ERROR);
        return;
    }
    struct mote_store_get_user *read = &operation->read;
    if (request->which_identifier == auth_v1_LoginRequest_username_tag) {
        read->key = MOTE_STORE_BY_USERNAME;
        mote_rules_lower_username(read->text, request->identifier.username);
    } else {
        read->key = MOTE_STORE_BY_EMAIL;
        memcpy(read->text, request->identifier.email, sizeof request->identifier.email);
    }
    memcpy(operation->password, request->password, sizeof operation->password);
    operation->hashing.call = call;
    read->done = user_read;
    mote_call_ref(call);
    mote_store_get_user(mote_services_worker_of(call)->session, read);
}

void auth_v1_auth_service_login(struct mote_call *call, const auth_v1_LoginRequest *request)
{
    login(call, request);
    mote_secret_wipe((void *)(uintptr_t)request->password, sizeof request->password);
}

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
    struct logout_operation *operation = mote_arena_allocate_zeroed(mote_call_arena(call), sizeof *operation);
    if (operation == NULL) {
        mote_failure_answer(call, MOTE_FAILURE_INTERNAL_ERROR);
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
    revoke->write.now = worker->services->clock->wall_ns(worker->services->clock->context);
    operation->call = call;
    mote_call_ref(call);
    int result = mote_store_submit(worker->session, &revoke->write);
    if (result != 0) {
        mote_failure_answer_store(call, result);
        mote_call_unref(call);
    }
}
