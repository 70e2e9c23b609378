/* SPDX-License-Identifier: Apache-2.0 */
/* Handling of secrets: wiping, comparing in constant time, digests. mbedtls does the work. */
#ifndef MOTE_SECURITY_SECRET_H
#define MOTE_SECURITY_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

/* Not removed by the compiler. */
void mote_secret_wipe(void *secret, size_t length);
/* Time depends on the length only. */
bool mote_secret_equals(const void *a, const void *b, size_t length);
void mote_sha256(uint8_t out[32], struct mote_slice data);

#endif
