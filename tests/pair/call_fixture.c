/* SPDX-License-Identifier: Apache-2.0 */
/* See call_fixture.h. */
#include "pair/call_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct call_fixture *call_fixture_of(struct mote_call *call)
{
    return mote_call_worker_user(call);
}

static void handle(struct mote_call *call, const void *request)
{
    struct call_fixture *fixture = call_fixture_of(call);
    fixture->call = call;
    fixture->handled++;
    fixture->handler(call, request);
}

static void prepare(struct mote_call *call, void *request, struct mote_slice encoded)
{
    struct call_fixture *fixture = call_fixture_of(call);
    if (fixture->prepare != NULL) {
        fixture->prepare(call, request, encoded);
    }
}

#define METHOD(name_, path_, kind_)                                                                                    \
    .name = (name_), .path = (path_), .kind = (kind_), .request = &calculator_v1_AddRequest_type,                      \
    .response = &calculator_v1_AddResponse_type

static const struct mote_method methods[] = {
    {METHOD("Unary", UNARY, MOTE_CALL_UNARY), .handler = handle},
    {METHOD("ServerStream", SERVER_STREAM, MOTE_CALL_SERVER_STREAM), .handler = handle},
    {METHOD("ClientStream", CLIENT_STREAM, MOTE_CALL_CLIENT_STREAM), .handler = handle},
    {METHOD("Bidi", BIDI, MOTE_CALL_BIDI_STREAM), .handler = handle},
    {METHOD("Small", SMALL, MOTE_CALL_UNARY), .handler = handle, .request_max = 8},
    {METHOD("Absent", ABSENT, MOTE_CALL_UNARY)},
    {.name = "Large",
     .path = LARGE,
     .kind = MOTE_CALL_UNARY,
     .request = &calculator_v1_AddRequest_type,
     .response = &calculator_v1_CountResponse_type,
     .handler = handle},
    {.name = "Prepared",
     .path = PREPARED,
     .kind = MOTE_CALL_CLIENT_STREAM,
     .request = &calculator_v1_CountResponse_type,
     .response = &calculator_v1_AddResponse_type,
     .handler = handle,
     .prepare = prepare},
};
const struct mote_service call_fixture_service = {
    .name = "test.v1.Test",
    .package = "test.v1",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};

static void observe_start(void *context, struct mote_call *call)
{
    struct observed *observed = context;
    observed->started++;
    (void)snprintf(observed->method, sizeof observed->method, "%s", mote_call_method(call)->name);
}

static void observe_end(void *context, struct mote_call *call, const struct mote_call_summary *summary)
{
    struct observed *observed = context;
    observed->ended++;
    observed->summary = *summary;
    mote_assert(summary->method == mote_call_method(call));
}

int call_fixture_prepare(struct call_fixture *fixture, struct mote_mem *mem)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->handler = call_fixture_reply_42;
    const struct mote_server_options options = {
        .stages[MOTE_STAGE_LOG] = {.context = &fixture->observed, .start = observe_start, .end = observe_end},
    };
    int error = mote_rpc_pair_init(&fixture->pair, mem, &options);
    fixture->pair.worker_user = fixture;
    if (error == 0) {
        error = mote_server_add_service(fixture->pair.server, &calculator_v1_Calculator_service, NULL);
    }
    return error != 0 ? error : mote_server_add_service(fixture->pair.server, &call_fixture_service, fixture);
}

struct mote_rpc_pair *call_fixture_setup(struct call_fixture *fixture, mote_handler_cb *handler)
{
    mote_assert(call_fixture_prepare(fixture, mote_mem_system()) == 0);
    if (handler != NULL) {
        fixture->handler = handler;
    }
    mote_assert(mote_rpc_pair_connect_raw(&fixture->pair) == 0);
    return &fixture->pair;
}

const char *call_fixture_answer(struct mote_rpc_pair *pair)
{
    mote_rpc_pair_pump(pair);
    return mote_rpc_pair_take_log(pair);
}

const char *call_fixture_whole(struct mote_rpc_pair *pair, const char *path, const char *fields, const char *bytes,
                               size_t length)
{
    struct mote_stream *stream = mote_rpc_pair_request(pair, path, fields, length == 0);
    if (length != 0) {
        mote_rpc_pair_write(stream, bytes, length, true);
    }
    return call_fixture_answer(pair);
}

struct mote_stream *call_fixture_start(struct mote_rpc_pair *pair, const char *path, const char *fields)
{
    struct mote_stream *stream = mote_rpc_pair_request(pair, path, fields, false);
    mote_rpc_pair_write(stream, TWO_PLUS_40, 9, true);
    mote_rpc_pair_pump(pair);
    return stream;
}

void call_fixture_reply_42(struct mote_call *call, const void *request)
{
    (void)request;
    const calculator_v1_AddResponse response = {.sum = 42};
    mote_call_reply(call, &response);
}

void call_fixture_note_cancel(struct mote_call *call, enum mote_status status)
{
    struct call_fixture *fixture = call_fixture_of(call);
    fixture->cancelled++;
    fixture->cancel_status = status;
    mote_assert(mote_call_is_over(call));
}

void call_fixture_hold(struct mote_call *call, const void *request)
{
    (void)request;
    mote_call_ref(call);
    mote_call_on_cancel(call, call_fixture_note_cancel);
}

static void count_writable(struct mote_call *call)
{
    call_fixture_of(call)->writable++;
}

void call_fixture_hold_stream(struct mote_call *call, const void *request)
{
    (void)request;
    mote_call_on_cancel(call, call_fixture_note_cancel);
    mote_call_on_writable(call, count_writable);
}

void call_fixture_note_messages(struct mote_call *call, const void *request)
{
    struct call_fixture *fixture = call_fixture_of(call);
    const calculator_v1_AddRequest *message = request;
    fixture->got[fixture->got_count++ % 16] = message != NULL ? message->a : INT64_MIN;
    if (message == NULL) {
        mote_call_finish(call);
    } else if (message->a == 1) {
        mote_call_pause(call);
    }
}
