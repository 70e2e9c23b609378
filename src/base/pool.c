/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Size classes are the multiples of 16 up to 128, then four to each doubling, so that rounding up wastes at most a
 * fifth. Every block has a 16-byte header with its class, because nghttp2 releases without a size; while the block
 * is free the header also holds the list's link. Blocks of the last class, `LARGE`, belong to the parent.
 *
 * Taking a block from its list and putting it back are a few instructions each, which every call pays many times: the
 * class comes from a table, one counter changes, and all that is rare is in functions of its own.
 *
 * Under AddressSanitizer every block is large: it goes back to the parent at once and has exactly the size asked
 * for, so that a use after release or behind the end is found as if there were no pool.
 *
 * Invariants: `taken` is the sum of the blocks that the parent has given and not got back, `kept` of those on the free
 * lists, headers included; a header's mark tells which of the two a block is (a second release is a bug and asserted).
 */
#include "base/pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"

#if MOTE_POOL_KEEPS
#define POOLED_MAX MOTE_POOL_BLOCK_MAX
#else
#define POOLED_MAX 0u
#endif

#define FINE_STEP    16u
#define FINE_MAX     128u /* up to here a class for each step of 16 */
#define FINE_CLASSES (FINE_MAX / FINE_STEP)
#define DOUBLINGS    7u /* 128 to 16384 */
#define CLASSES      (FINE_CLASSES + 4u * DOUBLINGS)
#define LARGE        CLASSES

#define MARK_IN_USE 0x6d6f7465u
#define MARK_FREE   0x66726565u

_Static_assert(FINE_MAX << DOUBLINGS == MOTE_POOL_BLOCK_MAX, "the classes end at the largest pooled block");

struct block {
    uint32_t size_class;
    uint32_t mark;
    union {
        uint64_t size;      /* of a large block, with the header */
        struct block *next; /* of a free one */
    } u;
};

_Static_assert(sizeof(struct block) == 16, "the header keeps the parent's alignment");

struct free_list {
    struct block *first;
    size_t block_size; /* with the header; of the large ones SIZE_MAX, which is never kept */
};

struct mote_pool {
    struct mote_mem mem;
    struct mote_mem *parent;
    size_t taken;
    size_t kept;
    size_t keep_max;
    struct free_list lists[CLASSES + 1];
    uint8_t classes[MOTE_POOL_BLOCK_MAX / FINE_STEP + 1]; /* of a size in steps of 16, rounded up */
};

static size_t class_capacity(uint32_t size_class)
{
    if (size_class < FINE_CLASSES) {
        return (size_class + 1u) * FINE_STEP;
    }
    const uint32_t coarse = size_class - FINE_CLASSES;
    return (size_t)(5u + coarse % 4u) << (coarse / 4u + 5u);
}

static __attribute__((noinline)) void *allocate_from_parent(struct mote_pool *pool, uint32_t size_class, size_t size)
{
    if (size > SIZE_MAX - sizeof(struct block)) {
        return NULL;
    }
    const size_t block_size = size_class == LARGE ? size + sizeof(struct block) : pool->lists[size_class].block_size;
    struct block *block = mote_mem_allocate(pool->parent, block_size);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct block){.size_class = size_class, .mark = MARK_IN_USE, .u.size = block_size};
    pool->taken += block_size;
    return block + 1;
}

static void *pool_allocate(void *context, size_t size)
{
    struct mote_pool *pool = context;
    if (size > POOLED_MAX) {
        return allocate_from_parent(pool, LARGE, size);
    }
    const uint32_t size_class = pool->classes[(size + FINE_STEP - 1) / FINE_STEP];
    struct free_list *list = &pool->lists[size_class];
    struct block *block = list->first;
    if (block == NULL) {
        return allocate_from_parent(pool, size_class, size);
    }
    list->first = block->u.next;
    block->mark = MARK_IN_USE;
    pool->kept -= list->block_size;
    return block + 1;
}

static struct block *block_of(void *pointer)
{
    struct block *block = (struct block *)pointer - 1;
    mote_assert(block->mark == MARK_IN_USE);
    return block;
}

