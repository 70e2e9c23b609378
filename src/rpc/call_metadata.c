/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of a call: reading the request's, adding to the answer's. Names are checked here, so that no handler can
 * write a field that belongs to HTTP/2 or gRPC. */
#include <string.h>

#include "base/text.h"
#include "rpc/core.h"

static struct mote_slice known(const struct mote_call *call, enum mote_field_id id)
{
    return call->fields->known[id];
}

struct mote_slice mote_call_metadata_at(const struct mote_call *call, const char *name, size_t index)
{
    const struct mote_slice wanted = mote_slice_text(name);
    const enum mote_field_id id = mote_fields_identify(wanted);
    if (id != MOTE_FIELD_OTHER) {
        return index == 0 ? known(call, id) : mote_slice(NULL, 0);
    }
    for (size_t i = 0; i < call->fields->other_count; i++) {
        const struct mote_field *field = &call->fields->others[i];
        if (mote_slice_equals(field->name, wanted) && index-- == 0) {
            return field->value;
        }
    }
    return mote_slice(NULL, 0);
}

struct mote_slice mote_call_metadata(const struct mote_call *call, const char *name)
{
    return mote_call_metadata_at(call, name, 0);
}

bool mote_call_metadata_field(const struct mote_call *call, size_t index, struct mote_slice *name,
                              struct mote_slice *value)
{
    if (index >= call->fields->other_count) {
        return false;
    }
    *name = call->fields->others[index].name;
    *value = call->fields->others[index].value;
    return true;
}

struct mote_slice mote_call_authorization(const struct mote_call *call)
{
    return known(call, MOTE_FIELD_AUTHORIZATION);
}

static bool is_repeated(const struct mote_call *call, enum mote_field_id id)
{
    return (call->fields->repeated & UINT32_C(1) << id) != 0;
}

bool mote_call_authorization_is_repeated(const struct mote_call *call)
{
    return is_repeated(call, MOTE_FIELD_AUTHORIZATION);
}

static struct mote_slice known_once(const struct mote_call *call, enum mote_field_id id)
{
    return is_repeated(call, id) ? mote_slice(NULL, 0) : known(call, id);
}

struct mote_slice mote_call_traceparent(const struct mote_call *call)
{
    return known_once(call, MOTE_FIELD_TRACEPARENT);
}

struct mote_slice mote_call_tracestate(const struct mote_call *call)
{
    return call->has_trace && !call->continues_trace ? mote_slice(NULL, 0) : known_once(call, MOTE_FIELD_TRACESTATE);
}

const struct mote_trace_context *mote_call_trace(const struct mote_call *call)
{
    return call->has_trace ? &call->trace : NULL;
}

struct mote_slice mote_call_path(const struct mote_call *call)
{
    return known(call, MOTE_FIELD_PATH);
}

struct mote_slice mote_call_user_agent(const struct mote_call *call)
{
    return known(call, MOTE_FIELD_USER_AGENT);
}

struct mote_slice mote_call_authority(const struct mote_call *call)
{
    const struct mote_slice authority = known(call, MOTE_FIELD_AUTHORITY);
    return mote_slice_is_present(authority) ? authority : known(call, MOTE_FIELD_HOST);
}

const char *mote_call_peer(const struct mote_call *call)
{
    return call->connection->peer;
}

const struct mote_connection_facts *mote_call_connection(const struct mote_call *call)
{
    return &call->connection->facts;
}

uint32_t mote_call_stream(const struct mote_call *call)
{
    return call->stream_id;
}

const struct mote_certificate *mote_call_certificate(const struct mote_call *call)
{
    return call->connection->certificate;
}

static struct mote_slice copy(struct mote_call *call, struct mote_slice text)
{
    const char *copied = mote_arena_copy_text(&call->arena, text);
    return mote_slice(copied, copied != NULL ? text.length : 0);
}

static struct mote_slice encode_binary(struct mote_call *call, struct mote_slice value)
{
    const size_t length = mote_base64_encoded_length(value.length, MOTE_BASE64_UNPADDED);
    char *text = mote_arena_allocate(&call->arena, length + 1);
    if (text == NULL) {
        return mote_slice(NULL, 0);
    }
    mote_base64_encode(text, value, MOTE_BASE64_UNPADDED);
    return mote_slice(text, length);
}

static int add(struct mote_call *call, struct mote_call_metadata *metadata, const char *name_text,
               struct mote_slice value)
{
    const struct mote_slice name = mote_slice_text(name_text);
    const bool binary = mote_fields_is_binary(name);
    if (!mote_fields_is_metadata_name(name) || (!binary && !mote_fields_is_metadata_value(value))) {
        return MOTE_EINVAL;
    }
    const size_t length = binary ? mote_base64_encoded_length(value.length, MOTE_BASE64_UNPADDED) : value.length;
    const size_t size = name.length + length + 32; /* as RFC 9113 §6.5.2 counts */
    if (metadata->count == MOTE_CALL_METADATA_MAX || size > MOTE_CALL_METADATA_BYTES_MAX - metadata->bytes) {
        return MOTE_ELIMIT;
    }
    if (metadata->fields == NULL) {
        metadata->fields = mote_arena_allocate(&call->arena, MOTE_CALL_METADATA_MAX * sizeof *metadata->fields);
        if (metadata->fields == NULL) {
            return MOTE_ENOMEM;
        }
    }
    const struct mote_field field = {
        .name = copy(call, name),
        .value = binary ? encode_binary(call, value) : copy(call, value),
    };
    if (field.name.data == NULL || field.value.data == NULL) {
        return MOTE_ENOMEM;
    }
    metadata->fields[metadata->count++] = field;
    metadata->bytes += size;
    return 0;
}

int mote_call_add_header(struct mote_call *call, const char *name, struct mote_slice value)
{
    if (call->state >= MOTE_CALL_RESPONDING) {
        return MOTE_ECLOSED;
    }
    return add(call, &call->headers, name, value);
}

int mote_call_add_trailer(struct mote_call *call, const char *name, struct mote_slice value)
{
    if (call->state == MOTE_CALL_ENDED) {
        return MOTE_ECLOSED;
    }
    return add(call, &call->trailers, name, value);
}
