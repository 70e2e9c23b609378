/* SPDX-License-Identifier: Apache-2.0 */
#include "services/hashing.h"

#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "security/secret.h"
#include "services/spans.h"
#include "services/worker.h"

static void finish(struct mote_hashing *hashing, int result)
{
    mote_call_on_cancel(hashing->call, NULL);
    mote_call_set_data(hashing->call, NULL);
    hashing->done(hashing, result);
}

static void job_done(struct mote_task *task)
{
    struct mote_password_job *job = MOTE_CONTAINER_OF(task, struct mote_password_job, done);
    struct mote_hashing *hashing = MOTE_CONTAINER_OF(job, struct mote_hashing, job);
    mote_spans_end_job(hashing->call, job, hashing->start_ns);
    finish(hashing, job->result);
}

/* Nobody waits for the answer any more: a place in the queue is worth more than finishing. */
static void call_ended(struct mote_call *call, enum mote_status status)
{
    (void)status;
    struct mote_hashing *hashing = mote_call_data(call);
    if (mote_password_pool_withdraw(mote_services_worker_of(call)->services->passwords, &hashing->job)) {
        finish(hashing, MOTE_ECANCELLED);
    }
}

void mote_hashing_start(struct mote_hashing *hashing, struct mote_slice password)
{
    struct mote_call *call = hashing->call;
    struct mote_services_worker *worker = mote_services_worker_of(call);
    const struct mote_clock *clock = worker->services->clock;
    struct mote_password_job *job = &hashing->job;
    mote_assert(password.length <= MOTE_PASSWORD_MAX);
    if (mote_call_is_over(call) && !hashing->unattended) {
        hashing->done(hashing, MOTE_ECANCELLED);
        return;
    }
    job->done.run = job_done;
    job->mailbox = worker->mailbox;
    job->password_length = password.length;
    memcpy(job->password, password.data, password.length);
    job->deadline_ns = clock->monotonic_ns(clock->context) + MOTE_HASHING_WAIT_NS;
    if (!hashing->unattended && job->deadline_ns > mote_call_deadline(call)) {
        job->deadline_ns = mote_call_deadline(call);
    }
    mote_call_set_data(call, hashing);
    mote_call_on_cancel(call, call_ended);
    hashing->start_ns = mote_spans_begin(call);
    int result = mote_password_pool_submit(worker->services->passwords, job);
    if (result != 0) {
        mote_secret_wipe(job->password, sizeof job->password);
        finish(hashing, result);
    }
}
