/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store's operations cost by themselves: store_bench [FOLDER] prints a Markdown table. The store is made in a
 * new folder under /tmp, or in FOLDER, which must be empty; the disk under it decides about the durable writes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "support/store_fixture.h"

#define NOW   INT64_C(1700000000000000000)
#define USERS 10000u
#define GROUP 1000u
#define READS 200000u

static struct fixture fixture;
static struct mote_store_create_user creates[GROUP];
static int last_result;

static double microseconds(void)
{
    const struct mote_clock *clock = mote_clock_system();
    return (double)clock->monotonic_ns(clock->context) / 1000.0;
}

static void report(const char *what, double start, unsigned count)
{
    printf("| %s | %.2f µs |\n", what, (microseconds() - start) / count);
}

static long own_memory(void)
{
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    mote_assert(file != NULL);
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "RssAnon: %ld", &kib) != 1) {
    }
    fclose(file);
    return kib;
}

static void got(struct mote_store_get_user *read, int result)
{
    (void)read;
    last_result = result;
}

/* Of version 7, as the services make them: the store looks for a row where the id says. */
static void make_id(uint8_t id[16], uint32_t number)
{
    uint8_t noise[10];
    for (unsigned i = 0; i < sizeof noise; i++) {
        noise[i] = (uint8_t)((number + 1) * UINT32_C(2654435761) >> (i % 4 * 8));
    }
    mote_uuid_make_v7(id, NOW + number * INT64_C(100000), noise);
}

static void bench_create(void)
{
    double start = microseconds();
    for (uint32_t first = 0; first < USERS; first += GROUP) {
        memset(creates, 0, sizeof creates);
        for (uint32_t i = 0; i < GROUP; i++) {
            fixture_user(&creates[i].user, first + i);
            make_id(creates[i].user.id, first + i);
            mote_assert(fixture_submit(&fixture, &creates[i].write, MOTE_STORE_CREATE_USER, NOW) == 0);
        }
        for (uint32_t i = 0; i < GROUP; i++) {
            fixture_wait(&fixture, &creates[i].write);
            mote_assert(creates[i].write.result == 0);
        }
    }
    report("create a user, 1,000 writes on the way", start, USERS);
    start = microseconds();
    for (uint32_t i = 0; i < 100; i++) {
        mote_assert(fixture_create_user(&fixture, USERS + i, NOW) == 0);
    }
    report("create a user, one write at a time", start, 100);
}

static void bench_get(const char *what, enum mote_store_user_key key, unsigned users, unsigned reads_in_turn)
{
    struct mote_store_get_user get = {.key = key, .done = got};
    double start = microseconds();
    for (unsigned i = 1; i <= READS; i++) {
        unsigned number = (unsigned)rand() % users;
        if (key == MOTE_STORE_BY_ID) {
            make_id(get.id, number);
        } else {
            snprintf(get.text, sizeof get.text, "user%u", number);
        }
        mote_store_get_user(fixture.session, &get);
        mote_assert(last_result == 0);
        if (i % reads_in_turn == 0) {
            mote_store_session_end_turn(fixture.session);
        }
    }
    mote_store_session_end_turn(fixture.session);
    report(what, start, READS);
}

int main(int argc, char **argv)
{
    struct fixture second;
    if (argc > 1) {
        snprintf(fixture.url, sizeof fixture.url, "sqlite:%s/mote.db", argv[1]);
    } else {
        fixture_make_folder(&fixture);
    }
    printf("| operation | cost |\n|---|---|\n");
    long before = own_memory();
    double start = microseconds();
    fixture_open(&fixture, fixture.url);
    report("make a new store and open it", start, 1);
    printf("| memory (RssAnon) of the store and one session | %ld KiB |\n", own_memory() - before);
    before = own_memory();
    fixture_share(&second, &fixture);
    printf("| memory (RssAnon) of one more session | %ld KiB |\n", own_memory() - before);
    fixture_close_shared(&second);
    bench_create();
    fixture_close(&fixture);
    start = microseconds();
    fixture_open(&fixture, fixture.url);
    report("open it with 10,000 users", start, 1);
    bench_get("get a user by id, any of 10,000, 1 read a turn", MOTE_STORE_BY_ID, USERS, 1);
    bench_get("get a user by id, any of 10,000, 8 reads a turn", MOTE_STORE_BY_ID, USERS, 8);
    bench_get("get a user by id, any of 16, 8 reads a turn", MOTE_STORE_BY_ID, 16, 8);
    bench_get("get a user by username, any of 10,000, 8 reads a turn", MOTE_STORE_BY_USERNAME, USERS, 8);
    fixture_close(&fixture);
    if (argc == 1) {
        fixture_remove_folder(&fixture);
    }
    return 0;
}
