/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields: every known name and its neighbours, what may be metadata, and binary values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "wire/fields.h"

static const char *const known_names[] = {
#define X(constant, name) [constant] = (name),
    MOTE_FIELD_MAP(X)
#undef X
};

/* The slow way: a look through the list. */
static enum mote_field_id identify(struct mote_slice name)
{
    for (unsigned i = 0; i < MOTE_FIELD_OTHER; i++) {
        if (mote_slice_equals_text(name, known_names[i])) {
            return (enum mote_field_id)i;
        }
    }
    return MOTE_FIELD_OTHER;
}

/* In a block of its exact size, so that reading past its end is seen. */
static void check_identify(const uint8_t *text, size_t length)
{
    uint8_t *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy + 1, text, length);
    const struct mote_slice name = mote_slice(copy + 1, length);
    assert_int_equal(mote_fields_identify(name), identify(name));
    free(copy);
}

static void test_identify(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MOTE_FIELD_OTHER; i++) {
        uint8_t name[64];
        const size_t length = strlen(known_names[i]);
        memcpy(name, known_names[i], length + 1);
        assert_int_equal(mote_fields_identify(mote_slice(name, length)), i);
        for (size_t at = 0; at < length; at++) {
            check_identify(name, at);
            check_identify(name + at, length - at);
            for (unsigned byte = 0; byte < 256; byte++) {
                name[at] = (uint8_t)byte;
                check_identify(name, length);
            }
            name[at] = (uint8_t)known_names[i][at];
        }
        name[length] = 'x';
        check_identify(name, length + 1);
    }
    assert_int_equal(mote_fields_identify(mote_slice(NULL, 0)), MOTE_FIELD_OTHER);
}

struct name_case {
    const char *name;
    bool reserved;
    bool metadata;
};

static const struct name_case name_cases[] = {
    {"x-request-id", false, true},
    {"a", false, true},
    {"0", false, true},
    {"a_b-c.d0", false, true},
    {"trace-proto-bin", false, true},
    {"authorization", false, true},
    {"grpc", false, true},
    {"grpcfoo", false, true},
    {"xgrpc-foo", false, true},
    {"trailers", false, true},
    {"endpoint-load-metrics-bin", false, true},
    {"", false, false},
    {"X-Upper", false, false},
    {"a b", false, false},
    {"a:b", false, false},
    {"a\x80", false, false},
    {"a/", false, false},
    {"a{", false, false},
    {"`", false, false},
    {"@", false, false},
    {":", true, false},
    {":path", true, false},
    {":anything", true, false},
    {"grpc-", true, false},
    {"grpc-foo", true, false},
    {"grpc-status", true, false},
    {"grpc-status-details-bin", true, false},
    {"te", true, false},
    {"host", true, false},
    {"connection", true, false},
    {"keep-alive", true, false},
    {"proxy-connection", true, false},
    {"transfer-encoding", true, false},
    {"upgrade", true, false},
    {"trailer", true, false},
    {"content-type", true, false},
    {"content-length", true, false},
    {"user-agent", true, false},
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(name_cases) / sizeof(name_cases[0]); i++) {
        const struct name_case *row = &name_cases[i];
        const struct mote_slice name = mote_slice_text(row->name);
        if (mote_fields_is_reserved(name) != row->reserved || mote_fields_is_metadata_name(name) != row->metadata) {
            fail_msg("%s", row->name);
        }
    }
    assert_false(mote_fields_is_metadata_name(mote_slice("a\0b", 3)));
    assert_false(mote_fields_is_metadata_name(mote_slice(NULL, 0)));
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool fine;
    } cases[] = {
        {"", true},      {"a", true},     {"a b", true},   {"!~", true},    {" ", false},    {" a", false},
        {"a ", false},   {"a\tb", false}, {"a\nb", false}, {"a\rb", false}, {"\x7f", false}, {"caf\xc3\xa9", false},
        {"\x1f", false}, {"a,b", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (mote_fields_is_metadata_value(mote_slice_text(cases[i].value)) != cases[i].fine) {
            fail_msg("row %zu: \"%s\"", i, cases[i].value);
        }
    }
    assert_false(mote_fields_is_metadata_value(mote_slice("a\0b", 3)));
    assert_true(mote_fields_is_metadata_value(mote_slice(NULL, 0)));
}

static void test_is_binary(void **state)
{
    (void)state;
    assert_true(mote_fields_is_binary(mote_slice_text("a-bin")));
    assert_true(mote_fields_is_binary(mote_slice_text("-bin")));
    assert_false(mote_fields_is_binary(mote_slice_text("bin")));
    assert_false(mote_fields_is_binary(mote_slice_text("a-bing")));
    assert_false(mote_fields_is_binary(mote_slice_text("a-bin-")));
    assert_false(mote_fields_is_binary(mote_slice_text("a-BIN")));
    assert_false(mote_fields_is_binary(mote_slice(NULL, 0)));
}

static void test_find(void **state)
{
    (void)state;
    const struct mote_field others[] = {
        {.name = MOTE_SLICE_LITERAL("a"), .value = MOTE_SLICE_LITERAL("1")},
        {.name = MOTE_SLICE_LITERAL("b"), .value = MOTE_SLICE_LITERAL("")},
        {.name = MOTE_SLICE_LITERAL("a"), .value = MOTE_SLICE_LITERAL("2")},
    };
    const struct mote_fields fields = {.others = others, .other_count = 3};
    assert_true(mote_slice_equals_text(mote_fields_find(&fields, mote_slice_text("a")), "1"));
    assert_true(mote_slice_is_present(mote_fields_find(&fields, mote_slice_text("b"))));
    assert_int_equal(mote_fields_find(&fields, mote_slice_text("b")).length, 0);
    assert_false(mote_slice_is_present(mote_fields_find(&fields, mote_slice_text("c"))));
    const struct mote_fields none = {0};
    assert_false(mote_slice_is_present(mote_fields_find(&none, mote_slice_text("a"))));
}

