/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage that makes a span of each call (OpenTelemetry's conventions for RPC): the caller's trace is continued, or a
 * new one begun. A call that is not sampled costs its two identifiers; one that is has a record of its messages, and
 * all else happens at its end. Spans hold nothing of messages or metadata and nobody's user id.
 */
#include <string.h>

#include "rpc/call_trace.h"
#include "rpc/core.h"
#include "telemetry/tracer.h"

#define ORIGINAL_MAX      128u /* bytes that are told of a method that does not exist */
#define DESCRIPTION_MAX   128u /* bytes of an error's message */
#define ADDRESS_KNOWN_MAX 64u  /* longer ones are looked at anew each time */
#define SPANS_MAX         64u  /* below one call's own: a stream of writes does not drown the rest of its trace */

struct mote_call_record {
    struct mote_span_messages messages;
    unsigned spans; /* below the call's own */
    size_t description_length;
    char description[DESCRIPTION_MAX];
};

static const struct mote_tracer *tracer_of(const struct mote_call *call)
{
    return mote_call_worker_of(call)->server->options.tracer;
}

static bool parse_parent(const struct mote_call *call, struct mote_trace_context *parent)
{
    const struct mote_slice text = tracer_of(call)->ignores_callers ? mote_slice(NULL, 0) : mote_call_traceparent(call);
    return text.length != 0 && mote_trace_context_parse(parent, text);
}

static void start_call(void *context, struct mote_call *call)
{
    const struct mote_tracer *tracer = context;
    struct mote_trace_context parent;
    call->continues_trace = tracer->trusts_callers && parse_parent(call, &parent);
    if (!mote_tracer_begin(tracer, &call->trace, call->continues_trace ? &parent : NULL)) {
        return;
    }
    call->has_trace = true;
    if ((call->trace.flags & MOTE_TRACE_SAMPLED) != 0) {
        call->record = mote_mem_allocate(mote_call_worker_of(call)->mem, sizeof *call->record);
        if (call->record != NULL) {
            call->record->messages.seen = 0;
            call->record->spans = 0;
            call->record->description_length = 0;
        }
    }
}

void mote_call_record_free(struct mote_call *call)
{
    mote_mem_release(mote_call_worker_of(call)->mem, call->record);
}

/* A request is as old as the bytes that were read; the only answer comes with the call's end. */
void mote_call_record_message(struct mote_call *call, bool is_sent, size_t size)
{
    const struct mote_clock *clock = tracer_of(call)->clock;
    uint64_t time_ns = 0;
    if (!is_sent) {
        time_ns = mote_call_worker_of(call)->now_ns;
    } else if (!call->entry->single_response) {
        time_ns = clock->monotonic_ns(clock->context);
    }
    mote_span_note_message(&call->record->messages, time_ns, is_sent, size);
}

void mote_call_record_outcome(struct mote_call *call, struct mote_slice message)
{
    struct mote_call_record *record = call->record;
    record->description_length = message.length < DESCRIPTION_MAX ? message.length : DESCRIPTION_MAX;
    if (message.length != 0) {
        memcpy(record->description, message.data, record->description_length);
    }
}

/* --- the call's own span ----------------------------------------------------------------------------------------- */

static void put_method(struct mote_span_writer *writer, const struct mote_call *call, struct mote_slice name)
{
    static const struct mote_slice other = MOTE_SLICE_LITERAL("_OTHER");
    static const struct mote_slice grpc = MOTE_SLICE_LITERAL("grpc");
    const bool is_known = call->entry->service != NULL;
    mote_span_put_known(writer, MOTE_SPAN_RPC_SYSTEM, grpc);
    mote_span_put_known(writer, MOTE_SPAN_RPC_METHOD, is_known ? name : other);
    if (!is_known) {
        struct mote_slice asked = mote_call_path(call);
        asked = asked.length > 1 ? mote_slice(asked.data + 1, asked.length - 1) : mote_slice_text("");
        asked.length = asked.length < ORIGINAL_MAX ? asked.length : ORIGINAL_MAX;
        mote_span_put_text(writer, MOTE_SPAN_RPC_METHOD_ORIGINAL, asked);
    }
}

static void put_outcome(struct mote_span_writer *writer, const struct mote_call *call, enum mote_status status)
{
    const struct mote_call_record *record = call->record;
    const struct mote_slice name = mote_slice_text(mote_status_name(status));
    mote_span_put_known(writer, MOTE_SPAN_RPC_STATUS, name);
    if (mote_status_is_servers_fault(status)) {
        mote_span_put_known(writer, MOTE_SPAN_ERROR_TYPE, name);
        mote_span_put_error(writer, mote_slice(record != NULL ? record->description : NULL,
                                               record != NULL ? record->description_length : 0));
    }
}

/* Where the call went and came from. Calls of one connection come one after the other, and most say the same. */
static void put_addresses(struct mote_span_writer *writer, const struct mote_tracer *tracer,
                          const struct mote_call *call)
{
    static _Thread_local struct {
        const struct mote_tracer *tracer; /* NULL: nothing is known */
        uint32_t count;
        size_t authority, peer, length;
        uint8_t texts[2 * ADDRESS_KNOWN_MAX], attributes[256];
    } known;
    const struct mote_slice authority = mote_call_authority(call);
    const struct mote_slice peer = mote_slice_text(mote_call_peer(call));
    if (known.tracer == tracer && mote_slice_equals(authority, mote_slice(known.texts, known.authority)) &&
        mote_slice_equals(peer, mote_slice(known.texts + ADDRESS_KNOWN_MAX, known.peer)) &&
        mote_span_put_copy(writer, mote_slice(known.attributes, known.length), known.count)) {
        return;
    }
    const uint8_t *begin = writer->at;
    const uint32_t left = writer->left.attributes_max;
    mote_tracer_put_address(writer, authority, MOTE_SPAN_SERVER_ADDRESS, MOTE_SPAN_SERVER_PORT);
    mote_tracer_put_address(writer, peer, MOTE_SPAN_PEER_ADDRESS, MOTE_SPAN_PEER_PORT);
    known.tracer = NULL;
    known.length = (size_t)(writer->at - begin);
    if (authority.length <= ADDRESS_KNOWN_MAX && peer.length <= ADDRESS_KNOWN_MAX && writer->attributes_dropped == 0 &&
        authority.length != 0 && known.length <= sizeof known.attributes) {
        known.tracer = tracer;
        known.count = left - writer->left.attributes_max;
        known.authority = authority.length;
        known.peer = peer.length;
        memcpy(known.texts, authority.data, authority.length);
        memcpy(known.texts + ADDRESS_KNOWN_MAX, peer.data, peer.length);
        memcpy(known.attributes, begin, known.length);
    }
}

static void end_call(void *context, struct mote_call *call, const struct mote_call_summary *summary)
{
    const struct mote_tracer *tracer = context;
    struct mote_trace_context parent;
    struct mote_span_writer writer;
    if (!call->has_trace || (call->trace.flags & MOTE_TRACE_SAMPLED) == 0) {
        return;
    }
    const struct mote_slice path = call->entry->path;
    const uint64_t end_ns = summary->started_ns + summary->duration_ns;
    const uint64_t offset_ns = mote_tracer_offset(tracer, end_ns);
    struct mote_span span = {.context = call->trace,
                             .kind = MOTE_SPAN_SERVER,
                             .name = call->entry->service != NULL ? mote_slice(path.data + 1, path.length - 1)
                                                                  : mote_slice_text("grpc"),
                             .start_ns = summary->started_ns + offset_ns,
                             .end_ns = end_ns + offset_ns};
    const bool has_caller = parse_parent(call, &parent);
    if (call->continues_trace) {
        span.has_parent = span.parent_is_remote = true;
        memcpy(span.parent_id, parent.span_id, sizeof span.parent_id);
        span.trace_state = mote_trace_state_keep(mote_call_tracestate(call));
    }
    mote_span_begin(&writer, &span, &tracer->limits);
    put_method(&writer, call, span.name);
    put_outcome(&writer, call, summary->status);
    put_addresses(&writer, tracer, call);
    if (has_caller && !call->continues_trace) {
        mote_span_put_link(&writer, &parent);
    }
    if (call->record != NULL) {
        mote_span_put_messages(&writer, &call->record->messages, offset_ns, end_ns);
    }
    mote_tracer_take(tracer, &writer);
}

struct mote_interceptor mote_call_trace_stage(const struct mote_tracer *tracer)
{
    return (struct mote_interceptor){
        .name = "trace", .context = (void *)(uintptr_t)tracer, .start = start_call, .end = end_call};
}

/* --- spans below it ---------------------------------------------------------------------------------------------- */

bool mote_call_is_recorded(const struct mote_call *call)
{
    return call->record != NULL;
}

void mote_call_add_span(struct mote_call *call, const struct mote_call_span *told)
{
    const struct mote_tracer *tracer = tracer_of(call);
    struct mote_span_writer writer;
    struct mote_span span = {.has_parent = true,
                             .name = mote_slice_text(told->name),
                             .kind = told->is_client ? MOTE_SPAN_CLIENT : MOTE_SPAN_INTERNAL};
    if (call->record == NULL || call->record->spans == SPANS_MAX ||
        !mote_tracer_begin_child(tracer, &span.context, &call->trace)) {
        return;
    }
    call->record->spans++;
    const uint64_t now_ns = tracer->clock->monotonic_ns(tracer->clock->context);
    const uint64_t offset_ns = mote_tracer_offset(tracer, now_ns);
    memcpy(span.parent_id, call->trace.span_id, sizeof span.parent_id);
    span.start_ns = told->start_ns + offset_ns;
    span.end_ns = now_ns + offset_ns;
    mote_span_begin(&writer, &span, &tracer->limits);
    for (size_t i = 0; i < sizeof told->attributes / sizeof told->attributes[0]; i++) {
        if (told->attributes[i].name != NULL) {
            mote_span_put_named(&writer, mote_slice_text(told->attributes[i].name),
                                mote_slice_text(told->attributes[i].value));
        }
    }
    if (told->begun_ns != 0) {
        mote_span_put_event(&writer, MOTE_SPAN_EVENT_BEGUN, told->begun_ns + offset_ns);
    }
    if (told->error != NULL) {
        mote_span_put_text(&writer, MOTE_SPAN_ERROR_TYPE, mote_slice_text(told->error));
        mote_span_put_error(&writer, mote_slice(NULL, 0));
    }
    mote_tracer_take(tracer, &writer);
}
