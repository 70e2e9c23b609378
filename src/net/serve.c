/* SPDX-License-Identifier: Apache-2.0 */
/* The parts in the order of starting, the wait for signals, and the end; see serve.h. */
#include "net/serve.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "rpc/reflection.h"

#define GRACE_NS     (10 * MOTE_LIMITS_SECOND)
#define LOOK_SECONDS 1 /* between looks at the files of certificates */

struct serving {
    const struct mote_serve_options *options;
    struct mote_limits limits;
    struct mote_health *health;
    struct mote_server *server;
    struct mote_tls_files tls_files;
    struct mote_tls_context *tls; /* NULL: in the clear */
    struct mote_runtime *runtime;
};

static void tell(const struct serving *serving, const char *problem)
{
    const char *name = serving->options->name;
    fprintf(stderr, "%s%s%s\n", name != NULL ? name : "", name != NULL ? ": " : "", problem);
}

/* --- starting ---------------------------------------------------------------------------------------------------- */

static int add_services(struct serving *serving)
{
    const struct mote_serve_service *services = serving->options->services;
    int error = mote_health_set(serving->health, "", MOTE_HEALTH_SERVING);
    for (size_t i = 0; i < MOTE_SERVE_SERVICES_MAX && services[i].service != NULL && error == 0; i++) {
        error = mote_server_add_service(serving->server, services[i].service, services[i].context);
        if (error == 0) {
            error = mote_health_set(serving->health, services[i].service->name, MOTE_HEALTH_SERVING);
        }
    }
    if (error == 0) {
        error = mote_health_register(serving->health, serving->server);
    }
    if (error == 0 && !serving->options->without_reflection) {
        error = mote_reflection_register(serving->server);
    }
    return error != 0 ? error : mote_server_check(serving->server);
}

static int make_server(struct serving *serving, const struct mote_server_options *options)
{
    int error = mote_health_new(&serving->health, mote_mem_system());
    if (error == 0) {
        error = mote_server_new(&serving->server, mote_mem_system(), options);
    }
    if (error == 0) {
        error = add_services(serving);
    }
    if (error != 0) {
        tell(serving, mote_error_text(error));
    }
    return error;
}

static int load_tls(struct serving *serving, struct mote_tls_context **tls)
{
    char problem[MOTE_TLS_FILES_PROBLEM_MAX];
    int error = mote_tls_files_load(&serving->tls_files, tls, problem);
    if (error != 0) {
        tell(serving, problem);
    }
    return error;
}

static int start(struct serving *serving)
{
    struct mote_server_options server = serving->options->server;
    struct mote_runtime_options runtime = serving->options->runtime;
    char problem[MOTE_RUNTIME_PROBLEM_MAX];
    mote_limits_init(&serving->limits);
    server.limits = server.limits != NULL ? server.limits : &serving->limits;
    server.log = server.log != NULL ? server.log : mote_log_none();
    runtime.workers = runtime.workers != 0 ? runtime.workers : 1;
    server.worker_count = runtime.workers;
    int error = make_server(serving, &server);
    if (error == 0) {
        error = load_tls(serving, &serving->tls);
    }
    if (error != 0) {
        return error;
    }
    runtime.server = serving->server;
    runtime.limits = server.limits;
    runtime.log = server.log;
    runtime.tls = serving->tls != NULL ? serving->tls : runtime.tls;
    runtime.drain_grace_ns = runtime.drain_grace_ns != 0 ? runtime.drain_grace_ns : GRACE_NS;
    runtime.visit = mote_health_notify;
    runtime.on_drained = NULL;
    error = mote_runtime_start(&serving->runtime, mote_mem_system(), &runtime, problem);
    if (error != 0) {
        tell(serving, problem);
    }
    return error;
}

/* --- running ----------------------------------------------------------------------------------------------------- */

static void tell_started(const struct serving *serving)
{
    const struct mote_serve_options *options = serving->options;
    const char *address;
    if (options->started != NULL) {
        options->started(options->runtime.context, serving->runtime, serving->health);
        return;
    }
    for (size_t i = 0; (address = mote_runtime_address(serving->runtime, i)) != NULL; i++) {
        printf("listening on %s\n", address);
    }
    fflush(stdout);
}

static void reload_tls(struct serving *serving)
{
    struct mote_tls_context *tls = NULL;
    if (load_tls(serving, &tls) == 0) {
        mote_tls_context_unref(serving->tls);
        serving->tls = tls;
        mote_runtime_set_tls(serving->runtime, tls);
    }
}

static void wait_for_end(struct serving *serving, const sigset_t *signals)
{
    const struct timespec patience = {.tv_sec = LOOK_SECONDS};
    for (int number = 0; number != SIGTERM && number != SIGINT;) {
        number = sigtimedwait(signals, NULL, &patience);
        if (serving->tls != NULL && (mote_tls_files_have_changed(&serving->tls_files) || number == SIGHUP)) {
            reload_tls(serving);
        }
    }
}

/* Each connection is a descriptor, and shells give few by default. */
static void raise_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int mote_serve(const struct mote_serve_options *options)
{
    struct serving serving = {.options = options, .tls_files = options->tls};
    sigset_t signals, before;
    raise_descriptors();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    (void)signal(SIGPIPE, SIG_IGN);
    int error = start(&serving);
    if (error == 0) {
        tell_started(&serving);
        wait_for_end(&serving, &signals);
        mote_health_set_all(serving.health, MOTE_HEALTH_NOT_SERVING);
        mote_runtime_visit(serving.runtime);
        mote_runtime_drain(serving.runtime);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL); /* the same signal again does what it does by default */
    if (error == 0) {
        error = mote_runtime_join(serving.runtime);
    }
    mote_tls_context_unref(serving.tls);
    mote_server_free(serving.server);
    mote_health_free(serving.health);
    return error;
}
