/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guestbook as a program: a service that asks another one before it answers, and hands its caller's trace on. Calls
 * to the other are made on a thread of their own, which has the channel's loop; questions come to it, and answers go
 * back to the worker, as tasks.
 *
 *   guestbook-server --accounts HOST:PORT [--collector HOST:PORT] [--listen 127.0.0.1:0]
 */
#include <mote/net/channel.h>
#include <mote/net/serve.h>
#include <mote/net/trace_export.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/v1/auth.mote.h"
#include "guestbook.mote.h"

#define TIMEOUT_NS (5 * MOTE_LIMITS_SECOND)

static struct mote_loop *loop; /* of the thread that asks */
static struct mote_channel *channel;
static bool done;

/* One call while it waits, in its arena. */
struct signing {
    struct mote_call *call;
    struct mote_mailbox *mailbox; /* of its worker */
    struct mote_task ask, answer;
    struct mote_trace_context trace;
    bool has_trace;
    struct mote_slice authorization, trace_state; /* the call's */
    auth_v1_ValidateTokenRequest question;
    enum mote_status status;
    bool is_active;
    guestbook_v1_SignResponse response;
};

/* --- on the thread that asks ------------------------------------------------------------------------------------- */

static void note_message(struct mote_client_call *call, const void *response)
{
    struct signing *signing = mote_client_call_user(call);
    const auth_v1_ValidateTokenResponse *answer = response;
    signing->is_active = answer->active;
    (void)snprintf(signing->response.username, sizeof signing->response.username, "%s", answer->username);
}

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct signing *signing = mote_client_call_user(call);
    (void)message;
    (void)trailers;
    signing->status = status;
    signing->mailbox->post(signing->mailbox, &signing->answer);
}

static void ask(struct mote_task *task)
{
    static const struct mote_client_call_callbacks callbacks = {.message = note_message, .ended = note_end};
    struct signing *signing = MOTE_CONTAINER_OF(task, struct signing, ask);
    struct mote_client_call *call;
    const struct mote_field metadata = {
        .name = mote_slice_text("authorization"), .value = signing->authorization, .flags = MOTE_FIELD_SENSITIVE};
    const struct mote_client_call_options options = {
        .method = &auth_v1_AuthService_ValidateToken_method,
        .callbacks = &callbacks,
        .user = signing,
        .timeout_ns = TIMEOUT_NS,
        .metadata = &metadata,
        .metadata_count = 1,
        .trace = signing->has_trace ? &signing->trace : NULL,
        .trace_state = signing->trace_state,
    };
    int error = mote_channel_start(&call, channel, &options);
    if (error != 0) {
        signing->status = mote_status_from_error(error);
        signing->mailbox->post(signing->mailbox, &signing->answer);
        return;
    }
    error = mote_client_call_send(call, &signing->question);
    if (error == 0) {
        error = mote_client_call_half_close(call);
    }
    if (error != 0) {
        mote_client_call_cancel(call);
    }
}

static void stop(struct mote_task *task)
{
    (void)task;
    done = true;
}

static void *run(void *context)
{
    (void)context;
    (void)mote_loop_run(loop, &done, UINT64_MAX);
    return NULL;
}

/* --- on the worker's --------------------------------------------------------------------------------------------- */

static void answer(struct mote_task *task)
{
    struct signing *signing = MOTE_CONTAINER_OF(task, struct signing, answer);
    struct mote_call *call = signing->call;
    if (signing->status == MOTE_STATUS_OK && signing->is_active) {
        mote_call_reply(call, &signing->response);
    } else if (signing->status == MOTE_STATUS_OK || signing->status == MOTE_STATUS_UNAUTHENTICATED) {
        mote_call_fail(call, MOTE_STATUS_UNAUTHENTICATED, "the token is not active");
    } else {
        mote_call_fail(call, MOTE_STATUS_UNAVAILABLE, "nobody knows the accounts: %s",
                       mote_status_name(signing->status));
    }
    mote_call_unref(call);
}

