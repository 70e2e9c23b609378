/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of calls, in and out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "call_test.h"
#include "rpc/core.h"

static void add_metadata(struct mote_call *call)
{
    assert_int_equal(mote_call_add_header(call, "x-head", mote_slice_text("h 1")), 0);
    assert_int_equal(mote_call_add_header(call, "x-head-bin", mote_slice("\xab\xab\xab\x00", 4)), 0);
    assert_int_equal(mote_call_add_trailer(call, "x-tail", mote_slice_text("t")), 0);
    static const char *const bad_names[] = {"grpc-status", "X-Upper", ":status", "", "content-type", "te", "a b"};
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++) {
        assert_int_equal(mote_call_add_header(call, bad_names[i], mote_slice_text("v")), MOTE_EINVAL);
        assert_int_equal(mote_call_add_trailer(call, bad_names[i], mote_slice_text("v")), MOTE_EINVAL);
    }
    assert_int_equal(mote_call_add_header(call, "x", mote_slice_text("a\nb")), MOTE_EINVAL);
    assert_int_equal(mote_call_add_header(call, "x", mote_slice_text(" a")), MOTE_EINVAL);
}

static void reply_with_metadata(struct mote_call *call, const void *request)
{
    add_metadata(call);
    call_fixture_reply_42(call, request);
    assert_int_equal(mote_call_add_header(call, "x", mote_slice_text("a")), MOTE_ECLOSED);
    assert_int_equal(mote_call_add_trailer(call, "x", mote_slice_text("a")), MOTE_ECLOSED);
}

static void fail_with_metadata(struct mote_call *call, const void *request)
{
    (void)request;
    add_metadata(call);
    mote_call_fail(call, MOTE_STATUS_ABORTED, "no");
}

static void test_metadata_out(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, reply_with_metadata);
    assert_string_equal(call_fixture_whole(pair, UNARY, NULL, TWO_PLUS_40, 9),
                        "1" HEADERS " x-head=h 1 x-head-bin=q6urAA\n"
                        "1 data 0000000002082a\n"
                        "1 trailers grpc-status=0 x-tail=t\n"
                        "1 closed NO_ERROR\n");
    fixture.handler = fail_with_metadata;
    assert_string_equal(call_fixture_whole(pair, UNARY, NULL, TWO_PLUS_40, 9),
                        "3" HEADERS " x-head=h 1 x-head-bin=q6urAA\n"
                        "3 trailers grpc-status=10 grpc-message=no x-tail=t\n"
                        "3 closed NO_ERROR\n");
    teardown(&fixture);
}

static void metadata_at_limits(struct mote_call *call, const void *request)
{
    char value[MOTE_CALL_METADATA_BYTES_MAX];
    memset(value, 'v', sizeof value);
    const size_t most = MOTE_CALL_METADATA_BYTES_MAX - 32 - 1;
    assert_int_equal(mote_call_add_header(call, "x", mote_slice(value, most + 1)), MOTE_ELIMIT);
    assert_int_equal(mote_call_add_header(call, "x", mote_slice(value, most)), 0);
    assert_int_equal(mote_call_add_header(call, "x", mote_slice("", 0)), MOTE_ELIMIT);
    for (size_t i = 0; i < MOTE_CALL_METADATA_MAX; i++) {
        assert_int_equal(mote_call_add_trailer(call, "y", mote_slice_text("1")), 0);
    }
    assert_int_equal(mote_call_add_trailer(call, "y", mote_slice_text("1")), MOTE_ELIMIT);
    call_fixture_reply_42(call, request);
}

static void test_metadata_limits(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, metadata_at_limits);
    call_fixture_start(pair, UNARY, NULL);
    assert_int_equal(fixture.handled, 1);
    assert_int_equal(fixture.observed.summary.status, MOTE_STATUS_OK);
    teardown(&fixture);
}

static void read_metadata(struct mote_call *call, const void *request)
{
    assert_true(mote_slice_equals_text(mote_call_metadata(call, "x-a"), "1"));
    assert_true(mote_slice_equals_text(mote_call_metadata_at(call, "x-a", 1), "2"));
    assert_false(mote_slice_is_present(mote_call_metadata_at(call, "x-a", 2)));
    assert_false(mote_slice_is_present(mote_call_metadata(call, "x-b")));
    struct mote_slice name;
    struct mote_slice value;
    assert_true(mote_call_metadata_field(call, 1, &name, &value));
    assert_true(mote_slice_equals_text(name, "x-a") && mote_slice_equals_text(value, "2"));
    assert_false(mote_call_metadata_field(call, 2, &name, &value));
    assert_true(mote_slice_equals_text(mote_call_authorization(call), "Bearer t"));
    assert_true(mote_call_authorization_is_repeated(call));
    assert_true(mote_slice_equals_text(mote_call_user_agent(call), "ua/1"));
    assert_true(mote_slice_equals_text(mote_call_metadata(call, "user-agent"), "ua/1"));
    assert_false(mote_slice_is_present(mote_call_metadata_at(call, "user-agent", 1)));
    assert_true(mote_slice_equals_text(mote_call_authority(call), "localhost"));
    assert_string_equal(mote_call_peer(call), "192.0.2.1:40000");
    assert_ptr_equal(mote_call_context(call), call_fixture_of(call));
    assert_string_equal(mote_call_method(call)->name, "Unary");
    assert_ptr_equal(mote_call_service(call), &call_fixture_service);
    assert_null(mote_call_identity(call));
    assert_int_equal(mote_call_deadline(call), mote_call_now(call) + 3 * SECOND);
    call_fixture_reply_42(call, request);
}

static void test_metadata_in(void **state)
{
    (void)state;
    struct call_fixture fixture;
    struct mote_rpc_pair *pair = call_fixture_setup(&fixture, read_metadata);
    assert_contains(
        call_fixture_whole(pair, UNARY,
                           "x-a: 1\nx-a: 2\nuser-agent: ua/1\nauthorization: Bearer t\nauthorization: other\n"
                           "grpc-timeout: 3S",
                           TWO_PLUS_40, 9),
        "trailers grpc-status=0\n");
    teardown(&fixture);
}

static void give_certificate(struct mote_rpc_pair *pair)
{
    struct mote_certificate *certificate = mote_mem_allocate_zeroed(pair->mem, sizeof *certificate);
    assert_non_null(certificate);
    certificate->subject = "CN=gateway";
    mote_server_connection_set_certificate(pair->connection, certificate);
}

/* A call knows its peer's certificate as long as it lives, also past its connection; without one it has none. */
static void test_certificate(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct call_fixture fixture;
        struct mote_rpc_pair *pair = call_fixture_setup(&fixture, call_fixture_hold);
        if (i == 1) {
            give_certificate(pair);
        }
        call_fixture_start(pair, UNARY, NULL);
        mote_rpc_pair_close_server(pair);
        assert_true(mote_call_is_over(fixture.call));
        assert_int_equal(mote_call_certificate(fixture.call) != NULL, i == 1);
        if (i == 1) {
            assert_string_equal(mote_call_certificate(fixture.call)->subject, "CN=gateway");
        }
        assert_string_equal(mote_call_peer(fixture.call), "192.0.2.1:40000");
        mote_call_unref(fixture.call);
        teardown(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata_out),
        cmocka_unit_test(test_metadata_limits),
        cmocka_unit_test(test_metadata_in),
        cmocka_unit_test(test_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
