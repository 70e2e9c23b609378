/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and what is derived from them, against values computed with another implementation of HMAC and HKDF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <string.h>

#include "base/text.h"
#include "security/keyring.h"
#include "support/failing_mem.h"

#define SECRET     "correct-horse-battery-staple-4711"
#define SECRET_KID "857bb19a"

static const char *const secrets[] = {SECRET, "Zk4v8Q2xW7nR1tY5uB9cD3fG6hJ0mLpX",
                                      "5f0c9b1e-7a44-4a8e-9b53-0d7c1f2e6a90",
                                      "base64:8TGwb3FJ7QmZyPLqcK0bY2nCzR5A4XUe6hVd9kJtWgE=",
                                      "9f2c4e8a1b7d3f6058c9e2a4b6d81f307c5e9a2b4d6f8013579bdf2468ace024"};

#define SECRET_COUNT (sizeof secrets / sizeof secrets[0])

static struct mote_keyring *make(size_t first, size_t count)
{
    struct mote_slice list[SECRET_COUNT];
    struct mote_keyring *keyring;
    for (size_t i = 0; i < count; i++) {
        list[i] = mote_slice_text(secrets[(first + i) % SECRET_COUNT]);
    }
    assert_int_equal(mote_keyring_new_list(&keyring, mote_mem_system(), list, count), 0);
    return keyring;
}

static void assert_hex(const uint8_t bytes[32], const char *expected)
{
    char text[65] = {0};
    mote_hex_encode(text, mote_slice(bytes, 32));
    assert_string_equal(text, expected);
}

static void derived_keys_are_these(void **state)
{
    static const struct {
        enum mote_key_purpose purpose;
        const char *mac;
    } cases[] = {
        {MOTE_KEY_PAGE_TOKEN, "d6145823b503ffda64835646803ff0c53485ea29ac527cb74a3198a5c220ac5e"},
        {MOTE_KEY_REFRESH_SUCCESSOR, "4e03c907eb47e17e01198a9df0a0ead3860e8c9c7c8a2d35a15fdc46a066b146"},
        {MOTE_KEY_CACHE_LOOKUP, "a1989484690fb342894f1b41ad768ea9540d9f4755549024b52da584e9e9e3c1"},
        {MOTE_KEY_REQUEST_DIGEST, "ae5d5f4f0b9eacae3a20e7cd6b79de3c9c7594a09df4e12189258d9fb60941f4"},
    };
    struct mote_keyring *keyring;
    uint8_t mac[32];
    (void)state;
    assert_int_equal(mote_keyring_new(&keyring, mote_mem_system(), mote_slice_text(SECRET)), 0);
    assert_string_equal(mote_keyring_signing_kid(keyring), SECRET_KID);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mote_keyring_mac(keyring, NULL, cases[i].purpose, mote_slice_text("data"), mac), 0);
        assert_hex(mac, cases[i].mac);
        assert_int_equal(mote_keyring_mac(keyring, SECRET_KID, cases[i].purpose, mote_slice_text("data"), mac), 0);
        assert_hex(mac, cases[i].mac);
    }
    /* Tokens are signed with the secret itself. */
    assert_int_equal(mote_keyring_sign(keyring, mote_slice_text(SECRET_KID), mote_slice_text("data"), mac), 0);
    assert_hex(mac, "52ca83d910a2931d979cd5176a39e1906f1c85bcff38afe57b7263b5a25a1e14");
    mote_keyring_free(keyring);
    mote_keyring_free(NULL);
}

static void unknown_kids_are_not_found(void **state)
{
    static const char *const kids[] = {"", "857bb19", "857bb19a0", "857BB19A", "857bb19b", "../../dev/null", "' OR 1"};
    struct mote_keyring *keyring = make(0, 1);
    uint8_t mac[32];
    (void)state;
    for (size_t i = 0; i < sizeof kids / sizeof kids[0]; i++) {
        assert_int_equal(mote_keyring_sign(keyring, mote_slice_text(kids[i]), mote_slice_text("x"), mac),
                         MOTE_ENOTFOUND);
        assert_int_equal(mote_keyring_mac(keyring, kids[i], MOTE_KEY_PAGE_TOKEN, mote_slice_text("x"), mac),
                         MOTE_ENOTFOUND);
    }
    /* A NUL inside is part of it. */
    assert_int_equal(mote_keyring_sign(keyring, mote_slice("857bb19a", 9), mote_slice_text("x"), mac), MOTE_ENOTFOUND);
    mote_keyring_free(keyring);
}

