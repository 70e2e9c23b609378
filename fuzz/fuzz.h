/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput: deterministic, without state between
 * inputs, linked with its layer and those below. An invariant that does not hold aborts the process.
 */
#ifndef MOTE_FUZZ_FUZZ_H
#define MOTE_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#endif
