/* SPDX-License-Identifier: Apache-2.0 */
/* A call's span (call_trace.c), for the files of rpc. */
#ifndef MOTE_RPC_CALL_TRACE_H
#define MOTE_RPC_CALL_TRACE_H

#include "rpc/server.h"

/* For MOTE_STAGE_TRACE. */
struct mote_interceptor mote_call_trace_stage(const struct mote_tracer *tracer);
/* These only where the call has a record. */
void mote_call_record_free(struct mote_call *call);
void mote_call_record_message(struct mote_call *call, bool is_sent, size_t size);
void mote_call_record_outcome(struct mote_call *call, struct mote_slice message);

#endif
