/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mote user import`: a user a line, many on the way at once, so that they share commits and their passwords are hashed
 * on all processors. Users go to the store in the order of the lines, whatever their passwords cost: of two with one
 * name the first is created. A line that is refused is told with its number and does not stop the others; what is wrong
 * with the store stops everything.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/effective.h"
#include "app/exit_code.h"
#include "app/import_line.h"
#include "app/progress.h"
#include "app/store_command.h"
#include "base/list.h"
#include "security/secret.h"
#include "services/services.h"

#define SLOTS       256u /* users on the way */
#define BUFFER_SIZE 65536u

enum { FLAG_DRY_RUN, FLAG_KEEP_IDS };

enum slot_state { SLOT_FREE, SLOT_HASHING, SLOT_READY, SLOT_WRITING };

struct slot {
    struct mote_store_create_user create;
    struct mote_password_job job;
    struct import *import;
    enum slot_state state;
    uint64_t line;
};

struct import {
    struct mote_store_command store;
    struct mote_password_pool *passwords;
    struct mote_progress progress;
    FILE *in;
    const char *path;
    bool dry_run, keep_ids, is_csv;
    struct mote_import_header header;
    uint64_t line; /* number of the one at hand */
    uint64_t created, refused;
    int error;           /* of the store or the machine: ends everything */
    size_t first, count; /* of `slots`: a ring; those before the first that is not with the store */
    size_t unsent;
    struct slot slots[SLOTS];
    char text[MOTE_IMPORT_LINE_MAX + 1];
    char buffer[BUFFER_SIZE]; /* of `in`: passwords go through it, so it is wiped */
};

/* --- telling ----------------------------------------------------------------------------------------------------- */

/* "users.csv:12: ada". `name` has held against the rules, or is empty. */
static void describe(char out[512], const struct import *import, uint64_t line, const char *name)
{
    snprintf(out, 512, "%s:%llu%s%s", import->path, (unsigned long long)line, name[0] != '\0' ? ": " : "", name);
}

static void refuse(struct import *import, const char *field, const char *why)
{
    char where[512];
    describe(where, import, import->line, "");
    mote_progress_hide(&import->progress);
    fprintf(stderr, "mote: %s: %s%s%s\n", where, field, field[0] != '\0' ? ": " : "", why);
    import->refused++;
}

/* --- users on the way -------------------------------------------------------------------------------------------- */

static void release(struct slot *slot)
{
    mote_secret_wipe(slot->create.user.password_hash, sizeof slot->create.user.password_hash);
    slot->state = SLOT_FREE;
}

static void created(struct mote_store_write *write)
{
    struct mote_store_create_user *create = MOTE_CONTAINER_OF(write, struct mote_store_create_user, write);
    struct slot *slot = MOTE_CONTAINER_OF(create, struct slot, create);
    struct import *import = slot->import;
    if (write->result == 0) {
        import->created++;
    } else if (write->result == MOTE_EEXISTS) {
        char where[512];
        describe(where, import, slot->line, create->user.username);
        mote_progress_hide(&import->progress);
        (void)mote_store_command_tell(where, write->result, create->taken, MOTE_STORE_CONFLICT_NONE);
        import->refused++;
    } else if (import->error == 0) {
        import->error = write->result;
    }
    release(slot);
}

static void submit(struct import *import, struct slot *slot)
{
    struct mote_store_write *write = &slot->create.write;
    write->kind = MOTE_STORE_CREATE_USER;
    write->done = created;
    write->now = mote_store_command_now();
    slot->state = SLOT_WRITING;
    int error = import->error == 0 ? mote_store_submit(import->store.session, write) : MOTE_ECANCELLED;
    if (error != 0) {
        import->error = import->error != 0 ? import->error : error;
        release(slot);
    }
}

/* Gives the store what it can have, in order, and takes free slots out of the ring. */
static void advance(struct import *import)
{
    while (import->unsent > 0) {
        struct slot *slot = &import->slots[(import->first + import->count - import->unsent) % SLOTS];
        if (slot->state != SLOT_READY) {
            break;
        }
        submit(import, slot);
        import->unsent--;
    }
    while (import->count > import->unsent && import->slots[import->first].state == SLOT_FREE) {
        import->first = (import->first + 1) % SLOTS;
        import->count--;
    }
}

static void hashed(struct mote_task *task)
{
    struct mote_password_job *job = MOTE_CONTAINER_OF(task, struct mote_password_job, done);
    struct slot *slot = MOTE_CONTAINER_OF(job, struct slot, job);
    if (job->result != 0 && slot->import->error == 0) {
        slot->import->error = job->result;
    }
    memcpy(slot->create.user.password_hash, job->hash, sizeof job->hash);
    mote_secret_wipe(job->hash, sizeof job->hash);
    slot->state = SLOT_READY;
}

static void hash(struct import *import, struct slot *slot, struct mote_slice password)
{
    struct mote_password_job *job = &slot->job;
    *job = (struct mote_password_job){.done = {.run = hashed},
                                      .mailbox = &import->store.mailbox,
                                      .kind = MOTE_PASSWORD_HASH,
                                      .is_patient = true,
                                      .deadline_ns = UINT64_MAX,
                                      .password_length = password.length};
    memcpy(job->password, password.data, password.length);
    slot->state = SLOT_HASHING;
    int error = mote_password_pool_submit(import->passwords, job);
    if (error != 0) {
        mote_secret_wipe(job->password, sizeof job->password);
        import->error = error;
        slot->state = SLOT_READY;
    }
}

/* --- lines ------------------------------------------------------------------------------------------------------- */

/* The record of a line. False when it is refused. */
static bool fill(struct import *import, struct mote_user *user, const struct mote_import_line *line, bool *is_hash)
{
    struct mote_rules rules = {0};
    char where[512];
    *is_hash = false;
    if (line->refused != NULL) {
        refuse(import, line->field, line->refused);
        return false;
    }
    mote_rules_new_user(&rules, user, &line->user, true);
    if (line->password[0] != '\0') {
        mote_rules_note(&rules, "password",
                        mote_rules_password_or_hash(is_hash, mote_slice_text(line->password),
                                                    mote_slice_text(line->user.username),
                                                    mote_slice_text(line->user.email)));
    }
    mote_rules_note(&rules, "id", import->keep_ids && !line->has_id ? "is missing, and --keep-ids wants it" : NULL);
    if (rules.count > 0) {
        describe(where, import, import->line, "");
        mote_progress_hide(&import->progress);
        import->refused++;
        return !mote_store_command_refuse(where, &rules);
    }
    user->state = line->state;
    user->password_change_required = line->password_change_required;
    user->create_time = line->create_time != 0 ? line->create_time : mote_store_command_now();
    user->update_time = line->update_time != 0 ? line->update_time : user->create_time;
    user->last_login_time = line->last_login_time;
    memcpy(user->id, line->id, sizeof user->id);
    return true;
}

static void take(struct import *import, const struct mote_import_line *line)
{
    bool is_hash;
    while (import->count == SLOTS) {
        mote_store_command_wait(&import->store);
        advance(import);
    }
    struct slot *slot = &import->slots[(import->first + import->count) % SLOTS];
    slot->create = (struct mote_store_create_user){.check_only = import->dry_run, .keep_times = import->keep_ids};
    if (!fill(import, &slot->create.user, line, &is_hash)) {
        return;
    }
    if (!import->keep_ids) {
        int error = mote_store_command_new_id(slot->create.user.id, mote_store_command_now());
        import->error = import->error != 0 ? import->error : error;
    }
    slot->import = import;
    slot->line = import->line;
    slot->state = SLOT_READY;
    import->count++;
    import->unsent++;
    if (is_hash) {
        memcpy(slot->create.user.password_hash, line->password, sizeof line->password);
    } else if (line->password[0] != '\0' && !import->dry_run) {
        hash(import, slot, mote_slice_text(line->password));
    }
    advance(import);
}

/* The next line without its end; false at the end of input. One that is too long or has a NUL is emptied, with
 * *refused telling so. */
static bool next_line(struct import *import, const char **refused)
{
    size_t length = 0;
    int byte;
    *refused = NULL;
    mote_secret_wipe(import->text, sizeof import->text); /* a longer one before it may have had a password */
    while ((byte = getc(import->in)) != EOF && byte != '\n') {
        if (byte == '\0') {
            *refused = "has a NUL character";
        } else if (length == MOTE_IMPORT_LINE_MAX - 1) {
            *refused = "is longer than 16 KiB";
        } else {
            import->text[length++] = (char)byte;
        }
    }
    length -= length > 0 && import->text[length - 1] == '\r';
    import->text[length] = '\0';
    import->line++;
    return byte != EOF || length > 0 || *refused != NULL;
}

/* The first line tells what the file is. False when it is a header that is no good. */
static bool read_first(struct import *import)
{
    static const char mark[] = "\xef\xbb\xbf"; /* a byte order mark, which some spreadsheets write */
    char field[32];
    char *text = import->text + (strncmp(import->text, mark, 3) == 0 ? 3 : 0);
    memmove(import->text, text, strlen(text) + 1);
    import->is_csv = import->text[strspn(import->text, " \t")] != '{';
    if (!import->is_csv) {
        return true;
    }
    const char *refused = mote_import_line_header(&import->header, import->text, field);
    if (refused != NULL) {
        refuse(import, field, refused);
    }
    return refused == NULL;
}

static void read_line(struct import *import)
{
    struct mote_import_line line;
    int error = mote_import_line_read(&line, import->is_csv ? &import->header : NULL, import->text);
    if (error == 0) {
        take(import, &line);
    } else {
        import->error = error;
    }
    mote_secret_wipe(&line, sizeof line);
}

static void read_all(struct import *import)
{
    const char *refused;
    while (import->error == 0 && next_line(import, &refused)) {
        if (refused != NULL) {
            refuse(import, "", refused);
        } else if (import->line == 1 && !read_first(import)) {
            break;
        } else if (import->text[0] != '\0' && !(import->line == 1 && import->is_csv)) {
            read_line(import);
        }
        mote_progress_move(&import->progress, import->created + import->refused);
    }
    while (import->count > 0) {
        if (import->unsent < import->count || import->slots[import->first].state == SLOT_HASHING) {
            mote_store_command_wait(&import->store);
        }
        advance(import);
        mote_progress_move(&import->progress, import->created + import->refused);
    }
}

/* One row for all of them. */
static void record(const struct import *import)
{
    char text[64];
    snprintf(text, sizeof text, "created %llu, refused %llu", (unsigned long long)import->created,
             (unsigned long long)import->refused);
    const struct mote_store_audit entry = {
        .action = MOTE_STORE_AUDIT_IMPORT_USERS, .actor = MOTE_STORE_ACTOR_LOCAL, .detail = mote_slice_text(text)};
    if (!import->dry_run) {
        mote_store_append_audit(import->store.store, &entry);
    }
}

/* --- the command ------------------------------------------------------------------------------------------------- */

/* Users of a file that can be read twice; 0: not known. */
static uint64_t count_lines(FILE *in)
{
    uint64_t count = 0;
    struct stat status;
    if (fstat(fileno(in), &status) != 0 || !S_ISREG(status.st_mode)) {
        return 0;
    }
    for (int byte = getc(in); byte != EOF; byte = getc(in)) {
        count += byte == '\n' ? 1 : 0;
    }
    rewind(in);
    return count;
}

static int open_passwords(struct import *import)
{
    struct mote_machine machine;
    struct mote_password_settings settings;
    const char *problem;
    mote_effective_measure(&machine);
    int error = mote_password_settings_parse(&settings, mote_slice_text(import->store.options.password_hash), &problem);
    if (error != 0) {
        return error;
    }
    unsigned threads =
        machine.processors < MOTE_PASSWORD_THREADS_MAX ? (unsigned)machine.processors : MOTE_PASSWORD_THREADS_MAX;
    return mote_password_pool_new(&import->passwords, mote_mem_system(), &settings, threads, mote_random_system(),
                                  mote_clock_system());
}

static int import_users(struct import *import)
{
    int error = open_passwords(import);
    if (error != 0) {
        return mote_store_command_tell("import", error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
    }
    uint64_t total = count_lines(import->in);
    mote_progress_start(&import->progress, stderr, mote_clock_system(), "importing", "users", total);
    read_all(import);
    record(import);
    mote_progress_hide(&import->progress);
    mote_password_pool_free(import->passwords);
    if (import->error == 0 && ferror(import->in)) {
        import->error = MOTE_EIO;
    }
    printf("%s %llu users, refused %llu\n", import->dry_run ? "would create" : "created",
           (unsigned long long)import->created, (unsigned long long)import->refused);
    int code = mote_store_command_tell("import", import->error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
    return code == MOTE_EXIT_OK && import->refused > 0 ? MOTE_EXIT_DATA : code;
}

static int run(const struct mote_command_call *call)
{
    static struct import import; /* large for a stack */
    bool is_stdin = strcmp(call->operand, "-") == 0;
    import.path = is_stdin ? "standard input" : call->operand;
    import.dry_run = call->values[FLAG_DRY_RUN] != NULL;
    import.keep_ids = call->values[FLAG_KEEP_IDS] != NULL;
    import.in = is_stdin ? stdin : fopen(call->operand, "re");
    if (import.in == NULL) {
        fprintf(stderr, "mote: %s: %s\n", import.path, strerror(errno));
        return MOTE_EXIT_NO_INPUT;
    }
    setvbuf(import.in, import.buffer, _IOFBF, sizeof import.buffer);
    int code = mote_store_command_open(&import.store, call, "user.v1.UserService/ImportUsers");
    if (code == MOTE_EXIT_OK) {
        code = import_users(&import);
    }
    mote_store_command_close(&import.store);
    if (!is_stdin) {
        fclose(import.in);
    }
    mote_secret_wipe(import.buffer, sizeof import.buffer);
    mote_secret_wipe(import.text, sizeof import.text);
    return code;
}

static const struct mote_command_flag flags[] = {
    [FLAG_DRY_RUN] = {"--dry-run", NULL, NULL,
                      "only tells what would be refused; of users that are there twice in the file it cannot tell"},
    [FLAG_KEEP_IDS] = {"--keep-ids", NULL, NULL,
                       "keeps ids and times of an export, for a new store in the place of an old one"},
};

const struct mote_command mote_command_user_import = {
    .name = "user import",
    .operand = "FILE",
    .meaning = "makes accounts from lines of JSON, as `mote user export` writes them, or from CSV",
    .details = "FILE may be - for standard input. The first line of CSV names the fields: username, email, "
               "display_name, roles (with commas between them, in quotes), state, email_verified, "
               "password_change_required, initial_password, password_hash; JSON takes these names and those of proto "
               "JSON. initial_password may be a hash. A user without either cannot log in until a password is set. "
               "Ids are new and times begin now unless --keep-ids is given. A line that is refused is told with its "
               "number, and the others go on; the exit code is then 65.",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .groups = MOTE_STORE_COMMAND_GROUPS | 1u << MOTE_OPTION_GROUP_PASSWORDS,
    .makes_store = true,
    .run = run,
};
