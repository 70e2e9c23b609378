/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of a listing. Its rows are encoded as the store hands them out (200 users as structs would be 140 KB) and
 * copied into the reply by its callback; its token says where the next page begins. On the call's worker.
 */
#ifndef MOTE_SERVICES_PAGE_H
#define MOTE_SERVICES_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"
#include "codec/codec.h"
#include "rpc/call.h"
#include "services/page_token.h"

struct pb_ostream_s; /* nanopb's, as a callback gets them */
struct pb_field_iter_s;

/* Why a token is refused that is none, or another request's. */
#define MOTE_PAGE_TOKEN_FOREIGN "is not one of this request"

struct mote_page {
    struct mote_call *call;  /* set by the author */
    const char *scope;       /* what a token is bound to: the method and all that chooses its rows; by the author */
    struct mote_buffer rows; /* each: its length (2 bytes, big endian), the encoded element */
    int result;              /* of adding a row */
};

/* Keeps the call until mote_page_finish. `rows_max`: what a page of the longest rows takes, in bytes. */
void mote_page_open(struct mote_page *page, size_t rows_max);

/* A row more. A failure is kept for mote_page_finish, and later rows are not looked at. */
void mote_page_add(struct mote_page *page, const struct mote_message_type *type, const void *message);

/* The encode callback of the reply's repeated field; its argument is the page. */
bool mote_page_encode(struct pb_ostream_s *stream, const struct pb_field_iter_s *field, void *const *arg);

/* What ends the store's work: `reply`, or the answer to `result`, to a row's failure or to reply's own. */
void mote_page_finish(struct mote_page *page, int result, int (*reply)(struct mote_page *page));

/* The token of the next page; `out` takes MOTE_PAGE_TOKEN_MAX characters and a NUL. What mote_page_token_make returns.
 */
MOTE_MUST_CHECK int mote_page_write_token(const struct mote_page *page, char *out, struct mote_slice cursor);

/* The cursor in the request's token: up to MOTE_PAGE_CURSOR_MAX bytes, none for the first page. The reason why the
 * token is refused, or NULL. */
const char *mote_page_read_token(const struct mote_page *page, const char *token, uint8_t *cursor, size_t *length);

#endif
