/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue under one lock, and threads that wait for it. A job is its caller's again from the moment that its task is
 * posted, which may be before post returns: nothing touches it afterwards. The threads take no signals; those are the
 * main thread's.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "security/password.h"
#include "security/secret.h"

struct mote_password_pool {
    struct mote_mem *mem;
    struct mote_password_settings settings;
    const struct mote_random *random;
    const struct mote_clock *clock;
    pthread_mutex_t lock; /* of what follows, up to the threads */
    pthread_cond_t wake;
    struct mote_password_job *first;
    struct mote_password_job *last;
    unsigned waiting;
    uint64_t done;
    bool stopping;
    unsigned thread_count;
    pthread_t threads[];
};

/* Wipes what was given and posts. */
static void finish(struct mote_password_job *job, int result)
{
    mote_secret_wipe(job->password, sizeof job->password);
    job->password_length = 0;
    job->result = result;
    job->mailbox->post(job->mailbox, &job->done);
}

static int run_job(const struct mote_password_pool *pool, struct mote_password_job *job)
{
    const uint64_t now_ns = pool->clock->monotonic_ns(pool->clock->context);
    if (now_ns >= job->deadline_ns) {
        return MOTE_ETIMEOUT;
    }
    job->begun_ns = now_ns;
    const struct mote_slice password = mote_slice(job->password, job->password_length);
    int result = MOTE_EINVAL;
    switch (job->kind) {
    case MOTE_PASSWORD_HASH:
        result = mote_password_hash(job->hash, &pool->settings, password, pool->random);
        break;
    case MOTE_PASSWORD_VERIFY:
        result = mote_password_verify(job->hash, &pool->settings, password);
        break;
    }
    return result;
}

/* NULL when nothing waits. The lock is held. */
static struct mote_password_job *take_job(struct mote_password_pool *pool)
{
    struct mote_password_job *job = pool->first;
    if (job != NULL) {
        pool->first = job->next;
        pool->last = pool->first != NULL ? pool->last : NULL;
        pool->waiting--;
        pool->done++;
        job->next = NULL;
    }
    return job;
}

static void *run_thread(void *argument)
{
    struct mote_password_pool *pool = argument;
    (void)pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        struct mote_password_job *job = take_job(pool);
        if (job == NULL) {
            (void)pthread_cond_wait(&pool->wake, &pool->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&pool->lock);
        finish(job, run_job(pool, job));
        (void)pthread_mutex_lock(&pool->lock);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static int start_threads(struct mote_password_pool *pool, unsigned threads)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = 0;
    while (pool->thread_count < threads && result == 0) {
        if (pthread_create(&pool->threads[pool->thread_count], NULL, run_thread, pool) != 0) {
            result = MOTE_EAGAIN;
        } else {
            pool->thread_count++;
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int mote_password_pool_new(struct mote_password_pool **out, struct mote_mem *mem,
                           const struct mote_password_settings *settings, unsigned threads,
                           const struct mote_random *random, const struct mote_clock *clock)
{
    if (threads == 0 || threads > MOTE_PASSWORD_THREADS_MAX) {
        return MOTE_EINVAL;
    }
    struct mote_password_pool *pool = mote_mem_allocate_zeroed(mem, sizeof *pool + threads * sizeof pool->threads[0]);
    if (pool == NULL) {
        return MOTE_ENOMEM;
    }
    pool->mem = mem;
    pool->settings = *settings;
    pool->random = random;
    pool->clock = clock;
    int result = pthread_mutex_init(&pool->lock, NULL);
    mote_assert(result == 0);
    result = pthread_cond_init(&pool->wake, NULL);
    mote_assert(result == 0);
    result = start_threads(pool, threads);
    if (result != 0) {
        mote_password_pool_free(pool);
        return result;
    }
    *out = pool;
    return 0;
}

void mote_password_pool_free(struct mote_password_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    (void)pthread_cond_broadcast(&pool->wake);
    (void)pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++) {
        const int joined = pthread_join(pool->threads[i], NULL);
        mote_assert(joined == 0);
    }
    for (struct mote_password_job *job = take_job(pool); job != NULL; job = take_job(pool)) {
        finish(job, MOTE_ECANCELLED);
    }
    (void)pthread_cond_destroy(&pool->wake);
    (void)pthread_mutex_destroy(&pool->lock);
    mote_mem_release(pool->mem, pool);
}

int mote_password_pool_submit(struct mote_password_pool *pool, struct mote_password_job *job)
{
    (void)pthread_mutex_lock(&pool->lock);
    const bool full = pool->waiting >= MOTE_PASSWORD_QUEUE_MAX && !job->is_patient;
    if (!full) {
        job->next = NULL;
        job->begun_ns = 0;
        if (pool->last != NULL) {
            pool->last->next = job;
        } else {
            pool->first = job;
        }
        pool->last = job;
        pool->waiting++;
        (void)pthread_cond_signal(&pool->wake);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return full ? MOTE_ELIMIT : 0;
}

bool mote_password_pool_withdraw(struct mote_password_pool *pool, struct mote_password_job *job)
{
    (void)pthread_mutex_lock(&pool->lock);
    struct mote_password_job *previous = NULL;
    struct mote_password_job *found = pool->first;
    while (found != NULL && found != job) {
        previous = found;
        found = found->next;
    }
    if (found != NULL) {
        *(previous != NULL ? &previous->next : &pool->first) = job->next;
        pool->last = pool->last == job ? previous : pool->last;
        pool->waiting--;
        mote_secret_wipe(job->password, sizeof job->password);
        job->password_length = 0;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return found != NULL;
}

const struct mote_password_settings *mote_password_pool_settings(const struct mote_password_pool *pool)
{
    return &pool->settings;
}

void mote_password_pool_figures(struct mote_password_pool *pool, unsigned *waiting, uint64_t *done)
{
    (void)pthread_mutex_lock(&pool->lock);
    *waiting = pool->waiting;
    *done = pool->done;
    (void)pthread_mutex_unlock(&pool->lock);
}
