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

/* X(constant, "name", "what it says") in their order */
#define MOTE_ACCESS_LOG_FIELD_MAP(X)                                                                                   \
    X(SERVICE, "rpc_service", "`user.v1.UserService`; `other` for one that is not served")                             \
    X(METHOD, "rpc_method", "`GetUser`; `other` for one that does not exist")                                          \
    X(TYPE, "rpc_type", "`unary`, `client_stream`, `server_stream`, `bidi_stream`")                                    \
    X(CODE, "grpc_code", "`OK`, `NotFound` …: spelled as in metrics")                                                  \
    X(CODE_NUMBER, "grpc_code_num", "the same as a number")                                                            \
    X(DURATION, "duration_us", "from its HEADERS to its end")                                                          \
    X(PEER, "peer", "address and port of the connection's other end")                                                  \
    X(TLS_SUBJECT, "tls_subject", "who that is by its certificate, where it has shown one")                            \
    X(TLS, "tls", "version and cipher suite of the connection; not in the clear")                                      \
    X(CONNECTION, "conn_id", "the connection's number in this process")                                                \
    X(STREAM, "http2_stream", "the call's stream on it")                                                               \
    X(AUTHORITY, "authority", "`:authority`, as the client sent it")                                                   \
    X(USER_AGENT, "user_agent", "as far as 128 bytes go")                                                              \
    X(REQUEST_BYTES, "req_bytes", "of messages as they came: compressed, without prefixes")                            \
    X(RESPONSE_BYTES, "resp_bytes", "the same of answers")                                                             \
    X(REQUEST_MESSAGES, "req_msgs", "how many")                                                                        \
    X(RESPONSE_MESSAGES, "resp_msgs", "how many")                                                                      \
    X(DEADLINE, "deadline_us", "how long the call might have taken; without a deadline there is none")                 \
    X(TRACE_ID, "trace_id", "where traces are on, as are the two below")                                               \
    X(SPAN_ID, "span_id", "the call's own span")                                                                       \
    X(TRACE_FLAGS, "trace_flags", "`01` where the trace is recorded, `00` where not")                                  \
    X(SUBJECT, "sub", "the user's id, with `LOG_USER_ID`")

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
