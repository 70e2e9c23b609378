/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListUsers.filter: at most 4 terms, joined by AND.
 *
 *   state = ACTIVE                          also LOCKED, DISABLED
 *   role = ADMIN                            also USER, SERVICE; twice: who has both
 *   username = "alice", username = "al*"    a '*' at the end: everything that begins so; capitals are lowered
 *   email = "alice@example.org"             the same, without case
 *   create_time >= "2026-01-31T12:00:00Z"   RFC 3339; also <, and both: a range
 *
 * Spaces around operators may be left out. In a text, '\' takes '"', '*' or '\' behind it as they are.
 */
#ifndef MOTE_SERVICES_FILTER_H
#define MOTE_SERVICES_FILTER_H

#include "store/store.h"

#define MOTE_FILTER_TERMS_MAX 4u

/* The reason it is refused (static text), or NULL. An empty text is a filter that is not set. */
const char *mote_filter_parse(struct mote_store_filter *out, const char *text);
/* ListUsers.order_by: the same. */
const char *mote_filter_parse_order(enum mote_store_order *order, bool *descending, const char *text);

#endif
