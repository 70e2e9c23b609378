/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the tables that the program works by, as JSON, one row a line: limits, fixed bounds, what is registered and
 * who may call it, the bounds of every message's fields, failures, field rules. `make_pages` writes the reference from
 * it. Services are registered and access is looked up by the functions that the program itself uses, so that the page
 * cannot say something else.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/access_log.h"
#include "app/log_line.h"
#include "base/log.h"
#include "codec/codec.h"
#include "rpc/health.h"
#include "rpc/reflection.h"
#include "rpc/server.h"
#include "security/claims.h"
#include "security/keyring.h"
#include "security/password.h"
#include "services/failure.h"
#include "services/filter.h"
#include "services/page_token.h"
#include "services/revocation.h"
#include "services/rules.h"
#include "services/services.h"
#include "services/spans.h"
#include "store/store.h"
#include "telemetry/metrics.h"
#include "telemetry/otlp.h"
#include "telemetry/span.h"
#include "wire/h2.h"
#include "wire/limits.h"
#include "wire/status.h"

#define TYPES_MAX 128u /* message types that are printed */

/* --- JSON -------------------------------------------------------------------------------------------------------- */

static void print_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }
        putchar(*text);
    }
    putchar('"');
}

static void begin_row(const char *table)
{
    printf("{\"table\": ");
    print_string(table);
}

static void print_text(const char *name, const char *text)
{
    printf(", ");
    print_string(name);
    printf(": ");
    print_string(text);
}

static void print_number(const char *name, uint64_t number)
{
    printf(", ");
    print_string(name);
    printf(": %llu", (unsigned long long)number);
}

static void end_row(void)
{
    puts("}");
}

static void must(int result)
{
    if (result != 0) {
        fprintf(stderr, "print_tables: %s\n", mote_error_name(result));
        exit(1);
    }
}

/* --- limits ------------------------------------------------------------------------------------------------------ */

static void print_limits(void)
{
    const struct mote_limit_description *row;
    for (size_t i = 0; (row = mote_limits_describe(i)) != NULL; i++) {
        begin_row("limit");
        print_text("name", row->name);
        print_number("default", row->standard);
        print_text("unit", row->unit);
        print_text("stops", row->stops);
        end_row();
    }
}

static void print_fixed_bounds(void)
{
    static const struct {
        const char *name;
        uint64_t value;
        const char *unit;
        const char *what;
    } bounds[] = {
#define BOUND(name, unit, what) {#name, name, unit, what}
        BOUND(MOTE_H2_RECV_MAX, "bytes", "read from a connection in one pass"),
        BOUND(MOTE_CODEC_DEPTH_MAX, "count", "nested messages in a request"),
        BOUND(MOTE_CODEC_VIOLATIONS_MAX, "count", "fields at fault that one answer names"),
        BOUND(MOTE_JWT_LENGTH_MAX, "bytes", "an access token"),
        BOUND(MOTE_JWT_KID_MAX, "bytes", "a key's id"),
        BOUND(MOTE_CLAIMS_MEMBERS_MAX, "count", "claims of a token"),
        BOUND(MOTE_CLAIMS_ELEMENTS_MAX, "count", "audiences of a token"),
        BOUND(MOTE_CLAIMS_DEPTH_MAX, "count", "nesting of a token's JSON"),
        BOUND(MOTE_KEYRING_KEYS_MAX, "count", "keys of the keyring"),
        BOUND(MOTE_SECRET_MIN, "bytes", "of a secret, at least"),
        BOUND(MOTE_SECRET_MAX, "bytes", "of a secret, at most"),
        BOUND(MOTE_PASSWORD_MAX, "bytes", "a password"),
        BOUND(MOTE_PASSWORD_QUEUE_MAX, "count", "passwords that wait to be hashed"),
        BOUND(MOTE_PASSWORD_MEMORY_MAX, "KiB", "memory that a stored password hash may ask for"),
        BOUND(MOTE_RULES_PAGE_MAX, "count", "users on a page of a list"),
        BOUND(MOTE_PAGE_TOKEN_LIFETIME, "seconds", "life of a page token"),
        BOUND(MOTE_REVOCATION_MAX, "count", "revoked sessions and users that a worker remembers"),
        BOUND(MOTE_STORE_WRITES_MAX, "count", "writes that wait for the store"),
        BOUND(MOTE_STORE_CHANGES_MAX, "count", "changes that are kept for workers that lag behind"),
        BOUND(MOTE_STORE_FEED_MAX, "count", "changes of users that WatchUsers can go back by, however old"),
        BOUND(MOTE_REFLECTION_FILES_MAX, "count", "files that reflection describes"),
        BOUND(MOTE_HEALTH_SERVICES_MAX, "count", "names that health knows"),
#undef BOUND
    };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        begin_row("fixed");
        print_text("name", bounds[i].name);
        print_number("value", bounds[i].value);
        print_text("unit", bounds[i].unit);
        print_text("what", bounds[i].what);
        end_row();
    }
}

/* --- services ---------------------------------------------------------------------------------------------------- */

struct types {
    const struct mote_message_type *seen[TYPES_MAX];
    size_t count;
};

