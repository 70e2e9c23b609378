/* SPDX-License-Identifier: Apache-2.0 */
/* The buffer against a plain array: bytes, limit at max and max+1, failure, capacity and cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "support/failing_mem.h"

static void assert_holds(const struct mote_buffer *buffer, const char *text)
{
    const struct mote_slice held = mote_buffer_slice(buffer);
    assert_int_equal(held.length, mote_buffer_length(buffer));
    assert_true(mote_slice_equals_text(held, text));
}

static void an_unused_buffer_allocates_nothing(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    struct mote_buffer buffer;
    mote_failing_mem_init(&failing);
    mote_buffer_init(&buffer, &failing.mem, 0);
    assert_int_equal(mote_buffer_append(&buffer, NULL, 0), 0);
    assert_int_equal(mote_buffer_append_text(&buffer, ""), 0);
    mote_buffer_consume(&buffer, 0);
    mote_buffer_clear(&buffer);
    assert_false(mote_slice_is_present(mote_buffer_slice(&buffer)));
    mote_buffer_dispose(&buffer);
    assert_int_equal(failing.calls, 0);
    struct mote_buffer zeroed = {0};
    mote_buffer_dispose(&zeroed);
}

static void appends_consumes_and_clears(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    struct mote_buffer buffer;
    mote_failing_mem_init(&failing);
    mote_buffer_init(&buffer, &failing.mem, 0);
    assert_int_equal(mote_buffer_append(&buffer, "hello ", 6), 0);
    assert_int_equal(mote_buffer_append_text(&buffer, "world"), 0);
    assert_int_equal(mote_buffer_append_format(&buffer, "%c%03d", '!', 7), 0);
    assert_holds(&buffer, "hello world!007");
    mote_buffer_consume(&buffer, 6);
    assert_holds(&buffer, "world!007");
    mote_buffer_consume(&buffer, 9);
    assert_holds(&buffer, "");
    assert_int_equal(buffer.start, 0);
    uint8_t *room;
    assert_int_equal(mote_buffer_reserve(&buffer, 100, &room), 0);
    memcpy(room, "abc", 3);
    mote_buffer_commit(&buffer, 2);
    assert_holds(&buffer, "ab");
    mote_buffer_clear(&buffer);
    assert_holds(&buffer, "");
    assert_int_equal(failing.calls, 1);
    mote_buffer_dispose(&buffer);
    assert_int_equal(failing.live_count, 0);
    assert_int_equal(mote_buffer_append_text(&buffer, "again"), 0);
    assert_holds(&buffer, "again");
    mote_buffer_dispose(&buffer);
    assert_int_equal(failing.live_count, 0);
}

static void capacity_doubles_from_256(void **state)
{
    static const struct {
        size_t length;
        size_t capacity;
    } cases[] = {{1, 256}, {256, 256}, {257, 512}, {512, 512}, {513, 1024}, {5000, 8192}};
    (void)state;
    static const uint8_t bytes[5000];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_buffer buffer;
        mote_buffer_init(&buffer, mote_mem_system(), 0);
        assert_int_equal(mote_buffer_append(&buffer, bytes, cases[i].length), 0);
        assert_int_equal(buffer.capacity, cases[i].capacity);
        mote_buffer_dispose(&buffer);
    }
}

/* Each way of appending, up to the limit and one over it, at once and after a byte. */
/* Lent room is filled to its last byte before anything is allocated, keeps nothing alive, and is never released. */
static void lent_room_is_used_first(void **state)
{
    /* Bytes appended, consumed, appended again; allocations by then. */
    static const struct {
        size_t first, consumed, second, calls;
    } cases[] = {
        {0, 0, 0, 0}, {8, 0, 0, 0}, {9, 0, 0, 1},   {8, 0, 1, 1},   {8, 4, 4, 0},   {8, 8, 8, 0},
        {6, 1, 3, 1}, {8, 4, 5, 1}, {9, 9, 300, 2}, {9, 9, 256, 1}, {8, 8, 256, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const char text[300] = "abcdefghijklmnopqrstuvwxyz";
        struct mote_failing_mem failing;
        struct mote_buffer buffer;
        uint8_t *room = malloc(8); /* so that AddressSanitizer sees its end */
        mote_failing_mem_init(&failing);
        mote_buffer_init(&buffer, &failing.mem, 0);
        mote_buffer_lend(&buffer, room, 8);
        assert_int_equal(mote_buffer_append(&buffer, text, cases[i].first), 0);
        mote_buffer_consume(&buffer, cases[i].consumed);
        assert_int_equal(mote_buffer_append(&buffer, text, cases[i].second), 0);
        const size_t kept = cases[i].first - cases[i].consumed;
        const struct mote_slice held = mote_buffer_slice(&buffer);
        assert_int_equal(held.length, kept + cases[i].second);
        assert_memory_equal(held.data, text + cases[i].consumed, kept);
        assert_memory_equal(held.data + kept, text, cases[i].second);
        assert_int_equal(failing.calls, cases[i].calls);
        free(cases[i].calls != 0 ? room : NULL); /* no longer of use */
        mote_buffer_dispose(&buffer);
        free(cases[i].calls != 0 ? NULL : room);
        assert_int_equal(failing.live_count, 0);
        assert_int_equal(mote_buffer_append(&buffer, text, 1), 0); /* the room is the lender's again */
        assert_int_equal(failing.live_count, 1);
        mote_buffer_dispose(&buffer);
    }
}

static void without_memory_lent_room_stays(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    struct mote_buffer buffer;
    uint8_t room[8];
    mote_failing_mem_init(&failing);
    mote_buffer_init(&buffer, &failing.mem, 0);
    mote_buffer_lend(&buffer, room, sizeof room);
    assert_int_equal(mote_buffer_append(&buffer, "12345678", 8), 0);
    mote_failing_mem_arm(&failing, 1, true);
    assert_int_equal(mote_buffer_append(&buffer, "9", 1), MOTE_ENOMEM);
    assert_holds(&buffer, "12345678");
    mote_buffer_dispose(&buffer);
}

static void the_limit_bounds_the_length(void **state)
{
    static const size_t limits[] = {2, 100, 255, 256, 257, 1000};
    static const uint8_t bytes[2000];
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        for (size_t before = 0; before < 2; before++) {
            struct mote_buffer buffer;
            const size_t rest = limits[i] - before;
            uint8_t *room;
            mote_buffer_init(&buffer, mote_mem_system(), limits[i]);
            assert_int_equal(mote_buffer_append(&buffer, bytes, before), 0);
            assert_int_equal(mote_buffer_append(&buffer, bytes, rest + 1), MOTE_ELIMIT);
            assert_int_equal(mote_buffer_append(&buffer, bytes, SIZE_MAX), MOTE_ELIMIT);
            assert_int_equal(mote_buffer_append_format(&buffer, "%*s", (int)rest + 1, ""), MOTE_ELIMIT);
            assert_int_equal(mote_buffer_reserve(&buffer, rest + 1, &room), MOTE_ELIMIT);
            assert_int_equal(mote_buffer_reserve(&buffer, SIZE_MAX, &room), MOTE_ELIMIT);
            assert_int_equal(mote_buffer_length(&buffer), before);
            assert_int_equal(mote_buffer_reserve(&buffer, rest, &room), 0);
            assert_true(buffer.capacity <= limits[i]);
            assert_int_equal(mote_buffer_append_format(&buffer, "%*s", (int)rest, ""), 0);
            assert_int_equal(mote_buffer_length(&buffer), limits[i]);
            assert_int_equal(mote_buffer_append(&buffer, bytes, 1), MOTE_ELIMIT);
            mote_buffer_consume(&buffer, 1);
            assert_int_equal(mote_buffer_append(&buffer, bytes, 1), 0);
            assert_int_equal(mote_buffer_append(&buffer, bytes, 1), MOTE_ELIMIT);
            mote_buffer_dispose(&buffer);
        }
    }
}

