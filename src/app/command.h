/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands, and what they share. Each gets what stands behind its name and returns the exit code. */
#ifndef MOTE_APP_COMMAND_H
#define MOTE_APP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/log_sink.h"
#include "app/options.h"
#include "base/slice.h"

int mote_command_serve(size_t count, char **arguments);
int mote_command_healthcheck(size_t count, char **arguments);
int mote_command_probe(size_t count, char **arguments);
int mote_command_user(size_t count, char **arguments);
int mote_command_config(size_t count, char **arguments);
int mote_command_version(size_t count, char **arguments);

/* --- flags of a command itself ----------------------------------------------------------------------------------- */

struct mote_command_flag {
    const char *name;   /* "--addr" */
    const char **value; /* gets what stands behind it; NULL for a flag without a value */
    bool *is_set;       /* may be NULL */
    const char *meaning;
};

/* Takes the flags of `table` out of `arguments` and leaves the rest, whose number *count becomes. False, with a line on
 * standard error, when a value is missing. */
bool mote_command_take_flags(size_t *count, char **arguments, const struct mote_command_flag *table,
                             size_t table_count);
/* The same when nothing may be left over. */
bool mote_command_parse_flags(size_t count, char **arguments, const struct mote_command_flag *table,
                              size_t table_count);
/* True when one of them is --help or -h. */
bool mote_command_wants_help(size_t count, char *const *arguments);
void mote_command_print_flags(const struct mote_command_flag *table, size_t table_count);

/* --- options and log --------------------------------------------------------------------------------------------- */

/* Loads the options of these groups, telling problems on standard error. 0, or the exit code; *options must be disposed
 * of in any case. */
int mote_command_load_options(struct mote_options *options, uint32_t groups, size_t count, char *const *arguments);
/* The log on standard error, as the options say. 0, or the exit code. */
int mote_command_open_log(struct mote_log_sink **out, const struct mote_options *options);
/* Writes what is left of the log. NULL is fine. */
void mote_command_close_log(struct mote_log_sink *sink);

/* --- clients ----------------------------------------------------------------------------------------------------- */

#define MOTE_COMMAND_ADDRESS_MAX 256u
#define MOTE_COMMAND_TIMEOUT_NS  (2u * (uint64_t)MOTE_NS_PER_SECOND)

/* Where a server started with this environment listens: the first address of LISTEN, loopback in the place of any
 * address. */
void mote_command_default_address(char out[MOTE_COMMAND_ADDRESS_MAX]);
/* "2s"; false, with a line on standard error, for anything else. */
bool mote_command_parse_timeout(uint64_t *out_ns, const char *text);
/* Reads a secret from a descriptor: at most `size` - 1 bytes, one line end behind it dropped. Its length, or -1 with a
 * line on standard error. */
int mote_command_read_secret(int fd, const char *what, char *out, size_t size);

/* "0.1.0", "0.1.0 (git abc1234, gcc 12.2.0, …)". Static. */
const char *mote_command_version_number(void);
const char *mote_command_version_text(void);

#endif
