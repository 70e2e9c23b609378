/* SPDX-License-Identifier: Apache-2.0 */
/* The walk; calls with the field are in tests/e2e/test_keys.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/caller_address.h"

static void the_right_most_untrusted_entry_counts(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *caller;
        bool more;
    } cases[] = {
        {"203.0.113.9", "203.0.113.9", false},
        {"203.0.113.9, 10.1.1.1", "203.0.113.9", false},
        {"198.51.100.7, 203.0.113.9, 10.1.1.1, 10.2.2.2", "203.0.113.9", false},
        {"203.0.113.9:4711,10.1.1.1:80", "203.0.113.9", false},
        {"[2001:DB8::1]:4711", "2001:db8::1", false},
        {"2001:db8::1", "2001:db8::1", false},
        {"::ffff:203.0.113.9", "203.0.113.9", false},
        {"10.1.1.1", "10.1.1.1", true},
        {"10.3.3.3, 10.1.1.1", "10.3.3.3", true},
        {"unknown, 10.1.1.1", "10.1.1.1", false},
        {"203.0.113.9, unknown, 10.1.1.1", "10.1.1.1", false},
        {"203.0.113.9,, 10.1.1.1", "10.1.1.1", false},
        {", 10.1.1.1", "10.1.1.1", false},
        {"203.0.113.9, ", "10.0.0.1", false},
        {"", "10.0.0.1", false},
        {"203.0.113.9;10.1.1.1", "10.0.0.1", false},
    };
    struct mote_networks trusted;
    struct mote_slice item;
    const char *problem;
    assert_int_equal(mote_networks_parse(&trusted, mote_slice_text("10.0.0.0/8"), &item, &problem), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_ip caller;
        unsigned hops = MOTE_CALLER_HOPS_MAX;
        char text[MOTE_IP_TEXT_MAX];
        assert_int_equal(mote_ip_parse(&caller, mote_slice_text("10.0.0.1")), 0);
        bool more = mote_caller_address_walk(&caller, &trusted, mote_slice_text(cases[i].value), &hops);
        mote_ip_format(text, &caller);
        if (more != cases[i].more || strcmp(text, cases[i].caller) != 0) {
            fail_msg("%s: %s, %d", cases[i].value, text, more);
        }
    }
}

static void so_many_proxies_and_no_more(void **state)
{
    (void)state;
    static const char hop[] = "10.0.0.1,";
    char value[16 + (MOTE_CALLER_HOPS_MAX + 1) * sizeof hop] = "203.0.113.9,";
    struct mote_networks trusted;
    struct mote_slice item;
    const char *problem;
    assert_int_equal(mote_networks_parse(&trusted, mote_slice_text("10.0.0.0/8"), &item, &problem), 0);
    for (unsigned proxies = 1; proxies <= MOTE_CALLER_HOPS_MAX; proxies++) {
        struct mote_ip caller = {{0}};
        unsigned hops = MOTE_CALLER_HOPS_MAX;
        char text[MOTE_IP_TEXT_MAX];
        strcat(value, hop);
        assert_false(mote_caller_address_walk(&caller, &trusted, mote_slice(value, strlen(value) - 1), &hops));
        mote_ip_format(text, &caller);
        assert_string_equal(text, proxies < MOTE_CALLER_HOPS_MAX ? "203.0.113.9" : "10.0.0.1");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_most_untrusted_entry_counts),
        cmocka_unit_test(so_many_proxies_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
