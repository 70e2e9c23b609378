/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation as an argument. Library layers take a `struct mote_mem *` and treat NULL as an ordinary
 * error (MOTE_ENOMEM), so that a test can fail each allocation in turn and a worker can pool them.
 * Not thread-safe unless the implementation says so; `mote_mem_system()` is.
 */
#ifndef MOTE_BASE_MEMORY_H
#define MOTE_BASE_MEMORY_H

#include <stddef.h>

struct mote_mem {
    /* Like malloc and realloc (NULL: as allocate; size is never 0) and free (NULL is fine). */
    void *(*allocate)(void *context, size_t size);
    void *(*reallocate)(void *context, void *pointer, size_t size);
    void (*release)(void *context, void *pointer);
    void *context;
};

/* The C library's allocator. Borrowed for ever; any thread. */
struct mote_mem *mote_mem_system(void);

/* Returns owned memory or NULL. `zeroed` also clears it. */
void *mote_mem_allocate(struct mote_mem *mem, size_t size);
void *mote_mem_allocate_zeroed(struct mote_mem *mem, size_t size);
void *mote_mem_reallocate(struct mote_mem *mem, void *pointer, size_t size);
void mote_mem_release(struct mote_mem *mem, void *pointer);
/* Returns an owned, NUL-terminated copy of `length` bytes of `text`, or NULL. */
char *mote_mem_copy_text(struct mote_mem *mem, const char *text, size_t length);

#endif
