/* SPDX-License-Identifier: Apache-2.0 */
/* What subcommands share; see command.h. */
#include "app/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/exit_code.h"
#include "app/option_value.h"
#include "base/list.h"
#include "net/dial.h"
#include "net/tls_files.h"

#define LOG_PATIENCE_NS (uint64_t) MOTE_NS_PER_SECOND

/* --- options ----------------------------------------------------------------------------------------------------- */

static void tell(struct mote_option_report *report, enum mote_option_severity severity, const char *name,
                 const char *text)
{
    (void)report;
    switch (severity) {
    case MOTE_OPTION_WARNING:
        fprintf(stderr, "warning: config: %s: %s\n", name, text);
        break;
    case MOTE_OPTION_PROBLEM:
    case MOTE_OPTION_FILE_MISSING:
        fprintf(stderr, "config: %s: %s\n", name, text);
        break;
    case MOTE_OPTION_MISUSE:
        fprintf(stderr, "mote: %s: %s; --help behind the command lists what there is\n", name, text);
        break;
    }
}

int mote_command_load_options(struct mote_options *options, const struct mote_command_call *call)
{
    struct mote_option_report report = {.tell = tell};
    struct mote_option_sources sources = {
        .environment = environ, .flags = call->rest, .flag_count = call->rest_count, .groups = call->command->groups};
    int error = mote_options_load(options, &sources, &report);
    if (error == 0) {
        return MOTE_EXIT_OK;
    }
    if (error != MOTE_EINVAL) {
        fprintf(stderr, "mote: %s\n", mote_error_text(error));
        return MOTE_EXIT_OS;
    }
    if (report.misuses > 0) {
        return MOTE_EXIT_USAGE;
    }
    return report.missing_files == report.problems ? MOTE_EXIT_NO_INPUT : MOTE_EXIT_CONFIG;
}

int mote_command_open_log(struct mote_log_sink **out, const struct mote_options *options)
{
    const char *journal = getenv("JOURNAL_STREAM");
    const char *no_color = getenv("NO_COLOR");
    struct mote_log_sink_options sink = {
        .fd = STDERR_FILENO, .level = (enum mote_log_level)options->log_level, .clock = mote_clock_system()};
    static const enum mote_log_format formats[] = {
        [MOTE_LOG_FORMAT_CHOICE_JSON] = MOTE_LOG_FORMAT_JSON,
        [MOTE_LOG_FORMAT_CHOICE_LOGFMT] = MOTE_LOG_FORMAT_LOGFMT,
        [MOTE_LOG_FORMAT_CHOICE_TEXT] = MOTE_LOG_FORMAT_TEXT,
    };
    if (options->log_format == MOTE_LOG_FORMAT_CHOICE_AUTO) {
        sink.style = mote_log_sink_style_auto(sink.fd, journal, no_color);
    } else {
        sink.style = mote_log_sink_style_of(formats[options->log_format], sink.fd, journal, no_color);
    }
    int error = mote_log_sink_open(out, &sink);
    if (error != 0) {
        fprintf(stderr, "mote: cannot start the log: %s\n", mote_error_text(error));
        return MOTE_EXIT_OS;
    }
    return MOTE_EXIT_OK;
}

void mote_command_close_log(struct mote_log_sink *sink)
{
    mote_log_sink_close(sink, LOG_PATIENCE_NS);
}

/* --- clients ----------------------------------------------------------------------------------------------------- */

void mote_command_default_address(char out[MOTE_COMMAND_ADDRESS_MAX], const char *listen)
{
    static const char any4[] = "0.0.0.0:";
    static const char any6[] = "[::]:";
    const char *first =
        listen != NULL && listen[0] != '\0' ? listen : mote_options_describe(MOTE_OPTION_INDEX_LISTEN)->standard;
    int length = (int)strcspn(first, strncmp(first, "unix:", 5) == 0 ? ",?" : ",");
    if (strncmp(first, any4, sizeof any4 - 1) == 0) {
        snprintf(out, MOTE_COMMAND_ADDRESS_MAX, "127.0.0.1:%.*s", length - (int)sizeof any4 + 1,
                 first + sizeof any4 - 1);
    } else if (strncmp(first, any6, sizeof any6 - 1) == 0) {
        /* it takes IPv4 too, and is 0.0.0.0 where there is no IPv6 */
        snprintf(out, MOTE_COMMAND_ADDRESS_MAX, "127.0.0.1:%.*s", length - (int)sizeof any6 + 1,
                 first + sizeof any6 - 1);
    } else {
        snprintf(out, MOTE_COMMAND_ADDRESS_MAX, "%.*s", length, first);
    }
}

