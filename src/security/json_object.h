/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON object that a person or a program of ours wrote, as names and texts: strings as they are, integers in decimal,
 * true and false, and arrays of these with commas between them. Members that are null are left out. Not for input of
 * the network, which this program never reads as JSON before a MAC held.
 */
#ifndef MOTE_SECURITY_JSON_OBJECT_H
#define MOTE_SECURITY_JSON_OBJECT_H

#include "base/error.h"
#include "base/slice.h"

#define MOTE_JSON_OBJECT_TEXT_MAX 512u /* of an array, with its NUL */

/*
 * Hands the members to `each` in the order of the text until it returns something else than 0, which is returned.
 * `value` has no NUL inside, and is wiped before this returns. MOTE_EDECODE: no JSON (RFC 8259), no object, a name
 * twice, an object or a real number as a value, an array that is too long. MOTE_ENOMEM.
 */
MOTE_MUST_CHECK int mote_json_object_each(struct mote_slice json,
                                          int (*each)(void *context, const char *name, const char *value),
                                          void *context);

#endif
