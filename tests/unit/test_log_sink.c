/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's way to a descriptor: nothing lost while somebody reads, nobody held up while nobody does, repeats bounded,
 * the descriptor's flags untouched. The descriptors are pipes and files; the clock stands still unless it is moved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/log_sink.h"

#define SECOND    ((uint64_t)MOTE_NS_PER_SECOND)
#define PIPE_FULL 65536 /* what Linux buffers for a pipe */

static uint64_t fake_now_ns;

static uint64_t fake_monotonic(void *context)
{
    (void)context;
    return fake_now_ns;
}

static int64_t fake_wall(void *context)
{
    (void)context;
    return INT64_C(1700000000000000000);
}

static const struct mote_clock fake_clock = {.monotonic_ns = fake_monotonic, .wall_ns = fake_wall};

struct fixture {
    int fds[2];
    struct mote_log_sink *sink;
    struct mote_log *log;
    char text[1 << 20];
    size_t length;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL || pipe(fixture->fds) != 0) {
        return -1;
    }
    const struct mote_log_sink_options options = {.fd = fixture->fds[1],
                                                  .style = {.format = MOTE_LOG_FORMAT_LOGFMT},
                                                  .level = MOTE_LOG_INFO,
                                                  .clock = &fake_clock};
    fake_now_ns = SECOND;
    *state = fixture;
    if (mote_log_sink_open(&fixture->sink, &options) != 0) {
        return -1;
    }
    fixture->log = mote_log_sink_log(fixture->sink);
    return 0;
}

/* Reads what is there until the writing end is closed. */
static void *read_all(void *argument)
{
    struct fixture *fixture = argument;
    ssize_t got;
    while ((got = read(fixture->fds[0], fixture->text + fixture->length, sizeof fixture->text - 1 - fixture->length)) >
           0) {
        fixture->length += (size_t)got;
    }
    fixture->text[fixture->length] = '\0';
    return NULL;
}

/* Closes the sink while somebody reads, and keeps what was read. */
static void close_and_read(struct fixture *fixture)
{
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_all, fixture), 0);
    mote_log_sink_close(fixture->sink, 10 * SECOND);
    fixture->sink = NULL;
    close(fixture->fds[1]);
    fixture->fds[1] = -1;
    pthread_join(reader, NULL);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    mote_log_sink_close(fixture->sink, 10 * SECOND);
    close(fixture->fds[0]);
    if (fixture->fds[1] >= 0) {
        close(fixture->fds[1]);
    }
    free(fixture);
    return 0;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    return count;
}

static void wait_a_little(void)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
}

/* --- lines ------------------------------------------------------------------------------------------------------- */

static void test_lines_arrive_whole_and_in_order(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < 100; i++) {
        mote_log(fixture->log, MOTE_LOG_INFO, "test", "test.line", "line", mote_log_uint("number", i));
        mote_log(fixture->log, MOTE_LOG_DEBUG, "test", "test.line", "below the level", mote_log_uint("number", i));
    }
    close_and_read(fixture);
    const char *at = fixture->text;
    for (unsigned i = 0; i < 100; i++) {
        char expected[128];
        snprintf(expected, sizeof expected,
                 "ts=2023-11-14T22:13:20.000000Z level=info logger=test event=test.line msg=line number=%u\n", i);
        assert_memory_equal(at, expected, strlen(expected));
        at += strlen(expected);
    }
    assert_string_equal(at, "");
}

static void *log_many(void *argument)
{
    struct fixture *fixture = argument;
    for (unsigned i = 0; i < 200; i++) {
        mote_log(fixture->log, MOTE_LOG_INFO, "test", "test.line", "line", mote_log_uint("number", i));
    }
    return NULL;
}

static void test_threads_do_not_mix_lines(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, fixture), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    uint64_t dropped = mote_log_sink_dropped(fixture->sink);
    close_and_read(fixture);
    assert_int_equal(count_of(fixture->text, "event=test.line msg=line number="), 800 - dropped);
    assert_int_equal(count_of(fixture->text, "\n"), 800 - dropped + (dropped > 0));
}

