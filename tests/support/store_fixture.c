/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the store share. Failures of the fixture itself abort: they are never what a test is about. */
#include "support/store_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/list.h"

static void post(struct mote_mailbox *mailbox, struct mote_task *task)
{
    struct fixture_mailbox *box = MOTE_CONTAINER_OF(mailbox, struct fixture_mailbox, mailbox);
    pthread_mutex_lock(&box->mutex);
    task->next = NULL;
    *box->tail = task;
    box->tail = &task->next;
    pthread_cond_signal(&box->wake);
    pthread_mutex_unlock(&box->mutex);
}

void fixture_make_folder(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/mote-test-store-XXXXXX");
    mote_assert(mkdtemp(fixture->folder) != NULL);
    snprintf(fixture->path, sizeof fixture->path, "%s/mote.db", fixture->folder);
    snprintf(fixture->url, sizeof fixture->url, "sqlite:%s", fixture->path);
}

void fixture_remove_folder(struct fixture *fixture)
{
    DIR *folder = opendir(fixture->folder);
    mote_assert(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[512];
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", fixture->folder, entry->d_name);
            (void)remove(path);
        }
    }
    closedir(folder);
    (void)rmdir(fixture->folder);
}

static void open_session(struct fixture *fixture)
{
    struct fixture_mailbox *box = &fixture->mailbox;
    box->mailbox.post = post;
    pthread_mutex_init(&box->mutex, NULL);
    pthread_cond_init(&box->wake, NULL);
    box->head = NULL;
    box->tail = &box->head;
    mote_assert(mote_store_session_open(&fixture->session, fixture->store, &box->mailbox) == 0);
}

static int try_open(struct fixture *fixture, const char *url, const struct mote_clock *clock, bool must_exist)
{
    struct mote_store_options options = {
        .url = url, .log = mote_log_none(), .clock = clock, .mem = mote_mem_system(), .must_exist = must_exist};
    int result = mote_store_open(&fixture->store, &options, fixture->problem);
    if (result == 0) {
        open_session(fixture);
    }
    return result;
}

int fixture_try_open(struct fixture *fixture, const char *url)
{
    return try_open(fixture, url, mote_clock_system(), false);
}

int fixture_try_open_existing(struct fixture *fixture, const char *url)
{
    return try_open(fixture, url, mote_clock_system(), true);
}

void fixture_open_with_clock(struct fixture *fixture, const char *url, const struct mote_clock *clock)
{
    int result = try_open(fixture, url, clock, false);
    if (result != 0) {
        fprintf(stderr, "%s: %s\n", mote_error_name(result), fixture->problem);
    }
    mote_assert(result == 0);
}

void fixture_open(struct fixture *fixture, const char *url)
{
    fixture_open_with_clock(fixture, url, mote_clock_system());
}

void fixture_share(struct fixture *fixture, const struct fixture *other)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->store = other->store;
    open_session(fixture);
}

void fixture_close_shared(struct fixture *fixture)
{
    mote_store_session_close(fixture->session);
    pthread_cond_destroy(&fixture->mailbox.wake);
    pthread_mutex_destroy(&fixture->mailbox.mutex);
    fixture->session = NULL;
}

void fixture_close(struct fixture *fixture)
{
    fixture_close_shared(fixture);
    mote_store_close(fixture->store);
    fixture->store = NULL;
}

sqlite3 *fixture_open_file(const struct fixture *fixture)
{
    sqlite3 *db = NULL;
    mote_assert(sqlite3_open_v2(fixture->path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

void fixture_pump(struct fixture *fixture)
{
    struct fixture_mailbox *box = &fixture->mailbox;
    pthread_mutex_lock(&box->mutex);
    while (box->head == NULL) {
        pthread_cond_wait(&box->wake, &box->mutex);
    }
    struct mote_task *task = box->head;
    box->head = NULL;
    box->tail = &box->head;
    pthread_mutex_unlock(&box->mutex);
    while (task != NULL) {
        struct mote_task *next = task->next;
        task->run(task);
        task = next;
    }
}

/* `now` has no meaning any more when a write is done: it can say so. */
static void set_done(struct mote_store_write *write)
{
    write->now = INT64_MIN;
}

int fixture_submit(struct fixture *fixture, struct mote_store_write *write, enum mote_store_write_kind kind,
                   int64_t now)
{
    write->kind = kind;
    write->now = now;
    write->done = set_done;
    return mote_store_submit(fixture->session, write);
}

int fixture_write(struct fixture *fixture, struct mote_store_write *write, enum mote_store_write_kind kind, int64_t now)
{
    int result = fixture_submit(fixture, write, kind, now);
    if (result != 0) {
        return result;
    }
    fixture_wait(fixture, write);
    return write->result;
}

void fixture_wait(struct fixture *fixture, const struct mote_store_write *write)
{
    while (write->now != INT64_MIN) {
        fixture_pump(fixture);
    }
}

void fixture_id(uint8_t id[16], uint8_t kind, uint32_t number)
{
    memset(id, 0, 16);
    id[0] = kind;
    for (unsigned i = 0; i < 4; i++) {
        id[15 - i] = (uint8_t)(number >> (8 * i));
    }
}

void fixture_user(struct mote_user *user, uint32_t number)
{
    memset(user, 0, sizeof *user);
    fixture_id(user->id, 'u', number);
    snprintf(user->username, sizeof user->username, "user%u", number);
    snprintf(user->email, sizeof user->email, "User%u@example.org", number);
    snprintf(user->display_name, sizeof user->display_name, "User %u", number);
    snprintf(user->password_hash, sizeof user->password_hash, "$argon2id$v=19$m=19456,t=2,p=1$hash of %u", number);
    user->roles = 1;
    user->state = MOTE_USER_ACTIVE;
}

int fixture_create_user(struct fixture *fixture, uint32_t number, int64_t now)
{
    struct mote_store_create_user create;
    memset(&create, 0, sizeof create);
    fixture_user(&create.user, number);
    return fixture_write(fixture, &create.write, MOTE_STORE_CREATE_USER, now);
}

struct get_user {
    struct mote_store_get_user read;
    int result;
};

static void got_user(struct mote_store_get_user *read, int result)
{
    MOTE_CONTAINER_OF(read, struct get_user, read)->result = result;
}

int fixture_get_user(struct fixture *fixture, uint32_t number, struct mote_user *user)
{
    struct get_user get;
    memset(&get, 0, sizeof get);
    get.read.key = MOTE_STORE_BY_ID;
    get.read.done = got_user;
    fixture_id(get.read.id, 'u', number);
    mote_store_get_user(fixture->session, &get.read);
    *user = get.read.user;
    return get.result;
}
