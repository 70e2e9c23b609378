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
        hint = "; ports below 1024, foreign folders and owners need a permission";
        error = MOTE_EACCESS;
        break;
    case EEXIST:
        hint = "; it is not a socket";
        error = MOTE_EINVAL;
        break;
    case ENOTSOCK:
    case EPROTOTYPE:
        hint = "; what is inherited must be a listening stream socket";
        error = MOTE_EINVAL;
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

/* A socket file that nobody listens on is a left-over of a crash. EEXIST when the file is something else. */
static int remove_stale_socket(const struct mote_address *address)
{
    struct stat status;
    const char *path = path_of(address);
    if (path[0] == '\0' || lstat(path, &status) != 0) {
        return 0;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return EEXIST;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0 && errno == ECONNREFUSED) {
        (void)unlink(path);
    }
    return close_with(fd, 0);
}

/* Before it listens, so that nobody comes in between. */
static int set_file(struct mote_binding *binding, const struct mote_listen_address *listen)
{
    const char *path = path_of(&binding->address);
    struct stat status;
    bool has_owner = listen->owner != MOTE_LISTEN_ADDRESS_KEEP || listen->group != MOTE_LISTEN_ADDRESS_KEEP;
    if (path[0] == '\0') {
        return 0;
    }
    if (lstat(path, &status) != 0) {
        return errno;
    }
    binding->has_file = true;
    binding->device = status.st_dev;
    binding->inode = status.st_ino;
    if ((has_owner && lchown(path, listen->owner, listen->group) != 0) ||
        (listen->mode != MOTE_LISTEN_ADDRESS_KEEP &&
         fchmodat(AT_FDCWD, path, listen->mode, AT_SYMLINK_NOFOLLOW) != 0)) {
        return errno;
    }
    return 0;
}

/* Unless another one has put its own there. */
static void remove_file(const struct mote_binding *binding)
{
    const char *path = path_of(&binding->address);
    struct stat status;
    if (binding->has_file && lstat(path, &status) == 0 && status.st_dev == binding->device &&
        status.st_ino == binding->inode) {
        (void)unlink(path);
    }
}

static int open_unix(struct mote_binding *binding, const struct mote_listen_address *listen_address)
{
    int number = remove_stale_socket(&binding->address);
    if (number != 0) {
        return number;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    if (bind(fd, (const struct sockaddr *)&binding->address.storage, binding->address.length) != 0) {
        return close_with(fd, errno);
    }
    number = set_file(binding, listen_address);
    if (number == 0 && listen(fd, BACKLOG) != 0) {
        number = errno;
    }
    if (number != 0) {
        remove_file(binding);
        return close_with(fd, number);
    }
    binding->is_shared = true;
    binding->fd = fd;
    return 0;
}

/* --- inherited sockets ------------------------------------------------------------------------------------------- */

/* Whoever handed it over has it still, and takes it back when we are gone. */
static int adopt(struct mote_binding *binding, int fd)
{
    int type = 0;
    int listens = 0;
    socklen_t length = sizeof type;
    binding->address.length = sizeof binding->address.storage;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 ||
        getsockname(fd, (struct sockaddr *)&binding->address.storage, &binding->address.length) != 0) {
        return errno;
    }
    const sa_family_t family = binding->address.storage.ss_family;
    if (type != SOCK_STREAM || listens == 0 || (family != AF_UNIX && family != AF_INET && family != AF_INET6)) {
        return EPROTOTYPE;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        return errno;
    }
    if (family != AF_UNIX) {
        set_inherited_options(fd);
    }
    return 0;
}

int mote_binding_adopt(struct mote_binding *out, int fd, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    *out = (struct mote_binding){.fd = -1, .is_shared = true};
    int number = adopt(out, fd);
    if (number != 0) {
        snprintf(out->text, sizeof out->text, "descriptor %d", fd);
        return tell(problem, out->text, number);
    }
    out->fd = fd;
    mote_address_format(out->text, &out->address);
    return 0;
}

/* --- all --------------------------------------------------------------------------------------------------------- */

int mote_binding_open(struct mote_binding *out, const struct mote_listen_address *listen_address,
                      char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    *out = (struct mote_binding){.fd = -1, .address = listen_address->address};
    int number = mote_address_is_unix(&out->address) ? open_unix(out, listen_address) : open_tcp(out);
    mote_address_format(out->text, &out->address);
    return number == 0 ? 0 : tell(problem, out->text, number);
}

int mote_binding_take(struct mote_binding *binding, int *fd, char problem[MOTE_RUNTIME_PROBLEM_MAX])
{
    int number = 0;
    if (binding->is_shared) {
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
    if (binding->fd < 0) {
        return;
    }
    remove_file(binding);
    if (binding->is_shared || binding->taken == 0) {
        close(binding->fd);
    }
    binding->fd = -1;
}
