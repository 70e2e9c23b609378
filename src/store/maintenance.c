/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery. After an I/O error, above all of fsync, the kernel may have dropped what it was to write and will not say
 * so again; the connection's view of the file is worthless. It is closed and opened anew; what the log holds is copied
 * to the database and synced, so that nothing relies on pages of the log that may never have reached the disk; the file
 * is looked through; and a small commit proves that writing works. Only then the store is healthy again.
 */
#include "store/maintenance.h"

#include <errno.h>
#include <string.h>

#include "store/apply.h"

#define LOG_PAGES_SOFT     1000  /* 4 MiB: checkpoint after the answers have left, waiting for nobody */
#define LOG_PAGES_HARD     4000  /* 16 MiB: wait for the readers' turns to end, so that the log begins anew */
#define LOG_PAGES_WARN     16000 /* 64 MiB: somebody holds a read transaction open: another program */
#define CHECKPOINT_IDLE_NS (5u * (uint64_t)MOTE_NS_PER_SECOND)
#define LOOK_INTERVAL_NS   (2u * (uint64_t)MOTE_NS_PER_SECOND) /* without writes: after each of them it is looked at */
#define UPKEEP_INTERVAL_NS (600u * (uint64_t)MOTE_NS_PER_SECOND)
#define UPKEEP_MORE_NS     (100u * (uint64_t)MOTE_NS_PER_MS)
#define UPKEEP_ROWS        200u /* a batch: a few milliseconds that a write may have to wait */
#define RETRY_NS           (250u * (uint64_t)MOTE_NS_PER_MS)
#define RETRY_CORRUPT_NS                                                                                               \
    (60u * (uint64_t)MOTE_NS_PER_SECOND) /* looking through the file again costs a lot, helps seldom */
#define CHECK_STEPS 20000                /* instructions of the check between two looks at is_stopping: about 1 ms */

static int count_pages(void *context, sqlite3 *db, const char *schema, int pages)
{
    (void)db;
    (void)schema;
    struct mote_writer *writer = context;
    writer->wal_pages = pages;
    return SQLITE_OK;
}

static int is_stopping(void *context)
{
    const struct mote_writer *writer = context;
    return atomic_load_explicit(&writer->is_stopping, memory_order_relaxed) ? 1 : 0;
}

static ino_t log_inode(const struct mote_writer *writer)
{
    char path[PATH_MAX];
    mote_database_beside(path, writer->database, "-wal");
    return mote_database_inode(path);
}

void mote_maintenance_watch(struct mote_writer *writer)
{
    writer->log_inode = log_inode(writer);
    (void)sqlite3_wal_hook(writer->sqlite.db, count_pages, writer);
}

/* --- check ----------------------------------------------------------------------------------------------------- */

int mote_maintenance_check(struct mote_writer *writer)
{
    sqlite3 *db = writer->sqlite.db;
    sqlite3_stmt *statement = NULL;
    errno = 0;
    sqlite3_progress_handler(db, CHECK_STEPS, is_stopping, writer);
    int code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    int result = MOTE_ECORRUPT;
    if (code != SQLITE_ROW) {
        result = mote_sqlite_error(code);
    } else {
        const char *finding = (const char *)sqlite3_column_text(statement, 0);
        if (finding != NULL && strcmp(finding, "ok") == 0) {
            result = 0;
        } else {
            mote_log(writer->log, MOTE_LOG_ERROR, "store", "store.damaged", "the database is damaged",
                     mote_log_text("finding", finding != NULL ? finding : ""));
        }
    }
    (void)sqlite3_finalize(statement);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    return result;
}

static void run_first_check(struct mote_writer *writer, uint64_t now)
{
    writer->check_due = false;
    int result = mote_maintenance_check(writer);
    if (result == 0) {
        atomic_store_explicit(&writer->is_healthy, true, memory_order_relaxed);
    } else if (result != MOTE_ECANCELLED) {
        mote_maintenance_break(writer, result, now);
    }
}

/* --- recovery -------------------------------------------------------------------------------------------------- */

void mote_maintenance_break(struct mote_writer *writer, int error, uint64_t now)
{
    writer->broken = error;
    writer->retry_at = now + (error == MOTE_ECORRUPT ? RETRY_CORRUPT_NS : RETRY_NS);
    if (atomic_exchange_explicit(&writer->is_healthy, false, memory_order_relaxed)) {
        mote_log(writer->log, MOTE_LOG_ERROR, "store", "store.unhealthy", "the store cannot be relied on",
                 mote_log_text("error", mote_error_name(error)));
    }
}

