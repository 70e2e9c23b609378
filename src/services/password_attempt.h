/* SPDX-License-Identifier: Apache-2.0 */
/* A password that somebody says is theirs, between the throttle and the answer: at Login and at ChangePassword; and a
 * name at an open sign-up, that may be taken. */
#ifndef MOTE_SERVICES_PASSWORD_ATTEMPT_H
#define MOTE_SERVICES_PASSWORD_ATTEMPT_H

#include "rpc/call.h"
#include "services/failure.h"
#include "services/throttle.h"

/* Before anything is looked up or hashed. False with the call ended: LOGIN_THROTTLED. */
bool mote_password_attempt_begin(struct mote_call *call, struct mote_throttle_attempt *attempt, const char *account);
/* With what the password job has said; counts also when the call has ended by now. True when the password is right and
 * the call goes on; otherwise it has ended: LOGIN_THROTTLED, `wrong`, or a failure of the pool. */
bool mote_password_attempt_end(struct mote_call *call, const struct mote_throttle_attempt *attempt, int result,
                               enum mote_failure_id wrong);

#endif
