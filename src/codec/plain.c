/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each function writes at `at`, not beyond `end`, and returns where it stopped, or NULL to give up. It never gives up
 * with an error of its own, so that there is one place, nanopb, which says what is wrong with a message.
 *
 * The length before a nested message or a packed array is known when that is written: a byte is left free for it, and
 * what needs more bytes moves its content. Recursion ends because a struct cannot contain itself.
 */
#include "codec/plain.h"

#include <endian.h>
#include <pb.h>
#include <string.h>

#define TAG_WIRE_BITS 3u
#define WIRE_LENGTH   2u

#define VARINT_BYTES_MAX 10

static uint8_t *put_fields(const struct mote_message_type *type, const uint8_t *message, uint8_t *at,
                           const uint8_t *end);

/* --- primitives ------------------------------------------------------------------------------------------------ */

static uint8_t *put_varint(uint64_t value, uint8_t *at, const uint8_t *end)
{
    if (end - at >= VARINT_BYTES_MAX) {
        for (; value >= 0x80; value >>= 7) {
            *at++ = (uint8_t)(value | 0x80);
        }
        *at++ = (uint8_t)value;
        return at;
    }
    while (at < end) {
        if (value < 0x80) {
            *at++ = (uint8_t)value;
            return at;
        }
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    return NULL;
}

static uint8_t *put_bytes(const void *data, size_t length, uint8_t *at, const uint8_t *end)
{
    at = put_varint(length, at, end);
    if (at == NULL || (size_t)(end - at) < length) {
        return NULL;
    }
    memcpy(at, data, length);
    return at + length;
}

static uint8_t *put_fixed(const uint8_t *value, size_t size, uint8_t *at, const uint8_t *end)
{
    if ((size_t)(end - at) < size) {
        return NULL;
    }
    if (size == sizeof(uint32_t)) {
        uint32_t word;
        memcpy(&word, value, sizeof(word));
        word = htole32(word);
        memcpy(at, &word, sizeof(word));
    } else {
        uint64_t word;
        memcpy(&word, value, sizeof(word));
        word = htole64(word);
        memcpy(at, &word, sizeof(word));
    }
    return at + size;
}

/* Writes the length of what was written from one byte behind `at` up to `after`. */
static uint8_t *put_length_before(uint8_t *at, uint8_t *after, const uint8_t *end)
{
    size_t length = (size_t)(after - at) - 1;
    if (length < 0x80) {
        *at = (uint8_t)length;
        return after;
    }
    size_t more = 0;
    for (size_t rest = length >> 7; rest != 0; rest >>= 7) {
        more++;
    }
    if ((size_t)(end - after) < more) {
        return NULL;
    }
    memmove(at + 1 + more, at + 1, length);
    (void)put_varint(length, at, end);
    return after + more;
}

/* --- values ---------------------------------------------------------------------------------------------------- */

/* Sign-extended where `is_signed`. nanopb's options allow integers of each of these sizes. */
static uint64_t read_number(const uint8_t *value, size_t size, bool is_signed)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (size) {
    case 1:
        return is_signed ? (uint64_t)(int8_t)*value : *value;
    case 2:
        memcpy(&two, value, sizeof(two));
        return is_signed ? (uint64_t)(int16_t)two : two;
    case 4:
        memcpy(&four, value, sizeof(four));
        return is_signed ? (uint64_t)(int32_t)four : four;
    default:
        memcpy(&eight, value, sizeof(eight));
        return eight;
    }
}

/* Of a number in two's complement. */
static uint64_t zigzag(uint64_t value)
{
    return value << 1 ^ (0 - (value >> 63));
}

static uint8_t *put_value(const struct mote_field_rule *rule, const uint8_t *value, uint8_t *at, const uint8_t *end)
{
    size_t length;
    switch ((enum mote_field_form)rule->form) {
    case MOTE_FORM_BOOL:
        return put_varint(*value != 0, at, end);
    case MOTE_FORM_UNSIGNED:
        return put_varint(read_number(value, rule->size, false), at, end);
    case MOTE_FORM_SIGNED:
        return put_varint(read_number(value, rule->size, true), at, end);
    case MOTE_FORM_ZIGZAG:
        return put_varint(zigzag(read_number(value, rule->size, true)), at, end);
    case MOTE_FORM_FIXED:
        return put_fixed(value, rule->size, at, end);
    case MOTE_FORM_STRING:
        length = strnlen((const char *)value, rule->size);
        return length < rule->size ? put_bytes(value, length, at, end) : NULL;
    case MOTE_FORM_BYTES:
        length = ((const pb_bytes_array_t *)(const void *)value)->size;
        return length <= rule->max_length ? put_bytes(value + offsetof(pb_bytes_array_t, bytes), length, at, end)
                                          : NULL;
    case MOTE_FORM_ALL_BYTES:
        return put_bytes(value, rule->size, at, end);
    case MOTE_FORM_MESSAGE: {
        uint8_t *after = at < end ? put_fields(rule->message, value, at + 1, end) : NULL;
        return after != NULL ? put_length_before(at, after, end) : NULL;
    }
    case MOTE_FORM_OTHER:
        return NULL;
    }
    return NULL;
}

