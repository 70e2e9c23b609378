/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services as the program has them, without sockets: a real store, a real password pool with cheap settings, a
 * clock that only tests move, and the library's client at the other end of a server connection. A call returns when it
 * is answered; several can be under way. One thread but for the store's and the pool's.
 */
#ifndef MOTE_PAIR_SERVICES_FIXTURE_H
#define MOTE_PAIR_SERVICES_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "auth/v1/auth.mote.h"
#include "pair/rpc_pair.h"
#include "services/services.h"
#include "services_test.mote.h"
#include "user/v1/user.mote.h"

#define SERVICES_WALL   INT64_C(1750000000) /* seconds: when every test begins */
#define SERVICES_SECRET "wK3v9Zq1xT7mB5nR8sD2fG6hJ4lP0yQc-first"
#define SERVICES_PASSED MOTE_STATUS_OK
#define SERVICES_CALLS  64u

struct services_answer {
    bool started, done;
    enum mote_status status;
    char message[513];
    char reason[65]; /* of the only ErrorInfo */
    char domain[65];
    size_t error_infos;
    services_test_BadRequest violations;
    uint64_t retry_ms; /* of RetryInfo */
    struct services_fixture *fixture;
    const struct mote_method *method;
    struct mote_client_call *call;
    /* May be set after the start, for streams: each message; the last one also lies in `response`. */
    void (*on_message)(struct services_answer *answer, const void *message);
    void *user; /* the test's */
    _Alignas(16) uint8_t response[65536];
};

struct services_fixture {
    struct mote_mailbox mailbox;
    pthread_mutex_t mutex;
    pthread_cond_t posted;
    struct mote_task *head, **tail;

    _Atomic int64_t wall_ns;
    _Atomic uint64_t monotonic_ns;
    struct mote_clock clock;
    _Atomic int random_error;  /* what the random source answers when it is not 0 */
    _Atomic int random_passes; /* so many times it does not yet */
    struct mote_random random;

    struct mote_store *store;
    struct mote_keyring *keyring; /* the one in force at the beginning */
    struct mote_keyring_slot keys;
    struct mote_password_pool *passwords;
    struct mote_throttle *throttle;
    struct mote_services services;
    struct mote_services_worker *worker;
    struct mote_rpc_pair pair;
    struct services_answer *answers; /* SERVICES_CALLS of them */
};

struct services_options {
    const char *url; /* NULL: memory: */
    bool signup_open;
    struct mote_mem *connection_mem;        /* of the connection and its calls; NULL: the system's */
    struct mote_mem *mem;                   /* of the services' worker alone; NULL: the system's */
    struct mote_password_settings settings; /* all zero: the cheapest */
};

/* `options` may be NULL. */
void services_open(struct services_fixture *fixture, const struct services_options *options);
void services_close(struct services_fixture *fixture);
/* Moves the wall clock alone. */
void services_pass(struct services_fixture *fixture, int64_t seconds);
/* Moves the monotonic clock of the services. */
void services_wait_out(struct services_fixture *fixture, uint64_t milliseconds);

/* A call with `authorization: Bearer <token>`, or without where `token` is NULL. The answer is valid until the next
 * call. */
struct services_answer *services_call(struct services_fixture *fixture, const struct mote_method *method,
                                      const void *request, const char *token);
/* The same with any values of `authorization`. */
struct services_answer *services_call_with(struct services_fixture *fixture, const struct mote_method *method,
                                           const void *request, const char *const *authorizations, size_t count);
/* Starts without waiting, in the place `index`. Without a `request` the stream is open for more, by answer->call. */
struct services_answer *services_start(struct services_fixture *fixture, size_t index, const struct mote_method *method,
                                       const void *request, const char *token);
void services_wait(struct services_fixture *fixture, struct services_answer *answer);
/* One turn of the loop: bytes, then tasks; waits for a task when there are none and `wait`. */
void services_turn(struct services_fixture *fixture, bool wait);

/* Straight into the store, as a command would. */
void services_make_user(struct services_fixture *fixture, const char *username, uint32_t roles, const char *password,
                        uint8_t id[16]);
void services_make_disabled_user(struct services_fixture *fixture, const char *username, const char *password);

struct services_tokens {
    char access[MOTE_JWT_LENGTH_MAX + 1];
    char refresh[64];
    char user_id[40];
    char session_id[40];
};
/* By a Login, which must pass. */
void services_login(struct services_fixture *fixture, const char *username, const char *password,
                    struct services_tokens *tokens);
struct services_answer *services_try_login(struct services_fixture *fixture, const char *username,
                                           const char *password);
/* Rotates tokens->refresh and tokens->access when it passes. */
struct services_answer *services_refresh(struct services_fixture *fixture, struct services_tokens *tokens);
/* A token as the services would make it, with everything as given but the session and token ids where they are zero. */
void services_forge(struct services_fixture *fixture, const struct mote_identity *identity,
                    char token[MOTE_JWT_LENGTH_MAX + 1]);

/* The answer is this failure, with exactly one ErrorInfo of the method's package; says so otherwise and returns false.
 */
bool services_failed(const struct services_answer *answer, enum mote_status status, const char *reason);
/* It is FIELD_INVALID and names this field. */
bool services_names(const struct services_answer *answer, const char *field);

#endif
