/* SPDX-License-Identifier: Apache-2.0 */
/* What subcommands share: flags, the address they ask by default, secrets from descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void test_flags(void **state)
{
    static const struct {
        const char *arguments[6];
        bool taken;
        const char *addr, *rest; /* what --addr got; the first of what is left */
        bool quiet;
        size_t left;
    } rows[] = {
        {{NULL}, true, NULL, NULL, false, 0},
        {{"--addr", "a"}, true, "a", NULL, false, 0},
        {{"--addr=a"}, true, "a", NULL, false, 0},
        {{"--addr="}, true, "", NULL, false, 0},
        {{"--addr=a=b"}, true, "a=b", NULL, false, 0},
        {{"--addr", "--quiet"}, true, "--quiet", NULL, false, 0},
        {{"--addr", "a", "--addr", "b"}, true, "b", NULL, false, 0},
        {{"--quiet", "--addr", "a"}, true, "a", NULL, true, 0},
        {{"--other", "x", "--quiet", "y"}, true, NULL, "--other", true, 3},
        {{"--addrx", "a"}, true, NULL, "--addrx", false, 2},
        {{"--add", "a"}, true, NULL, "--add", false, 2},
        {{"--addr"}, false, NULL, NULL, false, 0},
        {{"--quiet=1"}, false, NULL, NULL, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *addr = NULL;
        bool quiet = false;
        const struct mote_command_flag table[] = {{"--addr", &addr, NULL, ""}, {"--quiet", NULL, &quiet, ""}};
        char *arguments[6];
        size_t count = 0;
        for (; count < 6 && rows[i].arguments[count] != NULL; count++) {
            arguments[count] = (char *)(uintptr_t)rows[i].arguments[count];
        }
        size_t left = count;
        assert_int_equal(mote_command_take_flags(&left, arguments, table, COUNT(table)), rows[i].taken);
        if (!rows[i].taken) {
            continue;
        }
        assert_int_equal(left, rows[i].left);
        assert_int_equal(quiet, rows[i].quiet);
        if (rows[i].addr != NULL) {
            assert_string_equal(addr, rows[i].addr);
        } else {
            assert_null(addr);
        }
        if (left > 0) {
            assert_string_equal(arguments[0], rows[i].rest);
        }
    }
}

static void test_nothing_may_be_left_over(void **state)
{
    char text[] = "--nothing";
    char *arguments[] = {text};
    (void)state;
    assert_true(mote_command_parse_flags(0, arguments, NULL, 0));
    assert_false(mote_command_parse_flags(1, arguments, NULL, 0));
}

/* A probe beside the server asks it over loopback, wherever it listens. */
static void test_the_address_that_is_asked_by_default(void **state)
{
    static const struct {
        const char *listen, *address;
    } rows[] = {
        {NULL, "127.0.0.1:50051"},
        {"", "127.0.0.1:50051"},
        {"[::]:50051", "127.0.0.1:50051"},
        {"0.0.0.0:7", "127.0.0.1:7"},
        {"192.0.2.1:7", "192.0.2.1:7"},
        {"[::1]:7,0.0.0.0:8", "[::1]:7"},
        {"0.0.0.0:7,[::1]:8", "127.0.0.1:7"},
        {"unix:/run/mote.sock,[::]:1", "unix:/run/mote.sock"},
    };
    char address[MOTE_COMMAND_ADDRESS_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(rows[i].listen != NULL ? setenv("LISTEN", rows[i].listen, 1) : unsetenv("LISTEN"), 0);
        mote_command_default_address(address);
        assert_string_equal(address, rows[i].address);
    }
    assert_int_equal(unsetenv("LISTEN"), 0);
}

static void test_timeouts(void **state)
{
    uint64_t ns = 0;
    (void)state;
    assert_true(mote_command_parse_timeout(&ns, "2s"));
    assert_int_equal(ns, 2 * (uint64_t)MOTE_NS_PER_SECOND);
    assert_false(mote_command_parse_timeout(&ns, "0"));
    assert_false(mote_command_parse_timeout(&ns, "2"));
    assert_false(mote_command_parse_timeout(&ns, "soon"));
}

static void test_secrets_from_a_descriptor(void **state)
{
    static const struct {
        const char *input;
        int length; /* with room for 8 bytes and the NUL; -1: refused */
        const char *secret;
    } rows[] = {
        {"", 0, ""},
        {"\n", 0, ""},
        {"secret", 6, "secret"},
        {"secret\n", 6, "secret"},
        {"secret\n\n", 7, "secret\n"},
        {"12345678", 8, "12345678"},
        {"12345678\n", 8, "12345678"},
        {"123456789", -1, NULL},
        {"123456789\n", -1, NULL},
        {"12345678\nx", -1, NULL},
        {"12345678\n\n", -1, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char secret[9];
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], rows[i].input, strlen(rows[i].input)), strlen(rows[i].input));
        close(fds[1]);
        assert_int_equal(mote_command_read_secret(fds[0], "the test's secret", secret, sizeof secret), rows[i].length);
        close(fds[0]);
        if (rows[i].secret != NULL) {
            assert_string_equal(secret, rows[i].secret);
        }
    }
    assert_int_equal(mote_command_read_secret(-1, "nothing", (char[9]){0}, 9), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_nothing_may_be_left_over),
        cmocka_unit_test(test_the_address_that_is_asked_by_default),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_secrets_from_a_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