/* Values joined with commas, as hexadecimal digits joined with '|'; NULL: does not decode. */
static const struct {
    const char *text;
    const char *decoded;
} binary_cases[] = {
    {"", ""},
    {"AQ==", "01"},
    {"AQ", "01"},
    {"AQI=", "0102"},
    {"AQI", "0102"},
    {"AQID", "010203"},
    {"//79", "fffefd"},
    {"++8", "fbef"},
    {"AQ,AQI", "01|0102"},
    {"AQ==,AQI=", "01|0102"},
    {"AQ, AQI", "01|0102"},
    {"AQ ,\t AQI", "01|0102"},
    {"AQ,", "01|"},
    {",", "|"},
    {",,AQ", "||01"},
    {"!!!", NULL},
    {"A", NULL},
    {"AQIDA", NULL},
    {"AQ=", NULL},
    {"AQ===", NULL},
    {"AQI==", NULL},
    {"AQ==x", NULL},
    {"AQ==AQ==", NULL},
    {"AR==", NULL}, /* unused bits that are not zero */
    {"AQJ=", NULL},
    {"A=Q=", NULL},
    {"=", NULL},
    {"====", NULL},
    {"AQ-_", NULL}, /* the URL alphabet is not gRPC's */
    {"A Q=", NULL},
    {"AQ,!", NULL},
    {"!,AQ", NULL},
    {"AQ;AQ", NULL},
};

static void test_binary(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(binary_cases) / sizeof(binary_cases[0]); i++) {
        const struct mote_field field = {
            .name = MOTE_SLICE_LITERAL("x-bin"),
            .value = mote_slice_text(binary_cases[i].text),
        };
        const struct mote_fields fields = {.others = &field, .other_count = 1};
        const bool fine = binary_cases[i].decoded != NULL;
        if (mote_fields_check_binary(&fields) != (fine ? 0 : MOTE_EDECODE)) {
            fail_msg("\"%s\"", binary_cases[i].text);
        }
        char hex[64] = "";
        size_t used = 0;
        bool decodes = true;
        struct mote_slice rest = field.value;
        struct mote_slice value;
        for (bool first = true; mote_fields_next_binary(&rest, &value); first = false) {
            uint8_t out[16];
            size_t length = 0;
            decodes = decodes && mote_fields_decode_binary(out, &length, value) == 0;
            if (!first) {
                hex[used++] = '|';
            }
            mote_hex_encode(hex + used, mote_slice(out, length));
            used += 2 * length;
        }
        hex[used] = 0;
        assert_int_equal(decodes, fine);
        if (fine) {
            assert_string_equal(hex, binary_cases[i].decoded);
        }
    }
    struct mote_slice absent = mote_slice(NULL, 0);
    struct mote_slice value;
    assert_false(mote_fields_next_binary(&absent, &value));
}

/* A name without the suffix is not looked at; the first bad value of many is enough. */
static void test_check_binary_of_many(void **state)
{
    (void)state;
    struct mote_field others[] = {
        {.name = MOTE_SLICE_LITERAL("a"), .value = MOTE_SLICE_LITERAL("!!!")},
        {.name = MOTE_SLICE_LITERAL("b-bin"), .value = MOTE_SLICE_LITERAL("AQ")},
        {.name = MOTE_SLICE_LITERAL("c-bin"), .value = MOTE_SLICE_LITERAL("AQ")},
    };
    const struct mote_fields fields = {.others = others, .other_count = 3};
    assert_int_equal(mote_fields_check_binary(&fields), 0);
    others[2].value = mote_slice_text("!");
    assert_int_equal(mote_fields_check_binary(&fields), MOTE_EDECODE);
}

/* Long values are checked in pieces: every length around the pieces' bound gives what one decoding gives. */
static void test_check_binary_of_any_length(void **state)
{
    (void)state;
    char text[4200];
    uint8_t out[4200];
    memset(text, 'A', sizeof(text));
    for (size_t length = 0; length < sizeof(text); length = length == 8 ? 1015 : length == 1035 ? 2040 : length + 1) {
        const struct mote_field field = {.name = MOTE_SLICE_LITERAL("x-bin"), .value = mote_slice(text, length)};
        const struct mote_fields fields = {.others = &field, .other_count = 1};
        for (size_t at = length > 8 ? length - 8 : 0; at <= length; at++) {
            static const char bytes[] = "A=B!";
            for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
                text[at] = bytes[i];
                size_t decoded;
                const int expected = mote_fields_decode_binary(out, &decoded, field.value);
                assert_int_equal(mote_fields_check_binary(&fields), expected);
            }
            text[at] = 'A';
        }
        for (size_t at = 1020; at < 1028 && at < length; at++) {
            text[at] = '=';
            assert_int_equal(mote_fields_check_binary(&fields), at + 1 == length && length % 4 == 0 ? 0 : MOTE_EDECODE);
            text[at] = 'A';
        }
    }
    memcpy(text + 1022, "==", 2);
    const struct mote_field field = {.name = MOTE_SLICE_LITERAL("x-bin"), .value = mote_slice(text, 1028)};
    const struct mote_fields fields = {.others = &field, .other_count = 1};
    assert_int_equal(mote_fields_check_binary(&fields), MOTE_EDECODE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identify),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_is_binary),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_check_binary_of_many),
        cmocka_unit_test(test_check_binary_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
