/* SPDX-License-Identifier: Apache-2.0 */
/* What each kind of write does to the tables, inside the transaction that the writer has begun. */
#ifndef MOTE_STORE_APPLY_H
#define MOTE_STORE_APPLY_H

#include "store/changes.h"
#include "store/sqlite.h"

/*
 * Returns the write's own result, having changed nothing unless it is 0: 0, MOTE_ENOTFOUND, MOTE_EEXISTS or
 * MOTE_ECONFLICT. Any other error may have left a half: the whole transaction must be rolled back. Changes are staged.
 */
MOTE_MUST_CHECK int mote_apply(struct mote_sqlite *sqlite, struct mote_changes *changes,
                               struct mote_store_write *write);
/* True for the results that belong to one write and leave the transaction as it was. */
bool mote_apply_is_own_result(int result);

/* Deletes up to `limit` rows of what has been over for long, sessions and old changes of users among them; *deleted
 * tells how many. */
MOTE_MUST_CHECK int mote_apply_upkeep(struct mote_sqlite *sqlite, int64_t now, unsigned limit, unsigned *deleted);

#endif