static size_t block_size_of(const struct mote_pool *pool, const struct block *block)
{
    return block->size_class == LARGE ? (size_t)block->u.size : pool->lists[block->size_class].block_size;
}

static __attribute__((noinline)) void release_to_parent(struct mote_pool *pool, struct block *block)
{
    pool->taken -= block_size_of(pool, block);
    mote_mem_release(pool->parent, block);
}

static void pool_release(void *context, void *pointer)
{
    struct mote_pool *pool = context;
    if (pointer == NULL) {
        return;
    }
    struct block *block = block_of(pointer);
    struct free_list *list = &pool->lists[block->size_class];
    block->mark = MARK_FREE;
    if (list->block_size > pool->keep_max - pool->kept) {
        release_to_parent(pool, block);
        return;
    }
    pool->kept += list->block_size;
    block->u.next = list->first;
    list->first = block;
}

static void *reallocate_large(struct mote_pool *pool, struct block *block, size_t size)
{
    if (size > SIZE_MAX - sizeof *block) {
        return NULL;
    }
    const size_t old_size = (size_t)block->u.size;
    struct block *moved = mote_mem_reallocate(pool->parent, block, size + sizeof *block);
    if (moved == NULL) {
        return NULL;
    }
    moved->u.size = size + sizeof *block;
    pool->taken = pool->taken - old_size + size + sizeof *block;
    return moved + 1;
}

static void *pool_reallocate(void *context, void *pointer, size_t size)
{
    struct mote_pool *pool = context;
    if (pointer == NULL) {
        return pool_allocate(pool, size);
    }
    struct block *block = block_of(pointer);
    const bool was_large = block->size_class == LARGE;
    if (was_large && size > POOLED_MAX) {
        return reallocate_large(pool, block, size);
    }
    const size_t capacity = block_size_of(pool, block) - sizeof *block;
    /* A block that stays at least half full stays where it is. */
    if (!was_large && size <= capacity && size >= capacity / 2) {
        return pointer;
    }
    void *moved = pool_allocate(pool, size);
    if (moved == NULL) {
        return NULL;
    }
    memcpy(moved, pointer, size < capacity ? size : capacity);
    pool_release(pool, pointer);
    return moved;
}

int mote_pool_new(struct mote_pool **out, struct mote_mem *parent, size_t keep_max)
{
    struct mote_pool *pool = mote_mem_allocate_zeroed(parent, sizeof *pool);
    if (pool == NULL) {
        return MOTE_ENOMEM;
    }
    pool->mem = (struct mote_mem){
        .allocate = pool_allocate,
        .reallocate = pool_reallocate,
        .release = pool_release,
        .context = pool,
    };
    pool->parent = parent;
    pool->keep_max = keep_max < SIZE_MAX ? keep_max : SIZE_MAX - 1; /* below that of the large ones */
    uint32_t step = 0;
    for (uint32_t i = 0; i < CLASSES; i++) {
        pool->lists[i].block_size = class_capacity(i) + sizeof(struct block);
        for (; step <= class_capacity(i) / FINE_STEP; step++) {
            pool->classes[step] = (uint8_t)i;
        }
    }
    pool->lists[LARGE].block_size = SIZE_MAX;
    *out = pool;
    return 0;
}

void mote_pool_free(struct mote_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    mote_assert(mote_pool_in_use(pool) == 0);
    for (uint32_t i = 0; i < CLASSES; i++) {
        while (pool->lists[i].first != NULL) {
            struct block *block = pool->lists[i].first;
            pool->lists[i].first = block->u.next;
            pool->kept -= pool->lists[i].block_size;
            mote_mem_release(pool->parent, block);
        }
    }
    mote_assert(pool->kept == 0);
    mote_mem_release(pool->parent, pool);
}

struct mote_mem *mote_pool_mem(struct mote_pool *pool)
{
    return &pool->mem;
}

size_t mote_pool_in_use(const struct mote_pool *pool)
{
    return pool->taken - pool->kept;
}

size_t mote_pool_kept(const struct mote_pool *pool)
{
    return pool->kept;
}
