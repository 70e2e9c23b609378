/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the bytes of a message and of the messages in it, by the field rules. It goes to the end even when a
 * value is over its bound, so that all such fields are named, and so that bytes which are no protobuf are told as that.
 *
 * What is no protobuf (MOTE_EDECODE): a truncated or over-long varint, a length beyond the end, field number 0, groups
 * and the two unused wire types, a known field in another wire type than its own, a packed array that does not end with
 * an element, more than MOTE_CODEC_DEPTH_MAX nested messages. Unknown fields are skipped.
 *
 * A message whose fields are all numbers and strings of its own is decoded on the way: nanopb would take five times as
 * long, because it looks each field up in a packed descriptor.
 *
 * Cost is linear in the bytes: a field's rule is the one behind the last, or found by bisection. Recursion and the
 * element counts take at most MOTE_CODEC_DEPTH_MAX + 1 frames of about 700 bytes.
 */
#include "codec/walk.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define TAG_WIRE_BITS    3u
#define NUMBER_MAX       536870911u /* 2^29 - 1, by the specification */
#define VARINT_BYTES_MAX 10u

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };

/* A message that is being walked, linked to the one it is in. */
struct level {
    const struct level *outer;
    const struct mote_message_type *type;
    const struct mote_field_rule *rule; /* of the field that is looked at */
    uint32_t index;                     /* of its element, where the field is repeated */
    size_t depth;                       /* 0: the message itself */
    bool counting;                      /* `counts` is in use */
    uint32_t counts[MOTE_CODEC_FIELDS_MAX];
};

struct walk {
    struct mote_codec_failure *failure;
    uint8_t *out; /* or NULL */
    bool violated;
};

static int walk_message(struct walk *walk, struct level *level, struct mote_slice in);

/* --- violations ------------------------------------------------------------------------------------------------ */

/* Appends the path of level->rule to `out`, cut off at the end of its room. Returns the length so far. */
static size_t write_path(const struct level *level, char *out, size_t length, bool with_index)
{
    if (level->outer != NULL) {
        length = write_path(level->outer, out, length, true);
        length += (size_t)snprintf(out + length, MOTE_CODEC_PATH_MAX - length, ".");
    }
    if (length < MOTE_CODEC_PATH_MAX) {
        length += (size_t)snprintf(out + length, MOTE_CODEC_PATH_MAX - length, "%s", level->rule->name);
    }
    if (with_index && (level->rule->flags & MOTE_FIELD_REPEATED) != 0 && length < MOTE_CODEC_PATH_MAX) {
        length += (size_t)snprintf(out + length, MOTE_CODEC_PATH_MAX - length, "[%u]", (unsigned)level->index);
    }
    return length < MOTE_CODEC_PATH_MAX ? length : MOTE_CODEC_PATH_MAX - 1;
}

/* `format` has one %u at most, for `bound`. */
__attribute__((cold, noinline)) static void add_violation(struct walk *walk, const struct level *level, bool with_index,
                                                          const char *text, uint32_t bound, const char *unit)
{
    walk->violated = true;
    if (walk->failure == NULL || walk->failure->count == MOTE_CODEC_VIOLATIONS_MAX) {
        return;
    }
    struct mote_codec_violation *violation = &walk->failure->violations[walk->failure->count++];
    (void)write_path(level, violation->field, 0, with_index);
    if (unit != NULL) {
        (void)snprintf(violation->text, sizeof(violation->text), "%s %u %s", text, (unsigned)bound, unit);
    } else {
        (void)snprintf(violation->text, sizeof(violation->text), "%s", text);
    }
}

/* --- primitives ------------------------------------------------------------------------------------------------ */

/* Reads a varint of up to 64 bits; NULL when it is truncated or too long. */
static const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t result = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX && at < end; i++) {
        uint8_t byte = *at++;
        if (i == VARINT_BYTES_MAX - 1 && byte > 1) {
            return NULL;
        }
        result |= (uint64_t)(byte & 0x7fu) << (7 * i);
        if (byte < 0x80) {
            *value = result;
            return at;
        }
    }
    return NULL;
}

