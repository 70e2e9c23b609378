/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field numbers are those of opentelemetry-proto 1.11: trace.proto and common.proto. The length of the whole is not
 * known before its end: room for it is left in front. The lengths inside are those of bounded texts, and are counted.
 */
#include "telemetry/span.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"

#define HEAD              3u /* tag, and a length of at most two bytes */
#define FLAGS_HAVE_REMOTE 0x100u
#define FLAGS_REMOTE      0x200u
#define NAME_MAX          31u
#define TAIL              (12u + NAME_MAX) /* kept free: how many events and attributes were left out, and copies' ends */
#define STATUS_ERROR      2u
#define ROOM              (MOTE_SPAN_ENCODED_MAX - HEAD - TAIL)

#define LENGTH_TAG(number)  ((number) << 3 | 2u)
#define VARINT_TAG(number)  ((number) << 3)
#define FIXED64_TAG(number) ((number) << 3 | 1u)

/* Names are copied with what lies behind them, in one piece of a size that the compiler knows. */
static const struct {
    uint8_t length;
    char name[NAME_MAX];
} keys[MOTE_SPAN_ATTRIBUTE_COUNT] = {
#define X(constant, name_, spans, says) [MOTE_SPAN_##constant] = {sizeof(name_) - 1, name_},
    MOTE_SPAN_ATTRIBUTE_MAP(X)
#undef X
};

static const struct mote_slice event_names[] = {
#define X(constant, name, when) [MOTE_SPAN_EVENT_##constant] = MOTE_SLICE_LITERAL(name),
    MOTE_SPAN_EVENT_MAP(X)
#undef X
};

/* --- bytes ------------------------------------------------------------------------------------------------------- */

static inline bool has_room(const struct mote_span_writer *writer, size_t size)
{
    return size <= (size_t)(writer->bytes + HEAD + ROOM - writer->at);
}

/* Numbers are small as a rule. */
static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline size_t varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

static inline uint8_t *put_head(uint8_t *at, unsigned number, size_t length)
{
    *at++ = (uint8_t)LENGTH_TAG(number);
    return put_varint(at, length);
}

static inline uint8_t *put_bytes(uint8_t *at, unsigned number, const void *bytes, size_t length)
{
    at = put_head(at, number, length);
    memcpy(at, bytes, length);
    return at + length;
}

static inline uint8_t *put_fixed64(uint8_t *at, unsigned number, uint64_t value)
{
    *at++ = (uint8_t)FIXED64_TAG(number);
    for (int i = 0; i < 8; i++) {
        *at++ = (uint8_t)(value >> 8 * i);
    }
    return at;
}

static inline size_t field_size(size_t length)
{
    return 1 + varint_size(length) + length;
}

static struct mote_slice cut(struct mote_slice text, size_t most)
{
    if (text.length > most) {
        text.length = most;
        while (text.length != 0 && (text.data[text.length - 1] & 0x80) != 0) { /* no half of a character */
            text.length--;
        }
    }
    return text;
}

/* --- attributes -------------------------------------------------------------------------------------------------- */

static inline uint8_t *put_key(uint8_t *at, enum mote_span_attribute_id id)
{
    at = put_head(at, 1, keys[id].length);
    memcpy(at, keys[id].name, NAME_MAX);
    return at + keys[id].length;
}

static inline size_t text_size(size_t key, struct mote_slice text)
{
    return field_size(key) + field_size(field_size(text.length));
}

static inline uint8_t *put_text_value(uint8_t *at, struct mote_slice text)
{
    at = put_head(at, 2, field_size(text.length));
    return put_bytes(at, 1, text.data, text.length);
}

static inline uint8_t *put_text(uint8_t *at, unsigned number, enum mote_span_attribute_id id, struct mote_slice text)
{
    at = put_head(at, number, text_size(keys[id].length, text));
    return put_text_value(put_key(at, id), text);
}

static inline size_t number_size(enum mote_span_attribute_id id, uint64_t value)
{
    return field_size(keys[id].length) + 2 + 1 + varint_size(value);
}

static inline uint8_t *put_number(uint8_t *at, unsigned number, enum mote_span_attribute_id id, uint64_t value)
{
    at = put_head(at, number, number_size(id, value));
    at = put_key(at, id);
    at = put_head(at, 2, 1 + varint_size(value));
    *at++ = VARINT_TAG(3u);
    return put_varint(at, value);
}

