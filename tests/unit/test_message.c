/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message framing: what comes out must not depend on how the bytes were cut, and memory follows what arrived. Every
 * piece of input is given in a block of its exact size that is freed afterwards, so that the sanitizer sees any byte
 * read outside it or kept beyond its time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "support/failing_mem.h"
#include "wire/message.h"

#define LIMIT 65537u

/* The messages that came out, one behind the other: flag, length, body. */
struct record {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
    size_t count;
    int error;
};

static void record_add(struct record *record, const struct mote_message *message)
{
    const size_t needed = record->length + 5 + message->body.length;
    if (needed > record->capacity) {
        record->capacity = 2 * needed;
        record->bytes = realloc(record->bytes, record->capacity);
        assert_non_null(record->bytes);
    }
    mote_message_prefix(record->bytes + record->length, message->compressed, (uint32_t)message->body.length);
    assert_true(mote_slice_is_present(message->body));
    memcpy(record->bytes + record->length + 5, message->body.data, message->body.length);
    record->length = needed;
    record->count++;
}

/* Gives one piece; false after an error. */
static bool feed(struct mote_deframer *deframer, const uint8_t *bytes, size_t length, struct record *record)
{
    uint8_t *copy = malloc(length != 0 ? length : 1);
    assert_non_null(copy);
    if (length != 0) {
        memcpy(copy, bytes, length);
    }
    struct mote_slice input = mote_slice(copy, length);
    struct mote_message message;
    bool ready = true;
    while (record->error == 0 && ready) {
        record->error = mote_deframer_next(deframer, &input, &message, &ready);
        if (record->error == 0 && ready) {
            record_add(record, &message);
        }
    }
    if (record->error == 0) {
        assert_int_equal(input.length, 0);
    }
    free(copy);
    return record->error == 0;
}

static void start(struct mote_deframer *deframer, struct record *record, size_t limit)
{
    mote_deframer_init(deframer, mote_mem_system(), limit);
    *record = (struct record){0};
}

static void finish(struct mote_deframer *deframer, struct record *record)
{
    mote_deframer_dispose(deframer);
    free(record->bytes);
}

/* A wire with one message of each of these lengths, bodies of no simple pattern. Returns owned memory. */
static uint8_t *make_wire(const uint32_t *lengths, size_t count, size_t *wire_length)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += 5 + (size_t)lengths[i];
    }
    uint8_t *wire = malloc(total);
    assert_non_null(wire);
    uint8_t *at = wire;
    uint32_t noise = 1;
    for (size_t i = 0; i < count; i++) {
        mote_message_prefix(at, i % 2 != 0, lengths[i]);
        at += 5;
        for (uint32_t n = 0; n < lengths[i]; n++) {
            noise = noise * 1664525u + 1013904223u;
            *at++ = (uint8_t)(noise >> 24);
        }
    }
    *wire_length = total;
    return wire;
}

/* The record of a wire of whole messages is the wire itself. */
static void check_record(struct mote_deframer *deframer, struct record *record, const uint8_t *wire, size_t length,
                         size_t count)
{
    assert_int_equal(record->error, 0);
    assert_int_equal(record->count, count);
    assert_int_equal(record->length, length);
    assert_memory_equal(record->bytes, wire, length);
    assert_false(mote_deframer_is_inside(deframer));
    assert_int_equal(mote_deframer_buffered(deframer), 0);
    finish(deframer, record);
}

static void check_pieces(const uint8_t *wire, size_t length, size_t count, size_t piece)
{
    struct mote_deframer deframer;
    struct record record;
    start(&deframer, &record, LIMIT);
    for (size_t at = 0; at < length; at += piece) {
        assert_true(feed(&deframer, wire + at, piece < length - at ? piece : length - at, &record));
    }
    check_record(&deframer, &record, wire, length, count);
}

static void check_split(const uint8_t *wire, size_t length, size_t count, size_t at)
{
    struct mote_deframer deframer;
    struct record record;
    start(&deframer, &record, LIMIT);
    assert_true(feed(&deframer, wire, at, &record));
    assert_true(feed(&deframer, wire + at, length - at, &record));
    check_record(&deframer, &record, wire, length, count);
}

