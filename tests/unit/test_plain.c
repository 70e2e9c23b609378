/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done by field rules against nanopb, for messages of every kind of field with random content. Encoding, valid
 * or not: both write the same bytes, or the former leaves it to the latter. Decoding, broken or not: both refuse, or
 * both make the same struct. nanopb reads its own descriptors, so a rule with a
 * wrong place or form shows too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdlib.h>
#include <string.h>

#include "codec/plain.h"
#include "codec/walk.h"
#include "codec_test.mote.h"
#include "plain_test.mote.h"

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CONTENT_MAX        32768u

/* --- random messages ------------------------------------------------------------------------------------------- */

static uint64_t random_state = 1;

static uint64_t random_bits(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state ^ random_state >> 29;
}

static size_t random_below(size_t bound)
{
    return (size_t)(random_bits() >> 20) % bound;
}

/* Of 0 to 64 bits, so that varints of every length occur, and zero often. */
static uint64_t random_number(void)
{
    size_t width = random_below(12) * 6;
    return width == 0 ? 0 : random_bits() >> (64 - (width > 64 ? 64 : width));
}

static void fill_message(const struct mote_message_type *type, uint8_t *message, bool invalid);

/* Sometimes without an end, if `invalid`. */
static void fill_text(uint8_t *value, size_t size, bool invalid)
{
    memset(value, 'a', size);
    if (!invalid || random_below(20) != 0) {
        value[random_below(size)] = '\0';
    }
}

static void fill_bytes(uint8_t *value, const struct mote_field_rule *rule, bool invalid)
{
    pb_bytes_array_t *bytes = (pb_bytes_array_t *)(void *)value;
    size_t most = rule->max_length;
    if (most > 20 && random_below(2) == 0) {
        most = 20;
    }
    bytes->size = (pb_size_t)random_below(most + 1);
    if (invalid && random_below(20) == 0) {
        bytes->size = (pb_size_t)(rule->max_length + 1 + random_below(3));
    }
    memset(value + offsetof(pb_bytes_array_t, bytes), 'b', rule->max_length);
}

static void fill_value(const struct mote_field_rule *rule, uint8_t *value, bool invalid)
{
    uint64_t number = random_number();
    switch ((enum mote_field_form)rule->form) {
    case MOTE_FORM_BOOL:
        *value = number & 1;
        return;
    case MOTE_FORM_UNSIGNED:
    case MOTE_FORM_SIGNED:
    case MOTE_FORM_ZIGZAG:
    case MOTE_FORM_FIXED:
        number = random_below(3) == 0 ? ~number : number;
        memcpy(value, &number, rule->size);
        return;
    case MOTE_FORM_STRING:
        fill_text(value, rule->size, invalid);
        return;
    case MOTE_FORM_BYTES:
        fill_bytes(value, rule, invalid);
        return;
    case MOTE_FORM_ALL_BYTES:
        memcpy(value, "wxyz", rule->size);
        return;
    case MOTE_FORM_MESSAGE:
        fill_message(rule->message, value, invalid);
        return;
    case MOTE_FORM_OTHER:
        return;
    }
}

static void fill_presence(const struct mote_field_rule *rule, uint8_t *presence, bool invalid)
{
    pb_size_t count = (pb_size_t)random_below(rule->max_count + 1u);
    pb_size_t number = (pb_size_t)rule->number;
    switch ((enum mote_field_presence)rule->presence) {
    case MOTE_PRESENCE_HAS:
        *presence = random_below(4) != 0;
        return;
    case MOTE_PRESENCE_WHICH:
        if (random_below(3) == 0) {
            memcpy(presence, &number, sizeof(number));
        }
        return;
    case MOTE_PRESENCE_COUNT:
        if (invalid && random_below(20) == 0) {
            count = (pb_size_t)(rule->max_count + 1);
        }
        memcpy(presence, &count, sizeof(count));
        return;
    case MOTE_PRESENCE_NOT_ZERO:
    case MOTE_PRESENCE_ALWAYS:
    case MOTE_PRESENCE_EVERY:
        return;
    }
}

