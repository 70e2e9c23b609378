/* SPDX-License-Identifier: Apache-2.0 */
/* CreateUser: rules, then the hash of the password in the pool, then the write. The password is wiped as soon as the
 * pool has its copy. */
#include <string.h>

#include "base/list.h"
#include "security/secret.h"
#include "services/audit.h"
#include "services/authenticate.h"
#include "services/convert.h"
#include "services/failure.h"
#include "services/hashing.h"
#include "services/rules.h"
#include "services/tokens.h"
#include "services/worker.h"
#include "user/v1/user.mote.h"

struct create_operation {
    struct mote_hashing hashing;
    struct mote_store_create_user create;
    struct mote_store_audit audit;
};

static void finish(struct create_operation *operation)
{
    mote_secret_wipe(operation->create.user.password_hash, sizeof operation->create.user.password_hash);
    mote_call_unref(operation->hashing.call);
}

static void created(struct mote_store_write *write)
{
    struct mote_store_create_user *create = MOTE_CONTAINER_OF(write, struct mote_store_create_user, write);
    struct create_operation *operation = MOTE_CONTAINER_OF(create, struct create_operation, create);
    struct mote_call *call = operation->hashing.call;
    if (write->result == 0) {
        user_v1_CreateUserResponse response = {.has_user = true};
        mote_convert_user(&response.user, &create->user);
        mote_call_reply(call, &response);
    } else if (write->result == MOTE_EEXISTS) {
        mote_failure_answer(call, create->taken == MOTE_STORE_TAKEN_EMAIL ? MOTE_FAILURE_EMAIL_TAKEN
                                                                          : MOTE_FAILURE_USERNAME_TAKEN);
    } else {
        mote_failure_answer_store(call, write->result);
    }
    finish(operation);
}

static void submit(struct create_operation *operation)
{
    struct mote_call *call = operation->hashing.call;
    struct mote_services_worker *worker = mote_services_worker_of(call);
    struct mote_store_create_user *create = &operation->create;
    create->write.kind = MOTE_STORE_CREATE_USER;
    create->write.done = created;
    create->write.now = worker->services->clock->wall_ns(worker->services->clock->context);
    int result = mote_tokens_new_id(worker, create->user.id);
    if (result == 0) {
        mote_audit_init(&operation->audit, call, MOTE_STORE_AUDIT_CREATE_USER, create->user.id);
        create->write.audit = &operation->audit;
        result = mote_store_submit(worker->session, &create->write);
    }
    if (result != 0) {
        mote_failure_answer_store(call, result);
        finish(operation);
    }
}

static void hashed(struct mote_hashing *hashing, int result)
{
    struct create_operation *operation = MOTE_CONTAINER_OF(hashing, struct create_operation, hashing);
    if (result != 0 || mote_call_is_over(hashing->call)) {
        if (result != 0) {
            mote_failure_answer_password(hashing->call, result);
        }
        finish(operation);
        return;
    }
    memcpy(operation->create.user.password_hash, hashing->job.hash, sizeof hashing->job.hash);
    mote_secret_wipe(hashing->job.hash, sizeof hashing->job.hash);
    submit(operation);
}

/* Whether the caller is an administrator. False with the call ended when the credentials are no good: at an open
 * sign-up they are not needed, but whoever shows some wants them to count. */
static bool find_creator(struct mote_call *call, bool *is_admin)
{
    if (mote_call_identity(call) == NULL && mote_slice_is_present(mote_call_authorization(call))) {
        mote_authenticate_start(NULL, call);
        if (mote_call_is_over(call)) {
            return false;
        }
    }
    const struct mote_identity *identity = mote_call_identity(call);
    *is_admin = identity != NULL && (identity->roles & MOTE_ROLE_BIT_ADMIN) != 0;
    return true;
}

static bool is_allowed(struct mote_call *call, const user_v1_CreateUserRequest *request, bool is_admin, uint32_t *roles)
{
    const user_v1_User *user = &request->user;
    struct mote_rules rules = {0};
    if (!request->has_user) {
        mote_rules_note(&rules, "user", "is required");
    } else {
        struct mote_slice email = mote_slice_text(user->email);
        mote_rules_note(&rules, "user.username", mote_rules_username(mote_slice_text(user->username)));
        mote_rules_note(&rules, "user.email", email.length > 0 ? mote_rules_email(email) : NULL);
        mote_rules_note(&rules, "user.display_name", mote_rules_display_name(mote_slice_text(user->display_name)));
    }
    *roles = MOTE_ROLE_BIT_USER;
    if (is_admin) {
        mote_rules_note(&rules, "user.roles", mote_rules_roles(roles, user->roles, user->roles_count));
    }
    if (request->has_initial_password) {
        mote_rules_note(&rules, "initial_password",
                        mote_rules_password(mote_slice_text(request->initial_password), mote_slice_text(user->username),
                                            mote_slice_text(user->email)));
    } else if (!is_admin) {
        mote_rules_note(&rules, "initial_password", "is required");
    }
    mote_rules_note_unsupported(&rules, "request_id", request->request_id[0] != '\0');
    mote_rules_note_unsupported(&rules, "validate_only", request->validate_only);
    return !mote_rules_refuse(&rules, call);
}

static void fill_in(struct mote_user *out, const user_v1_User *user, bool is_admin, uint32_t roles)
{
    mote_rules_lower_username(out->username, user->username);
    memcpy(out->email, user->email, sizeof out->email);
    memcpy(out->display_name, user->display_name, sizeof out->display_name);
    out->roles = roles;
    out->state = MOTE_USER_ACTIVE;
    out->email_verified = is_admin && user->email_verified;
}

static void create_user(struct mote_call *call, const user_v1_CreateUserRequest *request)
{
    bool is_admin = false;
    uint32_t roles;
    if (!find_creator(call, &is_admin) || !is_allowed(call, request, is_admin, &roles)) {
        return;
    }
    struct create_operation *operation = mote_arena_allocate_zeroed(mote_call_arena(call), sizeof *operation);
    if (operation == NULL) {
        mote_failure_answer(call, MOTE_FAILURE_INTERNAL_ERROR);
        return;
    }
    fill_in(&operation->create.user, &request->user, is_admin, roles);
    operation->hashing.call = call;
    mote_call_ref(call);
    if (!request->has_initial_password) {
        submit(operation);
        return;
    }
    operation->hashing.job.kind = MOTE_PASSWORD_HASH;
    operation->hashing.done = hashed;
    mote_hashing_start(&operation->hashing, mote_slice_text(request->initial_password));
}

void user_v1_user_service_create_user(struct mote_call *call, const user_v1_CreateUserRequest *request)
{
    create_user(call, request);
    mote_secret_wipe((void *)(uintptr_t)request->initial_password, sizeof request->initial_password);
}
