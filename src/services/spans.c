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

static void observe(struct mote_store_write *write)
{
    const char *name = write_names[write->kind];
    mote_call_add_span(write->observer, &(const struct mote_call_span){
                                            .name = name,
                                            .is_client = true,
                                            .start_ns = write->submitted_ns,
                                            .begun_ns = write->begun_ns,
                                            .error = is_failure(write->result) ? mote_error_name(write->result) : NULL,
                                            .attributes = {{"db.system.name", "sqlite"}, {"db.operation.name", name}},
                                        });
}

int mote_spans_submit(struct mote_call *call, struct mote_store_write *write)
{
    write->observe = mote_call_is_recorded(call) ? observe : NULL;
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
