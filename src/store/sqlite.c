/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections. The write-ahead log has a bug in all releases before 3.51.3 that can corrupt the file when two
 * connections write or checkpoint: only the writer's does either, a reader neither checkpoints when it commits nor when
 * it closes. Memory-mapped reading stays off: a bad sector or a truncated file must be an error code, not a signal.
 */
#include "store/sqlite.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "store/schema.h"

#define READER_BUSY_MS 50  /* an event loop waits at most that long for another program's lock */
#define WRITER_BUSY_MS 250 /* the writer has its own thread */
#define PAGE_CACHE_KIB "256"

/* Of the statements that read users, where they have them. */
#define VALUE_OF_ID   12
#define VALUE_OF_HASH 13

static void take_user(sqlite3_context *context, int count, sqlite3_value **values);

static void set_up_once(void)
{
    /* Refused when the library is in use already, which costs speed and memory only. Memory statistics cost a lock,
     * shared by all threads, for every allocation. Pages are allocated as they are needed, not by 20 for each
     * connection. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
}

void mote_sqlite_set_up(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_once);
}

static int of_system_error(int number, int fallback)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return MOTE_EFULL;
    case EROFS:
        return MOTE_EREADONLY;
    case EACCES:
    case EPERM:
        return MOTE_EACCESS;
    case ENOMEM:
        return MOTE_ENOMEM;
    default:
        return fallback;
    }
}

int mote_sqlite_error(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
        return 0;
    case SQLITE_NOMEM:
        return MOTE_ENOMEM;
    case SQLITE_FULL:
        return MOTE_EFULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return MOTE_EBUSY;
    case SQLITE_READONLY:
        return MOTE_EREADONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return MOTE_ECORRUPT;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return of_system_error(errno, MOTE_EIO);
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return MOTE_EACCESS;
    case SQLITE_INTERRUPT:
        return MOTE_ECANCELLED;
    default:
        return MOTE_EINTERNAL;
    }
}

static int configure(sqlite3 *db, enum mote_statement_role role)
{
    static const struct {
        int option;
        int value;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},   {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},     {SQLITE_DBCONFIG_ENABLE_FKEY, 1},    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 1},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        int code = sqlite3_db_config(db, options[i].option, options[i].value, (int *)NULL);
        if (code != SQLITE_OK) {
            return code;
        }
    }
    int code = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, role == MOTE_STATEMENT_OF_READER, (int *)NULL);
    if (code != SQLITE_OK) {
        return code;
    }
    code = sqlite3_busy_timeout(db, role == MOTE_STATEMENT_OF_READER ? READER_BUSY_MS : WRITER_BUSY_MS);
    if (code != SQLITE_OK) {
        return code;
    }
    (void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
    return sqlite3_exec(db,
                        "PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON; PRAGMA wal_autocheckpoint = 0;"
                        "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA cache_size = -" PAGE_CACHE_KIB,
                        NULL, NULL, NULL);
}

/* The pointer has a place of its own, as a connection may be handed on. */
static int add_function(struct mote_sqlite *sqlite)
{
    sqlite->user = sqlite3_malloc(sizeof(struct mote_user *));
    if (sqlite->user == NULL) {
        return SQLITE_NOMEM;
    }
    /* Frees it after an error, too. */
    return sqlite3_create_function_v2(sqlite->db, MOTE_STATEMENT_USER, -1, SQLITE_UTF8 | SQLITE_DIRECTONLY,
                                      sqlite->user, take_user, NULL, NULL, sqlite3_free);
}

static int open_with(struct mote_sqlite *sqlite, const char *path, enum mote_statement_role role, int access)
{
    *sqlite = (struct mote_sqlite){.db = NULL};
    errno = 0;
    int code = sqlite3_open_v2(path, &sqlite->db,
                               access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK) {
        code = configure(sqlite->db, role);
    }
    if (code == SQLITE_OK) {
        code = add_function(sqlite);
    }
    if (code != SQLITE_OK) {
        int error = mote_sqlite_error(code);
        mote_sqlite_close(sqlite);
        return error;
    }
    return 0;
}

int mote_sqlite_open(struct mote_sqlite *sqlite, const char *path, enum mote_statement_role role)
{
    return open_with(sqlite, path, role, SQLITE_OPEN_READWRITE);
}

int mote_sqlite_open_for_looking(struct mote_sqlite *sqlite, const char *path)
{
    return open_with(sqlite, path, MOTE_STATEMENT_OF_READER, SQLITE_OPEN_READONLY);
}

int mote_sqlite_prepare_one(struct mote_sqlite *sqlite, enum mote_statement name, unsigned flags, sqlite3_stmt **out)
{
    errno = 0;
    int code = sqlite3_prepare_v3(sqlite->db, mote_statement_text(name), -1, flags, out, NULL);
    int error = mote_sqlite_error(code);
    /* The texts are constant and known to be right: what is missing is missing in the file. */
    return code == SQLITE_ERROR ? MOTE_ECORRUPT : error;
}

int mote_sqlite_prepare(struct mote_sqlite *sqlite, enum mote_statement_role role)
{
    int result = 0;
    for (int i = 0; i < MOTE_STATEMENT_COUNT && result == 0; i++) {
        enum mote_statement name = (enum mote_statement)i;
        if ((mote_statement_roles(name) & (unsigned)role) != 0) {
            result = mote_sqlite_prepare_one(sqlite, name, SQLITE_PREPARE_PERSISTENT, &sqlite->statements[i]);
        }
    }
    return result;
}

void mote_sqlite_close(struct mote_sqlite *sqlite)
{
    for (int i = 0; i < MOTE_STATEMENT_COUNT; i++) {
        /* The result repeats the error of the statement's last step. */
        (void)sqlite3_finalize(sqlite->statements[i]);
        sqlite->statements[i] = NULL;
    }
    /* With no statement left it cannot be refused. */
    (void)sqlite3_close(sqlite->db);
    sqlite->db = NULL;
}

int mote_sqlite_query_int(sqlite3 *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement = NULL;
    errno = 0;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL); /* fixed: of our callers */
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    int error = 0;
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    } else {
        error = code == SQLITE_DONE ? MOTE_ENOTFOUND : mote_sqlite_error(code);
    }
    (void)sqlite3_finalize(statement);
    return error;
}

