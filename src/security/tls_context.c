/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading certificates and keys, with an answer for whoever has mixed up two files, and the settings of every
 * connection. Tickets resume sessions without a table (RFC 5077; RFC 8446 §4.6.1); their keys change every twelve
 * hours, live twice that, and go with the context. With client certificates there are none: a ticket would bring the
 * client back without its certificate.
 */
#include "security/tls_context.h"

#include <limits.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

#define TICKET_LIFETIME 43200u /* seconds */

/* RFC 9113 §9.2.2 forbids the rest, or nobody needs it. The order is the server's choice. */
static const int suites[] = {
#if MBEDTLS_VERSION_MAJOR >= 3
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};

#if MBEDTLS_VERSION_MAJOR >= 3
static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                  MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
#else
static const mbedtls_ecp_group_id groups[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519,
                                              MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_NONE};
#endif

static const char *protocols[] = {"h2", NULL};

static int fill_random(void *context, unsigned char *out, size_t length)
{
    const struct mote_random *random = context;
    return random->fill(random->context, out, length) == 0 ? 0 : MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
}

static void *random_of(const struct mote_tls_context *context)
{
    return (void *)(uintptr_t)context->random;
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static int refuse(char problem[MOTE_TLS_PROBLEM_MAX], const char *file, const char *text)
{
    (void)snprintf(problem, MOTE_TLS_PROBLEM_MAX, "%s: %s", file, text);
    return MOTE_EINVAL;
}

static bool contains(struct mote_slice text, const char *needle)
{
    return memmem(text.data, text.length, needle, strlen(needle)) != NULL; /* public: certificates */
}

/* mbedtls wants a NUL behind PEM, and counts it. The copy is wiped with `wipe_copy`. */
static unsigned char *copy_text(struct mote_mem *mem, struct mote_slice text)
{
    return (unsigned char *)mote_mem_copy_text(mem, (const char *)text.data, text.length);
}

static void wipe_copy(struct mote_mem *mem, unsigned char *copy, size_t length)
{
    mbedtls_platform_zeroize(copy, length);
    mote_mem_release(mem, copy);
}

static int load_certificates(mbedtls_x509_crt *chain, const struct mote_tls_context *context,
                             const struct mote_tls_pem *pem, char problem[MOTE_TLS_PROBLEM_MAX])
{
    if (pem->text.length == 0) {
        return refuse(problem, pem->file, "the file is empty");
    }
    if (!contains(pem->text, "-----BEGIN CERTIFICATE-----")) {
        return refuse(problem, pem->file,
                      contains(pem->text, "PRIVATE KEY-----") ? "holds a private key, not a certificate"
                                                              : "no certificate in PEM form in it");
    }
    unsigned char *copy = copy_text(context->mem, pem->text);
    if (copy == NULL) {
        return MOTE_ENOMEM;
    }
    int code = mbedtls_x509_crt_parse(chain, copy, pem->text.length + 1);
    mote_mem_release(context->mem, copy);
    if (code == MBEDTLS_ERR_X509_ALLOC_FAILED) {
        return MOTE_ENOMEM;
    }
    if (code > 0) {
        (void)snprintf(problem, MOTE_TLS_PROBLEM_MAX, "%s: %d of the certificates in it cannot be read", pem->file,
                       code);
        return MOTE_EINVAL;
    }
    return code == 0 ? 0 : refuse(problem, pem->file, "the certificate in it cannot be read");
}

static int parse_key(mbedtls_pk_context *key, const struct mote_tls_context *context, const unsigned char *text,
                     size_t length, const char *password)
{
    const unsigned char *bytes = (const unsigned char *)password;
    size_t password_length = password != NULL ? strlen(password) : 0;
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_parse_key(key, text, length, bytes, password_length, fill_random, random_of(context));
#else
    (void)context;
    return mbedtls_pk_parse_key(key, text, length, bytes, password_length);
#endif
}

static const char *explain_key_error(int code, struct mote_slice text)
{
    switch (code) {
    case MBEDTLS_ERR_PEM_PASSWORD_REQUIRED:
    case MBEDTLS_ERR_PK_PASSWORD_REQUIRED:
        return "the key is encrypted, and no password is given";
    case MBEDTLS_ERR_PEM_PASSWORD_MISMATCH:
    case MBEDTLS_ERR_PK_PASSWORD_MISMATCH:
        return "the password does not open the key";
    default:
        break;
    }
    if (contains(text, "ENCRYPTED")) {
        return "the key cannot be opened: the password is wrong, or it is encrypted in a way that mbedtls does not "
               "know";
    }
    if (!contains(text, "PRIVATE KEY-----")) {
        return contains(text, "-----BEGIN CERTIFICATE-----") ? "holds a certificate, not a private key"
                                                             : "no private key in PEM form in it";
    }
    return "the private key in it cannot be read (RSA and EC keys can)";
}

static int load_key(mbedtls_pk_context *key, const struct mote_tls_context *context, const struct mote_tls_pem *pem,
                    const char *password, char problem[MOTE_TLS_PROBLEM_MAX])
{
    if (pem->text.length == 0) {
        return refuse(problem, pem->file, "the file is empty");
    }
    unsigned char *copy = copy_text(context->mem, pem->text);
    if (copy == NULL) {
        return MOTE_ENOMEM;
    }
    int code = parse_key(key, context, copy, pem->text.length + 1, password);
    wipe_copy(context->mem, copy, pem->text.length);
    return code == 0 ? 0 : refuse(problem, pem->file, explain_key_error(code, pem->text));
}

static int check_pair(struct mote_tls_own *own, const struct mote_tls_context *context)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_check_pair(&own->chain.pk, &own->key, fill_random, random_of(context));
#else
    (void)context;
    return mbedtls_pk_check_pair(&own->chain.pk, &own->key);
#endif
}

