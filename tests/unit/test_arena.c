/* SPDX-License-Identifier: Apache-2.0 */
/* The arena: alignment, the limit at max and max+1, large blocks, text, and no leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "support/failing_mem.h"

#define CHUNK_HEADER 32u

static void allocations_are_aligned_and_apart(void **state)
{
    enum { BLOCKS = 300 };
    static uint8_t *blocks[BLOCKS];
    (void)state;
    struct mote_failing_mem failing;
    struct mote_arena arena;
    mote_failing_mem_init(&failing);
    mote_arena_init(&arena, &failing.mem, 0);
    assert_int_equal(failing.calls, 0);
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = mote_arena_allocate(&arena, i);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_int_equal(blocks[i][j], (uint8_t)i);
        }
    }
    assert_int_equal(arena.allocated, failing.live_bytes);
    mote_arena_dispose(&arena);
    assert_int_equal(failing.live_count, 0);
    assert_int_equal(arena.allocated, 0);
}

static _Alignas(16) uint8_t only_block[2 * MOTE_ARENA_CHUNK];

static void *allocate_only_block(void *context, size_t size)
{
    (void)context;
    return size <= sizeof only_block ? only_block : NULL;
}

static void release_nothing(void *context, void *pointer)
{
    (void)context;
    (void)pointer;
}

/* What a handler has kept of its messages goes with the call. */
static void nothing_is_left_behind(void **state)
{
    static const uint8_t zeros[sizeof only_block];
    (void)state;
    struct mote_mem mem = {.allocate = allocate_only_block, .release = release_nothing};
    struct mote_arena arena;
    mote_arena_init(&arena, &mem, 0);
    assert_string_equal(mote_arena_copy_text(&arena, mote_slice_text("secret")), "secret");
    mote_arena_dispose(&arena);
    assert_memory_equal(only_block, zeros, sizeof zeros);
    memset(mote_arena_allocate(&arena, 2000), 's', 2000);
    mote_arena_dispose(&arena);
    assert_memory_equal(only_block, zeros, sizeof zeros);
}

static void one_chunk_holds_what_fits(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    struct mote_arena arena;
    mote_failing_mem_init(&failing);
    mote_arena_init(&arena, &failing.mem, 0);
    for (size_t used = CHUNK_HEADER; used < MOTE_ARENA_CHUNK; used += 16) {
        assert_non_null(mote_arena_allocate(&arena, 16));
        assert_int_equal(failing.calls, 1);
    }
    assert_int_equal(failing.live_bytes, MOTE_ARENA_CHUNK);
    assert_non_null(mote_arena_allocate(&arena, 1));
    assert_int_equal(failing.calls, 2);
    mote_arena_dispose(&arena);
}

static void a_large_block_does_not_waste_the_chunk_in_use(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    struct mote_arena arena;
    mote_failing_mem_init(&failing);
    mote_arena_init(&arena, &failing.mem, 0);
    uint8_t *small = mote_arena_allocate(&arena, 16);
    uint8_t *large = mote_arena_allocate(&arena, 5000);
    assert_true(small != NULL && large != NULL);
    memset(large, 1, 5000);
    assert_ptr_equal(mote_arena_allocate(&arena, 16), small + 16);
    assert_int_equal(failing.calls, 2);
    mote_arena_dispose(&arena);
    assert_int_equal(failing.live_count, 0);
}

static void the_limit_bounds_the_chunks(void **state)
{
    static const struct {
        size_t limit;
        size_t size;
        bool fits;
    } cases[] = {
        {1000, 1000 - CHUNK_HEADER - 8, true},
        {1000, 1000 - CHUNK_HEADER, false}, /* rounded up to 16 */
        {992, 992 - CHUNK_HEADER, true},
        {992, 992 - CHUNK_HEADER + 1, false},
        {10000, 10000 - CHUNK_HEADER, true},
        {10000, 10000 - CHUNK_HEADER + 1, false},
        {CHUNK_HEADER, 0, false},
        {CHUNK_HEADER + 16, 0, true},
        {CHUNK_HEADER + 16, 16, true},
        {CHUNK_HEADER + 16, 17, false},
        {0, 1000000, true},
        {0, SIZE_MAX, false},
        {0, SIZE_MAX - 15, false},
        {SIZE_MAX, SIZE_MAX / 2 + 1, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_failing_mem failing;
        struct mote_arena arena;
        mote_failing_mem_init(&failing);
        mote_arena_init(&arena, &failing.mem, cases[i].limit);
        assert_int_equal(mote_arena_allocate(&arena, cases[i].size) != NULL, cases[i].fits);
        assert_true(cases[i].limit == 0 || failing.live_bytes <= cases[i].limit);
        mote_arena_dispose(&arena);
    }
}

static void the_limit_holds_over_many_chunks(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    struct mote_arena arena;
    mote_failing_mem_init(&failing);
    mote_arena_init(&arena, &failing.mem, 5000);
    size_t allocated = 0;
    while (mote_arena_allocate(&arena, 48) != NULL) {
        allocated += 48;
        assert_true(failing.live_bytes <= 5000);
    }
    assert_true(allocated > 4500);
    mote_arena_dispose(&arena);
    assert_non_null(mote_arena_allocate(&arena, 48));
    mote_arena_dispose(&arena);
    assert_int_equal(failing.live_count, 0);
}

static void text_is_copied_and_formatted(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    struct mote_arena arena;
    char long_text[3000];
    mote_failing_mem_init(&failing);
    mote_arena_init(&arena, &failing.mem, 0);
    assert_string_equal(mote_arena_copy_text(&arena, mote_slice("abcdef", 3)), "abc");
    assert_string_equal(mote_arena_copy_text(&arena, (struct mote_slice){0}), "");
    assert_null(mote_arena_copy_text(&arena, mote_slice("", SIZE_MAX)));
    assert_string_equal(mote_arena_format(&arena, "%s-%d", "x", 42), "x-42");
    memset(long_text, 'y', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_string_equal(mote_arena_format(&arena, "%s", long_text), long_text);
    const uint8_t *zeroed = mote_arena_allocate_zeroed(&arena, 100);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(zeroed[i], 0);
    }
    mote_arena_dispose(&arena);
}

static int scenario(struct mote_mem *mem, void *context)
{
    (void)context;
    struct mote_arena arena;
    mote_arena_init(&arena, mem, 0);
    int result = 0;
    for (size_t i = 0; i < 3; i++) {
        if (mote_arena_allocate_zeroed(&arena, 700) == NULL || mote_arena_format(&arena, "%01000d", 1) == NULL ||
            mote_arena_copy_text(&arena, mote_slice_text("abc")) == NULL) {
            result = MOTE_ENOMEM;
        }
    }
    mote_arena_dispose(&arena);
    return result;
}

static void no_failure_leaks(void **state)
{
    (void)state;
    assert_true(mote_failing_mem_check(scenario, NULL) >= 4);
    struct mote_arena zeroed = {0};
    mote_arena_dispose(&zeroed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(one_chunk_holds_what_fits),
        cmocka_unit_test(a_large_block_does_not_waste_the_chunk_in_use),
        cmocka_unit_test(the_limit_bounds_the_chunks),
        cmocka_unit_test(the_limit_holds_over_many_chunks),
        cmocka_unit_test(text_is_copied_and_formatted),
        cmocka_unit_test(no_failure_leaks),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
