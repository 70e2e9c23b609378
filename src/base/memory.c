/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library's allocator behind the interface, and the calls everybody uses. They turn a size of 0 into 1, so
 * that no implementation has to decide what an empty block is and NULL always means failure.
 */
#include "base/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *system_allocate(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void *system_reallocate(void *context, void *pointer, size_t size)
{
    (void)context;
    return realloc(pointer, size);
}

static void system_release(void *context, void *pointer)
{
    (void)context;
    free(pointer);
}

static void system_release_wiped(void *context, void *pointer)
{
    (void)context;
    mote_mem_wipe(pointer, malloc_usable_size(pointer));
    free(pointer);
}

struct mote_mem *mote_mem_system(void)
{
    static struct mote_mem mem = {
        .allocate = system_allocate,
        .reallocate = system_reallocate,
        .release = system_release,
        .release_wiped = system_release_wiped,
    };
    return &mem;
}

void mote_mem_system_trim(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

void mote_mem_wipe_large(void *pointer, size_t length)
{
    char *bytes = pointer;
    size_t piece = MOTE_MEM_WIPE_PIECE;
    __asm__("" : "+r"(piece)); /* unknown to the compiler, which would take that instruction, too */
    for (; length > MOTE_MEM_WIPE_PIECE; length -= MOTE_MEM_WIPE_PIECE) {
        mote_mem_wipe(bytes, piece);
        bytes += MOTE_MEM_WIPE_PIECE;
    }
    mote_mem_wipe(bytes, length);
}

void *mote_mem_allocate(struct mote_mem *mem, size_t size)
{
    return mem->allocate(mem->context, size != 0 ? size : 1);
}

void *mote_mem_allocate_zeroed(struct mote_mem *mem, size_t size)
{
    void *pointer = mote_mem_allocate(mem, size);
    if (pointer != NULL) {
        memset(pointer, 0, size);
    }
    return pointer;
}

void *mote_mem_reallocate(struct mote_mem *mem, void *pointer, size_t size)
{
    return mem->reallocate(mem->context, pointer, size != 0 ? size : 1);
}

void mote_mem_release(struct mote_mem *mem, void *pointer)
{
    if (pointer != NULL) {
        mem->release(mem->context, pointer);
    }
}

void mote_mem_release_wiped(struct mote_mem *mem, void *pointer)
{
    if (pointer != NULL) {
        (mem->release_wiped != NULL ? mem->release_wiped : mem->release)(mem->context, pointer);
    }
}

char *mote_mem_copy_text(struct mote_mem *mem, const char *text, size_t length)
{
    if (length == SIZE_MAX) {
        return NULL;
    }
    char *copy = mote_mem_allocate(mem, length + 1);
    if (copy == NULL) {
        return NULL;
    }
    if (length != 0) {
        memcpy(copy, text, length);
    }
    copy[length] = '\0';
    return copy;
}
