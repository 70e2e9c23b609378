/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jansson parses and refuses repeated names (after their escapes are undone), NUL characters, bad UTF-8, leading zeros
 * and integers over 63 bits. A short scan before it refuses what it would take: depth, the minus sign, which "-0" would
 * lose, and a NUL byte behind a number or a literal, which it (2.14) skips. Real numbers are another type to jansson
 * and so no integers to us.
 */
#include "security/claims.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define CHANGE_REQUIRED "pwd_change"
#define INTEGER_MAX     (INT64_C(1) << 53) /* what every JSON reader holds exactly */

static const struct role_name {
    const char *name;
    uint32_t bit;
} role_names[] = {
    {"USER", MOTE_ROLE_BIT_USER},
    {"SERVICE", MOTE_ROLE_BIT_SERVICE},
    {"ADMIN", MOTE_ROLE_BIT_ADMIN},
};

#define ROLE_COUNT (sizeof role_names / sizeof role_names[0])
#define ALL_ROLES  (MOTE_ROLE_BIT_USER | MOTE_ROLE_BIT_SERVICE | MOTE_ROLE_BIT_ADMIN)

/* What the claims are read into and held against. */
struct reading {
    struct mote_identity *identity;
    const struct mote_jwt_policy *policy;
};

static bool text_equals(const json_t *value, const char *text)
{
    return json_is_string(value) &&
           mote_slice_equals_text(mote_slice(json_string_value(value), json_string_length(value)),
                                  text); /* public: text of a MAC that held */
}

static bool read_uuid(uint8_t out[16], const json_t *value)
{
    return json_is_string(value) &&
           mote_uuid_parse(out, mote_slice(json_string_value(value), json_string_length(value))) == 0;
}

static bool read_integer(int64_t *out, const json_t *value)
{
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0 && *out <= INTEGER_MAX;
}

static bool read_issuer(struct reading *reading, const json_t *value)
{
    return text_equals(value, reading->policy->issuer);
}

/* A string, or strings of which one is ours (RFC 7519 §4.1.3). */
static bool read_audience(struct reading *reading, const json_t *value)
{
    if (!json_is_array(value)) {
        return text_equals(value, reading->policy->audience);
    }
    bool found = false;
    const size_t count = json_array_size(value);
    for (size_t i = 0; i < count; i++) {
        const json_t *element = json_array_get(value, i);
        if (!json_is_string(element)) {
            return false;
        }
        found = found || text_equals(element, reading->policy->audience);
    }
    return found && count <= MOTE_CLAIMS_ELEMENTS_MAX;
}

static bool read_subject(struct reading *reading, const json_t *value)
{
    return read_uuid(reading->identity->user_id, value);
}

static bool read_session(struct reading *reading, const json_t *value)
{
    return read_uuid(reading->identity->session_id, value);
}

static bool read_token_id(struct reading *reading, const json_t *value)
{
    return read_uuid(reading->identity->token_id, value);
}

static bool read_issued_at(struct reading *reading, const json_t *value)
{
    return read_integer(&reading->identity->issued_at, value);
}

static bool read_not_before(struct reading *reading, const json_t *value)
{
    return read_integer(&reading->identity->not_before, value);
}

static bool read_expires_at(struct reading *reading, const json_t *value)
{
    return read_integer(&reading->identity->expires_at, value);
}

static bool read_epoch(struct reading *reading, const json_t *value)
{
    int64_t epoch;
    if (!read_integer(&epoch, value)) {
        return false;
    }
    reading->identity->epoch = (uint64_t)epoch;
    return true;
}

/* The one claim that may be absent, and then says no. */
static bool read_change_required(struct reading *reading, const json_t *object)
{
    const json_t *value = json_object_get(object, CHANGE_REQUIRED);
    reading->identity->password_change_required = value != NULL;
    return value == NULL || json_is_true(value);
}

static uint32_t role_bit(const json_t *value)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (text_equals(value, role_names[i].name)) {
            return role_names[i].bit;
        }
    }
    return 0;
}

static bool read_roles(struct reading *reading, const json_t *value)
{
    uint32_t roles = 0;
    const size_t count = json_array_size(value);
    for (size_t i = 0; i < count; i++) {
        const uint32_t bit = role_bit(json_array_get(value, i));
        if (bit == 0 || (roles & bit) != 0) {
            return false;
        }
        roles |= bit;
    }
    reading->identity->roles = roles;
    return roles != 0;
}

static const struct claim {
    const char *name;
    bool (*read)(struct reading *reading, const json_t *value);
} claims[] = {
    {"iss", read_issuer},   {"aud", read_audience},  {"sub", read_subject},    {"sid", read_session},
    {"jti", read_token_id}, {"iat", read_issued_at}, {"nbf", read_not_before}, {"exp", read_expires_at},
    {"roles", read_roles},  {"ep", read_epoch},
};

#define CLAIM_COUNT (sizeof claims / sizeof claims[0])

/* False for what jansson takes and we do not: depth, and outside of strings minus signs and NUL bytes. */
static bool scan(struct mote_slice json)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < json.length; i++) {
        const uint8_t byte = json.data[i];
        if (in_string) {
            i += byte == '\\' ? 1 : 0;
            in_string = byte != '"';
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '{' || byte == '[') {
            if (++depth > MOTE_CLAIMS_DEPTH_MAX) {
                return false;
            }
        } else if (byte == '}' || byte == ']') {
            depth -= depth != 0 ? 1 : 0;
        } else if (byte == '-' || byte == '\0') {
            return false;
        }
    }
    return true;
}