static int checkpoint(struct mote_writer *writer, int mode)
{
    int pages = 0;
    int copied = 0;
    sqlite3 *db = writer->sqlite.db;
    errno = 0;
    int result = mote_sqlite_error(sqlite3_wal_checkpoint_v2(db, NULL, mode, &pages, &copied));
    if (result == 0 && mode == SQLITE_CHECKPOINT_TRUNCATE) {
        writer->wal_pages = 0;
    }
    return result;
}

/* What the log held may be more than was answered. */
static int publish_feed(struct mote_writer *writer)
{
    int64_t sequence = 0;
    int result = mote_feed_last(&writer->sqlite, &sequence);
    if (result == 0) {
        mote_feed_publish(writer->feed, sequence);
    }
    return result;
}

bool mote_maintenance_is_lost(struct mote_writer *writer, uint64_t now)
{
    if (writer->log_inode == 0) {
        writer->log_inode = log_inode(writer); /* SQLite makes it when it is first needed */
    }
    if (mote_database_is_there(writer->database) && log_inode(writer) == writer->log_inode) {
        return false;
    }
    if (!writer->is_lost) {
        writer->is_lost = true;
        mote_log(writer->log, MOTE_LOG_ERROR, "store", "store.lost",
                 "the database or its log is gone or another file: put it back",
                 mote_log_text("path", writer->database->path));
    }
    mote_maintenance_break(writer, MOTE_EIO, now);
    return true;
}

/*
 * The file is back. The connection has been open all the time and has the log that belongs to it, whatever has become
 * of the log's name: what the log holds is moved into the file. Then the log is empty, and all connections go over to
 * the one that has the name now.
 */
static int return_to_place(struct mote_writer *writer)
{
    int result = writer->sqlite.db != NULL ? checkpoint(writer, SQLITE_CHECKPOINT_TRUNCATE) : 0;
    if (result == 0) {
        writer->is_lost = false;
        atomic_fetch_add(&writer->database->generation, 1);
    }
    return result;
}

static int reopen(struct mote_writer *writer)
{
    if (!mote_database_is_there(writer->database)) {
        return MOTE_EIO;
    }
    if (writer->is_lost) {
        int result = return_to_place(writer);
        if (result != 0) {
            return result;
        }
    }
    mote_sqlite_close(&writer->sqlite);
    int result = mote_sqlite_open(&writer->sqlite, writer->database->path, MOTE_STATEMENT_OF_WRITER);
    if (result == 0) {
        result = mote_sqlite_prepare(&writer->sqlite, MOTE_STATEMENT_OF_WRITER);
    }
    if (result != 0) {
        return result;
    }
    result = checkpoint(writer, SQLITE_CHECKPOINT_TRUNCATE);
    mote_maintenance_watch(writer);
    if (result == MOTE_EBUSY) {
        /* Somebody reads. Then the log's index has lived on, and the next commit overwrites what the failed one left.
         */
        result = 0;
    }
    if (result == 0) {
        result = mote_maintenance_check(writer);
    }
    if (result == 0) {
        result = mote_sqlite_run(mote_sqlite_statement(&writer->sqlite, MOTE_STATEMENT_PROBE));
    }
    return result == 0 ? publish_feed(writer) : result;
}

bool mote_maintenance_recover(struct mote_writer *writer, uint64_t now)
{
    if (writer->broken == 0) {
        return true;
    }
    if (now < writer->retry_at) {
        return false;
    }
    int result = reopen(writer);
    if (result != 0) {
        if (result != MOTE_ECANCELLED) {
            mote_maintenance_break(writer, result, now);
        }
        return false;
    }
    writer->broken = 0;
    writer->check_due = false;
    writer->retry_at = MOTE_MAINTENANCE_NEVER;
    atomic_store_explicit(&writer->is_healthy, true, memory_order_relaxed);
    mote_log(writer->log, MOTE_LOG_INFO, "store", "store.recovered", "the store works again",
             mote_log_uint("commit", mote_changes_number(writer->changes)));
    return true;
}

/* --- checkpoints ----------------------------------------------------------------------------------------------- */

