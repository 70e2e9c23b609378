/* SPDX-License-Identifier: Apache-2.0 */
/* See import_line.h. Both forms come to pairs of a name and a text, for one table of fields. */
#include "app/import_line.h"

#include <stdio.h>
#include <string.h>

#include "app/user_print.h"
#include "base/clock.h"
#include "base/text.h"
#include "security/json_object.h"

enum kind { TEXT, UUID, ROLES, STATE, TIME, BOOLEAN, HASH, IGNORED };

static const struct field {
    const char *name, *snake; /* of JSON and of the .proto file: both are taken */
    enum kind kind;
    size_t offset, size; /* in struct mote_import_line */
} fields[] = {
#define AT(member) offsetof(struct mote_import_line, member), sizeof((struct mote_import_line *)0)->member
    {"id", "id", UUID, AT(id)},
    {"username", "username", TEXT, AT(user.username)},
    {"email", "email", TEXT, AT(user.email)},
    {"displayName", "display_name", TEXT, AT(user.display_name)},
    {"roles", "roles", ROLES, AT(user.roles)},
    {"state", "state", STATE, AT(state)},
    {"createTime", "create_time", TIME, AT(create_time)},
    {"updateTime", "update_time", TIME, AT(update_time)},
    {"lastLoginTime", "last_login_time", TIME, AT(last_login_time)},
    {"emailVerified", "email_verified", BOOLEAN, AT(user.email_verified)},
    {"etag", "etag", IGNORED, 0, 0},
    {"passwordChangeRequired", "password_change_required", BOOLEAN, AT(password_change_required)},
    {"passwordHash", "password_hash", HASH, AT(password)},
    {"initialPassword", "initial_password", TEXT, AT(password)},
#undef AT
};

static const struct field *find_field(const char *name)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].name, name) == 0 || strcmp(fields[i].snake, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

static const char *set_text(char *out, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size) {
        return "is too long";
    }
    if (!mote_utf8_is_valid(mote_slice(text, length))) {
        return "must be valid UTF-8";
    }
    memcpy(out, text, length + 1);
    return NULL;
}

static const char *set_roles(struct mote_import_line *out, const char *text)
{
    user_v1_Role roles[MOTE_CONVERT_ROLES_MAX + 1];
    size_t count = mote_user_print_parse_roles(roles, text);
    if (count > MOTE_CONVERT_ROLES_MAX) {
        return "must have at most 4 elements";
    }
    memcpy(out->user.roles, roles, count * sizeof roles[0]);
    out->user.roles_count = (pb_size_t)count; /* unknown and repeated ones are for the rules */
    return NULL;
}

static const char *set_bool(bool *out, const char *text)
{
    *out = strcmp(text, "true") == 0;
    return *out || strcmp(text, "false") == 0 ? NULL : "must be true or false";
}

static const char *set_state(enum mote_user_state *out, const char *text)
{
    const char *name = strncmp(text, "USER_STATE_", 11) == 0 ? text + 11 : text;
    *out = strcmp(name, "DISABLED") == 0 ? MOTE_USER_DISABLED : MOTE_USER_ACTIVE;
    return *out == MOTE_USER_DISABLED || strcmp(name, "ACTIVE") == 0 ? NULL : "must be ACTIVE or DISABLED";
}

/* A time that some user of ours can have. */
static bool set_time(int64_t *out, const char *text)
{
    return mote_time_parse(out, text) && *out > 0 && *out < INT64_MAX - 1;
}

static const char *set_field(struct mote_import_line *out, const struct field *field, const char *text)
{
    void *place = (char *)out + field->offset;
    switch (field->kind) {
    case TEXT:
        return set_text(place, field->size, text);
    case UUID:
        out->has_id = true;
        return mote_uuid_parse(out->id, mote_slice_text(text)) == 0 ? NULL : "must be a UUID";
    case ROLES:
        return set_roles(out, text);
    case STATE:
        return set_state(place, text);
    case TIME:
        return set_time(place, text) ? NULL : "must be a time such as 2026-01-31T23:59:59Z";
    case BOOLEAN:
        return set_bool(place, text);
    case HASH:
        return mote_password_is_hash(mote_slice_text(text)) ? set_text(place, field->size, text)
                                                            : "must be a hash that this program can check";
    case IGNORED:
        break;
    }
    return NULL;
}

/* An empty text is a field that is not given. Not 0 ends the line. */
static int take(void *context, const char *name, const char *text)
{
    struct mote_import_line *out = context;
    const struct field *field = find_field(name);
    if (field == NULL) {
        out->refused = "there is no such field";
    } else if (text[0] != '\0') {
        out->refused = set_field(out, field, text);
    }
    if (out->refused != NULL) {
        snprintf(out->field, sizeof out->field, "%s", field != NULL ? field->name : name);
    }
    return out->refused != NULL ? MOTE_EINVAL : 0;
}

/* --- CSV --------------------------------------------------------------------------------------------------------- */

/* Takes the cell at *rest out of it, its quotes undone in place; *rest becomes NULL behind the last one. NULL when a
 * quote is not closed or something stands behind it. */
static char *next_cell(char **rest)
{
    char *cell = *rest;
    char *end = cell;
    char *in = cell;
    bool quoted = *in == '"';
    in += quoted ? 1 : 0;
    while (*in != '\0' && (quoted || *in != ',')) {
        if (quoted && *in == '"' && *++in != '"') {
            quoted = false;
            if (*in != '\0' && *in != ',') {
                return NULL;
            }
            continue;
        }
        *end++ = *in++;
    }
    *rest = *in == ',' ? in + 1 : NULL;
    *end = '\0';
    return quoted ? NULL : cell;
}

const char *mote_import_line_header(struct mote_import_header *header, char *line, char field[32])
{
    *header = (struct mote_import_header){0};
    field[0] = '\0';
    while (line != NULL) {
        char *cell = next_cell(&line);
        if (cell == NULL) {
            return "a quote is wrong";
        }
        snprintf(field, 32, "%s", cell);
        if (header->count == MOTE_IMPORT_COLUMNS_MAX) {
            return "there are too many columns";
        }
        header->fields[header->count] = find_field(cell);
        if (header->fields[header->count] == NULL) {
            return "there is no such field";
        }
        for (size_t i = 0; i < header->count; i++) {
            if (header->fields[i] == header->fields[header->count]) {
                return "the column is there twice";
            }
        }
        header->count++;
    }
    return NULL;
}

static void read_csv(struct mote_import_line *out, const struct mote_import_header *header, char *line)
{
    for (size_t i = 0; i < header->count; i++) {
        const struct field *field = header->fields[i];
        char *cell = line != NULL ? next_cell(&line) : NULL;
        if (cell == NULL) {
            out->refused = "a quote is wrong, or cells are missing";
            return;
        }
        if (take(out, field->name, cell) != 0) {
            return;
        }
    }
    out->refused = line != NULL ? "there are more cells than columns" : NULL;
}

/* --- lines ------------------------------------------------------------------------------------------------------- */

int mote_import_line_read(struct mote_import_line *out, const struct mote_import_header *header, char *line)
{
    *out = (struct mote_import_line){.state = MOTE_USER_ACTIVE};
    if (header != NULL) {
        read_csv(out, header, line);
        return 0;
    }
    int error = mote_json_object_each(mote_slice_text(line), take, out);
    if (error == MOTE_EDECODE) {
        out->refused = "is no line of JSON with plain values";
    }
    return error == MOTE_ENOMEM ? error : 0;
}