static void lengths_that_overflow_are_refused(void **state)
{
    (void)state;
    struct mote_failing_mem failing; /* has no block so large */
    struct mote_buffer buffer;
    uint8_t *room;
    mote_failing_mem_init(&failing);
    mote_buffer_init(&buffer, &failing.mem, 0);
    assert_int_equal(mote_buffer_append_text(&buffer, "x"), 0);
    assert_int_equal(mote_buffer_reserve(&buffer, SIZE_MAX, &room), MOTE_ENOMEM);
    assert_int_equal(mote_buffer_reserve(&buffer, SIZE_MAX - 1, &room), MOTE_ENOMEM);
    assert_holds(&buffer, "x");
    mote_buffer_dispose(&buffer);
}

static void formatting_takes_every_length(void **state)
{
    (void)state;
    for (int length = 0; length < 600; length++) {
        struct mote_buffer buffer;
        mote_buffer_init(&buffer, mote_mem_system(), 0);
        assert_int_equal(mote_buffer_append_format(&buffer, "%0*d", length, 0), 0);
        assert_int_equal(mote_buffer_append_format(&buffer, "%s", "end"), 0);
        const struct mote_slice held = mote_buffer_slice(&buffer);
        const size_t digits = length == 0 ? 1 : (size_t)length;
        assert_int_equal(held.length, digits + 3);
        for (size_t i = 0; i < digits; i++) {
            assert_int_equal(held.data[i], '0');
        }
        assert_memory_equal(held.data + digits, "end", 3);
        mote_buffer_dispose(&buffer);
    }
}

static void without_memory_the_bytes_stay(void **state)
{
    (void)state;
    struct mote_failing_mem failing;
    struct mote_buffer buffer;
    static const uint8_t bytes[5000];
    uint8_t *room;
    mote_failing_mem_init(&failing);
    mote_buffer_init(&buffer, &failing.mem, 0);
    for (size_t consumed = 0; consumed < 2; consumed++) { /* both ways of growing */
        assert_int_equal(mote_buffer_append_text(&buffer, "abcdef"), 0);
        mote_buffer_consume(&buffer, consumed);
        mote_failing_mem_arm(&failing, 1, true);
        assert_int_equal(mote_buffer_append(&buffer, bytes, sizeof bytes), MOTE_ENOMEM);
        assert_int_equal(mote_buffer_append_format(&buffer, "%5000d", 1), MOTE_ENOMEM);
        assert_int_equal(mote_buffer_reserve(&buffer, 5000, &room), MOTE_ENOMEM);
        assert_holds(&buffer, &"abcdef"[consumed]);
        mote_failing_mem_arm(&failing, 0, false);
        mote_buffer_clear(&buffer);
    }
    mote_buffer_dispose(&buffer);
    assert_int_equal(failing.live_count, 0);
}

