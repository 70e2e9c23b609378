/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store keeps and tells: users, sessions, changes. Texts end with a NUL; times are wall-clock nanoseconds
 * since 1970. Included by store.h.
 */
#ifndef MOTE_STORE_RECORD_H
#define MOTE_STORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#define MOTE_USERNAME_MAX     32u
#define MOTE_EMAIL_MAX        254u
#define MOTE_DISPLAY_NAME_MAX 256u
#define MOTE_STORE_HASH_MAX   160u
#define MOTE_STORE_REASON_MAX 256u

enum mote_user_state {
    MOTE_USER_ACTIVE = 1,
    MOTE_USER_DISABLED = 3,
};

struct mote_user {
    uint8_t id[16];
    char username[MOTE_USERNAME_MAX + 1]; /* lower case */
    char email[MOTE_EMAIL_MAX + 1];       /* as given; "" = none; unique without case */
    char display_name[MOTE_DISPLAY_NAME_MAX + 1];
    uint32_t roles; /* of enum mote_role_bit: USER 1, SERVICE 2, ADMIN 4 */
    enum mote_user_state state;
    bool email_verified;
    bool password_change_required;
    int64_t create_time;
    int64_t update_time;
    int64_t last_login_time;                 /* 0 = never */
    uint64_t epoch;                          /* raised when all access tokens must end */
    uint64_t version;                        /* raised by every change; the etag is made from it */
    char password_hash[MOTE_STORE_HASH_MAX]; /* "" = cannot log in */
};

struct mote_store_session_record {
    uint8_t id[16];
    uint8_t user_id[16];
    int64_t create_time;
    int64_t last_use_time;
    int64_t expire_time; /* absolute end */
    char user_agent[129];
    char peer_address[64];
};

#define MOTE_STORE_REQUEST_KEEP_NS (600 * INT64_C(1000000000))

/* A request that created a user, known for MOTE_STORE_REQUEST_KEEP_NS. */
struct mote_store_request {
    uint8_t caller[16]; /* all zero: nobody in particular */
    uint8_t id[16];     /* the caller's choice */
    uint8_t user_id[16];
    uint8_t digest[32]; /* of what was asked for, by the key `kid` */
    char kid[33];
};

/* What is known of `request.caller` and `request.id`; the rest is the answer. MOTE_ENOTFOUND: nothing, or no more. */
struct mote_store_find_request {
    int64_t now;
    struct mote_store_request request;
    void (*done)(struct mote_store_find_request *read, int result);
};

enum mote_store_change_kind {
    MOTE_STORE_CHANGE_USER_CREATED,
    MOTE_STORE_CHANGE_USER_UPDATED,
    MOTE_STORE_CHANGE_USER_DELETED,  /* all tokens and sessions of user_id are over */
    MOTE_STORE_CHANGE_USER_EPOCH,    /* tokens of user_id with an epoch below `epoch` are over, and so are its sessions:
                                        disabled, password set by an administrator */
    MOTE_STORE_CHANGE_USER_ROLES,    /* the same for tokens, but the sessions live: the roles changed, a refresh gives a
                                        token with the new ones */
    MOTE_STORE_CHANGE_USER_UNLOCKED, /* user_id has changed the password as required: tokens with an epoch below
                                        `epoch` are held up by that no more */
    MOTE_STORE_CHANGE_SESSION_REVOKED, /* session_id of user_id */
    MOTE_STORE_CHANGE_TOKEN_REVOKED,   /* the access token token_id alone; `time` is when nobody takes it any more */
};

struct mote_store_change {
    uint64_t commit; /* its number: each change has one of its own, in order, up to the number of its commit */
    enum mote_store_change_kind kind;
    uint8_t user_id[16];
    union {
        uint8_t session_id[16];
        uint8_t token_id[16];
    };
    uint64_t epoch;
    int64_t time; /* wall time of the change */
};

#endif
