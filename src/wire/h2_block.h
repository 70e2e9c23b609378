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

#define MOTE_H2_OVERRIDES_MAX 4u

struct mote_h2;

/* Where an entry's value is: a known field, MOTE_FIELD_OTHER + index of the metadata, or nowhere. */
#define MOTE_H2_SLOT_NONE UINT16_MAX

struct mote_h2_entry {
    nghttp2_rcbuf *name; /* NULL in a derived block, and behind the last entry of a template */
    nghttp2_rcbuf *value;
    uint32_t length; /* of the value */
    uint16_t slot;
    uint16_t index; /* its own; derived: of the template's entry whose value this replaces */
};

/* A header block received, h2_block.c. Counted references. */
struct mote_h2_block {
    struct mote_fields fields;
    struct mote_mem *mem;       /* NULL: it lives in its stream */
    struct mote_h2_block *base; /* the template it is derived from, or NULL */
    struct mote_h2_entry *entries;
    struct mote_field *others;
    uint32_t refs;
    uint16_t entry_count;
    uint16_t entry_capacity;
    uint16_t other_capacity;
    bool entries_apart; /* they have outgrown the room behind the block */
    bool others_apart;
};

/* A block derived from a template: every stream has room for one. */
struct mote_h2_derived {
    struct mote_h2_block block;
    struct mote_h2_entry entries[MOTE_H2_OVERRIDES_MAX];
};

enum mote_h2_block_kind {
    MOTE_H2_BLOCK_HEADERS,
    MOTE_H2_BLOCK_TRAILERS,
    MOTE_H2_BLOCK_DISCARDED, /* counted only */
};

/* The header block being received. */
struct mote_h2_builder {
    const struct mote_h2_entry *next; /* what is expected next; one without a name where nothing is */
    struct mote_h2_block *template;   /* NULL: none, or the block has left it */
    struct mote_h2_block *block;      /* derived from the template, or standing alone */
    struct mote_h2_derived *room;     /* for a block to be derived; NULL: there is none */
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
    if (next->name != name || next->value != value) {
        return false;
    }
    builder->next = next + 1;
    return true;
}

/* Before the first field ever. */
void mote_h2_block_init(struct mote_h2_builder *builder);
/* `room` is borrowed until the block is released; NULL is fine. */
void mote_h2_block_begin(struct mote_h2 *h2, enum mote_h2_block_kind kind, struct mote_h2_derived *room);
/* Adds a field that did not match. False when the connection was killed. Kept out of line, so that the way of a field
 * that matches has no frame to set up. */
__attribute__((noinline)) bool mote_h2_block_differ(struct mote_h2 *h2, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                                                    bool sensitive);
/* The block that was received, owned; NULL when the connection was killed. */
struct mote_h2_block *mote_h2_block_finish(struct mote_h2 *h2);
/* The room goes, perhaps in the middle of a block that uses it. */
void mote_h2_block_leave_room(struct mote_h2 *h2, const struct mote_h2_derived *room);
/* NULL is fine. */
void mote_h2_block_unref(struct mote_h2_block *block);
/* Forgets the templates and what is being received. */
void mote_h2_block_clear(struct mote_h2 *h2);

#endif
