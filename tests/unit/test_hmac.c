/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA-256 against RFC 4231, HKDF-SHA-256 against RFC 5869 (the first 32 bytes of each output). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/text.h"
#include "security/hmac.h"
#include "support/failing_mem.h"

struct bytes {
    uint8_t data[256];
    size_t length;
};

static struct bytes repeated(uint8_t byte, size_t length)
{
    struct bytes bytes = {.length = length};
    assert_true(length <= sizeof bytes.data);
    memset(bytes.data, byte, length);
    return bytes;
}

static struct bytes counted(uint8_t first, size_t length)
{
    struct bytes bytes = {.length = length};
    assert_true(length <= sizeof bytes.data);
    for (size_t i = 0; i < length; i++) {
        bytes.data[i] = (uint8_t)(first + i);
    }
    return bytes;
}

static struct bytes from_text(const char *text)
{
    struct bytes bytes = {.length = strlen(text)};
    memcpy(bytes.data, text, bytes.length);
    return bytes;
}

static void assert_digest(const uint8_t digest[32], const char *expected)
{
    char text[65] = {0};
    mote_hex_encode(text, mote_slice(digest, 32));
    assert_string_equal(text, expected);
}

static void test_rfc4231(void **state)
{
    const struct {
        struct bytes key;
        struct bytes data;
        const char *mac;
    } cases[] = {
        {repeated(0x0b, 20), from_text("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {from_text("Jefe"), from_text("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {repeated(0xaa, 20), repeated(0xdd, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {counted(1, 25), repeated(0xcd, 50), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {repeated(0xaa, 131), from_text("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {repeated(0xaa, 131),
         from_text("This is a test using a larger than block-size key and a larger than block-size data. The key needs "
                   "to be hashed before being used by the HMAC algorithm."),
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mote_hmac *hmac;
        uint8_t mac[32];
        assert_int_equal(mote_hmac_new(&hmac, mote_mem_system(), mote_slice(cases[i].key.data, cases[i].key.length)),
                         0);
        /* Twice: a key is not used up. */
        for (unsigned round = 0; round < 2; round++) {
            mote_hmac_compute(hmac, mote_slice(cases[i].data.data, cases[i].data.length), mac);
            assert_digest(mac, cases[i].mac);
        }
        mote_hmac_free(hmac);
    }
}

static void test_rfc5869(void **state)
{
    const struct {
        struct bytes secret;
        struct bytes salt;
        struct bytes info;
        const char *out;
    } cases[] = {
        {repeated(0x0b, 22), counted(0, 13), counted(0xf0, 10),
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"},
        {counted(0, 80), counted(0x60, 80), counted(0xb0, 80),
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"},
        {repeated(0x0b, 22),
         {.length = 0},
         {.length = 0},
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[32];
        mote_hmac_derive(out, mote_slice(cases[i].salt.data, cases[i].salt.length),
                         mote_slice(cases[i].secret.data, cases[i].secret.length),
                         mote_slice(cases[i].info.data, cases[i].info.length));
        assert_digest(out, cases[i].out);
    }
}

/* RFC 7914 §11: the first half of its two vectors. */
static void test_rfc7914(void **state)
{
    uint8_t out[32];
    (void)state;
    mote_hmac_stretch(out, mote_slice_text("passwd"), mote_slice_text("salt"), 1);
    assert_digest(out, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    mote_hmac_stretch(out, mote_slice_text("Password"), mote_slice_text("NaCl"), 80000);
    assert_digest(out, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
}

/* Keys around the block's length against the definition: longer ones are hashed first (RFC 2104 §2). */
static void test_key_lengths(void **state)
{
    static const struct {
        size_t length;
        const char *mac; /* of "mote" under 0, 1, 2, … */
    } cases[] = {
        {0, "0073140b8ff64d9b84a748b1fc0a7b895a68d917b93fd58f8a8eafff890642ea"},
        {1, "0073140b8ff64d9b84a748b1fc0a7b895a68d917b93fd58f8a8eafff890642ea"},
        {63, "71c2268113a062c200077b7e9d701b8f537930f61922072d3fb17990ee41110f"},
        {64, "4679e8660837e77dc36dab27049342224aae2030bad1897676c568d9cefd545c"},
        {65, "fa5d196e4fca5bb764a92e3f247d1d40acd988a5b24863ca8759ab5370552d9c"},
        {128, "75b91fb362a491afb81a5f781c5adf0a15afcbdc26d2cdb5b4046065be632c52"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct bytes key = counted(0, cases[i].length);
        struct mote_hmac *hmac;
        uint8_t mac[32];
        assert_int_equal(mote_hmac_new(&hmac, mote_mem_system(), mote_slice(key.data, key.length)), 0);
        mote_hmac_compute(hmac, mote_slice_text("mote"), mac);
        assert_digest(mac, cases[i].mac);
        mote_hmac_free(hmac);
    }
    mote_hmac_free(NULL);
}

static int scenario(struct mote_mem *mem, void *context)
{
    struct mote_hmac *hmac;
    const int result = mote_hmac_new(&hmac, mem, mote_slice_text("key"));
    (void)context;
    if (result == 0) {
        mote_hmac_free(hmac);
    }
    return result;
}

static void test_memory(void **state)
{
    (void)state;
    assert_int_equal(mote_failing_mem_check(scenario, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc4231),     cmocka_unit_test(test_rfc5869), cmocka_unit_test(test_rfc7914),
        cmocka_unit_test(test_key_lengths), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
