/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Argon2id and PBKDF2 hashes: settings and stored hashes at their bounds, vectors of other implementations, the dummy.
 * Nearly all cases use the least memory, so that the test is quick.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "security/password.h"

static const struct mote_password_settings quick = {.memory_kib = 64, .iterations = 1, .parallelism = 1};

static int fill_counting(void *context, void *out, size_t length)
{
    uint8_t *bytes = out;
    (void)context;
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(i + 1);
    }
    return 0;
}

static int fill_failing(void *context, void *out, size_t length)
{
    (void)context;
    (void)out;
    (void)length;
    return MOTE_ERANDOM;
}

static const struct mote_random counting = {.fill = fill_counting};
static const struct mote_random failing = {.fill = fill_failing};

static void settings_are_strict(void **state)
{
    static const struct {
        const char *text;
        struct mote_password_settings settings; /* zero: refused */
    } cases[] = {
        {"argon2id:m=19456,t=2,p=1", {19456, 2, 1}},
        {"argon2id:m=7168,t=5,p=1", {7168, 5, 1}},
        {"argon2id:m=8,t=1,p=1", {8, 1, 1}},
        {"argon2id:m=7,t=1,p=1", {0}},
        {"argon2id:m=128,t=1,p=16", {128, 1, 16}},
        {"argon2id:m=127,t=1,p=16", {0}},
        {"argon2id:m=136,t=1,p=17", {0}},
        {"argon2id:m=1048576,t=4,p=1", {1048576, 4, 1}},
        {"argon2id:m=1048577,t=1,p=1", {0}},
        {"argon2id:m=1048576,t=5,p=1", {0}},
        {"argon2id:m=65536,t=64,p=1", {65536, 64, 1}},
        {"argon2id:m=65537,t=64,p=1", {0}},
        {"argon2id:m=64,t=65,p=1", {0}},
        {"argon2id:m=64,t=0,p=1", {0}},
        {"argon2id:m=64,t=1,p=0", {0}},
        {"argon2id:m=0,t=1,p=1", {0}},
        {"argon2id:m=64,t=1", {0}},
        {"argon2id:m=64", {0}},
        {"argon2id:", {0}},
        {"argon2id", {0}},
        {"", {0}},
        {"argon2i:m=64,t=1,p=1", {0}},
        {"ARGON2ID:m=64,t=1,p=1", {0}},
        {"argon2id:t=1,m=64,p=1", {0}},
        {"argon2id:m=64,t=1,p=1,x=1", {0}},
        {"argon2id:m=64,t=1,p=1 ", {0}},
        {"argon2id: m=64,t=1,p=1", {0}},
        {"argon2id:m=064,t=1,p=1", {0}},
        {"argon2id:m=+64,t=1,p=1", {0}},
        {"argon2id:m=,t=1,p=1", {0}},
        {"argon2id:m=64,,p=1", {0}},
        {"argon2id:M=64,t=1,p=1", {0}},
        {"argon2id:m=18446744073709551680,t=1,p=1", {0}},
        {"pbkdf2-sha256:i=600000", {0, 600000, 0}},
        {"pbkdf2-sha256:i=1000", {0, 1000, 0}},
        {"pbkdf2-sha256:i=999", {0}},
        {"pbkdf2-sha256:i=10000000", {0, 10000000, 0}},
        {"pbkdf2-sha256:i=10000001", {0}},
        {"pbkdf2-sha256:i=4294967297000", {0}},
        {"pbkdf2-sha256:i=0", {0}},
        {"pbkdf2-sha256:i=", {0}},
        {"pbkdf2-sha256:", {0}},
        {"pbkdf2-sha256:600000", {0}},
        {"pbkdf2-sha256:i=600000,t=1", {0}},
        {"pbkdf2-sha256:m=19456,t=2,p=1", {0}},
        {"argon2id:i=600000", {0}},
        {"pbkdf2-sha1:i=600000", {0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_password_settings settings = {0};
        const char *problem = "";
        const bool accepted = cases[i].settings.iterations != 0;
        const int result = mote_password_settings_parse(&settings, mote_slice_text(cases[i].text), &problem);
        if (result != (accepted ? 0 : MOTE_EINVAL) || (problem == NULL) != accepted) {
            fail_msg("%s: %d, %s", cases[i].text, result, problem == NULL ? "no problem" : problem);
        }
        assert_memory_equal(&settings, &cases[i].settings, sizeof settings);
    }
}

static void a_hash_fits_its_password(void **state)
{
    char hash[MOTE_PASSWORD_HASH_MAX];
    (void)state;
    assert_int_equal(mote_password_hash(hash, &quick, mote_slice_text("open sesame"), &counting), 0);
    assert_int_equal(strncmp(hash, "$argon2id$v=19$m=64,t=1,p=1$AQIDBAUGBwgJCgsMDQ4PEA$", 51), 0);
    assert_int_equal(strlen(hash), 51 + 43);
    assert_int_equal(mote_password_verify(hash, &quick, mote_slice_text("open sesame")), 0);
    static const char *const others[] = {"", "open sesam", "open sesame ", "Open sesame", "open sesamf"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(mote_password_verify(hash, &quick, mote_slice_text(others[i])), MOTE_EAUTH);
    }
    /* A NUL is a byte like any other. */
    assert_int_equal(mote_password_verify(hash, &quick, mote_slice("open sesame\0", 12)), MOTE_EAUTH);
    /* The settings that count are those of the hash. */
    const struct mote_password_settings other = {.memory_kib = 128, .iterations = 2, .parallelism = 2};
    assert_int_equal(mote_password_verify(hash, &other, mote_slice_text("open sesame")), 0);
}

/* Hashes that the reference implementation's own tests have; those of PBKDF2 are Python's. */
static void known_hashes_fit(void **state)
{
    static const struct {
        const char *password;
        const char *hash;
    } cases[] = {
        {"password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
        {"password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"},
        {"password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
        {"password", "$pbkdf2-sha256$i=1000$c29tZXNhbHRzb21lc2FsdA$s5LQUeAEZUMuFVrnmF3OMNPXs3QWnF8SO/5BXmCj6QQ"},
        {"password", "$pbkdf2-sha256$i=1001$c29tZXNhbHQ$w4yBCtgoaGlv21OwHHTkTUKhX9RR6x7j5UDr070mlk8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mote_password_verify(cases[i].hash, &quick, mote_slice_text(cases[i].password)), 0);
        assert_int_equal(mote_password_verify(cases[i].hash, &quick, mote_slice_text("Password")), MOTE_EAUTH);
    }
}

/* Of a hash or its settings alone: it costs the same, and nothing fits. */
static void a_stand_in_has_the_settings(void **state)
{
    static const struct {
        const char *of;
        struct mote_password_settings settings;
    } cases[] = {
        {"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", {256, 2, 1}},
        {"$argon2id$v=19$m=128,t=3,p=2", {128, 3, 2}},
        {"$pbkdf2-sha256$i=1001$c29tZXNhbHQ$w4yBCtgoaGlv21OwHHTkTUKhX9RR6x7j5UDr070mlk8", {0, 1001, 0}},
        {"$pbkdf2-sha256$i=1000", {0, 1000, 0}},
    };
    static const char *const bad[] = {"", "x", "$argon2id$v=19$", "$argon2id$v=19$m=0,t=1,p=1",
                                      "$2b$12$0123456789012345"};
    char out[MOTE_PASSWORD_HASH_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mote_password_stand_in(out, cases[i].of);
        assert_false(mote_password_needs_rehash(out, &cases[i].settings));
        assert_int_equal(mote_password_verify(out, &quick, mote_slice_text("password")), MOTE_EAUTH);
        assert_int_equal(mote_password_verify(out, &quick, mote_slice_text("")), MOTE_EAUTH);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mote_password_stand_in(out, bad[i]);
        assert_string_equal(out, "");
    }
}

static void every_setting_gives_a_hash(void **state)
{
    static const struct mote_password_settings cases[] = {
        {8, 1, 1}, {64, 3, 4}, {128, 1, 16}, {1000, 64, 1}, {0, 1000, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char hash[MOTE_PASSWORD_HASH_MAX];
        assert_int_equal(mote_password_hash(hash, &cases[i], mote_slice_text("p"), &counting), 0);
        assert_int_equal(mote_password_verify(hash, &quick, mote_slice_text("p")), 0);
        assert_int_equal(mote_password_verify(hash, &quick, mote_slice_text("q")), MOTE_EAUTH);
    }
}

static void length_is_bounded(void **state)
{
    static uint8_t password[1048576];
    char hash[MOTE_PASSWORD_HASH_MAX];
    (void)state;
    assert_int_equal(mote_password_hash(hash, &quick, mote_slice(password, 0), &counting), 0);
    assert_int_equal(mote_password_verify(hash, &quick, mote_slice(NULL, 0)), 0);
    assert_int_equal(mote_password_hash(hash, &quick, mote_slice(password, MOTE_PASSWORD_MAX), &counting), 0);
    assert_int_equal(mote_password_verify(hash, &quick, mote_slice(password, MOTE_PASSWORD_MAX)), 0);
    static const size_t lengths[] = {MOTE_PASSWORD_MAX + 1, 60000, sizeof password};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const struct mote_slice longer = mote_slice(password, lengths[i]);
        assert_int_equal(mote_password_hash(hash, &quick, longer, &counting), MOTE_EINVAL);
        assert_int_equal(mote_password_verify(hash, &quick, longer), MOTE_EINVAL);
        assert_int_equal(mote_password_verify("", &quick, longer), MOTE_EINVAL);
    }
}

#define SALT_48 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SALT    "AQIDBAUGBwgJCgsMDQ4PEA"
#define DIGEST  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* A stored hash that is not ours, or asks for too much, is refused before any work. */
static void stored_hashes_are_strict(void **state)
{
    static const struct {
        const char *hash;
        int result;
    } cases[] = {
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT "$" DIGEST, MOTE_EAUTH},
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT "$" DIGEST "=", MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT "==$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT "$" DIGEST "$", MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT "$", MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$", MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=16$m=64,t=1,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$m=64,t=1,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2i$v=19$m=64,t=1,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2d$v=19$m=64,t=1,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"argon2id$v=19$m=64,t=1,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=4294967295,t=1,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=1048577,t=1,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=4294967295,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=65,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=1048576,t=5,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=1048576,t=1,p=17$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=-1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=7,t=1,p=1$" SALT "$" DIGEST, MOTE_ECORRUPT},
        /* 7 and 8, 48 and 49 bytes of salt; 15 and 16, 64 and 65 of digest */
        {"$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAA$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAA$" DIGEST, MOTE_EAUTH},
        {"$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$" DIGEST,
         MOTE_EAUTH},
        {"$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$" DIGEST,
         MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT "$AAAAAAAAAAAAAAAAAAAA", MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT "$AAAAAAAAAAAAAAAAAAAAAA", MOTE_EAUTH},
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT
         "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
         MOTE_EAUTH},
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT
         "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
         MOTE_ECORRUPT},
        /* 159 and 160 characters */
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT_48 "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
         MOTE_EAUTH},
        {"$argon2id$v=19$m=64,t=1,p=1$" SALT_48 "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
         MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$AQIDBAUGBwgJCgsMDQ4PE!$" DIGEST, MOTE_ECORRUPT},
        {"$argon2id$v=19$m=64,t=1,p=1$AQIDBAUGBwgJCgsMDQ4PEB$" DIGEST, MOTE_ECORRUPT},
        {"$2b$12$abcdefghijklmnopqrstuvabcdefghijklmnopqrstuvabcdefghijk", MOTE_ECORRUPT},
        {"$pbkdf2-sha256$i=1000$" SALT "$" DIGEST, MOTE_EAUTH},
        {"$pbkdf2-sha256$i=999$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$pbkdf2-sha256$i=10000001$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$pbkdf2-sha256$1000$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"$pbkdf2-sha256$i=1000$" SALT, MOTE_ECORRUPT},
        {"$pbkdf2-sha256$i=1000$" SALT "$", MOTE_ECORRUPT},
        /* one block, neither less nor more of it */
        {"$pbkdf2-sha256$i=1000$" SALT "$AAAAAAAAAAAAAAAAAAAAAA", MOTE_ECORRUPT},
        {"$pbkdf2-sha256$i=1000$" SALT "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", MOTE_ECORRUPT},
        {"$pbkdf2-sha512$i=1000$" SALT "$" DIGEST, MOTE_ECORRUPT},
        {"open sesame", MOTE_ECORRUPT},
        {"$", MOTE_ECORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int result = mote_password_verify(cases[i].hash, &quick, mote_slice_text("open sesame"));
        if (result != cases[i].result) {
            fail_msg("%s: %d instead of %d", cases[i].hash, result, cases[i].result);
        }
        assert_int_equal(mote_password_is_hash(mote_slice_text(cases[i].hash)), result != MOTE_ECORRUPT);
    }
    char longer[2 * MOTE_PASSWORD_HASH_MAX];
    memset(longer, 'A', sizeof longer);
    memcpy(longer, "$argon2id$v=19$", 15);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(mote_password_verify(longer, &quick, mote_slice_text("x")), MOTE_ECORRUPT);
}

/* Nobody's password, whatever is tried: also not the digest of zeros that the dummy is compared with. */
static void the_dummy_never_fits(void **state)
{
    (void)state;
    assert_int_equal(mote_password_verify("", &quick, mote_slice_text("")), MOTE_EAUTH);
    assert_int_equal(mote_password_verify("", &quick, mote_slice_text("open sesame")), MOTE_EAUTH);
    const struct mote_password_settings pbkdf2 = {.iterations = 1000};
    assert_int_equal(mote_password_verify("", &pbkdf2, mote_slice_text("open sesame")), MOTE_EAUTH);
}

/* Processor time of this thread, so that a busy machine does not matter much. */
static double seconds_of(const char *hash, const struct mote_password_settings *settings)
{
    struct rusage before;
    struct rusage after;
    assert_int_equal(getrusage(RUSAGE_THREAD, &before), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(mote_password_verify(hash, settings, mote_slice_text("wrong")), MOTE_EAUTH);
    }
    assert_int_equal(getrusage(RUSAGE_THREAD, &after), 0);
    return (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
           (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1e6 +
           (double)(after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
           (double)(after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
}

/* The dummy costs what a hash of the settings costs; half or twice would be another number of passes. */
static void the_dummy_takes_as_long(void **state)
{
    static const struct mote_password_settings settings = {.memory_kib = 8192, .iterations = 2, .parallelism = 1};
    char hash[MOTE_PASSWORD_HASH_MAX];
    double best_ratio = 100;
    (void)state;
    assert_int_equal(mote_password_hash(hash, &settings, mote_slice_text("right"), &counting), 0);
    for (unsigned round = 0; round < 5 && best_ratio > 1.2; round++) {
        const double known = seconds_of(hash, &settings);
        const double unknown = seconds_of("", &settings);
        const double ratio = known > unknown ? known / unknown : unknown / known;
        best_ratio = ratio < best_ratio ? ratio : best_ratio;
    }
    assert_true(best_ratio < 1.5);
}

static void other_hashes_are_made_again(void **state)
{
    static const struct {
        const char *hash;
        bool again;
    } cases[] = {
        {"$argon2id$v=19$m=19456,t=2,p=1$" SALT "$" DIGEST, false},
        {"$argon2id$v=19$m=19457,t=2,p=1$" SALT "$" DIGEST, true},
        {"$argon2id$v=19$m=19456,t=2,p=2$" SALT "$" DIGEST, true},
        {"$pbkdf2-sha256$i=600000$" SALT "$" DIGEST, true},
        {"$argon2id$v=19$m=19455,t=2,p=1$" SALT "$" DIGEST, true},
        {"$argon2id$v=19$m=19456,t=1,p=1$" SALT "$" DIGEST, true},
        {"$argon2id$v=19$m=7168,t=5,p=1$" SALT "$" DIGEST, true},
        {"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAA$" DIGEST, true},
        {"$argon2id$v=19$m=19456,t=2,p=1$" SALT "$AAAAAAAAAAAAAAAAAAAAAA", true},
        {"$argon2i$v=19$m=19456,t=2,p=1$" SALT "$" DIGEST, true},
        {"", true},
    };
    static const struct mote_password_settings settings = {.memory_kib = 19456, .iterations = 2, .parallelism = 1};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(mote_password_needs_rehash(cases[i].hash, &settings) == cases[i].again);
    }
    const struct mote_password_settings pbkdf2 = {.iterations = 600000};
    assert_false(mote_password_needs_rehash("$pbkdf2-sha256$i=600000$" SALT "$" DIGEST, &pbkdf2));
    assert_true(mote_password_needs_rehash("$pbkdf2-sha256$i=600001$" SALT "$" DIGEST, &pbkdf2));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(mote_password_needs_rehash(cases[i].hash, &pbkdf2) == (strstr(cases[i].hash, "i=600000") == NULL));
    }
}

static void failures_are_told(void **state)
{
    char hash[MOTE_PASSWORD_HASH_MAX] = "as before";
    struct rlimit kept;
    (void)state;
    assert_int_equal(mote_password_hash(hash, &quick, mote_slice_text("x"), &failing), MOTE_ERANDOM);
    assert_string_equal(hash, "as before");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* No address space for a gibibyte. */
    const struct mote_password_settings large = {.memory_kib = 1048576, .iterations = 1, .parallelism = 1};
    assert_int_equal(getrlimit(RLIMIT_AS, &kept), 0);
    struct rlimit small = kept;
    small.rlim_cur = 512u << 20;
    assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
    assert_int_equal(mote_password_hash(hash, &large, mote_slice_text("x"), &counting), MOTE_ENOMEM);
    assert_int_equal(mote_password_verify("", &large, mote_slice_text("x")), MOTE_ENOMEM);
    assert_int_equal(setrlimit(RLIMIT_AS, &kept), 0);
#else
    (void)kept;
#endif
    assert_string_equal(hash, "as before");
}

/* KiB of anonymous memory that is resident. */
static long anonymous_memory(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "RssAnon: %ld", &kib) == 1) {
            break;
        }
    }
    assert_int_equal(fclose(file), 0);
    assert_true(kib > 0);
    return kib;
}

/* 19 MiB of a hash do not stay; malloc keeps them after the second one. */
static void memory_is_given_back(void **state)
{
    static const struct mote_password_settings settings = {.memory_kib = 19456, .iterations = 1, .parallelism = 1};
    char hash[MOTE_PASSWORD_HASH_MAX];
    (void)state;
    const long before = anonymous_memory();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(mote_password_hash(hash, &settings, mote_slice_text("x"), &counting), 0);
        assert_int_equal(mote_password_verify(hash, &settings, mote_slice_text("y")), MOTE_EAUTH);
    }
    assert_true(anonymous_memory() - before < 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_strict),        cmocka_unit_test(a_hash_fits_its_password),
        cmocka_unit_test(known_hashes_fit),           cmocka_unit_test(a_stand_in_has_the_settings),
        cmocka_unit_test(every_setting_gives_a_hash), cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(stored_hashes_are_strict),   cmocka_unit_test(the_dummy_never_fits),
        cmocka_unit_test(the_dummy_takes_as_long),    cmocka_unit_test(other_hashes_are_made_again),
        cmocka_unit_test(failures_are_told),          cmocka_unit_test(memory_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
