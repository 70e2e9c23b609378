/* SPDX-License-Identifier: Apache-2.0 */
/* `mote config`: what the settings are, what is wrong with them, and the reference page of them. */
#include <stdio.h>

#include "app/command.h"
#include "app/exit_code.h"

int mote_command_config(size_t count, char **arguments)
{
    bool check = false;
    bool reference = false;
    const struct mote_command_flag flags[] = {
        {"--check", NULL, &check, "only tell what is wrong"},
        {"--reference", NULL, &reference, "print docs/reference/configuration.md"},
    };
    if (mote_command_wants_help(count, arguments)) {
        puts("mote config: prints every setting with its value and where it came from\n");
        mote_command_print_flags(flags, sizeof flags / sizeof flags[0]);
        return MOTE_EXIT_OK;
    }
    if (!mote_command_take_flags(&count, arguments, flags, sizeof flags / sizeof flags[0])) {
        return MOTE_EXIT_USAGE;
    }
    if (reference) {
        mote_options_print_reference(stdout);
        return MOTE_EXIT_OK;
    }
    struct mote_options options;
    int code = mote_command_load_options(&options, MOTE_OPTION_ALL_GROUPS, count, arguments);
    if (!check && code != MOTE_EXIT_USAGE && code != MOTE_EXIT_OS) {
        mote_options_print_values(stdout, &options);
    }
    mote_options_dispose(&options);
    return code;
}