void mote_sqlite_bind_bytes(sqlite3_stmt *statement, int parameter, const uint8_t *bytes, size_t length)
{
    (void)sqlite3_bind_blob(statement, parameter, bytes, (int)length, SQLITE_STATIC);
}

void mote_sqlite_bind_text(sqlite3_stmt *statement, int parameter, const char *text)
{
    (void)sqlite3_bind_text(statement, parameter, text, -1, SQLITE_STATIC);
}

void mote_sqlite_bind_int(sqlite3_stmt *statement, int parameter, int64_t value)
{
    (void)sqlite3_bind_int64(statement, parameter, value);
}

void mote_sqlite_bind_user(sqlite3_stmt *statement, const uint8_t id[16])
{
    mote_sqlite_bind_bytes(statement, 1, id, 16);
    mote_sqlite_bind_int(statement, 2, mote_schema_user_key(id));
}

int mote_sqlite_step(sqlite3_stmt *statement)
{
    errno = 0;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        return 1;
    }
    return code == SQLITE_DONE ? 0 : mote_sqlite_error(code);
}

void mote_sqlite_reset(sqlite3_stmt *statement)
{
    /* The result repeats the error of the last step. */
    (void)sqlite3_reset(statement);
}

int mote_sqlite_run(sqlite3_stmt *statement)
{
    int result = mote_sqlite_step(statement);
    while (result == 1) {
        result = mote_sqlite_step(statement);
    }
    mote_sqlite_reset(statement);
    return result;
}

int mote_sqlite_column_bytes(sqlite3_stmt *statement, int column, uint8_t *out, size_t length)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    if (bytes == NULL || (size_t)sqlite3_column_bytes(statement, column) != length) {
        return MOTE_ECORRUPT;
    }
    memcpy(out, bytes, length);
    return 0;
}

