/* SPDX-License-Identifier: Apache-2.0 */
/* The table of failures, word for word where clients depend on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/failure.h"

static void the_rows_clients_know(void **state)
{
    (void)state;
    static const struct {
        enum mote_failure_id id;
        enum mote_status status;
        const char *reason;
    } rows[] = {
        {MOTE_FAILURE_CREDENTIALS_MISSING, MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_MISSING"},
        {MOTE_FAILURE_TOKEN_INVALID, MOTE_STATUS_UNAUTHENTICATED, "TOKEN_INVALID"},
        {MOTE_FAILURE_TOKEN_EXPIRED, MOTE_STATUS_UNAUTHENTICATED, "TOKEN_EXPIRED"},
        {MOTE_FAILURE_TOKEN_NOT_YET_VALID, MOTE_STATUS_UNAUTHENTICATED, "TOKEN_NOT_YET_VALID"},
        {MOTE_FAILURE_SESSION_REVOKED, MOTE_STATUS_UNAUTHENTICATED, "SESSION_REVOKED"},
        {MOTE_FAILURE_TOKEN_REVOKED, MOTE_STATUS_UNAUTHENTICATED, "TOKEN_REVOKED"},
        {MOTE_FAILURE_TOKEN_STALE, MOTE_STATUS_UNAUTHENTICATED, "TOKEN_STALE"},
        {MOTE_FAILURE_PERMISSION_DENIED, MOTE_STATUS_PERMISSION_DENIED, "PERMISSION_DENIED"},
        {MOTE_FAILURE_FIELD_INVALID, MOTE_STATUS_INVALID_ARGUMENT, "FIELD_INVALID"},
        {MOTE_FAILURE_CREDENTIALS_INVALID, MOTE_STATUS_UNAUTHENTICATED, "CREDENTIALS_INVALID"},
        {MOTE_FAILURE_HASH_QUEUE_FULL, MOTE_STATUS_UNAVAILABLE, "HASH_QUEUE_FULL"},
        {MOTE_FAILURE_LOGIN_THROTTLED, MOTE_STATUS_RESOURCE_EXHAUSTED, "LOGIN_THROTTLED"},
        {MOTE_FAILURE_PASSWORD_CHANGE_REQUIRED, MOTE_STATUS_FAILED_PRECONDITION, "PASSWORD_CHANGE_REQUIRED"},
        {MOTE_FAILURE_CURRENT_PASSWORD_INVALID, MOTE_STATUS_INVALID_ARGUMENT, "CURRENT_PASSWORD_INVALID"},
        {MOTE_FAILURE_REFRESH_TOKEN_INVALID, MOTE_STATUS_UNAUTHENTICATED, "REFRESH_TOKEN_INVALID"},
        {MOTE_FAILURE_REFRESH_TOKEN_REUSED, MOTE_STATUS_UNAUTHENTICATED, "REFRESH_TOKEN_REUSED"},
        {MOTE_FAILURE_USER_NOT_FOUND, MOTE_STATUS_NOT_FOUND, "USER_NOT_FOUND"},
        {MOTE_FAILURE_USERNAME_TAKEN, MOTE_STATUS_ALREADY_EXISTS, "USERNAME_TAKEN"},
        {MOTE_FAILURE_EMAIL_TAKEN, MOTE_STATUS_ALREADY_EXISTS, "EMAIL_TAKEN"},
        {MOTE_FAILURE_LAST_ADMIN, MOTE_STATUS_FAILED_PRECONDITION, "LAST_ADMIN"},
        {MOTE_FAILURE_USER_STATE_CONFLICT, MOTE_STATUS_FAILED_PRECONDITION, "USER_STATE_CONFLICT"},
        {MOTE_FAILURE_ETAG_MISMATCH, MOTE_STATUS_ABORTED, "ETAG_MISMATCH"},
        {MOTE_FAILURE_SESSION_NOT_FOUND, MOTE_STATUS_NOT_FOUND, "SESSION_NOT_FOUND"},
        {MOTE_FAILURE_RESUME_TOKEN_EXPIRED, MOTE_STATUS_OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"},
        {MOTE_FAILURE_STORE_FULL, MOTE_STATUS_RESOURCE_EXHAUSTED, "STORE_FULL"},
        {MOTE_FAILURE_STORE_UNAVAILABLE, MOTE_STATUS_UNAVAILABLE, "STORE_UNAVAILABLE"},
        {MOTE_FAILURE_INTERNAL_ERROR, MOTE_STATUS_INTERNAL, "INTERNAL_ERROR"},
        {MOTE_FAILURE_SHUTTING_DOWN, MOTE_STATUS_UNAVAILABLE, "SHUTTING_DOWN"},
    };
    assert_int_equal(sizeof rows / sizeof rows[0], MOTE_FAILURE_COUNT);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mote_failure *row = mote_failure_row(rows[i].id);
        assert_int_equal(row->status, rows[i].status);
        assert_string_equal(row->reason, rows[i].reason);
        assert_true(strlen(row->message) > 0);
        assert_int_equal(row->violation_count, 0);
        assert_int_equal(row->retry_after_ms > 0,
                         rows[i].id == MOTE_FAILURE_HASH_QUEUE_FULL || rows[i].id == MOTE_FAILURE_LOGIN_THROTTLED);
    }
    assert_string_equal(mote_failure_row(MOTE_FAILURE_CREDENTIALS_MISSING)->message, "missing credentials");
    assert_string_equal(mote_failure_row(MOTE_FAILURE_TOKEN_INVALID)->message, "invalid token");
}

static void errors_of_the_store(void **state)
{
    (void)state;
    static const struct {
        int error;
        enum mote_failure_id id;
    } cases[] = {
        {MOTE_EFULL, MOTE_FAILURE_STORE_FULL},
        {MOTE_EBUSY, MOTE_FAILURE_STORE_UNAVAILABLE},
        {MOTE_ELIMIT, MOTE_FAILURE_STORE_UNAVAILABLE},
        {MOTE_EAGAIN, MOTE_FAILURE_STORE_UNAVAILABLE},
        {MOTE_ECONNECT, MOTE_FAILURE_STORE_UNAVAILABLE},
        {MOTE_ETIMEOUT, MOTE_FAILURE_STORE_UNAVAILABLE},
        {MOTE_ECANCELLED, MOTE_FAILURE_SHUTTING_DOWN},
        {MOTE_EIO, MOTE_FAILURE_STORE_UNAVAILABLE},
        {MOTE_ECORRUPT, MOTE_FAILURE_INTERNAL_ERROR},
        {MOTE_EREADONLY, MOTE_FAILURE_STORE_UNAVAILABLE},
        {MOTE_ENOMEM, MOTE_FAILURE_INTERNAL_ERROR},
        {MOTE_ERANDOM, MOTE_FAILURE_INTERNAL_ERROR},
        {-9999, MOTE_FAILURE_INTERNAL_ERROR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mote_failure_of_store(cases[i].error), cases[i].id);
    }
}

static void errors_of_the_password_pool(void **state)
{
    (void)state;
    assert_int_equal(mote_failure_of_password(MOTE_EAUTH), MOTE_FAILURE_CREDENTIALS_INVALID);
    assert_int_equal(mote_failure_of_password(MOTE_ELIMIT), MOTE_FAILURE_HASH_QUEUE_FULL);
    assert_int_equal(mote_failure_of_password(MOTE_ETIMEOUT), MOTE_FAILURE_HASH_QUEUE_FULL);
    assert_int_equal(mote_failure_of_password(MOTE_ECANCELLED), MOTE_FAILURE_SHUTTING_DOWN);
    assert_int_equal(mote_failure_of_password(MOTE_ENOMEM), MOTE_FAILURE_INTERNAL_ERROR);
    assert_int_equal(mote_failure_of_password(MOTE_ERANDOM), MOTE_FAILURE_INTERNAL_ERROR);
    assert_int_equal(mote_failure_of_password(MOTE_ECORRUPT), MOTE_FAILURE_INTERNAL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rows_clients_know),
        cmocka_unit_test(errors_of_the_store),
        cmocka_unit_test(errors_of_the_password_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
