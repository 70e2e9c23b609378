/* SPDX-License-Identifier: Apache-2.0 */
/* See access_log.h. */
#include "app/access_log.h"

#include <stdio.h>

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

enum field {
#define X(constant, name, says) FIELD_##constant,
    MOTE_ACCESS_LOG_FIELD_MAP(X)
#undef X
        FIELD_COUNT,
};

static const char *const names[FIELD_COUNT] = {
#define X(constant, name, says) [FIELD_##constant] = name,
    MOTE_ACCESS_LOG_FIELD_MAP(X)
#undef X
};

struct line {
    struct mote_log_field fields[FIELD_COUNT];
    size_t count;
};

static void add_slice(struct line *line, enum field field, struct mote_slice text)
{
    line->fields[line->count++] = mote_log_slice(names[field], text);
}

static void add_text(struct line *line, enum field field, const char *text)
{
    add_slice(line, field, mote_slice_text(text));
}

static void add_number(struct line *line, enum field field, uint64_t number)
{
    line->fields[line->count++] = mote_log_uint(names[field], number);
}

/* Texts that lines borrow. */
struct room {
    char subject[MOTE_UUID_TEXT_LENGTH];
    char trace_id[2 * MOTE_TRACE_ID_LENGTH], span_id[2 * MOTE_SPAN_ID_LENGTH];
    char tls[96];
};

static void add_connection(struct line *line, struct room *room, struct mote_call *call)
{
    const struct mote_certificate *certificate = mote_call_certificate(call);
    const struct mote_connection_facts *connection = mote_call_connection(call);
    struct mote_slice agent = mote_call_user_agent(call);
    agent.length = agent.length < MOTE_ACCESS_LOG_AGENT_MAX ? agent.length : MOTE_ACCESS_LOG_AGENT_MAX;
    add_text(line, FIELD_PEER, mote_call_peer(call));
    if (certificate != NULL) {
        add_text(line, FIELD_TLS_SUBJECT, certificate->subject);
    }
    if (connection->tls_version != NULL) {
        (void)snprintf(room->tls, sizeof room->tls, "%s/%s", connection->tls_version, connection->tls_suite);
        add_text(line, FIELD_TLS, room->tls);
    }
    add_number(line, FIELD_CONNECTION, connection->id);
    add_number(line, FIELD_STREAM, mote_call_stream(call));
    add_slice(line, FIELD_AUTHORITY, mote_call_authority(call));
    add_slice(line, FIELD_USER_AGENT, agent);
}

static void add_trace(struct line *line, struct room *room, const struct mote_trace_context *trace)
{
    mote_hex_encode(room->trace_id, mote_slice(trace->trace_id, sizeof trace->trace_id));
    mote_hex_encode(room->span_id, mote_slice(trace->span_id, sizeof trace->span_id));
    add_slice(line, FIELD_TRACE_ID, mote_slice(room->trace_id, sizeof room->trace_id));
    add_slice(line, FIELD_SPAN_ID, mote_slice(room->span_id, sizeof room->span_id));
    add_text(line, FIELD_TRACE_FLAGS, (trace->flags & MOTE_TRACE_SAMPLED) != 0 ? "01" : "00");
}

static void write_line(struct mote_access_log *access_log, struct mote_call *call,
                       const struct mote_call_summary *summary)
{
    const struct mote_identity *identity = mote_call_identity(call);
    const struct mote_method *method = summary->method;
    struct line line = {.count = 0};
    struct room room;
    add_text(&line, FIELD_SERVICE, summary->service != NULL ? summary->service->name : "other");
    add_text(&line, FIELD_METHOD, method != NULL ? method->name : "other");
    add_text(&line, FIELD_TYPE, mote_access_log_kind(method != NULL ? method->kind : MOTE_CALL_UNARY));
    add_text(&line, FIELD_CODE, mote_status_camel_name(summary->status));
    add_number(&line, FIELD_CODE_NUMBER, (uint64_t)summary->status);
    add_number(&line, FIELD_DURATION, summary->duration_ns / 1000);
    add_connection(&line, &room, call);
    add_number(&line, FIELD_REQUEST_BYTES, summary->request_bytes);
    add_number(&line, FIELD_RESPONSE_BYTES, summary->response_bytes);
    add_number(&line, FIELD_REQUEST_MESSAGES, summary->request_messages);
    add_number(&line, FIELD_RESPONSE_MESSAGES, summary->response_messages);
    if (mote_call_deadline(call) != UINT64_MAX) {
        add_number(&line, FIELD_DEADLINE, microseconds_left(call, summary));
    }
    if (mote_call_trace(call) != NULL) {
        add_trace(&line, &room, mote_call_trace(call));
    }
    if (access_log->user_id && identity != NULL) {
        mote_uuid_format(room.subject, identity->user_id);
        add_slice(&line, FIELD_SUBJECT, mote_slice(room.subject, sizeof room.subject));
    }
    mote_log_write(access_log->log, &(const struct mote_log_record){.level = mote_access_log_level(summary->status),
                                                                    .logger = "access",
                                                                    .event = "rpc.finished",
                                                                    .message = "call finished",
                                                                    .fields = line.fields,
                                                                    .field_count = line.count});
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
