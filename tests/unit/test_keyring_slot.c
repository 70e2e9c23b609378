/* SPDX-License-Identifier: Apache-2.0 */
/* A keyring in force, changed under threads that use it: what each of them holds lives as long as it holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "security/keyring_slot.h"

#define THREADS 3u
#define ROUNDS  200u

static struct mote_keyring *keyring_of(unsigned number)
{
    struct mote_keyring *keyring = NULL;
    struct mote_keyring_problem problem;
    char text[128];
    snprintf(text, sizeof text, "k%u:wK3v9Zq1xT7mB5nR8sD2fG6hJ4lP0yQc-%u", number, number);
    assert_int_equal(mote_keyring_read(&keyring, mote_mem_system(), mote_slice_text(text), &problem), 0);
    return keyring;
}

static void following(void **state)
{
    struct mote_keyring_slot slot = {.current = NULL};
    struct mote_keyring *held = NULL;
    (void)state;
    mote_keyring_slot_dispose(&slot);
    mote_keyring_slot_init(&slot, keyring_of(1));
    assert_true(mote_keyring_slot_follow(&slot, &held));
    assert_false(mote_keyring_slot_follow(&slot, &held));
    mote_keyring_slot_publish(&slot, keyring_of(2));
    assert_string_equal(mote_keyring_signing_kid(held), "k1");
    assert_true(mote_keyring_slot_follow(&slot, &held));
    assert_string_equal(mote_keyring_signing_kid(held), "k2");
    mote_keyring_slot_dispose(&slot);
    assert_string_equal(mote_keyring_signing_kid(held), "k2");
    mote_keyring_free(held);
}

struct shared {
    struct mote_keyring_slot slot;
    atomic_uint published; /* the number of the newest that is in force */
    atomic_bool over;
    atomic_uint wrong;
};

static void *use(void *argument)
{
    struct shared *shared = argument;
    struct mote_keyring *held = NULL;
    while (!atomic_load(&shared->over)) {
        unsigned number = 0;
        uint8_t mac[32];
        const unsigned published = atomic_load(&shared->published);
        (void)mote_keyring_slot_follow(&shared->slot, &held);
        const char *kid = mote_keyring_signing_kid(held);
        /* Whatever was in force before it was asked for is known. */
        if (sscanf(kid, "k%u", &number) != 1 || number < published ||
            mote_keyring_sign(held, mote_slice_text(kid), mote_slice_text("x"), mac) != 0) {
            atomic_fetch_add(&shared->wrong, 1);
        }
    }
    mote_keyring_free(held);
    return NULL;
}

static void threads_follow(void **state)
{
    struct shared shared = {.published = 0};
    pthread_t threads[THREADS];
    (void)state;
    mote_keyring_slot_init(&shared.slot, keyring_of(0));
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use, &shared), 0);
    }
    for (unsigned number = 1; number <= ROUNDS; number++) {
        mote_keyring_slot_publish(&shared.slot, keyring_of(number));
        atomic_store(&shared.published, number);
    }
    atomic_store(&shared.over, true);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    mote_keyring_slot_dispose(&shared.slot);
    assert_int_equal(atomic_load(&shared.wrong), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(following),
        cmocka_unit_test(threads_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
