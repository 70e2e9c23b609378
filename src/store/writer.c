/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit. While one group is being synced to the disk the next one gathers, so the number of syncs falls as the
 * load rises. Order of the steps after a commit: the changes and the number are published, who follows
 * the feed is told, then the answers leave, then the log is looked after; so a client that has its answer finds its
 * write in every later read, and no answer waits for upkeep.
 */
#include "store/writer.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "store/apply.h"
#include "store/maintenance.h"

#define CHECK_AT_ONCE_MAX (1024 * 1024) /* bytes: about 2 ms. Larger files are checked while the server listens */
#define UPKEEP_FIRST_NS   ((uint64_t)MOTE_NS_PER_SECOND)
#define STACK_SIZE        (512u * 1024u)

static uint64_t monotonic_now(void)
{
    const struct mote_clock *clock = mote_clock_system();
    return clock->monotonic_ns(clock->context);
}

/* --- a group --------------------------------------------------------------------------------------------------- */

static void answer_group(struct mote_writer *writer, struct mote_store_write *group)
{
    unsigned count = 0;
    for (struct mote_store_write *write = group; write != NULL; write = write->next) {
        count++;
    }
    /* Before the answers leave: who has one may submit the next. */
    pthread_mutex_lock(&writer->mutex);
    writer->outstanding -= count;
    pthread_mutex_unlock(&writer->mutex);
    while (group != NULL) {
        struct mote_store_write *write = group;
        group = write->next; /* the write is its owner's again once it is answered */
        writer->answer(write);
    }
}

static int run_statement(struct mote_writer *writer, enum mote_statement name)
{
    return mote_sqlite_run(mote_sqlite_statement(&writer->sqlite, name));
}

static int apply_group(struct mote_writer *writer, struct mote_store_write *group, uint64_t now)
{
    for (struct mote_store_write *write = group; write != NULL; write = write->next) {
        write->begun_ns = now;
        write->result = mote_apply(&writer->sqlite, writer->changes, write);
        if (!mote_apply_is_own_result(write->result)) {
            return write->result;
        }
    }
    return 0;
}

/* A group that changed nothing has no commit and no number. */
static int commit_group(struct mote_writer *writer, struct mote_store_write *group, uint64_t now, bool *is_changed,
                        int64_t *feed_sequence)
{
    int result = run_statement(writer, MOTE_STATEMENT_BEGIN_IMMEDIATE);
    if (result != 0) {
        return result;
    }
    int before = sqlite3_total_changes(writer->sqlite.db);
    result = apply_group(writer, group, now);
    if (result == 0) {
        *is_changed = sqlite3_total_changes(writer->sqlite.db) != before;
        result = mote_feed_last(&writer->sqlite, feed_sequence);
    }
    if (result == 0) {
        result = run_statement(writer, *is_changed ? MOTE_STATEMENT_COMMIT : MOTE_STATEMENT_ROLLBACK);
    }
    return result;
}

/* Errors that pass by themselves leave the connection as good as it was. */
static bool is_passing(struct mote_writer *writer, int error)
{
    bool is_plainly_full = error == MOTE_EFULL && (sqlite3_errcode(writer->sqlite.db) & 0xff) == SQLITE_FULL;
    return is_plainly_full || error == MOTE_EBUSY || error == MOTE_ENOMEM || error == MOTE_EINTERNAL;
}

static void fail_group(struct mote_writer *writer, struct mote_store_write *group, int error, uint64_t now)
{
    bool passing = is_passing(writer, error);
    mote_changes_discard(writer->changes);
    if (sqlite3_get_autocommit(writer->sqlite.db) == 0 && run_statement(writer, MOTE_STATEMENT_ROLLBACK) != 0) {
        passing = false;
    }
    if (writer->reported != error) {
        writer->reported = error;
        mote_log(writer->log, MOTE_LOG_ERROR, "store", "store.write_failed", "the store cannot write",
                 mote_log_text("error", mote_error_name(error)),
                 mote_log_text("detail", sqlite3_errstr(sqlite3_extended_errcode(writer->sqlite.db))));
    }
    if (!passing) {
        mote_maintenance_break(writer, error, now);
    } else if (error == MOTE_EFULL) {
        writer->checkpoint_at = now; /* what the log takes may be all that is missing */
    }
    for (struct mote_store_write *write = group; write != NULL; write = write->next) {
        write->result = error;
    }
}

