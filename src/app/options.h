/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of the program. One table (option_table.h) says what there is; it makes the struct, the reading of
 * environment and flags, `mote --help`, `mote config` and docs/reference/configuration.md, so that they cannot differ.
 *
 * Sources: default < environment (NAME) < flag (--name). A secret has no flag, because command lines can be read by
 * everybody, but NAME_FILE and --name-file, whose file is read once. All problems are told in one go.
 */
#ifndef MOTE_APP_OPTIONS_H
#define MOTE_APP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "app/option_table.h"
#include "base/error.h"

/* What a kind of option is in C. */
#define MOTE_OPTION_C_TEXT         char *
#define MOTE_OPTION_C_SECRET       char *
#define MOTE_OPTION_C_COUNT        uint64_t /* 0 for the word, where the row has one ("auto") */
#define MOTE_OPTION_C_SIZE         uint64_t /* bytes; 0 as above */
#define MOTE_OPTION_C_DURATION     uint64_t /* nanoseconds */
#define MOTE_OPTION_C_MINUTES      uint64_t /* nanoseconds; a bare number means minutes */
#define MOTE_OPTION_C_MILLISECONDS uint64_t /* nanoseconds; a bare number means milliseconds */
#define MOTE_OPTION_C_BOOL         bool
#define MOTE_OPTION_C_CHOICE       unsigned /* index of the word */

enum mote_option_kind {
    MOTE_OPTION_TEXT,
    MOTE_OPTION_SECRET,
    MOTE_OPTION_COUNT,
    MOTE_OPTION_SIZE,
    MOTE_OPTION_DURATION,
    MOTE_OPTION_MINUTES,
    MOTE_OPTION_MILLISECONDS,
    MOTE_OPTION_BOOL,
    MOTE_OPTION_CHOICE,
    MOTE_OPTION_UNBUILT, /* known, but its part is not built: `words` is the one value it may have, or NULL */
};

enum mote_option_group {
#define X(group, title) MOTE_OPTION_GROUP_##group,
    MOTE_OPTION_GROUP_MAP(X)
#undef X
        MOTE_OPTION_GROUP_COUNT
};

enum mote_option_index {
#define X(field, name, kind, standard, words, minimum, maximum, group, help) MOTE_OPTION_INDEX_##name,
    MOTE_OPTION_MAP(X)
#undef X
#define X(name, accepted, group, help) MOTE_OPTION_INDEX_##name,
        MOTE_OPTION_UNBUILT_MAP(X)
#undef X
            MOTE_OPTION_INDEX_COUNT
};

/* The words of CHOICE rows, in their order. */
enum mote_signup {
    MOTE_SIGNUP_CLOSED,
    MOTE_SIGNUP_OPEN,
};
enum mote_reflection {
    MOTE_REFLECTION_AUTO,
    MOTE_REFLECTION_ON,
    MOTE_REFLECTION_OFF,
};
enum mote_tls_client_auth_choice {
    MOTE_TLS_CLIENT_AUTH_CHOICE_REQUIRED,
    MOTE_TLS_CLIENT_AUTH_CHOICE_OPTIONAL,
};
enum mote_traces_exporter {
    MOTE_TRACES_AUTO,
    MOTE_TRACES_OTLP,
    MOTE_TRACES_NONE,
};
enum mote_otlp_compression {
    MOTE_OTLP_PLAIN,
    MOTE_OTLP_GZIP,
};
enum mote_log_access {
    MOTE_LOG_ACCESS_OFF,
    MOTE_LOG_ACCESS_ERRORS,
    MOTE_LOG_ACCESS_ALL,
};
enum mote_log_format_choice {
    MOTE_LOG_FORMAT_CHOICE_AUTO,
    MOTE_LOG_FORMAT_CHOICE_JSON,
    MOTE_LOG_FORMAT_CHOICE_LOGFMT,
    MOTE_LOG_FORMAT_CHOICE_TEXT,
};

struct mote_option {
    const char *name; /* "MAX_CONNECTIONS" */
    enum mote_option_kind kind;
    const char *standard; /* the default; NULL: none */
    const char *words;    /* CHOICE: "auto|on|off"; COUNT, SIZE: a word that means 0; NULL */
    uint64_t minimum, maximum;
    enum mote_option_group group;
    const char *help;
    size_t offset; /* in struct mote_options */
};

