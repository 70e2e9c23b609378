/* SPDX-License-Identifier: Apache-2.0 */
/* Page tokens: what comes back, and everything that must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/text.h"
#include "services/page_token.h"

#define NOW INT64_C(1750000000)

static const struct mote_slice scope = MOTE_SLICE_LITERAL("ListUsers create_time");
static const struct mote_slice cursor = MOTE_SLICE_LITERAL("a cursor\0with a NUL");
static const struct mote_slice secret = MOTE_SLICE_LITERAL("wK3v9Zq1xT7mB5nR8sD2fG6hJ4lP0yQc-first");
static const struct mote_slice other_secret = MOTE_SLICE_LITERAL("pL7x2Wc9vB4nM6kJ1hG8fD3sA5qZ0tRy-second");

static struct mote_keyring *new_keyring(struct mote_slice key)
{
    struct mote_keyring *keyring = NULL;
    assert_int_equal(mote_keyring_new(&keyring, mote_mem_system(), key), 0);
    return keyring;
}

static int read_token(const struct mote_keyring *keyring, struct mote_slice in, const char *token, int64_t now)
{
    uint8_t out[MOTE_PAGE_CURSOR_MAX];
    size_t length = 0;
    return mote_page_token_read(out, &length, keyring, in, mote_slice_text(token), now);
}

static void what_was_put_in_comes_out(void **state)
{
    (void)state;
    struct mote_keyring *keyring = new_keyring(secret);
    char long_cursor[MOTE_PAGE_CURSOR_MAX + 1];
    memset(long_cursor, 'c', sizeof long_cursor);
    const struct mote_slice cursors[] = {cursor, mote_slice("", 0), mote_slice(long_cursor, MOTE_PAGE_CURSOR_MAX)};
    char token[MOTE_PAGE_TOKEN_MAX + 1];
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
        assert_int_equal(mote_page_token_make(token, keyring, scope, cursors[i], NOW), 0);
        assert_true(strlen(token) <= MOTE_PAGE_TOKEN_MAX);
        uint8_t out[MOTE_PAGE_CURSOR_MAX];
        size_t length = SIZE_MAX;
        assert_int_equal(mote_page_token_read(out, &length, keyring, scope, mote_slice_text(token), NOW), 0);
        assert_int_equal(length, cursors[i].length);
        assert_memory_equal(out, cursors[i].data, length);
    }
    assert_int_equal(mote_page_token_make(token, keyring, scope, mote_slice(long_cursor, sizeof long_cursor), NOW),
                     MOTE_ELIMIT);
    mote_keyring_free(keyring);
}

static void it_lives_an_hour(void **state)
{
    (void)state;
    struct mote_keyring *keyring = new_keyring(secret);
    char token[MOTE_PAGE_TOKEN_MAX + 1];
    assert_int_equal(mote_page_token_make(token, keyring, scope, cursor, NOW), 0);
    assert_int_equal(read_token(keyring, scope, token, NOW + 3599), 0);
    assert_int_equal(read_token(keyring, scope, token, NOW + 3600), MOTE_EEXPIRED);
    mote_keyring_free(keyring);
}

static void it_belongs_to_its_scope_and_its_key(void **state)
{
    (void)state;
    struct mote_keyring *keyring = new_keyring(secret);
    struct mote_keyring *other = new_keyring(other_secret);
    char token[MOTE_PAGE_TOKEN_MAX + 1];
    assert_int_equal(mote_page_token_make(token, keyring, scope, cursor, NOW), 0);
    assert_int_equal(read_token(keyring, mote_slice_text("ListUsers create_time desc"), token, NOW), MOTE_EAUTH);
    assert_int_equal(read_token(keyring, mote_slice_text(""), token, NOW), MOTE_EAUTH);
    assert_int_equal(read_token(other, scope, token, NOW), MOTE_EAUTH);
    mote_keyring_free(keyring);
    mote_keyring_free(other);
}

static void it_is_read_with_an_older_key_too(void **state)
{
    (void)state;
    struct mote_keyring *before = new_keyring(secret);
    struct mote_keyring *after = NULL;
    const struct mote_slice secrets[] = {other_secret, secret};
    assert_int_equal(mote_keyring_new_list(&after, mote_mem_system(), secrets, 2), 0);
    char token[MOTE_PAGE_TOKEN_MAX + 1];
    assert_int_equal(mote_page_token_make(token, before, scope, cursor, NOW), 0);
    assert_int_equal(read_token(after, scope, token, NOW), 0);
    mote_keyring_free(before);
    mote_keyring_free(after);
}

static void any_change_is_noticed(void **state)
{
    (void)state;
    struct mote_keyring *keyring = new_keyring(secret);
    char token[MOTE_PAGE_TOKEN_MAX + 1];
    assert_int_equal(mote_page_token_make(token, keyring, scope, cursor, NOW), 0);
    size_t length = strlen(token);
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+=. ";
    for (size_t i = 0; i < length; i++) {
        char kept = token[i];
        for (size_t j = 0; alphabet[j] != '\0'; j++) {
            if (alphabet[j] != kept) {
                token[i] = alphabet[j];
                assert_int_equal(read_token(keyring, scope, token, NOW), MOTE_EAUTH);
            }
        }
        token[i] = kept;
    }
    for (size_t cut = 0; cut < length; cut++) {
        char shorter[MOTE_PAGE_TOKEN_MAX + 1] = {0};
        memcpy(shorter, token, cut);
        assert_int_equal(read_token(keyring, scope, shorter, NOW), MOTE_EAUTH);
    }
    mote_keyring_free(keyring);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct mote_keyring *keyring = new_keyring(secret);
    char longest[MOTE_PAGE_TOKEN_MAX + 2];
    memset(longest, 'A', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(read_token(keyring, scope, longest, NOW), MOTE_EAUTH);
    longest[sizeof longest - 2] = '\0';
    assert_int_equal(read_token(keyring, scope, longest, NOW), MOTE_EAUTH);
    /* Every length of zeros, of a good version, and of a kid said to be of any length. */
    for (size_t length = 1; length <= MOTE_PAGE_TOKEN_RAW_MAX; length++) {
        for (unsigned kid = 0; kid < 256; kid += 15) {
            uint8_t raw[MOTE_PAGE_TOKEN_RAW_MAX] = {1, (uint8_t)kid};
            char text[MOTE_PAGE_TOKEN_MAX + 1] = {0};
            mote_base64_encode(text, mote_slice(raw, length), MOTE_BASE64_URL_UNPADDED);
            assert_int_equal(read_token(keyring, scope, text, NOW), MOTE_EAUTH);
        }
    }
    mote_keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_comes_out),
        cmocka_unit_test(it_lives_an_hour),
        cmocka_unit_test(it_belongs_to_its_scope_and_its_key),
        cmocka_unit_test(it_is_read_with_an_older_key_too),
        cmocka_unit_test(any_change_is_noticed),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