static int64_t seconds_of(const mbedtls_x509_time *time)
{
    struct tm broken = {
        .tm_year = time->year - 1900,
        .tm_mon = time->mon - 1,
        .tm_mday = time->day,
        .tm_hour = time->hour,
        .tm_min = time->min,
        .tm_sec = time->sec,
    };
    return timegm(&broken);
}

static int load_identity(struct mote_tls_own *own, struct mote_tls_context *context,
                         const struct mote_tls_identity *identity, const char *password,
                         char problem[MOTE_TLS_PROBLEM_MAX])
{
    int result = load_certificates(&own->chain, context, &identity->certificate, problem);
    if (result == 0) {
        result = load_key(&own->key, context, &identity->key, password, problem);
    }
    if (result != 0) {
        return result;
    }
    if (check_pair(own, context) != 0) {
        (void)snprintf(problem, MOTE_TLS_PROBLEM_MAX, "%s: the key is not the one of the certificate in %s",
                       identity->key.file, identity->certificate.file);
        return MOTE_EINVAL;
    }
    if (mbedtls_pk_can_do(&own->key, MBEDTLS_PK_RSA) && mbedtls_pk_get_bitlen(&own->key) < MOTE_TLS_KEY_BITS_MIN) {
        return refuse(problem, identity->key.file, "the RSA key has fewer than 2048 bits");
    }
    int64_t end = seconds_of(&own->chain.valid_to);
    context->not_after = end < context->not_after ? end : context->not_after;
    return 0;
}

/* --- server names ----------------------------------------------------------------------------------------------- */

/* RFC 6125 §6.4.3: a `*` stands for the whole first label. */
static bool is_name_match(struct mote_slice pattern, struct mote_slice name)
{
    if (pattern.length > 2 && pattern.data[0] == '*' && pattern.data[1] == '.') {
        const uint8_t *dot = memchr(name.data, '.', name.length);
        if (dot == NULL || dot == name.data) {
            return false;
        }
        pattern = mote_slice(pattern.data + 1, pattern.length - 1);
        name = mote_slice(dot, name.length - (size_t)(dot - name.data));
    }
    return pattern.length == name.length &&
           strncasecmp((const char *)pattern.data, (const char *)name.data, name.length) == 0; /* public: host names */
}

