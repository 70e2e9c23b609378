/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a token to who is calling: the verified tokens of this worker first, then the whole pipeline of security/jwt.h,
 * then revocation. A defective token learns nothing of which check failed.
 */
#ifndef MOTE_SERVICES_AUTHENTICATE_H
#define MOTE_SERVICES_AUTHENTICATE_H

#include "base/error.h"
#include "base/slice.h"
#include "rpc/call.h"
#include "services/failure.h"
#include "services/worker.h"

/* The interceptor: sets the call's identity or ends the call. `context` is not used: the worker knows its services. */
void mote_authenticate_start(void *context, struct mote_call *call);

/* Judges what was verified before by what has been revoked since. */
enum mote_failure_id mote_authenticate_again(struct mote_services_worker *worker, const struct mote_identity *identity);

/* Judges a token (without a scheme) as of now. MOTE_FAILURE_COUNT when it is good; otherwise one of TOKEN_INVALID,
 * TOKEN_EXPIRED, TOKEN_NOT_YET_VALID, SESSION_REVOKED, TOKEN_STALE, PASSWORD_CHANGE_REQUIRED or a failure of the store.
 * *identity is filled in for all but TOKEN_INVALID, all zero where nothing is known. */
enum mote_failure_id mote_authenticate_token(struct mote_services_worker *worker, struct mote_slice token,
                                             struct mote_identity *identity);

#endif
