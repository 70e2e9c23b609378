/* SPDX-License-Identifier: Apache-2.0 */
/* See notify.h. libsystemd is not worth linking for a datagram; systemd's own manual says so. */
#include "app/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

#define MESSAGE_MAX 512

void mote_notify_send(const char *format, ...)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char message[MESSAGE_MAX];
    va_list arguments;
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path != NULL ? strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, length);
    address.sun_path[0] = path[0] == '@' ? '\0' : '/';
    va_start(arguments, format);
    int written = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && written > 0) {
        size_t size = (size_t)written < sizeof message ? (size_t)written : sizeof message - 1;
        (void)sendto(fd, message, size, MSG_NOSIGNAL, (const struct sockaddr *)&address,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    }
    if (fd >= 0) {
        close(fd);
    }
}

bool mote_notify_is_watched(void)
{
    const char *interval = getenv("WATCHDOG_USEC");
    const char *process = getenv("WATCHDOG_PID");
    uint64_t number;
    return interval != NULL &&
           (process == NULL ||
            (mote_decimal_parse(&number, mote_slice_text(process), INT32_MAX) == 0 && number == (uint64_t)getpid()));
}