static void the_first_signs_and_all_verify(void **state)
{
    (void)state;
    for (size_t count = 1; count <= MOTE_KEYRING_KEYS_MAX; count++) {
        struct mote_keyring *list = make(0, count);
        for (size_t i = 0; i < SECRET_COUNT; i++) {
            struct mote_keyring *single = make(i, 1);
            const char *kid = mote_keyring_signing_kid(single);
            uint8_t expected[32];
            uint8_t mac[32];
            assert_int_equal(mote_keyring_sign(single, mote_slice_text(kid), mote_slice_text("x"), expected), 0);
            const int result = mote_keyring_sign(list, mote_slice_text(kid), mote_slice_text("x"), mac);
            assert_int_equal(result, i < count ? 0 : MOTE_ENOTFOUND);
            if (result == 0) {
                assert_memory_equal(mac, expected, 32);
            }
            if (i == 0) {
                assert_string_equal(mote_keyring_signing_kid(list), kid);
            }
            mote_keyring_free(single);
        }
        mote_keyring_free(list);
    }
}

static void lists_are_bounded_and_without_duplicates(void **state)
{
    struct mote_slice list[MOTE_KEYRING_KEYS_MAX + 1];
    struct mote_keyring *keyring;
    (void)state;
    for (size_t i = 0; i < MOTE_KEYRING_KEYS_MAX + 1; i++) {
        list[i] = mote_slice_text(secrets[i]);
    }
    assert_int_equal(mote_keyring_new_list(&keyring, mote_mem_system(), list, 0), MOTE_EINVAL);
    assert_int_equal(mote_keyring_new_list(&keyring, mote_mem_system(), list, MOTE_KEYRING_KEYS_MAX + 1), MOTE_EINVAL);
    list[2] = list[0];
    assert_int_equal(mote_keyring_new_list(&keyring, mote_mem_system(), list, 3), MOTE_EINVAL);
    list[2] = mote_slice_text("too short");
    assert_int_equal(mote_keyring_new_list(&keyring, mote_mem_system(), list, 3), MOTE_EINVAL);
    assert_int_equal(mote_keyring_new(&keyring, mote_mem_system(), mote_slice_text("changeme")), MOTE_EINVAL);
}

/* base64 is another spelling of the same key. */
static void the_prefix_is_decoded(void **state)
{
    char text[64] = "base64:";
    const struct mote_slice secret = mote_slice_text(SECRET);
    struct mote_keyring *keyring;
    (void)state;
    mote_base64_encode(text + 7, secret, MOTE_BASE64_PADDED);
    assert_int_equal(mote_keyring_new(&keyring, mote_mem_system(), mote_slice_text(text)), 0);
    assert_string_equal(mote_keyring_signing_kid(keyring), SECRET_KID);
    mote_keyring_free(keyring);
}

/* --- key files --------------------------------------------------------------------------------------------------- */

#define A         "correct-horse-battery-staple-4711"
#define B         "Zk4v8Q2xW7nR1tY5uB9cD3fG6hJ0mLpX"
#define C         "5f0c9b1e-7a44-4a8e-9b53-0d7c1f2e6a90"
#define D         "base64:8TGwb3FJ7QmZyPLqcK0bY2nCzR5A4XUe6hVd9kJtWgE="
#define E         "9f2c4e8a1b7d3f6058c9e2a4b6d81f307c5e9a2b4d6f8013579bdf2468ace024"
#define KID_OF_32 "0123456789abcdefghijABCDEFGHI_-x"

static void key_files_are_read_by_lines(void **state)
{
    static const struct {
        const char *text;
        const char *kids; /* NULL: refused */
        size_t line;
    } cases[] = {
        {A, SECRET_KID " ", 0},
        {A "\n", SECRET_KID " ", 0},
        {"k1:" A, "k1 ", 0},
        {"k2:" B "\r\nk1:" A "\r\n", "k2 k1 ", 0},
        {"\n# k2:" B "\n\n" A "\n\r\n#\n", SECRET_KID " ", 0},
        {"a:" A "\nb:" B "\nc:" C "\nd:" D, "a b c d ", 0},
        {KID_OF_32 ":" A, KID_OF_32 " ", 0},
        /* Longer, with another character, or empty: no kid, but a part of the secret. */
        {KID_OF_32 "y:" A "\n:" B "\nk.1:" C, "", 0},
        {"", NULL, 0},
        {"\n#\n", NULL, 0},
        {A "\nshort", NULL, 2},
        {A "\n\nk1:short\n", NULL, 3},
        {"k1:", NULL, 1},
        {" \n", NULL, 1},
        {A "\n" A, NULL, 2},
        {"k1:" A "\nk1:" B, NULL, 2},
        {B "\n" SECRET_KID ":" C "\n" A, NULL, 3}, /* a kid that the next would get by itself */
        {"base64:!!!!", NULL, 1},
        {"k1:base64:!!!!", NULL, 1},
        {"a:" A "\nb:" B "\nc:" C "\nd:" D "\n# one more\ne:" E, NULL, 6},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_keyring *keyring = NULL;
        struct mote_keyring_problem problem;
        const int result = mote_keyring_read(&keyring, mote_mem_system(), mote_slice_text(cases[i].text), &problem);
        assert_int_equal(result, cases[i].kids != NULL ? 0 : MOTE_EINVAL);
        if (result != 0) {
            assert_int_equal(problem.line, cases[i].line);
            assert_non_null(problem.text);
            continue;
        }
        char kids[4 * (MOTE_JWT_KID_MAX + 1) + 1] = "";
        const char *kid;
        for (size_t at = 0; (kid = mote_keyring_kid(keyring, at)) != NULL; at++) {
            strcat(strcat(kids, kid), " ");
        }
        if (cases[i].kids[0] != '\0') {
            assert_string_equal(kids, cases[i].kids);
        } else {
            assert_int_equal(strlen(kids), 27);
        }
        mote_keyring_free(keyring);
    }
}

