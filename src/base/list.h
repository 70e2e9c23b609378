/* SPDX-License-Identifier: Apache-2.0 */
/* An intrusive doubly linked list: a head and nodes of one type, the head pointing at itself when empty. */
#ifndef MOTE_BASE_LIST_H
#define MOTE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "linkage.h"

MOTE_C_BEGIN

struct mote_list {
    struct mote_list *next;
    struct mote_list *previous;
};

/* The struct of type `type` whose member `member` is at `pointer`; the member's type is checked. */
#define MOTE_CONTAINER_OF(pointer, type, member)                                                                       \
    ((type *)(void *)((char *)(1 ? (pointer) : &((type *)0)->member) - offsetof(type, member)))

#define MOTE_LIST_FOR_EACH(node, head) for (struct mote_list *node = (head)->next; node != (head); node = node->next)
/* The body may remove `node`. */
#define MOTE_LIST_FOR_EACH_SAFE(node, following, head)                                                                 \
    for (struct mote_list *node = (head)->next, *following = node->next; node != (head);                               \
         node = following, following = node->next)

static inline void mote_list_init(struct mote_list *list)
{
    list->next = list;
    list->previous = list;
}

static inline bool mote_list_is_empty(const struct mote_list *list)
{
    return list->next == list;
}

static inline void mote_list_append(struct mote_list *head, struct mote_list *node)
{
    node->previous = head->previous;
    node->next = head;
    head->previous->next = node;
    head->previous = node;
}

/* Leaves the node as an empty list of its own, so that removing twice is harmless. */
static inline void mote_list_remove(struct mote_list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    mote_list_init(node);
}

MOTE_C_END

#endif