/* Members of a oneof lie in one place: only the one that is set is filled. */
static bool is_other_member(const struct mote_field_rule *rule, const uint8_t *message)
{
    pb_size_t which;
    memcpy(&which, message + rule->presence_offset, sizeof(which));
    return rule->presence == MOTE_PRESENCE_WHICH && which != rule->number;
}

static void fill_message(const struct mote_message_type *type, uint8_t *message, bool invalid)
{
    memset(message, 0, type->size);
    for (size_t i = 0; i < type->rule_count; i++) {
        const struct mote_field_rule *rule = &type->rules[i];
        if ((rule->flags & MOTE_FIELD_CALLBACK) == 0) {
            fill_presence(rule, message + rule->presence_offset, invalid);
        }
    }
    for (size_t i = 0; i < type->rule_count; i++) {
        const struct mote_field_rule *rule = &type->rules[i];
        if ((rule->flags & MOTE_FIELD_CALLBACK) != 0 || is_other_member(rule, message)) {
            continue;
        }
        size_t count = (rule->flags & MOTE_FIELD_REPEATED) != 0 ? rule->max_count : 1;
        for (size_t element = 0; element < count; element++) {
            fill_value(rule, message + rule->offset + element * rule->size, invalid);
        }
    }
}

/* --- comparison ------------------------------------------------------------------------------------------------ */

static bool encode_by_nanopb(const struct mote_message_type *type, const void *message, uint8_t *out, size_t *length)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, CONTENT_MAX);
    bool encoded = pb_encode(&stream, type->descriptor, message);
    *length = stream.bytes_written;
    return encoded;
}

/* Whether it was encoded, into an allocation of just that size, so that AddressSanitizer sees a byte too many. */
static bool encode_plain(const struct mote_message_type *type, const void *message, size_t capacity,
                         const uint8_t *expected, size_t expected_length)
{
    uint8_t *out = malloc(capacity + 1);
    size_t length = 12345;
    assert_non_null(out);
    memset(out, 0xa5, capacity + 1);
    bool encoded = mote_plain_encode(type, message, out, capacity, &length);
    assert_int_equal(out[capacity], 0xa5);
    assert_int_equal(length, encoded ? expected_length : 12345);
    if (encoded) {
        assert_memory_equal(out, expected, length);
    }
    free(out);
    return encoded;
}

static const struct mote_message_type *const plain_types[] = {
    &codec_test_v1_Scalars_type, &codec_test_v1_Inner_type,    &codec_test_v1_Bounded_type, &codec_test_v1_Sparse_type,
    &codec_test_v1_Nothing_type, &codec_test_v1_LongPath_type, &plain_test_v1_Leaf_type,    &plain_test_v1_Kinds_type,
    &plain_test_v1_Lengths_type, &plain_test_v1_Flat_type,
};

static uint8_t expected[CONTENT_MAX];

static void valid_messages_are_encoded_as_nanopb_does(void **state)
{
    (void)state;
    size_t longest = 0;
    for (size_t i = 0; i < ARRAY_COUNT(plain_types); i++) {
        const struct mote_message_type *type = plain_types[i];
        uint8_t *message = malloc(type->size);
        assert_non_null(message);
        for (size_t round = 0; round < 2000; round++) {
            size_t length = 0;
            fill_message(type, message, false);
            assert_true(encode_by_nanopb(type, message, expected, &length));
            if (!encode_plain(type, message, length + 1, expected, length)) {
                fail_msg("%s was left to nanopb", type->name);
            }
            longest = longest < length ? length : longest;
        }
        free(message);
    }
    assert_true(longest > 16384); /* lengths of one, two and three bytes */
}

static void invalid_messages_are_left_to_nanopb(void **state)
{
    (void)state;
    size_t refused = 0;
    for (size_t i = 0; i < ARRAY_COUNT(plain_types); i++) {
        const struct mote_message_type *type = plain_types[i];
        uint8_t *message = malloc(type->size);
        assert_non_null(message);
        for (size_t round = 0; round < 2000; round++) {
            size_t length = 0;
            fill_message(type, message, true);
            bool valid = encode_by_nanopb(type, message, expected, &length);
            bool encoded = encode_plain(type, message, length + 1, expected, length);
            /* nanopb takes a byte string for longer where its struct is padded. */
            assert_true(valid || !encoded);
            refused += valid ? 0 : 1;
        }
        free(message);
    }
    assert_true(refused > 1000);
}

