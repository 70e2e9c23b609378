/* SPDX-License-Identifier: Apache-2.0 */
/* Items of LISTEN: addresses, the rights of a unix socket's file, and sockets that somebody else has opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/listen_address.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define KEEP         MOTE_LISTEN_ADDRESS_KEEP

static void test_list(void **state)
{
    const char *rest = ",,one,two:2,,three,";
    struct mote_slice item;
    (void)state;
    assert_true(mote_listen_address_next(&rest, &item));
    assert_true(mote_slice_equals_text(item, "one"));
    assert_true(mote_listen_address_next(&rest, &item));
    assert_true(mote_slice_equals_text(item, "two:2"));
    assert_true(mote_listen_address_next(&rest, &item));
    assert_true(mote_slice_equals_text(item, "three"));
    assert_false(mote_listen_address_next(&rest, &item));
    assert_string_equal(rest, "");
}

static void test_items(void **state)
{
    static const struct {
        const char *text, *address;
        uint32_t mode, owner, group;
    } rows[] = {
        {"127.0.0.1:7", "127.0.0.1:7", KEEP, KEEP, KEEP},
        {"unix:/s", "unix:/s", KEEP, KEEP, KEEP},
        {"unix:/s?mode=0660", "unix:/s", 0660, KEEP, KEEP},
        {"unix:/s?mode=0", "unix:/s", 0, KEEP, KEEP},
        {"unix:/s?mode=0777&mode=600", "unix:/s", 0600, KEEP, KEEP},
        {"unix:/s?owner=root&group=root", "unix:/s", KEEP, 0, 0},
        {"unix:/s?group=4294967294&owner=12&mode=777", "unix:/s", 0777, 12, 4294967294},
        {"unix-abstract:a?mode=0660", "unix-abstract:a?mode=0660", KEEP, KEEP, KEEP}, /* it has no file */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct mote_listen_address listen;
        char text[MOTE_ADDRESS_TEXT_MAX];
        const char *problem = "none";
        if (mote_listen_address_parse(&listen, mote_slice_text(rows[i].text), &problem) != 0) {
            fail_msg("%s: %s", rows[i].text, problem);
        }
        mote_address_format(text, &listen.address);
        assert_false(listen.is_inherited);
        assert_string_equal(text, rows[i].address);
        assert_int_equal(listen.mode, rows[i].mode);
        assert_int_equal(listen.owner, rows[i].owner);
        assert_int_equal(listen.group, rows[i].group);
    }
}