/* Whether one of that size may stand in it. */
static inline bool takes_attribute(struct mote_span_writer *writer, size_t size)
{
    if (writer->left.attributes_max == 0 || !has_room(writer, field_size(size))) {
        writer->attributes_dropped++;
        return false;
    }
    writer->left.attributes_max--;
    return true;
}

static inline void put_attribute(struct mote_span_writer *writer, enum mote_span_attribute_id id,
                                 struct mote_slice text)
{
    if (takes_attribute(writer, text_size(keys[id].length, text))) {
        writer->at = put_text(writer->at, 9, id, text);
    }
}

void mote_span_put_known(struct mote_span_writer *writer, enum mote_span_attribute_id id, struct mote_slice text)
{
    put_attribute(writer, id, cut(text, writer->left.text_max));
}

void mote_span_put_text(struct mote_span_writer *writer, enum mote_span_attribute_id id, struct mote_slice text)
{
    text = cut(text, writer->left.text_max);
    if (mote_utf8_is_valid(text)) {
        put_attribute(writer, id, text);
    }
}

void mote_span_put_named(struct mote_span_writer *writer, struct mote_slice name, struct mote_slice text)
{
    name = cut(name, MOTE_SPAN_TEXT_MAX);
    text = cut(text, writer->left.text_max);
    if (takes_attribute(writer, text_size(name.length, text))) {
        uint8_t *at = put_head(writer->at, 9, text_size(name.length, text));
        writer->at = put_text_value(put_bytes(at, 1, name.data, name.length), text);
    }
}

void mote_span_put_number(struct mote_span_writer *writer, enum mote_span_attribute_id id, uint64_t number)
{
    if (takes_attribute(writer, number_size(id, number))) {
        writer->at = put_number(writer->at, 9, id, number);
    }
}

bool mote_span_put_copy(struct mote_span_writer *writer, struct mote_slice attributes, uint32_t count)
{
    if (writer->left.attributes_max < count || !has_room(writer, attributes.length)) {
        return false;
    }
    memcpy(writer->at, attributes.data, attributes.length);
    writer->at += attributes.length;
    writer->left.attributes_max -= count;
    return true;
}

/* --- events ------------------------------------------------------------------------------------------------------ */

/* `more` bytes of attributes are to follow. */
static bool put_event(struct mote_span_writer *writer, enum mote_span_event_id id, uint64_t time_ns, size_t more)
{
    const struct mote_slice name = event_names[id];
    const size_t size = 9 + field_size(name.length) + more;
    if (!has_room(writer, field_size(size))) {
        return false;
    }
    writer->at = put_head(writer->at, 11, size);
    writer->at = put_fixed64(writer->at, 1, time_ns);
    writer->at = put_bytes(writer->at, 2, name.data, name.length);
    return true;
}

void mote_span_put_event(struct mote_span_writer *writer, enum mote_span_event_id id, uint64_t time_ns)
{
    (void)put_event(writer, id, time_ns, 0);
}

void mote_span_put_messages(struct mote_span_writer *writer, const struct mote_span_messages *messages,
                            uint64_t offset_ns, uint64_t end_ns)
{
    static const struct mote_slice types[] = {MOTE_SLICE_LITERAL("RECEIVED"), MOTE_SLICE_LITERAL("SENT")};
    uint64_t ids[2] = {0, 0};
    uint32_t told = 0;
    const uint32_t most = messages->seen < writer->left.messages_max ? messages->seen : writer->left.messages_max;
    while (told < most) {
        const struct mote_slice type = types[messages->first[told].is_sent];
        const uint64_t id = ++ids[messages->first[told].is_sent];
        const uint64_t size = messages->first[told].size;
        const uint64_t time_ns = messages->first[told].time_ns != 0 ? messages->first[told].time_ns : end_ns;
        const size_t more = field_size(text_size(keys[MOTE_SPAN_MESSAGE_TYPE].length, type)) +
                            field_size(number_size(MOTE_SPAN_MESSAGE_ID, id)) +
                            field_size(number_size(MOTE_SPAN_MESSAGE_SIZE, size));
        if (!put_event(writer, MOTE_SPAN_EVENT_MESSAGE, time_ns + offset_ns, more)) {
            break;
        }
        writer->at = put_text(writer->at, 3, MOTE_SPAN_MESSAGE_TYPE, type);
        writer->at = put_number(writer->at, 3, MOTE_SPAN_MESSAGE_ID, id);
        writer->at = put_number(writer->at, 3, MOTE_SPAN_MESSAGE_SIZE, size);
        told++;
    }
    if (told != messages->seen) { /* once a span, in the room that is kept */
        *writer->at++ = VARINT_TAG(12u);
        writer->at = put_varint(writer->at, messages->seen - told);
    }
}

