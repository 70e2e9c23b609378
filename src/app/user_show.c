/* SPDX-License-Identifier: Apache-2.0 */
/* `mote user show`, `set-password`, `disable`, `enable` and `delete`: one user, named by username, email address or id.
 */
#include <stdio.h>

#include "app/exit_code.h"
#include "app/prompt.h"
#include "app/store_command.h"
#include "app/user_print.h"
#include "base/text.h"
#include "security/secret.h"
#include "services/services.h"

#define OPERAND "USER"
#define WHO     "USER is a username, an email address or an id."

/* What is done with the user that was found; returns the exit code. */
typedef int action(struct mote_store_command *store, const struct mote_command_call *call, struct mote_user *user);

static int with_user(const struct mote_command_call *call, const char *method, action *act)
{
    struct mote_store_command store;
    struct mote_user user;
    int code = mote_store_command_open(&store, call, method);
    if (code == MOTE_EXIT_OK) {
        int error = mote_store_command_find_user(&store, call->operand, &user);
        code = error == 0
                   ? act(&store, call, &user)
                   : mote_store_command_tell(call->operand, error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
        mote_secret_wipe(user.password_hash, sizeof user.password_hash);
    }
    mote_store_command_close(&store);
    return code;
}

static int print(const struct mote_user *user, bool json)
{
    int error = 0;
    if (json) {
        mote_user_print_json(stdout, user, false);
    } else {
        error = mote_user_print_fields(stdout, user);
    }
    return mote_store_command_tell(user->username, error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
}

/* --- show -------------------------------------------------------------------------------------------------------- */

static const struct mote_command_flag show_flags[] = {
    {"--json", NULL, NULL, "one line of JSON, with the names of user.v1.User"},
};

static int show(struct mote_store_command *store, const struct mote_command_call *call, struct mote_user *user)
{
    (void)store;
    return print(user, call->values[0] != NULL);
}

static int run_show(const struct mote_command_call *call)
{
    return with_user(call, "user.v1.UserService/GetUser", show);
}

const struct mote_command mote_command_user_show = {
    .name = "user show",
    .operand = OPERAND,
    .meaning = "shows an account",
    .details = WHO,
    .flags = show_flags,
    .flag_count = sizeof show_flags / sizeof show_flags[0],
    .groups = MOTE_STORE_COMMAND_GROUPS,
    .run = run_show,
};

/* --- set-password ------------------------------------------------------------------------------------------------ */

static const struct mote_command_flag password_flags[] = {
    {"--require-change", NULL, NULL, "the user must change it before anything else"},
};

static int write_password(struct mote_store_command *store, const struct mote_command_call *call,
                          const struct mote_user *user, const char *password)
{
    struct mote_store_set_password set = {.write.kind = MOTE_STORE_SET_PASSWORD,
                                          .act = MOTE_STORE_PASSWORD_SET,
                                          .require_change = call->values[0] != NULL};
    memcpy(set.user_id, user->id, sizeof set.user_id);
    int error = mote_store_command_hash(store, set.password_hash, password);
    if (error == 0) {
        error = mote_store_command_write(store, &set.write,
                                         mote_store_command_audit(MOTE_STORE_AUDIT_SET_PASSWORD, user->id, ""));
    }
    mote_secret_wipe(set.password_hash, sizeof set.password_hash);
    if (error == 0) {
        printf("password of %s set; %u sessions ended\n", user->username, set.revoked_count);
    }
    return mote_store_command_tell(user->username, error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
}

static int set_password(struct mote_store_command *store, const struct mote_command_call *call, struct mote_user *user)
{
    char password[MOTE_PASSWORD_MAX + 2];
    struct mote_rules rules = {0};
    int code = MOTE_EXIT_DATA;
    if (mote_prompt_new_password(password, sizeof password)) {
        mote_rules_note(&rules, "password",
                        mote_rules_password(mote_slice_text(password), mote_slice_text(user->username),
                                            mote_slice_text(user->email)));
        code = mote_store_command_refuse(user->username, &rules) ? MOTE_EXIT_DATA
                                                                 : write_password(store, call, user, password);
    }
    mote_secret_wipe(password, sizeof password);
    return code;
}

static int run_set_password(const struct mote_command_call *call)
{
    return with_user(call, "auth.v1.AuthService/SetPassword", set_password);
}

const struct mote_command mote_command_user_set_password = {
    .name = "user set-password",
    .operand = OPERAND,
    .meaning = "gives an account a new password, and ends its sessions",
    .details = WHO " The password is taken from standard input; on a terminal it is asked for, twice.",
    .flags = password_flags,
    .flag_count = sizeof password_flags / sizeof password_flags[0],
    .groups = MOTE_STORE_COMMAND_GROUPS | 1u << MOTE_OPTION_GROUP_PASSWORDS,
    .run = run_set_password,
};

/* --- disable, enable --------------------------------------------------------------------------------------------- */

enum { FLAG_JSON, FLAG_REASON };

static const struct mote_command_flag state_flags[] = {
    [FLAG_JSON] = {"--json", NULL, NULL, "answers with the user as a line of JSON"},
    [FLAG_REASON] = {"--reason", "TEXT", "", "why: kept with the account, at most 256 bytes"},
};

static int set_state(struct mote_store_command *store, const struct mote_command_call *call, struct mote_user *user,
                     enum mote_user_state state, const char *reason)
{
    struct mote_store_set_user_state set = {.write.kind = MOTE_STORE_SET_USER_STATE, .state = state, .user = *user};
    int length = snprintf(set.reason, sizeof set.reason, "%s", reason);
    if (length < 0 || (size_t)length >= sizeof set.reason || !mote_utf8_is_valid(mote_slice_text(reason))) {
        fprintf(stderr, "mote: --reason: must be UTF-8 of at most %zu bytes\n", sizeof set.reason - 1);
        return MOTE_EXIT_DATA;
    }
    int error =
        mote_store_command_write(store, &set.write,
                                 mote_store_command_audit(state == MOTE_USER_DISABLED ? MOTE_STORE_AUDIT_DISABLE_USER
                                                                                      : MOTE_STORE_AUDIT_ENABLE_USER,
                                                          user->id, reason));
    if (error == 0 && call->values[FLAG_JSON] != NULL) {
        mote_user_print_json(stdout, &set.user, false);
    } else if (error == 0) {
        printf(state == MOTE_USER_DISABLED ? "disabled %s; %u sessions ended\n" : "enabled %s\n", user->username,
               set.revoked_count);
    }
    mote_secret_wipe(set.user.password_hash, sizeof set.user.password_hash);
    return mote_store_command_tell(user->username, error, MOTE_STORE_TAKEN_NONE, set.conflict);
}

static int disable(struct mote_store_command *store, const struct mote_command_call *call, struct mote_user *user)
{
    return set_state(store, call, user, MOTE_USER_DISABLED, call->values[FLAG_REASON]);
}

static int enable(struct mote_store_command *store, const struct mote_command_call *call, struct mote_user *user)
{
    return set_state(store, call, user, MOTE_USER_ACTIVE, "");
}

static int run_disable(const struct mote_command_call *call)
{
    return with_user(call, "user.v1.UserService/DisableUser", disable);
}

static int run_enable(const struct mote_command_call *call)
{
    return with_user(call, "user.v1.UserService/EnableUser", enable);
}

const struct mote_command mote_command_user_disable = {
    .name = "user disable",
    .operand = OPERAND,
    .meaning = "forbids an account to log in, and ends its sessions",
    .details = WHO " The last active administrator cannot be disabled.",
    .flags = state_flags,
    .flag_count = FLAG_REASON + 1,
    .groups = MOTE_STORE_COMMAND_GROUPS,
    .run = run_disable,
};

const struct mote_command mote_command_user_enable = {
    .name = "user enable",
    .operand = OPERAND,
    .meaning = "allows a disabled account to log in again",
    .details = WHO,
    .flags = state_flags,
    .flag_count = FLAG_JSON + 1,
    .groups = MOTE_STORE_COMMAND_GROUPS,
    .run = run_enable,
};

/* --- delete ------------------------------------------------------------------------------------------------------ */

static const struct mote_command_flag delete_flags[] = {
    {"--yes", NULL, NULL, "does not ask; needed where standard input is no terminal"},
};

static int delete (struct mote_store_command *store, const struct mote_command_call *call, struct mote_user *user)
{
    struct mote_store_delete_user removal = {.write.kind = MOTE_STORE_DELETE_USER};
    char question[64 + MOTE_USERNAME_MAX];
    snprintf(question, sizeof question, "Delete %s, with all sessions? This cannot be undone.", user->username);
    if (call->values[0] == NULL && !mote_prompt_confirm(question)) {
        fprintf(stderr, "mote: %s: not deleted; --yes does it without a question\n", user->username);
        return MOTE_EXIT_USAGE;
    }
    memcpy(removal.user_id, user->id, sizeof removal.user_id);
    int error = mote_store_command_write(
        store, &removal.write, mote_store_command_audit(MOTE_STORE_AUDIT_DELETE_USER, user->id, user->username));
    if (error == 0) {
        printf("deleted %s\n", user->username);
    }
    return mote_store_command_tell(user->username, error, MOTE_STORE_TAKEN_NONE, removal.conflict);
}

static int run_delete(const struct mote_command_call *call)
{
    return with_user(call, "user.v1.UserService/DeleteUser", delete);
}

const struct mote_command mote_command_user_delete = {
    .name = "user delete",
    .operand = OPERAND,
    .meaning = "deletes an account with its sessions",
    .details = WHO " It asks first. The last active administrator cannot be deleted.",
    .flags = delete_flags,
    .flag_count = sizeof delete_flags / sizeof delete_flags[0],
    .groups = MOTE_STORE_COMMAND_GROUPS,
    .run = run_delete,
};