static int scenario(struct mote_mem *mem, void *context)
{
    (void)context;
    struct mote_buffer buffer;
    mote_buffer_init(&buffer, mem, 10000);
    int result = 0;
    for (int i = 0; i < 20 && result == 0; i++) {
        result = mote_buffer_append_format(&buffer, "%0*d", 30 * i, i);
        if (result == 0) {
            mote_buffer_consume(&buffer, (size_t)i);
        }
    }
    mote_buffer_dispose(&buffer);
    return result;
}

static void no_failure_leaks(void **state)
{
    (void)state;
    assert_true(mote_failing_mem_check(scenario, NULL) >= 4);
}

/* A queue that never becomes empty: a model of the bytes, the bound of the capacity and of the allocations. */
static void a_queue_keeps_its_bytes_in_bounded_memory(void **state)
{
    enum { LIMIT = 1000, ROUNDS = 30000 };
    static uint8_t model[LIMIT];
    size_t held = 0;
    uint8_t next = 0;
    (void)state;
    struct mote_failing_mem failing;
    struct mote_buffer buffer;
    mote_failing_mem_init(&failing);
    mote_buffer_init(&buffer, &failing.mem, LIMIT);
    srand(11);
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t chunk[200];
        const size_t length = (size_t)rand() % sizeof chunk;
        for (size_t i = 0; i < length; i++) {
            chunk[i] = next++;
        }
        const int result = mote_buffer_append(&buffer, chunk, length);
        assert_int_equal(result, held + length > LIMIT ? MOTE_ELIMIT : 0);
        if (result == 0) {
            memcpy(model + held, chunk, length);
            held += length;
        }
        const size_t consumed = held > 1 ? (size_t)rand() % (held < 220 ? held : 220) : 0;
        mote_buffer_consume(&buffer, consumed);
        held -= consumed;
        memmove(model, model + consumed, held);
        const struct mote_slice slice = mote_buffer_slice(&buffer);
        assert_int_equal(slice.length, held);
        assert_true(held == 0 || memcmp(slice.data, model, held) == 0);
        assert_true(buffer.capacity <= 2 * LIMIT);
    }
    assert_true(failing.calls < 10);
    mote_buffer_dispose(&buffer);
}

static bool is_wiped(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* What the buffer no longer holds is nowhere: looked at in room that was lent to it. */
static void test_nothing_is_left(void **state)
{
    (void)state;
    struct mote_buffer buffer;
    uint8_t room[16] = {0};
    mote_buffer_init(&buffer, mote_mem_system(), 0);
    mote_buffer_lend(&buffer, room, sizeof room);
    assert_int_equal(mote_buffer_append(&buffer, "twelve bytes", 12), 0);
    mote_buffer_consume(&buffer, 8);
    assert_true(is_wiped(room, 8));
    assert_memory_equal(room + 8, "ytes", 4);
    assert_int_equal(mote_buffer_append(&buffer, "moved", 5), 0);
    assert_memory_equal(room, "ytesmoved", 9);
    assert_true(is_wiped(room + 9, 7));
    mote_buffer_clear(&buffer);
    assert_true(is_wiped(room, sizeof room));
    assert_int_equal(mote_buffer_append(&buffer, "outgrown", 8), 0);
    assert_int_equal(mote_buffer_append(&buffer, "what was lent", 13), 0);
    assert_memory_equal(mote_buffer_slice(&buffer).data, "outgrownwhat was lent", 21);
    assert_true(is_wiped(room, sizeof room));
    mote_buffer_dispose(&buffer);
    mote_buffer_lend(&buffer, room, sizeof room);
    assert_int_equal(mote_buffer_append(&buffer, "disposed", 8), 0);
    mote_buffer_dispose(&buffer);
    assert_true(is_wiped(room, sizeof room));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unused_buffer_allocates_nothing),
        cmocka_unit_test(appends_consumes_and_clears),
        cmocka_unit_test(capacity_doubles_from_256),
        cmocka_unit_test(lent_room_is_used_first),
        cmocka_unit_test(without_memory_lent_room_stays),
        cmocka_unit_test(the_limit_bounds_the_length),
        cmocka_unit_test(lengths_that_overflow_are_refused),
        cmocka_unit_test(formatting_takes_every_length),
        cmocka_unit_test(without_memory_the_bytes_stay),
        cmocka_unit_test(no_failure_leaks),
        cmocka_unit_test(a_queue_keeps_its_bytes_in_bounded_memory),
        cmocka_unit_test(test_nothing_is_left),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
