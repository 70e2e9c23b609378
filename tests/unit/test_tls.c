/* SPDX-License-Identifier: Apache-2.0 */
/* TLS without sockets: a client and a server of the same module, and what is between them at will. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <mbedtls/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "security/tls.h"
#include "support/certificates.h"
#include "support/failing_mem.h"

#define ROOM (4 * MOTE_TLS_RECORD_MAX)

#if MBEDTLS_VERSION_MAJOR >= 3
#define NEWEST "TLSv1.3"
#else
#define NEWEST "TLSv1.2"
#endif

static struct test_identity authority;
static struct test_identity stranger; /* another authority */
static struct test_identity server_ec;
static struct test_identity server_rsa;
static struct test_identity other_name;
static struct test_identity client;
static struct test_identity bad_client;
static struct test_identity expired_client;

static struct mote_tls_pem pem_of(const char *file, const char *text)
{
    return (struct mote_tls_pem){.file = file, .text = mote_slice_text(text)};
}

static struct mote_tls_identity identity_of(const struct test_identity *identity)
{
    return (struct mote_tls_identity){.certificate = pem_of("cert.pem", identity->certificate),
                                      .key = pem_of("key.pem", identity->key)};
}

static struct mote_tls_context *context_of(const struct mote_tls_options *options)
{
    struct mote_tls_context *context = NULL;
    char problem[MOTE_TLS_PROBLEM_MAX] = "";
    struct mote_tls_options complete = *options;
    complete.random = mote_random_system();
    complete.mem = mote_mem_system();
    if (mote_tls_context_new(&context, &complete, problem) != 0) {
        fail_msg("%s", problem);
    }
    return context;
}

static struct mote_tls_context *server_context(const struct test_identity *first, const struct test_identity *second,
                                               enum mote_tls_client_auth client_auth)
{
    struct mote_tls_identity identities[2] = {identity_of(first)};
    if (second != NULL) {
        identities[1] = identity_of(second);
    }
    struct mote_tls_options options = {
        .identities = identities, .identity_count = second != NULL ? 2 : 1, .client_auth = client_auth};
    if (client_auth != MOTE_TLS_CLIENT_AUTH_NONE) {
        options.authorities = pem_of("ca.pem", authority.certificate);
    }
    return context_of(&options);
}

static struct mote_tls_context *client_context(const struct test_identity *own, const struct test_identity *trusted)
{
    struct mote_tls_identity identity;
    struct mote_tls_options options = {.is_client = true, .authorities = pem_of("ca.pem", trusted->certificate)};
    if (own != NULL) {
        identity = identity_of(own);
        options.identities = &identity;
        options.identity_count = 1;
    }
    return context_of(&options);
}

/* One direction of bytes under way. */
struct way {
    uint8_t bytes[1 << 20];
    size_t length;
};

struct end {
    struct mote_tls *tls;
    struct way incoming;
    uint8_t plain[1 << 18];
    size_t plain_length;
    int result;
    size_t flip_at; /* 1 + the offset of a byte to turn over, over all that is sent; 0: none */
    size_t sent;
};

struct pair {
    struct end client;
    struct end server;
    struct mote_tls_context *client_context;
    struct mote_tls_context *server_context;
    size_t cut;  /* bytes delivered at once; 0: all */
    size_t room; /* of the rooms */
};

static struct pair *pair_new(struct mote_tls_context *client_side, struct mote_tls_context *server_side,
                             const char *name)
{
    struct pair *pair = calloc(1, sizeof *pair);
    pair->client_context = client_side;
    pair->server_context = server_side;
    pair->room = ROOM;
    assert_int_equal(mote_tls_new(&pair->client.tls, client_side, name), 0);
    assert_int_equal(mote_tls_new(&pair->server.tls, server_side, NULL), 0);
    return pair;
}

static void pair_free(struct pair *pair)
{
    mote_tls_free(pair->client.tls);
    mote_tls_free(pair->server.tls);
    mote_tls_context_unref(pair->client_context);
    mote_tls_context_unref(pair->server_context);
    free(pair);
}

