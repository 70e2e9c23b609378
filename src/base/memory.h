/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation as an argument. Library layers take a `struct mote_mem *` and treat NULL as an ordinary
 * error (MOTE_ENOMEM), so that a test can fail each allocation in turn and a worker can pool them.
 * Not thread-safe unless the implementation says so; `mote_mem_system()` is.
 */
#ifndef MOTE_BASE_MEMORY_H
#define MOTE_BASE_MEMORY_H

#include <stddef.h>
#include <string.h>

#include "linkage.h"

MOTE_C_BEGIN

/* Larger ones the C library zeroes with one instruction, which is slow to start on what is in the cache anyway. */
#define MOTE_MEM_WIPE_PIECE ((size_t)1024)

struct mote_mem {
    /* Like malloc and realloc (NULL: as allocate; size is never 0) and free (NULL is fine). */
    void *(*allocate)(void *context, size_t size);
    void *(*reallocate)(void *context, void *pointer, size_t size);
    void (*release)(void *context, void *pointer);
    void *context;
    /* As release, after the whole block has been wiped. NULL where nobody needs it: as release. */
    void (*release_wiped)(void *context, void *pointer);
};

void mote_mem_wipe_large(void *pointer, size_t length);

/* Zeroes what may have been a secret; the compiler must take it that somebody looks. On the way of every call: short.
 */
static inline void mote_mem_wipe(void *pointer, size_t length)
{
    if (length > MOTE_MEM_WIPE_PIECE) {
        mote_mem_wipe_large(pointer, length);
    } else {
        memset(pointer, 0, length);
        __asm__ volatile("" : : "r"(pointer) : "memory");
    }
}

/* The C library's allocator. Borrowed for ever; any thread. */
struct mote_mem *mote_mem_system(void);
/* Gives what it keeps of free memory back to the system, where the C library can: milliseconds of work. Any thread. */
void mote_mem_system_trim(void);

/* Returns owned memory or NULL. `zeroed` also clears it. */
void *mote_mem_allocate(struct mote_mem *mem, size_t size);
void *mote_mem_allocate_zeroed(struct mote_mem *mem, size_t size);
void *mote_mem_reallocate(struct mote_mem *mem, void *pointer, size_t size);
void mote_mem_release(struct mote_mem *mem, void *pointer);
void mote_mem_release_wiped(struct mote_mem *mem, void *pointer);
/* Returns an owned, NUL-terminated copy of `length` bytes of `text`, or NULL. */
char *mote_mem_copy_text(struct mote_mem *mem, const char *text, size_t length);

MOTE_C_END

#endif
