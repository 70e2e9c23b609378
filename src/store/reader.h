/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's reading side: one connection and the read transaction of the present loop turn. Never allocates after it
 * has been opened, but for what SQLite needs. Used by one thread.
 */
#ifndef MOTE_STORE_READER_H
#define MOTE_STORE_READER_H

#include "store/changes.h"
#include "store/database.h"

struct mote_reader {
    struct mote_sqlite sqlite;
    const struct mote_database *database;
    unsigned generation; /* of the database when this was opened */
    const struct mote_changes *changes;
    bool in_turn;     /* a read transaction is open */
    bool is_doubtful; /* after an error: opened anew before the next read */
    uint32_t looked;  /* rows read for lists in this turn, counted by reader_list.c */
    uint64_t number;  /* of the last commit that the open transaction sees at least */
};

/* Borrows `database` and `changes` until close. MOTE_EIO when there is another file in the database's place. */
MOTE_MUST_CHECK int mote_reader_open(struct mote_reader *reader, const struct mote_database *database,
                                     const struct mote_changes *changes);
void mote_reader_close(struct mote_reader *reader);
void mote_reader_end_turn(struct mote_reader *reader);

/* Before and after the statements of a read. The second returns `result`; after an error nothing that the connection
 * holds is trusted any more. */
MOTE_MUST_CHECK int mote_reader_begin_read(struct mote_reader *reader);
MOTE_MUST_CHECK int mote_reader_end_read(struct mote_reader *reader, int result);

/* As the functions of the same name in store.h, with the result returned instead of `done` called. */
MOTE_MUST_CHECK int mote_reader_get_user(struct mote_reader *reader, struct mote_store_get_user *read);
MOTE_MUST_CHECK int mote_reader_get_session(struct mote_reader *reader, struct mote_store_get_session *read);
MOTE_MUST_CHECK int mote_reader_list_sessions(struct mote_reader *reader, struct mote_store_list_sessions *read);
MOTE_MUST_CHECK int mote_reader_find_refresh(struct mote_reader *reader, struct mote_store_find_refresh *read);
MOTE_MUST_CHECK int mote_reader_find_request(struct mote_reader *reader, struct mote_store_find_request *read);

struct mote_reader_revocations {
    int64_t since;
    uint64_t position; /* the answer */
    void (*each)(void *context, const struct mote_store_change *change);
    void *context;
};

MOTE_MUST_CHECK int mote_reader_load_revocations(struct mote_reader *reader, struct mote_reader_revocations *read);

#endif
