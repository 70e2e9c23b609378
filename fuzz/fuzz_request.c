/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a request message of the user and auth services (codec/codec.h, with the tables that protoc-gen-mote
 * makes of proto/). Input: a byte that picks the method whose request it is, then the message.
 *
 * Invariants
 *  1. The answer (taken, fields at fault, no protobuf), the fields that are named and what is said of each are those of
 *     a slow reader, which shares the tables with the library and no code. Where a message comes in parts, which
 *     protobuf merges, it may be at fault as a whole.
 *  2. What the struct held before makes no difference. After a refusal it is all zero.
 *  3. In a message that was taken counts are within their bounds; strings end inside their room, are UTF-8, and as long
 *     as they were on the wire; a oneof is one of its members or none.
 *  4. What was taken can be encoded; decoded again and encoded again it gives the same bytes.
 *  5. There is a row for each method of the services.
 */
#include "fuzz.h"

#include <stdarg.h>

#include "auth/v1/auth.mote.h"
#include "base/buffer.h"
#include "user/v1/user.mote.h"

#define STRUCT_MAX  16384u
#define ENCODED_MAX 65536u

#define USER_METHOD(name) &user_v1_UserService_##name##_method
#define AUTH_METHOD(name) &auth_v1_AuthService_##name##_method
static const struct mote_method *const methods[] = {
    USER_METHOD(CreateUser),    USER_METHOD(GetUser),        USER_METHOD(UpdateUser),  USER_METHOD(DeleteUser),
    USER_METHOD(ListUsers),     USER_METHOD(DisableUser),    USER_METHOD(EnableUser),  USER_METHOD(WatchUsers),
    USER_METHOD(ImportUsers),   USER_METHOD(HealthCheck),    AUTH_METHOD(Login),       AUTH_METHOD(RefreshToken),
    AUTH_METHOD(ValidateToken), AUTH_METHOD(Logout),         AUTH_METHOD(RevokeToken), AUTH_METHOD(ListSessions),
    AUTH_METHOD(RevokeSession), AUTH_METHOD(ChangePassword), AUTH_METHOD(SetPassword),
};
#define METHODS (sizeof(methods) / sizeof(methods[0]))

/* --- the slow reader ------------------------------------------------------------------------------------------- */

struct reading {
    bool violated;
    bool in_parts; /* a message that is not repeated is there more than once */
    struct mote_codec_failure named;
};

/* RFC 3629 §4, by its table. */
static bool is_utf8(struct mote_slice text)
{
    size_t i = 0;
    while (i < text.length) {
        const uint8_t first = text.data[i++];
        if (first < 0x80) {
            continue;
        }
        const size_t more = first >= 0xc2 && first <= 0xdf ? 1 : (first & 0xf0) == 0xe0 ? 2 : first >= 0xf0 ? 3 : 0;
        if (more == 0 || first > 0xf4 || text.length - i < more) {
            return false;
        }
        const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        for (size_t j = 0; j < more; j++) {
            const uint8_t byte = text.data[i++];
            if (byte < (j == 0 ? low : 0x80) || byte > (j == 0 ? high : 0xbf)) {
                return false;
            }
        }
    }
    return true;
}

/* At most 64 bits in at most ten bytes. */
static bool read_number(struct mote_slice *in, uint64_t *value)
{
    *value = 0;
    for (unsigned bit = 0; bit < 70 && in->length > 0; bit += 7) {
        const uint8_t byte = fuzz_take_byte(in);
        if (bit == 63 && byte > 1) {
            return false;
        }
        *value += (uint64_t)(byte % 128) << bit;
        if (byte < 128) {
            return true;
        }
    }
    return false;
}

/* Cut off at its end, as the library does it. */
__attribute__((format(printf, 2, 3))) static void write_path(char path[MOTE_CODEC_PATH_MAX], const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(path, MOTE_CODEC_PATH_MAX, format, values);
    va_end(values);
}