/* Skips `count` bytes; NULL when there are fewer. */
static const uint8_t *skip(const uint8_t *at, const uint8_t *end, uint64_t count)
{
    return (uint64_t)(end - at) >= count ? at + count : NULL;
}

static const uint8_t *skip_varint(const uint8_t *at, const uint8_t *end)
{
    uint64_t ignored = 0;
    return read_varint(at, end, &ignored);
}

/* Reads a length and the bytes it stands before. */
static const uint8_t *read_bytes(const uint8_t *at, const uint8_t *end, struct mote_slice *bytes)
{
    uint64_t length = 0;
    if (at < end && *at < 0x80) {
        length = *at++;
    } else {
        at = read_varint(at, end, &length);
        if (at == NULL) {
            return NULL;
        }
    }
    const uint8_t *after = skip(at, end, length);
    if (after != NULL) {
        *bytes = mote_slice(at, (size_t)length);
    }
    return after;
}

/* Has its top bit set where a byte of `word` is over 0x7f, or, if none is, where one is NUL: that borrows into it. */
static uint64_t not_plain(const uint8_t *at)
{
    uint64_t word = 0;
    memcpy(&word, at, sizeof(word));
    return word | (word - UINT64_C(0x0101010101010101));
}

/* True for ASCII without NUL, as most strings are: they need no closer look. */
static bool is_plain(struct mote_slice text)
{
    uint64_t bad = 0;
    size_t at = 0;
    if (text.length >= sizeof(uint64_t)) {
        for (; at < text.length - sizeof(uint64_t); at += sizeof(uint64_t)) {
            bad |= not_plain(text.data + at);
        }
        bad |= not_plain(text.data + text.length - sizeof(uint64_t)); /* overlaps the one before */
    } else {
        for (; at < text.length; at++) {
            bad |= (uint64_t)text.data[at] | ((uint64_t)text.data[at] - 1);
        }
    }
    return (bad & UINT64_C(0x8080808080808080)) == 0;
}

/* --- fields ---------------------------------------------------------------------------------------------------- */

