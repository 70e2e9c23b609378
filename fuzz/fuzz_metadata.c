/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header fields, and the request or refusal they make (wire/fields.h, request.h, timeout.h, status.h). Input: lines of
 * "name: value", as a person would write them.
 *
 * Invariants, against slow transcriptions of the documents that share no code with the library
 *  1. Names: identified, reserved and allowed as a look through the lists says.
 *  2. grpc-timeout, content-type, :path and binary values: the same ones accepted, with the same value.
 *  3. The whole block: the same answer as a table that is walked row by row.
 *  4. Any bytes as a status message: what is sent is a field value that RFC 9113 §8.2.1 allows, read back as the
 *     repaired and cut message. Any field value is read as PROTOCOL-HTTP2 says.
 *  5. A timeout that is formatted is read back no shorter, and longer by less than one part in 100,000.
 */
#include "fuzz.h"

#include <ctype.h>

#include "wire/request.h"
#include "wire/timeout.h"

#define LINES_MAX 600u

static bool is(struct mote_slice slice, const char *text)
{
    return slice.data != NULL && slice.length == strlen(text) && memcmp(slice.data, text, slice.length) == 0;
}

static bool begins(struct mote_slice slice, const char *text)
{
    return slice.length >= strlen(text) && memcmp(slice.data, text, strlen(text)) == 0;
}

/* ---- Names ---- */

static const char *const known_names[] = {
#define X(constant, name) [constant] = (name),
    MOTE_FIELD_MAP(X)
#undef X
};

static bool is_reserved(struct mote_slice name)
{
    static const char list[] = "/te/host/trailer/upgrade/connection/keep-alive/user-agent/content-type/content-length/"
                               "proxy-connection/transfer-encoding/";
    char wanted[64] = "/";
    if (begins(name, ":") || begins(name, "grpc-")) {
        return true;
    }
    if (name.length == 0 || name.length > 60 || memchr(name.data, '/', name.length) != NULL ||
        memchr(name.data, 0, name.length) != NULL) {
        return false;
    }
    memcpy(wanted + 1, name.data, name.length);
    wanted[name.length + 1] = '/';
    return strstr(list, wanted) != NULL;
}

static bool is_metadata_name(struct mote_slice name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
    for (size_t i = 0; i < name.length; i++) {
        if (memchr(allowed, name.data[i], sizeof(allowed) - 1) == NULL) {
            return false;
        }
    }
    return name.length > 0 && !is_reserved(name);
}

static void check_name(struct mote_slice name)
{
    unsigned id = 0;
    while (id < MOTE_FIELD_OTHER && !is(name, known_names[id])) {
        id++;
    }
    fuzz_require(mote_fields_identify(name) == id);
    fuzz_require(mote_fields_is_reserved(name) == is_reserved(name));
    fuzz_require(mote_fields_is_metadata_name(name) == is_metadata_name(name));
    const bool binary = name.length >= 4 && begins(mote_slice(name.data + name.length - 4, 4), "-bin");
    fuzz_require(mote_fields_is_binary(name) == binary);
}

/* ---- Timeout ---- */

/* TimeoutValue TimeoutUnit; false: malformed. */
static bool read_timeout(struct mote_slice text, uint64_t *ns)
{
    static const char letters[] = "HMSmun";
    static const double seconds[] = {3600, 60, 1, 1e-3, 1e-6, 1e-9};
    static const uint64_t parts[] = {UINT64_C(3600000000000), UINT64_C(60000000000), 1000000000, 1000000, 1000, 1};
    size_t digits = 0;
    uint64_t value = 0;
    while (digits < text.length && isdigit(text.data[digits])) {
        value = value * 10 + (uint64_t)(text.data[digits] - '0');
        digits++;
        if (digits > 8) {
            return false;
        }
    }
    if (digits == 0 || text.length != digits + 1) {
        return false;
    }
    const char *unit = memchr(letters, text.data[digits], sizeof(letters) - 1);
    if (unit == NULL) {
        return false;
    }
    const bool too_long = (double)value * seconds[unit - letters] > 9.22337203685477e9;
    *ns = too_long ? INT64_MAX : value * parts[unit - letters];
    return true;
}

