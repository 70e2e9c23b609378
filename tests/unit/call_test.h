/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of calls and connections share beyond pair/call_fixture.h: the parts that assert. */
#ifndef MOTE_UNIT_CALL_TEST_H
#define MOTE_UNIT_CALL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "pair/call_fixture.h"

/* The services, and the library's own client connected to them. */
static inline struct mote_rpc_pair *setup_client(struct call_fixture *fixture)
{
    assert_int_equal(call_fixture_prepare(fixture, mote_mem_system()), 0);
    assert_int_equal(mote_rpc_pair_connect(&fixture->pair), 0);
    return &fixture->pair;
}

/* Every call that the observer saw start has ended. */
static inline void teardown(struct call_fixture *fixture)
{
    mote_rpc_pair_dispose(&fixture->pair);
    assert_int_equal(fixture->observed.started, fixture->observed.ended);
}

static inline void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        print_message("expected \"%s\" in:\n%s\n", part, text);
        fail();
    }
}

/* Other calls go on as if nothing had been. */
static inline void assert_usable(struct mote_rpc_pair *pair)
{
    const char *log = call_fixture_whole(pair, ADD, NULL, TWO_PLUS_40, 9);
    assert_contains(log, " data 0000000002082a\n");
    assert_contains(log, " trailers grpc-status=0\n");
}

#endif