/* Bytes, as what is asked for as text is copied to append a NUL. */
static int text_of(const void *bytes, int count, char *out, size_t size)
{
    size_t length = (size_t)count;
    if (length >= size || (length > 0 && (bytes == NULL || memchr(bytes, 0, length) != NULL))) {
        return MOTE_ECORRUPT;
    }
    if (length > 0) {
        memcpy(out, bytes, length);
    }
    out[length] = '\0';
    return 0;
}

int mote_sqlite_column_text(sqlite3_stmt *statement, int column, char *out, size_t size)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    return text_of(bytes, sqlite3_column_bytes(statement, column), out, size);
}

static int value_text(sqlite3_value *value, char *out, size_t size)
{
    const void *bytes = sqlite3_value_blob(value);
    return text_of(bytes, sqlite3_value_bytes(value), out, size);
}

static int value_user_texts(sqlite3_value **values, int count, struct mote_user *user)
{
    int result = value_text(values[0], user->username, sizeof user->username);
    if (result == 0) {
        result = value_text(values[1], user->email, sizeof user->email);
    }
    if (result == 0) {
        result = value_text(values[2], user->display_name, sizeof user->display_name);
    }
    if (result == 0 && count > VALUE_OF_ID) {
        const void *id = sqlite3_value_blob(values[VALUE_OF_ID]);
        if (id == NULL || sqlite3_value_bytes(values[VALUE_OF_ID]) != (int)sizeof user->id) {
            return MOTE_ECORRUPT;
        }
        memcpy(user->id, id, sizeof user->id);
    }
    user->password_hash[0] = '\0';
    if (result == 0 && count > VALUE_OF_HASH) {
        result = value_text(values[VALUE_OF_HASH], user->password_hash, sizeof user->password_hash);
    }
    return result;
}

/* The function MOTE_STATEMENT_USER: all values of a row at once, which costs a tenth less than to ask for each. */
static void take_user(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct mote_user *user = *(struct mote_user **)sqlite3_user_data(context);
    const int64_t state = count > 4 ? sqlite3_value_int64(values[4]) : 0;
    if (count < VALUE_OF_ID || value_user_texts(values, count, user) != 0 ||
        (state != MOTE_USER_ACTIVE && state != MOTE_USER_DISABLED)) {
        sqlite3_result_error_code(context, SQLITE_CORRUPT);
        return;
    }
    user->roles = (uint32_t)sqlite3_value_int64(values[3]);
    user->state = (enum mote_user_state)state;
    user->email_verified = sqlite3_value_int64(values[5]) != 0;
    user->password_change_required = sqlite3_value_int64(values[6]) != 0;
    user->create_time = sqlite3_value_int64(values[7]);
    user->update_time = sqlite3_value_int64(values[8]);
    user->last_login_time = sqlite3_value_int64(values[9]);
    user->epoch = (uint64_t)sqlite3_value_int64(values[10]);
    user->version = (uint64_t)sqlite3_value_int64(values[11]);
}

int mote_sqlite_step_user(struct mote_sqlite *sqlite, sqlite3_stmt *statement, struct mote_user *user)
{
    *sqlite->user = user;
    return mote_sqlite_step(statement);
}

int mote_sqlite_get_user(struct mote_sqlite *sqlite, sqlite3_stmt *statement, struct mote_user *user)
{
    int result = mote_sqlite_step_user(sqlite, statement, user);
    mote_sqlite_reset(statement);
    return result == 1 ? 0 : result == 0 ? MOTE_ENOTFOUND : result;
}

