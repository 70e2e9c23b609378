/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a single value cannot show: whether addresses can be listened on, whether the secret is one, what contradicts.
 * A setting whose own value was refused still has its default here, so that it is told of only once.
 */
#include <stdio.h>
#include <string.h>

#include "app/options.h"
#include "app/trace_settings.h"
#include "base/network.h"
#include "base/text.h"
#include "net/listen_address.h"
#include "net/runtime.h"
#include "net/tls_files.h"
#include "security/keyring.h"
#include "security/password.h"
#include "security/secret.h"
#include "telemetry/metrics.h"
#include "telemetry/sampler.h"
#include "wire/fields.h"

#define ADVICE "a random one: head -c 48 /dev/urandom | base64 -w 0"

static void tell(struct mote_option_report *report, enum mote_option_index index, const char *text)
{
    mote_option_report_tell(report, MOTE_OPTION_PROBLEM, mote_options_describe((size_t)index)->name, "%s", text);
}

/* --- addresses --------------------------------------------------------------------------------------------------- */

const char *mote_options_health_listen(const struct mote_options *options)
{
    return strcmp(options->health_listen, "off") == 0 ? NULL : options->health_listen;
}

bool mote_options_listen_is_local(const struct mote_options *options)
{
    const char *rest = options->listen;
    struct mote_slice item;
    while (mote_listen_address_next(&rest, &item)) {
        struct mote_listen_address listen;
        const char *why;
        if (mote_listen_address_parse(&listen, item, &why) != 0 || !mote_listen_address_is_local(&listen)) {
            return false;
        }
    }
    return true;
}

/* How many addresses there are; 0 when one was told of. */
static size_t check_addresses(const char *name, const char *list, bool is_open_secret,
                              struct mote_option_report *report)
{
    struct mote_slice item;
    size_t count = 0;
    for (; mote_listen_address_next(&list, &item); count++) {
        struct mote_listen_address listen;
        const char *why;
        if (mote_listen_address_parse(&listen, item, &why) != 0) {
            mote_option_report_tell(report, MOTE_OPTION_PROBLEM, name, "%.*s: %s", (int)item.length,
                                    (const char *)item.data, why);
            return 0;
        }
        if (is_open_secret && !mote_listen_address_is_local(&listen)) {
            mote_option_report_tell(
                report, MOTE_OPTION_PROBLEM, name,
                "%.*s can be reached over the network, and without TLS passwords and tokens would "
                "cross it in the clear; set TLS_CERT_FILE and TLS_KEY_FILE, or INSECURE=true to allow that",
                (int)item.length, (const char *)item.data);
            return 0;
        }
    }
    if (count == 0) {
        mote_option_report_tell(report, MOTE_OPTION_PROBLEM, name, "want 1 to %u addresses",
                                MOTE_RUNTIME_LISTENERS_MAX);
    }
    return count;
}

/* No secret comes to HEALTH_LISTEN: nothing that takes one is served there. */
static void check_listen(const struct mote_options *options, struct mote_option_report *report)
{
    const char *health = mote_options_health_listen(options);
    bool is_open_secret = !options->insecure && options->tls_cert_file == NULL;
    size_t count = check_addresses("LISTEN", options->listen, is_open_secret, report);
    size_t health_count = health != NULL ? check_addresses("HEALTH_LISTEN", health, false, report) : 0;
    if (count + health_count > MOTE_RUNTIME_LISTENERS_MAX) {
        mote_option_report_tell(report, MOTE_OPTION_PROBLEM,
                                count > MOTE_RUNTIME_LISTENERS_MAX ? "LISTEN" : "HEALTH_LISTEN",
                                "want 1 to %u addresses%s", MOTE_RUNTIME_LISTENERS_MAX,
                                count > MOTE_RUNTIME_LISTENERS_MAX ? "" : ", those of LISTEN counted too");
    }
}

