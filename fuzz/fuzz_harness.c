/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No target: a program with the faults that fuzzing must find, one for each word. A test replays the words, and holds
 * when each run fails (fuzz.harness.*).
 */
#include "fuzz.h"

static volatile uint8_t read_byte;
static volatile int sum;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mote_slice word = mote_slice(data, size);
    if (mote_slice_equals(word, mote_slice_text("over_read"))) {
        read_byte = *(data + size);
    } else if (mote_slice_equals(word, mote_slice_text("overflow"))) {
        sum = INT32_MAX;
        sum = sum + (int)size;
    } else if (mote_slice_equals(word, mote_slice_text("leak"))) {
        (void)fuzz_copy(word);
    } else {
        fuzz_require(!mote_slice_equals(word, mote_slice_text("invariant")));
    }
    return 0;
}
