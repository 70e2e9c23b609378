/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call waits for, as spans below its own: each read of the store, each write, from the queue to the commit, and
 * each password hash. A call that is not recorded costs a look at that.
 */
#ifndef MOTE_SERVICES_SPANS_H
#define MOTE_SERVICES_SPANS_H

#include "rpc/call.h"
#include "security/password.h"
#include "store/store.h"

/* X(constant, "name") of enum mote_password_kind */
#define MOTE_SPANS_PASSWORD_MAP(X)                                                                                     \
    X(HASH, "hash_password")                                                                                           \
    X(VERIFY, "verify_password")

/* The worker's session, for one read on behalf of the call, which is referenced until that is done. */
struct mote_store_session *mote_spans_session(struct mote_call *call);
/* As mote_store_submit, for a call, which is referenced until the write is done. */
MOTE_MUST_CHECK int mote_spans_submit(struct mote_call *call, struct mote_store_write *write);
/* When a job of the call was submitted, and when it is done. */
uint64_t mote_spans_begin(const struct mote_call *call);
void mote_spans_end_job(struct mote_call *call, const struct mote_password_job *job, uint64_t start_ns);

#endif
