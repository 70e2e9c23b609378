/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timer wheel against a model that is a plain array: random starts, stops and advances, also from inside
 * callbacks; and by hand the edges of levels, distances beyond the wheel and long gaps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/timer_wheel.h"

#define TICK  ((uint64_t)MOTE_TIMER_TICK_NS)
#define RANGE ((uint64_t)1 << 30) /* ticks of the whole wheel */
#define DAY   (86400 * UINT64_C(1000000000))

struct probe {
    struct mote_timer timer;
    unsigned fired;
    uint64_t fired_at;
};

static void note(struct mote_timer *timer, uint64_t now_ns)
{
    struct probe *probe = MOTE_CONTAINER_OF(timer, struct probe, timer);
    assert_false(timer->active);
    probe->fired++;
    probe->fired_at = now_ns;
}

static void probe_init(struct probe *probe)
{
    memset(probe, 0, sizeof *probe);
    mote_timer_init(&probe->timer, note);
}

static void an_empty_wheel_does_nothing(void **state)
{
    (void)state;
    struct mote_timer_wheel wheel;
    struct probe probe;
    mote_timer_wheel_init(&wheel, 0);
    probe_init(&probe);
    assert_true(mote_timer_wheel_next(&wheel) == UINT64_MAX);
    mote_timer_stop(&wheel, &probe.timer);
    mote_timer_wheel_advance(&wheel, 5 * TICK);
    mote_timer_wheel_advance(&wheel, UINT64_MAX); /* 584 years at once: would not end tick by tick */
    mote_timer_wheel_advance(&wheel, 0);
    assert_int_equal(wheel.count, 0);
    mote_timer_wheel_dispose(&wheel);
}

static void fires_never_early_and_at_most_a_tick_late(void **state)
{
    static const struct {
        uint64_t due_ns;
        uint64_t fires_ns;
    } cases[] = {
        {1, TICK},
        {TICK - 1, TICK},
        {TICK, TICK},
        {TICK + 1, 2 * TICK},
        {63 * TICK, 63 * TICK},
        {64 * TICK, 64 * TICK},
        {64 * TICK - 1, 64 * TICK},
        {65 * TICK, 65 * TICK},
        {4096 * TICK + 1, 4097 * TICK},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_timer_wheel wheel;
        struct probe probe;
        mote_timer_wheel_init(&wheel, 0);
        probe_init(&probe);
        mote_timer_start(&wheel, &probe.timer, cases[i].due_ns);
        assert_true(probe.timer.active);
        mote_timer_wheel_advance(&wheel, cases[i].fires_ns - 1);
        assert_int_equal(probe.fired, 0);
        mote_timer_wheel_advance(&wheel, cases[i].fires_ns);
        assert_int_equal(probe.fired, 1);
        assert_true(probe.fired_at == cases[i].fires_ns);
        mote_timer_wheel_advance(&wheel, cases[i].fires_ns + DAY);
        assert_int_equal(probe.fired, 1);
        mote_timer_wheel_dispose(&wheel);
    }
}

static void a_past_one_fires_at_the_next_advance(void **state)
{
    (void)state;
    struct mote_timer_wheel wheel;
    struct probe probes[3];
    const uint64_t now = 1000 * TICK;
    const uint64_t dues[3] = {0, now - 1, now};
    mote_timer_wheel_init(&wheel, now);
    for (size_t i = 0; i < 3; i++) {
        probe_init(&probes[i]);
        mote_timer_start(&wheel, &probes[i].timer, dues[i]);
    }
    assert_true(mote_timer_wheel_next(&wheel) <= now);
    mote_timer_stop(&wheel, &probes[1].timer);
    mote_timer_wheel_advance(&wheel, now);
    assert_int_equal(probes[0].fired, 1);
    assert_int_equal(probes[1].fired, 0);
    assert_int_equal(probes[2].fired, 1);
    assert_true(mote_timer_wheel_next(&wheel) == UINT64_MAX);
    mote_timer_wheel_dispose(&wheel);
}

