/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing and printing of addresses; see address.h. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/text.h"

static const char host_unknown[] = "the host is not known";

static int parse_unix(struct mote_address *out, struct mote_slice name, bool abstract, const char **problem)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&out->storage;
    /* An abstract name starts with a NUL and has no end mark; a path needs one. */
    size_t room = sizeof address->sun_path - 1;
    if (name.length == 0 || name.length > room) {
        *problem = "the name of a unix socket has 1 to 107 bytes";
        return MOTE_EINVAL;
    }
    if (memchr(name.data, '\0', name.length) != NULL) {
        *problem = "a NUL byte in the name of a unix socket";
        return MOTE_EINVAL;
    }
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + (abstract ? 1 : 0), name.data, name.length);
    out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.length + 1);
    return 0;
}

/* Splits "host:port" and "[host]:port". */
static int split_host(struct mote_slice text, char *host, size_t host_size, char *port, size_t port_size,
                      const char **problem)
{
    size_t colon = text.length;
    struct mote_slice name;
    uint64_t number;
    while (colon > 0 && text.data[colon - 1] != ':') {
        colon--;
    }
    *problem = "want host:port, [ipv6]:port, unix:/path or unix-abstract:name";
    if (colon == 0 || text.length - colon >= port_size) {
        return MOTE_EINVAL;
    }
    if (mote_decimal_parse(&number, mote_slice(text.data + colon, text.length - colon), 65535) != 0) {
        *problem = "the port is a number from 0 to 65535";
        return MOTE_EINVAL;
    }
    memcpy(port, text.data + colon, text.length - colon);
    port[text.length - colon] = '\0';
    name = mote_slice(text.data, colon - 1);
    if (name.length >= 2 && name.data[0] == '[' && name.data[name.length - 1] == ']') {
        name = mote_slice(name.data + 1, name.length - 2);
    } else if (name.length > 0 && memchr(name.data, ':', name.length) != NULL) {
        *problem = "an IPv6 address stands in brackets: [::1]:50051";
        return MOTE_EINVAL;
    }
    if (name.length == 0 || name.length >= host_size) {
        return MOTE_EINVAL;
    }
    memcpy(host, name.data, name.length);
    host[name.length] = '\0';
    return 0;
}

static int look_up(struct mote_address *out, size_t room, size_t *count, const char *host, const char *port, int flags)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) {
        return MOTE_EINVAL;
    }
    for (const struct addrinfo *at = found; at != NULL && *count < room; at = at->ai_next) {
        if (at->ai_addrlen <= sizeof out->storage) {
            memcpy(&out[*count].storage, at->ai_addr, at->ai_addrlen);
            out[*count].length = at->ai_addrlen;
            (*count)++;
        }
    }
    freeaddrinfo(found);
    return *count > 0 ? 0 : MOTE_EINVAL;
}

static int resolve(struct mote_address *out, size_t room, size_t *count, struct mote_slice text, int flags,
                   const char **problem)
{
    static const struct mote_slice path = MOTE_SLICE_LITERAL("unix:");
    static const struct mote_slice abstract = MOTE_SLICE_LITERAL("unix-abstract:");
    char host[256];
    char port[8];
    memset(out, 0, room * sizeof *out);
    *count = 0;
    if (mote_slice_starts_with(text, path)) {
        *count = 1;
        return parse_unix(out, mote_slice(text.data + path.length, text.length - path.length), false, problem);
    }
    if (mote_slice_starts_with(text, abstract)) {
        *count = 1;
        return parse_unix(out, mote_slice(text.data + abstract.length, text.length - abstract.length), true, problem);
    }
    int error = split_host(text, host, sizeof host, port, sizeof port, problem);
    if (error == 0 && look_up(out, room, count, host, port, flags) != 0) {
        *problem = host_unknown;
        error = MOTE_EINVAL;
    }
    return error;
}

int mote_address_resolve(struct mote_address *out, size_t room, size_t *count, struct mote_slice text,
                         const char **problem)
{
    return resolve(out, room, count, text, 0, problem);
}

int mote_address_parse_number(struct mote_address *out, struct mote_slice text, const char **problem)
{
    size_t count;
    *problem = NULL;
    const int error = resolve(out, 1, &count, text, AI_NUMERICHOST, problem);
    return error != 0 && *problem == host_unknown ? MOTE_EAGAIN : error;
}

int mote_address_parse(struct mote_address *out, struct mote_slice text, const char **problem)
{
    size_t count;
    return mote_address_resolve(out, 1, &count, text, problem);
}

bool mote_address_is_unix(const struct mote_address *address)
{
    return address->storage.ss_family == AF_UNIX;
}

static void format_unix(char out[MOTE_ADDRESS_TEXT_MAX], const struct mote_address *address)
{
    const struct sockaddr_un *unix_address = (const struct sockaddr_un *)&address->storage;
    size_t header = offsetof(struct sockaddr_un, sun_path);
    int length = address->length > header ? (int)(address->length - header) : 0;
    if (length > 0 && unix_address->sun_path[0] == '\0') {
        snprintf(out, MOTE_ADDRESS_TEXT_MAX, "unix-abstract:%.*s", length - 1, unix_address->sun_path + 1);
    } else {
        snprintf(out, MOTE_ADDRESS_TEXT_MAX, "unix:%.*s", length, unix_address->sun_path);
    }
}

void mote_address_format(char out[MOTE_ADDRESS_TEXT_MAX], const struct mote_address *address)
{
    char host[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->storage;
    if (mote_address_is_unix(address)) {
        format_unix(out, address);
    } else if (address->storage.ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(out, MOTE_ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(v4->sin_port));
    } else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, host, sizeof host);
        snprintf(out, MOTE_ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(v6->sin6_port));
    } else {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(out, MOTE_ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(v6->sin6_port));
    }
}

bool mote_address_is_local(const struct mote_address *address)
{
    if (mote_address_is_unix(address)) {
        return true;
    }
    if (address->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
    return (ntohl(((const struct sockaddr_in *)&address->storage)->sin_addr.s_addr) >> 24) == 127;
}