static void carry(struct end *from, struct end *to, const uint8_t *bytes, size_t length)
{
    assert_true(to->incoming.length + length <= sizeof to->incoming.bytes);
    memcpy(to->incoming.bytes + to->incoming.length, bytes, length);
    if (from->flip_at > from->sent && from->flip_at <= from->sent + length) {
        to->incoming.bytes[to->incoming.length + (from->flip_at - 1 - from->sent)] ^= 0x40;
    }
    from->sent += length;
    to->incoming.length += length;
}

static bool receive(struct pair *pair, struct end *end, struct end *other)
{
    static uint8_t out_bytes[ROOM];
    struct mote_tls_room out = {.bytes = out_bytes, .size = pair->room};
    struct mote_tls_room plain = {.bytes = end->plain + end->plain_length,
                                  .size = sizeof end->plain - end->plain_length};
    size_t length = pair->cut != 0 && pair->cut < end->incoming.length ? pair->cut : end->incoming.length;
    struct mote_slice in = mote_slice(end->incoming.bytes, length);
    if (end->result == 0) {
        end->result = mote_tls_recv(end->tls, &in, &plain, &out);
    } else {
        in = mote_slice(NULL, 0);
    }
    size_t taken = length - in.length;
    memmove(end->incoming.bytes, end->incoming.bytes + taken, end->incoming.length - taken);
    end->incoming.length -= taken;
    end->plain_length += plain.length;
    carry(end, other, out.bytes, out.length);
    return taken > 0 || out.length > 0 || plain.length > 0;
}

static bool send_some(struct pair *pair, struct end *end, struct end *other, struct mote_slice *plain)
{
    static uint8_t out_bytes[ROOM];
    struct mote_tls_room out = {.bytes = out_bytes, .size = pair->room};
    int result = mote_tls_send(end->tls, plain, &out);
    if (end->result == 0) {
        end->result = result;
    }
    carry(end, other, out.bytes, out.length);
    return out.length > 0;
}

static void pump(struct pair *pair)
{
    struct mote_slice nothing = mote_slice(NULL, 0);
    for (bool moved = true; moved;) {
        moved = receive(pair, &pair->client, &pair->server);
        moved = receive(pair, &pair->server, &pair->client) || moved;
        moved = send_some(pair, &pair->client, &pair->server, &nothing) || moved;
        moved = send_some(pair, &pair->server, &pair->client, &nothing) || moved;
    }
}

static void send_all(struct pair *pair, struct end *end, struct end *other, const uint8_t *bytes, size_t length)
{
    struct mote_slice plain = mote_slice(bytes, length);
    while (plain.length > 0) {
        assert_true(send_some(pair, end, other, &plain));
        pump(pair);
    }
}

static bool is_up(const struct pair *pair)
{
    return mote_tls_is_established(pair->client.tls) && mote_tls_is_established(pair->server.tls) &&
           pair->client.result == 0 && pair->server.result == 0;
}

static void test_bytes_arrive(void **state)
{
    (void)state;
    static uint8_t bytes[100000];
    const struct test_identity *servers[] = {&server_ec, &server_rsa};
    const size_t cuts[] = {0, 1, 7, 1000};
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31 >> 3);
    }
    for (size_t s = 0; s < 2; s++) {
        for (size_t c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
            struct pair *pair = pair_new(client_context(NULL, &authority),
                                         server_context(servers[s], NULL, MOTE_TLS_CLIENT_AUTH_NONE), "one.example");
            pair->cut = cuts[c];
            pump(pair);
            assert_true(is_up(pair));
            size_t length = cuts[c] == 1 ? 2000 : sizeof bytes;
            send_all(pair, &pair->client, &pair->server, bytes, length);
            send_all(pair, &pair->server, &pair->client, bytes, length);
            assert_int_equal(pair->server.plain_length, length);
            assert_true(memcmp(pair->server.plain, bytes, length) == 0);
            assert_int_equal(pair->client.plain_length, length);
            assert_true(memcmp(pair->client.plain, bytes, length) == 0);
            assert_false(mote_tls_has_plain(pair->server.tls));
            assert_string_equal(mote_tls_version(pair->server.tls), NEWEST);
            assert_string_not_equal(mote_tls_suite(pair->server.tls), "");
            pair_free(pair);
        }
    }
}