static void restarting_and_stopping(void **state)
{
    (void)state;
    struct mote_timer_wheel wheel;
    struct probe probe;
    mote_timer_wheel_init(&wheel, 0);
    probe_init(&probe);
    mote_timer_start(&wheel, &probe.timer, 10 * TICK);
    mote_timer_start(&wheel, &probe.timer, 5000 * TICK);
    assert_int_equal(wheel.count, 1);
    mote_timer_wheel_advance(&wheel, 100 * TICK);
    assert_int_equal(probe.fired, 0);
    mote_timer_start(&wheel, &probe.timer, 200 * TICK);
    mote_timer_wheel_advance(&wheel, 200 * TICK);
    assert_int_equal(probe.fired, 1);
    mote_timer_start(&wheel, &probe.timer, 300 * TICK);
    mote_timer_stop(&wheel, &probe.timer);
    mote_timer_stop(&wheel, &probe.timer);
    assert_false(probe.timer.active);
    assert_int_equal(wheel.count, 0);
    assert_true(mote_timer_wheel_next(&wheel) == UINT64_MAX);
    mote_timer_wheel_advance(&wheel, 400 * TICK);
    assert_int_equal(probe.fired, 1);
    mote_timer_wheel_dispose(&wheel);
}

/* From several beginnings, each near an edge of a level, distances around every edge, woken by `next` alone. */
static void every_distance_is_met_with_few_wakes(void **state)
{
    static const uint64_t beginnings[] = {0,
                                          1,
                                          62,
                                          63,
                                          64,
                                          4095,
                                          (1 << 24),
                                          RANGE - 1,
                                          RANGE - 65,
                                          RANGE,
                                          RANGE + 1,
                                          3 * RANGE - 2,
                                          1234567890123,
                                          63 * ((uint64_t)1 << 24) + 5};
    static const int64_t offsets[] = {-65, -2, -1, 0, 1, 2, 65};
    (void)state;
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        for (unsigned bits = 7; bits < 40; bits++) {
            for (size_t j = 0; j < sizeof offsets / sizeof offsets[0]; j++) {
                const uint64_t distance = ((uint64_t)1 << bits) + (uint64_t)offsets[j];
                const uint64_t due = (beginnings[i] + distance) * TICK;
                struct mote_timer_wheel wheel;
                struct probe probe;
                mote_timer_wheel_init(&wheel, beginnings[i] * TICK);
                probe_init(&probe);
                mote_timer_start(&wheel, &probe.timer, due);
                uint64_t wakes = 0;
                uint64_t now = beginnings[i] * TICK;
                while (probe.fired == 0) {
                    const uint64_t next = mote_timer_wheel_next(&wheel);
                    assert_true(next > now);
                    assert_true(next <= due);
                    now = next;
                    mote_timer_wheel_advance(&wheel, now);
                    wakes++;
                }
                assert_true(now == due);
                assert_true(wakes <= MOTE_TIMER_LEVELS + 1 + distance / (RANGE / 64 * 62));
                mote_timer_wheel_dispose(&wheel);
            }
        }
    }
}

static void long_gaps_with_timers_on_the_way(void **state)
{
    (void)state;
    struct mote_timer_wheel wheel;
    struct probe probes[4];
    const uint64_t dues[4] = {3 * TICK, 20 * DAY, 3650 * DAY, UINT64_MAX};
    mote_timer_wheel_init(&wheel, 0);
    for (size_t i = 0; i < 4; i++) {
        probe_init(&probes[i]);
        mote_timer_start(&wheel, &probes[i].timer, dues[i]);
    }
    mote_timer_wheel_advance(&wheel, 20 * DAY - 1);
    assert_int_equal(probes[0].fired, 1);
    assert_int_equal(probes[1].fired, 0);
    mote_timer_wheel_advance(&wheel, 3650 * DAY - 1);
    assert_int_equal(probes[1].fired, 1);
    assert_int_equal(probes[2].fired, 0);
    mote_timer_wheel_advance(&wheel, UINT64_MAX);
    assert_int_equal(probes[2].fired, 1);
    /* Rounded up, its tick is behind the end of time. */
    assert_int_equal(probes[3].fired, 0);
    assert_true(mote_timer_wheel_next(&wheel) == UINT64_MAX);
    mote_timer_stop(&wheel, &probes[3].timer);
    mote_timer_wheel_dispose(&wheel);
}

