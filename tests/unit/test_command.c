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

static const struct mote_command_flag flags[] = {
    {"--addr", "ADDRESS", NULL, "a value"},
    {"--quiet", NULL, NULL, "none"},
    {"--timeout", "DURATION", "2s", "a default"},
};
static const struct mote_command plain = {
    .name = "user list", .meaning = "is plain", .flags = flags, .flag_count = COUNT(flags)};
static const struct mote_command with_all = {.name = "user show",
                                             .operand = "USER",
                                             .meaning = "has everything",
                                             .details = "Some words.",
                                             .flags = flags,
                                             .flag_count = COUNT(flags),
                                             .groups = 1u << MOTE_OPTION_GROUP_LOG};
static const struct mote_command bare = {.name = "user", .meaning = "is bare"};

const struct mote_command *mote_command_at(size_t index)
{
    static const struct mote_command *const commands[] = {&plain, &with_all, &bare};
    return index < COUNT(commands) ? commands[index] : NULL;
}

static size_t fill(char *arguments[6], const char *const texts[6])
{
    size_t count = 0;
    for (; count < 6 && texts[count] != NULL; count++) {
        arguments[count] = (char *)(uintptr_t)texts[count];
    }
    return count;
}

static void test_finding(void **state)
{
    static const struct {
        const char *arguments[6];
        const struct mote_command *command;
        size_t words;
    } rows[] = {
        {{"user", "list"}, &plain, 2},
        {{"user", "list", "x"}, &plain, 2},
        {{"user", "show"}, &with_all, 2},
        {{"user"}, &bare, 1},
        {{"user", "lis"}, &bare, 1},
        {{"user", "listx"}, &bare, 1},
        {{"user", "--help"}, &bare, 1},
        {{"users"}, NULL, 0},
        {{"use"}, NULL, 0},
        {{"user list"}, NULL, 0},
        {{""}, NULL, 0},
        {{NULL}, NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *arguments[6];
        size_t words = 0;
        size_t count = fill(arguments, rows[i].arguments);
        assert_ptr_equal(mote_command_find(&words, count, arguments), rows[i].command);
        if (rows[i].command != NULL) {
            assert_int_equal(words, rows[i].words);
        }
    }
}

static void test_flags(void **state)
{
    static const struct {
        const struct mote_command *command;
        const char *arguments[6];
        bool taken;
        const char *addr, *operand, *rest; /* what --addr got; the first of what is left */
        bool quiet;
        size_t left;
    } rows[] = {
        {&plain, {NULL}, true, NULL, NULL, NULL, false, 0},
        {&plain, {"--addr", "a"}, true, "a", NULL, NULL, false, 0},
        {&plain, {"--addr=a"}, true, "a", NULL, NULL, false, 0},
        {&plain, {"--addr="}, true, "", NULL, NULL, false, 0},
        {&plain, {"--addr=a=b"}, true, "a=b", NULL, NULL, false, 0},
        {&plain, {"--addr", "--quiet"}, true, "--quiet", NULL, NULL, false, 0},
        {&plain, {"--addr", "a", "--addr", "b"}, true, "b", NULL, NULL, false, 0},
        {&plain, {"--quiet", "--addr", "a"}, true, "a", NULL, NULL, true, 0},
        {&plain, {"--addrx", "a"}, false, NULL, NULL, NULL, false, 0},
        {&plain, {"--add", "a"}, false, NULL, NULL, NULL, false, 0},
        {&plain, {"a"}, false, NULL, NULL, NULL, false, 0},
        {&plain, {"--addr"}, false, NULL, NULL, NULL, false, 0},
        {&plain, {"--quiet=1"}, false, NULL, NULL, NULL, false, 0},
        {&with_all, {"ada"}, true, NULL, "ada", NULL, false, 0},
        {&with_all, {"--quiet", "ada", "--addr", "a"}, true, "a", "ada", NULL, true, 0},
        {&with_all, {NULL}, false, NULL, NULL, NULL, false, 0},
        {&with_all, {"--addr", "ada"}, false, NULL, NULL, NULL, false, 0},
        /* what stands behind an option's flag is its value, and no operand */
        {&with_all, {"--log-level", "info", "ada"}, true, NULL, "ada", "--log-level", false, 2},
        {&with_all, {"--log-level=info", "ada"}, true, NULL, "ada", "--log-level=info", false, 1},
        {&with_all, {"--log-user-id", "ada"}, true, NULL, "ada", "--log-user-id", false, 1},
        {&with_all, {"--store-url-file", "f", "ada"}, true, NULL, "ada", "--store-url-file", false, 2},
        {&with_all, {"ada", "eve"}, true, NULL, "ada", "eve", false, 1}, /* for the options to refuse */
        {&with_all, {"ada", "--log-level"}, true, NULL, "ada", "--log-level", false, 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *arguments[6];
        struct mote_command_call call;
        size_t count = fill(arguments, rows[i].arguments);
        assert_int_equal(mote_command_parse(&call, rows[i].command, count, arguments), rows[i].taken);
        if (!rows[i].taken) {
            continue;
        }
        assert_int_equal(call.rest_count, rows[i].left);
        assert_int_equal(call.values[1] != NULL, rows[i].quiet);
        assert_string_equal(call.values[2], "2s");
        assert_string_equal(call.values[0] != NULL ? call.values[0] : "-", rows[i].addr != NULL ? rows[i].addr : "-");
        assert_string_equal(call.operand != NULL ? call.operand : "-", rows[i].operand != NULL ? rows[i].operand : "-");
        if (call.rest_count > 0) {
            assert_string_equal(call.rest[0], rows[i].rest);
        }
    }
}

static void test_help(void **state)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    (void)state;
    assert_int_equal(mote_command_print_list(out, "user"), 2);
    assert_int_equal(mote_command_print_list(out, "use"), 0);
    mote_command_print_help(out, &with_all);
    mote_command_print_reference(out);
    fclose(out);
    for (size_t i = 0; i < COUNT(flags); i++) {
        assert_non_null(strstr(text, flags[i].meaning));
    }
    assert_non_null(strstr(text, "usage: mote user show [flags] [options] USER\n\nSome words.\n"));
    assert_non_null(strstr(text, "  --timeout DURATION  a default; default: 2s\n"));
    assert_non_null(strstr(text, "--log-level"));
    assert_non_null(strstr(text, "| `--addr ADDRESS` |  | a value |\n"));
    assert_non_null(strstr(text, "`LOG_LEVEL`"));
    assert_null(strstr(text, "`STORE_URL`"));
    free(text);
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
        {"unix:/run/mote.sock?mode=0660&group=web,[::]:1", "unix:/run/mote.sock"},
        {"unix-abstract:what?", "unix-abstract:what?"},
    };
    char address[MOTE_COMMAND_ADDRESS_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        mote_command_default_address(address, rows[i].listen);
        assert_string_equal(address, rows[i].address);
    }
}

static void test_timeouts(void **state)
{
    uint64_t ns = 0;
    (void)state;
    assert_true(mote_command_parse_duration(&ns, "--timeout", "2s"));
    assert_int_equal(ns, 2 * (uint64_t)MOTE_NS_PER_SECOND);
    assert_false(mote_command_parse_duration(&ns, "--timeout", "0"));
    assert_false(mote_command_parse_duration(&ns, "--timeout", "2"));
    assert_false(mote_command_parse_duration(&ns, "--timeout", "soon"));
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
        cmocka_unit_test(test_finding),  cmocka_unit_test(test_flags),
        cmocka_unit_test(test_help),     cmocka_unit_test(test_the_address_that_is_asked_by_default),
        cmocka_unit_test(test_timeouts), cmocka_unit_test(test_secrets_from_a_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
