/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For code that protoc-gen-mote writes, and nothing else: makes the field rules of a message from the list of its
 * fields in nanopb's header (`<message>_FIELDLIST`). The bounds are sizeof's of nanopb's struct, so the two cannot
 * disagree, by whatever option a bound was set. A field of type FT_POINTER does not compile: mote decodes without
 * malloc.
 *
 * nanopb calls X(message, allocation, presence, kind, field, number); `field` of a oneof is (oneof, field,
 * oneof.field).
 */
#ifndef MOTE_CODEC_GENERATED_H
#define MOTE_CODEC_GENERATED_H

#include <pb.h>

#include "codec/codec.h"

/* The X that is given to <message>_FIELDLIST: one initialiser of struct mote_field_rule. */
#define MOTE_FIELD_RULE(T, allocation, presence, kind, field, n) MOTE_RULE_##presence(T, allocation, kind, field, n)

#define MOTE_RULE_SINGULAR(T, allocation, kind, field, n)                                                              \
    {.number = (n),                                                                                                    \
     .name = #field,                                                                                                   \
     .flags = MOTE_RULE_FLAG_##allocation,                                                                             \
     MOTE_RULE_KIND_##kind(allocation, ((T *)0)->field, T##_##field##_MSGTYPE)},
#define MOTE_RULE_OPTIONAL MOTE_RULE_SINGULAR
#define MOTE_RULE_REQUIRED MOTE_RULE_SINGULAR

#define MOTE_RULE_REPEATED(T, allocation, kind, field, n)                                                              \
    {.number = (n),                                                                                                    \
     .name = #field,                                                                                                   \
     .flags = MOTE_RULE_FLAG_##allocation | MOTE_RULE_FLAG_REPEATED,                                                   \
     .max_count = MOTE_RULE_BOUND_##allocation(sizeof(((T *)0)->field) / sizeof(((T *)0)->field[0])),                  \
     MOTE_RULE_KIND_##kind(allocation, ((T *)0)->field[0], T##_##field##_MSGTYPE)},
#define MOTE_RULE_FIXARRAY MOTE_RULE_REPEATED

#define MOTE_RULE_ONEOF(T, allocation, kind, field, n) MOTE_RULE_APPLY(T, allocation, kind, n, MOTE_RULE_UNTUPLE field)
#define MOTE_RULE_UNTUPLE(oneof, field, path)          oneof, field, path
#define MOTE_RULE_APPLY(...)                           MOTE_RULE_OF_ONEOF(__VA_ARGS__)
#define MOTE_RULE_OF_ONEOF(T, allocation, kind, n, oneof, field, path)                                                 \
    {.number = (n),                                                                                                    \
     .name = #field,                                                                                                   \
     .flags = MOTE_RULE_FLAG_##allocation,                                                                             \
     MOTE_RULE_KIND_##kind(allocation, ((T *)0)->path, T##_##oneof##_##field##_MSGTYPE)},

#define MOTE_RULE_FLAG_STATIC       0
#define MOTE_RULE_FLAG_CALLBACK     MOTE_FIELD_CALLBACK
#define MOTE_RULE_FLAG_REPEATED     MOTE_FIELD_REPEATED
#define MOTE_RULE_BOUND_STATIC(n)   (n)
#define MOTE_RULE_BOUND_CALLBACK(n) UINT32_MAX

/* By nanopb's names for the kinds of field. */
#define MOTE_RULE_KIND_BOOL(allocation, member, type)     .wire_type = MOTE_WIRE_VARINT
#define MOTE_RULE_KIND_ENUM(allocation, member, type)     .wire_type = MOTE_WIRE_VARINT
#define MOTE_RULE_KIND_UENUM(allocation, member, type)    .wire_type = MOTE_WIRE_VARINT
#define MOTE_RULE_KIND_INT32(allocation, member, type)    .wire_type = MOTE_WIRE_VARINT
#define MOTE_RULE_KIND_INT64(allocation, member, type)    .wire_type = MOTE_WIRE_VARINT
#define MOTE_RULE_KIND_UINT32(allocation, member, type)   .wire_type = MOTE_WIRE_VARINT
#define MOTE_RULE_KIND_UINT64(allocation, member, type)   .wire_type = MOTE_WIRE_VARINT
#define MOTE_RULE_KIND_SINT32(allocation, member, type)   .wire_type = MOTE_WIRE_VARINT
#define MOTE_RULE_KIND_SINT64(allocation, member, type)   .wire_type = MOTE_WIRE_VARINT
#define MOTE_RULE_KIND_FIXED32(allocation, member, type)  .wire_type = MOTE_WIRE_FIXED32
#define MOTE_RULE_KIND_SFIXED32(allocation, member, type) .wire_type = MOTE_WIRE_FIXED32
#define MOTE_RULE_KIND_FLOAT(allocation, member, type)    .wire_type = MOTE_WIRE_FIXED32
#define MOTE_RULE_KIND_FIXED64(allocation, member, type)  .wire_type = MOTE_WIRE_FIXED64
#define MOTE_RULE_KIND_SFIXED64(allocation, member, type) .wire_type = MOTE_WIRE_FIXED64
#define MOTE_RULE_KIND_DOUBLE(allocation, member, type)   .wire_type = MOTE_WIRE_FIXED64
#define MOTE_RULE_KIND_STRING(allocation, member, type)                                                                \
    .wire_type = MOTE_WIRE_STRING, .max_length = MOTE_RULE_BOUND_##allocation(sizeof(member) - 1)
#define MOTE_RULE_KIND_BYTES(allocation, member, type)                                                                 \
    .wire_type = MOTE_WIRE_BYTES, .max_length = MOTE_RULE_BOUND_##allocation(sizeof((member).bytes))
#define MOTE_RULE_KIND_FIXED_LENGTH_BYTES(allocation, member, type)                                                    \
    .wire_type = MOTE_WIRE_BYTES, .max_length = MOTE_RULE_BOUND_##allocation(sizeof(member))
#define MOTE_RULE_KIND_MESSAGE(allocation, member, type) .wire_type = MOTE_WIRE_MESSAGE, .message = MOTE_RULE_TYPE(type)
#define MOTE_RULE_KIND_MSG_W_CB(allocation, member, type)                                                              \
    .wire_type = MOTE_WIRE_MESSAGE, .message = MOTE_RULE_TYPE(type)
#define MOTE_RULE_KIND_EXTENSION(allocation, member, type) .wire_type = MOTE_WIRE_ANY

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
