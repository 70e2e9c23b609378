/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer has shown of itself: a certificate that was checked against the authorities it must be signed by, which
 * is the only way that one comes to be here. One block of memory; its pointers are into it.
 *
 * To decide by one, compare a name or the fingerprint as a whole. The subject is for people: its parts are not told
 * apart safely (a comma may stand in a value).
 */
#ifndef MOTE_BASE_CERTIFICATE_H
#define MOTE_BASE_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

#include "slice.h"

#define MOTE_CERTIFICATE_NAMES_MAX   64u  /* further ones are left out */
#define MOTE_CERTIFICATE_SUBJECT_MAX 256u /* with its NUL; longer ones are cut off */

/* RFC 5280 §4.2.1.6; names of other kinds are left out, and those that are not printable ASCII. */
enum mote_certificate_name_kind {
    MOTE_CERTIFICATE_NAME_EMAIL, /* "someone@example.org" */
    MOTE_CERTIFICATE_NAME_DNS,   /* "one.example", "*.example.org" */
    MOTE_CERTIFICATE_NAME_URI,   /* "spiffe://example.org/gateway" */
    MOTE_CERTIFICATE_NAME_IP,    /* "192.0.2.1", "2001:db8::1" */
};

struct mote_certificate_name {
    enum mote_certificate_name_kind kind;
    const char *text; /* NUL-terminated, without spaces */
};

struct mote_certificate {
    const char *subject;     /* "CN=client, O=Example" */
    struct mote_slice der;   /* all of it, for whoever wants more */
    uint8_t fingerprint[32]; /* SHA-256 of `der` */
    size_t name_count;
    struct mote_certificate_name names[]; /* subjectAltName, in its order */
};

#endif
