/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a call stands in a trace (W3C Trace Context, level 2): read from and written to `traceparent`. Any thread.
 */
#ifndef MOTE_TELEMETRY_TRACE_CONTEXT_H
#define MOTE_TELEMETRY_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/linkage.h"
#include "../base/slice.h"

MOTE_C_BEGIN

#define MOTE_TRACE_ID_LENGTH     16u
#define MOTE_SPAN_ID_LENGTH      8u
#define MOTE_TRACE_PARENT_LENGTH 55u
#define MOTE_TRACE_STATE_MAX     512u /* bytes of a tracestate that is kept; a longer one loses its last entries */

enum mote_trace_flag {
    MOTE_TRACE_SAMPLED = 0x01,
    MOTE_TRACE_RANDOM = 0x02, /* the last seven bytes of the trace's id are random */
};

struct mote_trace_context {
    uint8_t trace_id[MOTE_TRACE_ID_LENGTH];
    uint8_t span_id[MOTE_SPAN_ID_LENGTH];
    uint8_t flags; /* of enum mote_trace_flag */
};

/* What a span may have at most, where the library's own bounds are higher. */
struct mote_span_limits {
    uint32_t text_max; /* bytes of an attribute's value */
    uint32_t attributes_max;
    uint32_t messages_max; /* that have an event */
};

/* False for what is no traceparent: a new trace is then to be begun, and the tracestate is not to be looked at. Flags
 * that are not known are dropped. */
bool mote_trace_context_parse(struct mote_trace_context *out, struct mote_slice traceparent);
/* Writes no NUL. */
void mote_trace_context_format(char out[MOTE_TRACE_PARENT_LENGTH], const struct mote_trace_context *context);
/* The part of a tracestate that is kept, whole entries from its beginning; {NULL, 0} when it is malformed: then there
 * is none, but the trace goes on. */
struct mote_slice mote_trace_state_keep(struct mote_slice tracestate);

MOTE_C_END

#endif