static void check_timeout(struct mote_slice text)
{
    uint64_t ns = 0;
    uint64_t expected = 0;
    const bool fine = mote_timeout_parse(&ns, text) == 0;
    fuzz_require(fine == read_timeout(text, &expected));
    if (fine) {
        fuzz_require(ns == expected);
        char out[MOTE_TIMEOUT_TEXT_MAX];
        const size_t length = mote_timeout_format(out, ns);
        uint64_t back = 0;
        fuzz_require(length <= sizeof(out) && read_timeout(mote_slice(out, length), &back));
        fuzz_require(back >= ns && back - ns <= ns / 100000);
    }
}

/* ---- Binary values ---- */

/* One value of base64, as a string of bits. Returns false when it does not decode; else its bytes. */
static bool read_base64(struct mote_slice text, uint8_t *out, size_t *out_length)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t padding = 0;
    while (padding < 2 && padding < text.length && text.data[text.length - 1 - padding] == '=') {
        padding++;
    }
    if (padding != 0 && text.length % 4 != 0) {
        return false;
    }
    size_t bits = 0;
    unsigned byte = 0;
    *out_length = 0;
    for (size_t i = 0; i < text.length - padding; i++) {
        const char *found = memchr(alphabet, text.data[i], sizeof(alphabet) - 1);
        if (found == NULL) {
            return false;
        }
        for (int bit = 5; bit >= 0; bit--) {
            byte = byte * 2 + ((unsigned)(found - alphabet) >> bit & 1);
            if (++bits % 8 == 0) {
                out[(*out_length)++] = (uint8_t)byte;
                byte = 0;
            }
        }
    }
    return bits % 8 < 6 && byte == 0;
}

