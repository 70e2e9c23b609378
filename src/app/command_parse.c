/* SPDX-License-Identifier: Apache-2.0 */
/* From a command line to a command and what it was given; see command.h. */
#include <stdlib.h>
#include <string.h>

#include "app/command.h"

/* Words of `name` that the arguments begin with; 0 unless all of them do. */
static size_t match(const char *name, size_t count, char *const *arguments)
{
    for (size_t words = 0; words < count; words++) {
        size_t length = strcspn(name, " ");
        if (strlen(arguments[words]) != length || strncmp(arguments[words], name, length) != 0) {
            return 0;
        }
        if (name[length] == '\0') {
            return words + 1;
        }
        name += length + 1;
    }
    return 0;
}

const struct mote_command *mote_command_find(size_t *words, size_t count, char *const *arguments)
{
    const struct mote_command *command;
    for (size_t i = 0; (command = mote_command_at(i)) != NULL; i++) {
        *words = match(command->name, count, arguments);
        if (*words > 0) {
            return command;
        }
    }
    return NULL;
}

bool mote_command_wants_help(size_t count, char *const *arguments)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

/* Whether this flag of an option has its value in the next argument: what stands there is no operand. */
static bool takes_next(const char *argument)
{
    const struct mote_option *option;
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        char flag[MOTE_OPTION_FLAG_MAX];
        mote_options_flag(flag, option);
        size_t length = strlen(flag);
        bool is_secret = option->kind == MOTE_OPTION_SECRET;
        if (strncmp(argument, flag, length) == 0 && strcmp(argument + length, is_secret ? "-file" : "") == 0) {
            return option->kind != MOTE_OPTION_BOOL;
        }
    }
    return false;
}

static bool misuse(const char *argument, const char *why)
{
    fprintf(stderr, "mote: %s: %s\n", argument, why);
    return false;
}

/* The index of the flag, flag_count when it is none of the command's. */
static size_t find_flag(const struct mote_command *command, const char *argument, size_t length)
{
    size_t i = 0;
    while (i < command->flag_count &&
           (strlen(command->flags[i].name) != length || strncmp(command->flags[i].name, argument, length) != 0)) {
        i++;
    }
    return i;
}

/* Takes argument *i, and the one behind it when it is the flag's value. */
static bool take_flag(const struct mote_command_flag *flag, const char **value, size_t count, char **arguments,
                      size_t *i)
{
    const char *equals = strchr(arguments[*i], '=');
    if (flag->value == NULL) {
        *value = "";
        return equals == NULL || misuse(flag->name, "it takes no value");
    }
    if (equals != NULL) {
        *value = equals + 1;
    } else if (*i + 1 < count) {
        *value = arguments[++*i];
    } else {
        return misuse(flag->name, "a value is missing behind it");
    }
    return true;
}

bool mote_command_parse(struct mote_command_call *call, const struct mote_command *command, size_t count,
                        char **arguments)
{
    *call = (struct mote_command_call){.command = command, .rest = arguments};
    for (size_t i = 0; i < command->flag_count; i++) {
        call->values[i] = command->flags[i].standard;
    }
    for (size_t i = 0; i < count; i++) {
        size_t flag = find_flag(command, arguments[i], strcspn(arguments[i], "="));
        if (flag < command->flag_count) {
            if (!take_flag(&command->flags[flag], &call->values[flag], count, arguments, &i)) {
                return false;
            }
        } else if (command->operand != NULL && call->operand == NULL &&
                   (arguments[i][0] != '-' || arguments[i][1] == '\0')) {
            call->operand = arguments[i];
        } else {
            bool pair = takes_next(arguments[i]) && i + 1 < count;
            arguments[call->rest_count++] = arguments[i];
            if (pair) {
                arguments[call->rest_count++] = arguments[++i];
            }
        }
    }
    if (command->operand != NULL && call->operand == NULL) {
        return misuse(command->name, "what it is to be done with is missing: see --help");
    }
    if (command->groups == 0 && call->rest_count > 0) {
        return misuse(arguments[0], arguments[0][0] == '-' ? "there is no such flag" : "unexpected argument");
    }
    return true;
}
