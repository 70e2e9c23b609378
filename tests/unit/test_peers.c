/* SPDX-License-Identifier: Apache-2.0 */
/* Counting connections: the bounds at their edges, what counts as one address, a table that grows and shrinks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/peers.h"
#include "support/failing_mem.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct mote_address address_of(const char *text)
{
    struct mote_address address;
    const char *problem;
    assert_int_equal(mote_address_parse(&address, mote_slice_text(text), &problem), 0);
    return address;
}

static struct mote_address ipv4(uint32_t number)
{
    struct mote_address address = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(number)};
    memcpy(&address.storage, &v4, sizeof v4);
    return address;
}

static struct mote_peers *new_peers(uint64_t connections_max, uint64_t per_address_max)
{
    struct mote_peers *peers;
    assert_int_equal(mote_peers_new(&peers, mote_mem_system(), connections_max, per_address_max, mote_random_system()),
                     0);
    return peers;
}

static int add(struct mote_peers *peers, struct mote_peer *peer, const char *text)
{
    const struct mote_address address = address_of(text);
    int error = mote_peers_reserve(peers, peer);
    if (error == 0) {
        error = mote_peers_identify(peers, peer, &address);
        if (error != 0) {
            mote_peers_release(peers, peer);
        }
    }
    return error;
}

static void test_the_total(void **state)
{
    struct mote_peers *peers = new_peers(3, 256);
    struct mote_peer held[3];
    struct mote_peer one_more;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mote_peers_reserve(peers, &held[i]), 0);
        assert_int_equal(mote_peers_count(peers), i + 1);
    }
    assert_int_equal(mote_peers_reserve(peers, &one_more), MOTE_EAGAIN);
    mote_peers_release(peers, &one_more); /* harmless */
    assert_int_equal(mote_peers_count(peers), 3);
    mote_peers_release(peers, &held[1]);
    mote_peers_release(peers, &held[1]);
    assert_int_equal(mote_peers_reserve(peers, &one_more), 0);
    mote_peers_release(peers, &held[0]);
    mote_peers_release(peers, &held[2]);
    mote_peers_release(peers, &one_more);
    assert_int_equal(mote_peers_count(peers), 0);
    mote_peers_free(peers);
}

static void test_what_counts_as_one_address(void **state)
{
    static const struct {
        const char *a, *b;
        bool is_same;
    } rows[] = {
        {"192.0.2.1:1", "192.0.2.1:2", true},
        {"192.0.2.1:1", "192.0.2.2:1", false},
        {"[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff:ffff:ffff:ffff]:2", true},
        {"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
        {"[::ffff:192.0.2.1]:1", "192.0.2.1:2", true},
        {"[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", false},
        {"unix:/a", "unix:/a", false}, /* not counted by address at all */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct mote_peers *peers = new_peers(10, 1);
        struct mote_peer a, b;
        assert_int_equal(add(peers, &a, rows[i].a), 0);
        assert_int_equal(add(peers, &b, rows[i].b), rows[i].is_same ? MOTE_ELIMIT : 0);
        assert_int_equal(mote_peers_count(peers), rows[i].is_same ? 1 : 2);
        mote_peers_release(peers, &a);
        if (rows[i].is_same) {
            assert_int_equal(add(peers, &b, rows[i].b), 0);
        }
        mote_peers_release(peers, &b);
        mote_peers_free(peers);
    }
}

static void test_the_share_of_an_address(void **state)
{
    struct mote_peers *peers = new_peers(100, 5);
    struct mote_peer held[5];
    struct mote_peer one_more, other;
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(add(peers, &held[i], "192.0.2.1:1"), 0);
    }
    assert_int_equal(add(peers, &one_more, "192.0.2.1:1"), MOTE_ELIMIT);
    assert_int_equal(add(peers, &other, "192.0.2.2:1"), 0);
    mote_peers_release(peers, &held[3]);
    assert_int_equal(add(peers, &held[3], "192.0.2.1:1"), 0);
    assert_int_equal(add(peers, &one_more, "192.0.2.1:1"), MOTE_ELIMIT);
    for (size_t i = 0; i < 5; i++) {
        mote_peers_release(peers, &held[i]);
    }
    mote_peers_release(peers, &other);
    mote_peers_free(peers);
}