/* Whether a field without presence has its default. */
static bool is_zero(const struct mote_field_rule *rule, const uint8_t *value)
{
    switch ((enum mote_field_form)rule->form) {
    case MOTE_FORM_BOOL:
    case MOTE_FORM_STRING:
        return *value == 0;
    case MOTE_FORM_UNSIGNED:
    case MOTE_FORM_SIGNED:
    case MOTE_FORM_ZIGZAG:
    case MOTE_FORM_FIXED:
        return read_number(value, rule->size, false) == 0;
    case MOTE_FORM_BYTES:
        return ((const pb_bytes_array_t *)(const void *)value)->size == 0;
    case MOTE_FORM_ALL_BYTES:
    case MOTE_FORM_MESSAGE:
    case MOTE_FORM_OTHER:
        return false;
    }
    return false;
}

/* --- fields ---------------------------------------------------------------------------------------------------- */

static uint8_t *put_tag(const struct mote_field_rule *rule, unsigned wire, uint8_t *at, const uint8_t *end)
{
    return put_varint((uint64_t)rule->number << TAG_WIRE_BITS | wire, at, end);
}

static uint8_t *put_one(const struct mote_field_rule *rule, const uint8_t *value, uint8_t *at, const uint8_t *end)
{
    static const uint8_t wires[] = {
        [MOTE_WIRE_VARINT] = 0, [MOTE_WIRE_FIXED64] = 1, [MOTE_WIRE_FIXED32] = 5,       [MOTE_WIRE_STRING] = 2,
        [MOTE_WIRE_BYTES] = 2,  [MOTE_WIRE_MESSAGE] = 2, [MOTE_WIRE_ANY] = WIRE_LENGTH,
    };
    at = put_tag(rule, wires[rule->wire_type], at, end);
    return at != NULL ? put_value(rule, value, at, end) : NULL;
}

static uint8_t *put_packed(const struct mote_field_rule *rule, const uint8_t *value, size_t count, uint8_t *at,
                           const uint8_t *end)
{
    at = put_tag(rule, WIRE_LENGTH, at, end);
    if (at == NULL || at == end) {
        return NULL;
    }
    uint8_t *after = at + 1;
    for (size_t i = 0; i < count && after != NULL; i++) {
        after = put_value(rule, value + i * rule->size, after, end);
    }
    return after != NULL ? put_length_before(at, after, end) : NULL;
}

static uint8_t *put_many(const struct mote_field_rule *rule, const uint8_t *value, size_t count, uint8_t *at,
                         const uint8_t *end)
{
    if (count == 0) {
        return at;
    }
    if (count > rule->max_count) {
        return NULL;
    }
    if (rule->form <= MOTE_FORM_FIXED) {
        return put_packed(rule, value, count, at, end);
    }
    for (size_t i = 0; i < count && at != NULL; i++) {
        at = put_one(rule, value + i * rule->size, at, end);
    }
    return at;
}

static uint8_t *put_field(const struct mote_field_rule *rule, const uint8_t *message, uint8_t *at, const uint8_t *end)
{
    const uint8_t *value = message + rule->offset;
    const void *presence = message + rule->presence_offset;
    if ((rule->flags & MOTE_FIELD_CALLBACK) != 0) {
        return NULL;
    }
    switch ((enum mote_field_presence)rule->presence) {
    case MOTE_PRESENCE_NOT_ZERO:
        if (rule->form == MOTE_FORM_MESSAGE) {
            return NULL; /* all of its fields would have to be looked at */
        }
        return is_zero(rule, value) ? at : put_one(rule, value, at, end);
    case MOTE_PRESENCE_ALWAYS:
        return put_one(rule, value, at, end);
    case MOTE_PRESENCE_HAS:
        return *(const bool *)presence ? put_one(rule, value, at, end) : at;
    case MOTE_PRESENCE_WHICH:
        return *(const pb_size_t *)presence == rule->number ? put_one(rule, value, at, end) : at;
    case MOTE_PRESENCE_COUNT:
        return put_many(rule, value, *(const pb_size_t *)presence, at, end);
    case MOTE_PRESENCE_EVERY:
        return put_many(rule, value, rule->max_count, at, end);
    }
    return NULL;
}

static uint8_t *put_fields(const struct mote_message_type *type, const uint8_t *message, uint8_t *at,
                           const uint8_t *end)
{
    for (size_t i = 0; i < type->rule_count && at != NULL; i++) {
        at = put_field(&type->rules[i], message, at, end);
    }
    return at;
}

bool mote_plain_encode(const struct mote_message_type *type, const void *message, uint8_t *out, size_t capacity,
                       size_t *length)
{
    if (capacity == 0) {
        return false; /* `out` may be NULL, on which one does no arithmetic */
    }
    const uint8_t *after = put_fields(type, message, out, out + capacity);
    if (after == NULL) {
        return false;
    }
    *length = (size_t)(after - out);
    return true;
}
