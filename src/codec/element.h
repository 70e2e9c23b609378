/* SPDX-License-Identifier: Apache-2.0 */
/* For encode callbacks: elements of a repeated message field that were encoded before (mote_codec_encode), one by one,
 * so that a long reply never lies in memory as structs. */
#ifndef MOTE_CODEC_ELEMENT_H
#define MOTE_CODEC_ELEMENT_H

#include <stdbool.h>

#include "base/slice.h"

struct pb_ostream_s; /* nanopb's, as a callback gets them */
struct pb_field_iter_s;

/* Writes the field's tag, the length and the encoded message. False when it does not fit: the callback then returns
 * false. */
bool mote_element_encode(struct pb_ostream_s *stream, const struct pb_field_iter_s *field, struct mote_slice encoded);

#endif
