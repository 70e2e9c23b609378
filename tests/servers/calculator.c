/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handlers of calculator.proto: one of each kind of call. What a call needs between two invocations of its handler
 * is in the call's arena, so nothing is freed here; a handler that goes on after it has returned holds a reference.
 */
#include <mote/rpc/call.h>
#include <pb_encode.h>

#include "calculator.mote.h"

#define PADDING_MAX 65536u

static void fail_out_of_memory(struct mote_call *call)
{
    mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "out of memory");
}

static void fail_overflow(struct mote_call *call)
{
    mote_call_fail(call, MOTE_STATUS_OUT_OF_RANGE, "the sum does not fit into 64 bits");
}

/* Compressed messages are answered with compressed ones. */
static void answer_alike(struct mote_call *call)
{
    (void)mote_call_compress(call, mote_call_was_compressed(call));
}

/* The state of a call, made at the first use. NULL: the call has been failed. */
static void *state_of(struct mote_call *call, size_t size)
{
    void *state = mote_call_data(call);
    if (state == NULL) {
        state = mote_arena_allocate_zeroed(mote_call_arena(call), size);
        if (state == NULL) {
            fail_out_of_memory(call);
        }
        mote_call_set_data(call, state);
    }
    return state;
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
    bool held; /* there is a reference to the call */
};

static bool encode_padding(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    static const pb_byte_t zeros[PADDING_MAX];
    const struct count *count = *arg;
    return pb_encode_tag_for_field(stream, field) && pb_encode_string(stream, zeros, count->padding);
}

static void release_count(struct mote_call *call)
{
    struct count *count = mote_call_data(call);
    if (count->held) {
        count->held = false;
        mote_call_unref(call);
    }
}

static void end_count(struct mote_call *call, enum mote_status status)
{
    (void)status;
    release_count(call);
}

/* Sends while the call is writable; called again when it is writable again. */
static void send_count(struct mote_call *call)
{
    struct count *count = mote_call_data(call);
    while (count->held && mote_call_writable(call)) {
        calculator_v1_CountResponse response = {.number = count->next};
        if (count->padding > 0) {
            response.padding.funcs.encode = encode_padding;
            response.padding.arg = count;
        }
        if (mote_call_send(call, &response) != 0) {
            if (!mote_call_is_over(call)) {
                fail_out_of_memory(call);
            }
            release_count(call);
        } else if (count->next == count->to) {
            mote_call_finish(call);
            release_count(call);
        } else {
            count->next++;
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
    struct count *count = state_of(call, sizeof(*count));
    if (count == NULL) {
        return;
    }
    answer_alike(call);
    *count = (struct count){.next = request->from, .to = request->to, .padding = request->padding, .held = true};
    mote_call_ref(call);
    mote_call_on_cancel(call, end_count);
    mote_call_on_writable(call, send_count);
    send_count(call);
}

/* --- Sum: client stream ---------------------------------------------------------------------------------------- */

void calculator_v1_calculator_sum(struct mote_call *call, const calculator_v1_SumRequest *request)
{
    calculator_v1_SumResponse *sum = state_of(call, sizeof(*sum));
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
    calculator_v1_RunningTotalResponse *total = state_of(call, sizeof(*total));
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
    if (mote_call_send(call, total) != 0) {
        if (!mote_call_is_over(call)) {
            fail_out_of_memory(call);
        }
        return;
    }
    if (!mote_call_writable(call)) {
        mote_call_on_writable(call, mote_call_resume);
        mote_call_pause(call);
    }
}
