/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP addresses and networks as values, apart from sockets. An IPv4 address is kept as the IPv6 one it is mapped to
 * (RFC 4291 §2.5.5.2), so each address has one form; yet an IPv6 network never holds an IPv4 address.
 */
#ifndef MOTE_BASE_NETWORK_H
#define MOTE_BASE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

#define MOTE_IP_TEXT_MAX  46u /* with the NUL */
#define MOTE_NETWORKS_MAX 64u

struct mote_ip {
    uint8_t bytes[16];
};

struct mote_networks {
    struct {
        struct mote_ip ip;
        uint8_t bits; /* 0 to 128; of IPv4, 96 to 128 */
    } items[MOTE_NETWORKS_MAX];
    size_t count;
    bool unix_sockets; /* peers on unix sockets are in it too */
};

/* An address, or an address with a port: "192.0.2.1", "192.0.2.1:443", "2001:db8::1", "[2001:db8::1]",
 * "[2001:db8::1]:443". The port is not looked at but for its digits. MOTE_EDECODE otherwise. */
MOTE_MUST_CHECK int mote_ip_parse(struct mote_ip *out, struct mote_slice text);
/* Canonical text: RFC 5952, and dotted for IPv4. */
void mote_ip_format(char out[MOTE_IP_TEXT_MAX], const struct mote_ip *ip);

/*
 * A comma-separated list of addresses, networks ("10.0.0.0/8", "fd00::/8") and "unix:"; spaces around an item are
 * skipped. MOTE_EINVAL, then *item is the part that is wrong and *problem says why (static text).
 */
MOTE_MUST_CHECK int mote_networks_parse(struct mote_networks *out, struct mote_slice text, struct mote_slice *item,
                                        const char **problem);
bool mote_networks_hold(const struct mote_networks *networks, const struct mote_ip *ip);
/* The last item of a comma-separated list, without spaces around it, perhaps empty; *list loses it, and is absent after
 * the first. False when it is absent. */
bool mote_network_last_item(struct mote_slice *list, struct mote_slice *item);

#endif
