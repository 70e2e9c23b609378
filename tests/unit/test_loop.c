/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of outgoing channels: its end by a condition or by time, timers, tasks of other threads. Sockets are in
 * tests/e2e/test_channel.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "net/channel.h"
#include "net/loop.h"

#define MS       ((uint64_t)MOTE_NS_PER_MS)
#define PATIENCE (20000 * MS)

struct fixture {
    struct mote_loop *loop;
    struct mote_timer timer;
    struct mote_timer following;
    struct mote_task task;
    bool done;
    unsigned count;
};

static struct mote_loop *new_loop(void)
{
    struct mote_loop *loop;
    assert_int_equal(mote_loop_new(&loop, mote_mem_system(), NULL), 0);
    return loop;
}

static void test_time_over(void **state)
{
    static const uint64_t timeouts_ms[] = {0, 1, 5, 20};
    struct mote_loop *loop = new_loop();
    const bool never = false;
    const bool already = true;
    (void)state;
    for (size_t i = 0; i < sizeof timeouts_ms / sizeof timeouts_ms[0]; i++) {
        const uint64_t before = mote_loop_now(loop);
        assert_false(mote_loop_run(loop, &never, timeouts_ms[i] * MS));
        assert_true(mote_loop_now(loop) - before >= timeouts_ms[i] * MS);
    }
    assert_true(mote_loop_run(loop, &already, UINT64_MAX));
    mote_loop_free(loop);
}

static void set_done(struct mote_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    MOTE_CONTAINER_OF(timer, struct fixture, following)->done = true;
}

static void start_following(struct mote_timer *timer, uint64_t now_ns)
{
    struct fixture *fixture = MOTE_CONTAINER_OF(timer, struct fixture, timer);
    mote_timer_start(mote_loop_wheel(fixture->loop), &fixture->following, now_ns + 5 * MS);
}

/* A timer that is started by another one is waited for, though nothing else happens: libuv runs timers just before it
 * sleeps. */
static void test_timers(void **state)
{
    struct fixture fixture = {.loop = new_loop()};
    (void)state;
    mote_timer_init(&fixture.timer, start_following);
    mote_timer_init(&fixture.following, set_done);
    mote_timer_start(mote_loop_wheel(fixture.loop), &fixture.timer, mote_loop_now(fixture.loop) + 3 * MS);
    assert_true(mote_loop_run(fixture.loop, &fixture.done, PATIENCE));
    mote_loop_free(fixture.loop);
}

static void run_task(struct mote_task *task)
{
    struct fixture *fixture = MOTE_CONTAINER_OF(task, struct fixture, task);
    fixture->done = ++fixture->count == 100;
}

static void *post_task(void *argument)
{
    struct fixture *fixture = argument;
    mote_loop_post(fixture->loop, &fixture->task);
    return NULL;
}

static void test_tasks(void **state)
{
    struct fixture fixture = {.loop = new_loop(), .task = {.run = run_task}};
    struct mote_mailbox *mailbox = mote_loop_mailbox(fixture.loop);
    (void)state;
    for (unsigned i = 1; i <= 100; i++) {
        const bool never = false;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, post_task, &fixture), 0);
        if (i == 100) {
            assert_true(mote_loop_run(fixture.loop, &fixture.done, PATIENCE));
        }
        while (fixture.count < i) {
            (void)mote_loop_run(fixture.loop, &never, MS);
        }
        pthread_join(thread, NULL);
    }
    mailbox->post(mailbox, &fixture.task); /* what is left runs before the loop goes */
    mote_loop_free(fixture.loop);
    assert_int_equal(fixture.count, 101);
}

static void test_targets(void **state)
{
    static const struct {
        const char *target;
        const char *problem; /* NULL: good */
    } rows[] = {
        {"127.0.0.1:1", NULL},
        {"[::1]:1", NULL},
        {"host.example:443", NULL},
        {"unix:/run/socket", NULL},
        {"unix-abstract:name", NULL},
        {"host", "host: want host:port, [ipv6]:port, unix:/path or unix-abstract:name"},
        {"host:65536", "host:65536: the port is a number from 0 to 65535"},
        {"::1:1", "::1:1: an IPv6 address stands in brackets: [::1]:50051"},
        {"unix:", "unix:: the name of a unix socket has 1 to 107 bytes"},
    };
    struct mote_loop *loop = new_loop();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mote_channel *channel = NULL;
        char problem[MOTE_CHANNEL_PROBLEM_MAX];
        const struct mote_channel_options options = {.target = rows[i].target};
        const int error = mote_channel_open(&channel, loop, &options, problem);
        assert_int_equal(error, rows[i].problem != NULL ? MOTE_EINVAL : 0);
        if (error != 0) {
            assert_string_equal(problem, rows[i].problem);
        } else {
            assert_int_equal(mote_channel_state(channel), MOTE_CHANNEL_IDLE);
        }
        mote_channel_close(channel);
    }
    mote_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_over),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
