/* SPDX-License-Identifier: Apache-2.0 */
/* Text encodings that several layers need: UTF-8 (RFC 3629), base64 and base64url (RFC 4648), hexadecimal, UUIDs. */
#ifndef MOTE_BASE_TEXT_H
#define MOTE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

/* True when the whole slice is valid UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool mote_utf8_is_valid(struct mote_slice text);
/* The number of code points of valid UTF-8. */
size_t mote_utf8_count(struct mote_slice text);
/* Length in bytes (1-4) of the valid code point at the beginning of `text`, its value in *code_point (may be NULL);
 * 0 when the bytes there are not a valid code point or `text` is empty. */
size_t mote_utf8_next(struct mote_slice text, uint32_t *code_point);

enum mote_base64 {
    MOTE_BASE64_PADDED,       /* standard alphabet, with '=' */
    MOTE_BASE64_UNPADDED,     /* standard alphabet, without: what gRPC sends */
    MOTE_BASE64_URL_UNPADDED, /* URL alphabet, without: JWT, tokens */
};

/* Characters that `length` bytes take, without a NUL. */
size_t mote_base64_encoded_length(size_t length, enum mote_base64 variant);
/* Writes exactly that many characters and no NUL. */
void mote_base64_encode(char *out, struct mote_slice in, enum mote_base64 variant);
/* Room that decoding `length` characters needs at most. */
size_t mote_base64_decoded_max(size_t length);
/*
 * Strict: no white space, no foreign character, no lone character, unused bits zero. The two standard variants each
 * take padded and unpadded text, as gRPC asks; the URL variant takes no padding. MOTE_EDECODE otherwise.
 */
MOTE_MUST_CHECK int mote_base64_decode(uint8_t *out, size_t *out_length, struct mote_slice in,
                                       enum mote_base64 variant);

/* Writes 2 × length lower-case digits and no NUL. */
void mote_hex_encode(char *out, struct mote_slice in);

#define MOTE_UUID_TEXT_LENGTH 36u
/* 36 characters, lower case, and no NUL. */
void mote_uuid_format(char *out, const uint8_t uuid[16]);
/* Takes the 36-character form in either case; MOTE_EDECODE otherwise. */
MOTE_MUST_CHECK int mote_uuid_parse(uint8_t uuid[16], struct mote_slice text);
/* A version 7 UUID (RFC 9562 §5.7) of this wall time; `random` is 10 random bytes. */
void mote_uuid_make_v7(uint8_t uuid[16], int64_t wall_ns, const uint8_t random[10]);

/* Unsigned decimal without sign, space or leading zeros ("0" is fine); MOTE_EDECODE, MOTE_ELIMIT over `maximum`. */
MOTE_MUST_CHECK int mote_decimal_parse(uint64_t *out, struct mote_slice text, uint64_t maximum);

#endif
