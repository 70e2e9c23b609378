/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk, which decodes what is plain, then for the rest nanopb. The walk has already refused what is over a bound,
 * so that nanopb's own errors mean bytes which are no protobuf of this type. Its three texts for too large values are
 * left for a message that comes in parts, which are merged: each within its bounds, not so together. The name of the
 * whole stands for the field's then.
 */
#include <stdio.h>
#include <string.h>

#include <pb_decode.h>

#include "codec/walk.h"

#define PARTS_OVER_BOUND "must keep its bounds when its parts are put together"

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

static bool is_plain(const struct mote_message_type *type)
{
    for (size_t i = 0; i < type->rule_count; i++) {
        const struct mote_field_rule *rule = &type->rules[i];
        if (rule->flags != 0 || (rule->presence != MOTE_PRESENCE_NOT_ZERO && rule->presence != MOTE_PRESENCE_HAS) ||
            rule->form == MOTE_FORM_OTHER || rule->form > MOTE_FORM_STRING ||
            (rule->form == MOTE_FORM_SIGNED && rule->size < sizeof(int32_t))) {
            return false;
        }
    }
    return true;
}

int mote_codec_decode_prepared(const struct mote_message_type *type, struct mote_slice in, void *out,
                               struct mote_codec_failure *failure)
{
    if (failure != NULL) {
        failure->count = 0;
    }
    const bool plain = is_plain(type);
    int error = mote_codec_walk(type, in, plain ? out : NULL, failure);
    if (error != 0) {
        memset(out, 0, type->size);
    }
    if (error != 0 || plain) {
        return error;
    }
    pb_istream_t stream = pb_istream_from_buffer(in.data, in.length);
    /* Zero is every default: protoc-gen-mote refuses others. So nanopb need not visit each field to set it. */
    if (!pb_decode_ex(&stream, type->descriptor, out, PB_DECODE_NOINIT)) {
        error = error_of(&stream);
        if (error == MOTE_EFIELD && failure != NULL) {
            failure->count = 1;
            (void)snprintf(failure->violations[0].field, MOTE_CODEC_PATH_MAX, "%s", type->name);
            (void)snprintf(failure->violations[0].text, sizeof(failure->violations[0].text), PARTS_OVER_BOUND);
        }
        /* nanopb leaves counts behind that are over their arrays' ends. */
        memset(out, 0, type->size);
        return error;
    }
    return 0;
}

int mote_codec_decode(const struct mote_message_type *type, struct mote_slice in, void *out,
                      struct mote_codec_failure *failure)
{
    memset(out, 0, type->size);
    return mote_codec_decode_prepared(type, in, out, failure);
}
