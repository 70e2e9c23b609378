/* SPDX-License-Identifier: Apache-2.0 */
/* Who may call what, as data. A method without a row is denied. */
#ifndef MOTE_RPC_ACCESS_H
#define MOTE_RPC_ACCESS_H

#include <stddef.h>
#include <stdint.h>

enum mote_access {
    MOTE_ACCESS_PUBLIC = 1,  /* no credentials needed; bad ones are not looked at */
    MOTE_ACCESS_USER = 2,    /* anyone with a valid token */
    MOTE_ACCESS_SELF = 4,    /* anyone with a valid token; the handler decides on the decoded id */
    MOTE_ACCESS_SERVICE = 8, /* role SERVICE */
    MOTE_ACCESS_ADMIN = 16,  /* role ADMIN */
};

struct mote_access_row {
    const char *path; /* "/user.v1.UserService/GetUser", or "/grpc.health.v1.Health/" + "*" for a whole service */
    uint32_t who;     /* of enum mote_access, or-ed */
};

#endif
