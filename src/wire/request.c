/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of docs/answers.md that need no more than the header fields, in the table's order: the first that fails is
 * the answer. Each row is one function; nothing is copied.
 */
#include "wire/request.h"

#include <string.h>

#include "wire/timeout.h"

#define CONTENT_TYPE  "application/grpc"
#define SUBTYPE_PROTO "proto"

static bool refuse(struct mote_refusal *refusal, enum mote_status status, const char *message)
{
    *refusal = (struct mote_refusal){
        .http_status = 200,
        .has_status = true,
        .status = status,
        .message = message,
    };
    return false;
}

static bool refuse_media_type(struct mote_refusal *refusal)
{
    *refusal = (struct mote_refusal){.http_status = 415, .status = MOTE_STATUS_UNKNOWN};
    return false;
}

static bool is_repeated(const struct mote_fields *fields, enum mote_field_id id)
{
    return (fields->repeated & UINT32_C(1) << id) != 0;
}

/*
 * As grpc-go reads it: the type in lower case, then the end, ';' with parameters nobody looks at, or '+' with the name
 * of a codec. Only protobuf is spoken here; grpc-go takes an unknown codec for protobuf.
 */
static bool read_content_type(const struct mote_fields *fields, struct mote_request *out, struct mote_refusal *refusal)
{
    const struct mote_slice type = fields->known[MOTE_FIELD_CONTENT_TYPE];
    const size_t base = sizeof(CONTENT_TYPE) - 1;
    if (type.length < base || memcmp(type.data, CONTENT_TYPE, base) != 0 ||
        is_repeated(fields, MOTE_FIELD_CONTENT_TYPE)) {
        return refuse_media_type(refusal);
    }
    if (type.length == base || type.data[base] == ';') {
        return true;
    }
    if (type.data[base] != '+') {
        return refuse_media_type(refusal);
    }
    const uint8_t *subtype = type.data + base + 1;
    const size_t rest = type.length - base - 1;
    const uint8_t *parameters = memchr(subtype, ';', rest);
    const size_t length = parameters != NULL ? (size_t)(parameters - subtype) : rest;
    if (length == 0) {
        return true;
    }
    if (length != sizeof(SUBTYPE_PROTO) - 1 || memcmp(subtype, SUBTYPE_PROTO, length) != 0) {
        return refuse(refusal, MOTE_STATUS_UNIMPLEMENTED, "only the content-subtype proto is supported");
    }
    out->proto_subtype = true;
    return true;
}

static bool check_method(const struct mote_fields *fields, struct mote_refusal *refusal)
{
    if (mote_slice_equals_text(fields->known[MOTE_FIELD_METHOD], "POST")) {
        return true;
    }
    (void)refuse(refusal, MOTE_STATUS_INTERNAL, "the method of a gRPC request is POST");
    refusal->http_status = 405;
    return false;
}

static bool read_timeout(const struct mote_fields *fields, struct mote_request *out, struct mote_refusal *refusal)
{
    const struct mote_slice text = fields->known[MOTE_FIELD_GRPC_TIMEOUT];
    if (!mote_slice_is_present(text)) {
        out->timeout_ns = MOTE_REQUEST_NO_TIMEOUT;
        return true;
    }
    if (is_repeated(fields, MOTE_FIELD_GRPC_TIMEOUT) || mote_timeout_parse(&out->timeout_ns, text) != 0) {
        return refuse(refusal, MOTE_STATUS_INTERNAL, "malformed grpc-timeout");
    }
    return true;
}

static bool read_encoding(const struct mote_fields *fields, struct mote_request *out, struct mote_refusal *refusal)
{
    const struct mote_slice name = fields->known[MOTE_FIELD_GRPC_ENCODING];
    out->encoding = MOTE_ENCODING_IDENTITY;
    if (!mote_slice_is_present(name)) {
        return true;
    }
    if (!is_repeated(fields, MOTE_FIELD_GRPC_ENCODING)) {
        out->encoding = mote_compression_find(name);
        if (out->encoding != MOTE_ENCODING_COUNT) {
            return true;
        }
    }
    (void)refuse(refusal, MOTE_STATUS_UNIMPLEMENTED, "unsupported grpc-encoding");
    refusal->accept_encoding = true;
    return false;
}

/* "/service/method", neither of them empty, no third slash. */
static bool read_path(const struct mote_fields *fields, const struct mote_limits *limits, struct mote_request *out,
                      struct mote_refusal *refusal)
{
    const struct mote_slice path = fields->known[MOTE_FIELD_PATH];
    if (path.length > limits->path_length_max) {
        return refuse(refusal, MOTE_STATUS_UNIMPLEMENTED, "method name too long");
    }
    if (path.length == 0 || path.data[0] != '/') {
        return refuse(refusal, MOTE_STATUS_UNIMPLEMENTED, "malformed method name");
    }
    const uint8_t *service = path.data + 1;
    const uint8_t *end = path.data + path.length;
    const uint8_t *slash = memchr(service, '/', path.length - 1);
    if (slash == NULL || slash == service || slash + 1 == end ||
        memchr(slash + 1, '/', (size_t)(end - slash) - 1) != NULL) {
        return refuse(refusal, MOTE_STATUS_UNIMPLEMENTED, "malformed method name");
    }
    out->path = path;
    out->service = mote_slice(service, (size_t)(slash - service));
    out->method = mote_slice(slash + 1, (size_t)(end - slash) - 1);
    return true;
}

bool mote_request_parse(const struct mote_fields *fields, const struct mote_limits *limits, struct mote_request *out,
                        struct mote_refusal *refusal)
{
    if (fields->overflow != MOTE_FIELDS_FIT) {
        return refuse(refusal, MOTE_STATUS_RESOURCE_EXHAUSTED, "received metadata size exceeds the limit");
    }
    *out = (struct mote_request){0};
    if (!read_content_type(fields, out, refusal) || !check_method(fields, refusal) ||
        !read_timeout(fields, out, refusal)) {
        return false;
    }
    if (mote_fields_check_binary(fields) != 0) {
        return refuse(refusal, MOTE_STATUS_INTERNAL, "malformed binary metadata");
    }
    if (out->timeout_ns == 0) {
        return refuse(refusal, MOTE_STATUS_DEADLINE_EXCEEDED, "deadline exceeded");
    }
    if (!read_encoding(fields, out, refusal) || !read_path(fields, limits, out, refusal)) {
        return false;
    }
    const struct mote_slice authority = fields->known[MOTE_FIELD_AUTHORITY];
    out->authority = mote_slice_is_present(authority) ? authority : fields->known[MOTE_FIELD_HOST];
    return true;
}
