/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wiping, comparison at every length and place of a difference, SHA-256 against FIPS 180-4's examples. That the
 * comparison takes as long wherever the difference is, is seen by counting the instructions that the processor steps
 * through: a clock would tell little on a machine that does other things too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "security/secret.h"

static void test_wipe(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 80; length++) {
        uint8_t bytes[82];
        memset(bytes, 0xa5, sizeof bytes);
        mote_secret_wipe(bytes + 1, length);
        for (size_t i = 0; i < sizeof bytes; i++) {
            assert_int_equal(bytes[i], i >= 1 && i <= length ? 0 : 0xa5);
        }
    }
    mote_secret_wipe(NULL, 0);
}

/* The copies are exact allocations, so that a read over the end is found. */
static void test_equals(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 130; length++) {
        uint8_t *a = malloc(length + 1);
        uint8_t *b = malloc(length == 0 ? 1 : length);
        assert_non_null(a);
        assert_non_null(b);
        for (size_t i = 0; i < length; i++) {
            a[i + 1] = (uint8_t)(i * 7 + 3);
        }
        memcpy(b, a + 1, length);
        assert_true(mote_secret_equals(a + 1, b, length));
        for (size_t i = 0; i < length; i++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                b[i] = (uint8_t)(b[i] ^ 1u << bit);
                assert_false(mote_secret_equals(a + 1, b, length));
                b[i] = (uint8_t)(b[i] ^ 1u << bit);
            }
        }
        free(a);
        free(b);
    }
}

/* --- instructions ---------------------------------------------------------------------------------------------- */

typedef bool compare_cb(const void *a, const void *b, size_t length);

static bool compare_with_memcmp(const void *a, const void *b, size_t length)
{
    const volatile uint8_t *left = a;
    const volatile uint8_t *right = b;
    size_t i = 0;
    while (i < length && left[i] == right[i]) {
        i++;
    }
    return i == length;
}

/* Stops before the comparison and behind it. */
static void be_stepped_through(compare_cb *compare, const uint8_t *a, const uint8_t *b, size_t length)
{
    static volatile bool equal;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        _exit(77);
    }
    (void)raise(SIGUSR1);
    equal = compare(a, b, length);
    (void)raise(SIGUSR1);
    _exit(equal ? 1 : 0);
}

/* The instructions of a comparison, and some more, always as many; -1: processes cannot be stepped through here. */
static long count_steps(compare_cb *compare, const uint8_t *a, const uint8_t *b, size_t length)
{
    const pid_t child = fork();
    int status = 0;
    long steps = -1;
    assert_true(child >= 0);
    if (child == 0) {
        be_stepped_through(compare, a, b, length);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1) {
        do {
            steps++;
            assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFSTOPPED(status));
        } while (WSTOPSIG(status) != SIGUSR1);
        (void)kill(child, SIGKILL);
        (void)waitpid(child, &status, 0);
    }
    return steps;
}

static void test_equals_takes_as_long(void **state)
{
    static const size_t lengths[] = {32, 43, 400};
    uint8_t a[400];
    uint8_t b[400];
    (void)state;
    for (size_t i = 0; i < sizeof a; i++) {
        a[i] = b[i] = (uint8_t)(i * 7 + 3);
    }
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t length = lengths[i];
        const long equal = count_steps(mote_secret_equals, a, b, length);
        if (equal < 0) {
            skip();
        }
        for (size_t at = 0; at < length; at += (length + 5) / 6) {
            b[at] ^= 0x10;
            assert_int_equal(count_steps(mote_secret_equals, a, b, length), equal);
            b[at] ^= 0x10;
        }
        for (size_t at = 0; at < length; at++) {
            b[at] = (uint8_t)~b[at]; /* all of them */
        }
        assert_int_equal(count_steps(mote_secret_equals, a, b, length), equal);
        /* The count would show a comparison that stops early. */
        assert_true(count_steps(compare_with_memcmp, a, a, length) > count_steps(compare_with_memcmp, a, b, length));
        memcpy(b, a, sizeof b);
    }
}

static void test_sha256(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t digest[32];
        char text[65] = {0};
        mote_sha256(digest, mote_slice_text(cases[i].in));
        mote_hex_encode(text, mote_slice(digest, sizeof digest));
        assert_string_equal(text, cases[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wipe),
        cmocka_unit_test(test_equals),
        cmocka_unit_test(test_equals_takes_as_long),
        cmocka_unit_test(test_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
