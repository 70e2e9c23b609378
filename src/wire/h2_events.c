/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of events of a connection: a list of nodes. The nodes of a unary call live in its stream (HEADERS, the
 * first DATA, CLOSED), so that it allocates none, and that CLOSED can always be queued; the others come from the
 * context.
 */
#include "base/assert.h"
#include "wire/h2_internal.h"

static void push(struct mote_h2 *h2, struct mote_h2_node *node)
{
    node->next = NULL;
    node->queued = true;
    if (h2->last != NULL) {
        h2->last->next = node;
    } else {
        h2->first = node;
    }
    h2->last = node;
    h2->event_count++;
}

static struct mote_h2_node *pop(struct mote_h2 *h2)
{
    struct mote_h2_node *node = h2->first;
    h2->first = node->next;
    if (h2->first == NULL) {
        h2->last = NULL;
    }
    node->queued = false;
    h2->event_count--;
    return node;
}

static struct mote_h2_node *allocate_node(struct mote_h2_context *context)
{
    struct mote_h2_node *node = context->free_nodes;
    if (node != NULL) {
        context->free_nodes = node->next;
        context->free_node_count--;
    } else {
        node = mote_mem_allocate(context->mem, sizeof *node);
        if (node == NULL) {
            return NULL;
        }
    }
    node->embedded = false;
    return node;
}

static void release_node(struct mote_h2_context *context, struct mote_h2_node *node)
{
    if (node->embedded) {
        return;
    }
    if (context->free_node_count >= MOTE_H2_NODES_KEPT) {
        mote_mem_release(context->mem, node);
        return;
    }
    node->next = context->free_nodes;
    context->free_nodes = node;
    context->free_node_count++;
}

void mote_h2_events_free_nodes(struct mote_h2_context *context)
{
    while (context->free_nodes != NULL) {
        struct mote_h2_node *node = context->free_nodes;
        context->free_nodes = node->next;
        mote_mem_release(context->mem, node);
    }
    context->free_node_count = 0;
}

struct mote_event *mote_h2_events_append(struct mote_h2 *h2, struct mote_h2_stream *stream, enum mote_event_type type)
{
    struct mote_h2_node *node = NULL;
    if (stream != NULL && type == MOTE_EVENT_HEADERS && !stream->headers_node.queued) {
        node = &stream->headers_node;
    } else if (stream != NULL && type != MOTE_EVENT_HEADERS && !stream->data_node.queued) {
        node = &stream->data_node;
    } else if (h2->event_count >= MOTE_H2_EVENTS_MAX) {
        mote_h2_kill(h2, MOTE_ELIMIT, MOTE_H2_ENHANCE_YOUR_CALM, "too many events");
        return NULL;
    } else {
        node = allocate_node(h2->context);
        if (node == NULL) {
            mote_h2_kill(h2, MOTE_ENOMEM, MOTE_H2_INTERNAL_ERROR, "out of memory");
            return NULL;
        }
    }
    node->event.type = type;
    node->event.end_stream = false;
    node->event.by_peer = false;
    node->event.stream = stream != NULL ? &stream->public : NULL;
    if (type == MOTE_EVENT_HEADERS || type == MOTE_EVENT_TRAILERS || type == MOTE_EVENT_DATA) {
        stream->last_node = node;
    }
    push(h2, node);
    return &node->event;
}

void mote_h2_events_append_closed(struct mote_h2 *h2, struct mote_h2_stream *stream, uint32_t error, bool by_peer)
{
    struct mote_h2_node *node = &stream->closed_node;
    mote_assert(!node->queued);
    node->event = (struct mote_event){
        .type = MOTE_EVENT_CLOSED,
        .by_peer = by_peer,
        .stream = &stream->public,
        .u.end.error = error,
    };
    push(h2, node);
}

void mote_h2_events_clear(struct mote_h2 *h2)
{
    while (h2->first != NULL) {
        release_node(h2->context, pop(h2));
    }
}

/* After mote_h2_reset nothing but CLOSED is of interest. */
static bool is_wanted(const struct mote_event *event)
{
    return event->stream == NULL || event->type == MOTE_EVENT_CLOSED || !mote_h2_stream_of(event->stream)->reset;
}

bool mote_h2_next_event(struct mote_h2 *h2, struct mote_event *event)
{
    if (h2->taken != NULL) {
        mote_h2_stream_free(h2->taken);
        h2->taken = NULL;
    }
    while (h2->first != NULL) {
        struct mote_h2_node *node = pop(h2);
        const bool wanted = is_wanted(&node->event);
        *event = node->event;
        if (event->stream != NULL) {
            struct mote_h2_stream *stream = mote_h2_stream_of(event->stream);
            if (stream->last_node == node) {
                stream->last_node = NULL;
            }
            if (event->type == MOTE_EVENT_CLOSED) {
                h2->taken = stream;
            }
        }
        release_node(h2->context, node);
        if (wanted) {
            return true;
        }
    }
    return false;
}
