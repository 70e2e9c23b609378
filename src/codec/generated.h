/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For code that protoc-gen-mote writes, and nothing else: makes the field rules of a message from the list of its
 * fields in nanopb's header (`<message>_FIELDLIST`). The bounds are sizeof's of nanopb's struct, so the two cannot
 * disagree, by whatever option a bound was set; so are the places of the fields. A field of type FT_POINTER does not
 * compile: mote decodes without malloc.
 *
 * nanopb calls X(message, allocation, presence, kind, field, number); `field` of a oneof is (oneof, field,
 * oneof.field).
 */
#ifndef MOTE_CODEC_GENERATED_H
#define MOTE_CODEC_GENERATED_H

#include <pb.h>
#include <stddef.h>

#include "codec.h"

/* The X that is given to <message>_FIELDLIST: one initialiser of struct mote_field_rule. */
#define MOTE_FIELD_RULE(T, allocation, presence, kind, field, n) MOTE_RULE_##presence(T, allocation, kind, field, n)

#define MOTE_RULE_SINGULAR(T, allocation, kind, field, n)                                                              \
    {MOTE_RULE_ONE(T, allocation, kind, field, n).presence = MOTE_PRESENCE_NOT_ZERO},
#define MOTE_RULE_REQUIRED(T, allocation, kind, field, n)                                                              \
    {MOTE_RULE_ONE(T, allocation, kind, field, n).presence = MOTE_PRESENCE_ALWAYS},
