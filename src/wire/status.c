/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables between the code spaces, and the text of a status as it crosses the wire. Sources: gRPC's
 * PROTOCOL-HTTP2 ("Responses", "Errors"), statuscodes.md and http-grpc-status-mapping.md.
 */
#include "wire/status.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

const char *mote_status_name(enum mote_status status)
{
    static const char *const names[MOTE_STATUS_COUNT] = {
#define X(constant, number, upper, camel) [number] = (upper),
        MOTE_STATUS_MAP(X)
#undef X
    };
    return (unsigned)status < MOTE_STATUS_COUNT ? names[status] : names[MOTE_STATUS_UNKNOWN];
}

const char *mote_status_camel_name(enum mote_status status)
{
    static const char *const names[MOTE_STATUS_COUNT] = {
#define X(constant, number, upper, camel) [number] = (camel),
        MOTE_STATUS_MAP(X)
#undef X
    };
    return (unsigned)status < MOTE_STATUS_COUNT ? names[status] : names[MOTE_STATUS_UNKNOWN];
}

bool mote_status_is_servers_fault(enum mote_status status)
{
    const unsigned faults = 1u << MOTE_STATUS_UNKNOWN | 1u << MOTE_STATUS_DEADLINE_EXCEEDED |
                            1u << MOTE_STATUS_UNIMPLEMENTED | 1u << MOTE_STATUS_INTERNAL |
                            1u << MOTE_STATUS_UNAVAILABLE | 1u << MOTE_STATUS_DATA_LOSS;
    return (faults >> status & 1) != 0;
}

struct mote_slice mote_status_decimal(enum mote_status status)
{
    static const struct mote_slice decimals[MOTE_STATUS_COUNT] = {
#define X(constant, number, upper, camel) [number] = MOTE_SLICE_LITERAL(#number),
        MOTE_STATUS_MAP(X)
#undef X
    };
    return (unsigned)status < MOTE_STATUS_COUNT ? decimals[status] : decimals[MOTE_STATUS_UNKNOWN];
}

int mote_status_parse(enum mote_status *out, struct mote_slice text)
{
    uint64_t number;
    if (mote_decimal_parse(&number, text, MOTE_STATUS_COUNT - 1) != 0) {
        *out = MOTE_STATUS_UNKNOWN;
        return MOTE_EDECODE;
    }
    *out = (enum mote_status)number;
    return 0;
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte <= 0x7e && byte != '%';
}

static char *encode_bytes(char *out, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < count; i++) {
        if (is_plain(bytes[i])) {
            *out++ = (char)bytes[i];
        } else {
            *out++ = '%';
            *out++ = digits[bytes[i] >> 4];
            *out++ = digits[bytes[i] & 15];
        }
    }
    return out;
}

/* A space at either end: RFC 9113 §8.2.1 lets no field value begin or end with one. */
static char *put_space(char *out)
{
    memcpy(out, "%20", 3);
    return out + 3;
}

#define EACH_BYTE(byte) ((byte)*UINT64_C(0x0101010101010101))

/* Not 0 when some byte of `word` is below `bound`, which is 1 to 0x80, or above 0x7f. */
static uint64_t has_below_or_high(uint64_t word, uint64_t bound)
{
    return ((word - EACH_BYTE(bound)) | word) & EACH_BYTE(0x80);
}

/* Copies the bytes that stand as they are, eight at a time as long as all eight do: nearly every message is plain to
 * its end. Returns how many. */
static size_t copy_plain(char *out, const uint8_t *data, size_t length)
{
    size_t copied = 0;
    for (; length - copied >= sizeof(uint64_t); copied += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, data + copied, sizeof(word));
        const uint64_t special = has_below_or_high(word, 0x20) | has_below_or_high(word ^ EACH_BYTE('%'), 1) |
                                 has_below_or_high(word ^ EACH_BYTE(0x7f), 1);
        if (special != 0) {
            break;
        }
        memcpy(out + copied, &word, sizeof(word));
    }
    while (copied < length && is_plain(data[copied])) {
        out[copied] = (char)data[copied];
        copied++;
    }
    return copied;
}

size_t mote_status_encode_message(char *out, struct mote_slice message)
{
    static const uint8_t replacement[] = {0xef, 0xbf, 0xbd}; /* U+FFFD, one for each byte that is no UTF-8 */
    if (message.length == 0) {
        return 0; /* data may be NULL */
    }
    const size_t most = message.length < MOTE_STATUS_MESSAGE_MAX ? message.length : MOTE_STATUS_MESSAGE_MAX;
    char *end = out;
    size_t used = 0; /* bytes of the repaired message that were written */
    if (message.data[0] == ' ') {
        end = put_space(end);
        used = 1;
    }
    const size_t plain = copy_plain(end, message.data + used, most - used);
    end += plain;
    used += plain;
    struct mote_slice rest = {.data = message.data + used, .length = message.length - used};
    while (rest.length != 0) {
        const size_t valid = mote_utf8_next(rest, NULL);
        const uint8_t *bytes = valid != 0 ? rest.data : replacement;
        const size_t count = valid != 0 ? valid : sizeof(replacement);
        const size_t taken = valid != 0 ? valid : 1;
        if (count > MOTE_STATUS_MESSAGE_MAX - used) {
            break;
        }
        end = encode_bytes(end, bytes, count);
        used += count;
        rest.data += taken;
        rest.length -= taken;
    }
    if (end[-1] == ' ') {
        end = put_space(end - 1);
    }
    return (size_t)(end - out);
}

