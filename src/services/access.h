/* SPDX-License-Identifier: Apache-2.0 */
/* Who may call what: the table of everything the program serves. */
#ifndef MOTE_SERVICES_ACCESS_H
#define MOTE_SERVICES_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "rpc/access.h"
#include "services/services.h"

/* The rows that are in force with these settings; the number of them. */
size_t mote_access_fill(struct mote_access_row rows[MOTE_SERVICES_ACCESS_MAX], bool signup_open, bool reflection);

/* True for the methods that are left to whoever must change their password first, besides the public ones. */
bool mote_access_is_open_to_locked(const char *path);

#endif
