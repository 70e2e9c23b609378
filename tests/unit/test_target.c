/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "services/target.h"

#define SELF       "0197a000-0000-7000-8000-000000000001"
#define SELF_UPPER "0197A000-0000-7000-8000-000000000001"
#define OTHER      "0197a000-0000-7000-8000-000000000002"

static void who_reaches_what(void **state)
{
    (void)state;
    static const struct {
        uint32_t roles;
        const char *text;
        int result;
    } cases[] = {
        {MOTE_ROLE_BIT_USER, "me", 0},
        {MOTE_ROLE_BIT_USER, SELF, 0},
        {0, SELF, 0},
        {MOTE_ROLE_BIT_USER, OTHER, MOTE_EAUTH},
        {MOTE_ROLE_BIT_SERVICE, OTHER, MOTE_EAUTH},
        {MOTE_ROLE_BIT_USER, "nobody", MOTE_EAUTH},
        {MOTE_ROLE_BIT_USER, "", MOTE_EAUTH},
        {MOTE_ROLE_BIT_USER, "Me", MOTE_EAUTH},
        {MOTE_ROLE_BIT_ADMIN, OTHER, 0},
        {MOTE_ROLE_BIT_ADMIN | MOTE_ROLE_BIT_USER, OTHER, 0},
        {MOTE_ROLE_BIT_ADMIN, "nobody", MOTE_EINVAL},
        {MOTE_ROLE_BIT_ADMIN, "", MOTE_EINVAL},
        {MOTE_ROLE_BIT_ADMIN, SELF "0", MOTE_EINVAL},
        {MOTE_ROLE_BIT_USER, SELF_UPPER, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_identity caller = {.roles = cases[i].roles};
        uint8_t id[16] = {0};
        assert_int_equal(mote_uuid_parse(caller.user_id, mote_slice_text(SELF)), 0);
        assert_int_equal(mote_target_find(id, &caller, cases[i].text, MOTE_ROLE_BIT_ADMIN), cases[i].result);
        if (cases[i].result == 0) {
            assert_int_equal(memcmp(id, caller.user_id, 16) == 0, strcmp(cases[i].text, OTHER) != 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_reaches_what)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