static struct mote_keyring *read_keys(const char *text)
{
    struct mote_keyring *keyring = NULL;
    struct mote_keyring_problem problem;
    assert_int_equal(mote_keyring_read(&keyring, mote_mem_system(), mote_slice_text(text), &problem), 0);
    return keyring;
}

static bool has(const struct mote_keyring *keyring, const char *kid)
{
    uint8_t mac[32];
    return mote_keyring_sign(keyring, mote_slice_text(kid), mote_slice_text("x"), mac) == 0;
}

/* --- rotation ---------------------------------------------------------------------------------------------------- */

static void a_key_that_signed_retires(void **state)
{
    struct mote_keyring *before = read_keys("k1:" A "\nk0:" B);
    struct mote_keyring *after = read_keys("k2:" C);
    struct mote_keyring *rest;
    uint8_t old_mac[32], mac[32];
    (void)state;
    assert_int_equal(mote_keyring_mac(before, "k1", MOTE_KEY_REFRESH_SUCCESSOR, mote_slice_text("x"), old_mac), 0);
    mote_keyring_take_over(after, before, 1000);
    mote_keyring_free(before);
    assert_string_equal(mote_keyring_signing_kid(after), "k2");
    assert_true(has(after, "k1"));
    assert_false(has(after, "k0")); /* it did not sign: who takes it out wants it gone */
    assert_int_equal(mote_keyring_mac(after, "k1", MOTE_KEY_REFRESH_SUCCESSOR, mote_slice_text("x"), mac), 0);
    assert_memory_equal(mac, old_mac, 32);
    assert_int_equal(mote_keyring_next_end(after), 1000);
    /* Again, with the same keys: the first end stays. */
    struct mote_keyring *again = read_keys("k2:" C);
    mote_keyring_take_over(again, after, 2000);
    assert_int_equal(mote_keyring_next_end(again), 1000);
    mote_keyring_free(after);
    assert_int_equal(mote_keyring_without_retired(&rest, again, 999), 0);
    assert_true(has(rest, "k1"));
    mote_keyring_free(rest);
    assert_int_equal(mote_keyring_without_retired(&rest, again, 1000), 0);
    mote_keyring_free(again);
    assert_true(has(rest, "k2"));
    assert_false(has(rest, "k1"));
    assert_int_equal(mote_keyring_next_end(rest), MOTE_KEYRING_NEVER);
    mote_keyring_free(rest);
}

/* In the file it does not retire, and a kid that now names another key is that key's. */
static void what_is_given_does_not_retire(void **state)
{
    static const char *const files[] = {"k2:" C "\nk1:" A, "k1:" C, "k1:" A};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct mote_keyring *before = read_keys("k1:" A);
        struct mote_keyring *after = read_keys(files[i]);
        struct mote_keyring *alone = read_keys(files[i]);
        uint8_t expected[32], mac[32];
        mote_keyring_take_over(after, before, 1000);
        assert_int_equal(mote_keyring_next_end(after), MOTE_KEYRING_NEVER);
        assert_int_equal(mote_keyring_sign(alone, mote_slice_text("k1"), mote_slice_text("x"), expected), 0);
        assert_int_equal(mote_keyring_sign(after, mote_slice_text("k1"), mote_slice_text("x"), mac), 0);
        assert_memory_equal(mac, expected, 32);
        mote_keyring_free(before);
        mote_keyring_free(after);
        mote_keyring_free(alone);
    }
}

