/* SPDX-License-Identifier: Apache-2.0 */
/* See tracing.h. A call that is not sampled costs its two identifiers; all else happens at the end of those that are.
 */
#include "app/tracing.h"

#include <string.h>

#include "base/text.h"
#include "telemetry/span.h"

/* --- the beginning ----------------------------------------------------------------------------------------------- */

#define RANDOM_AT_ONCE 768u

/* Random bytes are fetched from the system for many calls at once. */
static bool take_random(const struct mote_tracing *tracing, uint8_t *out, size_t length)
{
    static _Thread_local struct {
        uint8_t bytes[RANDOM_AT_ONCE];
        size_t left;
    } pool;
    if (pool.left < length) {
        if (tracing->random->fill(tracing->random->context, pool.bytes, sizeof pool.bytes) != 0) {
            return false;
        }
        pool.left = sizeof pool.bytes;
    }
    pool.left -= length;
    memcpy(out, pool.bytes + pool.left, length);
    return true;
}

static void start_call(void *context, struct mote_call *call)
{
    const struct mote_tracing *tracing = context;
    struct mote_trace_context parent;
    struct mote_trace_context trace;
    const bool continues = mote_trace_context_parse(&parent, mote_call_traceparent(call)) && tracing->trusts_callers;
    if (!take_random(tracing, trace.span_id, sizeof trace.span_id)) {
        return;
    }
    if (continues) {
        memcpy(trace.trace_id, parent.trace_id, sizeof trace.trace_id);
    } else if (!take_random(tracing, trace.trace_id, sizeof trace.trace_id)) {
        return;
    }
    trace.flags = continues ? parent.flags & MOTE_TRACE_RANDOM : MOTE_TRACE_RANDOM;
    if (mote_sampler_decide(&tracing->sampler, continues ? &parent : NULL, trace.trace_id)) {
        trace.flags |= MOTE_TRACE_SAMPLED;
    }
    mote_call_set_trace(call, &trace);
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

/* "192.0.2.1:40000", "[::1]:40000", "example.com". */
static void add_address(struct mote_span *span, struct mote_slice text, enum mote_span_attribute_id address,
                        enum mote_span_attribute_id port)
{
    size_t colon = text.length;
    uint64_t number;
    while (colon > 0 && text.data[colon - 1] != ':' && text.data[colon - 1] != ']') {
        colon--;
    }
    const bool has_port = colon > 0 && text.data[colon - 1] == ':' &&
                          mote_decimal_parse(&number, mote_slice(text.data + colon, text.length - colon), 65535) == 0;
    struct mote_slice host = has_port ? mote_slice(text.data, colon - 1) : text;
    if (host.length > 2 && host.data[0] == '[' && host.data[host.length - 1] == ']') {
        host = mote_slice(host.data + 1, host.length - 2);
    }
    if (host.length != 0) {
        mote_span_add_text(span, address, host);
        if (has_port) {
            mote_span_add_number(span, port, number);
        }
    }
}

static void add_method(struct mote_span *span, const struct mote_call *call, const struct mote_call_summary *summary)
{
    const bool is_known = summary->service != NULL;
    struct mote_slice asked = mote_call_path(call);
    asked = asked.length > 1 ? mote_slice(asked.data + 1, asked.length - 1) : mote_slice_text("");
    span->name = is_known ? mote_slice_text(summary->method->path + 1) : mote_slice_text("grpc");
    mote_span_add_text(span, MOTE_SPAN_RPC_SYSTEM, mote_slice_text("grpc"));
    mote_span_add_text(span, MOTE_SPAN_RPC_METHOD, is_known ? span->name : mote_slice_text("_OTHER"));
    if (!is_known) {
        asked.length = asked.length < MOTE_TRACING_ORIGINAL_MAX ? asked.length : MOTE_TRACING_ORIGINAL_MAX;
        mote_span_add_text(span, MOTE_SPAN_RPC_METHOD_ORIGINAL, asked);
    }
}

static void add_outcome(struct mote_span *span, enum mote_status status)
{
    const struct mote_slice name = mote_slice_text(mote_status_name(status));
    span->is_error = mote_status_is_servers_fault(status);
    mote_span_add_text(span, MOTE_SPAN_RPC_STATUS, name);
    if (span->is_error) {
        mote_span_add_text(span, MOTE_SPAN_ERROR_TYPE, name);
    }
}

static void end_call(void *context, struct mote_call *call, const struct mote_call_summary *summary)
{
    const struct mote_tracing *tracing = context;
    const struct mote_trace_context *trace = mote_call_trace(call);
    struct mote_trace_context parent;
    uint8_t encoded[MOTE_SPAN_ENCODED_MAX];
    if (trace == NULL || (trace->flags & MOTE_TRACE_SAMPLED) == 0) {
        return;
    }
    struct mote_span span = {.context = *trace, .kind = MOTE_SPAN_SERVER};
    if (mote_trace_context_parse(&parent, mote_call_traceparent(call))) {
        if (tracing->trusts_callers) {
            span.has_parent = span.parent_is_remote = true;
            memcpy(span.parent_id, parent.span_id, sizeof span.parent_id);
            span.trace_state = mote_trace_state_keep(mote_call_tracestate(call));
        } else {
            span.link = &parent;
        }
    }
    span.end_ns = (uint64_t)tracing->clock->wall_ns(tracing->clock->context);
    span.start_ns = span.end_ns - summary->duration_ns;
    add_method(&span, call, summary);
    add_outcome(&span, summary->status);
    add_address(&span, mote_call_authority(call), MOTE_SPAN_SERVER_ADDRESS, MOTE_SPAN_SERVER_PORT);
    add_address(&span, mote_slice_text(mote_call_peer(call)), MOTE_SPAN_PEER_ADDRESS, MOTE_SPAN_PEER_PORT);
    const size_t length = mote_span_encode(&span, encoded, sizeof encoded);
    if (length != 0) {
        (void)mote_span_queue_put(tracing->queue, mote_slice(encoded, length));
    } else {
        mote_span_queue_count(tracing->queue, MOTE_SPAN_TOO_LARGE, 1);
    }
}

struct mote_interceptor mote_tracing_stage(struct mote_tracing *tracing)
{
    return (struct mote_interceptor){.name = "trace", .context = tracing, .start = start_call, .end = end_call};
}
