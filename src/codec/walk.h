/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of a message's raw bytes before nanopb decodes them: the only place where a field that is over its bound
 * has a name, and where an embedded NUL can be seen. Inside this layer only.
 */
#ifndef MOTE_CODEC_WALK_H
#define MOTE_CODEC_WALK_H

#include "codec/codec.h"

/*
 * 0: nothing to object to, though nanopb may still refuse. MOTE_EDECODE: no protobuf of this type, wherever in the
 * message that is. MOTE_EFIELD: the fields at fault are in *failure, which may be NULL and whose count was 0.
 */
MOTE_MUST_CHECK int mote_codec_walk(const struct mote_message_type *type, struct mote_slice in,
                                    struct mote_codec_failure *failure);

#endif
