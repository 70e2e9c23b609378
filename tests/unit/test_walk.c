/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk before decoding: each bound at max and max + 1, NUL and UTF-8, counts packed and unpacked, and how fields at
 * fault are named.
 */
#include "codec_fixture.h"

/* --- strings and bytes ----------------------------------------------------------------------------------------- */

static void an_empty_message_is_all_zero(void **state)
{
    (void)state;
    struct bytes in = {.length = 0};
    assert_decodes(&in);
    assert_zero(&bounded, sizeof(bounded));
    codec_test_v1_Nothing nothing;
    assert_int_equal(mote_codec_decode(&codec_test_v1_Nothing_type, mote_slice(NULL, 0), &nothing, NULL), 0);
    put_number(&in, 7, 1);
    assert_int_equal(mote_codec_decode(&codec_test_v1_Nothing_type, slice_of(&in), &nothing, NULL), 0);
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    static const struct {
        uint32_t number;
        const char *field;
        size_t max;
        const char *text;
    } cases[] = {
        {codec_test_v1_Bounded_text_tag, "text", 8, "must be at most 8 bytes long"},
        {codec_test_v1_Bounded_data_tag, "data", 8, "must be at most 8 bytes long"},
        {codec_test_v1_Bounded_names_tag, "names[0]", 4, "must be at most 4 bytes long"},
        {codec_test_v1_Bounded_left_tag, "left", 4, "must be at most 4 bytes long"},
        {codec_test_v1_Bounded_maybe_tag, "maybe", 4, "must be at most 4 bytes long"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        for (size_t length = 0; length <= cases[i].max + 12; length++) {
            struct bytes in = {.length = 0};
            put_bytes(&in, cases[i].number, "aaaaaaaaaaaaaaaaaaaaaaaa", length);
            if (length <= cases[i].max) {
                assert_decodes(&in);
            } else {
                assert_violation(&in, cases[i].field, cases[i].text);
            }
        }
    }
}

static void bytes_of_fixed_length_are_exact(void **state)
{
    (void)state;
    struct bytes exact = {.length = 0};
    struct bytes more = {.length = 0};
    struct bytes fewer = {.length = 0};
    put_bytes(&exact, codec_test_v1_Bounded_four_tag, "\0\1\2\3", 4);
    assert_decodes(&exact);
    assert_memory_equal(bounded.four, "\0\1\2\3", 4);
    put_bytes(&more, codec_test_v1_Bounded_four_tag, "\0\1\2\3\4", 5);
    assert_violation(&more, "four", "must be at most 4 bytes long");
    put_bytes(&fewer, codec_test_v1_Bounded_four_tag, "\0\1\2", 3);
    assert_malformed(&fewer);
}

static void presence_is_kept(void **state)
{
    (void)state;
    struct bytes in = {.length = 0};
    put_text(&in, codec_test_v1_Bounded_maybe_tag, "");
    put_bytes(&in, codec_test_v1_Bounded_inner_tag, "", 0);
    put_text(&in, codec_test_v1_Bounded_left_tag, "");
    assert_decodes(&in);
    assert_true(bounded.has_maybe);
    assert_true(bounded.has_inner);
    assert_int_equal(bounded.which_choice, codec_test_v1_Bounded_left_tag);
}

/* A NUL would cut the name off: "ab\0cd" would be "ab" to all who read it as a C string. */
static void a_nul_in_a_string_is_refused(void **state)
{
    (void)state;
    for (size_t length = 1; length <= 8; length++) {
        for (size_t at = 0; at < length; at++) {
            struct bytes in = {.length = 0};
            char text[8] = "abcdefgh";
            text[at] = 0;
            put_bytes(&in, codec_test_v1_Bounded_text_tag, text, length);
            assert_violation(&in, "text", "must not contain a NUL character");
        }
    }
    struct bytes in = {.length = 0};
    put_bytes(&in, codec_test_v1_Bounded_data_tag, "ab\0cd", 5);
    assert_decodes(&in);
    assert_int_equal(bounded.data.size, 5);
}

static void strings_are_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"a\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x7f",
                                       "\xc3\xa9\xc3\xa9\xc3\xa9"};
    static const char *const bad[] = {"\xc3(", "\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "abcdefg\xc3"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct bytes in = {.length = 0};
        put_text(&in, codec_test_v1_Bounded_text_tag, good[i]);
        assert_decodes(&in);
        assert_string_equal(bounded.text, good[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct bytes in = {.length = 0};
        put_text(&in, codec_test_v1_Bounded_text_tag, bad[i]);
        assert_violation(&in, "text", "must be valid UTF-8");
    }
    /* Also behind a NUL, where checks that stop at it are blind: the NUL is what is told. */
    struct bytes in = {.length = 0};
    put_bytes(&in, codec_test_v1_Bounded_text_tag, "a\0\xc3(", 4);
    assert_violation(&in, "text", "must not contain a NUL character");
}

/* The quick check looks at 8 bytes at once: every position in every length, with every byte that is not plain. */
static void every_byte_of_a_string_is_looked_at(void **state)
{
    (void)state;
    codec_test_v1_Unbounded out;
    static char text[40];
    for (size_t length = 1; length <= sizeof(text); length++) {
        for (size_t at = 0; at < length; at++) {
            for (unsigned value = 0x7f; value <= 0x100; value++) {
                struct bytes in = {.length = 0};
                memset(text, at % 2 == 0 ? 1 : 0x7f, sizeof(text));
                text[at] = (char)(uint8_t)value;
                put_bytes(&in, codec_test_v1_Unbounded_text_tag, text, length);
                int error = mote_codec_decode(&codec_test_v1_Unbounded_type, slice_of(&in), &out, NULL);
                assert_int_equal(error, value == 0x7f ? 0 : MOTE_EFIELD);
            }
        }
    }
}

/* --- repeated fields ------------------------------------------------------------------------------------------- */

static void packed_and_unpacked_are_equal(void **state)
{
    (void)state;
    static const struct {
        uint32_t number;
        const char *field;
    } cases[] = {{codec_test_v1_Bounded_numbers_tag, "numbers"},
                 {codec_test_v1_Bounded_words_tag, "words"},
                 {codec_test_v1_Bounded_longs_tag, "longs"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        for (size_t count = 0; count <= 6; count++) {
            codec_test_v1_Bounded unpacked_gave;
            struct bytes packed = {.length = 0};
            struct bytes unpacked = {.length = 0};
            put_elements(&packed, cases[i].number, count, true);
            put_elements(&unpacked, cases[i].number, count, false);
            if (count > 3) {
                assert_violation(&packed, cases[i].field, "must have at most 3 elements");
                assert_violation(&unpacked, cases[i].field, "must have at most 3 elements");
                continue;
            }
            assert_decodes(&unpacked);
            unpacked_gave = bounded;
            assert_decodes(&packed);
            assert_memory_equal(&bounded, &unpacked_gave, sizeof(bounded));
            assert_int_equal(bounded.numbers_count + bounded.words_count + bounded.longs_count, count);
        }
    }
}

static void elements_are_counted_over_all_runs(void **state)
{
    (void)state;
    for (size_t second = 0; second <= 3; second++) {
        struct bytes in = {.length = 0};
        put_elements(&in, codec_test_v1_Bounded_numbers_tag, 2, true);
        put_elements(&in, codec_test_v1_Bounded_words_tag, 3, false);
        put_elements(&in, codec_test_v1_Bounded_numbers_tag, second, second % 2 == 0);
        if (second > 1) {
            assert_violation(&in, "numbers", "must have at most 3 elements");
        } else {
            assert_decodes(&in);
            assert_int_equal(bounded.numbers_count, 2 + second);
        }
    }
}

static void messages_and_strings_are_counted(void **state)
{
    (void)state;
    struct bytes in = {.length = 0};
    put_text(&in, codec_test_v1_Bounded_names_tag, "a");
    put_bytes(&in, codec_test_v1_Bounded_inners_tag, "", 0);
    put_text(&in, codec_test_v1_Bounded_names_tag, "b");
    put_bytes(&in, codec_test_v1_Bounded_inners_tag, "", 0);
    assert_decodes(&in);
    assert_int_equal(bounded.names_count, 2);
    assert_int_equal(bounded.inners_count, 2);
    struct bytes names = in;
    put_text(&names, codec_test_v1_Bounded_names_tag, "c");
    put_text(&names, codec_test_v1_Bounded_names_tag, "d");
    assert_violation(&names, "names", "must have at most 2 elements");
    put_bytes(&in, codec_test_v1_Bounded_inners_tag, "", 0);
    assert_violation(&in, "inners", "must have at most 2 elements");
}

/* Each message in a repeated field has counts of its own. */
static void counts_are_those_of_one_message(void **state)
{
    (void)state;
    codec_test_v1_Chain out;
    struct bytes inner = {.length = 0};
    struct bytes in = {.length = 0};
    put_number(&inner, codec_test_v1_Chain_numbers_tag, 1);
    put_number(&inner, codec_test_v1_Chain_numbers_tag, 2);
    put_number(&in, codec_test_v1_Chain_numbers_tag, 1);
    put_message(&in, codec_test_v1_Chain_next_tag, &inner);
    put_message(&in, codec_test_v1_Chain_next_tag, &inner);
    put_number(&in, codec_test_v1_Chain_numbers_tag, 2);
    assert_int_equal(mote_codec_decode(&codec_test_v1_Chain_type, slice_of(&in), &out, &failure), 0);
    put_number(&in, codec_test_v1_Chain_numbers_tag, 3);
    assert_int_equal(mote_codec_decode(&codec_test_v1_Chain_type, slice_of(&in), &out, &failure), MOTE_EFIELD);
    assert_string_equal(failure.violations[0].field, "numbers");
}

/* --- naming ---------------------------------------------------------------------------------------------------- */

static void violations_are_named_by_path(void **state)
{
    (void)state;
    struct bytes inner = {.length = 0};
    put_text(&inner, codec_test_v1_Inner_id_tag, "12345");
    static const struct {
        uint32_t number;
        const char *field;
    } cases[] = {{codec_test_v1_Bounded_inner_tag, "inner.id"}, {codec_test_v1_Bounded_right_tag, "right.id"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct bytes in = {.length = 0};
        put_message(&in, cases[i].number, &inner);
        assert_violation(&in, cases[i].field, "must be at most 4 bytes long");
    }
    struct bytes in = {.length = 0};
    put_bytes(&in, codec_test_v1_Bounded_inners_tag, "", 0);
    put_message(&in, codec_test_v1_Bounded_inners_tag, &inner);
    assert_violation(&in, "inners[1].id", "must be at most 4 bytes long");
    struct bytes names = {.length = 0};
    put_text(&names, codec_test_v1_Bounded_names_tag, "fine");
    put_text(&names, codec_test_v1_Bounded_names_tag, "\xff");
    assert_violation(&names, "names[1]", "must be valid UTF-8");
}

static void all_violations_are_named(void **state)
{
    (void)state;
    struct bytes in = {.length = 0};
    put_text(&in, codec_test_v1_Bounded_maybe_tag, "12345");
    put_elements(&in, codec_test_v1_Bounded_words_tag, 4, true);
    put_text(&in, codec_test_v1_Bounded_text_tag, "123456789\xff");
    assert_int_equal(decode_bounded(&in), MOTE_EFIELD);
    assert_int_equal(failure.count, 4);
    assert_string_equal(failure.violations[0].field, "maybe");
    assert_string_equal(failure.violations[1].field, "words");
    assert_string_equal(failure.violations[2].field, "text");
    assert_string_equal(failure.violations[2].text, "must be at most 8 bytes long");
    assert_string_equal(failure.violations[3].field, "text");
    assert_string_equal(failure.violations[3].text, "must be valid UTF-8");
    assert_int_equal(mote_codec_decode(&codec_test_v1_Bounded_type, slice_of(&in), &bounded, NULL), MOTE_EFIELD);
}

static void the_list_of_violations_is_bounded(void **state)
{
    (void)state;
    for (size_t count = 1; count <= MOTE_CODEC_VIOLATIONS_MAX + 1; count++) {
        struct bytes in = {.length = 0};
        for (size_t i = 0; i < count; i++) {
            put_text(&in, codec_test_v1_Bounded_maybe_tag, "12345");
        }
        assert_int_equal(decode_bounded(&in), MOTE_EFIELD);
        assert_int_equal(failure.count, count < MOTE_CODEC_VIOLATIONS_MAX ? count : MOTE_CODEC_VIOLATIONS_MAX);
    }
}

static void a_long_path_is_cut_off(void **state)
{
    (void)state;
    static codec_test_v1_LongPath out;
    struct bytes inner = {.length = 0};
    struct bytes in = {.length = 0};
    put_text(&inner, codec_test_v1_Bounded_text_tag, "123456789");
    put_message(&in, 1, &inner);
    assert_int_equal(mote_codec_decode(&codec_test_v1_LongPath_type, slice_of(&in), &out, &failure), MOTE_EFIELD);
    assert_int_equal(strlen(failure.violations[0].field), MOTE_CODEC_PATH_MAX - 1);
    assert_memory_equal(failure.violations[0].field, codec_test_v1_LongPath_type.rules[0].name,
                        MOTE_CODEC_PATH_MAX - 1);
}

/* Bytes that are no protobuf are told as that, whatever stood before them. */
static void malformed_goes_before_violations(void **state)
{
    (void)state;
    struct bytes in = {.length = 0};
    put_text(&in, codec_test_v1_Bounded_maybe_tag, "12345");
    assert_int_equal(decode_bounded(&in), MOTE_EFIELD);
    put(&in, "\x00", 1);
    assert_malformed(&in);
}

/* Numbers beyond their room, which nanopb would refuse without a name: at max and max + 1. */
static void numbers_that_do_not_fit_are_named(void **state)
{
    (void)state;
    static const struct {
        uint32_t number;
        const char *field;
        uint64_t max; /* UINT64_MAX: every number is taken */
    } cases[] = {
        {codec_test_v1_Scalars_a_bool_tag, "a_bool", UINT32_MAX},
        {codec_test_v1_Scalars_an_int32_tag, "an_int32", UINT64_MAX},
        {codec_test_v1_Scalars_an_int64_tag, "an_int64", UINT64_MAX},
        {codec_test_v1_Scalars_a_uint32_tag, "a_uint32", UINT32_MAX},
        {codec_test_v1_Scalars_a_uint64_tag, "a_uint64", UINT64_MAX},
        {codec_test_v1_Scalars_a_sint32_tag, "a_sint32", UINT32_MAX},
        {codec_test_v1_Scalars_a_sint64_tag, "a_sint64", UINT64_MAX},
        {codec_test_v1_Scalars_a_color_tag, "a_color", UINT32_MAX},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const uint64_t over[] = {cases[i].max, cases[i].max + 1, UINT64_C(1) << 40, UINT64_MAX};
        for (size_t j = 0; j < ARRAY_COUNT(over); j++) {
            codec_test_v1_Scalars out;
            struct bytes in = {.length = 0};
            put_number(&in, cases[i].number, over[j]);
            const int result = mote_codec_decode(&codec_test_v1_Scalars_type, slice_of(&in), &out, &failure);
            assert_int_equal(result, over[j] <= cases[i].max ? 0 : MOTE_EFIELD);
            assert_int_equal(failure.count, over[j] <= cases[i].max ? 0 : 1);
            if (result != 0) {
                assert_string_equal(failure.violations[0].field, cases[i].field);
                assert_string_equal(failure.violations[0].text, "is out of range");
            } else {
                assert_int_equal(out.a_bool, i == 0 && over[j] != 0);
            }
        }
    }
}

static void elements_that_do_not_fit_are_named(void **state)
{
    (void)state;
    struct bytes packed = {.length = 0};
    struct bytes in = {.length = 0};
    put_varint(&packed, 1);
    put_varint(&packed, UINT64_MAX); /* -1, as protobuf writes a negative enum */
    put_bytes(&in, codec_test_v1_Bounded_colors_tag, packed.data, packed.length);
    assert_violation(&in, "colors[1]", "is out of range");
    in.length = 0;
    put_number(&in, codec_test_v1_Bounded_colors_tag, UINT64_C(1) << 32);
    put_number(&in, codec_test_v1_Bounded_colors_tag, UINT32_MAX);
    assert_violation(&in, "colors[0]", "is out of range");
    /* Packed in two runs, the second of which has it; signed ones are cut. */
    in.length = 0;
    put_number(&in, codec_test_v1_Bounded_numbers_tag, UINT64_MAX);
    put_bytes(&in, codec_test_v1_Bounded_colors_tag, "\1", 1);
    put_bytes(&in, codec_test_v1_Bounded_colors_tag, packed.data + 1, packed.length - 1);
    assert_violation(&in, "colors[1]", "is out of range");
    in.length = 0;
    put_bytes(&in, codec_test_v1_Bounded_numbers_tag, packed.data, packed.length);
    assert_decodes(&in);
    assert_int_equal(bounded.numbers[1], -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_message_is_all_zero),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(bytes_of_fixed_length_are_exact),
        cmocka_unit_test(presence_is_kept),
        cmocka_unit_test(a_nul_in_a_string_is_refused),
        cmocka_unit_test(strings_are_utf8),
        cmocka_unit_test(every_byte_of_a_string_is_looked_at),
        cmocka_unit_test(packed_and_unpacked_are_equal),
        cmocka_unit_test(elements_are_counted_over_all_runs),
        cmocka_unit_test(messages_and_strings_are_counted),
        cmocka_unit_test(counts_are_those_of_one_message),
        cmocka_unit_test(violations_are_named_by_path),
        cmocka_unit_test(all_violations_are_named),
        cmocka_unit_test(the_list_of_violations_is_bounded),
        cmocka_unit_test(a_long_path_is_cut_off),
        cmocka_unit_test(malformed_goes_before_violations),
        cmocka_unit_test(numbers_that_do_not_fit_are_named),
        cmocka_unit_test(elements_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