/* Nobody reads: the writers go on, what does not fit is counted, and the count is told when somebody reads again. */
static void test_a_stuck_reader_holds_nobody_up(void **state)
{
    struct fixture *fixture = *state;
    char payload[401];
    memset(payload, 'x', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    const unsigned lines = 1000; /* half a MiB: pipe and ring take 128 KiB */
    for (unsigned i = 0; i < lines; i++) {
        mote_log(fixture->log, MOTE_LOG_INFO, "test", "test.line", "line", mote_log_text("payload", payload));
    }
    uint64_t dropped = mote_log_sink_dropped(fixture->sink);
    assert_in_range(dropped, lines / 2, lines - 1);
    close_and_read(fixture);
    assert_int_equal(count_of(fixture->text, "event=test.line"), lines - dropped);
    uint64_t told = 0;
    for (const char *at = fixture->text; (at = strstr(at, " dropped=")) != NULL; at++) {
        told += strtoull(at + strlen(" dropped="), NULL, 10);
    }
    assert_int_equal(told, dropped);
    assert_in_range(count_of(fixture->text, "event=log.dropped"), 1, 5);
    assert_in_range(fixture->length, MOTE_LOG_SINK_RING - 2 * MOTE_LOG_LINE_MAX,
                    PIPE_FULL + MOTE_LOG_SINK_RING + 2 * MOTE_LOG_LINE_MAX);
}

/* A close does not wait longer than it may. */
static void test_close_gives_up_on_a_stuck_reader(void **state)
{
    struct fixture *fixture = *state;
    struct timespec before, after;
    for (unsigned i = 0; i < 2000; i++) {
        mote_log(fixture->log, MOTE_LOG_INFO, "test", "test.line", "line", mote_log_uint("number", i));
    }
    clock_gettime(CLOCK_MONOTONIC, &before);
    mote_log_sink_close(fixture->sink, SECOND / 20);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_in_range(after.tv_sec - before.tv_sec, 0, 5);
    fixture->sink = NULL;
    /* Its thread still has lines: let it end, so that nothing is left of it. */
    int flags = fcntl(fixture->fds[0], F_GETFL);
    assert_int_equal(fcntl(fixture->fds[0], F_SETFL, flags | O_NONBLOCK), 0);
    for (unsigned quiet = 0; quiet < 50; quiet++) {
        if (read(fixture->fds[0], fixture->text, sizeof fixture->text) > 0) {
            quiet = 0;
        }
        wait_a_little();
    }
}

static void test_a_reader_that_is_gone(void **state)
{
    struct fixture *fixture = *state;
    close(fixture->fds[0]);
    for (unsigned i = 0; i < 10; i++) {
        mote_log(fixture->log, MOTE_LOG_INFO, "test", "test.line", "line", mote_log_uint("number", i));
    }
    mote_log_sink_close(fixture->sink, 10 * SECOND);
    fixture->sink = NULL;
    fixture->fds[0] = dup(fixture->fds[1]);
}

/* Another process that shares the descriptor may have made it non-blocking: still no line is torn, and the flag stays.
 */
static void test_a_descriptor_that_does_not_block(void **state)
{
    struct fixture *fixture = *state;
    int flags = fcntl(fixture->fds[1], F_GETFL);
    assert_int_equal(flags & O_NONBLOCK, 0);
    assert_int_equal(fcntl(fixture->fds[1], F_SETFL, flags | O_NONBLOCK), 0);
    for (unsigned i = 0; i < 1500; i++) { /* more than the pipe takes */
        mote_log(fixture->log, MOTE_LOG_INFO, "test", "test.line", "line", mote_log_uint("number", i));
    }
    uint64_t dropped = mote_log_sink_dropped(fixture->sink);
    assert_int_equal(fcntl(fixture->fds[1], F_GETFL), flags | O_NONBLOCK);
    close_and_read(fixture);
    assert_int_equal(count_of(fixture->text, "event=test.line msg=line number="), 1500 - dropped);
}

static void test_flags_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    int before = fcntl(fixture->fds[1], F_GETFL);
    mote_log(fixture->log, MOTE_LOG_INFO, "test", "test.line", "line", mote_log_bool("b", true));
    assert_int_equal(fcntl(fixture->fds[1], F_GETFL), before);
    close_and_read(fixture);
    assert_int_equal(count_of(fixture->text, "\n"), 1);
}

/* --- repeats ----------------------------------------------------------------------------------------------------- */

static void complain(struct fixture *fixture, const char *event, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        mote_log(fixture->log, MOTE_LOG_WARN, "test", event, "again", mote_log_uint("i", i));
    }
}