/* So many at a time; with one more, the one that would end first ends at once. */
static void retiring_keys_are_bounded(void **state)
{
    struct mote_keyring *keyring = read_keys("k0:" A "\nx1:" B "\nx2:" C "\nx3:" D);
    char text[256];
    char kid[8];
    (void)state;
    for (unsigned i = 1; i <= MOTE_KEYRING_RETIRING_MAX + 2; i++) {
        snprintf(text, sizeof text, "k%u:%u" E "\nx1:" B "\nx2:" C "\nx3:" D, i, i);
        struct mote_keyring *next = read_keys(text);
        mote_keyring_take_over(next, keyring, 100 * i);
        mote_keyring_free(keyring);
        keyring = next;
        for (unsigned old = 0; old <= i; old++) {
            snprintf(kid, sizeof kid, "k%u", old);
            assert_int_equal(has(keyring, kid), i - old <= MOTE_KEYRING_RETIRING_MAX);
        }
        assert_true(has(keyring, "x1") && has(keyring, "x3"));
        const unsigned first = i > MOTE_KEYRING_RETIRING_MAX ? i - MOTE_KEYRING_RETIRING_MAX + 1 : 1;
        assert_int_equal(mote_keyring_next_end(keyring), 100 * first);
    }
    mote_keyring_free(keyring);
}

static int rotation(struct mote_mem *mem, void *context)
{
    struct mote_keyring *keyring = NULL;
    struct mote_keyring *rest = NULL;
    struct mote_keyring *before = context;
    struct mote_keyring_problem problem;
    int result = mote_keyring_read(&keyring, mem, mote_slice_text("k2:" C), &problem);
    if (result == 0) {
        mote_keyring_take_over(keyring, before, 1000);
        result = mote_keyring_without_retired(&rest, keyring, 1000);
    }
    mote_keyring_free(keyring);
    mote_keyring_free(rest);
    return result;
}

static void rotation_without_memory(void **state)
{
    struct mote_keyring *before = read_keys("k1:" A);
    (void)state;
    assert_true(mote_failing_mem_check(rotation, before) > 0);
    mote_keyring_free(before);
}

static int scenario(struct mote_mem *mem, void *context)
{
    const struct mote_slice list[] = {mote_slice_text(secrets[0]), mote_slice_text(secrets[1])};
    struct mote_keyring *keyring;
    const int result = mote_keyring_new_list(&keyring, mem, list, 2);
    (void)context;
    if (result == 0) {
        mote_keyring_free(keyring);
    }
    return result;
}

static void memory_runs_out(void **state)
{
    (void)state;
    assert_int_equal(mote_failing_mem_check(scenario, NULL), 1 + 2 * 5);
}

/* Looks at what is given back to the allocator. */
struct watch {
    struct mote_mem mem;
    void *keyring; /* the first block: kids and pointers */
    unsigned keys;
    unsigned dirty;
};

static void *watch_allocate(void *context, size_t size)
{
    struct watch *watch = context;
    void *pointer = mote_mem_allocate(mote_mem_system(), size);
    watch->keyring = watch->keyring == NULL ? pointer : watch->keyring;
    return pointer;
}

/* The block of a key begins with its allocator; the rest of it is the state of SHA-256 and must be gone. */
static void watch_release(void *context, void *pointer)
{
    struct watch *watch = context;
    const uint8_t *bytes = pointer;
    if (pointer != watch->keyring) {
        watch->keys++;
        for (size_t i = sizeof(void *); i < 200; i++) {
            watch->dirty += bytes[i] != 0 ? 1 : 0;
        }
    }
    mote_mem_release(mote_mem_system(), pointer);
}

static void keys_are_wiped(void **state)
{
    struct watch watch = {.mem = {.allocate = watch_allocate, .release = watch_release, .context = &watch}};
    struct mote_keyring *keyring;
    (void)state;
    assert_int_equal(mote_keyring_new(&keyring, &watch.mem, mote_slice_text(SECRET)), 0);
    mote_keyring_free(keyring);
    assert_int_equal(watch.keys, 5);
    assert_int_equal(watch.dirty, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derived_keys_are_these),
        cmocka_unit_test(unknown_kids_are_not_found),
        cmocka_unit_test(the_first_signs_and_all_verify),
        cmocka_unit_test(lists_are_bounded_and_without_duplicates),
        cmocka_unit_test(the_prefix_is_decoded),
        cmocka_unit_test(key_files_are_read_by_lines),
        cmocka_unit_test(a_key_that_signed_retires),
        cmocka_unit_test(what_is_given_does_not_retire),
        cmocka_unit_test(retiring_keys_are_bounded),
        cmocka_unit_test(rotation_without_memory),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(keys_are_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
