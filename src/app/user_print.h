/* SPDX-License-Identifier: Apache-2.0 */
/* Users for people and for programs, and the words that stand for their fields. */
#ifndef MOTE_APP_USER_PRINT_H
#define MOTE_APP_USER_PRINT_H

#include "app/table.h"
#include "services/convert.h"
#include "store/store.h"

/* "ROLE_ADMIN". Static. */
const char *mote_user_print_role(user_v1_Role role);
/* "ADMIN,USER", with or without "ROLE_" in front, capitals or not, to at most MOTE_CONVERT_ROLES_MAX + 1 roles, so that
 * one too many is seen. How many; unknown ones become ROLE_UNSPECIFIED. */
size_t mote_user_print_parse_roles(user_v1_Role out[MOTE_CONVERT_ROLES_MAX + 1], const char *text);

/* The table of users. */
MOTE_MUST_CHECK int mote_user_print_begin(struct mote_table *table, FILE *out);
MOTE_MUST_CHECK int mote_user_print_row(struct mote_table *table, const struct mote_user *user);
/* One user, a field a line. */
MOTE_MUST_CHECK int mote_user_print_fields(FILE *out, const struct mote_user *user);
/* A line of proto JSON of user.v1.User; with `whole` also what only the store knows, for an export: passwordHash and
 * passwordChangeRequired. */
void mote_user_print_json(FILE *out, const struct mote_user *user, bool whole);

#endif
