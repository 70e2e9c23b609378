/* SPDX-License-Identifier: Apache-2.0 */
#include "services/target.h"

#include <string.h>

#include "base/text.h"

int mote_target_find(uint8_t id[16], const struct mote_identity *caller, const char *text, uint32_t others)
{
    if (strcmp(text, "me") == 0) {
        memcpy(id, caller->user_id, sizeof caller->user_id);
        return 0;
    }
    int result = mote_uuid_parse(id, mote_slice_text(text));
    if (result == 0 && memcmp(id, caller->user_id, sizeof caller->user_id) == 0) {
        return 0;
    }
    if ((caller->roles & others) == 0) {
        return MOTE_EAUTH;
    }
    return result == 0 ? 0 : MOTE_EINVAL;
}
