/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of users. There are two ways to a page, and neither reads more than MOTE_STORE_LOOKED_MAX rows, whatever the
 * store holds and the filter asks for:
 *
 *   walk     goes through the index of the order, from the position on, and leaves out what does not match. It stops
 *            when the page is full or it has looked enough; then the next page goes on behind the last row looked at.
 *   collect  reads all rows of another index that the filter leaves, and keeps those that come first behind the
 *            position. It is for what is rare: such rows may lie far apart in the order.
 *
 * Which, is told by counting, up to the bound and in the indexes alone, what each term of the filter leaves. What is
 * too much to collect is dense enough to walk. States and roles alone, in the order of time, need neither: their index
 * is in that order.
 */
#include "store/reader.h"

#include <string.h>

#include "base/slice.h"

/* Behind every text that begins alike: no text is UTF-8 with this byte. */
#define TEXT_END  "\xff"
#define TEXT_MAX  (MOTE_EMAIL_MAX + sizeof TEXT_END)
#define ROLES_ALL 7u

#define COUNTED_A_ROW 8u /* entries of an index are counted in the time that one row is read in */

/* --- matching -------------------------------------------------------------------------------------------------- */

static bool text_matches(enum mote_store_match match, const char *wanted, const char *text)
{
    struct mote_slice beginning = mote_slice_text(text);
    size_t length = strlen(wanted);
    switch (match) {
    case MOTE_STORE_MATCH_ANY:
        return true;
    case MOTE_STORE_MATCH_EXACT:
        break;
    case MOTE_STORE_MATCH_PREFIX:
        beginning.length = beginning.length > length ? length : beginning.length;
        break;
    }
    return text[0] != '\0' && mote_slice_equals_ignore_case(beginning, mote_slice_text(wanted));
}

static bool matches(const struct mote_store_filter *filter, const struct mote_user *user)
{
    return !filter->is_set ||
           ((filter->state == 0 || filter->state == (uint32_t)user->state) &&
            (user->roles & filter->roles) == filter->roles && user->create_time >= filter->created_from &&
            user->create_time < filter->created_before &&
            text_matches(filter->username_match, filter->username, user->username) &&
            text_matches(filter->email_match, filter->email, user->email));
}

static void set_position(struct mote_store_position *position, const struct mote_user *user)
{
    position->create_time = user->create_time;
    memcpy(position->id, user->id, sizeof position->id);
    memcpy(position->username, user->username, sizeof position->username);
}

/* Negative where `a` comes before `b` in the order. */
static int compare(const struct mote_store_list_users *read, const struct mote_store_position *a,
                   const struct mote_store_position *b)
{
    int order = 0;
    if (read->order == MOTE_STORE_ORDER_USERNAME) {
        order = strcmp(a->username, b->username);
    } else if (a->create_time != b->create_time) {
        order = a->create_time < b->create_time ? -1 : 1;
    } else {
        order = memcmp(a->id, b->id, sizeof a->id);
    }
    return read->descending ? -order : order;
}

/* --- walking --------------------------------------------------------------------------------------------------- */

/* Where a walk begins that no page came before: at an end of the filter's range in this order, or of everything. The
 * id is empty, which is before every id. */
static void find_beginning(const struct mote_store_list_users *read, int64_t *create_time, char text[TEXT_MAX])
{
    const struct mote_store_filter *filter = &read->filter;
    *create_time = read->descending ? INT64_MAX : INT64_MIN;
    if (filter->is_set) {
        *create_time = read->descending ? filter->created_before : filter->created_from;
    }
    bool is_range = filter->is_set && filter->username_match != MOTE_STORE_MATCH_ANY;
    size_t length = is_range ? strlen(filter->username) : 0;
    memcpy(text, filter->username, length);
    text[length] = '\0';
    if (read->descending) {
        memcpy(text + length, TEXT_END, sizeof TEXT_END);
    } else if (length > 0) {
        /* The walk begins behind it, so a little before the range. */
        text[length - 1]--;
        memcpy(text + length, TEXT_END, sizeof TEXT_END);
    }
}

/* Nothing in the range of the filter comes behind this user. */
static bool is_past(const struct mote_store_list_users *read, const struct mote_user *user)
{
    const struct mote_store_filter *filter = &read->filter;
    if (!filter->is_set) {
        return false;
    }
    if (read->order == MOTE_STORE_ORDER_USERNAME) {
        return !text_matches(filter->username_match, filter->username, user->username);
    }
    return read->descending ? user->create_time < filter->created_from : user->create_time >= filter->created_before;
}

