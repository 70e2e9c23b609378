/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every decoder here is strict: one text, one value. What two readers could read differently is refused, because
 * these bytes carry credentials and identities. None is constant-time.
 */
#include "base/text.h"

#include <endian.h>
#include <string.h>

#define ASCII_MASK 0x8080808080808080u

size_t mote_utf8_next(struct mote_slice text, uint32_t *code_point)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (text.length == 0) {
        return 0;
    }
    const uint8_t first = text.data[0];
    size_t length;
    uint32_t value;
    if (first < 0x80) {
        length = 1;
        value = first;
    } else if (first >= 0xc2 && first < 0xe0) {
        length = 2;
        value = first & 0x1fu;
    } else if (first >= 0xe0 && first < 0xf0) {
        length = 3;
        value = first & 0x0fu;
    } else if (first >= 0xf0 && first < 0xf5) {
        length = 4;
        value = first & 0x07u;
    } else {
        return 0;
    }
    if (length > text.length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text.data[i] & 0xc0u) != 0x80) {
            return 0;
        }
        value = value << 6 | (text.data[i] & 0x3fu);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
        return 0;
    }
    if (code_point != NULL) {
        *code_point = value;
    }
    return length;
}

bool mote_utf8_is_valid(struct mote_slice text)
{
    while (text.length != 0) {
        uint64_t eight;
        size_t step = sizeof eight;
        if (text.length >= sizeof eight) {
            memcpy(&eight, text.data, sizeof eight);
        } else {
            eight = ASCII_MASK;
        }
        if ((eight & ASCII_MASK) != 0) {
            step = text.data[0] < 0x80 ? 1 : mote_utf8_next(text, NULL);
            if (step == 0) {
                return false;
            }
        }
        text.data += step;
        text.length -= step;
    }
    return true;
}

size_t mote_utf8_count(struct mote_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++) {
        count += (text.data[i] & 0xc0u) != 0x80;
    }
    return count;
}

#define ALPHANUMERIC "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* A character's value with VALID set; 0 for a character that is not of the alphabet. */
#define VALID    0x40u
#define V(value) (uint8_t)((value) | VALID)
/* clang-format off */
#define ALPHANUMERIC_VALUES \
    ['A'] = V(0), ['B'] = V(1), ['C'] = V(2), ['D'] = V(3), ['E'] = V(4), ['F'] = V(5),        \
    ['G'] = V(6), ['H'] = V(7), ['I'] = V(8), ['J'] = V(9), ['K'] = V(10), ['L'] = V(11),      \
    ['M'] = V(12), ['N'] = V(13), ['O'] = V(14), ['P'] = V(15), ['Q'] = V(16), ['R'] = V(17),  \
    ['S'] = V(18), ['T'] = V(19), ['U'] = V(20), ['V'] = V(21), ['W'] = V(22), ['X'] = V(23),  \
    ['Y'] = V(24), ['Z'] = V(25), ['a'] = V(26), ['b'] = V(27), ['c'] = V(28), ['d'] = V(29),  \
    ['e'] = V(30), ['f'] = V(31), ['g'] = V(32), ['h'] = V(33), ['i'] = V(34), ['j'] = V(35),  \
    ['k'] = V(36), ['l'] = V(37), ['m'] = V(38), ['n'] = V(39), ['o'] = V(40), ['p'] = V(41),  \
    ['q'] = V(42), ['r'] = V(43), ['s'] = V(44), ['t'] = V(45), ['u'] = V(46), ['v'] = V(47),  \
    ['w'] = V(48), ['x'] = V(49), ['y'] = V(50), ['z'] = V(51), ['0'] = V(52), ['1'] = V(53),  \
    ['2'] = V(54), ['3'] = V(55), ['4'] = V(56), ['5'] = V(57), ['6'] = V(58), ['7'] = V(59),  \
    ['8'] = V(60), ['9'] = V(61)
/* clang-format on */

static const uint8_t standard_values[256] = {ALPHANUMERIC_VALUES, ['+'] = V(62), ['/'] = V(63)};
static const uint8_t url_values[256] = {ALPHANUMERIC_VALUES, ['-'] = V(62), ['_'] = V(63)};

size_t mote_base64_encoded_length(size_t length, enum mote_base64 variant)
{
    const size_t rest = length % 3;
    const size_t rest_length = variant == MOTE_BASE64_PADDED ? 4 : rest + 1;
    return length / 3 * 4 + (rest != 0 ? rest_length : 0);
}

