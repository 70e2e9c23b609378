/* SPDX-License-Identifier: Apache-2.0 */
/* A consistent copy of an open database as one file: what backup, restore and the copy before a migration are made of.
 */
#ifndef MOTE_STORE_COPY_H
#define MOTE_STORE_COPY_H

#include <sqlite3.h>

#include "store/store.h"

struct mote_copy_progress {
    void (*move)(void *context, uint64_t done, uint64_t total); /* bytes; NULL: nobody wants to know */
    void *context;
};

/*
 * Writes what `source` sees at this moment, its log included, to the file `fresh`, which is made anew with mode 0600
 * (an old one of that name is removed), then reads it back, checks it and syncs it. On failure there is no such file.
 * `source` is in no transaction; others may write meanwhile. The results are those of mote_store_open.
 */
MOTE_MUST_CHECK int mote_copy_write(sqlite3 *source, const char *fresh, const struct mote_copy_progress *progress,
                                    char problem[MOTE_STORE_PROBLEM_MAX]);

/* Looks through the whole database: every page, every index. `each` (may be NULL) gets a line for each thing that is
 * wrong, at most 100. MOTE_ECORRUPT when there is any. */
MOTE_MUST_CHECK int mote_copy_check(sqlite3 *db, void (*each)(void *context, const char *finding), void *context);

/* Renames `fresh` to `path` in the same folder and syncs the folder. Without `replace` an existing file stays, and the
 * result is MOTE_EEXISTS. `fresh` is removed on failure. */
MOTE_MUST_CHECK int mote_copy_publish(const char *fresh, const char *path, bool replace,
                                      char problem[MOTE_STORE_PROBLEM_MAX]);

#endif
