/* SPDX-License-Identifier: Apache-2.0 */
/* `mote audit list`: the newest rows of the audit record, the oldest of them first, also while a server runs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "app/exit_code.h"
#include "app/json_out.h"
#include "app/option_value.h"
#include "app/table.h"
#include "base/text.h"
#include "store/audit_log.h"

enum { FLAG_SINCE, FLAG_USER, FLAG_ACTION, FLAG_LIMIT, FLAG_FOLLOW, FLAG_JSON };

static const struct mote_command_flag flags[] = {
    [FLAG_SINCE] = {"--since", "TIME", NULL, "from then on: 24h, 2026-07-01, 2026-07-01T12:00:00Z"},
    [FLAG_USER] = {"--user", "USER", NULL, "what this user did, or what was done to them: username, email or id"},
    [FLAG_ACTION] = {"--action", "NAME", NULL, "this method only: Login, DisableUser, ..."},
    [FLAG_LIMIT] = {"--limit", "NUMBER", "100", "the newest so many"},
    [FLAG_FOLLOW] = {"--follow", NULL, NULL, "then waits for new ones, as JSON"},
    [FLAG_JSON] = {"--json", NULL, NULL, "a line of JSON a row"},
};

struct listing {
    struct mote_audit_log_query query;
    uint8_t user_id[16];
    struct mote_table table;
    bool is_table;
    int error;
};

/* --- rows -------------------------------------------------------------------------------------------------------- */

static void add_to_table(struct listing *listing, const struct mote_audit_log_row *row)
{
    char time_text[MOTE_TIME_TEXT_SIZE];
    time_text[mote_time_format(time_text, sizeof time_text, row->time, 0)] = '\0';
    const char *const cells[] = {time_text,
                                 row->action,
                                 row->result,
                                 row->actor_name[0] != '\0' ? row->actor_name : row->actor,
                                 row->user_name[0] != '\0' ? row->user_name : row->user_id,
                                 row->address,
                                 row->detail};
    if (listing->error == 0) {
        listing->error = mote_table_add(&listing->table, cells);
    }
}

static void print_json(const struct mote_audit_log_row *row)
{
    const struct {
        const char *name;
        const char *text;
    } texts[] = {{"action", row->action},  {"result", row->result},   {"actor", row->actor},
                 {"userId", row->user_id}, {"address", row->address}, {"sessionId", row->session_id},
                 {"detail", row->detail}};
    struct mote_json_out json;
    mote_json_out_begin(&json, stdout);
    mote_json_out_number(&json, "id", row->id);
    mote_json_out_time(&json, "time", row->time);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].text[0] != '\0') {
            mote_json_out_text(&json, texts[i].name, texts[i].text);
        }
    }
    mote_json_out_end(&json);
}

static void take_row(void *context, const struct mote_audit_log_row *row)
{
    struct listing *listing = context;
    listing->query.after = row->id;
    if (listing->is_table) {
        add_to_table(listing, row);
    } else {
        print_json(row);
    }
}

/* --- what is asked for ------------------------------------------------------------------------------------------- */

static bool read_since(int64_t *out, const char *text)
{
    static const char *const endings[] = {"", "T00:00:00Z"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char whole[64];
        if (snprintf(whole, sizeof whole, "%s%s", text, endings[i]) < (int)sizeof whole &&
            mote_time_parse(out, whole)) {
            return true;
        }
    }
    const struct mote_clock *clock = mote_clock_system();
    uint64_t duration;
    if (mote_option_value_duration(&duration, mote_slice_text(text), 0) != 0) {
        fprintf(stderr, "mote: --since: want a duration, a day or a time: 24h, 2026-07-01, 2026-07-01T12:00:00Z\n");
        return false;
    }
    *out = clock->wall_ns(clock->context) - (int64_t)duration;
    return true;
}

static bool is_action(const char *text)
{
    static const char *const names[] = {
#define X(constant, name) name,
        MOTE_STORE_AUDIT_MAP(X)
#undef X
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            return true;
        }
    }
    fprintf(stderr, "mote: --action: there is no \"%s\"; it is a method's name, such as Login\n", text);
    return false;
}

