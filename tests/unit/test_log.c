/* SPDX-License-Identifier: Apache-2.0 */
/* Records reach the sink from its level on, with all they carry; the sink that drops everything does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/log.h"

struct capture {
    struct mote_log log;
    int records;
    struct mote_log_record last;
    struct mote_log_field fields[8];
};

static void keep(struct mote_log *log, const struct mote_log_record *record)
{
    struct capture *capture = MOTE_CONTAINER_OF(log, struct capture, log);
    capture->records++;
    capture->last = *record;
    assert_true(record->field_count <= 8);
    for (size_t i = 0; i < record->field_count; i++) {
        capture->fields[i] = record->fields[i];
    }
}

static void records_below_the_level_are_dropped(void **state)
{
    (void)state;
    for (enum mote_log_level level = MOTE_LOG_DEBUG; level <= MOTE_LOG_ERROR; level++) {
        for (enum mote_log_level of_record = MOTE_LOG_DEBUG; of_record <= MOTE_LOG_ERROR; of_record++) {
            struct capture capture = {.log = {.write = keep, .level = level}};
            const struct mote_log_record record = {
                .level = of_record, .logger = "test", .event = "a.b", .message = "m"};
            mote_log_write(&capture.log, &record);
            assert_int_equal(capture.records, of_record >= level);
            mote_log(&capture.log, of_record, "test", "a.b", "m", mote_log_int("i", 1));
            assert_int_equal(capture.records, 2 * (of_record >= level));
            assert_int_equal(mote_log_enabled(&capture.log, of_record), of_record >= level);
        }
    }
}

static void fields_keep_name_type_and_value(void **state)
{
    (void)state;
    struct capture capture = {.log = {.write = keep, .level = MOTE_LOG_DEBUG}};
    mote_log(&capture.log, MOTE_LOG_WARN, "net", "net.x", "text", mote_log_text("a", "b"),
             mote_log_slice("c", mote_slice("d\0e", 3)), mote_log_int("f", INT64_MIN), mote_log_uint("g", UINT64_MAX),
             mote_log_bool("h", true));
    assert_int_equal(capture.records, 1);
    assert_int_equal(capture.last.level, MOTE_LOG_WARN);
    assert_string_equal(capture.last.logger, "net");
    assert_string_equal(capture.last.event, "net.x");
    assert_string_equal(capture.last.message, "text");
    assert_int_equal(capture.last.field_count, 5);
    const struct mote_log_field *fields = capture.fields;
    assert_string_equal(fields[0].name, "a");
    assert_int_equal(fields[0].type, MOTE_LOG_TEXT);
    assert_true(mote_slice_equals_text(fields[0].value.text, "b"));
    assert_int_equal(fields[1].value.text.length, 3);
    assert_int_equal(fields[2].type, MOTE_LOG_INT);
    assert_true(fields[2].value.integer == INT64_MIN);
    assert_int_equal(fields[3].type, MOTE_LOG_UINT);
    assert_true(fields[3].value.unsigned_integer == UINT64_MAX);
    assert_int_equal(fields[4].type, MOTE_LOG_BOOL);
    assert_true(fields[4].value.boolean);
}

static void a_record_may_have_no_field(void **state)
{
    (void)state;
    struct capture capture = {.log = {.write = keep, .level = MOTE_LOG_DEBUG}};
    mote_log(&capture.log, MOTE_LOG_INFO, "net", "net.x", "text");
    assert_int_equal(capture.records, 1);
    assert_int_equal(capture.last.field_count, 0);
}

static void arguments_of_a_dropped_record_are_not_evaluated(void **state)
{
    (void)state;
    struct capture capture = {.log = {.write = keep, .level = MOTE_LOG_ERROR}};
    int evaluated = 0;
    mote_log(&capture.log, MOTE_LOG_WARN, "net", "net.x", "text", mote_log_int("i", ++evaluated));
    assert_int_equal(evaluated, 0);
}

static void none_takes_everything(void **state)
{
    (void)state;
    mote_log(mote_log_none(), MOTE_LOG_DEBUG, "net", "net.x", "text", mote_log_int("i", 1));
    mote_log(mote_log_none(), MOTE_LOG_ERROR, "net", "net.x", "text", mote_log_int("i", 1));
    assert_false(mote_log_enabled(mote_log_none(), MOTE_LOG_WARN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_below_the_level_are_dropped),
        cmocka_unit_test(fields_keep_name_type_and_value),
        cmocka_unit_test(a_record_may_have_no_field),
        cmocka_unit_test(arguments_of_a_dropped_record_are_not_evaluated),
        cmocka_unit_test(none_takes_everything),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