static enum mote_statement walk_statement(const struct mote_store_list_users *read)
{
    switch (read->order) {
    case MOTE_STORE_ORDER_CREATE_TIME:
        return read->descending ? MOTE_STATEMENT_LIST_BY_CREATE_TIME_DESCENDING : MOTE_STATEMENT_LIST_BY_CREATE_TIME;
    case MOTE_STORE_ORDER_USERNAME:
        break;
    }
    return read->descending ? MOTE_STATEMENT_LIST_BY_USERNAME_DESCENDING : MOTE_STATEMENT_LIST_BY_USERNAME;
}

static int walk_rows(struct mote_reader *reader, struct mote_store_list_users *read, sqlite3_stmt *statement)
{
    struct mote_user user;
    uint32_t rows = 0;
    uint32_t looked = 0;
    int result = mote_sqlite_step(statement);
    while (result == 1) {
        result = mote_sqlite_column_user(statement, &user);
        if (result != 0 || is_past(read, &user)) {
            break;
        }
        bool is_match = matches(&read->filter, &user);
        reader->looked++;
        if (looked++ == MOTE_STORE_LOOKED_MAX || (is_match && rows == read->limit)) {
            read->more = true;
            break;
        }
        if (is_match) {
            rows++;
            read->row(read, &user);
        }
        set_position(&read->after, &user);
        result = mote_sqlite_step(statement);
    }
    return result;
}

/* Time and id of `after`, or where there is none of the beginning. */
static void bind_position(sqlite3_stmt *statement, int parameter, const struct mote_store_list_users *read,
                          const struct mote_store_position *after, int64_t beginning)
{
    mote_sqlite_bind_int(statement, parameter, read->has_after ? after->create_time : beginning);
    mote_sqlite_bind_bytes(statement, parameter + 1, after->id, read->has_after ? sizeof after->id : 0);
}

static int walk(struct mote_reader *reader, struct mote_store_list_users *read)
{
    struct mote_store_position after = read->after; /* borrowed until the reset, and read->after moves on */
    char text[TEXT_MAX];
    int64_t create_time;
    sqlite3_stmt *statement = mote_sqlite_statement(&reader->sqlite, walk_statement(read));
    find_beginning(read, &create_time, text);
    if (read->order == MOTE_STORE_ORDER_CREATE_TIME) {
        bind_position(statement, 1, read, &after, create_time);
    } else {
        mote_sqlite_bind_text(statement, 1, read->has_after ? after.username : text);
    }
    mote_sqlite_bind_int(statement, 3, (read->filter.is_set ? MOTE_STORE_LOOKED_MAX : read->limit) + 1);
    int result = walk_rows(reader, read, statement);
    mote_sqlite_reset(statement);
    return result;
}

/* --- ranges of the indexes ------------------------------------------------------------------------------------- */

/* What a term of a filter leaves, in the order of the statements that count and find it. */
enum range {
    RANGE_USERNAME,
    RANGE_EMAIL,
    RANGE_STATE,
    RANGE_TIME,
    RANGES,
};

static bool has_range(const struct mote_store_filter *filter, enum range range)
{
    switch (range) {
    case RANGE_USERNAME:
        return filter->username_match != MOTE_STORE_MATCH_ANY;
    case RANGE_EMAIL:
        return filter->email_match != MOTE_STORE_MATCH_ANY;
    case RANGE_STATE:
        return filter->state != 0 || filter->roles != 0;
    case RANGE_TIME:
        return filter->created_from != INT64_MIN || filter->created_before != INT64_MAX;
    case RANGES:
        break;
    }
    return false;
}

/* The texts that begin or are alike; `end` has room for one byte more than `text`. */
static void bind_texts(sqlite3_stmt *statement, enum mote_store_match match, const char *text, char *end)
{
    size_t length = strlen(text);
    memcpy(end, text, length + 1);
    if (match == MOTE_STORE_MATCH_PREFIX) {
        memcpy(end + length, TEXT_END, sizeof TEXT_END);
    }
    mote_sqlite_bind_text(statement, 1, text);
    mote_sqlite_bind_text(statement, 2, end);
}

/* A range is one part of its index; that of state and roles is one for each combination: part 0, 1, … False for a part
 * that there is not, or that the filter leaves nothing of. */
