/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on a server, end to end in memory: what a client may send in place of a good request, and what it gets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "calculator.mote.h"
#include "pair/rpc_pair.h"

#define ADD "/calculator.v1.Calculator/Add"

static void setup(struct mote_rpc_pair *pair)
{
    assert_int_equal(mote_rpc_pair_init(pair, mote_mem_system(), NULL), 0);
    assert_int_equal(mote_server_add_service(pair->server, &calculator_v1_Calculator_service, NULL), 0);
}

static void test_unary(void **state)
{
    (void)state;
    struct mote_rpc_pair pair;
    setup(&pair);
    assert_int_equal(mote_rpc_pair_connect_raw(&pair), 0);
    struct mote_stream *stream = mote_rpc_pair_request(&pair, ADD, NULL, false);
    mote_rpc_pair_message(stream, "\x08\x02\x10\x28", 4, true);
    mote_rpc_pair_pump(&pair);
    assert_string_equal(mote_rpc_pair_take_log(&pair), "1 headers :status=200 content-type=application/grpc\n"
                                                       "1 data 0000000002082a\n"
                                                       "1 trailers grpc-status=0\n"
                                                       "1 closed NO_ERROR\n");
    mote_rpc_pair_dispose(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
