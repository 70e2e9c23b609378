/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made for a test: an authority of its own, and whatever it is to sign, good or bad. */
#ifndef MOTE_TESTS_CERTIFICATES_H
#define MOTE_TESTS_CERTIFICATES_H

#include <stdbool.h>

#define TEST_PEM_MAX 4096

struct test_identity {
    char certificate[TEST_PEM_MAX]; /* PEM */
    char key[TEST_PEM_MAX];
    char subject[128];
};

struct test_identity_wish {
    const char *subject;                /* "CN=server" */
    const char *names[8];               /* DNS names, "URI:…", "email:…" and "IP:…", NULL behind the last */
    unsigned more_names;                /* "n0.example", … behind them */
    const char *not_before;             /* "20200101000000"; NULL: long ago */
    const char *not_after;              /* NULL: far away */
    const struct test_identity *issuer; /* NULL: signs itself */
    bool is_authority;
    bool is_rsa; /* else P-256 */
    unsigned rsa_bits;
};

/* Aborts with a message when mbedtls refuses. */
void test_identity_make(struct test_identity *out, const struct test_identity_wish *wish);

#endif
