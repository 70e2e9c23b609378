/* SPDX-License-Identifier: Apache-2.0 */
#include "services/access.h"

#include <string.h>

#include "base/assert.h"

#define USER_SERVICE(method) "/user.v1.UserService/" method
#define AUTH_SERVICE(method) "/auth.v1.AuthService/" method

/* Settings that decide whether a row is there. */
enum condition {
    ALWAYS,
    SIGNUP_CLOSED,
    SIGNUP_OPEN,
    REFLECTION,
};

static const struct rule {
    const char *path;
    uint32_t who;
    enum condition condition;
} rules[] = {
    {USER_SERVICE("CreateUser"), MOTE_ACCESS_ADMIN, SIGNUP_CLOSED},
    {USER_SERVICE("CreateUser"), MOTE_ACCESS_PUBLIC, SIGNUP_OPEN},
    {USER_SERVICE("GetUser"), MOTE_ACCESS_SELF | MOTE_ACCESS_SERVICE | MOTE_ACCESS_ADMIN, ALWAYS},
    {USER_SERVICE("UpdateUser"), MOTE_ACCESS_SELF | MOTE_ACCESS_ADMIN, ALWAYS},
    {USER_SERVICE("DeleteUser"), MOTE_ACCESS_SELF | MOTE_ACCESS_ADMIN, ALWAYS},
    {USER_SERVICE("ListUsers"), MOTE_ACCESS_SERVICE | MOTE_ACCESS_ADMIN, ALWAYS},
    {USER_SERVICE("DisableUser"), MOTE_ACCESS_ADMIN, ALWAYS},
    {USER_SERVICE("EnableUser"), MOTE_ACCESS_ADMIN, ALWAYS},
    {USER_SERVICE("WatchUsers"), MOTE_ACCESS_SERVICE | MOTE_ACCESS_ADMIN, ALWAYS},
    {USER_SERVICE("ImportUsers"), MOTE_ACCESS_ADMIN, ALWAYS},
    {USER_SERVICE("HealthCheck"), MOTE_ACCESS_PUBLIC, ALWAYS},
    {AUTH_SERVICE("Login"), MOTE_ACCESS_PUBLIC, ALWAYS},
    {AUTH_SERVICE("RefreshToken"), MOTE_ACCESS_PUBLIC, ALWAYS},
    {AUTH_SERVICE("ValidateToken"), MOTE_ACCESS_USER, ALWAYS},
    {AUTH_SERVICE("Logout"), MOTE_ACCESS_USER, ALWAYS},
    {AUTH_SERVICE("RevokeToken"), MOTE_ACCESS_PUBLIC, ALWAYS},
    {AUTH_SERVICE("ListSessions"), MOTE_ACCESS_SELF | MOTE_ACCESS_ADMIN, ALWAYS},
    {AUTH_SERVICE("RevokeSession"), MOTE_ACCESS_SELF | MOTE_ACCESS_ADMIN, ALWAYS},
    {AUTH_SERVICE("ChangePassword"), MOTE_ACCESS_SELF, ALWAYS},
    {AUTH_SERVICE("SetPassword"), MOTE_ACCESS_ADMIN, ALWAYS},
    {"/grpc.health.v1.Health/*", MOTE_ACCESS_PUBLIC, ALWAYS},
    {"/grpc.reflection.v1.ServerReflection/*", MOTE_ACCESS_PUBLIC, REFLECTION},
    {"/grpc.reflection.v1alpha.ServerReflection/*", MOTE_ACCESS_PUBLIC, REFLECTION},
};

_Static_assert(sizeof rules / sizeof rules[0] <= MOTE_SERVICES_ACCESS_MAX, "every row must have room");

static bool is_in_force(enum condition condition, bool signup_open, bool reflection)
{
    switch (condition) {
    case ALWAYS:
        return true;
    case SIGNUP_CLOSED:
        return !signup_open;
    case SIGNUP_OPEN:
        return signup_open;
    case REFLECTION:
        return reflection;
    }
    mote_assert(false);
    return false;
}

size_t mote_access_fill(struct mote_access_row rows[MOTE_SERVICES_ACCESS_MAX], bool signup_open, bool reflection)
{
    size_t count = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (is_in_force(rules[i].condition, signup_open, reflection)) {
            rows[count++] = (struct mote_access_row){.path = rules[i].path, .who = rules[i].who};
        }
    }
    return count;
}

bool mote_access_is_open_to_locked(const char *path)
{
    return strcmp(path, AUTH_SERVICE("ChangePassword")) == 0 || strcmp(path, AUTH_SERVICE("Logout")) == 0;
}