/* A room that takes no whole flight at once. */
static void test_little_room(void **state)
{
    (void)state;
    struct pair *pair = pair_new(client_context(NULL, &authority),
                                 server_context(&server_ec, NULL, MOTE_TLS_CLIENT_AUTH_NONE), "one.example");
    pair->room = 100;
    pump(pair);
    assert_true(is_up(pair));
    struct mote_slice plain = mote_slice("x", 1);
    assert_false(send_some(pair, &pair->client, &pair->server, &plain));
    assert_int_equal(plain.length, 1);
    pair->room = MOTE_TLS_RECORD_MAX;
    assert_true(send_some(pair, &pair->client, &pair->server, &plain));
    pump(pair);
    assert_int_equal(pair->server.plain_length, 1);
    pair_free(pair);
}

/* Plain text that found no room waits, without more input. */
static void test_little_room_for_plain_text(void **state)
{
    (void)state;
    static uint8_t out_bytes[ROOM];
    uint8_t plain_bytes[10];
    struct mote_tls_room out = {.bytes = out_bytes, .size = sizeof out_bytes};
    struct mote_tls_room plain = {.bytes = plain_bytes, .size = sizeof plain_bytes};
    struct pair *pair = pair_new(client_context(NULL, &authority),
                                 server_context(&server_ec, NULL, MOTE_TLS_CLIENT_AUTH_NONE), "one.example");
    pump(pair);
    struct mote_slice text = mote_slice_text("0123456789abcdef");
    assert_true(send_some(pair, &pair->client, &pair->server, &text));
    struct mote_slice in = mote_slice(pair->server.incoming.bytes, pair->server.incoming.length);
    assert_int_equal(mote_tls_recv(pair->server.tls, &in, &plain, &out), 0);
    assert_int_equal(plain.length, 10);
    assert_true(mote_tls_has_plain(pair->server.tls));
    plain.length = 0;
    assert_int_equal(mote_tls_recv(pair->server.tls, &in, &plain, &out), 0);
    assert_int_equal(plain.length, 6);
    assert_memory_equal(plain_bytes, "abcdef", 6);
    assert_false(mote_tls_has_plain(pair->server.tls));
    pair_free(pair);
}

static void test_goodbye(void **state)
{
    (void)state;
    static uint8_t out_bytes[ROOM];
    struct mote_tls_room out = {.bytes = out_bytes, .size = sizeof out_bytes};
    struct pair *pair = pair_new(client_context(NULL, &authority),
                                 server_context(&server_ec, NULL, MOTE_TLS_CLIENT_AUTH_NONE), "one.example");
    mote_tls_goodbye(pair->server.tls, &out);
    assert_int_equal(out.length, 0); /* nobody is there yet */
    pump(pair);
    mote_tls_goodbye(pair->server.tls, &out);
    assert_true(out.length > 0);
    carry(&pair->server, &pair->client, out.bytes, out.length);
    out.length = 0;
    mote_tls_goodbye(pair->server.tls, &out);
    assert_int_equal(out.length, 0); /* once */
    pump(pair);
    assert_int_equal(pair->client.result, MOTE_ECLOSED);
    assert_string_equal(mote_tls_problem(pair->client.tls), "");
    pair_free(pair);
}

static void test_flipped_byte(void **state)
{
    (void)state;
    struct pair *pair = pair_new(client_context(NULL, &authority),
                                 server_context(&server_ec, NULL, MOTE_TLS_CLIENT_AUTH_NONE), "one.example");
    pump(pair);
    assert_true(is_up(pair));
    pair->client.flip_at = pair->client.sent + 12;
    struct mote_slice plain = mote_slice_text("hello");
    assert_true(send_some(pair, &pair->client, &pair->server, &plain));
    pump(pair);
    assert_int_equal(pair->server.result, MOTE_EPROTO);
    assert_int_equal(pair->server.plain_length, 0);
    assert_string_not_equal(mote_tls_problem(pair->server.tls), "");
    assert_int_not_equal(pair->client.result, 0); /* it got an alert */
    pair_free(pair);
}

