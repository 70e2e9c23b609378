/* SPDX-License-Identifier: Apache-2.0 */
/* The test allocator itself: a checker that finds nothing would make every other test of memory worthless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "support/failing_mem.h"

static void counts_what_is_live(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    mote_failing_mem_init(&failing);
    char *a = mote_mem_allocate(&failing.mem, 10);
    char *b = mote_mem_allocate(&failing.mem, 20);
    memset(a, 'x', 10);
    a = mote_mem_reallocate(&failing.mem, a, 15);
    assert_memory_equal(a, "xxxxxxxxxx", 10);
    assert_int_equal(failing.live_count, 2);
    assert_int_equal(failing.live_bytes, 35);
    assert_int_equal(failing.peak_bytes, 45);
    assert_int_equal(failing.calls, 3);
    a = mote_mem_reallocate(&failing.mem, a, 2);
    assert_memory_equal(a, "xx", 2);
    mote_mem_release(&failing.mem, a);
    mote_mem_release(&failing.mem, b);
    assert_int_equal(failing.live_count, 0);
    assert_int_equal(failing.live_bytes, 0);
}

/* Which of five calls fail. */
static void fails_the_one_or_all_from_it(void **state)
{
    static const struct {
        size_t fail_at;
        bool persistent;
        unsigned failed; /* a bit for each call */
    } cases[] = {
        {0, false, 0}, {0, true, 0},  {1, false, 1}, {3, false, 4}, {5, false, 16},
        {6, false, 0}, {1, true, 31}, {4, true, 24}, {6, true, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_failing_mem failing;
        mote_failing_mem_init(&failing);
        mote_failing_mem_arm(&failing, cases[i].fail_at, cases[i].persistent);
        unsigned failed = 0;
        for (unsigned call = 0; call < 5; call++) {
            void *block = mote_mem_allocate(&failing.mem, 8);
            failed |= (unsigned)(block == NULL) << call;
            mote_mem_release(&failing.mem, block);
        }
        assert_int_equal(failed, cases[i].failed);
        assert_int_equal(failing.failures, __builtin_popcount(failed));
    }
}

/* Three allocations, properly released; counts its runs. */
static int proper(struct mote_mem *mem, void *context)
{
    int *runs = context;
    ++*runs;
    void *a = mote_mem_allocate(mem, 10);
    void *b = mote_mem_allocate(mem, 20);
    void *moved = b != NULL ? mote_mem_reallocate(mem, b, 30) : NULL;
    const int result = a != NULL && moved != NULL ? 0 : MOTE_ENOMEM;
    mote_mem_release(mem, a);
    mote_mem_release(mem, moved != NULL ? moved : b);
    return result;
}

static int leaks_after_the_second_fails(struct mote_mem *mem, void *context)
{
    (void)context;
    void *a = mote_mem_allocate(mem, 10);
    if (a == NULL) {
        return MOTE_ENOMEM;
    }
    void *b = mote_mem_allocate(mem, 20);
    if (b == NULL) {
        *(void **)context = a;
        return MOTE_ENOMEM;
    }
    mote_mem_release(mem, a);
    mote_mem_release(mem, b);
    return 0;
}

static int wrong_error(struct mote_mem *mem, void *context)
{
    (void)context;
    void *a = mote_mem_allocate(mem, 10);
    const int result = a != NULL ? 0 : MOTE_EINVAL;
    mote_mem_release(mem, a);
    return result;
}

static int fails_without_reason(struct mote_mem *mem, void *context)
{
    (void)mem;
    (void)context;
    return MOTE_ENOMEM;
}

static void the_check_runs_every_failure(void **state)
{
    (void)state;
    int runs = 0;
    assert_int_equal(mote_failing_mem_check(proper, &runs), 3);
    /* none; the 1st to the 3rd and one that is never reached; the same with all after it */
    assert_true(runs >= 1 + 4 + 4);
}

/* Runs a scenario whose description on standard error would only confuse the reader of the test's output. */
static long check_silently(mote_failing_scenario_cb *scenario, void *context)
{
    (void)fflush(stderr);
    const int saved = dup(STDERR_FILENO);
    FILE *sink = tmpfile();
    assert_non_null(sink);
    (void)dup2(fileno(sink), STDERR_FILENO);
    const long result = mote_failing_mem_check(scenario, context);
    (void)fflush(stderr);
    (void)dup2(saved, STDERR_FILENO);
    assert_true(lseek(fileno(sink), 0, SEEK_END) > 0);
    (void)close(saved);
    (void)fclose(sink);
    return result;
}

static void the_check_finds_what_is_wrong(void **state)
{
    (void)state;
    void *leaked = NULL;
    assert_int_equal(check_silently(leaks_after_the_second_fails, &leaked), -1);
    assert_non_null(leaked);
    struct mote_failing_mem owner;
    mote_failing_mem_init(&owner);
    owner.live_count = 1;
    owner.live_bytes = 10;
    mote_mem_release(&owner.mem, leaked);
    assert_int_equal(check_silently(wrong_error, NULL), -1);
    assert_int_equal(check_silently(fails_without_reason, NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_what_is_live),
        cmocka_unit_test(fails_the_one_or_all_from_it),
        cmocka_unit_test(the_check_runs_every_failure),
        cmocka_unit_test(the_check_finds_what_is_wrong),
    };
    return cmocka_run_group_tests_name("failing_mem", tests, NULL, NULL);
}
