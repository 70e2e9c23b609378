/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening. The order matters:
 *
 *   1. The folder is resolved, so that two spellings of a path meet at one lock.
 *   2. The lock file is taken by flock, which the kernel gives back when the process ends in any way. It is a file of
 * its own because closing any descriptor of the database drops SQLite's locks on it in the whole process; for that
 * reason nothing here opens the database itself, but for a new one that no connection knows yet.
 *   3. A new database is made complete under another name and then renamed: at no moment, kill or power loss, is there
 *      an empty or half-made file under the real name. So an empty file is never taken for a new store: somebody's data
 *      was lost, and that must not look like success. The same holds for a log without its database.
 *   4. Only a file with mote's application id is touched at all.
 */
#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/copy.h"
#include "store/problem.h"
#include "store/schema.h"

#define PAGE_SIZE_MIN 512
#define PID_MAX       24u

/* --- names ----------------------------------------------------------------------------------------------------- */

void mote_database_beside(char out[PATH_MAX], const struct mote_database *database, const char *suffix)
{
    /* resolve() has left room for the suffix. */
    (void)snprintf(out, PATH_MAX, "%.*s%s", (int)(PATH_MAX - MOTE_DATABASE_SUFFIX_MAX - 1), database->path, suffix);
}

/* An existing file by its real name; a new one in its folder's real name. */
static int resolve(struct mote_database *database, const char *path, char *problem)
{
    char folder_of[PATH_MAX];
    char name_of[PATH_MAX];
    char folder[PATH_MAX];
    if (strlen(path) + MOTE_DATABASE_SUFFIX_MAX >= PATH_MAX) {
        return mote_problem_tell(problem, MOTE_EINVAL, "sqlite: the path is too long (%u bytes at most)",
                                 PATH_MAX - MOTE_DATABASE_SUFFIX_MAX - 1);
    }
    if (realpath(path, database->path) == NULL) {
        if (errno != ENOENT) {
            return mote_problem_of_system(problem, errno, "open", path);
        }
        (void)snprintf(folder_of, sizeof folder_of, "%s", path);
        (void)snprintf(name_of, sizeof name_of, "%s", path);
        const char *name = basename(name_of);
        if (realpath(dirname(folder_of), folder) == NULL) {
            return mote_problem_of_system(problem, errno, "open", path);
        }
        const char *separator = strcmp(folder, "/") == 0 ? "" : "/";
        if (strlen(folder) + strlen(name) + 1 >= sizeof database->path) {
            return mote_problem_tell(problem, MOTE_EINVAL, "sqlite: the path is too long");
        }
        memcpy(database->path, folder, strlen(folder) + 1);
        strcat(strcat(database->path, separator), name);
    }
    if (strlen(database->path) + MOTE_DATABASE_SUFFIX_MAX >= PATH_MAX) {
        return mote_problem_tell(problem, MOTE_EINVAL, "sqlite: the path is too long (%u bytes at most)",
                                 PATH_MAX - MOTE_DATABASE_SUFFIX_MAX - 1);
    }
    return 0;
}

/* A folder of its own, in memory where the system has such a file system: WAL needs real files. */
static int resolve_temporary(struct mote_database *database, char *problem)
{
    static const char *const folders[] = {"/dev/shm", "/tmp"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(database->path, sizeof database->path, "%s/mote-XXXXXX", folders[i]);
        if (mkdtemp(database->path) != NULL) {
            strcat(database->path, "/mote.db");
            database->is_temporary = true;
            return 0;
        }
    }
    return mote_problem_of_system(problem, errno, "make a temporary folder for", "memory:");
}

/* --- lock ------------------------------------------------------------------------------------------------------ */

static int tell_locked(int lock, const struct mote_database *database, char *problem)
{
    char pid[PID_MAX] = "";
    ssize_t length = pread(lock, pid, sizeof pid - 1, 0);
    pid[length > 0 ? strspn(pid, "0123456789") : 0] = '\0';
    if (pid[0] == '\0') {
        return mote_problem_tell(problem, MOTE_EBUSY, "sqlite: %s is locked by another mote",
                                 mote_problem_shown(database->path));
    }
    return mote_problem_tell(problem, MOTE_EBUSY, "sqlite: %s is locked by another mote (pid %s)",
                             mote_problem_shown(database->path), pid);
}

