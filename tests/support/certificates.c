/* SPDX-License-Identifier: Apache-2.0 */
#include "support/certificates.h"

#include <arpa/inet.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

#define MUST(call) must((call), #call)

static void must(int code, const char *what)
{
    if (code < 0) {
        fprintf(stderr, "certificates: %s: -0x%04x\n", what, (unsigned)-code);
        abort();
    }
}

static int fill_random(void *context, unsigned char *out, size_t length)
{
    const struct mote_random *random = mote_random_system();
    (void)context;
    return random->fill(random->context, out, length);
}

static void make_key(mbedtls_pk_context *key, const struct test_identity_wish *wish)
{
    if (wish->is_rsa) {
        unsigned bits = wish->rsa_bits != 0 ? wish->rsa_bits : 2048;
        MUST(mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)));
        MUST(mbedtls_rsa_gen_key(mbedtls_pk_rsa(*key), fill_random, NULL, bits, 65537));
    } else {
        MUST(mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)));
        MUST(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), fill_random, NULL));
    }
}

static void parse_key(mbedtls_pk_context *key, const char *text)
{
    const unsigned char *bytes = (const unsigned char *)text;
#if MBEDTLS_VERSION_MAJOR >= 3
    MUST(mbedtls_pk_parse_key(key, bytes, strlen(text) + 1, NULL, 0, fill_random, NULL));
#else
    MUST(mbedtls_pk_parse_key(key, bytes, strlen(text) + 1, NULL, 0));
#endif
}

static void set_serial(mbedtls_x509write_cert *writer)
{
    unsigned char serial[8];
    MUST(fill_random(NULL, serial, sizeof serial));
    serial[0] &= 0x7f;
    serial[0] |= 1;
#if MBEDTLS_VERSION_MAJOR >= 3
    MUST(mbedtls_x509write_crt_set_serial_raw(writer, serial, sizeof serial));
#else
    mbedtls_mpi number;
    mbedtls_mpi_init(&number);
    MUST(mbedtls_mpi_read_binary(&number, serial, sizeof serial));
    MUST(mbedtls_x509write_crt_set_serial(writer, &number));
    mbedtls_mpi_free(&number);
#endif
}

/* The tag and bytes of "one.example", "URI:…", "email:…", "IP:…" (RFC 5280 §4.2.1.6). */
static unsigned char read_name(const char *name, unsigned char *out, size_t *length)
{
    static const struct {
        const char *prefix;
        unsigned char tag;
    } kinds[] = {{"URI:", 0x86}, {"email:", 0x81}, {"IP:", 0x87}};
    unsigned char tag = 0x82;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
            name += strlen(kinds[i].prefix);
            tag = kinds[i].tag;
        }
    }
    *length = strlen(name);
    if (tag != 0x87) {
        memcpy(out, name, *length < 100 ? *length : 100);
    } else if (inet_pton(AF_INET, name, out) == 1) {
        *length = 4;
    } else if (inet_pton(AF_INET6, name, out) == 1) {
        *length = 16;
    } else {
        memcpy(out, name, *length); /* no address at all */
    }
    return tag;
}

static void add_name(unsigned char *der, size_t *length, const char *text)
{
    unsigned char bytes[128];
    size_t name;
    const unsigned char tag = read_name(text, bytes, &name);
    if (name > 100) {
        must(-1, "a name is too long");
    }
    der[(*length)++] = tag;
    der[(*length)++] = (unsigned char)name;
    memcpy(der + *length, bytes, name);
    *length += name;
}

/* SubjectAltName: a SEQUENCE of names. */
static void set_names(mbedtls_x509write_cert *writer, const struct test_identity_wish *wish)
{
    unsigned char der[2048] = {0x30, 0x82};
    size_t length = 4;
    for (size_t i = 0; i < sizeof wish->names / sizeof wish->names[0] && wish->names[i] != NULL; i++) {
        add_name(der, &length, wish->names[i]);
    }
    for (unsigned i = 0; i < wish->more_names; i++) {
        char text[24];
        (void)snprintf(text, sizeof text, "n%u.example", i);
        add_name(der, &length, text);
    }
    if (length > 4) {
        der[2] = (unsigned char)((length - 4) >> 8);
        der[3] = (unsigned char)(length - 4);
        MUST(mbedtls_x509write_crt_set_extension(writer, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                                 MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0, der, length));
    }
}

void test_identity_make(struct test_identity *out, const struct test_identity_wish *wish)
{
    mbedtls_pk_context key;
    mbedtls_pk_context issuer_key;
    mbedtls_x509write_cert writer;
#if MBEDTLS_VERSION_MAJOR >= 3
    MUST(psa_crypto_init());
#endif
    mbedtls_pk_init(&key);
    mbedtls_pk_init(&issuer_key);
    mbedtls_x509write_crt_init(&writer);
    make_key(&key, wish);
    MUST(mbedtls_pk_write_key_pem(&key, (unsigned char *)out->key, sizeof out->key));
    parse_key(&issuer_key, wish->issuer != NULL ? wish->issuer->key : out->key);
    (void)snprintf(out->subject, sizeof out->subject, "%s", wish->subject);
    mbedtls_x509write_crt_set_version(&writer, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&writer, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&writer, &key);
    mbedtls_x509write_crt_set_issuer_key(&writer, &issuer_key);
    MUST(mbedtls_x509write_crt_set_subject_name(&writer, wish->subject));
    MUST(mbedtls_x509write_crt_set_issuer_name(&writer, wish->issuer != NULL ? wish->issuer->subject : wish->subject));
    MUST(mbedtls_x509write_crt_set_validity(&writer, wish->not_before != NULL ? wish->not_before : "20200101000000",
                                            wish->not_after != NULL ? wish->not_after : "20491231235959"));
    MUST(mbedtls_x509write_crt_set_basic_constraints(&writer, wish->is_authority, -1));
    MUST(mbedtls_x509write_crt_set_key_usage(&writer, wish->is_authority ? MBEDTLS_X509_KU_KEY_CERT_SIGN
                                                                         : MBEDTLS_X509_KU_DIGITAL_SIGNATURE));
    set_serial(&writer);
    set_names(&writer, wish);
    MUST(mbedtls_x509write_crt_pem(&writer, (unsigned char *)out->certificate, sizeof out->certificate, fill_random,
                                   NULL));
    mbedtls_x509write_crt_free(&writer);
    mbedtls_pk_free(&issuer_key);
    mbedtls_pk_free(&key);
}