/* A byte of the server's flights turned over: the two never both believe in what was changed. */
static void test_flipped_handshake(void **state)
{
    (void)state;
    struct mote_tls_context *client_side = client_context(NULL, &authority);
    struct mote_tls_context *server_side = server_context(&server_ec, NULL, MOTE_TLS_CLIENT_AUTH_NONE);
    for (size_t at = 1; at < 900; at += 13) {
        struct pair *pair =
            pair_new(mote_tls_context_ref(client_side), mote_tls_context_ref(server_side), "one.example");
        pair->server.flip_at = at;
        pump(pair);
        if (pair->server.sent >= at && is_up(pair)) {
            fail_msg("byte %zu of %zu", at, pair->server.sent);
        }
        pair_free(pair);
    }
    mote_tls_context_unref(client_side);
    mote_tls_context_unref(server_side);
}

static void test_server_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_up;
    } cases[] = {
        {"one.example", true},       {"ONE.example", true},   {"two.example", true},  {"a.wild.example", true},
        {"a.b.wild.example", false}, {"wild.example", false}, {"nobody.test", false}, /* the first identity is shown,
                                                                                         and the client refuses it */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair *pair = pair_new(client_context(NULL, &authority),
                                     server_context(&server_ec, &other_name, MOTE_TLS_CLIENT_AUTH_NONE), cases[i].name);
        pump(pair);
        if (is_up(pair) != cases[i].is_up) {
            fail_msg("%s: %s / %s", cases[i].name, mote_tls_problem(pair->client.tls),
                     mote_tls_problem(pair->server.tls));
        }
        pair_free(pair);
    }
}

static void test_client_certificates(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const struct test_identity *client;
        enum mote_tls_client_auth client_auth;
        bool is_up;
        bool is_known;
    } cases[] = {
        {"none asked for, none given", NULL, MOTE_TLS_CLIENT_AUTH_NONE, true, false},
        {"none asked for, one there", &client, MOTE_TLS_CLIENT_AUTH_NONE, true, false},
        {"optional, given", &client, MOTE_TLS_CLIENT_AUTH_OPTIONAL, true, true},
        {"optional, not given", NULL, MOTE_TLS_CLIENT_AUTH_OPTIONAL, true, false},
        {"optional, of a stranger", &bad_client, MOTE_TLS_CLIENT_AUTH_OPTIONAL, false, false},
        {"optional, expired", &expired_client, MOTE_TLS_CLIENT_AUTH_OPTIONAL, false, false},
        {"required, given", &client, MOTE_TLS_CLIENT_AUTH_REQUIRED, true, true},
        {"required, not given", NULL, MOTE_TLS_CLIENT_AUTH_REQUIRED, false, false},
        {"required, of a stranger", &bad_client, MOTE_TLS_CLIENT_AUTH_REQUIRED, false, false},
        {"required, expired", &expired_client, MOTE_TLS_CLIENT_AUTH_REQUIRED, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_certificate *peer = NULL;
        struct pair *pair = pair_new(client_context(cases[i].client, &authority),
                                     server_context(&server_ec, NULL, cases[i].client_auth), "one.example");
        pump(pair);
        bool server_is_up = mote_tls_is_established(pair->server.tls) && pair->server.result == 0;
        if (server_is_up != cases[i].is_up) {
            fail_msg("%s: %s", cases[i].name, mote_tls_problem(pair->server.tls));
        }
        if (server_is_up) {
            assert_int_equal(mote_tls_certificate_read(&peer, pair->server.tls, mote_mem_system()), 0);
            assert_int_equal(peer != NULL, cases[i].is_known);
        }
        if (peer != NULL) {
            assert_string_equal(peer->subject, "CN=somebody");
        }
        mote_mem_release(mote_mem_system(), peer);
        pair_free(pair);
    }
}

