/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit record: who did what to whom, from where and when. A row is written in the transaction of the act itself,
 * so that there is neither an act without its row nor a row without its act; nothing changes a row, and only upkeep
 * deletes one, the oldest first. It never holds a secret. Included by write.h.
 */
#ifndef MOTE_STORE_AUDIT_H
#define MOTE_STORE_AUDIT_H

#include <stdint.h>

#include "base/slice.h"

#define MOTE_STORE_AUDIT_DETAIL_MAX  256u
#define MOTE_STORE_AUDIT_ADDRESS_MAX 64u /* with the NUL */
/* Kept for a year, and no more than this: about 100 MB. */
#define MOTE_STORE_AUDIT_ROWS_MAX     1000000u
#define MOTE_STORE_AUDIT_KEEP_SECONDS (365 * 24 * 3600)

/* X(constant, name in the record). The name is the method's where there is one, also for acts of the command line. */
#define MOTE_STORE_AUDIT_MAP(X)                                                                                        \
    X(LOGIN, "Login")                                                                                                  \
    X(REFRESH, "RefreshToken") /* only when a token was used twice */                                                  \
    X(REVOKE_TOKEN, "RevokeToken")                                                                                     \
    X(REVOKE_SESSION, "RevokeSession")                                                                                 \
    X(CREATE_USER, "CreateUser")                                                                                       \
    X(UPDATE_USER, "UpdateUser")                                                                                       \
    X(DISABLE_USER, "DisableUser")                                                                                     \
    X(ENABLE_USER, "EnableUser")                                                                                       \
    X(DELETE_USER, "DeleteUser")                                                                                       \
    X(IMPORT_USERS, "ImportUsers")                                                                                     \
    X(SET_PASSWORD, "SetPassword")                                                                                     \
    X(CHANGE_PASSWORD, "ChangePassword")                                                                               \
    X(CHANGE_KEYS, "ChangeKeys")                                                                                       \
    X(RESTORE_STORE, "RestoreStore")

enum mote_store_audit_action {
#define X(constant, name) MOTE_STORE_AUDIT_##constant,
    MOTE_STORE_AUDIT_MAP(X)
#undef X
};

enum mote_store_actor {
    MOTE_STORE_ACTOR_NOBODY, /* not logged in */
    MOTE_STORE_ACTOR_USER,   /* actor_id */
    MOTE_STORE_ACTOR_LOCAL,  /* a command on this machine */
    MOTE_STORE_ACTOR_SYSTEM, /* the server by itself */
};

struct mote_store_audit {
    enum mote_store_audit_action action;
    enum mote_store_actor actor;
    uint8_t actor_id[16];
    uint8_t user_id[16];                        /* whom it was done to; all zero: nobody in particular */
    uint8_t session_id[16];                     /* all zero: none */
    char address[MOTE_STORE_AUDIT_ADDRESS_MAX]; /* of the caller, "" = none */
    const char *result;       /* static. NULL: "OK"; else the reason of the failure, such as "LOGIN_THROTTLED" */
    struct mote_slice detail; /* a reason, what was changed; cut at MOTE_STORE_AUDIT_DETAIL_MAX bytes. Borrowed until
                                 the write is done */
};

/* Static text. */
const char *mote_store_audit_action_name(enum mote_store_audit_action action);

#endif