/* "one.example" of "one.example:443", "::1" of "[::1]:443". */
static void copy_host(char out[MOTE_COMMAND_ADDRESS_MAX], const char *address)
{
    bool is_bracketed = address[0] == '[';
    size_t length = is_bracketed ? strcspn(++address, "]") : strcspn(address, ":");
    snprintf(out, MOTE_COMMAND_ADDRESS_MAX, "%.*s", (int)length, address);
}

bool mote_command_dial(struct mote_dial **out, const struct mote_command_call *call, bool for_health,
                       uint64_t timeout_ns)
{
    char standard[MOTE_COMMAND_ADDRESS_MAX];
    char host[MOTE_COMMAND_ADDRESS_MAX];
    char problem[MOTE_TLS_FILES_PROBLEM_MAX];
    struct mote_tls_context *tls = NULL;
    const char *address = call->values[MOTE_COMMAND_FLAG_ADDR];
    const char *authority = call->values[MOTE_COMMAND_FLAG_TLS_CA];
    const char *name = call->values[MOTE_COMMAND_FLAG_TLS_NAME];
    const char *own = getenv("TLS_CERT_FILE");
    const char *health = for_health ? getenv("HEALTH_LISTEN") : NULL;
    bool is_health =
        address == NULL && authority == NULL && health != NULL && health[0] != '\0' && strcmp(health, "off") != 0;
    mote_command_default_address(standard, is_health ? health : getenv("LISTEN"));
    address = address != NULL ? address : standard;
    bool is_own = !is_health && authority == NULL && own != NULL && own[0] != '\0' && strncmp(address, "unix", 4) != 0;
    int error = 0;
    if (strncmp(address, "systemd:", 8) == 0) {
        snprintf(problem, sizeof problem, "%s says nothing of the address: want --addr", address);
        error = MOTE_EINVAL;
    } else if (authority != NULL || is_own) {
        const struct mote_tls_client_files files = {.authorities = is_own ? own : authority,
                                                    .is_pinned = is_own,
                                                    .certificate = call->values[MOTE_COMMAND_FLAG_TLS_CERT],
                                                    .key = call->values[MOTE_COMMAND_FLAG_TLS_KEY]};
        error = mote_tls_files_load_client(&tls, &files, problem);
    } else if (call->values[MOTE_COMMAND_FLAG_TLS_CERT] != NULL || call->values[MOTE_COMMAND_FLAG_TLS_KEY] != NULL) {
        snprintf(problem, sizeof problem, "--tls-cert and --tls-key are for TLS: want --tls-ca");
        error = MOTE_EINVAL;
    }
    if (error == 0) {
        copy_host(host, name != NULL ? name : address);
        error = mote_dial_open(out, address, tls, is_own ? NULL : host, timeout_ns, problem);
    }
    mote_tls_context_unref(tls);
    if (error != 0) {
        bool is_name = authority != NULL && strstr(problem, ": TLS: ") != NULL;
        fprintf(stderr, "%s: %s%s\n", call->command->name, problem,
                is_name ? "; the name that the certificate must have is the host of --addr, or --tls-name" : "");
    }
    return error == 0;
}

bool mote_command_parse_duration(uint64_t *out_ns, const char *flag, const char *text)
{
    if (mote_option_value_duration(out_ns, mote_slice_text(text), 0) != 0 || *out_ns == 0) {
        fprintf(stderr, "mote: %s: want a duration, such as 2s\n", flag);
        return false;
    }
    return true;
}

int mote_command_read_secret(int fd, const char *what, char *out, size_t size)
{
    size_t length = 0;
    ssize_t got = 1;
    char beyond; /* there is something when the secret and a line end do not fill it all */
    while (got != 0) {
        bool full = length == size;
        got = read(fd, full ? &beyond : out + length, full ? 1 : size - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            fprintf(stderr, "mote: cannot read %s: %s\n", what, strerror(errno));
            return -1;
        }
        if (got > 0 && full) {
            break;
        }
        length += (size_t)got;
    }
    if (got > 0 || (length == size && out[size - 1] != '\n')) {
        fprintf(stderr, "mote: %s is longer than %zu bytes\n", what, size - 1);
        return -1;
    }
    length -= length > 0 && out[length - 1] == '\n';
    out[length] = '\0';
    return (int)length;
}
