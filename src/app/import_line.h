/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of an import: JSON as an export writes it, or CSV (RFC 4180, without line ends in fields) behind a header of
 * the same names. What it gives is what ImportUsers would be sent, and what only a restore needs.
 */
#ifndef MOTE_APP_IMPORT_LINE_H
#define MOTE_APP_IMPORT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "security/password.h"
#include "store/store.h"
#include "user/v1/user.mote.h"

#define MOTE_IMPORT_LINE_MAX    16384u /* bytes with the line end */
#define MOTE_IMPORT_COLUMNS_MAX 20u

struct mote_import_line {
    user_v1_User user; /* username, email, display_name, roles, email_verified */
    bool has_id;
    uint8_t id[16];
    int64_t create_time, update_time, last_login_time; /* 0: not given */
    enum mote_user_state state;
    bool password_change_required;
    char password[MOTE_PASSWORD_HASH_MAX]; /* plain, or a hash; "" = none. The caller wipes it */
    const char *refused;                   /* why the line is refused: static text; NULL: it is not */
    char field[32];                        /* which one, "" = the line as a whole */
};

/* The columns of a CSV file; each points to a name of a table. */
struct mote_import_header {
    size_t count;
    const void *fields[MOTE_IMPORT_COLUMNS_MAX];
};

/* Reads the header; NULL, or why it is refused, `field` is then the column's name. Changes `line`. */
const char *mote_import_line_header(struct mote_import_header *header, char *line, char field[32]);
/* Reads a line without its end. `header` NULL: JSON; otherwise CSV, and `line` is changed. *out is filled in as far as
 * it goes, out->refused says whether it went well. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_import_line_read(struct mote_import_line *out, const struct mote_import_header *header,
                                          char *line);

#endif
