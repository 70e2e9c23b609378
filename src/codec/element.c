/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/element.h"

#include <pb_encode.h>

bool mote_element_encode(struct pb_ostream_s *stream, const struct pb_field_iter_s *field, struct mote_slice encoded)
{
    return pb_encode_tag_for_field(stream, field) && pb_encode_string(stream, encoded.data, encoded.length);
}
