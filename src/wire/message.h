/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC message framing: a flag byte, a length of four bytes (big endian), the message. Incoming bytes come in any
 * split. A message that lies whole in the input is handed out in place, without a copy; otherwise it is collected in
 * a buffer that grows with what has arrived, never with what was announced.
 */
#ifndef MOTE_WIRE_MESSAGE_H
#define MOTE_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/slice.h"

MOTE_C_BEGIN

#define MOTE_MESSAGE_PREFIX 5u

struct mote_message {
    struct mote_slice body; /* valid until the next call for this deframer, and not after the input is gone */
    bool compressed;
};

struct mote_deframer {
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    uint8_t prefix_length; /* bytes of the prefix that have arrived */
    bool delivered;        /* `body` was handed out: cleared at the next call */
    uint32_t length;       /* of the message, once the prefix is whole */
    size_t limit;          /* bytes a message may have */
    struct mote_buffer body;
};

/* Allocates nothing. `limit`: bytes of the largest message accepted, at most UINT32_MAX. `mem` borrowed until dispose.
 */
void mote_deframer_init(struct mote_deframer *deframer, struct mote_mem *mem, size_t limit);
void mote_deframer_dispose(struct mote_deframer *deframer);
/*
 * Takes bytes from the front of *input. With a message complete *ready is true, *message is it, and *input may have
 * more to take; otherwise all of *input was taken. Call it until *ready is false, with an empty *input too: that call
 * lets go of the last message's memory. Errors, after which the deframer must only be disposed: MOTE_ELIMIT at the
 * fifth byte of a prefix that announces more than the limit; MOTE_EDECODE for a flag byte other than 0 and 1, as soon
 * as the prefix is whole (MOTE_ELIMIT where both are wrong); MOTE_ENOMEM.
 */
MOTE_MUST_CHECK int mote_deframer_next(struct mote_deframer *deframer, struct mote_slice *input,
                                       struct mote_message *message, bool *ready);
/* True inside a message: an end now cuts it off. */
bool mote_deframer_is_inside(const struct mote_deframer *deframer);
/* Bytes of message bodies in the deframer's memory: of an incomplete one, or of the one handed out until the next call.
 */
size_t mote_deframer_buffered(const struct mote_deframer *deframer);

/* The prefix of a message of `length` bytes. */
void mote_message_prefix(uint8_t out[MOTE_MESSAGE_PREFIX], bool compressed, uint32_t length);

MOTE_C_END

#endif
