/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mote user create`: makes an account in the store itself, without a server: how the first administrator comes to be.
 * The rules are those of the service, and so is the lock of the store: while a server runs on it, this says so.
 */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "app/command.h"
#include "app/exit_code.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/text.h"
#include "security/password.h"
#include "security/secret.h"
#include "services/rules.h"
#include "services/services.h"
#include "store/store.h"

/* A mailbox for a thread that has nothing else to do: it waits for the one task. */
struct waiting_mailbox {
    struct mote_mailbox mailbox;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct mote_task *first;
};

static void post(struct mote_mailbox *mailbox, struct mote_task *task)
{
    struct waiting_mailbox *waiting = MOTE_CONTAINER_OF(mailbox, struct waiting_mailbox, mailbox);
    pthread_mutex_lock(&waiting->lock);
    task->next = waiting->first; /* one write at a time: no order to keep */
    waiting->first = task;
    pthread_cond_signal(&waiting->arrived);
    pthread_mutex_unlock(&waiting->lock);
}

static void run_next_task(struct waiting_mailbox *waiting)
{
    pthread_mutex_lock(&waiting->lock);
    while (waiting->first == NULL) {
        pthread_cond_wait(&waiting->arrived, &waiting->lock);
    }
    struct mote_task *task = waiting->first;
    waiting->first = task->next;
    pthread_mutex_unlock(&waiting->lock);
    task->run(task);
}

/* --- the record -------------------------------------------------------------------------------------------------- */

struct arguments {
    const char *username;
    const char *email;
    const char *display_name;
    const char *role;
    bool password_stdin;
};

static bool refuse(const char *flag, const char *why)
{
    if (why != NULL) {
        fprintf(stderr, "mote: %s: %s\n", flag, why);
    }
    return why != NULL;
}

static uint32_t role_of(const char *text)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } roles[] = {{"USER", MOTE_ROLE_BIT_USER}, {"SERVICE", MOTE_ROLE_BIT_SERVICE}, {"ADMIN", MOTE_ROLE_BIT_ADMIN}};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(text, roles[i].name) == 0) {
            return roles[i].bit;
        }
    }
    return 0;
}

/* Checks what was given and fills in the record but for the hash. False with a line for each thing that is wrong. */
static bool fill_user(struct mote_user *user, const struct arguments *arguments, const char *password)
{
    struct mote_slice username = mote_slice_text(arguments->username);
    struct mote_slice email = mote_slice_text(arguments->email);
    struct mote_slice display_name = mote_slice_text(arguments->display_name);
    user->roles = role_of(arguments->role);
    bool refused = refuse("--username", mote_rules_username(username));
    refused |= email.length > 0 && refuse("--email", mote_rules_email(email));
    refused |= display_name.length > 0 && refuse("--display-name", mote_rules_display_name(display_name));
    refused |= refuse("--role", user->roles == 0 ? "want USER, SERVICE or ADMIN" : NULL);
    if (arguments->password_stdin) {
        refused |= refuse("the password", mote_rules_password(mote_slice_text(password), username, email));
    }
    if (refused) {
        return false;
    }
    mote_rules_lower_username(user->username, arguments->username);
    snprintf(user->email, sizeof user->email, "%s", arguments->email);
    snprintf(user->display_name, sizeof user->display_name, "%s", arguments->display_name);
    user->state = MOTE_USER_ACTIVE;
    return true;
}

static int hash_password(struct mote_user *user, const struct mote_options *options, const char *password)
{
    struct mote_password_settings settings;
    const char *problem;
    int error = mote_password_settings_parse(&settings, mote_slice_text(options->password_hash), &problem);
    if (error == 0) {
        error = mote_password_hash(user->password_hash, &settings, mote_slice_text(password), mote_random_system());
    }
    return error;
}

/* --- the store --------------------------------------------------------------------------------------------------- */

static void created(struct mote_store_write *write)
{
    (void)write; /* the result stands in it, and who waits looks there */
}

static int submit(struct mote_store *store, struct waiting_mailbox *waiting, struct mote_store_create_user *create)
{
    const struct mote_clock *clock = mote_clock_system();
    const struct mote_random *random = mote_random_system();
    struct mote_store_session *session;
    uint8_t bytes[10];
    int error = random->fill(random->context, bytes, sizeof bytes);
    if (error != 0) {
        return error;
    }
    create->write.kind = MOTE_STORE_CREATE_USER;
    create->write.done = created;
    create->write.now = clock->wall_ns(clock->context);
    mote_uuid_make_v7(create->user.id, create->write.now, bytes);
    error = mote_store_session_open(&session, store, &waiting->mailbox);
    if (error != 0) {
        return error;
    }
    error = mote_store_submit(session, &create->write);
    if (error == 0) {
        run_next_task(waiting);
        error = create->write.result;
    }
    mote_store_session_close(session);
    return error;
}

static int tell(int error, const struct mote_store_create_user *create)
{
    char id[MOTE_UUID_TEXT_LENGTH];
    if (error == MOTE_EEXISTS) {
        fprintf(stderr, "mote: the %s is taken\n",
                create->taken == MOTE_STORE_TAKEN_EMAIL ? "email address" : "username");
    } else if (error != 0) {
        fprintf(stderr, "mote: the account could not be written: %s\n", mote_error_text(error));
    } else {
        mote_uuid_format(id, create->user.id);
        printf("created %s %.*s\n", create->user.username, (int)sizeof id, id);
    }
    return (int)mote_exit_code_of_store(error);
}

static int write_user(const struct mote_options *options, struct mote_log *log, struct mote_store_create_user *create)
{
    struct waiting_mailbox waiting = {
        .mailbox = {.post = post}, .lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};
    struct mote_store_options store_options = {
        .url = options->store_url, .log = log, .clock = mote_clock_system(), .mem = mote_mem_system()};
    struct mote_store *store;
    char problem[MOTE_STORE_PROBLEM_MAX];
    int error = mote_store_open(&store, &store_options, problem);
    if (error != 0) {
        fprintf(stderr, "mote: %s%s\n", problem,
                error == MOTE_EBUSY ? "; while a server runs on it, make accounts through the server (CreateUser)"
                                    : "");
        return (int)mote_exit_code_of_store(error);
    }
    error = submit(store, &waiting, create);
    mote_store_close(store);
    return tell(error, create);
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static int create_user(const struct mote_options *options, const struct arguments *arguments)
{
    struct mote_store_create_user create = {.write.result = 0};
    struct mote_log_sink *sink = NULL;
    char password[MOTE_PASSWORD_MAX + 2] = "";
    int code = MOTE_EXIT_DATA;
    if (arguments->password_stdin &&
        mote_command_read_secret(STDIN_FILENO, "the password", password, sizeof password) < 0) {
        return code;
    }
    if (!fill_user(&create.user, arguments, password)) {
        goto out;
    }
    int error = arguments->password_stdin ? hash_password(&create.user, options, password) : 0;
    if (error != 0) {
        fprintf(stderr, "mote: the password could not be hashed: %s\n", mote_error_text(error));
        code = MOTE_EXIT_OS;
        goto out;
    }
    code = mote_command_open_log(&sink, options);
    if (code == MOTE_EXIT_OK) {
        code = write_user(options, mote_log_sink_log(sink), &create);
    }
    mote_command_close_log(sink);
out:
    mote_secret_wipe(password, sizeof password);
    mote_secret_wipe(create.user.password_hash, sizeof create.user.password_hash);
    return code;
}

static int run_create(size_t count, char **arguments)
{
    const uint32_t groups =
        1u << MOTE_OPTION_GROUP_STORE | 1u << MOTE_OPTION_GROUP_PASSWORDS | 1u << MOTE_OPTION_GROUP_LOG;
    struct arguments given = {.email = "", .display_name = "", .role = "USER"};
    const struct mote_command_flag flags[] = {
        {"--username", &given.username, NULL, "3 to 32 characters; required"},
        {"--role", &given.role, NULL, "USER, SERVICE or ADMIN; default: USER"},
        {"--email", &given.email, NULL, "an address"},
        {"--display-name", &given.display_name, NULL, "a name for people"},
        {"--password-stdin", NULL, &given.password_stdin,
         "reads the password from standard input; without it the account cannot log in"},
    };
    if (mote_command_wants_help(count, arguments)) {
        puts("mote user create: makes an account, while no server runs on the store\n");
        mote_command_print_flags(flags, sizeof flags / sizeof flags[0]);
        mote_options_print_help(stdout, groups);
        return MOTE_EXIT_OK;
    }
    if (!mote_command_take_flags(&count, arguments, flags, sizeof flags / sizeof flags[0])) {
        return MOTE_EXIT_USAGE;
    }
    if (given.username == NULL) {
        fprintf(stderr, "mote: --username is missing\n");
        return MOTE_EXIT_USAGE;
    }
    struct mote_options options;
    int code = mote_command_load_options(&options, groups, count, arguments);
    if (code == MOTE_EXIT_OK) {
        code = create_user(&options, &given);
    }
    mote_options_dispose(&options);
    return code;
}

int mote_command_user(size_t count, char **arguments)
{
    if (count > 0 && strcmp(arguments[0], "create") == 0) {
        return run_create(count - 1, arguments + 1);
    }
    fprintf(stderr, "mote: user: there is only \"mote user create\"\n");
    return mote_command_wants_help(count, arguments) ? MOTE_EXIT_OK : MOTE_EXIT_USAGE;
}
