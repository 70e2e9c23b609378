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
 *
 * Reading is cut into slices of rows, between which a statement, and with it the read transaction, stays open.
 */
#include "store/reader_list.h"

#include <string.h>

#include "base/slice.h"

#define TEXT_MAX  sizeof((struct mote_reader_list){0}.text)
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
        memcpy(text + length, MOTE_READER_TEXT_END, sizeof MOTE_READER_TEXT_END);
    } else if (length > 0) {
        /* The walk begins behind it, so a little before the range. */
        text[length - 1]--;
        memcpy(text + length, MOTE_READER_TEXT_END, sizeof MOTE_READER_TEXT_END);
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

/* 1: to be continued. */
static int walk(struct mote_reader *reader, struct mote_reader_list *list, uint32_t slice)
{
    struct mote_store_list_users *read = list->read;
    struct mote_user user;
    for (; slice > 0; slice--) {
        int result = mote_sqlite_step_user(&reader->sqlite, list->statement, &user);
        if (result != 1) {
            return result;
        }
        if (is_past(read, &user)) {
            return 0;
        }
        bool is_match = matches(&read->filter, &user);
        reader->looked++;
        if (list->looked++ == MOTE_STORE_LOOKED_MAX || (is_match && list->rows == read->limit)) {
            read->more = true;
            return 0;
        }
        if (is_match) {
            list->rows++;
            read->row(read, &user);
        }
        set_position(&read->after, &user);
    }
    return 1;
}

/* Time and id of `after`, or where there is none of the beginning. */
static void bind_position(sqlite3_stmt *statement, int parameter, const struct mote_store_list_users *read,
                          const struct mote_store_position *after, int64_t beginning)
{
    mote_sqlite_bind_int(statement, parameter, read->has_after ? after->create_time : beginning);
    mote_sqlite_bind_bytes(statement, parameter + 1, after->id, read->has_after ? sizeof after->id : 0);
}

static void begin_walk(struct mote_reader *reader, struct mote_reader_list *list)
{
    struct mote_store_list_users *read = list->read;
    int64_t create_time;
    list->statement = mote_sqlite_statement(&reader->sqlite, walk_statement(read));
    find_beginning(read, &create_time, list->text);
    if (read->order == MOTE_STORE_ORDER_CREATE_TIME) {
        bind_position(list->statement, 1, read, &list->after, create_time);
    } else {
        mote_sqlite_bind_text(list->statement, 1, read->has_after ? list->after.username : list->text);
    }
    mote_sqlite_bind_int(list->statement, 3, (read->filter.is_set ? MOTE_STORE_LOOKED_MAX : read->limit) + 1);
}

/* --- ranges of the indexes ------------------------------------------------------------------------------------- */

static bool has_range(const struct mote_store_filter *filter, enum mote_reader_range range)
{
    switch (range) {
    case MOTE_READER_RANGE_USERNAME:
        return filter->username_match != MOTE_STORE_MATCH_ANY;
    case MOTE_READER_RANGE_EMAIL:
        return filter->email_match != MOTE_STORE_MATCH_ANY;
    case MOTE_READER_RANGE_STATE:
        return filter->state != 0 || filter->roles != 0;
    case MOTE_READER_RANGE_TIME:
        return filter->created_from != INT64_MIN || filter->created_before != INT64_MAX;
    case MOTE_READER_RANGES:
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
        memcpy(end + length, MOTE_READER_TEXT_END, sizeof MOTE_READER_TEXT_END);
    }
    mote_sqlite_bind_text(statement, 1, text);
    mote_sqlite_bind_text(statement, 2, end);
}

/* A range is one part of its index; that of state and roles is one for each combination: part 0, 1, … False for a part
 * that there is not, or that the filter leaves nothing of. */
static bool bind_part(sqlite3_stmt *statement, const struct mote_store_filter *filter, enum mote_reader_range range,
                      unsigned part, char end[TEXT_MAX])
{
    static const enum mote_user_state states[] = {MOTE_USER_ACTIVE, MOTE_USER_DISABLED};
    switch (range) {
    case MOTE_READER_RANGE_USERNAME:
        bind_texts(statement, filter->username_match, filter->username, end);
        break;
    case MOTE_READER_RANGE_EMAIL:
        bind_texts(statement, filter->email_match, filter->email, end);
        break;
    case MOTE_READER_RANGE_STATE: {
        uint32_t state = (uint32_t)states[part / (ROLES_ALL + 1)];
        uint32_t roles = part % (ROLES_ALL + 1);
        mote_sqlite_bind_int(statement, 1, state);
        mote_sqlite_bind_int(statement, 2, roles);
        return (filter->state == 0 || filter->state == state) && (roles & filter->roles) == filter->roles;
    }
    case MOTE_READER_RANGE_TIME:
        mote_sqlite_bind_int(statement, 1, filter->created_from);
        mote_sqlite_bind_int(statement, 2, filter->created_before);
        break;
    case MOTE_READER_RANGES:
        break;
    }
    return true;
}

static unsigned part_count(enum mote_reader_range range)
{
    return range == MOTE_READER_RANGE_STATE ? 2 * (ROLES_ALL + 1) : 1;
}

/* Up to *count, which becomes what there is if that is less. */
static int count_range(struct mote_reader *reader, const struct mote_store_filter *filter, enum mote_reader_range range,
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
static int choose_range(struct mote_reader *reader, const struct mote_store_filter *filter, enum mote_reader_range own,
                        enum mote_reader_range *best)
{
    static const uint32_t bounds[] = {64, 640, MOTE_STORE_LOOKED_MAX + 1};
    sqlite3_stmt *statements[MOTE_READER_RANGES] = {NULL};
    uint32_t fewest = MOTE_STORE_LOOKED_MAX + 1;
    int result = 0;
    *best = own;
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0] && fewest > MOTE_STORE_LOOKED_MAX && result == 0; i++) {
        uint32_t bound = bounds[i];
        for (int range = 0; range < MOTE_READER_RANGES && result == 0; range++) {
            uint32_t count = bound;
            if (has_range(filter, (enum mote_reader_range)range) && statements[range] == NULL) {
                result = mote_sqlite_prepare_one(&reader->sqlite,
                                                 (enum mote_statement)(MOTE_STATEMENT_COUNT_BY_USERNAME + range), 0,
                                                 &statements[range]);
            }
            if (result == 0 && statements[range] != NULL) {
                result = count_range(reader, filter, (enum mote_reader_range)range, statements[range], &count);
            }
            if (count < bound) {
                bound = fewest = count;
                *best = (enum mote_reader_range)range;
            }
        }
    }
    for (int range = 0; range < MOTE_READER_RANGES; range++) {
        (void)sqlite3_finalize(statements[range]);
    }
    return result;
}