static bool read_query(struct listing *listing, const struct mote_command_call *call)
{
    struct mote_audit_log_query *query = &listing->query;
    uint64_t limit;
    if (mote_decimal_parse(&limit, mote_slice_text(call->values[FLAG_LIMIT]), INT64_MAX) != 0 || limit == 0) {
        fprintf(stderr, "mote: --limit: want a number from 1\n");
        return false;
    }
    *query = (struct mote_audit_log_query){
        .limit = (int64_t)limit, .action = call->values[FLAG_ACTION], .row = take_row, .context = listing};
    return (query->action == NULL || is_action(query->action)) &&
           (call->values[FLAG_SINCE] == NULL || read_since(&query->since, call->values[FLAG_SINCE]));
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static int read_rows(struct listing *listing, struct mote_audit_log *log)
{
    static const char *const titles[] = {"TIME", "ACTION", "RESULT", "BY", "USER", "ADDRESS", "DETAIL"};
    if (!listing->is_table) {
        return mote_audit_log_read(log, &listing->query);
    }
    int error = mote_table_init(&listing->table, stdout, titles, sizeof titles / sizeof titles[0]);
    if (error == 0) {
        error = mote_audit_log_read(log, &listing->query);
        mote_table_finish(&listing->table);
    }
    return error != 0 ? error : listing->error;
}

/* Until the user ends it, or nobody reads any more. */
static int follow(struct listing *listing, struct mote_audit_log *log)
{
    int error = 0;
    while (error == 0 && fflush(stdout) == 0) {
        (void)sleep(1);
        error = mote_audit_log_read(log, &listing->query);
        error = error == MOTE_EBUSY ? 0 : error;
    }
    return error;
}

static int list(struct listing *listing, struct mote_audit_log *log, const struct mote_command_call *call)
{
    const char *user = call->values[FLAG_USER];
    int error = user != NULL ? mote_audit_log_find_user(log, user, listing->user_id) : 0;
    if (error == MOTE_ENOTFOUND) {
        fprintf(stderr, "mote: there is no user %s; one who is gone is found by the id\n", user);
        return MOTE_EXIT_NO_INPUT;
    }
    listing->query.user_id = user != NULL ? listing->user_id : NULL;
    if (error == 0) {
        error = read_rows(listing, log);
    }
    if (error == 0 && call->values[FLAG_FOLLOW] != NULL) {
        listing->query.limit = 0;
        error = follow(listing, log);
    }
    if (error != 0) {
        fprintf(stderr, "mote: the audit record cannot be read: %s\n", mote_error_text(error));
    }
    return (int)mote_exit_code_of_store(error);
}

static int run(const struct mote_command_call *call)
{
    struct listing listing = {.is_table = call->values[FLAG_JSON] == NULL && call->values[FLAG_FOLLOW] == NULL};
    struct mote_options options;
    int code = mote_command_load_options(&options, call);
    if (code == MOTE_EXIT_OK && !read_query(&listing, call)) {
        code = MOTE_EXIT_USAGE;
    }
    if (code == MOTE_EXIT_OK) {
        struct mote_audit_log *log;
        char problem[MOTE_STORE_PROBLEM_MAX];
        int error = mote_audit_log_open(&log, options.store_url, problem);
        if (error == 0) {
            code = list(&listing, log, call);
            mote_audit_log_close(log);
        } else {
            fprintf(stderr, "mote: %s\n", problem);
            code = error == MOTE_ENOTFOUND ? MOTE_EXIT_NO_INPUT : (int)mote_exit_code_of_store(error);
        }
    }
    mote_options_dispose(&options);
    return code;
}

const struct mote_command mote_command_audit_list = {
    .name = "audit list",
    .meaning = "shows who logged in and what administrators did, also while a server runs",
    .details = "The newest rows, in the order in which they were written; kept for a year, 1,000,000 rows at most. BY "
               "is a user, \"local\" for a "
               "command on the server's machine, \"system\" for the server itself, or nobody.",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .groups = 1u << MOTE_OPTION_GROUP_STORE,
    .run = run,
};