static bool bind_part(sqlite3_stmt *statement, const struct mote_store_filter *filter, enum range range, unsigned part,
                      char end[TEXT_MAX])
{
    static const enum mote_user_state states[] = {MOTE_USER_ACTIVE, MOTE_USER_DISABLED};
    switch (range) {
    case RANGE_USERNAME:
        bind_texts(statement, filter->username_match, filter->username, end);
        break;
    case RANGE_EMAIL:
        bind_texts(statement, filter->email_match, filter->email, end);
        break;
    case RANGE_STATE: {
        uint32_t state = (uint32_t)states[part / (ROLES_ALL + 1)];
        uint32_t roles = part % (ROLES_ALL + 1);
        mote_sqlite_bind_int(statement, 1, state);
        mote_sqlite_bind_int(statement, 2, roles);
        return (filter->state == 0 || filter->state == state) && (roles & filter->roles) == filter->roles;
    }
    case RANGE_TIME:
        mote_sqlite_bind_int(statement, 1, filter->created_from);
        mote_sqlite_bind_int(statement, 2, filter->created_before);
        break;
    case RANGES:
        break;
    }
    return true;
}

static unsigned part_count(enum range range)
{
    return range == RANGE_STATE ? 2 * (ROLES_ALL + 1) : 1;
}

/* Up to *count, which becomes what there is if that is less. */
static int count_range(struct mote_reader *reader, const struct mote_store_filter *filter, enum range range,
                       sqlite3_stmt *statement, uint32_t *count)
{
    char end[TEXT_MAX];
    int64_t counted = 0;
    int result = 0;
    for (unsigned part = 0; part < part_count(range) && result == 0 && counted < *count; part++) {
        if (bind_part(statement, filter, range, part, end)) {
            mote_sqlite_bind_int(statement, 3, *count - counted);
            result = mote_sqlite_step(statement);
            counted += result == 1 ? sqlite3_column_int64(statement, 0) : 0;
            result = result > 0 ? 0 : result;
        }
        mote_sqlite_reset(statement);
    }
    *count = counted < *count ? (uint32_t)counted : *count;
    reader->looked += *count / COUNTED_A_ROW;
    return result;
}

/* The range that leaves the fewest, `own` where all leave too many. What is rare is found soon: all are counted a
 * little, then those of which there was more. */
static int choose_range(struct mote_reader *reader, const struct mote_store_filter *filter, enum range own,
                        enum range *best)
{
    static const uint32_t bounds[] = {64, 640, MOTE_STORE_LOOKED_MAX + 1};
    sqlite3_stmt *statements[RANGES] = {NULL};
    uint32_t fewest = MOTE_STORE_LOOKED_MAX + 1;
    int result = 0;
    *best = own;
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0] && fewest > MOTE_STORE_LOOKED_MAX && result == 0; i++) {
        uint32_t bound = bounds[i];
        for (int range = 0; range < RANGES && result == 0; range++) {
            uint32_t count = bound;
            if (has_range(filter, (enum range)range) && statements[range] == NULL) {
                result = mote_sqlite_prepare_one(&reader->sqlite,
                                                 (enum mote_statement)(MOTE_STATEMENT_COUNT_BY_USERNAME + range), 0,
                                                 &statements[range]);
            }
            if (result == 0 && statements[range] != NULL) {
                result = count_range(reader, filter, (enum range)range, statements[range], &count);
            }
            if (count < bound) {
                bound = fewest = count;
                *best = (enum range)range;
            }
        }
    }
    for (int range = 0; range < RANGES; range++) {
        (void)sqlite3_finalize(statements[range]);
    }
    return result;
}

/* --- collecting ------------------------------------------------------------------------------------------------ */

/* The first of what comes behind the position, in order; one more than the page has room for. */
struct collection {
    uint32_t count;
    struct mote_store_position first[MOTE_STORE_PAGE_MAX + 1];
};

static void collect_row(struct collection *collection, const struct mote_store_list_users *read,
                        const struct mote_user *user)
{
    struct mote_store_position position;
    set_position(&position, user);
    if (!matches(&read->filter, user) || (read->has_after && compare(read, &position, &read->after) <= 0)) {
        return;
    }
    uint32_t low = 0;
    uint32_t high = collection->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        bool is_behind = compare(read, &position, &collection->first[middle]) > 0;
        low = is_behind ? middle + 1 : low;
        high = is_behind ? high : middle;
    }
    if (low > read->limit) {
        return;
    }
    if (collection->count <= read->limit) {
        collection->count++;
    }
    memmove(&collection->first[low + 1], &collection->first[low],
            (collection->count - 1 - low) * sizeof collection->first[0]);
    collection->first[low] = position;
}

