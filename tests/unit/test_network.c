/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/network.h"

static void addresses_have_one_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *canonical; /* NULL: refused */
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:0", "192.0.2.1"},
        {"192.0.2.1:65535", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"[::ffff:192.0.2.1]:80", "192.0.2.1"},
        {"::FFFF:c000:0201", "192.0.2.1"},
        {"2001:DB8:0:0::1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:443", "2001:db8::1"},
        {"::", "::"},
        {"0.0.0.0", "0.0.0.0"},
        {"2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:4444:5555:6666"},
        {"", NULL},
        {":", NULL},
        {":80", NULL},
        {"[]", NULL},
        {"[::1", NULL},
        {"[::1]80", NULL},
        {"[::1]:", NULL},
        {"[::1]:65536", NULL},
        {"[192.0.2.1]", NULL},
        {"[192.0.2.1]:80", NULL},
        {"192.0.2.1:", NULL},
        {"192.0.2.1:65536", NULL},
        {"192.0.2.1:8 ", NULL},
        {"192.0.2", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.01", NULL},
        {" 192.0.2.1", NULL},
        {"fe80::1%eth0", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"unknown", NULL},
        {"unix:", NULL},
        {"unix:/run/mote.sock", NULL},
        {"_hidden", NULL},
        {"example.org", NULL},
        {"2001:0db8:1111:2222:3333:4444:5555:66666666666666666666666666666", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_ip ip;
        char text[MOTE_IP_TEXT_MAX];
        int result = mote_ip_parse(&ip, mote_slice_text(cases[i].text));
        if ((result == 0) != (cases[i].canonical != NULL)) {
            fail_msg("%s: %d", cases[i].text, result);
        }
        if (result == 0) {
            mote_ip_format(text, &ip);
            assert_string_equal(text, cases[i].canonical);
        }
    }
    struct mote_ip ip;
    assert_int_equal(mote_ip_parse(&ip, mote_slice("192.0.2.1\0", 10)), MOTE_EDECODE);
}

static void networks_hold_what_is_in_them(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        const char *address;
        bool held;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "9.255.255.255", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"::ffff:10.0.0.0/104", "10.1.2.3", true},
        {"192.168.4.0/22", "192.168.7.255", true},
        {"192.168.4.0/22", "192.168.8.0", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1/32", "192.0.2.1", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "203.0.113.9", false},
        {"::1", "::1", true},
        {"fd00::/8", "fdff::1", true},
        {"fd00::/8", "fe00::1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {" 10.0.0.1 ,\t::1 , unix:", "::1", true},
        {"10.0.0.1,::1,unix:", "10.0.0.2", false},
        {",10.0.0.1,,", "10.0.0.1", true},
        {"unix:", "127.0.0.1", false},
        {"", "0.0.0.0", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_networks networks;
        struct mote_slice item;
        const char *problem = NULL;
        struct mote_ip ip;
        assert_int_equal(mote_networks_parse(&networks, mote_slice_text(cases[i].list), &item, &problem), 0);
        assert_int_equal(mote_ip_parse(&ip, mote_slice_text(cases[i].address)), 0);
        if (mote_networks_hold(&networks, &ip) != cases[i].held) {
            fail_msg("%s in %s", cases[i].address, cases[i].list);
        }
        assert_int_equal(networks.unix_sockets, strstr(cases[i].list, "unix:") != NULL);
    }
}

static void bad_networks_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        const char *item;
    } cases[] = {
        {"10.0.0.0/8,proxy.example.org", "proxy.example.org"},
        {"10.0.0.0/33", "10.0.0.0/33"},
        {"10.0.0.1/8,::1", "10.0.0.1/8"},
        {"::1/129", "::1/129"},
        {"fd00::1/8", "fd00::1/8"},
        {"10.0.0.0/", "10.0.0.0/"},
        {"10.0.0.0/08", "10.0.0.0/08"},
        {"/8", "/8"},
        {"10.0.0.1:80", "10.0.0.1:80"},
        {"[::1]", "[::1]"},
        {"unix:/run/proxy.sock", "unix:/run/proxy.sock"},
        {"10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_networks networks;
        struct mote_slice item = mote_slice(NULL, 0);
        const char *problem = NULL;
        assert_int_equal(mote_networks_parse(&networks, mote_slice_text(cases[i].list), &item, &problem), MOTE_EINVAL);
        assert_true(mote_slice_equals_text(item, cases[i].item));
        assert_non_null(problem);
    }
}

static void a_list_has_a_bound(void **state)
{
    (void)state;
    char list[(MOTE_NETWORKS_MAX + 1) * 10] = "";
    struct mote_networks networks;
    struct mote_slice item;
    const char *problem = NULL;
    for (unsigned i = 0; i < MOTE_NETWORKS_MAX; i++) {
        snprintf(list + strlen(list), sizeof list - strlen(list), "10.0.%u.0,", i % 10);
    }
    assert_int_equal(mote_networks_parse(&networks, mote_slice_text(list), &item, &problem), 0);
    assert_int_equal(networks.count, MOTE_NETWORKS_MAX);
    strcat(list, "::1");
    assert_int_equal(mote_networks_parse(&networks, mote_slice_text(list), &item, &problem), MOTE_EINVAL);
    assert_non_null(strstr(problem, "too many"));
}

static void items_come_from_the_right(void **state)
{
    (void)state;
    struct mote_slice list = mote_slice_text(", a ,b");
    struct mote_slice item;
    assert_true(mote_network_last_item(&list, &item) && mote_slice_equals_text(item, "b"));
    assert_true(mote_network_last_item(&list, &item) && mote_slice_equals_text(item, "a"));
    assert_true(mote_network_last_item(&list, &item) && item.length == 0);
    assert_false(mote_network_last_item(&list, &item));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_one_text),   cmocka_unit_test(networks_hold_what_is_in_them),
        cmocka_unit_test(bad_networks_are_named),    cmocka_unit_test(a_list_has_a_bound),
        cmocka_unit_test(items_come_from_the_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
