/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that writes is killed at a random moment, again and again: what it was told is there, what it was not told
 * is there whole or not at all. MOTE_KILL_ROUNDS sets the number of rounds (20), MOTE_KILL_SEED what is random.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/assert.h"
#include "base/list.h"
#include "support/store_fixture.h"

#define NOW    INT64_C(1700000000000000000)
#define HOUR   (3600 * INT64_C(1000000000))
#define WIDTH  16u /* writes that the child has on the way at once */
#define FAMILY 4u  /* refresh tokens of each user, one the successor of the other */

/* --- the child: for each number a user, a login, and rotations of its token ------------------------------------- */

struct lane {
    struct fixture *fixture;
    int acknowledge;
    uint32_t number;
    unsigned step; /* steps of this number that have been acknowledged */
    union {
        struct mote_store_create_user user;
        struct mote_store_create_session login;
        struct mote_store_rotate_refresh rotate;
    } write;
};

static uint32_t next_number;

static void hash_of(uint8_t hash[32], uint32_t number, unsigned generation)
{
    memset(hash, (int)generation, 32);
    fixture_id(hash, 'h', number);
}

static void step_done(struct mote_store_write *write);

static void submit(struct lane *lane, struct mote_store_write *write, enum mote_store_write_kind kind)
{
    write->kind = kind;
    write->now = NOW + lane->step;
    write->done = step_done;
    mote_assert(mote_store_submit(lane->fixture->session, write) == 0);
}

static void start_step(struct lane *lane)
{
    memset(&lane->write, 0, sizeof lane->write);
    if (lane->step == 0) {
        fixture_user(&lane->write.user.user, lane->number);
        submit(lane, &lane->write.user.write, MOTE_STORE_CREATE_USER);
    } else if (lane->step == 1) {
        struct mote_store_create_session *login = &lane->write.login;
        fixture_id(login->record.id, 's', lane->number);
        fixture_id(login->record.user_id, 'u', lane->number);
        login->record.expire_time = NOW + HOUR;
        login->refresh_expire_time = NOW + HOUR;
        login->user_epoch = 1;
        hash_of(login->refresh_hash, lane->number, 1);
        submit(lane, &login->write, MOTE_STORE_CREATE_SESSION);
    } else {
        struct mote_store_rotate_refresh *rotate = &lane->write.rotate;
        hash_of(rotate->hash, lane->number, lane->step - 1);
        hash_of(rotate->successor_hash, lane->number, lane->step);
        rotate->successor_expire_time = NOW + HOUR;
        submit(lane, &rotate->write, MOTE_STORE_ROTATE_REFRESH);
    }
}

static void step_done(struct mote_store_write *done)
{
    /* The head is the first member of each of the structs, and they are one union. */
    struct lane *lane = MOTE_CONTAINER_OF(done, struct lane, write.user.write);
    mote_assert(done->result == 0);
    mote_assert(lane->step < 2 || lane->write.rotate.outcome == MOTE_STORE_ROTATED);
    uint32_t told[2] = {lane->number, lane->step};
    mote_assert(write(lane->acknowledge, told, sizeof told) == (ssize_t)sizeof told);
    if (++lane->step == FAMILY + 1) {
        lane->step = 0;
        lane->number = next_number++;
    }
    start_step(lane);
}

static _Noreturn void write_for_ever(struct fixture *fixture, int acknowledge, uint32_t first)
{
    static struct lane lanes[WIDTH];
    fixture_open(fixture, fixture->url);
    next_number = first;
    for (size_t i = 0; i < WIDTH; i++) {
        lanes[i] = (struct lane){.fixture = fixture, .acknowledge = acknowledge, .number = next_number++};
        start_step(&lanes[i]);
    }
    for (;;) {
        fixture_pump(fixture);
    }
}

/* --- the parent ------------------------------------------------------------------------------------------------- */

#define NUMBERS_MAX 400000u

/* By number: how many steps were acknowledged, and how many the child may have submitted. */
static uint8_t acknowledged[NUMBERS_MAX];
static unsigned told_count;
static uint32_t numbers; /* all below may be there */