static void every_capacity_suffices_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(plain_types); i++) {
        const struct mote_message_type *type = plain_types[i];
        uint8_t *message = malloc(type->size);
        assert_non_null(message);
        for (size_t round = 0; round < 20; round++) {
            size_t length = 0;
            fill_message(type, message, false);
            assert_true(encode_by_nanopb(type, message, expected, &length));
            for (size_t capacity = length > 600 ? length - 600 : 1; capacity <= length + 1; capacity++) {
                assert_int_equal(encode_plain(type, message, capacity, expected, length), capacity >= length);
            }
        }
        free(message);
    }
}

/* --- at the bounds --------------------------------------------------------------------------------------------- */

/* One field at its bound is written, one step over it is not. */
static void values_over_their_bounds_are_refused(void **state)
{
    (void)state;
    uint8_t out[1024];
    size_t length = 0;
    static codec_test_v1_Bounded text;
    memset(text.text, 'a', sizeof(text.text) - 1);
    assert_true(mote_plain_encode(&codec_test_v1_Bounded_type, &text, out, sizeof(out), &length));
    text.text[sizeof(text.text) - 1] = 'a';
    assert_false(mote_plain_encode(&codec_test_v1_Bounded_type, &text, out, sizeof(out), &length));
    static codec_test_v1_Bounded data = {.data.size = sizeof(data.data.bytes)};
    assert_true(mote_plain_encode(&codec_test_v1_Bounded_type, &data, out, sizeof(out), &length));
    data.data.size++;
    assert_false(mote_plain_encode(&codec_test_v1_Bounded_type, &data, out, sizeof(out), &length));
    static codec_test_v1_Bounded packed = {.numbers_count = ARRAY_COUNT(packed.numbers)};
    assert_true(mote_plain_encode(&codec_test_v1_Bounded_type, &packed, out, sizeof(out), &length));
    packed.numbers_count++;
    assert_false(mote_plain_encode(&codec_test_v1_Bounded_type, &packed, out, sizeof(out), &length));
    static codec_test_v1_Bounded names = {.names_count = ARRAY_COUNT(names.names)};
    assert_true(mote_plain_encode(&codec_test_v1_Bounded_type, &names, out, sizeof(out), &length));
    names.names_count++;
    assert_false(mote_plain_encode(&codec_test_v1_Bounded_type, &names, out, sizeof(out), &length));
}

/* Lengths around the steps of a varint, of a nested message in a nested message. */
static void lengths_at_the_steps_of_a_varint(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,     1,     119,   120,   121,   122,   123,   124,   125,   126,   127,   128,
                                   16370, 16375, 16376, 16377, 16378, 16379, 16380, 16381, 16382, 16383, 16384, 17000};
    static plain_test_v1_Lengths message = {.has_middle = true, .middle.has_blob = true, .middle.blob.has_data = true};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        size_t length = 0;
        message.middle.blob.data.size = (pb_size_t)sizes[i];
        memset(message.middle.blob.data.bytes, (int)i, sizes[i]);
        assert_true(encode_by_nanopb(&plain_test_v1_Lengths_type, &message, expected, &length));
        assert_true(encode_plain(&plain_test_v1_Lengths_type, &message, length, expected, length));
        assert_false(encode_plain(&plain_test_v1_Lengths_type, &message, length - 1, expected, length));
    }
}