/* --- the span ---------------------------------------------------------------------------------------------------- */

void mote_span_put_link(struct mote_span_writer *writer, const struct mote_trace_context *other)
{
    const size_t size = field_size(MOTE_TRACE_ID_LENGTH) + field_size(MOTE_SPAN_ID_LENGTH);
    if (has_room(writer, field_size(size))) {
        writer->at = put_head(writer->at, 13, size);
        writer->at = put_bytes(writer->at, 1, other->trace_id, sizeof other->trace_id);
        writer->at = put_bytes(writer->at, 2, other->span_id, sizeof other->span_id);
    }
}

void mote_span_put_error(struct mote_span_writer *writer, struct mote_slice description)
{
    description = cut(description, writer->left.text_max);
    if (description.length == 0 || !mote_utf8_is_valid(description)) {
        description.length = 0;
    }
    const size_t size = 2 + (description.length != 0 ? field_size(description.length) : 0);
    if (has_room(writer, field_size(size))) {
        writer->at = put_head(writer->at, 15, size);
        if (description.length != 0) {
            writer->at = put_bytes(writer->at, 2, description.data, description.length);
        }
        *writer->at++ = VARINT_TAG(3u);
        *writer->at++ = STATUS_ERROR;
    }
}

/* Span.flags is field 16: its tag takes two bytes. */
static uint8_t *put_flags(uint8_t *at, uint32_t flags)
{
    at = put_varint(at, 16u << 3 | 5u);
    for (int i = 0; i < 4; i++) {
        *at++ = (uint8_t)(flags >> 8 * i);
    }
    return at;
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void mote_span_begin(struct mote_span_writer *writer, const struct mote_span *span,
                     const struct mote_span_limits *limits)
{
    const struct mote_slice name = cut(span->name, MOTE_SPAN_TEXT_MAX);
    writer->left.text_max = lesser(limits->text_max, MOTE_SPAN_TEXT_MAX);
    writer->left.attributes_max = limits->attributes_max;
    writer->left.messages_max = lesser(limits->messages_max, MOTE_SPAN_MESSAGES_MAX);
    writer->attributes_dropped = 0;
    uint8_t *at = writer->bytes + HEAD;
    mote_assert(span->trace_state.length <= MOTE_TRACE_STATE_MAX);
    at = put_bytes(at, 1, span->context.trace_id, MOTE_TRACE_ID_LENGTH);
    at = put_bytes(at, 2, span->context.span_id, MOTE_SPAN_ID_LENGTH);
    if (span->trace_state.length != 0) {
        at = put_bytes(at, 3, span->trace_state.data, span->trace_state.length);
    }
    if (span->has_parent) {
        at = put_bytes(at, 4, span->parent_id, MOTE_SPAN_ID_LENGTH);
    }
    at = put_bytes(at, 5, name.data, name.length);
    *at++ = VARINT_TAG(6u);
    *at++ = (uint8_t)span->kind;
    at = put_fixed64(at, 7, span->start_ns);
    at = put_fixed64(at, 8, span->end_ns);
    writer->at = put_flags(at, span->context.flags | FLAGS_HAVE_REMOTE | (span->parent_is_remote ? FLAGS_REMOTE : 0));
}

struct mote_slice mote_span_end(struct mote_span_writer *writer)
{
    if (writer->attributes_dropped != 0) {
        *writer->at++ = VARINT_TAG(10u);
        writer->at = put_varint(writer->at, writer->attributes_dropped);
        writer->attributes_dropped = 0;
    }
    const size_t size = (size_t)(writer->at - writer->bytes) - HEAD;
    uint8_t *begin = writer->bytes + HEAD - 1 - varint_size(size);
    mote_assert(size <= MOTE_SPAN_ENCODED_MAX - HEAD && varint_size(size) <= HEAD - 1);
    (void)put_head(begin, 2, size);
    return mote_slice(begin, (size_t)(writer->at - begin));
}
