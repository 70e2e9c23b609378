/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Length-prefixed messages (PROTOCOL-HTTP2, "Length-Prefixed-Message"). DATA frame boundaries mean nothing here.
 *
 * Invariants: prefix_length < 5 and an empty buffer between messages; prefix_length == 5 while a body is collected; the
 * buffer holds less than `length` bytes unless `delivered`. The capacity follows the bytes received (at most twice as
 * many), so an announced length costs nothing, and a large buffer goes as soon as its message has been used.
 */
#include "wire/message.h"

#include "base/assert.h"

/* A buffer above this is given back after its message: an idle stream keeps no large memory that nobody counts. */
#define KEPT_CAPACITY_MAX 16384u

void mote_deframer_init(struct mote_deframer *deframer, struct mote_mem *mem, size_t limit)
{
    mote_assert(limit <= UINT32_MAX);
    *deframer = (struct mote_deframer){.limit = limit};
    mote_buffer_init(&deframer->body, mem, limit);
}

void mote_deframer_dispose(struct mote_deframer *deframer)
{
    mote_buffer_dispose(&deframer->body);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void advance(struct mote_slice *input, size_t length)
{
    input->data += length;
    input->length -= length;
}

/* The length comes first, as in grpc-go: a message that is wrong in both ways is over the limit. */
static int read_prefix(const struct mote_deframer *deframer, const uint8_t *prefix, uint32_t *length)
{
    *length = (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 8 | prefix[4];
    if (*length > deframer->limit) {
        return MOTE_ELIMIT;
    }
    return prefix[0] > 1 ? MOTE_EDECODE : 0;
}

/* Hands out the message whose body is the front of *input. */
static void deliver_in_place(struct mote_slice *input, uint8_t flag, uint32_t length, struct mote_message *message,
                             bool *ready)
{
    *message = (struct mote_message){.body = mote_slice(input->data, length), .compressed = flag != 0};
    advance(input, length);
    *ready = true;
}

static void drop_delivered(struct mote_deframer *deframer)
{
    deframer->delivered = false;
    if (deframer->body.capacity > KEPT_CAPACITY_MAX) {
        mote_buffer_dispose(&deframer->body);
    } else {
        mote_buffer_clear(&deframer->body);
    }
}

/* The body of a message whose prefix is whole and was split off it, or which is not whole in the input. */
static int next_body(struct mote_deframer *deframer, struct mote_slice *input, struct mote_message *message,
                     bool *ready)
{
    const size_t held = mote_buffer_length(&deframer->body);
    if (held == 0 && input->length >= deframer->length) {
        deframer->prefix_length = 0;
        deliver_in_place(input, deframer->prefix[0], deframer->length, message, ready);
        return 0;
    }
    const size_t taken = smaller(deframer->length - held, input->length);
    const int error = mote_buffer_append(&deframer->body, input->data, taken);
    if (error != 0) {
        return error;
    }
    advance(input, taken);
    if (held + taken == deframer->length) {
        deframer->prefix_length = 0;
        deframer->delivered = true;
        *message = (struct mote_message){
            .body = mote_buffer_slice(&deframer->body),
            .compressed = deframer->prefix[0] != 0,
        };
        *ready = true;
    }
    return 0;
}

int mote_deframer_next(struct mote_deframer *deframer, struct mote_slice *input, struct mote_message *message,
                       bool *ready)
{
    *ready = false;
    if (deframer->delivered) {
        drop_delivered(deframer);
    }
    if (input->length == 0) {
        return 0;
    }
    if (deframer->prefix_length == 0 && input->length >= MOTE_MESSAGE_PREFIX) {
        uint32_t length;
        const int error = read_prefix(deframer, input->data, &length);
        if (error != 0) {
            return error;
        }
        if (input->length - MOTE_MESSAGE_PREFIX >= length) {
            const uint8_t flag = input->data[0];
            advance(input, MOTE_MESSAGE_PREFIX);
            deliver_in_place(input, flag, length, message, ready);
            return 0;
        }
    }
    if (deframer->prefix_length < MOTE_MESSAGE_PREFIX) {
        const size_t taken = smaller(MOTE_MESSAGE_PREFIX - deframer->prefix_length, input->length);
        memcpy(deframer->prefix + deframer->prefix_length, input->data, taken);
        deframer->prefix_length = (uint8_t)(deframer->prefix_length + taken);
        advance(input, taken);
        if (deframer->prefix_length < MOTE_MESSAGE_PREFIX) {
            return 0;
        }
        const int error = read_prefix(deframer, deframer->prefix, &deframer->length);
        if (error != 0) {
            return error;
        }
    }
    return next_body(deframer, input, message, ready);
}

bool mote_deframer_is_inside(const struct mote_deframer *deframer)
{
    return deframer->prefix_length != 0;
}

size_t mote_deframer_buffered(const struct mote_deframer *deframer)
{
    return mote_buffer_length(&deframer->body);
}

void mote_message_prefix(uint8_t out[MOTE_MESSAGE_PREFIX], bool compressed, uint32_t length)
{
    out[0] = compressed ? 1 : 0;
    out[1] = (uint8_t)(length >> 24);
    out[2] = (uint8_t)(length >> 16);
    out[3] = (uint8_t)(length >> 8);
    out[4] = (uint8_t)length;
}
