/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writes of each kind, one function each, and what they share. Each returns its own result having changed nothing
 * unless it is 0, as mote_apply does; each stages its changes.
 */
#ifndef MOTE_STORE_APPLY_INTERNAL_H
#define MOTE_STORE_APPLY_INTERNAL_H

#include "store/apply.h"

struct mote_apply {
    struct mote_sqlite *sqlite;
    struct mote_changes *changes;
    int64_t now; /* of the write */
};

static inline sqlite3_stmt *mote_apply_statement(const struct mote_apply *apply, enum mote_statement name)
{
    return mote_sqlite_statement(apply->sqlite, name);
}

MOTE_MUST_CHECK int mote_apply_get_user(const struct mote_apply *apply, const uint8_t id[16], struct mote_user *user);
void mote_apply_stage_user(const struct mote_apply *apply, enum mote_store_change_kind kind,
                           const struct mote_user *user);

MOTE_MUST_CHECK int mote_apply_create_user(const struct mote_apply *apply, struct mote_store_create_user *create);
MOTE_MUST_CHECK int mote_apply_update_user(const struct mote_apply *apply, struct mote_store_update_user *update);
MOTE_MUST_CHECK int mote_apply_set_user_state(const struct mote_apply *apply, struct mote_store_set_user_state *set);
MOTE_MUST_CHECK int mote_apply_delete_user(const struct mote_apply *apply, struct mote_store_delete_user *removal);
MOTE_MUST_CHECK int mote_apply_set_password(const struct mote_apply *apply, struct mote_store_set_password *set);

MOTE_MUST_CHECK int mote_apply_create_session(const struct mote_apply *apply, struct mote_store_create_session *create);
MOTE_MUST_CHECK int mote_apply_rotate_refresh(const struct mote_apply *apply, struct mote_store_rotate_refresh *rotate);
MOTE_MUST_CHECK int mote_apply_revoke_token(const struct mote_apply *apply,
                                            const struct mote_store_revoke_token *revoke);
/* `tell`: each session that ends is a change. */
MOTE_MUST_CHECK int mote_apply_end_sessions(const struct mote_apply *apply, struct mote_store_revoke_sessions *revoke,
                                            bool tell);

MOTE_MUST_CHECK int mote_apply_append_audit(const struct mote_apply *apply, const struct mote_store_audit *audit);
/* Deletes up to `limit` of the oldest rows, those that have been kept long enough, and adds their number to *deleted.
 */
MOTE_MUST_CHECK int mote_apply_prune_audit(struct mote_sqlite *sqlite, int64_t now, unsigned limit, unsigned *deleted);

#endif