static void drain(int acknowledge)
{
    uint32_t told[2];
    while (read(acknowledge, told, sizeof told) == (ssize_t)sizeof told) {
        assert_true(told[0] < NUMBERS_MAX - WIDTH);
        acknowledged[told[0]] = (uint8_t)(told[1] + 1);
        told_count++;
        if (told[0] >= numbers) {
            numbers = told[0] + 1;
        }
    }
    numbers += WIDTH; /* what was on the way and never told */
}

struct find {
    struct mote_store_find_refresh read;
    int result;
};

static void found(struct mote_store_find_refresh *read, int result)
{
    MOTE_CONTAINER_OF(read, struct find, read)->result = result;
}

/* Steps of this number that are in the store: they must be there in order, without a gap. */
static unsigned stored_steps(struct fixture *fixture, uint32_t number)
{
    struct mote_user user;
    int result = fixture_get_user(fixture, number, &user);
    assert_true(result == 0 || result == MOTE_ENOTFOUND);
    unsigned steps = result == 0 ? 1 : 0;
    for (unsigned generation = 1; generation <= FAMILY; generation++) {
        struct find find = {.read.done = found};
        hash_of(find.read.hash, number, generation);
        mote_store_find_refresh(fixture->session, &find.read);
        assert_true(find.result == 0 || find.result == MOTE_ENOTFOUND);
        if (find.result == 0) {
            assert_int_equal(steps, generation);
            steps++;
        }
    }
    return steps;
}

static void compare(struct fixture *fixture, uint32_t first)
{
    for (uint32_t number = first; number < numbers; number++) {
        unsigned steps = stored_steps(fixture, number);
        if (steps < acknowledged[number]) {
            fail_msg("number %u: %u steps acknowledged, %u stored", number, acknowledged[number], steps);
        }
        assert_true(steps <= acknowledged[number] + 1u);
        acknowledged[number] = (uint8_t)steps;
    }
}

static void assert_sound(const struct fixture *fixture)
{
    static const char *const queries[] = {
        "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
        "SELECT count(*) FROM pragma_foreign_key_check",
        "SELECT abs((SELECT count(*) FROM users) - (SELECT value FROM counters WHERE name = 'users'))",
        "SELECT count(*) FROM refresh_tokens r WHERE parent IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM refresh_tokens p WHERE p.hash = r.parent AND p.use_time > 0)",
        "SELECT count(*) FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.session_id = s.id)",
    };
    sqlite3 *db = fixture_open_file(fixture);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        sqlite3_stmt *statement = NULL;
        assert_int_equal(sqlite3_prepare_v2(db, queries[i], -1, &statement, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(statement, 0), 0);
        sqlite3_finalize(statement);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void run_and_kill(struct fixture *fixture, unsigned milliseconds)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipes[0]);
        write_for_ever(fixture, pipes[1], numbers);
    }
    close(pipes[1]);
    struct timespec time = {.tv_nsec = (long)milliseconds * 1000000};
    nanosleep(&time, NULL);
    /* What fits the pipe is read after the kill; a child that is faster waits for the parent, which is as good. */
    assert_int_equal(kill(child, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* it did not fail by itself */
    drain(pipes[0]);
    close(pipes[0]);
}

static unsigned number_of(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void test_kill(void **state)
{
    struct fixture fixture;
    unsigned rounds = number_of("MOTE_KILL_ROUNDS", 20);
    unsigned seed = number_of("MOTE_KILL_SEED", (unsigned)time(NULL));
    (void)state;
    print_message("MOTE_KILL_ROUNDS=%u MOTE_KILL_SEED=%u\n", rounds, seed);
    srand(seed);
    fixture_make_folder(&fixture);
    for (unsigned i = 0; i < rounds && numbers < NUMBERS_MAX / 2; i++) {
        uint32_t first = numbers;
        run_and_kill(&fixture, 5 + (unsigned)rand() % 196);
        fixture_open(&fixture, fixture.url);
        compare(&fixture, first);
        fixture_close(&fixture);
        assert_sound(&fixture);
    }
    fixture_open(&fixture, fixture.url);
    compare(&fixture, 0); /* and nothing of the first rounds was lost by the later ones */
    fixture_close(&fixture);
    fixture_remove_folder(&fixture);
    print_message("%u writes acknowledged, all there\n", told_count);
    assert_true(told_count > rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