static void print_type(struct types *types, const struct mote_message_type *type)
{
    for (size_t i = 0; i < types->count; i++) {
        if (types->seen[i] == type) {
            return;
        }
    }
    if (types->count == TYPES_MAX) {
        must(MOTE_ELIMIT);
    }
    types->seen[types->count++] = type;
    for (size_t i = 0; i < type->rule_count; i++) {
        const struct mote_field_rule *rule = &type->rules[i];
        begin_row("field");
        print_text("message", type->name);
        print_text("name", rule->name);
        print_number("number", rule->number);
        if ((rule->wire_type == MOTE_WIRE_STRING || rule->wire_type == MOTE_WIRE_BYTES) &&
            rule->max_length != UINT32_MAX) {
            print_number("max_length", rule->max_length);
        }
        if ((rule->flags & MOTE_FIELD_REPEATED) != 0 && rule->max_count != UINT32_MAX) {
            print_number("max_count", rule->max_count);
        }
        end_row();
        if (rule->wire_type == MOTE_WIRE_MESSAGE) {
            print_type(types, rule->message);
        }
    }
}

static const char *kind_name(enum mote_call_kind kind)
{
    switch (kind) {
    case MOTE_CALL_UNARY:
        return "unary";
    case MOTE_CALL_CLIENT_STREAM:
        return "client stream";
    case MOTE_CALL_SERVER_STREAM:
        return "server stream";
    case MOTE_CALL_BIDI_STREAM:
        return "bidirectional stream";
    }
    return "";
}

static void print_access(const char *name, uint32_t who)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {
        {MOTE_ACCESS_PUBLIC, "public"},   {MOTE_ACCESS_USER, "any user"}, {MOTE_ACCESS_SELF, "self"},
        {MOTE_ACCESS_SERVICE, "service"}, {MOTE_ACCESS_ADMIN, "admin"},
    };
    printf(", ");
    print_string(name);
    printf(": [");
    const char *separator = "";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((who & names[i].bit) != 0) {
            printf("%s", separator);
            print_string(names[i].name);
            separator = ", ";
        }
    }
    printf("]");
}

/* Everything the program serves, with these settings; nothing of it is called. */
struct registry {
    struct mote_limits limits;
    struct mote_services services;
    struct mote_health *health;
    struct mote_server *server;
};

static void registry_init(struct registry *registry, bool signup_open)
{
    *registry = (struct registry){.services = {.signup_open = signup_open, .reflection = true}};
    struct mote_mem *mem = mote_mem_system();
    mote_limits_init(&registry->limits);
    registry->services.log = mote_log_none();
    struct mote_server_options options = {.limits = &registry->limits, .log = mote_log_none(), .worker_count = 1};
    options.access = mote_services_access(&registry->services, &options.access_count);
    must(mote_server_new(&registry->server, mem, &options));
    must(mote_services_register(&registry->services, registry->server));
    must(mote_health_new(&registry->health, mem));
    must(mote_health_register(registry->health, registry->server));
    must(mote_reflection_register(registry->server));
    must(mote_server_check(registry->server));
}

static void registry_dispose(struct registry *registry)
{
    mote_server_free(registry->server);
    mote_health_free(registry->health);
}

static void print_services(const struct registry *closed, const struct registry *open)
{
    struct types types = {.count = 0};
    const struct mote_service *service;
    for (size_t i = 0; (service = mote_server_service_at(closed->server, i)) != NULL; i++) {
        for (size_t j = 0; j < service->method_count; j++) {
            const struct mote_method *method = &service->methods[j];
            begin_row("method");
            print_text("service", service->name);
            print_text("name", method->name);
            print_text("kind", kind_name(method->kind));
            print_text("request", method->request->name);
            print_text("response", method->response->name);
            print_number("request_max",
                         method->request_max != 0 ? method->request_max : closed->limits.message_receive_max);
            print_access("who", mote_server_access(closed->server, method->path));
            print_access("who_with_signup", mote_server_access(open->server, method->path));
            end_row();
            print_type(&types, method->request);
            print_type(&types, method->response);
        }
    }
}

/* --- refusals ---------------------------------------------------------------------------------------------------- */

static void print_failures(void)
{
    static const char *const when[] = {
#define X(reason, status, text, retry, when) when,
        MOTE_FAILURE_MAP(X)
#undef X
    };
    for (unsigned id = 0; id < MOTE_FAILURE_COUNT; id++) {
        const struct mote_failure *row = mote_failure_row((enum mote_failure_id)id);
        begin_row("failure");
        print_text("reason", row->reason);
        print_text("status", mote_status_name(row->status));
        print_text("text", row->message);
        print_number("retry_after_ms", (uint64_t)row->retry_after_ms);
        print_text("when", when[id]);
        end_row();
    }
}

/* `text` is what a rule said of a value that breaks it. */
static void print_rule(const char *field, const char *text)
{
    must(text != NULL ? 0 : MOTE_EINVAL);
    begin_row("rule");
    print_text("field", field);
    print_text("text", text);
    end_row();
}

