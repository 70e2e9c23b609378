/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of users that is read a slice at a time. What it reads is one state of the store from beginning to end, so its
 * reader must not begin another transaction meanwhile.
 */
#ifndef MOTE_STORE_READER_LIST_H
#define MOTE_STORE_READER_LIST_H

#include "store/reader.h"

/* Behind every text that begins alike: no text is UTF-8 with this byte. */
#define MOTE_READER_TEXT_END "\xff"

/* What a term of a filter leaves, in the order of the statements that count and find it. */
enum mote_reader_range {
    MOTE_READER_RANGE_USERNAME,
    MOTE_READER_RANGE_EMAIL,
    MOTE_READER_RANGE_STATE,
    MOTE_READER_RANGE_TIME,
    MOTE_READER_RANGES,
};

/* A page under way. Parameters of its statement lie in it. */
struct mote_reader_list {
    struct mote_store_list_users *read;
    struct mote_store_position after;
    char text[MOTE_EMAIL_MAX + sizeof MOTE_READER_TEXT_END];
    sqlite3_stmt *statement;
    bool is_collecting;
    enum mote_reader_range range; /* collected from */
    unsigned part;                /* of it, the next */
    uint32_t rows;                /* walking: handed out */
    uint32_t looked;
    uint32_t count; /* collecting: the first of what comes behind the position, in order */
    struct mote_store_position first[MOTE_STORE_PAGE_MAX + 1]; /* one more than the page has room for */
};

/* Borrows `read` until the page is done. After an error there is nothing to continue. */
MOTE_MUST_CHECK int mote_reader_list_begin(struct mote_reader *reader, struct mote_reader_list *list,
                                           struct mote_store_list_users *read);
/* Reads so many rows more: 1 when something is left to do, 0 when the page is done, or an error that ended it. */
MOTE_MUST_CHECK int mote_reader_list_continue(struct mote_reader *reader, struct mote_reader_list *list, uint32_t rows);
/* Gives up what is under way; fine when nothing is. */
void mote_reader_list_end(struct mote_reader_list *list);

#endif