static struct mote_slice without_spaces(struct mote_slice text)
{
    while (text.length != 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = mote_slice(text.data + 1, text.length - 1);
    }
    while (text.length != 0 && (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t')) {
        text.length--;
    }
    return text;
}

/* Whether all values joined with commas decode; each one is compared with what the library makes of it. */
static bool check_binary(struct mote_slice text)
{
    struct mote_slice rest = text;
    bool all = true;
    size_t begin = 0;
    for (size_t at = 0; at <= text.length; at++) {
        if (at < text.length && text.data[at] != ',') {
            continue;
        }
        const struct mote_slice expected = without_spaces(mote_slice(text.data + begin, at - begin));
        begin = at + 1;
        struct mote_slice value;
        fuzz_require(mote_fields_next_binary(&rest, &value));
        fuzz_require(mote_slice_equals(value, expected));
        uint8_t *slow = malloc(value.length + 1);
        uint8_t *fast = malloc(value.length / 4 * 3 + value.length % 4 + 1);
        fuzz_require(slow != NULL && fast != NULL);
        size_t slow_length = 0;
        size_t fast_length = 0;
        const bool fine = read_base64(expected, slow, &slow_length);
        fuzz_require((mote_fields_decode_binary(fast, &fast_length, value) == 0) == fine);
        fuzz_require(!fine || mote_slice_equals(mote_slice(slow, slow_length), mote_slice(fast, fast_length)));
        all = all && fine;
        free(slow);
        free(fast);
    }
    struct mote_slice value;
    fuzz_require(!mote_fields_next_binary(&rest, &value));
    return all;
}

/* ---- Status ---- */

/* UTF8-octets of RFC 3629 §4, as its grammar has them; 0 when none begins here. */
static size_t read_code_point(struct mote_slice text)
{
    static const struct {
        uint8_t length;
        uint8_t ranges[4][2];
    } forms[] = {
        {1, {{0x00, 0x7f}}},
        {2, {{0xc2, 0xdf}, {0x80, 0xbf}}},
        {3, {{0xe0, 0xe0}, {0xa0, 0xbf}, {0x80, 0xbf}}},
        {3, {{0xe1, 0xec}, {0x80, 0xbf}, {0x80, 0xbf}}},
        {3, {{0xed, 0xed}, {0x80, 0x9f}, {0x80, 0xbf}}},
        {3, {{0xee, 0xef}, {0x80, 0xbf}, {0x80, 0xbf}}},
        {4, {{0xf0, 0xf0}, {0x90, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
        {4, {{0xf1, 0xf3}, {0x80, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
        {4, {{0xf4, 0xf4}, {0x80, 0x8f}, {0x80, 0xbf}, {0x80, 0xbf}}},
    };
    for (size_t form = 0; form < sizeof(forms) / sizeof(forms[0]); form++) {
        size_t fits = 0;
        while (fits < forms[form].length && fits < text.length && text.data[fits] >= forms[form].ranges[fits][0] &&
               text.data[fits] <= forms[form].ranges[fits][1]) {
            fits++;
        }
        if (fits == forms[form].length) {
            return fits;
        }
    }
    return 0;
}

static size_t repair(uint8_t *out, struct mote_slice message)
{
    size_t length = 0;
    while (message.length != 0) {
        const size_t valid = read_code_point(message);
        const char *from = valid != 0 ? (const char *)message.data : "\xef\xbf\xbd";
        const size_t count = valid != 0 ? valid : 3;
        if (length + count > MOTE_STATUS_MESSAGE_MAX) {
            break;
        }
        memcpy(out + length, from, count);
        length += count;
        message = mote_slice(message.data + (valid != 0 ? valid : 1), message.length - (valid != 0 ? valid : 1));
    }
    return length;
}

/* Percent-decoding as PROTOCOL-HTTP2 wants it of a reader: what cannot be decoded stands for itself. */
static size_t decode(uint8_t *out, struct mote_slice text)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length;) {
        if (text.data[i] == '%' && i + 2 < text.length && isxdigit(text.data[i + 1]) && isxdigit(text.data[i + 2])) {
            const char digits[] = {(char)text.data[i + 1], (char)text.data[i + 2], 0};
            out[length++] = (uint8_t)strtoul(digits, NULL, 16);
            i += 3;
        } else {
            out[length++] = text.data[i++];
        }
    }
    return length;
}

static void check_decoding(struct mote_slice text)
{
    uint8_t *slow = malloc(text.length + 1);
    char *fast = malloc(text.length != 0 ? text.length : 1);
    fuzz_require(slow != NULL && fast != NULL);
    const size_t length = decode(slow, text);
    fuzz_require(mote_status_decode_message(fast, text) == length);
    fuzz_require(memcmp(slow, fast, length) == 0);
    free(slow);
    free(fast);
}

static void check_message(struct mote_slice message)
{
    char *encoded = malloc(MOTE_STATUS_ENCODED_MAX);
    uint8_t *decoded = malloc(MOTE_STATUS_ENCODED_MAX);
    uint8_t *expected = malloc(MOTE_STATUS_MESSAGE_MAX);
    fuzz_require(encoded != NULL && decoded != NULL && expected != NULL);
    const size_t length = mote_status_encode_message(encoded, message);
    const struct mote_slice value = mote_slice(encoded, length);
    fuzz_require(length <= MOTE_STATUS_ENCODED_MAX && mote_fields_is_metadata_value(value));
    for (size_t i = 0; i < length; i++) {
        fuzz_require(encoded[i] != '%' ||
                     (i + 2 < length && isxdigit((uint8_t)encoded[i + 1]) && isxdigit((uint8_t)encoded[i + 2]) &&
                      !islower((uint8_t)encoded[i + 1]) && !islower((uint8_t)encoded[i + 2])));
    }
    const size_t expected_length = repair(expected, message);
    fuzz_require(decode(decoded, value) == expected_length);
    fuzz_require(memcmp(decoded, expected, expected_length) == 0);
    check_decoding(value);
    free(encoded);
    free(decoded);
    free(expected);
}

static void check_status(struct mote_slice text)
{
    enum mote_status status;
    const bool fine = mote_status_parse(&status, text) == 0;
    bool found = false;
    for (unsigned code = 0; code < MOTE_STATUS_COUNT; code++) {
        char decimal[4];
        (void)snprintf(decimal, sizeof(decimal), "%u", code);
        if (is(text, decimal)) {
            fuzz_require(fine && status == code);
            found = true;
        }
    }
    fuzz_require(found || (!fine && status == MOTE_STATUS_UNKNOWN));
}

/* RFC 9110 §5.5 without obs-text and tabs. */
static void check_value(struct mote_slice value)
{
    bool fine = without_spaces(value).length == value.length;
    for (size_t i = 0; i < value.length; i++) {
        fine = fine && (isgraph(value.data[i]) || value.data[i] == ' ');
    }
    fuzz_require(mote_fields_is_metadata_value(value) == fine);
}

/* ---- The whole block ---- */

struct answer {
    unsigned http;
    int status; /* -1: none; 0: the request stands */
    bool subtype;
    bool accept_encoding;
};

static struct answer answer_content_type(struct mote_slice type, bool repeated)
{
    const struct answer media_type = {.http = 415, .status = -1};
    if (type.data == NULL || repeated) {
        return media_type;
    }
    const uint8_t *parameters = memchr(type.data, ';', type.length);
    const struct mote_slice name =
        mote_slice(type.data, parameters != NULL ? (size_t)(parameters - type.data) : type.length);
    if (is(name, "application/grpc") || is(name, "application/grpc+")) {
        return (struct answer){.http = 200};
    }
    if (is(name, "application/grpc+proto")) {
        return (struct answer){.http = 200, .subtype = true};
    }
    return begins(name, "application/grpc+") ? (struct answer){200, MOTE_STATUS_UNIMPLEMENTED, false, false}
                                             : media_type;
}

/* "/" Service-Name "/" {method name}, no longer than the limit. */
static bool is_path(struct mote_slice path, uint64_t length_max)
{
    size_t slashes = 0;
    for (size_t i = 0; i < path.length; i++) {
        if (path.data[i] == '/') {
            slashes++;
            if (i + 1 == path.length || path.data[i + 1] == '/') {
                return false;
            }
        }
    }
    return path.length <= length_max && begins(path, "/") && slashes == 2;
}

static struct answer answer_block(const struct mote_fields *fields, bool binary_fine, uint64_t path_max)
{
    const struct mote_slice *known = fields->known;
    const struct answer type =
        answer_content_type(known[MOTE_FIELD_CONTENT_TYPE], (fields->repeated >> MOTE_FIELD_CONTENT_TYPE & 1) != 0);
    const struct mote_slice timeout = known[MOTE_FIELD_GRPC_TIMEOUT];
    const struct mote_slice encoding = known[MOTE_FIELD_GRPC_ENCODING];
    uint64_t ns = UINT64_MAX;
    const bool malformed = timeout.data != NULL && !read_timeout(timeout, &ns);
    const struct {
        bool wrong;
        struct answer answer;
    } rows[] = {
        {fields->overflow != MOTE_FIELDS_FIT, {200, MOTE_STATUS_RESOURCE_EXHAUSTED, false, false}},
        {type.status != 0, type},
        {!is(known[MOTE_FIELD_METHOD], "POST"), {405, MOTE_STATUS_INTERNAL, false, false}},
        {malformed || (timeout.data != NULL && (fields->repeated >> MOTE_FIELD_GRPC_TIMEOUT & 1) != 0),
         {200, MOTE_STATUS_INTERNAL, false, false}},
        {!binary_fine, {200, MOTE_STATUS_INTERNAL, false, false}},
        {ns == 0, {200, MOTE_STATUS_DEADLINE_EXCEEDED, false, false}},
        {encoding.data != NULL && (!(is(encoding, "identity") || is(encoding, "gzip") || is(encoding, "deflate")) ||
                                   (fields->repeated >> MOTE_FIELD_GRPC_ENCODING & 1) != 0),
         {200, MOTE_STATUS_UNIMPLEMENTED, false, true}},
        {!is_path(known[MOTE_FIELD_PATH], path_max), {200, MOTE_STATUS_UNIMPLEMENTED, false, false}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].wrong) {
            return rows[i].answer;
        }
    }
    return type;
}

static void check_request(const struct mote_fields *fields, const struct mote_request *request, bool subtype)
{
    uint64_t ns = MOTE_REQUEST_NO_TIMEOUT;
    (void)read_timeout(fields->known[MOTE_FIELD_GRPC_TIMEOUT], &ns);
    fuzz_require(request->timeout_ns == ns && ns != 0);
    fuzz_require(request->proto_subtype == subtype);
    const struct mote_slice encoding = fields->known[MOTE_FIELD_GRPC_ENCODING];
    fuzz_require(encoding.data == NULL ? request->encoding == MOTE_ENCODING_IDENTITY
                                       : mote_slice_equals(encoding, mote_compression_name(request->encoding)));
    fuzz_require(request->path.length == request->service.length + request->method.length + 2);
    fuzz_require(mote_slice_equals(request->path, fields->known[MOTE_FIELD_PATH]));
    fuzz_require(request->service.data == request->path.data + 1);
    fuzz_require(request->method.data == request->service.data + request->service.length + 1);
    const bool named = fields->known[MOTE_FIELD_AUTHORITY].data != NULL;
    fuzz_require(request->authority.data == fields->known[named ? MOTE_FIELD_AUTHORITY : MOTE_FIELD_HOST].data);
}

static void check_block(const struct mote_fields *fields, bool binary_fine)
{
    struct mote_limits limits = {.path_length_max = 64};
    struct mote_request request;
    struct mote_refusal refusal;
    memset(&request, 0xa5, sizeof(request));
    memset(&refusal, 0xa5, sizeof(refusal));
    fuzz_require((mote_fields_check_binary(fields) == 0) == binary_fine);
    const struct answer expected = answer_block(fields, binary_fine, limits.path_length_max);
    if (mote_request_parse(fields, &limits, &request, &refusal)) {
        fuzz_require(expected.status == 0);
        check_request(fields, &request, expected.subtype);
        return;
    }
    fuzz_require(expected.status != 0);
    fuzz_require(refusal.http_status == expected.http);
    fuzz_require(refusal.has_status == (expected.status > 0));
    fuzz_require(refusal.accept_encoding == expected.accept_encoding);
    if (refusal.has_status) {
        fuzz_require((int)refusal.status == expected.status);
        fuzz_require(refusal.message != NULL);
        check_message(mote_slice_text(refusal.message));
    }
}

/* "name: value"; the colon may be the second of a pseudo-header field. */
static struct mote_field split_line(struct mote_slice line)
{
    const uint8_t *colon = line.length > 1 ? memchr(line.data + 1, ':', line.length - 1) : NULL;
    if (colon == NULL) {
        return (struct mote_field){.name = line, .value = mote_slice("", 0)};
    }
    const size_t name = (size_t)(colon - line.data);
    const size_t skipped = name + 1 < line.length && colon[1] == ' ' ? 2 : 1;
    return (struct mote_field){
        .name = mote_slice(line.data, name),
        .value = mote_slice(line.data + name + skipped, line.length - name - skipped),
    };
}

static void check_field(const struct mote_field *field)
{
    check_name(field->name);
    check_value(field->value);
    check_timeout(field->value);
    check_status(field->value);
    check_decoding(field->value);
    check_message(field->value);
}

/* Puts a field where the connection would put it. */
static void place(struct mote_fields *fields, struct mote_field *others, const struct mote_field *field)
{
    const enum mote_field_id id = mote_fields_identify(field->name);
    fields->list_size += field->name.length + field->value.length + 32;
    if (id == MOTE_FIELD_OTHER) {
        if (!mote_fields_is_reserved(field->name)) {
            others[fields->other_count++] = *field;
        }
    } else if (mote_slice_is_present(fields->known[id])) {
        fields->repeated |= UINT32_C(1) << id;
    } else {
        fields->known[id] = field->value;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mote_field others[LINES_MAX];
    uint8_t *copy = fuzz_copy(mote_slice(data, size));
    struct mote_fields fields = {.others = others};
    struct mote_slice rest = mote_slice(copy, size);
    bool binary_fine = true;
    check_message(rest);
    for (size_t lines = 0; rest.length != 0 && lines < LINES_MAX; lines++) {
        const uint8_t *end = memchr(rest.data, '\n', rest.length);
        const struct mote_slice line = fuzz_take(&rest, end != NULL ? (size_t)(end - rest.data) : rest.length);
        (void)fuzz_take_byte(&rest);
        const struct mote_field field = split_line(line);
        check_field(&field);
        const bool decodes = check_binary(field.value);
        const size_t count = fields.other_count;
        place(&fields, others, &field);
        if (fields.other_count > count && mote_fields_is_binary(field.name)) {
            binary_fine = binary_fine && decodes;
        }
        if (fields.list_size > 8192) {
            fields.overflow = MOTE_FIELDS_OVER_SOFT;
        }
    }
    for (size_t i = 0; i < fields.other_count; i++) {
        const struct mote_slice found = mote_fields_find(&fields, others[i].name);
        fuzz_require(mote_slice_is_present(found));
    }
    check_block(&fields, binary_fine);
    free(copy);
    return 0;
}