static void check_proxies(const struct mote_options *options, struct mote_option_report *report)
{
    struct mote_networks networks;
    struct mote_slice item;
    const char *problem;
    if (mote_networks_parse(&networks, mote_slice_text(options->trusted_proxies), &item, &problem) != 0) {
        mote_option_report_tell(report, MOTE_OPTION_PROBLEM, "TRUSTED_PROXIES", "%.*s: %s", (int)item.length,
                                (const char *)item.data, problem);
    }
}

/* What is in the files is looked at when they are read. */
static void check_tls(const struct mote_options *options, struct mote_option_report *report)
{
    size_t certificates = mote_tls_files_count(options->tls_cert_file);
    size_t keys = mote_tls_files_count(options->tls_key_file);
    if (certificates > MOTE_TLS_IDENTITIES_MAX) {
        mote_option_report_tell(report, MOTE_OPTION_PROBLEM, "TLS_CERT_FILE", "want up to %u files",
                                MOTE_TLS_IDENTITIES_MAX);
    } else if (keys != certificates) {
        mote_option_report_tell(report, MOTE_OPTION_PROBLEM, "TLS_KEY_FILE",
                                "want as many files as TLS_CERT_FILE has: each certificate its key");
    }
    if (options->tls_client_ca_file != NULL && certificates == 0) {
        tell(report, MOTE_OPTION_INDEX_TLS_CLIENT_CA_FILE, "needs TLS_CERT_FILE and TLS_KEY_FILE");
    }
}

/* --- accounts ---------------------------------------------------------------------------------------------------- */

int mote_options_keyring(struct mote_keyring **out, const char *text, const char *file,
                         struct mote_option_report *report)
{
    const struct mote_slice secret = mote_slice_text(text);
    struct mote_keyring_problem problem = {.text = mote_secret_weakness(secret), .length = mote_secret_length(secret)};
    int error = file != NULL           ? mote_keyring_read(out, mote_mem_system(), secret, &problem)
                : problem.text == NULL ? mote_keyring_new(out, mote_mem_system(), secret)
                                       : MOTE_EINVAL;
    char place[256] = "";
    char length[64] = "";
    if (error == 0) {
        return 0;
    }
    if (file != NULL && problem.line > 0) {
        snprintf(place, sizeof place, "%.200s line %zu: ", file, problem.line);
    } else if (file != NULL) {
        snprintf(place, sizeof place, "%.200s: ", file);
    }
    if (problem.length > 0 && problem.length < MOTE_SECRET_MIN) {
        snprintf(length, sizeof length, "too short (%zu bytes, need at least %u)", problem.length, MOTE_SECRET_MIN);
    }
    mote_option_report_tell(report, MOTE_OPTION_PROBLEM, "JWT_SECRET", "%s%s%s", place,
                            error != MOTE_EINVAL ? mote_error_text(error)
                            : length[0] != '\0'  ? length
                                                 : problem.text,
                            problem.is_weak || file == NULL ? "; " ADVICE : "");
    return error;
}

static void check_secret(const struct mote_options *options, struct mote_option_report *report)
{
    struct mote_keyring *keyring;
    if (options->jwt_secret == NULL) {
        tell(report, MOTE_OPTION_INDEX_JWT_SECRET, "not set; want at least 32 bytes, " ADVICE);
    } else if (mote_options_keyring(&keyring, options->jwt_secret, options->origins[MOTE_OPTION_INDEX_JWT_SECRET].text,
                                    report) == 0) {
        mote_keyring_free(keyring);
    }
}

static void check_name(const char *value, enum mote_option_index index, struct mote_option_report *report)
{
    if (value != NULL && !mote_utf8_is_valid(mote_slice_text(value))) {
        tell(report, index, "not UTF-8");
    }
}

static void check_password_hash(const struct mote_options *options, struct mote_option_report *report)
{
    struct mote_password_settings settings;
    const char *problem = "";
    if (options->password_hash != NULL &&
        mote_password_settings_parse(&settings, mote_slice_text(options->password_hash), &problem) != 0) {
        tell(report, MOTE_OPTION_INDEX_PASSWORD_HASH, problem);
    }
}

