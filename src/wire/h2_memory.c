/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator that nghttp2 gets. When memory runs out while nghttp2 sends, it may free a DATA item and leave a
 * pointer to it in its stream (1.52 and 1.64: nghttp2_submit_data after a failed push to the queue), so that deleting
 * the session frees it again. Therefore what is freed after such a failure, until nghttp2 returns, is kept until its
 * session is deleted, and the second release is skipped. The connection is killed at once, so this is a few blocks;
 * more than fit are lost.
 *
 * What it releases is wiped where it may be a string of a header: `authorization` was in one. That is everything but
 * what a server releases while it sends, which is the books of streams and frames.
 */
#include "wire/h2_internal.h"

static bool is_held(const struct mote_h2_context *context, const void *pointer)
{
    for (size_t i = 0; i < context->held_count; i++) {
        if (context->held[i].pointer == pointer) {
            return true;
        }
    }
    return false;
}

static void hold_or_skip(struct mote_h2_context *context, void *pointer)
{
    if (pointer == NULL || is_held(context, pointer)) {
        return;
    }
    if (!context->starved) {
        mote_mem_release_wiped(context->mem, pointer);
    } else if (context->held_count < MOTE_H2_HELD_MAX) {
        context->held[context->held_count].h2 = context->sending;
        context->held[context->held_count].pointer = pointer;
        context->held_count++;
    }
}

/* A failure is remembered only while sending. */
static void *failed(struct mote_h2_context *context)
{
    if (context->sending != NULL) {
        context->starved = true;
        context->holds = true;
        context->releases_plainly = false;
    }
    return NULL;
}

static void *adapter_malloc(size_t size, void *user_data)
{
    struct mote_h2_context *context = user_data;
    void *pointer = context->mem->allocate(context->mem->context, size);
    return pointer != NULL ? pointer : failed(context);
}

static void adapter_free(void *pointer, void *user_data)
{
    struct mote_h2_context *context = user_data;
    if (context->releases_plainly) {
        context->mem->release(context->mem->context, pointer);
    } else if (context->holds) {
        hold_or_skip(context, pointer);
    } else {
        mote_mem_release_wiped(context->mem, pointer);
    }
}

static void *adapter_calloc(size_t count, size_t size, void *user_data)
{
    struct mote_h2_context *context = user_data;
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    void *pointer = mote_mem_allocate_zeroed(context->mem, count * size);
    return pointer != NULL ? pointer : failed(context);
}

static void *adapter_realloc(void *pointer, size_t size, void *user_data)
{
    struct mote_h2_context *context = user_data;
    void *moved = mote_mem_reallocate(context->mem, pointer, size);
    return moved != NULL ? moved : failed(context);
}

void mote_h2_memory_init(struct mote_h2_context *context)
{
    context->nghttp2_mem = (nghttp2_mem){context, adapter_malloc, adapter_free, adapter_calloc, adapter_realloc};
}

void mote_h2_memory_begin_send(struct mote_h2 *h2)
{
    h2->context->sending = h2;
    h2->context->releases_plainly = h2->role == MOTE_ROLE_SERVER && !h2->context->holds;
}

bool mote_h2_memory_end_send(struct mote_h2 *h2)
{
    struct mote_h2_context *context = h2->context;
    const bool starved = context->starved;
    context->sending = NULL;
    context->releases_plainly = false;
    if (starved) {
        context->starved = false;
        context->holds = context->held_count != 0;
    }
    return !starved;
}

void mote_h2_memory_release_held(struct mote_h2 *h2)
{
    struct mote_h2_context *context = h2->context;
    size_t kept = 0;
    for (size_t i = 0; i < context->held_count; i++) {
        if (context->held[i].h2 == h2) {
            mote_mem_release_wiped(context->mem, context->held[i].pointer);
        } else {
            context->held[kept++] = context->held[i];
        }
    }
    context->held_count = kept;
    context->holds = kept != 0;
}
