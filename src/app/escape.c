/* SPDX-License-Identifier: Apache-2.0 */
/* See escape.h. */
#include "app/escape.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

/* Control characters, line and paragraph separators, and those that turn the direction of the text around them. */
static bool is_hostile(uint32_t code_point)
{
    static const struct {
        uint16_t first, last;
    } ranges[] = {{0, 0x1f},        {0x7f, 0x9f},     {0x61c, 0x61c},  {0x200e, 0x200f},
                  {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfeff, 0xfeff}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (code_point >= ranges[i].first && code_point <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

size_t mote_escape_next(char out[MOTE_ESCAPE_MAX], struct mote_slice *text, bool quotes)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    uint32_t code_point = 0;
    size_t length = mote_utf8_next(*text, &code_point);
    size_t written = length;
    if (length == 0) {
        length = 1;
        written = sizeof replacement - 1;
        memcpy(out, replacement, written);
    } else if (quotes && (code_point == '"' || code_point == '\\')) {
        written = 2;
        out[0] = '\\';
        out[1] = (char)code_point;
    } else if (is_hostile(code_point)) {
        written = 6;
        snprintf(out, MOTE_ESCAPE_MAX, "\\u%04" PRIx32, code_point & 0xffffu);
    } else {
        memcpy(out, text->data, length);
    }
    *text = mote_slice(text->data + length, text->length - length);
    return written;
}