static bool is_near_power(size_t n)
{
    for (size_t power = 1; power <= 2 * (size_t)LIMIT; power *= 2) {
        if (n + 6 >= power && n <= power + 6) {
            return true;
        }
    }
    return false;
}

/* Every length around each power of two: whole, byte by byte, and cut in two everywhere (above 2 KiB: at both ends and
 * around each power of two). */
static void test_lengths(void **state)
{
    (void)state;
    for (uint32_t power = 1; power <= 65536; power *= 2) {
        for (uint32_t length = power - 1; length <= power + 1; length++) {
            size_t total;
            uint8_t *wire = make_wire(&length, 1, &total);
            check_pieces(wire, total, 1, total);
            check_pieces(wire, total, 1, 1);
            for (size_t at = 0; at <= total; at++) {
                if (total <= 2100 || at < 8 || total - at < 8 || is_near_power(at)) {
                    check_split(wire, total, 1, at);
                }
            }
            free(wire);
        }
    }
}

static void test_many_messages(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 1, 0, 0, 3, 127, 128, 255, 256, 257, 5, 4, 0, 300, 2};
    const size_t count = sizeof(lengths) / sizeof(lengths[0]);
    size_t total;
    uint8_t *wire = make_wire(lengths, count, &total);
    for (size_t piece = 1; piece <= total; piece++) {
        check_pieces(wire, total, count, piece);
    }
    for (size_t at = 0; at <= total; at++) {
        check_split(wire, total, count, at);
    }
    free(wire);
}

/* All 2^11 ways to cut 12 bytes. */
static void test_all_cuts(void **state)
{
    (void)state;
    static const struct {
        uint32_t lengths[2];
        size_t count;
    } cases[] = {{{0, 2}, 2}, {{2, 0}, 2}, {{1, 1}, 2}, {{7, 0}, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t total;
        uint8_t *wire = make_wire(cases[i].lengths, cases[i].count, &total);
        assert_int_equal(total, 12);
        for (unsigned cuts = 0; cuts < 1u << 11; cuts++) {
            struct mote_deframer deframer;
            struct record record;
            start(&deframer, &record, LIMIT);
            size_t begin = 0;
            for (size_t end = 1; end <= total; end++) {
                if (end == total || (cuts >> (end - 1) & 1) != 0) {
                    assert_true(feed(&deframer, wire + begin, end - begin, &record));
                    begin = end;
                }
            }
            check_record(&deframer, &record, wire, total, cases[i].count);
        }
        free(wire);
    }
}

/* Length bytes with the top bit set, in each of the four places: a bug of readers that shift signed bytes. */
static void test_top_bits(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0x80,       0xff,       0x8000,     0x8080,     0xff00,
                                       0x800000,   0x808080,   0xff0000,   0x7fffffff, 0x80000000,
                                       0x80808080, 0xfffffffe, 0xffffffff, 0xff000000, 0x80};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t prefix[MOTE_MESSAGE_PREFIX];
        mote_message_prefix(prefix, true, lengths[i]);
        struct mote_deframer deframer;
        struct record record;
        start(&deframer, &record, UINT32_MAX);
        assert_true(feed(&deframer, prefix, sizeof(prefix), &record));
        assert_true(mote_deframer_is_inside(&deframer));
        assert_int_equal(deframer.length, lengths[i]);
        assert_int_equal(deframer.body.capacity, 0);
        finish(&deframer, &record);
    }
    uint8_t expected[MOTE_MESSAGE_PREFIX] = {0, 0x80, 0x91, 0xa2, 0xb3};
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    mote_message_prefix(prefix, false, 0x8091a2b3);
    assert_memory_equal(prefix, expected, sizeof(prefix));
    const uint32_t length = 0x8080;
    size_t total;
    uint8_t *wire = make_wire(&length, 1, &total);
    check_pieces(wire, total, 1, 1000);
    free(wire);
}

/* Gives a prefix with `piece` bytes at a time and tells after how many bytes which error came. */
static int prefix_error(uint8_t flag, uint32_t length, size_t limit, size_t piece, size_t *given)
{
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    mote_message_prefix(prefix, false, length);
    prefix[0] = flag;
    struct mote_deframer deframer;
    struct record record;
    start(&deframer, &record, limit);
    bool fine = true;
    for (*given = 0; fine && *given < sizeof(prefix);) {
        const size_t left = sizeof(prefix) - *given;
        const size_t taken = piece < left ? piece : left;
        fine = feed(&deframer, prefix + *given, taken, &record);
        *given += taken;
    }
    assert_int_equal(deframer.body.capacity, 0);
    const int error = record.error;
    finish(&deframer, &record);
    return error;
}

