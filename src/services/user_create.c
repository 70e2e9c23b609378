/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CreateUser: rules, then the hash of the password in the pool, then the write. The password is wiped as soon as the
 * pool has its copy.
 *
 * A request with an id is looked for before the hash, and once more when the writer says that it is known by now. What
 * is compared is a keyed digest of the content, by the key that was signing when the user was created; where that key
 * is gone the content counts as another.
 *
 * At an open sign-up names and addresses that are taken count as failed attempts: whoever tries many is held up.
 */
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/text.h"
#include "security/secret.h"
#include "services/audit.h"
#include "services/authenticate.h"
#include "services/convert.h"
#include "services/failure.h"
#include "services/hashing.h"
#include "services/password_attempt.h"
#include "services/rules.h"
#include "services/spans.h"
#include "services/tokens.h"
#include "services/worker.h"
#include "user/v1/user.mote.h"

/* Before the name: no account that could log in is called so, and its owner is not held up. */
#define SIGNUP_ACCOUNT "sign-up "

struct create_operation {
    struct mote_hashing hashing;
    struct mote_store_create_user create;
    struct mote_store_audit audit;
    struct mote_slice password; /* still to be hashed */
    bool is_signup;             /* by nobody's administrator: attempts are counted */
    struct mote_throttle_attempt attempt;
    uint8_t content[32]; /* digest of what is asked for, not keyed: wiped */
    struct mote_store_find_request find;
    struct mote_store_get_user first; /* whom that request created */
};

static void look_for_request(struct create_operation *operation);

static void finish(struct create_operation *operation)
{
    mote_secret_wipe(operation->content, sizeof operation->content);
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
    } else if (write->result == MOTE_ECONFLICT) {
        look_for_request(operation);
        return;
    } else if (write->result == MOTE_EEXISTS && operation->is_signup) {
        /* That a name or an address is taken tells who is here: so many times, and no more. */
        (void)mote_password_attempt_end(call, &operation->attempt, MOTE_EAUTH,
                                        mote_failure_of_write(write->result, create->taken, MOTE_STORE_CONFLICT_NONE));
    } else {
        mote_failure_answer_write(call, write->result, create->taken, MOTE_STORE_CONFLICT_NONE);
    }
    finish(operation);
}

static int digest_content(const struct create_operation *operation, const char *kid, uint8_t out[32])
{
    return mote_keyring_mac(mote_services_worker_keyring(mote_services_worker_of(operation->hashing.call)), kid,
                            MOTE_KEY_REQUEST_DIGEST, mote_slice(operation->content, sizeof operation->content), out);
}

/* What the store is to know the request by. */
static int sign_request(struct mote_services_worker *worker, struct create_operation *operation)
{
    struct mote_store_request *request = operation->create.request;
    if (request == NULL) {
        return 0;
    }
    strncpy(request->kid, mote_keyring_signing_kid(mote_services_worker_keyring(worker)), sizeof request->kid - 1);
    return digest_content(operation, NULL, request->digest);
}

