/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding of messages whose fields all lie in their C structs, by the field rules and in one pass. nanopb visits a
 * nested message once for its size and once more to write it, and looks each field up in a packed descriptor: ten times
 * the instructions, which were a quarter of a unary call. Inside this layer only.
 */
#ifndef MOTE_CODEC_PLAIN_H
#define MOTE_CODEC_PLAIN_H

#include "codec/codec.h"

/*
 * Writes the bytes that nanopb would write. False when it does not do so, whatever the reason: a callback in the
 * message, too little room, a value that cannot be encoded; then nanopb decides, and `out` has any content.
 */
MOTE_MUST_CHECK bool mote_plain_encode(const struct mote_message_type *type, const void *message, uint8_t *out,
                                       size_t capacity, size_t *length);

#endif
