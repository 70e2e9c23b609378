/* SPDX-License-Identifier: Apache-2.0 */
/* What this program is made of, as the build wrote it down. */
#include <stdio.h>

#include "app/command.h"
#include "app/exit_code.h"
#include "mote_version.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *mote_command_version_number(void)
{
    return MOTE_VERSION;
}

const char *mote_command_version_text(void)
{
    return MOTE_VERSION " (" MOTE_VERSION_GIT COMPILER ", libuv " MOTE_VERSION_LIBUV ", nghttp2 " MOTE_VERSION_NGHTTP2
                        ", mbedtls " MOTE_VERSION_MBEDTLS ", nanopb " MOTE_VERSION_NANOPB
                        ", sqlite " MOTE_VERSION_SQLITE ")";
}

const char *mote_command_build_labels(void)
{
    return "compiler=\"" COMPILER "\",revision=\"" MOTE_VERSION_BARE "\",version=\"" MOTE_VERSION "\"";
}

static int run(const struct mote_command_call *call)
{
    (void)call;
    printf("mote %s\n", mote_command_version_text());
    return MOTE_EXIT_OK;
}

const struct mote_command mote_command_version = {
    .name = "version", .meaning = "prints the versions of mote and of its libraries", .run = run};