static void name(struct reading *reading, const char *path, const char *format, unsigned bound)
{
    reading->violated = true;
    if (reading->named.count < MOTE_CODEC_VIOLATIONS_MAX) {
        struct mote_codec_violation *violation = &reading->named.violations[reading->named.count++];
        (void)snprintf(violation->field, sizeof(violation->field), "%s", path);
        (void)snprintf(violation->text, sizeof(violation->text), format, bound);
    }
}

static bool read_message(struct reading *reading, const struct mote_message_type *type, const char *path,
                         struct mote_slice in);

static bool read_length_field(struct reading *reading, const struct mote_field_rule *rule, const char *path,
                              struct mote_slice value)
{
    if (rule->wire_type == MOTE_WIRE_MESSAGE) {
        return read_message(reading, rule->message, path, value);
    }
    if (value.length > rule->max_length) {
        name(reading, path, "must be at most %u bytes long", rule->max_length);
    }
    if (rule->wire_type == MOTE_WIRE_STRING && value.length != 0 && memchr(value.data, 0, value.length) != NULL) {
        name(reading, path, "must not contain a NUL character", 0);
    } else if (rule->wire_type == MOTE_WIRE_STRING && !is_utf8(value)) {
        name(reading, path, "must be valid UTF-8", 0);
    }
    return true;
}

/* How many elements `value` holds for the field: false when it cannot stand there. */
static bool count_elements(const struct mote_field_rule *rule, unsigned wire, struct mote_slice value, size_t *count)
{
    static const unsigned own[] = {[MOTE_WIRE_VARINT] = 0, [MOTE_WIRE_FIXED64] = 1, [MOTE_WIRE_FIXED32] = 5,
                                   [MOTE_WIRE_STRING] = 2, [MOTE_WIRE_BYTES] = 2,   [MOTE_WIRE_MESSAGE] = 2};
    uint64_t number = 0;
    *count = 1;
    if (wire == 2 && own[rule->wire_type] != 2) {
        const size_t width = rule->wire_type == MOTE_WIRE_FIXED64 ? 8 : 4;
        *count = value.length / width;
        if (rule->wire_type != MOTE_WIRE_VARINT) {
            return (rule->flags & MOTE_FIELD_REPEATED) != 0 && value.length % width == 0;
        }
        for (*count = 0; value.length > 0; ++*count) {
            if (!read_number(&value, &number)) {
                return false;
            }
        }
        return (rule->flags & MOTE_FIELD_REPEATED) != 0;
    }
    return wire == own[rule->wire_type];
}

/* The value behind a tag, without its length. */
static bool read_value(struct mote_slice *in, unsigned wire, struct mote_slice *value)
{
    const struct mote_slice before = *in;
    uint64_t length = wire == 1 ? 8 : 4;
    if (wire == 0) {
        const bool good = read_number(in, &length);
        *value = mote_slice(before.data, before.length - in->length);
        return good;
    }
    if ((wire != 1 && wire != 2 && wire != 5) || (wire == 2 && !read_number(in, &length)) || length > in->length) {
        return false;
    }
    *value = fuzz_take(in, (size_t)length);
    return true;
}

/* Bools and enums have 32 bits. `value` holds one number after the other; the first one's path ends with `index`. */
static void read_numbers(struct reading *reading, const struct mote_field_rule *rule, const char *outer, size_t index,
                         struct mote_slice value)
{
    const bool narrow = rule->form == MOTE_FORM_BOOL || rule->form == MOTE_FORM_UNSIGNED;
    uint64_t number = 0;
    for (; narrow && value.length > 0 && read_number(&value, &number); index++) {
        char path[MOTE_CODEC_PATH_MAX];
        const bool repeated = (rule->flags & MOTE_FIELD_REPEATED) != 0;
        write_path(path, repeated ? "%s%s[%zu]" : "%s%s", outer, rule->name, index);
        if (number > UINT32_MAX) {
            name(reading, path, "is out of range", 0);
        }
    }
}

