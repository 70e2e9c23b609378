/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to whoever sits at the terminal, and passwords: typed without echo, or taken from standard input. */
#ifndef MOTE_APP_PROMPT_H
#define MOTE_APP_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

/* A new password: on a terminal asked for twice without echo, otherwise standard input as a whole, one line end behind
 * it dropped. At most `size` - 1 bytes; the caller wipes `out`. False with a line on standard error. */
bool mote_prompt_new_password(char *out, size_t size);
/* Whether somebody at the terminal answers with "yes"; false where standard input is none. */
bool mote_prompt_confirm(const char *question);

#endif