static void test_repeats_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    complain(fixture, "test.repeat", MOTE_LOG_SINK_BURST);
    complain(fixture, "test.repeat", 25);
    fake_now_ns += SECOND - 1;
    complain(fixture, "test.repeat", 1);
    fake_now_ns += 1;
    complain(fixture, "test.repeat", 2);
    complain(fixture, "test.other", 1);
    fake_now_ns += 1000 * SECOND; /* a full bucket holds no more than a burst */
    complain(fixture, "test.repeat", MOTE_LOG_SINK_BURST + 1);
    close_and_read(fixture);
    assert_int_equal(count_of(fixture->text, "event=test.repeat"), 2 * MOTE_LOG_SINK_BURST + 1);
    assert_int_equal(count_of(fixture->text, "event=test.other"), 1);
    assert_int_equal(count_of(fixture->text, "suppressed="), 2);
    assert_int_equal(count_of(fixture->text, "suppressed=26 "), 1);
    assert_int_equal(count_of(fixture->text, "suppressed=1 "), 1);
}

static void test_access_lines_and_information_are_not_counted(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < 50; i++) {
        mote_log(fixture->log, MOTE_LOG_ERROR, "access", "rpc.finished", "line", mote_log_uint("i", i));
        mote_log(fixture->log, MOTE_LOG_INFO, "test", "test.info", "line", mote_log_uint("i", i));
    }
    close_and_read(fixture);
    assert_int_equal(count_of(fixture->text, "event=rpc.finished"), 50);
    assert_int_equal(count_of(fixture->text, "event=test.info"), 50);
}

/* --- level and style --------------------------------------------------------------------------------------------- */

static void test_the_level_moves_between_its_ends(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mote_log_sink_move_level(fixture->sink, 1), MOTE_LOG_DEBUG);
    assert_int_equal(mote_log_sink_move_level(fixture->sink, 1), MOTE_LOG_DEBUG);
    mote_log(fixture->log, MOTE_LOG_DEBUG, "test", "test.debug", "line", mote_log_bool("b", true));
    for (int level = MOTE_LOG_INFO; level <= MOTE_LOG_ERROR; level++) {
        assert_int_equal(mote_log_sink_move_level(fixture->sink, -1), level);
    }
    assert_int_equal(mote_log_sink_move_level(fixture->sink, -1), MOTE_LOG_ERROR);
    mote_log(fixture->log, MOTE_LOG_WARN, "test", "test.warn", "line", mote_log_bool("b", true));
    close_and_read(fixture);
    assert_int_equal(count_of(fixture->text, "event=test.debug"), 1);
    assert_int_equal(count_of(fixture->text, "event=test.warn"), 0);
}

static void test_the_style_fits_the_descriptor(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    char journal[64], other[64];
    assert_int_equal(fstat(fixture->fds[1], &status), 0);
    snprintf(journal, sizeof journal, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    snprintf(other, sizeof other, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino + 1);
    static const char *const odd[] = {"", "1", ":", "1:", "x:y"};
    struct mote_log_style style = mote_log_sink_style_auto(fixture->fds[1], NULL, NULL);
    assert_true(style.format == MOTE_LOG_FORMAT_JSON && !style.color && !style.priority);
    style = mote_log_sink_style_auto(fixture->fds[1], journal, NULL);
    assert_true(style.format == MOTE_LOG_FORMAT_TEXT && !style.color && style.priority);
    style = mote_log_sink_style_auto(fixture->fds[1], other, NULL);
    assert_true(style.format == MOTE_LOG_FORMAT_JSON && !style.priority);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        assert_int_equal(mote_log_sink_style_auto(fixture->fds[1], odd[i], NULL).format, MOTE_LOG_FORMAT_JSON);
    }
    style = mote_log_sink_style_of(MOTE_LOG_FORMAT_JSON, fixture->fds[1], journal, NULL);
    assert_true(style.format == MOTE_LOG_FORMAT_JSON && !style.priority);
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal >= 0 && isatty(terminal)) {
        style = mote_log_sink_style_auto(terminal, NULL, NULL);
        assert_true(style.format == MOTE_LOG_FORMAT_TEXT && style.color && !style.priority);
        style = mote_log_sink_style_auto(terminal, NULL, "");
        assert_true(style.color);
        style = mote_log_sink_style_auto(terminal, NULL, "1");
        assert_true(style.format == MOTE_LOG_FORMAT_TEXT && !style.color);
    }
    if (terminal >= 0) {
        close(terminal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines_arrive_whole_and_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads_do_not_mix_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_stuck_reader_holds_nobody_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_gives_up_on_a_stuck_reader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_reader_that_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_descriptor_that_does_not_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flags_are_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_repeats_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_access_lines_and_information_are_not_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_level_moves_between_its_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_style_fits_the_descriptor, set_up, tear_down),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