/* --- collecting ------------------------------------------------------------------------------------------------ */

static void collect_row(struct mote_reader_list *list, const struct mote_user *user)
{
    const struct mote_store_list_users *read = list->read;
    struct mote_store_position position;
    set_position(&position, user);
    if (!matches(&read->filter, user) || (read->has_after && compare(read, &position, &read->after) <= 0)) {
        return;
    }
    uint32_t low = 0;
    uint32_t high = list->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        bool is_behind = compare(read, &position, &list->first[middle]) > 0;
        low = is_behind ? middle + 1 : low;
        high = is_behind ? high : middle;
    }
    if (low > read->limit) {
        return;
    }
    if (list->count <= read->limit) {
        list->count++;
    }
    memmove(&list->first[low + 1], &list->first[low], (list->count - 1 - low) * sizeof list->first[0]);
    list->first[low] = position;
}

/* The index of states has users in the order of time: then no more is read of each part than the page has room for. */
static bool is_in_order(const struct mote_store_list_users *read)
{
    const struct mote_store_filter *filter = &read->filter;
    return read->order == MOTE_STORE_ORDER_CREATE_TIME && has_range(filter, MOTE_READER_RANGE_STATE) &&
           !has_range(filter, MOTE_READER_RANGE_USERNAME) && !has_range(filter, MOTE_READER_RANGE_EMAIL);
}

static enum mote_statement find_statement(const struct mote_store_list_users *read, enum mote_reader_range range)
{
    if (!is_in_order(read)) {
        return (enum mote_statement)(MOTE_STATEMENT_FIND_BY_USERNAME + (int)range);
    }
    return read->descending ? MOTE_STATEMENT_NEXT_BY_STATE_DESCENDING : MOTE_STATEMENT_NEXT_BY_STATE;
}

/* From the next part of the range that the filter leaves anything of; false when there is none. */
static bool begin_part(struct mote_reader_list *list)
{
    const struct mote_store_list_users *read = list->read;
    int64_t beginning;
    find_beginning(read, &beginning, list->text);
    while (list->part < part_count(list->range)) {
        if (bind_part(list->statement, &read->filter, list->range, list->part++, list->text)) {
            mote_sqlite_bind_int(list->statement, 3, is_in_order(read) ? read->limit + 1 : MOTE_STORE_LOOKED_MAX);
            if (is_in_order(read)) {
                bind_position(list->statement, 4, read, &list->after, beginning);
            }
            return true;
        }
    }
    return false;
}

