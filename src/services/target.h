/* SPDX-License-Identifier: Apache-2.0 */
/* Whose record a request is about, and whether this caller may come near it: decided on the id alone, before anyone
 * knows whether there is such a record. */
#ifndef MOTE_SERVICES_TARGET_H
#define MOTE_SERVICES_TARGET_H

#include <stdint.h>

#include "base/error.h"
#include "security/jwt.h"

/* `text`: a UUID, or "me" for the caller. `others`: the roles that may reach everyone's records. MOTE_EAUTH when the
 * record is not the caller's (what is no id at all is not theirs either); MOTE_EINVAL for an id that is none, from
 * those who may. */
MOTE_MUST_CHECK int mote_target_find(uint8_t id[16], const struct mote_identity *caller, const char *text,
                                     uint32_t others);

#endif
