/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer may send that a `mote_tls` of our own never does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <mbedtls/ssl.h>
#include <string.h>

#include "security/tls.h"
#include "support/certificates.h"

#define ROOM (2 * MOTE_TLS_RECORD_MAX)

static struct test_identity authority, server;

static struct mote_tls_context *server_context(void)
{
    char problem[MOTE_TLS_PROBLEM_MAX] = "";
    struct mote_tls_context *context = NULL;
    const struct mote_tls_identity identity = {
        .certificate = {.file = "cert.pem", .text = mote_slice_text(server.certificate)},
        .key = {.file = "key.pem", .text = mote_slice_text(server.key)}};
    const struct mote_tls_options options = {
        .identities = &identity, .identity_count = 1, .random = mote_random_system(), .mem = mote_mem_system()};
    if (mote_tls_context_new(&context, &options, problem) != 0) {
        fail_msg("%s", problem);
    }
    return context;
}

/* A client of mbedtls itself, which sends what a `mote_tls` does not. */
struct bare {
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    mbedtls_x509_crt trusted;
    struct mote_tls *server;
    int result; /* the server's */
    uint8_t to_server[ROOM], to_client[ROOM], plain[64];
    size_t to_server_length, to_client_length, plain_length;
};

static int bare_random(void *context, unsigned char *out, size_t length)
{
    (void)context;
    return mote_random_system()->fill(mote_random_system()->context, out, length);
}

static int bare_send(void *context, const unsigned char *bytes, size_t length)
{
    struct bare *bare = context;
    assert_true(bare->to_server_length + length <= ROOM);
    memcpy(bare->to_server + bare->to_server_length, bytes, length);
    bare->to_server_length += length;
    return (int)length;
}

static int bare_receive(void *context, unsigned char *out, size_t length)
{
    struct bare *bare = context;
    const size_t taken = length < bare->to_client_length ? length : bare->to_client_length;
    if (taken == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(out, bare->to_client, taken);
    bare->to_client_length -= taken;
    memmove(bare->to_client, bare->to_client + taken, bare->to_client_length);
    return (int)taken;
}

/* The server reads what was sent. */
static void bare_serve(struct bare *bare)
{
    struct mote_slice in = mote_slice(bare->to_server, bare->to_server_length);
    struct mote_tls_room plain = {.bytes = bare->plain + bare->plain_length,
                                  .size = sizeof bare->plain - bare->plain_length};
    struct mote_tls_room out = {.bytes = bare->to_client + bare->to_client_length,
                                .size = ROOM - bare->to_client_length};
    bare->result = mote_tls_recv(bare->server, &in, &plain, &out);
    bare->to_client_length += out.length;
    bare->plain_length += plain.length;
    bare->to_server_length = 0;
}

static void bare_connect(struct bare *bare, struct mote_tls_context *server_side)
{
    static const char *protocols[] = {"h2", NULL};
    const char *const pem = authority.certificate;
    memset(bare, 0, sizeof *bare);
    mbedtls_ssl_config_init(&bare->config);
    mbedtls_ssl_init(&bare->ssl);
    mbedtls_x509_crt_init(&bare->trusted);
    assert_int_equal(mbedtls_x509_crt_parse(&bare->trusted, (const unsigned char *)pem, strlen(pem) + 1), 0);
    assert_int_equal(mbedtls_ssl_config_defaults(&bare->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbedtls_ssl_conf_rng(&bare->config, bare_random, NULL);
    mbedtls_ssl_conf_ca_chain(&bare->config, &bare->trusted, NULL);
    assert_int_equal(mbedtls_ssl_conf_alpn_protocols(&bare->config, protocols), 0);
    assert_int_equal(mbedtls_ssl_setup(&bare->ssl, &bare->config), 0);
    assert_int_equal(mbedtls_ssl_set_hostname(&bare->ssl, "one.example"), 0);
    mbedtls_ssl_set_bio(&bare->ssl, bare, bare_send, bare_receive, NULL);
    assert_int_equal(mote_tls_new(&bare->server, server_side, NULL), 0);
    for (int i = 0; i < 8; i++) {
        (void)mbedtls_ssl_handshake(&bare->ssl);
        bare_serve(bare);
    }
    assert_true(mote_tls_is_established(bare->server));
}

/* A few records with nothing in them change nothing; one after the other for ever, they end the connection. */
static void test_empty_records(void **state)
{
    struct mote_tls_context *server_side = server_context();
    static struct bare bare;
    (void)state;
    for (int count = 0; count <= 5; count++) {
        for (int at_once = 0; at_once < 2; at_once++) {
            bare_connect(&bare, server_side);
            for (int i = 0; i < count; i++) {
                assert_int_equal(mbedtls_ssl_write(&bare.ssl, (const unsigned char *)"", 0), 0);
                if (at_once == 0 && bare.result == 0) {
                    bare_serve(&bare);
                }
            }
            assert_int_equal(mbedtls_ssl_write(&bare.ssl, (const unsigned char *)"text", 4), 4);
            if (bare.result == 0) {
                bare_serve(&bare);
            }
            assert_int_equal(bare.result, count <= 3 ? 0 : MOTE_EPROTO);
            assert_int_equal(bare.plain_length, count <= 3 ? 4 : 0);
            mote_tls_free(bare.server);
            mbedtls_ssl_free(&bare.ssl);
            mbedtls_ssl_config_free(&bare.config);
            mbedtls_x509_crt_free(&bare.trusted);
        }
    }
    mote_tls_context_unref(server_side);
}

static int make_identities(void **state)
{
    (void)state;
    test_identity_make(&authority, &(struct test_identity_wish){.subject = "CN=authority", .is_authority = true});
    test_identity_make(
        &server, &(struct test_identity_wish){.subject = "CN=server", .names = {"one.example"}, .issuer = &authority});
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_empty_records)};
    return cmocka_run_group_tests(tests, make_identities, NULL);
}