static bool is_for_name(const mbedtls_x509_crt *certificate, struct mote_slice name)
{
    const unsigned char dns_name = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2; /* RFC 5280 §4.2.1.6 */
    for (const mbedtls_x509_sequence *entry = &certificate->subject_alt_names; entry != NULL; entry = entry->next) {
        if (entry->buf.p != NULL && entry->buf.tag == dns_name &&
            is_name_match(mote_slice(entry->buf.p, entry->buf.len), name)) {
            return true;
        }
    }
    return false;
}

/* For a name that is nobody's the settings of all hold: RFC 6066 §3 leaves it to the client to mind. */
static int choose_identity(void *argument, mbedtls_ssl_context *ssl, const unsigned char *name, size_t length)
{
    struct mote_tls_context *context = argument;
    struct mote_slice wanted = mote_slice(name, length);
    int code = 0;
    for (size_t i = 0; code == 0 && i < context->own_count; i++) {
        struct mote_tls_own *own = &context->own[i];
        if (is_for_name(&own->chain, wanted)) {
            code = mbedtls_ssl_set_hs_own_cert(ssl, &own->chain, &own->key);
        }
    }
    return code;
}

/* --- settings --------------------------------------------------------------------------------------------------- */

static int set_tickets(struct mote_tls_context *context)
{
    int code = mbedtls_ssl_ticket_setup(&context->tickets, fill_random, random_of(context), MBEDTLS_CIPHER_AES_256_GCM,
                                        TICKET_LIFETIME);
    if (code == 0) {
        mbedtls_ssl_conf_session_tickets_cb(&context->config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                            &context->tickets);
    }
    return code;
}

static void set_versions(mbedtls_ssl_config *config)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_groups(config, groups);
#else
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_curves(config, groups);
#endif
}

static int auth_mode(const struct mote_tls_options *options)
{
    if (options->is_client) {
        return options->is_pinned ? MBEDTLS_SSL_VERIFY_OPTIONAL : MBEDTLS_SSL_VERIFY_REQUIRED;
    }
    switch (options->client_auth) {
    case MOTE_TLS_CLIENT_AUTH_NONE:
        return MBEDTLS_SSL_VERIFY_NONE;
    case MOTE_TLS_CLIENT_AUTH_OPTIONAL:
        return MBEDTLS_SSL_VERIFY_OPTIONAL;
    case MOTE_TLS_CLIENT_AUTH_REQUIRED:
        return MBEDTLS_SSL_VERIFY_REQUIRED;
    }
    return MBEDTLS_SSL_VERIFY_REQUIRED;
}

