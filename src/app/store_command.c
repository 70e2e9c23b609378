/* SPDX-License-Identifier: Apache-2.0 */
/* See store_command.h. */
#include "app/store_command.h"

#include <signal.h>
#include <stdio.h>

#include "app/exit_code.h"
#include "base/list.h"
#include "base/text.h"
#include "security/secret.h"
#include "services/failure.h"

/* --- the mailbox of a thread that has nothing else to do --------------------------------------------------------- */

static void post(struct mote_mailbox *mailbox, struct mote_task *task)
{
    struct mote_store_command *store = MOTE_CONTAINER_OF(mailbox, struct mote_store_command, mailbox);
    pthread_mutex_lock(&store->lock);
    task->next = NULL;
    *store->last = task;
    store->last = &task->next;
    pthread_cond_signal(&store->arrived);
    pthread_mutex_unlock(&store->lock);
}

void mote_store_command_wait(struct mote_store_command *store)
{
    pthread_mutex_lock(&store->lock);
    while (store->first == NULL) {
        pthread_cond_wait(&store->arrived, &store->lock);
    }
    struct mote_task *task = store->first;
    store->first = task->next;
    store->last = store->first == NULL ? &store->first : store->last;
    pthread_mutex_unlock(&store->lock);
    task->run(task);
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static int open_store(struct mote_store_command *store, const struct mote_command *command, const char *method)
{
    struct mote_store_options options = {.url = store->options.store_url,
                                         .log = mote_log_sink_log(store->sink),
                                         .clock = mote_clock_system(),
                                         .mem = mote_mem_system(),
                                         .must_exist = !command->makes_store};
    char problem[MOTE_STORE_PROBLEM_MAX];
    int error = mote_store_open(&store->store, &options, problem);
    if (error == 0) {
        error = mote_store_session_open(&store->session, store->store, &store->mailbox);
        snprintf(problem, sizeof problem, "%s", mote_error_text(error));
    }
    if (error != 0) {
        fprintf(stderr, "mote: %s", problem);
        if (error == MOTE_EBUSY) {
            fprintf(stderr, "; stop that server first, or let it do this: grpcurl \xe2\x80\xa6 %s", method);
        } else if (error == MOTE_ENOTFOUND && options.must_exist) {
            fputs("; STORE_URL says where the store is", stderr);
        }
        fputc('\n', stderr);
    }
    return error == MOTE_ENOTFOUND && options.must_exist ? MOTE_EXIT_NO_INPUT : (int)mote_exit_code_of_store(error);
}

int mote_store_command_open(struct mote_store_command *store, const struct mote_command_call *call, const char *method)
{
    *store = (struct mote_store_command){
        .mailbox = {.post = post}, .lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};
    store->last = &store->first;
    /* Signals are for the thread that may be asking something (prompt.c), so those that begin here take none. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = mote_command_load_options(&store->options, call);
    if (code == MOTE_EXIT_OK) {
        code = mote_command_open_log(&store->sink, &store->options);
    }
    if (code == MOTE_EXIT_OK && method != NULL) {
        code = open_store(store, call->command, method);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

void mote_store_command_close(struct mote_store_command *store)
{
    if (store->session != NULL) {
        mote_store_session_close(store->session);
    }
    if (store->store != NULL) {
        mote_store_close(store->store);
    }
    mote_command_close_log(store->sink);
    mote_options_dispose(&store->options);
}

/* --- operations -------------------------------------------------------------------------------------------------- */

int64_t mote_store_command_now(void)
{
    const struct mote_clock *clock = mote_clock_system();
    return clock->wall_ns(clock->context);
}

int mote_store_command_new_id(uint8_t id[16], int64_t now)
{
    const struct mote_random *random = mote_random_system();
    uint8_t bytes[10];
    int error = random->fill(random->context, bytes, sizeof bytes);
    if (error == 0) {
        mote_uuid_make_v7(id, now, bytes);
    }
    return error;
}

int mote_store_command_hash(struct mote_store_command *store, char out[MOTE_PASSWORD_HASH_MAX], const char *password)
{
    struct mote_password_settings settings;
    const char *problem;
    int error = mote_password_settings_parse(&settings, mote_slice_text(store->options.password_hash), &problem);
    return error == 0 ? mote_password_hash(out, &settings, mote_slice_text(password), mote_random_system()) : error;
}

struct mote_store_audit mote_store_command_audit(enum mote_store_audit_action action, const uint8_t user_id[16],
                                                 const char *detail)
{
    struct mote_store_audit audit = {
        .action = action, .actor = MOTE_STORE_ACTOR_LOCAL, .detail = mote_slice_text(detail)};
    memcpy(audit.user_id, user_id, sizeof audit.user_id);
    return audit;
}

static void written(struct mote_store_write *write)
{
    (void)write; /* the result stands in it, and who waits looks there */
}

int mote_store_command_write(struct mote_store_command *store, struct mote_store_write *write,
                             struct mote_store_audit audit)
{
    write->done = written;
    write->now = mote_store_command_now();
    write->audit = &audit;
    int error = mote_store_submit(store->session, write);
    if (error == 0) {
        mote_store_command_wait(store);
        error = write->result;
    }
    return error;
}

struct finding {
    struct mote_store_get_user read;
    int result; /* positive: still waiting */
};

static void found(struct mote_store_get_user *read, int result)
{
    MOTE_CONTAINER_OF(read, struct finding, read)->result = result;
}

int mote_store_command_find_user(struct mote_store_command *store, const char *text, struct mote_user *user)
{
    struct finding finding = {.read = {.key = MOTE_STORE_BY_USERNAME, .done = found}, .result = 1};
    struct mote_slice name = mote_slice_text(text);
    if (mote_uuid_parse(finding.read.id, name) == 0) {
        finding.read.key = MOTE_STORE_BY_ID;
    } else if (memchr(name.data, '@', name.length) != NULL) {
        finding.read.key = MOTE_STORE_BY_EMAIL;
    }
    if (name.length >= sizeof finding.read.text) {
        return MOTE_ENOTFOUND;
    }
    memcpy(finding.read.text, text, name.length + 1);
    if (finding.read.key == MOTE_STORE_BY_USERNAME) {
        mote_rules_lower_username(finding.read.text, text);
    }
    mote_store_get_user(store->session, &finding.read);
    while (finding.result > 0) {
        mote_store_command_wait(store);
    }
    mote_store_session_end_turn(store->session);
    *user = finding.read.user;
    mote_secret_wipe(&finding, sizeof finding.read);
    return finding.result;
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

int mote_store_command_tell(const char *what, int error, enum mote_store_taken taken, enum mote_store_conflict conflict)
{
    if (error == 0) {
        return MOTE_EXIT_OK;
    }
    const char *text = mote_error_text(error);
    bool refused = error == MOTE_ENOTFOUND || error == MOTE_ECONFLICT || error == MOTE_EEXISTS;
    if (error == MOTE_EEXISTS && taken == MOTE_STORE_TAKEN_NONE) {
        text = "the id is taken";
    } else if (refused) {
        text = mote_failure_row(mote_failure_of_write(error, taken, conflict))->message;
    }
    fprintf(stderr, "mote: %s: %s\n", what, text);
    return refused ? MOTE_EXIT_DATA : (int)mote_exit_code_of_store(error);
}

bool mote_store_command_refuse(const char *where, const struct mote_rules *rules)
{
    static const char prefix[] = "user.";
    for (size_t i = 0; i < rules->count; i++) {
        const char *field = rules->violations[i].field;
        field += strncmp(field, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0;
        fprintf(stderr, "mote: %s: %s %s\n", where, field, rules->violations[i].text);
    }
    return rules->count > 0;
}
