/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way in which the services refuse a call, as one table: status, reason, text, and when to come again. Nothing
 * else in this folder names a status or a reason. The texts say nothing about which check failed, and never hold a
 * secret.
 */
#ifndef MOTE_SERVICES_FAILURE_H
#define MOTE_SERVICES_FAILURE_H

#include <stddef.h>
#include <stdint.h>

#include "rpc/call.h"
#include "store/store.h"

/* X(reason, status, text, milliseconds until another try makes sense: 0 = no advice, when it is given: for the
 * reference page) */
#define MOTE_FAILURE_MAP(X)                                                                                            \
    X(CREDENTIALS_MISSING, UNAUTHENTICATED, "missing credentials", 0,                                                  \
      "the call has no authorization metadata, and the method is not public")                                          \
    X(TOKEN_INVALID, UNAUTHENTICATED, "invalid token", 0,                                                              \
      "the access token has any defect but its time: one answer for all of them; or authorization is given twice")     \
    X(TOKEN_EXPIRED, UNAUTHENTICATED, "the token has expired", 0, "the access token is over, by more than the leeway") \
    X(TOKEN_NOT_YET_VALID, UNAUTHENTICATED, "the token is not valid yet", 0,                                           \
      "the access token begins in the future, by more than the leeway")                                                \
    X(SESSION_REVOKED, UNAUTHENTICATED, "the session has been revoked", 0,                                             \
      "the access token is of a session that has ended, or of a user who is disabled or gone")                         \
    X(TOKEN_REVOKED, UNAUTHENTICATED, "the token has been revoked", 0, "the access token was revoked by RevokeToken")  \
    X(TOKEN_STALE, UNAUTHENTICATED, "the token is out of date: refresh it, then try again", 0,                         \
      "the user's roles have changed since the access token was issued, or the server cannot tell: a refresh helps")   \
    X(PERMISSION_DENIED, PERMISSION_DENIED, "permission denied", 0,                                                    \
      "the caller lacks the role, or asks for another user's record, whether it exists or not")                        \
    X(FIELD_INVALID, INVALID_ARGUMENT, "invalid request", 0,                                                           \
      "a field breaks a rule: every field at fault is named in a google.rpc.BadRequest")                               \
    X(CREDENTIALS_INVALID, UNAUTHENTICATED, "wrong user name or password", 0,                                          \
      "a login with an unknown name, a wrong password or a disabled account: one answer, after the same time")         \
    X(HASH_QUEUE_FULL, UNAVAILABLE, "too many passwords are being checked: try again later", 1000,                     \
      "too many passwords wait to be hashed, or this one has waited too long")                                         \
    X(LOGIN_THROTTLED, RESOURCE_EXHAUSTED, "too many failed attempts: try again later", 1000,                          \
      "too many logins of this account or from this address have failed, or sign-ups with what was taken; told "       \
      "before "                                                                                                        \
      "anything is looked up, and when to come again")                                                                 \
    X(PASSWORD_CHANGE_REQUIRED, FAILED_PRECONDITION, "the password must be changed first", 0,                          \
      "the user must change the password first: only ChangePassword, Logout and the public methods are open until "    \
      "then")                                                                                                          \
    X(CURRENT_PASSWORD_INVALID, INVALID_ARGUMENT, "wrong current password", 0,                                         \
      "a change of password with a wrong current one, which counts as a failed login")                                 \
    X(REFRESH_TOKEN_INVALID, UNAUTHENTICATED, "invalid refresh token", 0,                                              \
      "the refresh token is unknown, malformed or expired, or its session or user is gone")                            \
    X(REFRESH_TOKEN_REUSED, UNAUTHENTICATED, "the refresh token was used before: the session is revoked", 0,           \
      "the refresh token was used before, and not in the last 10 seconds: its session has been revoked")               \
    X(USER_NOT_FOUND, NOT_FOUND, "user not found", 0, "no such user, asked for by a caller who may know")              \
    X(USERNAME_TAKEN, ALREADY_EXISTS, "the username is taken", 0, "another user has the username")                     \
    X(EMAIL_TAKEN, ALREADY_EXISTS, "the email address is taken", 0, "another user has the email address")              \
    X(LAST_ADMIN, FAILED_PRECONDITION, "the last active administrator must be kept", 0,                                \
      "the last active administrator would be disabled, deleted or lose the role")                                     \
    X(USER_STATE_CONFLICT, FAILED_PRECONDITION, "the user is in that state already", 0,                                \
      "a user who is disabled is to be disabled, or an active one enabled")                                            \
    X(ETAG_MISMATCH, ABORTED, "the user has been changed: read it again", 0,                                           \
      "the etag given is not the present one: somebody has changed the user since")                                    \
    X(SESSION_NOT_FOUND, NOT_FOUND, "session not found", 0,                                                            \
      "no such session, or it is over, or it is someone else's and the caller is no administrator")                    \
    X(RESUME_TOKEN_EXPIRED, OUT_OF_RANGE, "the resume token is too old: read the users again, then watch anew", 0,     \
      "some of the changes behind the resume token are not kept any more, or a watch fell so far behind")              \
    X(STORE_FULL, RESOURCE_EXHAUSTED, "the store is full", 0, "the disk is full: nothing was changed")                 \
    X(STORE_UNAVAILABLE, UNAVAILABLE, "the store cannot be reached: try again later", 0,                               \
      "the store's disk fails, is read-only or gone, another program holds the store, or its queue is full")           \
    X(INTERNAL_ERROR, INTERNAL, "internal error", 0, "a failure that is the server's own; its log says which")         \
    X(SHUTTING_DOWN, UNAVAILABLE, "the server is shutting down", 0, "the server ends before the call has")

enum mote_failure_id {
#define X(reason, status, text, retry, when) MOTE_FAILURE_##reason,
    MOTE_FAILURE_MAP(X)
#undef X
        MOTE_FAILURE_COUNT,
};

/* The row of the table. Static. */
const struct mote_failure *mote_failure_row(enum mote_failure_id id);
/* What an error of the store means to the caller of the service. */
enum mote_failure_id mote_failure_of_store(int error);
/* The same for a write of users, with what its struct says beside the error. */
enum mote_failure_id mote_failure_of_write(int error, enum mote_store_taken taken, enum mote_store_conflict conflict);
/* The same for a password job. */
enum mote_failure_id mote_failure_of_password(int error);

/* Ends the call with that row. */
void mote_failure_answer(struct mote_call *call, enum mote_failure_id id);
/* The same with how long it takes until another try makes sense: not 0, and rounded up. */
void mote_failure_answer_after(struct mote_call *call, enum mote_failure_id id, uint64_t wait_ns);
/* FIELD_INVALID, with every violation; the first of them is in the message too. */
void mote_failure_answer_fields(struct mote_call *call, const struct mote_violation *violations, size_t count);
/* For errors of the store and of the machine, and for those of password jobs. What the caller is told as INTERNAL_ERROR
 * is in the log; the store itself logs that it is full or cannot be reached. */
void mote_failure_answer_store(struct mote_call *call, int error);
void mote_failure_answer_write(struct mote_call *call, int error, enum mote_store_taken taken,
                               enum mote_store_conflict conflict);
void mote_failure_answer_password(struct mote_call *call, int error);

#endif
