/* SPDX-License-Identifier: Apache-2.0 */
/* Making what a login or a refresh hands out. */
#ifndef MOTE_SERVICES_TOKENS_H
#define MOTE_SERVICES_TOKENS_H

#include <stdint.h>

#include "auth/v1/auth.mote.h"
#include "base/error.h"
#include "services/worker.h"
#include "store/store.h"

#define MOTE_TOKENS_REFRESH_BYTES 32u

/* A new id (UUIDv7): of users, sessions and tokens. MOTE_ERANDOM. */
MOTE_MUST_CHECK int mote_tokens_new_id(struct mote_services_worker *worker, uint8_t id[16]);

/* All that needs randomness is made before the session is written: without it nothing is. */
struct mote_tokens_grant {
    const uint8_t *token_id; /* 16 bytes, by mote_tokens_new_id */
    const struct mote_user *user;
    const struct mote_store_session_record *session;
    const uint8_t *refresh; /* MOTE_TOKENS_REFRESH_BYTES */
    int64_t refresh_expire_time;
};

/* Fills in *pair: an access token that does not outlive its session, and the refresh token in text. The caller wipes
 * *pair. */
MOTE_MUST_CHECK int mote_tokens_issue(struct mote_services_worker *worker, auth_v1_TokenPair *pair,
                                      const struct mote_tokens_grant *grant);

/* The bytes of a refresh token in text; false when it is none. The caller wipes `out`. */
bool mote_tokens_read_refresh(uint8_t out[MOTE_TOKENS_REFRESH_BYTES], struct mote_slice text);

#endif