/* What the server knows of this client; owned. */
static struct mote_certificate *certificate_of(const struct test_identity *identity, struct mote_mem *mem, int expected)
{
    struct mote_certificate *certificate = NULL;
    struct pair *pair = pair_new(client_context(identity, &authority),
                                 server_context(&server_ec, NULL, MOTE_TLS_CLIENT_AUTH_REQUIRED), "one.example");
    assert_int_equal(mote_tls_certificate_read(&certificate, pair->server.tls, mem), 0);
    assert_null(certificate); /* nobody is known before the handshake is over */
    pump(pair);
    assert_true(is_up(pair));
    assert_int_equal(mote_tls_certificate_read(&certificate, pair->server.tls, mem), expected);
    pair_free(pair);
    return certificate;
}

static void test_what_a_certificate_says(void **state)
{
    static const struct mote_certificate_name expected[] = {
        {MOTE_CERTIFICATE_NAME_DNS, "one.example"},      {MOTE_CERTIFICATE_NAME_URI, "spiffe://example.org/gateway"},
        {MOTE_CERTIFICATE_NAME_IP, "192.0.2.1"},         {MOTE_CERTIFICATE_NAME_IP, "2001:db8::1"},
        {MOTE_CERTIFICATE_NAME_EMAIL, "me@example.org"},
    };
    static struct test_identity named;
    (void)state;
    test_identity_make(&named, &(struct test_identity_wish){
                                   .subject = "CN=gateway,O=Example,C=AA",
                                   .issuer = &authority,
                                   .names = {"one.example", "URI:spiffe://example.org/gateway", "IP:192.0.2.1",
                                             "URI:no spaces", "IP:2001:db8::1", "\x7f.example", "email:me@example.org"},
                               });
    struct mote_certificate *certificate = certificate_of(&named, mote_mem_system(), 0);
    assert_non_null(certificate);
    assert_non_null(strstr(certificate->subject, "CN=gateway"));
    assert_non_null(strstr(certificate->subject, "O=Example"));
    assert_true(certificate->der.length > 300 && certificate->der.data[0] == 0x30);
    assert_int_equal(certificate->name_count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < certificate->name_count; i++) {
        assert_int_equal(certificate->names[i].kind, expected[i].kind);
        assert_string_equal(certificate->names[i].text, expected[i].text);
    }
    struct mote_certificate *again = certificate_of(&named, mote_mem_system(), 0);
    assert_memory_equal(certificate->fingerprint, again->fingerprint, sizeof again->fingerprint);
    mote_mem_release(mote_mem_system(), again);
    mote_mem_release(mote_mem_system(), certificate);
}

static void test_many_names_and_a_long_subject(void **state)
{
    static const unsigned counts[] = {MOTE_CERTIFICATE_NAMES_MAX, MOTE_CERTIFICATE_NAMES_MAX + 1};
    static struct test_identity many;
    static const char *const attributes[] = {"CN", "O", "OU", "L", "ST", "C"};
    char subject[500] = "";
    (void)state;
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        size_t length = strlen(subject);
        (void)snprintf(subject + length, sizeof subject - length, "%s%s=%060d", i > 0 ? "," : "", attributes[i], 7);
    }
    for (size_t i = 0; i < 2; i++) {
        test_identity_make(&many, &(struct test_identity_wish){.subject = i == 0 ? "CN=many" : subject,
                                                               .issuer = &authority,
                                                               .more_names = counts[i]});
        struct mote_certificate *certificate = certificate_of(&many, mote_mem_system(), 0);
        assert_int_equal(certificate->name_count, MOTE_CERTIFICATE_NAMES_MAX);
        assert_string_equal(certificate->names[MOTE_CERTIFICATE_NAMES_MAX - 1].text, "n63.example");
        assert_in_range(strlen(certificate->subject), i == 0 ? 7 : 100, MOTE_CERTIFICATE_SUBJECT_MAX - 1);
        mote_mem_release(mote_mem_system(), certificate);
    }
}

