/* SPDX-License-Identifier: Apache-2.0 */
/* The intrusive list against an array: order, removal from every place, removal inside a loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

#define ITEMS 5

struct item {
    int number;
    struct mote_list node;
};

static void fill(struct mote_list *head, struct item items[ITEMS])
{
    mote_list_init(head);
    for (int i = 0; i < ITEMS; i++) {
        items[i].number = i;
        mote_list_append(head, &items[i].node);
    }
}

/* Both directions hold the same; returns how many. */
static int count_checked(const struct mote_list *head)
{
    int count = 0;
    for (const struct mote_list *node = head->next; node != head; node = node->next) {
        assert_ptr_equal(node->next->previous, node);
        assert_ptr_equal(node->previous->next, node);
        count++;
    }
    return count;
}

static void appends_behind(void **state)
{
    (void)state;
    struct mote_list head;
    struct item items[ITEMS];
    mote_list_init(&head);
    assert_true(mote_list_is_empty(&head));
    assert_int_equal(count_checked(&head), 0);
    fill(&head, items);
    assert_false(mote_list_is_empty(&head));
    assert_int_equal(count_checked(&head), ITEMS);
    int expected = 0;
    MOTE_LIST_FOR_EACH(node, &head)
    {
        assert_int_equal(MOTE_CONTAINER_OF(node, struct item, node)->number, expected++);
    }
}

static void removes_from_every_place_and_twice(void **state)
{
    (void)state;
    for (int removed = 0; removed < ITEMS; removed++) {
        struct mote_list head;
        struct item items[ITEMS];
        fill(&head, items);
        mote_list_remove(&items[removed].node);
        mote_list_remove(&items[removed].node);
        assert_true(mote_list_is_empty(&items[removed].node));
        assert_int_equal(count_checked(&head), ITEMS - 1);
        MOTE_LIST_FOR_EACH(node, &head)
        {
            assert_int_not_equal(MOTE_CONTAINER_OF(node, struct item, node)->number, removed);
        }
    }
}

static void the_safe_loop_allows_removal(void **state)
{
    (void)state;
    struct mote_list head;
    struct item items[ITEMS];
    fill(&head, items);
    int seen = 0;
    MOTE_LIST_FOR_EACH_SAFE(node, following, &head)
    {
        seen++;
        if (MOTE_CONTAINER_OF(node, struct item, node)->number % 2 == 0) {
            mote_list_remove(node);
        }
    }
    assert_int_equal(seen, ITEMS);
    assert_int_equal(count_checked(&head), ITEMS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_behind),
        cmocka_unit_test(removes_from_every_place_and_twice),
        cmocka_unit_test(the_safe_loop_allows_removal),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
