/* SPDX-License-Identifier: Apache-2.0 */
#include "store/feed.h"

#include <string.h>

int mote_feed_init(struct mote_feed *feed)
{
    atomic_init(&feed->sequence, 0);
    mote_list_init(&feed->followers);
    return pthread_mutex_init(&feed->mutex, NULL) == 0 ? 0 : MOTE_ENOMEM;
}

void mote_feed_dispose(struct mote_feed *feed)
{
    pthread_mutex_destroy(&feed->mutex);
}

/* --- the bell -------------------------------------------------------------------------------------------------- */

void mote_feed_publish(struct mote_feed *feed, int64_t sequence)
{
    if (atomic_exchange_explicit(&feed->sequence, sequence, memory_order_release) == sequence) {
        return;
    }
    pthread_mutex_lock(&feed->mutex);
    MOTE_LIST_FOR_EACH(node, &feed->followers)
    {
        struct mote_feed_follower *follower = MOTE_CONTAINER_OF(node, struct mote_feed_follower, node);
        if (!atomic_exchange(&follower->is_posted, true)) {
            follower->mailbox->post(follower->mailbox, &follower->task);
        }
    }
    pthread_mutex_unlock(&feed->mutex);
}

/* Who rings after this is heard by another task: so the number is looked at behind it. */
static void run_bell(struct mote_task *task)
{
    struct mote_feed_follower *follower = MOTE_CONTAINER_OF(task, struct mote_feed_follower, task);
    atomic_store(&follower->is_posted, false);
    if (follower->changed != NULL) {
        follower->changed(follower->context);
    }
}

void mote_feed_follow(struct mote_feed *feed, struct mote_feed_follower *follower)
{
    pthread_mutex_lock(&feed->mutex);
    follower->task.run = run_bell;
    mote_list_append(&feed->followers, &follower->node);
    pthread_mutex_unlock(&feed->mutex);
}

void mote_feed_unfollow(struct mote_feed *feed, struct mote_feed_follower *follower)
{
    pthread_mutex_lock(&feed->mutex);
    mote_list_remove(&follower->node);
    pthread_mutex_unlock(&feed->mutex);
    follower->changed = NULL;
}

/* --- the writer's ---------------------------------------------------------------------------------------------- */

static int read_last(struct mote_sqlite *sqlite, struct mote_store_feed_position *position)
{
    sqlite3_stmt *statement = mote_sqlite_statement(sqlite, MOTE_STATEMENT_LAST_OF_FEED);
    int result = mote_sqlite_step(statement);
    *position = (struct mote_store_feed_position){.sequence = 0};
    if (result == 1) {
        position->sequence = sqlite3_column_int64(statement, 0);
        position->time = sqlite3_column_int64(statement, 1);
        result = 0;
    }
    mote_sqlite_reset(statement);
    return result;
}

int mote_feed_last(struct mote_sqlite *sqlite, int64_t *sequence)
{
    struct mote_store_feed_position position;
    int result = read_last(sqlite, &position);
    *sequence = position.sequence;
    return result;
}

/* Whether a change of that time lies outside of the time that all are kept. In both directions: a clock that was wrong
 * once must not keep what it stamped for ever. */
static bool is_old(int64_t time, int64_t now)
{
    return time < now - MOTE_STORE_FEED_KEEP_NS || time > now + MOTE_STORE_FEED_KEEP_NS;
}

int mote_feed_prune(struct mote_sqlite *sqlite, int64_t now, unsigned limit, unsigned *deleted)
{
    sqlite3_stmt *statement = mote_sqlite_statement(sqlite, MOTE_STATEMENT_FRONT_OF_FEED);
    int64_t until = 0;
    unsigned count = 0;
    mote_sqlite_bind_int(statement, 1, MOTE_STORE_FEED_MAX);
    mote_sqlite_bind_int(statement, 2, limit);
    int result = mote_sqlite_step(statement);
    while (result == 1 && is_old(sqlite3_column_int64(statement, 1), now)) {
        until = sqlite3_column_int64(statement, 0);
        count++;
        result = mote_sqlite_step(statement);
    }
    mote_sqlite_reset(statement);
    *deleted += count;
    if (result >= 0 && count > 0) {
        statement = mote_sqlite_statement(sqlite, MOTE_STATEMENT_FORGET_FEED);
        mote_sqlite_bind_int(statement, 1, until);
        result = mote_sqlite_run(statement);
    }
    return result < 0 ? result : 0;
}

/* --- reading --------------------------------------------------------------------------------------------------- */

/* The change of the present row. Of a user who is gone only the deletion is told. */
static int take_row(struct mote_reader *reader, struct mote_store_read_feed *read, sqlite3_stmt *statement)
{
    struct mote_user user = {.roles = 0};
    int64_t kind = sqlite3_column_int64(statement, 2) - 1; /* the table counts from 1, as the interface outside does */
    int result = mote_sqlite_column_bytes(statement, 3, user.id, sizeof user.id);
    if (result == 0 && (kind < MOTE_STORE_CHANGE_USER_CREATED || kind > MOTE_STORE_CHANGE_USER_DELETED)) {
        result = MOTE_ECORRUPT;
    }
    if (result == 0 && kind != MOTE_STORE_CHANGE_USER_DELETED) {
        sqlite3_stmt *show = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_SHOW_USER_BY_ID);
        mote_sqlite_bind_user(show, user.id);
        result = mote_sqlite_get_user(&reader->sqlite, show, &user);
    }
    if (result != 0 && result != MOTE_ENOTFOUND) {
        return result;
    }
    read->position.sequence = sqlite3_column_int64(statement, 0);
    read->position.time = sqlite3_column_int64(statement, 1);
    if (result == 0) {
        read->row(read, (enum mote_store_change_kind)kind, &user);
    }
    return 0;
}

/* The first row at or behind the position shows whether it is one of this feed, and whether nothing is missing. 1: the
 * row at hand is the first to be told. */
static int check_position(struct mote_store_feed_position position, sqlite3_stmt *statement)
{
    int result = mote_sqlite_step(statement);
    if (result < 0) {
        return result;
    }
    if (result == 0) {
        return position.sequence == 0 ? 0 : MOTE_ENOTFOUND;
    }
    int64_t first = sqlite3_column_int64(statement, 0);
    if (first == position.sequence) {
        return sqlite3_column_int64(statement, 1) == position.time ? mote_sqlite_step(statement) : MOTE_ENOTFOUND;
    }
    return first == position.sequence + 1 ? 1 : MOTE_EEXPIRED;
}

static int read_rows(struct mote_reader *reader, struct mote_store_read_feed *read)
{
    sqlite3_stmt *statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_READ_FEED);
    mote_sqlite_bind_int(statement, 1, read->position.sequence);
    mote_sqlite_bind_int(statement, 2, (int64_t)read->limit + 1);
    int result = check_position(read->position, statement);
    for (uint32_t rows = 0; result == 1 && rows < read->limit; rows++) {
        result = take_row(reader, read, statement);
        if (result == 0) {
            result = mote_sqlite_step(statement);
        }
    }
    mote_sqlite_reset(statement);
    return result < 0 ? result : 0;
}

int mote_feed_read(struct mote_reader *reader, struct mote_store_read_feed *read)
{
    int result = mote_reader_begin_read(reader);
    if (result == 0) {
        result = read->from_end ? read_last(&reader->sqlite, &read->position) : read_rows(reader, read);
    }
    return mote_reader_end_read(reader, result);
}
