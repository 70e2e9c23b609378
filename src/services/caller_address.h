/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a call comes from: its peer or, when that is a trusted proxy, the right-most entry of x-forwarded-for that is
 * not one. What a client writes into the field itself stands left of what a proxy has added, and so is never believed.
 */
#ifndef MOTE_SERVICES_CALLER_ADDRESS_H
#define MOTE_SERVICES_CALLER_ADDRESS_H

#include "base/network.h"
#include "rpc/call.h"

#define MOTE_CALLER_ADDRESS_MAX 64u /* with the NUL */
/* Entries of x-forwarded-for that are looked at: more proxies in a row than anybody has. */
#define MOTE_CALLER_HOPS_MAX 32u

/* Canonical text without a port: "192.0.2.1", "2001:db8::1", "unix:". */
void mote_caller_address(const struct mote_call *call, char out[MOTE_CALLER_ADDRESS_MAX]);

/* One value of the field from right to left, beginning at a trusted *caller. It becomes the entry left of it while that
 * is an address and *hops are left. True when *caller is a trusted one still: an earlier value may say more. */
bool mote_caller_address_walk(struct mote_ip *caller, const struct mote_networks *trusted, struct mote_slice value,
                              unsigned *hops);

#endif
