/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calculator as a program: what another author's server looks like, written against the public headers only. It
 * serves the calculator, health and reflection in the clear, on the address it prints; SIGTERM and SIGINT drain it.
 *
 *   calculator-server --listen 127.0.0.1:0 [--workers N]
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "calculator.mote.h"
#include "net/runtime.h"
#include "rpc/health.h"
#include "rpc/reflection.h"
#include "rpc/server.h"

#define GRACE_NS (10 * MOTE_LIMITS_SECOND)

struct parts {
    struct mote_limits limits;
    struct mote_health *health;
    struct mote_server *server;
};

static int fail(const char *what, int error)
{
    fprintf(stderr, "calculator-server: %s: %s\n", what, mote_error_text(error));
    return error;
}

static int make_server(struct parts *parts, size_t workers)
{
    const struct mote_server_options options = {
        .limits = &parts->limits, .log = mote_log_none(), .worker_count = workers};
    mote_limits_init(&parts->limits);
    parts->limits.connections_per_address_max = parts->limits.connections_max; /* tests come from one address */
    parts->limits.connections_unopened_max = parts->limits.connections_max;
    int error = mote_health_new(&parts->health, mote_mem_system());
    if (error == 0) {
        error = mote_health_set(parts->health, "", MOTE_HEALTH_SERVING);
    }
    if (error == 0) {
        error = mote_health_set(parts->health, calculator_v1_Calculator_service.name, MOTE_HEALTH_SERVING);
    }
    if (error == 0) {
        error = mote_server_new(&parts->server, mote_mem_system(), &options);
    }
    if (error == 0) {
        error = mote_server_add_service(parts->server, &calculator_v1_Calculator_service, NULL);
    }
    if (error == 0) {
        error = mote_health_register(parts->health, parts->server);
    }
    return error != 0 ? error : mote_reflection_register(parts->server);
}

static int serve(struct parts *parts, const char *listen, size_t workers, const sigset_t *signals)
{
    const struct mote_runtime_options options = {.server = parts->server,
                                                 .limits = &parts->limits,
                                                 .listen = listen,
                                                 .workers = workers,
                                                 .drain_grace_ns = GRACE_NS,
                                                 .log = mote_log_none(),
                                                 .visit = mote_health_notify};
    struct mote_runtime *runtime;
    char problem[MOTE_RUNTIME_PROBLEM_MAX];
    int number;
    int error = mote_runtime_start(&runtime, mote_mem_system(), &options, problem);
    if (error != 0) {
        fprintf(stderr, "calculator-server: %s\n", problem);
        return error;
    }
    printf("listening on %s\n", mote_runtime_address(runtime, 0));
    fflush(stdout);
    sigwait(signals, &number);
    mote_health_set_all(parts->health, MOTE_HEALTH_NOT_SERVING);
    mote_runtime_visit(runtime);
    mote_runtime_drain(runtime);
    return mote_runtime_join(runtime);
}

static bool parse(int argc, char **argv, const char **listen, size_t *workers)
{
    *listen = "127.0.0.1:50052";
    *workers = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--listen") == 0) {
            *listen = argv[i + 1];
        } else if (strcmp(argv[i], "--workers") == 0) {
            *workers = strtoul(argv[i + 1], NULL, 10);
        } else {
            return false;
        }
    }
    return argc % 2 == 1 && *workers >= 1 && *workers <= MOTE_RUNTIME_WORKERS_MAX;
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

int main(int argc, char **argv)
{
    struct parts parts = {.health = NULL};
    const char *listen;
    size_t workers;
    sigset_t signals;
    if (!parse(argc, argv, &listen, &workers)) {
        fprintf(stderr, "usage: calculator-server [--listen ADDRESS] [--workers N]\n");
        return 64;
    }
    raise_descriptors();
    /* Before any thread is there: they inherit it, and the signals come to sigwait. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    int error = make_server(&parts, workers);
    error = error != 0 ? fail("cannot make the server", error) : serve(&parts, listen, workers, &signals);
    mote_server_free(parts.server);
    mote_health_free(parts.health);
    return error == 0 ? 0 : 1;
}
