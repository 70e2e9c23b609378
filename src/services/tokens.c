/* SPDX-License-Identifier: Apache-2.0 */
#include "services/tokens.h"

#include <string.h>

#include "base/text.h"
#include "security/secret.h"
#include "services/convert.h"

#define UUID_RANDOM_BYTES   10u
#define REFRESH_TEXT_LENGTH 43u

_Static_assert(sizeof((auth_v1_TokenPair){0}.access_token) > MOTE_JWT_LENGTH_MAX, "a token and a NUL");

int mote_tokens_new_id(struct mote_services_worker *worker, uint8_t id[16])
{
    const struct mote_services *services = worker->services;
    uint8_t random[UUID_RANDOM_BYTES];
    int result = services->random->fill(services->random->context, random, sizeof random);
    if (result == 0) {
        mote_uuid_make_v7(id, mote_services_worker_wall(worker), random);
    }
    return result;
}

int mote_tokens_issue(struct mote_services_worker *worker, auth_v1_TokenPair *pair,
                      const struct mote_tokens_grant *grant)
{
    const struct mote_services *services = worker->services;
    int64_t now = mote_services_worker_seconds(worker);
    int64_t session_end = grant->session->expire_time / (int64_t)MOTE_NS_PER_SECOND;
    struct mote_identity identity = {
        .issued_at = now,
        .not_before = now,
        .expires_at = now + services->access_lifetime,
        .roles = grant->user->roles,
        .epoch = grant->user->epoch,
        .password_change_required = grant->user->password_change_required,
    };
    if (identity.expires_at > session_end) {
        identity.expires_at = session_end;
    }
    memcpy(identity.user_id, grant->user->id, sizeof identity.user_id);
    memcpy(identity.session_id, grant->session->id, sizeof identity.session_id);
    memcpy(identity.token_id, grant->token_id, sizeof identity.token_id);
    *pair = (auth_v1_TokenPair){.token_type = "Bearer", .has_expires_in = true, .has_refresh_expire_time = true};
    size_t length = 0;
    int result =
        mote_jwt_issue(pair->access_token, &length, mote_services_worker_keyring(worker), &services->policy, &identity);
    if (result != 0) {
        return result;
    }
    pair->access_token[length] = '\0';
    mote_base64_encode(pair->refresh_token, mote_slice(grant->refresh, MOTE_TOKENS_REFRESH_BYTES),
                       MOTE_BASE64_URL_UNPADDED);
    pair->expires_in.seconds = identity.expires_at - now;
    pair->refresh_expire_time = mote_convert_time(grant->refresh_expire_time);
    return 0;
}

bool mote_tokens_read_refresh(uint8_t out[MOTE_TOKENS_REFRESH_BYTES], struct mote_slice text)
{
    uint8_t raw[MOTE_TOKENS_REFRESH_BYTES + 2];
    size_t length = 0;
    bool valid = text.length == REFRESH_TEXT_LENGTH &&
                 mote_base64_decode(raw, &length, text, MOTE_BASE64_URL_UNPADDED) == 0 &&
                 length == MOTE_TOKENS_REFRESH_BYTES;
    if (valid) {
        memcpy(out, raw, MOTE_TOKENS_REFRESH_BYTES);
    }
    mote_secret_wipe(raw, sizeof raw);
    return valid;
}
