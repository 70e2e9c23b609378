/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store for tests: opened on a file of its own or in memory, with a mailbox that the test pumps, and every
 * asynchronous operation as a call that returns when it is done. A fixture belongs to one thread; more sessions of the
 * same store are made with fixture_share, one for each further thread.
 */
#ifndef MOTE_TESTS_SUPPORT_STORE_FIXTURE_H
#define MOTE_TESTS_SUPPORT_STORE_FIXTURE_H

#include <pthread.h>
#include <sqlite3.h>

#include "store/store.h"

struct fixture_mailbox {
    struct mote_mailbox mailbox;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct mote_task *head;
    struct mote_task **tail;
};

struct fixture {
    struct mote_store *store;
    struct mote_store_session *session;
    struct fixture_mailbox mailbox;
    char folder[64]; /* removed by fixture_remove_folder */
    char path[96];   /* of the database in it */
    char url[128];
    char problem[MOTE_STORE_PROBLEM_MAX];
};

/* A fresh folder under /tmp, with nothing in it. */
void fixture_make_folder(struct fixture *fixture);
void fixture_remove_folder(struct fixture *fixture);

/* Store and session. The last returns what mote_store_open said; the others abort when it is not 0. */
void fixture_open(struct fixture *fixture, const char *url);
void fixture_open_with_clock(struct fixture *fixture, const char *url, const struct mote_clock *clock);
int fixture_try_open(struct fixture *fixture, const char *url);
/* Only where there is one. */
int fixture_try_open_existing(struct fixture *fixture, const char *url);
/* Another session of the same store, for another thread. */
void fixture_share(struct fixture *fixture, const struct fixture *other);
void fixture_close(struct fixture *fixture);
void fixture_close_shared(struct fixture *fixture);

/* A connection of another program to the same file. */
sqlite3 *fixture_open_file(const struct fixture *fixture);

/* Runs tasks that have been posted; waits for the first when there is none. */
void fixture_pump(struct fixture *fixture);
/* Submits and waits; returns the write's result. `write` is the head of the struct, kind set. */
int fixture_write(struct fixture *fixture, struct mote_store_write *write, enum mote_store_write_kind kind,
                  int64_t now);
/* The same without waiting, and the waiting. The first returns what mote_store_submit said. */
int fixture_submit(struct fixture *fixture, struct mote_store_write *write, enum mote_store_write_kind kind,
                   int64_t now);
void fixture_wait(struct fixture *fixture, const struct mote_store_write *write);

/* A user with username "user<number>", email "User<number>@example.org", an id made of the number, role USER, ACTIVE.
 */
void fixture_user(struct mote_user *user, uint32_t number);
int fixture_create_user(struct fixture *fixture, uint32_t number, int64_t now);
int fixture_get_user(struct fixture *fixture, uint32_t number, struct mote_user *user);
void fixture_id(uint8_t id[16], uint8_t kind, uint32_t number);

#endif