static void submit(struct create_operation *operation)
{
    struct mote_call *call = operation->hashing.call;
    struct mote_services_worker *worker = mote_services_worker_of(call);
    struct mote_store_create_user *create = &operation->create;
    create->write.kind = MOTE_STORE_CREATE_USER;
    create->write.done = created;
    create->write.now = mote_services_worker_wall(worker);
    int result = mote_tokens_new_id(worker, create->user.id);
    if (result == 0) {
        result = sign_request(worker, operation);
    }
    if (result == 0) {
        mote_audit_init(&operation->audit, call, MOTE_STORE_AUDIT_CREATE_USER, create->user.id);
        mote_audit_describe(&operation->audit, call, MOTE_STORE_SET_ROLES, create->user.roles);
        create->write.audit = &operation->audit;
        result = mote_spans_submit(call, &create->write);
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

static void proceed(struct create_operation *operation)
{
    struct mote_slice password = operation->password;
    if (password.length == 0) {
        submit(operation);
        return;
    }
    operation->password = mote_slice(NULL, 0);
    operation->hashing.job.kind = MOTE_PASSWORD_HASH;
    operation->hashing.done = hashed;
    mote_hashing_start(&operation->hashing, password);
}

static void found_first(struct mote_store_get_user *read, int result)
{
    struct create_operation *operation = MOTE_CONTAINER_OF(read, struct create_operation, first);
    if (result == 0) {
        operation->create.user = read->user;
        answer(operation->hashing.call, &operation->create);
    } else {
        mote_failure_answer_write(operation->hashing.call, result, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
    }
    finish(operation);
}

static void found_request(struct mote_store_find_request *find, int result)
{
    struct create_operation *operation = MOTE_CONTAINER_OF(find, struct create_operation, find);
    uint8_t digest[32];
    if (result == MOTE_ENOTFOUND) {
        proceed(operation);
        return;
    }
    if (result != 0) {
        mote_failure_answer_store(operation->hashing.call, result);
    } else if (digest_content(operation, find->request.kid, digest) != 0 ||
               !mote_secret_equals(digest, find->request.digest, sizeof digest)) {
        struct mote_rules rules = {0};
        mote_rules_note(&rules, "request_id", "belongs to a request with other content");
        (void)mote_rules_refuse(&rules, operation->hashing.call);
    } else {
        operation->first.key = MOTE_STORE_BY_ID_WITHOUT_HASH;
        memcpy(operation->first.id, find->request.user_id, sizeof operation->first.id);
        operation->first.done = found_first;
        mote_store_get_user(mote_spans_session(operation->hashing.call), &operation->first);
        return;
    }
    finish(operation);
}

static void look_for_request(struct create_operation *operation)
{
    struct mote_services_worker *worker = mote_services_worker_of(operation->hashing.call);
    operation->find.now = mote_services_worker_wall(worker);
    operation->find.done = found_request;
    mote_store_find_request(mote_spans_session(operation->hashing.call), &operation->find);
}

static size_t put(uint8_t *out, struct mote_slice field)
{
    out[0] = (uint8_t)(field.length >> 8);
    out[1] = (uint8_t)field.length;
    if (field.length > 0) {
        memcpy(out + 2, field.data, field.length);
    }
    return 2 + field.length;
}

/* The digest of all that decides what is created, each field behind its length. */
static void sum_up(struct create_operation *operation, const user_v1_CreateUserRequest *request)
{
    const struct mote_user *user = &operation->create.user;
    uint8_t bits[] = {(uint8_t)user->roles, user->email_verified, request->has_initial_password};
    const struct mote_slice fields[] = {mote_slice_text(user->username), mote_slice_text(user->email),
                                        mote_slice_text(user->display_name), mote_slice(bits, sizeof bits),
                                        operation->password};
    uint8_t content[sizeof user->username + sizeof user->email + sizeof user->display_name + sizeof bits +
                    sizeof request->initial_password + 2 * sizeof fields / sizeof fields[0]];
    size_t length = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        length += put(content + length, fields[i]);
    }
    mote_sha256(operation->content, mote_slice(content, length));
    mote_secret_wipe(content, sizeof content);
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

/* Notes what is wrong, and fills in the user to be created and the request's id. */
static void check(struct mote_rules *rules, struct create_operation *operation,
                  const user_v1_CreateUserRequest *request, bool is_admin)
{
    const user_v1_User *user = &request->user;
    if (request->has_user) {
        mote_rules_new_user(rules, &operation->create.user, user, is_admin);
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
    if (request->request_id[0] != '\0' &&
        mote_uuid_parse(operation->find.request.id, mote_slice_text(request->request_id)) != 0) {
        mote_rules_note(rules, "request_id", "must be a UUID");
    }
}

static void create_user(struct mote_call *call, const user_v1_CreateUserRequest *request)
{
    bool is_admin = false;
    if (!find_creator(call, &is_admin)) {
        return;
    }
    struct create_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    struct mote_rules rules = {0};
    check(&rules, operation, request, is_admin);
    if (mote_rules_refuse(&rules, call)) {
        return;
    }
    operation->is_signup = !is_admin;
    if (operation->is_signup) {
        char account[sizeof operation->create.user.username + sizeof SIGNUP_ACCOUNT];
        (void)snprintf(account, sizeof account, SIGNUP_ACCOUNT "%s", operation->create.user.username);
        if (!mote_password_attempt_begin(call, &operation->attempt, account)) {
            return;
        }
    }
    operation->create.check_only = request->validate_only;
    operation->hashing.call = call;
    mote_call_ref(call);
    if (request->validate_only) {
        submit(operation);
        return;
    }
    if (request->has_initial_password) {
        operation->password = mote_slice_text(request->initial_password);
    }
    if (request->request_id[0] == '\0') {
        proceed(operation);
        return;
    }
    const struct mote_identity *identity = mote_call_identity(call);
    if (identity != NULL) {
        memcpy(operation->find.request.caller, identity->user_id, sizeof identity->user_id);
    }
    operation->create.request = &operation->find.request;
    sum_up(operation, request);
    look_for_request(operation);
}

void user_v1_user_service_create_user(struct mote_call *call, const user_v1_CreateUserRequest *request)
{
    create_user(call, request);
    mote_secret_wipe((void *)(uintptr_t)request->initial_password, sizeof request->initial_password);
}
