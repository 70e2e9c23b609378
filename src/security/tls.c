/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbedtls reads from the slice that mote_tls_recv was given and writes into the room it was given: both are set for the
 * length of a call. What finds no room stays in mbedtls's own record buffer and is written by the next call. A failed
 * allocation in a handshake ends the connection (mbedtls before 2.28.10 does not notice each: CVE-2025-27810).
 */
#include "security/tls.h"

#include <mbedtls/error.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <string.h>

#include "security/secret.h"
#include "security/tls_context.h"

#define ALERT_RECORD 7u /* bytes */
#define ANSWERS_MAX  4u /* alerts written while only reading: more is a peer that asks for a renegotiation for ever */

struct mote_tls {
    struct mote_tls_context *context;
    mbedtls_ssl_context ssl;
    struct mote_slice *in;     /* during a call */
    struct mote_tls_room *out; /* during a call */
    unsigned answers;
    bool is_established;
    bool is_goodbye_said;
    int result; /* 0, MOTE_ECLOSED or MOTE_EPROTO: for good */
    char problem[96];
};

static int pull(void *argument, unsigned char *out, size_t length)
{
    struct mote_tls *tls = argument;
    size_t taken = tls->in->length < length ? tls->in->length : length;
    if (taken == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(out, tls->in->data, taken);
    *tls->in = mote_slice(tls->in->data + taken, tls->in->length - taken);
    return (int)taken;
}

static int push(void *argument, const unsigned char *bytes, size_t length)
{
    struct mote_tls *tls = argument;
    size_t room = tls->out->size - tls->out->length;
    size_t taken = length < room ? length : room;
    if (taken == 0) {
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    }
    memcpy(tls->out->bytes + tls->out->length, bytes, taken);
    tls->out->length += taken;
    return (int)taken;
}

int mote_tls_new(struct mote_tls **out, struct mote_tls_context *context, const char *server_name)
{
    struct mote_tls *tls = mote_mem_allocate_zeroed(context->mem, sizeof *tls);
    if (tls == NULL) {
        return MOTE_ENOMEM;
    }
    mbedtls_ssl_init(&tls->ssl);
    int code = mbedtls_ssl_setup(&tls->ssl, &context->config);
    if (code == 0 && server_name != NULL) {
        code = mbedtls_ssl_set_hostname(&tls->ssl, server_name);
    }
    if (code != 0) {
        mbedtls_ssl_free(&tls->ssl);
        mote_mem_release(context->mem, tls);
        return MOTE_ENOMEM;
    }
    mbedtls_ssl_set_bio(&tls->ssl, tls, push, pull, NULL);
    tls->context = mote_tls_context_ref(context);
    *out = tls;
    return 0;
}

void mote_tls_free(struct mote_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    struct mote_tls_context *context = tls->context;
    mbedtls_ssl_free(&tls->ssl);
    mote_mem_release(context->mem, tls);
    mote_tls_context_unref(context);
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static void fail(struct mote_tls *tls, const char *problem)
{
    tls->result = MOTE_EPROTO;
    (void)snprintf(tls->problem, sizeof tls->problem, "%s", problem);
}

static void fail_with_alert(struct mote_tls *tls, unsigned char alert, const char *problem)
{
    fail(tls, problem);
    /* What does not fit is no loss: the connection ends anyway. */
    (void)mbedtls_ssl_send_alert_message(&tls->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, alert);
}

static void fail_with_code(struct mote_tls *tls, int code)
{
    const char *text = mbedtls_high_level_strerr(code);
    tls->result = MOTE_EPROTO;
    (void)snprintf(tls->problem, sizeof tls->problem, "%s (-0x%04x)", text != NULL ? text : "TLS error",
                   (unsigned)-code);
}

static bool is_waiting(int code)
{
    return code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE;
}

/* --- handshake -------------------------------------------------------------------------------------------------- */

/* Where a certificate is optional, mbedtls goes on with a bad one. */
static bool is_peer_good(const struct mote_tls *tls)
{
    const mbedtls_x509_crt *certificate = mbedtls_ssl_get_peer_cert(&tls->ssl);
    if (!tls->context->is_pinned) {
        return certificate == NULL || mbedtls_ssl_get_verify_result(&tls->ssl) == 0;
    }
    for (const mbedtls_x509_crt *pin = &tls->context->authorities; certificate != NULL && pin != NULL;
         pin = pin->next) {
        if (pin->raw.len == certificate->raw.len &&
            memcmp(pin->raw.p, certificate->raw.p, pin->raw.len) == 0) { /* public: certificates */
            return true;
        }
    }
    return false;
}

static void check_agreement(struct mote_tls *tls)
{
    const char *protocol = mbedtls_ssl_get_alpn_protocol(&tls->ssl);
    if (protocol == NULL || strcmp(protocol, "h2") != 0) { /* public: a name */
        fail_with_alert(tls, MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL, "the peer does not offer h2 by ALPN");
        return;
    }
    if (!is_peer_good(tls)) {
        fail_with_alert(tls, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "the peer's certificate is not trusted");
        return;
    }
    tls->is_established = true;
}

/* The last of what was put into `out` since is an alert in the clear: a record of 7 bytes (RFC 5246 §7.2). */
static bool has_sent_alert(const struct mote_tls *tls, size_t since)
{
    const struct mote_tls_room *out = tls->out;
    return out->length >= since + ALERT_RECORD && out->bytes[out->length - ALERT_RECORD] == MBEDTLS_SSL_MSG_ALERT;
}

static void shake_hands(struct mote_tls *tls)
{
    const size_t said = tls->out->length;
    int code = mbedtls_ssl_handshake(&tls->ssl);
    if (code == 0) {
        check_agreement(tls);
    } else if (!is_waiting(code)) {
        fail_with_code(tls, code);
        /* mbedtls does not tell the peer of each, such as a hello in several records (2.28) or no curve in common. */
        if (!has_sent_alert(tls, said) && code != MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
            (void)mbedtls_ssl_send_alert_message(&tls->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                                 MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
        }
    }
}

/* --- bytes ------------------------------------------------------------------------------------------------------ */

static void read_plain(struct mote_tls *tls, struct mote_tls_room *plain)
{
    while (plain->length < plain->size) {
        size_t said = tls->out->length;
        int code = mbedtls_ssl_read(&tls->ssl, plain->bytes + plain->length, plain->size - plain->length);
        if (tls->out->length != said && ++tls->answers > ANSWERS_MAX) {
            fail(tls, "the peer asks for what it was refused before");
            return;
        }
        if (code >= 0) {
            plain->length += (size_t)code; /* 0: an empty record; mbedtls takes no four of them in a row */
            continue;
        }
        if (code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || code == MBEDTLS_ERR_SSL_CONN_EOF) {
            tls->result = MOTE_ECLOSED;
            return;
        }
#if MBEDTLS_VERSION_MAJOR >= 3
        if (code == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
            continue;
        }
#endif
        if (!is_waiting(code)) {
            fail_with_code(tls, code);
        }
        return;
    }
}

int mote_tls_recv(struct mote_tls *tls, struct mote_slice *in, struct mote_tls_room *plain, struct mote_tls_room *out)
{
    if (tls->result != 0) {
        return tls->result;
    }
    tls->in = in;
    tls->out = out;
    if (!tls->is_established) {
        shake_hands(tls);
    }
    if (tls->result == 0 && tls->is_established) {
        read_plain(tls, plain);
    }
    return tls->result;
}

bool mote_tls_has_plain(const struct mote_tls *tls)
{
    return tls->is_established && tls->result == 0 && mbedtls_ssl_get_bytes_avail(&tls->ssl) > 0;
}

int mote_tls_send(struct mote_tls *tls, struct mote_slice *plain, struct mote_tls_room *out)
{
    struct mote_slice nothing = mote_slice(NULL, 0);
    if (tls->result == MOTE_EPROTO) {
        return MOTE_EPROTO;
    }
    tls->in = &nothing;
    tls->out = out;
    if (!tls->is_established) {
        if (tls->result == 0) {
            shake_hands(tls);
        }
        return tls->result == MOTE_EPROTO ? MOTE_EPROTO : 0;
    }
    while (plain->length > 0 && out->size - out->length >= MOTE_TLS_RECORD_MAX) {
        int code = mbedtls_ssl_write(&tls->ssl, plain->data, plain->length);
        if (code > 0) {
            *plain = mote_slice(plain->data + code, plain->length - (size_t)code);
        } else if (is_waiting(code)) {
            return 0;
        } else {
            fail_with_code(tls, code);
            return MOTE_EPROTO;
        }
    }
    return 0;
}

void mote_tls_goodbye(struct mote_tls *tls, struct mote_tls_room *out)
{
    if (!tls->is_established || tls->is_goodbye_said || tls->result == MOTE_EPROTO) {
        return;
    }
    tls->is_goodbye_said = true;
    tls->out = out;
    (void)mbedtls_ssl_close_notify(&tls->ssl);
}

/* --- what is known ---------------------------------------------------------------------------------------------- */

bool mote_tls_is_established(const struct mote_tls *tls)
{
    return tls->is_established;
}

const char *mote_tls_problem(const struct mote_tls *tls)
{
    return tls->problem;
}

const char *mote_tls_version(const struct mote_tls *tls)
{
    return mbedtls_ssl_get_version(&tls->ssl);
}

const char *mote_tls_suite(const struct mote_tls *tls)
{
    return mbedtls_ssl_get_ciphersuite(&tls->ssl);
}

const mbedtls_x509_crt *mote_tls_certificate_of(const struct mote_tls *tls)
{
    return tls->is_established ? mbedtls_ssl_get_peer_cert(&tls->ssl) : NULL;
}
