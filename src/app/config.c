/* SPDX-License-Identifier: Apache-2.0 */
/* `mote config`: what the settings are, what is wrong with them, and the reference page of them. */
#include <stdio.h>

#include "app/command.h"
#include "app/exit_code.h"

static const struct mote_command_flag flags[] = {
    {"--check", NULL, NULL, "only tell what is wrong"},
    {"--reference", NULL, NULL, "print docs/reference/configuration.md"},
};

static int run(const struct mote_command_call *call)
{
    if (call->values[1] != NULL) {
        mote_options_print_reference(stdout);
        return MOTE_EXIT_OK;
    }
    struct mote_options options;
    int code = mote_command_load_options(&options, call);
    if (call->values[0] == NULL && code != MOTE_EXIT_USAGE && code != MOTE_EXIT_OS) {
        mote_options_print_values(stdout, &options);
    }
    mote_options_dispose(&options);
    return code;
}

const struct mote_command mote_command_config = {
    .name = "config",
    .meaning = "prints every setting with its value and where it came from",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .groups = MOTE_OPTION_ALL_GROUPS,
    .run = run,
};