int mote_database_lock(struct mote_database *database, char problem[MOTE_STORE_PROBLEM_MAX])
{
    char path[PATH_MAX];
    mote_database_beside(path, database, ".lock");
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) {
        return mote_problem_of_system(problem, errno, "open", path);
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        int result = errno == EWOULDBLOCK ? tell_locked(lock, database, problem)
                                          : mote_problem_of_system(problem, errno, "lock", path);
        close(lock);
        return result;
    }
    /* The number is for the message above only: without it, on a full disk, the lock is as good. Always of the same
     * length, it replaces the one before it whole. */
    char pid[PID_MAX];
    int length = snprintf(pid, sizeof pid, "%-10ld\n", (long)getpid());
    ssize_t written = pwrite(lock, pid, (size_t)length, 0);
    (void)written;
    database->lock = lock;
    return 0;
}

/* --- birth ----------------------------------------------------------------------------------------------------- */

int mote_database_sync(const char *path, int flags)
{
    int descriptor = open(path, flags | O_CLOEXEC);
    if (descriptor < 0) {
        return errno;
    }
    int number = fsync(descriptor) != 0 ? errno : 0;
    close(descriptor);
    return number;
}

static int fill_new(const char *path)
{
    sqlite3 *db = NULL;
    char text[96];
    errno = 0;
    /* Nobody sees the file before it is complete, so it needs neither a journal nor a sync before the one at the end.
     */
    snprintf(text, sizeof text, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA application_id = %d",
             MOTE_SCHEMA_APPLICATION_ID);
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_exec(db, text, NULL, NULL, NULL); /* fixed: a number of ours */
    }
    if (code == SQLITE_OK) {
        code = mote_schema_migrate(db, 0, MOTE_SCHEMA_VERSION);
    }
    int error = mote_sqlite_error(code);
    (void)sqlite3_close(db);
    return error;
}

static int make_new(struct mote_database *database, char *problem)
{
    char fresh[PATH_MAX];
    char folder[PATH_MAX];
    mote_database_beside(fresh, database, ".new");
    (void)unlink(fresh); /* of a process that was killed right here; the lock is ours */
    int descriptor = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return mote_problem_of_system(problem, errno, "create", fresh);
    }
    close(descriptor);
    int result = fill_new(fresh);
    if (result != 0) {
        (void)unlink(fresh);
        return mote_problem_of_database(problem, result, "create", database->path);
    }
    (void)snprintf(folder, sizeof folder, "%s", database->path);
    int number = mote_database_sync(fresh, O_RDWR);
    if (number == 0 && rename(fresh, database->path) != 0) {
        number = errno;
    }
    if (number == 0) {
        number = mote_database_sync(dirname(folder), O_RDONLY | O_DIRECTORY);
    }
    if (number != 0) {
        (void)unlink(fresh);
        return mote_problem_of_system(problem, number, "create", database->path);
    }
    database->is_new = true;
    return 0;
}

/* --- checks ---------------------------------------------------------------------------------------------------- */

static int check_orphan(const struct mote_database *database, const char *suffix, char *problem)
{
    char path[PATH_MAX];
    struct stat status;
    mote_database_beside(path, database, suffix);
    if (lstat(path, &status) == 0 && status.st_size > 0) {
        return mote_problem_tell(problem, MOTE_ECORRUPT,
                                 "sqlite: %s is missing but its %s is there: restore both from a backup, or "
                                 "remove that",
                                 mote_problem_shown(database->path), suffix);
    }
    return 0;
}

