/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking client for commands: a loop and a channel of its own, one call at a time. */
#include "net/dial.h"

#include <stdio.h>

#include "net/channel.h"

#define PATIENCE_NS 1000000000u /* a call has its own deadline: a little more lets it report that itself */

struct mote_dial {
    struct mote_loop *loop;
    struct mote_channel *channel;
    const struct mote_method *method; /* of the call under way */
    void *response;
    struct mote_dial_result *result;
    bool call_ended;
};

/* Until it is connected, or could not be. */
static int wait_until_ready(struct mote_dial *dial, const char *address, uint64_t timeout_ns,
                            char problem[MOTE_DIAL_TEXT_MAX])
{
    static const bool never = false;
    const uint64_t until_ns = mote_loop_now(dial->loop) + timeout_ns;
    mote_channel_connect(dial->channel);
    while (mote_channel_state(dial->channel) == MOTE_CHANNEL_CONNECTING && mote_loop_now(dial->loop) < until_ns) {
        (void)mote_loop_run(dial->loop, &never, MOTE_NS_PER_MS);
    }
    switch (mote_channel_state(dial->channel)) {
    case MOTE_CHANNEL_READY:
        return 0;
    case MOTE_CHANNEL_CONNECTING:
        snprintf(problem, MOTE_DIAL_TEXT_MAX, "cannot connect to %s: no answer in time", address);
        return MOTE_ETIMEOUT;
    case MOTE_CHANNEL_IDLE:
    case MOTE_CHANNEL_TRANSIENT_FAILURE:
    case MOTE_CHANNEL_SHUTDOWN:
        break;
    }
    snprintf(problem, MOTE_DIAL_TEXT_MAX, "%s", mote_channel_problem(dial->channel));
    return MOTE_ECONNECT;
}

int mote_dial_open(struct mote_dial **out, const char *address, struct mote_tls_context *tls, const char *server_name,
                   uint64_t timeout_ns, char problem[MOTE_DIAL_TEXT_MAX])
{
    const struct mote_channel_options options = {
        .target = address, .tls = tls, .server_name = server_name, .connect_timeout_ns = timeout_ns};
    struct mote_dial *dial = mote_mem_allocate_zeroed(mote_mem_system(), sizeof *dial);
    snprintf(problem, MOTE_DIAL_TEXT_MAX, "out of memory");
    if (dial == NULL) {
        return MOTE_ENOMEM;
    }
    int error = mote_loop_new(&dial->loop, mote_mem_system(), NULL);
    if (error == 0) {
        error = mote_channel_open(&dial->channel, dial->loop, &options, problem);
    }
    if (error == 0) {
        error = wait_until_ready(dial, address, timeout_ns, problem);
    }
    if (error != 0) {
        mote_dial_close(dial);
        return error;
    }
    *out = dial;
    return 0;
}

void mote_dial_close(struct mote_dial *dial)
{
    if (dial != NULL) {
        mote_channel_close(dial->channel);
        mote_loop_free(dial->loop);
        mote_mem_release(mote_mem_system(), dial);
    }
}

static void on_message(struct mote_client_call *call, const void *response)
{
    struct mote_dial *dial = mote_client_call_user(call);
    memcpy(dial->response, response, dial->method->response->size);
}

static void on_ended(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct mote_dial *dial = mote_client_call_user(call);
    (void)trailers;
    dial->result->status = status;
    snprintf(dial->result->message, MOTE_DIAL_TEXT_MAX, "%.*s", (int)message.length, (const char *)message.data);
    dial->call_ended = true;
}

int mote_dial_unary(struct mote_dial *dial, const struct mote_method *method, const void *request, void *response,
                    const struct mote_field *metadata, size_t metadata_count, uint64_t timeout_ns,
                    struct mote_dial_result *result)
{
    static const struct mote_client_call_callbacks callbacks = {.message = on_message, .ended = on_ended};
    const struct mote_client_call_options options = {.method = method,
                                                     .callbacks = &callbacks,
                                                     .user = dial,
                                                     .timeout_ns = timeout_ns,
                                                     .metadata = metadata,
                                                     .metadata_count = metadata_count};
    struct mote_client_call *call;
    dial->method = method;
    dial->response = response;
    dial->result = result;
    dial->call_ended = false;
    int error = mote_channel_start(&call, dial->channel, &options);
    if (error != 0) {
        return error;
    }
    error = mote_client_call_send(call, request);
    if (error == 0) {
        error = mote_client_call_half_close(call);
    }
    if (error != 0) {
        mote_client_call_cancel(call);
        return error;
    }
    if (!mote_loop_run(dial->loop, &dial->call_ended,
                       timeout_ns > UINT64_MAX - PATIENCE_NS ? UINT64_MAX : timeout_ns + PATIENCE_NS)) {
        mote_client_call_cancel(call); /* ends it here and now: `result` is the caller's */
        result->status = MOTE_STATUS_DEADLINE_EXCEEDED;
    }
    return 0;
}
