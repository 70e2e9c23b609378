/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding and encoding: what nanopb makes of odd and of malformed bytes, unknown fields, depth, stack, random
 * messages; room that does not suffice, messages that cannot be encoded.
 */
#include "codec_fixture.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "support/failing_mem.h"

/* --- the wire format ------------------------------------------------------------------------------------------- */

static void malformed_bytes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *bytes;
        size_t length;
    } cases[] = {
        {"field number 0", "\x00\x01", 2},
        {"field number 0 with a length", "\x02\x01\x61", 3},
        {"field number over 2^29 - 1", "\x80\x80\x80\x80\x10\x01", 6},
        {"tag of more than 64 bits", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01", 11},
        {"tag cut off", "\x8a", 1},
        {"no value", "\x08", 1},
        {"wrong wire type: text as varint", "\x08\x01", 2},
        {"wrong wire type: text as fixed32", "\x0d\x01\x00\x00\x00", 5},
        {"wrong wire type: words as varint", "\x28\x01", 2},
        {"wrong wire type: words as fixed64", "\x29\x01\x00\x00\x00\x00\x00\x00\x00", 9},
        {"wrong wire type: longs as fixed32", "\x35\x01\x00\x00\x00", 5},
        {"wrong wire type: inner as varint", "\x48\x01", 2},
        {"group, known field", "\x0b\x0c", 2},
        {"group, unknown field", "\xa3\x06\xa4\x06", 4},
        {"end of a group alone", "\xa4\x06", 2},
        {"wire type 6", "\xa6\x06\x00", 3},
        {"wire type 7", "\xa7\x06\x00", 3},
        {"length beyond the end", "\x0a\x02\x61", 3},
        {"length of nearly 2^64", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x61", 12},
        {"length of an unknown field beyond the end", "\xa2\x06\x02\x61", 4},
        {"length cut off", "\x0a\x80", 2},
        {"varint of 11 bytes, known field", "\x20\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12},
        {"varint of 11 bytes, unknown field", "\xa0\x06\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 13},
        {"varint of 65 bits", "\x20\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 11},
        {"varint cut off", "\x20\x80", 2},
        {"fixed32 cut off", "\x2d\x01\x00\x00", 4},
        {"fixed64 cut off", "\x31\x01\x00\x00\x00\x00\x00\x00", 8},
        {"packed fixed32 of 5 bytes", "\x2a\x05\x01\x00\x00\x00\x01", 7},
        {"packed fixed64 of 4 bytes", "\x32\x04\x01\x00\x00\x00", 6},
        {"packed varint cut off", "\x22\x02\x01\x80", 4},
        {"packed varint of 11 bytes", "\x22\x0b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 13},
        {"malformed nested message", "\x4a\x02\x00\x01", 4},
        {"nested length beyond the nested end", "\x4a\x03\x0a\x02\x61\x61", 6},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct bytes in = {.length = 0};
        put(&in, cases[i].bytes, cases[i].length);
        if (decode_bounded(&in) != MOTE_EDECODE) {
            fail_msg("%s was not refused", cases[i].what);
        }
        assert_zero(&bounded, sizeof(bounded));
    }
}

/* A scalar that is not repeated may not come packed. */
static void a_packed_scalar_is_refused(void **state)
{
    (void)state;
    codec_test_v1_Scalars out;
    for (uint32_t number = 1; number <= 14; number++) {
        struct bytes in = {.length = 0};
        put_bytes(&in, number, "\1\0\0\0\0\0\0\0", 8);
        assert_int_equal(mote_codec_decode(&codec_test_v1_Scalars_type, slice_of(&in), &out, NULL), MOTE_EDECODE);
    }
}

static void numbers_keep_their_values(void **state)
{
    (void)state;
    codec_test_v1_Scalars out;
    struct bytes in = {.length = 0};
    put_number(&in, 1, 1);
    put_number(&in, 2, UINT64_MAX); /* -1 */
    put_number(&in, 3, UINT64_C(1) << 63);
    put_number(&in, 4, UINT32_MAX);
    put_number(&in, 5, UINT64_MAX);
    put_number(&in, 6, 3);
    put_number(&in, 7, UINT64_MAX);
    put(&in, "\x45\xff\xff\xff\xff", 5);
    put(&in, "\x49\x01\x00\x00\x00\x00\x00\x00\x80", 9);
    put(&in, "\x55\xff\xff\xff\xff", 5);
    put(&in, "\x59\xff\xff\xff\xff\xff\xff\xff\xff", 9);
    put(&in, "\x65\x00\x00\x80\x3f", 5);
    put(&in, "\x69\x00\x00\x00\x00\x00\x00\xf0\x3f", 9);
    put_number(&in, 14, 77); /* no value of the enum: kept, for the service to refuse */
    assert_int_equal(mote_codec_decode(&codec_test_v1_Scalars_type, slice_of(&in), &out, NULL), 0);
    assert_true(out.a_bool);
    assert_int_equal(out.an_int32, -1);
    assert_true(out.an_int64 == INT64_MIN);
    assert_true(out.a_uint32 == UINT32_MAX);
    assert_true(out.a_uint64 == UINT64_MAX);
    assert_int_equal(out.a_sint32, -2);
    assert_true(out.a_sint64 == INT64_MIN);
    assert_true(out.a_fixed32 == UINT32_MAX);
    assert_true(out.a_fixed64 == UINT64_C(0x8000000000000001));
    assert_int_equal(out.a_sfixed32, -1);
    assert_true(out.a_sfixed64 == -1);
    assert_true(out.a_float == 1.0f);
    assert_true(out.a_double == 1.0);
    assert_int_equal((int)out.a_color, 77);
}

static void an_int32_is_cut_to_32_bits(void **state)
{
    (void)state;
    codec_test_v1_Scalars out;
    struct bytes in = {.length = 0};
    put_number(&in, codec_test_v1_Scalars_an_int32_tag, UINT64_C(1) << 40);
    assert_int_equal(mote_codec_decode(&codec_test_v1_Scalars_type, slice_of(&in), &out, NULL), 0);
    assert_int_equal(out.an_int32, 0);
}

static void the_last_of_two_counts(void **state)
{
    (void)state;
    struct bytes first = {.length = 0};
    struct bytes second = {.length = 0};
    struct bytes in = {.length = 0};
    put_text(&first, codec_test_v1_Inner_id_tag, "abcd");
    put_number(&second, codec_test_v1_Inner_number_tag, 2);
    put_text(&in, codec_test_v1_Bounded_text_tag, "longer");
    put_text(&in, codec_test_v1_Bounded_text_tag, "b");
    /* Messages are merged, also in a oneof; another member of the oneof takes the place of the first. */
    put_message(&in, codec_test_v1_Bounded_inner_tag, &first);
    put_message(&in, codec_test_v1_Bounded_inner_tag, &second);
    put_text(&in, codec_test_v1_Bounded_left_tag, "left");
    put_message(&in, codec_test_v1_Bounded_right_tag, &first);
    put_message(&in, codec_test_v1_Bounded_right_tag, &second);
    assert_decodes(&in);
    assert_string_equal(bounded.text, "b");
    assert_string_equal(bounded.inner.id, "abcd");
    assert_int_equal(bounded.inner.number, 1);
    assert_int_equal(bounded.which_choice, codec_test_v1_Bounded_right_tag);
    assert_string_equal(bounded.choice.right.id, "abcd");
    assert_int_equal(bounded.choice.right.number, 1);
    put_text(&in, codec_test_v1_Bounded_left_tag, "l");
    assert_decodes(&in);
    assert_int_equal(bounded.which_choice, codec_test_v1_Bounded_left_tag);
    assert_string_equal(bounded.choice.left, "l");
}

static void every_field_twice(void **state)
{
    (void)state;
    struct bytes once = {.length = 0};
    put_text(&once, codec_test_v1_Bounded_text_tag, "text");
    put_text(&once, codec_test_v1_Bounded_data_tag, "data");
    put_text(&once, codec_test_v1_Bounded_four_tag, "four");
    put_elements(&once, codec_test_v1_Bounded_numbers_tag, 1, true);
    put_elements(&once, codec_test_v1_Bounded_words_tag, 1, false);
    put_elements(&once, codec_test_v1_Bounded_longs_tag, 1, true);
    put_text(&once, codec_test_v1_Bounded_names_tag, "name");
    put_bytes(&once, codec_test_v1_Bounded_inners_tag, "\x0a\x01i", 3);
    put_bytes(&once, codec_test_v1_Bounded_inner_tag, "\x0a\x01i", 3);
    put_text(&once, codec_test_v1_Bounded_left_tag, "left");
    put_text(&once, codec_test_v1_Bounded_maybe_tag, "may");
    put_number(&once, codec_test_v1_Bounded_colors_tag, 1);
    struct bytes twice = once;
    put(&twice, once.data, once.length);
    assert_decodes(&twice);
    assert_string_equal(bounded.text, "text");
    assert_int_equal(bounded.numbers_count, 2);
    assert_int_equal(bounded.words_count, 2);
    assert_int_equal(bounded.longs_count, 2);
    assert_int_equal(bounded.names_count, 2);
    assert_int_equal(bounded.inners_count, 2);
    assert_int_equal(bounded.colors_count, 2);
    assert_string_equal(bounded.maybe, "may");
    /* Cut off anywhere, it is either a shorter message or malformed, never a field at fault. */
    for (size_t length = 0; length < twice.length; length++) {
        struct bytes cut = twice;
        cut.length = length;
        int error = decode_bounded(&cut);
        assert_true(error == 0 || error == MOTE_EDECODE);
    }
}

static void fields_are_found_in_any_order(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {1, 15, 16, 1000, 65535};
    codec_test_v1_Sparse out;
    for (size_t start = 0; start < ARRAY_COUNT(numbers); start++) {
        for (size_t step = 1; step < ARRAY_COUNT(numbers); step++) {
            struct bytes in = {.length = 0};
            for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
                uint32_t number = numbers[(start + i * step) % ARRAY_COUNT(numbers)];
                put_number(&in, number, number);
                put_number(&in, number + 1 == 16 ? 17 : number + 1, 99); /* unknown */
                put_text(&in, 536870911, "unknown");
            }
            assert_int_equal(mote_codec_decode(&codec_test_v1_Sparse_type, slice_of(&in), &out, NULL), 0);
            assert_int_equal(out.one, 1);
            assert_int_equal(out.fifteen, 15);
            assert_int_equal(out.sixteen, 16);
            assert_int_equal(out.thousand, 1000);
            assert_int_equal(out.last, 65535);
        }
    }
    /* A known field in the wrong wire type is still seen behind others. */
    struct bytes in = {.length = 0};
    put_number(&in, 65535, 1);
    put_text(&in, 15, "x");
    assert_int_equal(mote_codec_decode(&codec_test_v1_Sparse_type, slice_of(&in), &out, NULL), MOTE_EDECODE);
}

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    const size_t length = 1u << 20;
    uint8_t *data = malloc(length);
    assert_non_null(data);
    /* A million bytes of an unknown varint, then of an unknown number over 65535, then in one unknown string. */
    for (size_t i = 0; i + 4 <= length; i += 4) {
        memcpy(data + i, "\xa0\x06\x81\x01", 4);
    }
    assert_int_equal(mote_codec_decode(&codec_test_v1_Bounded_type, mote_slice(data, length), &bounded, NULL), 0);
    assert_zero(&bounded, sizeof(bounded));
    for (size_t i = 0; i + 8 <= length; i += 8) {
        memcpy(data + i, "\x80\x80\x80\x01\x81\x80\x80\x01", 8);
    }
    assert_int_equal(mote_codec_decode(&codec_test_v1_Bounded_type, mote_slice(data, length), &bounded, NULL), 0);
    memset(data, 0xff, length);
    memcpy(data, "\xa2\x06\xfb\xff\x3f", 5); /* length: all the rest, 2^20 - 5 */
    assert_int_equal(mote_codec_decode(&codec_test_v1_Bounded_type, mote_slice(data, length), &bounded, NULL), 0);
    free(data);
}

/* --- callbacks, depth, stack ----------------------------------------------------------------------------------- */

/* What a callback would decode is checked all the same: strings, bytes and the messages in it. */
static void fields_without_bounds_are_checked(void **state)
{
    (void)state;
    codec_test_v1_Unbounded out;
    struct bytes inner = {.length = 0};
    struct bytes entry = {.length = 0};
    struct bytes in = {.length = 0};
    put_text(&inner, codec_test_v1_Inner_id_tag, "12345");
    put_message(&entry, 2, &inner);
    for (size_t i = 0; i < 100; i++) {
        put_text(&in, codec_test_v1_Unbounded_names_tag, "a name");
    }
    assert_int_equal(mote_codec_decode(&codec_test_v1_Unbounded_type, slice_of(&in), &out, &failure), 0);
    put_message(&in, codec_test_v1_Unbounded_items_tag, &inner);
    put_message(&in, codec_test_v1_Unbounded_by_name_tag, &entry);
    put_text(&in, codec_test_v1_Unbounded_names_tag, "\xff");
    assert_int_equal(mote_codec_decode(&codec_test_v1_Unbounded_type, slice_of(&in), &out, &failure), MOTE_EFIELD);
    assert_int_equal(failure.count, 3);
    assert_string_equal(failure.violations[0].field, "items[0].id");
    assert_string_equal(failure.violations[1].field, "by_name[0].value.id");
    assert_string_equal(failure.violations[2].field, "names[100]");
    put_number(&in, codec_test_v1_Unbounded_text_tag, 1);
    assert_int_equal(mote_codec_decode(&codec_test_v1_Unbounded_type, slice_of(&in), &out, &failure), MOTE_EDECODE);
}

static bool take_texts(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    char *at = strchr(*arg, '\0');
    (void)field;
    return stream->bytes_left < 8 && pb_read(stream, (pb_byte_t *)at, stream->bytes_left);
}

/* A prepared struct keeps its callbacks, and they run when all of the message is known to be good. */
static void decode_callbacks_run(void **state)
{
    (void)state;
    char texts[16] = "";
    const pb_callback_t names = {.funcs.decode = take_texts, .arg = texts};
    codec_test_v1_Unbounded out = {.names = names};
    struct bytes in = {.length = 0};
    put_text(&in, codec_test_v1_Unbounded_text_tag, "not asked for");
    put_text(&in, codec_test_v1_Unbounded_names_tag, "one");
    put_text(&in, codec_test_v1_Unbounded_names_tag, "two");
    assert_int_equal(mote_codec_decode_prepared(&codec_test_v1_Unbounded_type, slice_of(&in), &out, NULL), 0);
    assert_string_equal(texts, "onetwo");
    put_text(&in, codec_test_v1_Unbounded_names_tag, "a long name");
    assert_int_equal(mote_codec_decode_prepared(&codec_test_v1_Unbounded_type, slice_of(&in), &out, NULL),
                     MOTE_EDECODE);
    assert_string_equal(texts, "onetwoonetwo");
    assert_null(out.names.funcs.decode);
    out.names = names;
    put_text(&in, codec_test_v1_Unbounded_names_tag, "\xff");
    assert_int_equal(mote_codec_decode_prepared(&codec_test_v1_Unbounded_type, slice_of(&in), &out, NULL), MOTE_EFIELD);
    assert_string_equal(texts, "onetwoonetwo");
    assert_null(out.names.funcs.decode);
}

/* A chain with `depth` messages in the outermost; each has two numbers, so that all the counts are in use. */
static struct bytes make_chain(size_t depth)
{
    struct bytes chain = {.length = 0};
    put_number(&chain, codec_test_v1_Chain_numbers_tag, 1);
    for (size_t i = 0; i < depth; i++) {
        struct bytes outer = {.length = 0};
        put_number(&outer, codec_test_v1_Chain_numbers_tag, 1);
        put_message(&outer, codec_test_v1_Chain_next_tag, &chain);
        chain = outer;
    }
    return chain;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    codec_test_v1_Chain out;
    struct bytes fits = make_chain(MOTE_CODEC_DEPTH_MAX);
    struct bytes too_deep = make_chain(MOTE_CODEC_DEPTH_MAX + 1);
    assert_int_equal(mote_codec_decode(&codec_test_v1_Chain_type, slice_of(&fits), &out, NULL), 0);
    assert_int_equal(mote_codec_decode(&codec_test_v1_Chain_type, slice_of(&too_deep), &out, NULL), MOTE_EDECODE);
}

#define STACK_SIZE (256u * 1024u)
#define STACK_MAX  (64u * 1024u) /* with the sanitizers' larger frames */

static void *decode_deep_chain(void *data)
{
    codec_test_v1_Chain out;
    const struct bytes *in = data;
    return mote_codec_decode(&codec_test_v1_Chain_type, slice_of(in), &out, NULL) == 0 ? data : NULL;
}

/* The deepest message on a painted stack: how much of the paint is gone? */
static void stack_is_bounded(void **state)
{
    (void)state;
    struct bytes in = make_chain(MOTE_CODEC_DEPTH_MAX);
    uint8_t *stack = aligned_alloc(4096, STACK_SIZE);
    pthread_attr_t attributes;
    pthread_t thread;
    void *result = NULL;
    assert_non_null(stack);
    memset(stack, 0x5a, STACK_SIZE);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&thread, &attributes, decode_deep_chain, &in), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    pthread_attr_destroy(&attributes);
    assert_ptr_equal(result, &in);
    size_t untouched = 0;
    while (untouched < STACK_SIZE && stack[untouched] == 0x5a) {
        untouched++;
    }
    print_message("stack of the deepest message: %zu bytes\n", STACK_SIZE - untouched);
    assert_true(STACK_SIZE - untouched <= STACK_MAX);
    free(stack);
}

/* --- random bytes ---------------------------------------------------------------------------------------------- */

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

/* A field of Bounded that is mostly well-formed and mostly within its bounds. */
static void put_random_field(struct bytes *out)
{
    static const char *const texts[] = {"", "a", "abcd", "\xc3\xa9", "abcde", "\xff"};
    uint32_t number = 1 + random_below(14);
    if (number >= 4 && number <= 6) {
        put_elements(out, number, random_below(3), random_below(2) == 0);
    } else if (number == codec_test_v1_Bounded_colors_tag) {
        put_number(out, number, random_below(5));
    } else if (number >= 8 && number <= 11 && number != 10) {
        struct bytes inner = {.length = 0};
        put_text(&inner, 1, texts[random_below(20) == 0 ? 4 : random_below(4)]);
        put_number(&inner, 2, random_below(1000));
        put_message(out, number, &inner);
    } else {
        put_text(out, number, number == 3 ? "four" : texts[random_below(20) == 0 ? random_below(6) : random_below(4)]);
    }
}

/* What decodes is text without NUL, within the counts, and encodes again within nanopb's bound to what decodes to the
 * same. */
static void what_decodes_encodes(void **state)
{
    (void)state;
    size_t decoded = 0;
    size_t refused[3] = {0};
    for (size_t round = 0; round < 20000; round++) {
        struct bytes in = {.length = 0};
        for (uint32_t i = random_below(8); i > 0; i--) {
            put_random_field(&in);
        }
        if (in.length > 0 && random_below(4) == 0) {
            in.data[random_below((uint32_t)in.length)] ^= (uint8_t)(1u << random_below(8));
        }
        int error = decode_bounded(&in);
        if (error != 0) {
            assert_true(error == MOTE_EDECODE || error == MOTE_EFIELD);
            assert_true((error == MOTE_EFIELD) == (failure.count > 0) || error == MOTE_EDECODE);
            refused[error == MOTE_EFIELD]++;
            continue;
        }
        uint8_t out[codec_test_v1_Bounded_size];
        size_t length = 0;
        static codec_test_v1_Bounded again;
        assert_true(mote_utf8_is_valid(mote_slice_text(bounded.text)));
        assert_int_equal(mote_codec_encode_into(&codec_test_v1_Bounded_type, &bounded, out, sizeof(out), &length), 0);
        assert_int_equal(mote_codec_decode(&codec_test_v1_Bounded_type, mote_slice(out, length), &again, &failure), 0);
        uint8_t out_again[codec_test_v1_Bounded_size];
        size_t length_again = 0;
        assert_int_equal(
            mote_codec_encode_into(&codec_test_v1_Bounded_type, &again, out_again, sizeof(out_again), &length_again),
            0);
        assert_int_equal(length, length_again);
        assert_memory_equal(out, out_again, length);
        decoded++;
    }
    /* The mixture reaches all three ends. */
    assert_true(decoded > 5000 && refused[0] > 500 && refused[1] > 500);
}

/* --- encoding -------------------------------------------------------------------------------------------------- */

static codec_test_v1_Bounded full_message(void)
{
    codec_test_v1_Bounded message = codec_test_v1_Bounded_init_zero;
    strcpy(message.text, "12345678");
    memcpy(message.four, "four", 4);
    message.numbers_count = 3;
    message.numbers[0] = -1;
    message.inners_count = 2;
    message.has_inner = true;
    strcpy(message.inner.id, "1234");
    return message;
}

static void a_reply_fits_exactly_or_not(void **state)
{
    (void)state;
    codec_test_v1_Bounded message = full_message();
    uint8_t out[codec_test_v1_Bounded_size + 1];
    size_t needed = 0;
    assert_int_equal(
        mote_codec_encode_into(&codec_test_v1_Bounded_type, &message, out, codec_test_v1_Bounded_size, &needed), 0);
    for (size_t capacity = 0; capacity <= needed + 1; capacity++) {
        size_t length = 12345;
        memset(out, 0x5a, sizeof(out));
        int error = mote_codec_encode_into(&codec_test_v1_Bounded_type, &message, out, capacity, &length);
        assert_int_equal(error, capacity < needed ? MOTE_ELIMIT : 0);
        assert_int_equal(length, capacity < needed ? 12345 : needed);
        assert_int_equal(out[capacity], 0x5a);
    }
}

static void a_buffer_takes_the_same_bytes(void **state)
{
    (void)state;
    codec_test_v1_Bounded message = full_message();
    struct mote_buffer buffer;
    uint8_t out[codec_test_v1_Bounded_size];
    size_t length = 0;
    mote_buffer_init(&buffer, mote_mem_system(), 0);
    assert_int_equal(mote_codec_encode_into(&codec_test_v1_Bounded_type, &message, out, sizeof(out), &length), 0);
    assert_int_equal(mote_buffer_append_text(&buffer, "before"), 0);
    assert_int_equal(mote_codec_encode(&codec_test_v1_Bounded_type, &message, &buffer), 0);
    assert_int_equal(mote_buffer_length(&buffer), 6 + length);
    assert_memory_equal(mote_buffer_slice(&buffer).data, "before", 6);
    assert_memory_equal(mote_buffer_slice(&buffer).data + 6, out, length);
    mote_buffer_dispose(&buffer);
}

static void a_buffers_limit_is_kept(void **state)
{
    (void)state;
    codec_test_v1_Bounded message = full_message();
    uint8_t out[codec_test_v1_Bounded_size];
    size_t length = 0;
    assert_int_equal(mote_codec_encode_into(&codec_test_v1_Bounded_type, &message, out, sizeof(out), &length), 0);
    for (size_t room = length - 1; room <= length; room++) {
        struct mote_buffer buffer;
        mote_buffer_init(&buffer, mote_mem_system(), 4 + room);
        assert_int_equal(mote_buffer_append_text(&buffer, "1234"), 0);
        int error = mote_codec_encode(&codec_test_v1_Bounded_type, &message, &buffer);
        assert_int_equal(error, room < length ? MOTE_ELIMIT : 0);
        assert_int_equal(mote_buffer_length(&buffer), room < length ? 4 : 4 + length);
        mote_buffer_dispose(&buffer);
    }
}

/* A buffer that was consumed in part has more room than its limit allows. */
static void room_over_the_limit_is_not_used(void **state)
{
    (void)state;
    codec_test_v1_Bounded message = full_message();
    uint8_t out[codec_test_v1_Bounded_size];
    size_t length = 0;
    struct mote_buffer buffer;
    assert_int_equal(mote_codec_encode_into(&codec_test_v1_Bounded_type, &message, out, sizeof(out), &length), 0);
    mote_buffer_init(&buffer, mote_mem_system(), 2 * length);
    for (size_t i = 0; i < 2 * length; i++) {
        assert_int_equal(mote_buffer_append(&buffer, "x", 1), 0);
    }
    mote_buffer_consume(&buffer, 1);
    assert_int_equal(mote_buffer_append(&buffer, "y", 1), 0);
    assert_true(buffer.capacity - buffer.end > length);
    assert_int_equal(mote_codec_encode(&codec_test_v1_Bounded_type, &message, &buffer), MOTE_ELIMIT);
    mote_buffer_consume(&buffer, length);
    assert_int_equal(mote_codec_encode(&codec_test_v1_Bounded_type, &message, &buffer), 0);
    assert_int_equal(mote_buffer_length(&buffer), 2 * length);
    mote_buffer_dispose(&buffer);
}

static int encode_scenario(struct mote_mem *mem, void *context)
{
    struct mote_buffer buffer;
    mote_buffer_init(&buffer, mem, 0);
    int error = mote_codec_encode(&codec_test_v1_Bounded_type, context, &buffer);
    assert_int_equal(mote_buffer_length(&buffer) > 0, error == 0);
    mote_buffer_dispose(&buffer);
    return error;
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    codec_test_v1_Bounded message = full_message();
    assert_true(mote_failing_mem_check(encode_scenario, &message) > 0);
}

static void an_empty_message_is_no_bytes(void **state)
{
    (void)state;
    codec_test_v1_Sparse message = codec_test_v1_Sparse_init_zero;
    struct mote_failing_mem failing;
    struct mote_buffer buffer;
    size_t length = 1;
    mote_failing_mem_init(&failing);
    mote_buffer_init(&buffer, &failing.mem, 0);
    assert_int_equal(mote_codec_encode(&codec_test_v1_Sparse_type, &message, &buffer), 0);
    assert_int_equal(mote_buffer_length(&buffer), 0);
    assert_int_equal(failing.calls, 0);
    assert_int_equal(mote_codec_encode_into(&codec_test_v1_Sparse_type, &message, NULL, 0, &length), 0);
    assert_int_equal(length, 0);
    mote_buffer_dispose(&buffer);
}

static bool encode_then_fail(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    (void)arg;
    return pb_encode_tag_for_field(stream, field) && pb_encode_string(stream, (const pb_byte_t *)"text", 4) && false;
}

/* Longer each time it is asked, as no callback may be. */
static bool encode_longer(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    size_t *length = *arg;
    *length += 1;
    return pb_encode_tag_for_field(stream, field) && pb_encode_string(stream, (const pb_byte_t *)"abcdefgh", *length);
}

static void assert_cannot_be_encoded(const struct mote_message_type *type, const void *message)
{
    uint8_t out[256];
    size_t length = 0;
    struct mote_buffer buffer;
    mote_buffer_init(&buffer, mote_mem_system(), 0);
    assert_int_equal(mote_buffer_append_text(&buffer, "before"), 0);
    assert_int_equal(mote_codec_encode_into(type, message, out, sizeof(out), &length), MOTE_EINVAL);
    assert_int_equal(mote_codec_encode_into(type, message, out, 1, &length), MOTE_EINVAL);
    assert_int_equal(mote_codec_encode(type, message, &buffer), MOTE_EINVAL);
    assert_int_equal(mote_buffer_length(&buffer), 6);
    mote_buffer_dispose(&buffer);
}

static void what_cannot_be_encoded_is_an_error(void **state)
{
    (void)state;
    codec_test_v1_Bounded message = full_message();
    memset(message.text, 'a', sizeof(message.text));
    assert_cannot_be_encoded(&codec_test_v1_Bounded_type, &message);
    message = full_message();
    message.numbers_count = 4;
    assert_cannot_be_encoded(&codec_test_v1_Bounded_type, &message);
    message = full_message();
    message.data.size = sizeof(message.data) + 1;
    assert_cannot_be_encoded(&codec_test_v1_Bounded_type, &message);
    codec_test_v1_Unbounded unbounded = {.text = {.funcs.encode = encode_then_fail}};
    assert_cannot_be_encoded(&codec_test_v1_Unbounded_type, &unbounded);
}

static void a_callback_that_changes_its_mind_is_an_error(void **state)
{
    (void)state;
    size_t length = 0;
    struct mote_buffer buffer;
    codec_test_v1_Unbounded unbounded = {.text = {.funcs.encode = encode_longer, .arg = &length}};
    mote_buffer_init(&buffer, mote_mem_system(), 0);
    assert_int_equal(mote_codec_encode(&codec_test_v1_Unbounded_type, &unbounded, &buffer), MOTE_EINVAL);
    assert_int_equal(mote_buffer_length(&buffer), 0);
    mote_buffer_dispose(&buffer);
}

/* Nanoseconds of CPU, the least of some runs. */
static uint64_t time_of_unknown(const struct mote_message_type *type, const uint8_t *bytes, size_t length)
{
    static codec_test_v1_Bounded out; /* the larger of the types */
    uint64_t least = UINT64_MAX;
    for (int run = 0; run < 8; run++) {
        struct timespec before;
        struct timespec after;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        assert_int_equal(mote_codec_decode(type, mote_slice(bytes, length), &out, NULL), 0);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        uint64_t taken = (uint64_t)((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec);
        least = taken < least ? taken : least;
    }
    return least;
}

/* Fields that nobody knows cost some nanoseconds each, however many there are: of the shortest, 1 MiB has 524,288
 * (docs/performance.md tells what the release build takes). The bound is for sanitizers on a slow machine. */
static void a_mebibyte_of_unknown_fields_is_cheap(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    static uint8_t bytes[SIZE];
    static const struct mote_message_type *const types[] = {&codec_test_v1_Inner_type, &codec_test_v1_Bounded_type};
    for (size_t i = 0; i < SIZE; i += 2) {
        bytes[i] = 15 << 3; /* a varint of one byte */
        bytes[i + 1] = 1;
    }
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        uint64_t part = time_of_unknown(types[i], bytes, SIZE / 16);
        uint64_t whole = time_of_unknown(types[i], bytes, SIZE);
        assert_true(whole < part * 16 * 3);
        assert_true(whole < UINT64_C(100) * 1000000);
        print_message("%s: %.2f ms\n", types[i]->name, (double)whole / 1e6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_bytes_are_refused),
        cmocka_unit_test(a_packed_scalar_is_refused),
        cmocka_unit_test(numbers_keep_their_values),
        cmocka_unit_test(an_int32_is_cut_to_32_bits),
        cmocka_unit_test(the_last_of_two_counts),
        cmocka_unit_test(every_field_twice),
        cmocka_unit_test(fields_are_found_in_any_order),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(fields_without_bounds_are_checked),
        cmocka_unit_test(decode_callbacks_run),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(stack_is_bounded),
        cmocka_unit_test(what_decodes_encodes),
        cmocka_unit_test(a_reply_fits_exactly_or_not),
        cmocka_unit_test(a_buffer_takes_the_same_bytes),
        cmocka_unit_test(a_buffers_limit_is_kept),
        cmocka_unit_test(room_over_the_limit_is_not_used),
        cmocka_unit_test(running_out_of_memory_is_an_error),
        cmocka_unit_test(an_empty_message_is_no_bytes),
        cmocka_unit_test(what_cannot_be_encoded_is_an_error),
        cmocka_unit_test(a_callback_that_changes_its_mind_is_an_error),
        cmocka_unit_test(a_mebibyte_of_unknown_fields_is_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
