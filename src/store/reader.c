/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads. The number of the last commit is taken before the transaction begins: what the transaction sees is at least
 * that new. A later read compares it with the number now; after any commit the transaction is opened anew.
 */
#include "store/reader.h"

#include <string.h>

int mote_reader_open(struct mote_reader *reader, const struct mote_database *database,
                     const struct mote_changes *changes)
{
    *reader = (struct mote_reader){
        .database = database, .generation = atomic_load(&database->generation), .changes = changes};
    int result = mote_sqlite_open(&reader->sqlite, database->path, MOTE_STATEMENT_OF_READER);
    if (result == 0 && !mote_database_is_there(database)) {
        result = MOTE_EIO;
    }
    if (result == 0) {
        /* A tenth of a read by id in a large store. The writer, and who looks a file through, check what they read. */
        result = mote_sqlite_error(sqlite3_exec(reader->sqlite.db, "PRAGMA cell_size_check = OFF", NULL, NULL, NULL));
    }
    if (result == 0) {
        result = mote_sqlite_prepare(&reader->sqlite, MOTE_STATEMENT_OF_READER);
    }
    if (result != 0) {
        mote_sqlite_close(&reader->sqlite);
    }
    return result;
}

void mote_reader_close(struct mote_reader *reader)
{
    mote_reader_end_turn(reader);
    mote_sqlite_close(&reader->sqlite);
}

void mote_reader_end_turn(struct mote_reader *reader)
{
    if (!reader->in_turn) {
        return;
    }
    reader->in_turn = false;
    if (mote_sqlite_run(mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_COMMIT)) != 0) {
        reader->is_doubtful = true;
    }
}

int mote_reader_begin_read(struct mote_reader *reader)
{
    uint64_t number = mote_changes_number(reader->changes);
    if (reader->in_turn && reader->number == number) {
        return 0;
    }
    mote_reader_end_turn(reader);
    if (reader->is_doubtful || reader->generation != atomic_load(&reader->database->generation)) {
        mote_sqlite_close(&reader->sqlite);
        int result = mote_reader_open(reader, reader->database, reader->changes);
        if (result != 0) {
            reader->is_doubtful = true;
            return result;
        }
    }
    int result = mote_sqlite_run(mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_BEGIN));
    reader->in_turn = result == 0;
    reader->number = number;
    return result;
}

/* After an error the transaction and the cached pages are not to be trusted. */
int mote_reader_end_read(struct mote_reader *reader, int result)
{
    if (result != 0 && result != MOTE_ENOTFOUND && result != MOTE_EEXPIRED) {
        mote_reader_end_turn(reader);
        reader->is_doubtful = true;
    }
    return result;
}

/* Counts all hashes; then goes to the one of that number. */
static int pick_settings(struct mote_reader *reader, struct mote_store_get_user *read)
{
    sqlite3_stmt *statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_COUNT_HASHES);
    uint64_t total = 0;
    int result;
    read->settings[0] = '\0';
    while ((result = mote_sqlite_step(statement)) == 1) {
        total += (uint64_t)sqlite3_column_int64(statement, 0);
    }
    mote_sqlite_reset(statement);
    if (result != 0 || total == 0) {
        return result;
    }
    uint64_t number = read->pick % total;
    while ((result = mote_sqlite_step(statement)) == 1) {
        const uint64_t count = (uint64_t)sqlite3_column_int64(statement, 0);
        if (number < count) {
            result = mote_sqlite_column_text(statement, 1, read->settings, sizeof read->settings);
            break;
        }
        number -= count;
    }
    mote_sqlite_reset(statement);
    return result;
}

