/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the writer's thread does besides writing: checkpoints, deletion of what is over, the check of the file, and
 * recovery after an error. All of it runs on the writer's connection, in its thread (the first check: before the thread
 * begins).
 */
#ifndef MOTE_STORE_MAINTENANCE_H
#define MOTE_STORE_MAINTENANCE_H

#include "store/writer.h"

#define MOTE_MAINTENANCE_NEVER UINT64_MAX

/* When something is due, in monotonic nanoseconds; MOTE_MAINTENANCE_NEVER. */
uint64_t mote_maintenance_next(const struct mote_writer *writer);
/* Does the most urgent thing that is due. */
void mote_maintenance_run(struct mote_writer *writer, uint64_t now);

/* After each group: bounds the log, plans the checkpoint of the next quiet moment. */
void mote_maintenance_after_commit(struct mote_writer *writer, uint64_t now);
/* Takes the connection out of use until recovery succeeds; the store is not healthy meanwhile. */
void mote_maintenance_break(struct mote_writer *writer, int error, uint64_t now);
/* After a commit, before its answers: true when the file has been moved, deleted or replaced, so that what was written
 * may be lost with it. The store is not healthy then until the file is back. */
bool mote_maintenance_is_lost(struct mote_writer *writer, uint64_t now);
/* Opens the connection anew when that is due. True: the writer can write. */
bool mote_maintenance_recover(struct mote_writer *writer, uint64_t now);

/* Counts the pages of the log and notes which file it is; after every opening of the connection. */
void mote_maintenance_watch(struct mote_writer *writer);
/* Looks through the whole file: 0, MOTE_ECORRUPT, MOTE_ECANCELLED when closing, or another error. */
MOTE_MUST_CHECK int mote_maintenance_check(struct mote_writer *writer);

#endif
