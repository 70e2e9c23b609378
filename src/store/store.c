/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of the layer put together from its parts: a database file, its writer, the ring of changes, and a
 * reader for each session.
 */
#include "store/store.h"

#include <sys/stat.h>

#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "store/feed.h"
#include "store/reader_list.h"
#include "store/writer.h"

#define LOOKED_A_TURN 1000u /* rows read for lists before the next one waits for a turn */
#define SLICE         500u  /* rows of one list in a turn: under a millisecond of a server, some of a router */

struct mote_store {
    struct mote_mem *mem;
    struct mote_log *log;
    const struct mote_clock *clock;
    struct mote_database database;
    struct mote_changes changes;
    struct mote_feed feed;
    struct mote_writer writer;
};

/* A page with a filter may look at thousands of rows, some in each turn. It has a connection of its own, made for the
 * first of them: its read transaction goes on while other reads see what is newer. */
struct lister {
    struct mote_reader reader;
    struct mote_reader_list list;
};

struct mote_store_session {
    struct mote_store *store;
    struct mote_mailbox *mailbox;
    struct mote_reader reader;
    struct mote_store_observer observer; /* of the next read */
    struct mote_feed_follower follower;
    unsigned outstanding;  /* writes submitted and lists that wait; the session's thread only */
    struct lister *lister; /* NULL before the first list with a filter */
    bool is_listing;       /* the first of those that wait is under way */
    struct mote_task list_next;
    struct mote_store_list_users *lists; /* for a later turn, in the order they came */
    struct mote_store_list_users **lists_end;
};

static void run_done(struct mote_task *task)
{
    struct mote_store_write *write = MOTE_CONTAINER_OF(task, struct mote_store_write, task);
    write->session->outstanding--;
    if (write->observe != NULL) {
        write->observe(write);
    }
    write->done(write);
}

/* A record that nobody waits for. */
struct lone_audit {
    struct mote_store_write write;
    struct mote_store_audit audit;
    struct mote_store *store;
    uint8_t detail[MOTE_STORE_AUDIT_DETAIL_MAX];
};

static void tell_lost(struct mote_store *store, const struct mote_store_audit *audit, int error)
{
    mote_log(store->log, MOTE_LOG_ERROR, "store", "store.audit_lost", "the audit record lacks an entry",
             mote_log_text("action", mote_store_audit_action_name(audit->action)),
             mote_log_text("error", mote_error_name(error)));
}

static void end_lone_audit(struct lone_audit *lone, int result)
{
    struct mote_store *store = lone->store;
    if (result != 0) {
        tell_lost(store, &lone->audit, result);
    }
    mote_mem_release(store->mem, lone);
}

/* The writer's thread. The session outlives its writes. */
static void post_answer(struct mote_store_write *write)
{
    if (write->session == NULL) {
        end_lone_audit(MOTE_CONTAINER_OF(write, struct lone_audit, write), write->result);
        return;
    }
    struct mote_mailbox *mailbox = write->session->mailbox;
    mailbox->post(mailbox, &write->task);
}

int mote_store_open(struct mote_store **out, const struct mote_store_options *options,
                    char problem[MOTE_STORE_PROBLEM_MAX])
{
    static const char no_memory[] = "store: out of memory";
    struct mote_sqlite sqlite;
    mote_sqlite_set_up();
    struct mote_store *store = mote_mem_allocate_zeroed(options->mem, sizeof *store);
    if (store == NULL) {
        memcpy(problem, no_memory, sizeof no_memory);
        return MOTE_ENOMEM;
    }
    store->mem = options->mem;
    store->log = options->log;
    store->clock = options->clock;
    int result = mote_database_open(&store->database, &sqlite, options, problem);
    if (result != 0) {
        goto fail_database;
    }
    result = mote_changes_init(&store->changes, options->mem);
    if (result != 0) {
        memcpy(problem, no_memory, sizeof no_memory);
        mote_sqlite_close(&sqlite);
        goto fail_changes;
    }
    result = mote_feed_init(&store->feed);
    if (result != 0) {
        memcpy(problem, no_memory, sizeof no_memory);
        mote_sqlite_close(&sqlite);
        goto fail_feed;
    }
    store->writer.database = &store->database;
    store->writer.changes = &store->changes;
    store->writer.feed = &store->feed;
    store->writer.log = options->log;
    store->writer.clock = options->clock;
    store->writer.answer = post_answer;
    result = mote_writer_open(&store->writer, &sqlite, problem);
    if (result != 0) {
        goto fail_writer;
    }
    *out = store;
    return 0;
fail_writer:
    mote_feed_dispose(&store->feed);
fail_feed:
    mote_changes_dispose(&store->changes);
fail_changes:
    mote_database_close(&store->database);
fail_database:
    mote_mem_release(store->mem, store);
    return result;
}