/* 0-15, or 16 for a byte that is no hexadecimal digit. */
static unsigned hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - (unsigned)'0';
    }
    const unsigned letter = (digit | 0x20u) - 'a';
    return letter < 6 ? letter + 10 : 16;
}

size_t mote_status_decode_message(char *out, struct mote_slice text)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.data[i];
        if (byte == '%' && text.length - i > 2) {
            const unsigned high = hex_value(text.data[i + 1]);
            const unsigned low = hex_value(text.data[i + 2]);
            if (high < 16 && low < 16) {
                byte = (uint8_t)(high << 4 | low);
                i += 2;
            }
        }
        out[length++] = (char)byte;
    }
    return length;
}

const char *mote_h2_error_name(enum mote_h2_error error)
{
    switch (error) {
#define X(constant, number)                                                                                            \
    case constant:                                                                                                     \
        return &#constant[sizeof("MOTE_H2_") - 1];
        MOTE_H2_ERROR_MAP(X)
#undef X
    }
    return "UNKNOWN";
}

enum mote_status mote_status_from_h2_error(uint32_t error)
{
    switch ((enum mote_h2_error)error) {
    case MOTE_H2_NO_ERROR:
    case MOTE_H2_PROTOCOL_ERROR:
    case MOTE_H2_INTERNAL_ERROR:
    case MOTE_H2_FLOW_CONTROL_ERROR:
    case MOTE_H2_SETTINGS_TIMEOUT:
    case MOTE_H2_FRAME_SIZE_ERROR:
    case MOTE_H2_COMPRESSION_ERROR:
    case MOTE_H2_CONNECT_ERROR:
    case MOTE_H2_HTTP_1_1_REQUIRED:
        return MOTE_STATUS_INTERNAL;
    case MOTE_H2_REFUSED_STREAM:
        return MOTE_STATUS_UNAVAILABLE;
    case MOTE_H2_CANCEL:
        return MOTE_STATUS_CANCELLED;
    case MOTE_H2_ENHANCE_YOUR_CALM:
        return MOTE_STATUS_RESOURCE_EXHAUSTED;
    case MOTE_H2_INADEQUATE_SECURITY:
        return MOTE_STATUS_PERMISSION_DENIED;
    case MOTE_H2_STREAM_CLOSED: /* gRPC maps it to nothing */
        return MOTE_STATUS_UNKNOWN;
    }
    return MOTE_STATUS_UNKNOWN; /* RFC 9113 §7: unknown codes must not trigger special behaviour */
}

enum mote_status mote_status_from_http(unsigned http_status)
{
    switch (http_status) {
    case 400:
        return MOTE_STATUS_INTERNAL;
    case 401:
        return MOTE_STATUS_UNAUTHENTICATED;
    case 403:
        return MOTE_STATUS_PERMISSION_DENIED;
    case 404:
        return MOTE_STATUS_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return MOTE_STATUS_UNAVAILABLE;
    default:
        return MOTE_STATUS_UNKNOWN;
    }
}

enum mote_status mote_status_from_error(int error)
{
    if (error == 0) {
        return MOTE_STATUS_OK;
    }
    switch ((enum mote_error)error) {
    case MOTE_ENOMEM:
    case MOTE_ELIMIT:
    case MOTE_EFULL:
        return MOTE_STATUS_RESOURCE_EXHAUSTED;
    case MOTE_EAUTH:
    case MOTE_EEXPIRED:
    case MOTE_ENOTYET:
        return MOTE_STATUS_UNAUTHENTICATED;
    case MOTE_EAGAIN:
    case MOTE_EBUSY:
    case MOTE_ECONNECT:
    case MOTE_ECLOSED:
        return MOTE_STATUS_UNAVAILABLE;
    case MOTE_ETIMEOUT:
        return MOTE_STATUS_DEADLINE_EXCEEDED;
    case MOTE_ECANCELLED:
        return MOTE_STATUS_CANCELLED;
    case MOTE_EUNSUPPORTED:
        return MOTE_STATUS_UNIMPLEMENTED;
    case MOTE_EINVAL:
    case MOTE_EPROTO:
    case MOTE_EDECODE:
    case MOTE_EFIELD: /* a service that means INVALID_ARGUMENT says so itself */
    case MOTE_ENOTFOUND:
    case MOTE_EEXISTS:
    case MOTE_ECONFLICT:
    case MOTE_ERANDOM:
    case MOTE_EIO:
    case MOTE_ECORRUPT:
    case MOTE_EVERSION:
    case MOTE_EREADONLY:
    case MOTE_EACCESS:
    case MOTE_EINTERNAL:
        return MOTE_STATUS_INTERNAL;
    }
    return MOTE_STATUS_UNKNOWN;
}
