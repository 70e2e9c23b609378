/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database file of the store: where it is, whose it is (a lock file beside it), whether it can be used, and its
 * birth. Everything that can be wrong with it when the program starts is told here in one line.
 */
#ifndef MOTE_STORE_DATABASE_H
#define MOTE_STORE_DATABASE_H

#include <limits.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "store/sqlite.h"

#define MOTE_DATABASE_SUFFIX_MAX 48u /* of the names of the files beside the database */

struct mote_database {
    char path[PATH_MAX]; /* absolute, links resolved */
    int lock;            /* descriptor of the lock file; -1: none */
    bool is_temporary;   /* "memory:" */
    bool is_new;         /* made by this open */
    ino_t inode;         /* of the file that was opened. No device: a file system that was mounted anew has another */
    /* Raised when the file has been away and is back: connections from before are opened anew. */
    _Atomic unsigned generation;
};

/* Finds, locks and, when it is not there, makes the file; then checks that it is a store of a version that this program
 * can use and opens the writer's connection with its statements. Errors and `problem` as mote_store_open. */
MOTE_MUST_CHECK int mote_database_open(struct mote_database *database, struct mote_sqlite *writer,
                                       const struct mote_store_options *options, char problem[MOTE_STORE_PROBLEM_MAX]);
/* After the last connection has been closed. Gives the lock back; removes a temporary file. */
void mote_database_close(struct mote_database *database);

/* The inode that a path names now; 0: there is none. */
ino_t mote_database_inode(const char *path);
/* Whether the file that was opened is still there under its name. Any thread. */
static inline bool mote_database_is_there(const struct mote_database *database)
{
    return mote_database_inode(database->path) == database->inode;
}

/* The size of the file in bytes; 0 when it cannot be known. */
int64_t mote_database_size(const struct mote_database *database);

/* --- the steps of opening, for what works on the file without a server ------------------------------------------- */

/* Only finds the path; `memory:` makes a folder. MOTE_EINVAL, or what is wrong with the folder. */
MOTE_MUST_CHECK int mote_database_find(struct mote_database *database, const char *url,
                                       char problem[MOTE_STORE_PROBLEM_MAX]);
/* MOTE_EBUSY when another process holds the lock. mote_database_close gives it back. */
MOTE_MUST_CHECK int mote_database_lock(struct mote_database *database, char problem[MOTE_STORE_PROBLEM_MAX]);
/* Refuses a database of another program or of a newer version. `path` is for the problem. */
MOTE_MUST_CHECK int mote_database_check_version(const char *path, sqlite3 *db, int64_t *version,
                                                char problem[MOTE_STORE_PROBLEM_MAX]);
/* The path with a suffix of at most MOTE_DATABASE_SUFFIX_MAX bytes. */
void mote_database_beside(char out[PATH_MAX], const struct mote_database *database, const char *suffix);
/* fsync of a file (flags O_RDWR) or a folder (O_RDONLY | O_DIRECTORY). 0 or errno. */
MOTE_MUST_CHECK int mote_database_sync(const char *path, int flags);

/* The path of a store that is looked at from outside: as mote_database_find, but MOTE_EUNSUPPORTED for `memory:`. */
MOTE_MUST_CHECK int mote_database_find_existing(struct mote_database *database, const char *url,
                                                char problem[MOTE_STORE_PROBLEM_MAX]);
/* Opens a file for looking and refuses what is no store that this program knows. On failure it is closed. */
MOTE_MUST_CHECK int mote_database_look(struct mote_sqlite *sqlite, const char *path, int64_t *version,
                                       char problem[MOTE_STORE_PROBLEM_MAX]);

#endif