static void test_limit(void **state)
{
    (void)state;
    static const struct {
        uint8_t flag;
        uint32_t length;
        size_t limit;
        int error;
    } cases[] = {
        {0, 0, 0, 0},
        {0, 1, 0, MOTE_ELIMIT},
        {0, 100, 100, 0},
        {1, 100, 100, 0},
        {0, 101, 100, MOTE_ELIMIT},
        {1, 101, 100, MOTE_ELIMIT},
        {0, 4194304, 4194304, 0},
        {0, 4194305, 4194304, MOTE_ELIMIT},
        {0, 0x7fffffff, 4194304, MOTE_ELIMIT},
        {0, 0x80000000, 0x7fffffff, MOTE_ELIMIT},
        {0, 0xffffffff, 4194304, MOTE_ELIMIT},
        {0, 0xffffffff, UINT32_MAX, 0},
        {2, 0, 100, MOTE_EDECODE},
        {0x80, 0, 100, MOTE_EDECODE},
        {0xff, 100, 100, MOTE_EDECODE},
        {2, 101, 100, MOTE_ELIMIT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t piece = 1; piece <= MOTE_MESSAGE_PREFIX; piece++) {
            size_t given;
            assert_int_equal(prefix_error(cases[i].flag, cases[i].length, cases[i].limit, piece, &given),
                             cases[i].error);
            assert_int_equal(given, MOTE_MESSAGE_PREFIX);
        }
    }
}

/* Bad prefixes behind good messages and with bytes behind them, which the fast way must see too. */
static void test_error_after_messages(void **state)
{
    (void)state;
    const uint8_t wire[] = {0, 0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 'b', 'c'};
    for (size_t piece = 1; piece <= sizeof(wire); piece++) {
        struct mote_deframer deframer;
        struct record record;
        start(&deframer, &record, 10);
        for (size_t at = 0; at < sizeof(wire) && record.error == 0; at += piece) {
            (void)feed(&deframer, wire + at, piece < sizeof(wire) - at ? piece : sizeof(wire) - at, &record);
        }
        assert_int_equal(record.error, MOTE_EDECODE);
        assert_int_equal(record.count, 2);
        finish(&deframer, &record);
    }
}

/* An end anywhere but between messages cuts one off. */
static void test_is_inside(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {3, 0, 2};
    size_t total;
    uint8_t *wire = make_wire(lengths, 3, &total);
    for (size_t end = 0; end <= total; end++) {
        for (size_t piece = 1; piece <= total; piece++) {
            struct mote_deframer deframer;
            struct record record;
            start(&deframer, &record, LIMIT);
            for (size_t at = 0; at < end; at += piece) {
                assert_true(feed(&deframer, wire + at, piece < end - at ? piece : end - at, &record));
            }
            assert_int_equal(mote_deframer_is_inside(&deframer), end != 0 && end != 8 && end != 13 && end != total);
            finish(&deframer, &record);
        }
    }
    free(wire);
}

/* A message that lies whole in the input is handed out where it lies, and no memory is taken for it. */
static void test_in_place(void **state)
{
    (void)state;
    struct mote_failing_mem counting;
    mote_failing_mem_init(&counting);
    struct mote_deframer deframer;
    mote_deframer_init(&deframer, &counting.mem, LIMIT);
    const uint8_t wire[] = {0, 0, 0, 0, 2, 'a', 'b', 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'c', 0, 0};
    struct mote_slice input = mote_slice(wire, sizeof(wire));
    struct mote_message message;
    bool ready;
    assert_int_equal(mote_deframer_next(&deframer, &input, &message, &ready), 0);
    assert_true(ready && message.body.data == wire + 5 && message.body.length == 2 && !message.compressed);
    assert_int_equal(mote_deframer_next(&deframer, &input, &message, &ready), 0);
    assert_true(ready && message.body.data == wire + 12 && message.body.length == 0 && message.compressed);
    assert_int_equal(mote_deframer_next(&deframer, &input, &message, &ready), 0);
    assert_true(ready && message.body.data == wire + 17 && message.body.length == 1 && !message.compressed);
    assert_int_equal(mote_deframer_next(&deframer, &input, &message, &ready), 0);
    assert_false(ready);
    assert_true(mote_deframer_is_inside(&deframer));
    const uint8_t rest[] = {0, 0, 3, 'd', 'e', 'f'};
    input = mote_slice(rest, sizeof(rest));
    assert_int_equal(mote_deframer_next(&deframer, &input, &message, &ready), 0);
    assert_true(ready && message.body.data == rest + 3 && message.body.length == 3);
    assert_int_equal(counting.calls, 0);
    mote_deframer_dispose(&deframer);
}