/* The rule of a field number, or NULL. */
static const struct mote_field_rule *find_rule(const struct mote_message_type *type, uint32_t number)
{
    size_t low = 0;
    size_t high = type->rule_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (type->rules[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    /* Behind the last is a row with a number that no field has. */
    return type->rules[low].number == number ? &type->rules[low] : NULL;
}

/* Counts `more` elements of a repeated field. level->index becomes the number of the first of them. */
static void count_elements(struct walk *walk, struct level *level, uint32_t more)
{
    if (!level->counting) {
        memset(level->counts, 0, level->type->rule_count * sizeof(level->counts[0]));
        level->counting = true;
    }
    const struct mote_field_rule *rule = level->rule;
    uint32_t *count = &level->counts[rule - level->type->rules];
    level->index = *count;
    /* A message is far smaller than 2^32 bytes, so this cannot wrap. Only the element that crosses the bound is told.
     */
    *count += more;
    if (*count > rule->max_count && level->index <= rule->max_count) {
        add_violation(walk, level, false, "must have at most", rule->max_count, "elements");
    }
}

static void check_length(struct walk *walk, const struct level *level, struct mote_slice value)
{
    if (value.length > level->rule->max_length) {
        add_violation(walk, level, true, "must be at most", level->rule->max_length, "bytes long");
    }
}

static void check_text(struct walk *walk, const struct level *level, struct mote_slice value)
{
    check_length(walk, level, value);
    if (is_plain(value)) {
        return;
    }
    if (memchr(value.data, 0, value.length) != NULL) {
        add_violation(walk, level, true, "must not contain a NUL character", 0, NULL);
    } else if (!mote_utf8_is_valid(value)) {
        add_violation(walk, level, true, "must be valid UTF-8", 0, NULL);
    }
}

/*
 * Names what nanopb would refuse as no protobuf: a number, an enum's among them, that is larger than its room, and a
 * bool of more than 32 bits, which no encoder writes. A negative enum is one of 64 bits. Signed numbers are cut.
 */
static void check_number(struct walk *walk, const struct level *level, uint64_t value)
{
    const struct mote_field_rule *rule = level->rule;
    const unsigned bits = rule->form == MOTE_FORM_BOOL ? 32 : rule->size * 8;
    if ((rule->form == MOTE_FORM_BOOL || rule->form == MOTE_FORM_UNSIGNED || rule->form == MOTE_FORM_ZIGZAG) &&
        bits - 1 < 63 && value >> bits != 0) {
        add_violation(walk, level, true, "is out of range", 0, NULL);
    }
}

/* --- values of a plain message --------------------------------------------------------------------------------- */

static uint8_t *place_of(const struct walk *walk, const struct mote_field_rule *rule)
{
    if (rule->presence == MOTE_PRESENCE_HAS) {
        *(bool *)(walk->out + rule->presence_offset) = true;
    }
    return walk->out + rule->offset;
}

/* As nanopb does it: what is too large for a signed number is cut. */
static void store_number(const struct walk *walk, const struct mote_field_rule *rule, uint64_t value)
{
    uint8_t *place = place_of(walk, rule);
    const uint16_t two = (uint16_t)value;
    const uint32_t four = (uint32_t)value;
    if (rule->form == MOTE_FORM_BOOL) {
        *(bool *)place = value != 0;
    } else if (rule->size == sizeof(four)) {
        memcpy(place, &four, sizeof(four));
    } else if (rule->size == sizeof(value)) {
        memcpy(place, &value, sizeof(value));
    } else if (rule->size == sizeof(two)) {
        memcpy(place, &two, sizeof(two));
    } else {
        *place = (uint8_t)value;
    }
}

static uint64_t read_fixed(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    while (size-- > 0) {
        value = value << 8 | at[size];
    }
    return value;
}

/* The last of many is the one that counts. */
static void store_text(const struct walk *walk, const struct mote_field_rule *rule, struct mote_slice value)
{
    if (value.length <= rule->max_length) {
        uint8_t *place = place_of(walk, rule);
        memcpy(place, value.data, value.length);
        place[value.length] = '\0';
    }
}

/* A packed array of scalars: counts its elements, then looks at them. */
static int walk_packed(struct walk *walk, struct level *level, struct mote_slice in)
{
    size_t count = 0;
    if (level->rule->wire_type == MOTE_WIRE_VARINT) {
        const uint8_t *at = in.data;
        const uint8_t *end = in.data + in.length;
        for (; at < end; count++) {
            at = skip_varint(at, end);
            if (at == NULL) {
                return MOTE_EDECODE;
            }
        }
    } else {
        size_t width = level->rule->wire_type == MOTE_WIRE_FIXED64 ? 8 : 4;
        if (in.length % width != 0) {
            return MOTE_EDECODE;
        }
        count = in.length / width;
    }
    count_elements(walk, level, (uint32_t)count);
    if (level->rule->wire_type == MOTE_WIRE_VARINT) {
        const uint8_t *at = in.data;
        for (; count > 0; count--, level->index++) {
            uint64_t value = 0;
            at = read_varint(at, in.data + in.length, &value);
            check_number(walk, level, value);
        }
    }
    return 0;
}

static int walk_nested(struct walk *walk, const struct level *outer, struct mote_slice in)
{
    if (outer->depth == MOTE_CODEC_DEPTH_MAX) {
        return MOTE_EDECODE;
    }
    struct level level;
    level.outer = outer;
    level.type = outer->rule->message;
    level.depth = outer->depth + 1;
    return walk_message(walk, &level, in);
}

/* A known field with a length in front: string, bytes, message or packed array. */
static int walk_value(struct walk *walk, struct level *level, struct mote_slice value)
{
    const struct mote_field_rule *rule = level->rule;
    bool repeated = (rule->flags & MOTE_FIELD_REPEATED) != 0;
    if (repeated && rule->wire_type >= MOTE_WIRE_STRING) {
        count_elements(walk, level, 1);
    }
    switch ((enum mote_wire_type)rule->wire_type) {
    case MOTE_WIRE_STRING:
        check_text(walk, level, value);
        if (walk->out != NULL) {
            store_text(walk, rule, value);
        }
        return 0;
    case MOTE_WIRE_BYTES:
        check_length(walk, level, value);
        return 0;
    case MOTE_WIRE_MESSAGE:
        return walk_nested(walk, level, value);
    case MOTE_WIRE_VARINT:
    case MOTE_WIRE_FIXED64:
    case MOTE_WIRE_FIXED32:
        return repeated ? walk_packed(walk, level, value) : MOTE_EDECODE;
    case MOTE_WIRE_ANY:
        return 0;
    }
    return 0;
}

/* Whether a value of this wire type without a length may stand for the field; counts it where it is repeated. */
static int walk_scalar(struct walk *walk, struct level *level, enum mote_wire_type wire_type)
{
    const struct mote_field_rule *rule = level->rule;
    if (rule == NULL || rule->wire_type == MOTE_WIRE_ANY) {
        return 0;
    }
    if (rule->wire_type != wire_type) {
        return MOTE_EDECODE;
    }
    if ((rule->flags & MOTE_FIELD_REPEATED) != 0) {
        count_elements(walk, level, 1);
    }
    return 0;
}

/* One field behind its tag; *at is moved behind it. */
static int walk_field(struct walk *walk, struct level *level, uint32_t wire, const uint8_t **at, const uint8_t *end)
{
    struct mote_slice value = {NULL, 0};
    uint64_t number = 0;
    int error = 0;
    switch (wire) {
    case WIRE_VARINT:
        error = walk_scalar(walk, level, MOTE_WIRE_VARINT);
        *at = read_varint(*at, end, &number);
        if (*at != NULL && level->rule != NULL && error == 0) {
            check_number(walk, level, number);
            if (walk->out != NULL) {
                store_number(walk, level->rule,
                             level->rule->form == MOTE_FORM_ZIGZAG ? number >> 1 ^ (0 - (number & 1)) : number);
            }
        }
        break;
    case WIRE_FIXED64:
    case WIRE_FIXED32:
        error = walk_scalar(walk, level, wire == WIRE_FIXED64 ? MOTE_WIRE_FIXED64 : MOTE_WIRE_FIXED32);
        number = wire == WIRE_FIXED64 ? 8 : 4;
        *at = skip(*at, end, number);
        if (*at != NULL && level->rule != NULL && error == 0 && walk->out != NULL) {
            store_number(walk, level->rule, read_fixed(*at - number, (size_t)number));
        }
        break;
    case WIRE_LENGTH:
        *at = read_bytes(*at, end, &value);
        if (*at != NULL && level->rule != NULL) {
            error = walk_value(walk, level, value);
        }
        break;
    default:
        return MOTE_EDECODE;
    }
    return *at == NULL ? MOTE_EDECODE : error;
}

/* Walks the message of level->type; the caller has set outer, type and depth. */
static int walk_message(struct walk *walk, struct level *level, struct mote_slice in)
{
    if (in.length == 0) {
        return 0; /* `data` may be NULL, on which one does no arithmetic */
    }
    const uint8_t *at = in.data;
    const uint8_t *end = in.data + in.length;
    const struct mote_field_rule *expected = level->type->rules; /* fields mostly come in order */
    level->counting = false;
    level->index = 0;
    while (at < end) {
        uint64_t tag = *at;
        if (tag < 0x80) {
            at++;
        } else {
            at = read_varint(at, end, &tag);
            if (at == NULL) {
                return MOTE_EDECODE;
            }
        }
        uint64_t number = tag >> TAG_WIRE_BITS;
        if (number == 0 || number > NUMBER_MAX) {
            return MOTE_EDECODE;
        }
        level->rule = expected->number == number ? expected : find_rule(level->type, (uint32_t)number);
        if (level->rule != NULL) {
            expected = level->rule + ((level->rule->flags & MOTE_FIELD_REPEATED) == 0);
        }
        int error = walk_field(walk, level, (uint32_t)(tag & 7u), &at, end);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

int mote_codec_walk(const struct mote_message_type *type, struct mote_slice in, void *out,
                    struct mote_codec_failure *failure)
{
    struct walk walk = {.failure = failure, .out = out};
    struct level level;
    level.outer = NULL;
    level.type = type;
    level.depth = 0;
    int error = walk_message(&walk, &level, in);
    if (error != 0) {
        return error;
    }
    return walk.violated ? MOTE_EFIELD : 0;
}
