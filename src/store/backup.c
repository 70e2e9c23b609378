/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring, in this order: the lock, so that no server runs; the backup is copied to a new file beside the store and
 * checked there, so that nothing has been touched when it is no good; what the old store's log holds is moved into it,
 * or, when it is too damaged for that, the log is put aside with it; the old store gets a second name; the new one is
 * renamed over its first.
 */
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/apply_internal.h"
#include "store/database.h"
#include "store/problem.h"
#include "store/schema.h"

#define AUDIT_SINCE_VERSION 3

/* --- what must hold between rows --------------------------------------------------------------------------------- */

/* Each counts what breaks it. */
static const struct invariant {
    const char *text;
    const char *sql;
} invariants[] = {
    {"rows that refer to rows that are not there", "SELECT count(*) FROM pragma_foreign_key_check"},
    {"the number of users is kept wrong",
     "SELECT value <> (SELECT count(*) FROM users) FROM counters WHERE name = 'users'"},
    {"the numbers of hashes are kept wrong",
     "SELECT count(*) FROM (SELECT 1 FROM (SELECT name, value FROM counters WHERE name > 'hash ' AND name < 'hash!' "
     "UNION ALL SELECT " MOTE_SCHEMA_HASH_COUNTER("password_hash") ", -count(*) FROM users WHERE password_hash <> '' "
                                                                   "GROUP BY 1) GROUP BY name HAVING sum(value) <> 0)"},
    {"sessions with more than one unused refresh token",
     "SELECT count(*) FROM (SELECT 1 FROM refresh_tokens WHERE use_time = 0 GROUP BY session_id HAVING count(*) > 1)"},
    {"refresh tokens that succeed a token of another session",
     "SELECT count(*) FROM refresh_tokens AS t JOIN refresh_tokens AS p ON p.hash = t.parent "
     "WHERE p.session_id <> t.session_id"},
    {"refresh tokens that succeed one that was not used",
     "SELECT count(*) FROM refresh_tokens AS t JOIN refresh_tokens AS p ON p.hash = t.parent WHERE p.use_time = 0"},
    {"users in a state that does not exist", "SELECT count(*) FROM users WHERE state NOT IN (1, 3)"},
    {"users who are there and deleted", "SELECT count(*) FROM users WHERE id IN (SELECT id FROM deleted_users)"},
    {"rows missing in the audit record",
     "SELECT (SELECT ifnull(max(id), 0) - count(*) FROM audit) - (SELECT value FROM counters WHERE name = "
     "'audit_pruned')"},
};

#define INVARIANTS (sizeof invariants / sizeof invariants[0])

static int check_rows(sqlite3 *db, void (*each)(void *context, const char *finding), void *context)
{
    bool is_wrong = false;
    for (size_t i = 0; i < INVARIANTS; i++) {
        char line[160];
        int64_t count = 0;
        int result = mote_sqlite_query_int(db, invariants[i].sql, &count); /* fixed: a table */
        if (result != 0) {
            return result == MOTE_EINTERNAL || result == MOTE_ENOTFOUND ? MOTE_ECORRUPT : result;
        }
        if (count != 0) {
            is_wrong = true;
            (void)snprintf(line, sizeof line, "%s: %lld", invariants[i].text, (long long)count);
            each(context, line);
        }
    }
    return is_wrong ? MOTE_ECORRUPT : 0;
}

int mote_backup_check(const char *url, void (*each)(void *context, const char *finding), void *context,
                      char problem[MOTE_STORE_PROBLEM_MAX])
{
    struct mote_database database;
    struct mote_sqlite sqlite;
    int64_t version = 0;
    int result = mote_database_find_existing(&database, url, problem);
    if (result == 0) {
        result = mote_database_look(&sqlite, database.path, &version, problem);
    }
    if (result != 0) {
        return result;
    }
    errno = 0;
    result = mote_sqlite_error(sqlite3_exec(sqlite.db, "BEGIN", NULL, NULL, NULL)); /* all of it at one moment */
    if (result == 0) {
        result = mote_copy_check(sqlite.db, each, context);
    }
    if (result == 0 && version == MOTE_SCHEMA_VERSION) {
        result = check_rows(sqlite.db, each, context);
    }
    mote_sqlite_close(&sqlite);
    if (result != 0) {
        (void)mote_problem_of_database(problem, result, "check", database.path);
    }
    return result;
}