void mote_store_close(struct mote_store *store)
{
    if (store == NULL) {
        return;
    }
    mote_writer_close(&store->writer);
    mote_feed_dispose(&store->feed);
    mote_changes_dispose(&store->changes);
    mote_database_close(&store->database);
    mote_mem_release(store->mem, store);
}

bool mote_store_is_healthy(const struct mote_store *store)
{
    return mote_writer_is_healthy(&store->writer);
}

void mote_store_figures(struct mote_store *store, unsigned *waiting, int64_t *database, int64_t *log)
{
    char path[PATH_MAX];
    struct stat status;
    mote_database_beside(path, &store->database, "-wal");
    pthread_mutex_lock(&store->writer.mutex);
    *waiting = store->writer.outstanding;
    pthread_mutex_unlock(&store->writer.mutex);
    *database = mote_database_size(&store->database);
    *log = stat(path, &status) == 0 ? (int64_t)status.st_size : 0;
}

/* Takes the observer off the session: its read has begun. */
static struct mote_store_observer take_observer(struct mote_store_session *session)
{
    const struct mote_store_observer observer = session->observer;
    session->observer.tell = NULL;
    return observer;
}

/* What comes between a read and its `done`. */
static int end_observed(struct mote_store_session *session, struct mote_store_observer *observer, const char *name,
                        int result)
{
    if (result == MOTE_ECORRUPT || result == MOTE_EIO) {
        mote_writer_suspect(&session->store->writer, result);
    }
    if (observer->tell != NULL) {
        observer->tell(observer, name, result);
    }
    return result;
}

static int end_read(struct mote_store_session *session, const char *name, int result)
{
    struct mote_store_observer observer = take_observer(session);
    return end_observed(session, &observer, name, result);
}

void mote_store_session_observe(struct mote_store_session *session, const struct mote_store_observer *observer)
{
    session->observer = *observer;
}

/* A page without a filter is short, and read at once. */
static int list_all(struct mote_store_session *session, struct mote_store_list_users *read)
{
    struct mote_reader_list list;
    int result = mote_reader_list_begin(&session->reader, &list, read);
    return result == 0 ? mote_reader_list_continue(&session->reader, &list, UINT32_MAX) : result;
}

static int begin_list(struct mote_store_session *session, struct mote_store_list_users *read)
{
    struct mote_store *store = session->store;
    int result = 0;
    if (session->lister == NULL) {
        struct lister *lister = mote_mem_allocate_zeroed(store->mem, sizeof *lister);
        if (lister == NULL) {
            return MOTE_ENOMEM;
        }
        result = mote_reader_open(&lister->reader, &store->database, &store->changes);
        if (result != 0) {
            mote_mem_release(store->mem, lister);
            return result;
        }
        session->lister = lister;
    }
    return mote_reader_list_begin(&session->lister->reader, &session->lister->list, read);
}

/* Begins or continues a list; 1 when it needs another turn. */
static int run_slice(struct mote_store_session *session, struct mote_store_list_users *read)
{
    int result = 0;
    if (!read->filter.is_set) {
        return list_all(session, read);
    }
    if (!session->is_listing) {
        result = begin_list(session, read);
    }
    if (result == 0) {
        result = mote_reader_list_continue(&session->lister->reader, &session->lister->list, SLICE);
        session->reader.looked += session->lister->reader.looked;
        session->lister->reader.looked = 0;
    }
    session->is_listing = result == 1;
    if (result != 1 && session->lister != NULL) {
        mote_reader_end_turn(&session->lister->reader);
    }
    return result;
}

static void run_list(struct mote_task *task)
{
    struct mote_store_session *session = MOTE_CONTAINER_OF(task, struct mote_store_session, list_next);
    struct mote_store_list_users *read = session->lists;
    int result = run_slice(session, read);
    if (result != 1) {
        session->lists = read->next;
        session->outstanding--;
    }
    if (session->lists != NULL) {
        session->mailbox->post(session->mailbox, task);
    }
    if (result != 1) {
        read->done(read, end_observed(session, &read->observer, "list_users", result));
    }
}

int mote_store_session_open(struct mote_store_session **out, struct mote_store *store, struct mote_mailbox *mailbox)
{
    struct mote_store_session *session = mote_mem_allocate_zeroed(store->mem, sizeof *session);
    if (session == NULL) {
        return MOTE_ENOMEM;
    }
    int result = mote_reader_open(&session->reader, &store->database, &store->changes);
    if (result != 0) {
        mote_mem_release(store->mem, session);
        return result;
    }
    session->store = store;
    session->mailbox = mailbox;
    session->follower.mailbox = mailbox;
    session->list_next.run = run_list;
    *out = session;
    return 0;
}

void mote_store_session_close(struct mote_store_session *session)
{
    if (session == NULL) {
        return;
    }
    mote_assert(session->outstanding == 0 && session->follower.changed == NULL);
    if (session->lister != NULL) {
        mote_reader_close(&session->lister->reader);
        mote_mem_release(session->store->mem, session->lister);
    }
    mote_reader_close(&session->reader);
    mote_mem_release(session->store->mem, session);
}

