/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 of mbedtls 2.28 and of 3.6 under one name: the only place that knows their difference. It is computed in
 * software, where the functions cannot fail; a failure would be a broken build of the library.
 */
#ifndef MOTE_SECURITY_SHA256_H
#define MOTE_SECURITY_SHA256_H

#include <mbedtls/sha256.h>
#include <mbedtls/version.h>

#include "base/assert.h"
#include "base/slice.h"

static inline void mote_sha256_start(mbedtls_sha256_context *context)
{
    mbedtls_sha256_init(context);
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    const int result = mbedtls_sha256_starts_ret(context, 0);
#else
    const int result = mbedtls_sha256_starts(context, 0);
#endif
    mote_assert(result == 0);
}

static inline void mote_sha256_update(mbedtls_sha256_context *context, struct mote_slice data)
{
    if (data.length == 0) {
        return;
    }
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    const int result = mbedtls_sha256_update_ret(context, data.data, data.length);
#else
    const int result = mbedtls_sha256_update(context, data.data, data.length);
#endif
    mote_assert(result == 0);
}

/* Wipes the context. */
static inline void mote_sha256_finish(mbedtls_sha256_context *context, uint8_t out[32])
{
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    const int result = mbedtls_sha256_finish_ret(context, out);
#else
    const int result = mbedtls_sha256_finish(context, out);
#endif
    mote_assert(result == 0);
    mbedtls_sha256_free(context);
}

#endif