#define MOTE_RULE_OPTIONAL(T, allocation, kind, field, n)                                                              \
    {MOTE_RULE_ONE(T, allocation, kind, field, n).presence = MOTE_PRESENCE_HAS,                                        \
     .presence_offset = MOTE_RULE_OFFSET_##allocation(T, has_##field)},
#define MOTE_RULE_ONE(T, allocation, kind, field, n)                                                                   \
    .number = (n), .name = #field, .flags = MOTE_RULE_FLAG_##allocation, .offset = offsetof(T, field),                 \
    MOTE_RULE_KIND_##kind(allocation, ((T *)0)->field, T##_##field##_MSGTYPE),

#define MOTE_RULE_REPEATED(T, allocation, kind, field, n)                                                              \
    {MOTE_RULE_MANY(T, allocation, kind, field, n).presence = MOTE_PRESENCE_COUNT,                                     \
     .presence_offset = MOTE_RULE_OFFSET_##allocation(T, field##_count)},
#define MOTE_RULE_FIXARRAY(T, allocation, kind, field, n)                                                              \
    {MOTE_RULE_MANY(T, allocation, kind, field, n).presence = MOTE_PRESENCE_EVERY},
#define MOTE_RULE_MANY(T, allocation, kind, field, n)                                                                  \
    .number = (n), .name = #field, .flags = MOTE_RULE_FLAG_##allocation | MOTE_RULE_FLAG_REPEATED,                     \
    .offset = offsetof(T, field),                                                                                      \
    .max_count = MOTE_RULE_BOUND_##allocation(sizeof(((T *)0)->field) / sizeof(((T *)0)->field[0])),                   \
    MOTE_RULE_KIND_##kind(allocation, ((T *)0)->field[0], T##_##field##_MSGTYPE),

#define MOTE_RULE_ONEOF(T, allocation, kind, field, n) MOTE_RULE_APPLY(T, allocation, kind, n, MOTE_RULE_UNTUPLE field)
#define MOTE_RULE_UNTUPLE(oneof, field, path)          oneof, field, path
#define MOTE_RULE_APPLY(...)                           MOTE_RULE_OF_ONEOF(__VA_ARGS__)
#define MOTE_RULE_OF_ONEOF(T, allocation, kind, n, oneof, field, path)                                                 \
    {.number = (n),                                                                                                    \
     .name = #field,                                                                                                   \
     .flags = MOTE_RULE_FLAG_##allocation,                                                                             \
     .presence = MOTE_PRESENCE_WHICH,                                                                                  \
     .offset = offsetof(T, path),                                                                                      \
     .presence_offset = offsetof(T, which_##oneof),                                                                    \
     MOTE_RULE_KIND_##kind(allocation, ((T *)0)->path, T##_##oneof##_##field##_MSGTYPE)},

#define MOTE_RULE_FLAG_STATIC       0
#define MOTE_RULE_FLAG_CALLBACK     MOTE_FIELD_CALLBACK
#define MOTE_RULE_FLAG_REPEATED     MOTE_FIELD_REPEATED
#define MOTE_RULE_BOUND_STATIC(n)   (n)
#define MOTE_RULE_BOUND_CALLBACK(n) UINT32_MAX
/* What a callback has none of. */
#define MOTE_RULE_SIZE_STATIC(member)        sizeof(member)
#define MOTE_RULE_SIZE_CALLBACK(member)      0
#define MOTE_RULE_OFFSET_STATIC(T, member)   offsetof(T, member)
#define MOTE_RULE_OFFSET_CALLBACK(T, member) 0

/* By nanopb's names for the kinds of field. */
#define MOTE_RULE_VALUE(allocation, member, wire, how)                                                                 \
    .wire_type = MOTE_WIRE_##wire, .form = MOTE_FORM_##how, .size = MOTE_RULE_SIZE_##allocation(member)
#define MOTE_RULE_KIND_BOOL(allocation, member, type)     MOTE_RULE_VALUE(allocation, member, VARINT, BOOL)
#define MOTE_RULE_KIND_ENUM(allocation, member, type)     MOTE_RULE_VALUE(allocation, member, VARINT, SIGNED)
#define MOTE_RULE_KIND_UENUM(allocation, member, type)    MOTE_RULE_VALUE(allocation, member, VARINT, UNSIGNED)
#define MOTE_RULE_KIND_INT32(allocation, member, type)    MOTE_RULE_VALUE(allocation, member, VARINT, SIGNED)
#define MOTE_RULE_KIND_INT64(allocation, member, type)    MOTE_RULE_VALUE(allocation, member, VARINT, SIGNED)
#define MOTE_RULE_KIND_UINT32(allocation, member, type)   MOTE_RULE_VALUE(allocation, member, VARINT, UNSIGNED)
#define MOTE_RULE_KIND_UINT64(allocation, member, type)   MOTE_RULE_VALUE(allocation, member, VARINT, UNSIGNED)
#define MOTE_RULE_KIND_SINT32(allocation, member, type)   MOTE_RULE_VALUE(allocation, member, VARINT, ZIGZAG)
#define MOTE_RULE_KIND_SINT64(allocation, member, type)   MOTE_RULE_VALUE(allocation, member, VARINT, ZIGZAG)
#define MOTE_RULE_KIND_FIXED32(allocation, member, type)  MOTE_RULE_VALUE(allocation, member, FIXED32, FIXED)
#define MOTE_RULE_KIND_SFIXED32(allocation, member, type) MOTE_RULE_VALUE(allocation, member, FIXED32, FIXED)
#define MOTE_RULE_KIND_FLOAT(allocation, member, type)    MOTE_RULE_VALUE(allocation, member, FIXED32, FIXED)
#define MOTE_RULE_KIND_FIXED64(allocation, member, type)  MOTE_RULE_VALUE(allocation, member, FIXED64, FIXED)
#define MOTE_RULE_KIND_SFIXED64(allocation, member, type) MOTE_RULE_VALUE(allocation, member, FIXED64, FIXED)
#define MOTE_RULE_KIND_DOUBLE(allocation, member, type)   MOTE_RULE_VALUE(allocation, member, FIXED64, FIXED)
#define MOTE_RULE_KIND_STRING(allocation, member, type)                                                                \
    MOTE_RULE_VALUE(allocation, member, STRING, STRING), .max_length = MOTE_RULE_BOUND_##allocation(sizeof(member) - 1)
#define MOTE_RULE_KIND_BYTES(allocation, member, type)                                                                 \
    MOTE_RULE_VALUE(allocation, member, BYTES, BYTES),                                                                 \
        .max_length = MOTE_RULE_BOUND_##allocation(sizeof((member).bytes))
#define MOTE_RULE_KIND_FIXED_LENGTH_BYTES(allocation, member, type)                                                    \
    MOTE_RULE_VALUE(allocation, member, BYTES, ALL_BYTES), .max_length = MOTE_RULE_BOUND_##allocation(sizeof(member))
#define MOTE_RULE_KIND_MESSAGE(allocation, member, type)                                                               \
    MOTE_RULE_VALUE(allocation, member, MESSAGE, MESSAGE), .message = MOTE_RULE_TYPE(type)
#define MOTE_RULE_KIND_MSG_W_CB(allocation, member, type)                                                              \
    MOTE_RULE_VALUE(allocation, member, MESSAGE, OTHER), .message = MOTE_RULE_TYPE(type)
#define MOTE_RULE_KIND_EXTENSION(allocation, member, type) MOTE_RULE_VALUE(allocation, member, ANY, OTHER)

#define MOTE_RULE_TYPE(type)    MOTE_RULE_TYPE_OF(type)
#define MOTE_RULE_TYPE_OF(type) (&type##_type)

/* The rules of message T; the row behind the last keeps the table of a message without fields from being empty. */
#define MOTE_FIELD_RULES(T)                                                                                            \
    {                                                                                                                  \
        T##_FIELDLIST(MOTE_FIELD_RULE, T)                                                                              \
        {                                                                                                              \
            .number = UINT32_MAX                                                                                       \
        }                                                                                                              \
    }

#define MOTE_MESSAGE_TYPE(T, full_name, rule_table)                                                                    \
    {                                                                                                                  \
        .name = (full_name), .descriptor = &T##_msg, .size = sizeof(T), .rules = (rule_table),                         \
        .rule_count = sizeof(rule_table) / sizeof((rule_table)[0]) - 1                                                 \
    }

#endif
