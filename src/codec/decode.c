/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk, then nanopb. The walk has already refused what is over a bound, so that nanopb's own errors mean bytes
 * which are no protobuf of this type; its three texts for too large values are kept as a second line, without a name.
 */
#include <string.h>

#include <pb_decode.h>

#include "codec/walk.h"

static int error_of(const pb_istream_t *stream)
{
    static const char *const over_bound[] = {"string overflow", "bytes overflow", "array overflow"};
    for (size_t i = 0; i < sizeof(over_bound) / sizeof(over_bound[0]); i++) {
        if (strcmp(PB_GET_ERROR(stream), over_bound[i]) == 0) {
            return MOTE_EFIELD;
        }
    }
    return MOTE_EDECODE;
}

int mote_codec_decode(const struct mote_message_type *type, struct mote_slice in, void *out,
                      struct mote_codec_failure *failure)
{
    memset(out, 0, type->size);
    if (failure != NULL) {
        failure->count = 0;
    }
    int error = mote_codec_walk(type, in, failure);
    if (error != 0) {
        return error;
    }
    pb_istream_t stream = pb_istream_from_buffer(in.data, in.length);
    /* Zero is every default: protoc-gen-mote refuses others. So nanopb need not visit each field to set it. */
    if (!pb_decode_ex(&stream, type->descriptor, out, PB_DECODE_NOINIT)) {
        error = error_of(&stream);
        /* nanopb leaves counts behind that are over their arrays' ends. */
        memset(out, 0, type->size);
        return error;
    }
    return 0;
}