static void time_that_goes_back_fires_nothing(void **state)
{
    (void)state;
    struct mote_timer_wheel wheel;
    struct probe probe;
    mote_timer_wheel_init(&wheel, 1000 * TICK);
    probe_init(&probe);
    mote_timer_start(&wheel, &probe.timer, 1010 * TICK);
    mote_timer_wheel_advance(&wheel, 1005 * TICK);
    mote_timer_wheel_advance(&wheel, 5 * TICK);
    assert_int_equal(probe.fired, 0);
    assert_true(wheel.tick == 1005);
    assert_true(mote_timer_wheel_next(&wheel) > 1005 * TICK);
    mote_timer_wheel_advance(&wheel, 1009 * TICK);
    assert_int_equal(probe.fired, 0);
    mote_timer_wheel_advance(&wheel, 1010 * TICK);
    assert_int_equal(probe.fired, 1);
    mote_timer_wheel_dispose(&wheel);
}

struct repeater {
    struct mote_timer timer;
    struct mote_timer_wheel *wheel;
    uint64_t period; /* added to the present time */
    unsigned fired;
};

static void fire_again(struct mote_timer *timer, uint64_t now_ns)
{
    struct repeater *repeater = MOTE_CONTAINER_OF(timer, struct repeater, timer);
    repeater->fired++;
    mote_timer_start(repeater->wheel, timer, now_ns + repeater->period);
}

static void one_that_starts_itself_at_once_does_not_hold_the_advance(void **state)
{
    (void)state;
    struct mote_timer_wheel wheel;
    struct repeater repeater = {.wheel = &wheel};
    mote_timer_wheel_init(&wheel, 0);
    mote_timer_init(&repeater.timer, fire_again);
    mote_timer_start(&wheel, &repeater.timer, 5 * TICK);
    mote_timer_wheel_advance(&wheel, 100 * TICK);
    assert_true(repeater.fired >= 1 && repeater.fired <= 2);
    const unsigned before = repeater.fired;
    mote_timer_wheel_advance(&wheel, 100 * TICK);
    assert_int_equal(repeater.fired, before + 1);
    mote_timer_stop(&wheel, &repeater.timer);
    mote_timer_wheel_dispose(&wheel);
}

/* ---- the model ---- */

enum { TIMERS = 40 };

struct model_timer {
    struct mote_timer timer;
    bool active;
    uint64_t due_tick;
    unsigned overdue_since; /* the number of the advance during which it was started overdue; 0: it was not */
};

static struct {
    struct mote_timer_wheel wheel;
    struct model_timer timers[TIMERS];
    uint64_t tick;
    uint64_t target;
    unsigned advance; /* its number while one is running, else 0 */
    unsigned advances;
    unsigned depth; /* bits of the distances */
    uint64_t fired;
    uint64_t random;
} model;

static uint64_t draw(uint64_t below)
{
    model.random ^= model.random << 13;
    model.random ^= model.random >> 7;
    model.random ^= model.random << 17;
    return model.random % below;
}

static bool is_eligible(const struct model_timer *timer)
{
    return timer->active && timer->due_tick <= model.target &&
           (timer->overdue_since == 0 || timer->overdue_since != model.advance);
}

static void model_check(void)
{
    uint64_t earliest = UINT64_MAX; /* of what is due, the present */
    uint64_t active = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        const struct model_timer *timer = &model.timers[i];
        assert_int_equal(timer->timer.active, timer->active);
        active += timer->active;
        const uint64_t due_tick = timer->due_tick > model.tick ? timer->due_tick : model.tick;
        if (timer->active && due_tick * TICK < earliest) {
            earliest = due_tick * TICK;
        }
    }
    assert_true(model.wheel.count == active);
    const uint64_t next = mote_timer_wheel_next(&model.wheel);
    assert_true(next <= earliest);
    assert_true((next == UINT64_MAX) == (active == 0));
}