/* --- backup ------------------------------------------------------------------------------------------------------ */

/* A backup over the store itself, or over one of its other files, would be its end. */
static int refuse_own_files(const struct mote_database *database, const char *path, char *problem)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
    struct stat target;
    if (stat(path, &target) != 0) {
        return errno == ENOENT ? 0 : mote_problem_of_system(problem, errno, "write", path);
    }
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char own[PATH_MAX];
        struct stat status;
        mote_database_beside(own, database, suffixes[i]);
        if (stat(own, &status) == 0 && status.st_dev == target.st_dev && status.st_ino == target.st_ino) {
            return mote_problem_tell(problem, MOTE_EEXISTS, "sqlite: %s is the store itself: choose another name",
                                     mote_problem_shown(path));
        }
    }
    return S_ISREG(target.st_mode)
               ? 0
               : mote_problem_tell(problem, MOTE_EEXISTS, "sqlite: %s is not a regular file", mote_problem_shown(path));
}

int mote_backup_make(const struct mote_backup *backup, char problem[MOTE_STORE_PROBLEM_MAX])
{
    struct mote_database database;
    struct mote_sqlite sqlite;
    char fresh[PATH_MAX];
    int64_t version = 0;
    int result = mote_database_find_existing(&database, backup->url, problem);
    if (result == 0) {
        result = refuse_own_files(&database, backup->path, problem);
    }
    if (result == 0 && !backup->replace && access(backup->path, F_OK) == 0) {
        result = mote_problem_tell(problem, MOTE_EEXISTS, "sqlite: %s exists: choose another name",
                                   mote_problem_shown(backup->path));
    }
    if (result == 0 && snprintf(fresh, sizeof fresh, "%s.partial", backup->path) >= (int)sizeof fresh) {
        result = mote_problem_tell(problem, MOTE_EINVAL, "sqlite: the path is too long");
    }
    if (result == 0) {
        result = mote_database_look(&sqlite, database.path, &version, problem);
    }
    if (result != 0) {
        return result;
    }
    result = mote_copy_write(sqlite.db, fresh, &backup->progress, problem);
    mote_sqlite_close(&sqlite);
    return result == 0 ? mote_copy_publish(fresh, backup->path, backup->replace, problem) : result;
}

/* --- restore ----------------------------------------------------------------------------------------------------- */

static int copy_backup(const struct mote_backup *backup, const char *fresh, int64_t *version, char *problem)
{
    struct mote_sqlite sqlite;
    int result = mote_database_look(&sqlite, backup->path, version, problem);
    if (result == 0) {
        result = mote_copy_check(sqlite.db, NULL, NULL);
        if (result != 0) {
            (void)mote_problem_of_database(problem, result, "read", backup->path);
        }
    }
    if (result == 0) {
        result = mote_copy_write(sqlite.db, fresh, &backup->progress, problem);
    }
    mote_sqlite_close(&sqlite);
    return result;
}

/* The audit record of what was there is kept with it; that of the backup goes on with where it came from. */
static int record_restore(const struct mote_backup *backup, int64_t now, const char *fresh, char *problem)
{
    struct mote_sqlite sqlite;
    const struct mote_apply apply = {.sqlite = &sqlite, .now = now};
    const struct mote_store_audit entry = {.action = MOTE_STORE_AUDIT_RESTORE_STORE,
                                           .actor = MOTE_STORE_ACTOR_LOCAL,
                                           .detail = mote_slice_text(mote_problem_shown(backup->path))};
    int result = mote_sqlite_open(&sqlite, fresh, MOTE_STATEMENT_OF_WRITER);
    if (result == 0) { /* no journal beside a file that nobody knows yet */
        result = mote_sqlite_error(sqlite3_exec(sqlite.db, "PRAGMA journal_mode = MEMORY", NULL, NULL, NULL));
    }
    if (result == 0) {
        result = mote_sqlite_prepare_one(&sqlite, MOTE_STATEMENT_INSERT_AUDIT, 0,
                                         &sqlite.statements[MOTE_STATEMENT_INSERT_AUDIT]);
    }
    if (result == 0) {
        result = mote_apply_append_audit(&apply, &entry);
    }
    mote_sqlite_close(&sqlite);
    if (result != 0) {
        (void)unlink(fresh);
        return mote_problem_of_database(problem, result, "write the copy", fresh);
    }
    return 0;
}

