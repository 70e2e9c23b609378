/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Size classes are the multiples of 16 up to 256, then sixteen to each doubling, so that rounding up wastes at most a
 * seventeenth: most of what a pool holds for long belongs to connections, and is there once for each. Every block has a
 * 16-byte header with its class, because nghttp2 releases without a size; while the block is free the header also holds
 * the list's link. Blocks that are larger belong to the parent, as if to a class of their own that is never kept; their
 * size is in front of the header.
 *
 * Taking a block from its list and putting it back are a few instructions each, which every call pays many times: the
 * class comes from a table, one counter changes, and all that is rare is in functions of its own.
 *
 * Under AddressSanitizer every block is large: it goes back to the parent at once and has exactly the size asked
 * for, so that a use after release or behind the end is found as if there were no pool.
 *
 * Invariants: `taken` is the sum of the blocks that the parent has given and not got back, headers included, and
 * `keep_max - room` of those on the free lists; the mark in a header tells which of the two a block is (a second
 * release is a bug and asserted).
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

#define STEP      16u
#define PER_LEVEL 16u /* classes of one step size, which doubles from level to level */
#define LEVELS    7u  /* up to 256, 512, … 16384 */
#define CLASSES   (PER_LEVEL * LEVELS)
#define LARGE     CLASSES

/* Of a block in use. Odd, which no link of a free one is. */
#define MARK UINT64_C(0x6d6f7465)

_Static_assert((STEP * PER_LEVEL) << (LEVELS - 1) == MOTE_POOL_BLOCK_MAX, "the classes end at the largest block");

struct block {
    struct free_list *list;
    union {
        uint64_t mark;      /* in use */
        struct block *next; /* free */
    } u;
};

/* A block that belongs to the parent. */
struct large_block {
    uint64_t size; /* with both headers */
    uint64_t unused;
    struct block block;
};

_Static_assert(sizeof(struct block) == 16 && sizeof(struct large_block) == 32, "headers keep the parent's alignment");

struct free_list {
    struct block *first;
    size_t block_size; /* with the header; of the large ones SIZE_MAX, for which there never is room */
};

struct mote_pool {
    struct mote_mem mem;
    struct mote_mem *parent;
    size_t taken;
    size_t room; /* bytes that may still be kept */
    size_t keep_max;
    struct free_list lists[CLASSES + 1];
    uint8_t classes[MOTE_POOL_BLOCK_MAX / STEP + 1]; /* of a size in steps of 16, rounded up */
};

static size_t class_capacity(uint32_t size_class)
{
    const uint32_t level = size_class / PER_LEVEL;
    const size_t place = size_class % PER_LEVEL + 1;
    return level == 0 ? place * STEP : (PER_LEVEL + place) * STEP << (level - 1);
}

static bool is_large(const struct mote_pool *pool, const struct block *block)
{
    return block->list == &pool->lists[LARGE];
}

static struct large_block *large_of(struct block *block)
{
    return (struct large_block *)(void *)((char *)block - offsetof(struct large_block, block));
}

static void *allocate_large(struct mote_pool *pool, size_t size)
{
    if (size > SIZE_MAX - sizeof(struct large_block)) {
        return NULL;
    }
    struct large_block *large = mote_mem_allocate(pool->parent, size + sizeof *large);
    if (large == NULL) {
        return NULL;
    }
    large->size = size + sizeof *large;
    large->block = (struct block){.list = &pool->lists[LARGE], .u.mark = MARK};
    pool->taken += size + sizeof *large;
    return large + 1;
}

/* The pool has none of the size. */
static __attribute__((noinline)) void *allocate_from_parent(struct mote_pool *pool, struct free_list *list, size_t size)
{
    if (list == &pool->lists[LARGE]) {
        return allocate_large(pool, size);
    }
    struct block *block = mote_mem_allocate(pool->parent, list->block_size);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct block){.list = list, .u.mark = MARK};
    pool->taken += list->block_size;
    return block + 1;
}

