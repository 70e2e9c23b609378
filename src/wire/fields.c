/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names are told apart by their length first, then by at most three comparisons of constant size, because every field
 * of every call comes through here. RFC 9113 §8.2 and §8.3 say what is hop-by-hop and what a pseudo-header field is,
 * PROTOCOL-HTTP2 ("Custom-Metadata") what metadata may look like.
 */
#include "wire/fields.h"

#include <string.h>

#include "base/text.h"

#define BINARY_SUFFIX "-bin"
#define GRPC_PREFIX   "grpc-"

/* Characters of a binary value checked at a time; a multiple of 4, so that only the last piece may be padded. */
#define PIECE 1024u

/* Whether bytes whose number is known to be that of the literal are the literal. */
#define IS(data, literal) (memcmp(data, literal, sizeof(literal) - 1) == 0)

enum mote_field_id mote_fields_identify(struct mote_slice name)
{
    const uint8_t *data = name.data;
    switch (name.length) {
    case 2:
        return IS(data, "te") ? MOTE_FIELD_TE : MOTE_FIELD_OTHER;
    case 4:
        return IS(data, "host") ? MOTE_FIELD_HOST : MOTE_FIELD_OTHER;
    case 5:
        return IS(data, ":path") ? MOTE_FIELD_PATH : MOTE_FIELD_OTHER;
    case 7:
        return IS(data, ":method")   ? MOTE_FIELD_METHOD
               : IS(data, ":scheme") ? MOTE_FIELD_SCHEME
               : IS(data, ":status") ? MOTE_FIELD_STATUS
                                     : MOTE_FIELD_OTHER;
    case 10:
        return IS(data, ":authority")   ? MOTE_FIELD_AUTHORITY
               : IS(data, "user-agent") ? MOTE_FIELD_USER_AGENT
               : IS(data, "tracestate") ? MOTE_FIELD_TRACESTATE
                                        : MOTE_FIELD_OTHER;
    case 11:
        return IS(data, "grpc-status")   ? MOTE_FIELD_GRPC_STATUS
               : IS(data, "traceparent") ? MOTE_FIELD_TRACEPARENT
                                         : MOTE_FIELD_OTHER;
    case 12:
        return IS(data, "content-type")   ? MOTE_FIELD_CONTENT_TYPE
               : IS(data, "grpc-timeout") ? MOTE_FIELD_GRPC_TIMEOUT
               : IS(data, "grpc-message") ? MOTE_FIELD_GRPC_MESSAGE
                                          : MOTE_FIELD_OTHER;
    case 13:
        return IS(data, "authorization")   ? MOTE_FIELD_AUTHORIZATION
               : IS(data, "grpc-encoding") ? MOTE_FIELD_GRPC_ENCODING
                                           : MOTE_FIELD_OTHER;
    case 20:
        return IS(data, "grpc-accept-encoding") ? MOTE_FIELD_GRPC_ACCEPT_ENCODING : MOTE_FIELD_OTHER;
    case 23:
        return IS(data, "grpc-status-details-bin") ? MOTE_FIELD_GRPC_STATUS_DETAILS : MOTE_FIELD_OTHER;
    default:
        return MOTE_FIELD_OTHER;
    }
}

bool mote_fields_is_reserved(struct mote_slice name)
{
    static const struct mote_slice names[] = {
        MOTE_SLICE_LITERAL("te"),
        MOTE_SLICE_LITERAL("host"),
        MOTE_SLICE_LITERAL("trailer"),
        MOTE_SLICE_LITERAL("upgrade"),
        MOTE_SLICE_LITERAL("connection"),
        MOTE_SLICE_LITERAL("keep-alive"),
        MOTE_SLICE_LITERAL("user-agent"),
        MOTE_SLICE_LITERAL("content-type"),
        MOTE_SLICE_LITERAL("content-length"),
        MOTE_SLICE_LITERAL("proxy-connection"),
        MOTE_SLICE_LITERAL("transfer-encoding"),
    };
    if (name.length != 0 && name.data[0] == ':') {
        return true;
    }
    if (name.length >= sizeof(GRPC_PREFIX) - 1 && IS(name.data, GRPC_PREFIX)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (mote_slice_equals(name, names[i])) {
            return true;
        }
    }
    return false;
}

bool mote_fields_is_metadata_name(struct mote_slice name)
{
    for (size_t i = 0; i < name.length; i++) {
        const uint8_t byte = name.data[i];
        const bool letter = byte >= 'a' && byte <= 'z';
        const bool digit = byte >= '0' && byte <= '9';
        if (!letter && !digit && byte != '_' && byte != '-' && byte != '.') {
            return false;
        }
    }
    return name.length != 0 && !mote_fields_is_reserved(name);
}

bool mote_fields_is_metadata_value(struct mote_slice value)
{
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] < 0x20 || value.data[i] > 0x7e) {
            return false;
        }
    }
    return value.length == 0 || (value.data[0] != ' ' && value.data[value.length - 1] != ' ');
}

bool mote_fields_is_binary(struct mote_slice name)
{
    const size_t suffix = sizeof(BINARY_SUFFIX) - 1;
    return name.length >= suffix && IS(name.data + name.length - suffix, BINARY_SUFFIX);
}

struct mote_slice mote_fields_find(const struct mote_fields *fields, struct mote_slice name)
{
    for (size_t i = 0; i < fields->other_count; i++) {
        if (mote_slice_equals(fields->others[i].name, name)) {
            return fields->others[i].value;
        }
    }
    return mote_slice(NULL, 0);
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

bool mote_fields_next_binary(struct mote_slice *rest, struct mote_slice *value)
{
    if (rest->data == NULL) {
        return false;
    }
    const uint8_t *comma = rest->length != 0 ? memchr(rest->data, ',', rest->length) : NULL;
    const uint8_t *begin = rest->data;
    const uint8_t *end = comma != NULL ? comma : rest->data + rest->length;
    *rest =
        comma != NULL ? mote_slice(comma + 1, (size_t)(rest->data + rest->length - comma) - 1) : mote_slice(NULL, 0);
    while (begin < end && is_space(*begin)) {
        begin++;
    }
    while (begin < end && is_space(end[-1])) {
        end--;
    }
    *value = mote_slice(begin, (size_t)(end - begin));
    return true;
}

int mote_fields_decode_binary(uint8_t *out, size_t *out_length, struct mote_slice value)
{
    return mote_base64_decode(out, out_length, value, MOTE_BASE64_UNPADDED);
}

/* Whether one value decodes, without memory for the result. */
static bool is_decodable(struct mote_slice value)
{
    uint8_t out[PIECE / 4 * 3];
    size_t length;
    while (value.length > PIECE) {
        if (value.data[PIECE - 1] == '=' ||
            mote_fields_decode_binary(out, &length, mote_slice(value.data, PIECE)) != 0) {
            return false;
        }
        value = mote_slice(value.data + PIECE, value.length - PIECE);
    }
    return mote_fields_decode_binary(out, &length, value) == 0;
}

int mote_fields_check_binary(const struct mote_fields *fields)
{
    for (size_t i = 0; i < fields->other_count; i++) {
        if (!mote_fields_is_binary(fields->others[i].name)) {
            continue;
        }
        struct mote_slice rest = fields->others[i].value;
        struct mote_slice value;
        while (mote_fields_next_binary(&rest, &value)) {
            if (!is_decodable(value)) {
                return MOTE_EDECODE;
            }
        }
    }
    return 0;
}