enum mote_option_source {
    MOTE_OPTION_FROM_DEFAULT,
    MOTE_OPTION_FROM_ENVIRONMENT,
    MOTE_OPTION_FROM_FILE,
    MOTE_OPTION_FROM_FLAG,
};

struct mote_options {
#define X(field, name, kind, standard, words, minimum, maximum, group, help) MOTE_OPTION_C_##kind field;
    MOTE_OPTION_MAP(X)
#undef X
    struct {
        enum mote_option_source source;
        char *text; /* as it was given, of a secret the path of its file; NULL when not set, and of other secrets */
    } origins[MOTE_OPTION_INDEX_COUNT];
};

enum mote_option_severity {
    MOTE_OPTION_WARNING,
    MOTE_OPTION_PROBLEM,
    MOTE_OPTION_FILE_MISSING, /* a problem too */
    MOTE_OPTION_MISUSE,       /* a flag that there is not */
};

#define MOTE_OPTION_PROBLEM_MAX 256u

/* Told of each problem, but only the first of each option; `name` is an option's or a flag's. Never holds a secret. */
struct mote_option_report {
    void (*tell)(struct mote_option_report *report, enum mote_option_severity severity, const char *name,
                 const char *text);
    unsigned warnings, problems, missing_files, misuses; /* how many were told */
    bool refused[MOTE_OPTION_INDEX_COUNT];               /* a problem with it was told */
};

struct mote_option_sources {
    char **environment; /* as environ: NULL-terminated; secrets are wiped and removed from it */
    char *const *flags; /* what stands behind the subcommand */
    size_t flag_count;
    uint32_t groups; /* bits 1 << enum mote_option_group: only these are looked at, others keep their defaults */
};

#define MOTE_OPTION_ALL_GROUPS ((1u << MOTE_OPTION_GROUP_COUNT) - 1u)

/* The table; NULL past the end. Static. */
const struct mote_option *mote_options_describe(size_t index);
/* "--max-connections". */
#define MOTE_OPTION_FLAG_MAX 48u
void mote_options_flag(char out[MOTE_OPTION_FLAG_MAX], const struct mote_option *option);
/* The option that this name of an environment variable comes closest to, or NULL. */
const struct mote_option *mote_options_nearest(const char *name);

/*
 * Reads and checks everything. 0; MOTE_EINVAL when any problem was told; MOTE_ENOMEM. *out must be disposed of in any
 * case.
 */
MOTE_MUST_CHECK int mote_options_load(struct mote_options *out, const struct mote_option_sources *sources,
                                      struct mote_option_report *report);
/* Wipes secrets. Works on a zeroed struct. */
void mote_options_dispose(struct mote_options *options);

void mote_option_report_tell(struct mote_option_report *report, enum mote_option_severity severity, const char *name,
                             const char *format, ...) MOTE_PRINTF(4, 5);
/* What goes beyond single values: addresses, secrets, what contradicts. Part of mote_options_load. */
void mote_options_check(const struct mote_options *options, uint32_t groups, struct mote_option_report *report);
struct mote_keyring; /* security/keyring.h */
/* The keys in the text of JWT_SECRET (`file` NULL) or of its file. MOTE_EINVAL: a problem was told; MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_options_keyring(struct mote_keyring **out, const char *text, const char *file,
                                         struct mote_option_report *report);
/* What a file of a secret holds, without one line end behind it; owned, to be wiped. NULL: a problem was told. */
char *mote_options_read_secret(const char *name, const char *path, char *const *environment,
                               struct mote_option_report *report);
/* METRICS_FLAVOR as bits of enum mote_metric_flavor; 0: not a list of them. */
unsigned mote_options_metrics_flavors(const char *list);
/* HEALTH_LISTEN; NULL: off. */
const char *mote_options_health_listen(const struct mote_options *options);
/* True when everything that LISTEN names is loopback or a unix socket. */
bool mote_options_listen_is_local(const struct mote_options *options);

/* For people: the list under `mote --help`; NAME=value with its source; the page of docs/. */
void mote_options_print_help(FILE *out, uint32_t groups);
/* The names of the groups' options, with commas between them. */
void mote_options_print_names(FILE *out, uint32_t groups);
/* Words of `text`, each line `indent` spaces in and as wide as the help. */
void mote_options_print_wrapped(FILE *out, const char *text, unsigned indent);
void mote_options_print_values(FILE *out, const struct mote_options *options);
void mote_options_print_reference(FILE *out);

#endif
