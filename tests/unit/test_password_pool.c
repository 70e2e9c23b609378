/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool's bounds, deadlines, cancellation and wiping. A random source that waits holds a thread inside a job, so
 * that the queue's state is known without sleeping.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "security/password.h"
#include "support/failing_mem.h"

static const struct mote_password_settings quick = {.memory_kib = 8, .iterations = 1, .parallelism = 1};

/* Everything that a test and the pool's threads share. */
struct stage {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed;       /* hashing jobs wait */
    unsigned inside;   /* of them */
    unsigned finished; /* tasks posted */
    struct mote_task *order[256];
    struct mote_mailbox mailbox;
    struct mote_random random;
    struct mote_clock clock;
    _Atomic uint64_t now;
    bool signals_blocked;
};

static int fill_waiting(void *context, void *out, size_t length)
{
    struct stage *stage = context;
    sigset_t blocked;
    memset(out, 7, length);
    (void)pthread_mutex_lock(&stage->lock);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    stage->signals_blocked = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGINT) == 1;
    stage->inside++;
    (void)pthread_cond_broadcast(&stage->changed);
    while (stage->closed) {
        (void)pthread_cond_wait(&stage->changed, &stage->lock);
    }
    stage->inside--;
    (void)pthread_mutex_unlock(&stage->lock);
    return 0;
}

static void post(struct mote_mailbox *mailbox, struct mote_task *task)
{
    struct stage *stage = (struct stage *)((char *)mailbox - offsetof(struct stage, mailbox));
    (void)pthread_mutex_lock(&stage->lock);
    if (stage->finished < 256) {
        stage->order[stage->finished] = task;
    }
    stage->finished++;
    (void)pthread_cond_broadcast(&stage->changed);
    (void)pthread_mutex_unlock(&stage->lock);
}

static uint64_t monotonic(void *context)
{
    return atomic_load(&((struct stage *)context)->now);
}

static void stage_init(struct stage *stage, bool closed)
{
    *stage = (struct stage){
        .closed = closed,
        .mailbox = {.post = post},
        .random = {.fill = fill_waiting, .context = stage},
        .clock = {.monotonic_ns = monotonic, .context = stage},
    };
    assert_int_equal(pthread_mutex_init(&stage->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&stage->changed, NULL), 0);
}

static void stage_dispose(struct stage *stage)
{
    (void)pthread_cond_destroy(&stage->changed);
    (void)pthread_mutex_destroy(&stage->lock);
}

static void wait_for(struct stage *stage, const unsigned *counter, unsigned value)
{
    (void)pthread_mutex_lock(&stage->lock);
    while (*counter < value) {
        (void)pthread_cond_wait(&stage->changed, &stage->lock);
    }
    (void)pthread_mutex_unlock(&stage->lock);
}

static void open_stage(struct stage *stage)
{
    (void)pthread_mutex_lock(&stage->lock);
    stage->closed = false;
    (void)pthread_cond_broadcast(&stage->changed);
    (void)pthread_mutex_unlock(&stage->lock);
}

static struct mote_password_pool *make(struct stage *stage, unsigned threads)
{
    struct mote_password_pool *pool;
    assert_int_equal(mote_password_pool_new(&pool, mote_mem_system(), &quick, threads, &stage->random, &stage->clock),
                     0);
    return pool;
}

static void prepare(struct mote_password_job *job, struct stage *stage, enum mote_password_kind kind,
                    const char *password)
{
    *job = (struct mote_password_job){.mailbox = &stage->mailbox, .kind = kind, .deadline_ns = UINT64_MAX};
    job->password_length = strlen(password);
    memcpy(job->password, password, job->password_length);
}

static void assert_wiped(const struct mote_password_job *job)
{
    static const uint8_t zeros[MOTE_PASSWORD_MAX];
    assert_memory_equal(job->password, zeros, sizeof zeros);
    assert_int_equal(job->password_length, 0);
}