/* As well as it goes: the old store may be damaged, which is why it is replaced. The last connection removes the log.
 */
static void empty_log(const struct mote_database *database)
{
    struct mote_sqlite sqlite;
    if (access(database->path, F_OK) == 0 && mote_sqlite_open(&sqlite, database->path, MOTE_STATEMENT_OF_WRITER) == 0) {
        (void)sqlite3_wal_checkpoint_v2(sqlite.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        mote_sqlite_close(&sqlite);
    }
}

/* Puts a log that is still there beside the old store; it must not be taken for the new one's. 0 or errno. */
static int put_log_aside(const struct mote_database *database, const char *kept)
{
    char log[PATH_MAX];
    char index[PATH_MAX];
    char aside[PATH_MAX];
    mote_database_beside(log, database, "-wal");
    mote_database_beside(index, database, "-shm");
    (void)snprintf(aside, sizeof aside, "%.*s-wal", (int)(sizeof aside - sizeof "-wal"), kept);
    if (rename(log, aside) != 0 && errno != ENOENT) {
        return errno;
    }
    return unlink(index) == 0 || errno == ENOENT ? 0 : errno;
}

/* A second name for the old store; where the file system has no links, its only one for a moment. 0 or errno. */
static int keep_old(const struct mote_database *database, char kept[PATH_MAX])
{
    if (link(database->path, kept) == 0) {
        return 0;
    }
    if (errno == ENOENT) {
        kept[0] = '\0';
        return 0;
    }
    if (errno != EPERM && errno != EOPNOTSUPP) {
        return errno;
    }
    return rename(database->path, kept) == 0 ? 0 : errno;
}

static int replace_store(const struct mote_database *database, int64_t now, const char *fresh, char kept[PATH_MAX],
                         char *problem)
{
    char suffix[MOTE_DATABASE_SUFFIX_MAX];
    struct tm utc;
    time_t seconds = (time_t)(now / (int64_t)MOTE_NS_PER_SECOND);
    (void)gmtime_r(&seconds, &utc);
    (void)strftime(suffix, sizeof suffix, ".before-restore-%Y%m%dT%H%M%SZ", &utc);
    mote_database_beside(kept, database, suffix);
    if (access(kept, F_OK) == 0) { /* twice in a second */
        (void)unlink(fresh);
        return mote_problem_tell(problem, MOTE_EBUSY, "sqlite: %s exists: try again", mote_problem_shown(kept));
    }
    empty_log(database);
    int number = put_log_aside(database, kept);
    if (number == 0) {
        number = keep_old(database, kept);
    }
    if (number != 0) {
        (void)unlink(fresh);
        return mote_problem_of_system(problem, number, "keep the old store as", kept);
    }
    return mote_copy_publish(fresh, database->path, true, problem);
}

int mote_backup_restore(const struct mote_backup *backup, int64_t now, char kept[PATH_MAX],
                        char problem[MOTE_STORE_PROBLEM_MAX])
{
    struct mote_database database;
    char fresh[PATH_MAX];
    int64_t version = 0;
    kept[0] = '\0';
    int result = mote_database_find_existing(&database, backup->url, problem);
    if (result != 0) {
        return result;
    }
    result = mote_database_lock(&database, problem);
    if (result == 0) {
        result = refuse_own_files(&database, backup->path, problem);
    }
    if (result == 0) {
        mote_database_beside(fresh, &database, ".restore");
        result = copy_backup(backup, fresh, &version, problem);
    }
    if (result == 0 && version >= AUDIT_SINCE_VERSION) {
        result = record_restore(backup, now, fresh, problem);
    }
    if (result == 0) {
        result = replace_store(&database, now, fresh, kept, problem);
    }
    mote_database_close(&database);
    return result;
}
