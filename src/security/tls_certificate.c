/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a peer's certificate. mbedtls keeps every name of subjectAltName as its tag and bytes, also of the
 * kinds that it has no words for. */
#include <arpa/inet.h>
#include <mbedtls/x509_crt.h>

#include "security/secret.h"
#include "security/tls_context.h"

/* The kind and text of a name; false for one that is left out. */
static bool read_name(const mbedtls_x509_buf *name, enum mote_certificate_name_kind *kind, struct mote_slice *text,
                      char scratch[INET6_ADDRSTRLEN])
{
    *text = mote_slice(name->p, name->len);
    switch (name->tag & MBEDTLS_ASN1_TAG_VALUE_MASK) {
    case 1:
        *kind = MOTE_CERTIFICATE_NAME_EMAIL;
        break;
    case 2:
        *kind = MOTE_CERTIFICATE_NAME_DNS;
        break;
    case 6:
        *kind = MOTE_CERTIFICATE_NAME_URI;
        break;
    case 7:
        *kind = MOTE_CERTIFICATE_NAME_IP;
        if ((name->len != 4 && name->len != 16) ||
            inet_ntop(name->len == 4 ? AF_INET : AF_INET6, name->p, scratch, INET6_ADDRSTRLEN) == NULL) {
            return false;
        }
        *text = mote_slice_text(scratch);
        break;
    default:
        return false;
    }
    for (size_t i = 0; i < text->length; i++) {
        if (text->data[i] <= ' ' || text->data[i] > '~') {
            return false;
        }
    }
    return text->length > 0;
}

/* Puts the names into `out`, their texts at `texts`; the bytes of all texts. `out` NULL: only counts. */
static size_t read_names(const mbedtls_x509_crt *from, struct mote_certificate *out, char *texts, size_t *count)
{
    char scratch[INET6_ADDRSTRLEN];
    enum mote_certificate_name_kind kind;
    struct mote_slice text;
    size_t bytes = 0;
    *count = 0;
    for (const mbedtls_x509_sequence *at = &from->subject_alt_names; at != NULL; at = at->next) {
        if (at->buf.p == NULL || *count == MOTE_CERTIFICATE_NAMES_MAX || !read_name(&at->buf, &kind, &text, scratch)) {
            continue;
        }
        if (out != NULL) {
            memcpy(texts + bytes, text.data, text.length);
            texts[bytes + text.length] = '\0';
            out->names[*count] = (struct mote_certificate_name){.kind = kind, .text = texts + bytes};
        }
        bytes += text.length + 1;
        (*count)++;
    }
    return bytes;
}

int mote_tls_certificate_read(struct mote_certificate **out, const struct mote_tls *tls, struct mote_mem *mem)
{
    const mbedtls_x509_crt *from = mote_tls_certificate_of(tls);
    char subject[MOTE_CERTIFICATE_SUBJECT_MAX] = "";
    size_t count;
    *out = NULL;
    if (from == NULL) {
        return 0;
    }
    /* One that is too long fails; what there is of it stands. */
    (void)mbedtls_x509_dn_gets(subject, sizeof subject, &from->subject);
    subject[sizeof subject - 1] = '\0';
    const size_t subject_size = strlen(subject) + 1;
    const size_t texts_size = read_names(from, NULL, NULL, &count);
    struct mote_certificate *certificate = mote_mem_allocate(
        mem, sizeof *certificate + count * sizeof certificate->names[0] + subject_size + texts_size + from->raw.len);
    if (certificate == NULL) {
        return MOTE_ENOMEM;
    }
    char *at = (char *)&certificate->names[count];
    memcpy(at, subject, subject_size);
    certificate->subject = at;
    at += subject_size;
    at += read_names(from, certificate, at, &certificate->name_count);
    memcpy(at, from->raw.p, from->raw.len);
    certificate->der = mote_slice(at, from->raw.len);
    mote_sha256(certificate->fingerprint, certificate->der);
    *out = certificate;
    return 0;
}
