/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mote user list` and `mote user export`: the users page by page, in memory that does not grow with their number. A
 * page is copied out of the store first, because an export with password hashes reads each user once more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/exit_code.h"
#include "app/progress.h"
#include "app/store_command.h"
#include "app/user_print.h"
#include "base/list.h"
#include "base/text.h"
#include "security/secret.h"
#include "services/filter.h"

#define PAGE 200u

/* Walks over the users and hands each to `each` until that says otherwise. */
struct walk {
    struct mote_store_list_users read;
    struct mote_store_command *store;
    uint64_t limit; /* users */
    uint64_t count; /* handed out so far */
    /* A failure of it, or of the store, ends the walk. */
    int (*each)(struct walk *walk, struct mote_user *user);
    uint32_t rows;
    int result;
    struct mote_user page[PAGE];
};

static void take_row(struct mote_store_list_users *read, const struct mote_user *user)
{
    struct walk *walk = MOTE_CONTAINER_OF(read, struct walk, read);
    walk->page[walk->rows++] = *user;
}

static void page_read(struct mote_store_list_users *read, int result)
{
    MOTE_CONTAINER_OF(read, struct walk, read)->result = result;
}

static int read_page(struct walk *walk)
{
    uint64_t left = walk->limit - walk->count;
    walk->rows = 0;
    walk->result = 1;
    walk->read.limit = left < PAGE ? (uint32_t)left : PAGE;
    walk->read.row = take_row;
    walk->read.done = page_read;
    mote_store_list_users(walk->store->session, &walk->read);
    while (walk->result > 0) {
        mote_store_command_wait(walk->store);
    }
    mote_store_session_end_turn(walk->store->session);
    walk->read.has_after = true;
    return walk->result;
}

static int walk_over(struct walk *walk)
{
    int error = 0;
    do {
        error = read_page(walk);
        for (uint32_t i = 0; i < walk->rows && error == 0; i++) {
            error = walk->each(walk, &walk->page[i]);
            walk->count++;
        }
    } while (error == 0 && walk->read.more && walk->count < walk->limit);
    return error;
}

/* --- list -------------------------------------------------------------------------------------------------------- */

enum { FLAG_FILTER, FLAG_ORDER_BY, FLAG_LIMIT, FLAG_JSON };

static const struct mote_command_flag list_flags[] = {
    [FLAG_FILTER] = {"--filter", "FILTER", "",
                     "whom to list, as ListUsers takes it: role = ADMIN AND username = \"al*\""},
    [FLAG_ORDER_BY] = {"--order-by", "ORDER", "create_time", "create_time or username, also with \" desc\" behind it"},
    [FLAG_LIMIT] = {"--limit", "NUMBER", NULL, "so many users at most"},
    [FLAG_JSON] = {"--json", NULL, NULL, "a line of JSON a user, with the names of user.v1.User"},
};

struct listing {
    struct walk walk;
    struct mote_table table;
};

static int list_row(struct walk *walk, struct mote_user *user)
{
    return mote_user_print_row(&MOTE_CONTAINER_OF(walk, struct listing, walk)->table, user);
}

static int list_json(struct walk *walk, struct mote_user *user)
{
    (void)walk;
    mote_user_print_json(stdout, user, false);
    return ferror(stdout) ? MOTE_EIO : 0;
}

static int list(struct listing *listing)
{
    int error = 0;
    bool is_table = listing->walk.each == list_row;
    if (is_table) {
        error = mote_user_print_begin(&listing->table, stdout);
    }
    if (error == 0) {
        error = walk_over(&listing->walk);
    }
    if (is_table) {
        mote_table_finish(&listing->table);
    }
    return mote_store_command_tell("list", error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
}

static bool read_query(struct mote_store_list_users *read, const char *const *values)
{
    const char *filter = mote_filter_parse(&read->filter, values[FLAG_FILTER]);
    const char *order = mote_filter_parse_order(&read->order, &read->descending, values[FLAG_ORDER_BY]);
    if (filter != NULL) {
        fprintf(stderr, "mote: --filter: %s\n", filter);
    }
    if (order != NULL) {
        fprintf(stderr, "mote: --order-by: %s\n", order);
    }
    return filter == NULL && order == NULL;
}

static int run_list(const struct mote_command_call *call)
{
    static struct listing listing; /* large for a stack */
    struct mote_store_command store;
    listing.walk.limit = UINT64_MAX;
    listing.walk.each = call->values[FLAG_JSON] != NULL ? list_json : list_row;
    if (!read_query(&listing.walk.read, call->values)) {
        return MOTE_EXIT_USAGE;
    }
    if (call->values[FLAG_LIMIT] != NULL &&
        (mote_decimal_parse(&listing.walk.limit, mote_slice_text(call->values[FLAG_LIMIT]), UINT64_MAX) != 0 ||
         listing.walk.limit == 0)) {
        fprintf(stderr, "mote: --limit: want a number from 1\n");
        return MOTE_EXIT_USAGE;
    }
    int code = mote_store_command_open(&store, call, "user.v1.UserService/ListUsers");
    if (code == MOTE_EXIT_OK) {
        listing.walk.store = &store;
        code = list(&listing);
    }
    mote_store_command_close(&store);
    return code;
}

const struct mote_command mote_command_user_list = {
    .name = "user list",
    .meaning = "lists the accounts",
    .flags = list_flags,
    .flag_count = sizeof list_flags / sizeof list_flags[0],
    .groups = MOTE_STORE_COMMAND_GROUPS,
    .run = run_list,
};

/* --- export ------------------------------------------------------------------------------------------------------ */

enum { FLAG_OUTPUT, FLAG_HASHES };

static const struct mote_command_flag export_flags[] = {
    [FLAG_OUTPUT] = {"--output", "FILE", NULL, "a new file, readable by its owner only; without it, standard output"},
    [FLAG_HASHES] = {"--with-password-hashes", NULL, NULL,
                     "with the password hashes, so that an import gives accounts that can log in; never on a terminal"},
};

struct exporting {
    struct walk walk;
    FILE *out;
    bool whole;
    struct mote_progress progress;
};

static int export_user(struct walk *walk, struct mote_user *user)
{
    struct exporting *exporting = MOTE_CONTAINER_OF(walk, struct exporting, walk);
    char id[MOTE_UUID_TEXT_LENGTH + 1] = "";
    mote_uuid_format(id, user->id);
    int error = exporting->whole ? mote_store_command_find_user(walk->store, id, user) : 0;
    if (error == 0) {
        mote_user_print_json(exporting->out, user, exporting->whole);
        exporting->progress.total = (uint64_t)walk->read.total;
        mote_progress_move(&exporting->progress, walk->count + 1);
    }
    mote_secret_wipe(user->password_hash, sizeof user->password_hash);
    return error == 0 && ferror(exporting->out) ? MOTE_EIO : error;
}

/* Ends a file so that it is on the disk. */
static int close_file(FILE *file, const char *path, int code)
{
    bool failed = fflush(file) != 0 || fsync(fileno(file)) != 0;
    if (code == MOTE_EXIT_OK && failed) {
        fprintf(stderr, "mote: cannot write %s: %s\n", path, strerror(errno));
        code = MOTE_EXIT_IO;
    }
    fclose(file);
    if (code != MOTE_EXIT_OK) {
        unlink(path); /* half an export is none */
    }
    return code;
}

static FILE *create_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) {
        fprintf(stderr, "mote: cannot create %s: %s\n", path, strerror(errno));
    }
    return file;
}

static int export_users(struct exporting *exporting, const char *path)
{
    exporting->walk.limit = UINT64_MAX;
    exporting->walk.each = export_user;
    exporting->out = path != NULL ? create_file(path) : stdout;
    if (exporting->out == NULL) {
        return MOTE_EXIT_CANNOT_CREATE;
    }
    mote_progress_start(&exporting->progress, stderr, mote_clock_system(), "exporting", "users", 0);
    int error = walk_over(&exporting->walk);
    mote_progress_hide(&exporting->progress);
    int code = mote_store_command_tell("export", error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
    if (path != NULL) {
        code = close_file(exporting->out, path, code);
    }
    if (code == MOTE_EXIT_OK) {
        fprintf(stderr, "exported %llu users\n", (unsigned long long)exporting->walk.count);
    }
    return code;
}

static int run_export(const struct mote_command_call *call)
{
    static struct exporting exporting; /* large for a stack */
    struct mote_store_command store;
    const char *path = call->values[FLAG_OUTPUT];
    exporting.whole = call->values[FLAG_HASHES] != NULL;
    if (exporting.whole && path == NULL && isatty(STDOUT_FILENO)) {
        fprintf(stderr, "mote: password hashes are not shown on a terminal: use --output FILE\n");
        return MOTE_EXIT_USAGE;
    }
    int code = mote_store_command_open(&store, call, "user.v1.UserService/ListUsers");
    if (code == MOTE_EXIT_OK) {
        exporting.walk.store = &store;
        code = export_users(&exporting, path);
    }
    mote_store_command_close(&store);
    return code;
}

const struct mote_command mote_command_user_export = {
    .name = "user export",
    .meaning = "writes all accounts as lines of JSON, for `mote user import`",
    .details = "Proto JSON of user.v1.User; sessions and tokens are not in it.",
    .flags = export_flags,
    .flag_count = sizeof export_flags / sizeof export_flags[0],
    .groups = MOTE_STORE_COMMAND_GROUPS,
    .run = run_export,
};
