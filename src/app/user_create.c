/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mote user create`: makes an account in the store itself, without a server: how the first administrator comes to be.
 * The rules are those of the service.
 */
#include <stdio.h>

#include "app/exit_code.h"
#include "app/prompt.h"
#include "app/store_command.h"
#include "app/user_print.h"
#include "base/text.h"
#include "security/password.h"
#include "security/secret.h"
#include "services/audit.h"
#include "services/rules.h"
#include "services/services.h"

enum { FLAG_USERNAME, FLAG_ROLE, FLAG_EMAIL, FLAG_DISPLAY_NAME, FLAG_PASSWORD_STDIN, FLAG_JSON };

static const struct mote_command_flag flags[] = {
    [FLAG_USERNAME] = {"--username", "NAME", NULL, "3 to 32 characters; required"},
    [FLAG_ROLE] = {"--role", "ROLES", "USER", "USER, SERVICE or ADMIN; several with commas between them"},
    [FLAG_EMAIL] = {"--email", "ADDRESS", "", "an address"},
    [FLAG_DISPLAY_NAME] = {"--display-name", "NAME", "", "a name for people"},
    [FLAG_PASSWORD_STDIN] = {"--password-stdin", NULL, NULL,
                             "takes the password from standard input, on a terminal it asks for it; without it the "
                             "account cannot log in"},
    [FLAG_JSON] = {"--json", NULL, NULL, "answers with the user as a line of JSON"},
};

static bool copy(char *out, size_t size, const char *text)
{
    int length = snprintf(out, size, "%s", text);
    return length >= 0 && (size_t)length < size;
}

/* Checks what was given and fills in the record but for the hash. False with a line for each thing that is wrong.
 * `password`: NULL for none. */
static bool fill_user(struct mote_user *user, const char *const *values, const char *password)
{
    user_v1_User message = user_v1_User_init_zero;
    user_v1_Role roles[MOTE_CONVERT_ROLES_MAX + 1];
    struct mote_rules rules = {0};
    size_t count = mote_user_print_parse_roles(roles, values[FLAG_ROLE]);
    if (!copy(message.username, sizeof message.username, values[FLAG_USERNAME]) ||
        !copy(message.email, sizeof message.email, values[FLAG_EMAIL]) ||
        !copy(message.display_name, sizeof message.display_name, values[FLAG_DISPLAY_NAME])) {
        fprintf(stderr, "mote: user create: a name or the address is too long\n");
        return false;
    }
    mote_rules_new_user(&rules, user, &message, false);
    mote_rules_note(&rules, "roles", mote_rules_roles(&user->roles, roles, count));
    if (password != NULL) {
        mote_rules_note(&rules, "password",
                        mote_rules_password(mote_slice_text(password), mote_slice_text(message.username),
                                            mote_slice_text(message.email)));
    }
    return !mote_store_command_refuse("user create", &rules);
}

static int create_user(struct mote_store_command *store, struct mote_user *user, const char *password, bool json)
{
    char id[MOTE_UUID_TEXT_LENGTH];
    char fields[MOTE_AUDIT_FIELDS_MAX];
    struct mote_store_create_user create = {.write.kind = MOTE_STORE_CREATE_USER, .user = *user};
    int error = password != NULL ? mote_store_command_hash(store, create.user.password_hash, password) : 0;
    if (error == 0) {
        error = mote_store_command_new_id(create.user.id, mote_store_command_now());
    }
    if (error == 0) {
        error = mote_store_command_write(
            store, &create.write,
            mote_store_command_audit(MOTE_STORE_AUDIT_CREATE_USER, create.user.id,
                                     mote_audit_fields(fields, MOTE_STORE_SET_ROLES, create.user.roles)));
    }
    mote_secret_wipe(create.user.password_hash, sizeof create.user.password_hash);
    if (error == 0 && json) {
        mote_user_print_json(stdout, &create.user, false);
    } else if (error == 0) {
        mote_uuid_format(id, create.user.id);
        printf("created %s %.*s\n", create.user.username, (int)sizeof id, id);
    }
    return mote_store_command_tell(user->username, error, create.taken, MOTE_STORE_CONFLICT_NONE);
}

static int run(const struct mote_command_call *call)
{
    struct mote_store_command store;
    struct mote_user user = {0};
    char typed[MOTE_PASSWORD_MAX + 2] = "";
    const char *password = call->values[FLAG_PASSWORD_STDIN] != NULL ? typed : NULL;
    int code = MOTE_EXIT_DATA;
    if (call->values[FLAG_USERNAME] == NULL) {
        fprintf(stderr, "mote: --username is missing\n");
        return MOTE_EXIT_USAGE;
    }
    if ((password == NULL || mote_prompt_new_password(typed, sizeof typed)) &&
        fill_user(&user, call->values, password)) {
        code = mote_store_command_open(&store, call, "user.v1.UserService/CreateUser");
        if (code == MOTE_EXIT_OK) {
            code = create_user(&store, &user, password, call->values[FLAG_JSON] != NULL);
        }
        mote_store_command_close(&store);
    }
    mote_secret_wipe(typed, sizeof typed);
    return code;
}

const struct mote_command mote_command_user_create = {
    .name = "user create",
    .meaning = "makes an account, while no server runs on the store",
    .details = "This is how the first administrator comes to be. The rules are those of CreateUser.",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .groups = MOTE_STORE_COMMAND_GROUPS | 1u << MOTE_OPTION_GROUP_PASSWORDS,
    .makes_store = true,
    .run = run,
};