static void refuse_group(struct mote_writer *writer, struct mote_store_write *group)
{
    for (struct mote_store_write *write = group; write != NULL; write = write->next) {
        write->result = writer->broken;
    }
    answer_group(writer, group);
}

static void write_group(struct mote_writer *writer, struct mote_store_write *group)
{
    uint64_t now = monotonic_now();
    if (!mote_maintenance_recover(writer, now)) {
        refuse_group(writer, group);
        return;
    }
    bool is_changed = false;
    int64_t feed_sequence = 0;
    int result = commit_group(writer, group, now, &is_changed, &feed_sequence);
    if (result != 0) {
        fail_group(writer, group, result, now);
        answer_group(writer, group);
        return;
    }
    if (is_changed) {
        writer->reported = 0;
        mote_changes_publish(writer->changes);
        mote_feed_publish(writer->feed, feed_sequence);
        if (mote_maintenance_is_lost(writer, now)) {
            refuse_group(writer, group); /* readers see it, and it may last, but nobody can promise that */
            return;
        }
    }
    answer_group(writer, group);
    if (is_changed) {
        mote_maintenance_after_commit(writer, now);
    }
}

/* --- the thread ------------------------------------------------------------------------------------------------ */

/* With the mutex held. False: the time has come. */
static bool wait_until(struct mote_writer *writer, uint64_t deadline)
{
    if (deadline == MOTE_MAINTENANCE_NEVER) {
        pthread_cond_wait(&writer->wake, &writer->mutex);
        return true;
    }
    if (monotonic_now() >= deadline) {
        return false;
    }
    struct timespec time = {.tv_sec = (time_t)(deadline / MOTE_NS_PER_SECOND),
                            .tv_nsec = (long)(deadline % MOTE_NS_PER_SECOND)};
    (void)pthread_cond_timedwait(&writer->wake, &writer->mutex, &time);
    return true;
}

/* All that is queued, or NULL when it is time for maintenance or to stop. */
static struct mote_store_write *take_group(struct mote_writer *writer, bool *is_closing)
{
    pthread_mutex_lock(&writer->mutex);
    while (writer->head == NULL && !writer->is_closing && writer->suspect == 0 &&
           wait_until(writer, mote_maintenance_next(writer))) {
    }
    struct mote_store_write *group = writer->head;
    int suspect = writer->suspect;
    writer->head = NULL;
    writer->tail = &writer->head;
    writer->suspect = 0;
    *is_closing = writer->is_closing;
    pthread_mutex_unlock(&writer->mutex);
    if (suspect != 0 && writer->broken == 0) {
        uint64_t now = monotonic_now();
        mote_maintenance_break(writer, suspect, now);
        writer->retry_at = now;
    }
    return group;
}

static void *run_thread(void *context)
{
    struct mote_writer *writer = context;
    bool is_closing = false;
    for (;;) {
        struct mote_store_write *group = take_group(writer, &is_closing);
        if (group != NULL) {
            write_group(writer, group);
        } else if (is_closing) {
            return NULL;
        }
        /* Between two groups too: a queue that is never empty must not put it off for ever. */
        mote_maintenance_run(writer, monotonic_now());
    }
}

/* --- opening --------------------------------------------------------------------------------------------------- */

static int init_waiting(struct mote_writer *writer)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&writer->mutex, NULL) != 0) {
        return MOTE_ENOMEM;
    }
    if (pthread_condattr_init(&attributes) != 0) {
        goto fail_mutex;
    }
    int number = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (number == 0) {
        number = pthread_cond_init(&writer->wake, &attributes);
    }
    pthread_condattr_destroy(&attributes);
    if (number == 0) {
        return 0;
    }
fail_mutex:
    pthread_mutex_destroy(&writer->mutex);
    return MOTE_ENOMEM;
}