void mote_store_session_end_turn(struct mote_store_session *session)
{
    mote_reader_end_turn(&session->reader);
    session->reader.looked = 0;
}

void mote_store_get_user(struct mote_store_session *session, struct mote_store_get_user *read)
{
    read->done(read, end_read(session, "get_user", mote_reader_get_user(&session->reader, read)));
}

/* Whatever is asked for at once, others on this thread wait for a slice of it only. */
void mote_store_list_users(struct mote_store_session *session, struct mote_store_list_users *read)
{
    int result = 1;
    read->observer = take_observer(session);
    if (session->lists == NULL && session->reader.looked < LOOKED_A_TURN) {
        result = run_slice(session, read);
    }
    if (result != 1) {
        read->done(read, end_observed(session, &read->observer, "list_users", result));
        return;
    }
    read->next = NULL;
    session->outstanding++;
    if (session->lists == NULL) {
        session->lists_end = &session->lists;
        session->mailbox->post(session->mailbox, &session->list_next);
    }
    *session->lists_end = read;
    session->lists_end = &read->next;
}

void mote_store_get_session(struct mote_store_session *session, struct mote_store_get_session *read)
{
    read->done(read, end_read(session, "get_session", mote_reader_get_session(&session->reader, read)));
}

void mote_store_list_sessions(struct mote_store_session *session, struct mote_store_list_sessions *read)
{
    read->done(read, end_read(session, "list_sessions", mote_reader_list_sessions(&session->reader, read)));
}

void mote_store_find_refresh(struct mote_store_session *session, struct mote_store_find_refresh *read)
{
    read->done(read, end_read(session, "find_refresh", mote_reader_find_refresh(&session->reader, read)));
}

void mote_store_find_request(struct mote_store_session *session, struct mote_store_find_request *read)
{
    read->done(read, end_read(session, "find_request", mote_reader_find_request(&session->reader, read)));
}

void mote_store_read_feed(struct mote_store_session *session, struct mote_store_read_feed *read)
{
    read->done(read, end_read(session, "read_feed", mote_feed_read(&session->reader, read)));
}

int64_t mote_store_feed_sequence(const struct mote_store *store)
{
    return atomic_load_explicit(&store->feed.sequence, memory_order_acquire);
}

void mote_store_follow_feed(struct mote_store_session *session, void (*changed)(void *context), void *context)
{
    struct mote_feed_follower *follower = &session->follower;
    if (follower->changed != NULL) {
        mote_feed_unfollow(&session->store->feed, follower);
    }
    follower->changed = changed;
    follower->context = context;
    if (changed != NULL) {
        mote_feed_follow(&session->store->feed, follower);
    }
}

int mote_store_submit(struct mote_store_session *session, struct mote_store_write *write)
{
    write->session = session;
    write->task = (struct mote_task){.run = run_done};
    write->result = 0;
    session->outstanding++;
    int result = mote_writer_submit(&session->store->writer, write);
    if (result != 0) {
        session->outstanding--;
    }
    return result;
}

void mote_store_append_audit(struct mote_store *store, const struct mote_store_audit *audit)
{
    struct lone_audit *lone = mote_mem_allocate_zeroed(store->mem, sizeof *lone);
    if (lone == NULL) {
        tell_lost(store, audit, MOTE_ENOMEM);
        return;
    }
    lone->store = store;
    lone->audit = *audit;
    size_t length = audit->detail.length < sizeof lone->detail ? audit->detail.length : sizeof lone->detail;
    memcpy(lone->detail, length > 0 ? audit->detail.data : lone->detail, length);
    lone->audit.detail = mote_slice(lone->detail, length);
    lone->write.kind = MOTE_STORE_APPEND_AUDIT;
    lone->write.now = store->clock->wall_ns(store->clock->context);
    lone->write.audit = &lone->audit;
    int result = mote_writer_submit(&store->writer, &lone->write);
    if (result != 0) {
        end_lone_audit(lone, result);
    }
}

uint64_t mote_store_commit_number(const struct mote_store *store)
{
    return mote_changes_number(&store->changes);
}

int mote_store_read_changes(struct mote_store *store, uint64_t *position, struct mote_store_change *out, size_t max,
                            size_t *count)
{
    return mote_changes_read(&store->changes, position, out, max, count);
}

int mote_store_load_revocations(struct mote_store_session *session, int64_t since, uint64_t *position,
                                void (*each)(void *context, const struct mote_store_change *change), void *context)
{
    struct mote_reader_revocations read = {.since = since, .each = each, .context = context};
    int result = end_read(session, "load_revocations", mote_reader_load_revocations(&session->reader, &read));
    if (result == 0) {
        *position = read.position;
    }
    return result;
}
