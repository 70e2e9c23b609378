/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line for a finished call, event "rpc.finished", as LOG_ACCESS wants it. Who called is told by address; the user's
 * id only where LOG_USER_ID says so. Never metadata, messages or credentials.
 */
#ifndef MOTE_APP_ACCESS_LOG_H
#define MOTE_APP_ACCESS_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/options.h"
#include "base/clock.h"
#include "base/log.h"
#include "rpc/server.h"

/* A call that took this long is worth a line though it ended OK. */
#define MOTE_ACCESS_LOG_SLOW_NS   (1u * (uint64_t)MOTE_NS_PER_SECOND)
#define MOTE_ACCESS_LOG_AGENT_MAX 128u

struct mote_access_log {
    struct mote_log *log; /* borrowed until the server is gone */
    enum mote_log_access policy;
    uint64_t sample_ok; /* one of so many */
    bool user_id;
    atomic_uint_fast64_t ok_count;
};

/* error for what the server is to blame for, info for the rest. */
enum mote_log_level mote_access_log_level(enum mote_status status);
/* "server_stream": as in lines and labels. Static. */
const char *mote_access_log_kind(enum mote_call_kind kind);
/* Whether the policy wants a line for this call. */
bool mote_access_log_wants(struct mote_access_log *access_log, const struct mote_call_summary *summary);
/* The stage for MOTE_STAGE_LOG; `access_log` is borrowed until the server is gone. */
struct mote_interceptor mote_access_log_stage(struct mote_access_log *access_log);

#endif
