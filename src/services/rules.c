/* SPDX-License-Identifier: Apache-2.0 */
/* The field rules. Each function gives the reason a value is refused, as text that follows the field's name, or NULL.
 */
#include "services/rules.h"

#include "base/text.h"
#include "services/common_passwords.h"
#include "services/failure.h"
#include "services/services.h"

#define USERNAME_MIN       3u
#define EMAIL_MIN          3u
#define EMAIL_LOCAL_MAX    64u
#define DISPLAY_POINTS_MAX 64u
#define PASSWORD_MIN       8u
#define FOREIGN_HASH_MIN   30u /* of md5-crypt, the shortest: $1$, salt, $, 22 characters */

void mote_rules_note(struct mote_rules *rules, const char *field, const char *text)
{
    if (text != NULL && rules->count < MOTE_RULES_VIOLATIONS_MAX) {
        rules->violations[rules->count++] = (struct mote_violation){.field = field, .text = text};
    }
}

bool mote_rules_refuse(const struct mote_rules *rules, struct mote_call *call)
{
    if (rules->count == 0) {
        return false;
    }
    mote_failure_answer_fields(call, rules->violations, rules->count);
    return true;
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_username_byte(uint8_t c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

const char *mote_rules_username(struct mote_slice username)
{
    static const char refused[] =
        "must be 3 to 32 characters: a letter, then letters, digits, '.', '_' or '-'; and not 'me'";
    if (username.length < USERNAME_MIN || username.length > MOTE_USERNAME_MAX || !is_letter(username.data[0])) {
        return refused;
    }
    for (size_t i = 1; i < username.length; i++) {
        if (!is_username_byte(username.data[i])) {
            return refused;
        }
    }
    return NULL;
}

void mote_rules_lower_username(char *out, const char *username)
{
    do {
        *out++ = *username >= 'A' && *username <= 'Z' ? (char)(*username - 'A' + 'a') : *username;
    } while (*username++ != '\0');
}

/* Cc of Unicode, and the two separators that break lines. */
static bool is_control(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) || code_point == 0x2028 ||
           code_point == 0x2029;
}

/* White_Space of Unicode without the controls. */
static bool is_space(uint32_t code_point)
{
    return code_point == 0x20 || code_point == 0xa0 || code_point == 0x1680 ||
           (code_point >= 0x2000 && code_point <= 0x200a) || code_point == 0x202f || code_point == 0x205f ||
           code_point == 0x3000;
}

/* What a text has, counted over its code points. */
struct census {
    bool valid; /* UTF-8 */
    size_t points;
    size_t controls;
    size_t spaces;
};

static struct census take_census(struct mote_slice text)
{
    struct census census = {.valid = true};
    while (text.length > 0) {
        uint32_t code_point = 0;
        size_t length = mote_utf8_next(text, &code_point);
        if (length == 0) {
            census.valid = false;
            break;
        }
        census.points++;
        census.controls += is_control(code_point) ? 1u : 0u;
        census.spaces += is_space(code_point) ? 1u : 0u;
        text = mote_slice(text.data + length, text.length - length);
    }
    return census;
}

const char *mote_rules_email(struct mote_slice email)
{
    if (email.length < EMAIL_MIN || email.length > MOTE_EMAIL_MAX) {
        return "must be 3 to 254 bytes long";
    }
    struct census census = take_census(email);
    if (!census.valid || census.controls > 0 || census.spaces > 0) {
        return "must be UTF-8 without spaces and control characters";
    }
    const uint8_t *at = memchr(email.data, '@', email.length);
    size_t local = at != NULL ? (size_t)(at - email.data) : 0;
    if (local == 0 || memchr(at + 1, '@', email.length - local - 1) != NULL) {
        return "must be a name, one '@' and a domain";
    }
    if (local > EMAIL_LOCAL_MAX) {
        return "must have at most 64 bytes before the '@'";
    }
    const uint8_t *domain = at + 1;
    size_t length = email.length - local - 1;
    if (length < 3 || domain[0] == '.' || domain[length - 1] == '.' || memchr(domain, '.', length) == NULL) {
        return "must have a dot inside the domain";
    }
    return NULL;
}

const char *mote_rules_display_name(struct mote_slice display_name)
{
    if (display_name.length == 0) {
        return NULL;
    }
    struct census census = take_census(display_name);
    if (!census.valid || census.controls > 0) {
        return "must be UTF-8 without control characters";
    }
    if (census.points > DISPLAY_POINTS_MAX || display_name.length > MOTE_DISPLAY_NAME_MAX) {
        return "must be at most 64 characters and 256 bytes long";
    }
    return census.spaces == census.points ? "must not be blank" : NULL;
}

const char *mote_rules_password(struct mote_slice password, struct mote_slice username, struct mote_slice email)
{
    if (password.length < PASSWORD_MIN || password.length > MOTE_PASSWORD_MAX) {
        return "must be 8 to 128 bytes long";
    }
    if (!mote_utf8_is_valid(password) || memchr(password.data, '\0', password.length) != NULL) {
        return "must be valid UTF-8";
    }
    if (mote_slice_equals_ignore_case(password, username) || mote_slice_equals_ignore_case(password, email)) {
        return "must not be the username or the email address";
    }
    return mote_common_passwords_contain(password) ? "is one of the most used passwords" : NULL;
}

/* Ours, also damaged, and those of other systems (bcrypt, crypt, any PHC string): taken for a password, the text of
 * such a hash would open the account to whoever has it. */
static bool looks_like_hash(struct mote_slice text)
{
    static const struct mote_slice marks[] = {MOTE_SLICE_LITERAL("$argon2id$"), MOTE_SLICE_LITERAL("$pbkdf2-sha256$"),
                                              MOTE_SLICE_LITERAL("pbkdf2-sha256$")};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (mote_slice_starts_with(text, marks[i])) {
            return true;
        }
    }
    size_t dollars = 0;
    for (size_t i = 0; i < text.length; i++) {
        dollars += text.data[i] == '$' ? 1u : 0u;
    }
    return text.length >= FOREIGN_HASH_MIN && text.data[0] == '$' && dollars >= 3;
}