void guestbook_v1_guestbook_sign(struct mote_call *call, const guestbook_v1_SignRequest *request)
{
    static const struct mote_slice bearer = MOTE_SLICE_LITERAL("Bearer ");
    const struct mote_slice authorization = mote_call_authorization(call);
    (void)request;
    struct signing *signing = mote_call_make_data(call, sizeof *signing);
    if (signing == NULL) {
        return;
    }
    if (!mote_slice_starts_with(authorization, bearer) ||
        authorization.length - bearer.length >= sizeof signing->question.access_token) {
        mote_call_fail(call, MOTE_STATUS_UNAUTHENTICATED, "want a bearer token");
        return;
    }
    memcpy(signing->question.access_token, authorization.data + bearer.length, authorization.length - bearer.length);
    signing->authorization = authorization;
    signing->has_trace = mote_call_trace(call) != NULL;
    if (signing->has_trace) {
        signing->trace = *mote_call_trace(call);
        signing->trace_state = mote_call_tracestate(call);
    }
    signing->call = call;
    signing->mailbox = mote_call_worker_user(call);
    signing->ask.run = ask;
    signing->answer.run = answer;
    mote_call_ref(call);
    mote_loop_post(loop, &signing->ask);
}

static int remember_mailbox(void *context, struct mote_mem *mem, struct mote_mailbox *mailbox, void **user)
{
    (void)context;
    (void)mem;
    *user = mailbox;
    return 0;
}

/* --- the program ------------------------------------------------------------------------------------------------- */

struct arguments {
    const char *accounts, *collector, *listen;
};

static bool parse(int argc, char **argv, struct arguments *arguments)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--accounts") == 0) {
            arguments->accounts = argv[i + 1];
        } else if (strcmp(argv[i], "--collector") == 0) {
            arguments->collector = argv[i + 1];
        } else if (strcmp(argv[i], "--listen") == 0) {
            arguments->listen = argv[i + 1];
        } else {
            return false;
        }
    }
    return argc % 2 == 1 && arguments->accounts != NULL;
}

static int serve(const struct arguments *arguments, const struct mote_tracer *tracer)
{
    const struct mote_channel_options accounts = {.target = arguments->accounts, .tracer = tracer};
    const struct mote_serve_options options = {
        .name = "guestbook-server",
        .services = {{.service = &guestbook_v1_Guestbook_service}},
        .server = {.clock = mote_clock_system(), .tracer = tracer},
        .runtime = {.listen = arguments->listen, .worker_start = remember_mailbox}};
    char problem[MOTE_CHANNEL_PROBLEM_MAX];
    struct mote_task stopping = {.run = stop};
    sigset_t all, before;
    pthread_t thread;
    int error = mote_channel_open(&channel, loop, &accounts, problem);
    if (error != 0) {
        fprintf(stderr, "guestbook-server: %s\n", problem);
        return error;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for mote_serve */
    error = pthread_create(&thread, NULL, run, NULL) == 0 ? 0 : MOTE_ENOMEM;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        error = mote_serve(&options);
        mote_loop_post(loop, &stopping);
        pthread_join(thread, NULL);
    }
    mote_channel_close(channel);
    return error;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.listen = "127.0.0.1:0"};
    struct mote_trace_export *traces = NULL;
    char problem[MOTE_TRACE_PROBLEM_MAX] = "out of memory";
    if (!parse(argc, argv, &arguments)) {
        fprintf(stderr, "usage: guestbook-server --accounts HOST:PORT [--collector HOST:PORT] [--listen ADDRESS]\n");
        return 64;
    }
    const struct mote_trace_export_options options = {
        .target = arguments.collector, .service_name = "guestbook", .delay_ns = MOTE_LIMITS_SECOND / 20};
    int error = mote_loop_new(&loop, mote_mem_system(), NULL);
    if (error == 0 && arguments.collector != NULL) {
        error = mote_trace_export_start(&traces, &options, problem);
    }
    if (error == 0) {
        error = serve(&arguments, traces != NULL ? mote_trace_export_tracer(traces) : NULL);
    } else {
        fprintf(stderr, "guestbook-server: %s\n", problem);
    }
    mote_loop_free(loop);
    mote_trace_export_stop(traces, 2 * MOTE_LIMITS_SECOND);
    mote_trace_export_free(traces);
    return error == 0 ? 0 : 1;
}
