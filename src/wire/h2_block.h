/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header blocks received, as the connection builds and the streams hold them; h2_block.c says how. Part of the HTTP/2
 * connection (h2_internal.h): nobody else includes it.
 */
#ifndef MOTE_WIRE_H2_BLOCK_H
#define MOTE_WIRE_H2_BLOCK_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "wire/fields.h"

#define MOTE_H2_OTHERS_INLINE  4u
#define MOTE_H2_ENTRIES_INLINE 16u
#define MOTE_H2_OVERRIDES_MAX  4u

struct mote_h2;

/* Where an entry's value is: a known field, MOTE_FIELD_OTHER + index of the metadata, or nowhere. */
#define MOTE_H2_SLOT_NONE UINT16_MAX

struct mote_h2_entry {
    nghttp2_rcbuf *name; /* NULL in a derived block */
    nghttp2_rcbuf *value;
    size_t index; /* derived: of the template's entry whose value this replaces */
    uint16_t slot;
};

/* A header block received, h2_block.c. Counted references. Members up to `inline_entries` start as zero. */
struct mote_h2_block {
    struct mote_fields fields;
    size_t refs;
    struct mote_mem *mem;
    struct mote_h2_block *base; /* the template it is derived from, or NULL */
    struct mote_h2_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    struct mote_field *others;
    size_t other_capacity;
    struct mote_h2_entry inline_entries[MOTE_H2_ENTRIES_INLINE];
    struct mote_field inline_others[MOTE_H2_OTHERS_INLINE];
};

enum mote_h2_block_kind {
    MOTE_H2_BLOCK_HEADERS,
    MOTE_H2_BLOCK_TRAILERS,
    MOTE_H2_BLOCK_DISCARDED, /* counted only */
};

/* The header block being received. */
struct mote_h2_builder {
    const struct mote_h2_entry *next; /* of the template: what is expected next; */
    const struct mote_h2_entry *end;  /* equal to `next` where there is no template, or no more */
    struct mote_h2_block *template;   /* NULL: none, or the block has left it */
    struct mote_h2_block *block;      /* derived from the template, or standing alone */
    size_t size;                      /* of a block that stands alone */
    size_t count;
    enum mote_h2_block_kind kind;
    enum mote_fields_overflow overflow;
    bool discards;
    bool sensitive;
};

/* True when the field is the one that the template has next: then it is taken. */
static inline bool mote_h2_block_matches(struct mote_h2_builder *builder, const nghttp2_rcbuf *name,
                                         const nghttp2_rcbuf *value)
{
    const struct mote_h2_entry *next = builder->next;
    if (next == builder->end || next->name != name || next->value != value) {
        return false;
    }
    builder->next = next + 1;
    return true;
}

void mote_h2_block_begin(struct mote_h2 *h2, enum mote_h2_block_kind kind);
/* Adds a field that did not match. False when the connection was killed. Kept out of line, so that the way of a field
 * that matches has no frame to set up. */
__attribute__((noinline)) bool mote_h2_block_differ(struct mote_h2 *h2, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                                                    bool sensitive);
/* The block that was received, owned; NULL when the connection was killed. */
struct mote_h2_block *mote_h2_block_finish(struct mote_h2 *h2);
/* NULL is fine. */
void mote_h2_block_unref(struct mote_h2_block *block);
/* Forgets the templates and what is being received. */
void mote_h2_block_clear(struct mote_h2 *h2);

#endif