const char *mote_rules_password_or_hash(bool *is_hash, struct mote_slice password, struct mote_slice username,
                                        struct mote_slice email)
{
    *is_hash = looks_like_hash(password);
    if (!*is_hash) {
        return mote_rules_password(password, username, email);
    }
    return mote_password_is_hash(password) ? NULL : "must be a hash that this server can check";
}

const char *mote_rules_roles(uint32_t *bits, const user_v1_Role *roles, size_t count)
{
    static const uint32_t known[] = {0, MOTE_ROLE_BIT_USER, MOTE_ROLE_BIT_SERVICE, MOTE_ROLE_BIT_ADMIN};
    *bits = 0;
    if (count > MOTE_RULES_ROLES_MAX) {
        return "must have at most 4 elements";
    }
    for (size_t i = 0; i < count; i++) {
        /* An enum of proto3 is open: any number may come. */
        size_t number = (size_t)roles[i];
        if (number == 0 || number >= sizeof known / sizeof known[0]) {
            return "must be USER, SERVICE or ADMIN";
        }
        if ((*bits & known[number]) != 0) {
            return "must not name a role twice";
        }
        *bits |= known[number];
    }
    if (count == 0) {
        *bits = MOTE_ROLE_BIT_USER;
    }
    return NULL;
}

void mote_rules_new_user(struct mote_rules *rules, struct mote_user *out, const user_v1_User *user, bool is_admin)
{
    struct mote_slice email = mote_slice_text(user->email);
    mote_rules_note(rules, "user.username", mote_rules_username(mote_slice_text(user->username)));
    mote_rules_note(rules, "user.email", email.length > 0 ? mote_rules_email(email) : NULL);
    mote_rules_note(rules, "user.display_name", mote_rules_display_name(mote_slice_text(user->display_name)));
    mote_rules_lower_username(out->username, user->username);
    memcpy(out->email, user->email, sizeof out->email);
    memcpy(out->display_name, user->display_name, sizeof out->display_name);
    out->roles = MOTE_ROLE_BIT_USER;
    out->state = MOTE_USER_ACTIVE;
    if (is_admin) {
        mote_rules_note(rules, "user.roles", mote_rules_roles(&out->roles, user->roles, user->roles_count));
        out->email_verified = user->email_verified;
    }
}

const char *mote_rules_page_size(uint32_t *limit, int32_t page_size)
{
    if (page_size < 0) {
        return "must not be negative";
    }
    *limit = page_size == 0 ? MOTE_RULES_PAGE_DEFAULT : (uint32_t)page_size;
    if (*limit > MOTE_RULES_PAGE_MAX) {
        *limit = MOTE_RULES_PAGE_MAX;
    }
    return NULL;
}
