/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection sees of its context, and what else the files of TLS share. Internal to security. */
#ifndef MOTE_SECURITY_TLS_CONTEXT_H
#define MOTE_SECURITY_TLS_CONTEXT_H

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <stdatomic.h>

#include "security/tls.h"

struct mote_tls_own {
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
};

struct mote_tls_context {
    _Atomic unsigned references;
    struct mote_mem *mem;
    const struct mote_random *random;
    mbedtls_ssl_config config;
    mbedtls_ssl_ticket_context tickets;
    mbedtls_x509_crt authorities;
    struct mote_tls_own own[MOTE_TLS_IDENTITIES_MAX];
    size_t own_count;
    bool is_pinned;
    int64_t not_after;
};

/* The peer's, once established; NULL: none. */
const mbedtls_x509_crt *mote_tls_certificate_of(const struct mote_tls *tls);

#endif
