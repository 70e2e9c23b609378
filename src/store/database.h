/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database file of the store: where it is, whose it is (a lock file beside it), whether it can be used, and its
 * birth. Everything that can be wrong with it when the program starts is told here in one line.
 */
#ifndef MOTE_STORE_DATABASE_H
#define MOTE_STORE_DATABASE_H

#include <limits.h>

#include "store/sqlite.h"

struct mote_database {
    char path[PATH_MAX]; /* absolute, links resolved */
    int lock;            /* descriptor of the lock file; -1: none */
    bool is_temporary;   /* "memory:" */
    bool is_new;         /* made by this open */
};

/* Finds, locks and, when it is not there, makes the file; then checks that it is a store of a version that this program
 * can use and opens the writer's connection with its statements. Errors and `problem` as mote_store_open. */
MOTE_MUST_CHECK int mote_database_open(struct mote_database *database, struct mote_sqlite *writer, const char *url,
                                       struct mote_log *log, char problem[MOTE_STORE_PROBLEM_MAX]);
/* After the last connection has been closed. Gives the lock back; removes a temporary file. */
void mote_database_close(struct mote_database *database);

/* The size of the file in bytes; 0 when it cannot be known. */
int64_t mote_database_size(const struct mote_database *database);

#endif
