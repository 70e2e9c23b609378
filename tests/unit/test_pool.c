/* SPDX-License-Identifier: Apache-2.0 */
/* The pool: every size at the edges of its class, the bound of what is kept, counters, and no leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pool.h"
#include "support/failing_mem.h"

#define HEADER       16u
#define LARGE_HEADER 32u
#define KEEP_MAX     100000u

/* Blocks that are kept after the release of one. */
#define KEEPS ((size_t)MOTE_POOL_KEEPS)

/* What the pool counts for a block of a class in use. */
static size_t taken_by(size_t capacity)
{
    return capacity + (MOTE_POOL_KEEPS ? HEADER : LARGE_HEADER);
}

struct fixture {
    struct mote_failing_mem parent;
    struct mote_pool *pool;
    struct mote_mem *mem;
};

static void open_pool(struct fixture *fixture, size_t keep_max)
{
    mote_failing_mem_init(&fixture->parent);
    assert_int_equal(mote_pool_new(&fixture->pool, &fixture->parent.mem, keep_max), 0);
    fixture->mem = mote_pool_mem(fixture->pool);
}

static void close_pool(struct fixture *fixture)
{
    mote_pool_free(fixture->pool);
    assert_int_equal(fixture->parent.live_count, 0);
    assert_int_equal(fixture->parent.live_bytes, 0);
}

