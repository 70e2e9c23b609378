/* SPDX-License-Identifier: Apache-2.0 */
/* UpdateUser: which fields, whether this caller may change them, whether their values are right, then one write. */
#include <string.h>

#include "base/list.h"
#include "services/audit.h"
#include "services/convert.h"
#include "services/failure.h"
#include "services/rules.h"
#include "services/spans.h"
#include "services/target.h"
#include "services/worker.h"
#include "user/v1/user.mote.h"

#define CHANGED_BY_SELF ((uint32_t)(MOTE_STORE_SET_EMAIL | MOTE_STORE_SET_DISPLAY_NAME))
#define CHANGED_BY_ADMIN                                                                                               \
    (CHANGED_BY_SELF | (uint32_t)(MOTE_STORE_SET_USERNAME | MOTE_STORE_SET_ROLES | MOTE_STORE_SET_EMAIL_VERIFIED))

struct update_operation {
    struct mote_store_update_user update;
    struct mote_store_audit audit;
    struct mote_call *call;
};

/* Fields of User by name; 0: output only, ignored in a mask. */
static const struct path {
    const char *name;
    uint32_t field; /* of enum mote_store_user_field */
} paths[] = {
    {"username", MOTE_STORE_SET_USERNAME},
    {"email", MOTE_STORE_SET_EMAIL},
    {"display_name", MOTE_STORE_SET_DISPLAY_NAME},
    {"roles", MOTE_STORE_SET_ROLES},
    {"email_verified", MOTE_STORE_SET_EMAIL_VERIFIED},
    {"id", 0},
    {"state", 0},
    {"create_time", 0},
    {"update_time", 0},
    {"etag", 0},
    {"last_login_time", 0},
};

static const struct path *find_path(const char *name)
{
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (strcmp(paths[i].name, name) == 0) {
            return &paths[i];
        }
    }
    return NULL;
}

static uint32_t fields_set(const user_v1_User *user)
{
    uint32_t set = 0;
    set |= user->username[0] != '\0' ? MOTE_STORE_SET_USERNAME : 0u;
    set |= user->email[0] != '\0' ? MOTE_STORE_SET_EMAIL : 0u;
    set |= user->display_name[0] != '\0' ? MOTE_STORE_SET_DISPLAY_NAME : 0u;
    set |= user->roles_count > 0 ? MOTE_STORE_SET_ROLES : 0u;
    set |= user->email_verified ? MOTE_STORE_SET_EMAIL_VERIFIED : 0u;
    return set;
}

/* The fields to change; a mask that cannot be read is noted. */
static uint32_t read_mask(struct mote_rules *rules, const user_v1_UpdateUserRequest *request, uint32_t allowed)
{
    const google_protobuf_FieldMask *mask = &request->update_mask;
    if (!request->has_update_mask || mask->paths_count == 0) {
        return fields_set(&request->user);
    }
    if (mask->paths_count == 1 && strcmp(mask->paths[0], "*") == 0) {
        return allowed;
    }
    uint32_t set = 0;
    for (pb_size_t i = 0; i < mask->paths_count; i++) {
        const struct path *path = find_path(mask->paths[i]);
        if (path != NULL) {
            set |= path->field;
        } else if (strcmp(mask->paths[i], "*") == 0) {
            mote_rules_note(rules, "update_mask", "must have '*' alone or not at all");
        } else {
            mote_rules_note(rules, "update_mask", "must name fields of User");
        }
    }
    return set;
}

static void check_values(struct mote_rules *rules, const user_v1_User *user, uint32_t set, uint32_t *roles)
{
    if ((set & MOTE_STORE_SET_USERNAME) != 0) {
        mote_rules_note(rules, "user.username", mote_rules_username(mote_slice_text(user->username)));
    }
    if ((set & MOTE_STORE_SET_EMAIL) != 0 && user->email[0] != '\0') {
        mote_rules_note(rules, "user.email", mote_rules_email(mote_slice_text(user->email)));
    }
    if ((set & MOTE_STORE_SET_DISPLAY_NAME) != 0) {
        mote_rules_note(rules, "user.display_name", mote_rules_display_name(mote_slice_text(user->display_name)));
    }
    if ((set & MOTE_STORE_SET_ROLES) != 0) {
        mote_rules_note(rules, "user.roles", mote_rules_roles(roles, user->roles, user->roles_count));
    }
}

static void updated(struct mote_store_write *write)
{
    struct mote_store_update_user *update = MOTE_CONTAINER_OF(write, struct mote_store_update_user, write);
    struct update_operation *operation = MOTE_CONTAINER_OF(update, struct update_operation, update);
    struct mote_call *call = operation->call;
    if (write->result == 0) {
        user_v1_UpdateUserResponse response = {.has_user = true};
        mote_convert_user(&response.user, &update->user);
        mote_call_reply(call, &response);
    } else {
        mote_failure_answer_write(call, write->result, update->taken, update->conflict);
    }
    mote_call_unref(call);
}

static void submit(struct update_operation *operation)
{
    struct mote_call *call = operation->call;
    struct mote_services_worker *worker = mote_services_worker_of(call);
    struct mote_store_write *write = &operation->update.write;
    mote_audit_attach_admin(write, &operation->audit, call, MOTE_STORE_AUDIT_UPDATE_USER, operation->update.user.id);
    if (write->audit != NULL) {
        mote_audit_describe(&operation->audit, call, operation->update.set, operation->update.user.roles);
    }
    write->kind = MOTE_STORE_UPDATE_USER;
    write->done = updated;
    write->now = mote_services_worker_wall(worker);
    mote_call_ref(call);
    int result = mote_spans_submit(call, write);
    if (result != 0) {
        mote_failure_answer_store(call, result);
        mote_call_unref(call);
    }
}

void user_v1_user_service_update_user(struct mote_call *call, const user_v1_UpdateUserRequest *request)
{
    const struct mote_identity *caller = mote_call_identity(call);
    const user_v1_User *user = &request->user;
    struct update_operation *operation = mote_services_operation(call, sizeof *operation);
    if (operation == NULL) {
        return;
    }
    struct mote_user *target = &operation->update.user;
    struct mote_rules rules = {0};
    uint32_t allowed = (caller->roles & MOTE_ROLE_BIT_ADMIN) != 0 ? CHANGED_BY_ADMIN : CHANGED_BY_SELF;
    uint32_t set = read_mask(&rules, request, allowed);
    int result = mote_target_find(target->id, caller, user->id, MOTE_ROLE_BIT_ADMIN);
    if (result == MOTE_EAUTH || (set & ~allowed) != 0) {
        mote_failure_answer(call, MOTE_FAILURE_PERMISSION_DENIED);
        return;
    }
    mote_rules_note(&rules, "user.id", result != 0 ? "must be a UUID or 'me'" : NULL);
    check_values(&rules, user, set, &target->roles);
    if (mote_rules_refuse(&rules, call)) {
        return;
    }
    mote_rules_lower_username(target->username, user->username);
    memcpy(target->email, user->email, sizeof target->email);
    memcpy(target->display_name, user->display_name, sizeof target->display_name);
    target->email_verified = user->email_verified;
    operation->call = call;
    operation->update.set = set;
    operation->update.has_version = user->etag[0] != '\0';
    operation->update.version = mote_convert_etag(user->etag);
    operation->update.check_only = request->validate_only;
    submit(operation);
}
