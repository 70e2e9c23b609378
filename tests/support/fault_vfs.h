/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that fails on demand: an SQLite VFS in front of the system's, made the default by fault_vfs_install before any
 * connection is opened. It injects errors and delays, counts syncs, and can remember what would be on the disk after a
 * power loss: every byte up to the last sync of each file, and after that any part of what was written since.
 */
#ifndef MOTE_TESTS_SUPPORT_FAULT_VFS_H
#define MOTE_TESTS_SUPPORT_FAULT_VFS_H

#include <stdatomic.h>
#include <stdbool.h>

enum fault_file {
    FAULT_DATABASE = 1,
    FAULT_LOG = 2, /* the write-ahead log */
    FAULT_BOTH = 3,
};

/* Each fault: a set of enum fault_file it strikes, the SQLite result code, the errno, and how often (-1: for ever). */
struct fault {
    _Atomic int files;
    _Atomic int code;
    _Atomic int number;
    _Atomic int times;
};

struct fault_disk {
    struct fault on_read;
    struct fault on_write;
    struct fault on_sync;
    _Atomic int sync_delay_ms;
    _Atomic int syncs; /* of the log, counted */
};

extern struct fault_disk fault_disk;

void fault_vfs_install(void);
/* All faults gone. */
void fault_vfs_heal(void);
void fault_set(struct fault *fault, int files, int code, int number, int times);

/* Begins to remember the databases and logs that are opened in this folder from now on. Once per process. */
void fault_vfs_remember(const char *folder);
/*
 * Writes into `folder` what a power loss at this moment may leave of the files remembered, under their own names.
 * `random` decides about every write since the last sync: kept, lost, or torn at a sector of 512 bytes.
 */
void fault_vfs_power_loss(const char *folder, unsigned (*random)(void));

#endif
