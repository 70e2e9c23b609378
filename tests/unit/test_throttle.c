/* SPDX-License-Identifier: Apache-2.0 */
/* Failed logins counted: every bound and one above, what counts as one address and one account, what comes in between,
 * and a table that is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "services/throttle.h"
#include "support/failing_mem.h"

#define SECOND ((uint64_t)MOTE_NS_PER_SECOND)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define START  (1000 * HOUR)

static int fill(void *context, void *out, size_t length)
{
    (void)context;
    memset(out, 0x5a, length);
    return 0;
}

static int fill_failing(void *context, void *out, size_t length)
{
    (void)context;
    (void)out;
    (void)length;
    return MOTE_ERANDOM;
}

static const struct mote_random fixed = {.fill = fill};
static const struct mote_random failing = {.fill = fill_failing};

static int set_up(void **state)
{
    struct mote_throttle *throttle;
    assert_int_equal(mote_throttle_new(&throttle, mote_mem_system(), &fixed), 0);
    *state = throttle;
    return 0;
}

static int tear_down(void **state)
{
    mote_throttle_free(*state);
    return 0;
}

static struct mote_throttle_attempt attempt_of(const struct mote_throttle *throttle, const char *account,
                                               const char *address)
{
    struct mote_throttle_attempt attempt;
    mote_throttle_attempt_init(&attempt, throttle, mote_slice_text(account), address);
    return attempt;
}

static uint64_t check(struct mote_throttle *throttle, const char *account, const char *address, uint64_t now)
{
    const struct mote_throttle_attempt attempt = attempt_of(throttle, account, address);
    return mote_throttle_check(throttle, &attempt, now);
}

static uint64_t finish(struct mote_throttle *throttle, const char *account, const char *address, bool succeeded,
                       uint64_t now)
{
    const struct mote_throttle_attempt attempt = attempt_of(throttle, account, address);
    return mote_throttle_end(throttle, &attempt, succeeded, now);
}

/* One whole attempt: true when it was let through. */
static bool miss(struct mote_throttle *throttle, const char *account, const char *address, uint64_t now)
{
    return check(throttle, account, address, now) == 0 && finish(throttle, account, address, false, now) == 0;
}

/* The fifth failure brings a minute, each later one twice as much, up to 15. */
static void the_pause_doubles(void **state)
{
    struct mote_throttle *throttle = *state;
    static const uint64_t pauses[] = {1, 2, 4, 8, 15, 15, 15};
    uint64_t now = START;
    for (unsigned i = 0; i < 4; i++) {
        assert_true(miss(throttle, "ada", "192.0.2.1", now));
        assert_true(check(throttle, "ada", "192.0.2.1", now) == 0);
    }
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        const uint64_t end = now + pauses[i] * MINUTE;
        assert_true(miss(throttle, "ada", "192.0.2.1", now));
        assert_true(check(throttle, "ada", "192.0.2.1", now) == pauses[i] * MINUTE);
        assert_true(check(throttle, "ada", "192.0.2.1", now + SECOND) == pauses[i] * MINUTE - SECOND);
        assert_true(check(throttle, "ada", "192.0.2.1", end - 1) == 1);
        /* What was refused does not count. */
        assert_true(finish(throttle, "ada", "192.0.2.1", false, end - 1) == 1);
        assert_true(finish(throttle, "ada", "192.0.2.1", true, end - 1) == 1);
        assert_true(check(throttle, "ada", "192.0.2.1", end) == 0);
        now = end;
    }
    /* Other addresses and other accounts are not held up. */
    assert_true(miss(throttle, "ada", "192.0.2.2", now - 1));
    assert_true(miss(throttle, "bob", "192.0.2.1", now - 1));
}

static void failures_are_forgotten_an_hour_after_the_last(void **state)
{
    struct mote_throttle *throttle = *state;
    uint64_t now = START;
    for (unsigned i = 0; i < 4; i++) {
        assert_true(miss(throttle, "ada", "192.0.2.1", now += HOUR - 1));
    }
    now += HOUR;
    for (unsigned i = 0; i < 4; i++) {
        assert_true(miss(throttle, "ada", "192.0.2.1", now));
        assert_true(check(throttle, "ada", "192.0.2.1", now) == 0);
    }
    now += HOUR - 1;
    assert_true(miss(throttle, "ada", "192.0.2.1", now));
    assert_true(check(throttle, "ada", "192.0.2.1", now) == MINUTE);
}

