/* SPDX-License-Identifier: Apache-2.0 */
#include "base/network.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"

#define MAPPED_BITS 96u

static const uint8_t mapped[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const struct mote_ip *ip)
{
    return memcmp(ip->bytes, mapped, sizeof mapped) == 0;
}

/* An address alone. */
static int parse_bare(struct mote_ip *out, struct mote_slice text)
{
    char copy[MOTE_IP_TEXT_MAX];
    if (text.length >= sizeof copy || memchr(text.data, '\0', text.length) != NULL) {
        return MOTE_EDECODE;
    }
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    if (inet_pton(AF_INET6, copy, out->bytes) == 1) {
        return 0;
    }
    memcpy(out->bytes, mapped, sizeof mapped);
    return inet_pton(AF_INET, copy, out->bytes + sizeof mapped) == 1 ? 0 : MOTE_EDECODE;
}

/* Where the first `byte` is; the length where there is none. */
static size_t index_of(struct mote_slice text, char byte)
{
    const uint8_t *found = text.length > 0 ? memchr(text.data, byte, text.length) : NULL;
    return found != NULL ? (size_t)(found - text.data) : text.length;
}

int mote_ip_parse(struct mote_ip *out, struct mote_slice text)
{
    struct mote_slice rest = mote_slice(NULL, 0);
    size_t colon = index_of(text, ':');
    size_t bracket = index_of(text, ']');
    uint64_t port;
    if (text.length == 0) {
        return MOTE_EDECODE;
    }
    if (text.data[0] == '[' && bracket < text.length) {
        rest = mote_slice(text.data + bracket + 1, text.length - bracket - 1);
        text = mote_slice(text.data + 1, bracket - 1);
        if (colon >= bracket) {
            return MOTE_EDECODE; /* brackets are for IPv6 */
        }
    } else if (colon < text.length &&
               index_of(mote_slice(text.data + colon + 1, text.length - colon - 1), ':') + colon + 1 == text.length) {
        rest = mote_slice(text.data + colon, text.length - colon);
        text = mote_slice(text.data, colon);
    }
    if (rest.length > 0 &&
        (rest.data[0] != ':' || mote_decimal_parse(&port, mote_slice(rest.data + 1, rest.length - 1), 65535) != 0)) {
        return MOTE_EDECODE;
    }
    return parse_bare(out, text);
}

void mote_ip_format(char out[MOTE_IP_TEXT_MAX], const struct mote_ip *ip)
{
    bool is_v4 = is_mapped(ip);
    out[0] = '\0';
    (void)inet_ntop(is_v4 ? AF_INET : AF_INET6, ip->bytes + (is_v4 ? sizeof mapped : 0), out, MOTE_IP_TEXT_MAX);
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

bool mote_network_last_item(struct mote_slice *list, struct mote_slice *item)
{
    if (!mote_slice_is_present(*list)) {
        return false;
    }
    const uint8_t *data = list->data;
    size_t end = list->length;
    size_t begin = end;
    while (begin > 0 && data[begin - 1] != ',') {
        begin--;
    }
    *list = begin > 0 ? mote_slice(data, begin - 1) : mote_slice(NULL, 0);
    while (begin < end && is_space(data[begin])) {
        begin++;
    }
    while (end > begin && is_space(data[end - 1])) {
        end--;
    }
    *item = mote_slice(data + begin, end - begin);
    return true;
}

/* No bit is set below the first `bits`. */
static bool is_network(const struct mote_ip *ip, unsigned bits)
{
    for (unsigned bit = bits; bit < 128; bit++) {
        if ((ip->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) {
            return false;
        }
    }
    return true;
}

static int add(struct mote_networks *networks, struct mote_slice item, const char **problem)
{
    size_t slash = index_of(item, '/');
    uint64_t bits;
    if (mote_slice_equals_text(item, "unix:")) {
        networks->unix_sockets = true;
        return 0;
    }
    if (networks->count == MOTE_NETWORKS_MAX) {
        *problem = "too many: at most 64 addresses and networks";
        return MOTE_EINVAL;
    }
    *problem = "want an address, a network such as 10.0.0.0/8 or fd00::/8, or unix:";
    struct mote_ip *ip = &networks->items[networks->count].ip;
    if (slash == 0 || parse_bare(ip, mote_slice(item.data, slash)) != 0) {
        return MOTE_EINVAL;
    }
    unsigned offset = is_mapped(ip) && index_of(item, ':') == item.length ? MAPPED_BITS : 0;
    bits = 128 - offset;
    if (slash < item.length &&
        mote_decimal_parse(&bits, mote_slice(item.data + slash + 1, item.length - slash - 1), bits) != 0) {
        return MOTE_EINVAL;
    }
    bits += offset;
    if (!is_network(ip, (unsigned)bits)) {
        *problem = "bits are set behind the network's prefix";
        return MOTE_EINVAL;
    }
    networks->items[networks->count++].bits = (uint8_t)bits;
    return 0;
}

int mote_networks_parse(struct mote_networks *out, struct mote_slice text, struct mote_slice *item,
                        const char **problem)
{
    *out = (struct mote_networks){.count = 0};
    while (mote_network_last_item(&text, item)) {
        if (item->length > 0 && add(out, *item, problem) != 0) {
            return MOTE_EINVAL;
        }
    }
    return 0;
}

bool mote_networks_hold(const struct mote_networks *networks, const struct mote_ip *ip)
{
    for (size_t i = 0; i < networks->count; i++) {
        unsigned bits = networks->items[i].bits;
        struct mote_ip masked = *ip;
        for (unsigned byte = bits / 8; byte < sizeof masked.bytes; byte++) {
            unsigned kept = byte == bits / 8 ? bits % 8 : 0;
            masked.bytes[byte] &= (uint8_t)(0xff00u >> kept);
        }
        if (memcmp(masked.bytes, networks->items[i].ip.bytes, sizeof masked.bytes) == 0 &&
            (bits >= MAPPED_BITS || !is_mapped(ip))) {
            return true;
        }
    }
    return false;
}