static void warn_of_mode(const struct mote_database *database, const struct stat *status, struct mote_log *log)
{
    if ((status->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        mote_log(log, MOTE_LOG_WARN, "store", "store.mode", "the database can be read by other users: chmod 600",
                 mote_log_text("path", database->path));
    }
}

/* Looks at the file without opening it; makes it when there is none. */
static int look_at_file(struct mote_database *database, struct mote_log *log, char *problem)
{
    struct stat status;
    if (stat(database->path, &status) != 0) {
        if (errno != ENOENT) {
            return mote_problem_of_system(problem, errno, "open", database->path);
        }
        int result = check_orphan(database, "-wal", problem);
        if (result == 0) {
            result = check_orphan(database, "-journal", problem);
        }
        return result == 0 ? make_new(database, problem) : result;
    }
    if (!S_ISREG(status.st_mode)) {
        return mote_problem_tell(problem, MOTE_ECORRUPT, "sqlite: %s is not a regular file",
                                 mote_problem_shown(database->path));
    }
    if (status.st_size == 0) {
        return mote_problem_tell(problem, MOTE_ECORRUPT,
                                 "sqlite: %s is empty, which a store never is: restore it from a backup, or "
                                 "remove it to begin a new one",
                                 mote_problem_shown(database->path));
    }
    if (status.st_size < PAGE_SIZE_MIN) { /* SQLite would take it for an empty database */
        return mote_problem_of_database(problem, MOTE_ECORRUPT, "read", database->path);
    }
    if (access(database->path, R_OK | W_OK) != 0) {
        return mote_problem_of_system(problem, errno, "write", database->path);
    }
    warn_of_mode(database, &status, log);
    return 0;
}

int mote_database_check_version(const char *path, sqlite3 *db, int64_t *version, char problem[MOTE_STORE_PROBLEM_MAX])
{
    int64_t application = 0;
    int result = mote_sqlite_query_int(db, "PRAGMA application_id", &application);
    if (result == 0) {
        result = mote_sqlite_query_int(db, "PRAGMA user_version", version);
    }
    if (result != 0) {
        return mote_problem_of_database(problem, result, "read", path);
    }
    if (application != MOTE_SCHEMA_APPLICATION_ID) {
        return mote_problem_tell(problem, MOTE_ECORRUPT, "sqlite: %s is a database of another program",
                                 mote_problem_shown(path));
    }
    if (*version > MOTE_SCHEMA_VERSION) {
        return mote_problem_tell(problem, MOTE_EVERSION,
                                 "sqlite: %s has schema version %lld, this mote knows %d: use the newer mote",
                                 mote_problem_shown(path), (long long)*version, MOTE_SCHEMA_VERSION);
    }
    if (*version < 0) {
        return mote_problem_of_database(problem, MOTE_ECORRUPT, "read", path);
    }
    return 0;
}

static int set_wal(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;
    errno = 0;
    int code = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    int error = MOTE_EIO;
    if (code != SQLITE_ROW) {
        error = mote_sqlite_error(code);
    } else if (strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0) {
        error = 0;
    }
    (void)sqlite3_finalize(statement);
    return error;
}

/* What a migration cannot undo: the store as it was stays beside it, for the mote that it was made by. */
static int keep_before_migration(const struct mote_database *database, sqlite3 *db, struct mote_log *log, char *problem)
{
    char fresh[PATH_MAX];
    char kept[PATH_MAX];
    char suffix[MOTE_DATABASE_SUFFIX_MAX];
    (void)snprintf(suffix, sizeof suffix, ".before-v%d", MOTE_SCHEMA_VERSION);
    mote_database_beside(kept, database, suffix);
    mote_database_beside(fresh, database, ".copy");
    int result = mote_copy_write(db, fresh, NULL, problem);
    if (result == 0) {
        result = mote_copy_publish(fresh, kept, true, problem);
    }
    if (result == 0) {
        mote_log(log, MOTE_LOG_INFO, "store", "store.migrating", "the store is kept as it was, and brought up to date",
                 mote_log_text("kept", kept), mote_log_int("version", MOTE_SCHEMA_VERSION));
    }
    return result;
}

static int open_writer(struct mote_database *database, struct mote_sqlite *writer, struct mote_log *log, char *problem)
{
    int64_t version = 0;
    int result = mote_sqlite_open(writer, database->path, MOTE_STATEMENT_OF_WRITER);
    if (result != 0) {
        return mote_problem_of_database(problem, result, "open", database->path);
    }
    result = mote_database_check_version(database->path, writer->db, &version, problem);
    if (result == 0 && version > 0 && version < MOTE_SCHEMA_VERSION) {
        result = keep_before_migration(database, writer->db, log, problem);
    }
    if (result != 0) {
        return result;
    }
    result = set_wal(writer->db);
    if (result == 0) {
        int code = mote_schema_migrate(writer->db, (int)version, MOTE_SCHEMA_VERSION);
        /* The steps are known to be right: then the tables are not those of that version. */
        result = (code & 0xff) == SQLITE_ERROR ? MOTE_ECORRUPT : mote_sqlite_error(code);
    }
    if (result == 0) {
        result = mote_sqlite_prepare(writer, MOTE_STATEMENT_OF_WRITER);
    }
    return result == 0 ? 0 : mote_problem_of_database(problem, result, "open", database->path);
}

/* --- all ------------------------------------------------------------------------------------------------------- */

int mote_database_find(struct mote_database *database, const char *url, char problem[MOTE_STORE_PROBLEM_MAX])
{
    static const char scheme[] = "sqlite:";
    *database = (struct mote_database){.lock = -1};
    problem[0] = '\0';
    if (strcmp(url, "memory:") == 0) {
        return resolve_temporary(database, problem);
    }
    if (strncmp(url, scheme, sizeof scheme - 1) == 0 && url[sizeof scheme - 1] != '\0') {
        return resolve(database, url + sizeof scheme - 1, problem);
    }
    /* Not shown: a URL may hold a password. */
    return mote_problem_tell(problem, MOTE_EINVAL, "store: the URL must be sqlite:PATH or memory:");
}

static int tell_missing(char *problem, const char *path)
{
    return mote_problem_tell(problem, MOTE_ENOTFOUND, "sqlite: there is no %s", mote_problem_shown(path));
}

int mote_database_open(struct mote_database *database, struct mote_sqlite *writer,
                       const struct mote_store_options *options, char problem[MOTE_STORE_PROBLEM_MAX])
{
    *writer = (struct mote_sqlite){.db = NULL};
    int result = mote_database_find(database, options->url, problem);
    if (result == 0 && options->must_exist && mote_database_inode(database->path) == 0) {
        result = tell_missing(problem, database->path);
    }
    if (result == 0) {
        result = mote_database_lock(database, problem);
    }
    if (result == 0) {
        result = look_at_file(database, options->log, problem);
    }
    if (result == 0) {
        result = open_writer(database, writer, options->log, problem);
        database->inode = mote_database_inode(database->path);
    }
    if (result != 0) {
        mote_sqlite_close(writer);
        mote_database_close(database);
    }
    return result;
}

void mote_database_close(struct mote_database *database)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    char path[PATH_MAX];
    if (database->is_temporary) {
        for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
            mote_database_beside(path, database, suffixes[i]);
            (void)unlink(path);
        }
        (void)snprintf(path, sizeof path, "%s", database->path);
        (void)rmdir(dirname(path));
        database->is_temporary = false;
    }
    if (database->lock >= 0) {
        close(database->lock);
        database->lock = -1;
    }
}

