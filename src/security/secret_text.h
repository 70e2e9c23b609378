/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets as they are configured: bytes, or base64 of either alphabet behind `base64:`. Checks of them: keyring.h. */
#ifndef MOTE_SECURITY_SECRET_TEXT_H
#define MOTE_SECURITY_SECRET_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "security/keyring.h"

#define MOTE_SECRET_TEXT_ROOM (MOTE_SECRET_MAX + 2u) /* base64's padding counts before it is decoded */

/* MOTE_ELIMIT over MOTE_SECRET_MAX, MOTE_EDECODE. The caller wipes `out`, whatever is returned. */
MOTE_MUST_CHECK int mote_secret_text_decode(uint8_t out[MOTE_SECRET_TEXT_ROOM], size_t *length, struct mote_slice text);

#endif
