/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header blocks received. Values are not copied: a block holds references to nghttp2's reference-counted strings.
 *
 * Calls of one client have nearly the same header block again and again, and HPACK gives the same strings for it. So a
 * connection remembers its last whole block as a template and compares pointers, which is all that most fields of most
 * calls cost:
 *   - a block in which every field is the template's is the template (a reference);
 *   - up to MOTE_H2_OVERRIDES_MAX other values (the path, the deadline, a content-length) make a block derived from it,
 *     which lies in the stream and holds the template and these values;
 *   - anything else makes a block of its own, and that is the next template.
 * Pointers that are equal are equal strings, because the template keeps its strings alive. A block over a limit, or
 * with a field the client marked as sensitive (RFC 7541 §7.1.3), never becomes a template; nor does any of a client
 * that does without HPACK's table.
 *
 * Entries and metadata of a block that stands alone lie behind it. While it grows there is room for most; as a template
 * it lasts as long as its connection, and is made as small as it can be.
 */
#include <string.h>

#include "wire/h2_internal.h"

/* While a block grows: room for so many entries and metadata fields behind it. */
#define ENTRIES_INLINE 16u
#define OTHERS_INLINE  4u

static const struct mote_h2_entry nothing = {.name = NULL};

static struct mote_slice slice_of(nghttp2_rcbuf *rcbuf)
{
    const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(rcbuf);
    return mote_slice(bytes.base, bytes.len);
}

/* With room for so many behind it; its fields are not set. */
static struct mote_h2_block *allocate_block(struct mote_mem *mem, size_t entries, size_t others)
{
    struct mote_h2_block *block =
        mote_mem_allocate(mem, sizeof *block + entries * sizeof *block->entries + others * sizeof *block->others);
    if (block == NULL) {
        return NULL;
    }
    block->mem = mem;
    block->base = NULL;
    block->entries = (struct mote_h2_entry *)(block + 1);
    block->others = (struct mote_field *)(block->entries + entries);
    block->refs = 1;
    block->entry_count = 0;
    block->entry_capacity = (uint16_t)entries;
    block->other_capacity = (uint16_t)others;
    block->entries_apart = false;
    block->others_apart = false;
    return block;
}

static struct mote_h2_block *block_new(struct mote_h2 *h2)
{
    struct mote_h2_block *block = allocate_block(h2->context->mem, ENTRIES_INLINE, OTHERS_INLINE);
    if (block != NULL) {
        block->fields = (struct mote_fields){.others = block->others};
    }
    return block;
}

/* Everything but the strings. */
static void release_block(struct mote_h2_block *block)
{
    if (block->entries_apart) {
        mote_mem_release(block->mem, block->entries);
    }
    if (block->others_apart) {
        mote_mem_release(block->mem, block->others);
    }
    mote_mem_release(block->mem, block);
}

void mote_h2_block_unref(struct mote_h2_block *block)
{
    if (block == NULL || --block->refs != 0) {
        return;
    }
    struct mote_h2_block *base = block->base;
    for (size_t i = 0; i < block->entry_count; i++) {
        if (base == NULL) {
            nghttp2_rcbuf_decref(block->entries[i].name);
        }
        nghttp2_rcbuf_decref(block->entries[i].value);
    }
    if (base != NULL) {
        mote_h2_block_unref(base);
    } else {
        release_block(block);
    }
}

/* Doubles an array; false when memory runs out. */
static bool grow(struct mote_h2_block *block, void **array, bool *apart, uint16_t *capacity, size_t element_size)
{
    if (*capacity > UINT16_MAX / 2) {
        return false;
    }
    void *larger = mote_mem_allocate(block->mem, 2 * *capacity * element_size);
    if (larger == NULL) {
        return false;
    }
    memcpy(larger, *array, *capacity * element_size);
    if (*apart) {
        mote_mem_release(block->mem, *array);
    }
    *array = larger;
    *apart = true;
    *capacity = (uint16_t)(2 * *capacity);
    return true;
}

/* The next entry, its strings held; NULL when memory runs out. */
static struct mote_h2_entry *add_entry(struct mote_h2_block *block, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    if (block->entry_count == block->entry_capacity) {
        void *array = block->entries;
        if (!grow(block, &array, &block->entries_apart, &block->entry_capacity, sizeof *block->entries)) {
            return NULL;
        }
        block->entries = array;
    }
    struct mote_h2_entry *entry = &block->entries[block->entry_count];
    *entry = (struct mote_h2_entry){
        .name = name,
        .value = value,
        .length = (uint32_t)nghttp2_rcbuf_get_buf(value).len,
        .slot = MOTE_H2_SLOT_NONE,
        .index = block->entry_count++,
    };
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    return entry;
}

static bool add_other(struct mote_h2_block *block, struct mote_slice name, struct mote_slice value)
{
    struct mote_fields *fields = &block->fields;
    if (fields->other_count == block->other_capacity) {
        void *array = block->others;
        if (!grow(block, &array, &block->others_apart, &block->other_capacity, sizeof *block->others)) {
            return false;
        }
        block->others = array;
        fields->others = array;
    }
    block->others[fields->other_count++] = (struct mote_field){.name = name, .value = value};
    return true;
}