static void jobs_are_answered(void **state)
{
    struct stage stage;
    struct mote_password_job job;
    char hash[MOTE_PASSWORD_HASH_MAX];
    (void)state;
    stage_init(&stage, false);
    struct mote_password_pool *pool = make(&stage, 1);
    assert_memory_equal(mote_password_pool_settings(pool), &quick, sizeof quick);
    prepare(&job, &stage, MOTE_PASSWORD_HASH, "open sesame");
    assert_int_equal(mote_password_pool_submit(pool, &job), 0);
    wait_for(&stage, &stage.finished, 1);
    assert_int_equal(job.result, 0);
    assert_wiped(&job);
    assert_true(stage.signals_blocked);
    assert_int_equal(mote_password_verify(job.hash, &quick, mote_slice_text("open sesame")), 0);
    memcpy(hash, job.hash, sizeof hash);
    static const struct {
        const char *password;
        bool known;
        int result;
    } cases[] = {{"open sesame", true, 0}, {"Open sesame", true, MOTE_EAUTH}, {"open sesame", false, MOTE_EAUTH}};
    for (unsigned i = 0; i < 3; i++) {
        prepare(&job, &stage, MOTE_PASSWORD_VERIFY, cases[i].password);
        if (cases[i].known) {
            memcpy(job.hash, hash, sizeof hash);
        }
        assert_int_equal(mote_password_pool_submit(pool, &job), 0);
        wait_for(&stage, &stage.finished, 2 + i);
        assert_int_equal(job.result, cases[i].result);
        assert_wiped(&job);
    }
    mote_password_pool_free(pool);
    mote_password_pool_free(NULL);
    stage_dispose(&stage);
}

static void the_queue_is_bounded_and_in_order(void **state)
{
    struct stage stage;
    static struct mote_password_job jobs[1 + MOTE_PASSWORD_QUEUE_MAX];
    struct mote_password_job refused;
    struct mote_password_job patient;
    (void)state;
    stage_init(&stage, true);
    struct mote_password_pool *pool = make(&stage, 1);
    prepare(&jobs[0], &stage, MOTE_PASSWORD_HASH, "first");
    assert_int_equal(mote_password_pool_submit(pool, &jobs[0]), 0);
    wait_for(&stage, &stage.inside, 1);
    for (unsigned i = 1; i <= MOTE_PASSWORD_QUEUE_MAX; i++) {
        prepare(&jobs[i], &stage, MOTE_PASSWORD_HASH, "waiting");
        assert_int_equal(mote_password_pool_submit(pool, &jobs[i]), 0);
    }
    prepare(&refused, &stage, MOTE_PASSWORD_HASH, "refused");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(mote_password_pool_submit(pool, &refused), MOTE_ELIMIT);
    }
    assert_memory_equal(refused.password, "refused", 7);
    /* A patient one is taken all the same, behind the others. */
    prepare(&patient, &stage, MOTE_PASSWORD_HASH, "patient");
    patient.is_patient = true;
    assert_int_equal(mote_password_pool_submit(pool, &patient), 0);
    assert_int_equal(mote_password_pool_submit(pool, &refused), MOTE_ELIMIT);
    open_stage(&stage);
    wait_for(&stage, &stage.finished, 2 + MOTE_PASSWORD_QUEUE_MAX);
    assert_ptr_equal(stage.order[1 + MOTE_PASSWORD_QUEUE_MAX], &patient.done);
    for (unsigned i = 0; i <= MOTE_PASSWORD_QUEUE_MAX; i++) {
        assert_ptr_equal(stage.order[i], &jobs[i].done);
        assert_int_equal(jobs[i].result, 0);
        assert_wiped(&jobs[i]);
    }
    /* There is room again. */
    assert_int_equal(mote_password_pool_submit(pool, &refused), 0);
    wait_for(&stage, &stage.finished, 3 + MOTE_PASSWORD_QUEUE_MAX);
    assert_int_equal(refused.result, 0);
    mote_password_pool_free(pool);
    stage_dispose(&stage);
}