/* Against a model: 300 addresses with up to 3 connections each, coming and going at random. */
static void test_against_a_model(void **state)
{
    enum { ADDRESSES = 300, SHARE = 3, STEPS = 60000 };
    static struct mote_peer held[ADDRESSES][SHARE];
    static unsigned counts[ADDRESSES];
    struct mote_peers *peers = new_peers(ADDRESSES * SHARE, SHARE);
    uint32_t seed = 12345;
    size_t total = 0;
    (void)state;
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        uint32_t who = (seed >> 8) % ADDRESSES;
        const struct mote_address address = ipv4(0x0a000000 + who * 7919);
        if ((seed >> 30) % 2 == 0) {
            struct mote_peer peer;
            assert_int_equal(mote_peers_reserve(peers, &peer), total < ADDRESSES * SHARE ? 0 : MOTE_EAGAIN);
            int expected = counts[who] < SHARE ? 0 : MOTE_ELIMIT;
            if (peer.reserved) {
                assert_int_equal(mote_peers_identify(peers, &peer, &address), expected);
                if (expected == 0) {
                    held[who][counts[who]++] = peer;
                    total++;
                } else {
                    mote_peers_release(peers, &peer);
                }
            }
        } else if (counts[who] > 0) {
            mote_peers_release(peers, &held[who][--counts[who]]);
            total--;
        }
        assert_int_equal(mote_peers_count(peers), total);
    }
    for (size_t who = 0; who < ADDRESSES; who++) {
        while (counts[who] > 0) {
            mote_peers_release(peers, &held[who][--counts[who]]);
        }
    }
    mote_peers_free(peers);
}

/* Growing fails: the connection is refused, the others are not touched. */
static void test_out_of_memory(void **state)
{
    struct mote_failing_mem failing;
    struct mote_peers *peers;
    struct mote_peer held[40];
    size_t count = 0;
    int error = 0;
    (void)state;
    mote_failing_mem_init(&failing);
    for (size_t fail_at = 1; fail_at <= 2; fail_at++) {
        mote_failing_mem_arm(&failing, fail_at, false);
        assert_int_equal(mote_peers_new(&peers, &failing.mem, 100, 5, mote_random_system()), MOTE_ENOMEM);
        assert_int_equal(failing.live_count, 0);
    }
    mote_failing_mem_arm(&failing, 3, true);
    assert_int_equal(mote_peers_new(&peers, &failing.mem, 100, 5, mote_random_system()), 0);
    while (count < COUNT(held)) {
        const struct mote_address address = ipv4(1000 + (uint32_t)count);
        assert_int_equal(mote_peers_reserve(peers, &held[count]), 0);
        error = mote_peers_identify(peers, &held[count], &address);
        if (error != 0) {
            mote_peers_release(peers, &held[count]);
            break;
        }
        count++;
    }
    assert_int_equal(error, MOTE_ENOMEM);
    assert_int_equal(count, 32); /* half of the first table */
    mote_failing_mem_arm(&failing, 0, false);
    assert_int_equal(add(peers, &held[count], "192.0.2.1:1"), 0);
    count++;
    while (count > 0) {
        mote_peers_release(peers, &held[--count]);
    }
    mote_peers_free(peers);
    assert_int_equal(failing.live_count, 0);
}

static int no_random(void *context, void *out, size_t length)
{
    (void)context;
    memset(out, 0, length);
    return MOTE_ERANDOM;
}

static void test_no_random_bytes(void **state)
{
    const struct mote_random random = {.fill = no_random};
    struct mote_peers *peers = NULL;
    (void)state;
    assert_int_equal(mote_peers_new(&peers, mote_mem_system(), 1, 1, &random), MOTE_ERANDOM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_total),
        cmocka_unit_test(test_what_counts_as_one_address),
        cmocka_unit_test(test_the_share_of_an_address),
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_no_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
