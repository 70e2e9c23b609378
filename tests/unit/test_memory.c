/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator's calls, over the C library and over one that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/memory.h"
#include "support/failing_mem.h"

static void the_system_allocates(void **state)
{
    (void)state;
    struct mote_mem *mem = mote_mem_system();
    char *block = mote_mem_allocate(mem, 3);
    assert_non_null(block);
    memcpy(block, "ab", 3);
    block = mote_mem_reallocate(mem, block, 100000);
    assert_non_null(block);
    assert_string_equal(block, "ab");
    mote_mem_release(mem, block);
    mote_mem_release(mem, NULL);
    assert_ptr_equal(mem, mote_mem_system());
}

static void zeroed_is_zero(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    mote_failing_mem_init(&failing);
    unsigned char *block = mote_mem_allocate_zeroed(&failing.mem, 1000);
    assert_non_null(block);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(block[i], 0);
    }
    mote_mem_release(&failing.mem, block);
    assert_int_equal(failing.live_count, 0);
}

static void size_zero_is_a_block(void **state)
{
    (void)state;
    struct mote_failing_mem failing; /* asserts that it is never asked for 0 */
    mote_failing_mem_init(&failing);
    void *a = mote_mem_allocate(&failing.mem, 0);
    void *b = mote_mem_allocate_zeroed(&failing.mem, 0);
    void *c = mote_mem_reallocate(&failing.mem, NULL, 0);
    assert_true(a != NULL && b != NULL && c != NULL);
    c = mote_mem_reallocate(&failing.mem, c, 0);
    assert_non_null(c);
    assert_int_equal(failing.live_count, 3);
    mote_mem_release(&failing.mem, a);
    mote_mem_release(&failing.mem, b);
    mote_mem_release(&failing.mem, c);
    assert_int_equal(failing.live_count, 0);
}

static void copies_end_in_nul(void **state)
{
    (void)state;
    struct mote_mem *mem = mote_mem_system();
    char *copy = mote_mem_copy_text(mem, "abcdef", 3);
    assert_string_equal(copy, "abc");
    mote_mem_release(mem, copy);
    copy = mote_mem_copy_text(mem, NULL, 0);
    assert_string_equal(copy, "");
    mote_mem_release(mem, copy);
    assert_null(mote_mem_copy_text(mem, "", SIZE_MAX));
}

static void failure_is_null(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    mote_failing_mem_init(&failing);
    void *block = mote_mem_allocate(&failing.mem, 10);
    mote_failing_mem_arm(&failing, 1, true);
    assert_null(mote_mem_allocate(&failing.mem, 10));
    assert_null(mote_mem_allocate_zeroed(&failing.mem, 10));
    assert_null(mote_mem_copy_text(&failing.mem, "a", 1));
    assert_null(mote_mem_reallocate(&failing.mem, block, 20));
    assert_int_equal(failing.live_bytes, 10);
    mote_mem_release(&failing.mem, block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_allocates), cmocka_unit_test(zeroed_is_zero),
        cmocka_unit_test(size_zero_is_a_block), cmocka_unit_test(copies_end_in_nul),
        cmocka_unit_test(failure_is_null),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
