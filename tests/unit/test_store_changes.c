/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of changes by itself: full, over full, discarded, and groups larger than the ring. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/changes.h"

static struct mote_changes changes;

static int set_up(void **state)
{
    (void)state;
    return mote_changes_init(&changes, mote_mem_system());
}

static int tear_down(void **state)
{
    (void)state;
    mote_changes_dispose(&changes);
    mote_changes_dispose(&changes); /* harmless */
    return 0;
}

static void stage(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        mote_changes_stage(&changes, &(struct mote_store_change){.kind = MOTE_STORE_CHANGE_USER_UPDATED, .time = i});
    }
}

/* Reads everything after `position`: the number of changes, or the error. The numbers must rise. */
static int64_t read_all(uint64_t position)
{
    struct mote_store_change out[100];
    int64_t total = 0;
    size_t count = 0;
    do {
        uint64_t last = position;
        int result = mote_changes_read(&changes, &position, out, sizeof out / sizeof out[0], &count);
        if (result != 0) {
            return result;
        }
        for (size_t i = 0; i < count; i++) {
            assert_true(out[i].commit > last);
            last = out[i].commit;
        }
        total += (int64_t)count;
    } while (count > 0);
    assert_int_equal(position, mote_changes_number(&changes));
    return total;
}

static void test_begin(void **state)
{
    (void)state;
    assert_int_equal(mote_changes_number(&changes), 1);
    assert_int_equal(read_all(0), MOTE_ENOTFOUND);
    assert_int_equal(read_all(1), 0);
    assert_int_equal(read_all(2), MOTE_ENOTFOUND);
}

static void test_staged_is_not_seen(void **state)
{
    (void)state;
    stage(3);
    assert_int_equal(read_all(1), 0);
    assert_int_equal(mote_changes_number(&changes), 1);
    mote_changes_discard(&changes);
    assert_int_equal(read_all(1), 0);
    stage(2);
    mote_changes_publish(&changes);
    assert_int_equal(mote_changes_number(&changes), 3);
    assert_int_equal(read_all(1), 2);
    assert_int_equal(read_all(2), 1);
    mote_changes_publish(&changes); /* a commit without changes */
    assert_int_equal(mote_changes_number(&changes), 4);
    assert_int_equal(read_all(2), 1);
    assert_int_equal(read_all(3), 0);
}

static void test_bound(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MOTE_STORE_CHANGES_MAX; i++) {
        stage(1);
        mote_changes_publish(&changes);
    }
    assert_int_equal(read_all(1), MOTE_STORE_CHANGES_MAX); /* exactly full: nothing is lost */
    stage(1);
    mote_changes_publish(&changes);
    assert_int_equal(read_all(1), MOTE_ENOTFOUND);
    assert_int_equal(read_all(2), MOTE_STORE_CHANGES_MAX);
    for (uint32_t i = 0; i < 3 * MOTE_STORE_CHANGES_MAX; i++) { /* commits without changes push nothing out */
        mote_changes_publish(&changes);
    }
    assert_int_equal(read_all(2), MOTE_STORE_CHANGES_MAX);
}

/* A group of the ring's size and of one more, published or discarded: nobody is handed a part of it. */
static void test_large_groups(void **state)
{
    (void)state;
    stage(10);
    mote_changes_publish(&changes);
    uint64_t number = mote_changes_number(&changes);
    stage(MOTE_STORE_CHANGES_MAX);
    assert_int_equal(read_all(number), 0);
    mote_changes_discard(&changes);
    assert_int_equal(mote_changes_number(&changes), number);
    assert_int_equal(read_all(number), 0);
    assert_int_equal(read_all(number - 1), MOTE_ENOTFOUND); /* it was pushed out */
    stage(MOTE_STORE_CHANGES_MAX + 1);
    assert_int_equal(read_all(number), 0);
    mote_changes_discard(&changes);
    assert_int_equal(read_all(number), 0);
    stage(1);
    mote_changes_publish(&changes);
    assert_int_equal(mote_changes_number(&changes), number + 1);
    assert_int_equal(read_all(number), 1);
    stage(MOTE_STORE_CHANGES_MAX);
    mote_changes_publish(&changes);
    assert_int_equal(read_all(number + 1), MOTE_STORE_CHANGES_MAX);
    assert_int_equal(read_all(number), MOTE_ENOTFOUND);
    stage(MOTE_STORE_CHANGES_MAX + 1);
    mote_changes_publish(&changes);
    assert_int_equal(read_all(number + 1 + MOTE_STORE_CHANGES_MAX), MOTE_ENOTFOUND);
    assert_int_equal(read_all(number + 2 + MOTE_STORE_CHANGES_MAX), MOTE_STORE_CHANGES_MAX);
}

enum { FOLLOWED = 10000, LAG_MAX = 1000 };

static _Atomic int64_t seen; /* -1: the reader met an error */

static void *follow(void *context)
{
    uint64_t position = 1;
    struct mote_store_change out[7];
    (void)context;
    while (seen >= 0 && seen < FOLLOWED) {
        size_t count = 0;
        if (mote_changes_read(&changes, &position, out, 7, &count) != 0) {
            seen = -1;
        }
        for (size_t i = 0; i < count; i++) {
            seen = out[i].time == seen ? seen + 1 : -1;
        }
    }
    return NULL;
}

/* Another thread reads along and misses nothing. */
static void test_concurrent_reader(void **state)
{
    (void)state;
    pthread_t thread;
    seen = 0;
    assert_int_equal(pthread_create(&thread, NULL, follow, NULL), 0);
    for (int64_t i = 0; i < FOLLOWED; i++) {
        mote_changes_stage(&changes, &(struct mote_store_change){.kind = MOTE_STORE_CHANGE_USER_CREATED, .time = i});
        mote_changes_publish(&changes);
        while (seen >= 0 && i - seen > LAG_MAX) {
            sched_yield();
        }
    }
    pthread_join(thread, NULL);
    assert_int_equal(seen, FOLLOWED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_begin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_staged_is_not_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_concurrent_reader, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