ino_t mote_database_inode(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

int64_t mote_database_size(const struct mote_database *database)
{
    struct stat status;
    return stat(database->path, &status) == 0 ? (int64_t)status.st_size : 0;
}

/* --- looking ----------------------------------------------------------------------------------------------------- */

int mote_database_look(struct mote_sqlite *sqlite, const char *path, int64_t *version,
                       char problem[MOTE_STORE_PROBLEM_MAX])
{
    struct stat status;
    *sqlite = (struct mote_sqlite){.db = NULL};
    if (stat(path, &status) != 0) {
        return errno == ENOENT ? tell_missing(problem, path) : mote_problem_of_system(problem, errno, "read", path);
    }
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
        return mote_problem_of_database(problem, MOTE_ECORRUPT, "read", path);
    }
    int result = mote_sqlite_open_for_looking(sqlite, path);
    if (result != 0) {
        return mote_problem_of_database(problem, result, "read", path);
    }
    result = mote_database_check_version(path, sqlite->db, version, problem);
    if (result != 0) {
        mote_sqlite_close(sqlite);
    }
    return result;
}

int mote_database_find_existing(struct mote_database *database, const char *url, char problem[MOTE_STORE_PROBLEM_MAX])
{
    if (strcmp(url, "memory:") == 0) {
        return mote_problem_tell(problem, MOTE_EUNSUPPORTED, "store: a store in memory: has no file");
    }
    mote_sqlite_set_up();
    return mote_database_find(database, url, problem);
}