/* Signals are the main thread's. */
static int start_thread(struct mote_writer *writer)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return MOTE_ENOMEM;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_attr_setstacksize(&attributes, STACK_SIZE);
    if (number == 0) {
        number = pthread_create(&writer->thread, &attributes, run_thread, writer);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (number != 0) {
        return MOTE_ENOMEM;
    }
    (void)pthread_setname_np(writer->thread, "mote-store");
    return 0;
}

/* A new file needs no check, a small one gets it before the server listens, a large one after. */
static int check_at_once(struct mote_writer *writer, char problem[MOTE_STORE_PROBLEM_MAX])
{
    bool is_large = mote_database_size(writer->database) > CHECK_AT_ONCE_MAX;
    int result = 0;
    if (!writer->database->is_new && !is_large) {
        result = mote_maintenance_check(writer);
    }
    writer->check_due = !writer->database->is_new && is_large;
    atomic_init(&writer->is_healthy, !writer->check_due);
    if (result != 0) {
        (void)snprintf(problem, MOTE_STORE_PROBLEM_MAX, "sqlite: the store is damaged (%s): restore it from a backup",
                       mote_error_text(result));
    }
    return result;
}

int mote_writer_open(struct mote_writer *writer, struct mote_sqlite *sqlite, char problem[MOTE_STORE_PROBLEM_MAX])
{
    writer->sqlite = *sqlite;
    *sqlite = (struct mote_sqlite){.db = NULL};
    writer->tail = &writer->head;
    writer->retry_at = MOTE_MAINTENANCE_NEVER;
    writer->checkpoint_at = MOTE_MAINTENANCE_NEVER;
    writer->upkeep_at = monotonic_now() + UPKEEP_FIRST_NS;
    atomic_init(&writer->is_stopping, false);
    writer->look_at = monotonic_now();
    mote_maintenance_watch(writer);
    int64_t feed_sequence = 0;
    int result = check_at_once(writer, problem);
    if (result != 0) {
        goto fail_check;
    }
    result = mote_feed_last(&writer->sqlite, &feed_sequence);
    if (result != 0) {
        (void)snprintf(problem, MOTE_STORE_PROBLEM_MAX, "sqlite: the store cannot be read (%s)",
                       mote_error_text(result));
        goto fail_check;
    }
    mote_feed_publish(writer->feed, feed_sequence);
    result = init_waiting(writer);
    if (result == 0) {
        result = start_thread(writer);
        if (result == 0) {
            return 0;
        }
        pthread_cond_destroy(&writer->wake);
        pthread_mutex_destroy(&writer->mutex);
    }
    (void)snprintf(problem, MOTE_STORE_PROBLEM_MAX, "store: the writer's thread cannot be started");
fail_check:
    /* What is in the log, which may be another store's, must not get into the file by closing it. */
    (void)sqlite3_db_config(writer->sqlite.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    mote_sqlite_close(&writer->sqlite);
    return result;
}

void mote_writer_close(struct mote_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    writer->is_closing = true;
    atomic_store_explicit(&writer->is_stopping, true, memory_order_relaxed);
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
    pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->wake);
    pthread_mutex_destroy(&writer->mutex);
    mote_sqlite_close(&writer->sqlite);
}

/* --- queue ----------------------------------------------------------------------------------------------------- */

int mote_writer_submit(struct mote_writer *writer, struct mote_store_write *write)
{
    int result = 0;
    write->next = NULL;
    pthread_mutex_lock(&writer->mutex);
    if (writer->is_closing) {
        result = MOTE_ECANCELLED;
    } else if (writer->outstanding == MOTE_STORE_WRITES_MAX) {
        result = MOTE_ELIMIT;
    } else {
        *writer->tail = write;
        writer->tail = &write->next;
        writer->outstanding++;
        pthread_cond_signal(&writer->wake);
    }
    pthread_mutex_unlock(&writer->mutex);
    return result;
}

void mote_writer_suspect(struct mote_writer *writer, int error)
{
    pthread_mutex_lock(&writer->mutex);
    writer->suspect = error;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
}