/* --- store, limits ----------------------------------------------------------------------------------------------- */

static void check_store(const struct mote_options *options, struct mote_option_report *report)
{
    static const struct mote_slice sqlite = MOTE_SLICE_LITERAL("sqlite:");
    static const struct mote_slice postgres = MOTE_SLICE_LITERAL("postgres");
    struct mote_slice url = mote_slice_text(options->store_url);
    if (options->store_url == NULL || mote_slice_equals_text(url, "memory:") ||
        (mote_slice_starts_with(url, sqlite) && url.length > sqlite.length)) {
        return;
    }
    tell(report, MOTE_OPTION_INDEX_STORE_URL,
         mote_slice_starts_with(url, postgres) ? "the PostgreSQL store is not built yet; want sqlite:PATH or memory:"
                                               : "want sqlite:PATH or memory:");
}

/* --- traces ------------------------------------------------------------------------------------------------------ */

static void check_endpoint(const char *text, enum mote_option_index index, struct mote_option_report *report)
{
    struct mote_trace_endpoint endpoint;
    const char *problem;
    if (text != NULL && mote_trace_endpoint_parse(&endpoint, text, &problem) != 0) {
        tell(report, index, problem);
    }
}

/* Of the headers, which may be secret, nothing is repeated. */
static void check_pairs(const char *list, enum mote_option_index index, bool are_headers,
                        struct mote_option_report *report)
{
    struct mote_trace_pairs pairs;
    const char *problem;
    if (mote_trace_pairs_parse(&pairs, list, &problem) != 0) {
        tell(report, index, problem);
    }
    for (size_t i = 0; are_headers && i < pairs.count; i++) {
        if (!mote_fields_is_metadata_name(pairs.pairs[i].name) || mote_fields_is_binary(pairs.pairs[i].name) ||
            !mote_fields_is_metadata_value(pairs.pairs[i].value)) {
            tell(report, index, "want names in lower case, no grpc- and -bin ones, and values of printable ASCII");
        }
    }
    mote_secret_wipe(&pairs, sizeof pairs);
}

static void check_traces(const struct mote_options *options, struct mote_option_report *report)
{
    struct mote_sampler sampler;
    double ratio;
    bool is_propagated;
    check_endpoint(options->otel_exporter_otlp_endpoint, MOTE_OPTION_INDEX_OTEL_EXPORTER_OTLP_ENDPOINT, report);
    if (options->otel_exporter_otlp_client_key != NULL && options->otel_exporter_otlp_client_certificate == NULL) {
        tell(report, MOTE_OPTION_INDEX_OTEL_EXPORTER_OTLP_CLIENT_KEY,
             "there is no OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE");
    }
    check_pairs(options->otel_exporter_otlp_headers, MOTE_OPTION_INDEX_OTEL_EXPORTER_OTLP_HEADERS, true, report);
    check_pairs(options->otel_resource_attributes, MOTE_OPTION_INDEX_OTEL_RESOURCE_ATTRIBUTES, false, report);
    check_name(options->otel_service_name, MOTE_OPTION_INDEX_OTEL_SERVICE_NAME, report);
    if (options->otel_traces_sampler_arg != NULL &&
        mote_trace_ratio_parse(&ratio, options->otel_traces_sampler_arg) != 0) {
        tell(report, MOTE_OPTION_INDEX_OTEL_TRACES_SAMPLER_ARG, "want a number from 0 to 1");
    }
    if (options->otel_traces_sampler != NULL && !mote_sampler_find(&sampler, options->otel_traces_sampler, 0)) {
        tell(report, MOTE_OPTION_INDEX_OTEL_TRACES_SAMPLER,
             "want always_on, always_off or traceidratio, alone or with parentbased_ before it");
    }
    if (options->otel_propagators != NULL && !mote_trace_propagators_parse(&is_propagated, options->otel_propagators)) {
        tell(report, MOTE_OPTION_INDEX_OTEL_PROPAGATORS, "want tracecontext, baggage, or both with a comma, or none");
    }
    if (options->otel_bsp_max_export_batch_size > options->otel_bsp_max_queue_size) {
        tell(report, MOTE_OPTION_INDEX_OTEL_BSP_MAX_EXPORT_BATCH_SIZE, "more than OTEL_BSP_MAX_QUEUE_SIZE");
    }
}