/* Adds a field to a block that stands alone; false when memory runs out. */
static bool add_field(struct mote_h2_block *block, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    struct mote_fields *fields = &block->fields;
    struct mote_h2_entry *entry = add_entry(block, name, value);
    if (entry == NULL) {
        return false;
    }
    const struct mote_slice name_slice = slice_of(name);
    const enum mote_field_id id = mote_fields_identify(name_slice);
    if (id != MOTE_FIELD_OTHER) {
        if (fields->known[id].data != NULL) {
            fields->repeated |= (uint32_t)1 << id;
            return true;
        }
        fields->known[id] = slice_of(value);
        entry->slot = (uint16_t)id;
        return true;
    }
    if (mote_fields_is_reserved(name_slice)) {
        return true;
    }
    entry->slot = (uint16_t)(MOTE_FIELD_OTHER + fields->other_count);
    return add_other(block, name_slice, slice_of(value));
}

/* Counts a field against the limits; true when it is to be kept. */
static bool count_field(struct mote_h2 *h2, size_t length)
{
    struct mote_h2_builder *builder = &h2->builder;
    const struct mote_limits *limits = h2->context->limits;
    builder->size += length + 32;
    builder->count++;
    if (builder->size <= limits->metadata_size_soft && builder->count <= limits->metadata_count_soft) {
        return true;
    }
    if (builder->overflow == MOTE_FIELDS_FIT) {
        builder->overflow = MOTE_FIELDS_OVER_SOFT;
    }
    if (builder->size > limits->metadata_size_hard || builder->count > limits->metadata_count_hard) {
        builder->overflow = MOTE_FIELDS_OVER_HARD;
    }
    if (builder->size > limits->metadata_size_kill || builder->count > limits->metadata_count_kill) {
        mote_h2_kill(h2, MOTE_ELIMIT, MOTE_H2_ENHANCE_YOUR_CALM, "header block too large");
    }
    return false;
}

static bool out_of_memory(struct mote_h2 *h2)
{
    mote_h2_kill(h2, MOTE_ENOMEM, MOTE_H2_INTERNAL_ERROR, "out of memory");
    return false;
}

/* A field of a block that stands alone. */
static bool append(struct mote_h2 *h2, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    struct mote_h2_builder *builder = &h2->builder;
    const size_t length = nghttp2_rcbuf_get_buf(name).len + nghttp2_rcbuf_get_buf(value).len;
    if (!count_field(h2, length) || builder->discards) {
        return !h2->killed;
    }
    return add_field(builder->block, name, value) || out_of_memory(h2);
}

/* What the template said so far was said of this block too, but now it differs: makes it a block of its own. */
static bool leave_template(struct mote_h2 *h2)
{
    struct mote_h2_builder *builder = &h2->builder;
    struct mote_h2_block *derived = builder->block;
    const struct mote_h2_block *template = builder->template;
    const size_t matched = (size_t)(builder->next - template->entries);
    size_t override = 0;
    builder->template = NULL;
    builder->next = &nothing;
    builder->block = block_new(h2);
    bool good = builder->block != NULL || out_of_memory(h2);
    for (size_t i = 0; i < matched && good; i++) {
        nghttp2_rcbuf *value = template->entries[i].value;
        if (derived != NULL && override < derived->entry_count && derived->entries[override].index == i) {
            value = derived->entries[override++].value;
        }
        good = append(h2, template->entries[i].name, value);
    }
    mote_h2_block_unref(derived);
    return good;
}

/* A block that is the template but for values to come. */
static struct mote_h2_block *derive(struct mote_h2_derived *room, struct mote_h2_block *template)
{
    struct mote_h2_block *block = &room->block;
    block->fields = template->fields;
    block->mem = NULL;
    block->base = template;
    block->entries = room->entries;
    block->refs = 1;
    block->entry_count = 0;
    template->refs++;
    return block;
}

/* Another value for a field of the template that is known, or that nobody is told of; false when that cannot be. */
static bool override(struct mote_h2 *h2, nghttp2_rcbuf *value)
{
    struct mote_h2_builder *builder = &h2->builder;
    const struct mote_h2_entry *old = builder->next;
    struct mote_h2_block *block = builder->block;
    const bool known = old->slot < MOTE_FIELD_OTHER;
    if ((!known && old->slot != MOTE_H2_SLOT_NONE) || builder->room == NULL) {
        return false;
    }
    if (block == NULL) {
        block = derive(builder->room, builder->template);
        builder->block = block;
    } else if (block->entry_count == MOTE_H2_OVERRIDES_MAX) {
        return false;
    }
    const struct mote_slice now = slice_of(value);
    const size_t size = block->fields.list_size - old->length + now.length;
    if (size > h2->context->limits->metadata_size_soft) {
        return false;
    }
    struct mote_h2_entry *entry = &block->entries[block->entry_count++];
    entry->value = value;
    entry->index = old->index;
    if (known) {
        block->fields.known[old->slot] = now;
    }
    block->fields.list_size = size;
    builder->next = old + 1;
    nghttp2_rcbuf_incref(value);
    return true;
}

