/* SPDX-License-Identifier: Apache-2.0 */
/* What is found and what is not, expiry to the second, who goes first, bounded memory, wiping, memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "security/token_cache.h"
#include "support/failing_mem.h"

#define LENGTH 400u

static int fill_counting(void *context, void *out, size_t length)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(i * 17 + *(const uint8_t *)context);
    }
    return 0;
}

static int fill_failing(void *context, void *out, size_t length)
{
    (void)context;
    (void)out;
    (void)length;
    return MOTE_ERANDOM;
}

static uint8_t seed = 1;
static const struct mote_random counting = {.fill = fill_counting, .context = &seed};
static const struct mote_random failing_random = {.fill = fill_failing};

static struct mote_token_cache *make(struct mote_mem *mem)
{
    struct mote_token_cache *cache;
    assert_int_equal(mote_token_cache_new(&cache, mem, &counting), 0);
    return cache;
}

/* A token of this number: the numbers differ in front and at the end, as payloads and signatures do. */
static struct mote_slice token_of(char out[LENGTH + 1], unsigned number)
{
    memset(out, 'x', LENGTH);
    (void)snprintf(out, 16, "%08u", number);
    out[8] = 'x';
    (void)snprintf(out + LENGTH - 8, 9, "%08u", number);
    return mote_slice(out, LENGTH);
}

static struct mote_identity identity_of(unsigned number, int64_t expires_at)
{
    return (struct mote_identity){.epoch = number, .expires_at = expires_at};
}

static void add(struct mote_token_cache *cache, unsigned number, int64_t expires_at)
{
    char text[LENGTH + 1];
    const struct mote_identity identity = identity_of(number, expires_at);
    mote_token_cache_add(cache, token_of(text, number), &identity);
}

static bool has(struct mote_token_cache *cache, unsigned number, int64_t now)
{
    char text[LENGTH + 1];
    const struct mote_identity *identity = mote_token_cache_find(cache, token_of(text, number), now);
    assert_true(identity == NULL || identity->epoch == number);
    return identity != NULL;
}

static void only_the_same_token_is_found(void **state)
{
    char text[LENGTH + 1];
    struct mote_token_cache *cache = make(mote_mem_system());
    const struct mote_slice token = token_of(text, 1);
    (void)state;
    assert_null(mote_token_cache_find(cache, token, 0));
    add(cache, 1, 100);
    const struct mote_identity *found = mote_token_cache_find(cache, token, 0);
    assert_non_null(found);
    assert_int_equal(found->epoch, 1);
    assert_int_equal(found->expires_at, 100);
    /* Each byte counts, also those that the hash does not see; so does the length. */
    for (size_t i = 0; i < LENGTH; i++) {
        text[i] = (char)(text[i] ^ 1);
        assert_null(mote_token_cache_find(cache, token, 0));
        text[i] = (char)(text[i] ^ 1);
        assert_null(mote_token_cache_find(cache, mote_slice(text, i), 0));
        assert_null(mote_token_cache_find(cache, mote_slice(text + LENGTH - i, i), 0));
    }
    assert_non_null(mote_token_cache_find(cache, token, 0));
    mote_token_cache_free(cache);
}

static void expiry_is_to_the_second(void **state)
{
    struct mote_token_cache *cache = make(mote_mem_system());
    (void)state;
    add(cache, 1, 100);
    assert_true(has(cache, 1, 99));
    assert_false(has(cache, 1, 100));
    /* It is gone, not hidden. */
    assert_false(has(cache, 1, 0));
    add(cache, 1, 100);
    assert_false(has(cache, 1, 101));
    mote_token_cache_free(cache);
}

static void entering_again_replaces(void **state)
{
    struct mote_failing_mem failing;
    char text[LENGTH + 1];
    const struct mote_identity other = identity_of(7, 300);
    (void)state;
    mote_failing_mem_init(&failing);
    struct mote_token_cache *cache = make(&failing.mem);
    add(cache, 1, 100);
    const size_t blocks = failing.live_count;
    mote_token_cache_add(cache, token_of(text, 1), &other);
    assert_int_equal(failing.live_count, blocks);
    const struct mote_identity *found = mote_token_cache_find(cache, token_of(text, 1), 200);
    assert_non_null(found);
    assert_int_equal(found->epoch, 7);
    mote_token_cache_free(cache);
    assert_int_equal(failing.live_count, 0);
}