static void every_size_is_writable_and_aligned(void **state)
{
    (void)state;
    struct fixture fixture;
    open_pool(&fixture, 1u << 30);
    for (size_t size = 1; size <= MOTE_POOL_BLOCK_MAX + 40; size += size < 600 ? 1 : 13) {
        uint8_t *block = mote_mem_allocate(fixture.mem, size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        memset(block, 0x5a, size); /* the parent's AddressSanitizer sees a block that is too small */
        const size_t in_use = mote_pool_in_use(fixture.pool);
        assert_true(in_use >= size + HEADER);
        assert_true(in_use <= LARGE_HEADER + (size + 15) / 16 * 16 + size / 16);
        mote_mem_release(fixture.mem, block);
        assert_int_equal(mote_pool_in_use(fixture.pool), 0);
    }
    close_pool(&fixture);
}

/* Sizes at both ends of classes: a block of `small` is used again for `large`, and not for one more. */
static void classes_end_where_they_should(void **state)
{
    static const struct {
        size_t smallest;
        size_t largest;
    } classes[] = {
        {1, 16},
        {17, 32},
        {97, 112},
        {113, 128},
        {129, 144},
        {241, 256},
        {257, 272},
        {273, 288},
        {497, 512},
        {513, 544},
        {545, 576},
        {993, 1024},
        {1025, 1088},
        {1985, 2048},
        {2049, 2176},
        {8193, 8704},
        {8705, 9216},
        {15361, 15872},
        {15873, MOTE_POOL_BLOCK_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        struct fixture fixture;
        open_pool(&fixture, KEEP_MAX);
        mote_mem_release(fixture.mem, mote_mem_allocate(fixture.mem, classes[i].smallest));
        assert_int_equal(mote_pool_kept(fixture.pool), KEEPS * (classes[i].largest + HEADER));
        const size_t before = fixture.parent.calls;
        void *block = mote_mem_allocate(fixture.mem, classes[i].largest);
        assert_int_equal(fixture.parent.calls - before, 1 - KEEPS);
        assert_int_equal(mote_pool_kept(fixture.pool), 0);
        assert_int_equal(mote_pool_in_use(fixture.pool), taken_by(classes[i].largest));
        mote_mem_release(fixture.mem, block);
        void *larger = mote_mem_allocate(fixture.mem, classes[i].largest + 1);
        assert_int_equal(fixture.parent.calls - before, 2 - KEEPS);
        assert_int_equal(mote_pool_kept(fixture.pool), KEEPS * (classes[i].largest + HEADER));
        mote_mem_release(fixture.mem, larger);
        close_pool(&fixture);
    }
}

static void the_steady_state_asks_the_parent_for_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    open_pool(&fixture, KEEP_MAX);
    size_t after_first = 0;
    for (int round = 0; round < 10; round++) {
        void *blocks[20];
        for (size_t i = 0; i < 20; i++) {
            blocks[i] = mote_mem_allocate(fixture.mem, 20 * (i + 1));
            assert_non_null(blocks[i]);
        }
        for (size_t i = 0; i < 20; i++) {
            mote_mem_release(fixture.mem, blocks[i]);
        }
        after_first = round == 0 ? fixture.parent.calls : after_first;
    }
    assert_int_equal(fixture.parent.calls, KEEPS == 1 ? after_first : 1 + 10 * 20);
    close_pool(&fixture);
}

static void blocks_over_the_maximum_pass_through(void **state)
{
    (void)state;
    struct fixture fixture;
    open_pool(&fixture, 1u << 30);
    void *kept = mote_mem_allocate(fixture.mem, MOTE_POOL_BLOCK_MAX);
    void *passed = mote_mem_allocate(fixture.mem, MOTE_POOL_BLOCK_MAX + 1);
    assert_int_equal(mote_pool_in_use(fixture.pool),
                     taken_by(MOTE_POOL_BLOCK_MAX) + MOTE_POOL_BLOCK_MAX + 1 + LARGE_HEADER);
    mote_mem_release(fixture.mem, passed);
    assert_int_equal(mote_pool_kept(fixture.pool), 0);
    mote_mem_release(fixture.mem, kept);
    assert_int_equal(mote_pool_kept(fixture.pool), KEEPS * (MOTE_POOL_BLOCK_MAX + HEADER));
    assert_null(mote_mem_allocate(fixture.mem, SIZE_MAX));
    assert_null(mote_mem_allocate(fixture.mem, SIZE_MAX - LARGE_HEADER + 1));
    assert_int_equal(mote_pool_in_use(fixture.pool), 0);
    close_pool(&fixture);
}

static void an_unbounded_pool_keeps_no_large_block(void **state)
{
    (void)state;
    struct fixture fixture;
    open_pool(&fixture, SIZE_MAX);
    mote_mem_release(fixture.mem, mote_mem_allocate(fixture.mem, MOTE_POOL_BLOCK_MAX + 1));
    assert_int_equal(mote_pool_kept(fixture.pool), 0);
    assert_int_equal(fixture.parent.live_count, 1);
    mote_mem_release(fixture.mem, mote_mem_allocate(fixture.mem, 1));
    assert_int_equal(mote_pool_kept(fixture.pool), KEEPS * (16 + HEADER));
    close_pool(&fixture);
}

static void what_is_kept_is_bounded(void **state)
{
    /* Blocks of 64 + 16 bytes: how many fit. */
    static const struct {
        size_t keep_max;
        size_t kept_blocks;
    } cases[] = {{0, 0}, {79, 0}, {80, 1}, {159, 1}, {160, 2}, {800, 10}, {1u << 20, 10}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture;
        void *blocks[10];
        open_pool(&fixture, cases[i].keep_max);
        for (size_t j = 0; j < 10; j++) {
            blocks[j] = mote_mem_allocate(fixture.mem, 64);
        }
        for (size_t j = 0; j < 10; j++) {
            mote_mem_release(fixture.mem, blocks[j]);
        }
        assert_int_equal(mote_pool_kept(fixture.pool), KEEPS * cases[i].kept_blocks * 80);
        assert_int_equal(fixture.parent.live_count, 1 + KEEPS * cases[i].kept_blocks);
        assert_int_equal(mote_pool_in_use(fixture.pool), 0);
        close_pool(&fixture);
    }
}

static void reallocating_keeps_the_bytes(void **state)
{
    static const size_t sizes[] = {1,      16,     17,    8,     200,   100, 99, 5000,  16384, 16385,
                                   100000, 200000, 16385, 16384, 20000, 100, 1,  16385, 1};
    (void)state;
    struct fixture fixture;
    open_pool(&fixture, KEEP_MAX);
    uint8_t *block = NULL;
    size_t held = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        block = mote_mem_reallocate(fixture.mem, block, sizes[i]);
        assert_non_null(block);
        for (size_t j = 0; j < held && j < sizes[i]; j++) {
            assert_int_equal(block[j], (uint8_t)(j * 7 + i));
        }
        held = sizes[i];
        for (size_t j = 0; j < held; j++) {
            block[j] = (uint8_t)(j * 7 + i + 1);
        }
        assert_true(mote_pool_in_use(fixture.pool) >= held + HEADER);
        assert_true(mote_pool_in_use(fixture.pool) <= 2 * held + 2 * LARGE_HEADER);
    }
    assert_null(mote_mem_reallocate(fixture.mem, block, SIZE_MAX));
    mote_mem_release(fixture.mem, block);
    assert_int_equal(mote_pool_in_use(fixture.pool), 0);
    block = mote_mem_allocate(fixture.mem, MOTE_POOL_BLOCK_MAX + 1);
    assert_null(mote_mem_reallocate(fixture.mem, block, SIZE_MAX - 3));
    mote_mem_release(fixture.mem, block);
    close_pool(&fixture);
}

