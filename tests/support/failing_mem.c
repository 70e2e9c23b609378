/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each block has a header with its size and a mark, so that releasing a foreign block or one twice is noticed.
 * Reallocating always moves, so that a pointer kept across it is found by AddressSanitizer.
 */
#include "support/failing_mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"

#define MARK 0x746573746d656d21u
/* A scenario whose number of allocations grows with every run would never end. */
#define ALLOCATIONS_MAX 1000000u
/* No test needs more at once, and AddressSanitizer ends the program that asks malloc for too much. */
#define BLOCK_MAX ((size_t)1 << 30)

struct block {
    uint64_t size;
    uint64_t mark;
};

static void *failing_allocate(void *context, size_t size)
{
    struct mote_failing_mem *failing = context;
    mote_assert(size != 0);
    failing->calls++;
    if (failing->fail_at != 0 &&
        (failing->calls == failing->fail_at || (failing->persistent && failing->calls > failing->fail_at))) {
        failing->failures++;
        return NULL;
    }
    struct block *block = size > BLOCK_MAX ? NULL : malloc(size + sizeof *block);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct block){.size = size, .mark = MARK};
    failing->live_count++;
    failing->live_bytes += size;
    if (failing->live_bytes > failing->peak_bytes) {
        failing->peak_bytes = failing->live_bytes;
    }
    /* What a program must not read before it wrote it is not zero by chance. */
    memset(block + 1, 0xa5, size);
    return block + 1;
}

static struct block *block_of(void *pointer)
{
    struct block *block = (struct block *)pointer - 1;
    mote_assert(block->mark == MARK);
    return block;
}

static void failing_release(void *context, void *pointer)
{
    struct mote_failing_mem *failing = context;
    if (pointer == NULL) {
        return;
    }
    struct block *block = block_of(pointer);
    mote_assert(failing->live_count != 0 && failing->live_bytes >= block->size);
    failing->live_count--;
    failing->live_bytes -= (size_t)block->size;
    block->mark = 0;
    free(block);
}

static void *failing_reallocate(void *context, void *pointer, size_t size)
{
    void *moved = failing_allocate(context, size);
    if (moved != NULL && pointer != NULL) {
        const size_t old_size = (size_t)block_of(pointer)->size;
        memcpy(moved, pointer, old_size < size ? old_size : size);
        failing_release(context, pointer);
    }
    return moved;
}

void mote_failing_mem_init(struct mote_failing_mem *failing)
{
    *failing = (struct mote_failing_mem){
        .mem =
            {
                .allocate = failing_allocate,
                .reallocate = failing_reallocate,
                .release = failing_release,
                .context = failing,
            },
    };
}

void mote_failing_mem_arm(struct mote_failing_mem *failing, size_t fail_at, bool persistent)
{
    failing->calls = 0;
    failing->failures = 0;
    failing->fail_at = fail_at;
    failing->persistent = persistent;
}

/* One run; true when the result is a proper one and nothing leaked. */
static bool run(struct mote_failing_mem *failing, mote_failing_scenario_cb *scenario, void *context)
{
    const int result = scenario(&failing->mem, context);
    const bool proper = result == 0 || (result == MOTE_ENOMEM && failing->failures != 0);
    if (proper && failing->live_count == 0) {
        return true;
    }
    (void)fprintf(stderr, "allocation %zu failing (%s): result %s, %zu blocks with %zu bytes leaked\n",
                  failing->fail_at, failing->persistent ? "and all after it" : "once",
                  result == 0 ? "0" : mote_error_name(result), failing->live_count, failing->live_bytes);
    return false;
}

long mote_failing_mem_check(mote_failing_scenario_cb *scenario, void *context)
{
    struct mote_failing_mem failing;
    mote_failing_mem_init(&failing);
    if (!run(&failing, scenario, context)) {
        return -1;
    }
    const size_t allocations = failing.calls;
    for (unsigned persistent = 0; persistent < 2; persistent++) {
        for (size_t fail_at = 1; fail_at <= ALLOCATIONS_MAX; fail_at++) {
            mote_failing_mem_arm(&failing, fail_at, persistent != 0);
            if (!run(&failing, scenario, context)) {
                return -1;
            }
            if (failing.failures == 0) {
                break;
            }
        }
    }
    return (long)allocations;
}
