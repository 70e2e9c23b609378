/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a refusal says to programs: google.rpc.Status with ErrorInfo, BadRequest and RetryInfo, for
 * grpc-status-details-bin (google/rpc/status.proto, error_details.proto; AIP-193).
 */
#ifndef MOTE_RPC_DETAILS_H
#define MOTE_RPC_DETAILS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "rpc/call.h"

/*
 * Writes the encoding to `out` and its length to *length. What does not fit is left out from behind: violations first,
 * so that as many are named as there is room for. MOTE_ELIMIT when not even status, message and ErrorInfo fit. `domain`
 * is the package of the service.
 */
MOTE_MUST_CHECK int mote_details_encode(uint8_t *out, size_t capacity, size_t *length,
                                        const struct mote_failure *failure, const char *domain);

#endif
