/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the service manager how we are (sd_notify(3)), by one datagram to NOTIFY_SOCKET. Without that variable
 * nothing happens; nothing that goes wrong here matters to the server. */
#ifndef MOTE_APP_NOTIFY_H
#define MOTE_APP_NOTIFY_H

#include <stdbool.h>

#include "base/error.h"

/* "READY=1\nSTATUS=…", as printf. */
void mote_notify_send(const char *format, ...) MOTE_PRINTF(1, 2);
/* True when the service manager wants to hear WATCHDOG=1 from this process (WATCHDOG_USEC, WATCHDOG_PID). */
bool mote_notify_is_watched(void);

#endif