static void test_a_certificate_without_memory(void **state)
{
    struct mote_failing_mem failing;
    (void)state;
    mote_failing_mem_init(&failing);
    mote_failing_mem_arm(&failing, 1, false);
    assert_null(certificate_of(&client, &failing.mem, MOTE_ENOMEM));
    assert_int_equal(failing.live_count, 0);
}

static void test_client_checks_the_server(void **state)
{
    (void)state;
    struct pair *pair = pair_new(client_context(NULL, &stranger),
                                 server_context(&server_ec, NULL, MOTE_TLS_CLIENT_AUTH_NONE), "one.example");
    pump(pair);
    assert_int_equal(pair->client.result, MOTE_EPROTO);
    assert_false(mote_tls_is_established(pair->client.tls));
    pair_free(pair);
}

/* A server that shows the very certificate, under whatever name; and one that shows another. */
static void test_pinned(void **state)
{
    (void)state;
    const struct test_identity *pins[] = {&server_ec, &server_rsa};
    for (size_t i = 0; i < 2; i++) {
        struct mote_tls_options options = {
            .is_client = true, .is_pinned = true, .authorities = pem_of("cert.pem", pins[i]->certificate)};
        struct pair *pair =
            pair_new(context_of(&options), server_context(&server_ec, NULL, MOTE_TLS_CLIENT_AUTH_NONE), NULL);
        pump(pair);
        assert_int_equal(is_up(pair), i == 0);
        pair_free(pair);
    }
}

/* What is no TLS at all, and what is cut off. */
static void test_other_bytes(void **state)
{
    (void)state;
    static const char *const cases[] = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
                                        "\x16\x03\x01\xff\xff garbage garbage", "\x80\x2e\x01\x03\x01"};
    struct mote_tls_context *server_side = server_context(&server_ec, NULL, MOTE_TLS_CLIENT_AUTH_NONE);
    static uint8_t out_bytes[ROOM];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t plain_bytes[100];
        struct mote_tls_room out = {.bytes = out_bytes, .size = sizeof out_bytes};
        struct mote_tls_room plain = {.bytes = plain_bytes, .size = sizeof plain_bytes};
        struct mote_tls *tls = NULL;
        assert_int_equal(mote_tls_new(&tls, server_side, NULL), 0);
        struct mote_slice in = mote_slice_text(cases[i]);
        assert_int_equal(mote_tls_recv(tls, &in, &plain, &out), MOTE_EPROTO);
        assert_int_equal(plain.length, 0);
        assert_string_not_equal(mote_tls_problem(tls), "");
        assert_int_equal(mote_tls_recv(tls, &in, &plain, &out), MOTE_EPROTO); /* it stays so */
        mote_tls_free(tls);
    }
    mote_tls_context_unref(server_side);
}