/* The index of states has users in the order of time: then no more is read of each part than the page has room for. */
static bool is_in_order(const struct mote_store_list_users *read)
{
    const struct mote_store_filter *filter = &read->filter;
    return read->order == MOTE_STORE_ORDER_CREATE_TIME && has_range(filter, RANGE_STATE) &&
           !has_range(filter, RANGE_USERNAME) && !has_range(filter, RANGE_EMAIL);
}

static enum mote_statement find_statement(const struct mote_store_list_users *read, enum range range)
{
    if (!is_in_order(read)) {
        return (enum mote_statement)(MOTE_STATEMENT_FIND_BY_USERNAME + (int)range);
    }
    return read->descending ? MOTE_STATEMENT_NEXT_BY_STATE_DESCENDING : MOTE_STATEMENT_NEXT_BY_STATE;
}

static int collect_range(struct mote_reader *reader, const struct mote_store_list_users *read, enum range range,
                         struct collection *collection)
{
    char end[TEXT_MAX];
    int64_t beginning;
    struct mote_user user;
    sqlite3_stmt *statement = NULL;
    find_beginning(read, &beginning, end);
    int result = mote_sqlite_prepare_one(&reader->sqlite, find_statement(read, range), 0, &statement);
    for (unsigned part = 0; part < part_count(range) && result == 0; part++) {
        if (bind_part(statement, &read->filter, range, part, end)) {
            mote_sqlite_bind_int(statement, 3, is_in_order(read) ? read->limit + 1 : MOTE_STORE_LOOKED_MAX);
            if (is_in_order(read)) {
                bind_position(statement, 4, read, &read->after, beginning);
            }
            result = mote_sqlite_step(statement);
        }
        while (result == 1) {
            result = mote_sqlite_column_user(statement, &user);
            if (result == 0) {
                collect_row(collection, read, &user);
                reader->looked++;
                result = mote_sqlite_step(statement);
            }
        }
        mote_sqlite_reset(statement);
    }
    (void)sqlite3_finalize(statement);
    return result;
}

static int collect(struct mote_reader *reader, struct mote_store_list_users *read, enum range range)
{
    struct collection collection = {.count = 0};
    struct mote_user user;
    int result = collect_range(reader, read, range, &collection);
    for (uint32_t i = 0; i < collection.count && result == 0; i++) {
        if (i == read->limit) {
            read->more = true;
            break;
        }
        sqlite3_stmt *statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_SHOW_USER_BY_ID);
        mote_sqlite_bind_user(statement, collection.first[i].id);
        result = mote_sqlite_get_user(statement, &user);
        if (result == 0) {
            memcpy(user.id, collection.first[i].id, sizeof user.id);
            read->row(read, &user);
            read->after = collection.first[i];
        }
    }
    return result == MOTE_ENOTFOUND ? MOTE_ECORRUPT : result; /* an index has what the table has not */
}

static int list_filtered(struct mote_reader *reader, struct mote_store_list_users *read)
{
    enum range own = read->order == MOTE_STORE_ORDER_USERNAME ? RANGE_USERNAME : RANGE_TIME;
    enum range best = own;
    bool is_own_alone = true;
    int result = 0;
    if (is_in_order(read)) {
        return collect(reader, read, RANGE_STATE);
    }
    for (int range = 0; range < RANGES; range++) {
        is_own_alone = is_own_alone && (range == (int)own || !has_range(&read->filter, (enum range)range));
    }
    if (!is_own_alone) {
        result = choose_range(reader, &read->filter, own, &best);
    }
    if (result != 0) {
        return result;
    }
    return best == own ? walk(reader, read) : collect(reader, read, best);
}

/* --- the page -------------------------------------------------------------------------------------------------- */

static int count_users(struct mote_reader *reader, int64_t *total)
{
    sqlite3_stmt *statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_COUNT_USERS);
    int result = mote_sqlite_step(statement);
    if (result == 1) {
        *total = sqlite3_column_int64(statement, 0);
        result = 0;
    } else if (result == 0) {
        result = MOTE_ECORRUPT;
    }
    mote_sqlite_reset(statement);
    return result;
}

int mote_reader_list_users(struct mote_reader *reader, struct mote_store_list_users *read)
{
    read->more = false;
    read->total = -1;
    if (read->limit > MOTE_STORE_PAGE_MAX) {
        read->limit = MOTE_STORE_PAGE_MAX;
    }
    int result = mote_reader_begin_read(reader);
    if (result == 0 && read->filter.is_set) {
        result = list_filtered(reader, read);
    } else if (result == 0) {
        result = count_users(reader, &read->total);
        if (result == 0) {
            result = walk(reader, read);
        }
    }
    return mote_reader_end_read(reader, result);
}
