/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of a message's raw bytes before nanopb decodes them: the only place where a field that is over its bound
 * has a name, and where an embedded NUL can be seen. Inside this layer only.
 */
#ifndef MOTE_CODEC_WALK_H
#define MOTE_CODEC_WALK_H

#include "codec/codec.h"

/*
 * `out` is NULL, or for a type whose fields are all single numbers and strings (signed ones of 4 or 8 bytes) the struct
 * to decode it into, as nanopb would; after an error that has any content.
 *
 * 0: nothing to object to, though nanopb may still refuse. MOTE_EDECODE: no protobuf of this type, wherever in the
 * message that is. MOTE_EFIELD: the fields at fault are in *failure, which may be NULL and whose count was 0.
 */
MOTE_MUST_CHECK int mote_codec_walk(const struct mote_message_type *type, struct mote_slice in, void *out,
                                    struct mote_codec_failure *failure);

#endif