static void a_success_sets_back_only_its_own_count(void **state)
{
    struct mote_throttle *throttle = *state;
    for (unsigned round = 0; round < 7; round++) {
        for (unsigned i = 0; i < 4; i++) {
            assert_true(miss(throttle, "ada", "192.0.2.1", START));
        }
        assert_true(finish(throttle, "ada", "192.0.2.1", true, START) == 0);
    }
    /* 28 of the address' 30. */
    assert_true(miss(throttle, "bob", "192.0.2.1", START));
    assert_true(finish(throttle, "bob", "192.0.2.1", true, START) == 0);
    assert_true(miss(throttle, "eve", "192.0.2.1", START));
    assert_true(check(throttle, "ada", "192.0.2.1", START) == MINUTE);
    assert_true(finish(throttle, "ada", "192.0.2.1", true, START) == MINUTE);
}

static void an_address_has_30_a_minute(void **state)
{
    struct mote_throttle *throttle = *state;
    char name[16];
    for (unsigned round = 0; round < 3; round++) {
        const uint64_t begin = START + round * MINUTE;
        for (unsigned i = 0; i < 30; i++) {
            snprintf(name, sizeof name, "name%u", i % 10);
            assert_true(check(throttle, name, "192.0.2.1", begin + i) == 0);
            /* Names are used thrice, so that no pause is in the way. */
            assert_true(miss(throttle, name, "192.0.2.1", begin + i));
            if (i % 10 == 9 || round > 0) {
                const struct mote_throttle_attempt attempt = attempt_of(throttle, name, "192.0.2.1");
                struct mote_throttle_attempt pair = attempt;
                pair.ids[1] = pair.ids[2] = 1; /* the pair alone is set back */
                assert_true(mote_throttle_end(throttle, &pair, true, begin + i) == 0);
            }
        }
        assert_true(check(throttle, "another", "192.0.2.1", begin + 29) == MINUTE - 29);
        assert_true(check(throttle, "another", "192.0.2.2", begin + 29) == 0);
        assert_true(check(throttle, "another", "192.0.2.1", begin + MINUTE - 1) == 1);
        assert_true(check(throttle, "another", "192.0.2.1", begin + MINUTE) == 0);
    }
}

static void an_account_has_100_an_hour(void **state)
{
    struct mote_throttle *throttle = *state;
    char address[24];
    for (unsigned round = 0; round < 2; round++) {
        const uint64_t begin = START + round * HOUR;
        for (unsigned i = 0; i < 100; i++) {
            snprintf(address, sizeof address, "192.0.%u.%u", round, i);
            assert_true(miss(throttle, "ada", address, begin + i * SECOND));
        }
        assert_true(check(throttle, "ada", "198.51.100.1", begin + 100 * SECOND) == HOUR - 100 * SECOND);
        assert_true(check(throttle, "bob", "192.0.0.1", begin + 100 * SECOND) == 0);
        assert_true(check(throttle, "ada", "198.51.100.1", begin + HOUR - 1) == 1);
        assert_true(check(throttle, "ada", "198.51.100.1", begin + HOUR) == 0);
    }
}

/* The longest of what holds an attempt up is what it is told. */
static void the_longest_wait_is_told(void **state)
{
    struct mote_throttle *throttle = *state;
    char name[16];
    for (unsigned i = 0; i < 25; i++) {
        snprintf(name, sizeof name, "name%u", i);
        assert_true(miss(throttle, name, "192.0.2.1", START));
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_true(miss(throttle, "ada", "192.0.2.1", START + 30 * SECOND));
    }
    assert_true(check(throttle, "ada", "192.0.2.1", START + 30 * SECOND) == MINUTE);
    assert_true(check(throttle, "bob", "192.0.2.1", START + 30 * SECOND) == 30 * SECOND);
}

