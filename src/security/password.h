/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Password hashes in PHC strings: Argon2id (RFC 9106), and PBKDF2-HMAC-SHA-256 (RFC 8018) for machines without the
 * memory. Argon2id takes tens of milliseconds and 19 MiB, PBKDF2 hundreds of milliseconds, so hashing runs in a pool of
 * its own threads with a bounded queue; the answer comes back to the worker as a task.
 */
#ifndef MOTE_SECURITY_PASSWORD_H
#define MOTE_SECURITY_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/slice.h"
#include "base/task.h"

#define MOTE_PASSWORD_MAX         128u
#define MOTE_PASSWORD_HASH_MAX    160u /* of a PHC string with its NUL */
#define MOTE_PASSWORD_QUEUE_MAX   32u
#define MOTE_PASSWORD_THREADS_MAX 64u
#define MOTE_PASSWORD_MEMORY_MAX                                                                                       \
    1048576u /* KiB; bounds of what is configured and of what a stored hash may ask for                                \
              */
#define MOTE_PASSWORD_ITERATIONS_MAX  64u
#define MOTE_PASSWORD_PARALLELISM_MAX 16u
#define MOTE_PASSWORD_WORK_MAX        4194304u  /* m × t: some seconds */
#define MOTE_PASSWORD_PBKDF2_MIN      1000u     /* i, of PBKDF2 */
#define MOTE_PASSWORD_PBKDF2_MAX      10000000u /* some seconds */

struct mote_password_settings {
    uint32_t memory_kib;  /* m; at least 8 × p; 0: PBKDF2, with nothing else but iterations */
    uint32_t iterations;  /* t, or i of PBKDF2 */
    uint32_t parallelism; /* p: lanes; they are computed one after the other, by one thread */
};

/* "argon2id:m=19456,t=2,p=1" or "pbkdf2-sha256:i=600000"; MOTE_EINVAL with *problem (static text) for anything else. */
MOTE_MUST_CHECK int mote_password_settings_parse(struct mote_password_settings *out, struct mote_slice text,
                                                 const char **problem);
/* These two block for the time of a hash: for commands and for the pool. A password over MOTE_PASSWORD_MAX is
 * MOTE_EINVAL before any work. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_password_hash(char out[MOTE_PASSWORD_HASH_MAX], const struct mote_password_settings *settings,
                                       struct mote_slice password, const struct mote_random *random);
/* 0 when it fits, MOTE_EAUTH when not, MOTE_ECORRUPT for a hash that is not of this kind or over its bounds; an empty
 * `hash` (unknown user, no password) is checked against a dummy of the same settings, so that it takes as long, and
 * never fits. */
MOTE_MUST_CHECK int mote_password_verify(const char *hash, const struct mote_password_settings *settings,
                                         struct mote_slice password);
/* A hash of the same settings as `hash`, of which the text up to the salt will do, that no password fits; empty, where
 * there are none. */
void mote_password_stand_in(char out[MOTE_PASSWORD_HASH_MAX], const char *hash);
/* True for a hash, made here or elsewhere, that mote_password_verify takes: its kind is known, its bounds are kept. */
bool mote_password_is_hash(struct mote_slice text);
/* True when `hash` was made with other settings than these, or a shorter salt or digest, or cannot be read. */
bool mote_password_needs_rehash(const char *hash, const struct mote_password_settings *settings);

struct mote_password_pool;

enum mote_password_kind {
    MOTE_PASSWORD_HASH,
    MOTE_PASSWORD_VERIFY,
};

/* One job; the caller owns it and keeps it alive until its task has run. The password is copied in and wiped when done.
 */
struct mote_password_job {
    struct mote_task done; /* the caller sets done.run; posted to `mailbox` */
    struct mote_mailbox *mailbox;
    enum mote_password_kind kind;
    bool is_patient; /* is taken whatever waits: for who has few jobs at a time and nobody who waits for the answer */
    size_t password_length;
    uint8_t password[MOTE_PASSWORD_MAX];
    char hash[MOTE_PASSWORD_HASH_MAX]; /* VERIFY: in (empty = dummy); HASH: out */
    uint64_t begun_ns;                 /* when it had waited, monotonic; 0: it was not run */
    uint64_t deadline_ns;              /* monotonic, UINT64_MAX for none; reached before it starts: MOTE_ETIMEOUT */
    int result;                        /* 0, MOTE_ETIMEOUT, MOTE_ECANCELLED, or what the function above returned */
    struct mote_password_job *next;
};

/* Starts `threads` threads, 1 to MOTE_PASSWORD_THREADS_MAX (MOTE_EINVAL). All borrowed until free. MOTE_ENOMEM,
 * MOTE_EAGAIN when the system gives no thread. */
MOTE_MUST_CHECK int mote_password_pool_new(struct mote_password_pool **out, struct mote_mem *mem,
                                           const struct mote_password_settings *settings, unsigned threads,
                                           const struct mote_random *random, const struct mote_clock *clock);
/* Waits for running jobs; queued ones end with MOTE_ECANCELLED (their tasks are posted). */
void mote_password_pool_free(struct mote_password_pool *pool);
/* Any thread. MOTE_ELIMIT when MOTE_PASSWORD_QUEUE_MAX jobs wait: nothing was taken, and the caller wipes. */
MOTE_MUST_CHECK int mote_password_pool_submit(struct mote_password_pool *pool, struct mote_password_job *job);
/* Any thread. Takes back a job that still waits: its password is wiped and its task is not posted. False when it runs
 * or is done, and for one that was never submitted: then nothing changes. */
bool mote_password_pool_withdraw(struct mote_password_pool *pool, struct mote_password_job *job);
/* How many jobs wait, and how many were done. Any thread. */
void mote_password_pool_figures(struct mote_password_pool *pool, unsigned *waiting, uint64_t *done);
const struct mote_password_settings *mote_password_pool_settings(const struct mote_password_pool *pool);

#endif
