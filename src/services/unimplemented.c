/* SPDX-License-Identifier: Apache-2.0 */
/* Methods that the .proto files declare and this version does not have: clients can be generated against them now. */
#include "auth/v1/auth.mote.h"
#include "services/failure.h"
#include "user/v1/user.mote.h"

#define NOT_IMPLEMENTED(handler, type)                                                                                 \
    void handler(struct mote_call *call, const type *request)                                                          \
    {                                                                                                                  \
        (void)request;                                                                                                 \
        mote_failure_answer_not_implemented(call);                                                                     \
    }

NOT_IMPLEMENTED(auth_v1_auth_service_revoke_token, auth_v1_RevokeTokenRequest)
