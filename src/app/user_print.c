/* SPDX-License-Identifier: Apache-2.0 */
/* See user_print.h. Both forms are made from the message that the service answers with. */
#include "app/user_print.h"

#include <string.h>
#include <strings.h>

#include "app/json_out.h"
#include "base/clock.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ROLES_TEXT   64u /* all of them, with commas */

static const char *const role_names[] = {"ROLE_UNSPECIFIED", "ROLE_USER", "ROLE_SERVICE", "ROLE_ADMIN"};

const char *mote_user_print_role(user_v1_Role role)
{
    return (size_t)role < COUNT(role_names) ? role_names[role] : "ROLE_UNKNOWN";
}

static user_v1_Role role_of(const char *name, size_t length)
{
    for (size_t i = 1; i < COUNT(role_names); i++) {
        const char *whole = role_names[i];
        if ((strlen(whole) == length && strncasecmp(whole, name, length) == 0) ||
            (strlen(whole + 5) == length && strncasecmp(whole + 5, name, length) == 0)) {
            return (user_v1_Role)i;
        }
    }
    return user_v1_Role_ROLE_UNSPECIFIED;
}

size_t mote_user_print_parse_roles(user_v1_Role out[MOTE_CONVERT_ROLES_MAX + 1], const char *text)
{
    size_t count = 0;
    while (count <= MOTE_CONVERT_ROLES_MAX && *text != '\0') {
        size_t length = strcspn(text, ",");
        out[count++] = role_of(text, length);
        text += length + (text[length] == ',' ? 1 : 0);
    }
    return count;
}

/* What the cells and fields of a user are: its message, and texts for what is none in it. */
struct shown {
    user_v1_User message;
    char roles[ROLES_TEXT];
    const char *state;
    char created[MOTE_TIME_TEXT_SIZE], updated[MOTE_TIME_TEXT_SIZE], last_login[MOTE_TIME_TEXT_SIZE];
};

static void fill(struct shown *out, const struct mote_user *user)
{
    *out = (struct shown){.state = user->state == MOTE_USER_ACTIVE ? "ACTIVE" : "DISABLED"};
    mote_convert_user(&out->message, user);
    for (pb_size_t i = 0; i < out->message.roles_count; i++) {
        strcat(out->roles, i > 0 ? "," : "");
        strcat(out->roles, mote_user_print_role(out->message.roles[i]) + 5);
    }
    mote_time_format(out->created, sizeof out->created, user->create_time, 0);
    mote_time_format(out->updated, sizeof out->updated, user->update_time, 0);
    if (user->last_login_time != 0) {
        mote_time_format(out->last_login, sizeof out->last_login, user->last_login_time, 0);
    }
}

int mote_user_print_begin(struct mote_table *table, FILE *out)
{
    static const char *const titles[] = {"USERNAME", "ROLES", "STATE", "EMAIL", "NAME", "CREATED", "LAST LOGIN", "ID"};
    return mote_table_init(table, out, titles, COUNT(titles));
}

int mote_user_print_row(struct mote_table *table, const struct mote_user *user)
{
    struct shown shown;
    fill(&shown, user);
    const char *const cells[] = {shown.message.username,     shown.roles,   shown.state,      shown.message.email,
                                 shown.message.display_name, shown.created, shown.last_login, shown.message.id};
    return mote_table_add(table, cells);
}

int mote_user_print_fields(FILE *out, const struct mote_user *user)
{
    struct shown shown;
    struct mote_table table;
    static const char *const titles[] = {"FIELD", "VALUE"};
    fill(&shown, user);
    const char *const rows[][2] = {
        {"id", shown.message.id},
        {"username", shown.message.username},
        {"email", shown.message.email},
        {"email verified", user->email_verified ? "yes" : "no"},
        {"display name", shown.message.display_name},
        {"roles", shown.roles},
        {"state", shown.state},
        {"created", shown.created},
        {"updated", shown.updated},
        {"last login", shown.last_login[0] != '\0' ? shown.last_login : "never"},
        {"password", user->password_hash[0] == '\0'   ? "none: cannot log in"
                     : user->password_change_required ? "to be changed"
                                                      : "set"},
        {"etag", shown.message.etag},
    };
    int error = mote_table_init(&table, out, titles, COUNT(titles));
    for (size_t i = 0; i < COUNT(rows) && error == 0; i++) {
        error = mote_table_add(&table, rows[i]);
    }
    mote_table_finish(&table);
    return error;
}

void mote_user_print_json(FILE *out, const struct mote_user *user, bool whole)
{
    struct mote_json_out json;
    user_v1_User message;
    const char *roles[MOTE_CONVERT_ROLES_MAX];
    mote_convert_user(&message, user);
    for (pb_size_t i = 0; i < message.roles_count; i++) {
        roles[i] = mote_user_print_role(message.roles[i]);
    }
    mote_json_out_begin(&json, out);
    mote_json_out_text(&json, "id", message.id);
    mote_json_out_text(&json, "username", message.username);
    mote_json_out_text(&json, "email", message.email);
    mote_json_out_text(&json, "displayName", message.display_name);
    mote_json_out_texts(&json, "roles", roles, message.roles_count);
    mote_json_out_text(&json, "state", user->state == MOTE_USER_ACTIVE ? "USER_STATE_ACTIVE" : "USER_STATE_DISABLED");
    mote_json_out_time(&json, "createTime", user->create_time);
    mote_json_out_time(&json, "updateTime", user->update_time);
    mote_json_out_bool(&json, "emailVerified", user->email_verified);
    mote_json_out_text(&json, "etag", message.etag);
    if (user->last_login_time != 0) {
        mote_json_out_time(&json, "lastLoginTime", user->last_login_time);
    }
    if (whole) {
        mote_json_out_text(&json, "passwordHash", user->password_hash);
        mote_json_out_bool(&json, "passwordChangeRequired", user->password_change_required);
    }
    mote_json_out_end(&json);
}
