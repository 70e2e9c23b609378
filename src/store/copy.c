/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy is made by SQLite's backup interface from a connection that holds a read transaction, so that writers never
 * make it begin again. It has no journal of its own, and needs none: nobody sees it before it has been synced, checked
 * and renamed. It leaves this file without a write-ahead log, as one file.
 */
#include "store/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/database.h"
#include "store/problem.h"

#define STEP_PAGES 256

static int create_file(const char *path, char *problem)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        return mote_problem_of_system(problem, errno, "replace", path);
    }
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        int result = mote_problem_of_system(problem, errno, "create", path);
        return result == MOTE_ENOTFOUND ? MOTE_EACCESS : result; /* it is not the store that is missing */
    }
    close(descriptor);
    return 0;
}

static int copy_pages(sqlite3 *source, sqlite3 *target, const struct mote_copy_progress *progress)
{
    int64_t page_size = 0;
    int error = mote_sqlite_query_int(source, "PRAGMA page_size", &page_size);
    if (error != 0) {
        return error;
    }
    errno = 0;
    sqlite3_backup *backup = sqlite3_backup_init(target, "main", source, "main");
    if (backup == NULL) {
        return mote_sqlite_error(sqlite3_errcode(target));
    }
    int code = SQLITE_OK;
    while (code == SQLITE_OK) {
        code = sqlite3_backup_step(backup, STEP_PAGES);
        if (code == SQLITE_OK && progress != NULL && progress->move != NULL) {
            uint64_t total = (uint64_t)sqlite3_backup_pagecount(backup) * (uint64_t)page_size;
            uint64_t left = (uint64_t)sqlite3_backup_remaining(backup) * (uint64_t)page_size;
            progress->move(progress->context, total - left, total);
        }
    }
    error = code == SQLITE_DONE ? 0 : mote_sqlite_error(code);
    code = sqlite3_backup_finish(backup);
    return error != 0 ? error : mote_sqlite_error(code);
}

static int copy_snapshot(sqlite3 *source, sqlite3 *target, const struct mote_copy_progress *progress)
{
    int64_t pages = 0;
    errno = 0;
    int error = mote_sqlite_error(sqlite3_exec(source, "BEGIN", NULL, NULL, NULL));
    if (error != 0) {
        return error;
    }
    error = mote_sqlite_query_int(source, "SELECT count(*) FROM sqlite_schema", &pages); /* the snapshot is this one */
    if (error == 0) {
        error = copy_pages(source, target, progress);
    }
    int end = mote_sqlite_error(sqlite3_exec(source, "ROLLBACK", NULL, NULL, NULL)); /* it has changed nothing */
    return error != 0 ? error : end;
}

static int fill(sqlite3 *source, const char *fresh, const struct mote_copy_progress *progress)
{
    sqlite3 *target = NULL;
    errno = 0;
    int code =
        sqlite3_open_v2(fresh, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_exec(target, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL);
    }
    int error = mote_sqlite_error(code);
    if (error == 0) {
        error = copy_snapshot(source, target, progress);
    }
    if (error == 0) {
        errno = 0;
        error = mote_sqlite_error(sqlite3_exec(target, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL));
    }
    (void)sqlite3_close(target);
    return error;
}

static int check_file(const char *path)
{
    struct mote_sqlite sqlite;
    int error = mote_sqlite_open_for_looking(&sqlite, path);
    if (error == 0) {
        error = mote_copy_check(sqlite.db, NULL, NULL);
        mote_sqlite_close(&sqlite);
    }
    return error;
}

int mote_copy_write(sqlite3 *source, const char *fresh, const struct mote_copy_progress *progress,
                    char problem[MOTE_STORE_PROBLEM_MAX])
{
    int result = create_file(fresh, problem);
    if (result != 0) {
        return result;
    }
    result = fill(source, fresh, progress);
    if (result != 0) {
        (void)mote_problem_of_database(problem, result, "write the copy", fresh);
        goto fail;
    }
    int number = mote_database_sync(fresh, O_RDWR);
    if (number != 0) {
        result = mote_problem_of_system(problem, number, "write the copy", fresh);
        goto fail;
    }
    result = check_file(fresh);
    if (result == 0) {
        return 0;
    }
    (void)mote_problem_tell(problem, result, "sqlite: the copy %s is not good (%s), so neither is what was copied",
                            mote_problem_shown(fresh), mote_error_text(result));
fail:
    (void)unlink(fresh);
    return result;
}

int mote_copy_check(sqlite3 *db, void (*each)(void *context, const char *finding), void *context)
{
    sqlite3_stmt *statement = NULL;
    errno = 0;
    int result = mote_sqlite_error(sqlite3_prepare_v2(db, "PRAGMA integrity_check(100)", -1, &statement, NULL));
    int step = result == 0 ? mote_sqlite_step(statement) : 0;
    while (step == 1) {
        const char *finding = (const char *)sqlite3_column_text(statement, 0);
        if (finding == NULL || strcmp(finding, "ok") != 0) {
            result = MOTE_ECORRUPT;
            if (each != NULL) {
                each(context, finding != NULL ? finding : "?");
            }
        }
        step = mote_sqlite_step(statement);
    }
    (void)sqlite3_finalize(statement);
    return result == 0 ? step : result;
}

/* Other file systems than Linux's own may not know RENAME_NOREPLACE: there it is looked at just before. */
static int rename_carefully(const char *from, const char *to, bool replace)
{
    if (replace) {
        return rename(from, to) == 0 ? 0 : errno;
    }
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return errno;
    }
    if (access(to, F_OK) == 0) {
        return EEXIST;
    }
    return rename(from, to) == 0 ? 0 : errno;
}

int mote_copy_publish(const char *fresh, const char *path, bool replace, char problem[MOTE_STORE_PROBLEM_MAX])
{
    char folder[PATH_MAX];
    int number = rename_carefully(fresh, path, replace);
    if (number != 0) {
        (void)unlink(fresh);
    } else {
        (void)snprintf(folder, sizeof folder, "%s", path);
        number = mote_database_sync(dirname(folder), O_RDONLY | O_DIRECTORY);
    }
    if (number == EEXIST) {
        return mote_problem_tell(problem, MOTE_EEXISTS, "sqlite: %s exists: choose another name",
                                 mote_problem_shown(path));
    }
    return number == 0 ? 0 : mote_problem_of_system(problem, number, "write", path);
}
