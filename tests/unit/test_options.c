/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options: where a value comes from, what is refused and how it is told, and what becomes of secrets. Environments are
 * made up; files lie in a folder of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/options.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define SECRET       "qf8mYIKrbOh5tLaTBv0bcV9W3ORpNh2YXtZzGm7KJ1A"
#define VARIABLES    32

/* A load with what it told. */
struct load {
    struct mote_option_report report;
    struct mote_options options;
    char text[4096]; /* "P JWT_SECRET: …\n" */
    char *environment[VARIABLES];
    size_t variables;
    char *flags[VARIABLES];
    size_t flag_count;
    int result;
};

static void note(struct mote_option_report *report, enum mote_option_severity severity, const char *name,
                 const char *text)
{
    struct load *load = (struct load *)(void *)report;
    static const char marks[] = {[MOTE_OPTION_WARNING] = 'W',
                                 [MOTE_OPTION_PROBLEM] = 'P',
                                 [MOTE_OPTION_FILE_MISSING] = 'F',
                                 [MOTE_OPTION_MISUSE] = 'M'};
    size_t length = strlen(load->text);
    snprintf(load->text + length, sizeof load->text - length, "%c %s: %s\n", marks[severity], name, text);
}

static struct load *new_load(void)
{
    struct load *load = calloc(1, sizeof *load);
    assert_non_null(load);
    load->report.tell = note;
    return load;
}

/* Copies: secrets are wiped in place. */
static void set(struct load *load, const char *variable)
{
    assert_true(load->variables + 1 < VARIABLES);
    load->environment[load->variables] = strdup(variable);
    assert_non_null(load->environment[load->variables++]);
}

static void flag(struct load *load, const char *text)
{
    assert_true(load->flag_count < VARIABLES);
    load->flags[load->flag_count] = strdup(text);
    assert_non_null(load->flags[load->flag_count++]);
}

static void run_groups(struct load *load, uint32_t groups)
{
    const struct mote_option_sources sources = {
        .environment = load->environment, .flags = load->flags, .flag_count = load->flag_count, .groups = groups};
    char *all[VARIABLES];
    memcpy(all, load->environment, sizeof all);
    load->result = mote_options_load(&load->options, &sources, &load->report);
    for (size_t i = 0; i < load->variables; i++) {
        bool kept = false;
        for (size_t k = 0; load->environment[k] != NULL; k++) {
            kept = kept || load->environment[k] == all[i];
        }
        if (!kept) {
            free(all[i]);
        }
    }
}

static void run(struct load *load)
{
    run_groups(load, MOTE_OPTION_ALL_GROUPS);
}

static void free_load(struct load *load)
{
    mote_options_dispose(&load->options);
    for (size_t i = 0; load->environment[i] != NULL; i++) {
        free(load->environment[i]);
    }
    for (size_t i = 0; i < load->flag_count; i++) {
        free(load->flags[i]);
    }
    free(load);
}

/* Loads one variable beside a good secret. */
static struct load *load_one(const char *variable)
{
    struct load *load = new_load();
    set(load, "JWT_SECRET=" SECRET);
    if (variable != NULL) {
        set(load, variable);
    }
    run(load);
    return load;
}

/* --- the table --------------------------------------------------------------------------------------------------- */

