/* SPDX-License-Identifier: Apache-2.0 */
#include "services/failure.h"

#include "base/assert.h"
#include "services/worker.h"

static const struct mote_failure rows[MOTE_FAILURE_COUNT] = {
#define X(reason_, status_, text_, retry_, when_)                                                                      \
    [MOTE_FAILURE_##                                                                                                   \
        reason_] = {.status = MOTE_STATUS_##status_, .reason = #reason_, .message = text_, .retry_after_ms = retry_},
    MOTE_FAILURE_MAP(X)
#undef X
};

const struct mote_failure *mote_failure_row(enum mote_failure_id id)
{
    mote_assert(id < MOTE_FAILURE_COUNT);
    return &rows[id];
}

enum mote_failure_id mote_failure_of_store(int error)
{
    switch (error) {
    case MOTE_EFULL:
        return MOTE_FAILURE_STORE_FULL;
    case MOTE_EBUSY:
    case MOTE_EAGAIN:
    case MOTE_ECONNECT:
    case MOTE_ETIMEOUT:
    case MOTE_EIO:
    case MOTE_EREADONLY:
    case MOTE_EACCESS:
    case MOTE_ELIMIT: /* the writer's queue is full: the disk is slow */
        return MOTE_FAILURE_STORE_UNAVAILABLE;
    case MOTE_ECANCELLED:
        return MOTE_FAILURE_SHUTTING_DOWN;
    default:
        return MOTE_FAILURE_INTERNAL_ERROR;
    }
}

enum mote_failure_id mote_failure_of_write(int error, enum mote_store_taken taken, enum mote_store_conflict conflict)
{
    static const enum mote_failure_id of_taken[] = {
        [MOTE_STORE_TAKEN_NONE] = MOTE_FAILURE_INTERNAL_ERROR, /* an id of our own */
        [MOTE_STORE_TAKEN_USERNAME] = MOTE_FAILURE_USERNAME_TAKEN,
        [MOTE_STORE_TAKEN_EMAIL] = MOTE_FAILURE_EMAIL_TAKEN,
    };
    static const enum mote_failure_id of_conflict[] = {
        [MOTE_STORE_CONFLICT_NONE] = MOTE_FAILURE_INTERNAL_ERROR,
        [MOTE_STORE_CONFLICT_STATE] = MOTE_FAILURE_USER_STATE_CONFLICT,
        [MOTE_STORE_CONFLICT_LAST_ADMINISTRATOR] = MOTE_FAILURE_LAST_ADMIN,
        [MOTE_STORE_CONFLICT_VERSION] = MOTE_FAILURE_ETAG_MISMATCH,
    };
    switch (error) {
    case MOTE_ENOTFOUND:
        return MOTE_FAILURE_USER_NOT_FOUND;
    case MOTE_EEXISTS:
        return of_taken[taken];
    case MOTE_ECONFLICT:
        return of_conflict[conflict];
    default:
        return mote_failure_of_store(error);
    }
}

enum mote_failure_id mote_failure_of_password(int error)
{
    switch (error) {
    case MOTE_EAUTH:
        return MOTE_FAILURE_CREDENTIALS_INVALID;
    case MOTE_ELIMIT:
    case MOTE_ETIMEOUT:
        return MOTE_FAILURE_HASH_QUEUE_FULL;
    case MOTE_ECANCELLED:
        return MOTE_FAILURE_SHUTTING_DOWN;
    default:
        return MOTE_FAILURE_INTERNAL_ERROR;
    }
}

void mote_failure_answer(struct mote_call *call, enum mote_failure_id id)
{
    mote_call_fail_details(call, mote_failure_row(id));
}

void mote_failure_answer_after(struct mote_call *call, enum mote_failure_id id, uint64_t wait_ns)
{
    struct mote_failure failure = *mote_failure_row(id);
    failure.retry_after_ms = (wait_ns + MOTE_NS_PER_MS - 1) / MOTE_NS_PER_MS;
    mote_call_fail_details(call, &failure);
}

void mote_failure_answer_fields(struct mote_call *call, const struct mote_violation *violations, size_t count)
{
    mote_assert(count > 0);
    struct mote_failure failure = *mote_failure_row(MOTE_FAILURE_FIELD_INVALID);
    const char *message = mote_arena_format(mote_call_arena(call), count > 1 ? "%s %s (and %zu more)" : "%s %s",
                                            violations[0].field, violations[0].text, count - 1);
    if (message != NULL) {
        failure.message = message;
    }
    failure.violations = violations;
    failure.violation_count = count;
    mote_call_fail_details(call, &failure);
}

static void answer_error(struct mote_call *call, enum mote_failure_id id, int error)
{
    if (id == MOTE_FAILURE_INTERNAL_ERROR) {
        mote_log(mote_services_worker_of(call)->services->log, MOTE_LOG_ERROR, "services", "services.failed",
                 "a call failed by no fault of its caller", mote_log_text("method", mote_call_method(call)->path),
                 mote_log_text("error", mote_error_name(error)));
    }
    mote_failure_answer(call, id);
}

void mote_failure_answer_store(struct mote_call *call, int error)
{
    answer_error(call, mote_failure_of_store(error), error);
}

void mote_failure_answer_write(struct mote_call *call, int error, enum mote_store_taken taken,
                               enum mote_store_conflict conflict)
{
    answer_error(call, mote_failure_of_write(error, taken, conflict), error);
}

void mote_failure_answer_password(struct mote_call *call, int error)
{
    answer_error(call, mote_failure_of_password(error), error);
}
