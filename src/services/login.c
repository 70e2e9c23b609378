/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Login: reads the user, checks the password in the pool and writes the session. A name that nobody has, an account
 * that cannot log in and a wrong password take the same way and the same time, count the same, and get the same answer.
 * While hashes of several settings are about, a name that nobody has costs what the hash of some user costs, always the
 * same for the name, and each as often as there are such users.
 *
 * A hash of other settings than the configured ones is made anew after the answer, while the password is at hand. That
 * may fail: the next login tries again.
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
#include "services/password_attempt.h"
#include "services/rules.h"
#include "services/spans.h"
#include "services/tokens.h"
#include "services/worker.h"

struct login_operation {
    struct mote_hashing hashing;
    struct mote_store_get_user read;
    struct mote_store_create_session create;
    struct mote_store_audit audit;
    struct mote_store_set_password rehash;
    struct mote_throttle_attempt attempt;
    char password[MOTE_PASSWORD_MAX + 1];
    uint8_t token_id[16];
    uint8_t refresh[MOTE_TOKENS_REFRESH_BYTES];
};

static void finish_login(struct login_operation *operation)
{
    struct mote_call *call = operation->hashing.call;
    mote_secret_wipe(operation->password, sizeof operation->password);
    mote_secret_wipe(operation->refresh, sizeof operation->refresh);
    mote_secret_wipe(operation->hashing.job.hash, sizeof operation->hashing.job.hash);
    mote_secret_wipe(operation->read.user.password_hash, sizeof operation->read.user.password_hash);
    mote_secret_wipe(operation->rehash.password_hash, sizeof operation->rehash.password_hash);
    mote_call_unref(call);
}

/* --- another hash of the same password ------------------------------------------------------------------------- */

static void end_rehash(struct login_operation *operation, int result)
{
    if (result != 0) {
        mote_log(mote_services_worker_of(operation->hashing.call)->services->log, MOTE_LOG_INFO, "services",
                 "services.not_rehashed", "a password could not be hashed with the present settings",
                 mote_log_text("error", mote_error_name(result)));
    }
    finish_login(operation);
}

static void rehash_written(struct mote_store_write *write)
{
    struct mote_store_set_password *rehash = MOTE_CONTAINER_OF(write, struct mote_store_set_password, write);
    end_rehash(MOTE_CONTAINER_OF(rehash, struct login_operation, rehash), write->result);
}

static void rehashed(struct mote_hashing *hashing, int result)
{
    struct login_operation *operation = MOTE_CONTAINER_OF(hashing, struct login_operation, hashing);
    struct mote_services_worker *worker = mote_services_worker_of(hashing->call);
    struct mote_store_set_password *rehash = &operation->rehash;
    if (result == 0) {
        rehash->act = MOTE_STORE_PASSWORD_REHASH;
        rehash->user_epoch = operation->read.user.epoch;
        memcpy(rehash->user_id, operation->read.user.id, sizeof rehash->user_id);
        memcpy(rehash->password_hash, hashing->job.hash, sizeof rehash->password_hash);
        rehash->write.kind = MOTE_STORE_SET_PASSWORD;
        rehash->write.done = rehash_written;
        rehash->write.now = mote_services_worker_wall(worker);
        result = mote_spans_submit(hashing->call, &rehash->write);
    }
    if (result != 0) {
        end_rehash(operation, result);
    }
}

static void rehash_or_finish(struct login_operation *operation)
{
    struct mote_hashing *hashing = &operation->hashing;
    const struct mote_services *services = mote_services_worker_of(hashing->call)->services;
    if (!mote_password_needs_rehash(operation->read.user.password_hash,
                                    mote_password_pool_settings(services->passwords))) {
        finish_login(operation);
        return;
    }
    hashing->job.kind = MOTE_PASSWORD_HASH;
    hashing->unattended = true;
    hashing->done = rehashed;
    mote_hashing_start(hashing, mote_slice_text(operation->password));
}

/* --- the answer ------------------------------------------------------------------------------------------------ */

static void reply_to_login(struct login_operation *operation)
{
    struct mote_call *call = operation->hashing.call;
    struct mote_services_worker *worker = mote_services_worker_of(call);
    const struct mote_tokens_grant grant = {
        .token_id = operation->token_id,
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
        rehash_or_finish(operation);
        return;
    }
    if (write->result == MOTE_ENOTFOUND || write->result == MOTE_ECONFLICT) {
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
    int64_t now = mote_services_worker_wall(worker);
    int result = mote_tokens_new_id(worker, record->id);
    if (result == 0) {
        result = mote_tokens_new_id(worker, operation->token_id);
    }
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
    if (!mote_password_attempt_end(call, &operation->attempt, result, MOTE_FAILURE_CREDENTIALS_INVALID)) {
        finish_login(operation);
        return;
    }
    result = fill_in_session(operation, worker);
    if (result == 0) {
        result = mote_spans_submit(call, &operation->create.write);
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
    struct mote_password_job *job = &operation->hashing.job;
    job->kind = MOTE_PASSWORD_VERIFY;
    const bool has_hash = result == 0 && read->user.password_hash[0] != '\0';
    if (has_hash && read->user.state == MOTE_USER_ACTIVE) {
        memcpy(job->hash, read->user.password_hash, sizeof job->hash);
    } else {
        mote_password_stand_in(job->hash, has_hash ? read->user.password_hash : read->settings);
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
    struct login_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
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
    if (!mote_password_attempt_begin(call, &operation->attempt, read->text)) {
        return;
    }
    read->picks_settings = true;
    read->pick = mote_throttle_account_id(&operation->attempt);
    memcpy(operation->password, request->password, sizeof operation->password);
    operation->hashing.call = call;
    read->done = user_read;
    mote_call_ref(call);
    mote_store_get_user(mote_spans_session(call), read);
}

void auth_v1_auth_service_login(struct mote_call *call, const auth_v1_LoginRequest *request)
{
    login(call, request);
    mote_secret_wipe((void *)(uintptr_t)request->password, sizeof request->password);
}