static void check_limits(const struct mote_options *options, struct mote_option_report *report)
{
    if (options->memory_budget > 0 && options->max_recv_message_size > options->memory_budget / 4) {
        tell(report, MOTE_OPTION_INDEX_MAX_RECV_MESSAGE_SIZE,
             "more than a quarter of MEMORY_BUDGET, which is what all buffered requests share");
    }
}

/* --- telemetry --------------------------------------------------------------------------------------------------- */

unsigned mote_options_metrics_flavors(const char *list)
{
    unsigned flavors = 0;
    struct mote_slice item;
    if (strcmp(list, "off") == 0) {
        return MOTE_METRIC_FLAVOR_OFF;
    }
    while (mote_listen_address_next(&list, &item)) {
        if (mote_slice_equals_text(item, "requests")) {
            flavors |= MOTE_METRIC_FLAVOR_REQUESTS;
        } else if (mote_slice_equals_text(item, "grpc-prometheus")) {
            flavors |= MOTE_METRIC_FLAVOR_PROMETHEUS;
        } else if (mote_slice_equals_text(item, "otel")) {
            flavors |= MOTE_METRIC_FLAVOR_OTEL;
        } else {
            return 0;
        }
    }
    return flavors;
}

static void check_telemetry(const struct mote_options *options, struct mote_option_report *report)
{
    struct mote_listen_address listen;
    const char *problem;
    if (strcmp(options->admin_listen, "off") != 0) {
        if (mote_listen_address_parse(&listen, mote_slice_text(options->admin_listen), &problem) != 0) {
            tell(report, MOTE_OPTION_INDEX_ADMIN_LISTEN, problem);
        } else if (listen.is_inherited) {
            tell(report, MOTE_OPTION_INDEX_ADMIN_LISTEN, "want an address or off");
        }
    }
    if (mote_options_metrics_flavors(options->metrics_flavor) == 0) {
        tell(report, MOTE_OPTION_INDEX_METRICS_FLAVOR, "want a list of requests, grpc-prometheus, otel, or off");
    }
}

static bool has_group(uint32_t groups, enum mote_option_group group)
{
    return (groups & 1u << group) != 0;
}

void mote_options_check(const struct mote_options *options, uint32_t groups, struct mote_option_report *report)
{
    if (has_group(groups, MOTE_OPTION_GROUP_NETWORK)) {
        check_listen(options, report);
        check_proxies(options, report);
    }
    if (has_group(groups, MOTE_OPTION_GROUP_TLS)) {
        check_tls(options, report);
    }
    if (has_group(groups, MOTE_OPTION_GROUP_ACCOUNTS)) {
        check_secret(options, report);
        check_name(options->jwt_issuer, MOTE_OPTION_INDEX_JWT_ISSUER, report);
        check_name(options->jwt_audience, MOTE_OPTION_INDEX_JWT_AUDIENCE, report);
    }
    if (has_group(groups, MOTE_OPTION_GROUP_PASSWORDS)) {
        check_password_hash(options, report);
    }
    if (has_group(groups, MOTE_OPTION_GROUP_STORE)) {
        check_store(options, report);
    }
    if (has_group(groups, MOTE_OPTION_GROUP_LIMITS)) {
        check_limits(options, report);
        check_traces(options, report);
    }
    if (has_group(groups, MOTE_OPTION_GROUP_TELEMETRY)) {
        check_telemetry(options, report);
    }
}
