/* SPDX-License-Identifier: Apache-2.0 */
#include "services/authenticate.h"

#include "services/access.h"

/* The token of an `authorization` value: `Bearer <token>` with one space (RFC 6750, the scheme without case), or the
 * value as it is, which the verification refuses unless it is a bare token. */
static struct mote_slice token_of(struct mote_slice authorization)
{
    static const struct mote_slice scheme = MOTE_SLICE_LITERAL("Bearer ");
    if (!mote_slice_starts_with(authorization, scheme) &&
        (authorization.length < scheme.length ||
         !mote_slice_equals_ignore_case(mote_slice(authorization.data, scheme.length), scheme))) {
        return authorization;
    }
    return mote_slice(authorization.data + scheme.length, authorization.length - scheme.length);
}

/* All calls of a turn are judged by one time. */
static int64_t seconds_of_turn(struct mote_services_worker *worker)
{
    if (worker->turn_seconds == 0) {
        worker->turn_seconds = mote_services_worker_seconds(worker);
    }
    return worker->turn_seconds;
}

static enum mote_failure_id verify(struct mote_services_worker *worker, struct mote_slice token, int64_t now,
                                   struct mote_identity *identity)
{
    const struct mote_services *services = worker->services;
    const struct mote_keyring *keyring = mote_services_worker_keyring(worker); /* first: it may clear the cache */
    const struct mote_identity *known = mote_token_cache_find(worker->cache, token, now - services->policy.leeway);
    if (worker->lookups != NULL) {
        mote_counter_add(&worker->lookups[known == NULL], 1);
    }
    if (known != NULL) {
        *identity = *known;
        return MOTE_FAILURE_COUNT;
    }
    int result = mote_jwt_verify(identity, keyring, &services->policy, token, now);
    switch (result) {
    case 0:
        mote_token_cache_add(worker->cache, token, identity);
        return MOTE_FAILURE_COUNT;
    case MOTE_EEXPIRED:
        return MOTE_FAILURE_TOKEN_EXPIRED;
    case MOTE_ENOTYET:
        return MOTE_FAILURE_TOKEN_NOT_YET_VALID;
    case MOTE_ENOMEM:
        return MOTE_FAILURE_INTERNAL_ERROR;
    default:
        return MOTE_FAILURE_TOKEN_INVALID;
    }
}

enum mote_failure_id mote_authenticate_token(struct mote_services_worker *worker, struct mote_slice token,
                                             struct mote_identity *identity)
{
    *identity = (struct mote_identity){0};
    enum mote_failure_id failure = verify(worker, token, seconds_of_turn(worker), identity);
    if (failure != MOTE_FAILURE_COUNT) {
        return failure;
    }
    return mote_authenticate_again(worker, identity);
}

enum mote_failure_id mote_authenticate_again(struct mote_services_worker *worker, const struct mote_identity *identity)
{
    enum mote_revocation_verdict verdict;
    int result = mote_revocation_check(&worker->revocation, identity, seconds_of_turn(worker), &verdict);
    if (result != 0) {
        return mote_failure_of_store(result);
    }
    switch (verdict) {
    case MOTE_REVOCATION_NONE:
        return MOTE_FAILURE_COUNT;
    case MOTE_REVOCATION_REVOKED:
        return MOTE_FAILURE_SESSION_REVOKED;
    case MOTE_REVOCATION_TOKEN_REVOKED:
        return MOTE_FAILURE_TOKEN_REVOKED;
    case MOTE_REVOCATION_STALE:
        return MOTE_FAILURE_TOKEN_STALE;
    case MOTE_REVOCATION_LOCKED:
        return MOTE_FAILURE_PASSWORD_CHANGE_REQUIRED;
    }
    return MOTE_FAILURE_INTERNAL_ERROR;
}

void mote_authenticate_start(void *context, struct mote_call *call)
{
    (void)context;
    struct mote_slice authorization = mote_call_authorization(call);
    if (!mote_slice_is_present(authorization)) {
        mote_failure_answer(call, MOTE_FAILURE_CREDENTIALS_MISSING);
        return;
    }
    if (mote_call_authorization_is_repeated(call)) {
        mote_failure_answer(call, MOTE_FAILURE_TOKEN_INVALID);
        return;
    }
    struct mote_identity identity;
    enum mote_failure_id failure =
        mote_authenticate_token(mote_services_worker_of(call), token_of(authorization), &identity);
    if (failure == MOTE_FAILURE_PASSWORD_CHANGE_REQUIRED &&
        mote_access_is_open_to_locked(mote_call_method(call)->path)) {
        failure = MOTE_FAILURE_COUNT;
    }
    if (failure != MOTE_FAILURE_COUNT) {
        mote_failure_answer(call, failure);
        return;
    }
    mote_call_set_identity(call, &identity);
}