static bool is_claim(struct mote_slice name)
{
    for (size_t i = 0; i < CLAIM_COUNT; i++) {
        if (mote_slice_equals_text(name, claims[i].name)) { /* public: a name */
            return true;
        }
    }
    return false;
}

/* Whether the members that are not ours are as the bounds say. */
static bool members_are_bounded(json_t *object)
{
    if (json_object_size(object) > MOTE_CLAIMS_MEMBERS_MAX) {
        return false;
    }
    const char *name;
    const json_t *value;
    json_object_foreach(object, name, value)
    {
        if ((json_is_object(value) || json_is_array(value)) && !is_claim(mote_slice_text(name))) {
            return false;
        }
    }
    return true;
}

static bool read_object(struct reading *reading, json_t *object)
{
    if (!json_is_object(object) || !members_are_bounded(object)) {
        return false;
    }
    for (size_t i = 0; i < CLAIM_COUNT; i++) {
        const json_t *value = json_object_get(object, claims[i].name);
        if (value == NULL || !claims[i].read(reading, value)) {
            return false;
        }
    }
    return read_change_required(reading, object);
}

/* The lifetime of a token that could have been issued under this policy. */
static bool lifetime_is_proper(const struct mote_identity *identity, const struct mote_jwt_policy *policy)
{
    return identity->expires_at > identity->issued_at &&
           identity->expires_at - identity->issued_at <= policy->lifetime_max;
}

static int check_time(const struct mote_identity *identity, const struct mote_jwt_policy *policy, int64_t now)
{
    if (identity->expires_at <= now - policy->leeway) {
        return MOTE_EEXPIRED;
    }
    if (identity->not_before > now + policy->leeway || identity->issued_at > now + policy->leeway) {
        return MOTE_ENOTYET;
    }
    return 0;
}

int mote_claims_parse(struct mote_identity *out, const struct mote_jwt_policy *policy,
                      struct mote_claims_verified verified, int64_t now)
{
    if (!scan(verified.json)) {
        return MOTE_EAUTH;
    }
    json_error_t error;
    json_t *object = json_loadb((const char *)verified.json.data, verified.json.length, JSON_REJECT_DUPLICATES, &error);
    if (object == NULL) {
        return json_error_code(&error) == json_error_out_of_memory ? MOTE_ENOMEM : MOTE_EAUTH;
    }
    struct mote_identity identity = {0};
    struct reading reading = {.identity = &identity, .policy = policy};
    const bool proper = read_object(&reading, object) && lifetime_is_proper(&identity, policy);
    json_decref(object);
    if (!proper) {
        return MOTE_EAUTH;
    }
    *out = identity;
    return check_time(&identity, policy, now);
}

static bool can_be_issued(const struct mote_identity *identity, const struct mote_jwt_policy *policy)
{
    return identity->roles != 0 && (identity->roles & ~(uint32_t)ALL_ROLES) == 0 &&
           identity->epoch <= (uint64_t)INTEGER_MAX && identity->issued_at >= 0 && identity->not_before >= 0 &&
           identity->not_before <= INTEGER_MAX && identity->expires_at <= INTEGER_MAX &&
           lifetime_is_proper(identity, policy) && strlen(policy->issuer) <= MOTE_JWT_NAME_MAX &&
           strlen(policy->audience) <= MOTE_JWT_NAME_MAX;
}

static json_t *uuid_value(const uint8_t uuid[16])
{
    char text[MOTE_UUID_TEXT_LENGTH];
    mote_uuid_format(text, uuid);
    return json_stringn(text, sizeof text);
}

static json_t *roles_value(uint32_t roles)
{
    json_t *array = json_array();
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if ((roles & role_names[i].bit) != 0 && json_array_append_new(array, json_string(role_names[i].name)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* NULL when memory runs out. The names that the values are given in are the order of the text. */
static json_t *build_object(const struct mote_jwt_policy *policy, const struct mote_identity *identity)
{
    json_t *object = json_object();
    int failures = 0;
    failures |= json_object_set_new(object, "iss", json_string(policy->issuer));
    failures |= json_object_set_new(object, "aud", json_string(policy->audience));
    failures |= json_object_set_new(object, "sub", uuid_value(identity->user_id));
    failures |= json_object_set_new(object, "sid", uuid_value(identity->session_id));
    failures |= json_object_set_new(object, "jti", uuid_value(identity->token_id));
    failures |= json_object_set_new(object, "iat", json_integer(identity->issued_at));
    failures |= json_object_set_new(object, "nbf", json_integer(identity->not_before));
    failures |= json_object_set_new(object, "exp", json_integer(identity->expires_at));
    failures |= json_object_set_new(object, "roles", roles_value(identity->roles));
    failures |= json_object_set_new(object, "ep", json_integer((json_int_t)identity->epoch));
    if (identity->password_change_required) {
        failures |= json_object_set_new(object, CHANGE_REQUIRED, json_true());
    }
    if (failures != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

int mote_claims_format(char *out, size_t size, size_t *length, const struct mote_jwt_policy *policy,
                       const struct mote_identity *identity)
{
    if (!can_be_issued(identity, policy) || !mote_utf8_is_valid(mote_slice_text(policy->issuer)) ||
        !mote_utf8_is_valid(mote_slice_text(policy->audience))) {
        return MOTE_EINVAL;
    }
    json_t *object = build_object(policy, identity);
    if (object == NULL) {
        return MOTE_ENOMEM;
    }
    const size_t needed = json_dumpb(object, out, size, JSON_COMPACT);
    json_decref(object);
    if (needed == 0) {
        return MOTE_ENOMEM;
    }
    *length = needed;
    return needed <= size ? 0 : MOTE_ELIMIT;
}
