/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput: deterministic, without state between
 * inputs, linked with its layer and those below. An invariant that does not hold aborts the process.
 */
#ifndef MOTE_FUZZ_FUZZ_H
#define MOTE_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_require_at(bool holds, const char *condition, const char *file, int line)
{
    if (!holds) {
        (void)fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, condition);
        abort();
    }
}

#define fuzz_require(condition) fuzz_require_at((condition), #condition, __FILE__, __LINE__)

/* Takes the first byte off the front of *input; 0 when there is none. */
static inline uint8_t fuzz_take_byte(struct mote_slice *input)
{
    if (input->length == 0) {
        return 0;
    }
    input->length--;
    return *input->data++;
}

/* Takes up to `length` bytes off the front of *input. */
static inline struct mote_slice fuzz_take(struct mote_slice *input, size_t length)
{
    const struct mote_slice taken = mote_slice(input->data, length < input->length ? length : input->length);
    *input = mote_slice(input->data + taken.length, input->length - taken.length);
    return taken;
}

/* A copy in a block of its exact size, so that the sanitizer sees every byte read outside it. Returns owned memory. */
static inline uint8_t *fuzz_copy(struct mote_slice bytes)
{
    uint8_t *copy = malloc(bytes.length != 0 ? bytes.length : 1);
    fuzz_require(copy != NULL);
    if (bytes.length != 0) {
        memcpy(copy, bytes.data, bytes.length);
    }
    return copy;
}

/* The system's memory, counted; one of its allocations may fail. */
struct fuzz_memory {
    struct mote_mem mem;
    size_t held; /* bytes */
    size_t peak;
    size_t calls;
    size_t fail_at; /* 0: none */
    bool persists;  /* those after it fail too */
};

/* Each block has its size in front. */
union fuzz_block {
    size_t size;
    max_align_t align;
};

static inline void *fuzz_memory_reallocate(void *context, void *pointer, size_t size)
{
    struct fuzz_memory *memory = context;
    union fuzz_block *old = pointer != NULL ? (union fuzz_block *)pointer - 1 : NULL;
    const size_t old_size = old != NULL ? old->size : 0;
    memory->calls++;
    if (memory->fail_at != 0 &&
        (memory->calls == memory->fail_at || (memory->persists && memory->calls > memory->fail_at))) {
        return NULL;
    }
    union fuzz_block *block = realloc(old, sizeof(*block) + size);
    fuzz_require(block != NULL);
    block->size = size;
    memory->held = memory->held - old_size + size;
    memory->peak = memory->held > memory->peak ? memory->held : memory->peak;
    return block + 1;
}

static inline void *fuzz_memory_allocate(void *context, size_t size)
{
    return fuzz_memory_reallocate(context, NULL, size);
}

static inline void fuzz_memory_release(void *context, void *pointer)
{
    struct fuzz_memory *memory = context;
    if (pointer != NULL) {
        union fuzz_block *block = (union fuzz_block *)pointer - 1;
        memory->held -= block->size;
        free(block);
    }
}

/* Nothing is held; the allocation of this number fails (from 1; 0: none). */
static inline void fuzz_memory_init(struct fuzz_memory *memory, size_t fail_at)
{
    *memory = (struct fuzz_memory){
        .mem = {fuzz_memory_allocate, fuzz_memory_reallocate, fuzz_memory_release, memory},
        .fail_at = fail_at,
    };
}

#endif
