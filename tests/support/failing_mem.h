/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An allocator for tests: it counts what is live and fails when it is told to. mote_failing_mem_check runs a scenario
 * with each of its allocations failing in turn. It knows nothing of the test framework. One thread.
 *
 *     static int scenario(struct mote_mem *mem, void *context) { … everything released at the end … }
 *     assert_true(mote_failing_mem_check(scenario, NULL) > 0);
 */
#ifndef MOTE_SUPPORT_FAILING_MEM_H
#define MOTE_SUPPORT_FAILING_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"

struct mote_failing_mem {
    struct mote_mem mem;
    size_t live_count; /* blocks not released */
    size_t live_bytes; /* as asked for */
    size_t peak_bytes;
    size_t calls;    /* allocate and reallocate, failed ones too */
    size_t failures; /* of those, failed on purpose */
    size_t fail_at;  /* the number of the call that fails, from 1; 0 = none */
    bool persistent; /* all calls after it fail too */
};

/* Nothing fails until fail_at is set. The struct may not move afterwards. */
void mote_failing_mem_init(struct mote_failing_mem *failing);
/* The calls are counted from here again; the call number `fail_at` and, if `persistent`, all after it fail. */
void mote_failing_mem_arm(struct mote_failing_mem *failing, size_t fail_at, bool persistent);

/* Returns 0, also when it got around a failure, or MOTE_ENOMEM; releases everything either way. */
typedef int mote_failing_scenario_cb(struct mote_mem *mem, void *context);

/*
 * Runs the scenario without a failure, which must return 0; then, for each of its allocations, once with that one
 * failing and once with that one and all after it. Returns the number of allocations of the first run; -1 after any
 * other result or a leak, which it describes on standard error.
 */
long mote_failing_mem_check(mote_failing_scenario_cb *scenario, void *context);

#endif
