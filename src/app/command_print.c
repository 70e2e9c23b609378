/* SPDX-License-Identifier: Apache-2.0 */
/* The commands for people: lists, help, the reference page; see command.h. */
#include <string.h>

#include "app/command.h"
#include "app/exit_code.h"

#define MEANING_COLUMN 22 /* of a flag */

size_t mote_command_print_list(FILE *out, const char *word)
{
    size_t count = 0;
    const struct mote_command *command;
    for (size_t i = 0; (command = mote_command_at(i)) != NULL; i++) {
        size_t length = word != NULL ? strlen(word) : 0;
        if (word == NULL || (strncmp(command->name, word, length) == 0 && command->name[length] == ' ')) {
            fprintf(out, "       mote %-18s %s\n", command->name, command->meaning);
            count++;
        }
    }
    return count;
}

static void print_usage(FILE *out, const struct mote_command *command)
{
    fprintf(out, "mote %s%s%s%s%s\n", command->name, command->flag_count > 0 ? " [flags]" : "",
            command->groups != 0 ? " [options]" : "", command->operand != NULL ? " " : "",
            command->operand != NULL ? command->operand : "");
}

static void print_flag(FILE *out, const struct mote_command_flag *flag)
{
    int width =
        fprintf(out, "  %s%s%s", flag->name, flag->value != NULL ? " " : "", flag->value != NULL ? flag->value : "");
    bool has_standard = flag->standard != NULL && flag->standard[0] != '\0';
    fprintf(out, "%*s%s%s%s\n", width < MEANING_COLUMN ? MEANING_COLUMN - width : 2, "", flag->meaning,
            has_standard ? "; default: " : "", has_standard ? flag->standard : "");
}

void mote_command_print_help(FILE *out, const struct mote_command *command)
{
    fprintf(out, "mote %s: %s\n\nusage: ", command->name, command->meaning);
    print_usage(out, command);
    if (command->details != NULL) {
        fputc('\n', out);
        mote_options_print_wrapped(out, command->details, 0);
    }
    if (command->flag_count > 0) {
        fputs("\nFlags\n", out);
    }
    for (size_t i = 0; i < command->flag_count; i++) {
        print_flag(out, &command->flags[i]);
    }
    mote_options_print_help(out, command->groups);
}

static void print_section(FILE *out, const struct mote_command *command)
{
    fprintf(out, "\n## mote %s\n\nIt %s.\n\n```\n", command->name, command->meaning);
    print_usage(out, command);
    fputs("```\n", out);
    if (command->details != NULL) {
        fprintf(out, "\n%s\n", command->details);
    }
    if (command->flag_count > 0) {
        fputs("\n| flag | default | meaning |\n|---|---|---|\n", out);
    }
    for (size_t i = 0; i < command->flag_count; i++) {
        const struct mote_command_flag *flag = &command->flags[i];
        fprintf(out, "| `%s%s%s` | %s | %s |\n", flag->name, flag->value != NULL ? " " : "",
                flag->value != NULL ? flag->value : "", flag->standard != NULL ? flag->standard : "", flag->meaning);
    }
    if (command->groups == MOTE_OPTION_ALL_GROUPS) {
        fputs("\nOptions: all of [configuration.md](configuration.md).\n", out);
    } else if (command->groups != 0) {
        fputs("\nOptions of [configuration.md](configuration.md):", out);
        mote_options_print_names(out, command->groups);
        fputs(".\n", out);
    }
}

void mote_command_print_reference(FILE *out)
{
    const struct mote_command *command;
    fputs("<!-- Written by `mote help --reference`. Do not edit: change the commands' tables in src/app. -->\n"
          "# Commands\n\n"
          "A command line is `mote`, the command's words, its flags, and options by flag or environment variable; "
          "`--help` behind any of them tells its own. Answers go to standard output, everything else to standard "
          "error. Exit codes are in [configuration.md](configuration.md#exit-codes).\n",
          out);
    for (size_t i = 0; (command = mote_command_at(i)) != NULL; i++) {
        print_section(out, command);
    }
}
