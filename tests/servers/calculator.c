/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handlers of calculator.proto: one of each kind of call. What a call needs between two invocations of its handler
 * is in the call's arena, so nothing is freed here.
 */
#include <mote/rpc/call.h>
#include <pb_encode.h>

#include "calculator.mote.h"

#define PADDING_MAX 65536u

static void fail_overflow(struct mote_call *call)
{
    mote_call_fail(call, MOTE_STATUS_OUT_OF_RANGE, "the sum does not fit into 64 bits");
}

/* Compressed messages are answered with compressed ones. */
static void answer_alike(struct mote_call *call)
{
    (void)mote_call_compress(call, mote_call_was_compressed(call));
}

/* --- Add: unary ------------------------------------------------------------------------------------------------ */

void calculator_v1_calculator_add(struct mote_call *call, const calculator_v1_AddRequest *request)
{
    calculator_v1_AddResponse response = calculator_v1_AddResponse_init_zero;
    if (__builtin_add_overflow(request->a, request->b, &response.sum)) {
        fail_overflow(call);
        return;
    }
    mote_call_reply(call, &response);
}

/* --- Count: server stream, as fast as the client reads --------------------------------------------------------- */

struct count {
    int64_t next;
    int64_t to;
    uint32_t padding;
};

static bool encode_padding(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    static const pb_byte_t zeros[PADDING_MAX];
    const struct count *count = *arg;
    return pb_encode_tag_for_field(stream, field) && pb_encode_string(stream, zeros, count->padding);
}

/* Sends while the call is writable, which it is not once it is over; called again when it is writable again. */
static void send_count(struct mote_call *call)
{
    struct count *count = mote_call_data(call);
    while (mote_call_writable(call)) {
        calculator_v1_CountResponse response = {.number = count->next};
        if (count->padding > 0) {
            response.padding.funcs.encode = encode_padding;
            response.padding.arg = count;
        }
        if (mote_call_send(call, &response) == 0) {
            if (count->next == count->to) {
                mote_call_finish(call);
            } else {
                count->next++;
            }
        }
    }
}

void calculator_v1_calculator_count(struct mote_call *call, const calculator_v1_CountRequest *request)
{
    if (request->to < request->from || request->padding > PADDING_MAX) {
        mote_call_fail(call, MOTE_STATUS_INVALID_ARGUMENT, "to must not be smaller than from, padding at most %u",
                       PADDING_MAX);
        return;
    }
    struct count *count = mote_call_make_data(call, sizeof(*count));
    if (count == NULL) {
        return;
    }
    answer_alike(call);
    *count = (struct count){.next = request->from, .to = request->to, .padding = request->padding};
    mote_call_on_writable(call, send_count);
    send_count(call);
}

/* --- Sum: client stream ---------------------------------------------------------------------------------------- */

void calculator_v1_calculator_sum(struct mote_call *call, const calculator_v1_SumRequest *request)
{
    calculator_v1_SumResponse *sum = mote_call_make_data(call, sizeof(*sum));
    if (sum == NULL) {
        return;
    }
    if (request == NULL) {
        mote_call_reply(call, sum);
        return;
    }
    answer_alike(call);
    if (__builtin_add_overflow(sum->sum, request->number, &sum->sum)) {
        fail_overflow(call);
        return;
    }
    sum->count++;
}

/* --- RunningTotal: bidirectional ------------------------------------------------------------------------------- */

/* A client that sends without reading is held: nothing is taken from it until it has read. */
void calculator_v1_calculator_running_total(struct mote_call *call, const calculator_v1_RunningTotalRequest *request)
{
    calculator_v1_RunningTotalResponse *total = mote_call_make_data(call, sizeof(*total));
    if (total == NULL) {
        return;
    }
    if (request == NULL) {
        mote_call_finish(call);
        return;
    }
    if (__builtin_add_overflow(total->total, request->number, &total->total)) {
        fail_overflow(call);
        return;
    }
    answer_alike(call);
    if (mote_call_send(call, total) == 0 && !mote_call_writable(call)) {
        mote_call_on_writable(call, mote_call_resume);
        mote_call_pause(call);
    }
}
