/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three small messages of strings, nested four deep: they are written by hand, straight from the texts, because their
 * sizes must be known and bounded before they are written. A size function stands beside each writing one.
 *
 * Strings that are no valid UTF-8 would make the whole Status undecodable; they are left out.
 */
#include "rpc/details.h"

#include <string.h>

#include "base/slice.h"
#include "base/text.h"
#include "codec/protobuf.h"

#define TYPE_PREFIX "type.googleapis.com/google.rpc."

static struct mote_slice text_of(const char *text)
{
    const struct mote_slice slice = mote_slice_text(text);
    return mote_utf8_is_valid(slice) ? slice : mote_slice("", 0);
}

static size_t any_size(struct mote_slice type, size_t value_length)
{
    return mote_protobuf_field_size(type.length) + mote_protobuf_field_size(value_length);
}

/* Status.details = 3: Any {type_url = 1, value = 2}; the value's bytes are to follow. False when there is no room. */
static bool begin_any(struct mote_protobuf *writer, struct mote_slice type, size_t value_length)
{
    const size_t size = any_size(type, value_length);
    if (mote_protobuf_field_size(size) > writer->room) {
        return false;
    }
    mote_protobuf_put_length(writer, 3, size);
    mote_protobuf_put_bytes(writer, 1, type);
    mote_protobuf_put_length(writer, 2, value_length);
    return true;
}

/* ErrorInfo {reason = 1, domain = 2} */
static bool put_error_info(struct mote_protobuf *writer, struct mote_slice reason, struct mote_slice domain)
{
    static const struct mote_slice type = MOTE_SLICE_LITERAL(TYPE_PREFIX "ErrorInfo");
    if (!begin_any(writer, type, mote_protobuf_field_size(reason.length) + mote_protobuf_field_size(domain.length))) {
        return false;
    }
    mote_protobuf_put_bytes(writer, 1, reason);
    mote_protobuf_put_bytes(writer, 2, domain);
    return true;
}

/* RetryInfo {retry_delay = 1: Duration {seconds = 1, nanos = 2}} */
static bool put_retry_info(struct mote_protobuf *writer, uint64_t retry_after_ms)
{
    static const struct mote_slice type = MOTE_SLICE_LITERAL(TYPE_PREFIX "RetryInfo");
    const uint64_t seconds = retry_after_ms / 1000;
    const uint64_t nanos = retry_after_ms % 1000 * 1000000;
    const size_t duration = (seconds != 0 ? 1 + mote_protobuf_varint_size(seconds) : 0) +
                            (nanos != 0 ? 1 + mote_protobuf_varint_size(nanos) : 0);
    if (!begin_any(writer, type, mote_protobuf_field_size(duration))) {
        return false;
    }
    mote_protobuf_put_length(writer, 1, duration);
    if (seconds != 0) {
        mote_protobuf_put_number(writer, 1, seconds);
    }
    if (nanos != 0) {
        mote_protobuf_put_number(writer, 2, nanos);
    }
    return true;
}

static void put_details(struct mote_protobuf *writer, const struct mote_failure *failure)
{
    for (size_t i = 0; i < failure->detail_count; i++) {
        const struct mote_detail *detail = &failure->details[i];
        const size_t size = any_size(detail->type_url, detail->value.length);
        if (mote_protobuf_field_size(size) <= writer->room) {
            mote_protobuf_put_length(writer, 3, size);
            mote_protobuf_put_bytes(writer, 1, detail->type_url);
            mote_protobuf_put_bytes(writer, 2, detail->value);
        }
    }
}

static size_t violation_size(const struct mote_violation *violation)
{
    return mote_protobuf_field_size(text_of(violation->field).length) +
           mote_protobuf_field_size(text_of(violation->text).length);
}

/* BadRequest {field_violations = 1: {field = 1, description = 2}} */
static void put_bad_request(struct mote_protobuf *writer, const struct mote_failure *failure)
{
    static const struct mote_slice type = MOTE_SLICE_LITERAL(TYPE_PREFIX "BadRequest");
    size_t value = 0;
    size_t count = 0;
    while (count < failure->violation_count) {
        const size_t more = value + mote_protobuf_field_size(violation_size(&failure->violations[count]));
        if (mote_protobuf_field_size(any_size(type, more)) > writer->room) {
            break;
        }
        value = more;
        count++;
    }
    if (count == 0 || !begin_any(writer, type, value)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        mote_protobuf_put_length(writer, 1, violation_size(&failure->violations[i]));
        mote_protobuf_put_bytes(writer, 1, text_of(failure->violations[i].field));
        mote_protobuf_put_bytes(writer, 2, text_of(failure->violations[i].text));
    }
}

int mote_details_encode(uint8_t *out, size_t capacity, size_t *length, const struct mote_failure *failure,
                        const char *domain)
{
    struct mote_protobuf writer = {.at = out, .room = capacity};
    const struct mote_slice message = text_of(failure->message);
    const uint64_t code = (uint64_t)failure->status;
    if (1 + mote_protobuf_varint_size(code) + mote_protobuf_field_size(message.length) > capacity) {
        return MOTE_ELIMIT;
    }
    mote_protobuf_put_number(&writer, 1, code);
    mote_protobuf_put_bytes(&writer, 2, message);
    if (failure->reason != NULL && !put_error_info(&writer, text_of(failure->reason), text_of(domain))) {
        return MOTE_ELIMIT;
    }
    if (failure->retry_after_ms != 0 && !put_retry_info(&writer, failure->retry_after_ms)) {
        return MOTE_ELIMIT;
    }
    put_details(&writer, failure);
    if (failure->violation_count != 0) {
        put_bad_request(&writer, failure);
    }
    *length = (size_t)(writer.at - out);
    return 0;
}
