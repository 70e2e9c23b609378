/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings, bytes and Any messages of a request, kept in the call's arena, and nanopb callbacks that read and write
 * them.
 */
#ifndef MOTE_TESTS_SERVERS_CONFORMANCE_LIST_H
#define MOTE_TESTS_SERVERS_CONFORMANCE_LIST_H

#include <mote/rpc/call.h>
#include <pb.h>

struct item {
    struct item *next;
    struct mote_slice type_url; /* of an Any */
    struct mote_slice value;    /* with a NUL behind it */
};

struct list {
    struct mote_arena *arena;
    struct item *first, *last;
    size_t count;
};

/* Appends a copy of `value`; NULL: out of memory. */
struct item *list_append(struct list *list, struct mote_slice value);

/* Decode: `arg` is the list that a string or bytes, or an Any, are appended to. */
bool list_take_value(pb_istream_t *stream, const pb_field_t *field, void **arg);
bool list_take_any(pb_istream_t *stream, const pb_field_t *field, void **arg);
/* Encode: `arg` is a slice, of a string or bytes; or a list of Any messages. */
bool list_put_slice(pb_ostream_t *stream, const pb_field_t *field, void *const *arg);
bool list_put_anys(pb_ostream_t *stream, const pb_field_t *field, void *const *arg);

#endif
