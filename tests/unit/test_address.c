/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: text to sockets and back, what is refused, what stays on the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "net/address.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void test_there_and_back(void **state)
{
    static const struct {
        const char *text, *formatted;
        bool is_unix, is_local;
    } rows[] = {
        {"127.0.0.1:50051", "127.0.0.1:50051", false, true},
        {"127.255.255.254:0", "127.255.255.254:0", false, true},
        {"128.0.0.1:65535", "128.0.0.1:65535", false, false},
        {"0.0.0.0:1", "0.0.0.0:1", false, false},
        {"[::1]:50051", "[::1]:50051", false, true},
        {"[::]:50051", "[::]:50051", false, false},
        {"[2001:DB8:0:0::1]:7", "[2001:db8::1]:7", false, false},
        {"[::ffff:192.0.2.1]:7", "192.0.2.1:7", false, false},
        {"[::ffff:127.0.0.1]:7", "127.0.0.1:7", false, false}, /* the careful side */
        {"unix:/run/mote.sock", "unix:/run/mote.sock", true, true},
        {"unix:relative", "unix:relative", true, true},
        {"unix-abstract:mote", "unix-abstract:mote", true, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct mote_address address;
        const char *problem = "none";
        char text[MOTE_ADDRESS_TEXT_MAX];
        if (mote_address_parse(&address, mote_slice_text(rows[i].text), &problem) != 0) {
            fail_msg("%s: %s", rows[i].text, problem);
        }
        mote_address_format(text, &address);
        assert_string_equal(text, rows[i].formatted);
        assert_int_equal(mote_address_is_unix(&address), rows[i].is_unix);
        assert_int_equal(mote_address_is_local(&address), rows[i].is_local);
    }
}

static void test_what_is_no_address(void **state)
{
    static const struct {
        const char *text, *problem;
    } rows[] = {
        {"", "want host:port"},
        {"nonsense", "want host:port"},
        {":50051", "want host:port"},
        {"127.0.0.1", "want host:port"},
        {"127.0.0.1:", "the port is a number"},
        {"127.0.0.1:x", "the port is a number"},
        {"127.0.0.1:65536", "the port is a number"},
        {"127.0.0.1:-1", "the port is a number"},
        {"127.0.0.1:050", "the port is a number"},
        {"127.0.0.1:00000000000000000080", "want host:port"},
        {"::1:50051", "an IPv6 address stands in brackets"},
        {"[::1]", "the port is a number"}, /* what stands behind the last colon */
        {"[]:50051", "want host:port"},
        {"[::g]:50051", "the host is not known"},
        {"256.0.0.1.1:1", "the host is not known"},
        {"unix:", "the name of a unix socket"},
        {"unix-abstract:", "the name of a unix socket"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct mote_address address;
        const char *problem = "none";
        assert_int_equal(mote_address_parse(&address, mote_slice_text(rows[i].text), &problem), MOTE_EINVAL);
        if (strncmp(problem, rows[i].problem, strlen(rows[i].problem)) != 0) {
            fail_msg("%s: %s", rows[i].text, problem);
        }
    }
}

static void test_names_of_unix_sockets_at_their_bound(void **state)
{
    static const char *const prefixes[] = {"unix:", "unix-abstract:"};
    (void)state;
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        struct mote_address address;
        const char *problem;
        char text[160];
        char back[MOTE_ADDRESS_TEXT_MAX];
        int length = snprintf(text, sizeof text, "%s%.*s", prefixes[i], 107,
                              "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                              "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        assert_int_equal(mote_address_parse(&address, mote_slice(text, (size_t)length), &problem), 0);
        mote_address_format(back, &address);
        assert_string_equal(back, text);
        text[length++] = 'y';
        assert_int_equal(mote_address_parse(&address, mote_slice(text, (size_t)length), &problem), MOTE_EINVAL);
    }
    struct mote_address address;
    const char *problem;
    assert_int_equal(mote_address_parse(&address, mote_slice("unix:a\0b", 8), &problem), MOTE_EINVAL);
}

static void test_clients_without_a_name(void **state)
{
    struct mote_address address = {.length = sizeof(sa_family_t)};
    char text[MOTE_ADDRESS_TEXT_MAX];
    (void)state;
    address.storage.ss_family = AF_UNIX;
    mote_address_format(text, &address);
    assert_string_equal(text, "unix:");
    assert_true(mote_address_is_local(&address));
}

/* A name may stand for several addresses; a literal stands for one. */
static void test_all_addresses_of_a_name(void **state)
{
    struct mote_address addresses[MOTE_ADDRESS_RESOLVE_MAX];
    const char *problem;
    size_t count = 99;
    (void)state;
    assert_int_equal(
        mote_address_resolve(addresses, COUNT(addresses), &count, mote_slice_text("127.0.0.1:7"), &problem), 0);
    assert_int_equal(count, 1);
    assert_int_equal(mote_address_resolve(addresses, COUNT(addresses), &count, mote_slice_text("unix:/x"), &problem),
                     0);
    assert_int_equal(count, 1);
    if (mote_address_resolve(addresses, COUNT(addresses), &count, mote_slice_text("localhost:7"), &problem) == 0) {
        assert_in_range(count, 1, COUNT(addresses));
        for (size_t i = 0; i < count; i++) {
            assert_true(mote_address_is_local(&addresses[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_what_is_no_address),
        cmocka_unit_test(test_names_of_unix_sockets_at_their_bound),
        cmocka_unit_test(test_clients_without_a_name),
        cmocka_unit_test(test_all_addresses_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
