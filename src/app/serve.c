/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mote serve`: puts the parts together in order, and takes them apart in reverse. The main thread then only waits for
 * signals and looks after the store's health; nothing a request needs runs on it.
 *
 * The end (SIGTERM, SIGINT): health says NOT_SERVING, SHUTDOWN_DELAY passes, connections are drained, and what is not
 * done after SHUTDOWN_GRACE_PERIOD is cut off. The same signal again ends the process at once: the store can take that.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/access_log.h"
#include "app/command.h"
#include "app/effective.h"
#include "app/exit_code.h"
#include "app/keys.h"
#include "app/notify.h"
#include "app/observe.h"
#include "app/traces.h"
#include "auth/v1/auth.mote.h"
#include "net/runtime.h"
#include "net/tls_files.h"
#include "rpc/health.h"
#include "rpc/reflection.h"
#include "security/secret.h"
#include "services/services.h"
#include "user/v1/user.mote.h"

#define LOOK_NS        ((uint64_t)MOTE_NS_PER_SECOND)       /* between looks at the store's health */
#define OVERDUE_NS     (30u * (uint64_t)MOTE_NS_PER_SECOND) /* past the grace: something does not end by itself */
#define REFRESH_MAX    ((int64_t)30 * 86400)                /* seconds: the life of a session */
#define ECHO_NS        (200u * (uint64_t)MOTE_NS_PER_MS) /* a signal that comes twice: sent to the group, and passed on */
#define SIGNAL_DRAINED SIGRTMIN

struct process {
    struct mote_options options;
    struct mote_effective effective;
    struct mote_log_sink *sink;
    struct mote_log *log;
    struct mote_access_log access_log;
    struct mote_observe observe;
    size_t worker_count; /* that have been started */
    struct mote_store *store;
    struct mote_keys keys;
    struct mote_password_pool *passwords;
    struct mote_throttle *throttle;
    struct mote_services services;
    struct mote_health *health;
    struct mote_server *server;
    struct mote_tls_files tls_files;
    struct mote_tls_context *tls; /* NULL: in the clear */
    struct mote_traces traces;
    bool traces_stopped;
    struct mote_runtime *runtime;
    pthread_t main_thread;
    sigset_t signals;
    atomic_bool serving; /* false once the end has begun */
    bool was_healthy;
    uint64_t end_began_ns;
};

static int fail(struct process *process, const char *event, const char *problem, enum mote_exit_code code)
{
    mote_log(process->log, MOTE_LOG_ERROR, "app", event, "cannot start", mote_log_text("err", problem));
    return (int)code;
}

static uint64_t now(void)
{
    const struct mote_clock *clock = mote_clock_system();
    return clock->monotonic_ns(clock->context);
}

/* --- parts, in the order of starting -------------------------------------------------------------------------------
 */

/* Blocked in every thread to come: only the main thread takes them, by sigtimedwait. */
static void block_signals(struct process *process)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
    sigemptyset(&process->signals);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaddset(&process->signals, numbers[i]);
    }
    sigaddset(&process->signals, SIGNAL_DRAINED);
    pthread_sigmask(SIG_BLOCK, &process->signals, NULL);
    process->main_thread = pthread_self();
}

/* A core file would hold the keys. The limit is for files: a dump into a program's pipe is not held to it, and is
 * refused, as is a debugger of the same user, to a process that is not dumpable. AddressSanitizer needs to be one. */
static void forbid_core_files(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

static void warn(struct process *process)
{
    const struct mote_options *options = &process->options;
    const struct mote_limits *limits = &process->effective.limits;
    uint64_t share = limits->buffered_max / process->effective.workers;
    if (options->insecure && options->tls_cert_file == NULL && !mote_options_listen_is_local(options)) {
        mote_log(process->log, MOTE_LOG_WARN, "app", "config.insecure",
                 "INSECURE: passwords and tokens cross the network in the clear",
                 mote_log_text("listen", options->listen));
    }
    if (limits->connections_max < options->max_connections) {
        bool was_asked_for = options->origins[MOTE_OPTION_INDEX_MAX_CONNECTIONS].source != MOTE_OPTION_FROM_DEFAULT;
        mote_log(process->log, was_asked_for ? MOTE_LOG_WARN : MOTE_LOG_INFO, "app", "config.connections_clipped",
                 "fewer connections than MAX_CONNECTIONS", mote_log_uint("max_connections", limits->connections_max),
                 mote_log_text("because_of", process->effective.connections_bound));
    }
    if (share < limits->message_receive_max) {
        mote_log(process->log, MOTE_LOG_WARN, "app", "config.buffers_small",
                 "a worker's share of a quarter of MEMORY_BUDGET is less than MAX_RECV_MESSAGE_SIZE: the largest "
                 "messages will be refused",
                 mote_log_uint("share", share));
    }
}

static int open_store(struct process *process)
{
    struct mote_store_options options = {
        .url = process->options.store_url, .log = process->log, .clock = mote_clock_system(), .mem = mote_mem_system()};
    char problem[MOTE_STORE_PROBLEM_MAX];
    int error = mote_store_open(&process->store, &options, problem);
    return error == 0 ? 0 : fail(process, "store.open_failed", problem, mote_exit_code_of_store(error));
}

static int open_security(struct process *process)
{
    struct mote_password_settings settings;
    const char *problem = "";
    process->keys = (struct mote_keys){.options = &process->options, .log = process->log, .store = process->store};
    int error = mote_keys_open(&process->keys);
    if (error == 0) {
        error = mote_password_settings_parse(&settings, mote_slice_text(process->options.password_hash), &problem);
    }
    if (error == 0) {
        error = mote_password_pool_new(&process->passwords, mote_mem_system(), &settings,
                                       (unsigned)process->options.password_hash_concurrency, mote_random_system(),
                                       mote_clock_system());
    }
    if (error == 0) {
        error = mote_throttle_new(&process->throttle, mote_mem_system(), mote_random_system());
    }
    if (error != 0) {
        return fail(process, "security.start_failed", mote_error_text(error),
                    error == MOTE_EINVAL ? MOTE_EXIT_CONFIG : MOTE_EXIT_OS);
    }
    if ((uint64_t)settings.memory_kib * 1024 * process->options.password_hash_concurrency >
        process->effective.memory / 2) {
        mote_log(process->log, MOTE_LOG_WARN, "app", "config.hash_memory",
                 "hashing passwords takes more than half of MEMORY_BUDGET: lower PASSWORD_HASH_CONCURRENCY or the "
                 "memory of PASSWORD_HASH",
                 mote_log_uint("memory_kib", settings.memory_kib));
    }
    return 0;
}

static void tell_of_certificates(struct process *process, const char *event, const char *text)
{
    const struct mote_clock *clock = mote_clock_system();
    const int64_t expiry = mote_tls_context_not_after(process->tls);
    int64_t left = expiry - clock->wall_ns(clock->context) / (int64_t)MOTE_NS_PER_SECOND;
    atomic_store(&process->observe.certificate_expiry, expiry);
    mote_log(process->log, left > 0 ? MOTE_LOG_INFO : MOTE_LOG_WARN, "app", event, text,
             mote_log_int("expires_in_seconds", left));
}

static enum mote_exit_code code_of_files(int error)
{
    return error == MOTE_ENOTFOUND ? MOTE_EXIT_NO_INPUT : error == MOTE_ENOMEM ? MOTE_EXIT_OS : MOTE_EXIT_CONFIG;
}

static int open_tls(struct process *process)
{
    char problem[MOTE_TLS_FILES_PROBLEM_MAX];
    process->tls_files = (struct mote_tls_files){
        .certificates = process->options.tls_cert_file,
        .keys = process->options.tls_key_file,
        .key_password = process->options.tls_key_password,
        .client_authorities = process->options.tls_client_ca_file,
        .clients_may_be_unknown = process->options.tls_client_auth == MOTE_TLS_CLIENT_AUTH_CHOICE_OPTIONAL,
    };
    int error = mote_tls_files_load(&process->tls_files, &process->tls, problem);
    if (error != 0) {
        return fail(process, "tls.start_failed", problem, code_of_files(error));
    }
    if (process->tls != NULL) {
        tell_of_certificates(process, "tls.loaded", "certificates loaded");
    }
    return 0;
}

/* A half-written or wrong file changes nothing. */
static void reload_tls(struct process *process)
{
    char problem[MOTE_TLS_FILES_PROBLEM_MAX];
    struct mote_tls_context *tls = NULL;
    if (process->tls == NULL) {
        return;
    }
    if (mote_tls_files_load(&process->tls_files, &tls, problem) != 0) {
        mote_log(process->log, MOTE_LOG_ERROR, "app", "tls.reload_failed",
                 "certificates could not be loaded: the ones before are kept", mote_log_text("err", problem));
        return;
    }
    mote_tls_context_unref(process->tls);
    process->tls = tls;
    mote_runtime_set_tls(process->runtime, tls);
    tell_of_certificates(process, "tls.reloaded", "certificates loaded anew");
}

static bool is_serving(void *context)
{
    struct process *process = context;
    return atomic_load_explicit(&process->serving, memory_order_relaxed) && mote_store_is_healthy(process->store);
}

static bool wants_reflection(const struct mote_options *options)
{
    return options->reflection == MOTE_REFLECTION_ON ||
           (options->reflection == MOTE_REFLECTION_AUTO && mote_options_listen_is_local(options));
}

static void fill_services(struct process *process)
{
    const struct mote_options *options = &process->options;
    const int64_t access = (int64_t)(options->jwt_access_expiry / MOTE_NS_PER_SECOND);
    process->services = (struct mote_services){
        .store = process->store,
        .keys = &process->keys.slot,
        .passwords = process->passwords,
        .throttle = process->throttle,
        .clock = mote_clock_system(),
        .random = mote_random_system(),
        .log = process->log,
        .policy = {.issuer = options->jwt_issuer,
                   .audience = options->jwt_audience,
                   .leeway = (int64_t)(options->jwt_leeway / MOTE_NS_PER_SECOND),
                   .lifetime_max = access},
        .access_lifetime = access,
        .refresh_idle = (int64_t)(options->jwt_refresh_expiry / MOTE_NS_PER_SECOND),
        .refresh_absolute = REFRESH_MAX,
        .signup_open = options->signup == MOTE_SIGNUP_OPEN,
        .reflection = wants_reflection(options),
        .is_serving = is_serving,
        .is_serving_context = process,
    };
    process->access_log.log = process->log;
    process->access_log.policy = (enum mote_log_access)options->log_access;
    process->access_log.sample_ok = options->log_sample_ok;
    process->access_log.user_id = options->log_user_id;
}

static int open_traces(struct process *process)
{
    char problem[MOTE_TRACE_PROBLEM_MAX];
    const int error =
        mote_traces_start(&process->traces, &process->options, mote_command_version_number(), process->log, problem);
    return error == 0 ? 0 : fail(process, "trace.start_failed", problem, code_of_files(error));
}

/* The last spans may take what is left of the grace period. */
static void stop_traces(struct process *process)
{
    const uint64_t grace = process->options.shutdown_grace_period;
    const uint64_t passed = now() - process->end_began_ns;
    const uint64_t left = process->end_began_ns != 0 && passed < grace ? grace - passed : 0;
    const uint64_t most = process->options.otel_bsp_export_timeout;
    if (!process->traces_stopped) {
        process->traces_stopped = true;
        mote_trace_export_stop(process->traces.exporter, left < most ? left : most);
    }
}

static int register_all(struct process *process)
{
    int error = mote_services_register(&process->services, process->server);
    if (error == 0) {
        error = mote_health_register(process->health, process->server);
    }
    if (error == 0 && process->services.reflection) {
        error = mote_reflection_register(process->server);
    }
    return error != 0 ? error : mote_server_check(process->server);
}

static int open_server(struct process *process)
{
    struct mote_server_options options = {
        .limits = &process->effective.limits, .log = process->log, .worker_count = process->effective.workers};
    options.clock = mote_clock_system();
    if (mote_options_metrics_flavors(process->options.metrics_flavor) != MOTE_METRIC_FLAVOR_OFF) {
        options.stages[MOTE_STAGE_METRICS] = mote_call_metrics_stage();
    }
    fill_services(process);
    options.access = mote_services_access(&process->services, &options.access_count);
    options.stages[MOTE_STAGE_AUTHENTICATION] = mote_services_authentication(&process->services);
    options.stages[MOTE_STAGE_LOG] = mote_access_log_stage(&process->access_log);
    if (process->traces.exporter != NULL) {
        options.tracer = mote_trace_export_tracer(process->traces.exporter);
    }
    struct mote_slice item;
    const char *problem;
    int error = mote_networks_parse(&process->services.trusted_proxies,
                                    mote_slice_text(process->options.trusted_proxies), &item, &problem);
    if (error == 0) {
        error = mote_health_new(&process->health, mote_mem_system());
    }
    if (error == 0) {
        error = mote_server_new(&process->server, mote_mem_system(), &options);
    }
    if (error == 0) {
        error = register_all(process);
    }
    if (error == 0) {
        process->observe.options = &process->options;
        process->observe.effective = &process->effective;
        process->observe.sink = process->sink;
        process->observe.store = process->store;
        process->observe.passwords = process->passwords;
        process->observe.tracer = options.tracer;
        process->observe.serving = &process->serving;
        error = mote_observe_open(&process->observe, process->server);
    }
    return error == 0 ? 0
                      : fail(process, "server.start_failed", mote_error_text(error),
                             error == MOTE_ENOMEM ? MOTE_EXIT_OS : MOTE_EXIT_SOFTWARE);
}

/* Before the runtime: the probes are there as soon as anything is, and not ready until then. */
static int open_admin(struct process *process)
{
    char problem[MOTE_RUNTIME_PROBLEM_MAX];
    int error = mote_observe_listen(&process->observe, problem);
    return error == 0 ? 0 : fail(process, "admin.start_failed", problem, mote_exit_code_of_runtime(error));
}

/* --- health ------------------------------------------------------------------------------------------------------ */

/* Everything hangs on the store but the liveness of the process itself: a restart would not mend the store. */
static int set_health(struct process *process, bool serving)
{
    static const char *const names[] = {"", "readiness", "user.v1.UserService", "auth.v1.AuthService"};
    enum mote_health_status status = serving ? MOTE_HEALTH_SERVING : MOTE_HEALTH_NOT_SERVING;
    int error = mote_health_set(process->health, "liveness", MOTE_HEALTH_SERVING);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && error == 0; i++) {
        error = mote_health_set(process->health, names[i], status);
    }
    process->was_healthy = serving;
    return error;
}

/* Names that are in the table already change without fail. */
static void change_health(struct process *process, bool serving)
{
    if (serving != process->was_healthy) {
        bool is_news = !serving && atomic_load(&process->serving); /* and not the end, which was told */
        mote_log(process->log, is_news ? MOTE_LOG_WARN : MOTE_LOG_INFO, "app", "health.changed", "health changed",
                 mote_log_bool("serving", serving));
        (void)!set_health(process, serving);
        mote_runtime_visit(process->runtime);
    }
}

/* --- the runtime ---------------------------------------------------------------------------------------------------
 */

static int start_worker(void *context, struct mote_mem *mem, struct mote_mailbox *mailbox, void **user)
{
    struct process *process = context;
    struct mote_services_worker *worker = NULL;
    int error = mote_services_worker_new(&worker, &process->services, mem, mailbox);
    if (error == 0) { /* workers start one after the other */
        struct mote_metrics_shard *shard = mote_metrics_shard(process->observe.metrics, process->worker_count++);
        mote_services_worker_count(worker, &shard->cells[MOTE_METRIC_TOKEN_HITS]);
    }
    *user = worker;
    return error;
}

static void end_turn(void *user)
{
    mote_services_worker_end_turn(user);
}

static void stop_worker(void *user)
{
    mote_services_worker_free(user);
}

static void on_drained(void *context)
{
    struct process *process = context;
    pthread_kill(process->main_thread, SIGNAL_DRAINED);
}

static void tell_started(struct process *process)
{
    const struct mote_effective *effective = &process->effective;
    const char *address;
    for (size_t i = 0; (address = mote_runtime_address(process->runtime, i)) != NULL; i++) {
        mote_log(process->log, MOTE_LOG_INFO, "net", "net.listening", "listening", mote_log_text("address", address));
    }
    mote_log(process->log, MOTE_LOG_INFO, "app", "server.started", "started",
             mote_log_text("version", mote_command_version_number()), mote_log_int("pid", getpid()),
             mote_log_uint("workers", effective->workers),
             mote_log_uint("max_connections", effective->limits.connections_max),
             mote_log_uint("memory_budget", effective->memory),
             mote_log_bool("reflection", process->services.reflection));
    mote_notify_send("READY=1\nSTATUS=listening on %s", mote_runtime_address(process->runtime, 0));
}

static int start_runtime(struct process *process)
{
    struct mote_runtime_options options = {
        .server = process->server,
        .limits = &process->effective.limits,
        .listen = process->options.listen,
        .health_listen = mote_options_health_listen(&process->options),
        .workers = process->effective.workers,
        .drain_grace_ns = process->options.shutdown_grace_period,
        .tls = process->tls,
        .log = process->log,
        .metrics = process->observe.metrics,
        .context = process,
        .worker_start = start_worker,
        .worker_end_turn = end_turn,
        .worker_stop = stop_worker,
        .visit = mote_health_notify,
        .on_drained = on_drained,
    };
    char problem[MOTE_RUNTIME_PROBLEM_MAX];
    atomic_store(&process->serving, true);
    int error = set_health(process, mote_store_is_healthy(process->store));
    if (error == 0) {
        error = mote_runtime_start(&process->runtime, mote_mem_system(), &options, problem);
    } else {
        snprintf(problem, sizeof problem, "%s", mote_error_text(error));
    }
    if (error != 0) {
        process->runtime = NULL;
        return fail(process, "net.start_failed", problem, mote_exit_code_of_runtime(error));
    }
    atomic_store(&process->observe.listening, true);
    tell_started(process);
    return 0;
}

/* --- running -------------------------------------------------------------------------------------------------------
 */

/* The next signal; 0 when none came in time. */
static int wait_for_signal(struct process *process, uint64_t patience_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(patience_ns / MOTE_NS_PER_SECOND),
                               .tv_nsec = (long)(patience_ns % MOTE_NS_PER_SECOND)};
    int number = sigtimedwait(&process->signals, NULL, &timeout);
    return number > 0 ? number : 0;
}

/* Certificates are looked at by themselves, also now. */
static void reload(struct process *process)
{
    const int level = (int)mote_log_level(process->log);
    (void)mote_log_sink_move_level(process->sink, level - (int)process->options.log_level);
    mote_log(
        process->log, MOTE_LOG_INFO, "app", "config.reload",
        "SIGHUP: keys and certificates are read again, the log level is LOG_LEVEL again; every other setting needs "
        "a restart",
        mote_log_int("pid", getpid()));
    if (mote_keys_reload(&process->keys, now())) {
        mote_runtime_visit(process->runtime);
    }
}

static void handle_signal(struct process *process, int number)
{
    if (number == SIGUSR1 || number == SIGUSR2) {
        enum mote_log_level level = mote_log_sink_move_level(process->sink, number == SIGUSR1 ? 1 : -1);
        mote_log(process->log, level, "log", "log.level_changed", "log level changed",
                 mote_log_text("to", mote_log_line_level(level)));
    } else if (number == SIGHUP && atomic_load(&process->serving)) {
        reload(process);
    }
}

static bool is_end(int number)
{
    return number == SIGINT || number == SIGTERM;
}

static int serve_until_signal(struct process *process)
{
    const bool is_watched = mote_notify_is_watched();
    for (;;) {
        int number = wait_for_signal(process, LOOK_NS);
        if (is_end(number)) {
            return number;
        }
        if (number == SIGHUP) {
            mote_notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now() / 1000);
        }
        handle_signal(process, number);
        change_health(process, mote_store_is_healthy(process->store));
        mote_observe_tick(&process->observe);
        if (mote_keys_retire(&process->keys, now())) {
            mote_runtime_visit(process->runtime);
        }
        if (process->tls != NULL && mote_tls_files_have_changed(&process->tls_files)) {
            reload_tls(process);
        }
        if (number == SIGHUP) {
            mote_notify_send("READY=1");
        }
        if (is_watched && mote_runtime_is_alive(process->runtime)) {
            mote_notify_send("WATCHDOG=1");
        }
    }
}

/* Waits until `until_ns` or the end of the workers; false when it was asked to end at once. The end has a time of its
 * own, so the watchdog is told that all is well. */
static bool wait_in_shutdown(struct process *process, uint64_t until_ns, bool *drained)
{
    for (uint64_t at = now(); at < until_ns && !*drained; at = now()) {
        int number = wait_for_signal(process, until_ns - at < LOOK_NS ? until_ns - at : LOOK_NS);
        if (mote_notify_is_watched()) {
            mote_notify_send("WATCHDOG=1");
        }
        if (is_end(number) && now() - process->end_began_ns >= ECHO_NS) {
            return false;
        }
        *drained = number == SIGNAL_DRAINED;
        handle_signal(process, number);
    }
    return true;
}

/* The store is made for it: what was acknowledged is on the disk. */
_Noreturn static void end_at_once(struct process *process, const char *why)
{
    mote_log(process->log, MOTE_LOG_WARN, "app", "server.killed", "ending at once", mote_log_text("because", why));
    mote_command_close_log(process->sink);
    _exit(MOTE_EXIT_FAILED);
}

static int shut_down(struct process *process, int number)
{
    const struct mote_options *options = &process->options;
    bool drained = false;
    mote_log(process->log, MOTE_LOG_INFO, "app", "server.stopping", "stopping",
             mote_log_text("signal", number == SIGINT ? "SIGINT" : "SIGTERM"),
             mote_log_uint("delay_ms", options->shutdown_delay / MOTE_NS_PER_MS),
             mote_log_uint("grace_ms", options->shutdown_grace_period / MOTE_NS_PER_MS));
    mote_notify_send("STOPPING=1\nSTATUS=waiting for calls to end");
    process->end_began_ns = now();
    atomic_store(&process->serving, false);
    change_health(process, false);
    if (!wait_in_shutdown(process, now() + options->shutdown_delay, &drained)) {
        end_at_once(process, "a second signal");
    }
    mote_runtime_drain(process->runtime);
    if (!wait_in_shutdown(process, now() + options->shutdown_grace_period + OVERDUE_NS, &drained)) {
        end_at_once(process, "a second signal");
    }
    if (!drained) {
        end_at_once(process, "calls that do not end");
    }
    int error = mote_runtime_join(process->runtime);
    process->runtime = NULL;
    stop_traces(process);
    mote_log(process->log, error == 0 ? MOTE_LOG_INFO : MOTE_LOG_WARN, "app", "server.stopped",
             error == 0 ? "stopped; every call was finished"
                        : "stopped; the grace period ran out and calls were cut off",
             mote_log_bool("was_cut", error != 0));
    return error == 0 ? MOTE_EXIT_OK : MOTE_EXIT_FAILED;
}

/* --- all of it -----------------------------------------------------------------------------------------------------
 */

static int serve(struct process *process)
{
    int code = open_tls(process);
    if (code == 0) {
        code = open_store(process);
    }
    if (code == 0) {
        code = open_security(process);
    }
    if (code == 0) {
        code = open_traces(process);
    }
    if (code == 0) {
        code = open_server(process);
    }
    if (code == 0) {
        code = open_admin(process);
    }
    if (code == 0) {
        code = start_runtime(process);
    }
    return code == 0 ? shut_down(process, serve_until_signal(process)) : code;
}

static void dispose(struct process *process)
{
    mote_observe_close(&process->observe);
    stop_traces(process);
    mote_traces_dispose(&process->traces);
    mote_tls_context_unref(process->tls);
    mote_server_free(process->server);
    mote_health_free(process->health);
    mote_password_pool_free(process->passwords);
    mote_throttle_free(process->throttle);
    mote_keys_close(&process->keys);
    mote_store_close(process->store);
    mote_command_close_log(process->sink);
    mote_options_dispose(&process->options);
}

static int run(const struct mote_command_call *call)
{
    static struct process process;
    struct mote_machine machine;
    int code = mote_command_load_options(&process.options, call);
    if (code == MOTE_EXIT_OK) {
        forbid_core_files();
        block_signals(&process);
        atomic_store(&process.observe.certificate_expiry, INT64_MAX);
        mote_effective_measure(&machine);
        mote_effective_compute(&process.effective, &process.options, &machine);
        code = mote_command_open_log(&process.sink, &process.options);
    }
    if (code == MOTE_EXIT_OK) {
        process.log = mote_log_sink_log(process.sink);
        warn(&process);
        code = serve(&process);
    }
    dispose(&process);
    return code;
}

const struct mote_command mote_command_serve = {.name = "serve",
                                                .meaning = "runs the server (also without a command)",
                                                .groups = MOTE_OPTION_ALL_GROUPS,
                                                .run = run};
