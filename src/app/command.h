/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands, and what they share. A command is one constant struct: it drives the reading of its flags, `--help`,
 * `mote help` and docs/reference/commands.md, so that they cannot differ.
 */
#ifndef MOTE_APP_COMMAND_H
#define MOTE_APP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "app/log_sink.h"
#include "app/options.h"
#include "base/slice.h"

#define MOTE_COMMAND_FLAGS_MAX 12u

struct mote_command_flag {
    const char *name;     /* "--addr" */
    const char *value;    /* what the help calls the value behind it; NULL: it has none */
    const char *standard; /* the value when it is not given; NULL: none */
    const char *meaning;
};

struct mote_command_call;

struct mote_command {
    const char *name;    /* one word or two: "user list" */
    const char *operand; /* what the help calls the one argument that is no flag, which must be there; NULL: none */
    const char *meaning; /* a line; ends without a full stop */
    const char *details; /* sentences for --help and the reference page; NULL: none */
    const struct mote_command_flag *flags;
    size_t flag_count;
    uint32_t groups;  /* bits 1 << enum mote_option_group: options that it takes, by flag and environment */
    bool makes_store; /* where there is none; the others refuse, for its path is mistyped then */
    int misuse;       /* exit code of a wrong command line; 0 means MOTE_EXIT_USAGE */
    int (*run)(const struct mote_command_call *call); /* returns the exit code */
};

/* One use of a command: what its command line said. */
struct mote_command_call {
    const struct mote_command *command;
    const char *values[MOTE_COMMAND_FLAGS_MAX]; /* of the flags, in their order; "" for one without a value */
    const char *operand;
    size_t rest_count; /* what is left: flags of options */
    char **rest;
};

/* X(name): mote_command_<name>, in the order of the help. */
#define MOTE_COMMAND_MAP(X)                                                                                            \
    X(serve)                                                                                                           \
    X(healthcheck)                                                                                                     \
    X(probe)                                                                                                           \
    X(user_create)                                                                                                     \
    X(user_list)                                                                                                       \
    X(user_show)                                                                                                       \
    X(user_set_password)                                                                                               \
    X(user_enable)                                                                                                     \
    X(user_disable)                                                                                                    \
    X(user_delete)                                                                                                     \
    X(user_export)                                                                                                     \
    X(user_import)                                                                                                     \
    X(token_mint)                                                                                                      \
    X(token_inspect)                                                                                                   \
    X(token_verify)                                                                                                    \
    X(store_backup)                                                                                                    \
    X(store_check)                                                                                                     \
    X(store_restore)                                                                                                   \
    X(audit_list)                                                                                                      \
    X(config)                                                                                                          \
    X(version)                                                                                                         \
    X(help)

#define X(name) extern const struct mote_command mote_command_##name;
MOTE_COMMAND_MAP(X)
#undef X

/* Every command, in the order of the help; NULL past the end. */
const struct mote_command *mote_command_at(size_t index);

/* --- reading a command line -------------------------------------------------------------------------------------- */

/* The command that the first words name; *words becomes how many they are. NULL when there is none. */
const struct mote_command *mote_command_find(size_t *words, size_t count, char *const *arguments);
/* Takes what is the command's own out of `arguments`. False, with a line on standard error, when a value or the operand
 * is missing, or when something is left and the command takes no options. */
bool mote_command_parse(struct mote_command_call *call, const struct mote_command *command, size_t count,
                        char **arguments);
/* True when one of them is --help or -h. */
bool mote_command_wants_help(size_t count, char *const *arguments);
/* The commands whose name begins with this word, one a line; how many there are. NULL: all. */
size_t mote_command_print_list(FILE *out, const char *word);
void mote_command_print_help(FILE *out, const struct mote_command *command);
void mote_command_print_reference(FILE *out);

/* --- options and log --------------------------------------------------------------------------------------------- */

/* Loads the options of the command's groups, telling problems on standard error. 0, or the exit code; *options must be
 * disposed of in any case. */
int mote_command_load_options(struct mote_options *options, const struct mote_command_call *call);
/* The log on standard error, as the options say. 0, or the exit code. */
int mote_command_open_log(struct mote_log_sink **out, const struct mote_options *options);
/* Writes what is left of the log. NULL is fine. */
void mote_command_close_log(struct mote_log_sink *sink);

/* --- clients and secrets ----------------------------------------------------------------------------------------- */

#define MOTE_COMMAND_ADDRESS_MAX 256u

/* The first flags of every command that asks a server. */
enum {
    MOTE_COMMAND_FLAG_ADDR,
    MOTE_COMMAND_FLAG_TLS_CA,
    MOTE_COMMAND_FLAG_TLS_NAME,
    MOTE_COMMAND_FLAG_TLS_CERT,
    MOTE_COMMAND_FLAG_TLS_KEY,
    MOTE_COMMAND_DIAL_FLAGS
};

#define MOTE_COMMAND_DIAL_FLAG_ROWS                                                                                    \
    [MOTE_COMMAND_FLAG_ADDR] = {"--addr", "ADDRESS", NULL,                                                             \
                                "the server; without it, the first address of LISTEN, or 127.0.0.1:50051"},            \
    [MOTE_COMMAND_FLAG_TLS_CA] = {"--tls-ca", "FILE", NULL,                                                            \
                                  "speak TLS, and trust servers signed by an authority of this file; without it, "     \
                                  "where TLS_CERT_FILE is set, speak TLS and trust that very certificate"},            \
    [MOTE_COMMAND_FLAG_TLS_NAME] = {"--tls-name", "NAME", NULL,                                                        \
                                    "the name in the server's certificate; without it, the host of the address"},      \
    [MOTE_COMMAND_FLAG_TLS_CERT] = {"--tls-cert", "FILE", NULL,                                                        \
                                    "the certificate to show to a server that asks for one"},                          \
    [MOTE_COMMAND_FLAG_TLS_KEY] = {"--tls-key", "FILE", NULL, "its key; without it, the key is in --tls-cert"}

struct mote_dial;

/* Connects as the flags say; `for_health`, and they say nothing: to HEALTH_LISTEN where it is set. False, with a line
 * on standard error, when it cannot. */
bool mote_command_dial(struct mote_dial **out, const struct mote_command_call *call, bool for_health,
                       uint64_t timeout_ns);

/* Where a server that listens at `listen` (NULL, "": LISTEN's default) is to be found: the first address, loopback in
 * the place of any address. */
void mote_command_default_address(char out[MOTE_COMMAND_ADDRESS_MAX], const char *listen);
/* "2s"; false, with a line on standard error that names the flag, for anything else. */
bool mote_command_parse_duration(uint64_t *out_ns, const char *flag, const char *text);
/* Reads a secret from a descriptor: at most `size` - 1 bytes, one line end behind it dropped. Its length, or -1 with a
 * line on standard error. */
int mote_command_read_secret(int fd, const char *what, char *out, size_t size);

/* "0.1.0", "0.1.0 (git abc1234, gcc 12.2.0, …)". Static. */
const char *mote_command_version_number(void);
const char *mote_command_version_text(void);
/* The same as labels of a metric. */
const char *mote_command_build_labels(void);

#endif
