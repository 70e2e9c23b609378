/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of the admin port; see observe.h. */
#include "app/observe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/access_log.h"
#include "app/command.h"
#include "wire/compression.h"
#include "wire/status.h"

#define METRICS_MAX 8388608u /* bytes of a scrape before it is compressed */

/* --- pages ------------------------------------------------------------------------------------------------------- */

static int answer_livez(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply)
{
    (void)context;
    (void)request;
    return mote_admin_site_text(reply, 200, "ok");
}

static int answer_readyz(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply)
{
    const struct mote_observe *observe = context;
    const struct {
        const char *name;
        bool holds;
        const char *reason;
    } checks[] = {
        {"listening", atomic_load(&observe->listening), "starting"},
        {"serving", atomic_load(observe->serving), "shutting down"},
        {"store", mote_store_is_healthy(observe->store), "the store cannot be relied on; the log says why"},
    };
    const bool is_verbose = mote_slice_equals_text(request->query, "verbose");
    bool is_ready = true;
    int error = 0;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && error == 0; i++) {
        is_ready = is_ready && checks[i].holds;
        if (is_verbose || !checks[i].holds) {
            error = mote_buffer_append_format(reply->body, "[%c] %s%s%s\n", checks[i].holds ? '+' : '-', checks[i].name,
                                              checks[i].holds ? "" : ": ", checks[i].holds ? "" : checks[i].reason);
        }
    }
    reply->status = is_ready ? 200 : 503;
    return error == 0 ? mote_buffer_append_text(reply->body, is_ready ? "ok\n" : "not ready\n") : error;
}

/* Asked for by name, and not less than the other. */
static bool wants_openmetrics(struct mote_slice accept)
{
    const unsigned quality = mote_http1_quality(accept, "application/openmetrics-text");
    return quality > 0 && quality >= mote_http1_quality(accept, "text/plain");
}

static int answer_metrics(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply)
{
    const struct mote_observe *observe = context;
    const bool is_openmetrics = wants_openmetrics(request->accept);
    const bool is_gzip = mote_http1_quality(request->accept_encoding, "gzip") > 0;
    double values[MOTE_METRIC_COUNT];
    struct mote_buffer text;
    mote_buffer_init(&text, mote_mem_system(), METRICS_MAX);
    mote_observe_values(observe, values);
    reply->content_type = is_openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                         : "text/plain; version=0.0.4; charset=utf-8";
    reply->extra =
        is_gzip ? "Vary: Accept, Accept-Encoding\r\nContent-Encoding: gzip\r\n" : "Vary: Accept, Accept-Encoding\r\n";
    int error = mote_metrics_write(observe->metrics, values, mote_command_build_labels(), is_openmetrics,
                                   is_gzip ? &text : reply->body);
    if (error == 0 && is_gzip) {
        error = mote_compression_compress(MOTE_ENCODING_GZIP, mote_buffer_slice(&text), reply->body);
    }
    mote_buffer_dispose(&text);
    return error;
}

/* What `print` prints. */
static int answer_printed(struct mote_admin_reply *reply, const char *content_type, void (*print)(FILE *out, void *),
                          void *what)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        return MOTE_ENOMEM;
    }
    print(out, what);
    int error = fclose(out) == 0 ? mote_buffer_append(reply->body, text, length) : MOTE_ENOMEM;
    free(text);
    reply->content_type = content_type;
    return error;
}

static void print_version(FILE *out, void *what)
{
    (void)what;
    fprintf(out, "{\"version\":\"%s\",\"build\":\"%s\"}\n", mote_command_version_number(), mote_command_version_text());
}

static int answer_version(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply)
{
    (void)context;
    (void)request;
    return answer_printed(reply, "application/json", print_version, NULL);
}

static void print_config(FILE *out, void *what)
{
    const struct mote_observe *observe = what;
    mote_options_print_values(out, observe->options);
}

static int answer_configz(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply)
{
    const struct mote_observe *observe = context;
    (void)request;
    if (!observe->options->admin_configz) {
        return mote_admin_site_text(reply, 404, "ADMIN_CONFIGZ is off.");
    }
    return answer_printed(reply, reply->content_type, print_config, context);
}

static int answer_status(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply)
{
    (void)request;
    return answer_printed(reply, "application/json", mote_observe_print_status, context);
}

static int answer_page(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply)
{
    const struct mote_slice page = mote_observe_page();
    (void)context;
    (void)request;
    reply->content_type = "text/html; charset=utf-8";
    reply->extra =
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
    return mote_buffer_append(reply->body, page.data, page.length);
}

