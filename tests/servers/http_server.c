/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A web server of one page: requests that are no gRPC on the library's HTTP/2, for suites that look at the protocol
 * below gRPC, such as h2spec. Every request that has ended is answered with the page; in the clear or over TLS, on the
 * address it prints. SIGTERM and SIGINT drain it.
 *
 *   http-server [--listen ADDRESS] [--cert FILE --key FILE]
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/runtime.h"
#include "rpc/server.h"
#include "security/tls.h"
#include "wire/h2.h"

#define GRACE_NS  MOTE_LIMITS_SECOND
#define PAGE_SIZE 70000u /* more than a window: what is to be sent waits for WINDOW_UPDATE */
#define PEM_MAX   65536u

struct arguments {
    const char *listen;
    const char *certificate;
    const char *key;
};

static uint8_t page[PAGE_SIZE];

/* A client that has gone meanwhile needs no answer. */
static void answer(struct mote_stream *stream)
{
    static const struct mote_field fields[] = {
        {MOTE_SLICE_LITERAL(":status"), MOTE_SLICE_LITERAL("200"), MOTE_FIELD_STATIC},
        {MOTE_SLICE_LITERAL("content-type"), MOTE_SLICE_LITERAL("text/plain"), MOTE_FIELD_STATIC},
    };
    if (mote_h2_respond(stream, fields, 2, false) != 0 ||
        mote_h2_write(stream, mote_slice(NULL, 0), mote_slice(page, sizeof page)) != 0 ||
        mote_h2_write_end(stream) != 0) {
        mote_h2_reset(stream, MOTE_H2_INTERNAL_ERROR);
    }
}

static void on_event(void *context, const struct mote_event *event)
{
    (void)context;
    const bool is_data = event->type == MOTE_EVENT_DATA;
    if (is_data) {
        mote_h2_consume(event->stream, event->u.data.length);
    }
    if (event->type == MOTE_EVENT_END || ((is_data || event->type == MOTE_EVENT_HEADERS) && event->end_stream)) {
        answer(event->stream);
    }
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "http-server: %s: %s\n", what, why);
    return 1;
}

static bool read_pem(struct mote_tls_pem *pem, const char *name, char room[PEM_MAX])
{
    FILE *file = fopen(name, "r");
    const size_t length = file != NULL ? fread(room, 1, PEM_MAX, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    *pem = (struct mote_tls_pem){.file = name, .text = mote_slice(room, length)};
    return length != 0;
}

/* *out stays NULL in the clear. */
static int load_tls(struct mote_tls_context **out, const struct arguments *arguments)
{
    static char room[2][PEM_MAX];
    struct mote_tls_identity identity;
    char problem[MOTE_TLS_PROBLEM_MAX];
    if (arguments->certificate == NULL) {
        return 0;
    }
    if (!read_pem(&identity.certificate, arguments->certificate, room[0]) ||
        !read_pem(&identity.key, arguments->key, room[1])) {
        return fail("certificate or key", "cannot be read");
    }
    const struct mote_tls_options options = {
        .identities = &identity, .identity_count = 1, .random = mote_random_system(), .mem = mote_mem_system()};
    return mote_tls_context_new(out, &options, problem) == 0 ? 0 : fail("TLS", problem);
}

static int serve(const struct mote_runtime_options *options, const sigset_t *signals)
{
    struct mote_runtime *runtime;
    char problem[MOTE_RUNTIME_PROBLEM_MAX];
    int number;
    if (mote_runtime_start(&runtime, mote_mem_system(), options, problem) != 0) {
        return fail("cannot start", problem);
    }
    printf("listening on %s\n", mote_runtime_address(runtime, 0));
    fflush(stdout);
    sigwait(signals, &number);
    mote_runtime_drain(runtime);
    return mote_runtime_join(runtime) == 0 ? 0 : fail("drain", "calls were cut off");
}

static bool parse(int argc, char **argv, struct arguments *out)
{
    *out = (struct arguments){.listen = "127.0.0.1:50053"};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char **value = strcmp(argv[i], "--listen") == 0 ? &out->listen
                             : strcmp(argv[i], "--cert") == 0 ? &out->certificate
                             : strcmp(argv[i], "--key") == 0  ? &out->key
                                                              : NULL;
        if (value == NULL) {
            return false;
        }
        *value = argv[i + 1];
    }
    return argc % 2 == 1 && (out->certificate == NULL) == (out->key == NULL);
}

static int run(const struct arguments *arguments, const sigset_t *signals)
{
    struct mote_limits limits;
    struct mote_tls_context *tls = NULL;
    struct mote_server *server = NULL;
    mote_limits_init(&limits);
    const struct mote_server_options options = {
        .limits = &limits, .http.on_event = on_event, .log = mote_log_none(), .worker_count = 1};
    int result = load_tls(&tls, arguments);
    if (result == 0 && mote_server_new(&server, mote_mem_system(), &options) != 0) {
        result = fail("server", "out of memory");
    }
    if (result == 0) {
        const struct mote_runtime_options runtime = {.server = server,
                                                     .limits = &limits,
                                                     .listen = arguments->listen,
                                                     .workers = 1,
                                                     .drain_grace_ns = GRACE_NS,
                                                     .tls = tls,
                                                     .log = mote_log_none()};
        result = serve(&runtime, signals);
    }
    mote_server_free(server);
    mote_tls_context_unref(tls);
    return result;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    sigset_t signals;
    if (!parse(argc, argv, &arguments)) {
        fprintf(stderr, "usage: http-server [--listen ADDRESS] [--cert FILE --key FILE]\n");
        return 64;
    }
    memset(page, 'm', sizeof page);
    /* Before any thread is there: they inherit it, and the signals come to sigwait. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return run(&arguments, &signals);
}