static const char *check_password(struct mote_slice password)
{
    return mote_rules_password(password, mote_slice_text("some.body"), mote_slice_text("some@body.example"));
}

/* Asks the rules about values, one for each thing they can say; the page takes what they say. */
static void print_text_rules(void)
{
    static const char long_text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const struct {
        const char *field;
        const char *(*check)(struct mote_slice value);
        const char *samples[6];
    } rules[] = {
        {"username", mote_rules_username, {""}},
        {"email", mote_rules_email, {"a", "a b@c.d", "a@b@c.d", "%s@c.d", "a@domain"}},
        {"display_name", mote_rules_display_name, {"\x01", "%s", " "}},
        {"password", check_password, {"short", "\xff\xff\xff\xff\xff\xff\xff\xff", "Some.Body", "password"}},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        for (size_t j = 0; rules[i].samples[j] != NULL; j++) {
            char value[sizeof long_text + 16];
            const char *sample = rules[i].samples[j];
            const bool is_long = strncmp(sample, "%s", 2) == 0;
            (void)snprintf(value, sizeof value, "%s%s", is_long ? long_text : sample, is_long ? sample + 2 : "");
            print_rule(rules[i].field, rules[i].check(mote_slice_text(value)));
        }
    }
}

/* A filter for each thing that can be said of one. */
static void print_filter_rules(void)
{
    static const char *const samples[] = {
        "x",
        "state",
        "state = x",
        "state = ACTIVE AND state = ACTIVE",
        "role = x",
        "username = x",
        "username = \"a\" AND username = \"b\"",
        "email = \"a\" AND email = \"b\"",
        "email = \"",
        "email = \"\\a\"",
        "email = \"a*b\"",
        "email = \"\"",
        "username = \"abcdefghijklmnopqrstuvwxyz0123456789\"",
        "create_time < \"\"",
        "create_time < \"2026-01-31T12:00:00Z\" AND create_time < \"2026-01-31T12:00:00Z\"",
        "state = ACTIVE OR",
        "role = USER AND role = USER AND role = USER AND role = USER AND role = USER",
    };
    struct mote_store_filter filter;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        print_rule("filter", mote_filter_parse(&filter, samples[i]));
    }
}

static void print_other_rules(void)
{
    static const user_v1_Role roles[] = {user_v1_Role_ROLE_USER, user_v1_Role_ROLE_USER, user_v1_Role_ROLE_USER,
                                         user_v1_Role_ROLE_USER, user_v1_Role_ROLE_USER};
    static const user_v1_Role none[] = {user_v1_Role_ROLE_UNSPECIFIED};
    uint32_t out;
    print_rule("roles", mote_rules_roles(&out, roles, 5));
    print_rule("roles", mote_rules_roles(&out, none, 1));
    print_rule("roles", mote_rules_roles(&out, roles, 2));
    print_rule("page_size", mote_rules_page_size(&out, -1));
}

static void print_metrics(void)
{
    struct mote_metric_description row;
    for (size_t i = 0; mote_metrics_describe(i, &row); i++) {
        begin_row("metric");
        print_text("name", row.name);
        print_text("type", row.type);
        print_text("labels", row.labels);
        print_text("value", row.value);
        print_text("help", row.help);
        end_row();
    }
}

/* --- traces and logs --------------------------------------------------------------------------------------------- */

static void print_named(const char *kind, const char *name, const char *says)
{
    begin_row(kind);
    print_text("name", name);
    print_text("says", says);
    end_row();
}

static void print_traces(void)
{
#define X(constant, name_, spans, says_)                                                                               \
    begin_row("span attribute");                                                                                       \
    print_text("name", name_);                                                                                         \
    print_text("spans", spans);                                                                                        \
    print_text("says", says_);                                                                                         \
    end_row();
    MOTE_SPAN_ATTRIBUTE_MAP(X)
#undef X
#define X(constant, name, says) print_named("span event", name, says);
    MOTE_SPAN_EVENT_MAP(X)
#undef X
#define X(constant, name, says) print_named("resource", name, says);
    MOTE_OTLP_RESOURCE_MAP(X)
#undef X
#define X(constant, name) print_named("write", name, "");
    MOTE_STORE_WRITE_MAP(X)
#undef X
#define X(constant, name) print_named("hash", name, "");
    MOTE_SPANS_PASSWORD_MAP(X)
#undef X
}

static void print_logs(void)
{
#define X(constant, name, says) print_named("line field", name, says);
    MOTE_LOG_LINE_FIELD_MAP(X)
#undef X
#define X(constant, name, says) print_named("access field", name, says);
    MOTE_ACCESS_LOG_FIELD_MAP(X)
#undef X
}

int main(void)
{
    struct registry closed;
    struct registry open;
    registry_init(&closed, false);
    registry_init(&open, true);
    print_limits();
    print_fixed_bounds();
    print_services(&closed, &open);
    print_failures();
    print_text_rules();
    print_filter_rules();
    print_other_rules();
    print_metrics();
    print_traces();
    print_logs();
    registry_dispose(&open);
    registry_dispose(&closed);
    return fflush(stdout) == 0 ? 0 : 1;
}
