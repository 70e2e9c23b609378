/* SPDX-License-Identifier: Apache-2.0 */
#include "services/convert.h"

#include <endian.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "security/jwt.h"

_Static_assert(2 * sizeof((struct mote_user){0}.version) == MOTE_CONVERT_ETAG_LENGTH, "the version in hexadecimal");
_Static_assert(sizeof((user_v1_User){0}.username) == sizeof((struct mote_user){0}.username), "copied whole");
_Static_assert(sizeof((user_v1_User){0}.email) == sizeof((struct mote_user){0}.email), "copied whole");
_Static_assert(sizeof((user_v1_User){0}.display_name) == sizeof((struct mote_user){0}.display_name), "copied whole");

google_protobuf_Timestamp mote_convert_time(int64_t wall_ns)
{
    const int64_t second = (int64_t)MOTE_NS_PER_SECOND;
    int64_t seconds = wall_ns / second;
    int64_t nanos = wall_ns % second;
    if (nanos < 0) {
        /* A Timestamp counts its nanoseconds forward, before 1970 too. */
        nanos += second;
        seconds--;
    }
    return (google_protobuf_Timestamp){.seconds = seconds, .nanos = (int32_t)nanos};
}

pb_size_t mote_convert_roles(user_v1_Role out[MOTE_CONVERT_ROLES_MAX], uint32_t bits)
{
    static const struct {
        uint32_t bit;
        user_v1_Role role;
    } roles[] = {
        {MOTE_ROLE_BIT_USER, user_v1_Role_ROLE_USER},
        {MOTE_ROLE_BIT_SERVICE, user_v1_Role_ROLE_SERVICE},
        {MOTE_ROLE_BIT_ADMIN, user_v1_Role_ROLE_ADMIN},
    };
    pb_size_t count = 0;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if ((bits & roles[i].bit) != 0) {
            out[count++] = roles[i].role;
        }
    }
    return count;
}

static user_v1_UserState convert_state(enum mote_user_state state)
{
    switch (state) {
    case MOTE_USER_ACTIVE:
        return user_v1_UserState_USER_STATE_ACTIVE;
    case MOTE_USER_DISABLED:
        return user_v1_UserState_USER_STATE_DISABLED;
    }
    return user_v1_UserState_USER_STATE_UNSPECIFIED;
}

void mote_convert_user(user_v1_User *out, const struct mote_user *user)
{
    *out = (user_v1_User){0};
    mote_uuid_format(out->id, user->id);
    memcpy(out->username, user->username, strlen(user->username));
    memcpy(out->email, user->email, strlen(user->email));
    memcpy(out->display_name, user->display_name, strlen(user->display_name));
    out->roles_count = mote_convert_roles(out->roles, user->roles);
    out->state = convert_state(user->state);
    out->has_create_time = true;
    out->create_time = mote_convert_time(user->create_time);
    out->has_update_time = true;
    out->update_time = mote_convert_time(user->update_time);
    out->email_verified = user->email_verified;
    uint64_t version = htobe64(user->version);
    mote_hex_encode(out->etag, mote_slice(&version, sizeof version));
    if (user->last_login_time != 0) {
        out->has_last_login_time = true;
        out->last_login_time = mote_convert_time(user->last_login_time);
    }
}

uint64_t mote_convert_etag(const char *etag)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t version = 0;
    if (strlen(etag) != MOTE_CONVERT_ETAG_LENGTH) {
        return 0;
    }
    for (size_t i = 0; i < MOTE_CONVERT_ETAG_LENGTH; i++) {
        const char *digit = strchr(digits, etag[i]);
        if (digit == NULL) {
            return 0;
        }
        version = version << 4 | (uint64_t)(digit - digits);
    }
    return version;
}