static void what_only_nanopb_can_is_left_to_it(void **state)
{
    (void)state;
    uint8_t out[256];
    size_t length = 0;
    static const codec_test_v1_Unbounded callbacks;
    static const codec_test_v1_Chain chain = {.name = "a"};
    static const codec_test_v1_Bare bare = {.inner.id = "a"};
    static const plain_test_v1_WithCallback with_callback = {.which_choice = plain_test_v1_WithCallback_leaf_tag};
    static const plain_test_v1_Around around = {.has_inner = true,
                                                .inner.which_choice = plain_test_v1_WithCallback_other_tag};
    static const plain_test_v1_Extended extended = {.has_number = true};
    const struct {
        const struct mote_message_type *type;
        const void *message;
    } cases[] = {
        {&codec_test_v1_Unbounded_type, &callbacks}, {&codec_test_v1_Chain_type, &chain},
        {&codec_test_v1_Bare_type, &bare},           {&plain_test_v1_WithCallback_type, &with_callback},
        {&plain_test_v1_Around_type, &around},       {&plain_test_v1_Extended_type, &extended},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t expected_length = 0;
        assert_false(mote_plain_encode(cases[i].type, cases[i].message, out, sizeof(out), &length));
        assert_true(encode_by_nanopb(cases[i].type, cases[i].message, expected, &expected_length));
        assert_int_equal(mote_codec_encode_into(cases[i].type, cases[i].message, out, sizeof(out), &length), 0);
        assert_int_equal(length, expected_length);
        assert_memory_equal(out, expected, length);
    }
}

/* --- decoding -------------------------------------------------------------------------------------------------- */

static const struct mote_message_type *const decoded_types[] = {
    &plain_test_v1_Flat_type,    &codec_test_v1_Scalars_type, &codec_test_v1_Inner_type, &codec_test_v1_Sparse_type,
    &codec_test_v1_Nothing_type, &codec_test_v1_Bounded_type, &plain_test_v1_Kinds_type,
};

/* The encodings of up to three messages one behind the other, so that fields come again, sometimes with other bytes. */
static size_t make_bytes(const struct mote_message_type *type, uint8_t *message, uint8_t *out)
{
    size_t length = 0;
    for (size_t left = random_below(4); left > 0; left--) {
        size_t more = 0;
        fill_message(type, message, false);
        assert_true(encode_by_nanopb(type, message, expected, &more));
        memcpy(out + length, expected, more);
        length += more;
    }
    if (length > 0 && random_below(2) == 0) {
        out[random_below(length)] = (uint8_t)random_bits();
        length -= random_below(4) == 0 ? random_below(length) : 0;
    }
    return length;
}

static void messages_are_decoded_as_nanopb_does(void **state)
{
    (void)state;
    static uint8_t bytes[3 * CONTENT_MAX];
    size_t refused = 0;
    for (size_t i = 0; i < ARRAY_COUNT(decoded_types); i++) {
        const struct mote_message_type *type = decoded_types[i];
        uint8_t *ours = malloc(type->size);
        uint8_t *theirs = calloc(1, type->size);
        assert_true(ours != NULL && theirs != NULL);
        for (size_t round = 0; round < 5000; round++) {
            size_t length = make_bytes(type, ours, bytes);
            uint8_t *in = malloc(length + 1); /* of just that size, for AddressSanitizer */
            assert_non_null(in);
            memcpy(in, bytes, length);
            pb_istream_t stream = pb_istream_from_buffer(in, length);
            memset(theirs, 0, type->size);
            bool decoded = mote_codec_walk(type, mote_slice(in, length), NULL, NULL) == 0 &&
                           pb_decode_ex(&stream, type->descriptor, theirs, PB_DECODE_NOINIT);
            assert_int_equal(mote_codec_decode(type, mote_slice(in, length), ours, NULL) == 0, decoded);
            if (decoded) {
                assert_memory_equal(ours, theirs, type->size);
            }
            refused += decoded ? 0 : 1;
            free(in);
        }
        free(ours);
        free(theirs);
    }
    assert_true(refused > 1000 && refused < 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_messages_are_encoded_as_nanopb_does),
        cmocka_unit_test(invalid_messages_are_left_to_nanopb),
        cmocka_unit_test(every_capacity_suffices_or_not),
        cmocka_unit_test(values_over_their_bounds_are_refused),
        cmocka_unit_test(lengths_at_the_steps_of_a_varint),
        cmocka_unit_test(what_only_nanopb_can_is_left_to_it),
        cmocka_unit_test(messages_are_decoded_as_nanopb_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
