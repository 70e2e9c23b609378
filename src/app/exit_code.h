/* SPDX-License-Identifier: Apache-2.0 */
/* How the program ends: the numbers of sysexits.h, said once, and what becomes which. */
#ifndef MOTE_APP_EXIT_CODE_H
#define MOTE_APP_EXIT_CODE_H

#include <stddef.h>

/* X(constant, number, "meaning") */
#define MOTE_EXIT_MAP(X)                                                                                               \
    X(MOTE_EXIT_OK, 0, "it worked; a server: every call was finished")                                                 \
    X(MOTE_EXIT_FAILED, 1, "healthcheck, probe: no; a server: the grace period ran out and calls were cut off")        \
    X(MOTE_EXIT_USAGE, 64, "the command line is wrong")                                                                \
    X(MOTE_EXIT_DATA, 65, "input is wrong, or the store is corrupt or of a newer version")                             \
    X(MOTE_EXIT_NO_INPUT, 66, "a file that was named is missing")                                                      \
    X(MOTE_EXIT_UNAVAILABLE, 69, "the store cannot be reached")                                                        \
    X(MOTE_EXIT_SOFTWARE, 70, "a bug in mote")                                                                         \
    X(MOTE_EXIT_OS, 71, "the system gave no memory, thread or random bytes")                                           \
    X(MOTE_EXIT_CANNOT_CREATE, 73, "the store's folder is missing or not writable")                                    \
    X(MOTE_EXIT_IO, 74, "the store is read-only, full or failing")                                                     \
    X(MOTE_EXIT_TEMPORARY, 75, "the address is in use, or the store is locked by another mote")                        \
    X(MOTE_EXIT_NO_PERMISSION, 77, "listening there is not permitted")                                                 \
    X(MOTE_EXIT_CONFIG, 78, "a setting is wrong")

enum mote_exit_code {
#define X(constant, number, text) constant = number,
    MOTE_EXIT_MAP(X)
#undef X
};

struct mote_exit_description {
    enum mote_exit_code code;
    const char *meaning;
};

/* Row `index` of the list, NULL past the end. Static. */
const struct mote_exit_description *mote_exit_code_describe(size_t index);
/* What a failed mote_store_open, or an operation on the store, ends a command with. */
enum mote_exit_code mote_exit_code_of_store(int error);
/* What a failed mote_runtime_start ends the server with. */
enum mote_exit_code mote_exit_code_of_runtime(int error);

#endif