static int set_up(struct mote_tls_context *context, const struct mote_tls_options *options)
{
    mbedtls_ssl_config *config = &context->config;
    int code = mbedtls_ssl_config_defaults(config, options->is_client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER,
                                           MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (code != 0) {
        return code;
    }
    set_versions(config);
    mbedtls_ssl_conf_ciphersuites(config, suites);
    mbedtls_ssl_conf_rng(config, fill_random, random_of(context));
    mbedtls_ssl_conf_authmode(config, auth_mode(options));
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    mbedtls_ssl_conf_legacy_renegotiation(config, MBEDTLS_SSL_LEGACY_BREAK_HANDSHAKE);
    if (options->authorities.text.length > 0) {
        mbedtls_ssl_conf_ca_chain(config, &context->authorities, NULL);
    }
    for (size_t i = 0; code == 0 && i < context->own_count; i++) {
        /* Those beyond the first are found by name, or for its kind of key by who names nobody. */
        code = mbedtls_ssl_conf_own_cert(config, &context->own[i].chain, &context->own[i].key);
    }
    if (code == 0) {
        code = mbedtls_ssl_conf_alpn_protocols(config, protocols);
    }
    if (code == 0 && !options->is_client) {
        mbedtls_ssl_conf_sni(config, choose_identity, context);
        if (options->client_auth == MOTE_TLS_CLIENT_AUTH_NONE) {
            code = set_tickets(context);
        }
    }
    return code;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static int check_options(const struct mote_tls_options *options, char problem[MOTE_TLS_PROBLEM_MAX])
{
    size_t most = options->is_client ? 1 : MOTE_TLS_IDENTITIES_MAX;
    bool needs_authorities = options->is_client || options->client_auth != MOTE_TLS_CLIENT_AUTH_NONE;
    if (options->identity_count > most || (!options->is_client && options->identity_count == 0)) {
        (void)snprintf(problem, MOTE_TLS_PROBLEM_MAX, "TLS: %zu certificates are given, %s%zu can be used",
                       options->identity_count, options->is_client ? "0 to " : "1 to ", most);
        return MOTE_EINVAL;
    }
    if (needs_authorities && options->authorities.file == NULL) {
        (void)snprintf(problem, MOTE_TLS_PROBLEM_MAX, "TLS: no authorities are given to check the peer with");
        return MOTE_EINVAL;
    }
    return 0;
}

static int load_all(struct mote_tls_context *context, const struct mote_tls_options *options,
                    char problem[MOTE_TLS_PROBLEM_MAX])
{
    int result = 0;
    if (options->authorities.file != NULL) {
        result = load_certificates(&context->authorities, context, &options->authorities, problem);
    }
    for (size_t i = 0; result == 0 && i < options->identity_count; i++) {
        struct mote_tls_own *own = &context->own[context->own_count++];
        mbedtls_x509_crt_init(&own->chain);
        mbedtls_pk_init(&own->key);
        result = load_identity(own, context, &options->identities[i], options->key_password, problem);
    }
    return result;
}

int mote_tls_context_new(struct mote_tls_context **out, const struct mote_tls_options *options,
                         char problem[MOTE_TLS_PROBLEM_MAX])
{
    int result = check_options(options, problem);
    if (result != 0) {
        return result;
    }
#if MBEDTLS_VERSION_MAJOR >= 3
    if (psa_crypto_init() != PSA_SUCCESS) {
        return refuse(problem, "TLS", "the cryptography of mbedtls cannot be started");
    }
#endif
    struct mote_tls_context *context = mote_mem_allocate_zeroed(options->mem, sizeof *context);
    if (context == NULL) {
        return MOTE_ENOMEM;
    }
    atomic_init(&context->references, 1);
    context->mem = options->mem;
    context->random = options->random;
    context->not_after = INT64_MAX;
    context->is_pinned = options->is_client && options->is_pinned;
    mbedtls_ssl_config_init(&context->config);
    mbedtls_ssl_ticket_init(&context->tickets);
    mbedtls_x509_crt_init(&context->authorities);
    result = load_all(context, options, problem);
    if (result == 0) {
        int code = set_up(context, options);
        if (code != 0) {
            (void)snprintf(problem, MOTE_TLS_PROBLEM_MAX, "TLS: mbedtls refuses the settings (-0x%04x)",
                           (unsigned)-code);
            result = code == MBEDTLS_ERR_SSL_ALLOC_FAILED ? MOTE_ENOMEM : MOTE_EINVAL;
        }
    }
    if (result != 0) {
        mote_tls_context_unref(context);
        return result;
    }
    *out = context;
    return 0;
}

struct mote_tls_context *mote_tls_context_ref(struct mote_tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void mote_tls_context_unref(struct mote_tls_context *context)
{
    if (context == NULL || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    mbedtls_ssl_config_free(&context->config);
    mbedtls_ssl_ticket_free(&context->tickets);
    mbedtls_x509_crt_free(&context->authorities);
    for (size_t i = 0; i < context->own_count; i++) {
        mbedtls_x509_crt_free(&context->own[i].chain);
        mbedtls_pk_free(&context->own[i].key);
    }
    mote_mem_release(context->mem, context);
}

int64_t mote_tls_context_not_after(const struct mote_tls_context *context)
{
    return context->not_after;
}