static void lengths_are_bounded(void **state)
{
    static uint8_t bytes[MOTE_JWT_LENGTH_MAX + 1];
    const struct mote_identity identity = identity_of(1, 100);
    struct mote_token_cache *cache = make(mote_mem_system());
    (void)state;
    static const struct {
        size_t length;
        bool entered;
    } cases[] = {{0, false},
                 {1, true},
                 {47, true},
                 {48, true},
                 {49, true},
                 {MOTE_JWT_LENGTH_MAX, true},
                 {MOTE_JWT_LENGTH_MAX + 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct mote_slice token = mote_slice(bytes, cases[i].length);
        mote_token_cache_add(cache, token, &identity);
        assert_true((mote_token_cache_find(cache, token, 0) != NULL) == cases[i].entered);
    }
    mote_token_cache_free(cache);
}

/* Whatever is entered, so many are kept, the latest of all among them. */
static void memory_is_bounded(void **state)
{
    struct mote_failing_mem failing;
    (void)state;
    mote_failing_mem_init(&failing);
    struct mote_token_cache *cache = make(&failing.mem);
    for (unsigned i = 0; i < 20000; i++) {
        add(cache, i, 100);
        assert_true(has(cache, i, 0));
        assert_true(failing.live_count <= 1 + MOTE_TOKEN_CACHE_ENTRIES);
    }
    assert_int_equal(failing.live_count, 1 + MOTE_TOKEN_CACHE_ENTRIES);
    unsigned kept = 0;
    for (unsigned i = 0; i < 20000; i++) {
        const bool found = has(cache, i, 0);
        kept += found ? 1 : 0;
        /* Those that are left are late ones: in 128 sets the fourth to last of one is not older than this. */
        assert_true(!found || i >= 20000 - 4000);
    }
    assert_int_equal(kept, MOTE_TOKEN_CACHE_ENTRIES);
    mote_token_cache_clear(cache);
    assert_int_equal(failing.live_count, 1);
    for (unsigned i = 0; i < 20000; i++) {
        assert_false(has(cache, i, 0));
    }
    add(cache, 1, 100);
    assert_true(has(cache, 1, 0));
    mote_token_cache_free(cache);
    assert_int_equal(failing.live_count, 0);
}

/* Tokens that share the hashed end are in one set: the first entered goes first, also when it was used last. */
static void the_oldest_of_a_set_goes_first(void **state)
{
    char text[6][LENGTH + 1];
    struct mote_slice tokens[6];
    const struct mote_identity identity = identity_of(1, 100);
    const struct mote_identity short_lived = identity_of(1, 10);
    struct mote_token_cache *cache = make(mote_mem_system());
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        tokens[i] = token_of(text[i], 1);
        text[i][0] = (char)('a' + i);
        if (i < 4) {
            mote_token_cache_add(cache, tokens[i], i == 1 ? &short_lived : &identity);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_non_null(mote_token_cache_find(cache, tokens[i], 0));
    }
    mote_token_cache_add(cache, tokens[4], &identity);
    assert_null(mote_token_cache_find(cache, tokens[0], 0));
    for (unsigned i = 1; i < 5; i++) {
        assert_non_null(mote_token_cache_find(cache, tokens[i], 0));
    }
    /* A place that expiry left is taken before anybody goes. */
    assert_null(mote_token_cache_find(cache, tokens[1], 10));
    mote_token_cache_add(cache, tokens[5], &identity);
    for (unsigned i = 2; i < 6; i++) {
        assert_non_null(mote_token_cache_find(cache, tokens[i], 0));
    }
    mote_token_cache_add(cache, tokens[0], &identity);
    assert_null(mote_token_cache_find(cache, tokens[2], 0));
    mote_token_cache_free(cache);
}

/* Looks for a token's text in each block that is given back. */
struct watch {
    struct mote_mem mem;
    size_t released;
    size_t dirty;
};

static void *watch_allocate(void *context, size_t size)
{
    (void)context;
    uint8_t *block = malloc(size + 16);
    if (block != NULL) {
        memcpy(block, &size, sizeof size);
    }
    return block == NULL ? NULL : block + 16;
}

static void watch_release(void *context, void *pointer)
{
    struct watch *watch = context;
    const uint8_t *bytes = pointer;
    size_t size;
    memcpy(&size, bytes - 16, sizeof size);
    watch->released++;
    for (size_t i = 0; i < size; i++) {
        watch->dirty += bytes[i] != 0 ? 1 : 0;
    }
    free((uint8_t *)pointer - 16);
}

static void dropped_entries_are_wiped(void **state)
{
    struct watch watch = {.mem = {.allocate = watch_allocate, .release = watch_release, .context = &watch}};
    struct mote_token_cache *cache = make(&watch.mem);
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        add(cache, i, 100); /* replaced */
    }
    for (unsigned i = 0; i < 1000; i++) {
        (void)has(cache, i, i % 2 == 0 ? 100 : 0); /* expired */
    }
    assert_true(watch.released > 500);
    mote_token_cache_clear(cache);
    add(cache, 1, 100);
    mote_token_cache_free(cache);
    assert_int_equal(watch.released, 1 + 1000 + 1);
    assert_int_equal(watch.dirty, 0);
}

static void without_memory_nothing_is_remembered(void **state)
{
    struct mote_failing_mem failing;
    struct mote_token_cache *cache;
    (void)state;
    mote_failing_mem_init(&failing);
    mote_failing_mem_arm(&failing, 1, false);
    assert_int_equal(mote_token_cache_new(&cache, &failing.mem, &counting), MOTE_ENOMEM);
    assert_int_equal(mote_token_cache_new(&cache, &failing.mem, &failing_random), MOTE_ERANDOM);
    cache = make(&failing.mem);
    add(cache, 1, 100);
    mote_failing_mem_arm(&failing, 1, true);
    add(cache, 2, 100);
    assert_false(has(cache, 2, 0));
    assert_true(has(cache, 1, 0));
    mote_token_cache_free(cache);
    mote_token_cache_free(NULL);
    assert_int_equal(failing.live_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_same_token_is_found),
        cmocka_unit_test(expiry_is_to_the_second),
        cmocka_unit_test(entering_again_replaces),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(the_oldest_of_a_set_goes_first),
        cmocka_unit_test(dropped_entries_are_wiped),
        cmocka_unit_test(without_memory_nothing_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
