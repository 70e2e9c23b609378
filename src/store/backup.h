/* SPDX-License-Identifier: Apache-2.0 */
/* Backup, check and restore of a store by itself, without opening it for service. */
#ifndef MOTE_STORE_BACKUP_H
#define MOTE_STORE_BACKUP_H

#include <limits.h>

#include "store/copy.h"

struct mote_backup {
    const char *url;  /* of the store */
    const char *path; /* of the backup */
    bool replace;     /* an existing backup; otherwise MOTE_EEXISTS */
    struct mote_copy_progress progress;
};

/* Writes a consistent copy, also while a server writes to the store. The file appears under its name when it is
 * complete, checked and on the disk. */
MOTE_MUST_CHECK int mote_backup_make(const struct mote_backup *backup, char problem[MOTE_STORE_PROBLEM_MAX]);

/*
 * Puts the backup, after checking it, in the place of the store. MOTE_EBUSY while a server holds the store. What was
 * there is kept beside it: its path in `kept`, "" when there was nothing. A kill or a power loss leaves either the old
 * store under its name or the new one.
 */
MOTE_MUST_CHECK int mote_backup_restore(const struct mote_backup *backup, int64_t now, char kept[PATH_MAX],
                                        char problem[MOTE_STORE_PROBLEM_MAX]);

/* Looks through a store, beside a server too: its pages and indices, and what must hold between its rows. `each` gets a
 * line for each thing that is wrong, `problem` how the store cannot be read at all. MOTE_ECORRUPT for both. */
MOTE_MUST_CHECK int mote_backup_check(const char *url, void (*each)(void *context, const char *finding), void *context,
                                      char problem[MOTE_STORE_PROBLEM_MAX]);

#endif
