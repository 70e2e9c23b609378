/* SPDX-License-Identifier: Apache-2.0 */
/* The program's door: from the first words to a command. Without any it is the server. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#ifdef MOTE_STATIC
#include <nss.h>
#endif

#include "app/command.h"
#include "app/exit_code.h"

static int run_help(const struct mote_command_call *call)
{
    if (call->values[0] != NULL) {
        mote_command_print_reference(stdout);
        return MOTE_EXIT_OK;
    }
    puts("mote: a gRPC server with users, logins and health\n\nusage: mote [serve] [options]\n");
    mote_command_print_list(stdout, NULL);
    puts("\nBehind any of them, --help tells more. Options of the server, by flag or environment variable:");
    mote_options_print_help(stdout, MOTE_OPTION_ALL_GROUPS);
    return MOTE_EXIT_OK;
}

static const struct mote_command_flag help_flags[] = {
    {"--reference", NULL, NULL, "print docs/reference/commands.md"},
};

const struct mote_command mote_command_help = {
    .name = "help",
    .meaning = "prints the commands and the server's options",
    .flags = help_flags,
    .flag_count = sizeof help_flags / sizeof help_flags[0],
    .run = run_help,
};

const struct mote_command *mote_command_at(size_t index)
{
    static const struct mote_command *const commands[] = {
#define X(name) &mote_command_##name,
        MOTE_COMMAND_MAP(X)
#undef X
    };
    return index < sizeof commands / sizeof commands[0] ? commands[index] : NULL;
}

/* "mote user", and "mote user --help": what there is of it. */
static int list_group(size_t count, char *const *arguments)
{
    bool wanted = mote_command_wants_help(count, arguments);
    FILE *out = wanted ? stdout : stderr;
    if (mote_command_print_list(out, arguments[0]) > 0) {
        if (count > 1 && !wanted) {
            fprintf(stderr, "mote: there is no command \"%s %s\"\n", arguments[0], arguments[1]);
        }
        return wanted ? MOTE_EXIT_OK : MOTE_EXIT_USAGE;
    }
    fprintf(stderr, "mote: there is no \"%s\"; mote help lists the commands\n", arguments[0]);
    return MOTE_EXIT_USAGE;
}

static int run(const struct mote_command *command, size_t count, char **arguments)
{
    struct mote_command_call call;
    if (mote_command_wants_help(count, arguments)) {
        mote_command_print_help(stdout, command);
        return MOTE_EXIT_OK;
    }
    if (!mote_command_parse(&call, command, count, arguments)) {
        return command->misuse != 0 ? command->misuse : MOTE_EXIT_USAGE;
    }
    int code = command->run(&call);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == MOTE_EXIT_OK) {
        fprintf(stderr, "mote: cannot write to standard output\n");
        code = MOTE_EXIT_IO;
    }
    return code;
}

/* Static, libc would still load the libraries of a machine that /etc/nsswitch.conf names, into a program that they were
 * not made for. Files and DNS it has itself. */
static void look_up_alone(void)
{
#ifdef MOTE_STATIC
    (void)__nss_configure_lookup("passwd", "files");
    (void)__nss_configure_lookup("group", "files");
    (void)__nss_configure_lookup("hosts", "files dns");
#endif
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? (size_t)argc - 1 : 0;
    char **arguments = argv + 1;
    size_t words = 0;
    look_up_alone();
    signal(SIGPIPE, SIG_IGN); /* a peer, or a reader of our output, that is gone is an error like any other */
    const struct mote_command *command = mote_command_find(&words, count, arguments);
    if (count > 0 && strcmp(arguments[0], "--version") == 0) {
        command = &mote_command_version;
        words = 1;
    } else if (count == 0 || strncmp(arguments[0], "-", 1) == 0) {
        command = mote_command_wants_help(count, arguments) ? &mote_command_help : &mote_command_serve;
        count = command == &mote_command_help ? 0 : count;
    }
    return command != NULL ? run(command, count - words, arguments + words) : list_group(count, arguments);
}