void mote_base64_encode(char *out, struct mote_slice in, enum mote_base64 variant)
{
    const char *alphabet = variant == MOTE_BASE64_URL_UNPADDED ? ALPHANUMERIC "-_" : ALPHANUMERIC "+/";
    const uint8_t *data = in.data;
    size_t left = in.length;
    for (; left >= 3; left -= 3, data += 3) {
        const uint32_t bits = (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2];
        *out++ = alphabet[bits >> 18];
        *out++ = alphabet[bits >> 12 & 63];
        *out++ = alphabet[bits >> 6 & 63];
        *out++ = alphabet[bits & 63];
    }
    if (left == 0) {
        return;
    }
    const uint32_t bits = (uint32_t)data[0] << 16 | (left == 2 ? (uint32_t)data[1] << 8 : 0);
    *out++ = alphabet[bits >> 18];
    *out++ = alphabet[bits >> 12 & 63];
    if (left == 2) {
        *out++ = alphabet[bits >> 6 & 63];
    }
    if (variant == MOTE_BASE64_PADDED) {
        memset(out, '=', 3 - left);
    }
}

size_t mote_base64_decoded_max(size_t length)
{
    return length / 4 * 3 + length % 4 * 3 / 4;
}

/* The two or three characters behind the last whole group. Returns the bytes written, 0 when they are wrong. */
static size_t decode_rest(uint8_t *out, const uint8_t *in, size_t length, const uint8_t *values)
{
    const uint32_t third = length == 3 ? values[in[2]] : VALID;
    const uint32_t all = values[in[0]] & values[in[1]] & third;
    const uint32_t bits = (values[in[0]] & 63u) << 12 | (values[in[1]] & 63u) << 6 | (third & 63u);
    const size_t written = length - 1;
    const uint32_t unused = written == 1 ? 0x3ffu : 0x3u;
    if ((all & VALID) == 0 || (bits & unused) != 0) {
        return 0;
    }
    out[0] = (uint8_t)(bits >> 10);
    if (written == 2) {
        out[1] = (uint8_t)(bits >> 2);
    }
    return written;
}