static void a_passed_deadline_is_not_hashed(void **state)
{
    struct stage stage;
    struct mote_password_job jobs[4];
    static const uint64_t deadlines[4] = {UINT64_MAX, 999, 1000, 1001};
    (void)state;
    stage_init(&stage, true);
    struct mote_password_pool *pool = make(&stage, 1);
    for (unsigned i = 0; i < 4; i++) {
        prepare(&jobs[i], &stage, MOTE_PASSWORD_HASH, "password");
        jobs[i].deadline_ns = deadlines[i];
        assert_int_equal(mote_password_pool_submit(pool, &jobs[i]), 0);
    }
    wait_for(&stage, &stage.inside, 1);
    atomic_store(&stage.now, 1000);
    open_stage(&stage);
    wait_for(&stage, &stage.finished, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(jobs[i].result, i == 1 || i == 2 ? MOTE_ETIMEOUT : 0);
        assert_true((jobs[i].hash[0] == '\0') == (jobs[i].result != 0));
        assert_wiped(&jobs[i]);
    }
    mote_password_pool_free(pool);
    stage_dispose(&stage);
}

/* From the front, the middle and the back of the queue; what runs, is done or was never there stays as it is. */
static void waiting_jobs_can_be_withdrawn(void **state)
{
    struct stage stage;
    struct mote_password_job jobs[7], later, stranger;
    static const unsigned withdrawn[] = {1, 3, 6};
    (void)state;
    stage_init(&stage, true);
    struct mote_password_pool *pool = make(&stage, 1);
    for (unsigned i = 0; i < 7; i++) {
        prepare(&jobs[i], &stage, MOTE_PASSWORD_HASH, "password");
        assert_int_equal(mote_password_pool_submit(pool, &jobs[i]), 0);
        if (i == 0) {
            wait_for(&stage, &stage.inside, 1);
        }
    }
    prepare(&stranger, &stage, MOTE_PASSWORD_HASH, "password");
    assert_false(mote_password_pool_withdraw(pool, &stranger));
    assert_false(mote_password_pool_withdraw(pool, &jobs[0]));
    for (unsigned i = 0; i < 3; i++) {
        assert_true(mote_password_pool_withdraw(pool, &jobs[withdrawn[i]]));
        assert_wiped(&jobs[withdrawn[i]]);
        assert_false(mote_password_pool_withdraw(pool, &jobs[withdrawn[i]]));
    }
    prepare(&later, &stage, MOTE_PASSWORD_HASH, "password");
    assert_int_equal(mote_password_pool_submit(pool, &later), 0);
    open_stage(&stage);
    wait_for(&stage, &stage.finished, 5);
    static const unsigned left[] = {0, 2, 4, 5};
    for (unsigned i = 0; i < 4; i++) {
        assert_ptr_equal(stage.order[i], &jobs[left[i]].done);
        assert_int_equal(jobs[left[i]].result, 0);
    }
    assert_ptr_equal(stage.order[4], &later.done);
    assert_false(mote_password_pool_withdraw(pool, &later));
    mote_password_pool_free(pool);
    assert_int_equal(stage.finished, 5);
    stage_dispose(&stage);
}

static void *open_later(void *argument)
{
    open_stage(argument);
    return NULL;
}

/* The one that runs is waited for, those that wait are cancelled, every task is posted before free returns. */
static void free_ends_every_job(void **state)
{
    struct stage stage;
    struct mote_password_job jobs[9];
    pthread_t opener;
    (void)state;
    stage_init(&stage, true);
    struct mote_password_pool *pool = make(&stage, 1);
    for (unsigned i = 0; i < 9; i++) {
        prepare(&jobs[i], &stage, MOTE_PASSWORD_HASH, "password");
        assert_int_equal(mote_password_pool_submit(pool, &jobs[i]), 0);
    }
    wait_for(&stage, &stage.inside, 1);
    assert_int_equal(pthread_create(&opener, NULL, open_later, &stage), 0);
    mote_password_pool_free(pool);
    assert_int_equal(pthread_join(opener, NULL), 0);
    assert_int_equal(stage.finished, 9);
    assert_int_equal(jobs[0].result, 0);
    for (unsigned i = 0; i < 9; i++) {
        assert_true(jobs[i].result == 0 || jobs[i].result == MOTE_ECANCELLED);
        assert_wiped(&jobs[i]);
    }
    stage_dispose(&stage);
}

