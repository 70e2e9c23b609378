/* SPDX-License-Identifier: Apache-2.0 */
#include "services/caller_address.h"

#include <string.h>

#include "services/worker.h"

#define FIELD "x-forwarded-for"

bool mote_caller_address_walk(struct mote_ip *caller, const struct mote_networks *trusted, struct mote_slice value,
                              unsigned *hops)
{
    struct mote_slice item;
    while (mote_network_last_item(&value, &item)) {
        struct mote_ip hop;
        if (*hops == 0 || mote_ip_parse(&hop, item) != 0) {
            return false; /* whatever is left of it is nobody's word */
        }
        (*hops)--;
        *caller = hop;
        if (!mote_networks_hold(trusted, caller)) {
            return false;
        }
    }
    return true;
}

void mote_caller_address(const struct mote_call *call, char out[MOTE_CALLER_ADDRESS_MAX])
{
    const struct mote_networks *trusted = &mote_services_worker_of(call)->services->trusted_proxies;
    struct mote_ip caller = {{0}};
    bool has_address = mote_ip_parse(&caller, mote_slice_text(mote_call_peer(call))) == 0;
    bool is_trusted = has_address ? mote_networks_hold(trusted, &caller) : trusted->unix_sockets;
    unsigned hops = MOTE_CALLER_HOPS_MAX;
    size_t count = 0;
    while (is_trusted && mote_slice_is_present(mote_call_metadata_at(call, FIELD, count))) {
        count++;
    }
    while (is_trusted && count > 0) {
        is_trusted = mote_caller_address_walk(&caller, trusted, mote_call_metadata_at(call, FIELD, --count), &hops);
    }
    if (has_address || hops < MOTE_CALLER_HOPS_MAX) {
        mote_ip_format(out, &caller);
    } else {
        memcpy(out, "unix:", sizeof "unix:");
    }
}