static void model_start(struct model_timer *timer)
{
    /* Mostly near, sometimes far, sometimes past. */
    const uint64_t distance = draw((uint64_t)1 << (1 + draw(model.depth)));
    const uint64_t now_ns = model.tick * TICK;
    const uint64_t past = draw(8) == 0 ? draw(100) * TICK : 0;
    const uint64_t due_ns = now_ns - (past < now_ns ? past : now_ns) + distance * (TICK / 4);
    const uint64_t due_tick = (due_ns + TICK - 1) / TICK;
    timer->active = true;
    timer->overdue_since = due_tick <= model.tick ? model.advance : 0;
    timer->due_tick = due_tick > model.tick ? due_tick : model.tick;
    mote_timer_start(&model.wheel, &timer->timer, due_ns);
}

static void model_stop(struct model_timer *timer)
{
    timer->active = false;
    mote_timer_stop(&model.wheel, &timer->timer);
}

static void model_random_operation(void)
{
    struct model_timer *timer = &model.timers[draw(TIMERS)];
    if (draw(3) == 0) {
        model_stop(timer);
    } else {
        model_start(timer);
    }
}

static void model_fire(struct mote_timer *base, uint64_t now_ns)
{
    struct model_timer *timer = MOTE_CONTAINER_OF(base, struct model_timer, timer);
    assert_true(now_ns / TICK == model.target);
    assert_true(is_eligible(timer));
    for (size_t i = 0; i < TIMERS; i++) {
        assert_true(!is_eligible(&model.timers[i]) || model.timers[i].due_tick >= timer->due_tick);
    }
    timer->active = false;
    model.tick = timer->due_tick > model.tick ? timer->due_tick : model.tick;
    model.fired++;
    model_check();
    for (uint64_t operations = draw(4); operations > 1; operations--) {
        model_random_operation();
        model_check();
    }
}

static void model_advance(uint64_t target_ns)
{
    model.target = target_ns / TICK;
    model.advance = ++model.advances;
    mote_timer_wheel_advance(&model.wheel, target_ns);
    for (size_t i = 0; i < TIMERS; i++) {
        assert_false(is_eligible(&model.timers[i]));
    }
    model.advance = 0;
    model.tick = model.target > model.tick ? model.target : model.tick;
    assert_true(model.wheel.tick == model.tick);
}

static void model_run(unsigned depth, uint64_t begin_tick)
{
    memset(&model, 0, sizeof model);
    model.random = 88172645463325252u + depth;
    model.depth = depth;
    model.tick = begin_tick;
    mote_timer_wheel_init(&model.wheel, begin_tick * TICK + 7);
    for (size_t i = 0; i < TIMERS; i++) {
        mote_timer_init(&model.timers[i].timer, model_fire);
    }
    for (unsigned round = 0; round < 4000; round++) {
        model_random_operation();
        model_check();
        if (draw(4) == 0) {
            const uint64_t next = mote_timer_wheel_next(&model.wheel);
            const uint64_t gap = draw((uint64_t)1 << (1 + draw(depth))) * (TICK / 4);
            const bool exactly = draw(2) == 0 && next != UINT64_MAX && next > model.tick * TICK;
            model_advance(exactly ? next : model.tick * TICK + gap);
            model_check();
        }
    }
    assert_true(model.fired > 500);
    for (size_t i = 0; i < TIMERS; i++) {
        model_stop(&model.timers[i]);
    }
    mote_timer_wheel_dispose(&model.wheel);
}

static void the_wheel_is_the_model(void **state)
{
    (void)state;
    for (unsigned depth = 3; depth < 40; depth++) {
        model_run(depth, 0);
        model_run(depth, RANGE - 50);
        model_run(depth, 1234567890123u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_wheel_does_nothing),
        cmocka_unit_test(fires_never_early_and_at_most_a_tick_late),
        cmocka_unit_test(a_past_one_fires_at_the_next_advance),
        cmocka_unit_test(restarting_and_stopping),
        cmocka_unit_test(every_distance_is_met_with_few_wakes),
        cmocka_unit_test(long_gaps_with_timers_on_the_way),
        cmocka_unit_test(time_that_goes_back_fires_nothing),
        cmocka_unit_test(one_that_starts_itself_at_once_does_not_hold_the_advance),
        cmocka_unit_test(the_wheel_is_the_model),
    };
    return cmocka_run_group_tests_name("timer_wheel", tests, NULL, NULL);
}