int mote_reader_get_user(struct mote_reader *reader, struct mote_store_get_user *read)
{
    int result = mote_reader_begin_read(reader);
    if (result != 0) {
        return mote_reader_end_read(reader, result);
    }
    sqlite3_stmt *statement = NULL;
    switch (read->key) {
    case MOTE_STORE_BY_ID:
        statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_GET_USER_BY_ID);
        mote_sqlite_bind_user(statement, read->id);
        break;
    case MOTE_STORE_BY_ID_WITHOUT_HASH:
        statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_SHOW_USER_BY_ID);
        mote_sqlite_bind_user(statement, read->id);
        memcpy(read->user.id, read->id, sizeof read->user.id);
        break;
    case MOTE_STORE_BY_USERNAME:
        statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_GET_USER_BY_USERNAME);
        mote_sqlite_bind_text(statement, 1, read->text);
        break;
    case MOTE_STORE_BY_EMAIL:
        statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_GET_USER_BY_EMAIL);
        mote_sqlite_bind_text(statement, 1, read->text);
        break;
    }
    result = mote_sqlite_get_user(&reader->sqlite, statement, &read->user);
    if ((read->key == MOTE_STORE_BY_USERNAME || read->key == MOTE_STORE_BY_EMAIL) && read->picks_settings &&
        (result == 0 || result == MOTE_ENOTFOUND)) {
        const int picked = pick_settings(reader, read);
        result = picked != 0 ? picked : result;
    }
    return mote_reader_end_read(reader, result);
}

int mote_reader_get_session(struct mote_reader *reader, struct mote_store_get_session *read)
{
    int result = mote_reader_begin_read(reader);
    int64_t revoke_time = 0;
    if (result == 0) {
        result = mote_sqlite_get_session(&reader->sqlite, read->id, &read->record, &revoke_time);
    }
    read->revoked = revoke_time != 0;
    return mote_reader_end_read(reader, result);
}

static int list_sessions(struct mote_reader *reader, struct mote_store_list_sessions *read)
{
    sqlite3_stmt *statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_LIST_SESSIONS);
    uint8_t after[16]; /* the parameter is borrowed until the reset, and read->after moves on */
    memcpy(after, read->after, sizeof after);
    mote_sqlite_bind_bytes(statement, 1, read->user_id, sizeof read->user_id);
    mote_sqlite_bind_bytes(statement, 2, after, sizeof after);
    mote_sqlite_bind_int(statement, 3, MOTE_STORE_LOOKED_MAX + 1);
    uint32_t rows = 0;
    uint32_t looked = 0;
    int result = mote_sqlite_step(statement);
    while (result == 1) {
        struct mote_store_session_record record;
        int64_t revoke_time;
        result = mote_sqlite_column_session(statement, &record, &revoke_time);
        bool lives = revoke_time == 0 && record.expire_time > read->now;
        if (result != 0) {
            break;
        }
        if (looked++ == MOTE_STORE_LOOKED_MAX || (lives && rows == read->limit)) {
            read->more = true;
            break;
        }
        if (lives) {
            rows++;
            read->row(read, &record);
        }
        memcpy(read->after, record.id, sizeof read->after);
        result = mote_sqlite_step(statement);
    }
    mote_sqlite_reset(statement);
    return result;
}

int mote_reader_list_sessions(struct mote_reader *reader, struct mote_store_list_sessions *read)
{
    read->more = false;
    int result = mote_reader_begin_read(reader);
    if (result == 0) {
        result = list_sessions(reader, read);
    }
    return mote_reader_end_read(reader, result);
}

int mote_reader_find_refresh(struct mote_reader *reader, struct mote_store_find_refresh *read)
{
    struct mote_sqlite_refresh refresh;
    int result = mote_reader_begin_read(reader);
    if (result == 0) {
        result = mote_sqlite_get_refresh(&reader->sqlite, read->hash, &refresh);
    }
    if (result == 0) {
        memcpy(read->kid, refresh.kid, sizeof read->kid);
        memcpy(read->session_id, refresh.session_id, sizeof read->session_id);
    }
    return mote_reader_end_read(reader, result);
}

int mote_reader_find_request(struct mote_reader *reader, struct mote_store_find_request *read)
{
    int result = mote_reader_begin_read(reader);
    if (result == 0) {
        result = mote_sqlite_find_request(&reader->sqlite, read->now, &read->request);
    }
    return mote_reader_end_read(reader, result);
}