static void test_problems_with_files(void **state)
{
    (void)state;
    static struct test_identity small;
    test_identity_make(&small, &(struct test_identity_wish){
                                   .subject = "CN=small", .issuer = &authority, .is_rsa = true, .rsa_bits = 1024});
    static char truncated[TEST_PEM_MAX];
    memcpy(truncated, server_ec.certificate, 200);
    const struct {
        const char *certificate;
        const char *key;
        const char *problem;
    } cases[] = {
        {"", server_ec.key, "cert.pem: the file is empty"},
        {server_ec.certificate, "", "key.pem: the file is empty"},
        {"hello", server_ec.key, "cert.pem: no certificate in PEM form in it"},
        {server_ec.key, server_ec.key, "cert.pem: holds a private key, not a certificate"},
        {server_ec.certificate, server_ec.certificate, "key.pem: holds a certificate, not a private key"},
        {server_ec.certificate, "hello", "key.pem: no private key in PEM form in it"},
        {server_ec.certificate, server_rsa.key, "key.pem: the key is not the one of the certificate in cert.pem"},
        {truncated, server_ec.key, "cert.pem: the certificate in it cannot be read"},
        {small.certificate, small.key, "key.pem: the RSA key has fewer than 2048 bits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_tls_context *context = NULL;
        char problem[MOTE_TLS_PROBLEM_MAX] = "";
        struct mote_tls_identity identity = {.certificate = pem_of("cert.pem", cases[i].certificate),
                                             .key = pem_of("key.pem", cases[i].key)};
        struct mote_tls_options options = {
            .identities = &identity, .identity_count = 1, .random = mote_random_system(), .mem = mote_mem_system()};
        assert_int_equal(mote_tls_context_new(&context, &options, problem), MOTE_EINVAL);
        assert_string_equal(problem, cases[i].problem);
    }
}

static void test_counts(void **state)
{
    (void)state;
    struct mote_tls_identity identities[MOTE_TLS_IDENTITIES_MAX + 1];
    for (size_t i = 0; i <= MOTE_TLS_IDENTITIES_MAX; i++) {
        identities[i] = identity_of(&server_ec);
    }
    for (size_t count = 0; count <= MOTE_TLS_IDENTITIES_MAX + 1; count++) {
        struct mote_tls_context *context = NULL;
        char problem[MOTE_TLS_PROBLEM_MAX] = "";
        struct mote_tls_options options = {.identities = identities,
                                           .identity_count = count,
                                           .random = mote_random_system(),
                                           .mem = mote_mem_system()};
        bool is_good = count >= 1 && count <= MOTE_TLS_IDENTITIES_MAX;
        assert_int_equal(mote_tls_context_new(&context, &options, problem), is_good ? 0 : MOTE_EINVAL);
        mote_tls_context_unref(context);
    }
}

static void test_end_of_certificates(void **state)
{
    (void)state;
    struct mote_tls_context *context = server_context(&server_ec, &other_name, MOTE_TLS_CLIENT_AUTH_NONE);
    assert_int_equal(mote_tls_context_not_after(context), 1893455999); /* 2029-12-31T23:59:59Z: other_name's */
    mote_tls_context_unref(context);
    context = client_context(NULL, &authority);
    assert_true(mote_tls_context_not_after(context) == INT64_MAX);
    mote_tls_context_unref(context);
}

static int use_memory(struct mote_mem *mem, void *unused)
{
    (void)unused;
    struct mote_tls_identity identity = identity_of(&server_ec);
    struct mote_tls_context *context = NULL;
    struct mote_tls *tls = NULL;
    char problem[MOTE_TLS_PROBLEM_MAX] = "";
    struct mote_tls_options options = {
        .identities = &identity, .identity_count = 1, .random = mote_random_system(), .mem = mem};
    int result = mote_tls_context_new(&context, &options, problem);
    if (result == 0) {
        result = mote_tls_new(&tls, context, NULL);
    }
    mote_tls_free(tls);
    mote_tls_context_unref(context);
    return result;
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(mote_failing_mem_check(use_memory, NULL) > 0);
}

/* --- mbedtls without memory -------------------------------------------------------------------------------------- */

static size_t allocations; /* of mbedtls, since it was set back */
static size_t failing_allocation;

/* In the place of the C library's, for mbedtls too. */
void *calloc(size_t count, size_t size)
{
    if (++allocations == failing_allocation || (size != 0 && count > SIZE_MAX / size)) {
        return NULL;
    }
    void *block = realloc(NULL, count * size); /* of malloc and memset a compiler makes a calloc again */
    return block != NULL ? memset(block, 0, count * size) : NULL;
}

void __lsan_disable(void) __attribute__((weak)); /* of the sanitizer, where there is one */
void __lsan_enable(void) __attribute__((weak));

/* mbedtls 3.6 loses contexts of its ciphers when some allocation fails; 2.28 does not. */
static void look_for_leaks(bool look)
{
    void (*const tell)(void) = look ? __lsan_enable : __lsan_disable;
    if (MBEDTLS_VERSION_MAJOR >= 3 && tell != NULL) {
        tell();
    }
}

/* A handshake with one allocation failing either fails, on both ends, or all is as it should be. */
static bool shake_hands_without(size_t number, struct mote_tls_context *client_side,
                                struct mote_tls_context *server_side)
{
    static const uint8_t text[] = "to be read";
    struct pair *pair = pair_new(mote_tls_context_ref(client_side), mote_tls_context_ref(server_side), "one.example");
    allocations = 0;
    failing_allocation = number;
    look_for_leaks(false);
    pump(pair);
    look_for_leaks(true);
    failing_allocation = 0;
    const bool was_reached = allocations >= number;
    if (is_up(pair)) {
        send_all(pair, &pair->client, &pair->server, text, sizeof text);
        send_all(pair, &pair->server, &pair->client, text, sizeof text);
        assert_memory_equal(pair->server.plain, text, sizeof text);
        assert_memory_equal(pair->client.plain, text, sizeof text);
    } else {
        assert_true(was_reached);
        assert_true(pair->client.result != 0 || pair->server.result != 0);
        assert_int_equal(pair->server.plain_length, 0);
    }
    pair_free(pair);
    return was_reached;
}

static void test_handshake_without_memory(void **state)
{
    struct mote_tls_context *client_side = client_context(&client, &authority);
    struct mote_tls_context *server_side = server_context(&server_ec, NULL, MOTE_TLS_CLIENT_AUTH_REQUIRED);
    (void)state;
    assert_false(shake_hands_without(SIZE_MAX, client_side, server_side));
    const size_t all = allocations;
    /* Nearly all are numbers of elliptic curves: of those in the middle a few. */
    for (size_t i = 1; i <= all; i += i < 60 || i + 60 > all ? 1 : 499) {
        (void)shake_hands_without(i, client_side, server_side);
    }
    mote_tls_context_unref(client_side);
    mote_tls_context_unref(server_side);
}

static int make_identities(void **state)
{
    (void)state;
    test_identity_make(&authority, &(struct test_identity_wish){.subject = "CN=authority", .is_authority = true});
    test_identity_make(&stranger, &(struct test_identity_wish){.subject = "CN=stranger", .is_authority = true});
    test_identity_make(&server_ec, &(struct test_identity_wish){.subject = "CN=server",
                                                                .names = {"one.example", "*.wild.example"},
                                                                .issuer = &authority});
    test_identity_make(&server_rsa,
                       &(struct test_identity_wish){
                           .subject = "CN=server", .names = {"one.example"}, .issuer = &authority, .is_rsa = true});
    test_identity_make(&other_name, &(struct test_identity_wish){.subject = "CN=other",
                                                                 .names = {"two.example"},
                                                                 .issuer = &authority,
                                                                 .not_after = "20291231235959"});
    test_identity_make(&client, &(struct test_identity_wish){.subject = "CN=somebody", .issuer = &authority});
    test_identity_make(&bad_client, &(struct test_identity_wish){.subject = "CN=somebody", .issuer = &stranger});
    test_identity_make(
        &expired_client,
        &(struct test_identity_wish){.subject = "CN=somebody", .issuer = &authority, .not_after = "20210101000000"});
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_arrive),
        cmocka_unit_test(test_little_room),
        cmocka_unit_test(test_little_room_for_plain_text),
        cmocka_unit_test(test_goodbye),
        cmocka_unit_test(test_flipped_byte),
        cmocka_unit_test(test_flipped_handshake),
        cmocka_unit_test(test_server_names),
        cmocka_unit_test(test_client_certificates),
        cmocka_unit_test(test_what_a_certificate_says),
        cmocka_unit_test(test_many_names_and_a_long_subject),
        cmocka_unit_test(test_a_certificate_without_memory),
        cmocka_unit_test(test_client_checks_the_server),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_other_bytes),
        cmocka_unit_test(test_problems_with_files),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_end_of_certificates),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_handshake_without_memory),
    };
    return cmocka_run_group_tests(tests, make_identities, NULL);
}
