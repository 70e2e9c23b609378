/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a running server: read at start, read anew when that is asked for, and retired when their time is over.
 * The main thread's. Whatever changes goes through one function, which logs it and puts it into the audit record.
 */
#ifndef MOTE_APP_KEYS_H
#define MOTE_APP_KEYS_H

#include "app/options.h"
#include "base/log.h"
#include "security/keyring_slot.h"
#include "store/store.h"

struct mote_keys {
    struct mote_keyring_slot slot;
    struct mote_options *options; /* borrowed, as the two below */
    struct mote_log *log;
    struct mote_store *store; /* for the audit record; NULL: none */
    uint64_t next_end_ns;     /* monotonic: when the next key retires */
};

/* The keys of `options`, whose secret is wiped. MOTE_EINVAL, MOTE_ENOMEM. Work on a zeroed struct that has options and
 * log filled in. */
MOTE_MUST_CHECK int mote_keys_open(struct mote_keys *keys);
/* After the last worker. Works on a zeroed struct. */
void mote_keys_close(struct mote_keys *keys);
/* Reads JWT_SECRET_FILE anew. A key that signed and is not in it any more goes on verifying for the life of an access
 * token. What cannot be read changes nothing. True when keys were published. */
bool mote_keys_reload(struct mote_keys *keys, uint64_t now_ns);
/* Takes keys away whose time is over; cheap when there are none. True when there were. */
bool mote_keys_retire(struct mote_keys *keys, uint64_t now_ns);

#endif
