/* SPDX-License-Identifier: Apache-2.0 */
#include "services/password_attempt.h"

#include <string.h>

#include "services/audit.h"
#include "services/caller_address.h"
#include "services/worker.h"

static uint64_t now_of(const struct mote_services *services)
{
    return services->clock->monotonic_ns(services->clock->context);
}

/* What is over the limits is in the audit record too. */
static void refuse(struct mote_call *call, const struct mote_throttle_attempt *attempt, uint64_t wait)
{
    struct mote_store_audit entry;
    const char *method = mote_call_method(call)->name;
    mote_audit_init(&entry, call,
                    strcmp(method, "Login") == 0        ? MOTE_STORE_AUDIT_LOGIN
                    : strcmp(method, "CreateUser") == 0 ? MOTE_STORE_AUDIT_CREATE_USER
                                                        : MOTE_STORE_AUDIT_CHANGE_PASSWORD,
                    NULL);
    entry.result = mote_failure_row(MOTE_FAILURE_LOGIN_THROTTLED)->reason;
    mote_audit_append_refusal(call, &entry, attempt->ids[0]);
    mote_failure_answer_after(call, MOTE_FAILURE_LOGIN_THROTTLED, wait);
}

bool mote_password_attempt_begin(struct mote_call *call, struct mote_throttle_attempt *attempt, const char *account)
{
    const struct mote_services *services = mote_services_worker_of(call)->services;
    char address[MOTE_CALLER_ADDRESS_MAX];
    mote_caller_address(call, address);
    mote_throttle_attempt_init(attempt, services->throttle, mote_slice_text(account), address);
    const uint64_t wait = mote_throttle_check(services->throttle, attempt, now_of(services));
    if (wait != 0) {
        refuse(call, attempt, wait);
    }
    return wait == 0;
}

bool mote_password_attempt_end(struct mote_call *call, const struct mote_throttle_attempt *attempt, int result,
                               enum mote_failure_id wrong)
{
    const struct mote_services *services = mote_services_worker_of(call)->services;
    uint64_t wait = 0;
    if (result == 0 || result == MOTE_EAUTH) {
        wait = mote_throttle_end(services->throttle, attempt, result == 0, now_of(services));
    }
    if (wait != 0) {
        refuse(call, attempt, wait);
        return false;
    }
    if (result == MOTE_EAUTH) {
        mote_failure_answer(call, wrong);
    } else if (result != 0) {
        mote_failure_answer_password(call, result);
    }
    return result == 0 && !mote_call_is_over(call);
}
