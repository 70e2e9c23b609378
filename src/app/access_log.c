/* SPDX-License-Identifier: Apache-2.0 */
/* See access_log.h. */
#include "app/access_log.h"

#include "base/text.h"
#include "wire/request.h"

const char *mote_access_log_kind(enum mote_call_kind kind)
{
    switch (kind) {
    case MOTE_CALL_UNARY:
        return "unary";
    case MOTE_CALL_CLIENT_STREAM:
        return "client_stream";
    case MOTE_CALL_SERVER_STREAM:
        return "server_stream";
    case MOTE_CALL_BIDI_STREAM:
        return "bidi_stream";
    }
    return "unary";
}

enum mote_log_level mote_access_log_level(enum mote_status status)
{
    return mote_status_is_servers_fault(status) ? MOTE_LOG_ERROR : MOTE_LOG_INFO;
}

/* Streams are long by nature; only a unary call can be slow. */
static bool is_remarkable(const struct mote_call_summary *summary)
{
    bool is_unary = summary->method == NULL || summary->method->kind == MOTE_CALL_UNARY;
    return summary->status != MOTE_STATUS_OK || (is_unary && summary->duration_ns >= MOTE_ACCESS_LOG_SLOW_NS);
}

bool mote_access_log_wants(struct mote_access_log *access_log, const struct mote_call_summary *summary)
{
    switch (access_log->policy) {
    case MOTE_LOG_ACCESS_OFF:
        return false;
    case MOTE_LOG_ACCESS_ERRORS:
        return is_remarkable(summary);
    case MOTE_LOG_ACCESS_ALL:
        return is_remarkable(summary) || access_log->sample_ok <= 1 ||
               atomic_fetch_add_explicit(&access_log->ok_count, 1, memory_order_relaxed) % access_log->sample_ok == 0;
    }
    return false;
}

static uint64_t microseconds_left(const struct mote_call *call, const struct mote_call_summary *summary)
{
    uint64_t deadline = mote_call_deadline(call);
    return deadline > summary->started_ns ? (deadline - summary->started_ns) / 1000 : 0;
}

static void write_line(struct mote_access_log *access_log, struct mote_call *call,
                       const struct mote_call_summary *summary)
{
    const struct mote_identity *identity = mote_call_identity(call);
    const struct mote_certificate *certificate = mote_call_certificate(call);
    struct mote_slice agent = mote_call_user_agent(call);
    char subject[MOTE_UUID_TEXT_LENGTH];
    const struct mote_trace_context *trace = mote_call_trace(call);
    char trace_id[2 * MOTE_TRACE_ID_LENGTH];
    char span_id[2 * MOTE_SPAN_ID_LENGTH];
    struct mote_log_field fields[20];
    size_t count = 0;
    agent.length = agent.length < MOTE_ACCESS_LOG_AGENT_MAX ? agent.length : MOTE_ACCESS_LOG_AGENT_MAX;
    fields[count++] = mote_log_text("rpc_service", summary->service != NULL ? summary->service->name : "other");
    fields[count++] = mote_log_text("rpc_method", summary->method != NULL ? summary->method->name : "other");
    fields[count++] =
        mote_log_text("rpc_type", summary->method != NULL ? mote_access_log_kind(summary->method->kind) : "unary");
    fields[count++] = mote_log_text("grpc_code", mote_status_camel_name(summary->status));
    fields[count++] = mote_log_uint("grpc_code_num", (uint64_t)summary->status);
    fields[count++] = mote_log_uint("duration_us", summary->duration_ns / 1000);
    fields[count++] = mote_log_text("peer", mote_call_peer(call));
    if (certificate != NULL) {
        fields[count++] = mote_log_text("tls_subject", certificate->subject);
    }
    fields[count++] = mote_log_slice("authority", mote_call_authority(call));
    fields[count++] = mote_log_slice("user_agent", agent);
    fields[count++] = mote_log_uint("req_bytes", summary->request_bytes);
    fields[count++] = mote_log_uint("resp_bytes", summary->response_bytes);
    fields[count++] = mote_log_uint("req_msgs", summary->request_messages);
    fields[count++] = mote_log_uint("resp_msgs", summary->response_messages);
    if (mote_call_deadline(call) != UINT64_MAX) {
        fields[count++] = mote_log_uint("deadline_us", microseconds_left(call, summary));
    }
    if (trace != NULL) {
        mote_hex_encode(trace_id, mote_slice(trace->trace_id, sizeof trace->trace_id));
        mote_hex_encode(span_id, mote_slice(trace->span_id, sizeof trace->span_id));
        fields[count++] = mote_log_slice("trace_id", mote_slice(trace_id, sizeof trace_id));
        fields[count++] = mote_log_slice("span_id", mote_slice(span_id, sizeof span_id));
        fields[count++] =
            mote_log_slice("trace_flags", mote_slice((trace->flags & MOTE_TRACE_SAMPLED) != 0 ? "01" : "00", 2));
    }
    if (access_log->user_id && identity != NULL) {
        mote_uuid_format(subject, identity->user_id);
        fields[count++] = mote_log_slice("sub", mote_slice(subject, sizeof subject));
    }
    mote_log_write(access_log->log, &(const struct mote_log_record){.level = mote_access_log_level(summary->status),
                                                                    .logger = "access",
                                                                    .event = "rpc.finished",
                                                                    .message = "call finished",
                                                                    .fields = fields,
                                                                    .field_count = count});
}

static void end_call(void *context, struct mote_call *call, const struct mote_call_summary *summary)
{
    struct mote_access_log *access_log = context;
    if (mote_log_enabled(access_log->log, mote_access_log_level(summary->status)) &&
        mote_access_log_wants(access_log, summary)) {
        write_line(access_log, call, summary);
    }
}

struct mote_interceptor mote_access_log_stage(struct mote_access_log *access_log)
{
    return (struct mote_interceptor){
        .name = "access log",
        .context = access_log,
        .end = access_log->policy != MOTE_LOG_ACCESS_OFF ? end_call : NULL,
    };
}
