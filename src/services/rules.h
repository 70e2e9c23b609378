/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collecting what is wrong with a request: the services name every violation at once. The rules of single values are in
 * services/services.h, because the commands need them too.
 */
#ifndef MOTE_SERVICES_RULES_H
#define MOTE_SERVICES_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "rpc/call.h"
#include "store/store.h"
#include "user/v1/user.mote.h"

#define MOTE_RULES_VIOLATIONS_MAX 16u /* more than any request has fields to be wrong */
#define MOTE_RULES_ROLES_MAX      4u
#define MOTE_RULES_PAGE_DEFAULT   50u
#define MOTE_RULES_PAGE_MAX       200u

struct mote_rules {
    size_t count;
    struct mote_violation violations[MOTE_RULES_VIOLATIONS_MAX];
};

/* Notes that `field` broke a rule; a NULL `text` means that it did not. Both are static text. */
void mote_rules_note(struct mote_rules *rules, const char *field, const char *text);
/* True, with the call ended, when anything was noted. */
bool mote_rules_refuse(const struct mote_rules *rules, struct mote_call *call);

/* Copies a username with its ASCII capitals lowered, as the store keeps it; `out` takes as much as `username`. */
void mote_rules_lower_username(char *out, const char *username);
/* The account that a request for a new one asks for, as the store takes it; what breaks a rule is noted. Only an
 * administrator's word counts for the roles and for a verified address. */
void mote_rules_new_user(struct mote_rules *rules, struct mote_user *out, const user_v1_User *user, bool is_admin);
/* At an import what stands for the password may be its hash; one that cannot be checked is refused, and not taken for
 * a password. The reason it is refused, or NULL. */
const char *mote_rules_password_or_hash(bool *is_hash, struct mote_slice password, struct mote_slice username,
                                        struct mote_slice email);
/* Numbers of user.v1.Role as bits of enum mote_role_bit: no role means USER. The reason they are refused, or NULL. */
const char *mote_rules_roles(uint32_t *bits, const user_v1_Role *roles, size_t count);
/* 0 means MOTE_RULES_PAGE_DEFAULT, more than MOTE_RULES_PAGE_MAX means that. The reason it is refused, or NULL. */
const char *mote_rules_page_size(uint32_t *limit, int32_t page_size);

#endif