static void note_checkpoint(struct mote_writer *writer, int result, uint64_t now)
{
    if (result == MOTE_EIO || result == MOTE_ECORRUPT || result == MOTE_EREADONLY || result == MOTE_EACCESS) {
        mote_maintenance_break(writer, result, now);
    }
    /* Busy, or no space: the log keeps what it has, and the next moment comes. */
}

void mote_maintenance_after_commit(struct mote_writer *writer, uint64_t now)
{
    if (writer->wal_pages == 0) {
        return;
    }
    writer->checkpoint_at = now + CHECKPOINT_IDLE_NS;
    if (writer->wal_pages < LOG_PAGES_SOFT) {
        return;
    }
    const bool waits = writer->wal_pages >= LOG_PAGES_HARD && now >= writer->wait_again_at;
    int result = checkpoint(writer, waits ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE);
    if (waits && result == MOTE_EBUSY) {
        writer->wait_again_at = now + CHECKPOINT_IDLE_NS; /* a reader that does not end: writes do not wait for it */
    }
    note_checkpoint(writer, result, now);
    if (writer->wal_pages < LOG_PAGES_WARN) {
        writer->warned_of_log = false;
    } else if (!writer->warned_of_log) {
        writer->warned_of_log = true;
        mote_log(writer->log, MOTE_LOG_WARN, "store", "store.log_grows",
                 "another program holds a read transaction on the database open",
                 mote_log_int("pages", writer->wal_pages));
    }
}

static void checkpoint_when_idle(struct mote_writer *writer, uint64_t now)
{
    int result = checkpoint(writer, SQLITE_CHECKPOINT_TRUNCATE);
    writer->checkpoint_at = result == 0 ? MOTE_MAINTENANCE_NEVER : now + CHECKPOINT_IDLE_NS;
    note_checkpoint(writer, result, now);
    (void)sqlite3_db_release_memory(writer->sqlite.db); /* what the last writes have read is of no use to the next */
}

/* --- deletion -------------------------------------------------------------------------------------------------- */

static int delete_batch(struct mote_writer *writer, unsigned *deleted)
{
    struct mote_sqlite *sqlite = &writer->sqlite;
    int64_t wall = writer->clock->wall_ns(writer->clock->context);
    int result = mote_sqlite_run(mote_sqlite_statement(sqlite, MOTE_STATEMENT_BEGIN_IMMEDIATE));
    if (result == 0) {
        result = mote_apply_upkeep(sqlite, wall, UPKEEP_ROWS, deleted);
    }
    if (result == 0) {
        result = mote_sqlite_run(mote_sqlite_statement(sqlite, MOTE_STATEMENT_COMMIT));
    }
    if (result != 0 && sqlite3_get_autocommit(sqlite->db) == 0 &&
        mote_sqlite_run(mote_sqlite_statement(sqlite, MOTE_STATEMENT_ROLLBACK)) != 0) {
        result = MOTE_EIO; /* a transaction that cannot be ended: the connection is of no use */
    }
    return result;
}

static void upkeep(struct mote_writer *writer, uint64_t now)
{
    unsigned deleted = 0;
    int result = delete_batch(writer, &deleted);
    writer->upkeep_at = now + (result == 0 && deleted == UPKEEP_ROWS ? UPKEEP_MORE_NS : UPKEEP_INTERVAL_NS);
    note_checkpoint(writer, result, now);
    if (result == 0 && deleted > 0) {
        mote_maintenance_after_commit(writer, now);
    }
}

/* --- plan ------------------------------------------------------------------------------------------------------ */

uint64_t mote_maintenance_next(const struct mote_writer *writer)
{
    if (writer->broken != 0) {
        return writer->retry_at;
    }
    if (writer->check_due) {
        return 0;
    }
    uint64_t next = writer->checkpoint_at < writer->upkeep_at ? writer->checkpoint_at : writer->upkeep_at;
    return next < writer->look_at ? next : writer->look_at;
}

void mote_maintenance_run(struct mote_writer *writer, uint64_t now)
{
    if (writer->broken != 0) {
        (void)mote_maintenance_recover(writer, now);
    } else if (writer->check_due) {
        run_first_check(writer, now);
    } else if (now >= writer->look_at) {
        writer->look_at = now + LOOK_INTERVAL_NS;
        (void)mote_maintenance_is_lost(writer, now);
    } else if (now >= writer->checkpoint_at) {
        checkpoint_when_idle(writer, now);
    } else if (now >= writer->upkeep_at) {
        upkeep(writer, now);
    }
}
