/* SPDX-License-Identifier: Apache-2.0 */
/* The files of TLS_CERT_FILE, TLS_KEY_FILE and TLS_CLIENT_CA_FILE: read into a context, and watched for changes. */
#ifndef MOTE_APP_TLS_FILES_H
#define MOTE_APP_TLS_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "app/options.h"
#include "security/tls.h"

/* Tells whether any of the files is another one than before. */
struct mote_tls_files {
    const struct mote_options *options; /* borrowed */
    uint64_t stamp;                     /* made of the files' names, sizes, inodes and times */
};

#define MOTE_TLS_FILES_PROBLEM_MAX 384u

/* Reads all of them. *out is NULL where no certificate is configured. MOTE_ENOTFOUND: a file is missing; MOTE_EINVAL,
 * MOTE_ENOMEM; with one line in `problem`. */
MOTE_MUST_CHECK int mote_tls_files_load(struct mote_tls_files *files, struct mote_tls_context **out,
                                        char problem[MOTE_TLS_FILES_PROBLEM_MAX]);
/* A client's context from the first file of `list`: authorities, or with `is_pinned` the servers' own certificates. The
 * same errors. */
MOTE_MUST_CHECK int mote_tls_files_load_client(struct mote_tls_context **out, const char *list, bool is_pinned,
                                               char problem[MOTE_TLS_FILES_PROBLEM_MAX]);
/* True once for each change on the disk. */
bool mote_tls_files_have_changed(struct mote_tls_files *files);
/* How many files `list` names; SIZE_MAX when one has no name. */
size_t mote_tls_files_count(const char *list);

#endif
