/* SPDX-License-Identifier: Apache-2.0 */
/* Comparisons: by length first, absent against empty, ASCII case only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"

static void presence_is_the_pointer(void **state)
{
    (void)state;
    assert_false(mote_slice_is_present(mote_slice_text(NULL)));
    assert_false(mote_slice_is_present((struct mote_slice){0}));
    assert_true(mote_slice_is_present(mote_slice_text("")));
    assert_int_equal(mote_slice_text(NULL).length, 0);
    static const struct mote_slice literal = MOTE_SLICE_LITERAL("a\0b");
    assert_int_equal(literal.length, 3);
    assert_memory_equal(literal.data, "a\0b", 3);
}

static const struct {
    const char *a;
    const char *b;
    bool equal;
    bool equal_ignoring_case;
    bool a_starts_with_b;
} cases[] = {
    {"", "", true, true, true},
    {"a", "a", true, true, true},
    {"a", "A", false, true, false},
    {"a", "", false, false, true},
    {"", "a", false, false, false},
    {"grpc-timeout", "GRPC-TimeOut", false, true, false},
    {"azAZ", "AZaz", false, true, false},
    {"@[`{", "`{@[", false, false, false},
    {"@", "`", false, false, false},
    {"[", "{", false, false, false},
    {"k", "\xe2\x84\xaa", false, false, false},
    {"\xc4", "\xe4", false, false, false},
    {"content-type", "content", false, false, true},
    {"content", "content-type", false, false, false},
};

static void comparisons(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct mote_slice a = mote_slice_text(cases[i].a);
        const struct mote_slice b = mote_slice_text(cases[i].b);
        assert_int_equal(mote_slice_equals(a, b), cases[i].equal);
        assert_int_equal(mote_slice_equals(b, a), cases[i].equal);
        assert_int_equal(mote_slice_equals_text(a, cases[i].b), cases[i].equal);
        assert_int_equal(mote_slice_equals_ignore_case(a, b), cases[i].equal_ignoring_case);
        assert_int_equal(mote_slice_equals_ignore_case(b, a), cases[i].equal_ignoring_case);
        assert_int_equal(mote_slice_starts_with(a, b), cases[i].a_starts_with_b);
    }
}

static void absent_equals_empty_in_bytes(void **state)
{
    (void)state;
    const struct mote_slice absent = {0};
    assert_true(mote_slice_equals(absent, mote_slice_text("")));
    assert_true(mote_slice_equals_ignore_case(absent, absent));
    assert_true(mote_slice_starts_with(absent, absent));
    assert_false(mote_slice_equals(absent, mote_slice_text("a")));
}

static void each_byte_equals_itself_and_its_other_case_only(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        for (unsigned j = 0; j < 256; j++) {
            const uint8_t a = (uint8_t)i;
            const uint8_t b = (uint8_t)j;
            const bool letter = (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z');
            const bool equal = i == j || (letter && (i ^ j) == 0x20);
            assert_int_equal(mote_slice_equals_ignore_case(mote_slice(&a, 1), mote_slice(&b, 1)), equal);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presence_is_the_pointer),
        cmocka_unit_test(comparisons),
        cmocka_unit_test(absent_equals_empty_in_bytes),
        cmocka_unit_test(each_byte_equals_itself_and_its_other_case_only),
    };
    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