static void what_counts_as_one(void **state)
{
    struct mote_throttle *throttle = *state;
    static const struct {
        const char *account, *address, *other_account, *other_address;
        bool same_account, same_address;
    } cases[] = {
        {"ada", "192.0.2.1", "ADA", "192.0.2.1", true, true},
        {"Ada@Example.org", "192.0.2.1", "ada@example.ORG", "192.0.2.2", true, false},
        {"ada", "192.0.2.1", "adb", "192.0.2.1", false, true},
        {"ada", "192.0.2.1", "ada", "::ffff:192.0.2.1", true, true},
        {"ada", "::ffff:192.0.2.1", "ada", "::ffff:192.0.2.2", true, false},
        {"ada", "2001:db8::1", "ada", "2001:db8:0:0:ffff:ffff:ffff:ffff", true, true},
        {"ada", "2001:db8::1", "ada", "2001:db8:0:1::1", true, false},
        {"ada", "unix:", "ada", "unix:", true, true},
        {"ada", "unix:", "ada", "0.0.0.0", true, false},
        /* Nothing of a name becomes an address. */
        {"a", "192.0.2.1", "a1", "92.0.2.1", false, false},
        {"", "192.0.2.1", "ada", "192.0.2.1", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct mote_throttle_attempt one = attempt_of(throttle, cases[i].account, cases[i].address);
        const struct mote_throttle_attempt other = attempt_of(throttle, cases[i].other_account, cases[i].other_address);
        assert_int_equal(one.ids[0] == other.ids[0], cases[i].same_account && cases[i].same_address);
        assert_int_equal(one.ids[1] == other.ids[1], cases[i].same_account);
        assert_int_equal(one.ids[2] == other.ids[2], cases[i].same_address);
        assert_true(one.ids[0] != one.ids[1] && one.ids[1] != one.ids[2] && one.ids[0] != one.ids[2]);
    }
    /* The longest of both, and more than is looked at. */
    char long_name[300];
    char long_address[100];
    memset(long_name, 'n', sizeof long_name);
    memset(long_address, 'x', sizeof long_address);
    for (size_t length = 250; length < 299; length++) {
        long_name[length] = '\0';
        long_address[length % 40 + 55] = '\0';
        (void)attempt_of(throttle, long_name, long_address);
        long_name[length] = 'n';
        long_address[length % 40 + 55] = 'x';
    }
}

/* Attempts that were let in together: however many, five are told that they are wrong. */
static void attempts_at_once_are_no_way_around(void **state)
{
    struct mote_throttle *throttle = *state;
    unsigned told = 0;
    for (unsigned i = 0; i < 33; i++) {
        assert_true(check(throttle, "ada", "192.0.2.1", START) == 0);
    }
    for (unsigned i = 0; i < 32; i++) {
        told += finish(throttle, "ada", "192.0.2.1", false, START + i) == 0 ? 1u : 0u;
    }
    assert_int_equal(told, 5);
    /* The right one too is not told any more. */
    assert_true(finish(throttle, "ada", "192.0.2.1", true, START + 33) > 0);
}

static void honest_logins_at_once_pass(void **state)
{
    struct mote_throttle *throttle = *state;
    for (unsigned i = 0; i < 200; i++) {
        assert_true(check(throttle, "ada", "192.0.2.1", START) == 0);
    }
    for (unsigned i = 0; i < 200; i++) {
        assert_true(finish(throttle, "ada", "192.0.2.1", true, START) == 0);
    }
}

/* Each of these is a failure of another account from another address: three entries. */
static void flood(struct mote_throttle *throttle, unsigned first, unsigned count, uint64_t now)
{
    for (unsigned i = first; i < first + count; i++) {
        char name[16];
        char address[40];
        snprintf(name, sizeof name, "flood%u", i);
        snprintf(address, sizeof address, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
        assert_true(finish(throttle, name, address, false, now) == 0);
    }
}

/* The oldest goes when the table is full, and not before. */
static void the_oldest_goes(void **state)
{
    struct mote_throttle *throttle = *state;
    /* Four failures each, of which the fifth would be told. */
    for (unsigned i = 0; i < 4; i++) {
        assert_true(miss(throttle, "first", "192.0.2.1", START));
        assert_true(miss(throttle, "second", "192.0.2.2", START + 1));
    }
    const unsigned rest = (MOTE_THROTTLE_ENTRIES - 6) / 3; /* 4090 entries: one place is left */
    assert_int_equal((MOTE_THROTTLE_ENTRIES - 6) % 3, 1);
    flood(throttle, 0, rest, START + 2);
    /* One more takes the last place and two of the first's. */
    flood(throttle, rest, 1, START + 3);
    assert_true(miss(throttle, "second", "192.0.2.2", START + 4));
    assert_true(check(throttle, "second", "192.0.2.2", START + 4) == MINUTE);
    assert_true(miss(throttle, "first", "192.0.2.1", START + 4));
    assert_true(check(throttle, "first", "192.0.2.1", START + 4) == 0);
}

/* Who is refused stays so, however many others fail; the table then has no room for anything else. */
static void a_flood_frees_nobody(void **state)
{
    struct mote_throttle *throttle = *state;
    for (unsigned i = 0; i < 5; i++) {
        assert_true(miss(throttle, "ada", "192.0.2.1", START));
    }
    flood(throttle, 0, 20000, START + SECOND);
    assert_true(check(throttle, "ada", "192.0.2.1", START + 2 * SECOND) == MINUTE - 2 * SECOND);
    /* Over, it is the first to go. */
    flood(throttle, 20000, 1, START + MINUTE);
    flood(throttle, 30000, 1, START + MINUTE);
    assert_true(miss(throttle, "ada", "192.0.2.1", START + MINUTE));
    assert_true(check(throttle, "ada", "192.0.2.1", START + MINUTE) == 0);
}

/* With nothing but refusals in the table, the oldest of them goes. */
static void a_table_of_refusals(void **state)
{
    struct mote_throttle *throttle = *state;
    for (unsigned i = 0; i < 5; i++) {
        assert_true(miss(throttle, "ada", "192.0.2.1", START));
    }
    for (uint64_t i = 1; i <= MOTE_THROTTLE_ENTRIES; i++) {
        /* All three in one entry, so that each entry is refused. */
        const struct mote_throttle_attempt attempt = {.ids = {i, i, i}};
        for (unsigned k = 0; k < 3; k++) {
            assert_true(mote_throttle_end(throttle, &attempt, false, START + i) == 0);
        }
        assert_true(mote_throttle_check(throttle, &attempt, START + i) > 0);
        assert_int_equal(check(throttle, "ada", "192.0.2.1", START + i) == 0, i == MOTE_THROTTLE_ENTRIES);
    }
}

static int scenario(struct mote_mem *mem, void *context)
{
    struct mote_throttle *throttle;
    (void)context;
    const int result = mote_throttle_new(&throttle, mem, &fixed);
    if (result == 0) {
        mote_throttle_free(throttle);
    }
    return result;
}

static void failures_to_make_one(void **state)
{
    struct mote_throttle *throttle;
    (void)state;
    assert_int_equal(mote_failing_mem_check(scenario, NULL), 1);
    assert_int_equal(mote_throttle_new(&throttle, mote_mem_system(), &failing), MOTE_ERANDOM);
    mote_throttle_free(NULL);
}

struct guesser {
    struct mote_throttle *throttle;
    unsigned told;
};

static void *guess(void *context)
{
    struct guesser *guesser = context;
    for (unsigned i = 0; i < 2000; i++) {
        guesser->told += miss(guesser->throttle, "ada", "192.0.2.1", START) ? 1u : 0u;
    }
    return NULL;
}

/* Two workers share the count. */
static void threads_share_it(void **state)
{
    struct guesser guessers[2] = {{.throttle = *state}, {.throttle = *state}};
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, guess, &guessers[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(guessers[0].told + guessers[1].told, 5);
}

#define WITH_ONE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ONE(the_pause_doubles),
        WITH_ONE(failures_are_forgotten_an_hour_after_the_last),
        WITH_ONE(a_success_sets_back_only_its_own_count),
        WITH_ONE(an_address_has_30_a_minute),
        WITH_ONE(an_account_has_100_an_hour),
        WITH_ONE(the_longest_wait_is_told),
        WITH_ONE(what_counts_as_one),
        WITH_ONE(attempts_at_once_are_no_way_around),
        WITH_ONE(honest_logins_at_once_pass),
        WITH_ONE(the_oldest_goes),
        WITH_ONE(a_flood_frees_nobody),
        WITH_ONE(a_table_of_refusals),
        WITH_ONE(threads_share_it),
        cmocka_unit_test(failures_to_make_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
