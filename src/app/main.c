/* SPDX-License-Identifier: Apache-2.0 */
/* The program's door: a table of subcommands. Without one it is the server. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/exit_code.h"

struct subcommand {
    const char *name;
    int (*run)(size_t count, char **arguments);
    const char *meaning;
};

static int print_help(size_t count, char **arguments);

static const struct subcommand subcommands[] = {
    {"serve", mote_command_serve, "the server (also without a subcommand)"},
    {"healthcheck", mote_command_healthcheck, "asks a server whether it serves: exit code 0 or 1"},
    {"probe", mote_command_probe, "shows that a server answers: health, a login, who that is"},
    {"user", mote_command_user, "user create: makes an account, while no server runs"},
    {"config", mote_command_config, "prints the settings; --check: only what is wrong with them"},
    {"version", mote_command_version, "prints the versions of mote and of its libraries"},
    {"help", print_help, "prints this"},
};

#define SUBCOMMANDS (sizeof subcommands / sizeof subcommands[0])

static int print_help(size_t count, char **arguments)
{
    (void)count;
    (void)arguments;
    puts("mote: a gRPC server with users, logins and health\n\nusage: mote [serve] [options]\n");
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        printf("       mote %-12s %s\n", subcommands[i].name, subcommands[i].meaning);
    }
    puts("\nOptions of the server, by flag or environment variable:");
    mote_options_print_help(stdout, MOTE_OPTION_ALL_GROUPS);
    return MOTE_EXIT_OK;
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? (size_t)argc - 1 : 0;
    char **arguments = argv + 1;
    signal(SIGPIPE, SIG_IGN); /* a peer, or a reader of our output, that is gone is an error like any other */
    if (count == 0 || (strncmp(arguments[0], "-", 1) == 0 && strcmp(arguments[0], "--version") != 0)) {
        return mote_command_wants_help(count, arguments) ? print_help(0, NULL) : mote_command_serve(count, arguments);
    }
    if (strcmp(arguments[0], "--version") == 0) {
        return mote_command_version(count - 1, arguments + 1);
    }
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        if (strcmp(arguments[0], subcommands[i].name) == 0) {
            return subcommands[i].run(count - 1, arguments + 1);
        }
    }
    fprintf(stderr, "mote: there is no subcommand \"%s\"; mote help lists them\n", arguments[0]);
    return MOTE_EXIT_USAGE;
}