static void several_threads_work_at_once(void **state)
{
    struct stage stage;
    struct mote_password_job jobs[3];
    (void)state;
    stage_init(&stage, true);
    struct mote_password_pool *pool = make(&stage, 3);
    for (unsigned i = 0; i < 3; i++) {
        prepare(&jobs[i], &stage, MOTE_PASSWORD_HASH, "password");
        assert_int_equal(mote_password_pool_submit(pool, &jobs[i]), 0);
    }
    wait_for(&stage, &stage.inside, 3);
    open_stage(&stage);
    wait_for(&stage, &stage.finished, 3);
    mote_password_pool_free(pool);
    stage_dispose(&stage);
}

static void errors_of_hashing_are_results(void **state)
{
    struct stage stage;
    struct mote_password_job job;
    (void)state;
    stage_init(&stage, false);
    struct mote_password_pool *pool = make(&stage, 1);
    prepare(&job, &stage, MOTE_PASSWORD_VERIFY, "x");
    (void)snprintf(job.hash, sizeof job.hash, "not a hash");
    assert_int_equal(mote_password_pool_submit(pool, &job), 0);
    wait_for(&stage, &stage.finished, 1);
    assert_int_equal(job.result, MOTE_ECORRUPT);
    prepare(&job, &stage, MOTE_PASSWORD_HASH, "x");
    job.password_length = MOTE_PASSWORD_MAX + 1;
    assert_int_equal(mote_password_pool_submit(pool, &job), 0);
    wait_for(&stage, &stage.finished, 2);
    assert_int_equal(job.result, MOTE_EINVAL);
    assert_wiped(&job);
    mote_password_pool_free(pool);
    stage_dispose(&stage);
}

static int scenario(struct mote_mem *mem, void *context)
{
    struct stage *stage = context;
    struct mote_password_pool *pool;
    const int result = mote_password_pool_new(&pool, mem, &quick, 2, &stage->random, &stage->clock);
    if (result == 0) {
        mote_password_pool_free(pool);
    }
    return result;
}

static void threads_are_bounded(void **state)
{
    struct stage stage;
    struct mote_password_pool *pool;
    (void)state;
    stage_init(&stage, false);
    assert_int_equal(mote_password_pool_new(&pool, mote_mem_system(), &quick, 0, &stage.random, &stage.clock),
                     MOTE_EINVAL);
    assert_int_equal(mote_password_pool_new(&pool, mote_mem_system(), &quick, MOTE_PASSWORD_THREADS_MAX + 1,
                                            &stage.random, &stage.clock),
                     MOTE_EINVAL);
    mote_password_pool_free(make(&stage, MOTE_PASSWORD_THREADS_MAX));
    assert_int_equal(mote_failing_mem_check(scenario, &stage), 1);
    stage_dispose(&stage);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* With too little address space for all the stacks: the threads that did start are ended again. */
static void threads_run_out(void **state)
{
    struct stage stage;
    struct mote_password_pool *pool;
    struct rlimit kept;
    (void)state;
    stage_init(&stage, false);
    assert_int_equal(getrlimit(RLIMIT_AS, &kept), 0);
    struct rlimit small = kept;
    small.rlim_cur = 256u << 20;
    assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
    assert_int_equal(mote_password_pool_new(&pool, mote_mem_system(), &quick, MOTE_PASSWORD_THREADS_MAX, &stage.random,
                                            &stage.clock),
                     MOTE_EAGAIN);
    assert_int_equal(setrlimit(RLIMIT_AS, &kept), 0);
    mote_password_pool_free(make(&stage, MOTE_PASSWORD_THREADS_MAX));
    stage_dispose(&stage);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_answered),
        cmocka_unit_test(the_queue_is_bounded_and_in_order),
        cmocka_unit_test(a_passed_deadline_is_not_hashed),
        cmocka_unit_test(waiting_jobs_can_be_withdrawn),
        cmocka_unit_test(free_ends_every_job),
        cmocka_unit_test(several_threads_work_at_once),
        cmocka_unit_test(errors_of_hashing_are_results),
        cmocka_unit_test(threads_are_bounded),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(threads_run_out),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
