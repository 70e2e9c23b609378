/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first socket of an address is bound and listens without SO_REUSEPORT, which fails when anybody listens there;
 * with it, two servers of one user would share the port unnoticed. It gets the option afterwards, when a second worker
 * wants a socket of its own. What accepted sockets inherit from the listening one is set there, once.
 */
#include "net/binding.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 1024

/* A peer that is gone without a word is noticed by the kernel: data unanswered for 20 s, or silence of a minute and
 * then of its probes. */
#define USER_TIMEOUT_MS     20000
#define KEEPALIVE_IDLE_S    60
#define KEEPALIVE_BETWEEN_S 10
#define KEEPALIVE_PROBES    3

static int tell(char problem[MOTE_RUNTIME_PROBLEM_MAX], const char *address, int number)
{
    const char *hint = "";
    int error = MOTE_EIO;
    switch (number) {
    case EADDRINUSE:
        hint = "; another program listens there";
        error = MOTE_EBUSY;
        break;
    case EACCES:
    case EPERM:
        hint = "; ports below 1024 and foreign folders need a permission";
        error = MOTE_EACCESS;
        break;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ENOENT:
    case ENOTDIR:
        error = MOTE_EINVAL;
        break;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        error = MOTE_ENOMEM;
        break;
    default:
        break;
    }
    snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "cannot listen on %s: %s%s", address, strerror(number), hint);
    return error;
}

/* --- TCP --------------------------------------------------------------------------------------------------------- */

static void set_inherited_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_BETWEEN_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };
    /* Each is for the better, none is needed. */
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
    }
}

static int close_with(int fd, int number)
{
    close(fd);
    return number;
}

/* A listening socket in *out; 0 or an errno. With `shared` beside others of this user. */
static int listen_tcp(int *out, const struct mote_address *address, bool shared)
{
    const int on = 1;
    const int off = 0;
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    /* Connections of a former run in TIME_WAIT do not hinder. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->storage.ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    set_inherited_options(fd);
    if ((shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        bind(fd, (const struct sockaddr *)&address->storage, address->length) != 0 || listen(fd, BACKLOG) != 0) {
        return close_with(fd, errno);
    }
    *out = fd;
    return 0;
}

/* "[::]" means everywhere: without IPv6 that is 0.0.0.0. */
static bool fall_back_to_ipv4(struct mote_address *address)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
    if (address->storage.ss_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) {
        return false;
    }
    const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6->sin6_port};
    memcpy(&address->storage, &v4, sizeof v4);
    address->length = sizeof v4;
    return true;
}

static int open_tcp(struct mote_binding *binding)
{
    int number = listen_tcp(&binding->fd, &binding->address, false);
    if ((number == EAFNOSUPPORT || number == EADDRNOTAVAIL) && fall_back_to_ipv4(&binding->address)) {
        number = listen_tcp(&binding->fd, &binding->address, false);
    }
    if (number != 0) {
        return number;
    }
    binding->address.length = sizeof binding->address.storage;
    if (getsockname(binding->fd, (struct sockaddr *)&binding->address.storage, &binding->address.length) != 0) {
        number = close_with(binding->fd, errno);
        binding->fd = -1;
    }
    return number;
}

/* The first socket goes to the first worker; the others get theirs beside it. */
static int take_tcp(struct mote_binding *binding, int *fd)
{
    const int on = 1;
    if (binding->taken == 0) {
        *fd = binding->fd;
        return 0;
    }
    if (binding->taken == 1 && setsockopt(binding->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
        return errno;
    }
    return listen_tcp(fd, &binding->address, true);
}

/* --- unix sockets ------------------------------------------------------------------------------------------------ */

static const char *path_of(const struct mote_address *address)
{
    return ((const struct sockaddr_un *)&address->storage)->sun_path; /* "" for an abstract one */
}

/* A socket file that nobody listens on is a left-over of a crash. */
static void remove_stale_socket(const struct mote_address *address)
{
    struct stat status;
    const char *path = path_of(address);
    if (path[0] == '\0' || stat(path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0 && errno == ECONNREFUSED) {
        (void)unlink(path);
    }
    close(fd);
}

static int open_unix(struct mote_binding *binding)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    remove_stale_socket(&binding->address);
    if (bind(fd, (const struct sockaddr *)&binding->address.storage, binding->address.length) != 0) {
        return close_with(fd, errno);
    }
    if (listen(fd, BACKLOG) != 0) {
        int number = errno;
        (void)unlink(path_of(&binding->address));
        return close_with(fd, number);
    }
    binding->fd = fd;
    return 0;
}

/* --- both -------------------------------------------------------------------------------------------------------- */

int mote_binding_open(struct mote_binding *out, struct mote_slice text, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    const char *why;
    *out = (struct mote_binding){.fd = -1};
    if (mote_address_parse(&out->address, text, &why) != 0) {
        snprintf(problem, MOTE_RUNTIME_PROBLEM_MAX, "cannot listen on %.*s: %s", (int)text.length,
                 (const char *)text.data, why);
        return MOTE_EINVAL;
    }
    int number = mote_address_is_unix(&out->address) ? open_unix(out) : open_tcp(out);
    mote_address_format(out->text, &out->address);
    return number == 0 ? 0 : tell(problem, out->text, number);
}

int mote_binding_take(struct mote_binding *binding, int *fd, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    int number = 0;
    if (mote_address_is_unix(&binding->address)) {
        *fd = fcntl(binding->fd, F_DUPFD_CLOEXEC, 0);
        number = *fd < 0 ? errno : 0;
    } else {
        number = take_tcp(binding, fd);
    }
    binding->taken += number == 0;
    return number == 0 ? 0 : tell(problem, binding->text, number);
}

void mote_binding_close(struct mote_binding *binding)
{
    bool is_unix = mote_address_is_unix(&binding->address);
    if (binding->fd < 0) {
        return;
    }
    if (is_unix && path_of(&binding->address)[0] != '\0') {
        (void)unlink(path_of(&binding->address));
    }
    if (is_unix || binding->taken == 0) {
        close(binding->fd);
    }
    binding->fd = -1;
}
