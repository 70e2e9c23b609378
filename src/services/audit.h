/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the audit record, made from a call. A handler whose act is a write keeps an entry beside the write's struct
 * and sets write->audit to it, so that act and row are one transaction; what is no write is appended.
 */
#ifndef MOTE_SERVICES_AUDIT_H
#define MOTE_SERVICES_AUDIT_H

#include "rpc/call.h"
#include "store/store.h"

/* Fills in who calls and from where. `user_id`: whom it is done to; NULL: nobody, or not known yet. Borrows the call
 * until the entry has been written. */
void mote_audit_init(struct mote_store_audit *entry, const struct mote_call *call, enum mote_store_audit_action action,
                     const uint8_t user_id[16]);
/* The same, and `write` carries the entry: for acts that everyone may do to themselves, when an administrator does
 * them; otherwise nothing is recorded. */
void mote_audit_attach_admin(struct mote_store_write *write, struct mote_store_audit *entry,
                             const struct mote_call *call, enum mote_store_audit_action action,
                             const uint8_t user_id[16]);
/* Sets entry->detail: the fields that are set (of enum mote_store_user_field), roles with their values. Without memory
 * there is no detail. */
void mote_audit_describe(struct mote_store_audit *entry, struct mote_call *call, uint32_t set, uint32_t roles);
#define MOTE_AUDIT_FIELDS_MAX 96u
/* The same as text; returns `out`. */
char *mote_audit_fields(char out[MOTE_AUDIT_FIELDS_MAX], uint32_t set, uint32_t roles);
/* Records an entry that belongs to no write. Copies it; nothing waits for it. */
void mote_audit_append(const struct mote_call *call, const struct mote_store_audit *entry);

/*
 * The same for a failure that anyone can cause any number of times. `hash` is of account and address: each gets a row a
 * minute at most, and there are MOTE_SERVICES_AUDIT_REFUSALS a minute in all, so that no attacker fills the disk or
 * pushes everything else out of the record. A row tells how many were left out since the last. Sets entry->detail.
 */
void mote_audit_append_refusal(const struct mote_call *call, struct mote_store_audit *entry, uint64_t hash);

#endif
