/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf messages in and out, on nanopb, without malloc. A request is walked once before nanopb decodes it, by a
 * table that protoc-gen-mote writes: so an error names the field, strings are checked for UTF-8 and for embedded NUL
 * (which nobody can see after decoding), and what is over its bound is told apart from what is no protobuf at all.
 *
 * Types are described by `struct mote_message_type`, which wraps nanopb's descriptor; only this layer and generated
 * code include nanopb's headers.
 */
#ifndef MOTE_CODEC_CODEC_H
#define MOTE_CODEC_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/slice.h"

MOTE_C_BEGIN

struct pb_msgdesc_s; /* nanopb's */

enum mote_wire_type {
    MOTE_WIRE_VARINT,
    MOTE_WIRE_FIXED64,
    MOTE_WIRE_FIXED32,
    MOTE_WIRE_STRING,
    MOTE_WIRE_BYTES,
    MOTE_WIRE_MESSAGE,
    MOTE_WIRE_ANY, /* where extensions of proto2 begin: not looked at */
};

enum mote_field_rule_flag {
    MOTE_FIELD_REPEATED = 1, /* `max_count` elements at most; scalars may come packed or not */
    MOTE_FIELD_CALLBACK = 2, /* decoded or encoded by a callback: no bound of its own */
};

/* When a field is in the encoded message, by what `presence_offset` leads to. */
enum mote_field_presence {
    MOTE_PRESENCE_NOT_ZERO, /* of the field itself */
    MOTE_PRESENCE_ALWAYS,
    MOTE_PRESENCE_HAS,   /* a bool */
    MOTE_PRESENCE_WHICH, /* the number of the oneof's member that is set */
    MOTE_PRESENCE_COUNT, /* of elements */
    MOTE_PRESENCE_EVERY, /* `max_count` elements */
};

/* How a value in the struct becomes bytes. */
enum mote_field_form {
    MOTE_FORM_OTHER, /* only nanopb can */
    MOTE_FORM_BOOL,
    MOTE_FORM_UNSIGNED,
    MOTE_FORM_SIGNED,
    MOTE_FORM_ZIGZAG,
    MOTE_FORM_FIXED,
    MOTE_FORM_STRING,
    MOTE_FORM_BYTES,
    MOTE_FORM_ALL_BYTES, /* of fixed length */
    MOTE_FORM_MESSAGE,
};

/* One field of a message, sorted by number in its table. */
struct mote_field_rule {
    uint32_t number;
    uint8_t wire_type;        /* of enum mote_wire_type */
    uint8_t flags;            /* of enum mote_field_rule_flag */
    uint8_t presence;         /* of enum mote_field_presence, as all below for fields without a callback */
    uint8_t form;             /* of enum mote_field_form */
    uint32_t offset;          /* in the C struct */
    uint32_t presence_offset; /* in the C struct */
    uint32_t size;            /* in the C struct: of the field, or of one element */
    uint32_t max_length;      /* STRING, BYTES: bytes at most, UINT32_MAX = no bound */
    uint32_t max_count;       /* REPEATED: elements at most, UINT32_MAX = no bound */
    const char *name;         /* as in the .proto */
    const struct mote_message_type *message; /* MESSAGE: its type */
};

struct mote_message_type {
    const char *name; /* "user.v1.GetUserRequest" */
    const struct pb_msgdesc_s *descriptor;
    size_t size;                         /* of the C struct */
    const struct mote_field_rule *rules; /* and one row more, of number UINT32_MAX */
    size_t rule_count;
};

#define MOTE_CODEC_VIOLATIONS_MAX 16u  /* named in one answer */
#define MOTE_CODEC_PATH_MAX       96u  /* bytes of a field's path, cut off beyond */
#define MOTE_CODEC_DEPTH_MAX      16u  /* nested messages; deeper is MOTE_EDECODE */
#define MOTE_CODEC_FIELDS_MAX     128u /* of one message type; protoc-gen-mote refuses more */

struct mote_codec_violation {
    char field[MOTE_CODEC_PATH_MAX]; /* "user.username", "users[3].roles" */
    char text[64];                   /* "must be at most 32 bytes long" */
};

/* Why a decode failed. Only for MOTE_EFIELD are there violations. */
struct mote_codec_failure {
    size_t count;
    struct mote_codec_violation violations[MOTE_CODEC_VIOLATIONS_MAX];
};

/*
 * Decodes `in` into the zeroed-by-us struct `out` of type->size bytes. MOTE_EDECODE: no protobuf of this type;
 * MOTE_EFIELD: values over their bounds, bad UTF-8 or an embedded NUL, all named in *failure. After an error `out` is
 * zero and must not be read. `failure` may be NULL. Unknown fields are skipped. Any thread.
 */
MOTE_MUST_CHECK int mote_codec_decode(const struct mote_message_type *type, struct mote_slice in, void *out,
                                      struct mote_codec_failure *failure);

/*
 * As above, for a message with fields of FT_CALLBACK: `out` is zeroed by the caller, who may then have set nanopb
 * decode callbacks in it. They run once the whole message has been checked; one that returns false makes it
 * MOTE_EDECODE. A field without a callback is skipped.
 */
MOTE_MUST_CHECK int mote_codec_decode_prepared(const struct mote_message_type *type, struct mote_slice in, void *out,
                                               struct mote_codec_failure *failure);

/* Appends the encoding of `message` to `out`. MOTE_ELIMIT over the buffer's limit, MOTE_EINVAL for a message that
 * cannot be encoded (a string without end, a callback that failed), MOTE_ENOMEM; `out` is then unchanged. */
MOTE_MUST_CHECK int mote_codec_encode(const struct mote_message_type *type, const void *message,
                                      struct mote_buffer *out);

/* Encodes into `capacity` bytes at `out`; MOTE_ELIMIT when they do not suffice. The way of replies: a worker's scratch
 * first, and only what does not fit goes by mote_codec_encode. */
MOTE_MUST_CHECK int mote_codec_encode_into(const struct mote_message_type *type, const void *message, uint8_t *out,
                                           size_t capacity, size_t *length);

MOTE_C_END

#endif
