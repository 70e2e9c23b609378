/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failed logins, counted for an account from an address, for an account from everywhere and for an address. One bounded
 * table for all workers. What is counted are keyed hashes of what the client sent, so a name that does not exist counts
 * like one that does, and nobody can choose what falls together.
 *
 * An attempt is judged twice: before anything is looked up, and when its password has been checked. Attempts that were
 * under way together are judged by the failures of each other in the order in which they end: however many are sent at
 * once, only as many answers tell something about the password as the limits allow. Honest logins at once pass.
 *
 * When the table is full, the entry that failed longest ago goes, but one that is refused at present only when all are:
 * whoever wants to free a blocked account has to block all of the table, at five hashes an entry.
 */
#ifndef MOTE_SERVICES_THROTTLE_H
#define MOTE_SERVICES_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/slice.h"

#define MOTE_THROTTLE_ENTRIES          4096u
#define MOTE_THROTTLE_PAIR_FAILURES    5u /* of an account from one address: then a pause after each failure */
#define MOTE_THROTTLE_PAUSE_NS         (60u * (uint64_t)MOTE_NS_PER_SECOND) /* the first; each is twice the one before */
#define MOTE_THROTTLE_PAUSE_MAX_NS     (15u * MOTE_THROTTLE_PAUSE_NS)
#define MOTE_THROTTLE_FORGET_NS        (60u * MOTE_THROTTLE_PAUSE_NS) /* after the last failure */
#define MOTE_THROTTLE_ACCOUNT_FAILURES 100u /* of an account from all addresses, within the next: */
#define MOTE_THROTTLE_ACCOUNT_NS       (60u * MOTE_THROTTLE_PAUSE_NS)
#define MOTE_THROTTLE_ADDRESS_FAILURES 30u /* from an address, within the next: */
#define MOTE_THROTTLE_ADDRESS_NS       MOTE_THROTTLE_PAUSE_NS

struct mote_throttle;

/* One for the process. MOTE_ENOMEM, MOTE_ERANDOM. */
MOTE_MUST_CHECK int mote_throttle_new(struct mote_throttle **out, struct mote_mem *mem,
                                      const struct mote_random *random);
void mote_throttle_free(struct mote_throttle *throttle);

/* Who tries what from where, as hashes. */
struct mote_throttle_attempt {
    uint64_t ids[3];
};

/* The account's alone, keyed: the same for the same name until the process ends. */
static inline uint64_t mote_throttle_account_id(const struct mote_throttle_attempt *attempt)
{
    return attempt->ids[1];
}

/* `account`: the username or the email address as it was given; ASCII letters are compared without case. `address`:
 * as mote_caller_address gives it; of an IPv6 address the first 64 bits count, all that comes over unix sockets is one.
 * Any thread, as the two below. */
void mote_throttle_attempt_init(struct mote_throttle_attempt *attempt, const struct mote_throttle *throttle,
                                struct mote_slice account, const char *address);
/* 0, or for how long (ns) this is refused. `now`: monotonic ns. */
uint64_t mote_throttle_check(struct mote_throttle *throttle, const struct mote_throttle_attempt *attempt, uint64_t now);
/* The same when the password has been checked. Not refused, a failure counts, and a success makes the failures of this
 * account from this address forgotten; refused, the caller must not tell which it was. */
uint64_t mote_throttle_end(struct mote_throttle *throttle, const struct mote_throttle_attempt *attempt, bool succeeded,
                           uint64_t now);

#endif