static int load_sessions(struct mote_reader *reader, const struct mote_reader_revocations *read)
{
    sqlite3_stmt *statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_REVOKED_SESSIONS);
    mote_sqlite_bind_int(statement, 1, read->since);
    int result = mote_sqlite_step(statement);
    while (result == 1) {
        struct mote_store_change change = {
            .commit = read->position,
            .kind = MOTE_STORE_CHANGE_SESSION_REVOKED,
            .time = sqlite3_column_int64(statement, 2),
        };
        result = mote_sqlite_column_bytes(statement, 0, change.session_id, sizeof change.session_id);
        if (result == 0) {
            result = mote_sqlite_column_bytes(statement, 1, change.user_id, sizeof change.user_id);
        }
        if (result == 0) {
            read->each(read->context, &change);
            result = mote_sqlite_step(statement);
        }
    }
    mote_sqlite_reset(statement);
    return result;
}

/* What the epochs of a row did, each that the one which ended the sessions did not do away with. */
static int tell_epochs(const struct mote_reader_revocations *read, sqlite3_stmt *statement)
{
    static const enum mote_store_change_kind kinds[] = {MOTE_STORE_CHANGE_USER_EPOCH, MOTE_STORE_CHANGE_USER_ROLES,
                                                        MOTE_STORE_CHANGE_USER_UNLOCKED};
    struct mote_store_change change = {.commit = read->position, .time = sqlite3_column_int64(statement, 1)};
    int64_t over = 0;
    int result = mote_sqlite_column_bytes(statement, 0, change.user_id, sizeof change.user_id);
    for (int i = 0; i < 3 && result == 0; i++) {
        int64_t epoch = sqlite3_column_int64(statement, 2 + i);
        change.kind = kinds[i];
        change.epoch = (uint64_t)epoch;
        if (epoch > over) {
            read->each(read->context, &change);
        }
        over = i == 0 ? epoch : over;
    }
    return result;
}

static int load_epochs(struct mote_reader *reader, const struct mote_reader_revocations *read)
{
    sqlite3_stmt *statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_RAISED_EPOCHS);
    mote_sqlite_bind_int(statement, 1, read->since);
    int result = mote_sqlite_step(statement);
    while (result == 1) {
        result = tell_epochs(read, statement);
        if (result == 0) {
            result = mote_sqlite_step(statement);
        }
    }
    mote_sqlite_reset(statement);
    return result;
}

/* Rows of an id and a time. */
static int load_ids(struct mote_reader *reader, const struct mote_reader_revocations *read, enum mote_statement name,
                    enum mote_store_change_kind kind)
{
    sqlite3_stmt *statement = mote_sqlite_statement(&reader->sqlite, name);
    mote_sqlite_bind_int(statement, 1, read->since);
    int result = mote_sqlite_step(statement);
    while (result == 1) {
        struct mote_store_change change = {
            .commit = read->position, .kind = kind, .time = sqlite3_column_int64(statement, 1)};
        result = mote_sqlite_column_bytes(
            statement, 0, kind == MOTE_STORE_CHANGE_TOKEN_REVOKED ? change.token_id : change.user_id, 16);
        if (result == 0) {
            read->each(read->context, &change);
            result = mote_sqlite_step(statement);
        }
    }
    mote_sqlite_reset(statement);
    return result;
}

int mote_reader_load_revocations(struct mote_reader *reader, struct mote_reader_revocations *read)
{
    int result = mote_reader_begin_read(reader);
    if (result == 0) {
        read->position = reader->number;
        result = load_sessions(reader, read);
    }
    if (result == 0) {
        result = load_epochs(reader, read);
    }
    if (result == 0) {
        result = load_ids(reader, read, MOTE_STATEMENT_DELETED_USERS, MOTE_STORE_CHANGE_USER_DELETED);
    }
    if (result == 0) {
        result = load_ids(reader, read, MOTE_STATEMENT_REVOKED_TOKENS, MOTE_STORE_CHANGE_TOKEN_REVOKED);
    }
    return mote_reader_end_read(reader, result);
}