void mote_h2_block_init(struct mote_h2_builder *builder)
{
    *builder = (struct mote_h2_builder){.next = &nothing, .discards = true};
}

void mote_h2_block_begin(struct mote_h2 *h2, enum mote_h2_block_kind kind, struct mote_h2_derived *room)
{
    struct mote_h2_builder *builder = &h2->builder;
    if (builder->block != NULL) { /* of a block that broke off */
        mote_h2_block_unref(builder->block);
    }
    *builder = (struct mote_h2_builder){
        .next = &nothing,
        .room = room,
        .kind = kind,
        .discards = kind == MOTE_H2_BLOCK_DISCARDED,
    };
    if (!builder->discards && h2->templates[kind] != NULL) {
        builder->template = h2->templates[kind];
        builder->next = builder->template->entries;
    }
}

void mote_h2_block_leave_room(struct mote_h2 *h2, const struct mote_h2_derived *room)
{
    struct mote_h2_builder *builder = &h2->builder;
    if (builder->room != room) {
        return;
    }
    mote_h2_block_unref(builder->block);
    builder->next = &nothing;
    builder->template = NULL;
    builder->block = NULL;
    builder->room = NULL;
    builder->discards = true;
}

bool mote_h2_block_differ(struct mote_h2 *h2, nghttp2_rcbuf *name, nghttp2_rcbuf *value, bool sensitive)
{
    struct mote_h2_builder *builder = &h2->builder;
    if (builder->template != NULL) {
        if (builder->next->name == name && override(h2, value)) {
            return true;
        }
        if (!leave_template(h2)) {
            return false;
        }
    } else if (builder->block == NULL && !builder->discards) {
        builder->block = block_new(h2);
        if (builder->block == NULL) {
            return out_of_memory(h2);
        }
    }
    builder->sensitive |= sensitive;
    return append(h2, name, value);
}

/* The block as it is kept, with an entry without a name behind the last; it takes the block's reference. NULL when
 * memory runs out: the block then stays as it is, and is no template. */
static struct mote_h2_block *compact(struct mote_h2_block *block)
{
    const size_t others = block->fields.other_count;
    struct mote_h2_block *small = allocate_block(block->mem, block->entry_count + 1u, others);
    if (small == NULL) {
        return NULL;
    }
    memcpy(small->entries, block->entries, block->entry_count * sizeof *block->entries);
    small->entries[block->entry_count] = nothing;
    small->entry_count = block->entry_count;
    if (others != 0) {
        memcpy(small->others, block->others, others * sizeof *block->others);
    }
    small->fields = block->fields;
    small->fields.others = small->others;
    release_block(block);
    return small;
}

/* The same strings come again only from HPACK's table: for a client that puts nothing into it, none need be kept. */
static bool can_be_template(const struct mote_h2 *h2)
{
    return h2->builder.overflow == MOTE_FIELDS_FIT && !h2->builder.sensitive &&
           nghttp2_session_get_hd_inflate_dynamic_table_size(h2->session) != 0;
}

/* A block that stands alone is complete. */
static struct mote_h2_block *finish_alone(struct mote_h2 *h2)
{
    struct mote_h2_builder *builder = &h2->builder;
    struct mote_h2_block *block = builder->block != NULL ? builder->block : block_new(h2);
    builder->block = NULL;
    if (block == NULL) {
        (void)out_of_memory(h2);
        return NULL;
    }
    block->fields.list_size = builder->size;
    block->fields.overflow = builder->overflow;
    if (can_be_template(h2)) {
        struct mote_h2_block *template = compact(block);
        if (template != NULL) {
            mote_h2_block_unref(h2->templates[builder->kind]);
            h2->templates[builder->kind] = template;
            template->refs++;
            block = template;
        }
    }
    return block;
}

struct mote_h2_block *mote_h2_block_finish(struct mote_h2 *h2)
{
    struct mote_h2_builder *builder = &h2->builder;
    if (builder->template == NULL || builder->next->name != NULL) {
        return builder->template != NULL && !leave_template(h2) ? NULL : finish_alone(h2);
    }
    struct mote_h2_block *block = builder->block;
    if (block == NULL) {
        block = builder->template;
        block->refs++;
    }
    builder->block = NULL;
    return block;
}

void mote_h2_block_clear(struct mote_h2 *h2)
{
    mote_h2_block_unref(h2->builder.block);
    mote_h2_block_init(&h2->builder);
    for (size_t i = 0; i < sizeof h2->templates / sizeof h2->templates[0]; i++) {
        mote_h2_block_unref(h2->templates[i]);
        h2->templates[i] = NULL;
    }
}