/* The buffer follows what arrived, whatever was announced, and a large one goes with its message. */
static void test_memory(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 1000, 16384};
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    mote_message_prefix(prefix, false, LIMIT);
    uint8_t body[16384] = {0};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct mote_deframer deframer;
        struct record record;
        start(&deframer, &record, LIMIT);
        assert_true(feed(&deframer, prefix, sizeof(prefix), &record));
        for (size_t given = 0; given < LIMIT;) {
            const size_t taken = pieces[i] < LIMIT - given ? pieces[i] : LIMIT - given;
            assert_int_equal(mote_deframer_buffered(&deframer), given);
            assert_true(feed(&deframer, body, taken, &record));
            given += taken;
            assert_true(deframer.body.capacity <= (given < 128 ? 256 : 2 * given));
            assert_true(deframer.body.capacity <= LIMIT);
        }
        assert_int_equal(record.count, 1);
        assert_int_equal(deframer.body.capacity, 0);
        finish(&deframer, &record);
    }
}

/* A message handed out from the buffer stays, and is counted, until the next call; a small buffer is kept. */
static void test_delivered(void **state)
{
    (void)state;
    struct mote_deframer deframer;
    mote_deframer_init(&deframer, mote_mem_system(), LIMIT);
    const uint8_t wire[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
    struct mote_slice input = mote_slice(wire, 6);
    struct mote_message message;
    bool ready;
    assert_int_equal(mote_deframer_next(&deframer, &input, &message, &ready), 0);
    assert_false(ready);
    assert_int_equal(mote_deframer_buffered(&deframer), 1);
    input = mote_slice(wire + 6, 2);
    assert_int_equal(mote_deframer_next(&deframer, &input, &message, &ready), 0);
    assert_true(ready);
    assert_true(mote_slice_equals_text(message.body, "abc"));
    assert_false(mote_deframer_is_inside(&deframer));
    assert_int_equal(mote_deframer_buffered(&deframer), 3);
    assert_int_equal(mote_deframer_next(&deframer, &input, &message, &ready), 0);
    assert_false(ready);
    assert_int_equal(mote_deframer_buffered(&deframer), 0);
    assert_true(deframer.body.capacity > 0);
    mote_deframer_dispose(&deframer);
    mote_deframer_dispose(&deframer);
}

static int deframe(struct mote_mem *mem, void *context)
{
    const struct mote_slice *wire = context;
    struct mote_deframer deframer;
    struct record record = {0};
    mote_deframer_init(&deframer, mem, LIMIT);
    for (size_t at = 0; at < wire->length && feed(&deframer, wire->data + at, 1, &record); at++) {
    }
    assert_int_equal(record.count, record.error == 0);
    const int error = record.error;
    finish(&deframer, &record);
    return error;
}

/* Out of memory at each allocation in turn is an error, and nothing leaks. */
static void test_out_of_memory(void **state)
{
    (void)state;
    const uint32_t length = 5000;
    size_t total;
    uint8_t *bytes = make_wire(&length, 1, &total);
    struct mote_slice wire = mote_slice(bytes, total);
    assert_in_range(mote_failing_mem_check(deframe, &wire), 3, 20);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),       cmocka_unit_test(test_many_messages),
        cmocka_unit_test(test_all_cuts),      cmocka_unit_test(test_top_bits),
        cmocka_unit_test(test_limit),         cmocka_unit_test(test_error_after_messages),
        cmocka_unit_test(test_is_inside),     cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_delivered),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