static void test_what_is_none(void **state)
{
    static const struct {
        const char *text, *problem;
    } rows[] = {
        {"", "want host:port"},
        {"unix:?mode=0660", "the name of a unix socket"},
        {"unix:/s?", "behind the ?"},
        {"unix:/s?mode=0660&", "behind the ?"},
        {"unix:/s?size=7", "behind the ?"},
        {"unix:/s?mode=", "the mode of a unix socket"},
        {"unix:/s?mode=8", "the mode of a unix socket"},
        {"unix:/s?mode=-1", "the mode of a unix socket"},
        {"unix:/s?mode= 1", "the mode of a unix socket"},
        {"unix:/s?mode=01000", "the mode of a unix socket"},
        {"unix:/s?mode=99999999999999999999999", "the mode of a unix socket"},
        {"unix:/s?mode=77777777777777777777777777777777777777777777", "the mode of a unix socket"},
        {"unix:/s?owner=", "there is no user"},
        {"unix:/s?owner=no such user", "there is no user"},
        {"unix:/s?owner=4294967295", "there is no user"}, /* it means "keep" to the system */
        {"unix:/s?group=no such group", "there is no group"},
        {"unix:/s?group=4294967295", "there is no group"},
        /* one byte more than any name has room for */
        {"unix:/s?group=0000000000000000000000000000000000000000000000000000000000000000x", "there is no group"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct mote_listen_address listen;
        const char *problem = "none";
        assert_int_equal(mote_listen_address_parse(&listen, mote_slice_text(rows[i].text), &problem), MOTE_EINVAL);
        if (strncmp(problem, rows[i].problem, strlen(rows[i].problem)) != 0) {
            fail_msg("%s: %s", rows[i].text, problem);
        }
    }
}

static void hand_over(const char *process, const char *count, const char *names)
{
    const char *const variables[][2] = {{"LISTEN_PID", process}, {"LISTEN_FDS", count}, {"LISTEN_FDNAMES", names}};
    for (size_t i = 0; i < COUNT(variables); i++) {
        assert_int_equal(
            variables[i][1] != NULL ? setenv(variables[i][0], variables[i][1], 1) : unsetenv(variables[i][0]), 0);
    }
}

static int inherited(const char *name, size_t index)
{
    return mote_listen_address_inherited(mote_slice_text(name), index);
}

static void test_inherited(void **state)
{
    char own[16];
    struct mote_listen_address listen;
    const char *problem;
    (void)state;
    snprintf(own, sizeof own, "%d", (int)getpid());
    assert_int_equal(mote_listen_address_parse(&listen, mote_slice_text("systemd:one"), &problem), 0);
    assert_true(listen.is_inherited);
    assert_true(mote_slice_equals_text(listen.name, "one"));
    hand_over(own, "4", "one:two::one");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(inherited("", (size_t)i), 3 + i);
    }
    assert_int_equal(inherited("", 4), -1);
    assert_int_equal(inherited("one", 0), 3);
    assert_int_equal(inherited("one", 1), 6);
    assert_int_equal(inherited("one", 2), -1);
    assert_int_equal(inherited("two", 0), 4);
    assert_int_equal(inherited("three", 0), -1);
    hand_over(own, "2", NULL); /* nameless */
    assert_int_equal(inherited("", 1), 4);
    assert_int_equal(inherited("one", 0), -1);
    hand_over(own, "2147483647", NULL); /* at most 64 are believed */
    assert_int_equal(inherited("", 63), 66);
    assert_int_equal(inherited("", 64), -1);
    /* for another process, or nonsense */
    hand_over("1", "2", "one:two");
    assert_int_equal(inherited("", 0), -1);
    hand_over(own, "-1", "one:two");
    assert_int_equal(inherited("", 0), -1);
    hand_over(own, NULL, "one:two");
    assert_int_equal(inherited("", 0), -1);
    hand_over(NULL, "2", "one:two");
    assert_int_equal(inherited("", 0), -1);
    hand_over(NULL, NULL, NULL);
}

/* Whether what was inherited stays on the machine, the sockets themselves say. */
static void test_inherited_is_local(void **state)
{
    static const struct {
        const char *address;
        bool is_local;
    } rows[] = {{"127.0.0.1:0", true}, {"unix-abstract:mote-test-listen-address", true}, {"0.0.0.0:0", false}};
    struct mote_listen_address listen;
    struct mote_address address;
    const char *problem;
    char own[16];
    char names[160] = "";
    char count[16];
    size_t last = 0;
    (void)state;
    snprintf(own, sizeof own, "%d", (int)getpid());
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(mote_address_parse(&address, mote_slice_text(rows[i].address), &problem), 0);
        int fd = socket(address.storage.ss_family, SOCK_STREAM, 0);
        assert_true(fd >= 3);
        assert_int_equal(bind(fd, (const struct sockaddr *)&address.storage, address.length), 0);
        /* Descriptors before it are the test's own. */
        for (; last < (size_t)fd - 3; last++) {
            strcat(names, ":");
        }
        snprintf(names + strlen(names), 8, "s%zu", i);
        snprintf(count, sizeof count, "%d", fd - 2);
    }
    hand_over(own, count, names);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char item[16];
        snprintf(item, sizeof item, "systemd:s%zu", i);
        assert_int_equal(mote_listen_address_parse(&listen, mote_slice_text(item), &problem), 0);
        assert_true(mote_listen_address_inherited(listen.name, 0) >= 3);
        assert_int_equal(mote_listen_address_is_local(&listen), rows[i].is_local);
    }
    assert_int_equal(mote_listen_address_parse(&listen, mote_slice_text("systemd:"), &problem), 0);
    assert_false(mote_listen_address_is_local(&listen));
    hand_over(NULL, NULL, NULL);
    assert_true(mote_listen_address_is_local(&listen));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_inherited),
        cmocka_unit_test(test_inherited_is_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