static int begin_collecting(struct mote_reader *reader, struct mote_reader_list *list, enum mote_reader_range range)
{
    list->is_collecting = true;
    list->range = range;
    int result = mote_sqlite_prepare_one(&reader->sqlite, find_statement(list->read, range), 0, &list->statement);
    if (result == 0 && !begin_part(list)) {
        mote_reader_list_end(list);
    }
    return result;
}

static int collect(struct mote_reader *reader, struct mote_reader_list *list, uint32_t slice)
{
    struct mote_user user;
    while (list->statement != NULL) {
        if (slice-- == 0) {
            return 1;
        }
        int result = mote_sqlite_step_user(&reader->sqlite, list->statement, &user);
        if (result < 0) {
            return result;
        }
        if (result == 1) {
            collect_row(list, &user);
            reader->looked++;
            continue;
        }
        mote_sqlite_reset(list->statement);
        if (!begin_part(list)) {
            mote_reader_list_end(list);
        }
    }
    return 0;
}

/* What was collected, read whole. */
static int hand_out(struct mote_reader *reader, struct mote_reader_list *list)
{
    struct mote_store_list_users *read = list->read;
    struct mote_user user;
    int result = 0;
    for (uint32_t i = 0; i < list->count && result == 0; i++) {
        if (i == read->limit) {
            read->more = true;
            break;
        }
        sqlite3_stmt *statement = mote_sqlite_statement(&reader->sqlite, MOTE_STATEMENT_SHOW_USER_BY_ID);
        mote_sqlite_bind_user(statement, list->first[i].id);
        result = mote_sqlite_get_user(&reader->sqlite, statement, &user);
        if (result == 0) {
            memcpy(user.id, list->first[i].id, sizeof user.id);
            read->row(read, &user);
            read->after = list->first[i];
        }
    }
    return result == MOTE_ENOTFOUND ? MOTE_ECORRUPT : result; /* an index has what the table has not */
}

static int begin_filtered(struct mote_reader *reader, struct mote_reader_list *list)
{
    const struct mote_store_list_users *read = list->read;
    enum mote_reader_range own =
        read->order == MOTE_STORE_ORDER_USERNAME ? MOTE_READER_RANGE_USERNAME : MOTE_READER_RANGE_TIME;
    enum mote_reader_range best = own;
    bool is_own_alone = true;
    int result = 0;
    if (is_in_order(read)) {
        return begin_collecting(reader, list, MOTE_READER_RANGE_STATE);
    }
    for (int range = 0; range < MOTE_READER_RANGES; range++) {
        is_own_alone = is_own_alone && (range == (int)own || !has_range(&read->filter, (enum mote_reader_range)range));
    }
    if (!is_own_alone) {
        result = choose_range(reader, &read->filter, own, &best);
    }
    if (result == 0 && best != own) {
        result = begin_collecting(reader, list, best);
    } else if (result == 0) {
        begin_walk(reader, list);
    }
    return result;
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

void mote_reader_list_end(struct mote_reader_list *list)
{
    if (list->is_collecting) {
        (void)sqlite3_finalize(list->statement);
    } else if (list->statement != NULL) {
        mote_sqlite_reset(list->statement);
    }
    list->statement = NULL;
}

static int end_list(struct mote_reader *reader, struct mote_reader_list *list, int result)
{
    if (result == 1) {
        return result;
    }
    mote_reader_list_end(list);
    return mote_reader_end_read(reader, result);
}

int mote_reader_list_begin(struct mote_reader *reader, struct mote_reader_list *list,
                           struct mote_store_list_users *read)
{
    list->read = read;
    list->after = read->after; /* read->after moves on */
    list->statement = NULL;
    list->is_collecting = false;
    list->part = list->rows = list->looked = list->count = 0;
    read->more = false;
    read->total = -1;
    if (read->limit > MOTE_STORE_PAGE_MAX) {
        read->limit = MOTE_STORE_PAGE_MAX;
    }
    int result = mote_reader_begin_read(reader);
    if (result == 0 && read->filter.is_set) {
        result = begin_filtered(reader, list);
    } else if (result == 0) {
        result = count_users(reader, &read->total);
        if (result == 0) {
            begin_walk(reader, list);
        }
    }
    return result == 0 ? 0 : end_list(reader, list, result);
}

int mote_reader_list_continue(struct mote_reader *reader, struct mote_reader_list *list, uint32_t rows)
{
    int result = list->is_collecting ? collect(reader, list, rows) : walk(reader, list, rows);
    if (result == 0 && list->is_collecting) {
        result = hand_out(reader, list);
    }
    return end_list(reader, list, result);
}
