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

static void answer(struct mote_call *call, const struct mote_store_create_user *create)
{
    user_v1_CreateUserResponse response = {.has_user = true};
    mote_convert_user(&response.user, &create->user);
    if (create->check_only) {
        /* What only a user who exists has. */
        response.user.id[0] = '\0';
        response.user.etag[0] = '\0';
        response.user.has_create_time = false;
        response.user.has_update_time = false;
    }
    mote_call_reply(call, &response);
}

static void created(struct mote_store_write *write)
{
    struct mote_store_create_user *create = MOTE_CONTAINER_OF(write, struct mote_store_create_user, write);
    struct create_operation *operation = MOTE_CONTAINER_OF(create, struct create_operation, create);
    struct mote_call *call = operation->hashing.call;
    if (write->result == 0) {
        answer(call, create);
    } else {
        mote_failure_answer_write(call, write->result, create->taken, MOTE_STORE_CONFLICT_NONE);
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
        mote_audit_describe(&operation->audit, call, MOTE_STORE_SET_ROLES, create->user.roles);
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

/* Notes what is wrong, and fills in the user to be created. */
static void check(struct mote_rules *rules, struct mote_user *out, const user_v1_CreateUserRequest *request,
                  bool is_admin)
{
    const user_v1_User *user = &request->user;
    if (request->has_user) {
        mote_rules_new_user(rules, out, user, is_admin);
    } else {
        mote_rules_note(rules, "user", "is required");
    }
    if (request->has_initial_password) {
        mote_rules_note(rules, "initial_password",
                        mote_rules_password(mote_slice_text(request->initial_password), mote_slice_text(user->username),
                                            mote_slice_text(user->email)));
    } else if (!is_admin) {
        mote_rules_note(rules, "initial_password", "is required");
    }
    mote_rules_note_unsupported(rules, "request_id", request->request_id[0] != '\0');
}

static void create_user(struct mote_call *call, const user_v1_CreateUserRequest *request)
{
    bool is_admin = false;
    if (!find_creator(call, &is_admin)) {
        return;
    }
    struct create_operation *operation = mote_arena_allocate_zeroed(mote_call_arena(call), sizeof *operation);
    if (operation == NULL) {
        mote_failure_answer(call, MOTE_FAILURE_INTERNAL_ERROR);
        return;
    }
    struct mote_rules rules = {0};
    check(&rules, &operation->create.user, request, is_admin);
    if (mote_rules_refuse(&rules, call)) {
        return;
    }
    operation->create.check_only = request->validate_only;
    operation->hashing.call = call;
    mote_call_ref(call);
    if (!request->has_initial_password || request->validate_only) {
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