int mote_sqlite_column_session(sqlite3_stmt *statement, struct mote_store_session_record *record, int64_t *revoke_time)
{
    record->create_time = sqlite3_column_int64(statement, 2);
    record->last_use_time = sqlite3_column_int64(statement, 3);
    record->expire_time = sqlite3_column_int64(statement, 4);
    *revoke_time = sqlite3_column_int64(statement, 7);
    int result = mote_sqlite_column_bytes(statement, 0, record->id, sizeof record->id);
    if (result == 0) {
        result = mote_sqlite_column_bytes(statement, 1, record->user_id, sizeof record->user_id);
    }
    if (result == 0) {
        result = mote_sqlite_column_text(statement, 5, record->user_agent, sizeof record->user_agent);
    }
    if (result == 0) {
        result = mote_sqlite_column_text(statement, 6, record->peer_address, sizeof record->peer_address);
    }
    return result;
}

int mote_sqlite_get_session(struct mote_sqlite *sqlite, const uint8_t id[16], struct mote_store_session_record *record,
                            int64_t *revoke_time)
{
    sqlite3_stmt *statement = mote_sqlite_statement(sqlite, MOTE_STATEMENT_GET_SESSION);
    mote_sqlite_bind_bytes(statement, 1, id, 16);
    int result = mote_sqlite_step(statement);
    if (result == 1) {
        result = mote_sqlite_column_session(statement, record, revoke_time);
    } else if (result == 0) {
        result = MOTE_ENOTFOUND;
    }
    mote_sqlite_reset(statement);
    return result;
}

static int column_refresh(sqlite3_stmt *statement, struct mote_sqlite_refresh *refresh)
{
    refresh->has_parent = sqlite3_column_type(statement, 1) != SQLITE_NULL;
    refresh->expire_time = sqlite3_column_int64(statement, 3);
    refresh->use_time = sqlite3_column_int64(statement, 4);
    int result = mote_sqlite_column_bytes(statement, 0, refresh->session_id, sizeof refresh->session_id);
    if (result == 0 && refresh->has_parent) {
        result = mote_sqlite_column_bytes(statement, 1, refresh->parent, sizeof refresh->parent);
    }
    if (result == 0) {
        result = mote_sqlite_column_text(statement, 2, refresh->kid, sizeof refresh->kid);
    }
    return result;
}

int mote_sqlite_get_refresh(struct mote_sqlite *sqlite, const uint8_t hash[32], struct mote_sqlite_refresh *refresh)
{
    sqlite3_stmt *statement = mote_sqlite_statement(sqlite, MOTE_STATEMENT_GET_REFRESH);
    mote_sqlite_bind_bytes(statement, 1, hash, 32);
    int result = mote_sqlite_step(statement);
    if (result == 1) {
        result = column_refresh(statement, refresh);
    } else if (result == 0) {
        result = MOTE_ENOTFOUND;
    }
    mote_sqlite_reset(statement);
    return result;
}

int mote_sqlite_find_request(struct mote_sqlite *sqlite, int64_t now, struct mote_store_request *request)
{
    sqlite3_stmt **slot = &sqlite->statements[MOTE_STATEMENT_FIND_REQUEST]; /* few readers ever need it */
    int result = *slot != NULL
                     ? 0
                     : mote_sqlite_prepare_one(sqlite, MOTE_STATEMENT_FIND_REQUEST, SQLITE_PREPARE_PERSISTENT, slot);
    if (result != 0) {
        return result;
    }
    sqlite3_stmt *statement = *slot;
    mote_sqlite_bind_bytes(statement, 1, request->caller, sizeof request->caller);
    mote_sqlite_bind_bytes(statement, 2, request->id, sizeof request->id);
    mote_sqlite_bind_int(statement, 3, now - MOTE_STORE_REQUEST_KEEP_NS);
    result = mote_sqlite_step(statement);
    if (result == 1) {
        result = mote_sqlite_column_bytes(statement, 0, request->user_id, sizeof request->user_id);
        if (result == 0) {
            result = mote_sqlite_column_bytes(statement, 1, request->digest, sizeof request->digest);
        }
        if (result == 0) {
            result = mote_sqlite_column_text(statement, 2, request->kid, sizeof request->kid);
        }
    } else if (result == 0) {
        result = MOTE_ENOTFOUND;
    }
    mote_sqlite_reset(statement);
    return result;
}