/* PUT /loglevel?debug */
static int answer_loglevel(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply)
{
    const struct mote_observe *observe = context;
    struct mote_log *log = mote_log_sink_log(observe->sink);
    if (mote_slice_equals_text(request->method, "PUT")) {
        int level = MOTE_LOG_DEBUG;
        while (level <= MOTE_LOG_ERROR &&
               !mote_slice_equals_text(request->query, mote_log_line_level((enum mote_log_level)level))) {
            level++;
        }
        if (level > MOTE_LOG_ERROR) {
            return mote_admin_site_text(reply, 400, "want PUT /loglevel?debug, info, warn or error");
        }
        (void)mote_log_sink_move_level(observe->sink, (int)atomic_load(&log->level) - level);
        mote_log(log, (enum mote_log_level)level, "log", "log.level_changed", "log level changed",
                 mote_log_text("to", mote_log_line_level((enum mote_log_level)level)));
    }
    return mote_admin_site_text(reply, 200, mote_log_line_level(atomic_load(&log->level)));
}

static const struct mote_admin_route routes[] = {
    {"/livez", MOTE_ADMIN_OPEN, answer_livez},
    {"/healthz", MOTE_ADMIN_OPEN, answer_livez},
    {"/readyz", MOTE_ADMIN_OPEN, answer_readyz},
    {"/metrics", 0, answer_metrics},
    {"/statusz.json", 0, answer_status},
    {"/", 0, answer_page},
    {"/version", 0, answer_version},
    {"/configz", 0, answer_configz},
    {"/loglevel", MOTE_ADMIN_PUT, answer_loglevel},
};

/* --- life -------------------------------------------------------------------------------------------------------- */

static const char *code_name(unsigned code)
{
    return mote_status_camel_name((enum mote_status)code);
}

static const char *status_name(unsigned code)
{
    return mote_status_name((enum mote_status)code);
}

/* What is registered, in the order of names, and what is not as one. */
static int list_methods(struct mote_observe *observe, const struct mote_server *server)
{
    const struct mote_service *service;
    size_t count = 1;
    for (size_t i = 0; (service = mote_server_service_at(server, i)) != NULL; i++) {
        count += service->method_count;
    }
    observe->methods = mote_mem_allocate_zeroed(mote_mem_system(), count * sizeof *observe->methods);
    if (observe->methods == NULL) {
        return MOTE_ENOMEM;
    }
    for (size_t i = 0; (service = mote_server_service_at(server, i)) != NULL; i++) {
        for (size_t j = 0; j < service->method_count; j++) {
            const struct mote_method *method = &service->methods[j];
            observe->methods[observe->method_count++] =
                (struct mote_metric_method){mote_server_method_index(server, method->path), service->name, method->name,
                                            mote_access_log_kind(method->kind)};
        }
    }
    observe->methods[observe->method_count++] = (struct mote_metric_method){0, "other", "other", "unary"};
    return 0;
}

int mote_observe_open(struct mote_observe *observe, const struct mote_server *server)
{
    const struct mote_clock *clock = mote_clock_system();
    observe->started = clock->wall_ns(clock->context) / (int64_t)MOTE_NS_PER_SECOND;
    pthread_mutex_init(&observe->lock, NULL);
    int error = list_methods(observe, server);
    if (error != 0) {
        return error;
    }
    const struct mote_metrics_options options = {
        .shards = observe->effective->workers,
        .methods = observe->methods,
        .method_count = observe->method_count,
        .indices = observe->method_count,
        .code_name = code_name,
        .status_name = status_name,
        .flavors = mote_options_metrics_flavors(observe->options->metrics_flavor),
        .preregister = (enum mote_metric_preregister)observe->options->metrics_preregister,
    };
    return mote_metrics_new(&observe->metrics, mote_mem_system(), &options);
}

int mote_observe_listen(struct mote_observe *observe, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    const struct mote_options *options = observe->options;
    struct mote_log *log = mote_log_sink_log(observe->sink);
    if (strcmp(options->admin_listen, "off") == 0) {
        return 0;
    }
    observe->site = (struct mote_admin_site){.routes = routes,
                                             .route_count = sizeof routes / sizeof routes[0],
                                             .token = options->admin_token,
                                             .hosts = options->admin_hosts,
                                             .context = observe};
    const struct mote_admin_options admin_options = {.listen = options->admin_listen,
                                                     .answer = mote_admin_site_answer,
                                                     .context = &observe->site,
                                                     .log = log,
                                                     .clock = mote_clock_system()};
    int error = mote_admin_start(&observe->admin, mote_mem_system(), &admin_options, problem);
    if (error == MOTE_EBUSY && options->origins[MOTE_OPTION_INDEX_ADMIN_LISTEN].source == MOTE_OPTION_FROM_DEFAULT) {
        mote_log(log, MOTE_LOG_WARN, "app", "admin.not_listening",
                 "there is no admin port: its address is taken; set ADMIN_LISTEN", mote_log_text("err", problem));
        return 0;
    }
    if (error == 0) {
        mote_log(log, MOTE_LOG_INFO, "app", "admin.listening", "the admin port is open",
                 mote_log_text("admin_address", mote_admin_address(observe->admin)));
    }
    return error;
}

void mote_observe_close(struct mote_observe *observe)
{
    mote_admin_stop(observe->admin);
    mote_metrics_free(observe->metrics);
    mote_mem_release(mote_mem_system(), observe->methods);
}
