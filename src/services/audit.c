/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the audit record; see audit.h. */
#include "services/audit.h"

#include <stdio.h>
#include <string.h>

#include "services/caller_address.h"
#include "services/worker.h"

#define SECONDS_A_MINUTE 60

_Static_assert(MOTE_CALLER_ADDRESS_MAX <= MOTE_STORE_AUDIT_ADDRESS_MAX, "every address fits");

void mote_audit_init(struct mote_store_audit *entry, const struct mote_call *call, enum mote_store_audit_action action,
                     const uint8_t user_id[16])
{
    const struct mote_identity *caller = mote_call_identity(call);
    *entry = (struct mote_store_audit){.action = action};
    if (caller != NULL) {
        entry->actor = MOTE_STORE_ACTOR_USER;
        memcpy(entry->actor_id, caller->user_id, sizeof entry->actor_id);
    }
    if (user_id != NULL) {
        memcpy(entry->user_id, user_id, sizeof entry->user_id);
    }
    mote_caller_address(call, entry->address);
}

void mote_audit_attach_admin(struct mote_store_write *write, struct mote_store_audit *entry,
                             const struct mote_call *call, enum mote_store_audit_action action,
                             const uint8_t user_id[16])
{
    const struct mote_identity *caller = mote_call_identity(call);
    if (caller != NULL && (caller->roles & MOTE_ROLE_BIT_ADMIN) != 0) {
        mote_audit_init(entry, call, action, user_id);
        write->audit = entry;
    }
}

char *mote_audit_fields(char out[MOTE_AUDIT_FIELDS_MAX], uint32_t set, uint32_t roles)
{
    static const struct {
        uint32_t field, role; /* a field, or a role while roles are set */
        const char *name;
    } words[] = {
        {MOTE_STORE_SET_USERNAME, 0, " username"},
        {MOTE_STORE_SET_EMAIL, 0, " email"},
        {MOTE_STORE_SET_EMAIL_VERIFIED, 0, " email_verified"},
        {MOTE_STORE_SET_DISPLAY_NAME, 0, " display_name"},
        {MOTE_STORE_SET_ROLES, 0, " roles:"},
        {MOTE_STORE_SET_ROLES, MOTE_ROLE_BIT_USER, " USER"},
        {MOTE_STORE_SET_ROLES, MOTE_ROLE_BIT_SERVICE, " SERVICE"},
        {MOTE_STORE_SET_ROLES, MOTE_ROLE_BIT_ADMIN, " ADMIN"},
    };
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((set & words[i].field) != 0 && (words[i].role == 0 || (roles & words[i].role) != 0)) {
            length +=
                (size_t)snprintf(out + length, MOTE_AUDIT_FIELDS_MAX - length, "%s", words[i].name + (length == 0));
        }
    }
    return out;
}

void mote_audit_describe(struct mote_store_audit *entry, struct mote_call *call, uint32_t set, uint32_t roles)
{
    char text[MOTE_AUDIT_FIELDS_MAX];
    entry->detail =
        mote_slice_text(mote_arena_format(mote_call_arena(call), "%s", mote_audit_fields(text, set, roles)));
}

void mote_audit_append(const struct mote_call *call, const struct mote_store_audit *entry)
{
    mote_store_append_audit(mote_services_worker_of(call)->services->store, entry);
}

void mote_audit_append_refusal(const struct mote_call *call, struct mote_store_audit *entry, uint64_t hash)
{
    struct mote_services *services = mote_services_worker_of(call)->services;
    int64_t minute =
        (int64_t)(services->clock->monotonic_ns(services->clock->context) / MOTE_NS_PER_SECOND) / SECONDS_A_MINUTE + 1;
    /* Whoever comes first has the slot for this minute. */
    if (atomic_exchange(&services->audit_minutes[hash % MOTE_SERVICES_AUDIT_REFUSALS], minute) == minute) {
        atomic_fetch_add(&services->audit_left_out, 1);
        return;
    }
    char text[64] = "";
    unsigned left_out = atomic_exchange(&services->audit_left_out, 0);
    if (left_out > 0) {
        snprintf(text, sizeof text, "%u more were not recorded", left_out);
    }
    entry->detail = mote_slice_text(text);
    mote_audit_append(call, entry);
    entry->detail = mote_slice_text("");
}