/* One field with its value; *seen is how many there were before. */
static bool read_field(struct reading *reading, const struct mote_field_rule *rule, const char *outer, unsigned wire,
                       struct mote_slice value, size_t *seen)
{
    char path[MOTE_CODEC_PATH_MAX];
    size_t count = 0;
    write_path(path, "%s%s", outer, rule->name);
    if (!count_elements(rule, wire, value, &count)) {
        return false;
    }
    const size_t index = *seen;
    *seen += count;
    if ((rule->flags & MOTE_FIELD_REPEATED) == 0) {
        reading->in_parts = reading->in_parts || (rule->wire_type == MOTE_WIRE_MESSAGE && index > 0);
    } else {
        if (index <= rule->max_count && *seen > rule->max_count) {
            name(reading, path, "must have at most %u elements", rule->max_count);
        }
        write_path(path, "%s%s[%zu]", outer, rule->name, index);
    }
    if (rule->wire_type < MOTE_WIRE_STRING) {
        read_numbers(reading, rule, outer, index, value);
        return true;
    }
    return read_length_field(reading, rule, path, value);
}

static bool read_message(struct reading *reading, const struct mote_message_type *type, const char *path,
                         struct mote_slice in)
{
    size_t seen[MOTE_CODEC_FIELDS_MAX] = {0};
    char outer[MOTE_CODEC_PATH_MAX];
    write_path(outer, "%s%s", path, *path != '\0' ? "." : "");
    while (in.length > 0) {
        uint64_t tag = 0;
        struct mote_slice value;
        if (!read_number(&in, &tag) || tag / 8 == 0 || tag / 8 > 536870911 || !read_value(&in, tag % 8, &value)) {
            return false;
        }
        for (size_t i = 0; i < type->rule_count; i++) {
            if (type->rules[i].number == tag / 8 &&
                !read_field(reading, &type->rules[i], outer, tag % 8, value, &seen[i])) {
                return false;
            }
        }
    }
    return true;
}

/* --- what was decoded ------------------------------------------------------------------------------------------ */

/* The last value of a string field of the outermost message; absent when there is none. */
static struct mote_slice last_on_wire(struct mote_slice in, uint32_t number)
{
    struct mote_slice last = {NULL, 0};
    while (in.length > 0) {
        uint64_t tag = 0;
        struct mote_slice value;
        fuzz_require(read_number(&in, &tag) && read_value(&in, tag % 8, &value));
        last = tag / 8 == number ? value : last;
    }
    return last;
}

static void check_string(const uint8_t *text, size_t size)
{
    const size_t length = strnlen((const char *)text, size);
    fuzz_require(length < size);
    fuzz_require(is_utf8(mote_slice(text, length)));
}

static void check_struct(const struct mote_message_type *type, const uint8_t *message)
{
    for (size_t i = 0; i < type->rule_count; i++) {
        const struct mote_field_rule *rule = &type->rules[i];
        uint16_t number = 0; /* of elements, or of the oneof's member */
        size_t elements = 1;
        if (rule->presence == MOTE_PRESENCE_COUNT || rule->presence == MOTE_PRESENCE_WHICH) {
            memcpy(&number, message + rule->presence_offset, sizeof(number));
        }
        if (rule->presence == MOTE_PRESENCE_COUNT) {
            fuzz_require(number <= rule->max_count);
            elements = number;
        } else if (rule->presence == MOTE_PRESENCE_WHICH) {
            bool member = number == 0;
            for (size_t j = 0; j < type->rule_count; j++) {
                member = member || (type->rules[j].number == number && type->rules[j].presence == MOTE_PRESENCE_WHICH);
            }
            fuzz_require(member);
            elements = number == rule->number;
        } else if (rule->presence == MOTE_PRESENCE_HAS) {
            fuzz_require(message[rule->presence_offset] <= 1);
            elements = message[rule->presence_offset];
        }
        for (size_t j = 0; j < elements; j++) {
            const uint8_t *value = message + rule->offset + j * rule->size;
            if (rule->form == MOTE_FORM_STRING) {
                check_string(value, rule->size);
            } else if (rule->form == MOTE_FORM_BOOL) {
                fuzz_require(*value <= 1);
            } else if (rule->form == MOTE_FORM_MESSAGE) {
                check_struct(rule->message, value);
            }
        }
    }
}

