/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys in files: read into a context, and watched for changes. */
#ifndef MOTE_NET_TLS_FILES_H
#define MOTE_NET_TLS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../security/tls.h"

MOTE_C_BEGIN

/* What a server shows and asks for. Lists are separated by commas, the first certificate belongs to the first key.
 * Borrowed. */
struct mote_tls_files {
    const char *certificates; /* NULL: no TLS */
    const char *keys;
    const char *key_password;       /* of keys that are encrypted; NULL: none */
    const char *client_authorities; /* one file: who may sign clients; NULL: clients are not asked */
    bool clients_may_be_unknown;    /* a client without a certificate is taken all the same */
    uint64_t stamp; /* made of the files' names, sizes, inodes and times when they were looked at last */
};

#define MOTE_TLS_FILES_PROBLEM_MAX 384u

/* Reads all of them. *out is NULL without certificates. MOTE_ENOTFOUND: a file is missing; MOTE_EINVAL, MOTE_ENOMEM;
 * with one line in `problem`. */
MOTE_MUST_CHECK int mote_tls_files_load(struct mote_tls_files *files, struct mote_tls_context **out,
                                        char problem[MOTE_TLS_FILES_PROBLEM_MAX]);
/* What a client trusts and shows: one file each. Borrowed. */
struct mote_tls_client_files {
    const char *authorities;  /* who may sign servers, or with `is_pinned` the servers' own certificates */
    bool is_pinned;           /* as in mote_tls_options */
    const char *certificate;  /* to show to a server that asks; NULL: none */
    const char *key;          /* NULL: in the certificate's file */
    const char *key_password; /* NULL: none */
};

/* A client's context. The same errors; they are read once, whoever wants newer ones makes another context. */
MOTE_MUST_CHECK int mote_tls_files_load_client(struct mote_tls_context **out, const struct mote_tls_client_files *files,
                                               char problem[MOTE_TLS_FILES_PROBLEM_MAX]);
/* True once for each change on the disk. */
bool mote_tls_files_have_changed(struct mote_tls_files *files);
/* How many files `list` names; SIZE_MAX when one has no name. */
size_t mote_tls_files_count(const char *list);

MOTE_C_END

#endif
