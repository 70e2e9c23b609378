/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, as steps from one schema version to the next. docs/store.md describes them. */
#ifndef MOTE_STORE_SCHEMA_H
#define MOTE_STORE_SCHEMA_H

#include <sqlite3.h>
#include <stdint.h>

#include "base/error.h"

/* PRAGMA application_id of a store of mote: "mote". */
#define MOTE_SCHEMA_APPLICATION_ID 0x6d6f7465
/* PRAGMA user_version that this program writes. */
#define MOTE_SCHEMA_VERSION 10

/* SQL: the name of the counter of hashes with the settings of this one. */
#define MOTE_SCHEMA_HASH_COUNTER(hash) "'hash ' || substr(" hash ", 1, 14 + instr(substr(" hash ", 16), '$'))"

/* Where the row of a user is looked for first. 63 bits of an id of version 7 that count: 42 of the time, so that new
 * rows come behind the others, and 21 random ones. */
int64_t mote_schema_user_key(const uint8_t id[16]);

/* Brings the database from `version` (0: empty) to `target`, which is MOTE_SCHEMA_VERSION but in tests, each step in a
 * transaction of its own. Returns an SQLite result code. */
MOTE_MUST_CHECK int mote_schema_migrate(sqlite3 *db, int version, int target);

#endif
