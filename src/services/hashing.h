/* SPDX-License-Identifier: Apache-2.0 */
/* A password job on behalf of a call: bounded in its wait, and pointless once the call has ended. */
#ifndef MOTE_SERVICES_HASHING_H
#define MOTE_SERVICES_HASHING_H

#include "base/slice.h"
#include "rpc/call.h"
#include "security/password.h"

#define MOTE_HASHING_WAIT_NS (5ull * 1000000000ull) /* in the queue at most */

/* The owner keeps it and a reference to the call until `done`. */
struct mote_hashing {
    struct mote_password_job job; /* the owner sets the kind, and the hash to verify */
    struct mote_call *call;
    uint64_t start_ns;
    bool unattended; /* nobody waits for it: it goes on when the call has ended */
    /* On the worker's thread, or from inside start: 0, or what mote_failure_of_password knows. */
    void (*done)(struct mote_hashing *hashing, int result);
};

/* Copies the password and queues the job. `done` is always called, once. A job whose call ends while it is queued is
 * not run. */
void mote_hashing_start(struct mote_hashing *hashing, struct mote_slice password);

#endif