static void test_names_and_flags_agree(void **state)
{
    const struct mote_option *option;
    size_t count = 0;
    (void)state;
    for (; (option = mote_options_describe(count)) != NULL; count++) {
        char flag_text[MOTE_OPTION_FLAG_MAX];
        mote_options_flag(flag_text, option);
        assert_int_equal(strlen(flag_text), strlen(option->name) + 2);
        assert_memory_equal(flag_text, "--", 2);
        for (size_t i = 0; option->name[i] != '\0'; i++) {
            assert_true(isupper((unsigned char)option->name[i]) || option->name[i] == '_');
            assert_int_equal(flag_text[i + 2], option->name[i] == '_' ? '-' : tolower((unsigned char)option->name[i]));
        }
        assert_true(option->help[strlen(option->help) - 1] == '.');
        for (size_t other = 0; other < count; other++) {
            assert_string_not_equal(option->name, mote_options_describe(other)->name);
        }
    }
    assert_int_equal(count, MOTE_OPTION_INDEX_COUNT);
    /* The struct's fields carry the names. */
#define X(field, upper, kind, standard, words, minimum, maximum, group, help)                                          \
    assert_int_equal(strcasecmp(#field, #upper), 0);                                                                   \
    assert_string_equal(mote_options_describe(MOTE_OPTION_INDEX_##upper)->name, #upper);
    MOTE_OPTION_MAP(X)
#undef X
}

static void test_defaults(void **state)
{
    struct load *load = load_one(NULL);
    (void)state;
    assert_string_equal(load->text, "");
    assert_int_equal(load->result, 0);
    assert_string_equal(load->options.listen, "127.0.0.1:50051");
    assert_false(load->options.insecure);
    assert_int_equal(load->options.workers, 0);
    assert_int_equal(load->options.memory_budget, 0);
    assert_int_equal(load->options.jwt_access_expiry, 15 * MOTE_OPTION_MINUTE);
    assert_int_equal(load->options.jwt_refresh_expiry, 7 * MOTE_OPTION_DAY);
    assert_int_equal(load->options.signup, MOTE_SIGNUP_CLOSED);
    assert_string_equal(load->options.store_url, "sqlite:mote.db");
    assert_int_equal(load->options.max_recv_message_size, 4194304);
    assert_int_equal(load->options.keepalive_min_time, 5 * MOTE_OPTION_MINUTE);
    assert_int_equal(load->options.shutdown_grace_period, 25 * MOTE_OPTION_SECOND);
    assert_int_equal(load->options.log_access, MOTE_LOG_ACCESS_ERRORS);
    assert_int_equal(load->options.origins[MOTE_OPTION_INDEX_LISTEN].source, MOTE_OPTION_FROM_DEFAULT);
    free_load(load);
}

/* --- sources ----------------------------------------------------------------------------------------------------- */

static void test_flag_over_environment_over_default(void **state)
{
    struct load *load = new_load();
    (void)state;
    set(load, "JWT_SECRET=" SECRET);
    set(load, "MAX_CONNECTIONS=10");
    set(load, "WORKERS=2");
    set(load, "LOG_LEVEL=");
    flag(load, "--max-connections");
    flag(load, "20");
    flag(load, "--insecure");
    flag(load, "--signup=open");
    flag(load, "--keepalive-permit-without-calls=no");
    run(load);
    assert_string_equal(load->text, "");
    assert_int_equal(load->result, 0);
    assert_int_equal(load->options.max_connections, 20);
    assert_int_equal(load->options.workers, 2);
    assert_true(load->options.insecure);
    assert_false(load->options.keepalive_permit_without_calls);
    assert_int_equal(load->options.signup, MOTE_SIGNUP_OPEN);
    assert_int_equal(load->options.log_level, 1); /* empty is not set */
    assert_int_equal(load->options.origins[MOTE_OPTION_INDEX_MAX_CONNECTIONS].source, MOTE_OPTION_FROM_FLAG);
    assert_string_equal(load->options.origins[MOTE_OPTION_INDEX_MAX_CONNECTIONS].text, "20");
    assert_int_equal(load->options.origins[MOTE_OPTION_INDEX_WORKERS].source, MOTE_OPTION_FROM_ENVIRONMENT);
    assert_int_equal(load->options.origins[MOTE_OPTION_INDEX_LOG_LEVEL].source, MOTE_OPTION_FROM_DEFAULT);
    free_load(load);
}

static void test_wrong_flags(void **state)
{
    static const struct {
        const char *flag, *told;
    } rows[] = {
        {"--nothing", "M --nothing: there is no such flag\n"},
        {"--max-connection=1", "M --max-connection: there is no such flag\n"},
        {"--workers", "M --workers: a value is missing behind it\n"},
        {"word", "M word: unexpected argument\n"},
        {"--jwt-secret=" SECRET, "M --jwt-secret: there is no such flag\n"},
        {"--workers-file=x", "M --workers-file: there is no such flag\n"},
        {"-w", "M -w: unexpected argument\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct load *load = new_load();
        set(load, "JWT_SECRET=" SECRET);
        flag(load, rows[i].flag);
        run(load);
        assert_string_equal(load->text, rows[i].told);
        assert_int_equal(load->result, MOTE_EINVAL);
        assert_int_equal(load->report.misuses, 1);
        free_load(load);
    }
}

/* --- values ------------------------------------------------------------------------------------------------------ */

static void test_values_at_their_bounds(void **state)
{
    static const struct {
        const char *variable;
        const char *told; /* its beginning; NULL: it is fine */
    } rows[] = {
        {"WORKERS=1", NULL},
        {"WORKERS=64", NULL},
        {"WORKERS=auto", NULL},
        {"WORKERS=0", "P WORKERS: want a number from 1 to 64, or auto\n"},
        {"WORKERS=65", "P WORKERS: want"},
        {"WORKERS=two", "P WORKERS: want"},
        {"MAX_CONNECTIONS=1", NULL},
        {"MAX_CONNECTIONS=0", "P MAX_CONNECTIONS: want a number from 1 to 1000000\n"},
        {"MAX_CONNECTIONS=1000000", NULL},
        {"MAX_CONNECTIONS=1000001", "P MAX_CONNECTIONS: want"},
        {"MAX_CONNECTIONS=auto", "P MAX_CONNECTIONS: want"},
        {"MEMORY_BUDGET=16MiB", NULL},
        {"MEMORY_BUDGET=16777215", "P MEMORY_BUDGET: want a size from 16MiB to 1048576GiB, such as 4MiB, or auto\n"},
        {"MAX_METADATA_SIZE=1KiB", NULL},
        {"MAX_METADATA_SIZE=1023", "P MAX_METADATA_SIZE: want a size from 1KiB to 64KiB, such as 4MiB\n"},
        {"MAX_METADATA_SIZE=64KiB", NULL},
        {"MAX_METADATA_SIZE=65537", "P MAX_METADATA_SIZE: want"},
        {"JWT_ACCESS_EXPIRY=1", NULL},
        {"JWT_ACCESS_EXPIRY=1440", NULL},
        {"JWT_ACCESS_EXPIRY=1441", "P JWT_ACCESS_EXPIRY: want minutes or a duration from 1s to 1d, such as 90s\n"},
        {"JWT_ACCESS_EXPIRY=1s", NULL},
        {"JWT_ACCESS_EXPIRY=999ms", "P JWT_ACCESS_EXPIRY: want"},
        {"JWT_ACCESS_EXPIRY=0", "P JWT_ACCESS_EXPIRY: want"},
        {"JWT_ACCESS_EXPIRY=15x", "P JWT_ACCESS_EXPIRY: want"},
        {"JWT_REFRESH_EXPIRY=30d", NULL},
        {"JWT_REFRESH_EXPIRY=31d", "P JWT_REFRESH_EXPIRY: want a duration from 1s to 30d, such as 90s\n"},
        {"JWT_REFRESH_EXPIRY=7", "P JWT_REFRESH_EXPIRY: want"},
        {"JWT_LEEWAY=0", NULL},
        {"JWT_LEEWAY=5m", NULL},
        {"JWT_LEEWAY=301s", "P JWT_LEEWAY: want"},
        {"JWT_ISSUER=\xff", "P JWT_ISSUER: not UTF-8\n"},
        {"INSECURE=maybe", "P INSECURE: want true or false\n"},
        {"SIGNUP=shut", "P SIGNUP: want one of closed|open\n"},
        {"LOG_LEVEL=loud", "P LOG_LEVEL: want one of debug|info|warn|error\n"},
        {"LOG_LEVEL=ERROR", NULL},
        {"LOG_SAMPLE_OK=0", "P LOG_SAMPLE_OK: want"},
        {"PASSWORD_HASH=argon2id:m=1024,t=1,p=1", NULL},
        {"PASSWORD_HASH=md5", "P PASSWORD_HASH: "},
        {"PASSWORD_HASH_CONCURRENCY=65", "P PASSWORD_HASH_CONCURRENCY: want"},
        {"STORE_URL=sqlite:/x/y", NULL},
        {"STORE_URL=sqlite:", "P STORE_URL: want sqlite:PATH or memory:\n"},
        {"STORE_URL=memory:", NULL},
        {"STORE_URL=redis://x", "P STORE_URL: want sqlite:PATH or memory:\n"},
        {"STORE_URL=postgres://x", "P STORE_URL: the PostgreSQL store is not built yet"},
        {"SHUTDOWN_GRACE_PERIOD=0", NULL},
        {"SHUTDOWN_DELAY=5", "P SHUTDOWN_DELAY: want"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct load *load = load_one(rows[i].variable);
        const char *told = rows[i].told != NULL ? rows[i].told : "";
        if (strncmp(load->text, told, strlen(told)) != 0 || (rows[i].told == NULL && load->text[0] != '\0') ||
            load->result != (rows[i].told != NULL ? MOTE_EINVAL : 0)) {
            fail_msg("%s: %d, %s", rows[i].variable, load->result, load->text);
        }
        free_load(load);
    }
}

static void test_listen(void **state)
{
    static const struct {
        const char *variable, *other, *told;
        bool is_local;
    } rows[] = {
        {"LISTEN=127.0.0.1:0", NULL, "", true},
        {"LISTEN=127.9.9.9:1,[::1]:2,unix:/s,unix-abstract:s", NULL, "", true},
        {"LISTEN=0.0.0.0:50051", NULL, "P LISTEN: 0.0.0.0:50051 can be reached over the network", false},
        {"LISTEN=[::]:50051", NULL, "P LISTEN: [::]:50051 can be reached", false},
        {"LISTEN=127.0.0.1:1,192.0.2.1:2", NULL, "P LISTEN: 192.0.2.1:2 can be reached", false},
        {"LISTEN=0.0.0.0:50051", "INSECURE=true", "", false},
        {"LISTEN=[::]:50051", "INSECURE=true", "", false},
        {"LISTEN=127.0.0.1:1", "INSECURE=true", "", true},
        {"LISTEN=nonsense", "INSECURE=true", "P LISTEN: nonsense: want host:port", false},
        {"LISTEN=127.0.0.1:65536", NULL, "P LISTEN: 127.0.0.1:65536: the port", false},
        {"LISTEN=,,", NULL, "P LISTEN: want 1 to 8 addresses\n", true},
        {"LISTEN=unix:1,unix:2,unix:3,unix:4,unix:5,unix:6,unix:7,unix:8", NULL, "", true},
        {"LISTEN=unix:1,unix:2,unix:3,unix:4,unix:5,unix:6,unix:7,unix:8,unix:9", NULL,
         "P LISTEN: want 1 to 8 addresses\n", true},
        {"LISTEN=unix:/s?mode=0660&owner=0&group=root,systemd:,systemd:one", NULL, "", true},
        {"LISTEN=unix:/s?mode=0999", NULL, "P LISTEN: unix:/s?mode=0999: the mode of a unix socket", false},
        /* nothing secret is said there */
        {"LISTEN=127.0.0.1:0", "HEALTH_LISTEN=[::]:1,0.0.0.0:1", "", true},
        {"LISTEN=127.0.0.1:0", "HEALTH_LISTEN=off", "", true},
        {"LISTEN=127.0.0.1:0", "HEALTH_LISTEN=on", "P HEALTH_LISTEN: on: want host:port", true},
        {"LISTEN=127.0.0.1:0", "HEALTH_LISTEN=,", "P HEALTH_LISTEN: want 1 to 8 addresses\n", true},
        {"LISTEN=unix:1", "ADMIN_LISTEN=off", "", true},
        {"LISTEN=unix:1", "ADMIN_LISTEN=unix:2", "", true},
        {"LISTEN=unix:1", "ADMIN_LISTEN=on", "P ADMIN_LISTEN: want host:port", true},
        {"LISTEN=unix:1", "ADMIN_LISTEN=systemd:", "P ADMIN_LISTEN: want an address or off\n", true},
        {"LISTEN=unix:1", "ADMIN_TOKEN=0123456789abcde", "P ADMIN_TOKEN: ", true},
        {"LISTEN=unix:1", "ADMIN_TOKEN=0123456789abcdef", "", true},
        {"LISTEN=unix:1", "METRICS_FLAVOR=grpc-prometheus", "", true},
        {"LISTEN=unix:1", "METRICS_FLAVOR=off", "", true},
        {"LISTEN=unix:1", "METRICS_FLAVOR=otel,requests", "", true},
        {"LISTEN=unix:1", "METRICS_FLAVOR=off,requests",
         "P METRICS_FLAVOR: want a list of requests, grpc-prometheus, otel, or off\n", true},
        {"LISTEN=unix:1,unix:2,unix:3,unix:4", "HEALTH_LISTEN=unix:5,unix:6,unix:7,unix:8", "", true},
        {"LISTEN=unix:1,unix:2,unix:3,unix:4,unix:5", "HEALTH_LISTEN=unix:6,unix:7,unix:8,unix:9",
         "P HEALTH_LISTEN: want 1 to 8 addresses, those of LISTEN counted too\n", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct load *load = new_load();
        set(load, "JWT_SECRET=" SECRET);
        set(load, rows[i].variable);
        if (rows[i].other != NULL) {
            set(load, rows[i].other);
        }
        run(load);
        if (strncmp(load->text, rows[i].told, strlen(rows[i].told)) != 0 ||
            (load->text[0] == '\0') != (load->result == 0)) {
            fail_msg("%s: %d, %s", rows[i].variable, load->result, load->text);
        }
        assert_int_equal(mote_options_listen_is_local(&load->options), rows[i].is_local);
        free_load(load);
    }
}

static void test_unbuilt_options_are_refused_not_ignored(void **state)
{
    const struct mote_option *option;
    size_t unbuilt = 0;
    (void)state;
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        char variable[128];
        if (option->kind != MOTE_OPTION_UNBUILT) {
            continue;
        }
        unbuilt++;
        snprintf(variable, sizeof variable, "%s=some/value", option->name);
        struct load *load = load_one(variable);
        snprintf(variable, sizeof variable, "P %s: this part of mote is not built yet", option->name);
        assert_memory_equal(load->text, variable, strlen(variable));
        assert_int_equal(load->result, MOTE_EINVAL);
        free_load(load);
        if (option->words != NULL) {
            snprintf(variable, sizeof variable, "%s=%s", option->name, option->words);
            load = load_one(variable);
            assert_string_equal(load->text, "");
            assert_int_equal(load->result, 0);
            free_load(load);
        }
    }
    assert_in_range(unbuilt, 1, MOTE_OPTION_INDEX_COUNT);
}

static void test_all_problems_at_once(void **state)
{
    struct load *load = new_load();
    (void)state;
    set(load, "WORKERS=0");
    set(load, "LOG_LEVEL=loud");
    set(load, "JWT_SECRET=short");
    set(load, "MAX_CONNECTIONS=-1");
    set(load, "OTEL_CONFIG_FILE=/etc/otel.yaml");
    set(load, "MEMORY_BUDGET=16MiB");
    set(load, "MAX_RECV_MESSAGE_SIZE=4194305");
    run(load);
    assert_int_equal(load->result, MOTE_EINVAL);
    assert_int_equal(load->report.problems, 6);
    assert_string_equal(load->text, "P WORKERS: want a number from 1 to 64, or auto\n"
                                    "P MAX_CONNECTIONS: want a number from 1 to 1000000\n"
                                    "P LOG_LEVEL: want one of debug|info|warn|error\n"
                                    "P OTEL_CONFIG_FILE: this part of mote is not built yet; leave it unset\n"
                                    "P JWT_SECRET: too short (5 bytes, need at least 32); a random one: head -c 48 "
                                    "/dev/urandom | base64 -w 0\n"
                                    "P MAX_RECV_MESSAGE_SIZE: more than a quarter of MEMORY_BUDGET, which is what all "
                                    "buffered requests share\n");
    free_load(load);
}

/* OpenTelemetry's names for traces alone win, in whatever order they come, but not over flags. */
static void test_names_for_traces_alone(void **state)
{
    static const char *const orders[][2] = {
        {"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"},
        {"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(orders); i++) {
        struct load *load = new_load();
        char text[64];
        set(load, "JWT_SECRET=" SECRET);
        for (size_t j = 0; j < 2; j++) {
            const bool wins = strlen(orders[i][j]) == sizeof "OTEL_EXPORTER_OTLP_TRACES_" - 1;
            const char *const rest[] = {wins ? "ENDPOINT=http://a:1" : "ENDPOINT=http://b:1",
                                        wins ? "HEADERS=key=a" : "HEADERS=key=b",
                                        wins ? "CERTIFICATE=" : "CERTIFICATE=b.pem", wins ? "TIMEOUT=1" : "TIMEOUT=2"};
            for (size_t k = 0; k < COUNT(rest); k++) {
                snprintf(text, sizeof text, "%s%s", orders[i][j], rest[k]);
                set(load, text);
            }
        }
        flag(load, "--otel-exporter-otlp-timeout=3");
        run(load);
        assert_string_equal(load->text, "");
        assert_string_equal(load->options.otel_exporter_otlp_endpoint, "http://a:1");
        assert_string_equal(load->options.otel_exporter_otlp_headers, "key=a");
        assert_string_equal(load->options.otel_exporter_otlp_certificate, "b.pem");
        assert_int_equal(load->options.otel_exporter_otlp_timeout, 3 * MOTE_NS_PER_MS);
        for (size_t j = 0; load->environment[j] != NULL; j++) {
            assert_null(strstr(load->environment[j], "HEADERS")); /* secrets are wiped under either name */
        }
        free_load(load);
    }
    struct load *load = load_one("OTEL_EXPORTER_OTLP_CLIENT_KEY=key.pem");
    assert_non_null(strstr(load->text, "KEY: there is no OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE\n"));
    free_load(load);
}

static void test_only_the_groups_that_are_wanted(void **state)
{
    struct load *load = new_load();
    (void)state;
    set(load, "WORKERS=0");
    set(load, "STORE_URL=memory:");
    run_groups(load, 1u << MOTE_OPTION_GROUP_STORE);
    assert_string_equal(load->text, "");
    assert_int_equal(load->result, 0);
    assert_string_equal(load->options.store_url, "memory:");
    assert_null(load->options.jwt_secret);
    free_load(load);
}

static void test_slips_of_the_pen(void **state)
{
    static const struct {
        const char *variable, *told;
    } rows[] = {
        {"JWT_SECRT=x", "W JWT_SECRT: there is no such setting; did you mean JWT_SECRET\n"},
        {"MAX_CONNECTION=1", "W MAX_CONNECTION: there is no such setting; did you mean MAX_CONNECTIONS\n"},
        {"LOG_LEVL=x", "W LOG_LEVL: there is no such setting; did you mean LOG_LEVEL\n"},
        {"JWT_ACCESS_EXPIRY_FILE=x", "W JWT_ACCESS_EXPIRY_FILE: there is no such setting; did you mean "
                                     "JWT_ACCESS_EXPIRY\n"},
        {"TLS_=1", "W TLS_: there is no such setting\n"},
        {"PATH=/bin", ""},
        {"LISTEN_FDS=1", ""},
        {"JWT=1", ""},
        {"max_connection=1", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct load *load = load_one(rows[i].variable);
        assert_string_equal(load->text, rows[i].told);
        assert_int_equal(load->result, 0);
        free_load(load);
    }
}

/* --- secrets ----------------------------------------------------------------------------------------------------- */

static void test_secrets_are_checked(void **state)
{
    static const struct {
        const char *value, *told;
    } rows[] = {
        {"", "P JWT_SECRET: not set; want at least 32 bytes"},
        {"a", "P JWT_SECRET: too short (1 bytes, need at least 32)"},
        {"0123456789abcdefghijklmnopqrstu", "P JWT_SECRET: too short (31 bytes, need at least 32)"},
        {"base64:AAAA", "P JWT_SECRET: too short (3 bytes, need at least 32)"},
        {"base64:not base64 at all, but long enough to be one", "P JWT_SECRET: "},
        {"changemechangemechangemechangeme", "P JWT_SECRET: "},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "P JWT_SECRET: "},
        {SECRET, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct load *load = new_load();
        char variable[128];
        snprintf(variable, sizeof variable, "JWT_SECRET=%s", rows[i].value);
        set(load, variable);
        run(load);
        if (strncmp(load->text, rows[i].told, strlen(rows[i].told)) != 0) {
            fail_msg("%s: %s", rows[i].value, load->text);
        }
        assert_int_equal(load->report.problems, rows[i].told[0] != '\0');
        /* A secret is never part of what is told. */
        assert_true(rows[i].value[0] == '\0' || strlen(rows[i].value) < 4 || strstr(load->text, rows[i].value) == NULL);
        free_load(load);
    }
}

static void test_secrets_leave_the_environment(void **state)
{
    struct load *load = new_load();
    (void)state;
    set(load, "A=1");
    set(load, "JWT_SECRET=" SECRET);
    set(load, "STORE_URL=memory:");
    set(load, "B=2");
    char *text = load->environment[1];
    char *url = load->environment[2];
    const struct mote_option_sources sources = {.environment = load->environment, .groups = MOTE_OPTION_ALL_GROUPS};
    assert_int_equal(mote_options_load(&load->options, &sources, &load->report), 0);
    assert_string_equal(load->environment[0], "A=1");
    assert_string_equal(load->environment[1], "B=2");
    assert_null(load->environment[2]);
    assert_string_equal(text, "JWT_SECRET=");
    for (size_t i = 0; i < sizeof SECRET; i++) {
        assert_int_equal(text[strlen("JWT_SECRET=") + i], 0);
    }
    assert_string_equal(load->options.jwt_secret, SECRET);
    assert_null(load->options.origins[MOTE_OPTION_INDEX_JWT_SECRET].text);
    free(text);
    free(url);
    free_load(load);
}

struct folder {
    char path[64];
};

static int set_up_folder(void **state)
{
    static struct folder folder;
    snprintf(folder.path, sizeof folder.path, "/tmp/mote-options-XXXXXX");
    *state = &folder;
    return mkdtemp(folder.path) != NULL ? 0 : -1;
}

static int tear_down_folder(void **state)
{
    struct folder *folder = *state;
    char path[96];
    snprintf(path, sizeof path, "%s/secret", folder->path);
    (void)unlink(path);
    return rmdir(folder->path);
}

/* Writes the file and loads with JWT_SECRET_FILE naming it. */
static struct load *load_file(const struct folder *folder, const void *content, size_t length, mode_t mode)
{
    char variable[128] = "JWT_SECRET_FILE=";
    char *path = variable + strlen(variable);
    struct load *load = new_load();
    snprintf(path, 96, "%s/secret", folder->path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    set(load, variable);
    run(load);
    return load;
}

static void test_secret_files(void **state)
{
    static const struct {
        const char *content;
        mode_t mode;
        const char *told; /* NULL: it is SECRET */
    } rows[] = {
        {SECRET, 0600, NULL},
        {SECRET "\n", 0600, NULL},
        {SECRET "\r\n", 0640, NULL},
        {SECRET "\n", 0644, "can be read by everybody; chmod 600 it"},
        {SECRET "\n", 0604, "can be read by everybody; chmod 600 it"},
        {"short\n", 0600, "/secret line 1: too short (5 bytes, need at least 32); a random one: "},
        {"", 0600, "P JWT_SECRET: "},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct load *load = load_file(*state, rows[i].content, strlen(rows[i].content), rows[i].mode);
        if (rows[i].told != NULL) {
            assert_non_null(strstr(load->text, rows[i].told));
            assert_int_equal(load->report.problems, 1);
        } else {
            assert_string_equal(load->text, "");
            assert_string_equal(load->options.jwt_secret, SECRET);
            assert_int_equal(load->options.origins[MOTE_OPTION_INDEX_JWT_SECRET].source, MOTE_OPTION_FROM_FILE);
        }
        free_load(load);
    }
}

/* One line end is dropped, not two: the second may belong to the secret. */
static void test_one_line_end_is_dropped(void **state)
{
    struct load *load = load_file(*state, SECRET "\n\n", sizeof SECRET + 1, 0600);
    assert_string_equal(load->options.jwt_secret, SECRET "\n");
    free_load(load);
}

/* What is wrong is told with file and line, and without the secret. */
static void test_key_files(void **state)
{
    static const char other[] = "Zk4v8Q2xW7nR1tY5uB9cD3fG6hJ0mLpX";
    static const struct {
        const char *content;
        const char *told; /* NULL: fine */
    } rows[] = {
        {SECRET "\n# the one before\n\nold:Zk4v8Q2xW7nR1tY5uB9cD3fG6hJ0mLpX\n", NULL},
        {SECRET "\nshort\n", " line 2: too short (5 bytes, need at least 32)"},
        {SECRET "\n\n#\nold:short", " line 4: too short (5 bytes, need at least 32)"},
        {SECRET "\r\n" SECRET "\r\n", " line 2: a key or a kid that is there already\n"},
        {SECRET "\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", " line 2: one piece repeated; a random one: "},
        {"# nothing else\n", "/secret: there is no key in it\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct load *load = load_file(*state, rows[i].content, strlen(rows[i].content), 0600);
        assert_int_equal(load->report.problems, rows[i].told != NULL);
        assert_non_null(strstr(load->text, rows[i].told != NULL ? rows[i].told : ""));
        assert_null(strstr(load->text, SECRET));
        assert_null(strstr(load->text, other));
        assert_non_null(strstr(load->options.origins[MOTE_OPTION_INDEX_JWT_SECRET].text, "/secret"));
        free_load(load);
    }
}

static void test_secret_files_that_are_none(void **state)
{
    static char large[65537];
    const struct folder *folder = *state;
    struct load *load;
    memset(large, 'x', sizeof large);
    load = load_file(folder, large, 65537, 0600);
    assert_string_equal(load->text, "P JWT_SECRET: its file is longer than 64KiB\n");
    free_load(load);
    load = load_file(folder, large, 65536, 0600); /* read, and then too long for a secret */
    assert_string_equal(load->text, "P JWT_SECRET: want 1 to 8192 bytes\n");
    free_load(load);
    load = load_file(folder, "a\0b", 3, 0600);
    assert_string_equal(load->text, "P JWT_SECRET: its file has a NUL byte\n");
    free_load(load);
    load = new_load();
    set(load, "JWT_SECRET_FILE=/nowhere/secret");
    run(load);
    assert_memory_equal(load->text, "F JWT_SECRET: its file /nowhere/secret cannot be opened", 55);
    assert_int_equal(load->report.problems, 1);
    assert_int_equal(load->report.missing_files, 1);
    free_load(load);
    load = new_load();
    set(load, "JWT_SECRET_FILE=/tmp");
    run(load);
    assert_int_equal(load->report.problems, 1);
    assert_int_equal(load->report.missing_files, 0);
    free_load(load);
}

static void test_secret_both_ways(void **state)
{
    const struct folder *folder = *state;
    struct load *load = load_file(folder, SECRET, sizeof SECRET - 1, 0600);
    char text[128];
    free_load(load);
    load = new_load();
    snprintf(text, sizeof text, "JWT_SECRET_FILE=%s/secret", folder->path);
    set(load, "JWT_SECRET=" SECRET);
    set(load, text);
    run(load);
    assert_string_equal(load->text, "P JWT_SECRET: JWT_SECRET and JWT_SECRET_FILE are both set\n");
    free_load(load);
    /* A flag overrides the environment, as everywhere. */
    load = new_load();
    snprintf(text, sizeof text, "--jwt-secret-file=%s/secret", folder->path);
    set(load, "JWT_SECRET=short");
    flag(load, text);
    run(load);
    assert_string_equal(load->text, "");
    assert_string_equal(load->options.jwt_secret, SECRET);
    free_load(load);
}

/* A folder that the service manager made for this process: its mode says nothing. */
static void test_credentials_directory(void **state)
{
    const struct folder *folder = *state;
    struct load *load = load_file(folder, SECRET, sizeof SECRET - 1, 0444);
    char text[128];
    free_load(load);
    for (int named = 0; named < 2; named++) {
        load = new_load();
        snprintf(text, sizeof text, "JWT_SECRET_FILE=%s/secret", folder->path);
        set(load, text);
        /* Not a folder that only begins with the same letters. */
        snprintf(text, sizeof text, "CREDENTIALS_DIRECTORY=%.*s", (int)strlen(folder->path) - !named, folder->path);
        set(load, text);
        run(load);
        assert_int_equal(load->report.problems, named ? 0 : 1);
        free_load(load);
    }
}

/* --- printing ---------------------------------------------------------------------------------------------------- */

static void test_values_are_printed_without_secrets(void **state)
{
    struct load *load = load_one("WORKERS=3");
    char *text = NULL;
    size_t length = 0;
    (void)state;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    mote_options_print_values(out, &load->options);
    assert_int_equal(fclose(out), 0);
    assert_null(strstr(text, SECRET));
    assert_non_null(strstr(text, "JWT_SECRET=<redacted, 43 bytes, "));
    assert_non_null(strstr(text, "WORKERS=3  # env\n"));
    assert_non_null(strstr(text, "STORE_URL=sqlite:mote.db  # default\n"));
    assert_non_null(strstr(text, "LISTEN=127.0.0.1:50051  # default\n"));
    free(text);
    free_load(load);
}

static void test_help_and_reference_name_every_option(void **state)
{
    const struct mote_option *option;
    char *help = NULL;
    char *page = NULL;
    size_t help_length = 0;
    size_t page_length = 0;
    FILE *help_out = open_memstream(&help, &help_length);
    FILE *page_out = open_memstream(&page, &page_length);
    (void)state;
    mote_options_print_help(help_out, MOTE_OPTION_ALL_GROUPS);
    mote_options_print_reference(page_out);
    assert_int_equal(fclose(help_out), 0);
    assert_int_equal(fclose(page_out), 0);
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        char name[64];
        snprintf(name, sizeof name, "| `%s`", option->name);
        assert_non_null(strstr(page, name));
        snprintf(name, sizeof name, "(or %s", option->name);
        assert_int_equal(strstr(help, name) != NULL, option->kind != MOTE_OPTION_UNBUILT);
    }
    for (const char *line = help; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        assert_in_range(end - line, 0, 100);
        line = end + 1;
    }
    free(help);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_flags_agree),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_flag_over_environment_over_default),
        cmocka_unit_test(test_wrong_flags),
        cmocka_unit_test(test_values_at_their_bounds),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_unbuilt_options_are_refused_not_ignored),
        cmocka_unit_test(test_all_problems_at_once),
        cmocka_unit_test(test_only_the_groups_that_are_wanted),
        cmocka_unit_test(test_slips_of_the_pen),
        cmocka_unit_test(test_secrets_are_checked),
        cmocka_unit_test(test_secrets_leave_the_environment),
        cmocka_unit_test_setup_teardown(test_secret_files, set_up_folder, tear_down_folder),
        cmocka_unit_test_setup_teardown(test_one_line_end_is_dropped, set_up_folder, tear_down_folder),
        cmocka_unit_test_setup_teardown(test_key_files, set_up_folder, tear_down_folder),
        cmocka_unit_test_setup_teardown(test_secret_files_that_are_none, set_up_folder, tear_down_folder),
        cmocka_unit_test_setup_teardown(test_secret_both_ways, set_up_folder, tear_down_folder),
        cmocka_unit_test_setup_teardown(test_credentials_directory, set_up_folder, tear_down_folder),
        cmocka_unit_test(test_names_for_traces_alone),
        cmocka_unit_test(test_values_are_printed_without_secrets),
        cmocka_unit_test(test_help_and_reference_name_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
