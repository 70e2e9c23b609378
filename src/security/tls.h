/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS as a sans-IO pipe on mbedtls: cipher text in, plain text out, and the other way round; no socket, no thread. TLS
 * 1.2 and, where mbedtls has it, 1.3; AEAD suites with ephemeral keys only; ALPN must end in `h2` (RFC 9113 §3.3,
 * §9.2). No renegotiation, no early data.
 *
 * A `mote_tls_context` is what all connections of a listener share: certificates, keys, authorities, ticket keys. It
 * never changes; whoever wants other certificates makes a new one and lets go of the old, which lives until its last
 * connection has gone. A `mote_tls` is one connection.
 */
#ifndef MOTE_SECURITY_TLS_H
#define MOTE_SECURITY_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/certificate.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/memory.h"
#include "../base/slice.h"

MOTE_C_BEGIN

#define MOTE_TLS_IDENTITIES_MAX 8u
#define MOTE_TLS_PROBLEM_MAX    256u
#define MOTE_TLS_RECORD_MAX     (16384u + 256u) /* one record of cipher text: RFC 8446 §5.2 */
#define MOTE_TLS_KEY_BITS_MIN   2048u           /* RSA keys shorter than that are refused */

struct mote_tls_context;
struct mote_tls;

/* --- context ---------------------------------------------------------------------------------------------------- */

/* The bytes of a PEM file. */
struct mote_tls_pem {
    const char *file; /* its name, for messages */
    struct mote_slice text;
};

struct mote_tls_identity {
    struct mote_tls_pem certificate; /* the leaf first, then what leads to the root */
    struct mote_tls_pem key;
};

enum mote_tls_client_auth {
    MOTE_TLS_CLIENT_AUTH_NONE,
    MOTE_TLS_CLIENT_AUTH_OPTIONAL, /* a certificate that is given must be good */
    MOTE_TLS_CLIENT_AUTH_REQUIRED,
};

struct mote_tls_options {
    bool is_client;
    /* A server's first identity is for clients that name no server, or one that none is for. Others are found by the
     * DNS names in them; several may be for one name (RSA and EC). A client has one at most. */
    const struct mote_tls_identity *identities;
    size_t identity_count;
    const char *key_password;        /* of keys that are encrypted; NULL: none */
    struct mote_tls_pem authorities; /* who is trusted: to sign clients for a server, servers for a client */
    enum mote_tls_client_auth client_auth;
    /* A client's: the authorities are the certificates of servers themselves, and showing one of them is all that a
     * server needs: neither its name nor its dates are looked at. */
    bool is_pinned;
    const struct mote_random *random; /* borrowed as long as the context lives, as the one below */
    struct mote_mem *mem;             /* for the contexts alone: mbedtls has the C library's. Any thread */
};

/* Everything in `options` but random and mem is borrowed until it returns. MOTE_EINVAL with a line in `problem` that
 * names the file and what is wrong with it; MOTE_ENOMEM; MOTE_ERANDOM. */
MOTE_MUST_CHECK int mote_tls_context_new(struct mote_tls_context **out, const struct mote_tls_options *options,
                                         char problem[MOTE_TLS_PROBLEM_MAX]);
/* Any thread. */
struct mote_tls_context *mote_tls_context_ref(struct mote_tls_context *context);
void mote_tls_context_unref(struct mote_tls_context *context);
/* The earliest end of the leaf certificates, seconds since 1970; INT64_MAX without any. */
int64_t mote_tls_context_not_after(const struct mote_tls_context *context);

/* --- connection ------------------------------------------------------------------------------------------------- */

/* Room for bytes; `length` of them are in use, and more are put behind them. */
struct mote_tls_room {
    uint8_t *bytes;
    size_t size;
    size_t length;
};

/* `server_name`: a client's, looked for in the server's certificate; NULL for a server. Holds a reference to the
 * context. One thread. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_tls_new(struct mote_tls **out, struct mote_tls_context *context, const char *server_name);
void mote_tls_free(struct mote_tls *tls);

/*
 * Takes cipher text from *in, moving it on, and puts plain text into `plain` and what the peer must be told (handshake,
 * alerts) into `out`. 0: *in is used up, or there is no more room in `plain` or `out`: send what is there and call
 * again. MOTE_ECLOSED: the peer has said goodbye, all plain text before it is there. MOTE_EPROTO: the connection is
 * over, mote_tls_problem says why; `out` may hold an alert. Both stay so.
 */
MOTE_MUST_CHECK int mote_tls_recv(struct mote_tls *tls, struct mote_slice *in, struct mote_tls_room *plain,
                                  struct mote_tls_room *out);
/* True when mote_tls_recv has plain text to give without any more input. */
bool mote_tls_has_plain(const struct mote_tls *tls);
/*
 * Encrypts from *plain, moving it on, as long as `out` has room for a record; before the handshake is over it only goes
 * on with that: a client begins so. MOTE_EPROTO as above.
 */
MOTE_MUST_CHECK int mote_tls_send(struct mote_tls *tls, struct mote_slice *plain, struct mote_tls_room *out);
/* Puts a goodbye (close_notify) into `out`, once, when there is room and somebody to say it to. */
void mote_tls_goodbye(struct mote_tls *tls, struct mote_tls_room *out);

/* True after the handshake: `h2` is agreed on, and the peer's certificate is good where one was asked for. */
bool mote_tls_is_established(const struct mote_tls *tls);
/* Why it is over; "" as long as it is not. For the log: the peer learns it by an alert only. */
const char *mote_tls_problem(const struct mote_tls *tls);
/* "TLSv1.2", "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256": once established. Static text. */
const char *mote_tls_version(const struct mote_tls *tls);
const char *mote_tls_suite(const struct mote_tls *tls);

/* Who the peer is, by a certificate that one of the authorities has signed; returns owned, to be given back to `mem`.
 * *out is NULL when it showed none, or is not established. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_tls_certificate_read(struct mote_certificate **out, const struct mote_tls *tls,
                                              struct mote_mem *mem);

MOTE_C_END

#endif