int mote_base64_decode(uint8_t *out, size_t *out_length, struct mote_slice in, enum mote_base64 variant)
{
    const bool url = variant == MOTE_BASE64_URL_UNPADDED;
    const uint8_t *values = url ? url_values : standard_values;
    const uint8_t *data = in.data;
    uint8_t *const begin = out;
    size_t left = in.length;
    if (!url && left != 0 && left % 4 == 0 && data[left - 1] == '=') {
        left -= data[left - 2] == '=' ? 2 : 1;
    }
    for (; left >= 4; left -= 4, data += 4) {
        const uint32_t a = values[data[0]], b = values[data[1]], c = values[data[2]], d = values[data[3]];
        if ((a & b & c & d & VALID) == 0) {
            return MOTE_EDECODE;
        }
        const uint32_t bits = (a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63);
        *out++ = (uint8_t)(bits >> 16);
        *out++ = (uint8_t)(bits >> 8);
        *out++ = (uint8_t)bits;
    }
    if (left != 0) {
        const size_t written = left == 1 ? 0 : decode_rest(out, data, left, values);
        if (written == 0) {
            return MOTE_EDECODE;
        }
        out += written;
    }
    *out_length = (size_t)(out - begin);
    return 0;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

#define HEX_ROW(high)                                                                                                  \
    high "0" high "1" high "2" high "3" high "4" high "5" high "6" high "7" high "8" high "9" high "a" high "b" high   \
         "c" high "d" high "e" high "f"

void mote_hex_encode(char *out, struct mote_slice in)
{
    static const char pairs[] =
        HEX_ROW("0") HEX_ROW("1") HEX_ROW("2") HEX_ROW("3") HEX_ROW("4") HEX_ROW("5") HEX_ROW("6") HEX_ROW("7")
            HEX_ROW("8") HEX_ROW("9") HEX_ROW("a") HEX_ROW("b") HEX_ROW("c") HEX_ROW("d") HEX_ROW("e") HEX_ROW("f");
    for (size_t i = 0; i < in.length; i++) {
        memcpy(out + 2 * i, pairs + (size_t)2 * in.data[i], 2);
    }
}

/* Eight digits of either case; false when there is anything else. */
static bool hex_take_four(uint8_t out[4], const uint8_t in[8])
{
    uint64_t text;
    memcpy(&text, in, sizeof text);
    text = be64toh(text);
    /* A sum has its top bit set in the bytes that are too large; no byte carries, for all are below 0x80. */
    const uint64_t seven = text & EACH(0x7f);
    const uint64_t letter = (seven | EACH(0x20)) ^ EACH(0x60); /* 1 to 6 */
    const uint64_t is_letter = (letter + EACH(0x7f)) & ~(letter + EACH(0x79)) & EACH(0x80);
    const uint64_t is_digit = ~((seven ^ EACH(0x30)) + EACH(0x76)) & EACH(0x80);
    uint64_t values = (text & EACH(0x0f)) + (is_letter >> 7) * 9;
    values = (values | values >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    values = (values | values >> 8) & UINT64_C(0x0000ffff0000ffff);
    const uint32_t four = htobe32((uint32_t)(values | values >> 16));
    memcpy(out, &four, sizeof four);
    return ((is_letter | is_digit) & ~text) == EACH(0x80);
}

/* Reads 2 × `length` digits, of either case; false when there is anything else. */
static bool hex_take(uint8_t *out, const uint8_t *in, size_t length)
{
    bool good = true;
    for (; length >= 4; length -= 4, out += 4, in += 8) {
        good = hex_take_four(out, in) && good;
    }
    for (; length > 0; length--, in += 2) {
        const uint8_t eight[8] = {'0', '0', '0', '0', '0', '0', in[0], in[1]};
        uint8_t four[4];
        good = hex_take_four(four, eight) && good;
        *out++ = four[3];
    }
    return good;
}

/* Where its hyphens are. */
static const uint8_t uuid_hyphens[] = {8, 13, 18, 23};
#define UUID_DIGITS 32u

void mote_uuid_format(char *out, const uint8_t uuid[16])
{
    char digits[UUID_DIGITS];
    mote_hex_encode(digits, mote_slice(uuid, 16));
    memcpy(out, digits, 8);
    memcpy(out + 9, digits + 8, 4);
    memcpy(out + 14, digits + 12, 4);
    memcpy(out + 19, digits + 16, 4);
    memcpy(out + 24, digits + 20, 12);
    for (size_t i = 0; i < sizeof uuid_hyphens; i++) {
        out[uuid_hyphens[i]] = '-';
    }
}

int mote_uuid_parse(uint8_t uuid[16], struct mote_slice text)
{
    uint8_t digits[UUID_DIGITS];
    uint8_t parsed[16];
    if (text.length != MOTE_UUID_TEXT_LENGTH) {
        return MOTE_EDECODE;
    }
    for (size_t i = 0; i < sizeof uuid_hyphens; i++) {
        if (text.data[uuid_hyphens[i]] != '-') {
            return MOTE_EDECODE;
        }
    }
    memcpy(digits, text.data, 8);
    memcpy(digits + 8, text.data + 9, 4);
    memcpy(digits + 12, text.data + 14, 4);
    memcpy(digits + 16, text.data + 19, 4);
    memcpy(digits + 20, text.data + 24, 12);
    if (!hex_take(parsed, digits, sizeof parsed)) {
        return MOTE_EDECODE;
    }
    memcpy(uuid, parsed, sizeof parsed);
    return 0;
}

void mote_uuid_make_v7(uint8_t uuid[16], int64_t wall_ns, const uint8_t random[10])
{
    const uint64_t wall_ms = wall_ns > 0 ? (uint64_t)wall_ns / 1000000u : 0;
    for (unsigned i = 0; i < 6; i++) {
        uuid[i] = (uint8_t)(wall_ms >> (40 - 8 * i));
    }
    memcpy(uuid + 6, random, 10);
    uuid[6] = (uint8_t)(0x70u | (uuid[6] & 0x0fu));
    uuid[8] = (uint8_t)(0x80u | (uuid[8] & 0x3fu));
}

int mote_decimal_parse(uint64_t *out, struct mote_slice text, uint64_t maximum)
{
    uint64_t value = 0;
    bool over = false;
    if (text.length == 0 || (text.length > 1 && text.data[0] == '0')) {
        return MOTE_EDECODE;
    }
    for (size_t i = 0; i < text.length; i++) {
        const unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9) {
            return MOTE_EDECODE;
        }
        over = over || value > (UINT64_MAX - digit) / 10;
        value = value * 10 + digit;
    }
    if (over || value > maximum) {
        return MOTE_ELIMIT;
    }
    *out = value;
    return 0;
}
