/* SPDX-License-Identifier: Apache-2.0 */
/* Wiping, comparison at every length and place of a difference, SHA-256 against FIPS 180-4's examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

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
        cmocka_unit_test(test_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
