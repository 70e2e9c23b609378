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

static bool refuse(const char *flag, const char *why)
{
    if (why != NULL) {
        fprintf(stderr, "mote: %s: %s\n", flag, why);
    }
    return why != NULL;
}

/* Checks what was given and fills in the record but for the hash. False with a line for each thing that is wrong.
 * `password`: NULL for none. */
static bool fill_user(struct mote_user *user, const char *const *values, const char *password)
{
    struct mote_slice username = mote_slice_text(values[FLAG_USERNAME]);
    struct mote_slice email = mote_slice_text(values[FLAG_EMAIL]);
    user_v1_Role roles[MOTE_CONVERT_ROLES_MAX + 1];
    size_t count = mote_user_print_parse_roles(roles, values[FLAG_ROLE]);
    bool refused = refuse("--username", mote_rules_username(username));
    refused |= email.length > 0 && refuse("--email", mote_rules_email(email));
    refused |= refuse("--display-name", mote_rules_display_name(mote_slice_text(values[FLAG_DISPLAY_NAME])));
    refused |= refuse("--role", mote_rules_roles(&user->roles, roles, count));
    refused |=
        password != NULL && refuse("the password", mote_rules_password(mote_slice_text(password), username, email));
    if (refused) {
        return false;
    }
    mote_rules_lower_username(user->username, values[FLAG_USERNAME]);
    snprintf(user->email, sizeof user->email, "%s", values[FLAG_EMAIL]);
    snprintf(user->display_name, sizeof user->display_name, "%s", values[FLAG_DISPLAY_NAME]);
    user->state = MOTE_USER_ACTIVE;
    return true;
}

static int create_user(struct mote_store_command *store, struct mote_user *user, const char *password, bool json)
{
    char id[MOTE_UUID_TEXT_LENGTH];
    struct mote_store_create_user create = {.write.kind = MOTE_STORE_CREATE_USER, .user = *user};
    int error = password != NULL ? mote_store_command_hash(store, create.user.password_hash, password) : 0;
    if (error == 0) {
        error = mote_store_command_new_id(create.user.id, mote_store_command_now());
    }
    if (error == 0) {
        error = mote_store_command_write(store, &create.write);
    }
    mote_secret_wipe(create.user.password_hash, sizeof create.user.password_hash);
    if (error == 0 && json) {
        mote_user_print_json(stdout, &create.user, false);
    } else if (error == 0) {
        mote_uuid_format(id, create.user.id);
        printf("created %s %.*s\n", create.user.username, (int)sizeof id, id);
    }
    return mote_store_command_tell(error, mote_store_command_taken(error, create.taken), user->username);
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
    .run = run,
};
