/* SPDX-License-Identifier: Apache-2.0 */
/* Progress: a bar on a terminal, lines elsewhere, nothing for what is done at once; the total known and not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/progress.h"

static uint64_t now_ns;

static uint64_t monotonic(void *context)
{
    (void)context;
    return now_ns;
}

static const struct mote_clock clock_of_test = {.monotonic_ns = monotonic};

struct writing {
    FILE *out;
    char *text;
    size_t length;
    struct mote_progress progress;
};

static void begin(struct writing *writing, size_t edge, uint64_t total)
{
    *writing = (struct writing){0};
    now_ns = 1000;
    writing->out = open_memstream(&writing->text, &writing->length);
    mote_progress_start(&writing->progress, writing->out, &clock_of_test, "importing", "users", total);
    assert_int_equal(writing->progress.edge, 0); /* no terminal */
    writing->progress.edge = edge;
}

static void end(struct writing *writing, const char *expected)
{
    mote_progress_hide(&writing->progress);
    fclose(writing->out);
    assert_string_equal(writing->text, expected);
    free(writing->text);
}

static void test_lines(void **state)
{
    struct writing writing;
    (void)state;
    begin(&writing, 0, 100);
    now_ns += MOTE_PROGRESS_LINE_NS - 1;
    mote_progress_move(&writing.progress, 10);
    end(&writing, "");
    begin(&writing, 0, 100);
    now_ns += MOTE_PROGRESS_LINE_NS;
    mote_progress_move(&writing.progress, 50);
    mote_progress_move(&writing.progress, 60);
    end(&writing, "importing: 50 of 100 users, 50 %, 10/s, 5 s left\n");
    begin(&writing, 0, 0);
    now_ns += MOTE_PROGRESS_LINE_NS;
    mote_progress_move(&writing.progress, 50);
    end(&writing, "importing: 50 users, 10/s\n");
}

static void test_bar(void **state)
{
    static const char text[] = "importing: 50 of 100 users, 50 %, 500/s, 0 s left";
    struct writing writing;
    char expected[200];
    (void)state;
    begin(&writing, 200, 100);
    now_ns += MOTE_PROGRESS_REDRAW_NS;
    mote_progress_move(&writing.progress, 50);
    now_ns += MOTE_PROGRESS_REDRAW_NS - 1;
    mote_progress_move(&writing.progress, 70);
    snprintf(expected, sizeof expected, "\r\x1b[K[%.20s%.20s] %s\r\x1b[K", "####################",
             "....................", text);
    end(&writing, expected);
    /* Just room for a bar of two; then for none, and then not for the text. */
    static const struct {
        size_t edge;
        const char *bar;
        size_t shown;
    } rows[] = {
        {sizeof text - 1 + 6, "[#.] ", sizeof text - 1}, {sizeof text - 1 + 4, "", sizeof text - 1}, {11, "", 10}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(&writing, rows[i].edge, 100);
        now_ns += MOTE_PROGRESS_REDRAW_NS;
        mote_progress_move(&writing.progress, 50);
        snprintf(expected, sizeof expected, "\r\x1b[K%s%.*s\r\x1b[K", rows[i].bar, (int)rows[i].shown, text);
        end(&writing, expected);
    }
}

/* More than the total, an unknown total, and the ends are drawn without harm. */
static void test_ends(void **state)
{
    static const uint64_t rows[][2] = {{0, 100}, {100, 100}, {101, 100}, {5, 0}, {UINT64_MAX, 1}, {1, UINT64_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct writing writing;
        begin(&writing, 80, rows[i][1]);
        now_ns += MOTE_PROGRESS_REDRAW_NS;
        mote_progress_move(&writing.progress, rows[i][0]);
        fflush(writing.out);
        assert_true(writing.length <= 4 + 79);
        assert_non_null(strstr(writing.text, "importing: "));
        mote_progress_hide(&writing.progress);
        fclose(writing.out);
        free(writing.text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_bar),
                                              cmocka_unit_test(test_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
