/* SPDX-License-Identifier: Apache-2.0 */
#include "services/spans.h"

#include "services/worker.h"

static const char *const write_names[] = {
#define X(constant, name) [MOTE_STORE_##constant] = name,
    MOTE_STORE_WRITE_MAP(X)
#undef X
};

static const char *const job_names[] = {
#define X(constant, name) [MOTE_PASSWORD_##constant] = name,
    MOTE_SPANS_PASSWORD_MAP(X)
#undef X
};

/* Of the store, and not of what was asked of it. */
static bool is_failure(int result)
{
    return result != 0 && result != MOTE_ENOTFOUND && result != MOTE_EEXISTS && result != MOTE_ECONFLICT &&
           result != MOTE_EEXPIRED && result != MOTE_EAUTH;
}

uint64_t mote_spans_begin(const struct mote_call *call)
{
    const struct mote_clock *clock = mote_services_worker_of(call)->services->clock;
    return mote_call_is_recorded(call) ? clock->monotonic_ns(clock->context) : 0;
}

static void add_span(struct mote_call *call, const char *name, uint64_t start_ns, uint64_t begun_ns, int result)
{
    mote_call_add_span(call, &(const struct mote_call_span){
                                 .name = name,
                                 .is_client = true,
                                 .start_ns = start_ns,
                                 .begun_ns = begun_ns,
                                 .error = is_failure(result) ? mote_error_name(result) : NULL,
                                 .attributes = {{"db.system.name", "sqlite"}, {"db.operation.name", name}},
                             });
}

static void observe_read(struct mote_store_observer *observer, const char *name, int result)
{
    add_span(observer->context, name, observer->start_ns, 0, result);
}

struct mote_store_session *mote_spans_session(struct mote_call *call)
{
    struct mote_services_worker *worker = mote_services_worker_of(call);
    if (mote_call_is_recorded(call)) {
        const struct mote_store_observer observer = {
            .tell = observe_read, .context = call, .start_ns = mote_spans_begin(call)};
        mote_store_session_observe(worker->session, &observer);
    }
    return worker->session;
}

static void observe_write(struct mote_store_write *write)
{
    add_span(write->observer, write_names[write->kind], write->submitted_ns, write->begun_ns, write->result);
}

int mote_spans_submit(struct mote_call *call, struct mote_store_write *write)
{
    write->observe = mote_call_is_recorded(call) ? observe_write : NULL;
    write->observer = call;
    write->submitted_ns = mote_spans_begin(call);
    write->begun_ns = 0;
    return mote_store_submit(mote_services_worker_of(call)->session, write);
}

void mote_spans_end_job(struct mote_call *call, const struct mote_password_job *job, uint64_t start_ns)
{
    mote_call_add_span(call, &(const struct mote_call_span){
                                 .name = job_names[job->kind],
                                 .start_ns = start_ns,
                                 .begun_ns = job->begun_ns,
                                 .error = is_failure(job->result) ? mote_error_name(job->result) : NULL,
                             });
}