static void *pool_allocate(void *context, size_t size)
{
    struct mote_pool *pool = context;
    if (size > POOLED_MAX) {
        return allocate_from_parent(pool, &pool->lists[LARGE], size);
    }
    struct free_list *list = &pool->lists[pool->classes[(size + STEP - 1) / STEP]];
    struct block *block = list->first;
    if (block == NULL) {
        return allocate_from_parent(pool, list, size);
    }
    list->first = block->u.next;
    block->u.mark = MARK;
    pool->room += list->block_size;
    return block + 1;
}

static struct block *block_of(void *pointer)
{
    struct block *block = (struct block *)pointer - 1;
    mote_assert(block->u.mark == MARK);
    return block;
}

static __attribute__((noinline)) void release_to_parent(struct mote_pool *pool, struct block *block)
{
    block->u.mark = 0;
    if (is_large(pool, block)) {
        struct large_block *large = large_of(block);
        pool->taken -= (size_t)large->size;
        mote_mem_release(pool->parent, large);
    } else {
        pool->taken -= block->list->block_size;
        mote_mem_release(pool->parent, block);
    }
}

static inline void release_block(struct mote_pool *pool, struct block *block)
{
    struct free_list *list = block->list;
    if (list->block_size > pool->room) {
        release_to_parent(pool, block);
        return;
    }
    pool->room -= list->block_size;
    block->u.next = list->first;
    list->first = block;
}

static void pool_release(void *context, void *pointer)
{
    if (pointer != NULL) {
        release_block(context, block_of(pointer));
    }
}

static size_t capacity_of(const struct mote_pool *pool, struct block *block)
{
    return is_large(pool, block) ? (size_t)large_of(block)->size - sizeof(struct large_block)
                                 : block->list->block_size - sizeof *block;
}

static void pool_release_wiped(void *context, void *pointer)
{
    if (pointer != NULL) {
        struct block *block = block_of(pointer);
        mote_mem_wipe(pointer, capacity_of(context, block));
        release_block(context, block);
    }
}

static void *reallocate_large(struct mote_pool *pool, struct large_block *large, size_t size)
{
    if (size > SIZE_MAX - sizeof *large) {
        return NULL;
    }
    const size_t old_size = (size_t)large->size;
    struct large_block *moved = mote_mem_reallocate(pool->parent, large, size + sizeof *large);
    if (moved == NULL) {
        return NULL;
    }
    moved->size = size + sizeof *large;
    pool->taken = pool->taken - old_size + size + sizeof *large;
    return moved + 1;
}

static void *pool_reallocate(void *context, void *pointer, size_t size)
{
    struct mote_pool *pool = context;
    if (pointer == NULL) {
        return pool_allocate(pool, size);
    }
    struct block *block = block_of(pointer);
    const bool was_large = is_large(pool, block);
    if (was_large && size > POOLED_MAX) {
        return reallocate_large(pool, large_of(block), size);
    }
    const size_t capacity = capacity_of(pool, block);
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
        .release_wiped = pool_release_wiped,
        .context = pool,
    };
    pool->parent = parent;
    pool->keep_max = keep_max < SIZE_MAX ? keep_max : SIZE_MAX - 1; /* below that of the large ones */
    pool->room = pool->keep_max;
    size_t step = 0;
    for (uint32_t i = 0; i < CLASSES; i++) {
        pool->lists[i].block_size = class_capacity(i) + sizeof(struct block);
        for (; step <= class_capacity(i) / STEP; step++) {
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
            pool->room += pool->lists[i].block_size;
            mote_mem_release(pool->parent, block);
        }
    }
    mote_assert(pool->room == pool->keep_max);
    mote_mem_release(pool->parent, pool);
}

struct mote_mem *mote_pool_mem(struct mote_pool *pool)
{
    return &pool->mem;
}

size_t mote_pool_in_use(const struct mote_pool *pool)
{
    return pool->taken - mote_pool_kept(pool);
}

size_t mote_pool_kept(const struct mote_pool *pool)
{
    return pool->keep_max - pool->room;
}
