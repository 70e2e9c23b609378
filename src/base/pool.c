/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Size classes are the multiples of 16 up to 128, then four to each doubling, so that rounding up wastes at most a
 * fifth. Every block has a 16-byte header with its class, because nghttp2 releases without a size; while the block
 * is free the header also holds the list's link. Blocks of the last class, `LARGE`, belong to the parent.
 *
 * Under AddressSanitizer every block is large: it goes back to the parent at once and has exactly the size asked
 * for, so that a use after release or behind the end is found as if there were no pool.
 *
 * Invariants: in_use and kept are the sums over the blocks handed out and over the free lists, headers included;
 * a header's mark tells which of the two a block is (a second release is a bug and asserted).
 */
#include "base/pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"

#if defined(__SANITIZE_ADDRESS__)
#define POOLED_MAX 0u
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOLED_MAX 0u
#endif
#endif
#ifndef POOLED_MAX
#define POOLED_MAX MOTE_POOL_BLOCK_MAX
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
    size_t block_size; /* with the header */
};

struct mote_pool {
    struct mote_mem mem;
    struct mote_mem *parent;
    size_t in_use;
    size_t kept;
    size_t keep_max;
    struct free_list lists[CLASSES];
};

/* The class of the smallest block that holds `size` bytes, 1 to MOTE_POOL_BLOCK_MAX. */
static uint32_t class_of(size_t size)
{
    const uint32_t last = (uint32_t)(size - 1);
    if (size <= FINE_MAX) {
        return last / FINE_STEP;
    }
    const uint32_t log = 31u - (uint32_t)__builtin_clz(last); /* 7 to 13 */
    return FINE_CLASSES + (log - 7u) * 4u + ((last >> (log - 2u)) & 3u);
}

static size_t class_capacity(uint32_t size_class)
{
    if (size_class < FINE_CLASSES) {
        return (size_class + 1u) * FINE_STEP;
    }
    const uint32_t coarse = size_class - FINE_CLASSES;
    return (size_t)(5u + coarse % 4u) << (coarse / 4u + 5u);
}

static void *allocate_large(struct mote_pool *pool, size_t size)
{
    if (size > SIZE_MAX - sizeof(struct block)) {
        return NULL;
    }
    struct block *block = mote_mem_allocate(pool->parent, size + sizeof *block);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct block){.size_class = LARGE, .mark = MARK_IN_USE, .u.size = size + sizeof *block};
    pool->in_use += size + sizeof *block;
    return block + 1;
}

static void *allocate_fresh(struct mote_pool *pool, uint32_t size_class)
{
    struct block *block = mote_mem_allocate(pool->parent, pool->lists[size_class].block_size);
    if (block == NULL) {
        return NULL;
    }
    block->size_class = size_class;
    block->mark = MARK_IN_USE;
    pool->in_use += pool->lists[size_class].block_size;
    return block + 1;
}

static void *pool_allocate(void *context, size_t size)
{
    struct mote_pool *pool = context;
    mote_assert(size != 0);
    if (size > POOLED_MAX) {
        return allocate_large(pool, size);
    }
    const uint32_t size_class = class_of(size);
    struct free_list *list = &pool->lists[size_class];
    struct block *block = list->first;
    if (block == NULL) {
        return allocate_fresh(pool, size_class);
    }
    list->first = block->u.next;
    block->mark = MARK_IN_USE;
    pool->kept -= list->block_size;
    pool->in_use += list->block_size;
    return block + 1;
}

static struct block *block_of(void *pointer)
{
    struct block *block = (struct block *)pointer - 1;
    mote_assert(block->mark == MARK_IN_USE);
    return block;
}

static void pool_release(void *context, void *pointer)
{
    struct mote_pool *pool = context;
    if (pointer == NULL) {
        return;
    }
    struct block *block = block_of(pointer);
    block->mark = MARK_FREE;
    if (block->size_class == LARGE) {
        pool->in_use -= (size_t)block->u.size;
        mote_mem_release(pool->parent, block);
        return;
    }
    struct free_list *list = &pool->lists[block->size_class];
    pool->in_use -= list->block_size;
    if (list->block_size > pool->keep_max - pool->kept) {
        mote_mem_release(pool->parent, block);
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
    pool->in_use = pool->in_use - old_size + size + sizeof *block;
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
    const size_t old_size = was_large ? (size_t)block->u.size : pool->lists[block->size_class].block_size;
    const size_t capacity = old_size - sizeof *block;
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
    pool->keep_max = keep_max;
    for (uint32_t i = 0; i < CLASSES; i++) {
        pool->lists[i].block_size = class_capacity(i) + sizeof(struct block);
    }
    *out = pool;
    return 0;
}

void mote_pool_free(struct mote_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    mote_assert(pool->in_use == 0);
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
    return pool->in_use;
}

size_t mote_pool_kept(const struct mote_pool *pool)
{
    return pool->kept;
}
