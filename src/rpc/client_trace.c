/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call's place in a trace: below the call that is being answered, or at its beginning; and its span (OpenTelemetry's
 * conventions for RPC, kind CLIENT), which is written when the call has ended. To a client any status but OK is an
 * error.
 */
#include <string.h>

#include "rpc/client_core.h"
#include "telemetry/tracer.h"

/* Somebody who says it himself is not contradicted. */
static bool says_it_himself(const struct mote_client_call_options *options)
{
    for (size_t i = 0; i < options->metadata_count; i++) {
        if (mote_slice_equals_text(options->metadata[i].name, "traceparent")) {
            return true;
        }
    }
    return false;
}

static struct mote_slice state_of(const struct mote_client_call_options *options)
{
    return options->trace != NULL ? mote_trace_state_keep(options->trace_state) : mote_slice(NULL, 0);
}

size_t mote_client_trace_size(const struct mote_client_target *target, const struct mote_client_call_options *options)
{
    if ((target->tracer == NULL && options->trace == NULL) || says_it_himself(options)) {
        return 0;
    }
    const size_t size = sizeof(struct mote_client_trace) + state_of(options).length;
    return (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
}

struct mote_client_trace *mote_client_trace_init(void *block, const struct mote_client_target *target,
                                                 const struct mote_client_call_options *options)
{
    struct mote_client_trace *trace = block;
    const struct mote_tracer *tracer = target->tracer;
    const struct mote_slice state = state_of(options);
    trace->tracer = tracer;
    trace->authority = target->authority;
    trace->has_parent = options->trace != NULL;
    trace->messages.seen = 0;
    if (trace->has_parent) {
        trace->context = *options->trace;
        memcpy(trace->parent_id, options->trace->span_id, sizeof trace->parent_id);
    }
    if (tracer != NULL) {
        trace->start_ns = tracer->clock->monotonic_ns(tracer->clock->context);
        if (!(trace->has_parent ? mote_tracer_begin_child(tracer, &trace->context, options->trace)
                                : mote_tracer_begin(tracer, &trace->context, NULL))) {
            return NULL;
        }
        if ((trace->context.flags & MOTE_TRACE_SAMPLED) == 0) {
            trace->tracer = NULL;
        }
    }
    trace->state = mote_slice(trace + 1, state.length);
    if (state.length != 0) {
        memcpy(trace + 1, state.data, state.length);
    }
    mote_trace_context_format(trace->parent_text, &trace->context);
    return trace;
}

void mote_client_trace_message(struct mote_client_call *call, bool is_sent, size_t size)
{
    const struct mote_tracer *tracer = call->trace->tracer;
    if (tracer != NULL) {
        mote_span_note_message(&call->trace->messages, tracer->clock->monotonic_ns(tracer->clock->context), is_sent,
                               size);
    }
}

void mote_client_trace_end(const struct mote_client_call *call, enum mote_status status, struct mote_slice message)
{
    static const struct mote_slice grpc = MOTE_SLICE_LITERAL("grpc");
    const struct mote_client_trace *trace = call->trace;
    const struct mote_tracer *tracer = trace->tracer;
    const struct mote_slice status_name = mote_slice_text(mote_status_name(status));
    struct mote_span_writer writer;
    if (tracer == NULL) {
        return;
    }
    const uint64_t now_ns = tracer->clock->monotonic_ns(tracer->clock->context);
    const uint64_t offset_ns = mote_tracer_offset(tracer, now_ns);
    struct mote_span span = {.context = trace->context,
                             .has_parent = trace->has_parent,
                             .trace_state = trace->state,
                             .name = mote_slice_text(call->method->path + 1),
                             .kind = MOTE_SPAN_CLIENT,
                             .start_ns = trace->start_ns + offset_ns,
                             .end_ns = now_ns + offset_ns};
    memcpy(span.parent_id, trace->parent_id, sizeof span.parent_id);
    mote_span_begin(&writer, &span, &tracer->limits);
    mote_span_put_known(&writer, MOTE_SPAN_RPC_SYSTEM, grpc);
    mote_span_put_known(&writer, MOTE_SPAN_RPC_METHOD, span.name);
    mote_span_put_known(&writer, MOTE_SPAN_RPC_STATUS, status_name);
    mote_tracer_put_address(&writer, mote_slice_text(trace->authority), MOTE_SPAN_SERVER_ADDRESS,
                            MOTE_SPAN_SERVER_PORT);
    if (status != MOTE_STATUS_OK) {
        mote_span_put_known(&writer, MOTE_SPAN_ERROR_TYPE, status_name);
        mote_span_put_error(&writer, message);
    }
    mote_span_put_messages(&writer, &trace->messages, offset_ns, now_ns);
    mote_tracer_take(tracer, &writer);
}
