/* SPDX-License-Identifier: Apache-2.0 */
/* `mote store backup`, `check` and `restore`: the store's file as a whole. The first two work beside a server. */
#include "store/backup.h"

#include <stdio.h>

#include "app/command.h"
#include "app/exit_code.h"
#include "app/progress.h"

#define KIB 1024u

static void move(void *context, uint64_t done, uint64_t total)
{
    struct mote_progress *progress = context;
    progress->total = total / KIB;
    mote_progress_move(progress, done / KIB);
}

/* One line, and the exit code. A backup that is there, or not there, is the user's affair, not the store's. */
static int tell(int error, const char *problem)
{
    if (error == 0) {
        return MOTE_EXIT_OK;
    }
    fprintf(stderr, "mote: %s\n", problem);
    if (error == MOTE_EEXISTS) {
        return MOTE_EXIT_CANNOT_CREATE;
    }
    return error == MOTE_ENOTFOUND ? MOTE_EXIT_NO_INPUT : (int)mote_exit_code_of_store(error);
}

static struct mote_backup backup_of(const struct mote_options *options, const char *path,
                                    struct mote_progress *progress, const char *what)
{
    mote_progress_start(progress, stderr, mote_clock_system(), what, "KiB", 0);
    return (struct mote_backup){
        .url = options->store_url, .path = path, .progress = {.move = move, .context = progress}};
}

/* --- backup ------------------------------------------------------------------------------------------------------ */

enum { FLAG_FORCE };

static const struct mote_command_flag backup_flags[] = {
    [FLAG_FORCE] = {"--force", NULL, NULL, "replaces FILE when it is there"},
};

static int run_backup(const struct mote_command_call *call)
{
    struct mote_options options;
    int code = mote_command_load_options(&options, call);
    if (code == MOTE_EXIT_OK) {
        struct mote_progress progress;
        char problem[MOTE_STORE_PROBLEM_MAX];
        struct mote_backup backup = backup_of(&options, call->operand, &progress, "backing up");
        backup.replace = call->values[FLAG_FORCE] != NULL;
        int error = mote_backup_make(&backup, problem);
        mote_progress_hide(&progress);
        code = tell(error, problem);
    }
    if (code == MOTE_EXIT_OK) {
        printf("backed up to %s, and checked\n", call->operand);
    }
    mote_options_dispose(&options);
    return code;
}

const struct mote_command mote_command_store_backup = {
    .name = "store backup",
    .operand = "FILE",
    .meaning = "writes a consistent copy of the store, also while a server runs on it",
    .details =
        "The copy is one file that only its owner can read. It appears under its name when it is complete, checked "
        "and on the disk. It holds password hashes.",
    .flags = backup_flags,
    .flag_count = sizeof backup_flags / sizeof backup_flags[0],
    .groups = 1u << MOTE_OPTION_GROUP_STORE,
    .run = run_backup,
};

/* --- restore ----------------------------------------------------------------------------------------------------- */

static int run_restore(const struct mote_command_call *call)
{
    struct mote_options options;
    char kept[PATH_MAX] = "";
    int code = mote_command_load_options(&options, call);
    if (code == MOTE_EXIT_OK) {
        struct mote_progress progress;
        char problem[MOTE_STORE_PROBLEM_MAX];
        const struct mote_clock *clock = mote_clock_system();
        struct mote_backup backup = backup_of(&options, call->operand, &progress, "restoring");
        int error = mote_backup_restore(&backup, clock->wall_ns(clock->context), kept, problem);
        mote_progress_hide(&progress);
        code = tell(error, problem);
    }
    if (code == MOTE_EXIT_OK) {
        printf("restored from %s%s%s\n", call->operand, kept[0] != '\0' ? "; what was there is now " : "", kept);
    }
    mote_options_dispose(&options);
    return code;
}

const struct mote_command mote_command_store_restore = {
    .name = "store restore",
    .operand = "FILE",
    .meaning = "puts a backup in the place of the store, while no server runs on it",
    .details = "FILE is checked before anything is touched. The store that was there is kept beside the new one, as "
               "<store>.before-restore-<time>. Sessions are as they were when the backup was made: who has logged out "
               "or been disabled since is not.",
    .groups = 1u << MOTE_OPTION_GROUP_STORE,
    .run = run_restore,
};

/* --- check ------------------------------------------------------------------------------------------------------- */

static void print_finding(void *context, const char *finding)
{
    (void)context;
    printf("%s\n", finding);
}

enum { FLAG_FILE };

static const struct mote_command_flag check_flags[] = {
    [FLAG_FILE] = {"--file", "FILE", NULL, "checks this backup instead"},
};

static int run_check(const struct mote_command_call *call)
{
    struct mote_options options;
    const char *file = call->values[FLAG_FILE];
    int code = mote_command_load_options(&options, call);
    if (code == MOTE_EXIT_OK) {
        char problem[MOTE_STORE_PROBLEM_MAX];
        char url[PATH_MAX + sizeof "sqlite:"];
        (void)snprintf(url, sizeof url, "sqlite:%s", file != NULL ? file : "");
        int error = mote_backup_check(file != NULL ? url : options.store_url, print_finding, NULL, problem);
        code = tell(error, problem);
    }
    if (code == MOTE_EXIT_OK) {
        puts("ok");
    }
    mote_options_dispose(&options);
    return code;
}

const struct mote_command mote_command_store_check = {
    .name = "store check",
    .meaning = "looks through the whole store, also while a server runs on it",
    .details = "Every page, every index, and what must hold between the rows. A line for each thing that is wrong, or "
               "\"ok\".",
    .flags = check_flags,
    .flag_count = sizeof check_flags / sizeof check_flags[0],
    .groups = 1u << MOTE_OPTION_GROUP_STORE,
    .run = run_check,
};