static void a_failed_reallocation_changes_nothing(void **state)
{
    static const struct {
        size_t from;
        size_t to;
    } cases[] = {{10, 100}, {10, 20000}, {20000, 40000}, {20000, 10}, {10000, 10}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture;
        open_pool(&fixture, KEEP_MAX);
        uint8_t *block = mote_mem_allocate(fixture.mem, cases[i].from);
        memset(block, 'x', cases[i].from);
        const size_t in_use = mote_pool_in_use(fixture.pool);
        mote_failing_mem_arm(&fixture.parent, 1, true);
        assert_null(mote_mem_reallocate(fixture.mem, block, cases[i].to));
        assert_int_equal(mote_pool_in_use(fixture.pool), in_use);
        for (size_t j = 0; j < cases[i].from; j++) {
            assert_int_equal(block[j], 'x');
        }
        mote_mem_release(fixture.mem, block);
        close_pool(&fixture);
    }
}

static int scenario(struct mote_mem *mem, void *context)
{
    (void)context;
    struct mote_pool *pool;
    int result = mote_pool_new(&pool, mem, KEEP_MAX);
    if (result != 0) {
        return result;
    }
    struct mote_mem *pooled = mote_pool_mem(pool);
    void *blocks[4] = {NULL};
    for (size_t i = 0; i < 4; i++) {
        blocks[i] = mote_mem_allocate(pooled, i * 8000 + 1);
        void *moved = blocks[i] != NULL ? mote_mem_reallocate(pooled, blocks[i], i * 9000 + 100) : NULL;
        blocks[i] = moved != NULL ? moved : blocks[i];
        result = moved != NULL ? result : MOTE_ENOMEM;
    }
    for (size_t i = 0; i < 4; i++) {
        mote_mem_release(pooled, blocks[i]);
    }
    mote_pool_free(pool);
    return result;
}

static void no_failure_leaks(void **state)
{
    (void)state;
    assert_true(mote_failing_mem_check(scenario, NULL) >= 8);
    mote_pool_free(NULL);
}

/* Random blocks, each filled with its own byte: two that overlap, or one that is lost, show. */
static void random_operations_keep_blocks_apart(void **state)
{
    enum { BLOCKS = 64, ROUNDS = 20000 };
    static struct {
        uint8_t *data;
        size_t size;
        uint8_t fill;
    } held[BLOCKS];
    (void)state;
    struct fixture fixture;
    open_pool(&fixture, KEEP_MAX);
    srand(7);
    for (int round = 0; round < ROUNDS; round++) {
        const size_t i = (size_t)rand() % BLOCKS;
        for (size_t j = 0; j < held[i].size; j += held[i].size < 64 ? 1 : held[i].size / 16) {
            assert_int_equal(held[i].data[j], held[i].fill);
        }
        const size_t size = (size_t)rand() % ((size_t)1 << (1 + rand() % 15)) + 1;
        if (rand() % 3 == 0) {
            mote_mem_release(fixture.mem, held[i].data);
            held[i].data = NULL;
            held[i].size = 0;
            continue;
        }
        held[i].data = mote_mem_reallocate(fixture.mem, held[i].data, size);
        assert_non_null(held[i].data);
        held[i].size = size;
        held[i].fill = (uint8_t)rand();
        memset(held[i].data, held[i].fill, size);
        assert_true(mote_pool_kept(fixture.pool) <= KEEP_MAX);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        mote_mem_release(fixture.mem, held[i].data);
    }
    assert_int_equal(mote_pool_in_use(fixture.pool), 0);
    close_pool(&fixture);
}

/* Whether a process that releases a block twice is stopped by the pool. */
static void a_second_release_is_noticed(void **state)
{
    static const size_t sizes[] = {1, 100, MOTE_POOL_BLOCK_MAX};
    (void)state;
    for (size_t i = 0; MOTE_POOL_KEEPS && i < sizeof sizes / sizeof sizes[0]; i++) {
        int status;
        const pid_t child = fork();
        if (child == 0) {
            struct fixture fixture;
            (void)!freopen("/dev/null", "w", stderr);
            open_pool(&fixture, KEEP_MAX);
            void *block = mote_mem_allocate(fixture.mem, sizes[i]);
            mote_mem_release(fixture.mem, block);
            mote_mem_release(fixture.mem, block);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_writable_and_aligned),
        cmocka_unit_test(classes_end_where_they_should),
        cmocka_unit_test(the_steady_state_asks_the_parent_for_nothing),
        cmocka_unit_test(blocks_over_the_maximum_pass_through),
        cmocka_unit_test(an_unbounded_pool_keeps_no_large_block),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(reallocating_keeps_the_bytes),
        cmocka_unit_test(a_failed_reallocation_changes_nothing),
        cmocka_unit_test(no_failure_leaks),
        cmocka_unit_test(random_operations_keep_blocks_apart),
        cmocka_unit_test(a_second_release_is_noticed),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
