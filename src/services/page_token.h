/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tokens: a cursor, when it ends, and a MAC over both and over the request that the token belongs to. The client
 * can read the cursor (it is made of what the page showed) but cannot make one.
 *
 * Layout before base64url: version (1 byte) · length of the kid (1) · kid · expiry in seconds (8, big endian) · cursor
 * · HMAC-SHA-256 (32). The MAC's input is SHA-256 of the scope, then everything before the MAC.
 */
#ifndef MOTE_SERVICES_PAGE_TOKEN_H
#define MOTE_SERVICES_PAGE_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "security/keyring.h"

#define MOTE_PAGE_CURSOR_MAX     96u
#define MOTE_PAGE_TOKEN_RAW_MAX  (2u + MOTE_JWT_KID_MAX + 8u + MOTE_PAGE_CURSOR_MAX + 32u)
#define MOTE_PAGE_TOKEN_MAX      ((MOTE_PAGE_TOKEN_RAW_MAX * 4u + 2u) / 3u) /* characters */
#define MOTE_PAGE_TOKEN_LIFETIME 3600                                       /* seconds */
#define MOTE_PAGE_TOKEN_NO_END   INT64_MAX

/*
 * `scope` is whatever must be the same in the request that uses the token: the method, its filter and its order.
 * `out` takes MOTE_PAGE_TOKEN_MAX characters and a NUL. `now`: seconds since 1970, or
 * MOTE_PAGE_TOKEN_NO_END for a token that does not end by time. MOTE_ELIMIT for a cursor that is too long, or what
 * mote_keyring_mac returns.
 */
MOTE_MUST_CHECK int mote_page_token_make(char *out, const struct mote_keyring *keyring, struct mote_slice scope,
                                         struct mote_slice cursor, int64_t now);

/* The cursor of a token made for this scope; `cursor` takes MOTE_PAGE_CURSOR_MAX bytes. MOTE_EAUTH: not made by us, or
 * not for this scope. MOTE_EEXPIRED. */
MOTE_MUST_CHECK int mote_page_token_read(uint8_t *cursor, size_t *length, const struct mote_keyring *keyring,
                                         struct mote_slice scope, struct mote_slice token, int64_t now);

#endif