/* Strings have the length that they had on the wire. */
static void check_lengths(const struct mote_message_type *type, const uint8_t *message, struct mote_slice in)
{
    for (size_t i = 0; i < type->rule_count; i++) {
        const struct mote_field_rule *rule = &type->rules[i];
        if (rule->form == MOTE_FORM_STRING && rule->presence == MOTE_PRESENCE_NOT_ZERO) {
            const struct mote_slice value = last_on_wire(in, rule->number);
            fuzz_require(strlen((const char *)message + rule->offset) == value.length);
            fuzz_require(value.length == 0 || memcmp(message + rule->offset, value.data, value.length) == 0);
        }
    }
}

static void check_encoding(const struct mote_message_type *type, const uint8_t *message)
{
    static uint8_t first[ENCODED_MAX], second[ENCODED_MAX];
    static _Alignas(16) uint8_t again[STRUCT_MAX];
    size_t first_length = 0;
    size_t second_length = 0;
    fuzz_require(mote_codec_encode_into(type, message, first, sizeof(first), &first_length) == 0);
    fuzz_require(mote_codec_decode(type, mote_slice(first, first_length), again, NULL) == 0);
    fuzz_require(mote_codec_encode_into(type, again, second, sizeof(second), &second_length) == 0);
    fuzz_require(first_length == second_length && memcmp(first, second, first_length) == 0);
}

/* --- the target ------------------------------------------------------------------------------------------------ */

/* The methods that a file for reflection declares. */
static size_t declared(const struct mote_proto_file *file, const char *service)
{
    size_t count = 0;
    for (size_t i = 0; i < file->symbol_count; i++) {
        count += strncmp(file->symbols[i], service, strlen(service)) == 0;
    }
    return count;
}

static void check_failure(const struct mote_codec_failure *failure, const struct mote_codec_failure *expected)
{
    fuzz_require(failure->count == expected->count);
    for (size_t i = 0; i < failure->count; i++) {
        fuzz_require(strcmp(failure->violations[i].field, expected->violations[i].field) == 0);
        fuzz_require(strcmp(failure->violations[i].text, expected->violations[i].text) == 0);
    }
}

static void check_message(const struct mote_message_type *type, struct mote_slice in)
{
    static _Alignas(16) uint8_t message[STRUCT_MAX], dirty[STRUCT_MAX];
    struct mote_codec_failure failure = {.count = 99};
    struct reading reading = {.violated = false};
    fuzz_require(type->size <= STRUCT_MAX);
    memset(message, 0, type->size);
    memset(dirty, 0xa5, type->size);
    const int error = mote_codec_decode(type, in, message, &failure);
    fuzz_require(mote_codec_decode(type, in, dirty, NULL) == error);
    fuzz_require(memcmp(message, dirty, type->size) == 0);
    const bool readable = read_message(&reading, type, "", in);
    const int expected = !readable ? MOTE_EDECODE : reading.violated ? MOTE_EFIELD : 0;
    if (expected == 0 && error == MOTE_EFIELD) {
        fuzz_require(reading.in_parts && failure.count == 1 && strcmp(failure.violations[0].field, type->name) == 0);
    } else {
        fuzz_require(error == expected);
    }
    if (expected == MOTE_EFIELD) {
        check_failure(&failure, &reading.named);
    }
    if (error != 0) {
        memset(dirty, 0, type->size);
        fuzz_require(memcmp(message, dirty, type->size) == 0);
        return;
    }
    fuzz_require(failure.count == 0);
    check_struct(type, message);
    check_lengths(type, message, in);
    check_encoding(type, message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mote_slice input = mote_slice(data, size);
    fuzz_require(declared(&user_v1_user_proto_file, "user.v1.UserService.") +
                     declared(&auth_v1_auth_proto_file, "auth.v1.AuthService.") ==
                 METHODS);
    const struct mote_method *method = methods[fuzz_take_byte(&input) % METHODS];
    uint8_t *copy = fuzz_copy(input);
    check_message(method->request, mote_slice(copy, input.length));
    free(copy);
    return 0;
}
